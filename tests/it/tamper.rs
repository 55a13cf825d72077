//! Every way to change a ledger behind its back: `verify` names class, path and commit; the item
//! stops and others go on; `correct` puts back what can be put back (L5, L10, L11).
#![expect(
    clippy::disallowed_methods,
    reason = "damages files and bounds how long a command may take"
)]

use std::time::Duration;

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use stepseal::artifact;
use stepseal::domain::id::Digest;

use super::forge::{self, BRANCH, Changes, last_seal, sealed, tip};
use super::kit::{Ran, Room, bounded, figure, parallel_workflow, rounds};

/// Two items on two workflows: s001 done by agent-1 in both, s002 of WI-A held by agent-2.
fn scene() -> Room {
    let room = Room::with_ledger();
    for (name, item) in [("one", "WI-A"), ("two", "WI-B")] {
        room.write(&format!("{name}.yaml"), &parallel_workflow(name, 6));
        room.ok(&["delegate", "--plan", &format!("{name}.yaml"), "--work-item", item]);
        room.ok(&["claim", "--work-item", item, "--step", "s001"]);
        room.ok(&["complete", "--work-item", item, "--step", "s001", "--outcome", "did it"]);
    }
    let ran = room.run_as("agent-2", &["claim", "--work-item", "WI-A", "--step", "s002"]);
    assert_eq!(ran.code, 0, "{ran}");
    room
}

/// `verify` exits 10 and names this class, with this path and commit where they are given.
fn names(room: &Room, class: &str, path: Option<&str>, commit: Option<&str>) -> Value {
    let mut answer = Value::Null;
    for args in [&["verify"][..], &["verify", "--deep"]] {
        let (code, said) = room.json(args);
        assert_eq!(code, 10, "{args:?} {said:#}");
        assert_eq!(said["outcome"], "violation", "{said:#}");
        let findings = said["findings"].as_array().expect("findings");
        let found = findings.iter().any(|finding| {
            finding["class"] == class
                && path.is_none_or(|path| finding["path"] == path)
                && commit.is_none_or(|commit| finding["commit"] == commit)
        });
        assert!(found, "no {class} {path:?} {commit:?} from {args:?}: {findings:#?}");
        answer = said;
    }
    // The same for people, and as lines for scripts.
    let ran = room.run(&["verify"]);
    assert!(ran.code == 10 && ran.stdout.contains(&format!("violation  {class}")), "{ran}");
    assert!(ran.stdout.contains(path.unwrap_or("")), "{ran}");
    let ran = room.run(&["verify", "--quiet"]);
    assert!(ran.stdout.lines().any(|line| line.starts_with(&format!("{class}\t"))), "{ran}");
    answer
}

/// A command that must stop at this path.
fn stops(room: &Room, path: &str, executor: &str, args: &[&str]) {
    let before = tip(room);
    let ran = room.run_as(executor, args);
    assert_eq!(ran.code, 10, "{args:?} {ran}");
    assert!(ran.stderr.contains(path), "{args:?} does not name {path}: {ran}");
    let ran = room.run_as(executor, &[args, &["--json"]].concat());
    let said: Value = serde_json::from_str(&ran.stdout).expect("one JSON document");
    assert_eq!(said["data"]["path"], path, "{args:?} {said:#}");
    assert_eq!(said["recorded"], false, "{said:#}");
    assert_eq!(tip(room), before, "{args:?} wrote");
}

/// WI-A is stopped at this path, for readers and writers; WI-B goes on.
fn only_a_stops(room: &Room, path: &str) {
    stops(room, path, "agent-3", &["status", "WI-A"]);
    stops(room, path, "agent-3", &["claim", "--work-item", "WI-A", "--step", "s003"]);
    let complete = ["complete", "--work-item", "WI-A", "--step", "s002", "--outcome", "x"];
    stops(room, path, "agent-2", &complete);
    b_goes_on(room);
    // `claim --next` passes over what is stopped.
    let ran = room.run_as("agent-4", &["claim", "--next", "--quiet"]);
    assert!(ran.code == 0 && ran.stdout.starts_with("WI-B\t"), "{ran}");
}

fn b_goes_on(room: &Room) {
    for (executor, args) in [
        ("agent-3", &["status", "WI-B"][..]),
        ("agent-3", &["claim", "--work-item", "WI-B", "--step", "s002"]),
        ("agent-3", &["complete", "--work-item", "WI-B", "--step", "s002", "--outcome", "x"]),
    ] {
        let ran = room.run_as(executor, args);
        assert_eq!(ran.code, 0, "{args:?} {ran}");
    }
}

/// `correct` makes it right: sound again, said as corrected, and everything goes on.
fn corrects(room: &Room, item: Option<&str>, paths: &[&str], commit: &str) {
    let mut args = vec!["correct", "--reason", "an outsider"];
    args.extend(item);
    let (code, said) = room.json(&args);
    assert_eq!((code, &said["recorded"]), (0, &Value::Bool(true)), "{said:#}");
    sound(room, paths, commit);
    // Once is enough.
    let before = tip(room);
    let (code, said) = room.json(&args);
    assert_eq!((code, &said["outcome"]), (0, &"unchanged".into()), "{said:#}");
    assert_eq!(tip(room), before);
    for (executor, item) in [("agent-5", "WI-A"), ("agent-6", "WI-B")] {
        let ran = room.run_as(executor, &["claim", "--work-item", item, "--step", "s005"]);
        assert_eq!(ran.code, 0, "{ran}");
    }
    let complete = ["complete", "--work-item", "WI-A", "--attempt", "s002.1", "--outcome", "x"];
    let ran = room.run_as("agent-2", &complete);
    assert_eq!(ran.code, 0, "{ran}");
    sound(room, paths, commit);
    // A clone that has seen nothing comes to the same.
    std::fs::remove_dir_all(room.repo().join(".git/stepseal")).expect("the caches");
    sound(room, paths, commit);
}

fn sound(room: &Room, paths: &[&str], commit: &str) {
    for args in [&["verify"][..], &["verify", "--deep"]] {
        let (code, said) = room.json(args);
        assert_eq!(code, 0, "{args:?} {said:#}");
        let corrected = said["corrected"].as_array().expect("a list");
        for path in paths {
            let told = |one: &Value| one["path"] == **path && one["commit"] == commit;
            assert!(corrected.iter().any(told), "{path} {commit}: {corrected:#?}");
        }
    }
}

/// A change to WI-A's own files, from tampering to correction.
fn of_an_item(class: &str, changes: impl Fn(&Room) -> Vec<(String, Option<String>)>) -> Value {
    let room = scene();
    let changes = changes(&room);
    let plain: Vec<(&str, Option<&str>)> =
        changes.iter().map(|(path, text)| (path.as_str(), text.as_deref())).collect();
    let commit = room.tamper(&plain);
    let mut said = Value::Null;
    for (path, _) in &plain {
        said = names(&room, class, Some(path), Some(&commit));
    }
    assert_eq!(said["stopped"], serde_json::json!(["WI-A"]), "{said:#}");
    only_a_stops(&room, plain[0].0);
    let paths: Vec<&str> = plain.iter().map(|(path, _)| *path).collect();
    corrects(&room, Some("WI-A"), &paths, &commit);
    said
}

/// The file of WI-A with this event number.
fn event(room: &Room, number: u32) -> String {
    let files = room.ledger_files();
    let found = files.iter().find(|path| path.contains(&format!("/WI-A/{number:06}-")));
    found.unwrap_or_else(|| panic!("no event {number} in {files:#?}")).clone()
}

#[test]
fn an_altered_event() {
    let said = of_an_item("altered", |room| {
        let path = event(room, 4);
        let text = room.ledger_text(&path);
        assert!(text.contains("did it"), "{text}");
        vec![(path, Some(text.replace("did it", "did not")))]
    });
    let pointer = &said["findings"][0]["pointer"];
    assert_eq!(pointer, "/outcome/summary", "{said:#}");
}

#[test]
fn an_event_that_is_no_json_any_more() {
    of_an_item("altered", |room| vec![(event(room, 3), Some("{ \"schemaVersion\"".into()))]);
}

#[test]
fn an_altered_registration() {
    of_an_item("altered", |room| {
        let path = event(room, 1);
        let text = room.ledger_text(&path);
        vec![(path, Some(text.replace("\"title\": \"one\"", "\"title\": \"won\"")))]
    });
}

#[test]
fn a_deleted_event() {
    of_an_item("deleted", |room| vec![(event(room, 4), None)]);
}

#[test]
fn a_deleted_last_event() {
    of_an_item("deleted", |room| vec![(event(room, 5), None)]);
}

#[test]
fn a_deleted_item() {
    of_an_item("deleted", |room| (1..=5).map(|n| (event(room, n), None)).collect());
}

#[test]
fn two_events_with_each_others_bytes() {
    of_an_item("reordered", |room| {
        let (three, four) = (event(room, 3), event(room, 4));
        let (a, b) = (room.ledger_text(&three), room.ledger_text(&four));
        vec![(three, Some(b)), (four, Some(a))]
    });
}

#[test]
fn an_event_copied_under_the_next_number() {
    of_an_item("duplicated", |room| {
        let path = event(room, 4);
        let text = room.ledger_text(&path);
        vec![(path.replace("/000004-", "/000006-"), Some(text))]
    });
}

#[test]
fn an_event_nobody_sealed() {
    of_an_item("unsealed", |room| {
        let path = event(room, 5);
        let mut said: Value = serde_json::from_str(&room.ledger_text(&path)).expect("JSON");
        said["id"] = "01a1fbd0-9326-7c9f-9676-efaa69171736".into();
        let text = serde_json::to_string_pretty(&said).expect("JSON");
        vec![(path.replace("/000005-", "/000006-"), Some(text + "\n"))]
    });
}

#[test]
fn a_file_that_is_no_event() {
    of_an_item("unsealed", |room| {
        let path = event(room, 5);
        let (folder, _) = path.rsplit_once('/').expect("a folder");
        vec![(format!("{folder}/notes.txt"), Some("hello\n".into()))]
    });
}

#[test]
fn altered_and_deleted_derived_files_of_an_item() {
    for (end, text) in [
        ("schedule/", Some("{}\n")),
        ("schedule/", None),
        ("claims/", Some("{}\n")),
        ("claims/", None),
    ] {
        of_an_item("wrong-derived", |room| {
            let files = room.ledger_files();
            let mine = |path: &&String| path.contains(end) && path.contains("/WI-A");
            let path = files.iter().find(mine).expect("a derived file");
            vec![(path.clone(), text.map(str::to_owned))]
        });
    }
}

#[test]
fn a_busy_file_stops_its_executor_only() {
    for text in [Some("{}\n"), None] {
        let room = scene();
        let path = room
            .ledger_files()
            .into_iter()
            .find(|path| path.starts_with("artifacts/busy/"))
            .expect("agent-2 is busy");
        let commit = room.tamper(&[(&path, text)]);
        names(&room, "wrong-derived", Some(&path), Some(&commit));
        // Without it agent-2 could take a second task.
        stops(&room, &path, "agent-2", &["claim", "--work-item", "WI-B", "--step", "s003"]);
        b_goes_on(&room);
        corrects(&room, None, &[&path], &commit);
    }
}

#[test]
fn a_workflow_definition_stops_the_items_on_it() {
    for text in ["altered", "{", "deleted"] {
        let room = scene();
        let path = "artifacts/workflows/one/v1.json";
        let right = room.ledger_text(path);
        let altered = right.replace("\"s006\"", "\"s007\"");
        assert_ne!(right, altered);
        let (class, text) = match text {
            "altered" => ("altered", Some(altered.as_str())),
            "deleted" => ("deleted", None),
            text => ("altered", Some(text)),
        };
        let commit = room.tamper(&[(path, text)]);
        names(&room, class, Some(path), Some(&commit));
        only_a_stops(&room, path);
        corrects(&room, None, &[path], &commit);
    }
}

/// What concerns the whole ledger stops every writer.
fn of_the_ledger(class: &str, path: &str, text: Option<&str>) {
    let room = scene();
    let commit = room.tamper(&[(path, text)]);
    names(&room, class, Some(path), Some(&commit));
    stops(&room, path, "agent-3", &["claim", "--work-item", "WI-B", "--step", "s002"]);
    corrects(&room, None, &[path], &commit);
}

#[test]
fn an_altered_ledger_document() {
    let path = "artifacts/ledger.json";
    let text = scene().ledger_text(path);
    let mut said: Value = serde_json::from_str(&text).expect("JSON");
    said["id"] = "01a1fbd0-9326-7c9f-9676-efaa69171736".into();
    of_the_ledger("altered", path, Some(&serde_json::to_string_pretty(&said).expect("JSON")));
}

#[test]
fn a_ledger_document_that_is_no_json_any_more() {
    of_the_ledger("altered", "artifacts/ledger.json", Some("{"));
}

#[test]
fn a_deleted_ledger_document() {
    of_the_ledger("deleted", "artifacts/ledger.json", None);
}

#[test]
fn altered_and_deleted_ledger_wide_events() {
    let path = scene().ledger_file("_ledger/000001-workflow-published.json");
    of_the_ledger("altered", &path, Some("{"));
    of_the_ledger("deleted", &path, None);
}

#[test]
fn an_altered_and_a_deleted_readme() {
    for (class, text) in [("altered", Some("# mine now\n")), ("deleted", None)] {
        let room = scene();
        let commit = room.tamper(&[("README.md", text)]);
        names(&room, class, Some("README.md"), if text.is_some() { Some(&commit) } else { None });
        // It is words for people: nobody has to stop for it.
        b_goes_on(&room);
        let (code, said) = room.json(&["correct", "--reason", "an outsider"]);
        assert_eq!((code, &said["recorded"]), (0, &Value::Bool(true)), "{said:#}");
        sound(&room, &[], &commit);
    }
}

#[test]
fn altered_and_deleted_seals() {
    let last = last_seal(&scene());
    for path in
        ["artifacts/seals/000000/000000001.json", "artifacts/seals/000000/000000004.json", &last]
    {
        let text = scene().ledger_text(path);
        of_the_ledger("broken-seal", path, Some("{"));
        let altered = text.replace("\"direct\"", "\"collected\"");
        assert_ne!(text, altered);
        of_the_ledger_or(&["broken-seal", "altered", "foreign-commit"], path, Some(&altered));
        of_the_ledger("deleted", path, None);
    }
}

#[test]
fn a_file_beside_the_seals() {
    let room = scene();
    let path = "artifacts/seals/000000/notes.txt";
    room.tamper(&[(path, Some("a note"))]);
    names(&room, "unsealed", Some(path), None);
}

/// A seal that was changed breaks the chain before it or behind it: it is the one that is named,
/// and neither of its neighbours.
#[test]
fn of_neighbouring_seals_the_changed_one_is_named() {
    for (number, field) in [(4, "previous"), (4, "timestamp"), (7, "previous")] {
        let room = scene();
        let path = artifact::seal_path(number);
        let text = room.git(&["show", &format!("{BRANCH}:{path}")]);
        let at = text.find(&format!("\"{field}\": \"")).expect("the field") + field.len() + 5;
        let digit = if &text[at..=at] == "0" { "1" } else { "0" };
        let changed = format!("{}{digit}{}", &text[..at], &text[at + 1..]);
        assert_ne!(changed, text);
        room.tamper(&[(&path, Some(&changed))]);
        let said = room.json(&["verify"]).1;
        let findings = said["findings"].as_array().expect("findings");
        let broken: Vec<&Value> = findings
            .iter()
            .filter(|one| one["class"] == "broken-seal")
            .map(|one| &one["path"])
            .collect();
        assert!(!broken.is_empty(), "{number} {field}: {said:#}");
        assert!(broken.iter().all(|named| **named == path), "{number} {field}: {broken:?}");
    }
}

/// The same where the class depends on whether a later seal chains from it.
fn of_the_ledger_or(classes: &[&str], path: &str, text: Option<&str>) {
    let room = scene();
    let commit = room.tamper(&[(path, text)]);
    let (code, said) = room.json(&["verify"]);
    assert_eq!(code, 10, "{said:#}");
    let findings = said["findings"].as_array().expect("findings");
    let known = |finding: &Value| {
        classes.iter().any(|class| finding["class"] == *class)
            && finding["path"] == path
            && finding["commit"] == commit.as_str()
    };
    assert!(findings.iter().any(known), "{findings:#?}");
    stops(&room, path, "agent-3", &["claim", "--work-item", "WI-B", "--step", "s002"]);
    corrects(&room, None, &[path], &commit);
}

/// The path of the seal that comes next.
fn next_seal(room: &Room) -> String {
    let last = last_seal(room);
    let number: u64 = last[last.len() - 14..last.len() - 5].parse().expect("a number");
    last.replace(&format!("{number:09}"), &format!("{:09}", number + 1))
}

#[test]
fn a_forged_next_seal_that_says_nothing() {
    let path = next_seal(&scene());
    let room = scene();
    let commit = room.tamper(&[(&path, Some("{}\n"))]);
    names(&room, "broken-seal", Some(&path), None);
    stops(&room, &path, "agent-3", &["claim", "--work-item", "WI-B", "--step", "s002"]);
    corrects(&room, None, &[], &commit);
}

/// It follows the last one rightly, and names a file that never was.
#[test]
fn a_forged_next_seal_that_chains() {
    let room = scene();
    let (last, path) = (last_seal(&room), next_seal(&room));
    let text = room.ledger_text(&last);
    let digest: String = Sha256::digest(&text).iter().map(|b| format!("{b:02x}")).collect();
    let mut seal: Value = serde_json::from_str(&text).expect("JSON");
    seal["seq"] = (seal["seq"].as_u64().expect("a number") + 1).into();
    seal["previous"] = digest.into();
    let text = serde_json::to_string_pretty(&seal).expect("JSON") + "\n";
    let commit = room.tamper(&[(&path, Some(&text))]);
    let (code, said) = room.json(&["verify"]);
    assert_eq!(code, 10, "{said:#}");
    let text = said["findings"].to_string();
    assert!(text.contains(&path), "{said:#}");
    stops(&room, &path, "agent-3", &["claim", "--work-item", "WI-B", "--step", "s002"]);
    corrects(&room, None, &[], &commit);
}

/// It follows, names what the commit adds, and agrees with itself: but its root is over other
/// bytes, so marks taken of it would prove a history that never was.
#[test]
fn a_seal_whose_root_is_of_other_files() {
    let room = scene();
    let path = event(&room, 5).replace("/000005-s002-attempt-claimed", "/000006-_item-item-edited");
    let changes = Changes::from([(path.clone(), Some(b"{}\n".to_vec()))]);
    let mut told = sealed(&room, changes, &[], |_| {});
    let next = next_seal(&room);
    let bytes = told.changes[&next].clone().expect("a seal");
    let mut seal: artifact::Seal = artifact::decode(&bytes).expect("a seal");
    let last = room.ledger_text(&last_seal(&room));
    let last: artifact::Seal = artifact::decode(last.as_bytes()).expect("a seal");
    let mut other = last.tree().expect("it agrees with itself");
    other.push(artifact::leaf(&path, b"{ }\n"));
    (seal.root, seal.frontier) = (other.root(), other.roots().to_vec());
    assert!(seal.tree().is_some(), "it agrees with itself");
    told.changes.insert(next.clone(), Some(artifact::encode(&seal)));
    forge::write(&room, Some(&tip(&room)), &[told]);
    names(&room, "broken-seal", Some(&next), None);
    stops(&room, &next, "agent-3", &["claim", "--work-item", "WI-B", "--step", "s002"]);
}

/// A forged seal that follows rightly may call anything a correction: what it puts back must be
/// what was there, also where that is the seal before it or the whole chain down to an old one.
#[test]
fn a_forged_correction_changes_nothing_unnoticed() {
    for depth in 1..=3 {
        let room = scene();
        let last = last_seal(&room);
        let number = artifact::parse_seal_path(&last).expect("a seal's path");
        let mut changes = Changes::new();
        let mut previous = None;
        let paths: Vec<String> = (number + 1 - depth..=number).map(artifact::seal_path).collect();
        for path in &paths {
            let bytes = room.ledger_text(path);
            let mut seal: artifact::Seal = artifact::decode(bytes.as_bytes()).expect("a seal");
            seal.committer.id = "mallory".into();
            seal.previous = previous.or(seal.previous);
            let bytes = artifact::encode(&seal);
            previous = Some(Digest::of(&bytes));
            changes.insert(path.clone(), Some(bytes));
        }
        // It calls its own seal restored too, so as to answer itself.
        let own = artifact::seal_path(number + 1);
        let restored: Vec<&str> = paths.iter().chain([&own]).map(String::as_str).collect();
        let told = sealed(&room, changes, &restored, |_| {});
        let commit = forge::write(&room, Some(&tip(&room)), &[told]);
        for path in &paths {
            names(&room, "foreign-commit", Some(path), Some(&commit));
        }
        // A clone that has seen nothing comes to the same.
        std::fs::remove_dir_all(room.repo().join(".git/stepseal")).expect("the caches");
        names(&room, "foreign-commit", Some(&last), Some(&commit));
        let claim = ["claim", "--work-item", "WI-B", "--step", "s002"];
        stops(&room, &paths[0], "agent-3", &claim);
        corrects(&room, None, &restored, &commit);
    }
}

/// The same with an event: readers stop at once, and not only `verify`.
#[test]
fn a_forged_correction_of_an_event_stops_its_item() {
    let room = scene();
    let path = event(&room, 4);
    let bytes = room.ledger_text(&path).replace("did it", "did not").into_bytes();
    let changes = Changes::from([(path.clone(), Some(bytes))]);
    let commit =
        forge::write(&room, Some(&tip(&room)), &[sealed(&room, changes, &[&path], |_| {})]);
    names(&room, "altered", Some(&path), Some(&commit));
    stops(&room, &path, "agent-3", &["status", "WI-A"]);
    // Its seal is foreign, so nothing can be written after it.
    let claim = ["claim", "--work-item", "WI-B", "--step", "s002"];
    stops(&room, &last_seal(&room), "agent-3", &claim);
    room.ok(&["correct", "--reason", "an outsider"]);
    corrects(&room, Some("WI-A"), &[&path], &commit);
}

#[test]
fn a_commit_below_artifacts_without_a_seal() {
    let room = scene();
    let path = "artifacts/exports/summary.json";
    let commit = room.tamper(&[(path, Some("{}\n"))]);
    names(&room, "foreign-commit", Some(path), Some(&commit));
}

/// What was corrected once is found again when it is done again.
#[test]
fn a_correction_answers_only_what_was_before_it() {
    let room = scene();
    let path = "artifacts/exports/summary.json";
    let first = room.tamper(&[(path, Some("{}\n"))]);
    room.ok(&["correct", "--path", path, "--reason", "an outsider"]);
    sound(&room, &[path], &first);
    let second = room.tamper(&[(path, Some("{}\n"))]);
    names(&room, "foreign-commit", Some(path), Some(&second));
}

#[test]
fn a_merge_commit() {
    let room = scene();
    let tree = room.git(&["rev-parse", &format!("{BRANCH}^{{tree}}")]);
    let other = room.git(&["commit-tree", tree.trim(), "-m", "side"]);
    let (before, tree) = (tip(&room), tree.trim().to_owned());
    let args = ["commit-tree", &tree, "-p", &before, "-p", other.trim(), "-m", "Merge"];
    let merge = room.git(&args).trim().to_owned();
    room.git(&["update-ref", BRANCH, &merge]);
    names(&room, "foreign-commit", None, Some(&merge));
}

/// Writers refuse a branch that is not the one they have seen, and go on when it is back.
fn not_what_was_seen(room: &Room, class: &str, seen: &str) {
    names(room, class, None, None);
    let now = tip(room);
    for args in [
        &["claim", "--work-item", "WI-B", "--step", "s002"][..],
        &["status", "WI-B"],
        &["export"],
        &["correct", "--reason", "x"],
    ] {
        let ran = room.run_as("agent-3", args);
        assert_eq!(ran.code, 10, "{args:?} {ran}");
        let said = if class == "cut-tail" { "cut short" } else { class };
        assert!(ran.stderr.contains(said) && ran.stderr.contains(seen), "{args:?} {ran}");
        assert_eq!(tip(room), now);
    }
    room.git(&["update-ref", BRANCH, seen]);
    room.ok(&["verify", "--deep"]);
    b_goes_on(room);
}

#[test]
fn a_cut_tail() {
    for back in 1..=3 {
        let room = scene();
        let seen = tip(&room);
        room.git(&["update-ref", BRANCH, &format!("{seen}~{back}")]);
        not_what_was_seen(&room, "cut-tail", &seen);
    }
}

#[test]
fn a_rewritten_history() {
    let room = scene();
    let seen = tip(&room);
    room.git(&["update-ref", BRANCH, &format!("{seen}~2")]);
    room.tamper(&[(&event(&room, 4), None)]);
    not_what_was_seen(&room, "rewritten", &seen);
}

/// The fork is a sound ledger of its own: written by stepseal, in a clone that saw less.
#[test]
fn a_sound_fork() {
    let room = scene();
    let seen = tip(&room);
    let caches = room.repo().join(".git/stepseal");
    let aside = room.path().join("aside");
    std::fs::rename(&caches, &aside).expect("the caches");
    room.git(&["update-ref", BRANCH, &format!("{seen}~2")]);
    for step in ["s003", "s004"] {
        let named = ["--work-item", "WI-A", "--step", step];
        for rest in [&["claim"][..], &["complete", "--outcome", "x"]] {
            let ran = room.run_as("agent-9", &[rest, &named].concat());
            assert_eq!(ran.code, 0, "{ran}");
        }
    }
    room.ok(&["verify", "--deep"]);
    std::fs::remove_dir_all(&caches).expect("the fork's caches");
    std::fs::rename(&aside, &caches).expect("the caches");
    not_what_was_seen(&room, "rewritten", &seen);
}

/// The branch moved back to any commit, and any fork from there that is sound in itself: named
/// with what this clone saw, by a mark kept elsewhere too, and never written to (P14).
#[test]
fn every_way_back_and_every_fork_is_named() {
    let base = scene();
    let (seen, (size, root)) = (tip(&base), mark(&base));
    let elsewhere = format!("{size} {root}");
    let commits: usize =
        base.git(&["rev-list", "--count", BRANCH]).trim().parse().expect("a count");
    let mut cases = 0;
    for back in (1..commits).step_by(rounds(3, 1)) {
        let room = base.copy();
        let caches = room.repo().join(".git/stepseal");
        let aside = room.path().join("aside");
        room.git(&["update-ref", BRANCH, &format!("{seen}~{back}")]);
        std::fs::rename(&caches, &aside).expect("the caches");
        let (code, said) = room.json(&["verify", "--mark", &elsewhere]);
        assert_eq!((code, &said["findings"][0]["class"]), (10, &"cut-tail".into()), "{said:#}");
        drop(std::fs::remove_dir_all(&caches));
        std::fs::rename(&aside, &caches).expect("the caches");
        not_what_was_seen(&room, "cut-tail", &seen);
        // A clone that saw less goes on from there, until it is longer.
        let room = base.copy();
        let caches = room.repo().join(".git/stepseal");
        let aside = room.path().join("aside");
        std::fs::rename(&caches, &aside).expect("the caches");
        room.git(&["update-ref", BRANCH, &format!("{seen}~{back}")]);
        for n in 0..commits {
            let item = format!("FORK-{n}");
            let ran = room.run_as("fork", &["delegate", "--prompt", "Fork", "--work-item", &item]);
            assert_eq!(ran.code, 0, "{ran}");
        }
        room.ok(&["verify", "--deep"]);
        std::fs::remove_dir_all(&caches).expect("the fork's caches");
        std::fs::rename(&aside, &caches).expect("the caches");
        let (code, said) = room.json(&["verify", "--mark", &elsewhere]);
        assert_eq!((code, &said["findings"][0]["class"]), (10, &"rewritten".into()), "{said:#}");
        not_what_was_seen(&room, "rewritten", &seen);
        cases += 2;
    }
    figure("P14", &format!("{cases} of {cases} ways back and forks named, 0 writes attempted"));
}

/// The same files under a commit that only its message tells apart.
#[test]
fn an_amended_tip() {
    let room = scene();
    let seen = tip(&room);
    let tree = format!("{seen}^{{tree}}");
    let other = room.git(&["commit-tree", &tree, "-p", &format!("{seen}~1"), "-m", "other"]);
    room.git(&["update-ref", BRANCH, other.trim()]);
    not_what_was_seen(&room, "rewritten", &seen);
}

#[test]
fn a_branch_that_is_gone() {
    let room = scene();
    let seen = tip(&room);
    room.git(&["update-ref", "-d", BRANCH]);
    let (code, said) = room.json(&["verify"]);
    assert_eq!((code, &said["findings"][0]["class"]), (10, &"cut-tail".into()), "{said:#}");
    let ran = room.run(&["claim", "--work-item", "WI-B", "--step", "s002"]);
    assert!(ran.code == 10 && ran.stderr.contains(&seen), "{ran}");
    // Nor is it quietly founded anew.
    let ran = room.run(&["init"]);
    assert_ne!(ran.code, 0, "{ran}");
    room.git(&["update-ref", BRANCH, &seen]);
    room.ok(&["verify", "--deep"]);
}

/// Sealed bytes that are nowhere to be found: the item stays stopped, others go on.
#[test]
fn bytes_that_are_lost_stay_lost() {
    let room = scene();
    let path = event(&room, 4);
    let oid = room.git(&["rev-parse", &format!("{BRANCH}:{path}")]);
    room.tamper(&[(&path, Some("{"))]);
    std::fs::remove_file(loose(&room, oid.trim())).expect("the sealed bytes");
    names(&room, "altered", Some(&path), None);
    let (code, said) = room.json(&["correct", "WI-A", "--path", &path, "--reason", "x"]);
    assert_eq!(code, 10, "{said:#}");
    assert_eq!(said["data"]["path"], path.as_str(), "{said:#}");
    only_a_stops(&room, &path);
}

fn loose(room: &Room, oid: &str) -> std::path::PathBuf {
    room.repo().join(".git/objects").join(&oid[..2]).join(&oid[2..])
}

/// Damages a file as a bad disk would.
fn damage(path: &std::path::Path, how: &str) {
    let mut bytes = std::fs::read(path).expect("a file");
    match how {
        "truncated" => bytes.truncate(bytes.len() / 2),
        "empty" => bytes.clear(),
        _ => {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 0x10;
        }
    }
    std::fs::remove_file(path).expect("it is replaced");
    std::fs::write(path, bytes).expect("a file");
}

/// A command that ends soon, with exit 10, naming the object.
fn ends(room: &Room, oid: &str, args: &[&str]) {
    let ran = bounded(room.stepseal(args), Duration::from_secs(5));
    let ran = ran.unwrap_or_else(|| panic!("{args:?} hangs at {oid}"));
    assert_eq!(ran.code, 10, "{args:?} {oid} {ran}");
    assert!(format!("{}{}", ran.stdout, ran.stderr).contains(oid), "{args:?} {oid} {ran}");
}

#[test]
fn damaged_loose_objects_name_themselves() {
    for what in ["commit", "parent", "root", "tree", "event", "seal", "schedule"] {
        for how in ["truncated", "empty", "flipped"] {
            let room = scene();
            let folder = event(&room, 4);
            let (folder, _) = folder.rsplit_once('/').expect("a folder");
            let name = match what {
                "commit" => BRANCH.to_owned(),
                "parent" => format!("{BRANCH}~2"),
                "root" => format!("{BRANCH}^{{tree}}"),
                "tree" => format!("{BRANCH}:{folder}"),
                "event" => format!("{BRANCH}:{}", event(&room, 4)),
                "seal" => format!("{BRANCH}:{}", last_seal(&room)),
                _ => format!("{BRANCH}:{}", room.ledger_file("/WI-A.json")),
            };
            let oid = room.git(&["rev-parse", &name]).trim().to_owned();
            damage(&loose(&room, &oid), how);
            let (code, said) = room.json(&["verify"]);
            assert_eq!(code, 10, "{what} {how} {said:#}");
            ends(&room, &oid, &["verify"]);
            ends(&room, &oid, &["verify", "--deep", "--json"]);
            // Only verify reads commits of the past.
            if what != "parent" {
                ends(&room, &oid, &["export", "--tree", "../copy"]);
            }
            if ["commit", "root", "tree"].contains(&what) {
                // No fold is kept of so few events; were it, it would be gone.
                drop(std::fs::remove_dir_all(room.repo().join(".git/stepseal/items")));
                ends(&room, &oid, &["status", "WI-A"]);
            }
        }
    }
}

#[test]
fn a_damaged_pack_is_damage_too() {
    let room = scene();
    room.git(&["repack", "-a", "-d", "--quiet"]);
    let oid = room.git(&["rev-parse", &format!("{BRANCH}:{}", event(&room, 4))]);
    let packs = room.repo().join(".git/objects/pack");
    let files = std::fs::read_dir(packs).expect("packs").map(|e| e.expect("a file").path());
    let files: Vec<_> = files.collect();
    let end = |end: &str| files.iter().find(|f| f.extension().is_some_and(|e| e == end));
    let (pack, idx) = (end("pack").expect("a pack"), end("idx").expect("its index"));
    let listed = room.git(&["verify-pack", "-v", &idx.display().to_string()]);
    let line = listed.lines().find(|line| line.starts_with(oid.trim())).expect("the object");
    let fields: Vec<usize> =
        line.split_whitespace().skip(2).filter_map(|f| f.parse().ok()).collect();
    let mut bytes = std::fs::read(pack).expect("the pack");
    bytes[fields[2] + fields[1] - 1] ^= 0xff;
    std::fs::remove_file(pack).expect("it is replaced");
    std::fs::write(pack, bytes).expect("the pack");
    // Another object may be a delta against it: whichever is named is one git cannot read.
    let (code, said) = room.json(&["verify"]);
    assert_eq!((code, &said["findings"][0]["class"]), (10, &"bad-object".into()), "{said:#}");
    let what = said["findings"][0]["what"].as_str().expect("words");
    let named = what.split_whitespace().nth(1).expect("an object");
    let read = room.program("git").args(["cat-file", "-p", named]).output().expect("git starts");
    assert!(!read.status.success(), "{named} is sound");
    ends(&room, named, &["verify", "--deep"]);
    let (code, said) = room.json(&["export", "--tree", "../copy"]);
    assert_eq!((code, &said["reason"]), (10, &"bad-object".into()), "{said:#}");
}

#[test]
fn a_missing_object_is_not_verified() {
    for number in 1..=5 {
        let room = scene();
        let path = event(&room, number);
        let oid = room.git(&["rev-parse", &format!("{BRANCH}:{path}")]);
        std::fs::remove_file(loose(&room, oid.trim())).expect("an object");
        for args in [&["verify"][..], &["verify", "--deep"]] {
            let (code, said) = room.json(args);
            assert_eq!((code, &said["outcome"]), (11, &"incomplete".into()), "{said:#}");
            let findings = said["findings"].as_array().expect("findings");
            assert!(findings.iter().all(|f| f["class"] == "missing-object"), "{findings:#?}");
            assert!(said["findings"].to_string().contains(oid.trim()), "{said:#}");
        }
        // Damage beats missing data.
        let other = room.ledger_file("/WI-B/000004-s001-attempt-completed.json");
        room.tamper(&[(&other, Some("{"))]);
        names(&room, "altered", Some(&other), None);
    }
}

#[test]
fn a_ledger_of_the_future_that_nobody_sealed() {
    let path = "artifacts/ledger.json";
    let text = scene().ledger_text(path).replace("\"format\": 1", "\"format\": 99");
    of_the_ledger("altered", path, Some(&text));
}

#[test]
fn deleting_the_caches_changes_no_answer() {
    let room = scene();
    let ask = || {
        [
            &["status", "--json"][..],
            &["status", "WI-A", "--json"],
            &["schedule", "WI-A", "--json"],
            &["export"],
            &["verify", "--json"],
            &["verify", "--deep", "--json"],
        ]
        .map(|args| room.ok(args))
    };
    let (before, caches) = (ask(), room.repo().join(".git/stepseal"));
    assert!(caches.join("seen.json").exists());
    std::fs::remove_dir_all(&caches).expect("the caches");
    let after = ask();
    assert_eq!(before, after);
    // Nor do caches that were cut short or hold something else.
    for text in ["", "stepseal-cache 1", "\0\0\0"] {
        for name in ["seen.json", "portfolio", "ledger"] {
            std::fs::write(caches.join(name), text).expect("a bad cache");
        }
        assert_eq!(before, ask());
    }
}

/// An item of more than a hundred events, its fold kept, then gone, then damaged, then of before.
#[test]
fn a_long_item_reads_the_same_with_and_without_its_kept_fold() {
    let room = Room::with_ledger();
    room.write("plan.yaml", &parallel_workflow("long", 60));
    room.ok(&["delegate", "--plan", "plan.yaml", "--work-item", "WI-L"]);
    let caches = room.repo().join(".git/stepseal/items");
    let mut early = None;
    for step in 1..=55 {
        let step = format!("s{step:03}");
        room.ok(&["claim", "--work-item", "WI-L", "--step", &step]);
        room.ok(&["complete", "--work-item", "WI-L", "--step", &step, "--outcome", "did it"]);
        if early.is_none() && caches.exists() {
            early = Some(kept_folds(&caches));
        }
    }
    let paths: Vec<String> = room
        .ledger_files()
        .into_iter()
        .filter_map(|path| Some(path.split_once("/WI-L/")?.1.to_owned()))
        .filter(|path| path.contains("attempt-") || path.contains("_item"))
        .collect();
    assert!(paths.contains(&"000099-s049-attempt-claimed.json".to_owned()), "{paths:#?}");
    assert!(paths.contains(&"0001xx/000100-s049-attempt-completed.json".to_owned()), "{paths:#?}");
    let ask = || [&["status", "WI-L", "--json"][..], &["export"]].map(|args| room.ok(args));
    let before = ask();
    let now = kept_folds(&caches);
    assert_ne!(early, Some(now.clone()), "a fold is kept again when much is new");
    for (path, bytes) in &now {
        let older = early.iter().flatten().find(|(name, _)| name == path);
        let older = older.map_or(Vec::new(), |(_, bytes)| bytes.clone());
        for kept in [None, Some(older), Some(Vec::new()), Some(bytes[..bytes.len() / 2].to_vec())] {
            match kept {
                Some(kept) => std::fs::write(path, kept).expect("a kept fold"),
                None => std::fs::remove_file(path).expect("a kept fold"),
            }
            assert_eq!(ask(), before);
        }
    }
    room.ok(&["verify", "--deep"]);
    // What is foreign in a folder of a hundred stops the item as anywhere else.
    let path = room.ledger_file("000101-s050-attempt-claimed.json");
    room.tamper(&[(&path, None), (&path.replace("000101", "000150"), Some("{}\n"))]);
    assert_eq!(room.run(&["status", "WI-L"]).code, 10);
    let (code, said) = room.json(&["verify"]);
    assert_eq!(code, 10, "{said:#}");
    assert!(said["findings"].to_string().contains(&path), "{said:#}");
    room.ok(&["correct", "WI-L", "--reason", "put back"]);
    room.ok(&["verify", "--deep"]);
}

fn kept_folds(folder: &std::path::Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for shard in std::fs::read_dir(folder).expect("folders") {
        for file in std::fs::read_dir(shard.expect("a folder").path()).expect("files") {
            let path = file.expect("a file").path();
            found.push((path.clone(), std::fs::read(path).expect("a kept fold")));
        }
    }
    found
}

/// Nor does it hide damage from `verify`.
#[test]
fn deleting_the_caches_hides_no_damage() {
    let room = scene();
    let path = event(&room, 4);
    let text = room.ledger_text(&path).replace("did it", "did not");
    let commit = room.tamper(&[(&path, Some(&text))]);
    let before = names(&room, "altered", Some(&path), Some(&commit));
    std::fs::remove_dir_all(room.repo().join(".git/stepseal")).expect("the caches");
    let after = names(&room, "altered", Some(&path), Some(&commit));
    assert_eq!(before, after);
    corrects(&room, Some("WI-A"), &[&path], &commit);
}

fn mark(room: &Room) -> (u64, String) {
    let (code, said) = room.json(&["verify"]);
    assert_eq!(code, 0, "{said:#}");
    let root = said["mark"]["root"].as_str().expect("a root").to_owned();
    (said["mark"]["size"].as_u64().expect("a size"), root)
}

#[test]
fn marks_prove_history() {
    let room = scene();
    let (size, root) = mark(&room);
    let right = format!("{size} {root}");
    assert_eq!(room.ok(&["verify", "--quiet"]), format!("{right}\n"));
    room.ok(&["verify", "--mark", &right]);
    b_goes_on(&room);
    let (later, _) = mark(&room);
    assert!(later > size);
    room.ok(&["verify", "--deep", "--mark", &right]);
    let other = root.replace(|c: char| c == root.chars().next().unwrap_or('0'), "7");
    let other = if other == root { root.replace('7', "8") } else { other };
    for (class, mark) in [
        ("cut-tail", format!("{} {root}", later + 5)),
        ("rewritten", format!("{size} {other}")),
        ("rewritten", format!("{} {root}", size - 1)),
    ] {
        // A right one beside it does not make it right.
        for args in
            [&["verify", "--mark", &mark][..], &["verify", "--mark", &right, "--mark", &mark]]
        {
            let (code, said) = room.json(args);
            assert_eq!(code, 10, "{said:#}");
            assert_eq!(said["findings"][0]["class"], class, "{said:#}");
            assert!(said["findings"].to_string().contains(&mark), "{said:#}");
        }
    }
    for bad in ["", "7", "x y", &format!("-1 {root}"), &root] {
        assert_eq!(room.run(&["verify", "--mark", bad]).code, 2, "{bad}");
    }
    // The mark of what was cut is kept elsewhere: this clone has forgotten everything.
    let seen = tip(&room);
    let now = mark(&room);
    room.git(&["update-ref", BRANCH, &format!("{seen}~1")]);
    std::fs::remove_dir_all(room.repo().join(".git/stepseal")).expect("the caches");
    room.ok(&["verify"]);
    let (code, said) = room.json(&["verify", "--mark", &format!("{} {}", now.0, now.1)]);
    assert_eq!((code, &said["findings"][0]["class"]), (10, &"cut-tail".into()), "{said:#}");
}

/// What stood at the mark is not looked at, and that is said; what came after is.
#[test]
fn a_verification_from_a_mark_says_what_it_did_not_look_at() {
    let room = scene();
    let ran = room.run(&["verify", "--since"]);
    assert!(ran.code == 2 && ran.stderr.contains("stepseal verify"), "{ran}");
    let path = event(&room, 2);
    let sound = room.ledger_text(&path);
    room.tamper(&[(&path, Some(&sound.replace("s001", "s009")))]);
    // Others go on, so a seal comes after the change: what it marks has the change in it.
    b_goes_on(&room);
    let seal: Value = serde_json::from_str(&room.ledger_text(&last_seal(&room))).expect("a seal");
    let mark = format!("{} {}", seal["size"], seal["root"].as_str().expect("a root"));
    let seals = seal["seq"].as_u64().expect("a number");
    let ran = room.run_as("agent-7", &["claim", "--work-item", "WI-B", "--step", "s004"]);
    assert_eq!(ran.code, 0, "{ran}");
    assert_eq!(room.run(&["verify"]).code, 10);
    let (code, said) = room.json(&["verify", "--since", &mark]);
    assert_eq!((code, &said["outcome"]), (0, &"verified".into()), "{said:#}");
    assert_eq!((&said["seals"], &said["commits"]), (&1.into(), &1.into()), "{said:#}");
    assert_eq!((&said["items"], &said["since"]["seals"]), (&1.into(), &seals.into()), "{said:#}");
    let ran = room.run(&["verify", "--since", &mark]);
    let not_seen = format!("not seen  what stood at mark {}", seal["size"]);
    assert!(ran.stdout.contains(&not_seen), "{ran}");
    // A change after it is found, by its commit.
    let path = event(&room, 4);
    let bytes = room.ledger_text(&path).replace("did it", "did not");
    let commit = room.tamper(&[(&path, Some(&bytes))]);
    let (code, said) = room.json(&["verify", "--since", &mark]);
    let finding = &said["findings"][0];
    assert_eq!((code, &finding["class"]), (10, &"altered".into()), "{said:#}");
    assert_eq!((&finding["path"], &finding["commit"]), (&path.into(), &commit.into()), "{said:#}");
}

/// Whoever puts the state of a mark on top of the history again hides nothing: the first commit
/// with the mark counts, and what this clone verified is known by its commit.
#[test]
fn an_old_state_put_on_top_again_is_found_from_its_mark() {
    let room = scene();
    let (size, root) = mark(&room);
    let mark = format!("{size} {root}");
    let old = tip(&room);
    let number = artifact::parse_seal_path(&last_seal(&room)).expect("a seal");
    b_goes_on(&room);
    room.ok(&["verify", "--since"]);
    room.ok(&["verify", "--since", &mark]);
    for message in [format!("stepseal: 1 event\n\nStepseal-Seal: {number}\n"), "again".to_owned()] {
        let tree = room.git(&["rev-parse", &format!("{old}^{{tree}}")]);
        let again = room.git(&["commit-tree", tree.trim(), "-p", &tip(&room), "-m", &message]);
        let before = tip(&room);
        room.git(&["update-ref", BRANCH, again.trim()]);
        let kept = std::fs::read(room.repo().join(".git/stepseal/verified.json")).expect("kept");
        for forget in [false, true] {
            for args in [&["verify", "--since", &mark][..], &["verify", "--since"]] {
                let ran = room.run(args);
                let right = if forget && args.len() == 2 { 2 } else { 10 };
                assert_eq!(ran.code, right, "{message:?} {args:?} {ran}");
            }
            let file = room.repo().join(".git/stepseal/verified.json");
            if !forget {
                std::fs::remove_file(file).expect("the memory");
            } else {
                std::fs::write(file, &kept).expect("the memory");
            }
        }
        room.git(&["update-ref", BRANCH, &before]);
    }
    // The history this clone verified is not there any more.
    room.git(&["update-ref", BRANCH, &format!("{BRANCH}~1")]);
    let (code, said) = room.json(&["verify", "--since"]);
    assert_eq!((code, &said["findings"][0]["class"]), (10, &"cut-tail".into()), "{said:#}");
}

#[test]
fn a_shallow_clone_never_verifies() {
    let room = scene();
    room.git(&["commit", "--quiet", "--allow-empty", "-m", "start"]);
    let url = format!("file://{}", room.repo().display());
    room.git(&["clone", "--quiet", "--depth", "1", "--no-single-branch", &url, "../shallow"]);
    let shallow = room.path().join("shallow");
    let run = |args: &[&str]| {
        Ran::of(&room.stepseal(args).current_dir(&shallow).output().expect("the binary starts"))
    };
    room.git(&["-C", "../shallow", "branch", "stepseal-ledger", "origin/stepseal-ledger"]);
    let ran = run(&["init"]);
    assert_eq!(ran.code, 0, "{ran}");
    let verified = |args: &[&str]| {
        let ran = run(args);
        assert_eq!(ran.code, 11, "{args:?} {ran}");
        assert!(ran.stdout.contains("missing-object"), "{args:?} {ran}");
    };
    for args in [&["verify"][..], &["verify", "--deep"], &["verify", "--json"]] {
        verified(args);
    }
    // Reading and acting need only the newest tree.
    for args in [
        &["status", "WI-B"][..],
        &["claim", "--work-item", "WI-B", "--step", "s002"],
        &["complete", "--work-item", "WI-B", "--step", "s002", "--outcome", "x"],
    ] {
        let ran = run(args);
        assert_eq!(ran.code, 0, "{args:?} {ran}");
    }
    verified(&["verify", "--deep"]);
    room.git(&["-C", "../shallow", "fetch", "--quiet", "--unshallow"]);
    let ran = run(&["verify", "--deep"]);
    assert_eq!(ran.code, 0, "{ran}");
}

/// Twenty ledgers nobody touched, each with another history: nothing is ever found.
#[test]
fn untouched_ledgers_are_sound() {
    for seed in 0..20u64 {
        let room = Room::with_ledger();
        room.write("plan.yaml", &parallel_workflow("par", 4));
        for item in ["W1", "W2"] {
            room.ok(&["delegate", "--plan", "plan.yaml", "--work-item", item]);
        }
        let mut state = seed;
        for _ in 0..8 {
            state =
                state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
            let pick = state >> 33;
            let (item, step) =
                (["W1", "W2"][(pick % 2) as usize], format!("s00{}", pick / 2 % 4 + 1));
            let named = ["--work-item", item, "--step", step.as_str()];
            let rest: &[&str] = match pick / 8 % 6 {
                0 => &["skip", "--reason", "no"],
                1 => &["claim"],
                2 => &["requeue"],
                _ => &["claim", "--next"],
            };
            let args = if rest.len() > 1 && rest[1] == "--next" {
                rest.to_vec()
            } else {
                [rest, &named].concat()
            };
            // Some are refused: that is a history too.
            let ran = room.run(&args);
            assert!([0, 1, 2, 4, 6].contains(&ran.code), "{args:?} {ran}");
            if ran.code == 0 && args[0] == "claim" {
                let (_, said) = room.json(&["log", "-n", "1"]);
                let event = &said["artifact"];
                let item = event["workItemId"].as_str().expect("an item");
                let step = event["step"]["key"].as_str().expect("a step");
                let named = ["--work-item", item, "--step", step];
                let end: &[&str] = match pick / 64 % 4 {
                    0 => &["complete", "--status", "failed", "--outcome", "no"],
                    1 => &["release", "--reason", "no time"],
                    2 => &["complete", "--outcome", "yes"],
                    _ => &[],
                };
                if !end.is_empty() {
                    room.ok(&[end, &named].concat());
                }
            }
        }
        for args in [&["verify"][..], &["verify", "--deep"]] {
            let (code, said) = room.json(args);
            assert_eq!(code, 0, "seed {seed}: {said:#}");
            assert_eq!(said["findings"], serde_json::json!([]));
            assert_eq!(said["corrected"], serde_json::json!([]));
        }
    }
}

/// A clone that forgot what it saw looks again: forgetting is no way around a finding.
#[test]
fn forgetting_what_was_seen_hides_nothing() {
    let room = Room::with_ledger();
    room.ok(&["delegate", "--prompt", "x", "--work-item", "X"]);
    room.ok(&["claim", "--next", "--quiet"]);
    let path = room.ledger_file("attempt-claimed.json");
    let changed = room.ledger_text(&path).replacen("claimed by", "taken by", 1);
    room.tamper(&[(&path, Some(&changed))]);
    for _ in 0..2 {
        let ran = room.run(&["status", "X"]);
        assert_eq!(ran.code, 10, "{ran}");
        assert!(ran.stderr.contains(&path), "{ran}");
        std::fs::remove_dir_all(room.repo().join(".git/stepseal")).expect("the caches");
    }
}

/// What a clone saw cannot be made again: when it cannot be read, that is said, because a history
/// that was cut before would not be noticed.
#[test]
fn a_memory_that_cannot_be_read_is_missed() {
    let base = scene();
    let memory = |room: &Room| room.repo().join(".git/stepseal/seen.json");
    let right = std::fs::read_to_string(memory(&base)).expect("what it saw");
    for text in ["", &right[..right.len() / 2], "{}", "\0\0\0"] {
        let room = base.copy();
        std::fs::write(memory(&room), text).expect("a bad memory");
        room.git(&["update-ref", BRANCH, &format!("{BRANCH}~1")]);
        let ran = room.run(&["status", "WI-A"]);
        assert!(ran.code == 0 && ran.stderr.contains("seen.json cannot be read"), "{text} {ran}");
        // It remembers again.
        let ran = room.run(&["status", "WI-A"]);
        assert!(ran.code == 0 && !ran.stderr.contains("seen.json"), "{text} {ran}");
    }
    let room = base.copy();
    std::fs::remove_file(memory(&room)).expect("what it saw");
    std::fs::create_dir_all(memory(&room).join("x")).expect("in its place");
    let ran = room.run(&["claim", "--work-item", "WI-A", "--step", "s003"]);
    assert!(ran.code == 0 && ran.stderr.contains("seen.json was not written"), "{ran}");
}
