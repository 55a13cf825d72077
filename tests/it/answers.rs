//! What every answer promises: it arrives or says so, its hint works as pasted, and nothing a plan
//! says reaches a terminal as anything but text.

use crate::kit::Room;

/// The argument lists of `next`, of a JSON answer.
fn next(document: &serde_json::Value) -> Vec<Vec<String>> {
    serde_json::from_value(document["next"].clone()).expect("argument lists")
}

#[test]
fn a_dry_runs_hint_delegates_what_was_looked_at() {
    let room = Room::with_ledger();
    room.write("specs/001-albums/tasks.md", crate::transcript::ALBUMS);
    let (_, dry) = room.json(&[
        "delegate",
        "--plan",
        "specs/001-albums",
        "--work-item",
        "AL",
        "--gates",
        "drop",
        "--title",
        "Albums",
        "--label",
        "a",
        "--priority",
        "1",
        "--owner",
        "o",
        "--dry-run",
    ]);
    assert_eq!(dry["steps"].as_array().map(Vec::len), Some(12), "no gates");
    let hint = &next(&dry)[0];
    let words: Vec<&str> = hint.iter().skip(1).map(String::as_str).collect();
    room.ok(&words);
    let (_, status) = room.json(&["status", "AL"]);
    assert_eq!(status["item"]["stepsTotal"], 12);
    assert_eq!(status["item"]["title"], "Albums");
    assert_eq!(status["item"]["owner"], "o");
    assert_eq!(status["item"]["priority"], 1);
}

#[test]
fn what_a_plan_says_is_shown_and_never_obeyed() {
    let room = Room::with_ledger();
    let evil = "\u{1b}[31mred\u{1b}[0m \u{202e}evil ::error::x $(rm -rf /) `id`";
    let plan = format!(
        "# Tasks: {evil}\n\n## Phase 1: {evil}\n- [ ] T001 {evil}\n- [ ] T002 b\n- [ ] T003 c\n\n\
         **Checkpoint**: {evil}\n"
    );
    room.write("specs/x/tasks.md", &plan);
    room.ok(&["delegate", "--plan", "specs/x", "--work-item", "X"]);
    room.ok(&["claim", "--work-item", "X", "--step", "T001"]);
    room.ok(&["complete", "--work-item", "X", "--step", "T001", "--outcome", evil]);
    for args in [
        &["delegate", "--plan", "specs/x", "--work-item", "Y", "--dry-run"][..],
        &["delegate", "--prompt", evil, "--work-item", "Z"],
        &["status"],
        &["status", "X"],
        &["status", "X", "--why-not", "T003"],
        &["brief", "X", "T002"],
        &["claim", "--work-item", "X", "--step", "T002"],
        &["log"],
        &["schedule", "X"],
        &["workflow", "show", "x"],
        &["workflow", "graph", "x"],
        &["metrics", "X", "--by", "attempt"],
        &["metrics", "--by", "item"],
        &["export"],
        &["verify"],
        &["complete", "--work-item", "X", "--step", "T001", "--outcome", "else"],
        &["blocker", "declare", "--work-item", "X", "--type", "other", "--notes", evil],
        &["blocker", "declare", "--work-item", "X", "--type", evil, "--notes", "x"],
        &["blocker", "list"],
        &["status", "X"],
        &["status", "X", "--why-not", "T003"],
        &["brief", "X", "T003"],
        &["blocker", "resolve", "--work-item", "X", "--id", "blocker-1", "--resolution", evil],
        &["blocker", "list", "--all"],
        &["rework", "--work-item", "X", "--return-to", "T001", "--reason", evil],
        &[
            "rework",
            "--work-item",
            "X",
            "--return-to",
            "T001",
            "--reason",
            evil,
            "--release-claims",
        ],
        &["owner", "transfer", "--work-item", "X", "--to", "dev@it", "--reason", evil],
        &["owner", "show", "X"],
        &["resume", "--work-item", "X", "--reason", evil],
        &["review", "flag", "--work-item", "X", "--reason", evil],
        &["claim", "--work-item", "X", "--step", "T001"],
        &["review", "list"],
        &["review", "merge", "--work-item", "X", "--into", "Z", "--rationale", evil],
        &["review", "list", "--all"],
        &["claim", "--work-item", "X", "--step", "T001"],
        &["brief", "X", "T001"],
        &["status", "X"],
        &["schedule", "X"],
        &["log", "X"],
        &["review", "overturn", "--work-item", "X", "--rationale", evil],
        &["cancel", "--work-item", "X", "--reason", evil],
        &["status", "X"],
        &["export", "--format", "md"],
    ] {
        let ran = room.run(args);
        for text in [&ran.stdout, &ran.stderr] {
            let bad = text.chars().find(|c| {
                (c.is_control() && !matches!(c, '\n' | '\t'))
                    || matches!(c, '\u{202a}'..='\u{202e}')
            });
            // JSON escapes controls itself; bidi in it is data, not a screen.
            let json = args == ["export"];
            assert!(bad.is_none() || json && bad == Some('\u{202e}'), "{args:?}: {bad:?}\n{ran}");
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn an_answer_that_did_not_arrive_says_so() {
    let room = Room::with_ledger();
    room.ok(&["delegate", "--prompt", "x", "--work-item", "X"]);
    let full = || std::fs::OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
    for args in
        [&["claim", "--next", "--quiet"][..], &["status"], &["export"], &["verify", "--json"]]
    {
        let output = room.stepseal(args).stdout(full()).output().expect("the binary starts");
        let ran = crate::kit::Ran::of(&output);
        assert_eq!(ran.code, 8, "{args:?} {ran}");
        assert!(ran.stderr.contains("could not be written to stdout"), "{args:?} {ran}");
        assert_eq!(ran.stderr.contains("is recorded all the same"), args[0] == "claim", "{ran}");
    }
    // A reader that went away is no error.
    let mut child = room
        .stepseal(&["export"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("the binary starts");
    drop(child.stdout.take());
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}

/// How many processes of a group still run; one that ended and waits to be reaped does not.
#[cfg(target_os = "linux")]
fn living(group: i32) -> usize {
    let processes = std::fs::read_dir("/proc").expect("/proc");
    let stats =
        processes.filter_map(|entry| std::fs::read_to_string(entry.ok()?.path().join("stat")).ok());
    stats
        .filter(|stat| {
            let fields: Vec<&str> =
                stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
            let state = fields.first().copied().unwrap_or("Z");
            fields.get(2).and_then(|g| g.parse().ok()) == Some(group) && !matches!(state, "Z" | "X")
        })
        .count()
}

/// A person stops a check: its processes end with it, nothing is recorded, the claim stays.
#[cfg(target_os = "linux")]
#[test]
fn a_cancelled_check_is_ended_and_nothing_is_recorded() {
    let room = Room::live();
    let marker = room.path().join("running");
    room.write(
        "w.yaml",
        &format!(
            "name: w\nsteps:\n  - key: a\n    exit:\n      - id: slow\n        text: It ends\n        \
             check: {{ run: [sh, -c, 'echo $$ > {} && sleep 600 & wait'] }}\n",
            marker.display()
        ),
    );
    room.ok(&["delegate", "--plan", "w.yaml", "--work-item", "W"]);
    room.ok(&["claim", "--next", "--quiet"]);
    let args =
        ["complete", "--work-item", "W", "--step", "a", "--outcome", "x", "--run-checks", "--json"];
    let child = room
        .stepseal(&args)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let started = std::time::Instant::now();
    let read = || std::fs::read_to_string(&marker).unwrap_or_default();
    while read().trim().is_empty() {
        assert!(started.elapsed().as_secs() < 60, "the check never started");
        std::thread::yield_now();
    }
    let check: i32 = read().trim().parse().expect("a process id");
    let kill = |signal: &str, process: &str| {
        room.program("kill").args([signal, process]).output().expect("kill starts")
    };
    kill("-TERM", &child.id().to_string());
    let output = child.wait_with_output().expect("it ends");
    let ran = crate::kit::Ran::of(&output);
    assert_eq!(ran.code, 7, "{ran}");
    let refusal: serde_json::Value = serde_json::from_str(&ran.stdout).expect("one document");
    assert_eq!((&refusal["kind"], &refusal["recorded"]), (&"cancelled".into(), &false.into()));
    assert_eq!(living(check), 0, "the check's processes are still there");
    let (_, status) = room.json(&["status", "W"]);
    assert_eq!(status["item"]["steps"][0]["state"], "held", "the claim stays");
}

#[test]
fn outputs_stay_inside_the_work_tree() {
    let room = Room::with_ledger();
    room.ok(&["delegate", "--prompt", "x", "--work-item", "X"]);
    room.ok(&["claim", "--next", "--quiet"]);
    std::fs::write(room.path().join("outside.txt"), "x").expect("a file");
    let complete = ["complete", "--work-item", "X", "--step", "phase-setup", "--outcome", "x"];
    for path in ["../outside.txt", "missing.txt", "."] {
        let mut args = complete.to_vec();
        args.extend(["--output", path]);
        let ran = room.run(&args);
        assert_eq!(ran.code, 2, "{path}: {ran}");
    }
    room.write("inside/out.txt", "x");
    let mut args = complete.to_vec();
    args.extend(["--output", "./inside/out.txt"]);
    room.ok(&args);
    let (_, status) = room.json(&["status", "X"]);
    let outputs = &status["item"]["steps"][0]["attempts"][0]["outputs"];
    assert_eq!(outputs[0]["path"], "inside/out.txt");
}

/// A foreign change that another foreign commit took back: no file is different, the commits are
/// still named, and can be answered.
#[test]
fn a_foreign_change_that_was_taken_back_can_be_answered() {
    let room = Room::with_ledger();
    room.ok(&["delegate", "--prompt", "x", "--work-item", "X"]);
    let path = room.ledger_file("X.json");
    let sealed = room.ledger_text(&path);
    let commit = room.tamper(&[(&path, Some("{}\n"))]);
    room.tamper(&[(&path, Some(&sealed))]);
    let (code, report) = room.json(&["verify"]);
    assert_eq!((code, report["findings"][0]["class"].as_str()), (10, Some("foreign-commit")));
    assert_eq!(report["findings"][0]["commit"], commit.as_str());
    room.ok(&["correct", "X", "--reason", "looked at it"]);
    let (code, report) = room.json(&["verify", "--deep"]);
    assert_eq!(code, 0, "{report:#}");
    assert_eq!(report["corrected"][0]["commit"], commit.as_str());
    room.ok(&["claim", "--next", "--quiet"]);
}

#[test]
fn a_file_of_an_item_nobody_knows_can_be_removed() {
    let room = Room::with_ledger();
    room.ok(&["delegate", "--prompt", "x", "--work-item", "X"]);
    room.tamper(&[("artifacts/handoff/zz/Q/000001-x.json", Some("{}\n"))]);
    let (code, report) = room.json(&["verify"]);
    assert_eq!((code, report["findings"][0]["class"].as_str()), (10, Some("unsealed")));
    for words in next(&report).iter().filter(|words| words[1] == "correct") {
        assert!(!words.contains(&"Q".to_owned()), "{words:?}");
    }
    room.ok(&["correct", "--reason", "not ours"]);
    room.ok(&["verify", "--deep"]);
}

#[test]
fn a_merge_can_be_answered() {
    let room = Room::with_ledger();
    room.ok(&["delegate", "--prompt", "x", "--work-item", "X"]);
    let tree = room.git(&["rev-parse", "stepseal-ledger^{tree}"]);
    let other = room.git(&["commit-tree", tree.trim(), "-m", "other"]);
    let merge = room.git(&[
        "commit-tree",
        tree.trim(),
        "-p",
        "stepseal-ledger",
        "-p",
        other.trim(),
        "-m",
        "merge",
    ]);
    room.git(&["update-ref", "refs/heads/stepseal-ledger", merge.trim()]);
    let (code, report) = room.json(&["verify"]);
    assert_eq!((code, report["findings"][0]["class"].as_str()), (10, Some("foreign-commit")));
    room.ok(&["correct", "--reason", "it changed nothing"]);
    room.ok(&["verify", "--deep"]);
}

#[test]
fn the_ledger_is_named_once() {
    let room = Room::with_ledger();
    let mut command = room.stepseal(&["status"]);
    command.env("STEPSEAL_LEDGER_BRANCH", "another");
    let ran = crate::kit::Ran::of(&command.output().expect("the binary starts"));
    assert_eq!(ran.code, 4, "{ran}");
    assert!(ran.stderr.contains("stepseal-ledger, not another"), "{ran}");
    assert!(ran.stderr.contains("STEPSEAL_LEDGER_BRANCH"), "{ran}");
}
