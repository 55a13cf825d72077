//! The reader of GitHub spec-kit `tasks.md` plans, styles A and B.
//!
//! Style A is the template's `- [ ] T012 [P] [US1] words`, style B has headings `### T012: words`.
//! The other styles seen in the wild are recognised and refused, because a guess at what is a
//! task would run work that nobody planned.

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
    /// C: boxes or unit headings without task ids.
    Nameless,
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
            Self::Nameless => 'C',
            Self::Bullets => 'D',
            Self::Plain => 'E',
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Boxes => "boxes with ids",
            Self::Headings => "headings with ids",
            Self::Nameless => "boxes without task ids",
            Self::Bullets => "bullet ids without boxes",
            Self::Plain => "plain lines with ids",
        }
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
        Style::Nameless => census.phases > 0 && count >= 3,
        _ => count >= 3,
    };
    sure.then_some(found)
}

/// Reads a plan into a draft of ordered steps.
///
/// # Errors
/// When the text is no plan of style A or B, is broken (NUL bytes, merge conflict, unfilled
/// template, open fence over tasks) or states dependencies that run in a circle.
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
        let looked = "no tasks found: looked for boxes (- [ ] T001 …) and headings (### T001: …)";
        return refuse(0, looked);
    };
    if !matches!(style, Style::Boxes | Style::Headings) {
        let (_, line) = census.of(style);
        let (letter, words) = (style.letter(), style.words());
        let message =
            format!("this looks like spec-kit style {letter} ({words}), which is not read yet");
        return refuse(line, &message);
    }
    open_fence(&document, style)?;
    let mut outline = tasks::outline(&document, style);
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
    found: [(usize, u32); 5],
    /// Ids already counted for a style: a plan may list its tasks twice.
    seen: BTreeSet<(usize, String)>,
    phases: usize,
}

impl Census {
    fn take(document: &Document<'_>) -> Self {
        let mut census = Self::default();
        for line in document.lines.iter().filter(|line| line.place == Place::Text) {
            if let Some((style, id)) = style_of(&line.text) {
                let again = id.is_some_and(|id| !census.seen.insert((style as usize, id)));
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
        let named = boxes + headings;
        if named > 0 && (named >= 3 || bullets.max(plain) < 3) {
            return Some(if boxes >= headings { Style::Boxes } else { Style::Headings });
        }
        let rest = [Style::Nameless, Style::Plain, Style::Bullets];
        rest.into_iter().max_by_key(|style| count(*style)).filter(|style| count(*style) > 0)
    }
}

fn style_of(text: &str) -> Option<(Style, Option<String>)> {
    if let Some((_, task, _)) = tasks::task_line(text, Style::Headings) {
        return Some((Style::Headings, Some(task.id)));
    }
    if let Some((level, words)) = markdown::heading(text) {
        let unit = ["Task ", "T1-", "T2-", "T3-"].iter().any(|word| words.starts_with(word));
        let numbered = words.contains(|c: char| c.is_ascii_digit());
        return (level > 2 && unit && numbered).then_some((Style::Nameless, None));
    }
    if let Some((_, words)) = markdown::boxed(text) {
        return Some(match line::parse(words) {
            Some(task) => (Style::Boxes, Some(task.id)),
            None => (Style::Nameless, None),
        });
    }
    if let Some(words) = markdown::bullet(text) {
        return line::parse(words).map(|task| (Style::Bullets, Some(task.id)));
    }
    let length = ids::lex(text)?;
    let rest = text[length..].trim_start();
    let after = rest.starts_with(['—', '–', ':', '[']) || rest.starts_with("- ");
    (ids::fits_heading(&text[..length]) && after).then_some((Style::Plain, None))
}
