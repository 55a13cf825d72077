//! The fuzz targets' invariants (P22) without the fuzzer: on every seed, on bytes made of seeds,
//! and on what fuzzing once found, each by name.

use std::path::{Path, PathBuf};

use crate::invariants;
use crate::kit::{Dice, Room, figure, rounds};

/// A target: its seeds, of which every one is accepted or not, and its invariants.
struct Target {
    name: &'static str,
    seeds: &'static [&'static str],
    holds: fn(&[u8]) -> bool,
    /// Seeds that are refused, so that refusals are mutated too.
    refused: usize,
}

const TARGETS: [Target; 7] = [
    Target { name: "event", seeds: &["artifacts/handoff"], holds: invariants::event, refused: 0 },
    Target {
        name: "seal",
        seeds: &["artifacts/seals", "artifacts/claims", "artifacts/schedule"],
        holds: invariants::seal,
        refused: 0,
    },
    Target {
        name: "workflow",
        seeds: &["fuzz/seeds/workflow"],
        holds: invariants::workflow,
        refused: 0,
    },
    Target { name: "plan", seeds: &["fuzz/seeds/plan"], holds: invariants::plan, refused: 0 },
    Target {
        name: "signature",
        seeds: &["fuzz/seeds/signature"],
        holds: invariants::signature,
        refused: 0,
    },
    Target { name: "config", seeds: &["fuzz/seeds/config"], holds: invariants::config, refused: 0 },
    Target { name: "ids", seeds: &["fuzz/seeds/ids"], holds: invariants::ids, refused: 1 },
];

impl Target {
    fn seeds(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut files = Vec::new();
        for folder in self.seeds {
            walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut files);
        }
        files.sort();
        files
            .into_iter()
            .map(|path| (path.clone(), std::fs::read(&path).expect("a seed")))
            .collect()
    }
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder of seeds") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { walk(&path, files) } else { files.push(path) }
    }
}

#[test]
fn seeds_are_accepted_and_hold() {
    for target in TARGETS {
        let seeds = target.seeds();
        let refused: Vec<_> = seeds
            .iter()
            .filter(|(_, bytes)| !(target.holds)(bytes))
            .map(|(path, _)| path)
            .collect();
        assert_eq!(refused.len(), target.refused, "{}: {refused:#?}", target.name);
        assert!(seeds.len() > target.refused, "{} has no seeds", target.name);
    }
}

#[test]
fn bytes_made_of_seeds_hold() {
    let mut dice = Dice::new();
    let mut seen = Vec::new();
    for target in TARGETS {
        let seeds = target.seeds();
        let mut accepted = 0;
        let count = rounds(300, 20_000);
        for _ in 0..count {
            let mut pick = || dice.below(seeds.len() as u64) as usize;
            let (mut bytes, other) = (seeds[pick()].1.clone(), &seeds[pick()].1);
            for _ in 0..=dice.below(4) {
                mutate(&mut bytes, other, &mut dice);
            }
            accepted += usize::from((target.holds)(&bytes));
        }
        assert!(accepted > 0, "{}: no mutated bytes were accepted", target.name);
        seen.push(format!("{} {accepted} of {count}", target.name));
    }
    figure("P22", &format!("mutated seeds accepted and sound: {}", seen.join(", ")));
}

/// Cuts, repeats, borrows or flips a part.
fn mutate(bytes: &mut Vec<u8>, other: &[u8], dice: &mut Dice) {
    let part = |length: usize, dice: &mut Dice| {
        let at = dice.below(length as u64 + 1) as usize;
        at..(at + dice.below(24) as usize).min(length)
    };
    match dice.below(5) {
        0 => drop(bytes.drain(part(bytes.len(), dice))),
        1 => {
            let again = bytes[part(bytes.len(), dice)].to_vec();
            let at = dice.below(bytes.len() as u64 + 1) as usize;
            bytes.splice(at..at, again);
        }
        2 => {
            let borrowed = other[part(other.len(), dice)].to_vec();
            let at = part(bytes.len(), dice);
            bytes.splice(at, borrowed);
        }
        3 => {
            let digits = part(bytes.len(), dice);
            for byte in bytes[digits].iter_mut().filter(|byte| byte.is_ascii_alphanumeric()) {
                *byte = b"0123456789abcdefTZ"[dice.below(18) as usize];
            }
        }
        _ => {
            let at = part(bytes.len(), dice).start;
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << dice.below(8);
            }
        }
    }
}

// ---- found once ---------------------------------------------------------------------------

#[test]
fn times_are_what_the_published_schema_calls_one() {
    // Others decoded, and were no date-times by the schema: sixtieth seconds, and years of more
    // digits or before the first.
    let sample = |path: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("artifacts").join(path);
        std::fs::read_to_string(path).expect("a file of the sample")
    };
    type Holds = fn(&[u8]) -> bool;
    let files: [(&str, &str, Holds); 3] = [
        ("seals/000000/000000006.json", "timestamp", invariants::seal),
        ("claims/e5/ALBUMS/T002.1.json", "claimedAt", invariants::seal),
        ("handoff/e5/ALBUMS/000006-T003-attempt-completed.json", "timestamp", invariants::event),
    ];
    for (path, field, holds) in files {
        let text = sample(path);
        let line = text.lines().find(|line| line.contains(field)).expect("a time").trim();
        let (head, old) = line.split_once(": ").expect("a field");
        let millis = if old.contains('.') { ".000" } else { "" };
        for (time, good) in [
            ("2026-11-20T10:17:59", true),
            ("9999-12-31T23:59:59", true),
            ("2026-11-20T10:17:60", false),
            ("2016-12-31T23:59:60", false),
            ("-2026-01-20T10:16:20", false),
            ("+12026-01-20T10:16:20", false),
        ] {
            let changed = text.replace(line, &format!("{head}: \"{time}{millis}Z\","));
            assert_eq!(holds(changed.as_bytes()), good, "{path} at {time}");
        }
    }
}

#[test]
fn what_is_written_stays_within_four_digits_of_year() {
    let room = Room::with_ledger();
    room.write("w.yaml", "name: w\nsteps: [{ key: a }]\n");
    room.ok(&["delegate", "--plan", "w.yaml", "--work-item", "ONE"]);
    let (code, refusal) =
        room.json(&["claim", "--work-item", "ONE", "--step", "a", "--lease", "9999999d"]);
    assert_eq!(code, 2, "{refusal:#}");
    assert!(refusal["message"].as_str().expect("a message").contains("calendar"), "{refusal:#}");
    room.ok(&["claim", "--work-item", "ONE", "--step", "a", "--lease", "999d"]);
    // An offset can carry an instant past the end of the calendar.
    let effective = |from: &str| {
        let text = format!("name: w\neffective: {{ from: {from} }}\nsteps: [{{ key: a }}]\n");
        invariants::workflow(text.as_bytes())
    };
    assert!(effective("9999-12-31T23:59:59-00:00"));
    assert!(!effective("9999-12-31T23:59:59-01:00"));
    assert!(!effective("2026-11-20T10:17:60Z"));
}

#[test]
fn a_carriage_return_in_yaml_is_on_a_line_that_is_there() {
    assert!(!invariants::workflow(
        b"name: smalcheckl\n\rsteps:\n  - { key: a, title: First }\n  - { key: b, needs: [atrue"
    ));
}
