//! The blueprint: a versioned, immutable list of ordered steps (FR-001), validated once.
//!
//! [`WorkflowDefinition`] is the file, word for word what is sealed. [`Workflow`] is the same
//! after validation: steps in launch order, keys interned, waits compiled ([`super::graph`]).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de};

use super::event::WorkflowRef;
use super::graph::Graph;
use super::id::{
    ConstraintName, CriterionId, Digest, GroupName, PrincipalId, RoleName, StepKey, WorkflowName,
};
use super::moment::is_sayable;

/// The only value of a workflow file's `schema`.
pub const SCHEMA: &str = "stepseal/workflow/1";

/// The most bytes a text field may have (L3).
pub const TEXT_LIMIT: usize = 8 * 1024;

/// A workflow file: `name@version` and its steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WorkflowDefinition {
    /// `stepseal/workflow/1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    pub name: WorkflowName,
    /// From 1; a published version never changes.
    #[serde(default = "first_version")]
    pub version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// When new items may start on it; part of the file, so of its digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective: Option<Effective>,
    pub steps: Vec<StepDefinition>,
}

fn first_version() -> u32 {
    1
}

/// From when to when new items may start on a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Effective {
    #[serde(default, deserialize_with = "instant", skip_serializing_if = "Option::is_none")]
    pub from: Option<DateTime<Utc>>,
    /// Left out: until retired.
    #[serde(default, deserialize_with = "instant", skip_serializing_if = "Option::is_none")]
    pub to: Option<DateTime<Utc>>,
}

impl Effective {
    /// Whether an item may start at a moment.
    #[must_use]
    pub fn holds(&self, now: DateTime<Utc>) -> bool {
        self.from.is_none_or(|from| from <= now) && self.to.is_none_or(|to| now < to)
    }
}

/// Reads RFC 3339 from a string, or from TOML's own date-time, which arrives as a one-entry map.
fn instant<'de, D: Deserializer<'de>>(input: D) -> Result<Option<DateTime<Utc>>, D::Error> {
    struct Instant;
    impl<'de> de::Visitor<'de> for Instant {
        type Value = Option<DateTime<Utc>>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a date and time such as 2026-11-01T00:00:00Z")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
            let at = DateTime::parse_from_rfc3339(text).ok().map(|at| at.with_timezone(&Utc));
            let at = at.filter(is_sayable);
            at.map(Some).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
        }

        fn visit_none<E: de::Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<Self::Value, D::Error> {
            inner.deserialize_any(self)
        }

        fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            match map.next_entry::<String, String>()? {
                Some((_, text)) => self.visit_str(&text),
                None => Err(de::Error::invalid_type(de::Unexpected::Map, &self)),
            }
        }
    }
    input.deserialize_any(Instant)
}

/// One unit of a workflow; a gate when `gate` is set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StepDefinition {
    pub key: StepKey,
    /// Left out: the position in the list, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<RoleName>,
    /// May start together with others once what it waits for is done (FR-004).
    #[serde(default, skip_serializing_if = "is_false")]
    pub parallelizable: bool,
    /// Absent and empty differ (S3).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs: Option<Vec<StepKey>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupName>,
    /// Lifts the wait for lower gates; only on a parallelizable step without group (S3).
    #[serde(default, skip_serializing_if = "is_false")]
    pub crosses_gates: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub constraints: Vec<ConstraintName>,
    /// Attested when the step is claimed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entry: Vec<Criterion>,
    /// Verified when the step is completed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exit: Vec<Criterion>,
    /// The business-level definition of done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<GateDefinition>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub execute: Option<Execute>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// Where an imported plan says so; written by importers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// Lines of the imported plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Source {
    pub line: u32,
    /// The heading the step stands under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// Why each edge of `needs` exists, in its order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<NeedSource>,
}

/// Why one imported edge exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NeedSource {
    pub key: StepKey,
    pub line: u32,
    /// The path both steps name; absent when the plan states the edge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// A condition with a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Criterion {
    pub id: CriterionId,
    pub text: String,
    /// A command that shows it; run by `complete --run-checks`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<Execute>,
}

/// A command as a list of arguments; there is no shell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Execute {
    pub run: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<TimeLimit>,
}

/// Further attempts that are queued by themselves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Retry {
    /// Further attempts beyond the first.
    pub max: u32,
    /// Which endings are tried again.
    pub on: Vec<RetryOn>,
}

/// An ending that a retry answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RetryOn {
    Failed,
    Rejected,
}

/// A step that people decide (FR-006).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GateDefinition {
    pub kind: GateKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approvers: Option<Approvers>,
    /// Distinct principals that must approve; left out: what policy says, else 1 (G2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quorum: Option<u32>,
    /// Where a rejection returns to unless it says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reject_to: Option<StepKey>,
    /// Left out: what policy says, else allowed on review gates (and marked), refused on release
    /// gates (G2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub self_review: Option<SelfReview>,
}

/// What a gate decides about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GateKind {
    Review,
    Release,
}

impl GateKind {
    /// The word on paper.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Review => "review",
            Self::Release => "release",
        }
    }
}

/// Who may decide a gate; nobody named means everybody may.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Approvers {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<PrincipalId>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<RoleName>,
}

/// May those who worked decide?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SelfReview {
    Allowed,
    Refused,
}

/// A duration as people write it: `90s`, `45m`, `2h`, `1d`; kept as written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("pattern" = "^[1-9][0-9]{0,8}(s|m|h|d)$"))]
pub struct TimeLimit(#[schemars(with = "String")] String);

impl TimeLimit {
    /// Seconds.
    #[must_use]
    pub fn seconds(&self) -> u64 {
        let (number, unit) = self.0.split_at(self.0.len() - 1);
        let number: u64 = number.parse().unwrap_or(0);
        number
            * match unit {
                "d" => 86_400,
                "h" => 3_600,
                "m" => 60,
                _ => 1,
            }
    }
}

impl TryFrom<String> for TimeLimit {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong =
            || format!("`{}` is no duration; write 90s, 45m, 2h or 1d", text.escape_debug());
        let unit = text.chars().last().ok_or_else(wrong)?;
        let number = &text[..text.len() - unit.len_utf8()];
        let plain = (1..=9).contains(&number.len())
            && !number.starts_with('0')
            && number.bytes().all(|b| b.is_ascii_digit());
        if !plain || !matches!(unit, 's' | 'm' | 'h' | 'd') {
            return Err(wrong());
        }
        Ok(Self(text))
    }
}

impl std::str::FromStr for TimeLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::try_from(text.to_owned())
    }
}

impl From<TimeLimit> for String {
    fn from(limit: TimeLimit) -> Self {
        limit.0
    }
}

/// Where in a definition a problem is; the reader maps it to a line and column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    Name,
    Version,
    Schema,
    Effective,
    Steps,
    /// A field of the step at this position of the file.
    Step(usize, StepField),
}

/// A field of a step, with the position in it where it is a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepField {
    Key,
    Order,
    Text,
    Group,
    CrossesGates,
    Need(usize),
    Constraint(usize),
    Entry(usize),
    Exit(usize),
    Gate,
    Quorum,
    RejectTo,
    Execute,
    Retry,
}

/// Why a definition is no workflow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub place: Place,
    pub message: String,
    /// `did you mean …?`, shown at the place.
    pub hint: Option<String>,
    /// Other places that belong to it: the further edges of a cycle.
    pub related: Vec<(Place, String)>,
}

impl Problem {
    fn new(place: Place, message: impl Into<String>) -> Self {
        Self { place, message: message.into(), hint: None, related: Vec::new() }
    }
}

/// A validated step, in launch order.
#[derive(Debug, Clone)]
pub struct Step {
    pub key: StepKey,
    pub order: u32,
    pub definition: StepDefinition,
}

impl Step {
    /// The title, or the key where there is none.
    #[must_use]
    pub fn title(&self) -> &str {
        self.definition.title.as_deref().unwrap_or(self.key.as_str())
    }

    /// Whether people decide it.
    #[must_use]
    pub fn is_gate(&self) -> bool {
        self.definition.gate.is_some()
    }

    /// The digest of what the step means: its definition without the lines it came from (K5).
    #[must_use]
    pub fn sha256(&self) -> Digest {
        let meaning = StepDefinition { source: None, ..self.definition.clone() };
        Digest::of(&serde_json::to_vec(&meaning).expect("a definition is plain data"))
    }
}

/// No program can be given such an argument.
fn has_nul(execute: &Execute) -> bool {
    execute.run.iter().any(|word| word.contains('\0'))
}

/// A validated workflow: what every rule reads.
#[derive(Debug, Clone)]
pub struct Workflow {
    pub reference: WorkflowRef,
    pub title: Option<String>,
    pub effective: Option<Effective>,
    /// By (order, key bytes): the launch order (FR-005).
    steps: Vec<Step>,
    index: BTreeMap<StepKey, usize>,
    graph: Graph,
}

impl Workflow {
    /// Validates a definition whose sealed bytes have this digest.
    ///
    /// # Errors
    /// Every problem found, each with its place; cycles only when nothing else is wrong (S7).
    pub fn compile(definition: WorkflowDefinition, sha256: Digest) -> Result<Self, Vec<Problem>> {
        let problems = check(&definition);
        if !problems.is_empty() {
            return Err(problems);
        }
        let WorkflowDefinition { name, version, title, effective, steps, .. } = definition;
        let mut steps: Vec<(usize, Step)> = steps
            .into_iter()
            .enumerate()
            .map(|(position, definition)| {
                let step = Step {
                    key: definition.key.clone(),
                    order: order_of(&definition, position),
                    definition,
                };
                (position, step)
            })
            .collect();
        steps.sort_by(|(_, a), (_, b)| (a.order, &a.key).cmp(&(b.order, &b.key)));
        let (positions, steps): (Vec<usize>, Vec<Step>) = steps.into_iter().unzip();
        let index = steps.iter().enumerate().map(|(at, step)| (step.key.clone(), at)).collect();
        let graph = Graph::compile(&steps, &index);
        if let Some(cycle) = graph.cycle() {
            return Err(vec![cycle_problem(&cycle, &steps, &positions)]);
        }
        let reference = WorkflowRef { name, version, sha256 };
        Ok(Self { reference, title, effective, steps, index, graph })
    }

    /// The steps in launch order.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Where a step stands in launch order.
    #[must_use]
    pub fn position(&self, key: &StepKey) -> Option<usize> {
        self.index.get(key).copied()
    }

    /// The step with this key.
    #[must_use]
    pub fn step(&self, key: &StepKey) -> Option<&Step> {
        self.position(key).map(|at| &self.steps[at])
    }

    /// What waits for what.
    #[must_use]
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The nearest known key to a mistyped one.
    #[must_use]
    pub fn nearest_key(&self, text: &str) -> Option<&StepKey> {
        nearest(text, self.steps.iter().map(|step| &step.key), StepKey::as_str)
    }
}

fn order_of(step: &StepDefinition, position: usize) -> u32 {
    step.order.unwrap_or(u32::try_from(position).unwrap_or(u32::MAX).saturating_add(1))
}

/// Everything that can be said of a definition without following its edges.
fn check(definition: &WorkflowDefinition) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut say = |place, message: String| problems.push(Problem::new(place, message));
    if let Some(schema) = &definition.schema
        && schema != SCHEMA
    {
        say(
            Place::Schema,
            format!("schema `{}` is not known; this reads {SCHEMA}", schema.escape_debug()),
        );
    }
    if definition.version == 0 {
        say(Place::Version, "version counts from 1".into());
    }
    if let Some(Effective { from: Some(from), to: Some(to) }) = definition.effective
        && from >= to
    {
        say(Place::Effective, "effective ends before it begins".into());
    }
    if definition.steps.is_empty() {
        say(Place::Steps, "a workflow has at least one step".into());
    }
    if definition.title.as_ref().is_some_and(|title| title.len() > TEXT_LIMIT) {
        say(Place::Name, format!("the title is longer than {TEXT_LIMIT} bytes"));
    }
    let keys: BTreeMap<&str, usize> =
        definition.steps.iter().enumerate().rev().map(|(at, s)| (s.key.as_str(), at)).collect();
    let mut folded: BTreeMap<String, &StepKey> = BTreeMap::new();
    for (at, step) in definition.steps.iter().enumerate() {
        if let Some(twin) = folded.insert(step.key.as_str().to_ascii_lowercase(), &step.key) {
            problems.push(Problem::new(
                Place::Step(at, StepField::Key),
                if *twin == step.key {
                    format!("step `{}` is defined twice", step.key)
                } else {
                    format!("steps `{twin}` and `{}` differ only in case", step.key)
                },
            ));
        }
        check_step(at, step, &keys, &definition.steps, &mut problems);
    }
    problems
}

fn check_step(
    at: usize,
    step: &StepDefinition,
    keys: &BTreeMap<&str, usize>,
    steps: &[StepDefinition],
    problems: &mut Vec<Problem>,
) {
    let key = &step.key;
    let mut say = |field, message: String| {
        problems.push(Problem::new(Place::Step(at, field), message));
    };
    if step.order == Some(0) {
        say(StepField::Order, format!("step `{key}`: order counts from 1"));
    }
    let texts = [&step.title, &step.description, &step.done];
    if texts.into_iter().flatten().any(|text| text.len() > TEXT_LIMIT) {
        say(StepField::Text, format!("step `{key}` has a text longer than {TEXT_LIMIT} bytes"));
    }
    if step.crosses_gates && (!step.parallelizable || step.group.is_some()) {
        say(
            StepField::CrossesGates,
            format!("step `{key}`: crossesGates is for a parallelizable step without a group"),
        );
    }
    for (fields, criteria) in [
        (StepField::Entry as fn(usize) -> StepField, &step.entry),
        (StepField::Exit as fn(usize) -> StepField, &step.exit),
    ] {
        let mut seen = BTreeSet::new();
        for (n, criterion) in criteria.iter().enumerate() {
            if !seen.insert(&criterion.id) {
                say(fields(n), format!("step `{key}` names criterion `{}` twice", criterion.id));
            }
            if criterion.text.len() > TEXT_LIMIT {
                say(
                    fields(n),
                    format!("criterion `{}` is longer than {TEXT_LIMIT} bytes", criterion.id),
                );
            }
            if criterion.check.as_ref().is_some_and(|check| check.run.is_empty()) {
                say(fields(n), format!("the check of criterion `{}` runs nothing", criterion.id));
            }
            if criterion.check.as_ref().is_some_and(has_nul) {
                let id = &criterion.id;
                say(fields(n), format!("the check of criterion `{id}` has a NUL in an argument"));
            }
        }
    }
    let mut constraints = BTreeSet::new();
    for (n, constraint) in step.constraints.iter().enumerate() {
        if !constraints.insert(constraint) {
            say(
                StepField::Constraint(n),
                format!("step `{key}` names constraint `{constraint}` twice"),
            );
        }
    }
    if step.execute.as_ref().is_some_and(|execute| execute.run.is_empty()) {
        say(StepField::Execute, format!("step `{key}` executes nothing"));
    }
    if step.execute.as_ref().is_some_and(has_nul) {
        say(StepField::Execute, format!("step `{key}` has a NUL in an argument of its execute"));
    }
    if step.retry.as_ref().is_some_and(|retry| retry.max == 0 || retry.on.is_empty()) {
        say(StepField::Retry, format!("step `{key}`: a retry needs max of at least 1 and an `on`"));
    }
    if let Some(gate) = &step.gate {
        if gate.quorum == Some(0) {
            say(StepField::Quorum, format!("gate `{key}`: quorum counts from 1"));
        }
        if let Some(Approvers { ids, roles }) = &gate.approvers
            && let Some(quorum) = gate.quorum
            && roles.is_empty()
            && !ids.is_empty()
            && ids.iter().collect::<BTreeSet<_>>().len() < quorum as usize
        {
            say(
                StepField::Quorum,
                format!("gate `{key}` wants {quorum} approvals of {} people", ids.len()),
            );
        }
        if !step.exit.is_empty() || step.execute.is_some() || step.retry.is_some() {
            say(
                StepField::Gate,
                format!("gate `{key}` is decided by people: no exit criteria, execute or retry"),
            );
        }
    }
    let mut named = BTreeSet::new();
    for (n, need) in step.needs.iter().flatten().enumerate() {
        if need == key {
            say(StepField::Need(n), format!("step `{key}` needs itself"));
        } else if !named.insert(need) {
            say(StepField::Need(n), format!("step `{key}` needs `{need}` twice"));
        }
    }
    for (n, need) in step.needs.iter().flatten().enumerate() {
        if !keys.contains_key(need.as_str()) {
            let mut problem = Problem::new(
                Place::Step(at, StepField::Need(n)),
                format!("step `{key}` needs `{need}`, which is no step of this workflow"),
            );
            problem.hint = nearest(need.as_str(), steps.iter().map(|s| &s.key), StepKey::as_str)
                .map(|near| format!("did you mean `{near}`?"));
            problems.push(problem);
        }
    }
    if let Some(target) = step.gate.as_ref().and_then(|gate| gate.reject_to.as_ref()) {
        let place = Place::Step(at, StepField::RejectTo);
        match keys.get(target.as_str()) {
            None => {
                let mut problem = Problem::new(
                    place,
                    format!(
                        "gate `{key}` rejects to `{target}`, which is no step of this workflow"
                    ),
                );
                problem.hint =
                    nearest(target.as_str(), steps.iter().map(|s| &s.key), StepKey::as_str)
                        .map(|near| format!("did you mean `{near}`?"));
                problems.push(problem);
            }
            Some(&to) if (order_of(&steps[to], to), target) >= (order_of(step, at), key) => {
                problems.push(Problem::new(
                    place,
                    format!("gate `{key}` rejects to `{target}`, which does not come before it"),
                ));
            }
            Some(_) => {}
        }
    }
}

/// Words a cycle so that a person sees each edge and where it is written (S7).
fn cycle_problem(cycle: &[super::graph::Edge], steps: &[Step], positions: &[usize]) -> Problem {
    let place = |edge: &super::graph::Edge| {
        let field = match edge.need {
            Some(n) => StepField::Need(n),
            None => StepField::Key,
        };
        Place::Step(positions[edge.from], field)
    };
    let word = |edge: &super::graph::Edge| {
        let (from, to) = (&steps[edge.from].key, &steps[edge.to].key);
        match edge.need {
            Some(_) => format!("`{from}` needs `{to}`"),
            None if !steps[edge.from].definition.parallelizable => {
                format!("`{from}` is sequential and comes after `{to}`")
            }
            None => format!("`{from}` comes after `{to}`"),
        }
    };
    // The written edge is what a person can change, so it leads.
    let lead = cycle.iter().position(|edge| edge.need.is_some()).unwrap_or(0);
    let around: Vec<_> = cycle.iter().cycle().skip(lead).take(cycle.len()).collect();
    Problem {
        place: place(around[0]),
        message: format!(
            "these steps wait for each other: {}",
            around.iter().map(|edge| word(edge)).collect::<Vec<_>>().join(", ")
        ),
        hint: None,
        related: around[1..].iter().map(|edge| (place(edge), word(edge))).collect(),
    }
}

/// The candidate closest to a mistyped word, if one is close enough to be meant.
pub fn nearest<'a, T: ?Sized>(
    text: &str,
    candidates: impl Iterator<Item = &'a T>,
    name: impl Fn(&T) -> &str,
) -> Option<&'a T> {
    let limit = (text.chars().count() / 3).max(1);
    candidates
        .map(|candidate| (distance(text, name(candidate)), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Levenshtein distance, ASCII case aside, with a swap of neighbours counted as one.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) =
        (a.to_ascii_lowercase().chars().collect(), b.to_ascii_lowercase().chars().collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<_>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let swap = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (rows[i - 1][j] + 1).min(row[j - 1] + 1).min(rows[i - 1][j - 1] + swap);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

/// The built-in workflow for an item without a plan (docs/plans.md): three steps and a review.
///
/// # Panics
/// Never: the literals are within the grammar.
#[must_use]
pub fn builtin_default() -> WorkflowDefinition {
    let step = |key: &str, title: &str| StepDefinition {
        title: Some(title.into()),
        ..blank_step(key.parse().expect("a literal within the grammar"))
    };
    let mut review = step("phase-review", "Review the result");
    review.gate = Some(GateDefinition {
        kind: GateKind::Review,
        approvers: None,
        quorum: None,
        reject_to: Some("phase-setup".parse().expect("a literal within the grammar")),
        self_review: None,
    });
    WorkflowDefinition {
        schema: Some(SCHEMA.into()),
        name: "default".parse().expect("a literal within the grammar"),
        version: 1,
        title: Some("Setup, tests, services, review".into()),
        effective: None,
        steps: vec![
            step("phase-setup", "Set up what the work needs"),
            step("phase-tests", "Write the tests that say when it is done"),
            step("phase-services", "Build it until the tests pass"),
            review,
        ],
    }
}

/// A sequential step with nothing but a key.
#[must_use]
pub fn blank_step(key: StepKey) -> StepDefinition {
    StepDefinition {
        key,
        order: None,
        title: None,
        description: None,
        role: None,
        parallelizable: false,
        needs: None,
        group: None,
        crosses_gates: false,
        constraints: Vec::new(),
        entry: Vec::new(),
        exit: Vec::new(),
        done: None,
        gate: None,
        execute: None,
        retry: None,
        source: None,
    }
}
