//! Every bit of every kind of object flipped, and every length it can be cut to: nothing is
//! accepted with other content, nothing hangs, and the object is named with a way out (P10, L6).

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::kit::{Dice, Room, bounded, figure, memory, parallel_workflow, rounds};

/// The program ends a call without progress itself after ten seconds; two are promised.
const BOUND: Duration = Duration::from_secs(9);

/// A ledger of five events, and a commit of the user's.
fn scene() -> Room {
    // Thousands of commands: more than a fixed clock has seconds.
    let room = Room::live_below(&memory());
    room.ok(&["init"]);
    room.git(&["commit", "--quiet", "--allow-empty", "-m", "start"]);
    room.write("plan.yaml", &parallel_workflow("par", 2));
    room.ok(&["delegate", "--plan", "plan.yaml", "--work-item", "W1"]);
    room.ok(&["claim", "--work-item", "W1", "--step", "s001"]);
    room.ok(&["complete", "--work-item", "W1", "--step", "s001", "--outcome", "did it"]);
    room
}

/// One of each kind of object, by its id.
fn kinds(room: &Room) -> Vec<(&'static str, String)> {
    let event = room.ledger_file("attempt-completed.json");
    let (folder, _) = event.rsplit_once('/').expect("a folder");
    let seal = room.ledger_files().into_iter().rfind(|path| path.contains("/seals/"));
    let tip = "stepseal-ledger";
    [
        ("commit", tip.to_owned()),
        ("parent", format!("{tip}~2")),
        ("root", format!("{tip}^{{tree}}")),
        ("folder", format!("{tip}:{folder}")),
        ("event", format!("{tip}:{event}")),
        ("seal", format!("{tip}:{}", seal.expect("a seal"))),
        ("derived", format!("{tip}:{}", room.ledger_file("/W1.json"))),
    ]
    .map(|(what, name)| (what, room.git(&["rev-parse", &name]).trim().to_owned()))
    .to_vec()
}

/// What happens to a file.
#[derive(Debug, Clone, Copy)]
enum How {
    Flipped(usize),
    Cut(usize),
}

impl How {
    fn apply(self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        match self {
            Self::Flipped(bit) => bytes[bit / 8] ^= 1 << (bit % 8),
            Self::Cut(length) => bytes.truncate(length),
        }
        bytes
    }

    /// Everything that can happen to a file of this size; of the flips, one bit in so many bytes
    /// when that is more than none.
    fn all(size: usize, one_in: usize, dice: &mut Dice) -> Vec<Self> {
        let flips: Vec<Self> = match one_in {
            0 => (0..size * 8).map(Self::Flipped).collect(),
            _ => (0..size)
                .step_by(one_in)
                .map(|byte| Self::Flipped(byte * 8 + dice.below(8) as usize))
                .collect(),
        };
        flips.into_iter().chain((0..size).step_by(one_in.max(1)).map(Self::Cut)).collect()
    }

    /// Some of these by chance, and the cuts at both ends.
    fn some(all: Vec<Self>, size: usize, count: usize, dice: &mut Dice) -> Vec<Self> {
        let all_of_them = all.len() as u64;
        let ends = |how: &Self| matches!(how, Self::Cut(at) if *at < 3 || at + 1 >= size);
        all.into_iter().filter(|how| ends(how) || dice.below(all_of_them) < count as u64).collect()
    }
}

/// A file of the repository, the object it holds if it holds one, and its damage.
type Case = (PathBuf, Option<String>, How);

/// How many cases were refused, were harmless, and how long the slowest took.
#[derive(Debug, Default)]
struct Seen {
    refused: usize,
    harmless: usize,
    slowest: Duration,
}

/// One case: refused with the object's name and a way out, or the same events as ever.
fn one(room: &Room, log: &str, (file, oid, how): &Case, sample: bool, seen: &Mutex<Seen>) {
    let path = room.repo().join(file);
    let right = std::fs::read(&path).expect("a file");
    let replace = |bytes: &[u8]| {
        std::fs::remove_file(&path).expect("it is replaced");
        std::fs::write(&path, bytes).expect("a file");
    };
    replace(&how.apply(&right));
    let context = format!("{} {how:?}", file.display());
    let begin = Instant::now();
    let ran = bounded(room.stepseal(&["verify", "--json"]), BOUND)
        .unwrap_or_else(|| panic!("{context} hangs"));
    let took = begin.elapsed();
    let mut harmless = false;
    match ran.code {
        0 => {
            // The bytes at the end of a stream may be lost without loss.
            assert_eq!(room.ok(&["log", "--json"]), log, "{context} was accepted");
            harmless = true;
        }
        10 | 11 => {
            let said = ran.document();
            let named = said.to_string();
            let named = match oid {
                Some(oid) => named.contains(oid.as_str()),
                None => named.split(|c: char| !c.is_ascii_hexdigit()).any(|word| word.len() == 40),
            };
            assert!(named, "{context} names no object: {ran}");
            assert!(
                said["next"].as_array().is_some_and(|next| !next.is_empty()),
                "{context} {ran}"
            );
        }
        _ => panic!("{context}: {ran}"),
    }
    // Some of them are met by a writer, which needs less of the ledger.
    if sample {
        let room = room.copy();
        let claim = ["claim", "--work-item", "W1", "--step", "s002", "--json"];
        let ran = bounded(room.stepseal(&claim), BOUND);
        let ran = ran.unwrap_or_else(|| panic!("{context} hangs a writer"));
        assert!([0, 10, 11].contains(&ran.code), "{context}: {ran}");
        assert_eq!(ran.document()["recorded"], ran.code == 0, "{context}: {ran}");
    }
    replace(&right);
    let mut seen = seen.lock().expect("no panic");
    seen.refused += usize::from(!harmless);
    seen.harmless += usize::from(harmless);
    seen.slowest = seen.slowest.max(took);
}

/// Every case, on both processors.
fn sweep(base: &Room, cases: &[Case]) -> Seen {
    let log = base.ok(&["log", "--json"]);
    let (next, seen) = (AtomicUsize::new(0), Mutex::new(Seen::default()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let room = base.copy();
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(case) = cases.get(at) else { break };
                    one(&room, &log, case, at % 20 == 0, &seen);
                }
            });
        }
    });
    seen.into_inner().expect("no panic")
}

fn loose(oid: &str) -> PathBuf {
    Path::new(".git/objects").join(&oid[..2]).join(&oid[2..])
}

/// The user's own newest commit is damaged: that is not the ledger's matter, and nothing hangs.
#[test]
fn a_damaged_head_hangs_nobody() {
    let room = scene();
    let head = room.git(&["rev-parse", "HEAD"]);
    let path = room.repo().join(loose(head.trim()));
    let right = std::fs::read(&path).expect("a commit");
    for length in [0, 2, right.len() / 2, right.len() - 1] {
        let room = room.copy();
        let path = room.repo().join(loose(head.trim()));
        std::fs::remove_file(&path).expect("it is replaced");
        std::fs::write(&path, &right[..length]).expect("a damaged commit");
        let named = ["--work-item", "W1", "--step", "s002"];
        for rest in [&["claim"][..], &["complete", "--outcome", "done"]] {
            let ran = bounded(room.stepseal(&[rest, &named].concat()), BOUND);
            let ran = ran.unwrap_or_else(|| panic!("{rest:?} hangs at {length}"));
            assert_eq!(ran.code, 0, "{rest:?} at {length}: {ran}");
        }
    }
}

/// A commit is named by its first digits: it is looked up, and read by nobody who hangs.
#[test]
fn a_damaged_commit_that_is_named_hangs_nobody() {
    let room = scene();
    let oid = room.git(&["rev-parse", "stepseal-ledger~1"]);
    let path = room.repo().join(loose(oid.trim()));
    let right = std::fs::read(&path).expect("a commit");
    std::fs::remove_file(&path).expect("it is replaced");
    std::fs::write(&path, &right[..right.len() / 2]).expect("a damaged commit");
    for at in [oid.trim(), &oid[..8]] {
        let ran = bounded(room.stepseal(&["log", "W1", "--at", at]), BOUND).expect("it ends");
        assert!(ran.code == 10 && ran.stderr.contains(oid.trim()), "{ran}");
    }
}

#[test]
fn no_damaged_object_is_accepted() {
    let (base, mut dice) = (scene(), Dice::new());
    let mut cases: Vec<Case> = Vec::new();
    for (what, oid) in kinds(&base) {
        let file = loose(&oid);
        let size = std::fs::metadata(base.repo().join(&file)).expect("a file").len() as usize;
        // Every bit of one of each type; a bit of each byte of the others.
        let every = ["commit", "root", "folder", "event"].contains(&what);
        let mut all = How::all(size, usize::from(!every), &mut dice);
        if rounds(0, 1) == 0 {
            all = How::some(all, size, 12, &mut dice);
        }
        cases.extend(all.into_iter().map(|how| (file.clone(), Some(oid.clone()), how)));
    }
    let Seen { refused, harmless, slowest } = sweep(&base, &cases);
    let seen = format!(
        "{} flips and cuts of 7 loose objects: {refused} refused by name, {harmless} harmless, 0 \
         accepted, {slowest:.1?} at most",
        cases.len()
    );
    figure("P10", &seen);
    assert!(refused > harmless, "{seen}");
}

/// Every kind of pack that git makes is read: chains of deltas by place or by id, both versions
/// of an index, far offsets, several packs, borrowed ones.
#[test]
fn whole_packs_of_every_kind_are_read() {
    let room = scene();
    for n in 0..rounds(8, 60) {
        room.ok(&["delegate", "--plan", "plan.yaml", "--work-item", &format!("N{n}")]);
    }
    let log = room.ok(&["log", "--json"]);
    let whole = |how: &str| {
        assert_eq!(room.ok(&["log", "--json"]), log, "{how}");
        room.ok(&["verify", "--deep"]);
    };
    let packs = || -> Vec<PathBuf> {
        let entries = std::fs::read_dir(room.repo().join(".git/objects/pack")).expect("packs");
        entries.map(|entry| entry.expect("a file").path()).collect()
    };
    let ending = |end: &str| {
        let found = packs().into_iter().find(|path| path.extension().is_some_and(|e| e == end));
        found.unwrap_or_else(|| panic!("no {end} in {:?}", packs()))
    };
    let deltas = || {
        let listed = room.git(&["verify-pack", "-v", &ending("idx").display().to_string()]);
        listed.lines().filter(|line| line.split_whitespace().count() == 7).count()
    };
    for config in ["core.bare=false", "repack.useDeltaBaseOffset=false", "pack.indexVersion=1"] {
        room.git(&["-c", config, "repack", "-a", "-d", "-f", "--depth=250", "--quiet"]);
        assert!(deltas() > 10, "{config}");
        whole(config);
    }
    // As if most of the pack stood beyond two gigabytes.
    let (index, pack) = (ending("idx"), ending("pack"));
    std::fs::remove_file(&index).expect("the index");
    let far = ["index-pack", "--index-version=2,0x20"];
    room.git(&[far[0], far[1], &pack.display().to_string()]);
    whole("far offsets");
    room.ok(&["delegate", "--plan", "plan.yaml", "--work-item", "MORE"]);
    let log = room.ok(&["log", "--json"]);
    room.git(&["repack", "-d", "--quiet"]);
    room.git(&["multi-pack-index", "write"]);
    assert_eq!(packs().iter().filter(|p| p.extension().is_some_and(|e| e == "pack")).count(), 2);
    assert_eq!(room.ok(&["log", "--json"]), log, "two packs");
    room.ok(&["verify", "--deep"]);
    // A clone that borrows them, and a clone that borrows from that one.
    room.git(&["clone", "--quiet", "--shared", "--no-checkout", ".", "../one"]);
    room.git(&["clone", "--quiet", "--shared", "--no-checkout", "../one", "../two"]);
    room.git(&["-C", "../two", "fetch", "--quiet", "../repo", "stepseal-ledger:stepseal-ledger"]);
    assert!(!room.path().join("two/.git/objects/pack").read_dir().expect("packs").any(|_| true));
    for args in [&["init"][..], &["verify", "--deep"]] {
        let ran = room.run_in("two", args);
        assert_eq!(ran.code, 0, "{args:?} {ran}");
    }
}

/// The same in a pack and in its index.
#[test]
fn no_damaged_pack_is_accepted() {
    let (base, mut dice) = (scene(), Dice::new());
    base.git(&["repack", "-a", "-d", "--quiet"]);
    let packs = base.repo().join(".git/objects/pack");
    let mut cases: Vec<Case> = Vec::new();
    for entry in std::fs::read_dir(packs).expect("packs") {
        let name = entry.expect("a file").file_name();
        let file = Path::new(".git/objects/pack").join(&name);
        if file.extension().is_some_and(|end| end == "rev") {
            continue;
        }
        let size = std::fs::metadata(base.repo().join(&file)).expect("a file").len() as usize;
        let mut all = How::all(size, 5, &mut dice);
        if rounds(0, 1) == 0 {
            all = How::some(all, size, 25, &mut dice);
        }
        cases.extend(all.into_iter().map(|how| (file.clone(), None, how)));
    }
    let Seen { refused, harmless, slowest } = sweep(&base, &cases);
    let seen = format!(
        "{} flips and cuts of a pack and its index: {refused} refused by name, {harmless} \
         harmless, 0 accepted, {slowest:.1?} at most",
        cases.len()
    );
    figure("P10", &seen);
    assert!(refused > 0, "{seen}");
}
