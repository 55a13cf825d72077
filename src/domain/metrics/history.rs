//! One item's history: folded from its events, then cut at a moment and measured.

use schemars::JsonSchema;
use serde::Serialize;

use super::super::event::{Event, EventData, VoidStep};
use super::super::id::{AttemptId, CriterionId, ExecutorId, ItemId, StepKey, WorkflowName};
use super::super::state::{AttemptState, ItemState, StepState};
use super::super::transition::{AttemptPhase, ItemPhase};
use super::super::workflow::Workflow;
use super::time::{Layer, Layers, Millis, Span, Times, between, times};

/// What of an item's events its state does not keep, taken down while they are folded.
#[derive(Debug, Clone, Default)]
pub struct Watch {
    gone: Vec<Span>,
    reviews: Vec<Span>,
    returns: Vec<SentBack>,
}

/// Everything that was measured of an item, whole.
#[derive(Debug, Clone)]
pub struct History {
    pub id: ItemId,
    pub title: String,
    pub workflow: WorkflowName,
    pub version: u32,
    registered: Millis,
    steps: Vec<StepHistory>,
    blockers: Vec<BlockerHistory>,
    watch: Watch,
}

#[derive(Debug, Clone)]
struct StepHistory {
    key: StepKey,
    order: u32,
    gate: bool,
    /// Of an earlier version: the time spent on it counts, and nothing waits for it.
    parked: bool,
    imported: bool,
    /// Skipped, or done under another key before a migration.
    settled: Option<Millis>,
    /// Each round after the first, and when it was entered.
    rounds: Vec<(u32, Millis)>,
    attempts: Vec<AttemptHistory>,
}

#[derive(Debug, Clone)]
struct AttemptHistory {
    round: u32,
    queued: Millis,
    claimed: Option<Millis>,
    ended: Option<Millis>,
    phase: AttemptPhase,
    executor: Option<ExecutorId>,
}

#[derive(Debug, Clone)]
struct BlockerHistory {
    id: CriterionId,
    kind: String,
    /// Empty: all of them.
    steps: Vec<StepKey>,
    span: Span,
}

/// Why an item went back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// A gate said no.
    GateRejected,
    /// A person sent it back outside a gate.
    ReworkRequested,
    /// What had landed was undone.
    BaselineReverted,
}

impl Cause {
    /// The word in views.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::GateRejected => "gate-rejected",
            Self::ReworkRequested => "rework-requested",
            Self::BaselineReverted => "baseline-reverted",
        }
    }
}

/// One way back (FR-021).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentBack {
    pub at: Millis,
    pub cause: Cause,
    /// The gate that said no.
    pub gate: Option<StepKey>,
    pub to: StepKey,
    pub reason: String,
    /// The steps that were not done any more, with the round each entered.
    pub void: Vec<(StepKey, u32)>,
}

impl Watch {
    /// Takes one event down; `after` is the item with it applied.
    pub fn see(&mut self, after: &ItemState, event: &Event) {
        let at = event.timestamp.timestamp_millis();
        note(&mut self.reviews, after.review.flagged.is_some(), at);
        let gone = match after.phase {
            ItemPhase::Merged | ItemPhase::Closed | ItemPhase::Cancelled => true,
            ItemPhase::Absent | ItemPhase::Active | ItemPhase::Integrated => false,
        };
        note(&mut self.gone, gone, at);
        let gate = || event.step.as_ref().map(|step| step.key.clone());
        let back = if let EventData::GateRejected(data) = &event.data {
            Some((Cause::GateRejected, gate(), &data.return_to, &data.reason, &data.void))
        } else if let EventData::ReworkRequested(data) = &event.data {
            Some((Cause::ReworkRequested, None, &data.return_to, &data.reason, &data.void))
        } else if let EventData::BaselineReverted(data) = &event.data {
            Some((Cause::BaselineReverted, None, &data.return_to, &data.reason, &data.void))
        } else {
            None
        };
        if let Some((cause, gate, to, reason, void)) = back {
            let void = void.iter().map(|VoidStep { key, round, .. }| (key.clone(), *round));
            self.returns.push(SentBack {
                at,
                cause,
                gate,
                to: to.clone(),
                reason: reason.clone(),
                void: void.collect(),
            });
        }
    }

    /// The whole history, once every event was seen.
    #[must_use]
    pub fn end(self, workflow: &Workflow, state: &ItemState) -> History {
        let mut steps: Vec<StepHistory> = workflow
            .steps()
            .iter()
            .zip(&state.steps)
            .map(|(step, now)| StepHistory {
                order: step.order,
                gate: step.is_gate(),
                ..self.step(&step.key, now, state)
            })
            .collect();
        // What an item leaves behind when it moves to another version was worked on all the same.
        steps.extend(state.parked.iter().filter(|(_, was)| !was.attempts.is_empty()).map(
            |(key, was)| {
                let mut step = self.step(key, was, state);
                step.parked = true;
                let left = state.migrations.iter().rev().find(|moved| moved.leaves(key));
                for attempt in step.attempts.iter_mut().filter(|open| open.ended.is_none()) {
                    let begun = attempt.claimed.unwrap_or(attempt.queued);
                    attempt.phase = AttemptPhase::Withdrawn;
                    attempt.ended = left.map(|moved| moved.at.timestamp_millis().max(begun));
                }
                step
            },
        ));
        let blockers = state.blockers.iter().map(|blocker| {
            let from = blocker.at.timestamp_millis();
            let to = blocker.resolved_at.map(|at| at.timestamp_millis().max(from));
            BlockerHistory {
                id: blocker.id.clone(),
                kind: blocker.kind.clone(),
                steps: blocker.steps.clone(),
                span: Span { from, to },
            }
        });
        History {
            id: state.id.clone(),
            title: state.title.clone(),
            workflow: state.workflow.name.clone(),
            version: state.workflow.version,
            registered: state.registered_at.timestamp_millis(),
            steps,
            blockers: blockers.collect(),
            watch: self,
        }
    }
}

impl Watch {
    /// One step, but for what only its workflow knows of it.
    fn step(&self, key: &StepKey, now: &StepState, state: &ItemState) -> StepHistory {
        let back = |round: u32| {
            let enters = |back: &&SentBack| back.void.contains(&(key.clone(), round));
            self.returns.iter().find(enters).map(|back| back.at)
        };
        // A key that comes back with a migration begins a round as well.
        let moved = || {
            let moves = state.migrations.iter().filter(|moved| moved.settled.contains_key(key));
            moves.map(|moved| moved.at.timestamp_millis()).max()
        };
        let rounds = (2..=now.round).filter_map(|round| Some((round, back(round).or_else(moved)?)));
        let skipped = now.skipped.as_ref().map(|skipped| skipped.at);
        let settled = skipped.or(now.carried.as_ref().map(|carried| carried.at));
        // Nobody claims a gate, and nobody decides anything else.
        let decided = |attempt: &AttemptState| {
            let phase = attempt.phase;
            attempt.claim.is_none()
                && matches!(phase, AttemptPhase::Approved | AttemptPhase::Rejected)
        };
        StepHistory {
            key: key.clone(),
            order: u32::MAX,
            gate: now.attempts.iter().any(decided),
            parked: false,
            imported: now.imported.is_some(),
            settled: settled.map(|at| at.timestamp_millis()),
            rounds: rounds.collect(),
            attempts: attempts(now),
        }
    }
}

/// Opens a span where something begins to hold, and closes it where it ends.
fn note(spans: &mut Vec<Span>, holds: bool, at: Millis) {
    match spans.last_mut().filter(|span| span.to.is_none()) {
        Some(span) if !holds => span.to = Some(at.max(span.from)),
        None if holds => spans.push(Span { from: at, to: None }),
        _ => {}
    }
}

/// Attempts with their times in order, whatever the clocks of several machines said.
fn attempts(step: &StepState) -> Vec<AttemptHistory> {
    let history = step.attempts.iter().map(|attempt| {
        let queued = attempt.queued_at.timestamp_millis();
        let claim = attempt.claim.as_ref();
        let claimed = claim.map(|claim| claim.at.timestamp_millis().max(queued));
        let end = attempt.end.as_ref().map(|end| end.at.timestamp_millis());
        AttemptHistory {
            round: attempt.round,
            queued,
            claimed,
            ended: end.map(|end| end.max(claimed.unwrap_or(queued))),
            phase: attempt.phase,
            executor: claim.map(|claim| claim.executor.clone()),
        }
    });
    history.collect()
}

/// An item as it was at a moment, measured.
#[derive(Debug, Clone)]
pub struct Item {
    pub id: ItemId,
    pub title: String,
    pub workflow: WorkflowName,
    pub version: u32,
    pub registered: Millis,
    /// The first claim, or the first decision of a gate.
    pub started: Option<Millis>,
    /// When it was over, and how.
    pub over: Option<(Millis, Over)>,
    pub times: Times,
    pub steps: Vec<Step>,
    pub returns: Vec<SentBack>,
    pub blockers: Vec<BlockerTime>,
    /// When it was merged, closed or cancelled and that was overturned later: such time counts as
    /// nothing.
    away: Vec<(Millis, Millis)>,
}

/// How an item left the flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Over {
    /// Its last step was done.
    Finished,
    /// It was merged, closed or cancelled.
    Dropped,
    /// Every step was done before it was registered: nothing flowed.
    Imported,
}

/// Where an item stands in the flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    NotStarted,
    InProgress,
    Finished,
    Dropped,
    Imported,
}

impl Standing {
    /// The word in views.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::NotStarted => "not-started",
            Self::InProgress => "in-progress",
            Self::Finished => "finished",
            Self::Dropped => "dropped",
            Self::Imported => "imported",
        }
    }
}

/// One step of an item.
#[derive(Debug, Clone)]
pub struct Step {
    pub key: StepKey,
    pub order: u32,
    pub gate: bool,
    pub attempts: Vec<Attempt>,
    /// By round; rounds nobody opened have none.
    pub passes: Vec<Pass>,
}

/// One try.
#[derive(Debug, Clone)]
pub struct Attempt {
    pub id: AttemptId,
    pub round: u32,
    pub queued: Millis,
    pub claimed: Option<Millis>,
    pub ended: Option<Millis>,
    pub phase: AttemptPhase,
    pub executor: Option<ExecutorId>,
    pub times: Times,
}

impl Attempt {
    /// Whether the work itself was judged: giving a claim back says nothing about it.
    #[must_use]
    pub fn is_judged(&self) -> bool {
        matches!(
            self.phase,
            AttemptPhase::Completed
                | AttemptPhase::Failed
                | AttemptPhase::Rejected
                | AttemptPhase::Approved
        )
    }

    /// Whether it ended well.
    #[must_use]
    pub fn is_done(&self) -> bool {
        matches!(self.phase, AttemptPhase::Completed | AttemptPhase::Approved)
    }
}

/// One round of a step, from its opening to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pass {
    pub round: u32,
    pub opened: Millis,
    /// The first claim; of a gate, its opening.
    pub started: Option<Millis>,
    /// When the step was done, or the gate decided either way.
    pub ended: Option<Millis>,
    /// Whether it ended well.
    pub done: bool,
    /// When a way back made it count no more.
    pub void: Option<Millis>,
}

/// A blocker and what it held.
#[derive(Debug, Clone)]
pub struct BlockerTime {
    pub id: CriterionId,
    pub kind: String,
    pub steps: Vec<StepKey>,
    pub declared: Millis,
    pub resolved: Option<Millis>,
    /// How long it was open while the item was not over, in milliseconds.
    pub open_ms: u64,
}

impl History {
    /// Whether an executor ever held a step of it.
    #[must_use]
    pub fn was_held_by(&self, executor: &ExecutorId) -> bool {
        let mut attempts = self.steps.iter().flat_map(|step| &step.attempts);
        attempts.any(|attempt| attempt.executor.as_ref() == Some(executor))
    }

    /// The item at a moment: what happened later does not count, and what has not ended runs to
    /// it. `None` where it was registered later.
    #[must_use]
    pub fn at(&self, as_of: Millis) -> Option<Item> {
        if self.registered > as_of {
            return None;
        }
        let returns: Vec<SentBack> =
            self.watch.returns.iter().filter(|back| back.at <= as_of).cloned().collect();
        let cut = |spans: &[Span]| spans.iter().filter_map(|span| span.at(as_of)).collect();
        let (gone, reviews): (Vec<Span>, Vec<Span>) =
            (cut(&self.watch.gone), cut(&self.watch.reviews));
        let blockers: Vec<&BlockerHistory> =
            self.blockers.iter().filter(|blocker| blocker.span.from <= as_of).collect();
        let finished = self.finished(as_of);
        let dropped = gone.last().filter(|span| span.to.is_none());
        let over = match (dropped, finished) {
            (Some(span), _) => Some((span.from, Over::Dropped)),
            (None, Some(at))
                if self.steps.iter().all(|step| step.attempts.is_empty() && step.imported) =>
            {
                Some((at, Over::Imported))
            }
            (None, Some(at)) => Some((at, Over::Finished)),
            (None, None) => None,
        };
        let life_end = over.map_or(as_of, |(at, _)| at);
        let around = Around { gone: &gone, reviews: &reviews, as_of };
        let mut whole = Layers::default();
        whole.lay(Layer::Life, self.registered, life_end);
        around.lay_gone(&mut whole);
        for span in &reviews {
            whole.lay(Layer::Review, span.from, span.to.unwrap_or(as_of));
        }
        for blocker in blockers.iter().filter(|blocker| blocker.steps.is_empty()) {
            whole.lay(Layer::Blocked, blocker.span.from, blocker.span.to.unwrap_or(as_of));
        }
        let mut steps = Vec::with_capacity(self.steps.len());
        for step in &self.steps {
            let mut attempts = Vec::with_capacity(step.attempts.len());
            for (number, attempt) in (1..).zip(&step.attempts) {
                if attempt.queued > as_of {
                    continue;
                }
                let id = AttemptId::new(step.key.clone(), number);
                let holding = blockers.iter().filter(|b| b.holds(&step.key)).copied();
                attempts.push(attempt.at(id, step.gate, holding, &around, &mut whole));
            }
            let passes = passes(step, &attempts, as_of);
            let (key, order, gate) = (step.key.clone(), step.order, step.gate);
            steps.push(Step { key, order, gate, attempts, passes });
        }
        Some(Item {
            id: self.id.clone(),
            title: self.title.clone(),
            workflow: self.workflow.clone(),
            version: self.version,
            registered: self.registered,
            started: started(&steps),
            over,
            times: times(&whole.of_item()),
            blockers: blockers
                .iter()
                .map(|blocker| {
                    let span = blocker.span.at(as_of).unwrap_or(blocker.span);
                    let to = span.to.unwrap_or(as_of).min(life_end);
                    let mut open = Layers::default();
                    open.lay(Layer::Life, span.from.max(self.registered), to);
                    around.lay_gone(&mut open);
                    BlockerTime {
                        id: blocker.id.clone(),
                        kind: blocker.kind.clone(),
                        steps: blocker.steps.clone(),
                        declared: span.from,
                        resolved: span.to,
                        open_ms: times(&open.of_item()).total(),
                    }
                })
                .collect(),
            steps,
            returns,
            away: gone.iter().filter_map(|span| Some((span.from, span.to?))).collect(),
        })
    }

    /// When the last of its steps was done, if all of them are.
    fn finished(&self, as_of: Millis) -> Option<Millis> {
        let mut latest = self.registered;
        for step in self.steps.iter().filter(|step| !step.parked) {
            latest = latest.max(step.done(self.registered, as_of)?);
        }
        Some(latest)
    }
}

impl StepHistory {
    /// When the step was done in the round it was in at a moment.
    fn done(&self, registered: Millis, as_of: Millis) -> Option<Millis> {
        if let Some(settled) = self.settled.filter(|at| *at <= as_of) {
            return Some(settled);
        }
        let entered = self.rounds.iter().filter(|(_, at)| *at <= as_of).map(|(round, _)| *round);
        let round = entered.max().unwrap_or(1);
        if self.imported && round == 1 {
            return Some(registered);
        }
        let last = self.attempts.iter().rev().find(|attempt| attempt.queued <= as_of)?;
        let done = matches!(last.phase, AttemptPhase::Completed | AttemptPhase::Approved);
        last.ended.filter(|ended| done && last.round == round && *ended <= as_of)
    }

    /// When a round was made void by the next one.
    fn void(&self, round: u32, as_of: Millis) -> Option<Millis> {
        let next = self.rounds.iter().find(|(entered, at)| *entered == round + 1 && *at <= as_of);
        next.map(|(_, at)| *at)
    }
}

/// What lies over all attempts of an item.
struct Around<'a> {
    gone: &'a [Span],
    reviews: &'a [Span],
    as_of: Millis,
}

impl Around<'_> {
    fn lay_gone(&self, layers: &mut Layers) {
        for span in self.gone {
            layers.lay(Layer::Gone, span.from, span.to.unwrap_or(self.as_of));
        }
    }
}

impl BlockerHistory {
    fn holds(&self, step: &StepKey) -> bool {
        self.steps.is_empty() || self.steps.contains(step)
    }
}

impl AttemptHistory {
    /// The attempt at a moment, its pieces laid over the item's.
    fn at<'b>(
        &self,
        id: AttemptId,
        gate: bool,
        blockers: impl Iterator<Item = &'b BlockerHistory>,
        around: &Around<'_>,
        whole: &mut Layers,
    ) -> Attempt {
        let as_of = around.as_of;
        let claimed = self.claimed.filter(|at| *at <= as_of);
        let ended = self.ended.filter(|at| *at <= as_of);
        let phase = match (ended, claimed) {
            (Some(_), _) => self.phase,
            (None, Some(_)) => AttemptPhase::Claimed,
            (None, None) => AttemptPhase::Queued,
        };
        let until = ended.unwrap_or(as_of);
        let mut layers = Layers::default();
        layers.lay(Layer::Life, self.queued, until);
        if gate {
            layers.lay(Layer::Deciding, self.queued, until);
        }
        if let Some(claimed) = claimed {
            layers.lay(Layer::Working, claimed, until);
        }
        for blocker in blockers {
            layers.lay(
                Layer::Blocked,
                blocker.span.from,
                blocker.span.to.unwrap_or(as_of).min(as_of),
            );
        }
        for review in around.reviews {
            layers.lay(Layer::Review, review.from, review.to.unwrap_or(as_of));
        }
        around.lay_gone(&mut layers);
        let pieces = layers.of_attempt();
        for (from, to, class) in &pieces {
            whole.lay_class(*class, *from, *to);
        }
        Attempt {
            id,
            round: self.round,
            queued: self.queued,
            claimed,
            ended,
            phase,
            executor: self.executor.clone().filter(|_| claimed.is_some()),
            times: times(&pieces),
        }
    }
}

/// The rounds of a step in which something was opened.
fn passes(step: &StepHistory, attempts: &[Attempt], as_of: Millis) -> Vec<Pass> {
    let mut passes: Vec<Pass> = Vec::new();
    for attempt in attempts {
        let started = if step.gate { Some(attempt.queued) } else { attempt.claimed };
        let done = attempt.is_done();
        // A gate that says no is decided; work that failed goes on with the next attempt.
        let ended = attempt
            .ended
            .filter(|_| done || (step.gate && attempt.phase == AttemptPhase::Rejected));
        match passes.last_mut().filter(|pass| pass.round == attempt.round) {
            Some(pass) => {
                pass.started = pass.started.or(started);
                pass.ended = ended;
                pass.done = done;
            }
            None => passes.push(Pass {
                round: attempt.round,
                opened: attempt.queued,
                started,
                ended,
                done,
                void: step.void(attempt.round, as_of),
            }),
        }
    }
    passes
}

/// The first claim of work, or the first decision of a gate.
fn started(steps: &[Step]) -> Option<Millis> {
    let begin = |step: &Step| {
        let attempts = step.attempts.iter();
        if step.gate {
            attempts.filter(|attempt| attempt.is_judged()).filter_map(|a| a.ended).min()
        } else {
            attempts.filter_map(|attempt| attempt.claimed).min()
        }
    };
    steps.iter().filter_map(begin).min()
}

impl Item {
    /// Where it stands.
    #[must_use]
    pub fn standing(&self) -> Standing {
        match (self.over, self.started) {
            (Some((_, Over::Finished)), _) => Standing::Finished,
            (Some((_, Over::Dropped)), _) => Standing::Dropped,
            (Some((_, Over::Imported)), _) => Standing::Imported,
            (None, Some(_)) => Standing::InProgress,
            (None, None) => Standing::NotStarted,
        }
    }

    /// When its last step was done.
    #[must_use]
    pub fn finished(&self) -> Option<Millis> {
        self.over.filter(|(_, how)| *how == Over::Finished).map(|(at, _)| at)
    }

    /// When it left the queue: begun, or over without that.
    #[must_use]
    pub fn left_queue(&self) -> Option<Millis> {
        let over = self.over.map(|(at, _)| at);
        match (self.started, over) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// From its registration to its end, or to now, in milliseconds.
    #[must_use]
    pub fn age(&self) -> u64 {
        self.times.total()
    }

    /// From its first claim to its end, in milliseconds, where it has both.
    #[must_use]
    pub fn cycle(&self) -> Option<u64> {
        Some(self.between(self.started?, self.finished()?))
    }

    /// From one moment to another, in milliseconds, but for the time it was away.
    #[must_use]
    pub fn between(&self, from: Millis, to: Millis) -> u64 {
        let away = |(begin, end): &(Millis, Millis)| between(*begin.max(&from), *end.min(&to));
        between(from, to).saturating_sub(self.away.iter().map(away).sum())
    }

    /// Whether everything was right the first time: never sent back, nothing failed or rejected.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        let mut attempts = self.steps.iter().flat_map(|step| &step.attempts);
        self.returns.is_empty() && attempts.all(|a| !a.is_judged() || a.is_done())
    }
}
