//! Many real processes at once: one winner each time, whatever else happens to the lock, the
//! branch's file or the caches (L6, C2, R1).
#![expect(
    clippy::disallowed_methods,
    reason = "starts processes and bounds how long they may take"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::kit::{Dice, Ran, Room, figure, memory, parallel_workflow, rounds};

/// No command may take longer, however many queue before it: a bound against hanging only.
const BOUND: Duration = Duration::from_secs(60);

/// A room with real time whose ledger has `items` of `steps` parallel steps.
fn room(items: usize, steps: usize) -> Room {
    let room = Room::live();
    room.write("plan.yaml", &parallel_workflow("par", steps));
    for n in 1..=items {
        room.ok(&["delegate", "--plan", "plan.yaml", "--work-item", &format!("W{n}")]);
    }
    room
}

fn start(command: &mut Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts")
}

/// Starts one process an executor and lets them go together: the writer lock is held until all
/// of them are there.
fn together(room: &Room, executors: &[String], args: &[&str]) -> Vec<Ran> {
    let path = room.repo().join(".git/stepseal/lock");
    let held = std::fs::File::options().write(true).open(path).expect("the writer lock");
    held.lock().expect("the writer lock is free");
    let children: Vec<Child> = executors
        .iter()
        .map(|executor| start(room.stepseal(args).env("STEPSEAL_EXECUTOR", executor)))
        .collect();
    drop(held);
    children.into_iter().map(|child| Ran::of(&child.wait_with_output().expect("it ends"))).collect()
}

fn executors(count: usize) -> Vec<String> {
    (1..=count).map(|n| format!("racer-{n}")).collect()
}

/// Every event of the ledger.
fn log(room: &Room) -> Vec<Value> {
    let text = room.ok(&["log", "--json"]);
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    lines.map(|line| line["artifact"].clone()).collect()
}

/// How often each attempt has an event of this type.
fn per_attempt(events: &[Value], kind: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for event in events.iter().filter(|event| event["eventType"] == kind) {
        let name = format!("{} {}", event["workItemId"], event["attemptId"]);
        *counts.entry(name).or_insert(0) += 1;
    }
    counts
}

/// One winner, and every loser is told who won.
fn one_winner(ran: &[Ran], executors: &[String], room: &Room) {
    let won: Vec<usize> = (0..ran.len()).filter(|&n| ran[n].code == 0).collect();
    let [winner] = won.as_slice() else { panic!("{} winners: {ran:#?}", won.len()) };
    for (n, ran) in ran.iter().enumerate().filter(|(n, _)| n != winner) {
        assert_eq!(ran.code, 6, "{}: {ran}", executors[n]);
        let said: Value = serde_json::from_str(&ran.stdout).expect("one JSON document");
        assert_eq!(said["data"]["heldBy"], executors[*winner].as_str(), "{said:#}");
        assert_eq!(said["recorded"], false, "{said:#}");
    }
    let claims = per_attempt(&log(room), "attempt-claimed");
    assert_eq!(claims, BTreeMap::from([("\"W1\" \"s001.1\"".to_owned(), 1)]));
    room.ok(&["verify", "--deep"]);
}

/// Does something over and over beside the work, as often as the machine lets it.
fn beside<T>(nuisance: impl Fn() + Sync, work: impl FnOnce() -> T) -> T {
    struct Stop<'a>(&'a AtomicBool);
    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                nuisance();
                std::thread::yield_now();
            }
        });
        let _stop = Stop(&stop);
        work()
    })
}

#[test]
fn of_32_claims_at_once_one_holds_and_31_are_told_by_whom() {
    let (room, executors) = (room(1, 2), executors(32));
    let args = ["claim", "--work-item", "W1", "--step", "s001", "--json"];
    let ran = together(&room, &executors, &args);
    one_winner(&ran, &executors, &room);
}

#[test]
fn a_loser_reads_the_winners_name() {
    let (room, executors) = (room(1, 1), executors(4));
    let ran = together(&room, &executors, &["claim", "--work-item", "W1", "--step", "s001"]);
    let winner = (0..4).find(|&n| ran[n].code == 0).expect("one wins");
    for loser in (0..4).filter(|&n| n != winner) {
        assert_eq!(ran[loser].code, 6, "{}", ran[loser]);
        let name = format!("held by {}\n", executors[winner]);
        assert!(ran[loser].stderr.contains(&name), "{}", ran[loser]);
        assert_eq!(ran[loser].stdout, "");
    }
}

/// Safety rests on the compare-and-swap: with the lock file taken away under their hands the
/// processes really do write at the same time.
#[test]
fn without_the_advisory_lock_there_is_still_one_winner() {
    for round in 0..3 {
        let (room, executors) = (room(1, 2), executors(32));
        let lock = room.repo().join(".git/stepseal/lock");
        let args = ["claim", "--work-item", "W1", "--step", "s001", "--json"];
        let ran = beside(
            || drop(std::fs::remove_file(&lock)),
            || {
                let children: Vec<Child> = executors
                    .iter()
                    .map(|executor| start(room.stepseal(&args).env("STEPSEAL_EXECUTOR", executor)))
                    .collect();
                let end = |child: Child| Ran::of(&child.wait_with_output().expect("it ends"));
                children.into_iter().map(end).collect::<Vec<_>>()
            },
        );
        println!("round {round}");
        one_winner(&ran, &executors, &room);
    }
}

/// One worker's loop over real processes, in the repository or in a linked worktree of it.
fn work(room: &Room, worktree: Option<&str>, executor: &str, start: Instant) -> Vec<String> {
    let run = |args: &[&str]| {
        let mut command = room.stepseal(args);
        command.env("STEPSEAL_EXECUTOR", executor);
        // Without the queue a loser may lose for long on a busy machine.
        command.env("STEPSEAL_LEDGER_LOCK_WAIT", "60s");
        if let Some(name) = worktree {
            command.current_dir(room.path().join(name));
        }
        Ran::of(&command.output().expect("the binary starts"))
    };
    let mut done = Vec::new();
    while start.elapsed() < BOUND {
        let ran = run(&["claim", "--next", "--quiet"]);
        if ran.code == 1 {
            assert_eq!(ran.stdout, "", "{ran}");
            return done;
        }
        assert_eq!(ran.code, 0, "{executor}: {ran}");
        let line = ran.stdout.trim_end();
        let parts: Vec<&str> = line.split('\t').collect();
        let [item, step, attempt, claim] = parts.as_slice() else { panic!("{line}") };
        let mut args = vec!["complete", "--work-item", item, "--outcome", executor, "--step", step];
        // Every way to say which attempt is meant (K1).
        match done.len() % 3 {
            0 => args.extend(["--claim", claim]),
            1 => args.extend(["--attempt", attempt]),
            _ => {}
        }
        let ran = run(&args);
        assert_eq!(ran.code, 0, "{executor} {args:?}: {ran}");
        done.push(format!("\"{item}\" \"{attempt}\""));
    }
    panic!("{executor} was not done in time");
}

/// `workers` drain every item; each step must have been done once, by the one who was told so.
fn drain(room: &Room, workers: usize, items: usize, steps: usize) {
    room.git(&["commit", "--quiet", "--allow-empty", "-m", "start"]);
    room.git(&["worktree", "add", "--quiet", "--detach", "../linked"]);
    let start = Instant::now();
    let done: Vec<Vec<String>> = std::thread::scope(|scope| {
        let handles: Vec<_> = executors(workers)
            .into_iter()
            .enumerate()
            .map(|(n, executor)| {
                let worktree = (n % 2 == 1).then_some("linked");
                scope.spawn(move || work(room, worktree, &executor, start))
            })
            .collect();
        handles.into_iter().map(|handle| handle.join().expect("a worker")).collect()
    });
    let told: Vec<String> = done.into_iter().flatten().collect();
    assert_eq!(told.len(), items * steps, "told once each");
    assert_eq!(told.iter().collect::<BTreeSet<_>>().len(), items * steps, "no attempt twice");
    let events = log(room);
    for kind in ["attempt-claimed", "attempt-completed"] {
        let counts = per_attempt(&events, kind);
        assert_eq!(counts.len(), items * steps, "{kind}");
        assert!(counts.values().all(|&count| count == 1), "{kind}: {counts:#?}");
        assert!(told.iter().all(|attempt| counts.contains_key(attempt)), "{kind}");
    }
    room.ok(&["verify", "--deep"]);
}

#[test]
fn sixteen_workers_in_two_work_trees_do_200_steps_once_each() {
    let room = room(5, 40);
    drain(&room, 16, 5, 40);
}

/// The same while the lock file, the caches and the loose branch file go away again and again.
#[test]
fn a_drain_survives_lost_locks_lost_caches_and_packed_refs() {
    let room = room(2, 20);
    let stepseal = room.repo().join(".git/stepseal");
    let nuisance = || {
        for name in ["lock", "portfolio", "ledger", "seen.json"] {
            drop(std::fs::remove_file(stepseal.join(name)));
        }
        let packed = room.program("git").args(["pack-refs", "--all"]).output();
        drop(packed.expect("git starts"));
    };
    beside(nuisance, || drain(&room, 8, 2, 20));
}

/// git's own housekeeping beside four writers, with its usual patience for what nothing refers to
/// yet: nothing is lost.
#[test]
fn a_drain_survives_housekeeping() {
    let (items, steps) = (rounds(1, 5), 20);
    let room = room(items, steps);
    let ran = AtomicUsize::new(0);
    let nuisance = || {
        for args in [&["gc", "--quiet"][..], &["pack-refs", "--all"]] {
            let output = room.program("git").args(args).output().expect("git starts");
            ran.fetch_add(usize::from(output.status.success()), Ordering::Relaxed);
        }
    };
    beside(nuisance, || drain(&room, 4, items, steps));
    let ran = ran.into_inner();
    let seen =
        format!("{ran} gc and pack-refs beside 4 writers of {} events: 0 lost", items * steps * 2);
    figure("P11", &seen);
    assert!(ran > 1, "{seen}");
}

/// The same without any patience, which git advises against beside a writer: it may take what
/// was just written. Then that is said, and never verified.
#[test]
fn a_merciless_clean_up_is_never_silent() {
    let (mut told, mut survived, count) = (0, 0, rounds(2, 20));
    for round in 0..count {
        let room = Room::live_below(&memory());
        // A reflog would refer to new commits a moment earlier.
        room.git(&["config", "core.logAllRefUpdates", "false"]);
        room.ok(&["init"]);
        let stop = AtomicBool::new(false);
        let worked: Vec<(Vec<String>, Option<Ran>)> = std::thread::scope(|scope| {
            let work = |executor: &String| {
                let (name, stop, room) = (executor.clone(), &stop, &room);
                scope.spawn(move || room.work("process", &name, &format!("W-{name}"), stop))
            };
            let writers: Vec<_> = executors(4).iter().map(work).collect();
            for n in 0..3 {
                let how: &[&str] = if n % 2 == 0 {
                    &["prune", "--expire=now"]
                } else {
                    &["gc", "--quiet", "--prune=now"]
                };
                let output = room.program("git").args(how).output();
                drop(output.expect("git starts"));
            }
            stop.store(true, Ordering::Relaxed);
            writers.into_iter().map(|writer| writer.join().expect("no panic")).collect()
        });
        for (_, failed) in &worked {
            let code = failed.as_ref().map_or(0, |ran| ran.code);
            assert!([0, 9, 10, 11, 75].contains(&code), "round {round}: {failed:?}");
        }
        let (_, there) = room.requests(&[]);
        let lost =
            worked.iter().flat_map(|(told, _)| told).any(|request| !there.contains_key(request));
        let verified = room.run(&["verify", "--deep"]);
        assert!(!lost || [10, 11].contains(&verified.code), "round {round}: silent: {verified}");
        told += worked.iter().map(|(told, _)| told.len()).sum::<usize>();
        survived += usize::from(!lost && verified.code == 0);
    }
    let seen = format!(
        "{count} rounds of 3 clean-ups with --prune=now beside 4 writers, {told} acknowledged: \
         {survived} lost nothing, 0 lost something silently"
    );
    figure("P11", &seen);
}

/// Who was away while the attempt went to somebody else is refused: the claim is a fence, not a
/// lock. The completion is stopped at any moment and goes on when it is too late.
#[cfg(unix)]
#[test]
fn a_claimant_who_was_away_is_fenced() {
    use rustix::process::{Pid, Signal, kill_process};
    const STEPS: usize = 20;
    let (mut dice, wanted) = (Dice::new(), rounds(8, 100));
    let room = Room::live_below(&memory());
    room.write("plan.yaml", &parallel_workflow("par", STEPS));
    room.ok(&["init"]);
    let (mut fenced, mut in_time, mut edge) = (0, 0, 10_000);
    for round in 0.. {
        let (item, step) = (format!("W{}", round / STEPS), format!("s{:03}", round % STEPS + 1));
        if fenced == wanted {
            break;
        }
        if round % STEPS == 0 {
            room.ok(&["delegate", "--plan", "plan.yaml", "--work-item", &item]);
        }
        let named = ["--work-item", &item, "--step", &step];
        let ran = room.run_as("away", &[&["claim"][..], &named].concat());
        assert_eq!(ran.code, 0, "{ran}");
        let complete = [&["complete", "--outcome", "late", "--json"][..], &named].concat();
        let child = start(room.stepseal(&complete).env("STEPSEAL_EXECUTOR", "away"));
        let pid = Pid::from_child(&child);
        let delay = Duration::from_micros(dice.below(edge * 3 / 2));
        let begin = Instant::now();
        while begin.elapsed() < delay {
            std::thread::yield_now();
        }
        kill_process(pid, Signal::STOP).expect("it is stopped");
        // Whoever is stopped may hold the writer lock: without its file nobody waits for it.
        drop(std::fs::remove_file(room.repo().join(".git/stepseal/lock")));
        let taken = [&["requeue", "--lapsed", "--force", "--reason", "gone"][..], &named].concat();
        let mut command = room.stepseal(&taken);
        command.env("STEPSEAL_EXECUTOR", "lead").env("STEPSEAL_LEDGER_LOCK_WAIT", "3s");
        let taken = Ran::of(&command.output().expect("the binary starts"));
        if taken.code == 0 {
            let ran = room.run_as("next", &[&["claim"][..], &named].concat());
            assert_eq!(ran.code, 0, "{ran}");
        }
        kill_process(pid, Signal::CONT).expect("it goes on");
        let late = Ran::of(&child.wait_with_output().expect("it ends"));
        let said = late.document();
        if taken.code == 0 {
            let (code, reason) = (late.code, &said["reason"]);
            assert_eq!((code, reason), (6, &"attempt-finished".into()), "round {round}: {late}");
            assert_eq!(said["recorded"], false, "{late}");
            assert_eq!(said["data"]["current"], format!("{step}.2"), "{late}");
            let next = said["next"].as_array().expect("a list");
            assert!(!next.is_empty(), "no way out: {late}");
            fenced += 1;
            let done = [&["complete", "--outcome", "done"][..], &named].concat();
            let ran = room.run_as("next", &done);
            assert_eq!(ran.code, 0, "{ran}");
        } else {
            // It was done before it was stopped, or was just doing it.
            assert!([6, 75].contains(&taken.code), "round {round}: {taken}");
            assert_eq!(late.code, 0, "round {round}: {late}");
            in_time += 1;
        }
        edge = if taken.code == 0 { edge * 21 / 20 } else { edge * 9 / 10 };
    }
    let seen = format!("{fenced} of {fenced} who came too late refused; {in_time} were in time");
    figure("P4", &seen);
    let ended = per_attempt(&log(&room), "attempt-completed");
    assert!(ended.values().all(|&count| count == 1), "{ended:#?}");
    assert_eq!(ended.len(), fenced + in_time);
    room.ok(&["verify", "--deep"]);
}

#[test]
fn inits_at_once_make_one_ledger() {
    for _ in 0..5 {
        let room = Room::new();
        room.git(&["init", "--quiet", "repo"]);
        let children: Vec<Child> =
            (0..4).map(|_| start(&mut room.stepseal(&["init", "--json"]))).collect();
        let mut created = 0;
        for child in children {
            let ran = Ran::of(&child.wait_with_output().expect("it ends"));
            assert_eq!(ran.code, 0, "{ran}");
            let said: Value = serde_json::from_str(&ran.stdout).expect("one JSON document");
            created += usize::from(said["outcome"] == "created");
        }
        assert_eq!(created, 1, "one of them made it");
        assert_eq!(room.git(&["rev-list", "--count", "stepseal-ledger"]).trim(), "1");
        room.ok(&["delegate", "--prompt", "Try", "--work-item", "W1", "--non-interactive"]);
        room.ok(&["verify", "--deep"]);
    }
}

#[test]
fn one_request_from_eight_processes_is_one_claim() {
    let (room, one) = (room(1, 8), vec!["racer".to_owned(); 8]);
    let named = ["claim", "--work-item", "W1", "--step", "s001", "--request-id", "r-1", "--json"];
    let first = claim_ids(&together(&room, &one, &named));
    room.ok(&[
        "release",
        "--work-item",
        "W1",
        "--step",
        "s001",
        "--reason",
        "x",
        "--executor",
        "racer",
    ]);
    let next = ["claim", "--next", "--request-id", "r-2", "--json"];
    let second = claim_ids(&together(&room, &one, &next));
    assert_ne!(first, second);
    let counts = per_attempt(&log(&room), "attempt-claimed");
    assert_eq!(counts.values().collect::<Vec<_>>(), [&1, &1], "{counts:?}");
    // The same id for another ask is a conflict, not a second claim.
    let mut other = named;
    other[4] = "s002";
    let ran = room.run_as("racer", &other);
    assert_eq!(ran.code, 6, "{ran}");
    assert!(ran.stdout.contains("r-1"), "{ran}");
    room.ok(&["verify", "--deep"]);
}

/// The one claim id that all of them were told, and that exactly one of them recorded.
fn claim_ids(ran: &[Ran]) -> String {
    let mut ids = BTreeSet::new();
    let mut recorded = 0;
    for ran in ran {
        assert_eq!(ran.code, 0, "{ran}");
        let said: Value = serde_json::from_str(&ran.stdout).expect("one JSON document");
        ids.insert(said["claimId"].as_str().expect("a claim id").to_owned());
        recorded += usize::from(said["recorded"] == true);
    }
    assert_eq!((ids.len(), recorded), (1, 1), "{ran:#?}");
    ids.into_iter().next().unwrap_or_default()
}
