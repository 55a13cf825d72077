//! Disks that lose power or are full: a file system of our own on a loop device is cut off
//! without its journal, as a power cut does, and a small one in memory is filled (P8, P9, L7).
//! Only root may mount; elsewhere this is skipped, and said.
#![cfg(target_os = "linux")]

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::kit::{Dice, Ran, Room, figure, has, memory, rounds, skipped};

/// A file system that is there as long as this value.
struct Disk {
    folder: tempfile::TempDir,
}

/// A program with these words; whether it succeeded.
fn runs(words: &[&str]) -> bool {
    let ran = Command::new(words[0]).args(&words[1..]).output();
    ran.is_ok_and(|output| output.status.success())
}

impl Disk {
    /// An ext4 of 64 MiB, or none where this may not be done.
    fn ext4() -> Option<Self> {
        let disk = Self::unmounted()?;
        let image = disk.image();
        std::fs::File::create(&image).and_then(|file| file.set_len(64 << 20)).expect("an image");
        if runs(&["mkfs.ext4", "-q", "-F", &image.display().to_string()]) && disk.mount() {
            return Some(disk);
        }
        skipped("no loop device, or no mkfs.ext4");
        None
    }

    /// A small one in memory.
    fn tmpfs(kib: u32) -> Option<Self> {
        let disk = Self::unmounted()?;
        let size = format!("size={kib}k");
        if runs(&["mount", "-t", "tmpfs", "-o", &size, "tmpfs", &disk.at().display().to_string()]) {
            return Some(disk);
        }
        skipped("no tmpfs may be mounted");
        None
    }

    fn unmounted() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            skipped("only root may mount");
            return None;
        }
        // In memory it is quick; what counts is what reaches the image.
        let folder = tempfile::Builder::new().prefix("stepseal-disk-").tempdir_in(memory());
        let disk = Self { folder: folder.expect("a temp dir") };
        std::fs::create_dir(disk.at()).expect("a mount point");
        Some(disk)
    }

    fn image(&self) -> PathBuf {
        self.folder.path().join("image")
    }

    /// Where it is mounted.
    fn at(&self) -> PathBuf {
        self.folder.path().join("mnt")
    }

    fn mount(&self) -> bool {
        let (image, at) = (self.image(), self.at());
        runs(&["mount", "-o", "loop", &image.display().to_string(), &at.display().to_string()])
    }

    /// Cuts the power: from now on nothing reaches the disk, the journal neither.
    fn cut(&self) {
        // FS_IOC_SHUTDOWN with FS_SHUTDOWN_FLAGS_NOLOGFLUSH, by any file of the disk. Perl comes
        // with git; from here it would be unsafe code.
        let cut =
            "$how = pack('L', 2); open(F, '>', $ARGV[0]) && ioctl(F, 0x8004587d, $how) || die $!";
        let file = self.at().join("off").display().to_string();
        assert!(runs(&["perl", "-e", cut, &file]), "no power cut");
    }

    /// Turns it on again, as it came through the cut.
    fn on_again(&self) {
        let at = self.at().display().to_string();
        // A killed process may take a moment to let go of its files.
        let begin = Instant::now();
        while !runs(&["umount", &at]) {
            assert!(begin.elapsed() < Duration::from_secs(20), "the disk is busy");
            std::thread::yield_now();
        }
        assert!(self.mount(), "it mounts again");
    }

    /// Makes all that is written so far durable.
    fn flush(&self) {
        assert!(runs(&["sync", "-f", &self.at().display().to_string()]));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        runs(&["umount", "--lazy", &self.at().display().to_string()]);
    }
}

/// A room on a disk that has a ledger, all of it durable.
fn room(disk: &Disk) -> Room {
    let room = Room::live_below(&disk.at());
    room.ok(&["init"]);
    room.ok(&["delegate", "--prompt", "Begin", "--work-item", "W0"]);
    disk.flush();
    room
}

fn run(room: &Room, durability: &str, executor: &str, args: &[&str]) -> Ran {
    let mut command = room.stepseal(args);
    command.env("STEPSEAL_LEDGER_DURABILITY", durability).env("STEPSEAL_EXECUTOR", executor);
    Ran::of(&command.output().expect("the binary starts"))
}

/// Two writers work until the power is cut; the requests that were acknowledged, the last of them
/// perhaps while it was cut.
fn work_until_cut(
    room: &Room,
    disk: &Disk,
    durability: &str,
    round: usize,
    power: Duration,
) -> Vec<String> {
    let off = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let work = |executor: &'static str| {
            let name = format!("W{round}-{executor}");
            let off = &off;
            scope.spawn(move || room.work(durability, executor, &name, off).0)
        };
        let writers = ["left", "right"].map(work);
        let begin = Instant::now();
        while begin.elapsed() < power {
            std::thread::sleep(Duration::from_millis(1));
        }
        disk.cut();
        off.store(true, Ordering::Relaxed);
        writers.into_iter().flat_map(|writer| writer.join().expect("no panic")).collect()
    })
}

/// What came through a cut, as git and stepseal tell it.
struct After {
    /// Acknowledged requests that are gone.
    lost: usize,
    /// Why the ledger cannot be worked with any more.
    broken: Option<String>,
}

/// Turns the power on and looks: with git alone, then by going on without any help.
fn look(room: &Room, disk: &Disk, durability: &str, told: &[String]) -> After {
    disk.on_again();
    let (code, there) = room.requests(&[]);
    assert!(there.values().all(|&count| count == 1), "twice: {there:?}");
    let lost = told.iter().filter(|request| !there.contains_key(*request)).count();
    let mut broken = (code != 0).then(|| format!("log ends with {code}"));
    // A clone reads every object that anything refers to.
    let copy = room.path().join("copy");
    let clone = ["clone", "--quiet", "--bare", "--no-local", ".", "../copy"];
    let cloned = Ran::of(&room.program("git").args(clone).output().expect("git starts"));
    if cloned.code != 0 {
        broken = broken.or(Some(cloned.to_string()));
    }
    drop(std::fs::remove_dir_all(copy));
    let item = format!("AFTER-{}", there.len());
    for asked in [
        &["verify", "--deep"][..],
        &["delegate", "--prompt", "Go on", "--work-item", &item, "--request-id", &item],
    ] {
        let ran = run(room, durability, "after", asked);
        if ran.code != 0 {
            broken = broken.or(Some(ran.to_string()));
        }
    }
    After { lost, broken }
}

/// How many cuts one disk lives through: then its ledger is long enough.
const CUTS: usize = 20;

/// Runs this many cuts: how many requests were acknowledged, how many of them were lost, and
/// which cuts broke the ledger.
fn cuts(durability: &str, count: usize) -> Option<(usize, usize, Vec<String>)> {
    let mut dice = Dice::new();
    let (mut told, mut lost, mut broken) = (0, 0, Vec::new());
    let mut at: Option<(Disk, Room)> = None;
    for round in 0..count {
        let (disk, room) = match at.take().filter(|_| round % CUTS != 0) {
            Some(at) => at,
            None => {
                let disk = Disk::ext4()?;
                let room = room(&disk);
                (disk, room)
            }
        };
        let power = Duration::from_millis(20 + dice.below(380));
        let acknowledged = work_until_cut(&room, &disk, durability, round, power);
        let after = look(&room, &disk, durability, &acknowledged);
        told += acknowledged.len();
        lost += after.lost;
        match after.broken {
            Some(how) => broken.push(format!("cut {round} after {power:?}: {how}")),
            None if after.lost == 0 => at = Some((disk, room)),
            None => {}
        }
    }
    Some((told, lost, broken))
}

#[test]
fn a_power_cut_takes_nothing_that_was_acknowledged() {
    let count = rounds(4, 100);
    let Some((told, lost, broken)) = cuts("durable", count) else { return };
    let seen = format!(
        "{count} power cuts of a loop ext4, durable: {lost} of {told} acknowledged lost, {} \
         ledgers broken",
        broken.len()
    );
    figure("P8", &seen);
    assert!(told >= count, "{seen}: too few to tell");
    assert_eq!((lost, &broken), (0, &Vec::new()), "{seen}");
}

/// The test of the test: without durability the same cuts lose something.
#[test]
fn a_power_cut_takes_what_was_not_made_durable() {
    let count = rounds(2, 10);
    let Some((told, lost, broken)) = cuts("process", count) else { return };
    let seen = format!(
        "{count} power cuts, process: {lost} of {told} acknowledged lost, {} ledgers broken",
        broken.len()
    );
    figure("P8", &seen);
    assert!(lost > 0, "{seen}");
}

/// What one command recorded and another says is on record is on the disk, although the first
/// was killed before it made the branch durable; so is the ledger that `init` made.
#[test]
fn a_power_cut_takes_nothing_that_a_repeated_command_was_told() {
    if !has("strace") {
        return;
    }
    for _ in 0..rounds(1, 10) {
        let Some(disk) = Disk::ext4() else { return };
        let room = Room::live_below(&disk.at());
        let ran = run(&room, "durable", "left", &["init"]);
        assert_eq!(ran.code, 0, "{ran}");
        disk.cut();
        disk.on_again();
        let ran = run(&room, "durable", "left", &["status"]);
        assert_eq!(ran.code, 0, "{ran}");
        let asked =
            ["delegate", "--prompt", "Work", "--work-item", "W1", "--request-id", "r-1", "--json"];
        let out = disk.folder.path().join("strace.log").display().to_string();
        let kill = "inject=fsync:signal=KILL:when=1";
        let words = ["strace", "-f", "-qq", "-o", &out, "-e", kill, super::kit::STEPSEAL];
        let mut command = room.under(&words, &asked);
        let killed = command.env("STEPSEAL_LEDGER_DURABILITY", "durable").output();
        assert!(!killed.expect("strace starts").status.success());
        let again = run(&room, "durable", "left", &asked);
        assert_eq!(again.document()["recorded"], false, "the first one was killed too soon");
        disk.cut();
        let after = look(&room, &disk, "durable", &["r-1".to_owned()]);
        assert_eq!((after.lost, after.broken), (0, None));
    }
}

/// A disk that is really full: refused cleanly, nothing locked; with more room it goes on.
#[test]
fn a_full_disk_is_a_clean_refusal() {
    let mut acknowledged = 0;
    for round in 0..rounds(1, 8) {
        // Where exactly it fills up is different each time.
        let Some(disk) = Disk::tmpfs(900 + 4 * u32::try_from(round).expect("small")) else {
            return;
        };
        let room = Room::live_below(&disk.at());
        room.ok(&["init"]);
        let mut told = Vec::new();
        let refused = loop {
            let request = format!("r-{}", told.len());
            let asked = ["delegate", "--prompt", "Work", "--work-item", &request, "--json"];
            let asked = [&asked[..], &["--request-id", &request]].concat();
            let ran = run(&room, "durable", "left", &asked);
            if ran.code != 0 {
                break ran;
            }
            told.push(request);
            assert!(told.len() < 1000, "the disk does not fill up");
        };
        let said = refused.document();
        assert_eq!((refused.code, &said["recorded"]), (9, &Value::Bool(false)), "{refused}");
        assert!(said["message"].to_string().contains("No space left"), "{refused}");
        assert!(!room.repo().join(".git/refs/heads/stepseal-ledger.lock").exists());
        // Reading needs no space.
        let ran = run(&room, "durable", "left", &["verify", "--deep"]);
        assert_eq!(ran.code, 0, "{ran}");
        let at = disk.at().display().to_string();
        assert!(runs(&["mount", "-o", "remount,size=8m", &at]));
        let request = format!("r-{}", told.len());
        let asked = ["delegate", "--prompt", "Work", "--work-item", &request, "--json"];
        let ran =
            run(&room, "durable", "left", &[&asked[..], &["--request-id", &request]].concat());
        assert_eq!(ran.code, 0, "{ran}");
        assert_eq!(ran.document()["recorded"], true, "{ran}");
        let log = room.ok(&["log", "--json"]);
        assert!(told.iter().all(|request| log.contains(&format!("\"{request}\""))));
        room.git(&["fsck", "--strict"]);
        acknowledged += told.len();
    }
    figure(
        "P9",
        &format!("full disks in memory: {acknowledged} acknowledged, 0 lost, 0 locks left"),
    );
}
