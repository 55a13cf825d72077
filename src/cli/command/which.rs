//! Which items, and whose events: the filters that every reader shares.

use std::collections::BTreeSet;

use chrono::{DateTime, SecondsFormat, Utc};

use super::super::args::WhichArgs;
use super::super::error::Failure;
use super::super::session::Session;
use super::super::when::moment;
use crate::domain::event::Event;
use crate::domain::id::{ExecutorId, ItemId, PrincipalId, WorkflowName};
use crate::ledger::{Entry, Row, Snapshot};
use crate::report::Asked;

/// The filters, parsed.
#[derive(Debug)]
pub(super) struct Which {
    statuses: Vec<String>,
    workflow: Option<(WorkflowName, Option<u32>)>,
    labels: Vec<String>,
    owner: Option<PrincipalId>,
    executor: Option<ExecutorId>,
    span: Span,
}

/// A span of time: from a moment on, and before another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Span {
    since: Option<DateTime<Utc>>,
    before: Option<DateTime<Utc>>,
}

impl Span {
    fn holds(self, at: DateTime<Utc>) -> bool {
        self.since.is_none_or(|since| since <= at) && self.before.is_none_or(|before| at < before)
    }
}

impl Which {
    /// Parses what was typed; durations count back from what the ledger recorded last.
    pub(super) fn of(
        args: &WhichArgs,
        snapshot: &Snapshot<'_>,
        session: &Session,
    ) -> Result<Self, Failure> {
        let latest = match (&args.since, &args.until) {
            (None, None) => session.now(),
            _ => snapshot.last_recorded().map_err(|error| session.ledger_failure(&error))?,
        };
        Self::back_from(args, latest)
    }

    /// The same, where durations count back from a moment of the caller's.
    pub(super) fn back_from(args: &WhichArgs, latest: DateTime<Utc>) -> Result<Self, Failure> {
        let moment = |flag: &str, text: &Option<String>| match text {
            Some(text) => moment(flag, text, latest).map(Some),
            None => Ok(None),
        };
        let (since, until) = (moment("--since", &args.since)?, moment("--until", &args.until)?);
        Ok(Self {
            statuses: args.status.clone(),
            workflow: args.workflow.as_deref().map(super::workflow_name).transpose()?,
            labels: args.label.clone(),
            owner: args.owner.as_deref().map(str::parse).transpose()?,
            executor: args.executor.as_deref().map(str::parse).transpose()?,
            span: Span {
                since: since.map(|(from, _)| from),
                before: until.map(|(_, before)| before),
            },
        })
    }

    /// The rows of the portfolio that fit.
    pub(super) fn rows(
        &self,
        rows: Vec<Row>,
        snapshot: &Snapshot<'_>,
        session: &Session,
    ) -> Result<Vec<Row>, Failure> {
        // One task at a time: an executor holds steps of one item at most.
        let held = match &self.executor {
            Some(executor) => Some(
                snapshot.live_claim(executor).map_err(|error| session.ledger_failure(&error))?,
            ),
            None => None,
        };
        let holds = |row: &Row| {
            held.as_ref().is_none_or(|held| held.as_ref().is_some_and(|claim| claim.item == row.id))
        };
        let rows = self.changed_then(self.of_kind(rows));
        Ok(rows.into_iter().filter(holds).collect())
    }

    /// The rows that fit whatever their times are and whoever held them.
    pub(super) fn of_kind(&self, rows: Vec<Row>) -> Vec<Row> {
        rows.into_iter().filter(|row| self.fits(row) && self.on(&row.workflow)).collect()
    }

    /// The rows whose latest fact is in the time that is asked for.
    pub(super) fn changed_then(&self, rows: Vec<Row>) -> Vec<Row> {
        rows.into_iter().filter(|row| self.span.holds(row.last_at)).collect()
    }

    /// What is asked for, in words.
    pub(super) fn in_words(&self) -> Vec<Asked> {
        let mut words = Vec::new();
        let mut say =
            |name: &str, value: String| words.push(Asked { name: name.to_owned(), value });
        for status in &self.statuses {
            say("status", status.clone());
        }
        if let Some((name, version)) = &self.workflow {
            let version = version.map(|version| format!("@{version}")).unwrap_or_default();
            say("workflow", format!("{name}{version}"));
        }
        for label in &self.labels {
            say("label", label.clone());
        }
        if let Some(owner) = &self.owner {
            say("owner", owner.to_string());
        }
        if let Some(executor) = &self.executor {
            say("executor", executor.to_string());
        }
        let time = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::AutoSi, true);
        if let Some(since) = self.span.since {
            say("changed since", time(since));
        }
        if let Some(before) = self.span.before {
            say("changed before", time(before));
        }
        words
    }

    /// Who is asked for.
    pub(super) fn executor(&self) -> Option<&ExecutorId> {
        self.executor.as_ref()
    }

    /// The first moment that is asked for, and the first one after.
    pub(super) fn span(&self) -> (Option<DateTime<Utc>>, Option<DateTime<Utc>>) {
        (self.span.since, self.span.before)
    }

    /// What an item itself has to be, whatever happened to it.
    fn fits(&self, row: &Row) -> bool {
        let is = |word: &String| {
            std::iter::once(&row.status).chain(&row.flags).any(|status| status.word() == word)
        };
        (self.statuses.is_empty() || self.statuses.iter().any(is))
            && self.labels.iter().all(|label| row.labels.contains(label))
            && (self.owner.is_none() || self.owner == row.owner)
    }

    /// Whether `NAME@VERSION` is the workflow that was asked for.
    fn on(&self, workflow: &str) -> bool {
        match &self.workflow {
            None => true,
            Some((name, None)) => workflow.split('@').next() == Some(name.as_str()),
            Some((name, Some(version))) => workflow == format!("{name}@{version}"),
        }
    }

    /// The items whose events are wanted; `None` where every event may be.
    pub(super) fn items(
        &self,
        snapshot: &Snapshot<'_>,
        session: &Session,
    ) -> Result<Option<BTreeSet<ItemId>>, Failure> {
        if self.statuses.is_empty() && self.labels.is_empty() && self.owner.is_none() {
            return Ok(None);
        }
        let portfolio = snapshot.portfolio().map_err(|error| session.ledger_failure(&error))?;
        let wanted = portfolio.rows.into_iter().filter(|row| self.fits(row)).map(|row| row.id);
        Ok(Some(wanted.collect()))
    }

    /// Whether an event may be wanted, as far as can be said without reading it.
    pub(super) fn may_be(&self, entry: &Entry) -> bool {
        entry.at.is_none_or(|at| self.span.holds(at))
    }

    /// Whether an event is wanted.
    pub(super) fn is(&self, event: &Event) -> bool {
        let workflow = || {
            let on = event.workflow.as_ref().map(|on| format!("{}@{}", on.name, on.version));
            self.on(&on.unwrap_or_default())
        };
        self.span.holds(event.timestamp)
            && self.executor.as_ref().is_none_or(|executor| *executor == event.actor.id)
            && workflow()
    }
}
