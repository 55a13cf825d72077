//! One item: where it stands, why, and what is left (FR-015).

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::decide::GateRules;
use crate::domain::event::{Baseline, Event, EventData};
use crate::domain::id::{
    AttemptId, ClaimId, CriterionId, Digest, ExecutorId, ItemId, PrincipalId, StepKey,
};
use crate::domain::migration::Migration;
use crate::domain::schedule::{Answer, Schedule, direct_blockers};
use crate::domain::state::{
    AttemptState, Blocker, Done, ItemState, LedgerState, Return, Standing, StepState, WorkflowKey,
    standing_word,
};
use crate::domain::status::{Status, statuses};
use crate::domain::workflow::Workflow;

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
    /// Where the outputs are authoritative; null while they are provisional.
    pub integrated: Option<IntegratedReport>,
    pub owner: Option<PrincipalId>,
    /// How ownership moved, in order.
    pub transfers: Vec<TransferReport>,
    pub priority: Option<u32>,
    pub labels: Vec<String>,
    /// The plan's path as it was given.
    pub plan: Option<String>,
    pub registered_at: DateTime<Utc>,
    /// The latest fact.
    pub last_at: DateTime<Utc>,
    pub review: Option<ReviewReport>,
    /// What a person last decided about a suspicion, or noted beside it.
    pub reviewed: Option<ReviewedReport>,
    /// Related items; both go on.
    pub linked: Vec<ItemId>,
    /// Who ended it without its work being done, and where it lives on.
    pub ended: Option<EndedReport>,
    pub blockers: Vec<BlockerReport>,
    /// How long it was blocked up to the latest fact, in seconds; what several blockers share
    /// counts once.
    pub blocked_seconds: u64,
    pub last_return: Option<ReturnReport>,
    pub rework: ReworkReport,
    /// What gates asked for beside their decision, oldest first.
    pub follow_ups: Vec<FollowUpReport>,
    pub resumed: Option<ResumedReport>,
    /// Moves to another version of the workflow, in order.
    pub migrations: Vec<MigrationReport>,
    /// The ready attempts in launch order.
    pub launch_order: Vec<AttemptId>,
    pub steps: Vec<StepReport>,
    /// Steps of earlier versions that this one does not have, with what was tried there.
    pub former_steps: Vec<FormerStepReport>,
}

/// The boundary between provisional and authoritative (FR-010).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IntegratedReport {
    pub by: PrincipalId,
    pub at: DateTime<Utc>,
    pub commit: String,
    pub branch: String,
    /// Why it was accepted although not all of it could be shown to have landed.
    pub accepted: Option<String>,
}

/// A move to another version of the workflow (FR-016).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MigrationReport {
    pub from: WorkflowReport,
    pub to: WorkflowReport,
    pub by: PrincipalId,
    pub at: DateTime<Utc>,
    pub reason: String,
    /// Steps that got another key.
    pub renamed: Vec<RenamedStep>,
    pub dropped: Vec<StepKey>,
    /// Whether it was taken back.
    pub rolled_back: bool,
}

/// A step that got another key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RenamedStep {
    pub from: StepKey,
    pub to: StepKey,
}

/// A step that the item's version of the workflow does not have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FormerStepReport {
    pub key: StepKey,
    /// Where it stood when it went.
    pub state: String,
    pub attempts: Vec<AttemptReport>,
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

/// What a person decided about a suspicion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReviewedReport {
    pub by: PrincipalId,
    pub at: DateTime<Utc>,
    pub rationale: String,
}

/// A merge, a closing or a cancellation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EndedReport {
    /// merged, closed or cancelled.
    pub how: String,
    pub by: PrincipalId,
    pub at: DateTime<Utc>,
    pub reason: String,
    /// The item it lives on in.
    pub survivor: Option<ItemId>,
}

/// A change of who is accountable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TransferReport {
    pub from: Option<PrincipalId>,
    pub to: PrincipalId,
    pub by: PrincipalId,
    pub at: DateTime<Utc>,
    pub reason: String,
}

/// Something outside that holds the item, or held it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BlockerReport {
    pub blocker_id: CriterionId,
    pub blocker_type: String,
    /// Empty means all.
    pub steps: Vec<StepKey>,
    pub notes: String,
    /// Who is to see that it goes away.
    pub owner: PrincipalId,
    pub declared_by: PrincipalId,
    pub declared_at: DateTime<Utc>,
    pub resolved_by: Option<PrincipalId>,
    pub resolved_at: Option<DateTime<Utc>>,
    pub resolution: Option<String>,
}

/// How often the item went back, by step and by reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReworkReport {
    pub count: usize,
    /// How often each step was void, in launch order; none that never was.
    pub by_step: Vec<ReworkedStep>,
    /// By the words that were given, most often first.
    pub by_reason: Vec<ReworkReason>,
    pub returns: Vec<ReturnReport>,
}

/// A step that was done again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReworkedStep {
    pub step_key: StepKey,
    pub count: usize,
}

/// Why items went back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReworkReason {
    pub reason: String,
    pub count: usize,
}

/// What one decision of a gate asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FollowUpReport {
    pub gate: AttemptId,
    /// `approved` or `rejected`.
    pub decision: String,
    pub by: PrincipalId,
    pub at: DateTime<Utc>,
    pub to_do: Vec<String>,
}

/// What decisions of gates asked for, oldest first; other events say nothing here.
#[must_use]
pub fn follow_ups<'a>(events: impl IntoIterator<Item = &'a Event>) -> Vec<FollowUpReport> {
    let mut all: Vec<FollowUpReport> = events
        .into_iter()
        .filter_map(|event| {
            let (decision, to_do) = match &event.data {
                EventData::GateApproved(data) => ("approved", &data.follow_ups),
                EventData::GateRejected(data) => ("rejected", &data.follow_ups),
                _ => return None,
            };
            let gate = event.attempt_id.clone().filter(|_| !to_do.is_empty())?;
            Some(FollowUpReport {
                gate,
                decision: decision.to_owned(),
                by: event.actor.principal.clone(),
                at: event.timestamp,
                to_do: to_do.clone(),
            })
        })
        .collect();
    all.sort_by(|a, b| (a.at, &a.gate, &a.by).cmp(&(b.at, &b.gate, &b.by)));
    all
}

impl ItemReport {
    /// The same with the quorums that policy gives the gates that do not say.
    #[must_use]
    pub fn under(mut self, ledger: &LedgerState, workflow: &Workflow) -> Self {
        for (step, report) in workflow.steps().iter().zip(&mut self.steps) {
            let gate = step.definition.gate.as_ref();
            report.quorum = gate.map(|gate| GateRules::of(ledger, gate).quorum);
        }
        self
    }
}

/// The last resumption after an interruption.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResumedReport {
    pub by: PrincipalId,
    pub at: DateTime<Utc>,
    pub reason: String,
}

/// A way back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReturnReport {
    pub by: PrincipalId,
    pub at: DateTime<Utc>,
    pub reason: String,
    pub gate: Option<AttemptId>,
    /// The commit that undid an integration; null where the item was provisional.
    pub reverted_by: Option<String>,
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
    /// Distinct principals a gate needs now, by its workflow or else by policy.
    pub quorum: Option<u32>,
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
    /// Open blockers that hold it, or would once it is its turn.
    pub blockers: Vec<CriterionId>,
    pub entry: Vec<CriterionReport>,
    pub exit: Vec<CriterionReport>,
    pub plan_line: Option<u32>,
    /// The key it was done under before a migration.
    pub carried_from: Option<StepKey>,
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
    /// Why it cannot start, in words.
    pub reason: Option<String>,
    /// Who is accountable for the item.
    pub owner: Option<PrincipalId>,
    /// Why the item takes no more work, and where it lives on.
    pub ended: Option<EndedReport>,
    /// Open blockers of this step.
    pub blockers: Vec<BlockerReport>,
    /// What gates of the item asked for beside their decision, oldest first.
    pub follow_ups: Vec<FollowUpReport>,
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
    // In whichever order they were recorded, the report says the same (L4).
    let mut linked = state.review.linked.clone();
    linked.sort_unstable();
    ItemReport {
        work_item_id: state.id.clone(),
        title: state.title.clone(),
        description: state.description.clone(),
        status: words.first().copied().unwrap_or("blocked").to_owned(),
        flags: words.iter().skip(1).map(|&word| word.to_owned()).collect(),
        round: state.round(),
        steps_done: schedule.done.iter().filter(|done| **done).count(),
        steps_total: schedule.done.len(),
        workflow: version(&state.workflow),
        baseline: state.baseline(),
        integrated: state.integrated.as_ref().map(|known| IntegratedReport {
            by: known.by.clone(),
            at: known.at,
            commit: known.commit.clone(),
            branch: known.branch.clone(),
            accepted: known.accepted.clone(),
        }),
        owner: state.owner.clone(),
        transfers: state
            .transfers
            .iter()
            .map(|transfer| TransferReport {
                from: transfer.from.clone(),
                to: transfer.to.clone(),
                by: transfer.by.clone(),
                at: transfer.at,
                reason: transfer.reason.clone(),
            })
            .collect(),
        migrations: state.migrations.iter().map(migration).collect(),
        former_steps: state
            .parked
            .iter()
            .map(|(key, step)| FormerStepReport {
                key: key.clone(),
                state: standing_word(step.standing()).to_owned(),
                attempts: attempts(key, step),
            })
            .collect(),
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
        reviewed: state.review.last.as_ref().map(|last| ReviewedReport {
            by: last.by.clone(),
            at: last.at,
            rationale: last.rationale.clone(),
        }),
        linked,
        ended: ended(state),
        blockers: state.blockers.iter().map(blocker).collect(),
        blocked_seconds: u64::try_from(state.blocked_until(state.last_at).num_seconds())
            .unwrap_or(0),
        last_return: state.last_return().map(returned),
        rework: rework(workflow, state),
        follow_ups: Vec::new(),
        resumed: state.resumed.as_ref().map(|resumed| ResumedReport {
            by: resumed.by.clone(),
            at: resumed.at,
            reason: resumed.reason.clone(),
        }),
        launch_order,
        steps,
    }
}

fn returned(back: &Return) -> ReturnReport {
    ReturnReport {
        by: back.by.clone(),
        at: back.at,
        reason: back.reason.clone(),
        gate: back.gate.clone(),
        reverted_by: back.reverted_by.clone(),
        to: back.to.clone(),
        void: back.void.clone(),
    }
}

fn ended(state: &ItemState) -> Option<EndedReport> {
    state.ended.as_ref().map(|ended| EndedReport {
        how: state.phase.word().to_owned(),
        by: ended.by.clone(),
        at: ended.at,
        reason: ended.reason.clone(),
        survivor: state.review.survivor.clone(),
    })
}

fn blocker(blocker: &Blocker) -> BlockerReport {
    let (resolved_by, resolution) = blocker.resolution.clone().unzip();
    BlockerReport {
        blocker_id: blocker.id.clone(),
        blocker_type: blocker.kind.clone(),
        steps: blocker.steps.clone(),
        notes: blocker.notes.clone(),
        owner: blocker.owner.clone(),
        declared_by: blocker.by.clone(),
        declared_at: blocker.at,
        resolved_by,
        resolved_at: blocker.resolved_at,
        resolution,
    }
}

/// How often an item went back (FR-021).
fn rework(workflow: &Workflow, state: &ItemState) -> ReworkReport {
    let times = |key: &StepKey| state.returns.iter().filter(|back| back.void.contains(key)).count();
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for back in &state.returns {
        *reasons.entry(&back.reason).or_default() += 1;
    }
    let mut by_reason: Vec<ReworkReason> = reasons
        .into_iter()
        .map(|(reason, count)| ReworkReason { reason: reason.to_owned(), count })
        .collect();
    by_reason.sort_by_key(|reason| std::cmp::Reverse(reason.count));
    ReworkReport {
        count: state.returns.len(),
        by_step: workflow
            .steps()
            .iter()
            .map(|step| ReworkedStep { step_key: step.key.clone(), count: times(&step.key) })
            .filter(|step| step.count > 0)
            .collect(),
        by_reason,
        returns: state.returns.iter().map(returned).collect(),
    }
}

/// The word for a step in views.
fn word(answer: &Answer, standing: Standing) -> &'static str {
    match answer {
        Answer::Done(Done::ImportedDone) => "imported",
        Answer::Done(Done::Skipped | Done::ImportedSkipped) => "skipped",
        Answer::Done(Done::Completed | Done::Approved | Done::Carried) => "done",
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
        gate: step.definition.gate.as_ref().map(|gate| gate.kind.word().to_owned()),
        quorum: step.definition.gate.as_ref().and_then(|gate| gate.quorum),
        parallelizable: step.definition.parallelizable,
        state: word(answer, now.standing()).to_owned(),
        round: now.round,
        attempt_id: current.map(|_| AttemptId::new(step.key.clone(), now.last_number())),
        executor: claim.filter(|_| holds).map(|claim| claim.executor.clone()),
        claimed_at: claim.filter(|_| holds).map(|claim| claim.at),
        lease_until: claim.filter(|_| holds).and_then(|claim| claim.lease_until),
        waits_for,
        reason,
        blockers: match answer {
            Answer::Done(_) => Vec::new(),
            _ => state.open_blockers(&step.key).map(|blocker| blocker.id.clone()).collect(),
        },
        entry: criteria(&step.definition.entry, &attested),
        exit: criteria(&step.definition.exit, &verified),
        plan_line: step.definition.source.as_ref().map(|source| source.line),
        carried_from: now.carried.as_ref().map(|carried| carried.from.clone()),
        attempts: attempts(&step.key, now),
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

fn version(workflow: &WorkflowKey) -> WorkflowReport {
    WorkflowReport {
        name: workflow.name.to_string(),
        version: workflow.version,
        sha256: workflow.sha256.clone(),
    }
}

fn migration(migration: &Migration) -> MigrationReport {
    let renamed = migration.map.iter().filter(|(from, to)| from != to);
    MigrationReport {
        from: version(&migration.from),
        to: version(&migration.to),
        by: migration.by.clone(),
        at: migration.at,
        reason: migration.reason.clone(),
        renamed: renamed
            .map(|(from, to)| RenamedStep { from: from.clone(), to: to.clone() })
            .collect(),
        dropped: migration.drop.clone(),
        rolled_back: migration.rolled_back,
    }
}

fn attempts(key: &StepKey, now: &StepState) -> Vec<AttemptReport> {
    (1..)
        .zip(&now.attempts)
        .map(|(number, attempt)| {
            let (claim, end) = (attempt.claim.as_ref(), attempt.end.as_ref());
            AttemptReport {
                attempt_id: AttemptId::new(key.clone(), number),
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
                retry_of: attempt.retry_of.map(|n| AttemptId::new(key.clone(), n)),
                approvals: approvals(attempt),
            }
        })
        .collect()
}

/// Who said yes, each once, in order.
fn approvals(attempt: &AttemptState) -> Vec<PrincipalId> {
    let mut all: Vec<PrincipalId> = Vec::new();
    for approval in &attempt.approvals {
        if !all.contains(&approval.principal) {
            all.push(approval.principal.clone());
        }
    }
    all
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
            let (key, worked) = state.worked_as(&step.key, now);
            let end = worked.current().and_then(|attempt| attempt.end.as_ref());
            PredecessorReport {
                step_key: step.key.clone(),
                title: step.title().to_owned(),
                state: standing_word(now.standing()).to_owned(),
                attempt_id: end.map(|_| AttemptId::new(key.clone(), worked.last_number())),
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
        reason: whole.reason,
        owner: state.owner.clone(),
        ended: ended(state),
        blockers: state.open_blockers(&definition.key).map(blocker).collect(),
        follow_ups: Vec::new(),
        returned: state
            .last_return()
            .filter(|back| back.void.contains(&definition.key))
            .map(returned),
        earlier,
        predecessors,
    }
}
