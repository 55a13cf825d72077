//! The second way home (M3, M4): a wave is claimed ahead, executors without a repository spool how
//! their work ended, and a collector brings it home. The history is the one that direct writers
//! make (FR-029), and nothing else that a spool may hold gets in.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::kit::{Dice, Ran, Room, figure, rounds};

const BRANCH: &str = "stepseal-ledger";

/// A random workflow: waves of parallel steps with needs, groups, constraints, retries and gates.
fn workflow(dice: &mut Dice, steps: u64) -> String {
    let mut text = String::from("name: random\nsteps:\n");
    let mut keys: Vec<String> = Vec::new();
    for n in 0..steps {
        let (key, order) = (format!("k{n:02}"), 1 + n / 2);
        let mut step = format!("  - key: {key}\n    order: {order}\n");
        if dice.below(4) > 0 {
            step.push_str("    parallelizable: true\n");
            if dice.below(3) == 0 && !keys.is_empty() {
                let need = &keys[usize::try_from(dice.below(keys.len() as u64)).expect("small")];
                step.push_str(&format!("    needs: [{need}]\n"));
            }
            if dice.below(3) == 0 {
                step.push_str("    constraints: [db]\n");
            }
        }
        if dice.below(3) == 0 {
            step.push_str("    retry: { max: 1, on: [failed] }\n");
        }
        if dice.below(3) == 0 {
            step.push_str("    exit: [ { id: ok, text: it holds } ]\n");
        }
        text.push_str(&step);
        keys.push(key);
    }
    text
}

/// Runs a command at a time and a chance of its own: the same fact has the same bytes whichever
/// way it comes home.
fn at(room: &Room, dir: &Path, tick: &mut u32, name: &str, args: &[&str]) -> Ran {
    *tick += 1;
    let mut command = room.stepseal(args);
    command
        .current_dir(dir)
        .env("STEPSEAL_NOW", format!("2026-11-20T{:02}:{:02}:00.000Z", 8 + *tick / 60, *tick % 60))
        .env("STEPSEAL_SEED", name);
    Ran::of(&command.output().expect("the binary starts"))
}

/// Every write-once file but the seals, by path.
fn facts(room: &Room) -> BTreeMap<String, String> {
    let files = room.git(&["ls-tree", "-r", BRANCH, "artifacts/handoff", "artifacts/workflows"]);
    let pair = |line: &str| {
        let (head, path) = line.split_once('\t')?;
        Some((path.to_owned(), head.split(' ').nth(2)?.to_owned()))
    };
    files.lines().filter_map(pair).collect()
}

/// What readers are told of everything.
fn told(room: &Room) -> Vec<String> {
    [
        &["status", "W", "--json"][..],
        &["schedule", "W", "--json"],
        &["export", "--format", "json"],
        &["export", "--format", "csv", "--table", "attempts"],
        &["export", "--format", "md"],
        &["replay", "--json"],
        &["metrics", "W", "--json"],
    ]
    .iter()
    .map(|words| {
        let ran = room.run(words);
        assert_eq!(ran.code, 0, "{words:?}\n{ran}");
        ran.stdout
    })
    .collect()
}

#[derive(Clone, Copy, PartialEq)]
enum Home {
    Direct,
    Collected,
    /// Some of each wave one way, some the other.
    Mixed,
}

/// Runs a workflow to its end, wave by wave.
fn play(seed: u64, way: Home) -> Room {
    let room = Room::in_memory();
    let mut dice = Dice::of(seed);
    let steps = 4 + dice.below(6);
    room.write("w.yaml", &workflow(&mut dice, steps));
    let (mut tick, repo) = (0, room.repo());
    let done =
        at(&room, &repo, &mut tick, "d", &["delegate", "--plan", "w.yaml", "--work-item", "W"]);
    assert_eq!(done.code, 0, "{done}");
    for wave in 0.. {
        let (tickets, spool) = (format!("../t{wave}"), format!("../s{wave}"));
        let name = format!("wave {wave}");
        let words = [
            "schedule",
            "W",
            "--preclaim",
            "--executors",
            "4",
            "--base",
            "w",
            "--tickets",
            &tickets,
            "--json",
        ];
        let ran = at(&room, &repo, &mut tick, &name, &words);
        if ran.code == 1 {
            break;
        }
        assert_eq!(ran.code, 0, "{ran}");
        let include = ran.document()["include"].as_array().expect("a list").clone();
        let mut spooled = false;
        for entry in &include {
            let text = |key: &str| entry[key].as_str().expect("text").to_owned();
            let (attempt, executor) = (text("attemptId"), text("executor"));
            let fails = attempt.ends_with(".1") && dice.below(4) == 0;
            let ticket = format!("{tickets}/{}", text("ticket"));
            let exit = std::fs::read_to_string(repo.join(&ticket)).expect("a ticket");
            let exit: Value = serde_json::from_str(&exit).expect("JSON");
            let wants = exit["brief"]["exit"].as_array().is_some_and(|exit| !exit.is_empty());
            let mut ask = vec!["--outcome", "worked", "--next-action", "go on"];
            ask.extend(if fails { vec!["--status", "failed"] } else { Vec::new() });
            ask.extend(if wants && !fails { vec!["--verified", "ok=log"] } else { Vec::new() });
            let name = format!("end {attempt}");
            let direct = match way {
                Home::Direct => true,
                Home::Collected => false,
                Home::Mixed => {
                    attempt.len() % 2 == entry["order"].as_u64().map_or(0, |n| n as usize % 2)
                }
            };
            let claim = text("claimId");
            let (named, handed) = (
                ["complete", "--work-item", "W", "--claim", &claim, "--executor", &executor],
                ["complete", "--ticket", &ticket, "--spool", &spool],
            );
            let words =
                if direct { [&named[..], &ask].concat() } else { [&handed[..], &ask].concat() };
            spooled |= !direct;
            let ran = at(&room, &repo, &mut tick, &name, &words);
            assert_eq!(ran.code, 0, "{words:?}\n{ran}");
        }
        let mut here = tick;
        if spooled {
            let ran = at(&room, &repo, &mut here, "collect", &["collect", &spool]);
            assert_eq!(ran.code, 0, "{ran}");
        }
        // What failed without a retry of its own is queued again.
        let status: Value =
            serde_json::from_str(&room.ok(&["status", "W", "--json"])).expect("JSON");
        for step in status["item"]["steps"].as_array().expect("steps") {
            if step["state"] == "needs-requeue" {
                let key = step["key"].as_str().expect("a key");
                let words = ["requeue", "--work-item", "W", "--step", key, "--reason", "again"];
                let ran = at(&room, &repo, &mut tick, &format!("again {key}"), &words);
                assert_eq!(ran.code, 0, "{ran}");
            }
        }
        assert!(wave < 60, "it comes to an end");
    }
    let verified = room.run(&["verify"]);
    assert_eq!(verified.code, 0, "{verified}");
    room
}

/// P16: the same facts, whichever way they come home, leave the same ledger but for its seals.
#[test]
fn direct_collected_and_mixed_leave_the_same_history() {
    let mut dice = Dice::new();
    let count = rounds(3, 200);
    for _ in 0..count {
        let seed = dice.below(u64::from(u32::MAX));
        let direct = play(seed, Home::Direct);
        let (bytes, said) = (facts(&direct), told(&direct));
        let collected = play(seed, Home::Collected);
        assert_eq!(facts(&collected), bytes, "seed {seed}");
        assert_eq!(told(&collected), said, "seed {seed}");
        let commits = |room: &Room| -> u32 {
            let count = room.git(&["rev-list", "--count", BRANCH]);
            count.trim().parse().expect("a number")
        };
        assert!(commits(&collected) <= commits(&direct), "seed {seed}: a wave is one commit");
        // In another order of facts the files are numbered otherwise, and say the same.
        let mixed = play(seed, Home::Mixed);
        let sorted = |files: &BTreeMap<String, String>| {
            let mut blobs: Vec<String> = files
                .iter()
                .filter(|(path, _)| !path.ends_with("schedule-decided.json"))
                .map(|(_, blob)| blob.clone())
                .collect();
            blobs.sort();
            blobs
        };
        assert_eq!(sorted(&facts(&mixed)), sorted(&bytes), "seed {seed}");
        assert_eq!(told(&mixed), said, "seed {seed}");
    }
    figure(
        "P16",
        &format!(
            "{count} random workflows, directly, collected and mixed: the same facts, states and exports"
        ),
    );
}

/// An item whose wave of four is claimed for `w:1` … `w:4`, with tickets in `t`.
fn wave() -> Room {
    let room = Room::in_memory();
    let steps: String =
        (1..=4).map(|n| format!("  - {{ key: s{n}, order: 1, parallelizable: true }}\n")).collect();
    room.write(
        "w.yaml",
        &format!("name: w\nsteps:\n{steps}  - {{ key: end, exit: [ {{ id: a, text: b }} ] }}\n"),
    );
    room.ok(&["delegate", "--plan", "w.yaml", "--work-item", "W"]);
    room.ok(&[
        "schedule",
        "W",
        "--preclaim",
        "--executors",
        "4",
        "--base",
        "w",
        "--tickets",
        "../t",
    ]);
    room
}

fn ticket(n: usize) -> String {
    format!("../t/W/s{n}.1.json")
}

fn hand_in(room: &Room, n: usize, spool: &str) -> PathBuf {
    let ticket = ticket(n);
    let words = ["complete", "--ticket", &ticket, "--spool", spool, "--outcome", "done", "--json"];
    let ran = room.run(&words);
    assert_eq!(ran.code, 0, "{ran}");
    PathBuf::from(ran.document()["path"].as_str().expect("a path"))
}

fn tip(room: &Room) -> String {
    room.git(&["rev-parse", BRANCH]).trim().to_owned()
}

#[test]
fn a_wave_is_one_commit_and_the_same_again_claims_nothing_twice() {
    let room = wave();
    let before = tip(&room);
    let words = ["schedule", "W", "--preclaim", "--executors", "4", "--base", "w", "--matrix"];
    let matrix: Value = serde_json::from_str(&room.ok(&words)).expect("one line of JSON");
    assert_eq!(tip(&room), before, "nothing new to record");
    let include = matrix["include"].as_array().expect("a list");
    let order: Vec<&str> = include.iter().filter_map(|one| one["attemptId"].as_str()).collect();
    assert_eq!(order, ["s1.1", "s2.1", "s3.1", "s4.1"]);
    let executors: BTreeSet<&str> =
        include.iter().filter_map(|one| one["executor"].as_str()).collect();
    assert_eq!(executors.len(), 4, "one task each");
    assert_eq!(room.git(&["rev-list", "--count", BRANCH]).trim(), "3", "init, delegate, the wave");
    // More steps than executors: the rest waits for the next wave.
    room.ok(&["delegate", "--plan", "w.yaml", "--work-item", "V"]);
    let (_, two) = room.json(&["schedule", "V", "--preclaim", "--executors", "2", "--base", "v"]);
    assert_eq!((two["include"].as_array().map(Vec::len), &two["left"]), (Some(2), &2.into()));
    let (code, busy) =
        room.json(&["schedule", "V", "--preclaim", "--executors", "4", "--base", "w"]);
    assert_eq!((code, &busy["left"]), (1, &2.into()), "w:1 to w:4 are at work on W: {busy}");
    assert_eq!(room.run(&["schedule", "W", "--preclaim", "--executors", "257"]).code, 2);
}

#[test]
fn a_ticket_needs_no_repository_and_its_criteria_hold_all_the_same() {
    let room = wave();
    let alone = room.path().join("alone");
    std::fs::create_dir(&alone).expect("a folder");
    std::fs::copy(room.repo().join(ticket(1)), alone.join("ticket.json")).expect("a copy");
    let done = ["complete", "--ticket", "ticket.json", "--spool", "out", "--outcome", "by itself"];
    let ran = room.run_in("alone", &done);
    assert_eq!(ran.code, 0, "{ran}");
    let again = room.run_in("alone", &[&done[..], &["--json"]].concat());
    assert_eq!((again.code, &again.document()["outcome"]), (0, &"unchanged".into()));
    let other = [
        "complete",
        "--ticket",
        "ticket.json",
        "--spool",
        "out",
        "--outcome",
        "otherwise",
        "--json",
    ];
    let other = room.run_in("alone", &other);
    assert_eq!((other.code, &other.document()["reason"]), (6, &"spooled-otherwise".into()));
    let out = alone.join("out").display().to_string();
    let (code, said) = room.json(&["collect", &out]);
    assert_eq!((code, said["accepted"].as_array().map(Vec::len)), (0, Some(1)), "{said}");
    // Somebody edits a ticket to let something else pass.
    let text = std::fs::read_to_string(room.repo().join(ticket(2))).expect("a ticket");
    for (from, to) in
        [("\"w:2\"", "\"w:3\""), ("\"s2.1\"", "\"s3.1\""), ("\"key\": \"end\"", "\"key\": \"fin\"")]
    {
        std::fs::write(alone.join("forged.json"), text.replacen(from, to, 1)).expect("a file");
        let forged =
            ["complete", "--ticket", "forged.json", "--spool", "out2", "--outcome", "x", "--json"];
        let ran = room.run_in("alone", &forged);
        assert_eq!(
            (ran.code, &ran.document()["reason"]),
            (4, &"bad-spool".into()),
            "{from}: {ran}"
        );
    }
    for n in 2..=4 {
        hand_in(&room, n, "../s");
    }
    room.ok(&["collect", "../s"]);
    let end =
        ["schedule", "W", "--preclaim", "--executors", "1", "--base", "w", "--tickets", "../t"];
    room.ok(&end);
    let last = [
        "complete",
        "--ticket",
        "../t/W/end.1.json",
        "--spool",
        "../s2",
        "--outcome",
        "x",
        "--json",
    ];
    let (refused, said) = (room.run(&last), "exit-not-verified");
    assert_eq!((refused.code, &refused.document()["reason"]), (4, &said.into()), "{refused}");
    assert!(!room.path().join("s2").exists(), "nothing is spooled that is refused");
}

/// P17: whatever else a spool holds, the ledger is as it was, and the offender is named.
#[test]
fn nothing_else_that_a_spool_holds_gets_in() {
    let room = wave();
    let honest = std::fs::read_to_string(hand_in(&room, 1, "../s")).expect("a handoff");
    let other = std::fs::read_to_string(hand_in(&room, 2, "../other")).expect("a handoff");
    let claimed = room.ledger_files().into_iter().find(|path| path.contains("attempt-claimed"));
    let claimed = room.git(&["show", &format!("{BRANCH}:{}", claimed.expect("a claim"))]);
    let change = |from: &str, to: &str| {
        assert!(honest.contains(from), "{from}\n{honest}");
        honest.replacen(from, to, 1)
    };
    let links = honest.find("\"links\": [").expect("links") + 10;
    let linked = format!(
        "{}\n    {{\n      \"rel\": \"input\",\n      \"id\": \"01a1f873-d0eb-7c44-9d0e-6f2b8a71c3d5\",\n      \"sha256\": \"{}\"\n    }},{}",
        &honest[..links],
        "0".repeat(64),
        &honest[links..]
    );
    let forged: Vec<(&str, String)> = vec![
        ("another item", change("\"W\"", "\"X\"")),
        ("another attempt", change("\"attemptId\": \"s1.1\"", "\"attemptId\": \"s2.1\"")),
        ("another step", change("\"key\": \"s1\"", "\"key\": \"s2\"")),
        ("another executor", change("\"id\": \"w:1\"", "\"id\": \"w:2\"")),
        (
            "another principal",
            change("\"principal\": \"maintainer-1\"", "\"principal\": \"boss-1\""),
        ),
        ("another workflow", change("\"version\": 1", "\"version\": 2")),
        (
            "integrated already",
            change("\"baselineIntegration\": \"pre\"", "\"baselineIntegration\": \"post\""),
        ),
        ("the future", change("2026-", "2036-")),
        ("a claim", claimed),
        (
            "a doubled field",
            change(
                "\"schemaVersion\": \"1.0\",",
                "\"schemaVersion\": \"1.0\",\n  \"schemaVersion\": \"1.0\",",
            ),
        ),
        (
            "an unknown field",
            change("\"schemaVersion\": \"1.0\",", "\"schemaVersion\": \"1.0\",\n  \"more\": 1,"),
        ),
        ("another format", change("\"schemaVersion\": \"1.0\"", "\"schemaVersion\": \"2.0\"")),
        ("other spacing", honest.replace("  ", " ")),
        ("cut short", honest[..honest.len() / 2].to_owned()),
        ("nothing", String::new()),
        ("no text", "\u{feff}".to_owned() + &honest),
        ("links it did not look up", linked),
        ("two megabytes", " ".repeat(2 << 20)),
        (
            "outputs without their digest",
            change(
                "\"outputs\": []",
                "\"outputs\": [\n      {\n        \"path\": \"../../etc/passwd\",\n        \"sha256\": \"0000000000000000000000000000000000000000000000000000000000000000\",\n        \"size\": 1\n      }\n    ]",
            ),
        ),
        ("another claim", {
            let at = honest.find("\"claimId\": \"").expect("a claim") + 12;
            let theirs = other.find("\"claimId\": \"").expect("a claim") + 12;
            format!("{}{}{}", &honest[..at], &other[theirs..theirs + 36], &honest[at + 36..])
        }),
    ];
    let (before, mut refused) = (facts(&room), 0);
    for (what, bytes) in &forged {
        let folder = room.path().join("bad");
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join("x.json"), bytes).expect("a file");
        let (code, said) = room.json(&["collect", "../bad"]);
        assert_eq!(code, 4, "{what}: {said}");
        assert_eq!(said["accepted"], Value::Array(Vec::new()), "{what}");
        assert_eq!(said["quarantined"].as_array().map(Vec::len), Some(1), "{what}: {said}");
        let there = facts(&room);
        let new: Vec<&String> = there.keys().filter(|path| !before.contains_key(*path)).collect();
        assert!(
            new.iter().all(|path| path.ends_with("handoff-quarantined.json")),
            "{what}: {new:?}"
        );
        let now = tip(&room);
        assert_eq!(room.run(&["collect", "../bad"]).code, 4, "{what}");
        assert_eq!(tip(&room), now, "{what}: the same again records nothing twice");
        std::fs::remove_dir_all(&folder).expect("it goes");
        refused += 1;
    }
    // What no spool holds: nothing of the folder is taken, not even what is sound in it.
    let bundle = |what: &str, make: &dyn Fn(&Path)| {
        let folder = room.path().join("bundle");
        std::fs::create_dir_all(folder.join("W")).expect("a folder");
        std::fs::write(folder.join("W/s1.1.json"), &honest).expect("a file");
        make(&folder);
        let before = tip(&room);
        let (code, said) = room.json(&["collect", "../bundle"]);
        assert_eq!((code, &said["reason"]), (4, &"bad-spool".into()), "{what}: {said}");
        assert_eq!((tip(&room), &said["recorded"]), (before, &false.into()), "{what}");
        std::fs::remove_dir_all(&folder).expect("it goes");
    };
    #[cfg(unix)]
    {
        let link = |to: &'static str, name: &'static str| {
            move |folder: &Path| std::os::unix::fs::symlink(to, folder.join(name)).expect("a link")
        };
        bundle("a link to a file", &link("/etc/passwd", "x.json"));
        bundle("a link to a folder", &link("/", "more"));
        bundle("a named pipe", &|folder| {
            let made = std::process::Command::new("mkfifo").arg(folder.join("p.json")).status();
            assert!(made.expect("mkfifo").success());
        });
        refused += 3;
    }
    bundle("a workflow", &|folder| {
        std::fs::create_dir_all(folder.join(".github/workflows")).expect("folders");
        std::fs::write(folder.join(".github/workflows/x.yml"), "on: push").expect("a file");
    });
    bundle("too many files", &|folder| {
        for n in 0..10_001 {
            std::fs::write(folder.join(format!("{n}.json")), "").expect("a file");
        }
    });
    refused += 2;
    let (code, said) = room.json(&["collect", "../s", "../other"]);
    assert_eq!((code, said["accepted"].as_array().map(Vec::len)), (0, Some(2)), "{said}");
    let verified = room.run(&["verify"]);
    assert_eq!(verified.code, 0, "{verified}");
    figure("P17", &format!("{refused} of {refused} hostile spools refused, each offender named"));
}

#[test]
fn who_comes_late_is_quarantined_and_the_attempt_that_was_ended_stays_ended() {
    let room = wave();
    hand_in(&room, 1, "../s");
    hand_in(&room, 2, "../s");
    // Meanwhile somebody gave the attempt to another.
    let force =
        ["requeue", "--work-item", "W", "--step", "s1", "--lapsed", "--force", "--reason", "gone"];
    let ran = room.run(&force);
    assert_eq!(ran.code, 0, "{ran}");
    let (code, said) = room.json(&["collect", "../s"]);
    assert_eq!(code, 4, "partly: {said}");
    assert_eq!(said["accepted"][0]["attemptId"], "s2.1");
    assert_eq!(
        (&said["quarantined"][0]["workItemId"], &said["quarantined"][0]["recorded"]),
        (&"W".into(), &true.into())
    );
    let log = room.ok(&["log", "W"]);
    assert!(log.contains("handoff-quarantined"), "{log}");
    let (code, again) = room.json(&["collect", "../s"]);
    assert_eq!(
        (code, &again["there"], &again["quarantined"][0]["recorded"]),
        (4, &1.into(), &false.into())
    );
    room.ok(&["verify"]);
}

#[test]
fn what_never_came_back_has_failed_for_that_run_only() {
    let room = wave();
    room.ok(&["delegate", "--plan", "w.yaml", "--work-item", "V"]);
    let actions = |attempt: &str| {
        let mut command =
            room.stepseal(&["schedule", "V", "--preclaim", "--executors", "1", "--json"]);
        command.env("GITHUB_ACTIONS", "true").env("GITHUB_REPOSITORY", "octo/app");
        command.env_remove("STEPSEAL_EXECUTOR").env_remove("STEPSEAL_PRINCIPAL");
        command
            .env("GITHUB_RUN_ID", "4211")
            .env("GITHUB_RUN_ATTEMPT", attempt)
            .env("GITHUB_JOB", "orchestrate");
        let ran = Ran::of(&command.output().expect("it starts"));
        assert_eq!(ran.code, 0, "{ran}");
        ran.document()["include"][0]["executor"].as_str().expect("an executor").to_owned()
    };
    assert_eq!(actions("1"), "gha:octo/app:4211:1:execute:1");
    assert_eq!(actions("2"), "gha:octo/app:4211:2:execute:1");
    hand_in(&room, 1, "../s");
    let (code, said) = room.json(&["collect", "../s", "--fail-missing", "--run", "4211:1"]);
    assert_eq!(code, 0, "{said}");
    let ended = |said: &Value, what: &str| -> Vec<String> {
        let list = said[what].as_array().expect("a list").iter();
        list.map(|one| format!("{} {}", one["workItemId"], one["attemptId"]).replace('"', ""))
            .collect()
    };
    assert_eq!(
        (ended(&said, "accepted"), ended(&said, "failed")),
        (vec!["W s1.1".into()], vec!["V s1.1".into()])
    );
    // Those of the wave that are still at work are another run's.
    let (code, said) = room.json(&["collect", "--fail-missing", "--run", "w"]);
    assert_eq!((code, ended(&said, "failed").len()), (0, 3), "{said}");
    let (code, said) = room.json(&["collect", "--fail-missing", "--run", "w"]);
    assert_eq!((code, ended(&said, "failed").len(), &said["recorded"]), (0, 0, &false.into()));
    // A late result of a run that was given up is not taken for the next attempt's.
    hand_in(&room, 2, "../late");
    room.ok(&["requeue", "--work-item", "W", "--step", "s2", "--reason", "again"]);
    assert_eq!(room.run(&["collect", "../late"]).code, 4);
    room.ok(&["verify"]);
}

#[test]
fn collectors_at_once_record_each_handoff_once() {
    let room = wave();
    for n in 1..=4 {
        hand_in(&room, n, "../s");
    }
    let codes: Vec<i32> = std::thread::scope(|scope| {
        let collector =
            |n: usize| room.run_as(&format!("collector-{n}"), &["collect", "../s"]).code;
        let all: Vec<_> = (0..4).map(|n| scope.spawn(move || collector(n))).collect();
        all.into_iter().map(|one| one.join().expect("a collector")).collect()
    });
    assert_eq!(codes, [0, 0, 0, 0]);
    let log = room.ok(&["log", "W", "--json"]);
    assert_eq!(log.matches("\"eventType\":\"attempt-completed\"").count(), 4, "{log}");
    room.ok(&["verify"]);
}

const WORK: &str = "name: w
steps:
  - { key: good, order: 1, parallelizable: true, execute: { run: [sh, -c, \"printf '::error::x\\n##[group]y\\n\\\\033[31mred\\nlast word of '; echo $STEPSEAL_STEP $STEPSEAL_ATTEMPT > seen; cat seen\"] }, exit: [ { id: t, text: t, check: { run: [test, -s, seen] } } ] }
  - { key: bad, order: 1, parallelizable: true, execute: { run: [sh, -c, \"echo no luck; exit 3\"] } }
  - { key: unshown, order: 1, parallelizable: true, execute: { run: [\"true\"] }, exit: [ { id: t, text: t, check: { run: [\"false\"] } } ] }
  - { key: slow, order: 1, parallelizable: true, execute: { run: [sleep, \"60\"], timeout: 1s } }
  - { key: nothing, order: 1, parallelizable: true }
  - { key: nowhere, order: 1, parallelizable: true, execute: { run: [/no/such/program] } }
";

#[test]
fn the_work_of_a_ticket_is_started_and_its_end_spooled() {
    let room = Room::in_memory();
    room.write("w.yaml", WORK);
    room.ok(&["delegate", "--plan", "w.yaml", "--work-item", "W"]);
    room.ok(&[
        "schedule",
        "W",
        "--preclaim",
        "--executors",
        "6",
        "--base",
        "w",
        "--tickets",
        "../t",
    ]);
    let run = |step: &str| {
        let ticket = format!("../t/W/{step}.1.json");
        let mut command = room.stepseal(&["run", "--ticket", &ticket, "--spool", "../s", "--json"]);
        command.env("GITHUB_ACTIONS", "true");
        Ran::of(&command.output().expect("it starts"))
    };
    let ended = |step: &str| {
        let ran = run(step);
        (ran.code, ran.document()["outcome"].as_str().unwrap_or_default().to_owned())
    };
    let good = run("good");
    assert_eq!(good.code, 0, "{good}");
    // Between the word that turns commands off and the same that turns them on, and broken up.
    let lines: Vec<&str> = good.stderr.lines().collect();
    let token = lines[0].strip_prefix("::stop-commands::").expect("commands are off first");
    assert_eq!(*lines.last().expect("lines"), format!("::{token}::"));
    for line in &lines[1..lines.len() - 1] {
        assert!(!line.trim_start().starts_with("::") && !line.contains("##["), "{line}");
        assert!(!line.contains('\u{1b}'), "{line}");
    }
    let event = std::fs::read_to_string(room.path().join("s/W/good.1.json")).expect("a handoff");
    assert!(event.contains("exit 0: last word of good good.1"), "{event}");
    assert_eq!(ended("bad"), (8, "failed".into()));
    assert_eq!(ended("unshown"), (8, "failed".into()), "what it has to show does not hold");
    assert_eq!(ended("slow"), (8, "failed".into()));
    assert_eq!(run("nothing").code, 2);
    assert_eq!(run("nowhere").code, 8);
    let (code, said) = room.json(&["collect", "../s"]);
    assert_eq!((code, said["accepted"].as_array().map(Vec::len)), (0, Some(4)), "{said}");
    room.ok(&["verify"]);
}
