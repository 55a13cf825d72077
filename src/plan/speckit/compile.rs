//! The compile rules: copies, waves, moves, edges and checkpoints into an ordered draft.
//!
//! Document order is execution order. A wave gets its group before anything moves, so a task that
//! leaves never lets two waves run into each other.

use std::collections::{BTreeMap, BTreeSet};

use super::Style;
use super::copies::{self, Keys, label, ordinals, word};
use super::edges::{self, Edge};
use super::ids;
use super::names::{Names, sample};
use super::tasks::{Item, Outline, Task};
use crate::plan::draft::{
    Checkpoint, Draft, DraftState, DraftStep, Need, NeedWhy, Phase, Unreadable, Warning,
};
use crate::plan::markdown::Document;

/// How many earlier tasks of one path a task waits for; those wait for the ones before them.
const MOST_SAME_PATH: usize = 32;

/// Compiles an outline into a draft.
///
/// # Errors
/// When the stated edges run in a circle, or a line is either a task or a remark on one.
pub(super) fn compile(
    document: &Document<'_>,
    mut outline: Outline,
    style: Style,
) -> Result<Draft, Unreadable> {
    let mut warnings = std::mem::take(&mut outline.warnings);
    let copies = copies::merge(&mut outline, style, &mut warnings)?;
    let names = Names::new(&outline, &copies.by_id, &copies.of);
    let (stated, odd) = edges::collect(document, &outline, &names, &copies.of, style);
    warnings.extend(odd);
    let items = copies.standing(&outline);
    let mut plan = Plan::new(&outline, &items, copies.keys);
    plan.accept(stated, &mut warnings);
    plan.refuse_cycles()?;
    let order = plan.launch_order(&items, &mut warnings);
    let draft = plan.draft(&order, &outline, style, warnings);
    Ok(draft)
}

/// Where a task will run: what a moved task takes from the one it is moved to.
#[derive(Debug, Clone, Copy)]
struct Placement {
    phase: Option<usize>,
    /// The wave it belongs to; none for a sequential step.
    wave: Option<usize>,
}

struct Plan<'a> {
    tasks: &'a [Task],
    keys: Vec<String>,
    /// Place in the document among the items that stay.
    position: Vec<usize>,
    placement: Vec<Placement>,
    /// Accepted edges: dependent → prerequisite → edge.
    edges: BTreeMap<usize, BTreeMap<usize, Edge>>,
}

impl<'a> Plan<'a> {
    fn new(outline: &'a Outline, items: &[Item], keys: Vec<String>) -> Self {
        let tasks = outline.tasks.as_slice();
        let mut position = vec![usize::MAX; tasks.len()];
        let mut placement: Vec<Placement> =
            tasks.iter().map(|task| Placement { phase: task.phase, wave: None }).collect();
        let mut waves = 0;
        let mut before: Option<usize> = None;
        for (at, item) in items.iter().enumerate() {
            // A gate between two tasks ends a wave: every step waits for a lower gate anyway.
            let Item::Task(task) = *item else {
                before = None;
                continue;
            };
            position[task] = at;
            let same = |other: &usize| {
                let (here, there) = (&tasks[task], &tasks[*other]);
                there.parallel && here.phase == there.phase && here.block == there.block
            };
            if tasks[task].parallel {
                let joined = before.filter(same).and_then(|other| placement[other].wave);
                placement[task].wave = Some(joined.unwrap_or_else(|| {
                    waves += 1;
                    waves
                }));
            }
            before = Some(task);
        }
        Plan { tasks, keys, position, placement, edges: BTreeMap::new() }
    }

    /// Sorts the stated edges out: kept, dropped with a note, ignored with a warning.
    fn accept(&mut self, stated: Vec<Edge>, warnings: &mut Vec<Warning>) {
        let mut backward: BTreeMap<u32, BTreeSet<(usize, usize)>> = BTreeMap::new();
        for edge in stated {
            let later = self.position[edge.prerequisite] > self.position[edge.dependent];
            if later && edge.tier > 1 {
                backward.entry(edge.line).or_default().insert((edge.dependent, edge.prerequisite));
                continue;
            }
            if later && self.tasks[edge.prerequisite].state != DraftState::Open {
                warnings.push(self.dropped(edge));
                continue;
            }
            let kept = self.edges.entry(edge.dependent).or_default();
            let known = kept.entry(edge.prerequisite).or_insert(edge);
            if (edge.tier, edge.line) < (known.tier, known.line) {
                *known = edge;
            }
        }
        for (line, pairs) in backward {
            let key = |task: usize| self.keys[task].as_str();
            let (dependent, prerequisite) = *pairs.first().expect("one pair made the entry");
            let (dependent, prerequisite) = (key(dependent), key(prerequisite));
            let more = match pairs.len() {
                1 => String::new(),
                count => format!(" (and {} more like it)", count - 1),
            };
            let message = format!(
                "says {dependent} waits for {prerequisite}, which stands later{more}: ignored"
            );
            warnings.push(Warning { line, message });
        }
    }

    fn dropped(&self, edge: Edge) -> Warning {
        let (dependent, later) = (&self.keys[edge.dependent], &self.keys[edge.prerequisite]);
        let state = word(self.tasks[edge.prerequisite].state);
        let message =
            format!("{dependent} depends on {later}, which stands later and is {state}: dropped");
        Warning { line: edge.line, message }
    }

    /// Refuses edges that run in a circle, naming them all.
    fn refuse_cycles(&self) -> Result<(), Unreadable> {
        let mut closed = vec![false; self.tasks.len()];
        for &root in self.edges.keys() {
            if closed[root] {
                continue;
            }
            let mut path: Vec<(usize, Vec<usize>)> = vec![(root, self.prerequisites(root))];
            let mut on_path = BTreeSet::from([root]);
            while let Some((task, open)) = path.last_mut() {
                let task = *task;
                let Some(next) = open.pop() else {
                    closed[task] = true;
                    on_path.remove(&task);
                    path.pop();
                    continue;
                };
                if on_path.contains(&next) {
                    let from = path.iter().position(|(other, _)| *other == next).unwrap_or(0);
                    let circle: Vec<usize> = path[from..].iter().map(|(task, _)| *task).collect();
                    return Err(self.circle(&circle));
                }
                if !closed[next] {
                    on_path.insert(next);
                    path.push((next, self.prerequisites(next)));
                }
            }
        }
        Ok(())
    }

    /// Prerequisites in falling document order, to be popped off the end.
    fn prerequisites(&self, task: usize) -> Vec<usize> {
        let mut found: Vec<usize> =
            self.edges.get(&task).into_iter().flat_map(BTreeMap::keys).copied().collect();
        found.sort_by_key(|task| std::cmp::Reverse(self.position[*task]));
        found
    }

    fn circle(&self, circle: &[usize]) -> Unreadable {
        let mut said: Vec<(u32, String)> = circle
            .iter()
            .zip(circle.iter().cycle().skip(1))
            .filter_map(|(dependent, needed)| {
                let line = self.edges.get(dependent)?.get(needed)?.line;
                let (dependent, needed) = (&self.keys[*dependent], &self.keys[*needed]);
                Some((line, format!("{dependent} depends on {needed}")))
            })
            .collect();
        said.sort();
        said.truncate(16);
        let names = sample(circle.iter().map(|task| self.keys[*task].as_str()));
        let (line, first) = said.remove(0);
        let message = format!("dependencies run in a circle: {names} ({first})");
        Unreadable { line, message, related: said }
    }

    /// Puts later first-tier prerequisites directly before the tasks that name them.
    fn launch_order(&mut self, items: &[Item], warnings: &mut Vec<Warning>) -> Vec<Item> {
        let mut order = Vec::with_capacity(items.len());
        let mut emitted = vec![false; self.tasks.len()];
        for item in items {
            let Item::Task(task) = *item else {
                order.push(item.clone());
                continue;
            };
            if emitted[task] {
                continue;
            }
            let mut path = vec![(task, self.prerequisites(task))];
            while let Some((current, open)) = path.last_mut() {
                let current = *current;
                if let Some(next) = open.pop() {
                    if emitted[next] {
                        continue;
                    }
                    if self.tasks[next].state == DraftState::Open {
                        path.push((next, self.prerequisites(next)));
                    } else if let Some(edge) =
                        self.edges.get_mut(&current).and_then(|kept| kept.remove(&next))
                    {
                        warnings.push(self.dropped(edge));
                    }
                    continue;
                }
                path.pop();
                emitted[current] = true;
                order.push(Item::Task(current));
                if let Some((dependent, _)) = path.last() {
                    self.placement[current] = self.placement[task];
                    warnings.extend(self.moved(current, *dependent));
                }
            }
        }
        order
    }

    fn moved(&self, task: usize, dependent: usize) -> Option<Warning> {
        let line = self.edges.get(&dependent)?.get(&task)?.line;
        let (task, dependent) = (&self.keys[task], &self.keys[dependent]);
        let message = format!("{task} is moved before {dependent}, which depends on it");
        Some(Warning { line, message })
    }

    fn draft(
        &self,
        order: &[Item],
        outline: &Outline,
        style: Style,
        mut warnings: Vec<Warning>,
    ) -> Draft {
        let phases = Phases::new(order, outline, &self.placement);
        let mut launch = vec![0; self.tasks.len()];
        for (at, item) in order.iter().enumerate() {
            if let Item::Task(task) = item {
                launch[*task] = at;
            }
        }
        let mut waves = BTreeMap::new();
        let mut named: BTreeMap<(usize, &str), Vec<usize>> = BTreeMap::new();
        let mut keys = Keys::reserving(self.keys.iter().cloned());
        let mut first_kept: BTreeMap<Option<usize>, String> = BTreeMap::new();
        let mut passed = true;
        let mut steps: Vec<DraftStep> = Vec::with_capacity(order.len());
        for item in order {
            let step = match item {
                Item::Task(index) => {
                    let task = &self.tasks[*index];
                    let placement = self.placement[*index];
                    let mut needs = self.stated(*index);
                    if let Some(wave) = placement.wave {
                        for path in &task.paths {
                            let earlier = named.entry((wave, path)).or_default();
                            for other in earlier.iter().rev().take(MOST_SAME_PATH) {
                                needs.entry(*other).or_insert_with(|| Need {
                                    key: self.keys[*other].clone(),
                                    line: task.line,
                                    why: NeedWhy::SamePath(path.clone()),
                                });
                            }
                            earlier.push(*index);
                        }
                    }
                    let next = waves.len() + 1;
                    let group = placement.wave.map(|wave| *waves.entry(wave).or_insert(next));
                    let mut needs: Vec<(usize, Need)> = needs.into_iter().collect();
                    needs.sort_by_key(|(other, _)| launch[*other]);
                    let body: Vec<&str> = task.body.iter().map(|line| line.text.as_str()).collect();
                    DraftStep {
                        key: self.keys[*index].clone(),
                        title: task.title.clone(),
                        body: body.join("\n"),
                        line: task.line,
                        state: task.state,
                        parallelizable: placement.wave.is_some(),
                        group: group.map(|wave| format!("wave-{wave}")),
                        needs: needs.into_iter().map(|(_, need)| need).collect(),
                        checkpoint: None,
                        phase: placement.phase.and_then(|phase| phases.index(phase)),
                        story: task.story.clone(),
                        paths: task.paths.clone(),
                    }
                }
                Item::Checkpoint { line, title, phase } => {
                    let index = phase.and_then(|phase| phases.index(phase));
                    let label = index.map(|index| phases.list[index].label.clone());
                    let key =
                        label.map_or_else(|| "checkpoint".into(), |l| format!("checkpoint-{l}"));
                    let key = keys.unique(ids::key_of(&key));
                    let reject_to = first_kept.get(&index).cloned();
                    let already_passed = passed && !steps.is_empty();
                    DraftStep {
                        key,
                        title: title.clone(),
                        body: String::new(),
                        line: *line,
                        state: if already_passed { DraftState::Done } else { DraftState::Open },
                        parallelizable: false,
                        group: None,
                        needs: Vec::new(),
                        checkpoint: Some(Checkpoint { reject_to, already_passed }),
                        phase: index,
                        story: None,
                        paths: Vec::new(),
                    }
                }
            };
            passed &= step.state != DraftState::Open;
            if step.checkpoint.is_none() && step.state != DraftState::Skipped {
                first_kept.entry(step.phase).or_insert_with(|| step.key.clone());
            }
            steps.push(step);
        }
        claim(outline, &steps, &mut warnings);
        warnings.sort_by_key(|warning| warning.line);
        warnings.dedup();
        Draft {
            title: outline.title.clone(),
            format: format!("spec-kit tasks, style {}", style.letter()),
            phases: phases.list,
            steps,
            warnings,
            claimed_total: outline.claimed_total,
        }
    }

    /// Gives a task's stated needs; what the order implies is kept only where the task says it.
    fn stated(&self, task: usize) -> BTreeMap<usize, Need> {
        let wave = self.placement[task].wave;
        let kept = self.edges.get(&task).into_iter().flatten();
        kept.filter(|(other, edge)| {
            edge.tier == 1 || (wave.is_some() && self.placement[**other].wave == wave)
        })
        .map(|(other, edge)| {
            let key = self.keys[*other].clone();
            (*other, Need { key, line: edge.line, why: NeedWhy::Stated })
        })
        .collect()
    }
}

/// The sections that became phases.
struct Phases {
    list: Vec<Phase>,
    sections: Vec<usize>,
}

impl Phases {
    fn new(order: &[Item], outline: &Outline, placement: &[Placement]) -> Self {
        let used: BTreeSet<usize> = order
            .iter()
            .filter_map(|item| match item {
                Item::Task(task) => placement[*task].phase,
                Item::Checkpoint { phase, .. } => *phase,
            })
            .collect();
        let ordinals = ordinals(outline);
        let list = used.iter().map(|section| {
            let heading = &outline.sections[*section];
            let label = label(outline, &ordinals, *section);
            Phase { label, title: heading.title.clone(), line: heading.line }
        });
        Self { list: list.collect(), sections: used.iter().copied().collect() }
    }

    fn index(&self, section: usize) -> Option<usize> {
        self.sections.binary_search(&section).ok()
    }
}

/// Says when the plan's own count is another one.
fn claim(outline: &Outline, steps: &[DraftStep], warnings: &mut Vec<Warning>) {
    let mut tasks = steps.iter().filter(|step| step.checkpoint.is_none());
    let count = tasks.clone().count();
    let (Some((claimed, line)), Some(first)) = (outline.claimed_total, tasks.next()) else {
        return;
    };
    if u64::try_from(count).is_ok_and(|count| count == claimed) {
        return;
    }
    let last = tasks.next_back().unwrap_or(first);
    let (first, last) = (&first.key, &last.key);
    let message = format!("the plan says {claimed} tasks, {count} were found ({first} to {last})");
    warnings.push(Warning { line, message });
}
