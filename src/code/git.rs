//! Asking git about the user's repository: never a hook, a pager, a filter or the network, and
//! always to an end.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::domain::id::Digest;
use crate::process::{self, Ended, Program};

/// What is kept of an answer; a longer one is none.
const KEEP: usize = 256 * 1024;

/// git, in one folder, until a deadline.
#[derive(Debug)]
pub(super) struct Git {
    dir: PathBuf,
    deadline: Instant,
}

impl Git {
    pub(super) fn new(dir: &Path, limit: Duration) -> Self {
        Self { dir: dir.to_path_buf(), deadline: Instant::now() + limit }
    }

    /// Whether there is time left.
    pub(super) fn in_time(&self) -> bool {
        Instant::now() < self.deadline
    }

    /// Runs git to its end; none where it cannot be started or is out of time.
    pub(super) fn run(&self, ask: &[&str], env: &[(String, String)]) -> Option<Ended> {
        // What is sealed is the objects as they are: no replacements, and nothing is fetched.
        let hermetic = ["-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"];
        let argv: Vec<String> = ["git"]
            .iter()
            .chain(&hermetic)
            .chain(&["--no-optional-locks", "--no-replace-objects", "--literal-pathspecs"])
            .chain(ask)
            .map(|word| (*word).to_owned())
            .collect();
        let quiet = [("LC_ALL", "C"), ("GIT_NO_LAZY_FETCH", "1"), ("GIT_TERMINAL_PROMPT", "0")];
        let env: Vec<(String, String)> = quiet
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .chain(env.iter().cloned())
            .collect();
        let timeout = self.deadline.checked_duration_since(Instant::now())?;
        let program = Program {
            argv: &argv,
            dir: &self.dir,
            env: &env,
            timeout,
            keep: KEEP,
            interruptible: false,
        };
        process::run(&program).ok().filter(|ended| !ended.timed_out)
    }

    /// The whole answer as text; none where git says no, or the answer is too long or no text.
    pub(super) fn text(&self, ask: &[&str], env: &[(String, String)]) -> Option<String> {
        let ended = self.run(ask, env).filter(|ended| ended.exit_code == 0)?;
        let whole = Digest::of(ended.output.as_bytes()).to_bytes() == ended.output_sha256;
        whole.then_some(ended.output)
    }

    /// The same without the end of its line.
    pub(super) fn line(&self, ask: &[&str]) -> Option<String> {
        let text = self.text(ask, &[])?;
        let line = text.trim_end_matches(['\n', '\r']);
        (!line.is_empty() && !line.contains('\n')).then(|| line.to_owned())
    }

    /// A question git answers by its exit code; none where it cannot say.
    pub(super) fn holds(&self, ask: &[&str]) -> Option<bool> {
        match self.run(ask, &[])?.exit_code {
            0 => Some(true),
            1 => Some(false),
            _ => None,
        }
    }
}
