//! Who is accountable for an item (FR-011).

use super::super::event::{EventData, OwnerTransferred};
use super::super::id::PrincipalId;
use super::super::refusal::Refusal;
use super::{Decided, Room, Unchanged, link, outcome, text};

/// Make somebody else accountable.
#[derive(Debug, Clone)]
pub struct TransferOwner {
    pub to: PrincipalId,
    pub reason: String,
}

pub(super) fn decide(room: &Room<'_>, ask: &TransferOwner) -> Result<Decided, Refusal> {
    text("the reason", &ask.reason)?;
    let from = room.state.owner.clone();
    if from.as_ref() == Some(&ask.to) {
        return Ok(Decided::Unchanged(Unchanged::Owner { owner: ask.to.clone() }));
    }
    let last = room.state.transfers.last().map(|transfer| &transfer.event);
    let fact = room.fact(
        0,
        None,
        None,
        outcome("transferred", format!("to {}: {}", ask.to, super::flow::brief(&ask.reason))),
        "nothing".into(),
        vec![match last {
            Some(last) => link("follows", last),
            None => link("item", &room.state.registered),
        }],
        EventData::OwnerTransferred(OwnerTransferred {
            from,
            to: ask.to.clone(),
            reason: ask.reason.clone(),
        }),
    );
    Ok(Decided::Facts(vec![fact]))
}
