//! The boundary between provisional and authoritative: outputs are integrated once they are on
//! the base branch, and go back by a revert only (FR-010; B1, B2).

use chrono::{DateTime, Utc};

use super::super::event::{
    BaselineIntegration, BaselineReverted, EventData, Landed, LandedVerdict,
};
use super::super::id::{AttemptId, Digest, StepKey};
use super::super::refusal::Refusal;
use super::super::state::{Done, ItemState, Standing, StepState};
use super::super::transition::AttemptPhase;
use super::super::workflow::{Step, Workflow};
use super::{Decided, LINKS, Room, Unchanged, flow, link, outcome, policy, rework, text};

/// What a completion that counts left behind: what is looked for on the base branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    pub attempt: AttemptId,
    /// When it was completed.
    pub at: DateTime<Utc>,
    /// Commit ids of HEAD at the claim and at the completion (K4).
    pub start: Option<String>,
    pub head: Option<String>,
    /// Whether the work tree differed from that commit.
    pub dirty: Option<bool>,
    /// Path, content and size of what it said it produced.
    pub outputs: Vec<(String, Digest, u64)>,
    /// The commit that undid the item's last integration: what had landed by then does not count.
    pub undone_by: Option<String>,
}

/// A commit somebody names, and where it is in the user's repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnBase {
    /// The whole commit id.
    pub commit: String,
    /// The base branch, as git shortens its name.
    pub branch: String,
    /// Whether the branch reaches the commit; none where the clone has not enough history.
    pub reached: Option<bool>,
}

/// Say that an item's outputs are on the base branch.
#[derive(Debug, Clone)]
pub struct Integrate {
    pub on: OnBase,
    /// What was found of each of [`works`], in its order.
    pub landed: Vec<Landed>,
    /// Why it is accepted although not all of it can be shown to have landed.
    pub accepted: Option<String>,
}

/// Say that an integration was undone, and open a new round.
#[derive(Debug, Clone)]
pub struct Revert {
    pub on: OnBase,
    /// Whether the commit was seen to undo the integration, and how, or why not.
    pub undoes: bool,
    pub how: String,
    pub return_to: StepKey,
    pub reason: String,
    /// Take it although it was not seen to undo the integration; the reason says why.
    pub accept: bool,
}

/// The completions that count: one for each step that was worked on and is done, in launch order.
/// Gates, skipped steps and imported ones left nothing to look for.
#[must_use]
pub fn works(workflow: &Workflow, item: &ItemState) -> Vec<Work> {
    let undone_by = item.returns.iter().rev().find_map(|back| back.reverted_by.clone());
    let of = |(step, state): (&Step, &StepState)| {
        if !matches!(state.standing(), Standing::Done(Done::Completed | Done::Carried)) {
            return None;
        }
        // What was done before a migration was done under the key it had then.
        let (key, worked) = item.worked_as(&step.key, state);
        let attempt = worked.current()?;
        let end = attempt.end.as_ref().filter(|_| attempt.phase == AttemptPhase::Completed)?;
        Some(Work {
            attempt: AttemptId::new(key.clone(), worked.last_number()),
            at: end.at,
            start: attempt.claim.as_ref().and_then(|claim| claim.head.clone()),
            head: end.head.clone(),
            dirty: end.dirty,
            outputs: end.outputs.clone(),
            undone_by: undone_by.clone(),
        })
    };
    workflow.steps().iter().zip(&item.steps).filter_map(of).collect()
}

pub(super) fn integrate(room: &Room<'_>, ask: &Integrate) -> Result<Decided, Refusal> {
    if let Some(reason) = &ask.accepted {
        text("the reason", reason)?;
    }
    if room.state.integrated.as_ref().is_some_and(|known| known.commit == ask.on.commit) {
        return Ok(Decided::Unchanged(Unchanged::Integrated { commit: ask.on.commit.clone() }));
    }
    room.active()?;
    if room.state.review.flagged.is_some() {
        return Err(room.under_review());
    }
    may_integrate(room)?;
    let open: Vec<StepKey> = (room.workflow.steps().iter().zip(&room.state.steps))
        .filter(|(_, state)| !state.is_done())
        .map(|(step, _)| step.key.clone())
        .collect();
    if !open.is_empty() {
        return Err(Refusal::NotAllDone { item: room.item(), open });
    }
    on_base(room, &ask.on)?;
    let works = works(room.workflow, room.state);
    if !works.iter().map(|work| &work.attempt).eq(ask.landed.iter().map(|one| &one.attempt_id)) {
        let why = "other completions count now than those that were looked for: try again";
        return Err(Refusal::Invalid(why.into()));
    }
    let missing = ask.landed.iter().filter(|one| one.verdict != LandedVerdict::Landed).count();
    if missing > 0 && ask.accepted.is_none() {
        return Err(Refusal::NotLanded {
            item: room.item(),
            commit: ask.on.commit.clone(),
            landed: ask.landed.clone(),
        });
    }
    let short = short(&ask.on.commit);
    let summary = match &ask.accepted {
        Some(reason) if missing > 0 => format!(
            "{short} on {}, {missing} of {} not shown to have landed: {}",
            ask.on.branch,
            works.len(),
            flow::brief(reason)
        ),
        _ => format!("{short} on {}", ask.on.branch),
    };
    // What it makes authoritative: each end by which a step is done.
    let ended = room.workflow.steps().iter().zip(&room.state.steps).filter_map(|(step, state)| {
        let Standing::Done(Done::Completed | Done::Approved | Done::Carried) = state.standing()
        else {
            return None;
        };
        let worked = room.state.worked_as(&step.key, state).1;
        Some(link("integrates", &worked.current()?.end.as_ref()?.event))
    });
    let mut links: Vec<_> = ended.take(LINKS).collect();
    if links.is_empty() {
        links.push(link("item", &room.state.registered));
    }
    let fact = room.fact(
        0,
        None,
        None,
        outcome("integrated", summary),
        "nothing; what is wrong goes back by a revert".into(),
        links,
        EventData::BaselineIntegration(BaselineIntegration {
            commit: ask.on.commit.clone(),
            branch: ask.on.branch.clone(),
            landed: ask.landed.clone(),
            // Nothing had to be accepted where all of it was found.
            accepted: ask.accepted.clone().filter(|_| missing > 0),
        }),
    );
    Ok(Decided::Facts(vec![fact]))
}

pub(super) fn revert(room: &Room<'_>, ask: &Revert) -> Result<Decided, Refusal> {
    text("the reason", &ask.reason)?;
    if reverted_before(room, ask) {
        return Ok(Decided::Unchanged(Unchanged::SentBack { to: ask.return_to.clone() }));
    }
    let back = room.step(&ask.return_to)?;
    let Some(integrated) = &room.state.integrated else {
        // An item that ended says so; one that goes on has nothing to revert.
        room.active()?;
        return Err(Refusal::NotIntegrated { item: room.item(), to: ask.return_to.clone() });
    };
    may_integrate(room)?;
    let back = rework::target(room, &room.workflow.steps()[back].key, None)?;
    on_base(room, &ask.on)?;
    if !ask.undoes && !ask.accept {
        return Err(Refusal::NotUndone {
            item: room.item(),
            commit: ask.on.commit.clone(),
            integrated: integrated.commit.clone(),
            how: ask.how.clone(),
        });
    }
    let void = rework::void_set(room.workflow, room.state, back, None);
    let voided = void.iter().filter_map(|&at| {
        Some(link("voids", &room.state.steps[at].current()?.end.as_ref()?.event))
    });
    let links = std::iter::once(link("reverts", &integrated.event)).chain(voided).take(LINKS);
    let summary = format!(
        "{} undoes {}, back to {}: {}",
        short(&ask.on.commit),
        short(&integrated.commit),
        ask.return_to,
        flow::brief(&ask.reason)
    );
    let fact = room.fact(
        0,
        None,
        None,
        outcome("reverted", summary),
        format!("rework {}", ask.return_to),
        links.collect(),
        EventData::BaselineReverted(BaselineReverted {
            commit: ask.on.commit.clone(),
            return_to: ask.return_to.clone(),
            void: rework::void_steps(room, &void),
            accepted: (!ask.undoes).then(|| ask.how.clone()),
            reason: ask.reason.clone(),
        }),
    );
    Ok(Decided::Facts(vec![fact]))
}

/// This revert is on record, and nobody took the step since.
fn reverted_before(room: &Room<'_>, ask: &Revert) -> bool {
    let last = room.state.last_return();
    last.is_some_and(|last| last.reverted_by.as_ref() == Some(&ask.on.commit))
        && rework::sent_back_before(room, &ask.return_to, &ask.reason)
}

/// The base branch reaches the commit.
fn on_base(room: &Room<'_>, on: &OnBase) -> Result<(), Refusal> {
    if on.reached == Some(true) {
        return Ok(());
    }
    Err(Refusal::NotOnBase {
        item: room.item(),
        commit: on.commit.clone(),
        branch: on.branch.clone(),
        known: on.reached.is_some(),
    })
}

/// Whether policy lets this principal move the boundary.
fn may_integrate(room: &Room<'_>) -> Result<(), Refusal> {
    policy::may_integrate(room.ledger, &room.state.id, &room.moment.actor.principal).map(drop)
}

/// A commit id as people read it.
fn short(commit: &str) -> &str {
    commit.get(..12).unwrap_or(commit)
}
