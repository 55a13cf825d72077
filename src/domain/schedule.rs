//! The deterministic answer to what may start now, in which order, and why not the rest (FR-005).
//!
//! The scheduler does not filter: for every step it says Ready or why not, as data. Status,
//! refusal and hint are three readings of that one value.

use std::collections::{BTreeMap, BTreeSet};

use super::event::{
    Event, EventData, OpenedStep, Outcome, ScheduleDecided, Serialisation, TieBreak,
    decision_actor, decision_id,
};
use super::id::{AttemptId, ConstraintName, CriterionId, ItemId, StepKey};
use super::state::{Done, ItemState, Standing};
use super::transition::{AttemptPhase, ItemPhase};
use super::workflow::Workflow;

/// How many blocked steps, and blockers of one, a schedule names before it only counts.
pub const NAMED: usize = 50;

/// What the scheduler says of one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Done(Done),
    /// Claimed, so never ready (S6).
    InProgress(AttemptId),
    /// May be claimed now; the rank is its place in launch order among the ready ones, from 1.
    Ready {
        rank: u32,
        attempt: AttemptId,
    },
    /// A gate that waits for people.
    PendingGate(AttemptId),
    /// Queued, or to be queued again, but something holds it.
    Held {
        attempt: AttemptId,
        hold: Hold,
    },
    /// Its last attempt ended without being done.
    NeedsRequeue {
        attempt: AttemptId,
        ended: AttemptPhase,
    },
    /// Its predecessors are done, and no decision has opened it yet: it waits for the item.
    Unopened,
    /// Predecessors are not done.
    Waiting,
}

/// What keeps a queued step from starting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hold {
    /// A person suspects a duplicate (FR-003).
    Review,
    /// The item ended or is integrated; where it lives on, if somewhere.
    Item { phase: ItemPhase, survivor: Option<ItemId> },
    /// Declared blockers (FR-012).
    Blockers(Vec<CriterionId>),
    /// Another step of the item uses the constraint (S4).
    Constraint { constraint: ConstraintName, by: usize, in_progress: bool },
}

impl Hold {
    /// Why, in words, and the step it waits for, where it is one of the item's own.
    #[must_use]
    pub fn reason(&self, workflow: &Workflow) -> (Option<StepKey>, String) {
        match self {
            Self::Review => (None, "the item is under review".to_owned()),
            Self::Item { phase, survivor } => {
                (None, format!("the item is {}", ended_words(*phase, survivor.as_ref())))
            }
            Self::Blockers(ids) => {
                let ids: Vec<_> = ids.iter().map(CriterionId::as_str).collect();
                (None, format!("blocked by {}", ids.join(", ")))
            }
            Self::Constraint { constraint, by, in_progress } => {
                let by = workflow.steps()[*by].key.clone();
                let how = if *in_progress { "is in progress" } else { "goes first" };
                let reason = format!("shares {constraint} with {by}, which {how}");
                (Some(by), reason)
            }
        }
    }
}

/// `merged into WI-2`, `closed as a duplicate of WI-2`, `cancelled`.
#[must_use]
pub fn ended_words(phase: ItemPhase, survivor: Option<&ItemId>) -> String {
    match (phase, survivor) {
        (ItemPhase::Merged, Some(into)) => format!("merged into {into}"),
        (ItemPhase::Closed, Some(of)) => format!("closed as a duplicate of {of}"),
        (phase, _) => phase.word().to_owned(),
    }
}

/// The scheduler's answer for a whole item.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// By launch order.
    pub answers: Vec<Answer>,
    /// Which steps are done, by launch order.
    pub done: Vec<bool>,
    /// Positions of the ready steps, in launch order.
    pub ready: Vec<usize>,
}

impl Schedule {
    /// Judges every step of an item (S1–S6).
    #[must_use]
    pub fn of(workflow: &Workflow, item: &ItemState) -> Self {
        let done = item.done();
        let open = workflow.graph().open(&done);
        let mut answers: Vec<Answer> = workflow
            .steps()
            .iter()
            .zip(&item.steps)
            .enumerate()
            .map(|(at, (step, state))| {
                let attempt = || AttemptId::new(step.key.clone(), state.last_number());
                match state.standing() {
                    Standing::Done(how) => Answer::Done(how),
                    Standing::Claimed => Answer::InProgress(attempt()),
                    Standing::Ended(ended) => match item_hold(item) {
                        // Nobody can queue it again.
                        Some(hold) => Answer::Held { attempt: attempt(), hold },
                        None => Answer::NeedsRequeue { attempt: attempt(), ended },
                    },
                    Standing::Untouched if open[at] => Answer::Unopened,
                    Standing::Untouched => Answer::Waiting,
                    // A fact may close what another had opened: it then waits again, still queued.
                    Standing::Queued if !open[at] => Answer::Waiting,
                    Standing::Queued => match general_hold(item, &step.key) {
                        Some(hold) => Answer::Held { attempt: attempt(), hold },
                        None if step.is_gate() => Answer::PendingGate(attempt()),
                        None => Answer::Ready { rank: 0, attempt: attempt() },
                    },
                }
            })
            .collect();
        serialise(workflow, &mut answers);
        let mut ready = Vec::new();
        for (at, answer) in answers.iter_mut().enumerate() {
            if let Answer::Ready { rank, .. } = answer {
                ready.push(at);
                *rank = u32::try_from(ready.len()).unwrap_or(u32::MAX);
            }
        }
        Self { answers, done, ready }
    }

    /// The steps held by a constraint, with what holds them.
    fn serialised(&self) -> BTreeMap<(usize, ConstraintName), usize> {
        let held = |(at, answer): (usize, &Answer)| {
            let Answer::Held { hold: Hold::Constraint { constraint, by, .. }, .. } = answer else {
                return None;
            };
            Some(((at, constraint.clone()), *by))
        };
        self.answers.iter().enumerate().filter_map(held).collect()
    }
}

/// That the item takes no more work.
fn item_hold(item: &ItemState) -> Option<Hold> {
    let survivor = || item.review.survivor.clone();
    (item.phase != ItemPhase::Active)
        .then(|| Hold::Item { phase: item.phase, survivor: survivor() })
}

/// A hold that does not come from other steps of the item.
fn general_hold(item: &ItemState, key: &StepKey) -> Option<Hold> {
    if let Some(hold) = item_hold(item) {
        return Some(hold);
    }
    if item.review.flagged.is_some() {
        return Some(Hold::Review);
    }
    let blockers: Vec<_> = item.open_blockers(key).map(|blocker| blocker.id.clone()).collect();
    (!blockers.is_empty()).then_some(Hold::Blockers(blockers))
}

/// Holds all but one of the steps that share a constraint (S4): one in progress goes first, then
/// the earliest ready one. Failed or otherwise held steps hold nobody.
fn serialise(workflow: &Workflow, answers: &mut [Answer]) {
    let mut users: BTreeMap<&ConstraintName, (usize, bool)> = BTreeMap::new();
    for (at, step) in workflow.steps().iter().enumerate() {
        if matches!(answers[at], Answer::InProgress(_)) {
            for constraint in &step.definition.constraints {
                users.insert(constraint, (at, true));
            }
        }
    }
    for (at, step) in workflow.steps().iter().enumerate() {
        let Answer::Ready { attempt, .. } = &answers[at] else { continue };
        let taken =
            step.definition.constraints.iter().find_map(|constraint| {
                users.get(constraint).map(|&(by, busy)| (constraint, by, busy))
            });
        match taken {
            Some((constraint, by, in_progress)) => {
                let hold = Hold::Constraint { constraint: constraint.clone(), by, in_progress };
                answers[at] = Answer::Held { attempt: attempt.clone(), hold };
            }
            None => {
                for constraint in &step.definition.constraints {
                    users.insert(constraint, (at, false));
                }
            }
        }
    }
}

/// The decision that follows a fact, if it opened something or changed a serialisation (L4).
///
/// A pure function of the facts: `before` is the item before the fact (`None` for the
/// registration), `after` the item with the fact applied.
#[must_use]
pub fn decision(
    workflow: &Workflow,
    before: Option<&ItemState>,
    after: &ItemState,
    fact: &Event,
) -> Option<Event> {
    if after.phase != ItemPhase::Active {
        return None;
    }
    let opened = opened(workflow, after);
    // Nothing shares a constraint in most workflows: no further schedules then.
    let constrained = workflow.steps().iter().any(|step| !step.definition.constraints.is_empty());
    let serialisations = if constrained {
        // Where the item came from another version, the steps stood elsewhere: all is new.
        let here = before.filter(|item| item.workflow == after.workflow);
        let held_before = here.map(|item| Schedule::of(workflow, item).serialised());
        serialisations(workflow, &held_before.unwrap_or_default(), after, &opened)
    } else {
        Vec::new()
    };
    if opened.is_empty() && serialisations.is_empty() {
        return None;
    }
    let tie_breaks = tie_breaks(workflow, after, &opened);
    let summary = summary(&opened, &serialisations);
    let next_action = opened
        .first()
        .map(|first| {
            if first.gate {
                format!("decide gate {}", first.key)
            } else {
                format!("claim {}", first.key)
            }
        })
        .unwrap_or_else(|| "claim what is no longer held".into());
    Some(Event {
        id: decision_id(fact.id),
        work_item_id: Some(after.id.clone()),
        workflow: Some(workflow.reference.clone()),
        step: None,
        attempt_id: None,
        timestamp: fact.timestamp,
        actor: decision_actor(),
        outcome: Outcome { status: "decided".into(), summary },
        next_action,
        baseline_integration: after.baseline(),
        links: Vec::new(),
        request: None,
        data: EventData::ScheduleDecided(ScheduleDecided {
            fact: fact.id,
            opened,
            tie_breaks,
            serialisations,
        }),
    })
}

/// The steps S1–S3 let start that have no attempt in their round yet.
fn opened(workflow: &Workflow, item: &ItemState) -> Vec<OpenedStep> {
    let open = workflow.graph().open(&item.done());
    let (mut opened, mut rank) = (Vec::new(), 0);
    for (at, (step, state)) in workflow.steps().iter().zip(&item.steps).enumerate() {
        let standing = state.standing();
        if !open[at] || !matches!(standing, Standing::Untouched | Standing::Queued) {
            continue;
        }
        rank += 1;
        if standing == Standing::Untouched {
            opened.push(OpenedStep {
                key: step.key.clone(),
                order: step.order,
                attempt_id: AttemptId::new(step.key.clone(), state.last_number() + 1),
                round: state.round,
                rank,
                gate: step.is_gate(),
            });
        }
    }
    opened
}

/// Ties among the open steps of which one was just opened (S5).
fn tie_breaks(workflow: &Workflow, item: &ItemState, opened: &[OpenedStep]) -> Vec<TieBreak> {
    let (done, graph, steps) = (item.done(), workflow.graph(), workflow.steps());
    let orders: BTreeSet<u32> = opened.iter().map(|step| step.order).collect();
    let keys: BTreeSet<&StepKey> = opened.iter().map(|step| &step.key).collect();
    let mut by_order: BTreeMap<u32, Vec<StepKey>> = BTreeMap::new();
    for (at, (step, state)) in steps.iter().zip(&item.steps).enumerate() {
        if !orders.contains(&step.order) {
            continue;
        }
        // It waits for nothing but keys before its own at the same order.
        let outranked = || {
            state.standing() == Standing::Untouched
                && graph.all_blockers(at, &done).iter().all(|&before| {
                    steps[before].order == step.order && !graph.needs(at).contains(&before)
                })
        };
        if keys.contains(&step.key) || state.standing() == Standing::Queued || outranked() {
            by_order.entry(step.order).or_default().push(step.key.clone());
        }
    }
    by_order
        .into_iter()
        .filter(|(_, keys)| keys.len() > 1)
        .map(|(order, keys)| TieBreak { order, keys })
        .collect()
}

/// What changed in who waits for whom because of a constraint.
fn serialisations(
    workflow: &Workflow,
    before: &BTreeMap<(usize, ConstraintName), usize>,
    after: &ItemState,
    opened: &[OpenedStep],
) -> Vec<Serialisation> {
    // As the item will be once this decision has queued what it opens.
    let mut item = after.clone();
    for step in opened {
        if let Some(at) = workflow.position(&step.key) {
            item.steps[at].queue(step.round, after.last_at);
        }
    }
    let now = Schedule::of(workflow, &item).serialised();
    let key = |at: usize| workflow.steps()[at].key.clone();
    let queued = |at: usize| item.steps[at].standing() == Standing::Queued;
    let mut changes: Vec<Serialisation> = now
        .iter()
        .filter(|(held, by)| before.get(held) != Some(by))
        .map(|((at, constraint), by)| Serialisation {
            constraint: constraint.clone(),
            key: key(*at),
            waits_for: Some(key(*by)),
        })
        .collect();
    changes.extend(
        before
            .keys()
            .filter(|(at, constraint)| queued(*at) && !now.contains_key(&(*at, constraint.clone())))
            .map(|(at, constraint)| Serialisation {
                constraint: constraint.clone(),
                key: key(*at),
                waits_for: None,
            }),
    );
    changes.sort_by(|a, b| (&a.key, &a.constraint).cmp(&(&b.key, &b.constraint)));
    changes
}

fn summary(opened: &[OpenedStep], serialisations: &[Serialisation]) -> String {
    let mut parts = Vec::new();
    if !opened.is_empty() {
        let named: Vec<_> = opened.iter().take(NAMED).map(|o| o.key.as_str()).collect();
        let rest = opened.len() - named.len();
        let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
        parts.push(format!("opened {}{more}", named.join(", ")));
    }
    for change in serialisations.iter().take(8) {
        parts.push(match &change.waits_for {
            Some(by) => format!("{} waits for {by} because of {}", change.key, change.constraint),
            None => format!("{} no longer waits because of {}", change.key, change.constraint),
        });
    }
    if serialisations.len() > 8 {
        parts.push(format!("{} more serialisations", serialisations.len() - 8));
    }
    parts.join("; ")
}

/// The pairs of `needs` and implied waits that hold a step, in launch order, nearest first cut.
#[must_use]
pub fn direct_blockers(
    workflow: &Workflow,
    schedule: &Schedule,
    at: usize,
) -> (Vec<StepKey>, usize) {
    let (blockers, rest) = workflow.graph().blockers(at, &schedule.done, NAMED);
    (blockers.into_iter().map(|b| workflow.steps()[b].key.clone()).collect(), rest)
}
