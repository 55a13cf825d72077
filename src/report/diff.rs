//! Two versions of a workflow, compared by what they mean: steps that came and went, fields,
//! order and waits. Where a step stands in its file says nothing.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, SecondsFormat, Utc};
use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::id::StepKey;
use crate::domain::workflow::{
    Approvers, Criterion, Effective, Execute, GateDefinition, Retry, RetryOn, SelfReview, Step,
    StepDefinition, Workflow,
};

/// What differs between two versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowDiff {
    /// `NAME@VERSION` of each side.
    pub before: String,
    pub after: String,
    /// Fields of the workflow itself: title, effective.from, effective.to.
    pub fields: Vec<FieldChange>,
    /// In launch order of the side that has them.
    pub added: Vec<StepKey>,
    pub removed: Vec<StepKey>,
    /// Steps of both sides, in the launch order of the later one.
    pub changed: Vec<StepChange>,
}

/// A step of both sides that is not the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StepChange {
    pub key: StepKey,
    pub fields: Vec<FieldChange>,
    /// Whether it has another place among the steps that both sides have.
    pub moved: bool,
    /// The step right before it in launch order, on each side, where it moved.
    pub after_step: Option<Neighbours>,
    /// Steps it directly waits for on the later side only.
    pub waits_added: Vec<StepKey>,
    /// Steps it directly waited for on the earlier side only.
    pub waits_removed: Vec<StepKey>,
}

/// What stands right before a step; null where it is the first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Neighbours {
    pub before: Option<StepKey>,
    pub after: Option<StepKey>,
}

/// One field with its values as text; null where it is not said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FieldChange {
    pub field: String,
    pub before: Option<String>,
    pub after: Option<String>,
}

impl WorkflowDiff {
    /// Whether both sides mean the same.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
            && self.added.is_empty()
            && self.removed.is_empty()
            && self.changed.is_empty()
    }
}

/// Compares two versions, or two workflows.
#[must_use]
pub fn diff(before: &Workflow, after: &Workflow) -> WorkflowDiff {
    let name =
        |workflow: &Workflow| format!("{}@{}", workflow.reference.name, workflow.reference.version);
    let only = |here: &Workflow, there: &Workflow| -> Vec<StepKey> {
        let keys = here.steps().iter().map(|step| &step.key);
        keys.filter(|key| there.position(key).is_none()).cloned().collect()
    };
    let moved = moved(before, after);
    let changed = after
        .steps()
        .iter()
        .enumerate()
        .filter_map(|(at, step)| {
            let was = before.position(&step.key)?;
            let (waited, waits) = (waits(before, was), waits(after, at));
            let moved = moved.contains(&step.key);
            let change = StepChange {
                key: step.key.clone(),
                fields: compared(fields(&before.steps()[was]), fields(step)),
                moved,
                after_step: moved.then(|| Neighbours {
                    before: neighbour(before, was),
                    after: neighbour(after, at),
                }),
                waits_added: waits.difference(&waited).cloned().collect(),
                waits_removed: waited.difference(&waits).cloned().collect(),
            };
            let same = change.fields.is_empty() && !moved && waited == waits;
            (!same).then_some(change)
        })
        .collect();
    WorkflowDiff {
        before: name(before),
        after: name(after),
        fields: compared(head(before), head(after)),
        added: only(after, before),
        removed: only(before, after),
        changed,
    }
}

/// The keys a step directly waits for, implied or written.
fn waits(workflow: &Workflow, at: usize) -> BTreeSet<StepKey> {
    let steps = workflow.steps();
    workflow.graph().direct(at).into_iter().map(|before| steps[before].key.clone()).collect()
}

fn neighbour(workflow: &Workflow, at: usize) -> Option<StepKey> {
    at.checked_sub(1).map(|before| workflow.steps()[before].key.clone())
}

/// The fewest steps of both sides that have to move to make one launch order of the other: all
/// but a longest run that both sides have in the same order.
fn moved(before: &Workflow, after: &Workflow) -> BTreeSet<StepKey> {
    let places: Vec<(usize, &StepKey)> = after
        .steps()
        .iter()
        .filter_map(|step| Some((before.position(&step.key)?, &step.key)))
        .collect();
    // Of all rising runs of each length, the one with the lowest end: by their last members.
    let mut ends: Vec<usize> = Vec::new();
    let mut previous: Vec<Option<usize>> = vec![None; places.len()];
    for (n, (place, _)) in places.iter().enumerate() {
        let length = ends.partition_point(|&end| places[end].0 < *place);
        previous[n] = length.checked_sub(1).map(|shorter| ends[shorter]);
        match ends.get_mut(length) {
            Some(end) => *end = n,
            None => ends.push(n),
        }
    }
    let mut stays = BTreeSet::new();
    let mut last = ends.last().copied();
    while let Some(n) = last {
        stays.insert(places[n].1);
        last = previous[n];
    }
    places.iter().filter(|(_, key)| !stays.contains(key)).map(|(_, key)| (*key).clone()).collect()
}

/// Fields by name, in the order they are shown.
type Fields = Vec<(String, String)>;

fn compared(before: Fields, after: Fields) -> Vec<FieldChange> {
    let values = |fields: &Fields| -> BTreeMap<String, String> { fields.iter().cloned().collect() };
    let (old, new) = (values(&before), values(&after));
    let gone = before.into_iter().filter(|(field, _)| !new.contains_key(field));
    let names = after.into_iter().chain(gone).map(|(field, _)| field);
    names
        .filter(|field| old.get(field) != new.get(field))
        .map(|field| FieldChange {
            before: old.get(&field).cloned(),
            after: new.get(&field).cloned(),
            field,
        })
        .collect()
}

/// Collects fields that are said.
struct Said(Fields);

impl Said {
    fn say(&mut self, field: &str, value: Option<impl ToString>) {
        if let Some(value) = value {
            self.0.push((field.to_owned(), value.to_string()));
        }
    }

    fn flag(&mut self, field: &str, value: bool) {
        self.say(field, value.then_some("true"));
    }

    /// Values whose order in the file says nothing.
    fn set(&mut self, field: &str, values: &[impl ToString]) {
        let text: BTreeSet<String> = values.iter().map(ToString::to_string).collect();
        let text: Vec<String> = text.into_iter().collect();
        self.say(field, (!text.is_empty()).then(|| text.join(", ")));
    }

    fn run(&mut self, field: &str, execute: Option<&Execute>) {
        let Some(Execute { run, timeout }) = execute else { return };
        // Arguments with spaces in them are not two arguments.
        self.say(field, serde_json::to_string(run).ok());
        self.say(&format!("{field}.timeout"), timeout.clone().map(String::from));
    }

    fn criteria(&mut self, field: &str, criteria: &[Criterion]) {
        for Criterion { id, text, check } in criteria {
            self.say(&format!("{field}.{id}"), Some(text));
            self.run(&format!("{field}.{id}.check"), check.as_ref());
        }
    }
}

/// What a workflow says of itself but its name and version.
fn head(workflow: &Workflow) -> Fields {
    let time = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::AutoSi, true);
    let mut said = Said(Vec::new());
    said.say("title", workflow.title.as_ref());
    if let Some(Effective { from, to }) = &workflow.effective {
        said.say("effective.from", from.map(time));
        said.say("effective.to", to.map(time));
    }
    said.0
}

/// What a step says but its key, its number and the lines it came from: where it stands is
/// compared by order and waits.
fn fields(step: &Step) -> Fields {
    let StepDefinition {
        key: _,
        order: _,
        title,
        description,
        role,
        parallelizable,
        needs,
        group,
        crosses_gates,
        constraints,
        entry,
        exit,
        done,
        gate,
        execute,
        retry,
        source: _,
    } = &step.definition;
    let mut said = Said(Vec::new());
    said.say("title", title.as_ref());
    said.say("description", description.as_ref());
    said.say("role", role.as_ref());
    said.flag("parallelizable", *parallelizable);
    // None and an empty list differ (S3).
    match needs.as_deref() {
        Some([]) => said.say("needs", Some("nothing")),
        Some(needs) => said.set("needs", needs),
        None => {}
    }
    said.say("group", group.as_ref());
    said.flag("crossesGates", *crosses_gates);
    said.set("constraints", constraints);
    said.criteria("entry", entry);
    said.criteria("exit", exit);
    said.say("done", done.as_ref());
    if let Some(GateDefinition { kind, approvers, quorum, reject_to, self_review }) = gate {
        said.say("gate", Some(kind.word()));
        if let Some(Approvers { ids, roles }) = approvers {
            said.set("gate.approvers.ids", ids);
            said.set("gate.approvers.roles", roles);
        }
        said.say("gate.quorum", *quorum);
        said.say("gate.rejectTo", reject_to.as_ref());
        said.say(
            "gate.selfReview",
            self_review.map(|review| match review {
                SelfReview::Allowed => "allowed",
                SelfReview::Refused => "refused",
            }),
        );
    }
    said.run("execute", execute.as_ref());
    if let Some(Retry { max, on }) = retry {
        said.say("retry.max", Some(max));
        let words: Vec<&str> = on
            .iter()
            .map(|on| match on {
                RetryOn::Failed => "failed",
                RetryOn::Rejected => "rejected",
            })
            .collect();
        said.set("retry.on", &words);
    }
    said.0
}
