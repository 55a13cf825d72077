//! What moves a step besides working on it: skip, requeue, release; and taking claims away.

use super::super::event::{
    AttemptRequeued, ClaimLapsed, ClaimReleased, Event, EventData, Reasoned, RequeueCause,
};
use super::super::id::{AttemptId, ClaimId, ExecutorId, StepKey};
use super::super::refusal::Refusal;
use super::super::state::{Done, Standing};
use super::super::transition::AttemptPhase;
use super::{Decided, Room, Unchanged, link, outcome, text};

/// Give a step up for good; those that wait for it go on.
#[derive(Debug, Clone)]
pub struct Skip {
    pub step: StepKey,
    pub reason: String,
}

/// Queue a further attempt.
#[derive(Debug, Clone)]
pub struct Requeue {
    pub step: Option<StepKey>,
    /// `KEY.N` or an alias: must be the step's last attempt.
    pub attempt: Option<String>,
    pub reason: Option<String>,
    /// Take the claim from a holder who is gone (C5).
    pub lapsed: bool,
    /// Before the lease end, or without a lease.
    pub force: bool,
}

/// Give a claim back.
#[derive(Debug, Clone)]
pub struct Release {
    pub step: Option<StepKey>,
    /// `KEY.N` or an alias: must be the one that is held.
    pub attempt: Option<String>,
    pub claim: Option<ClaimId>,
    pub reason: String,
}

pub(super) fn skip(room: &Room<'_>, ask: &Skip) -> Result<Decided, Refusal> {
    text("the reason", &ask.reason)?;
    let at = room.step(&ask.step)?;
    let step = &room.workflow.steps()[at];
    if step.is_gate() {
        return Err(Refusal::IsGate { item: room.item(), step: step.key.clone() });
    }
    let standing = room.state.steps[at].standing();
    if let Standing::Done(Done::Skipped) = standing {
        return Ok(Decided::Unchanged(Unchanged::Skipped));
    }
    room.not_held_nor_done(at)?;
    room.active()?;
    let mut facts = Vec::new();
    if standing == Standing::Queued {
        facts.push(withdrawn(room, 0, at, &ask.reason));
    }
    facts.push(room.fact(
        facts.len(),
        Some(at),
        None,
        outcome("skipped", &ask.reason),
        "go on with the steps that waited for it".into(),
        Vec::new(),
        EventData::StepSkipped(Reasoned { reason: ask.reason.clone() }),
    ));
    Ok(Decided::Facts(facts))
}

/// A queued attempt leaves the queue.
pub(super) fn withdrawn(room: &Room<'_>, index: usize, at: usize, reason: &str) -> Event {
    room.fact(
        index,
        Some(at),
        Some(room.current(at)),
        outcome("withdrawn", reason),
        "nothing".into(),
        Vec::new(),
        EventData::AttemptWithdrawn(Reasoned { reason: reason.to_owned() }),
    )
}

/// A reason as part of a sentence: the whole of it stands in the data.
pub(super) fn brief(reason: &str) -> String {
    reason.chars().take(1000).collect()
}

/// The step an act is about, by key or by its last attempt; an older attempt has ended (C1).
fn target(
    room: &Room<'_>,
    step: Option<&StepKey>,
    attempt: Option<&str>,
) -> Result<usize, Refusal> {
    let Some(name) = attempt else {
        let step = step.ok_or_else(|| Refusal::Invalid("name the step: --step KEY".into()))?;
        return room.step(step);
    };
    let id = room.attempt(name)?;
    if let Some(step) = step.filter(|step| *step != id.key()) {
        let message = format!("attempt {id} is one of step {}, not of {step}", id.key());
        return Err(Refusal::Invalid(message));
    }
    let at = room.step(id.key())?;
    if id == room.current(at) { Ok(at) } else { Err(room.finished(&id)) }
}

pub(super) fn requeue(room: &Room<'_>, ask: &Requeue) -> Result<Decided, Refusal> {
    if let Some(reason) = &ask.reason {
        text("the reason", reason)?;
    }
    let at = target(room, ask.step.as_ref(), ask.attempt.as_deref())?;
    let step = &room.workflow.steps()[at];
    let state = &room.state.steps[at];
    if step.is_gate() {
        return Err(Refusal::IsGate { item: room.item(), step: step.key.clone() });
    }
    match state.standing() {
        Standing::Queued => Ok(Decided::Unchanged(Unchanged::Queued { attempt: room.current(at) })),
        Standing::Claimed if ask.lapsed => {
            room.active()?;
            lapse(room, at, ask)
        }
        Standing::Claimed => Err(room.held(at)),
        Standing::Done(_) => {
            room.not_held_nor_done(at)?;
            Err(room.finished(&room.current(at)))
        }
        Standing::Untouched => Err(room.not_ready(at, &room.schedule())),
        Standing::Ended(_) => {
            room.active()?;
            let reason = ask.reason.clone().unwrap_or_else(|| "asked for".into());
            let fact = requeued(room, 0, at, RequeueCause::Asked, reason);
            Ok(Decided::Facts(vec![fact]))
        }
    }
}

/// The holder is gone: an explicit act, never a timer (C5).
fn lapse(room: &Room<'_>, at: usize, ask: &Requeue) -> Result<Decided, Refusal> {
    let id = room.current(at);
    let Some(claim) = room.state.steps[at].current().and_then(|attempt| attempt.claim.as_ref())
    else {
        return Err(room.held(at));
    };
    let over = claim.lease_until.is_some_and(|until| until <= room.moment.now());
    let forced = ask.force && ask.reason.is_some();
    if !over && !forced {
        return Err(Refusal::LeaseRunning {
            item: room.item(),
            step: id.key().clone(),
            attempt: id,
            by: claim.executor.clone(),
            lease_until: claim.lease_until,
        });
    }
    let reason = ask.reason.clone().unwrap_or_else(|| "the lease ended".into());
    let lapsed = room.fact(
        0,
        Some(at),
        Some(id),
        outcome("lapsed", format!("{} no longer holds it: {}", claim.executor, brief(&reason))),
        format!("claim {}", room.workflow.steps()[at].key),
        vec![link("claim", &claim.event)],
        EventData::ClaimLapsed(ClaimLapsed {
            claim_id: claim.id,
            reason: reason.clone(),
            lease_until: claim.lease_until,
            forced: !over,
        }),
    );
    let next = requeued(room, 1, at, RequeueCause::Lapsed, reason);
    Ok(Decided::Facts(vec![lapsed, next]))
}

/// The next attempt of a step, queued again.
pub(super) fn requeued(
    room: &Room<'_>,
    index: usize,
    at: usize,
    cause: RequeueCause,
    reason: String,
) -> Event {
    let (step, state) = (&room.workflow.steps()[at], &room.state.steps[at]);
    let last = room.current(at);
    let claim = state.current().and_then(|attempt| attempt.claim.as_ref());
    room.fact(
        index,
        Some(at),
        Some(AttemptId::new(step.key.clone(), last.number() + 1)),
        outcome("queued", reason.clone()),
        format!("claim {}", step.key),
        claim.map(|claim| link("retry-of", &claim.event)).into_iter().collect(),
        EventData::AttemptRequeued(AttemptRequeued {
            retry_of: last,
            cause,
            reason,
            round: state.round,
        }),
    )
}

pub(super) fn release(room: &Room<'_>, ask: &Release) -> Result<Decided, Refusal> {
    text("the reason", &ask.reason)?;
    let at = target(room, ask.step.as_ref(), ask.attempt.as_deref())?;
    let step = room.workflow.steps()[at].key.clone();
    let id = room.current(at);
    let attempt = room.state.steps[at].current();
    let claimed = attempt.filter(|attempt| attempt.phase == AttemptPhase::Claimed);
    let Some(claim) = claimed.and_then(|attempt| attempt.claim.as_ref()) else {
        let queued = attempt.filter(|a| a.phase == AttemptPhase::Queued).map(|_| id);
        return Err(Refusal::NotClaimed { item: room.item(), step, queued });
    };
    if ask.claim.map_or(claim.executor != room.moment.actor.id, |id| id != claim.id) {
        return Err(Refusal::NotHolder {
            item: room.item(),
            step,
            attempt: id,
            by: claim.executor.clone(),
            asker: room.moment.actor.id.clone(),
            elsewhere: false,
            claim: claim.id,
        });
    }
    room.active()?;
    let released = released(room, 0, at, claim, &ask.reason);
    let next = requeued(room, 1, at, RequeueCause::Released, ask.reason.clone());
    Ok(Decided::Facts(vec![released, next]))
}

/// A claim given back, by its holder or because its step becomes void.
pub(super) fn released(
    room: &Room<'_>,
    index: usize,
    at: usize,
    claim: &super::super::state::Claim,
    reason: &str,
) -> Event {
    room.fact(
        index,
        Some(at),
        Some(room.current(at)),
        outcome("released", reason),
        format!("claim {}", room.workflow.steps()[at].key),
        vec![link("claim", &claim.event)],
        EventData::ClaimReleased(ClaimReleased { claim_id: claim.id, reason: reason.to_owned() }),
    )
}

/// Which of these steps are claimed, and by whom.
pub(super) fn held(room: &Room<'_>, among: &[usize]) -> Vec<(StepKey, ExecutorId)> {
    let holder = |&at: &usize| {
        let state = &room.state.steps[at];
        let claim = state.current().filter(|attempt| attempt.phase == AttemptPhase::Claimed)?;
        Some((room.workflow.steps()[at].key.clone(), claim.claim.as_ref()?.executor.clone()))
    };
    among.iter().filter_map(holder).collect()
}

/// Takes the claims of these steps; nothing is queued again.
pub(super) fn take(room: &Room<'_>, among: &[usize], why: &str, facts: &mut Vec<Event>) {
    for &at in among {
        let current = room.state.steps[at].current();
        let claimed = current.filter(|attempt| attempt.phase == AttemptPhase::Claimed);
        if let Some(claim) = claimed.and_then(|attempt| attempt.claim.as_ref()) {
            facts.push(released(room, facts.len(), at, claim, why));
        }
    }
}

/// Takes the claims that an item's end would leave behind: refused, naming the holders, unless
/// the asker says so.
pub(super) fn give_up(
    room: &Room<'_>,
    release_claims: bool,
    why: &str,
) -> Result<Vec<Event>, Refusal> {
    let all: Vec<usize> = (0..room.state.steps.len()).collect();
    let held = held(room, &all);
    if !held.is_empty() && !release_claims {
        return Err(Refusal::ClaimsHeld { item: room.item(), held });
    }
    let mut facts = Vec::new();
    take(room, &all, &brief(why), &mut facts);
    Ok(facts)
}
