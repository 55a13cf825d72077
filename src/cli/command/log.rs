//! `log`: what happened, event by event, in the order in which it was recorded.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde_json::value::RawValue;

use super::super::Reply;
use super::super::args::LogArgs;
use super::super::error::Failure;
use super::super::session::Session;
use super::super::ui::{Columns, Ui, clock, short};
use super::super::view::LogView;
use super::which::Which;
use crate::artifact;
use crate::config::Config;
use crate::domain::event::{Event, EventKind as Kind};
use crate::domain::id::{ItemId, StepKey};
use crate::ledger::{Direction, Entry, LedgerError, Progress, Sealed, Snapshot};

/// How many events are told at once: the first few as soon as they are there, then by the page.
const FIRST: usize = 20;
const PAGE: usize = 500;

pub(super) fn run(args: &LogArgs, session: &Session, ui: &mut Ui<'_>) -> Result<Reply, Failure> {
    let ledger = session.ledger()?;
    let fail = |error: LedgerError| session.ledger_failure(&error);
    let snapshot = ledger.snapshot().map_err(fail)?;
    let item: Option<ItemId> = args.item.as_deref().map(str::parse).transpose()?;
    let wanted = Wanted::of(args, &snapshot, session)?;
    // The last ones are found from the end.
    let direction = match args.reverse || args.last.is_some() {
        true => Direction::NewestFirst,
        false => Direction::OldestFirst,
    };
    let history = match &item {
        Some(item) => snapshot.item_history(item, direction),
        None => snapshot.history(direction),
    };
    // What is damaged is said at the end: the rest of the history is told all the same (L10).
    let mut damage = match &item {
        Some(item) => snapshot
            .stop_of(item)
            .map_err(fail)?
            .map(|found| LedgerError::ItemStopped { item: item.clone(), found: Box::new(found) }),
        None => None,
    };
    let mut told = Told::new(item.is_some(), session);
    let (mut last, mut found) = (Vec::new(), 0);
    for (done, entry) in history.map_err(fail)?.enumerate() {
        ui.progress(Progress { what: "events", done, of: 0 });
        if !ui.is_read() || args.last.is_some_and(|most| found >= most) {
            break;
        }
        let read = entry.and_then(|entry| match wanted.may_be(&entry) {
            true => snapshot.read(&entry).map(Some),
            false => Ok(None),
        });
        match read {
            Ok(Some(sealed)) if wanted.is(&sealed.event) => {
                found += 1;
                // Told the other way round once the last ones are known.
                if args.last.is_some() && !args.reverse {
                    last.push(sealed);
                } else {
                    told.tell(&sealed, ui);
                }
            }
            Ok(_) => {}
            Err(
                error @ (LedgerError::ItemStopped { .. }
                | LedgerError::LedgerStopped { .. }
                | LedgerError::BadObject { .. }
                | LedgerError::MissingObject { .. }),
            ) => {
                damage.get_or_insert(error);
            }
            Err(error) => return Err(fail(error)),
        }
    }
    for sealed in last.iter().rev() {
        told.tell(sealed, ui);
    }
    told.flush(ui);
    if let Some(error) = damage {
        return Err(fail(error));
    }
    if let (Some(item), 0) = (&item, found) {
        snapshot.known_item(item).map_err(fail)?;
    }
    let mut reply = Reply::new("log", &());
    // It was said as it was read.
    reply.raw = Some(String::new());
    Ok(reply)
}

/// Which events are wanted: by their path first, so that no others are read.
struct Wanted {
    which: Which,
    items: Option<BTreeSet<ItemId>>,
    step: Option<StepKey>,
    kinds: Vec<Kind>,
}

impl Wanted {
    fn of(args: &LogArgs, snapshot: &Snapshot<'_>, session: &Session) -> Result<Self, Failure> {
        let which = Which::of(&args.which, snapshot, session)?;
        let named = |kind: &Kind| args.event.iter().any(|name| name == kind.name());
        Ok(Self {
            items: which.items(snapshot, session)?,
            which,
            step: args.step.as_deref().map(str::parse).transpose()?,
            kinds: Kind::ALL.iter().copied().filter(named).collect(),
        })
    }

    fn may_be(&self, entry: &Entry) -> bool {
        let named = &entry.named;
        let item =
            |items: &BTreeSet<ItemId>| named.item.as_ref().is_some_and(|item| items.contains(item));
        (self.kinds.is_empty() || self.kinds.contains(&named.kind))
            && (self.step.is_none() || self.step == named.step)
            && self.items.as_ref().is_none_or(item)
            && self.which.may_be(entry)
    }

    fn is(&self, event: &Event) -> bool {
        self.which.is(event)
    }
}

/// Events on their way out, a page at a time.
struct Told<'a> {
    /// The commit that was asked for, for `--json`.
    at: Option<String>,
    /// Of one item: its id is not said again in each line.
    of_one: bool,
    now: DateTime<Utc>,
    config: &'a Config,
    columns: Columns,
    rows: Vec<Vec<String>>,
    text: String,
    waiting: usize,
    page: usize,
}

impl<'a> Told<'a> {
    fn new(of_one: bool, session: &'a Session) -> Self {
        Self {
            at: session.at.clone(),
            of_one,
            now: session.now(),
            config: &session.config,
            columns: Columns::default(),
            rows: Vec::new(),
            text: String::new(),
            waiting: 0,
            page: FIRST,
        }
    }

    fn tell(&mut self, sealed: &Sealed, ui: &mut Ui<'_>) {
        let event = &sealed.event;
        if ui.json {
            let line = LogView {
                schema: "stepseal/cli/log/1".into(),
                commit: self.at.clone(),
                artifact: artifact_json(sealed),
            };
            self.text.push_str(&serde_json::to_string(&line).unwrap_or_default());
            self.text.push('\n');
        } else if ui.quiet {
            self.text.push_str(&format!("{}\t{}\n", event.id, event.kind().name()));
        } else {
            self.rows.push(self.cells(event));
        }
        self.waiting += 1;
        if self.waiting >= self.page {
            self.flush(ui);
            self.page = PAGE;
        }
    }

    fn flush(&mut self, ui: &mut Ui<'_>) {
        ui.rows(&mut self.columns, &std::mem::take(&mut self.rows));
        ui.data(&std::mem::take(&mut self.text));
        self.waiting = 0;
    }

    fn cells(&self, event: &Event) -> Vec<String> {
        let subject = match (&event.attempt_id, &event.step) {
            (Some(attempt), _) => attempt.to_string(),
            (None, Some(step)) => step.key.to_string(),
            (None, None) => "–".to_owned(),
        };
        let mut cells = vec![clock(event.timestamp, self.now, self.config)];
        if !self.of_one {
            let item = event.work_item_id.as_ref();
            cells.push(item.map_or_else(|| "ledger".into(), ToString::to_string));
        }
        cells.extend([
            subject,
            event.kind().name().to_owned(),
            who(event),
            short(&event.outcome.summary, 100),
        ]);
        cells
    }
}

/// Executors work; principals decide gates and reviews.
fn who(event: &Event) -> String {
    match event.kind() {
        Kind::GateApproved
        | Kind::GateRejected
        | Kind::ReworkRequested
        | Kind::ReviewFlagged
        | Kind::ReviewCleared
        | Kind::ReviewMerged
        | Kind::ReviewLinked
        | Kind::ReviewClosed
        | Kind::ReviewOverturned
        | Kind::OwnerTransferred
        | Kind::BlockerDeclared
        | Kind::BlockerResolved
        | Kind::WorkItemResumed
        | Kind::WorkItemCancelled
        | Kind::WorkflowRetired
        | Kind::PolicyChanged => event.actor.principal.to_string(),
        _ => event.actor.id.to_string(),
    }
}

/// An artifact as JSON on one line, word for word what is sealed.
fn artifact_json(sealed: &Sealed) -> Box<RawValue> {
    let line = artifact::encode_event(&sealed.event).ok().and_then(|bytes| {
        let text = String::from_utf8(bytes).ok()?;
        RawValue::from_string(one_line(&text)).ok()
    });
    line.unwrap_or_default()
}

/// Canonical JSON without the spaces and line breaks between its words: only a key, which has no
/// escapes, is followed by one inside a line.
fn one_line(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for line in json.lines().map(str::trim_start) {
        let key = line.strip_prefix('"').and_then(|rest| {
            let end = rest.find(['"', '\\'])?;
            rest[end..].starts_with("\": ").then_some(end + 3)
        });
        match key {
            Some(end) => {
                text.push_str(&line[..end]);
                text.push_str(&line[end + 1..]);
            }
            None => text.push_str(line),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_is_what_a_json_writer_would_make_of_it() {
        let value = serde_json::json!({
            "a": ["x y", "\"quoted\" \\", "two\nlines", ""], "b": {"c": 1, "d": null, "e": {}},
            "s": " ", "l": [], "m": ["k\": v", "k\\", "k: \"", ": "],
        });
        let pretty = serde_json::to_string_pretty(&value).expect("JSON");
        assert_eq!(one_line(&pretty), serde_json::to_string(&value).expect("JSON"));
    }
}
