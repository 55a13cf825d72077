//! The user's own repository, read-only: which code a claim and a completion saw (K4), and what
//! of it is on the base branch (B1, B2).
//!
//! What is not here: the ledger, and anything that writes.

#![expect(clippy::disallowed_methods, reason = "the adapter that opens the user's repository")]

mod git;
mod landed;

use std::path::Path;
use std::time::Duration;

use git2::{Repository, RepositoryOpenFlags};

use crate::domain::event::{CodeSeen, Dirty};
use git::Git;

pub use landed::{Base, CodeError};

/// How long a look at the working tree may take before it is "unknown".
const LIMIT: Duration = Duration::from_secs(2);

/// The HEAD commit; with `whole` also its tree and whether the working tree differs.
///
/// Nothing without a work tree or without a commit. The commit is not read here: libgit2 would
/// inflate it, and hangs on a truncated one; git is asked, and has a time limit.
#[must_use]
pub fn seen(dir: &Path, whole: bool) -> Option<CodeSeen> {
    let none: &[&std::ffi::OsStr] = &[];
    let repository = Repository::open_ext(dir, RepositoryOpenFlags::empty(), none).ok()?;
    let work_dir = repository.workdir()?;
    let head = repository.head().ok()?.target()?.to_string();
    if !whole {
        return Some(CodeSeen { head, tree: None, dirty: Dirty::Unknown });
    }
    let git = |ask: &[&str]| {
        // git knows filters, sparse checkouts and submodules; each question has its own limit.
        let ended = Git::new(work_dir, LIMIT).run(ask, &[])?;
        (ended.exit_code == 0).then_some(ended.output)
    };
    let tree = git(&["rev-parse", "--verify", "--quiet", &format!("{head}^{{tree}}")]);
    let dirty = match git(&["status", "--porcelain"]) {
        Some(changes) if changes.is_empty() => Dirty::No,
        Some(_) => Dirty::Yes,
        None => Dirty::Unknown,
    };
    Some(CodeSeen { head, tree: tree.map(|tree| tree.trim().to_owned()), dirty })
}
