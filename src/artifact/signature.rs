//! Signatures beside seals (L5): SSHSIG as `ssh-keygen -Y sign` writes it, over the seal's exact
//! bytes. The key comes from the ledger; the one a signature carries is only compared with it.

use base64ct::{Base64, Base64Unpadded, Encoding as _};
use ssh_key::{HashAlg, PublicKey, Signature, SshSig};

use crate::domain::id::{Digest, Fingerprint, SSH_ALGORITHMS, SshKey};

/// What a signature is for: one made for anything else is refused.
pub const NAMESPACE: &str = "stepseal";

/// The most bytes a signature has.
const LIMIT: usize = 4096;

/// Why a text is no key that may sign.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    #[error("it is no public ssh key")]
    NotAKey,
    #[error("it is a private key; what is asked for is its public half")]
    Private,
    #[error("it holds {0} lines; one public key is one line")]
    Several(usize),
    #[error("{algorithm} keys do not sign here; ssh-ed25519 and ecdsa-sha2-nistp256 do")]
    Algorithm { algorithm: String },
}

/// Why a signature does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSignature {
    #[error("it is no ssh signature")]
    NotASignature,
    #[error("it is for `{}`, not for `{NAMESPACE}`", namespace.escape_debug())]
    Namespace { namespace: String },
    #[error("it was made with another key, {0}")]
    OtherKey(String),
    #[error("it is not over the bytes of this seal")]
    OtherBytes,
    #[error("nobody touched the hardware key for it")]
    Untouched,
}

/// Reads a public key from one line, with or without a comment.
///
/// # Errors
/// When it is none, or one of a kind that does not sign.
pub fn public_key(text: &str) -> Result<(SshKey, Fingerprint), BadKey> {
    if text.contains("PRIVATE KEY-----") {
        return Err(BadKey::Private);
    }
    let mut lines = text.lines().map(str::trim).filter(|line| {
        let comment = line.starts_with('#');
        !line.is_empty() && !comment
    });
    let line = lines.next().ok_or(BadKey::NotAKey)?;
    match lines.count() {
        0 => {}
        more => return Err(BadKey::Several(more + 1)),
    }
    let algorithm = line.split(' ').next().unwrap_or_default();
    if !SSH_ALGORITHMS.contains(&algorithm) {
        let known = ["ssh-", "ecdsa-", "sk-"].iter().any(|start| algorithm.starts_with(start));
        let plain = algorithm.len() < 80 && algorithm.bytes().all(|b| b.is_ascii_graphic());
        return Err(match known && plain {
            true => BadKey::Algorithm { algorithm: algorithm.to_owned() },
            false => BadKey::NotAKey,
        });
    }
    let key = PublicKey::from_openssh(line).map_err(|_| BadKey::NotAKey)?;
    named(&key)
}

/// A key as the ledger writes it down, and its fingerprint.
///
/// # Errors
/// When it is of a kind that does not sign.
pub fn named(key: &PublicKey) -> Result<(SshKey, Fingerprint), BadKey> {
    let bare = PublicKey::from(key.key_data().clone());
    let text = bare.to_openssh().map_err(|_| BadKey::NotAKey)?;
    let algorithm = || BadKey::Algorithm { algorithm: key.algorithm().as_str().to_owned() };
    let key = text.parse().map_err(|_| algorithm())?;
    let fingerprint = bare.fingerprint(HashAlg::Sha256).to_string();
    Ok((key, fingerprint.parse().map_err(|_| BadKey::NotAKey)?))
}

/// Checks a signature over bytes, made for this program with this key.
///
/// Its parts are read here and not by `ssh-key`, which passes over wrong lengths of nested parts:
/// what OpenSSH refuses is refused, and one signature is one text.
///
/// # Errors
/// Why it does not hold.
pub fn check_signature(signature: &[u8], key: &SshKey, bytes: &[u8]) -> Result<(), BadSignature> {
    let parts = Parts::read(signature).ok_or(BadSignature::NotASignature)?;
    if parts.namespace != NAMESPACE.as_bytes() {
        let namespace = String::from_utf8_lossy(&parts.namespace).chars().take(100).collect();
        return Err(BadSignature::Namespace { namespace });
    }
    let key = PublicKey::from_openssh(key.as_str()).map_err(|_| BadSignature::OtherBytes)?;
    if key.to_bytes().ok().as_ref() != Some(&parts.public_key) {
        return Err(BadSignature::OtherKey(sha256_name(&parts.public_key)));
    }
    let hash = match parts.hash.as_slice() {
        b"sha512" => HashAlg::Sha512,
        b"sha256" => HashAlg::Sha256,
        _ => return Err(BadSignature::NotASignature),
    };
    if parts.algorithm != key.algorithm().as_str().as_bytes() {
        return Err(BadSignature::NotASignature);
    }
    let made = [parts.made, parts.trailer.clone()].concat();
    Signature::new(key.algorithm(), made)
        .and_then(|made| SshSig::new(key.key_data().clone(), NAMESPACE, hash, made))
        .and_then(|signature| key.verify(NAMESPACE, bytes, &signature))
        .map_err(|_| BadSignature::OtherBytes)?;
    // A hardware key says in the signed part whether it was touched.
    let hardware = key.algorithm().as_str().starts_with("sk-");
    if hardware && parts.trailer.first().is_none_or(|flags| flags & 1 == 0) {
        return Err(BadSignature::Untouched);
    }
    Ok(())
}

/// A blob's fingerprint, as OpenSSH writes it.
fn sha256_name(blob: &[u8]) -> String {
    let digest = Digest::of(blob).to_bytes();
    format!("SHA256:{}", Base64Unpadded::encode_string(&digest))
}

/// What a signature is made of (OpenSSH's PROTOCOL.sshsig).
struct Parts {
    public_key: Vec<u8>,
    namespace: Vec<u8>,
    hash: Vec<u8>,
    algorithm: Vec<u8>,
    made: Vec<u8>,
    /// A hardware key's flags and counter.
    trailer: Vec<u8>,
}

const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----\n";
const END: &str = "-----END SSH SIGNATURE-----\n";
/// How OpenSSH breaks the lines.
const COLUMNS: usize = 70;

impl Parts {
    /// Reads the one way a signature is written; nothing when it is written another way.
    fn read(signature: &[u8]) -> Option<Self> {
        if signature.len() > LIMIT {
            return None;
        }
        let text = std::str::from_utf8(signature).ok()?;
        let lines = text.strip_prefix(BEGIN)?.strip_suffix(END)?.strip_suffix('\n')?;
        let mut rows = lines.split('\n').rev();
        let (last, mut rest) = (rows.next()?, rows);
        if last.is_empty() || last.len() > COLUMNS || rest.any(|row| row.len() != COLUMNS) {
            return None;
        }
        let blob = Base64::decode_vec(&lines.replace('\n', "")).ok()?;
        let mut at = blob.strip_prefix(b"SSHSIG\0\0\0\x01")?;
        let public_key = string(&mut at)?.to_vec();
        let namespace = string(&mut at)?.to_vec();
        let reserved = string(&mut at)?;
        let hash = string(&mut at)?.to_vec();
        let mut signature = string(&mut at)?;
        let algorithm = string(&mut signature)?.to_vec();
        let made = string(&mut signature)?.to_vec();
        let hardware = algorithm.starts_with(b"sk-");
        let trailer = if hardware { 5 } else { 0 };
        let whole = at.is_empty() && reserved.is_empty() && signature.len() == trailer;
        let trailer = signature.to_vec();
        whole.then_some(Self { public_key, namespace, hash, algorithm, made, trailer })
    }
}

/// Takes one string: four bytes of length, then so many bytes.
fn string<'a>(at: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = at.split_first_chunk::<4>()?;
    let (string, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
    *at = rest;
    Some(string)
}
