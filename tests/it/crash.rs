//! `kill -9` at any point: what was acknowledged is there once, what was not can be repeated, and
//! nothing is wedged (L6, R1). Locks that a dead process left are cleared, those of a live one
//! are not.
#![cfg(unix)]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::kit::{Dice, Ran, Room, figure, memory, parallel_workflow, rounds};

fn start(mut command: Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts")
}

fn command(room: &Room, executor: &str, args: &[&str]) -> Command {
    let mut command = room.stepseal(args);
    command.env("STEPSEAL_EXECUTOR", executor);
    command
}

/// Kills a process after a while, and says what it left.
pub(crate) fn kill_after(mut child: Child, delay: Duration) -> Ran {
    let start = Instant::now();
    while start.elapsed() < delay && child.try_wait().expect("a child").is_none() {
        std::thread::sleep(Duration::from_micros(100));
    }
    child.kill().expect("kill -9");
    Ran::of(&child.wait_with_output().expect("it ends"))
}

/// A ledger with one item of this many parallel steps.
fn room(steps: usize) -> Room {
    let room = Room::live();
    room.write("plan.yaml", &parallel_workflow("par", steps));
    room.ok(&["delegate", "--plan", "plan.yaml", "--work-item", "W1"]);
    room
}

/// One command of a round: what is asked, by whom, and when it is killed, if it is.
struct Asked {
    executor: String,
    args: Vec<String>,
    request: String,
    killed_after: Option<Duration>,
}

impl Asked {
    fn run(&self, room: &Room) -> Ran {
        let args: Vec<&str> = self.args.iter().map(String::as_str).collect();
        let child = start(command(room, &self.executor, &args));
        match self.killed_after {
            Some(delay) => kill_after(child, delay),
            None => Ran::of(&child.wait_with_output().expect("it ends")),
        }
    }
}

/// All of them at once.
fn at_once(room: &Room, asked: &[Asked]) -> Vec<Ran> {
    std::thread::scope(|scope| {
        let running: Vec<_> = asked.iter().map(|one| scope.spawn(|| one.run(room))).collect();
        running.into_iter().map(|one| one.join().expect("no panic")).collect()
    })
}

/// How many rounds share an item: its steps are claimed in one round and completed in the next.
const BLOCK: usize = 20;

/// One to four writers are killed at any moment, beside one that is not. The same commands again
/// need no help, and everything is on record once.
#[test]
fn kills_lose_nothing_and_wedge_nothing() {
    let (room, mut dice, wanted) = (Room::live_below(&memory()), Dice::new(), rounds(40, 1000));
    room.ok(&["init"]);
    room.write("plan.yaml", &parallel_workflow("par", BLOCK / 2 * 5));
    let lock = room.repo().join(".git/refs/heads/stepseal-ledger.lock");
    // When a claim and a completion swap, as far as the kills so far tell: half of the kills fall
    // anywhere before twice that, half of them near it.
    let mut edges = [10_000u64; 2];
    let (mut killed, mut acknowledged, mut landed, mut locks) = (0, 0, 0, 0);
    let (mut expected, mut slowest) = (BTreeMap::new(), Duration::ZERO);
    for round in 0.. {
        let (place, odd) = (round % BLOCK / 2, round % 2);
        let item = format!("W{}", round / BLOCK);
        if round % BLOCK == 0 {
            if killed >= wanted {
                break;
            }
            room.ok(&["delegate", "--plan", "plan.yaml", "--work-item", &item]);
        }
        let verb: &[&str] = if odd == 0 { &["claim"] } else { &["complete", "--outcome", "done"] };
        // Who completes is who claimed: each place has its own number of victims.
        let victims = 1 + (round / 2) % 4;
        let mut asked: Vec<Asked> = (0..=victims)
            .map(|n| {
                let request = format!("r{round}-{n}");
                let step = format!("s{:03}", place * 5 + n + 1);
                let named = ["--work-item", &item, "--step", &step, "--request-id", &request];
                let args = [verb, &named, &["--json"]].concat();
                let delay = if dice.below(2) == 0 {
                    dice.below(edges[odd] * 2)
                } else {
                    edges[odd] * 4 / 5 + dice.below(edges[odd] * 2 / 5)
                };
                Asked {
                    executor: format!("writer-{n}"),
                    args: args.into_iter().map(str::to_owned).collect(),
                    request,
                    killed_after: (n < victims).then(|| Duration::from_micros(delay)),
                }
            })
            .collect();
        let first = at_once(&room, &asked);
        locks += usize::from(lock.exists());
        let (_, there) = room.requests(&[&item]);
        for (one, ran) in asked.iter_mut().zip(&first) {
            let count = there.get(&one.request).copied().unwrap_or(0);
            assert!(count <= 1, "{} is there {count} times", one.request);
            // Whatever was said on stdout was already recorded.
            if ran.code == 0 || !ran.stdout.is_empty() {
                assert_eq!(count, 1, "{}: acknowledged and lost: {ran}", one.request);
                acknowledged += 1;
            }
            if one.killed_after.take().is_some() {
                killed += usize::from(ran.code == -1);
                landed += usize::from(ran.code == -1 && count == 1);
                let edge = &mut edges[odd];
                *edge = if count == 1 { *edge * 19 / 20 } else { *edge * 21 / 20 };
            } else {
                assert_eq!(ran.code, 0, "beside kills: {ran}");
            }
        }
        let begin = Instant::now();
        for ((one, ran), again) in asked.iter().zip(&first).zip(at_once(&room, &asked)) {
            assert_eq!(again.code, 0, "{} again: {again}", one.request);
            let said = again.document();
            let was_there = there.contains_key(&one.request);
            assert_eq!(said["recorded"], !was_there, "{}: {again}", one.request);
            if ran.code == 0 {
                let first = ran.document();
                assert_eq!(first["claimId"], said["claimId"], "{}", one.request);
                assert_eq!(first["attemptId"], said["attemptId"], "{}", one.request);
            }
            expected.insert(one.request.clone(), 1);
        }
        slowest = slowest.max(begin.elapsed());
        assert!(!lock.exists());
        if round % BLOCK == BLOCK - 1 {
            assert_eq!(room.requests(&[&item]).1, expected);
            expected.clear();
        }
    }
    let seen = format!(
        "{killed} kills, of them {landed} after the swap; {acknowledged} acknowledged, 0 lost, 0 \
         doubled; {locks} .lock files left"
    );
    figure("P6", &seen);
    let seen =
        format!("after {killed} kills the next commands needed no help, {slowest:.1?} at most");
    figure("P7", &seen);
    assert!(killed - landed >= 5, "only {} were killed before the swap", killed - landed);
    room.ok(&["verify", "--deep"]);
    room.git(&["fsck", "--strict"]);
}

/// Kills `init`: the next one makes or finishes the ledger.
#[test]
fn a_killed_init_can_be_repeated() {
    let mut dice = Dice::new();
    let mut whole = 30_000;
    for round in 0..rounds(12, 200) {
        let room = Room::new();
        room.git(&["init", "--quiet", "repo"]);
        let begin = Instant::now();
        drop(kill_after(start(room.stepseal(&["init"])), Duration::from_micros(dice.below(whole))));
        whole = whole.min(u64::try_from(begin.elapsed().as_micros()).expect("small") * 2 + 5_000);
        room.ok(&["init"]);
        room.ok(&["delegate", "--prompt", "Try", "--work-item", "W1"]);
        assert!(room.repo().join("stepseal.toml").exists(), "round {round}");
        room.ok(&["verify", "--deep"]);
    }
}

/// Plants a `.lock` of the branch with this age, as `touch -d` takes it.
fn plant(room: &Room, age: &str) -> PathBuf {
    plant_at(room, &room.repo().join(".git/refs/heads/stepseal-ledger"), age)
}

/// The same beside another file of git's.
fn plant_at(room: &Room, file: &Path, age: &str) -> PathBuf {
    let lock = file.with_added_extension("lock");
    File::create(&lock).expect("a lock file");
    let touched = room.program("touch").arg("-d").arg(age).arg(&lock).status();
    assert!(touched.expect("touch starts").success());
    lock
}

/// The newest seal.
fn last_seal(room: &Room) -> Value {
    let files = room.ledger_files();
    let path = files.iter().rfind(|path| path.starts_with("artifacts/seals/")).expect("a seal");
    serde_json::from_str(&room.ledger_text(path)).expect("JSON")
}

fn tip(room: &Room) -> String {
    room.git(&["rev-parse", "stepseal-ledger"])
}

#[test]
fn an_old_lock_nobody_holds_is_cleared_and_the_next_seal_says_so() {
    let room = room(3);
    let lock = plant(&room, "1 minute ago");
    let (code, said) = room.json(&["claim", "--work-item", "W1", "--step", "s001"]);
    assert_eq!((code, &said["recorded"]), (0, &Value::Bool(true)), "{said:#}");
    assert!(!lock.exists());
    let seal = last_seal(&room);
    assert_eq!(seal["recovery"]["clearedLock"], "stepseal-ledger.lock", "{seal:#}");
    // Said once, by the seal after it.
    room.ok(&["complete", "--work-item", "W1", "--step", "s001", "--outcome", "x"]);
    assert!(last_seal(&room)["recovery"].is_null());
    room.ok(&["verify", "--deep"]);
}

/// The clock was put back since a killed process left its lock: it is watched instead.
#[test]
fn an_old_lock_of_tomorrow_is_cleared_too() {
    let room = room(3);
    let lock = plant(&room, "tomorrow");
    let mut command = room.stepseal(&["claim", "--work-item", "W1", "--step", "s001"]);
    let ran = Ran::of(&command.env("STEPSEAL_LEDGER_LOCK_WAIT", "5s").output().expect("starts"));
    assert_eq!(ran.code, 0, "{ran}");
    assert!(!lock.exists());
    assert_eq!(last_seal(&room)["recovery"]["clearedLock"], "stepseal-ledger.lock");
}

#[test]
fn a_fresh_lock_is_waited_for_and_never_ignored() {
    let room = room(3);
    let (before, begin) = (tip(&room), Instant::now());
    let lock = plant(&room, "now");
    let ran = room.run(&["claim", "--work-item", "W1", "--step", "s001"]);
    match ran.code {
        0 => {
            // It was old enough when it was cleared: it has been waited for.
            assert!(begin.elapsed() >= Duration::from_millis(1_900), "{:?}", begin.elapsed());
            assert!(!lock.exists());
            assert_eq!(last_seal(&room)["recovery"]["clearedLock"], "stepseal-ledger.lock");
        }
        75 => {
            assert!(lock.exists());
            assert_eq!(tip(&room), before);
        }
        _ => panic!("{ran}"),
    }
}

/// A lock that goes away while it is waited for: nothing was cleared, so nothing says so.
#[test]
fn a_lock_that_is_given_back_is_not_called_stale() {
    let room = room(3);
    let lock = plant(&room, "now");
    let child = start(room.stepseal(&["claim", "--work-item", "W1", "--step", "s001"]));
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_millis(300) {
        std::thread::yield_now();
    }
    std::fs::remove_file(&lock).expect("it was left alone");
    let ran = Ran::of(&child.wait_with_output().expect("it ends"));
    assert_eq!(ran.code, 0, "{ran}");
    assert!(last_seal(&room)["recovery"].is_null());
}

/// However old: somebody has it open, so it is a live writer's.
#[cfg(target_os = "linux")]
#[test]
fn a_lock_that_is_held_is_left_alone() {
    let room = room(3);
    let lock = plant(&room, "1 hour ago");
    let held = File::open(&lock).expect("the lock");
    let before = tip(&room);
    let mut command = room.stepseal(&["claim", "--work-item", "W1", "--step", "s001", "--json"]);
    let ran = Ran::of(&command.env("STEPSEAL_LEDGER_LOCK_WAIT", "1s").output().expect("starts"));
    assert_eq!(ran.code, 75, "{ran}");
    assert_eq!(ran.document()["recorded"], false);
    assert!(lock.exists());
    assert_eq!(tip(&room), before);
    drop(held);
    room.ok(&["claim", "--work-item", "W1", "--step", "s001"]);
    room.ok(&["verify"]);
}

/// `init` was killed while it made the branch.
#[test]
fn init_clears_an_old_lock_too() {
    let room = Room::new();
    room.git(&["init", "--quiet", "repo"]);
    let lock = plant(&room, "1 minute ago");
    room.ok(&["init"]);
    assert!(!lock.exists());
    assert_eq!(last_seal(&room)["recovery"]["clearedLock"], "stepseal-ledger.lock");
    room.ok(&["delegate", "--prompt", "Try", "--work-item", "W1"]);
    room.ok(&["verify", "--deep"]);
}

/// `init` was killed while it wrote the ledger's name to git's config.
#[test]
fn init_clears_an_old_lock_of_the_config_too() {
    let room = Room::new();
    room.git(&["init", "--quiet", "repo"]);
    let config = room.repo().join(".git/config");
    let lock = plant_at(&room, &config, "1 minute ago");
    room.ok(&["init"]);
    assert!(!lock.exists());
    assert_eq!(room.git(&["config", "stepseal.branch"]), "stepseal-ledger\n");
    // Where nothing is to be written nobody waits for it.
    let lock = plant_at(&room, &config, "now");
    room.ok(&["init"]);
    assert!(lock.exists());
}

/// Somebody who has the writer lock and does nothing: asked to try again, nothing recorded.
#[test]
fn a_busy_ledger_asks_to_try_again() {
    let room = room(3);
    let path = room.repo().join(".git/stepseal/lock");
    let held = File::options().write(true).open(path).expect("the writer lock");
    held.lock().expect("the writer lock is free");
    let before = tip(&room);
    let mut command = room.stepseal(&["claim", "--work-item", "W1", "--step", "s001", "--json"]);
    let ran = Ran::of(&command.env("STEPSEAL_LEDGER_LOCK_WAIT", "1s").output().expect("starts"));
    assert_eq!(ran.code, 75, "{ran}");
    assert_eq!(ran.document()["recorded"], false);
    assert_eq!(tip(&room), before);
    // Reading needs no lock.
    room.ok(&["status", "W1"]);
    drop(held);
    room.ok(&["claim", "--work-item", "W1", "--step", "s001"]);
}

/// An item to be claimed, and the claim, whose bytes are the same in every copy of the room.
fn claimable() -> Room {
    let room = Room::with_ledger();
    room.ok(&["delegate", "--prompt", "Try", "--work-item", "W1"]);
    room
}

const CLAIM: [&str; 6] = ["claim", "--work-item", "W1", "--step", "phase-setup", "--json"];

/// The objects that the last commit brought, and where they are loose.
fn newest_objects(room: &Room) -> Vec<(String, PathBuf)> {
    let brought = ["rev-list", "--objects", "stepseal-ledger", "^stepseal-ledger~1"];
    let listed = room.git(&brought);
    let oids = listed.lines().filter_map(|line| line.split(' ').next());
    oids.map(|oid| (oid.to_owned(), Path::new(&oid[..2]).join(&oid[2..]))).collect()
}

/// The very objects of the next commit are there already and are bad, as after a power cut or
/// on a bad disk: they are written again, and nothing refers to what does not read.
#[test]
fn objects_that_were_damaged_before_are_written_again() {
    let base = claimable();
    let twin = base.copy();
    twin.ok(&CLAIM);
    let objects = newest_objects(&twin);
    let kinds: Vec<String> =
        objects.iter().map(|(oid, _)| twin.git(&["cat-file", "-t", oid])).collect();
    for kind in ["commit\n", "tree\n", "blob\n"] {
        assert!(kinds.iter().any(|k| k == kind), "no {kind} in {kinds:?}");
    }
    for how in ["empty", "truncated", "other", "in an alternate"] {
        let room = base.copy();
        let mut folder = room.repo().join(".git/objects");
        if how == "in an alternate" {
            folder = room.path().join("alternate");
            let alternates = room.repo().join(".git/objects/info/alternates");
            std::fs::create_dir_all(alternates.parent().expect("a folder")).expect("a folder");
            std::fs::write(alternates, format!("{}\n", folder.display())).expect("alternates");
        }
        // libgit2 looks for the commit it is to refer to in alternates first: a damaged one there
        // is a clean failure.
        let of_this = objects.iter().skip(usize::from(how == "in an alternate"));
        for (_, path) in of_this {
            let good = std::fs::read(twin.repo().join(".git/objects").join(path)).expect("it");
            let bytes = match how {
                "truncated" => &good[..good.len() / 2],
                "other" => b"x\x01something else",
                _ => b"",
            };
            let path = folder.join(path);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            std::fs::write(path, bytes).expect("a bad object");
        }
        let ran = room.run(&CLAIM);
        assert_eq!(ran.code, 0, "{how} {ran}");
        assert_eq!(tip(&room), tip(&twin), "{how}");
        room.ok(&["verify", "--deep"]);
        if how != "in an alternate" {
            room.git(&["fsck", "--strict"]);
        }
    }
}

/// The same where a damaged pack has them: the good ones stand beside it.
#[test]
fn objects_of_a_damaged_pack_are_written_again() {
    let base = claimable();
    let twin = base.copy();
    twin.ok(&CLAIM);
    let objects = newest_objects(&twin);
    let room = base.copy();
    let packs = room.repo().join(".git/objects/pack");
    let name = packs.join("pack");
    let mut pack = twin.program("git");
    pack.args(["pack-objects", "--quiet"]).arg(name).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut pack = pack.spawn().expect("git starts");
    let mut listed = pack.stdin.take().expect("its input");
    // All but the commit, which libgit2 looks for in packs first.
    for (oid, _) in &objects[1..] {
        writeln!(listed, "{oid}").expect("git reads it");
    }
    drop(listed);
    assert!(pack.wait().expect("git ends").success());
    for entry in std::fs::read_dir(packs).expect("packs") {
        let path = entry.expect("a file").path();
        if path.extension().is_some_and(|end| end == "pack") {
            let mut bytes = std::fs::read(&path).expect("the pack");
            let end = bytes.len() - 20;
            bytes[12..end].fill(0xff);
            std::fs::remove_file(&path).expect("it is replaced");
            std::fs::write(path, bytes).expect("a damaged pack");
        }
    }
    let ran = room.run(&CLAIM);
    assert_eq!(ran.code, 0, "{ran}");
    assert_eq!(tip(&room), tip(&twin));
    for (oid, path) in &objects {
        assert!(room.repo().join(".git/objects").join(path).exists(), "{oid}");
    }
    room.ok(&["verify", "--deep"]);
}
