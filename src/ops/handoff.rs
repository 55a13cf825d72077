//! Work that leaves the ledger and comes home: claims made ahead, tickets, the spool (M3).
#![expect(clippy::disallowed_methods, reason = "the adapter for tickets and spooled handoffs")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::collect::{Collect, Collected, Quarantined, collect};
use super::complete::{Checks, OpsError, Run, checked, environment};
use crate::artifact::{self, TICKET, Ticket};
use crate::domain::decide::{Ask, Attest, Claim, Complete, Decided, World, decide};
use crate::domain::event::{Actor, Event, EventData, EventKind};
use crate::domain::id::{AttemptId, ClaimId, ExecutorId, ItemId, StepKey};
use crate::domain::moment::Moment;
use crate::domain::refusal::{Refusal, RefusalKind};
use crate::domain::schedule::{Answer, Schedule};
use crate::domain::state::{ItemState, LedgerState};
use crate::domain::workflow::{Criterion, Workflow};
use crate::ledger::{ItemFold, Ledger, LedgerError, Receipt, Snapshot, Verdict};
use crate::process::{self, Ended, Program};
use crate::report;

/// How long the work of a step may take that names no limit: as long as a job of GitHub's.
const WORK: u64 = 6 * 60 * 60;

/// How much of its output is kept to find its last words in.
const KEEP: usize = 64 * 1024;

/// What is to be claimed for executors that are still to be started.
#[derive(Debug, Clone)]
pub struct Preclaim {
    /// The executors are called `BASE:1`, `BASE:2`, …
    pub base: String,
    /// How many there are at most.
    pub executors: usize,
    /// Only what the workflow says how to start.
    pub executable: bool,
    /// Say that all entry criteria hold.
    pub attest_all: bool,
    /// Seconds.
    pub lease: Option<u64>,
}

/// One attempt that an executor of the wave holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handed {
    pub attempt: AttemptId,
    pub claim: ClaimId,
    pub executor: ExecutorId,
    /// False where it was claimed for it before.
    pub fresh: bool,
}

/// A wave that was claimed in one commit.
#[derive(Debug, Clone, Default)]
pub struct Preclaimed {
    /// In launch order.
    pub handed: Vec<Handed>,
    /// Ready steps that could not be claimed, and why.
    pub passed_over: Vec<(StepKey, String)>,
    /// Ready steps there were no executors for.
    pub left: usize,
}

/// Claims what is ready of an item, each attempt for an executor of its own, in one commit.
///
/// An executor of that name that holds an attempt of the item keeps it, so the same again claims
/// nothing twice.
///
/// # Errors
/// What keeps the item as a whole; a single step that may not be claimed is passed over.
pub fn preclaim(
    ledger: &Ledger,
    item: &ItemId,
    ask: &Preclaim,
    moment: &Moment,
) -> Result<Receipt<Preclaimed>, LedgerError> {
    let executors = (1..=ask.executors)
        .map(|n| format!("{}:{n}", ask.base).parse::<ExecutorId>())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| LedgerError::Invalid(error.to_string()))?;
    ledger.transact(moment, |snapshot| judge(snapshot, item, ask, &executors, moment))
}

fn judge(
    snapshot: &Snapshot<'_>,
    item: &ItemId,
    ask: &Preclaim,
    executors: &[ExecutorId],
    moment: &Moment,
) -> Result<Verdict<Preclaimed>, LedgerError> {
    let ItemFold { workflow, state, .. } = &snapshot.known_item(item)?;
    let schedule = Schedule::of(workflow, state);
    let mut wave = Preclaimed::default();
    let mut free: Vec<(usize, &ExecutorId)> = executors.iter().enumerate().collect();
    for (at, answer) in schedule.answers.iter().enumerate() {
        let Answer::InProgress(attempt) = answer else { continue };
        let claim = state.steps[at].current().and_then(|attempt| attempt.claim.as_ref());
        let Some(claim) = claim.filter(|claim| executors.contains(&claim.executor)) else {
            continue;
        };
        free.retain(|(_, executor)| **executor != claim.executor);
        wave.handed.push(Handed {
            attempt: attempt.clone(),
            claim: claim.id,
            executor: claim.executor.clone(),
            fresh: false,
        });
    }
    // One task at a time, wherever in the ledger.
    let mut idle = Vec::new();
    for (index, executor) in free {
        if snapshot.live_claim(executor)?.is_none() {
            idle.push((index, executor));
        }
    }
    let mut idle = idle.into_iter().peekable();
    let mut facts = Vec::new();
    for &at in &schedule.ready {
        if ask.executable && workflow.steps()[at].definition.execute.is_none() {
            continue;
        }
        let Some(&(index, executor)) = idle.peek() else {
            wave.left += 1;
            continue;
        };
        let step = workflow.steps()[at].key.clone();
        let actor =
            Actor { id: executor.clone(), name: executor.to_string(), ..moment.actor.clone() };
        let mut own = moment.of(index, actor);
        if let Some(request) = &mut own.request {
            let id: String = format!("{}:{}", index + 1, request.id).chars().take(200).collect();
            request.id = id.parse().map_err(|error: crate::domain::id::InvalidId| {
                LedgerError::Invalid(error.to_string())
            })?;
        }
        let claim = Claim {
            step: Some(step.clone()),
            attempt: None,
            attest: Attest { named: Vec::new(), all: ask.attest_all },
            lease: ask.lease,
        };
        // Ready steps of one item do not stand in each other's way: those that share a constraint
        // are not ready together (S4).
        match snapshot.decide(item, &Ask::Claim(claim), &own) {
            Ok(Decided::Facts(claimed)) => {
                for fact in &claimed {
                    let (EventData::AttemptClaimed(data), Some(attempt)) =
                        (&fact.data, &fact.attempt_id)
                    else {
                        continue;
                    };
                    wave.handed.push(Handed {
                        attempt: attempt.clone(),
                        claim: data.claim_id,
                        executor: executor.clone(),
                        fresh: true,
                    });
                }
                facts.extend(claimed);
                idle.next();
            }
            Ok(Decided::Unchanged(_)) => {
                let why = "its request was answered before".to_owned();
                wave.passed_over.push((step, why));
            }
            Err(LedgerError::Refused(refusal)) if refusal.kind() == RefusalKind::Refused => {
                wave.passed_over.push((step, refusal.to_string()));
            }
            Err(error) => return Err(error),
        }
    }
    let place = |handed: &Handed| workflow.position(handed.attempt.key());
    wave.handed.sort_by_key(place);
    match facts.is_empty() {
        true => Ok(Verdict::Nothing(wave)),
        false => {
            Ok(Verdict::Record { facts, definitions: Vec::new(), workflow: None, value: wave })
        }
    }
}

/// Writes down one claim of an item for whoever works on it; none where nobody holds the attempt.
///
/// # Errors
/// When the definition cannot be read.
fn ticket(
    snapshot: &Snapshot<'_>,
    fold: &ItemFold,
    attempt: &AttemptId,
    actor: &Actor,
) -> Result<Option<Ticket>, LedgerError> {
    let ItemFold { workflow, state, .. } = fold;
    let Some(at) = workflow.position(attempt.key()) else { return Ok(None) };
    let held = state.steps[at].attempt(attempt.number());
    let Some(claim) = held.and_then(|attempt| attempt.claim.as_ref()) else { return Ok(None) };
    let definition = artifact::decode(&snapshot.definition(&workflow.reference)?)?;
    let brief = report::brief(workflow, state, at);
    Ok(Some(Ticket {
        schema: TICKET.to_owned(),
        work_item_id: state.id.clone(),
        step_key: attempt.key().clone(),
        attempt_id: attempt.clone(),
        claim_id: claim.id,
        executor: Actor {
            id: claim.executor.clone(),
            name: claim.executor.to_string(),
            kind: actor.kind,
            principal: claim.principal.clone(),
        },
        claimed_at: claim.at,
        lease_until: claim.lease_until,
        execute: workflow.steps()[at].definition.execute.clone(),
        brief: serde_json::to_value(&brief).unwrap_or_default(),
        workflow: workflow.reference.clone(),
        definition,
        item: serde_json::to_value(&**state).unwrap_or_default(),
    }))
}

/// A ticket that was read and agrees with itself.
#[derive(Debug)]
pub struct Held {
    pub ticket: Ticket,
    workflow: Workflow,
    item: ItemState,
}

impl Held {
    /// Reads a ticket's file.
    ///
    /// # Errors
    /// When it cannot be read, or is no ticket.
    pub fn open(path: &Path) -> Result<Self, SpoolError> {
        let failed = |why: String| SpoolError { path: path.to_path_buf(), why };
        let size = std::fs::metadata(path).map_err(|error| failed(error.to_string()))?;
        if size.len() > artifact::FILE_LIMIT as u64 {
            return Err(failed("is too large to be a ticket".into()));
        }
        let bytes = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
        let (ticket, workflow, item) =
            Ticket::read(&bytes).map_err(|error| failed(format!("is no ticket: {error}")))?;
        Ok(Self { ticket, workflow, item })
    }

    /// The exit criteria of its step.
    #[must_use]
    pub fn exit(&self) -> &[Criterion] {
        let step = self.workflow.step(&self.ticket.step_key);
        step.map_or(&[], |step| &step.definition.exit)
    }

    fn decide(&self, ask: &Complete, moment: &Moment) -> Result<Decided, Refusal> {
        let ledger = LedgerState::default();
        let world = World {
            ledger: &ledger,
            item: Some((&self.item, &self.workflow)),
            live: None,
            in_use: &[],
            others: &[],
        };
        decide(world, &self.item.id, &Ask::Complete(Box::new(ask.clone())), moment)
    }
}

/// Runs the work of a ticket in a folder, with what it is about in its environment, and tells its
/// output as it comes. A step without `execute` has none.
///
/// # Errors
/// When there is nothing to run, it cannot be started, or somebody asks to stop.
pub fn work(
    held: &Held,
    dir: &Path,
    more: &[(String, String)],
    told: impl FnMut(&[u8]) + Send + 'static,
) -> Result<Ended, OpsError> {
    let ticket = &held.ticket;
    let Some(execute) = &ticket.execute else {
        let why = format!("{} has nothing to run", ticket.step_key);
        return Err(LedgerError::Invalid(why).into());
    };
    let mut env = environment(
        &ticket.work_item_id,
        &ticket.attempt_id,
        Some(ticket.claim_id),
        &ticket.executor.id,
    );
    env.extend_from_slice(more);
    let limit = execute.timeout.as_ref().map_or(WORK, |limit| limit.seconds());
    let program = Program {
        argv: &execute.run,
        dir,
        env: &env,
        timeout: Duration::from_secs(limit),
        keep: KEEP,
        interruptible: true,
    };
    let ended = process::run_told(&program, told).map_err(|error| OpsError::WorkNotRun {
        attempt: ticket.attempt_id.clone(),
        why: error.to_string(),
    })?;
    if ended.interrupted {
        return Err(OpsError::Cancelled { attempt: ticket.attempt_id.clone() });
    }
    Ok(ended)
}

/// A file of a ticket or of a spool that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{} {why}", path.display())]
pub struct SpoolError {
    pub path: PathBuf,
    pub why: String,
}

/// A handoff that waits to be collected.
#[derive(Debug, Clone)]
pub struct Spooled {
    pub path: PathBuf,
    pub event: Event,
    /// False where the same was spooled before.
    pub fresh: bool,
    pub checks: Vec<Run>,
}

/// Ends the attempt of a ticket: judged by the ledger's own rules on the state that is in the
/// ticket, and written as a handoff artifact into a folder, from which a collector brings it home.
///
/// # Errors
/// The refusal; the check that failed; or a spool that cannot be written, or says otherwise.
pub fn spool(
    held: &Held,
    ask: &Complete,
    checks: Option<Checks<'_>>,
    moment: &Moment,
    folder: &Path,
    told: &mut dyn FnMut(&Criterion),
) -> Result<Spooled, OpsError> {
    let ticket = &held.ticket;
    // Whoever types it: what comes home is the claim's executor's.
    let mut moment = moment.clone();
    moment.actor.clone_from(&ticket.executor);
    let ask = Complete {
        step: Some(ticket.step_key.clone()),
        attempt: Some(ticket.attempt_id.to_string()),
        claim: Some(ticket.claim_id),
        ..ask.clone()
    };
    let judge = |ask: &Complete| held.decide(ask, &moment).map_err(LedgerError::from);
    let (item, claim) = (&ticket.work_item_id, Some(ticket.claim_id));
    let (ask, runs) = checked(item, &ask, checks, &moment, told, &judge, &|_| claim)?;
    let event = the_end(judge(&ask)?, "the ticket's attempt has ended already")?;
    put(event, runs, folder)
}

/// Ends an attempt while the remote is away: judged by the same rules on what this clone has, and
/// kept in its outbox until it can be brought home. Only the end of an attempt can wait: what is
/// exclusive is exclusive at the remote.
///
/// # Errors
/// As [`spool`]; and where somebody else holds the attempt, who has to say so.
pub fn keep(
    ledger: &Ledger,
    item: &ItemId,
    ask: &Complete,
    checks: Option<Checks<'_>>,
    moment: &Moment,
    told: &mut dyn FnMut(&Criterion),
) -> Result<Spooled, OpsError> {
    let snapshot = ledger.snapshot()?;
    let fold = snapshot.known_item(item)?;
    let claim = |attempt: &AttemptId| fold.attempt(attempt)?.claim.as_ref();
    let judge =
        |ask: &Complete| snapshot.decide(item, &Ask::Complete(Box::new(ask.clone())), moment);
    let id = |attempt: &AttemptId| claim(attempt).map(|claim| claim.id);
    let (ask, runs) = checked(item, ask, checks, moment, told, &judge, &id)?;
    let event = the_end(judge(&ask)?, "it is on record already: there is nothing to keep")?;
    let attempt = event.attempt_id.clone();
    if let Some((attempt, claim)) = attempt.and_then(|id| Some((id.clone(), claim(&id)?)))
        && claim.executor != moment.actor.id
    {
        return Err(LedgerError::from(Refusal::NotHolder {
            item: item.clone(),
            step: attempt.key().clone(),
            attempt,
            by: claim.executor.clone(),
            asker: moment.actor.id.clone(),
            elsewhere: false,
            claim: claim.id,
        })
        .into());
    }
    put(event, runs, &ledger.outbox())
}

/// The fact that a completion comes to; `unchanged` is said where there is none.
fn the_end(decided: Decided, unchanged: &str) -> Result<Event, LedgerError> {
    let why = match decided {
        Decided::Facts(facts) => match facts.into_iter().next() {
            Some(end) => return Ok(end),
            None => "a completion was decided without a fact",
        },
        Decided::Unchanged(_) => unchanged,
    };
    Err(LedgerError::Invalid(why.to_owned()))
}

/// Writes a handoff into a folder, once.
fn put(event: Event, checks: Vec<Run>, folder: &Path) -> Result<Spooled, OpsError> {
    let (Some(item), Some(attempt)) = (&event.work_item_id, &event.attempt_id) else {
        return Err(LedgerError::Invalid("a handoff names its item and its attempt".into()).into());
    };
    let path = folder.join(item.as_str()).join(format!("{attempt}.json"));
    let failed = |why: String| OpsError::Spool(SpoolError { path: path.clone(), why });
    if let Ok(bytes) = std::fs::read(&path) {
        let known = artifact::decode_event(&bytes)
            .map_err(|error| failed(format!("is there and is no handoff: {error}")))?;
        if said_the_same(&known, &event) {
            return Ok(Spooled { path, event: known, fresh: false, checks: Vec::new() });
        }
        return Err(OpsError::Spooled { attempt: attempt.clone(), path });
    }
    let bytes = artifact::encode_event(&event).map_err(LedgerError::from)?;
    write(&path, &bytes).map_err(|error| failed(format!("was not written: {error}")))?;
    Ok(Spooled { path, event, fresh: true, checks })
}

/// The handoffs that wait in this clone for its remote, by path.
#[must_use]
pub fn unshared(ledger: &Ledger) -> Vec<PathBuf> {
    let items = std::fs::read_dir(ledger.outbox()).into_iter().flatten().filter_map(Result::ok);
    let files = items.flat_map(|item| std::fs::read_dir(item.path()).into_iter().flatten());
    let paths = files.filter_map(|file| Some(file.ok()?.path()));
    let mut paths: Vec<PathBuf> = paths.filter(|path| path.extension().is_some()).collect();
    paths.sort();
    paths
}

/// Puts what ended only in a history that was given up where it waits to be brought home.
///
/// # Errors
/// When that history or the outbox cannot be read.
pub fn rescue(ledger: &Ledger, old: &str) -> Result<usize, OpsError> {
    let ends = ledger.ends_of(old)?;
    for (item, attempt, bytes) in &ends {
        let path = ledger.outbox().join(item.as_str()).join(format!("{attempt}.json"));
        let failed = |error: std::io::Error| {
            OpsError::Spool(SpoolError {
                path: path.clone(),
                why: format!("was not written: {error}"),
            })
        };
        write(&path, bytes).map_err(failed)?;
    }
    Ok(ends.len())
}

/// Brings home what waits in this clone; what was taken, or refused for good, waits no longer.
///
/// # Errors
/// What the remote says: then everything still waits.
pub fn share(ledger: &Ledger, moment: &Moment) -> Result<Option<Collected>, OpsError> {
    let waiting = unshared(ledger);
    if waiting.is_empty() {
        return Ok(None);
    }
    let ask = Collect { folders: vec![ledger.outbox()], fail_missing: None };
    let collected = collect(ledger, &ask, moment)?.value;
    let stays = |path: &Path| {
        let whole = path.canonicalize();
        let same = |one: &&Quarantined| whole.as_ref().is_ok_and(|whole| one.path == *whole);
        collected.quarantined.iter().find(same).is_some_and(|one| !one.settled)
    };
    for path in waiting.iter().filter(|path| !stays(path)) {
        drop(std::fs::remove_file(path));
        // Gone with its last one.
        drop(path.parent().map(std::fs::remove_dir));
    }
    Ok(Some(collected))
}

/// Whether two events end an attempt in the same words, whenever that was said.
fn said_the_same(known: &Event, event: &Event) -> bool {
    let outputs = |event: &Event| match &event.data {
        EventData::AttemptCompleted(done) => Some(done.outputs.clone()),
        EventData::AttemptFailed(ended) | EventData::AttemptRejected(ended) => {
            Some(ended.outputs.clone())
        }
        _ => None,
    };
    known.kind() == event.kind()
        && known.attempt_id == event.attempt_id
        && known.outcome == event.outcome
        && known.next_action == event.next_action
        && outputs(known) == outputs(event)
}

/// Writes a file whole or not at all, and on the disk.
pub(super) fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// Writes the tickets of a wave, one file each, into a folder: their names, in launch order.
///
/// # Errors
/// When the ledger or the folder fails.
pub fn write_tickets(
    snapshot: &Snapshot<'_>,
    fold: &ItemFold,
    handed: &[Handed],
    actor: &Actor,
    folder: &Path,
) -> Result<Vec<String>, OpsError> {
    let mut names = Vec::with_capacity(handed.len());
    for one in handed {
        let Some(ticket) = ticket(snapshot, fold, &one.attempt, actor)? else { continue };
        let name = format!("{}/{}.json", fold.state.id, one.attempt);
        let path = folder.join(&name);
        write(&path, &ticket.bytes()).map_err(|error| {
            OpsError::Spool(SpoolError { path, why: format!("was not written: {error}") })
        })?;
        names.push(name);
    }
    Ok(names)
}

/// Whether an event is one that may be spooled.
pub(super) fn is_handoff(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::AttemptCompleted | EventKind::AttemptFailed | EventKind::AttemptRejected
    )
}
