//! The auditor (L11): recomputes everything from the final tree and the seals, believes no cache,
//! and names class, path and commit of each finding. `--deep` walks every commit as well.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use git2::Oid;

use super::batch::derived_files;
use super::error::{LedgerError, Rewrite, Stop, WayBack};
use super::fold::{self, ItemFold, Problem, Sealed};
use super::object::Commit;
use super::seen::{self, Arrived, Check, Seen};
use super::signatures::{self, Audited, Signatures};
use super::snapshot::Snapshot;
use super::store::Store;
use super::{Ledger, progress, tree};
use crate::artifact::{
    self, BusyDoc, Frontier, HANDOFF, LEDGER_FOLDER, Mark, README, Recovery, SEALS, Seal,
    encode_event, leaf,
};
use crate::domain::event::{EventData, EventKind};
use crate::domain::id::{ClaimId, Digest, EventId, ExecutorId, Fingerprint, ItemId};
use crate::domain::keys::{Fact, Keyring};
use crate::domain::schedule::decision;
use crate::domain::state::{ItemState, LedgerState};

/// What sort of damage it is; docs/recovery.md has a section for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// A sealed file has other bytes.
    Altered,
    /// A sealed file is gone.
    Deleted,
    /// Two sealed files have each other's bytes.
    Reordered,
    /// An unsealed file repeats a sealed one.
    Duplicated,
    /// A file that no seal names.
    Unsealed,
    /// A seal cannot be read, does not chain, or its root does not follow.
    BrokenSeal,
    /// An artifact breaks its schema or is not where it says.
    BadArtifact,
    /// A link names nothing, or other bytes.
    BrokenLink,
    /// An event that cannot have happened after the ones before it.
    IllegalTransition,
    /// A decision is not what the facts before it give.
    WrongDecision,
    /// A derived file is not what the events give.
    WrongDerived,
    /// A signature is none, is for something else, or is not over its seal with its key.
    BadSignature,
    /// A seal is signed with a key the ledger does not have.
    UnknownKey,
    /// A seal is signed with a key that was revoked before.
    RevokedKey,
    /// A seal is signed with a key whose end the ledger had passed.
    ExpiredKey,
    /// A key may not seal what it sealed.
    NotEntitled,
    /// A seal that must be signed is not.
    Unsigned,
    /// A commit without a seal changed `artifacts/`, or merged.
    ForeignCommit,
    /// History is not the one a mark was taken of.
    Rewritten,
    /// History ends before a mark.
    CutTail,
    /// An object cannot be read.
    BadObject,
    /// An object is not here: shallow or partial. Nothing can be said of it.
    MissingObject,
}

impl Class {
    /// Every class.
    pub const ALL: [Self; 22] = [
        Self::Altered,
        Self::Deleted,
        Self::Reordered,
        Self::Duplicated,
        Self::Unsealed,
        Self::BrokenSeal,
        Self::BadArtifact,
        Self::BrokenLink,
        Self::IllegalTransition,
        Self::WrongDecision,
        Self::WrongDerived,
        Self::BadSignature,
        Self::UnknownKey,
        Self::RevokedKey,
        Self::ExpiredKey,
        Self::NotEntitled,
        Self::Unsigned,
        Self::ForeignCommit,
        Self::Rewritten,
        Self::CutTail,
        Self::BadObject,
        Self::MissingObject,
    ];

    /// The word in reports, and the section of docs/recovery.md.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Altered => "altered",
            Self::Deleted => "deleted",
            Self::Reordered => "reordered",
            Self::Duplicated => "duplicated",
            Self::Unsealed => "unsealed",
            Self::BrokenSeal => "broken-seal",
            Self::BadArtifact => "bad-artifact",
            Self::BrokenLink => "broken-link",
            Self::IllegalTransition => "illegal-transition",
            Self::WrongDecision => "wrong-decision",
            Self::WrongDerived => "wrong-derived",
            Self::BadSignature => "bad-signature",
            Self::UnknownKey => "unknown-key",
            Self::RevokedKey => "revoked-key",
            Self::ExpiredKey => "expired-key",
            Self::NotEntitled => "not-entitled",
            Self::Unsigned => "unsigned",
            Self::ForeignCommit => "foreign-commit",
            Self::Rewritten => "rewritten",
            Self::CutTail => "cut-tail",
            Self::BadObject => "bad-object",
            Self::MissingObject => "missing-object",
        }
    }

    /// Whether data is missing rather than wrong: exit 11, not 10.
    #[must_use]
    pub fn is_incomplete(self) -> bool {
        self == Self::MissingObject
    }

    /// Whether nothing can be said of some content: what follows from it is not judged.
    fn is_unread(self) -> bool {
        matches!(self, Self::BadObject | Self::MissingObject)
    }
}

/// One violation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub class: Class,
    pub path: Option<String>,
    pub item: Option<ItemId>,
    pub what: String,
    /// The seal that names the file.
    pub seal: Option<u64>,
    pub sealed: Option<Digest>,
    pub found: Option<Digest>,
    /// The commit that brought it, and the one before.
    pub commit: Option<String>,
    pub before: Option<String>,
    /// JSON pointer to the first difference.
    pub pointer: Option<String>,
    /// How an object comes back that cannot be had.
    pub way: Option<Box<WayBack>>,
}

impl Finding {
    fn new(class: Class, path: impl Into<Option<String>>, what: impl Into<String>) -> Self {
        let path = path.into();
        let item = path.as_deref().and_then(|path| match seen::concern(path) {
            seen::Concern::Item(item) => item.parse().ok(),
            _ => None,
        });
        Self {
            class,
            path,
            item,
            what: what.into(),
            seal: None,
            sealed: None,
            found: None,
            commit: None,
            before: None,
            pointer: None,
            way: None,
        }
    }

    /// An object that cannot be had: what the error says of it; another error is no finding.
    fn lost(error: LedgerError, path: Option<String>) -> Result<Self, LedgerError> {
        let (class, what, way) = match error {
            LedgerError::BadObject { ref way, .. } => {
                (Class::BadObject, error.to_string(), way.clone())
            }
            LedgerError::MissingObject { oid, way } => {
                let why =
                    if way.shallow { "this clone is shallow" } else { "it is not in this clone" };
                (Class::MissingObject, format!("object {oid} cannot be verified: {why}"), way)
            }
            error => return Err(error),
        };
        Ok(Self { way: Some(way), ..Self::new(class, path, what) })
    }
}

/// What to check beyond the standing checks.
#[derive(Debug, Clone, Default)]
pub struct VerifyOptions {
    /// Walk every commit.
    pub deep: bool,
    /// Marks kept elsewhere.
    pub marks: Vec<Mark>,
    /// Every seal must be signed, from the first key's on and not before this one.
    pub require_signatures: Option<u64>,
    /// The first key must be this one, known from elsewhere.
    pub root_key: Option<Fingerprint>,
}

/// What was verified, and what was found.
#[derive(Debug, Clone, Default)]
pub struct Verified {
    pub seals: u64,
    pub events: usize,
    pub definitions: usize,
    pub items: usize,
    pub commits: usize,
    pub findings: Vec<Finding>,
    /// Files that were damaged and put back, with the commit that had damaged them.
    pub corrected: Vec<(String, String)>,
    pub signatures: Signatures,
    pub mark: Option<Mark>,
    pub tip: String,
}

/// A sealed file's place in the history.
struct Expected {
    sha256: Digest,
    seal: u64,
}

impl Ledger {
    /// Verifies the whole ledger.
    ///
    /// # Errors
    /// When there is no ledger, or the repository cannot be read at all.
    pub fn verify(&self, options: &VerifyOptions) -> Result<Verified, LedgerError> {
        let known = Seen::load(&self.cache);
        let told = |tip, error| match &known {
            Some(seen) => seen.pointed(tip, error),
            None => error,
        };
        let Some(tip) = self.store.tip().map_err(|error| told(None, error))? else {
            let Some(seen) = known else { return Err(LedgerError::NoLedger) };
            let what = format!(
                "the branch is gone; this clone saw {} at commit {}",
                seen.mark,
                &seen.tip[..7]
            );
            let mut finding = Finding::new(Class::CutTail, None, what);
            finding.commit = Some(seen.tip);
            return Ok(Verified { findings: vec![finding], ..Verified::default() });
        };
        let mut audit = Audit {
            store: &self.store,
            report: Verified { tip: tip.to_string(), ..Verified::default() },
            root: tip,
            line: Vec::new(),
            bytes: BTreeMap::new(),
            damaged: BTreeMap::new(),
            facts: BTreeMap::new(),
        };
        if let Err(error) = audit.run(tip, known.as_ref(), options) {
            audit.report.findings.push(Finding::lost(told(Some(tip), error), None)?);
        }
        let Audit { mut report, .. } = audit;
        report.findings.sort_by(|a, b| (a.class, &a.path).cmp(&(b.class, &b.path)));
        // A sound ledger becomes what this clone has seen.
        if report.findings.is_empty() && known.is_none() {
            Seen::first(&self.store, tip)?.save(&self.cache);
        }
        Ok(report)
    }
}

struct Audit<'a> {
    store: &'a Store,
    report: Verified,
    root: Oid,
    /// Commits with their ids, oldest first.
    line: Vec<(Oid, Commit)>,
    /// The bytes of write-once files that are as sealed.
    bytes: BTreeMap<String, Vec<u8>>,
    /// Sealed bytes, from history, of files that are damaged now: links to them still hold, and
    /// so do the keys they added.
    damaged: BTreeMap<String, Vec<u8>>,
    /// What signatures must know of the events, by path.
    facts: BTreeMap<String, Fact>,
}

impl Audit<'_> {
    fn run(
        &mut self,
        tip: Oid,
        known: Option<&Seen>,
        options: &VerifyOptions,
    ) -> Result<(), LedgerError> {
        // A ledger of the future is not judged by the rules of today.
        self.walk(tip)?;
        self.root = self.store.commit(tip)?.tree;
        match Snapshot::format_of(self.store, self.root) {
            // Damage: `documents` names it.
            Err(LedgerError::LedgerStopped { .. }) => {}
            Err(LedgerError::NewerFormat { .. }) if !self.sealed_by(artifact::LEDGER_DOC)? => {}
            other => drop(other?),
        }
        let files = tree::files(self.store, self.root, "artifacts")?;
        let seals = self.seals(&files)?;
        let expected = expected(&seals);
        self.contents(&files, &expected)?;
        self.documents(&seals)?;
        let roots = self.roots(&seals)?;
        self.events(&expected)?;
        let audited = self.signatures(&files, &seals, options)?;
        self.commits(&seals, &audited, options.deep)?;
        self.marks(known, options, &roots);
        self.report.seals = seals.len() as u64;
        self.report.mark = seals.last().map(|(seal, _)| seal.mark());
        Ok(())
    }

    /// Whether the commit that gave a path its content says it sealed something.
    fn sealed_by(&self, path: &str) -> Result<bool, LedgerError> {
        let last = last_change(self.store, &self.line, path)?;
        let commit = self.line.iter().find(|(oid, _)| Some(oid.to_string()) == last);
        Ok(commit.is_some_and(|(_, commit)| trailer(commit).is_some()))
    }

    /// The first-parent line from the tip to the first commit.
    fn walk(&mut self, tip: Oid) -> Result<(), LedgerError> {
        let mut at = Some(tip);
        while let Some(oid) = at {
            match self.store.commit(oid) {
                Ok(commit) => {
                    at = commit.parents.first().copied();
                    self.line.push((oid, commit));
                }
                // What is here can still be checked; the rest cannot.
                Err(error @ LedgerError::MissingObject { .. }) if oid != tip => {
                    self.report.findings.push(Finding::lost(error, None)?);
                    break;
                }
                Err(error) => return Err(error),
            }
            progress::tell("commits", self.line.len(), 0);
        }
        self.line.reverse();
        self.report.commits = self.line.len();
        Ok(())
    }

    /// Every seal, in order, each following the one before.
    fn seals(
        &mut self,
        files: &BTreeMap<String, Oid>,
    ) -> Result<Vec<(Seal, Vec<u8>)>, LedgerError> {
        let prefix = format!("{SEALS}/");
        let mut numbered: BTreeMap<u64, Oid> = BTreeMap::new();
        for (path, oid) in files.range(prefix.clone()..).take_while(|(p, _)| p.starts_with(&prefix))
        {
            match artifact::parse_seal_path(path) {
                Some(number) => {
                    numbered.insert(number, *oid);
                }
                None if artifact::parse_signature_path(path).is_some() => {}
                None => {
                    let finding = Finding::new(Class::Unsealed, path.clone(), "is no seal");
                    self.report.findings.push(finding);
                }
            }
        }
        let told = self.line.iter().filter_map(|(_, commit)| trailer(commit)).max();
        let highest = numbered.keys().next_back().copied().max(told).unwrap_or(1);
        let mut seals: Vec<(Seal, Vec<u8>)> = Vec::new();
        for seq in 1..=highest {
            progress::tell("seals", seals.len(), numbered.len());
            let path = &artifact::seal_path(seq);
            let bytes = match numbered.get(&seq) {
                Some(oid) => Some(self.store.blob(*oid)?),
                None => None,
            };
            let found = bytes.as_ref().map(|bytes| Digest::of(bytes));
            let broken = |what: &str| {
                let mut finding = Finding::new(Class::BrokenSeal, path.clone(), what);
                finding.found = found.clone();
                finding.seal = Some(seq);
                finding
            };
            let read = bytes.map(|bytes| (artifact::decode::<Seal>(&bytes), bytes));
            let (seal, bytes) = match read {
                Some((Ok(seal), bytes)) => (seal, bytes),
                other => {
                    let mut finding = match other {
                        Some((Err(error), _)) => broken(&format!("cannot be read: {error}")),
                        _ => Finding::new(
                            Class::Deleted,
                            path.clone(),
                            format!("seal {seq} is gone"),
                        ),
                    };
                    finding.seal = Some(seq);
                    finding.commit = last_change(self.store, &self.line, path)?;
                    finding.before = self.before(finding.commit.as_deref());
                    self.report.findings.push(finding);
                    // History has it as it was, so what follows can still be judged.
                    match self.first_written(path)? {
                        Some(original) => original,
                        None => return Ok(seals),
                    }
                }
            };
            let previous = seals.last().map(|(_, bytes)| Digest::of(bytes));
            if seal.seq != seq || seal.previous != previous {
                // The chain tells that one of two neighbours changed; history tells which.
                let at = match seals.last() {
                    Some(_) if seal.seq == seq && self.changed_later(path)?.is_none() => seq - 1,
                    _ => seq,
                };
                let path = artifact::seal_path(at);
                let what = "does not chain: it is not the seal its successor was made after";
                let mut finding = Finding::new(Class::BrokenSeal, path.clone(), what);
                finding.seal = Some(at);
                finding.commit = self.changed_later(&path)?;
                self.report.findings.push(finding);
            } else if seal.tree().is_none() {
                let mut finding = broken("its frontier does not give its root");
                finding.commit = self.changed_later(path)?;
                self.report.findings.push(finding);
            }
            seals.push((seal, bytes));
        }
        Ok(seals)
    }

    /// A seal as the first commit that has it wrote it.
    fn first_written(&self, path: &str) -> Result<Option<(Seal, Vec<u8>)>, LedgerError> {
        for (_, commit) in &self.line {
            if let Some(bytes) = tree::file(self.store, commit.tree, path)? {
                return Ok(artifact::decode(&bytes).ok().map(|seal| (seal, bytes)));
            }
        }
        Ok(None)
    }

    /// The commit that gave a path the content it has now, if that is not the one that added it.
    fn changed_later(&self, path: &str) -> Result<Option<String>, LedgerError> {
        let (mut first, mut last, mut before) = (None, None, None);
        for (oid, commit) in &self.line {
            let here = tree::find(self.store, commit.tree, path)?.map(|entry| entry.oid);
            if here.is_some() && first.is_none() {
                first = Some(*oid);
            }
            if here != before {
                last = Some(*oid);
            }
            before = here;
        }
        Ok(last.filter(|last| Some(*last) != first).map(|oid| oid.to_string()))
    }

    /// Compares every write-once file with its seal.
    fn contents(
        &mut self,
        files: &BTreeMap<String, Oid>,
        expected: &BTreeMap<String, Expected>,
    ) -> Result<(), LedgerError> {
        let mut wrong: Vec<Finding> = Vec::new();
        for (n, (path, sealed)) in expected.iter().enumerate() {
            progress::tell("sealed files", n, expected.len());
            let Some(oid) = files.get(path) else {
                let mut finding = Finding::new(Class::Deleted, path.clone(), "is gone");
                finding.sealed = Some(sealed.sha256.clone());
                finding.seal = Some(sealed.seal);
                let before = self.sealed_bytes(path, &sealed.sha256)?;
                self.damaged.extend(before.map(|before| (path.clone(), before)));
                wrong.push(finding);
                continue;
            };
            let bytes = match self.store.blob(*oid) {
                Ok(bytes) => bytes,
                Err(error) => {
                    self.report.findings.push(Finding::lost(error, Some(path.clone()))?);
                    continue;
                }
            };
            let found = Digest::of(&bytes);
            if found == sealed.sha256 {
                self.bytes.insert(path.clone(), bytes);
                continue;
            }
            let mut finding =
                Finding::new(Class::Altered, path.clone(), "has other bytes than sealed");
            finding.sealed = Some(sealed.sha256.clone());
            finding.found = Some(found);
            finding.seal = Some(sealed.seal);
            if let Some(before) = self.sealed_bytes(path, &sealed.sha256)? {
                finding.pointer = first_difference(&before, &bytes);
                self.damaged.insert(path.clone(), before);
            }
            wrong.push(finding);
        }
        let sealed_at: BTreeMap<&Digest, &String> =
            expected.iter().map(|(path, sealed)| (&sealed.sha256, path)).collect();
        for (path, oid) in files.iter().filter(|(path, _)| seen::is_write_once(path)) {
            if expected.contains_key(path) || path == artifact::LEDGER_DOC {
                continue;
            }
            let found = Digest::of(&self.store.blob(*oid)?);
            let mut finding = match sealed_at.get(&found) {
                Some(twin) => {
                    let what = format!("repeats {twin}");
                    Finding::new(Class::Duplicated, path.clone(), what)
                }
                None => Finding::new(Class::Unsealed, path.clone(), "is named by no seal"),
            };
            finding.found = Some(found);
            wrong.push(finding);
        }
        let swapped: BTreeSet<String> = wrong
            .iter()
            .filter(|a| {
                let others =
                    || wrong.iter().filter(|b| b.class == Class::Altered && b.path != a.path);
                a.class == Class::Altered
                    && others().any(|b| b.sealed == a.found)
                    && others().any(|b| b.found == a.sealed)
            })
            .filter_map(|finding| finding.path.clone())
            .collect();
        for mut finding in wrong {
            let path = finding.path.clone().unwrap_or_default();
            if swapped.contains(&path) {
                finding.class = Class::Reordered;
                finding.what = "has the bytes of another sealed file".into();
            }
            finding.commit = self.changed_later(&path)?.or(self.added_by(&path)?);
            finding.before = self.before(finding.commit.as_deref());
            self.report.findings.push(finding);
        }
        Ok(())
    }

    /// The commit a path first appeared in.
    fn added_by(&self, path: &str) -> Result<Option<String>, LedgerError> {
        for (oid, commit) in &self.line {
            if tree::find(self.store, commit.tree, path)?.is_some() {
                return Ok(Some(oid.to_string()));
            }
        }
        Ok(None)
    }

    fn before(&self, commit: Option<&str>) -> Option<String> {
        let at = self.line.iter().position(|(oid, _)| Some(oid.to_string().as_str()) == commit)?;
        at.checked_sub(1).map(|at| self.line[at].0.to_string())
    }

    /// The sealed bytes of a path, from history.
    fn sealed_bytes(&self, path: &str, sha256: &Digest) -> Result<Option<Vec<u8>>, LedgerError> {
        sealed_bytes(self.store, &self.line, path, sha256)
    }

    /// `ledger.json` and the README, against the last seal that names them.
    fn documents(&mut self, seals: &[(Seal, Vec<u8>)]) -> Result<(), LedgerError> {
        let mut last: BTreeMap<&str, (&Digest, u64)> = BTreeMap::new();
        for (seal, _) in seals {
            for file in &seal.documents {
                last.insert(&file.path, (&file.sha256, seal.seq));
            }
        }
        for (path, (sealed, seq)) in last {
            let found = tree::file(self.store, self.root, path)?.map(|bytes| Digest::of(&bytes));
            if found.as_ref() == Some(sealed) {
                continue;
            }
            let (class, what) = match found {
                Some(_) => (Class::Altered, "has other bytes than sealed"),
                None => (Class::Deleted, "is gone"),
            };
            let mut finding = Finding::new(class, path.to_owned(), what);
            finding.sealed = Some(sealed.clone());
            finding.found = found;
            finding.seal = Some(seq);
            finding.commit = self.changed_later(path)?;
            finding.before = self.before(finding.commit.as_deref());
            self.report.findings.push(finding);
        }
        Ok(())
    }

    /// The root after every seal, recomputed from the bytes.
    fn roots(&mut self, seals: &[(Seal, Vec<u8>)]) -> Result<BTreeMap<u64, Digest>, LedgerError> {
        let mut frontier = Frontier::default();
        let mut roots = BTreeMap::new();
        for (seal, _) in seals {
            for file in &seal.artifacts {
                let leaf = match self.bytes.get(&file.path) {
                    Some(bytes) => leaf(&file.path, bytes),
                    None => match self.sealed_bytes(&file.path, &file.sha256)? {
                        Some(bytes) => leaf(&file.path, &bytes),
                        // Its own finding stands already; no root can be computed past it.
                        None => return Ok(roots),
                    },
                };
                frontier.push(leaf);
            }
            if frontier.size() != seal.size || frontier.root() != seal.root {
                let path = artifact::seal_path(seal.seq);
                let what = "its root is not the one its files give";
                let mut finding = Finding::new(Class::BrokenSeal, path.clone(), what);
                finding.seal = Some(seal.seq);
                finding.commit = self.changed_later(&path)?;
                self.report.findings.push(finding);
                return Ok(roots);
            }
            roots.insert(frontier.size(), frontier.root());
        }
        Ok(roots)
    }

    /// Every signature, on the keys before it.
    fn signatures(
        &mut self,
        files: &BTreeMap<String, Oid>,
        seals: &[(Seal, Vec<u8>)],
        options: &VerifyOptions,
    ) -> Result<Audited, LedgerError> {
        let mut found = BTreeMap::new();
        let mut lost = BTreeSet::new();
        let last = seals.last().map_or(0, |(seal, _)| seal.seq);
        let prefix = format!("{SEALS}/");
        for (path, oid) in files.range(prefix.clone()..).take_while(|(p, _)| p.starts_with(&prefix))
        {
            let Some(seq) = artifact::parse_signature_path(path) else { continue };
            if seq > last {
                let what = "is beside no seal";
                self.report.findings.push(Finding::new(Class::Unsealed, path.clone(), what));
                continue;
            }
            match self.store.blob(*oid) {
                Ok(bytes) => drop(found.insert(seq, bytes)),
                Err(error) => {
                    lost.insert(seq);
                    self.report.findings.push(Finding::lost(error, Some(path.clone()))?);
                }
            }
            progress::tell("signatures", found.len(), seals.len());
        }
        let facts = std::mem::take(&mut self.facts);
        let mut audited = signatures::audit(seals, &found, facts, |seq| {
            let path = artifact::signature_path(seq);
            let mut first = self.line.iter().map(|(_, commit)| commit.tree);
            first.find_map(|tree| tree::file(self.store, tree, &path).ok().flatten())
        });
        let mut wrong: Vec<(u64, Class, String)> = audited
            .wrong
            .iter()
            // One that cannot be read is not gone: nothing can be said of it.
            .filter(|(seal, wrong)| wrong.class != Class::Deleted || !lost.contains(seal))
            .map(|(seal, wrong)| (*seal, wrong.class, wrong.what.clone()))
            .collect();
        if let Some(from) = options.require_signatures {
            for &(first, last) in &audited.unsigned {
                let first = first.max(from);
                let what = match last.saturating_sub(first) {
                    _ if first > last => continue,
                    0 => format!("seal {first} is not signed"),
                    _ => format!("seals {first} to {last} are not signed"),
                };
                wrong.push((first, Class::Unsigned, what));
            }
        }
        if let (Some(wanted), Some((root, seal))) = (&options.root_key, &audited.signatures.root)
            && wanted != root
        {
            let what = format!("the first key is {root}, not the one given with --root-key");
            wrong.push((*seal, Class::UnknownKey, what));
        }
        let mut findings = Vec::new();
        for (seal, class, what) in wrong {
            // What is wrong with the seal itself, and not with the file beside it.
            let path = match class {
                Class::Unsigned | Class::IllegalTransition => artifact::seal_path(seal),
                _ => artifact::signature_path(seal),
            };
            let mut finding = Finding::new(class, path, what);
            finding.seal = Some(seal);
            finding.found = found.get(&seal).map(|bytes| Digest::of(bytes));
            findings.push(finding);
        }
        // A signature that never was came with its seal.
        let bare = |path: &str| path.strip_suffix(".sig").unwrap_or(path).to_owned();
        let paths = findings.iter().filter_map(|finding| finding.path.clone());
        let paths = paths.flat_map(|path| [bare(&path), path]).collect();
        let changed = self.changed_seals(&paths)?;
        for mut finding in findings {
            finding.commit = finding
                .path
                .as_ref()
                .and_then(|path| changed.get(path).or_else(|| changed.get(&bare(path))).cloned());
            self.report.findings.push(finding);
        }
        self.report.signatures = std::mem::take(&mut audited.signatures);
        Ok(audited)
    }

    /// The commits that gave files among the seals what they have now: one walk for all of them.
    fn changed_seals(
        &self,
        paths: &BTreeSet<String>,
    ) -> Result<BTreeMap<String, String>, LedgerError> {
        let mut changed = BTreeMap::new();
        if paths.is_empty() {
            return Ok(changed);
        }
        let mut before = None;
        for (oid, commit) in &self.line {
            let here = tree::find(self.store, commit.tree, SEALS)?.map(|entry| entry.oid);
            for difference in tree::compare(self.store, before, here)? {
                let path = format!("{SEALS}/{}", difference.path);
                if paths.contains(&path) {
                    changed.insert(path, oid.to_string());
                }
            }
            before = here;
        }
        Ok(changed)
    }

    /// Every commit that changes `artifacts/` has the next seal; what was put back is said.
    fn commits(
        &mut self,
        seals: &[(Seal, Vec<u8>)],
        audited: &Audited,
        deep: bool,
    ) -> Result<(), LedgerError> {
        let mut foreign: Vec<Open> = Vec::new();
        let mut recoveries: Vec<Recovery> = Vec::new();
        let facts = |seal: &Seal| audited.changes.get(&seal.seq).map_or(&[][..], Vec::as_slice);
        let mut next = 1u64;
        let mut seen: Option<Seen> = None;
        let mut old = None;
        // The tree of the last sound commit: its seal stands there as it was written.
        let mut sound = None;
        let seal_of = |seq: u64| {
            let at = usize::try_from(seq).ok()?.checked_sub(1)?;
            seals.get(at).map(|(seal, _)| seal)
        };
        // Where seals were put back another stood before, and a signature that does not hold now
        // may have held when it came.
        let doubtful = |seq: u64| {
            let recovery = seal_of(seq).and_then(|seal| seal.recovery.as_ref());
            recovery.is_some_and(|r| r.restored.iter().any(|file| file.path.starts_with(SEALS)))
                || audited.wrong.binary_search_by_key(&seq, |(seal, _)| *seal).is_ok()
        };
        for (n, (oid, commit)) in self.line.iter().enumerate() {
            progress::tell("commits", n, self.line.len());
            let trailer = trailer(commit);
            let says_next = trailer == Some(next);
            let judged = match (&mut seen, old) {
                (Some(seen), Some(old))
                    if deep || !says_next || commit.parents.len() > 1 || doubtful(next) =>
                {
                    if let Some(sound) = sound {
                        let last = tree::file(self.store, sound, &artifact::seal_path(seen.seq))?;
                        seen.seal = last.map(|bytes| Digest::of(&bytes));
                    }
                    match seen::check_commit(self.store, seen, old, commit)? {
                        Check::Sealed(Arrived { seal, facts: own, paths, wrong }) => {
                            match wrong.filter(|_| seal.seq <= audited.judged) {
                                None => {
                                    seen.take(&seal, &own);
                                    sound = Some(commit.tree);
                                    recoveries.extend(answer(&mut foreign, &seal));
                                    None
                                }
                                // It was built upon: a bad signature is a finding of its own, and
                                // puts nothing right.
                                Some(_) if seal_of(seal.seq) == Some(&*seal) => {
                                    seen.take(&seal, facts(&seal));
                                    sound = Some(commit.tree);
                                    None
                                }
                                // Another seal took its place.
                                Some(why) => Some((paths, why)),
                            }
                        }
                        Check::NotOurs => None,
                        Check::Foreign { paths, why } => Some((paths, why)),
                    }
                }
                // The trailer says the next seal, and the final tree has shown that seal sound.
                (Some(seen), _) => {
                    if let Some(seal) = seal_of(next) {
                        seen.take(seal, facts(seal));
                        sound = Some(commit.tree);
                        recoveries.extend(answer(&mut foreign, seal));
                    }
                    None
                }
                // The first commit seals itself; a shallow line begins in the middle.
                (None, _) => {
                    next = trailer.unwrap_or(1);
                    sound = Some(commit.tree);
                    let mut keys = Keyring::default();
                    for (seal, _) in seals.iter().take_while(|(seal, _)| seal.seq <= next) {
                        keys.take(seal.seq, seal.timestamp, facts(seal));
                    }
                    seen = seal_of(next).map(|seal| Seen {
                        tip: oid.to_string(),
                        seq: seal.seq,
                        seal: None,
                        mark: seal.mark(),
                        keys,
                        foreign: Vec::new(),
                    });
                    None
                }
            };
            if let Some((paths, why)) = judged {
                let (commit, open) = (oid.to_string(), paths.clone());
                foreign.push(Open { commit, paths, why, open, answered: false });
            }
            next = seen.as_ref().map_or(next, |seen| seen.seq + 1);
            old = Some(commit.tree);
        }
        for Open { commit, paths, why, open, answered } in foreign {
            // A merge may change no file: then only its own name can be answered.
            if open.is_empty() && (answered || !paths.is_empty()) {
                self.report.corrected.extend(paths.into_iter().map(|path| (path, commit.clone())));
                continue;
            }
            // A finding that names this commit says it all already.
            let told = self.report.findings.iter().any(|f| f.commit.as_deref() == Some(&commit));
            if told {
                continue;
            }
            let what = format!("commit {} is not stepseal's: {why}", &commit[..7]);
            let mut paths: Vec<Option<String>> = open.into_iter().take(100).map(Some).collect();
            if paths.is_empty() {
                paths.push(None);
            }
            for path in paths {
                let mut finding = Finding::new(Class::ForeignCommit, path, what.clone());
                finding.before = self.before(Some(&commit));
                finding.commit = Some(commit.clone());
                self.report.findings.push(finding);
            }
        }
        // What was put back without a foreign commit of its own, such as the README.
        for recovery in recoveries {
            let Some(commit) = recovery.foreign_commits.first() else { continue };
            for file in &recovery.restored {
                let told = self.report.corrected.iter().any(|(path, _)| *path == file.path);
                if !told {
                    self.report.corrected.push((file.path.clone(), commit.clone()));
                }
            }
        }
        // An item that no seal knows cannot be stopped, or corrected by its name.
        let known: BTreeSet<&str> = seals
            .iter()
            .flat_map(|(seal, _)| &seal.artifacts)
            .filter_map(|file| match seen::concern(&file.path) {
                seen::Concern::Item(item) => Some(item),
                _ => None,
            })
            .collect();
        for finding in &mut self.report.findings {
            if finding.item.as_ref().is_some_and(|item| !known.contains(item.as_str())) {
                finding.item = None;
            }
        }
        Ok(())
    }

    /// Every event: schema, links, transitions, decisions; every derived file.
    fn events(&mut self, expected: &BTreeMap<String, Expected>) -> Result<(), LedgerError> {
        let mut by_folder: BTreeMap<String, Vec<(String, Vec<u8>)>> = BTreeMap::new();
        for (path, bytes) in std::mem::take(&mut self.bytes) {
            if path.starts_with(HANDOFF)
                && let Some(folder) = artifact::folder_of_event(&path)
            {
                by_folder.entry(folder.to_owned()).or_default().push((path, bytes));
            } else {
                self.report.definitions += 1;
            }
        }
        let ledger_folder = format!("{HANDOFF}/{LEDGER_FOLDER}");
        let mut sealed: BTreeMap<String, Vec<Sealed>> = BTreeMap::new();
        for (folder, mut files) in by_folder {
            files.sort_by_key(|(path, _)| {
                path.rsplit('/').next().and_then(artifact::parse_event_name).unwrap_or(0)
            });
            let mut events = Vec::new();
            for (path, bytes) in files {
                match artifact::decode_event(&bytes) {
                    Ok(event) => {
                        events.push(Sealed { path, event, sha256: Digest::of(&bytes) });
                    }
                    Err(error) => {
                        let pointer = artifact::pointer_of(&bytes).map(|pointer| pointer.at);
                        let what = format!("cannot be read: {error}");
                        let mut finding = Finding::new(Class::BadArtifact, path, what);
                        finding.pointer = pointer;
                        self.report.findings.push(finding);
                    }
                }
            }
            self.report.events += events.len();
            sealed.insert(folder, events);
        }
        let mut digests: BTreeMap<EventId, (Digest, EventKind)> = sealed
            .values()
            .flatten()
            .map(|sealed| (sealed.event.id, (sealed.sha256.clone(), sealed.event.kind())))
            .collect();
        for (path, bytes) in &self.damaged {
            if let Ok(event) = artifact::decode_event(bytes) {
                let sha256 = Digest::of(bytes);
                let fact = Fact::of(&event, &sha256);
                self.facts.extend(fact.map(|fact| (path.clone(), fact)));
                digests.insert(event.id, (sha256, event.kind()));
            }
        }
        for sealed in sealed.values().flatten() {
            self.links(sealed, &digests);
            let fact = Fact::of(&sealed.event, &sealed.sha256);
            self.facts.extend(fact.map(|fact| (sealed.path.clone(), fact)));
        }
        let mut ledger = LedgerState::default();
        let whole = !self.report.findings.iter().any(|finding| {
            finding.path.as_ref().is_some_and(|path| path.starts_with(&ledger_folder))
        });
        let events = sealed.get(&ledger_folder).filter(|_| whole);
        for (n, one) in events.into_iter().flatten().enumerate() {
            let right =
                artifact::ledger_event_path(u32::try_from(n).unwrap_or(0) + 1, one.event.kind());
            if one.path != right {
                self.report.findings.push(Finding::new(
                    Class::BadArtifact,
                    one.path.clone(),
                    format!("says it is {right}"),
                ));
            } else if let Err(error) = ledger.apply(&one.event, one.sha256.clone()) {
                let what = format!("is not legal: {error}");
                let finding = Finding::new(Class::IllegalTransition, one.path.clone(), what);
                self.report.findings.push(finding);
            }
        }
        let stopped: BTreeSet<ItemId> =
            self.report.findings.iter().filter_map(|finding| finding.item.clone()).collect();
        let mut derived: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        let mut unjudged: BTreeSet<ItemId> = stopped.clone();
        let mut busy: BTreeMap<ExecutorId, (BusyDoc, String)> = BTreeMap::new();
        let total = sealed.len();
        for (n, (folder, events)) in sealed.into_iter().enumerate() {
            if folder == ledger_folder {
                continue;
            }
            progress::tell("items", n, total);
            let Some(item) = folder.rsplit('/').next().and_then(|name| name.parse::<ItemId>().ok())
            else {
                continue;
            };
            self.report.items += 1;
            // Its damaged files are named already; what follows from them would only be noise.
            if stopped.contains(&item) {
                continue;
            }
            match self.fold(&item, &events)? {
                Some(fold) => {
                    for doc in BusyDoc::of(&fold.workflow, &fold.state) {
                        let path = claimed_by(&events, doc.claim_id);
                        match busy.remove(&doc.executor) {
                            None => drop(busy.insert(doc.executor.clone(), (doc, path))),
                            Some(other) => {
                                let seal = |path: &String| expected.get(path).map(|e| e.seal);
                                let mut both = [other, (doc, path)];
                                both.sort_by_key(|(_, path)| seal(path));
                                let [(first, kept), (second, path)] = both;
                                let what = format!(
                                    "is not legal: {} holds {} of {}",
                                    first.executor, first.attempt_id, first.work_item_id
                                );
                                unjudged.insert(second.work_item_id);
                                let finding = Finding::new(Class::IllegalTransition, path, what);
                                self.report.findings.push(finding);
                                busy.insert(first.executor.clone(), (first, kept));
                            }
                        }
                    }
                    derived.extend(derived_files(&fold));
                }
                None => {
                    unjudged.insert(item);
                }
            }
        }
        self.derived(&derived, &unjudged)
    }

    fn links(&mut self, sealed: &Sealed, digests: &BTreeMap<EventId, (Digest, EventKind)>) {
        for link in &sealed.event.links {
            let what = match digests.get(&link.id) {
                // It may be the one that could not be read.
                None if self.report.findings.iter().any(|f| f.class.is_unread()) => continue,
                None => format!("links {} as {}, which is not in the ledger", link.id, link.rel),
                Some((_, EventKind::ScheduleDecided)) => {
                    format!("links decision {} as {}", link.id, link.rel)
                }
                Some((sha256, _)) if *sha256 != link.sha256 => {
                    format!("links other bytes of {} as {}", link.id, link.rel)
                }
                Some(_) => continue,
            };
            self.report.findings.push(Finding::new(Class::BrokenLink, sealed.path.clone(), what));
        }
    }

    /// Folds one item from nothing, recomputing every decision on the way.
    fn fold(&mut self, item: &ItemId, events: &[Sealed]) -> Result<Option<ItemFold>, LedgerError> {
        let mut workflows = fold::Workflows::new();
        let mut folded: Option<ItemFold> = None;
        let mut due: Option<Vec<u8>> = None;
        for (number, sealed) in (1u32..).zip(events) {
            let mut say = |class, what: String| {
                self.report.findings.push(Finding::new(class, sealed.path.clone(), what));
            };
            if let Err(Problem::Stop(stop)) = fold::check_name(sealed, item, number) {
                say(Class::BadArtifact, stop.what);
                return Ok(None);
            }
            let is_decision = sealed.event.kind() == EventKind::ScheduleDecided;
            match (due.take(), is_decision) {
                (Some(bytes), true) if Digest::of(&bytes) == sealed.sha256 => {}
                (Some(_), true) => {
                    say(Class::WrongDecision, "is not what the facts before it give".into());
                    return Ok(None);
                }
                (Some(_), false) => {
                    say(Class::WrongDecision, "the decision before it is missing".into());
                    return Ok(None);
                }
                (None, true) => {
                    say(Class::WrongDecision, "the fact before it opens nothing".into());
                    return Ok(None);
                }
                (None, false) => {}
            }
            let before = folded.as_ref().map(|fold| fold.state.clone());
            let applied = match &mut folded {
                Some(fold) => Arc::make_mut(&mut fold.state).apply(
                    &sealed.event,
                    sealed.sha256.clone(),
                    &fold.workflow,
                ),
                None => {
                    let Some(reference) = sealed.event.workflow.clone() else {
                        say(Class::IllegalTransition, "does not name a workflow".into());
                        return Ok(None);
                    };
                    let read = fold::published(self.store, &mut workflows, self.root, &reference);
                    let workflow = match read {
                        Ok(workflow) => workflow,
                        Err(Problem::Ledger(error)) => return Err(error),
                        Err(Problem::Stop(stop)) => {
                            // Where the definition is damaged that is a finding of its own.
                            let known = self.report.findings.iter();
                            let told = known.clone().any(|f| f.path.as_ref() == Some(&stop.path));
                            if !told {
                                let finding =
                                    Finding::new(Class::BadArtifact, stop.path, stop.what);
                                self.report.findings.push(finding);
                            }
                            return Ok(None);
                        }
                    };
                    ItemState::register(&sealed.event, sealed.sha256.clone(), &workflow)
                        .map(|state| folded = Some(ItemFold::new(state, workflow)))
                }
            };
            if let Err(error) = applied {
                say(Class::IllegalTransition, format!("is not legal: {error}"));
                return Ok(None);
            }
            if !is_decision && let Some(fold) = &folded {
                let decided =
                    decision(&fold.workflow, before.as_deref(), &fold.state, &sealed.event);
                due = decided.and_then(|event| encode_event(&event).ok());
            }
        }
        if due.is_some() {
            let path = events.last().map(|sealed| sealed.path.clone());
            let what = "the decision after it is missing";
            self.report.findings.push(Finding::new(Class::WrongDecision, path, what));
            return Ok(None);
        }
        Ok(folded)
    }

    /// Derived files are exactly what the events give.
    fn derived(
        &mut self,
        right: &BTreeMap<String, Vec<u8>>,
        unjudged: &BTreeSet<ItemId>,
    ) -> Result<(), LedgerError> {
        let mut found = BTreeMap::new();
        for folder in ["artifacts/claims", "artifacts/schedule", "artifacts/busy"] {
            found.extend(tree::files(self.store, self.root, folder)?);
        }
        let paths: BTreeSet<&String> = right.keys().chain(found.keys()).collect();
        for path in paths {
            let what = match (right.get(path), found.get(path)) {
                (Some(bytes), Some(oid)) if self.store.blob(*oid)? == *bytes => continue,
                (Some(_), Some(_)) => "is not what the events give",
                (Some(_), None) => "is missing; the events give it",
                (None, _) => "is there; the events do not give it",
            };
            let mut finding = Finding::new(Class::WrongDerived, path.clone(), what);
            // Of an item that could not be folded nothing derived can be judged.
            let busy = path.starts_with("artifacts/busy/") && !unjudged.is_empty();
            if busy || finding.item.as_ref().is_some_and(|item| unjudged.contains(item)) {
                continue;
            }
            finding.commit = last_change(self.store, &self.line, path)?;
            finding.before = self.before(finding.commit.as_deref());
            self.report.findings.push(finding);
        }
        Ok(())
    }

    /// Remembered and given marks are still a prefix.
    fn marks(
        &mut self,
        known: Option<&Seen>,
        options: &VerifyOptions,
        roots: &BTreeMap<u64, Digest>,
    ) {
        let tip = self.line.last().map(|(oid, _)| *oid).unwrap_or(Oid::ZERO_SHA1);
        // Too short for a mark and still no earlier state of it: another history, and no cut.
        let other = known.is_some_and(|seen| seen.goes_back_to(self.store, tip) == Some(false));
        let remembered =
            known.map(|seen| (&seen.mark, "this clone remembers", Some(&seen.tip), other));
        let given = options.marks.iter().map(|mark| (mark, "given with --mark", None, false));
        let largest = roots.keys().next_back().copied().unwrap_or(0);
        // Roots could not all be computed: the reason is a finding already.
        let whole = self.report.findings.iter().all(|finding| {
            !finding.class.is_unread()
                && !matches!(finding.class, Class::BrokenSeal | Class::Deleted)
        });
        for (mark, whose, seen, other) in remembered.into_iter().chain(given) {
            let mut finding = match roots.get(&mark.size) {
                Some(root) if *root == mark.root => continue,
                None if mark.size > largest && !whole => continue,
                None if mark.size > largest && !other => {
                    let what = format!(
                        "the history ends at {largest}, before mark {} {}, {whose}",
                        mark.size, mark.root
                    );
                    Finding::new(Class::CutTail, None, what)
                }
                Some(_) | None => {
                    let what = format!(
                        "the history is not the one of mark {} {}, {whose}",
                        mark.size, mark.root
                    );
                    Finding::new(Class::Rewritten, None, what)
                }
            };
            finding.commit = seen.cloned();
            self.report.findings.push(finding);
        }
        let told = self
            .report
            .findings
            .iter()
            .any(|f| matches!(f.class, Class::CutTail | Class::Rewritten));
        // The same events under other commits: the mark holds, the commits are not those seen.
        if let Some(seen) = known
            && !told
            && !self.report.findings.iter().any(|f| f.class.is_unread())
            && !self.line.iter().any(|(oid, _)| oid.to_string() == seen.tip)
        {
            let (class, how) = match seen.rewritten(self.store, tip) {
                LedgerError::Rewritten { how: Rewrite::CutTail, .. } => {
                    (Class::CutTail, "ends before")
                }
                _ => (Class::Rewritten, "does not contain"),
            };
            let what = format!("the branch {how} commit {}, which this clone saw", &seen.tip[..7]);
            let mut finding = Finding::new(class, None, what);
            finding.commit = Some(seen.tip.clone());
            self.report.findings.push(finding);
        }
    }
}

/// A commit that is not stepseal's, and which of its paths no later correction has answered.
struct Open {
    commit: String,
    paths: Vec<String>,
    why: String,
    open: Vec<String>,
    answered: bool,
}

/// What a sound seal puts right of the commits before it; one that is not sound answers nothing,
/// and nothing is answered before it has happened.
fn answer(foreign: &mut [Open], seal: &Seal) -> Option<Recovery> {
    let recovery = seal.recovery.clone()?;
    for one in foreign {
        one.open.retain(|path| recovery.restored.iter().all(|restored| restored.path != *path));
        one.answered |= recovery.foreign_commits.contains(&one.commit);
    }
    Some(recovery)
}

/// The number of the seal a commit says it adds.
fn trailer(commit: &Commit) -> Option<u64> {
    let mut lines = commit.message.lines().rev();
    let number = lines.find_map(|line| line.strip_prefix("Stepseal-Seal: "))?.parse().ok();
    number.filter(|number| *number > 0)
}

/// The event that made a claim.
fn claimed_by(events: &[Sealed], claim: ClaimId) -> String {
    let claimed = events.iter().find(
        |sealed| matches!(&sealed.event.data, EventData::AttemptClaimed(data) if data.claim_id == claim),
    );
    claimed.map(|sealed| sealed.path.clone()).unwrap_or_default()
}

/// Every write-once file a seal names.
fn expected(seals: &[(Seal, Vec<u8>)]) -> BTreeMap<String, Expected> {
    let mut expected = BTreeMap::new();
    for (seal, _) in seals {
        for file in &seal.artifacts {
            expected.insert(
                file.path.clone(),
                Expected { sha256: file.sha256.clone(), seal: seal.seq },
            );
        }
    }
    expected
}

/// The bytes of a path with this digest, from the commits of a line.
pub(super) fn sealed_bytes(
    store: &Store,
    line: &[(Oid, Commit)],
    path: &str,
    sha256: &Digest,
) -> Result<Option<Vec<u8>>, LedgerError> {
    let mut tried = BTreeSet::new();
    for (_, commit) in line {
        if let Some(entry) = tree::find(store, commit.tree, path)?
            && tried.insert(entry.oid)
            && let Ok(bytes) = store.blob(entry.oid)
            && Digest::of(&bytes) == *sha256
        {
            return Ok(Some(bytes));
        }
    }
    Ok(None)
}

/// The commit of a line that gave a path the content it has at its end.
pub(super) fn last_change(
    store: &Store,
    line: &[(Oid, Commit)],
    path: &str,
) -> Result<Option<String>, LedgerError> {
    let (mut last, mut before) = (None, None);
    for (oid, commit) in line {
        let here = tree::find(store, commit.tree, path)?.map(|entry| entry.oid);
        if here != before {
            last = Some(oid.to_string());
        }
        before = here;
    }
    Ok(last)
}

/// The JSON pointer of the first place where two documents differ.
fn first_difference(a: &[u8], b: &[u8]) -> Option<String> {
    fn walk(a: &serde_json::Value, b: &serde_json::Value, at: &str) -> Option<String> {
        use serde_json::Value;
        match (a, b) {
            (Value::Object(a), Value::Object(b)) => {
                let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
                keys.into_iter().find_map(|key| match (a.get(key), b.get(key)) {
                    (Some(a), Some(b)) => walk(a, b, &format!("{at}/{key}")),
                    _ => Some(format!("{at}/{key}")),
                })
            }
            (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
                (0..a.len()).find_map(|n| walk(&a[n], &b[n], &format!("{at}/{n}")))
            }
            (a, b) if a == b => None,
            _ => Some(at.to_owned()),
        }
    }
    walk(&serde_json::from_slice(a).ok()?, &serde_json::from_slice(b).ok()?, "")
}

impl Verified {
    /// Whether nothing at all was found.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.findings.is_empty()
    }

    /// The items whose history is stopped.
    #[must_use]
    pub fn stopped(&self) -> BTreeSet<&ItemId> {
        self.findings.iter().filter_map(|finding| finding.item.as_ref()).collect()
    }
}

/// The README is no leaf and no part of `artifacts/`, but is sealed all the same.
pub(super) const DOCUMENTS: [&str; 2] = [artifact::LEDGER_DOC, README];

/// A stop for a file that `verify` has a finding for.
impl From<&Finding> for Stop {
    fn from(finding: &Finding) -> Self {
        Self {
            path: finding.path.clone().unwrap_or_default(),
            what: finding.what.clone(),
            pointer: finding.pointer.clone(),
            sealed: finding.sealed.clone(),
            found: finding.found.clone(),
            commit: finding.commit.clone(),
            before: finding.before.clone(),
        }
    }
}
