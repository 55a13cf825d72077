//! An item enters the ledger.

use std::collections::BTreeSet;

use super::super::event::{
    Baseline, Event, EventData, ImportedState, ImportedStep, PlanRef, WorkItemRegistered,
};
use super::super::id::{ItemId, PrincipalId};
use super::super::moment::Moment;
use super::super::refusal::Refusal;
use super::super::state::LedgerState;
use super::super::workflow::{Effective, Workflow};
use super::{
    Decided, POLICY_REASON, ReviewPolicy, Unchanged, World, outcome, publish, review, text,
};

/// What an item starts from. The caller has compiled the workflow and knows whether its
/// definition is in the ledger yet.
#[derive(Debug, Clone)]
pub struct Register {
    pub title: String,
    pub description: Option<String>,
    pub workflow: Workflow,
    /// Where the definition is to be sealed, when it is not published yet.
    pub publish: Option<String>,
    pub plan: Option<PlanRef>,
    pub imported: Vec<ImportedStep>,
    pub priority: Option<u32>,
    pub labels: Vec<String>,
    pub owner: Option<PrincipalId>,
    /// An item whose id differs only in case.
    pub twin: Option<ItemId>,
}

pub(super) fn decide(
    world: World<'_>,
    id: &ItemId,
    ask: &Register,
    moment: &Moment,
) -> Result<Decided, Refusal> {
    if let Some((item, _)) = world.item {
        let same = match (&ask.plan, &item.plan) {
            (None, _) => true,
            (Some(asked), Some(known)) => asked.digest == known.digest,
            (Some(_), None) => false,
        };
        if same {
            return Ok(Decided::Unchanged(Unchanged::Registered));
        }
        return Err(Refusal::OtherPlan {
            item: id.clone(),
            workflow: item.workflow.name.clone(),
            version: item.workflow.version,
        });
    }
    if let Some(twin) = &ask.twin {
        return Err(Refusal::CaseTwin { item: id.clone(), twin: twin.clone() });
    }
    text("the title", &ask.title)?;
    if let Some(description) = &ask.description {
        text("the prompt", description)?;
    }
    let reference = &ask.workflow.reference;
    startable(world.ledger, &ask.workflow, moment)?;
    let mut facts = Vec::new();
    if let Some(path) = &ask.publish {
        facts.push(publish::published(&ask.workflow, path, None, moment));
    }
    let mut imported = BTreeSet::new();
    for step in &ask.imported {
        if ask.workflow.position(&step.key).is_none() || !imported.insert(&step.key) {
            return Err(Refusal::Invalid(format!("{} cannot be imported", step.key)));
        }
    }
    let open = ask.workflow.steps().len() - imported.len();
    let count = |state| ask.imported.iter().filter(|step| step.state == state).count();
    let (done, skipped) = (count(ImportedState::Done), count(ImportedState::Skipped));
    let mut summary = format!("{open} of {} steps to do", ask.workflow.steps().len());
    if done + skipped > 0 {
        summary.push_str(&format!(", {done} imported as done, {skipped} as skipped"));
    }
    facts.push(Event {
        id: moment.event_id(facts.len()),
        work_item_id: Some(id.clone()),
        workflow: Some(reference.clone()),
        step: None,
        attempt_id: None,
        timestamp: moment.now(),
        actor: moment.actor.clone(),
        outcome: outcome("registered", summary),
        next_action: "claim the first ready step".into(),
        baseline_integration: Baseline::Pre,
        links: Vec::new(),
        request: moment.request.clone(),
        data: EventData::WorkItemRegistered(WorkItemRegistered {
            title: ask.title.clone(),
            description: ask.description.clone(),
            plan: ask.plan.clone(),
            imported: ask.imported.clone(),
            priority: ask.priority,
            labels: ask.labels.clone(),
            owner: ask.owner.clone(),
        }),
    });
    if ReviewPolicy::of(world.ledger) == ReviewPolicy::Required {
        let registered = facts[facts.len() - 1].clone();
        let flagged = Event {
            id: moment.event_id(facts.len()),
            outcome: outcome("flagged", POLICY_REASON),
            next_action: "decide the review".into(),
            data: review::flagged_by_policy(),
            ..registered
        };
        facts.push(flagged);
    }
    Ok(Decided::Facts(facts))
}

/// Whether new items may start on the version now.
pub(super) fn startable(
    ledger: &LedgerState,
    workflow: &Workflow,
    moment: &Moment,
) -> Result<(), Refusal> {
    let (name, version) = (workflow.reference.name.clone(), workflow.reference.version);
    publish::same_content(ledger, &workflow.reference)?;
    match workflow.effective.clone() {
        Some(effective) if !effective.holds(moment.now()) => {
            let Effective { from, to } = effective;
            Err(Refusal::NotEffective { name, version, from, to })
        }
        _ => Ok(()),
    }
}
