//! `resume`: go on after an interruption. Nothing has to be restored; what cannot be taken for
//! granted any more is listed and put on record.

use super::super::Reply;
use super::super::args::ResumeArgs;
use super::super::error::{Failure, next};
use super::super::session::{Code, Session};
use super::super::ui::{Line, clock, said, shell, short, span};
use super::super::view::{ResumeView, ResumedClaim, VerifyAgainView};
use super::{Asks, Open, fold_now, names, onwards, step};
use crate::domain::decide::{Ask, Resume, verify_again};
use crate::domain::event::{Doubt, VerifyAgain};
use crate::domain::id::{ItemId, StepKey};
use crate::ledger::ItemFold;
use crate::report;

pub(super) fn run(args: &ResumeArgs, session: &Session) -> Result<Reply, Failure> {
    let item: ItemId = args.item.work_item.parse()?;
    let act = session.act(Code::None)?;
    let now = act.moment.now();
    let (fold, fresh) = match (&args.reason, args.dry_run) {
        (Some(reason), false) => {
            let ask = Ask::Resume(Resume { reason: reason.clone() });
            let receipt = step::ask(session, &act, &item, &ask)?;
            let fold = fold_now(&receipt, &act.ledger, &item, session)?;
            (fold, receipt.value.is_none())
        }
        (reason, _) => {
            // An item that takes no more work is refused as it would be.
            let reason = reason.clone().unwrap_or_else(|| "a dry run".into());
            step::look(session, &act, &item, &Ask::Resume(Resume { reason }))?;
            let fold = act.ledger.snapshot().and_then(|snapshot| snapshot.known_item(&item));
            (fold.map_err(|error| session.ledger_failure(&error))?, false)
        }
    };
    let list = verify_again(&fold.workflow, &fold.state, now);
    let outcome = match (args.dry_run, fresh) {
        (true, _) => "dry-run",
        (false, true) => "resumed",
        (false, false) => "unchanged",
    };
    let open = Open::of(&fold);
    let view = view(&item, outcome, &fold, &open, &list, session);
    let mut reply = Reply::new("resume", &view);
    reply.recorded = fresh;
    match outcome {
        "resumed" => {
            let by = &act.moment.actor.principal;
            reply.lines.push(said("resumed", format!("{item} by {by}: it is {}", view.status)));
        }
        "unchanged" => {
            let rest = format!(
                "{item} was resumed so before, and nothing happened since: nothing recorded"
            );
            reply.lines.push(said("unchanged", rest));
        }
        _ => {
            reply.lines.push(said("would resume", format!("{item}: it is {}", view.status)));
            reply.aside = vec![Line::Text("dry run: nothing was recorded".into())];
        }
    }
    for claim in &view.claims {
        let since = span((now - claim.claimed_at).num_seconds());
        let lease = match claim.lease_until {
            Some(until) if claim.lease_ended => {
                format!(", its lease ended {}", clock(until, now, &session.config))
            }
            Some(until) => format!(", lease until {}", clock(until, now, &session.config)),
            None => String::new(),
        };
        let rest = format!("{} by {} for {since}{lease}", claim.attempt_id, claim.executor);
        reply.lines.push(said("held", rest));
    }
    for one in &view.verify_again {
        let check = one.check.as_ref().map(|run| format!("(check: {})", shell(run)));
        reply.lines.push(Line::Row(vec![
            "verify again".into(),
            format!("{} {}", one.attempt_id, one.criterion_id),
            short(&one.text, 80),
            words(&one.because).to_owned(),
            check.unwrap_or_default(),
        ]));
        reply.quiet.push_str(&format!(
            "{}\t{}\t{}\t{}\n",
            one.step_key, one.attempt_id, one.criterion_id, one.because
        ));
    }
    if view.verify_again.is_empty() {
        reply.lines.push(said("verify again", "nothing"));
    }
    if !open.ready.is_empty() {
        reply.lines.push(said("ready", open.ready_words()));
    } else if !open.gates.is_empty() {
        reply.lines.push(said("decide", names(&open.gates, 8)));
    }
    reply.next = ways_on(&item, &view, &open, &Asks::acting(&act, session));
    Ok(reply)
}

fn view(
    item: &ItemId,
    outcome: &str,
    fold: &ItemFold,
    open: &Open,
    list: &[VerifyAgain],
    session: &Session,
) -> ResumeView {
    let report = report::item(&fold.workflow, &fold.state);
    let claims = report.steps.iter().filter(|step| step.state == "held").filter_map(|step| {
        Some(ResumedClaim {
            attempt_id: step.attempt_id.clone()?,
            executor: step.executor.clone()?,
            claimed_at: step.claimed_at?,
            lease_until: step.lease_until,
            lease_ended: step.lease_until.is_some_and(|until| until <= session.now()),
        })
    });
    let again = list.iter().map(|one| {
        let step = fold.workflow.step(&one.step_key);
        let criterion = step
            .and_then(|step| step.definition.exit.iter().find(|exit| exit.id == one.criterion_id));
        VerifyAgainView {
            step_key: one.step_key.clone(),
            attempt_id: one.attempt_id.clone(),
            criterion_id: one.criterion_id.clone(),
            text: criterion.map(|criterion| criterion.text.clone()).unwrap_or_default(),
            because: one.because.word().to_owned(),
            check: criterion
                .and_then(|criterion| criterion.check.as_ref())
                .map(|check| check.run.clone()),
        }
    });
    ResumeView {
        work_item_id: item.clone(),
        outcome: outcome.to_owned(),
        status: report.status.clone(),
        claims: claims.collect(),
        verify_again: again.collect(),
        ready: open.ready.clone(),
        gates: open.gates.clone(),
    }
}

/// Why a criterion is in doubt, in words.
fn words(because: &str) -> &'static str {
    const ALL: [Doubt; 4] =
        [Doubt::InProgress, Doubt::LeaseEnded, Doubt::Uncommitted, Doubt::CodeUnknown];
    match ALL.into_iter().find(|doubt| doubt.word() == because) {
        Some(Doubt::InProgress) | None => "in progress",
        Some(Doubt::LeaseEnded) => "in progress, its lease ended",
        Some(Doubt::Uncommitted) => "was shown on uncommitted changes",
        Some(Doubt::CodeUnknown) => "it is not known on which code it was shown",
    }
}

/// A claim whose lease ended is taken first, then the asker's own is ended; what was done is
/// looked at, and only a person knows whether it is to be done again.
fn ways_on(
    item: &ItemId,
    view: &ResumeView,
    open: &Open,
    asks: &Asks<'_>,
) -> Vec<super::super::error::Next> {
    let mut ways = Vec::new();
    if let Some(lapsed) = view.claims.iter().find(|claim| claim.lease_ended) {
        let step = lapsed.attempt_id.key().as_str();
        let requeue = ["requeue", "--work-item", item.as_str(), "--step", step, "--lapsed"];
        ways.push(next(requeue).note(format!("if {} is gone", lapsed.executor)));
    }
    ways.extend(onwards(item, open, asks));
    let done: Option<&StepKey> = view
        .verify_again
        .iter()
        .find(|one| {
            [Doubt::Uncommitted, Doubt::CodeUnknown].map(Doubt::word).contains(&&*one.because)
        })
        .map(|one| &one.step_key);
    if let Some(step) = done {
        let rework = ["rework", "--work-item", item.as_str(), "--return-to", step.as_str()];
        ways.push(next(rework).with(["--reason", "…"]).note("if it does not hold any more"));
    }
    ways
}
