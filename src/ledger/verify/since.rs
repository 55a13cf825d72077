//! What came after a mark, and nothing else: the commits since, the items they touched, and what
//! they changed besides.
//!
//! A mark says what was sealed, not in which commit, and whoever can write the branch can put an
//! old state on top of it again. So of the commits that have a mark kept elsewhere the first one
//! counts, and the whole line is walked to find it; what this clone verified itself is known by
//! its commit.

use std::collections::{BTreeMap, BTreeSet};

use git2::Oid;
use serde::{Deserialize, Serialize};

use super::super::cache::Cache;
use super::super::error::LedgerError;
use super::super::line::Step;
use super::super::seen::{self, Seen};
use super::super::tree::{self, Difference};
use super::chain::{FileRow, Right};
use super::marks::{another, ends};
use super::report::{Class, Finding, Since, SinceReport, Verified};
use super::{Audit, DOCUMENTS};
use crate::artifact::{self, BusyDoc, Frontier, HANDOFF, LEDGER_FOLDER, Mark, Seal};
use crate::domain::id::{Digest, ItemId};

/// The file in the common git folder.
const FILE: &str = "verified.json";

/// The last state this clone verified and found sound.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Proven {
    mark: Mark,
    commit: String,
}

/// Remembers a sound state: what comes later can be verified from there.
pub(super) fn remember(cache: &Cache, report: &Verified) {
    if let Some(mark) = report.mark.clone() {
        let what = "the next `verify --since` has no state to begin at";
        cache.remember(FILE, &Proven { mark, commit: report.tip.clone() }, what);
    }
}

/// Where a verification begins.
pub(super) struct Start {
    /// As if this clone had seen nothing later.
    pub seen: Seen,
    /// The leaves that were sealed by then.
    pub frontier: Frontier,
    /// The tree that stood then.
    pub root: Oid,
    /// Write-once files of then that are looked at again.
    pub files: Vec<FileRow>,
}

impl Audit<'_> {
    /// Finds where to begin; false where that is nowhere in the history, which is then a finding.
    pub(super) fn begin(
        &mut self,
        cache: &Cache,
        tip: Oid,
        since: &Since,
    ) -> Result<bool, LedgerError> {
        let what = "this clone does not remember what it verified";
        let proven: Option<Proven> = cache.recall(FILE, what);
        let (mark, base) = match since {
            Since::Remembered => {
                let proven = proven.ok_or(LedgerError::NeverVerified)?;
                self.at(tip, proven, "which this clone verified")?
            }
            Since::Mark(mark) => match proven.filter(|proven| proven.mark == *mark) {
                Some(proven) => self.at(tip, proven, "given with --since")?,
                None => (mark.clone(), self.with(tip, mark)?),
            },
        };
        let Some(base) = base else { return Ok(false) };
        // A line that is too short is told; what came after the mark is all here.
        self.report.findings.retain(|finding| finding.class != Class::MissingObject);
        self.line.steps.drain(..base);
        let Some(step) = self.line.steps.first().copied() else { return Ok(false) };
        let seen = Seen::trust(self.store, step.oid)?;
        let frontier = seen::last_seal(self.store, step.tree)?.0.tree();
        let Some(frontier) = frontier.filter(|_| seen.mark == mark) else {
            self.report.findings.push(another(&mark, "given with --since"));
            return Ok(false);
        };
        self.report.since =
            Some(SinceReport { mark, commit: step.oid.to_string(), seals: seen.seq, links: 0 });
        self.start = Some(Start { seen, frontier, root: step.tree, files: Vec::new() });
        Ok(true)
    }

    /// The commit this clone verified: its mark, and its place in the line.
    fn at(
        &mut self,
        tip: Oid,
        proven: Proven,
        whose: &str,
    ) -> Result<(Mark, Option<usize>), LedgerError> {
        let commit = Oid::from_str(&proven.commit).unwrap_or(Oid::ZERO_SHA1);
        let lost = self.back(tip, |oid| oid == commit)?;
        let there = self.line.steps.first().is_some_and(|step| step.oid == commit);
        if !there && !lost {
            let cut = self.store.on_line(commit, tip, usize::MAX).unwrap_or(false);
            let mut finding = match cut {
                true => ends(self.size()?, &proven.mark, whose),
                false => another(&proven.mark, whose),
            };
            finding.commit = Some(proven.commit);
            self.report.findings.push(finding);
        }
        Ok((proven.mark, there.then_some(0)))
    }

    /// The place of the first commit with a mark.
    fn with(&mut self, tip: Oid, mark: &Mark) -> Result<Option<usize>, LedgerError> {
        let lost = self.back(tip, |_| false)?;
        let base = self.first_with(mark);
        if base.is_none() && !lost {
            let size = self.size()?;
            self.report.findings.push(match mark.size > size {
                true => ends(size, mark, "given with --since"),
                false => another(mark, "given with --since"),
            });
        }
        Ok(base)
    }

    /// How many leaves the last seal of the tip says there are.
    fn size(&self) -> Result<u64, LedgerError> {
        let tip = self.line.steps.last().map_or(Oid::ZERO_SHA1, |step| step.tree);
        Ok(seen::last_seal(self.store, tip)?.0.size)
    }

    /// The first commit whose last seal has a mark, by its place.
    ///
    /// In a history that nobody touched before the mark, what is sealed grows from commit to
    /// commit, so it is found by halving. Where an old state was put on top again, an earlier
    /// commit says it adds a later seal than the one that was found.
    fn first_with(&self, mark: &Mark) -> Option<usize> {
        let steps = &self.line.steps;
        let last = |step: &Step| seen::last_seal(self.store, step.tree).ok().map(|(seal, _)| seal);
        let at = steps.partition_point(|step| last(step).is_some_and(|seal| seal.size < mark.size));
        let seal = last(steps.get(at)?).filter(|seal| seal.mark() == *mark)?;
        let later = |step: &Step| step.seal.is_some_and(|number| number > seal.seq);
        (!steps[..at].iter().any(later)).then_some(at)
    }

    /// Lists what changed since the beginning, and all of the items that did.
    pub(super) fn scope(&mut self) -> Result<(), LedgerError> {
        let Some(start) = &self.start else { return Ok(()) };
        let (before, now) = (start.root, self.root);
        let folder = |root| tree::find(self.store, root, "artifacts").map(|e| e.map(|e| e.oid));
        let mut items: BTreeSet<String> = BTreeSet::new();
        let mut folders: BTreeSet<String> = BTreeSet::new();
        let mut old_seals = Vec::new();
        for mut difference in tree::compare(self.store, folder(before)?, folder(now)?)? {
            difference.path = format!("artifacts/{}", difference.path);
            let path = &difference.path;
            match seen::concern(path) {
                seen::Concern::Item(item) => drop(items.insert(item.to_owned())),
                // Whoever held or holds something by it is looked at.
                seen::Concern::Executor => {
                    for oid in difference.old.iter().chain(&difference.new) {
                        let doc = artifact::decode::<BusyDoc>(&self.store.blob(*oid)?);
                        items.extend(doc.map(|doc| doc.work_item_id.to_string()));
                    }
                }
                seen::Concern::Ledger | seen::Concern::Workflow(_) => {}
            }
            let ledgers = format!("{HANDOFF}/{LEDGER_FOLDER}");
            if path.starts_with(&format!("{ledgers}/")) {
                folders.insert(ledgers);
            } else {
                folders.insert(path.clone());
            }
            if self.is_old(path) {
                old_seals.push(difference);
            }
        }
        for item in items.iter().filter_map(|item| item.parse::<ItemId>().ok()) {
            folders.extend([artifact::item_folder(&item), artifact::assignment_folder(&item)]);
            folders.insert(artifact::schedule_path(&item));
        }
        let mut stood = BTreeMap::new();
        for folder in &folders {
            self.files.extend(tree::files(self.store, now, folder)?);
            stood.extend(tree::files(self.store, before, folder)?);
        }
        stood.retain(|path, _| seen::is_write_once(path) && path != artifact::LEDGER_DOC);
        let row = |(path, oid): (String, Oid)| FileRow {
            path: path.into_boxed_str(),
            right: Right::Stood(oid),
            seal: 0,
            leaf: None,
        };
        let stood = stood.into_iter().map(row).collect();
        if let Some(start) = &mut self.start {
            start.files = stood;
        }
        for path in DOCUMENTS {
            let document = tree::file(self.store, before, path)?;
            let document = document.map(|bytes| (path.to_owned(), (Digest::of(&bytes), 0)));
            self.chain.documents.extend(document);
        }
        for difference in old_seals {
            self.old_seal(difference)?;
        }
        Ok(())
    }

    /// Whether a path is a seal, or a signature, of before the beginning.
    fn is_old(&self, path: &str) -> bool {
        let seq = artifact::parse_seal_path(path).or_else(|| artifact::parse_signature_path(path));
        self.start.as_ref().zip(seq).is_some_and(|(start, seq)| seq <= start.seen.seq)
    }

    /// A seal of before the beginning that is not as it stood then.
    fn old_seal(&mut self, difference: Difference) -> Result<(), LedgerError> {
        let path = difference.path;
        if self.still_agrees(&path, difference.new)? {
            // What is wrong with it is the commit that changed it.
            return Ok(());
        }
        let is_seal = artifact::parse_seal_path(&path).is_some();
        let (class, what) = match (difference.old, difference.new) {
            (_, None) => (Class::Deleted, "is gone"),
            (None, _) => (Class::Unsealed, "was added beside a seal of before the mark"),
            (Some(_), _) if is_seal => (Class::BrokenSeal, "is not what it was at the mark"),
            (Some(_), _) => (Class::BadSignature, "is not what it was at the mark"),
        };
        let mut finding = Finding::new(class, path.clone(), what);
        finding.seal =
            artifact::parse_seal_path(&path).or_else(|| artifact::parse_signature_path(&path));
        finding.commit = self.line.last_change(&path)?;
        finding.before = self.line.before(finding.commit.as_deref());
        self.report.findings.push(finding);
        self.files.remove(&path);
        Ok(())
    }

    /// Whether a changed seal says of the ledger what it said at the beginning. Its successor
    /// knows its bytes, so only the last one can.
    fn still_agrees(&self, path: &str, new: Option<Oid>) -> Result<bool, LedgerError> {
        let (Some(start), Some(new)) = (&self.start, new) else { return Ok(false) };
        let last = artifact::parse_seal_path(path) == Some(start.seen.seq);
        let newer = |path: &String| artifact::parse_seal_path(path) > Some(start.seen.seq);
        if !last || self.files.keys().any(newer) {
            return Ok(false);
        }
        let Ok(seal) = artifact::decode::<Seal>(&self.store.blob(new)?) else { return Ok(false) };
        let previous = match start.seen.seq.checked_sub(1).filter(|before| *before > 0) {
            Some(before) => tree::file(self.store, self.root, &artifact::seal_path(before))?,
            None => None,
        };
        Ok(seal.seq == start.seen.seq
            && seal.tree().as_ref() == Some(&start.frontier)
            && seal.previous == previous.map(|bytes| Digest::of(&bytes)))
    }

    /// What untouched items keep busy of what touched items keep busy, by the files that say so.
    pub(super) fn held_elsewhere(
        &self,
        paths: BTreeSet<String>,
    ) -> Result<Vec<BusyDoc>, LedgerError> {
        let Some(start) = &self.start else { return Ok(Vec::new()) };
        let mut held = Vec::new();
        for path in paths {
            let bytes = tree::file(self.store, start.root, &path)?;
            let doc = bytes.and_then(|bytes| artifact::decode::<BusyDoc>(&bytes).ok());
            let untouched =
                |doc: &BusyDoc| !self.chain.has_below(&artifact::item_folder(&doc.work_item_id));
            held.extend(doc.filter(untouched));
        }
        Ok(held)
    }
}
