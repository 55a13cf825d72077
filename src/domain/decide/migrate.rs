//! An item moves to another version of its workflow, and back (FR-016).

use std::collections::BTreeSet;

use super::super::event::{EventData, MigrationRolledBack, StepMapping, WorkItemMigrated};
use super::super::id::{Digest, StepKey};
use super::super::refusal::Refusal;
use super::super::state::{ItemState, Standing, StepState, standing_word};
use super::super::workflow::{Workflow, nearest};
use super::{Decided, Room, Unchanged, flow, link, outcome, register, text};

/// Moves an item to another published version.
#[derive(Debug, Clone)]
pub struct Migrate {
    pub to: Workflow,
    /// Steps that have another key there.
    pub map: Vec<(StepKey, StepKey)>,
    /// Steps that version does not have.
    pub drop: Vec<StepKey>,
    /// Take the claims of steps that go away.
    pub release_claims: bool,
    pub reason: String,
}

/// Takes the last migration back.
#[derive(Debug, Clone)]
pub struct RollBack {
    pub reason: String,
}

/// What becomes of one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fate {
    /// Its key before; `None` for a step that is new.
    pub from: Option<StepKey>,
    /// Its key after; `None` for one that goes away.
    pub to: Option<StepKey>,
    pub before: &'static str,
    pub after: &'static str,
}

pub(super) fn decide(room: &Room<'_>, ask: &Migrate) -> Result<Decided, Refusal> {
    text("the reason", &ask.reason)?;
    let (from, to) = (&room.workflow.reference, &ask.to.reference);
    if from == to {
        return Ok(Decided::Unchanged(Unchanged::Migrated { to: to.clone() }));
    }
    room.active()?;
    register::startable(room.ledger, &ask.to, room.moment)?;
    let map = mapping(room, ask)?;
    let gone: Vec<usize> = room
        .workflow
        .steps()
        .iter()
        .enumerate()
        .filter(|(_, step)| !map.iter().any(|m| m.from == step.key && m.to == step.key))
        .map(|(at, _)| at)
        .collect();
    let held = flow::held(room, &gone);
    if !held.is_empty() && !ask.release_claims {
        return Err(Refusal::MigrationHeld { item: room.item(), held });
    }
    let mut facts = Vec::new();
    let why = flow::brief(&format!("the item moves to {}@{}", to.name, to.version));
    for at in gone {
        if room.state.steps[at].standing() == Standing::Claimed {
            flow::take(room, &[at], &why, &mut facts);
        }
    }
    let summary = format!(
        "from {}@{} to {}@{}: {} stay, {} go",
        from.name,
        from.version,
        to.name,
        to.version,
        map.len(),
        ask.drop.len()
    );
    facts.push(room.fact(
        facts.len(),
        None,
        None,
        outcome("migrated", summary),
        "look at what is ready now".into(),
        vec![link("item", &room.state.registered)],
        EventData::WorkItemMigrated(WorkItemMigrated {
            from: from.clone(),
            to: to.clone(),
            map,
            drop: ask.drop.clone(),
            reason: ask.reason.clone(),
        }),
    ));
    Ok(Decided::Facts(facts))
}

/// What becomes of every step that stays; refuses where that is not said, or said twice.
fn mapping(room: &Room<'_>, ask: &Migrate) -> Result<Vec<StepMapping>, Refusal> {
    let (old, new) = (room.workflow, &ask.to);
    let bad = |why: String| Refusal::BadMigration { item: room.item(), why };
    let (mut sources, mut targets) = (BTreeSet::new(), BTreeSet::new());
    for (from, to) in &ask.map {
        if from == to {
            return Err(bad(format!("{from} keeps its key: it needs no --map")));
        }
        if !sources.insert(from) {
            return Err(bad(format!("{from} is mapped twice")));
        }
        if !targets.insert(to) {
            return Err(bad(format!("two steps become {to}")));
        }
        room.step(from)?;
        if new.position(to).is_none() {
            let near = new.nearest_key(to.as_str());
            let hint = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
            let (name, version) = (&new.reference.name, new.reference.version);
            return Err(bad(format!("{name}@{version} has no step {to}{hint}")));
        }
        if old.position(to).is_some() {
            return Err(bad(format!("{to} is a step of the version it is on, and keeps its key")));
        }
        if new.position(from).is_some() {
            return Err(bad(format!("{from} is a step of both versions, and keeps its key")));
        }
    }
    for key in &ask.drop {
        room.step(key)?;
        if new.position(key).is_some() {
            return Err(bad(format!("{key} is a step of both versions; it cannot be dropped")));
        }
        if !sources.insert(key) {
            return Err(bad(format!("{key} is named twice")));
        }
    }
    let undecided: Vec<StepKey> = old
        .steps()
        .iter()
        .map(|step| &step.key)
        .filter(|key| new.position(key).is_none() && !sources.contains(key))
        .cloned()
        .collect();
    if !undecided.is_empty() {
        let free = || {
            new.steps()
                .iter()
                .map(|step| &step.key)
                .filter(|key| old.position(key).is_none() && !targets.contains(key))
        };
        let near = |key: &StepKey| nearest(key.as_str(), free(), StepKey::as_str).cloned();
        return Err(Refusal::AmbiguousMigration {
            item: room.item(),
            to: new.reference.clone(),
            undecided: undecided
                .into_iter()
                .map(|key| {
                    let near = near(&key);
                    (key, near)
                })
                .collect(),
            new: free().cloned().collect(),
        });
    }
    let becomes = |key: &StepKey| match ask.map.iter().find(|(from, _)| from == key) {
        Some((_, to)) => Some(to.clone()),
        None => new.position(key).map(|_| key.clone()),
    };
    let mut map = Vec::new();
    for (step, state) in old.steps().iter().zip(&room.state.steps) {
        let Some(to) = becomes(&step.key) else { continue };
        let target = &new.steps()[new.position(&to).expect("a mapped step was looked up")];
        let untouched = state.standing() == Standing::Untouched && state.attempts.is_empty();
        if step.is_gate() != target.is_gate() && !untouched {
            let (was, is) = match step.is_gate() {
                true => ("a gate", "a step"),
                false => ("a step", "a gate"),
            };
            let key = &step.key;
            return Err(bad(format!("{key} is {was} and would become {is}, but it was opened")));
        }
        map.push(StepMapping { from: step.key.clone(), to });
    }
    Ok(map)
}

pub(super) fn roll_back(room: &Room<'_>, ask: &RollBack) -> Result<Decided, Refusal> {
    text("the reason", &ask.reason)?;
    let Some(last) = room.state.last_migration() else {
        if let Some(undone) = room.state.migrations.last() {
            let to = undone.from.reference();
            return Ok(Decided::Unchanged(Unchanged::Migrated { to }));
        }
        return Err(Refusal::NothingToRollBack { item: room.item() });
    };
    room.active()?;
    let worked = room.state.worked_on_since(last, room.workflow);
    if !worked.is_empty() {
        return Err(Refusal::WorkedOnSince {
            item: room.item(),
            from: last.from.reference(),
            steps: worked,
        });
    }
    let (from, to) = (&last.to, &last.from);
    let summary = format!("from {}@{} back to {}@{}", from.name, from.version, to.name, to.version);
    let fact = room.fact(
        0,
        None,
        None,
        outcome("rolled-back", summary),
        "look at what is ready now".into(),
        vec![link("migration", &last.event)],
        EventData::MigrationRolledBack(MigrationRolledBack {
            migration: last.event.id,
            reason: ask.reason.clone(),
        }),
    );
    Ok(Decided::Facts(vec![fact]))
}

/// What an ask to migrate or to roll back would do to every step, in the order of the new version;
/// those that go away come last.
#[must_use]
pub fn fates(
    old: &Workflow,
    item: &ItemState,
    new: &Workflow,
    facts: &[super::Event],
) -> Vec<Fate> {
    let mut after = item.clone();
    let mut map: Vec<(StepKey, StepKey)> = Vec::new();
    for fact in facts {
        // Digests of events that are not written yet concern nobody here.
        let folded = match after.moves_to(fact) {
            Some(_) => after.migrate(fact, Digest::of(b""), old, new),
            None => after.apply(fact, Digest::of(b""), old),
        };
        if folded.is_err() {
            return Vec::new();
        }
        if let EventData::WorkItemMigrated(data) = &fact.data {
            map = data.map.iter().map(|m| (m.from.clone(), m.to.clone())).collect();
        } else if let EventData::MigrationRolledBack(_) = &fact.data {
            let last = item.last_migration().into_iter().flat_map(|last| &last.map);
            map = last.map(|(from, to)| (to.clone(), from.clone())).collect();
        }
    }
    let word = |state: &StepState| standing_word(state.standing());
    let before = |key: &StepKey| old.position(key).map(|at| &item.steps[at]);
    let mut fates: Vec<Fate> = new
        .steps()
        .iter()
        .zip(&after.steps)
        .map(|(step, state)| {
            let from = map.iter().find(|(_, to)| *to == step.key).map(|(from, _)| from.clone());
            Fate {
                before: from.as_ref().and_then(before).map_or("new", word),
                from,
                to: Some(step.key.clone()),
                after: word(state),
            }
        })
        .collect();
    let stays = |key: &StepKey| map.iter().any(|(from, _)| from == key);
    for (step, state) in old.steps().iter().zip(&item.steps).filter(|(s, _)| !stays(&s.key)) {
        let (from, before) = (Some(step.key.clone()), word(state));
        fates.push(Fate { from, to: None, before, after: "gone" });
    }
    fates
}
