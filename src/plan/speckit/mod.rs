//! The reader of GitHub spec-kit `tasks.md` plans, in the five styles seen in the wild.
//!
//! Style A is the template's `- [ ] T012 [P] [US1] words`, B has headings `### T012: words`, C no
//! task ids but boxes or `### Task 3.6: words`, D bullets `- **T012**: words`, E plain lines
//! `T012 — words`.
//! Where nobody can tell a task from a remark or a check, the plan is refused with the line,
//! because a guess would run work that nobody planned.

mod compile;
mod copies;
mod edges;
mod ids;
mod line;
mod mermaid;
mod names;
mod remarks;
mod sections;
mod statements;
mod tasks;
mod tokens;

use std::collections::BTreeSet;

use ids::Spelling;

use crate::plan::draft::{Draft, Unreadable};
use crate::plan::markdown::{self, Document, Place};

/// How a plan spells its tasks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Style {
    /// A: `- [ ] T012 [P] words`.
    #[default]
    Boxes,
    /// B: `### T012: words`.
    Headings,
    /// C: boxes without task ids.
    Nameless,
    /// C: unit headings without task ids, `### Task 3.6: words`.
    Units,
    /// D: `- **T012**: words`.
    Bullets,
    /// E: `T012 — words`.
    Plain,
}

impl Style {
    /// Gives the letter people know the style by.
    pub fn letter(self) -> char {
        match self {
            Self::Boxes => 'A',
            Self::Headings => 'B',
            Self::Nameless | Self::Units => 'C',
            Self::Bullets => 'D',
            Self::Plain => 'E',
        }
    }

    /// Whether the tasks have ids; boxes and numbered headings are in many texts that are no plan.
    #[must_use]
    pub fn has_ids(self) -> bool {
        self.spelling() == Spelling::Ids
    }

    /// How its sentences name tasks.
    fn spelling(self) -> Spelling {
        match self {
            Self::Boxes | Self::Headings | Self::Bullets | Self::Plain => Spelling::Ids,
            Self::Nameless | Self::Units => Spelling::Units,
        }
    }

    /// Whether tasks are headings, with everything below them theirs.
    fn headings(self) -> bool {
        matches!(self, Self::Headings | Self::Units)
    }

    /// Whether a mark of its own makes a line a task: a box or a heading, and not an id alone.
    fn marks_tasks(self) -> bool {
        !matches!(self, Self::Bullets | Self::Plain)
    }
}

/// Tells the style of a spec-kit plan; none when the text is too little like one.
///
/// Three task lines are asked for, so that a note which mentions a task is no plan.
pub fn sniff(text: &str) -> Option<Style> {
    let census = Census::take(&markdown::lex(text));
    let found = census.style()?;
    let (count, _) = census.of(found);
    let sure = match found {
        Style::Nameless | Style::Units => census.phases > 0 && count >= 3,
        Style::Boxes | Style::Headings | Style::Bullets | Style::Plain => count >= 3,
    };
    sure.then_some(found)
}

/// Reads a plan into a draft of ordered steps.
///
/// # Errors
/// When the text holds no tasks, is broken (NUL bytes, merge conflict, unfilled template, open
/// fence over tasks), states dependencies that run in a circle, or has lines that are as well
/// tasks as not.
pub fn read(text: &str) -> Result<Draft, Unreadable> {
    if let Some(at) = text.find('\0') {
        let line = text[..at].matches('\n').count() + 1;
        return refuse(u32::try_from(line).unwrap_or(u32::MAX), "a NUL byte: this is no text");
    }
    let document = markdown::lex(text);
    if document.lines.iter().all(|line| line.text.trim().is_empty()) {
        return refuse(0, "the plan is empty");
    }
    if let Some(line) = markdown::conflict(&document) {
        return refuse(line, "a merge conflict is not resolved here");
    }
    unfilled(&document)?;
    let census = Census::take(&document);
    let Some(style) = census.style() else {
        open_fence(&document, Style::Boxes)?;
        let looked = "no tasks found: looked for boxes (- [ ] T001 …), headings (### T001: …), \
                      bullets (- **T001**: …) and lines (T001 — …)";
        return refuse(0, looked);
    };
    open_fence(&document, style)?;
    let mut outline = tasks::outline(&document, style)?;
    if outline.tasks.is_empty() {
        let (_, line) = census.of(style);
        return refuse(
            line,
            "no tasks found: the only ones stand in a section of examples or notes",
        );
    }
    for (line, message) in &document.notes {
        outline
            .warnings
            .push(crate::plan::draft::Warning { line: *line, message: message.clone() });
    }
    compile::compile(&document, outline, style)
}

fn refuse<T>(line: u32, message: &str) -> Result<T, Unreadable> {
    Err(Unreadable { line, message: message.to_owned(), related: Vec::new() })
}

/// Refuses a template whose places nobody filled.
fn unfilled(document: &Document<'_>) -> Result<(), Unreadable> {
    for line in document.lines.iter().filter(|line| line.place == Place::Text) {
        let heading = markdown::heading(&line.text);
        let boxed = markdown::boxed(&line.text);
        if heading.is_none() && boxed.is_none() {
            continue;
        }
        let words = boxed.map_or(line.text.as_ref(), |(_, rest)| rest);
        let spans = markdown::code_spans(words);
        let quoted = |at: usize| spans.iter().any(|(from, to)| (*from..*to).contains(&at));
        let place = |name: &str| words.match_indices(name).any(|(at, _)| !quoted(at));
        let found = if place("[FEATURE NAME]") && heading.is_some() {
            Some("[FEATURE NAME]")
        } else if place("TXXX") && (boxed.is_some() || tasks_like(words)) {
            Some("TXXX")
        } else {
            words.match_indices("{{").find(|(at, _)| !quoted(*at)).and_then(|(at, _)| {
                // `${{ secrets.X }}` and `style={{ … }}` are code that people paste into plans.
                let rest = &words[at + 2..];
                let name = rest[..rest.find("}}")?].trim();
                let shouted = name.starts_with(|c: char| c.is_ascii_uppercase())
                    && name.bytes().all(|b| {
                        b.is_ascii_uppercase() || b.is_ascii_digit() || matches!(b, b'_' | b' ')
                    });
                let pasted = words[..at].ends_with(['$', '=']);
                (shouted && !pasted).then(|| &words[at..at + 2 + rest.find("}}").unwrap_or(0) + 2])
            })
        };
        if let Some(found) = found {
            return refuse(
                line.number,
                &format!("{found} is a template's placeholder: not filled"),
            );
        }
    }
    Ok(())
}

fn tasks_like(heading: &str) -> bool {
    heading.trim_start_matches(['#', ' ']).starts_with("TXXX")
}

/// Refuses a text that ends inside a fence which swallowed tasks.
fn open_fence(document: &Document<'_>, style: Style) -> Result<(), Unreadable> {
    let Some((index, fence)) =
        document.fences.iter().enumerate().find(|(_, fence)| fence.close.is_none())
    else {
        return Ok(());
    };
    let inside = |place: Place| place == Place::Fence(index);
    let swallowed = document
        .lines
        .iter()
        .find(|line| inside(line.place) && tasks::task_line(&line.text, style).is_some());
    let Some(line) = swallowed else { return Ok(()) };
    Err(Unreadable {
        line: line.number,
        message: "this task stands in a code fence that is never closed".to_owned(),
        related: vec![(fence.open, "the fence opens here".to_owned())],
    })
}

/// How many tasks of each style a text has, and the line of the first.
#[derive(Debug, Default)]
struct Census {
    found: [(usize, u32); 6],
    /// Ids already counted for a style: a plan may list its tasks twice.
    seen: BTreeSet<(usize, String)>,
    phases: usize,
}

impl Census {
    fn take(document: &Document<'_>) -> Self {
        let mut census = Self::default();
        for line in document.lines.iter().filter(|line| line.place == Place::Text) {
            if let Some((style, id)) = style_of(&line.text) {
                let again = !id.is_empty() && !census.seen.insert((style as usize, id));
                let entry = &mut census.found[style as usize];
                entry.0 += usize::from(!again);
                if entry.1 == 0 {
                    entry.1 = line.number;
                }
            }
            if let Some((level, words)) = markdown::heading(&line.text) {
                let labelled = sections::section(level, line.number, words).label.is_some();
                census.phases += usize::from(labelled);
            }
        }
        census
    }

    fn of(&self, style: Style) -> (usize, u32) {
        self.found[style as usize]
    }

    /// Gives the style most of the lines have; ids count for more than none.
    fn style(&self) -> Option<Style> {
        let count = |style| self.of(style).0;
        let (boxes, headings) = (count(Style::Boxes), count(Style::Headings));
        let (bullets, plain) = (count(Style::Bullets), count(Style::Plain));
        let units = count(Style::Units);
        let named = boxes + headings;
        if named > 0 && (named >= 3 || bullets.max(plain).max(units) < 3) {
            return Some(if boxes >= headings { Style::Boxes } else { Style::Headings });
        }
        let ids = if plain >= bullets { Style::Plain } else { Style::Bullets };
        let (most, nameless) = (count(ids), count(Style::Nameless));
        // The boxes under unit headings are checks, however many they are.
        if units > 0 && (most < 3 || units >= most) {
            return Some(Style::Units);
        }
        if most > 0 && most >= nameless {
            return Some(ids);
        }
        (nameless > 0).then_some(Style::Nameless)
    }
}

/// Reads the style of a line that is a task in one, and the task's id where it has one.
fn style_of(text: &str) -> Option<(Style, String)> {
    let styles = [
        Style::Headings,
        Style::Units,
        Style::Boxes,
        Style::Nameless,
        Style::Bullets,
        Style::Plain,
    ];
    styles.into_iter().find_map(|style| {
        let (_, task, _) = tasks::task_line(text, style)?;
        if style != Style::Nameless {
            return Some((style, task.id));
        }
        // A box further in is a part of something; and a name in a box counts as none, because
        // the boxes around it have none.
        (!(text.starts_with("  ") || text.starts_with('\t'))).then(|| (style, String::new()))
    })
}
