//! docs/recovery.md, typed word by word: every damage is made, and the commands of its section
//! lead out of it.
#![cfg(unix)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;
use stepseal::artifact::{Seal, SealedFile, decode, encode, leaf, seal_path};
use stepseal::domain::id::Digest;
use stepseal::ledger::Class;

use super::kit::{Ran, Room, STEPSEAL, memory, parallel_workflow};

const BRANCH: &str = "refs/heads/stepseal-ledger";

/// A room in the state a section is about, and what stands for the words in capitals.
struct Scene {
    room: Room,
    words: BTreeMap<&'static str, String>,
}

/// Two items on one workflow; in WI-A s001 is done and s002 is held. A whole clone is beside.
fn sound() -> Scene {
    let room = Room::live_below(&memory());
    room.ok(&["init"]);
    room.git(&["commit", "--quiet", "--allow-empty", "-m", "start"]);
    room.write("plan.yaml", &parallel_workflow("par", 3));
    for item in ["WI-A", "WI-B"] {
        room.ok(&["delegate", "--plan", "plan.yaml", "--work-item", item]);
    }
    room.ok(&["claim", "--work-item", "WI-A", "--step", "s001"]);
    room.ok(&["complete", "--work-item", "WI-A", "--step", "s001", "--outcome", "did it"]);
    room.ok(&["claim", "--work-item", "WI-A", "--step", "s002", "--executor", "agent-2"]);
    room.git(&["clone", "--quiet", "--bare", "--no-local", ".", "../other.git"]);
    let mut scene = Scene { room, words: BTreeMap::new() };
    scene.word("ITEM", "WI-A");
    scene.word("OTHER", "../other.git");
    scene.word("SEEN", scene.tip());
    scene
}

impl Scene {
    fn word(&mut self, word: &'static str, is: impl Into<String>) {
        self.words.insert(word, is.into());
    }

    fn tip(&self) -> String {
        self.room.git(&["rev-parse", BRANCH]).trim().to_owned()
    }

    fn event(&self, end: &str) -> String {
        let files = self.room.ledger_files();
        let mine = |path: &&String| path.contains("/WI-A/") && path.ends_with(end);
        files.iter().find(mine).unwrap_or_else(|| panic!("no {end} in {files:#?}")).clone()
    }

    /// Somebody changes files with git; the last of them is the one that is looked at.
    fn tampered(mut self, changes: &[(&str, Option<&str>)]) -> Self {
        let commit = self.room.tamper(changes);
        self.word("PATH", changes[changes.len() - 1].0);
        self.word("BEFORE", format!("{commit}~1"));
        let before = self.room.git(&["rev-parse", &format!("{commit}~1")]);
        self.word("BEFORE", before.trim());
        self.word("COMMIT", commit);
        self
    }

    /// Another program adds an event with a seal that is sound.
    fn forged(self, event: &str, number: u32, change: &dyn Fn(&mut Value)) -> Self {
        let from = self.event(event);
        let mut said: Value = serde_json::from_str(&self.room.ledger_text(&from)).expect("JSON");
        said["id"] = "01a1fbd0-9326-7c9f-9676-efaa69171736".into();
        change(&mut said);
        let text = serde_json::to_string_pretty(&said).expect("JSON") + "\n";
        let (folder, name) = from.rsplit_once('/').expect("a folder");
        let path = format!("{folder}/{number:06}{}", &name[6..]);
        let files = self.room.ledger_files();
        let last = files.iter().rfind(|path| path.contains("/seals/")).expect("a seal");
        let bytes = self.room.ledger_text(last).into_bytes();
        let mut seal: Seal = decode(&bytes).expect("a seal");
        let mut tree = seal.tree().expect("a frontier");
        tree.push(leaf(&path, text.as_bytes()));
        seal.seq += 1;
        seal.previous = Some(Digest::of(&bytes));
        seal.artifacts =
            vec![SealedFile { path: path.clone(), sha256: Digest::of(text.as_bytes()) }];
        seal.documents.clear();
        (seal.size, seal.root) = (tree.size(), tree.root());
        seal.frontier = tree.roots().to_vec();
        let seal_text = String::from_utf8(encode(&seal)).expect("text");
        self.tampered(&[(&seal_path(seal.seq), Some(&seal_text)), (&path, Some(&text))])
    }

    /// The file of an object, by its name.
    fn object(&self, name: &str) -> PathBuf {
        let oid = self.room.git(&["rev-parse", name]);
        self.room.repo().join(".git/objects").join(&oid[..2]).join(oid[2..].trim())
    }

    /// Damages a file.
    fn damage(path: &Path, change: &dyn Fn(&mut Vec<u8>)) {
        let mut bytes = std::fs::read(path).expect("a file");
        change(&mut bytes);
        std::fs::remove_file(path).expect("it is replaced");
        std::fs::write(path, bytes).expect("a file");
    }

    /// Everything in one pack; its path without the ending.
    fn packed(&mut self) -> PathBuf {
        self.room.git(&["repack", "-a", "-d", "--quiet"]);
        let packs = std::fs::read_dir(self.room.repo().join(".git/objects/pack")).expect("packs");
        let mut packs = packs.map(|entry| entry.expect("a file").path());
        let pack = packs.find(|path| path.extension().is_some_and(|e| e == "pack"));
        let pack = pack.expect("a pack").with_extension("");
        self.word("PACK", pack.display().to_string());
        pack
    }
}

/// Makes the damage that the nth block of a section is about.
fn scene(section: &str, block: usize) -> Option<Scene> {
    let mut scene = sound();
    let done = scene.event("attempt-completed.json");
    let text = scene.room.ledger_text(&done);
    Some(match (section, block) {
        ("altered", 0) => scene.tampered(&[(&done, Some(&text.replace("did it", "did not")))]),
        ("altered", 1) => scene.tampered(&[("README.md", Some("# mine now\n"))]),
        ("deleted", 0) => scene.tampered(&[(&done, None)]),
        ("reordered", 0) => {
            let claimed = scene.event("s001-attempt-claimed.json");
            let other = scene.room.ledger_text(&claimed);
            scene.tampered(&[(&claimed, Some(&text)), (&done, Some(&other))])
        }
        ("duplicated", 0) => {
            let copy = done.replace("/000004-", "/000009-");
            scene.tampered(&[(&copy, Some(&text))])
        }
        ("unsealed", 0) => {
            let (folder, _) = done.rsplit_once('/').expect("a folder");
            scene.tampered(&[(&format!("{folder}/notes.txt"), Some("hello\n"))])
        }
        ("broken-seal", 0) => {
            scene.tampered(&[("artifacts/seals/000000/000000003.json", Some("{"))])
        }
        ("bad-artifact", 0) => {
            scene.forged("s002-attempt-claimed.json", 6, &|event| event["mood"] = "good".into())
        }
        ("broken-link", 0) => scene.forged("s002-attempt-claimed.json", 6, &|event| {
            let link = serde_json::json!({
                "rel": "claim",
                "id": "01a1fbd0-9326-7c9f-9676-efaa69171737",
                "sha256": "0".repeat(64),
            });
            event["links"] = serde_json::json!([link]);
        }),
        ("illegal-transition", 0) => scene.forged("s002-attempt-claimed.json", 6, &|_| {}),
        ("wrong-decision", 0) => scene.forged("schedule-decided.json", 6, &|_| {}),
        ("wrong-derived", 0) => {
            let files = scene.room.ledger_files();
            let schedule = files.iter().find(|path| path.ends_with("/WI-A.json"));
            scene.tampered(&[(schedule.expect("a schedule"), Some("{}\n"))])
        }
        ("foreign-commit", 0) => {
            let changed = text.replace("did it", "did not");
            let scene = scene.tampered(&[(&done, Some(&changed))]);
            scene.room.tamper(&[(&done, Some(&text))]);
            scene
        }
        ("rewritten", 0) => {
            // A clone that saw less went on from there, and forced this one's branch.
            let caches = scene.room.repo().join(".git/stepseal");
            let aside = scene.room.path().join("aside");
            std::fs::rename(&caches, &aside).expect("what it saw");
            scene.room.git(&["update-ref", BRANCH, &format!("{}~1", scene.words["SEEN"])]);
            for item in ["OTHER-1", "OTHER-2"] {
                scene.room.ok(&["delegate", "--prompt", "Other", "--work-item", item]);
            }
            std::fs::remove_dir_all(&caches).expect("what the other saw");
            std::fs::rename(&aside, &caches).expect("what it saw");
            scene
        }
        ("cut-tail", 0) => {
            scene.room.git(&["update-ref", BRANCH, &format!("{}~2", scene.words["SEEN"])]);
            scene
        }
        ("bad-object", 0) => {
            let file = scene.object(&format!("{BRANCH}:{done}"));
            Scene::damage(&file, &|bytes| bytes.truncate(bytes.len() / 2));
            scene.word("OBJECT", file.display().to_string());
            scene
        }
        ("bad-object", 1) => {
            // Every offset is beyond the pack.
            let index = scene.packed().with_extension("idx");
            let count = scene.room.git(&["count-objects", "-v"]);
            let count = count.lines().find_map(|line| line.strip_prefix("in-pack: "));
            let count: usize = count.and_then(|count| count.parse().ok()).expect("a count");
            Scene::damage(&index, &|bytes| {
                for n in 0..count {
                    bytes[8 + 1024 + 24 * count + 4 * n] = 0x7f;
                }
            });
            scene
        }
        ("bad-object", 2) => {
            let oid = scene.room.git(&["rev-parse", &format!("{BRANCH}:{done}")]);
            let pack = scene.packed();
            let index = pack.with_extension("idx").display().to_string();
            let listed = scene.room.git(&["verify-pack", "-v", &index]);
            let line = listed.lines().find(|line| line.starts_with(oid.trim()));
            let fields: Vec<usize> = line
                .expect("the object")
                .split_whitespace()
                .skip(2)
                .filter_map(|field| field.parse().ok())
                .collect();
            Scene::damage(&pack.with_extension("pack"), &|bytes| {
                bytes[fields[2] + fields[1] - 1] ^= 0xff;
            });
            scene
        }
        ("missing-object", 0) => {
            let file = scene.object(&format!("{BRANCH}:{done}"));
            std::fs::remove_file(file).expect("an object");
            scene
        }
        ("missing-object", 1) => {
            let repo = scene.room.repo();
            let whole = scene.room.path().join("whole");
            std::fs::rename(&repo, &whole).expect("it moves");
            let url = format!("file://{}", whole.display());
            let shallow =
                ["clone", "--quiet", "--depth", "1", "--no-single-branch", "--no-checkout"];
            scene.room.git(&[&shallow[..], &[&url, "repo"]].concat());
            scene.room.ok(&["init"]);
            scene
        }
        ("bad-branch", 0) => {
            std::fs::write(scene.room.repo().join(".git").join(BRANCH), "").expect("the branch");
            scene
        }
        ("nobody else has it", 0) => {
            let whole = scene.room.git(&["rev-parse", &format!("{BRANCH}~1")]);
            std::fs::remove_file(scene.object(BRANCH)).expect("an object");
            scene.word("WHOLE", whole.trim());
            scene
        }
        ("a forgotten past", 0) => {
            let mark = scene.room.ok(&["verify", "--quiet"]);
            scene.word("MARK", mark.trim());
            let memory = scene.room.repo().join(".git/stepseal/seen.json");
            std::fs::write(memory, "").expect("a bad memory");
            scene
        }
        ("a lock that stays", 0) => {
            let lock = scene.room.repo().join(".git").join(format!("{BRANCH}.lock"));
            std::fs::write(lock, "").expect("a lock");
            scene
        }
        ("a killed init", 0) => {
            scene.room.git(&["config", "--unset", "stepseal.branch"]);
            scene
        }
        ("an unknown outcome", 0) => {
            scene.word("REQUEST", "r-1");
            scene
        }
        ("an interruption" | "a full disk" | "a busy ledger", 0) => scene,
        _ => return None,
    })
}

/// The sections of the page with their blocks of commands.
fn sections() -> Vec<(String, Vec<Vec<String>>)> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/recovery.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let mut sections = Vec::new();
    for section in page.split("\n## ").skip(1) {
        let (heading, text) = section.split_once('\n').expect("a heading");
        let text = text.split("\n# ").next().unwrap_or(text);
        let blocks = text.split("```console\n").skip(1).map(|rest| {
            let block = rest.split("```").next().expect("an end");
            block.lines().map(str::to_owned).collect()
        });
        sections.push((heading.trim().to_owned(), blocks.collect()));
    }
    sections
}

/// The line as it is typed, with the words in capitals filled in; and how it is to end.
fn filled_in(line: &str, words: &BTreeMap<&str, String>) -> (String, i32) {
    let (line, note) = line.split_once(" #").unwrap_or((line, ""));
    let code = note.trim().strip_prefix("exit ").map_or(0, |code| code.parse().expect("a code"));
    let mut typed = String::new();
    let mut word = String::new();
    for c in line.trim_end().chars().chain(['\n']) {
        if c.is_ascii_uppercase() {
            word.push(c);
            continue;
        }
        match words.get(word.as_str()) {
            // A part of a longer word, such as a variable's name, is none of them.
            Some(is) if !typed.ends_with('_') && c != '_' => typed.push_str(is),
            _ => typed.push_str(&word),
        }
        word.clear();
        typed.push(c);
    }
    (typed.trim_end().to_owned(), code)
}

/// Types a block in the shell.
fn typed(context: &str, block: &[String], scene: &Scene) -> Vec<Ran> {
    let binaries = Path::new(STEPSEAL).parent().expect("a folder").display().to_string();
    let path = format!("{binaries}:{}", std::env::var("PATH").expect("a PATH"));
    let type_one = |line: &String| {
        let (line, code) = filled_in(line, &scene.words);
        let mut shell = scene.room.program("sh");
        let ran = shell.args(["-c", &line]).env("PATH", &path).output();
        let ran = Ran::of(&ran.expect("a shell"));
        assert_eq!(ran.code, code, "{context}: {line}\n{ran}");
        ran
    };
    block.iter().map(type_one).collect()
}

/// The classes of signatures that do not hold.
const SIGNATURES: [&str; 6] =
    ["bad-signature", "unknown-key", "revoked-key", "expired-key", "not-entitled", "unsigned"];

#[test]
fn every_section_of_the_page_leads_out_of_its_damage() {
    let sections = sections();
    let classes: BTreeSet<&str> = Class::ALL.iter().map(|class| class.word()).collect();
    for (heading, blocks) in &sections {
        // What a signature proves no command can mend; these are told apart in `signatures`.
        if SIGNATURES.contains(&heading.as_str()) {
            assert!(blocks.is_empty(), "{heading} has commands that nothing types");
            continue;
        }
        assert!(!blocks.is_empty(), "{heading} has nothing to type");
        for (n, block) in blocks.iter().enumerate() {
            let context = format!("{heading}, block {}", n + 1);
            let scene = scene(heading, n).unwrap_or_else(|| panic!("{context} is not tested"));
            let ran = typed(&context, block, &scene);
            // What the section is about is what is said first.
            if classes.contains(heading.as_str()) {
                assert!(ran[0].stdout.contains(heading.as_str()), "{context}: {}", ran[0]);
            }
            // Whatever was stopped, the other item goes on.
            let claim = ["claim", "--work-item", "WI-B", "--step", "s001", "--executor", "after"];
            scene.room.ok(&claim);
        }
        assert!(scene(heading, blocks.len()).is_none(), "{heading} has a block less than tested");
    }
}
