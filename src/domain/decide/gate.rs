//! People decide a gate; a "no" opens the way back (FR-006, FR-021; G1–G3).

use std::collections::BTreeSet;

use super::super::event::{EventData, GateApproved, GateRejected};
use super::super::id::{Digest, PrincipalId, RoleName, StepKey};
use super::super::refusal::Refusal;
use super::super::schedule::{Answer, Hold, direct_blockers};
use super::super::state::{ItemState, Standing};
use super::super::transition::AttemptPhase;
use super::super::workflow::{GateDefinition, SelfReview, Workflow};
use super::rework::{self, void_set};
use super::{Decided, LINKS, Room, Unchanged, link, outcome, text};

/// One principal says yes.
#[derive(Debug, Clone)]
pub struct ApproveGate {
    pub step: StepKey,
    pub reason: String,
    pub follow_ups: Vec<String>,
}

/// One principal says no.
#[derive(Debug, Clone)]
pub struct RejectGate {
    pub step: StepKey,
    pub reason: String,
    /// Where the item goes back to; the gate's `rejectTo` when left out.
    pub return_to: Option<StepKey>,
    /// Take the claims of steps that become void.
    pub release_claims: bool,
    pub follow_ups: Vec<String>,
}

/// How a principal comes to be allowed to decide.
struct Admitted {
    role: Option<RoleName>,
    role_unchecked: bool,
    self_review: bool,
}

pub(super) fn approve(room: &Room<'_>, ask: &ApproveGate) -> Result<Decided, Refusal> {
    text("the reason", &ask.reason)?;
    ask.follow_ups.iter().try_for_each(|todo| text("a follow-up", todo))?;
    if let Some(unchanged) = approved_before(room, &ask.step) {
        return Ok(Decided::Unchanged(unchanged));
    }
    let (at, gate) = pending(room, &ask.step)?;
    let admitted = admit(room, at, gate)?;
    let attempt = room.current(at);
    let digest = gate_digest(room.workflow, room.state, at);
    let principal = &room.moment.actor.principal;
    let mut yes: BTreeSet<&PrincipalId> = room.state.steps[at]
        .current()
        .map(|attempt| attempt.approvals.iter())
        .into_iter()
        .flatten()
        .filter(|approval| approval.outputs_digest == digest)
        .map(|approval| &approval.principal)
        .collect();
    let count = |yes: &BTreeSet<_>| u32::try_from(yes.len()).unwrap_or(u32::MAX);
    if !yes.insert(principal) {
        return Ok(Decided::Unchanged(Unchanged::Approved {
            attempt,
            approvals: count(&yes),
            quorum: gate.quorum(),
        }));
    }
    let (approvals, quorum) = (count(&yes), gate.quorum());
    let decided = approvals >= quorum;
    let summary =
        if decided { ask.reason.clone() } else { format!("{approvals} of {quorum} approvals") };
    let fact = room.fact(
        0,
        Some(at),
        Some(attempt),
        outcome("approved", summary),
        if decided { "go on".into() } else { format!("{} more to approve", quorum - approvals) },
        reviewed(room, at),
        EventData::GateApproved(GateApproved {
            reason: ask.reason.clone(),
            round: room.state.steps[at].round,
            outputs_digest: digest,
            approvals,
            quorum,
            decided,
            role: admitted.role,
            role_unchecked: admitted.role_unchecked,
            self_review: admitted.self_review,
            follow_ups: ask.follow_ups.clone(),
        }),
    );
    Ok(Decided::Facts(vec![fact]))
}

pub(super) fn reject(room: &Room<'_>, ask: &RejectGate) -> Result<Decided, Refusal> {
    text("the reason", &ask.reason)?;
    ask.follow_ups.iter().try_for_each(|todo| text("a follow-up", todo))?;
    if let Some(unchanged) = rejected_before(room, &ask.step, &ask.reason) {
        return Ok(Decided::Unchanged(unchanged));
    }
    let (at, gate) = pending(room, &ask.step)?;
    let admitted = admit(room, at, gate)?;
    let Some(to) = ask.return_to.as_ref().or(gate.reject_to.as_ref()) else {
        let lower = room.workflow.steps()[..at].iter().map(|step| step.key.clone());
        return Err(Refusal::NoReturn {
            item: room.item(),
            step: ask.step.clone(),
            candidates: lower.collect(),
        });
    };
    let back = rework::target(room, to, Some(at))?;
    let void = void_set(room.workflow, room.state, back, Some(at));
    let why = format!("{} was rejected: {}", room.current(at), ask.reason);
    let mut facts = rework::clear_the_way(room, to, &void, Some(at), ask.release_claims, &why)?;
    facts.push(room.fact(
        facts.len(),
        Some(at),
        Some(room.current(at)),
        outcome("rejected", &ask.reason),
        format!("rework {to}"),
        reviewed(room, at),
        EventData::GateRejected(GateRejected {
            reason: ask.reason.clone(),
            round: room.state.steps[at].round,
            return_to: to.clone(),
            void: rework::void_steps(room, &void),
            role: admitted.role,
            role_unchecked: admitted.role_unchecked,
            self_review: admitted.self_review,
            follow_ups: ask.follow_ups.clone(),
        }),
    ));
    Ok(Decided::Facts(facts))
}

/// The gate passed, and this principal's yes is one of those it passed by.
fn approved_before(room: &Room<'_>, key: &StepKey) -> Option<Unchanged> {
    let at = room.workflow.position(key)?;
    let gate = room.workflow.steps()[at].definition.gate.as_ref()?;
    let attempt = room.state.steps[at].current()?;
    let principal = &room.moment.actor.principal;
    let said = attempt.approvals.iter().any(|approval| approval.principal == *principal);
    (attempt.phase == AttemptPhase::Approved && said).then(|| Unchanged::Approved {
        attempt: room.current(at),
        approvals: u32::try_from(attempt.approvals.len()).unwrap_or(u32::MAX),
        quorum: gate.quorum(),
    })
}

/// This principal said no with these words, and the gate has not opened again since.
fn rejected_before(room: &Room<'_>, key: &StepKey, reason: &str) -> Option<Unchanged> {
    let at = room.workflow.position(key)?;
    let state = &room.state.steps[at];
    let end = state.attempts.last().filter(|a| a.phase == AttemptPhase::Rejected)?.end.as_ref()?;
    let same = end.principal == room.moment.actor.principal && end.summary == reason;
    let waits = state.standing() == Standing::Untouched;
    (same && waits).then(|| Unchanged::Rejected { attempt: room.current(at) })
}

/// The gate, if people can decide it now.
fn pending<'a>(room: &Room<'a>, key: &StepKey) -> Result<(usize, &'a GateDefinition), Refusal> {
    let at = room.step(key)?;
    let step = &room.workflow.steps()[at];
    let Some(gate) = &step.definition.gate else {
        return Err(Refusal::NotGate { item: room.item(), step: key.clone() });
    };
    room.not_held_nor_done(at)?;
    room.active()?;
    let schedule = room.schedule();
    match &schedule.answers[at] {
        Answer::PendingGate(_) => Ok((at, gate)),
        Answer::Held { hold: Hold::Review, .. } => Err(room.under_review()),
        Answer::Held { hold: Hold::Blockers(blockers), .. } => Err(Refusal::Blocked {
            item: room.item(),
            step: key.clone(),
            blockers: blockers.clone(),
        }),
        Answer::Done(_)
        | Answer::InProgress(_)
        | Answer::Ready { .. }
        | Answer::Held { .. }
        | Answer::NeedsRequeue { .. }
        | Answer::Unopened
        | Answer::Waiting => {
            let (waits_for, more) = direct_blockers(room.workflow, &schedule, at);
            Err(Refusal::GateNotOpen { item: room.item(), step: key.clone(), waits_for, more })
        }
    }
}

/// Whether the asking principal may decide, and under what (G2).
fn admit(room: &Room<'_>, at: usize, gate: &GateDefinition) -> Result<Admitted, Refusal> {
    let principal = &room.moment.actor.principal;
    let step = &room.workflow.steps()[at].key;
    let (mut role, mut role_unchecked) = (None, false);
    if let Some(approvers) = &gate.approvers
        && !(approvers.ids.is_empty() && approvers.roles.is_empty())
        && !approvers.ids.contains(principal)
    {
        let member = |r: &&RoleName| match room.ledger.role_members(r.as_str()) {
            None => true,
            Some(members) => members.iter().any(|member| member == principal.as_str()),
        };
        match approvers.roles.iter().find(member) {
            Some(found) => {
                role_unchecked = room.ledger.role_members(found.as_str()).is_none();
                role = Some(found.clone());
            }
            None => {
                return Err(Refusal::NotApprover {
                    item: room.item(),
                    step: step.clone(),
                    principal: principal.clone(),
                    ids: approvers.ids.clone(),
                    roles: approvers.roles.clone(),
                });
            }
        }
    }
    let worked_on = (0..at).find(|&lower| {
        let state = &room.state.steps[lower];
        state.is_done()
            && state
                .current()
                .and_then(|attempt| attempt.claim.as_ref())
                .is_some_and(|claim| claim.principal == *principal)
    });
    if let Some(worked_on) = worked_on
        && gate.self_review() == SelfReview::Refused
    {
        return Err(Refusal::SelfReview {
            item: room.item(),
            step: step.clone(),
            principal: principal.clone(),
            worked_on: room.workflow.steps()[worked_on].key.clone(),
        });
    }
    Ok(Admitted { role, role_unchecked, self_review: worked_on.is_some() })
}

/// What the gate decides about: the completions of the steps it directly waits for.
fn reviewed(room: &Room<'_>, at: usize) -> Vec<super::super::event::Link> {
    room.workflow
        .graph()
        .direct(at)
        .into_iter()
        .filter_map(|before| room.state.steps[before].current()?.end.as_ref())
        .map(|end| link("reviews", &end.event))
        .take(LINKS)
        .collect()
}

/// The digest a gate's approvals are about: every lower step in force, in schedule order (G2).
#[must_use]
pub fn gate_digest(workflow: &Workflow, item: &ItemState, at: usize) -> Digest {
    let mut text = String::new();
    for (step, state) in workflow.steps()[..at].iter().zip(&item.steps) {
        if state.is_done() {
            text.push_str(&format!("{} {}\n", step.key, state.outputs_digest()));
        }
    }
    Digest::of(text.as_bytes())
}
