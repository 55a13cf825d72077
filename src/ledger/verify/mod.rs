//! The auditor (L11): recomputes everything from the final tree and the seals, believes no cache,
//! and names class, path and commit of each finding. `--deep` walks every commit as well, and
//! `--since` looks at nothing but what came after a mark.
//!
//! Nothing is kept whole but small rows: a file is read, judged and let go of.

mod chain;
mod commits;
mod contents;
mod items;
mod marks;
mod report;
mod signed;
mod since;

use std::collections::BTreeMap;

use git2::Oid;

use super::cache::Cache;
use super::error::LedgerError;
use super::line::Line;
use super::seen::Seen;
use super::snapshot::Snapshot;
use super::store::Store;
use super::{Ledger, tree};
use crate::artifact::{self, README};

pub use report::{Class, Finding, Since, SinceReport, Verified, VerifyOptions};

use chain::Chain;
use contents::Events;
use items::Items;
use since::Start;

impl Ledger {
    /// Verifies the whole ledger, or what came after a mark.
    ///
    /// # Errors
    /// When there is no ledger, or the repository cannot be read at all.
    pub fn verify(&self, options: &VerifyOptions) -> Result<Verified, LedgerError> {
        let known = Seen::load(&self.cache);
        let told = |tip, error| match &known {
            Some(seen) => seen.pointed(tip, error),
            None => error,
        };
        let Some(tip) = self.store.tip().map_err(|error| told(None, error))? else {
            let Some(seen) = known else { return Err(LedgerError::NoLedger) };
            let what = format!(
                "the branch is gone; this clone saw {} at commit {}",
                seen.mark,
                &seen.tip[..7]
            );
            let mut finding = Finding::new(Class::CutTail, None, what);
            finding.commit = Some(seen.tip);
            return Ok(Verified { findings: vec![finding], ..Verified::default() });
        };
        let mut audit = Audit::of(&self.store, tip);
        if let Err(error) = audit.run(&self.cache, tip, known.as_ref(), options) {
            audit.report.findings.push(Finding::lost(told(Some(tip), error), None)?);
        }
        let Audit { mut report, .. } = audit;
        report.findings.sort_by(|a, b| (a.class, &a.path).cmp(&(b.class, &b.path)));
        if report.findings.is_empty() {
            // A sound ledger becomes what this clone has seen; of part of one the next command
            // takes its own first look.
            if known.is_none() && options.since.is_none() {
                Seen::first(&self.store, tip)?.save(&self.cache);
            }
            since::remember(&self.cache, &report);
        }
        Ok(report)
    }
}

/// One verification on its way.
struct Audit<'a> {
    store: &'a Store,
    report: Verified,
    /// The tree that is verified.
    root: Oid,
    line: Line<'a>,
    /// Where it begins, when that is not the first commit.
    start: Option<Start>,
    /// The files it looks at, by path.
    files: BTreeMap<String, Oid>,
    chain: Chain,
    events: Events,
    items: Items,
}

impl<'a> Audit<'a> {
    fn of(store: &'a Store, tip: Oid) -> Self {
        Self {
            store,
            report: Verified { tip: tip.to_string(), ..Verified::default() },
            root: tip,
            line: Line::empty(store),
            start: None,
            files: BTreeMap::new(),
            chain: Chain::default(),
            events: Events::default(),
            items: Items::default(),
        }
    }

    fn run(
        &mut self,
        cache: &Cache,
        tip: Oid,
        known: Option<&Seen>,
        options: &VerifyOptions,
    ) -> Result<(), LedgerError> {
        match &options.since {
            None => drop(self.back(tip, |_| false)?),
            Some(since) => {
                if !self.begin(cache, tip, since)? {
                    return Ok(());
                }
            }
        }
        // The commit a verification begins at is not one that came after it.
        self.report.commits = self.line.steps.len() - usize::from(self.start.is_some());
        // A ledger of the future is not judged by the rules of today.
        self.root = self.store.commit(tip)?.tree;
        match Snapshot::format_of(self.store, self.root) {
            // Damage: `documents` names it.
            Err(LedgerError::LedgerStopped { .. }) => {}
            Err(LedgerError::NewerFormat { .. }) if !self.sealed_by(artifact::LEDGER_DOC)? => {}
            other => drop(other?),
        }
        match &self.start {
            None => self.files = tree::files(self.store, self.root, "artifacts")?,
            Some(_) => self.scope()?,
        }
        for folder in ["artifacts/busy/", "artifacts/claims/", "artifacts/schedule/"] {
            let mut derived = self.files.split_off(folder);
            let end = derived.keys().find(|path| !path.starts_with(folder)).cloned();
            if let Some(end) = end {
                self.files.append(&mut derived.split_off(&end));
            }
            self.items.derived.append(&mut derived);
        }
        self.seals()?;
        self.contents()?;
        self.documents()?;
        let right = self.roots()?;
        self.links()?;
        self.settle()?;
        let audited = self.signatures(options)?;
        self.commits(&audited, options.deep || self.start.is_some())?;
        self.marks(known, options, right);
        let begun = self.start.as_ref().map(|start| start.seen.mark.clone());
        self.report.mark = self.chain.seals.last().map(|seal| seal.mark()).or(begun);
        Ok(())
    }

    /// Walks back from the tip; says whether some of the way is not here, which is a finding.
    fn back(&mut self, tip: Oid, enough: impl Fn(Oid) -> bool) -> Result<bool, LedgerError> {
        let (line, lost) = Line::back(self.store, tip, enough)?;
        self.line = line;
        let lost = lost.map(|error| Finding::lost(error, None)).transpose()?;
        let missing = lost.is_some();
        self.report.findings.extend(lost);
        Ok(missing)
    }

    /// Whether the commit that gave a path its content says it sealed something.
    fn sealed_by(&self, path: &str) -> Result<bool, LedgerError> {
        let last = self.line.last_change(path)?;
        let step = self.line.steps.iter().find(|step| Some(step.oid.to_string()) == last);
        Ok(step.is_some_and(|step| step.seal.is_some()))
    }
}

/// The README is no leaf and no part of `artifacts/`, but is sealed all the same.
pub(super) const DOCUMENTS: [&str; 2] = [artifact::LEDGER_DOC, README];
