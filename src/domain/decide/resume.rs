//! Work goes on after an interruption. The ledger is all the state there is, so nothing has to be
//! restored; what cannot be taken for granted any more is listed, and the list is on record.

use chrono::{DateTime, Utc};

use super::super::event::{Doubt, EventData, VerifyAgain, WorkItemResumed};
use super::super::id::AttemptId;
use super::super::refusal::Refusal;
use super::super::state::{Done, ItemState, Standing};
use super::super::workflow::Workflow;
use super::{Decided, LINKS, Room, Unchanged, link, outcome, text};

/// How many criteria one resumption lists: an artifact holds no more than a megabyte (L3).
const LISTED: usize = 2_000;

/// Go on after an interruption.
#[derive(Debug, Clone)]
pub struct Resume {
    pub reason: String,
}

/// The exit criteria that are to be verified again, in launch order: those of every step in
/// progress, because what its holder found out is not on record, and those that were shown on
/// code that is in no commit or not known.
#[must_use]
pub fn verify_again(workflow: &Workflow, item: &ItemState, now: DateTime<Utc>) -> Vec<VerifyAgain> {
    let mut list = Vec::new();
    for (step, state) in workflow.steps().iter().zip(&item.steps) {
        // What was done before a migration was shown under the key it had then.
        let (key, worked) = item.worked_as(&step.key, state);
        let Some(attempt) = worked.current() else { continue };
        let because = match state.standing() {
            Standing::Claimed => {
                let lease = attempt.claim.as_ref().and_then(|claim| claim.lease_until);
                if lease.is_some_and(|until| until <= now) {
                    Doubt::LeaseEnded
                } else {
                    Doubt::InProgress
                }
            }
            Standing::Done(Done::Completed | Done::Carried) => {
                match attempt.end.as_ref().and_then(|end| end.dirty) {
                    Some(false) => continue,
                    Some(true) => Doubt::Uncommitted,
                    None => Doubt::CodeUnknown,
                }
            }
            Standing::Untouched | Standing::Queued | Standing::Done(_) | Standing::Ended(_) => {
                continue;
            }
        };
        let attempt_id = AttemptId::new(key.clone(), worked.last_number());
        list.extend(step.definition.exit.iter().map(|criterion| VerifyAgain {
            step_key: step.key.clone(),
            criterion_id: criterion.id.clone(),
            attempt_id: attempt_id.clone(),
            because,
        }));
    }
    list
}

pub(super) fn decide(room: &Room<'_>, ask: &Resume) -> Result<Decided, Refusal> {
    text("the reason", &ask.reason)?;
    room.active()?;
    if let Some(last) = &room.state.resumed
        && last.events == room.state.events
        && last.by == room.moment.actor.principal
        && last.reason == ask.reason
    {
        return Ok(Decided::Unchanged(Unchanged::Resumed));
    }
    let mut verify_again = verify_again(room.workflow, room.state, room.moment.now());
    let more = u32::try_from(verify_again.len().saturating_sub(LISTED)).unwrap_or(u32::MAX);
    verify_again.truncate(LISTED);
    let mut steps: Vec<_> = verify_again.iter().map(|one| &one.step_key).collect();
    steps.dedup();
    let next_action = match steps.as_slice() {
        [] => "go on".to_owned(),
        [first, ..] => format!("verify {first} again"),
    };
    // What it casts doubt on, where that is an event.
    let links = steps.iter().filter_map(|key| {
        let state = &room.state.steps[room.workflow.position(key)?];
        let attempt = room.state.worked_as(key, state).1.current()?;
        match (&attempt.end, &attempt.claim) {
            (Some(end), _) => Some(link("doubts", &end.event)),
            (None, Some(claim)) => Some(link("claim", &claim.event)),
            (None, None) => None,
        }
    });
    let fact = room.fact(
        0,
        None,
        None,
        outcome("resumed", &ask.reason),
        next_action,
        links.take(LINKS).collect(),
        EventData::WorkItemResumed(WorkItemResumed {
            reason: ask.reason.clone(),
            verify_again,
            more,
        }),
    );
    Ok(Decided::Facts(vec![fact]))
}
