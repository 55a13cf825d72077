//! Which tasks an id or a range of ids in a sentence means.

use std::collections::{BTreeMap, BTreeSet};

use super::ids::{self, Piece};
use super::tasks::Outline;
use super::tokens::Reference;

/// The tasks that ids name, after copies were merged.
#[derive(Debug, Default)]
pub(super) struct Names {
    by_id: BTreeMap<String, Vec<usize>>,
    sorted: Vec<(Vec<Piece>, String)>,
    groups: BTreeMap<String, Vec<usize>>,
    phases: Vec<Option<usize>>,
    /// The id of each task.
    pub ids: Vec<String>,
}

impl Names {
    /// Indexes the surviving copies of each id.
    pub(super) fn new(
        outline: &Outline,
        copies: &BTreeMap<String, Vec<usize>>,
        of: &[usize],
    ) -> Self {
        let mut sorted: Vec<_> = copies.keys().map(|id| (ids::sort_key(id), id.clone())).collect();
        sorted.sort();
        let groups = outline.groups.iter().map(|(id, tasks)| {
            let mut tasks: Vec<usize> = tasks.iter().map(|task| of[*task]).collect();
            tasks.dedup();
            (id.clone(), tasks)
        });
        Self {
            by_id: copies.clone(),
            sorted,
            groups: groups.collect(),
            phases: outline.tasks.iter().map(|task| task.phase).collect(),
            ids: outline.tasks.iter().map(|task| task.id.clone()).collect(),
        }
    }

    /// Resolves an id: the copy of the phase that names it, else the first.
    fn one(&self, id: &str, phase: Option<usize>, odd: &mut Odd) -> Vec<usize> {
        let Some(copies) = self.by_id.get(id) else {
            if let Some(tasks) = self.groups.get(id) {
                return tasks.clone();
            }
            // `T001-005` is a range where T001 is a task and `T001-005` is not.
            if let Some((first, last)) = id.rsplit_once('-')
                && last.bytes().all(|b| b.is_ascii_digit())
                && self.by_id.contains_key(first)
            {
                return self.range(first, &format!("T{last}"), odd);
            }
            odd.unknown.insert(id.to_owned());
            return Vec::new();
        };
        let own = copies.iter().copied().find(|copy| self.phases[*copy] == phase);
        if own.is_none() && copies.len() > 1 {
            odd.ambiguous.insert(id.to_owned());
        }
        own.or(copies.first().copied()).into_iter().collect()
    }

    /// Resolves a range to the ids that exist; an end that does not exist is worth a word.
    fn range(&self, first: &str, last: &str, odd: &mut Odd) -> Vec<usize> {
        let (low, high) = (ids::sort_key(first), ids::sort_key(last));
        let from = self.sorted.partition_point(|(key, _)| *key < low);
        let to = self.sorted.partition_point(|(key, _)| *key <= high);
        let found = self.sorted.get(from..to.max(from)).unwrap_or(&[]);
        for end in [first, last] {
            if !self.by_id.contains_key(end) && !self.groups.contains_key(end) {
                odd.unknown.insert(end.to_owned());
            }
        }
        found.iter().flat_map(|(_, id)| self.by_id[id].iter().copied()).collect()
    }

    /// Resolves a list of references, noting what is odd about them.
    pub(super) fn all(
        &self,
        references: &[Reference],
        phase: Option<usize>,
        odd: &mut Odd,
    ) -> Vec<usize> {
        let mut found = Vec::new();
        for reference in references {
            found.extend(match reference {
                Reference::One(id) => self.one(id, phase, odd),
                Reference::Range(first, last) => self.range(first, last, odd),
            });
        }
        found
    }
}

/// What a line names that the plan cannot answer.
#[derive(Debug, Default)]
pub(super) struct Odd {
    /// Ids that no task has.
    pub unknown: BTreeSet<String>,
    /// Ids that several tasks have, none of them in the phase that speaks.
    pub ambiguous: BTreeSet<String>,
}

/// Lists names for a message, the first eight and how many more.
pub(super) fn sample<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    match names.len().checked_sub(8) {
        Some(more) if more > 0 => format!("{} and {more} more", names[..8].join(", ")),
        _ => names.join(", "),
    }
}
