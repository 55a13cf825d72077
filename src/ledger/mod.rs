//! THE LOG. The only room that says git2: open, snapshot, transact, verify, correct.
//!
//! What is not here: GitHub, agents, flags, terminals. It decides nothing: it asks `domain` and
//! writes what comes back, or nothing.

mod barrier;
mod batch;
mod cache;
mod correct;
mod error;
mod fold;
mod health;
mod history;
mod index;
mod init;
mod line;
mod lock;
mod object;
mod pack;
mod progress;
mod rehearsal;
mod remote;
mod seen;
mod signatures;
mod snapshot;
mod store;
mod sweep;
mod transact;
mod tree;
mod verify;

use std::cmp::Ordering;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use git2::Oid;

pub use barrier::Durability;
pub use cache::Notes;
pub use correct::Corrected;
pub use error::{LedgerError, Rewrite, Stop, Trouble, WayBack};
pub use fold::{ItemFold, Sealed};
pub use health::{Health, LeftLock};
pub use history::{Direction, Entry, History};
pub use index::{Portfolio, Row, Stopped};
pub use init::Founded;
pub use object::{BadObject, Person};
pub use progress::{Progress, Watching, watch};
pub use rehearsal::Rehearsal;
pub use remote::{Rescued, Sharing, Synced};
pub use seen::Foreign;
pub use signatures::{Doubted, SealsOf, Signatures};
pub use snapshot::{FORMAT, Snapshot};
pub use store::Place;
pub use sweep::{Differs, Follower};
pub use transact::{Receipt, Verdict};
pub use verify::{Class, Finding, Since, SinceReport, Verified, VerifyOptions};

use cache::Cache;
use remote::Remote;
use store::Store;

use crate::sign::Signing;

/// How this clone writes.
#[derive(Debug, Clone)]
pub struct Settings {
    pub durability: Durability,
    /// How long a writer queues.
    pub lock_wait: Duration,
    /// Name and version of the writing program, for the seal.
    pub program: String,
    /// Where it is said what does not stop a command.
    pub notes: Notes,
    pub signing: Arc<Signing>,
    pub sharing: Sharing,
}

/// A repository with a ledger branch.
#[derive(Debug)]
pub struct Ledger {
    store: Store,
    cache: Cache,
    settings: Settings,
    /// Where it is shared; `None` for this clone only.
    remote: Option<Remote>,
    /// The commit that is looked at; `None` for the newest.
    at: Option<Oid>,
}

/// A repository that was found, before its ledger is opened.
#[derive(Debug)]
pub struct Located {
    store: Store,
}

impl Located {
    /// Finds the repository around a place.
    ///
    /// # Errors
    /// No repository, or one of a kind this program cannot read, with the remedy.
    pub fn find(place: &Place) -> Result<Self, LedgerError> {
        Ok(Self { store: Store::open(place)? })
    }

    /// Opens its ledger.
    ///
    /// # Errors
    /// When `init` has not been run here.
    pub fn open(self, settings: Settings) -> Result<Ledger, LedgerError> {
        let branch = self.branch().ok_or(LedgerError::NoLedger)?;
        let remote = self.remote();
        Ok(Ledger::over(self.store.on(&branch), remote.as_deref(), settings))
    }

    /// The remote on record in the common git config that the ledger is shared through.
    #[must_use]
    pub fn remote(&self) -> Option<String> {
        self.store.config("stepseal.remote").filter(|name| !name.is_empty())
    }

    /// Whether git knows a remote of this name.
    #[must_use]
    pub fn has_remote(&self, name: &str) -> bool {
        self.store.config(&format!("remote.{name}.url")).is_some()
    }

    /// The ledger branch on record in the common git config.
    #[must_use]
    pub fn branch(&self) -> Option<String> {
        self.store.config("stepseal.branch")
    }

    /// git's user, where one is configured.
    #[must_use]
    pub fn user(&self) -> Option<Person> {
        self.store.user()
    }

    /// git's `gpg.format` and `user.signingkey`, where they are set.
    #[must_use]
    pub fn signing_key(&self) -> (Option<String>, Option<String>) {
        (self.store.config("gpg.format"), self.store.config("user.signingkey"))
    }

    /// The work tree this command runs in; none in a bare repository.
    #[must_use]
    pub fn work_dir(&self) -> Option<&Path> {
        self.store.work_dir()
    }

    /// This work tree's own git folder, where what only it knows is kept.
    #[must_use]
    pub fn git_dir(&self) -> PathBuf {
        self.store.git_dir().to_path_buf()
    }
}

impl Ledger {
    fn over(store: Store, remote: Option<&str>, settings: Settings) -> Self {
        let cache = Cache::new(store.common(), settings.notes.clone());
        let remote = remote.map(|name| Remote::new(name, &store, &settings.sharing));
        Self { store, cache, settings, remote, at: None }
    }

    /// The newest state, with every new commit checked as it arrives.
    ///
    /// # Errors
    /// When the branch is gone or rewritten, or cannot be read.
    pub fn snapshot(&self) -> Result<Snapshot<'_>, LedgerError> {
        match self.at {
            Some(at) => Snapshot::at(&self.store, &self.cache, at),
            None => Snapshot::newest(&self.store, &self.cache),
        }
    }

    /// The newest state as it stands, nothing checked and nothing remembered: for suggestions,
    /// which may be wrong but never slow.
    ///
    /// # Errors
    /// When the branch is gone or cannot be read.
    pub fn glance(&self) -> Result<Snapshot<'_>, LedgerError> {
        let tip = self.store.tip()?.ok_or(LedgerError::NoLedger)?;
        Snapshot::at(&self.store, &self.cache, tip)
    }

    /// The same ledger as it stood at one of its commits, named by hex digits: every snapshot is
    /// of that commit. What is recorded is judged on the newest state all the same.
    ///
    /// # Errors
    /// When there is no such commit on the ledger.
    pub fn at(self, commit: &str) -> Result<Self, LedgerError> {
        let unknown = || {
            LedgerError::Invalid(format!("`{}` is no commit of the ledger", commit.escape_debug()))
        };
        let oid = self.store.commit_named(commit).ok_or_else(unknown)?;
        let tip = self.store.tip()?.ok_or(LedgerError::NoLedger)?;
        if !self.store.on_line(tip, oid, usize::MAX)? {
            return Err(unknown());
        }
        Ok(Self { at: Some(oid), ..self })
    }

    /// The same ledger as it stood before a moment: at its newest commit whose seal is older.
    ///
    /// Commits are in the order of the ledger whatever clocks said, so what stands before that
    /// commit is part of the answer even where its time is later.
    ///
    /// # Errors
    /// When the ledger was made later.
    pub fn before(self, moment: DateTime<Utc>) -> Result<Self, LedgerError> {
        let Some(mut at) = self.at.map_or_else(|| self.store.tip(), |at| Ok(Some(at)))? else {
            return Err(LedgerError::NoLedger);
        };
        for seen in 0.. {
            progress::tell("commits", seen, 0);
            let commit = self.store.commit(at)?;
            // A commit says whole seconds, its seal milliseconds.
            let older = match commit.seconds.cmp(&moment.timestamp()) {
                Ordering::Less => true,
                Ordering::Greater => false,
                Ordering::Equal => seen::last_seal(&self.store, commit.tree)?.0.timestamp < moment,
            };
            if older {
                break;
            }
            let Some(&parent) = commit.parents.first() else {
                let when = moment.to_rfc3339_opts(SecondsFormat::AutoSi, true);
                return Err(LedgerError::Invalid(format!("there was no ledger before {when}")));
            };
            at = parent;
        }
        Ok(Self { at: Some(at), ..self })
    }

    /// The folder of handoffs that wait for the remote, shared by all work trees.
    #[must_use]
    pub fn outbox(&self) -> PathBuf {
        self.store.common().join("stepseal/outbox")
    }

    /// Throws away what is kept beside the ledger to answer sooner; deleting it loses nothing (L9).
    pub fn forget_folds(&self) {
        self.cache.clear();
    }

    /// The branch the ledger is on.
    #[must_use]
    pub fn branch(&self) -> &str {
        self.store.branch()
    }

    /// The work tree this command runs in; none in a bare repository.
    #[must_use]
    pub fn work_dir(&self) -> Option<&Path> {
        self.store.work_dir()
    }
}
