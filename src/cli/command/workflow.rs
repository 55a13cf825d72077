//! `workflow`: look at a file or at a published version; what is asked of versions is in
//! `versions`.

use super::super::Reply;
use super::super::args::WorkflowCommand;
use super::super::error::{self, Failure, next};
use super::super::session::Session;
use super::super::ui::{Line, Ui, count, plain, short};
use super::super::view::{GraphView, WorkflowView};
use super::delegate::{dry_steps, read_plan};
use super::{names, versions, workflow_name};
use crate::domain::event::WorkflowRef;
use crate::domain::id::{ItemId, StepKey};
use crate::domain::refusal::Refusal;
use crate::domain::workflow::{Step, Workflow};
use crate::ops;
use crate::plan::PlanOptions;
use crate::report;

/// A workflow, and where it was found.
pub(super) struct Found {
    pub workflow: Workflow,
    /// The file; nothing for a published version.
    file: Option<String>,
}

pub(super) fn run(
    command: &WorkflowCommand,
    session: &Session,
    ui: &mut Ui<'_>,
) -> Result<Reply, Failure> {
    match command {
        WorkflowCommand::Show(args) => {
            let found = find(&args.workflow, session, ui)?;
            Ok(show(&found))
        }
        WorkflowCommand::Publish(args) => versions::publish(args, session, ui),
        WorkflowCommand::Retire(args) => versions::retire(args, session),
        WorkflowCommand::List => versions::list(session),
        WorkflowCommand::Log(args) => versions::log(args, session),
        WorkflowCommand::Diff(args) => versions::diff(args, session, ui),
        WorkflowCommand::Graph(args) => {
            let mermaid = match &args.work_item {
                Some(item) => {
                    let item: ItemId = item.parse()?;
                    let ledger = session.ledger()?;
                    let fold = ledger
                        .snapshot()
                        .and_then(|snapshot| snapshot.known_item(&item))
                        .map_err(|error| session.ledger_failure(&error))?;
                    report::graph(&fold.workflow, &report::item(&fold.workflow, &fold.state))
                }
                None => report::workflow_graph(&find(&args.workflow, session, ui)?.workflow),
            };
            let mut reply = Reply::new("graph", &GraphView { mermaid: mermaid.clone() });
            if !ui.json {
                reply.raw = Some(mermaid);
            }
            Ok(reply)
        }
    }
}

/// A file where there is one of that name, else a published version.
pub(super) fn find(given: &str, session: &Session, ui: &Ui<'_>) -> Result<Found, Failure> {
    let looks_like_a_file = given.contains(['/', '\\']) || given.contains('.') || given == "-";
    if looks_like_a_file || session.environment.dir.join(given).exists() {
        let read = read_plan(given, session, &PlanOptions::default(), ui.err_color())?;
        let (workflow, _) = ops::compiled(&read.draft.definition)
            .map_err(|error| session.ledger_failure(&error))?;
        return Ok(Found { workflow, file: Some(read.path) });
    }
    let (name, version) = workflow_name(given)?;
    let ledger = session.ledger()?;
    let fail = |error| session.ledger_failure(&error);
    let snapshot = ledger.snapshot().map_err(fail)?;
    let state = snapshot.ledger().map_err(fail)?;
    let found = match version {
        Some(version) => state.workflows.get(&(name.clone(), version)).map(|w| (version, w)),
        None => state.versions(&name).next_back(),
    };
    let Some((version, published)) = found else {
        let unknown = Refusal::UnknownWorkflow { name, version };
        return Err(error::refusal(&unknown, &session.asker()));
    };
    let sha256 = published.sha256.clone();
    let reference = WorkflowRef { name: name.clone(), version, sha256 };
    let workflow = snapshot.workflow(&reference).map_err(fail)?;
    Ok(Found { workflow: (*workflow).clone(), file: None })
}

fn show(found: &Found) -> Reply {
    let workflow = &found.workflow;
    let reference = &workflow.reference;
    let mut reply = Reply::new(
        "workflow",
        &WorkflowView {
            name: reference.name.to_string(),
            version: reference.version,
            title: workflow.title.clone(),
            published: found.file.is_none(),
            steps: dry_steps(workflow, &[], None),
        },
    );
    let gates = workflow.steps().iter().filter(|step| step.is_gate()).count();
    let effective = match &workflow.effective {
        Some(effective) => {
            let day = |at: Option<chrono::DateTime<chrono::Utc>>, none: &str| {
                at.map_or_else(|| none.to_owned(), |at| at.format("%Y-%m-%d").to_string())
            };
            format!(
                " · effective {} to {}",
                day(effective.from, "now"),
                day(effective.to, "retired")
            )
        }
        None => String::new(),
    };
    let published = if found.file.is_some() { " · a file" } else { " · published" };
    let title = workflow.title.as_deref().map(|title| format!("  {}", plain(title)));
    reply.lines.push(Line::Text(format!(
        "{}@{}{} · {}, {}{effective}{published}",
        reference.name,
        reference.version,
        title.unwrap_or_default(),
        count(workflow.steps().len(), "step"),
        count(gates, "gate"),
    )));
    reply.lines.push(Line::Blank);
    let mut last = None;
    for (at, step) in workflow.steps().iter().enumerate() {
        let order = if last == Some(step.order) { String::new() } else { step.order.to_string() };
        last = Some(step.order);
        let mark = if step.is_gate() { "◆ " } else { "" };
        reply.lines.push(Line::Row(vec![
            format!("  {order:>3}"),
            format!("{mark}{}", step.key),
            step.definition.role.as_ref().map(ToString::to_string).unwrap_or_default(),
            facts(workflow, at).join(" · "),
        ]));
    }
    if let Some(file) = &found.file {
        reply.next.push(next(["delegate", "--plan", file, "--dry-run"]));
    }
    reply
}

/// What is particular about a step, in words.
fn facts(workflow: &Workflow, at: usize) -> Vec<String> {
    let step: &Step = &workflow.steps()[at];
    let definition = &step.definition;
    let mut facts = Vec::new();
    if let Some(needs) = &definition.needs {
        facts.push(match needs.as_slice() {
            [] => "starts at once".into(),
            needs => format!("after {}", names(needs, 8)),
        });
    }
    let twins: Vec<StepKey> = workflow
        .steps()
        .iter()
        .enumerate()
        .filter(|(other, twin)| *other != at && twin.order == step.order)
        .map(|(_, twin)| twin.key.clone())
        .collect();
    if !twins.is_empty() {
        facts.push(format!("tie at order {} with {}", step.order, names(&twins, 4)));
    }
    if definition.parallelizable && definition.needs.is_none() {
        facts.push("parallel".into());
    }
    if let Some(group) = &definition.group {
        facts.push(format!("group {group}"));
    }
    for constraint in &definition.constraints {
        let sharing: Vec<StepKey> = workflow
            .steps()
            .iter()
            .enumerate()
            .filter(|(other, twin)| {
                *other != at && twin.definition.constraints.contains(constraint)
            })
            .map(|(_, twin)| twin.key.clone())
            .collect();
        facts.push(match sharing.as_slice() {
            [] => constraint.to_string(),
            keys => format!("shares {constraint} with {}", names(keys, 4)),
        });
    }
    if let Some(gate) = &definition.gate {
        let kind = gate.kind.word();
        let who = match &gate.approvers {
            Some(approvers) => {
                let mut who: Vec<String> =
                    approvers.roles.iter().map(|role| format!("role {role}")).collect();
                who.extend(approvers.ids.iter().map(ToString::to_string));
                format!("{} of {}", gate.quorum.unwrap_or(1), who.join(", "))
            }
            None => format!("{} of anybody", gate.quorum.unwrap_or(1)),
        };
        let back = gate.reject_to.as_ref().map(|to| format!(", rejects to {to}"));
        facts.push(format!("{kind}: {who}{}", back.unwrap_or_default()));
    }
    let checked = definition.exit.iter().filter(|criterion| criterion.check.is_some()).count();
    match (definition.entry.len(), definition.exit.len()) {
        (0, 0) => {}
        (entry, exit) => {
            let checked = if checked > 0 { format!(", {checked} checked") } else { String::new() };
            facts.push(format!("{entry} entry, {exit} exit{checked}"));
        }
    }
    if let Some(title) = &definition.title {
        facts.push(short(title, 60));
    }
    facts
}
