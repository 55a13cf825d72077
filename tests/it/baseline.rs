//! The boundary between provisional and authoritative, against real repositories: what landed on
//! the base branch and how, what cannot be told, and the way back (FR-010; B1, B2).

use serde_json::Value;
use stepseal::domain::decide::{self, Ask, Integrate, Revert, Unchanged, void_set};
use stepseal::domain::event::{Baseline, EventData, EventKind, Landed, LandedVerdict};
use stepseal::domain::refusal::Refusal;
use stepseal::domain::transition::ItemPhase;

use crate::domain_kit::{
    Play, Shape as _, approve, claim, gate, integrate, key, par, requeue, revert, rework, skip,
    who, work,
};
use crate::kit::{Ran, Room};

const ITEM: [&str; 2] = ["--work-item", "W"];

/// A repository with a page on `master`, a branch `feature` that is checked out, and an item of
/// these steps.
fn shop(steps: &[&str]) -> Room {
    let room = Room::in_memory();
    room.git(&["symbolic-ref", "HEAD", "refs/heads/master"]);
    room.git(&["config", "merge.conflictStyle", "merge"]);
    let keys: String = steps.iter().map(|step| format!("  - {{ key: {step} }}\n")).collect();
    let plan = room.path().join("plan.yaml");
    std::fs::write(&plan, format!("name: flow\nsteps:\n{keys}")).expect("a plan");
    let lines: String = (1..=20).map(|line| format!("line {line}\n")).collect();
    commit(&room, "page.txt", &lines);
    room.ok(&["delegate", "--plan", &plan.display().to_string(), ITEM[0], ITEM[1]]);
    room.git(&["switch", "--quiet", "--create", "feature"]);
    room
}

/// Writes a file and commits it.
fn commit(room: &Room, path: &str, text: &str) {
    room.write(path, text);
    room.git(&["add", "--all"]);
    room.git(&["commit", "--quiet", "--message", path]);
}

fn claims(room: &Room, step: &str) {
    room.ok(&["claim", "--step", step, ITEM[0], ITEM[1]]);
}

fn completes(room: &Room, step: &str, more: &[&str]) {
    let complete = ["complete", "--step", step, "--outcome", "done", ITEM[0], ITEM[1]];
    room.ok(&[&complete, more].concat());
}

/// A step whose work is these files, each in a commit of its own.
fn works(room: &Room, step: &str, files: &[(&str, &str)]) {
    claims(room, step);
    for (path, text) in files {
        commit(room, path, text);
    }
    completes(room, step, &[]);
}

/// Others go on with `master` meanwhile.
fn others_commit(room: &Room, path: &str, text: &str) {
    room.git(&["switch", "--quiet", "master"]);
    commit(room, path, text);
    room.git(&["switch", "--quiet", "feature"]);
}

fn integrates(room: &Room, more: &[&str]) -> (i32, Value) {
    room.json(&[&["integrate", ITEM[0], ITEM[1], "--commit", "master"], more].concat())
}

/// What was found of each completion, whether it was refused or not.
fn verdicts(said: &Value) -> Vec<(&str, &str, &str)> {
    let list = if said["landed"].is_array() { &said["landed"] } else { &said["data"]["landed"] };
    let list = list.as_array().unwrap_or_else(|| panic!("no verdicts: {said:#}"));
    list.iter()
        .map(|one| {
            let word = |name: &str| one[name].as_str().expect("a word");
            (word("attemptId"), word("verdict"), word("how"))
        })
        .collect()
}

/// All of it landed, each in the way that is named, and it is recorded.
fn all_landed(room: &Room, ways: &[&str]) {
    let (code, said) = integrates(room, &[]);
    assert_eq!(code, 0, "{said:#}");
    assert_eq!((&said["outcome"], &said["recorded"]), (&"integrated".into(), &true.into()));
    let found = verdicts(&said);
    assert_eq!(found.len(), ways.len(), "{found:#?}");
    for ((_, verdict, how), way) in found.iter().zip(ways) {
        assert_eq!(*verdict, "landed", "{found:#?}");
        assert!(how.contains(way), "{how} says nothing of {way}");
    }
    room.ok(&["verify", "--deep"]);
}

/// It is refused, nothing is recorded, and this is said of each.
fn refused(room: &Room, expected: &[(&str, &str)]) -> Value {
    let before = room.git(&["rev-parse", "stepseal-ledger"]);
    let (code, said) = integrates(room, &[]);
    assert_eq!((code, said["reason"].as_str()), (4, Some("not-landed")), "{said:#}");
    let found = verdicts(&said);
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for ((_, verdict, how), (word, way)) in found.iter().zip(expected) {
        assert_eq!(verdict, word, "{found:#?}");
        assert!(how.contains(way), "{how} says nothing of {way}");
    }
    assert_eq!(room.git(&["rev-parse", "stepseal-ledger"]), before);
    said
}

fn merges(room: &Room) {
    room.git(&["switch", "--quiet", "master"]);
    room.git(&["merge", "--quiet", "--no-ff", "--no-edit", "feature"]);
}

fn squashes(room: &Room) {
    room.git(&["switch", "--quiet", "master"]);
    room.git(&["merge", "--quiet", "--squash", "feature"]);
    room.git(&["commit", "--quiet", "--message", "squashed"]);
}

// --- What landed ---------------------------------------------------------------------------

#[test]
fn scenario_a_merged_branch_is_integrated_and_takes_no_more_work() {
    let room = shop(&["one", "two"]);
    works(&room, "one", &[("one.txt", "1\n")]);
    works(&room, "two", &[("two.txt", "2\n")]);
    others_commit(&room, "other.txt", "of others\n");
    merges(&room);
    room.git(&["branch", "--quiet", "--delete", "feature"]);
    let (_, before) = room.json(&["status", "W"]);
    assert_eq!(
        (&before["item"]["baseline"], &before["item"]["integrated"]),
        (&"pre".into(), &Value::Null)
    );
    all_landed(&room, &["is in the history", "is in the history"]);
    let tip = room.git(&["rev-parse", "master"]);
    let (_, said) = room.json(&["status", "W"]);
    assert_eq!(said["item"]["status"], "integrated");
    assert_eq!(said["item"]["integrated"]["commit"], tip.trim());
    assert_eq!(said["item"]["integrated"]["branch"], "master");
    assert_eq!(said["item"]["integrated"]["by"], "maintainer-1");
    let (_, export) = room.json(&["export"]);
    assert_eq!(export["items"][0]["item"]["integrated"]["commit"], tip.trim());
    // The same again records nothing, and another commit is another ask.
    let (code, said) = integrates(&room, &[]);
    assert_eq!((code, &said["outcome"]), (0, &"unchanged".into()));
    commit(&room, "later.txt", "later\n");
    let (code, said) = integrates(&room, &[]);
    assert_eq!((code, said["reason"].as_str()), (4, Some("item-ended")));
    // What would work on it is refused, with the way out.
    for typed in [
        &["claim", "--step", "one"][..],
        &["requeue", "--step", "one"],
        &["rework", "--return-to", "one", "--reason", "again"],
        &["skip", "--step", "one", "--reason", "no"],
        &["blocker", "declare", "--type", "other", "--notes", "wall"],
        &["cancel", "--reason", "no"],
    ] {
        let (code, said) = room.json(&[typed, &ITEM].concat());
        assert!(code == 4 || code == 6, "{typed:?}: {said:#}");
        let ways = said["next"].as_array().expect("a list").iter();
        let revert = ways.filter(|way| way[1] == "revert").count();
        assert_eq!(revert, 1, "{typed:?}: {said:#}");
    }
}

#[test]
fn a_squash_is_found_although_others_went_on_and_the_branch_is_gone() {
    let room = shop(&["one", "two", "three"]);
    works(&room, "one", &[("one.txt", "first\n"), ("one.txt", "second\n")]);
    // The next step changes the same file: what the first one left is nowhere on the base.
    works(&room, "two", &[("one.txt", "third\n")]);
    works(&room, "three", &[("three.txt", "3\n")]);
    others_commit(&room, "page.txt", "another page\n");
    squashes(&room);
    commit(&room, "three.txt", "changed since\n");
    room.git(&["branch", "--quiet", "--delete", "--force", "feature"]);
    all_landed(&room, &["which contains it", "as it left it", "one commit makes the same change"]);
}

#[test]
fn a_rebased_branch_is_found_commit_by_commit() {
    let room = shop(&["one", "two"]);
    let page = room.git(&["show", "HEAD:page.txt"]);
    works(&room, "one", &[("page.txt", &page.replace("line 2\n", "line two\n")), ("a", "a\n")]);
    let page = room.git(&["show", "HEAD:page.txt"]);
    works(&room, "two", &[("page.txt", &page.replace("line 4\n", "line four\n")), ("b", "b\n")]);
    // Others change the same file elsewhere, so that no blob of the branch is on the base.
    let base = room.git(&["show", "master:page.txt"]);
    others_commit(&room, "page.txt", &base.replace("line 19\n", "line nineteen\n"));
    room.git(&["rebase", "--quiet", "master"]);
    room.git(&["switch", "--quiet", "master"]);
    room.git(&["merge", "--quiet", "--ff-only", "feature"]);
    room.git(&["branch", "--quiet", "--delete", "feature"]);
    all_landed(&room, &["each of its 2 commits has an equal one", "each of its 2 commits"]);
}

#[test]
fn only_what_was_cherry_picked_has_landed() {
    let room = shop(&["one", "two"]);
    works(&room, "one", &[("one.txt", "1\n")]);
    works(&room, "two", &[("two.txt", "2\n")]);
    others_commit(&room, "one.md", "of others\n");
    room.git(&["switch", "--quiet", "master"]);
    room.git(&["cherry-pick", "feature~1"]);
    commit(&room, "one.txt", "changed since\n");
    let said = refused(
        &room,
        &[("landed", "one commit makes the same change"), ("not-landed", "two.txt")],
    );
    assert_eq!(said["data"]["landed"][1]["attemptId"], "two.1");
    room.git(&["cherry-pick", "feature"]);
    all_landed(&room, &["one commit makes the same change", "one commit makes the same change"]);
}

#[test]
fn a_change_that_was_edited_on_its_way_is_accepted_with_a_reason() {
    let room = shop(&["one"]);
    works(&room, "one", &[("one.txt", "1\n"), ("kept.txt", "kept\n")]);
    room.git(&["switch", "--quiet", "master"]);
    room.git(&["merge", "--quiet", "--squash", "feature"]);
    room.write("one.txt", "edited in the merge\n");
    room.git(&["commit", "--quiet", "--all", "--message", "squashed"]);
    refused(
        &room,
        &[(
            "not-landed",
            "1 of 2 changed paths is not on the base as it left them, such as one.txt",
        )],
    );
    // From a folder below, paths are the repository's all the same.
    std::fs::create_dir(room.repo().join("below")).expect("a folder");
    let words = ["integrate", ITEM[0], ITEM[1], "--commit", "master", "--dry-run", "--json"];
    let below = room.run_in("repo/below", &words).document();
    assert_eq!(verdicts(&below)[0].1, "not-landed", "{below:#}");
    // A reason is asked for, and an empty one is none.
    let (code, _) = integrates(&room, &["--accept"]);
    assert_eq!(code, 2);
    let (code, _) = integrates(&room, &["--accept", "--reason", " "]);
    assert_eq!(code, 2);
    let reason = ["--accept", "--reason", "edited in the merge"];
    let (code, said) = integrates(&room, &reason);
    assert_eq!((code, &said["accepted"]), (0, &"edited in the merge".into()), "{said:#}");
    // The verdict is on record as it was.
    let artifact = room.ledger_text(&room.ledger_file("_item-baseline-integration.json"));
    let artifact: Value = serde_json::from_str(&artifact).expect("JSON");
    assert_eq!(artifact["data"]["landed"][0]["verdict"], "not-landed");
    assert_eq!(artifact["data"]["accepted"], "edited in the merge");
    assert!(room.ok(&["status", "W"]).contains("accepted\t\"edited in the merge\""));
    room.ok(&["verify", "--deep"]);
}

// --- What cannot be told -------------------------------------------------------------------

#[test]
fn work_that_was_not_committed_is_shown_by_its_outputs_only() {
    let room = shop(&["one", "two", "three"]);
    for step in ["one", "two"] {
        claims(&room, step);
        room.write(&format!("{step}.txt"), step);
        let output = ["--output", "two.txt"];
        completes(&room, step, if step == "two" { &output } else { &[] });
    }
    // It had nothing to change, and its work tree says so.
    room.git(&["add", "--all"]);
    room.git(&["commit", "--quiet", "--message", "all at once"]);
    claims(&room, "three");
    completes(&room, "three", &[]);
    merges(&room);
    refused(
        &room,
        &[
            ("unknown", "what it changed was not committed"),
            ("landed", "its output is there, byte for byte"),
            ("landed", "it changed nothing"),
        ],
    );
    // With other bytes in the commit the output shows nothing.
    commit(&room, "two.txt", "changed since");
    let (_, said) = integrates(&room, &["--dry-run"]);
    let two = verdicts(&said)[1];
    assert_eq!(two.1, "unknown", "{two:?}");
    assert!(two.2.contains("other bytes"), "{two:?}");
}

#[test]
fn what_saw_no_code_is_looked_for_by_its_outputs() {
    let room = shop(&["one", "two", "three"]);
    room.write("stepseal.toml", "[claim]\ncode = false\n");
    for (step, output) in [("one", Some("doc.md")), ("two", Some("gone.md")), ("three", None)] {
        claims(&room, step);
        if let Some(output) = output {
            room.write(output, step);
        }
        let output = output.map(|output| ["--output", output]);
        completes(&room, step, output.as_ref().map_or(&[], |output| &output[..]));
    }
    std::fs::remove_file(room.repo().join("gone.md")).expect("it was there");
    room.git(&["switch", "--quiet", "master"]);
    commit(&room, "doc.md", "one");
    refused(
        &room,
        &[
            ("landed", "its output is there, byte for byte"),
            ("not-landed", "gone.md is not there"),
            ("unknown", "not on record which code"),
        ],
    );
}

#[test]
fn a_branch_that_is_gone_with_its_commits_cannot_be_told() {
    let room = shop(&["one"]);
    works(&room, "one", &[("one.txt", "1\n")]);
    squashes(&room);
    room.git(&["branch", "--quiet", "--delete", "--force", "feature"]);
    room.git(&["reflog", "expire", "--expire=now", "--all"]);
    room.git(&["gc", "--quiet", "--prune=now"]);
    refused(&room, &[("unknown", "is not in this clone")]);
}

#[test]
fn a_shallow_clone_says_what_it_does_not_know() {
    let room = shop(&["one"]);
    works(&room, "one", &[("one.txt", "1\n")]);
    let old = room.git(&["rev-parse", "feature"]);
    merges(&room);
    for n in 0..3 {
        commit(&room, "later.txt", &format!("{n}\n"));
    }
    let from = format!("file://{}", room.repo().display());
    let to = room.path().join("shallow");
    room.git(&[
        "clone",
        "--quiet",
        "--depth=1",
        "--no-single-branch",
        &from,
        &to.display().to_string(),
    ]);
    let ran = room.run_in("shallow", &["init", "--quiet"]);
    assert_eq!(ran.code, 0, "{ran}");
    let ask = |commit: &str| {
        let words = ["integrate", "--json", ITEM[0], ITEM[1], "--commit", commit, "--dry-run"];
        let ran: Ran = room.run_in("shallow", &words);
        (ran.code, ran.document())
    };
    let (code, said) = ask("origin/master");
    assert_eq!((code, said["reason"].as_str()), (4, Some("not-landed")), "{said:#}");
    assert_eq!(verdicts(&said)[0].1, "unknown", "{said:#}");
    let (code, said) = ask(&format!("{}~1", old.trim()));
    assert_eq!((code, said["reason"].as_str()), (5, Some("unknown-commit")), "{said:#}");
    assert_eq!(said["next"][0], serde_json::json!(["git", "fetch", "--unshallow"]));
    // With the whole history it is known.
    room.program("git")
        .current_dir(&to)
        .args(["fetch", "--quiet", "--unshallow"])
        .status()
        .expect("git");
    let (code, said) = ask("origin/master");
    assert_eq!((code, verdicts(&said)[0].1), (0, "landed"), "{said:#}");
    assert_eq!(said["branch"], "origin/master");
}

// --- What is asked of the item and the commit -----------------------------------------------

#[test]
fn a_commit_on_no_base_branch_is_refused_whatever_is_accepted() {
    let room = shop(&["one"]);
    works(&room, "one", &[("one.txt", "1\n")]);
    let words = ["integrate", ITEM[0], ITEM[1], "--commit", "feature"];
    let accept = ["--accept", "--reason", "it will be there"];
    for more in [&[][..], &accept] {
        let (code, said) = room.json(&[&words[..], more].concat());
        assert_eq!((code, said["reason"].as_str()), (4, Some("not-on-base")), "{said:#}");
        assert_eq!(said["data"]["branch"], "master");
    }
    // Another base branch is another promise: by a flag, or by a setting.
    let (code, said) = room.json(&[&words[..], &["--branch", "feature", "--dry-run"]].concat());
    assert_eq!((code, said["branch"].as_str()), (0, Some("feature")), "{said:#}");
    room.write("stepseal.toml", "[baseline]\nbranch = \"feature\"\n");
    let (code, said) = room.json(&[&words[..], &["--dry-run"]].concat());
    assert_eq!((code, said["branch"].as_str()), (0, Some("feature")), "{said:#}");
    let (code, said) = room.json(&[&words[..], &["--branch", "nowhere"]].concat());
    assert_eq!((code, said["reason"].as_str()), (5, Some("unknown-branch")));
    let (code, said) = room.json(&["integrate", ITEM[0], ITEM[1], "--commit", "--all"]);
    assert_eq!(code, 2, "{said:#}");
    let (code, said) = room.json(&["integrate", ITEM[0], ITEM[1], "--commit", "nothing"]);
    assert_eq!((code, said["reason"].as_str()), (5, Some("unknown-commit")));
}

#[test]
fn steps_that_are_open_and_another_item_are_refused() {
    let room = shop(&["one", "two"]);
    works(&room, "one", &[("one.txt", "1\n")]);
    merges(&room);
    let (code, said) = integrates(&room, &[]);
    assert_eq!((code, said["reason"].as_str()), (4, Some("not-all-done")), "{said:#}");
    assert_eq!(said["data"]["open"], serde_json::json!(["two"]));
    room.follow("repo", &said);
    let (code, said) = room.json(&["integrate", "--work-item", "X", "--commit", "master"]);
    assert_eq!((code, said["reason"].as_str()), (5, Some("unknown-item")));
    // A step that was given up leaves nothing to look for.
    room.ok(&["skip", "--step", "two", "--reason", "no", ITEM[0], ITEM[1]]);
    all_landed(&room, &["is in the history"]);
}

#[test]
fn a_look_at_the_repository_changes_nothing_of_it() {
    let room = shop(&["one", "two"]);
    works(&room, "one", &[("one.txt", "1\n")]);
    works(&room, "two", &[("two.txt", "2\n")]);
    squashes(&room);
    room.write("page.txt", "not committed\n");
    room.write("two.txt", "staged\n");
    room.git(&["add", "two.txt"]);
    let state = || {
        let index = std::fs::read(room.repo().join(".git/index")).expect("an index");
        let refs = room.git(&["for-each-ref"]);
        let head = room.git(&["symbolic-ref", "HEAD"]);
        let objects = room.git(&["count-objects", "--verbose"]);
        (index, refs, head, objects, room.git(&["--no-optional-locks", "status", "--porcelain"]))
    };
    let before = state();
    let (code, said) = integrates(&room, &["--dry-run"]);
    assert_eq!((code, said["outcome"].as_str()), (0, Some("dry-run")), "{said:#}");
    assert_eq!(state(), before);
}

// --- The way back --------------------------------------------------------------------------

fn reverts(room: &Room, to: &str, more: &[&str]) -> (i32, Value) {
    let words = ["revert", ITEM[0], ITEM[1], "--commit", "master", "--reason", "it lost uploads"];
    room.json(&[&words[..], &["--return-to", to], more].concat())
}

#[test]
fn scenario_a_revert_opens_one_round_and_what_it_undid_has_to_land_again() {
    let room = shop(&["one", "two"]);
    works(&room, "one", &[("one.txt", "1\n")]);
    works(&room, "two", &[("two.txt", "2\n")]);
    let (code, said) = reverts(&room, "two", &[]);
    assert_eq!((code, said["reason"].as_str()), (4, Some("not-integrated")), "{said:#}");
    merges(&room);
    all_landed(&room, &["history", "history"]);
    // The commit that was integrated is no way back, and half of one neither.
    let (code, said) = reverts(&room, "two", &[]);
    assert_eq!((code, said["reason"].as_str()), (4, Some("not-undone")), "{said:#}");
    room.git(&["rm", "--quiet", "two.txt"]);
    room.git(&["commit", "--quiet", "--message", "half"]);
    let (code, said) = reverts(&room, "two", &[]);
    assert_eq!((code, said["reason"].as_str()), (4, Some("not-undone")), "{said:#}");
    assert!(said["data"]["how"].as_str().expect("a word").contains("one.txt"), "{said:#}");
    room.git(&["rm", "--quiet", "one.txt"]);
    room.git(&["commit", "--quiet", "--message", "the other half"]);
    let (code, said) = reverts(&room, "two", &["--dry-run"]);
    assert_eq!((code, said["void"].clone()), (0, serde_json::json!(["two"])), "{said:#}");
    let (code, said) = reverts(&room, "two", &[]);
    assert_eq!((code, said["outcome"].as_str()), (0, Some("reverted")), "{said:#}");
    assert_eq!(said["ready"], serde_json::json!(["two"]));
    let (code, said) = reverts(&room, "two", &[]);
    assert_eq!((code, said["outcome"].as_str()), (0, Some("unchanged")), "{said:#}");
    let (_, said) = room.json(&["status", "W"]);
    assert_eq!((&said["item"]["baseline"], &said["item"]["round"]), (&"pre".into(), &2.into()));
    // It is worked on again, and so is what was not void: it is not on the base any more.
    room.git(&["switch", "--quiet", "--create", "again"]);
    works(&room, "two", &[("two.txt", "better\n")]);
    room.git(&["switch", "--quiet", "master"]);
    room.git(&["merge", "--quiet", "--no-ff", "--no-edit", "again"]);
    refused(&room, &[("not-landed", "one.txt"), ("landed", "history")]);
    commit(&room, "one.txt", "1\n");
    all_landed(&room, &["one commit makes the same change", "history"]);
    // And back once more, to a way that is provisional: a rework works then.
    let (code, said) = reverts(&room, "one", &["--accept"]);
    assert_eq!((code, &said["accepted"]), (0, &true.into()), "{said:#}");
    works(&room, "one", &[("one.txt", "one\n")]);
    room.ok(&["rework", "--return-to", "one", "--reason", "once more", ITEM[0], ITEM[1]]);
    room.ok(&["verify", "--deep"]);
}

#[test]
fn a_reverted_merge_is_seen_although_others_changed_the_same_file() {
    let room = shop(&["one"]);
    let page = room.git(&["show", "HEAD:page.txt"]);
    works(&room, "one", &[("page.txt", &page.replace("line 2\n", "line two\n"))]);
    merges(&room);
    all_landed(&room, &["history"]);
    let page = room.git(&["show", "HEAD:page.txt"]);
    commit(&room, "page.txt", &page.replace("line 19\n", "line nineteen\n"));
    let (code, said) = reverts(&room, "one", &[]);
    assert_eq!((code, said["reason"].as_str()), (4, Some("not-undone")), "{said:#}");
    room.git(&["revert", "--no-edit", "--mainline=1", "HEAD~1"]);
    let (code, said) = reverts(&room, "one", &[]);
    assert_eq!(code, 0, "{said:#}");
    assert!(said["how"].as_str().expect("a word").contains("takes the change"), "{said:#}");
}

// --- The rules by themselves ---------------------------------------------------------------

/// `design`, then `api` and `web` together, a gate, and `ship`: all done.
fn shipped() -> Play {
    let mut play = Play::of(vec![
        work("design").order(1),
        par("api").order(2),
        par("web").order(2),
        gate("ok").order(3),
        work("ship").order(4),
    ]);
    play.work("design");
    play.work("api");
    play.does(&who("ann"), &skip("web"));
    play.does(&who("ann"), &approve("ok"));
    play.work("ship");
    play
}

/// The same ask with one thing different.
fn altered(ask: Ask, change: impl FnOnce(&mut Integrate)) -> Ask {
    let Ask::Integrate(mut ask) = ask else { panic!("an integration") };
    change(&mut ask);
    Ask::Integrate(ask)
}

fn undone(ask: Ask, change: impl FnOnce(&mut Revert)) -> Ask {
    let Ask::Revert(mut ask) = ask else { panic!("a revert") };
    change(&mut ask);
    Ask::Revert(ask)
}

#[test]
fn completions_count_and_gates_and_skipped_steps_leave_nothing() {
    let play = shipped();
    let found = decide::works(&play.workflow, play.item());
    let names: Vec<String> = found.iter().map(|work| work.attempt.to_string()).collect();
    assert_eq!(names, ["design.1", "api.1", "ship.1"]);
}

#[test]
fn everything_has_to_be_done_on_the_base_and_looked_for() {
    let mut play = shipped();
    let ask = integrate(&play);
    let no = altered(ask.clone(), |ask| ask.on.reached = Some(false));
    assert!(matches!(play.refuses(&who("ann"), &no), Refusal::NotOnBase { known: true, .. }));
    let unknown = altered(ask.clone(), |ask| ask.on.reached = None);
    assert!(matches!(play.refuses(&who("ann"), &unknown), Refusal::NotOnBase { known: false, .. }));
    // Nobody says of less than all completions that they landed.
    let less = altered(ask.clone(), |ask| drop(ask.landed.pop()));
    assert!(matches!(play.refuses(&who("ann"), &less), Refusal::Invalid(_)));
    for verdict in [LandedVerdict::NotLanded, LandedVerdict::Unknown] {
        let one = altered(ask.clone(), |ask| ask.landed[1].verdict = verdict);
        let refused = play.refuses(&who("ann"), &one);
        let Refusal::NotLanded { landed, .. } = &refused else { panic!("{refused:?}") };
        assert_eq!(landed.len(), 3);
        assert_eq!(
            refused.to_string(),
            "1 of 3 completions of WI-1 cannot be shown to have landed"
        );
    }
    play.does(&who("ann"), &rework("ship", false));
    let refused = play.refuses(&who("ann"), &integrate(&play));
    let Refusal::NotAllDone { open, .. } = refused else { panic!("{refused:?}") };
    assert_eq!(open, [key("ship")]);
    play.work("ship");
    // A reason that was not needed is not on record as one.
    let reason = Some("to be sure".to_owned());
    let events = play.does(&who("ann"), &altered(integrate(&play), |ask| ask.accepted = reason));
    assert_eq!(events.len(), 1);
    let EventData::BaselineIntegration(data) = &events[0].data else { panic!("it is one") };
    assert_eq!(data.accepted, None);
    let links: Vec<_> = events[0].links.iter().map(|link| link.rel.as_str()).collect();
    assert_eq!(links, ["integrates"; 4]);
    assert_eq!(play.item().phase, ItemPhase::Integrated);
    assert_eq!(play.item().baseline(), Baseline::Post);
}

#[test]
fn policy_says_who_may_integrate_and_revert() {
    let mut play = shipped();
    play.policy("integrate", &["ann", "role:lead"]);
    // While no role has members everybody is in each, and names hold all the same.
    play.policy("role.lead", &["bob"]);
    let refused = play.refuses(&who("cy"), &integrate(&play));
    let Refusal::NotIntegrator { ids, members, .. } = &refused else { panic!("{refused:?}") };
    assert_eq!((ids.len(), members[0].1.as_slice()), (1, &["bob".to_owned()][..]));
    play.does(&who("bob"), &integrate(&play));
    assert!(matches!(play.refuses(&who("cy"), &revert("ship")), Refusal::NotIntegrator { .. }));
    play.does(&who("ann"), &revert("ship"));
    play.policy("integrate", &[]);
    play.work("ship");
    play.does(&who("cy"), &integrate(&play));
}

#[test]
fn before_a_revert_nothing_works_and_after_it_everything_does() {
    let mut play = shipped();
    let refused = play.refuses(&who("ann"), &revert("api"));
    assert!(matches!(refused, Refusal::NotIntegrated { .. }), "{refused:?}");
    let first = integrate(&play);
    play.does(&who("ann"), &first);
    for ask in [claim("api"), requeue("api"), claim("ship")] {
        let refused = play.refuses(&who("x"), &ask);
        assert!(matches!(refused, Refusal::Finished { integrated: true, .. }), "{refused:?}");
    }
    let refused = play.refuses(&who("x"), &claim("web"));
    assert!(matches!(refused, Refusal::StepDone { integrated: true, .. }), "{refused:?}");
    let refused = play.refuses(&who("ann"), &rework("api", false));
    assert!(matches!(refused, Refusal::ItemEnded { phase: ItemPhase::Integrated, .. }));
    // A skipped step is no way back, and nor is a commit that undoes nothing or is nowhere.
    assert!(matches!(play.refuses(&who("ann"), &revert("web")), Refusal::BadReturn { .. }));
    let not = undone(revert("api"), |ask| ask.undoes = false);
    assert!(matches!(play.refuses(&who("ann"), &not), Refusal::NotUndone { .. }));
    let away = undone(revert("api"), |ask| (ask.on.reached, ask.accept) = (Some(false), true));
    assert!(matches!(play.refuses(&who("ann"), &away), Refusal::NotOnBase { .. }));
    let expected = void_set(&play.workflow, play.item(), play.at("api"), None);
    let events = play.does(&who("ann"), &revert("api"));
    let EventData::BaselineReverted(data) = &events[0].data else { panic!("a revert first") };
    let void: Vec<usize> = data.void.iter().map(|void| play.at(void.key.as_str())).collect();
    assert_eq!(void, expected);
    assert_eq!(data.accepted, None);
    // One revert opens one round, and typed again it is the same one.
    let rounds: Vec<u32> = play.item().steps.iter().map(|step| step.round).collect();
    assert_eq!(rounds, [1, 2, 1, 2, 2]);
    let same = play.ask(&who("ann"), &revert("api")).expect("it is so already");
    let decide::Decided::Unchanged(same) = same else { panic!("{same:?}") };
    assert_eq!(same, Unchanged::SentBack { to: key("api") });
    let again = play.refuses(&who("bob"), &revert("api"));
    assert!(matches!(again, Refusal::NotIntegrated { .. }), "{again:?}");
    assert_eq!(play.ready(), ["api"]);
    play.work("api");
    play.does(&who("ann"), &rework("api", false));
    play.work("api");
    // What counts now is the new round's, and it is after a revert.
    let of_api = decide::works(&play.workflow, play.item()).into_iter().nth(1).expect("api");
    assert_eq!(
        (of_api.attempt.to_string(), of_api.undone_by),
        ("api.3".into(), Some("f00d".into()))
    );
    let kinds = play.log.iter().filter(|r| r.event.kind() == EventKind::BaselineReverted).count();
    assert_eq!(kinds, 1);
    let unknown = Landed {
        attempt_id: "api.3".parse().expect("an attempt"),
        verdict: LandedVerdict::Unknown,
        how: "nobody looked".into(),
    };
    assert_eq!(unknown.verdict.words(), "cannot tell");
}
