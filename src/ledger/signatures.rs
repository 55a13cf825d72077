//! The signatures beside seals (L5): each judged on the keys before it, as it arrives and in
//! `verify`. Who may seal what is the rules' ([`Keyring::judge`]); whether bytes are signed is the
//! paper's (`check_signature`).

use std::collections::{BTreeMap, BTreeSet};

use git2::Oid;

use super::error::LedgerError;
use super::seen::seal_at;
use super::store::Store;
use super::tree;
use super::verify::Class;
use crate::artifact::{self, HANDOFF, LEDGER_FOLDER, Seal, check_signature};
use crate::domain::event::{EventKind, KeyRole};
use crate::domain::id::{Digest, Fingerprint, PrincipalId, SshKey};
use crate::domain::keys::{Fact, Keyring, Said, Unfit};

/// What is wrong with the signature of one seal.
#[derive(Debug, Clone)]
pub(super) struct Wrong {
    pub class: Class,
    pub what: String,
}

impl From<Unfit> for Wrong {
    fn from(unfit: Unfit) -> Self {
        let class = match &unfit {
            Unfit::Unsigned => Class::Unsigned,
            Unfit::Unknown { .. } => Class::UnknownKey,
            Unfit::Revoked { .. } => Class::RevokedKey,
            Unfit::Expired { .. } => Class::ExpiredKey,
            Unfit::OtherPrincipal { .. } | Unfit::NotOwner { .. } | Unfit::NotFirst { .. } => {
                Class::NotEntitled
            }
            Unfit::Impossible { .. } => Class::IllegalTransition,
        };
        Self { class, what: unfit.to_string() }
    }
}

/// Judges one seal and the signature beside it.
pub(super) fn judge(
    keys: &Keyring,
    seal: &Seal,
    bytes: &[u8],
    signature: Option<&[u8]>,
    facts: &[Fact],
) -> Result<(), Wrong> {
    match (asked(keys, seal, signature.is_some(), facts)?, signature) {
        (Some(key), Some(signature)) => checked(signature, &key, bytes),
        _ => Ok(()),
    }
}

/// Whether a signature that was put back can be the one that was there: it is over its seal. Which
/// key may seal what was judged when the seal came, and of a key that never counted `verify` says.
pub(super) fn can_be(keys: &Keyring, seal: &Seal, bytes: &[u8], signature: Option<&[u8]>) -> bool {
    match (&seal.signed_by, signature) {
        (None, signature) => signature.is_none(),
        (Some(_), None) => false,
        (Some(by), Some(signature)) => keys
            .get(by)
            .is_none_or(|key| check_signature(signature, &key.public_key, bytes).is_ok()),
    }
}

/// The key a seal's signature must be of, where it has and needs one.
fn asked(
    keys: &Keyring,
    seal: &Seal,
    there: bool,
    facts: &[Fact],
) -> Result<Option<SshKey>, Wrong> {
    let key = keys.judge(Said {
        seal: seal.seq,
        timestamp: seal.timestamp,
        signed_by: seal.signed_by.as_ref(),
        facts,
    })?;
    match (&key, there) {
        (Some(_), false) => Err(Wrong {
            class: Class::Deleted,
            what: format!("seal {} says it is signed, and the signature is gone", seal.seq),
        }),
        (None, true) => Err(Wrong {
            class: Class::Unsealed,
            what: format!("seal {} does not say it is signed", seal.seq),
        }),
        _ => Ok(key),
    }
}

fn checked(signature: &[u8], key: &SshKey, bytes: &[u8]) -> Result<(), Wrong> {
    check_signature(signature, key, bytes)
        .map_err(|bad| Wrong { class: Class::BadSignature, what: bad.to_string() })
}

/// The keys after a seal that is trusted as it stands: what the sealed events up to it say.
pub(super) fn keys_at(store: &Store, root: Oid, last: u64) -> Result<Keyring, LedgerError> {
    // As they stand: a file that is missing or too many stops nothing here.
    let mut wanted: BTreeSet<String> =
        tree::files(store, root, &format!("{HANDOFF}/{LEDGER_FOLDER}"))?
            .into_keys()
            .filter(|path| changes_keys(path))
            .collect();
    let mut seals = Vec::new();
    let mut seq = last;
    while !wanted.is_empty() && seq > 0 {
        let (seal, _) = seal_at(store, root, seq)?;
        for file in &seal.artifacts {
            wanted.remove(&file.path);
        }
        seals.push(seal);
        seq -= 1;
    }
    let mut keys = Keyring::default();
    for seal in seals.iter().rev() {
        let mut facts = Vec::new();
        for file in seal.artifacts.iter().filter(|file| changes_keys(&file.path)) {
            // One that is not as sealed is for `verify` to name: its key does not count here.
            if let Some(bytes) = tree::file(store, root, &file.path)?
                && Digest::of(&bytes) == file.sha256
                && let Ok(event) = artifact::decode_event(&bytes)
            {
                facts.extend(Fact::of(&event, &file.sha256));
            }
        }
        keys.take(seal.seq, seal.timestamp, &facts);
    }
    Ok(keys)
}

/// Whether an event's file name says that it changes the keys.
fn changes_keys(name: &str) -> bool {
    [EventKind::ActorKeyAdded, EventKind::ActorKeyRevoked]
        .iter()
        .any(|kind| name.ends_with(&format!("-{}.json", kind.name())))
}

/// What `verify` says of signatures.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signatures {
    /// The first key, and the seal that added it.
    pub root: Option<(Fingerprint, u64)>,
    /// Seals with a signature that holds.
    pub signed: u64,
    /// Seals without one, from the first key's on.
    pub unsigned: u64,
    /// Who signed them, by the number of seals.
    pub keys: Vec<SealsOf>,
    /// Seals that somebody else may have signed with a key that was stolen.
    pub doubted: Vec<Doubted>,
}

/// How many seals one key signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealsOf {
    pub key: Fingerprint,
    pub principal: PrincipalId,
    pub role: KeyRole,
    pub seals: u64,
}

/// Seals whose signature holds and proves little.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubted {
    pub key: Fingerprint,
    pub principal: PrincipalId,
    pub first: u64,
    pub last: u64,
    pub seals: u64,
}

/// What judging all seals came to.
#[derive(Default)]
pub(super) struct Audited {
    pub signatures: Signatures,
    /// The last seal whose keys are known; of what follows nothing can be said.
    pub judged: u64,
    /// By seal, in order.
    pub wrong: Vec<(u64, Wrong)>,
    /// The facts that changed the keys, by seal.
    pub changes: BTreeMap<u64, Vec<Fact>>,
    /// Runs of seals without a signature, from the first key's on.
    pub unsigned: Vec<(u64, u64)>,
}

/// One signature that is still to be checked.
struct Open<'a> {
    seal: u64,
    bytes: &'a [u8],
    key: SshKey,
    signature: &'a [u8],
    by: &'a Fingerprint,
}

/// Judges every seal in order.
///
/// `facts` are the facts of readable events by path; a lost key event ends the judging, because
/// nothing can be said of what follows. `original` is a signature as history first had it: the
/// keys a seal changed count although its signature was damaged since.
pub(super) fn audit(
    seals: &[(Seal, Vec<u8>)],
    found: &BTreeMap<u64, Vec<u8>>,
    mut facts: BTreeMap<String, Fact>,
    mut original: impl FnMut(u64) -> Option<Vec<u8>>,
) -> Audited {
    let mut audited = Audited::default();
    let mut keys = Keyring::default();
    let mut open: Vec<Open<'_>> = Vec::new();
    let mut by: BTreeMap<&Fingerprint, Vec<u64>> = BTreeMap::new();
    for (seal, bytes) in seals {
        let mut own = Vec::new();
        for file in &seal.artifacts {
            match facts.remove(&file.path) {
                Some(fact) => own.push(fact),
                None if changes_keys(&file.path) => return audited,
                None => {}
            }
        }
        audited.judged = seal.seq;
        let signature = found.get(&seal.seq);
        let changes = own.iter().any(|fact| fact.key.is_some());
        let judged = asked(&keys, seal, signature.is_some(), &own).and_then(|key| {
            if let (Some(key), Some(signature), Some(by)) = (key, signature, &seal.signed_by) {
                let one = Open { seal: seal.seq, bytes, key, signature, by };
                if changes {
                    checked(one.signature, &one.key, one.bytes)?;
                }
                open.push(one);
            }
            Ok(())
        });
        let was = |original: Option<Vec<u8>>| {
            judge(&keys, seal, bytes, original.as_deref(), &own).is_ok()
        };
        let counts = judged.is_ok() || (changes && was(original(seal.seq)));
        audited.wrong.extend(judged.err().map(|wrong| (seal.seq, wrong)));
        keys.take(seal.seq, seal.timestamp, if counts { &own } else { &[] });
        if changes && counts {
            audited.changes.insert(seal.seq, own);
        }
        if seal.signed_by.is_none() && !keys.is_empty() {
            audited.signatures.unsigned += 1;
            match audited.unsigned.last_mut().filter(|(_, last)| *last + 1 == seal.seq) {
                Some((_, last)) => *last = seal.seq,
                None => audited.unsigned.push((seal.seq, seal.seq)),
            }
        }
    }
    let bad = check_all(&open);
    for one in &open {
        match bad.get(&one.seal) {
            None => by.entry(one.by).or_default().push(one.seal),
            Some(wrong) => audited.wrong.push((one.seal, wrong.clone())),
        }
    }
    audited.wrong.sort_by_key(|(seal, _)| *seal);
    let signatures = &mut audited.signatures;
    signatures.root = keys.root().map(|(root, key)| (root.clone(), key.added.seal));
    for (key, known) in keys.all() {
        let signed = by.remove(key).unwrap_or_default();
        signatures.signed += signed.len() as u64;
        if let Some(revoked) = &known.revoked
            && let Some(since) = revoked.compromised_since
        {
            let doubted: Vec<u64> = signed
                .iter()
                .copied()
                .filter(|seal| (since..revoked.place.seal).contains(seal))
                .collect();
            if let (Some(&first), Some(&last)) = (doubted.first(), doubted.last()) {
                signatures.doubted.push(Doubted {
                    key: key.clone(),
                    principal: known.principal.clone(),
                    first,
                    last,
                    seals: doubted.len() as u64,
                });
            }
        }
        if !signed.is_empty() {
            signatures.keys.push(SealsOf {
                key: key.clone(),
                principal: known.principal.clone(),
                role: known.role,
                seals: signed.len() as u64,
            });
        }
    }
    signatures.keys.sort_by(|a, b| b.seals.cmp(&a.seals).then_with(|| a.key.cmp(&b.key)));
    audited
}

/// Checks signatures on as many threads as there are processors: nothing else takes as long.
fn check_all(open: &[Open<'_>]) -> BTreeMap<u64, Wrong> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let share = open.len().div_ceil(threads).max(64);
    let check = |part: &[Open<'_>]| -> Vec<(u64, Wrong)> {
        let wrong =
            |one: &Open<'_>| Some((one.seal, checked(one.signature, &one.key, one.bytes).err()?));
        part.iter().filter_map(wrong).collect()
    };
    std::thread::scope(|scope| {
        let running: Vec<_> =
            open.chunks(share).map(|part| scope.spawn(move || check(part))).collect();
        running.into_iter().flat_map(|one| one.join().unwrap_or_default()).collect()
    })
}
