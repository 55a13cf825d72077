//! What an item's events give: its fold, each decision on the way, and its derived files.
//!
//! An item is folded when its folder is read. What else is wrong with it may be known only later,
//! so what follows from its events is kept aside until then.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use git2::Oid;

use super::super::batch::derived_files;
use super::super::error::LedgerError;
use super::super::fold::{self, ItemFold, Problem, Sealed, Workflows};
use super::super::tree;
use super::Audit;
use super::report::{Class, Finding};
use crate::artifact::{self, BusyDoc, HANDOFF, LEDGER_FOLDER, encode_event};
use crate::domain::event::{EventData, EventKind, WorkflowRef};
use crate::domain::id::{ClaimId, Digest, ItemId};
use crate::domain::schedule::decision;
use crate::domain::state::{ItemState, LedgerState};
use crate::domain::workflow::Workflow;

/// How many workflows stay compiled: items of one workflow often stand together.
const WORKFLOWS_KEPT: usize = 256;

/// What folding the items has come to so far.
#[derive(Default)]
pub(super) struct Items {
    /// Workflows that were compiled.
    workflows: Workflows,
    /// Items whose events do not fold.
    unfolded: BTreeSet<ItemId>,
    /// What follows from an item's events, said if nothing else is wrong with it.
    follows: BTreeMap<ItemId, Vec<Finding>>,
    /// Who holds what, with the claim's file: by item, as the items follow each other.
    busy: Vec<(ItemId, BusyDoc, String)>,
    /// Derived files that no item has given yet.
    pub derived: BTreeMap<String, Oid>,
    /// Derived files that are not what their item's events give.
    wrong: Vec<(String, &'static str)>,
}

impl Audit<'_> {
    /// Folds an item whose files are right, and compares its derived files.
    pub(super) fn item(&mut self, item: ItemId, events: &[Sealed]) -> Result<(), LedgerError> {
        let mut follows = Vec::new();
        let Some(fold) = self.fold(&item, events, &mut follows)? else {
            self.items.follows.insert(item.clone(), follows);
            self.items.unfolded.insert(item);
            return Ok(());
        };
        for doc in BusyDoc::of(&fold.workflow, &fold.state) {
            let path = claimed_by(events, doc.claim_id);
            self.items.busy.push((item.clone(), doc, path));
        }
        for (path, bytes) in derived_files(&fold) {
            let mut found = self.items.derived.remove(&path);
            // What did not change since a mark was not listed.
            if found.is_none() && self.start.is_some() {
                found = tree::find(self.store, self.root, &path)?.map(|entry| entry.oid);
            }
            let Some(oid) = found else {
                self.items.wrong.push((path, "is missing; the events give it"));
                continue;
            };
            match self.store.blob(oid) {
                Ok(found) if found == bytes => {}
                Ok(_) => self.items.wrong.push((path, "is not what the events give")),
                Err(error) => self.report.findings.push(Finding::lost(error, Some(path))?),
            }
        }
        Ok(())
    }

    /// A published version; `None` where its file is bad, which is said.
    fn version(
        &mut self,
        reference: &WorkflowRef,
        follows: &mut Vec<Finding>,
    ) -> Result<Option<Arc<Workflow>>, LedgerError> {
        let workflows = &mut self.items.workflows;
        if workflows.len() >= WORKFLOWS_KEPT {
            workflows.clear();
        }
        match fold::published(self.store, workflows, self.root, reference) {
            Ok(workflow) => return Ok(Some(workflow)),
            Err(Problem::Ledger(error)) => {
                let path = artifact::workflow_path(&reference.name, reference.version);
                follows.push(Finding::lost(error, Some(path))?);
            }
            Err(Problem::Stop(stop)) => {
                follows.push(Finding::new(Class::BadArtifact, stop.path, stop.what));
            }
        }
        Ok(None)
    }

    /// Folds one item from nothing, recomputing every decision on the way.
    fn fold(
        &mut self,
        item: &ItemId,
        events: &[Sealed],
        follows: &mut Vec<Finding>,
    ) -> Result<Option<ItemFold>, LedgerError> {
        let mut folded: Option<ItemFold> = None;
        let mut due: Option<Vec<u8>> = None;
        for (number, sealed) in (1u32..).zip(events) {
            let mut say = |class, what: String| {
                follows.push(Finding::new(class, sealed.path.clone(), what));
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
            // The version an item begins on, or moves to.
            let reference = match &folded {
                Some(fold) => fold.state.moves_to(&sealed.event),
                None => {
                    let Some(reference) = sealed.event.workflow.clone() else {
                        say(Class::IllegalTransition, "does not name a workflow".into());
                        return Ok(None);
                    };
                    Some(reference)
                }
            };
            let version = match reference {
                Some(reference) => {
                    let Some(version) = self.version(&reference, follows)? else {
                        return Ok(None);
                    };
                    Some(version)
                }
                None => None,
            };
            let sha256 = sealed.sha256.clone();
            let applied = match (&mut folded, version) {
                (Some(fold), version) => {
                    let state = Arc::make_mut(&mut fold.state);
                    fold::advance(state, &mut fold.workflow, &sealed.event, sha256, version)
                }
                (None, Some(workflow)) => ItemState::register(&sealed.event, sha256, &workflow)
                    .map(|state| folded = Some(ItemFold::new(state, workflow))),
                (None, None) => return Ok(None),
            };
            if let Err(error) = applied {
                let what = format!("is not legal: {error}");
                follows.push(Finding::new(Class::IllegalTransition, sealed.path.clone(), what));
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
            follows.push(Finding::new(Class::WrongDecision, path, what));
            return Ok(None);
        }
        Ok(folded)
    }

    /// Says what follows from the events of items that nothing else is wrong with.
    pub(super) fn settle(&mut self) -> Result<(), LedgerError> {
        self.ledgers();
        let stopped: BTreeSet<ItemId> =
            self.report.findings.iter().filter_map(|finding| finding.item.clone()).collect();
        // A damaged definition is named already.
        let named: BTreeSet<String> =
            self.report.findings.iter().filter_map(|finding| finding.path.clone()).collect();
        for (item, follows) in std::mem::take(&mut self.items.follows) {
            if stopped.contains(&item) {
                continue;
            }
            for finding in follows {
                let definition = finding.item.is_none();
                let told = |other: &Finding| other.path == finding.path;
                let told = definition
                    && (finding.path.as_ref().is_some_and(|path| named.contains(path))
                        || self.report.findings.iter().any(told));
                if !told {
                    self.report.findings.push(finding);
                }
            }
        }
        let mut unjudged = stopped;
        unjudged.append(&mut self.items.unfolded);
        let mut busy = std::mem::take(&mut self.items.busy);
        busy.retain(|(item, ..)| !unjudged.contains(item));
        let paths = busy.iter().map(|(_, doc, _)| doc.path()).collect();
        for doc in self.held_elsewhere(paths)? {
            busy.push((doc.work_item_id.clone(), doc, String::new()));
        }
        // As their folders follow each other.
        busy.sort_by_cached_key(|(item, ..)| artifact::item_folder(item));
        let mut held: BTreeMap<String, (BusyDoc, String)> = BTreeMap::new();
        for (_, doc, path) in busy {
            let Some(other) = held.remove(&doc.path()) else {
                held.insert(doc.path(), (doc, path));
                continue;
            };
            let seal = |path: &String| self.chain.find(path).map(|at| self.chain.files[at].seal);
            let mut both = [other, (doc, path)];
            both.sort_by_key(|(_, path)| seal(path));
            let [(first, kept), (second, path)] = both;
            let what = match &first.constraint {
                None => format!(
                    "is not legal: {} holds {} of {}",
                    first.executor, first.attempt_id, first.work_item_id
                ),
                Some(constraint) => format!(
                    "is not legal: {constraint} is in use by {} of {}",
                    first.attempt_id, first.work_item_id
                ),
            };
            unjudged.insert(second.work_item_id);
            self.report.findings.push(Finding::new(Class::IllegalTransition, path, what));
            held.insert(first.path(), (first, kept));
        }
        let wrong = std::mem::take(&mut self.items.wrong).into_iter();
        let left = std::mem::take(&mut self.items.derived).into_keys();
        let left = left.map(|path| (path, "is there; the events do not give it"));
        // Of an item that could not be folded nothing derived can be judged.
        for (path, what) in wrong.chain(left) {
            let mut finding = Finding::new(Class::WrongDerived, path.clone(), what);
            let busy = path.starts_with("artifacts/busy/") && !unjudged.is_empty();
            if busy || finding.item.as_ref().is_some_and(|item| unjudged.contains(item)) {
                continue;
            }
            finding.commit = self.line.last_change(&path)?;
            finding.before = self.line.before(finding.commit.as_deref());
            self.report.findings.push(finding);
        }
        Ok(())
    }

    /// The events that concern no item, one after the other.
    fn ledgers(&mut self) {
        let folder = format!("{HANDOFF}/{LEDGER_FOLDER}");
        let broken = self
            .report
            .findings
            .iter()
            .any(|finding| finding.path.as_ref().is_some_and(|path| path.starts_with(&folder)));
        let mut ledger = LedgerState::default();
        let events = std::mem::take(&mut self.events.ledgers);
        for (number, one) in (1u32..).zip(events).filter(|_| !broken) {
            let right = artifact::ledger_event_path(number, one.event.kind());
            let (class, what) = if one.path != right {
                (Class::BadArtifact, format!("says it is {right}"))
            } else if let Err(error) = ledger.apply(&one.event, one.sha256) {
                (Class::IllegalTransition, format!("is not legal: {error}"))
            } else {
                continue;
            };
            self.report.findings.push(Finding::new(class, one.path, what));
        }
    }
}

/// The event that made a claim.
fn claimed_by(events: &[Sealed], claim: ClaimId) -> String {
    let claimed = events.iter().find(
        |sealed| matches!(&sealed.event.data, EventData::AttemptClaimed(data) if data.claim_id == claim),
    );
    claimed.map(|sealed| sealed.path.clone()).unwrap_or_default()
}
