//! The append protocol (L6): one transaction, one commit; compare-and-swap; read back; only then
//! acknowledge.
#![expect(clippy::disallowed_methods, reason = "the adapter that bounds how long a writer tries")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use git2::{ObjectType, Oid};

use super::barrier::Barrier;
use super::batch::{Batch, Finished};
use super::cache::Cache;
use super::error::LedgerError;
use super::fold::{self, ItemFold, Sealed};
use super::lock::{self, WriterLock};
use super::object::{self, Person};
use super::remote::Shared;
use super::seen;
use super::snapshot::Snapshot;
use super::store::{Store, Swap};
use super::tree::{self, Changes};
use super::{Ledger, Settings};
use crate::artifact::{
    Committer, Frontier, Mark, Pattern, Recovery, SCHEMA_VERSION, Seal, SealedFile, encode, leaf,
    seal_path, signature_path,
};
use crate::domain::decide::{Decided, Unchanged};
use crate::domain::event::{Event, EventKind};
use crate::domain::id::{Digest, Fingerprint, ItemId};
use crate::domain::keys::{Fact, Keyring, Said};
use crate::domain::moment::Moment;
use crate::domain::workflow::Workflow;
use crate::sign::{LeftOut, Pen};

#[cfg(test)]
mod model;

/// What a judge of the newest state comes to.
#[derive(Debug)]
pub enum Verdict<T> {
    /// Facts to record, with the definitions they publish.
    Record {
        facts: Vec<Event>,
        definitions: Vec<(String, Vec<u8>)>,
        /// The workflow a registration among the facts is on.
        workflow: Option<Arc<Workflow>>,
        value: T,
    },
    /// Nothing to record: no commit (L6).
    Nothing(T),
}

/// The facts of a decision, or why there are none.
impl From<Decided> for Verdict<Option<Unchanged>> {
    fn from(decided: Decided) -> Self {
        match decided {
            Decided::Facts(facts) => {
                Self::Record { facts, definitions: Vec::new(), workflow: None, value: None }
            }
            Decided::Unchanged(unchanged) => Self::Nothing(Some(unchanged)),
        }
    }
}

/// What was recorded, read back.
#[derive(Debug)]
pub struct Receipt<T> {
    pub value: T,
    /// Facts and decisions, in order.
    pub events: Vec<Sealed>,
    /// The touched items as they are now.
    pub items: BTreeMap<ItemId, ItemFold>,
    /// The commit, as hex; none when nothing was recorded.
    pub commit: Option<String>,
    pub mark: Option<Mark>,
}

/// What a commit has beside its facts: files that only the ledger itself restores, and the way its
/// facts came.
#[derive(Debug, Clone)]
pub(super) struct Repair {
    /// Files put back (or removed) before the facts are judged.
    pub changes: Changes,
    pub recovery: Option<Recovery>,
    pub pattern: Pattern,
}

impl Default for Repair {
    fn default() -> Self {
        Self { changes: Changes::new(), recovery: None, pattern: Pattern::Direct }
    }
}

impl Repair {
    /// The tree the facts are judged on: the tip's, with the repaired files in place.
    fn base(&self, snapshot: &Snapshot<'_>) -> Result<Oid, LedgerError> {
        if self.changes.is_empty() {
            return Ok(snapshot.root);
        }
        Ok(tree::splice(snapshot.store, Some(snapshot.root), &self.changes)?.0)
    }
}

/// How often a lost race is tried again: far more than contention under the lock can need.
const TRIES: u32 = 1000;

/// How often what does not read back is written again before the outcome is unknown.
const MENDS: u32 = 3;

impl Ledger {
    /// Judges the newest state and records what the judge says, exactly once.
    ///
    /// # Errors
    /// The judge's refusal; a bad artifact; busy; or unknown, when it may have been recorded.
    pub fn transact<T>(
        &self,
        moment: &Moment,
        mut judge: impl FnMut(&Snapshot<'_>) -> Result<Verdict<T>, LedgerError>,
    ) -> Result<Receipt<T>, LedgerError> {
        self.transact_repairing(
            moment,
            |store, cache| Snapshot::newest(store, cache),
            |snapshot| Ok((judge(snapshot)?, Repair::default())),
        )
    }

    /// The same for facts of others that a collector brings home (M4): the seal says so.
    ///
    /// # Errors
    /// As [`Self::transact`].
    pub fn transact_collected<T>(
        &self,
        moment: &Moment,
        mut judge: impl FnMut(&Snapshot<'_>) -> Result<Verdict<T>, LedgerError>,
    ) -> Result<Receipt<T>, LedgerError> {
        let collected = Repair { pattern: Pattern::Collected, ..Repair::default() };
        self.transact_repairing(
            moment,
            |store, cache| Snapshot::newest(store, cache),
            |snapshot| Ok((judge(snapshot)?, collected.clone())),
        )
    }

    pub(super) fn transact_repairing<T>(
        &self,
        moment: &Moment,
        newest: for<'a> fn(&'a Store, &'a Cache) -> Result<Snapshot<'a>, LedgerError>,
        mut judge: impl FnMut(&Snapshot<'_>) -> Result<(Verdict<T>, Repair), LedgerError>,
    ) -> Result<Receipt<T>, LedgerError> {
        if let Some(worktree) = self.store.checked_out() {
            let branch = self.store.branch().to_owned();
            return Err(LedgerError::CheckedOut { branch, worktree });
        }
        let settings = &self.settings;
        let lock = self.lock()?;
        let deadline = Instant::now() + settings.lock_wait.max(WriterLock::patience());
        let (mut cleared, mut lost) = (None, 0);
        let barrier = Barrier::begin(&self.store, settings.durability)?;
        let unknown = |error: LedgerError| LedgerError::Unknown { why: error.to_string() };
        for attempt in 0..TRIES {
            if let Some(remote) = &self.remote {
                self.catch_up(remote, &lock)?;
            }
            let snapshot = newest(&self.store, &self.cache)?;
            let (verdict, repair) = judge(&snapshot)?;
            let (facts, definitions, workflow, value) = match verdict {
                Verdict::Record { facts, definitions, workflow, value } => {
                    (facts, definitions, workflow, value)
                }
                Verdict::Nothing(value) => {
                    // It may be on record by a command that was killed before it said so: saying
                    // so now promises that it stays.
                    barrier.reference().map_err(unknown)?;
                    return Ok(Receipt {
                        value,
                        events: Vec::new(),
                        items: BTreeMap::new(),
                        commit: None,
                        mark: None,
                    });
                }
            };
            let base = repair.base(&snapshot)?;
            let finished = enact(
                &snapshot,
                base,
                repair.recovery.is_some(),
                facts,
                definitions,
                workflow.as_ref(),
            )?;
            let write = |signed: Option<Vec<u8>>| {
                let (repair, cleared) = (repair.clone(), cleared.clone());
                let draft =
                    self.draft(moment, &snapshot, base, &finished, repair, cleared, signed)?;
                barrier.objects(&draft.written)?;
                Ok(draft)
            };
            let draft = write(None)?;
            if let Some(remote) = &self.remote {
                match self.share(remote, Some(snapshot.tip), draft.commit)? {
                    // It is on record now, whatever becomes of this clone's branch: that follows
                    // at the next look.
                    Shared::Accepted => {}
                    Shared::Lost => {
                        tracing::debug!(
                            attempt,
                            lost,
                            "lost the race at the remote, deciding again"
                        );
                        self.lost_to_others(remote, lost, draft.commit)?;
                        lost += 1;
                        continue;
                    }
                }
            }
            match self.store.swap(Some(snapshot.tip), draft.commit, "stepseal: append") {
                Swap::Moved => {}
                Swap::Lost { .. } | Swap::Unknown(_) if self.remote.is_some() => {}
                Swap::Lost { locked } => {
                    tracing::debug!(attempt, locked, "lost the race, deciding again");
                    if locked && cleared.is_none() {
                        cleared = lock.clear_stale(&self.store.reference_path());
                    }
                    self.wait_or_give_up(attempt, deadline, locked, draft.commit)?;
                    continue;
                }
                Swap::Unknown(why) => {
                    let landed = self
                        .landed(draft.commit)
                        .map_err(|error| LedgerError::Unknown { why: format!("{why}; {error}") })?;
                    if !landed {
                        tracing::debug!(%why, "the swap failed and did not happen");
                        self.wait_or_give_up(attempt, deadline, true, draft.commit).map_err(
                            |_| LedgerError::Git { doing: "moving the branch".into(), why },
                        )?;
                        continue;
                    }
                }
            }
            barrier.reference().map_err(unknown)?;
            let mut back = self.read_back(&draft);
            for _ in 0..MENDS {
                let Err(error) = back else { break };
                // Until the swap nothing referred to these objects, so a clean-up beside us may
                // have taken them. Now something does: the same content under the same ids stays.
                tracing::warn!(%error, "not all of it reads back: it is written again");
                back = write(draft.signature.clone()).and_then(|draft| self.read_back(&draft));
            }
            back.map_err(unknown)?;
            return Ok(self.acknowledge(draft, finished, value, &snapshot));
        }
        Err(LedgerError::Contended { tries: TRIES })
    }

    /// Queues for the lock; a writer before this one may wait for a remote.
    pub(super) fn lock(&self) -> Result<WriterLock, LedgerError> {
        let remote = self.remote.as_ref().map_or(Duration::ZERO, |remote| remote.sharing.timeout);
        WriterLock::acquire(self.cache.folder(), self.settings.lock_wait + remote)
    }

    /// Between two tries: a jittered pause, or the end.
    fn wait_or_give_up(
        &self,
        attempt: u32,
        deadline: Instant,
        locked: bool,
        chance: Oid,
    ) -> Result<(), LedgerError> {
        if Instant::now() >= deadline {
            return Err(LedgerError::Contended { tries: attempt + 1 });
        }
        let chance = chance.as_bytes().iter().take(8).fold(0u64, |n, b| n << 8 | u64::from(*b));
        if locked && attempt > 4 {
            lock::pause(Duration::from_millis(50));
        } else {
            lock::back_off(attempt + 1, chance);
        }
        Ok(())
    }

    /// Whether a commit is on the branch now: how an unknown outcome is resolved.
    fn landed(&self, commit: Oid) -> Result<bool, LedgerError> {
        let Some(tip) = self.store.tip()? else { return Ok(false) };
        self.store.on_line(tip, commit, 10_000)
    }

    /// Writes everything but the reference; what was signed before is not signed again, because
    /// not every key signs the same bytes the same way twice.
    #[expect(clippy::too_many_arguments, reason = "the parts of one draft, used once each")]
    fn draft(
        &self,
        moment: &Moment,
        snapshot: &Snapshot<'_>,
        base: Oid,
        finished: &Finished,
        repair: Repair,
        cleared: Option<String>,
        signed: Option<Vec<u8>>,
    ) -> Result<Draft, LedgerError> {
        let (last, bytes) = match &snapshot.seen {
            Some(seen) => seen::seal_at(&self.store, base, seen.seq)?,
            None => seen::last_seal(&self.store, base)?,
        };
        let frontier = last.tree().ok_or_else(|| LedgerError::LedgerStopped {
            found: Box::new(super::Stop::new(seal_path(last.seq), "does not agree with itself")),
        })?;
        let mut recovery = repair.recovery;
        if let Some(cleared) = cleared {
            let none = || Recovery {
                foreign_commits: Vec::new(),
                restored: Vec::new(),
                cleared_lock: None,
            };
            recovery.get_or_insert_with(none).cleared_lock = Some(cleared);
        }
        let facts = facts(&finished.events);
        let unknown = Keyring::default();
        let keys = snapshot.seen.as_ref().map_or(&unknown, |seen| &seen.keys);
        let pen = self.pen(keys, &facts)?;
        let seal = seal(
            moment,
            &self.settings,
            Some((last.seq, Digest::of(&bytes))),
            frontier,
            &finished.leaves,
            Vec::new(),
            pen.map(|pen| pen.fingerprint().clone()),
            repair.pattern,
            recovery,
        );
        // What a reader would refuse is not written.
        keys.judge(Said {
            seal: seal.seq,
            timestamp: seal.timestamp,
            signed_by: seal.signed_by.as_ref(),
            facts: &facts,
        })?;
        let sealed = encode(&seal);
        let signature = match (pen, signed) {
            (Some(_), Some(signed)) => Some(signed),
            (pen, _) => pen.map(|pen| pen.sign(&sealed)).transpose()?,
        };
        let mut changes = repair.changes;
        changes.extend(finished.derived.clone());
        changes.extend(
            finished.leaves.iter().map(|(path, bytes)| (path.clone(), Some(bytes.clone()))),
        );
        changes.insert(seal_path(seal.seq), Some(sealed));
        if let Some(signature) = &signature {
            changes.insert(signature_path(seal.seq), Some(signature.clone()));
        }
        let (root, written) = tree::splice(&self.store, Some(snapshot.root), &changes)?;
        let message = message(&finished.events, &seal);
        let paths = changes.into_keys().collect();
        let draft =
            self.commit(moment, Some(snapshot.tip), root, written, &message, seal, paths)?;
        Ok(Draft { signature, ..draft })
    }

    /// What this seal is signed with. Key events always are; other seals where this clone signs
    /// and the ledger has a key, since before the first one a signature proves nothing.
    fn pen(&self, keys: &Keyring, facts: &[Fact]) -> Result<Option<&Pen>, LedgerError> {
        let signing = &self.settings.signing;
        let changes_keys = facts.iter().any(|fact| fact.key.is_some());
        let left_out = match (changes_keys, signing.on(), keys.is_empty()) {
            (true, _, _) | (false, true, false) => return Ok(Some(signing.pen()?)),
            (false, true, true) => Some(LeftOut::NoKeyYet),
            (false, false, false) => Some(LeftOut::NotAsked),
            (false, false, true) => None,
        };
        if let Some(left_out) = left_out {
            signing.leave_out(left_out);
        }
        Ok(None)
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one commit, used once each")]
    pub(super) fn commit(
        &self,
        moment: &Moment,
        parent: Option<Oid>,
        root: Oid,
        mut written: Vec<Oid>,
        message: &str,
        seal: Seal,
        paths: Vec<String>,
    ) -> Result<Draft, LedgerError> {
        let actor = &moment.actor;
        let author =
            Person { name: actor.name.clone(), email: actor.principal.as_str().to_owned() };
        let committer = self.store.user().unwrap_or_else(|| author.clone());
        let seconds = moment.now().timestamp();
        let bytes = object::format_commit(root, parent, &author, &committer, seconds, message);
        let commit = self.store.write(ObjectType::Commit, &bytes)?;
        written.push(commit);
        Ok(Draft { commit, root, written, seal, signature: None, paths })
    }

    /// Reads commit, seal and files back from the disk: what gc or a bad disk took is not
    /// acknowledged.
    pub(super) fn read_back(&self, draft: &Draft) -> Result<(), LedgerError> {
        let commit = self.store.commit(draft.commit)?;
        let seal = tree::file(&self.store, commit.tree, &seal_path(draft.seal.seq))?;
        if seal.as_deref() != Some(&encode(&draft.seal)[..]) {
            return Err(LedgerError::Invalid("the seal does not read back".into()));
        }
        if let Some(signature) = &draft.signature {
            let found = tree::file(&self.store, commit.tree, &signature_path(draft.seal.seq))?;
            if found.as_ref() != Some(signature) {
                return Err(LedgerError::Invalid("the signature does not read back".into()));
            }
        }
        for file in &draft.seal.artifacts {
            let bytes = tree::file(&self.store, commit.tree, &file.path)?;
            if bytes.map(|bytes| Digest::of(&bytes)).as_ref() != Some(&file.sha256) {
                return Err(LedgerError::Invalid(format!("{} does not read back", file.path)));
            }
        }
        for path in &draft.paths {
            tree::file(&self.store, commit.tree, path)?;
        }
        Ok(())
    }

    /// Remembers what was recorded and says so.
    fn acknowledge<T>(
        &self,
        draft: Draft,
        finished: Finished,
        value: T,
        snapshot: &Snapshot<'_>,
    ) -> Receipt<T> {
        let mark = draft.seal.mark();
        if let Some(seen) = &snapshot.seen {
            let mut seen = seen.clone();
            seen.take(&draft.seal, &facts(&finished.events));
            seen.tip = draft.commit.to_string();
            seen.save(&self.cache);
        }
        for fold in finished.items.values() {
            fold::remember(&self.store, &self.cache, draft.root, fold);
        }
        Receipt {
            value,
            events: finished.events,
            items: finished.items,
            commit: Some(draft.commit.to_string()),
            mark: Some(mark),
        }
    }
}

/// A commit that no reference names yet.
pub(super) struct Draft {
    pub commit: Oid,
    pub root: Oid,
    pub written: Vec<Oid>,
    pub seal: Seal,
    pub signature: Option<Vec<u8>>,
    pub paths: Vec<String>,
}

/// The facts among events, as far as signatures concern them.
fn facts(events: &[Sealed]) -> Vec<Fact> {
    events.iter().filter_map(|sealed| Fact::of(&sealed.event, &sealed.sha256)).collect()
}

/// Turns facts into files against a state.
fn enact(
    snapshot: &Snapshot<'_>,
    base: Oid,
    repairing: bool,
    facts: Vec<Event>,
    definitions: Vec<(String, Vec<u8>)>,
    workflow: Option<&Arc<Workflow>>,
) -> Result<Finished, LedgerError> {
    let repaired;
    // What a correction puts right must not stop the correction, also where only the record of a
    // foreign commit is missing and no file.
    let snapshot = if repairing {
        repaired = snapshot.with_root(base, None);
        &repaired
    } else {
        snapshot
    };
    let mut batch = Batch::new(snapshot.ledger()?.clone());
    for (path, bytes) in definitions {
        batch.define(path, bytes);
    }
    for fact in facts {
        if let Some(item) = &fact.work_item_id {
            batch.enter(item.clone(), snapshot.item(item)?);
        }
        batch.record(fact, workflow)?;
    }
    Ok(batch.finish())
}

/// Seals the write-once files of one commit.
#[expect(clippy::too_many_arguments, reason = "the parts of one seal, used once each")]
pub(super) fn seal(
    moment: &Moment,
    settings: &Settings,
    last: Option<(u64, Digest)>,
    mut frontier: Frontier,
    leaves: &[(String, Vec<u8>)],
    documents: Vec<SealedFile>,
    signed_by: Option<Fingerprint>,
    pattern: Pattern,
    recovery: Option<Recovery>,
) -> Seal {
    for (path, bytes) in leaves {
        frontier.push(leaf(path, bytes));
    }
    let (seq, previous) = last.map_or((1, None), |(seq, digest)| (seq + 1, Some(digest)));
    Seal {
        schema_version: SCHEMA_VERSION.into(),
        seq,
        previous,
        timestamp: moment.now(),
        artifacts: leaves
            .iter()
            .map(|(path, bytes)| SealedFile { path: path.clone(), sha256: Digest::of(bytes) })
            .collect(),
        documents,
        size: frontier.size(),
        root: frontier.root(),
        frontier: frontier.roots().to_vec(),
        committer: Committer { id: moment.actor.id.to_string(), program: settings.program.clone() },
        pattern,
        signed_by,
        recovery,
    }
}

/// A commit message that reads well, with trailers for machines (L8). Only ids go in: nothing a
/// plan or an agent wrote.
fn message(events: &[Sealed], seal: &Seal) -> String {
    let fact = events.iter().find(|sealed| {
        sealed.event.work_item_id.is_some() && !crate::domain::state::is_system(&sealed.event.actor)
    });
    let subject = match fact.or(events.first()).map(|sealed| &sealed.event) {
        None => "stepseal: nothing".to_owned(),
        Some(event) => {
            let what = match (&event.work_item_id, &event.step) {
                (Some(item), Some(step)) => format!("{item} {}", step.key),
                (Some(item), None) => item.to_string(),
                (None, _) => "ledger".to_owned(),
            };
            let subject = event.attempt_id.as_ref().map_or(String::new(), |a| format!("{a} "));
            format!("{what}: {subject}{} by {}", event.outcome.status, who(event))
        }
    };
    let mut message = format!("{subject}\n\n");
    for sealed in events.iter().take(100) {
        message.push_str(&format!(
            "Stepseal-Event: {} {}\n",
            sealed.event.kind().name(),
            sealed.event.id
        ));
    }
    message.push_str(&format!("Stepseal-Seal: {}\nStepseal-Mark: {}\n", seal.seq, seal.mark()));
    message
}

/// Executors work; principals decide gates.
fn who(event: &Event) -> &str {
    let gate = matches!(event.kind(), EventKind::GateApproved | EventKind::GateRejected);
    if gate { event.actor.principal.as_str() } else { event.actor.id.as_str() }
}
