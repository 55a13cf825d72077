//! Time, identity and chance, as one argument: the only way they enter a rule.

use chrono::{DateTime, SubsecRound as _, Utc};
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
        Self { now: now.trunc_subsecs(3), seed, actor, request: None, code: None }
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
