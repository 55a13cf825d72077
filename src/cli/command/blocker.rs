//! `blocker`: what holds an item from outside (FR-012).

use super::super::Reply;
use super::super::args::{BlockerCommand, BlockerListArgs, DeclareArgs, ResolveArgs};
use super::super::error::{Failure, Next, next, resolve_blocker};
use super::super::session::{Code, Session};
use super::super::ui::{Line, clock, plain, said, short, span};
use super::super::view::{BlockerListView, BlockerView, ListedBlocker};
use super::{Asks, Open, fold_now, listed, onwards, status, step};
use crate::domain::decide::{Ask, DeclareBlocker, ResolveBlocker, Unchanged};
use crate::domain::event::EventData;
use crate::domain::id::{CriterionId, ItemId};
use crate::report::{self, BlockerReport};

pub(super) fn run(args: &BlockerCommand, session: &Session) -> Result<Reply, Failure> {
    match args {
        BlockerCommand::Declare(args) => declare(args, session),
        BlockerCommand::Resolve(args) => resolve(args, session),
        BlockerCommand::List(args) => list(args, session),
    }
}

fn declare(args: &DeclareArgs, session: &Session) -> Result<Reply, Failure> {
    let ask = DeclareBlocker {
        id: args.id.as_deref().map(str::parse).transpose()?,
        kind: args.kind.clone(),
        steps: args.step.iter().map(|key| key.parse()).collect::<Result<_, _>>()?,
        notes: args.notes.clone(),
        owner: args.owner.as_deref().map(str::parse).transpose()?,
    };
    act(&args.item.work_item, &Ask::DeclareBlocker(ask), "declared", session)
}

fn resolve(args: &ResolveArgs, session: &Session) -> Result<Reply, Failure> {
    let ask = ResolveBlocker { id: args.id.parse()?, resolution: args.resolution.clone() };
    act(&args.item.work_item, &Ask::ResolveBlocker(ask), "resolved", session)
}

fn act(item: &str, ask: &Ask, word: &str, session: &Session) -> Result<Reply, Failure> {
    let item: ItemId = item.parse()?;
    let act = session.act(Code::None)?;
    let receipt = step::ask(session, &act, &item, ask)?;
    let fold = fold_now(&receipt, &act.ledger, &item, session)?;
    let recorded = receipt.events.iter().find_map(|sealed| match &sealed.event.data {
        EventData::BlockerDeclared(data) => Some(data.blocker_id.clone()),
        EventData::BlockerResolved(data) => Some(data.blocker_id.clone()),
        _ => None,
    });
    let same = match &receipt.value {
        Some(Unchanged::Blocked { blocker } | Unchanged::Resolved { blocker }) => {
            Some(blocker.clone())
        }
        // The request's own fact says which one it was.
        Some(Unchanged::Request { seen }) => {
            let mut blockers = fold.state.blockers.iter();
            blockers
                .find(|blocker| blocker.event.id == seen.event)
                .map(|blocker| blocker.id.clone())
        }
        _ => None,
    };
    let named: Option<CriterionId> = match ask {
        Ask::ResolveBlocker(ask) => Some(ask.id.clone()),
        _ => None,
    };
    let id = recorded.or(same).or(named);
    let report = report::item(&fold.workflow, &fold.state);
    let blocker = report.blockers.iter().find(|blocker| Some(&blocker.blocker_id) == id.as_ref());
    let blocker = blocker.ok_or_else(|| Failure::usage("the blocker is not on record"))?;
    let open = Open::of(&fold);
    let fresh = receipt.value.is_none();
    let view = BlockerView {
        work_item_id: item.clone(),
        outcome: if fresh { word } else { "unchanged" }.into(),
        blocker_id: blocker.blocker_id.clone(),
        blocker_type: blocker.blocker_type.clone(),
        steps: blocker.steps.clone(),
        ready: open.ready.clone(),
    };
    let mut reply = Reply::new("blocker", &view);
    reply.recorded = fresh;
    reply.quiet = format!("{}\n", blocker.blocker_id);
    let id = &blocker.blocker_id;
    match (fresh, word) {
        (true, "declared") => {
            let rest = format!(
                "{id} of {item} ({}), owned by {}: it holds {}",
                plain(&blocker.blocker_type),
                blocker.owner,
                held(blocker)
            );
            reply.lines.push(said(word, rest));
            let at_work = open
                .held
                .iter()
                .filter(|(step, _)| blocker.steps.is_empty() || blocker.steps.contains(step));
            for (step, by) in at_work.take(3) {
                reply.lines.push(said("note", format!("{by} is at work on {step} and goes on")));
            }
        }
        (true, _) => {
            let how = blocker.resolved_at.map_or(0, |at| (at - blocker.declared_at).num_seconds());
            reply.lines.push(said(word, format!("{id} of {item} after {}", span(how))));
        }
        (false, "declared") => {
            let rest = format!("{id} of {item} says this already: nothing recorded");
            reply.lines.push(said("unchanged", rest));
        }
        (false, _) => {
            let rest = format!("{id} of {item} was resolved before: nothing recorded");
            reply.lines.push(said("unchanged", rest));
        }
    }
    if !open.ready.is_empty() {
        reply.lines.push(said("ready", open.ready_words()));
    }
    reply.next = if word == "declared" && blocker.resolved_at.is_none() {
        vec![resolve_blocker(&item, id).note("once it is gone")]
    } else {
        onwards(&item, &open, &Asks::acting(&act, session))
    };
    Ok(reply)
}

/// The steps a blocker holds, in words.
pub(super) fn held(blocker: &BlockerReport) -> String {
    match blocker.steps.as_slice() {
        [] => "every step".to_owned(),
        steps => super::names(steps, 6),
    }
}

fn list(args: &BlockerListArgs, session: &Session) -> Result<Reply, Failure> {
    let given = args.item.given();
    let ledger = session.ledger()?;
    let fail = |error| session.ledger_failure(&error);
    let snapshot = ledger.snapshot().map_err(fail)?;
    let (items, stopped) = match given {
        Some(item) => (vec![item.parse::<ItemId>()?], Vec::new()),
        None => {
            let portfolio = snapshot.portfolio().map_err(fail)?;
            let some = |row: &crate::ledger::Row| match args.all {
                true => row.blockers > 0,
                false => row.open_blockers > 0,
            };
            let items = portfolio.rows.into_iter().filter(some).map(|row| row.id).collect();
            (items, portfolio.stopped)
        }
    };
    let mut blockers: Vec<ListedBlocker> = Vec::new();
    for item in items {
        let fold = snapshot.known_item(&item).map_err(fail)?;
        let report = report::item(&fold.workflow, &fold.state);
        let shown = report.blockers.into_iter().filter(|b| args.all || b.resolved_at.is_none());
        blockers.extend(shown.map(|blocker| ListedBlocker { work_item_id: item.clone(), blocker }));
    }
    // What has held longest comes first.
    blockers.sort_by(|a, b| {
        let key = |one: &ListedBlocker| {
            let blocker = &one.blocker;
            (blocker.resolved_at.is_some(), blocker.declared_at, one.work_item_id.clone())
        };
        key(a).cmp(&key(b))
    });
    let now = session.now();
    let view = BlockerListView { blockers, stopped: status::stopped(&stopped) };
    let mut reply = Reply::new("blocker-list", &view);
    if view.blockers.is_empty() {
        let what = if args.all { "no blockers were declared" } else { "nothing is blocked" };
        reply.lines.push(Line::Text(what.into()));
    } else {
        let head = ["ITEM", "BLOCKER", "TYPE", "HOLDS", "OWNER", "SINCE", "FOR", "ABOUT"];
        reply.lines.push(Line::Row(head.map(str::to_owned).to_vec()));
    }
    for ListedBlocker { work_item_id, blocker } in &view.blockers {
        let end = blocker.resolved_at.unwrap_or(now);
        let lasted = span((end - blocker.declared_at).num_seconds());
        let about = match &blocker.resolution {
            Some(how) => format!("resolved: {}", short(how, 60)),
            None => short(&blocker.notes, 60),
        };
        reply.lines.push(Line::Row(vec![
            work_item_id.to_string(),
            blocker.blocker_id.to_string(),
            short(&blocker.blocker_type, 30),
            held(blocker),
            blocker.owner.to_string(),
            clock(blocker.declared_at, now, &session.config),
            lasted,
            about,
        ]));
        let state = if blocker.resolved_at.is_some() { "resolved" } else { "open" };
        let steps = listed(&blocker.steps);
        reply.quiet.push_str(&format!(
            "{work_item_id}\t{}\t{}\t{state}\t{steps}\n",
            blocker.blocker_id, blocker.blocker_type
        ));
    }
    let first = view.blockers.iter().find(|one| one.blocker.resolved_at.is_none());
    reply.next = first.map(next_of).into_iter().collect();
    if !stopped.is_empty() {
        reply.next = vec![next(["verify"])];
    }
    status::name_stopped(&mut reply, &stopped);
    Ok(reply)
}

fn next_of(one: &ListedBlocker) -> Next {
    resolve_blocker(&one.work_item_id, &one.blocker.blocker_id).note("once it is gone")
}
