//! Derived files (L2): rewritten in the commit that changes them, and equal to what the events
//! give. Nothing reads them to decide.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::decide::{GateRules, LiveClaim, gate_digest};
use crate::domain::id::{
    AttemptAlias, AttemptId, ClaimId, ConstraintName, Digest, ExecutorId, ItemId, PrincipalId,
    StepKey,
};
use crate::domain::moment::{read_time, read_time_or_null};
use crate::domain::schedule::{Answer, NAMED, Schedule, direct_blockers, ended_words};
use crate::domain::state::{Approval, ItemState, LedgerState, StepState};
use crate::domain::transition::ItemPhase;
use crate::domain::workflow::{GateKind, Step, Workflow};

use super::path::{Busy, busy_path};

/// `artifacts/ledger.json`: what this branch is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LedgerDoc {
    /// `stepseal/ledger/1`.
    pub schema: String,
    /// From 1; an older program never writes a newer ledger.
    pub format: u32,
    /// Tells ledgers apart.
    pub id: uuid::Uuid,
    #[serde(deserialize_with = "read_time")]
    pub created: DateTime<Utc>,
}

/// `artifacts/claims/…`: one assignment (executor, claimed at, released at, terminal state).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AssignmentDoc {
    pub work_item_id: ItemId,
    pub step_key: StepKey,
    pub attempt_id: AttemptId,
    pub alias: Option<AttemptAlias>,
    pub executor: ExecutorId,
    pub principal: PrincipalId,
    pub claim_id: ClaimId,
    #[serde(deserialize_with = "read_time")]
    pub claimed_at: DateTime<Utc>,
    #[serde(deserialize_with = "read_time_or_null")]
    pub lease_until: Option<DateTime<Utc>>,
    #[serde(deserialize_with = "read_time_or_null")]
    pub released_at: Option<DateTime<Utc>>,
    pub terminal_state: Option<String>,
    pub inputs_digest: Digest,
}

impl AssignmentDoc {
    /// Every assignment of an item, in launch order; those of parked steps last.
    #[must_use]
    pub fn of(workflow: &Workflow, item: &ItemState) -> Vec<Self> {
        let steps = workflow.steps().iter().map(|step| &step.key).zip(&item.steps);
        steps
            .chain(&item.parked)
            .flat_map(|(key, step)| Self::of_step(&item.id, key, step))
            .collect()
    }

    /// The assignments of one step.
    #[must_use]
    pub fn of_step(item: &ItemId, key: &StepKey, step: &StepState) -> Vec<Self> {
        let mut docs = Vec::new();
        for (number, attempt) in (1..).zip(&step.attempts) {
            let Some(claim) = &attempt.claim else { continue };
            docs.push(Self {
                work_item_id: item.clone(),
                step_key: key.clone(),
                attempt_id: AttemptId::new(key.clone(), number),
                alias: claim.alias.clone(),
                executor: claim.executor.clone(),
                principal: claim.principal.clone(),
                claim_id: claim.id,
                claimed_at: claim.at,
                lease_until: claim.lease_until,
                released_at: attempt.end.as_ref().map(|end| end.at),
                terminal_state: attempt
                    .phase
                    .is_terminal()
                    .then(|| attempt.phase.word().to_owned()),
                inputs_digest: claim.inputs_digest.clone(),
            });
        }
        docs
    }
}

/// `artifacts/busy/…`: an executor, or a constraint of the whole ledger, and the live claim that
/// keeps it busy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BusyDoc {
    pub kind: BusyKind,
    /// The constraint, where that is what is busy.
    pub constraint: Option<ConstraintName>,
    pub executor: ExecutorId,
    pub work_item_id: ItemId,
    pub attempt_id: AttemptId,
    pub claim_id: ClaimId,
    #[serde(deserialize_with = "read_time")]
    pub since: DateTime<Utc>,
}

/// What is busy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BusyKind {
    Executor,
    Constraint,
}

impl BusyDoc {
    /// What the live claims of an item keep busy.
    #[must_use]
    pub fn of(workflow: &Workflow, item: &ItemState) -> Vec<Self> {
        let steps = workflow.steps().iter().zip(&item.steps);
        let docs = steps.flat_map(|(step, state)| {
            let docs = AssignmentDoc::of_step(&item.id, &step.key, state);
            docs.into_iter().flat_map(|doc| Self::of_assignment(&doc, Some(step)))
        });
        docs.collect()
    }

    /// What an assignment keeps busy while it is live: its executor, and the ledger-wide
    /// constraints of its step. Of a step that is parked nothing is live.
    #[must_use]
    pub fn of_assignment(doc: &AssignmentDoc, step: Option<&Step>) -> Vec<Self> {
        if doc.terminal_state.is_some() {
            return Vec::new();
        }
        let busy = |kind, constraint| Self {
            kind,
            constraint,
            executor: doc.executor.clone(),
            work_item_id: doc.work_item_id.clone(),
            attempt_id: doc.attempt_id.clone(),
            claim_id: doc.claim_id,
            since: doc.claimed_at,
        };
        let constraints = step.into_iter().flat_map(|step| &step.definition.constraints);
        let shared = constraints.filter(|constraint| constraint.is_global());
        std::iter::once(busy(BusyKind::Executor, None))
            .chain(shared.map(|name| busy(BusyKind::Constraint, Some(name.clone()))))
            .collect()
    }

    /// What is busy.
    #[must_use]
    pub fn busy(&self) -> Busy<'_> {
        match &self.constraint {
            Some(constraint) => Busy::Constraint(constraint),
            None => Busy::Executor(&self.executor),
        }
    }

    /// Where it stands in the tree.
    #[must_use]
    pub fn path(&self) -> String {
        busy_path(self.busy())
    }
}

impl From<BusyDoc> for LiveClaim {
    fn from(doc: BusyDoc) -> Self {
        Self {
            executor: doc.executor,
            item: doc.work_item_id,
            attempt: doc.attempt_id,
            claim: doc.claim_id,
            since: doc.since,
        }
    }
}

/// How many waiting steps a schedule names. It is written anew by every act on its item, so this
/// is most of what a long item writes.
const NEXT: usize = 30;

/// `artifacts/schedule/…`: the current schedule of an item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScheduleDoc {
    pub work_item_id: ItemId,
    /// The latest fact.
    #[serde(deserialize_with = "read_time")]
    pub generated_at: DateTime<Utc>,
    /// The ready attempts, in launch order.
    pub launch_order: Vec<AttemptId>,
    pub ready_steps: Vec<ReadyStep>,
    /// The next 30 that wait, nearest first.
    pub blocked_steps: Vec<BlockedStep>,
    /// How many more wait.
    pub blocked_more: usize,
    pub in_progress: Vec<InProgress>,
    pub pending_gates: Vec<GateDoc>,
    pub rationale: String,
}

/// A step that may be claimed now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReadyStep {
    pub key: StepKey,
    pub order: u32,
    pub parallelizable: bool,
    pub attempt_id: AttemptId,
    /// Place in launch order, from 1.
    pub rank: u32,
    pub notes: Vec<String>,
}

/// A step that waits, and for what directly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BlockedStep {
    pub key: StepKey,
    pub order: u32,
    /// Direct blockers only, at most 50.
    pub blocked_by: Vec<StepKey>,
    pub reason: String,
}

/// A claimed step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InProgress {
    pub key: StepKey,
    pub order: u32,
    pub attempt_id: AttemptId,
    pub executor: ExecutorId,
    #[serde(deserialize_with = "read_time")]
    pub claimed_at: DateTime<Utc>,
    #[serde(deserialize_with = "read_time_or_null")]
    pub lease_until: Option<DateTime<Utc>>,
}

/// A gate that waits for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GateDoc {
    pub key: StepKey,
    pub order: u32,
    pub attempt_id: AttemptId,
    pub kind: String,
    pub approvals: u32,
    /// Null where the workflow leaves it to policy, which is no part of an item's history; a view
    /// says what policy says now.
    pub quorum: Option<u32>,
}

impl ScheduleDoc {
    /// Writes down what the scheduler answers.
    #[must_use]
    pub fn of(workflow: &Workflow, item: &ItemState) -> Self {
        let schedule = Schedule::of(workflow, item);
        let mut doc = Self {
            work_item_id: item.id.clone(),
            generated_at: item.last_at,
            launch_order: Vec::new(),
            ready_steps: Vec::new(),
            blocked_steps: Vec::new(),
            blocked_more: 0,
            in_progress: Vec::new(),
            pending_gates: Vec::new(),
            rationale: String::new(),
        };
        let ready_at_order = |order: u32| {
            schedule.ready.iter().filter(|&&r| workflow.steps()[r].order == order).count()
        };
        for (at, step) in workflow.steps().iter().enumerate() {
            let state = &item.steps[at];
            match &schedule.answers[at] {
                Answer::Done(_) => {}
                Answer::Ready { rank, attempt } => {
                    let mut notes = Vec::new();
                    if ready_at_order(step.order) > 1 {
                        notes.push(format!("tie at order {}: byte order of keys", step.order));
                    }
                    if let Some(reason) =
                        state.current().and_then(|attempt| attempt.retry_reason.as_ref())
                    {
                        notes.push(format!("queued again: {reason}"));
                    }
                    doc.launch_order.push(attempt.clone());
                    doc.ready_steps.push(ReadyStep {
                        key: step.key.clone(),
                        order: step.order,
                        parallelizable: step.definition.parallelizable,
                        attempt_id: attempt.clone(),
                        rank: *rank,
                        notes,
                    });
                }
                Answer::InProgress(attempt) => {
                    if let Some(claim) = state.current().and_then(|a| a.claim.as_ref()) {
                        doc.in_progress.push(InProgress {
                            key: step.key.clone(),
                            order: step.order,
                            attempt_id: attempt.clone(),
                            executor: claim.executor.clone(),
                            claimed_at: claim.at,
                            lease_until: claim.lease_until,
                        });
                    }
                }
                Answer::PendingGate(attempt) => {
                    let gate = step.definition.gate.as_ref();
                    let digest = gate_digest(workflow, item, at);
                    let counts = |approval: &&Approval| approval.outputs_digest == digest;
                    let approvals = state
                        .current()
                        .map_or(0, |attempt| attempt.approvals.iter().filter(counts).count());
                    doc.pending_gates.push(GateDoc {
                        key: step.key.clone(),
                        order: step.order,
                        attempt_id: attempt.clone(),
                        kind: gate.map_or(GateKind::Review, |gate| gate.kind).word().into(),
                        approvals: u32::try_from(approvals).unwrap_or(u32::MAX),
                        quorum: gate.and_then(|gate| gate.quorum),
                    });
                }
                Answer::Held { .. }
                | Answer::NeedsRequeue { .. }
                | Answer::Unopened
                | Answer::Waiting => {
                    if doc.blocked_steps.len() == NEXT {
                        doc.blocked_more += 1;
                    } else {
                        doc.blocked_steps.push(blocked(workflow, &schedule, item, at));
                    }
                }
            }
        }
        doc.rationale = rationale(&doc, item);
        doc
    }

    /// The same with the quorums that count now: for whoever looks, never for the file.
    #[must_use]
    pub fn under(mut self, ledger: &LedgerState, workflow: &Workflow) -> Self {
        for gate in &mut self.pending_gates {
            let step = workflow.step(&gate.key);
            let definition = step.and_then(|step| step.definition.gate.as_ref());
            gate.quorum = definition.map(|gate| GateRules::of(ledger, gate).quorum);
        }
        self
    }
}

/// A step that waits, with its direct blockers and the reason in words.
fn blocked(workflow: &Workflow, schedule: &Schedule, item: &ItemState, at: usize) -> BlockedStep {
    let step = &workflow.steps()[at];
    let (blocked_by, reason) = match &schedule.answers[at] {
        Answer::Held { hold, .. } => {
            let (by, reason) = hold.reason(workflow);
            (by.into_iter().collect(), reason)
        }
        Answer::NeedsRequeue { attempt, ended } => {
            (Vec::new(), format!("{attempt} ended as {}; it needs a requeue", ended.word()))
        }
        _ => {
            let (blockers, more) = direct_blockers(workflow, schedule, at);
            let mut reason = if blockers.is_empty() {
                format!("the item is {}", ended_words(item.phase, item.review.survivor.as_ref()))
            } else {
                let names: Vec<_> = blockers.iter().map(StepKey::as_str).collect();
                format!("waits for {}", names.join(", "))
            };
            if more > 0 {
                reason.push_str(&format!(" and {more} more"));
            }
            (blockers, reason)
        }
    };
    BlockedStep { key: step.key.clone(), order: step.order, blocked_by, reason }
}

fn rationale(doc: &ScheduleDoc, item: &ItemState) -> String {
    let mut parts = Vec::new();
    if item.phase != ItemPhase::Active {
        let how = ended_words(item.phase, item.review.survivor.as_ref());
        parts.push(format!("the item is {how}"));
    }
    let keys = |keys: Vec<&StepKey>| keys.iter().map(|k| k.as_str()).collect::<Vec<_>>().join(", ");
    match doc.ready_steps.len() {
        0 => {}
        1 => parts.push(format!("{} may start", doc.ready_steps[0].key)),
        n if n <= NAMED => parts.push(format!(
            "{} may start together, in this order",
            keys(doc.ready_steps.iter().map(|r| &r.key).collect())
        )),
        n => parts.push(format!("{n} steps may start together, in launch order")),
    }
    if !doc.in_progress.is_empty() && doc.in_progress.len() <= NAMED {
        let held = keys(doc.in_progress.iter().map(|p| &p.key).collect());
        parts.push(format!("{held} in progress; no preemption"));
    }
    if !doc.pending_gates.is_empty() {
        let gates = keys(doc.pending_gates.iter().map(|g| &g.key).collect());
        parts.push(format!("{gates} waits for people"));
    }
    let waiting = doc.blocked_steps.len() + doc.blocked_more;
    if waiting > 0 {
        parts.push(format!("{waiting} wait"));
    }
    if parts.is_empty() {
        parts.push("every step is done".into());
    }
    parts.join("; ")
}
