//! Recovery is additive (L10): the sealed bytes come back from history, and an event says so.

use std::collections::{BTreeMap, BTreeSet};

use super::batch::derived_files;
use super::error::LedgerError;
use super::line::Line;
use super::seen::{self, Arrived, Check, Seen};
use super::snapshot::Snapshot;
use super::transact::{Receipt, Repair, Verdict};
use super::tree::{self, Changes};
use super::verify::DOCUMENTS;
use super::{Class, Ledger, VerifyOptions};
use crate::artifact::{self, Recovery, Restored, Seal};
use crate::domain::event::{
    Baseline, CorrectionAction, CorrectionRecorded, Event, EventData, EventKind, Link, Outcome,
};
use crate::domain::id::{Digest, ItemId};
use crate::domain::moment::Moment;

/// One file that is right again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Corrected {
    pub path: String,
    pub action: CorrectionAction,
    pub foreign_commit: Option<String>,
}

/// What a path has to become, and what it is.
struct Plan {
    path: String,
    right: Option<Vec<u8>>,
    found: Option<Digest>,
    action: CorrectionAction,
    foreign_commit: Option<String>,
}

impl Plan {
    /// The fact whose file this is; a decision is linked by nothing (L3).
    fn corrects(&self) -> Option<Link> {
        let bytes = self.right.as_ref()?;
        let event = artifact::decode_event(bytes).ok()?;
        let fact = event.kind() != EventKind::ScheduleDecided;
        fact.then(|| Link { rel: "corrects".into(), id: event.id, sha256: Digest::of(bytes) })
    }
}

impl Ledger {
    /// Puts sealed bytes back and records it.
    ///
    /// Without paths: every damaged file of the item, or of the ledger when no item is named.
    ///
    /// # Errors
    /// When the sealed bytes are nowhere to be found, or more than the named paths is damaged.
    pub fn correct(
        &self,
        item: Option<&ItemId>,
        paths: &[String],
        reason: &str,
        moment: &Moment,
    ) -> Result<Receipt<Vec<Corrected>>, LedgerError> {
        let mut wanted: BTreeSet<String> = paths.iter().cloned().collect();
        let report = self.verify(&VerifyOptions::default())?;
        let foreign = report.findings.iter().filter(|f| f.class == Class::ForeignCommit);
        let mut blame = Blame::default();
        for finding in foreign {
            match (&finding.path, &finding.commit) {
                (Some(path), Some(commit)) => {
                    blame.paths.insert(path.clone(), commit.clone());
                }
                (None, Some(commit)) if item.is_none() => blame.merges.push(commit.clone()),
                _ => {}
            }
        }
        let now = Snapshot::newest_damaged(&self.store, &self.cache)?;
        let pending = now.foreign().iter().map(|foreign| foreign.commit.as_str()).collect();
        let history = self.history(&pending)?;
        if wanted.is_empty() {
            let damaged = report.findings.iter().filter(|finding| finding.item.as_ref() == item);
            wanted.extend(damaged.filter_map(|finding| finding.path.clone()));
            wanted.extend(
                now.foreign()
                    .iter()
                    .flat_map(|foreign| foreign.paths.iter())
                    .filter(|path| match seen::concern(path) {
                        seen::Concern::Item(name) if history.items.contains(name) => {
                            item.is_some_and(|i| i.as_str() == name)
                        }
                        _ => item.is_none(),
                    })
                    .cloned(),
            );
        }
        for path in &wanted {
            if !path.starts_with("artifacts/") && !DOCUMENTS.contains(&path.as_str()) {
                return Err(LedgerError::Invalid(format!(
                    "`{}` is no file of the ledger; its files are below artifacts/",
                    path.escape_debug()
                )));
            }
            if let seen::Concern::Item(name) = seen::concern(path)
                && history.items.contains(name)
                && item.is_none_or(|item| item.as_str() != name)
            {
                return Err(LedgerError::Invalid(format!("{path} is a file of item {name}")));
            }
        }
        self.transact_repairing(
            moment,
            |s, c| Snapshot::newest_damaged(s, c),
            |snapshot| self.judge(snapshot, &history, &blame, item, &wanted, reason, moment),
        )
    }

    #[expect(clippy::too_many_arguments, reason = "what one correction is judged by")]
    fn judge(
        &self,
        snapshot: &Snapshot<'_>,
        history: &History<'_>,
        blame: &Blame,
        item: Option<&ItemId>,
        wanted: &BTreeSet<String>,
        reason: &str,
        moment: &Moment,
    ) -> Result<(Verdict<Vec<Corrected>>, Repair), LedgerError> {
        let mut plans = Vec::new();
        let mut derived = Vec::new();
        for path in wanted {
            if is_derived(path) {
                derived.push(path.clone());
                continue;
            }
            let right = self.sealed(history, path)?;
            let action = CorrectionAction::Restored;
            plans.extend(self.plan(snapshot, history, blame, path, right, action)?);
        }
        let mut changes: Changes =
            plans.iter().map(|plan| (plan.path.clone(), plan.right.clone())).collect();
        let base = tree::splice(&self.store, Some(snapshot.root), &changes)?.0;
        let repaired = snapshot.with_root(base, None);
        repaired.doc()?;
        if !derived.is_empty() {
            let right = self.rederive(&repaired, item)?;
            for path in &derived {
                let bytes = right.get(path).cloned();
                let action = CorrectionAction::Rederived;
                plans.extend(self.plan(snapshot, history, blame, path, bytes, action)?);
            }
            changes.extend(plans.iter().map(|plan| (plan.path.clone(), plan.right.clone())));
        }
        // Nothing to put back: the record itself answers a merge.
        plans.extend(blame.merges.iter().map(|commit| Plan {
            path: "artifacts".into(),
            right: None,
            found: None,
            action: CorrectionAction::Restored,
            foreign_commit: Some(commit.clone()),
        }));
        if plans.is_empty() {
            return Ok((Verdict::Nothing(Vec::new()), Repair::default()));
        }
        let (workflow, baseline, links) = match item {
            Some(id) => {
                let fold = repaired.known_item(id)?;
                let registered = &fold.state.registered;
                let link = Link {
                    rel: "item".into(),
                    id: registered.id,
                    sha256: registered.sha256.clone(),
                };
                (Some(fold.workflow.reference.clone()), fold.state.baseline(), vec![link])
            }
            None => (None, Baseline::Pre, Vec::new()),
        };
        let facts = plans
            .iter()
            .enumerate()
            .map(|(n, plan)| Event {
                id: moment.event_id(n),
                work_item_id: item.cloned(),
                workflow: workflow.clone(),
                step: None,
                attempt_id: None,
                timestamp: moment.now(),
                actor: moment.actor.clone(),
                outcome: Outcome {
                    status: "corrected".into(),
                    summary: format!("{}: {reason}", plan.path),
                },
                next_action: "go on".into(),
                baseline_integration: baseline,
                links: links.iter().cloned().chain(plan.corrects()).collect(),
                request: moment.request.clone(),
                data: EventData::CorrectionRecorded(CorrectionRecorded {
                    path: plan.path.clone(),
                    sha256: plan.right.as_ref().map(|bytes| Digest::of(bytes)),
                    found: plan.found.clone(),
                    foreign_commit: plan.foreign_commit.clone(),
                    action: plan.action,
                    reason: reason.to_owned(),
                }),
            })
            .collect();
        let commits: BTreeSet<String> =
            plans.iter().filter_map(|plan| plan.foreign_commit.clone()).collect();

        let recovery = Recovery {
            foreign_commits: commits.into_iter().collect(),
            restored: plans
                .iter()
                .filter(|plan| plan.path != "artifacts")
                .map(|plan| Restored {
                    path: plan.path.clone(),
                    sha256: plan.right.as_ref().map(|bytes| Digest::of(bytes)),
                    found: plan.found.clone(),
                })
                .collect(),
            cleared_lock: None,
        };
        let corrected = plans
            .iter()
            .map(|plan| Corrected {
                path: plan.path.clone(),
                action: plan.action,
                foreign_commit: plan.foreign_commit.clone(),
            })
            .collect();
        let verdict =
            Verdict::Record { facts, definitions: Vec::new(), workflow: None, value: corrected };
        Ok((verdict, Repair { changes, recovery: Some(recovery), ..Repair::default() }))
    }

    /// What to do about one path; nothing when it is right and nobody touched it.
    fn plan(
        &self,
        snapshot: &Snapshot<'_>,
        history: &History<'_>,
        blame: &Blame,
        path: &str,
        right: Option<Vec<u8>>,
        action: CorrectionAction,
    ) -> Result<Option<Plan>, LedgerError> {
        let now = tree::file(&self.store, snapshot.root, path)?;
        let named = snapshot.foreign().iter().rev().find(|f| f.paths.iter().any(|p| p == path));
        let named = named.map(|foreign| &foreign.commit).or_else(|| blame.paths.get(path));
        if now == right && named.is_none() {
            return Ok(None);
        }
        let foreign_commit = match named {
            Some(commit) => Some(commit.clone()),
            None => history.line.last_change(path)?,
        };
        let action = if right.is_none() { CorrectionAction::Removed } else { action };
        let found = now.map(|bytes| Digest::of(&bytes));
        Ok(Some(Plan { path: path.to_owned(), right, found, action, foreign_commit }))
    }

    /// The bytes a write-once file, a seal or a document was sealed with; `None` when no seal
    /// names it, so that it is to go.
    fn sealed(&self, history: &History<'_>, path: &str) -> Result<Option<Vec<u8>>, LedgerError> {
        let lost = |what: &str| LedgerError::LedgerStopped {
            found: Box::new(super::Stop::new(path, what)),
        };
        if let Some(seq) = artifact::parse_seal_path(path) {
            return Ok(history.seals.get(&seq).cloned());
        }
        if let Some(seq) = artifact::parse_signature_path(path) {
            return Ok(history.signatures.get(&seq).cloned());
        }
        let mut sealed = None;
        for bytes in history.seals.values() {
            let Ok(seal) = artifact::decode::<Seal>(bytes) else { continue };
            let named = seal.artifacts.iter().chain(&seal.documents).find(|file| file.path == path);
            sealed = named.map(|file| file.sha256.clone()).or(sealed);
        }
        let Some(sealed) = sealed else { return Ok(None) };
        let bytes = history.line.sealed_bytes(path, &sealed)?;
        bytes.map(Some).ok_or_else(|| {
            lost("cannot be restored: its sealed bytes are in no commit of this clone")
        })
    }

    /// Every derived file of an item, or the busy files of all items.
    fn rederive(
        &self,
        repaired: &Snapshot<'_>,
        item: Option<&ItemId>,
    ) -> Result<BTreeMap<String, Vec<u8>>, LedgerError> {
        match item {
            Some(id) => Ok(derived_files(&repaired.known_item(id)?)),
            None => {
                let mut all = BTreeMap::new();
                for id in repaired.item_ids()? {
                    all.extend(derived_files(&repaired.known_item(&id)?));
                }
                all.retain(|path, _| path.starts_with("artifacts/busy/"));
                Ok(all)
            }
        }
    }

    /// Commits from the first to the tip, and each seal as it was first written.
    ///
    /// A commit whose signature did not hold when it came is `pending` and counts as never
    /// sealed; one that was built upon since cannot be taken out any more.
    fn history(&self, pending: &BTreeSet<&str>) -> Result<History<'_>, LedgerError> {
        let tip = self.store.tip()?.ok_or(LedgerError::NoLedger)?;
        let (line, lost) = Line::back(&self.store, tip, |_| false)?;
        if let Some(lost) = lost {
            return Err(lost);
        }
        let mut seals: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
        let mut signatures: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
        let mut seen: Option<Seen> = None;
        let mut old = None;
        for step in &line.steps {
            // A forged seal may chain: only what a sound commit added counts.
            let seal = match (&seen, old) {
                (Some(seen), Some(old)) => match seen::check_commit(&self.store, seen, old, step) {
                    Ok(Check::Sealed(Arrived { seal, facts, wrong, .. })) => match wrong {
                        None => Some((*seal, facts)),
                        Some(_) if pending.contains(step.oid.to_string().as_str()) => None,
                        Some(_) => Some((*seal, Vec::new())),
                    },
                    Ok(Check::NotOurs | Check::Foreign { .. }) => None,
                    // Bytes that are gone now were there when it was written.
                    Err(_) => seen::seal_at(&self.store, step.tree, seen.seq + 1)
                        .ok()
                        .map(|(seal, _)| (seal, Vec::new())),
                },
                _ => {
                    seen = Seen::trust(&self.store, step.oid).ok();
                    let last = seen::last_seal(&self.store, step.tree).ok();
                    last.map(|(seal, _)| (seal, Vec::new()))
                }
            };
            if let Some((seal, facts)) = seal {
                let file = |path: &str| tree::file(&self.store, step.tree, path);
                let bytes = file(&artifact::seal_path(seal.seq))?;
                seals.extend(bytes.map(|bytes| (seal.seq, bytes)));
                if seal.signed_by.is_some() {
                    let bytes = file(&artifact::signature_path(seal.seq))?;
                    signatures.extend(bytes.map(|bytes| (seal.seq, bytes)));
                }
                if let Some(seen) = &mut seen {
                    seen.take(&seal, &facts);
                }
            }
            old = Some(step.tree);
        }
        let items = seals
            .values()
            .filter_map(|bytes| artifact::decode::<Seal>(bytes).ok())
            .flat_map(|seal| seal.artifacts)
            .filter_map(|file| match seen::concern(&file.path) {
                seen::Concern::Item(item) => Some(item.to_owned()),
                _ => None,
            })
            .collect();
        Ok(History { line, seals, signatures, items })
    }
}

/// The commits of the ledger, oldest first, and its seals as first written.
struct History<'s> {
    line: Line<'s>,
    seals: BTreeMap<u64, Vec<u8>>,
    /// Beside those that are signed.
    signatures: BTreeMap<u64, Vec<u8>>,
    /// Ids of the items that seals know.
    items: BTreeSet<String>,
}

/// Which foreign commits `verify` found, by the paths they changed; merges may change none.
#[derive(Default)]
struct Blame {
    paths: BTreeMap<String, String>,
    merges: Vec<String>,
}

fn is_derived(path: &str) -> bool {
    ["artifacts/claims/", "artifacts/schedule/", "artifacts/busy/"]
        .iter()
        .any(|folder| path.starts_with(folder))
}
