//! The user's own repository, read-only: which code a claim and a completion saw (K4).
//!
//! What is not here: the ledger, and anything that writes.

#![expect(clippy::disallowed_methods, reason = "the adapter that opens the user's repository")]

use std::path::Path;
use std::time::Duration;

use git2::{Repository, RepositoryOpenFlags};

use crate::domain::event::{CodeSeen, Dirty};
use crate::process::{self, Program};

/// How long a look at the working tree may take before it is "unknown".
const LIMIT: Duration = Duration::from_secs(2);

/// The HEAD commit; with `whole` also its tree and whether the working tree differs.
///
/// Nothing without a work tree or without a commit.
#[must_use]
pub fn seen(dir: &Path, whole: bool) -> Option<CodeSeen> {
    let none: &[&std::ffi::OsStr] = &[];
    let repository = Repository::open_ext(dir, RepositoryOpenFlags::empty(), none).ok()?;
    let work_dir = repository.workdir()?;
    let head = repository.head().ok()?.peel_to_commit().ok()?;
    Some(CodeSeen {
        head: head.id().to_string(),
        tree: whole.then(|| head.tree_id().to_string()),
        dirty: if whole { dirty(work_dir) } else { Dirty::Unknown },
    })
}

/// Asks git, which knows filters, sparse checkouts and submodules, without letting it run hooks.
fn dirty(work_dir: &Path) -> Dirty {
    let argv = [
        "git",
        "-c",
        "core.fsmonitor=false",
        "-c",
        "core.hooksPath=/dev/null",
        "--no-optional-locks",
        "status",
        "--porcelain",
    ]
    .map(str::to_owned);
    let env = [("LC_ALL".to_owned(), "C".to_owned())];
    let program = Program {
        argv: &argv,
        dir: work_dir,
        env: &env,
        timeout: LIMIT,
        keep: 1024,
        interruptible: false,
    };
    match process::run(&program) {
        Ok(ended) if ended.exit_code == 0 && ended.output.is_empty() => Dirty::No,
        Ok(ended) if ended.exit_code == 0 => Dirty::Yes,
        _ => Dirty::Unknown,
    }
}
