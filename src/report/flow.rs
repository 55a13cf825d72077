//! Metrics as tables: one row for each part, milliseconds and counts, one column a number.

use super::table::{Csv, lines, or_empty, time};
use crate::domain::metrics::{
    AttemptFlow, Flow, ItemFlow, Ratio, Spread, StepFlow, Times, WorkflowFlow,
};

/// What the cell of a row says.
type Cell<R> = Box<dyn Fn(&R) -> String>;

/// The columns of a table: each name with what its cells say.
struct Sheet<R>(Vec<(String, Cell<R>)>);

impl<R: 'static> Sheet<R> {
    fn new() -> Self {
        Self(Vec::new())
    }

    fn put<V: ToString>(mut self, name: &str, cell: impl Fn(&R) -> V + 'static) -> Self {
        self.0.push((name.to_owned(), Box::new(move |row| cell(row).to_string())));
        self
    }

    fn known<V: ToString>(self, name: &str, cell: impl Fn(&R) -> Option<V> + 'static) -> Self {
        self.put(name, move |row| or_empty(cell(row)))
    }

    fn spread(self, name: &str, of: impl Fn(&R) -> &Spread + Copy + 'static) -> Self {
        let column = |what: &str| format!("{name}_{what}");
        self.put(&column("count"), move |row| of(row).count)
            .put(&column("total_ms"), move |row| of(row).total_ms)
            .known(&column("mean_ms"), move |row| of(row).mean_ms)
            .known(&column("p50_ms"), move |row| of(row).p50_ms)
            .known(&column("p85_ms"), move |row| of(row).p85_ms)
            .known(&column("p95_ms"), move |row| of(row).p95_ms)
            .known(&column("max_ms"), move |row| of(row).max_ms)
    }

    fn ratio(self, name: &str, of: impl Fn(&R) -> &Ratio + Copy + 'static) -> Self {
        let column = |what: &str| format!("{name}_{what}");
        self.put(&column("count"), move |row| of(row).count)
            .put(&column("of"), move |row| of(row).of)
            .known(&column("basis_points"), move |row| of(row).basis_points)
    }

    fn times(self, of: impl Fn(&R) -> &Times + Copy + 'static) -> Self {
        self.put("working_ms", move |row| of(row).working_ms)
            .put("waiting_ms", move |row| of(row).waiting_ms)
            .put("deciding_ms", move |row| of(row).deciding_ms)
            .put("review_ms", move |row| of(row).review_ms)
            .put("blocked_ms", move |row| of(row).blocked_ms)
    }

    fn flow(self, of: impl Fn(&R) -> &Flow + Copy + 'static) -> Self {
        self.put("items", move |row| of(row).items)
            .put("registered", move |row| of(row).registered)
            .put("finished", move |row| of(row).finished)
            .put("dropped", move |row| of(row).dropped)
            .put("imported", move |row| of(row).imported)
            .put("not_started", move |row| of(row).not_started)
            .put("in_progress", move |row| of(row).in_progress)
            .spread("lead", move |row| &of(row).lead_time)
            .spread("cycle", move |row| &of(row).cycle_time)
            .spread("age", move |row| &of(row).age)
            .times(move |row| &of(row).times)
            .ratio("flow_efficiency", move |row| &of(row).flow_efficiency)
            .ratio("first_pass_yield", move |row| &of(row).first_pass_yield)
            .ratio("sent_back", move |row| &of(row).rework.sent_back)
            .put("returns", move |row| of(row).rework.returns)
            .ratio("effort_again", move |row| &of(row).rework.effort)
            .put("returns_by_cause", move |row| {
                let by = of(row).rework.by_cause.iter();
                lines(by.map(|by| format!("{} {}", by.cause.word(), by.count)))
            })
            .put("returns_by_reason", move |row| {
                let by = of(row).rework.by_reason.iter();
                lines(by.map(|by| format!("{} {}", by.count, by.reason)))
            })
            .put("blockers", move |row| {
                let by = of(row).blockers.iter();
                lines(by.map(|by| format!("{} {} {}", by.kind, by.count, by.open_time.total_ms)))
            })
    }

    fn written(self, rows: &[R]) -> String {
        let head: Vec<&str> = self.0.iter().map(|(name, _)| name.as_str()).collect();
        let table = || -> std::io::Result<Vec<u8>> {
            let mut csv = Csv::headed(&head, Vec::new())?;
            for row in rows {
                csv.row(&self.0.iter().map(|(_, cell)| cell(row)).collect::<Vec<_>>())?;
            }
            csv.end()
        };
        // Memory takes whatever is written, and all of it is text.
        table().ok().and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default()
    }
}

/// One row: the whole.
#[must_use]
pub fn portfolio_table(total: &Flow) -> String {
    Sheet::new().flow(|row: &Flow| row).written(std::slice::from_ref(total))
}

/// A row for each workflow version.
#[must_use]
pub fn workflow_table(rows: &[WorkflowFlow]) -> String {
    Sheet::new()
        .put("workflow", |row: &WorkflowFlow| row.workflow.clone())
        .put("workflow_version", |row| row.version)
        .flow(|row| &row.flow)
        .written(rows)
}

/// A row for each item.
#[must_use]
pub fn item_table(rows: &[ItemFlow]) -> String {
    Sheet::new()
        .put("work_item_id", |row: &ItemFlow| row.work_item_id.clone())
        .put("title", |row| row.title.clone())
        .put("workflow", |row| row.workflow.clone())
        .put("workflow_version", |row| row.version)
        .put("standing", |row| row.standing.word())
        .put("registered_at", |row| time(row.registered_at))
        .known("started_at", |row| row.started_at.map(time))
        .known("over_at", |row| row.over_at.map(time))
        .known("lead_ms", |row| row.lead_ms)
        .known("cycle_ms", |row| row.cycle_ms)
        .put("age_ms", |row| row.age_ms)
        .times(|row| &row.times)
        .ratio("flow_efficiency", |row| &row.flow_efficiency)
        .put("attempts", |row| row.attempts)
        .put("returns", |row| row.returns.len())
        .put("return_reasons", |row| lines(row.returns.iter().map(|back| back.reason.clone())))
        .put("blockers", |row| {
            let by = row.blockers.iter();
            lines(by.map(|by| format!("{} {} {}", by.blocker_id, by.kind, by.open_ms)))
        })
        .written(rows)
}

/// A row for each step of a workflow version.
#[must_use]
pub fn step_table(rows: &[StepFlow]) -> String {
    Sheet::new()
        .put("workflow", |row: &StepFlow| row.workflow.clone())
        .put("workflow_version", |row| row.version)
        .put("step_key", |row| row.step_key.clone())
        .put("order", |row| row.order)
        .put("gate", |row| row.gate)
        .put("items", |row| row.items)
        .spread("cycle", |row| &row.cycle_time)
        .spread("queue", |row| &row.queue_time)
        .times(|row| &row.times)
        .put("ended", |row| lines(row.ended.iter().map(|by| format!("{} {}", by.state, by.count))))
        .put("queued", |row| row.queued)
        .put("held", |row| row.held)
        .ratio("first_pass_yield", |row| &row.first_pass_yield)
        .ratio("void", |row| &row.void)
        .put("returned_to", |row| row.returned_to)
        .written(rows)
}

/// A row for each attempt.
#[must_use]
pub fn attempt_table(rows: &[AttemptFlow]) -> String {
    Sheet::new()
        .put("work_item_id", |row: &AttemptFlow| row.work_item_id.clone())
        .put("step_key", |row| row.step_key.clone())
        .put("order", |row| row.order)
        .put("gate", |row| row.gate)
        .put("attempt_id", |row| row.attempt_id.clone())
        .put("round", |row| row.round)
        .put("state", |row| row.state.clone())
        .known("executor", |row| row.executor.clone())
        .put("queued_at", |row| time(row.queued_at))
        .known("claimed_at", |row| row.claimed_at.map(time))
        .known("ended_at", |row| row.ended_at.map(time))
        .times(|row| &row.times)
        .written(rows)
}
