//! The transition tables (D2): which event is legal in which phase. `docs/transitions.md` prints
//! them; the tests hold a second, independent copy.

use serde::{Deserialize, Serialize};

use super::event::EventKind;

/// Where an attempt stands. `Absent` is before it exists; every end is terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum AttemptPhase {
    Absent,
    Queued,
    Claimed,
    Completed,
    Failed,
    Rejected,
    Released,
    Lapsed,
    Withdrawn,
    Approved,
}

impl AttemptPhase {
    /// Every phase, in the order of the table.
    pub const ALL: [Self; 10] = [
        Self::Absent,
        Self::Queued,
        Self::Claimed,
        Self::Completed,
        Self::Failed,
        Self::Rejected,
        Self::Released,
        Self::Lapsed,
        Self::Withdrawn,
        Self::Approved,
    ];

    /// The word people and files use.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Queued => "queued",
            Self::Claimed => "claimed",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Rejected => "rejected",
            Self::Released => "released",
            Self::Lapsed => "lapsed",
            Self::Withdrawn => "withdrawn",
            Self::Approved => "approved",
        }
    }

    /// Whether nothing can happen to the attempt any more.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        !matches!(self, Self::Absent | Self::Queued | Self::Claimed)
    }
}

/// Where an item stands as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ItemPhase {
    Absent,
    Active,
    Integrated,
    Merged,
    Closed,
    Cancelled,
}

impl ItemPhase {
    /// Every phase, in the order of the table.
    pub const ALL: [Self; 6] =
        [Self::Absent, Self::Active, Self::Integrated, Self::Merged, Self::Closed, Self::Cancelled];

    /// The word people and files use.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Active => "active",
            Self::Integrated => "integrated",
            Self::Merged => "merged",
            Self::Closed => "closed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Whether an attempt belongs to a step somebody works on or to a gate people decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    Work,
    Gate,
}

/// The phase an attempt enters when an event happens to it; `None` when it may not happen.
///
/// `decided` tells a gate approval that completes the quorum from one that does not yet.
#[must_use]
pub fn attempt_after(
    lane: Lane,
    phase: AttemptPhase,
    event: EventKind,
    decided: bool,
) -> Option<AttemptPhase> {
    use AttemptPhase as P;
    use EventKind as E;
    match (event, lane, phase) {
        // Both open an attempt: the decision the first of a round, the requeue a further one.
        (E::ScheduleDecided, Lane::Work | Lane::Gate, P::Absent)
        | (E::AttemptRequeued, Lane::Work, P::Absent) => Some(P::Queued),
        (E::AttemptClaimed, Lane::Work, P::Queued) => Some(P::Claimed),
        (E::AttemptCompleted, Lane::Work, P::Claimed) => Some(P::Completed),
        (E::AttemptFailed, Lane::Work, P::Claimed) => Some(P::Failed),
        (E::AttemptRejected, Lane::Work, P::Claimed) => Some(P::Rejected),
        (E::ClaimReleased, Lane::Work, P::Claimed) => Some(P::Released),
        (E::ClaimLapsed, Lane::Work, P::Claimed) => Some(P::Lapsed),
        (E::AttemptWithdrawn, Lane::Work | Lane::Gate, P::Queued) => Some(P::Withdrawn),
        (E::GateApproved, Lane::Gate, P::Queued) => {
            Some(if decided { P::Approved } else { P::Queued })
        }
        (E::GateRejected, Lane::Gate, P::Queued) => Some(P::Rejected),
        _ => None,
    }
}

/// The phase an item enters when an event happens to it; `None` when it may not happen.
///
/// Ledger events concern no item and are never legal here.
#[must_use]
pub fn item_after(phase: ItemPhase, event: EventKind) -> Option<ItemPhase> {
    use EventKind as E;
    use ItemPhase as P;
    match event {
        E::WorkItemRegistered => (phase == P::Absent).then_some(P::Active),
        // What people may always note on an item that exists.
        E::ItemEdited
        | E::ReviewLinked
        | E::OwnerTransferred
        | E::CorrectionRecorded
        | E::HandoffQuarantined => (phase != P::Absent).then_some(phase),
        // What moves work: only while the item is active.
        E::ReviewFlagged
        | E::ReviewCleared
        | E::BlockerDeclared
        | E::WorkItemResumed
        | E::WorkItemMigrated
        | E::MigrationRolledBack
        | E::ScheduleDecided
        | E::AttemptRequeued
        | E::AttemptClaimed
        | E::AttemptCompleted
        | E::AttemptFailed
        | E::AttemptRejected
        | E::ClaimReleased
        | E::ClaimLapsed
        | E::AttemptWithdrawn
        | E::StepSkipped
        | E::GateApproved
        | E::GateRejected
        | E::ReworkRequested => (phase == P::Active).then_some(phase),
        // What was in the way can go once the outputs count, and time must not run on for it.
        E::BlockerResolved => matches!(phase, P::Active | P::Integrated).then_some(phase),
        E::ReviewMerged => (phase == P::Active).then_some(P::Merged),
        E::ReviewClosed => (phase == P::Active).then_some(P::Closed),
        E::WorkItemCancelled => (phase == P::Active).then_some(P::Cancelled),
        E::BaselineIntegration => (phase == P::Active).then_some(P::Integrated),
        E::ReviewOverturned => matches!(phase, P::Merged | P::Closed).then_some(P::Active),
        E::BaselineReverted => (phase == P::Integrated).then_some(P::Active),
        E::WorkflowPublished
        | E::WorkflowRetired
        | E::PolicyChanged
        | E::ActorKeyAdded
        | E::ActorKeyRevoked => None,
    }
}
