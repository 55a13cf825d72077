//! From lines to tasks and checkpoints, in document order, before any rule reorders them.

use std::collections::{BTreeMap, BTreeSet};

use super::copies::Keys;
use super::line::{self, TaskLine};
use super::remarks;
use super::sections::{self, Checks, Place, Section};
use super::{Style, ids};
use crate::plan::draft::{DraftState, Unreadable, Warning};
use crate::plan::markdown::{self, Document, Mark};

/// What a plan's text holds.
#[derive(Debug, Default)]
pub(super) struct Outline {
    pub title: Option<String>,
    pub sections: Vec<Section>,
    pub tasks: Vec<Task>,
    /// Tasks and checkpoints where they stand.
    pub items: Vec<Item>,
    /// Group headings with the tasks under them: `T-001-000` over `T-001-000-001`.
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
///
/// # Errors
/// Where boxes or headings without ids may be tasks or not, and nobody can tell.
pub(super) fn outline(document: &Document<'_>, style: Style) -> Result<Outline, Unreadable> {
    let mut reader = Reader { style, groups: group_headings(document, style), ..Reader::default() };
    for line in &document.lines {
        match line.place {
            markdown::Place::FrontMatter => {}
            markdown::Place::Fence(_) => reader.body_line(line.number, &line.text, true),
            markdown::Place::Text => reader.text_line(line.number, &line.text)?,
        }
        reader.out.orders.push(reader.place.orders(&reader.out.sections));
    }
    reader.finish()
}

/// Reads a line that defines a task in a style, as (box, words, heading level).
fn definition(text: &str, style: Style) -> Option<(Option<Mark>, &str, u8)> {
    match style {
        Style::Headings | Style::Units => {
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
        Style::Boxes | Style::Nameless => {
            markdown::boxed(text).map(|(mark, rest)| (Some(mark), rest, 0))
        }
        Style::Bullets => {
            if let Some((mark, rest)) = markdown::boxed(text) {
                return Some((Some(mark), rest, 0));
            }
            let words = markdown::bullet(text)?;
            // `🚧 T012`: whatever is drawn there, only a tick says done.
            let bare = words.trim_start_matches(|c: char| !c.is_ascii() && !c.is_alphanumeric());
            let bare = bare.trim_start();
            let drawn = ids::lex(bare).is_some() && !line::ticked(words);
            Some((None, if drawn { bare } else { words }, 0))
        }
        Style::Plain => (indent(text) <= 3).then_some((None, text.trim_start(), 0)),
    }
}

/// Counts the columns a line is moved in by.
fn indent(text: &str) -> usize {
    text.chars()
        .map_while(|c| match c {
            ' ' => Some(1),
            '\t' => Some(4),
            _ => None,
        })
        .sum()
}

/// Reads the task line of a definition in a style.
pub(super) fn task_line(text: &str, style: Style) -> Option<(Option<Mark>, TaskLine, u8)> {
    let (mark, words, level) = definition(text, style)?;
    let line = match style {
        Style::Nameless => line::parse_nameless(words)?,
        _ => line::parse(words, style.spelling())?,
    };
    let defines = match style {
        Style::Boxes | Style::Nameless => true,
        Style::Headings => ids::fits_heading(&line.id),
        // `# Task 1: …` is a title.
        Style::Units => level > 1,
        Style::Bullets => mark.is_some() || !line::only_says(&line),
        Style::Plain => {
            let off = line.set_off || words[line.id.len()..].trim_start().starts_with('[');
            ids::lex(words).is_some()
                && ids::fits_heading(&line.id)
                && off
                && !line::only_says(&line)
        }
    };
    defines.then_some((mark, line, level))
}

/// Finds the task headings that hold deeper task headings: they group tasks and are none.
fn group_headings(document: &Document<'_>, style: Style) -> BTreeSet<u32> {
    let mut groups = BTreeSet::new();
    if !style.headings() {
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
    /// How far the current task is moved in; what is further in belongs to it.
    indent: usize,
    /// The label that calls the boxes below it checks: `**Acceptance criteria**:`.
    check_label: Option<(u32, String)>,
    /// Tasks left out, by the line of what says that they are none: its words, the line of the
    /// first, how many.
    left_out: BTreeMap<u32, (String, u32, usize)>,
    /// Open boxes under a ticked one: its task, the line of the first, how many.
    open_inside: BTreeMap<usize, (u32, usize)>,
    /// The phases that hold tasks, with their labels and how many tasks they got so far.
    numbers: BTreeMap<Option<usize>, (String, usize)>,
    labels: Keys,
    /// The first task without a name inside a labelled phase, and the first outside all of them.
    nameless: [Option<(u32, String)>; 2],
    /// In style C of headings: the first box of a phase that is under none of them.
    stray: Option<u32>,
}

impl Reader {
    fn text_line(&mut self, number: u32, text: &str) -> Result<(), Unreadable> {
        if self.out.claimed_total.is_none() {
            let total = remarks::claimed_total(text);
            self.out.claimed_total = total.map(|total| (total, number));
        }
        if let Some((mark, line, level)) = task_line(text, self.style) {
            if self.groups.contains(&number) {
                self.heading(number, text);
                self.open_groups.push((level, ids::folded(&line.id)));
            } else if self.inside(text) {
                self.body_line(number, text, false);
            } else {
                self.indent = indent(text);
                return self.task(number, mark, line, level);
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
            self.remark(number, text);
            self.body_line(number, text, false);
        }
        Ok(())
    }

    /// Tells whether a line that looks like a task stands under one and belongs to it.
    fn inside(&self, text: &str) -> bool {
        let lists = matches!(self.style, Style::Nameless | Style::Bullets);
        lists && self.current.is_some() && indent(text) >= self.indent + 2
    }

    /// Looks at a line that is no task for what it says of the tasks around it.
    fn remark(&mut self, number: u32, text: &str) {
        let quiet = |reader: &Self| {
            let sections = &reader.out.sections;
            reader.place.reference(sections).is_some() || reader.place.orders(sections)
        };
        match self.style {
            Style::Nameless => {
                if let Some(words) = remarks::label(text) {
                    let always = sections::checks(words) == Checks::Always;
                    self.check_label = always.then(|| (number, words.to_owned()));
                }
            }
            Style::Units => {
                let boxed = markdown::boxed(text).is_some() && self.current.is_none();
                if boxed && self.stray.is_none() && !quiet(self) && self.in_phase() {
                    self.stray = Some(number);
                }
            }
            Style::Bullets => {
                let bullet = markdown::bullet(text).filter(|_| !self.inside(text));
                let said = bullet.and_then(|words| line::parse(words, self.style.spelling()));
                if let Some(said) = said.filter(|_| !quiet(self)) {
                    let message = format!("says something of {} and defines no task", said.id);
                    self.warn(number, message);
                }
            }
            Style::Boxes | Style::Headings | Style::Plain => {}
        }
    }

    /// Tells whether this place is in a phase by its label, and no list of checks.
    fn in_phase(&self) -> bool {
        let sections = &self.out.sections;
        self.place.labelled(sections) && self.place.checks(sections).is_none()
    }

    /// Tells a box such as `- [ ] T001-T005 words`, which nobody could tick as one task.
    fn several(&self, text: &str) -> bool {
        let begins = |words: &str| ids::lex(words.trim_start_matches([' ', '*', '`'])).is_some();
        self.style == Style::Boxes
            && markdown::boxed(text).is_some_and(|(_, words)| begins(words))
            && self.place.reference(&self.out.sections).is_none()
    }

    fn heading(&mut self, number: u32, text: &str) {
        let Some((level, words)) = markdown::heading(text) else {
            return;
        };
        if let Some((_, own)) = self.current
            && self.style.headings()
            && level > own
        {
            return self.body_line(number, text, false);
        }
        self.current = None;
        self.check_label = None;
        self.open_groups.retain(|(other, _)| *other < level);
        if level == 1 && self.out.title.is_none() {
            self.out.title = Some(sections::plan_title(words)).filter(|title| !title.is_empty());
        }
        self.out.sections.push(sections::section(level, number, words));
        self.place.enter(&self.out.sections, self.out.sections.len() - 1);
    }

    fn task(
        &mut self,
        number: u32,
        mark: Option<Mark>,
        mut line: TaskLine,
        level: u8,
    ) -> Result<(), Unreadable> {
        self.current = None;
        if level > 0 {
            self.place.leave(&self.out.sections, level);
            self.open_groups.retain(|(other, _)| *other < level);
        }
        if self.left_out(number) {
            return Ok(());
        }
        if line.id.is_empty() {
            line.id = self.name(number, &line.title)?;
        } else {
            self.number();
        }
        let loose = self.style != Style::Boxes;
        if !loose && line.parallel_elsewhere && !line.parallel {
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
        let parallel = line.parallel || (loose && line.parallel_elsewhere);
        let title = if loose { line.title.replace(" [P]", "") } else { line.title };
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
        Ok(())
    }

    /// Leaves a task out where a heading or a label says that tasks here are none.
    fn left_out(&mut self, number: u32) -> bool {
        let sections = &self.out.sections;
        let checks = || self.place.checks(sections).filter(|_| self.style == Style::Nameless);
        let heading = self.place.reference(sections).or_else(checks).map(|at| &sections[at]);
        let by = heading.map(|heading| (heading.line, &heading.title));
        let Some((line, words)) = by.or(self.check_label.as_ref().map(|(at, words)| (*at, words)))
        else {
            return false;
        };
        self.left_out.entry(line).or_insert_with(|| (words.clone(), number, 0)).2 += 1;
        true
    }

    /// Counts a task of the phase here and gives its number, `2.4` for the fourth of phase 2.
    fn number(&mut self) -> String {
        let phase = self.place.phase(&self.out.sections);
        if !self.numbers.contains_key(&phase) {
            let own = phase.and_then(|phase| self.out.sections[phase].label.clone());
            let others = self.numbers.len() - usize::from(self.numbers.contains_key(&None));
            let label = self.labels.unique(own.unwrap_or_else(|| (others + 1).to_string()));
            self.numbers.insert(phase, (label, 0));
        }
        let (label, count) = self.numbers.entry(phase).or_default();
        *count += 1;
        match phase {
            Some(_) => format!("{label}.{count}"),
            None => format!("box-{count}"),
        }
    }

    /// Names a task that has no id, where it is surely one.
    fn name(&mut self, number: u32, title: &str) -> Result<String, Unreadable> {
        if remarks::numbered(title) {
            let message = "this box is numbered as Kiro and OpenSpec number them, \
                           and their plans are not read yet";
            return Err(Unreadable { line: number, message: message.into(), related: Vec::new() });
        }
        if let Some(heading) = self.place.numbered(&self.out.sections) {
            let message = "nobody can tell whether this box is a task or a check of the heading \
                           above it: call that heading \"Task N: …\", or take its number off";
            let related = vec![(heading.line, "this heading looks like a task".to_owned())];
            return Err(Unreadable { line: number, message: message.into(), related });
        }
        let outside = !self.place.labelled(&self.out.sections);
        let id = self.number();
        self.nameless[usize::from(outside)].get_or_insert_with(|| (number, id.clone()));
        Ok(id)
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
        let whole = self.style.headings() || self.style == Style::Plain;
        if whole {
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
            if self.style == Style::Nameless
                && task.state == DraftState::Done
                && matches!(markdown::boxed(text), Some((Mark::Open, _)))
            {
                self.open_inside.entry(index).or_insert((number, 0)).1 += 1;
            }
            if whole {
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

    fn finish(mut self) -> Result<Outline, Unreadable> {
        self.surely()?;
        for (words, line, count) in std::mem::take(&mut self.left_out).into_values() {
            let noun = if self.style == Style::Nameless {
                ("box", "boxes")
            } else {
                ("task line", "task lines")
            };
            let noun = if count == 1 { noun.0 } else { noun.1 };
            let message = format!("{count} {noun} in \"{words}\" left out: it defines no tasks");
            self.warn(line, message);
        }
        for (task, (line, count)) in std::mem::take(&mut self.open_inside) {
            let Task { id, line: at, .. } = &self.out.tasks[task];
            let open = if count == 1 { "one box" } else { "boxes" };
            let are = if count == 1 { "is" } else { "are" };
            let message =
                format!("{id} is ticked on line {at}, but {open} under it {are} not: done");
            self.warn(line, message);
        }
        let held: BTreeSet<usize> = self.out.tasks.iter().filter_map(|task| task.phase).collect();
        for phase in held {
            let Section { parallel, line, .. } = self.out.sections[phase];
            if parallel {
                let message = "[P] on a phase: its tasks keep their order, and so does the phase";
                self.warn(line, message.into());
            }
        }
        for task in &mut self.out.tasks {
            while task.body.last().is_some_and(|line| line.text.trim().is_empty()) {
                task.body.pop();
            }
            let blank = task.body.iter().take_while(|line| line.text.trim().is_empty()).count();
            task.body.drain(..blank);
        }
        Ok(self.out)
    }

    /// Refuses a plan where boxes stand both where tasks are and where they may be anything.
    fn surely(&self) -> Result<(), Unreadable> {
        if let [Some((inside, _)), Some((line, _))] = &self.nameless {
            let message = "this box is under no phase, so nobody can tell whether it is a task: \
                           put it under \"Phase N: …\", or give the tasks ids (- [ ] T001 …)";
            let related = vec![(*inside, "the tasks of phases begin here".to_owned())];
            return Err(Unreadable { line: *line, message: message.into(), related });
        }
        if let (Some(line), Some(first)) = (self.stray, self.out.tasks.first()) {
            let message = "this box is under no task heading, so nobody can tell whether it is a \
                           task: give it a heading, or give the tasks ids (- [ ] T001 …)";
            let related = vec![(first.line, "a task heading".to_owned())];
            return Err(Unreadable { line, message: message.into(), related });
        }
        Ok(())
    }
}

/// Folds case and spaces, the differences two copies of one task may have.
fn folded(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}
