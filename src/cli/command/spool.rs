//! `complete --ticket` and `run`: an executor without a repository says how its work ended.

use std::path::Path;
use std::time::Duration;

use super::super::Reply;
use super::super::args::{CompleteArgs, RunArgs};
use super::super::echo::Echo;
use super::super::error::{Failure, next};
use super::super::exit::Exit;
use super::super::session::{Act, Session};
use super::super::ui::{Ui, plain, said, shell};
use super::super::view::SpoolView;
use super::complete::{check_lines, check_views, verified};
use crate::code;
use crate::config::Who;
use crate::domain::decide::{Complete, Ending};
use crate::domain::event::{EventKind, Output};
use crate::domain::id::ItemId;
use crate::domain::moment::Moment;
use crate::ops::{self, Checks, Held, OpsError, Spooled};

/// How much of the work's last words becomes the outcome.
const LAST_WORDS: usize = 400;

/// Ends the attempt of a ticket.
pub(super) fn complete(
    args: &CompleteArgs,
    ticket: &Path,
    spool: &Path,
    session: &Session,
    ui: &mut Ui<'_>,
) -> Result<Reply, Failure> {
    session.only_now()?;
    let held = open(ticket, session)?;
    let ask = Complete {
        ending: args.status.into(),
        outcome: args.outcome.clone(),
        next_action: args.next_action.clone(),
        verified: args.verified.iter().map(|v| verified(v)).collect::<Result<_, _>>()?,
        outputs: outputs(&args.output, session)?,
        ..nothing_yet()
    };
    let moment = moment(&held, session)?;
    let spooled = put(&held, &ask, args.run_checks, &moment, spool, session, ui)?;
    Ok(show(&spooled, spool))
}

/// Starts the work of a ticket, and ends its attempt by how that ended.
pub(super) fn run(args: &RunArgs, session: &Session, ui: &mut Ui<'_>) -> Result<Reply, Failure> {
    session.only_now()?;
    let held = open(&args.ticket, session)?;
    let ticket = &held.ticket;
    let Some(execute) = &ticket.execute else {
        let message = format!(
            "{} of {} says nothing that starts its work: it has no `execute`",
            ticket.step_key, ticket.work_item_id
        );
        let path = args.ticket.display().to_string();
        let spool = args.spool.display().to_string();
        let complete = next(["complete", "--ticket", &path, "--spool", &spool]);
        return Err(Failure::usage(message).then(complete.with(["--outcome", "…"])));
    };
    let moment = moment(&held, session)?;
    let dir = &session.environment.dir;
    let file = dir.join(&args.ticket);
    let file = file.canonicalize().unwrap_or(file);
    let more = [("STEPSEAL_TICKET".to_owned(), file.display().to_string())];
    ui.busy(&format!("running {}", shell(&execute.run)));
    let token = session.environment.in_actions().then(|| moment.event_id(1).to_string());
    let mut echo = Echo::new(ui.quiet, token);
    let worked = ops::work(&held, dir, &more, move |bytes: &[u8]| echo.take(bytes));
    let worked = worked.map_err(|error| session.ops_failure(&error, Vec::new()))?;
    // No duration: how long it took is between its claim and this.
    let last = worked.output.lines().rev().map(str::trim).find(|line| !line.is_empty());
    let last = last.map(|line| format!(": {}", short_of(line))).unwrap_or_default();
    let how = match (worked.timed_out, worked.exit_code) {
        (true, _) => "it did not end within its time limit".to_owned(),
        (false, code) => format!("exit {code}"),
    };
    let done = !worked.timed_out && worked.exit_code == 0;
    let ask = Complete {
        ending: if done { Ending::Completed } else { Ending::Failed },
        outcome: format!("{how}{last}"),
        outputs: if done { outputs(&args.output, session)? } else { Vec::new() },
        ..nothing_yet()
    };
    let spooled = match put(&held, &ask, true, &moment, &args.spool, session, ui) {
        Err(failure) if done && failure.exit == Exit::Refused => {
            // The work ended well and what it has to show does not hold: that is a failure too.
            let ask = Complete {
                ending: Ending::Failed,
                outcome: format!("{}; {}", ask.outcome, failure.message),
                outputs: Vec::new(),
                ..ask
            };
            put(&held, &ask, false, &moment, &args.spool, session, ui)?
        }
        spooled => spooled?,
    };
    let mut reply = show(&spooled, &args.spool);
    if spooled.event.kind() == EventKind::AttemptFailed {
        // It was handed in, and whoever started it sees that it failed.
        reply.exit = Exit::Outside;
    }
    Ok(reply)
}

/// Ends an attempt while the remote is away.
pub(super) fn keep(
    act: &Act,
    item: &ItemId,
    ask: &Complete,
    checks: Option<Checks<'_>>,
    session: &Session,
    ui: &mut Ui<'_>,
) -> Result<Reply, Failure> {
    let Some(remote) = act.ledger.remote() else {
        let message = "this ledger is for this clone only: leave --offline out";
        return Err(Failure::usage(message));
    };
    let kept = ops::keep(&act.ledger, item, ask, checks, &act.moment, &mut |criterion| {
        let run = criterion.check.as_ref().map(|check| shell(&check.run)).unwrap_or_default();
        ui.busy(&format!("running the check of {}: {run}", criterion.id));
    });
    let kept = kept.map_err(|error| session.ops_failure(&error, Vec::new()))?;
    let mut reply = said_of(&kept);
    let rest = format!("it waits here, and counts once {remote} has it");
    reply.lines.push(said("unshared", rest));
    reply.next.push(next(["sync"]));
    Ok(reply)
}

fn short_of(line: &str) -> String {
    line.chars().filter(|c| !c.is_control()).take(LAST_WORDS).collect()
}

fn open(ticket: &Path, session: &Session) -> Result<Held, Failure> {
    let path = session.environment.dir.join(ticket);
    Held::open(&path).map_err(|error| session.ops_failure(&OpsError::Spool(error), Vec::new()))
}

/// An ask of a ticket's attempt, before it says anything.
fn nothing_yet() -> Complete {
    Complete {
        step: None,
        attempt: None,
        claim: None,
        own_claims: Vec::new(),
        ending: Ending::Completed,
        outcome: String::new(),
        next_action: None,
        verified: Vec::new(),
        outputs: Vec::new(),
        links: Vec::new(),
    }
}

fn outputs(paths: &[String], session: &Session) -> Result<Vec<Output>, Failure> {
    let hash = |path: &String| ops::hash_output(path, &session.environment.dir, None);
    let hashed: Result<Vec<_>, _> = paths.iter().map(hash).collect();
    hashed.map_err(|error| Failure::usage(error.to_string()))
}

/// The moment of an act for the ticket's executor: no repository is asked who that is.
fn moment(held: &Held, session: &Session) -> Result<Moment, Failure> {
    let executor = &held.ticket.executor;
    let who = Who {
        executor: Some(executor.id.to_string()),
        principal: Some(executor.principal.to_string()),
        request_id: session.who.request_id.clone(),
    };
    let mut moment = session.moment_of(&who)?;
    if session.config.switch("claim.code") {
        moment.code = code::seen(&session.environment.dir, true);
    }
    Ok(moment)
}

fn put(
    held: &Held,
    ask: &Complete,
    run_checks: bool,
    moment: &Moment,
    spool: &Path,
    session: &Session,
    ui: &mut Ui<'_>,
) -> Result<Spooled, Failure> {
    let dir = &session.environment.dir;
    let timeout =
        Duration::from_secs(session.config.seconds("complete.checkTimeout").unwrap_or(600));
    let keep = session.config.bytes("complete.checkOutput");
    let checks = run_checks.then_some(Checks { dir, timeout, keep });
    let folder = dir.join(spool);
    let spooled = ops::spool(held, ask, checks, moment, &folder, &mut |criterion| {
        let run = criterion.check.as_ref().map(|check| shell(&check.run)).unwrap_or_default();
        ui.busy(&format!("running the check of {}: {run}", criterion.id));
    });
    spooled.map_err(|error| session.ops_failure(&error, Vec::new()))
}

fn show(spooled: &Spooled, spool: &Path) -> Reply {
    let mut reply = said_of(spooled);
    let path = plain(&spooled.path.display().to_string());
    reply.lines.push(said("spooled", format!("{path}: it counts once it is collected")));
    reply.next.push(next(["collect", &spool.display().to_string()]).note("where the ledger is"));
    reply
}

/// What was written down, wherever it waits.
fn said_of(spooled: &Spooled) -> Reply {
    let event = &spooled.event;
    let word = match (spooled.fresh, event.kind()) {
        (false, _) => "unchanged",
        (true, EventKind::AttemptFailed) => "failed",
        (true, EventKind::AttemptRejected) => "rejected",
        (true, _) => "completed",
    };
    let path = spooled.path.display().to_string();
    let view = SpoolView {
        work_item_id: event.work_item_id.clone(),
        step_key: event.step.as_ref().map(|step| step.key.clone()),
        attempt_id: event.attempt_id.clone(),
        outcome: word.into(),
        path: path.clone(),
        checks: check_views(&spooled.checks),
    };
    let mut reply = Reply::new("spool", &view);
    reply.lines.extend(check_lines(&spooled.checks));
    let named = |text: Option<String>| text.unwrap_or_default();
    let (item, attempt) = (
        named(event.work_item_id.as_ref().map(ToString::to_string)),
        named(event.attempt_id.as_ref().map(ToString::to_string)),
    );
    reply.lines.push(said(word, format!("{item} {attempt} by {}", event.actor.id)));
    reply.quiet = format!("{}\n", plain(&path));
    reply
}
