//! `gate approve`, `gate reject`: people decide.

use super::super::Reply;
use super::super::args::{ApproveArgs, GateCommand, RejectArgs};
use super::super::error::{Failure, next};
use super::super::session::{Code, Session};
use super::super::ui::said;
use super::super::view::GateView;
use super::{Asks, Open, listed, names, onwards, released, step, void_words};
use crate::domain::decide::{ApproveGate, Ask, Decided, RejectGate, Unchanged};
use crate::domain::event::{EventData, GateRejected};
use crate::domain::id::{AttemptId, ItemId, StepKey};
use crate::ledger::Sealed;

pub(super) fn run(args: &GateCommand, session: &Session) -> Result<Reply, Failure> {
    match args {
        GateCommand::Approve(args) => approve(args, session),
        GateCommand::Reject(args) => reject(args, session),
    }
}

fn view(item: &ItemId, key: &StepKey, session: &super::super::session::Act) -> GateView {
    GateView {
        work_item_id: item.clone(),
        step_key: key.clone(),
        attempt_id: None,
        outcome: "unchanged".into(),
        principal: session.moment.actor.principal.clone(),
        approvals: None,
        quorum: None,
        self_review: false,
        role_unchecked: false,
        return_to: None,
        void: Vec::new(),
        released: Vec::new(),
        ready: Vec::new(),
        gates: Vec::new(),
    }
}

fn approve(args: &ApproveArgs, session: &Session) -> Result<Reply, Failure> {
    let (item, key): (ItemId, StepKey) = (args.item.work_item.parse()?, args.step.parse()?);
    let act = session.act(Code::None)?;
    let ask = Ask::ApproveGate(ApproveGate {
        step: key.clone(),
        reason: args.reason.clone(),
        follow_ups: args.follow_up.clone(),
    });
    let receipt = step::ask(session, &act, &item, &ask)?;
    let principal = &act.moment.actor.principal;
    let mut view = view(&item, &key, &act);
    let mut lines = Vec::new();
    let open = Open::after(&receipt, &item);
    match &receipt.value {
        Some(Unchanged::Approved { attempt, approvals, quorum }) => {
            view.attempt_id = Some(attempt.clone());
            (view.approvals, view.quorum) = (Some(*approvals), Some(*quorum));
            let rest = format!(
                "{principal} approved {item} {key} before ({approvals} of {quorum}): nothing recorded"
            );
            lines.push(said("unchanged", rest));
        }
        Some(unchanged) => {
            view.attempt_id = attempt_of(unchanged);
            lines.push(said("unchanged", "this request was answered before: nothing recorded"));
        }
        None => {
            let fact = receipt.events.iter().find_map(|sealed| match &sealed.event.data {
                EventData::GateApproved(data) => Some((sealed, data)),
                _ => None,
            });
            if let Some((sealed, data)) = fact {
                view.attempt_id = sealed.event.attempt_id.clone();
                view.outcome = if data.decided { "approved" } else { "noted" }.into();
                (view.approvals, view.quorum) = (Some(data.approvals), Some(data.quorum));
                view.self_review = data.self_review;
                view.role_unchecked = data.role_unchecked;
                let count = if data.quorum > 1 {
                    format!(" ({} of {})", data.approvals, data.quorum)
                } else {
                    String::new()
                };
                let verb = if data.decided { "approved" } else { "noted" };
                lines.push(said(verb, format!("{item} {key} by {principal}{count}")));
                marks(&mut lines, data.self_review, data.role_unchecked);
            }
        }
    }
    if let Some(open) = &open {
        (view.ready, view.gates) = (open.ready.clone(), open.gates.clone());
        if !open.ready.is_empty() {
            lines.push(said("ready", open.ready_words()));
        }
        if open.done {
            lines.push(said("done", format!("every step of {item}")));
        }
    }
    let mut reply = Reply::new("gate", &view);
    reply.recorded = receipt.value.is_none();
    reply.lines = lines;
    reply.next = match &open {
        Some(open) => onwards(&item, open, &Asks::acting(&act, session)),
        None => vec![next(["status", item.as_str()])],
    };
    Ok(reply)
}

/// The gate's attempt that was decided before.
fn attempt_of(unchanged: &Unchanged) -> Option<AttemptId> {
    match unchanged {
        Unchanged::Request { seen } => seen.attempt.clone(),
        Unchanged::Approved { attempt, .. } | Unchanged::Rejected { attempt } => {
            Some(attempt.clone())
        }
        _ => None,
    }
}

/// What a reader must know of who decided.
fn marks(lines: &mut Vec<super::super::ui::Line>, self_review: bool, role_unchecked: bool) {
    if self_review {
        lines.push(said("note", "by one who worked on a step under review; recorded as such"));
    }
    if role_unchecked {
        lines.push(said(
            "note",
            "the ledger knows no members of any role: not checked, recorded as such",
        ));
    }
}

fn reject(args: &RejectArgs, session: &Session) -> Result<Reply, Failure> {
    let (item, key): (ItemId, StepKey) = (args.item.work_item.parse()?, args.step.parse()?);
    let act = session.act(Code::None)?;
    let ask = Ask::RejectGate(RejectGate {
        step: key.clone(),
        reason: args.reason.clone(),
        return_to: args.return_to.as_deref().map(str::parse).transpose()?,
        release_claims: args.release_claims,
        follow_ups: args.follow_up.clone(),
    });
    if args.dry_run {
        let Decided::Facts(facts) = step::look(session, &act, &item, &ask)? else {
            let mut reply = Reply::new("gate", &view(&item, &key, &act));
            let rest = format!("{item} {key} was rejected so before: nothing would be recorded");
            reply.lines.push(said("unchanged", rest));
            reply.next.push(next(["status", item.as_str()]));
            return Ok(reply);
        };
        let data = facts.iter().find_map(|fact| match &fact.data {
            EventData::GateRejected(data) => Some(data),
            _ => None,
        });
        let mut view = view(&item, &key, &act);
        view.outcome = "dry-run".into();
        let mut lines = Vec::new();
        if let Some(data) = data {
            view.return_to = Some(data.return_to.clone());
            view.void = void(data, &key);
            lines.push(said("would void", void_words(&data.void, Some(&key))));
        }
        let mut reply = Reply::new("gate", &view);
        reply.lines = lines;
        reply.aside = vec![super::super::ui::Line::Text("dry run: nothing was recorded".into())];
        return Ok(reply);
    }
    let receipt = step::ask(session, &act, &item, &ask)?;
    let principal = &act.moment.actor.principal;
    let mut view = view(&item, &key, &act);
    let mut lines = Vec::new();
    let open = Open::after(&receipt, &item);
    let rejected = receipt.events.iter().find_map(rejected);
    match rejected {
        Some((sealed, data)) => {
            view.attempt_id = sealed.event.attempt_id.clone();
            view.outcome = "rejected".into();
            view.return_to = Some(data.return_to.clone());
            view.void = void(data, &key);
            view.self_review = data.self_review;
            view.role_unchecked = data.role_unchecked;
            let round = data.void.iter().map(|step| step.round).max().unwrap_or(2);
            let rest =
                format!("{item} {key} by {principal}: back to {}, round {round}", data.return_to);
            lines.push(said("rejected", rest));
            let words = void_words(&data.void, Some(&key));
            lines.push(said("void", format!("{words} (kept in history)")));
            view.released = released(&receipt);
            if !view.released.is_empty() {
                lines.push(said("released", listed(&view.released)));
            }
            marks(&mut lines, data.self_review, data.role_unchecked);
        }
        None => {
            view.attempt_id = receipt.value.as_ref().and_then(attempt_of);
            let rest = format!("{item} {key} was rejected so before: nothing recorded");
            lines.push(said("unchanged", rest));
        }
    }
    if let Some(open) = &open {
        (view.ready, view.gates) = (open.ready.clone(), open.gates.clone());
        if !open.ready.is_empty() {
            lines.push(said("ready", names(&open.ready, 8)));
        }
    }
    let mut reply = Reply::new("gate", &view);
    reply.recorded = receipt.value.is_none();
    reply.lines = lines;
    reply.next = match &open {
        Some(open) => onwards(&item, open, &Asks::acting(&act, session)),
        None => vec![next(["status", item.as_str()])],
    };
    Ok(reply)
}

fn rejected(sealed: &Sealed) -> Option<(&Sealed, &GateRejected)> {
    match &sealed.event.data {
        EventData::GateRejected(data) => Some((sealed, data)),
        _ => None,
    }
}

/// The void steps besides the gate itself.
fn void(data: &GateRejected, gate: &StepKey) -> Vec<StepKey> {
    data.void.iter().map(|step| step.key.clone()).filter(|key| key != gate).collect()
}
