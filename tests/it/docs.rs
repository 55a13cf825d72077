//! What the documentation promises, held against the program.

use std::collections::BTreeSet;
use std::path::Path;

use stepseal::cli::exit::Exit;
use stepseal::ledger::Class;

use crate::kit::Room;

fn doc(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("a document")
}

#[test]
fn the_table_of_exit_codes_is_the_programs() {
    let doc = doc("docs/exit-codes.md");
    let rows: Vec<(u8, String)> = doc
        .lines()
        .filter_map(|line| {
            let mut cells = line.trim_matches('|').split('|').map(str::trim);
            let code = cells.next()?.parse().ok()?;
            let kind = cells.next()?.strip_prefix('`')?.strip_suffix('`')?;
            (!kind.contains('`')).then(|| (code, kind.to_owned()))
        })
        .take(Exit::ALL.len())
        .collect();
    let ours: Vec<(u8, String)> =
        Exit::ALL.iter().map(|exit| (exit.code(), exit.kind().to_owned())).collect();
    assert_eq!(rows, ours);
}

/// Every reason the front door can give stands in the table, beside the code it ends with.
#[test]
fn every_reason_is_documented() {
    let doc = doc("docs/exit-codes.md");
    let (_, table) = doc.split_once("## Reasons").expect("the section");
    let mut missing = Vec::new();
    for file in ["src/domain/refusal.rs", "src/cli/error.rs"] {
        let source = self::doc(file);
        let quoted = source.split('"').skip(1).step_by(2);
        for word in quoted.filter(|word| word.contains('-') && word.len() < 32) {
            let reason = word.chars().all(|c| c.is_ascii_lowercase() || c == '-');
            let is = |start: &str| source.contains(&format!("{start}\"{word}\""));
            let given = is("Exit::Damaged, ")
                || is("Exit::Credentials, ")
                || is("Exit::Refused, ")
                || is("Exit::NotFound, ")
                || is("Exit::Outside, ")
                || is("{ .. } => ");
            if reason && given && !table.contains(&format!("`{word}`")) {
                missing.push(word.to_owned());
            }
        }
    }
    assert!(missing.is_empty(), "not in docs/exit-codes.md: {missing:?}");
}

#[test]
fn every_reason_has_its_way_on() {
    let page = doc("docs/exit-codes.md");
    let (before, reasons) = page.split_once("## Reasons").expect("the section");
    let (_, ways) = before.split_once("\n## The way on\n").expect("the section");
    let reasons: Vec<&str> = reasons.split('`').skip(3).step_by(2).collect();
    assert!(reasons.len() > 60, "{reasons:?}");
    for reason in &reasons {
        let rows = ways.lines().filter(|row| row.contains(&format!("`{reason}`"))).count();
        assert_eq!(rows, 1, "{reason}");
    }
    let mut named = ways.lines().filter_map(|row| row.split('|').nth(1));
    let strange = named
        .find(|cell| cell.split('`').skip(1).step_by(2).any(|reason| !reasons.contains(&reason)));
    assert_eq!(strange, None, "no reason is called so");
}

#[test]
fn every_class_of_verify_has_its_section_in_recovery() {
    let doc = doc("docs/recovery.md");
    for class in Class::ALL {
        let section = format!("\n## {}\n", class.word());
        let (_, rest) =
            doc.split_once(&section).unwrap_or_else(|| panic!("no section {}", class.word()));
        let text = rest.split("\n## ").next().unwrap_or("");
        assert!(text.trim().len() > 80, "{} says next to nothing", class.word());
    }
}

/// Every `stepseal` line of the README's first ten minutes runs as it stands, in order.
#[test]
fn the_readmes_commands_run() {
    let readme = doc("README.md");
    let (_, rest) = readme.split_once("## The first ten minutes").expect("the section");
    let room = Room::new();
    room.git(&["init", "--quiet", "repo"]);
    room.write("specs/001-albums/tasks.md", crate::transcript::ALBUMS);
    assert_eq!(run_first_block(&room, rest), 7, "the block has changed: look at it again");
}

/// Those of the page on policy, too.
#[test]
fn the_commands_of_the_policy_page_run() {
    let room = Room::with_ledger();
    let ran = run_first_block(&room, &doc("docs/policy.md"));
    assert_eq!(ran, 6, "the block has changed: look at it again");
}

/// Runs the `stepseal` lines of the first console block; how many there were.
fn run_first_block(room: &Room, text: &str) -> usize {
    let block = text.split("```").nth(1).expect("a console block");
    let lines = block.lines().filter(|line| line.starts_with("stepseal "));
    lines
        .map(|line| {
            let words = words(line.split("  #").next().unwrap_or(line));
            let words: Vec<&str> = words.iter().skip(1).map(String::as_str).collect();
            room.ok(&words);
        })
        .count()
}

/// The README lists every verb there is, once, and no other.
#[test]
fn the_readme_lists_every_verb() {
    let readme = doc("README.md");
    let (_, rest) = readme.split_once("## The verbs").expect("the section");
    let table = rest.split("\n## ").next().expect("its text");
    let mut listed: Vec<&str> = table.split('`').skip(1).step_by(2).collect();
    listed.sort_unstable();
    let tree = stepseal::cli::tree();
    let mut verbs: Vec<&str> = tree.get_subcommands().map(|verb| verb.get_name()).collect();
    verbs.retain(|verb| *verb != "help");
    verbs.sort_unstable();
    assert_eq!(listed, verbs);
}

/// What docs/install.md says to type for completions and the manual does what it says.
#[cfg(unix)]
#[test]
fn the_installation_of_completions_and_manual_works() {
    let text = doc("docs/install.md");
    let (_, rest) = text.split_once("## Completions").expect("the section");
    let room = Room::new();
    let bin = Path::new(crate::kit::STEPSEAL).parent().expect("a folder").display().to_string();
    let path = format!("{bin}:{}", std::env::var("PATH").expect("a PATH"));
    for block in rest.split("```console\n").skip(1).filter_map(|rest| rest.split("```").next()) {
        let mut command = room.program("sh");
        let output = command.args(["-euc", block]).env("PATH", &path).output().expect("sh starts");
        assert!(output.status.success() && output.stderr.is_empty(), "{block}: {output:?}");
    }
    let home = room.path().join("home");
    for (path, holds) in [
        (".local/share/bash-completion/completions/stepseal", "complete -o nospace"),
        (".zfunc/_stepseal", "#compdef stepseal"),
        (".config/fish/completions/stepseal.fish", "complete --keep-order"),
        (".local/share/man/man1/stepseal-claim.1", ".TH stepseal-claim 1"),
    ] {
        let text = std::fs::read_to_string(home.join(path)).expect(path);
        assert!(text.contains(holds), "{path}: {text}");
    }
}

/// Splits a command line at spaces, with double quotes.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            ' ' if !quoted => words.extend((!word.is_empty()).then(|| std::mem::take(&mut word))),
            c => word.push(c),
        }
    }
    words.extend((!word.is_empty()).then_some(word));
    words
}

/// No document names a file that is not there.
#[test]
fn links_between_documents_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for file in [
        "README.md",
        "docs/ARCHITECTURE.md",
        "docs/glossary.md",
        "docs/exit-codes.md",
        "docs/recovery.md",
        "docs/install.md",
        "docs/migration.md",
        "docs/plans.md",
        "docs/baseline.md",
        "docs/deciding.md",
        "docs/policy.md",
        "docs/reading.md",
        "docs/rules.md",
        "docs/transitions.md",
        "docs/design/0001-formats.md",
        "docs/design/0002-append.md",
        "docs/design/0003-signatures.md",
        "docs/signatures.md",
    ] {
        let text = doc(file);
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let here = root.join(file);
            let whole = if path.is_empty() {
                here.clone()
            } else {
                here.parent().expect("a folder").join(path)
            };
            assert!(whole.exists(), "{file} links {target}");
            if !anchor.is_empty() && whole.extension().is_some_and(|ext| ext == "md") {
                let text = std::fs::read_to_string(&whole).expect("a document").to_lowercase();
                let heading = format!("# {}", anchor.replace('-', " "));
                let found = text.contains(&heading) || text.contains(&format!("# {anchor}"));
                assert!(found, "{file} links {target}, which has no such heading");
            }
        }
    }
}

/// The defaults that are printed are a file that is accepted and changes nothing.
#[test]
fn the_printed_defaults_are_the_defaults() {
    let room = Room::with_ledger();
    let before = room.ok(&["config", "list"]);
    let defaults = room.ok(&["config", "list", "--defaults"]);
    room.write("stepseal.toml", &defaults);
    assert_eq!(room.ok(&["config", "list"]), before);
    let origin = room.ok(&["config", "list", "--origin"]);
    assert!(origin.contains("seal.sign\tnone\t"), "{origin}");
    assert!(origin.lines().any(|l| l.starts_with("seal.sign") && l.contains("stepseal.toml:")));
    assert!(
        origin.lines().any(|l| l.starts_with("executor.id") && l.contains("STEPSEAL_EXECUTOR"))
    );
}

/// How many tests a part of a page names, each of which is there.
fn named_tests(part: &str) -> usize {
    let names = part.split('`').skip(1).step_by(2).filter(|name| name.contains("::"));
    let there = |name: &str| {
        let (module, test) = name.split_once("::").expect("a module and a test");
        let source = match module {
            "model" => doc("src/ledger/transact/model.rs"),
            module => doc(&format!("tests/it/{module}.rs")),
        };
        assert!(source.contains(&format!("fn {test}(")), "{name} is not there");
    };
    names.map(there).count()
}

/// Each test that the page of promises names is there.
#[test]
fn the_tests_of_the_promises_exist() {
    let page = doc("docs/reliability.md");
    let (_, table) = page.split_once("## The promises").expect("the section");
    let named = named_tests(table);
    assert!(named > 30, "only {named} tests are named");
}

/// Each requirement has a row, and each row of requirements, scenarios and edge cases a test.
#[test]
fn every_requirement_leads_to_a_test() {
    let page = doc("docs/traceability.md");
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| ")).collect();
    let requirements = doc("docs/rules.md");
    let (_, requirements) = requirements.split_once("## Requirements").expect("the section");
    let ids: BTreeSet<&str> = requirements
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'))
        .filter(|word| word.starts_with("FR-"))
        .collect();
    assert!(ids.len() > 15, "{ids:?}");
    for id in ids {
        let row = rows.iter().find(|row| row.starts_with(&format!("| {id} ")));
        let row = row.unwrap_or_else(|| panic!("{id} has no row"));
        assert!(row.contains("not built yet") || named_tests(row) > 0, "{row}");
    }
    for of in ["## Scenarios", "## Edge cases"] {
        let (_, part) = page.split_once(of).expect("the section");
        let part = part.split("\n## ").next().unwrap_or_default();
        for row in part.lines().filter(|line| line.starts_with("| ")).skip(1) {
            assert!(named_tests(row) > 0, "{row}");
        }
    }
}
