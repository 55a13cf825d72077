//! People decide a gate; a "no" opens the way back (FR-006, FR-021; G1–G3).

use std::collections::BTreeSet;

use super::super::event::{EventData, GateApproved, GateRejected};
use super::super::id::{Digest, PrincipalId, RoleName, StepKey};
use super::super::refusal::Refusal;
use super::super::schedule::{Answer, Hold, direct_blockers};
use super::super::state::{Done, ItemState, Standing};
use super::super::transition::AttemptPhase;
use super::super::workflow::{GateDefinition, SelfReview, Workflow};
use super::policy::{Admission, GateRules, admitted, members};
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

/// How a principal comes to be allowed to decide, and how many have to.
struct Admitted {
    role: Option<RoleName>,
    role_unchecked: bool,
    self_review: bool,
    quorum: u32,
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
    let again = !yes.insert(principal);
    let (approvals, quorum) = (count(&yes), admitted.quorum);
    let decided = approvals >= quorum;
    // A quorum that policy lowered since is reached by those who said yes before: one of them
    // says it again, and that is the approval that decides.
    if again && !decided {
        return Ok(Decided::Unchanged(Unchanged::Approved { attempt, approvals, quorum }));
    }
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
    let yes: BTreeSet<&PrincipalId> =
        attempt.approvals.iter().map(|approval| &approval.principal).collect();
    let approvals = u32::try_from(yes.len()).unwrap_or(u32::MAX);
    (attempt.phase == AttemptPhase::Approved && yes.contains(principal)).then(|| {
        // It passed by what was asked then, whatever is asked now.
        let quorum = GateRules::of(room.ledger, gate).quorum.min(approvals);
        Unchanged::Approved { attempt: room.current(at), approvals, quorum }
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
    let rules = GateRules::of(room.ledger, gate);
    let (ids, roles) = match &gate.approvers {
        Some(approvers) => (approvers.ids.as_slice(), approvers.roles.as_slice()),
        None => (&[][..], &[][..]),
    };
    let Some(Admission { role, role_unchecked }) = admitted(room.ledger, principal, ids, roles)
    else {
        return Err(Refusal::NotApprover {
            item: room.item(),
            step: step.clone(),
            principal: principal.clone(),
            ids: ids.to_vec(),
            roles: members(room.ledger, roles),
        });
    };
    let worked_on = (0..at).find(|&lower| worker(room, lower) == Some(principal));
    if let Some(worked_on) = worked_on
        && rules.self_review == SelfReview::Refused
    {
        return Err(Refusal::SelfReview {
            item: room.item(),
            step: step.clone(),
            principal: principal.clone(),
            worked_on: room.workflow.steps()[worked_on].key.clone(),
        });
    }
    let self_review = worked_on.is_some();
    Ok(Admitted { role, role_unchecked, self_review, quorum: rules.quorum })
}

/// Whose work a step in force is, under whatever key it was done.
fn worker<'a>(room: &'a Room<'_>, at: usize) -> Option<&'a PrincipalId> {
    let mut state = &room.state.steps[at];
    // A step is carried at most once a migration.
    for _ in 0..room.state.migrations.len() {
        let Some(carried) = &state.carried else { break };
        let here = || room.workflow.position(&carried.from).map(|at| &room.state.steps[at]);
        state = room.state.parked.get(&carried.from).or_else(here)?;
    }
    // What was skipped or imported is nobody's work, whatever came of it in earlier rounds.
    if !matches!(room.state.steps[at].standing(), Standing::Done(Done::Completed | Done::Carried)) {
        return None;
    }
    let done = state.attempts.iter().rev().find(|a| a.phase == AttemptPhase::Completed)?;
    done.claim.as_ref().map(|claim| &claim.principal)
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
