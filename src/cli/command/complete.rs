//! `complete`: end an attempt.

use std::time::Duration;

use super::super::Reply;
use super::super::args::{CompleteArgs, EndingArg};
use super::super::error::{Failure, next};
use super::super::exit::Exit;
use super::super::session::{Code, Session};
use super::super::ui::{Line, Ui, said, shell, span};
use super::super::view::{CheckView, CompleteView};
use super::{Asks, Open, names, onwards, spool};
use crate::domain::decide::{Complete, Verified};
use crate::domain::event::{EventData, EventKind, Link};
use crate::domain::id::{EventId, ItemId};
use crate::ledger::Ledger;
use crate::ops::{self, Checks, Run};

pub(super) fn run(
    args: &CompleteArgs,
    session: &Session,
    ui: &mut Ui<'_>,
) -> Result<Reply, Failure> {
    if let (Some(ticket), Some(spool)) = (&args.ticket, &args.spool) {
        return spool::complete(args, ticket, spool, session, ui);
    }
    let item: ItemId = args.work_item.as_deref().unwrap_or_default().parse()?;
    if args.step.is_none() && args.attempt.is_none() && args.claim.is_none() {
        return Err(Failure::usage(
            "name what is complete: --step KEY, --attempt KEY.N or --claim ID",
        ));
    }
    let act = session.act(Code::Whole)?;
    let work_dir = act.ledger.work_dir().map(std::path::Path::to_path_buf);
    let dir = &session.environment.dir;
    let outputs = args
        .output
        .iter()
        .map(|path| ops::hash_output(path, dir, work_dir.as_deref()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| Failure::usage(error.to_string()))?;
    let ask = Complete {
        step: args.step.as_deref().map(str::parse).transpose()?,
        attempt: args.attempt.clone(),
        claim: args.claim.as_deref().map(str::parse).transpose()?,
        own_claims: act.own_claims.list(),
        ending: args.status.into(),
        outcome: args.outcome.clone(),
        next_action: args.next_action.clone(),
        verified: args.verified.iter().map(|v| verified(v)).collect::<Result<_, _>>()?,
        outputs,
        links: links(&args.link, &act.ledger, &item, session)?,
    };
    let timeout =
        Duration::from_secs(session.config.seconds("complete.checkTimeout").unwrap_or(600));
    let checks = args.run_checks.then(|| Checks {
        dir: work_dir.as_deref().unwrap_or(dir),
        timeout,
        // Text fields of an artifact end at 8 KiB; the digest covers all of the output.
        keep: session.config.bytes("complete.checkOutput"),
    });
    if args.offline {
        return spool::keep(&act, &item, &ask, checks, session, ui);
    }
    let receipt = ops::complete(&act.ledger, &item, &ask, checks, &act.moment, &mut |criterion| {
        let run = criterion.check.as_ref().map(|check| shell(&check.run)).unwrap_or_default();
        ui.busy(&format!("running the check of {}: {run}", criterion.id));
    });
    let receipt = receipt.map_err(|error| session.ops_failure(&error, repeat(args)))?;
    let done = &receipt.value;
    let key = done.attempt.key().clone();
    let of = |kind: EventKind| receipt.events.iter().find(|s| s.event.kind() == kind);
    let requeued = of(EventKind::AttemptRequeued).and_then(|s| s.event.attempt_id.clone());
    let reused = of(EventKind::AttemptCompleted).and_then(|s| match &s.event.data {
        EventData::AttemptCompleted(data) => data.reused.clone(),
        _ => None,
    });
    let word = match (done.fresh, args.status) {
        (false, _) => "unchanged",
        (true, EndingArg::Completed) => "completed",
        (true, EndingArg::Failed) => "failed",
        (true, EndingArg::Rejected) => "rejected",
    };
    let open = Open::now(&receipt, &act.ledger, &item, session)?;
    let mut reply = Reply::new(
        "complete",
        &CompleteView {
            work_item_id: item.clone(),
            step_key: key.clone(),
            attempt_id: done.attempt.clone(),
            outcome: word.into(),
            checks: check_views(&done.checks),
            requeued: requeued.clone(),
            ready: open.ready.clone(),
            gates: open.gates.clone(),
            reused: reused.clone(),
        },
    );
    reply.recorded = done.fresh;
    if !done.fresh {
        let rest = format!(
            "{item} {key} was ended by {} with this outcome: nothing recorded",
            done.attempt
        );
        reply.lines.push(said("unchanged", rest));
        reply.next = onwards(&item, &open, &Asks::acting(&act, session));
        return Ok(reply);
    }
    reply.lines.extend(check_lines(&done.checks));
    let took = receipt.items.get(&item).and_then(|fold| {
        let attempt = fold.attempt(&done.attempt)?;
        let claim = attempt.claim.as_ref()?;
        let seconds = (attempt.end.as_ref()?.at - claim.at).num_seconds();
        Some(format!(" by {} in {}", claim.executor, span(seconds)))
    });
    let took = took.unwrap_or_default();
    reply.lines.push(said(word, format!("{item} {key} ({}){took}", done.attempt)));
    if let Some(reused) = reused {
        reply.lines.push(said("reused", format!("same inputs as {reused}: counts once")));
    }
    if let Some(requeued) = &requeued {
        reply.lines.push(said("queued", format!("{requeued}, by the step's own retry")));
    }
    if !open.ready.is_empty() {
        reply.lines.push(said("ready", open.ready_words()));
    }
    if !open.gates.is_empty() {
        reply.lines.push(said("decide", names(&open.gates, 8)));
    }
    if open.ready.is_empty() && open.gates.is_empty() {
        if open.done {
            reply.lines.push(said("done", format!("every step of {item}")));
        } else if !open.held.is_empty() {
            let held: Vec<String> =
                open.held.iter().take(6).map(|(key, by)| format!("{key} held by {by}")).collect();
            reply.lines.push(said("still", held.join(", ")));
        }
    }
    reply.next = match word {
        "completed" => onwards(&item, &open, &Asks::acting(&act, session)),
        _ if requeued.is_some() => onwards(&item, &open, &Asks::acting(&act, session)),
        _ => vec![next(["requeue", "--work-item", item.as_str(), "--step", key.as_str()])],
    };
    Ok(reply)
}

/// Checks that were run, as data.
pub(super) fn check_views(runs: &[Run]) -> Vec<CheckView> {
    let view = |(criterion, run): &Run| CheckView {
        criterion: criterion.to_string(),
        exit_code: run.exit_code,
        duration_ms: run.duration_ms,
        output_digest: run.output_digest.clone(),
    };
    runs.iter().map(view).collect()
}

/// The same for people, a line each.
pub(super) fn check_lines(runs: &[Run]) -> Vec<Line> {
    let line = |(criterion, run): &Run| {
        let seconds = format!("{}.{} s", run.duration_ms / 1000, run.duration_ms % 1000 / 100);
        let digest = run.output_digest.as_str();
        let rest = format!(
            "{criterion}   {}   exit {}, {seconds}, output sha256 {}…",
            shell(&run.run),
            run.exit_code,
            &digest[..12]
        );
        said("check", rest)
    };
    runs.iter().map(line).collect()
}

/// The flags of this command again, for the way out of a refusal.
fn repeat(args: &CompleteArgs) -> Vec<String> {
    let mut words = vec!["--work-item".to_owned(), args.work_item.clone().unwrap_or_default()];
    let mut add = |flag: &str, value: Option<&String>| {
        if let Some(value) = value {
            words.extend([flag.to_owned(), value.clone()]);
        }
    };
    add("--step", args.step.as_ref());
    add("--attempt", args.attempt.as_ref());
    add("--claim", args.claim.as_ref());
    add("--outcome", Some(&args.outcome));
    add("--next-action", args.next_action.as_ref());
    for output in &args.output {
        add("--output", Some(output));
    }
    for verified in &args.verified {
        add("--verified", Some(verified));
    }
    if args.run_checks {
        words.push("--run-checks".to_owned());
    }
    words
}

/// `ID` or `ID=EVIDENCE`.
pub(super) fn verified(text: &str) -> Result<Verified, Failure> {
    let (id, evidence) = match text.split_once('=') {
        Some((id, evidence)) => (id, Some(evidence.to_owned())),
        None => (text, None),
    };
    Ok(Verified { id: id.parse()?, evidence, check: None })
}

/// `REL=EVENT-ID`, to an event of the item.
fn links(
    given: &[String],
    ledger: &Ledger,
    item: &ItemId,
    session: &Session,
) -> Result<Vec<Link>, Failure> {
    if given.is_empty() {
        return Ok(Vec::new());
    }
    let events = ledger
        .snapshot()
        .and_then(|snapshot| snapshot.events(item))
        .map_err(|error| session.ledger_failure(&error))?;
    given
        .iter()
        .map(|text| {
            let (rel, id) = text
                .split_once('=')
                .ok_or_else(|| Failure::usage(format!("--link {text}: write REL=EVENT-ID")))?;
            let word = !rel.is_empty()
                && rel.len() <= 64
                && rel.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
            if !word {
                return Err(Failure::usage(format!(
                    "--link {text}: REL is a word of letters and dashes"
                )));
            }
            let id: EventId = id.parse()?;
            let found = events.iter().find(|sealed| sealed.event.id == id).ok_or_else(|| {
                Failure::new(Exit::NotFound, "unknown-event", format!("{item} has no event {id}"))
            })?;
            if found.event.kind() == EventKind::ScheduleDecided {
                return Err(Failure::usage("links go to facts, never to a decision"));
            }
            Ok(Link { rel: rel.to_owned(), id, sha256: found.sha256.clone() })
        })
        .collect()
}
