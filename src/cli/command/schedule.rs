//! `schedule`: what may start now, in which order, and why not the rest.

use super::super::Reply;
use super::super::args::ScheduleArgs;
use super::super::error::{Failure, clear_review, next};
use super::super::session::Session;
use super::super::ui::{Line, plain};
use super::super::view::{MatrixEntry, MatrixView, ScheduleView};
use crate::artifact::ScheduleDoc;
use crate::domain::decide::{POLICY_REASON, awaits_policy};
use crate::domain::id::ItemId;

pub(super) fn run(args: &ScheduleArgs, session: &Session) -> Result<Reply, Failure> {
    let given = args.item.as_ref().or(args.work_item.as_ref());
    let item: ItemId = given
        .map(|id| id.parse())
        .transpose()?
        .ok_or_else(|| Failure::usage("name the item: stepseal schedule ITEM"))?;
    let ledger = session.ledger()?;
    let fail = |error| session.ledger_failure(&error);
    let snapshot = ledger.snapshot().map_err(fail)?;
    let fold = snapshot.known_item(&item).map_err(fail)?;
    // The schedule is the item's own; what policy says of its claims is said beside it.
    let policy = snapshot.ledger().map_err(fail)?;
    let by_policy = awaits_policy(policy, &fold.state);
    let by_policy = by_policy.then(|| format!("nobody may claim {item}: {POLICY_REASON}"));
    let doc = ScheduleDoc::of(&fold.workflow, &fold.state).under(policy, &fold.workflow);
    if args.matrix {
        let include = doc
            .ready_steps
            .iter()
            .filter(|_| by_policy.is_none())
            .map(|step| MatrixEntry {
                work_item_id: item.clone(),
                step_key: step.key.clone(),
                order: step.order,
                parallelizable: step.parallelizable,
                attempt_id: step.attempt_id.clone(),
            })
            .collect();
        // One line: a matrix is an output of a job, and those are lines.
        let matrix = serde_json::to_string(&MatrixView { include }).unwrap_or_default();
        let mut reply = Reply::new("matrix", &());
        reply.raw = Some(format!("{matrix}\n"));
        reply.warnings.extend(by_policy.map(|message| (message, None)));
        return Ok(reply);
    }
    let mut reply = Reply::new("schedule", &ScheduleView { schedule: doc.clone() });
    for step in &doc.ready_steps {
        let notes = plain(&step.notes.join("; "));
        let cells = [format!("○ {}", step.key), "ready".into(), step.attempt_id.to_string(), notes];
        reply.lines.push(Line::Row(cells.to_vec()));
        reply.quiet.push_str(&format!("{}\n", step.attempt_id));
    }
    for step in &doc.in_progress {
        let cells = [
            format!("● {}", step.key),
            "held".into(),
            step.attempt_id.to_string(),
            format!("by {}", step.executor),
        ];
        reply.lines.push(Line::Row(cells.to_vec()));
    }
    for gate in &doc.pending_gates {
        let cells = [
            format!("◆ {}", gate.key),
            "decide".into(),
            gate.attempt_id.to_string(),
            format!("{} of {} approvals", gate.approvals, gate.quorum.unwrap_or(1)),
        ];
        reply.lines.push(Line::Row(cells.to_vec()));
    }
    for step in &doc.blocked_steps {
        let cells = [format!("· {}", step.key), "waits".into(), String::new(), plain(&step.reason)];
        reply.lines.push(Line::Row(cells.to_vec()));
    }
    if doc.blocked_more > 0 {
        reply.lines.push(Line::Text(format!("· {} more wait", doc.blocked_more)));
    }
    reply.lines.push(Line::Blank);
    reply.lines.push(Line::Text(plain(&doc.rationale)));
    if let Some(message) = by_policy {
        reply.warnings.push((message, None));
        reply.next.push(clear_review(&item));
    } else if let Some(first) = doc.ready_steps.first() {
        reply.next.push(next([
            "claim",
            "--work-item",
            item.as_str(),
            "--step",
            first.key.as_str(),
        ]));
    } else {
        reply.next.push(next(["status", item.as_str()]));
    }
    Ok(reply)
}
