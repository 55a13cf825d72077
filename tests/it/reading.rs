//! Looking at a ledger: what needs attention first, filters, the log in the order of recording,
//! and how it looks on a terminal: width, pager, progress, and ASCII where that is all there is.

use serde_json::Value;

use crate::kit::{Ran, Room};

const WORKFLOW: &str = "
name: w
steps:
  - { key: make }
  - { key: look, gate: { kind: review } }
  - { key: ship }
";

/// Items in every situation a person may have to look at, registered in another order than the
/// one they need attention in.
pub(crate) fn situations() -> Room {
    let room = Room::with_ledger();
    room.write("w.yaml", WORKFLOW);
    let ids = ["DONE", "RUNS", "READY", "URGENT", "GATE", "FAILED", "SUSPECT"];
    for id in ids {
        let mut args = vec!["delegate", "--plan", "w.yaml", "--work-item", id, "--title", id];
        match id {
            "URGENT" => args.extend(["--priority", "1", "--label", "shop"]),
            "READY" => args.extend(["--label", "shop", "--label", "web", "--owner", "owner-1"]),
            _ => {}
        }
        room.ok(&args);
    }
    let make = |id: &str, status: &str| {
        let step = ["--work-item", id, "--step", "make", "--executor", id];
        room.ok(&[&["claim"], &step[..]].concat());
        let end = ["--status", status, "--outcome", "so it is"];
        room.ok(&[&["complete"], &step[..], &end].concat());
    };
    make("DONE", "completed");
    make("GATE", "completed");
    make("FAILED", "failed");
    let look = ["--work-item", "DONE", "--step", "look"];
    room.ok(&[&["gate", "approve"], &look[..], &["--reason", "good"]].concat());
    room.ok(&["claim", "--work-item", "DONE", "--step", "ship", "--executor", "DONE"]);
    let ship = ["--work-item", "DONE", "--step", "ship", "--executor", "DONE"];
    room.ok(&[&["complete"], &ship[..], &["--outcome", "shipped"]].concat());
    room.ok(&["claim", "--work-item", "RUNS", "--step", "make", "--executor", "agent-7"]);
    room.ok(&["review", "flag", "--work-item", "SUSPECT", "--reason", "twin"]);
    room
}

/// The first cell of each row.
fn ids(stdout: &str) -> Vec<String> {
    let rows = stdout.lines().skip(1).take_while(|line| !line.starts_with('…'));
    rows.filter_map(|line| line.split('\t').next()).map(str::to_owned).collect()
}

#[test]
fn what_needs_a_person_comes_first_and_what_is_over_last() {
    let room = situations();
    let said = room.ok(&["status"]);
    let order = ["FAILED", "SUSPECT", "GATE", "URGENT", "READY", "RUNS", "DONE"];
    assert_eq!(ids(&said), order, "{said}");
    let sorted = |by: &str| ids(&room.ok(&["status", "--sort", by]));
    let mut names = order.to_vec();
    names.sort_unstable();
    assert_eq!(sorted("id"), names);
    assert_eq!(
        sorted("registered"),
        ["DONE", "RUNS", "READY", "URGENT", "GATE", "FAILED", "SUSPECT"]
    );
    assert_eq!(sorted("changed")[..2], ["SUSPECT", "RUNS"]);
    assert_eq!(sorted("priority")[0], "URGENT");
    assert_eq!(sorted("wait")[0], "READY");
    // Data is in the order of ids unless somebody asks.
    let (_, data) = room.json(&["status"]);
    assert_eq!(named(&data), names);
    let quiet = room.ok(&["status", "--quiet"]);
    let quiet: Vec<&str> = quiet.lines().filter_map(|line| line.split('\t').next()).collect();
    assert_eq!(quiet, names);
}

fn named(portfolio: &Value) -> Vec<&str> {
    let items = portfolio["items"].as_array().expect("items");
    items.iter().map(|item| item["workItemId"].as_str().expect("an id")).collect()
}

/// Each filter against the same question asked of the whole portfolio's data.
#[test]
fn filters_leave_what_fits() {
    let room = situations();
    let (_, all) = room.json(&["status"]);
    let items = all["items"].as_array().expect("items").clone();
    let fits = |args: &[&str], fits: &dyn Fn(&Value) -> bool| {
        let (code, said) = room.json(&[&["status"], args].concat());
        assert_eq!(code, 0, "{said}");
        let expected: Vec<&Value> = items.iter().filter(|item| fits(item)).collect();
        let found: Vec<&Value> = said["items"].as_array().expect("items").iter().collect();
        assert_eq!(found, expected, "{args:?}");
        assert_eq!(said["total"], expected.len(), "{args:?}");
        expected.len()
    };
    let has = |item: &Value, field: &str, word: &str| {
        item[field].as_array().expect("a list").iter().any(|label| label == word)
    };
    let is = |item: &Value, word: &str| item["status"] == word || has(item, "flags", word);
    assert_eq!(fits(&["--status", "ready"], &|item| is(item, "ready")), 2);
    let either = ["--status", "ready", "--status", "completed"];
    assert_eq!(fits(&either, &|item| is(item, "ready") || is(item, "completed")), 3);
    assert_eq!(fits(&["--label", "shop"], &|item| has(item, "labels", "shop")), 2);
    let both = ["--label", "shop", "--label", "web"];
    assert_eq!(fits(&both, &|i| has(i, "labels", "shop") && has(i, "labels", "web")), 1);
    assert_eq!(fits(&["--owner", "owner-1"], &|item| item["owner"] == "owner-1"), 1);
    assert_eq!(fits(&["--workflow", "w"], &|_| true), items.len());
    assert_eq!(fits(&["--workflow", "w@1"], &|_| true), items.len());
    assert_eq!(fits(&["--workflow", "w@2"], &|_| false), 0);
    let holds = |item: &Value| item["inProgress"][0]["executor"] == "agent-7";
    assert_eq!(fits(&["--executor", "agent-7"], &holds), 1);
    assert_eq!(fits(&["--executor", "agent-8"], &|_| false), 0);
    // Time: the middle of what happened, as a time and counted back from the latest record.
    let time = |item: &Value| item["lastAt"].as_str().expect("a time").to_owned();
    let mut times: Vec<String> = items.iter().map(time).collect();
    times.sort();
    let (middle, latest) = (times[3].clone(), times[6].clone());
    let since = fits(&["--since", &middle], &|item| time(item) >= middle);
    let until = fits(&["--until", &middle], &|item| time(item) <= middle);
    assert_eq!((since, until), (4, 4));
    let seconds =
        |text: &str| chrono::DateTime::parse_from_rfc3339(text).expect("a time").timestamp();
    let back = format!("{}s", seconds(&latest) - seconds(&middle));
    fits(&["--since", &back], &|item| time(item) >= middle);
    fits(&["--since", "2026-11-20"], &|_| true);
    fits(&["--until", "2026-11-19"], &|_| false);
    // Not by the clock: a year later the same.
    let ask = ["status", "--since", &back, "--json"];
    let later = room.stepseal(&ask).env("STEPSEAL_NOW", "2027-11-20T00:00:00Z").output();
    assert_eq!(Ran::of(&later.expect("it starts")).stdout, room.ok(&ask));
}

#[test]
fn filters_that_make_no_sense_are_refused() {
    let room = situations();
    for (args, said) in [
        (&["status", "--since", "yesterday"][..], "it takes a date"),
        (&["status", "--status", "redy"], "redy"),
        (&["status", "--limit", "3", "--all"], "cannot be used with"),
        (&["status", "READY", "--label", "x"], "one item was named"),
        (&["status", "READY", "--all"], "one item was named"),
        (&["log", "--event", "nothing"], "nothing"),
        (&["log", "NOBODY"], "no work item NOBODY"),
    ] {
        let ran = room.run(args);
        assert!(matches!(ran.code, 2 | 5), "{args:?} {ran}");
        assert!(ran.stderr.contains(said), "{args:?} {ran}");
    }
    // An item without a matching event is no unknown item.
    assert_eq!(room.ok(&["log", "READY", "--event", "gate-approved"]), "");
    let ran = room.run(&["status", "--label", "nobody has it"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "none of 7 items fits\n"), "{ran}");
}

#[test]
fn a_long_portfolio_shows_its_beginning_and_how_to_see_the_rest() {
    let room = Room::with_ledger();
    for n in 1..=43 {
        let id = format!("I{n:02}");
        room.ok(&["delegate", "--prompt", &id, "--work-item", &id, "--quiet"]);
    }
    let said = room.ok(&["status"]);
    assert_eq!(ids(&said).len(), 40);
    let last = said.lines().last();
    assert_eq!(last, Some("… and 3 more: stepseal status --all"), "{said}");
    let said = room.run(&["status", "--sort", "id", "--status", "ready"]);
    let rest = "… and 3 more: stepseal status --sort id --status ready --all\n";
    assert!(said.stdout.ends_with(rest), "{said}");
    // The summary counts what fits, shown or not.
    assert!(said.stderr.contains("43 items · 43 steps ready · nobody working"), "{said}");
    assert_eq!(ids(&room.ok(&["status", "--all"])).len(), 43);
    let few = room.ok(&["status", "--limit", "3"]);
    assert_eq!((ids(&few).len(), few.lines().last()), (3, Some("… and 40 more")));
    // One row more says more than that there is one.
    assert_eq!(ids(&room.ok(&["status", "--until", &latest_of(&room, 41)])).len(), 41);
    let (_, data) = room.json(&["status"]);
    assert_eq!((named(&data).len(), data["total"].as_u64()), (43, Some(43)));
    let (_, data) = room.json(&["status", "--limit", "3"]);
    assert_eq!((named(&data).len(), data["total"].as_u64()), (3, Some(43)));
    assert_eq!(room.ok(&["status", "--quiet"]).lines().count(), 43);
}

/// When the Nth item was registered.
fn latest_of(room: &Room, n: usize) -> String {
    let (_, data) = room.json(&["status"]);
    let mut times: Vec<&str> = data["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|item| item["lastAt"].as_str().expect("a time"))
        .collect();
    times.sort_unstable();
    times[n - 1].to_owned()
}

/// Ids and kinds of events in the order of recording, as the commits' own trailers tell it.
fn recorded(room: &Room) -> Vec<(String, String)> {
    let bodies =
        room.git(&["log", "--first-parent", "--reverse", "--format=%B", "stepseal-ledger"]);
    let trailers = bodies.lines().filter_map(|line| line.strip_prefix("Stepseal-Event: "));
    trailers
        .map(|line| line.split_once(' ').expect("a kind and an id"))
        .map(|(kind, id)| (id.to_owned(), kind.to_owned()))
        .collect()
}

fn told(room: &Room, args: &[&str]) -> Vec<(String, String)> {
    let said = room.ok(&[args, &["--quiet"]].concat());
    let pairs = said.lines().map(|line| line.split_once('\t').expect("an id and a kind"));
    pairs.map(|(id, kind)| (id.to_owned(), kind.to_owned())).collect()
}

#[test]
fn the_log_is_what_was_recorded_in_that_order() {
    let room = situations();
    let all = recorded(&room);
    assert!(all.len() > 20, "{}", all.len());
    assert_eq!(told(&room, &["log"]), all);
    let mut back = all.clone();
    back.reverse();
    assert_eq!(told(&room, &["log", "--reverse"]), back);
    assert_eq!(told(&room, &["log", "-n", "5"]), all[all.len() - 5..]);
    assert_eq!(told(&room, &["log", "--limit", "5", "--reverse"]), back[..5]);
    assert_eq!(told(&room, &["log", "-n", "1000"]), all);
    assert_eq!(told(&room, &["log", "-n", "0"]), []);
    let completed: Vec<_> =
        all.iter().filter(|(_, kind)| kind == "attempt-completed").cloned().collect();
    assert_eq!(told(&room, &["log", "--event", "attempt-completed"]), completed);
    // JSON says the same, one document a line.
    let lines = room.ok(&["log", "--json"]);
    let said: Vec<Value> =
        lines.lines().map(|line| serde_json::from_str(line).expect("a document")).collect();
    let ids: Vec<&str> = said.iter().filter_map(|line| line["artifact"]["id"].as_str()).collect();
    assert_eq!(ids, all.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>());
    // Each filter against the same question asked of the data.
    let fits = |args: &[&str], fits: &dyn Fn(&Value) -> bool| {
        let expected: Vec<String> = said
            .iter()
            .map(|line| &line["artifact"])
            .filter(|artifact| fits(artifact))
            .map(|artifact| artifact["id"].as_str().expect("an id").to_owned())
            .collect();
        let found: Vec<String> =
            told(&room, &[&["log"], args].concat()).into_iter().map(|(id, _)| id).collect();
        assert_eq!(found, expected, "{args:?}");
        assert!(!found.is_empty(), "{args:?} finds nothing to compare");
    };
    fits(&["GATE"], &|a| a["workItemId"] == "GATE");
    fits(&["--step", "make"], &|a| a["step"]["key"] == "make");
    fits(&["GATE", "--step", "make"], &|a| a["workItemId"] == "GATE" && a["step"]["key"] == "make");
    fits(&["--executor", "agent-7"], &|a| a["actor"]["id"] == "agent-7");
    fits(&["--workflow", "w@1"], &|a| a["workflow"]["name"] == "w");
    fits(&["--label", "shop"], &|a| a["workItemId"] == "READY" || a["workItemId"] == "URGENT");
    fits(&["--status", "completed"], &|a| a["workItemId"] == "DONE");
    fits(&["--owner", "owner-1"], &|a| a["workItemId"] == "READY");
    let middle = said[said.len() / 2]["artifact"]["timestamp"].as_str().expect("a time").to_owned();
    let time = |a: &Value| a["timestamp"].as_str().expect("a time").to_owned();
    fits(&["--since", &middle], &|a| time(a) >= middle);
    fits(&["--until", &middle], &|a| time(a) <= middle);
}

/// `log -n` reads the end of a ledger whose beginning is gone; the whole log tells the rest of it
/// and ends as damaged.
#[test]
fn the_end_of_the_log_is_read_without_its_beginning() {
    let room = situations();
    let first = room.ledger_file("DONE/000001-_item-work-item-registered.json");
    let oid = room.git(&["rev-parse", &format!("stepseal-ledger:{first}")]);
    let oid = oid.trim();
    let object = room.repo().join(".git/objects").join(&oid[..2]).join(&oid[2..]);
    std::fs::remove_file(&object).expect("a loose object");
    let all = recorded(&room);
    assert_eq!(told(&room, &["log", "-n", "4"]), all[all.len() - 4..]);
    let ran = room.run(&["log", "--quiet"]);
    assert_eq!(ran.code, 11, "{ran}");
    assert_eq!(ran.stdout.lines().count(), all.len() - 1, "{ran}");
    let ran = room.run(&["log", "--json"]);
    let last = ran.stdout.lines().last().expect("a line");
    let refusal: Value = serde_json::from_str(last).expect("a document");
    assert_eq!((ran.code, refusal["reason"].as_str()), (11, Some("missing-object")), "{last}");
}

#[test]
fn an_altered_event_is_never_told_as_what_happened() {
    let room = situations();
    let path = room.ledger_file("DONE/000003-make-attempt-claimed.json");
    let altered = room.ledger_text(&path).replace("\"DONE\"", "\"EVIL\"");
    room.tamper(&[(&path, Some(&altered))]);
    let all = recorded(&room);
    let ran = room.run(&["log"]);
    assert_eq!(ran.code, 10, "{ran}");
    assert!(!ran.stdout.contains("EVIL"), "{ran}");
    assert_eq!(ran.stdout.lines().count(), all.len() - 1, "the others are told");
    assert!(ran.stderr.contains("has other bytes than sealed"), "{ran}");
    // One item's log says at its end that the item is stopped.
    let ran = room.run(&["log", "DONE"]);
    assert_eq!(ran.code, 10, "{ran}");
    assert!(ran.stderr.contains("DONE is stopped"), "{ran}");
    room.ok(&["log", "GATE"]);
}

#[test]
fn without_utf_8_everything_that_is_said_is_ascii() {
    let room = situations();
    room.write("specs/001-albums/tasks.md", crate::transcript::ALBUMS);
    room.write("broken.yaml", "name: b\nsteps:\n  - { key: a, needs: [c] }\n");
    for n in 1..=40 {
        room.ok(&["delegate", "--prompt", "x", "--work-item", &format!("N{n}"), "--quiet"]);
    }
    let mut folded = 0;
    for args in [
        &["status"][..],
        &["status", "GATE"],
        &["status", "GATE", "--why-not", "ship"],
        &["log"],
        &["schedule", "GATE"],
        &["brief", "GATE", "ship"],
        &["workflow", "show", "w"],
        &["workflow", "show", "broken.yaml"],
        &["delegate", "--plan", "specs/001-albums", "--work-item", "AL", "--dry-run"],
        &["delegate", "--plan", "specs/001-albums", "--work-item", "AL"],
        &["claim", "--work-item", "AL", "--step", "T002"],
        &["claim", "--work-item", "AL", "--step", "T003"],
        &["complete", "--work-item", "AL", "--step", "T002", "--outcome", "x"],
        &["gate", "approve", "--work-item", "GATE", "--step", "look", "--reason", "x"],
        &["verify"],
        &["--help"],
        &["export", "--help"],
    ] {
        let mut command = room.stepseal(args);
        let ran = Ran::of(&command.env("LANG", "C").output().expect("it starts"));
        assert!(ran.stdout.is_ascii() && ran.stderr.is_ascii(), "{args:?}\n{ran}");
        let with = Ran::of(&room.stepseal(args).output().expect("it starts"));
        folded += usize::from(!with.stdout.is_ascii() || !with.stderr.is_ascii());
    }
    assert!(folded >= 8, "the others would pass anyway: {folded}");
}

#[cfg(target_os = "linux")]
mod terminal {
    use unicode_width::UnicodeWidthStr as _;

    use super::{Room, situations};
    use crate::kit::{STEPSEAL, skipped};

    /// What a command writes to a terminal of this size, talk and answers in one stream; nothing
    /// where there is no program to make a terminal.
    fn on_terminal(
        room: &Room,
        (columns, lines): (usize, usize),
        args: &str,
        env: &[(&str, &str)],
    ) -> Option<String> {
        let line = format!("stty cols {columns} rows {lines}; exec {STEPSEAL} {args}");
        let mut command = room.program("script");
        command.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
        command.env("STEPSEAL_NOW", "2026-11-20T12:00:00Z").env("TERM", "xterm");
        command.env("PAGER", "").env("SHELL", "/bin/sh").envs(env.iter().copied());
        let output = match command.output() {
            Ok(output) => output,
            Err(error) => {
                assert_ne!(std::env::var("STEPSEAL_TEST_REQUIRE").as_deref(), Ok("all"), "{error}");
                skipped("no util-linux `script` to make a terminal with");
                return None;
            }
        };
        let text = String::from_utf8_lossy(&output.stdout).replace("\r\n", "\n");
        assert!(output.status.success(), "{args}: {text}");
        Some(text)
    }

    fn shown(text: &str) -> String {
        // Colours take no room.
        let mut plain = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('\u{1b}') {
            plain.push_str(before);
            rest = after.split_once(|c: char| c.is_ascii_alphabetic()).map_or("", |(_, rest)| rest);
        }
        plain + rest
    }

    #[test]
    fn an_answer_fits_the_terminals_width() {
        let room = situations();
        let long = "日本語の長い題名です、とても長い題名です and then some more words to be cut";
        let id = "A-LONG-NAME-THAT-IS-NEVER-CUT";
        room.ok(&["delegate", "--plan", "w.yaml", "--work-item", id, "--title", long]);
        for args in ["status", "status GATE", "log", "verify", "schedule GATE", "brief GATE ship"] {
            for columns in [50, 64, 120] {
                let Some(text) = on_terminal(&room, (columns, 200), args, &[]) else { return };
                for line in shown(&text).lines() {
                    // Commands are to be pasted: the terminal breaks those, stepseal never does.
                    let hint = line.starts_with("next");
                    let digest = line.split(' ').any(|word| word.len() == 64);
                    assert!(hint || digest || line.width() <= columns, "{args} {columns}: {line}");
                }
                if args == "status" {
                    assert!(text.contains(id), "{text}");
                }
            }
        }
    }

    #[test]
    fn a_portfolio_takes_one_screen() {
        let room = situations();
        let Some(text) = on_terminal(&room, (100, 12), "status", &[]) else { return };
        let text = shown(&text);
        assert!(text.contains("… and 2 more: stepseal status --all"), "{text}");
        assert!(text.lines().count() < 12, "{text}");
    }

    #[test]
    fn a_long_answer_goes_through_the_pager_and_nothing_else_does() {
        let room = situations();
        let pager = room.path().join("pager");
        let paged = room.path().join("paged.txt");
        let script = format!("#!/bin/sh\ncat > {}\n", paged.display());
        std::fs::write(&pager, script).expect("a script");
        std::fs::set_permissions(&pager, std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .expect("a program");
        let pager = pager.display().to_string();
        let env = [("STEPSEAL_PAGER", pager.as_str())];
        let seen = |args: &str, env: &[(&str, &str)]| {
            drop(std::fs::remove_file(&paged));
            let said = on_terminal(&room, (100, 12), args, env)?;
            Some((said, std::fs::read_to_string(&paged).ok()))
        };
        let Some((said, read)) = seen("log", &env) else { return };
        let read = read.expect("the pager was started");
        assert!(shown(&read).lines().count() > 20, "{read}");
        assert_eq!(said, "", "what is paged is not printed too");
        // A short answer, and one that is data, is not paged; neither is anything on demand.
        for args in ["log -n 3", "log --json", "log --quiet", "log --no-pager", "export"] {
            let (said, read) = seen(args, &env).expect("a terminal");
            assert!(read.is_none() && !said.is_empty(), "{args}: {read:?}");
        }
        let (said, read) = seen("log", &[("STEPSEAL_PAGER", "")]).expect("a terminal");
        assert!(read.is_none() && shown(&said).lines().count() > 20, "{said}");
        let (_, read) = seen("log", &[("PAGER", &pager)]).expect("a terminal");
        assert!(read.is_some(), "PAGER");
        // One that is not there is said and left out; one that is left early is no failure.
        let (said, _) = seen("log", &[("STEPSEAL_PAGER", "no-such-pager")]).expect("a terminal");
        assert!(said.contains("the pager is left out"), "{said}");
        assert!(shown(&said).lines().count() > 20, "{said}");
        let (said, _) = seen("log", &[("STEPSEAL_PAGER", "head -n 1")]).expect("a terminal");
        assert_eq!(shown(&said).lines().count(), 1, "{said}");
        // A repository cannot bring a program that is run on looking at it.
        room.write("stepseal.toml", &format!("[ui]\npager = \"{pager}\"\n"));
        let ran = room.run(&["log"]);
        assert_eq!(ran.code, 2, "{ran}");
        assert!(ran.stderr.contains("ui.pager is one person's own"), "{ran}");
    }

    #[test]
    fn progress_is_drawn_where_somebody_looks_and_taken_away() {
        let room = situations();
        let at_once = [("STEPSEAL_PROGRESS_AFTER", "0s")];
        for args in ["verify", "export --output ../out", "status"] {
            drop(std::fs::remove_dir_all(room.repo().join(".git/stepseal")));
            let Some(text) = on_terminal(&room, (100, 50), args, &at_once) else { return };
            let verb = args.split(' ').next().expect("a verb");
            assert!(text.contains(&format!("\r\u{1b}[K{verb} 0 ")), "{args}: {text:?}");
            // The last thing drawn is taken away before the answer.
            let (_, after) = text.rsplit_once(&format!("\u{1b}[K{verb} ")).expect("progress");
            let (_, answer) = after.split_once("\r\u{1b}[K").expect("it is taken away");
            assert!(!answer.contains("\u{1b}[K") && answer.contains('\n'), "{args}: {text:?}");
        }
        for args in ["verify --quiet", "verify --json"] {
            let text = on_terminal(&room, (100, 50), args, &at_once).expect("a terminal");
            assert!(!text.contains("\u{1b}[K"), "{args}: {text:?}");
        }
        // A quick command draws nothing, and nobody looks at a pipe.
        let text = on_terminal(&room, (100, 50), "verify", &[]).expect("a terminal");
        assert!(!text.contains("\u{1b}[K"), "{text:?}");
        let mut piped = room.stepseal(&["verify"]);
        let output = piped.env("STEPSEAL_PROGRESS_AFTER", "0s").output().expect("it starts");
        assert!(!String::from_utf8_lossy(&output.stderr).contains('\u{1b}'));
    }
}
