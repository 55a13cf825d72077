//! Who may name whom is data here: changing the architecture is editing this table in review.

use std::path::{Path, PathBuf};

/// A room and the rooms it may name, besides itself.
const MAY_NAME: &[(&str, &[&str])] = &[
    ("main.rs", &["cli", "config"]),
    ("domain", &[]),
    ("plan", &["domain"]),
    ("artifact", &["domain"]),
    ("process", &[]),
    ("sign", &["domain", "artifact", "process"]),
    ("ledger", &["domain", "artifact", "process", "sign"]),
    ("code", &["domain", "process"]),
    ("forge", &[]),
    ("report", &["domain"]),
    ("ops", &["domain", "plan", "artifact", "process", "ledger", "code", "report"]),
    ("config.rs", &["domain"]),
    (
        "cli",
        &[
            "domain", "plan", "artifact", "process", "sign", "ledger", "code", "forge", "report",
            "ops", "config",
        ],
    ),
];

/// Crates that only some rooms may name.
const CRATES: &[(&str, &[&str])] = &[
    ("git2", &["ledger", "code"]),
    ("clap", &["cli"]),
    ("anstyle", &["cli"]),
    ("toml", &["config.rs", "plan"]),
    ("serde_saphyr", &["plan"]),
    ("tempfile", &["ledger", "code", "config.rs", "cli", "sign", "ops"]),
    ("rustix", &["ledger", "process", "sign"]),
    ("csv", &["report"]),
    ("clap_complete", &["cli"]),
    ("clap_mangen", &["cli"]),
    ("terminal_size", &["config.rs"]),
    ("ssh_key", &["artifact", "sign"]),
    ("base64ct", &["artifact", "report"]),
    ("maud", &["report"]),
    ("tracing", &["ledger", "cli"]),
];

/// How a name is written where it is used.
const NAMED: [&str; 2] = ["crate::", "stepseal::"];

fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("a source folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            found.push(path);
        }
    }
}

/// Room, file relative to src/, and text of every source file.
fn sources() -> Vec<(String, String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    files(&root, &mut found);
    found
        .into_iter()
        .map(|path| {
            let file = path.strip_prefix(&root).expect("below src").display().to_string();
            let file = file.replace('\\', "/");
            let room = file.split('/').next().expect("a first part").to_owned();
            (room, file, std::fs::read_to_string(&path).expect("a source file"))
        })
        .collect()
}

#[test]
fn rooms_name_only_what_the_table_allows() {
    let mut wrong = Vec::new();
    for (room, file, text) in sources() {
        if room == "lib.rs" {
            continue;
        }
        let Some((_, may)) = MAY_NAME.iter().find(|(name, _)| *name == room) else {
            wrong.push(format!("{file}: room {room} is not in the table"));
            continue;
        };
        let own = room.trim_end_matches(".rs");
        for (n, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or("");
            for rest in NAMED.iter().flat_map(|start| code.split(start).skip(1)) {
                let named: String =
                    rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                let grouped = rest.starts_with('{');
                if !grouped && named != own && !may.contains(&named.as_str()) {
                    wrong.push(format!("{file}:{}: {room} may not name {named}", n + 1));
                }
            }
            if code.contains("super::super::super") && room != "cli" {
                wrong.push(format!("{file}:{}: climbs out of its room", n + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn crates_stay_in_their_rooms() {
    let mut wrong = Vec::new();
    for (room, file, text) in sources() {
        for (n, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or("");
            for (name, rooms) in CRATES {
                let used =
                    code.contains(&format!("{name}::")) || code.contains(&format!("use {name};"));
                if used && !rooms.contains(&room.as_str()) {
                    wrong.push(format!("{file}:{}: {name} is for {rooms:?}", n + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A planted import is seen: the test above can fail.
#[test]
fn the_table_is_complete() {
    let rooms: std::collections::BTreeSet<String> =
        sources().into_iter().map(|(room, ..)| room).filter(|room| room != "lib.rs").collect();
    let listed = MAY_NAME.iter().map(|(room, _)| (*room).to_owned()).collect();
    assert_eq!(rooms, listed);
    let domain = MAY_NAME.iter().find(|(room, _)| *room == "domain").expect("the rules");
    assert!(domain.1.is_empty(), "the rules name nobody");
}

/// No test file is forgotten.
#[test]
fn every_test_file_is_part_of_the_binary() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let main = std::fs::read_to_string(dir.join("main.rs")).expect("main.rs");
    for entry in std::fs::read_dir(&dir).expect("tests/it") {
        let name = entry.expect("an entry").file_name().to_string_lossy().into_owned();
        if let Some(module) = name.strip_suffix(".rs").filter(|module| *module != "main") {
            assert!(main.contains(&format!("mod {module};")), "{name} is not in main.rs");
        }
    }
}
