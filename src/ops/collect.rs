//! Handoffs come home: read from folders, judged one by one, recorded in one commit (M4).
#![expect(clippy::disallowed_methods, reason = "the adapter that reads spooled handoffs")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use chrono::TimeDelta;

use super::complete::OpsError;
use super::handoff::{SpoolError, is_handoff};
use crate::artifact::{self, EVENT_LIMIT};
use crate::domain::decide::{Ask, Complete, Decided, Ending, HandedIn, LiveClaim, Quarantine};
use crate::domain::event::{Event, EventData, EventKind};
use crate::domain::id::{AttemptId, Digest, ExecutorId, ItemId};
use crate::domain::moment::Moment;
use crate::ledger::{Direction, Ledger, LedgerError, Receipt, Rehearsal, Snapshot, Verdict};

/// The most files of one collection.
const FILES: usize = 10_000;

/// How far ahead of the collector's clock an executor's may be. Clocks order nothing, but a time
/// that far out would spoil every duration.
const AHEAD: TimeDelta = TimeDelta::hours(24);

/// What is to be collected.
#[derive(Debug, Clone, Default)]
pub struct Collect {
    pub folders: Vec<PathBuf>,
    /// `RUN_ID:RUN_ATTEMPT`, or the base of pre-claims: what its executors hold and did not hand in
    /// has failed.
    pub fail_missing: Option<String>,
}

/// A handoff that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    pub path: PathBuf,
    pub item: Option<ItemId>,
    pub digest: Digest,
    pub why: String,
    /// False where it was refused before, or where there is no item to say it of.
    pub recorded: bool,
    /// False where its item is stopped, and it may be taken once that is put right.
    pub settled: bool,
}

/// What a collection came to.
#[derive(Debug, Clone, Default)]
pub struct Collected {
    /// In the order in which they were recorded.
    pub accepted: Vec<(ItemId, AttemptId, EventKind)>,
    /// How many were on record already.
    pub there: usize,
    pub quarantined: Vec<Quarantined>,
    /// Attempts that ended because nothing came back.
    pub failed: Vec<(ItemId, AttemptId)>,
}

/// One file of a spool.
struct Spooled {
    path: PathBuf,
    digest: Digest,
    size: u64,
    /// The event, or why it is none.
    event: Result<Box<Event>, String>,
}

/// Brings handoffs home in one commit: in an order of their own, each judged by the rules, the
/// rest quarantined with its reason. Safe to repeat, and beside those who record themselves.
///
/// # Errors
/// A folder that holds what no spool holds; then nothing of it is taken.
pub fn collect(
    ledger: &Ledger,
    ask: &Collect,
    moment: &Moment,
) -> Result<Receipt<Collected>, OpsError> {
    let mut files = Vec::new();
    for folder in &ask.folders {
        let whole = folder.canonicalize().map_err(|error| SpoolError {
            path: folder.clone(),
            why: format!("cannot be read: {error}"),
        })?;
        find(&whole, &mut files)?;
    }
    files.sort();
    let spooled: Vec<Spooled> = files.into_iter().map(read).collect::<Result<_, SpoolError>>()?;
    Ok(ledger.transact_collected(moment, |snapshot| judge(snapshot, &spooled, ask, moment))?)
}

/// The files below a folder: plain `.json` files and folders, and nothing else.
fn find(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), SpoolError> {
    let failed = |path: &Path, why: &str| SpoolError { path: path.to_path_buf(), why: why.into() };
    let entries = std::fs::read_dir(folder)
        .map_err(|error| failed(folder, &format!("cannot be read: {error}")))?;
    for entry in entries {
        let entry = entry.map_err(|error| failed(folder, &format!("cannot be read: {error}")))?;
        let path = entry.path();
        // Of the entry itself: nothing that leads out of the folder is followed.
        let kind = entry.file_type().map_err(|error| failed(&path, &error.to_string()))?;
        if kind.is_dir() {
            find(&path, files)?;
        } else if kind.is_file() && path.extension().is_some_and(|end| end == "json") {
            if files.len() == FILES {
                return Err(failed(&path, "is one file more than the 10000 of a collection"));
            }
            files.push(path);
        } else {
            return Err(failed(&path, "is neither a folder nor a plain .json file"));
        }
    }
    Ok(())
}

fn read(path: PathBuf) -> Result<Spooled, SpoolError> {
    let failed = |error: std::io::Error| SpoolError {
        path: path.clone(),
        why: format!("cannot be read: {error}"),
    };
    let size = std::fs::metadata(&path).map_err(failed)?.len();
    if size > EVENT_LIMIT as u64 {
        let digest = Digest::of(path.to_string_lossy().as_bytes());
        let event = Err(format!("it has {size} bytes; {EVENT_LIMIT} are allowed"));
        return Ok(Spooled { path, digest, size, event });
    }
    let bytes = std::fs::read(&path).map_err(failed)?;
    let event = match artifact::decode_event(&bytes) {
        Ok(event) if is_handoff(event.kind()) => Ok(Box::new(event)),
        Ok(event) => Err(format!("a {} is not handed in", event.kind().name())),
        Err(error) => Err(format!("it is no handoff: {error}")),
    };
    Ok(Spooled { path, digest: Digest::of(&bytes), size, event })
}

fn judge(
    snapshot: &Snapshot<'_>,
    spooled: &[Spooled],
    ask: &Collect,
    moment: &Moment,
) -> Result<Verdict<Collected>, LedgerError> {
    let mut rehearsal = snapshot.rehearse()?;
    let mut collected = Collected::default();
    let mut acts = Acts { moment, count: 0 };
    for one in ordered(spooled) {
        let judged = match &one.event {
            Ok(event) => hand_in(&mut rehearsal, event, &one.digest, moment)?,
            Err(why) => Err((why.clone(), true)),
        };
        let item = one.event.as_ref().ok().and_then(|event| event.work_item_id.clone());
        match (judged, &one.event) {
            (Ok(Some(facts)), Ok(event)) => {
                if let (Some(item), Some(attempt)) = (item, &event.attempt_id) {
                    collected.accepted.push((item, attempt.clone(), event.kind()));
                }
                rehearsal.take(facts)?;
            }
            (Ok(_), _) => collected.there += 1,
            (Err((why, settled)), _) => {
                let recorded =
                    quarantine(snapshot, &mut rehearsal, item.as_ref(), one, &why, &mut acts)?;
                collected.quarantined.push(Quarantined {
                    path: one.path.clone(),
                    item,
                    digest: one.digest.clone(),
                    why,
                    recorded,
                    settled,
                });
            }
        }
    }
    if let Some(run) = &ask.fail_missing {
        for live in snapshot.live_claims()?.iter().filter(|live| is_of_run(&live.executor, run)) {
            fail(&mut rehearsal, live, run, &mut acts, &mut collected)?;
        }
    }
    let facts = rehearsal.facts();
    match facts.is_empty() {
        true => Ok(Verdict::Nothing(collected)),
        false => {
            let (definitions, workflow, value) = (Vec::new(), None, collected);
            Ok(Verdict::Record { facts, definitions, workflow, value })
        }
    }
}

/// By time, then step order, key, attempt and id: the same whoever collects, in whichever folders.
/// A handoff links to its claim alone, which is on record, so none comes before what it links to.
fn ordered(spooled: &[Spooled]) -> Vec<&Spooled> {
    let mut all: Vec<&Spooled> = spooled.iter().collect();
    all.sort_by_cached_key(|one| match &one.event {
        Ok(event) => (
            event.timestamp.timestamp_millis(),
            event.step.as_ref().map(|step| (step.order, step.key.clone())),
            event.attempt_id.as_ref().map(AttemptId::number),
            Some(event.id),
            one.digest.clone(),
        ),
        // What is no event comes last, and moves nothing.
        Err(_) => (i64::MAX, None, None, None, one.digest.clone()),
    });
    all
}

/// The facts of a handoff; none where it is on record already; or why it is refused, and whether
/// that is settled.
type Judged = Result<Option<Vec<Event>>, (String, bool)>;

/// Judges one handoff on what the ones before it leave.
fn hand_in(
    rehearsal: &mut Rehearsal<'_, '_>,
    event: &Event,
    digest: &Digest,
    moment: &Moment,
) -> Result<Judged, LedgerError> {
    if event.timestamp > moment.now() + AHEAD {
        return Ok(Err(("its time is more than a day ahead".into(), true)));
    }
    match rehearsal.hand_in(event, digest) {
        Ok(HandedIn::Facts(facts)) => Ok(Ok(Some(facts))),
        Ok(HandedIn::There) => Ok(Ok(None)),
        Err(LedgerError::Refused(refusal)) => Ok(Err((refusal.to_string(), true))),
        // A stopped item keeps what is handed in for it waiting, and no other.
        Err(LedgerError::ItemStopped { item, found }) => {
            Ok(Err((format!("{item} is stopped: {} {}", found.path, found.what), false)))
        }
        Err(error) => Err(error),
    }
}

/// The moments of the collector's own facts, each with ids of its own.
struct Acts<'m> {
    moment: &'m Moment,
    count: usize,
}

impl Acts<'_> {
    fn next(&mut self) -> Moment {
        self.count += 1;
        let mut own = self.moment.of(self.count, self.moment.actor.clone());
        // One request, many facts: it stands for none of them.
        own.request = None;
        own
    }
}

/// Records that a handoff was refused, once for each content; false where there is nothing to
/// record it of.
fn quarantine(
    snapshot: &Snapshot<'_>,
    rehearsal: &mut Rehearsal<'_, '_>,
    item: Option<&ItemId>,
    one: &Spooled,
    why: &str,
    acts: &mut Acts<'_>,
) -> Result<bool, LedgerError> {
    let Some(item) = item else { return Ok(false) };
    match rehearsal.item(item) {
        Ok(Some(_)) => {}
        Ok(None) | Err(LedgerError::ItemStopped { .. }) => return Ok(false),
        Err(error) => return Err(error),
    }
    if refused_before(snapshot, item)?.contains(&one.digest) {
        return Ok(false);
    }
    let refusal: String = why.chars().take(2000).collect();
    let ask = Quarantine { digest: one.digest.clone(), size: one.size, refusal };
    match rehearsal.decide(item, &Ask::Quarantine(ask), &acts.next())? {
        Decided::Facts(facts) => {
            rehearsal.take(facts)?;
            Ok(true)
        }
        Decided::Unchanged(_) => Ok(false),
    }
}

/// What was quarantined of an item: only those events are read.
fn refused_before(snapshot: &Snapshot<'_>, item: &ItemId) -> Result<BTreeSet<Digest>, LedgerError> {
    let mut digests = BTreeSet::new();
    for entry in snapshot.item_history(item, Direction::NewestFirst)? {
        let entry = entry?;
        if entry.named.kind == EventKind::HandoffQuarantined
            && let EventData::HandoffQuarantined(data) = snapshot.read(&entry)?.event.data
        {
            digests.insert(data.digest);
        }
    }
    Ok(digests)
}

/// Ends what an executor of the run still holds, as the collector's own act.
fn fail(
    rehearsal: &mut Rehearsal<'_, '_>,
    live: &LiveClaim,
    run: &str,
    acts: &mut Acts<'_>,
    collected: &mut Collected,
) -> Result<(), LedgerError> {
    let ask = Complete {
        step: None,
        attempt: None,
        claim: Some(live.claim),
        own_claims: Vec::new(),
        ending: Ending::Failed,
        outcome: format!("{} ended without a handoff (run {run})", live.executor),
        next_action: None,
        verified: Vec::new(),
        outputs: Vec::new(),
        links: Vec::new(),
    };
    match rehearsal.decide(&live.item, &Ask::Complete(Box::new(ask)), &acts.next()) {
        Ok(Decided::Facts(facts)) => {
            rehearsal.take(facts)?;
            collected.failed.push((live.item.clone(), live.attempt.clone()));
            Ok(())
        }
        // It was handed in just now.
        Ok(Decided::Unchanged(_)) => Ok(()),
        Err(LedgerError::Refused(_) | LedgerError::ItemStopped { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether an executor is one of a run: `gha:REPO:RUN_ID:RUN_ATTEMPT:JOB:INDEX`, or `BASE:N`.
fn is_of_run(executor: &ExecutorId, run: &str) -> bool {
    let id = executor.as_str();
    let of_actions = id.strip_prefix("gha:").is_some_and(|rest| {
        let mut parts = rest.splitn(2, ':');
        let (_, rest) = (parts.next(), parts.next().unwrap_or_default());
        rest.strip_prefix(run).is_some_and(|rest| rest.starts_with(':'))
    });
    let base = id.strip_prefix(run).and_then(|rest| rest.strip_prefix(':'));
    of_actions || base.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_known_by_its_id_and_its_attempt() {
        let of = |executor: &str, run: &str| is_of_run(&executor.parse().expect("an id"), run);
        assert!(of("gha:octo/app:4211:1:execute:3", "4211:1"));
        assert!(of("wave-7:12", "wave-7"));
        for (executor, run) in [
            ("gha:octo/app:4211:2:execute:3", "4211:1"),
            ("gha:octo/app:4211:11:execute:3", "4211:1"),
            ("gha:octo/app:14211:1:execute:3", "4211:1"),
            ("gha:octo/app:7:4211:1:3", "4211:1"),
            ("wave-7:a", "wave-7"),
            ("wave-7", "wave-7"),
            ("wave-71:1", "wave-7"),
        ] {
            assert!(!of(executor, run), "{executor} {run}");
        }
    }
}
