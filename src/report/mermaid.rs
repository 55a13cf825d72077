//! Pictures as Mermaid: the step graph and the time attempts took. Labels are quoted, and nothing
//! of a plan's text is able to end one.

use chrono::{DateTime, TimeDelta, Utc};

use super::item::{AttemptReport, ItemReport};
use super::layout::Arrow;
use super::text::{acts, cut};
use crate::domain::workflow::Workflow;

/// What Mermaid draws at most, as GitHub and the program itself come.
const CHARACTERS: usize = 50_000;
const EDGES: usize = 500;

/// The classes of steps: by the word of their state, with what they look like.
const CLASSES: [(&str, &str, &str); 9] = [
    ("done", "done", "fill:#d7f0dd,stroke:#2e7d4f,color:#10381f"),
    ("imported", "imported", "fill:#e9f5ec,stroke:#7fb08f,color:#10381f"),
    ("skipped", "skipped", "fill:#ececec,stroke:#8a8a8a,color:#333333,stroke-dasharray:4 3"),
    ("held", "held", "fill:#fff1c9,stroke:#a67c00,color:#3d2e00"),
    ("ready", "ready", "fill:#d8e8fb,stroke:#2b63a8,color:#0c2747"),
    ("open", "open", "fill:#e6defa,stroke:#5b3fa8,color:#231447"),
    ("waits", "waits", "fill:#ffffff,stroke:#9a9a9a,color:#333333"),
    ("blocked", "blocked", "fill:#fbdcd8,stroke:#b03a2e,color:#4a120c"),
    ("needs-requeue", "requeue", "fill:#fbdcd8,stroke:#b03a2e,color:#4a120c,stroke-width:3px"),
];

/// A picture that is more than Mermaid draws.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooBig;

/// A workflow's graph.
#[must_use]
pub fn workflow_graph(workflow: &Workflow) -> String {
    draw(workflow, |_| None)
}

/// An item's graph, each step in the class of where it stands.
#[must_use]
pub fn graph(workflow: &Workflow, item: &ItemReport) -> String {
    let class = |at: usize| {
        let state = item.steps.get(at).map(|step| step.state.as_str());
        CLASSES.iter().find(|(word, ..)| Some(*word) == state).map(|(_, class, _)| *class)
    };
    let mut text = draw(workflow, class);
    for (word, class, style) in CLASSES {
        if item.steps.iter().any(|step| step.state == word) {
            text.push_str(&format!("  classDef {class} {style}\n"));
        }
    }
    text
}

/// The same, where Mermaid draws it.
pub(super) fn drawable(workflow: &Workflow, item: &ItemReport) -> Result<String, TooBig> {
    let text = graph(workflow, item);
    let edges = text.lines().filter(|line| line.contains("-->") || line.contains("==>")).count();
    if text.len() > CHARACTERS || edges > EDGES { Err(TooBig) } else { Ok(text) }
}

fn draw(workflow: &Workflow, class: impl Fn(usize) -> Option<&'static str>) -> String {
    let mut text = String::from("flowchart TD\n");
    for (at, step) in workflow.steps().iter().enumerate() {
        let title = quoted(step.title());
        let label = if title == step.key.as_str() {
            step.key.to_string()
        } else {
            format!("{}: {title}", step.key)
        };
        let (open, close) = if step.is_gate() { ("{{", "}}") } else { ("[", "]") };
        let class = class(at).map(|class| format!(":::{class}")).unwrap_or_default();
        text.push_str(&format!("  s{at}{open}\"{label}\"{close}{class}\n"));
    }
    for Arrow { from, to, written } in arrows(workflow) {
        let arrow = if written { "==>" } else { "-->" };
        text.push_str(&format!("  s{from} {arrow} s{to}\n"));
    }
    text
}

/// What waits for what, as it is drawn: without what another arrow says already, unless somebody
/// wrote it down.
pub(super) fn arrows(workflow: &Workflow) -> Vec<Arrow> {
    let direct: Vec<Vec<usize>> =
        (0..workflow.steps().len()).map(|at| workflow.graph().direct(at)).collect();
    let mut arrows = Vec::new();
    for (to, waits) in direct.iter().enumerate() {
        let needs = workflow.graph().needs(to);
        for &from in waits {
            let said = || waits.iter().any(|between| direct[*between].contains(&from));
            let written = needs.contains(&from);
            if written || !said() {
                arrows.push(Arrow { from, to, written });
            }
        }
    }
    arrows
}

/// When attempts were held, and gates open, a section a step; `None` where nothing has been.
///
/// What has not ended is drawn to the latest fact, so the picture does not depend on the day.
pub(super) fn gantt(item: &ItemReport) -> Result<Option<String>, TooBig> {
    let mut sections = String::new();
    let (mut first, mut last) = (None::<DateTime<Utc>>, None::<DateTime<Utc>>);
    for step in &item.steps {
        let mut bars = String::new();
        for attempt in &step.attempts {
            let from =
                if step.gate.is_some() { Some(attempt.queued_at) } else { attempt.claimed_at };
            let Some(from) = from else { continue };
            let to = attempt.ended_at.unwrap_or(item.last_at).max(from);
            first = Some(first.map_or(from, |first| first.min(from)));
            last = Some(last.map_or(to, |last| last.max(to)));
            let tag = tag(attempt);
            bars.push_str(&format!(
                "    {} {} :{tag}{}, {}\n",
                attempt.attempt_id,
                attempt.state,
                stamp(from),
                stamp(to)
            ));
        }
        if !bars.is_empty() {
            sections.push_str(&format!("  section {}\n{bars}", step.key));
        }
    }
    let (Some(first), Some(last)) = (first, last) else { return Ok(None) };
    let axis = match last - first {
        short if short <= TimeDelta::days(1) => "%H:%M",
        longer if longer <= TimeDelta::days(60) => "%m-%d %H:%M",
        _ => "%Y-%m-%d",
    };
    let text = format!(
        "gantt\n  dateFormat YYYY-MM-DDTHH:mm:ss.SSS\n  axisFormat {axis}\n  todayMarker off\n{sections}"
    );
    if text.len() > CHARACTERS { Err(TooBig) } else { Ok(Some(text)) }
}

/// How Mermaid paints an attempt.
fn tag(attempt: &AttemptReport) -> &'static str {
    match attempt.state.as_str() {
        "completed" | "approved" if !attempt.void => "done, ",
        "claimed" | "queued" => "active, ",
        "failed" | "rejected" | "lapsed" => "crit, ",
        // Given back, withdrawn, or void: it happened and does not count.
        _ => "",
    }
}

/// UTC without its letter: Mermaid would move it into the reader's zone.
fn stamp(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%dT%H:%M:%S%.3f").to_string()
}

/// Text that Mermaid cannot take for anything but text: entities for what it reads, cut short.
fn quoted(text: &str) -> String {
    let mut quoted = String::new();
    for c in cut(text, 80, "…").chars() {
        match c {
            '"' => quoted.push_str("#quot;"),
            '#' => quoted.push_str("#35;"),
            '<' => quoted.push_str("#lt;"),
            '>' => quoted.push_str("#gt;"),
            '&' => quoted.push_str("#amp;"),
            '`' => quoted.push_str("#96;"),
            '\\' => quoted.push_str("#92;"),
            // `%%{…}%%` would be a directive, wherever it stands.
            '%' => quoted.push_str("#37;"),
            c if acts(c) => quoted.push(' '),
            c => quoted.push(c),
        }
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_label_is_more_than_text() {
        let text =
            quoted("\"]; click s0 \"javascript:x\" <b>#1;</b> `md` \\ %%{init: {}}%% \n\u{202e}");
        assert!(!text.contains(['"', '<', '>', '`', '\\', '%', '\n', '\u{202e}']), "{text}");
        assert!(text.starts_with("#quot;]; click s0 #quot;javascript:x#quot; "), "{text}");
        assert_eq!(quoted(&"x".repeat(200)).chars().count(), 80);
    }
}
