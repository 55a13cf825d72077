//! Remembered and given marks are still a prefix of the history.

use git2::Oid;

use super::super::error::{LedgerError, Rewrite};
use super::super::seen::Seen;
use super::Audit;
use super::report::{Class, Finding, VerifyOptions};
use crate::artifact::Mark;

impl Audit<'_> {
    /// Looks marks up among the seals whose roots are right: so many of them.
    pub(super) fn marks(&mut self, known: Option<&Seen>, options: &VerifyOptions, right: usize) {
        let tip = self.line.steps.last().map_or(Oid::ZERO_SHA1, |step| step.oid);
        // Too short for a mark and still no earlier state of it: another history, and no cut.
        let other = known.is_some_and(|seen| seen.goes_back_to(self.store, tip) == Some(false));
        let remembered =
            known.map(|seen| (&seen.mark, "this clone remembers", Some(&seen.tip), other));
        let given = options.marks.iter().map(|mark| (mark, "given with --mark", None, false));
        let seals = &self.chain.seals[..right];
        let begin = self.start.as_ref().map(|start| start.seen.mark.clone());
        let begun = begin.as_ref().map_or(0, |mark| mark.size);
        let largest = seals.last().map_or(begun, |seal| seal.size);
        // Roots could not all be computed: the reason is a finding already.
        let whole = self.report.findings.iter().all(|finding| {
            !finding.class.is_unread()
                && !matches!(finding.class, Class::BrokenSeal | Class::Deleted)
        });
        let mut findings = Vec::new();
        for (mark, whose, seen, other) in remembered.into_iter().chain(given) {
            // Of what stood before the beginning nothing was computed.
            if mark.size < begun {
                continue;
            }
            let at = seals.partition_point(|seal| seal.size < mark.size);
            let root = seals.get(at).filter(|seal| seal.size == mark.size).map(|seal| seal.mark());
            let root = root.or_else(|| begin.clone().filter(|begin| begin.size == mark.size));
            let mut finding = match root {
                Some(root) if root == *mark => continue,
                None if mark.size > largest && !whole => continue,
                None if mark.size > largest && !other => ends(largest, mark, whose),
                Some(_) | None => another(mark, whose),
            };
            finding.commit = seen.cloned();
            findings.push(finding);
        }
        self.report.findings.append(&mut findings);
        let told = self
            .report
            .findings
            .iter()
            .any(|f| matches!(f.class, Class::CutTail | Class::Rewritten));
        // The same events under other commits: the mark holds, the commits are not those seen.
        if let Some(seen) = known
            && !told
            && !self.report.findings.iter().any(|f| f.class.is_unread())
            && !self.has(&seen.tip)
        {
            let (class, how) = match seen.rewritten(self.store, tip) {
                LedgerError::Rewritten { how: Rewrite::CutTail, .. } => {
                    (Class::CutTail, "ends before")
                }
                _ => (Class::Rewritten, "does not contain"),
            };
            let what = format!("the branch {how} commit {}, which this clone saw", &seen.tip[..7]);
            let mut finding = Finding::new(class, None, what);
            finding.commit = Some(seen.tip.clone());
            self.report.findings.push(finding);
        }
    }

    /// Whether a commit is one of the history.
    fn has(&self, commit: &str) -> bool {
        let Ok(commit) = Oid::from_str(commit) else { return false };
        let here = self.line.steps.iter().any(|step| step.oid == commit);
        let before = || {
            let first = self.line.steps.first().filter(|_| self.start.is_some());
            first.is_some_and(|first| {
                // What cannot be read is no proof of another history.
                self.store.on_line(first.oid, commit, usize::MAX).unwrap_or(true)
            })
        };
        here || before()
    }
}

/// The history is too short for a mark.
pub(super) fn ends(largest: u64, mark: &Mark, whose: &str) -> Finding {
    let what =
        format!("the history ends at {largest}, before mark {} {}, {whose}", mark.size, mark.root);
    Finding::new(Class::CutTail, None, what)
}

/// The history is not the one of a mark.
pub(super) fn another(mark: &Mark, whose: &str) -> Finding {
    let what = format!("the history is not the one of mark {} {}, {whose}", mark.size, mark.root);
    Finding::new(Class::Rewritten, None, what)
}
