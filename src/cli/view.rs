//! The `--json` contract: one versioned document a command, each with its schema.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::artifact::{Mark, ScheduleDoc};
use crate::domain::event::Landed;
use crate::domain::id::{
    AttemptId, ClaimId, CriterionId, Digest, EventId, ExecutorId, Fingerprint, ItemId, PrincipalId,
    SshKey, StepKey, WorkflowName,
};
use crate::domain::metrics::{AttemptFlow, Flow, ItemFlow, Series, StepFlow, WorkflowFlow};
use crate::report::{BlockerReport, BriefReport, ItemReport, TransferReport, WorkflowDiff};

/// What every answer has around its own fields.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Document<T> {
    /// `stepseal/cli/COMMAND/1`.
    pub schema: String,
    pub command: String,
    pub exit_code: u8,
    #[serde(flatten)]
    pub data: T,
    /// Whether this command recorded something.
    pub recorded: bool,
    /// Commands that work now, as argument lists; never strings for a shell.
    pub next: Vec<Vec<String>>,
}

/// A refusal, whatever the command.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RefusalDocument {
    /// `stepseal/cli/refusal/1`.
    pub schema: String,
    pub command: String,
    pub exit_code: u8,
    /// The exit code's word.
    pub kind: String,
    /// A stable word for what happened.
    pub reason: String,
    pub message: String,
    pub data: Value,
    /// `false`, `true` or `"unknown"`.
    pub recorded: Value,
    pub next: Vec<Vec<String>>,
}

macro_rules! views {
    ($($(#[$doc:meta])* $name:ident { $($(#[$fdoc:meta])* $field:ident: $type:ty,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Serialize, JsonSchema)]
            #[serde(rename_all = "camelCase")]
            pub struct $name { $($(#[$fdoc])* pub $field: $type,)* }
        )*
    };
}

views! {
    /// `init`.
    InitView {
        branch: String,
        /// Through which git remote it is shared; null for this clone only.
        remote: Option<String>,
        /// `created`, `existed` or `adopted`.
        outcome: String,
        adopted_from: Option<String>,
        items: usize,
        wrote_config: bool,
        /// The workflows `--github` wrote.
        wrote: Vec<String>,
    }

    /// `delegate`.
    DelegateView {
        work_item_id: ItemId,
        /// `registered` or `unchanged`.
        outcome: String,
        workflow: String,
        version: u32,
        sha256: Digest,
        imported_done: usize,
        imported_skipped: usize,
        ready: Vec<StepKey>,
        warnings: Vec<WarningView>,
    }

    /// `delegate --dry-run`: one object per step, in launch order.
    DryRunView {
        work_item_id: Option<ItemId>,
        title: Option<String>,
        format: String,
        workflow: String,
        steps: Vec<DryStepView>,
        /// Keys that may start together, wave by wave.
        waves: Vec<Vec<StepKey>>,
        warnings: Vec<WarningView>,
    }

    /// One step of a dry run.
    DryStepView {
        key: StepKey,
        order: u32,
        title: String,
        /// `review` or `release` for a gate.
        gate: Option<String>,
        parallelizable: bool,
        group: Option<String>,
        needs: Vec<StepKey>,
        /// `open`, `done` or `skipped`.
        state: String,
        line: Option<u32>,
        phase: Option<String>,
        wave: Option<usize>,
    }

    /// A warning about a plan.
    WarningView {
        line: u32,
        message: String,
    }

    /// `schedule`.
    ScheduleView {
        schedule: ScheduleDoc,
    }

    /// `schedule --matrix`.
    MatrixView {
        include: Vec<MatrixEntry>,
    }

    /// One job of a matrix.
    MatrixEntry {
        work_item_id: ItemId,
        step_key: StepKey,
        order: u32,
        parallelizable: bool,
        attempt_id: AttemptId,
    }

    /// `schedule --preclaim`: one entry a job of a matrix.
    PreclaimView {
        include: Vec<PreclaimEntry>,
        /// Ready steps that could not be claimed, and why.
        passed_over: Vec<PassedOver>,
        /// Ready steps there were no executors for.
        left: usize,
    }

    /// One attempt, claimed for an executor that is still to be started.
    PreclaimEntry {
        work_item_id: ItemId,
        step_key: StepKey,
        order: u32,
        parallelizable: bool,
        attempt_id: AttemptId,
        claim_id: ClaimId,
        executor: ExecutorId,
        /// The ticket's file below the folder of tickets, where they were written.
        ticket: Option<String>,
        /// Whether the workflow says what starts the work.
        execute: bool,
    }

    /// A ready step nobody could claim.
    PassedOver {
        step_key: StepKey,
        why: String,
    }

    /// `complete --ticket`, `run`: a handoff that waits to be collected.
    SpoolView {
        work_item_id: Option<ItemId>,
        step_key: Option<StepKey>,
        attempt_id: Option<AttemptId>,
        /// `completed`, `failed`, `rejected` or `unchanged`.
        outcome: String,
        path: String,
        checks: Vec<CheckView>,
    }

    /// `collect`.
    CollectView {
        accepted: Vec<CollectedAttempt>,
        /// How many were on record already.
        there: usize,
        quarantined: Vec<QuarantinedView>,
        /// Attempts that ended because nothing came back.
        failed: Vec<CollectedAttempt>,
    }

    /// An attempt that ended by what was collected.
    CollectedAttempt {
        work_item_id: ItemId,
        attempt_id: AttemptId,
        /// `completed`, `failed` or `rejected`.
        outcome: String,
    }

    /// A handoff that was refused.
    QuarantinedView {
        path: String,
        work_item_id: Option<ItemId>,
        digest: Digest,
        why: String,
        /// Whether the ledger says so from now on.
        recorded: bool,
    }

    /// `claim`.
    ClaimView {
        work_item_id: ItemId,
        step_key: StepKey,
        attempt_id: AttemptId,
        alias: Option<String>,
        claim_id: ClaimId,
        executor: ExecutorId,
        claimed_at: Option<DateTime<Utc>>,
        lease_until: Option<DateTime<Utc>>,
        /// `claimed` or `unchanged`.
        outcome: String,
        brief: BriefReport,
    }

    /// `claim --next` with nothing to claim.
    NothingView {
        outcome: String,
        /// Items that cannot be read, and so were passed over.
        stopped: Vec<ItemId>,
    }

    /// `brief`.
    BriefView {
        brief: BriefReport,
    }

    /// `complete`.
    CompleteView {
        work_item_id: ItemId,
        step_key: StepKey,
        attempt_id: AttemptId,
        /// `completed`, `failed`, `rejected` or `unchanged`.
        outcome: String,
        checks: Vec<CheckView>,
        /// The retry that was queued with it.
        requeued: Option<AttemptId>,
        ready: Vec<StepKey>,
        gates: Vec<StepKey>,
        reused: Option<AttemptId>,
    }

    /// A check that was run.
    CheckView {
        criterion: String,
        exit_code: i32,
        duration_ms: u64,
        output_digest: Digest,
    }

    /// `skip`, `requeue`, `release`.
    StepView {
        work_item_id: ItemId,
        step_key: StepKey,
        /// `skipped`, `queued`, `released`, `lapsed` or `unchanged`.
        outcome: String,
        attempt_id: Option<AttemptId>,
        ready: Vec<StepKey>,
    }

    /// `gate`.
    GateView {
        work_item_id: ItemId,
        step_key: StepKey,
        attempt_id: Option<AttemptId>,
        /// `approved`, `noted` (quorum not reached), `rejected`, `unchanged` or `dry-run`.
        outcome: String,
        principal: PrincipalId,
        approvals: Option<u32>,
        quorum: Option<u32>,
        self_review: bool,
        role_unchecked: bool,
        return_to: Option<StepKey>,
        void: Vec<StepKey>,
        /// Attempts that were taken from their holders.
        released: Vec<AttemptId>,
        ready: Vec<StepKey>,
        gates: Vec<StepKey>,
    }

    /// `rework`.
    ReworkView {
        work_item_id: ItemId,
        /// `returned`, `unchanged` or `dry-run`.
        outcome: String,
        return_to: StepKey,
        /// The steps that are to be done again.
        void: Vec<StepKey>,
        /// Attempts that were taken from their holders.
        released: Vec<AttemptId>,
        ready: Vec<StepKey>,
        gates: Vec<StepKey>,
    }

    /// `integrate`.
    IntegrateView {
        work_item_id: ItemId,
        /// `integrated`, `unchanged` or `dry-run`.
        outcome: String,
        /// The whole commit id.
        commit: String,
        branch: String,
        /// What was found of each completion that counts, in launch order.
        landed: Vec<Landed>,
        /// Why it was accepted although not all of it could be shown to have landed.
        accepted: Option<String>,
    }

    /// `revert`.
    RevertView {
        work_item_id: ItemId,
        /// `reverted`, `unchanged` or `dry-run`.
        outcome: String,
        commit: String,
        branch: String,
        /// How the commit was seen to undo the integration, or why it was not.
        how: String,
        /// It was taken although it was not seen to.
        accepted: bool,
        return_to: StepKey,
        /// The steps that are to be done again.
        void: Vec<StepKey>,
        ready: Vec<StepKey>,
        gates: Vec<StepKey>,
    }

    /// `migrate`, `rollback`.
    MigrationView {
        work_item_id: ItemId,
        /// `migrated`, `rolled-back`, `unchanged` or `dry-run`.
        outcome: String,
        /// The version the item is on, or would be.
        workflow: WorkflowName,
        version: u32,
        /// In launch order of that version; those that go away come last.
        steps: Vec<FateView>,
        /// Attempts that were taken from their holders.
        released: Vec<AttemptId>,
    }

    /// What becomes of one step.
    FateView {
        /// Its key before; null for a step that is new.
        from: Option<StepKey>,
        /// Its key after; null for one that goes away.
        to: Option<StepKey>,
        before: String,
        after: String,
    }

    /// `review` of one item.
    ReviewView {
        work_item_id: ItemId,
        /// `flagged`, `cleared`, `merged`, `linked`, `closed`, `overturned` or `unchanged`.
        outcome: String,
        /// Where the item lives on.
        survivor: Option<ItemId>,
        linked: Vec<ItemId>,
        /// Whether it waits for a decision now.
        under_review: bool,
        /// Attempts that were taken from their holders.
        released: Vec<AttemptId>,
        ready: Vec<StepKey>,
    }

    /// `review list`.
    ReviewListView {
        items: Vec<ReviewedItem>,
        stopped: Vec<StoppedItem>,
    }

    /// One item that waits for a review, or about which was decided.
    ReviewedItem {
        work_item_id: ItemId,
        title: String,
        /// `awaiting-review`, `merged`, `closed`, `linked` or `cleared`.
        state: String,
        /// Who flagged it, or decided.
        by: Option<PrincipalId>,
        at: Option<DateTime<Utc>>,
        reason: String,
        suspects: Vec<ItemId>,
        survivor: Option<ItemId>,
        linked: Vec<ItemId>,
    }

    /// `blocker declare`, `blocker resolve`.
    BlockerView {
        work_item_id: ItemId,
        /// `declared`, `resolved` or `unchanged`.
        outcome: String,
        blocker_id: CriterionId,
        blocker_type: String,
        /// The steps it holds; empty means all.
        steps: Vec<StepKey>,
        ready: Vec<StepKey>,
    }

    /// `blocker list`.
    BlockerListView {
        blockers: Vec<ListedBlocker>,
        stopped: Vec<StoppedItem>,
    }

    /// A blocker and its item.
    ListedBlocker {
        work_item_id: ItemId,
        blocker: BlockerReport,
    }

    /// `owner transfer`.
    OwnerView {
        work_item_id: ItemId,
        /// `transferred` or `unchanged`.
        outcome: String,
        from: Option<PrincipalId>,
        to: PrincipalId,
    }

    /// `owner show ITEM`.
    OwnerShowView {
        work_item_id: ItemId,
        owner: Option<PrincipalId>,
        transfers: Vec<TransferReport>,
        steps: Vec<StepOwnerView>,
    }

    /// Who a step is for, and who has it.
    StepOwnerView {
        step_key: StepKey,
        role: Option<String>,
        state: String,
        executor: Option<ExecutorId>,
    }

    /// `owner show`.
    OwnersView {
        owners: Vec<OwnedView>,
        stopped: Vec<StoppedItem>,
    }

    /// What one principal is accountable for.
    OwnedView {
        /// Null for the items nobody is accountable for.
        owner: Option<PrincipalId>,
        items: usize,
        /// Those that are not over.
        open: usize,
        ready_steps: u32,
        held_steps: usize,
        blocked_items: usize,
    }

    /// `resume`.
    ResumeView {
        work_item_id: ItemId,
        /// `resumed`, `unchanged` or `dry-run`.
        outcome: String,
        status: String,
        /// The claims there are.
        claims: Vec<ResumedClaim>,
        verify_again: Vec<VerifyAgainView>,
        ready: Vec<StepKey>,
        gates: Vec<StepKey>,
    }

    /// A claim as it stands after an interruption.
    ResumedClaim {
        attempt_id: AttemptId,
        executor: ExecutorId,
        claimed_at: DateTime<Utc>,
        lease_until: Option<DateTime<Utc>>,
        /// The time the holder asked for is over.
        lease_ended: bool,
    }

    /// An exit criterion to be verified again.
    VerifyAgainView {
        step_key: StepKey,
        attempt_id: AttemptId,
        criterion_id: CriterionId,
        text: String,
        /// `in-progress`, `lease-ended`, `uncommitted` or `code-unknown`.
        because: String,
        /// The command that shows it.
        check: Option<Vec<String>>,
    }

    /// `cancel`.
    ReplayView {
        items: usize,
        /// Events but decisions.
        facts: u64,
        /// Over the three below; what `--expect` takes.
        digest: Digest,
        /// Of what `status --json` says of every item.
        states: Digest,
        schedules: Digest,
        metrics: Digest,
        /// `--expect`, where it was given.
        expected: Option<Digest>,
        differences: Vec<DifferenceView>,
        stopped: Vec<StoppedItem>,
    }

    /// What is not as an item's events give it.
    DifferenceView {
        work_item_id: ItemId,
        /// The derived file; none where it is what this clone keeps to answer sooner.
        path: Option<String>,
    }

    SyncView {
        remote: String,
        /// `synced`, `unchanged`, or `status`, which asks nobody.
        outcome: String,
        /// The commit this clone has; null before the first.
        local: Option<String>,
        /// The commit the remote was last seen at.
        shared: Option<String>,
        /// How many commits came.
        received: usize,
        /// How many went, which were recorded before the ledger was shared.
        sent: usize,
        /// Handoffs that wait in this clone.
        unshared: usize,
        /// Handoffs that waited here and were brought home.
        shared_handoffs: usize,
        /// Handoffs that waited here and were refused, with why.
        refused: Vec<QuarantinedView>,
        /// The reference that keeps what this clone had, where a rewritten history was taken.
        rescued: Option<String>,
        mark: Option<Mark>,
    }

    DoctorView {
        /// In the order in which they were looked at.
        checks: Vec<DoctorCheck>,
    }

    /// One thing that was looked at.
    DoctorCheck {
        /// A stable word: `git`, `repository`, `config`, `ledger`, `history`, `remote`, `rights`,
        /// `clock`, `locks`, `objects`, `signing`.
        name: String,
        /// `ok`, `note` or `fail`.
        state: String,
        what: String,
        /// What puts it right, as argument lists.
        fix: Vec<Vec<String>>,
    }

    CancelView {
        work_item_id: ItemId,
        /// `cancelled` or `unchanged`.
        outcome: String,
        /// Attempts that were taken from their holders.
        released: Vec<AttemptId>,
    }

    /// `status` of everything.
    PortfolioView {
        items: Vec<PortfolioItem>,
        /// How many items fit, shown or not.
        total: usize,
        stopped: Vec<StoppedItem>,
    }

    /// One item of the portfolio.
    PortfolioItem {
        work_item_id: ItemId,
        title: String,
        status: String,
        flags: Vec<String>,
        steps_done: u32,
        steps_total: u32,
        workflow: String,
        ready: Vec<StepKey>,
        ready_count: u32,
        pending_gates: Vec<StepKey>,
        in_progress: Vec<HolderView>,
        waiting_since: Option<DateTime<Utc>>,
        registered_at: DateTime<Utc>,
        last_at: DateTime<Utc>,
        owner: Option<PrincipalId>,
        priority: Option<u32>,
        labels: Vec<String>,
        /// Where it lives on, when it was merged or closed.
        survivor: Option<ItemId>,
        open_blockers: u32,
    }

    /// Who holds what.
    HolderView {
        attempt_id: AttemptId,
        executor: ExecutorId,
        claimed_at: DateTime<Utc>,
    }

    /// An item that cannot be read.
    StoppedItem {
        work_item_id: ItemId,
        path: String,
        what: String,
    }

    /// `status ITEM`.
    ItemView {
        item: ItemReport,
    }

    /// `status ITEM --why-not STEP`.
    WhyNotView {
        work_item_id: ItemId,
        step_key: StepKey,
        state: String,
        facts: Vec<WhyNotFact>,
        /// The steps that open one after the other before this one.
        opens_when: Vec<StepKey>,
    }

    /// `status ITEM --impact STEP`.
    ImpactView {
        work_item_id: ItemId,
        step_key: StepKey,
        state: String,
        /// The steps right behind it.
        nearest: Vec<StepKey>,
        /// Every step that waits for it, directly or through others.
        behind: Vec<StepKey>,
        /// Those of them that are not done.
        open: Vec<StepKey>,
        /// Steps that share a constraint with it.
        shares: Vec<StepKey>,
        /// What going back to it would undo; empty where that cannot be.
        void: Vec<StepKey>,
        /// The attempts whose results would no longer count.
        void_attempts: Vec<AttemptId>,
        /// Void steps that somebody holds.
        held: Vec<StepKey>,
    }

    /// One fact that holds a step.
    WhyNotFact {
        rule: String,
        what: String,
        steps: Vec<StepKey>,
    }

    /// `verify`.
    VerifyView {
        /// `verified` or `violation` or `incomplete`.
        outcome: String,
        seals: u64,
        events: usize,
        definitions: usize,
        items: usize,
        commits: usize,
        commit: String,
        deep: bool,
        mark: Option<Mark>,
        findings: Vec<FindingView>,
        corrected: Vec<CorrectedView>,
        signatures: SignaturesView,
        stopped: Vec<ItemId>,
        /// Where it began, with `--since`: the counts above are of what came after.
        since: Option<SinceView>,
        not_seen: Vec<String>,
    }

    /// Where a verification began that did not look at everything.
    SinceView {
        mark: Mark,
        /// The commit that has it.
        commit: String,
        /// Seals up to it.
        seals: u64,
        /// Links to events of items that did not change since.
        links: usize,
    }

    /// What the signatures come to.
    SignaturesView {
        /// Every seal had to be signed.
        required: bool,
        /// The first key, and the seal that added it.
        root: Option<Fingerprint>,
        root_seal: Option<u64>,
        /// Seals before the first key's.
        before_first_key: u64,
        /// Seals with a signature that holds.
        signed: u64,
        /// Seals without one, from the first key's on.
        unsigned: u64,
        keys: Vec<SealsOfView>,
        doubted: Vec<DoubtedView>,
    }

    /// How many seals one key signed.
    SealsOfView {
        fingerprint: Fingerprint,
        principal: PrincipalId,
        role: String,
        seals: u64,
    }

    /// Seals that somebody else may have signed with a stolen key.
    DoubtedView {
        fingerprint: Fingerprint,
        principal: PrincipalId,
        first_seal: u64,
        last_seal: u64,
        seals: u64,
    }

    /// One violation.
    FindingView {
        class: String,
        path: Option<String>,
        work_item_id: Option<ItemId>,
        what: String,
        seal: Option<u64>,
        sealed: Option<Digest>,
        found: Option<Digest>,
        commit: Option<String>,
        pointer: Option<String>,
    }

    /// A file that was put right.
    CorrectedView {
        path: String,
        commit: String,
    }

    /// `correct`.
    CorrectView {
        /// `corrected` or `unchanged`.
        outcome: String,
        corrected: Vec<CorrectionView>,
    }

    /// One correction.
    CorrectionView {
        path: String,
        /// `restored`, `removed` or `rederived`.
        action: String,
        foreign_commit: Option<String>,
    }

    /// `key add`, `key revoke`.
    KeyChangeView {
        /// `added`, `revoked`, `unchanged` or `dry-run`.
        outcome: String,
        fingerprint: Option<Fingerprint>,
        /// Null where the key stands in the ledger already: `key list` has it.
        public_key: Option<SshKey>,
        principal: Option<PrincipalId>,
        role: Option<String>,
        not_after: Option<DateTime<Utc>>,
        /// The key the seal is signed with.
        signed_by: Option<Fingerprint>,
        commit: Option<String>,
    }

    /// `key list`.
    KeyListView {
        keys: Vec<KeyView>,
        /// The key this clone would sign with, where it can be found.
        own: Option<Fingerprint>,
        /// Whether this clone signs.
        signing: bool,
    }

    /// One key.
    KeyView {
        fingerprint: Fingerprint,
        public_key: SshKey,
        principal: PrincipalId,
        /// `owner`, `executor` or `collector`.
        role: String,
        /// `valid`, `expired` or `revoked`.
        state: String,
        not_after: Option<DateTime<Utc>>,
        added_seal: u64,
        added_at: DateTime<Utc>,
        added_by: PrincipalId,
        revoked_seal: Option<u64>,
        revoked_at: Option<DateTime<Utc>>,
        revoked_by: Option<PrincipalId>,
        reason: Option<String>,
        compromised_since: Option<u64>,
    }

    /// `policy set`, `policy unset`.
    PolicyChangeView {
        key: String,
        /// `set`, `unset` or `unchanged`.
        outcome: String,
        /// What is set; empty where nothing is.
        value: Vec<String>,
        /// What holds: what is set, else the default.
        in_force: Vec<String>,
        commit: Option<String>,
    }

    /// `policy show`.
    PolicyShowView {
        policies: Vec<PolicyView>,
    }

    /// One policy.
    PolicyView {
        key: String,
        /// What holds; empty means everybody (`integrate`) or nobody (a role).
        value: Vec<String>,
        /// Whether nobody has set it.
        default: bool,
        about: String,
        /// The words it takes, where they are few.
        choices: Vec<String>,
        last_change: Option<PolicyEntry>,
    }

    /// `policy log`.
    PolicyLogView {
        /// Oldest first.
        changes: Vec<PolicyEntry>,
    }

    /// One change of a policy.
    PolicyEntry {
        key: String,
        /// Empty: taken back.
        value: Vec<String>,
        at: DateTime<Utc>,
        by: PrincipalId,
        reason: String,
        impact: Option<String>,
        event_id: EventId,
    }

    /// `workflow show`.
    WorkflowView {
        name: String,
        version: u32,
        title: Option<String>,
        published: bool,
        steps: Vec<DryStepView>,
    }

    /// `workflow publish`.
    PublishView {
        name: WorkflowName,
        version: u32,
        sha256: Digest,
        /// `published`, `unchanged` or `dry-run`.
        outcome: String,
        /// What differs from the version before; null where this is the first.
        diff: Option<WorkflowDiff>,
        /// Open items on older versions.
        in_flight: Vec<InFlightView>,
        stopped: Vec<StoppedItem>,
        commit: Option<String>,
    }

    /// An open item on an older version.
    InFlightView {
        work_item_id: ItemId,
        version: u32,
        status: String,
    }

    /// `workflow retire`.
    RetireView {
        name: WorkflowName,
        version: u32,
        /// `retired` or `unchanged`.
        outcome: String,
        /// Open items on it; they go on.
        in_flight: Vec<ItemId>,
        stopped: Vec<StoppedItem>,
        commit: Option<String>,
    }

    /// `workflow list`.
    WorkflowListView {
        /// By name and version.
        versions: Vec<VersionView>,
        stopped: Vec<StoppedItem>,
    }

    /// One published version.
    VersionView {
        name: WorkflowName,
        version: u32,
        sha256: Digest,
        title: Option<String>,
        /// `in-use`, `not-yet`, `ended` or `retired`, for new items.
        state: String,
        published_at: DateTime<Utc>,
        published_by: PrincipalId,
        effective_from: Option<DateTime<Utc>>,
        effective_to: Option<DateTime<Utc>>,
        retired_at: Option<DateTime<Utc>>,
        retired_by: Option<PrincipalId>,
        items: usize,
        open: usize,
    }

    /// `workflow log`.
    WorkflowLogView {
        /// Oldest first.
        events: Vec<VersionEvent>,
    }

    /// A publication or a retirement.
    VersionEvent {
        name: WorkflowName,
        version: u32,
        /// `published` or `retired`.
        event: String,
        at: DateTime<Utc>,
        by: PrincipalId,
        /// Null where an item brought it.
        reason: Option<String>,
        impact: Option<String>,
        effective_from: Option<DateTime<Utc>>,
        effective_to: Option<DateTime<Utc>>,
        event_id: EventId,
    }

    /// `workflow diff`.
    WorkflowDiffView {
        diff: WorkflowDiff,
    }

    /// `workflow graph`.
    GraphView {
        mermaid: String,
    }

    /// `schema` without a name.
    SchemaListView {
        schemas: Vec<String>,
    }

    /// `config list`.
    ConfigView {
        settings: Vec<SettingView>,
    }

    /// One setting.
    SettingView {
        key: String,
        value: String,
        origin: String,
        variable: String,
    }

    /// `export --tree`.
    TreeView {
        dir: String,
        files: usize,
        commit: String,
    }

    /// `export --output`, `man --output`.
    FilesView {
        dir: String,
        files: Vec<String>,
    }

    /// `demo`.
    DemoView {
        dir: Option<String>,
        steps: usize,
        outcome: String,
    }

    /// `export`: everything, from the portfolio down to the artifacts.
    ExportView {
        /// The latest fact.
        generated_at: Option<DateTime<Utc>>,
        items: Vec<ExportItem>,
        workflows: Vec<Value>,
        ledger_events: Vec<Value>,
        stopped: Vec<StoppedItem>,
    }

    /// One item of an export.
    ExportItem {
        item: ItemReport,
        schedule: ScheduleDoc,
        /// The facts as handoff artifacts, by time, step order, key, attempt and id; what was
        /// decided from them is the schedule.
        artifacts: Vec<Value>,
    }

    /// `metrics`: the whole, and a row for each part that was asked for.
    MetricsView {
        /// What was known then; what has not ended runs to it. Null in a ledger without items.
        as_of: Option<DateTime<Utc>>,
        /// The first moment of the window; null for the beginning.
        since: Option<DateTime<Utc>>,
        /// The first moment after the window.
        before: Option<DateTime<Utc>>,
        /// `portfolio`, `workflow`, `item`, `step` or `attempt`: which of the lists is not null.
        by: String,
        total: Flow,
        series: Series,
        workflows: Option<Vec<WorkflowFlow>>,
        items: Option<Vec<ItemFlow>>,
        steps: Option<Vec<StepFlow>>,
        attempts: Option<Vec<AttemptFlow>>,
        stopped: Vec<StoppedItem>,
    }

    /// One line of `log --json`.
    LogView {
        schema: String,
        commit: Option<String>,
        #[schemars(with = "Value")]
        artifact: Box<RawValue>,
    }
}

/// The schemas of every `--json` answer, by the name of its file in `schemas/`.
#[must_use]
pub fn schemas() -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    macro_rules! add {
        ($($name:literal $view:ty,)*) => {
            $(all.insert(concat!("cli.", $name).to_owned(), crate::artifact::schema_of::<Document<$view>>());)*
        };
    }
    add! {
        "init" InitView,
        "delegate" DelegateView,
        "delegate-dry-run" DryRunView,
        "schedule" ScheduleView,
        "claim" ClaimView,
        "claim-nothing" NothingView,
        "brief" BriefView,
        "complete" CompleteView,
        "step" StepView,
        "gate" GateView,
        "rework" ReworkView,
        "integrate" IntegrateView,
        "revert" RevertView,
        "migration" MigrationView,
        "review" ReviewView,
        "review-list" ReviewListView,
        "blocker" BlockerView,
        "blocker-list" BlockerListView,
        "owner" OwnerView,
        "owner-show" OwnerShowView,
        "owners" OwnersView,
        "resume" ResumeView,
        "cancel" CancelView,
        "doctor" DoctorView,
        "preclaim" PreclaimView,
        "spool" SpoolView,
        "collect" CollectView,
        "sync" SyncView,
        "replay" ReplayView,
        "portfolio" PortfolioView,
        "status" ItemView,
        "why-not" WhyNotView,
        "impact" ImpactView,
        "verify" VerifyView,
        "correct" CorrectView,
        "key" KeyChangeView,
        "key-list" KeyListView,
        "policy" PolicyChangeView,
        "policy-show" PolicyShowView,
        "policy-log" PolicyLogView,
        "workflow" WorkflowView,
        "workflow-publish" PublishView,
        "workflow-retire" RetireView,
        "workflow-list" WorkflowListView,
        "workflow-log" WorkflowLogView,
        "workflow-diff" WorkflowDiffView,
        "graph" GraphView,
        "schema" SchemaListView,
        "config" ConfigView,
        "export-tree" TreeView,
        "export-files" FilesView,
        "man-files" FilesView,
        "demo" DemoView,
        "metrics" MetricsView,
    }
    all.insert("cli.matrix".into(), crate::artifact::schema_of::<MatrixView>());
    all.insert("cli.export".into(), crate::artifact::schema_of::<Document<ExportView>>());
    all.insert("cli.log".into(), crate::artifact::schema_of::<LogView>());
    all.insert("cli.refusal".into(), crate::artifact::schema_of::<RefusalDocument>());
    for (name, schema) in &mut all {
        if let Some(object) = schema.as_object_mut() {
            object.insert("$id".into(), json!(format!("urn:stepseal:schema:{name}:1")));
        }
    }
    all
}
