//! The one word for where an item stands (D3), derived, never stored.

use serde::{Deserialize, Serialize};

use super::schedule::{Answer, Hold, Schedule};
use super::state::ItemState;
use super::transition::ItemPhase;

/// Item status, in the order in which the first that holds is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Status {
    Merged,
    Closed,
    Cancelled,
    Integrated,
    Completed,
    AwaitingReview,
    InProgress,
    Ready,
    AwaitingGate,
    NeedsRequeue,
    Blocked,
}

impl Status {
    /// Every status, in order of precedence.
    pub const ALL: [Self; 11] = [
        Self::Merged,
        Self::Closed,
        Self::Cancelled,
        Self::Integrated,
        Self::Completed,
        Self::AwaitingReview,
        Self::InProgress,
        Self::Ready,
        Self::AwaitingGate,
        Self::NeedsRequeue,
        Self::Blocked,
    ];

    /// Whether nothing more is to be done about the item.
    #[must_use]
    pub fn is_over(self) -> bool {
        matches!(
            self,
            Self::Merged | Self::Closed | Self::Cancelled | Self::Integrated | Self::Completed
        )
    }

    /// The word in files and views.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Merged => "merged",
            Self::Closed => "closed",
            Self::Cancelled => "cancelled",
            Self::Integrated => "integrated",
            Self::Completed => "completed",
            Self::AwaitingReview => "awaiting-review",
            Self::InProgress => "in-progress",
            Self::Ready => "ready",
            Self::AwaitingGate => "awaiting-gate",
            Self::NeedsRequeue => "needs-requeue",
            Self::Blocked => "blocked",
        }
    }
}

/// Everything that holds of an item, the status first, then the flags (D3).
///
/// An item nothing else can be said of waits for something outside: it is blocked.
#[must_use]
pub fn statuses(item: &ItemState, schedule: &Schedule) -> Vec<Status> {
    let any = |test: fn(&Answer) -> bool| schedule.answers.iter().any(test);
    let holds = |status: &Status| match status {
        Status::Merged => item.phase == ItemPhase::Merged,
        Status::Closed => item.phase == ItemPhase::Closed,
        Status::Cancelled => item.phase == ItemPhase::Cancelled,
        Status::Integrated => item.phase == ItemPhase::Integrated,
        Status::Completed => schedule.done.iter().all(|done| *done),
        Status::AwaitingReview => item.phase == ItemPhase::Active && item.review.flagged.is_some(),
        Status::InProgress => any(|a| matches!(a, Answer::InProgress(_))),
        Status::Ready => any(|a| matches!(a, Answer::Ready { .. })),
        Status::AwaitingGate => any(|a| matches!(a, Answer::PendingGate(_))),
        Status::NeedsRequeue => any(|a| matches!(a, Answer::NeedsRequeue { .. })),
        Status::Blocked => any(|a| {
            matches!(a, Answer::Held { hold: Hold::Blockers(_) | Hold::Constraint { .. }, .. })
        }),
    };
    let found: Vec<Status> = Status::ALL.into_iter().filter(holds).collect();
    if found.is_empty() { vec![Status::Blocked] } else { found }
}
