//! ONE DOOR to start programs: stdin null, fixed locale, explicit folder, time limit, the whole
//! process group ended, bounded output. A pager is the one program that is fed instead: it owns
//! the terminal until the person is done.
//!
//! What is not here: what is run, or why.
#![expect(clippy::disallowed_methods, reason = "the adapter that starts programs")]

use std::io::{Read as _, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

/// How long a group has between being asked to end and being ended.
const GRACE: Duration = Duration::from_secs(3);
/// How long a grandchild may keep the output open after the program ended. On a busy machine what
/// was written may be read as late, and what is not read by then is not on record.
const LEAK: Duration = Duration::from_secs(2);

/// One program to run.
#[derive(Debug, Clone)]
pub struct Program<'a> {
    /// The program and its arguments; never a shell line.
    pub argv: &'a [String],
    pub dir: &'a Path,
    /// Set beside what is inherited.
    pub env: &'a [(String, String)],
    pub timeout: Duration,
    /// Bytes of output kept, half from each end; the digest covers all of it.
    pub keep: usize,
    /// Ctrl-C ends the program and is told to the caller; otherwise it ends this process too.
    pub interruptible: bool,
}

/// How a program ended.
#[derive(Debug, Clone)]
pub struct Ended {
    /// 128 + N when signal N ended it, 124 at the time limit.
    pub exit_code: i32,
    pub timed_out: bool,
    /// A person or the system asked this process to stop, so the program was ended.
    pub interrupted: bool,
    pub duration: Duration,
    /// SHA-256 of everything it wrote to stdout and stderr, as it came.
    pub output_sha256: [u8; 32],
    /// Head and tail of that, as text.
    pub output: String,
}

/// Why a program did not run at all.
#[derive(Debug, thiserror::Error)]
#[error("cannot start {program}: {why}")]
pub struct NotStarted {
    pub program: String,
    pub why: String,
}

/// Runs a program to its end or to its time limit.
///
/// # Errors
/// When it cannot be started.
pub fn run(program: &Program<'_>) -> Result<Ended, NotStarted> {
    run_told(program, |_| {})
}

/// The same, and tells what it writes as it comes.
///
/// # Errors
/// When it cannot be started.
pub fn run_told(
    program: &Program<'_>,
    mut told: impl FnMut(&[u8]) + Send + 'static,
) -> Result<Ended, NotStarted> {
    let name = program.argv.first().cloned().unwrap_or_default();
    let not_started = |why: String| NotStarted { program: name.clone(), why };
    let (mut reader, writer) = std::io::pipe().map_err(|e| not_started(e.to_string()))?;
    let twin = writer.try_clone().map_err(|e| not_started(e.to_string()))?;
    let mut command = Command::new(&name);
    command
        .args(program.argv.iter().skip(1))
        .current_dir(program.dir)
        .envs(program.env.iter().map(|(key, value)| (key, value)))
        .stdin(Stdio::null())
        .stdout(writer)
        .stderr(twin);
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let watched = interrupt::watch();
    let start = Instant::now();
    let child = command.spawn().map_err(|error| not_started(error.to_string()));
    // The command holds the pipe's writing ends: without dropping it the reader never ends.
    drop(command);
    let mut child = child?;
    let keep = program.keep;
    // Shared, so that a pipe kept open by a grandchild loses nothing of what came before.
    let captured = Arc::new(Mutex::new(Capture::new(keep)));
    let (send, whole) = mpsc::channel::<()>();
    let capture = Arc::clone(&captured);
    std::thread::spawn(move || {
        // Dropped when all of it was read, which is what is waited for.
        let _whole = send;
        let mut buffer = [0; 16 * 1024];
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => {
                    told(&buffer[..count]);
                    capture.lock().unwrap_or_else(PoisonError::into_inner).take(&buffer[..count]);
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        // Whoever is told has heard all of it before anybody goes on.
        drop(told);
    });
    let (status, timed_out) = wait(&mut child, start, program.timeout, &watched);
    let interrupted = watched.caught();
    if interrupted && !program.interruptible {
        watched.go_on();
    }
    drop(watched);
    let timed_out = timed_out && !interrupted;
    let duration = start.elapsed();
    let _: Result<(), _> = whole.recv_timeout(LEAK);
    let last = captured.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Ok(Ended {
        exit_code: if timed_out { 124 } else { status.map_or(-1, code) },
        timed_out,
        interrupted,
        duration,
        output_sha256: last.digest(),
        output: last.text(),
    })
}

/// A program that reads what is written here and shows it on the terminal it shares with this
/// process: a pager. Ctrl-C is for it alone while it runs, and ends only the writing here.
pub struct Feed {
    child: Child,
    input: Option<ChildStdin>,
    watched: interrupt::Watched,
}

impl std::fmt::Debug for Feed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Feed").field("child", &self.child).finish_non_exhaustive()
    }
}

/// Starts a program to feed.
///
/// # Errors
/// When it cannot be started.
pub fn feed(argv: &[String], env: &[(String, String)]) -> Result<Feed, NotStarted> {
    let name = argv.first().cloned().unwrap_or_default();
    let mut command = Command::new(&name);
    command
        .args(argv.iter().skip(1))
        .envs(env.iter().map(|(key, value)| (key, value)))
        .stdin(Stdio::piped());
    let watched = interrupt::watch();
    let mut child = command
        .spawn()
        .map_err(|error| NotStarted { program: name.clone(), why: error.to_string() })?;
    let input = child.stdin.take();
    Ok(Feed { child, input, watched })
}

impl Feed {
    /// Waits until the program, and so the person, is done.
    pub fn end(mut self) {
        drop(self.input.take());
        drop(self.child.wait());
    }
}

impl Write for Feed {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match &mut self.input {
            Some(input) if !self.watched.caught() => input.write(bytes),
            _ => Err(std::io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.input.as_mut().map_or(Ok(()), Write::flush)
    }
}

fn wait(
    child: &mut Child,
    start: Instant,
    limit: Duration,
    watched: &interrupt::Watched,
) -> (Option<ExitStatus>, bool) {
    let mut pause = Duration::from_millis(1);
    let mut asked: Option<Instant> = None;
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            // Whoever is left of the group must not outlive the step.
            end_group(child, true);
            return (Some(status), asked.is_some());
        }
        match asked {
            None if start.elapsed() >= limit || watched.caught() => {
                end_group(child, false);
                asked = Some(Instant::now());
            }
            Some(since) if since.elapsed() >= GRACE => {
                end_group(child, true);
                drop(child.kill());
                return (child.wait().ok(), true);
            }
            _ => {}
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// Ctrl-C and SIGTERM while a program runs: its group is ended before anything else happens.
#[cfg(unix)]
mod interrupt {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, Mutex, OnceLock, PoisonError};

    use signal_hook::consts::{SIGINT, SIGTERM};

    struct Flags {
        /// Nothing runs: signals do what they always do.
        idle: Arc<AtomicBool>,
        caught: Arc<AtomicBool>,
    }

    static FLAGS: OnceLock<Flags> = OnceLock::new();
    /// One program at a time is watched.
    static TURN: Mutex<()> = Mutex::new(());

    /// While it lives, signals are noted instead of obeyed.
    pub(super) struct Watched {
        _turn: std::sync::MutexGuard<'static, ()>,
    }

    fn flags() -> &'static Flags {
        FLAGS.get_or_init(|| {
            let flags = Flags {
                idle: Arc::new(AtomicBool::new(true)),
                caught: Arc::new(AtomicBool::new(false)),
            };
            for signal in [SIGINT, SIGTERM] {
                // In this order: the default is taken while idle, the note is for the rest.
                let default = signal_hook::flag::register_conditional_default(
                    signal,
                    Arc::clone(&flags.idle),
                );
                let noted = signal_hook::flag::register(signal, Arc::clone(&flags.caught));
                drop((default, noted));
            }
            flags
        })
    }

    pub(super) fn watch() -> Watched {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        flags().idle.store(false, Ordering::SeqCst);
        Watched { _turn: turn }
    }

    impl Watched {
        pub(super) fn caught(&self) -> bool {
            flags().caught.load(Ordering::SeqCst)
        }

        /// What the signal would have done.
        pub(super) fn go_on(&self) {
            drop(signal_hook::low_level::emulate_default_handler(SIGINT));
        }
    }

    impl Drop for Watched {
        fn drop(&mut self) {
            flags().idle.store(true, Ordering::SeqCst);
        }
    }
}

#[cfg(not(unix))]
mod interrupt {
    pub(super) struct Watched;

    pub(super) fn watch() -> Watched {
        Watched
    }

    impl Watched {
        pub(super) fn caught(&self) -> bool {
            false
        }

        pub(super) fn go_on(&self) {}
    }
}

#[cfg(unix)]
fn end_group(child: &Child, hard: bool) {
    use rustix::process::{Pid, Signal, kill_process_group};
    let signal = if hard { Signal::KILL } else { Signal::TERM };
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(group, signal);
    }
}

#[cfg(not(unix))]
fn end_group(_child: &Child, _hard: bool) {}

#[cfg(unix)]
fn code(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt as _;
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(-1)
}

#[cfg(not(unix))]
fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or(-1)
}

/// The head and the tail of a stream, and the digest of all of it.
#[derive(Clone)]
struct Capture {
    hasher: Sha256,
    head: Vec<u8>,
    tail: Vec<u8>,
    half: usize,
    total: usize,
}

impl Capture {
    fn new(keep: usize) -> Self {
        Self { hasher: Sha256::new(), head: Vec::new(), tail: Vec::new(), half: keep / 2, total: 0 }
    }

    fn take(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.total += bytes.len();
        let room = self.half.saturating_sub(self.head.len()).min(bytes.len());
        self.head.extend_from_slice(&bytes[..room]);
        self.tail.extend_from_slice(&bytes[room..]);
        let extra = self.tail.len().saturating_sub(self.half);
        self.tail.drain(..extra);
    }

    fn digest(&self) -> [u8; 32] {
        self.hasher.clone().finalize().into()
    }

    fn text(&self) -> String {
        let left_out = self.total - self.head.len() - self.tail.len();
        let mut text = String::from_utf8_lossy(&self.head).into_owned();
        if left_out > 0 {
            text.push_str(&format!("\n… {left_out} bytes left out …\n"));
        }
        text.push_str(&String::from_utf8_lossy(&self.tail));
        text
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn sh(script: &str, timeout: Duration) -> Ended {
        let argv = ["sh".into(), "-c".into(), script.into()];
        let dir = Path::new("/");
        let program =
            Program { argv: &argv, dir, env: &[], timeout, keep: 64, interruptible: false };
        run(&program).expect("sh starts")
    }

    #[test]
    fn output_is_bounded_and_its_digest_covers_all_of_it() {
        let ended = sh("i=0; while [ $i -lt 1000 ]; do echo 0123456789; i=$((i+1)); done", LIMIT);
        assert_eq!(ended.exit_code, 0);
        let whole: [u8; 32] = Sha256::digest(b"0123456789\n".repeat(1000)).into();
        assert_eq!(ended.output_sha256, whole);
        assert!(ended.output.len() < 200, "{}", ended.output);
        assert!(ended.output.contains("10936 bytes left out"), "{}", ended.output);
    }

    #[test]
    fn a_time_limit_ends_the_whole_group() {
        let ended = sh("sleep 60 & sleep 60", Duration::from_millis(200));
        assert!(ended.timed_out);
        assert_eq!(ended.exit_code, 124);
        assert!(ended.duration < Duration::from_secs(20), "{:?}", ended.duration);
    }

    #[test]
    fn a_signal_and_a_missing_program_are_told_apart() {
        assert_eq!(sh("kill -9 $$", LIMIT).exit_code, 137);
        let argv = ["/no/such/program".to_owned()];
        let program = Program {
            argv: &argv,
            dir: Path::new("/"),
            env: &[],
            timeout: LIMIT,
            keep: 64,
            interruptible: false,
        };
        assert!(run(&program).is_err());
    }

    const LIMIT: Duration = Duration::from_secs(60);
}
