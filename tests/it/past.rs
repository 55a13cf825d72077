//! `--at COMMIT` and `--as-of WHEN`: what a reader says of the past is what it said then. `--impact`: what
//! hangs on a step, against what going back to it really does.

use serde_json::Value;

use crate::kit::Room;

const PLAN: &str = "
name: flow
steps:
  - { key: design }
  - { key: api, order: 2, parallelizable: true, constraints: [staging] }
  - { key: web, order: 2, parallelizable: true, constraints: [staging] }
  - { key: ok, gate: { kind: review, rejectTo: design } }
  - { key: ship }
";

/// Everything that reads one state, as it answers programs.
const READERS: &[&[&str]] = &[
    &["status"],
    &["status", "A"],
    &["status", "A", "--why-not", "ship"],
    &["status", "A", "--impact", "design"],
    &["schedule", "A"],
    &["brief", "A", "api"],
    &["export"],
    &["log"],
    &["log", "A"],
    &["metrics"],
    &["review", "list"],
    &["blocker", "list"],
    &["owner", "show", "A"],
    &["workflow", "show", "flow"],
    &["workflow", "list"],
    &["policy", "show"],
];

/// An answer without what is said of now: hints.
fn answer(room: &Room, words: &[&str]) -> Vec<Value> {
    let said = room.ok(&[words, &["--json"]].concat());
    let mut documents: Vec<Value> = serde_json::Deserializer::from_str(&said)
        .into_iter::<Value>()
        .map(|document| document.expect("JSON"))
        .collect();
    for document in &mut documents {
        if let Some(document) = document.as_object_mut() {
            document.remove("next");
            // `log` says which commit it was asked about.
            document.remove("commit");
        }
    }
    documents
}

#[test]
fn what_is_read_of_the_past_is_what_was_said_then() {
    let room = Room::in_memory();
    room.write("plan.yaml", PLAN);
    room.ok(&["delegate", "--plan", "plan.yaml", "--work-item", "A"]);
    let done = ["--outcome", "ok", "--next-action", "go on"];
    let acts: &[&[&str]] = &[
        &["claim", "--work-item", "A", "--step", "design"],
        &["complete", "--work-item", "A", "--step", "design"],
        &["claim", "--work-item", "A", "--step", "api"],
        &["blocker", "declare", "--work-item", "A", "--type", "external", "--notes", "the bank"],
        &["complete", "--work-item", "A", "--step", "api"],
        &["delegate", "--prompt", "another", "--work-item", "B"],
        &["rework", "--work-item", "A", "--return-to", "design", "--reason", "a rule is missing"],
        &["review", "flag", "--work-item", "A", "--reason", "twice"],
    ];
    let mut then = Vec::new();
    for act in acts {
        let more: &[&str] = if act[0] == "complete" { &done } else { &[] };
        room.ok(&[act, more].concat());
        let tip = room.git(&["rev-parse", "stepseal-ledger"]).trim().to_owned();
        let when = room.git(&["log", "-1", "--format=%cI", "stepseal-ledger"]).trim().to_owned();
        let said: Vec<_> = READERS.iter().map(|words| answer(&room, words)).collect();
        then.push((tip, when, said));
    }
    // Backwards, so that what is kept of a later state must not be taken for an earlier one.
    for (tip, when, said) in then.iter().rev() {
        for (words, said) in READERS.iter().zip(said) {
            for past in [["--at", tip], ["--as-of", when]] {
                let now = answer(&room, &[*words, &past].concat());
                assert_eq!(&now, said, "{words:?} {past:?}");
            }
        }
    }
    let (tip, _, said) = then.last().expect("acts");
    assert_eq!(&answer(&room, READERS[0]), &said[0], "and the newest is still the newest at {tip}");
}

#[test]
fn what_acts_does_not_take_a_moment_of_the_past() {
    let room = Room::in_memory();
    room.write("plan.yaml", PLAN);
    room.ok(&["delegate", "--plan", "plan.yaml", "--work-item", "A"]);
    let tip = room.git(&["rev-parse", "stepseal-ledger"]);
    for act in [
        &["claim", "--work-item", "A", "--step", "design"][..],
        &["review", "flag", "--work-item", "A", "--reason", "twice"],
        &["owner", "transfer", "--work-item", "A", "--to", "bob", "--reason", "leave"],
        &["policy", "set", "review", "off", "--reason", "no"],
        &["verify"],
        &["correct"],
        &["init"],
        &["delegate", "--prompt", "x"],
    ] {
        for past in [["--at", tip.trim()], ["--as-of", "0s"]] {
            let (code, said) = room.json(&[act, &past].concat());
            assert_eq!((code, &said["recorded"]), (2, &Value::from(false)), "{act:?}: {said}");
        }
    }
    assert_eq!(room.git(&["rev-parse", "stepseal-ledger"]), tip);
    for nowhere in ["0123456", "HEAD", "stepseal-ledger", "--all"] {
        let (code, said) = room.json(&["status", &format!("--at={nowhere}")]);
        assert_eq!(code, 2, "{nowhere}: {said}");
    }
    for never in ["2020-01-01", "10w", "yesterday", "-1d"] {
        let (code, said) = room.json(&["status", &format!("--as-of={never}")]);
        assert_eq!(code, 2, "{never}: {said}");
    }
    let (code, _) = room.json(&["status", "--as-of", "0s", "--at", tip.trim()]);
    assert_eq!(code, 2, "one moment at a time");
}

#[test]
fn the_impact_of_a_step_is_what_going_back_to_it_does() {
    let room = Room::in_memory();
    room.write("plan.yaml", PLAN);
    room.ok(&["delegate", "--plan", "plan.yaml", "--work-item", "A"]);
    let impact = |step: &str| room.json(&["status", "A", "--impact", step]).1;
    let said = impact("design");
    assert_eq!(said["behind"], serde_json::json!(["api", "web", "ok", "ship"]));
    assert_eq!(said["nearest"], serde_json::json!(["api", "web"]));
    assert_eq!(said["void"], serde_json::json!([]), "nothing was done yet");
    assert_eq!(impact("api")["shares"], serde_json::json!(["web"]));
    let done = ["--outcome", "ok", "--next-action", "go on"];
    for step in ["design", "api", "web"] {
        room.ok(&["claim", "--work-item", "A", "--step", step]);
        room.ok(&[&["complete", "--work-item", "A", "--step", step][..], &done].concat());
    }
    for step in ["design", "api", "web"] {
        let words =
            ["rework", "--work-item", "A", "--return-to", step, "--reason", "x", "--dry-run"];
        let (_, dry) = room.json(&words);
        assert_eq!(impact(step)["void"], dry["void"], "{step}");
    }
    assert_eq!(impact("design")["voidAttempts"][0], "design.1");
    let (code, said) = room.json(&["status", "A", "--impact", "desing"]);
    assert_eq!((code, &said["reason"]), (5, &Value::from("unknown-step")));
}
