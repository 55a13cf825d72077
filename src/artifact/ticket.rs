//! The ticket: all that an executor without a repository needs to work on one attempt and to say
//! how it ended (M3).

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::json::{PaperError, decode, encode};
use crate::domain::event::{Actor, WorkflowRef};
use crate::domain::id::{AttemptId, ClaimId, Digest, ItemId, StepKey};
use crate::domain::moment::{read_time, read_time_or_null};
use crate::domain::state::ItemState;
use crate::domain::workflow::{Execute, Workflow, WorkflowDefinition};

/// What a ticket says it is.
pub const TICKET: &str = "stepseal/ticket/1";

/// One claim, handed to whoever works on it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Ticket {
    /// `stepseal/ticket/1`.
    pub schema: String,
    pub work_item_id: ItemId,
    pub step_key: StepKey,
    pub attempt_id: AttemptId,
    pub claim_id: ClaimId,
    /// Whom the attempt is claimed for: the actor of what comes back.
    pub executor: Actor,
    #[serde(deserialize_with = "read_time")]
    pub claimed_at: DateTime<Utc>,
    #[serde(deserialize_with = "read_time_or_null")]
    pub lease_until: Option<DateTime<Utc>>,
    /// What starts the work, where the workflow says it.
    pub execute: Option<Execute>,
    /// What `brief --json` says of the step.
    pub brief: serde_json::Value,
    pub workflow: WorkflowRef,
    pub definition: WorkflowDefinition,
    /// The item as the claim left it, in this program's own form.
    pub item: serde_json::Value,
}

impl Ticket {
    /// Writes it.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        encode(self)
    }

    /// Reads one, with the workflow and the item that are in it.
    ///
    /// # Errors
    /// What is no ticket, was changed, or does not agree with itself.
    pub fn read(bytes: &[u8]) -> Result<(Self, Workflow, ItemState), PaperError> {
        let ticket: Self = decode(bytes)?;
        let shape = |why: &str| PaperError::Shape(why.to_owned());
        if ticket.schema != TICKET {
            let found = ticket.schema.chars().take(100).collect();
            return Err(PaperError::Version { found, known: TICKET });
        }
        let sha256 = Digest::of(&encode(&ticket.definition));
        let workflow = Workflow::compile(ticket.definition.clone(), sha256)
            .map_err(|_| shape("its workflow is not valid"))?;
        if workflow.reference != ticket.workflow {
            return Err(shape("its workflow is another one than it names"));
        }
        let item: ItemState = serde_json::from_value(ticket.item.clone())
            .map_err(|error| shape(&format!("its item cannot be read: {error}")))?;
        let at = workflow.position(&ticket.step_key);
        let claim = at
            .and_then(|at| item.steps.get(at)?.attempt(ticket.attempt_id.number())?.claim.as_ref());
        let agrees = item.id == ticket.work_item_id
            && item.steps.len() == workflow.steps().len()
            && *ticket.attempt_id.key() == ticket.step_key
            && claim.is_some_and(|claim| {
                claim.id == ticket.claim_id && claim.executor == ticket.executor.id
            });
        if !agrees {
            return Err(shape("it does not agree with itself"));
        }
        Ok((ticket, workflow, item))
    }
}
