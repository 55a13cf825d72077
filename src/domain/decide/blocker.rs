//! What holds an item from outside (FR-012).

use super::super::event::{BlockerDeclared, BlockerResolved, EventData};
use super::super::id::{CriterionId, PrincipalId, StepKey};
use super::super::refusal::Refusal;
use super::super::state::{LedgerState, standing_word};
use super::super::transition::ItemPhase;
use super::{Decided, Room, Unchanged, flow, link, outcome, text};

/// The policy key that lists the types of blockers.
pub const BLOCKER_TYPES_POLICY: &str = "blocker.types";

/// The types of blockers where policy names none: another piece of work, somebody's decision,
/// a system or a machine, somebody outside, or anything else.
pub const BLOCKER_TYPES: [&str; 5] = ["dependency", "decision", "environment", "external", "other"];

/// The types of blockers of a ledger.
#[must_use]
pub fn blocker_types(ledger: &LedgerState) -> Vec<String> {
    match ledger.policy.get(BLOCKER_TYPES_POLICY) {
        Some(types) if !types.is_empty() => types.clone(),
        _ => BLOCKER_TYPES.map(str::to_owned).to_vec(),
    }
}

/// Say that something outside holds the item.
#[derive(Debug, Clone)]
pub struct DeclareBlocker {
    /// `blocker-N` when left out.
    pub id: Option<CriterionId>,
    pub kind: String,
    /// The steps it holds; none means all.
    pub steps: Vec<StepKey>,
    pub notes: String,
    /// Who is to see that it goes away; the asking principal when left out.
    pub owner: Option<PrincipalId>,
}

/// Say that it is gone.
#[derive(Debug, Clone)]
pub struct ResolveBlocker {
    pub id: CriterionId,
    pub resolution: String,
}

pub(super) fn declare(room: &Room<'_>, ask: &DeclareBlocker) -> Result<Decided, Refusal> {
    text("the notes", &ask.notes)?;
    let known = blocker_types(room.ledger);
    if !known.contains(&ask.kind) {
        return Err(Refusal::UnknownBlockerType { given: ask.kind.clone(), known });
    }
    let mut at = ask.steps.iter().map(|key| room.step(key)).collect::<Result<Vec<_>, _>>()?;
    at.sort_unstable();
    at.dedup();
    let steps: Vec<StepKey> = at.iter().map(|&at| room.workflow.steps()[at].key.clone()).collect();
    let owner = ask.owner.as_ref().unwrap_or(&room.moment.actor.principal);
    let same = room.state.blockers.iter().find(|blocker| {
        blocker.resolved_at.is_none()
            && (&blocker.kind, &blocker.steps, &blocker.notes) == (&ask.kind, &steps, &ask.notes)
            && ask.owner.as_ref().is_none_or(|owner| *owner == blocker.owner)
            && ask.id.as_ref().is_none_or(|id| *id == blocker.id)
    });
    if let Some(same) = same {
        return Ok(Decided::Unchanged(Unchanged::Blocked { blocker: same.id.clone() }));
    }
    room.active()?;
    let id = match &ask.id {
        Some(id) => id.clone(),
        None => free_id(room)?,
    };
    if let Some(taken) = room.state.blockers.iter().find(|blocker| blocker.id == id) {
        return Err(Refusal::BlockerTaken {
            item: room.item(),
            blocker: id,
            kind: taken.kind.clone(),
            resolved: taken.resolved_at.is_some(),
        });
    }
    if let Some(&done) = at.iter().find(|&&at| room.state.steps[at].is_done()) {
        return Err(Refusal::StepDone {
            item: room.item(),
            step: room.workflow.steps()[done].key.clone(),
            how: standing_word(room.state.steps[done].standing()),
            other: None,
            integrated: false,
        });
    }
    let named: Vec<&str> = steps.iter().map(StepKey::as_str).collect();
    let what = if named.is_empty() { "every step".to_owned() } else { named.join(", ") };
    let what = flow::brief(&what);
    let summary = format!("{} holds {what}: {}", ask.kind, flow::brief(&ask.notes));
    let fact = room.fact(
        0,
        None,
        None,
        outcome("blocked", summary),
        format!("resolve {id}"),
        vec![link("item", &room.state.registered)],
        EventData::BlockerDeclared(BlockerDeclared {
            blocker_id: id,
            blocker_type: ask.kind.clone(),
            steps,
            notes: ask.notes.clone(),
            owner: owner.clone(),
        }),
    );
    Ok(Decided::Facts(vec![fact]))
}

/// The next id that no blocker of the item ever had.
fn free_id(room: &Room<'_>) -> Result<CriterionId, Refusal> {
    let blockers = &room.state.blockers;
    // One more than there are blockers cannot all be taken.
    (1..=blockers.len() + 1)
        .map(|number| format!("blocker-{number}"))
        .find(|id| blockers.iter().all(|blocker| blocker.id.as_str() != id))
        .and_then(|id| id.parse().ok())
        .ok_or_else(|| Refusal::Invalid("name the blocker: --id ID".into()))
}

pub(super) fn resolve(room: &Room<'_>, ask: &ResolveBlocker) -> Result<Decided, Refusal> {
    text("the resolution", &ask.resolution)?;
    let blockers = &room.state.blockers;
    let Some(blocker) = blockers.iter().find(|blocker| blocker.id == ask.id) else {
        return Err(Refusal::UnknownBlocker {
            item: room.item(),
            blocker: ask.id.clone(),
            open: blockers
                .iter()
                .filter(|blocker| blocker.resolved_at.is_none())
                .map(|blocker| blocker.id.clone())
                .collect(),
        });
    };
    if blocker.resolved_at.is_some() {
        return Ok(Decided::Unchanged(Unchanged::Resolved { blocker: ask.id.clone() }));
    }
    // An integrated item takes no work, but what was in its way may be gone all the same.
    if room.state.phase != ItemPhase::Integrated {
        room.active()?;
    }
    let fact = room.fact(
        0,
        None,
        None,
        outcome("resolved", &ask.resolution),
        "go on with what it held".into(),
        vec![link("blocker", &blocker.event)],
        EventData::BlockerResolved(BlockerResolved {
            blocker_id: ask.id.clone(),
            resolution: ask.resolution.clone(),
        }),
    );
    Ok(Decided::Facts(vec![fact]))
}
