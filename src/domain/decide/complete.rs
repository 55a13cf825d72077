//! An attempt ends: completed, failed or rejected (K1–K5).

use std::collections::BTreeSet;

use super::super::event::{
    AttemptCompleted, AttemptEnded, AttemptRequeued, CheckRun, EventData, Output, RequeueCause,
    Verification, retry_id,
};
use super::super::id::{AttemptId, ClaimId, CriterionId, Digest, StepKey};
use super::super::refusal::Refusal;
use super::super::state::{AttemptState, Claim, End};
use super::super::transition::AttemptPhase;
use super::super::workflow::RetryOn;
use super::claim::inputs_digest;
use super::{Decided, Room, Unchanged, link, outcome, text};

/// How an attempt is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    Completed,
    Failed,
    Rejected,
}

/// One exit criterion the executor or its check has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    pub id: CriterionId,
    pub evidence: Option<String>,
    pub check: Option<CheckRun>,
}

/// What a completion asks for.
#[derive(Debug, Clone)]
pub struct Complete {
    pub step: Option<StepKey>,
    /// `KEY.N` or an alias.
    pub attempt: Option<String>,
    pub claim: Option<ClaimId>,
    /// Claims this work tree made: what K1 accepts when nothing is named.
    pub own_claims: Vec<ClaimId>,
    pub ending: Ending,
    pub outcome: String,
    /// Left out: what the schedule says next.
    pub next_action: Option<String>,
    pub verified: Vec<Verified>,
    pub outputs: Vec<Output>,
    /// Further links, as `REL` and the event.
    pub links: Vec<super::super::event::Link>,
}

pub(super) fn decide(room: &Room<'_>, ask: &Complete) -> Result<Decided, Refusal> {
    text("the outcome", &ask.outcome)?;
    if let Some(next) = &ask.next_action {
        text("the next action", next)?;
    }
    let id = target(room, ask)?;
    let at = room.step(id.key())?;
    let step = &room.workflow.steps()[at];
    if step.is_gate() {
        return Err(Refusal::IsGate { item: room.item(), step: step.key.clone() });
    }
    let attempt = room.state.steps[at]
        .attempt(id.number())
        .ok_or_else(|| Refusal::UnknownAttempt { item: room.item(), attempt: id.to_string() })?;
    let unknown = ask.verified.iter().find(|v| !step.definition.exit.iter().any(|c| c.id == v.id));
    if let Some(unknown) = unknown {
        return Err(Refusal::UnknownCriterion {
            item: room.item(),
            step: step.key.clone(),
            id: unknown.id.clone(),
            known: step.definition.exit.iter().map(|c| c.id.clone()).collect(),
        });
    }
    if let Some(end) = attempt.end.as_ref().filter(|_| attempt.phase.is_terminal()) {
        if same_content(attempt, end, ask, room) {
            return Ok(Decided::Unchanged(Unchanged::Completed { attempt: id }));
        }
        return Err(room.finished(&id));
    }
    let Some(claim) = attempt.claim.as_ref().filter(|_| attempt.phase == AttemptPhase::Claimed)
    else {
        return Err(Refusal::NotClaimed {
            item: room.item(),
            step: step.key.clone(),
            queued: Some(id),
        });
    };
    holder(room, ask, &id, claim)?;
    room.active()?;
    let verified = verified(room, at, &id, ask)?;
    let outputs = sorted(&ask.outputs)?;
    let mut links = vec![link("claim", &claim.event)];
    links.extend(ask.links.iter().cloned());
    if ask.links.iter().any(|link| link.id.uuid().get_version_num() == 8) {
        return Err(Refusal::Invalid("a link names a fact, never a decision".into()));
    }
    if links.len() > super::LINKS {
        return Err(Refusal::Invalid(format!(
            "{} links; {} are allowed",
            links.len(),
            super::LINKS
        )));
    }
    let next = ask.next_action.clone().unwrap_or_else(|| next_action(room, at, ask.ending));
    let code = room.moment.code.clone();
    let data = match ask.ending {
        Ending::Completed => {
            let inputs = inputs_digest(room.workflow, room.state, at);
            EventData::AttemptCompleted(AttemptCompleted {
                claim_id: claim.id,
                verified,
                outputs_digest: outputs_digest(&outputs, &ask.outcome),
                outputs,
                reused: reused(room, at, &inputs),
                inputs_digest: inputs,
                code,
            })
        }
        Ending::Failed => {
            EventData::AttemptFailed(AttemptEnded { claim_id: claim.id, outputs, code })
        }
        Ending::Rejected => {
            EventData::AttemptRejected(AttemptEnded { claim_id: claim.id, outputs, code })
        }
    };
    let word = match ask.ending {
        Ending::Completed => "completed",
        Ending::Failed => "failed",
        Ending::Rejected => "rejected",
    };
    let again = retry(room, at, &id, claim, ask);
    let next = match &again {
        Some(_) if ask.next_action.is_none() => format!("claim {}", step.key),
        _ => next,
    };
    let mut facts = vec![room.fact(
        0,
        Some(at),
        Some(id.clone()),
        outcome(word, &ask.outcome),
        next,
        links,
        data,
    )];
    if let Some(mut again) = again {
        again.id = retry_id(facts[0].id);
        facts.push(again);
    }
    Ok(Decided::Facts(facts))
}

/// The attempt a completion is about (K1).
fn target(room: &Room<'_>, ask: &Complete) -> Result<AttemptId, Refusal> {
    if let Some(claim) = ask.claim {
        let found =
            room.workflow.steps().iter().zip(&room.state.steps).find_map(|(step, state)| {
                let at = state
                    .attempts
                    .iter()
                    .position(|a| a.claim.as_ref().is_some_and(|held| held.id == claim))?;
                Some(AttemptId::new(step.key.clone(), u32::try_from(at).ok()? + 1))
            });
        let id = found.ok_or(Refusal::UnknownClaim { item: room.item(), claim })?;
        let other_step = ask.step.as_ref().is_some_and(|step| step != id.key());
        let named = ask.attempt.as_deref().map(|name| room.attempt(name)).transpose()?;
        if other_step || named.is_some_and(|named| named != id) {
            return Err(Refusal::Invalid(format!("claim {claim} is one of attempt {id}")));
        }
        return Ok(id);
    }
    if let Some(name) = &ask.attempt {
        let id = room.attempt(name)?;
        if let Some(step) = ask.step.as_ref().filter(|step| *step != id.key()) {
            return Err(Refusal::Invalid(format!(
                "attempt {id} is one of step {}, not of {step}",
                id.key()
            )));
        }
        return Ok(id);
    }
    let Some(step) = &ask.step else {
        return Err(Refusal::Invalid("name the step: --step KEY".into()));
    };
    let at = room.step(step)?;
    if room.workflow.steps()[at].is_gate() {
        return Err(Refusal::IsGate { item: room.item(), step: step.clone() });
    }
    let state = &room.state.steps[at];
    if state.attempts.is_empty() {
        return Err(Refusal::NotClaimed { item: room.item(), step: step.clone(), queued: None });
    }
    // A stale worker names only the step: its own ended attempt is what it means, not the one
    // that somebody else holds now.
    let asker = &room.moment.actor.id;
    let own = state.attempts.iter().rposition(|attempt| {
        attempt
            .claim
            .as_ref()
            .is_some_and(|claim| claim.executor == *asker && ask.own_claims.contains(&claim.id))
    });
    let number = own.map_or(state.last_number(), |at| u32::try_from(at).unwrap_or(0) + 1);
    Ok(AttemptId::new(step.clone(), number))
}

/// Whether the asker may end this claim (K1).
fn holder(room: &Room<'_>, ask: &Complete, id: &AttemptId, claim: &Claim) -> Result<(), Refusal> {
    if ask.claim == Some(claim.id) {
        return Ok(());
    }
    let asker = &room.moment.actor.id;
    let by_name = claim.executor == *asker;
    if by_name && (ask.attempt.is_some() || ask.own_claims.contains(&claim.id)) {
        return Ok(());
    }
    Err(Refusal::NotHolder {
        item: room.item(),
        step: id.key().clone(),
        attempt: id.clone(),
        by: claim.executor.clone(),
        asker: asker.clone(),
        elsewhere: by_name,
        claim: claim.id,
    })
}

/// Whether an ended attempt ended as it is asked to end now, by the same executor.
fn same_content(attempt: &AttemptState, end: &End, ask: &Complete, room: &Room<'_>) -> bool {
    let phase = match ask.ending {
        Ending::Completed => AttemptPhase::Completed,
        Ending::Failed => AttemptPhase::Failed,
        Ending::Rejected => AttemptPhase::Rejected,
    };
    let outputs: BTreeSet<_> = end.outputs.iter().map(|(path, sha, _)| (path, sha)).collect();
    let asked: BTreeSet<_> = ask.outputs.iter().map(|o| (&o.path, &o.sha256)).collect();
    let named = ask.claim.is_some_and(|id| attempt.claim.as_ref().is_some_and(|c| c.id == id));
    attempt.phase == phase
        && (named || end.by == room.moment.actor.id)
        && end.summary == ask.outcome
        && ask.next_action.as_ref().is_none_or(|next| *next == end.next_action)
        && outputs == asked
}

/// Exit criteria of a completion: every one verified (K2).
fn verified(
    room: &Room<'_>,
    at: usize,
    id: &AttemptId,
    ask: &Complete,
) -> Result<Vec<Verification>, Refusal> {
    let exit = &room.workflow.steps()[at].definition.exit;
    if ask.ending != Ending::Completed {
        return Ok(Vec::new());
    }
    let given = |id: &CriterionId| ask.verified.iter().rev().find(|v| v.id == *id);
    let open: Vec<_> = exit.iter().filter(|c| given(&c.id).is_none()).cloned().collect();
    if !open.is_empty() {
        return Err(Refusal::NotVerified {
            item: room.item(),
            step: room.workflow.steps()[at].key.clone(),
            attempt: id.clone(),
            open,
            of: exit.len(),
            verified: ask.verified.iter().map(|v| v.id.clone()).collect(),
        });
    }
    for verified in &ask.verified {
        if let Some(evidence) = &verified.evidence {
            text("the evidence", evidence)?;
        }
    }
    let verification = |v: &Verified| Verification {
        id: v.id.clone(),
        evidence: v.evidence.clone(),
        check: v.check.clone(),
    };
    Ok(exit.iter().filter_map(|c| given(&c.id)).map(verification).collect())
}

/// Outputs by path, each path once.
fn sorted(outputs: &[Output]) -> Result<Vec<Output>, Refusal> {
    let mut outputs = outputs.to_vec();
    outputs.sort_by(|a, b| a.path.cmp(&b.path));
    if let Some(pair) = outputs.windows(2).find(|pair| pair[0].path == pair[1].path) {
        return Err(Refusal::Invalid(format!("output {} is named twice", pair[0].path)));
    }
    Ok(outputs)
}

/// SHA-256 over the sorted path and digest pairs and the outcome (G2).
#[must_use]
pub fn outputs_digest(outputs: &[Output], outcome: &str) -> Digest {
    let mut bytes = Vec::new();
    for output in outputs {
        bytes.extend_from_slice(output.path.as_bytes());
        bytes.push(0);
        bytes.extend_from_slice(output.sha256.as_str().as_bytes());
        bytes.push(b'\n');
    }
    Digest::of_parts(&[&bytes, b"outcome\0", outcome.as_bytes()])
}

/// An earlier completed attempt of the step that started from the same inputs (K5).
fn reused(room: &Room<'_>, at: usize, inputs: &Digest) -> Option<AttemptId> {
    let state = &room.state.steps[at];
    let found = state.attempts.iter().rposition(|attempt| {
        attempt.phase == AttemptPhase::Completed
            && attempt.end.as_ref().and_then(|end| end.inputs_digest.as_ref()) == Some(inputs)
    })?;
    let key = room.workflow.steps()[at].key.clone();
    Some(AttemptId::new(key, u32::try_from(found).ok()? + 1))
}

/// What the schedule says next, once this attempt has ended.
fn next_action(room: &Room<'_>, at: usize, ending: Ending) -> String {
    let key = &room.workflow.steps()[at].key;
    if ending != Ending::Completed {
        return format!("look at why, then requeue {key}");
    }
    let mut done = room.state.done();
    done[at] = true;
    let open = room.workflow.graph().open(&done);
    let steps = room.workflow.steps();
    let free = |next: &usize| {
        use super::super::state::Standing;
        open[*next]
            && matches!(room.state.steps[*next].standing(), Standing::Untouched | Standing::Queued)
    };
    match (0..steps.len()).find(free) {
        Some(next) if steps[next].is_gate() => format!("decide gate {}", steps[next].key),
        Some(next) => format!("claim {}", steps[next].key),
        None if done.iter().all(|done| *done) => "nothing: every step is done".into(),
        None => "wait for the steps in progress".into(),
    }
}

/// The step's own retry: a further attempt in the transaction that records the failure.
fn retry(
    room: &Room<'_>,
    at: usize,
    id: &AttemptId,
    claim: &Claim,
    ask: &Complete,
) -> Option<super::super::event::Event> {
    let on = match ask.ending {
        Ending::Completed => return None,
        Ending::Failed => RetryOn::Failed,
        Ending::Rejected => RetryOn::Rejected,
    };
    let step = &room.workflow.steps()[at];
    let retry = step.definition.retry.as_ref().filter(|retry| retry.on.contains(&on))?;
    let state = &room.state.steps[at];
    let tries = state.attempts.iter().filter(|attempt| attempt.round == state.round).count();
    if tries > retry.max as usize {
        return None;
    }
    let next = AttemptId::new(step.key.clone(), id.number() + 1);
    let reason = format!("retry {tries} of {} after {id}: {}", retry.max, ask.outcome);
    let reason = reason.chars().take(1000).collect::<String>();
    Some(room.fact(
        1,
        Some(at),
        Some(next),
        outcome("queued", reason.clone()),
        format!("claim {}", step.key),
        vec![link("retry-of", &claim.event)],
        EventData::AttemptRequeued(AttemptRequeued {
            retry_of: id.clone(),
            cause: RequeueCause::Retry,
            reason,
            round: state.round,
        }),
    ))
}
