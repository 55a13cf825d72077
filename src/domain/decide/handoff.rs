//! A handoff that an executor wrote elsewhere comes home: judged by the rules it would have been
//! judged by at once (M3, M4).

use super::super::event::{Event, EventData, HandoffQuarantined, Output, Verification, retry_id};
use super::super::id::{ClaimId, Digest};
use super::super::moment::Moment;
use super::super::refusal::Refusal;
use super::super::state::ItemState;
use super::super::workflow::Workflow;
use super::{
    Ask, Complete, Decided, Ending, Room, Unchanged, Verified, World, decide, outcome, text,
};

/// What a handoff that comes home comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HandedIn {
    /// The fact as it is, and what it brings along.
    Facts(Vec<Event>),
    /// It is on record already, byte for byte.
    There,
}

/// Judges a completion, a failure or a rejection that was written from a ticket.
///
/// It is asked for once more with its own time, actor, code and words, and has to be what the
/// rules give: nothing else that somebody may write into such a file counts. `sha256` is of its
/// bytes.
///
/// # Errors
/// The refusal a late or foreign completion meets; or why the file is not what the rules give.
pub fn hand_in(world: World<'_>, event: &Event, sha256: &Digest) -> Result<HandedIn, Refusal> {
    let (Some(item), Some((state, workflow))) = (&event.work_item_id, world.item) else {
        let item = event.work_item_id.clone();
        return Err(match item {
            Some(item) => Refusal::UnknownItem { item, nearest: None },
            None => Refusal::Invalid("it names no work item".into()),
        });
    };
    let not = |why: &str| Refusal::Invalid(format!("it is not what the rules give: {why}"));
    let Some((ending, claim, verified, outputs, code)) = told(&event.data) else {
        let why =
            format!("a {} is not handed in: only the end of an attempt is", event.kind().name());
        return Err(Refusal::Invalid(why));
    };
    if let Some(there) = recorded(state, workflow, event) {
        return match *there == *sha256 {
            true => Ok(HandedIn::There),
            false => Err(not("its id is on record with other bytes")),
        };
    }
    let attempt = event.attempt_id.as_ref().ok_or_else(|| not("it names no attempt"))?;
    let holder = workflow
        .position(attempt.key())
        .and_then(|at| state.steps[at].attempt(attempt.number())?.claim.as_ref());
    // Whoever else knows the claim's id may end it, but by a command of their own.
    if let Some(holder) = holder {
        if holder.executor != event.actor.id {
            let says = &event.actor.id;
            return Err(not(&format!("{} holds it, and it says {says}", holder.executor)));
        }
        if holder.principal != event.actor.principal {
            let says = &event.actor.principal;
            return Err(not(&format!("it was claimed for {}, not {says}", holder.principal)));
        }
    }
    // What else it builds on nobody has looked up.
    if event.links.len() != 1 {
        return Err(not("it links to more than its claim"));
    }
    let ask = Complete {
        step: event.step.as_ref().map(|step| step.key.clone()),
        attempt: Some(attempt.to_string()),
        claim: Some(claim),
        own_claims: Vec::new(),
        ending,
        outcome: event.outcome.summary.clone(),
        next_action: Some(event.next_action.clone()),
        verified,
        outputs,
        links: Vec::new(),
    };
    // Chance is in the event already: only its id came from it.
    let mut moment = Moment::new(event.timestamp, [0; 32], event.actor.clone());
    moment.request.clone_from(&event.request);
    moment.code = code;
    let mut facts = match decide(world, item, &Ask::Complete(Box::new(ask)), &moment)? {
        Decided::Facts(facts) => facts,
        Decided::Unchanged(Unchanged::Completed { attempt }) => {
            return Err(not(&format!("{attempt} ended so by another event")));
        }
        Decided::Unchanged(_) => return Err(not("its request was answered before")),
    };
    facts[0].id = event.id;
    if let Some(retry) = facts.get_mut(1) {
        retry.id = retry_id(event.id);
    }
    if facts[0] != *event {
        return Err(not(difference(&facts[0], event)));
    }
    Ok(HandedIn::Facts(facts))
}

/// How an attempt ended, as its event says.
type Told = (Ending, ClaimId, Vec<Verified>, Vec<Output>, Option<super::super::event::CodeSeen>);

fn told(data: &EventData) -> Option<Told> {
    let verified = |verified: &Verification| Verified {
        id: verified.id.clone(),
        evidence: verified.evidence.clone(),
        check: verified.check.clone(),
    };
    match data {
        EventData::AttemptCompleted(done) => Some((
            Ending::Completed,
            done.claim_id,
            done.verified.iter().map(verified).collect(),
            done.outputs.clone(),
            done.code.clone(),
        )),
        EventData::AttemptFailed(ended) => Some((
            Ending::Failed,
            ended.claim_id,
            Vec::new(),
            ended.outputs.clone(),
            ended.code.clone(),
        )),
        EventData::AttemptRejected(ended) => Some((
            Ending::Rejected,
            ended.claim_id,
            Vec::new(),
            ended.outputs.clone(),
            ended.code.clone(),
        )),
        EventData::WorkItemRegistered(_)
        | EventData::ItemEdited(_)
        | EventData::ReviewFlagged(_)
        | EventData::ReviewCleared(_)
        | EventData::ReviewMerged(_)
        | EventData::ReviewLinked(_)
        | EventData::ReviewClosed(_)
        | EventData::ReviewOverturned(_)
        | EventData::OwnerTransferred(_)
        | EventData::BlockerDeclared(_)
        | EventData::BlockerResolved(_)
        | EventData::WorkItemResumed(_)
        | EventData::WorkItemMigrated(_)
        | EventData::WorkItemCancelled(_)
        | EventData::MigrationRolledBack(_)
        | EventData::CorrectionRecorded(_)
        | EventData::HandoffQuarantined(_)
        | EventData::ScheduleDecided(_)
        | EventData::AttemptRequeued(_)
        | EventData::AttemptClaimed(_)
        | EventData::ClaimReleased(_)
        | EventData::ClaimLapsed(_)
        | EventData::AttemptWithdrawn(_)
        | EventData::StepSkipped(_)
        | EventData::GateApproved(_)
        | EventData::GateRejected(_)
        | EventData::ReworkRequested(_)
        | EventData::BaselineIntegration(_)
        | EventData::BaselineReverted(_)
        | EventData::WorkflowPublished(_)
        | EventData::WorkflowRetired(_)
        | EventData::PolicyChanged(_)
        | EventData::ActorKeyAdded(_)
        | EventData::ActorKeyRevoked(_) => None,
    }
}

/// The digest on record of the event that ended its attempt, where that is this event.
fn recorded<'s>(state: &'s ItemState, workflow: &Workflow, event: &Event) -> Option<&'s Digest> {
    let attempt = event.attempt_id.as_ref()?;
    let step = match workflow.position(attempt.key()) {
        Some(at) => &state.steps[at],
        None => state.parked.get(attempt.key())?,
    };
    let end = step.attempt(attempt.number())?.end.as_ref()?;
    (end.event.id == event.id).then_some(&end.event.sha256)
}

/// What the rules give another value for.
fn difference(given: &Event, event: &Event) -> &'static str {
    if given.workflow != event.workflow {
        "the workflow"
    } else if given.step != event.step {
        "the step"
    } else if given.outcome != event.outcome {
        "the outcome"
    } else if given.links != event.links {
        "the links"
    } else if given.baseline_integration != event.baseline_integration {
        "the baseline flag"
    } else {
        "the data"
    }
}

/// What is kept of a handoff that was refused.
#[derive(Debug, Clone)]
pub struct Quarantine {
    pub digest: Digest,
    /// Bytes.
    pub size: u64,
    /// Why, in words.
    pub refusal: String,
}

pub(super) fn quarantine(room: &Room<'_>, ask: &Quarantine) -> Result<Decided, Refusal> {
    text("the refusal", &ask.refusal)?;
    let fact = room.fact(
        0,
        None,
        None,
        outcome("quarantined", &ask.refusal),
        "look at why; what was lost is done again by a new attempt".into(),
        Vec::new(),
        EventData::HandoffQuarantined(HandoffQuarantined {
            digest: ask.digest.clone(),
            size: ask.size,
            refusal: ask.refusal.clone(),
        }),
    );
    Ok(Decided::Facts(vec![fact]))
}
