//! `brief`: all a worker needs for one step (C3).

use super::super::Reply;
use super::super::args::BriefArgs;
use super::super::error::{Failure, clear_review, next, resolve_blocker};
use super::super::session::Session;
use super::super::ui::{Line, plain, shell, short};
use super::super::view::BriefView;
use crate::domain::decide::{POLICY_REASON, awaits_policy};
use crate::domain::id::{ItemId, StepKey};
use crate::report::{self, BriefReport};

pub(super) fn run(args: &BriefArgs, session: &Session) -> Result<Reply, Failure> {
    let (item, key): (ItemId, StepKey) = (args.item.parse()?, args.step.parse()?);
    let ledger = session.ledger()?;
    let fail = |error| session.ledger_failure(&error);
    let snapshot = ledger.snapshot().map_err(fail)?;
    let fold = snapshot.known_item(&item).map_err(fail)?;
    let by_policy = awaits_policy(snapshot.ledger().map_err(fail)?, &fold.state);
    let at = super::step_at(&fold, &key, session)?;
    let mut brief = report::brief(&fold.workflow, &fold.state, at);
    brief.follow_ups = super::follow_ups(&snapshot, &fold).map_err(fail)?;
    let mut reply = Reply::new("brief", &BriefView { brief: brief.clone() });
    let heading = format!("{item} {key}  {}", plain(&brief.title));
    reply.lines.push(Line::Text(heading));
    reply.lines.push(Line::Text(format!("of {}: {}", item, plain(&brief.item_title))));
    reply.lines.push(Line::Blank);
    describe(&mut reply.lines, &brief, true);
    if let Some(survivor) = brief.ended.as_ref().and_then(|ended| ended.survivor.as_ref()) {
        reply.next.push(next(["status", survivor.as_str()]));
    } else if let Some(blocker) = brief.blockers.first() {
        reply.next.push(resolve_blocker(&item, &blocker.blocker_id).note("once it is gone"));
    }
    if by_policy {
        reply.warnings.push((format!("nobody may claim it: {POLICY_REASON}"), None));
        reply.next.push(clear_review(&item));
    } else if brief.state == "ready" {
        let mut claim = next(["claim", "--work-item", item.as_str(), "--step", key.as_str()]);
        let entry: Vec<&str> = brief.entry.iter().map(|criterion| criterion.id.as_str()).collect();
        if !entry.is_empty() {
            claim = claim.with(["--attest".to_owned(), entry.join(",")]);
        }
        reply.next.push(claim);
    }
    Ok(reply)
}

/// The brief's lines: whole, or what a claim's few lines have room for.
pub(super) fn describe(lines: &mut Vec<Line>, brief: &BriefReport, whole: bool) {
    let mut say = |name: &str, what: String| {
        lines.push(Line::Row(vec![name.to_owned(), what]));
    };
    let text = |text: &str| if whole { plain(text) } else { short(text, 160) };
    if !whole && let Some(role) = &brief.role {
        say("role", role.clone());
    }
    if whole {
        say("state", brief.state.clone());
        if let Some(reason) = &brief.reason {
            say("because", plain(reason));
        }
        if let Some(ended) = &brief.ended {
            let into = ended.survivor.as_ref().map(|id| format!(", it lives on in {id}"));
            let into = into.unwrap_or_default();
            let what = format!("{} by {}{into}: \"{}\"", ended.how, ended.by, text(&ended.reason));
            say("item", what);
        }
        for blocker in &brief.blockers {
            let (id, kind) = (&blocker.blocker_id, plain(&blocker.blocker_type));
            say("blocked", format!("{id} ({kind}): \"{}\"", text(&blocker.notes)));
        }
        if let Some(owner) = &brief.owner {
            say("owner", owner.to_string());
        }
        if let Some(attempt) = &brief.attempt_id {
            say("attempt", attempt.to_string());
        }
        if let (Some(plan), Some(line)) = (&brief.plan, brief.plan_line) {
            say("plan", format!("{}:{line}", plain(plan)));
        }
        if let Some(phase) = &brief.phase {
            say("phase", plain(phase));
        }
        if let Some(role) = &brief.role {
            say("role", role.clone());
        }
        if let Some(prompt) = &brief.item_description {
            say("asked", plain(prompt));
        }
    }
    if let Some(description) = &brief.description {
        say("about", text(description));
    }
    if let Some(done) = &brief.done {
        say("done when", text(done));
    }
    for criterion in &brief.entry {
        say("entry", format!("{}: {}", criterion.id, plain(&criterion.text)));
    }
    for criterion in &brief.exit {
        let check = criterion
            .check
            .as_ref()
            .map(|run| format!("  (check: {})", shell(run)))
            .unwrap_or_default();
        say("exit", format!("{}: {}{check}", criterion.id, plain(&criterion.text)));
    }
    if !brief.constraints.is_empty() {
        say("shares", brief.constraints.join(", "));
    }
    if let Some(run) = &brief.execute {
        say("execute", shell(run));
    }
    if let Some(back) = &brief.returned {
        say("returned", format!("by {}: \"{}\"", back.by, text(&back.reason)));
    }
    let most = if whole { usize::MAX } else { 3 };
    lines.extend(super::follow_up_rows(&brief.follow_ups, most));
    let mut say = |name: &str, what: String| {
        lines.push(Line::Row(vec![name.to_owned(), what]));
    };
    for earlier in &brief.earlier {
        let outcome = earlier.outcome.as_deref().unwrap_or("");
        let void = if earlier.void { ", void" } else { "" };
        say(
            "earlier",
            format!("{} {}{void}: {}", earlier.attempt_id, earlier.state, text(outcome)),
        );
    }
    let handoffs = brief.predecessors.iter().filter(|before| before.outcome.is_some());
    for before in handoffs.take(if whole { usize::MAX } else { 3 }) {
        let outcome = before.outcome.as_deref().unwrap_or("");
        let mut line = format!("{} {}", before.step_key, text(outcome));
        if whole {
            if let Some(next) = &before.next_action {
                line.push_str(&format!("  → {}", plain(next)));
            }
            for output in &before.outputs {
                line.push_str(&format!("  [{} {}]", plain(&output.path), output.sha256));
            }
        }
        say("after", line);
    }
}
