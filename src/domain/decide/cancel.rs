//! An item is given up.

use super::super::event::{EventData, Reasoned};
use super::super::refusal::Refusal;
use super::super::transition::ItemPhase;
use super::{Decided, Room, Unchanged, flow, link, outcome, text};

/// Give an item up for good.
#[derive(Debug, Clone)]
pub struct Cancel {
    pub reason: String,
    /// Take the claims of its steps.
    pub release_claims: bool,
}

pub(super) fn decide(room: &Room<'_>, ask: &Cancel) -> Result<Decided, Refusal> {
    text("the reason", &ask.reason)?;
    if room.state.phase == ItemPhase::Cancelled {
        return Ok(Decided::Unchanged(Unchanged::Cancelled));
    }
    room.active()?;
    let why = format!("{} was cancelled: {}", room.state.id, ask.reason);
    let mut facts = flow::give_up(room, ask.release_claims, &why)?;
    facts.push(room.fact(
        facts.len(),
        None,
        None,
        outcome("cancelled", &ask.reason),
        "nothing".into(),
        vec![link("item", &room.state.registered)],
        EventData::WorkItemCancelled(Reasoned { reason: ask.reason.clone() }),
    ));
    Ok(Decided::Facts(facts))
}
