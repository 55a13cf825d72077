//! `review`: duplicates, decided by people before work starts (FR-003).

use super::super::Reply;
use super::super::args::{ReviewCommand, ReviewListArgs};
use super::super::error::{Failure, clear_review, next, overturn};
use super::super::session::{Code, Session};
use super::super::ui::{Line, clock, said, short};
use super::super::view::{ReviewListView, ReviewView, ReviewedItem};
use super::{Asks, Open, fold_now, listed, onwards, released, status, step};
use crate::domain::decide::{
    Ask, ClearReview, CloseReview, FlagReview, LinkReview, MergeReview, OverturnReview,
    POLICY_REASON, ReviewPolicy, Unchanged, awaits_policy,
};
use crate::domain::event::EventKind;
use crate::domain::id::{InvalidId, ItemId};
use crate::domain::state::ItemState;
use crate::domain::status::Status;
use crate::domain::transition::ItemPhase;
use crate::ledger::{ItemFold, Row};

/// The state of an item that waits for a review, in the list.
const WAITS: &str = "awaiting-review";

pub(super) fn run(args: &ReviewCommand, session: &Session) -> Result<Reply, Failure> {
    let (item, ask) = match args {
        ReviewCommand::List(args) => return list(args, session),
        ReviewCommand::Flag(args) => {
            let suspects: Result<_, InvalidId> = args.suspect.iter().map(|id| id.parse()).collect();
            let ask = FlagReview { reason: args.reason.clone(), suspects: suspects? };
            (&args.item, Ask::FlagReview(ask))
        }
        ReviewCommand::Clear(args) => {
            let rationale = args.rationale.clone();
            (&args.item, Ask::ClearReview(ClearReview { rationale }))
        }
        ReviewCommand::Merge(args) => {
            let (into, rationale) = (args.into.parse()?, args.rationale.clone());
            let ask = MergeReview { into, rationale, release_claims: args.release_claims };
            (&args.item, Ask::MergeReview(ask))
        }
        ReviewCommand::Link(args) => {
            let (to, rationale) = (args.to.parse()?, args.rationale.clone());
            (&args.item, Ask::LinkReview(LinkReview { to, rationale }))
        }
        ReviewCommand::Close(args) => {
            let ask = CloseReview {
                duplicate_of: args.duplicate_of.as_deref().map(str::parse).transpose()?,
                rationale: args.rationale.clone(),
                release_claims: args.release_claims,
            };
            (&args.item, Ask::CloseReview(ask))
        }
        ReviewCommand::Overturn(args) => {
            let rationale = args.rationale.clone();
            (&args.item, Ask::OverturnReview(OverturnReview { rationale }))
        }
    };
    act(item.work_item.parse()?, &ask, session)
}

fn act(item: ItemId, ask: &Ask, session: &Session) -> Result<Reply, Failure> {
    let act = session.act(Code::None)?;
    let receipt = step::ask(session, &act, &item, ask)?;
    let fold = fold_now(&receipt, &act.ledger, &item, session)?;
    let open = Open::of(&fold);
    let word = match ask {
        Ask::FlagReview(_) => "flagged",
        Ask::LinkReview(_) => "linked",
        Ask::MergeReview(_) => "merged",
        Ask::CloseReview(_) => "closed",
        Ask::OverturnReview(_) => "overturned",
        _ => "cleared",
    };
    let fresh = receipt.value.is_none();
    let taken = released(&receipt);
    let view = ReviewView {
        work_item_id: item.clone(),
        outcome: if fresh { word } else { "unchanged" }.into(),
        survivor: fold.state.review.survivor.clone(),
        linked: fold.state.review.linked.clone(),
        under_review: open.under_review,
        released: taken.clone(),
        ready: open.ready.clone(),
    };
    let mut reply = Reply::new("review", &view);
    reply.recorded = fresh;
    let by = &act.moment.actor.principal;
    match &receipt.value {
        None => {
            reply.lines.push(said(word, format!("{item} {}", done(ask, &fold.state, by.as_str()))));
            let cleared = receipt.events.iter().any(|s| s.event.kind() == EventKind::ReviewCleared);
            if cleared && word == "linked" {
                reply.lines.push(said("cleared", format!("{item}: related, and not the same")));
            }
            if open.under_review && word == "linked" {
                let flag = fold.state.review.flagged.as_ref();
                let left: Vec<&ItemId> = flag
                    .map(|flag| flag.suspects.iter())
                    .into_iter()
                    .flatten()
                    .filter(|suspect| !fold.state.review.linked.contains(suspect))
                    .collect();
                reply
                    .lines
                    .push(said("still", format!("under review: it may repeat {}", listed(&left))));
            }
            if !taken.is_empty() {
                reply.lines.push(said("released", listed(&taken)));
            }
            if !open.ready.is_empty() && word != "linked" {
                reply.lines.push(said("ready", open.ready_words()));
            }
        }
        Some(unchanged) => {
            let rest = format!("{item} {}: nothing recorded", so_already(unchanged));
            reply.lines.push(said("unchanged", rest));
        }
    }
    reply.next = match (&open.ended, open.under_review) {
        (Some(survivor), _) => {
            let shown = survivor.as_ref().unwrap_or(&item);
            vec![next(["status", shown.as_str()]), overturn(&item)]
        }
        (None, true) => {
            let flag = fold.state.review.flagged.as_ref();
            let suspect = flag.and_then(|flag| flag.suspects.first());
            let merge = ["review", "merge", "--work-item", item.as_str(), "--into"];
            let merge =
                next(merge).with([suspect.map_or("ID", ItemId::as_str), "--rationale", "…"]);
            vec![clear_review(&item), merge.note("if it is one")]
        }
        (None, false) => onwards(&item, &open, &Asks::acting(&act, session)),
    };
    Ok(reply)
}

/// What was done, after the item's name.
fn done(ask: &Ask, now: &ItemState, by: &str) -> String {
    match ask {
        Ask::FlagReview(_) => format!("by {by}: no claims until it is decided"),
        Ask::LinkReview(ask) => format!("to {} by {by}: both go on", ask.to),
        Ask::MergeReview(ask) => format!("into {} by {by}: it lives on there", ask.into),
        Ask::CloseReview(_) => match &now.review.survivor {
            Some(of) => format!("by {by}: a duplicate of {of}"),
            None => format!("by {by}: it takes no more work"),
        },
        Ask::OverturnReview(_) => format!("by {by}: it goes on where it stood"),
        _ => format!("by {by}"),
    }
}

fn so_already(unchanged: &Unchanged) -> String {
    match unchanged {
        Unchanged::Flagged => "is under review already".into(),
        Unchanged::Cleared => "was cleared before".into(),
        Unchanged::Linked { to } => format!("is linked to {to} already"),
        Unchanged::Merged { into } => format!("was merged into {into} before"),
        Unchanged::Closed { .. } => "was closed before".into(),
        Unchanged::Overturned => "was brought back before".into(),
        _ => "was asked this request before".into(),
    }
}

fn list(args: &ReviewListArgs, session: &Session) -> Result<Reply, Failure> {
    let ledger = session.ledger()?;
    let fail = |error| session.ledger_failure(&error);
    let snapshot = ledger.snapshot().map_err(fail)?;
    let policy = snapshot.ledger().map_err(fail)?;
    let portfolio = snapshot.portfolio().map_err(fail)?;
    let mut items = Vec::new();
    let required = ReviewPolicy::of(policy) == ReviewPolicy::Required;
    let wanted = |row: &&Row| {
        let mut words = std::iter::once(&row.status).chain(&row.flags);
        words.any(|word| *word == Status::AwaitingReview)
            || (required && !row.reviewed)
            || (args.all && (row.reviewed || row.linked > 0))
    };
    for row in portfolio.rows.iter().filter(wanted) {
        let fold = snapshot.known_item(&row.id).map_err(fail)?;
        let one = reviewed(&fold, awaits_policy(policy, &fold.state));
        items.extend(one.filter(|one| args.all || one.state == WAITS));
    }
    // What waits comes first, the oldest of it first.
    items.sort_by(|a, b| {
        let key = |one: &ReviewedItem| (one.state != WAITS, one.at, one.work_item_id.clone());
        key(a).cmp(&key(b))
    });
    let view = ReviewListView { items, stopped: status::stopped(&portfolio.stopped) };
    let mut reply = Reply::new("review-list", &view);
    if view.items.is_empty() {
        let what = if args.all { "no item was ever flagged" } else { "nothing waits for a review" };
        reply.lines.push(Line::Text(what.into()));
    } else {
        let head = ["ITEM", "STATE", "BY", "SINCE", "OTHER", "WHY"];
        reply.lines.push(Line::Row(head.map(str::to_owned).to_vec()));
    }
    for one in &view.items {
        let other = match (&one.survivor, one.state.as_str()) {
            (Some(survivor), _) => format!("→ {survivor}"),
            (None, WAITS) => listed(&one.suspects),
            (None, _) => listed(&one.linked),
        };
        let at = one.at.map(|at| clock(at, session.now(), &session.config));
        let nobody = if one.state == WAITS { "policy" } else { "–" };
        let by = one.by.as_ref().map_or(nobody, |by| by.as_str());
        reply.lines.push(Line::Row(vec![
            one.work_item_id.to_string(),
            one.state.clone(),
            by.to_owned(),
            at.unwrap_or_default(),
            if other.is_empty() { "–".to_owned() } else { other },
            short(&one.reason, 80),
        ]));
        reply.quiet.push_str(&format!("{}\t{}\n", one.work_item_id, one.state));
    }
    status::name_stopped(&mut reply, &portfolio.stopped);
    let first = view.items.iter().find(|one| one.state == WAITS);
    reply.next = match (first, portfolio.stopped.is_empty()) {
        (_, false) => vec![next(["verify"])],
        (Some(first), true) => vec![clear_review(&first.work_item_id)],
        (None, true) => Vec::new(),
    };
    Ok(reply)
}

/// What there is to say of an item's review, if anything.
fn reviewed(fold: &ItemFold, by_policy: bool) -> Option<ReviewedItem> {
    let state = &fold.state;
    let review = &state.review;
    let mut one = ReviewedItem {
        work_item_id: state.id.clone(),
        title: state.title.clone(),
        state: String::new(),
        by: None,
        at: None,
        reason: String::new(),
        suspects: Vec::new(),
        survivor: review.survivor.clone(),
        linked: review.linked.clone(),
    };
    if let (Some(flag), ItemPhase::Active) = (&review.flagged, state.phase) {
        one.state = WAITS.into();
        one.by = Some(flag.by.clone());
        one.at = Some(flag.at);
        one.reason.clone_from(&flag.reason);
        one.suspects.clone_from(&flag.suspects);
    } else if by_policy {
        one.state = WAITS.into();
        one.at = Some(state.registered_at);
        one.reason = POLICY_REASON.to_owned();
    } else if let (Some(ended), ItemPhase::Merged | ItemPhase::Closed) = (&state.ended, state.phase)
    {
        one.state = state.phase.word().into();
        one.by = Some(ended.by.clone());
        one.at = Some(ended.at);
        one.reason.clone_from(&ended.reason);
    } else if let Some(last) = &review.last {
        one.state = if review.linked.is_empty() { "cleared" } else { "linked" }.into();
        one.by = Some(last.by.clone());
        one.at = Some(last.at);
        one.reason.clone_from(&last.rationale);
    } else {
        return None;
    }
    Some(one)
}
