//! `integrate`, `revert`: the boundary between provisional and authoritative (FR-010).

use super::super::Reply;
use super::super::args::{IntegrateArgs, RevertArgs};
use super::super::error::{self, Failure, landed_rows, next};
use super::super::session::{Act, Code, Session};
use super::super::ui::{Line, said};
use super::super::view::{IntegrateView, RevertView};
use super::{Asks, Open, fold_now, names, onwards, void_words};
use crate::domain::decide::{Decided, Unchanged};
use crate::domain::event::{BaselineReverted, EventData, Landed, LandedVerdict};
use crate::domain::id::{ItemId, StepKey};
use crate::ops::{Boundary, BoundaryError, Seen};

pub(super) fn integrate(args: &IntegrateArgs, session: &Session) -> Result<Reply, Failure> {
    let item: ItemId = args.item.work_item.parse()?;
    let act = session.act(Code::None)?;
    let asked = Boundary {
        item: &item,
        commit: &args.commit,
        branch: branch(args.branch.as_ref(), session),
        reason: args.reason.as_deref(),
        accept: args.accept,
    };
    let fail = |error: BoundaryError| error::boundary(&error, &session.asker());
    let mut seen = Seen::landed(&act.ledger, &session.environment.dir, &asked).map_err(fail)?;
    let (recorded, unchanged) = if args.dry_run {
        let decided = seen.judge(&act.ledger, &item, &act.moment);
        match decided.map_err(|error| session.ledger_failure(&error))? {
            Decided::Facts(facts) => (facts, None),
            Decided::Unchanged(unchanged) => (Vec::new(), Some(unchanged)),
        }
    } else {
        let receipt = seen.record(&act.ledger, &item, &act.moment);
        let receipt = receipt.map_err(|error| session.ledger_failure(&error))?;
        let facts = receipt.events.into_iter().map(|sealed| sealed.event).collect();
        (facts, receipt.value)
    };
    let accepted = recorded.iter().find_map(|fact| match &fact.data {
        EventData::BaselineIntegration(data) => Some(data.accepted.clone()),
        _ => None,
    });
    let (commit, on, _) = seen.place();
    let landed = seen.verdicts();
    let outcome = match (&unchanged, args.dry_run) {
        (Some(_), _) => "unchanged",
        (None, true) => "dry-run",
        (None, false) => "integrated",
    };
    let mut reply = Reply::new(
        "integrate",
        &IntegrateView {
            work_item_id: item.clone(),
            outcome: outcome.into(),
            commit: commit.to_owned(),
            branch: on.to_owned(),
            landed: landed.to_vec(),
            accepted: accepted.flatten(),
        },
    );
    reply.recorded = outcome == "integrated";
    reply.quiet = format!("{commit}\n");
    let short = commit.get(..12).unwrap_or(commit);
    match &unchanged {
        Some(Unchanged::Request { .. }) => {
            let rest = "this request was answered before: nothing recorded";
            reply.lines.push(said("unchanged", rest));
        }
        Some(_) => {
            let rest = format!("{item} was integrated by {short} before: nothing recorded");
            reply.lines.push(said("unchanged", rest));
        }
        None => {
            let word = if args.dry_run { "would integrate" } else { "integrated" };
            let by = &act.moment.actor.principal;
            reply
                .lines
                .push(said(word, format!("{item} by {by}: {short} on {on}, {}", counted(landed))));
            reply.lines.extend(landed_rows(landed));
        }
    }
    if outcome == "dry-run" {
        reply.aside = vec![Line::Text("dry run: nothing was recorded".into())];
        let mut go = next(["integrate", "--work-item", item.as_str(), "--commit", commit]);
        go = go.with(args.branch.iter().flat_map(|branch| ["--branch", branch.as_str()]));
        if let Some(reason) = asked.reason {
            go = go.with(["--accept", "--reason", reason]);
        }
        reply.next.push(go);
    } else {
        reply.next.push(next(["status", item.as_str()]));
    }
    Ok(reply)
}

/// `2 of 3 completions landed`.
fn counted(landed: &[Landed]) -> String {
    let there = landed.iter().filter(|one| one.verdict == LandedVerdict::Landed).count();
    match landed.len() {
        0 => "no completion to look for".to_owned(),
        all => format!("{there} of {all} landed"),
    }
}

/// The base branch that was named: by the flag, else by a setting.
fn branch<'a>(flag: Option<&'a String>, session: &'a Session) -> Option<&'a str> {
    let set = session.config.text("baseline.branch");
    flag.map(String::as_str).or(Some(set)).filter(|name| !name.is_empty())
}

pub(super) fn revert(args: &RevertArgs, session: &Session) -> Result<Reply, Failure> {
    let item: ItemId = args.item.work_item.parse()?;
    let return_to: StepKey = args.return_to.parse()?;
    let act = session.act(Code::None)?;
    let asked = Boundary {
        item: &item,
        commit: &args.commit,
        branch: args.branch.as_deref(),
        reason: Some(&args.reason),
        accept: args.accept,
    };
    let fail = |error: BoundaryError| error::boundary(&error, &session.asker());
    let dir = &session.environment.dir;
    let mut seen = Seen::undone(&act.ledger, dir, &asked, &return_to).map_err(fail)?;
    let (commit, on, how) = seen.place();
    let mut view = RevertView {
        work_item_id: item.clone(),
        outcome: "unchanged".into(),
        commit: commit.to_owned(),
        branch: on.to_owned(),
        how: how.unwrap_or_default().to_owned(),
        accepted: false,
        return_to: return_to.clone(),
        void: Vec::new(),
        ready: Vec::new(),
        gates: Vec::new(),
    };
    if args.dry_run {
        let decided = seen.judge(&act.ledger, &item, &act.moment);
        let decided = decided.map_err(|error| session.ledger_failure(&error))?;
        let Decided::Facts(facts) = decided else { return Ok(unchanged(&view)) };
        if let Some(data) = facts.iter().find_map(|fact| reverted(&fact.data)) {
            fill(&mut view, data);
            view.outcome = "dry-run".into();
            let mut reply = Reply::new("revert", &view);
            reply.lines.push(said("would void", void_words(&data.void, None)));
            reply.lines.push(said("because", view.how.clone()));
            reply.aside = vec![Line::Text("dry run: nothing was recorded".into())];
            let words = ["revert", "--work-item", item.as_str(), "--commit", view.commit.as_str()];
            let go = next(words).with(["--return-to", return_to.as_str()]);
            let go = go.with(args.branch.iter().flat_map(|branch| ["--branch", branch.as_str()]));
            let mut go = go.with(["--reason", &args.reason]);
            if args.accept {
                go = go.with(["--accept"]);
            }
            reply.next.push(go);
            return Ok(reply);
        }
        return Ok(unchanged(&view));
    }
    let receipt = seen.record(&act.ledger, &item, &act.moment);
    let receipt = receipt.map_err(|error| session.ledger_failure(&error))?;
    let open = Open::of(&fold_now(&receipt, &act.ledger, &item, session)?);
    (view.ready, view.gates) = (open.ready.clone(), open.gates.clone());
    let data = receipt.events.iter().find_map(|sealed| reverted(&sealed.event.data));
    let mut reply = match data {
        None => match &receipt.value {
            Some(Unchanged::Request { .. }) => {
                let mut reply = Reply::new("revert", &view);
                let rest = "this request was answered before: nothing recorded";
                reply.lines.push(said("unchanged", rest));
                reply
            }
            _ => unchanged(&view),
        },
        Some(data) => told(&mut view, data, &act),
    };
    reply.quiet = format!("{return_to}\n");
    if !open.ready.is_empty() {
        reply.lines.push(said("ready", names(&open.ready, 8)));
    }
    reply.next = onwards(&item, &open, &Asks::acting(&act, session));
    Ok(reply)
}

fn reverted(data: &EventData) -> Option<&BaselineReverted> {
    match data {
        EventData::BaselineReverted(data) => Some(data),
        _ => None,
    }
}

fn fill(view: &mut RevertView, data: &BaselineReverted) {
    view.void = data.void.iter().map(|step| step.key.clone()).collect();
    view.accepted = data.accepted.is_some();
}

fn told(view: &mut RevertView, data: &BaselineReverted, act: &Act) -> Reply {
    fill(view, data);
    view.outcome = "reverted".into();
    let mut reply = Reply::new("revert", view);
    reply.recorded = true;
    let round = data.void.iter().map(|step| step.round).max().unwrap_or(2);
    let by = &act.moment.actor.principal;
    let rest = format!("{} to {} by {by}, round {round}", view.work_item_id, view.return_to);
    reply.lines.push(said("reverted", rest));
    let how =
        if view.accepted { format!("accepted, although {}", view.how) } else { view.how.clone() };
    let short = view.commit.get(..12).unwrap_or(&view.commit);
    reply.lines.push(said("by", format!("{short} on {}: {how}", view.branch)));
    reply.lines.push(said("void", format!("{} (kept in history)", void_words(&data.void, None))));
    reply
}

fn unchanged(view: &RevertView) -> Reply {
    let mut reply = Reply::new("revert", view);
    let (item, to) = (&view.work_item_id, &view.return_to);
    let rest = format!("{item} went back to {to} by this revert before: nothing recorded");
    reply.lines.push(said("unchanged", rest));
    reply.next.push(next(["status", item.as_str()]));
    reply
}
