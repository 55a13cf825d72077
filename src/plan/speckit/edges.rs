//! Dependency statements, by how much they can be trusted.
//!
//! First tier: in the dependent task itself, or in Mermaid. Second: sentences of a dependencies
//! section. Third: the same, and trees, in its fences. Fourth: arrows in its prose.

use std::collections::{BTreeMap, BTreeSet};

use super::ids::{self, Spelling};
use super::names::{Names, Odd, sample};
use super::remarks;
use super::statements::{self, Said};
use super::tasks::{self, Outline};
use super::tokens::{self, Reference, Token};
use super::{Style, mermaid};
use crate::plan::draft::Warning;
use crate::plan::markdown::{Document, Place};

/// More pairs than this out of one statement say nothing that the order does not say better.
const MOST_PAIRS: usize = 20_000;
/// A bound on a whole plan's pairs, so that hostile text costs no more than a long plan.
const MOST_EDGES: usize = 500_000;

/// Keys of a line under a task whose value names prerequisites.
const NEED_KEYS: [&str; 34] = [
    "depends on",
    "depends",
    "depend on",
    "dependencies",
    "dependency",
    "deps",
    "requires",
    "prerequisites",
    "prerequisite",
    "prereq",
    "prereqs",
    "blocked by",
    "blockers",
    "blocker",
    "after",
    "依赖",
    "依赖于",
    "依赖任务",
    "依賴",
    "依賴於",
    "前置",
    "前置任务",
    "前置任務",
    "의존",
    "의존성",
    "선행",
    "선행 작업",
    "dépendances",
    "dépendance",
    "dépend de",
    "depend de",
    "depende de",
    "dependências",
    "dependencias",
];
/// Keys whose value names dependents.
const GIVE_KEYS: [&str; 7] =
    ["blocks", "blocking", "unblocks", "阻塞", "bloque", "bloquea", "차단"];

/// One task waits for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Edge {
    pub dependent: usize,
    pub prerequisite: usize,
    pub line: u32,
    /// 1 to 4.
    pub tier: u8,
}

/// Collects every edge a plan states, and what was odd about the lines that state them.
pub(super) fn collect(
    document: &Document<'_>,
    outline: &Outline,
    names: &Names,
    of: &[usize],
    style: Style,
) -> (Vec<Edge>, Vec<Warning>) {
    let spelling = style.spelling();
    let (edges, odd) = (Vec::new(), BTreeMap::new());
    let mut collector = Collector { names, spelling, edges, odd, warnings: Vec::new() };
    for (index, task) in outline.tasks.iter().enumerate() {
        let own = Own { task: of[index], id: ids::folded(&task.id), phase: task.phase };
        collector.title(&own, task.line, &task.title);
        for line in task.body.iter().filter(|line| !line.fenced) {
            collector.body(&own, line.number, &line.text);
        }
    }
    for (index, fence) in document.fences.iter().enumerate() {
        let place = Place::Fence(index);
        let lines = || document.lines.iter().filter(|line| line.place == place);
        let inside =
            || lines().filter(|line| line.number != fence.open && Some(line.number) != fence.close);
        if fence.info.starts_with("mermaid") {
            let rows: Vec<(u32, &str)> =
                inside().map(|line| (line.number, line.text.as_ref())).collect();
            for (line, prerequisite, dependent) in mermaid::edges(&rows, spelling) {
                let pair = (&[Reference::One(dependent)], &[Reference::One(prerequisite)]);
                collector.add(line, 1, None, pair.0, pair.1);
            }
        } else if outline.orders.get(fence.open as usize - 1).copied().unwrap_or(false) {
            inside().for_each(|line| collector.section(line.number, &line.text, 3, 3));
            collector.trees(inside().map(|line| (line.number, line.text.as_ref())));
        }
    }
    for (line, orders) in document.lines.iter().zip(&outline.orders) {
        if *orders && line.place == Place::Text && tasks::task_line(&line.text, style).is_none() {
            collector.section(line.number, &line.text, 2, 4);
        }
    }
    collector.finish()
}

/// The task whose own lines are read.
struct Own {
    task: usize,
    id: String,
    phase: Option<usize>,
}

struct Collector<'a> {
    names: &'a Names,
    spelling: Spelling,
    edges: Vec<Edge>,
    odd: BTreeMap<u32, Odd>,
    warnings: Vec<Warning>,
}

impl Collector<'_> {
    /// Reads `(depends on T012, T013)` and its kind in a task's own words.
    fn title(&mut self, own: &Own, line: u32, title: &str) {
        for statement in tokens::statements(title, self.spelling) {
            for said in statements::read(&statement) {
                self.said(own, line, &said);
            }
        }
    }

    fn said(&mut self, own: &Own, line: u32, said: &Said) {
        let me = [Reference::One(own.id.clone())];
        match (&said.dependents, &said.prerequisites) {
            (None, Some(prerequisites)) => self.own(own, line, prerequisites),
            (Some(dependents), Some(prerequisites)) if *dependents == me => {
                self.own(own, line, prerequisites);
            }
            (Some(dependents), Some(prerequisites)) => {
                self.add(line, 2, own.phase, dependents, prerequisites);
            }
            (Some(dependents), None) => self.gives(own, line, dependents),
            (None, None) => {}
        }
    }

    fn own(&mut self, own: &Own, line: u32, prerequisites: &[Reference]) {
        let odd = self.odd.entry(line).or_default();
        let found = self.names.all(prerequisites, own.phase, odd);
        self.pairs(line, 1, &[own.task], &found);
    }

    fn gives(&mut self, own: &Own, line: u32, dependents: &[Reference]) {
        let odd = self.odd.entry(line).or_default();
        let found = self.names.all(dependents, own.phase, odd);
        self.pairs(line, 2, &found, &[own.task]);
    }

    /// Reads a line under a task: `**Dependencies**: T001`, `- Depends on T001`.
    fn body(&mut self, own: &Own, line: u32, text: &str) {
        let keyed = remarks::key_value(text);
        let (key, value) = keyed.as_ref().map_or(("", text), |(key, value)| (key, *value));
        let gives = GIVE_KEYS.contains(&key);
        if NEED_KEYS.contains(&key) || gives {
            let Some(first) = tokens::statements(value, self.spelling).into_iter().next() else {
                return;
            };
            let lists = tokens::lists(&first);
            let references: Vec<Reference> = lists.iter().flat_map(tokens::List::all).collect();
            if gives {
                self.gives(own, line, &references);
            } else {
                self.own(own, line, &references);
            }
            return;
        }
        // Deeper in the line an id is a remark: "to be done after T003, see there".
        let bare = text.trim_start_matches(|c: char| !c.is_alphanumeric());
        let Some(statement) = tokens::statements(bare, self.spelling).into_iter().next() else {
            return;
        };
        if let (Some(Token::Word(_)), [said]) =
            (statement.first(), statements::read(&statement).as_slice())
            && said.dependents.is_none()
            && statements::opens(&statement)
        {
            self.said(own, line, said);
        }
    }

    /// Reads a line of a dependencies section.
    fn section(&mut self, line: u32, text: &str, sentences: u8, arrows: u8) {
        for statement in tokens::statements(text, self.spelling) {
            for said in statements::read(&statement) {
                if let Said { dependents: Some(dependents), prerequisites: Some(needed) } = said {
                    self.add(line, sentences, None, &dependents, &needed);
                }
            }
            if let Some(chain) = statements::sequential(&statement) {
                let odd = self.odd.entry(line).or_default();
                let mut tasks = self.names.all(&chain, None, odd);
                tasks.sort_unstable();
                tasks.dedup();
                for pair in tasks.windows(2) {
                    self.pairs(line, sentences, &pair[1..], &pair[..1]);
                }
            }
            for (prerequisites, dependents) in statements::arrows(&statement) {
                self.add(line, arrows, None, &dependents, &prerequisites);
            }
        }
    }

    /// Reads trees: a task at `├──` or `└──` waits for the one it hangs from.
    ///
    /// A line with a second list of ids is a drawing in columns, where a tree proves nothing.
    fn trees<'t>(&mut self, rows: impl Iterator<Item = (u32, &'t str)>) {
        let mut open: Vec<(usize, Option<Vec<Reference>>)> = Vec::new();
        for (line, text) in rows {
            let column = text.chars().take_while(|c| matches!(c, ' ' | '│' | '|' | '\t')).count();
            let rest: String = text.chars().skip(column).collect();
            let branch = rest.starts_with(['├', '└']);
            let words = rest.trim_start_matches(['├', '└', '─', '-', '→', '>', ' ']);
            if words.is_empty() {
                continue;
            }
            let row =
                tokens::statements(words, self.spelling).into_iter().next().unwrap_or_default();
            let lists = tokens::lists(&row);
            let clean = lists.len() == 1 && lists[0].start == 0 && !words.contains(['├', '└', '┌']);
            let own = clean.then(|| lists[0].all());
            // A root and the branches that hang from it begin in one column.
            let depth = if branch { column * 2 + 1 } else { column * 2 };
            open.retain(|(other, _)| *other < depth);
            if let (true, Some((_, Some(parent))), Some(own)) = (branch, open.last(), &own) {
                let parent = parent.clone();
                self.add(line, 3, None, own, &parent);
            }
            open.push((depth, own));
        }
    }

    fn add(
        &mut self,
        line: u32,
        tier: u8,
        phase: Option<usize>,
        dependents: &[Reference],
        prerequisites: &[Reference],
    ) {
        let odd = self.odd.entry(line).or_default();
        let dependents = self.names.all(dependents, phase, odd);
        let prerequisites = self.names.all(prerequisites, phase, odd);
        self.pairs(line, tier, &dependents, &prerequisites);
    }

    fn pairs(&mut self, line: u32, tier: u8, dependents: &[usize], prerequisites: &[usize]) {
        // `T020-T027 → T023-T029`: whoever stands on both sides cannot wait for itself, and which
        // side was meant nobody can tell.
        let waiting: BTreeSet<usize> = dependents.iter().copied().collect();
        let both: BTreeSet<usize> =
            prerequisites.iter().copied().filter(|task| waiting.contains(task)).collect();
        if !both.is_empty() {
            let ids: Vec<&str> = both.iter().map(|task| self.names.ids[*task].as_str()).collect();
            let message = format!("names {} on both sides: left out", sample(ids.into_iter()));
            self.warnings.push(Warning { line, message });
        }
        let clear = |tasks: &[usize]| -> Vec<usize> {
            tasks.iter().copied().filter(|task| !both.contains(task)).collect()
        };
        let (dependents, prerequisites) = match tier {
            1 => (dependents.to_vec(), prerequisites.to_vec()),
            _ => (clear(dependents), clear(prerequisites)),
        };
        let count = dependents.len().saturating_mul(prerequisites.len());
        if count > MOST_PAIRS || self.edges.len() + count > MOST_EDGES {
            let message = format!("states {count} dependencies at once: left to the plan's order");
            self.warnings.push(Warning { line, message });
            return;
        }
        for &dependent in &dependents {
            for &prerequisite in &prerequisites {
                if dependent != prerequisite {
                    self.edges.push(Edge { dependent, prerequisite, line, tier });
                }
            }
        }
    }

    fn finish(mut self) -> (Vec<Edge>, Vec<Warning>) {
        for (line, odd) in self.odd {
            let shown = |ids: &BTreeSet<String>| sample(ids.iter().map(String::as_str));
            if !odd.unknown.is_empty() {
                let message =
                    format!("names {}, which the plan does not define", shown(&odd.unknown));
                self.warnings.push(Warning { line, message });
            }
            if !odd.ambiguous.is_empty() {
                let names = shown(&odd.ambiguous);
                let message = format!("names {names}, which the plan defines twice: the first");
                self.warnings.push(Warning { line, message });
            }
        }
        (self.edges, self.warnings)
    }
}
