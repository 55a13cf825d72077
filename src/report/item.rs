//! One item: where it stands, why, and what is left (FR-015).

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::event::Baseline;
use crate::domain::id::{
    AttemptId, ClaimId, CriterionId, Digest, ExecutorId, ItemId, PrincipalId, StepKey,
};
use crate::domain::schedule::{Answer, Schedule, direct_blockers};
use crate::domain::state::{Done, ItemState, Standing, standing_word};
use crate::domain::status::{Status, statuses};
use crate::domain::workflow::{GateKind, Workflow};

/// A workflow version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowReport {
    pub name: String,
    pub version: u32,
    pub sha256: Digest,
}

/// Everything there is to say of an item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ItemReport {
    pub work_item_id: ItemId,
    pub title: String,
    pub description: Option<String>,
    pub status: String,
    pub flags: Vec<String>,
    pub round: u32,
    pub steps_done: usize,
    pub steps_total: usize,
    pub workflow: WorkflowReport,
    pub baseline: Baseline,
    pub owner: Option<PrincipalId>,
    pub priority: Option<u32>,
    pub labels: Vec<String>,
    /// The plan's path as it was given.
    pub plan: Option<String>,
    pub registered_at: DateTime<Utc>,
    /// The latest fact.
    pub last_at: DateTime<Utc>,
    pub review: Option<ReviewReport>,
    pub last_return: Option<ReturnReport>,
    /// The ready attempts in launch order.
    pub launch_order: Vec<AttemptId>,
    pub steps: Vec<StepReport>,
}

/// An open suspicion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReviewReport {
    pub by: PrincipalId,
    pub at: DateTime<Utc>,
    pub reason: String,
    pub suspects: Vec<ItemId>,
}

/// The last way back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReturnReport {
    pub by: PrincipalId,
    pub at: DateTime<Utc>,
    pub reason: String,
    pub gate: Option<AttemptId>,
    pub to: StepKey,
    pub void: Vec<StepKey>,
}

/// One step, with every attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StepReport {
    pub key: StepKey,
    pub order: u32,
    pub title: String,
    pub role: Option<String>,
    /// `review` or `release` for a gate.
    pub gate: Option<String>,
    pub parallelizable: bool,
    /// done, imported, skipped, held, ready, waits, open (a gate people may decide), blocked,
    /// needs-requeue.
    pub state: String,
    pub round: u32,
    /// The current attempt.
    pub attempt_id: Option<AttemptId>,
    pub executor: Option<ExecutorId>,
    pub claimed_at: Option<DateTime<Utc>>,
    pub lease_until: Option<DateTime<Utc>>,
    /// Direct blockers.
    pub waits_for: Vec<StepKey>,
    /// Why it is not ready, in words.
    pub reason: Option<String>,
    pub entry: Vec<CriterionReport>,
    pub exit: Vec<CriterionReport>,
    pub plan_line: Option<u32>,
    pub attempts: Vec<AttemptReport>,
}

/// A criterion and whether it has been shown in the current attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CriterionReport {
    pub id: CriterionId,
    pub text: String,
    pub met: bool,
    /// The command that shows it.
    pub check: Option<Vec<String>>,
}

/// One try.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AttemptReport {
    pub attempt_id: AttemptId,
    pub round: u32,
    /// Of an earlier round: its result no longer counts.
    pub void: bool,
    pub state: String,
    pub alias: Option<String>,
    pub claim_id: Option<ClaimId>,
    pub executor: Option<ExecutorId>,
    pub principal: Option<PrincipalId>,
    pub queued_at: DateTime<Utc>,
    pub claimed_at: Option<DateTime<Utc>>,
    pub ended_at: Option<DateTime<Utc>>,
    pub outcome: Option<String>,
    pub next_action: Option<String>,
    pub outputs: Vec<OutputReport>,
    pub retry_of: Option<AttemptId>,
    pub approvals: Vec<PrincipalId>,
}

/// A produced file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OutputReport {
    pub path: String,
    pub sha256: Digest,
    pub size: u64,
}

/// All a worker needs (C3): what to do, when it is done, and what came before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BriefReport {
    pub work_item_id: ItemId,
    pub item_title: String,
    pub item_description: Option<String>,
    pub step_key: StepKey,
    pub title: String,
    pub description: Option<String>,
    pub role: Option<String>,
    pub done: Option<String>,
    pub entry: Vec<CriterionReport>,
    pub exit: Vec<CriterionReport>,
    pub constraints: Vec<String>,
    pub execute: Option<Vec<String>>,
    pub plan: Option<String>,
    pub plan_line: Option<u32>,
    pub phase: Option<String>,
    pub attempt_id: Option<AttemptId>,
    pub state: String,
    /// Why it was sent back, when it was.
    pub returned: Option<ReturnReport>,
    /// Earlier tries of this step and how they ended.
    pub earlier: Vec<AttemptReport>,
    /// The handoffs this step builds on (FR-014).
    pub predecessors: Vec<PredecessorReport>,
}

/// The handoff of one step before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PredecessorReport {
    pub step_key: StepKey,
    pub title: String,
    pub state: String,
    pub attempt_id: Option<AttemptId>,
    pub by: Option<ExecutorId>,
    pub outcome: Option<String>,
    pub next_action: Option<String>,
    pub outputs: Vec<OutputReport>,
}

/// Reports an item.
#[must_use]
pub fn item(workflow: &Workflow, state: &ItemState) -> ItemReport {
    let schedule = Schedule::of(workflow, state);
    let words: Vec<&str> = statuses(state, &schedule).into_iter().map(Status::word).collect();
    let steps: Vec<StepReport> =
        (0..workflow.steps().len()).map(|at| step(workflow, state, &schedule, at)).collect();
    let launch_order = schedule
        .answers
        .iter()
        .filter_map(|answer| match answer {
            Answer::Ready { attempt, .. } => Some(attempt.clone()),
            _ => None,
        })
        .collect();
    ItemReport {
        work_item_id: state.id.clone(),
        title: state.title.clone(),
        description: state.description.clone(),
        status: words.first().copied().unwrap_or("blocked").to_owned(),
        flags: words.iter().skip(1).map(|&word| word.to_owned()).collect(),
        round: state.round(),
        steps_done: schedule.done.iter().filter(|done| **done).count(),
        steps_total: schedule.done.len(),
        workflow: WorkflowReport {
            name: state.workflow.name.to_string(),
            version: state.workflow.version,
            sha256: state.workflow.sha256.clone(),
        },
        baseline: state.baseline(),
        owner: state.owner.clone(),
        priority: state.priority,
        labels: state.labels.clone(),
        plan: state.plan.as_ref().map(|plan| plan.path.clone()),
        registered_at: state.registered_at,
        last_at: state.last_at,
        review: state.review.flagged.as_ref().map(|flag| ReviewReport {
            by: flag.by.clone(),
            at: flag.at,
            reason: flag.reason.clone(),
            suspects: flag.suspects.clone(),
        }),
        last_return: returned(state),
        launch_order,
        steps,
    }
}

fn returned(state: &ItemState) -> Option<ReturnReport> {
    state.last_return.as_ref().map(|back| ReturnReport {
        by: back.by.clone(),
        at: back.at,
        reason: back.reason.clone(),
        gate: back.gate.clone(),
        to: back.to.clone(),
        void: back.void.clone(),
    })
}

/// The word for a step in views.
fn word(answer: &Answer, standing: Standing) -> &'static str {
    match answer {
        Answer::Done(Done::ImportedDone) => "imported",
        Answer::Done(Done::Skipped | Done::ImportedSkipped) => "skipped",
        Answer::Done(Done::Completed | Done::Approved) => "done",
        Answer::InProgress(_) => "held",
        Answer::Ready { .. } => "ready",
        Answer::PendingGate(_) => "open",
        Answer::Held { .. } => "blocked",
        Answer::NeedsRequeue { .. } => "needs-requeue",
        Answer::Unopened | Answer::Waiting => {
            debug_assert!(matches!(standing, Standing::Untouched | Standing::Queued));
            "waits"
        }
    }
}

fn step(workflow: &Workflow, state: &ItemState, schedule: &Schedule, at: usize) -> StepReport {
    let (step, now) = (&workflow.steps()[at], &state.steps[at]);
    let answer = &schedule.answers[at];
    let current = now.current();
    let claim = current.and_then(|attempt| attempt.claim.as_ref());
    let holds = matches!(answer, Answer::InProgress(_) | Answer::Done(_));
    let (waits_for, reason) = waits(workflow, schedule, at);
    let attested: Vec<_> =
        claim.map(|c| c.attested.iter().map(|(id, _)| id).collect()).unwrap_or_default();
    let verified: Vec<_> = current
        .and_then(|attempt| attempt.end.as_ref())
        .map(|end| end.verified.iter().collect())
        .unwrap_or_default();
    StepReport {
        key: step.key.clone(),
        order: step.order,
        title: step.title().to_owned(),
        role: step.definition.role.as_ref().map(ToString::to_string),
        gate: step.definition.gate.as_ref().map(|gate| kind(gate.kind).to_owned()),
        parallelizable: step.definition.parallelizable,
        state: word(answer, now.standing()).to_owned(),
        round: now.round,
        attempt_id: current.map(|_| AttemptId::new(step.key.clone(), now.last_number())),
        executor: claim.filter(|_| holds).map(|claim| claim.executor.clone()),
        claimed_at: claim.filter(|_| holds).map(|claim| claim.at),
        lease_until: claim.filter(|_| holds).and_then(|claim| claim.lease_until),
        waits_for,
        reason,
        entry: criteria(&step.definition.entry, &attested),
        exit: criteria(&step.definition.exit, &verified),
        plan_line: step.definition.source.as_ref().map(|source| source.line),
        attempts: attempts(state, step, at),
    }
}

fn kind(kind: GateKind) -> &'static str {
    match kind {
        GateKind::Review => "review",
        GateKind::Release => "release",
    }
}

fn criteria(
    criteria: &[crate::domain::workflow::Criterion],
    met: &[&CriterionId],
) -> Vec<CriterionReport> {
    criteria
        .iter()
        .map(|criterion| CriterionReport {
            id: criterion.id.clone(),
            text: criterion.text.clone(),
            met: met.contains(&&criterion.id),
            check: criterion.check.as_ref().map(|check| check.run.clone()),
        })
        .collect()
}

/// What a step waits for and why, as data and in words.
fn waits(workflow: &Workflow, schedule: &Schedule, at: usize) -> (Vec<StepKey>, Option<String>) {
    match &schedule.answers[at] {
        Answer::Waiting => {
            let (keys, more) = direct_blockers(workflow, schedule, at);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let names: Vec<_> = keys.iter().map(StepKey::as_str).collect();
            let reason = format!("waits for {}{more}", names.join(", "));
            (keys, Some(reason))
        }
        Answer::Held { hold, .. } => {
            let (by, reason) = hold.reason(workflow);
            (by.into_iter().collect(), Some(reason))
        }
        Answer::NeedsRequeue { attempt, ended } => {
            (Vec::new(), Some(format!("{attempt} ended as {}", ended.word())))
        }
        Answer::Unopened => (Vec::new(), Some("not opened yet".into())),
        Answer::Done(_) | Answer::InProgress(_) | Answer::Ready { .. } | Answer::PendingGate(_) => {
            (Vec::new(), None)
        }
    }
}

fn attempts(
    state: &ItemState,
    step: &crate::domain::workflow::Step,
    at: usize,
) -> Vec<AttemptReport> {
    let now = &state.steps[at];
    (1..)
        .zip(&now.attempts)
        .map(|(number, attempt)| {
            let (claim, end) = (attempt.claim.as_ref(), attempt.end.as_ref());
            AttemptReport {
                attempt_id: AttemptId::new(step.key.clone(), number),
                round: attempt.round,
                void: attempt.round != now.round,
                state: attempt.phase.word().to_owned(),
                alias: claim.and_then(|c| c.alias.as_ref()).map(ToString::to_string),
                claim_id: claim.map(|claim| claim.id),
                executor: claim.map(|claim| claim.executor.clone()),
                principal: claim.map(|claim| claim.principal.clone()),
                queued_at: attempt.queued_at,
                claimed_at: claim.map(|claim| claim.at),
                ended_at: end.map(|end| end.at),
                outcome: end.map(|end| end.summary.clone()),
                next_action: end.map(|end| end.next_action.clone()),
                outputs: end.map(|end| outputs(&end.outputs)).unwrap_or_default(),
                retry_of: attempt.retry_of.map(|n| AttemptId::new(step.key.clone(), n)),
                approvals: attempt.approvals.iter().map(|a| a.principal.clone()).collect(),
            }
        })
        .collect()
}

fn outputs(outputs: &[(String, Digest, u64)]) -> Vec<OutputReport> {
    outputs
        .iter()
        .map(|(path, sha256, size)| OutputReport {
            path: path.clone(),
            sha256: sha256.clone(),
            size: *size,
        })
        .collect()
}

/// Reports all a worker needs for one step.
#[must_use]
pub fn brief(workflow: &Workflow, state: &ItemState, at: usize) -> BriefReport {
    let schedule = Schedule::of(workflow, state);
    let whole = step(workflow, state, &schedule, at);
    let definition = &workflow.steps()[at].definition;
    let predecessors = workflow
        .graph()
        .direct(at)
        .into_iter()
        .map(|before| {
            let (step, now) = (&workflow.steps()[before], &state.steps[before]);
            let end = now.current().and_then(|attempt| attempt.end.as_ref());
            PredecessorReport {
                step_key: step.key.clone(),
                title: step.title().to_owned(),
                state: standing_word(now.standing()).to_owned(),
                attempt_id: end.map(|_| AttemptId::new(step.key.clone(), now.last_number())),
                by: end.map(|end| end.by.clone()),
                outcome: end.map(|end| end.summary.clone()),
                next_action: end.map(|end| end.next_action.clone()),
                outputs: end.map(|end| outputs(&end.outputs)).unwrap_or_default(),
            }
        })
        .collect();
    let earlier = whole
        .attempts
        .iter()
        .filter(|attempt| {
            attempt.outcome.is_some() && Some(&attempt.attempt_id) != whole.attempt_id.as_ref()
        })
        .cloned()
        .collect();
    BriefReport {
        work_item_id: state.id.clone(),
        item_title: state.title.clone(),
        item_description: state.description.clone(),
        step_key: whole.key,
        title: whole.title,
        description: definition.description.clone(),
        role: whole.role,
        done: definition.done.clone(),
        entry: whole.entry,
        exit: whole.exit,
        constraints: definition.constraints.iter().map(ToString::to_string).collect(),
        execute: definition.execute.as_ref().map(|execute| execute.run.clone()),
        plan: state.plan.as_ref().map(|plan| plan.path.clone()),
        plan_line: whole.plan_line,
        phase: definition.source.as_ref().and_then(|source| source.phase.clone()),
        attempt_id: whole.attempt_id,
        state: whole.state,
        returned: returned(state).filter(|back| back.void.contains(&definition.key)),
        earlier,
        predecessors,
    }
}
