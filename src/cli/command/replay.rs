//! `replay`: every state, schedule and metric from the events alone, compared with what stands.

use super::super::Reply;
use super::super::args::ReplayArgs;
use super::super::error::{Failure, next};
use super::super::exit::Exit;
use super::super::session::Session;
use super::super::ui::{Line, count, said};
use super::super::view::{DifferenceView, ReplayView};
use super::status;
use crate::domain::id::{Digest, ItemId};
use crate::ledger::{Differs, LedgerError};
use crate::ops;

/// How many differences a person is told one by one.
const TOLD: usize = 20;

pub(super) fn run(args: &ReplayArgs, session: &Session) -> Result<Reply, Failure> {
    let item: Option<ItemId> = args.item.given().map(|item| item.parse()).transpose()?;
    let expected: Option<Digest> = args.expect.as_deref().map(str::parse).transpose()?;
    let ledger = session.ledger()?;
    let fail = |error: LedgerError| session.ledger_failure(&error);
    let snapshot = ledger.snapshot().map_err(fail)?;
    let replayed = ops::replay(&snapshot, item.as_ref()).map_err(fail)?;
    let ops::Replayed { items, facts, states, schedules, metrics, differences, stopped } = replayed;
    let digest = Digest::of(format!("{states}\n{schedules}\n{metrics}\n").as_bytes());
    let other = expected.as_ref().is_some_and(|expected| *expected != digest);
    let kept = differences.iter().any(|differs| differs.what == Differs::Kept);
    let derived = differences.iter().any(|differs| differs.what != Differs::Kept);
    // What stands in the past is kept for nobody.
    let now = session.at.is_none() && session.as_of.is_none();
    if kept && now {
        ledger.forget_folds();
    }
    let view = ReplayView {
        items,
        facts,
        digest: digest.clone(),
        states: states.clone(),
        schedules: schedules.clone(),
        metrics: metrics.clone(),
        expected: expected.clone(),
        differences: differences
            .iter()
            .map(|one| DifferenceView {
                work_item_id: one.item.clone(),
                path: match &one.what {
                    Differs::Derived(path) => Some(path.clone()),
                    Differs::Kept => None,
                },
            })
            .collect(),
        stopped: status::stopped(&stopped),
    };
    let mut reply = Reply::new("replay", &view);
    reply.quiet = format!("{digest}\n");
    let all = match differences.is_empty() {
        true => ": states, schedules and metrics are what the events give",
        false => "",
    };
    let size = format!(
        "{}, {}",
        count(items, "item"),
        count(usize::try_from(facts).unwrap_or(usize::MAX), "fact")
    );
    reply.lines.push(said("replayed", format!("{size}{all}")));
    for one in differences.iter().take(TOLD) {
        let what = match &one.what {
            Differs::Derived(path) => format!("{path} is not what the events give"),
            Differs::Kept => format!("{}: what this clone kept was wrong, and is gone", one.item),
        };
        reply.lines.push(said("differs", what));
    }
    if differences.len() > TOLD {
        reply.lines.push(said("differs", format!("and {} more", differences.len() - TOLD)));
    }
    for (word, digest) in [("states", &states), ("schedules", &schedules), ("metrics", &metrics)] {
        reply.lines.push(Line::Row(vec![word.into(), digest.to_string()]));
    }
    if let (Some(expected), true) = (&expected, other) {
        reply.lines.push(said("expected", format!("{expected}, and it is {digest}")));
    }
    status::name_stopped(&mut reply, &stopped);
    if derived || other || !stopped.is_empty() {
        reply.exit = Exit::Damaged;
        reply.next = vec![next(["verify"])];
    } else if kept {
        reply.exit = Exit::Internal;
        reply.next = vec![next(["replay"]).note("nothing is kept now")];
    } else {
        let again = match &item {
            Some(item) => next(["replay", item.as_str()]),
            None => next(["replay"]),
        };
        let again = again.with(["--expect", digest.as_str()]);
        reply.next = vec![again.note("in another clone: the same facts, the same digest")];
    }
    Ok(reply)
}
