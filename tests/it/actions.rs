//! The program in a job of GitHub Actions: its workflows, what it tells the steps after it, and that
//! nothing anybody wrote is taken for a command. `tests/actions/run` runs the workflows themselves.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use stepseal::forge;

use crate::kit::{Ran, Room, figure};

fn root(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn this_repository_runs_the_workflows_it_writes_for_others() {
    for (path, text) in forge::FILES {
        assert_eq!(root(path), text, "{path}: copy src/forge/files over it");
    }
    let (_, action) = forge::FILES[3];
    assert_eq!(root("action.yml"), action);
}

#[test]
fn init_writes_workflows_once_and_leaves_what_is_there() {
    let room = Room::with_ledger();
    room.write(".github/workflows/execute.yml", "mine\n");
    let (code, said) = room.json(&["init", "--github"]);
    assert_eq!((code, said["wrote"].as_array().map(Vec::len)), (0, Some(3)), "{said}");
    let read = |path: &str| std::fs::read_to_string(room.repo().join(path)).expect("it is there");
    assert_eq!(read(".github/workflows/execute.yml"), "mine\n");
    assert_eq!(read(".github/workflows/orchestrator.yml"), forge::FILES[0].1);
    let (code, again) = room.json(&["init", "--github"]);
    assert_eq!((code, again["wrote"].as_array().map(Vec::len)), (0, Some(0)), "{again}");
}

/// A job's step: the files it is given, and what stands in them afterwards.
fn step(room: &Room, words: &[&str]) -> (Ran, BTreeMap<String, String>, String) {
    let file = |name: &str| room.path().join(name);
    for name in ["output", "summary"] {
        std::fs::write(file(name), "").expect("a file");
    }
    let mut command = room.stepseal(words);
    command.env("GITHUB_ACTIONS", "true").env("GITHUB_RUN_ID", "7").env("GITHUB_RUN_ATTEMPT", "1");
    command.env("GITHUB_OUTPUT", file("output")).env("GITHUB_STEP_SUMMARY", file("summary"));
    let ran = Ran::of(&command.output().expect("it starts"));
    let text = std::fs::read_to_string(file("output")).expect("outputs");
    let (mut lines, mut outputs) = (text.lines(), BTreeMap::new());
    while let Some((name, end)) = lines.next().and_then(|line| line.split_once("<<")) {
        let value: Vec<&str> = lines.by_ref().take_while(|line| *line != end).collect();
        outputs.insert(name.to_owned(), value.join("\n"));
    }
    let summary = std::fs::read_to_string(file("summary")).expect("a summary");
    (ran, outputs, summary)
}

#[test]
fn the_steps_of_a_job_are_told_the_matrix_and_people_see_a_graph() {
    let room = Room::with_ledger();
    room.write("w.yaml", "name: w\nsteps:\n  - { key: a, order: 1, parallelizable: true }\n  - { key: b, order: 1, parallelizable: true, execute: { run: [\"true\"] } }\n");
    room.ok(&["delegate", "--plan", "w.yaml", "--work-item", "W"]);
    let (ran, outputs, _) = step(&room, &["schedule", "W", "--matrix"]);
    assert_eq!((ran.code, outputs["count"].as_str()), (0, "2"));
    let matrix: Value = serde_json::from_str(&outputs["matrix"]).expect("JSON");
    assert_eq!(matrix["include"][0]["attemptId"], "a.1");
    let (_, outputs, _) = step(&room, &["schedule", "W", "--matrix", "--executable"]);
    assert_eq!(outputs["count"], "1");
    let (ran, outputs, summary) = step(&room, &["schedule", "W", "--preclaim", "--executable"]);
    assert_eq!((ran.code, outputs["count"].as_str()), (0, "1"), "{ran}");
    let matrix: Value = serde_json::from_str(&outputs["matrix"]).expect("JSON");
    assert_eq!(matrix["include"][0]["stepKey"], "b");
    assert!(summary.contains("```mermaid") && summary.contains("## `W`"), "{summary}");
    let (ran, _, _) = step(&room, &["claim", "--work-item", "W", "--step", "b"]);
    assert_eq!(ran.code, 6);
    let first = ran.stderr.lines().next().expect("a line");
    assert!(first.starts_with("::error title=stepseal claim::b of W is held by"), "{ran}");
    // A runner that gives no files, or one that is a folder, spoils nothing.
    let mut command = room.stepseal(&["schedule", "W", "--matrix"]);
    command.env("GITHUB_ACTIONS", "true").env("GITHUB_OUTPUT", room.path());
    let ran = Ran::of(&command.output().expect("it starts"));
    assert!(ran.code == 0 && ran.stderr.contains("was not written"), "{ran}");
}

/// The runner's two parsers, as its source has them.
fn commands(log: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in log.lines() {
        let first = line.trim_start().strip_prefix("::").and_then(|rest| rest.split("::").next());
        let word = |text: &str| {
            let name: String =
                text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
            (!name.is_empty()).then_some(name)
        };
        found.extend(first.and_then(word));
        found.extend(line.find("##[").and_then(|at| word(&line[at + 3..])));
    }
    found
}

/// P25: no text that anybody wrote is a command in a job's log, whatever is asked about it.
#[test]
fn nothing_that_anybody_wrote_is_a_command_of_the_workflow() {
    let hostile = [
        "::error::owned",
        "  ::add-mask::x",
        "::set-output name=a::b",
        "::stop-commands::guess",
        "##[error]owned",
        "text ##[group]more ##[endgroup]",
        "a%0A::error::b",
        "a\n::error::b",
        "a\r\n##[warning]b",
        "EOF\nmatrix={}",
    ];
    let (mut asked, mut seen) = (0, 0);
    for (n, text) in hostile.iter().enumerate() {
        let room = Room::in_memory();
        let quoted = serde_json::to_string(text).expect("a string");
        room.write("w.yaml", &format!("name: w\ntitle: {quoted}\nsteps:\n  - {{ key: a, title: {quoted}, description: {quoted}, done: {quoted}, exit: [ {{ id: t, text: {quoted} }} ] }}\n  - {{ key: b }}\n"));
        if room.run(&["delegate", "--plan", "w.yaml", "--work-item", "W"]).code != 0 {
            // What no workflow may say cannot be shown either.
            continue;
        }
        seen += 1;
        room.ok(&["claim", "--work-item", "W", "--step", "a"]);
        room.ok(&["release", "--work-item", "W", "--step", "a", "--reason", text]);
        room.ok(&["claim", "--work-item", "W", "--step", "a"]);
        room.ok(&[
            "complete",
            "--work-item",
            "W",
            "--step",
            "a",
            "--outcome",
            text,
            "--next-action",
            text,
            "--verified",
            "t",
        ]);
        room.ok(&["review", "flag", "--work-item", "W", "--reason", text]);
        for words in [
            &["status"][..],
            &["status", "W"],
            &["status", "W", "--why-not", "b"],
            &["brief", "W", "a"],
            &["brief", "W", "b"],
            &["log"],
            &["log", "W"],
            &["schedule", "W"],
            &["schedule", "W", "--matrix"],
            &["review", "list"],
            &["workflow", "show", "w"],
            &["metrics", "W"],
            &["resume", "--work-item", "W"],
            &["claim", "--work-item", "W", "--step", "b"],
            &["status", text],
            &["schedule", "W", "--preclaim"],
            &["claim", "--work-item", text, "--step", "b"],
            &["delegate", "--plan", text],
        ] {
            for more in [&[][..], &["--json"], &["--quiet"]] {
                let (ran, outputs, _) = step(&room, &[words, more].concat());
                let log = format!("{}\n{}", ran.stdout, ran.stderr);
                // Our own annotations are the only commands there are.
                let own = |word: &&String| !["error", "warning"].contains(&word.as_str());
                let found = commands(&log);
                assert_eq!(found.iter().find(own), None, "{n} {words:?} {more:?}\n{log}");
                for line in log.lines().filter(|line| line.trim_start().starts_with("::")) {
                    assert!(line.contains(" title=stepseal "), "{n} {words:?}\n{line}");
                }
                assert!(!log.contains("##["), "{n} {words:?} {more:?}\n{log}");
                assert!(
                    outputs.keys().all(|name| ["matrix", "count"].contains(&name.as_str())),
                    "{outputs:?}"
                );
                asked += 1;
            }
        }
    }
    assert!(seen >= 6, "{seen}");
    figure(
        "P25",
        &format!(
            "{asked} answers about {seen} hostile texts: no command recognised, every output whole"
        ),
    );
}
