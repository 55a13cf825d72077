//! The line of commits, oldest first, with as little of each as judging one needs: a long history
//! has one for every event.

use std::collections::BTreeSet;

use git2::Oid;

use super::error::LedgerError;
use super::object::Commit;
use super::progress;
use super::store::Store;
use super::tree;
use crate::domain::id::Digest;

/// One commit of a line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    pub oid: Oid,
    pub tree: Oid,
    /// It has several parents.
    pub merge: bool,
    /// The number of the seal it says it adds.
    pub seal: Option<u64>,
}

impl Step {
    pub(super) fn of(oid: Oid, commit: &Commit) -> Self {
        let mut lines = commit.message.lines().rev();
        let number = lines.find_map(|line| line.strip_prefix("Stepseal-Seal: "));
        let number = number.and_then(|number| number.parse().ok());
        let seal = number.filter(|number| *number > 0);
        Self { oid, tree: commit.tree, merge: commit.parents.len() > 1, seal }
    }
}

/// First parents from some commit to a tip, oldest first.
pub(super) struct Line<'s> {
    store: &'s Store,
    pub steps: Vec<Step>,
}

impl<'s> Line<'s> {
    /// No commit yet.
    pub(super) fn empty(store: &'s Store) -> Self {
        Self { store, steps: Vec::new() }
    }

    /// Every commit from a tip back, down to one that is `enough` and with it; and why the rest
    /// is not here, where it is not.
    ///
    /// # Errors
    /// When the tip, or an object that is here, cannot be read.
    pub(super) fn back(
        store: &'s Store,
        tip: Oid,
        enough: impl Fn(Oid) -> bool,
    ) -> Result<(Self, Option<LedgerError>), LedgerError> {
        let (mut steps, mut at, mut lost) = (Vec::new(), Some(tip), None);
        while let Some(oid) = at {
            match store.commit(oid) {
                Ok(commit) => {
                    at = commit.parents.first().copied().filter(|_| !enough(oid));
                    steps.push(Step::of(oid, &commit));
                }
                Err(error @ LedgerError::MissingObject { .. }) if oid != tip => {
                    lost = Some(error);
                    break;
                }
                Err(error) => return Err(error),
            }
            progress::tell("commits", steps.len(), 0);
        }
        steps.reverse();
        Ok((Self { store, steps }, lost))
    }

    /// The commit that gave a path the content it has at the end.
    pub(super) fn last_change(&self, path: &str) -> Result<Option<String>, LedgerError> {
        Ok(self.changes(path)?.1.map(|oid| oid.to_string()))
    }

    /// The same, if that is not the one that added it.
    pub(super) fn changed_later(&self, path: &str) -> Result<Option<String>, LedgerError> {
        let (first, last) = self.changes(path)?;
        Ok(last.filter(|last| Some(*last) != first).map(|oid| oid.to_string()))
    }

    /// The first commit that has a path, and the last that changed it.
    fn changes(&self, path: &str) -> Result<(Option<Oid>, Option<Oid>), LedgerError> {
        let (mut first, mut last, mut before) = (None, None, None);
        for step in &self.steps {
            let here = tree::find(self.store, step.tree, path)?.map(|entry| entry.oid);
            if here.is_some() && first.is_none() {
                first = Some(step.oid);
            }
            if here != before {
                last = Some(step.oid);
            }
            before = here;
        }
        Ok((first, last))
    }

    /// The commit a path first appeared in.
    pub(super) fn added_by(&self, path: &str) -> Result<Option<String>, LedgerError> {
        for step in &self.steps {
            if tree::find(self.store, step.tree, path)?.is_some() {
                return Ok(Some(step.oid.to_string()));
            }
        }
        Ok(None)
    }

    /// The commit before one.
    pub(super) fn before(&self, commit: Option<&str>) -> Option<String> {
        let commit = Oid::from_str(commit?).ok()?;
        let at = self.steps.iter().position(|step| step.oid == commit)?;
        at.checked_sub(1).map(|at| self.steps[at].oid.to_string())
    }

    /// The bytes of a path with this digest, from any of the commits.
    pub(super) fn sealed_bytes(
        &self,
        path: &str,
        sha256: &Digest,
    ) -> Result<Option<Vec<u8>>, LedgerError> {
        let mut tried = BTreeSet::new();
        for step in &self.steps {
            if let Some(entry) = tree::find(self.store, step.tree, path)?
                && tried.insert(entry.oid)
                && let Ok(bytes) = self.store.blob(entry.oid)
                && Digest::of(&bytes) == *sha256
            {
                return Ok(Some(bytes));
            }
        }
        Ok(None)
    }
}
