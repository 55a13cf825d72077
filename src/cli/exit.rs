//! Exit codes: a public promise, in one place (docs/exit-codes.md, pinned by a test).

/// How a command ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    Ok = 0,
    /// Nothing to do, where that matters: `claim --next`.
    Nothing = 1,
    /// Usage, or invalid input.
    Usage = 2,
    /// Credentials.
    Credentials = 3,
    /// Refused by a rule or policy.
    Refused = 4,
    NotFound = 5,
    /// Held, finished, lost race.
    Conflict = 6,
    Cancelled = 7,
    /// An outside service, program or agent failed.
    Outside = 8,
    /// A bug of stepseal, or a disk that fails.
    Internal = 9,
    /// The ledger is damaged or tampered with.
    Damaged = 10,
    /// It cannot be verified: data is missing.
    Incomplete = 11,
    /// Try again later, or the outcome is unknown.
    TryAgain = 75,
}

impl Exit {
    /// Every code.
    pub const ALL: [Self; 13] = [
        Self::Ok,
        Self::Nothing,
        Self::Usage,
        Self::Credentials,
        Self::Refused,
        Self::NotFound,
        Self::Conflict,
        Self::Cancelled,
        Self::Outside,
        Self::Internal,
        Self::Damaged,
        Self::Incomplete,
        Self::TryAgain,
    ];

    /// The number the process ends with.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The word of the `--json` contract.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Nothing => "nothing-to-do",
            Self::Usage => "usage",
            Self::Credentials => "credentials",
            Self::Refused => "refused",
            Self::NotFound => "not-found",
            Self::Conflict => "conflict",
            Self::Cancelled => "cancelled",
            Self::Outside => "outside",
            Self::Internal => "internal",
            Self::Damaged => "damaged",
            Self::Incomplete => "incomplete",
            Self::TryAgain => "try-again",
        }
    }
}
