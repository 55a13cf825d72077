//! `sync`: bring what others recorded through the remote.

use super::super::Reply;
use super::super::args::{SyncArg, SyncArgs};
use super::super::error::{Failure, next};
use super::super::exit::Exit;
use super::super::session::{Code, Session};
use super::super::ui::{Line, count, said, short};
use super::super::view::SyncView;
use super::collect::quarantined;
use super::waits;
use crate::ledger::LedgerError;
use crate::ops;

pub(super) fn run(args: &SyncArgs, session: &Session) -> Result<Reply, Failure> {
    session.only_now()?;
    let ledger = session.ledger()?;
    let fail = |error: LedgerError| session.ledger_failure(&error);
    let Some(remote) = ledger.remote().map(str::to_owned) else {
        let message = "this ledger is for this clone only: there is nothing to sync with";
        return Err(Failure::usage(message).then(next(["init", "--remote", "origin"])));
    };
    let mut rescued = None;
    if let (true, Some(reason)) = (args.accept_rewrite, &args.reason) {
        let act = session.act(Code::None)?;
        let kept = act.ledger.accept_rewrite(reason, &act.moment).map_err(fail)?;
        ops::rescue(&act.ledger, &kept.old)
            .map_err(|error| session.ops_failure(&error, Vec::new()))?;
        rescued = Some(kept);
    }
    let status = args.what == Some(SyncArg::Status);
    let synced = if status { ledger.as_last_seen() } else { ledger.sync() }.map_err(fail)?;
    let (mut brought, mut refused) = (0, Vec::new());
    if !status && !ops::unshared(&ledger).is_empty() {
        let act = session.act(Code::None)?;
        let shared = ops::share(&act.ledger, &act.moment);
        let shared = shared.map_err(|error| session.ops_failure(&error, Vec::new()))?;
        if let Some(collected) = shared {
            brought = collected.accepted.len() + collected.there;
            refused = quarantined(&collected);
        }
    }
    let unshared = ops::unshared(&ledger).len();
    let mark = match &synced.local {
        Some(_) => Some(ledger.snapshot().and_then(|snapshot| snapshot.mark()).map_err(fail)?),
        None => None,
    };
    let moved = rescued.is_some() || synced.received + synced.sent + brought + refused.len() > 0;
    let outcome = match (status, moved) {
        (true, _) => "status",
        (false, true) => "synced",
        (false, false) => "unchanged",
    };
    let view = SyncView {
        remote: remote.clone(),
        outcome: outcome.into(),
        local: synced.local.clone(),
        shared: synced.shared.clone(),
        received: synced.received,
        sent: synced.sent,
        unshared,
        shared_handoffs: brought,
        refused: refused.clone(),
        rescued: rescued.as_ref().map(|kept| kept.name.clone()),
        mark: mark.clone(),
    };
    let mut reply = Reply::new("sync", &view);
    reply.recorded = synced.sent > 0 || brought > 0;
    reply.quiet = format!("{outcome}\t{}\t{}\n", synced.received, synced.sent);
    let commits = |n: usize| count(n, "commit");
    match (status, synced.received, synced.sent) {
        (false, 0, 0) if moved => {}
        (false, 0, 0) => {
            reply.lines.push(said("unchanged", format!("{remote} has what this clone has")));
        }
        (false, received, 0) => {
            reply.lines.push(said("synced", format!("{} from {remote}", commits(received))));
        }
        (false, _, sent) => {
            let rest = format!("{} to {remote}: the ledger is shared now", commits(sent));
            reply.lines.push(said("synced", rest));
        }
        (true, ..) => {
            let same = synced.local == synced.shared;
            let how = match (same, &synced.shared) {
                (true, _) => "at the last look it had what this clone has",
                (false, None) => "it has not been asked yet",
                (false, Some(_)) => "at the last look it had something else",
            };
            reply.lines.push(said("shared", format!("through {remote}: {how}")));
            for (word, commit) in [("here", &synced.local), ("there", &synced.shared)] {
                let commit = commit.clone().unwrap_or_else(|| "nothing yet".into());
                reply.lines.push(Line::Row(vec![word.into(), commit]));
            }
            reply.next.push(next(["sync"]));
        }
    }
    if let Some(kept) = &rescued {
        let rest = format!("the history of {remote}, at {}", &kept.new[..12]);
        reply.lines.push(said("accepted", rest));
        let rest = format!("what this clone had, as {}", kept.name);
        reply.lines.push(said("kept", rest));
    }
    if brought > 0 {
        let rest = format!("{} that waited here", count(brought, "handoff"));
        reply.lines.push(said("shared", rest));
    }
    for one in &refused {
        let item = one.work_item_id.as_ref().map_or("", |item| item.as_str());
        reply.lines.push(said("refused", format!("{item}: {}", short(&one.why, 300))));
        reply.exit = Exit::Refused;
    }
    if unshared > 0 {
        let rest = format!("{} here for {remote}", waits(unshared));
        reply.lines.push(said("unshared", rest));
    }
    if let Some(mark) = mark {
        reply.lines.push(Line::Row(vec!["mark".into(), mark.to_string()]));
    }
    if moved {
        reply.next.push(next(["status"]));
    }
    Ok(reply)
}
