//! Seals (L5): the tamper-evident record each ledger commit adds.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::merkle::Frontier;
use crate::domain::id::{Digest, Fingerprint};
use crate::domain::moment::read_time;

/// One file by path and digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SealedFile {
    pub path: String,
    pub sha256: Digest,
}

/// Who wrote the commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Committer {
    pub id: String,
    /// The writing program and its version.
    pub program: String,
}

/// Which persistence pattern brought the commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Pattern {
    /// The producer of the events.
    Direct,
    /// A collector, for others.
    Collected,
}

/// What a commit puts right besides its events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Recovery {
    /// Commits without a seal that this one answers.
    pub foreign_commits: Vec<String>,
    /// Files put back, or removed where nothing was sealed.
    pub restored: Vec<Restored>,
    /// A `.lock` of a killed process that was cleared under our own lock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cleared_lock: Option<String>,
}

/// One file that is as sealed again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Restored {
    pub path: String,
    /// The sealed digest; null where an unsealed file was removed.
    pub sha256: Option<Digest>,
    /// What stood there; null where it was missing.
    pub found: Option<Digest>,
}

/// The record one ledger commit adds: seals chain, events are leaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Seal {
    pub schema_version: String,
    /// From 1, without gaps.
    pub seq: u64,
    /// SHA-256 of the previous seal's bytes; null for the first.
    pub previous: Option<Digest>,
    #[serde(deserialize_with = "read_time")]
    pub timestamp: DateTime<Utc>,
    /// The write-once files this commit adds, in leaf order.
    pub artifacts: Vec<SealedFile>,
    /// Files this commit writes that are no leaves: `ledger.json` and the README.
    pub documents: Vec<SealedFile>,
    /// Leaves so far.
    pub size: u64,
    /// RFC 6962 root over all leaves so far.
    pub root: Digest,
    /// The subtree hashes that extend the tree, largest first.
    pub frontier: Vec<Digest>,
    pub committer: Committer,
    pub pattern: Pattern,
    /// The key whose signature stands beside this seal. The next seal covers it, so a signature
    /// that is taken away is missed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_by: Option<Fingerprint>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery: Option<Recovery>,
}

impl Seal {
    /// The tree after this seal, if the seal agrees with itself.
    #[must_use]
    pub fn tree(&self) -> Option<Frontier> {
        let frontier = Frontier::from_parts(self.size, self.frontier.clone())?;
        (frontier.root() == self.root).then_some(frontier)
    }

    /// The mark of this seal.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark { size: self.size, root: self.root.clone() }
    }
}

/// A seal's size and root, kept elsewhere to prove history against.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Mark {
    pub size: u64,
    pub root: Digest,
}

impl std::fmt::Display for Mark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.size, self.root)
    }
}

impl std::str::FromStr for Mark {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{}` is no mark; a mark is SIZE ROOT", text.escape_debug());
        let (size, root) = text.trim().split_once(' ').ok_or_else(wrong)?;
        Ok(Self {
            size: size.parse().map_err(|_| wrong())?,
            root: root.trim().parse().map_err(|_| wrong())?,
        })
    }
}
