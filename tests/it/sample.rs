//! `artifacts/` in this repository is the demo's ledger tree, and the demo is what it says.

use std::collections::BTreeMap;
use std::path::Path;

use crate::kit::Room;

fn tree(dir: &Path, prefix: &str, found: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display())) {
        let path = entry.expect("an entry").path();
        let name = format!("{prefix}/{}", path.file_name().expect("a name").to_string_lossy());
        if path.is_dir() {
            tree(&path, &name, found);
        } else {
            found.insert(name, std::fs::read_to_string(&path).expect("a file"));
        }
    }
}

/// Run `cargo run -- demo --keep DIR` and copy DIR/export/artifacts here after a change of format.
#[test]
fn the_committed_sample_is_the_demos_ledger() {
    let room = Room::new();
    let kept = room.path().join("kept");
    room.ok(&["demo", "--quiet", "--keep", &kept.display().to_string()]);
    let (mut made, mut committed) = (BTreeMap::new(), BTreeMap::new());
    tree(&kept.join("export/artifacts"), "artifacts", &mut made);
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("artifacts");
    tree(&sample, "artifacts", &mut committed);
    assert_eq!(made.keys().collect::<Vec<_>>(), committed.keys().collect::<Vec<_>>());
    for (path, text) in &made {
        assert_eq!(text, &committed[path], "{path}");
    }
}

#[test]
fn the_demo_tells_the_main_job_and_keeps_nothing() {
    let room = Room::new();
    let ran = room.run(&["demo"]);
    assert_eq!(ran.code, 0, "{ran}");
    for line in [
        "created  branch stepseal-ledger",
        "registered  ALBUMS on 001-albums@1: 14 steps, 1 imported as done, 1 as skipped",
        "error: T002 of ALBUMS is held by agent-1",
        "rejected  ALBUMS checkpoint-2 by reviewer-1: back to T005, round 2",
        "void      T005.1, T007.1 (kept in history)",
        "approved  ALBUMS checkpoint-2 by reviewer-1",
        "violation  altered  artifacts/handoff/",
        "restored  artifacts/handoff/",
        "[exit 6]",
        "[exit 10]",
    ] {
        assert!(ran.stdout.contains(line), "{line}\n{ran}");
    }
    assert_eq!(ran.stdout.matches("[exit ").count(), 2, "{ran}");
    let room = Room::new();
    let used = room.path().join("home");
    let ran =
        room.run(&["demo", "--keep", &used.parent().expect("a parent").display().to_string()]);
    assert_eq!(ran.code, 2, "a folder that is not empty is refused: {ran}");
}
