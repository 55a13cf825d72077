//! What people see is text (P24): whatever a plan, a file name, a person or an outsider wrote, it
//! reaches a terminal or a pipe without a character that acts. Asked by every command that speaks
//! to people, through a pipe and in a terminal.

use std::collections::BTreeMap;

use serde_json::json;

use super::kit::{Room, STEPSEAL, figure, rounds, skipped};

/// Two hundred texts with something in them that acts.
fn corpus() -> Vec<String> {
    let mut texts: Vec<String> = Vec::new();
    let controls = (1u32..0x20).chain(0x7f..0xa0).filter(|c| ![0x09, 0x0a].contains(c));
    texts.extend(controls.filter_map(char::from_u32).map(|c| format!("a{c}b")));
    let formats = [
        0xad, 0x34f, 0x61c, 0x115f, 0x1160, 0x17b4, 0x17b5, 0x180e, 0x200b, 0x200c, 0x200d, 0x200e,
        0x200f, 0x2028, 0x2029, 0x202a, 0x202b, 0x202c, 0x202d, 0x202e, 0x2060, 0x2061, 0x2062,
        0x2063, 0x2064, 0x2066, 0x2067, 0x2068, 0x2069, 0x206a, 0x206f, 0x3164, 0xfeff, 0xffa0,
        0xfff9, 0xfffa, 0xfffb, 0x1d173, 0x1d17a, 0xe0001, 0xe0020, 0xe0041, 0xe007f,
    ];
    texts.extend(formats.iter().filter_map(|&c| char::from_u32(c)).map(|c| format!("a{c}b")));
    // Screens cleared, titles set, colours, links, clipboards, cursors, other screens, resets.
    let sequences = [
        "[2J",
        "[H",
        "[1;1H",
        "[31m",
        "[35m",
        "[8m",
        "[5m",
        "[0m",
        "[38;5;196m",
        "[?1049h",
        "[?25l",
        "[6n",
        "[c",
        "[>c",
        "[21t",
        "[1A",
        "[2K",
        "[s",
        "[u",
        "[4h",
        "[20h",
        "[?2004h",
        "[?1000h",
        "]0;title\u{7}",
        "]2;title\u{1b}\\",
        "]8;;http://x\u{1b}\\y\u{1b}]8;;\u{1b}\\",
        "]52;c;eA==\u{7}",
        "]4;1;?\u{7}",
        "]10;?\u{7}",
        "]1337;File=:eA==\u{7}",
        "]777;notify;a;b\u{7}",
        "P$q\"p\u{1b}\\",
        "P1000p",
        "_Gi=1\u{1b}\\",
        "^pm\u{1b}\\",
        "Xsos\u{1b}\\",
        "c",
        "7",
        "8",
        "D",
        "E",
        "M",
        "Z",
        "=",
        ">",
        "(0",
        ")B",
        "#8",
        "%G",
        "N",
        "O",
        "\\",
    ];
    texts.extend(sequences.iter().map(|sequence| format!("\u{1b}{sequence}x")));
    texts.extend(["2J", "31m", "6n"].iter().map(|rest| format!("\u{9b}{rest}x")));
    texts.extend(["0;t\u{7}", "52;c;eA==\u{9c}"].iter().map(|rest| format!("\u{9d}{rest}x")));
    // Written over, written backwards, hidden between lines.
    texts.extend(
        [
            "rm -rf /\r               safe",
            "no\u{8}\u{8}yes",
            "a\u{b}b\u{c}c",
            "x\u{0}y",
            "\u{202e}gnp.exe",
            "\u{2066}a\u{2069}\u{2067}b",
            "user\u{200f}\u{200e}name",
            "a\u{2028}error: forged",
            "a\u{2029}next  rm -rf /",
            "\u{feff}start",
            "end\u{feff}",
            "p\u{200d}q\u{200c}r",
            "\u{1b}\u{1b}\u{1b}[31m",
            "\u{1b}[\u{1b}[31m31m",
            "\u{e0041}\u{e0042}hidden tags",
            "a\u{85}error: forged",
        ]
        .iter()
        .map(|text| (*text).to_owned()),
    );
    let mut at = 0;
    while texts.len() < 200 {
        texts.push(format!("{} {} {}", texts[at], texts[at * 3 % 120], texts[at * 7 % 120]));
        at += 1;
    }
    texts
}

/// What must never be seen, but where stepseal itself styles: line ends and tabs are.
fn acts(c: char) -> bool {
    let format = matches!(u32::from(c),
        0xad | 0x34f | 0x61c | 0x115f | 0x1160 | 0x17b4 | 0x17b5 | 0x180b..=0x180f
        | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f | 0x3164 | 0xfeff | 0xffa0
        | 0xfff0..=0xfffb | 0x1d173..=0x1d17a | 0xe0000..=0xe0fff);
    (c.is_control() && c != '\n' && c != '\t') || format
}

/// How a command is listened to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ear {
    Pipe,
    /// A terminal without colour.
    Plain,
    /// A terminal with stepseal's own styling.
    Styled,
}

/// Everything a command said, to stdout and stderr; none where there is no terminal to have.
fn heard(room: &Room, ear: Ear, args: &[String]) -> Option<(i32, String)> {
    let quoted = |word: &String| format!("'{}'", word.replace('\'', "'\\''"));
    let mut command = match ear {
        Ear::Pipe => {
            let mut command = room.program(STEPSEAL);
            command.args(args);
            command
        }
        Ear::Plain | Ear::Styled => {
            let words: Vec<String> = args.iter().map(quoted).collect();
            let mut command = room.program("script");
            command.args(["--quiet", "--return", "--flush", "--command"]);
            command.arg(format!("{STEPSEAL} {}", words.join(" "))).arg("/dev/null");
            command.env("TERM", "xterm-256color").env("SHELL", "/bin/sh");
            command
        }
    };
    if ear == Ear::Plain {
        command.env("NO_COLOR", "1");
    }
    let output = match command.env("STEPSEAL_NOW", "2026-11-20T12:00:00Z").output() {
        Ok(output) => output,
        Err(error) => {
            skipped(&format!("what a terminal sees: script does not start: {error}"));
            return None;
        }
    };
    let code = output.status.code().unwrap_or(-1);
    let mut text = String::from_utf8(output.stdout).expect("UTF-8");
    text.push_str(&String::from_utf8(output.stderr).expect("UTF-8"));
    // The terminal's own line ends.
    let text = if ear == Ear::Pipe { text } else { text.replace("\r\n", "\n") };
    Some((code, text))
}

/// The styles of src/cli/ui.rs and of the line with a caret, and nothing else that begins so.
fn unstyled(text: &str) -> String {
    let mut rest = text;
    let mut plain = String::new();
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        plain.push_str(before);
        let (codes, after_m) = after.split_once('m').unwrap_or((after, ""));
        let own = [
            "0", "1", "2", "4", "31", "32", "33", "91", "94", "96", "38;5;9", "38;5;12", "38;5;14",
        ];
        if own.contains(&codes) {
            rest = after_m;
        } else {
            plain.push_str("\u{1b}[");
            rest = after;
        }
    }
    plain.push_str(rest);
    plain
}

/// A room whose every text is hostile: a plan, what was said of its steps, and an outsider's files.
fn hostile(texts: &[String]) -> Room {
    let room = Room::with_ledger();
    // JSON takes what YAML and people's keyboards do not; NUL is no part of an argument.
    let steps: Vec<_> = texts
        .iter()
        .enumerate()
        .map(|(n, text)| {
            json!({
                "key": format!("s{n:03}"), "order": n / 20 + 1, "parallelizable": true,
                "title": text, "description": text, "done": text, "role": "any",
                "entry": [{ "id": "in", "text": text }],
                "exit": [{ "id": "out", "text": text }],
            })
        })
        .collect();
    let plan = json!({ "name": "hostile", "title": texts.concat(), "steps": steps });
    room.write("plan.json", &plan.to_string());
    let gate = json!({
        "name": "gated", "title": texts[0],
        "steps": [{ "key": "a" }, { "key": "ok", "title": texts[40], "gate": { "kind": "review" } }],
    });
    room.write("gate.json", &gate.to_string());
    room
}

/// Texts as one argument.
fn words(texts: &[String]) -> String {
    texts.iter().map(|text| text.replace('\0', "")).collect::<Vec<_>>().join(" ")
}

#[test]
fn nothing_acts_on_a_terminal() {
    let texts = corpus();
    assert_eq!(texts.len(), 200);
    assert!(texts.iter().all(|text| text.chars().any(acts)), "each has something that acts");
    let room = hostile(&texts);
    let said = |nth: usize| words(&texts[nth * 20..(nth + 1) * 20]);
    let id = |nth: usize| texts[nth].replace('\0', "");
    let owned = |args: &[&str]| args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>();
    let all = words(&texts);
    let mut asks: Vec<(i32, Vec<String>)> = Vec::new();
    let mut ask = |code: i32, args: &[&str]| asks.push((code, owned(args)));
    // What is told of a plan, and of plans that are wrong.
    ask(0, &["delegate", "--plan", "plan.json", "--dry-run"]);
    ask(0, &["workflow", "show", "plan.json"]);
    ask(0, &["workflow", "graph", "plan.json"]);
    room.write("bad.yaml", &format!("name: x\nsteps:\n  - key: \"{}\"\n", "\u{202e}\u{200b}"));
    ask(2, &["delegate", "--plan", "bad.yaml", "--dry-run"]);
    let field = json!({ "name": "x", "steps": [{ "key": "a", &texts[60]: 1 }] });
    room.write("field.json", &field.to_string());
    ask(2, &["workflow", "show", "field.json"]);
    room.write("raw.toml", &format!("name = \"x\" # {}\nsteps = 1\n", words(&texts[61..100])));
    ask(2, &["workflow", "show", "raw.toml"]);
    let lines = texts.iter().filter(|text| !text.contains(['\r', '\0', '\n'])).enumerate();
    let lines: String = lines.map(|(n, text)| format!("- [ ] T{n:03} do {text} now\n")).collect();
    room.write("tasks.md", &format!("# Tasks: {}\n\n## Phase 1: Setup\n\n{lines}", texts[80]));
    ask(0, &["delegate", "--plan", "tasks.md", "--dry-run"]);
    // Things that are not there, named in every way there is.
    for nth in (0..200).step_by(rounds(39, 13)) {
        let name = format!("x{}", id(nth));
        ask(2, &["status", &name]);
        ask(2, &["claim", "--work-item", "W", "--step", &name]);
        ask(2, &["claim", "--work-item", "W", "--attempt", &name]);
        ask(2, &["claim", "--next", "--executor", &name]);
        ask(2, &["init", "--branch", &name]);
        ask(2, &[&name]);
        ask(2, &["status", "--color", &name]);
        ask(5, &["delegate", "--plan", &name]);
        ask(5, &["schema", &name]);
        ask(2, &["verify", "--mark", &name]);
        ask(2, &["-C", &name, "status", "--nope"]);
        ask(2, &["correct", "--reason", "x", "--path", &name]);
        ask(2, &["log", "--at", &name]);
    }
    room.ok(&["delegate", "--plan", "plan.json", "--work-item", "W", "--label", &all]);
    room.ok(&["delegate", "--plan", "gate.json", "--work-item", "G", "--title", &said(4)]);
    for nth in 0..5 {
        let (step, outcome, next) = (format!("s{nth:03}"), said(nth), said(nth + 1));
        room.ok(&["claim", "--work-item", "W", "--step", &step, "--attest-all"]);
        let evidence = format!("out={}", said(nth + 2));
        let complete = ["complete", "--work-item", "W", "--step", &step, "--verified", &evidence];
        room.ok(&[&complete[..], &["--outcome", &outcome, "--next-action", &next]].concat());
    }
    let named = ["--work-item", "W", "--step"];
    room.ok(&[&["claim"], &named[..], &["s006", "--attest-all"]].concat());
    room.ok(&[&["release"], &named[..], &["s006", "--reason", &said(5)]].concat());
    room.ok(&[&["skip"], &named[..], &["s007", "--reason", &said(6)]].concat());
    room.ok(&[&["claim"], &named[..], &["s008", "--attest-all"]].concat());
    room.ok(&[&["complete"], &named[..], &["s008", "--status", "failed", "--outcome", &said(7)]]
        .concat());
    room.ok(&[&["requeue"], &named[..], &["s008", "--reason", &said(8)]].concat());
    room.ok(&["review", "flag", "--work-item", "W", "--reason", &said(9)]);
    let flagged: Vec<Vec<String>> =
        vec![owned(&["status", "W"]), owned(&["claim", "--work-item", "W", "--step", "s009"])];
    // Told of what was recorded.
    ask(0, &["status"]);
    ask(0, &["status", "G"]);
    ask(0, &["status", "W", "--why-not", "s199"]);
    ask(0, &["schedule", "W"]);
    ask(0, &["brief", "W", "s000"]);
    ask(0, &["brief", "W", "s100"]);
    ask(0, &["log"]);
    ask(0, &["log", "W"]);
    ask(0, &["workflow", "show", "hostile"]);
    ask(0, &["workflow", "graph", "hostile", "--work-item", "W"]);
    ask(6, &["claim", "--work-item", "W", "--step", "s000"]);
    ask(6, &["complete", "--work-item", "W", "--step", "s000", "--outcome", "other"]);
    ask(4, &["claim", "--work-item", "W", "--step", "s009"]);
    ask(4, &["gate", "approve", "--work-item", "G", "--step", "ok", "--reason", "x"]);
    ask(0, &["verify"]);
    ask(0, &["config", "list", "--origin"]);
    ask(0, &["--help"]);
    let listened = listen(&room, &asks)
        + listen(
            &room,
            &flagged
                .into_iter()
                .map(|args| (if args[0] == "status" { 0 } else { 4 }, args))
                .collect::<Vec<_>>(),
        );
    let damaged = damaged(&room, &texts);
    figure(
        "P24",
        &format!(
            "0 characters that act in {} answers to {} texts, through a pipe and in a terminal",
            listened + damaged,
            texts.len()
        ),
    );
}

/// An outsider names files and writes them; `verify` and those who are stopped say so.
fn damaged(room: &Room, texts: &[String]) -> usize {
    let folder = room.ledger_file("/W/000001-_item-work-item-registered.json");
    let (folder, _) = folder.rsplit_once('/').expect("a folder");
    let changes: BTreeMap<String, Option<Vec<u8>>> = texts
        .iter()
        .step_by(7)
        .map(|text| text.replace(['\0', '/', '\n', '"'], "").replace('\\', ""))
        .map(|text| (format!("{folder}/000999-{text}.json"), Some(text.into_bytes())))
        .collect();
    let event = room.ledger_file("/W/000003-s000-attempt-claimed.json");
    let spoiled = room.ledger_text(&event).replacen("claimed", &texts[150], 1);
    let mut changes = changes;
    changes.insert(event, Some(spoiled.into_bytes()));
    let message = format!("{}\n", words(texts).replace('\n', " "));
    let told = super::forge::Told { message, changes };
    super::forge::write(room, Some(&super::forge::tip(room)), &[told]);
    let asks: Vec<(i32, Vec<String>)> = [
        (10, &["verify"][..]),
        (10, &["verify", "--quiet"]),
        (10, &["verify", "--deep"]),
        (10, &["status", "W"]),
        (0, &["status"]),
        (10, &["log", "W"]),
        (10, &["claim", "--work-item", "W", "--step", "s010"]),
        (0, &["correct", "W", "--reason", "an outsider"]),
        (0, &["verify"]),
    ]
    .into_iter()
    .map(|(code, args)| (code, args.iter().map(|arg| (*arg).to_owned()).collect()))
    .collect();
    listen(room, &asks)
}

/// Asks through every ear; says how many answers were heard.
fn listen(room: &Room, asks: &[(i32, Vec<String>)]) -> usize {
    let (mut heard_of, mut wrong) = (0, Vec::new());
    for (expected, args) in asks {
        for ear in [Ear::Pipe, Ear::Plain, Ear::Styled] {
            // What is recorded is recorded by the first who asks.
            let Some((code, text)) = heard(room, ear, args) else { break };
            heard_of += 1;
            let text = if ear == Ear::Styled { unstyled(&text) } else { text };
            let acting: Vec<String> =
                text.chars().filter(|c| acts(*c)).map(|c| c.escape_unicode().to_string()).collect();
            if !acting.is_empty() || (code != *expected && args[0] != "correct") {
                let lines = text.lines().filter(|line| line.chars().any(acts)).take(2);
                let lines: Vec<_> = lines.map(|line| line.escape_debug().to_string()).collect();
                wrong.push(format!(
                    "{ear:?} {args:?}: {code} {acting:?} {lines:#?} {:?}",
                    text.lines().next()
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{} answers: {}", wrong.len(), wrong.join("\n"));
    heard_of
}
