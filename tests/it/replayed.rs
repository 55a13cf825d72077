//! `replay`: what the events give, computed from them alone, and what does not agree with them.

use serde_json::Value;
use sha2::Digest as _;

use crate::kit::Room;

const PLAN: &str = "
name: flow
steps:
  - { key: design }
  - { key: api, order: 2, parallelizable: true }
  - { key: web, order: 2, parallelizable: true }
  - { key: ok, gate: { kind: review, rejectTo: design } }
";

/// Two items, worked on in an order of the caller's choice after the design.
fn played(first: &str, second: &str) -> Room {
    let room = Room::in_memory();
    room.write("plan.yaml", PLAN);
    let (mut clock, at) = (0, |n: i32| format!("2026-11-20T11:{n:02}:00.000Z"));
    let mut act = |name: &str, minute: Option<i32>, words: &[&str]| {
        clock += 1;
        let mut command = room.stepseal(words);
        // The same fact has the same time and chance in whichever order it comes.
        command.env("STEPSEAL_NOW", at(minute.unwrap_or(clock))).env("STEPSEAL_SEED", name);
        let ran = crate::kit::Ran::of(&command.output().expect("it starts"));
        assert_eq!(ran.code, 0, "{words:?}\n{ran}");
    };
    for item in ["A", "B"] {
        act(item, None, &["delegate", "--plan", "plan.yaml", "--work-item", item]);
    }
    let done = ["--outcome", "ok", "--next-action", "go on"];
    let work = |step: &str, minute: i32| {
        let (named, who) = (["--work-item", "A", "--step", step], format!("{step}-1"));
        let claim: Vec<String> = ["claim"]
            .iter()
            .chain(&named)
            .chain(&["--executor", &who])
            .map(|w| (*w).into())
            .collect();
        let complete: Vec<String> = ["complete"]
            .iter()
            .chain(&named)
            .chain(&done)
            .chain(&["--executor", &who])
            .map(|w| (*w).into())
            .collect();
        [(format!("c{step}"), minute, claim), (format!("d{step}"), minute + 1, complete)]
    };
    for (step, minute) in [("design", 10), (first, 20), (second, 20)] {
        let minute = if step == "web" { minute + 5 } else { minute };
        for (name, minute, words) in work(step, minute) {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            act(&name, Some(minute), &words);
        }
    }
    room
}

#[test]
fn the_same_facts_give_the_same_digest_in_another_order_and_in_a_clone() {
    let (one, other) = (played("api", "web"), played("web", "api"));
    let (code, said) = one.json(&["replay"]);
    assert_eq!((code, &said["items"], &said["differences"]), (0, &2.into(), &Value::Array(vec![])));
    assert_ne!(
        one.git(&["rev-parse", "stepseal-ledger:artifacts/seals"]),
        other.git(&["rev-parse", "stepseal-ledger:artifacts/seals"]),
        "the histories differ"
    );
    for part in ["digest", "states", "schedules", "metrics"] {
        assert_eq!(said[part], other.json(&["replay"]).1[part], "{part}");
    }
    let digest = said["digest"].as_str().expect("a digest");
    one.git(&["clone", "--quiet", ".", "../clone"]);
    assert_eq!(one.run_in("clone", &["init", "--quiet"]).code, 0);
    let there = one.run_in("clone", &["replay", "--expect", digest]);
    assert_eq!(there.code, 0, "{there}");
    let mut events = 0;
    for item in ["A", "B"] {
        let log = one.ok(&["log", item, "--json"]);
        events += log.lines().filter(|line| !line.contains("\"schedule-decided\"")).count();
    }
    assert_eq!(said["facts"], events);
    assert_eq!(one.run(&["replay", "--quiet", "--expect", digest]).stdout.trim(), digest);
    let wrong = "0".repeat(64);
    assert_eq!(one.run(&["replay", "--expect", &wrong]).code, 10);
    assert_eq!(one.run(&["replay", "--expect", "abc"]).code, 2);
    assert_eq!(one.run(&["replay", "NOBODY"]).code, 5);
    assert_eq!(one.json(&["replay", "A"]).1["items"], 1);
}

#[test]
fn a_derived_file_that_is_not_what_the_events_give_is_named() {
    let room = played("api", "web");
    let files = room.ledger_files();
    let path = files.iter().find(|path| path.starts_with("artifacts/claims/")).expect("a claim");
    room.tamper(&[(path, Some("{}\n"))]);
    let (code, said) = room.json(&["replay"]);
    assert_eq!(code, 10, "{said}");
    let named = said["differences"].as_array().expect("a list").len()
        + said["stopped"].as_array().expect("a list").len();
    assert_eq!(named, 1, "{said}");
    assert!(said.to_string().contains(path), "{said}");
}

#[test]
fn what_a_clone_keeps_and_is_wrong_is_thrown_away() {
    let room = Room::in_memory();
    // So many that the portfolio is worth keeping.
    for n in 0..40 {
        let item = format!("ITEM-{n}");
        room.ok(&["delegate", "--prompt", "A title", "--work-item", &item, "--quiet"]);
    }
    room.ok(&["status"]);
    let file = room.repo().join(".git/stepseal/portfolio");
    let bytes = std::fs::read(&file).expect("a kept portfolio");
    let head = bytes.iter().position(|byte| *byte == b'\n').expect("a format") + 1;
    let mut content = bytes[head + 64..].to_vec();
    let at = content.windows(7).position(|window| window == b"A title").expect("a title");
    content[at..at + 7].copy_from_slice(b"A lie !");
    let digest: String =
        sha2::Sha256::digest(&content).iter().map(|byte| format!("{byte:02x}")).collect();
    std::fs::write(&file, [&bytes[..head], digest.as_bytes(), &content].concat()).expect("a lie");
    assert!(room.ok(&["status", "--json"]).contains("A lie"), "what is kept is believed");
    let (code, said) = room.json(&["replay"]);
    assert_eq!(code, 9, "{said}");
    assert_eq!(said["differences"].as_array().map(Vec::len), Some(1), "{said}");
    let (code, said) = room.json(&["replay"]);
    assert_eq!(code, 0, "{said}");
    assert!(!room.ok(&["status", "--json"]).contains("A lie"));
}
