//! One executor takes one attempt (FR-027; C1–C5).

use chrono::{DateTime, Duration, Utc};

use super::super::event::{AttemptClaimed, AttestMode, Attestation, EventData};
use super::super::id::{AttemptAlias, ConstraintName, CriterionId, Digest, InvalidId, StepKey};
use super::super::moment::is_sayable;
use super::super::refusal::Refusal;
use super::super::schedule::{Answer, Hold};
use super::super::state::ItemState;
use super::super::workflow::Workflow;
use super::{Decided, LINKS, LiveClaim, Room, awaits_policy, link, outcome};

/// What a claim asks for.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The step; may be left out when `attempt` names an existing one.
    pub step: Option<StepKey>,
    /// The queued `KEY.N`, or a name of the caller's own.
    pub attempt: Option<String>,
    pub attest: Attest,
    /// Seconds; recorded, never enforced by a timer (C5).
    pub lease: Option<u64>,
}

/// Which entry criteria the claimant attests.
#[derive(Debug, Clone, Default)]
pub struct Attest {
    pub named: Vec<CriterionId>,
    /// All of them, recorded as not checked one by one.
    pub all: bool,
}

pub(super) fn decide(
    room: &Room<'_>,
    live: Option<&LiveClaim>,
    in_use: &[(ConstraintName, LiveClaim)],
    ask: &Claim,
) -> Result<Decided, Refusal> {
    let (at, alias) = target(room, ask)?;
    let step = &room.workflow.steps()[at];
    if step.is_gate() {
        return Err(Refusal::IsGate { item: room.item(), step: step.key.clone() });
    }
    room.not_held_nor_done(at)?;
    if let Some(asked) = ask.attempt.as_ref().filter(|_| alias.is_none()) {
        // The caller named KEY.N (or an alias of it): exactly that one, or nothing.
        let asked = room.attempt(asked)?;
        if asked != room.current(at) || room.state.steps[at].current().is_none() {
            return Err(room.finished(&asked));
        }
    }
    if let Some(alias) = &alias
        && let Some(taken) = room.state.aliases.get(alias)
    {
        return Err(Refusal::AliasTaken {
            item: room.item(),
            alias: alias.clone(),
            attempt: taken.clone(),
        });
    }
    ready(room, at)?;
    let attested = attested(room, at, &ask.attest)?;
    if let Some(live) = live {
        return Err(Refusal::ExecutorBusy {
            by: live.executor.clone(),
            item: live.item.clone(),
            step: live.attempt.key().clone(),
            attempt: live.attempt.clone(),
            since: live.since,
        });
    }
    // Steps of this item took their turn above: what is left are claims of other items.
    if let Some((constraint, by)) = in_use.first() {
        return Err(Refusal::ConstraintInUse {
            item: room.item(),
            step: step.key.clone(),
            constraint: constraint.clone(),
            by: Box::new(by.clone()),
            other: room.other_ready(at),
        });
    }
    let attempt = room.current(at);
    let now = room.moment.now();
    let lease_until = ask.lease.map(|seconds| lease_end(now, seconds)).transpose()?;
    let inputs = room.workflow.graph().direct(at).into_iter().filter_map(|before| {
        let key = &room.workflow.steps()[before].key;
        let (_, state) = room.state.worked_as(key, &room.state.steps[before]);
        state
            .current()
            .and_then(|attempt| attempt.end.as_ref())
            .map(|end| link("input", &end.event))
    });
    let actor = &room.moment.actor;
    let fact = room.fact(
        0,
        Some(at),
        Some(attempt.clone()),
        outcome("claimed", format!("{attempt} claimed by {}", actor.id)),
        format!("complete {}", step.key),
        inputs.take(LINKS).collect(),
        EventData::AttemptClaimed(AttemptClaimed {
            claim_id: room.moment.claim_id(),
            alias,
            attested,
            lease_until,
            code: room.moment.code.clone(),
            inputs_digest: inputs_digest(room.workflow, room.state, at),
        }),
    );
    Ok(Decided::Facts(vec![fact]))
}

/// The step a claim is about, and the new name its attempt is to get.
fn target(room: &Room<'_>, ask: &Claim) -> Result<(usize, Option<AttemptAlias>), Refusal> {
    let known = ask.attempt.as_deref().and_then(|name| room.state.attempt_named(name));
    let step = match (&ask.step, &known) {
        (Some(step), Some(attempt)) if attempt.key() != step => {
            if let Some(alias) = ask.attempt.as_ref().and_then(|name| name.parse().ok()) {
                let attempt = attempt.clone();
                return Err(Refusal::AliasTaken { item: room.item(), alias, attempt });
            }
            return Err(Refusal::Invalid(format!(
                "attempt {attempt} is one of step {}, not of {step}",
                attempt.key()
            )));
        }
        (Some(step), _) => step,
        (None, Some(attempt)) => attempt.key(),
        (None, None) => {
            return Err(Refusal::Invalid("name the step to claim: --step KEY".into()));
        }
    };
    let at = room.step(step)?;
    let alias = match (&ask.attempt, known) {
        (Some(name), None) => {
            Some(name.parse().map_err(|e: InvalidId| Refusal::Invalid(e.to_string()))?)
        }
        _ => None,
    };
    Ok((at, alias))
}

/// Refuses when the scheduler does not answer "ready", with its reason.
fn ready(room: &Room<'_>, at: usize) -> Result<(), Refusal> {
    let (item, step) = (room.item(), room.workflow.steps()[at].key.clone());
    room.active()?;
    if awaits_policy(room.ledger, room.state) {
        return Err(room.under_review());
    }
    let schedule = room.schedule();
    match &schedule.answers[at] {
        Answer::Ready { .. } => Ok(()),
        Answer::Waiting | Answer::Unopened => Err(room.not_ready(at, &schedule)),
        Answer::NeedsRequeue { attempt, ended } => {
            Err(Refusal::NeedsRequeue { item, step, attempt: attempt.clone(), ended: *ended })
        }
        Answer::Held { hold, .. } => Err(match hold {
            Hold::Review => room.under_review(),
            Hold::Item { .. } => {
                room.active()?;
                room.not_ready(at, &schedule)
            }
            Hold::Blockers(blockers) => Refusal::Blocked { item, step, blockers: blockers.clone() },
            Hold::Constraint { constraint, by, in_progress } => Refusal::Serialised {
                item,
                step,
                constraint: constraint.clone(),
                by: room.workflow.steps()[*by].key.clone(),
                in_progress: *in_progress,
                holder: room.state.steps[*by]
                    .current()
                    .and_then(|attempt| attempt.claim.as_ref())
                    .map(|claim| claim.executor.clone()),
                other: room.other_ready(at),
            },
        }),
        Answer::PendingGate(_) => Err(Refusal::IsGate { item, step }),
        Answer::InProgress(_) | Answer::Done(_) => {
            room.not_held_nor_done(at)?;
            Err(room.not_ready(at, &schedule))
        }
    }
}

/// Entry criteria: all of them attested, none unknown.
fn attested(room: &Room<'_>, at: usize, attest: &Attest) -> Result<Vec<Attestation>, Refusal> {
    let step = &room.workflow.steps()[at];
    let entry = &step.definition.entry;
    if let Some(unknown) = attest.named.iter().find(|id| !entry.iter().any(|c| c.id == **id)) {
        return Err(Refusal::UnknownCriterion {
            item: room.item(),
            step: step.key.clone(),
            id: unknown.clone(),
            known: entry.iter().map(|c| c.id.clone()).collect(),
        });
    }
    let missing: Vec<_> = entry
        .iter()
        .filter(|criterion| !attest.all && !attest.named.contains(&criterion.id))
        .cloned()
        .collect();
    if !missing.is_empty() {
        return Err(Refusal::NotAttested {
            item: room.item(),
            step: step.key.clone(),
            missing,
            given: attest.named.clone(),
        });
    }
    let mode = |id: &CriterionId| {
        if attest.named.contains(id) { AttestMode::Named } else { AttestMode::All }
    };
    Ok(entry.iter().map(|c| Attestation { id: c.id.clone(), mode: mode(&c.id) }).collect())
}

fn lease_end(now: DateTime<Utc>, seconds: u64) -> Result<DateTime<Utc>, Refusal> {
    i64::try_from(seconds)
        .ok()
        .and_then(Duration::try_seconds)
        .and_then(|lease| now.checked_add_signed(lease))
        .filter(is_sayable)
        .ok_or_else(|| Refusal::Invalid("the lease ends beyond the calendar".into()))
}

/// What a step is worked from: its definition and the outputs of each step it directly waits
/// for, in key order (K5).
#[must_use]
pub fn inputs_digest(workflow: &Workflow, item: &ItemState, at: usize) -> Digest {
    let mut before: Vec<usize> = workflow.graph().direct(at);
    before.sort_by(|&a, &b| workflow.steps()[a].key.cmp(&workflow.steps()[b].key));
    let mut text = format!("{}\n", workflow.steps()[at].sha256());
    for step in before {
        let (key, digest) = (&workflow.steps()[step].key, item.steps[step].outputs_digest());
        text.push_str(&format!("{key} {digest}\n"));
    }
    Digest::of(text.as_bytes())
}
