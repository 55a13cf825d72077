//! What libgit2 does wrong and this program works around, reproduced against the libgit2 it is
//! linked with (P45). A test that fails here is good news: the workaround it names may go.

use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use git2::{ErrorCode, ObjectType, Oid, Repository};

use super::kit::{Room, bounded, figure, has, rounds};

/// What a child of this test binary is to read, in this repository.
const CHILD: &str = "STEPSEAL_TEST_CANARY";

fn repository(room: &Room) -> Repository {
    Repository::open(room.repo()).expect("a repository")
}

/// A room with a repository that has one object, too long to be read at once.
fn room() -> (Room, Oid, PathBuf) {
    let room = Room::new();
    room.git(&["init", "--quiet", "repo"]);
    let content: Vec<u8> = (0..4000u32).flat_map(u32::to_le_bytes).collect();
    let oid = repository(&room).odb().and_then(|odb| odb.write(ObjectType::Blob, &content));
    let hex = oid.expect("an object").to_string();
    let path = room.repo().join(".git/objects").join(&hex[..2]).join(&hex[2..]);
    (room, Oid::from_str(&hex).expect("an id"), path)
}

/// Runs a test of this file in a process of its own, which may hang or be killed.
fn child(test: &str, repository: &Path, oid: Oid) -> Option<i32> {
    let mut command = std::process::Command::new(std::env::current_exe().expect("this test"));
    command.args(["--exact", test, "--ignored", "--nocapture"]);
    command.env(CHILD, format!("{oid} {}", repository.display()));
    bounded(command, Duration::from_secs(2)).map(|ran| ran.code)
}

#[test]
#[ignore = "the child of the tests below"]
fn libgit2_reads_one_object() {
    let asked = std::env::var(CHILD).expect("what to read");
    let (oid, path) = asked.split_once(' ').expect("an id and a repository");
    let odb = Repository::open(path).and_then(|repository| {
        let odb = repository.odb()?;
        odb.read(Oid::from_str(oid)?).map(drop)
    });
    assert!(odb.is_err(), "a damaged object was read");
}

#[test]
#[ignore = "the child of a test below"]
fn libgit2_creates_one_reference() {
    let asked = std::env::var(CHILD).expect("what to refer to");
    let (oid, path) = asked.split_once(' ').expect("an id and a repository");
    let repository = Repository::open(path).expect("a repository");
    let oid = Oid::from_str(oid).expect("an id");
    assert!(repository.reference("refs/tags/one", oid, false, "race").is_ok(), "it lost");
}

/// The name of the child, as the harness knows it.
const READS: &str = "canary::libgit2_reads_one_object";

/// Why `ledger/object.rs` inflates loose objects: libgit2 never comes back from a truncated one.
#[test]
fn libgit2_still_hangs_on_a_truncated_object() {
    let (room, oid, path) = room();
    let whole = std::fs::read(&path).expect("the object");
    std::fs::remove_file(&path).expect("it is replaced");
    let mut hung = 0;
    let lengths = [whole.len() / 2, whole.len() / 4, whole.len() - 20];
    let lengths = &lengths[..rounds(1, 3)];
    for &length in lengths {
        std::fs::write(&path, &whole[..length]).expect("a truncated object");
        hung += usize::from(child(READS, &room.repo(), oid).is_none());
    }
    figure("P45", &format!("libgit2 hangs on {hung} of {} truncated objects", lengths.len()));
    assert!(hung > 0, "cured: libgit2 may read loose objects again (ledger/object.rs)");
}

/// Why `ledger/pack.rs` reads packs: with a damaged index libgit2 reads past the end of the pack.
#[cfg(unix)]
#[test]
fn libgit2_is_still_killed_by_a_damaged_index() {
    let (room, oid, _) = room();
    room.git(&["update-ref", "refs/tags/keep", &oid.to_string()]);
    room.git(&["repack", "-a", "-d", "--quiet"]);
    let packs = std::fs::read_dir(room.repo().join(".git/objects/pack")).expect("packs");
    let files = packs.map(|entry| entry.expect("a file").path());
    let index = files.into_iter().find(|file| file.extension().is_some_and(|e| e == "idx"));
    let index = index.expect("an index");
    let mut bytes = std::fs::read(&index).expect("the index");
    // One object: header, fanout, its id, its checksum, and its offset, which is beyond the pack.
    bytes[8 + 1024 + 20 + 4 + 1] = 1;
    std::fs::remove_file(&index).expect("it is replaced");
    std::fs::write(&index, bytes).expect("a damaged index");
    let code = child(READS, &room.repo(), oid);
    figure("P45", &format!("libgit2 reads with a damaged index: exit {code:?}, -1 is a signal"));
    assert_eq!(code, Some(-1), "cured: libgit2 may read packs again (ledger/pack.rs)");
}

/// Why `Store::write` looks first: libgit2 keeps what is stored, without looking into it.
#[test]
fn libgit2_still_keeps_a_damaged_object() {
    let (room, _, path) = room();
    std::fs::remove_file(&path).expect("it is replaced");
    std::fs::write(&path, b"").expect("an empty object");
    let content: Vec<u8> = (0..4000u32).flat_map(u32::to_le_bytes).collect();
    let written = repository(&room).odb().and_then(|odb| odb.write(ObjectType::Blob, &content));
    assert!(written.is_ok());
    let size = std::fs::metadata(&path).expect("the object").len();
    assert_eq!(size, 0, "cured: libgit2 may be trusted to write (Store::write)");
}

/// Why the branch is only ever moved by `reference_matching`: "create only" looks first and then
/// writes. A process is held between the two while the reference is made by another.
#[cfg(target_os = "linux")]
#[test]
fn libgit2_still_creates_a_reference_twice() {
    if !has("strace") {
        return;
    }
    let create = "canary::libgit2_creates_one_reference";
    // How long the other is held, and half of that until it is overtaken: on a busy machine it
    // may not have looked yet, or not be held any more.
    for held in [400, 1600, 6400, 25600].map(Duration::from_millis) {
        let (room, oid, _) = room();
        let lock = room.repo().join(".git/refs/tags/one.lock").display().to_string();
        let hold = format!("inject=/access:delay_exit={}", held.as_micros());
        let mut child = std::process::Command::new("strace");
        child.args([
            "-f",
            "-qq",
            "-o",
            "/dev/null",
            "-P",
            &lock,
            "-e",
            "trace=/access",
            "-e",
            &hold,
        ]);
        child.arg(std::env::current_exe().expect("this test"));
        child.args(["--exact", create, "--ignored"]);
        child.env(CHILD, format!("{oid} {}", room.repo().display()));
        let begin = Instant::now();
        let other = std::thread::spawn(move || bounded(child, held * 4));
        while begin.elapsed() < held / 2 {
            std::thread::yield_now();
        }
        let ours = repository(&room).reference("refs/tags/one", oid, false, "race").is_ok();
        let theirs = other.join().expect("no panic").is_some_and(|ran| ran.code == 0);
        assert!(ours || theirs, "nobody made it");
        if ours && theirs {
            figure("P45", "create-only: both of two processes were told that they made it");
            return;
        }
    }
    panic!("cured: `Repository::reference(force = false)` is exclusive now (clippy.toml)");
}

/// The way that is used instead: never more than one winner.
#[test]
fn the_compare_and_swap_has_one_winner() {
    const THREADS: usize = 16;
    let ((room, oid, _), barrier) = (room(), Barrier::new(THREADS));
    let races = rounds(100, 2000);
    let winners: Vec<AtomicUsize> = (0..races).map(|_| AtomicUsize::new(0)).collect();
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let repository = repository(&room);
                for (race, winners) in winners.iter().enumerate() {
                    barrier.wait();
                    let (name, none) = (format!("refs/tags/race-{race}"), Oid::ZERO_SHA1);
                    match repository.reference_matching(&name, oid, true, none, "race") {
                        Ok(_) => drop(winners.fetch_add(1, Ordering::SeqCst)),
                        Err(error) => {
                            let lost = [ErrorCode::Modified, ErrorCode::Exists, ErrorCode::Locked];
                            assert!(lost.contains(&error.code()), "{error}");
                        }
                    }
                }
            });
        }
    });
    let several = winners.iter().filter(|race| race.load(Ordering::SeqCst) > 1).count();
    figure("P45", &format!("the compare-and-swap: several winners in {several} of {races} races"));
    assert_eq!(several, 0);
}
