//! Every commit in order: the next seal, nothing of the ledger's, or foreign; and what was put
//! right since.

use std::collections::BTreeSet;

use super::super::error::LedgerError;
use super::super::seen::{self, Arrived, Check, Seen};
use super::super::signatures::Audited;
use super::super::{progress, tree};
use super::Audit;
use super::report::{Class, Finding};
use crate::artifact::{self, Recovery, SEALS};
use crate::domain::id::Digest;
use crate::domain::keys::Keyring;

impl Audit<'_> {
    /// Every commit that changes `artifacts/` has the next seal; what was put back is said.
    pub(super) fn commits(&mut self, audited: &Audited, deep: bool) -> Result<(), LedgerError> {
        let mut foreign: Vec<Open> = Vec::new();
        let mut recoveries: Vec<Recovery> = Vec::new();
        let facts = |seq: u64| audited.changes.get(&seq).map_or(&[][..], Vec::as_slice);
        let mut next = 1u64;
        let mut seen: Option<Seen> = None;
        let mut old = None;
        // The tree of the last sound commit: its seal stands there as it was written.
        let mut sound = None;
        let seal_of = |seq: u64| self.chain.seal(seq);
        // Where seals were put back another stood before, and a signature that does not hold now
        // may have held when it came.
        let doubtful = |seq: u64| {
            let recovery = seal_of(seq).and_then(|seal| seal.recovery.as_ref());
            recovery.is_some_and(|r| r.restored.iter().any(|file| file.path.starts_with(SEALS)))
                || audited.wrong.binary_search_by_key(&seq, |(seal, _)| *seal).is_ok()
        };
        for (n, step) in self.line.steps.iter().enumerate() {
            progress::tell("commits", n, self.line.steps.len());
            let says_next = step.seal == Some(next);
            let judged = match (&mut seen, old) {
                (Some(seen), Some(old)) if deep || !says_next || step.merge || doubtful(next) => {
                    if let Some(sound) = sound {
                        let last = tree::file(self.store, sound, &artifact::seal_path(seen.seq))?;
                        seen.seal = last.map(|bytes| Digest::of(&bytes));
                    }
                    match seen::check_commit(self.store, seen, old, step)? {
                        Check::Sealed(Arrived { seal, facts: own, paths, wrong }) => {
                            match wrong.filter(|_| seal.seq <= audited.judged) {
                                None => {
                                    seen.take(&seal, &own);
                                    sound = Some(step.tree);
                                    recoveries.extend(answer(&mut foreign, seal.recovery.as_ref()));
                                    None
                                }
                                // It was built upon: a bad signature is a finding of its own, and
                                // puts nothing right.
                                Some(_) if seal_of(seal.seq).is_some_and(|row| row.is(&seal)) => {
                                    seen.take(&seal, facts(seal.seq));
                                    sound = Some(step.tree);
                                    None
                                }
                                // Another seal took its place.
                                Some(why) => Some((paths, why)),
                            }
                        }
                        Check::NotOurs => None,
                        Check::Foreign { paths, why } => Some((paths, why)),
                    }
                }
                // The trailer says the next seal, and the final tree has shown that seal sound.
                (Some(seen), _) => {
                    if let Some(seal) = seal_of(next) {
                        seen.pass(seal.passed(), facts(seal.seq));
                        sound = Some(step.tree);
                        recoveries.extend(answer(&mut foreign, seal.recovery.as_deref()));
                    }
                    None
                }
                // What stood at the mark is what the caller knows.
                (None, _) if let Some(start) = &self.start => {
                    seen = Some(start.seen.clone());
                    sound = Some(step.tree);
                    None
                }
                // The first commit seals itself; a shallow line begins in the middle.
                (None, _) => {
                    next = step.seal.unwrap_or(1);
                    sound = Some(step.tree);
                    let mut keys = Keyring::default();
                    for seal in self.chain.seals.iter().take_while(|seal| seal.seq <= next) {
                        keys.take(seal.seq, seal.timestamp, facts(seal.seq));
                    }
                    seen = seal_of(next).map(|seal| Seen {
                        tip: step.oid.to_string(),
                        seq: seal.seq,
                        seal: None,
                        mark: seal.mark(),
                        keys,
                        foreign: Vec::new(),
                    });
                    None
                }
            };
            if let Some((paths, why)) = judged {
                let (commit, open) = (step.oid.to_string(), paths.clone());
                foreign.push(Open { commit, paths, why, open, answered: false });
            }
            next = seen.as_ref().map_or(next, |seen| seen.seq + 1);
            old = Some(step.tree);
        }
        for Open { commit, paths, why, open, answered } in foreign {
            // A merge may change no file: then only its own name can be answered.
            if open.is_empty() && (answered || !paths.is_empty()) {
                self.report.corrected.extend(paths.into_iter().map(|path| (path, commit.clone())));
                continue;
            }
            // A finding that names this commit says it all already.
            let told = self.report.findings.iter().any(|f| f.commit.as_deref() == Some(&commit));
            if told {
                continue;
            }
            let what = format!("commit {} is not stepseal's: {why}", &commit[..7]);
            let mut paths: Vec<Option<String>> = open.into_iter().take(100).map(Some).collect();
            if paths.is_empty() {
                paths.push(None);
            }
            for path in paths {
                let mut finding = Finding::new(Class::ForeignCommit, path, what.clone());
                finding.before = self.line.before(Some(&commit));
                finding.commit = Some(commit.clone());
                self.report.findings.push(finding);
            }
        }
        // What was put back without a foreign commit of its own, such as the README.
        for recovery in recoveries {
            let Some(commit) = recovery.foreign_commits.first() else { continue };
            for file in &recovery.restored {
                let told = self.report.corrected.iter().any(|(path, _)| *path == file.path);
                if !told {
                    self.report.corrected.push((file.path.clone(), commit.clone()));
                }
            }
        }
        self.unknown_items();
        Ok(())
    }

    /// An item that no seal knows cannot be stopped, or corrected by its name.
    fn unknown_items(&mut self) {
        if self.report.findings.iter().all(|finding| finding.item.is_none()) {
            return;
        }
        let files = self.chain.files.iter();
        let known: BTreeSet<&str> = files
            .filter_map(|file| match seen::concern(&file.path) {
                seen::Concern::Item(item) => Some(item),
                _ => None,
            })
            .collect();
        for finding in &mut self.report.findings {
            if finding.item.as_ref().is_some_and(|item| !known.contains(item.as_str())) {
                finding.item = None;
            }
        }
    }
}

/// A commit that is not stepseal's, and which of its paths no later correction has answered.
struct Open {
    commit: String,
    paths: Vec<String>,
    why: String,
    open: Vec<String>,
    answered: bool,
}

/// What a sound seal puts right of the commits before it; one that is not sound answers nothing,
/// and nothing is answered before it has happened.
fn answer(foreign: &mut [Open], recovery: Option<&Recovery>) -> Option<Recovery> {
    let recovery = recovery.cloned()?;
    for one in foreign {
        one.open.retain(|path| recovery.restored.iter().all(|restored| restored.path != *path));
        one.answered |= recovery.foreign_commits.contains(&one.commit);
    }
    Some(recovery)
}
