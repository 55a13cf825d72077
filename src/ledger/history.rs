//! The log: events in ledger order, seal by seal, read only as far as somebody reads on.

use std::vec::IntoIter;

use chrono::{DateTime, Utc};
use git2::Oid;

use super::error::{LedgerError, Stop};
use super::fold::{self, Problem, Sealed};
use super::object::Entry as TreeEntry;
use super::seen;
use super::snapshot::Snapshot;
use super::tree;
use crate::artifact::{self, EventPath, Pattern};
use crate::domain::id::{Digest, ItemId};

/// Which end of a history comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    OldestFirst,
    NewestFirst,
}

/// One event of a history, before its file is read.
#[derive(Debug, Clone)]
pub struct Entry {
    pub path: String,
    /// What the path says: item, step and kind.
    pub named: EventPath,
    /// When it happened, where its seal says so: what a producer commits itself happened then.
    pub at: Option<DateTime<Utc>>,
    /// The digest its seal names.
    sha256: Option<Digest>,
    /// Its file, where the folder was read already.
    file: Option<Oid>,
}

/// A history, as an iterator: each step reads one seal at most.
#[derive(Debug)]
pub struct History<'s> {
    snapshot: &'s Snapshot<'s>,
    direction: Direction,
    /// Seals not read yet.
    seals: std::ops::RangeInclusive<u64>,
    /// What is left of the seal that was read last.
    open: IntoIter<Entry>,
}

impl<'s> Snapshot<'s> {
    /// Every event of the ledger, in the order in which it was recorded.
    ///
    /// A seal or an event that cannot be read is one item of the iterator, and those after it
    /// follow: other items go on (L10).
    ///
    /// # Errors
    /// When the last seal cannot be read.
    pub fn history(&'s self, direction: Direction) -> Result<History<'s>, LedgerError> {
        let last = seen::last_seal(self.store, self.root)?.0.seq;
        Ok(History { snapshot: self, direction, seals: 1..=last, open: Vec::new().into_iter() })
    }

    /// The events of one item, in order; none when the ledger has no such item.
    ///
    /// # Errors
    /// When the item's folder is not one of contiguous event files.
    pub fn item_history(
        &'s self,
        id: &ItemId,
        direction: Direction,
    ) -> Result<History<'s>, LedgerError> {
        let folder = artifact::item_folder(id);
        let tree = tree::find(self.store, self.root, &folder)?.filter(TreeEntry::is_folder);
        let files = match tree {
            Some(tree) => fold::ordered(self.store, &folder, tree.oid)
                .map_err(|problem| item_problem(id, problem))?,
            None => Vec::new(),
        };
        let mut entries = Vec::with_capacity(files.len());
        for file in files {
            let path = file.path(&folder);
            let named = artifact::parse_event_path(&path).ok_or_else(|| {
                let found = Box::new(Stop::new(&path, "is no event file"));
                LedgerError::ItemStopped { item: id.clone(), found }
            })?;
            entries.push(Entry { path, named, at: None, sha256: None, file: Some(file.oid) });
        }
        if direction == Direction::NewestFirst {
            entries.reverse();
        }
        Ok(History {
            snapshot: self,
            direction,
            seals: std::ops::RangeInclusive::new(1, 0),
            open: entries.into_iter(),
        })
    }

    /// Reads an event of a history.
    ///
    /// # Errors
    /// When its file is gone, cannot be read, or is not the one that was sealed.
    pub fn read(&self, entry: &Entry) -> Result<Sealed, LedgerError> {
        Ok(self.read_whole(entry)?.0)
    }

    /// The same, with its bytes.
    ///
    /// # Errors
    /// When its file is gone, cannot be read, or is not the one that was sealed.
    pub fn read_whole(&self, entry: &Entry) -> Result<(Sealed, Vec<u8>), LedgerError> {
        let problem = |problem| match &entry.named.item {
            Some(item) => item_problem(item, problem),
            None => ledger_problem(problem),
        };
        let stop = |what: &str| Problem::Stop(Box::new(Stop::new(&entry.path, what)));
        let file = match entry.file {
            Some(file) => file,
            None => tree::find(self.store, self.root, &entry.path)?
                .filter(|file| !file.is_folder())
                .map(|file| file.oid)
                .ok_or_else(|| problem(stop("is missing")))?,
        };
        let bytes = self.store.blob(file)?;
        let sealed = fold::event_of(&entry.path, &bytes).map_err(problem)?;
        match &entry.sha256 {
            Some(sha256) if *sha256 != sealed.sha256 => {
                let mut found = Stop::new(&entry.path, "has other bytes than sealed");
                found.sealed = Some(sha256.clone());
                found.found = Some(sealed.sha256);
                Err(problem(Problem::Stop(Box::new(found))))
            }
            _ => Ok((sealed, bytes)),
        }
    }

    /// When the ledger last recorded something.
    ///
    /// # Errors
    /// When the last seal cannot be read.
    pub fn last_recorded(&self) -> Result<DateTime<Utc>, LedgerError> {
        Ok(seen::last_seal(self.store, self.root)?.0.timestamp)
    }

    /// What stops an item, if somebody changed one of its files.
    ///
    /// # Errors
    /// When the commits that changed it cannot be read.
    pub fn stop_of(&self, id: &ItemId) -> Result<Option<Stop>, LedgerError> {
        match &self.seen {
            Some(seen) => seen.stop(self.store, self.root, id, None),
            None => Ok(None),
        }
    }

    fn sealed_in(&self, seq: u64) -> Result<Vec<Entry>, LedgerError> {
        let (seal, _) = seen::seal_at(self.store, self.root, seq)?;
        let at = (seal.pattern == Pattern::Direct).then_some(seal.timestamp);
        let entry = |file: artifact::SealedFile| {
            let named = artifact::parse_event_path(&file.path)?;
            Some(Entry { path: file.path, named, at, sha256: Some(file.sha256), file: None })
        };
        Ok(seal.artifacts.into_iter().filter_map(entry).collect())
    }
}

fn item_problem(item: &ItemId, problem: Problem) -> LedgerError {
    match problem {
        Problem::Ledger(error) => error,
        Problem::Stop(found) => LedgerError::ItemStopped { item: item.clone(), found },
    }
}

fn ledger_problem(problem: Problem) -> LedgerError {
    match problem {
        Problem::Ledger(error) => error,
        Problem::Stop(found) => LedgerError::LedgerStopped { found },
    }
}

impl Iterator for History<'_> {
    type Item = Result<Entry, LedgerError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(entry) = self.open.next() {
                return Some(Ok(entry));
            }
            let seq = match self.direction {
                Direction::OldestFirst => self.seals.next()?,
                Direction::NewestFirst => self.seals.next_back()?,
            };
            match self.snapshot.sealed_in(seq) {
                Ok(mut entries) => {
                    if self.direction == Direction::NewestFirst {
                        entries.reverse();
                    }
                    self.open = entries.into_iter();
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }
}
