//! `review flag`, `review clear`: duplicates, decided by people before work starts (FR-003).

use super::super::Reply;
use super::super::args::ReviewCommand;
use super::super::error::{Failure, next};
use super::super::session::{Code, Session};
use super::super::ui::said;
use super::super::view::ReviewView;
use super::{Asks, Open, onwards, step};
use crate::domain::decide::{Ask, ClearReview, FlagReview};
use crate::domain::id::ItemId;

pub(super) fn run(args: &ReviewCommand, session: &Session) -> Result<Reply, Failure> {
    let (item, ask, word) = match args {
        ReviewCommand::Flag(args) => {
            let suspects =
                args.suspect.iter().map(|id| id.parse()).collect::<Result<Vec<ItemId>, _>>()?;
            let ask = FlagReview { reason: args.reason.clone(), suspects };
            (&args.item.work_item, Ask::FlagReview(ask), "flagged")
        }
        ReviewCommand::Clear(args) => {
            let ask = ClearReview { rationale: args.rationale.clone() };
            (&args.item.work_item, Ask::ClearReview(ask), "cleared")
        }
    };
    let item: ItemId = item.parse()?;
    let act = session.act(Code::None)?;
    if let Ask::FlagReview(flag) = &ask {
        let snapshot = act.ledger.snapshot().map_err(|e| session.ledger_failure(&e))?;
        for suspect in &flag.suspects {
            snapshot.known_item(suspect).map_err(|error| session.ledger_failure(&error))?;
        }
    }
    let receipt = step::ask(session, &act, &item, &ask)?;
    let fresh = receipt.value.is_none();
    let outcome = if fresh { word } else { "unchanged" };
    let mut reply =
        Reply::new("review", &ReviewView { work_item_id: item.clone(), outcome: outcome.into() });
    reply.recorded = fresh;
    let principal = &act.moment.actor.principal;
    match (fresh, word) {
        (true, "flagged") => {
            let rest = format!("{item} by {principal}: no claims until it is decided");
            reply.lines.push(said("flagged", rest));
            reply.next.push(next([
                "review",
                "clear",
                "--work-item",
                item.as_str(),
                "--rationale",
                "…",
            ]));
        }
        (true, _) => {
            reply.lines.push(said("cleared", format!("{item} by {principal}")));
            if let Some(open) = Open::after(&receipt, &item) {
                if !open.ready.is_empty() {
                    reply.lines.push(said("ready", open.ready_words()));
                }
                reply.next = onwards(&item, &open, &Asks::acting(&act, session));
            }
        }
        (false, _) => {
            let so =
                if word == "flagged" { "is under review already" } else { "was cleared before" };
            let rest = format!("{item} {so}: nothing recorded");
            reply.lines.push(said("unchanged", rest));
            reply.next.push(next(["status", item.as_str()]));
        }
    }
    Ok(reply)
}
