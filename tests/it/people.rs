//! Given, when, then: what people decide about an item beside its gates (FR-003, FR-010, FR-011,
//! FR-012, FR-021): the way back, reviews, blockers, owners, the end, and going on after an
//! interruption.

use stepseal::domain::decide::{
    Ask, BLOCKER_TYPES, CloseReview, Decided, DeclareBlocker, Ending, FlagReview, LinkReview,
    MergeReview, Unchanged, verify_again,
};
use stepseal::domain::event::{
    CodeSeen, Dirty, Doubt, Event, EventData, EventKind, ImportedState, ReworkRequested,
};
use stepseal::domain::id::ItemId;
use stepseal::domain::refusal::{Refusal, RefusalKind};
use stepseal::domain::schedule::{Answer, Hold};
use stepseal::domain::status::{Status, statuses};
use stepseal::domain::transition::{AttemptPhase, ItemPhase};

use crate::domain_kit::{
    Play, Shape as _, all_verified, cancel, claim, clear, close, completion, decisions, declare,
    epoch, flag, gate, id, key, link_to, merge, moment_at, overturn, par, release, resolve, resume,
    rework, skip, standing, transfer, version, who, work,
};

fn kinds(events: &[Event]) -> Vec<&'static str> {
    events.iter().map(|event| event.kind().name()).collect()
}

fn sent_back(events: &[Event]) -> &ReworkRequested {
    let data = events.iter().find_map(|event| match &event.data {
        EventData::ReworkRequested(data) => Some(data),
        _ => None,
    });
    data.expect("the item goes back")
}

fn void(events: &[Event]) -> Vec<String> {
    sent_back(events).void.iter().map(|void| void.key.to_string()).collect()
}

fn refusal(play: &mut Play, ask: &Ask) -> Refusal {
    play.refuses(&who("ann"), ask)
}

fn unchanged(play: &mut Play, ask: &Ask) -> Unchanged {
    play.unchanged(&who("ann"), ask)
}

fn status(play: &Play) -> Status {
    statuses(play.item(), &play.schedule())[0]
}

// --- Rework (FR-021, G3) -------------------------------------------------------------------

/// `design → api ∥ web → ship → late`, of which everything up to `ship` is done.
fn shipped() -> Play {
    let mut play = Play::of(vec![
        work("design").entry(&["brief"]),
        par("api").order(2),
        par("web").order(2),
        work("ship").order(3),
        work("late").order(4),
    ]);
    for name in ["design", "api", "web", "ship"] {
        play.work(name);
    }
    play
}

#[test]
fn rework_voids_the_step_and_what_waits_for_it_up_to_the_highest_attempt() {
    let mut play = shipped();
    assert_eq!(play.ready(), ["late"]);
    let events = play.does(&who("ann"), &rework("api", false));
    // web does not wait for api; late was queued, so it leaves the queue and waits again.
    assert_eq!(void(&events), ["api", "ship", "late"]);
    assert_eq!(kinds(&events), ["attempt-withdrawn", "rework-requested", "schedule-decided"]);
    let data = sent_back(&events);
    assert_eq!((data.return_to.as_str(), data.reason.as_str()), ("api", "built on sand"));
    let attempts: Vec<String> =
        data.void.iter().filter_map(|v| v.attempt_id.as_ref()).map(ToString::to_string).collect();
    assert_eq!(attempts, ["api.1", "ship.1", "late.1"], "what no longer counts is named");
    assert!(data.void.iter().all(|step| step.round == 2));
    // It links what it undoes, and the numbers run on.
    let rework =
        events.iter().find(|e| e.kind() == EventKind::ReworkRequested).expect("it is there");
    assert!(rework.links.iter().all(|link| link.rel == "voids") && rework.links.len() == 2);
    assert_eq!(play.ready(), ["api"]);
    play.work("api");
    assert_eq!(play.item().steps[play.at("api")].last_number(), 2);
    assert_eq!(play.item().steps[play.at("api")].attempts[0].phase, AttemptPhase::Completed);
    play.work("ship");
    assert_eq!(play.ready(), ["late"]);
}

#[test]
fn rework_asks_for_entry_criteria_again() {
    let mut play = shipped();
    play.does(&who("ann"), &rework("design", false));
    let bare = Ask::Claim(stepseal::domain::decide::Claim {
        attest: Default::default(),
        ..crate::domain_kit::claiming("design")
    });
    assert!(
        matches!(refusal(&mut play, &bare), Refusal::NotAttested { missing, .. } if missing.len() == 1)
    );
    play.work("design");
}

#[test]
fn rework_is_counted_by_step_and_reason_and_in_order() {
    let mut play = shipped();
    play.does(&who("ann"), &rework("web", false));
    play.work("web");
    play.work("ship");
    play.does(&who("bob"), &rework("api", false));
    let returns = &play.item().returns;
    let told: Vec<_> =
        returns.iter().map(|b| (b.by.as_str(), b.to.as_str(), b.gate.is_none())).collect();
    assert_eq!(told, [("ann", "web", true), ("bob", "api", true)]);
    let rounds: Vec<u32> = play.item().steps.iter().map(|step| step.round).collect();
    assert_eq!(rounds, [1, 2, 2, 3, 3]);
}

#[test]
fn rework_names_the_holders_of_void_steps_or_takes_their_claims() {
    let mut play = shipped();
    play.claim("late");
    let refused = refusal(&mut play, &rework("web", false));
    assert_eq!(refused.kind(), RefusalKind::Refused);
    let Refusal::VoidHeld { void, held, .. } = refused else { panic!("{refused:?}") };
    let void: Vec<&str> = void.iter().map(|key| key.as_str()).collect();
    assert_eq!(void, ["web", "ship", "late"], "what it would undo is said first");
    assert_eq!(held, [(key("late"), id("exec:late"))]);
    let claim = play.claim_of("late");
    let events = play.does(&who("ann"), &rework("web", true));
    assert_eq!(kinds(&events), ["claim-released", "rework-requested", "schedule-decided"]);
    // The late completion of who lost the claim is fenced off.
    let late = stepseal::domain::decide::Complete {
        claim: Some(claim),
        ..completion("late", Ending::Completed)
    };
    let refused = play.refuses(&who("late"), &Ask::Complete(Box::new(late)));
    assert_eq!(refused.kind(), RefusalKind::Conflict, "{refused:?}");
}

#[test]
fn rework_needs_no_requeue_of_what_failed_and_leaves_what_was_skipped() {
    let mut play = Play::of(vec![work("a"), work("b"), par("c").order(3), par("d").order(3)]);
    play.work("a");
    play.does(&who("ann"), &skip("b"));
    play.work("c");
    play.claim("d");
    play.end("d", Ending::Failed);
    let events = play.does(&who("ann"), &rework("a", false));
    assert_eq!(void(&events), ["a", "c", "d"]);
    play.work("a");
    assert_eq!(play.ready(), ["c", "d"], "b stays skipped, d needs no requeue");
}

#[test]
fn rework_names_a_step_that_was_done() {
    let mut play = shipped();
    let why = |play: &mut Play, to: &str| match refusal(play, &rework(to, false)) {
        Refusal::BadReturn { why, gate: None, .. } => why,
        other => panic!("{other:?}"),
    };
    assert!(why(&mut play, "late").contains("not been done"));
    assert!(matches!(refusal(&mut play, &rework("nope", false)), Refusal::UnknownStep { .. }));
    play.does(&who("ann"), &skip("late"));
    assert!(why(&mut play, "late").contains("skipped"));
    let mut fresh = Play::of(vec![work("a"), work("b")]);
    assert!(why(&mut fresh, "b").contains("not been done"));
}

#[test]
fn rework_may_name_an_imported_step_even_above_every_attempt() {
    let steps = || vec![work("a"), par("b").order(2).needs(&[]), work("c").order(3)];
    let mut play = Play::importing(steps(), &[("b", ImportedState::Done)]);
    let events = play.does(&who("ann"), &rework("b", false));
    assert_eq!(void(&events), ["b"]);
    assert_eq!(play.ready(), ["a", "b"], "what was imported no longer counts");
}

/// A gate that crosses nothing waits for everything below it; one that needs nothing by rule stays.
#[test]
fn rework_leaves_a_gate_alone_that_does_not_wait_for_the_step() {
    let mut play = Play::of(vec![
        par("x").order(1).needs(&[]),
        gate("early").order(2).parallel().needs(&[]),
        par("y").order(3).needs(&["x"]),
    ]);
    play.does(&who("ann"), &crate::domain_kit::approve("early"));
    play.work("x");
    play.work("y");
    let events = play.does(&who("ann"), &rework("y", false));
    assert_eq!(void(&events), ["y"], "early does not wait for y");
    play.work("y");
    let events = play.does(&who("ann"), &rework("x", false));
    assert_eq!(void(&events), ["x", "y"]);
}

#[test]
fn the_same_rework_again_is_unchanged_until_somebody_takes_the_step() {
    let mut play = shipped();
    play.does(&who("ann"), &rework("api", false));
    assert_eq!(unchanged(&mut play, &rework("api", false)), Unchanged::SentBack { to: key("api") });
    // Somebody else's words are another ask, and there is nothing to undo.
    let refused = play.refuses(&who("bob"), &rework("api", false));
    assert!(matches!(refused, Refusal::BadReturn { .. }), "{refused:?}");
    play.claim("api");
    let refused = refusal(&mut play, &rework("api", false));
    assert!(matches!(refused, Refusal::VoidHeld { .. }), "{refused:?}");
}

#[test]
fn what_is_integrated_takes_no_rework() {
    let mut play = shipped();
    play.work("late");
    play.integrated();
    let refused = refusal(&mut play, &rework("api", false));
    assert!(matches!(refused, Refusal::ItemEnded { phase: ItemPhase::Integrated, .. }));
    assert_eq!(refused.kind(), RefusalKind::Refused);
}

// --- Review before execution (FR-003) ------------------------------------------------------

#[test]
fn scenario_5_a_duplicate_is_merged_before_any_work() {
    let mut play = Play::of(vec![work("a"), work("b")]);
    play.does(&who("ann"), &flag());
    assert!(matches!(refusal(&mut play, &claim("a")), Refusal::UnderReview { .. }));
    let events = play.does(&who("bob"), &merge("WI-2", false));
    assert_eq!(kinds(&events), ["review-merged"]);
    assert_eq!(events[0].links[0].rel, "decides");
    assert_eq!(events[0].next_action, "go on with WI-2");
    assert!(events[0].outcome.summary.contains("WI-2"), "{:?}", events[0].outcome);
    assert_eq!((play.item().phase, status(&play)), (ItemPhase::Merged, Status::Merged));
    let refused = refusal(&mut play, &claim("a"));
    let Refusal::ItemEnded { survivor, by, reason, .. } = &refused else { panic!("{refused:?}") };
    assert_eq!(survivor.as_ref().map(ItemId::as_str), Some("WI-2"));
    assert_eq!(by.as_ref().map(|by| by.as_str()), Some("bob"));
    assert_eq!(reason.as_deref(), Some("the same work"));
    assert_eq!(refused.to_string(), "WI-1 is merged into WI-2");
    let Answer::Held { hold, .. } = play.answer("a") else { panic!("held") };
    assert_eq!(hold.reason(&play.workflow).1, "the item is merged into WI-2");
}

#[test]
fn edge_case_a_duplicate_suspicion_is_overturned_with_a_rationale() {
    for end in [merge("WI-2", true), close(Some("WI-2"), true)] {
        let mut play =
            Play::of(vec![par("a").shares(&["db"]), par("b").order(1), work("c").order(2)]);
        play.work("b");
        play.claim("a");
        play.does(&who("ann"), &end);
        assert_eq!(play.ready(), [""; 0]);
        let events = play.does(&who("bob"), &overturn());
        assert_eq!(kinds(&events), ["review-overturned", "attempt-requeued"]);
        assert_eq!(events[0].links[0].rel, "overturns");
        assert_eq!(events[0].outcome.summary, "it was another one");
        // What was done stays done, and what was taken from its holder waits for a new one.
        assert_eq!((status(&play), play.ready()), (Status::Ready, vec!["a".to_owned()]));
        assert_eq!(play.item().review.survivor, None);
        assert!(play.item().ended.is_none());
        assert_eq!(play.item().steps[play.at("a")].last_number(), 2);
        assert_eq!(play.unchanged(&who("bob"), &overturn()), Unchanged::Overturned);
        play.work("a");
        assert_eq!(play.ready(), ["c"]);
    }
}

#[test]
fn only_a_merge_or_a_closing_is_overturned() {
    let mut play = Play::of(vec![work("a")]);
    let refused = refusal(&mut play, &overturn());
    assert!(matches!(refused, Refusal::NothingToOverturn { flagged_by: None, .. }));
    play.does(&who("ann"), &flag());
    let refused = refusal(&mut play, &overturn());
    assert!(matches!(refused, Refusal::NothingToOverturn { flagged_by: Some(_), .. }));
    play.does(&who("ann"), &clear());
    play.does(&who("ann"), &cancel(false));
    let refused = refusal(&mut play, &overturn());
    assert!(matches!(refused, Refusal::NothingToOverturn { phase: ItemPhase::Cancelled, .. }));
}

#[test]
fn an_item_ends_under_nobody_unless_their_claims_are_taken() {
    for (end, after) in [
        (merge as fn(&str, bool) -> Ask, "review-merged"),
        (|of, take| close(Some(of), take), "review-closed"),
        (|_, take| cancel(take), "work-item-cancelled"),
    ] {
        let mut play = Play::of(vec![par("a"), par("b").order(1), par("c").order(1)]);
        play.claim("a");
        play.claim("b");
        let refused = refusal(&mut play, &end("WI-2", false));
        let Refusal::ClaimsHeld { held, .. } = &refused else { panic!("{refused:?}") };
        let held: Vec<_> = held.iter().map(|(step, by)| (step.as_str(), by.as_str())).collect();
        assert_eq!(held, [("a", "exec:a"), ("b", "exec:b")]);
        assert_eq!(refused.kind(), RefusalKind::Refused);
        let events = play.does(&who("ann"), &end("WI-2", true));
        assert_eq!(kinds(&events), ["claim-released", "claim-released", after]);
        // Who was at it is free for other work.
        assert_eq!(play.live(&who("a")), None);
        assert!(matches!(play.answer("c"), Answer::Held { hold: Hold::Item { .. }, .. }));
        assert_eq!(play.ready(), [""; 0]);
    }
}

#[test]
fn an_item_lives_on_only_in_one_that_is_there_and_goes_on() {
    let mut play = Play::of(vec![work("a")]);
    play.others = vec![
        standing("WI-2", ItemPhase::Merged, Some("WI-3")),
        standing("WI-3", ItemPhase::Integrated, None),
        standing("WI-4", ItemPhase::Cancelled, None),
        standing("WI-5", ItemPhase::Closed, None),
        // It was merged into this one: the other way round is a circle.
        standing("WI-6", ItemPhase::Merged, Some("WI-1")),
    ];
    for other in ["WI-2", "WI-4", "WI-5", "WI-6"] {
        for ask in [merge(other, false), close(Some(other), false)] {
            let refused = refusal(&mut play, &ask);
            assert_eq!(refused.kind(), RefusalKind::Refused);
            let Refusal::BadSurvivor { survivor, .. } = &refused else { panic!("{refused:?}") };
            let known = [("WI-2", "WI-3"), ("WI-6", "WI-1")].into_iter().find(|(o, _)| *o == other);
            let known = known.map(|(_, survivor)| survivor);
            assert_eq!(survivor.as_ref().map(ItemId::as_str), known, "{other}");
        }
    }
    for ask in [merge("WI-1", false), close(Some("WI-1"), false), link_to("WI-1")] {
        assert_eq!(refusal(&mut play, &ask).kind(), RefusalKind::Invalid);
    }
    for ask in [merge("WI-9", false), close(Some("WI-9"), false), link_to("WI-9")] {
        assert!(
            matches!(refusal(&mut play, &ask), Refusal::UnknownItem { item, .. } if item.as_str() == "WI-9")
        );
    }
    // Finished work can stand for a duplicate.
    play.does(&who("ann"), &merge("WI-3", false));
}

#[test]
fn an_end_typed_again_is_unchanged_and_another_one_is_refused() {
    let mut play = Play::of(vec![work("a")]);
    play.does(&who("ann"), &merge("WI-2", false));
    assert_eq!(unchanged(&mut play, &merge("WI-2", false)), Unchanged::Merged { into: id("WI-2") });
    for ask in [merge("WI-0", false), close(None, false), cancel(false), flag(), rework("a", false)]
    {
        assert!(matches!(refusal(&mut play, &ask), Refusal::ItemEnded { .. }), "{ask:?}");
    }
    let mut play = Play::of(vec![work("a")]);
    play.does(&who("ann"), &close(Some("WI-2"), false));
    let closed = Unchanged::Closed { duplicate_of: Some(id("WI-2")) };
    assert_eq!(unchanged(&mut play, &close(None, false)), closed);
    assert_eq!(unchanged(&mut play, &close(Some("WI-2"), false)), closed);
    assert!(matches!(refusal(&mut play, &close(Some("WI-0"), false)), Refusal::ItemEnded { .. }));
    let mut play = Play::of(vec![work("a")]);
    play.does(&who("ann"), &cancel(false));
    assert_eq!(unchanged(&mut play, &cancel(false)), Unchanged::Cancelled);
    assert_eq!(status(&play), Status::Cancelled);
}

#[test]
fn a_closing_repeats_the_one_suspect_of_the_flag() {
    let flagged = |suspects: &[&str]| {
        let mut play = Play::of(vec![work("a")]);
        let flag = FlagReview {
            reason: "seen before".into(),
            suspects: suspects.iter().map(|s| id(s)).collect(),
        };
        play.does(&who("ann"), &Ask::FlagReview(flag));
        play
    };
    for (suspects, survivor) in [(&["WI-2"][..], Some("WI-2")), (&[], None)] {
        let mut play = flagged(suspects);
        play.does(&who("ann"), &close(None, false));
        assert_eq!(play.item().review.survivor.as_ref().map(ItemId::as_str), survivor);
    }
    // Of several one has to be named.
    let mut play = flagged(&["WI-0", "WI-2"]);
    let refused = refusal(&mut play, &close(None, false));
    assert_eq!(refused.kind(), RefusalKind::Invalid);
    assert!(refused.to_string().contains("--duplicate-of WI-0 or WI-2"), "{refused}");
    play.does(&who("ann"), &close(Some("WI-0"), false));
}

#[test]
fn a_link_decides_a_suspicion_once_every_suspect_is_linked() {
    let mut play = Play::of(vec![work("a")]);
    let two = FlagReview { reason: "which".into(), suspects: vec![id("WI-0"), id("WI-2")] };
    play.does(&who("ann"), &Ask::FlagReview(two));
    let events = play.does(&who("ann"), &link_to("WI-2"));
    assert_eq!(kinds(&events), ["review-linked"]);
    assert!(matches!(refusal(&mut play, &claim("a")), Refusal::UnderReview { .. }));
    assert_eq!(unchanged(&mut play, &link_to("WI-2")), Unchanged::Linked { to: id("WI-2") });
    let events = play.does(&who("ann"), &link_to("WI-0"));
    assert_eq!(kinds(&events), ["review-linked", "review-cleared"]);
    assert_eq!(play.item().review.linked, [id::<ItemId>("WI-2"), id("WI-0")]);
    play.work("a");
    // Related items may be named whenever.
    let mut done = Play::of(vec![work("a")]);
    done.does(&who("ann"), &cancel(false));
    assert_eq!(kinds(&done.does(&who("ann"), &link_to("WI-2"))), ["review-linked"]);
}

#[test]
fn another_suspect_of_a_flagged_item_is_not_lost_silently() {
    let mut play = Play::of(vec![work("a")]);
    play.does(&who("ann"), &flag());
    assert_eq!(unchanged(&mut play, &flag()), Unchanged::Flagged);
    let more = FlagReview { reason: "seen before".into(), suspects: vec![id("WI-2")] };
    let refused = refusal(&mut play, &Ask::FlagReview(more));
    assert!(matches!(refused, Refusal::UnderReview { .. }));
    let unknown = FlagReview { reason: "seen before".into(), suspects: vec![id("WI-9")] };
    let mut play = Play::of(vec![work("a")]);
    let refused = refusal(&mut play, &Ask::FlagReview(unknown));
    assert!(matches!(refused, Refusal::UnknownItem { .. }));
}

#[test]
fn policy_required_flags_every_new_item_and_a_person_decides() {
    let mut play = Play::empty(crate::domain_kit::compile(vec![work("a")]));
    play.policy("review", &["required"]);
    let register = play.register(&[]);
    let events = play.does(&who("delegator"), &register);
    assert_eq!(kinds(&events), ["work-item-registered", "schedule-decided", "review-flagged"]);
    assert_eq!(status(&play), Status::AwaitingReview);
    let Refusal::UnderReview { reason, .. } = refusal(&mut play, &claim("a")) else { panic!() };
    assert!(reason.contains("policy"), "{reason}");
    play.does(&who("ann"), &clear());
    play.work("a");
    // Decided is decided: an overturned merge waits for nobody again.
    let mut play = Play::of(vec![work("a")]);
    play.policy("review", &["required"]);
    play.does(&who("ann"), &merge("WI-2", false));
    play.does(&who("ann"), &overturn());
    play.work("a");
    // So is a link.
    let mut play = Play::of(vec![work("a")]);
    play.policy("review", &["required"]);
    let events = play.does(&who("ann"), &link_to("WI-2"));
    assert_eq!(kinds(&events), ["review-linked", "review-cleared"]);
    play.work("a");
}

#[test]
fn policy_off_flags_nothing_and_a_flag_from_before_holds_on() {
    let mut play = Play::of(vec![work("a")]);
    play.does(&who("ann"), &flag());
    play.policy("review", &["off"]);
    assert!(matches!(refusal(&mut play, &claim("a")), Refusal::UnderReview { .. }));
    play.does(&who("ann"), &clear());
    let refused = refusal(&mut play, &flag());
    assert!(matches!(refused, Refusal::ReviewOff { .. }), "{refused:?}");
    assert_eq!(refused.kind(), RefusalKind::Refused);
    play.does(&who("ann"), &merge("WI-2", false));
    play.does(&who("ann"), &overturn());
    play.work("a");
    // Back to suspicion, the default.
    let mut play = Play::of(vec![work("a")]);
    play.policy("review", &["off"]);
    play.policy("review", &["on-suspicion"]);
    play.does(&who("ann"), &flag());
}

// --- Blockers (FR-012) ---------------------------------------------------------------------

#[test]
fn a_blocker_holds_the_steps_it_names_until_it_is_resolved() {
    let mut play = Play::of(vec![par("a"), par("b").order(1), work("c").order(2)]);
    let events = play.does(&who("ann"), &declare("legal", &["a"]));
    assert_eq!(kinds(&events), ["blocker-declared"]);
    assert_eq!(events[0].links.len(), 1);
    assert_eq!(play.ready(), ["b"]);
    let Answer::Held { hold: Hold::Blockers(ids), .. } = play.answer("a") else { panic!() };
    assert_eq!(ids.iter().map(|id| id.as_str()).collect::<Vec<_>>(), ["legal"]);
    assert!(matches!(refusal(&mut play, &claim("a")), Refusal::Blocked { .. }));
    assert!(statuses(play.item(), &play.schedule()).contains(&Status::Blocked));
    let blocker = &play.item().blockers[0];
    assert_eq!((blocker.by.as_str(), blocker.owner.as_str()), ("ann", "ann"));
    let events = play.does(&who("bob"), &resolve("legal"));
    assert_eq!(kinds(&events), ["blocker-resolved"]);
    assert_eq!(events[0].links[0].rel, "blocker");
    assert_eq!(play.ready(), ["a", "b"]);
    let blocker = &play.item().blockers[0];
    let (by, how) = blocker.resolution.as_ref().expect("it is resolved");
    assert_eq!((by.as_str(), how.as_str()), ("bob", "people decided"));
    assert_eq!(
        unchanged(&mut play, &resolve("legal")),
        Unchanged::Resolved { blocker: id("legal") }
    );
}

#[test]
fn what_was_left_open_on_an_integrated_item_can_be_resolved_and_nothing_new_declared() {
    let mut play = Play::of(vec![work("a")]);
    play.work("a");
    play.blocked("bank", &[]);
    play.integrated();
    let phase = play.item().phase;
    assert_eq!(kinds(&play.resolved("bank")), ["blocker-resolved"]);
    assert_eq!(play.item().phase, phase);
    assert!(matches!(refusal(&mut play, &declare("again", &[])), Refusal::ItemEnded { .. }));
}

#[test]
fn a_resolved_blocker_brings_the_decision_that_was_due() {
    // b goes first again when what held it is gone, so a decision says that a waits for it.
    let mut play =
        Play::of(vec![par("b").order(1).shares(&["db"]), par("c").order(2).shares(&["db"])]);
    let events = play.does(&who("ann"), &declare("wall", &["b"]));
    assert_eq!(kinds(&events), ["blocker-declared", "schedule-decided"]);
    assert_eq!(play.ready(), ["c"]);
    let events = play.does(&who("ann"), &resolve("wall"));
    let decided = decisions(&events);
    assert_eq!(decided.len(), 1);
    assert!(decided[0].outcome.summary.contains("c waits for b"), "{:?}", decided[0].outcome);
    assert_eq!(play.ready(), ["b"]);
}

#[test]
fn a_blocker_holds_gates_and_every_step_where_it_names_none() {
    let mut play = Play::of(vec![work("a"), gate("ok")]);
    play.work("a");
    play.does(&who("ann"), &declare("wall", &[]));
    assert!(matches!(
        refusal(&mut play, &crate::domain_kit::approve("ok")),
        Refusal::Blocked { .. }
    ));
    assert_eq!(status(&play), Status::Blocked);
    play.does(&who("ann"), &resolve("wall"));
    play.does(&who("ann"), &crate::domain_kit::approve("ok"));
}

#[test]
fn nobody_is_stopped_at_work_by_a_blocker() {
    let mut play = Play::of(vec![work("a"), work("b")]);
    play.claim("a");
    play.does(&who("ann"), &declare("wall", &["a"]));
    play.end("a", Ending::Completed);
    assert_eq!(play.ready(), ["b"]);
}

#[test]
fn blockers_are_named_typed_and_never_named_again() {
    let mut play = Play::of(vec![work("a"), work("b")]);
    let unnamed = |kind: &str, notes: &str| {
        Ask::DeclareBlocker(DeclareBlocker {
            id: None,
            kind: kind.into(),
            steps: vec![key("b"), key("a"), key("b")],
            notes: notes.into(),
            owner: Some(id("cy")),
        })
    };
    play.does(&who("ann"), &unnamed("external", "the vendor"));
    let first = &play.item().blockers[0];
    assert_eq!((first.id.as_str(), first.owner.as_str()), ("blocker-1", "cy"));
    assert_eq!(first.steps, [key("a"), key("b")], "in launch order, once");
    let again = unchanged(&mut play, &unnamed("external", "the vendor"));
    assert_eq!(again, Unchanged::Blocked { blocker: id("blocker-1") });
    play.does(&who("ann"), &declare("blocker-2", &[]));
    play.does(&who("ann"), &unnamed("external", "another vendor"));
    assert_eq!(play.item().blockers[2].id.as_str(), "blocker-3");
    let again = unchanged(&mut play, &declare("blocker-2", &[]));
    assert_eq!(again, Unchanged::Blocked { blocker: id("blocker-2") });
    play.does(&who("ann"), &resolve("blocker-2"));
    let refused = refusal(&mut play, &declare("blocker-2", &[]));
    assert!(matches!(refused, Refusal::BlockerTaken { resolved: true, .. }), "{refused:?}");
    assert_eq!(refused.kind(), RefusalKind::Conflict);
    let refused = refusal(&mut play, &resolve("nope"));
    let Refusal::UnknownBlocker { open, .. } = &refused else { panic!("{refused:?}") };
    assert_eq!(open.iter().map(|id| id.as_str()).collect::<Vec<_>>(), ["blocker-1", "blocker-3"]);
    assert_eq!(refused.kind(), RefusalKind::NotFound);
    let refused = refusal(&mut play, &unnamed("weather", "rain"));
    let Refusal::UnknownBlockerType { known, .. } = &refused else { panic!("{refused:?}") };
    assert_eq!(known.iter().map(String::as_str).collect::<Vec<_>>(), BLOCKER_TYPES);
    assert_eq!(refused.kind(), RefusalKind::Invalid);
    play.policy("blocker.types", &["weather"]);
    play.does(&who("ann"), &unnamed("weather", "rain"));
    assert!(matches!(refusal(&mut play, &declare("x", &[])), Refusal::UnknownBlockerType { .. }));
}

#[test]
fn what_is_done_is_not_blocked() {
    let mut play = Play::of(vec![work("a"), work("b")]);
    play.work("a");
    let refused = refusal(&mut play, &declare("wall", &["a"]));
    assert!(matches!(refused, Refusal::StepDone { .. }), "{refused:?}");
}

#[test]
fn blocked_time_counts_what_several_blockers_share_once() {
    // A tick is 1.001 s and every ask is one.
    let mut play = Play::of(vec![work("a"), work("b")]);
    play.does(&who("ann"), &declare("one", &["a"]));
    play.does(&who("ann"), &declare("two", &["b"]));
    play.does(&who("ann"), &resolve("one"));
    play.does(&who("ann"), &resolve("two"));
    let item = play.item();
    let span = |a: usize, b: usize| play.log[b].event.timestamp - play.log[a].event.timestamp;
    let first = play.log.iter().position(|r| r.event.kind() == EventKind::BlockerDeclared);
    let first = first.expect("a blocker");
    assert_eq!(item.blocked_until(item.last_at), span(first, first + 3));
    // An open one counts up to the moment that is asked for, and no further than the item's end.
    play.tick += 10;
    play.does(&who("ann"), &declare("three", &[]));
    let at = play.item().last_at;
    let later = at + chrono::Duration::hours(2);
    let before = play.item().blocked_until(at);
    assert_eq!(play.item().blocked_until(later) - before, chrono::Duration::hours(2));
    play.does(&who("ann"), &cancel(false));
    assert!(play.item().blocked_until(later) < before + chrono::Duration::minutes(1));
}

#[test]
fn a_blocker_follows_its_step_to_another_version_and_back() {
    let mut play = Play::of(vec![par("a"), par("b").order(1), par("c").order(1)]);
    play.does(&who("ann"), &declare("wall", &["a", "c"]));
    let second = version(2, vec![par("alpha"), par("b").order(1), par("c").order(1)]);
    play.versions.push(second.clone());
    let move_on = Ask::Migrate(Box::new(stepseal::domain::decide::Migrate {
        to: stepseal::domain::workflow::Workflow::clone(&second),
        map: vec![(key("a"), key("alpha"))],
        drop: Vec::new(),
        release_claims: false,
        reason: "the second version".into(),
    }));
    play.does(&who("ann"), &move_on);
    assert_eq!(play.ready(), ["b"], "alpha is what a was");
    assert!(matches!(refusal(&mut play, &claim("alpha")), Refusal::Blocked { .. }));
    let reason = "the first was better".into();
    play.does(&who("ann"), &Ask::RollBack(stepseal::domain::decide::RollBack { reason }));
    assert_eq!(play.ready(), ["b"]);
    assert_eq!(play.item().blockers[0].steps, [key("a"), key("c")]);
    play.does(&who("ann"), &resolve("wall"));
    assert_eq!(play.ready(), ["a", "b", "c"]);
}

// --- Owners (FR-011) -----------------------------------------------------------------------

#[test]
fn an_owner_is_transferred_with_reason_and_from_whom() {
    let mut play = Play::of(vec![work("a")]);
    let events = play.does(&who("ann"), &transfer("bob"));
    assert_eq!(kinds(&events), ["owner-transferred"]);
    let events = play.does(&who("bob"), &transfer("cy"));
    let EventData::OwnerTransferred(data) = &events[0].data else { panic!() };
    assert_eq!(data.from.as_ref().map(|p| p.as_str()), Some("bob"));
    assert_eq!(events[0].links[0].rel, "follows");
    assert_eq!(play.unchanged(&who("cy"), &transfer("cy")), Unchanged::Owner { owner: id("cy") });
    let told: Vec<_> =
        play.item().transfers.iter().map(|t| (t.by.as_str(), t.to.as_str())).collect();
    assert_eq!(told, [("ann", "bob"), ("bob", "cy")]);
    // Somebody is accountable for what is over, too.
    play.does(&who("ann"), &cancel(false));
    play.does(&who("ann"), &transfer("ann"));
}

// --- Going on after an interruption --------------------------------------------------------

fn complete_on(play: &mut Play, name: &str, dirty: Option<Dirty>) {
    play.claim(name);
    let ask = stepseal::domain::decide::Complete {
        claim: Some(play.claim_of(name)),
        verified: all_verified(&play.workflow, name),
        ..completion(name, Ending::Completed)
    };
    play.tick += 1;
    let mut moment = moment_at(play.tick, &who(name));
    moment.code = dirty.map(|dirty| CodeSeen { head: "c0ffee".into(), tree: None, dirty });
    let Ok(Decided::Facts(facts)) = play.decide_at(&moment, &Ask::Complete(Box::new(ask))) else {
        panic!("it is complete")
    };
    facts.into_iter().for_each(|fact| drop(play.record(fact)));
}

#[test]
fn scenario_8_after_an_interruption_what_is_to_be_verified_again_is_listed() {
    let step = |name: &str| par(name).order(1).exit(&["tests", "docs"]);
    let mut play = Play::of(vec![
        step("clean"),
        step("dirty"),
        step("unseen"),
        step("held"),
        step("lapsing"),
        step("queued"),
        step("failed"),
        work("last").order(2).exit(&["done"]),
    ]);
    complete_on(&mut play, "clean", Some(Dirty::No));
    complete_on(&mut play, "dirty", Some(Dirty::Yes));
    complete_on(&mut play, "unseen", Some(Dirty::Unknown));
    play.claim("held");
    let lease = Ask::Claim(stepseal::domain::decide::Claim {
        lease: Some(1),
        ..crate::domain_kit::claiming("lapsing")
    });
    play.does(&who("lapsing"), &lease);
    play.claim("failed");
    play.end("failed", Ending::Failed);
    play.tick += 60;
    let events = play.does(&who("ann"), &resume("the machine died"));
    assert_eq!(kinds(&events), ["work-item-resumed"]);
    let EventData::WorkItemResumed(data) = &events[0].data else { panic!() };
    let told: Vec<String> = data
        .verify_again
        .iter()
        .map(|one| format!("{} {} {}", one.attempt_id, one.criterion_id, one.because.word()))
        .collect();
    assert_eq!(
        told,
        [
            "dirty.1 tests uncommitted",
            "dirty.1 docs uncommitted",
            "held.1 tests in-progress",
            "held.1 docs in-progress",
            "lapsing.1 tests lease-ended",
            "lapsing.1 docs lease-ended",
            "unseen.1 tests code-unknown",
            "unseen.1 docs code-unknown",
        ]
    );
    // It doubts the completions and the claims it names, and nothing is scheduled otherwise.
    let rels: Vec<&str> = events[0].links.iter().map(|link| link.rel.as_str()).collect();
    assert_eq!(rels, ["doubts", "claim", "claim", "doubts"]);
    assert_eq!(play.ready(), ["queued"]);
    assert_eq!(unchanged(&mut play, &resume("the machine died")), Unchanged::Resumed);
    // Another reason, another person or something that happened since is another resumption.
    play.does(&who("bob"), &resume("the machine died"));
    play.does(&who("bob"), &resume("it died again"));
    play.claim("queued");
    play.does(&who("bob"), &resume("it died again"));
}

#[test]
fn what_was_never_done_or_needs_no_proof_is_not_verified_again() {
    let mut play = Play::importing(
        vec![work("imported").exit(&["x"]), work("skipped").exit(&["x"]), work("bare")],
        &[("imported", ImportedState::Done)],
    );
    play.does(&who("ann"), &skip("skipped"));
    play.claim("bare");
    assert_eq!(verify_again(&play.workflow, play.item(), epoch()), []);
    let events = play.does(&who("ann"), &resume("again"));
    assert_eq!(events[0].next_action, "go on");
    // A claim that was given back proves nothing and doubts nothing.
    let mut play = Play::of(vec![work("a").exit(&["x"])]);
    play.claim("a");
    assert_eq!(verify_again(&play.workflow, play.item(), epoch())[0].because, Doubt::InProgress);
    play.does(&who("a"), &release("a", None));
    assert_eq!(verify_again(&play.workflow, play.item(), epoch()), []);
    play.does(&who("ann"), &cancel(false));
    assert!(matches!(refusal(&mut play, &resume("again")), Refusal::ItemEnded { .. }));
}

#[test]
fn what_was_shown_before_a_migration_is_doubted_under_its_old_attempt() {
    let mut play = Play::of(vec![work("a").exit(&["x"]), work("b")]);
    complete_on(&mut play, "a", Some(Dirty::Yes));
    let second = version(2, vec![work("bee").exit(&["x"]), work("b")]);
    play.versions.push(second.clone());
    let move_on = Ask::Migrate(Box::new(stepseal::domain::decide::Migrate {
        to: stepseal::domain::workflow::Workflow::clone(&second),
        map: vec![(key("a"), key("bee"))],
        drop: Vec::new(),
        release_claims: false,
        reason: "the second version".into(),
    }));
    play.does(&who("ann"), &move_on);
    let events = play.does(&who("ann"), &resume("a crash"));
    let EventData::WorkItemResumed(data) = &events[0].data else { panic!() };
    let [one] = data.verify_again.as_slice() else { panic!("{data:?}") };
    assert_eq!((one.step_key.as_str(), one.attempt_id.to_string()), ("bee", "a.1".to_owned()));
    assert_eq!((one.because, events[0].links[0].rel.as_str()), (Doubt::Uncommitted, "doubts"));
}

#[test]
fn a_resumption_of_whatever_length_fits_on_paper() {
    let long = |n: usize| format!("{n:04}-{}", "x".repeat(59));
    let criteria: Vec<String> = (0..60).map(long).collect();
    let criteria: Vec<&str> = criteria.iter().map(String::as_str).collect();
    let names: Vec<String> = (0..40).map(long).collect();
    let mut play = Play::of(names.iter().map(|n| par(n).order(1).exit(&criteria)).collect());
    for name in &names {
        play.does(&who(&name[..4]), &claim(name));
    }
    let events = play.does(&who("ann"), &resume("a crash"));
    let EventData::WorkItemResumed(data) = &events[0].data else { panic!() };
    assert_eq!((data.verify_again.len(), data.more), (2_000, 400));
    assert_eq!(events[0].links.len(), 34, "a link for each claim that is named");
}

// --- All of them ---------------------------------------------------------------------------

/// Reasons of every length fit on paper, and empty ones are refused.
#[test]
fn the_longest_reason_fits_on_paper_and_an_empty_one_is_none() {
    let longest = "x".repeat(8192);
    let asks = |words: &str| -> Vec<Ask> {
        let words = || words.to_owned();
        vec![
            Ask::Rework(stepseal::domain::decide::Rework {
                return_to: key("a"),
                reason: words(),
                release_claims: true,
            }),
            Ask::DeclareBlocker(DeclareBlocker {
                id: Some(id("wall")),
                kind: "other".into(),
                steps: Vec::new(),
                notes: words(),
                owner: None,
            }),
            Ask::ResolveBlocker(stepseal::domain::decide::ResolveBlocker {
                id: id("wall"),
                resolution: words(),
            }),
            Ask::TransferOwner(stepseal::domain::decide::TransferOwner {
                to: id("bob"),
                reason: words(),
            }),
            Ask::Resume(stepseal::domain::decide::Resume { reason: words() }),
            Ask::FlagReview(FlagReview { reason: words(), suspects: vec![id("WI-2")] }),
            Ask::LinkReview(LinkReview { to: id("WI-2"), rationale: words() }),
            Ask::MergeReview(MergeReview {
                into: id("WI-2"),
                rationale: words(),
                release_claims: true,
            }),
            Ask::OverturnReview(stepseal::domain::decide::OverturnReview { rationale: words() }),
            Ask::CloseReview(CloseReview {
                duplicate_of: Some(id("WI-2")),
                rationale: words(),
                release_claims: true,
            }),
            Ask::OverturnReview(stepseal::domain::decide::OverturnReview { rationale: words() }),
            Ask::Cancel(stepseal::domain::decide::Cancel { reason: words(), release_claims: true }),
        ]
    };
    let mut play = Play::of(vec![work("a"), work("b")]);
    play.work("a");
    play.claim("b");
    for ask in asks(&longest) {
        // `does` encodes what it records.
        play.does(&who("ann"), &ask);
    }
    for words in ["", "  \n", &"x".repeat(8193)] {
        let mut play = Play::of(vec![work("a"), work("b")]);
        for ask in asks(words) {
            assert_eq!(refusal(&mut play, &ask).kind(), RefusalKind::Invalid, "{ask:?}");
        }
    }
}
