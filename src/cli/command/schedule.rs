//! `schedule`: what may start now, in which order, and why not the rest.

use super::super::Reply;
use super::super::args::ScheduleArgs;
use super::super::error::{Failure, Recorded, clear_review, next};
use super::super::exit::Exit;
use super::super::session::{Code, Session};
use super::super::ui::{Line, count, plain, said};
use super::super::view::{
    MatrixEntry, MatrixView, PassedOver, PreclaimEntry, PreclaimView, ScheduleView,
};
use crate::artifact::ScheduleDoc;
use crate::domain::decide::{POLICY_REASON, awaits_policy};
use crate::domain::id::ItemId;
use crate::domain::workflow::TimeLimit;
use crate::ledger::LedgerError;
use crate::{ops, report};

pub(super) fn run(args: &ScheduleArgs, session: &Session) -> Result<Reply, Failure> {
    let given = args.item.as_ref().or(args.work_item.as_ref());
    let item: ItemId = given
        .map(|id| id.parse())
        .transpose()?
        .ok_or_else(|| Failure::usage("name the item: stepseal schedule ITEM"))?;
    if args.preclaim {
        return preclaim(args, &item, session);
    }
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
        let include: Vec<MatrixEntry> = doc
            .ready_steps
            .iter()
            .filter(|_| by_policy.is_none())
            .filter(|step| {
                let step = fold.workflow.step(&step.key);
                !args.executable || step.is_some_and(|step| step.definition.execute.is_some())
            })
            .map(|step| MatrixEntry {
                work_item_id: item.clone(),
                step_key: step.key.clone(),
                order: step.order,
                parallelizable: step.parallelizable,
                attempt_id: step.attempt_id.clone(),
            })
            .collect();
        // One line: a matrix is an output of a job, and those are lines.
        let count = include.len();
        let matrix = serde_json::to_string(&MatrixView { include }).unwrap_or_default();
        let mut reply = Reply::new("matrix", &());
        reply.outputs = vec![("matrix", matrix.clone()), ("count", count.to_string())];
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

/// Claims the wave, and says it as a matrix or to people.
fn preclaim(args: &ScheduleArgs, item: &ItemId, session: &Session) -> Result<Reply, Failure> {
    let lease = match &args.lease {
        Some(text) => Some(text.parse::<TimeLimit>().map_err(Failure::usage)?.seconds()),
        None => session.config.seconds("claim.lease"),
    };
    let act = session.act(Code::Head)?;
    let fail = |error: LedgerError| session.ledger_failure(&error);
    let own = act.moment.actor.id.as_str();
    // Of `gha:REPO:RUN_ID:RUN_ATTEMPT:JOB:INDEX` all but the job, which is another.
    let wave = match own.starts_with("gha:") {
        true => own.splitn(5, ':').take(4).chain(["execute"]).collect::<Vec<_>>().join(":"),
        false => own.to_owned(),
    };
    let ask = ops::Preclaim {
        base: args.base.clone().unwrap_or(wave),
        executors: usize::from(args.executors),
        executable: args.executable,
        attest_all: args.attest_all,
        lease,
    };
    let receipt = ops::preclaim(&act.ledger, item, &ask, &act.moment).map_err(fail)?;
    let wave = &receipt.value;
    let snapshot = act.ledger.snapshot().map_err(fail)?;
    let fold = match receipt.items.get(item) {
        Some(fold) => fold.clone(),
        None => snapshot.known_item(item).map_err(fail)?,
    };
    let tickets = match &args.tickets {
        Some(folder) => {
            let folder = session.environment.dir.join(folder);
            let actor = &act.moment.actor;
            let written = ops::write_tickets(&snapshot, &fold, &wave.handed, actor, &folder);
            let mut failed = written.map_err(|error| session.ops_failure(&error, Vec::new()));
            if let Err(failure) = &mut failed {
                // They can be written once more: the same again claims nothing twice.
                failure.recorded = Recorded::Yes;
            }
            Some(failed?)
        }
        None => None,
    };
    let entry = |(n, handed): (usize, &ops::Handed)| {
        let step = fold.workflow.step(handed.attempt.key())?;
        Some(PreclaimEntry {
            work_item_id: item.clone(),
            step_key: step.key.clone(),
            order: step.order,
            parallelizable: step.definition.parallelizable,
            attempt_id: handed.attempt.clone(),
            claim_id: handed.claim,
            executor: handed.executor.clone(),
            ticket: tickets.as_ref().and_then(|names| names.get(n).cloned()),
            execute: step.definition.execute.is_some(),
        })
    };
    let view = PreclaimView {
        include: wave.handed.iter().enumerate().filter_map(entry).collect(),
        passed_over: wave
            .passed_over
            .iter()
            .map(|(step_key, why)| PassedOver { step_key: step_key.clone(), why: why.clone() })
            .collect(),
        left: wave.left,
    };
    let mut reply = Reply::new("preclaim", &view);
    reply.recorded = receipt.commit.is_some();
    for (step, why) in &wave.passed_over {
        reply.warnings.push((format!("{step} was passed over: {}", plain(why)), None));
    }
    let matrix = serde_json::json!({ "include": view.include }).to_string();
    reply.outputs = vec![("matrix", matrix.clone()), ("count", view.include.len().to_string())];
    reply.summary =
        Some(report::section(&fold.workflow, &report::item(&fold.workflow, &fold.state)));
    if args.matrix {
        reply.raw = Some(format!("{matrix}\n"));
        return Ok(reply);
    }
    for one in &wave.handed {
        let what = format!("{item} {} for {}", one.attempt, one.executor);
        reply.lines.push(said(if one.fresh { "claimed" } else { "holds" }, what));
        reply.quiet.push_str(&format!(
            "{item}\t{}\t{}\t{}\t{}\n",
            one.attempt.key(),
            one.attempt,
            one.claim,
            one.executor
        ));
    }
    if wave.handed.is_empty() {
        reply.lines.push(said("nothing", format!("of {item} is ready to be claimed")));
        reply.exit = Exit::Nothing;
    }
    if wave.left > 0 {
        let more = format!("{} ready, and no executor for it", count(wave.left, "more step"));
        reply.lines.push(said("left", more));
    }
    if let (Some(folder), Some(names)) = (&args.tickets, &tickets) {
        let what = format!("{} in {}", count(names.len(), "ticket"), folder.display());
        reply.lines.push(said("wrote", what));
        if let Some(first) = names.first() {
            let path = folder.join(first).display().to_string();
            reply.next.push(next(["run", "--ticket", &path, "--spool", "SPOOL"]));
        }
    } else {
        reply.next.push(next(["status", item.as_str()]));
    }
    Ok(reply)
}
