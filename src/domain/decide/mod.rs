//! All rules in one place: `decide` returns facts or a refusal; nothing else in the program
//! forms an opinion. It reads nothing but what it is given (L9).

mod baseline;
mod blocker;
mod cancel;
mod claim;
mod complete;
mod flow;
mod gate;
mod handoff;
mod key;
mod migrate;
mod owner;
mod policy;
mod publish;
mod register;
mod resume;
mod review;
mod rework;

use super::event::{Baseline, Event, EventData, Link, Outcome, StepRef, WorkflowRef};
use super::id::{
    AttemptId, ClaimId, ConstraintName, CriterionId, ExecutorId, Fingerprint, ItemId, PrincipalId,
    RequestId, StepKey,
};
use super::moment::Moment;
use super::refusal::Refusal;
use super::schedule::{Answer, Schedule};
use super::state::{EventRef, ItemState, LedgerState, RequestSeen, Standing};
use super::transition::ItemPhase;
use super::workflow::Workflow;

pub use baseline::{Integrate, OnBase, Revert, Work, works};
pub use blocker::{
    BLOCKER_TYPES, BLOCKER_TYPES_POLICY, DeclareBlocker, ResolveBlocker, blocker_types,
};
pub use cancel::Cancel;
pub use claim::{Attest, Claim, inputs_digest};
pub use complete::{Complete, Ending, Verified, outputs_digest};
pub use flow::{Release, Requeue, Skip};
pub use gate::{ApproveGate, RejectGate, gate_digest};
pub use handoff::{HandedIn, Quarantine, hand_in};
pub use key::{AddKey, KeyAsk, KeyWorld, RevokeKey, decide_key};
pub use migrate::{Fate, Migrate, RollBack, fates};
pub use owner::TransferOwner;
pub use policy::{Admission, GateRules, PolicyKey, SetPolicy, decide_policy, may_integrate};
pub use publish::{PublishWorkflow, RetireWorkflow, WorkflowAsk, decide_workflow};
pub use register::Register;
pub use resume::{Resume, verify_again};
pub use review::{
    ClearReview, CloseReview, FlagReview, LinkReview, MergeReview, OverturnReview, POLICY_REASON,
    REVIEW_POLICY, ReviewPolicy, awaits_policy,
};
pub use rework::{Rework, may_return, void_set};

use chrono::{DateTime, Utc};

/// What somebody asks of one item, imperative.
#[derive(Debug, Clone)]
pub enum Ask {
    Register(Box<Register>),
    Claim(Claim),
    Complete(Box<Complete>),
    Skip(Skip),
    Requeue(Requeue),
    Release(Release),
    ApproveGate(ApproveGate),
    RejectGate(RejectGate),
    Rework(Rework),
    FlagReview(FlagReview),
    ClearReview(ClearReview),
    LinkReview(LinkReview),
    MergeReview(MergeReview),
    CloseReview(CloseReview),
    OverturnReview(OverturnReview),
    DeclareBlocker(DeclareBlocker),
    ResolveBlocker(ResolveBlocker),
    TransferOwner(TransferOwner),
    Resume(Resume),
    Cancel(Cancel),
    Migrate(Box<Migrate>),
    RollBack(RollBack),
    Integrate(Box<Integrate>),
    Revert(Box<Revert>),
    Quarantine(Quarantine),
}

impl Ask {
    /// The other items it is about: whoever asks has to look them up for [`World::others`].
    #[must_use]
    pub fn others<'a>(&'a self, item: Option<&'a ItemState>) -> Vec<&'a ItemId> {
        match self {
            Self::FlagReview(ask) => ask.suspects.iter().collect(),
            Self::LinkReview(ask) => vec![&ask.to],
            Self::MergeReview(ask) => vec![&ask.into],
            Self::CloseReview(CloseReview { duplicate_of: Some(of), .. }) => vec![of],
            // It may be the suspect of the flag.
            Self::CloseReview(_) => item
                .and_then(|item| item.review.flagged.as_ref())
                .filter(|flag| flag.suspects.len() == 1)
                .map(|flag| flag.suspects.iter().collect())
                .unwrap_or_default(),
            Self::Register(_)
            | Self::Claim(_)
            | Self::Complete(_)
            | Self::Skip(_)
            | Self::Requeue(_)
            | Self::Release(_)
            | Self::ApproveGate(_)
            | Self::RejectGate(_)
            | Self::Rework(_)
            | Self::ClearReview(_)
            | Self::OverturnReview(_)
            | Self::DeclareBlocker(_)
            | Self::ResolveBlocker(_)
            | Self::TransferOwner(_)
            | Self::Resume(_)
            | Self::Cancel(_)
            | Self::Migrate(_)
            | Self::RollBack(_)
            | Self::Integrate(_)
            | Self::Revert(_)
            | Self::Quarantine(_) => Vec::new(),
        }
    }
}

/// Another item, as far as a rule about this one may know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherItem {
    pub id: ItemId,
    pub phase: ItemPhase,
    /// Where it lives on in the end, when it was merged or closed.
    pub survivor: Option<ItemId>,
}

/// A live claim, wherever in the ledger it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveClaim {
    pub executor: ExecutorId,
    pub item: ItemId,
    pub attempt: AttemptId,
    pub claim: ClaimId,
    pub since: DateTime<Utc>,
}

/// All that a rule may read.
#[derive(Debug, Clone, Copy)]
pub struct World<'a> {
    pub ledger: &'a LedgerState,
    /// The item asked about, with its workflow; `None` when the ledger has none of that id.
    pub item: Option<(&'a ItemState, &'a Workflow)>,
    /// What the asking executor holds now.
    pub live: Option<&'a LiveClaim>,
    /// Which ledger-wide constraints of the step that is asked for are in use now, and by whom.
    pub in_use: &'a [(ConstraintName, LiveClaim)],
    /// The other items the ask names, as far as the ledger has them.
    pub others: &'a [OtherItem],
}

/// What an ask comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decided {
    /// Facts to record, in order.
    Facts(Vec<Event>),
    /// It is so already: nothing to record.
    Unchanged(Unchanged),
}

/// Why there is nothing to record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unchanged {
    /// The same request was answered before (R1).
    Request { seen: RequestSeen },
    /// The item is registered, on this plan or without one.
    Registered,
    /// The attempt ended before, with the same content.
    Completed { attempt: AttemptId },
    /// The step's next attempt is queued already.
    Queued { attempt: AttemptId },
    /// This principal approved the same outputs in this round.
    Approved { attempt: AttemptId, approvals: u32, quorum: u32 },
    /// This principal rejected the gate before, with this reason, and it has not opened again.
    Rejected { attempt: AttemptId },
    /// The item is under review already.
    Flagged,
    /// The suspicion was dropped before, with this rationale.
    Cleared,
    /// The items are linked already.
    Linked { to: ItemId },
    /// The item was merged into that one before.
    Merged { into: ItemId },
    /// The item was closed before.
    Closed { duplicate_of: Option<ItemId> },
    /// The item was brought back before, with this rationale.
    Overturned,
    /// The item was cancelled before.
    Cancelled,
    /// The item went back there before, for this reason, and nobody has taken the step since.
    SentBack { to: StepKey },
    /// This is declared already.
    Blocked { blocker: CriterionId },
    /// The blocker was resolved before.
    Resolved { blocker: CriterionId },
    /// This principal is accountable already.
    Owner { owner: PrincipalId },
    /// The item was integrated by this commit before.
    Integrated { commit: String },
    /// The item was resumed before, for this reason, and nothing has happened since.
    Resumed,
    /// The step was skipped before.
    Skipped,
    /// The item is on that version already.
    Migrated { to: WorkflowRef },
    /// The key counts already, for the same principal in the same role.
    KeyAdded { fingerprint: Fingerprint },
    /// The key was revoked before.
    KeyRevoked { fingerprint: Fingerprint },
    /// The version is published with this content.
    Published { workflow: WorkflowRef },
    /// The version was retired before.
    Retired { workflow: WorkflowRef },
    /// The policy has this value already, or had none.
    Policy { key: String },
}

/// Judges an ask against the world.
///
/// # Errors
/// The refusal, with its facts.
pub fn decide(
    world: World<'_>,
    item: &ItemId,
    ask: &Ask,
    moment: &Moment,
) -> Result<Decided, Refusal> {
    if let Some((state, _)) = world.item
        && let Some(request) = &moment.request
        && let Some(seen) = state.requests.get(&request.id)
    {
        return answered(seen, &request.id, moment);
    }
    if let Ask::Register(register) = ask {
        return register::decide(world, item, register, moment);
    }
    let Some((state, workflow)) = world.item else {
        return Err(Refusal::UnknownItem { item: item.clone(), nearest: None });
    };
    let room = Room { state, workflow, moment, ledger: world.ledger, others: world.others };
    match ask {
        Ask::Register(_) => unreachable!("registration was decided above"),
        Ask::Claim(ask) => claim::decide(&room, world.live, world.in_use, ask),
        Ask::Complete(ask) => complete::decide(&room, ask),
        Ask::Skip(ask) => flow::skip(&room, ask),
        Ask::Requeue(ask) => flow::requeue(&room, ask),
        Ask::Release(ask) => flow::release(&room, ask),
        Ask::ApproveGate(ask) => gate::approve(&room, ask),
        Ask::RejectGate(ask) => gate::reject(&room, ask),
        Ask::Rework(ask) => rework::decide(&room, ask),
        Ask::FlagReview(ask) => review::flag(&room, ask),
        Ask::ClearReview(ask) => review::clear(&room, ask),
        Ask::LinkReview(ask) => review::relate(&room, ask),
        Ask::MergeReview(ask) => review::merge(&room, ask),
        Ask::CloseReview(ask) => review::close(&room, ask),
        Ask::OverturnReview(ask) => review::overturn(&room, ask),
        Ask::DeclareBlocker(ask) => blocker::declare(&room, ask),
        Ask::ResolveBlocker(ask) => blocker::resolve(&room, ask),
        Ask::TransferOwner(ask) => owner::decide(&room, ask),
        Ask::Resume(ask) => resume::decide(&room, ask),
        Ask::Cancel(ask) => cancel::decide(&room, ask),
        Ask::Migrate(ask) => migrate::decide(&room, ask),
        Ask::RollBack(ask) => migrate::roll_back(&room, ask),
        Ask::Integrate(ask) => baseline::integrate(&room, ask),
        Ask::Revert(ask) => baseline::revert(&room, ask),
        Ask::Quarantine(ask) => handoff::quarantine(&room, ask),
    }
}

/// R1: the same id and digest again is the original result; another digest is a conflict.
fn answered(seen: &RequestSeen, id: &RequestId, moment: &Moment) -> Result<Decided, Refusal> {
    let same = moment.request.as_ref().is_some_and(|request| request.digest == seen.digest);
    if same {
        Ok(Decided::Unchanged(Unchanged::Request { seen: seen.clone() }))
    } else {
        Err(Refusal::RequestReused { request: id.clone(), recorded: seen.kind.clone() })
    }
}

/// One item, one moment: what every rule below starts from.
struct Room<'a> {
    state: &'a ItemState,
    workflow: &'a Workflow,
    moment: &'a Moment,
    ledger: &'a LedgerState,
    others: &'a [OtherItem],
}

impl Room<'_> {
    fn item(&self) -> ItemId {
        self.state.id.clone()
    }

    /// Where a named step stands in launch order.
    fn step(&self, key: &StepKey) -> Result<usize, Refusal> {
        self.workflow.position(key).ok_or_else(|| Refusal::UnknownStep {
            item: self.item(),
            key: key.to_string(),
            nearest: self.workflow.nearest_key(key.as_str()).cloned(),
        })
    }

    /// The attempt a caller names, as `KEY.N` or by its alias.
    fn attempt(&self, name: &str) -> Result<AttemptId, Refusal> {
        self.state
            .attempt_named(name)
            .filter(|id| {
                self.workflow
                    .position(id.key())
                    .is_some_and(|at| self.state.steps[at].attempt(id.number()).is_some())
            })
            .ok_or_else(|| Refusal::UnknownAttempt { item: self.item(), attempt: name.to_owned() })
    }

    fn current(&self, at: usize) -> AttemptId {
        AttemptId::new(self.workflow.steps()[at].key.clone(), self.state.steps[at].last_number())
    }

    fn schedule(&self) -> Schedule {
        Schedule::of(self.workflow, self.state)
    }

    /// A step that could be claimed now, other than this one.
    fn other_ready(&self, at: usize) -> Option<StepKey> {
        let schedule = self.schedule();
        let other = schedule.ready.into_iter().find(|&ready| ready != at);
        other.map(|other| self.workflow.steps()[other].key.clone())
    }

    /// Refuses when the item ended or is integrated.
    fn active(&self) -> Result<(), Refusal> {
        if self.state.phase == ItemPhase::Active {
            return Ok(());
        }
        let ended = self.state.ended.as_ref();
        Err(Refusal::ItemEnded {
            item: self.item(),
            phase: self.state.phase,
            survivor: self.state.review.survivor.clone(),
            by: ended.map(|ended| ended.by.clone()),
            reason: ended.map(|ended| ended.reason.clone()),
        })
    }

    /// Another item that the ask names.
    fn other(&self, id: &ItemId) -> Result<&OtherItem, Refusal> {
        let known = self.others.iter().find(|other| other.id == *id);
        known.ok_or_else(|| Refusal::UnknownItem { item: id.clone(), nearest: None })
    }

    /// That the item waits for a review, and why.
    fn under_review(&self) -> Refusal {
        let flag = self.state.review.flagged.as_ref();
        Refusal::UnderReview {
            item: self.item(),
            by: flag.map(|flag| flag.by.clone()),
            reason: flag.map_or_else(|| POLICY_REASON.into(), |flag| flag.reason.clone()),
            suspects: flag.map(|flag| flag.suspects.clone()).unwrap_or_default(),
        }
    }

    /// Refuses when the step is held or done: these come before any other rule (C1).
    fn not_held_nor_done(&self, at: usize) -> Result<(), Refusal> {
        let (step, state) = (&self.workflow.steps()[at], &self.state.steps[at]);
        match state.standing() {
            Standing::Claimed => Err(self.held(at)),
            Standing::Done(how) => match state.current().and_then(|attempt| attempt.end.as_ref()) {
                Some(_) if how != super::state::Done::Skipped => {
                    Err(self.finished(&self.current(at)))
                }
                _ => Err(Refusal::StepDone {
                    item: self.item(),
                    step: step.key.clone(),
                    how: super::state::standing_word(state.standing()),
                    integrated: self.state.integrated.is_some(),
                    other: self.other_ready(at),
                }),
            },
            Standing::Untouched | Standing::Queued | Standing::Ended(_) => Ok(()),
        }
    }

    fn held(&self, at: usize) -> Refusal {
        let (step, state) = (&self.workflow.steps()[at], &self.state.steps[at]);
        let claim = state.current().and_then(|attempt| attempt.claim.as_ref());
        match claim {
            Some(claim) => Refusal::Held {
                item: self.item(),
                step: step.key.clone(),
                attempt: self.current(at),
                by: claim.executor.clone(),
                since: claim.at,
                lease_until: claim.lease_until,
                other: self.other_ready(at),
            },
            None => Refusal::NotClaimed {
                item: self.item(),
                step: step.key.clone(),
                queued: Some(self.current(at)),
            },
        }
    }

    fn finished(&self, attempt: &AttemptId) -> Refusal {
        let at = self.workflow.position(attempt.key());
        let step = at.map(|at| &self.state.steps[at]);
        let found = step.and_then(|step| step.attempt(attempt.number()));
        let end = found.and_then(|found| found.end.as_ref());
        let now = at.filter(|&at| {
            matches!(self.state.steps[at].standing(), Standing::Queued | Standing::Claimed)
        });
        Refusal::Finished {
            integrated: self.state.integrated.is_some(),
            item: self.item(),
            step: attempt.key().clone(),
            attempt: attempt.clone(),
            phase: found.map_or(super::transition::AttemptPhase::Absent, |found| found.phase),
            // People decide gates: the principal is who.
            by: end.and_then(|end| match at.map(|at| self.workflow.steps()[at].is_gate()) {
                Some(true) => end.principal.as_str().parse().ok(),
                _ => Some(end.by.clone()),
            }),
            at: end.map(|end| end.at),
            summary: end.map(|end| end.summary.clone()),
            now: now.map(|at| self.current(at)),
            other: at.and_then(|at| self.other_ready(at)),
        }
    }

    /// The direct blockers of a step, with who holds each, as a refusal.
    fn not_ready(&self, at: usize, schedule: &Schedule) -> Refusal {
        let (blockers, more) = super::schedule::direct_blockers(self.workflow, schedule, at);
        let holder = |key: &StepKey| {
            let at = self.workflow.position(key)?;
            if !matches!(schedule.answers[at], Answer::InProgress(_)) {
                return None;
            }
            let claim = self.state.steps[at].current()?.claim.as_ref()?;
            Some(claim.executor.clone())
        };
        Refusal::NotReady {
            item: self.item(),
            step: self.workflow.steps()[at].key.clone(),
            waits_for: blockers.iter().map(|key| (key.clone(), holder(key))).collect(),
            more,
            other: self.other_ready(at),
        }
    }

    /// A fact about the item, the step at `at` or an attempt of it.
    #[expect(clippy::too_many_arguments, reason = "the fields in which facts differ")]
    fn fact(
        &self,
        index: usize,
        at: Option<usize>,
        attempt: Option<AttemptId>,
        outcome: Outcome,
        next_action: String,
        links: Vec<Link>,
        data: EventData,
    ) -> Event {
        let step = at.map(|at| &self.workflow.steps()[at]);
        Event {
            id: self.moment.event_id(index),
            work_item_id: Some(self.item()),
            workflow: Some(self.workflow.reference.clone()),
            step: step.map(|step| StepRef { key: step.key.clone(), order: step.order }),
            attempt_id: attempt,
            timestamp: self.moment.now(),
            actor: self.moment.actor.clone(),
            outcome,
            next_action,
            baseline_integration: self.state.baseline(),
            links,
            request: self.moment.request.clone(),
            data,
        }
    }
}

/// A fact that concerns no item, the only one of its command.
fn ledger_fact(
    workflow: Option<WorkflowRef>,
    outcome: Outcome,
    next_action: &str,
    links: Vec<Link>,
    data: EventData,
    moment: &Moment,
) -> Event {
    Event {
        id: moment.event_id(0),
        work_item_id: None,
        workflow,
        step: None,
        attempt_id: None,
        timestamp: moment.now(),
        actor: moment.actor.clone(),
        outcome,
        next_action: next_action.into(),
        baseline_integration: Baseline::Pre,
        links,
        request: moment.request.clone(),
        data,
    }
}

/// The most links an artifact carries (L3).
const LINKS: usize = 64;

fn link(rel: &str, to: &EventRef) -> Link {
    Link { rel: rel.into(), id: to.id, sha256: to.sha256.clone() }
}

fn outcome(status: &str, summary: impl Into<String>) -> Outcome {
    Outcome { status: status.into(), summary: summary.into() }
}

/// Refuses a text that is empty where one is needed, or too long to be kept (L3).
fn text(what: &str, text: &str) -> Result<(), Refusal> {
    if text.trim().is_empty() {
        return Err(Refusal::Invalid(format!("{what} must not be empty")));
    }
    if text.len() > super::workflow::TEXT_LIMIT {
        return Err(Refusal::Invalid(format!(
            "{what} has {} bytes; {} are allowed",
            text.len(),
            super::workflow::TEXT_LIMIT
        )));
    }
    Ok(())
}
