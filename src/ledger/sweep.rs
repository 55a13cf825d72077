//! One pass over many items in which each event is read once.

use super::error::LedgerError;
use super::fold::{ItemFold, Keep, Sealed};
use super::index::Stopped;
use super::progress;
use super::snapshot::Snapshot;
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
        let items: Vec<&ItemId> = ids.iter().collect();
        let mut all = Vec::with_capacity(ids.len());
        let one = |snapshot: &Snapshot<'_>, id: &ItemId| snapshot.followed::<F>(id);
        self.each(&items, one, |done, kept| {
            progress::tell("items", done, ids.len());
            all.push(kept?);
            Ok::<(), LedgerError>(())
        })?;
        Ok(all)
    }

    fn followed<F: Follower>(&self, id: &ItemId) -> Result<Result<F::Kept, Stopped>, LedgerError> {
        let mut follower = F::default();
        let mut see = |state: &ItemState, sealed| follower.see(state, sealed);
        match self.item_keeping(id, Keep::Nothing, Some(&mut see)) {
            Ok(Some(fold)) => Ok(Ok(follower.end(&fold))),
            Ok(None) => Err(self.unknown(id)?),
            Err(LedgerError::ItemStopped { found, .. }) => {
                Ok(Err(Stopped { id: id.clone(), stop: *found }))
            }
            Err(error) => Err(error),
        }
    }
}
