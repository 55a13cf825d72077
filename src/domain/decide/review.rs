//! Review before execution: people decide about suspected duplicates (FR-003).

use super::super::event::{
    Event, EventData, Link, RequeueCause, ReviewClosed, ReviewDecided, ReviewFlagged,
    ReviewSurvivor,
};
use super::super::id::{ItemId, PrincipalId};
use super::super::refusal::Refusal;
use super::super::state::{ItemState, LedgerState, Standing};
use super::super::transition::{AttemptPhase, ItemPhase};
use super::{Decided, Room, Unchanged, flow, link, outcome, text};

/// The policy key that says when an item waits for a review.
pub const REVIEW_POLICY: &str = "review";

/// When an item waits for a review before anybody may claim its steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReviewPolicy {
    /// Always, until a person has decided.
    Required,
    /// When a person flagged it.
    OnSuspicion,
    /// Never: nothing is flagged.
    Off,
}

impl ReviewPolicy {
    /// What the ledger says; `on-suspicion` where it says nothing.
    #[must_use]
    pub fn of(ledger: &LedgerState) -> Self {
        let value = ledger.policy.get(REVIEW_POLICY).and_then(|value| value.first());
        match value.map(String::as_str) {
            Some("required") => Self::Required,
            Some("off") => Self::Off,
            _ => Self::OnSuspicion,
        }
    }
}

/// Why an item waits for a review that nobody asked for by name.
pub const POLICY_REASON: &str = "policy asks for a review before any work";

/// Whether policy alone keeps an item waiting: it was registered before policy asked for reviews,
/// so nothing in its own history says so.
#[must_use]
pub fn awaits_policy(ledger: &LedgerState, item: &ItemState) -> bool {
    ReviewPolicy::of(ledger) == ReviewPolicy::Required
        && item.phase == ItemPhase::Active
        && !item.review.decided
        && item.review.flagged.is_none()
}

/// Suspect a duplicate: no claims until a person decides.
#[derive(Debug, Clone)]
pub struct FlagReview {
    pub reason: String,
    pub suspects: Vec<ItemId>,
}

/// Drop the suspicion.
#[derive(Debug, Clone)]
pub struct ClearReview {
    pub rationale: String,
}

/// Say that an item is related to another one; both go on.
#[derive(Debug, Clone)]
pub struct LinkReview {
    pub to: ItemId,
    pub rationale: String,
}

/// Say that an item lives on in another one.
#[derive(Debug, Clone)]
pub struct MergeReview {
    pub into: ItemId,
    pub rationale: String,
    /// Take the claims of its steps.
    pub release_claims: bool,
}

/// Say that an item is a duplicate and ends.
#[derive(Debug, Clone)]
pub struct CloseReview {
    /// The item it repeats; the one suspect of the flag when left out.
    pub duplicate_of: Option<ItemId>,
    pub rationale: String,
    /// Take the claims of its steps.
    pub release_claims: bool,
}

/// Say that a merge or a closing was wrong.
#[derive(Debug, Clone)]
pub struct OverturnReview {
    pub rationale: String,
}

/// The flag that policy raises over a new item, so that its own history says why it waits.
pub(super) fn flagged_by_policy() -> EventData {
    EventData::ReviewFlagged(ReviewFlagged { reason: POLICY_REASON.into(), suspects: Vec::new() })
}

pub(super) fn flag(room: &Room<'_>, ask: &FlagReview) -> Result<Decided, Refusal> {
    text("the reason", &ask.reason)?;
    room.active()?;
    if let Some(flag) = &room.state.review.flagged {
        // Another suspect is news; the flag itself is not.
        return match ask.suspects.iter().find(|suspect| !flag.suspects.contains(suspect)) {
            None => Ok(Decided::Unchanged(Unchanged::Flagged)),
            Some(_) => Err(room.under_review()),
        };
    }
    if ReviewPolicy::of(room.ledger) == ReviewPolicy::Off {
        return Err(Refusal::ReviewOff { item: room.item() });
    }
    if ask.suspects.contains(&room.state.id) {
        return Err(Refusal::Invalid("an item is no duplicate of itself".into()));
    }
    ask.suspects.iter().try_for_each(|suspect| room.other(suspect).map(drop))?;
    let fact = room.fact(
        0,
        None,
        None,
        outcome("flagged", &ask.reason),
        "decide the review".into(),
        vec![link("item", &room.state.registered)],
        EventData::ReviewFlagged(ReviewFlagged {
            reason: ask.reason.clone(),
            suspects: ask.suspects.clone(),
        }),
    );
    Ok(Decided::Facts(vec![fact]))
}

pub(super) fn clear(room: &Room<'_>, ask: &ClearReview) -> Result<Decided, Refusal> {
    text("the rationale", &ask.rationale)?;
    room.active()?;
    let review = &room.state.review;
    let waits = review.flagged.is_some() || awaits_policy(room.ledger, room.state);
    if !waits && review.decided && review.said(&ask.rationale) {
        return Ok(Decided::Unchanged(Unchanged::Cleared));
    }
    if !waits {
        return Err(Refusal::NotUnderReview { item: room.item() });
    }
    Ok(Decided::Facts(vec![cleared(room, 0, &ask.rationale)]))
}

fn cleared(room: &Room<'_>, index: usize, rationale: &str) -> Event {
    room.fact(
        index,
        None,
        None,
        outcome("cleared", rationale),
        "claim what is ready".into(),
        decides(room, "clears"),
        EventData::ReviewCleared(ReviewDecided { rationale: rationale.to_owned() }),
    )
}

/// What a decision is about: the suspicion, or the item as it was registered.
fn decides(room: &Room<'_>, rel: &str) -> Vec<Link> {
    match &room.state.review.flagged {
        Some(flag) => vec![link(rel, &flag.event)],
        None => vec![link("item", &room.state.registered)],
    }
}

pub(super) fn relate(room: &Room<'_>, ask: &LinkReview) -> Result<Decided, Refusal> {
    text("the rationale", &ask.rationale)?;
    if ask.to == room.state.id {
        return Err(Refusal::Invalid("an item is not related to itself".into()));
    }
    room.other(&ask.to)?;
    let review = &room.state.review;
    let known = review.linked.contains(&ask.to);
    let mut facts = Vec::new();
    if !known {
        facts.push(room.fact(
            0,
            None,
            None,
            outcome("linked", format!("to {}: {}", ask.to, flow::brief(&ask.rationale))),
            "nothing".into(),
            decides(room, "about"),
            EventData::ReviewLinked(ReviewSurvivor {
                other: ask.to.clone(),
                rationale: ask.rationale.clone(),
            }),
        ));
    }
    // Related and still another one: that decides a suspicion, once it is said of every suspect.
    let related = |suspect: &ItemId| *suspect == ask.to || review.linked.contains(suspect);
    let decided = match &review.flagged {
        Some(flag) => flag.suspects.iter().all(related),
        None => awaits_policy(room.ledger, room.state),
    };
    if decided && room.state.phase == ItemPhase::Active {
        facts.push(cleared(room, facts.len(), &ask.rationale));
    }
    if facts.is_empty() {
        return Ok(Decided::Unchanged(Unchanged::Linked { to: ask.to.clone() }));
    }
    Ok(Decided::Facts(facts))
}

pub(super) fn merge(room: &Room<'_>, ask: &MergeReview) -> Result<Decided, Refusal> {
    text("the rationale", &ask.rationale)?;
    let state = room.state;
    if state.phase == ItemPhase::Merged && state.review.survivor.as_ref() == Some(&ask.into) {
        return Ok(Decided::Unchanged(Unchanged::Merged { into: ask.into.clone() }));
    }
    if ask.into == state.id {
        return Err(Refusal::Invalid("an item cannot be merged into itself".into()));
    }
    room.active()?;
    survives(room, &ask.into, "merge")?;
    let why = format!("{} was merged into {}: {}", state.id, ask.into, ask.rationale);
    let mut facts = flow::give_up(room, ask.release_claims, &why)?;
    facts.push(room.fact(
        facts.len(),
        None,
        None,
        outcome("merged", format!("into {}: {}", ask.into, flow::brief(&ask.rationale))),
        format!("go on with {}", ask.into),
        decides(room, "decides"),
        EventData::ReviewMerged(ReviewSurvivor {
            other: ask.into.clone(),
            rationale: ask.rationale.clone(),
        }),
    ));
    Ok(Decided::Facts(facts))
}

pub(super) fn close(room: &Room<'_>, ask: &CloseReview) -> Result<Decided, Refusal> {
    text("the rationale", &ask.rationale)?;
    let state = room.state;
    let survivor = state.review.survivor.as_ref();
    let same = ask.duplicate_of.is_none() || ask.duplicate_of.as_ref() == survivor;
    if state.phase == ItemPhase::Closed && same {
        return Ok(Decided::Unchanged(Unchanged::Closed { duplicate_of: survivor.cloned() }));
    }
    if ask.duplicate_of.as_ref() == Some(&state.id) {
        return Err(Refusal::Invalid("an item is no duplicate of itself".into()));
    }
    room.active()?;
    let suspects = state.review.flagged.as_ref().map(|flag| flag.suspects.as_slice());
    let survivor = match (&ask.duplicate_of, suspects) {
        (Some(named), _) => Some(named),
        (None, Some([only])) => Some(only),
        (None, _) => None,
    };
    if let (None, Some([_, _, ..])) = (survivor, suspects) {
        let all: Vec<&str> = suspects.into_iter().flatten().map(ItemId::as_str).collect();
        let message =
            format!("name the one that {} repeats: --duplicate-of {}", state.id, all.join(" or "));
        return Err(Refusal::Invalid(message));
    }
    if let Some(survivor) = survivor {
        survives(room, survivor, "close")?;
    }
    let of = survivor.map(|of| format!(" as a duplicate of {of}")).unwrap_or_default();
    let why = format!("{} was closed{of}: {}", state.id, ask.rationale);
    let mut facts = flow::give_up(room, ask.release_claims, &why)?;
    let summary = match survivor {
        Some(of) => format!("a duplicate of {of}: {}", flow::brief(&ask.rationale)),
        None => ask.rationale.clone(),
    };
    facts.push(room.fact(
        facts.len(),
        None,
        None,
        outcome("closed", summary),
        survivor.map_or_else(|| "nothing".into(), |of| format!("go on with {of}")),
        decides(room, "decides"),
        EventData::ReviewClosed(ReviewClosed {
            survivor: survivor.cloned(),
            rationale: ask.rationale.clone(),
        }),
    ));
    Ok(Decided::Facts(facts))
}

/// Refuses an item that cannot stand for another one, because it ended itself.
fn survives(room: &Room<'_>, other: &ItemId, verb: &'static str) -> Result<(), Refusal> {
    let known = room.other(other)?;
    match known.phase {
        ItemPhase::Active | ItemPhase::Integrated => Ok(()),
        ItemPhase::Absent | ItemPhase::Merged | ItemPhase::Closed | ItemPhase::Cancelled => {
            Err(Refusal::BadSurvivor {
                item: room.item(),
                other: other.clone(),
                phase: known.phase,
                survivor: known.survivor.clone(),
                verb,
            })
        }
    }
}

pub(super) fn overturn(room: &Room<'_>, ask: &OverturnReview) -> Result<Decided, Refusal> {
    text("the rationale", &ask.rationale)?;
    let state = room.state;
    let review = &state.review;
    let ended = match (state.phase, &state.ended) {
        (ItemPhase::Merged | ItemPhase::Closed, Some(ended)) => ended,
        (ItemPhase::Active, _) if review.decided && review.said(&ask.rationale) => {
            return Ok(Decided::Unchanged(Unchanged::Overturned));
        }
        (phase, _) => {
            let by: Option<PrincipalId> = review.flagged.as_ref().map(|flag| flag.by.clone());
            return Err(Refusal::NothingToOverturn { item: room.item(), phase, flagged_by: by });
        }
    };
    let mut facts = vec![room.fact(
        0,
        None,
        None,
        outcome("overturned", &ask.rationale),
        "claim what is ready".into(),
        vec![link("overturns", &ended.event)],
        EventData::ReviewOverturned(ReviewDecided { rationale: ask.rationale.clone() }),
    )];
    // It goes on where it stood: what was taken from its holders for the end is queued again.
    let reason = format!("the {} was overturned: {}", state.phase.word(), ask.rationale);
    for (at, step) in state.steps.iter().enumerate() {
        if step.standing() == Standing::Ended(AttemptPhase::Released) {
            let reason = flow::brief(&reason);
            facts.push(flow::requeued(room, facts.len(), at, RequeueCause::Released, reason));
        }
    }
    Ok(Decided::Facts(facts))
}
