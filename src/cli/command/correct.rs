//! `correct`: put sealed bytes back after somebody changed the ledger (L10).

use super::super::Reply;
use super::super::args::CorrectArgs;
use super::super::error::{Failure, next};
use super::super::session::{Code, Session};
use super::super::ui::said;
use super::super::view::{CorrectView, CorrectionView};
use crate::domain::event::CorrectionAction;
use crate::domain::id::ItemId;

pub(super) fn run(args: &CorrectArgs, session: &Session) -> Result<Reply, Failure> {
    let item: Option<ItemId> = args.item.as_deref().map(str::parse).transpose()?;
    if args.reason.trim().is_empty() {
        return Err(Failure::usage("the reason must not be empty"));
    }
    let act = session.act(Code::None)?;
    let receipt = act
        .ledger
        .correct(item.as_ref(), &args.path, &args.reason, &act.moment)
        .map_err(|error| session.ledger_failure(&error))?;
    let corrected = &receipt.value;
    let word = |action: CorrectionAction| match action {
        CorrectionAction::Restored => "restored",
        CorrectionAction::Removed => "removed",
        CorrectionAction::Rederived => "rederived",
    };
    let fresh = !corrected.is_empty();
    let mut reply = Reply::new(
        "correct",
        &CorrectView {
            outcome: if fresh { "corrected" } else { "unchanged" }.into(),
            corrected: corrected
                .iter()
                .map(|one| CorrectionView {
                    path: one.path.clone(),
                    action: word(one.action).to_owned(),
                    foreign_commit: one.foreign_commit.clone(),
                })
                .collect(),
        },
    );
    reply.recorded = fresh;
    for one in corrected {
        let by = one
            .foreign_commit
            .as_ref()
            .map(|commit| format!(", changed by commit {}", &commit[..7]));
        reply.lines.push(said(word(one.action), format!("{}{}", one.path, by.unwrap_or_default())));
    }
    if !fresh {
        let what = match &item {
            Some(item) => format!("{item} is as it was sealed: nothing recorded"),
            None => "the ledger's own files are as they were sealed: nothing recorded".into(),
        };
        reply.lines.push(said("unchanged", what));
    }
    reply.next.push(next(["verify"]));
    Ok(reply)
}
