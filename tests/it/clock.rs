//! The clock may be wrong, go back, stand still or change its zone: order and state do not depend
//! on it, and nobody is told a negative time (P20).

use serde_json::{Value, json};

use super::kit::{Ran, Room, figure, has, memory, rounds};

const PLAN: &str = "name: flow
steps:
  - { key: a }
  - { key: b, group: pair, parallelizable: true, order: 2 }
  - { key: c, group: pair, parallelizable: true, order: 2 }
  - { key: check, order: 3, gate: { kind: review, rejectTo: a, selfReview: allowed } }
  - { key: d, order: 4 }
";

/// A small history with everything that has a time: claims, a lease, a review, a gate, a retry.
const TYPED: &[&str] = &[
    "init",
    "delegate --plan plan.yaml --work-item W1",
    "delegate --prompt Other --work-item W2",
    "claim --work-item W1 --step a --lease 1h",
    "complete --work-item W1 --step a --outcome done",
    "claim --work-item W1 --step b",
    "complete --work-item W1 --step b --outcome no --status failed",
    "review flag --work-item W2 --reason twin",
    "requeue --work-item W1 --step b",
    "claim --work-item W1 --step b",
    "complete --work-item W1 --step b --outcome done",
    "claim --work-item W1 --step c --lease 5m",
    "requeue --work-item W1 --step c --lapsed --force --reason gone",
    "skip --work-item W1 --step c --reason no",
    "gate reject --work-item W1 --step check --reason bad",
    "review clear --work-item W2 --rationale different",
    "claim --work-item W1 --step a",
];

/// What a ledger says without any time: the events in order, and where everything stands.
fn timeless(room: &Room, ask: &dyn Fn(&[&str]) -> Ran) -> Value {
    let read = |args: &[&str]| {
        let ran = ask(args);
        assert_eq!(ran.code, 0, "{args:?} {ran}");
        ran.stdout
    };
    let events: Vec<Value> = read(&["log", "--json"])
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["artifact"].clone())
        .map(|e| json!([e["workItemId"], e["eventType"], e["step"], e["attemptId"], e["outcome"]]))
        .collect();
    let mut views = vec![json!(events)];
    for args in
        [&["status", "--json"][..], &["status", "W1", "--json"], &["schedule", "W1", "--json"]]
    {
        let mut view: Value = serde_json::from_str(&read(args)).expect("JSON");
        strip(&mut view);
        views.push(view);
    }
    read(&["verify", "--deep"]);
    // What people see: ages, and nothing before its time.
    for args in [&["status"][..], &["status", "W1"], &["log"], &["status", "W1", "--why-not", "d"]]
    {
        let said = read(args);
        let negative = |word: &str| {
            let mut chars = word.trim_start_matches(['(', '"']).chars();
            chars.next() == Some('-') && chars.next().is_some_and(|c| c.is_ascii_digit())
        };
        assert!(
            !said.split_whitespace().any(negative),
            "{args:?} in {}: {said}",
            room.path().display()
        );
    }
    json!(views)
}

/// Takes away what must differ: times and the ids that are made of them.
fn strip(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|key, _| {
                !["At", "Until", "Since", "timestamp"].iter().any(|end| key.ends_with(end))
                    && key != "claimId"
            });
            fields.values_mut().for_each(strip);
        }
        Value::Array(values) => values.iter_mut().for_each(strip),
        // The sentence may say until when a lease runs.
        Value::String(text) if text.contains("20") && text.contains(':') => text.clear(),
        _ => {}
    }
}

/// Types the history, each command at its own time, and reads it at the last.
fn played(times: &dyn Fn(usize) -> String, environment: &[(&str, &str)]) -> Value {
    let room = Room::live_below(&memory());
    room.write("plan.yaml", PLAN);
    let run = |n: usize, args: &[&str]| {
        let mut command = room.program(super::kit::STEPSEAL);
        command.args(args).env("STEPSEAL_NOW", times(n)).env("STEPSEAL_SEED", n.to_string());
        command.envs(environment.iter().copied());
        Ran::of(&command.output().expect("the binary starts"))
    };
    for (n, typed) in TYPED.iter().enumerate() {
        let args: Vec<&str> = typed.split(' ').collect();
        let ran = run(n, &args);
        assert_eq!(ran.code, 0, "{typed} at {} {ran}", times(n));
    }
    timeless(&room, &|args| run(TYPED.len(), args))
}

/// Day of November 2026 and hour, for the nth command.
fn at(day: usize, hour: usize, n: usize) -> String {
    format!("2026-11-{day:02}T{hour:02}:{n:02}:00Z")
}

#[test]
fn order_and_state_do_not_depend_on_the_clock() {
    let plain = played(&|n| at(20, 10, n), &[]);
    let half = TYPED.len() / 2;
    let clocks: &[(&str, &dyn Fn(usize) -> String)] = &[
        ("frozen", &|_| at(20, 10, 0)),
        ("a day back in the middle", &|n| at(if n < half { 20 } else { 19 }, 10, n)),
        ("ten years on in the middle", &|n| {
            let year = if n < half { 2026 } else { 2036 };
            format!("{year}-11-20T10:{n:02}:00Z")
        }),
        ("ten years on and back", &|n| {
            let year = if n % 2 == 0 { 2026 } else { 2036 };
            format!("{year}-11-20T10:{n:02}:00Z")
        }),
        ("backwards all the time", &|n| at(20, 10, 59 - n)),
        ("over the end of summer time", &|n| format!("2026-10-25T00:{:02}:00Z", 50 + n % 10)),
    ];
    let zones = ["UTC", "Europe/Berlin", "America/St_Johns", "Pacific/Kiritimati", "Nowhere/Here"];
    let mut cases = 0;
    for (n, (what, clock)) in clocks.iter().enumerate() {
        for &zone in zones.iter().cycle().skip(n).take(rounds(1, zones.len())) {
            let environment = [("TZ", zone), ("STEPSEAL_OUTPUT_TIME", "local")];
            assert_eq!(played(*clock, &environment), plain, "{what} in {zone}");
            cases += 1;
        }
    }
    figure("P20", &format!("{cases} of {cases} clocks and zones: same order, same state"));
}

/// The same with the system's own clock turned, as a virtual machine's may be.
#[cfg(target_os = "linux")]
#[test]
fn order_and_state_do_not_depend_on_the_systems_clock() {
    if !has("faketime") {
        return;
    }
    let played = |clocks: &[&str]| {
        let room = Room::live_below(&memory());
        room.write("plan.yaml", PLAN);
        let run = |clock: &str, args: &[&str]| {
            let words = ["faketime", "-f", clock, super::kit::STEPSEAL];
            Ran::of(&room.under(&words, args).output().expect("faketime starts"))
        };
        for (n, typed) in TYPED.iter().enumerate() {
            let args: Vec<&str> = typed.split(' ').collect();
            let ran = run(clocks[n % clocks.len()], &args);
            assert_eq!(ran.code, 0, "{typed} {ran}");
        }
        timeless(&room, &|args| run(clocks[0], args))
    };
    let plain = played(&["+0d"]);
    for clocks in
        [&["-1d"][..], &["+10y"], &["+0d", "-1d"], &["+0d", "+10y"], &["2026-11-20 10:00:00"]]
    {
        assert_eq!(played(clocks), plain, "{clocks:?}");
    }
    figure("P20", "5 of 5 turns of the system's clock: same order, same state");
}
