//! Random histories, legal asks and illegal ones: what the rules return can always be read
//! again, decisions follow from the facts alone, and the order of independent facts leaves no
//! trace (L4, L10).

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, Strategy, any};
use proptest::test_runner::TestCaseError;
use proptest::{prop_assert, prop_assert_eq, proptest};
use stepseal::artifact::{ScheduleDoc, decode_event, encode, encode_event};
use stepseal::domain::decide::{
    Ask, Attest, Claim, Complete, Decided, Ending, Release, Requeue, Verified,
};
use stepseal::domain::event::{Event, EventData, Output, Request};
use stepseal::domain::id::{AttemptId, ClaimId, Digest, EventId};
use stepseal::domain::schedule::{Schedule, decision};
use stepseal::domain::state::ItemState;
use stepseal::domain::status::statuses;
use stepseal::domain::transition::AttemptPhase;
use stepseal::domain::workflow::StepDefinition;

use crate::domain_kit::{
    Move, Play, approve, cancel, clear, close, compile, completion, declare, epoch, flag, id,
    link_to, merge, moment_at, moves, overturn, pick, reject, resolve, resume, rework, skip,
    transfer, who, workflows,
};
use crate::scheduler::Waits;

/// An ask that makes no promise to be legal: any step, any name, any claim ever made.
fn wild(play: &Play, mv: &Move) -> Ask {
    let steps = play.workflow.steps();
    let name = steps[usize::from(mv.pick) % steps.len()].key.to_string();
    let chance = |bit: u16| mv.other >> bit & 1 == 1;
    let claims: Vec<ClaimId> = play
        .log
        .iter()
        .filter_map(|recorded| match &recorded.event.data {
            EventData::AttemptClaimed(data) => Some(data.claim_id),
            _ => None,
        })
        .collect();
    let any_claim = pick(&claims, mv.other);
    let number = mv.other % 4;
    let attempt = match mv.other % 5 {
        0 => Some(format!("{name}.{number}")),
        1 => Some(format!("mine-{}", mv.other % 3)),
        _ => None,
    };
    let step = Some(id(&name)).filter(|_| !chance(3));
    let shown = |text: &str| Verified { id: id(text), evidence: None, check: None };
    match mv.kind % 16 {
        0..=2 => Ask::Claim(Claim {
            step,
            attempt,
            attest: Attest { named: Vec::new(), all: chance(0) || chance(1) },
            lease: chance(2).then_some(u64::from(mv.pick) << (mv.other % 40)),
        }),
        3..=6 => Ask::Complete(Box::new(Complete {
            step,
            attempt,
            claim: any_claim.filter(|_| chance(0)),
            own_claims: if chance(1) { claims } else { Vec::new() },
            verified: if chance(2) { vec![shown("out")] } else { Vec::new() },
            outputs: (0..number)
                .map(|n| Output {
                    path: format!("p{}", n % 3),
                    sha256: Digest::of(&[mv.kind]),
                    size: 3,
                })
                .collect(),
            next_action: chance(4).then(|| "go on".to_owned()),
            ..completion(
                &name,
                [Ending::Completed, Ending::Failed, Ending::Rejected]
                    [usize::from(mv.kind / 16) % 3],
            )
        })),
        7 => skip(&name),
        8 | 9 => Ask::Requeue(Requeue {
            step: Some(id(&name)),
            attempt: None,
            reason: chance(0).then(|| "again".to_owned()),
            lapsed: chance(1),
            force: chance(2),
        }),
        10 => Ask::Release(Release {
            step: Some(id(&name)),
            attempt: None,
            claim: any_claim.filter(|_| chance(0)),
            reason: "not now".into(),
        }),
        11 => approve(&name),
        12 => {
            let to = steps[usize::from(mv.other) % steps.len()].key.to_string();
            reject(&name, Some(to.as_str()).filter(|_| !chance(9)), chance(10))
        }
        13 => flag(),
        14 => clear(),
        _ => match mv.other % 12 {
            0 => rework(&name, chance(10)),
            1 => declare(["one", "two"][usize::from(mv.pick % 2)], &[&name]),
            2 => resolve(["one", "two"][usize::from(mv.pick % 2)]),
            3 => transfer(["ann", "bob"][usize::from(mv.pick % 2)]),
            4 => link_to(["WI-0", "WI-1", "WI-9"][usize::from(mv.pick % 3)]),
            5 => merge(["WI-0", "WI-1", "WI-9"][usize::from(mv.pick % 3)], chance(10)),
            6 => close(Some("WI-2").filter(|_| chance(9)), chance(10)),
            7 | 8 => overturn(),
            9 => resume("again"),
            10 if chance(10) => cancel(chance(11)),
            _ => play.register(&[]),
        },
    }
}

/// Random steps and what is tried; every other move is wild.
pub(crate) fn stories() -> impl Strategy<Value = (Vec<StepDefinition>, Vec<(bool, Move)>)> {
    let wildness = vec(any::<bool>(), 64);
    (workflows(true), wildness, moves(64))
        .prop_map(|(steps, wild, moves)| (steps, wild.into_iter().zip(moves).collect()))
}

/// One turn of a story; refusals are read, and change nothing.
pub(crate) fn turn(play: &mut Play, wildly: bool, mv: &Move) -> Result<(), TestCaseError> {
    if !wildly {
        play.play(mv);
        return Ok(());
    }
    let actor = who(["ann", "bob", "cy", "a", "B"][usize::from(mv.other / 7) % 5]);
    let ask = wild(play, mv);
    play.tick += 1;
    let mut moment = moment_at(play.tick, &actor);
    if mv.other.is_multiple_of(6) {
        moment.request = Some(Request {
            id: id(&format!("req-{}", mv.pick % 8)),
            digest: Digest::of(format!("{ask:?}").as_bytes()),
        });
    }
    let before = play.item.clone();
    match play.decide_at(&moment, &ask) {
        Ok(Decided::Facts(facts)) => {
            prop_assert!(!facts.is_empty(), "no facts is Unchanged: {:?}", ask);
            let ids: BTreeSet<_> = facts.iter().map(|fact| fact.id).collect();
            prop_assert_eq!(ids.len(), facts.len(), "an id twice");
            for fact in facts {
                prop_assert_eq!(fact.timestamp, moment.now());
                prop_assert_eq!(&fact.actor, &actor);
                prop_assert_eq!(&fact.request, &moment.request);
                play.record(fact);
            }
            // The same ask under the same request, later, is the original result.
            if moment.request.is_some() {
                let mut later = moment_at(play.tick + 1, &actor);
                later.request.clone_from(&moment.request);
                let again = play.decide_at(&later, &ask);
                prop_assert!(matches!(again, Ok(Decided::Unchanged(_))), "{:?}", again);
            }
        }
        Ok(Decided::Unchanged(_)) => {}
        Err(refusal) => {
            prop_assert!(!refusal.to_string().is_empty() && !refusal.reason().is_empty());
            // Refused or not: the same moment and state give the same answer.
            prop_assert_eq!(play.decide_at(&moment, &ask), Err(refusal));
            prop_assert_eq!(&play.item, &before);
        }
    }
    Ok(())
}

pub(crate) fn begin(steps: Vec<StepDefinition>) -> Play {
    let mut play = Play::empty(compile(steps));
    let register = play.register(&[]);
    play.does(&who("delegator"), &register);
    play
}

fn played(steps: Vec<StepDefinition>, story: &[(bool, Move)]) -> Result<Play, TestCaseError> {
    let mut play = begin(steps);
    for (wildly, mv) in story {
        turn(&mut play, *wildly, mv)?;
    }
    Ok(play)
}

/// What a log must never say, counted from the log alone.
fn sound(play: &Play) -> Result<(), TestCaseError> {
    let mut last: BTreeMap<String, u32> = BTreeMap::new();
    let mut live: BTreeMap<String, ClaimId> = BTreeMap::new();
    let mut busy: BTreeMap<String, String> = BTreeMap::new();
    let mut claims = BTreeSet::new();
    let mut seen: BTreeMap<EventId, (Digest, bool)> = BTreeMap::new();
    let mut open = |attempt: &AttemptId| {
        let number = last.entry(attempt.key().to_string()).or_insert(0);
        *number += 1;
        prop_assert_eq!(attempt.number(), *number, "numbers run on: {}", attempt);
        Ok(())
    };
    for recorded in &play.log {
        let event = &recorded.event;
        let step = event.step.as_ref().map(|step| step.key.to_string());
        match &event.data {
            EventData::ScheduleDecided(data) => {
                for opened in &data.opened {
                    open(&opened.attempt_id)?;
                }
            }
            EventData::AttemptRequeued(_) => open(event.attempt_id.as_ref().expect("an attempt"))?,
            EventData::AttemptClaimed(data) => {
                prop_assert!(claims.insert(data.claim_id), "a claim id twice");
                let twin = live.insert(step.clone().expect("a step"), data.claim_id);
                prop_assert_eq!(twin, None, "two live claims of one step");
                let held = busy.insert(event.actor.id.to_string(), step.expect("a step"));
                prop_assert_eq!(held, None, "one task at a time");
            }
            EventData::AttemptCompleted(_)
            | EventData::AttemptFailed(_)
            | EventData::AttemptRejected(_)
            | EventData::ClaimReleased(_)
            | EventData::ClaimLapsed(_) => {
                let step = step.expect("a step");
                prop_assert!(live.remove(&step).is_some(), "nothing held {}", step);
                busy.retain(|_, held| *held != step);
            }
            _ => {}
        }
        // Links go to earlier facts, by the digest of their bytes, never to a decision.
        for link in &event.links {
            let known = seen.get(&link.id).cloned();
            prop_assert_eq!(known, Some((link.sha256.clone(), false)), "{}", &link.rel);
        }
        let decides = matches!(event.data, EventData::ScheduleDecided(_));
        if let EventData::ScheduleDecided(data) = &event.data {
            let fact = &play.log[seen.len() - 1].event;
            prop_assert_eq!((data.fact, event.timestamp), (fact.id, fact.timestamp));
            prop_assert!(event.links.is_empty() && event.request.is_none());
            prop_assert_eq!(event.actor.id.as_str(), "stepseal");
            prop_assert!(data.opened.len() + data.serialisations.len() > 0);
        }
        let twin = seen.insert(event.id, (recorded.sha256.clone(), decides));
        prop_assert_eq!(twin, None, "an event id twice");
    }
    let item = play.item();
    prop_assert_eq!(item.events as usize, play.log.len());
    for state in &item.steps {
        let held = state.attempts.iter().filter(|a| a.phase == AttemptPhase::Claimed).count();
        prop_assert!(held <= 1, "two live claims of one step");
        let rounds: Vec<u32> = state.attempts.iter().map(|attempt| attempt.round).collect();
        prop_assert!(rounds.is_sorted() && rounds.iter().all(|round| *round <= state.round));
    }
    Ok(())
}

/// Folds recorded bytes and recomputes every decision on the way.
fn refold(play: &Play) -> Result<ItemState, TestCaseError> {
    let mut item: Option<ItemState> = None;
    let mut due: Option<Event> = None;
    for recorded in &play.log {
        let event = decode_event(&recorded.bytes);
        let event = event.expect("what was written can be read");
        prop_assert_eq!(&event, &recorded.event);
        prop_assert_eq!(encode_event(&event), Ok(recorded.bytes.clone()));
        let decides = matches!(event.data, EventData::ScheduleDecided(_));
        prop_assert_eq!(decides.then_some(&event), due.as_ref(), "the decision that is due");
        let (before, sha256) = (item.clone(), Digest::of(&recorded.bytes));
        match &mut item {
            Some(item) => item.apply(&event, sha256, &play.workflow).expect("a prefix folds"),
            none => {
                let first = ItemState::register(&event, sha256, &play.workflow);
                *none = Some(first.expect("a history begins with a registration"));
            }
        }
        let after = item.as_ref().expect("it is registered");
        let decided = decision(&play.workflow, before.as_ref(), after, &event);
        due = if decides { None } else { decided };
        let (schedule, doc) =
            (Schedule::of(&play.workflow, after), ScheduleDoc::of(&play.workflow, after));
        prop_assert!(!statuses(after, &schedule).is_empty());
        let latest = play.log.iter().take(after.events as usize);
        let latest = latest.map(|recorded| recorded.event.timestamp).max().unwrap_or(epoch());
        prop_assert_eq!(doc.generated_at, latest);
    }
    prop_assert_eq!(due, None, "a decision is missing at the end");
    Ok(item.expect("it is registered"))
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 256,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn what_the_rules_return_is_sound_and_reads_back((steps, story) in stories()) {
        let play = played(steps, &story)?;
        sound(&play)?;
        let item = refold(&play)?;
        prop_assert_eq!(&item, play.item());
    }

    #[test]
    fn the_same_facts_in_the_same_order_give_the_same_bytes((steps, story) in stories()) {
        let play = played(steps, &story)?;
        let mut again = Play::empty(play.workflow.clone());
        for recorded in &play.log {
            if !matches!(recorded.event.data, EventData::ScheduleDecided(_)) {
                again.record(recorded.event.clone());
            }
        }
        prop_assert_eq!(&again.log, &play.log);
        prop_assert_eq!(schedule(&again), schedule(&play));
    }

    #[test]
    fn independent_facts_in_either_order_leave_the_same_papers(
        (steps, story) in stories(),
        pairs in vec((moves(2), moves(2)), 24),
    ) {
        let closure = Waits::of(&steps).closure();
        let play = played(steps, &story)?;
        for pair in &pairs {
            let ([one], [two]) = (&pair.0[..], &pair.1[..]) else { continue };
            either_order(&play, &closure, one, two)?;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 128,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// What people note beside work in progress: in either order the same files and the same
    /// report, and none of it needs the other.
    #[test]
    fn what_people_note_in_either_order_leaves_the_same_papers(
        (steps, story) in stories(),
        picks in vec((any::<u8>(), any::<u16>()), 24),
    ) {
        let play = played(steps, &story)?;
        for pair in picks.chunks_exact(2) {
            let notes = |(kind, pick): (u8, u16)| {
                let steps = play.workflow.steps();
                let step = steps[usize::from(pick) % steps.len()].key.to_string();
                let work = Move { kind: [0, 7, 14, 22][usize::from(pick) % 4], pick, other: 0 };
                match kind % 8 {
                    0 => Some((who("ann"), declare("left", &[&step]))),
                    1 => Some((who("bob"), declare("right", &[]))),
                    2 => Some((who("cy"), link_to("WI-2"))),
                    3 => Some((who("bob"), link_to("WI-0"))),
                    4 => Some((who("ann"), transfer("dan"))),
                    _ => play.likely(&work),
                }
            };
            let (Some(one), Some(two)) = (notes(pair[0]), notes(pair[1])) else { continue };
            let run = |order: [(i64, &(stepseal::domain::event::Actor, Ask)); 2]| {
                let mut after = play.clone();
                let mut papers = BTreeMap::new();
                for (tick, (actor, ask)) in order {
                    let moment = moment_at(play.tick + tick, actor);
                    let Ok(Decided::Facts(facts)) = after.decide_at(&moment, ask) else {
                        return None;
                    };
                    for fact in facts {
                        after.record(fact.clone());
                        papers.insert(fact.id, encode_event(&fact).expect("it was recorded"));
                    }
                }
                Some((papers, after))
            };
            let (ahead, back) = (run([(1, &one), (2, &two)]), run([(2, &two), (1, &one)]));
            let (Some(ahead), Some(back)) = (ahead, back) else { continue };
            // A blocker and a transfer say the same whatever is worked on beside them. Of links
            // the last one may decide a suspicion, and work may be what other work waits for.
            let says = |ask: &Ask| matches!(ask, Ask::DeclareBlocker(_) | Ask::TransferOwner(_));
            if says(&one.1) || says(&two.1) {
                prop_assert_eq!(&ahead.0, &back.0, "fact bytes of {:?} and {:?}", one, two);
            } else if ahead.0 != back.0 {
                continue;
            }
            prop_assert_eq!(schedule(&ahead.1), schedule(&back.1));
            let report = |play: &Play| stepseal::report::item(&play.workflow, play.item());
            let (a, b) = (report(&ahead.1), report(&back.1));
            prop_assert_eq!(a, b);
            sound(&back.1)?;
            refold(&back.1)?;
        }
    }
}

fn schedule(play: &Play) -> String {
    let bytes = encode(&ScheduleDoc::of(&play.workflow, play.item()));
    String::from_utf8(bytes).expect("artifacts are UTF-8")
}

/// Two asks about steps that do not wait for each other, decided and recorded in both orders.
fn either_order(
    base: &Play,
    closure: &[Vec<bool>],
    one: &Move,
    two: &Move,
) -> Result<(), TestCaseError> {
    // Claims, ends of claims, requeues and skips: what executors do on parallel branches.
    let branch = |mv: &Move| {
        let kind = [0, 7, 14, 15, 16, 17, 18, 22][usize::from(mv.kind) % 8];
        base.likely(&Move { kind, ..mv.clone() })
    };
    let (Some(one), Some(two)) = (branch(one), branch(two)) else { return Ok(()) };
    let run = |order: [(i64, &(stepseal::domain::event::Actor, Ask)); 2]| {
        let mut play = base.clone();
        let mut papers = BTreeMap::new();
        for (tick, (actor, ask)) in order {
            let moment = moment_at(play.tick.max(base.tick) + tick, actor);
            let Ok(Decided::Facts(facts)) = play.decide_at(&moment, ask) else { return None };
            for fact in facts {
                let step = fact.step.as_ref().map(|step| step.key.clone());
                play.record(fact.clone());
                let bytes = encode_event(&fact).expect("it was recorded");
                papers.insert((tick, fact.id), (step, bytes));
            }
        }
        Some((papers, play))
    };
    let (Some(ahead), Some(back)) = (run([(1, &one), (2, &two)]), run([(2, &two), (1, &one)]))
    else {
        return Ok(());
    };
    let steps: BTreeSet<usize> =
        ahead.0.values().filter_map(|(step, _)| base.workflow.position(step.as_ref()?)).collect();
    let apart = steps.iter().all(|&a| steps.iter().all(|&b| !closure[a][b]));
    if steps.len() < 2 || !apart {
        return Ok(());
    }
    prop_assert_eq!(&ahead.0, &back.0, "fact bytes");
    prop_assert_eq!(schedule(&ahead.1), schedule(&back.1));
    let words = |play: &Play| statuses(play.item(), &play.schedule());
    prop_assert_eq!(words(&ahead.1), words(&back.1));
    let flow = |play: &Play| {
        let latest = play.item().last_at.timestamp_millis();
        crate::metrics::history(play).at(latest).map(|item| item.flow())
    };
    prop_assert_eq!(flow(&ahead.1), flow(&back.1));
    sound(&back.1)?;
    refold(&back.1)?;
    Ok(())
}
