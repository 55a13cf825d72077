//! An item moves to another version of its workflow, and back (FR-016).
//!
//! A step that keeps its key keeps everything. One that is renamed leaves its attempts under the
//! old key, and where it was done its new key is carried: done, with the same outputs. What the
//! new version does not have is parked: nothing of it is lost, its numbers run on should the key
//! ever come back, and taking the migration back puts it where it was.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::event::{
    Event, EventData, MigrationRolledBack, StepMapping, WorkItemMigrated, WorkflowRef,
};
use super::id::{Digest, EventId, PrincipalId, StepKey};
use super::state::{Done, EventRef, Illegal, ItemState, Standing, StepState, WorkflowKey};
use super::transition::AttemptPhase;
use super::workflow::Workflow;

/// A step that was done under another key, in an earlier version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Carried {
    pub from: StepKey,
    #[serde(with = "chrono::serde::ts_milliseconds")]
    pub at: DateTime<Utc>,
    /// Of the step it was.
    pub outputs_digest: Digest,
}

/// One move to another version, in the order they happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Migration {
    pub event: EventRef,
    pub from: WorkflowKey,
    pub to: WorkflowKey,
    /// The steps that stayed, and what they became.
    pub map: Vec<(StepKey, StepKey)>,
    pub drop: Vec<StepKey>,
    pub by: PrincipalId,
    #[serde(with = "chrono::serde::ts_milliseconds")]
    pub at: DateTime<Utc>,
    pub reason: String,
    /// How many attempts the steps that are new under their key had, the queued one left out.
    pub settled: BTreeMap<StepKey, u32>,
    pub rolled_back: bool,
}

impl Migration {
    /// Whether a step goes away under its key.
    #[must_use]
    pub fn leaves(&self, key: &StepKey) -> bool {
        !self.rolled_back
            && (self.drop.contains(key) || self.map.iter().any(|(f, t)| f == key && t != key))
    }

    /// Whether a step of either version kept its key, and so its state.
    fn keeps(&self, key: &StepKey) -> bool {
        self.map.iter().any(|(from, to)| from == key && to == key)
    }
}

impl StepState {
    /// The step under a key it had in an earlier version: what it was done for no longer counts.
    fn anew(mut self) -> Self {
        let used = matches!(self.standing(), Standing::Done(_) | Standing::Ended(_));
        if used {
            self.round += 1;
        }
        (self.imported, self.skipped, self.carried) = (None, None, None);
        self
    }

    fn settled(&self) -> u32 {
        let open = self.attempts.last().is_some_and(|last| last.phase == AttemptPhase::Queued);
        self.last_number() - u32::from(open)
    }
}

impl ItemState {
    /// The version an event moves the item to; `None` where it stays on its own.
    #[must_use]
    pub fn moves_to(&self, event: &Event) -> Option<WorkflowRef> {
        if let EventData::WorkItemMigrated(data) = &event.data {
            return Some(data.to.clone());
        }
        let EventData::MigrationRolledBack(data) = &event.data else { return None };
        self.migration(data.migration).map(|migration| migration.from.reference())
    }

    fn migration(&self, id: EventId) -> Option<&Migration> {
        self.migrations.iter().find(|migration| migration.event.id == id)
    }

    /// Under which key a step was done, and its state there: its own, or where it is carried the
    /// parked one it comes from.
    #[must_use]
    pub fn worked_as<'a>(
        &'a self,
        key: &'a StepKey,
        state: &'a StepState,
    ) -> (&'a StepKey, &'a StepState) {
        let source = |state: &'a StepState| {
            let from = &state.carried.as_ref()?.from;
            Some((from, self.parked.get(from)?))
        };
        std::iter::successors(Some((key, state)), |(_, state)| source(state))
            .last()
            .unwrap_or((key, state))
    }

    /// The last migration that was not taken back.
    #[must_use]
    pub fn last_migration(&self) -> Option<&Migration> {
        self.migrations.iter().rev().find(|migration| !migration.rolled_back)
    }

    /// Folds the event that moves the item from one version to another.
    ///
    /// # Errors
    /// As for [`ItemState::apply`]; the state is then to be thrown away.
    pub fn migrate(
        &mut self,
        event: &Event,
        sha256: Digest,
        old: &Workflow,
        new: &Workflow,
    ) -> Result<(), Illegal> {
        let phase = self.admits(event)?;
        let this = EventRef { id: event.id, sha256 };
        if let EventData::WorkItemMigrated(data) = &event.data {
            self.forth(event, this, data, old, new)?;
        } else if let EventData::MigrationRolledBack(data) = &event.data {
            self.back(event, data, old, new)?;
        } else {
            return Err(contradiction(event, "another version", "it stays on its own"));
        }
        self.workflow = WorkflowKey {
            name: new.reference.name.clone(),
            version: new.reference.version,
            sha256: new.reference.sha256.clone(),
        };
        self.count(event, phase);
        Ok(())
    }

    fn forth(
        &mut self,
        event: &Event,
        this: EventRef,
        data: &WorkItemMigrated,
        old: &Workflow,
        new: &Workflow,
    ) -> Result<(), Illegal> {
        let from = self.workflow.clone();
        if data.from != from.reference() || data.from != old.reference || data.to != new.reference {
            let said = format!("{} to {}", versioned(&data.from), versioned(&data.to));
            let known = format!("it is on {}", versioned(&from.reference()));
            return Err(contradiction(event, &said, &known));
        }
        let mut were = self.by_key(old);
        let (mut kept, mut sources) = (BTreeMap::new(), BTreeMap::new());
        for StepMapping { from, to } in &data.map {
            let state = were.remove(from).ok_or_else(|| unknown(event, from, old))?;
            if new.position(to).is_none() {
                return Err(unknown(event, to, new));
            }
            if from == to {
                kept.insert(to.clone(), state);
            } else {
                self.park(event, from, state.clone())?;
                if old.position(to).is_some() || sources.insert(to, (from, state)).is_some() {
                    return Err(contradiction(
                        event,
                        &format!("{from} becomes {to}"),
                        "it is taken",
                    ));
                }
            }
        }
        for key in &data.drop {
            let state = were.remove(key).ok_or_else(|| unknown(event, key, old))?;
            self.park(event, key, state)?;
        }
        if let Some(left) = were.keys().next() {
            return Err(contradiction(
                event,
                "all that becomes of its steps",
                &format!("{left} too"),
            ));
        }
        let mut settled = BTreeMap::new();
        self.steps = new
            .steps()
            .iter()
            .map(|step| {
                if let Some(state) = kept.remove(&step.key) {
                    return state;
                }
                let parked = self.parked.remove(&step.key);
                let mut state = parked.map_or_else(StepState::new, StepState::anew);
                settled.insert(step.key.clone(), state.settled());
                if let Some((from, source)) = sources.get(&step.key) {
                    carry(&mut state, from, source, event.timestamp);
                }
                state
            })
            .collect();
        self.blockers_follow(data.map.iter().map(|step| (&step.from, &step.to)));
        self.migrations.push(Migration {
            event: this,
            from,
            to: WorkflowKey {
                name: data.to.name.clone(),
                version: data.to.version,
                sha256: data.to.sha256.clone(),
            },
            map: data.map.iter().map(|step| (step.from.clone(), step.to.clone())).collect(),
            drop: data.drop.clone(),
            by: event.actor.principal.clone(),
            at: event.timestamp,
            reason: data.reason.clone(),
            settled,
            rolled_back: false,
        });
        Ok(())
    }

    fn back(
        &mut self,
        event: &Event,
        data: &MigrationRolledBack,
        old: &Workflow,
        new: &Workflow,
    ) -> Result<(), Illegal> {
        let last = self.last_migration().filter(|last| last.event.id == data.migration).cloned();
        let Some(last) = last else {
            return Err(contradiction(
                event,
                "a migration is taken back",
                "it is not the last one",
            ));
        };
        if last.to.reference() != old.reference || last.from.reference() != new.reference {
            let known = format!("it came from {}", versioned(&last.from.reference()));
            return Err(contradiction(event, &versioned(&new.reference), &known));
        }
        let mut are = self.by_key(old);
        let mut steps = Vec::with_capacity(new.steps().len());
        for step in new.steps() {
            let state = match last.keeps(&step.key) {
                true => are.remove(&step.key),
                false => self.parked.remove(&step.key),
            };
            steps.push(state.ok_or_else(|| unknown(event, &step.key, old))?);
        }
        for (key, state) in are {
            self.park(event, &key, state)?;
        }
        self.steps = steps;
        self.blockers_follow(last.map.iter().map(|(from, to)| (to, from)));
        for migration in &mut self.migrations {
            migration.rolled_back |= migration.event.id == data.migration;
        }
        Ok(())
    }

    /// What holds a step holds it under its other key too; on a dropped step it holds nothing.
    fn blockers_follow<'a>(&mut self, renamed: impl Iterator<Item = (&'a StepKey, &'a StepKey)>) {
        let renamed: BTreeMap<&StepKey, &StepKey> = renamed.collect();
        for blocker in self.blockers.iter_mut().filter(|blocker| blocker.resolved_at.is_none()) {
            for key in &mut blocker.steps {
                if let Some(&other) = renamed.get(&*key) {
                    key.clone_from(other);
                }
            }
        }
    }

    /// Takes the steps away, by the keys they have in a version.
    fn by_key(&mut self, workflow: &Workflow) -> BTreeMap<StepKey, StepState> {
        let keys = workflow.steps().iter().map(|step| step.key.clone());
        keys.zip(std::mem::take(&mut self.steps)).collect()
    }

    fn park(&mut self, event: &Event, key: &StepKey, state: StepState) -> Result<(), Illegal> {
        if state.standing() == Standing::Claimed {
            return Err(contradiction(event, &format!("{key} goes away"), "somebody holds it"));
        }
        self.parked.insert(key.clone(), state);
        Ok(())
    }

    /// The steps on which somebody worked since a migration, and which its taking back would lose.
    #[must_use]
    pub fn worked_on_since(&self, migration: &Migration, workflow: &Workflow) -> Vec<StepKey> {
        let carried: BTreeSet<&StepKey> = migration
            .map
            .iter()
            .filter(|(from, to)| {
                from != to
                    && self
                        .parked
                        .get(from)
                        .is_some_and(|was| matches!(was.standing(), Standing::Done(_)))
            })
            .map(|(_, to)| to)
            .collect();
        let worked = |key: &StepKey, state: &StepState| {
            let settled = migration.settled.get(key).copied().unwrap_or(0);
            let fresh = state.attempts.get(settled as usize..).unwrap_or_default();
            let touched = |attempt: &super::state::AttemptState| {
                attempt.phase != AttemptPhase::Queued || !attempt.approvals.is_empty()
            };
            let was_done = carried.contains(key);
            let is_done = matches!(state.standing(), Standing::Done(_));
            fresh.iter().any(touched) || was_done != is_done
        };
        workflow
            .steps()
            .iter()
            .zip(&self.steps)
            .filter(|(step, state)| !migration.keeps(&step.key) && worked(&step.key, state))
            .map(|(step, _)| step.key.clone())
            .collect()
    }
}

/// What a renamed step brings along.
fn carry(state: &mut StepState, from: &StepKey, source: &StepState, at: DateTime<Utc>) {
    match source.standing() {
        Standing::Done(Done::Skipped) => state.skipped.clone_from(&source.skipped),
        Standing::Done(Done::ImportedDone | Done::ImportedSkipped) => {
            state.imported = source.imported;
        }
        Standing::Done(Done::Completed | Done::Approved | Done::Carried) => {
            state.carried =
                Some(Carried { from: from.clone(), at, outputs_digest: source.outputs_digest() });
        }
        Standing::Untouched | Standing::Queued | Standing::Claimed | Standing::Ended(_) => {}
    }
}

fn versioned(reference: &WorkflowRef) -> String {
    format!("{}@{}", reference.name, reference.version)
}

fn contradiction(event: &Event, said: &str, known: &str) -> Illegal {
    Illegal::Contradiction {
        event: event.kind().name(),
        said: said.to_owned(),
        known: known.to_owned(),
    }
}

fn unknown(event: &Event, key: &StepKey, workflow: &Workflow) -> Illegal {
    Illegal::UnknownStep {
        event: event.kind().name(),
        key: key.clone(),
        workflow: versioned(&workflow.reference),
    }
}
