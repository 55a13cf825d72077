//! Time, identity and chance, as one argument: the only way they enter a rule.

use chrono::{DateTime, Datelike as _, SubsecRound as _, Utc};
use serde::{Deserialize as _, Deserializer, de::Error as _};
use uuid::Uuid;

use super::event::{Actor, CodeSeen, Request};
use super::id::{ClaimId, Digest, EventId};

/// The one moment of a command: made once at the front door, the same through every retry.
#[derive(Debug, Clone)]
pub struct Moment {
    now: DateTime<Utc>,
    seed: [u8; 32],
    pub actor: Actor,
    /// The caller's idempotency key (R1).
    pub request: Option<Request>,
    /// The code the command saw, where there is a work tree and it was asked for (K4).
    pub code: Option<CodeSeen>,
}

impl Moment {
    /// Fixes the time (to the millisecond, as artifacts write it), the chance and the identity.
    #[must_use]
    pub fn new(now: DateTime<Utc>, seed: [u8; 32], actor: Actor) -> Self {
        // A leap second becomes the second after it, as on every clock that has none.
        let now = DateTime::from_timestamp_millis(now.timestamp_millis())
            .unwrap_or_else(|| now.trunc_subsecs(3));
        Self { now, seed, actor, request: None, code: None }
    }

    /// The same moment for another of the executors a command acts for: their events and claims
    /// have ids of their own.
    #[must_use]
    pub fn of(&self, index: usize, actor: Actor) -> Self {
        let seed = Digest::of_parts(&[&self.seed, b"executor", &(index as u64).to_be_bytes()]);
        Self { seed: seed.to_bytes(), actor, ..self.clone() }
    }

    /// The time of everything this command records.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.now
    }

    /// The id of the `index`th event of this command: uuid v7 of the time and the seed.
    #[must_use]
    pub fn event_id(&self, index: usize) -> EventId {
        EventId::new(self.uuid(b"event", index))
    }

    /// The id of the claim of this command.
    #[must_use]
    pub fn claim_id(&self) -> ClaimId {
        ClaimId::new(self.uuid(b"claim", 0))
    }

    fn uuid(&self, what: &[u8], index: usize) -> Uuid {
        let digest =
            Digest::of_parts(&[&self.seed, what, &(index as u64).to_be_bytes()]).to_bytes();
        let mut random = [0; 10];
        random.copy_from_slice(&digest[..10]);
        let millis = u64::try_from(self.now.timestamp_millis()).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    }
}

/// Tells whether artifacts can say a time: four digits of year, and no sixtieth second. Beyond
/// that other readers of RFC 3339 know none.
pub(super) fn is_sayable(at: &DateTime<Utc>) -> bool {
    (0..=9999).contains(&at.year()) && at.timestamp_subsec_nanos() < 1_000_000_000
}

const UNSAYABLE: &str = "a leap second, or a year without four digits, is no time of an artifact";

/// Reads a time of an artifact.
///
/// # Errors
/// Those of the reader, a leap second, or a year that has not four digits.
pub fn read_time<'de, D: Deserializer<'de>>(input: D) -> Result<DateTime<Utc>, D::Error> {
    let at = DateTime::deserialize(input)?;
    if is_sayable(&at) { Ok(at) } else { Err(D::Error::custom(UNSAYABLE)) }
}

/// Reads a time of an artifact that may be null.
///
/// # Errors
/// As [`read_time`].
pub fn read_time_or_null<'de, D: Deserializer<'de>>(
    input: D,
) -> Result<Option<DateTime<Utc>>, D::Error> {
    let at = Option::<DateTime<Utc>>::deserialize(input)?;
    if at.as_ref().is_none_or(is_sayable) { Ok(at) } else { Err(D::Error::custom(UNSAYABLE)) }
}
