//! The numbers of many items together, and of one: portfolio, workflow, item, step, attempt.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;

use super::super::id::{AttemptId, CriterionId, ExecutorId, ItemId, StepKey, WorkflowName};
use super::super::transition::AttemptPhase;
use super::history::{Attempt, Cause, Item, Over, SentBack, Standing, Step};
use super::spread::{Ratio, Spread};
use super::time::{Millis, Times, Window};

/// How many reasons are told one by one.
const REASONS: usize = 20;

/// The flow of some items.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Flow {
    /// Items that were in the flow at some time of the window.
    pub items: u64,
    /// Registered in the window.
    pub registered: u64,
    /// Finished in the window: the throughput.
    pub finished: u64,
    /// Merged, closed or cancelled in the window.
    pub dropped: u64,
    /// Registered in the window with every step done before.
    pub imported: u64,
    /// Of these, not begun as of now.
    pub not_started: u64,
    /// Of these, begun and not over as of now: the work in progress.
    pub in_progress: u64,
    /// Of items finished in the window, from registration to the end.
    pub lead_time: Spread,
    /// The same, from the first claim.
    pub cycle_time: Spread,
    /// Of items not over, from registration to now.
    pub age: Spread,
    /// Where the lead time of the finished items went.
    pub times: Times,
    /// Of that, the time somebody worked.
    pub flow_efficiency: Ratio,
    /// Finished items that were never sent back and had no attempt failed or rejected.
    pub first_pass_yield: Ratio,
    pub rework: Rework,
    /// By type.
    pub blockers: Vec<BlockerTypeFlow>,
}

/// What was done again (FR-021).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rework {
    /// Items sent back in the window, of those worked on, decided or sent back in it.
    pub sent_back: Ratio,
    /// How often, in the window.
    pub returns: u64,
    /// Time worked in a round after the first, of all time worked: attempts that ended in the
    /// window, in milliseconds.
    pub effort: Ratio,
    pub by_cause: Vec<Counted>,
    /// The steps items were sent back to.
    pub to_step: Vec<Named>,
    /// The gates that said no.
    pub by_gate: Vec<Named>,
    /// The most frequent reasons, word for word.
    pub by_reason: Vec<Reasoned>,
    /// Returns whose reason is not among them.
    pub other_reasons: u64,
}

/// A cause and how often.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Counted {
    pub cause: Cause,
    pub count: u64,
}

/// A step of a workflow and how often.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Named {
    pub workflow: WorkflowName,
    pub step_key: StepKey,
    pub count: u64,
}

/// A reason and how often.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Reasoned {
    pub reason: String,
    pub count: u64,
}

/// Blockers of one type that were open in the window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BlockerTypeFlow {
    #[serde(rename = "type")]
    pub kind: String,
    pub count: u64,
    /// Not resolved as of now.
    pub open: u64,
    /// How long each was open while its item was not over.
    pub open_time: Spread,
}

/// The flow of one workflow version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowFlow {
    pub workflow: WorkflowName,
    pub version: u32,
    pub flow: Flow,
}

/// The flow of one item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ItemFlow {
    pub work_item_id: ItemId,
    pub title: String,
    pub workflow: WorkflowName,
    pub version: u32,
    pub standing: Standing,
    pub registered_at: DateTime<Utc>,
    pub started_at: Option<DateTime<Utc>>,
    /// When it was finished or dropped.
    pub over_at: Option<DateTime<Utc>>,
    /// From registration to the end; null where it is not finished.
    pub lead_ms: Option<u64>,
    pub cycle_ms: Option<u64>,
    /// From registration to the end, or to now.
    pub age_ms: u64,
    pub times: Times,
    /// Time worked, of all time so far.
    pub flow_efficiency: Ratio,
    pub attempts: u64,
    pub returns: Vec<ReturnFlow>,
    pub blockers: Vec<BlockerFlow>,
}

/// One way back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReturnFlow {
    pub at: DateTime<Utc>,
    pub cause: Cause,
    pub gate: Option<StepKey>,
    pub to: StepKey,
    pub reason: String,
    /// The steps that had to be done again.
    pub void: Vec<StepKey>,
}

/// One blocker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BlockerFlow {
    pub blocker_id: CriterionId,
    #[serde(rename = "type")]
    pub kind: String,
    /// The steps it holds; empty means all.
    pub steps: Vec<StepKey>,
    pub declared_at: DateTime<Utc>,
    pub resolved_at: Option<DateTime<Utc>>,
    pub open_ms: u64,
}

/// The flow through one step of a workflow version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StepFlow {
    pub workflow: WorkflowName,
    pub version: u32,
    pub step_key: StepKey,
    pub order: u32,
    pub gate: bool,
    /// Items in which it was opened.
    pub items: u64,
    /// Of rounds that ended in the window, from the first claim to done; of a gate, from its
    /// opening to its decision, either way.
    pub cycle_time: Spread,
    /// Of the same rounds, from the opening to the first claim; a gate has none.
    pub queue_time: Spread,
    /// Where the time of all attempts that were there in the window went.
    pub times: Times,
    /// Attempts that ended in the window, by how.
    pub ended: Vec<EndedFlow>,
    /// Queued as of now.
    pub queued: u64,
    /// Held as of now.
    pub held: u64,
    /// Items whose first judged attempt was right and stayed so, of items that had one in the
    /// window.
    pub first_pass_yield: Ratio,
    /// Rounds done in the window that a way back made void later, of all that were done.
    pub void: Ratio,
    /// How often an item was sent back to it, in the window.
    pub returned_to: u64,
}

/// An ending and how often.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EndedFlow {
    /// `completed`, `failed`, `rejected`, `released`, `lapsed`, `withdrawn` or `approved`.
    pub state: String,
    pub count: u64,
}

/// The flow of one attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AttemptFlow {
    pub work_item_id: ItemId,
    pub attempt_id: AttemptId,
    pub step_key: StepKey,
    pub order: u32,
    pub gate: bool,
    pub round: u32,
    pub state: String,
    pub executor: Option<ExecutorId>,
    pub queued_at: DateTime<Utc>,
    pub claimed_at: Option<DateTime<Utc>>,
    pub ended_at: Option<DateTime<Utc>>,
    pub times: Times,
}

impl Item {
    /// Whether the item was in the flow at some time of the window.
    #[must_use]
    pub fn is_in(&self, window: &Window) -> bool {
        window.meets(self.registered, self.over.map(|(at, _)| at))
    }
}

impl Flow {
    /// Of these items, as far as they were in the flow.
    #[must_use]
    pub fn of(items: &[&Item], window: &Window) -> Self {
        let items: Vec<&Item> = items.iter().copied().filter(|item| item.is_in(window)).collect();
        let over_in = |item: &Item, how: Over| {
            item.over.is_some_and(|(at, was)| was == how && window.holds(at))
        };
        let count =
            |test: &dyn Fn(&Item) -> bool| items.iter().filter(|item| test(item)).count() as u64;
        let finished: Vec<&Item> =
            items.iter().copied().filter(|item| over_in(item, Over::Finished)).collect();
        let times = finished.iter().map(|item| item.times).fold(Times::default(), Times::and);
        let clean = finished.iter().filter(|item| item.is_clean()).count();
        let open = items.iter().filter(|item| item.over.is_none());
        Self {
            items: items.len() as u64,
            registered: count(&|item| window.holds(item.registered)),
            finished: finished.len() as u64,
            dropped: count(&|item| over_in(item, Over::Dropped)),
            imported: count(&|item| over_in(item, Over::Imported)),
            not_started: count(&|item| item.standing() == Standing::NotStarted),
            in_progress: count(&|item| item.standing() == Standing::InProgress),
            lead_time: Spread::of(finished.iter().map(|item| item.age()).collect()),
            cycle_time: Spread::of(finished.iter().filter_map(|item| item.cycle()).collect()),
            age: Spread::of(open.map(|item| item.age()).collect()),
            times,
            flow_efficiency: Ratio::new(times.working_ms, times.total()),
            first_pass_yield: Ratio::new(clean as u64, finished.len() as u64),
            rework: Rework::of(&items, window),
            blockers: blockers(&items, window),
        }
    }
}

impl Rework {
    fn of(items: &[&Item], window: &Window) -> Self {
        let back_in = |item: &Item| {
            item.returns.iter().filter(|back| window.holds(back.at)).cloned().collect::<Vec<_>>()
        };
        let (mut sent_back, mut touched) = (0, 0);
        let (mut again, mut worked) = (0, 0);
        let mut returns: Vec<(&WorkflowName, SentBack)> = Vec::new();
        for item in items {
            let back = back_in(item);
            sent_back += u64::from(!back.is_empty());
            touched += u64::from(!back.is_empty() || item.was_touched(window));
            returns.extend(back.into_iter().map(|back| (&item.workflow, back)));
            for attempt in item.steps.iter().flat_map(|step| &step.attempts) {
                if attempt.ended.is_some_and(|at| window.holds(at)) {
                    worked += attempt.times.working_ms;
                    again += if attempt.round > 1 { attempt.times.working_ms } else { 0 };
                }
            }
        }
        let mut by_cause: BTreeMap<Cause, u64> = BTreeMap::new();
        let mut to_step: BTreeMap<(&WorkflowName, &StepKey), u64> = BTreeMap::new();
        let mut by_gate: BTreeMap<(&WorkflowName, &StepKey), u64> = BTreeMap::new();
        let mut reasons: BTreeMap<&str, u64> = BTreeMap::new();
        for (workflow, back) in &returns {
            *by_cause.entry(back.cause).or_default() += 1;
            *to_step.entry((workflow, &back.to)).or_default() += 1;
            if let Some(gate) = &back.gate {
                *by_gate.entry((workflow, gate)).or_default() += 1;
            }
            *reasons.entry(back.reason.trim()).or_default() += 1;
        }
        let mut by_reason: Vec<Reasoned> = reasons
            .into_iter()
            .map(|(reason, count)| Reasoned { reason: reason.to_owned(), count })
            .collect();
        // Stable, so reasons that are equally frequent stay in the order of their bytes.
        by_reason.sort_by_key(|reason| std::cmp::Reverse(reason.count));
        let rest = by_reason.split_off(by_reason.len().min(REASONS));
        Self {
            sent_back: Ratio::new(sent_back, touched),
            returns: returns.len() as u64,
            effort: Ratio::new(again, worked),
            by_cause: by_cause.into_iter().map(|(cause, count)| Counted { cause, count }).collect(),
            to_step: named(to_step),
            by_gate: named(by_gate),
            by_reason,
            other_reasons: rest.iter().map(|reason| reason.count).sum(),
        }
    }
}

fn named(counts: BTreeMap<(&WorkflowName, &StepKey), u64>) -> Vec<Named> {
    let one = |((workflow, step), count): ((&WorkflowName, &StepKey), u64)| Named {
        workflow: workflow.clone(),
        step_key: step.clone(),
        count,
    };
    counts.into_iter().map(one).collect()
}

fn blockers(items: &[&Item], window: &Window) -> Vec<BlockerTypeFlow> {
    let mut by_type: BTreeMap<&str, (u64, Vec<u64>)> = BTreeMap::new();
    for blocker in items.iter().flat_map(|item| &item.blockers) {
        if window.meets(blocker.declared, blocker.resolved) {
            let (open, times) = by_type.entry(&blocker.kind).or_default();
            *open += u64::from(blocker.resolved.is_none());
            times.push(blocker.open_ms);
        }
    }
    by_type
        .into_iter()
        .map(|(kind, (open, times))| BlockerTypeFlow {
            kind: kind.to_owned(),
            count: times.len() as u64,
            open,
            open_time: Spread::of(times),
        })
        .collect()
}

impl Item {
    /// Whether somebody claimed a step of it, or decided a gate, in the window.
    fn was_touched(&self, window: &Window) -> bool {
        let holds = |at: Option<Millis>| at.is_some_and(|at| window.holds(at));
        self.steps.iter().any(|step| {
            step.attempts.iter().any(|attempt| {
                holds(attempt.claimed) || (step.gate && attempt.is_judged() && holds(attempt.ended))
            })
        })
    }

    /// Its own numbers: whole, whatever the window.
    #[must_use]
    pub fn flow(&self) -> ItemFlow {
        ItemFlow {
            work_item_id: self.id.clone(),
            title: self.title.clone(),
            workflow: self.workflow.clone(),
            version: self.version,
            standing: self.standing(),
            registered_at: time(self.registered),
            started_at: self.started.map(time),
            over_at: self.over.map(|(at, _)| time(at)),
            lead_ms: self.finished().map(|_| self.age()),
            cycle_ms: self.cycle(),
            age_ms: self.age(),
            times: self.times,
            flow_efficiency: Ratio::new(self.times.working_ms, self.times.total()),
            attempts: self.steps.iter().map(|step| step.attempts.len() as u64).sum(),
            returns: self
                .returns
                .iter()
                .map(|back| ReturnFlow {
                    at: time(back.at),
                    cause: back.cause,
                    gate: back.gate.clone(),
                    to: back.to.clone(),
                    reason: back.reason.clone(),
                    void: back.void.iter().map(|(key, _)| key.clone()).collect(),
                })
                .collect(),
            blockers: self
                .blockers
                .iter()
                .map(|blocker| BlockerFlow {
                    blocker_id: blocker.id.clone(),
                    kind: blocker.kind.clone(),
                    steps: blocker.steps.clone(),
                    declared_at: time(blocker.declared),
                    resolved_at: blocker.resolved.map(time),
                    open_ms: blocker.open_ms,
                })
                .collect(),
        }
    }
}

/// A row for each workflow version, by name and version.
#[must_use]
pub fn by_workflow(items: &[&Item], window: &Window) -> Vec<WorkflowFlow> {
    let mut groups: BTreeMap<(&WorkflowName, u32), Vec<&Item>> = BTreeMap::new();
    for item in items.iter().filter(|item| item.is_in(window)) {
        groups.entry((&item.workflow, item.version)).or_default().push(item);
    }
    groups
        .into_iter()
        .map(|((workflow, version), items)| WorkflowFlow {
            workflow: workflow.clone(),
            version,
            flow: Flow::of(&items, window),
        })
        .collect()
}

/// A row for each step that was opened, by workflow, version and launch order.
#[must_use]
pub fn by_step(items: &[&Item], window: &Window) -> Vec<StepFlow> {
    type Group<'a> = BTreeMap<(&'a WorkflowName, u32, u32, &'a StepKey), Vec<(&'a Item, &'a Step)>>;
    let mut groups: Group<'_> = BTreeMap::new();
    for &item in items.iter().filter(|item| item.is_in(window)) {
        for step in item.steps.iter().filter(|step| !step.attempts.is_empty()) {
            let key = (&item.workflow, item.version, step.order, &step.key);
            groups.entry(key).or_default().push((item, step));
        }
    }
    groups
        .into_iter()
        .map(|((workflow, version, order, key), steps)| StepFlow {
            workflow: workflow.clone(),
            version,
            step_key: key.clone(),
            order,
            ..step_flow(&steps, window)
        })
        .collect()
}

/// One step of several items.
fn step_flow(steps: &[(&Item, &Step)], window: &Window) -> StepFlow {
    let (mut cycles, mut queues) = (Vec::new(), Vec::new());
    let (mut done, mut void, mut judged, mut first) = (0, 0, 0, 0);
    let (mut queued, mut held, mut returned_to) = (0, 0, 0);
    let mut times = Times::default();
    let mut ended: BTreeMap<AttemptPhase, u64> = BTreeMap::new();
    let (key, order, gate) = steps
        .first()
        .map(|(_, step)| (step.key.clone(), step.order, step.gate))
        .expect("a step is only grouped where it was opened");
    let (workflow, version) = (steps[0].0.workflow.clone(), steps[0].0.version);
    for (item, step) in steps {
        for pass in &step.passes {
            let Some(end) = pass.ended.filter(|at| window.holds(*at)) else { continue };
            if let Some(started) = pass.started {
                cycles.push(item.between(started, end));
                if !gate {
                    queues.push(item.between(pass.opened, started));
                }
            }
            done += u64::from(pass.done);
            void += u64::from(pass.done && pass.void.is_some());
        }
        for attempt in &step.attempts {
            if window.meets(attempt.queued, attempt.ended) {
                times = times.and(attempt.times);
            }
            match attempt.phase {
                AttemptPhase::Queued => queued += 1,
                AttemptPhase::Claimed => held += 1,
                AttemptPhase::Absent
                | AttemptPhase::Completed
                | AttemptPhase::Failed
                | AttemptPhase::Rejected
                | AttemptPhase::Released
                | AttemptPhase::Lapsed
                | AttemptPhase::Withdrawn
                | AttemptPhase::Approved => {
                    if attempt.ended.is_some_and(|at| window.holds(at)) {
                        *ended.entry(attempt.phase).or_default() += 1;
                    }
                }
            }
        }
        if let Some(attempt) = step.attempts.iter().find(|attempt| attempt.is_judged())
            && attempt.ended.is_some_and(|at| window.holds(at))
        {
            judged += 1;
            first += u64::from(attempt.is_done() && step.stayed(attempt));
        }
        let back = item.returns.iter().filter(|back| back.to == step.key && window.holds(back.at));
        returned_to += back.count() as u64;
    }
    StepFlow {
        workflow,
        version,
        step_key: key,
        order,
        gate,
        items: steps.len() as u64,
        cycle_time: Spread::of(cycles),
        queue_time: Spread::of(queues),
        times,
        ended: ended
            .into_iter()
            .map(|(phase, count)| EndedFlow { state: phase.word().to_owned(), count })
            .collect(),
        queued,
        held,
        first_pass_yield: Ratio::new(first, judged),
        void: Ratio::new(void, done),
        returned_to,
    }
}

impl Step {
    /// Whether the round of an attempt still counts.
    fn stayed(&self, attempt: &Attempt) -> bool {
        self.passes.iter().any(|pass| pass.round == attempt.round && pass.void.is_none())
    }
}

/// A row for each attempt that was there in the window, in the order of items, steps and tries.
#[must_use]
pub fn attempts(items: &[&Item], window: &Window) -> Vec<AttemptFlow> {
    let mut rows = Vec::new();
    for item in items {
        for step in &item.steps {
            for attempt in &step.attempts {
                if window.meets(attempt.queued, attempt.ended) {
                    rows.push(AttemptFlow {
                        work_item_id: item.id.clone(),
                        attempt_id: attempt.id.clone(),
                        step_key: step.key.clone(),
                        order: step.order,
                        gate: step.gate,
                        round: attempt.round,
                        state: attempt.phase.word().to_owned(),
                        executor: attempt.executor.clone(),
                        queued_at: time(attempt.queued),
                        claimed_at: attempt.claimed.map(time),
                        ended_at: attempt.ended.map(time),
                        times: attempt.times,
                    });
                }
            }
        }
    }
    rows
}

/// As artifacts write it: their times are all within what this can say.
pub(super) fn time(at: Millis) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(at).unwrap_or_default()
}
