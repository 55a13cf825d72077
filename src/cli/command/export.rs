//! `export`: everything as JSON, as tables or as one report, or the ledger's files as a folder
//! (FR-026).
//!
//! It shows facts and what follows from them, never an event number, so that the same facts in
//! another legal order read the same (L4). A page is written beside its place and moved there
//! whole, or copied to stdout once all of it is known: nobody reads half an export.
#![expect(clippy::disallowed_methods, reason = "writes the folder the caller names")]

use std::collections::BTreeSet;
use std::io::{Seek as _, Write};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::Serialize;
use tempfile::{NamedTempFile, SpooledTempFile};

use super::super::Reply;
use super::super::args::{ExportArgs, ExportFormat};
use super::super::error::{Failure, next};
use super::super::exit::Exit;
use super::super::session::Session;
use super::super::ui::{Ui, said};
use super::super::view::{FilesView, TreeView};
use super::which::Which;
use crate::artifact::{self, ScheduleDoc};
use crate::domain::event::{EventKind, WorkflowRef};
use crate::domain::id::{AttemptId, ExecutorId, ItemId};
use crate::domain::metrics::{self, Flow, History, Item, ItemFlow, Series, Window};
use crate::ledger::{
    Direction, Entry, ItemFold, LedgerError, Progress, Row, Sealed, Snapshot, Stopped,
};
use crate::ops::Measuring;
use crate::report::{
    self, Asked, Csv, Detail, ItemReport, Overview, Page as HtmlPage, Table, Told, Unreadable,
};

/// How many items have a section of their own on a page with several.
const TOLD_WHOLE: usize = 60;

/// How much of a page is kept in memory before it goes to a temporary file.
const IN_MEMORY: usize = 8 * 1024 * 1024;

pub(super) fn run(args: &ExportArgs, session: &Session, ui: &mut Ui<'_>) -> Result<Reply, Failure> {
    let tables = tables(args, ui)?;
    let ledger = session.ledger()?;
    let snapshot = ledger.snapshot().map_err(|error| session.ledger_failure(&error))?;
    let dir = &session.environment.dir;
    if let Some(tree) = &args.tree {
        return self::tree(&dir.join(tree), &snapshot, session);
    }
    let mut chosen = Chosen::of(args, &snapshot, session)?;
    let output = args.output.as_ref().map(|output| dir.join(output));
    let mut pages = match args.format {
        ExportFormat::Json => vec![Page::new("export.json".into(), output.as_deref())?],
        ExportFormat::Md => vec![Page::new("report.md".into(), output.as_deref())?],
        ExportFormat::Html => vec![Page::new("report.html".into(), output.as_deref())?],
        ExportFormat::Csv => tables
            .iter()
            .map(|table| Page::new(format!("{}.csv", table.name()), output.as_deref()))
            .collect::<Result<_, _>>()?,
    };
    match args.format {
        ExportFormat::Json => chosen.json(&mut pages[0], ui)?,
        ExportFormat::Md => chosen.markdown(&mut pages[0], ui)?,
        ExportFormat::Html => chosen.html(&mut pages[0], ui)?,
        ExportFormat::Csv => chosen.csv(&tables, &mut pages, ui)?,
    }
    let mut reply = match output {
        Some(output) => kept(&output, pages)?,
        None => {
            let mut reply = Reply::new("export", &());
            reply.spool = pages.pop().map(Page::rewound).transpose()?;
            reply
        }
    };
    for stopped in &chosen.stopped {
        let message =
            format!("{} is stopped: {} {}", stopped.id, stopped.stop.path, stopped.stop.what);
        reply.warnings.push((message, None));
    }
    reply.exit = chosen.exit();
    Ok(reply)
}

/// The tables that are asked for; stdout takes one.
fn tables(args: &ExportArgs, ui: &Ui<'_>) -> Result<Vec<Table>, Failure> {
    if args.format != ExportFormat::Csv {
        if args.table.is_some() {
            return Err(Failure::usage("--table is for --format csv"));
        }
        let page = match args.format {
            ExportFormat::Md => Some("md"),
            ExportFormat::Html => Some("html"),
            ExportFormat::Json | ExportFormat::Csv => None,
        };
        if let (true, Some(page), None) = (ui.json, page, &args.output) {
            return Err(one_document(page));
        }
        return Ok(Vec::new());
    }
    if ui.json && args.output.is_none() {
        return Err(one_document("csv"));
    }
    match (args.table, &args.output) {
        (Some(table), _) => Ok(vec![table.table()]),
        (None, Some(_)) => Ok(Table::ALL.to_vec()),
        (None, None) => {
            let csv = ["export", "--format", "csv"];
            Err(Failure::usage("which table: items, steps, attempts or events?")
                .then(next(csv).with(["--table", "items"]))
                .then(next(csv).with(["--output", "DIR"]).note("all four, as files")))
        }
    }
}

fn one_document(format: &str) -> Failure {
    Failure::usage(format!("--json answers with one JSON document, and {format} is none"))
        .then(next(["export", "--format", format]))
        .then(next(["export", "--format", format, "--output", "DIR", "--json"]))
}

fn cannot_write(what: &Path, error: &std::io::Error) -> Failure {
    let message = format!("cannot write {}: {error}", what.display());
    Failure::new(Exit::Outside, "cannot-write", message)
}

/// One file of an export, on its way.
struct Page {
    name: String,
    to: To,
}

enum To {
    Stdout(SpooledTempFile),
    File(NamedTempFile, PathBuf),
}

impl Page {
    /// A page for a folder, which is made, or for stdout.
    fn new(name: String, folder: Option<&Path>) -> Result<Self, Failure> {
        let Some(folder) = folder else {
            return Ok(Self { name, to: To::Stdout(SpooledTempFile::new(IN_MEMORY)) });
        };
        let mut builder = tempfile::Builder::new();
        builder.prefix(".stepseal-export-");
        // Readable by whom the caller's umask lets read, like any file they write.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let file = std::fs::create_dir_all(folder)
            .and_then(|()| builder.tempfile_in(folder))
            .map_err(|error| cannot_write(folder, &error))?;
        let path = folder.join(&name);
        Ok(Self { name, to: To::File(file, path) })
    }

    fn failed(&self, error: &std::io::Error) -> Failure {
        match &self.to {
            To::Stdout(_) => cannot_write(Path::new("a temporary file"), error),
            To::File(_, path) => cannot_write(path, error),
        }
    }

    fn put(&mut self, text: &str) -> Result<(), Failure> {
        self.write_all(text.as_bytes()).map_err(|error| self.failed(&error))
    }

    /// The page from its beginning.
    fn rewound(self) -> Result<SpooledTempFile, Failure> {
        let failed = |error| cannot_write(Path::new("a temporary file"), &error);
        match self.to {
            To::Stdout(mut spool) => spool.rewind().map(|()| spool).map_err(failed),
            To::File(..) => Err(Failure::new(Exit::Internal, "internal", "a file is no answer")),
        }
    }

    /// Moves the page to its place.
    fn keep(self) -> Result<String, Failure> {
        if let To::File(file, path) = self.to {
            file.persist(&path).map_err(|error| cannot_write(&path, &error.error))?;
        }
        Ok(self.name)
    }
}

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match &mut self.to {
            To::Stdout(spool) => spool.write(bytes),
            To::File(file, _) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match &mut self.to {
            To::Stdout(spool) => spool.flush(),
            To::File(file, _) => file.flush(),
        }
    }
}

/// Says which files there are now.
fn kept(dir: &Path, pages: Vec<Page>) -> Result<Reply, Failure> {
    let files = pages.into_iter().map(Page::keep).collect::<Result<Vec<_>, _>>()?;
    let shown = dir.display().to_string();
    let mut reply =
        Reply::new("export-files", &FilesView { dir: shown.clone(), files: files.clone() });
    reply.quiet = files.iter().map(|file| format!("{}\n", dir.join(file).display())).collect();
    reply.lines.push(said("exported", format!("{} to {shown}", files.join(", "))));
    Ok(reply)
}

/// The items of an export, in the order of their ids.
struct Chosen<'s> {
    snapshot: &'s Snapshot<'s>,
    session: &'s Session,
    rows: Vec<Row>,
    stopped: Vec<Stopped>,
    /// Nobody chose: what concerns the whole ledger belongs to it.
    whole: bool,
    /// One item was named.
    one: bool,
    /// What was asked for, in words.
    asked: Vec<Asked>,
}

impl<'s> Chosen<'s> {
    fn of(
        args: &ExportArgs,
        snapshot: &'s Snapshot<'s>,
        session: &'s Session,
    ) -> Result<Self, Failure> {
        let fail = |error| session.ledger_failure(&error);
        let named: BTreeSet<ItemId> =
            args.items.iter().map(|id| id.parse()).collect::<Result<_, _>>()?;
        let filtered = args.which.is_given();
        if !named.is_empty() && filtered {
            return Err(Failure::usage("items were named: leave them out to see which items fit"));
        }
        let which = Which::of(&args.which, snapshot, session)?;
        let (rows, stopped) = if named.is_empty() {
            let portfolio = snapshot.portfolio().map_err(fail)?;
            let rows = which.changed_then(which.of_kind(portfolio.rows));
            (held_by(which.executor(), rows, snapshot, session)?, portfolio.stopped)
        } else {
            let row = |id: &ItemId| {
                let fold = snapshot.known_item(id).map_err(fail)?;
                Ok(Row::of(&fold.workflow, &fold.state))
            };
            (named.iter().map(row).collect::<Result<_, Failure>>()?, Vec::new())
        };
        let mut asked = which.in_words();
        if named.len() > 1 {
            let value = named.iter().map(ItemId::as_str).collect::<Vec<_>>().join(", ");
            asked.push(Asked { name: "items".into(), value });
        }
        let whole = named.is_empty() && !filtered;
        Ok(Self { snapshot, session, rows, stopped, whole, one: named.len() == 1, asked })
    }

    /// An export that had to leave something out says so.
    fn exit(&self) -> Exit {
        if self.stopped.is_empty() { Exit::Ok } else { Exit::Damaged }
    }

    fn latest(&self) -> Option<DateTime<Utc>> {
        self.rows.iter().map(|row| row.last_at).max()
    }

    /// Makes something of every item, on several threads, and does something with it in order.
    fn each<T: Send>(
        &self,
        ui: &Ui<'_>,
        make: impl Fn(&Snapshot<'_>, &ItemFold) -> Result<T, LedgerError> + Sync,
        mut act: impl FnMut(T) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let items: Vec<&ItemId> = self.rows.iter().map(|row| &row.id).collect();
        let whole =
            |snapshot: &Snapshot<'_>, item: &ItemId| make(snapshot, &snapshot.known_item(item)?);
        self.snapshot.each(&items, whole, |done, made| {
            ui.progress(Progress { what: "items", done, of: items.len() });
            act(made.map_err(|error| self.session.ledger_failure(&error))?)
        })
    }

    fn ledger_facts(&self) -> Result<Vec<Fact>, Failure> {
        if !self.whole {
            return Ok(Vec::new());
        }
        let events = self.snapshot.ledger_events();
        let events = events.map_err(|error| self.session.ledger_failure(&error))?;
        let whole = |sealed: Sealed| {
            let bytes = artifact::encode_event(&sealed.event).unwrap_or_default();
            (sealed, bytes)
        };
        Ok(ordered(events.into_iter().map(whole).collect()))
    }

    /// Writes the one JSON document, item by item.
    fn json(&self, page: &mut Page, ui: &Ui<'_>) -> Result<(), Failure> {
        page.put("{\n")?;
        page.put(&field("schema", &"stepseal/cli/export/1"))?;
        page.put(&field("command", &"export"))?;
        page.put(&field("exitCode", &self.exit().code()))?;
        page.put(&field("generatedAt", &self.latest()))?;
        let mut used: BTreeSet<WorkflowRef> = BTreeSet::new();
        let mut list = List::open("items", page)?;
        let make = |snapshot: &Snapshot<'_>, fold: &ItemFold| {
            let item = reported(snapshot, fold)?;
            let schedule = ScheduleDoc::of(&fold.workflow, &fold.state)
                .under(snapshot.ledger()?, &fold.workflow);
            let facts = facts(snapshot, &fold.state.id)?;
            Ok((fold.workflow.reference.clone(), whole_item(&item, &schedule, &facts)))
        };
        self.each(ui, make, |(reference, item)| {
            used.insert(reference);
            list.add(&item)
        })?;
        list.close()?;
        let mut list = List::open("workflows", page)?;
        for reference in &used {
            let bytes = self.snapshot.definition(reference);
            let bytes = bytes.map_err(|error| self.session.ledger_failure(&error))?;
            list.add(&verbatim(&bytes, 2))?;
        }
        list.close()?;
        let mut list = List::open("ledgerEvents", page)?;
        for (_, bytes) in self.ledger_facts()? {
            list.add(&verbatim(&bytes, 2))?;
        }
        list.close()?;
        let mut list = List::open("stopped", page)?;
        for stopped in super::status::stopped(&self.stopped) {
            list.add(&pretty(&stopped, 2))?;
        }
        list.close()?;
        page.put(&field("recorded", &false))?;
        page.put("  \"next\": []\n}\n")
    }

    /// Writes tables, all of them in one pass.
    fn csv(&self, tables: &[Table], pages: &mut [Page], ui: &Ui<'_>) -> Result<(), Failure> {
        let failed = |error| cannot_write(Path::new("the table"), &error);
        let mut open: Vec<(Table, Csv<&mut Page>)> = Vec::new();
        for (table, page) in tables.iter().zip(pages) {
            open.push((*table, Csv::new(*table, page).map_err(failed)?));
        }
        let mut fill = |item: Option<&ItemReport>, facts: &[Fact]| {
            for (table, csv) in &mut open {
                match (*table, item) {
                    (Table::Items, Some(item)) => csv.item(item).map_err(failed)?,
                    (Table::Steps, Some(item)) => {
                        for step in &item.steps {
                            csv.step(item, step).map_err(failed)?;
                        }
                    }
                    (Table::Attempts, Some(item)) => {
                        for step in &item.steps {
                            for attempt in &step.attempts {
                                csv.attempt(item, step, attempt).map_err(failed)?;
                            }
                        }
                    }
                    (Table::Events, _) => {
                        for (sealed, _) in facts {
                            csv.event(&sealed.event).map_err(failed)?;
                        }
                    }
                    // After the items: what cannot be read.
                    (Table::Items, None) => {
                        for stopped in &self.stopped {
                            let stop = &stopped.stop;
                            csv.stopped(&stopped.id, &stop.path, &stop.what).map_err(failed)?;
                        }
                    }
                    (Table::Steps | Table::Attempts, None) => {}
                }
            }
            Ok::<(), Failure>(())
        };
        let events = tables.iter().any(|table| matches!(table, Table::Events));
        let make = |snapshot: &Snapshot<'_>, fold: &ItemFold| {
            let item = reported(snapshot, fold)?;
            let facts = if events { facts(snapshot, &fold.state.id)? } else { Vec::new() };
            Ok((item, facts))
        };
        self.each(ui, make, |(item, facts)| fill(Some(&item), &facts))?;
        // What concerns no item.
        let facts = if events { self.ledger_facts()? } else { Vec::new() };
        fill(None, &facts)?;
        for (_, csv) in open {
            csv.end().map_err(failed)?;
        }
        Ok(())
    }

    /// Writes the one page.
    fn html(&mut self, page: &mut Page, ui: &Ui<'_>) -> Result<(), Failure> {
        let ids: Vec<ItemId> = self.rows.iter().map(|row| row.id.clone()).collect();
        let followed = self.snapshot.follow::<Measuring>(&ids);
        let followed = followed.map_err(|error| self.session.ledger_failure(&error))?;
        let as_of = self.latest().map_or(0, |latest| latest.timestamp_millis());
        let (mut rows, mut items) = (Vec::new(), Vec::new());
        for (row, followed) in std::mem::take(&mut self.rows).into_iter().zip(followed) {
            match followed {
                Ok(history) => {
                    items.extend(history.at(as_of));
                    rows.push(row);
                }
                Err(stopped) => self.stopped.push(stopped),
            }
        }
        self.rows = rows;
        let told = self.told_whole();
        let mut folds = Vec::with_capacity(told.len());
        for (done, id) in told.iter().enumerate() {
            ui.progress(Progress { what: "items", done, of: told.len() });
            let fold = self.snapshot.known_item(id);
            let fold = fold.map_err(|error| self.session.ledger_failure(&error))?;
            let facts = facts(self.snapshot, id);
            let facts = facts.map_err(|error| self.session.ledger_failure(&error))?;
            let facts = facts.iter().map(|(sealed, _)| Told::of(&sealed.event)).collect();
            let item = reported(self.snapshot, &fold);
            let item = item.map_err(|error| self.session.ledger_failure(&error))?;
            folds.push((fold, item, facts));
        }
        let window = Window { from: None, before: as_of + 1, as_of };
        let all: Vec<&Item> = items.iter().collect();
        let flows: Vec<ItemFlow> = items.iter().map(Item::flow).collect();
        let of = |id: &ItemId| flows.binary_search_by(|flow| flow.work_item_id.cmp(id)).ok();
        let details =
            folds.iter().map(|(fold, item, facts): &(ItemFold, ItemReport, Vec<Told>)| Detail {
                workflow: &fold.workflow,
                item: item.clone(),
                flow: of(&fold.state.id).map(|at| flows[at].clone()),
                facts: facts.clone(),
            });
        let details = details.collect();
        let text = report::page(&HtmlPage {
            asked: self.asked.clone(),
            one: self.one,
            items: self.rows.iter().map(overview).collect(),
            unreadable: self.unreadable(),
            total: Flow::of(&all, &window),
            series: Series::of(&all, &window),
            steps: metrics::by_step(&all, &window),
            flows: flows.clone(),
            details,
        });
        page.put(&text)
    }

    /// The items whose own section a page has: those that are not over, and what changed last.
    fn told_whole(&self) -> Vec<ItemId> {
        let mut rows: Vec<&Row> = self.rows.iter().collect();
        rows.sort_by_key(|row| (row.status.is_over(), std::cmp::Reverse(row.last_at), &row.id));
        rows.truncate(TOLD_WHOLE);
        let mut ids: Vec<ItemId> = rows.into_iter().map(|row| row.id.clone()).collect();
        ids.sort();
        ids
    }

    fn unreadable(&self) -> Vec<Unreadable> {
        let one = |stopped: &Stopped| Unreadable {
            work_item_id: stopped.id.clone(),
            path: stopped.stop.path.clone(),
            what: stopped.stop.what.clone(),
        };
        self.stopped.iter().map(one).collect()
    }

    /// Writes the one report.
    fn markdown(&self, page: &mut Page, ui: &Ui<'_>) -> Result<(), Failure> {
        let overview: Vec<Overview> = self.rows.iter().map(overview).collect();
        page.put(&report::begin(&overview, &self.unreadable()))?;
        let make = |snapshot: &Snapshot<'_>, fold: &ItemFold| {
            let item = reported(snapshot, fold)?;
            Ok(report::section(&fold.workflow, &item))
        };
        self.each(ui, make, |section| page.put(&section))
    }
}

/// The items of which an executor ever held a step, where one is asked for.
fn held_by(
    executor: Option<&ExecutorId>,
    rows: Vec<Row>,
    snapshot: &Snapshot<'_>,
    session: &Session,
) -> Result<Vec<Row>, Failure> {
    let Some(executor) = executor else { return Ok(rows) };
    let ids: Vec<ItemId> = rows.iter().map(|row| row.id.clone()).collect();
    let histories = snapshot.follow::<Measuring>(&ids);
    let histories = histories.map_err(|error| session.ledger_failure(&error))?;
    // What cannot be read fits no filter and is left out by none.
    let held = |history: &Result<History, Stopped>| {
        history.as_ref().map_or(true, |history| history.was_held_by(executor))
    };
    Ok(rows.into_iter().zip(histories).filter(|(_, h)| held(h)).map(|(row, _)| row).collect())
}

fn overview(row: &Row) -> Overview {
    Overview {
        work_item_id: row.id.clone(),
        title: row.title.clone(),
        status: row.status.word().to_owned(),
        flags: row.flags.iter().map(|flag| flag.word().to_owned()).collect(),
        steps_done: row.done,
        steps_total: row.steps,
        workflow: row.workflow.clone(),
        ready: row.ready_count,
        held: row.in_progress.len(),
        gates: row.gates.len(),
        last_at: row.last_at,
    }
}

/// An event that is no decision, with its bytes.
type Fact = (Sealed, Vec<u8>);

/// An item, with what policy says of its gates, and what they asked for.
fn reported(snapshot: &Snapshot<'_>, fold: &ItemFold) -> Result<ItemReport, LedgerError> {
    let report =
        report::item(&fold.workflow, &fold.state).under(snapshot.ledger()?, &fold.workflow);
    Ok(ItemReport { follow_ups: super::follow_ups(snapshot, fold)?, ..report })
}

/// An item's facts in an order that their own content gives. Which fact a decision follows
/// depends on the order of recording; what was decided is the schedule.
fn facts(snapshot: &Snapshot<'_>, item: &ItemId) -> Result<Vec<Fact>, LedgerError> {
    let history = snapshot.item_history(item, Direction::OldestFirst)?;
    let fact = |entry: &Entry| entry.named.kind != EventKind::ScheduleDecided;
    let facts: Result<Vec<Fact>, LedgerError> = history
        .filter(|entry| entry.as_ref().map_or(true, fact))
        .map(|entry| snapshot.read_whole(&entry?))
        .collect();
    Ok(ordered(facts?))
}

/// Facts by time, step order, key, attempt and id.
fn ordered(mut facts: Vec<Fact>) -> Vec<Fact> {
    facts.sort_by_cached_key(|(sealed, _)| {
        let event = &sealed.event;
        let step = event.step.as_ref();
        (
            event.timestamp,
            step.map_or(0, |step| step.order),
            step.map(|step| step.key.clone()),
            event.attempt_id.as_ref().map_or(0, AttemptId::number),
            event.id.to_string(),
        )
    });
    facts
}

/// One item of the document ([`ExportItem`](super::super::view::ExportItem)): its artifacts are as
/// many bytes as everything else, and go in as they are sealed.
fn whole_item(item: &ItemReport, schedule: &ScheduleDoc, facts: &[Fact]) -> String {
    let facts: Vec<String> =
        facts.iter().map(|(_, bytes)| format!("\n        {}", verbatim(bytes, 4))).collect();
    let end = if facts.is_empty() { "" } else { "\n      " };
    format!(
        "{{\n      \"item\": {},\n      \"schedule\": {},\n      \"artifacts\": [{}{end}]\n    }}",
        pretty(item, 3),
        pretty(schedule, 3),
        facts.join(","),
    )
}

/// Canonical JSON with its lines moved to where they stand in a document; no string has a line
/// break in it.
fn verbatim(bytes: &[u8], depth: usize) -> String {
    moved(String::from_utf8_lossy(bytes).trim_end(), depth)
}

fn moved(json: &str, depth: usize) -> String {
    json.replace('\n', &format!("\n{}", "  ".repeat(depth)))
}

fn pretty<T: Serialize>(value: &T, depth: usize) -> String {
    moved(&serde_json::to_string_pretty(value).unwrap_or_default(), depth)
}

/// `  "name": value,` and its line's end.
fn field<T: Serialize>(name: &str, value: &T) -> String {
    format!("  \"{name}\": {},\n", pretty(value, 1))
}

/// A list of the document, written as it comes.
struct List<'p> {
    page: &'p mut Page,
    empty: bool,
}

impl<'p> List<'p> {
    fn open(name: &str, page: &'p mut Page) -> Result<Self, Failure> {
        page.put(&format!("  \"{name}\": ["))?;
        Ok(Self { page, empty: true })
    }

    fn add(&mut self, json: &str) -> Result<(), Failure> {
        self.page.put(if self.empty { "\n    " } else { ",\n    " })?;
        self.empty = false;
        self.page.put(json)
    }

    fn close(self) -> Result<(), Failure> {
        self.page.put(if self.empty { "],\n" } else { "\n  ],\n" })
    }
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
