//! What `verify` answers: the classes of damage, each finding, and what was looked at.

use std::collections::BTreeSet;

use super::super::error::{LedgerError, Stop, WayBack};
use super::super::seen;
use super::super::signatures::Signatures;
use crate::artifact::Mark;
use crate::domain::id::{Digest, Fingerprint, ItemId};

/// What sort of damage it is; docs/recovery.md has a section for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// A sealed file has other bytes.
    Altered,
    /// A sealed file is gone.
    Deleted,
    /// Two sealed files have each other's bytes.
    Reordered,
    /// An unsealed file repeats a sealed one.
    Duplicated,
    /// A file that no seal names.
    Unsealed,
    /// A seal cannot be read, does not chain, or its root does not follow.
    BrokenSeal,
    /// An artifact breaks its schema or is not where it says.
    BadArtifact,
    /// A link names nothing, or other bytes.
    BrokenLink,
    /// An event that cannot have happened after the ones before it.
    IllegalTransition,
    /// A decision is not what the facts before it give.
    WrongDecision,
    /// A derived file is not what the events give.
    WrongDerived,
    /// A signature is none, is for something else, or is not over its seal with its key.
    BadSignature,
    /// A seal is signed with a key the ledger does not have.
    UnknownKey,
    /// A seal is signed with a key that was revoked before.
    RevokedKey,
    /// A seal is signed with a key whose end the ledger had passed.
    ExpiredKey,
    /// A key may not seal what it sealed.
    NotEntitled,
    /// A seal that must be signed is not.
    Unsigned,
    /// A commit without a seal changed `artifacts/`, or merged.
    ForeignCommit,
    /// History is not the one a mark was taken of.
    Rewritten,
    /// History ends before a mark.
    CutTail,
    /// An object cannot be read.
    BadObject,
    /// An object is not here: shallow or partial. Nothing can be said of it.
    MissingObject,
}

impl Class {
    /// Every class.
    pub const ALL: [Self; 22] = [
        Self::Altered,
        Self::Deleted,
        Self::Reordered,
        Self::Duplicated,
        Self::Unsealed,
        Self::BrokenSeal,
        Self::BadArtifact,
        Self::BrokenLink,
        Self::IllegalTransition,
        Self::WrongDecision,
        Self::WrongDerived,
        Self::BadSignature,
        Self::UnknownKey,
        Self::RevokedKey,
        Self::ExpiredKey,
        Self::NotEntitled,
        Self::Unsigned,
        Self::ForeignCommit,
        Self::Rewritten,
        Self::CutTail,
        Self::BadObject,
        Self::MissingObject,
    ];

    /// The word in reports, and the section of docs/recovery.md.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Altered => "altered",
            Self::Deleted => "deleted",
            Self::Reordered => "reordered",
            Self::Duplicated => "duplicated",
            Self::Unsealed => "unsealed",
            Self::BrokenSeal => "broken-seal",
            Self::BadArtifact => "bad-artifact",
            Self::BrokenLink => "broken-link",
            Self::IllegalTransition => "illegal-transition",
            Self::WrongDecision => "wrong-decision",
            Self::WrongDerived => "wrong-derived",
            Self::BadSignature => "bad-signature",
            Self::UnknownKey => "unknown-key",
            Self::RevokedKey => "revoked-key",
            Self::ExpiredKey => "expired-key",
            Self::NotEntitled => "not-entitled",
            Self::Unsigned => "unsigned",
            Self::ForeignCommit => "foreign-commit",
            Self::Rewritten => "rewritten",
            Self::CutTail => "cut-tail",
            Self::BadObject => "bad-object",
            Self::MissingObject => "missing-object",
        }
    }

    /// Whether data is missing rather than wrong: exit 11, not 10.
    #[must_use]
    pub fn is_incomplete(self) -> bool {
        self == Self::MissingObject
    }

    /// Whether nothing can be said of some content: what follows from it is not judged.
    pub(super) fn is_unread(self) -> bool {
        matches!(self, Self::BadObject | Self::MissingObject)
    }
}

/// One violation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub class: Class,
    pub path: Option<String>,
    pub item: Option<ItemId>,
    pub what: String,
    /// The seal that names the file.
    pub seal: Option<u64>,
    pub sealed: Option<Digest>,
    pub found: Option<Digest>,
    /// The commit that brought it, and the one before.
    pub commit: Option<String>,
    pub before: Option<String>,
    /// JSON pointer to the first difference.
    pub pointer: Option<String>,
    /// How an object comes back that cannot be had.
    pub way: Option<Box<WayBack>>,
}

impl Finding {
    pub(super) fn new(
        class: Class,
        path: impl Into<Option<String>>,
        what: impl Into<String>,
    ) -> Self {
        let path = path.into();
        let item = path.as_deref().and_then(|path| match seen::concern(path) {
            seen::Concern::Item(item) => item.parse().ok(),
            _ => None,
        });
        Self {
            class,
            path,
            item,
            what: what.into(),
            seal: None,
            sealed: None,
            found: None,
            commit: None,
            before: None,
            pointer: None,
            way: None,
        }
    }

    /// An object that cannot be had: what the error says of it; another error is no finding.
    pub(super) fn lost(error: LedgerError, path: Option<String>) -> Result<Self, LedgerError> {
        let (class, what, way) = match error {
            LedgerError::BadObject { ref way, .. } => {
                (Class::BadObject, error.to_string(), way.clone())
            }
            LedgerError::MissingObject { oid, way } => {
                let why =
                    if way.shallow { "this clone is shallow" } else { "it is not in this clone" };
                (Class::MissingObject, format!("object {oid} cannot be verified: {why}"), way)
            }
            error => return Err(error),
        };
        Ok(Self { way: Some(way), ..Self::new(class, path, what) })
    }
}

/// What to check beyond the standing checks.
#[derive(Debug, Clone, Default)]
pub struct VerifyOptions {
    /// Walk every commit.
    pub deep: bool,
    /// Marks kept elsewhere.
    pub marks: Vec<Mark>,
    /// Every seal must be signed, from the first key's on and not before this one.
    pub require_signatures: Option<u64>,
    /// The first key must be this one, known from elsewhere.
    pub root_key: Option<Fingerprint>,
    /// Look only at what came after this.
    pub since: Option<Since>,
}

/// Where a verification begins that does not look at everything.
#[derive(Debug, Clone)]
pub enum Since {
    /// At the last state this clone verified and found sound.
    Remembered,
    /// At a mark that was kept elsewhere.
    Mark(Mark),
}

/// What a verification that began at a mark did not look at.
#[derive(Debug, Clone)]
pub struct SinceReport {
    pub mark: Mark,
    /// The commit that has it.
    pub commit: String,
    /// How many seals stand up to it.
    pub seals: u64,
    /// Links from what came after it to events that were not looked at.
    pub links: usize,
}

/// What was verified, and what was found.
#[derive(Debug, Clone, Default)]
pub struct Verified {
    pub seals: u64,
    pub events: usize,
    pub definitions: usize,
    pub items: usize,
    pub commits: usize,
    pub findings: Vec<Finding>,
    /// Files that were damaged and put back, with the commit that had damaged them.
    pub corrected: Vec<(String, String)>,
    pub signatures: Signatures,
    pub mark: Option<Mark>,
    pub tip: String,
    /// Where it began; nothing when everything was looked at.
    pub since: Option<SinceReport>,
}

impl Verified {
    /// Whether nothing at all was found.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.findings.is_empty()
    }

    /// The items whose history is stopped.
    #[must_use]
    pub fn stopped(&self) -> BTreeSet<&ItemId> {
        self.findings.iter().filter_map(|finding| finding.item.as_ref()).collect()
    }
}

/// A stop for a file that `verify` has a finding for.
impl From<&Finding> for Stop {
    fn from(finding: &Finding) -> Self {
        Self {
            path: finding.path.clone().unwrap_or_default(),
            what: finding.what.clone(),
            pointer: finding.pointer.clone(),
            sealed: finding.sealed.clone(),
            found: finding.found.clone(),
            commit: finding.commit.clone(),
            before: finding.before.clone(),
        }
    }
}
