//! Nothing sealed is ever written over (P28): after any sequence of commands, refused ones and
//! corrections of tampering among them, every event, definition and seal that ever was is where it
//! was, byte for byte; and what puts something right links the event it puts right.

use std::collections::BTreeMap;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::kit::{Dice, Room, figure, rounds};

const PLAN: &str = "
name: mixed
steps:
  - { key: a, order: 1, parallelizable: true }
  - { key: b, order: 1, parallelizable: true }
  - { key: c, order: 2 }
  - { key: ok, order: 3, gate: { kind: review, rejectTo: a } }
  - { key: d, order: 4, parallelizable: true, retry: { max: 1, on: [failed] } }
  - { key: e, order: 4, parallelizable: true }
";

/// Every write-once file and seal, by path, as git names its bytes.
fn written(room: &Room) -> BTreeMap<String, String> {
    let listed = room.git(&["ls-tree", "-r", "stepseal-ledger"]);
    let lines = listed.lines().filter_map(|line| line.split_once('\t'));
    let once = |path: &str| {
        ["artifacts/handoff/", "artifacts/workflows/", "artifacts/seals/"]
            .iter()
            .any(|folder| path.starts_with(folder))
    };
    lines
        .filter(|(_, path)| once(path))
        .map(|(object, path)| (path.to_owned(), object.to_owned()))
        .collect()
}

/// A command somebody may type, sensible more often than not.
fn command(dice: &mut Dice) -> Vec<String> {
    let item = format!("W{}", dice.below(3) + 1);
    let step = ["a", "b", "c", "ok", "d", "e"][usize::try_from(dice.below(6)).expect("small")];
    let named = format!("--work-item {item} --step {step}");
    let words = match dice.below(17) {
        0 => format!("delegate --plan plan.yaml --work-item {item}"),
        1 => "claim --next".to_owned(),
        2..=4 => format!("claim {named}"),
        5..=7 => format!("complete {named} --outcome done"),
        8 => format!("complete {named} --outcome no --status failed"),
        9 => format!("release {named} --reason later"),
        10 => format!("requeue {named}"),
        11 => format!("requeue {named} --lapsed --force --reason gone"),
        12 => format!("skip {named} --reason no"),
        13 => format!("gate approve --work-item {item} --step ok --reason good"),
        14 => format!("gate reject --work-item {item} --step ok --reason bad --release-claims"),
        15 => format!("review flag --work-item {item} --reason twice"),
        _ => format!("review clear --work-item {item} --rationale no"),
    };
    words.split(' ').map(str::to_owned).collect()
}

/// Alters or removes a file behind the ledger's back, and has it put right.
fn tamper_and_correct(room: &Room, dice: &mut Dice, there: &BTreeMap<String, String>) {
    let nth = usize::try_from(dice.below(there.len() as u64)).expect("small");
    let path = there.keys().nth(nth).expect("a file");
    let text = room.ledger_text(path);
    let spoiled = text.replacen('e', "E", 1);
    let content = (dice.below(2) == 0).then_some(spoiled.as_str());
    room.tamper(&[(path, content)]);
    let item = path.strip_prefix("artifacts/handoff/").and_then(|rest| rest.split('/').nth(1));
    let item = item.filter(|item| item.starts_with('W'));
    let mut args = vec!["correct", "--reason", "an outsider"];
    args.extend(item);
    let ran = room.run(&args);
    assert_eq!(ran.code, 0, "{path} {args:?} {ran}");
}

#[test]
fn whatever_is_typed_what_was_written_stays() {
    let mut dice = Dice::new();
    let (sequences, length) = (rounds(3, 25), rounds(16, 40));
    let (mut recorded, mut refused, mut corrected, mut files) = (0, 0, 0, 0);
    for _ in 0..sequences {
        let room = Room::with_ledger();
        room.write("plan.yaml", PLAN);
        room.ok(&["delegate", "--plan", "plan.yaml", "--work-item", "W1"]);
        let mut before = written(&room);
        for _ in 0..length {
            if dice.below(8) == 0 {
                tamper_and_correct(&room, &mut dice, &before);
            } else {
                let args = command(&mut dice);
                let args: Vec<&str> = args.iter().map(String::as_str).collect();
                let executor = format!("agent-{}", dice.below(3));
                let ran = room.run_as(&executor, &args);
                assert!([0, 1, 2, 4, 5, 6].contains(&ran.code), "{args:?} {ran}");
                recorded += usize::from(ran.code == 0);
                refused += usize::from(ran.code != 0);
            }
            let after = written(&room);
            for (path, object) in &before {
                assert_eq!(after.get(path), Some(object), "{path} is not what it was");
            }
            before = after;
        }
        files += before.len();
        corrected += links(&room);
        room.ok(&["verify", "--deep"]);
    }
    figure(
        "P28",
        &format!(
            "{files} files unchanged after {recorded} commands, {refused} refusals and {corrected} \
             corrections in {sequences} sequences"
        ),
    );
}

/// Every link names an event that is there, by the digest of its bytes, and corrections have the
/// links they must have. Says how many corrections there are.
fn links(room: &Room) -> usize {
    let mut events: BTreeMap<String, (String, String)> = BTreeMap::new();
    let mut all: Vec<(String, Value)> = Vec::new();
    for path in room.ledger_files().iter().filter(|path| path.starts_with("artifacts/handoff/")) {
        let text = room.ledger_text(path);
        let sha256 = Sha256::digest(&text).iter().map(|b| format!("{b:02x}")).collect();
        let event: Value = serde_json::from_str(&text).expect("JSON");
        let id = event["id"].as_str().expect("an id").to_owned();
        events.insert(id, (sha256, path.clone()));
        all.push((path.clone(), event));
    }
    let mut corrections = 0;
    for (path, event) in &all {
        let links = event["links"].as_array().expect("a list");
        for link in links {
            let linked = &events[link["id"].as_str().expect("an id")];
            assert_eq!(link["sha256"], linked.0.as_str(), "{path} links other bytes");
            if link["rel"] == "corrects" {
                assert_eq!(event["data"]["path"], linked.1.as_str(), "{path}");
            }
        }
        if event["eventType"] != "correction-recorded" {
            continue;
        }
        corrections += 1;
        let has = |rel: &str| links.iter().any(|link| link["rel"] == rel);
        assert_eq!(has("item"), event["workItemId"].is_string(), "{path}");
        // Only decisions are linked by nothing.
        let of = event["data"]["path"].as_str().expect("a path");
        let fact = of.contains("/handoff/") && !of.ends_with("-schedule-decided.json");
        assert_eq!(has("corrects"), fact, "{path} of {of}");
    }
    corrections
}
