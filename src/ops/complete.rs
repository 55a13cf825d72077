//! Ending an attempt, with its checks run first (K2): outside the lock, before anything is
//! recorded.

use std::path::Path;
use std::time::Duration;

use crate::domain::decide::{Ask, Complete, Decided, Ending, Unchanged, Verified};
use crate::domain::event::CheckRun;
use crate::domain::id::{AttemptId, ClaimId, CriterionId, Digest, ExecutorId, ItemId};
use crate::domain::moment::Moment;
use crate::domain::refusal::Refusal;
use crate::domain::workflow::{Criterion, Execute};
use crate::ledger::{Ledger, LedgerError, Receipt, Verdict};
use crate::process::{self, Program};

use super::handoff::SpoolError;

/// A completion as it was recorded.
#[derive(Debug, Clone)]
pub struct Completion {
    pub attempt: AttemptId,
    /// False when it had ended so before.
    pub fresh: bool,
    pub checks: Vec<Run>,
}

/// A check that did not pass: nothing was recorded.
#[derive(Debug, Clone)]
pub struct CheckFailed {
    pub item: ItemId,
    pub attempt: AttemptId,
    pub criterion: Criterion,
    pub run: CheckRun,
    pub timed_out: bool,
}

/// Why an operation did not end as asked.
#[derive(Debug, thiserror::Error)]
pub enum OpsError {
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error("the check of {} failed: exit {}", .0.criterion.id, .0.run.exit_code)]
    CheckFailed(Box<CheckFailed>),
    /// Asked to stop while a check ran: the check was ended, nothing was recorded.
    #[error("cancelled while a check was running")]
    Cancelled { attempt: AttemptId },
    #[error("the work of {attempt} did not start: {why}")]
    WorkNotRun { attempt: AttemptId, why: String },
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// Another end of the attempt waits in the spool.
    #[error("{} says already how {attempt} ended, in other words", path.display())]
    Spooled { attempt: AttemptId, path: std::path::PathBuf },
    #[error("the check of {criterion} did not run: {why}")]
    CheckNotRun { criterion: CriterionId, why: String },
}

/// How checks are run.
#[derive(Debug, Clone, Copy)]
pub struct Checks<'a> {
    pub dir: &'a Path,
    /// For a check that names no limit.
    pub timeout: Duration,
    /// Bytes of output kept.
    pub keep: usize,
}

/// Ends an attempt; with `checks`, the exit criteria that have a check and no evidence are run.
///
/// # Errors
/// The refusal, or the check that failed.
pub fn complete(
    ledger: &Ledger,
    item: &ItemId,
    ask: &Complete,
    checks: Option<Checks<'_>>,
    moment: &Moment,
    told: &mut dyn FnMut(&Criterion),
) -> Result<Receipt<Completion>, OpsError> {
    let judge = |ask: &Complete| {
        ledger.snapshot()?.decide(item, &Ask::Complete(Box::new(ask.clone())), moment)
    };
    let claim = |attempt: &AttemptId| {
        let fold = ledger.snapshot().ok()?.known_item(item).ok()?;
        Some(fold.attempt(attempt)?.claim.as_ref()?.id)
    };
    let (ask, runs) = checked(item, ask, checks, moment, told, &judge, &claim)?;
    let receipt = ledger.transact(moment, |snapshot| {
        let asked = Ask::Complete(Box::new(ask.clone()));
        match snapshot.decide(item, &asked, moment)? {
            Decided::Facts(facts) => {
                let attempt = facts.iter().find_map(|fact| fact.attempt_id.clone());
                let attempt = attempt.ok_or_else(|| {
                    LedgerError::Invalid("a completion was decided without an attempt".into())
                })?;
                let value = Completion { attempt, fresh: true, checks: runs.clone() };
                Ok(Verdict::Record { facts, definitions: Vec::new(), workflow: None, value })
            }
            Decided::Unchanged(Unchanged::Completed { attempt }) => {
                Ok(Verdict::Nothing(Completion { attempt, fresh: false, checks: Vec::new() }))
            }
            Decided::Unchanged(Unchanged::Request { seen }) => match seen.attempt {
                Some(attempt) => {
                    Ok(Verdict::Nothing(Completion { attempt, fresh: false, checks: Vec::new() }))
                }
                None => Err(LedgerError::Invalid("the request was of another kind".into())),
            },
            Decided::Unchanged(_) => {
                Err(LedgerError::Invalid("a completion cannot be unchanged in that way".into()))
            }
        }
    })?;
    Ok(receipt)
}

/// A criterion whose check was run.
pub type Run = (CriterionId, CheckRun);

/// Runs the checks of the exit criteria that are still open, and says so in the ask.
///
/// `judge` is what the rules say of it, wherever the state is; `claim` is whose attempt it is.
pub(super) fn checked(
    item: &ItemId,
    ask: &Complete,
    checks: Option<Checks<'_>>,
    moment: &Moment,
    told: &mut dyn FnMut(&Criterion),
    judge: &dyn Fn(&Complete) -> Result<Decided, LedgerError>,
    claim: &dyn Fn(&AttemptId) -> Option<ClaimId>,
) -> Result<(Complete, Vec<Run>), OpsError> {
    let (mut ask, mut runs) = (ask.clone(), Vec::new());
    let Some(checks) = checks.filter(|_| ask.ending == Ending::Completed) else {
        return Ok((ask, runs));
    };
    for open in open_checks(&ask, judge, claim)? {
        told(&open.criterion);
        let run = run_check(item, &open, checks, moment)?;
        let id = open.criterion.id;
        ask.verified.push(Verified { id: id.clone(), evidence: None, check: Some(run.clone()) });
        runs.push((id, run));
    }
    Ok((ask, runs))
}

/// A check that is still to be run.
struct OpenCheck {
    criterion: Criterion,
    check: Execute,
    attempt: AttemptId,
    claim: Option<ClaimId>,
}

/// The checks to run: judged first, so that nothing runs for somebody who does not hold it.
fn open_checks(
    ask: &Complete,
    judge: &dyn Fn(&Complete) -> Result<Decided, LedgerError>,
    claim: &dyn Fn(&AttemptId) -> Option<ClaimId>,
) -> Result<Vec<OpenCheck>, OpsError> {
    let refusal = match judge(ask) {
        // Nothing is open: the transaction says what else there is to say.
        Ok(_) => return Ok(Vec::new()),
        Err(LedgerError::Refused(refusal)) => refusal,
        Err(error) => return Err(error.into()),
    };
    let Refusal::NotVerified { attempt, open, .. } = *refusal else {
        return Err(LedgerError::Refused(refusal).into());
    };
    let claim = claim(&attempt);
    let check = |criterion: Criterion| {
        let check = criterion.check.clone()?;
        Some(OpenCheck { criterion, check, attempt: attempt.clone(), claim })
    };
    Ok(open.into_iter().filter_map(check).collect())
}

/// What a check and the work of a step find in their environment.
pub(super) fn environment(
    item: &ItemId,
    attempt: &AttemptId,
    claim: Option<ClaimId>,
    executor: &ExecutorId,
) -> Vec<(String, String)> {
    let claim = claim.map_or_else(String::new, |claim| claim.to_string());
    [
        ("STEPSEAL_WORK_ITEM", item.to_string()),
        ("STEPSEAL_STEP", attempt.key().to_string()),
        ("STEPSEAL_ATTEMPT", attempt.to_string()),
        ("STEPSEAL_CLAIM", claim),
        ("STEPSEAL_EXECUTOR", executor.to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

fn run_check(
    item: &ItemId,
    open: &OpenCheck,
    checks: Checks<'_>,
    moment: &Moment,
) -> Result<CheckRun, OpsError> {
    let OpenCheck { criterion, check, attempt, claim } = open;
    let env = environment(item, attempt, *claim, &moment.actor.id);
    let timeout =
        check.timeout.as_ref().map_or(checks.timeout, |limit| Duration::from_secs(limit.seconds()));
    let program = Program {
        argv: &check.run,
        dir: checks.dir,
        env: &env,
        timeout,
        keep: checks.keep,
        interruptible: true,
    };
    let ended = process::run(&program).map_err(|error| OpsError::CheckNotRun {
        criterion: criterion.id.clone(),
        why: error.to_string(),
    })?;
    if ended.interrupted {
        return Err(OpsError::Cancelled { attempt: attempt.clone() });
    }
    let run = CheckRun {
        run: check.run.clone(),
        exit_code: ended.exit_code,
        duration_ms: u64::try_from(ended.duration.as_millis()).unwrap_or(u64::MAX),
        output_digest: Digest::from_bytes(&ended.output_sha256),
        output: ended.output,
    };
    if run.exit_code != 0 {
        return Err(OpsError::CheckFailed(Box::new(CheckFailed {
            item: item.clone(),
            attempt: attempt.clone(),
            criterion: criterion.clone(),
            run,
            timed_out: ended.timed_out,
        })));
    }
    Ok(run)
}
