//! Events as handoff artifacts (L3): the envelope first, then the data by its type.

use chrono::{DateTime, SecondsFormat, SubsecRound as _, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::json::{EVENT_LIMIT, PaperError, encode, is_canonical, text};
use super::signature::public_key;
use crate::domain::event::{
    Actor, Baseline, Event, EventData, EventKind, Link, Outcome, Request, Scope, StepRef,
    WorkflowRef,
};
use crate::domain::id::{AttemptId, EventId, ItemId};
use crate::domain::moment::read_time;

/// The format version every artifact of this program carries.
pub const SCHEMA_VERSION: &str = "1.0";

/// The most links an artifact carries.
const LINKS: usize = 64;

/// The envelope as written: all twelve business fields of FR-014, always present.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    schema_version: &'static str,
    id: &'a EventId,
    event_type: EventKind,
    work_item_id: &'a Option<ItemId>,
    workflow: &'a Option<WorkflowRef>,
    step: &'a Option<StepRef>,
    attempt_id: &'a Option<AttemptId>,
    timestamp: String,
    actor: &'a Actor,
    outcome: &'a Outcome,
    next_action: &'a str,
    baseline_integration: Baseline,
    links: &'a [Link],
    request: &'a Option<Request>,
    data: &'a EventData,
}

impl<'a> Written<'a> {
    fn of(event: &'a Event) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            id: &event.id,
            event_type: event.kind(),
            work_item_id: &event.work_item_id,
            workflow: &event.workflow,
            step: &event.step,
            attempt_id: &event.attempt_id,
            timestamp: event.timestamp.to_rfc3339_opts(SecondsFormat::Millis, true),
            actor: &event.actor,
            outcome: &event.outcome,
            next_action: &event.next_action,
            baseline_integration: event.baseline_integration,
            links: &event.links,
            request: &event.request,
            data: &event.data,
        }
    }
}

/// The envelope as read: `data` stays text until its type is known, so a doubled key inside it
/// is seen.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Read<'a> {
    schema_version: String,
    id: EventId,
    event_type: EventKind,
    work_item_id: Option<ItemId>,
    workflow: Option<WorkflowRef>,
    step: Option<StepRef>,
    attempt_id: Option<AttemptId>,
    #[serde(deserialize_with = "read_time")]
    timestamp: DateTime<Utc>,
    actor: Actor,
    outcome: Outcome,
    next_action: String,
    baseline_integration: Baseline,
    links: Vec<Link>,
    request: Option<Request>,
    #[serde(borrow)]
    data: &'a RawValue,
}

/// Only the version, read before anything else: a newer format says so, not "unknown field".
#[derive(Deserialize)]
struct Version {
    #[serde(rename = "schemaVersion")]
    schema_version: Option<String>,
}

/// The envelope's JSON Schema comes from this twin; `data` has a schema for each event.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "stepseal handoff artifact")]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) struct Envelope {
    #[schemars(extend("const" = SCHEMA_VERSION))]
    schema_version: String,
    id: EventId,
    event_type: EventKind,
    work_item_id: Option<ItemId>,
    workflow: Option<WorkflowRef>,
    step: Option<StepRef>,
    attempt_id: Option<AttemptId>,
    #[schemars(extend("pattern" = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$"))]
    timestamp: DateTime<Utc>,
    actor: Actor,
    outcome: Outcome,
    next_action: String,
    baseline_integration: Baseline,
    #[schemars(length(max = 64))]
    links: Vec<Link>,
    request: Option<Request>,
    data: std::collections::BTreeMap<String, serde_json::Value>,
}

/// Writes an event as the bytes that are sealed.
///
/// # Errors
/// When it is too large to be kept, or does not carry what its kind must carry.
pub fn encode_event(event: &Event) -> Result<Vec<u8>, PaperError> {
    check_shape(event)?;
    let bytes = encode(&Written::of(event));
    if bytes.len() > EVENT_LIMIT {
        return Err(PaperError::TooLarge { bytes: bytes.len(), limit: EVENT_LIMIT });
    }
    Ok(bytes)
}

/// Reads an event from sealed bytes.
///
/// # Errors
/// A newer format, malformed JSON, unknown or doubled fields, a field its kind may not carry, or
/// bytes that are not canonical.
pub fn decode_event(bytes: &[u8]) -> Result<Event, PaperError> {
    let text = text(bytes, EVENT_LIMIT)?;
    let read: Result<Read<'_>, serde_json::Error> = serde_json::from_str(text);
    let read = match read {
        Ok(read) if read.schema_version == SCHEMA_VERSION => read,
        other => {
            // A newer format says so, before it is called malformed.
            let version: Version = serde_json::from_str(text)?;
            return match (version.schema_version.as_deref(), other) {
                (Some(SCHEMA_VERSION), Err(error)) => Err(error.into()),
                (found, _) => Err(PaperError::Version {
                    found: found.unwrap_or("without a version").to_owned(),
                    known: SCHEMA_VERSION,
                }),
            };
        }
    };
    let event = Event {
        id: read.id,
        work_item_id: read.work_item_id,
        workflow: read.workflow,
        step: read.step,
        attempt_id: read.attempt_id,
        timestamp: read.timestamp,
        actor: read.actor,
        outcome: read.outcome,
        next_action: read.next_action,
        baseline_integration: read.baseline_integration,
        links: read.links,
        request: read.request,
        data: EventData::from_json(read.event_type, read.data.get()).map_err(|error| {
            let PaperError::Malformed { message, .. } = PaperError::from(error) else {
                return PaperError::Shape("data is malformed".into());
            };
            PaperError::Shape(format!("/data: {message}"))
        })?,
    };
    check_shape(&event)?;
    if !is_canonical(&Written::of(&event), bytes) {
        return Err(PaperError::NotCanonical);
    }
    Ok(event)
}

/// Each kind states which of item, step and attempt it carries.
fn check_shape(event: &Event) -> Result<(), PaperError> {
    let kind = event.kind();
    let has = (event.work_item_id.is_some(), event.step.is_some(), event.attempt_id.is_some());
    let right = match kind.scope() {
        Scope::Ledger => has == (false, false, false),
        Scope::Item => has == (true, false, false),
        Scope::Step => has == (true, true, false),
        Scope::Attempt => has == (true, true, true),
        Scope::ItemOrLedger => matches!(has, (_, false, false)),
    };
    let shape = |text: String| Err(PaperError::Shape(text));
    if !right {
        return shape(format!("{} does not carry the item, step and attempt it must", kind.name()));
    }
    if let (Some(step), Some(attempt)) = (&event.step, &event.attempt_id)
        && step.key != *attempt.key()
    {
        return shape(format!("attempt {attempt} is not one of step {}", step.key));
    }
    if event.timestamp != event.timestamp.trunc_subsecs(3) {
        return shape("the timestamp is finer than a millisecond".into());
    }
    if event.links.len() > LINKS {
        return shape(format!("{} links; {LINKS} are allowed", event.links.len()));
    }
    let long = [&event.outcome.summary, &event.next_action, &event.outcome.status]
        .into_iter()
        .any(|text| text.len() > crate::domain::workflow::TEXT_LIMIT);
    if long {
        return shape("a text is longer than 8 KiB".into());
    }
    // Everything after this believes the two to belong together.
    if let EventData::ActorKeyAdded(data) = &event.data
        && public_key(data.public_key.as_str())
            != Ok((data.public_key.clone(), data.fingerprint.clone()))
    {
        return shape("/data/fingerprint is not the one of /data/publicKey".into());
    }
    Ok(())
}
