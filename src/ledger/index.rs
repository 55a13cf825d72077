//! The portfolio: one row an item, kept beside the ledger, keyed by its tree and caught up by
//! comparing trees oid by oid. Deleting it loses nothing (L9).

use std::collections::BTreeMap;
use std::sync::mpsc::sync_channel;

use chrono::{DateTime, Utc};
use git2::Oid;
use serde::{Deserialize, Serialize};

use super::cache::Cache;
use super::error::{LedgerError, Stop};
use super::fold::Keep;
use super::seen::Seen;
use super::snapshot::Snapshot;
use super::store::Store;
use super::{progress, tree};
use crate::artifact::{HANDOFF, LEDGER_FOLDER, WORKFLOWS};
use crate::domain::event::EventKind;
use crate::domain::id::{AttemptId, Digest, ExecutorId, ItemId, PrincipalId, RequestId, StepKey};
use crate::domain::schedule::{Answer, Schedule};
use crate::domain::state::ItemState;
use crate::domain::status::{Status, statuses};
use crate::domain::workflow::Workflow;

/// The file in the common git folder.
const FILE: &str = "portfolio";

/// How many keys a row names of each sort.
const KEYS: usize = 20;

/// With fewer new folds than this the kept file stays as it is: folding them again is cheaper than
/// writing a large portfolio after every claim.
const WORTH_KEEPING: usize = 32;

/// With more items to fold than this, several threads do it.
const WORTH_SHARING: usize = 128;

/// How many items a thread makes something of before somebody takes the first.
const AHEAD: usize = 16;

/// How many items a thread folds before it tells how far it is.
const BEFORE_TELLING: usize = 128;

/// One item in the portfolio.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    pub id: ItemId,
    pub title: String,
    pub workflow: String,
    pub status: Status,
    /// What else holds.
    pub flags: Vec<Status>,
    pub done: u32,
    pub steps: u32,
    pub ready: Vec<StepKey>,
    pub ready_count: u32,
    pub gates: Vec<StepKey>,
    pub in_progress: Vec<(AttemptId, ExecutorId, DateTime<Utc>)>,
    /// Since when the longest-waiting ready step or pending gate has been queued.
    #[serde(with = "chrono::serde::ts_milliseconds_option")]
    pub waiting_since: Option<DateTime<Utc>>,
    #[serde(with = "chrono::serde::ts_milliseconds")]
    pub registered_at: DateTime<Utc>,
    #[serde(with = "chrono::serde::ts_milliseconds")]
    pub last_at: DateTime<Utc>,
    pub priority: Option<u32>,
    pub labels: Vec<String>,
    pub owner: Option<PrincipalId>,
    /// Digest of the plan it came from.
    pub plan: Option<Digest>,
    /// Where it lives on, when it was merged or closed.
    pub survivor: Option<ItemId>,
    /// How many related items it names.
    pub linked: u32,
    /// Whether a person has decided about a suspicion, or that there is none.
    pub reviewed: bool,
    pub open_blockers: u32,
    pub blockers: u32,
    /// The requests that claimed a step of it, as [`Row::request`] shortens them.
    claims: Vec<u64>,
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
    /// The tree all items are in.
    handoff: Name,
    /// The folders of items by name, with their trees.
    shards: Vec<(String, Name)>,
    /// By id.
    rows: Vec<KeptRow>,
}

/// One item's row, and the folder and subtree it was made of.
#[derive(Serialize, Deserialize)]
struct KeptRow {
    shard: u16,
    subtree: Name,
    row: Row,
}

/// A git object id; all zero for a tree that must be looked at again.
type Name = [u8; 20];

fn name_of(oid: Oid) -> Name {
    let mut name = Name::default();
    name.copy_from_slice(oid.as_bytes());
    name
}

/// An item to fold: the position of its folder, its id, its subtree.
type Task = (u16, ItemId, Oid);

/// Its row, or what stops it, if anything was there at all.
type Folded = Result<Row, Option<Box<Stop>>>;

impl Snapshot<'_> {
    /// Every item, as rows.
    ///
    /// # Errors
    /// When the tree cannot be read; a single bad item is listed as stopped.
    pub fn portfolio(&self) -> Result<Portfolio, LedgerError> {
        let handoff = tree::find(self.store, self.root, HANDOFF)?;
        let Some(handoff) = handoff else { return Ok(Portfolio::default()) };
        let mut kept: Kept = self.cache.load(FILE).unwrap_or_default();
        let mut stopped = Vec::new();
        if kept.handoff != name_of(handoff.oid) {
            let (caught_up, folded) = self.catch_up(kept, handoff.oid, &mut stopped)?;
            kept = caught_up;
            if self.seen.is_some() && folded >= WORTH_KEEPING {
                self.cache.save(FILE, &kept);
            }
        }
        let mut rows: Vec<Row> = kept.rows.into_iter().map(|kept| kept.row).collect();
        // A foreign change may stand in a file the row does not come from.
        if !self.foreign().is_empty() {
            let mut sound = Vec::with_capacity(rows.len());
            for row in rows {
                match self.stopped_by(&row)? {
                    Some(stop) => stopped.push(Stopped { id: row.id, stop }),
                    None => sound.push(row),
                }
            }
            rows = sound;
        }
        stopped.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(Portfolio { rows, stopped })
    }

    /// The foreign change that stops an item, to its own files or to its workflow's.
    fn stopped_by(&self, row: &Row) -> Result<Option<Stop>, LedgerError> {
        let Some(seen) = &self.seen else { return Ok(None) };
        let path = row
            .workflow
            .rsplit_once('@')
            .map(|(name, version)| format!("{WORKFLOWS}/{name}/v{version}.json"));
        seen.stop(self.store, self.root, &row.id, path.as_deref())
    }

    /// Folds the items whose subtree changed, and says how many. A folder with a bad item is not
    /// marked as caught up, so that it is looked at again.
    fn catch_up(
        &self,
        kept: Kept,
        handoff: Oid,
        stopped: &mut Vec<Stopped>,
    ) -> Result<(Kept, usize), LedgerError> {
        let known: BTreeMap<&str, (u16, Name)> = (0..)
            .zip(&kept.shards)
            .map(|(at, (name, tree))| (name.as_str(), (at, *tree)))
            .collect();
        let mut shards = Vec::new();
        // Where an old folder's rows go, when the folder is as it was.
        let mut unchanged = vec![None; kept.shards.len()];
        let mut changed = Vec::new();
        for entry in self.store.tree(handoff)?.iter() {
            if entry.name == LEDGER_FOLDER || !entry.is_folder() {
                continue;
            }
            let at = u16::try_from(shards.len()).unwrap_or(u16::MAX);
            match known.get(&*entry.name) {
                Some((was, tree)) if *tree == name_of(entry.oid) => {
                    unchanged[usize::from(*was)] = Some(at);
                }
                _ => changed.push((at, entry.oid)),
            }
            shards.push((entry.name.into_owned(), name_of(entry.oid)));
        }
        let mut rows = Vec::with_capacity(kept.rows.len());
        let mut old = BTreeMap::new();
        for mut row in kept.rows {
            match unchanged[usize::from(row.shard)] {
                Some(at) => {
                    row.shard = at;
                    rows.push(row);
                }
                None => {
                    old.insert(row.row.id.as_str().to_owned(), row);
                }
            }
        }
        let mut tasks: Vec<Task> = Vec::new();
        for (at, tree) in changed {
            for entry in self.store.tree(tree)?.iter() {
                let same =
                    old.get(&*entry.name).is_some_and(|row| row.subtree == name_of(entry.oid));
                if same && let Some(mut row) = old.remove(&*entry.name) {
                    row.shard = at;
                    rows.push(row);
                    continue;
                }
                match entry.name.parse::<ItemId>() {
                    Ok(id) => tasks.push((at, id, entry.oid)),
                    Err(_) => shards[usize::from(at)].1 = Name::default(),
                }
            }
        }
        let folded = tasks.len();
        for ((at, id, subtree), row) in self.rows(tasks)? {
            match row {
                Ok(row) => rows.push(KeptRow { shard: at, subtree: name_of(subtree), row }),
                Err(stop) => {
                    shards[usize::from(at)].1 = Name::default();
                    stopped.extend(stop.map(|stop| Stopped { id, stop: *stop }));
                }
            }
        }
        rows.sort_by(|a, b| a.row.id.cmp(&b.row.id));
        let complete = shards.iter().all(|(_, tree)| *tree != Name::default());
        let handoff = if complete { name_of(handoff) } else { Name::default() };
        Ok((Kept { handoff, shards, rows }, folded))
    }

    /// Folds items, many of them on several threads.
    fn rows(&self, tasks: Vec<Task>) -> Result<Vec<(Task, Folded)>, LedgerError> {
        let of = tasks.len();
        if of < WORTH_SHARING {
            return (0..)
                .zip(tasks)
                .map(|(done, task)| {
                    progress::tell("items", done, of);
                    self.row(task, Keep::Fold)
                })
                .collect();
        }
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(8);
        let mut tasks = tasks.into_iter();
        let share = of.div_ceil(threads);
        let mut shares =
            (0..threads).map(|_| tasks.by_ref().take(share).collect()).collect::<Vec<Vec<Task>>>();
        let own = shares.pop().unwrap_or_default();
        let workers: Vec<_> = shares
            .into_iter()
            .map(|share| Ok((self.store.twin()?, self.cache.clone(), self.seen.clone(), share)))
            .collect::<Result<_, LedgerError>>()?;
        let (tip, root) = (self.tip, self.root);
        std::thread::scope(|scope| {
            let running: Vec<_> = workers
                .into_iter()
                .map(|(store, cache, seen, share)| {
                    let pass = move || pass(&store, &cache, (tip, root), &seen, share, |_| ());
                    scope.spawn(pass)
                })
                .collect();
            // All are about equally fast.
            let told = |done: usize| progress::tell("items", done * threads, of);
            let mut all = pass(self.store, self.cache, (tip, root), &self.seen, own, told)?;
            for worker in running {
                match worker.join() {
                    Ok(folded) => all.extend(folded?),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            Ok(all)
        })
    }

    /// Makes something of each of many items, on several threads, and hands it over in their order.
    ///
    /// # Errors
    /// What `take` says first.
    pub fn each<T: Send, E>(
        &self,
        items: &[&ItemId],
        make: impl Fn(&Snapshot<'_>, &ItemId) -> T + Sync,
        mut take: impl FnMut(usize, T) -> Result<(), E>,
    ) -> Result<(), E> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(8);
        let worth = threads > 1 && items.len() >= WORTH_SHARING;
        let twin = |_| Some((self.store.twin().ok()?, self.cache.clone(), self.seen.clone()));
        let workers: Vec<_> = (0..threads).filter(|_| worth).map_while(twin).collect();
        let threads = workers.len();
        if threads == 0 {
            let mut numbered = items.iter().enumerate();
            return numbered.try_for_each(|(n, item)| take(n, make(self, item)));
        }
        let (tip, root, make) = (self.tip, self.root, &make);
        std::thread::scope(|scope| {
            let mut made = Vec::new();
            for (first, (store, cache, seen)) in workers.into_iter().enumerate() {
                // So far ahead, and no further: a large ledger is not to be held in memory.
                let (give, taken) = sync_channel(AHEAD);
                made.push(taken);
                scope.spawn(move || {
                    let snapshot = Snapshot::bare(&store, &cache, tip, root, seen);
                    let mut own = items.iter().skip(first).step_by(threads);
                    // Nobody takes any more once something was wrong.
                    own.all(|item| give.send(make(&snapshot, item)).is_ok())
                });
            }
            for n in 0..items.len() {
                // A thread that is gone has panicked, and the scope says so.
                let Ok(one) = made[n % threads].recv() else { break };
                take(n, one)?;
            }
            Ok(())
        })
    }

    fn row(&self, task: Task, keep: Keep) -> Result<(Task, Folded), LedgerError> {
        match self.item_keeping(&task.1, keep, None) {
            Ok(Some(fold)) => Ok((task, Ok(Row::of(&fold.workflow, &fold.state)))),
            Ok(None) => Ok((task, Err(None))),
            Err(LedgerError::ItemStopped { found, .. }) => Ok((task, Err(Some(found)))),
            Err(error) => Err(error),
        }
    }
}

/// One thread's share of a pass over many items.
fn pass(
    store: &Store,
    cache: &Cache,
    (tip, root): (Oid, Oid),
    seen: &Option<Seen>,
    share: Vec<Task>,
    told: impl Fn(usize),
) -> Result<Vec<(Task, Folded)>, LedgerError> {
    let mut folded = Vec::with_capacity(share.len());
    let snapshot = Snapshot::bare(store, cache, tip, root, seen.clone());
    for task in share {
        if folded.len() % BEFORE_TELLING == 0 {
            told(folded.len());
        }
        folded.push(snapshot.row(task, Keep::Nothing)?);
    }
    Ok(folded)
}

impl Row {
    /// The row of one item.
    #[must_use]
    pub fn of(workflow: &Workflow, item: &ItemState) -> Self {
        let schedule = Schedule::of(workflow, item);
        let words = statuses(item, &schedule);
        let key = |at: usize| workflow.steps()[at].key.clone();
        let mut row = Self {
            id: item.id.clone(),
            title: item.title.clone(),
            workflow: format!("{}@{}", item.workflow.name, item.workflow.version),
            status: words.first().copied().unwrap_or(Status::Blocked),
            flags: words.iter().skip(1).copied().collect(),
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
            survivor: item.review.survivor.clone(),
            linked: u32::try_from(item.review.linked.len()).unwrap_or(u32::MAX),
            reviewed: item.review.decided,
            open_blockers: 0,
            blockers: u32::try_from(item.blockers.len()).unwrap_or(u32::MAX),
            claims: item
                .requests
                .iter()
                .filter(|(_, seen)| seen.kind == EventKind::AttemptClaimed.name())
                .map(|(id, _)| shortened(id))
                .collect(),
        };
        let open = item.blockers.iter().filter(|blocker| blocker.resolved_at.is_none());
        row.open_blockers = u32::try_from(open.count()).unwrap_or(u32::MAX);
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

    /// Whether a claim of this item may have answered a request: if not, it need not be folded to
    /// find out.
    #[must_use]
    pub fn may_know(&self, request: &RequestId) -> bool {
        self.claims.contains(&shortened(request))
    }
}

/// Enough of a request id to tell most others from it.
fn shortened(request: &RequestId) -> u64 {
    let digest = Digest::of(request.as_str().as_bytes()).to_bytes();
    digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}
