//! A plan or a prompt becomes a registered item on a published workflow (docs/plans.md).

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::artifact::{self, workflow_path};
use crate::domain::decide::{Ask, Decided, Register};
use crate::domain::event::{ImportedStep, PlanRef, WorkflowRef};
use crate::domain::id::{ItemId, PrincipalId, StepKey, WorkflowName};
use crate::domain::moment::Moment;
use crate::domain::refusal::Refusal;
use crate::domain::state::LedgerState;
use crate::domain::workflow::{Workflow, WorkflowDefinition, builtin_default};
use crate::ledger::{ItemFold, Ledger, LedgerError, Receipt, Snapshot, Verdict};
use crate::plan::PlanDraft;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Delegation {
    pub item: ItemId,
    pub plan: Option<(PlanDraft, PlanRef)>,
    pub title: String,
    pub description: Option<String>,
    /// `NAME` or `NAME@VERSION` of a published workflow, when there is no plan.
    pub workflow: Option<(WorkflowName, Option<u32>)>,
    pub priority: Option<u32>,
    pub labels: Vec<String>,
    pub owner: Option<PrincipalId>,
}

/// What became of it.
#[derive(Debug, Clone)]
pub struct Delegated {
    /// False when the item was registered before, on this plan.
    pub registered: bool,
    pub workflow: WorkflowRef,
    pub imported: Vec<ImportedStep>,
    /// Open items with the same plan or title.
    pub twins: Vec<Twin>,
    /// The gates the item has, where this plan, as it was read now, would give it others.
    pub other_gates: Option<Vec<StepKey>>,
}

/// An item that may be the same work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Twin {
    pub item: ItemId,
    pub same_plan: bool,
}

/// A plan as it would be delegated.
#[derive(Debug)]
pub struct Dry {
    pub workflow: Workflow,
    pub imported: Vec<ImportedStep>,
}

/// Registers an item, publishing its workflow in the same commit where it is new.
///
/// # Errors
/// A refusal, or a ledger that cannot be written.
pub fn delegate(
    ledger: &Ledger,
    ask: &Delegation,
    moment: &Moment,
) -> Result<Receipt<Delegated>, LedgerError> {
    ledger.transact(moment, |snapshot| {
        let known = snapshot.item(&ask.item)?;
        let (workflow, bytes) = match &known {
            Some(fold) => (Arc::clone(&fold.workflow), None),
            None => resolve(snapshot, ask, moment)?,
        };
        let reference = &workflow.reference;
        let path = workflow_path(&reference.name, reference.version);
        let imported =
            ask.plan.as_ref().map(|(draft, _)| draft.imported.clone()).unwrap_or_default();
        let register = Register {
            title: ask.title.clone(),
            description: ask.description.clone(),
            workflow: (*workflow).clone(),
            publish: bytes.as_ref().map(|_| path.clone()),
            plan: ask.plan.as_ref().map(|(_, plan)| plan.clone()),
            imported: imported.clone(),
            priority: ask.priority,
            labels: ask.labels.clone(),
            owner: ask.owner.clone(),
            twin: snapshot.case_twin(&ask.item)?,
        };
        let twins = if known.is_none() { twins(snapshot, ask)? } else { Vec::new() };
        let other_gates = match (&known, &ask.plan) {
            (Some(fold), Some((draft, _))) => other_gates(fold, draft),
            _ => None,
        };
        let workflow_of = reference.clone();
        let mut value =
            Delegated { registered: true, workflow: workflow_of, imported, twins, other_gates };
        match snapshot.decide(&ask.item, &Ask::Register(Box::new(register)), moment)? {
            Decided::Facts(facts) => {
                let definitions = bytes.map(|bytes| (path, bytes)).into_iter().collect();
                Ok(Verdict::Record { facts, definitions, workflow: Some(workflow), value })
            }
            Decided::Unchanged(_) => {
                value.registered = false;
                Ok(Verdict::Nothing(value))
            }
        }
    })
}

/// An item's gates, unless the plan as it is read now gives the same ones, passed or not.
fn other_gates(fold: &ItemFold, draft: &PlanDraft) -> Option<Vec<StepKey>> {
    let has: BTreeMap<&StepKey, bool> = fold
        .workflow
        .steps()
        .iter()
        .zip(&fold.state.steps)
        .filter(|(step, _)| step.is_gate())
        .map(|(step, state)| (&step.key, state.imported.is_some()))
        .collect();
    let passed = |key: &StepKey| draft.imported.iter().any(|imported| imported.key == *key);
    let would: BTreeMap<&StepKey, bool> = draft
        .definition
        .steps
        .iter()
        .filter(|step| step.gate.is_some())
        .map(|step| (&step.key, passed(&step.key)))
        .collect();
    (has != would).then(|| has.into_keys().cloned().collect())
}

/// The workflow an item starts on, with its bytes where it is not published yet.
fn resolve(
    snapshot: &Snapshot<'_>,
    ask: &Delegation,
    moment: &Moment,
) -> Result<(Arc<Workflow>, Option<Vec<u8>>), LedgerError> {
    let state = snapshot.ledger()?;
    let Some((draft, _)) = &ask.plan else {
        return published_or_builtin(snapshot, ask, moment);
    };
    let mut definition = draft.definition.clone();
    if !draft.format.is_native() {
        // Same name and content: that version. Same name, other content: the next one (docs/plans.md).
        for (version, published) in state.versions(&draft.definition.name) {
            definition.version = version;
            let (workflow, _) = compiled(&definition)?;
            if workflow.reference.sha256 == published.sha256 {
                return Ok((Arc::new(workflow), None));
            }
        }
        let last = state.versions(&draft.definition.name).map(|(version, _)| version).next_back();
        definition.version = last.unwrap_or(0) + 1;
    }
    let (workflow, bytes) = compiled(&definition)?;
    let key = (definition.name.clone(), definition.version);
    let known = state.workflows.contains_key(&key);
    Ok((Arc::new(workflow), (!known).then_some(bytes)))
}

/// Without a plan: the named workflow, else the only one, else the built-in one.
fn published_or_builtin(
    snapshot: &Snapshot<'_>,
    ask: &Delegation,
    moment: &Moment,
) -> Result<(Arc<Workflow>, Option<Vec<u8>>), LedgerError> {
    let state = snapshot.ledger()?;
    let builtin = builtin_default();
    let (name, version) = match &ask.workflow {
        Some((name, version)) => (name.clone(), *version),
        None => {
            let mut names: Vec<&WorkflowName> =
                state.workflows.keys().map(|(name, _)| name).collect();
            names.dedup();
            match names.as_slice() {
                [only] => ((*only).clone(), None),
                _ => (builtin.name.clone(), None),
            }
        }
    };
    let version = match version {
        Some(version) => Some(version),
        None => newest(snapshot, state, &name, moment)?,
    };
    let published = version.and_then(|version| {
        state.workflows.get(&(name.clone(), version)).map(|published| (version, published))
    });
    match published {
        Some((version, published)) => {
            let sha256 = published.sha256.clone();
            let workflow = snapshot.workflow(&WorkflowRef { name, version, sha256 })?;
            Ok((workflow, None))
        }
        None if name == builtin.name
            && version.is_none_or(|version| version == builtin.version) =>
        {
            let (workflow, bytes) = compiled(&builtin)?;
            Ok((Arc::new(workflow), Some(bytes)))
        }
        None => Err(Refusal::UnknownWorkflow { name, version }.into()),
    }
}

/// The version that an item of a name starts on: the newest that is in use and in effect now,
/// else the newest in use, else the newest, so that a refusal says why.
fn newest(
    snapshot: &Snapshot<'_>,
    state: &LedgerState,
    name: &WorkflowName,
    moment: &Moment,
) -> Result<Option<u32>, LedgerError> {
    let mut in_use = None;
    for (version, published) in state.versions(name).rev().filter(|(_, known)| !known.retired) {
        let sha256 = published.sha256.clone();
        let workflow = snapshot.workflow(&WorkflowRef { name: name.clone(), version, sha256 })?;
        if workflow.effective.as_ref().is_none_or(|effective| effective.holds(moment.now())) {
            return Ok(Some(version));
        }
        in_use = in_use.or(Some(version));
    }
    Ok(in_use.or_else(|| state.versions(name).next_back().map(|(version, _)| version)))
}

/// Validates a definition that a reader has validated before.
///
/// # Errors
/// The first problem; a reader names lines, this does not.
pub fn compiled(definition: &WorkflowDefinition) -> Result<(Workflow, Vec<u8>), LedgerError> {
    artifact::compile(definition).map_err(|problems| {
        let first = problems.first().map(|problem| problem.message.clone()).unwrap_or_default();
        LedgerError::Invalid(first)
    })
}

/// Open items that may be the same work: for a warning, never a refusal (FR-003).
fn twins(snapshot: &Snapshot<'_>, ask: &Delegation) -> Result<Vec<Twin>, LedgerError> {
    let digest = ask.plan.as_ref().map(|(_, plan)| &plan.digest);
    let twins = snapshot
        .portfolio()?
        .rows
        .into_iter()
        .filter(|row| row.id != ask.item && !row.status.is_over())
        .filter_map(|row| {
            let same_plan = digest.is_some() && row.plan.as_ref() == digest;
            let same = same_plan || row.title.eq_ignore_ascii_case(&ask.title);
            same.then_some(Twin { item: row.id, same_plan })
        })
        .take(3)
        .collect();
    Ok(twins)
}

/// The plan as a workflow, nothing recorded and no repository needed.
///
/// # Errors
/// The first problem of the definition.
pub fn dry_run(draft: &PlanDraft) -> Result<Dry, LedgerError> {
    let (workflow, _) = compiled(&draft.definition)?;
    Ok(Dry { workflow, imported: draft.imported.clone() })
}
