//! `claim`: take one step, exclusively.

use super::super::Reply;
use super::super::args::ClaimArgs;
use super::super::error::{Failure, Next, next};
use super::super::exit::Exit;
use super::super::session::{Act, Code, Session};
use super::super::ui::{Line, plain, said, short};
use super::super::view::{ClaimView, NothingView};
use super::brief::describe;
use super::{Asks, Open, onwards};
use crate::domain::decide::{Attest, Claim};
use crate::domain::id::{CriterionId, ItemId};
use crate::domain::workflow::TimeLimit;
use crate::ledger::{ItemFold, LedgerError, Receipt};
use crate::ops::{self, Claimed, NextClaim};
use crate::report;

pub(super) fn run(args: &ClaimArgs, session: &Session) -> Result<Reply, Failure> {
    let attest = Attest {
        named: args.attest.iter().map(|id| id.parse()).collect::<Result<Vec<CriterionId>, _>>()?,
        all: args.attest_all,
    };
    let lease = lease(args, session)?;
    let item: Option<ItemId> = args.work_item.as_deref().map(str::parse).transpose()?;
    let act = session.act(Code::Head)?;
    if args.next {
        let role = args.role.as_deref().map(str::parse).transpose()?;
        let ask = NextClaim { item, role, attest, lease };
        let receipt = ops::claim_next(&act.ledger, &ask, &act.moment)
            .map_err(|error| session.ledger_failure(&error))?;
        let Receipt { value: ops::Next { claimed, stopped }, items, .. } = receipt;
        let mut reply = match claimed {
            Some(claimed) => show(session, &act, &claimed, items.get(&claimed.item).cloned())?,
            None => nothing(&stopped),
        };
        if !stopped.is_empty() {
            let names: Vec<&str> = stopped.iter().take(8).map(ItemId::as_str).collect();
            let more = match stopped.len().saturating_sub(names.len()) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let message = format!(
                "{}{more} cannot be read and {} passed over: stepseal verify",
                names.join(", "),
                if stopped.len() == 1 { "was" } else { "were" }
            );
            reply.warnings.push((message, None));
        }
        return Ok(reply);
    }
    let Some(item) = item else {
        return Err(Failure::usage("name the item: --work-item ID, or take any: --next"));
    };
    let ask = Claim {
        step: args.step.as_deref().map(str::parse).transpose()?,
        attempt: args.attempt.clone(),
        attest,
        lease,
    };
    let receipt = ops::claim(&act.ledger, &item, &ask, &act.moment).map_err(|error| {
        let mut failure = session.ledger_failure(&error);
        // Another step would be refused too while one is held.
        let another = |next: &Next| next.argv.get(1).is_some_and(|verb| verb == "claim");
        if matches!(error, LedgerError::Refused(_))
            && failure.reason != "executor-busy"
            && failure.next.iter().any(another)
            && let Some(held) = Asks::acting(&act, session).held()
        {
            failure.next = vec![held];
        }
        failure
    })?;
    let fold = receipt.items.get(&item).cloned();
    show(session, &act, &receipt.value, fold)
}

fn lease(args: &ClaimArgs, session: &Session) -> Result<Option<u64>, Failure> {
    match &args.lease {
        Some(text) => {
            let limit: TimeLimit = text.parse().map_err(Failure::usage)?;
            Ok(Some(limit.seconds()))
        }
        None => Ok(session.config.seconds("claim.lease")),
    }
}

fn nothing(stopped: &[ItemId]) -> Reply {
    let view = NothingView { outcome: "nothing".into(), stopped: stopped.to_vec() };
    let mut reply = Reply::new("claim-nothing", &view);
    reply.exit = Exit::Nothing;
    reply.lines.push(said("nothing", "is ready to be claimed"));
    reply.next.push(next([if stopped.is_empty() { "status" } else { "verify" }]));
    reply
}

fn show(
    session: &Session,
    act: &Act,
    claimed: &Claimed,
    fold: Option<ItemFold>,
) -> Result<Reply, Failure> {
    act.own_claims.add(claimed.claim);
    let fold = match fold {
        Some(fold) => fold,
        None => act
            .ledger
            .snapshot()
            .and_then(|snapshot| snapshot.known_item(&claimed.item))
            .map_err(|error| session.ledger_failure(&error))?,
    };
    let key = claimed.attempt.key().clone();
    let at = fold.workflow.position(&key).ok_or_else(|| {
        Failure::new(Exit::Internal, "internal", format!("{key} left its workflow"))
    })?;
    let mut brief = report::brief(&fold.workflow, &fold.state, at);
    if super::gate_spoke(&fold) {
        let snapshot = act.ledger.snapshot().map_err(|error| session.ledger_failure(&error))?;
        brief.follow_ups =
            super::follow_ups(&snapshot, &fold).map_err(|error| session.ledger_failure(&error))?;
    }
    let attempt = fold.state.steps[at].attempt(claimed.attempt.number());
    let claim = attempt.and_then(|attempt| attempt.claim.as_ref());
    let executor =
        claim.map_or_else(|| act.moment.actor.id.clone(), |claim| claim.executor.clone());
    let alias = claim.and_then(|claim| claim.alias.as_ref()).map(ToString::to_string);
    let mut reply = Reply::new(
        "claim",
        &ClaimView {
            work_item_id: claimed.item.clone(),
            step_key: key.clone(),
            attempt_id: claimed.attempt.clone(),
            alias: alias.clone(),
            claim_id: claimed.claim,
            executor: executor.clone(),
            claimed_at: claim.map(|claim| claim.at),
            lease_until: claim.and_then(|claim| claim.lease_until),
            outcome: if claimed.fresh { "claimed" } else { "unchanged" }.into(),
            brief: brief.clone(),
        },
    );
    reply.recorded = claimed.fresh;
    reply.quiet = format!("{}\t{key}\t{}\t{}\n", claimed.item, claimed.attempt, claimed.claim);
    let named = alias.map(|alias| format!(" ({alias})")).unwrap_or_default();
    let verb = if claimed.fresh { "claimed" } else { "unchanged" };
    reply.lines.push(said(
        verb,
        format!("{} {key} as {}{named} for {executor}", claimed.item, claimed.attempt),
    ));
    let mut about = short(&brief.title, 100);
    if let (Some(plan), Some(line)) = (&brief.plan, brief.plan_line) {
        about.push_str(&format!("   {}:{line}", plain(plan)));
    }
    reply.lines.push(said("", about));
    reply.lines.push(said("claim", claimed.claim.to_string()));
    describe(&mut reply.lines, &brief, false);
    let words = ["complete", "--work-item", claimed.item.as_str(), "--step", key.as_str()];
    let mut complete = next(words).with(["--outcome", "…"]);
    for criterion in &brief.exit {
        if criterion.check.is_none() {
            complete = complete.with(["--verified", criterion.id.as_str()]);
        }
    }
    if brief.exit.iter().any(|criterion| criterion.check.is_some()) {
        complete = complete.with(["--run-checks"]);
    }
    if let Some(executor) = &session.who.executor {
        complete = complete.with(["--executor", executor]);
    }
    let over = attempt.is_some_and(|attempt| attempt.phase.is_terminal());
    reply.next = if over {
        onwards(&claimed.item, &Open::of(&fold), &Asks::acting(act, session))
    } else {
        vec![complete]
    };
    // A record a line stays short on paper; the whole brief has its own verb.
    reply.lines.retain(|line| !matches!(line, Line::Blank));
    Ok(reply)
}
