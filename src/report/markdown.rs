//! One report for people: what there is, item by item, with the step graph, the time attempts
//! took, the gates and what is blocked. Nothing in it depends on the day it is read.

use chrono::{DateTime, SecondsFormat, Utc};

use super::item::{AttemptReport, ItemReport, ReworkedStep, StepReport};
use super::mermaid::{self, TooBig};
use super::text::{count, cut, plain};
use crate::domain::event::Baseline;
use crate::domain::id::ItemId;
use crate::domain::workflow::Workflow;

/// How many blocked steps of an item are named.
const BLOCKED: usize = 50;

/// An item as the report's table shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overview {
    pub work_item_id: ItemId,
    pub title: String,
    pub status: String,
    pub flags: Vec<String>,
    pub steps_done: u32,
    pub steps_total: u32,
    pub workflow: String,
    pub ready: u32,
    pub held: usize,
    pub gates: usize,
    /// The latest fact.
    pub last_at: DateTime<Utc>,
}

/// An item that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    pub work_item_id: ItemId,
    pub path: String,
    pub what: String,
}

/// The report's beginning: what there is.
#[must_use]
pub fn begin(items: &[Overview], unreadable: &[Unreadable]) -> String {
    let mut text = String::from("# Work items\n\n");
    let Some(latest) = items.iter().map(|item| item.last_at).max() else {
        text.push_str("No items.\n");
        text.push_str(&stopped(unreadable));
        return text;
    };
    let ready: u32 = items.iter().map(|item| item.ready).sum();
    let held: usize = items.iter().map(|item| item.held).sum();
    let gates: usize = items.iter().map(|item| item.gates).sum();
    text.push_str(&format!(
        "As of the latest fact, {}: {}, {} ready, {} held, {} to decide.\n\n",
        time(latest),
        count(items.len(), "item"),
        count(ready as usize, "step"),
        count(held, "step"),
        count(gates, "gate"),
    ));
    text.push_str("| status | items |\n|---|--:|\n");
    let mut words: Vec<&str> = items.iter().map(|item| item.status.as_str()).collect();
    words.sort_unstable();
    for run in words.chunk_by(|a, b| a == b) {
        text.push_str(&format!("| {} | {} |\n", run[0], run.len()));
    }
    text.push_str(&stopped(unreadable));
    text.push_str(
        "\n| item | title | status | done | workflow | ready | held | to decide |\n\
         |---|---|---|--:|---|--:|--:|--:|\n",
    );
    for item in items {
        let flags: String = item.flags.iter().map(|flag| format!(", {flag}")).collect();
        text.push_str(&format!(
            "| [{}](#{}) | {} | {}{flags} | {}/{} | `{}` | {} | {} | {} |\n",
            id(&item.work_item_id),
            anchor(&item.work_item_id),
            escaped(&item.title, 80),
            item.status,
            item.steps_done,
            item.steps_total,
            item.workflow,
            item.ready,
            item.held,
            item.gates,
        ));
    }
    text
}

fn stopped(unreadable: &[Unreadable]) -> String {
    let mut text = String::new();
    if !unreadable.is_empty() {
        text.push_str("\nStopped, because a file of theirs is not as it was sealed:\n\n");
    }
    for stopped in unreadable {
        text.push_str(&format!(
            "- {}: {} {}\n",
            id(&stopped.work_item_id),
            escaped(&stopped.path, 200),
            escaped(&stopped.what, 200)
        ));
    }
    text
}

/// One item's section.
#[must_use]
pub fn section(workflow: &Workflow, item: &ItemReport) -> String {
    let mut text = format!(
        "\n<a id=\"{}\"></a>\n\n## {}\n\n**{}**\n\n",
        anchor(&item.work_item_id),
        id(&item.work_item_id),
        escaped(&item.title, 200)
    );
    facts(&mut text, item);
    text.push_str("\n### Steps\n\n");
    match mermaid::drawable(workflow, item) {
        Ok(graph) => text.push_str(&block(&graph)),
        Err(TooBig) => {
            let steps = count(item.steps_total, "step");
            text.push_str(&format!("{steps}: more than Mermaid draws.\n"));
        }
    }
    match mermaid::gantt(item) {
        Ok(Some(gantt)) => {
            text.push_str("\n### Attempts, in UTC\n\n");
            text.push_str(&block(&gantt));
        }
        Ok(None) => {}
        Err(TooBig) => {
            let attempts = item.steps.iter().map(|step| step.attempts.len()).sum();
            let attempts = count(attempts, "attempt");
            let more = format!("\n### Attempts\n\n{attempts}: more than Mermaid draws.\n");
            text.push_str(&more);
        }
    }
    gates(&mut text, item);
    blocked(&mut text, item);
    text
}

fn facts(text: &mut String, item: &ItemReport) {
    let mut say = |name: &str, what: String| text.push_str(&format!("- {name}: {what}\n"));
    let flags: String = item.flags.iter().map(|flag| format!(", {flag}")).collect();
    let round = if item.round > 1 { format!(", round {}", item.round) } else { String::new() };
    say("status", format!("{}{flags}{round}", item.status));
    say("done", format!("{} of {}", item.steps_done, count(item.steps_total, "step")));
    say("workflow", format!("`{}@{}`", item.workflow.name, item.workflow.version));
    say(
        "outputs",
        match item.baseline {
            Baseline::Pre => "provisional, not integrated",
            Baseline::Post => "integrated",
        }
        .to_owned(),
    );
    if let Some(known) = &item.integrated {
        let (commit, branch) = (&known.commit, escaped(&known.branch, 80));
        let why = known.accepted.as_ref().map(|why| format!(", accepted: {}", escaped(why, 200)));
        let what = format!("`{commit}` on {branch} by `{}`{}", known.by, why.unwrap_or_default());
        say("integrated", what);
    }
    if let Some(owner) = &item.owner {
        say("owner", format!("`{owner}`"));
    }
    if let Some(priority) = item.priority {
        say("priority", priority.to_string());
    }
    if !item.labels.is_empty() {
        let labels: Vec<String> = item.labels.iter().map(|label| escaped(label, 80)).collect();
        say("labels", labels.join(", "));
    }
    if let Some(plan) = &item.plan {
        say("plan", escaped(plan, 200));
    }
    say("registered", time(item.registered_at));
    say("latest fact", time(item.last_at));
    if let Some(review) = &item.review {
        say("under review", format!("`{}`: {}", review.by, escaped(&review.reason, 400)));
    }
    if let Some(ended) = &item.ended {
        let into = ended.survivor.as_ref().map(|into| format!(", lives on in `{into}`"));
        let into = into.unwrap_or_default();
        say(&ended.how, format!("by `{}`{into}: {}", ended.by, escaped(&ended.reason, 400)));
    }
    if !item.linked.is_empty() {
        let linked: Vec<String> = item.linked.iter().map(id).collect();
        say("related to", linked.join(", "));
    }
    for blocker in item.blockers.iter().filter(|blocker| blocker.resolved_at.is_none()) {
        let steps: Vec<String> = blocker.steps.iter().map(id).collect();
        let steps = if steps.is_empty() { "every step".to_owned() } else { steps.join(", ") };
        let what = format!(
            "`{}` ({}) holds {steps} since {}, `{}`: {}",
            blocker.blocker_id,
            escaped(&blocker.blocker_type, 80),
            time(blocker.declared_at),
            blocker.owner,
            escaped(&blocker.notes, 400)
        );
        say("blocked", what);
    }
    if item.blocked_seconds > 0 {
        say("blocked in all", format!("{} s", item.blocked_seconds));
    }
    if item.rework.count > 0 {
        let step = |step: &ReworkedStep| format!("`{}` {}×", step.step_key, step.count);
        let steps: Vec<String> = item.rework.by_step.iter().map(step).collect();
        say("rework", format!("{}: {}", count(item.rework.count, "time"), steps.join(", ")));
    }
    if let Some(back) = &item.last_return {
        let gate = back.gate.as_ref().map(|gate| format!(" by gate `{gate}`")).unwrap_or_default();
        say(
            "sent back",
            format!("to `{}`{gate}, `{}`: {}", back.to, back.by, escaped(&back.reason, 400)),
        );
    }
}

fn gates(text: &mut String, item: &ItemReport) {
    let gates: Vec<&StepReport> = item.steps.iter().filter(|step| step.gate.is_some()).collect();
    if gates.is_empty() {
        return;
    }
    text.push_str(
        "\n### Gates\n\n| gate | kind | state | approvals | decided |\n|---|---|---|---|---|\n",
    );
    for gate in gates {
        let quorum = gate.quorum.unwrap_or(1);
        let current = gate.attempts.last().filter(|attempt| !attempt.void);
        let by: Vec<String> = current
            .map(|attempt| attempt.approvals.iter().map(|by| format!("`{by}`")).collect())
            .unwrap_or_default();
        let approvals = match (by.is_empty(), gate.state.as_str()) {
            (true, _) => format!("0 of {quorum}"),
            // It passed by what was asked then, whatever is asked now.
            (false, "done") => by.join(", "),
            (false, _) => format!("{} of {quorum}: {}", by.len(), by.join(", ")),
        };
        let decided: Vec<String> = gate.attempts.iter().filter_map(decision).collect();
        text.push_str(&format!(
            "| {} | {} | {} | {approvals} | {} |\n",
            titled(gate),
            gate.gate.as_deref().unwrap_or(""),
            gate.state,
            decided.join("<br>"),
        ));
    }
    if item.follow_ups.is_empty() {
        return;
    }
    text.push_str(
        "\n### Follow-ups of gates\n\n| gate | decision | by | to do |\n|---|---|---|---|\n",
    );
    for asked in &item.follow_ups {
        let to_do: Vec<String> = asked.to_do.iter().map(|what| escaped(what, 400)).collect();
        let (gate, decision, by) = (&asked.gate, &asked.decision, &asked.by);
        text.push_str(&format!("| `{gate}` | {decision} | `{by}` | {} |\n", to_do.join("<br>")));
    }
}

/// How a gate's attempt ended.
fn decision(attempt: &AttemptReport) -> Option<String> {
    let outcome = attempt.outcome.as_ref()?;
    let void = if attempt.void { ", void" } else { "" };
    Some(format!("`{}` {}{void}: {}", attempt.attempt_id, attempt.state, escaped(outcome, 200)))
}

fn blocked(text: &mut String, item: &ItemReport) {
    let blocked: Vec<&StepReport> = item
        .steps
        .iter()
        .filter(|step| matches!(step.state.as_str(), "waits" | "blocked" | "needs-requeue"))
        .collect();
    if blocked.is_empty() {
        return;
    }
    text.push_str("\n### Blocked\n\n");
    for step in blocked.iter().take(BLOCKED) {
        let reason = step.reason.as_deref().unwrap_or("it was not opened yet");
        text.push_str(&format!("- {}: {}\n", titled(step), escaped(reason, 400)));
    }
    if blocked.len() > BLOCKED {
        text.push_str(&format!("- and {} more\n", blocked.len() - BLOCKED));
    }
}

/// A step's key, and its title where that says more.
fn titled(step: &StepReport) -> String {
    let key = id(&step.key);
    if step.title == step.key.as_str() {
        return key;
    }
    format!("{key} {}", escaped(&step.title, 80))
}

fn block(mermaid: &str) -> String {
    format!("```mermaid\n{mermaid}```\n")
}

/// An id: its grammar has nothing that could end the span.
fn id(id: &impl std::fmt::Display) -> String {
    format!("`{id}`")
}

/// Ids that differ only in case never meet in one ledger.
fn anchor(item: &ItemId) -> String {
    format!("item-{}", item.as_str().to_ascii_lowercase())
}

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Untrusted text as Markdown that shows it and nothing else: no markup, no HTML, no link that
/// was not written as one, nobody called by name; on one line, at most so wide.
fn escaped(text: &str, widest: usize) -> String {
    let text = cut(&plain(text), widest, "…");
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut escaped = String::with_capacity(text.len() + 8);
    for (at, c) in text.char_indices() {
        let (before, after) = (&text[..at], &text[at + c.len_utf8()..]);
        match c {
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '~' | '&' | '$' | '#' | '^'
            | '!' => {
                escaped.push('\\');
                escaped.push(c);
            }
            // `https://…` and `www.…` would become links by themselves.
            ':' if after.starts_with("//") => escaped.push_str("\\:"),
            '.' if before
                .get(before.len().saturating_sub(3)..)
                .is_some_and(|w| w.eq_ignore_ascii_case("www")) =>
            {
                escaped.push_str("\\.");
            }
            // `@name` would call somebody; the comment between is not shown.
            '@' if !before.ends_with(char::is_alphanumeric)
                && after.starts_with(char::is_alphanumeric) =>
            {
                escaped.push_str("@<!-- -->");
            }
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_shown_and_never_read_as_markdown() {
        for (text, shown) in [
            ("a | b", "a \\| b"),
            ("**bold** _it_ `code`", "\\*\\*bold\\*\\* \\_it\\_ \\`code\\`"),
            ("<script>x</script> &amp;", "\\<script\\>x\\</script\\> \\&amp;"),
            ("[x](https://e.example)", "\\[x\\](https\\://e.example)"),
            ("www.e.example, WWW.e, w.yaml", "www\\.e.example, WWW\\.e, w.yaml"),
            ("ask @team-1, a@b.example", "ask @<!-- -->team-1, a@b.example"),
            ("two\nlines  here", "two lines here"),
            ("# no heading", "\\# no heading"),
            ("\\| $x$ ~~no~~", "\\\\\\| \\$x\\$ \\~\\~no\\~\\~"),
        ] {
            assert_eq!(escaped(text, 200), shown);
        }
        assert_eq!(escaped(&"x".repeat(100), 10), format!("{}…", "x".repeat(9)));
    }
}
