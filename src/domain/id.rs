//! The ids of the domain, each its own type, parsed once at the door (L12).
//!
//! A value of these types is always within the grammar, so no other room checks one again.
//! None converts into another: a step key is no item id.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Why a text is no id, with the text and the rule it broke.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} `{}` {rule}", text.escape_debug())]
pub struct InvalidId {
    /// What was to be parsed: `work item id`, `step key`, …
    pub what: &'static str,
    /// The text as given, at most 100 characters of it.
    pub text: String,
    /// The rule it broke, as the end of a sentence.
    pub rule: String,
}

impl InvalidId {
    fn new(what: &'static str, text: &str, rule: impl Into<String>) -> Self {
        Self { what, text: text.chars().take(100).collect(), rule: rule.into() }
    }
}

/// Device names Windows keeps for itself, with or without an extension.
const DEVICES: [&str; 22] = [
    "con", "prn", "aux", "nul", "com1", "com2", "com3", "com4", "com5", "com6", "com7", "com8",
    "com9", "lpt1", "lpt2", "lpt3", "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9",
];

/// Checks the grammar of names that become file names: items, steps, workflows, attempts.
fn check_name(what: &'static str, text: &str, longest: usize) -> Result<(), InvalidId> {
    let refuse = |rule: String| Err(InvalidId::new(what, text, rule));
    let Some(first) = text.chars().next() else {
        return refuse("is empty".into());
    };
    if let Some(bad) =
        text.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')))
    {
        return refuse(format!(
            "has the character {bad:?}; letters, digits, `.`, `_` and `-` are allowed"
        ));
    }
    if !first.is_ascii_alphanumeric() {
        return refuse("must start with a letter or a digit".into());
    }
    if text.len() > longest {
        return refuse(format!("has {} characters; {longest} are allowed", text.len()));
    }
    if text.contains("..") {
        return refuse("contains `..`".into());
    }
    if text.ends_with('.') || text.to_ascii_lowercase().ends_with(".lock") {
        return refuse("must not end in `.` or `.lock`".into());
    }
    let stem = text.split('.').next().unwrap_or(text).to_ascii_lowercase();
    if DEVICES.contains(&stem.as_str()) {
        return refuse("is a device name on Windows".into());
    }
    Ok(())
}

/// Checks the grammar of ids that never become a path: executors and principals.
fn check_actor(what: &'static str, text: &str) -> Result<(), InvalidId> {
    let refuse = |rule: String| Err(InvalidId::new(what, text, rule));
    let Some(first) = text.chars().next() else {
        return refuse("is empty".into());
    };
    let allowed =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | ':' | '/' | '@' | '+' | '-');
    if let Some(bad) = text.chars().find(|c| !allowed(*c)) {
        return refuse(format!(
            "has the character {bad:?}; letters, digits and `._:/@+-` are allowed"
        ));
    }
    if !first.is_ascii_alphanumeric() {
        return refuse("must start with a letter or a digit".into());
    }
    if text.len() > 200 {
        return refuse(format!("has {} characters; 200 are allowed", text.len()));
    }
    Ok(())
}

/// Whether a text is base64 as ssh writes it.
fn is_base64(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    text.len() - body.len() <= 2
        && !body.is_empty()
        && body.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/')
}

/// Defines a string id: parsing at the door, printing, serde through the parser, JSON Schema.
macro_rules! string_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $pattern:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schemars(extend("pattern" = $pattern))]
        pub struct $name(#[schemars(with = "String")] String);

        impl $name {
            /// The text of the id.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let check: fn(&str) -> Result<(), InvalidId> = $check;
                check(text)?;
                Ok(Self(text.to_owned()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

string_id!(
    /// A work item: what moves through exactly one workflow version at a time.
    ItemId, "work item id", "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
    |text| check_name("work item id", text, 64)
);
string_id!(
    /// A step's key, unique in its workflow; gates share the key space.
    StepKey, "step key", "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
    |text| check_name("step key", text, 64)
);
string_id!(
    /// A workflow's name; with a version it is pinned by content hash.
    WorkflowName, "workflow name", "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
    |text| check_name("workflow name", text, 64)
);
string_id!(
    /// A group of parallelizable steps that wait together (S2).
    GroupName, "group", "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
    |text| check_name("group", text, 64)
);
string_id!(
    /// A criterion's id, unique among a step's entry or exit criteria.
    CriterionId, "criterion id", "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
    |text| check_name("criterion id", text, 64)
);
string_id!(
    /// A caller's own name for an attempt (C1); may not look like `KEY.N`.
    AttemptAlias, "attempt name", "^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$",
    |text| {
        check_name("attempt name", text, 80)?;
        match text.rsplit_once('.') {
            Some((_, number)) if number.bytes().all(|b| b.is_ascii_digit()) => Err(
                InvalidId::new("attempt name", text, "looks like KEY.N, which only the schedule gives"),
            ),
            _ => Ok(()),
        }
    }
);
string_id!(
    /// Who works, one task at a time; never used as a path.
    ExecutorId, "executor id", "^[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,199}$",
    |text| check_actor("executor id", text)
);
string_id!(
    /// The accountable person behind an executor; approvals and quorum compare these.
    PrincipalId, "principal id", "^[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,199}$",
    |text| check_actor("principal id", text)
);
string_id!(
    /// A role that a step asks for or a gate's approver holds.
    RoleName, "role", "^[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,199}$",
    |text| check_actor("role", text)
);
string_id!(
    /// A shared resource of which an item uses one at a time (S4); `global:` is ledger-wide.
    ConstraintName, "constraint", "^[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,199}$",
    |text| check_actor("constraint", text)
);
string_id!(
    /// A caller's idempotency key for one request (R1).
    RequestId, "request id", "^[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,199}$",
    |text| check_actor("request id", text)
);

string_id!(
    /// A signing key by the SHA-256 of its blob, as `ssh-keygen -l` prints it.
    Fingerprint, "key fingerprint", "^SHA256:[A-Za-z0-9+/]{43}$",
    |text| match text.strip_prefix("SHA256:") {
        Some(rest) if rest.len() == 43 && !rest.contains('=') && is_base64(rest) => Ok(()),
        _ => Err(InvalidId::new(
            "key fingerprint", text, "is not SHA256: and 43 characters of base64",
        )),
    }
);
string_id!(
    /// A public ssh key on one line, without a comment: its algorithm and its blob.
    SshKey, "public key",
    "^(ssh-ed25519|ecdsa-sha2-nistp256|sk-ssh-ed25519@openssh.com|sk-ecdsa-sha2-nistp256@openssh.com) [A-Za-z0-9+/]{40,600}={0,2}$",
    |text| match text.split_once(' ') {
        Some((algorithm, blob))
            if SSH_ALGORITHMS.contains(&algorithm)
                && (40..=602).contains(&blob.len())
                && is_base64(blob) => Ok(()),
        _ => Err(InvalidId::new("public key", text, "is not ALGORITHM BASE64")),
    }
);

/// The algorithms a signing key may have. RSA is not among them: its only implementation at hand
/// leaks by timing.
pub const SSH_ALGORITHMS: [&str; 4] = [
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];

impl ConstraintName {
    /// Whether it is shared by every item of the ledger and not by the steps of one.
    #[must_use]
    pub fn is_global(&self) -> bool {
        self.0.starts_with("global:")
    }
}

impl ItemId {
    /// The two hex digits of the folder the item lives in (L2): SHA-256 of the lower-cased id,
    /// so case twins meet in one folder and are refused there.
    #[must_use]
    pub fn shard(&self) -> String {
        let mut hex = Digest::of(self.0.to_ascii_lowercase().as_bytes()).0;
        hex.truncate(2);
        hex
    }
}

/// One try of one step: `KEY.N`, N from 1, never reused.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("pattern" = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}\.[1-9][0-9]*$"))]
pub struct AttemptId {
    #[schemars(with = "String")]
    key: StepKey,
    number: u32,
}

impl AttemptId {
    /// The `number`th attempt of a step.
    #[must_use]
    pub fn new(key: StepKey, number: u32) -> Self {
        Self { key, number }
    }

    /// The step this is a try of.
    #[must_use]
    pub fn key(&self) -> &StepKey {
        &self.key
    }

    /// Which try it is, from 1.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }
}

impl FromStr for AttemptId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let refuse = || InvalidId::new("attempt id", text, "is not KEY.N");
        let (key, number) = text.rsplit_once('.').ok_or_else(refuse)?;
        let plain = !number.starts_with('0') && number.bytes().all(|b| b.is_ascii_digit());
        let number: u32 = number.parse().map_err(|_| refuse())?;
        if !plain || number == 0 {
            return Err(refuse());
        }
        Ok(Self { key: key.parse()?, number })
    }
}

impl TryFrom<String> for AttemptId {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl From<AttemptId> for String {
    fn from(id: AttemptId) -> Self {
        id.to_string()
    }
}

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}.{}", self.key, self.number))
    }
}

/// Defines a uuid id.
macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
        )]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Uuid);

        impl $name {
            /// Takes a uuid that the front door or a digest made.
            #[must_use]
            pub fn new(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The bare uuid.
            #[must_use]
            pub fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let uuid = Uuid::try_parse(text)
                    .map_err(|_| InvalidId::new($what, text, "is not a uuid"))?;
                if uuid.to_string() != text {
                    return Err(InvalidId::new($what, text, "is not written as lower-case 8-4-4-4-12"));
                }
                Ok(Self(uuid))
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    };
}

uuid_id!(
    /// An event's id: uuid v7 for facts, v8 of a digest for decisions (L4).
    EventId, "event id"
);
uuid_id!(
    /// A claim's id, uuid v7: the fence against stale work (K1).
    ClaimId, "claim id"
);

/// A SHA-256 digest, written as 64 lower-case hex digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, JsonSchema)]
#[schemars(extend("pattern" = "^[0-9a-f]{64}$"))]
pub struct Digest(#[schemars(with = "String")] String);

impl Digest {
    /// The digest of some bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self::of_parts(&[bytes])
    }

    /// The digest of several parts, one after the other.
    #[must_use]
    pub fn of_parts(parts: &[&[u8]]) -> Self {
        use sha2::Digest as _;
        let mut hasher = sha2::Sha256::new();
        for part in parts {
            hasher.update(part);
        }
        Self::from_bytes(&hasher.finalize().into())
    }

    /// Writes 32 bytes as a digest.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut text = vec![0; 64];
        for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
            pair[0] = HEX[usize::from(byte >> 4)];
            pair[1] = HEX[usize::from(byte & 15)];
        }
        Self(String::from_utf8(text).expect("hex digits"))
    }

    /// The 32 bytes behind the text.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(self.0.as_bytes().chunks_exact(2)) {
            let digit = |c: u8| if c <= b'9' { c - b'0' } else { c - b'a' + 10 };
            *byte = digit(pair[0]) << 4 | digit(pair[1]);
        }
        bytes
    }

    /// The text of the digest.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Digest {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let hex = text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if text.len() != 64 || !hex {
            return Err(InvalidId::new("digest", text, "is not 64 lower-case hex digits"));
        }
        Ok(Self(text.to_owned()))
    }
}

// On paper it is text; in a cache, which nobody reads, 32 bytes.
impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(&self.0)
        } else {
            self.to_bytes().serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
            text.parse().map_err(serde::de::Error::custom)
        } else {
            <[u8; 32]>::deserialize(deserializer).map(|bytes| Self::from_bytes(&bytes))
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Makes a step key, item id or workflow name out of free text: letters and digits kept, the rest
/// folded into single dashes, at most `longest` characters; `None` when nothing is left.
#[must_use]
pub fn slug(text: &str, longest: usize) -> Option<String> {
    let mut slug = String::new();
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
        if slug.len() >= longest {
            break;
        }
    }
    let slug = slug.trim_end_matches('-').to_owned();
    if slug.is_empty() {
        return None;
    }
    // A device name is the one thing left that the grammar refuses.
    Some(if slug.parse::<StepKey>().is_ok() { slug } else { format!("{slug}-1") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_outside_the_grammar_are_refused_with_the_rule() {
        for (text, rule) in [
            ("", "is empty"),
            ("-x", "must start"),
            ("a b", "has the character ' '"),
            ("a/b", "has the character '/'"),
            ("a..b", "contains `..`"),
            ("a.", "must not end"),
            ("a.LOCK", "must not end"),
            ("NUL", "device"),
            ("com1.txt", "device"),
            ("é", "has the character"),
        ] {
            let refusal = text.parse::<ItemId>().expect_err(text);
            assert!(refusal.to_string().contains(rule), "{text:?}: {refusal}");
        }
        assert!("x".repeat(64).parse::<ItemId>().is_ok());
        assert!("x".repeat(65).parse::<ItemId>().is_err());
    }

    #[test]
    fn an_attempt_is_read_from_its_last_dot() {
        let attempt: AttemptId = "T001.2.13".parse().expect("key T001.2, attempt 13");
        assert_eq!((attempt.key().as_str(), attempt.number()), ("T001.2", 13));
        for bad in ["build", "build.0", "build.01", "build.x", ".1", "build.+1"] {
            assert!(bad.parse::<AttemptId>().is_err(), "{bad}");
        }
        assert!("build.1".parse::<AttemptAlias>().is_err());
        assert!("build.one".parse::<AttemptAlias>().is_ok());
    }

    #[test]
    fn case_twins_share_a_folder() {
        let shard = |id: &str| id.parse::<ItemId>().expect("an id").shard();
        assert_eq!(shard("ALBUMS"), shard("albums"));
    }

    #[test]
    fn digests_round_trip_through_bytes() {
        let digest = Digest::of(b"abc");
        assert_eq!(
            digest.as_str(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(Digest::from_bytes(&digest.to_bytes()), digest);
    }

    #[test]
    fn slugs_are_ids_or_nothing() {
        assert_eq!(slug("Generate schedule!", 64).as_deref(), Some("generate-schedule"));
        assert_eq!(slug("Con", 64).as_deref(), Some("con-1"));
        assert_eq!(slug("…", 64), None);
    }
}
