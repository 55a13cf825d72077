//! Signing keys and what each may seal (L5). A key counts by its place in the ledger: what a seal
//! may be signed with follows from the seals before it, never from a clock.
//!
//! What is not here: cryptography. Whether bytes are signed by a key is for `artifact` to say.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::event::{ActorKeyAdded, ActorKeyRevoked, Event, EventData, KeyRole};
use super::id::{Digest, EventId, Fingerprint, PrincipalId, SshKey};
use super::state::{EventRef, is_system};

/// One key of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Key {
    pub public_key: SshKey,
    pub principal: PrincipalId,
    pub role: KeyRole,
    pub not_after: Option<DateTime<Utc>>,
    pub added: Place,
    pub revoked: Option<Revocation>,
}

/// Where in the ledger something became so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Place {
    pub seal: u64,
    pub at: DateTime<Utc>,
    pub by: PrincipalId,
    pub event: EventRef,
}

/// The end of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Revocation {
    pub place: Place,
    pub reason: String,
    pub compromised_since: Option<u64>,
}

/// Where a key stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Valid,
    Expired,
    Revoked,
}

impl Standing {
    /// The word in answers.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

/// The keys after some seal, and how far the ledger's own time has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Keyring {
    keys: BTreeMap<Fingerprint, Key>,
    /// The highest timestamp of any seal from the first key's on: a key past its end stays so,
    /// however a later seal is dated.
    latest: Option<DateTime<Utc>>,
}

/// A fact as far as signatures concern it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    pub principal: PrincipalId,
    pub event: EventRef,
    pub at: DateTime<Utc>,
    pub key: Option<KeyFact>,
}

/// What a fact does to the keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyFact {
    Added(ActorKeyAdded),
    Revoked(ActorKeyRevoked),
}

impl Fact {
    /// What signatures must know of an event; decisions are nobody's, so none of them.
    #[must_use]
    pub fn of(event: &Event, sha256: &Digest) -> Option<Self> {
        if is_system(&event.actor) {
            return None;
        }
        let key = if let EventData::ActorKeyAdded(data) = &event.data {
            Some(KeyFact::Added(data.clone()))
        } else if let EventData::ActorKeyRevoked(data) = &event.data {
            Some(KeyFact::Revoked(data.clone()))
        } else {
            None
        };
        Some(Self {
            principal: event.actor.principal.clone(),
            event: EventRef { id: event.id, sha256: sha256.clone() },
            at: event.timestamp,
            key,
        })
    }
}

/// What a seal says, as far as its signature is judged by it.
#[derive(Debug, Clone, Copy)]
pub struct Said<'a> {
    pub seal: u64,
    pub timestamp: DateTime<Utc>,
    pub signed_by: Option<&'a Fingerprint>,
    pub facts: &'a [Fact],
}

/// Why a seal may not be signed as it says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    #[error("it changes the keys and is not signed")]
    Unsigned,
    #[error("{key} is no key of this ledger")]
    Unknown { key: Fingerprint },
    #[error("{key} was revoked by seal {seal}")]
    Revoked { key: Fingerprint, seal: u64 },
    #[error("{key} counted until {}, and the ledger has come to {}", stamp(.until), stamp(.now))]
    Expired { key: Fingerprint, until: DateTime<Utc>, now: DateTime<Utc> },
    #[error("{key} speaks for {principal}, not for {other}")]
    OtherPrincipal { key: Fingerprint, principal: PrincipalId, other: PrincipalId },
    #[error("{key} has the role {}, and only an owner's key adds and revokes keys", role.word())]
    NotOwner { key: Fingerprint, role: KeyRole },
    #[error("{key} is not what the first key must be: {why}")]
    NotFirst { key: Fingerprint, why: &'static str },
    #[error("{key} {why}")]
    Impossible { key: Fingerprint, why: &'static str },
}

fn stamp(at: &DateTime<Utc>) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)
}

/// The words for a ledger that would be left without a key that can add keys for ever.
pub(super) const LAST_OWNER: &str = "is the last owner's key without an end";

impl Keyring {
    /// Whether no key was ever added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Every key there ever was.
    pub fn all(&self) -> impl Iterator<Item = (&Fingerprint, &Key)> {
        self.keys.iter()
    }

    /// A key by its fingerprint.
    #[must_use]
    pub fn get(&self, key: &Fingerprint) -> Option<&Key> {
        self.keys.get(key)
    }

    /// The key that an event added or revoked.
    #[must_use]
    pub fn changed_by(&self, event: EventId) -> Option<&Fingerprint> {
        self.keys
            .iter()
            .find(|(_, key)| {
                let revoked = key.revoked.as_ref().map(|revoked| &revoked.place);
                [Some(&key.added), revoked].into_iter().flatten().any(|p| p.event.id == event)
            })
            .map(|(fingerprint, _)| fingerprint)
    }

    /// The key everything else rests on, and the seal that added it.
    #[must_use]
    pub fn root(&self) -> Option<(&Fingerprint, &Key)> {
        self.keys.iter().min_by_key(|(_, key)| key.added.seal)
    }

    /// Where a key stands at a time, for people: its end may be past although no seal is yet.
    #[must_use]
    pub fn standing(&self, key: &Key, now: DateTime<Utc>) -> Standing {
        let now = self.latest.map_or(now, |latest| latest.max(now));
        match (&key.revoked, key.not_after) {
            (Some(_), _) => Standing::Revoked,
            (None, Some(until)) if now > until => Standing::Expired,
            (None, _) => Standing::Valid,
        }
    }

    /// Whether a key would be the last one that can add keys for ever: there must always be one,
    /// or one seal dated too far ahead could lock everybody out.
    #[must_use]
    pub fn is_last_owner(&self, fingerprint: &Fingerprint) -> bool {
        let lasting = |key: &Key| {
            key.role == KeyRole::Owner && key.not_after.is_none() && key.revoked.is_none()
        };
        self.get(fingerprint).is_some_and(lasting)
            && self.keys.values().filter(|key| lasting(key)).count() == 1
    }

    /// Judges what a seal says on the keys before it.
    ///
    /// Answers with the key its signature must be of; nothing for a seal that may go unsigned.
    ///
    /// # Errors
    /// Why that key may not seal this.
    pub fn judge(&self, said: Said<'_>) -> Result<Option<SshKey>, Unfit> {
        let changes = || said.facts.iter().filter(|fact| fact.key.is_some());
        let Some(signer) = said.signed_by else {
            return if changes().next().is_none() { Ok(None) } else { Err(Unfit::Unsigned) };
        };
        if self.is_empty() {
            return first(signer, said.facts).map(Some);
        }
        let key = self.get(signer).ok_or_else(|| Unfit::Unknown { key: signer.clone() })?;
        if let Some(revoked) = &key.revoked {
            return Err(Unfit::Revoked { key: signer.clone(), seal: revoked.place.seal });
        }
        let now = self.latest.map_or(said.timestamp, |latest| latest.max(said.timestamp));
        if let Some(until) = key.not_after.filter(|until| now > *until) {
            return Err(Unfit::Expired { key: signer.clone(), until, now });
        }
        for fact in said.facts {
            let own = match &fact.key {
                Some(KeyFact::Revoked(data)) => data.fingerprint == *signer,
                Some(KeyFact::Added(_)) | None => false,
            };
            if fact.key.is_some() && key.role != KeyRole::Owner && !own {
                return Err(Unfit::NotOwner { key: signer.clone(), role: key.role });
            }
            // Who changes the keys is always proven, also by an owner who may seal for others.
            let bound = fact.key.is_some() || key.role == KeyRole::Executor;
            if bound && fact.principal != key.principal {
                return Err(Unfit::OtherPrincipal {
                    key: signer.clone(),
                    principal: key.principal.clone(),
                    other: fact.principal.clone(),
                });
            }
        }
        let mut after = self.clone();
        for fact in changes() {
            after.change(said.seal, fact)?;
        }
        Ok(Some(key.public_key.clone()))
    }

    /// Moves past a seal that was judged fit.
    pub fn take(&mut self, seal: u64, timestamp: DateTime<Utc>, facts: &[Fact]) {
        for fact in facts {
            // Judged before: a change that is impossible is not here.
            drop(self.change(seal, fact));
        }
        if !self.is_empty() {
            self.latest = Some(self.latest.map_or(timestamp, |latest| latest.max(timestamp)));
        }
    }

    /// Adds or revokes one key.
    fn change(&mut self, seal: u64, fact: &Fact) -> Result<(), Unfit> {
        let place =
            || Place { seal, at: fact.at, by: fact.principal.clone(), event: fact.event.clone() };
        match &fact.key {
            None => {}
            Some(KeyFact::Added(data)) => {
                let key = data.fingerprint.clone();
                if self.keys.contains_key(&key) {
                    return Err(Unfit::Impossible { key, why: "was added before" });
                }
                let added = Key {
                    public_key: data.public_key.clone(),
                    principal: data.principal.clone(),
                    role: data.role,
                    not_after: data.not_after,
                    added: place(),
                    revoked: None,
                };
                self.keys.insert(key, added);
            }
            Some(KeyFact::Revoked(data)) => {
                let key = data.fingerprint.clone();
                if self.is_last_owner(&key) {
                    return Err(Unfit::Impossible { key, why: LAST_OWNER });
                }
                match self.keys.get_mut(&key) {
                    Some(known) if known.revoked.is_none() => {
                        known.revoked = Some(Revocation {
                            place: place(),
                            reason: data.reason.clone(),
                            compromised_since: data.compromised_since,
                        });
                    }
                    Some(_) => {
                        return Err(Unfit::Impossible { key, why: "was revoked before" });
                    }
                    None => return Err(Unfit::Unknown { key }),
                }
            }
        }
        Ok(())
    }
}

/// The first key stands for itself: an owner's, for ever, alone, and the seal is signed with it.
fn first(signer: &Fingerprint, facts: &[Fact]) -> Result<SshKey, Unfit> {
    let mut added = facts.iter().filter_map(|fact| Some((fact, fact.key.as_ref()?)));
    let no = |why| Err(Unfit::NotFirst { key: signer.clone(), why });
    match (added.next(), added.next()) {
        (None, _) => Err(Unfit::Unknown { key: signer.clone() }),
        (Some(_), Some(_)) => no("its seal changes another key too"),
        (Some((_, KeyFact::Revoked(_))), None) => no("there is none yet to revoke"),
        (Some((fact, KeyFact::Added(data))), None) => {
            if data.fingerprint != *signer {
                return no("its seal is signed with another key");
            }
            if data.role != KeyRole::Owner {
                return no("it is not an owner's");
            }
            if data.not_after.is_some() {
                return no("it has an end");
            }
            if data.principal != fact.principal {
                return no("somebody else adds it");
            }
            Ok(data.public_key.clone())
        }
    }
}
