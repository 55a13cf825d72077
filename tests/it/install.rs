//! What an installation consists of besides the program: completions that know the ledger, the
//! manual, and the packages a release is made of.

use std::path::Path;
use std::process::Command;

use crate::kit::{Ran, Room, STEPSEAL, skipped};

const WORKFLOW: &str = "
name: w
steps:
  - { key: make, title: Make it, entry: [{ id: asked, text: Somebody asked }] }
  - { key: left, order: 2, parallelizable: true }
  - { key: right, order: 2, parallelizable: true, exit: [{ id: shown, text: It can be seen }] }
  - { key: look, order: 3, gate: { kind: review, rejectTo: make } }
";

/// WI-1 has `make` done and `left` held; WI-2 is untouched; WI-3 waits at its gate.
fn played() -> Room {
    let room = Room::with_ledger();
    room.write("w.yaml", WORKFLOW);
    for id in ["WI-1", "WI-2", "WI-3", "OTHER"] {
        room.ok(&["delegate", "--plan", "w.yaml", "--work-item", id]);
    }
    let work = |id: &str, step: &str, rest: &[&str]| {
        let step = ["--work-item", id, "--step", step, "--executor", id];
        room.ok(&[&["claim"], &step[..], &["--attest-all"]].concat());
        room.ok(&[&["complete"], &step[..], &["--outcome", "so"], rest].concat());
    };
    for id in ["WI-1", "WI-3"] {
        work(id, "make", &[]);
    }
    work("WI-3", "left", &[]);
    work("WI-3", "right", &["--verified", "shown"]);
    room.ok(&["claim", "--work-item", "WI-1", "--step", "left", "--executor", "WI-1"]);
    room
}

/// What a shell is offered for the last word, by the protocol the registrations speak.
fn offered_in(dir: &Path, room: &Room, words: &[&str]) -> Vec<String> {
    let mut command = room.program(STEPSEAL);
    command.current_dir(dir).env("COMPLETE", "bash").env("_CLAP_IFS", "\n");
    command.env("_CLAP_COMPLETE_INDEX", words.len().to_string());
    let ran = Ran::of(&command.args(["--", "stepseal"]).args(words).output().expect("it starts"));
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{words:?}");
    let values = ran.stdout.lines().filter(|word| !word.is_empty() && !word.starts_with('-'));
    values.map(str::to_owned).collect()
}

fn offered(room: &Room, words: &[&str]) -> Vec<String> {
    offered_in(&room.repo(), room, words)
}

#[test]
fn tab_offers_what_is_really_there() {
    let room = played();
    let wall = ["blocker", "declare", "--work-item", "WI-2", "--type", "external", "--id", "bank"];
    room.ok(&[&wall[..], &["--notes", "they are closed"]].concat());
    let step = |words: &[&str], id: &str| {
        offered(&room, &[words, &["--work-item", id, "--step", ""]].concat())
    };
    for (words, expected) in [
        (&["status", "WI-"][..], &["WI-1", "WI-2", "WI-3"][..]),
        (&["status", ""], &["OTHER", "WI-1", "WI-2", "WI-3"]),
        (&["log", "O"], &["OTHER"]),
        (&["claim", "--work-item", "WI-2"], &["WI-2"]),
        (&["claim", "--structured-work-item", "O"], &["OTHER"]),
        (&["brief", "WI-1", ""], &["make", "left", "right", "look"]),
        (&["brief", "WI-1", "l"], &["left", "look"]),
        (&["claim", "--work-item", "WI-1", "--attempt", ""], &["right.1"]),
        (&["complete", "--work-item", "WI-1", "--attempt", ""], &["left.1"]),
        (&["claim", "--work-item", "WI-2", "--step", "make", "--attest", ""], &["asked"]),
        (&["complete", "--work-item", "WI-1", "--step", "right", "--verified", ""], &["shown"]),
        (&["delegate", "--workflow", ""], &["w", "w@1"]),
        (&["status", "--workflow", "w@"], &["w@1"]),
        (&["status", "--status", "awaiting-g"], &["awaiting-gate"]),
        (&["log", "--event", "gate-a"], &["gate-approved"]),
        (&["schema", "cli.bri"], &["cli.brief"]),
        (&["completions", ""], &["bash", "elvish", "fish", "powershell", "zsh"]),
        (
            &["blocker", "declare", "--work-item", "WI-2", "--type", ""],
            &["dependency", "decision", "environment", "external", "other"],
        ),
        (&["blocker", "resolve", "--work-item", "WI-2", "--id", ""], &["bank"]),
        (&["review", "merge", "--work-item", "WI-1", "--into", "O"], &["OTHER"]),
        (&["rework", "--work-item", "WI-1", "--return-to", ""], &["make", "left"]),
        (&["status", "NOTHING"], &[]),
        (&["claim", "--work-item", "NOBODY", "--step", ""], &[]),
    ] {
        assert_eq!(offered(&room, words), expected, "{words:?}");
    }
    // Each verb offers the steps it is about.
    assert_eq!(step(&["claim"], "WI-1"), ["right"]);
    assert_eq!(step(&["complete"], "WI-1"), ["left"]);
    assert_eq!(step(&["release"], "WI-1"), ["left"]);
    assert_eq!(step(&["skip"], "WI-1"), ["left", "right", "look"]);
    assert_eq!(step(&["gate", "approve"], "WI-3"), ["look"]);
    // Where none fits, what there is.
    assert_eq!(step(&["gate", "approve"], "WI-2"), ["make", "left", "right", "look"]);
    assert_eq!(offered(&room, &["workflow", "show", "w"])[..2], ["w", "w@1"]);
    assert!(offered(&room, &["workflow", "show", "w"]).contains(&"w.yaml".to_owned()));
    assert!(offered(&room, &["delegate", "--plan", "w"]).contains(&"w.yaml".to_owned()));
    // From elsewhere, where that was typed.
    let repo = room.repo().display().to_string();
    assert_eq!(offered_in(room.path(), &room, &["status", "WI"]), [""; 0]);
    assert_eq!(offered_in(room.path(), &room, &["-C", &repo, "status", "WI-3"]), ["WI-3"]);
    let there = ["-C", &repo, "claim", "--work-item", "WI-1", "--step", ""];
    assert_eq!(offered_in(room.path(), &room, &there), ["right"]);
}

/// Ids are offered from the tree alone: whatever is damaged, nothing is verified, folded, written
/// or said.
#[test]
fn tab_is_silent_and_reads_only_what_it_offers() {
    let room = played();
    let blobs: Vec<String> = room.ledger_files();
    for path in blobs.iter().filter(|path| path.contains("handoff")) {
        let oid = room.git(&["rev-parse", &format!("stepseal-ledger:{path}")]);
        let oid = oid.trim();
        let object = room.repo().join(".git/objects").join(&oid[..2]).join(&oid[2..]);
        std::fs::remove_file(object).expect("a loose object");
    }
    let cache = room.repo().join(".git/stepseal");
    std::fs::remove_dir_all(&cache).expect("the caches");
    assert_eq!(offered(&room, &["status", "WI-"]), ["WI-1", "WI-2", "WI-3"]);
    assert_eq!(offered(&room, &["status", "--workflow", "w@"]), ["w@1"]);
    assert_eq!(offered(&room, &["claim", "--work-item", "WI-1", "--step", ""]), [""; 0]);
    let declare = ["blocker", "declare", "--work-item", "WI-1", "--type", "ex"];
    assert_eq!(offered(&room, &declare), ["external"]);
    assert!(!cache.exists(), "a suggestion remembers nothing");
    room.git(&["update-ref", "-d", "refs/heads/stepseal-ledger"]);
    assert_eq!(offered(&room, &["status", "WI-"]), [""; 0]);
    room.write("stepseal.toml", "this is no configuration");
    assert_eq!(offered(&room, &["complete"]), ["complete"]);
    // Somebody else's COMPLETE is no question to this program.
    for other in ["1", "true", "make"] {
        let mut command = room.program(STEPSEAL);
        let ran = Ran::of(&command.arg("--version").env("COMPLETE", other).output().expect("it"));
        assert!(ran.stdout.starts_with("stepseal "), "{other}: {ran}");
    }
}

/// A program of the system, or a visible skip.
fn found(room: &Room, program: &str) -> Option<Command> {
    let there = room.program(program).arg("--version").output();
    if there.is_ok_and(|output| output.status.success()) {
        let mut command = room.program(program);
        let bin = Path::new(STEPSEAL).parent().expect("a folder").display().to_string();
        let path = std::env::var("PATH").expect("a PATH");
        command.env("PATH", format!("{bin}:{path}"));
        return Some(command);
    }
    skipped(&format!("{program} is not here to complete in"));
    None
}

#[cfg(unix)]
#[test]
fn the_shells_themselves_complete() {
    let room = played();
    let run = |mut command: Command, script: &str| {
        let ran = Ran::of(&command.args(["-c", script]).output().expect("the shell starts"));
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{script}\n{ran}");
        ran.stdout
    };
    if let Some(bash) = found(&room, "bash") {
        let said = run(
            bash,
            "source <(stepseal completions bash)\n\
             complete -p stepseal > /dev/null || exit 1\n\
             COMP_WORDS=(stepseal claim --work-item WI-1 --step ''); COMP_CWORD=5; COMP_TYPE=9\n\
             _clap_complete_stepseal stepseal '' --step 2> /dev/null\n\
             printf '%s\\n' \"${COMPREPLY[@]}\"\n\
             COMP_WORDS=(stepseal status WI-); COMP_CWORD=2\n\
             _clap_complete_stepseal stepseal WI- status 2> /dev/null\n\
             printf '%s\\n' \"${COMPREPLY[@]}\"",
        );
        assert_eq!(said.lines().next(), Some("right"), "{said}");
        let ids: Vec<&str> = said.lines().filter(|line| line.starts_with("WI-")).collect();
        assert_eq!(ids, ["WI-1", "WI-2", "WI-3"]);
    }
    if let Some(zsh) = found(&room, "zsh") {
        // As a file of fpath, called the first time: what it offers reaches `_describe`.
        let said = run(
            zsh,
            "mkdir -p zfunc && stepseal completions zsh > zfunc/_stepseal\n\
             fpath=($PWD/zfunc $fpath); autoload -Uz _stepseal; compdef() { : }\n\
             _describe() { local name=$argv[-1]; [[ $name == -* || -z ${(P)name} ]] && name=$argv[3]; print -l -- ${(P)name} }\n\
             words=(stepseal status WI-); CURRENT=3; _stepseal\n\
             words=(stepseal brief WI-1 ''); CURRENT=4; _stepseal",
        );
        let ids: Vec<&str> = said.lines().filter(|line| line.starts_with("WI-")).collect();
        assert_eq!(ids, ["WI-1", "WI-2", "WI-3"], "{said}");
        assert!(said.contains("make:done  Make it"), "{said}");
    }
    if let Some(fish) = found(&room, "fish") {
        let said = run(
            fish,
            "stepseal completions fish | source\n\
             complete --do-complete 'stepseal claim --work-item WI-1 --step '\n\
             complete --do-complete 'stepseal status WI-'",
        );
        assert!(said.starts_with("right\tready\n"), "{said}");
        assert!(said.ends_with("WI-1\nWI-2\nWI-3\n"), "{said}");
    }
}

/// Completions and the manual are about the program: they need no repository, and no
/// configuration that can be read.
#[test]
fn what_is_about_the_program_works_anywhere() {
    let room = Room::new();
    room.write("stepseal.toml", "this is no configuration");
    std::fs::create_dir(room.repo().join(".git")).expect("something like a repository");
    for args in [&["completions", "bash"][..], &["completions", "zsh"], &["man"]] {
        let ran = room.run(args);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{args:?} {ran}");
        assert!(ran.stdout.lines().count() > 5, "{args:?} {ran}");
    }
    assert_eq!(room.run(&["status"]).code, 2, "others say that it cannot be read");
    let ran = room.run(&["completions", "tcsh"]);
    assert_eq!(ran.code, 2, "{ran}");
}

/// Every command of the tree, by the name of its page.
fn commands(command: &clap::Command, name: &str, found: &mut Vec<(String, clap::Command)>) {
    found.push((name.to_owned(), command.clone()));
    for below in command.get_subcommands() {
        commands(below, &format!("{name}-{}", below.get_name()), found);
    }
}

#[test]
fn every_verb_has_its_page_and_every_option_stands_in_it() {
    let room = Room::new();
    std::fs::create_dir(room.repo()).expect("a folder");
    let ran = room.run(&["man", "--output", "share/man1"]);
    assert_eq!(ran.code, 0, "{ran}");
    let mut tree = stepseal::cli::tree().disable_help_subcommand(true);
    tree.build();
    let mut all = Vec::new();
    commands(&tree, "stepseal", &mut all);
    let dir = room.repo().join("share/man1");
    assert_eq!(std::fs::read_dir(&dir).expect("pages").count(), all.len());
    for (name, command) in &all {
        let page = std::fs::read_to_string(dir.join(format!("{name}.1"))).expect(name);
        assert!(page.contains(&format!(".TH {name} 1")), "{name}: {page}");
        for option in command.get_arguments().filter_map(clap::Arg::get_long) {
            let written = format!("\\-\\-{}", option.replace('-', "\\-"));
            assert!(page.contains(&written), "{name} does not say --{option}");
        }
    }
    let one = std::fs::read_to_string(dir.join("stepseal.1")).expect("the first");
    assert_eq!(room.run(&["man"]).stdout, one);
    let claim = std::fs::read_to_string(dir.join("stepseal-claim.1")).expect("a page");
    assert!(claim.contains(".SH NOTES\n.ad l\nExamples:\n  stepseal claim"), "{claim}");
    // man itself has nothing to complain about, where it is here.
    let Some(mut man) = found(&room, "man") else { return };
    for (name, _) in &all {
        let page = dir.join(format!("{name}.1"));
        let ran = man.args(["--warnings", "-l"]).arg(page).env("MANPAGER", "cat").output();
        let ran = Ran::of(&ran.expect("man starts"));
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{name}: {ran}");
        man = found(&room, "man").expect("man is still here");
    }
}

/// A package holds what is installed, runs, and is the same bytes when it is made again.
#[cfg(target_os = "linux")]
#[test]
fn a_package_holds_the_program_its_completions_and_its_manual() {
    let room = Room::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let package = |target: &str, folder: &str| {
        let mut command = room.program("bash");
        command.arg(root.join(".ci/package")).args([target, STEPSEAL, folder]);
        let ran = Ran::of(&command.output().expect("bash starts"));
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{target} {ran}");
        room.path().join(ran.stdout.trim())
    };
    let target = "x86_64-unknown-linux-gnu";
    let archive = package(target, "one");
    let name = format!("stepseal-{}-{target}", env!("CARGO_PKG_VERSION"));
    assert!(archive.ends_with(format!("{name}.tar.gz")), "{}", archive.display());
    let bytes = |path: &Path| std::fs::read(path).expect("an archive");
    assert!(bytes(&archive) == bytes(&package(target, "two")), "packed again it is the same");
    let untar = room.program("tar").arg("-xzf").arg(&archive).output().expect("tar starts");
    assert!(untar.status.success(), "{untar:?}");
    let inside = room.path().join(&name);
    for file in [
        "README.md",
        "install.md",
        "LICENSE-MIT",
        "LICENSE-APACHE",
        "completions/_stepseal",
        "completions/stepseal.bash",
        "completions/stepseal.fish",
        "completions/stepseal.ps1",
        "completions/stepseal.elv",
        "man/stepseal.1",
        "man/stepseal-claim.1",
        "man/stepseal-gate-approve.1",
    ] {
        let size = std::fs::metadata(inside.join(file)).expect(file).len();
        assert!(size > 100, "{file} holds {size} bytes");
    }
    let program = inside.join("stepseal");
    let said = Ran::of(
        &room.program(&program.display().to_string()).arg("--version").output().expect("it"),
    );
    assert_eq!(said.stdout, format!("stepseal {}\n", env!("CARGO_PKG_VERSION")));
    // Another program, or another tag, is not packed under this version's name.
    for args in [&[target, "/bin/true", "three"][..], &["--tag", "v999.0.0"]] {
        let mut command = room.program("bash");
        let output = command.arg(root.join(".ci/package")).args(args).output();
        let ran = Ran::of(&output.expect("bash starts"));
        assert!(ran.code != 0 && ran.stderr.contains(env!("CARGO_PKG_VERSION")), "{args:?} {ran}");
    }
}

/// What every workflow of this repository keeps to: the actions it uses are named by commit, it
/// may do nothing that a job does not ask for, and no expression becomes part of a script.
#[test]
fn workflows_are_pinned_and_may_do_little() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join(".github/workflows");
    let mut uses = 0;
    for entry in std::fs::read_dir(dir).expect("workflows") {
        let path = entry.expect("an entry").path();
        let name = path.display().to_string();
        let text = std::fs::read_to_string(&path).expect("a workflow");
        let file: serde_json::Value = serde_saphyr::from_str(&text).expect("YAML");
        assert_eq!(file["permissions"], serde_json::json!({}), "{name}");
        for (job, content) in file["jobs"].as_object().expect("jobs") {
            assert!(content["permissions"].is_object(), "{name} {job} says what it may do");
            // Another workflow of this repository, whose own jobs say when they end.
            if let Some(called) = content["uses"].as_str() {
                assert!(called.starts_with("$/.github/workflows/"), "{name} {job}: {called}");
                continue;
            }
            assert!(content["timeout-minutes"].is_u64(), "{name} {job} ends");
            for step in content["steps"].as_array().expect("steps") {
                let run = step["run"].as_str().unwrap_or("");
                assert!(!run.contains("${{"), "{name} {job}: {run}");
                if step["uses"].as_str().is_some_and(|uses| uses.starts_with("actions/checkout@")) {
                    assert_eq!(step["with"]["persist-credentials"], false, "{name} {job}");
                }
            }
        }
        let used = text.lines().filter_map(|line| line.split_once("uses: "));
        for line in used.filter(|(_, used)| !used.starts_with("$/")) {
            let (commit, version) = line
                .1
                .split_once('@')
                .expect("an action")
                .1
                .split_once(" # v")
                .expect("its version");
            assert!(
                commit.len() == 40 && commit.bytes().all(|b| b.is_ascii_hexdigit()),
                "{line:?}"
            );
            assert!(version.starts_with(|c: char| c.is_ascii_digit()), "{line:?}");
            uses += 1;
        }
    }
    assert!(uses >= 9, "the workflows are read: {uses}");
}

/// The archives a release publishes are those cargo-binstall looks for.
#[test]
fn binstall_and_the_package_agree_on_names() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = std::fs::read_to_string(root.join("Cargo.toml")).expect("the manifest");
    let manifest: toml::Value = toml::from_str(&manifest).expect("TOML");
    let binstall = &manifest["package"]["metadata"]["binstall"];
    let (version, target) = (env!("CARGO_PKG_VERSION"), "x86_64-unknown-linux-gnu");
    let said = |key: &str| {
        let text = binstall[key].as_str().expect(key);
        [("name", "stepseal"), ("version", version), ("target", target), ("bin", "stepseal")]
            .iter()
            .fold(text.to_owned(), |text, (name, value)| {
                text.replace(&format!("{{ {name} }}"), value)
            })
    };
    let name = format!("stepseal-{version}-{target}");
    let url = format!("{{ repo }}/releases/download/v{version}/{name}{{ archive-suffix }}");
    assert_eq!(said("pkg-url"), url);
    assert_eq!(said("bin-dir"), format!("{name}/stepseal{{ binary-ext }}"));
    let workflow = std::fs::read_to_string(root.join(".github/workflows/release.yml"));
    let workflow = workflow.expect("the workflow");
    let install = std::fs::read_to_string(root.join("docs/install.md")).expect("the document");
    let targets: Vec<&str> = workflow
        .split("target: ")
        .skip(1)
        .filter_map(|rest| rest.split(',').next().filter(|t| t.contains("-") && !t.contains(' ')))
        .collect();
    assert_eq!(targets.len(), 7, "{targets:?}");
    for target in targets {
        assert!(install.contains(&format!("`{target}`")), "{target} is not in docs/install.md");
        let zip = binstall["overrides"].get(target).is_some();
        assert_eq!(zip, target.contains("windows"), "{target}");
    }
}
