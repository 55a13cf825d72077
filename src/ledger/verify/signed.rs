//! Every signature, on the keys before it: what [`signatures::audit`] reads, and what it found as
//! findings.

use std::collections::{BTreeMap, BTreeSet};

use git2::Oid;

use super::super::error::LedgerError;
use super::super::line::Line;
use super::super::signatures::{self, Audited, Papers, Sealing};
use super::super::store::Store;
use super::super::{progress, tree};
use super::Audit;
use super::chain::Chain;
use super::report::{Class, Finding, VerifyOptions};
use crate::artifact::{self, SEALS};
use crate::domain::id::Digest;
use crate::domain::keys::Fact;

/// The files signatures are judged by.
struct Desk<'a> {
    store: &'a Store,
    line: &'a Line<'a>,
    chain: &'a Chain,
    facts: BTreeMap<u32, Fact>,
    /// The blobs of signatures.
    found: BTreeMap<u64, Oid>,
    /// Signatures that cannot be read.
    lost: BTreeMap<u64, LedgerError>,
}

impl Papers for Desk<'_> {
    fn facts(&mut self, seq: u64) -> Option<Vec<Fact>> {
        progress::tell("signatures", usize::try_from(seq).unwrap_or(0), self.chain.seals.len());
        Audit::facts_of(&self.chain.files, self.chain.files_of(seq), &mut self.facts)
    }

    fn seal(&mut self, seq: u64) -> Result<Vec<u8>, LedgerError> {
        match self.chain.seal(seq) {
            Some(seal) => self.store.blob(seal.oid),
            None => Ok(Vec::new()),
        }
    }

    fn signature(&mut self, seq: u64) -> Option<Vec<u8>> {
        match self.store.blob(*self.found.get(&seq)?) {
            Ok(bytes) => Some(bytes),
            Err(error) => {
                self.lost.insert(seq, error);
                None
            }
        }
    }

    fn original(&mut self, seq: u64) -> Option<Vec<u8>> {
        let path = artifact::signature_path(seq);
        let mut steps = self.line.steps.iter();
        steps.find_map(|step| tree::file(self.store, step.tree, &path).ok().flatten())
    }
}

impl Audit<'_> {
    /// Every signature, on the keys before it.
    pub(super) fn signatures(&mut self, options: &VerifyOptions) -> Result<Audited, LedgerError> {
        let mut found = BTreeMap::new();
        let last = self.chain.seals.last().map_or(0, |seal| seal.seq);
        let prefix = format!("{SEALS}/");
        let below = self.files.range(prefix.clone()..).take_while(|(p, _)| p.starts_with(&prefix));
        for (path, oid) in below {
            match artifact::parse_signature_path(path) {
                Some(seq) if seq > last => {
                    let what = "is beside no seal";
                    self.report.findings.push(Finding::new(Class::Unsealed, path.clone(), what));
                }
                Some(seq) => drop(found.insert(seq, *oid)),
                None => {}
            }
        }
        let facts = std::mem::take(&mut self.events.facts);
        let (store, line, chain) = (self.store, &self.line, &self.chain);
        let mut desk = Desk { store, line, chain, facts, found, lost: BTreeMap::new() };
        let seals: Vec<Sealing<'_>> = self
            .chain
            .seals
            .iter()
            .map(|seal| Sealing {
                seq: seal.seq,
                timestamp: seal.timestamp,
                signed_by: seal.signed_by.as_ref(),
            })
            .collect();
        let keys = self.start.as_ref().map(|start| start.seen.keys.clone()).unwrap_or_default();
        let mut audited = signatures::audit(&seals, keys, &mut desk)?;
        // Where the judging ended before, the rest is still looked at.
        for seq in audited.judged + 1..=last {
            desk.signature(seq);
        }
        let Desk { found, lost, .. } = desk;
        let unread: BTreeSet<u64> = lost.keys().copied().collect();
        for (seq, error) in lost {
            let finding = Finding::lost(error, Some(artifact::signature_path(seq)))?;
            self.report.findings.push(finding);
        }
        let mut wrong: Vec<(u64, Class, String)> = audited
            .wrong
            .iter()
            // One that cannot be read is not gone: nothing can be said of it.
            .filter(|(seal, wrong)| wrong.class != Class::Deleted || !unread.contains(seal))
            .map(|(seal, wrong)| (*seal, wrong.class, wrong.what.clone()))
            .collect();
        if let Some(from) = options.require_signatures {
            for &(first, last) in &audited.unsigned {
                let first = first.max(from);
                let what = match last.saturating_sub(first) {
                    _ if first > last => continue,
                    0 => format!("seal {first} is not signed"),
                    _ => format!("seals {first} to {last} are not signed"),
                };
                wrong.push((first, Class::Unsigned, what));
            }
        }
        if let (Some(wanted), Some((root, seal))) = (&options.root_key, &audited.signatures.root)
            && wanted != root
        {
            let what = format!("the first key is {root}, not the one given with --root-key");
            wrong.push((*seal, Class::UnknownKey, what));
        }
        let mut findings = Vec::new();
        for (seal, class, what) in wrong {
            // What is wrong with the seal itself, and not with the file beside it.
            let path = match class {
                Class::Unsigned | Class::IllegalTransition => artifact::seal_path(seal),
                _ => artifact::signature_path(seal),
            };
            let mut finding = Finding::new(class, path, what);
            finding.seal = Some(seal);
            finding.found = match found.get(&seal).filter(|_| !unread.contains(&seal)) {
                Some(oid) => Some(Digest::of(&self.store.blob(*oid)?)),
                None => None,
            };
            findings.push(finding);
        }
        // A signature that never was came with its seal.
        let bare = |path: &str| path.strip_suffix(".sig").unwrap_or(path).to_owned();
        let paths = findings.iter().filter_map(|finding| finding.path.clone());
        let paths = paths.flat_map(|path| [bare(&path), path]).collect();
        let changed = self.changed_seals(&paths)?;
        for mut finding in findings {
            finding.commit = finding
                .path
                .as_ref()
                .and_then(|path| changed.get(path).or_else(|| changed.get(&bare(path))).cloned());
            self.report.findings.push(finding);
        }
        self.report.signatures = std::mem::take(&mut audited.signatures);
        Ok(audited)
    }

    /// The commits that gave files among the seals what they have now: one walk for all of them.
    fn changed_seals(
        &self,
        paths: &BTreeSet<String>,
    ) -> Result<BTreeMap<String, String>, LedgerError> {
        let mut changed = BTreeMap::new();
        if paths.is_empty() {
            return Ok(changed);
        }
        let mut before = None;
        for step in &self.line.steps {
            let here = tree::find(self.store, step.tree, SEALS)?.map(|entry| entry.oid);
            for difference in tree::compare(self.store, before, here)? {
                let path = format!("{SEALS}/{}", difference.path);
                if paths.contains(&path) {
                    changed.insert(path, step.oid.to_string());
                }
            }
            before = here;
        }
        Ok(changed)
    }
}
