//! The way back: what it undoes, and asking for it outside a gate (FR-021; G3).

use super::super::event::{Event, EventData, ReworkRequested, VoidStep};
use super::super::id::{ExecutorId, StepKey};
use super::super::refusal::Refusal;
use super::super::state::{Done, ItemState, Standing};
use super::super::workflow::Workflow;
use super::{Decided, Room, Unchanged, flow, link, outcome, text};

/// Send an item back outside a gate.
#[derive(Debug, Clone)]
pub struct Rework {
    pub return_to: StepKey,
    pub reason: String,
    /// Take the claims of steps that become void.
    pub release_claims: bool,
}

pub(super) fn decide(room: &Room<'_>, ask: &Rework) -> Result<Decided, Refusal> {
    text("the reason", &ask.reason)?;
    if sent_back_before(room, &ask.return_to, &ask.reason) {
        return Ok(Decided::Unchanged(Unchanged::SentBack { to: ask.return_to.clone() }));
    }
    let back = room.step(&ask.return_to)?;
    room.active()?;
    let back = target(room, &room.workflow.steps()[back].key, None)?;
    let void = void_set(room.workflow, room.state, back, None);
    let why = format!("the item goes back to {}: {}", ask.return_to, ask.reason);
    let mut facts = clear_the_way(room, &ask.return_to, &void, None, ask.release_claims, &why)?;
    let voided = |&at: &usize| {
        let end = room.state.steps[at].current()?.end.as_ref()?;
        Some(link("voids", &end.event))
    };
    let mut links: Vec<_> = void.iter().filter_map(voided).take(super::LINKS).collect();
    if links.is_empty() {
        links.push(link("item", &room.state.registered));
    }
    facts.push(room.fact(
        facts.len(),
        None,
        None,
        outcome("returned", format!("to {}: {}", ask.return_to, flow::brief(&ask.reason))),
        format!("rework {}", ask.return_to),
        links,
        EventData::ReworkRequested(ReworkRequested {
            reason: ask.reason.clone(),
            return_to: ask.return_to.clone(),
            void: void_steps(room, &void),
        }),
    ));
    Ok(Decided::Facts(facts))
}

/// This principal sent the item back there with these words, and nobody took the step since.
pub(super) fn sent_back_before(room: &Room<'_>, to: &StepKey, reason: &str) -> bool {
    let Some(last) = room.state.last_return() else { return false };
    let waits = room.workflow.position(to).is_some_and(|at| {
        matches!(room.state.steps[at].standing(), Standing::Queued | Standing::Untouched)
    });
    let same = last.gate.is_none() && last.to == *to && last.reason == reason;
    same && waits && last.by == room.moment.actor.principal
}

/// The step an item goes back to, where it can: from a gate to an earlier one, and always to one
/// that was worked on or imported as done.
pub(super) fn target(room: &Room<'_>, to: &StepKey, gate: Option<usize>) -> Result<usize, Refusal> {
    let back = room.step(to)?;
    let bad = |why| Refusal::BadReturn {
        item: room.item(),
        gate: gate.map(|at| room.workflow.steps()[at].key.clone()),
        to: to.clone(),
        why,
    };
    may_return(room.state, back, gate).map_err(bad)?;
    Ok(back)
}

/// Whether an item can go back to a step, from a gate or outside one; why not, where it cannot.
///
/// # Errors
/// The reason, in words.
pub fn may_return(item: &ItemState, back: usize, gate: Option<usize>) -> Result<(), &'static str> {
    if gate.is_some_and(|at| back >= at) {
        return Err("it does not come before the gate");
    }
    match item.steps[back].standing() {
        Standing::Done(Done::Skipped | Done::ImportedSkipped) => {
            Err("it was skipped, and skipped steps stay skipped")
        }
        Standing::Untouched => Err("it has not been done yet"),
        // A gate's rejection is about what lies between; without one there is nothing to undo.
        Standing::Queued if gate.is_none() => Err("it has not been done yet"),
        Standing::Queued | Standing::Claimed | Standing::Done(_) | Standing::Ended(_) => Ok(()),
    }
}

/// Which steps a way back undoes (G3): the target, every step up to the gate that waits for it
/// through others, and above that every step whose written `needs` names one of these. Outside a
/// gate the bound is the highest step with an attempt.
#[must_use]
pub fn void_set(
    workflow: &Workflow,
    item: &ItemState,
    target: usize,
    gate: Option<usize>,
) -> Vec<usize> {
    let highest = || item.steps.iter().rposition(|step| !step.attempts.is_empty());
    let bound = gate.or_else(highest).unwrap_or(target);
    let may = |at: usize| match item.steps[at].standing() {
        Standing::Done(Done::Skipped | Done::ImportedSkipped) => false,
        Standing::Done(Done::ImportedDone) => at <= bound || at == target,
        // Never opened in this round: there is nothing to undo.
        Standing::Untouched => false,
        Standing::Queued | Standing::Claimed | Standing::Done(_) | Standing::Ended(_) => true,
    };
    let dependents = workflow.graph().dependents(target);
    let mut void: Vec<bool> = (0..dependents.len())
        .map(|at| {
            // The rejected gate itself opens again, also one that crossed the target.
            let up_to = at <= bound && (dependents[at] || gate == Some(at));
            (at == target || up_to) && may(at)
        })
        .collect();
    // Written needs may name steps in either direction, so until nothing changes.
    loop {
        let mut changed = false;
        for at in bound + 1..void.len() {
            let named = || workflow.graph().needs(at).iter().any(|&need| void[need]);
            if !void[at] && may(at) && named() {
                void[at] = true;
                changed = true;
            }
        }
        if !changed {
            break;
        }
    }
    (0..void.len()).filter(|&at| void[at]).collect()
}

/// What has to happen to the attempts of void steps before they are void: claims are taken where
/// the asker says so, and what is queued leaves the queue.
pub(super) fn clear_the_way(
    room: &Room<'_>,
    to: &StepKey,
    void: &[usize],
    gate: Option<usize>,
    release_claims: bool,
    why: &str,
) -> Result<Vec<Event>, Refusal> {
    let held: Vec<(StepKey, ExecutorId)> = flow::held(room, void);
    if !held.is_empty() && !release_claims {
        let void = void.iter().map(|&at| room.workflow.steps()[at].key.clone()).collect();
        return Err(Refusal::VoidHeld { item: room.item(), to: to.clone(), void, held });
    }
    let why = flow::brief(why);
    let mut facts = Vec::new();
    for &at in void {
        match room.state.steps[at].standing() {
            Standing::Claimed => flow::take(room, &[at], &why, &mut facts),
            // The gate's own attempt ends with the rejection.
            Standing::Queued if gate != Some(at) => {
                facts.push(flow::withdrawn(room, facts.len(), at, &why));
            }
            Standing::Untouched | Standing::Queued | Standing::Done(_) | Standing::Ended(_) => {}
        }
    }
    Ok(facts)
}

/// Void steps as the fact names them, each with the round it enters.
pub(super) fn void_steps(room: &Room<'_>, void: &[usize]) -> Vec<VoidStep> {
    let step = |&at: &usize| {
        let state = &room.state.steps[at];
        VoidStep {
            key: room.workflow.steps()[at].key.clone(),
            attempt_id: state.current().map(|_| room.current(at)),
            round: state.round + 1,
        }
    };
    void.iter().map(step).collect()
}
