//! One pass over many items in which each event is read once.

use super::batch::derived_files;
use super::error::LedgerError;
use super::fold::{ItemFold, Keep, Sealed};
use super::index::Stopped;
use super::snapshot::Snapshot;
use super::{progress, tree};
use crate::domain::id::ItemId;
use crate::domain::state::ItemState;

/// Follows one item from its first event to its last, and keeps what it came for.
pub trait Follower: Default {
    /// What it came for.
    type Kept: Send;

    /// One event, with the item as it is after it.
    fn see(&mut self, after: &ItemState, sealed: Sealed);

    /// There are no more.
    fn end(self, fold: &ItemFold) -> Self::Kept;
}

/// What is not as an item's events give it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Differs {
    /// A derived file, by its path.
    Derived(String),
    /// The fold or the portfolio's row that this clone keeps, which nothing rests on.
    Kept,
}

impl Snapshot<'_> {
    /// Has each of these items followed by a follower of its own: every event is read once.
    ///
    /// # Errors
    /// When the ledger cannot be read or has no such item; an item that is bad stands as stopped
    /// in its place.
    pub fn follow<F: Follower>(
        &self,
        ids: &[ItemId],
    ) -> Result<Vec<Result<F::Kept, Stopped>>, LedgerError> {
        self.follow_and::<F, _>(ids, |_, _, kept| Ok(kept))
    }

    /// The same, and makes something of each item, its fold and what its follower kept.
    ///
    /// # Errors
    /// As [`Self::follow`], and what `make` says.
    pub fn follow_and<F: Follower, T: Send>(
        &self,
        ids: &[ItemId],
        make: impl Fn(&Snapshot<'_>, &ItemFold, F::Kept) -> Result<T, LedgerError> + Sync,
    ) -> Result<Vec<Result<T, Stopped>>, LedgerError> {
        let items: Vec<&ItemId> = ids.iter().collect();
        let mut all = Vec::with_capacity(ids.len());
        let one = |snapshot: &Snapshot<'_>, id: &ItemId| {
            let followed = snapshot.followed::<F>(id)?;
            followed
                .map(|(fold, kept)| make(snapshot, &fold, kept))
                .map_or_else(|stopped| Ok(Err(stopped)), |made| made.map(Ok))
        };
        self.each(&items, one, |done, kept| {
            progress::tell("items", done, ids.len());
            all.push(kept?);
            Ok::<(), LedgerError>(())
        })?;
        Ok(all)
    }

    /// The files of an item that its events do not give as they stand, and the kept fold where
    /// that is what differs.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn differs(&self, fold: &ItemFold) -> Result<Vec<Differs>, LedgerError> {
        let mut differs = Vec::new();
        for (path, bytes) in derived_files(fold) {
            if tree::file(self.store, self.root, &path)?.as_ref() != Some(&bytes) {
                differs.push(Differs::Derived(path));
            }
        }
        let kept = self.item_keeping(&fold.state.id, Keep::Nothing, None)?;
        if kept.is_none_or(|kept| kept.state != fold.state) {
            differs.push(Differs::Kept);
        }
        Ok(differs)
    }

    fn followed<F: Follower>(
        &self,
        id: &ItemId,
    ) -> Result<Result<(ItemFold, F::Kept), Stopped>, LedgerError> {
        let mut follower = F::default();
        let mut see = |state: &ItemState, sealed| follower.see(state, sealed);
        match self.item_keeping(id, Keep::Nothing, Some(&mut see)) {
            Ok(Some(fold)) => {
                let kept = follower.end(&fold);
                Ok(Ok((fold, kept)))
            }
            Ok(None) => Err(self.unknown(id)?),
            Err(LedgerError::ItemStopped { found, .. }) => {
                Ok(Err(Stopped { id: id.clone(), stop: *found }))
            }
            Err(error) => Err(error),
        }
    }
}
