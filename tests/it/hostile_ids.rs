//! Ids and paths from people who mean harm, or only mean something else (P21): what is outside the
//! grammar is refused before anything is written, what is inside it never becomes a path that the
//! layout does not foresee, and nothing is written anywhere else.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use proptest::prelude::{ProptestConfig, Strategy as _, any};
use proptest::{prop_assert_eq, proptest};
use serde_json::json;
use stepseal::domain::id::{
    AttemptAlias, ConstraintName, CriterionId, ExecutorId, GroupName, ItemId, PrincipalId,
    RequestId, RoleName, StepKey, WorkflowName,
};

use super::kit::{Ran, Room, figure, rounds};

const HOSTILE: [&str; 74] = [
    "",
    ".",
    "..",
    "../x",
    "a/../b",
    "a/b",
    "/etc/passwd",
    "//x",
    "a\\b",
    "..\\x",
    "C:\\x",
    "C:",
    "a:b",
    "a:b:$DATA",
    "CON",
    "con.txt",
    "NUL",
    "nul.",
    "COM1",
    "LPT9.log",
    "aux.c",
    "PRN",
    "a.",
    "a..b",
    "...",
    ".git",
    ".GIT",
    "git~1",
    ".gitmodules",
    ".gitattributes",
    "a.lock",
    "HEAD.LOCK",
    "-x",
    "--json",
    "-",
    "_ledger",
    "_item",
    "a b",
    " a",
    "a ",
    "a\tb",
    "a\nb",
    "a\rb",
    "\u{1b}[31mx",
    "é",
    "ß",
    "ı",
    "\u{212a}",
    "a\u{200b}b",
    "a\u{202e}b",
    "\u{feff}a",
    "a\u{301}",
    "ａ",
    "😀",
    "%2e%2e",
    "$(id)",
    "`id`",
    "${HOME}",
    "a;b",
    "a|b",
    "a&b",
    "a>b",
    "a*",
    "a?b",
    "[a]",
    "~",
    "~root",
    "a@{1}",
    "a^b",
    "a'b",
    "\"a\"",
    "<a>",
    "a#b",
    "a=b",
];

/// Strings too long to write down: at the limit and over it.
fn long() -> Vec<String> {
    [64, 65, 80, 81, 200, 201, 5_000].iter().map(|count| "x".repeat(*count)).collect()
}

/// L12 by hand, for what becomes a file name.
fn is_name(text: &str, longest: usize) -> bool {
    let letter = |c: char| matches!(c, 'a'..='z' | 'A'..='Z' | '0'..='9');
    let devices = ["con", "prn", "aux", "nul"];
    let lower = text.to_lowercase();
    let stem = lower.split('.').next().unwrap_or_default();
    let numbered = stem.len() == 4
        && (stem.starts_with("com") || stem.starts_with("lpt"))
        && stem.ends_with(|c: char| ('1'..='9').contains(&c));
    text.chars().all(|c| letter(c) || "._-".contains(c))
        && text.chars().next().is_some_and(letter)
        && text.chars().count() <= longest
        && !text.contains("..")
        && !text.ends_with('.')
        && !lower.ends_with(".lock")
        && !devices.contains(&stem)
        && !numbered
}

/// The same for what never becomes one.
fn is_actor(text: &str) -> bool {
    let letter = |c: char| matches!(c, 'a'..='z' | 'A'..='Z' | '0'..='9');
    text.chars().all(|c| letter(c) || "._:/@+-".contains(c))
        && text.chars().next().is_some_and(letter)
        && text.chars().count() <= 200
}

/// Every file below a folder, but git's objects.
fn files(dir: &Path, found: &mut BTreeSet<PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("a folder") {
        let entry = entry.expect("an entry");
        let path = entry.path();
        if path.ends_with(".git/objects") {
            continue;
        }
        if entry.file_type().expect("a type").is_dir() {
            files(&path, found);
        } else {
            found.insert(path);
        }
    }
}

/// A place where an id is given, how to give it there, and what the grammar says.
struct Place {
    name: &'static str,
    ask: fn(&Room, &str, usize) -> Ran,
    right: fn(&str) -> bool,
}

fn run(room: &Room, executor: &str, args: &[&str]) -> Ran {
    room.run_as(executor, args)
}

/// A plan with one step, with whatever the id is the name of.
fn planned(room: &Room, nth: usize, plan: &serde_json::Value) -> Ran {
    room.write("hostile.json", &plan.to_string());
    let item = format!("P{nth}");
    run(room, "agent-1", &["delegate", "--plan", "hostile.json", "--work-item", &item])
}

const PLACES: [Place; 11] = [
    Place {
        name: "a work item",
        ask: |room, id, _| {
            run(room, "agent-1", &["delegate", "--prompt", "x", &format!("--work-item={id}")])
        },
        right: |id| is_name(id, 64),
    },
    Place {
        name: "a step",
        ask: |room, id, nth| {
            planned(room, nth, &json!({ "name": format!("s{nth}"), "steps": [{ "key": id }] }))
        },
        right: |id| is_name(id, 64),
    },
    Place {
        name: "a workflow",
        ask: |room, id, nth| {
            planned(
                room,
                nth,
                &json!({ "name": id, "version": nth + 1, "steps": [{ "key": "a" }] }),
            )
        },
        right: |id| is_name(id, 64),
    },
    Place {
        name: "a group",
        ask: |room, id, nth| {
            let step = json!({ "key": "a", "parallelizable": true, "group": id });
            planned(room, nth, &json!({ "name": format!("g{nth}"), "steps": [step] }))
        },
        right: |id| is_name(id, 64),
    },
    Place {
        name: "a criterion",
        ask: |room, id, nth| {
            let step = json!({ "key": "a", "exit": [{ "id": id, "text": "x" }] });
            planned(room, nth, &json!({ "name": format!("c{nth}"), "steps": [step] }))
        },
        right: |id| is_name(id, 64),
    },
    Place {
        name: "a constraint",
        ask: |room, id, nth| {
            let step = json!({ "key": "a", "constraints": [id] });
            planned(room, nth, &json!({ "name": format!("k{nth}"), "steps": [step] }))
        },
        right: is_actor,
    },
    Place {
        name: "an attempt",
        ask: |room, id, nth| {
            let item = format!("A{nth}");
            let made = run(room, "agent-1", &["delegate", "--prompt", "x", "--work-item", &item]);
            assert_eq!(made.code, 0, "{made}");
            let attempt = format!("--attempt={id}");
            let args = ["claim", "--work-item", &item, "--step", "phase-setup", &attempt];
            run(room, &format!("agent-{item}"), &args)
        },
        right: |id| is_name(id, 80),
    },
    Place {
        name: "an executor",
        ask: |room, id, nth| {
            let item = format!("E{nth}");
            let made = run(room, "agent-1", &["delegate", "--prompt", "x", "--work-item", &item]);
            assert_eq!(made.code, 0, "{made}");
            let executor = format!("--executor={id}");
            run(room, "x", &["claim", "--work-item", &item, "--step", "phase-setup", &executor])
        },
        right: is_actor,
    },
    Place {
        name: "a principal",
        ask: |room, id, nth| {
            let (item, principal) = (format!("R{nth}"), format!("--principal={id}"));
            run(room, "x", &["delegate", "--prompt", "x", "--work-item", &item, &principal])
        },
        right: is_actor,
    },
    Place {
        name: "a request",
        ask: |room, id, nth| {
            let (item, request) = (format!("Q{nth}"), format!("--request-id={id}"));
            run(room, "x", &["delegate", "--prompt", "x", "--work-item", &item, &request])
        },
        right: is_actor,
    },
    Place {
        name: "a file to correct",
        ask: |room, id, _| run(room, "x", &["correct", &format!("--path={id}"), "--reason", "x"]),
        right: |_| false,
    },
];

#[test]
fn hostile_ids_are_refused_and_nothing_is_written_elsewhere() {
    let long = long();
    let ids: Vec<&str> = HOSTILE.iter().copied().chain(long.iter().map(String::as_str)).collect();
    let (mut asked, mut accepted, mut wrong) = (0, 0, Vec::new());
    for (place_at, place) in PLACES.iter().enumerate() {
        let room = Room::with_ledger();
        room.write("hostile.json", "{}");
        let mut before = BTreeSet::new();
        files(room.path(), &mut before);
        for (nth, id) in ids.iter().enumerate().filter(|(n, _)| (n + place_at) % rounds(6, 1) == 0)
        {
            asked += 1;
            let tip = super::forge::tip(&room);
            let ran = (place.ask)(&room, id, nth);
            let right = (place.right)(id);
            accepted += usize::from(right);
            let code = if right { 0 } else { 2 };
            if ran.code != code {
                wrong.push(format!("{} {id:?}: {} and not {code}: {ran}", place.name, ran.code));
            }
            let wrote = super::forge::tip(&room) != tip;
            // An attempt and an executor need an item first, which is made.
            let made = ["an attempt", "an executor"].contains(&place.name);
            if !right && wrote && !made {
                wrong.push(format!("{} {id:?} was refused and recorded", place.name));
            }
            // What is shown of it is no control character.
            if ran.stderr.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
                wrong.push(format!("{} {id:?} is echoed raw: {ran}", place.name));
            }
        }
        elsewhere(&room, &before);
        room.ok(&["verify"]);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    figure(
        "P21",
        &format!(
            "{} ids in {} places: {accepted} inside the grammar accepted, {} refused, nothing \
             written elsewhere",
            ids.len(),
            PLACES.len(),
            asked - accepted
        ),
    );
}

/// Only the ledger's own files are new, and every file of the ledger has a name it may have.
fn elsewhere(room: &Room, before: &BTreeSet<PathBuf>) {
    let mut after = BTreeSet::new();
    files(room.path(), &mut after);
    let git = room.repo().join(".git");
    for path in after.difference(before) {
        let ours = ["stepseal", "stepseal.local", "logs/refs/heads/stepseal-ledger"];
        assert!(ours.iter().any(|name| path.starts_with(git.join(name))), "{path:?} is new");
    }
    for path in room.ledger_files() {
        let parts: Vec<&str> = path.split('/').collect();
        let plain = |part: &&str| {
            part.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
                && !part.starts_with(['.', '-'])
                && !part.contains("..")
        };
        assert!(path == "README.md" || parts[0] == "artifacts", "{path}");
        assert!(parts.iter().all(plain), "{path}");
    }
}

/// Outputs are hashed where they stand: no name and no kind of file makes one read for ever, leave
/// the work tree, or reach the layout.
#[test]
#[cfg(unix)]
fn hostile_outputs_are_refused_or_recorded_as_text() {
    let room = Room::with_ledger();
    room.ok(&["delegate", "--prompt", "x", "--work-item", "W"]);
    room.ok(&["claim", "--work-item", "W", "--step", "phase-setup"]);
    let repo = room.repo();
    std::fs::write(room.path().join("secret"), "x").expect("a file");
    std::os::unix::fs::symlink("../secret", repo.join("link")).expect("a link");
    std::os::unix::fs::symlink("..", repo.join("up")).expect("a link");
    std::os::unix::fs::symlink("loop", repo.join("loop")).expect("a link");
    assert!(room.program("mkfifo").arg("pipe").status().expect("mkfifo starts").success());
    let complete = ["complete", "--work-item", "W", "--step", "phase-setup", "--outcome", "x"];
    let before = super::forge::tip(&room);
    let hostile = [
        "../secret",
        "/etc/passwd",
        "/dev/zero",
        "/proc/self/environ",
        "link",
        "up/secret",
        "loop",
        "pipe",
        ".",
        "..",
        "",
        "missing",
        "/",
        "a\nb",
        "\u{1b}]0;x\u{7}",
        "../../../../../../etc/passwd",
    ];
    for path in hostile {
        let output = format!("--output={path}");
        let ran = room.run(&[&complete[..], &[&output]].concat());
        assert_eq!(ran.code, 2, "{path:?}: {ran}");
        assert!(!ran.stderr.contains(['\u{1b}', '\u{7}']), "{path:?}: {ran}");
    }
    assert_eq!(super::forge::tip(&room), before);
    let odd = ["a b", "$(id)", "-x", "é", "..x", "a;b", "CON", "a\u{202e}b"];
    for name in odd {
        std::fs::write(repo.join(name), name).expect("a file");
    }
    let outputs = odd.map(|name| format!("--output=./{name}"));
    let args: Vec<&str> = complete.into_iter().chain(outputs.iter().map(String::as_str)).collect();
    let (code, said) = room.json(&args);
    assert_eq!(code, 0, "{said:#}");
    let path = room.ledger_file("-attempt-completed.json");
    let event: serde_json::Value = serde_json::from_str(&room.ledger_text(&path)).expect("JSON");
    let recorded = event["data"]["outputs"].as_array().expect("a list").iter();
    let recorded: BTreeSet<&str> = recorded.filter_map(|one| one["path"].as_str()).collect();
    assert_eq!(recorded, odd.into_iter().collect());
    let parts = |path: &String| path.split('/').all(|part| part.is_ascii() && !part.contains(' '));
    assert!(room.ledger_files().iter().all(parts));
}

fn hostile_text() -> impl proptest::strategy::Strategy<Value = String> {
    let pieces = [
        "..", ".", "/", "\\", "con", "nul.", "com1", ".lock", "-", "_", "a", "Z", "9", "@", ":",
        "é", "\0", "\n", " ", "~",
    ];
    proptest::collection::vec((0..pieces.len(), any::<u8>()), 0..12).prop_map(move |drawn| {
        drawn
            .into_iter()
            .map(|(at, repeat)| pieces[at].repeat(usize::from(repeat % 40 / 13 + 1)))
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: u32::try_from(rounds(2_000, 50_000)).expect("few"),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_id_type_takes_exactly_its_grammar(text in hostile_text()) {
        let name = is_name(&text, 64);
        prop_assert_eq!(text.parse::<ItemId>().is_ok(), name);
        prop_assert_eq!(text.parse::<StepKey>().is_ok(), name);
        prop_assert_eq!(text.parse::<WorkflowName>().is_ok(), name);
        prop_assert_eq!(text.parse::<GroupName>().is_ok(), name);
        prop_assert_eq!(text.parse::<CriterionId>().is_ok(), name);
        let numbered = text.rsplit_once('.').is_some_and(|(_, n)| n.bytes().all(|b| b.is_ascii_digit()));
        prop_assert_eq!(text.parse::<AttemptAlias>().is_ok(), is_name(&text, 80) && !numbered);
        let actor = is_actor(&text);
        prop_assert_eq!(text.parse::<ExecutorId>().is_ok(), actor);
        prop_assert_eq!(text.parse::<PrincipalId>().is_ok(), actor);
        prop_assert_eq!(text.parse::<RoleName>().is_ok(), actor);
        prop_assert_eq!(text.parse::<ConstraintName>().is_ok(), actor);
        prop_assert_eq!(text.parse::<RequestId>().is_ok(), actor);
    }
}
