//! `skip`, `requeue`, `release`: acts on one step besides working on it.

use super::super::Reply;
use super::super::args::{ReleaseArgs, RequeueArgs, SkipArgs};
use super::super::error::Failure;
use super::super::session::{Code, Session};
use super::super::ui::said;
use super::super::view::StepView;
use super::{Asks, Open, fold_now, names, onwards};
use crate::domain::decide::{Ask, Decided, Release, Requeue, Skip, Unchanged};
use crate::domain::event::EventKind;
use crate::domain::id::{AttemptId, ItemId, StepKey};
use crate::domain::state::RequestSeen;
use crate::ledger::{ItemFold, LedgerError, Receipt};

pub(super) fn skip(args: &SkipArgs, session: &Session) -> Result<Reply, Failure> {
    let step: StepKey = args.step.parse()?;
    let ask = Ask::Skip(Skip { step: step.clone(), reason: args.reason.clone() });
    act(&args.item.work_item, Some(step), None, &ask, "skipped", session)
}

pub(super) fn requeue(args: &RequeueArgs, session: &Session) -> Result<Reply, Failure> {
    let step: Option<StepKey> = args.step.as_deref().map(str::parse).transpose()?;
    let ask = Ask::Requeue(Requeue {
        step: step.clone(),
        attempt: args.attempt.clone(),
        reason: args.reason.clone(),
        lapsed: args.lapsed,
        force: args.force,
    });
    act(&args.item.work_item, step, args.attempt.as_deref(), &ask, "queued", session)
}

pub(super) fn release(args: &ReleaseArgs, session: &Session) -> Result<Reply, Failure> {
    let step: Option<StepKey> = args.step.as_deref().map(str::parse).transpose()?;
    let ask = Ask::Release(Release {
        step: step.clone(),
        attempt: args.attempt.clone(),
        claim: args.claim.as_deref().map(str::parse).transpose()?,
        reason: args.reason.clone(),
    });
    act(&args.item.work_item, step, args.attempt.as_deref(), &ask, "released", session)
}

/// Asks, and says what became of it.
pub(super) fn ask(
    session: &Session,
    act: &super::super::session::Act,
    item: &ItemId,
    ask: &Ask,
) -> Result<Receipt<Option<Unchanged>>, Failure> {
    let judged: Result<_, LedgerError> = act
        .ledger
        .transact(&act.moment, |snapshot| Ok(snapshot.decide(item, ask, &act.moment)?.into()));
    judged.map_err(|error| session.ledger_failure(&error))
}

/// Judges an ask and records nothing: what `--dry-run` shows.
pub(super) fn look(
    session: &Session,
    act: &super::super::session::Act,
    item: &ItemId,
    ask: &Ask,
) -> Result<Decided, Failure> {
    act.ledger
        .snapshot()
        .and_then(|snapshot| snapshot.decide(item, ask, &act.moment))
        .map_err(|error| session.ledger_failure(&error))
}

/// The attempt that an earlier request queued: the same answer again (R1).
fn queued_by(fold: &ItemFold, seen: &RequestSeen) -> Option<AttemptId> {
    let first = seen.attempt.as_ref()?;
    if seen.kind == EventKind::AttemptRequeued.name() {
        return Some(first.clone());
    }
    let step = &fold.state.steps[fold.workflow.position(first.key())?];
    let after = step.attempts.iter().position(|a| a.retry_of == Some(first.number()))?;
    Some(AttemptId::new(first.key().clone(), u32::try_from(after).ok()? + 1))
}

fn act(
    item: &str,
    step: Option<StepKey>,
    attempt: Option<&str>,
    asked: &Ask,
    word: &'static str,
    session: &Session,
) -> Result<Reply, Failure> {
    let item: ItemId = item.parse()?;
    let act = session.act(Code::None)?;
    let receipt = ask(session, &act, &item, asked)?;
    let fold = fold_now(&receipt, &act.ledger, &item, session)?;
    let open = Open::of(&fold);
    let named = attempt.and_then(|name| fold.state.attempt_named(name));
    let step = step
        .or_else(|| named.map(|attempt| attempt.key().clone()))
        .ok_or_else(|| Failure::usage("name the step: --step KEY"))?;
    let of = |kind: EventKind| receipt.events.iter().find(|s| s.event.kind() == kind);
    let queued = match &receipt.value {
        None => of(EventKind::AttemptRequeued).and_then(|s| s.event.attempt_id.clone()),
        Some(Unchanged::Queued { attempt }) => Some(attempt.clone()),
        Some(Unchanged::Request { seen }) => queued_by(&fold, seen),
        Some(_) => None,
    };
    let lapsed = of(EventKind::ClaimLapsed);
    let outcome = match (&receipt.value, lapsed) {
        (Some(_), _) => "unchanged",
        (None, Some(_)) => "lapsed",
        (None, None) => word,
    };
    let mut reply = Reply::new(
        "step",
        &StepView {
            work_item_id: item.clone(),
            step_key: step.clone(),
            outcome: outcome.into(),
            attempt_id: queued.clone(),
            ready: open.ready.clone(),
        },
    );
    reply.recorded = receipt.value.is_none();
    match &receipt.value {
        Some(Unchanged::Queued { attempt }) => {
            let rest = format!("{attempt} of {item} is queued already: nothing recorded");
            reply.lines.push(said("unchanged", rest));
        }
        Some(Unchanged::Skipped) => {
            let rest = format!("{item} {step} was skipped before: nothing recorded");
            reply.lines.push(said("unchanged", rest));
        }
        Some(_) => {
            let rest = format!("{item} {step}: this request was answered before, nothing recorded");
            reply.lines.push(said("unchanged", rest));
        }
        None => {
            if let Some(lapsed) = lapsed {
                let attempt = lapsed.event.attempt_id.as_ref();
                let attempt = attempt.map(ToString::to_string).unwrap_or_default();
                reply.lines.push(said("lapsed", format!("{item} {step} ({attempt})")));
            } else {
                reply.lines.push(said(word, format!("{item} {step}")));
            }
            if let Some(queued) = &queued {
                reply.lines.push(said("queued", queued.to_string()));
            }
        }
    }
    if !open.ready.is_empty() {
        reply.lines.push(said("ready", open.ready_words()));
    } else if !open.gates.is_empty() {
        reply.lines.push(said("decide", names(&open.gates, 8)));
    }
    reply.next = onwards(&item, &open, &Asks::acting(&act, session));
    Ok(reply)
}
