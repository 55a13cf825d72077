//! Everything the events give, computed once more from them alone.

use sha2::{Digest as _, Sha256};

use crate::artifact::ScheduleDoc;
use crate::domain::event::EventKind;
use crate::domain::id::{Digest, ItemId};
use crate::domain::metrics::{Flow, History, Item, Series, Watch, Window};
use crate::domain::state::ItemState;
use crate::ledger::{Differs, Follower, ItemFold, LedgerError, Row, Sealed, Snapshot, Stopped};
use crate::report;

/// Follows an item for its history.
#[derive(Debug, Default)]
pub struct Measuring(Watch);

impl Follower for Measuring {
    type Kept = History;

    fn see(&mut self, after: &ItemState, sealed: Sealed) {
        self.0.see(after, &sealed.event);
    }

    fn end(self, fold: &ItemFold) -> History {
        self.0.end(&fold.workflow, &fold.state)
    }
}

/// The same, and counts what it sees: decisions follow from facts, and come in other numbers where
/// facts came in another order.
#[derive(Default)]
struct Counting {
    measuring: Measuring,
    facts: u64,
}

impl Follower for Counting {
    type Kept = (History, u64);

    fn see(&mut self, after: &ItemState, sealed: Sealed) {
        self.facts += u64::from(sealed.event.kind() != EventKind::ScheduleDecided);
        self.measuring.see(after, sealed);
    }

    fn end(self, fold: &ItemFold) -> Self::Kept {
        (self.measuring.end(fold), self.facts)
    }
}

/// What a replay came to.
#[derive(Debug, Clone)]
pub struct Replayed {
    pub items: usize,
    pub facts: u64,
    /// Of every item's report, by id.
    pub states: Digest,
    /// Of every item's schedule, by id.
    pub schedules: Digest,
    /// Of the metrics of everything, at the latest fact.
    pub metrics: Digest,
    /// By item.
    pub differences: Vec<Difference>,
    pub stopped: Vec<Stopped>,
}

/// Something that is not as the events give it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    pub item: ItemId,
    pub what: Differs,
}

/// One item, computed anew.
struct Anew {
    row: Row,
    facts: u64,
    state: Vec<u8>,
    schedule: Vec<u8>,
    history: History,
    differs: Vec<Differs>,
}

/// Folds the items from their events, with nothing that was kept, computes their states, schedules
/// and metrics, and compares what stands in the ledger and what this clone keeps.
///
/// The digests are of what is said of the items: they are the same wherever the same facts are, and
/// in whichever order they came (L4).
///
/// # Errors
/// When the ledger cannot be read.
pub fn replay(snapshot: &Snapshot<'_>, only: Option<&ItemId>) -> Result<Replayed, LedgerError> {
    let ids = match only {
        Some(item) => vec![snapshot.known_item(item)?.state.id.clone()],
        None => snapshot.item_ids()?,
    };
    let made = snapshot.follow_and::<Counting, _>(&ids, |snapshot, fold, (history, facts)| {
        let ItemFold { state, workflow, .. } = fold;
        Ok(Anew {
            row: Row::of(workflow, state),
            facts,
            state: bytes(&report::item(workflow, state)),
            schedule: bytes(&ScheduleDoc::of(workflow, state)),
            history,
            differs: snapshot.differs(fold)?,
        })
    })?;
    let kept = snapshot.portfolio()?.rows;
    let (mut states, mut schedules) = (Sha256::new(), Sha256::new());
    let (mut differences, mut stopped) = (Vec::new(), Vec::new());
    let (mut facts, mut histories, mut latest) = (0, Vec::new(), None);
    for anew in made {
        let anew = match anew {
            Ok(anew) => anew,
            Err(stop) => {
                stopped.push(stop);
                continue;
            }
        };
        let Anew { row, state, schedule, history, mut differs, .. } = anew;
        states.update(&state);
        schedules.update(&schedule);
        facts += anew.facts;
        latest = latest.max(Some(row.last_at));
        histories.push(history);
        let at = kept.binary_search_by(|kept| kept.id.cmp(&row.id)).ok();
        if at.is_none_or(|at| kept[at] != row) && !differs.contains(&Differs::Kept) {
            differs.push(Differs::Kept);
        }
        let of = |what| Difference { item: row.id.clone(), what };
        differences.extend(differs.into_iter().map(of));
    }
    let as_of = latest.map_or(0, |latest| latest.timestamp_millis());
    let window = Window { from: None, before: as_of + 1, as_of };
    let items: Vec<Item> = histories.iter().filter_map(|history| history.at(as_of)).collect();
    let all: Vec<&Item> = items.iter().collect();
    let mut metrics = Sha256::new();
    metrics.update(bytes(&Flow::of(&all, &window)));
    metrics.update(bytes(&Series::of(&all, &window)));
    for item in &items {
        metrics.update(bytes(&item.flow()));
    }
    Ok(Replayed {
        items: histories.len(),
        facts,
        states: digest(states),
        schedules: digest(schedules),
        metrics: digest(metrics),
        differences,
        stopped,
    })
}

fn bytes(document: &impl serde::Serialize) -> Vec<u8> {
    let mut bytes = serde_json::to_vec(document).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

fn digest(hasher: Sha256) -> Digest {
    Digest::from_bytes(&hasher.finalize().into())
}
