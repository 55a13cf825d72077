//! Policy through the shipped binary: set, shown, obeyed, logged, and never part of an item.

use serde_json::{Value, json};

use crate::kit::Room;

const RELEASE: &str = "schema: stepseal/workflow/1\nname: ship\nsteps:\n  - key: build\n  - key: ok\n    gate: { kind: release, approvers: { roles: [lead] }, rejectTo: build }\n  - key: out\n";

/// A room whose item waits at the gate.
fn at_the_gate() -> Room {
    let room = Room::with_ledger();
    room.write("ship.yaml", RELEASE);
    room.ok(&["delegate", "--plan", "ship.yaml", "--work-item", "A"]);
    room.ok(&["claim", "--work-item", "A", "--step", "build", "--principal", "maker"]);
    room.ok(&["complete", "--work-item", "A", "--step", "build", "--outcome", "built"]);
    room
}

fn approve(room: &Room, who: &str, more: &[&str]) -> (i32, Value) {
    let words = ["gate", "approve", "--work-item", "A", "--step", "ok", "--reason", "fine"];
    let words = [&words[..], &["--principal", who], more].concat();
    room.json(&words)
}

#[test]
fn a_policy_is_obeyed_from_the_next_decision_on() {
    let room = at_the_gate();
    let file = |room: &Room| {
        let path =
            room.ledger_files().into_iter().find(|path| path.starts_with("artifacts/schedule/"));
        room.ledger_text(&path.expect("a schedule"))
    };
    let before = file(&room);
    let (code, said) = room.json(&[
        "policy",
        "set",
        "gate.release.quorum",
        "2",
        "--reason",
        "four eyes",
        "--impact",
        "slower",
    ]);
    assert_eq!((code, &said["outcome"], &said["recorded"]), (0, &json!("set"), &json!(true)));
    room.ok(&["policy", "set", "role.lead", "ann", "bob", "--reason", "the team"]);
    assert_eq!(file(&room), before, "no file of an item depends on a policy");
    let live = room.json(&["schedule", "A"]).1;
    assert_eq!(live["schedule"]["pendingGates"][0]["quorum"], 2);
    assert_eq!(room.json(&["status", "A"]).1["item"]["steps"][1]["quorum"], 2);
    // Only members, and who is told no is told who may.
    let (code, refused) = approve(&room, "joe", &[]);
    assert_eq!((code, &refused["reason"]), (4, &json!("not-approver")));
    assert_eq!(refused["data"]["members"], json!({ "lead": ["ann", "bob"] }));
    let (code, noted) = approve(&room, "ann", &["--follow-up", "write the guide"]);
    assert_eq!((code, &noted["outcome"], &noted["quorum"]), (0, &json!("noted"), &json!(2)));
    assert_eq!(approve(&room, "ann", &[]).1["outcome"], "unchanged");
    assert_eq!(approve(&room, "bob", &[]).1["outcome"], "approved");
    // Whatever comes later, what was decided stays, and everything is as its events give it.
    room.ok(&["policy", "set", "gate.release.quorum", "5", "--reason", "more eyes"]);
    room.ok(&["policy", "unset", "role.lead", "--reason", "the team is gone"]);
    room.ok(&["verify", "--deep"]);
    assert_eq!(room.json(&["status", "A"]).1["item"]["steps"][1]["state"], "done");
    // The follow-up is told to whoever goes on, and in every export.
    let told = json!("write the guide");
    assert_eq!(room.json(&["status", "A"]).1["item"]["followUps"][0]["toDo"][0], told);
    assert_eq!(room.json(&["brief", "A", "out"]).1["brief"]["followUps"][0]["toDo"][0], told);
    assert_eq!(room.json(&["export"]).1["items"][0]["item"]["followUps"][0]["toDo"][0], told);
    assert!(room.ok(&["status", "A"]).contains("write the guide (ok.1 by ann)"));
    assert!(
        room.ok(&["export", "--format", "md"])
            .contains("| `ok.1` | approved | `ann` | write the guide |")
    );
    let claimed = room.json(&["claim", "--work-item", "A", "--step", "out"]).1;
    assert_eq!(claimed["brief"]["followUps"][0]["toDo"][0], told);
}

#[test]
fn a_policy_is_set_once_and_logged_with_its_reason() {
    let room = Room::with_ledger();
    let commits = || room.git(&["rev-list", "--count", "stepseal-ledger"]);
    let set =
        ["policy", "set", "role.lead", "bob", "ann", "--reason", "the team", "--principal", "me"];
    room.ok(&set);
    let before = commits();
    let again = room.json(&["policy", "set", "role.lead", "ann", "bob", "--reason", "again"]);
    assert_eq!(
        (again.0, &again.1["outcome"], &again.1["recorded"]),
        (0, &json!("unchanged"), &json!(false))
    );
    let unset = room.json(&["policy", "unset", "review", "--reason", "never was"]);
    assert_eq!(unset.1["outcome"], "unchanged");
    assert_eq!(commits(), before, "unchanged makes no commit");
    room.ok(&["policy", "unset", "role.lead", "--reason", "gone", "--impact", "nobody decides"]);
    let subject = room.git(&["log", "-1", "--format=%s", "stepseal-ledger"]);
    assert!(subject.starts_with("ledger: policy-unset by "), "{subject}");
    // What held then, as it was answered then.
    let then = room.git(&["rev-parse", "stepseal-ledger~1"]);
    let past = ["policy", "show", "role.lead", "--quiet", "--at", then.trim()];
    assert_eq!(room.ok(&past), "role.lead\tann bob\n");
    assert_eq!(room.run(&[&set[..], &past[4..]].concat()).code, 2);
    let log = room.json(&["policy", "log", "role.lead"]).1;
    let told: Vec<(&Value, &Value, &Value)> = log["changes"]
        .as_array()
        .expect("changes")
        .iter()
        .map(|change| (&change["value"], &change["reason"], &change["impact"]))
        .collect();
    assert_eq!(
        told,
        [
            (&json!(["ann", "bob"]), &json!("the team"), &Value::Null),
            (&json!([]), &json!("gone"), &json!("nobody decides")),
        ]
    );
    assert_eq!(log["changes"][0]["by"], "me");
    assert_eq!(room.json(&["policy", "log", "review"]).1["changes"], json!([]));
    // One line a policy, for scripts.
    room.ok(&["policy", "set", "gate.review.quorum", "2", "--reason", "r"]);
    let quiet = room.ok(&["policy", "show", "--quiet"]);
    assert!(quiet.contains("gate.review.quorum\t2\n") && quiet.contains("review\ton-suspicion\n"));
    // A key or a value that is none: what is near, and nothing recorded.
    let before = commits();
    let (code, said) = room.json(&["policy", "set", "reveiw", "off", "--reason", "r"]);
    assert_eq!(
        (code, &said["reason"], &said["data"]["nearest"]),
        (2, &json!("unknown-policy"), &json!("review"))
    );
    let (code, said) = room.json(&["policy", "set", "review", "never", "--reason", "r"]);
    assert_eq!((code, &said["reason"]), (2, &json!("bad-policy-value")));
    assert_eq!(said["data"]["choices"], json!(["required", "on-suspicion", "off"]));
    assert_eq!(room.run(&["policy", "show", "colour"]).code, 2);
    assert_eq!(room.run(&["policy", "set", "review", "off", "--reason", " "]).code, 2);
    assert_eq!(commits(), before);
    // The same request again is the original result; for another value it is a conflict.
    let asked = ["policy", "set", "review", "off", "--reason", "r", "--request-id", "R1"];
    assert_eq!(room.json(&asked).1["outcome"], "set");
    assert_eq!(room.json(&asked).1["outcome"], "unchanged");
    let other = ["policy", "set", "review", "required", "--reason", "r", "--request-id", "R1"];
    assert_eq!(room.json(&other).1["reason"], "request-reused");
    room.ok(&["verify"]);
}

#[test]
fn review_and_blocker_types_come_from_policy() {
    let room = Room::with_ledger();
    room.ok(&["delegate", "--prompt", "First", "--work-item", "A"]);
    room.ok(&["policy", "set", "review", "required", "--reason", "too many twins"]);
    let claim = ["claim", "--work-item", "A", "--step", "phase-setup"];
    let (code, refused) = room.json(&claim);
    assert_eq!((code, &refused["reason"]), (4, &json!("under-review")));
    room.ok(&["policy", "unset", "review", "--reason", "enough"]);
    room.ok(&claim);
    let declare = ["blocker", "declare", "--work-item", "A", "--notes", "n", "--type", "vendor"];
    assert_eq!(room.json(&declare).1["reason"], "unknown-blocker-type");
    room.ok(&["policy", "set", "blocker.types", "vendor", "--reason", "ours"]);
    room.ok(&declare);
}
