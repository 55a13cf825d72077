//! A second scheduler, written from the sentences S1–S6 and G3 (docs/rules.md) and from nothing
//! else, quadratic and naive, held against the real one in random workflows at every moment of
//! random play.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, Strategy, any};
use proptest::{prop_assert, prop_assert_eq, proptest};
use stepseal::artifact;
use stepseal::domain::decide::void_set;
use stepseal::domain::event::{Event, EventData, ImportedState};
use stepseal::domain::schedule::{Answer, Hold, Schedule};
use stepseal::domain::transition::ItemPhase;
use stepseal::domain::workflow::{Problem, StepDefinition, StepField};

use crate::domain_kit::{
    Move, Play, approve, compile, define, moves, reject, requeue, who, workflows,
};

/// Who waits for whom, in launch order, one question at a time.
#[derive(Debug, Clone)]
pub(crate) struct Waits {
    steps: Vec<StepDefinition>,
    /// Where each stands in the file.
    file: Vec<usize>,
}

impl Waits {
    /// Steps are totally ordered by (order, key bytes); an order left out is the position.
    pub(crate) fn of(steps: &[StepDefinition]) -> Self {
        let mut file: Vec<usize> = (0..steps.len()).collect();
        let place = |at: usize| {
            let order = steps[at].order.map_or(at + 1, |order| order as usize);
            (order, steps[at].key.as_str().as_bytes().to_vec())
        };
        file.sort_by_key(|&at| place(at));
        Self { steps: file.iter().map(|&at| steps[at].clone()).collect(), file }
    }

    /// Whether `step` waits for `other` by a rule of its own.
    fn waits(&self, step: usize, other: usize) -> bool {
        self.implied(step, other) || self.written(step, other)
    }

    fn written(&self, step: usize, other: usize) -> bool {
        self.steps[step].needs.iter().flatten().any(|need| *need == self.steps[other].key)
    }

    fn implied(&self, step: usize, other: usize) -> bool {
        let (me, lower) = (&self.steps[step], &self.steps[other]);
        if other >= step {
            return false;
        }
        // S1: a non-parallelizable step waits for every lower step.
        let s1 = !me.parallelizable;
        // S3: without a group, needs, even empty, replace what S2 implies.
        let replaced = me.parallelizable && me.group.is_none() && me.needs.is_some();
        // S2: for every lower sequential step, and every lower one of another group.
        let another = !lower.parallelizable || lower.group != me.group;
        let s2 = me.parallelizable && !replaced && another;
        // S3: whatever needs say, for every lower gate, also in its own group …
        let s3 = lower.gate.is_some();
        // … unless it crosses gates, which lifts exactly that wait and the same wait in S2.
        let lifted = me.crosses_gates && lower.gate.is_some();
        (s1 || s2 || s3) && !lifted
    }

    /// Which steps wait for which, directly or through others.
    pub(crate) fn closure(&self) -> Vec<Vec<bool>> {
        let n = self.steps.len();
        let mut reach: Vec<Vec<bool>> =
            (0..n).map(|s| (0..n).map(|o| self.waits(s, o)).collect()).collect();
        for middle in 0..n {
            for from in 0..n {
                for to in 0..n {
                    reach[from][to] |= reach[from][middle] && reach[middle][to];
                }
            }
        }
        reach
    }

    /// Whether steps wait for each other (S7).
    pub(crate) fn cyclic(&self) -> bool {
        self.closure().iter().enumerate().any(|(at, reach)| reach[at])
    }

    fn shares(&self, a: usize, b: usize) -> bool {
        self.steps[a].constraints.iter().any(|c| self.steps[b].constraints.contains(c))
    }
}

/// Where a step stands, by its events alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stand {
    Untouched,
    Queued,
    Claimed,
    Ended,
    Done(How),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Here,
    Skipped,
    ImportedDone,
    ImportedSkipped,
}

/// What the events so far come to, read naively.
#[derive(Debug, Clone)]
struct Tale {
    stand: Vec<Stand>,
    /// Whether there was ever an attempt.
    tried: Vec<bool>,
    flagged: bool,
    /// Merged, closed or cancelled.
    ended: bool,
    /// Open blockers and the steps each holds; none means all.
    blockers: BTreeMap<String, Vec<String>>,
}

impl Tale {
    fn of<'a>(waits: &Waits, events: impl Iterator<Item = &'a Event>) -> Self {
        let mut tale = Self {
            stand: vec![Stand::Untouched; waits.steps.len()],
            tried: vec![false; waits.steps.len()],
            flagged: false,
            ended: false,
            blockers: BTreeMap::new(),
        };
        events.for_each(|event| tale.tell(waits, event));
        tale
    }

    fn tell(&mut self, waits: &Waits, event: &Event) {
        let at = |key: &stepseal::domain::id::StepKey| {
            waits.steps.iter().position(|s| s.key == *key).expect("a step of the workflow")
        };
        let own = event.step.as_ref().map(|step| at(&step.key));
        let mut becomes = |stand| self.stand[own.expect("it is about a step")] = stand;
        match &event.data {
            EventData::WorkItemRegistered(data) => {
                for step in &data.imported {
                    self.stand[at(&step.key)] = Stand::Done(match step.state {
                        ImportedState::Done => How::ImportedDone,
                        ImportedState::Skipped => How::ImportedSkipped,
                    });
                }
            }
            EventData::ScheduleDecided(data) => {
                for opened in &data.opened {
                    self.stand[at(&opened.key)] = Stand::Queued;
                    self.tried[at(&opened.key)] = true;
                }
            }
            EventData::AttemptRequeued(_) => becomes(Stand::Queued),
            EventData::AttemptClaimed(_) => becomes(Stand::Claimed),
            EventData::AttemptCompleted(_) => becomes(Stand::Done(How::Here)),
            EventData::AttemptFailed(_)
            | EventData::AttemptRejected(_)
            | EventData::ClaimReleased(_)
            | EventData::ClaimLapsed(_)
            | EventData::AttemptWithdrawn(_) => becomes(Stand::Ended),
            EventData::StepSkipped(_) => becomes(Stand::Done(How::Skipped)),
            EventData::GateApproved(data) if data.decided => becomes(Stand::Done(How::Here)),
            EventData::GateRejected(data) => {
                becomes(Stand::Ended);
                for void in &data.void {
                    self.stand[at(&void.key)] = Stand::Untouched;
                }
            }
            EventData::ReworkRequested(data) => {
                for void in &data.void {
                    self.stand[at(&void.key)] = Stand::Untouched;
                }
            }
            EventData::BaselineReverted(data) => {
                self.ended = false;
                for void in &data.void {
                    self.stand[at(&void.key)] = Stand::Untouched;
                }
            }
            EventData::ReviewMerged(_)
            | EventData::ReviewClosed(_)
            | EventData::BaselineIntegration(_)
            | EventData::WorkItemCancelled(_) => self.ended = true,
            EventData::ReviewOverturned(_) => (self.ended, self.flagged) = (false, false),
            EventData::ReviewFlagged(_) => self.flagged = true,
            EventData::ReviewCleared(_) => self.flagged = false,
            EventData::BlockerDeclared(data) => {
                let steps = data.steps.iter().map(ToString::to_string).collect();
                self.blockers.insert(data.blocker_id.to_string(), steps);
            }
            EventData::BlockerResolved(data) => {
                self.blockers.remove(data.blocker_id.as_str());
            }
            _ => {}
        }
    }

    fn done(&self, at: usize) -> bool {
        matches!(self.stand[at], Stand::Done(_))
    }

    /// S1–S3: everything it waits for is done.
    fn open(&self, waits: &Waits, at: usize) -> bool {
        (0..self.stand.len()).all(|other| !waits.waits(at, other) || self.done(other))
    }

    /// What S1–S6 say of every step.
    fn says(&self, waits: &Waits) -> Vec<Say> {
        let mut says: Vec<Say> = (0..self.stand.len()).map(|at| self.say(waits, at)).collect();
        // S4: a ready step waits for any step in progress and for any ready step earlier in
        // launch order that shares a constraint; held steps hold nobody.
        let mut rank = 0;
        for at in 0..says.len() {
            if says[at] != Say::Ready(0) {
                continue;
            }
            let busy = |other: usize| says[other] == Say::InProgress;
            let first = |other: usize| other < at && matches!(says[other], Say::Ready(_));
            let held = (0..says.len()).any(|other| {
                other != at && waits.shares(at, other) && (busy(other) || first(other))
            });
            says[at] = if held {
                Say::Serialised
            } else {
                rank += 1;
                Say::Ready(rank)
            };
        }
        says
    }

    fn say(&self, waits: &Waits, at: usize) -> Say {
        let name = waits.steps[at].key.to_string();
        let blocked = self.blockers.values().any(|b| b.is_empty() || b.contains(&name));
        match self.stand[at] {
            Stand::Done(_) => Say::Done,
            Stand::Claimed => Say::InProgress,
            Stand::Ended if self.ended => Say::Ended,
            Stand::Ended => Say::NeedsRequeue,
            Stand::Untouched | Stand::Queued if !self.open(waits, at) => Say::Waiting,
            Stand::Untouched => Say::Unopened,
            Stand::Queued if self.ended => Say::Ended,
            Stand::Queued if self.flagged => Say::Review,
            Stand::Queued if blocked => Say::Blocked,
            Stand::Queued if waits.steps[at].gate.is_some() => Say::PendingGate,
            Stand::Queued => Say::Ready(0),
        }
    }

    /// G3, read sentence by sentence, for a way back to `target` from a gate or outside one.
    fn void(&self, waits: &Waits, target: usize, gate: Option<usize>) -> Vec<usize> {
        // Up to the gate; outside one, up to the highest step with an attempt.
        let highest = (0..self.tried.len()).filter(|&at| self.tried[at]).max();
        let bound = gate.or(highest).unwrap_or(target);
        let closure = waits.closure();
        // Skipped steps stay skipped; a step that never opened in this round has nothing to undo.
        let may = |at: usize| {
            !matches!(
                self.stand[at],
                Stand::Untouched | Stand::Done(How::Skipped | How::ImportedSkipped)
            )
        };
        // That step, every step up to the gate that transitively waits for it; and the gate
        // itself, whose round one rejection ends. The target counts wherever it stands.
        let mut void: Vec<usize> = (0..self.stand.len())
            .filter(|&at| at <= bound || at == target)
            .filter(|&at| at == target || Some(at) == gate || closure[at][target])
            .filter(|&at| may(at))
            .collect();
        // Every step above that whose written needs names a void step; imported ones stay done.
        loop {
            let more = (bound + 1..self.stand.len()).find(|&at| {
                !void.contains(&at)
                    && may(at)
                    && self.stand[at] != Stand::Done(How::ImportedDone)
                    && void.iter().any(|&v| waits.written(at, v))
            });
            match more {
                Some(at) => void.push(at),
                None => break,
            }
        }
        void.sort_unstable();
        void
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Say {
    Done,
    InProgress,
    NeedsRequeue,
    Waiting,
    Unopened,
    Review,
    Blocked,
    PendingGate,
    Serialised,
    Ended,
    Ready(u32),
}

fn said(answer: &Answer) -> Say {
    match answer {
        Answer::Done(_) => Say::Done,
        Answer::InProgress(_) => Say::InProgress,
        Answer::Ready { rank, .. } => Say::Ready(*rank),
        Answer::PendingGate(_) => Say::PendingGate,
        Answer::Held { hold: Hold::Review, .. } => Say::Review,
        Answer::Held { hold: Hold::Blockers(_), .. } => Say::Blocked,
        Answer::Held { hold: Hold::Constraint { .. }, .. } => Say::Serialised,
        Answer::Held { hold: Hold::Item { .. }, .. } => Say::Ended,
        Answer::NeedsRequeue { .. } => Say::NeedsRequeue,
        Answer::Unopened => Say::Unopened,
        Answer::Waiting => Say::Waiting,
    }
}

/// Steps, what is imported of them, and what is tried.
fn stories() -> impl Strategy<Value = (Vec<StepDefinition>, Vec<u8>, Vec<Move>)> {
    let imports = vec(any::<u8>(), 14);
    (workflows(true), imports, any::<bool>(), moves(48)).prop_map(
        |(steps, mut imports, any, moves)| {
            if any {
                imports.fill(255);
            }
            (steps, imports, moves)
        },
    )
}

fn begin(steps: Vec<StepDefinition>, imports: &[u8]) -> Play {
    let mut play = Play::empty(compile(steps.clone()));
    let imported: Vec<(&str, ImportedState)> = steps
        .iter()
        .zip(imports)
        .filter_map(|(step, draw)| match draw % 8 {
            0 => Some((step.key.as_str(), ImportedState::Done)),
            1 => Some((step.key.as_str(), ImportedState::Skipped)),
            _ => None,
        })
        .collect();
    let register = play.register(&imported);
    play.does(&who("delegator"), &register);
    play
}

fn tale(play: &Play, waits: &Waits) -> Tale {
    Tale::of(waits, play.log.iter().map(|recorded| &recorded.event))
}

/// Everything the scheduler says now, against the sentences.
fn agree(play: &Play, waits: &Waits) -> Result<(), proptest::test_runner::TestCaseError> {
    let (tale, schedule) = (tale(play, waits), Schedule::of(&play.workflow, play.item()));
    let order: Vec<_> = play.workflow.steps().iter().map(|step| step.key.clone()).collect();
    prop_assert_eq!(order, waits.steps.iter().map(|s| s.key.clone()).collect::<Vec<_>>());
    let says = tale.says(waits);
    prop_assert_eq!(schedule.answers.iter().map(said).collect::<Vec<_>>(), says.clone());
    prop_assert!(!says.contains(&Say::Unopened), "a decision must have opened it: {:?}", says);
    let ready = |at: &usize| matches!(says[*at], Say::Ready(_));
    prop_assert_eq!(&schedule.ready, &(0..says.len()).filter(ready).collect::<Vec<_>>());
    let done: Vec<bool> = (0..says.len()).map(|at| tale.done(at)).collect();
    prop_assert_eq!(&schedule.done, &done);
    let graph = play.workflow.graph();
    for (at, say) in says.iter().enumerate() {
        let all: Vec<usize> = (0..says.len()).filter(|&o| !done[o] && waits.waits(at, o)).collect();
        prop_assert_eq!(&graph.all_blockers(at, &done), &all, "all that holds {}", at);
        let (near, rest) = graph.blockers(at, &done, usize::MAX);
        prop_assert_eq!(rest, 0);
        prop_assert!(near.iter().all(|n| all.contains(n)), "{:?} of {:?}", near, all);
        prop_assert_eq!(near.is_empty(), all.is_empty(), "waiting and blockers of {}", at);
        // The nearest layer explains the rest: what is left out, one of it waits for.
        let closure = waits.closure();
        prop_assert!(all.iter().all(|o| near.contains(o) || near.iter().any(|&n| closure[n][*o])));
        for n in near.iter().filter(|&&n| !waits.written(at, n)) {
            let nearer = |o: &&usize| (n + 1..at).contains(*o) && waits.waits(**o, *n);
            prop_assert_eq!(all.iter().find(nearer), None, "{} waits for {} too", at, n);
        }
        let (cut, more) = graph.blockers(at, &done, 1);
        prop_assert_eq!((cut.len(), cut.len() + more), (near.len().min(1), near.len()));
        if *say == Say::Waiting {
            prop_assert!(!near.is_empty(), "{} waits for nothing", at);
        }
    }
    for (at, answer) in schedule.answers.iter().enumerate() {
        let Answer::Held { hold: Hold::Constraint { constraint, by, in_progress }, .. } = answer
        else {
            continue;
        };
        prop_assert!(waits.steps[at].constraints.contains(constraint));
        prop_assert!(waits.steps[*by].constraints.contains(constraint));
        let right = if *in_progress {
            says[*by] == Say::InProgress
        } else {
            *by < at && matches!(says[*by], Say::Ready(_))
        };
        prop_assert!(right, "{} is held by {}, which is {:?}", at, by, says[*by]);
    }
    // S1 and S4: at most one sequential step in progress, at most one of those that share.
    let busy: Vec<usize> = (0..says.len()).filter(|&at| says[at] == Say::InProgress).collect();
    for (n, &a) in busy.iter().enumerate() {
        for &b in &busy[n + 1..] {
            prop_assert!(!waits.shares(a, b), "{} and {} share a constraint", a, b);
            let sequential = |at: usize| !waits.steps[at].parallelizable;
            prop_assert!(!(sequential(a) && sequential(b)), "{} and {} both run", a, b);
        }
    }
    Ok(())
}

/// Every rejection and every rework the state allows would void what G3 says.
fn voids(play: &Play, waits: &Waits) -> Result<(), proptest::test_runner::TestCaseError> {
    let tale = tale(play, waits);
    let says = tale.says(waits);
    for bound in (0..says.len()).filter(|&at| says[at] == Say::PendingGate) {
        for target in 0..bound {
            let skipped = Stand::Done(How::Skipped);
            let imported = Stand::Done(How::ImportedSkipped);
            if waits.steps[target].gate.is_some()
                || [Stand::Untouched, skipped, imported].contains(&tale.stand[target])
            {
                continue;
            }
            let real = void_set(&play.workflow, play.item(), target, Some(bound));
            let naive = tale.void(waits, target, Some(bound));
            prop_assert_eq!(real, naive, "gate {} back to {}", bound, target);
        }
    }
    for target in 0..says.len() {
        let stays = [Stand::Untouched, Stand::Queued, Stand::Done(How::Skipped)];
        if stays.contains(&tale.stand[target])
            || tale.stand[target] == Stand::Done(How::ImportedSkipped)
        {
            continue;
        }
        let real = void_set(&play.workflow, play.item(), target, None);
        let naive = tale.void(waits, target, None);
        prop_assert_eq!(real, naive, "rework of {}", target);
    }
    Ok(())
}

/// Who is held by whom, for the decision's half about constraints.
fn held(play: &Play) -> BTreeMap<usize, usize> {
    let answers = play.schedule().answers;
    let by = |(at, answer): (usize, &Answer)| match answer {
        Answer::Held { hold: Hold::Constraint { by, .. }, .. } => Some((at, *by)),
        _ => None,
    };
    answers.iter().enumerate().filter_map(by).collect()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 256,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_answer_is_what_the_sentences_say((steps, imports, moves) in stories()) {
        let waits = Waits::of(&steps);
        let mut play = begin(steps, &imports);
        agree(&play, &waits)?;
        for mv in &moves {
            if !play.play(mv).is_empty() {
                agree(&play, &waits)?;
            }
        }
    }

    #[test]
    fn a_way_back_voids_what_g3_says((steps, imports, moves) in stories()) {
        let waits = Waits::of(&steps);
        let mut play = begin(steps, &imports);
        for mv in &moves {
            let before = tale(&play, &waits);
            for event in play.play(mv) {
                let at = |key| play.workflow.position(key).expect("a step of the workflow");
                let (void, to, gate) = match &event.data {
                    EventData::GateRejected(data) => {
                        let gate = event.step.as_ref().expect("a gate");
                        (&data.void, at(&data.return_to), Some(at(&gate.key)))
                    }
                    EventData::ReworkRequested(data) => (&data.void, at(&data.return_to), None),
                    EventData::BaselineReverted(data) => (&data.void, at(&data.return_to), None),
                    _ => continue,
                };
                let void: Vec<usize> = void.iter().map(|void| at(&void.key)).collect();
                proptest::prop_assert_eq!(void, before.void(&waits, to, gate));
            }
            voids(&play, &waits)?;
        }
    }

    #[test]
    fn a_decision_opens_what_the_fact_let_start((steps, imports, moves) in stories()) {
        let waits = Waits::of(&steps);
        let mut play = begin(steps, &imports);
        for mv in &moves {
            let Some((actor, ask)) = play.likely(mv) else { continue };
            let Ok(stepseal::domain::decide::Decided::Facts(facts)) = play.ask(&actor, &ask)
            else {
                continue;
            };
            for fact in facts {
                let held_before = held(&play);
                let recorded = play.record(fact.clone());
                let mut after = tale(&play, &waits);
                let mut opened = Vec::new();
                if let Some(decision) = recorded.get(1) {
                    let EventData::ScheduleDecided(data) = &decision.data else {
                        panic!("only a decision follows a fact");
                    };
                    opened = data.opened.iter().map(|o| o.key.clone()).collect();
                    // What it opened was untouched before it.
                    for key in &opened {
                        let at = play.workflow.position(key).expect("a step of the workflow");
                        after.stand[at] = Stand::Untouched;
                    }
                }
                let due: Vec<_> = (0..after.stand.len())
                    .filter(|&at| after.stand[at] == Stand::Untouched && after.open(&waits, at))
                    .map(|at| waits.steps[at].key.clone())
                    .collect();
                prop_assert_eq!(&opened, &due);
                let decision = recorded.get(1).map(|decision| &decision.data);
                if let Some(EventData::ScheduleDecided(data)) = decision {
                    // A rank is a place among the steps that are open now, in launch order.
                    let open: Vec<_> = (0..after.stand.len())
                        .filter(|&at| [Stand::Untouched, Stand::Queued].contains(&after.stand[at]))
                        .filter(|&at| after.open(&waits, at))
                        .map(|at| waits.steps[at].key.clone())
                        .collect();
                    for opened in &data.opened {
                        let rank = open.iter().position(|key| *key == opened.key);
                        prop_assert_eq!(rank.map(|at| at + 1), Some(opened.rank as usize));
                    }
                }
                let held_after = held(&play);
                // A held step that leaves the queue itself is no lifted hold, nor is the item's end.
                let still = |at: &&usize| after.stand[**at] == Stand::Queued && !after.ended;
                let same = held_before.keys().filter(still).eq(held_after.keys());
                prop_assert!(recorded.len() == 2 || (due.is_empty() && same),
                    "{:?} then {:?} without a decision", held_before, held_after);
                prop_assert!(recorded.len() == 1 || !due.is_empty() || held_before != held_after,
                    "a decision about nothing: {:?}", recorded.get(1));
            }
        }
    }

    #[test]
    fn play_never_deadlocks((steps, imports, moves) in stories()) {
        let waits = Waits::of(&steps);
        let mut play = begin(steps, &imports);
        for mv in &moves {
            play.play(mv);
        }
        match play.item().phase {
            ItemPhase::Cancelled => return Ok(()),
            ItemPhase::Integrated => {
                let open = play.where_answer(|a| !matches!(a, Answer::Done(_)));
                prop_assert!(open.is_empty(), "integrated with {:?} to do", open);
                return Ok(());
            }
            ItemPhase::Merged | ItemPhase::Closed => {
                play.does(&who("ann"), &crate::domain_kit::overturn());
            }
            _ => {}
        }
        if play.item().review.flagged.is_some() {
            play.does(&who("ann"), &crate::domain_kit::clear());
        }
        for blocker in play.item().blockers.clone() {
            if blocker.resolved_at.is_none() {
                play.resolved(blocker.id.as_str());
            }
        }
        for turn in 0.. {
            prop_assert!(turn < 200, "no end in sight");
            let all = play.where_answer(|a| !matches!(a, Answer::Done(_)));
            if all.is_empty() {
                break;
            }
            let first = |test: fn(&Answer) -> bool| play.where_answer(test).first().cloned();
            if let Some(name) = first(|a| matches!(a, Answer::InProgress(_))) {
                play.end(&name, stepseal::domain::decide::Ending::Completed);
            } else if let Some(name) = first(|a| matches!(a, Answer::Ready { .. })) {
                play.claim(&name);
            } else if let Some(name) = first(|a| matches!(a, Answer::PendingGate(_))) {
                let judge = who(["dan", "eve", "fay"][turn % 3]);
                if let Ok(stepseal::domain::decide::Decided::Facts(facts)) =
                    play.ask(&judge, &approve(&name))
                {
                    facts.into_iter().for_each(|fact| drop(play.record(fact)));
                }
            } else if let Some(name) = first(|a| matches!(a, Answer::NeedsRequeue { .. })) {
                play.does(&who("ann"), &requeue(&name));
            } else {
                prop_assert!(false, "deadlock: {:?}", play.schedule().answers);
            }
        }
        agree(&play, &waits)?;
    }

    #[test]
    fn dependents_are_the_transitive_closure(steps in workflows(true)) {
        let waits = Waits::of(&steps);
        let (closure, workflow) = (waits.closure(), compile(steps));
        for to in 0..closure.len() {
            let naive: Vec<bool> = (0..closure.len()).map(|from| closure[from][to]).collect();
            prop_assert_eq!(workflow.graph().dependents(to), naive, "dependents of {}", to);
        }
    }

    #[test]
    fn inputs_come_from_what_is_waited_for(steps in workflows(true)) {
        let waits = Waits::of(&steps);
        let (closure, workflow) = (waits.closure(), compile(steps));
        for at in 0..closure.len() {
            let direct = workflow.graph().direct(at);
            prop_assert!(direct.iter().all(|&o| waits.waits(at, o)));
            for other in (0..closure.len()).filter(|&o| waits.waits(at, o)) {
                prop_assert!(
                    direct.contains(&other) || direct.iter().any(|&d| closure[d][other]),
                    "{} waits for {}, and {:?} do not explain it", at, other, direct
                );
                prop_assert!(!waits.written(at, other) || direct.contains(&other));
                let nearer = (other + 1..at).find(|&o| waits.waits(at, o) && waits.waits(o, other));
                prop_assert!(
                    nearer.is_none() || waits.written(at, other) || !direct.contains(&other),
                    "{} waits for {} by way of {:?}", at, other, nearer
                );
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2048,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn compile_refuses_exactly_the_cycles(steps in workflows(false)) {
        let waits = Waits::of(&steps);
        match artifact::compile(&define(steps.clone())) {
            Ok(_) => prop_assert!(!waits.cyclic(), "a cycle was let through"),
            Err(problems) => {
                prop_assert!(waits.cyclic(), "refused without a cycle: {:?}", problems);
                prop_assert_eq!(problems.len(), 1);
                around(&waits, &problems[0])?;
            }
        }
    }
}

/// The edges a cycle's problem names are edges, each where it is written, and they close.
fn around(waits: &Waits, problem: &Problem) -> Result<(), proptest::test_runner::TestCaseError> {
    use stepseal::domain::workflow::Place;
    let list = problem.message.strip_prefix("these steps wait for each other: ");
    let words: Vec<&str> = list.expect("the words of a cycle").split(", ").collect();
    let mut places = vec![&problem.place];
    places.extend(problem.related.iter().map(|(place, _)| place));
    prop_assert_eq!(words.len(), places.len());
    let mut ends = Vec::new();
    for (word, place) in words.iter().zip(&places) {
        let names: Vec<&str> = word.split('`').collect();
        let at = |name: &str| waits.steps.iter().position(|s| s.key.as_str() == name);
        let (from, to) = (at(names[1]), at(names[3]));
        let (from, to) = (from.expect("a step"), to.expect("a step"));
        let Place::Step(file, field) = place else { panic!("a cycle is about steps") };
        prop_assert_eq!(*file, waits.file[from]);
        match field {
            StepField::Need(n) => {
                let needs = waits.steps[from].needs.as_ref().expect("it has needs");
                prop_assert_eq!(&needs[*n], &waits.steps[to].key, "{}", word);
            }
            _ => prop_assert!(waits.implied(from, to), "{} is not implied", word),
        }
        ends.push((from, to));
    }
    for (n, (_, to)) in ends.iter().enumerate() {
        prop_assert_eq!(*to, ends[(n + 1) % ends.len()].0, "{}", &problem.message);
    }
    Ok(())
}

#[test]
fn ties_go_by_the_bytes_of_the_key() {
    use crate::domain_kit::{Shape as _, par};
    let names = ["b", "B", "10", "9", "x.ray", "x-ray"];
    let names: Vec<_> = names.into_iter().filter(|n| *n != "B").collect();
    let play = Play::of(names.iter().map(|n| par(n).order(3)).collect());
    assert_eq!(play.ready(), ["10", "9", "b", "x-ray", "x.ray"]);
}

#[test]
fn a_crossing_step_waits_for_a_parallel_step_below_the_gate_it_crosses() {
    use crate::domain_kit::{Shape as _, gate, par};
    // S3 lifts exactly the waits for gates: x still waits for a, of another group (S2), so a may
    // not need x.
    let steps = |needs: &[&str]| {
        let a = par("a").group("early");
        vec![if needs.is_empty() { a } else { a.needs(needs) }, gate("ok"), par("x").crosses()]
    };
    let workflow = compile(steps(&[]));
    assert_eq!(workflow.graph().dependents(0), [false, true, true]);
    assert!(artifact::compile(&define(steps(&["x"]))).is_err(), "a and x wait for each other");
}

#[test]
fn a_step_above_the_gate_that_needs_only_what_stays_done_is_not_void() {
    use crate::domain_kit::{Shape as _, gate, par, work};
    // G3: imported steps above the bound stay done, so `late` names no void step.
    let steps = vec![
        work("build"),
        gate("ok"),
        par("early").order(3).crosses().needs(&["build"]),
        par("late").order(4).crosses().needs(&["early"]),
    ];
    let mut play = Play::importing(steps, &[("early", ImportedState::Done)]);
    play.work("late");
    play.work("build");
    let events = play.does(&who("ann"), &reject("ok", Some("build"), false));
    let EventData::GateRejected(data) = &events[0].data else { panic!("a rejection") };
    let void: Vec<&str> = data.void.iter().map(|void| void.key.as_str()).collect();
    assert_eq!(void, ["build", "ok"]);
}

#[test]
fn written_needs_above_the_gate_are_followed_in_both_directions() {
    use crate::domain_kit::{Shape as _, gate, par, work};
    // `early` needs `late`, which comes after it, which needs the target.
    let mut play = Play::of(vec![
        work("build"),
        gate("ok"),
        par("early").order(3).crosses().needs(&["late"]),
        par("late").order(4).crosses().needs(&["build"]),
    ]);
    play.work("build");
    play.work("late");
    play.work("early");
    let events = play.does(&who("ann"), &reject("ok", Some("build"), false));
    let EventData::GateRejected(data) = &events[0].data else { panic!("a rejection") };
    let void: Vec<&str> = data.void.iter().map(|void| void.key.as_str()).collect();
    assert_eq!(void, ["build", "ok", "early", "late"]);
}

#[test]
fn only_a_parallelizable_step_without_a_group_crosses_gates() {
    use crate::domain_kit::{Shape as _, par, work};
    for (step, legal) in
        [(par("a").crosses(), true), (work("a").crosses(), false), (par("a").group("g"), true)]
    {
        assert_eq!(artifact::compile(&define(vec![step])).is_ok(), legal);
    }
    let problems = artifact::compile(&define(vec![par("a").group("g").crosses()]));
    let place = stepseal::domain::workflow::Place::Step(0, StepField::CrossesGates);
    assert_eq!(problems.map(drop).expect_err("elsewhere it is refused")[0].place, place);
}
