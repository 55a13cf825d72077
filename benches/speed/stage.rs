//! Where things are measured: hermetic repositories, generated ledgers that are kept between
//! runs, and clocks around whole processes.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::generate::{Shape, generate};

/// The binary the bench is of.
pub(crate) const STEPSEAL: &str = env!("CARGO_BIN_EXE_stepseal");

/// A folder that goes away, with a HOME of its own.
pub(crate) struct Stage {
    dir: tempfile::TempDir,
    kept: PathBuf,
}

/// One process: how long it took and, where asked for, the most memory it had.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    pub(crate) took: Duration,
    /// Kilobytes.
    pub(crate) peak: u64,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let kept = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("ledgers");
        std::fs::create_dir_all(&kept).expect("a folder");
        let dir = tempfile::Builder::new().prefix("stepseal-bench-").tempdir_in(&kept);
        let dir = dir.expect("a folder");
        std::fs::create_dir(dir.path().join("home")).expect("a home");
        Self { dir, kept }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A program in a fixed environment.
    pub(crate) fn program(&self, program: &str, dir: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(dir)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path("home"))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_AUTHOR_NAME", "bench")
            .env("GIT_AUTHOR_EMAIL", "bench@localhost")
            .env("GIT_COMMITTER_NAME", "bench")
            .env("GIT_COMMITTER_EMAIL", "bench@localhost")
            .env("STEPSEAL_LEDGER_DURABILITY", "process")
            .env("STEPSEAL_CLAIM_CODE", "false")
            .env("STEPSEAL_EXECUTOR", "bench")
            .env("STEPSEAL_PRINCIPAL", "maintainer-1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        command
    }

    pub(crate) fn stepseal(&self, dir: &Path, args: &[&str]) -> Command {
        let mut command = self.program(STEPSEAL, dir);
        command.args(args);
        command
    }

    pub(crate) fn git(&self, dir: &Path, args: &[&str]) -> Command {
        let mut command = self.program("git", dir);
        command.args(args);
        command
    }

    /// A new repository with a ledger.
    pub(crate) fn repository(&self, name: &str) -> PathBuf {
        let dir = self.path(name);
        time(self.git(self.dir.path(), &["init", "--quiet", name]));
        time(self.stepseal(&dir, &["init", "--quiet"]));
        dir
    }

    /// A generated ledger, copied from the kept one: by hard links where objects are concerned.
    pub(crate) fn ledger(&self, name: &str, shape: &Shape) -> PathBuf {
        let Shape { items, steps, per_commit, open } = shape;
        let kept = self.kept.join(format!("{items}-{steps}-{per_commit}-{open}"));
        if !kept.join("complete").exists() {
            drop(std::fs::remove_dir_all(&kept));
            println!("generating {items} items of {steps} steps …");
            time(self.git(&self.kept, &["init", "--quiet", &kept.display().to_string()]));
            time(self.stepseal(&kept, &["init", "--quiet"]));
            generate(&kept, shape);
            std::fs::write(kept.join("complete"), "").expect("a file");
        }
        let dir = self.path(name);
        let mut copy = self.program("cp", self.dir.path());
        copy.args(["-a", "--reflink=auto"]).args([&kept, &dir]);
        time(copy);
        dir
    }
}

/// Runs to the end and expects success.
pub(crate) fn time(command: Command) -> Duration {
    run(command, 0).took
}

/// The same, and the exit code that is right.
pub(crate) fn run(mut command: Command, code: i32) -> Run {
    let begin = Instant::now();
    let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let peak = watch_memory(child.id());
    let output = child.wait_with_output().expect("it ends");
    let took = begin.elapsed();
    let peak = peak.join().expect("a watcher");
    assert_eq!(
        output.status.code(),
        Some(code),
        "{command:?}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Run { took, peak }
}

/// Looks every few milliseconds at how much memory a process has of its own (`RssAnon`): what it
/// has mapped of a pack is the system's to take back. 0 where there is no `/proc`.
fn watch_memory(pid: u32) -> std::thread::JoinHandle<u64> {
    std::thread::spawn(move || {
        let mut peak = 0;
        while let Ok(status) = std::fs::read_to_string(format!("/proc/{pid}/status")) {
            let anonymous = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
            let Some(kilobytes) = anonymous.and_then(|text| text.split_whitespace().next()) else {
                break;
            };
            peak = peak.max(kilobytes.parse().unwrap_or(0));
            std::thread::sleep(Duration::from_millis(4));
        }
        peak
    })
}

/// The middle of several.
pub(crate) fn median(mut all: Vec<Duration>) -> Duration {
    all.sort();
    all[all.len() / 2]
}

/// The same of two things in turn, so that what disturbs one disturbs the other.
pub(crate) fn in_turn(
    times: usize,
    mut a: impl FnMut(usize) -> Duration,
    mut b: impl FnMut(usize) -> Duration,
) -> (Duration, Duration) {
    let (mut all_a, mut all_b) = (Vec::new(), Vec::new());
    for n in 0..times {
        all_a.push(a(n));
        all_b.push(b(n));
    }
    (median(all_a), median(all_b))
}
