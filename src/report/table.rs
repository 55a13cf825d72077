//! Tables for spreadsheets and scripts: RFC 4180, one header line, and no cell that a spreadsheet
//! would take for a formula.

use std::io::Write;

use chrono::{DateTime, SecondsFormat, Utc};
use csv::{QuoteStyle, Terminator, Writer, WriterBuilder};

use super::item::{AttemptReport, ItemReport, StepReport};
use super::text::harmless;
use crate::domain::event::{Baseline, Event};
use crate::domain::id::ItemId;

/// What a table has a row for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Table {
    Items,
    Steps,
    Attempts,
    Events,
}

impl Table {
    /// Every table, from the whole to the parts.
    pub const ALL: [Self; 4] = [Self::Items, Self::Steps, Self::Attempts, Self::Events];

    /// The word on the command line, and the file's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Items => "items",
            Self::Steps => "steps",
            Self::Attempts => "attempts",
            Self::Events => "events",
        }
    }

    /// The columns' names.
    #[must_use]
    pub fn head(self) -> &'static [&'static str] {
        match self {
            Self::Items => &[
                "work_item_id",
                "title",
                "status",
                "flags",
                "round",
                "steps_done",
                "steps_total",
                "workflow",
                "workflow_version",
                "workflow_sha256",
                "baseline",
                "owner",
                "priority",
                "labels",
                "plan",
                "registered_at",
                "last_at",
                "launch_order",
                "in_progress",
                "survivor",
                "returns",
                "open_blockers",
                "blocked_seconds",
                "stopped",
            ],
            Self::Steps => &[
                "work_item_id",
                "step_key",
                "order",
                "title",
                "role",
                "gate",
                "parallelizable",
                "state",
                "round",
                "attempt_id",
                "executor",
                "claimed_at",
                "lease_until",
                "waits_for",
                "reason",
                "entry_met",
                "entry_total",
                "exit_met",
                "exit_total",
                "attempts",
                "plan_line",
            ],
            Self::Attempts => &[
                "work_item_id",
                "step_key",
                "attempt_id",
                "round",
                "void",
                "state",
                "alias",
                "claim_id",
                "executor",
                "principal",
                "queued_at",
                "claimed_at",
                "ended_at",
                "outcome",
                "next_action",
                "outputs",
                "retry_of",
                "approvals",
            ],
            Self::Events => &[
                "event_id",
                "event_type",
                "timestamp",
                "work_item_id",
                "step_key",
                "order",
                "attempt_id",
                "workflow",
                "workflow_version",
                "actor",
                "actor_kind",
                "principal",
                "outcome_status",
                "outcome_summary",
                "next_action",
                "baseline",
                "links",
                "request_id",
            ],
        }
    }
}

/// A table on its way out.
pub struct Csv<W: Write>(Writer<W>);

impl<W: Write> std::fmt::Debug for Csv<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Csv").finish()
    }
}

impl<W: Write> Csv<W> {
    /// Writes the header.
    ///
    /// # Errors
    /// When `to` does not take it.
    pub fn new(table: Table, to: W) -> std::io::Result<Self> {
        Self::headed(table.head(), to)
    }

    /// A table of other columns.
    ///
    /// # Errors
    /// When `to` does not take its header.
    pub(super) fn headed(head: &[&str], to: W) -> std::io::Result<Self> {
        // Text is always quoted: a program that splits at semicolons finds no formula either.
        let mut writer = WriterBuilder::new()
            .quote_style(QuoteStyle::NonNumeric)
            .terminator(Terminator::CRLF)
            .from_writer(to);
        writer.write_record(head)?;
        Ok(Self(writer))
    }

    pub(super) fn row(&mut self, cells: &[String]) -> std::io::Result<()> {
        Ok(self.0.write_record(cells.iter().map(|text| cell(text)))?)
    }

    /// A row of [`Table::Items`].
    ///
    /// # Errors
    /// When it is not taken.
    pub fn item(&mut self, item: &ItemReport) -> std::io::Result<()> {
        let held = item.steps.iter().filter(|step| step.state == "held");
        self.row(&[
            item.work_item_id.to_string(),
            item.title.clone(),
            item.status.clone(),
            lines(&item.flags),
            item.round.to_string(),
            item.steps_done.to_string(),
            item.steps_total.to_string(),
            item.workflow.name.clone(),
            item.workflow.version.to_string(),
            item.workflow.sha256.to_string(),
            baseline(item.baseline),
            or_empty(item.owner.as_ref()),
            or_empty(item.priority),
            lines(&item.labels),
            or_empty(item.plan.as_ref()),
            time(item.registered_at),
            time(item.last_at),
            lines(&item.launch_order),
            lines(held.filter_map(|step| step.attempt_id.as_ref())),
            or_empty(item.ended.as_ref().and_then(|ended| ended.survivor.as_ref())),
            item.rework.count.to_string(),
            item.blockers.iter().filter(|b| b.resolved_at.is_none()).count().to_string(),
            item.blocked_seconds.to_string(),
            String::new(),
        ])
    }

    /// A row of [`Table::Items`] for an item that cannot be read: named, never left out.
    ///
    /// # Errors
    /// When it is not taken.
    pub fn stopped(&mut self, item: &ItemId, path: &str, what: &str) -> std::io::Result<()> {
        let mut cells = vec![String::new(); Table::Items.head().len()];
        cells[0] = item.to_string();
        cells[2] = "stopped".to_owned();
        if let Some(last) = cells.last_mut() {
            *last = format!("{path} {what}");
        }
        self.row(&cells)
    }

    /// A row of [`Table::Steps`].
    ///
    /// # Errors
    /// When it is not taken.
    pub fn step(&mut self, item: &ItemReport, step: &StepReport) -> std::io::Result<()> {
        let met = |criteria: &[super::item::CriterionReport]| {
            criteria.iter().filter(|criterion| criterion.met).count().to_string()
        };
        self.row(&[
            item.work_item_id.to_string(),
            step.key.to_string(),
            step.order.to_string(),
            step.title.clone(),
            or_empty(step.role.as_ref()),
            or_empty(step.gate.as_ref()),
            step.parallelizable.to_string(),
            step.state.clone(),
            step.round.to_string(),
            or_empty(step.attempt_id.as_ref()),
            or_empty(step.executor.as_ref()),
            or_empty(step.claimed_at.map(time)),
            or_empty(step.lease_until.map(time)),
            lines(&step.waits_for),
            or_empty(step.reason.as_ref()),
            met(&step.entry),
            step.entry.len().to_string(),
            met(&step.exit),
            step.exit.len().to_string(),
            step.attempts.len().to_string(),
            or_empty(step.plan_line),
        ])
    }

    /// A row of [`Table::Attempts`].
    ///
    /// # Errors
    /// When it is not taken.
    pub fn attempt(
        &mut self,
        item: &ItemReport,
        step: &StepReport,
        attempt: &AttemptReport,
    ) -> std::io::Result<()> {
        let outputs = attempt
            .outputs
            .iter()
            .map(|output| format!("{} sha256:{}", output.path, output.sha256));
        self.row(&[
            item.work_item_id.to_string(),
            step.key.to_string(),
            attempt.attempt_id.to_string(),
            attempt.round.to_string(),
            attempt.void.to_string(),
            attempt.state.clone(),
            or_empty(attempt.alias.as_ref()),
            or_empty(attempt.claim_id),
            or_empty(attempt.executor.as_ref()),
            or_empty(attempt.principal.as_ref()),
            time(attempt.queued_at),
            or_empty(attempt.claimed_at.map(time)),
            or_empty(attempt.ended_at.map(time)),
            or_empty(attempt.outcome.as_ref()),
            or_empty(attempt.next_action.as_ref()),
            lines(outputs),
            or_empty(attempt.retry_of.as_ref()),
            lines(&attempt.approvals),
        ])
    }

    /// A row of [`Table::Events`].
    ///
    /// # Errors
    /// When it is not taken.
    pub fn event(&mut self, event: &Event) -> std::io::Result<()> {
        let workflow = event.workflow.as_ref();
        let links = event.links.iter().map(|link| format!("{} {}", link.rel, link.id));
        self.row(&[
            event.id.to_string(),
            event.kind().name().to_owned(),
            time(event.timestamp),
            or_empty(event.work_item_id.as_ref()),
            or_empty(event.step.as_ref().map(|step| &step.key)),
            or_empty(event.step.as_ref().map(|step| step.order)),
            or_empty(event.attempt_id.as_ref()),
            or_empty(workflow.map(|workflow| &workflow.name)),
            or_empty(workflow.map(|workflow| workflow.version)),
            event.actor.id.to_string(),
            event.actor.kind.word().to_owned(),
            event.actor.principal.to_string(),
            event.outcome.status.clone(),
            event.outcome.summary.clone(),
            event.next_action.clone(),
            baseline(event.baseline_integration),
            lines(links),
            or_empty(event.request.as_ref().map(|request| &request.id)),
        ])
    }

    /// Hands back where the table went.
    ///
    /// # Errors
    /// When its last rows are not taken.
    pub fn end(self) -> std::io::Result<W> {
        self.0.into_inner().map_err(csv::IntoInnerError::into_error)
    }
}

/// A cell: controls shown, and what a spreadsheet would compute made text, by the apostrophe that
/// spreadsheets know for that.
fn cell(text: &str) -> String {
    let text = harmless(text);
    let formula = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];
    if text.starts_with(formula) { format!("'{text}") } else { text }
}

/// Several values in one cell: one a line, so that none needs escaping.
pub(super) fn lines<T: ToString>(values: impl IntoIterator<Item = T>) -> String {
    let one = |value: T| value.to_string().replace(['\n', '\r'], " ");
    values.into_iter().map(one).collect::<Vec<_>>().join("\n")
}

pub(super) fn or_empty<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

pub(super) fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn baseline(baseline: Baseline) -> String {
    match baseline {
        Baseline::Pre => "pre",
        Baseline::Post => "post",
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_never_a_formula() {
        for start in ["=", "+", "-", "@", "\t", "\n", "\r\n", "＝", "＋", "－", "＠"] {
            let text = cell(&format!("{start}SUM(A1)"));
            assert!(text.starts_with('\''), "{text:?}");
        }
        assert_eq!(cell("a=b"), "a=b");
        assert_eq!(cell("\r=1"), "\\u{d}=1");
        assert_eq!(cell("\u{1b}[31m=\u{202e}"), "\\u{1b}[31m=\\u{202e}");
        assert_eq!(cell("two\r\nlines"), "two\nlines");
    }

    #[test]
    fn a_stopped_item_has_as_many_cells_as_any_other() {
        let mut csv = Csv::new(Table::Items, Vec::new()).expect("a header");
        csv.stopped(&"WI-7".parse().expect("an id"), "artifacts/x.json", "was altered")
            .expect("a row");
        let text = String::from_utf8(csv.end().expect("a table")).expect("text");
        let (head, row) = text.split_once("\r\n").expect("two lines");
        assert_eq!(head.split(',').count(), Table::Items.head().len());
        assert!(row.starts_with("\"WI-7\",\"\",\"stopped\","), "{row}");
        assert!(row.ends_with("\"artifacts/x.json was altered\"\r\n"), "{row}");
    }
}
