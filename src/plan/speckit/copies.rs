//! Repeated ids: copies that say the same become one step, the others get names of their own.

use std::collections::{BTreeMap, BTreeSet};

use super::tasks::{Item, Outline};
use super::{Style, ids};
use crate::plan::draft::{DraftState, Unreadable, Warning};

/// What became of the copies of repeated ids.
#[derive(Debug)]
pub(super) struct Copies {
    /// The surviving tasks of each id, in document order.
    pub by_id: BTreeMap<String, Vec<usize>>,
    /// For each task the one it was merged into, itself where it survives.
    pub of: Vec<usize>,
    /// The step key of each surviving task.
    pub keys: Vec<String>,
}

impl Copies {
    /// Gives the items that stay: merged copies go, and checkpoints of sections without tasks.
    pub(super) fn standing(&self, outline: &Outline) -> Vec<Item> {
        let survives = |task: &usize| self.of[*task] == *task;
        let held: BTreeSet<Option<usize>> = (0..outline.tasks.len())
            .filter(survives)
            .map(|task| outline.tasks[task].phase)
            .collect();
        let stays = |item: &&Item| match item {
            Item::Task(task) => survives(task),
            Item::Checkpoint { phase, .. } => held.contains(phase),
        };
        outline.items.iter().filter(stays).cloned().collect()
    }
}

/// Merges copies that say the same and names those that do not.
///
/// # Errors
/// When a second line with an id may as well be a remark on the task as a task.
pub(super) fn merge(
    outline: &mut Outline,
    style: Style,
    warnings: &mut Vec<Warning>,
) -> Result<Copies, Unreadable> {
    let mut by_id: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    let mut of = Vec::new();
    let mut keys = Vec::new();
    let mut said: BTreeMap<(String, String), usize> = BTreeMap::new();
    let mut taken = Keys::reserving(outline.tasks.iter().map(|task| ids::key_of(&task.id)));
    let ordinals = ordinals(outline);
    for index in 0..outline.tasks.len() {
        let (id, line) = (outline.tasks[index].id.clone(), outline.tasks[index].line);
        let survivors = by_id.entry(ids::folded(&id)).or_default();
        let words = (ids::folded(&id), outline.tasks[index].text.clone());
        let twin = said.get(&words).copied();
        if let Some(twin) = twin {
            let (first, second) = (outline.tasks[twin].state, outline.tasks[index].state);
            let state = merged_state(first, second);
            let note = match state != first || state != second {
                true => format!(", {} because one copy is", word(state)),
                false => String::new(),
            };
            let at = outline.tasks[twin].line;
            let message = format!("{id} is here again as on line {at}: one step{note}");
            warnings.push(Warning { line, message });
            outline.tasks[twin].state = state;
            of.push(twin);
            keys.push(String::new());
            continue;
        }
        let mut key = ids::key_of(&id);
        if let Some(first) = survivors.first().filter(|_| !style.marks_tasks()) {
            let message = format!(
                "{id} stands here again with other words, and without boxes nobody can tell a \
                 second task from a remark: write tasks as - [ ] {id} …"
            );
            let at = outline.tasks[*first].line;
            let related = vec![(at, format!("the first {id}"))];
            return Err(Unreadable { line, message, related });
        }
        if !survivors.is_empty() {
            let label = outline.tasks[index].phase.map(|phase| label(outline, &ordinals, phase));
            if let Some(label) = label {
                key = ids::key_of(&format!("{id}-phase{label}"));
            }
            key = taken.unique(key);
            let at = outline.tasks[survivors[0]].line;
            let message = format!("{id} has other words on line {at}: this one is {key}");
            warnings.push(Warning { line, message });
        } else {
            key = taken.own(key);
        }
        said.insert(words, index);
        survivors.push(index);
        of.push(index);
        keys.push(key);
    }
    Ok(Copies { by_id, of, keys })
}

/// The keys of a plan, each given once.
#[derive(Debug, Default)]
pub(super) struct Keys {
    /// Keys that ids have by themselves, whether their task was met yet or not.
    reserved: BTreeSet<String>,
    given: BTreeSet<String>,
    /// The last number put behind a key, so that a thousand copies are not counted from 2 each.
    numbers: BTreeMap<String, u32>,
}

impl Keys {
    /// Keeps the keys of ids for the tasks that have them: one that stands later keeps its name.
    pub(super) fn reserving(keys: impl Iterator<Item = String>) -> Self {
        Self { reserved: keys.collect(), ..Self::default() }
    }

    /// Gives an id its own key; two long ids could in principle share one.
    fn own(&mut self, key: String) -> String {
        if self.given.insert(key.clone()) { key } else { self.unique(key) }
    }

    /// Gives a key nobody has, counting up from `-2`.
    pub(super) fn unique(&mut self, key: String) -> String {
        let free = |key: &String| !self.reserved.contains(key) && !self.given.contains(key);
        let mut number = self.numbers.get(&key).copied().unwrap_or(1);
        let mut found = key.clone();
        while !free(&found) {
            number += 1;
            found = ids::key_of(&format!("{key}-{number}"));
        }
        self.numbers.insert(key, number);
        self.given.insert(found.clone());
        found
    }
}

fn merged_state(first: DraftState, second: DraftState) -> DraftState {
    match (first, second) {
        (DraftState::Open, _) | (_, DraftState::Open) => DraftState::Open,
        (DraftState::Done, _) | (_, DraftState::Done) => DraftState::Done,
        _ => DraftState::Skipped,
    }
}

/// Gives a state's word for a message.
pub(super) fn word(state: DraftState) -> &'static str {
    match state {
        DraftState::Open => "open",
        DraftState::Done => "done",
        DraftState::Skipped => "skipped",
    }
}

/// Numbers the sections that hold tasks, from 1.
pub(super) fn ordinals(outline: &Outline) -> BTreeMap<usize, usize> {
    let phases: BTreeSet<usize> = outline.tasks.iter().filter_map(|task| task.phase).collect();
    phases.into_iter().enumerate().map(|(nth, phase)| (phase, nth + 1)).collect()
}

/// Gives a phase's label: its heading's own, else its ordinal.
pub(super) fn label(outline: &Outline, ordinals: &BTreeMap<usize, usize>, phase: usize) -> String {
    match &outline.sections[phase].label {
        Some(label) => label.clone(),
        None => ordinals.get(&phase).copied().unwrap_or(0).to_string(),
    }
}
