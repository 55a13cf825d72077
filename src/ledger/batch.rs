//! Facts become artifacts: each validated, applied and numbered one by one, and followed by its
//! decision (L4). Pure: it takes states and returns files.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::error::LedgerError;
use super::fold::{ItemFold, Sealed, advance};
use super::tree::Changes;
use crate::artifact::{
    self, AssignmentDoc, BusyDoc, PaperError, ScheduleDoc, assignment_folder, encode, schedule_path,
};
use crate::domain::event::Event;
use crate::domain::id::{Digest, ItemId};
use crate::domain::schedule::decision;
use crate::domain::state::{ItemState, LedgerState};
use crate::domain::workflow::Workflow;

/// One commit's worth of events, as it grows.
#[derive(Debug)]
pub(super) struct Batch {
    ledger: LedgerState,
    items: BTreeMap<ItemId, Touched>,
    /// Write-once files in leaf order.
    leaves: Vec<(String, Vec<u8>)>,
    events: Vec<Sealed>,
}

/// An item this batch changes: as it was, and as it is now.
#[derive(Debug)]
struct Touched {
    before: Option<ItemFold>,
    now: Option<ItemFold>,
}

/// What a batch comes to.
#[derive(Debug)]
pub(super) struct Finished {
    pub leaves: Vec<(String, Vec<u8>)>,
    pub derived: Changes,
    pub events: Vec<Sealed>,
    pub items: BTreeMap<ItemId, ItemFold>,
}

impl Batch {
    pub(super) fn new(ledger: LedgerState) -> Self {
        Self { ledger, items: BTreeMap::new(), leaves: Vec::new(), events: Vec::new() }
    }

    /// Makes an item known before facts about it come; `None` for one that is to be registered.
    pub(super) fn enter(&mut self, id: ItemId, fold: Option<ItemFold>) {
        self.items.entry(id).or_insert_with(|| Touched { before: fold.clone(), now: fold });
    }

    /// An item as it is now.
    pub(super) fn item(&self, id: &ItemId) -> Option<&ItemFold> {
        self.items.get(id)?.now.as_ref()
    }

    /// Adds a write-once definition.
    pub(super) fn define(&mut self, path: String, bytes: Vec<u8>) {
        self.leaves.push((path, bytes));
    }

    /// Records one fact and the decision that follows it.
    ///
    /// `workflow` is the one a registration is on or a migration leads to; other facts use the
    /// item's own.
    pub(super) fn record(
        &mut self,
        fact: Event,
        workflow: Option<&Arc<Workflow>>,
    ) -> Result<(), LedgerError> {
        let Some(item) = fact.work_item_id.clone() else {
            return self.record_ledger(fact);
        };
        let before = self.items.get(&item).and_then(|touched| touched.now.clone());
        self.apply(&item, &fact, workflow)?;
        let after = self.items.get(&item).and_then(|touched| touched.now.as_ref());
        let after = after.ok_or_else(|| illegal("the item is not known"))?;
        let decided =
            decision(&after.workflow, before.as_ref().map(|b| &*b.state), &after.state, &fact);
        if let Some(decided) = decided {
            self.apply(&item, &decided, None)?;
        }
        Ok(())
    }

    fn record_ledger(&mut self, fact: Event) -> Result<(), LedgerError> {
        let bytes = artifact::encode_event(&fact)?;
        let sha256 = Digest::of(&bytes);
        self.ledger.apply(&fact, sha256.clone()).map_err(|error| illegal(&error.to_string()))?;
        let path = artifact::ledger_event_path(self.ledger.events, fact.kind());
        self.leaves.push((path.clone(), bytes));
        self.events.push(Sealed { path, event: fact, sha256 });
        Ok(())
    }

    fn apply(
        &mut self,
        item: &ItemId,
        event: &Event,
        workflow: Option<&Arc<Workflow>>,
    ) -> Result<(), LedgerError> {
        let bytes = artifact::encode_event(event)?;
        let sha256 = Digest::of(&bytes);
        let touched = self.items.get_mut(item).ok_or_else(|| illegal("the item is not known"))?;
        let number = match &mut touched.now {
            Some(fold) => {
                let to = fold.state.moves_to(event);
                let to = to.and_then(|to| workflow.filter(|known| known.reference == to).cloned());
                let state = Arc::make_mut(&mut fold.state);
                advance(state, &mut fold.workflow, event, sha256.clone(), to)
                    .map_err(|error| illegal(&error.to_string()))?;
                fold.state.events
            }
            None => {
                let workflow = workflow.ok_or_else(|| illegal("the item is not registered"))?;
                let state = ItemState::register(event, sha256.clone(), workflow)
                    .map_err(|error| illegal(&error.to_string()))?;
                touched.now = Some(ItemFold::new(state, workflow.clone()));
                1
            }
        };
        let key = event.step.as_ref().map(|step| &step.key);
        let path = artifact::event_path(item, number, key, event.kind());
        self.leaves.push((path.clone(), bytes));
        self.events.push(Sealed { path, event: event.clone(), sha256 });
        Ok(())
    }

    /// The files to write: events and definitions, and the derived files that changed.
    pub(super) fn finish(self) -> Finished {
        let mut derived = Changes::new();
        let mut items = BTreeMap::new();
        for (id, touched) in self.items {
            let Some(now) = touched.now else { continue };
            let (was, is) = changed(touched.before.as_ref(), &now);
            for path in was.keys().filter(|path| !is.contains_key(*path)) {
                // Another item of this batch may have claimed for the same executor, or what
                // this one had used.
                derived.entry(path.clone()).or_insert(None);
            }
            for (path, doc) in is {
                if was.get(&path) != Some(&doc) {
                    derived.insert(path, Some(doc.encode()));
                }
            }
            items.insert(id, now);
        }
        Finished { leaves: self.leaves, derived, events: self.events, items }
    }
}

/// A derived file before it is written down: comparing two is cheaper than encoding them.
#[derive(PartialEq)]
enum Derived {
    Schedule(Box<ScheduleDoc>),
    Assignment(Box<AssignmentDoc>),
    Busy(Box<BusyDoc>),
}

impl Derived {
    fn encode(&self) -> Vec<u8> {
        match self {
            Self::Schedule(doc) => encode(doc),
            Self::Assignment(doc) => encode(doc),
            Self::Busy(doc) => encode(doc),
        }
    }
}

/// Every derived file of an item, as its events give them (L2).
pub(super) fn derived_files(fold: &ItemFold) -> BTreeMap<String, Vec<u8>> {
    derived(fold, |_| true).into_iter().map(|(path, doc)| (path, doc.encode())).collect()
}

type Files = BTreeMap<String, Derived>;

/// The derived files of an item before and after, without those of steps that did not change: a
/// claim on an item of a thousand steps changes one.
fn changed(before: Option<&ItemFold>, now: &ItemFold) -> (Files, Files) {
    let Some(before) = before else { return (Files::new(), derived(now, |_| true)) };
    if before.workflow.reference != now.workflow.reference {
        return (derived(before, |_| true), derived(now, |_| true));
    }
    let (was, is) = (&before.state.steps, &now.state.steps);
    // Parked steps come after these; only a migration touches them.
    let differs = |at: usize| was.get(at) != is.get(at);
    (derived(before, differs), derived(now, differs))
}

fn derived(fold: &ItemFold, wanted: impl Fn(usize) -> bool) -> Files {
    let ItemFold { state, workflow, .. } = fold;
    let mut files = Files::new();
    let schedule = ScheduleDoc::of(workflow, state);
    files.insert(schedule_path(&state.id), Derived::Schedule(Box::new(schedule)));
    let folder = assignment_folder(&state.id);
    let steps = workflow.steps().iter().map(|step| &step.key).zip(&state.steps);
    for (_, (key, step)) in steps.chain(&state.parked).enumerate().filter(|(at, _)| wanted(*at)) {
        for doc in AssignmentDoc::of_step(&state.id, key, step) {
            for busy in BusyDoc::of_assignment(&doc, workflow.step(key)) {
                files.insert(busy.path(), Derived::Busy(Box::new(busy)));
            }
            let path = format!("{folder}/{}.json", doc.attempt_id);
            files.insert(path, Derived::Assignment(Box::new(doc)));
        }
    }
    files
}

/// A rule let something through that the fold refuses: a bug, never recorded.
fn illegal(why: &str) -> LedgerError {
    LedgerError::Paper(PaperError::Shape(why.to_owned()))
}
