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
