//! An item moves to another version of its workflow, and back (FR-016): the rules, any story with
//! a move in it, and the whole of it through the binary.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::Value;
use stepseal::domain::decide::{Ask, Decided, Ending, Migrate, RollBack};
use stepseal::domain::event::EventData;
use stepseal::domain::id::StepKey;
use stepseal::domain::refusal::Refusal;
use stepseal::domain::schedule::Schedule;
use stepseal::domain::state::{Done, Standing};
use stepseal::domain::workflow::{StepDefinition, Workflow};

use crate::domain_kit::{Play, gate, key, moves, par, version, who, work, workflows};
use crate::kit::{Room, figure};

fn pairs(map: &[(&str, &str)]) -> Vec<(StepKey, StepKey)> {
    map.iter().map(|(from, to)| (key(from), key(to))).collect()
}

fn migrate(to: &Arc<Workflow>, map: &[(&str, &str)], drop: &[&str], release: bool) -> Ask {
    Ask::Migrate(Box::new(Migrate {
        to: Workflow::clone(to),
        map: pairs(map),
        drop: drop.iter().map(|step| key(step)).collect(),
        release_claims: release,
        reason: "the second version".into(),
    }))
}

fn roll_back() -> Ask {
    Ask::RollBack(RollBack { reason: "the first was better".into() })
}

/// `a`, then `b` and `c` together, then the gate `g`; version 2 has `first` before, `bee` for `b`,
/// and neither `c` nor anything else new.
fn moved() -> (Play, Arc<Workflow>) {
    let mut play = Play::of(vec![work("a"), par("b"), par("c"), gate("g")]);
    let second = version(2, vec![work("first"), work("a"), par("bee"), gate("g")]);
    play.versions.push(Arc::clone(&second));
    (play, second)
}

fn standing(play: &Play, step: &str) -> Standing {
    play.item().steps[play.at(step)].standing()
}

#[test]
fn what_becomes_of_every_step_must_be_said_once() {
    let (mut play, second) = moved();
    let ann = who("ann");
    let refusal = play.refuses(&ann, &migrate(&second, &[], &["c"], false));
    let Refusal::AmbiguousMigration { undecided, new, .. } = refusal else {
        panic!("not what was asked: {refusal:?}")
    };
    assert_eq!(undecided.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), ["b"]);
    assert_eq!(new, [key("first"), key("bee")]);
    for (map, drop, why) in [
        (&[("b", "bee"), ("c", "bee")][..], &[][..], "two steps become bee"),
        (&[("b", "bee"), ("b", "first")], &["c"], "b is mapped twice"),
        (&[("b", "bee")], &["b", "c"], "b is named twice"),
        (&[("b", "nothing")], &["c"], "flow@2 has no step nothing"),
        (&[("a", "bee"), ("b", "first")], &["c"], "a is a step of both versions"),
        (&[("b", "a")], &["c"], "a is a step of the version it is on"),
        (&[("b", "bee"), ("a", "a")], &["c"], "a keeps its key"),
        (&[("b", "bee")], &["a", "c"], "a is a step of both versions"),
    ] {
        let refusal = play.refuses(&ann, &migrate(&second, map, drop, false));
        assert!(matches!(refusal, Refusal::BadMigration { .. }), "{why}: {refusal:?}");
        assert!(refusal.to_string().contains(why), "{why}: {refusal}");
    }
    let unknown = play.refuses(&ann, &migrate(&second, &[("x", "bee")], &["b", "c"], false));
    assert!(matches!(unknown, Refusal::UnknownStep { .. }), "{unknown:?}");
}

#[test]
fn a_kept_step_keeps_all_a_renamed_one_is_carried_and_a_dropped_one_is_parked() {
    let (mut play, second) = moved();
    for step in ["a", "b", "c"] {
        play.work(step);
    }
    let digest = |play: &Play, step: &str| play.item().steps[play.at(step)].outputs_digest();
    let (built, kept) = (digest(&play, "b"), play.item().steps[play.at("a")].clone());
    let events = play.does(&who("ann"), &migrate(&second, &[("b", "bee")], &["c"], false));
    let EventData::WorkItemMigrated(data) = &events[0].data else { panic!("{events:?}") };
    assert_eq!(data.map.len(), 3, "every step that stays is named: {data:?}");
    assert_eq!(play.workflow.reference.version, 2);
    assert_eq!(play.item().steps[play.at("a")], kept);
    assert_eq!(standing(&play, "bee"), Standing::Done(Done::Carried));
    assert_eq!(digest(&play, "bee"), built, "what waits for it builds on the same outputs");
    assert!(play.item().steps[play.at("bee")].attempts.is_empty(), "attempts stay under their key");
    assert_eq!(play.item().parked[&key("b")].attempts.len(), 1);
    assert_eq!(play.item().parked[&key("c")].attempts.len(), 1);
    assert_eq!(play.ready(), ["first"], "a new step below all is done first");
}

#[test]
fn a_claim_on_a_step_that_goes_away_is_refused_or_taken() {
    let (mut play, second) = moved();
    play.work("a");
    play.claim("b");
    play.claim("c");
    let ask = |release| migrate(&second, &[("b", "bee")], &["c"], release);
    let refusal = play.refuses(&who("ann"), &ask(false));
    let Refusal::MigrationHeld { held, .. } = &refusal else { panic!("{refusal:?}") };
    assert_eq!(held.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), ["b", "c"]);
    let events = play.does(&who("ann"), &ask(true));
    let released = events.iter().filter(|e| matches!(e.data, EventData::ClaimReleased(_)));
    assert_eq!(released.count(), 2);
    assert_eq!(play.live(&who("b")), None, "nobody holds what is gone");
}

#[test]
fn a_claim_on_a_kept_step_goes_on() {
    let (mut play, second) = moved();
    play.claim("a");
    play.does(&who("ann"), &migrate(&second, &[("b", "bee")], &["c"], false));
    assert_eq!(standing(&play, "a"), Standing::Claimed);
    play.end("a", Ending::Completed);
    assert_eq!(standing(&play, "a"), Standing::Done(Done::Completed));
}

#[test]
fn work_on_new_steps_keeps_a_migration_from_being_taken_back() {
    let (mut play, second) = moved();
    play.work("a");
    let refusal = play.refuses(&who("ann"), &roll_back());
    assert!(matches!(refusal, Refusal::NothingToRollBack { .. }), "{refusal:?}");
    play.does(&who("ann"), &migrate(&second, &[("b", "bee")], &["c"], false));
    play.claim("first");
    let refusal = play.refuses(&who("ann"), &roll_back());
    let Refusal::WorkedOnSince { steps, .. } = &refusal else { panic!("{refusal:?}") };
    assert_eq!(steps, &[key("first")]);
}

#[test]
fn a_key_that_comes_back_starts_anew_and_its_numbers_run_on() {
    let (mut play, second) = moved();
    play.work("a");
    play.work("c");
    play.does(&who("ann"), &migrate(&second, &[("b", "bee")], &["c"], false));
    let third = version(3, vec![work("a"), par("bee"), par("c"), gate("g")]);
    play.versions.push(Arc::clone(&third));
    play.does(&who("ann"), &migrate(&third, &[], &["first"], false));
    assert_eq!(play.ready(), ["bee", "c"]);
    let step = &play.item().steps[play.at("c")];
    assert_eq!((step.round, step.attempts.len()), (2, 2), "c.1 stays what it was, c.2 is new");
    play.work("c");
    assert_eq!(play.item().steps[play.at("c")].attempts.len(), 2);
}

/// A further version of a workflow: some steps dropped, some renamed, one added at the front.
fn next(
    steps: &[StepDefinition],
    mask: u16,
) -> (Vec<StepDefinition>, Vec<(String, String)>, Vec<String>) {
    let (mut kept, mut map, mut drop) = (vec![work("added")], Vec::new(), Vec::new());
    for (at, step) in steps.iter().enumerate() {
        let name = step.key.to_string();
        match (mask >> (at % 8 * 2)) & 3 {
            0 => drop.push(name),
            1 => {
                let renamed = format!("{name}-2");
                kept.push(StepDefinition { key: key(&renamed), ..step.clone() });
                map.push((name, renamed));
            }
            _ => kept.push(step.clone()),
        }
    }
    for step in &mut kept {
        // What is named must be there, by the name it has now.
        step.order = None;
        step.needs = None;
        step.crosses_gates = false;
        if let Some(gate) = &mut step.gate {
            gate.reject_to = None;
        }
    }
    (kept, map, drop)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 256,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Any story, a move to any further version, and the move back: every step stands as it did,
    /// and so does the schedule. Then the story goes on, legal to the end.
    #[test]
    fn to_move_and_to_move_back_is_to_stay(
        steps in workflows(true),
        before in moves(40),
        after in moves(20),
        mask in any::<u16>(),
    ) {
        let mut play = Play::of(steps.clone());
        before.iter().for_each(|mv| drop(play.play(mv)));
        let (kept, map, dropped) = next(&steps, mask);
        let second = version(2, kept);
        play.versions.push(Arc::clone(&second));
        let pairs: Vec<(&str, &str)> =
            map.iter().map(|(from, to)| (from.as_str(), to.as_str())).collect();
        let dropped: Vec<&str> = dropped.iter().map(String::as_str).collect();
        let ask = migrate(&second, &pairs, &dropped, true);
        let (was, said) = (play.item().clone(), play.ask(&who("ann"), &ask));
        let Ok(Decided::Facts(facts)) = said else { return Ok(()) };
        // Claims that are taken end before the move: what stays is compared from there.
        let taken = facts.len() > 1;
        for fact in facts {
            play.record(fact);
        }
        for (at, step) in second.steps().iter().enumerate() {
            let state = &play.item().steps[at];
            if let Some(from) = play_position(&was, &play.versions[0], &step.key) {
                prop_assert_eq!(state, from, "{} kept its key and lost its state", step.key);
            }
        }
        let Ok(Decided::Facts(facts)) = play.ask(&who("ann"), &roll_back()) else {
            return Err(TestCaseError::fail("nobody worked since, and it is not taken back"));
        };
        for fact in facts {
            play.record(fact);
        }
        prop_assert_eq!(&play.workflow.reference, &play.versions[0].reference);
        if !taken {
            let now = play.item();
            for (step, (is, then)) in
                play.workflow.steps().iter().zip(now.steps.iter().zip(&was.steps))
            {
                prop_assert_eq!(is, then, "{} is not as it was", step.key);
            }
            let schedule = |item| Schedule::of(&play.workflow, item).answers;
            prop_assert_eq!(schedule(now), schedule(&was));
        }
        after.iter().for_each(|mv| drop(play.play(mv)));
    }
}

/// A step of the first version by its key.
fn play_position<'a>(
    item: &'a stepseal::domain::state::ItemState,
    workflow: &Workflow,
    key: &StepKey,
) -> Option<&'a stepseal::domain::state::StepState> {
    workflow.position(key).map(|at| &item.steps[at])
}

const FIRST: &str = "
name: shop
version: 1
steps:
  - { key: design }
  - { key: build, order: 2, parallelizable: true }
  - { key: web, order: 2, parallelizable: true }
  - { key: test }
  - { key: review, gate: { kind: review, rejectTo: build } }
  - { key: deploy }
";

const SECOND: &str = "
name: shop
version: 2
steps:
  - { key: brief }
  - { key: design }
  - { key: construct, order: 3, parallelizable: true }
  - { key: web, order: 3, parallelizable: true }
  - { key: acceptance }
  - { key: review, gate: { kind: review, rejectTo: construct } }
";

/// A definition changes while an item is on its way: the move is shown, refused while it is not
/// clear, made, verified, and taken back.
#[test]
fn a_definition_changes_on_the_way() {
    let room = Room::in_memory();
    room.write("first.yaml", FIRST);
    room.write("second.yaml", SECOND);
    room.ok(&["delegate", "--plan", "first.yaml", "--work-item", "A"]);
    room.ok(&["delegate", "--plan", "second.yaml", "--work-item", "B"]);
    let done = ["--outcome", "ok", "--next-action", "go on"];
    for step in ["design", "build"] {
        room.ok(&["claim", "--work-item", "A", "--step", step]);
        room.ok(&[&["complete", "--work-item", "A", "--step", step][..], &done].concat());
    }
    room.ok(&["claim", "--work-item", "A", "--step", "web", "--executor", "agent-2"]);
    let before = room.ok(&["status", "A", "--json"]);

    let asked = ["migrate", "A", "--to", "2", "--reason", "a brief first"];
    let (exit, refusal) = room.json(&asked);
    assert_eq!((exit, &refusal["reason"]), (4, &Value::from("ambiguous-migration")));
    assert_eq!(refusal["data"]["undecided"], serde_json::json!(["build", "test", "deploy"]));

    let said = ["--map", "build=construct", "--map", "test=acceptance", "--drop", "deploy"];
    let whole = [&asked[..], &said].concat();
    let (exit, dry) = room.json(&[&whole[..], &["--dry-run"]].concat());
    assert_eq!((exit, &dry["outcome"], &dry["recorded"]), (0, &"dry-run".into(), &false.into()));
    let fate = |key: &str| {
        let steps = dry["steps"].as_array().expect("a list");
        steps.iter().find(|step| step["from"] == key).expect("a step of the first version").clone()
    };
    assert_eq!(fate("build")["to"], "construct");
    assert_eq!(fate("build")["after"], "done before the migration");
    assert_eq!(fate("deploy")["to"], Value::Null);
    assert_eq!(fate("web")["after"], "claimed");
    assert_eq!(room.ok(&["status", "A", "--json"]), before, "a dry run changes nothing");

    let (_, moved) = room.json(&whole);
    assert_eq!((&moved["outcome"], &moved["version"]), (&"migrated".into(), &2.into()));
    let (_, again) = room.json(&whole);
    assert_eq!((&again["outcome"], &again["recorded"]), (&"unchanged".into(), &false.into()));
    let (_, status) = room.json(&["status", "A"]);
    assert_eq!(status["item"]["workflow"]["version"], 2, "{status}");
    let migration = &status["item"]["migrations"][0];
    assert_eq!(
        (&migration["reason"], &migration["dropped"][0]),
        (&"a brief first".into(), &"deploy".into())
    );
    let step = |key: &str| {
        let steps = status["item"]["steps"].as_array().expect("a list");
        steps.iter().find(|step| step["key"] == key).expect("a step").clone()
    };
    assert_eq!(step("construct")["carriedFrom"], "build");
    // Its attempt stays in sight, under the key it was made for.
    let former = status["item"]["formerSteps"].as_array().expect("a list");
    let built = former.iter().find(|step| step["key"] == "build").expect("the renamed step");
    assert_eq!(built["attempts"][0]["outcome"], "ok");
    let (_, brief) = room.json(&["brief", "A", "acceptance"]);
    let handed = &brief["brief"]["predecessors"][0];
    assert_eq!(
        (&handed["stepKey"], &handed["attemptId"]),
        (&"construct".into(), &"build.1".into())
    );
    assert_eq!(handed["outcome"], "ok", "the next agent reads what was handed on");
    assert_eq!(room.ok(&["schedule", "A", "--quiet"]).split_whitespace().next(), Some("brief.1"));
    room.ok(&["verify"]);

    let (_, back) = room.json(&["rollback", "A", "--reason", "not this year"]);
    assert_eq!((&back["outcome"], &back["version"]), (&"rolled-back".into(), &1.into()));
    let (_, status) = room.json(&["status", "A"]);
    let then: Value = serde_json::from_str(&before).expect("JSON");
    assert_eq!(status["item"]["steps"], then["item"]["steps"], "every step is as it was");
    // The claim that went through both moves is completed where it was made.
    room.ok(
        &[
            &[
                "complete",
                "--work-item",
                "A",
                "--step",
                "web",
                "--executor",
                "agent-2",
                "--attempt",
            ][..],
            &["web.1"],
            &done,
        ]
        .concat(),
    );
    room.ok(&[
        "migrate",
        "A",
        "--to",
        "2",
        "--reason",
        "now",
        "--map",
        "build=construct",
        "--map",
        "test=acceptance",
        "--drop",
        "deploy",
    ]);
    room.ok(&["claim", "--work-item", "A", "--step", "brief"]);
    let (exit, refusal) = room.json(&["rollback", "A", "--reason", "again"]);
    assert_eq!((exit, &refusal["reason"]), (4, &Value::from("worked-on-since")));
    room.ok(&["verify"]);
    figure("FR-016", "moved, taken back, moved again; verified each time");
}
