//! The signatures beside seals (L5): each judged on the keys before it, as it arrives and in
//! `verify`. Who may seal what is the rules' ([`Keyring::judge`]); whether bytes are signed is the
//! paper's (`check_signature`).

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
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
    let (timestamp, signed_by) = (seal.timestamp, seal.signed_by.as_ref());
    judge_said(keys, Said { seal: seal.seq, timestamp, signed_by, facts }, bytes, signature)
}

fn judge_said(
    keys: &Keyring,
    said: Said<'_>,
    bytes: &[u8],
    signature: Option<&[u8]>,
) -> Result<(), Wrong> {
    match (asked(keys, said, signature.is_some())?, signature) {
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
fn asked(keys: &Keyring, said: Said<'_>, there: bool) -> Result<Option<SshKey>, Wrong> {
    let key = keys.judge(said)?;
    match (&key, there) {
        (Some(_), false) => Err(Wrong {
            class: Class::Deleted,
            what: format!("seal {} says it is signed, and the signature is gone", said.seal),
        }),
        (None, true) => Err(Wrong {
            class: Class::Unsealed,
            what: format!("seal {} does not say it is signed", said.seal),
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
pub(super) fn changes_keys(name: &str) -> bool {
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

/// One seal as far as its signature is judged.
pub(super) struct Sealing<'a> {
    pub seq: u64,
    pub timestamp: DateTime<Utc>,
    pub signed_by: Option<&'a Fingerprint>,
}

/// What judging signatures reads, of each seal when it is its turn.
pub(super) trait Papers {
    /// What its events say; nothing when one that changes the keys is lost.
    fn facts(&mut self, seq: u64) -> Option<Vec<Fact>>;

    /// Its bytes.
    fn seal(&mut self, seq: u64) -> Result<Vec<u8>, LedgerError>;

    /// The signature beside it.
    fn signature(&mut self, seq: u64) -> Option<Vec<u8>>;

    /// The same as history first had it: the keys a seal changed count although its signature was
    /// damaged since.
    fn original(&mut self, seq: u64) -> Option<Vec<u8>>;
}

/// One signature that is still to be checked.
struct Open<'a> {
    seal: u64,
    bytes: Vec<u8>,
    key: SshKey,
    signature: Vec<u8>,
    by: &'a Fingerprint,
}

/// How many signatures are checked at once.
const TOGETHER: usize = 2048;

/// Judges seals in order, on the keys before the first of them.
///
/// A lost key event ends the judging, because nothing can be said of what follows.
///
/// # Errors
/// When a seal cannot be read again.
pub(super) fn audit(
    seals: &[Sealing<'_>],
    mut keys: Keyring,
    papers: &mut impl Papers,
) -> Result<Audited, LedgerError> {
    let mut audited = Audited::default();
    let mut open: Vec<Open<'_>> = Vec::new();
    let mut by: BTreeMap<&Fingerprint, Vec<u64>> = BTreeMap::new();
    for &Sealing { seq, timestamp, signed_by } in seals {
        let Some(facts) = papers.facts(seq) else { return Ok(audited) };
        audited.judged = seq;
        let signature = papers.signature(seq);
        let changes = facts.iter().any(|fact| fact.key.is_some());
        let said = Said { seal: seq, timestamp, signed_by, facts: &facts };
        let judged = match (asked(&keys, said, signature.is_some()), signature, signed_by) {
            (Ok(Some(key)), Some(signature), Some(by)) => {
                let one = Open { seal: seq, bytes: papers.seal(seq)?, key, signature, by };
                let held = match changes {
                    true => checked(&one.signature, &one.key, &one.bytes),
                    false => Ok(()),
                };
                open.extend(held.is_ok().then_some(one));
                held
            }
            (asked, ..) => asked.map(drop),
        };
        let counts = judged.is_ok()
            || (changes && {
                let (bytes, original) = (papers.seal(seq)?, papers.original(seq));
                judge_said(&keys, said, &bytes, original.as_deref()).is_ok()
            });
        audited.wrong.extend(judged.err().map(|wrong| (seq, wrong)));
        keys.take(seq, timestamp, if counts { &facts } else { &[] });
        if changes && counts {
            audited.changes.insert(seq, facts);
        }
        if signed_by.is_none() && !keys.is_empty() {
            audited.signatures.unsigned += 1;
            match audited.unsigned.last_mut().filter(|(_, last)| *last + 1 == seq) {
                Some((_, last)) => *last = seq,
                None => audited.unsigned.push((seq, seq)),
            }
        }
        if open.len() >= TOGETHER {
            check_all(std::mem::take(&mut open), &mut by, &mut audited.wrong);
        }
    }
    check_all(open, &mut by, &mut audited.wrong);
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
    Ok(audited)
}

/// Checks signatures on as many threads as there are processors: nothing else takes as long.
fn check_all<'a>(
    open: Vec<Open<'a>>,
    by: &mut BTreeMap<&'a Fingerprint, Vec<u64>>,
    wrong: &mut Vec<(u64, Wrong)>,
) {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let share = open.len().div_ceil(threads).max(64);
    let check = |part: &[Open<'_>]| -> Vec<Option<Wrong>> {
        part.iter().map(|one| checked(&one.signature, &one.key, &one.bytes).err()).collect()
    };
    let bad: Vec<Option<Wrong>> = std::thread::scope(|scope| {
        let running: Vec<_> =
            open.chunks(share).map(|part| scope.spawn(move || check(part))).collect();
        let joined = |one: std::thread::ScopedJoinHandle<'_, _>| match one.join() {
            Ok(checked) => checked,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        running.into_iter().flat_map(joined).collect()
    });
    for (one, bad) in open.iter().zip(bad) {
        match bad {
            None => by.entry(one.by).or_default().push(one.seal),
            Some(bad) => wrong.push((one.seal, bad)),
        }
    }
}
