//! `collect`: bring spooled handoffs home.

use super::super::Reply;
use super::super::args::CollectArgs;
use super::super::error::{Failure, next};
use super::super::exit::Exit;
use super::super::session::{Code, Session};
use super::super::ui::{Line, count, plain, said, short};
use super::super::view::{CollectView, CollectedAttempt, QuarantinedView};
use crate::domain::event::EventKind;
use crate::domain::id::{AttemptId, ItemId};
use crate::ledger::ItemFold;
use crate::ops::{self, Collect, Collected, Quarantined};
use crate::report;

/// How many a person is told one by one.
const TOLD: usize = 20;

pub(super) fn run(args: &CollectArgs, session: &Session) -> Result<Reply, Failure> {
    let act = session.act(Code::None)?;
    let ask = Collect {
        folders: args.folders.iter().map(|dir| session.environment.dir.join(dir)).collect(),
        fail_missing: args.run.clone().filter(|_| args.fail_missing),
    };
    let receipt = ops::collect(&act.ledger, &ask, &act.moment)
        .map_err(|error| session.ops_failure(&error, Vec::new()))?;
    let collected = &receipt.value;
    let ended = |item: &ItemId, attempt: &AttemptId, outcome: &str| CollectedAttempt {
        work_item_id: item.clone(),
        attempt_id: attempt.clone(),
        outcome: outcome.to_owned(),
    };
    let accepted: Vec<CollectedAttempt> = collected
        .accepted
        .iter()
        .map(|(item, attempt, kind)| ended(item, attempt, word(*kind)))
        .collect();
    let failed: Vec<CollectedAttempt> =
        collected.failed.iter().map(|(item, attempt)| ended(item, attempt, "failed")).collect();
    let view = CollectView {
        accepted: accepted.clone(),
        there: collected.there,
        quarantined: quarantined(collected),
        failed: failed.clone(),
    };
    let mut reply = Reply::new("collect", &view);
    reply.outputs = vec![
        ("accepted", accepted.len().to_string()),
        ("quarantined", collected.quarantined.len().to_string()),
        ("failed", failed.len().to_string()),
    ];
    let sections = receipt.items.values();
    let section = |fold: &ItemFold| {
        report::section(&fold.workflow, &report::item(&fold.workflow, &fold.state))
    };
    reply.summary = Some(sections.map(section).collect());
    reply.recorded = receipt.commit.is_some();
    let all = || accepted.iter().chain(&failed);
    for one in all() {
        let line = format!("{}\t{}\t{}\n", one.work_item_id, one.attempt_id, one.outcome);
        reply.quiet.push_str(&line);
    }
    for one in all().take(TOLD) {
        let missing = if failed.iter().any(|other| other.attempt_id == one.attempt_id) {
            ": nothing came back"
        } else {
            ""
        };
        let what = format!("{} {}{missing}", one.work_item_id, one.attempt_id);
        reply.lines.push(said(&one.outcome, what));
    }
    let more = all().count().saturating_sub(TOLD);
    if more > 0 {
        reply.lines.push(Line::Text(format!("and {more} more")));
    }
    if collected.there > 0 {
        let what = format!("{} on record already", count(collected.there, "handoff"));
        reply.lines.push(said("unchanged", what));
    }
    for one in &collected.quarantined {
        let what = format!("{}: {}", one.path.display(), short(&one.why, 200));
        reply.lines.push(said("refused", plain(&what)));
    }
    if reply.lines.is_empty() {
        reply.lines.push(said("nothing", "was there to collect"));
    }
    if !collected.quarantined.is_empty() {
        reply.exit = Exit::Refused;
    }
    let mut items: Vec<&ItemId> = all().map(|one| &one.work_item_id).collect();
    items.dedup();
    reply.next.push(match items.first() {
        Some(item) => next(["schedule", item.as_str()]),
        None => next(["status"]),
    });
    Ok(reply)
}

/// What was refused, as data.
pub(super) fn quarantined(collected: &Collected) -> Vec<QuarantinedView> {
    let view = |one: &Quarantined| QuarantinedView {
        path: one.path.display().to_string(),
        work_item_id: one.item.clone(),
        digest: one.digest.clone(),
        why: one.why.clone(),
        recorded: one.recorded,
    };
    collected.quarantined.iter().map(view).collect()
}

fn word(kind: EventKind) -> &'static str {
    match kind {
        EventKind::AttemptFailed => "failed",
        EventKind::AttemptRejected => "rejected",
        _ => "completed",
    }
}
