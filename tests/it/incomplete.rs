//! A clone that lacks something never verifies, and says the command that brings it (P15, L11).

use std::path::PathBuf;

use serde_json::Value;

use super::kit::{Room, figure, parallel_workflow};

const BRANCH: &str = "refs/heads/stepseal-ledger";

/// A ledger, and a clone of it that has adopted it; both work.
fn scene() -> Room {
    let room = Room::with_ledger();
    room.write("plan.yaml", &parallel_workflow("par", 3));
    room.ok(&["delegate", "--plan", "plan.yaml", "--work-item", "W1"]);
    room.ok(&["claim", "--work-item", "W1", "--step", "s001"]);
    room.ok(&["complete", "--work-item", "W1", "--step", "s001", "--outcome", "did it"]);
    let url = format!("file://{}", room.repo().display());
    room.git(&["clone", "--quiet", "--no-checkout", &url, "../clone"]);
    let ran = room.run_in("clone", &["init"]);
    assert_eq!(ran.code, 0, "{ran}");
    whole(&room);
    room
}

/// The clone verifies, and is worked in.
fn whole(room: &Room) {
    for args in
        [&["verify", "--deep"][..], &["claim", "--work-item", "W1", "--step", "s002", "--json"]]
    {
        let ran = room.run_in("clone", args);
        assert_eq!(ran.code, 0, "{args:?} {ran}");
    }
    let ran =
        room.run_in("clone", &["release", "--work-item", "W1", "--step", "s002", "--reason", "x"]);
    assert_eq!(ran.code, 0, "{ran}");
}

fn git(room: &Room, args: &[&str]) -> String {
    room.git(&[&["-C", "../clone"], args].concat()).trim().to_owned()
}

/// What `verify` says of the clone, which is never that all is well.
fn verify(room: &Room, code: i32) -> Value {
    let mut said = Value::Null;
    for args in [&["verify", "--deep", "--json"][..], &["verify", "--json"]] {
        let ran = room.run_in("clone", args);
        assert_eq!(ran.code, code, "{args:?} {ran}");
        said = ran.document();
        assert_eq!(said["exitCode"], code, "{said:#}");
    }
    said
}

/// The objects of the clone's ledger by what they are. The clone's own work is not in origin, so
/// these are those of the commit both have.
fn objects(room: &Room) -> Vec<(&'static str, String)> {
    let shared = git(room, &["rev-parse", "origin/stepseal-ledger"]);
    let event = room.ledger_file("attempt-completed.json");
    let (folder, _) = event.rsplit_once('/').expect("a folder");
    let seal = room.ledger_files().into_iter().rfind(|path| path.contains("/seals/"));
    [
        ("commit", shared.clone()),
        ("first commit", format!("{shared}~3")),
        ("seal", format!("{shared}:{}", seal.expect("a seal"))),
        ("event", format!("{shared}:{event}")),
        ("root", format!("{shared}^{{tree}}")),
        ("folder", format!("{shared}:{folder}")),
    ]
    .map(|(what, name)| (what, git(room, &["rev-parse", &name])))
    .to_vec()
}

/// Every object of the clone stands in a file of its own.
fn unpack(room: &Room) {
    let objects = room.path().join("clone/.git/objects");
    let aside = room.path().join("aside");
    std::fs::rename(objects.join("pack"), &aside).expect("packs");
    std::fs::create_dir(objects.join("pack")).expect("no packs");
    for entry in std::fs::read_dir(&aside).expect("packs") {
        let path = entry.expect("a file").path();
        if path.extension().is_some_and(|end| end == "pack") {
            let pack = std::fs::File::open(path).expect("a pack");
            let mut unpack = room.program("git");
            unpack.args(["-C", "../clone", "unpack-objects", "-q"]).stdin(pack);
            assert!(unpack.status().expect("git starts").success());
        }
    }
    std::fs::remove_dir_all(aside).expect("packs");
}

fn loose(room: &Room, oid: &str) -> PathBuf {
    room.path().join("clone/.git/objects").join(&oid[..2]).join(&oid[2..])
}

/// A clone whose own newest commits are gone too, so that it is where origin is.
fn as_cloned() -> Room {
    let room = scene();
    git(&room, &["update-ref", BRANCH, "origin/stepseal-ledger"]);
    std::fs::remove_dir_all(room.path().join("clone/.git/stepseal")).expect("what it saw");
    unpack(&room);
    assert_eq!(room.run_in("clone", &["verify"]).code, 0);
    room
}

/// Takes something away from a clone; `verify` ends with this code and names this, and what it
/// says to type makes the clone whole again.
fn comes_back(room: &Room, code: i32, named: &str) {
    let said = verify(room, code);
    assert!(said.to_string().contains(named), "{named} is not in {said:#}");
    room.follow("clone", &said);
    whole(room);
}

/// A copy of the scene whose clone fetches from the copy.
fn copy(base: &Room) -> Room {
    let room = base.copy();
    git(&room, &["config", "remote.origin.url", &format!("file://{}", room.repo().display())]);
    room
}

#[test]
fn a_missing_object_is_named_with_the_command_that_brings_it() {
    let base = as_cloned();
    let objects = objects(&base);
    for (_, oid) in &objects {
        let room = copy(&base);
        std::fs::remove_file(loose(&room, oid)).expect("an object");
        comes_back(&room, 11, oid);
    }
    figure(
        "P15",
        &format!("{0} of {0} missing objects: exit 11, and fetched as said", objects.len()),
    );
}

#[test]
fn a_damaged_object_is_named_with_the_commands_that_replace_it() {
    let base = as_cloned();
    let objects = objects(&base);
    for (_, oid) in &objects {
        let room = copy(&base);
        std::fs::remove_file(loose(&room, oid)).expect("an object");
        std::fs::write(loose(&room, oid), b"x\x01").expect("a bad object");
        comes_back(&room, 10, oid);
    }
    figure("P15", &format!("{0} of {0} damaged objects: exit 10, replaced as said", objects.len()));
}

#[test]
fn a_shallow_clone_is_deepened_as_it_says() {
    let room = scene();
    std::fs::remove_dir_all(room.path().join("clone")).expect("the clone");
    let url = format!("file://{}", room.repo().display());
    let only = ["--depth", "1", "--no-single-branch", "--no-checkout"];
    room.git(&[&["clone", "--quiet"], &only[..], &[&url, "../clone"]].concat());
    assert_eq!(room.run_in("clone", &["init"]).code, 0);
    comes_back(&room, 11, "shallow");
}

/// A clone that borrows its objects from a folder that is gone.
#[test]
fn a_lost_alternate_is_made_good_as_it_says() {
    let room = as_cloned();
    let objects = room.path().join("clone/.git/objects");
    let aside = room.path().join("alternate");
    std::fs::rename(&objects, &aside).expect("objects");
    std::fs::create_dir_all(objects.join("info")).expect("objects");
    let alternates = format!("{}\n", aside.display());
    std::fs::write(objects.join("info/alternates"), alternates).expect("alternates");
    whole(&room);
    std::fs::remove_dir_all(aside).expect("objects");
    comes_back(&room, 11, "missing-object");
}

/// The branch's file after a power cut: empty, half, or naming what never was.
#[test]
fn a_damaged_branch_file_is_put_right_as_it_says() {
    let base = scene();
    let file = |room: &Room| room.path().join("clone/.git").join(BRANCH);
    let right = std::fs::read_to_string(file(&base)).expect("the branch");
    let other = right.replace(|c: char| c != '\n', "1");
    for (text, code, named) in [
        ("", 10, "bad-branch"),
        (&right[..20], 10, "bad-branch"),
        ("ref: refs/heads/nowhere\n", 10, "bad-branch"),
        (&other, 11, "missing-object"),
    ] {
        let room = copy(&base);
        std::fs::write(file(&room), text).expect("the branch");
        let act = ["claim", "--work-item", "W1", "--step", "s003", "--json"];
        let ran = room.run_in("clone", &act);
        assert_eq!(ran.code, code, "{ran}");
        assert_eq!(ran.document()["recorded"], false, "{ran}");
        assert_eq!(
            std::fs::read_to_string(file(&room)).expect("the branch"),
            text,
            "it was written"
        );
        comes_back(&room, code, named);
        assert!(room.run_in("clone", &["log", "--json"]).stdout.contains("claim-released"));
    }
}
