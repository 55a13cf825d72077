//! The step graph as Mermaid: labels quoted, nothing of a plan's text able to end one.

use crate::domain::schedule::{Answer, Schedule};
use crate::domain::state::ItemState;
use crate::domain::workflow::Workflow;

/// A workflow's graph.
#[must_use]
pub fn workflow_graph(workflow: &Workflow) -> String {
    draw(workflow, |_| "")
}

/// An item's graph, each step in the class of where it stands.
#[must_use]
pub fn graph(workflow: &Workflow, state: &ItemState) -> String {
    let schedule = Schedule::of(workflow, state);
    let class = |at: usize| match schedule.answers[at] {
        Answer::Done(_) => ":::done",
        Answer::InProgress(_) => ":::held",
        Answer::Ready { .. } | Answer::PendingGate(_) => ":::ready",
        Answer::NeedsRequeue { .. } | Answer::Held { .. } => ":::stopped",
        Answer::Unopened | Answer::Waiting => "",
    };
    let mut text = draw(workflow, class);
    text.push_str(
        "  classDef done fill:#d7f0dd,stroke:#2e7d4f,color:#10381f\n\
         \x20 classDef held fill:#fff1c9,stroke:#a67c00,color:#3d2e00\n\
         \x20 classDef ready fill:#d8e8fb,stroke:#2b63a8,color:#0c2747\n\
         \x20 classDef stopped fill:#fbdcd8,stroke:#b03a2e,color:#4a120c\n",
    );
    text
}

fn draw(workflow: &Workflow, class: impl Fn(usize) -> &'static str) -> String {
    let mut text = String::from("flowchart TD\n");
    for (at, step) in workflow.steps().iter().enumerate() {
        let title = quoted(step.title());
        let label = if title == step.key.as_str() {
            step.key.to_string()
        } else {
            format!("{}: {title}", step.key)
        };
        let (open, close) = if step.is_gate() { ("{{", "}}") } else { ("[", "]") };
        text.push_str(&format!("  s{at}{open}\"{label}\"{close}{}\n", class(at)));
    }
    for at in 0..workflow.steps().len() {
        let written = workflow.graph().needs(at);
        for before in workflow.graph().direct(at) {
            let arrow = if written.contains(&before) { "==>" } else { "-->" };
            text.push_str(&format!("  s{before} {arrow} s{at}\n"));
        }
    }
    text
}

/// Text that Mermaid cannot take for anything but text: entities for what it reads, cut short.
fn quoted(text: &str) -> String {
    let mut quoted = String::new();
    for c in text.chars().take(80) {
        match c {
            '"' => quoted.push_str("#quot;"),
            '#' => quoted.push_str("#35;"),
            '<' => quoted.push_str("#lt;"),
            '>' => quoted.push_str("#gt;"),
            '&' => quoted.push_str("#amp;"),
            '`' => quoted.push_str("#96;"),
            '\\' => quoted.push_str("#92;"),
            c if c.is_control() => quoted.push(' '),
            // Bidi controls would reorder what a reader sees.
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                quoted.push(' ');
            }
            c => quoted.push(c),
        }
    }
    if text.chars().count() > 80 {
        quoted.push('…');
    }
    quoted
}
