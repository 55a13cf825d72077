//! JSON Schemas (2020-12), derived from the types so that they cannot drift, and the pointer to
//! what is wrong in a bad artifact.

use std::collections::BTreeMap;

use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Value, json};

use super::derived::{AssignmentDoc, BusyDoc, LedgerDoc, ScheduleDoc};
use super::event::Envelope;
use super::seal::Seal;
use super::ticket::Ticket;
use crate::domain::event::{EventData, EventKind};
use crate::domain::workflow::WorkflowDefinition;

/// Every schema of the ledger and of workflow files, by the name of its file in `schemas/`.
///
/// # Panics
/// Never: schemas are objects.
#[must_use]
pub fn schemas() -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    all.insert("envelope".into(), of::<Envelope>());
    all.insert("seal".into(), of::<Seal>());
    all.insert("workflow".into(), workflow());
    all.insert("ledger".into(), of::<LedgerDoc>());
    all.insert("assignment".into(), of::<AssignmentDoc>());
    all.insert("busy".into(), of::<BusyDoc>());
    all.insert("ticket".into(), of::<Ticket>());
    all.insert("schedule".into(), of::<ScheduleDoc>());
    for &kind in EventKind::ALL {
        all.insert(format!("event.{}", kind.name()), event(kind));
    }
    for (name, schema) in &mut all {
        let object = schema.as_object_mut().expect("a schema is an object");
        object.insert("$id".into(), json!(format!("urn:stepseal:schema:{name}:1")));
    }
    all
}

/// The schema of a type. Every field is required: what has no value is written as null.
#[must_use]
pub fn of<T: JsonSchema>() -> Value {
    generator().into_root_schema_for::<T>().to_value()
}

fn generator() -> SchemaGenerator {
    SchemaSettings::draft2020_12()
        .with(|settings| settings.contract = schemars::generate::Contract::Serialize)
        .into_generator()
}

/// A workflow file is written by people: what may be left out is not required.
fn workflow() -> Value {
    SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<WorkflowDefinition>()
        .to_value()
}

/// The whole artifact of one event: the envelope with this type and this data.
fn event(kind: EventKind) -> Value {
    let mut generator = generator();
    let data = EventData::schema(kind, &mut generator).to_value();
    let mut schema = generator.into_root_schema_for::<Envelope>().to_value();
    schema["title"] = json!(format!("stepseal {}", kind.name()));
    schema["properties"]["eventType"] = json!({ "const": kind.name() });
    schema["properties"]["data"] = data;
    schema
}

/// Where in a document its schema is broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointer {
    /// JSON pointer; empty for the whole document.
    pub at: String,
    pub message: String,
}

/// The first place where bytes break the schema of the event they claim to be.
///
/// Bytes that are no JSON have no pointer.
#[must_use]
pub fn pointer_of(bytes: &[u8]) -> Option<Pointer> {
    let value: Value = serde_json::from_slice(bytes).ok()?;
    let kind = value.get("eventType").and_then(Value::as_str)?;
    let schema = match EventKind::ALL.iter().find(|known| known.name() == kind) {
        Some(&kind) => event(kind),
        None => of::<Envelope>(),
    };
    let validator = jsonschema::options().should_validate_formats(true).build(&schema).ok()?;
    let error = validator.iter_errors(&value).next()?;
    Some(Pointer { at: error.instance_path().to_string(), message: error.to_string() })
}
