//! A sealed room for the binary: cleared environment, own HOME, hermetic git, a clock that moves
//! one second a command and a seed, so that what is printed is the same everywhere.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use sha2::Digest as _;

/// The shipped binary.
pub(crate) const STEPSEAL: &str = env!("CARGO_BIN_EXE_stepseal");

/// A folder of its own, with a HOME and a clock.
pub(crate) struct Room {
    dir: tempfile::TempDir,
    commands: AtomicU32,
    /// Real time and chance instead: for races and kills.
    live: bool,
}

/// What a command left: everything a snapshot shows.
#[must_use]
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) code: i32,
}

impl Room {
    /// An empty folder with a fixed clock and seed.
    pub(crate) fn new() -> Self {
        Self::below(&std::env::temp_dir())
    }

    /// The same in a folder of the caller's choice, such as another file system.
    pub(crate) fn below(folder: &Path) -> Self {
        let dir = tempfile::Builder::new().prefix("stepseal-it-").tempdir_in(folder);
        let dir = dir.expect("a temp dir");
        std::fs::create_dir(dir.path().join("home")).expect("a home");
        Self { dir, commands: AtomicU32::new(0), live: false }
    }

    /// A repository with a ledger, fixed clock and seed.
    pub(crate) fn with_ledger() -> Self {
        let room = Self::new();
        room.git(&["init", "--quiet", "repo"]);
        room.ok(&["init", "--quiet"]);
        room
    }

    /// The same in memory where the system has such a folder: what is made durable there costs
    /// nothing.
    pub(crate) fn in_memory() -> Self {
        let room = Self::unfounded_in_memory();
        room.ok(&["init", "--quiet"]);
        room
    }

    /// The same with a repository that has no ledger.
    pub(crate) fn unfounded_in_memory() -> Self {
        let room = Self::below(&memory());
        room.git(&["init", "--quiet", "repo"]);
        room
    }

    /// The same with real time and chance.
    pub(crate) fn live() -> Self {
        let room = Self::live_below(&std::env::temp_dir());
        room.ok(&["init", "--quiet"]);
        room
    }

    /// A repository without a ledger, with real time and chance, in a folder.
    pub(crate) fn live_below(folder: &Path) -> Self {
        let room = Self { live: true, ..Self::below(folder) };
        room.git(&["init", "--quiet", "repo"]);
        room
    }

    /// A room of its own with the same files, whose next command is the same.
    pub(crate) fn copy(&self) -> Self {
        let beside = self.path().parent().expect("a folder");
        let copy = Self { live: self.live, ..Self::below(beside) };
        copy_files(self.path(), copy.path());
        copy.commands.store(self.commands.load(Ordering::Relaxed), Ordering::Relaxed);
        copy
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The repository.
    pub(crate) fn repo(&self) -> PathBuf {
        self.path().join("repo")
    }

    /// Writes a file of the repository.
    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.repo().join(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
        std::fs::write(path, text).expect("a file");
    }

    /// A program with the room's environment, in the repository when there is one.
    pub(crate) fn program(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let repo = self.repo();
        command.current_dir(if repo.exists() { repo } else { self.path().to_path_buf() });
        command.env_clear();
        for name in ["PATH", "SYSTEMROOT", "TMPDIR", "LLVM_PROFILE_FILE"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command
            .env("HOME", self.path().join("home"))
            .env("XDG_CONFIG_HOME", self.path().join("home/.config"))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_AUTHOR_NAME", "it")
            .env("GIT_AUTHOR_EMAIL", "it@localhost")
            .env("GIT_COMMITTER_NAME", "it")
            .env("GIT_COMMITTER_EMAIL", "it@localhost")
            .env("STEPSEAL_LEDGER_DURABILITY", "process")
            .env("STEPSEAL_EXECUTOR", "agent-1")
            .env("STEPSEAL_PRINCIPAL", "maintainer-1")
            .env("LANG", "C.UTF-8")
            .stdin(Stdio::null());
        command
    }

    /// The binary, one second later than the command before.
    pub(crate) fn stepseal(&self, args: &[&str]) -> Command {
        self.under(&[STEPSEAL], args)
    }

    /// The binary started by another program, whose words end with the binary's.
    pub(crate) fn under(&self, words: &[&str], args: &[&str]) -> Command {
        let mut command = self.program(words[0]);
        command.args(&words[1..]).args(args);
        let number = self.commands.fetch_add(1, Ordering::Relaxed) + 1;
        if !self.live {
            let (minutes, seconds) = (number / 60, number % 60);
            command
                .env("STEPSEAL_NOW", format!("2026-11-20T10:{minutes:02}:{seconds:02}.000Z"))
                .env("STEPSEAL_SEED", format!("it {number}"));
        }
        command
    }

    /// Runs the binary.
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        Ran::of(&self.stepseal(args).output().expect("the binary starts"))
    }

    /// Runs the binary as another executor.
    pub(crate) fn run_as(&self, executor: &str, args: &[&str]) -> Ran {
        let mut command = self.stepseal(args);
        command.env("STEPSEAL_EXECUTOR", executor);
        Ran::of(&command.output().expect("the binary starts"))
    }

    /// Runs the binary in another folder of the room.
    pub(crate) fn run_in(&self, dir: &str, args: &[&str]) -> Ran {
        let mut command = self.stepseal(args);
        command.current_dir(self.path().join(dir));
        Ran::of(&command.output().expect("the binary starts"))
    }

    /// Types what an answer says under `next`, word by word, in that folder.
    pub(crate) fn follow(&self, dir: &str, answer: &Value) {
        let next = answer["next"].as_array().expect("a list");
        assert!(!next.is_empty(), "no way out: {answer:#}");
        for argv in next {
            let words: Vec<&str> =
                argv.as_array().expect("a command").iter().filter_map(Value::as_str).collect();
            let ran = if words[0] == "stepseal" {
                self.run_in(dir, &words[1..])
            } else {
                let mut command = self.program(words[0]);
                command.args(&words[1..]).current_dir(self.path().join(dir));
                Ran::of(&command.output().expect("it starts"))
            };
            assert_eq!(ran.code, 0, "{words:?}\n{ran}");
        }
    }

    /// Runs the binary and expects success.
    pub(crate) fn ok(&self, args: &[&str]) -> String {
        let ran = self.run(args);
        assert_eq!(ran.code, 0, "{args:?}\n{ran}");
        ran.stdout
    }

    /// Runs the binary with `--json` and reads its one document.
    pub(crate) fn json(&self, args: &[&str]) -> (i32, Value) {
        let mut all = args.to_vec();
        all.push("--json");
        let ran = self.run(&all);
        (ran.code, ran.document())
    }

    /// How often each request is on record with an event of an item: of one item, where its id is
    /// given. With the exit code, which says whether all of it could be read.
    pub(crate) fn requests(&self, item: &[&str]) -> (i32, BTreeMap<String, usize>) {
        let ran = self.run(&[&["log", "--json"], item].concat());
        let lines = ran.stdout.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut counts = BTreeMap::new();
        for event in lines.map(|line| line["artifact"].clone()) {
            // The first delegation of a workflow publishes it as well.
            if let (Some(id), true) =
                (event["request"]["id"].as_str(), event["workItemId"].is_string())
            {
                *counts.entry(id.to_owned()).or_insert(0) += 1;
            }
        }
        (ran.code, counts)
    }

    /// Works as one executor, a small item after another, until it is told to stop or something
    /// fails: the requests that were acknowledged, and what failed.
    pub(crate) fn work(
        &self,
        durability: &str,
        executor: &str,
        name: &str,
        stop: &AtomicBool,
    ) -> (Vec<String>, Option<Ran>) {
        let mut told = Vec::new();
        for n in 0.. {
            let item = format!("{name}-{n}");
            let (named, step) = (["--work-item", &item], ["--step", "phase-setup"]);
            for (verb, rest) in [
                ("delegate", &["--prompt", "Work"][..]),
                ("claim", &step),
                ("complete", &[&step[..], &["--outcome", "done"]].concat()),
            ] {
                let request = format!("{verb}-{item}");
                let asked = [&[verb, "--quiet", "--request-id", &request][..], &named, rest];
                let mut command = self.stepseal(&asked.concat());
                command.env("STEPSEAL_LEDGER_DURABILITY", durability);
                let ran = command.env("STEPSEAL_EXECUTOR", executor).output();
                let ran = Ran::of(&ran.expect("the binary starts"));
                if ran.code != 0 {
                    return (told, Some(ran));
                }
                told.push(request);
                if stop.load(Ordering::Relaxed) {
                    return (told, None);
                }
            }
        }
        (told, None)
    }

    /// Runs git in the repository and expects success.
    pub(crate) fn git(&self, args: &[&str]) -> String {
        let output = self.program("git").args(args).output().expect("git starts");
        let ran = Ran::of(&output);
        assert_eq!(ran.code, 0, "git {args:?}\n{ran}");
        ran.stdout
    }

    /// An ed25519 key made from its name, so that tests need no program for one: the path of the
    /// private half, with the public half beside it.
    pub(crate) fn key(&self, name: &str) -> String {
        let path = self.path().join("home").join(name);
        if !path.exists() {
            let mut key = ssh_key::PrivateKey::from(signing_key(name));
            key.set_comment(format!("{name}@it"));
            key.write_openssh_file(&path, ssh_key::LineEnding::LF).expect("a private key");
            let public = key.public_key().to_openssh().expect("a public key");
            std::fs::write(path.with_extension("pub"), public + "\n").expect("a public key");
        }
        path.display().to_string()
    }

    /// Runs the binary with a key to sign with, for a principal, with seal.sign on.
    pub(crate) fn sign_as(&self, name: &str, args: &[&str]) -> Ran {
        let mut command = self.stepseal(args);
        command.env("STEPSEAL_SEAL_SIGN", "ssh").env("STEPSEAL_SEAL_KEY", self.key(name));
        command.env("STEPSEAL_PRINCIPAL", format!("{name}@it"));
        command.env("STEPSEAL_EXECUTOR", format!("{name}-1"));
        Ran::of(&command.output().expect("the binary starts"))
    }

    /// Commits changed ledger files as an outsider with git would: `None` deletes.
    pub(crate) fn tamper(&self, changes: &[(&str, Option<&str>)]) -> String {
        self.tamper_as("outsider", changes)
    }

    /// The same with a message of one's own.
    pub(crate) fn tamper_as(&self, message: &str, changes: &[(&str, Option<&str>)]) -> String {
        let index = self.path().join("outsider-index");
        let git = |args: &[&str]| {
            let mut command = self.program("git");
            let output = command.args(args).env("GIT_INDEX_FILE", &index).output();
            let ran = Ran::of(&output.expect("git starts"));
            assert_eq!(ran.code, 0, "git {args:?}\n{ran}");
            ran.stdout.trim().to_owned()
        };
        git(&["read-tree", "stepseal-ledger"]);
        for (path, content) in changes {
            match content {
                Some(content) => {
                    let file = self.path().join("outsider-file");
                    std::fs::write(&file, content).expect("a file");
                    let blob = git(&["hash-object", "-w", &file.display().to_string()]);
                    git(&[
                        "update-index",
                        "--add",
                        "--cacheinfo",
                        &format!("100644,{blob},{path}"),
                    ]);
                }
                None => {
                    git(&["update-index", "--force-remove", path]);
                }
            }
        }
        let tree = git(&["write-tree"]);
        let commit = git(&["commit-tree", &tree, "-p", "stepseal-ledger", "-m", message]);
        git(&["update-ref", "refs/heads/stepseal-ledger", &commit]);
        commit
    }

    /// Every file of the ledger, by path.
    pub(crate) fn ledger_files(&self) -> Vec<String> {
        let listed = self.git(&["ls-tree", "-r", "--name-only", "stepseal-ledger"]);
        listed.lines().map(str::to_owned).collect()
    }

    /// The first ledger file whose path ends so.
    pub(crate) fn ledger_file(&self, end: &str) -> String {
        let files = self.ledger_files();
        let found = files.iter().find(|path| path.ends_with(end));
        found.unwrap_or_else(|| panic!("no {end} in {files:#?}")).clone()
    }

    /// The content of a ledger file.
    pub(crate) fn ledger_text(&self, path: &str) -> String {
        self.git(&["show", &format!("stepseal-ledger:{path}")])
    }
}

impl Ran {
    pub(crate) fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
            code: output.status.code().unwrap_or(-1),
        }
    }

    /// The one JSON document it answered.
    pub(crate) fn document(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("no JSON document: {error}\n{self}"))
    }
}

impl std::fmt::Display for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.stdout)?;
        if !self.stderr.is_empty() {
            write!(f, "--- stderr\n{}", self.stderr)?;
        }
        if self.code != 0 {
            write!(f, "[exit {}]", self.code)?;
        }
        Ok(())
    }
}

/// A command that has to end within a time: none when it did not, and was killed.
pub(crate) fn bounded(mut command: Command, limit: Duration) -> Option<Ran> {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    let begin = Instant::now();
    while child.try_wait().expect("a child").is_none() {
        if begin.elapsed() > limit {
            child.kill().expect("kill -9");
            drop(child.wait());
            return None;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Some(Ran::of(&child.wait_with_output().expect("it ended")))
}

/// A folder in memory, where the system has one that can be written.
pub(crate) fn memory() -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    if tempfile::tempfile_in(&memory).is_ok() { memory } else { std::env::temp_dir() }
}

/// Copies a folder with everything in it.
pub(crate) fn copy_files(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let to = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy_files(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).expect("a copy");
        }
    }
}

/// Whether everything a test may need must be there: then a skip is a failure.
fn required() -> bool {
    std::env::var("STEPSEAL_TEST_REQUIRE").as_deref() == Ok("all")
}

/// Whether a program is there; where it is not the test is skipped visibly.
pub(crate) fn has(program: &str) -> bool {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let here = std::env::split_paths(&folders).any(|folder| folder.join(program).is_file());
    if !here {
        assert!(!required(), "{program} is missing and STEPSEAL_TEST_REQUIRE=all");
        skipped(&format!("{program} is not here"));
    }
    here
}

/// The key pair that a name stands for.
pub(crate) fn signing_key(name: &str) -> ssh_key::private::Ed25519Keypair {
    let seed = sha2::Sha256::digest(format!("stepseal test key {name}"));
    ssh_key::private::Ed25519Keypair::from_seed(&seed.into())
}

/// Says that a test did not run, past the harness's capture: a skip must be seen.
pub(crate) fn skipped(why: &str) {
    let mut err = std::io::stderr();
    writeln!(err, "SKIPPED: {why}").expect("stderr");
}

/// A workflow of `count` steps that may all start together.
pub(crate) fn parallel_workflow(name: &str, count: usize) -> String {
    let mut text = format!("name: {name}\nsteps:\n");
    for n in 1..=count {
        text.push_str(&format!("  - {{ key: s{n:03}, order: 1, parallelizable: true }}\n"));
    }
    text
}

/// How much of a test to do: a part inside `cargo test`, all of it with
/// `STEPSEAL_TEST_PROFILE=full`.
pub(crate) fn rounds(quick: usize, full: usize) -> usize {
    match std::env::var("STEPSEAL_TEST_PROFILE").as_deref() {
        Ok("full") => full,
        Ok("quick") | Err(_) => quick,
        Ok(other) => panic!("STEPSEAL_TEST_PROFILE is `{other}`, not quick or full"),
    }
}

/// Says what a test of a promise (docs/reliability.md) saw: past the harness's capture in the
/// full profile, so that the page can be brought up to date from one run.
#[expect(clippy::print_stdout, reason = "captured, and shown where the test fails")]
pub(crate) fn figure(promise: &str, seen: &str) {
    let line = format!("FIGURE {promise}: {seen}");
    if rounds(0, 1) == 1 {
        writeln!(std::io::stderr(), "{line}").expect("stderr");
    } else {
        println!("{line}");
    }
}

/// A small generator of numbers: the seed is printed, and `STEPSEAL_TEST_SEED` repeats a run.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new() -> Self {
        let given = std::env::var("STEPSEAL_TEST_SEED").ok();
        let seed = given.map(|seed| seed.parse().expect("STEPSEAL_TEST_SEED is a number"));
        let seed = seed.unwrap_or_else(|| {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            now.map_or(1, |now| u64::from(now.subsec_nanos()))
        });
        // Captured, and shown by the harness where the test fails.
        #[expect(clippy::print_stdout, reason = "the seed that repeats a failed run")]
        {
            println!("STEPSEAL_TEST_SEED={seed}");
        }
        Self(seed)
    }

    /// The same throws again.
    pub(crate) fn of(seed: u64) -> Self {
        Self(seed)
    }

    /// A number from 0 up to, not including, the limit.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit.max(1)
    }
}
