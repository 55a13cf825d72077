//! What surrounds the ledger and may be in its way: looked at, and left as it is.
#![expect(
    clippy::disallowed_methods,
    reason = "the adapter that looks at the repository's folders"
)]

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::Ledger;
use super::error::LedgerError;
use super::remote;

/// A `.lock` that a command would still wait for.
const FRESH: Duration = Duration::from_secs(10);

/// Locks below the common git folder that stand in the way of a writer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftLock {
    pub path: PathBuf,
    /// Seconds since it was made.
    pub age: u64,
}

/// What was found.
#[derive(Debug, Clone)]
pub struct Health {
    /// What `git --version` says; none where git does not start.
    pub git: Option<(u32, u32)>,
    pub shallow: bool,
    pub bare: bool,
    /// How many loose objects there are, about.
    pub loose: usize,
    pub left_locks: Vec<LeftLock>,
}

impl Ledger {
    /// Looks at the repository around the ledger.
    #[must_use]
    pub fn health(&self) -> Health {
        let common = self.store.common();
        let mut left_locks = Vec::new();
        let branch = self.store.reference_path();
        let seen = self.remote.as_ref().map(|remote| common.join(remote.reference()));
        for file in
            [Some(branch), seen, Some(common.join("config")), Some(common.join("packed-refs"))]
                .into_iter()
                .flatten()
        {
            left_locks.extend(left(&file));
        }
        // Objects are spread evenly over 256 folders: one tells, as `git gc --auto` does it.
        let sample = std::fs::read_dir(common.join("objects/17"));
        Health {
            git: remote::git_version(self.store.git_dir()),
            shallow: self.store.is_shallow(),
            bare: self.store.work_dir().is_none(),
            loose: sample.map_or(0, |entries| entries.count() * 256),
            left_locks,
        }
    }

    /// Asks the remote whether this clone may push the ledger's branch, and changes nothing.
    ///
    /// # Errors
    /// What the remote says.
    pub fn may_push(&self) -> Result<(), LedgerError> {
        let Some(remote) = &self.remote else { return Ok(()) };
        let Some(tip) = self.store.tip()? else { return Ok(()) };
        remote.try_push(tip)
    }

    /// The clocks: the newest seal's time, which a clock that is right is not much before.
    ///
    /// # Errors
    /// When the last seal cannot be read.
    pub fn newest_seal(&self) -> Result<chrono::DateTime<chrono::Utc>, LedgerError> {
        self.snapshot()?.last_recorded()
    }
}

fn left(file: &Path) -> Option<LeftLock> {
    let mut name = file.as_os_str().to_owned();
    name.push(".lock");
    let path = PathBuf::from(name);
    let made = std::fs::metadata(&path).ok()?.modified().ok()?;
    let age = SystemTime::now().duration_since(made).unwrap_or_default();
    (age >= FRESH).then_some(LeftLock { path, age: age.as_secs() })
}
