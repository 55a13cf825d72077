//! `owner`: who is accountable, and which role each step asks for (FR-011).

use std::collections::BTreeMap;

use super::super::Reply;
use super::super::args::{OwnerCommand, OwnerShowArgs, TransferArgs};
use super::super::error::{Failure, next};
use super::super::session::{Code, Session};
use super::super::ui::{Line, clock, said, short};
use super::super::view::{OwnedView, OwnerShowView, OwnerView, OwnersView, StepOwnerView};
use super::{fold_now, status, step};
use crate::domain::decide::{Ask, TransferOwner};
use crate::domain::id::{ItemId, PrincipalId};
use crate::report;

pub(super) fn run(args: &OwnerCommand, session: &Session) -> Result<Reply, Failure> {
    match args {
        OwnerCommand::Transfer(args) => transfer(args, session),
        OwnerCommand::Show(args) => show(args, session),
    }
}

fn transfer(args: &TransferArgs, session: &Session) -> Result<Reply, Failure> {
    let (item, to): (ItemId, PrincipalId) = (args.item.work_item.parse()?, args.to.parse()?);
    let act = session.act(Code::None)?;
    let ask = TransferOwner { to: to.clone(), reason: args.reason.clone() };
    let receipt = step::ask(session, &act, &item, &Ask::TransferOwner(ask))?;
    let fresh = receipt.value.is_none();
    let fold = fold_now(&receipt, &act.ledger, &item, session)?;
    let from = match fresh {
        true => fold.state.transfers.last().and_then(|transfer| transfer.from.clone()),
        false => fold.state.owner.clone(),
    };
    let view = OwnerView {
        work_item_id: item.clone(),
        outcome: if fresh { "transferred" } else { "unchanged" }.into(),
        from: from.clone(),
        to: to.clone(),
    };
    let mut reply = Reply::new("owner", &view);
    reply.recorded = fresh;
    if fresh {
        let from = from.map_or_else(|| "nobody".to_owned(), |from| from.to_string());
        reply.lines.push(said("transferred", format!("{item} from {from} to {to}")));
    } else {
        let owner = fold.state.owner.as_ref().map_or("nobody", |who| who.as_str());
        let rest = format!("{owner} is accountable for {item}: nothing recorded");
        reply.lines.push(said("unchanged", rest));
    }
    reply.next.push(next(["owner", "show", item.as_str()]));
    Ok(reply)
}

fn show(args: &OwnerShowArgs, session: &Session) -> Result<Reply, Failure> {
    let ledger = session.ledger()?;
    let fail = |error| session.ledger_failure(&error);
    let snapshot = ledger.snapshot().map_err(fail)?;
    let Some(given) = args.item.given() else {
        return everybody(snapshot.portfolio().map_err(fail)?);
    };
    let item: ItemId = given.parse()?;
    let fold = snapshot.known_item(&item).map_err(fail)?;
    let report = report::item(&fold.workflow, &fold.state);
    let steps: Vec<StepOwnerView> = report
        .steps
        .iter()
        .map(|step| StepOwnerView {
            step_key: step.key.clone(),
            role: step.role.clone(),
            state: step.state.clone(),
            executor: step.executor.clone(),
        })
        .collect();
    let view = OwnerShowView {
        work_item_id: item.clone(),
        owner: report.owner.clone(),
        transfers: report.transfers.clone(),
        steps,
    };
    let mut reply = Reply::new("owner-show", &view);
    let owner = report.owner.as_ref().map_or_else(|| "nobody".to_owned(), ToString::to_string);
    reply.quiet = format!("{item}\t{}\n", report.owner.as_ref().map_or("", |who| who.as_str()));
    reply.lines.push(said("owner", format!("{owner} is accountable for {item}")));
    let now = session.now();
    for transfer in report.transfers.iter().rev().take(8) {
        let from = transfer.from.as_ref().map_or("nobody", |from| from.as_str());
        let rest = format!(
            "from {from} to {} by {} at {}: \"{}\"",
            transfer.to,
            transfer.by,
            clock(transfer.at, now, &session.config),
            short(&transfer.reason, 120)
        );
        reply.lines.push(said("transferred", rest));
    }
    reply.lines.push(Line::Blank);
    for step in &view.steps {
        let role = step.role.as_ref().map_or_else(|| "no role".to_owned(), |r| format!("role {r}"));
        let who = step.executor.as_ref().map(ToString::to_string).unwrap_or_default();
        let cells = [format!("  {}", step.step_key), role, step.state.clone(), who];
        reply.lines.push(Line::Row(cells.to_vec()));
    }
    let transfer = ["owner", "transfer", "--work-item", item.as_str(), "--to", "ID"];
    reply.next.push(next(transfer).with(["--reason", "…"]).note("to make somebody else"));
    Ok(reply)
}

/// What each principal is accountable for.
fn everybody(portfolio: crate::ledger::Portfolio) -> Result<Reply, Failure> {
    let mut owners: BTreeMap<Option<PrincipalId>, OwnedView> = BTreeMap::new();
    for row in &portfolio.rows {
        let owned = owners.entry(row.owner.clone()).or_insert_with(|| OwnedView {
            owner: row.owner.clone(),
            items: 0,
            open: 0,
            ready_steps: 0,
            held_steps: 0,
            blocked_items: 0,
        });
        owned.items += 1;
        owned.open += usize::from(!row.status.is_over());
        owned.ready_steps += row.ready_count;
        owned.held_steps += row.in_progress.len();
        owned.blocked_items += usize::from(!row.status.is_over() && row.open_blockers > 0);
    }
    // Items nobody is accountable for come last.
    let mut owners: Vec<OwnedView> = owners.into_values().collect();
    owners.sort_by_key(|owned| owned.owner.is_none());
    let stopped = status::stopped(&portfolio.stopped);
    let view = OwnersView { owners, stopped };
    let mut reply = Reply::new("owners", &view);
    if view.owners.is_empty() {
        reply.lines.push(Line::Text("no items yet".into()));
    } else {
        let head = ["OWNER", "OPEN", "ITEMS", "READY", "HELD", "BLOCKED"];
        reply.lines.push(Line::Row(head.map(str::to_owned).to_vec()));
    }
    for owned in &view.owners {
        let owner = owned.owner.as_ref().map_or_else(|| "nobody".to_owned(), ToString::to_string);
        reply.quiet.push_str(&format!("{}\t{}\n", owner, owned.open));
        reply.lines.push(Line::Row(vec![
            owner,
            owned.open.to_string(),
            owned.items.to_string(),
            owned.ready_steps.to_string(),
            owned.held_steps.to_string(),
            owned.blocked_items.to_string(),
        ]));
    }
    status::name_stopped(&mut reply, &portfolio.stopped);
    if !portfolio.stopped.is_empty() {
        reply.next.push(next(["verify"]));
    }
    Ok(reply)
}
