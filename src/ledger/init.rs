//! The first commit of a ledger, or the adoption of one that is there (L1).

use std::time::Duration;

use chrono::Utc;
use git2::Oid;

use super::barrier::Barrier;
use super::error::LedgerError;
use super::lock::{self, WriterLock};
use super::remote::Shared;
use super::seen::Seen;
use super::store::Swap;
use super::transact::seal;
use super::tree::{self, Changes};
use super::{Ledger, Located, Settings, snapshot};
use crate::artifact::{
    self, Frontier, LEDGER_DOC, LedgerDoc, Pattern, README, Recovery, SealedFile, encode, seal_path,
};
use crate::domain::id::Digest;
use crate::domain::moment::Moment;

/// How often a lost race is tried again: with a pause each, longer than a `.lock` is fresh.
const TRIES: u32 = 60;

/// What `init` found or made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Founded {
    Created,
    /// A local ledger was there already.
    Existed {
        items: usize,
    },
    /// Taken from the remote it is shared through, or from a remote-tracking branch as it was at
    /// the last fetch.
    Adopted {
        from: String,
        items: usize,
    },
}

/// What the branch's README says: it is the first thing a curious person opens.
fn readme(branch: &str) -> String {
    format!(
        "# {branch}\n\n\
         This branch is a ledger written by stepseal: every file below `artifacts/` is a sealed\n\
         record of who did what, in which order. Nobody edits it by hand and nothing is ever\n\
         checked out from it.\n\n\
         - `artifacts/handoff/` holds the events, one JSON file each, written once.\n\
         - `artifacts/seals/` holds one seal per commit: they chain, and a changed file shows.\n\
         - everything else is derived from these.\n\n\
         Check it with `stepseal verify`; read it with `stepseal status` and `stepseal log`.\n"
    )
}

impl Located {
    /// Creates the ledger, or adopts the one that is there; safe to repeat and to race.
    ///
    /// # Errors
    /// A repository that cannot be used, another ledger on record, or a branch that is none.
    pub fn init(
        self,
        branch: &str,
        remote: Option<&str>,
        settings: Settings,
        moment: &Moment,
    ) -> Result<(Ledger, Founded), LedgerError> {
        let known = self.remote();
        if let (Some(known), Some(asked)) = (&known, remote)
            && known != asked
        {
            let (known, asked) = (Some(known.clone()), asked.to_owned());
            return Err(LedgerError::OtherRemote { known, asked });
        }
        let remote = remote.map(str::to_owned).or(known);
        let store = self.store.on(branch);
        if let Some(known) = store.config("stepseal.branch").filter(|known| known != branch) {
            return Err(LedgerError::OtherLedger { known, asked: branch.to_owned() });
        }
        let ledger = Ledger::over(store, remote.as_deref(), settings);
        if let Some(worktree) = ledger.store.checked_out() {
            return Err(LedgerError::CheckedOut { branch: branch.to_owned(), worktree });
        }
        let lock = ledger.lock()?;
        let barrier = Barrier::begin(&ledger.store, ledger.settings.durability)?;
        let mut cleared = None;
        for _ in 0..TRIES {
            let shared = match &ledger.remote {
                Some(remote) => remote.fetch(&ledger.store)?,
                None => None,
            };
            if let Some(shared) = shared {
                ledger.check_is_ledger(shared)?;
            }
            if let Some(tip) = ledger.store.tip()? {
                ledger.check_is_ledger(tip)?;
                if let Some(remote) = &ledger.remote {
                    ledger.catch_up(remote, &lock)?;
                }
                let items = ledger.snapshot()?.item_ids()?.len();
                ledger.remember(&lock, &barrier, branch)?;
                return Ok((ledger, Founded::Existed { items }));
            }
            // A ledger that is shared is at its remote, and nowhere else.
            let tracking = match &ledger.remote {
                Some(remote) => shared.map(|_| remote.reference()).into_iter().collect(),
                None => ledger.store.tracking(),
            };
            if let [_, _, ..] = tracking.as_slice() {
                return Err(LedgerError::Invalid(format!(
                    "{} all have a branch of that name; make the one you mean: git branch {branch} REMOTE/{branch}",
                    tracking.join(" and ")
                )));
            }
            let seen = Seen::load(&ledger.cache);
            let (commit, from) = match tracking.first() {
                Some(name) => {
                    let tip = ledger.store.resolve(name)?.ok_or(LedgerError::NoLedger)?;
                    ledger.check_is_ledger(tip)?;
                    if let Some(seen) = seen {
                        seen.advance(&ledger.store, tip)?;
                    }
                    let from = match &ledger.remote {
                        Some(remote) => format!("{}/{branch}", remote.name),
                        None => name.trim_start_matches("refs/remotes/").to_owned(),
                    };
                    (tip, Some(from))
                }
                // A ledger that was here is not founded anew: its history would be forgotten.
                None if let Some(seen) = seen => {
                    return Err(seen.gone(&ledger.store));
                }
                None => (ledger.first_commit(moment, &barrier, cleared.clone())?, None),
            };
            if let (Some(remote), None) = (&ledger.remote, shared)
                && let Shared::Lost = ledger.share(remote, None, commit)?
            {
                // Another first user was quicker: theirs is adopted.
                continue;
            }
            match ledger.store.swap(None, commit, "stepseal: init") {
                Swap::Moved => {}
                Swap::Lost { locked } => {
                    if locked {
                        match lock.clear_stale(&ledger.store.reference_path()) {
                            Some(name) => cleared = Some(name),
                            None => lock::pause(Duration::from_millis(50)),
                        }
                    }
                    continue;
                }
                Swap::Unknown(why) => {
                    if ledger.store.tip()? != Some(commit) {
                        return Err(LedgerError::Git { doing: "creating the branch".into(), why });
                    }
                }
            }
            let unknown = |error: LedgerError| LedgerError::Unknown { why: error.to_string() };
            // The ledger is there: what fails from here on is not "nothing was recorded".
            let items = || {
                barrier.reference()?;
                ledger.check_is_ledger(commit)?;
                Seen::first(&ledger.store, commit)?.save(&ledger.cache);
                ledger.remember(&lock, &barrier, branch)?;
                Ok(ledger.snapshot()?.item_ids()?.len())
            };
            let items = items().map_err(unknown)?;
            let founded = match from {
                Some(from) => Founded::Adopted { from, items },
                None => Founded::Created,
            };
            return Ok((ledger, founded));
        }
        Err(LedgerError::Contended { tries: TRIES })
    }
}

impl Ledger {
    /// Writes the ledger's identity to the common git config: where it is shared before what it is,
    /// so that whoever finds the branch finds the remote too.
    fn remember(
        &self,
        lock: &WriterLock,
        barrier: &Barrier<'_>,
        branch: &str,
    ) -> Result<(), LedgerError> {
        if let Some(remote) = &self.remote {
            self.configure(lock, "stepseal.remote", &remote.name)?;
        }
        self.configure(lock, "stepseal.branch", branch)?;
        barrier.file(&self.store.common().join("config"))
    }

    /// Writes one value to the common git config, past a lock that a killed process left there.
    fn configure(&self, lock: &WriterLock, key: &str, value: &str) -> Result<(), LedgerError> {
        let config = self.store.common().join("config");
        for _ in 0..TRIES {
            let known = self.store.config(key).as_deref() == Some(value);
            if known || self.store.set_config(key, value)? {
                return Ok(());
            }
            if lock.clear_stale(&config).is_none() {
                lock::pause(Duration::from_millis(50));
            }
        }
        Err(LedgerError::Contended { tries: TRIES })
    }

    /// Refuses a branch that happens to have the name.
    pub(super) fn check_is_ledger(&self, tip: Oid) -> Result<(), LedgerError> {
        let root = self.store.commit(tip)?.tree;
        if tree::find(&self.store, root, LEDGER_DOC)?.is_some() {
            return Ok(());
        }
        Err(LedgerError::NotALedger { branch: self.store.branch().to_owned() })
    }

    /// Seal 1: size 0, no leaves, and the digests of what the branch says of itself.
    fn first_commit(
        &self,
        moment: &Moment,
        barrier: &Barrier<'_>,
        cleared: Option<String>,
    ) -> Result<Oid, LedgerError> {
        let created: chrono::DateTime<Utc> = moment.now();
        let doc = LedgerDoc {
            schema: "stepseal/ledger/1".into(),
            format: snapshot::FORMAT,
            id: moment.event_id(0).uuid(),
            created,
        };
        let documents =
            [(LEDGER_DOC, encode(&doc)), (README, readme(self.store.branch()).into_bytes())];
        let sealed = documents
            .iter()
            .map(|(path, bytes)| SealedFile { path: (*path).to_owned(), sha256: Digest::of(bytes) })
            .collect();
        let recovery = cleared.map(|name| Recovery {
            foreign_commits: Vec::new(),
            restored: Vec::new(),
            cleared_lock: Some(name),
        });
        let tree = Frontier::default();
        let direct = Pattern::Direct;
        let seal = seal(moment, &self.settings, None, tree, &[], sealed, None, direct, recovery);
        let mut changes: Changes =
            documents.into_iter().map(|(path, bytes)| (path.to_owned(), Some(bytes))).collect();
        changes.insert(seal_path(1), Some(artifact::encode(&seal)));
        let (root, written) = tree::splice(&self.store, None, &changes)?;
        let message = format!(
            "stepseal: ledger created\n\nStepseal-Seal: 1\nStepseal-Mark: {}\n",
            seal.mark()
        );
        let paths = changes.into_keys().collect();
        let draft = self.commit(moment, None, root, written, &message, seal, paths)?;
        barrier.objects(&draft.written)?;
        self.read_back(&draft)?;
        Ok(draft.commit)
    }
}
