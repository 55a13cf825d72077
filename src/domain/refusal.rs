//! Every typed "no" of the rules, with the facts that hold it. The front door phrases the way out.

use chrono::{DateTime, Utc};

use super::decide::LiveClaim;
use super::event::{KeyRole, Landed, LandedVerdict, WorkflowRef};
use super::id::{
    AttemptAlias, AttemptId, ClaimId, ConstraintName, CriterionId, ExecutorId, Fingerprint, ItemId,
    PrincipalId, RequestId, RoleName, StepKey, WorkflowName,
};
use super::schedule::ended_words;
use super::transition::{AttemptPhase, ItemPhase};
use super::workflow::Criterion;

/// What sort of "no" it is: it decides the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalKind {
    /// The ask itself makes no sense: exit 2.
    Invalid,
    /// A rule or policy says no: exit 4.
    Refused,
    /// What was named is not there: exit 5.
    NotFound,
    /// Somebody else holds or finished it: exit 6.
    Conflict,
}

/// Why an ask was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("there is no work item {item} in this ledger")]
    UnknownItem { item: ItemId, nearest: Option<ItemId> },
    #[error("{item} has no step {key}")]
    UnknownStep { item: ItemId, key: String, nearest: Option<StepKey> },
    #[error("{item} has no attempt {attempt}")]
    UnknownAttempt { item: ItemId, attempt: String },
    #[error("{item} has no claim {claim}")]
    UnknownClaim { item: ItemId, claim: ClaimId },
    #[error("{item} differs from {twin} only in case")]
    CaseTwin { item: ItemId, twin: ItemId },
    #[error("{item} is already on another plan ({workflow}@{version})")]
    OtherPlan { item: ItemId, workflow: WorkflowName, version: u32 },
    #[error("workflow {name}@{version} is published with other content")]
    VersionTaken { name: WorkflowName, version: u32, latest: u32 },
    #[error("there is no published workflow {name}{}", at_version(*.version))]
    UnknownWorkflow { name: WorkflowName, version: Option<u32> },
    #[error("workflow {name}@{version} is retired: no new items start on it")]
    WorkflowRetired { name: WorkflowName, version: u32 },
    #[error("workflow {name}@{version} is not in effect now")]
    NotEffective {
        name: WorkflowName,
        version: u32,
        from: Option<DateTime<Utc>>,
        to: Option<DateTime<Utc>>,
    },
    #[error("{step} of {item} is held by {by}")]
    Held {
        item: ItemId,
        step: StepKey,
        attempt: AttemptId,
        by: ExecutorId,
        since: DateTime<Utc>,
        lease_until: Option<DateTime<Utc>>,
        /// Another step the asker could claim now.
        other: Option<StepKey>,
    },
    #[error("{attempt} of {item} is {}{}", phase.word(), by_whom(.by.as_ref()))]
    Finished {
        item: ItemId,
        step: StepKey,
        attempt: AttemptId,
        phase: AttemptPhase,
        by: Option<ExecutorId>,
        at: Option<DateTime<Utc>>,
        summary: Option<String>,
        /// The step's attempt that is queued or held now, if any.
        now: Option<AttemptId>,
        other: Option<StepKey>,
        /// It goes back by a revert only (B2).
        integrated: bool,
    },
    #[error("{step} of {item} is done already: {how}")]
    StepDone {
        item: ItemId,
        step: StepKey,
        how: &'static str,
        other: Option<StepKey>,
        /// It goes back by a revert only (B2).
        integrated: bool,
    },
    #[error("request {request} was used for another ask")]
    RequestReused { request: RequestId, recorded: String },
    #[error("{item} is {}", ended_words(*phase, survivor.as_ref()))]
    ItemEnded {
        item: ItemId,
        phase: ItemPhase,
        survivor: Option<ItemId>,
        /// Who ended it, and why.
        by: Option<PrincipalId>,
        reason: Option<String>,
    },
    #[error("{item} waits for a review: {reason}")]
    UnderReview { item: ItemId, by: Option<PrincipalId>, reason: String, suspects: Vec<ItemId> },
    #[error("{item} is not under review")]
    NotUnderReview { item: ItemId },
    #[error("{item} cannot be flagged: policy has reviews before execution off")]
    ReviewOff { item: ItemId },
    #[error("{item} cannot live on in {other}, which is {}", ended_words(*phase, survivor.as_ref()))]
    BadSurvivor {
        item: ItemId,
        other: ItemId,
        phase: ItemPhase,
        /// Where the other one lives on: the asking item, where it would be a circle.
        survivor: Option<ItemId>,
        /// `merge` or `close`.
        verb: &'static str,
    },
    #[error("{item} is {}: there is no merge and no closing to overturn", phase.word())]
    NothingToOverturn { item: ItemId, phase: ItemPhase, flagged_by: Option<PrincipalId> },
    #[error("steps of {item} are held, and it would end under them")]
    ClaimsHeld { item: ItemId, held: Vec<(StepKey, ExecutorId)> },
    #[error("`{}` is no type of blocker here", given.escape_debug())]
    UnknownBlockerType { given: String, known: Vec<String> },
    #[error("{item} has a blocker {blocker} already{}", if *.resolved { ", which was resolved" } else { "" })]
    BlockerTaken { item: ItemId, blocker: CriterionId, kind: String, resolved: bool },
    #[error("{item} has no blocker {blocker}")]
    UnknownBlocker { item: ItemId, blocker: CriterionId, open: Vec<CriterionId> },
    #[error("{step} of {item} cannot start yet")]
    NotReady {
        item: ItemId,
        step: StepKey,
        /// Direct blockers, with who holds each.
        waits_for: Vec<(StepKey, Option<ExecutorId>)>,
        more: usize,
        other: Option<StepKey>,
    },
    #[error("{step} of {item} is blocked: {}", blockers.iter().map(|b| b.as_str()).collect::<Vec<_>>().join(", "))]
    Blocked { item: ItemId, step: StepKey, blockers: Vec<CriterionId> },
    #[error("{step} of {item} shares {constraint} with {by}, which goes first")]
    Serialised {
        item: ItemId,
        step: StepKey,
        constraint: ConstraintName,
        by: StepKey,
        in_progress: bool,
        holder: Option<ExecutorId>,
        other: Option<StepKey>,
    },
    #[error("{step} of {item} shares {constraint} with the whole ledger, and {} uses it", by.item)]
    ConstraintInUse {
        item: ItemId,
        step: StepKey,
        constraint: ConstraintName,
        by: Box<LiveClaim>,
        other: Option<StepKey>,
    },
    #[error("{step} of {item} ended as {} and is not queued", ended.word())]
    NeedsRequeue { item: ItemId, step: StepKey, attempt: AttemptId, ended: AttemptPhase },
    #[error("{step} of {item} is a gate: people decide it, nobody claims it")]
    IsGate { item: ItemId, step: StepKey },
    #[error("{step} of {item} is no gate")]
    NotGate { item: ItemId, step: StepKey },
    #[error("gate {step} of {item} is not open yet")]
    GateNotOpen { item: ItemId, step: StepKey, waits_for: Vec<StepKey>, more: usize },
    #[error("{} of {item} has {} entry {} not attested", step, missing.len(), criteria(missing.len()))]
    NotAttested { item: ItemId, step: StepKey, missing: Vec<Criterion>, given: Vec<CriterionId> },
    #[error(
        "{step} of {item} cannot be completed: {} of {of} exit criteria {} open",
        open.len(),
        if open.len() == 1 { "is" } else { "are" }
    )]
    NotVerified {
        item: ItemId,
        step: StepKey,
        attempt: AttemptId,
        open: Vec<Criterion>,
        of: usize,
        verified: Vec<CriterionId>,
    },
    #[error("{step} of {item} has no criterion {id}")]
    UnknownCriterion { item: ItemId, step: StepKey, id: CriterionId, known: Vec<CriterionId> },
    #[error("{by} already holds {step} of {item} ({attempt}); one task at a time")]
    ExecutorBusy {
        by: ExecutorId,
        item: ItemId,
        step: StepKey,
        attempt: AttemptId,
        since: DateTime<Utc>,
    },
    #[error("attempt name {alias} is already taken in {item}, by {attempt}")]
    AliasTaken { item: ItemId, alias: AttemptAlias, attempt: AttemptId },
    #[error("{step} of {item} is not claimed")]
    NotClaimed { item: ItemId, step: StepKey, queued: Option<AttemptId> },
    #[error("{attempt} of {item} is held by {by}, not by {asker}")]
    NotHolder {
        item: ItemId,
        step: StepKey,
        attempt: AttemptId,
        by: ExecutorId,
        asker: ExecutorId,
        /// The asker is the holder by name, but this work tree did not make the claim.
        elsewhere: bool,
        claim: ClaimId,
    },
    #[error("{attempt} of {item} still has its lease")]
    LeaseRunning {
        item: ItemId,
        step: StepKey,
        attempt: AttemptId,
        by: ExecutorId,
        lease_until: Option<DateTime<Utc>>,
    },
    #[error("{principal} may not decide gate {step} of {item}")]
    NotApprover {
        item: ItemId,
        step: StepKey,
        principal: PrincipalId,
        ids: Vec<PrincipalId>,
        /// Roles, with their members as policy has them.
        roles: Vec<(RoleName, Vec<String>)>,
    },
    #[error("{principal} worked on {worked_on} and may not decide gate {step} of {item}")]
    SelfReview { item: ItemId, step: StepKey, principal: PrincipalId, worked_on: StepKey },
    #[error("gate {step} of {item} does not say where a rejection returns to")]
    NoReturn { item: ItemId, step: StepKey, candidates: Vec<StepKey> },
    #[error("{item} cannot return to {to}: {why}")]
    BadReturn {
        item: ItemId,
        /// The gate that would send it back, where one does.
        gate: Option<StepKey>,
        to: StepKey,
        why: &'static str,
    },
    #[error("going back to {to} would void steps of {item} that are held")]
    VoidHeld { item: ItemId, to: StepKey, void: Vec<StepKey>, held: Vec<(StepKey, ExecutorId)> },
    #[error("the migration of {item} cannot be as it was asked for: {why}")]
    BadMigration { item: ItemId, why: String },
    #[error("what becomes of {} of {item} in {}@{} is not said", steps_of(undecided), to.name, to.version)]
    AmbiguousMigration {
        item: ItemId,
        to: WorkflowRef,
        /// Steps that version does not have, each with the new step most like it.
        undecided: Vec<(StepKey, Option<StepKey>)>,
        /// The steps that are new there.
        new: Vec<StepKey>,
    },
    #[error("steps of {item} that go away are held")]
    MigrationHeld { item: ItemId, held: Vec<(StepKey, ExecutorId)> },
    #[error("{item} has no migration to take back")]
    NothingToRollBack { item: ItemId },
    #[error("{item} cannot go back to {}@{}: work on new steps would be lost", from.name, from.version)]
    WorkedOnSince { item: ItemId, from: WorkflowRef, steps: Vec<StepKey> },
    #[error("{fingerprint} cannot be the first key of this ledger: {why}")]
    FirstKey { fingerprint: Fingerprint, why: &'static str },
    #[error("{fingerprint} is a key of this ledger already, for {principal} as {}", role.word())]
    KeyTaken {
        fingerprint: Fingerprint,
        principal: PrincipalId,
        role: KeyRole,
        not_after: Option<DateTime<Utc>>,
    },
    #[error("{fingerprint} was revoked by seal {seal} and does not come back")]
    KeyGone { fingerprint: Fingerprint, seal: u64 },
    #[error("no key of this ledger begins with `{}`", given.escape_debug())]
    UnknownKey { given: String },
    #[error("`{}` begins {} keys of this ledger", given.escape_debug(), matches.len())]
    AmbiguousKey { given: String, matches: Vec<Fingerprint> },
    #[error("{principal} has no owner's key, and only owners change the keys")]
    NotOwner { principal: PrincipalId, owners: Vec<PrincipalId> },
    #[error("{fingerprint} is the last owner's key without an end: nobody could add a key again")]
    LastOwner { fingerprint: Fingerprint },
    #[error("this ledger has no key, so no signature can be asked for")]
    NoKeys,
    #[error("`{}` is no policy", given.escape_debug())]
    UnknownPolicy { given: String, nearest: Option<String>, known: Vec<String> },
    #[error("`{}` is no value of {key}, which {why}", given.escape_debug())]
    BadPolicyValue { key: String, given: String, why: String, choices: Vec<String> },
    #[error("{item} is not done: {} open", steps_left(open.len()))]
    NotAllDone { item: ItemId, open: Vec<StepKey> },
    #[error("{commit} is not {}on {branch}", if *.known { "" } else { "known to be " })]
    NotOnBase {
        item: ItemId,
        commit: String,
        branch: String,
        /// False where this clone has not enough history to say so.
        known: bool,
    },
    #[error("{} of {} completions of {item} cannot be shown to have landed", not_landed(landed), landed.len())]
    NotLanded { item: ItemId, commit: String, landed: Vec<Landed> },
    #[error("{item} is not integrated: there is nothing to revert")]
    NotIntegrated { item: ItemId, to: StepKey },
    #[error("{commit} was not seen to undo the integration of {item}: {how}")]
    NotUndone { item: ItemId, commit: String, integrated: String, how: String },
    #[error("{principal} may not integrate {item}")]
    NotIntegrator {
        item: ItemId,
        principal: PrincipalId,
        ids: Vec<PrincipalId>,
        /// Roles, with their members as policy has them.
        members: Vec<(RoleName, Vec<String>)>,
    },
    #[error("{0}")]
    Invalid(String),
}

fn at_version(version: Option<u32>) -> String {
    version.map(|version| format!("@{version}")).unwrap_or_default()
}

fn by_whom(by: Option<&ExecutorId>) -> String {
    by.map(|by| format!(" by {by}")).unwrap_or_default()
}

fn criteria(count: usize) -> &'static str {
    if count == 1 { "criterion" } else { "criteria" }
}

fn steps_left(count: usize) -> String {
    if count == 1 { "1 step is".into() } else { format!("{count} steps are") }
}

fn not_landed(landed: &[Landed]) -> usize {
    landed.iter().filter(|one| one.verdict != LandedVerdict::Landed).count()
}

fn steps_of(undecided: &[(StepKey, Option<StepKey>)]) -> String {
    undecided.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>().join(", ")
}

impl Refusal {
    /// What sort of "no" it is.
    #[must_use]
    pub fn kind(&self) -> RefusalKind {
        match self {
            Self::BadMigration { .. }
            | Self::Invalid(_)
            | Self::UnknownCriterion { .. }
            | Self::UnknownBlockerType { .. }
            | Self::AmbiguousKey { .. }
            | Self::UnknownPolicy { .. }
            | Self::BadPolicyValue { .. } => RefusalKind::Invalid,
            Self::UnknownItem { .. }
            | Self::UnknownStep { .. }
            | Self::UnknownAttempt { .. }
            | Self::UnknownClaim { .. }
            | Self::UnknownWorkflow { .. }
            | Self::UnknownBlocker { .. }
            | Self::UnknownKey { .. } => RefusalKind::NotFound,
            Self::OtherPlan { .. }
            | Self::CaseTwin { .. }
            | Self::Held { .. }
            | Self::NotHolder { .. }
            | Self::Finished { .. }
            | Self::StepDone { .. }
            | Self::RequestReused { .. }
            | Self::AliasTaken { .. }
            | Self::BlockerTaken { .. }
            | Self::KeyTaken { .. } => RefusalKind::Conflict,
            Self::VersionTaken { .. }
            | Self::WorkflowRetired { .. }
            | Self::NotEffective { .. }
            | Self::ItemEnded { .. }
            | Self::UnderReview { .. }
            | Self::NotUnderReview { .. }
            | Self::ReviewOff { .. }
            | Self::BadSurvivor { .. }
            | Self::NothingToOverturn { .. }
            | Self::ClaimsHeld { .. }
            | Self::NotReady { .. }
            | Self::Blocked { .. }
            | Self::Serialised { .. }
            | Self::ConstraintInUse { .. }
            | Self::NeedsRequeue { .. }
            | Self::IsGate { .. }
            | Self::NotGate { .. }
            | Self::GateNotOpen { .. }
            | Self::NotAttested { .. }
            | Self::NotVerified { .. }
            | Self::ExecutorBusy { .. }
            | Self::NotClaimed { .. }
            | Self::LeaseRunning { .. }
            | Self::NotApprover { .. }
            | Self::SelfReview { .. }
            | Self::NoReturn { .. }
            | Self::BadReturn { .. }
            | Self::VoidHeld { .. }
            | Self::AmbiguousMigration { .. }
            | Self::MigrationHeld { .. }
            | Self::NothingToRollBack { .. }
            | Self::WorkedOnSince { .. }
            | Self::FirstKey { .. }
            | Self::KeyGone { .. }
            | Self::NotOwner { .. }
            | Self::LastOwner { .. }
            | Self::NoKeys
            | Self::NotAllDone { .. }
            | Self::NotOnBase { .. }
            | Self::NotLanded { .. }
            | Self::NotIntegrated { .. }
            | Self::NotUndone { .. }
            | Self::NotIntegrator { .. } => RefusalKind::Refused,
        }
    }

    /// The reason as a stable word of the `--json` contract.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::UnknownItem { .. } => "unknown-item",
            Self::UnknownStep { .. } => "unknown-step",
            Self::UnknownAttempt { .. } => "unknown-attempt",
            Self::UnknownClaim { .. } => "unknown-claim",
            Self::CaseTwin { .. } => "case-twin",
            Self::OtherPlan { .. } => "other-plan",
            Self::VersionTaken { .. } => "version-taken",
            Self::UnknownWorkflow { .. } => "unknown-workflow",
            Self::WorkflowRetired { .. } => "workflow-retired",
            Self::NotEffective { .. } => "not-effective",
            Self::Held { .. } => "held-by-other",
            Self::Finished { .. } => "attempt-finished",
            Self::StepDone { .. } => "step-done",
            Self::RequestReused { .. } => "request-reused",
            Self::ItemEnded { .. } => "item-ended",
            Self::UnderReview { .. } => "under-review",
            Self::NotUnderReview { .. } => "not-under-review",
            Self::ReviewOff { .. } => "review-off",
            Self::BadSurvivor { .. } => "bad-survivor",
            Self::NothingToOverturn { .. } => "nothing-to-overturn",
            Self::ClaimsHeld { .. } => "claims-held",
            Self::UnknownBlockerType { .. } => "unknown-blocker-type",
            Self::BlockerTaken { .. } => "blocker-taken",
            Self::UnknownBlocker { .. } => "unknown-blocker",
            Self::NotReady { .. } => "not-ready",
            Self::Blocked { .. } => "blocked",
            Self::Serialised { .. } | Self::ConstraintInUse { .. } => "constraint-busy",
            Self::NeedsRequeue { .. } => "needs-requeue",
            Self::IsGate { .. } => "is-gate",
            Self::NotGate { .. } => "not-gate",
            Self::GateNotOpen { .. } => "gate-not-open",
            Self::NotAttested { .. } => "entry-not-attested",
            Self::NotVerified { .. } => "exit-not-verified",
            Self::UnknownCriterion { .. } => "unknown-criterion",
            Self::ExecutorBusy { .. } => "executor-busy",
            Self::AliasTaken { .. } => "attempt-name-taken",
            Self::NotClaimed { .. } => "not-claimed",
            Self::NotHolder { .. } => "not-holder",
            Self::LeaseRunning { .. } => "lease-running",
            Self::NotApprover { .. } => "not-approver",
            Self::SelfReview { .. } => "self-review",
            Self::NoReturn { .. } => "no-return-step",
            Self::BadReturn { .. } => "bad-return-step",
            Self::VoidHeld { .. } => "void-held",
            Self::BadMigration { .. } => "bad-migration",
            Self::AmbiguousMigration { .. } => "ambiguous-migration",
            Self::MigrationHeld { .. } => "migration-held",
            Self::NothingToRollBack { .. } => "nothing-to-roll-back",
            Self::WorkedOnSince { .. } => "worked-on-since",
            Self::FirstKey { .. } => "first-key",
            Self::KeyTaken { .. } => "key-taken",
            Self::KeyGone { .. } => "key-revoked",
            Self::UnknownKey { .. } => "unknown-key",
            Self::AmbiguousKey { .. } => "ambiguous-key",
            Self::NotOwner { .. } => "not-owner",
            Self::LastOwner { .. } => "last-owner",
            Self::NoKeys => "no-keys",
            Self::UnknownPolicy { .. } => "unknown-policy",
            Self::BadPolicyValue { .. } => "bad-policy-value",
            Self::NotAllDone { .. } => "not-all-done",
            Self::NotOnBase { .. } => "not-on-base",
            Self::NotLanded { .. } => "not-landed",
            Self::NotIntegrated { .. } => "not-integrated",
            Self::NotUndone { .. } => "not-undone",
            Self::NotIntegrator { .. } => "not-integrator",
            Self::Invalid(_) => "invalid",
        }
    }
}
