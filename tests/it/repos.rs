//! Every kind of repository a user may have: the ledger works beside whatever is going on in it
//! and touches nothing else (L1), or is refused with the reason and the remedy.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::kit::{Ran, Room, parallel_workflow};

/// A room with a repository of one commit, and no ledger.
fn room() -> Room {
    let room = Room::new();
    room.git(&["init", "--quiet", "--initial-branch", "main", "repo"]);
    commit(&room, "a.txt", "one\n");
    room
}

fn commit(room: &Room, path: &str, text: &str) {
    room.write(path, text);
    room.git(&["add", path]);
    room.git(&["commit", "--quiet", "-m", &format!("{path}: {}", text.trim())]);
}

/// Everything of the user's that must not change.
#[derive(Debug, PartialEq, Eq)]
struct Untouched {
    files: BTreeMap<PathBuf, Option<Vec<u8>>>,
    refs: String,
    status: String,
    tree: String,
}

/// What a worktree's user has: index, HEAD, states of operations, references, files.
fn untouched(room: &Room, dir: &str) -> Untouched {
    let git = |args: &[&str]| {
        let mut command = room.program("git");
        command.current_dir(room.path().join(dir)).env("GIT_OPTIONAL_LOCKS", "0").args(args);
        Ran::of(&command.output().expect("git starts"))
    };
    let git_dir = git(&["rev-parse", "--absolute-git-dir"]).stdout;
    let git_dir = Path::new(git_dir.trim());
    let files = [
        "index",
        "HEAD",
        "ORIG_HEAD",
        "MERGE_HEAD",
        "MERGE_MSG",
        "REBASE_HEAD",
        "FETCH_HEAD",
        "rebase-merge/git-rebase-todo",
        "rebase-merge/done",
        "rebase-merge/head-name",
        "refs/stash",
        "logs/refs/stash",
        "logs/HEAD",
        "packed-refs",
    ];
    let files = files.into_iter().map(|name| (name.into(), std::fs::read(git_dir.join(name)).ok()));
    let except = |text: &str, word: &str| {
        let lines = text.lines().filter(|line| !line.contains(word));
        lines.map(|line| format!("{line}\n")).collect::<String>()
    };
    Untouched {
        files: files.collect(),
        refs: except(&git(&["for-each-ref"]).stdout, "refs/heads/stepseal-ledger"),
        status: except(&git(&["status", "--porcelain", "--ignored"]).stdout, "stepseal.toml"),
        tree: git(&["ls-files", "--stage"]).stdout,
    }
}

/// The main job in this folder of the room: all of it works and leaves the user's things alone.
fn works(room: &Room, dir: &str) {
    let before = untouched(room, dir);
    let plan = room.path().join("plan.yaml");
    std::fs::write(&plan, parallel_workflow("par", 2)).expect("a plan");
    let plan = plan.display().to_string();
    for args in [
        &["init"][..],
        &["delegate", "--plan", &plan, "--work-item", "W1"],
        &["claim", "--work-item", "W1", "--step", "s001"],
        &["complete", "--work-item", "W1", "--step", "s001", "--outcome", "x"],
        &["status", "W1"],
        &["export"],
        &["verify", "--deep"],
    ] {
        let ran = room.run_in(dir, args);
        assert_eq!(ran.code, 0, "{dir} {args:?} {ran}");
        assert_eq!(untouched(room, dir), before, "{dir} {args:?}");
    }
}

/// Refused with this code, reason and next command; nothing is written.
fn refused(room: &Room, dir: &str, args: &[&str], code: i32, reason: &str, next: &[&str]) -> Value {
    let refs = || {
        let args = ["-C", dir, "for-each-ref"];
        let mut git = room.program("git");
        Ran::of(&git.current_dir(room.path()).args(args).output().expect("git starts")).stdout
    };
    let before = refs();
    let ran = room.run_in(dir, args);
    assert_eq!(ran.code, code, "{args:?} {ran}");
    assert!(ran.stderr.starts_with("error: ") && ran.stderr.contains("next  "), "{ran}");
    let ran = room.run_in(dir, &[args, &["--json"]].concat());
    let said: Value = serde_json::from_str(&ran.stdout).expect("one JSON document");
    assert_eq!(said["reason"], reason, "{said:#}");
    assert_eq!(said["recorded"], false, "{said:#}");
    let words: Vec<&str> =
        said["next"][0].as_array().expect("a way out").iter().filter_map(Value::as_str).collect();
    assert!(words.starts_with(next), "{words:?} instead of {next:?}");
    assert_eq!(refs(), before, "{args:?} wrote");
    said
}

#[test]
fn a_plain_repository() {
    works(&room(), "repo");
}

#[test]
fn no_commit_yet() {
    let room = Room::new();
    room.git(&["init", "--quiet", "repo"]);
    works(&room, "repo");
    room.write("staged.txt", "one\n");
    room.git(&["add", "staged.txt"]);
    let ran = room.run(&["claim", "--work-item", "W1", "--step", "s002"]);
    assert_eq!(ran.code, 0, "{ran}");
}

#[test]
fn a_bare_repository() {
    let room = room();
    room.git(&["clone", "--quiet", "--bare", ".", "../bare.git"]);
    works(&room, "bare.git");
    assert!(!room.path().join("bare.git/stepseal.toml").exists());
}

#[test]
fn linked_work_trees_share_one_ledger() {
    let room = room();
    room.git(&["worktree", "add", "--quiet", "-b", "side", "../linked"]);
    works(&room, "linked");
    let before = untouched(&room, "repo");
    let ran = room.run_in("repo", &["status", "W1", "--json"]);
    assert_eq!(ran.code, 0, "{ran}");
    let claim = ["claim", "--work-item", "W1", "--step", "s002", "--executor", "elsewhere"];
    assert_eq!(room.run_in("repo", &claim).code, 0);
    let ran = room.run_in("linked", &["claim", "--work-item", "W1", "--step", "s002"]);
    assert!(ran.code == 6 && ran.stderr.contains("elsewhere"), "{ran}");
    assert_eq!(untouched(&room, "repo"), before);
    // A work tree of a bare repository.
    room.git(&["clone", "--quiet", "--bare", ".", "../bare.git"]);
    room.git(&["-C", "../bare.git", "worktree", "add", "--quiet", "--detach", "../of-bare"]);
    // The bare clone has brought the ledger's branch.
    let ran = room.run_in("of-bare", &["init"]);
    assert_eq!(ran.code, 0, "{ran}");
    let ran = room.run_in("bare.git", &["status", "W1"]);
    assert_eq!(ran.code, 0, "{ran}");
}

#[test]
fn a_subfolder_and_another_folder_named() {
    let room = room();
    commit(&room, "deep/er/b.txt", "two\n");
    works(&room, "repo/deep/er");
    assert!(!room.repo().join("deep/er/stepseal.toml").exists());
    let ran = room.run_in("", &["-C", "repo/deep", "status", "W1"]);
    assert_eq!(ran.code, 0, "{ran}");
}

#[test]
fn a_repository_with_a_submodule_and_the_submodule() {
    let room = room();
    room.git(&["init", "--quiet", "../other"]);
    room.git(&["-C", "../other", "commit", "--quiet", "--allow-empty", "-m", "other"]);
    let allow = "protocol.file.allow=always";
    room.git(&["-c", allow, "submodule", "--quiet", "add", "../other", "sub"]);
    room.git(&["commit", "--quiet", "-m", "sub"]);
    works(&room, "repo");
    // The submodule is a repository of its own.
    let ran = room.run_in("repo/sub", &["status"]);
    assert_eq!(ran.code, 5, "{ran}");
    works(&room, "repo/sub");
    assert_eq!(room.run_in("repo", &["verify"]).code, 0);
}

#[test]
fn a_dirty_index_a_stash_and_untracked_files() {
    let room = room();
    commit(&room, ".gitignore", "ignored.txt\n");
    room.write("a.txt", "stashed\n");
    room.git(&["stash", "--quiet"]);
    room.write("a.txt", "staged\n");
    room.write("new.txt", "staged\n");
    room.git(&["add", "a.txt", "new.txt"]);
    room.write("a.txt", "changed again\n");
    room.write("untracked.txt", "x\n");
    room.write("ignored.txt", "x\n");
    works(&room, "repo");
    // As after a copy or an editor's save: the index is stale, and stays so.
    let file = std::fs::File::options().write(true).open(room.repo().join(".gitignore"));
    file.and_then(|file| file.set_modified(std::time::UNIX_EPOCH)).expect("another time");
    works_on(&room, "s002");
}

/// A further claim and completion, with everything of the user's as it was.
fn works_on(room: &Room, step: &str) {
    let before = untouched(room, "repo");
    for rest in [&["claim"][..], &["complete", "--outcome", "x"]] {
        let ran = room.run(&[rest, &["--work-item", "W1", "--step", step]].concat());
        assert_eq!(ran.code, 0, "{ran}");
    }
    assert_eq!(untouched(room, "repo"), before);
}

#[test]
fn a_detached_head() {
    let room = room();
    room.git(&["checkout", "--quiet", "--detach"]);
    works(&room, "repo");
    let head = std::fs::read_to_string(room.repo().join(".git/HEAD")).expect("HEAD");
    assert!(!head.starts_with("ref:"), "{head}");
}

/// Two branches that conflict in a.txt.
fn conflicting() -> Room {
    let room = room();
    room.git(&["checkout", "--quiet", "-b", "side"]);
    commit(&room, "a.txt", "side\n");
    room.git(&["checkout", "--quiet", "main"]);
    commit(&room, "a.txt", "main\n");
    room
}

/// git in the repository, where it stops at a conflict.
fn stops(room: &Room, args: &[&str]) {
    let output = room.program("git").args(args).output().expect("git starts");
    assert!(!output.status.success(), "{args:?} did not stop");
}

#[test]
fn a_merge_in_progress() {
    let room = conflicting();
    stops(&room, &["merge", "side"]);
    works(&room, "repo");
    room.write("a.txt", "both\n");
    room.git(&["add", "a.txt"]);
    works_on(&room, "s002");
    room.git(&["commit", "--quiet", "--no-edit"]);
    room.ok(&["verify"]);
}

#[test]
fn a_rebase_in_progress() {
    let room = conflicting();
    stops(&room, &["rebase", "side"]);
    works(&room, "repo");
    room.write("a.txt", "both\n");
    room.git(&["add", "a.txt"]);
    works_on(&room, "s002");
    room.git(&["-c", "core.editor=true", "rebase", "--continue"]);
    assert_eq!(room.git(&["log", "--format=%s", "main"]).lines().count(), 3);
    room.ok(&["verify"]);
}

/// Hooks that would fail, and say that they ran.
#[cfg(unix)]
#[test]
fn hooks_do_not_run() {
    use std::os::unix::fs::PermissionsExt as _;
    let room = room();
    let canary = room.path().join("canary");
    for name in [
        "pre-commit",
        "prepare-commit-msg",
        "commit-msg",
        "post-commit",
        "reference-transaction",
        "post-checkout",
        "post-index-change",
        "pre-auto-gc",
        "update",
    ] {
        let hook = room.repo().join(".git/hooks").join(name);
        std::fs::create_dir_all(hook.parent().expect("a folder")).expect("hooks");
        let text = format!("#!/bin/sh\necho {name} >> '{}'\nexit 1\n", canary.display());
        std::fs::write(&hook, text).expect("a hook");
        let executable = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&hook, executable).expect("chmod");
    }
    works(&room, "repo");
    let ran = std::fs::read_to_string(&canary).unwrap_or_default();
    assert_eq!(ran, "", "hooks ran");
    // They are no dead letters: git runs them.
    stops(&room, &["commit", "--allow-empty", "-m", "x"]);
    assert!(canary.exists());
}

#[test]
fn a_sha256_repository_is_refused() {
    let room = Room::new();
    room.git(&["init", "--quiet", "--object-format=sha256", "repo"]);
    for args in [&["init"][..], &["status"], &["verify"]] {
        let said = refused(&room, "repo", args, 4, "unsupported-repository", &["git", "init"]);
        assert!(said["message"].to_string().contains("SHA-256"), "{said:#}");
    }
    assert!(!room.repo().join("stepseal.toml").exists());
}

#[test]
fn a_reftable_repository_is_refused() {
    let room = Room::new();
    let mut git = room.program("git");
    let made = git.args(["init", "--quiet", "--ref-format=reftable", "repo"]).output();
    if !made.expect("git starts").status.success() {
        println!("this git knows no reftable");
        return;
    }
    for args in [&["init"][..], &["status"], &["verify"]] {
        let next = ["git", "refs", "migrate"];
        let said = refused(&room, "repo", args, 4, "unsupported-repository", &next);
        assert!(said["message"].to_string().contains("reftable"), "{said:#}");
    }
    assert!(!room.repo().join("stepseal.toml").exists());
    // The remedy is one.
    room.git(&["refs", "migrate", "--ref-format=files"]);
    works(&room, "repo");
}

#[test]
fn a_partial_clone_is_refused() {
    let room = room();
    room.ok(&["init"]);
    room.git(&["config", "uploadpack.allowFilter", "true"]);
    let url = format!("file://{}", room.repo().display());
    for filter in ["blob:none", "tree:0"] {
        let dir = format!("partial-{}", &filter[..4]);
        let filter = format!("--filter={filter}");
        room.git(&["clone", "--quiet", &filter, "--no-checkout", &url, &format!("../{dir}")]);
        for args in [&["init"][..], &["status"], &["verify"]] {
            let said = refused(&room, &dir, args, 4, "unsupported-repository", &["git", "clone"]);
            assert!(said["message"].to_string().contains("partial clone"), "{said:#}");
        }
        assert!(!room.path().join(&dir).join("stepseal.toml").exists());
    }
}

#[test]
fn a_ledger_that_is_checked_out_is_not_written() {
    let room = room();
    works(&room, "repo");
    let claim = ["claim", "--work-item", "W1", "--step", "s002"];
    room.git(&["worktree", "add", "--quiet", "../linked", "stepseal-ledger"]);
    for dir in ["repo", "linked"] {
        let before = untouched(&room, dir);
        let said = refused(&room, dir, &claim, 4, "ledger-checked-out", &["git", "-C"]);
        assert!(said["message"].to_string().contains("linked"), "{said:#}");
        assert_eq!(untouched(&room, dir), before);
        // Reading is no harm.
        assert_eq!(room.run_in(dir, &["verify"]).code, 0);
    }
    // The way out works as it is said: in the linked work tree, then in the main one.
    let leave = || {
        let said = refused(&room, "repo", &claim, 4, "ledger-checked-out", &["git", "-C"]);
        let words = said["next"][0].as_array().expect("a way out").clone();
        let words: Vec<&str> = words.iter().skip(1).filter_map(Value::as_str).collect();
        room.git(&words);
    };
    leave();
    assert_eq!(room.run_in("repo", &claim).code, 0);
    room.git(&["checkout", "--quiet", "stepseal-ledger"]);
    let claim = ["release", "--work-item", "W1", "--step", "s002", "--reason", "x"];
    refused(&room, "linked", &claim, 4, "ledger-checked-out", &["git", "-C"]);
    room.git(&["checkout", "--quiet", "--detach"]);
    assert_eq!(room.run_in("repo", &claim).code, 0);
    // Nor is a branch made under somebody's feet: HEAD names it before it exists.
    let room = Room::new();
    room.git(&["init", "--quiet", "--initial-branch", "stepseal-ledger", "repo"]);
    refused(&room, "repo", &["init"], 4, "ledger-checked-out", &["git", "-C"]);
    assert!(!room.repo().join("stepseal.toml").exists());
}

/// A rebase of the ledger's branch detaches HEAD and moves the branch when it ends.
#[test]
fn a_ledger_that_is_being_rebased_is_not_written() {
    let room = room();
    works(&room, "repo");
    room.git(&["worktree", "add", "--quiet", "../linked", "stepseal-ledger"]);
    stops(&room, &["-C", "../linked", "rebase", "--exec", "false", "--root"]);
    let claim = ["claim", "--work-item", "W1", "--step", "s002"];
    refused(&room, "repo", &claim, 4, "ledger-checked-out", &["git", "-C"]);
    room.git(&["-C", "../linked", "rebase", "--abort"]);
    room.git(&["worktree", "remove", "--force", "../linked"]);
    assert_eq!(room.run_in("repo", &claim).code, 0);
}

#[test]
fn a_branch_that_is_no_ledger_is_left_alone() {
    let room = room();
    room.git(&["branch", "stepseal-ledger"]);
    refused(&room, "repo", &["init"], 4, "not-a-ledger", &["stepseal", "init", "--branch"]);
    let ran = room.run(&["init", "--branch", "other-ledger"]);
    assert_eq!(ran.code, 0, "{ran}");
    // One ledger a repository: another name is refused, naming both.
    let ran = room.run(&["init", "--branch", "third"]);
    assert_eq!(ran.code, 4, "{ran}");
    assert!(ran.stderr.contains("other-ledger") && ran.stderr.contains("third"), "{ran}");
}

#[test]
fn without_a_ledger_or_a_repository_the_way_there_is_named() {
    let room = room();
    let verbs: &[&[&str]] = &[
        &["status"],
        &["claim", "--next"],
        &["claim", "--work-item", "W1", "--step", "s001"],
        &["complete", "--work-item", "W1", "--step", "s001", "--outcome", "x"],
        &["delegate", "--prompt", "Try", "--work-item", "W1"],
        &["schedule", "W1"],
        &["log"],
        &["export"],
        &["verify"],
        &["correct", "--reason", "x"],
        &["gate", "approve", "--work-item", "W1", "--step", "g", "--reason", "x"],
    ];
    std::fs::create_dir(room.path().join("plain")).expect("a folder");
    for args in verbs {
        refused(&room, "repo", args, 5, "no-ledger", &["stepseal", "init"]);
        refused(&room, "plain", args, 5, "no-repository", &["git", "init"]);
    }
    refused(&room, "plain", &["init"], 5, "no-repository", &["git", "init"]);
    assert_eq!(std::fs::read_dir(room.path().join("plain")).expect("a folder").count(), 0);
    let before = untouched(&room, "repo");
    assert!(!room.repo().join(".git/stepseal").exists());
    assert_eq!(before.refs.lines().count(), 1);
}

#[test]
fn what_needs_no_repository_works_without_one() {
    let room = Room::new();
    std::fs::create_dir(room.path().join("plain")).expect("a folder");
    let plan = room.path().join("plain/plan.yaml");
    std::fs::write(plan, parallel_workflow("par", 2)).expect("a plan");
    for args in [
        &["delegate", "--plan", "plan.yaml", "--dry-run"][..],
        &["delegate", "--plan", "plan.yaml", "--dry-run", "--json"],
        &["workflow", "show", "plan.yaml"],
        &["workflow", "graph", "plan.yaml"],
        &["schema"],
        &["config", "list"],
        &["config", "list", "--origin"],
        &["demo"],
        &["help"],
        &["--version"],
    ] {
        let ran = room.run_in("plain", args);
        assert_eq!(ran.code, 0, "{args:?} {ran}");
        assert!(!ran.stdout.is_empty(), "{args:?}");
        if args == ["schema"] {
            let name = ran.stdout.split_whitespace().next().expect("a schema").to_owned();
            assert_eq!(room.run_in("plain", &["schema", &name]).code, 0, "{name}");
        }
    }
    assert_eq!(std::fs::read_dir(room.path().join("plain")).expect("a folder").count(), 1);
}
