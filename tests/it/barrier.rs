//! The order in which a durable append reaches the disk, as the kernel is asked for it: objects,
//! the barrier, the branch, the branch's own barrier, and only then the answer (L7).
//!
//! A power cut shows that the barrier is enough; this shows, on any machine with `strace`, that it
//! is there.
#![cfg(target_os = "linux")]

use super::kit::{Ran, Room, STEPSEAL, parallel_workflow, skipped};

/// What the program asked of the kernel, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// An object gets its name.
    Object,
    /// The file system with the objects is written out.
    ObjectsSynced,
    /// The branch moves.
    Branch,
    BranchSynced,
    FolderSynced,
    /// The answer.
    Said,
}

/// Runs a command under strace, or says why it cannot.
fn traced(room: &Room, durability: &str, args: &[&str]) -> Option<Vec<Asked>> {
    let trace = room.path().join("trace");
    let mut strace = room.program("strace");
    strace.args(["-f", "-y", "-qq", "-s", "256", "-o"]).arg(&trace);
    strace.args(["-e", "trace=syncfs,fsync,fdatasync,rename,renameat,renameat2,link,linkat,write"]);
    strace.arg(STEPSEAL).args(args).env("STEPSEAL_LEDGER_DURABILITY", durability);
    let ran = match strace.output() {
        Ok(output) => Ran::of(&output),
        Err(error) => {
            skipped(&format!("the order of syncs: strace does not start: {error}"));
            return None;
        }
    };
    if ran.stderr.contains("ptrace") {
        skipped(&format!("the order of syncs: {}", ran.stderr.trim()));
        return None;
    }
    assert_eq!(ran.code, 0, "{args:?} {ran}");
    let text = std::fs::read_to_string(&trace).expect("the trace");
    Some(text.lines().filter_map(read).collect())
}

/// One line of a trace, where it is of interest.
fn read(line: &str) -> Option<Asked> {
    let (_, call) = line.split_once(char::is_whitespace)?;
    let (name, rest) = call.trim_start().split_once('(')?;
    // A call that failed did nothing: a link over the old branch before the rename.
    let (arguments, result) = rest.rsplit_once(" = ")?;
    if result.starts_with('-') {
        return None;
    }
    let of = |path: &str| arguments.contains(path);
    match name {
        "link" | "linkat" | "rename" | "renameat" | "renameat2" if of(".git/objects/") => {
            Some(Asked::Object)
        }
        "link" | "linkat" | "rename" | "renameat" | "renameat2"
            if of("refs/heads/stepseal-ledger.lock") =>
        {
            Some(Asked::Branch)
        }
        "syncfs" if of("/.git/objects>") => Some(Asked::ObjectsSynced),
        "fsync" | "fdatasync" if of("/refs/heads/stepseal-ledger>") => Some(Asked::BranchSynced),
        "fsync" | "fdatasync" if of("/refs/heads>") => Some(Asked::FolderSynced),
        "write" if arguments.starts_with('1') => Some(Asked::Said),
        _ => None,
    }
}

#[test]
fn a_durable_append_asks_for_its_barriers_in_order() {
    let room = Room::new();
    room.git(&["init", "--quiet", "repo"]);
    room.write("plan.yaml", &parallel_workflow("par", 2));
    let acts: [&[&str]; 4] = [
        &["init"],
        &["delegate", "--plan", "plan.yaml", "--work-item", "W1"],
        &["claim", "--work-item", "W1", "--step", "s001"],
        &["complete", "--work-item", "W1", "--step", "s001", "--outcome", "did it"],
    ];
    for args in acts {
        let Some(asked) = traced(&room, "durable", args) else { return };
        let at = |what: Asked| {
            let all: Vec<usize> = (0..asked.len()).filter(|&n| asked[n] == what).collect();
            (all.first().copied(), all.last().copied(), all.len())
        };
        let once = |what: Asked| {
            let (Some(first), _, 1) = at(what) else {
                panic!("{args:?}: not once {what:?}: {asked:?}")
            };
            first
        };
        let (_, object, objects) = at(Asked::Object);
        assert!(objects >= 4, "{args:?}: {asked:?}");
        let order = [
            object.unwrap_or(0),
            once(Asked::ObjectsSynced),
            once(Asked::Branch),
            once(Asked::BranchSynced),
            once(Asked::FolderSynced),
            at(Asked::Said).0.expect("it answers"),
        ];
        assert!(order.is_sorted(), "{args:?}: {order:?} {asked:?}");
    }
    // Who asks for less gets less: the measure tells the two apart.
    let args = ["claim", "--work-item", "W1", "--step", "s002"];
    let asked = traced(&room, "process", &args).expect("it was traced before");
    let synced = [Asked::ObjectsSynced, Asked::BranchSynced, Asked::FolderSynced];
    assert!(!asked.iter().any(|asked| synced.contains(asked)), "{asked:?}");
    assert!(asked.contains(&Asked::Branch) && asked.contains(&Asked::Object), "{asked:?}");
}
