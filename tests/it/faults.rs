//! The system says no at any call of an append: disk errors, a full disk, a process that is
//! stopped for a while. Whatever is answered is true, nothing is left locked, and the same
//! request again ends well (P9, L6, R1).
#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use super::kit::{Dice, Ran, Room, figure, has, parallel_workflow, rounds};

/// Every call that can fail where an append reads, writes or makes durable.
const CALLS: &str = "openat,read,write,mkdir,link,rename,unlink,fsync,syncfs";

/// One system call of a command: its name, how many of that name were before it, what it says.
#[derive(Debug, Clone)]
struct Call {
    name: String,
    nth: usize,
    line: String,
}

/// The binary under strace, with what is to happen to some call.
fn traced(room: &Room, args: &[&str], inject: Option<&str>) -> (Command, PathBuf) {
    let log = room.path().join("strace.log");
    let out = log.display().to_string();
    let trace = format!("trace={CALLS}");
    let mut words = vec!["strace", "-f", "-qq", "-y", "-o", &out, "-e", &trace];
    words.extend(inject.iter().flat_map(|inject| ["-e", inject]));
    words.push(super::kit::STEPSEAL);
    let mut command = room.under(&words, args);
    command.env("STEPSEAL_LEDGER_DURABILITY", "durable");
    // A swap that fails each time is tried for that long.
    command.env("STEPSEAL_LEDGER_LOCK_WAIT", "1s");
    (command, log)
}

/// What the command does below the repository, or says on stdout.
fn calls(room: &Room, args: &[&str]) -> Vec<Call> {
    let (mut command, log) = traced(room, args, None);
    let ran = Ran::of(&command.output().expect("strace starts"));
    assert_eq!(ran.code, 0, "{ran}");
    let text = std::fs::read_to_string(log).expect("strace's log");
    let main = text.split(' ').next().unwrap_or_default().to_owned();
    let here = room.repo().display().to_string();
    let mut counts = BTreeMap::new();
    let mut calls = Vec::new();
    for line in text.lines().filter_map(|line| line.strip_prefix(&main)) {
        let Some((name, rest)) = line.trim_start().split_once('(') else { continue };
        let nth = counts.entry(name.to_owned()).or_insert(0);
        *nth += 1;
        // The program itself may lie below the repository of the project, never in this one.
        if rest.contains(&here) || (name == "write" && rest.starts_with("1<")) {
            calls.push(Call { name: name.to_owned(), nth: *nth, line: rest.to_owned() });
        }
    }
    calls
}

/// Every file below a folder whose name ends so.
fn files_ending(folder: &Path, end: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files_ending(&path, end));
        } else if path.to_string_lossy().ends_with(end) {
            found.push(path);
        }
    }
    found
}

/// How a command ended, by what it may be taken for.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Clone, Copy)]
enum End {
    Success,
    Failed,
    Unknown,
}

/// What the answer says happened; an answer that was cut off says nothing.
fn said(ran: &Ran) -> End {
    let Ok(answer) = serde_json::from_str::<Value>(&ran.stdout) else {
        assert_ne!(ran.code, 0, "success without an answer: {ran}");
        return End::Unknown;
    };
    match (&answer["recorded"], ran.code) {
        (Value::Bool(true), 0) => End::Success,
        (Value::Bool(false), 1..) => End::Failed,
        (Value::String(unknown), 75) if unknown == "unknown" => End::Unknown,
        // It was recorded, and said so on a stdout that then failed.
        (Value::Bool(true), 8) => End::Unknown,
        _ => panic!("an answer that says both: {ran}"),
    }
}

/// A command that records one thing, and how to see how often it did.
struct Act<'a> {
    base: &'a Room,
    args: &'a [&'a str],
    recorded: fn(&Room) -> usize,
}

/// One fault: the answer is true, nothing stays locked, and the same again is recorded once.
fn one_fault(act: &Act<'_>, call: &Call, fault: &str) -> End {
    let (room, recorded) = (act.base.copy(), act.recorded);
    let inject = format!("inject={}:{fault}:when={}", call.name, call.nth);
    let (mut command, _) = traced(&room, act.args, Some(&inject));
    let ran = Ran::of(&command.output().expect("strace starts"));
    let context = format!("{inject} at {}({}\n{ran}", call.name, call.line);
    let end = std::panic::catch_unwind(|| said(&ran)).unwrap_or_else(|_| panic!("{context}"));
    let locks = || files_ending(&room.repo().join(".git"), ".lock");
    // Where the lock itself cannot be taken away, or its owner is dead, the next writer does it.
    if fault != KILL && call.name != "unlink" {
        assert_eq!(locks(), [] as [PathBuf; 0], "left by {context}");
    }
    let there = recorded(&room);
    match end {
        End::Success => assert_eq!(there, 1, "said and not there: {context}"),
        End::Failed => assert_eq!(there, 0, "denied and there: {context}"),
        End::Unknown => assert!(there <= 1, "{there} times: {context}"),
    }
    // A config file that cannot be read is named, and that is all there is to say.
    if end == End::Failed && ran.code != 2 {
        let next = ran.document()["next"].clone();
        assert!(next.as_array().is_some_and(|next| !next.is_empty()), "no way out: {context}");
    }
    // Once more, on a system that works.
    let again = room.run(act.args);
    assert_eq!(again.code, 0, "{again} after {context}");
    assert_eq!(again.document()["recorded"], there == 0, "{again} after {context}");
    assert_eq!(recorded(&room), 1, "{context}");
    room.ok(&["delegate", "--prompt", "Go on", "--work-item", "AFTER"]);
    assert_eq!(locks(), [] as [PathBuf; 0], "left after {context}");
    room.ok(&["verify", "--deep"]);
    room.git(&["fsck", "--strict"]);
    end
}

/// Every fault on this list, on both processors; how they ended.
fn sweep(act: &Act<'_>, faults: &[(Call, &str)]) -> [usize; 3] {
    let (next, ends) = (AtomicUsize::new(0), Mutex::new([0; 3]));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some((call, fault)) = faults.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let end = one_fault(act, call, fault);
                    ends.lock().expect("no panic")[end as usize] += 1;
                }
            });
        }
    });
    ends.into_inner().expect("no panic")
}

/// All of these in the full profile; else those around the swap, and some by chance.
fn some(calls: Vec<Call>, faults: &[&'static str], quick: u64) -> Vec<(Call, &'static str)> {
    let always = |call: &Call| call.line.contains("stepseal-ledger.lock") || call.name == "fsync";
    let (full, mut dice, all) = (rounds(0, 1) == 1, Dice::new(), calls.len() as u64);
    let mut picked = Vec::new();
    for call in calls {
        let lucky = dice.below(all) < quick;
        for (n, fault) in faults.iter().enumerate() {
            if full || (n == 0 && (lucky || always(&call))) {
                picked.push((call.clone(), *fault));
            }
        }
    }
    picked
}

/// An item with a step to be claimed.
fn claimable() -> Room {
    let room = Room::in_memory();
    room.write("plan.yaml", &parallel_workflow("par", 3));
    room.ok(&["delegate", "--plan", "plan.yaml", "--work-item", "W1"]);
    room
}

const CLAIM: [&str; 8] =
    ["claim", "--work-item", "W1", "--step", "s001", "--request-id", "r-1", "--json"];

/// How often the claim is on record.
fn claims(room: &Room) -> usize {
    let (code, there) = room.requests(&[]);
    assert_eq!(code, 0);
    there.get("r-1").copied().unwrap_or(0)
}

#[test]
fn an_error_at_any_call_of_an_append_is_told_truly() {
    if !has("strace") {
        return;
    }
    let base = claimable();
    let calls = calls(&base.copy(), &CLAIM);
    // These two are how a branch is made.
    for name in CALLS.split(',').filter(|name| !["link", "unlink"].contains(name)) {
        assert!(calls.iter().any(|call| call.name == name), "an append makes no {name}");
    }
    let positions = calls.len();
    let faults = some(calls, &["error=EIO", "error=ENOSPC"], 12);
    let act = Act { base: &base, args: &CLAIM, recorded: claims };
    let [success, failed, unknown] = sweep(&act, &faults);
    let seen = format!(
        "{} errors at {positions} calls: {success} overcome, {failed} failed cleanly, {unknown} \
         unknown and resolved; 0 told wrongly, 0 locks left",
        faults.len()
    );
    figure("P9", &seen);
    assert!(success > 0 && failed > 0 && unknown > 0, "{seen}");
}

const KILL: &str = "signal=KILL";

/// The same with a kill instead of an error: the next command needs no help.
#[test]
fn a_kill_at_any_call_of_an_append_is_recovered_from() {
    if !has("strace") {
        return;
    }
    let base = claimable();
    let faults = some(calls(&base.copy(), &CLAIM), &[KILL], 6);
    let act = Act { base: &base, args: &CLAIM, recorded: claims };
    let [_, _, killed] = sweep(&act, &faults);
    figure("P7", &format!("{killed} kills, one at each call of an append: each recovered from"));
    assert_eq!(killed, faults.len());
}

/// The ledger itself is made by such a command: errors and kills at its calls.
#[test]
fn a_fault_at_any_call_of_init_is_told_truly_and_repeated_safely() {
    if !has("strace") {
        return;
    }
    let base = Room::unfounded_in_memory();
    let act = Act {
        base: &base,
        args: &["init", "--json"],
        recorded: |room| {
            let branch = ["show-ref", "--verify", "--quiet", "refs/heads/stepseal-ledger"];
            let found = room.program("git").args(branch).output().expect("git starts");
            usize::from(found.status.success())
        },
    };
    let faults = some(calls(&base.copy(), act.args), &["error=ENOSPC", KILL], 12);
    let [success, failed, unknown] = sweep(&act, &faults);
    let seen = format!(
        "{} faults at the calls of init: {success} overcome, {failed} failed cleanly, {unknown} \
         unknown or killed, and resolved",
        faults.len()
    );
    figure("P9", &seen);
    assert!(success > 0 && failed > 0 && unknown > 0, "{seen}");
}

/// The call that moves the branch.
fn the_swap(calls: &[Call]) -> &Call {
    let moves = |call: &&Call| call.name == "rename" && call.line.contains("/stepseal-ledger.lock");
    calls.iter().find(moves).expect("a claim moves the branch")
}

/// Before the swap nothing refers to the new objects, and a clean-up may take them: after the
/// swap they are written again, because now something does. (A reflog would refer to them a
/// moment earlier; bare repositories have none.)
#[test]
fn what_a_clean_up_took_before_the_swap_is_written_again() {
    if !has("strace") {
        return;
    }
    let base = claimable();
    base.git(&["config", "core.logAllRefUpdates", "false"]);
    let twin = base.copy();
    let swap = the_swap(&calls(&twin, &CLAIM)).clone();
    let commit = twin.git(&["rev-parse", "stepseal-ledger"]);
    // On a busy machine the clean-up may come too late: then the swap waits longer for it.
    for patience in [500_000, 2_000_000, 8_000_000] {
        let room = base.copy();
        let inject = format!("inject=rename:delay_enter={patience}:when={}", swap.nth);
        let (mut command, _) = traced(&room, &CLAIM, Some(&inject));
        let mut child = command.stdout(Stdio::piped()).spawn().expect("strace starts");
        let lock = room.repo().join(".git/refs/heads/stepseal-ledger.lock");
        while !lock.exists() && child.try_wait().expect("a child").is_none() {
            std::thread::yield_now();
        }
        room.git(&["prune", "--expire=now"]);
        let object = room.repo().join(".git/objects").join(&commit[..2]).join(commit[2..].trim());
        let in_time = lock.exists() && !object.exists();
        let ran = Ran::of(&child.wait_with_output().expect("it ends"));
        if in_time {
            assert_eq!(ran.code, 0, "{ran}");
            assert_eq!(room.git(&["rev-parse", "stepseal-ledger"]), commit);
            room.ok(&["verify", "--deep"]);
            room.git(&["fsck", "--strict"]);
            return;
        }
    }
    panic!("the clean-up never came before the swap");
}

/// Killed after the swap and before the branch was made durable: the answer of the repeated
/// request is as durable as the first would have been.
#[test]
fn a_repeated_answer_is_made_durable() {
    if !has("strace") {
        return;
    }
    let room = claimable();
    let (mut command, _) = traced(&room, &CLAIM, Some("inject=fsync:signal=KILL:when=1"));
    let ran = Ran::of(&command.output().expect("strace starts"));
    assert!(ran.code != 0 && ran.stdout.is_empty(), "{ran}");
    assert_eq!(claims(&room), 1, "it was killed after the swap");
    let again = calls(&room, &CLAIM);
    let synced = |call: &Call| call.name == "fsync" && call.line.contains("refs/heads/stepseal");
    assert!(again.iter().any(synced), "{again:#?}");
}
