//! Claiming: one named step, or the next one anywhere.

use crate::domain::decide::{Ask, Attest, Claim, Decided};
use crate::domain::event::EventData;
use crate::domain::id::{AttemptId, ClaimId, ItemId, RoleName, StepKey};
use crate::domain::moment::Moment;
use crate::domain::refusal::{Refusal, RefusalKind};
use crate::ledger::{Ledger, LedgerError, Portfolio, Receipt, Row, Snapshot, Verdict};

/// A claim that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    pub item: ItemId,
    pub attempt: AttemptId,
    pub claim: ClaimId,
    /// False when the same request had claimed it before.
    pub fresh: bool,
}

/// What `claim --next` may take.
#[derive(Debug, Clone, Default)]
pub struct NextClaim {
    /// Only of this item.
    pub item: Option<ItemId>,
    /// Only steps of this role, or without one.
    pub role: Option<RoleName>,
    pub attest: Attest,
    pub lease: Option<u64>,
}

/// Claims one step of one item.
///
/// # Errors
/// The refusal, judged against the newest state.
pub fn claim(
    ledger: &Ledger,
    item: &ItemId,
    ask: &Claim,
    moment: &Moment,
) -> Result<Receipt<Claimed>, LedgerError> {
    ledger.transact(moment, |snapshot| judge(snapshot, item, ask, moment))
}

fn judge(
    snapshot: &Snapshot<'_>,
    item: &ItemId,
    ask: &Claim,
    moment: &Moment,
) -> Result<Verdict<Claimed>, LedgerError> {
    match snapshot.decide(item, &Ask::Claim(ask.clone()), moment)? {
        Decided::Facts(facts) => {
            let found = facts.iter().find_map(|fact| match (&fact.data, &fact.attempt_id) {
                (EventData::AttemptClaimed(data), Some(attempt)) => {
                    Some((attempt.clone(), data.claim_id))
                }
                _ => None,
            });
            let Some((attempt, claim)) = found else {
                return Err(LedgerError::Invalid("a claim was decided without a claim".into()));
            };
            let value = Claimed { item: item.clone(), attempt, claim, fresh: true };
            Ok(Verdict::Record { facts, definitions: Vec::new(), workflow: None, value })
        }
        Decided::Unchanged(_) => Ok(Verdict::Nothing(original(snapshot, item, moment)?)),
    }
}

/// The claim an earlier ask under the same request made (R1).
fn original(
    snapshot: &Snapshot<'_>,
    item: &ItemId,
    moment: &Moment,
) -> Result<Claimed, LedgerError> {
    let fold = snapshot.known_item(item)?;
    let seen = moment.request.as_ref().and_then(|request| fold.state.requests.get(&request.id));
    let attempt = seen.and_then(|seen| seen.attempt.clone());
    let claim =
        attempt.as_ref().and_then(|attempt| Some(fold.attempt(attempt)?.claim.as_ref()?.id));
    match (attempt, claim) {
        (Some(attempt), Some(claim)) => {
            Ok(Claimed { item: item.clone(), attempt, claim, fresh: false })
        }
        _ => Err(LedgerError::Invalid("the request is on record without its claim".into())),
    }
}

/// What `claim --next` found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Next {
    pub claimed: Option<Claimed>,
    /// Items that cannot be read, and so were passed over (L10).
    pub stopped: Vec<ItemId>,
}

/// Claims the first ready step of the ledger: items by priority, then by registration, then by
/// id; steps in launch order. Steps whose entry criteria are not attested are passed over.
///
/// Nothing when there is none.
///
/// # Errors
/// When the executor is busy, or the one step there was refuses.
pub fn claim_next(
    ledger: &Ledger,
    ask: &NextClaim,
    moment: &Moment,
) -> Result<Receipt<Next>, LedgerError> {
    ledger.transact(moment, |snapshot| {
        let Portfolio { mut rows, stopped } = snapshot.portfolio()?;
        let stopped: Vec<ItemId> = stopped.into_iter().map(|stopped| stopped.id).collect();
        let found = |claimed| Next { claimed, stopped: stopped.clone() };
        if let Some(item) = &ask.item {
            snapshot.known_item(item)?;
            rows.retain(|row| row.id == *item);
        }
        if let Some(claimed) = repeated(snapshot, &rows, moment)? {
            return Ok(Verdict::Nothing(found(Some(claimed))));
        }
        if let Some(live) = snapshot.live_claim(&moment.actor.id)? {
            return Err(Refusal::ExecutorBusy {
                by: live.executor,
                item: live.item,
                step: live.attempt.key().clone(),
                attempt: live.attempt,
                since: live.since,
            }
            .into());
        }
        rows.retain(|row| row.ready_count > 0);
        rows.sort_by(|a, b| order(a).cmp(&order(b)));
        let mut refused = None;
        for row in rows {
            for step in ready(snapshot, &row, ask)? {
                let claim = Claim {
                    step: Some(step),
                    attempt: None,
                    attest: Attest { named: Vec::new(), all: ask.attest.all },
                    lease: ask.lease,
                };
                match judge(snapshot, &row.id, &claim, moment) {
                    Ok(Verdict::Record { facts, definitions, workflow, value }) => {
                        let value = found(Some(value));
                        return Ok(Verdict::Record { facts, definitions, workflow, value });
                    }
                    Ok(Verdict::Nothing(value)) => {
                        return Ok(Verdict::Nothing(found(Some(value))));
                    }
                    Err(LedgerError::Refused(refusal))
                        if refusal.kind() == RefusalKind::Refused =>
                    {
                        refused.get_or_insert(refusal);
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        match refused {
            Some(refusal) => Err(LedgerError::Refused(refusal)),
            None => Ok(Verdict::Nothing(found(None))),
        }
    })
}

fn order(row: &Row) -> (u32, chrono::DateTime<chrono::Utc>, &ItemId) {
    (row.priority.unwrap_or(u32::MAX), row.registered_at, &row.id)
}

/// The ready steps of an item that the asker's role may take, in launch order.
fn ready(snapshot: &Snapshot<'_>, row: &Row, ask: &NextClaim) -> Result<Vec<StepKey>, LedgerError> {
    if ask.role.is_none() && row.ready.len() as u32 == row.ready_count {
        return Ok(row.ready.clone());
    }
    let fold = snapshot.known_item(&row.id)?;
    let schedule = crate::domain::schedule::Schedule::of(&fold.workflow, &fold.state);
    let steps = schedule.ready.into_iter().map(|at| &fold.workflow.steps()[at]);
    let fits = |role: &Option<RoleName>| match (&ask.role, role) {
        (Some(asked), Some(role)) => asked == role,
        _ => true,
    };
    Ok(steps.filter(|step| fits(&step.definition.role)).map(|step| step.key.clone()).collect())
}

/// R1 for an ask that names no item: whichever item has the request on record.
fn repeated(
    snapshot: &Snapshot<'_>,
    rows: &[Row],
    moment: &Moment,
) -> Result<Option<Claimed>, LedgerError> {
    let Some(request) = &moment.request else { return Ok(None) };
    for row in rows.iter().filter(|row| row.may_know(&request.id)) {
        let Some(fold) = snapshot.item(&row.id)? else { continue };
        let Some(seen) = fold.state.requests.get(&request.id) else { continue };
        if seen.digest != request.digest {
            let recorded = seen.kind.clone();
            return Err(Refusal::RequestReused { request: request.id.clone(), recorded }.into());
        }
        return original(snapshot, &row.id, moment).map(Some);
    }
    Ok(None)
}
