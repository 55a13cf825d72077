//! `export`: everything as one JSON document, or the ledger's files as a folder (FR-026).
#![expect(clippy::disallowed_methods, reason = "writes the folder the caller names")]

use std::path::Path;

use super::super::Reply;
use super::super::args::ExportArgs;
use super::super::error::Failure;
use super::super::exit::Exit;
use super::super::session::Session;
use super::super::ui::said;
use super::super::view::{ExportItem, ExportView, TreeView};
use super::log::artifact_json;
use crate::artifact::ScheduleDoc;
use crate::domain::id::ItemId;
use crate::domain::state::is_system;
use crate::ledger::{Sealed, Snapshot};
use crate::report;

pub(super) fn run(args: &ExportArgs, session: &Session) -> Result<Reply, Failure> {
    let ledger = session.ledger()?;
    let snapshot = ledger.snapshot().map_err(|error| session.ledger_failure(&error))?;
    if let Some(dir) = &args.tree {
        return tree(&session.environment.dir.join(dir), &snapshot, session);
    }
    let items = args.items.iter().map(|id| id.parse()).collect::<Result<Vec<ItemId>, _>>()?;
    let view = view(&snapshot, &items, session)?;
    let mut reply = Reply::new("export", &view);
    let mut text = serde_json::to_string_pretty(&reply.document("export")).unwrap_or_default();
    text.push('\n');
    reply.raw = Some(text);
    for stopped in &view.stopped {
        let message = format!(
            "{} is stopped and left out: {} {}",
            stopped.work_item_id, stopped.path, stopped.what
        );
        reply.warnings.push((message, None));
    }
    if !view.stopped.is_empty() {
        reply.exit = Exit::Damaged;
    }
    Ok(reply)
}

fn view(
    snapshot: &Snapshot<'_>,
    items: &[ItemId],
    session: &Session,
) -> Result<ExportView, Failure> {
    let fail = |error| session.ledger_failure(&error);
    let portfolio = snapshot.portfolio().map_err(fail)?;
    let all: Vec<ItemId> = portfolio.rows.iter().map(|row| row.id.clone()).collect();
    let wanted = if items.is_empty() { &all[..] } else { items };
    let mut view = ExportView {
        generated_at: None,
        items: Vec::new(),
        workflows: Vec::new(),
        ledger_events: Vec::new(),
        stopped: if items.is_empty() {
            super::status::stopped(&portfolio.stopped)
        } else {
            Vec::new()
        },
    };
    let mut used = std::collections::BTreeSet::new();
    for id in wanted {
        let fold = snapshot.known_item(id).map_err(fail)?;
        let mut events = snapshot.events(id).map_err(fail)?;
        // Which fact a decision follows depends on the order; what it decided is the schedule.
        events.retain(|sealed| !is_system(&sealed.event.actor));
        events.sort_by_key(order);
        view.generated_at = view.generated_at.max(Some(fold.state.last_at));
        used.insert(fold.workflow.reference.clone());
        view.items.push(ExportItem {
            item: report::item(&fold.workflow, &fold.state),
            schedule: ScheduleDoc::of(&fold.workflow, &fold.state),
            artifacts: events.iter().map(artifact_json).collect(),
        });
    }
    let mut events = snapshot.ledger_events().map_err(fail)?;
    events.sort_by_key(order);
    if items.is_empty() {
        view.ledger_events = events.iter().map(artifact_json).collect();
    }
    for (path, bytes) in snapshot.files().map_err(fail)? {
        let named = used.iter().any(|reference| {
            crate::artifact::workflow_path(&reference.name, reference.version) == path
        });
        if named && let Ok(definition) = serde_json::from_slice(&bytes) {
            view.workflows.push(definition);
        }
    }
    Ok(view)
}

/// By time, step order, key, attempt and id: never by event number, so that the same facts in
/// another legal order read the same (L4).
fn order(sealed: &Sealed) -> (chrono::DateTime<chrono::Utc>, u32, String, u32, String) {
    let event = &sealed.event;
    let step = event.step.as_ref();
    (
        event.timestamp,
        step.map_or(0, |step| step.order),
        step.map_or_else(String::new, |step| step.key.to_string()),
        event.attempt_id.as_ref().map_or(0, crate::domain::id::AttemptId::number),
        event.id.to_string(),
    )
}

/// Writes `artifacts/` below a folder that is empty or new.
fn tree(dir: &Path, snapshot: &Snapshot<'_>, session: &Session) -> Result<Reply, Failure> {
    let failed = |error: std::io::Error| {
        let message = format!("cannot write {}: {error}", dir.display());
        Failure::new(Exit::Outside, "cannot-write", message)
    };
    let target = dir.join("artifacts");
    if target.exists() {
        let message = format!("{} exists; export writes a new folder", target.display());
        return Err(Failure::usage(message).note("remove it first, or name another folder"));
    }
    let files = snapshot.files().map_err(|error| session.ledger_failure(&error))?;
    let count = files.len();
    for (path, bytes) in files {
        // Ids were parsed at the door; a path that is not one of ours is never written.
        let safe = path.split('/').all(|part| !matches!(part, "" | "." | ".."))
            && path.starts_with("artifacts/")
            && !path.contains('\\');
        if !safe {
            continue;
        }
        let path = dir.join(path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(failed)?;
        }
        std::fs::write(&path, bytes).map_err(failed)?;
    }
    let shown = dir.display().to_string();
    let commit = snapshot.commit();
    let mut reply = Reply::new(
        "export-tree",
        &TreeView { dir: shown.clone(), files: count, commit: commit.clone() },
    );
    reply
        .lines
        .push(said("exported", format!("{count} files to {shown}/artifacts, as of {commit}")));
    Ok(reply)
}
