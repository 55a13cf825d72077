//! The tree's layout (L2): one layout, no options.

use crate::domain::event::EventKind;
use crate::domain::id::{ConstraintName, Digest, ExecutorId, ItemId, StepKey, WorkflowName};

/// The ledger's format version.
pub const LEDGER_DOC: &str = "artifacts/ledger.json";
/// What the branch is, for people.
pub const README: &str = "README.md";
/// One seal per commit, in folders of a thousand.
pub const SEALS: &str = "artifacts/seals";
/// The truth: write-once events.
pub const HANDOFF: &str = "artifacts/handoff";
/// Definitions, write-once.
pub const WORKFLOWS: &str = "artifacts/workflows";
/// The folder of events that concern no item; no shard is called so.
pub const LEDGER_FOLDER: &str = "_ledger";

/// `artifacts/handoff/HH/ITEM`.
#[must_use]
pub fn item_folder(item: &ItemId) -> String {
    format!("{}/{item}", shard_folder(&item.shard()))
}

/// `artifacts/handoff/HH`.
#[must_use]
pub fn shard_folder(shard: &str) -> String {
    format!("{HANDOFF}/{shard}")
}

/// `artifacts/handoff/HH/ITEM/NNNNNN-KEY-EVENT.json`; KEY is `_item` for item-level events.
/// From the hundredth on a folder stands between, see [`hundred`].
#[must_use]
pub fn event_path(item: &ItemId, number: u32, key: Option<&StepKey>, kind: EventKind) -> String {
    let key = key.map_or("_item", StepKey::as_str);
    format!("{}/{}{number:06}-{key}-{}.json", item_folder(item), hundred(number), kind.name())
}

/// `artifacts/handoff/_ledger/NNNNNN-EVENT.json`, with folders as [`event_path`] has them.
#[must_use]
pub fn ledger_event_path(number: u32, kind: EventKind) -> String {
    format!("{HANDOFF}/{LEDGER_FOLDER}/{}{number:06}-{}.json", hundred(number), kind.name())
}

/// The folder of a hundred events, `NNNNxx/`; none for the first ninety-nine. Each event writes the
/// whole tree it is in anew, so that one flat folder of thousands makes every act of a large item
/// dear.
fn hundred(number: u32) -> String {
    if number < 100 { String::new() } else { format!("{:04}xx/", number / 100) }
}

/// Whether a name is that of a folder of a hundred events.
#[must_use]
pub fn is_hundred(name: &str) -> bool {
    name.strip_suffix("xx")
        .is_some_and(|digits| digits.len() >= 4 && digits.bytes().all(|b| b.is_ascii_digit()))
}

/// The item's folder, or the ledger's, that an event's path is in: what is below it belongs to it.
#[must_use]
pub fn folder_of_event(path: &str) -> Option<&str> {
    let below = path.strip_prefix(HANDOFF)?.strip_prefix('/')?;
    let names = if below.split('/').next() == Some(LEDGER_FOLDER) { 1 } else { 2 };
    let (end, _) = below.match_indices('/').nth(names - 1)?;
    Some(&path[..path.len() - below.len() + end])
}

/// What an event's path says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventPath {
    /// None for events that concern no item.
    pub item: Option<ItemId>,
    pub number: u32,
    pub step: Option<StepKey>,
    pub kind: EventKind,
}

/// Reads an event's path, if it is one.
#[must_use]
pub fn parse_event_path(path: &str) -> Option<EventPath> {
    let folder = folder_of_event(path)?.strip_prefix(HANDOFF)?.strip_prefix('/')?;
    let name = path.rsplit('/').next()?;
    let number = parse_event_name(name)?;
    let (_, rest) = name.strip_suffix(".json")?.split_once('-')?;
    // No event's name ends with another's, so at most one fits.
    let kind = EventKind::ALL.iter().copied().find(|kind| {
        rest.strip_suffix(kind.name()).is_some_and(|key| key.is_empty() || key.ends_with('-'))
    })?;
    if folder == LEDGER_FOLDER {
        let right = ledger_event_path(number, kind) == path;
        return right.then_some(EventPath { item: None, number, step: None, kind });
    }
    let item: ItemId = folder.split_once('/')?.1.parse().ok()?;
    let key = rest.strip_suffix(kind.name())?.strip_suffix('-')?;
    let step: Option<StepKey> = if key == "_item" { None } else { Some(key.parse().ok()?) };
    let right = event_path(&item, number, step.as_ref(), kind) == path;
    right.then_some(EventPath { item: Some(item), number, step, kind })
}

/// The number in an event's file name, if it looks like one.
#[must_use]
pub fn parse_event_name(name: &str) -> Option<u32> {
    let (number, rest) = name.split_once('-')?;
    let digits = number.len() >= 6 && number.bytes().all(|b| b.is_ascii_digit());
    (digits && rest.ends_with(".json")).then(|| number.parse().ok()).flatten()
}

/// `artifacts/seals/NNNNNN/NNNNNNNNN.json`.
#[must_use]
pub fn seal_path(seq: u64) -> String {
    format!("{SEALS}/{:06}/{seq:09}.json", seq / 1000)
}

/// The number in a seal's path.
#[must_use]
pub fn parse_seal_path(path: &str) -> Option<u64> {
    let seq: u64 = path.strip_suffix(".json")?.rsplit('/').next()?.parse().ok()?;
    (seal_path(seq) == path).then_some(seq)
}

/// `artifacts/seals/NNNNNN/NNNNNNNNN.json.sig`, beside the seal it is of.
#[must_use]
pub fn signature_path(seq: u64) -> String {
    format!("{}.sig", seal_path(seq))
}

/// The number of the seal in a signature's path.
#[must_use]
pub fn parse_signature_path(path: &str) -> Option<u64> {
    parse_seal_path(path.strip_suffix(".sig")?)
}

/// `artifacts/workflows/NAME/vN.json`.
#[must_use]
pub fn workflow_path(name: &WorkflowName, version: u32) -> String {
    format!("{WORKFLOWS}/{name}/v{version}.json")
}

/// `artifacts/claims/HH/ITEM`, which holds one `ATTEMPT.json` an assignment.
#[must_use]
pub fn assignment_folder(item: &ItemId) -> String {
    format!("artifacts/claims/{}/{item}", item.shard())
}

/// `artifacts/schedule/HH/ITEM.json`.
#[must_use]
pub fn schedule_path(item: &ItemId) -> String {
    format!("artifacts/schedule/{}/{item}.json", item.shard())
}

/// The files of what is busy.
pub const BUSY: &str = "artifacts/busy";

/// What one live claim keeps busy: of each there is one claim at a time in the whole ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Busy<'a> {
    Executor(&'a ExecutorId),
    /// A ledger-wide one (S4).
    Constraint(&'a ConstraintName),
}

/// `artifacts/busy/HASH.json`: executors and constraints are never paths, so their digest is.
#[must_use]
pub fn busy_path(busy: Busy<'_>) -> String {
    let (kind, name) = match busy {
        Busy::Executor(executor) => (&b"executor\0"[..], executor.as_str()),
        Busy::Constraint(constraint) => (&b"constraint\0"[..], constraint.as_str()),
    };
    format!("{BUSY}/{}.json", Digest::of_parts(&[kind, name.as_bytes()]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_events_path_says_what_made_it() {
        let item: ItemId = "WI-7".parse().expect("an id");
        // Keys that look like the beginning of an event's name, or like its end.
        for key in [None, Some("a"), Some("review"), Some("x-attempt"), Some("gate-approved")] {
            let step: Option<StepKey> = key.map(|key| key.parse().expect("a key"));
            for &kind in EventKind::ALL {
                for number in [12, 99, 100, 1_234_567] {
                    let path = event_path(&item, number, step.as_ref(), kind);
                    let (item, step) = (Some(item.clone()), step.clone());
                    let named = EventPath { item, number, step, kind };
                    assert_eq!(parse_event_path(&path), Some(named), "{path}");
                    let path = ledger_event_path(number, kind);
                    let named = EventPath { item: None, number, step: None, kind };
                    assert_eq!(parse_event_path(&path), Some(named), "{path}");
                }
            }
        }
        for path in [
            "artifacts/handoff/00/WI-7/000012-a-attempt-claimed.json",
            "artifacts/handoff/_ledger/000012-a-policy-changed.json",
            "artifacts/handoff/d8/WI-7/0000xx/000012-a-attempt-claimed.json",
            "artifacts/handoff/d8/WI-7/000112-a-attempt-claimed.json",
            "artifacts/workflows/w/v1.json",
            "artifacts/handoff/zz/WI-7/x.json",
        ] {
            assert_eq!(parse_event_path(path), None, "{path}");
        }
    }

    #[test]
    fn no_events_name_ends_with_anothers() {
        for a in EventKind::ALL {
            for b in EventKind::ALL.iter().filter(|b| *b != a) {
                assert!(
                    !a.name().ends_with(&format!("-{}", b.name())),
                    "{} {}",
                    a.name(),
                    b.name()
                );
            }
        }
    }
}
