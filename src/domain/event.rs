//! The closed list of what can happen (D1), as typed data: the event is the format.
//!
//! Every event but one is a fact. `schedule-decided` is a decision that follows from the facts
//! before it (L4). Matching on [`EventKind`] never uses a wildcard, so a new event is a list of
//! places the compiler names.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::id::{
    AttemptAlias, AttemptId, ClaimId, ConstraintName, CriterionId, Digest, EventId, ExecutorId,
    Fingerprint, ItemId, PrincipalId, RequestId, RoleName, SshKey, StepKey, WorkflowName,
};
use super::moment::read_time_or_null;

/// Who acted: the twelve business fields' `actor` (FR-014).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Actor {
    /// The executor; `stepseal` for decisions.
    pub id: ExecutorId,
    /// How people call it; equal to the id where nobody gave a name.
    pub name: String,
    pub kind: ActorKind,
    /// The accountable person. Unsigned principals are claims, not proof (C4).
    pub principal: PrincipalId,
}

/// What kind of executor acted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ActorKind {
    Human,
    Agent,
    Ci,
    /// stepseal itself, on decisions only.
    System,
}

impl ActorKind {
    /// The word on paper.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Human => "human",
            Self::Agent => "agent",
            Self::Ci => "ci",
            Self::System => "system",
        }
    }
}

/// A workflow version, pinned by the digest of its sealed definition.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WorkflowRef {
    pub name: WorkflowName,
    pub version: u32,
    pub sha256: Digest,
}

/// A step as an event names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StepRef {
    pub key: StepKey,
    pub order: u32,
}

/// The outcome summary every artifact carries (FR-014).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Outcome {
    /// One word: `completed`, `claimed`, `flagged`, …
    pub status: String,
    /// What a person should know, at most 8 KiB.
    pub summary: String,
}

/// Whether the item's outputs were authoritative when this happened (FR-010).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Baseline {
    /// Provisional: before baseline integration.
    Pre,
    /// Authoritative: after it.
    Post,
}

/// A causal link, from fact to fact, by id and digest of the linked bytes (L3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Link {
    /// What the linked fact is to this one: `claim`, `input`, `retry-of`, `reviews`, …
    pub rel: String,
    pub id: EventId,
    pub sha256: Digest,
}

/// The caller's idempotency key and what was asked under it (R1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Request {
    pub id: RequestId,
    /// SHA-256 of the ask: the same id with another digest is a conflict.
    pub digest: Digest,
}

/// A fact or a decision, whole: what one handoff artifact says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub id: EventId,
    pub work_item_id: Option<ItemId>,
    pub workflow: Option<WorkflowRef>,
    pub step: Option<StepRef>,
    pub attempt_id: Option<AttemptId>,
    pub timestamp: DateTime<Utc>,
    pub actor: Actor,
    pub outcome: Outcome,
    pub next_action: String,
    pub baseline_integration: Baseline,
    pub links: Vec<Link>,
    pub request: Option<Request>,
    pub data: EventData,
}

impl Event {
    /// Which event of the closed list this is.
    #[must_use]
    pub fn kind(&self) -> EventKind {
        self.data.kind()
    }
}

/// What an event is about, and so which of item, step and attempt it carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The ledger: no item, no step, no attempt.
    Ledger,
    /// A work item.
    Item,
    /// A step of an item, no attempt.
    Step,
    /// One attempt of one step.
    Attempt,
    /// A work item, or the ledger where no item is concerned.
    ItemOrLedger,
}

/// Declares the closed list once: kinds, data, names, scopes, decoding.
macro_rules! events {
    ($($(#[$doc:meta])* $kind:ident $name:literal $scope:ident $data:ident,)*) => {
        /// The name of an event: the closed list of D1.
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
        )]
        pub enum EventKind {
            $($(#[$doc])* #[serde(rename = $name)] $kind,)*
        }

        impl EventKind {
            /// Every event, in the order of D1.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// The name on paper and in file names.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)* }
            }

            /// What the event is about.
            #[must_use]
            pub fn scope(self) -> Scope {
                match self { $(Self::$kind => Scope::$scope,)* }
            }
        }

        /// What is particular to an event, by its kind.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize)]
        #[serde(untagged)]
        pub enum EventData {
            $($(#[$doc])* $kind($data),)*
        }

        impl EventData {
            /// The kind whose data this is.
            #[must_use]
            pub fn kind(&self) -> EventKind {
                match self { $(Self::$kind(_) => EventKind::$kind,)* }
            }

            /// Reads the data of an event of this kind, refusing unknown and doubled fields.
            ///
            /// # Errors
            /// The JSON error, with the position inside `json`.
            pub fn from_json(kind: EventKind, json: &str) -> Result<Self, serde_json::Error> {
                Ok(match kind {
                    $(EventKind::$kind => Self::$kind(serde_json::from_str(json)?),)*
                })
            }

            /// The JSON Schema of this kind's data.
            #[must_use]
            pub fn schema(kind: EventKind, generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                match kind {
                    $(EventKind::$kind => <$data>::json_schema(generator),)*
                }
            }
        }
    };
}

events! {
    // Item.
    /// An item enters the ledger, on one workflow version.
    WorkItemRegistered "work-item-registered" Item WorkItemRegistered,
    /// Title, priority or labels changed.
    ItemEdited "item-edited" Item ItemEdited,
    /// A person suspects a duplicate: no claims until it is decided (FR-003).
    ReviewFlagged "review-flagged" Item ReviewFlagged,
    /// The suspicion was looked at and dropped.
    ReviewCleared "review-cleared" Item ReviewDecided,
    /// The item lives on in another one.
    ReviewMerged "review-merged" Item ReviewSurvivor,
    /// The item is related to another one; both go on.
    ReviewLinked "review-linked" Item ReviewSurvivor,
    /// The item is a duplicate and ends here.
    ReviewClosed "review-closed" Item ReviewClosed,
    /// An earlier merge or closing was wrong.
    ReviewOverturned "review-overturned" Item ReviewDecided,
    /// Another principal is accountable from here on (FR-011).
    OwnerTransferred "owner-transferred" Item OwnerTransferred,
    /// Something outside holds the item (FR-012).
    BlockerDeclared "blocker-declared" Item BlockerDeclared,
    /// What held the item is gone.
    BlockerResolved "blocker-resolved" Item BlockerResolved,
    /// Work goes on after an interruption; lists what must be verified again.
    WorkItemResumed "work-item-resumed" Item WorkItemResumed,
    /// The item moved to another workflow version (FR-016).
    WorkItemMigrated "work-item-migrated" Item WorkItemMigrated,
    /// The item is given up.
    WorkItemCancelled "work-item-cancelled" Item Reasoned,
    /// A migration was taken back.
    MigrationRolledBack "migration-rolled-back" Item MigrationRolledBack,
    /// Sealed bytes were put back, or a wrong fact was corrected by a later one (FR-009).
    CorrectionRecorded "correction-recorded" ItemOrLedger CorrectionRecorded,
    /// A spooled handoff was refused; its digest is kept, never its bytes.
    HandoffQuarantined "handoff-quarantined" Item HandoffQuarantined,
    // Attempt.
    /// The decision that follows a fact: what it opened, and in which order.
    ScheduleDecided "schedule-decided" Item ScheduleDecided,
    /// A further attempt was queued by an explicit act or by the step's own retry.
    AttemptRequeued "attempt-requeued" Attempt AttemptRequeued,
    /// One executor holds the attempt.
    AttemptClaimed "attempt-claimed" Attempt AttemptClaimed,
    /// The work is done and its exit criteria are verified.
    AttemptCompleted "attempt-completed" Attempt AttemptCompleted,
    /// The executor could not do it.
    AttemptFailed "attempt-failed" Attempt AttemptEnded,
    /// The executor says the work as asked is wrong.
    AttemptRejected "attempt-rejected" Attempt AttemptEnded,
    /// The holder gave the attempt back.
    ClaimReleased "claim-released" Attempt ClaimReleased,
    /// The claim was taken from a holder who is gone.
    ClaimLapsed "claim-lapsed" Attempt ClaimLapsed,
    /// A queued attempt was taken off the queue.
    AttemptWithdrawn "attempt-withdrawn" Attempt Reasoned,
    /// The step will not be done; those that wait for it go on.
    StepSkipped "step-skipped" Step Reasoned,
    // Gate and flow.
    /// One principal says yes; the quorum decides.
    GateApproved "gate-approved" Attempt GateApproved,
    /// One principal says no; the item goes back.
    GateRejected "gate-rejected" Attempt GateRejected,
    /// A person sends the item back outside a gate (FR-021).
    ReworkRequested "rework-requested" Item ReworkRequested,
    /// Outputs became authoritative (FR-010).
    BaselineIntegration "baseline-integration" Item BaselineIntegration,
    /// The integration was undone; one new round opens.
    BaselineReverted "baseline-reverted" Item BaselineReverted,
    // Ledger.
    /// A workflow version became available, for ever the same.
    WorkflowPublished "workflow-published" Ledger WorkflowPublished,
    /// No new items start on the version.
    WorkflowRetired "workflow-retired" Ledger WorkflowRetired,
    /// A policy changed (FR-022).
    PolicyChanged "policy-changed" Ledger PolicyChanged,
    /// A signing key counts from here on.
    ActorKeyAdded "actor-key-added" Ledger ActorKeyAdded,
    /// A signing key no longer counts from here on.
    ActorKeyRevoked "actor-key-revoked" Ledger ActorKeyRevoked,
}

/// Declares the data structs: camelCase on paper, unknown fields refused.
macro_rules! data {
    ($($(#[$doc:meta])* $name:ident { $($(#[$fdoc:meta])* $field:ident: $type:ty,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
            #[serde(rename_all = "camelCase", deny_unknown_fields)]
            pub struct $name { $($(#[$fdoc])* pub $field: $type,)* }
        )*
    };
}

data! {
    /// Where an item came from and where its steps already stood.
    WorkItemRegistered {
        title: String,
        /// The prompt or the plan's introduction.
        description: Option<String>,
        plan: Option<PlanRef>,
        imported: Vec<ImportedStep>,
        priority: Option<u32>,
        labels: Vec<String>,
        owner: Option<PrincipalId>,
    }

    /// The plan an item was registered from.
    PlanRef {
        /// `native`, `spec-kit`, …
        format: String,
        /// As given on the command line; for people, never opened.
        path: String,
        /// SHA-256 of the plan's bytes.
        digest: Digest,
    }

    /// A step the plan says is already done or skipped.
    ImportedStep {
        key: StepKey,
        state: ImportedState,
        source_line: Option<u32>,
    }

    /// The new values; what did not change is null.
    ItemEdited {
        title: Option<String>,
        priority: Option<u32>,
        labels: Option<Vec<String>>,
    }

    /// Which items this one may repeat.
    ReviewFlagged {
        reason: String,
        suspects: Vec<ItemId>,
    }

    /// Why a review ended the way it did.
    ReviewDecided {
        rationale: String,
    }

    /// Why the item ends here, and which one it repeats.
    ReviewClosed {
        /// The item that goes on; null where none does.
        survivor: Option<ItemId>,
        rationale: String,
    }

    /// Which item survives or is related, and why.
    ReviewSurvivor {
        other: ItemId,
        rationale: String,
    }

    /// From whom to whom.
    OwnerTransferred {
        from: Option<PrincipalId>,
        to: PrincipalId,
        reason: String,
    }

    /// What holds the item.
    BlockerDeclared {
        blocker_id: CriterionId,
        /// A type from policy: `dependency`, `decision`, …
        blocker_type: String,
        /// The steps it holds; empty means all.
        steps: Vec<StepKey>,
        notes: String,
        /// Who is to see that it goes away.
        owner: PrincipalId,
    }

    /// How it went away.
    BlockerResolved {
        blocker_id: CriterionId,
        resolution: String,
    }

    /// What must be verified again.
    WorkItemResumed {
        reason: String,
        /// The first 2,000 of them, in launch order.
        verify_again: Vec<VerifyAgain>,
        /// How many more there are.
        more: u32,
    }

    /// One exit criterion that is not to be trusted as it stands.
    VerifyAgain {
        step_key: StepKey,
        criterion_id: CriterionId,
        /// The attempt that was to show it, or showed it.
        attempt_id: AttemptId,
        because: Doubt,
    }

    /// What became of every step's state.
    WorkItemMigrated {
        from: WorkflowRef,
        to: WorkflowRef,
        map: Vec<StepMapping>,
        drop: Vec<StepKey>,
        reason: String,
    }

    /// A step of the old version and the one it became.
    StepMapping {
        from: StepKey,
        to: StepKey,
    }

    /// Which migration was taken back.
    MigrationRolledBack {
        migration: EventId,
        reason: String,
    }

    /// What was put right.
    CorrectionRecorded {
        path: String,
        /// The sealed digest the path has again; null where an unsealed file was removed.
        sha256: Option<Digest>,
        /// The digest that stood there; null where the file was missing.
        found: Option<Digest>,
        /// The commit that changed it.
        foreign_commit: Option<String>,
        action: CorrectionAction,
        reason: String,
    }

    /// What was refused.
    HandoffQuarantined {
        digest: Digest,
        /// Bytes.
        size: u64,
        refusal: String,
    }

    /// Only what changed: the steps this fact opened, ties broken, serialisations.
    ScheduleDecided {
        /// The fact it follows.
        fact: EventId,
        opened: Vec<OpenedStep>,
        tie_breaks: Vec<TieBreak>,
        serialisations: Vec<Serialisation>,
    }

    /// A step that became open.
    OpenedStep {
        key: StepKey,
        order: u32,
        attempt_id: AttemptId,
        round: u32,
        /// Place among the steps that are open now, from 1.
        rank: u32,
        gate: bool,
    }

    /// Steps of equal order, in the byte order of their keys (S5).
    TieBreak {
        order: u32,
        keys: Vec<StepKey>,
    }

    /// A step that waits, or no longer waits, for another that shares a constraint (S4).
    Serialisation {
        constraint: ConstraintName,
        key: StepKey,
        /// The step it waits for; null when the hold is lifted.
        waits_for: Option<StepKey>,
    }

    /// Why a further attempt exists.
    AttemptRequeued {
        retry_of: AttemptId,
        cause: RequeueCause,
        reason: String,
        round: u32,
    }

    /// Who holds the attempt, under which fence, and what was attested.
    AttemptClaimed {
        claim_id: ClaimId,
        /// The caller's own name for the attempt.
        alias: Option<AttemptAlias>,
        attested: Vec<Attestation>,
        #[serde(deserialize_with = "read_time_or_null")]
        lease_until: Option<DateTime<Utc>>,
        /// The code the executor starts from.
        code: Option<CodeSeen>,
        inputs_digest: Digest,
    }

    /// One entry criterion, attested.
    Attestation {
        id: CriterionId,
        mode: AttestMode,
    }

    /// The code a claim or a completion saw (K4).
    CodeSeen {
        /// Commit id of HEAD.
        head: String,
        /// Tree id of HEAD; null on claims.
        tree: Option<String>,
        dirty: Dirty,
    }

    /// What was verified and produced.
    AttemptCompleted {
        claim_id: ClaimId,
        verified: Vec<Verification>,
        outputs: Vec<Output>,
        outputs_digest: Digest,
        inputs_digest: Digest,
        /// The earlier completed attempt with the same inputs digest, if any (K5).
        reused: Option<AttemptId>,
        code: Option<CodeSeen>,
    }

    /// One exit criterion, verified.
    Verification {
        id: CriterionId,
        /// Where to look; null when none was named.
        evidence: Option<String>,
        check: Option<CheckRun>,
    }

    /// A criterion's check, as it ran.
    CheckRun {
        run: Vec<String>,
        exit_code: i32,
        /// Milliseconds.
        duration_ms: u64,
        /// SHA-256 of the whole output.
        output_digest: Digest,
        /// The head and tail of it.
        output: String,
    }

    /// A file the work produced, by content.
    Output {
        path: String,
        sha256: Digest,
        /// Bytes.
        size: u64,
    }

    /// An attempt that ended without being done.
    AttemptEnded {
        claim_id: ClaimId,
        outputs: Vec<Output>,
        code: Option<CodeSeen>,
    }

    /// A claim given back.
    ClaimReleased {
        claim_id: ClaimId,
        reason: String,
    }

    /// A claim taken from a holder who is gone.
    ClaimLapsed {
        claim_id: ClaimId,
        reason: String,
        #[serde(deserialize_with = "read_time_or_null")]
        lease_until: Option<DateTime<Utc>>,
        /// Before the lease end, or without a lease.
        forced: bool,
    }

    /// An act that needs only its reason.
    Reasoned {
        reason: String,
    }

    /// One yes, and whether it was the one that counted.
    GateApproved {
        reason: String,
        round: u32,
        outputs_digest: Digest,
        /// Distinct principals that approved this digest in this round, this one included.
        approvals: u32,
        quorum: u32,
        decided: bool,
        /// The role under which it counts; null when named by id or open to all.
        role: Option<RoleName>,
        /// No members were on record for the role, so every principal was admitted (G2).
        role_unchecked: bool,
        /// The principal's executors worked on a step under review.
        self_review: bool,
        follow_ups: Vec<String>,
    }

    /// A no, and what it undoes.
    GateRejected {
        reason: String,
        round: u32,
        return_to: StepKey,
        void: Vec<VoidStep>,
        role: Option<RoleName>,
        role_unchecked: bool,
        self_review: bool,
        follow_ups: Vec<String>,
    }

    /// A step that is not done any more.
    VoidStep {
        key: StepKey,
        /// The attempt whose result no longer counts, if there was one.
        attempt_id: Option<AttemptId>,
        /// The round it enters.
        round: u32,
    }

    /// A way back outside a gate.
    ReworkRequested {
        reason: String,
        return_to: StepKey,
        void: Vec<VoidStep>,
    }

    /// What landed.
    BaselineIntegration {
        commit: String,
        branch: String,
        landed: Vec<Landed>,
        /// Why it was accepted although not all of it could be shown to have landed.
        accepted: Option<String>,
    }

    /// One completion, found or not found on the base branch.
    Landed {
        attempt_id: AttemptId,
        verdict: LandedVerdict,
        how: String,
    }

    /// What undid the integration.
    BaselineReverted {
        commit: String,
        return_to: StepKey,
        void: Vec<VoidStep>,
        accepted: Option<String>,
        reason: String,
    }

    /// A definition, by path and digest.
    WorkflowPublished {
        name: WorkflowName,
        version: u32,
        sha256: Digest,
        path: String,
        title: Option<String>,
        reason: Option<String>,
        impact: Option<String>,
        #[serde(deserialize_with = "read_time_or_null")]
        effective_from: Option<DateTime<Utc>>,
        #[serde(deserialize_with = "read_time_or_null")]
        effective_to: Option<DateTime<Utc>>,
    }

    /// The end of a version.
    WorkflowRetired {
        name: WorkflowName,
        version: u32,
        reason: String,
    }

    /// One policy key and its new value.
    PolicyChanged {
        key: String,
        value: Vec<String>,
        reason: String,
        impact: Option<String>,
    }

    /// A key, whom it speaks for, and what it may seal.
    ActorKeyAdded {
        fingerprint: Fingerprint,
        public_key: SshKey,
        principal: PrincipalId,
        role: KeyRole,
        /// The last moment it counts, judged by the timestamps of the seals.
        #[serde(deserialize_with = "read_time_or_null")]
        not_after: Option<DateTime<Utc>>,
        reason: String,
    }

    /// A key that no longer counts.
    ActorKeyRevoked {
        fingerprint: Fingerprint,
        reason: String,
        /// The first seal that somebody else may have signed with it.
        compromised_since: Option<u64>,
    }
}

/// What a signing key may seal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum KeyRole {
    /// Anything; alone adds and revokes keys.
    Owner,
    /// Facts of its own principal.
    Executor,
    /// Facts of anybody, but no keys.
    Collector,
}

impl KeyRole {
    /// The word on paper.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Executor => "executor",
            Self::Collector => "collector",
        }
    }
}

/// Where a plan says a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ImportedState {
    Done,
    Skipped,
}

/// Why an exit criterion has to be verified again after an interruption.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Doubt {
    /// Its step is claimed, so whatever was found out so far is not on record.
    InProgress,
    /// The same, and the time the holder asked for is over.
    LeaseEnded,
    /// It was shown on a work tree that differed from its commit.
    Uncommitted,
    /// It is not on record on which code it was shown.
    CodeUnknown,
}

impl Doubt {
    /// The word on paper.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::InProgress => "in-progress",
            Self::LeaseEnded => "lease-ended",
            Self::Uncommitted => "uncommitted",
            Self::CodeUnknown => "code-unknown",
        }
    }
}

/// How sealed bytes came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CorrectionAction {
    /// Sealed bytes were put back from history.
    Restored,
    /// A file that was never sealed was removed.
    Removed,
    /// A derived file was written again from the events.
    Rederived,
}

/// Who or what queued a further attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RequeueCause {
    /// `requeue`.
    Asked,
    /// The step's own `retry`.
    Retry,
    /// `release` queues the next attempt at once.
    Released,
    /// `requeue --lapsed` queues the next attempt at once.
    Lapsed,
}

/// How an entry criterion was attested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AttestMode {
    /// Named by its id.
    Named,
    /// By `--attest-all`: not checked one by one.
    All,
}

/// Whether the working tree differed from HEAD.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Dirty {
    #[serde(rename = "true")]
    Yes,
    #[serde(rename = "false")]
    No,
    /// Not looked at, or not within the time limit.
    Unknown,
}

/// Whether a completion's changes are on the base branch (B1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LandedVerdict {
    Landed,
    NotLanded,
    Unknown,
}

impl LandedVerdict {
    /// As people read it.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Landed => "landed",
            Self::NotLanded => "not landed",
            Self::Unknown => "cannot tell",
        }
    }
}

/// The actor of every decision (L4).
///
/// # Panics
/// Never: the literal is within the grammar.
#[must_use]
pub fn decision_actor() -> Actor {
    Actor {
        id: "stepseal".parse().expect("a literal within the grammar"),
        name: "stepseal".into(),
        kind: ActorKind::System,
        principal: "stepseal".parse().expect("a literal within the grammar"),
    }
}

/// The id of the attempt that a step's own retry queues after a fact: the same whoever records it,
/// so that a fact that was spooled brings what it would have brought at once (L4).
#[must_use]
pub fn retry_id(fact: EventId) -> EventId {
    let fact = fact.uuid();
    let digest = Digest::of_parts(&[b"stepseal-retry", fact.as_bytes()]).to_bytes();
    let (mut millis, mut random) = ([0; 8], [0; 10]);
    millis[2..].copy_from_slice(&fact.as_bytes()[..6]);
    random.copy_from_slice(&digest[..10]);
    let id = uuid::Builder::from_unix_timestamp_millis(u64::from_be_bytes(millis), &random);
    EventId::new(id.into_uuid())
}

/// The id of the decision that follows a fact: UUIDv8 of SHA-256 (L4).
#[must_use]
pub fn decision_id(fact: EventId) -> EventId {
    let digest = Digest::of_parts(&[b"stepseal-decision", fact.uuid().as_bytes()]).to_bytes();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    EventId::new(uuid::Builder::from_custom_bytes(bytes).into_uuid())
}
