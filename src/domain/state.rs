//! An item's state and how events change it. `apply` has no opinion: it believes what is legal
//! by the transition tables and refuses the rest; every rule is in [`super::decide`].

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::event::{
    Actor, ActorKind, AttestMode, Baseline, CodeSeen, Dirty, Event, EventData, EventKind,
    ImportedState, Output, PlanRef, VoidStep, WorkflowRef,
};
use super::id::{
    AttemptAlias, AttemptId, ClaimId, CriterionId, Digest, EventId, ExecutorId, ItemId,
    PrincipalId, RequestId, StepKey,
};
use super::migration::{Carried, Migration};
use super::transition::{AttemptPhase, ItemPhase, Lane, attempt_after, item_after};
use super::workflow::Workflow;

/// An event by id and digest of its sealed bytes: what a link needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRef {
    pub id: EventId,
    pub sha256: Digest,
}

/// Why an event cannot be read after the ones before it (L10).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Illegal {
    #[error("{event} is not legal while the item is {phase}")]
    Item { event: &'static str, phase: &'static str },
    #[error("{event} is not legal while attempt {attempt} is {phase}")]
    Attempt { event: &'static str, attempt: AttemptId, phase: &'static str },
    #[error("{event} names step `{key}`, which workflow {workflow} does not have")]
    UnknownStep { event: &'static str, key: StepKey, workflow: String },
    #[error("{event} does not carry the {field} it must carry")]
    Missing { event: &'static str, field: &'static str },
    #[error("{event} says {said}, the events before it say {known}")]
    Contradiction { event: &'static str, said: String, known: String },
}

/// What folding an item's events gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemState {
    pub id: ItemId,
    pub phase: ItemPhase,
    pub title: String,
    pub description: Option<String>,
    pub workflow: WorkflowKey,
    pub plan: Option<PlanState>,
    pub priority: Option<u32>,
    pub labels: Vec<String>,
    pub owner: Option<PrincipalId>,
    /// How ownership moved, in order (FR-011).
    pub transfers: Vec<Transfer>,
    pub registered: EventRef,
    #[serde(with = "chrono::serde::ts_milliseconds")]
    pub registered_at: DateTime<Utc>,
    /// In launch order of the workflow.
    pub steps: Vec<StepState>,
    pub review: Review,
    /// By the time they were declared, then by id.
    pub blockers: Vec<Blocker>,
    pub aliases: BTreeMap<AttemptAlias, AttemptId>,
    pub requests: BTreeMap<RequestId, RequestSeen>,
    /// Every way back, in order: the last one is why the item stands where it stands (FR-015).
    pub returns: Vec<Return>,
    pub integrated: Option<Integrated>,
    /// Who ended the item without its work being done, while that holds.
    pub ended: Option<Ended>,
    /// The last resumption.
    pub resumed: Option<Resumed>,
    /// Every move to another version, in order (FR-016).
    pub migrations: Vec<Migration>,
    /// Steps of earlier versions that this one does not have, as they were left.
    pub parked: BTreeMap<StepKey, StepState>,
    /// Events so far, decisions included: the next one's number is one more.
    pub events: u32,
    /// The latest fact.
    #[serde(with = "chrono::serde::ts_milliseconds")]
    pub last_at: DateTime<Utc>,
}

/// A workflow version, pinned; the cache's own form of [`WorkflowRef`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkflowKey {
    pub name: super::id::WorkflowName,
    pub version: u32,
    pub sha256: Digest,
}

impl WorkflowKey {
    /// As events name it.
    #[must_use]
    pub fn reference(&self) -> WorkflowRef {
        WorkflowRef { name: self.name.clone(), version: self.version, sha256: self.sha256.clone() }
    }
}

/// The plan an item came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanState {
    pub format: String,
    pub path: String,
    pub digest: Digest,
}

/// One step of an item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepState {
    /// How often the step has been opened, from 1.
    pub round: u32,
    /// Done or skipped before the item was registered, with the plan's line.
    pub imported: Option<(Imported, Option<u32>)>,
    pub skipped: Option<Skipped>,
    /// Done under another key, before a migration.
    pub carried: Option<Carried>,
    /// Attempt N is at N - 1.
    pub attempts: Vec<AttemptState>,
}

/// [`ImportedState`] in the cache's form; `Void` once a way back undid it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Imported {
    Done,
    Skipped,
    Void,
}

/// A step given up by hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    pub event: EventRef,
    pub by: ExecutorId,
    #[serde(with = "chrono::serde::ts_milliseconds")]
    pub at: DateTime<Utc>,
    pub reason: String,
}

/// One try of one step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptState {
    pub phase: AttemptPhase,
    pub round: u32,
    #[serde(with = "chrono::serde::ts_milliseconds")]
    pub queued_at: DateTime<Utc>,
    pub retry_of: Option<u32>,
    pub retry_reason: Option<String>,
    pub claim: Option<Claim>,
    pub approvals: Vec<Approval>,
    pub end: Option<End>,
}

/// Who holds or held an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    pub id: ClaimId,
    pub event: EventRef,
    pub executor: ExecutorId,
    pub principal: PrincipalId,
    #[serde(with = "chrono::serde::ts_milliseconds")]
    pub at: DateTime<Utc>,
    pub alias: Option<AttemptAlias>,
    #[serde(with = "chrono::serde::ts_milliseconds_option")]
    pub lease_until: Option<DateTime<Utc>>,
    pub attested: Vec<(CriterionId, bool)>,
    pub head: Option<String>,
    pub inputs_digest: Digest,
}

/// One yes of a gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    pub event: EventRef,
    pub principal: PrincipalId,
    pub outputs_digest: Digest,
    #[serde(with = "chrono::serde::ts_milliseconds")]
    pub at: DateTime<Utc>,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    pub event: EventRef,
    pub by: ExecutorId,
    pub principal: PrincipalId,
    #[serde(with = "chrono::serde::ts_milliseconds")]
    pub at: DateTime<Utc>,
    /// What was said: the outcome, or the reason.
    pub summary: String,
    pub next_action: String,
    pub outputs: Vec<(String, Digest, u64)>,
    /// Of a completed attempt (G2).
    pub outputs_digest: Option<Digest>,
    pub inputs_digest: Option<Digest>,
    pub verified: Vec<CriterionId>,
    /// Commit id of HEAD (K4).
    pub head: Option<String>,
    pub dirty: Option<bool>,
}

/// Review before execution (FR-003).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Review {
    /// Set while a person suspects a duplicate.
    pub flagged: Option<Flag>,
    /// Merged or closed into.
    pub survivor: Option<ItemId>,
    pub linked: Vec<ItemId>,
    /// The last decision, links included.
    pub last: Option<ReviewDecision>,
    /// Whether a person has decided at all (policy `required`).
    pub decided: bool,
}

/// What a person decided about a suspicion, or noted beside it: by whom, when, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewDecision {
    pub by: PrincipalId,
    #[serde(with = "chrono::serde::ts_milliseconds")]
    pub at: DateTime<Utc>,
    pub rationale: String,
}

impl Review {
    /// Whether these were the last words.
    #[must_use]
    pub fn said(&self, rationale: &str) -> bool {
        self.last.as_ref().is_some_and(|last| last.rationale == rationale)
    }
}

/// A suspicion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flag {
    pub event: EventRef,
    pub by: PrincipalId,
    #[serde(with = "chrono::serde::ts_milliseconds")]
    pub at: DateTime<Utc>,
    pub reason: String,
    pub suspects: Vec<ItemId>,
}

/// Something outside that holds the item (FR-012).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocker {
    pub id: CriterionId,
    pub kind: String,
    pub steps: Vec<StepKey>,
    pub notes: String,
    pub by: PrincipalId,
    #[serde(with = "chrono::serde::ts_milliseconds")]
    pub at: DateTime<Utc>,
    pub event: EventRef,
    /// Who is to see that it goes away.
    pub owner: PrincipalId,
    #[serde(with = "chrono::serde::ts_milliseconds_option")]
    pub resolved_at: Option<DateTime<Utc>>,
    /// Who resolved it, and how.
    pub resolution: Option<(PrincipalId, String)>,
}

/// A change of who is accountable (FR-011).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    pub event: EventRef,
    pub from: Option<PrincipalId>,
    pub to: PrincipalId,
    pub by: PrincipalId,
    #[serde(with = "chrono::serde::ts_milliseconds")]
    pub at: DateTime<Utc>,
    pub reason: String,
}

/// A merge, a closing or a cancellation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    pub event: EventRef,
    pub by: PrincipalId,
    #[serde(with = "chrono::serde::ts_milliseconds")]
    pub at: DateTime<Utc>,
    pub reason: String,
}

/// A resumption after an interruption.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resumed {
    pub event: EventRef,
    pub by: PrincipalId,
    #[serde(with = "chrono::serde::ts_milliseconds")]
    pub at: DateTime<Utc>,
    pub reason: String,
    /// The item's events up to it: with as many there is nothing new.
    pub events: u32,
}

/// A rejection or a rework.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Return {
    pub event: EventRef,
    pub by: PrincipalId,
    #[serde(with = "chrono::serde::ts_milliseconds")]
    pub at: DateTime<Utc>,
    pub reason: String,
    /// The gate's attempt; none for a rework outside a gate.
    pub gate: Option<AttemptId>,
    /// The commit that undid an integration; none where the item was provisional.
    pub reverted_by: Option<String>,
    pub to: StepKey,
    pub void: Vec<StepKey>,
}

/// The boundary between provisional and authoritative (FR-010).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Integrated {
    pub event: EventRef,
    #[serde(with = "chrono::serde::ts_milliseconds")]
    pub at: DateTime<Utc>,
    pub by: PrincipalId,
    pub commit: String,
    pub branch: String,
    /// Why it was accepted although not all of it could be shown to have landed.
    pub accepted: Option<String>,
}

/// A request that was answered (R1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestSeen {
    pub digest: Digest,
    /// The first fact recorded under it, its kind as named on paper, and its attempt.
    pub event: EventId,
    pub kind: String,
    pub attempt: Option<AttemptId>,
}

/// Where a step stands now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// No attempt in this round yet.
    Untouched,
    /// Queued: ready unless something holds it.
    Queued,
    /// In progress.
    Claimed,
    /// Done in this round, and how.
    Done(Done),
    /// Its last attempt ended without being done; it needs an explicit requeue.
    Ended(AttemptPhase),
}

/// How a step came to be done (S6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    Completed,
    Approved,
    Skipped,
    ImportedDone,
    ImportedSkipped,
    /// Completed or approved under the key it had before a migration.
    Carried,
}

impl StepState {
    pub(super) fn new() -> Self {
        Self { round: 1, imported: None, skipped: None, carried: None, attempts: Vec::new() }
    }

    /// Where the step stands in its current round (S6).
    #[must_use]
    pub fn standing(&self) -> Standing {
        if self.skipped.is_some() {
            return Standing::Done(Done::Skipped);
        }
        if self.carried.is_some() {
            return Standing::Done(Done::Carried);
        }
        match self.imported {
            Some((Imported::Done, _)) => return Standing::Done(Done::ImportedDone),
            Some((Imported::Skipped, _)) => return Standing::Done(Done::ImportedSkipped),
            Some((Imported::Void, _)) | None => {}
        }
        match self.current().map(|attempt| attempt.phase) {
            None | Some(AttemptPhase::Absent) => Standing::Untouched,
            Some(AttemptPhase::Queued) => Standing::Queued,
            Some(AttemptPhase::Claimed) => Standing::Claimed,
            Some(AttemptPhase::Completed) => Standing::Done(Done::Completed),
            Some(AttemptPhase::Approved) => Standing::Done(Done::Approved),
            Some(
                ended @ (AttemptPhase::Failed
                | AttemptPhase::Rejected
                | AttemptPhase::Released
                | AttemptPhase::Lapsed
                | AttemptPhase::Withdrawn),
            ) => Standing::Ended(ended),
        }
    }

    /// Whether those that wait for the step may go on.
    #[must_use]
    pub fn is_done(&self) -> bool {
        matches!(self.standing(), Standing::Done(_))
    }

    /// When it was done in its current round; `None` for imported steps, which were done before.
    fn done_at(&self) -> Option<DateTime<Utc>> {
        match (&self.skipped, &self.carried) {
            (Some(skipped), _) => Some(skipped.at),
            (None, Some(carried)) => Some(carried.at),
            (None, None) => {
                self.current().and_then(|attempt| attempt.end.as_ref()).map(|end| end.at)
            }
        }
    }

    /// The last attempt of the current round.
    #[must_use]
    pub fn current(&self) -> Option<&AttemptState> {
        self.attempts.last().filter(|attempt| attempt.round == self.round)
    }

    /// Queues the next attempt, as a decision will: for looking ahead, never while folding.
    pub(super) fn queue(&mut self, round: u32, at: DateTime<Utc>) {
        self.attempts.push(AttemptState {
            phase: AttemptPhase::Queued,
            round,
            queued_at: at,
            retry_of: None,
            retry_reason: None,
            claim: None,
            approvals: Vec::new(),
            end: None,
        });
    }

    /// The number of the last attempt, 0 when there is none.
    #[must_use]
    pub fn last_number(&self) -> u32 {
        u32::try_from(self.attempts.len()).unwrap_or(u32::MAX)
    }

    /// The attempt with this number.
    #[must_use]
    pub fn attempt(&self, number: u32) -> Option<&AttemptState> {
        number.checked_sub(1).and_then(|at| self.attempts.get(at as usize))
    }

    /// What those that wait for the step build on: the digest of its outputs, and a constant
    /// where it was skipped or imported (K5).
    #[must_use]
    pub fn outputs_digest(&self) -> Digest {
        match self.standing() {
            Standing::Done(Done::Completed) => self
                .current()
                .and_then(|attempt| attempt.end.as_ref()?.outputs_digest.clone())
                .unwrap_or_else(|| Digest::of(b"")),
            Standing::Done(Done::Approved) => self
                .current()
                .and_then(|attempt| attempt.approvals.last())
                .map_or_else(|| Digest::of(b""), |approval| approval.outputs_digest.clone()),
            Standing::Done(Done::Skipped | Done::ImportedSkipped) => Digest::of(b"skipped"),
            Standing::Done(Done::ImportedDone) => Digest::of(b"imported"),
            Standing::Done(Done::Carried) => self
                .carried
                .as_ref()
                .map_or_else(|| Digest::of(b""), |carried| carried.outputs_digest.clone()),
            Standing::Untouched | Standing::Queued | Standing::Claimed | Standing::Ended(_) => {
                Digest::of(b"open")
            }
        }
    }
}

impl ItemState {
    /// Which steps are done, in launch order.
    #[must_use]
    pub fn done(&self) -> Vec<bool> {
        self.steps.iter().map(StepState::is_done).collect()
    }

    /// The item's round: how often its most reopened step has been opened.
    #[must_use]
    pub fn round(&self) -> u32 {
        self.steps.iter().map(|step| step.round).max().unwrap_or(1)
    }

    /// Whether outputs are authoritative.
    #[must_use]
    pub fn baseline(&self) -> Baseline {
        if self.integrated.is_some() { Baseline::Post } else { Baseline::Pre }
    }

    /// The attempt a caller means by `KEY.N` or by its alias.
    #[must_use]
    pub fn attempt_named(&self, name: &str) -> Option<AttemptId> {
        if let Ok(id) = name.parse::<AttemptId>() {
            return Some(id);
        }
        name.parse::<AttemptAlias>().ok().and_then(|alias| self.aliases.get(&alias).cloned())
    }

    /// The last way back.
    #[must_use]
    pub fn last_return(&self) -> Option<&Return> {
        self.returns.last()
    }

    /// How long the item was blocked up to a moment, as a whole or in part: time that several
    /// blockers share counts once.
    #[must_use]
    pub fn blocked_until(&self, until: DateTime<Utc>) -> TimeDelta {
        let until = self.ended.as_ref().map_or(until, |ended| until.min(ended.at));
        let mut spans: Vec<_> = self
            .blockers
            .iter()
            .map(|blocker| (blocker.at, blocker.resolved_at.unwrap_or(until).min(until)))
            .collect();
        spans.sort_unstable();
        let (mut blocked, mut counted) = (TimeDelta::zero(), DateTime::<Utc>::MIN_UTC);
        for (from, to) in spans {
            let from = from.max(counted);
            if from < to {
                blocked += to - from;
                counted = to;
            }
        }
        blocked
    }

    /// Blockers that still hold, for a step or for the whole item.
    pub fn open_blockers<'a>(&'a self, key: &'a StepKey) -> impl Iterator<Item = &'a Blocker> {
        self.blockers.iter().filter(move |blocker| {
            blocker.resolved_at.is_none()
                && (blocker.steps.is_empty() || blocker.steps.contains(key))
        })
    }

    /// Folds the first event of an item.
    ///
    /// # Errors
    /// When it is no registration, or one of another workflow.
    pub fn register(event: &Event, sha256: Digest, workflow: &Workflow) -> Result<Self, Illegal> {
        let name = event.kind().name();
        let EventData::WorkItemRegistered(data) = &event.data else {
            return Err(Illegal::Item { event: name, phase: ItemPhase::Absent.word() });
        };
        let missing = |field| Illegal::Missing { event: name, field };
        let id = event.work_item_id.clone().ok_or_else(|| missing("workItemId"))?;
        let reference = event.workflow.clone().ok_or_else(|| missing("workflow"))?;
        if reference != workflow.reference {
            return Err(Illegal::Contradiction {
                event: name,
                said: format!("workflow {}@{}", reference.name, reference.version),
                known: format!("{}@{}", workflow.reference.name, workflow.reference.version),
            });
        }
        let mut steps = vec![StepState::new(); workflow.steps().len()];
        for step in &data.imported {
            let at = position(workflow, name, &step.key)?;
            let state = match step.state {
                ImportedState::Done => Imported::Done,
                ImportedState::Skipped => Imported::Skipped,
            };
            steps[at].imported = Some((state, step.source_line));
        }
        let mut item = Self {
            id,
            phase: ItemPhase::Active,
            title: data.title.clone(),
            description: data.description.clone(),
            workflow: WorkflowKey {
                name: reference.name,
                version: reference.version,
                sha256: reference.sha256,
            },
            plan: data.plan.as_ref().map(|PlanRef { format, path, digest }| PlanState {
                format: format.clone(),
                path: path.clone(),
                digest: digest.clone(),
            }),
            priority: data.priority,
            labels: data.labels.clone(),
            owner: data.owner.clone(),
            transfers: Vec::new(),
            registered: EventRef { id: event.id, sha256: sha256.clone() },
            registered_at: event.timestamp,
            steps,
            review: Review::default(),
            blockers: Vec::new(),
            aliases: BTreeMap::new(),
            requests: BTreeMap::new(),
            returns: Vec::new(),
            integrated: None,
            ended: None,
            resumed: None,
            migrations: Vec::new(),
            parked: BTreeMap::new(),
            events: 1,
            last_at: event.timestamp,
        };
        note_request(&mut item.requests, event);
        Ok(item)
    }

    /// Folds one further event.
    ///
    /// # Errors
    /// When the tables or the events before it say it cannot have happened; the state is then
    /// to be thrown away.
    pub fn apply(
        &mut self,
        event: &Event,
        sha256: Digest,
        workflow: &Workflow,
    ) -> Result<(), Illegal> {
        let kind = event.kind();
        let phase = self.admits(event)?;
        let this = EventRef { id: event.id, sha256 };
        if let EventData::ScheduleDecided(data) = &event.data {
            for opened in &data.opened {
                self.open(workflow, kind, &opened.attempt_id, opened.round, event, None)?;
            }
        } else if let EventData::AttemptRequeued(data) = &event.data {
            let attempt = attempt_of(event)?;
            let retry = Some((data.retry_of.number(), data.reason.clone()));
            self.open(workflow, kind, attempt, data.round, event, retry)?;
        } else {
            self.apply_other(event, &this, workflow)?;
        }
        self.count(event, phase);
        Ok(())
    }

    /// The phase an event of this item leads to.
    pub(super) fn admits(&self, event: &Event) -> Result<ItemPhase, Illegal> {
        let name = event.kind().name();
        if event.work_item_id.as_ref() != Some(&self.id) {
            return Err(Illegal::Missing { event: name, field: "workItemId of this item" });
        }
        item_after(self.phase, event.kind())
            .ok_or(Illegal::Item { event: name, phase: self.phase.word() })
    }

    /// Counts an event that was folded.
    pub(super) fn count(&mut self, event: &Event, phase: ItemPhase) {
        self.phase = phase;
        self.events += 1;
        if event.kind() != EventKind::ScheduleDecided {
            self.last_at = self.last_at.max(event.timestamp);
        }
        note_request(&mut self.requests, event);
    }

    /// Queues a new attempt: by a decision or by a requeue.
    fn open(
        &mut self,
        workflow: &Workflow,
        kind: EventKind,
        attempt: &AttemptId,
        round: u32,
        event: &Event,
        retry: Option<(u32, String)>,
    ) -> Result<(), Illegal> {
        let at = position(workflow, kind.name(), attempt.key())?;
        let lane = lane(workflow, at);
        let queued_at = match &retry {
            Some(_) => event.timestamp,
            None => self.opened_at(workflow, at, event.timestamp),
        };
        let step = &mut self.steps[at];
        let phase = step.attempt(attempt.number()).map_or(AttemptPhase::Absent, |a| a.phase);
        let illegal = || Illegal::Attempt {
            event: kind.name(),
            attempt: attempt.clone(),
            phase: phase.word(),
        };
        let after = attempt_after(lane, phase, kind, false).ok_or_else(illegal)?;
        let next = step.last_number() + 1;
        let in_the_way = match step.standing() {
            Standing::Queued | Standing::Claimed | Standing::Done(_) => true,
            Standing::Untouched => retry.is_some(),
            Standing::Ended(_) => retry.is_none(),
        };
        if attempt.number() != next || round != step.round || in_the_way {
            return Err(Illegal::Contradiction {
                event: kind.name(),
                said: format!("attempt {attempt} opens in round {round}"),
                known: format!(
                    "the next is {}.{next} in round {}, the step is {}",
                    attempt.key(),
                    step.round,
                    standing_word(step.standing())
                ),
            });
        }
        let (retry_of, retry_reason) = retry.unzip();
        step.attempts.push(AttemptState {
            phase: after,
            round,
            queued_at,
            retry_of,
            retry_reason,
            claim: None,
            approvals: Vec::new(),
            end: None,
        });
        Ok(())
    }

    /// Since when a step has been open: its fact's time, or that of a step it waits for where
    /// facts came out of the order of their times, so that another legal order says the same (L4).
    fn opened_at(&self, workflow: &Workflow, at: usize, fact: DateTime<Utc>) -> DateTime<Utc> {
        if self.last_at <= fact {
            return fact;
        }
        let before = workflow.graph().direct(at);
        before.into_iter().filter_map(|at| self.steps[at].done_at()).fold(fact, DateTime::max)
    }

    fn apply_other(
        &mut self,
        event: &Event,
        this: &EventRef,
        workflow: &Workflow,
    ) -> Result<(), Illegal> {
        let name = event.kind().name();
        let by = &event.actor.principal;
        match &event.data {
            EventData::ItemEdited(data) => {
                if let Some(title) = &data.title {
                    self.title.clone_from(title);
                }
                self.priority = data.priority.or(self.priority);
                if let Some(labels) = &data.labels {
                    self.labels.clone_from(labels);
                }
            }
            EventData::ReviewFlagged(data) => {
                self.review.flagged = Some(Flag {
                    event: this.clone(),
                    by: by.clone(),
                    at: event.timestamp,
                    reason: data.reason.clone(),
                    suspects: data.suspects.clone(),
                });
            }
            EventData::ReviewCleared(data) => self.reviewed(event, None, &data.rationale),
            EventData::ReviewOverturned(data) => {
                self.reviewed(event, None, &data.rationale);
                self.ended = None;
            }
            EventData::ReviewClosed(data) => {
                self.reviewed(event, data.survivor.as_ref(), &data.rationale);
                self.ended = Some(ended(event, this, &data.rationale));
            }
            EventData::ReviewMerged(data) => {
                self.reviewed(event, Some(&data.other), &data.rationale);
                self.ended = Some(ended(event, this, &data.rationale));
            }
            EventData::ReviewLinked(data) => {
                self.review.linked.push(data.other.clone());
                // The later one counts, in whichever order two were recorded (L4).
                let noted = Some(review_decision(event, &data.rationale));
                let time = |one: &Option<ReviewDecision>| {
                    one.as_ref().map(|one| (one.at, one.by.clone(), one.rationale.clone()))
                };
                if time(&self.review.last) < time(&noted) {
                    self.review.last = noted;
                }
            }
            EventData::OwnerTransferred(data) => {
                self.owner = Some(data.to.clone());
                self.transfers.push(Transfer {
                    event: this.clone(),
                    from: data.from.clone(),
                    to: data.to.clone(),
                    by: by.clone(),
                    at: event.timestamp,
                    reason: data.reason.clone(),
                });
            }
            EventData::BlockerDeclared(data) => {
                self.blockers.push(Blocker {
                    id: data.blocker_id.clone(),
                    kind: data.blocker_type.clone(),
                    steps: data.steps.clone(),
                    notes: data.notes.clone(),
                    by: by.clone(),
                    at: event.timestamp,
                    event: this.clone(),
                    owner: data.owner.clone(),
                    resolved_at: None,
                    resolution: None,
                });
                // In whichever order they were recorded, views say the same (L4).
                self.blockers.sort_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
            }
            EventData::BlockerResolved(data) => {
                let open = self
                    .blockers
                    .iter_mut()
                    .find(|b| b.id == data.blocker_id && b.resolved_at.is_none());
                let Some(blocker) = open else {
                    return Err(Illegal::Contradiction {
                        event: name,
                        said: format!("blocker {} is resolved", data.blocker_id),
                        known: "no open blocker of that id".into(),
                    });
                };
                blocker.resolved_at = Some(event.timestamp);
                blocker.resolution = Some((by.clone(), data.resolution.clone()));
            }
            EventData::AttemptClaimed(data) => {
                let attempt = attempt_of(event)?.clone();
                if let Some(alias) = &data.alias {
                    if self.aliases.contains_key(alias) {
                        return Err(Illegal::Contradiction {
                            event: name,
                            said: format!("{attempt} is also called {alias}"),
                            known: format!("{alias} is the name of another attempt"),
                        });
                    }
                    self.aliases.insert(alias.clone(), attempt);
                }
                let claim = Claim {
                    id: data.claim_id,
                    event: this.clone(),
                    executor: event.actor.id.clone(),
                    principal: by.clone(),
                    at: event.timestamp,
                    alias: data.alias.clone(),
                    lease_until: data.lease_until,
                    attested: data
                        .attested
                        .iter()
                        .map(|a| (a.id.clone(), a.mode == AttestMode::All))
                        .collect(),
                    head: data.code.as_ref().map(|code| code.head.clone()),
                    inputs_digest: data.inputs_digest.clone(),
                };
                self.advance(event, workflow, false)?.claim = Some(claim);
            }
            EventData::AttemptCompleted(data) => {
                let mut end = end_of(event, this, &data.outputs, data.code.as_ref());
                end.outputs_digest = Some(data.outputs_digest.clone());
                end.inputs_digest = Some(data.inputs_digest.clone());
                end.verified = data.verified.iter().map(|v| v.id.clone()).collect();
                self.end_claim(event, workflow, data.claim_id, end)?;
            }
            EventData::AttemptFailed(data) | EventData::AttemptRejected(data) => {
                let end = end_of(event, this, &data.outputs, data.code.as_ref());
                self.end_claim(event, workflow, data.claim_id, end)?;
            }
            EventData::ClaimReleased(data) => {
                let end = end_of(event, this, &[], None);
                self.end_claim(event, workflow, data.claim_id, end)?;
            }
            EventData::ClaimLapsed(data) => {
                let end = end_of(event, this, &[], None);
                self.end_claim(event, workflow, data.claim_id, end)?;
            }
            EventData::AttemptWithdrawn(_) => {
                let end = end_of(event, this, &[], None);
                self.advance(event, workflow, false)?.end = Some(end);
            }
            EventData::StepSkipped(data) => {
                let step =
                    event.step.as_ref().ok_or(Illegal::Missing { event: name, field: "step" })?;
                let at = position(workflow, name, &step.key)?;
                let state = &mut self.steps[at];
                if let standing @ (Standing::Queued | Standing::Claimed | Standing::Done(_)) =
                    state.standing()
                {
                    return Err(Illegal::Contradiction {
                        event: name,
                        said: format!("{} is skipped", step.key),
                        known: format!("it is {}", standing_word(standing)),
                    });
                }
                state.skipped = Some(Skipped {
                    event: this.clone(),
                    by: event.actor.id.clone(),
                    at: event.timestamp,
                    reason: data.reason.clone(),
                });
            }
            EventData::GateApproved(data) => {
                let approval = Approval {
                    event: this.clone(),
                    principal: by.clone(),
                    outputs_digest: data.outputs_digest.clone(),
                    at: event.timestamp,
                };
                let end = end_of(event, this, &[], None);
                let attempt = self.advance(event, workflow, data.decided)?;
                attempt.approvals.push(approval);
                if data.decided {
                    attempt.end = Some(end);
                }
            }
            EventData::GateRejected(data) => {
                let end = end_of(event, this, &[], None);
                self.advance(event, workflow, true)?.end = Some(end);
                let gate = event.attempt_id.clone();
                let reason = &data.reason;
                self.send_back(event, this, workflow, gate, reason, &data.return_to, &data.void)?;
            }
            EventData::ReworkRequested(data) => {
                let (reason, to) = (&data.reason, &data.return_to);
                self.send_back(event, this, workflow, None, reason, to, &data.void)?;
            }
            EventData::BaselineIntegration(data) => {
                self.integrated = Some(Integrated {
                    event: this.clone(),
                    at: event.timestamp,
                    by: by.clone(),
                    commit: data.commit.clone(),
                    branch: data.branch.clone(),
                    accepted: data.accepted.clone(),
                });
            }
            EventData::BaselineReverted(data) => {
                self.integrated = None;
                let (reason, to) = (&data.reason, &data.return_to);
                self.send_back(event, this, workflow, None, reason, to, &data.void)?;
            }
            EventData::WorkItemCancelled(data) => {
                self.ended = Some(ended(event, this, &data.reason));
            }
            EventData::WorkItemResumed(data) => {
                self.resumed = Some(Resumed {
                    event: this.clone(),
                    by: by.clone(),
                    at: event.timestamp,
                    reason: data.reason.clone(),
                    events: self.events + 1,
                });
            }
            // Recorded for people; they change no rule's input.
            EventData::CorrectionRecorded(_) | EventData::HandoffQuarantined(_) => {}
            // `migrate`, which knows both versions, folds the first two.
            EventData::WorkItemMigrated(_)
            | EventData::MigrationRolledBack(_)
            | EventData::WorkItemRegistered(_)
            | EventData::ScheduleDecided(_)
            | EventData::AttemptRequeued(_)
            | EventData::WorkflowPublished(_)
            | EventData::WorkflowRetired(_)
            | EventData::PolicyChanged(_)
            | EventData::ActorKeyAdded(_)
            | EventData::ActorKeyRevoked(_) => {
                return Err(Illegal::Item { event: name, phase: self.phase.word() });
            }
        }
        Ok(())
    }

    /// A person decided about a suspicion.
    fn reviewed(&mut self, event: &Event, survivor: Option<&ItemId>, rationale: &str) {
        self.review.flagged = None;
        self.review.decided = true;
        self.review.survivor = survivor.cloned();
        self.review.last = Some(review_decision(event, rationale));
    }

    /// Moves the event's attempt to its next phase, by the table.
    fn advance(
        &mut self,
        event: &Event,
        workflow: &Workflow,
        decided: bool,
    ) -> Result<&mut AttemptState, Illegal> {
        let id = attempt_of(event)?;
        let kind = event.kind();
        let at = position(workflow, kind.name(), id.key())?;
        let lane = lane(workflow, at);
        let step = &mut self.steps[at];
        let phase = step.attempt(id.number()).map_or(AttemptPhase::Absent, |a| a.phase);
        let illegal =
            Illegal::Attempt { event: kind.name(), attempt: id.clone(), phase: phase.word() };
        let Some(after) = attempt_after(lane, phase, kind, decided) else {
            return Err(illegal);
        };
        let attempt = step.attempts.get_mut(id.number() as usize - 1).ok_or(illegal)?;
        attempt.phase = after;
        Ok(attempt)
    }

    /// Ends a claim under its fence.
    fn end_claim(
        &mut self,
        event: &Event,
        workflow: &Workflow,
        claim: ClaimId,
        end: End,
    ) -> Result<(), Illegal> {
        let id = attempt_of(event)?;
        let at = position(workflow, event.kind().name(), id.key())?;
        let held = self.steps[at].attempt(id.number()).and_then(|a| a.claim.as_ref());
        if let Some(held) = held
            && held.id != claim
        {
            return Err(Illegal::Contradiction {
                event: event.kind().name(),
                said: format!("claim {claim}"),
                known: format!("claim {} holds {id}", held.id),
            });
        }
        self.advance(event, workflow, false)?.end = Some(end);
        Ok(())
    }

    /// Opens the next round of every void step.
    #[expect(clippy::too_many_arguments, reason = "one fact's fields, used once each")]
    fn send_back(
        &mut self,
        event: &Event,
        this: &EventRef,
        workflow: &Workflow,
        gate: Option<AttemptId>,
        reason: &str,
        to: &StepKey,
        void: &[VoidStep],
    ) -> Result<(), Illegal> {
        let name = event.kind().name();
        for step in void {
            let at = position(workflow, name, &step.key)?;
            let state = &mut self.steps[at];
            if step.round != state.round + 1 {
                return Err(Illegal::Contradiction {
                    event: name,
                    said: format!("{} enters round {}", step.key, step.round),
                    known: format!("it is in round {}", state.round),
                });
            }
            state.round = step.round;
            state.carried = None;
            if let Some((imported, _)) = &mut state.imported {
                *imported = Imported::Void;
            }
        }
        self.returns.push(Return {
            event: this.clone(),
            by: event.actor.principal.clone(),
            at: event.timestamp,
            reason: reason.to_owned(),
            gate,
            reverted_by: if let EventData::BaselineReverted(data) = &event.data {
                Some(data.commit.clone())
            } else {
                None
            },
            to: to.clone(),
            void: void.iter().map(|step| step.key.clone()).collect(),
        });
        Ok(())
    }
}

/// Remembers the first fact of a request, so that asking again finds it (R1).
fn note_request(requests: &mut BTreeMap<RequestId, RequestSeen>, event: &Event) {
    if let Some(request) = &event.request {
        requests.entry(request.id.clone()).or_insert_with(|| RequestSeen {
            digest: request.digest.clone(),
            event: event.id,
            kind: event.kind().name().to_owned(),
            attempt: event.attempt_id.clone(),
        });
    }
}

fn review_decision(event: &Event, rationale: &str) -> ReviewDecision {
    ReviewDecision {
        by: event.actor.principal.clone(),
        at: event.timestamp,
        rationale: rationale.to_owned(),
    }
}

fn ended(event: &Event, this: &EventRef, reason: &str) -> Ended {
    Ended {
        event: this.clone(),
        by: event.actor.principal.clone(),
        at: event.timestamp,
        reason: reason.to_owned(),
    }
}

fn end_of(event: &Event, this: &EventRef, outputs: &[Output], code: Option<&CodeSeen>) -> End {
    End {
        event: this.clone(),
        by: event.actor.id.clone(),
        principal: event.actor.principal.clone(),
        at: event.timestamp,
        summary: event.outcome.summary.clone(),
        next_action: event.next_action.clone(),
        outputs: outputs.iter().map(|o| (o.path.clone(), o.sha256.clone(), o.size)).collect(),
        outputs_digest: None,
        inputs_digest: None,
        verified: Vec::new(),
        head: code.map(|code| code.head.clone()),
        dirty: code.and_then(|code| match code.dirty {
            Dirty::Yes => Some(true),
            Dirty::No => Some(false),
            Dirty::Unknown => None,
        }),
    }
}

fn attempt_of(event: &Event) -> Result<&AttemptId, Illegal> {
    event
        .attempt_id
        .as_ref()
        .ok_or(Illegal::Missing { event: event.kind().name(), field: "attemptId" })
}

fn position(workflow: &Workflow, event: &'static str, key: &StepKey) -> Result<usize, Illegal> {
    workflow.position(key).ok_or_else(|| Illegal::UnknownStep {
        event,
        key: key.clone(),
        workflow: format!("{}@{}", workflow.reference.name, workflow.reference.version),
    })
}

fn lane(workflow: &Workflow, at: usize) -> Lane {
    if workflow.steps()[at].is_gate() { Lane::Gate } else { Lane::Work }
}

/// The word for a step's standing in messages.
#[must_use]
pub fn standing_word(standing: Standing) -> &'static str {
    match standing {
        Standing::Untouched => "waiting",
        Standing::Queued => "queued",
        Standing::Claimed => "claimed",
        Standing::Done(Done::Completed) => "completed",
        Standing::Done(Done::Approved) => "approved",
        Standing::Done(Done::Skipped | Done::ImportedSkipped) => "skipped",
        Standing::Done(Done::ImportedDone) => "imported as done",
        Standing::Done(Done::Carried) => "done before the migration",
        Standing::Ended(phase) => phase.word(),
    }
}

/// Whether an actor is stepseal itself.
#[must_use]
pub fn is_system(actor: &Actor) -> bool {
    actor.kind == ActorKind::System
}

/// The ledger-wide state: published workflows, policy, keys.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LedgerState {
    pub workflows: BTreeMap<(super::id::WorkflowName, u32), PublishedWorkflow>,
    /// The latest value of each policy key.
    pub policy: BTreeMap<String, Vec<String>>,
    pub requests: BTreeMap<RequestId, RequestSeen>,
    pub events: u32,
}

/// One published version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedWorkflow {
    pub sha256: Digest,
    pub path: String,
    pub event: EventRef,
    pub retired: bool,
}

impl LedgerState {
    /// Folds one event that concerns no item.
    ///
    /// # Errors
    /// When it concerns an item, or contradicts what was published.
    pub fn apply(&mut self, event: &Event, sha256: Digest) -> Result<(), Illegal> {
        let name = event.kind().name();
        let contradiction = |said: String, known: &str| Illegal::Contradiction {
            event: name,
            said,
            known: known.into(),
        };
        if event.work_item_id.is_some() {
            return Err(Illegal::Missing { event: name, field: "empty workItemId" });
        }
        match &event.data {
            EventData::WorkflowPublished(data) => {
                let key = (data.name.clone(), data.version);
                if self.workflows.contains_key(&key) {
                    let said = format!("{}@{} is published", data.name, data.version);
                    return Err(contradiction(said, "it was published before"));
                }
                self.workflows.insert(
                    key,
                    PublishedWorkflow {
                        sha256: data.sha256.clone(),
                        path: data.path.clone(),
                        event: EventRef { id: event.id, sha256 },
                        retired: false,
                    },
                );
            }
            EventData::WorkflowRetired(data) => {
                match self.workflows.get_mut(&(data.name.clone(), data.version)) {
                    Some(workflow) if !workflow.retired => workflow.retired = true,
                    _ => {
                        let said = format!("{}@{} is retired", data.name, data.version);
                        return Err(contradiction(said, "it is not in use"));
                    }
                }
            }
            EventData::PolicyChanged(data) => {
                self.policy.insert(data.key.clone(), data.value.clone());
            }
            // Which keys count goes by the seals, which are not seen here: `Keyring`.
            EventData::ActorKeyAdded(_)
            | EventData::ActorKeyRevoked(_)
            | EventData::CorrectionRecorded(_) => {}
            EventData::WorkItemRegistered(_)
            | EventData::ItemEdited(_)
            | EventData::ReviewFlagged(_)
            | EventData::ReviewCleared(_)
            | EventData::ReviewMerged(_)
            | EventData::ReviewLinked(_)
            | EventData::ReviewClosed(_)
            | EventData::ReviewOverturned(_)
            | EventData::OwnerTransferred(_)
            | EventData::BlockerDeclared(_)
            | EventData::BlockerResolved(_)
            | EventData::WorkItemResumed(_)
            | EventData::WorkItemMigrated(_)
            | EventData::WorkItemCancelled(_)
            | EventData::MigrationRolledBack(_)
            | EventData::HandoffQuarantined(_)
            | EventData::ScheduleDecided(_)
            | EventData::AttemptRequeued(_)
            | EventData::AttemptClaimed(_)
            | EventData::AttemptCompleted(_)
            | EventData::AttemptFailed(_)
            | EventData::AttemptRejected(_)
            | EventData::ClaimReleased(_)
            | EventData::ClaimLapsed(_)
            | EventData::AttemptWithdrawn(_)
            | EventData::StepSkipped(_)
            | EventData::GateApproved(_)
            | EventData::GateRejected(_)
            | EventData::ReworkRequested(_)
            | EventData::BaselineIntegration(_)
            | EventData::BaselineReverted(_) => {
                return Err(Illegal::Missing { event: name, field: "workItemId" });
            }
        }
        self.events += 1;
        note_request(&mut self.requests, event);
        Ok(())
    }

    /// The versions of a workflow name, ascending.
    pub fn versions<'a>(
        &'a self,
        name: &'a super::id::WorkflowName,
    ) -> impl DoubleEndedIterator<Item = (u32, &'a PublishedWorkflow)> {
        self.workflows
            .range((name.clone(), 0)..=(name.clone(), u32::MAX))
            .map(|((_, version), workflow)| (*version, workflow))
    }

    /// The members policy knows for a role; `None` while it knows none for any role (G2).
    #[must_use]
    pub fn role_members(&self, role: &str) -> Option<&[String]> {
        let known = self.policy.keys().any(|key| key.starts_with("role."));
        known.then(|| self.policy.get(&format!("role.{role}")).map_or(&[][..], Vec::as_slice))
    }
}
