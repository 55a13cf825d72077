//! `log`: what happened, event by event.

use serde_json::Value;

use super::super::Reply;
use super::super::args::LogArgs;
use super::super::error::Failure;
use super::super::session::Session;
use super::super::ui::{Line, Ui, clock, short};
use super::super::view::LogView;
use crate::artifact;
use crate::domain::id::ItemId;
use crate::ledger::Sealed;

pub(super) fn run(args: &LogArgs, session: &Session, ui: &mut Ui<'_>) -> Result<Reply, Failure> {
    let ledger = session.ledger()?;
    let fail = |error| session.ledger_failure(&error);
    let snapshot = match &args.at {
        Some(commit) => ledger.snapshot_at(commit).map_err(fail)?,
        None => ledger.snapshot().map_err(fail)?,
    };
    let mut events: Vec<Sealed> = Vec::new();
    match &args.item {
        Some(item) => {
            let item: ItemId = item.parse()?;
            events = snapshot.events(&item).map_err(fail)?;
            if events.is_empty() {
                snapshot.known_item(&item).map_err(fail)?;
            }
        }
        None => {
            events.extend(snapshot.ledger_events().map_err(fail)?);
            for item in snapshot.item_ids().map_err(fail)? {
                events.extend(snapshot.events(&item).map_err(fail)?);
            }
            // Between items only time tells; within one the stable sort keeps the ledger's order.
            events.sort_by_key(|sealed| sealed.event.timestamp);
        }
    }
    if let Some(last) = args.last {
        events.drain(..events.len().saturating_sub(last));
    }
    let mut reply = Reply::new("log", &());
    if ui.json {
        let mut text = String::new();
        for sealed in &events {
            let line = LogView {
                schema: "stepseal/cli/log/1".into(),
                commit: args.at.clone(),
                artifact: artifact_value(sealed),
            };
            text.push_str(&serde_json::to_string(&line).unwrap_or_default());
            text.push('\n');
        }
        reply.raw = Some(text);
        return Ok(reply);
    }
    let now = session.now();
    for sealed in &events {
        let event = &sealed.event;
        let subject = match (&event.attempt_id, &event.step) {
            (Some(attempt), _) => attempt.to_string(),
            (None, Some(step)) => step.key.to_string(),
            (None, None) => ui.mark('–'),
        };
        let item = event.work_item_id.as_ref().map_or_else(|| "ledger".into(), ToString::to_string);
        let mut cells = vec![clock(event.timestamp, now, &session.config)];
        if args.item.is_none() {
            cells.push(item);
        }
        cells.extend([
            subject,
            event.kind().name().to_owned(),
            who(event),
            short(&event.outcome.summary, 100),
        ]);
        reply.lines.push(Line::Row(cells));
        reply.quiet.push_str(&format!("{}\t{}\n", event.id, event.kind().name()));
    }
    Ok(reply)
}

/// Executors work; principals decide gates and reviews.
fn who(event: &crate::domain::event::Event) -> String {
    use crate::domain::event::EventKind as Kind;
    match event.kind() {
        Kind::GateApproved | Kind::GateRejected | Kind::ReviewFlagged | Kind::ReviewCleared => {
            event.actor.principal.to_string()
        }
        _ => event.actor.id.to_string(),
    }
}

/// An artifact as JSON, word for word what is sealed.
pub(super) fn artifact_value(sealed: &Sealed) -> Value {
    artifact::encode_event(&sealed.event)
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or(Value::Null)
}
