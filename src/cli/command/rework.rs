//! `rework`: send an item back to an earlier step, outside a gate (FR-021).

use super::super::Reply;
use super::super::args::ReworkArgs;
use super::super::error::{Failure, next};
use super::super::session::{Code, Session};
use super::super::ui::{Line, said};
use super::super::view::ReworkView;
use super::{Asks, Open, fold_now, listed, names, onwards, released, step, void_words};
use crate::domain::decide::{Ask, Decided, Rework, Unchanged};
use crate::domain::event::{EventData, ReworkRequested, VoidStep};
use crate::domain::id::{ItemId, StepKey};

pub(super) fn run(args: &ReworkArgs, session: &Session) -> Result<Reply, Failure> {
    let item: ItemId = args.item.work_item.parse()?;
    let return_to: StepKey = args.return_to.parse()?;
    let act = session.act(Code::None)?;
    let ask = Ask::Rework(Rework {
        return_to: return_to.clone(),
        reason: args.reason.clone(),
        release_claims: args.release_claims,
    });
    let mut view = ReworkView {
        work_item_id: item.clone(),
        outcome: "unchanged".into(),
        return_to: return_to.clone(),
        void: Vec::new(),
        released: Vec::new(),
        ready: Vec::new(),
        gates: Vec::new(),
    };
    if args.dry_run {
        let decided = step::look(session, &act, &item, &ask)?;
        let Decided::Facts(facts) = decided else {
            return Ok(unchanged(view, &item, &return_to));
        };
        let data = facts.iter().find_map(|fact| asked(&fact.data));
        let void = data.map(|data| data.void.as_slice()).unwrap_or_default();
        view.outcome = "dry-run".into();
        view.void = keys(void);
        let mut reply = Reply::new("rework", &view);
        reply.lines.push(said("would void", void_words(void, None)));
        reply.aside = vec![Line::Text("dry run: nothing was recorded".into())];
        let go = ["rework", "--work-item", item.as_str(), "--return-to", return_to.as_str()];
        let mut go = next(go).with(["--reason", &args.reason]);
        if args.release_claims {
            go = go.with(["--release-claims"]);
        }
        reply.next.push(go);
        return Ok(reply);
    }
    let receipt = step::ask(session, &act, &item, &ask)?;
    let open = Open::of(&fold_now(&receipt, &act.ledger, &item, session)?);
    (view.ready, view.gates) = (open.ready.clone(), open.gates.clone());
    let data = receipt.events.iter().find_map(|sealed| asked(&sealed.event.data));
    let Some(data) = data else {
        let mut reply = match &receipt.value {
            Some(Unchanged::Request { .. }) => {
                let mut reply = Reply::new("rework", &view);
                let rest = "this request was answered before: nothing recorded";
                reply.lines.push(said("unchanged", rest));
                reply
            }
            _ => unchanged(view, &item, &return_to),
        };
        reply.next = onwards(&item, &open, &Asks::acting(&act, session));
        return Ok(reply);
    };
    view.outcome = "returned".into();
    view.void = keys(&data.void);
    view.released = released(&receipt);
    let mut reply = Reply::new("rework", &view);
    reply.recorded = true;
    let round = data.void.iter().map(|step| step.round).max().unwrap_or(2);
    let by = &act.moment.actor.principal;
    reply.lines.push(said("returned", format!("{item} to {return_to} by {by}, round {round}")));
    let words = void_words(&data.void, None);
    reply.lines.push(said("void", format!("{words} (kept in history)")));
    if !view.released.is_empty() {
        reply.lines.push(said("released", listed(&view.released)));
    }
    if !open.ready.is_empty() {
        reply.lines.push(said("ready", names(&open.ready, 8)));
    }
    reply.next = onwards(&item, &open, &Asks::acting(&act, session));
    Ok(reply)
}

fn asked(data: &EventData) -> Option<&ReworkRequested> {
    match data {
        EventData::ReworkRequested(data) => Some(data),
        _ => None,
    }
}

fn keys(void: &[VoidStep]) -> Vec<StepKey> {
    void.iter().map(|step| step.key.clone()).collect()
}

fn unchanged(view: ReworkView, item: &ItemId, to: &StepKey) -> Reply {
    let mut reply = Reply::new("rework", &view);
    let rest = format!("{item} went back to {to} for this reason before: nothing recorded");
    reply.lines.push(said("unchanged", rest));
    reply.next.push(next(["status", item.as_str()]));
    reply
}
