//! What can go wrong with the ledger: the room's one error.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::object::BadObject;
use crate::artifact::{Mark, PaperError};
use crate::domain::id::{Digest, ItemId};
use crate::domain::keys::Unfit;
use crate::domain::refusal::Refusal;
use crate::sign::NotSigned;

/// Why the ledger could not answer or record.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    #[error("{} is not in a git repository", dir.display())]
    NoRepository { dir: PathBuf },
    #[error("this repository has no ledger yet")]
    NoLedger,
    #[error("{what}")]
    Unsupported { what: String, remedy: String },
    #[error("{} belongs to somebody else, so git will not read it", dir.display())]
    ForeignOwner { dir: PathBuf },
    #[error("the ledger branch {branch} is checked out in {}", worktree.display())]
    CheckedOut { branch: String, worktree: PathBuf },
    #[error("branch {branch} exists and is no ledger")]
    NotALedger { branch: String },
    #[error("the ledger of this repository is {known}, not {asked}")]
    OtherLedger { known: String, asked: String },
    #[error(
        "the ledger of this clone is {}, not through {asked}",
        known.as_ref().map_or("not shared".to_owned(), |known| format!("shared through {known}"))
    )]
    OtherRemote { known: Option<String>, asked: String },
    #[error("the ledger was written for format {found}; this program reads {known}")]
    NewerFormat { found: u32, known: u32 },
    /// A rule said no, judged against the newest state.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// An item cannot be read: others can.
    #[error("{item} is stopped: {} {}", found.path, found.what)]
    ItemStopped { item: ItemId, found: Box<Stop> },
    /// A file that concerns the whole ledger cannot be read.
    #[error("the ledger is stopped: {} {}", found.path, found.what)]
    LedgerStopped { found: Box<Stop> },
    #[error("the ledger branch does not contain what this clone has seen: it was {}", how.said())]
    Rewritten {
        how: Rewrite,
        /// Whose branch it is; none for this clone's own.
        remote: Option<String>,
        branch: String,
        seen: String,
        tip: String,
        mark: Mark,
    },
    /// The file of the branch says nothing that is a commit.
    #[error("the ledger branch cannot be read: {why}")]
    BadBranch { branch: String, file: PathBuf, why: String, seen: Option<String> },
    #[error("object {oid} {why}")]
    BadObject { oid: String, why: BadObject, way: Box<WayBack> },
    #[error("object {oid} is missing")]
    MissingObject { oid: String, way: Box<WayBack> },
    /// The queue for the lock was too long.
    #[error("the ledger is busy: its lock was not free within {}", seconds(*.0))]
    Busy(Duration),
    /// Every try lost the race.
    #[error("the ledger branch moved at each of {tries} tries")]
    Contended { tries: u32 },
    /// It may have been recorded.
    #[error("whether it was recorded is unknown: {why}")]
    Unknown { why: String },
    /// The remote could not be asked, or said no: nothing was recorded.
    #[error("{remote} {}", trouble.said())]
    Remote { remote: String, trouble: Trouble, said: String },
    /// This clone's branch and the remote's each have what the other has not.
    #[error("the ledger of this clone and the one of {remote} are two histories")]
    Forked { remote: String, local: String, shared: String },
    #[error("{doing} failed: {why}")]
    Git { doing: String, why: String },
    #[error("{doing} {} failed: {why}", path.display())]
    Io { doing: String, path: PathBuf, why: String },
    #[error("the event cannot be written: {0}")]
    Paper(#[from] PaperError),
    /// There is no signature, so nothing was recorded.
    #[error("{0}")]
    NotSigned(#[from] NotSigned),
    /// The signature would not hold: every reader would refuse the commit.
    #[error("the seal cannot be signed as it should: {0}")]
    Unfit(#[from] Unfit),
    #[error("this clone remembers no verification to go on from")]
    NeverVerified,
    #[error("{0}")]
    Invalid(String),
}

/// How an object that cannot be had comes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WayBack {
    /// The damaged file; none for an object in a pack, or for one that is nowhere.
    pub file: Option<PathBuf>,
    /// Whether the history of this clone was cut on purpose.
    pub shallow: bool,
    /// The remote to fetch from, where one is configured.
    pub remote: Option<String>,
    pub branch: String,
    /// Where this clone saw the branch, when the branch names the object and may be wrong itself.
    pub seen: Option<String>,
}

/// Why a remote does not take part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// It does not know who asks, or what they may.
    Credentials,
    /// A hook or a rule of its own.
    Refused,
    Unreachable,
    TimedOut,
    /// There is no such remote, or nothing of git's where it points.
    NoRemote,
    /// The git program is not there.
    NoGit,
}

impl Trouble {
    /// What it does, in words that follow its name.
    fn said(self) -> &'static str {
        match self {
            Self::Credentials => "does not let this clone in",
            Self::Refused => "does not take what was to be recorded",
            Self::Unreachable => "cannot be reached",
            Self::TimedOut => "did not answer in time",
            Self::NoRemote => "is no remote of this repository that git can use",
            Self::NoGit => "cannot be asked: the git program does not start",
        }
    }

    /// The stable word of `--json`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Credentials => "remote-credentials",
            Self::Refused => "remote-refused",
            Self::Unreachable => "remote-unreachable",
            Self::TimedOut => "remote-timed-out",
            Self::NoRemote => "no-remote",
            Self::NoGit => "no-git",
        }
    }
}

/// How a branch lost what was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rewrite {
    /// The tip is an ancestor of what was seen.
    CutTail,
    /// Another history stands there.
    Rewritten,
    /// The branch is gone.
    Deleted,
}

impl Rewrite {
    /// What happened, in a sentence.
    fn said(self) -> &'static str {
        match self {
            Self::CutTail => "cut short",
            Self::Rewritten => "rewritten",
            Self::Deleted => "deleted",
        }
    }

    /// The class `verify` names.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::CutTail => "cut-tail",
            Self::Rewritten => "rewritten",
            Self::Deleted => "deleted",
        }
    }
}

/// A bad artifact (L10): path, what is wrong, where in it, and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    pub path: String,
    pub what: String,
    /// JSON pointer.
    pub pointer: Option<String>,
    pub sealed: Option<Digest>,
    pub found: Option<Digest>,
    /// The commit that changed it, and the last good one before it.
    pub commit: Option<String>,
    pub before: Option<String>,
}

impl Stop {
    pub(super) fn new(path: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            what: what.into(),
            pointer: None,
            sealed: None,
            found: None,
            commit: None,
            before: None,
        }
    }
}

fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs_f64())
}

impl LedgerError {
    pub(super) fn git(doing: &str, error: &git2::Error) -> Self {
        Self::Git { doing: doing.to_owned(), why: error.message().to_owned() }
    }

    pub(super) fn io(doing: &str, path: &Path, error: &std::io::Error) -> Self {
        Self::Io { doing: doing.to_owned(), path: path.to_path_buf(), why: error.to_string() }
    }
}

impl From<Refusal> for LedgerError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}
