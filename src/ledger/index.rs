//! The portfolio: one row an item, kept beside the ledger, keyed by its tree and caught up by
//! comparing trees oid by oid. Deleting it loses nothing (L9).

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::error::{LedgerError, Stop};
use super::snapshot::Snapshot;
use super::tree;
use crate::artifact::{HANDOFF, LEDGER_FOLDER};
use crate::domain::id::{AttemptId, Digest, ExecutorId, ItemId, PrincipalId, StepKey};
use crate::domain::schedule::{Answer, Schedule};
use crate::domain::state::ItemState;
use crate::domain::status::{Status, statuses};
use crate::domain::workflow::Workflow;

/// The file in the common git folder.
const FILE: &str = "portfolio";

/// How many keys a row names of each sort.
const KEYS: usize = 20;

/// One item in the portfolio.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    pub id: ItemId,
    pub title: String,
    pub workflow: String,
    /// [`Status::word`]; the flags after it.
    pub status: String,
    pub flags: Vec<String>,
    pub done: u32,
    pub steps: u32,
    pub ready: Vec<StepKey>,
    pub ready_count: u32,
    pub gates: Vec<StepKey>,
    pub in_progress: Vec<(AttemptId, ExecutorId, DateTime<Utc>)>,
    /// Since when the longest-waiting ready step or pending gate has been queued.
    pub waiting_since: Option<DateTime<Utc>>,
    pub registered_at: DateTime<Utc>,
    pub last_at: DateTime<Utc>,
    pub priority: Option<u32>,
    pub labels: Vec<String>,
    pub owner: Option<PrincipalId>,
    /// Digest of the plan it came from.
    pub plan: Option<Digest>,
}

/// An item the portfolio cannot show.
#[derive(Debug, Clone)]
pub struct Stopped {
    pub id: ItemId,
    pub stop: Stop,
}

/// Every item of a ledger, by id.
#[derive(Debug, Clone, Default)]
pub struct Portfolio {
    pub rows: Vec<Row>,
    pub stopped: Vec<Stopped>,
}

/// What is kept between commands.
#[derive(Default, Serialize, Deserialize)]
struct Kept {
    handoff: String,
    shards: BTreeMap<String, Shard>,
}

/// One folder of items.
#[derive(Default, Clone, Serialize, Deserialize)]
struct Shard {
    tree: String,
    rows: BTreeMap<String, (String, Row)>,
}

impl Snapshot<'_> {
    /// Every item, as rows.
    ///
    /// # Errors
    /// When the tree cannot be read; a single bad item is listed as stopped.
    pub fn portfolio(&self) -> Result<Portfolio, LedgerError> {
        let handoff = tree::find(self.store, self.root, HANDOFF)?;
        let Some(handoff) = handoff else { return Ok(Portfolio::default()) };
        let name = handoff.oid.to_string();
        let mut kept: Kept = self.cache.load(FILE).unwrap_or_default();
        let mut portfolio = Portfolio::default();
        if kept.handoff != name {
            let mut shards = BTreeMap::new();
            for entry in self.store.tree(handoff.oid)?.iter() {
                if entry.name == LEDGER_FOLDER || !entry.is_folder() {
                    continue;
                }
                let tree = entry.oid.to_string();
                let old = kept.shards.remove(&entry.name).unwrap_or_default();
                let shard = if old.tree == tree { old } else { self.shard(&old, entry.oid)? };
                shards.insert(entry.name.clone(), shard);
            }
            kept = Kept { handoff: name, shards };
            if self.seen.is_some() {
                self.cache.save(FILE, &kept);
            }
        }
        let foreign = !self.foreign().is_empty();
        for shard in kept.shards.values() {
            for (_, row) in shard.rows.values() {
                // A foreign change may stand in a file the row does not come from.
                if foreign && let Err(LedgerError::ItemStopped { .. }) = self.item(&row.id) {
                    continue;
                }
                portfolio.rows.push(row.clone());
            }
        }
        portfolio.rows.sort_by(|a, b| a.id.cmp(&b.id));
        let known: std::collections::BTreeSet<&ItemId> =
            portfolio.rows.iter().map(|row| &row.id).collect();
        let listed: usize = kept.shards.values().map(|shard| shard.rows.len()).sum();
        if listed != known.len() || kept.shards.values().any(|shard| shard.tree.is_empty()) {
            let ids = self.item_ids()?;
            for id in ids.into_iter().filter(|id| !known.contains(id)) {
                if let Err(LedgerError::ItemStopped { item, found }) = self.item(&id) {
                    portfolio.stopped.push(Stopped { id: item, stop: *found });
                }
            }
        }
        Ok(portfolio)
    }

    /// Folds the items of one folder that changed. A folder with a bad item is not marked as
    /// caught up, so that it is looked at again.
    fn shard(&self, old: &Shard, oid: git2::Oid) -> Result<Shard, LedgerError> {
        let mut shard = Shard { tree: oid.to_string(), rows: BTreeMap::new() };
        for entry in self.store.tree(oid)?.iter() {
            let subtree = entry.oid.to_string();
            if let Some((kept, row)) = old.rows.get(&entry.name)
                && *kept == subtree
            {
                shard.rows.insert(entry.name.clone(), (subtree, row.clone()));
                continue;
            }
            let Ok(id) = entry.name.parse::<ItemId>() else {
                shard.tree = String::new();
                continue;
            };
            match self.item(&id) {
                Ok(Some(fold)) => {
                    let row = Row::of(&fold.workflow, &fold.state);
                    shard.rows.insert(entry.name.clone(), (subtree, row));
                }
                Ok(None) | Err(LedgerError::ItemStopped { .. }) => shard.tree = String::new(),
                Err(error) => return Err(error),
            }
        }
        Ok(shard)
    }
}

impl Row {
    /// The row of one item.
    #[must_use]
    pub fn of(workflow: &Workflow, item: &ItemState) -> Self {
        let schedule = Schedule::of(workflow, item);
        let words: Vec<&str> = statuses(item, &schedule).into_iter().map(Status::word).collect();
        let key = |at: usize| workflow.steps()[at].key.clone();
        let mut row = Self {
            id: item.id.clone(),
            title: item.title.clone(),
            workflow: format!("{}@{}", item.workflow.name, item.workflow.version),
            status: words.first().copied().unwrap_or("blocked").to_owned(),
            flags: words.iter().skip(1).map(|&word| word.to_owned()).collect(),
            done: u32::try_from(schedule.done.iter().filter(|d| **d).count()).unwrap_or(u32::MAX),
            steps: u32::try_from(schedule.done.len()).unwrap_or(u32::MAX),
            ready: schedule.ready.iter().take(KEYS).map(|&at| key(at)).collect(),
            ready_count: u32::try_from(schedule.ready.len()).unwrap_or(u32::MAX),
            gates: Vec::new(),
            in_progress: Vec::new(),
            waiting_since: None,
            registered_at: item.registered_at,
            last_at: item.last_at,
            priority: item.priority,
            labels: item.labels.clone(),
            owner: item.owner.clone(),
            plan: item.plan.as_ref().map(|plan| plan.digest.clone()),
        };
        for (at, answer) in schedule.answers.iter().enumerate() {
            let attempt = item.steps[at].current();
            match answer {
                Answer::PendingGate(_) | Answer::Ready { .. } => {
                    if matches!(answer, Answer::PendingGate(_)) {
                        row.gates.push(key(at));
                    }
                    let since = attempt.map(|attempt| attempt.queued_at);
                    row.waiting_since = match (row.waiting_since, since) {
                        (Some(a), Some(b)) => Some(a.min(b)),
                        (a, b) => a.or(b),
                    };
                }
                Answer::InProgress(id) => {
                    if let Some(claim) = attempt.and_then(|attempt| attempt.claim.as_ref())
                        && row.in_progress.len() < KEYS
                    {
                        row.in_progress.push((id.clone(), claim.executor.clone(), claim.at));
                    }
                }
                Answer::Done(_)
                | Answer::Held { .. }
                | Answer::NeedsRequeue { .. }
                | Answer::Unopened
                | Answer::Waiting => {}
            }
        }
        row
    }
}
