//! THE PAPER. Bytes on one side, events, seals and definitions on the other.
//!
//! What is not here: where bytes come from or go to. A byte that is not canonical does not
//! decode, so decoding and encoding again is the identity.

mod derived;
mod event;
mod json;
mod merkle;
mod path;
mod schema;
mod seal;
mod signature;
mod ticket;

pub use derived::{
    AssignmentDoc, BlockedStep, BusyDoc, BusyKind, GateDoc, InProgress, LedgerDoc, ReadyStep,
    ScheduleDoc,
};
pub use event::{SCHEMA_VERSION, decode_event, encode_event};
pub use json::{EVENT_LIMIT, FILE_LIMIT, PaperError, decode, encode};
pub use merkle::{Frontier, leaf};
pub use path::{
    BUSY, Busy, EventPath, HANDOFF, LEDGER_DOC, LEDGER_FOLDER, README, SEALS, WORKFLOWS,
    assignment_folder, busy_path, event_path, folder_of_event, is_hundred, item_folder,
    ledger_event_path, parse_event_name, parse_event_path, parse_seal_path, parse_signature_path,
    schedule_path, seal_path, shard_folder, signature_path, workflow_path,
};
pub use schema::{Pointer, of as schema_of, pointer_of, schemas};
pub use seal::{Committer, Mark, Pattern, Recovery, Restored, Seal, SealedFile};
pub use signature::{BadKey, BadSignature, NAMESPACE, check_signature, named, public_key};
pub use ticket::{TICKET, Ticket};

use crate::domain::id::Digest;
use crate::domain::workflow::{Place, Problem, Workflow, WorkflowDefinition};

/// Encodes a definition as it is sealed, and validates it on the way.
///
/// # Errors
/// Every problem of the definition, with its place.
pub fn compile(definition: &WorkflowDefinition) -> Result<(Workflow, Vec<u8>), Vec<Problem>> {
    let bytes = encode(definition);
    // What is sealed can be read again: the reader's limit is the writer's.
    if bytes.len() > FILE_LIMIT {
        let message = format!(
            "the workflow has {} steps and {} bytes; {FILE_LIMIT} bytes are allowed",
            definition.steps.len(),
            bytes.len()
        );
        let (place, hint) = (Place::Steps, None);
        return Err(vec![Problem { place, message, hint, related: Vec::new() }]);
    }
    let workflow = Workflow::compile(definition.clone(), Digest::of(&bytes))?;
    Ok((workflow, bytes))
}
