//! Facts one after the other before any is written: each judged on the state the ones before it
//! leave.

use std::collections::BTreeSet;

use super::batch::Batch;
use super::error::LedgerError;
use super::fold::ItemFold;
use super::snapshot::Snapshot;
use crate::domain::decide::{Ask, Decided, HandedIn, World, decide, hand_in};
use crate::domain::event::Event;
use crate::domain::id::{Digest, ItemId};
use crate::domain::moment::Moment;

/// A batch as it would be, on a snapshot.
#[derive(Debug)]
pub struct Rehearsal<'s, 'l> {
    snapshot: &'s Snapshot<'l>,
    batch: Batch,
    entered: BTreeSet<ItemId>,
    facts: Vec<Event>,
}

impl<'l> Snapshot<'l> {
    /// Begins with nothing.
    ///
    /// # Errors
    /// When a file that concerns the whole ledger is bad.
    pub fn rehearse(&self) -> Result<Rehearsal<'_, 'l>, LedgerError> {
        let batch = Batch::new(self.ledger()?.clone());
        Ok(Rehearsal { snapshot: self, batch, entered: BTreeSet::new(), facts: Vec::new() })
    }
}

impl Rehearsal<'_, '_> {
    /// An item as the facts so far leave it; none where the ledger has none of that id.
    ///
    /// # Errors
    /// When one of its artifacts is bad.
    pub fn item(&mut self, id: &ItemId) -> Result<Option<&ItemFold>, LedgerError> {
        if self.entered.insert(id.clone()) {
            self.batch.enter(id.clone(), self.snapshot.item(id)?);
        }
        Ok(self.batch.item(id))
    }

    /// Judges an ask about an item on that state.
    ///
    /// # Errors
    /// The refusal, or a bad artifact.
    pub fn decide(
        &mut self,
        id: &ItemId,
        ask: &Ask,
        moment: &Moment,
    ) -> Result<Decided, LedgerError> {
        self.item(id)?;
        let fold = self.batch.item(id);
        let world = world(self.snapshot, fold)?;
        Ok(decide(world, id, ask, moment)?)
    }

    /// Judges a handoff that was written elsewhere on that state.
    ///
    /// # Errors
    /// The refusal, or a bad artifact.
    pub fn hand_in(&mut self, event: &Event, sha256: &Digest) -> Result<HandedIn, LedgerError> {
        let fold = match &event.work_item_id {
            Some(id) => {
                self.item(id)?;
                self.batch.item(id)
            }
            None => None,
        };
        Ok(hand_in(world(self.snapshot, fold)?, event, sha256)?)
    }

    /// Takes facts as if they were on record.
    ///
    /// # Errors
    /// When a fact cannot follow the ones before it: a bug of a rule.
    pub fn take(&mut self, facts: Vec<Event>) -> Result<(), LedgerError> {
        for fact in facts {
            self.batch.record(fact.clone(), None)?;
            self.facts.push(fact);
        }
        Ok(())
    }

    /// The facts in order, to be recorded.
    #[must_use]
    pub fn facts(self) -> Vec<Event> {
        self.facts
    }
}

fn world<'w>(
    snapshot: &'w Snapshot<'_>,
    fold: Option<&'w ItemFold>,
) -> Result<World<'w>, LedgerError> {
    Ok(World {
        ledger: snapshot.ledger()?,
        item: fold.map(|fold| (&*fold.state, &*fold.workflow)),
        live: None,
        in_use: &[],
        others: &[],
    })
}
