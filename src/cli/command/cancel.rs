//! `cancel`: give an item up.

use super::super::Reply;
use super::super::args::CancelArgs;
use super::super::error::{Failure, next};
use super::super::session::{Code, Session};
use super::super::ui::said;
use super::super::view::CancelView;
use super::{listed, released, step};
use crate::domain::decide::{Ask, Cancel};
use crate::domain::id::ItemId;

pub(super) fn run(args: &CancelArgs, session: &Session) -> Result<Reply, Failure> {
    let item: ItemId = args.item.work_item.parse()?;
    let act = session.act(Code::None)?;
    let ask = Cancel { reason: args.reason.clone(), release_claims: args.release_claims };
    let receipt = step::ask(session, &act, &item, &Ask::Cancel(ask))?;
    let fresh = receipt.value.is_none();
    let taken = released(&receipt);
    let outcome = if fresh { "cancelled" } else { "unchanged" };
    let view =
        CancelView { work_item_id: item.clone(), outcome: outcome.into(), released: taken.clone() };
    let mut reply = Reply::new("cancel", &view);
    reply.recorded = fresh;
    if fresh {
        let by = &act.moment.actor.principal;
        reply.lines.push(said("cancelled", format!("{item} by {by}: it takes no more work")));
        if !taken.is_empty() {
            reply.lines.push(said("released", listed(&taken)));
        }
    } else {
        let rest = format!("{item} was cancelled before: nothing recorded");
        reply.lines.push(said("unchanged", rest));
    }
    reply.next.push(next(["status", item.as_str()]));
    Ok(reply)
}
