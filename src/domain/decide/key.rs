//! Adding and revoking signing keys: what can be judged from who asks. What only a signature
//! proves is judged where the seal is made, and again by every reader ([`Keyring::judge`]).

use chrono::{DateTime, Utc};

use super::{Decided, Unchanged, answered, ledger_fact, link, outcome, text};
use crate::domain::event::{ActorKeyAdded, ActorKeyRevoked, EventData, KeyRole, Link};
use crate::domain::id::{Fingerprint, PrincipalId, SshKey};
use crate::domain::keys::{Key, Keyring, Standing};
use crate::domain::moment::Moment;
use crate::domain::refusal::Refusal;
use crate::domain::state::LedgerState;

/// What somebody asks of the keys.
#[derive(Debug, Clone)]
pub enum KeyAsk {
    Add(AddKey),
    Revoke(RevokeKey),
}

/// Lets a key count from here on.
#[derive(Debug, Clone)]
pub struct AddKey {
    pub fingerprint: Fingerprint,
    pub public_key: SshKey,
    pub principal: PrincipalId,
    pub role: KeyRole,
    pub not_after: Option<DateTime<Utc>>,
    pub reason: String,
}

/// Lets a key no longer count from here on.
#[derive(Debug, Clone)]
pub struct RevokeKey {
    /// A fingerprint, or the beginning of one.
    pub key: String,
    pub reason: String,
    pub compromised_since: Option<u64>,
}

/// All that a rule about keys may read.
#[derive(Debug, Clone, Copy)]
pub struct KeyWorld<'a> {
    pub ledger: &'a LedgerState,
    pub keys: &'a Keyring,
    /// The last seal so far.
    pub seal: u64,
}

/// Judges an ask about keys.
///
/// # Errors
/// The refusal, with its facts.
pub fn decide_key(world: KeyWorld<'_>, ask: &KeyAsk, moment: &Moment) -> Result<Decided, Refusal> {
    if let Some(request) = &moment.request
        && let Some(seen) = world.ledger.requests.get(&request.id)
    {
        // The key of then, also where the file that was named holds another one by now.
        let then = world.keys.changed_by(seen.event).cloned();
        return Ok(match (answered(seen, &request.id, moment)?, then, ask) {
            (_, Some(fingerprint), KeyAsk::Add(_)) => {
                Decided::Unchanged(Unchanged::KeyAdded { fingerprint })
            }
            (_, Some(fingerprint), KeyAsk::Revoke(_)) => {
                Decided::Unchanged(Unchanged::KeyRevoked { fingerprint })
            }
            (answer, None, _) => answer,
        });
    }
    match ask {
        KeyAsk::Add(ask) => add(world.keys, ask, moment),
        KeyAsk::Revoke(ask) => revoke(world, ask, moment),
    }
}

fn add(keys: &Keyring, ask: &AddKey, moment: &Moment) -> Result<Decided, Refusal> {
    text("the reason", &ask.reason)?;
    if let Some(known) = keys.get(&ask.fingerprint) {
        return again(known, ask);
    }
    if keys.is_empty() {
        let no = |why| Err(Refusal::FirstKey { fingerprint: ask.fingerprint.clone(), why });
        if ask.role != KeyRole::Owner {
            return no("it must be an owner's");
        }
        if ask.not_after.is_some() {
            return no("it must have no end");
        }
        if ask.principal != moment.actor.principal {
            return no("it must be added by the one it speaks for");
        }
    } else {
        owner(keys, moment)?;
    }
    if ask.not_after.is_some_and(|until| until <= moment.now()) {
        return Err(Refusal::Invalid("the key's end is past already".into()));
    }
    let summary = format!("{} for {} as {}", ask.fingerprint, ask.principal, ask.role.word());
    let data = EventData::ActorKeyAdded(ActorKeyAdded {
        fingerprint: ask.fingerprint.clone(),
        public_key: ask.public_key.clone(),
        principal: ask.principal.clone(),
        role: ask.role,
        not_after: ask.not_after,
        reason: ask.reason.clone(),
    });
    Ok(fact("key-added", summary, "sign seals with it", Vec::new(), data, moment))
}

/// A key is added once, for one principal in one role.
fn again(known: &Key, ask: &AddKey) -> Result<Decided, Refusal> {
    let fingerprint = ask.fingerprint.clone();
    if let Some(revoked) = &known.revoked {
        return Err(Refusal::KeyGone { fingerprint, seal: revoked.place.seal });
    }
    let same = known.principal == ask.principal
        && known.role == ask.role
        && known.not_after == ask.not_after;
    if same {
        return Ok(Decided::Unchanged(Unchanged::KeyAdded { fingerprint }));
    }
    Err(Refusal::KeyTaken {
        fingerprint,
        principal: known.principal.clone(),
        role: known.role,
        not_after: known.not_after,
    })
}

fn revoke(world: KeyWorld<'_>, ask: &RevokeKey, moment: &Moment) -> Result<Decided, Refusal> {
    text("the reason", &ask.reason)?;
    let (fingerprint, key) = named(world.keys, &ask.key)?;
    if key.revoked.is_some() {
        let fingerprint = fingerprint.clone();
        return Ok(Decided::Unchanged(Unchanged::KeyRevoked { fingerprint }));
    }
    if world.keys.is_last_owner(fingerprint) {
        return Err(Refusal::LastOwner { fingerprint: fingerprint.clone() });
    }
    // One's own key may always be given up; that it is one's own the signature shows.
    if key.principal != moment.actor.principal {
        owner(world.keys, moment)?;
    }
    if let Some(since) = ask.compromised_since {
        let (first, last) = (key.added.seal, world.seal);
        if !(first..=last).contains(&since) {
            return Err(Refusal::Invalid(format!(
                "{since} is no seal this key could have signed; they are {first} to {last}"
            )));
        }
    }
    let summary = format!("{fingerprint} of {}", key.principal);
    let data = EventData::ActorKeyRevoked(ActorKeyRevoked {
        fingerprint: fingerprint.clone(),
        reason: ask.reason.clone(),
        compromised_since: ask.compromised_since,
    });
    let links = vec![link("key", &key.added.event)];
    Ok(fact("key-revoked", summary, "sign with another key", links, data, moment))
}

/// The key that a fingerprint, or the beginning of one, means.
fn named<'a>(keys: &'a Keyring, given: &str) -> Result<(&'a Fingerprint, &'a Key), Refusal> {
    let start = given.strip_prefix("SHA256:").unwrap_or(given);
    let mut found = keys.all().filter(|(fingerprint, _)| {
        !start.is_empty() && fingerprint.as_str()["SHA256:".len()..].starts_with(start)
    });
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        (Some(one), Some(two)) => Err(Refusal::AmbiguousKey {
            given: given.to_owned(),
            matches: [one, two]
                .into_iter()
                .chain(found)
                .map(|(fingerprint, _)| fingerprint.clone())
                .collect(),
        }),
        (None, _) => Err(Refusal::UnknownKey { given: given.to_owned() }),
    }
}

/// Refuses when the asker's principal has no owner's key that counts now.
fn owner(keys: &Keyring, moment: &Moment) -> Result<(), Refusal> {
    let owners: Vec<&PrincipalId> = keys
        .all()
        .filter(|(_, key)| {
            key.role == KeyRole::Owner && keys.standing(key, moment.now()) == Standing::Valid
        })
        .map(|(_, key)| &key.principal)
        .collect();
    if owners.contains(&&moment.actor.principal) {
        return Ok(());
    }
    let mut owners: Vec<PrincipalId> = owners.into_iter().cloned().collect();
    owners.sort();
    owners.dedup();
    Err(Refusal::NotOwner { principal: moment.actor.principal.clone(), owners })
}

fn fact(
    status: &str,
    summary: String,
    next_action: &str,
    links: Vec<Link>,
    data: EventData,
    moment: &Moment,
) -> Decided {
    let outcome = outcome(status, summary);
    Decided::Facts(vec![ledger_fact(None, outcome, next_action, links, data, moment)])
}
