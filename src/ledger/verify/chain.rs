//! The chain of seals: each read once, in order, and kept as a small row beside the write-once
//! files it names.

use std::collections::BTreeMap;
use std::ops::Range;

use chrono::{DateTime, Utc};
use git2::Oid;

use super::super::error::LedgerError;
use super::super::progress;
use super::super::seen::Passed;
use super::super::tree;
use super::Audit;
use super::report::{Class, Finding};
use crate::artifact::{self, Mark, Recovery, SEALS, Seal};
use crate::domain::id::{Digest, Fingerprint};

/// A digest without its text.
pub(super) type Sha256 = [u8; 32];

/// One seal without its files.
pub(super) struct SealRow {
    pub seq: u64,
    /// Its bytes.
    pub oid: Oid,
    pub sha256: Sha256,
    pub size: u64,
    pub root: Sha256,
    pub timestamp: DateTime<Utc>,
    pub signed_by: Option<Fingerprint>,
    pub recovery: Option<Box<Recovery>>,
    /// Its files among those of the chain.
    pub files: Range<usize>,
}

impl SealRow {
    fn of(seal: Seal, bytes: &[u8], oid: Oid, files: Range<usize>) -> Self {
        Self {
            seq: seal.seq,
            oid,
            sha256: Digest::of(bytes).to_bytes(),
            size: seal.size,
            root: seal.root.to_bytes(),
            timestamp: seal.timestamp,
            signed_by: seal.signed_by,
            recovery: seal.recovery.map(Box::new),
            files,
        }
    }

    /// Whether this is the same seal.
    pub(super) fn is(&self, seal: &Seal) -> bool {
        Digest::of(&artifact::encode(seal)).to_bytes() == self.sha256
    }

    pub(super) fn mark(&self) -> Mark {
        Mark { size: self.size, root: Digest::from_bytes(&self.root) }
    }

    pub(super) fn passed(&self) -> Passed<'_> {
        Passed {
            seq: self.seq,
            sha256: Digest::from_bytes(&self.sha256),
            mark: self.mark(),
            timestamp: self.timestamp,
            recovery: self.recovery.as_deref(),
        }
    }
}

/// What a write-once file has to be.
pub(super) enum Right {
    /// These bytes, as a seal says.
    Sealed(Sha256),
    /// The blob that stood at the mark, when only what came after it is looked at.
    Stood(Oid),
}

/// One write-once file.
pub(super) struct FileRow {
    pub path: Box<str>,
    pub right: Right,
    /// The seal that names it; 0 for one that stood at the mark.
    pub seal: u64,
    /// Its leaf, once it was found to be right.
    pub leaf: Option<Sha256>,
}

/// Seals and what they name.
#[derive(Default)]
pub(super) struct Chain {
    pub seals: Vec<SealRow>,
    /// In leaf order; after them what stood at the mark.
    pub files: Vec<FileRow>,
    /// By path; of several that name the same path the last counts.
    by_path: Vec<u32>,
    /// What was last said of the files that are no leaves, and by which seal.
    pub documents: BTreeMap<String, (Digest, u64)>,
}

impl Chain {
    /// A seal's row.
    pub(super) fn seal(&self, seq: u64) -> Option<&SealRow> {
        let first = self.seals.first()?.seq;
        self.seals.get(usize::try_from(seq.checked_sub(first)?).ok()?)
    }

    /// The files of a seal, by their places.
    pub(super) fn files_of(&self, seq: u64) -> Range<usize> {
        self.seal(seq).map_or(0..0, |seal| seal.files.clone())
    }

    /// Puts the files in the order of their paths.
    fn sort(&mut self) {
        let files = &self.files;
        self.by_path = (0..u32::try_from(files.len()).unwrap_or(u32::MAX)).collect();
        self.by_path.sort_by(|a, b| {
            let path = |at: &u32| &files[*at as usize].path;
            // The last of equal ones first, which is the one that is kept.
            path(a).cmp(path(b)).then(b.cmp(a))
        });
        self.by_path.dedup_by(|b, a| files[*a as usize].path == files[*b as usize].path);
    }

    /// The places of files in the order of their paths, each path once.
    pub(super) fn by_path(&self) -> &[u32] {
        &self.by_path
    }

    /// Whether any file is in a folder.
    pub(super) fn has_below(&self, folder: &str) -> bool {
        let below = format!("{folder}/");
        let path = |at: &u32| &*self.files[*at as usize].path;
        let at = self.by_path.partition_point(|at| path(at) < below.as_str());
        self.by_path.get(at).is_some_and(|at| path(at).starts_with(&below))
    }

    /// The place of a path.
    pub(super) fn find(&self, path: &str) -> Option<usize> {
        let at = self.by_path.binary_search_by(|at| (*self.files[*at as usize].path).cmp(path));
        Some(self.by_path[at.ok()?] as usize)
    }
}

impl Audit<'_> {
    /// Every seal, in order, each following the one before.
    pub(super) fn seals(&mut self) -> Result<(), LedgerError> {
        let prefix = format!("{SEALS}/");
        let mut numbered: BTreeMap<u64, Oid> = BTreeMap::new();
        let below = self.files.range(prefix.clone()..).take_while(|(p, _)| p.starts_with(&prefix));
        for (path, oid) in below {
            match artifact::parse_seal_path(path) {
                Some(number) => {
                    numbered.insert(number, *oid);
                }
                None if artifact::parse_signature_path(path).is_some() => {}
                None => {
                    let finding = Finding::new(Class::Unsealed, path.clone(), "is no seal");
                    self.report.findings.push(finding);
                }
            }
        }
        let told = self.line.steps.iter().filter_map(|step| step.seal).max();
        let highest = numbered.keys().next_back().copied().max(told).unwrap_or(1);
        let first = self.start.as_ref().map_or(1, |start| start.seen.seq + 1);
        let mut previous = self.start.as_ref().and_then(|start| start.seen.seal.clone());
        for seq in first..=highest {
            progress::tell("seals", self.chain.seals.len(), numbered.len());
            let path = &artifact::seal_path(seq);
            let bytes = match numbered.get(&seq) {
                Some(oid) => Some((*oid, self.store.blob(*oid)?)),
                None => None,
            };
            let found = bytes.as_ref().map(|(_, bytes)| Digest::of(bytes));
            let broken = |what: &str| {
                let mut finding = Finding::new(Class::BrokenSeal, path.clone(), what);
                finding.found = found.clone();
                finding.seal = Some(seq);
                finding
            };
            let read = bytes.map(|(oid, bytes)| (artifact::decode::<Seal>(&bytes), bytes, oid));
            let (seal, bytes, oid) = match read {
                Some((Ok(seal), bytes, oid)) => (seal, bytes, oid),
                other => {
                    let mut finding = match other {
                        Some((Err(error), ..)) => broken(&format!("cannot be read: {error}")),
                        _ => Finding::new(
                            Class::Deleted,
                            path.clone(),
                            format!("seal {seq} is gone"),
                        ),
                    };
                    finding.seal = Some(seq);
                    finding.commit = self.line.last_change(path)?;
                    finding.before = self.line.before(finding.commit.as_deref());
                    self.report.findings.push(finding);
                    // History has it as it was, so what follows can still be judged.
                    match self.first_written(path)? {
                        Some(original) => original,
                        None => break,
                    }
                }
            };
            if seal.seq != seq || seal.previous != previous {
                // The chain tells that one of two neighbours changed; history tells which.
                let at = match &previous {
                    Some(_) if seal.seq == seq && self.line.changed_later(path)?.is_none() => {
                        seq - 1
                    }
                    _ => seq,
                };
                let path = artifact::seal_path(at);
                let what = "does not chain: it is not the seal its successor was made after";
                let mut finding = Finding::new(Class::BrokenSeal, path.clone(), what);
                finding.seal = Some(at);
                finding.commit = self.line.changed_later(&path)?;
                self.report.findings.push(finding);
            } else if seal.tree().is_none() {
                let mut finding = broken("its frontier does not give its root");
                finding.commit = self.line.changed_later(path)?;
                self.report.findings.push(finding);
            }
            previous = Some(Digest::of(&bytes));
            self.keep(seal, &bytes, oid);
        }
        if let Some(start) = &mut self.start {
            self.chain.files.append(&mut start.files);
        }
        self.chain.sort();
        self.report.seals = self.chain.seals.len() as u64;
        Ok(())
    }

    /// Adds a seal to the chain.
    fn keep(&mut self, mut seal: Seal, bytes: &[u8], oid: Oid) {
        let chain = &mut self.chain;
        let begin = chain.files.len();
        // Nobody asks a row for its number before it has its place.
        let seq =
            self.start.as_ref().map_or(0, |start| start.seen.seq) + chain.seals.len() as u64 + 1;
        for file in std::mem::take(&mut seal.documents) {
            chain.documents.insert(file.path, (file.sha256, seal.seq));
        }
        for file in std::mem::take(&mut seal.artifacts) {
            chain.files.push(FileRow {
                path: file.path.into_boxed_str(),
                right: Right::Sealed(file.sha256.to_bytes()),
                seal: seq,
                leaf: None,
            });
        }
        let files = begin..chain.files.len();
        chain.seals.push(SealRow { seq, ..SealRow::of(seal, bytes, oid, files) });
    }

    /// A seal as the first commit that has it wrote it.
    fn first_written(&self, path: &str) -> Result<Option<(Seal, Vec<u8>, Oid)>, LedgerError> {
        for step in &self.line.steps {
            if let Some(entry) = tree::find(self.store, step.tree, path)? {
                let bytes = self.store.blob(entry.oid)?;
                return Ok(artifact::decode(&bytes).ok().map(|seal| (seal, bytes, entry.oid)));
            }
        }
        Ok(None)
    }

    /// `ledger.json` and the README, against the last seal that names them.
    pub(super) fn documents(&mut self) -> Result<(), LedgerError> {
        for (path, (sealed, seq)) in &self.chain.documents {
            let found = tree::file(self.store, self.root, path)?.map(|bytes| Digest::of(&bytes));
            if found.as_ref() == Some(sealed) {
                continue;
            }
            let (class, what) = match found {
                Some(_) => (Class::Altered, "has other bytes than sealed"),
                None => (Class::Deleted, "is gone"),
            };
            let mut finding = Finding::new(class, path.clone(), what);
            finding.sealed = Some(sealed.clone());
            finding.found = found;
            finding.seal = (*seq > 0).then_some(*seq);
            finding.commit = self.line.changed_later(path)?;
            finding.before = self.line.before(finding.commit.as_deref());
            self.report.findings.push(finding);
        }
        Ok(())
    }

    /// The root after every seal, recomputed from the bytes: how many seals have the right one.
    pub(super) fn roots(&mut self) -> Result<usize, LedgerError> {
        let mut frontier =
            self.start.as_ref().map(|start| start.frontier.clone()).unwrap_or_default();
        for (n, seal) in self.chain.seals.iter().enumerate() {
            for file in &self.chain.files[seal.files.clone()] {
                // Another row may have been named for the same path later.
                let later = || self.chain.files[self.chain.find(&file.path)?].leaf;
                let leaf = match (file.leaf.or_else(later), &file.right) {
                    (Some(leaf), _) => Digest::from_bytes(&leaf),
                    (None, Right::Sealed(sha256)) => {
                        let sha256 = Digest::from_bytes(sha256);
                        match self.line.sealed_bytes(&file.path, &sha256)? {
                            Some(bytes) => artifact::leaf(&file.path, &bytes),
                            // Its own finding stands; no root can be computed past it.
                            None => return Ok(n),
                        }
                    }
                    (None, Right::Stood(_)) => return Ok(n),
                };
                frontier.push(leaf);
            }
            if frontier.size() != seal.size || frontier.root().to_bytes() != seal.root {
                let path = artifact::seal_path(seal.seq);
                let what = "its root is not the one its files give";
                let mut finding = Finding::new(Class::BrokenSeal, path.clone(), what);
                finding.seal = Some(seal.seq);
                finding.commit = self.line.changed_later(&path)?;
                self.report.findings.push(finding);
                return Ok(n);
            }
        }
        Ok(self.chain.seals.len())
    }
}
