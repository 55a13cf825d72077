//! Same events, same bytes: whatever the locale, the time zone, the folder or the cache.

use std::collections::BTreeMap;
use std::path::Path;

use crate::kit::{Dice, Ran, Room, figure, rounds};

fn played() -> Room {
    let room = Room::with_ledger();
    room.write("specs/001-albums/tasks.md", crate::transcript::ALBUMS);
    room.write("w.yaml", "name: w\nsteps: [{ key: b, order: 1 }, { key: a, order: 1 }]\n");
    room.ok(&["delegate", "--plan", "specs/001-albums/tasks.md", "--work-item", "ALBUMS"]);
    room.ok(&["delegate", "--plan", "w.yaml", "--work-item", "TIE"]);
    room.ok(&["claim", "--work-item", "ALBUMS", "--step", "T002"]);
    room.ok(&["complete", "--work-item", "ALBUMS", "--step", "T002", "--outcome", "é, ß, 日本"]);
    room
}

/// The data commands' answers, under some surroundings.
fn answers(room: &Room, surroundings: &[(&str, &str)]) -> BTreeMap<String, String> {
    answers_in(room, &room.repo(), surroundings)
}

/// The same from another folder of the room.
fn answers_in(room: &Room, dir: &Path, surroundings: &[(&str, &str)]) -> BTreeMap<String, String> {
    let mut answers = BTreeMap::new();
    for args in [
        &["status", "--json"][..],
        &["status", "ALBUMS", "--json"],
        &["schedule", "ALBUMS", "--json"],
        &["schedule", "TIE", "--matrix"],
        &["export"],
        &["export", "--format", "md"],
        &["export", "--format", "csv", "--table", "attempts"],
        &["log", "--json"],
        &["metrics", "--json"],
        &["replay", "--json"],
        &["export", "--format", "html"],
        &["export", "ALBUMS", "--format", "html"],
        &["metrics", "ALBUMS", "--by", "attempt", "--json"],
        &["workflow", "graph", "w", "--work-item", "TIE"],
    ] {
        let mut command = room.program(crate::kit::STEPSEAL);
        command.args(args).env("STEPSEAL_NOW", "2026-11-20T12:00:00Z").current_dir(dir);
        for (name, value) in surroundings {
            command.env(name, value);
        }
        let ran = Ran::of(&command.output().expect("the binary starts"));
        assert_eq!(ran.code, 0, "{args:?}\n{ran}");
        answers.insert(args.join(" "), ran.stdout);
    }
    answers
}

#[test]
fn answers_do_not_depend_on_where_and_how_they_are_asked() {
    let room = played();
    let plain = answers(&room, &[]);
    for surroundings in [
        &[("TZ", "Pacific/Kiritimati"), ("LANG", "tr_TR.UTF-8")][..],
        &[("TZ", "America/St_Johns"), ("LC_ALL", "C")],
        &[("CLICOLOR_FORCE", "1"), ("COLUMNS", "40")],
        &[("STEPSEAL_NOW", "2031-01-01T00:00:00Z")],
        &[("STEPSEAL_EXECUTOR", "somebody-else"), ("STEPSEAL_OUTPUT_TIME", "local")],
    ] {
        assert_eq!(answers(&room, surroundings), plain, "{surroundings:?}");
    }
    std::fs::remove_dir_all(room.repo().join(".git/stepseal")).expect("the caches");
    assert_eq!(answers(&room, &[]), plain, "without caches");
    assert_eq!(answers(&room, &[]), plain, "with caches again");
}

/// A hundred surroundings drawn by chance: locale, time zone, folder, work tree, terminal, caches
/// whole, gone or spoiled, and, in each process anew, the seeds of its maps (P19).
#[test]
fn a_hundred_surroundings_give_the_same_bytes() {
    let room = played();
    room.git(&["commit", "--quiet", "--allow-empty", "-m", "start"]);
    room.git(&["worktree", "add", "--quiet", "--detach", "../linked"]);
    let deep = room.repo().join("a folder/ünder/it");
    std::fs::create_dir_all(&deep).expect("a folder");
    let dirs = [room.repo(), deep, room.path().join("linked")];
    let caches = room.repo().join(".git/stepseal");
    let plain = answers(&room, &[]);
    let mut dice = Dice::new();
    let seeds = rounds(8, 100);
    for _ in 0..seeds {
        let mut pick = |from: &[&'static str]| {
            from[usize::try_from(dice.below(from.len() as u64)).expect("small")]
        };
        let surroundings = [
            ("TZ", pick(&["UTC", "Asia/Kathmandu", "America/St_Johns", "Pacific/Kiritimati", ""])),
            ("LANG", pick(&["C", "tr_TR.UTF-8", "ja_JP.eucJP", "de_DE.UTF-8", "xx"])),
            ("LC_ALL", pick(&["", "C", "tr_TR.UTF-8"])),
            ("COLUMNS", pick(&["1", "40", "400", "x"])),
            ("TERM", pick(&["dumb", "xterm-256color"])),
            ("CLICOLOR_FORCE", pick(&["0", "1"])),
            ("STEPSEAL_SEED", pick(&["a", "b"])),
            ("STEPSEAL_OUTPUT_TIME", pick(&["utc", "local"])),
            ("STEPSEAL_PRINCIPAL", pick(&["maintainer-1", "zoe"])),
            ("HOME", pick(&["/", "/nonexistent"])),
        ];
        let spoil = pick(&["keep", "keep", "delete", "spoil"]);
        match spoil {
            "delete" => std::fs::remove_dir_all(&caches).expect("the caches"),
            "spoil" => {
                for name in ["portfolio", "ledger"] {
                    std::fs::write(caches.join(name), "stepseal-cache 1").expect("a bad cache");
                }
            }
            _ => {}
        }
        let dir = &dirs[usize::try_from(dice.below(3)).expect("small")];
        let told = answers_in(&room, dir, &surroundings);
        assert_eq!(told, plain, "{spoil} {dir:?} {surroundings:?}");
    }
    figure("P19", &format!("the same bytes of {} commands in {seeds} surroundings", plain.len()));
}

/// A plan means what it says, in whichever order and format its fields are written.
#[test]
fn a_plans_fields_may_stand_in_any_order() {
    let room = Room::new();
    room.git(&["init", "--quiet", "repo"]);
    let mut dice = Dice::new();
    let mut shuffled = |mut fields: Vec<&'static str>| {
        for at in (1..fields.len()).rev() {
            fields.swap(at, usize::try_from(dice.below(at as u64 + 1)).expect("small"));
        }
        fields
    };
    let mut seen = BTreeMap::new();
    for round in 0..rounds(6, 100) {
        let a = shuffled(vec!["key: a", "order: 2", "title: First", "parallelizable: true"]);
        let b = shuffled(vec!["key: b", "order: 1", "needs: []", "parallelizable: true"]);
        let top = shuffled(vec!["name: w", "version: 3", "title: All of it"]);
        let steps = format!("steps: [{{ {} }}, {{ {} }}]", a.join(", "), b.join(", "));
        let mut lines = top;
        lines.insert(round % 4, &steps);
        room.write("w.yaml", &(lines.join("\n") + "\n"));
        seen.insert(room.ok(&["workflow", "show", "w.yaml", "--json"]), lines.join("\n"));
    }
    assert_eq!(seen.len(), 1, "{seen:#?}");
}

/// Two rooms, the same commands: the same ledger tree, byte for byte.
#[test]
fn the_same_commands_make_the_same_ledger() {
    let tree = |room: &Room| room.git(&["rev-parse", "stepseal-ledger^{tree}"]);
    assert_eq!(tree(&played()), tree(&played()));
}

/// What one order of facts left: the facts' bytes, and what the data commands say.
#[derive(Debug, PartialEq, Eq)]
struct Read {
    facts: Vec<String>,
    data: Vec<String>,
}

/// Claims and completes steps of `P` in this order; each fact keeps its own time, id and actor in
/// whichever place it is recorded.
fn in_order(workflow: &str, steps: &[(&str, &str)]) -> Read {
    let room = Room::with_ledger();
    room.write("p.yaml", workflow);
    room.ok(&["delegate", "--plan", "p.yaml", "--work-item", "P"]);
    for (step, now) in steps {
        for (word, seed) in [("claim", "c"), ("complete", "d")] {
            let mut args = vec![word, "--work-item", "P", "--step", step, "--executor", step];
            if word == "complete" {
                args.extend(["--outcome", "done", "--next-action", "go on"]);
            }
            let mut command = room.program(crate::kit::STEPSEAL);
            let seed = format!("{step} {seed}");
            let output = command
                .args(&args)
                .env("STEPSEAL_NOW", now)
                .env("STEPSEAL_SEED", seed)
                .output()
                .expect("the binary starts");
            let ran = Ran::of(&output);
            assert_eq!(ran.code, 0, "{args:?}\n{ran}");
        }
    }
    let mut facts: Vec<String> = room
        .ledger_files()
        .iter()
        .filter(|path| path.contains("/P/") && path.contains("handoff"))
        .filter(|path| !path.contains("schedule-decided"))
        .map(|path| room.ledger_text(path))
        .collect();
    facts.sort();
    let asked = [
        "status P --json",
        "status --json",
        "schedule P --json",
        "export",
        "export P",
        "export --format md",
        "export --format html",
        "export P --format html",
        "metrics --json",
        "replay --json",
        "metrics P --by attempt --json",
        "export --format csv --table items",
        "export --format csv --table steps",
        "export --format csv --table attempts",
        "export --format csv --table events",
    ];
    let data = asked.iter().map(|args| {
        let args: Vec<&str> = args.split(' ').collect();
        room.ok(&args)
    });
    Read { facts, data: data.collect() }
}

/// Facts of two parallel branches in either order: identical fact bytes, schedule, status and
/// export, whatever numbers they got.
#[test]
fn another_legal_order_reads_the_same() {
    let three = crate::kit::parallel_workflow("p", 3);
    let first = ("s001", "2026-11-20T11:00:00Z");
    let second = ("s002", "2026-11-20T11:00:00Z");
    assert_eq!(in_order(&three, &[first, second]), in_order(&three, &[second, first]));
}

/// The same where what comes next is opened by whichever fact is recorded last, and the facts'
/// times do not follow that order.
#[test]
fn a_join_reads_the_same_whichever_branch_was_recorded_last() {
    let join = "name: p\nsteps:\n\
        \x20 - { key: a, order: 1, parallelizable: true }\n\
        \x20 - { key: b, order: 1, parallelizable: true }\n\
        \x20 - { key: c, order: 2, parallelizable: true, needs: [a, b] }\n\
        \x20 - { key: d, order: 3, parallelizable: true, needs: [] }\n";
    let a = ("a", "2026-11-20T11:00:00Z");
    let b = ("b", "2026-11-20T11:05:00Z");
    let d = ("d", "2026-11-20T11:09:00Z");
    let read = in_order(join, &[a, b, d]);
    assert!(read.data[0].contains("\"queuedAt\": \"2026-11-20T11:05:00Z\""), "{}", read.data[0]);
    for order in [[a, d, b], [b, a, d], [b, d, a], [d, a, b], [d, b, a]] {
        assert_eq!(in_order(join, &order), read, "{order:?}");
    }
}

/// Scenario 7: a completion is a committed handoff artifact, and the next agent reads it.
#[test]
fn scenario_7_the_next_agent_consumes_the_handoff() {
    let room = Room::with_ledger();
    room.write("w.yaml", "name: w\nsteps: [{ key: make }, { key: use }]\n");
    room.write("out.txt", "made\n");
    room.ok(&["delegate", "--plan", "w.yaml", "--work-item", "W"]);
    room.ok(&["claim", "--work-item", "W", "--step", "make"]);
    room.ok(&[
        "complete",
        "--work-item",
        "W",
        "--step",
        "make",
        "--outcome",
        "it is made",
        "--next-action",
        "use it with care",
        "--output",
        "out.txt",
    ]);
    let path = room.ledger_file("make-attempt-completed.json");
    let artifact: serde_json::Value =
        serde_json::from_str(&room.ledger_text(&path)).expect("an artifact");
    let sha = artifact["data"]["outputs"][0]["sha256"].as_str().expect("a digest").to_owned();
    let (code, claim) =
        room.json(&["claim", "--work-item", "W", "--step", "use", "--executor", "agent-2"]);
    assert_eq!(code, 0, "{claim:#}");
    let handoff = &claim["brief"]["predecessors"][0];
    assert_eq!(handoff["outcome"], "it is made");
    assert_eq!(handoff["nextAction"], "use it with care");
    assert_eq!(handoff["outputs"][0]["path"], "out.txt");
    assert_eq!(handoff["outputs"][0]["sha256"], sha.as_str());
    let claimed = room.ledger_file("use-attempt-claimed.json");
    let claimed: serde_json::Value =
        serde_json::from_str(&room.ledger_text(&claimed)).expect("an artifact");
    assert_eq!(claimed["links"][0]["id"], artifact["id"], "the claim links what it consumes");
}
