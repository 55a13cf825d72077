//! Versions of workflows: published for ever the same, and retired (FR-016, FR-022).

use super::super::event::{Event, EventData, WorkflowPublished, WorkflowRef, WorkflowRetired};
use super::super::id::WorkflowName;
use super::super::moment::Moment;
use super::super::refusal::Refusal;
use super::super::state::LedgerState;
use super::super::workflow::Workflow;
use super::{Decided, Unchanged, answered, ledger_fact, link, outcome, text};

/// What somebody asks of the versions of workflows.
#[derive(Debug, Clone)]
pub enum WorkflowAsk {
    Publish(Box<PublishWorkflow>),
    Retire(RetireWorkflow),
}

/// Makes a version available, for ever the same.
#[derive(Debug, Clone)]
pub struct PublishWorkflow {
    pub workflow: Workflow,
    /// Where its definition is to be sealed.
    pub path: String,
    pub reason: String,
    /// Who or what will notice.
    pub impact: String,
}

/// Ends a version: no new items start on it, those on it go on.
#[derive(Debug, Clone)]
pub struct RetireWorkflow {
    pub name: WorkflowName,
    pub version: u32,
    pub reason: String,
}

/// Judges an ask about the versions of workflows.
///
/// # Errors
/// The refusal, with its facts.
pub fn decide_workflow(
    ledger: &LedgerState,
    ask: &WorkflowAsk,
    moment: &Moment,
) -> Result<Decided, Refusal> {
    if let Some(request) = &moment.request
        && let Some(seen) = ledger.requests.get(&request.id)
    {
        return answered(seen, &request.id, moment);
    }
    match ask {
        WorkflowAsk::Publish(ask) => publish(ledger, ask, moment),
        WorkflowAsk::Retire(ask) => retire(ledger, ask, moment),
    }
}

fn publish(
    ledger: &LedgerState,
    ask: &PublishWorkflow,
    moment: &Moment,
) -> Result<Decided, Refusal> {
    text("the reason", &ask.reason)?;
    text("the impact", &ask.impact)?;
    let reference = &ask.workflow.reference;
    if same_content(ledger, reference)? {
        return Ok(Decided::Unchanged(Unchanged::Published { workflow: reference.clone() }));
    }
    let why = Some((ask.reason.as_str(), ask.impact.as_str()));
    Ok(Decided::Facts(vec![published(&ask.workflow, &ask.path, why, moment)]))
}

/// Whether a version is published with this content and in use.
///
/// # Errors
/// A refusal where it is retired, or has other content.
pub(super) fn same_content(ledger: &LedgerState, asked: &WorkflowRef) -> Result<bool, Refusal> {
    let WorkflowRef { name, version, sha256 } = asked.clone();
    match ledger.workflows.get(&(name.clone(), version)) {
        None => Ok(false),
        Some(known) if known.sha256 != sha256 => {
            let latest = ledger.versions(&name).map(|(version, _)| version).next_back();
            Err(Refusal::VersionTaken { latest: latest.unwrap_or(version), name, version })
        }
        Some(known) if known.retired => Err(Refusal::WorkflowRetired { name, version }),
        Some(_) => Ok(true),
    }
}

fn retire(ledger: &LedgerState, ask: &RetireWorkflow, moment: &Moment) -> Result<Decided, Refusal> {
    text("the reason", &ask.reason)?;
    let (name, version) = (ask.name.clone(), ask.version);
    let Some(known) = ledger.workflows.get(&(name.clone(), version)) else {
        return Err(Refusal::UnknownWorkflow { name, version: Some(version) });
    };
    let workflow = WorkflowRef { name: name.clone(), version, sha256: known.sha256.clone() };
    if known.retired {
        return Ok(Decided::Unchanged(Unchanged::Retired { workflow }));
    }
    Ok(Decided::Facts(vec![ledger_fact(
        Some(workflow),
        outcome("retired", format!("{name}@{version}: no new items")),
        "delegate items on another version",
        vec![link("retires", &known.event)],
        EventData::WorkflowRetired(WorkflowRetired { name, version, reason: ask.reason.clone() }),
        moment,
    )]))
}

/// A publication, with its reason and impact where somebody gave them.
pub(super) fn published(
    workflow: &Workflow,
    path: &str,
    why: Option<(&str, &str)>,
    moment: &Moment,
) -> Event {
    let reference = &workflow.reference;
    let effective = workflow.effective.clone();
    let steps = workflow.steps().len();
    ledger_fact(
        Some(reference.clone()),
        outcome("published", format!("{}@{}: {steps} steps", reference.name, reference.version)),
        "delegate items on it",
        Vec::new(),
        EventData::WorkflowPublished(WorkflowPublished {
            name: reference.name.clone(),
            version: reference.version,
            sha256: reference.sha256.clone(),
            path: path.to_owned(),
            title: workflow.title.clone(),
            reason: why.map(|(reason, _)| reason.to_owned()),
            impact: why.map(|(_, impact)| impact.to_owned()),
            effective_from: effective.as_ref().and_then(|e| e.from),
            effective_to: effective.as_ref().and_then(|e| e.to),
        }),
        moment,
    )
}
