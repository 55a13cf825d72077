//! Given, when, then: every rule of claim, completion, requests, gates and the way back
//! (C1–C5, K1–K5, R1, G1–G3), of serialisation (S4) and of decisions (L4), with the acceptance
//! scenarios and edge cases of the specification by name.

use chrono::Duration;
use stepseal::artifact::{ScheduleDoc, encode_event};
use stepseal::domain::decide::{
    Ask, Attest, Claim, ClearReview, Complete, Decided, Ending, FlagReview, Release, Requeue,
    Unchanged, Verified, gate_digest, outputs_digest,
};
use stepseal::domain::event::{
    ActorKind, AttestMode, Event, EventData, EventKind, ImportedState, Output, Request,
    RequeueCause, ReviewSurvivor, ScheduleDecided,
};
use stepseal::domain::id::{Digest, EventId};
use stepseal::domain::refusal::{Refusal, RefusalKind};
use stepseal::domain::schedule::{Answer, Hold};
use stepseal::domain::status::{Status, statuses};
use stepseal::domain::transition::{AttemptPhase, ItemPhase};
use stepseal::domain::workflow::{RetryOn, SelfReview};

use crate::domain_kit::{
    Play, Shape as _, all_verified, approve, claim, claiming, clear, completion, decisions, flag,
    gate, id, key, lapse, moment_at, par, person, reject, release, requeue, skip, who, work,
};

/// The ask is refused, with this kind, as this variant with these facts.
macro_rules! refused {
    ($play:expr, $who:expr, $ask:expr, $kind:ident, $pattern:pat $(if $guard:expr)?) => {{
        let refusal = $play.refuses(&$who, &$ask);
        assert_eq!(refusal.kind(), RefusalKind::$kind, "{refusal:?}");
        assert!(matches!(&refusal, $pattern $(if $guard)?), "{refusal:?}");
    }};
}

fn decided(events: &[Event]) -> Vec<&ScheduleDecided> {
    let data = |event: &&Event| matches!(event.data, EventData::ScheduleDecided(_));
    let of = |event| match event {
        &Event { data: EventData::ScheduleDecided(ref data), .. } => data,
        _ => panic!("filtered"),
    };
    events.iter().filter(data).map(of).collect()
}

fn opened(events: &[Event]) -> Vec<String> {
    decided(events).iter().flat_map(|d| &d.opened).map(|o| o.attempt_id.to_string()).collect()
}

/// Serialisations as `held<holder` and `held!` where the hold is lifted.
fn serialised(events: &[Event]) -> Vec<String> {
    let word = |s: &stepseal::domain::event::Serialisation| match &s.waits_for {
        Some(by) => format!("{}<{by}", s.key),
        None => format!("{}!", s.key),
    };
    decided(events).iter().flat_map(|d| &d.serialisations).map(word).collect()
}

fn ties(events: &[Event]) -> Vec<String> {
    let word = |t: &stepseal::domain::event::TieBreak| {
        t.keys.iter().map(ToString::to_string).collect::<Vec<_>>().join("=")
    };
    decided(events).iter().flat_map(|d| &d.tie_breaks).map(word).collect()
}

fn kinds(events: &[Event]) -> Vec<&'static str> {
    events.iter().map(|event| event.kind().name()).collect()
}

fn log(play: &Play) -> Vec<Event> {
    play.log.iter().map(|recorded| recorded.event.clone()).collect()
}

fn complete(ask: Complete) -> Ask {
    Ask::Complete(Box::new(ask))
}

fn output(path: &str, content: &str) -> Output {
    Output { path: path.into(), sha256: Digest::of(content.as_bytes()), size: 1 }
}

fn merged(play: &mut Play) {
    let data = ReviewSurvivor { other: id("WI-2"), rationale: "the same".into() };
    play.note(&who("ann"), EventData::ReviewMerged(data));
}

// --- Acceptance scenarios -----------------------------------------------------------------

#[test]
fn scenario_1_steps_start_in_ascending_order() {
    let mut play =
        Play::of(vec![work("late").order(3), work("first").order(1), work("mid").order(2)]);
    for name in ["first", "mid", "late"] {
        assert_eq!(play.ready(), [name]);
        play.work(name);
    }
    assert_eq!(statuses(play.item(), &play.schedule()), [Status::Completed]);
}

#[test]
fn scenario_2_parallel_steps_start_together_in_ascending_order() {
    let mut play =
        Play::of(vec![work("A"), par("C").order(3), par("B").order(2), work("D").order(4)]);
    let events = play.work("A");
    assert_eq!(opened(&events), ["B.1", "C.1"]);
    assert_eq!(play.ready(), ["B", "C"]);
    let doc = ScheduleDoc::of(&play.workflow, play.item());
    let order: Vec<String> = doc.launch_order.iter().map(ToString::to_string).collect();
    assert_eq!(order, ["B.1", "C.1"]);
    assert_eq!(doc.ready_steps.iter().map(|r| r.rank).collect::<Vec<_>>(), [1, 2]);
    // Different executors hold both at once.
    play.claim("C");
    play.claim("B");
    assert_eq!(play.end("C", Ending::Completed).len(), 1, "D joins B too: nothing opens");
    assert_eq!(play.answer("D"), Answer::Waiting);
    assert_eq!(opened(&play.end("B", Ending::Completed)), ["D.1"]);
}

#[test]
fn scenario_3_only_the_lowest_sequential_step_starts() {
    let mut play = Play::of(vec![work("a"), work("b"), work("c")]);
    assert_eq!(play.ready(), ["a"]);
    for name in ["b", "c"] {
        refused!(play, who("x"), claim(name), Refused, Refusal::NotReady { other: Some(o), .. }
            if o.as_str() == "a");
    }
    play.claim("a");
    refused!(
        play, who("x"), claim("b"), Refused,
        Refusal::NotReady { waits_for, more: 0, other: None, .. }
            if *waits_for == [(key("a"), Some(id("exec:a")))]
    );
}

#[test]
fn scenario_4_a_claim_is_exclusive_until_it_ends() {
    for ending in [Ending::Completed, Ending::Failed, Ending::Rejected] {
        let mut play = Play::of(vec![work("a"), par("b")]);
        play.claim("a");
        refused!(play, who("other"), claim("a"), Conflict, Refusal::Held { attempt, by, .. }
            if attempt.to_string() == "a.1" && by.as_str() == "exec:a");
        // Also its holder cannot take it twice, and nobody requeues it from under the holder.
        refused!(play, who("a"), claim("a"), Conflict, Refusal::Held { .. });
        refused!(play, who("other"), requeue("a"), Conflict, Refusal::Held { .. });
        refused!(play, who("other"), skip("a"), Conflict, Refusal::Held { .. });
        play.end("a", ending);
        if ending != Ending::Completed {
            // A further try is a new attempt, explicitly queued; the earlier one remains.
            play.does(&who("ann"), &requeue("a"));
            play.claim("a");
            assert_eq!(play.item().steps[0].attempts.len(), 2);
        }
    }
}

#[test]
fn scenario_5_a_suspected_duplicate_waits_for_a_person() {
    let mut play = Play::of(vec![work("a")]);
    play.does(&who("ann"), &flag());
    refused!(
        play, who("x"), claim("a"), Refused,
        Refusal::UnderReview { by: Some(by), reason, suspects, .. }
            if by.as_str() == "ann" && reason == "seen before" && *suspects == [id("WI-0")]
    );
    assert!(matches!(play.answer("a"), Answer::Held { hold: Hold::Review, .. }));
    assert_eq!(statuses(play.item(), &play.schedule())[0], Status::AwaitingReview);
    let events = play.does(&who("bob"), &clear());
    assert_eq!(events[0].links[0].rel, "clears");
    assert!(play.item().review.said("it is another one"));
    play.claim("a");
}

#[test]
fn scenario_6_a_rejected_gate_sends_the_item_back_and_entry_is_checked_again() {
    let mut play = Play::of(vec![
        work("plan"),
        work("build").entry(&["agreed"]),
        work("test"),
        gate("ok").reject_to("build"),
    ]);
    for name in ["plan", "build", "test"] {
        play.work(name);
    }
    let events = play.does(&who("ann"), &reject("ok", None, false));
    assert_eq!(kinds(&events), ["gate-rejected", "schedule-decided"]);
    let EventData::GateRejected(data) = &events[0].data else { panic!("a rejection") };
    let void: Vec<_> = data
        .void
        .iter()
        .map(|v| (v.key.as_str(), v.attempt_id.as_ref().map(ToString::to_string), v.round))
        .collect();
    assert_eq!(
        void,
        [
            ("build", Some("build.1".into()), 2),
            ("test", Some("test.1".into()), 2),
            ("ok", Some("ok.1".into()), 2)
        ]
    );
    // `plan` stays done; numbers run on in the new round.
    assert_eq!(opened(&events), ["build.2"]);
    assert!(matches!(play.answer("plan"), Answer::Done(_)));
    // Entry criteria are attested again.
    let bare = Claim { attest: Attest::default(), ..claiming("build") };
    refused!(play, who("x"), Ask::Claim(bare), Refused, Refusal::NotAttested { missing, .. }
        if missing.len() == 1 && missing[0].id.as_str() == "agreed");
    for name in ["build", "test"] {
        play.work(name);
    }
    let events = play.does(&who("ann"), &approve("ok"));
    assert!(events[0].attempt_id.as_ref().is_some_and(|a| a.to_string() == "ok.2"));
    // Rework is quantified: how often, where to, why, by whom, when.
    assert_eq!(play.item().returns.len(), 1);
    let back = play.item().last_return().expect("it was sent back");
    assert_eq!((back.to.as_str(), back.reason.as_str()), ("build", "not good enough"));
    assert_eq!(back.by.as_str(), "ann");
    assert_eq!(back.gate.as_ref().map(ToString::to_string).as_deref(), Some("ok.1"));
}

#[test]
fn scenario_7_the_next_claim_links_the_handoff_it_builds_on() {
    let mut play = Play::of(vec![work("a"), work("b")]);
    play.claim("a");
    let ask = Complete {
        claim: Some(play.claim_of("a")),
        outputs: vec![output("a.txt", "one")],
        next_action: Some("read a.txt".into()),
        ..completion("a", Ending::Completed)
    };
    let events = play.does(&who("a"), &complete(ask));
    let handoff = play.log[play.log.len() - 2].clone();
    assert_eq!((&handoff.event, events[0].next_action.as_str()), (&events[0], "read a.txt"));
    let events = play.claim("b");
    assert_eq!(events[0].links.len(), 1);
    let input = &events[0].links[0];
    assert_eq!((input.rel.as_str(), input.id), ("input", handoff.event.id));
    assert_eq!(input.sha256, handoff.sha256);
}

// --- Edge cases ---------------------------------------------------------------------------

#[test]
fn edge_case_equal_order_is_broken_by_key_and_recorded() {
    let play = Play::of(vec![par("b").order(1), par("a").order(1), par("c").order(2)]);
    assert_eq!(play.ready(), ["a", "b", "c"]);
    assert_eq!(ties(&log(&play)), ["a=b"]);
}

#[test]
fn edge_case_equal_order_of_sequential_steps_is_recorded_too() {
    // S5: equal order: byte order of keys, recorded as a tie-break. `a` starts before `b` for no
    // other reason than its key.
    let play = Play::of(vec![work("b").order(1), work("a").order(1)]);
    assert_eq!(play.ready(), ["a"]);
    assert_eq!(ties(&log(&play)), ["a=b"]);
}

#[test]
fn a_tie_is_recorded_when_a_step_joins_it_and_not_again() {
    let mut play =
        Play::of(vec![par("a").order(5), par("b").order(5).needs(&["c"]), par("c").order(1)]);
    assert_eq!(ties(&log(&play)), Vec::<String>::new());
    let events = play.work("c");
    assert_eq!((opened(&events), ties(&events)), (vec!["b.1".into()], vec!["a=b".into()]));
    assert!(decisions(&play.work("a")).is_empty());
}

#[test]
fn edge_case_a_shared_constraint_serialises_parallel_steps_and_says_so() {
    let mut play = Play::of(vec![par("a").shares(&["staging"]), par("b").shares(&["staging"])]);
    assert_eq!(serialised(&log(&play)), ["b<a"]);
    assert_eq!(opened(&log(&play)), ["a.1", "b.1"], "both are queued, one is ready");
    assert_eq!(play.ready(), ["a"]);
    refused!(play, who("x"), claim("b"), Refused,
        Refusal::Serialised { constraint, by, in_progress: false, holder: None, other: Some(o), .. }
        if constraint.as_str() == "staging" && by.as_str() == "a" && o.as_str() == "a");
    assert!(decisions(&play.claim("a")).is_empty(), "the claim changes no hold");
    refused!(play, who("x"), claim("b"), Refused,
        Refusal::Serialised { in_progress: true, holder: Some(holder), other: None, .. }
        if holder.as_str() == "exec:a");
    // A fact that only lifts a hold: a decision with no new attempt.
    let events = play.end("a", Ending::Completed);
    assert_eq!((opened(&events), serialised(&events)), (vec![], vec!["b!".to_owned()]));
    play.work("b");
}

#[test]
fn edge_case_an_executor_failure_ends_the_attempt_and_a_new_one_is_queued_explicitly() {
    let mut play = Play::of(vec![work("a"), work("b")]);
    play.claim("a");
    assert_eq!(kinds(&play.end("a", Ending::Failed)), ["attempt-failed"]);
    assert!(matches!(play.answer("a"), Answer::NeedsRequeue { ended: AttemptPhase::Failed, .. }));
    assert_eq!(statuses(play.item(), &play.schedule())[0], Status::NeedsRequeue);
    refused!(
        play, who("x"), claim("a"), Refused,
        Refusal::NeedsRequeue { attempt, ended: AttemptPhase::Failed, .. }
            if attempt.to_string() == "a.1"
    );
    refused!(play, who("x"), claim("b"), Refused, Refusal::NotReady { .. });
    let events = play.does(&who("ann"), &requeue("a"));
    assert_eq!(kinds(&events), ["attempt-requeued"]);
    let EventData::AttemptRequeued(data) = &events[0].data else { panic!("a requeue") };
    assert_eq!((data.retry_of.to_string().as_str(), data.cause), ("a.1", RequeueCause::Asked));
    assert_eq!(play.item().steps[0].attempts[0].phase, AttemptPhase::Failed, "it remains");
    play.work("a");
    play.work("b");
}

// --- Decisions (L4) -----------------------------------------------------------------------

#[test]
fn a_decision_is_a_pure_function_of_its_fact() {
    use sha2::Digest as _;
    let play = Play::of(vec![work("a")]);
    let [fact, decision] = &log(&play)[..] else { panic!("a registration and its decision") };
    let mut hash = sha2::Sha256::new();
    hash.update(b"stepseal-decision");
    hash.update(fact.id.uuid().as_bytes());
    let mut bytes: [u8; 16] = hash.finalize()[..16].try_into().expect("sixteen of thirty-two");
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    assert_eq!(decision.id, EventId::new(uuid::Uuid::from_bytes(bytes)));
    assert_eq!(decision.id.uuid().get_version_num(), 8);
    assert_eq!(fact.id.uuid().get_version_num(), 7);
    assert_eq!(decision.timestamp, fact.timestamp);
    assert_eq!((decision.actor.id.as_str(), decision.actor.kind), ("stepseal", ActorKind::System));
    assert!(decision.links.is_empty() && decision.request.is_none());
    assert_eq!(decided(std::slice::from_ref(decision))[0].fact, fact.id);
}

#[test]
fn facts_that_open_nothing_bring_no_decision() {
    let mut play = Play::of(vec![par("a"), par("b"), work("c")]);
    let mut silent = play.claim("a");
    silent.extend(play.does(&who("a"), &release("a", None)));
    silent.extend(play.claim("a"));
    silent.extend(play.end("a", Ending::Failed));
    silent.extend(play.does(&who("ann"), &requeue("a")));
    silent.extend(play.work("a"));
    silent.extend(play.does(&who("ann"), &flag()));
    silent.extend(play.does(&who("ann"), &clear()));
    silent.extend(play.blocked("wall", &["b"]));
    silent.extend(play.resolved("wall"));
    assert!(decisions(&silent).is_empty(), "{:?}", kinds(&silent));
    assert_eq!(opened(&play.work("b")), ["c.1"]);
}

#[test]
fn a_decision_holds_only_the_change() {
    let mut play = Play::of(vec![par("a"), par("b").order(4).needs(&["a"]), par("c").order(4)]);
    assert_eq!(opened(&log(&play)), ["a.1", "c.1"]);
    let events = play.work("a");
    let data = decided(&events)[0];
    let only: Vec<_> = data.opened.iter().map(|o| (o.key.as_str(), o.rank, o.round)).collect();
    assert_eq!(only, [("b", 1, 1)], "c was open before; b goes before it now");
}

#[test]
fn an_ended_item_gets_no_decision() {
    let mut play = Play::of(vec![par("a").shares(&["db"]), par("b").shares(&["db"]), work("c")]);
    merged(&mut play);
    assert_eq!(play.decisions().len(), 1, "an end lifts no hold");
    assert!(matches!(
        play.answer("a"),
        Answer::Held { hold: Hold::Item { phase: ItemPhase::Merged, .. }, .. }
    ));
    refused!(
        play, who("x"), claim("a"), Refused,
        Refusal::ItemEnded { phase: ItemPhase::Merged, survivor: Some(s), .. }
            if s.as_str() == "WI-2"
    );
}

// --- Serialisation (S4) -------------------------------------------------------------------

#[test]
fn a_failed_step_holds_nobody_and_its_requeue_goes_first_again() {
    let mut play = Play::of(vec![par("a").shares(&["db"]), par("b").shares(&["db"])]);
    play.claim("a");
    assert_eq!(serialised(&play.end("a", Ending::Failed)), ["b!"]);
    assert_eq!(play.ready(), ["b"]);
    let events = play.does(&who("ann"), &requeue("a"));
    assert_eq!(serialised(&events), ["b<a"], "a ready step earlier in launch order");
    assert_eq!(play.ready(), ["a"]);
}

#[test]
fn a_step_in_progress_holds_also_what_is_earlier_in_launch_order() {
    let mut play = Play::of(vec![par("a").shares(&["db"]), par("b").shares(&["db"])]);
    play.claim("a");
    play.end("a", Ending::Failed);
    play.claim("b");
    assert_eq!(serialised(&play.does(&who("ann"), &requeue("a"))), ["a<b"]);
    assert!(play.ready().is_empty(), "no preemption");
    assert_eq!(serialised(&play.end("b", Ending::Completed)), ["a!"]);
}

#[test]
fn an_otherwise_held_step_holds_nobody() {
    let mut play = Play::of(vec![par("a").shares(&["db"]), par("b").shares(&["db"])]);
    assert_eq!(serialised(&play.blocked("wall", &["a"])), ["b!"]);
    assert_eq!(play.ready(), ["b"]);
    assert_eq!(serialised(&play.resolved("wall")), ["b<a"]);
    // Held by one constraint, a step does not hold by another.
    let play = Play::of(vec![
        par("a").shares(&["x"]),
        par("b").shares(&["x", "y"]),
        par("c").shares(&["y"]),
    ]);
    assert_eq!(play.ready(), ["a", "c"]);
}

#[test]
fn a_hold_that_passes_to_another_holder_is_recorded() {
    // A decision holds the change in who waits for whom: c waited for a, and now for b.
    let mut play = Play::of(vec![
        par("a").shares(&["db"]),
        par("b").shares(&["db"]),
        par("c").shares(&["db"]),
    ]);
    assert_eq!(serialised(&log(&play)), ["b<a", "c<a"]);
    assert_eq!(serialised(&play.work("a")), ["b!", "c<b"]);
}

#[test]
fn steps_without_a_common_constraint_run_together() {
    let play = Play::of(vec![par("a").shares(&["x"]), par("b").shares(&["y"]), par("c")]);
    assert_eq!(play.ready(), ["a", "b", "c"]);
    assert!(serialised(&log(&play)).is_empty());
}

// --- Claim (C1–C5) ------------------------------------------------------------------------

#[test]
fn held_and_finished_come_before_any_other_rule() {
    // Everything else is wrong too: review, policy, blocker, criteria, a busy executor.
    let wrong = |play: &mut Play| {
        play.policy("review", &["required"]);
        play.does(&who("ann"), &flag());
        play.blocked("wall", &[]);
    };
    let ask = || {
        let attest = Attest { named: vec![id("nonsense")], all: false };
        Ask::Claim(Claim { attest, ..claiming("a") })
    };
    let mut play = Play::of(vec![par("a").entry(&["in"]), par("b")]);
    play.claim("a");
    play.claim("b");
    wrong(&mut play);
    let lease = None;
    refused!(play, who("b"), ask(), Conflict, Refusal::Held { step, by, since, lease_until, .. }
        if step.as_str() == "a" && by.as_str() == "exec:a" && *lease_until == lease
            && *since == moment_at(2, &who("a")).now());
    play.end("a", Ending::Completed);
    refused!(
        play, who("b"), ask(), Conflict,
        Refusal::Finished { attempt, phase: AttemptPhase::Completed, by: Some(by),
            summary: Some(s), now: None, .. }
            if attempt.to_string() == "a.1" && by.as_str() == "exec:a" && s == "a has ended"
    );
    // Also once the item itself has ended.
    merged(&mut play);
    refused!(play, who("x"), ask(), Conflict, Refusal::Finished { .. });
    refused!(play, who("x"), claim("b"), Conflict, Refusal::Held { .. });
}

#[test]
fn what_is_done_without_an_attempt_is_a_conflict_too() {
    let imported = [("a", ImportedState::Done), ("b", ImportedState::Skipped)];
    let mut play = Play::importing(vec![work("a"), work("b"), work("c"), work("d")], &imported);
    refused!(
        play, who("x"), claim("a"), Conflict,
        Refusal::StepDone { how: "imported as done", other: Some(o), .. }
            if o.as_str() == "c"
    );
    refused!(play, who("x"), claim("b"), Conflict, Refusal::StepDone { how: "skipped", .. });
    play.does(&who("ann"), &skip("d"));
    refused!(play, who("x"), claim("d"), Conflict, Refusal::StepDone { how: "skipped", .. });
}

#[test]
fn a_claim_may_name_the_queued_attempt_only() {
    let mut play = Play::of(vec![work("a"), work("b")]);
    let named =
        |name: &str| Ask::Claim(Claim { attempt: Some(name.into()), step: None, ..claiming("a") });
    refused!(play, who("x"), named("a.2"), NotFound, Refusal::UnknownAttempt { attempt, .. }
        if attempt == "a.2");
    refused!(play, who("x"), named("b.1"), NotFound, Refusal::UnknownAttempt { .. });
    let other = Ask::Claim(Claim { attempt: Some("a.1".into()), ..claiming("b") });
    refused!(play, who("x"), other, Invalid, Refusal::Invalid(_));
    play.does(&who("x"), &named("a.1"));
    refused!(play, who("y"), named("a.1"), Conflict, Refusal::Held { .. });
    play.does(&who("x"), &release("a", None));
    refused!(
        play, who("y"), named("a.1"), Conflict,
        Refusal::Finished { phase: AttemptPhase::Released, now: Some(now), .. }
            if now.to_string() == "a.2"
    );
    play.does(&who("y"), &named("a.2"));
}

#[test]
fn a_claim_of_an_attempt_of_an_earlier_round_is_a_conflict() {
    // C1: held or already finished comes before any other rule, also before "not ready".
    let mut play = Play::of(vec![work("a"), work("b"), gate("ok").reject_to("a")]);
    play.work("a");
    play.work("b");
    play.does(&who("ann"), &reject("ok", None, false));
    let named = Ask::Claim(Claim { attempt: Some("b.1".into()), ..claiming("b") });
    refused!(
        play, who("x"), named, Conflict,
        Refusal::Finished { attempt, phase: AttemptPhase::Completed, .. }
            if attempt.to_string() == "b.1"
    );
}

#[test]
fn a_name_of_the_callers_own_is_an_alias_and_never_reused() {
    let mut play = Play::of(vec![par("a"), par("b")]);
    let named =
        |step: &str, name: &str| Ask::Claim(Claim { attempt: Some(name.into()), ..claiming(step) });
    let events = play.does(&who("x"), &named("a", "phase-setup-local"));
    assert_eq!(events[0].attempt_id.as_ref().map(ToString::to_string).as_deref(), Some("a.1"));
    let EventData::AttemptClaimed(data) = &events[0].data else { panic!("a claim") };
    assert_eq!(data.alias.as_ref().map(|a| a.as_str()), Some("phase-setup-local"));
    // It may not look like KEY.N.
    for name in ["b.7", "b.0", "b.01", "x.3"] {
        let refusal = play.refuses(&who("y"), &named("b", name));
        assert!(matches!(refusal.kind(), RefusalKind::Invalid | RefusalKind::NotFound));
    }
    // Either name ends it.
    let ask = Complete {
        step: None,
        attempt: Some("phase-setup-local".into()),
        ..completion("a", Ending::Failed)
    };
    play.does(&who("x"), &complete(ask));
    play.does(&who("ann"), &requeue("a"));
    refused!(
        play, who("y"), named("a", "phase-setup-local"), Conflict,
        Refusal::Finished { attempt, .. }
            if attempt.to_string() == "a.1"
    );
}

#[test]
fn an_alias_taken_by_another_step_is_a_conflict() {
    let mut play = Play::of(vec![par("a"), par("b")]);
    let named = |step: &str| Ask::Claim(Claim { attempt: Some("mine".into()), ..claiming(step) });
    play.does(&who("x"), &named("a"));
    refused!(play, who("y"), named("b"), Conflict, Refusal::AliasTaken { alias, attempt, .. }
        if alias.as_str() == "mine" && attempt.to_string() == "a.1");
}

#[test]
fn entry_criteria_are_attested_by_name_or_recorded_as_not_checked_one_by_one() {
    let steps = || vec![work("a").entry(&["one", "two"])];
    let ask = |named: &[&str], all| {
        let named = named.iter().map(|n| id(n)).collect();
        Ask::Claim(Claim { attest: Attest { named, all }, ..claiming("a") })
    };
    let mut play = Play::of(steps());
    refused!(
        play, who("x"), ask(&["two"], false), Refused,
        Refusal::NotAttested { missing, given, .. }
            if missing.len() == 1 && missing[0].id.as_str() == "one" && given.len() == 1
    );
    refused!(play, who("x"), ask(&[], false), Refused, Refusal::NotAttested { missing, .. }
        if missing.len() == 2);
    refused!(
        play, who("x"), ask(&["one", "three"], true), Invalid,
        Refusal::UnknownCriterion { id, known, .. }
            if id.as_str() == "three" && known.len() == 2
    );
    let modes = |play: &mut Play, ask: &Ask| {
        let events = play.does(&who("x"), ask);
        let EventData::AttemptClaimed(data) = &events[0].data else { panic!("a claim") };
        data.attested.iter().map(|a| (a.id.to_string(), a.mode)).collect::<Vec<_>>()
    };
    let (one, two) = ("one".to_owned(), "two".to_owned());
    assert_eq!(
        modes(&mut play, &ask(&["two", "one"], false)),
        [(one.clone(), AttestMode::Named), (two.clone(), AttestMode::Named)]
    );
    let mut play = Play::of(steps());
    assert_eq!(
        modes(&mut play, &ask(&["two"], true)),
        [(one, AttestMode::All), (two, AttestMode::Named)]
    );
}

#[test]
fn an_executor_works_on_one_task_at_a_time() {
    let mut play = Play::of(vec![par("a"), par("b")]);
    play.does(&who("x"), &claim("a"));
    refused!(play, who("x"), claim("b"), Refused, Refusal::ExecutorBusy { by, step, attempt, .. }
        if by.as_str() == "exec:x" && step.as_str() == "a" && attempt.to_string() == "a.1");
    // Claims compare executors, not principals.
    play.does(&person("exec:second", "x"), &claim("b"));
}

#[test]
fn what_cannot_start_says_why() {
    let mut play = Play::of(vec![par("a"), par("b"), gate("ok")]);
    refused!(play, who("x"), claim("ok"), Refused, Refusal::IsGate { step, .. }
        if step.as_str() == "ok");
    refused!(
        play, who("x"), claim("zz"), NotFound,
        Refusal::UnknownStep { key, .. }
            if key == "zz"
    );
    play.blocked("wall", &["a"]);
    refused!(play, who("x"), claim("a"), Refused, Refusal::Blocked { blockers, .. }
        if *blockers == [id("wall")]);
    assert_eq!(play.ready(), ["b"]);
    play.blocked("moat", &[]);
    refused!(play, who("x"), claim("b"), Refused, Refusal::Blocked { blockers, .. }
        if *blockers == [id("moat")]);
    assert_eq!(statuses(play.item(), &play.schedule()), [Status::Blocked]);
    play.resolved("moat");
    play.work("b");
    let mut nowhere = Play::empty(play.workflow.clone());
    refused!(nowhere, who("x"), claim("a"), NotFound, Refusal::UnknownItem { .. });
    let none = Ask::Claim(Claim { step: None, ..claiming("a") });
    refused!(play, who("x"), none, Invalid, Refusal::Invalid(_));
}

#[test]
fn review_policy_required_waits_for_a_decision_before_any_claim() {
    let mut play = Play::of(vec![work("a")]);
    play.policy("review", &["required"]);
    refused!(play, who("x"), claim("a"), Refused, Refusal::UnderReview { by: None, .. });
    play.does(&who("ann"), &clear());
    play.claim("a");
}

#[test]
fn a_lease_is_recorded_and_lapses_only_by_an_explicit_act() {
    let leased = |seconds| Ask::Claim(Claim { lease: Some(seconds), ..claiming("a") });
    let lapsing = |force, reason: Option<&str>| {
        let reason = reason.map(str::to_owned);
        Ask::Requeue(Requeue { step: Some(key("a")), attempt: None, reason, lapsed: true, force })
    };
    let mut play = Play::of(vec![work("a")]);
    let events = play.does(&who("x"), &leased(60));
    let EventData::AttemptClaimed(data) = &events[0].data else { panic!("a claim") };
    let until = events[0].timestamp + Duration::seconds(60);
    assert_eq!(data.lease_until, Some(until));
    for ask in [lapsing(false, None), lapsing(true, None), lapsing(false, Some("impatient"))] {
        refused!(
            play, who("ann"), ask, Refused,
            Refusal::LeaseRunning { by, lease_until: Some(end), .. }
                if by.as_str() == "exec:x" && *end == until
        );
    }
    // No timer: long after its end the claim still holds, until somebody acts.
    play.tick += 60;
    assert!(matches!(play.answer("a"), Answer::InProgress(_)));
    refused!(play, who("y"), claim("a"), Conflict, Refusal::Held { lease_until: Some(_), .. });
    let fence = play.claim_of("a");
    let events = play.does(&who("ann"), &lapsing(false, None));
    assert_eq!(kinds(&events), ["claim-lapsed", "attempt-requeued"]);
    let EventData::ClaimLapsed(data) = &events[0].data else { panic!("a lapse") };
    assert_eq!((data.forced, data.lease_until, data.claim_id), (false, Some(until), fence));
    // The late completion is refused, with what ended it.
    let late = Complete { claim: Some(fence), ..completion("a", Ending::Completed) };
    refused!(
        play, who("x"), complete(late), Conflict,
        Refusal::Finished { phase: AttemptPhase::Lapsed, attempt, now: Some(now), .. }
            if attempt.to_string() == "a.1" && now.to_string() == "a.2"
    );
}

#[test]
fn the_last_moment_of_a_lease_is_its_end() {
    let mut play = Play::of(vec![work("a")]);
    let ask = Ask::Claim(Claim { lease: Some(0), ..claiming("a") });
    play.does(&who("x"), &ask);
    let lapsing =
        Requeue { step: Some(key("a")), attempt: None, reason: None, lapsed: true, force: false };
    let at_its_end = play.decide_at(&moment_at(play.tick, &who("ann")), &Ask::Requeue(lapsing));
    assert!(matches!(at_its_end, Ok(Decided::Facts(_))), "{at_its_end:?}");
    let endless = Ask::Claim(Claim { lease: Some(u64::MAX), ..claiming("a") });
    let mut play = Play::of(vec![work("a")]);
    refused!(play, who("x"), endless, Invalid, Refusal::Invalid(_));
}

#[test]
fn a_claim_without_a_lease_lapses_by_force_with_a_reason() {
    let mut play = Play::of(vec![work("a")]);
    play.does(&who("x"), &claim("a"));
    let bare =
        Requeue { step: Some(key("a")), attempt: None, reason: None, lapsed: true, force: false };
    refused!(
        play,
        who("ann"),
        Ask::Requeue(bare),
        Refused,
        Refusal::LeaseRunning { lease_until: None, .. }
    );
    let events = play.does(&who("ann"), &lapse("a"));
    let EventData::ClaimLapsed(data) = &events[0].data else { panic!("a lapse") };
    assert!(data.forced);
    let EventData::AttemptRequeued(data) = &events[1].data else { panic!("a requeue") };
    assert_eq!((data.cause, data.retry_of.to_string().as_str()), (RequeueCause::Lapsed, "a.1"));
    assert_eq!(play.ready(), ["a"]);
}

#[test]
fn a_release_queues_the_next_attempt_at_once() {
    let mut play = Play::of(vec![work("a")]);
    refused!(
        play, who("x"), release("a", None), Refused,
        Refusal::NotClaimed { queued: Some(q), .. }
            if q.to_string() == "a.1"
    );
    play.does(&who("x"), &claim("a"));
    refused!(play, who("y"), release("a", None), Conflict, Refusal::NotHolder { by, asker, .. }
        if by.as_str() == "exec:x" && asker.as_str() == "exec:y");
    let events = play.does(&who("x"), &release("a", None));
    assert_eq!(kinds(&events), ["claim-released", "attempt-requeued"]);
    assert_eq!(play.ready(), ["a"]);
    play.does(&who("x"), &claim("a"));
    let fence = play.claim_of("a");
    play.does(&who("y"), &release("a", Some(fence)));
    let silent = Ask::Release(Release {
        step: Some(key("a")),
        attempt: None,
        claim: None,
        reason: " ".into(),
    });
    refused!(play, who("x"), silent, Invalid, Refusal::Invalid(_));
}

#[test]
fn a_release_under_an_old_fence_takes_nothing() {
    // Claim ids fence stale work (K1): the executor names its first claim, and holds its second.
    let mut play = Play::of(vec![work("a")]);
    play.does(&who("x"), &claim("a"));
    let stale = play.claim_of("a");
    play.does(&who("x"), &release("a", Some(stale)));
    play.does(&who("x"), &claim("a"));
    let refusal = play.refuses(&who("x"), &release("a", Some(stale)));
    assert!(matches!(refusal.kind(), RefusalKind::Refused | RefusalKind::Conflict));
}

// --- Complete (K1–K5) ---------------------------------------------------------------------

#[test]
fn a_completion_takes_the_claim_or_the_attempt_of_the_same_executor() {
    let held = || {
        let mut play = Play::of(vec![work("a")]);
        play.does(&who("x"), &claim("a"));
        let fence = play.claim_of("a");
        (play, fence)
    };
    let ask = || completion("a", Ending::Completed);
    // The claim id, whoever says it: it fences, it does not authorise.
    let (mut play, fence) = held();
    play.does(&who("y"), &complete(Complete { claim: Some(fence), step: None, ..ask() }));
    // The attempt, by the same executor only.
    let (mut play, fence) = held();
    let named = || complete(Complete { attempt: Some("a.1".into()), step: None, ..ask() });
    refused!(
        play, who("y"), named(), Conflict,
        Refusal::NotHolder { by, asker, elsewhere: false, claim, .. }
            if by.as_str() == "exec:x" && asker.as_str() == "exec:y" && *claim == fence
    );
    play.does(&who("x"), &named());
    // Neither, where this work tree made the claim and the executor is the same.
    let (mut play, fence) = held();
    refused!(play, who("x"), complete(ask()), Conflict, Refusal::NotHolder { elsewhere: true, .. });
    let own = || complete(Complete { own_claims: vec![fence], ..ask() });
    refused!(play, who("y"), own(), Conflict, Refusal::NotHolder { elsewhere: false, .. });
    play.does(&who("x"), &own());
}

#[test]
fn a_terminal_attempt_answers_with_what_ended_it() {
    let mut play = Play::of(vec![work("a")]);
    play.does(&who("x"), &claim("a"));
    let first = play.claim_of("a");
    play.does(&who("x"), &release("a", None));
    play.does(&who("y"), &claim("a"));
    let by_claim = Complete { claim: Some(first), ..completion("a", Ending::Completed) };
    refused!(
        play, who("x"), complete(by_claim), Conflict,
        Refusal::Finished { attempt, phase: AttemptPhase::Released, now: Some(now),
            summary: Some(s), .. }
            if attempt.to_string() == "a.1" && now.to_string() == "a.2" && s == "somebody else"
    );
    // A stale worker that names only the step means its own attempt, not the one held now.
    let own = Complete { own_claims: vec![first], ..completion("a", Ending::Completed) };
    refused!(play, who("x"), complete(own), Conflict, Refusal::Finished { attempt, .. }
        if attempt.to_string() == "a.1");
    let nobody = Complete {
        claim: Some(stepseal::domain::id::ClaimId::new(uuid::Uuid::nil())),
        ..completion("a", Ending::Completed)
    };
    refused!(play, who("x"), complete(nobody), NotFound, Refusal::UnknownClaim { .. });
    let unborn = Complete { attempt: Some("a.9".into()), ..completion("a", Ending::Completed) };
    refused!(play, who("x"), complete(unborn), NotFound, Refusal::UnknownAttempt { .. });
}

#[test]
fn what_is_not_claimed_cannot_be_completed() {
    let mut play = Play::of(vec![work("a"), work("b"), gate("ok")]);
    let ask = |name| complete(completion(name, Ending::Completed));
    refused!(play, who("x"), ask("a"), Refused, Refusal::NotClaimed { queued: Some(q), .. }
        if q.to_string() == "a.1");
    refused!(play, who("x"), ask("b"), Refused, Refusal::NotClaimed { queued: None, .. });
    refused!(play, who("x"), ask("ok"), Refused, Refusal::IsGate { .. });
}

#[test]
fn a_completion_verifies_every_exit_criterion() {
    let mut play = Play::of(vec![work("a").exit(&["one", "two"])]);
    play.does(&who("x"), &claim("a"));
    let fence = Some(play.claim_of("a"));
    let shown = |name: &str| Verified { id: id(name), evidence: Some("log".into()), check: None };
    let ask =
        |ending, verified| complete(Complete { claim: fence, verified, ..completion("a", ending) });
    refused!(
        play, who("x"), ask(Ending::Completed, vec![]), Refused,
        Refusal::NotVerified { open, of: 2, .. }
            if open.len() == 2
    );
    refused!(play, who("x"), ask(Ending::Completed, vec![shown("two")]), Refused,
        Refusal::NotVerified { open, of: 2, verified, attempt, .. }
        if open.len() == 1 && open[0].id.as_str() == "one" && verified.len() == 1
            && attempt.to_string() == "a.1");
    refused!(play, who("x"), ask(Ending::Completed, vec![shown("three")]), Invalid,
        Refusal::UnknownCriterion { id, .. } if id.as_str() == "three");
    let events =
        play.clone().does(&who("x"), &ask(Ending::Completed, vec![shown("two"), shown("one")]));
    let EventData::AttemptCompleted(data) = &events[0].data else { panic!("a completion") };
    let all: Vec<_> = data.verified.iter().map(|v| v.id.as_str()).collect();
    assert_eq!(all, ["one", "two"]);
    // Failing needs nothing verified.
    play.does(&who("x"), &ask(Ending::Failed, vec![]));
}

#[test]
fn a_completion_says_its_outcome_and_names_each_output_once() {
    let mut play = Play::of(vec![work("a")]);
    play.does(&who("x"), &claim("a"));
    let base =
        || Complete { claim: Some(play.claim_of("a")), ..completion("a", Ending::Completed) };
    let bad = [
        Complete { outcome: " ".into(), ..base() },
        Complete { outcome: "x".repeat(8 * 1024 + 1), ..base() },
        Complete { next_action: Some(String::new()), ..base() },
        Complete { outputs: vec![output("p", "1"), output("p", "2")], ..base() },
    ];
    let good = Complete { outputs: vec![output("q", "1"), output("p", "2")], ..base() };
    for ask in bad {
        refused!(play, who("x"), complete(ask), Invalid, Refusal::Invalid(_));
    }
    let events = play.does(&who("x"), &complete(good));
    let EventData::AttemptCompleted(data) = &events[0].data else { panic!("a completion") };
    let paths: Vec<_> = data.outputs.iter().map(|o| o.path.as_str()).collect();
    assert_eq!(paths, ["p", "q"]);
    assert_eq!(data.outputs_digest, outputs_digest(&data.outputs, "a has ended"));
    assert_eq!(events[0].links[0].rel, "claim");
    assert_eq!(events[0].links[0].id, play.log[2].event.id);
}

#[test]
fn the_next_action_is_what_the_schedule_says_next() {
    let mut play = Play::of(vec![work("a"), par("b"), par("c"), gate("ok")]);
    let mut next = |name: &str| {
        play.claim(name);
        let claim = Some(play.claim_of(name));
        let ask = Complete { claim, next_action: None, ..completion(name, Ending::Completed) };
        play.does(&who(name), &complete(ask))[0].next_action.clone()
    };
    assert_eq!(next("a"), "claim b");
    assert_eq!(next("b"), "claim c");
    assert_eq!(next("c"), "decide gate ok");
}

#[test]
fn a_failure_that_is_retried_does_not_ask_for_a_requeue() {
    // K3: the default is what the schedule says next, and it says that a.2 is ready.
    let mut play = Play::of(vec![work("a").retry(1, &[RetryOn::Failed])]);
    play.claim("a");
    let claim = Some(play.claim_of("a"));
    let ask = Complete { claim, next_action: None, ..completion("a", Ending::Failed) };
    let events = play.does(&who("a"), &complete(ask));
    assert_eq!(play.ready(), ["a"]);
    assert!(!events[0].next_action.contains("requeue"), "{}", events[0].next_action);
}

#[test]
fn re_execution_with_unchanged_inputs_is_marked_as_reused() {
    let run = |second: &str| {
        let mut play = Play::of(vec![work("a"), work("b"), gate("ok").reject_to("a")]);
        let mut turn = |content: &str| {
            play.claim("a");
            let claim = Some(play.claim_of("a"));
            let outputs = vec![output("a.txt", content)];
            let ask = Complete { claim, outputs, ..completion("a", Ending::Completed) };
            play.does(&who("a"), &complete(ask));
            let events = play.work("b");
            let done = events.iter().find_map(|event| match &event.data {
                EventData::AttemptCompleted(data) => Some(data.clone()),
                _ => None,
            });
            let gate = Play::clone(&play);
            play.does(&who("ann"), &reject("ok", None, false));
            (done.expect("b was completed"), gate)
        };
        let (first, _) = turn("one");
        let (again, _) = turn(second);
        assert_eq!(first.reused, None);
        (first.inputs_digest == again.inputs_digest, again.reused)
    };
    let (same, reused) = run("one");
    assert!(same);
    assert_eq!(reused.map(|r| r.to_string()).as_deref(), Some("b.1"));
    assert_eq!(run("two"), (false, None));
}

#[test]
fn inputs_depend_on_the_definition_and_on_direct_predecessors_only() {
    let digest = |steps: Vec<_>, outcome: &str| {
        let mut play = Play::of(steps);
        play.claim("a");
        let claim = Some(play.claim_of("a"));
        let ask = Complete { claim, outcome: outcome.into(), ..completion("a", Ending::Completed) };
        play.does(&who("a"), &complete(ask));
        play.work("b");
        let events = play.claim("c");
        let EventData::AttemptClaimed(data) = &events[0].data else { panic!("a claim") };
        data.inputs_digest.clone()
    };
    let steps = || vec![work("a"), work("b"), work("c")];
    let first = digest(steps(), "one");
    assert_eq!(digest(steps(), "two"), first, "a is not what c waits for directly");
    let mut renamed = steps();
    renamed[2].title = Some("another".into());
    assert_ne!(digest(renamed, "one"), first);
    let mut moved = steps();
    moved[2].source =
        Some(stepseal::domain::workflow::Source { line: 9, phase: None, needs: Vec::new() });
    assert_eq!(digest(moved, "one"), first, "the source line means nothing");
    let needs = vec![work("a"), work("b"), work("c").needs(&["a"])];
    assert_ne!(digest(needs.clone(), "one"), digest(needs, "two"), "written needs are direct");
}

// --- Requests (R1) ------------------------------------------------------------------------

#[test]
fn the_same_request_again_is_the_original_result() {
    let mut play = Play::of(vec![work("a")]);
    let request =
        |digest: &str| Some(Request { id: id("req-1"), digest: Digest::of(digest.as_bytes()) });
    let mut moment = moment_at(50, &who("x"));
    moment.request = request("claim a");
    let Ok(Decided::Facts(facts)) = play.decide_at(&moment, &claim("a")) else {
        panic!("the claim is good")
    };
    assert_eq!(facts[0].request, moment.request);
    let fact = facts[0].id;
    facts.into_iter().for_each(|fact| drop(play.record(fact)));
    // Also by another process at another time, and although a claim would now be refused.
    let mut again = moment_at(60, &who("x"));
    again.request = request("claim a");
    let answer = play.decide_at(&again, &claim("a"));
    assert!(
        matches!(&answer, Ok(Decided::Unchanged(Unchanged::Request { seen }))
            if seen.event == fact && seen.attempt.as_ref().is_some_and(|a| a.to_string() == "a.1")),
        "{answer:?}"
    );
    again.request = request("claim b");
    let refusal = play.decide_at(&again, &claim("a")).expect_err("another ask");
    assert_eq!(refusal.kind(), RefusalKind::Conflict);
    assert!(matches!(&refusal, Refusal::RequestReused { request, recorded }
        if request.as_str() == "req-1" && recorded == "attempt-claimed"));
}

#[test]
fn repeating_a_finished_complete_with_the_same_content_is_unchanged() {
    let mut play = Play::of(vec![work("a")]);
    play.does(&who("x"), &claim("a"));
    let fence = Some(play.claim_of("a"));
    let outputs = vec![output("p", "1")];
    let base = || Complete {
        claim: fence,
        outputs: outputs.clone(),
        ..completion("a", Ending::Completed)
    };
    play.does(&who("x"), &complete(base()));
    let unchanged = play.unchanged(&who("x"), &complete(base()));
    assert!(matches!(unchanged, Unchanged::Completed { attempt } if attempt.to_string() == "a.1"));
    let named = Complete { claim: None, attempt: Some("a.1".into()), ..base() };
    play.unchanged(&who("x"), &complete(named.clone()));
    let other = [
        (who("x"), Complete { outcome: "else".into(), ..base() }),
        (who("x"), Complete { outputs: vec![output("p", "2")], ..base() }),
        (who("x"), Complete { ending: Ending::Failed, ..base() }),
        (who("x"), Complete { next_action: Some("else".into()), ..base() }),
        (who("y"), named),
    ];
    for (actor, ask) in other {
        refused!(
            play,
            actor,
            complete(ask),
            Conflict,
            Refusal::Finished { phase: AttemptPhase::Completed, .. }
        );
    }
}

#[test]
fn a_registration_is_done_once() {
    let mut play = Play::of(vec![work("a")]);
    let again = play.register(&[]);
    assert!(matches!(play.unchanged(&who("d"), &again), Unchanged::Registered));
    let Ask::Register(mut register) = again else { panic!("a registration") };
    register.plan = Some(stepseal::domain::event::PlanRef {
        format: "native".into(),
        path: "plan.md".into(),
        digest: Digest::of(b"a plan"),
    });
    refused!(
        play,
        who("d"),
        Ask::Register(register),
        Conflict,
        Refusal::OtherPlan { version: 1, .. }
    );
}

#[test]
fn a_registration_that_imports_an_unknown_step_is_refused() {
    // §2: what would be illegal to read is impossible to write.
    let mut play = Play::empty(crate::domain_kit::compile(vec![work("a"), work("b")]));
    let ask = play.register(&[("nowhere", ImportedState::Done)]);
    play.refuses(&who("d"), &ask);
}

#[test]
fn a_registration_that_imports_a_step_twice_is_refused() {
    let mut play = Play::empty(crate::domain_kit::compile(vec![work("a")]));
    let ask = play.register(&[("a", ImportedState::Done), ("a", ImportedState::Skipped)]);
    play.refuses(&who("d"), &ask);
}

// --- Retry, requeue, skip, review -----------------------------------------------------------

#[test]
fn a_step_retries_what_it_says_as_often_as_it_says() {
    let mut play = Play::of(vec![work("a").retry(2, &[RetryOn::Failed])]);
    for number in 1..=2 {
        play.claim("a");
        let events = play.end("a", Ending::Failed);
        assert_eq!(kinds(&events), ["attempt-failed", "attempt-requeued"]);
        let EventData::AttemptRequeued(data) = &events[1].data else { panic!("a requeue") };
        assert_eq!(data.cause, RequeueCause::Retry);
        assert_eq!(data.retry_of.to_string(), format!("a.{number}"));
        assert!(data.reason.contains("a has ended"), "recorded with its reason: {}", data.reason);
    }
    play.claim("a");
    assert_eq!(kinds(&play.end("a", Ending::Failed)), ["attempt-failed"]);
    play.does(&who("ann"), &requeue("a"));
    play.claim("a");
    assert_eq!(kinds(&play.end("a", Ending::Rejected)), ["attempt-rejected"]);
    let mut play = Play::of(vec![work("a").retry(1, &[RetryOn::Rejected])]);
    play.claim("a");
    assert_eq!(kinds(&play.end("a", Ending::Rejected)).len(), 2);
    play.claim("a");
    assert_eq!(kinds(&play.end("a", Ending::Completed)), ["attempt-completed"]);
}

#[test]
fn a_new_round_has_its_own_retries() {
    let mut play =
        Play::of(vec![work("a").retry(1, &[RetryOn::Failed]), gate("ok").reject_to("a")]);
    play.claim("a");
    play.end("a", Ending::Failed);
    play.work("a");
    play.does(&who("ann"), &reject("ok", None, false));
    play.claim("a");
    assert_eq!(kinds(&play.end("a", Ending::Failed)), ["attempt-failed", "attempt-requeued"]);
    assert_eq!(play.item().steps[0].attempts.len(), 4, "numbers run on");
}

#[test]
fn a_requeue_queues_only_what_ended_without_being_done() {
    let mut play = Play::of(vec![work("a"), work("b"), gate("ok")]);
    let unchanged = play.unchanged(&who("ann"), &requeue("a"));
    assert!(matches!(unchanged, Unchanged::Queued { attempt } if attempt.to_string() == "a.1"));
    refused!(play, who("ann"), requeue("b"), Refused, Refusal::NotReady { .. });
    refused!(play, who("ann"), requeue("ok"), Refused, Refusal::IsGate { .. });
    play.work("a");
    refused!(play, who("ann"), requeue("a"), Conflict, Refusal::Finished { .. });
    play.claim("b");
    play.end("b", Ending::Failed);
    merged(&mut play);
    refused!(play, who("ann"), requeue("b"), Refused, Refusal::ItemEnded { .. });
}

#[test]
fn a_skip_withdraws_what_is_queued_and_lets_the_next_go_on() {
    let mut play = Play::of(vec![work("a"), work("b"), gate("ok"), work("c")]);
    let events = play.does(&who("ann"), &skip("a"));
    assert_eq!(kinds(&events), ["attempt-withdrawn", "step-skipped", "schedule-decided"]);
    assert_eq!(opened(&events), ["b.1"]);
    assert!(matches!(play.unchanged(&who("ann"), &skip("a")), Unchanged::Skipped));
    refused!(play, who("ann"), skip("ok"), Refused, Refusal::IsGate { .. });
    // A step that waits has nothing to withdraw.
    assert_eq!(kinds(&play.does(&who("ann"), &skip("c"))), ["step-skipped"]);
    play.claim("b");
    refused!(play, who("ann"), skip("b"), Conflict, Refusal::Held { .. });
    play.end("b", Ending::Failed);
    assert_eq!(opened(&play.does(&who("ann"), &skip("b"))), ["ok.1"]);
    let events = play.does(&who("bob"), &approve("ok"));
    assert_eq!(kinds(&events), ["gate-approved"], "all is done");
    assert_eq!(statuses(play.item(), &play.schedule()), [Status::Completed]);
}

#[test]
fn a_review_stops_claims_but_not_the_work_in_progress() {
    let mut play = Play::of(vec![par("a"), par("b"), work("c")]);
    play.claim("a");
    play.does(&who("ann"), &flag());
    assert!(matches!(play.unchanged(&who("bob"), &flag()), Unchanged::Flagged));
    play.end("a", Ending::Completed);
    refused!(play, who("x"), claim("b"), Refused, Refusal::UnderReview { .. });
    play.does(&who("ann"), &clear());
    assert!(matches!(play.unchanged(&who("ann"), &clear()), Unchanged::Cleared));
    let other = Ask::ClearReview(ClearReview { rationale: "another reason".into() });
    refused!(play, who("ann"), other, Refused, Refusal::NotUnderReview { .. });
    let own = FlagReview { reason: "odd".into(), suspects: vec![id("WI-1")] };
    refused!(play, who("ann"), Ask::FlagReview(own), Invalid, Refusal::Invalid(_));
    merged(&mut play);
    refused!(play, who("ann"), flag(), Refused, Refusal::ItemEnded { .. });
}

#[test]
fn nothing_moves_an_integrated_item() {
    let mut play = Play::of(vec![work("a"), gate("ok").reject_to("a")]);
    play.work("a");
    play.integrated();
    for ask in [approve("ok"), reject("ok", None, false), flag()] {
        refused!(
            play,
            who("ann"),
            ask,
            Refused,
            Refusal::ItemEnded { phase: ItemPhase::Integrated, .. }
        );
    }
    refused!(play, who("ann"), skip("a"), Conflict, Refusal::Finished { .. });
    assert_eq!(statuses(play.item(), &play.schedule())[0], Status::Integrated);
}

// --- Gates (G1–G3) ------------------------------------------------------------------------

#[test]
fn a_gate_is_pending_and_never_in_the_launch_order() {
    let mut play = Play::of(vec![work("a"), gate("ok")]);
    refused!(
        play, who("ann"), approve("ok"), Refused,
        Refusal::GateNotOpen { waits_for, more: 0, .. }
            if *waits_for == [key("a")]
    );
    refused!(play, who("ann"), approve("a"), Refused, Refusal::NotGate { .. });
    play.work("a");
    let doc = ScheduleDoc::of(&play.workflow, play.item());
    assert!(doc.launch_order.is_empty() && doc.ready_steps.is_empty());
    assert_eq!(doc.pending_gates.len(), 1);
    assert_eq!(statuses(play.item(), &play.schedule()), [Status::AwaitingGate]);
    refused!(play, who("x"), claim("ok"), Refused, Refusal::IsGate { .. });
    let events = play.does(&who("ann"), &approve("ok"));
    assert_eq!(events[0].links[0].rel, "reviews");
    refused!(
        play,
        who("eve"),
        approve("ok"),
        Conflict,
        Refusal::Finished { phase: AttemptPhase::Approved, by: Some(by), .. }
            if by.as_str() == "ann"
    );
    // The one whose yes it passed by may say it again: it is so already.
    let again = play.unchanged(&who("ann"), &approve("ok"));
    assert!(matches!(again, Unchanged::Approved { approvals: 1, quorum: 1, .. }), "{again:?}");
    refused!(play, who("ann"), reject("ok", Some("a"), false), Conflict, Refusal::Finished { .. });
}

#[test]
fn a_quorum_counts_distinct_principals() {
    let mut play = Play::of(vec![work("a"), gate("ok").quorum(2), work("b")]);
    play.work("a");
    let events = play.does(&who("ann"), &approve("ok"));
    let EventData::GateApproved(data) = &events[0].data else { panic!("an approval") };
    assert_eq!((data.approvals, data.quorum, data.decided), (1, 2, false));
    assert_eq!(events.len(), 1, "nothing opens before the quorum");
    // Another executor of the same principal is not another principal.
    let again = play.unchanged(&person("exec:second", "ann"), &approve("ok"));
    assert!(matches!(again, Unchanged::Approved { approvals: 1, quorum: 2, .. }));
    let events = play.does(&who("bob"), &approve("ok"));
    let EventData::GateApproved(data) = &events[0].data else { panic!("an approval") };
    assert_eq!((data.approvals, data.decided), (2, true));
    assert_eq!(opened(&events), ["b.1"]);
}

/// A gate that is open while a lower step may still end: it replaces its waits.
fn moving_ground() -> Play {
    let mut play = Play::of(vec![par("a"), gate("ok").parallel().needs(&[]).quorum(2)]);
    play.does(&who("ann"), &approve("ok"));
    play
}

#[test]
fn approvals_of_other_outputs_do_not_count() {
    let mut play = moving_ground();
    let before = gate_digest(&play.workflow, play.item(), 1);
    play.work("a");
    assert_ne!(gate_digest(&play.workflow, play.item(), 1), before);
    let events = play.does(&who("bob"), &approve("ok"));
    let EventData::GateApproved(data) = &events[0].data else { panic!("an approval") };
    assert_eq!((data.approvals, data.decided), (1, false), "ann approved something else");
    let events = play.does(&who("ann"), &approve("ok"));
    let EventData::GateApproved(data) = &events[0].data else { panic!("an approval") };
    assert_eq!((data.approvals, data.decided), (2, true), "ann approves again");
}

#[test]
fn the_schedule_shows_the_approvals_that_count() {
    let mut play = moving_ground();
    play.work("a");
    play.does(&who("bob"), &approve("ok"));
    let doc = ScheduleDoc::of(&play.workflow, play.item());
    assert_eq!((doc.pending_gates[0].approvals, doc.pending_gates[0].quorum), (1, Some(2)));
}

#[test]
fn approvals_of_an_earlier_round_do_not_count() {
    let mut play = Play::of(vec![work("a"), gate("ok").quorum(2).reject_to("a")]);
    play.work("a");
    play.does(&who("ann"), &approve("ok"));
    play.does(&who("bob"), &reject("ok", None, false));
    play.work("a");
    let events = play.does(&who("cy"), &approve("ok"));
    let EventData::GateApproved(data) = &events[0].data else { panic!("an approval") };
    assert_eq!((data.approvals, data.round, data.decided), (1, 2, false));
}

#[test]
fn approvers_are_named_or_members_of_a_role() {
    let mut play = Play::of(vec![work("a"), gate("ok").approvers(&["ann"], &["lead"]).quorum(3)]);
    play.work("a");
    // While the ledger knows no members of any role, a role admits everybody, and says so.
    let mark = |events: &[Event]| match &events[0].data {
        EventData::GateApproved(data) => {
            (data.role.as_ref().map(ToString::to_string), data.role_unchecked)
        }
        _ => panic!("an approval"),
    };
    assert_eq!(mark(&play.does(&who("bob"), &approve("ok"))), (Some("lead".into()), true));
    assert_eq!(mark(&play.does(&who("ann"), &approve("ok"))), (None, false));
    // From the first members on, members only, also where another role got them.
    play.policy("role.other", &["zoe"]);
    refused!(
        play, who("cy"), approve("ok"), Refused,
        Refusal::NotApprover { principal, ids, roles, .. }
            if principal.as_str() == "cy" && ids.len() == 1 && roles.len() == 1
    );
    refused!(play, who("cy"), reject("ok", Some("a"), false), Refused, Refusal::NotApprover { .. });
    play.policy("role.lead", &["cy"]);
    assert_eq!(mark(&play.does(&who("cy"), &approve("ok"))), (Some("lead".into()), false));
    let mut ids = Play::of(vec![work("a"), gate("ok").approvers(&["ann"], &[])]);
    ids.work("a");
    refused!(ids, who("bob"), approve("ok"), Refused, Refusal::NotApprover { .. });
}

#[test]
fn who_worked_may_decide_a_review_but_not_a_release() {
    let judged = |shape: stepseal::domain::workflow::StepDefinition| {
        let mut play = Play::of(vec![work("a"), shape]);
        play.work("a");
        let answer = play.ask(&person("exec:desk", "a"), &approve("ok"));
        (play, answer)
    };
    let (_, answer) = judged(gate("ok"));
    let Ok(Decided::Facts(facts)) = answer else { panic!("a review allows it: {answer:?}") };
    let EventData::GateApproved(data) = &facts[0].data else { panic!("an approval") };
    assert!(data.self_review, "allowed and marked");
    for refusing in [
        gate("ok").release(),
        gate("ok").gated(|gate| gate.self_review = Some(SelfReview::Refused)),
    ] {
        let (mut play, answer) = judged(refusing);
        assert!(
            matches!(&answer, Err(refusal @ Refusal::SelfReview { principal, worked_on, .. })
                if principal.as_str() == "a" && worked_on.as_str() == "a"
                    && refusal.kind() == RefusalKind::Refused),
            "{answer:?}"
        );
        let events = play.does(&who("ann"), &approve("ok"));
        let EventData::GateApproved(data) = &events[0].data else { panic!("an approval") };
        assert!(!data.self_review);
    }
    let (_, answer) =
        judged(gate("ok").release().gated(|gate| gate.self_review = Some(SelfReview::Allowed)));
    assert!(answer.is_ok(), "unless the gate says");
}

#[test]
fn a_gate_waits_for_a_review_and_for_blockers_too() {
    let mut play = Play::of(vec![work("a"), gate("ok").reject_to("a")]);
    play.work("a");
    play.does(&who("ann"), &flag());
    refused!(play, who("bob"), approve("ok"), Refused, Refusal::UnderReview { by: Some(_), .. });
    play.does(&who("ann"), &clear());
    play.blocked("wall", &["ok"]);
    refused!(play, who("bob"), reject("ok", None, false), Refused, Refusal::Blocked { .. });
}

#[test]
fn a_rejection_names_an_earlier_step_that_was_worked_on() {
    let mut play =
        Play::of(vec![work("a"), gate("first"), work("b"), work("c"), gate("ok"), work("d")]);
    play.work("a");
    play.does(&who("ann"), &approve("first"));
    play.work("b");
    play.does(&who("ann"), &skip("c"));
    refused!(
        play, who("ann"), reject("ok", None, false), Refused,
        Refusal::NoReturn { candidates, .. }
            if candidates.iter().any(|c| c.as_str() == "b")
    );
    for to in ["d", "ok", "c"] {
        refused!(
            play, who("ann"), reject("ok", Some(to), false), Refused,
            Refusal::BadReturn { to: t, .. }
                if t.as_str() == to
        );
    }
    refused!(
        play,
        who("ann"),
        reject("ok", Some("zz"), false),
        NotFound,
        Refusal::UnknownStep { .. }
    );
    let events = play.does(&who("ann"), &reject("ok", Some("a"), false));
    let EventData::GateRejected(data) = &events[0].data else { panic!("a rejection") };
    let void: Vec<_> = data.void.iter().map(|v| v.key.as_str()).collect();
    assert_eq!(void, ["a", "first", "b", "ok"], "c was skipped and stays skipped");
    // After the second round of `b`, `ok` opens: `c` holds nothing.
    play.work("a");
    play.does(&who("ann"), &approve("first"));
    assert_eq!(opened(&play.work("b")), ["ok.2"]);
}

#[test]
fn a_rejection_withdraws_queued_and_names_or_releases_claimed_steps() {
    let steps = || {
        vec![
            work("a"),
            gate("ok").reject_to("a"),
            par("queued").crosses().needs(&["a"]),
            par("held").crosses().needs(&["a"]),
            par("apart").crosses().needs(&[]),
        ]
    };
    let mut play = Play::of(steps());
    play.work("a");
    play.claim("held");
    play.claim("apart");
    refused!(
        play, who("ann"), reject("ok", None, false), Refused,
        Refusal::VoidHeld { to, held, .. }
            if to.as_str() == "a" && *held == [(key("held"), id("exec:held"))]
    );
    let events = play.does(&who("ann"), &reject("ok", None, true));
    let facts: Vec<_> = events
        .iter()
        .filter_map(|e| e.attempt_id.as_ref().map(|a| (e.kind().name(), a.to_string())))
        .collect();
    assert_eq!(
        facts,
        [
            ("attempt-withdrawn", "queued.1".into()),
            ("claim-released", "held.1".into()),
            ("gate-rejected", "ok.1".to_owned())
        ]
    );
    let EventData::GateRejected(data) =
        &events.iter().find(|e| e.kind() == EventKind::GateRejected).expect("the rejection").data
    else {
        panic!("a rejection")
    };
    let void: Vec<_> = data.void.iter().map(|v| v.key.as_str()).collect();
    assert_eq!(void, ["a", "ok", "queued", "held"]);
    assert!(matches!(play.answer("apart"), Answer::InProgress(_)), "it waits for nothing void");
    assert_eq!(opened(&events), ["a.2"]);
    assert_eq!(opened(&play.work("a")), ["ok.2", "queued.2", "held.2"], "no requeue is needed");
}

#[test]
fn a_failed_step_in_the_void_set_needs_no_requeue() {
    let mut play =
        Play::of(vec![work("a"), gate("ok").reject_to("a"), par("b").crosses().needs(&["a"])]);
    play.work("a");
    play.claim("b");
    play.end("b", Ending::Failed);
    play.does(&who("ann"), &reject("ok", None, false));
    assert_eq!(play.answer("b"), Answer::Waiting);
    play.work("a");
    assert_eq!(play.ready(), ["b"]);
}

#[test]
fn imported_steps_up_to_the_gate_are_void_and_above_it_stay_done() {
    let imported =
        [("a", ImportedState::Done), ("b", ImportedState::Done), ("c", ImportedState::Done)];
    let mut play = Play::importing(
        vec![work("a"), work("b"), gate("ok").reject_to("a"), par("c").crosses().needs(&["a"])],
        &imported,
    );
    let events = play.does(&who("ann"), &reject("ok", None, false));
    let EventData::GateRejected(data) = &events[0].data else { panic!("a rejection") };
    let void: Vec<_> = data.void.iter().map(|v| (v.key.as_str(), v.attempt_id.is_some())).collect();
    assert_eq!(void, [("a", false), ("b", false), ("ok", true)]);
    assert_eq!(opened(&events), ["a.1"]);
    assert!(matches!(play.answer("c"), Answer::Done(_)));
}

// --- What the rules say must fit on paper (L3) -----------------------------------------------

#[test]
fn the_longest_reason_a_rule_takes_fits_on_paper() {
    let long = || "x".repeat(8 * 1024);
    let mut play = Play::of(vec![par("a"), gate("ok").quorum(2)]);
    let fits = |play: &Play, actor, ask: Ask| {
        let moment = moment_at(play.tick + 1, &who(actor));
        match play.decide_at(&moment, &ask) {
            Ok(Decided::Facts(facts)) => {
                for fact in facts {
                    let paper = encode_event(&fact);
                    assert!(paper.is_ok(), "{}: {}", fact.kind().name(), paper.expect_err("why"));
                }
            }
            other => panic!("{other:?}"),
        }
    };
    fits(
        &play,
        "ann",
        Ask::Skip(stepseal::domain::decide::Skip { step: key("a"), reason: long() }),
    );
    play.claim("a");
    let reason = Some(long());
    let lapse = Requeue { step: Some(key("a")), attempt: None, reason, lapsed: true, force: true };
    fits(
        &play,
        "a",
        Ask::Release(Release { step: Some(key("a")), attempt: None, claim: None, reason: long() }),
    );
    fits(&play, "ann", Ask::Requeue(lapse));
}

#[test]
fn the_longest_approval_fits_on_paper() {
    let mut play = Play::of(vec![work("a"), gate("ok").quorum(2)]);
    play.work("a");
    let ask = stepseal::domain::decide::ApproveGate {
        step: key("ok"),
        reason: "x".repeat(8 * 1024),
        follow_ups: Vec::new(),
    };
    play.does(&who("ann"), &Ask::ApproveGate(ask));
}

#[test]
fn a_follow_up_is_a_text_like_any_other() {
    // L3: a text field has at most 8 KiB.
    let mut play = Play::of(vec![work("a"), gate("ok").reject_to("a")]);
    play.work("a");
    let follow_ups = vec!["x".repeat(8 * 1024 + 1)];
    let yes = stepseal::domain::decide::ApproveGate {
        step: key("ok"),
        reason: "good".into(),
        follow_ups: follow_ups.clone(),
    };
    let no = stepseal::domain::decide::RejectGate {
        step: key("ok"),
        reason: "bad".into(),
        return_to: None,
        release_claims: false,
        follow_ups,
    };
    for ask in [Ask::ApproveGate(yes), Ask::RejectGate(no)] {
        refused!(play, who("ann"), ask, Invalid, Refusal::Invalid(_));
    }
}

#[test]
fn a_completion_links_no_decision() {
    // L3: links go from fact to fact, never to a schedule-decided.
    let mut play = Play::of(vec![work("a")]);
    play.claim("a");
    let decision = &play.log[1];
    assert_eq!(decision.event.kind(), EventKind::ScheduleDecided);
    let links = vec![stepseal::domain::event::Link {
        rel: "because".into(),
        id: decision.event.id,
        sha256: decision.sha256.clone(),
    }];
    let claim = Some(play.claim_of("a"));
    let ask = Complete { claim, links, ..completion("a", Ending::Completed) };
    refused!(play, who("a"), complete(ask), Invalid, Refusal::Invalid(_));
}

#[test]
fn a_decision_about_many_long_names_fits_on_paper() {
    // Sixty steps of the longest keys share one of the longest constraints.
    let constraint = "c".repeat(200);
    let name = |n: usize| format!("{n:02}{}", "k".repeat(62));
    let steps = (0..60).map(|n| par(&name(n)).shares(&[&constraint])).collect();
    let play = Play::of(steps);
    assert_eq!(play.ready().len(), 1);
}

#[test]
fn every_verified_criterion_is_kept() {
    let mut play = Play::of(vec![work("a").exit(&["x", "y"])]);
    play.claim("a");
    let all = all_verified(&play.workflow, "a");
    assert_eq!(all.len(), 2);
    play.end("a", Ending::Completed);
    let end = play.item().steps[0].attempts[0].end.as_ref().expect("it ended");
    assert_eq!(end.verified, [id("x"), id("y")]);
}

#[test]
fn a_step_skipped_after_a_failure_says_that_it_was_skipped() {
    // What ended the step is the skip, not the attempt before it.
    let mut play = Play::of(vec![work("a")]);
    play.claim("a");
    play.end("a", Ending::Failed);
    play.does(&who("ann"), &skip("a"));
    refused!(play, who("x"), claim("a"), Conflict, Refusal::StepDone { how: "skipped", .. });
}

#[test]
fn a_completion_that_contradicts_itself_is_refused() {
    let mut play = Play::of(vec![par("a"), par("b")]);
    play.claim("a");
    play.claim("b");
    let fence = Some(play.claim_of("a"));
    let step = Complete { claim: fence, ..completion("b", Ending::Completed) };
    let attempt = Complete {
        claim: fence,
        step: None,
        attempt: Some("b.1".into()),
        ..completion("b", Ending::Completed)
    };
    for ask in [step, attempt] {
        refused!(play, who("b"), complete(ask), Invalid, Refusal::Invalid(_));
    }
}

#[test]
fn a_gate_is_never_completed_by_the_name_of_its_attempt() {
    let mut play = Play::of(vec![work("a"), gate("ok").reject_to("a")]);
    play.work("a");
    let ask = || {
        complete(Complete {
            step: None,
            attempt: Some("ok.1".into()),
            outcome: "not good enough".into(),
            next_action: None,
            ..completion("ok", Ending::Rejected)
        })
    };
    refused!(play, who("ann"), ask(), Refused, Refusal::IsGate { .. });
    // Nor is the rejection of a gate a completion that was repeated.
    play.does(&who("ann"), &reject("ok", None, false));
    refused!(play, who("ann"), ask(), Refused, Refusal::IsGate { .. });
}

#[test]
fn the_status_is_the_first_that_holds_and_the_others_are_flags() {
    let mut play = Play::of(vec![par("a"), par("b"), par("c"), gate("ok"), par("d").crosses()]);
    play.claim("a");
    play.claim("b");
    play.end("b", Ending::Failed);
    let words = |play: &Play| statuses(play.item(), &play.schedule());
    assert_eq!(words(&play), [Status::InProgress, Status::Ready, Status::NeedsRequeue]);
    play.blocked("wall", &["c"]);
    let all = [Status::InProgress, Status::Ready, Status::NeedsRequeue, Status::Blocked];
    assert_eq!(words(&play), all);
    play.does(&who("ann"), &flag());
    assert_eq!(words(&play), [Status::AwaitingReview, Status::InProgress, Status::NeedsRequeue]);
    merged(&mut play);
    assert_eq!(words(&play)[0], Status::Merged);
    assert_eq!(
        Status::ALL.map(Status::word).join(", "),
        "merged, closed, cancelled, integrated, \
        completed, awaiting-review, in-progress, ready, awaiting-gate, needs-requeue, blocked"
    );
}

#[test]
fn a_rejection_does_not_return_to_a_step_that_never_opened() {
    let gate = gate("ok").parallel().needs(&[]);
    let mut play = Play::of(vec![par("a"), par("b").needs(&["a"]), gate]);
    refused!(play, who("ann"), reject("ok", Some("b"), false), Refused, Refusal::BadReturn { .. });
    play.does(&who("ann"), &reject("ok", Some("a"), false));
}
