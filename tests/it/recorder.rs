//! A history of what real processes asked and were told, and its checker (P1, P3).
//!
//! An operation is invoked, and ends as "ok", as "fail", or is never heard of again: killed, or
//! told that the outcome is unknown. The checker knows nothing of the program: it has the history,
//! the requests in the order the ledger holds them, and what an attempt is.
#![cfg(unix)]
#![expect(clippy::disallowed_methods, reason = "starts processes and reads the clock they share")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use stateright::semantics::{ConsistencyTester as _, LinearizabilityTester, SequentialSpec};

use super::crash::kill_after;
use super::forge::history;
use super::kit::{Dice, Ran, Room, STEPSEAL, figure, parallel_workflow, rounds};

/// What is asked of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ask {
    Claim,
    /// Complete it, or take its claim: whichever is first ends it.
    End,
}

/// What was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Done,
    /// Held by this process.
    Held(usize),
    /// Ended already.
    Over,
}

/// One operation of one process.
#[derive(Debug, Clone)]
struct Operation {
    attempt: usize,
    process: usize,
    ask: Ask,
    /// The caller's own key, by which the ledger's events are told apart.
    request: String,
    invoked: Duration,
    /// None: nobody knows what became of it.
    ended: Option<(Duration, Told)>,
}

/// What an attempt does when operations come one after another.
#[derive(Debug, Clone, PartialEq)]
enum Attempt {
    Queued,
    Held(usize),
    Ended,
}

impl SequentialSpec for Attempt {
    type Op = (usize, Ask);
    type Ret = Told;

    fn invoke(&mut self, (process, ask): &Self::Op) -> Told {
        match (&self, ask) {
            (Self::Queued, Ask::Claim) => {
                *self = Self::Held(*process);
                Told::Done
            }
            (Self::Held(by), Ask::Claim) => Told::Held(*by),
            (Self::Held(_), Ask::End) => {
                *self = Self::Ended;
                Told::Done
            }
            (Self::Ended, _) | (Self::Queued, Ask::End) => Told::Over,
        }
    }
}

/// What a sound history came to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counted {
    ok: usize,
    fail: usize,
    unknown: usize,
}

impl std::fmt::Display for Counted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ok, {} refused, {} unknown", self.ok, self.fail, self.unknown)
    }
}

/// Checks a history against the requests of the ledger, in the ledger's order.
fn check(history: &[Operation], ledger: &[String]) -> Result<Counted, String> {
    let counted = against_the_ledger(history, ledger)?;
    in_real_time(history, ledger)?;
    one_winner_each(history)?;
    let mut attempts: BTreeMap<usize, Vec<&Operation>> = BTreeMap::new();
    for operation in history {
        attempts.entry(operation.attempt).or_default().push(operation);
    }
    for (attempt, operations) in attempts {
        if !linearizable(&operations, ledger) {
            return Err(format!("attempt {attempt} is not linearizable: {operations:#?}"));
        }
    }
    Ok(counted)
}

/// What was told as done is in the ledger once, what was refused is not, what is unknown may be.
fn against_the_ledger(history: &[Operation], ledger: &[String]) -> Result<Counted, String> {
    let mut there: BTreeMap<&str, usize> = BTreeMap::new();
    for request in ledger {
        *there.entry(request).or_default() += 1;
    }
    let mut counted = Counted::default();
    for operation in history {
        let there = there.remove(&*operation.request).unwrap_or(0);
        let right = match operation.ended {
            Some((_, Told::Done)) => {
                counted.ok += 1;
                there == 1
            }
            Some((_, Told::Held(_) | Told::Over)) => {
                counted.fail += 1;
                there == 0
            }
            None => {
                counted.unknown += 1;
                there <= 1
            }
        };
        if !right {
            return Err(format!("{there} times in the ledger: {operation:?}"));
        }
    }
    match there.first_key_value() {
        Some((stray, _)) => Err(format!("nobody asked for {stray}")),
        None => Ok(counted),
    }
}

/// An operation that ended before another was invoked comes before it in the ledger.
fn in_real_time(history: &[Operation], ledger: &[String]) -> Result<(), String> {
    let by_request: BTreeMap<&str, &Operation> =
        history.iter().map(|operation| (&*operation.request, operation)).collect();
    let mut latest: Option<&Operation> = None;
    for operation in ledger.iter().filter_map(|request| by_request.get(&**request).copied()) {
        let ended = operation.ended.map(|(at, _)| at);
        if let (Some(ended), Some(before)) = (ended, latest)
            && ended < before.invoked
        {
            return Err(format!("{operation:?} had ended, and comes after {before:?}"));
        }
        if latest.is_none_or(|latest| latest.invoked < operation.invoked) {
            latest = Some(operation);
        }
    }
    Ok(())
}

/// Of all that ask the same of an attempt exactly one is told that it is done, and none where one
/// that nobody heard of again may have been the one.
fn one_winner_each(history: &[Operation]) -> Result<(), String> {
    let mut told: BTreeMap<(usize, bool), (usize, bool)> = BTreeMap::new();
    for operation in history {
        let key = (operation.attempt, operation.ask == Ask::Claim);
        let (winners, unknown) = told.entry(key).or_default();
        *winners += usize::from(matches!(operation.ended, Some((_, Told::Done))));
        *unknown |= operation.ended.is_none();
    }
    for ((attempt, claims), (winners, unknown)) in told {
        if winners != 1 && !(winners == 0 && unknown) {
            let what = if claims { "claimed" } else { "ended" };
            return Err(format!("attempt {attempt} was {what} {winners} times"));
        }
    }
    Ok(())
}

/// Whether the operations of one attempt can be put in an order that explains what was told.
///
/// The ledger says what became of those nobody heard of again: they ended some time, or never
/// were. An order that explains everything is found at once; that there is none takes the tester
/// as long as there are orders, so there is a limit.
fn linearizable(operations: &[&Operation], ledger: &[String]) -> bool {
    let mut moments: Vec<(Duration, bool, usize, Ask, Told)> = Vec::new();
    for Operation { process, ask, request, invoked, ended, .. } in operations.iter().copied() {
        let (end, told) = match ended {
            Some((at, told)) => (*at, *told),
            None if ledger.contains(request) => (Duration::MAX, Told::Done),
            None => continue,
        };
        moments.push((*invoked, false, *process, *ask, told));
        moments.push((end, true, *process, *ask, told));
    }
    // Of what is said to have happened in the same instant the invocation is first: overlapping.
    moments.sort_by_key(|(at, end, ..)| (*at, *end));
    let (answer, answered) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut tester = LinearizabilityTester::new(Attempt::Queued);
        for (_, end, process, ask, told) in moments {
            let said = if end {
                tester.on_return(process, told)
            } else {
                tester.on_invoke(process, (process, ask))
            };
            said.expect("a process does one thing at a time");
        }
        answer.send(tester.is_consistent())
    });
    answered.recv_timeout(Duration::from_secs(60)) == Ok(true)
}

/// Starts one process each, all waiting for one pipe to close, and closes it: a common tick.
///
/// The shell becomes the program, so a process is what its number says also when it is killed.
fn at_a_tick(
    room: &Room,
    clones: &[PathBuf],
    asks: &[(String, Vec<String>)],
    tick: impl FnOnce(),
) -> Vec<Child> {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let children = asks.iter().enumerate().map(|(n, (executor, args))| {
        let mut shell = room.program("sh");
        if let Some(clone) = clones.get(n % clones.len().max(1)) {
            shell.current_dir(clone);
        }
        shell.args(["-c", "read -r _; exec \"$0\" \"$@\" </dev/null", STEPSEAL]).args(args);
        shell.env("STEPSEAL_EXECUTOR", executor);
        shell.stdin(reader.try_clone().expect("the pipe again"));
        shell.stdout(Stdio::piped()).stderr(Stdio::piped());
        shell.spawn().expect("a shell starts")
    });
    let children: Vec<Child> = children.collect();
    tick();
    drop(writer);
    children
}

fn words(args: &[&str]) -> Vec<String> {
    args.iter().map(|word| (*word).to_owned()).collect()
}

/// Everything that is needed to record.
struct Recorder {
    room: Room,
    /// Where the processes work; none for the room's own repository.
    clones: Vec<PathBuf>,
    start: Instant,
    history: Vec<Operation>,
    dice: Dice,
}

/// How many steps an item has: small, so that time goes into races and not into folding.
const STEPS: usize = 10;

impl Recorder {
    fn new(races: usize) -> Self {
        let room = Room::live();
        room.write("plan.yaml", &parallel_workflow("par", STEPS));
        for item in 0..races.div_ceil(STEPS) {
            room.ok(&["delegate", "--plan", "plan.yaml", "--work-item", &format!("W{item}")]);
        }
        let (clones, history) = (Vec::new(), Vec::new());
        Self { room, clones, start: Instant::now(), history, dice: Dice::new() }
    }

    /// The same with a clone for each process, which share nothing but a remote.
    fn among_clones(races: usize, clones: usize) -> Self {
        let mut recorder = Self::new(races);
        let room = &recorder.room;
        room.git(&["init", "--quiet", "--bare", "../origin.git"]);
        room.git(&["remote", "add", "origin", "../origin.git"]);
        room.ok(&["init", "--remote", "origin", "--quiet"]);
        recorder.clones = (0..clones)
            .map(|n| {
                let name = format!("c{n}");
                room.git(&["clone", "--quiet", "../origin.git", &format!("../{name}")]);
                let ran = room.run_in(&name, &["init", "--remote", "origin", "--quiet"]);
                assert_eq!(ran.code, 0, "{ran}");
                room.path().join(name)
            })
            .collect();
        recorder
    }

    /// Runs a race and records what each was told; some are killed where `kills` says so.
    fn race(
        &mut self,
        attempt: usize,
        asks: Vec<(usize, Ask, Vec<String>)>,
        kills: usize,
    ) -> Vec<Ran> {
        let name = |process: usize| format!("racer-{attempt}-{process}");
        let mut commands = Vec::new();
        for (process, ask, args) in &asks {
            let request = format!("{}-{ask:?}", name(*process));
            let args = [&args[..], &words(&["--json", "--request-id", &request])].concat();
            commands.push((name(*process), args));
        }
        let start = self.start;
        let mut invoked = Duration::ZERO;
        let children = at_a_tick(&self.room, &self.clones, &commands, || invoked = start.elapsed());
        let delays: Vec<Option<Duration>> = (0..children.len())
            .map(|n| (n < kills).then(|| Duration::from_micros(self.dice.below(40_000))))
            .collect();
        let ends: Vec<(Duration, Ran)> = std::thread::scope(|scope| {
            let handles: Vec<_> = children
                .into_iter()
                .zip(delays)
                .map(|(child, delay)| {
                    scope.spawn(move || {
                        let ran = match delay {
                            Some(delay) => kill_after(child, delay),
                            None => Ran::of(&child.wait_with_output().expect("it ends")),
                        };
                        (start.elapsed(), ran)
                    })
                })
                .collect();
            handles.into_iter().map(|handle| handle.join().expect("a waiter")).collect()
        });
        for ((process, ask, _), (at, ran)) in asks.into_iter().zip(&ends) {
            let request = format!("{}-{ask:?}", name(process));
            let ended = told(attempt, ask, ran).map(|told| (*at, told));
            self.history.push(Operation { attempt, process, ask, request, invoked, ended });
        }
        ends.into_iter().map(|(_, ran)| ran).collect()
    }

    /// The requests of the ledger in the order of its commits, read by git alone.
    fn ledger(&self) -> Vec<String> {
        let mut requests = Vec::new();
        for told in history(&self.room) {
            for (path, bytes) in told.changes {
                let ours = ["attempt-claimed", "attempt-completed", "claim-lapsed"];
                if ours.iter().any(|kind| path.ends_with(&format!("-{kind}.json"))) {
                    let bytes = bytes.expect("an event stays");
                    let event: Value = serde_json::from_slice(&bytes).expect("JSON");
                    requests.extend(event["request"]["id"].as_str().map(str::to_owned));
                }
            }
        }
        requests
    }
}

/// What a process was told, where it is known.
fn told(attempt: usize, ask: Ask, ran: &Ran) -> Option<Told> {
    let said: Option<Value> = serde_json::from_str(&ran.stdout).ok();
    let Some(said) = said else {
        assert_eq!(ran.code, -1, "neither killed nor answered: {ran}");
        return None;
    };
    // What was said before the kill was said.
    match said["exitCode"].as_i64().unwrap_or(0) {
        0 => {
            assert_eq!(said["recorded"], true, "{said:#}");
            Some(Told::Done)
        }
        4 | 6 => {
            assert_eq!(said["recorded"], false, "{said:#}");
            let holder = said["data"]["heldBy"].as_str();
            let holder = holder.and_then(|by| by.strip_prefix(&format!("racer-{attempt}-")));
            let holder = holder.and_then(|process| process.parse().ok());
            match (ask, holder) {
                (Ask::Claim, Some(holder)) => Some(Told::Held(holder)),
                (Ask::Claim, None) => panic!("refused without a holder: {said:#}"),
                (Ask::End, _) => Some(Told::Over),
            }
        }
        75 => None,
        _ => panic!("{said:#}"),
    }
}

/// Every other race is for the claim, the others for who ends what one of them holds: by
/// completing it, or by taking the claim away. In some a few are killed.
#[test]
fn races_of_real_processes_are_linearizable() {
    let (processes, races) = (rounds(16, 64), rounds(12, 200));
    let mut recorder = Recorder::new(races);
    let took = recorder.races(processes, races);
    let counted =
        check(&recorder.history, &recorder.ledger()).unwrap_or_else(|why| panic!("{why}"));
    recorder.room.ok(&["verify", "--deep"]);
    let operations = recorder.history.len();
    figure(
        "P1",
        &format!(
            "{processes} processes × {races} races: one winner in {races} of {races}, {:.0} s",
            took.as_secs_f32()
        ),
    );
    figure("P3", &format!("0 violations in {operations} operations ({counted})"));
}

/// The same among clones that share nothing but a remote.
#[test]
fn races_of_clones_are_linearizable() {
    let (clones, races) = (rounds(5, 16), rounds(6, 50));
    let mut recorder = Recorder::among_clones(races, clones);
    recorder.races(clones, races);
    // A git that a killed process had started may still push.
    std::thread::sleep(Duration::from_millis(500));
    recorder.room.ok(&["sync", "--quiet"]);
    let counted =
        check(&recorder.history, &recorder.ledger()).unwrap_or_else(|why| panic!("{why}"));
    recorder.room.ok(&["verify", "--deep"]);
    let operations = recorder.history.len();
    figure(
        "P3",
        &format!(
            "{clones} clones × {races} races: 0 violations in {operations} operations ({counted})"
        ),
    );
}

impl Recorder {
    fn races(&mut self, processes: usize, races: usize) -> Duration {
        for race in 0..races {
            let item = format!("W{}", race / STEPS);
            let step = format!("s{:03}", race % STEPS + 1);
            let named =
                words(&["--work-item", &item, "--step", &step, "--attempt", &format!("{step}.1")]);
            let with = |verb: &[&str]| [words(verb), named.clone()].concat();
            let kills = if race % 10 < 2 { 2 } else { 0 };
            if race % 2 == 0 {
                let asks = (0..processes).map(|n| (n, Ask::Claim, with(&["claim"]))).collect();
                self.race(race, asks, kills);
                continue;
            }
            let claimed = self.race(race, vec![(0, Ask::Claim, with(&["claim"]))], 0);
            let claim: Value = serde_json::from_str(&claimed[0].stdout).expect("JSON");
            let claim = claim["claimId"].as_str().expect("a claim id").to_owned();
            let asks = (0..processes)
                .map(|n| {
                    let outcome = format!("by {n}");
                    let args = match n % 2 {
                        0 => with(&["complete", "--claim", &claim, "--outcome", &outcome]),
                        _ => with(&["requeue", "--lapsed", "--force", "--reason", &outcome]),
                    };
                    (n, Ask::End, args)
                })
                .collect();
            self.race(race, asks, kills);
        }
        self.start.elapsed()
    }
}

/// A small history that is right: 1 claims, 2 and 3 are told so, 1 ends it and 4 comes too late;
/// 5 was killed before it did anything.
fn right() -> (Vec<Operation>, Vec<String>) {
    let at = Duration::from_millis;
    let operation = |process, ask, invoked, ended: Option<(u64, Told)>| Operation {
        attempt: 0,
        process,
        ask,
        request: format!("{process}-{ask:?}"),
        invoked: at(invoked),
        ended: ended.map(|(end, told)| (at(end), told)),
    };
    let history = vec![
        operation(1, Ask::Claim, 0, Some((10, Told::Done))),
        operation(2, Ask::Claim, 0, Some((20, Told::Held(1)))),
        operation(3, Ask::Claim, 5, Some((15, Told::Held(1)))),
        operation(5, Ask::Claim, 5, None),
        operation(1, Ask::End, 30, Some((40, Told::Done))),
        operation(4, Ask::End, 35, Some((50, Told::Over))),
    ];
    (history, vec!["1-Claim".into(), "1-End".into()])
}

/// The checker can say no: each wrong history is refused, and for the reason it was made wrong.
#[test]
fn a_wrong_history_is_rejected() {
    let (history, ledger) = right();
    assert_eq!(check(&history, &ledger), Ok(Counted { ok: 2, fail: 3, unknown: 1 }));
    type Spoil = fn(&mut Vec<Operation>, &mut Vec<String>);
    let spoiled: [(&str, Spoil, &str); 9] = [
        (
            "a second winner",
            |h, l| {
                h[1].ended = Some((Duration::from_millis(20), Told::Done));
                l.insert(1, "2-Claim".into());
            },
            "was claimed 2 times",
        ),
        (
            "nobody won",
            |h, l| {
                h.remove(3);
                h[0].ended = h[1].ended;
                l.remove(0);
            },
            "was claimed 0 times",
        ),
        ("acknowledged and lost", |_, l| drop(l.remove(0)), "0 times in the ledger"),
        ("acknowledged and there twice", |_, l| l.insert(0, "1-Claim".into()), "2 times"),
        ("refused and there", |_, l| l.push("3-Claim".into()), "1 times in the ledger"),
        (
            "killed and there twice",
            |_, l| l.extend(["5-Claim".into(), "5-Claim".into()]),
            "2 times",
        ),
        ("from nobody", |_, l| l.push("9-Claim".into()), "nobody asked"),
        ("in the wrong order", |_, l| l.reverse(), "comes after"),
        (
            "told a holder who came later",
            |h, _| {
                h[2].invoked = Duration::ZERO;
                h[2].ended = Some((Duration::from_millis(1), Told::Held(1)));
                h[0].invoked = Duration::from_millis(2);
            },
            "not linearizable",
        ),
    ];
    for (what, spoil, why) in spoiled {
        let (mut history, mut ledger) = right();
        spoil(&mut history, &mut ledger);
        let refused = check(&history, &ledger).expect_err(what);
        assert!(refused.contains(why), "{what}: {refused}");
    }
    // Held by one who does not hold it, and over before anything ended it.
    for told in [Told::Held(3), Told::Held(2), Told::Over] {
        let (mut history, ledger) = right();
        history[1].ended = Some((Duration::from_millis(20), told));
        let operations: Vec<&Operation> = history.iter().collect();
        assert!(!linearizable(&operations, &ledger), "{told:?}");
    }
}
