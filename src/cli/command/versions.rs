//! `workflow publish`, `retire`, `list`, `log`, `diff`: the versions of workflows (FR-016, FR-022).

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::super::Reply;
use super::super::args::{DiffArgs, PublishArgs, RetireArgs, VersionsLogArgs};
use super::super::error::{Failure, next};
use super::super::exit::Exit;
use super::super::session::{Act, Code, Session};
use super::super::ui::{Line, Ui, clock, count, plain, said, short};
use super::super::view::{
    InFlightView, PublishView, RetireView, VersionEvent, VersionView, WorkflowDiffView,
    WorkflowListView, WorkflowLogView,
};
use super::delegate::read_plan;
use super::workflow::find;
use super::{listed, names, status, workflow_name};
use crate::artifact::workflow_path;
use crate::domain::decide::{Decided, PublishWorkflow, RetireWorkflow, Unchanged, WorkflowAsk};
use crate::domain::event::{Event, EventData, WorkflowRef};
use crate::domain::id::{ItemId, WorkflowName};
use crate::domain::refusal::Refusal;
use crate::domain::workflow::{Effective, Workflow};
use crate::ledger::{LedgerError, Portfolio, Receipt, Snapshot, Verdict};
use crate::ops;
use crate::plan::PlanOptions;
use crate::report::{self, FieldChange, StepChange, WorkflowDiff};

/// How many items in flight a person is shown.
const SHOWN: usize = 8;

/// What a judged publication comes to.
struct Judged {
    unchanged: Option<Unchanged>,
    facts: Vec<Event>,
    /// The newest version before, and what differs.
    diff: Option<WorkflowDiff>,
    in_flight: Vec<InFlightView>,
    stopped: Portfolio,
}

pub(super) fn publish(
    args: &PublishArgs,
    session: &Session,
    ui: &Ui<'_>,
) -> Result<Reply, Failure> {
    let read = read_plan(&args.file, session, &PlanOptions::default(), ui.err_color())?;
    if !read.draft.format.is_native() {
        let what = read.draft.format.name();
        return Err(Failure::new(
            Exit::Usage,
            "invalid",
            format!("{} is a plan ({what}) and no workflow file", plain(&read.path)),
        )
        .note("a plan's workflow is published by the item that is delegated on it")
        .then(next(["delegate", "--plan", &read.path, "--dry-run"])));
    }
    let fail = |error: LedgerError| session.ledger_failure(&error);
    let (workflow, bytes) = ops::compiled(&read.draft.definition).map_err(fail)?;
    let reference = workflow.reference.clone();
    let path = workflow_path(&reference.name, reference.version);
    let ask = PublishWorkflow {
        workflow: workflow.clone(),
        path: path.clone(),
        reason: args.reason.clone(),
        impact: args.impact.clone(),
    };
    let ask = WorkflowAsk::Publish(Box::new(ask));
    let act = session.act(Code::None)?;
    if args.dry_run {
        let snapshot = act.ledger.snapshot().map_err(fail)?;
        let judged = judge(&snapshot, &ask, &workflow, &act).map_err(fail)?;
        let outcome = if judged.unchanged.is_some() { "unchanged" } else { "dry-run" };
        let mut reply = published(&workflow, &judged, outcome, None);
        reply.aside.push(Line::Text("dry run: nothing was recorded".into()));
        if let Some(diff) = judged.diff.filter(|_| args.file != "-") {
            let steps = next(["workflow", "diff", &diff.before, &args.file]);
            reply.next.push(steps.note("step by step"));
        }
        return Ok(reply);
    }
    let receipt: Receipt<Judged> = act
        .ledger
        .transact(&act.moment, |snapshot| {
            let mut judged = judge(snapshot, &ask, &workflow, &act)?;
            let facts = std::mem::take(&mut judged.facts);
            Ok(match judged.unchanged {
                Some(_) => Verdict::Nothing(judged),
                None => {
                    let definitions = vec![(path.clone(), bytes.clone())];
                    Verdict::Record { facts, definitions, workflow: None, value: judged }
                }
            })
        })
        .map_err(fail)?;
    let fresh = receipt.value.unchanged.is_none();
    let outcome = if fresh { "published" } else { "unchanged" };
    let mut reply = published(&workflow, &receipt.value, outcome, receipt.commit.clone());
    reply.recorded = fresh;
    let over = |effective: &Effective| effective.to.is_some_and(|to| to <= session.now());
    if fresh && workflow.effective.as_ref().is_some_and(over) {
        let what = "its `effective.to` is past: no new item can start on it";
        reply.lines.push(said("note", what));
    }
    Ok(reply)
}

fn judge(
    snapshot: &Snapshot<'_>,
    ask: &WorkflowAsk,
    workflow: &Workflow,
    act: &Act,
) -> Result<Judged, LedgerError> {
    let (facts, unchanged) = match snapshot.decide_workflow(ask, &act.moment)? {
        Decided::Facts(facts) => (facts, None),
        Decided::Unchanged(unchanged) => (Vec::new(), Some(unchanged)),
    };
    let WorkflowRef { name, version, .. } = &workflow.reference;
    let older = snapshot.ledger()?.versions(name).rfind(|(known, _)| known < version);
    let diff = match older {
        Some((version, known)) => {
            let (name, sha256) = (name.clone(), known.sha256.clone());
            let older = snapshot.workflow(&WorkflowRef { name, version, sha256 })?;
            Some(report::diff(&older, workflow))
        }
        None => None,
    };
    let (in_flight, stopped) = match diff.is_some() {
        true => in_flight(snapshot.portfolio()?, name, *version),
        false => (Vec::new(), Portfolio::default()),
    };
    Ok(Judged { unchanged, facts, diff, in_flight, stopped })
}

/// Open items on older versions of a name, and the items that cannot be read.
fn in_flight(
    mut portfolio: Portfolio,
    name: &WorkflowName,
    version: u32,
) -> (Vec<InFlightView>, Portfolio) {
    let rows = std::mem::take(&mut portfolio.rows);
    let on = |workflow: &str| workflow_name(workflow).ok().filter(|(on, _)| on == name)?.1;
    let open = rows.into_iter().filter(|row| !row.status.is_over()).filter_map(|row| {
        let on = on(&row.workflow).filter(|on| *on < version)?;
        Some(InFlightView { work_item_id: row.id, version: on, status: row.status.word().into() })
    });
    (open.collect(), portfolio)
}

fn published(workflow: &Workflow, judged: &Judged, outcome: &str, commit: Option<String>) -> Reply {
    let WorkflowRef { name, version, sha256 } = &workflow.reference;
    let view = PublishView {
        name: name.clone(),
        version: *version,
        sha256: sha256.clone(),
        outcome: outcome.into(),
        diff: judged.diff.clone(),
        in_flight: judged.in_flight.clone(),
        stopped: status::stopped(&judged.stopped.stopped),
        commit,
    };
    let mut reply = Reply::new("workflow-publish", &view);
    let this = format!("{name}@{version}");
    reply.quiet = format!("{this}\n");
    let steps = count(workflow.steps().len(), "step");
    reply.lines.push(match (outcome, &judged.unchanged) {
        ("dry-run", _) => said("would publish", format!("{this}: {steps}")),
        (_, None) => said("published", format!("{this}: {steps}")),
        (_, Some(Unchanged::Published { .. })) => {
            said("unchanged", format!("{this} is published with this content: nothing recorded"))
        }
        (_, Some(_)) => said("unchanged", "this request was answered before: nothing recorded"),
    });
    if let Some(diff) = &judged.diff {
        reply.lines.push(said("against", format!("{}: {}", diff.before, summary(diff))));
    }
    if !judged.in_flight.is_empty() {
        let some: Vec<String> = judged
            .in_flight
            .iter()
            .take(SHOWN)
            .map(|item| {
                format!("{} on {name}@{} ({})", item.work_item_id, item.version, item.status)
            })
            .collect();
        let more = judged.in_flight.len() - some.len();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        reply
            .lines
            .push(said("in flight", format!("{}{more}; they stay where they are", listed(&some))));
    }
    status::name_stopped(&mut reply, &judged.stopped.stopped);
    if outcome == "dry-run" {
        return reply;
    }
    reply.next.push(match judged.in_flight.first() {
        Some(item) => next(["migrate", item.work_item_id.as_str(), "--to", &this]).with([
            "--reason",
            "…",
            "--dry-run",
        ]),
        None => next(["delegate", "--workflow", &this, "--prompt", "…"]),
    });
    reply
}

/// `2 steps added, 1 removed, 3 changed`.
fn summary(diff: &WorkflowDiff) -> String {
    let mut parts = Vec::new();
    for (steps, how) in [
        (diff.added.len(), "added"),
        (diff.removed.len(), "removed"),
        (diff.changed.len(), "changed"),
    ] {
        if steps > 0 {
            parts.push(match parts.is_empty() {
                true => format!("{} {how}", count(steps, "step")),
                false => format!("{steps} {how}"),
            });
        }
    }
    parts.extend(diff.fields.iter().map(|field| format!("{} changed", field.field)));
    match (parts.is_empty(), diff.before == diff.after) {
        (true, true) => "nothing differs".into(),
        (true, false) => "nothing differs but the version".into(),
        (false, _) => parts.join(", "),
    }
}

pub(super) fn retire(args: &RetireArgs, session: &Session) -> Result<Reply, Failure> {
    let (name, version) = match workflow_name(&args.workflow)? {
        (name, Some(version)) => (name, version),
        (name, None) => {
            return Err(Failure::usage(format!("name the version: {name}@VERSION"))
                .then(next(["workflow", "list"])));
        }
    };
    let ask = WorkflowAsk::Retire(RetireWorkflow {
        name: name.clone(),
        version,
        reason: args.reason.clone(),
    });
    let act = session.act(Code::None)?;
    let fail = |error: LedgerError| session.ledger_failure(&error);
    let receipt: Receipt<Option<Unchanged>> = act
        .ledger
        .transact(&act.moment, |snapshot| Ok(snapshot.decide_workflow(&ask, &act.moment)?.into()))
        .map_err(fail)?;
    let snapshot = act.ledger.snapshot().map_err(fail)?;
    let portfolio = snapshot.portfolio().map_err(fail)?;
    let this = format!("{name}@{version}");
    let open = portfolio.rows.iter().filter(|row| row.workflow == this && !row.status.is_over());
    let open: Vec<ItemId> = open.map(|row| row.id.clone()).collect();
    let fresh = receipt.value.is_none();
    let view = RetireView {
        name: name.clone(),
        version,
        outcome: if fresh { "retired" } else { "unchanged" }.into(),
        in_flight: open.clone(),
        stopped: status::stopped(&portfolio.stopped),
        commit: receipt.commit.clone(),
    };
    let mut reply = Reply::new("workflow-retire", &view);
    reply.recorded = fresh;
    reply.quiet = format!("{this}\n");
    reply.lines.push(match &receipt.value {
        None => said("retired", format!("{this}: no new items start on it")),
        Some(Unchanged::Retired { .. }) => {
            said("unchanged", format!("{this} was retired before: nothing recorded"))
        }
        Some(_) => said("unchanged", "this request was answered before: nothing recorded"),
    });
    if !open.is_empty() {
        let some = listed(&open[..open.len().min(SHOWN)]);
        let more = open.len().saturating_sub(SHOWN);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        reply.lines.push(said("in flight", format!("{some}{more}; they go on")));
    }
    status::name_stopped(&mut reply, &portfolio.stopped);
    reply.next.push(next(["workflow", "list"]));
    Ok(reply)
}

/// Where a version stands for new items.
fn standing(version: &VersionView, now: DateTime<Utc>) -> &'static str {
    if version.retired_at.is_some() {
        return "retired";
    }
    if version.effective_from.is_some_and(|from| now < from) {
        return "not-yet";
    }
    if version.effective_to.is_some_and(|to| to <= now) {
        return "ended";
    }
    "in-use"
}

pub(super) fn list(session: &Session) -> Result<Reply, Failure> {
    let ledger = session.ledger()?;
    let fail = |error| session.ledger_failure(&error);
    let snapshot = ledger.snapshot().map_err(fail)?;
    let events = snapshot.ledger_events().map_err(fail)?;
    let portfolio = snapshot.portfolio().map_err(fail)?;
    let now = session.now();
    let mut versions: BTreeMap<(WorkflowName, u32), VersionView> = BTreeMap::new();
    for event in events.iter().map(|sealed| &sealed.event) {
        match &event.data {
            EventData::WorkflowPublished(data) => {
                let view = VersionView {
                    name: data.name.clone(),
                    version: data.version,
                    sha256: data.sha256.clone(),
                    title: data.title.clone(),
                    state: String::new(),
                    published_at: event.timestamp,
                    published_by: event.actor.principal.clone(),
                    effective_from: data.effective_from,
                    effective_to: data.effective_to,
                    retired_at: None,
                    retired_by: None,
                    items: 0,
                    open: 0,
                };
                versions.insert((data.name.clone(), data.version), view);
            }
            EventData::WorkflowRetired(data) => {
                if let Some(view) = versions.get_mut(&(data.name.clone(), data.version)) {
                    view.retired_at = Some(event.timestamp);
                    view.retired_by = Some(event.actor.principal.clone());
                }
            }
            _ => {}
        }
    }
    for row in &portfolio.rows {
        let Ok((name, Some(version))) = workflow_name(&row.workflow) else { continue };
        if let Some(view) = versions.get_mut(&(name, version)) {
            view.items += 1;
            view.open += usize::from(!row.status.is_over());
        }
    }
    let mut versions: Vec<VersionView> = versions.into_values().collect();
    for version in &mut versions {
        version.state = standing(version, now).into();
    }
    let view = WorkflowListView {
        versions: versions.clone(),
        stopped: status::stopped(&portfolio.stopped),
    };
    let mut reply = Reply::new("workflow-list", &view);
    let at = |at: DateTime<Utc>| clock(at, now, &session.config);
    for version in &versions {
        let this = format!("{}@{}", version.name, version.version);
        reply.quiet.push_str(&format!("{this}\t{}\t{}\n", version.state, version.open));
        let state = match (version.state.as_str(), version.retired_at) {
            (_, Some(retired)) => format!("retired {}", at(retired)),
            ("not-yet", _) => {
                version.effective_from.map_or_else(String::new, |from| format!("from {}", at(from)))
            }
            ("ended", _) => {
                version.effective_to.map_or_else(String::new, |to| format!("ended {}", at(to)))
            }
            _ => match version.effective_to {
                Some(to) => format!("in use until {}", at(to)),
                None => "in use".into(),
            },
        };
        reply.lines.push(Line::Row(vec![
            this,
            state,
            format!("{} open of {}", version.open, version.items),
            format!("published {} by {}", at(version.published_at), version.published_by),
            version.title.as_deref().map(|title| short(title, 60)).unwrap_or_default(),
        ]));
    }
    if versions.is_empty() {
        reply.lines.push(Line::Text("no workflow is published yet".into()));
    }
    status::name_stopped(&mut reply, &portfolio.stopped);
    reply.next.push(match versions.last() {
        Some(last) => next(["workflow", "show"]).with([format!("{}@{}", last.name, last.version)]),
        None => next(["workflow", "publish", "FILE", "--reason", "…", "--impact", "…"]),
    });
    Ok(reply)
}

pub(super) fn log(args: &VersionsLogArgs, session: &Session) -> Result<Reply, Failure> {
    let wanted: Option<(WorkflowName, Option<u32>)> =
        args.workflow.as_deref().map(workflow_name).transpose()?;
    let ledger = session.ledger()?;
    let fail = |error| session.ledger_failure(&error);
    let snapshot = ledger.snapshot().map_err(fail)?;
    let events = snapshot.ledger_events().map_err(fail)?;
    let fits = |entry: &VersionEvent| match &wanted {
        Some((name, version)) => {
            entry.name == *name && version.is_none_or(|version| entry.version == version)
        }
        None => true,
    };
    let entries: Vec<VersionEvent> =
        events.iter().filter_map(|sealed| entry(&sealed.event)).filter(fits).collect();
    if let (Some((name, version)), []) = (&wanted, entries.as_slice()) {
        let unknown = Refusal::UnknownWorkflow { name: name.clone(), version: *version };
        return Err(super::super::error::refusal(&unknown, &session.asker()));
    }
    let mut reply = Reply::new("workflow-log", &WorkflowLogView { events: entries.clone() });
    let now = session.now();
    for entry in &entries {
        let this = format!("{}@{}", entry.name, entry.version);
        reply.quiet.push_str(&format!("{this}\t{}\n", entry.event));
        let reason = match &entry.reason {
            Some(reason) => format!("\"{}\"", short(reason, 100)),
            None => "with the first item on it".into(),
        };
        let impact = entry.impact.as_ref().map(|text| format!("; impact: {}", short(text, 100)));
        reply.lines.push(Line::Row(vec![
            clock(entry.at, now, &session.config),
            this,
            entry.event.clone(),
            format!("by {}", entry.by),
            format!("{reason}{}", impact.unwrap_or_default()),
        ]));
    }
    if entries.is_empty() {
        reply.lines.push(Line::Text("no workflow is published yet".into()));
    }
    reply.next.push(next(["workflow", "list"]).note("where they stand"));
    Ok(reply)
}

fn entry(event: &Event) -> Option<VersionEvent> {
    let entry = |name: &WorkflowName, version: u32, what: &str| VersionEvent {
        name: name.clone(),
        version,
        event: what.into(),
        at: event.timestamp,
        by: event.actor.principal.clone(),
        reason: None,
        impact: None,
        effective_from: None,
        effective_to: None,
        event_id: event.id,
    };
    match &event.data {
        EventData::WorkflowPublished(data) => Some(VersionEvent {
            reason: data.reason.clone(),
            impact: data.impact.clone(),
            effective_from: data.effective_from,
            effective_to: data.effective_to,
            ..entry(&data.name, data.version, "published")
        }),
        EventData::WorkflowRetired(data) => Some(VersionEvent {
            reason: Some(data.reason.clone()),
            ..entry(&data.name, data.version, "retired")
        }),
        _ => None,
    }
}

pub(super) fn diff(args: &DiffArgs, session: &Session, ui: &Ui<'_>) -> Result<Reply, Failure> {
    let (before, after) =
        (find(&args.before, session, ui)?.workflow, find(&args.after, session, ui)?.workflow);
    let diff = report::diff(&before, &after);
    let mut reply = Reply::new("workflow-diff", &WorkflowDiffView { diff: diff.clone() });
    let (left, right) = (&diff.before, &diff.after);
    reply.lines.push(Line::Text(format!("{left} → {right}: {}", summary(&diff))));
    let lines = &mut reply.lines;
    lines.extend(diff.fields.iter().map(|field| field_row("", field)));
    for key in &diff.added {
        lines.push(Line::Row(vec![format!("+ {key}"), title(&after, key)]));
        reply.quiet.push_str(&format!("+\t{key}\n"));
    }
    for key in &diff.removed {
        lines.push(Line::Row(vec![format!("- {key}"), title(&before, key)]));
        reply.quiet.push_str(&format!("-\t{key}\n"));
    }
    for change in &diff.changed {
        lines.push(Line::Row(vec![format!("~ {}", change.key), title(&after, &change.key)]));
        lines.extend(change.fields.iter().map(|field| field_row("    ", field)));
        lines.extend(places(change));
        reply.quiet.push_str(&format!("~\t{}\n", change.key));
    }
    Ok(reply)
}

fn title(workflow: &Workflow, key: &crate::domain::id::StepKey) -> String {
    let definition = workflow.step(key).map(|step| &step.definition);
    let title = definition.and_then(|step| step.title.as_deref());
    title.map(|title| short(title, 60)).unwrap_or_default()
}

fn field_row(indent: &str, field: &FieldChange) -> Line {
    let value = |value: &Option<String>| match value {
        Some(text) => short(text, 100),
        None => "–".into(),
    };
    let change = format!("{} → {}", value(&field.before), value(&field.after));
    Line::Row(vec![format!("{indent}{}", plain(&field.field)), change])
}

/// Where a step moved, and what it waits for.
fn places(change: &StepChange) -> Vec<Line> {
    let mut lines = Vec::new();
    if let Some(place) = &change.after_step {
        let word = |key: &Option<crate::domain::id::StepKey>| match key {
            Some(key) => format!("after {key}"),
            None => "first".into(),
        };
        let what = format!("{} → {}", word(&place.before), word(&place.after));
        lines.push(Line::Row(vec!["    order".into(), what]));
    }
    let mut waits = Vec::new();
    if !change.waits_added.is_empty() {
        waits.push(format!("now for {}", names(&change.waits_added, 8)));
    }
    if !change.waits_removed.is_empty() {
        waits.push(format!("no longer for {}", names(&change.waits_removed, 8)));
    }
    if !waits.is_empty() {
        lines.push(Line::Row(vec!["    waits".into(), waits.join(", ")]));
    }
    lines
}
