//! From lines to tasks and checkpoints, in document order, before any rule reorders them.

use std::collections::{BTreeMap, BTreeSet};

use super::line::{self, TaskLine};
use super::remarks;
use super::sections::{self, Place, Section};
use super::{Style, ids};
use crate::plan::draft::{DraftState, Warning};
use crate::plan::markdown::{self, Document, Mark};

/// What a plan's text holds.
#[derive(Debug, Default)]
pub(super) struct Outline {
    pub title: Option<String>,
    pub sections: Vec<Section>,
    pub tasks: Vec<Task>,
    /// Tasks and checkpoints where they stand.
    pub items: Vec<Item>,
    /// Group headings of style B with the tasks under them: `T-001-000` over `T-001-000-001`.
    pub groups: BTreeMap<String, Vec<usize>>,
    pub claimed_total: Option<(u64, u32)>,
    pub warnings: Vec<Warning>,
    /// For each line of the text, whether dependency statements are read there.
    pub orders: Vec<bool>,
}

/// A task as its lines say.
#[derive(Debug)]
pub(super) struct Task {
    pub id: String,
    /// The lines below the task; fenced ones are kept but prove nothing.
    pub body: Vec<BodyLine>,
    pub title: String,
    /// What two copies of one id are compared by.
    pub text: String,
    pub line: u32,
    pub state: DraftState,
    pub parallel: bool,
    /// The section that is its phase.
    pub phase: Option<usize>,
    /// The line of its H3 block, 0 for none.
    pub block: u32,
    pub story: Option<String>,
    pub paths: Vec<String>,
}

/// A line under a task.
#[derive(Debug)]
pub(super) struct BodyLine {
    pub number: u32,
    pub text: String,
    pub fenced: bool,
}

/// A thing with a place in the order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Item {
    Task(usize),
    Checkpoint { line: u32, title: String, phase: Option<usize> },
}

/// Reads the outline of a plan in a known style.
pub(super) fn outline(document: &Document<'_>, style: Style) -> Outline {
    let mut reader = Reader { style, groups: group_headings(document, style), ..Reader::default() };
    for line in &document.lines {
        match line.place {
            markdown::Place::FrontMatter => {}
            markdown::Place::Fence(_) => reader.body_line(line.number, &line.text, true),
            markdown::Place::Text => reader.text_line(line.number, &line.text),
        }
        reader.out.orders.push(reader.place.orders(&reader.out.sections));
    }
    for (section, (line, count)) in &reader.left_out {
        let title = &reader.out.sections[*section].title;
        let lines = if *count == 1 { "task line" } else { "task lines" };
        let message = format!("{count} {lines} in \"{title}\" left out: it defines no tasks");
        reader.out.warnings.push(Warning { line: *line, message });
    }
    reader.finish()
}

/// Reads a box or heading that defines a task, as (ticked, what follows the box, heading level).
fn definition(text: &str, style: Style) -> Option<(Option<Mark>, &str, u8)> {
    match style {
        Style::Headings => {
            let (level, words) = markdown::heading(text)?;
            let boxed = markdown::boxed(words).or_else(|| {
                // `### [x] T001`: the bullet is often left out inside a heading.
                let rest = words.strip_prefix('[')?;
                let (mark, rest) = rest.split_once(']')?;
                match mark {
                    "x" | "X" => Some((Mark::Ticked, rest)),
                    " " => Some((Mark::Open, rest)),
                    _ => None,
                }
            });
            let (mark, words) = boxed.map_or((None, words), |(mark, rest)| (Some(mark), rest));
            Some((mark, words, level))
        }
        _ => markdown::boxed(text).map(|(mark, rest)| (Some(mark), rest, 0)),
    }
}

/// Reads the task line of a definition in a style.
pub(super) fn task_line(text: &str, style: Style) -> Option<(Option<Mark>, TaskLine, u8)> {
    let (mark, words, level) = definition(text, style)?;
    let line = line::parse(words)?;
    (style != Style::Headings || ids::fits_heading(&line.id)).then_some((mark, line, level))
}

/// Finds the task headings that hold deeper task headings: they group tasks and are none.
fn group_headings(document: &Document<'_>, style: Style) -> BTreeSet<u32> {
    let mut groups = BTreeSet::new();
    if style != Style::Headings {
        return groups;
    }
    let mut open: Vec<(u8, u32)> = Vec::new();
    for line in document.lines.iter().filter(|line| line.place == markdown::Place::Text) {
        let Some((level, _)) = markdown::heading(&line.text) else {
            continue;
        };
        open.retain(|(other, _)| *other < level);
        if task_line(&line.text, style).is_some() {
            groups.extend(open.iter().map(|(_, line)| *line));
            open.push((level, line.number));
        }
    }
    groups
}

#[derive(Default)]
struct Reader {
    style: Style,
    groups: BTreeSet<u32>,
    out: Outline,
    place: Place,
    /// The task whose lines are being read, with its heading level.
    current: Option<(usize, u8)>,
    /// A blank line ended the lazy continuation of the current task.
    blank: bool,
    /// Open group headings: level and id.
    open_groups: Vec<(u8, String)>,
    left_out: BTreeMap<usize, (u32, usize)>,
}

impl Reader {
    fn text_line(&mut self, number: u32, text: &str) {
        if self.out.claimed_total.is_none() {
            let total = remarks::claimed_total(text);
            self.out.claimed_total = total.map(|total| (total, number));
        }
        if let Some((mark, line, level)) = task_line(text, self.style) {
            if self.groups.contains(&number) {
                self.heading(number, text);
                self.open_groups.push((level, line.id));
            } else {
                self.task(number, mark, line, level);
            }
        } else if markdown::heading(text).is_some() {
            self.heading(number, text);
        } else if self.several(text) {
            self.current = None;
            self.warn(number, "a box that names several tasks is none itself: left out".into());
        } else if let Some(title) = remarks::checkpoint(text) {
            self.current = None;
            if self.place.reference(&self.out.sections).is_none() {
                let phase = self.place.phase(&self.out.sections);
                self.out.items.push(Item::Checkpoint { line: number, title, phase });
            }
        } else {
            self.body_line(number, text, false);
        }
    }

    /// Tells a box such as `- [ ] T001-T005 words`, which nobody could tick as one task.
    fn several(&self, text: &str) -> bool {
        let begins = |words: &str| ids::lex(words.trim_start_matches([' ', '*', '`'])).is_some();
        self.style != Style::Headings
            && markdown::boxed(text).is_some_and(|(_, words)| begins(words))
            && self.place.reference(&self.out.sections).is_none()
    }

    fn heading(&mut self, number: u32, text: &str) {
        let Some((level, words)) = markdown::heading(text) else {
            return;
        };
        if let Some((_, own)) = self.current
            && self.style == Style::Headings
            && level > own
        {
            return self.body_line(number, text, false);
        }
        self.current = None;
        self.open_groups.retain(|(other, _)| *other < level);
        if level == 1 && self.out.title.is_none() {
            self.out.title = Some(sections::plan_title(words)).filter(|title| !title.is_empty());
        }
        self.out.sections.push(sections::section(level, number, words));
        self.place.enter(&self.out.sections, self.out.sections.len() - 1);
    }

    fn task(&mut self, number: u32, mark: Option<Mark>, line: TaskLine, level: u8) {
        self.current = None;
        if level > 0 {
            self.place.leave(&self.out.sections, level);
            self.open_groups.retain(|(other, _)| *other < level);
        }
        if let Some(section) = self.place.reference(&self.out.sections) {
            self.left_out.entry(section).or_insert((number, 0)).1 += 1;
            return;
        }
        let headings = self.style == Style::Headings;
        if !headings && line.parallel_elsewhere && !line.parallel {
            self.warn(number, format!("{} has [P], but not after its id: sequential", line.id));
        }
        let ticked =
            mark == Some(Mark::Ticked) || (mark.is_none() && (line.tick || line.inner_tick));
        if mark == Some(Mark::Open) && line.tick && line.skipped.is_none() {
            self.warn(number, format!("{} has a ✅, but its box is open: open", line.id));
        }
        let state = match &line.skipped {
            Some(why) => {
                self.warn(number, format!("{} is imported as skipped: {why}", line.id));
                DraftState::Skipped
            }
            None if ticked => DraftState::Done,
            None => DraftState::Open,
        };
        let parallel = line.parallel || (headings && line.parallel_elsewhere);
        let title = if headings { line.title.replace(" [P]", "") } else { line.title };
        let text = format!("{parallel} {:?} {}", line.story, folded(&title));
        let index = self.out.tasks.len();
        let mut paths = Vec::new();
        line::paths(&title, &mut paths);
        for (_, group) in &self.open_groups {
            self.out.groups.entry(group.clone()).or_default().push(index);
        }
        self.out.tasks.push(Task {
            id: line.id,
            body: Vec::new(),
            title,
            text,
            line: number,
            state,
            parallel,
            phase: self.place.phase(&self.out.sections),
            block: self.place.block(&self.out.sections),
            story: line.story,
            paths,
        });
        self.out.items.push(Item::Task(index));
        self.current = Some((index, level));
        self.blank = false;
    }

    /// Gives a line to the task above it, where it is nested or carries on its words.
    fn body_line(&mut self, number: u32, text: &str, fenced: bool) {
        let Some((index, _)) = self.current else {
            return;
        };
        let words = text.trim();
        if words.is_empty() {
            self.blank = true;
        }
        if self.style == Style::Headings {
            if !fenced && matches!(words, "---" | "***" | "___") {
                self.current = None;
                return;
            }
        } else {
            let indented = text.starts_with("  ") || text.starts_with('\t');
            let carries_on = !fenced
                && !self.blank
                && words.starts_with(|c: char| c.is_alphanumeric() || "`(（\"'".contains(c))
                && markdown::bullet(text).is_none();
            if !indented && !carries_on && !words.is_empty() {
                self.current = None;
                return;
            }
        }
        let task = &mut self.out.tasks[index];
        if !fenced {
            line::paths(words, &mut task.paths);
            if self.style == Style::Headings {
                task.parallel |= remarks::says_parallel(words);
                if remarks::says_done(words) && task.state == DraftState::Open {
                    task.state = DraftState::Done;
                }
            }
        }
        task.body.push(BodyLine { number, text: text.to_owned(), fenced });
    }

    fn warn(&mut self, line: u32, message: String) {
        self.out.warnings.push(Warning { line, message });
    }

    fn finish(mut self) -> Outline {
        for task in &mut self.out.tasks {
            while task.body.last().is_some_and(|line| line.text.trim().is_empty()) {
                task.body.pop();
            }
            let blank = task.body.iter().take_while(|line| line.text.trim().is_empty()).count();
            task.body.drain(..blank);
        }
        self.out
    }
}

/// Folds case and spaces, the differences two copies of one task may have.
fn folded(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}
