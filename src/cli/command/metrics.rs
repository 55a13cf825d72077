//! `metrics`: how work flows, from the portfolio down to an attempt (FR-013).

use chrono::{DateTime, TimeDelta, Utc};

use super::super::Reply;
use super::super::args::{LevelArg, MetricsArgs, MetricsFormat};
use super::super::error::{Failure, Next, next};
use super::super::exit::Exit;
use super::super::session::Session;
use super::super::ui::{Line, Ui, count, short};
use super::super::view::MetricsView;
use super::super::when::moment;
use super::status;
use super::which::Which;
use crate::domain::id::ItemId;
use crate::domain::metrics::{
    self, AttemptFlow, Flow, Item, ItemFlow, Ratio, Series, Spread, Standing, StepFlow, Times,
    Window, WorkflowFlow,
};
use crate::ledger::{Snapshot, Stopped};
use crate::ops::Measuring;
use crate::report::{self, lasted, percent, tenths};

/// How many reasons and steps of rework a person is told one by one.
const TOLD: usize = 5;

pub(super) fn run(
    args: &MetricsArgs,
    session: &Session,
    ui: &mut Ui<'_>,
) -> Result<Reply, Failure> {
    let level = args.by.unwrap_or(match args.item {
        Some(_) => LevelArg::Step,
        None => LevelArg::Portfolio,
    });
    if ui.json && args.format.is_some() {
        return Err(Failure::usage("--json answers with one JSON document, and csv is none")
            .then(again(args, level, session).with(["--format", "csv"])));
    }
    if args.item.is_some() && args.which.names_items() {
        return Err(Failure::usage("one item was named: leave it out to see which items fit"));
    }
    // Whatever came later is there, and is left out by the time it happened.
    let ledger = session.whole_ledger()?;
    let snapshot = ledger.snapshot().map_err(|error| session.ledger_failure(&error))?;
    let chosen = Chosen::of(args, &snapshot, session)?;
    let items: Vec<&Item> = chosen.items.iter().collect();
    let window = chosen.window;
    let by = |wanted: LevelArg| level == wanted;
    let here = || items.iter().filter(|item| item.is_in(&window));
    let view = MetricsView {
        as_of: chosen.as_of,
        since: chosen.since,
        before: chosen.as_of.and(DateTime::from_timestamp_millis(window.before)),
        by: level.word().to_owned(),
        total: Flow::of(&items, &window),
        series: Series::of(&items, &window),
        workflows: by(LevelArg::Workflow).then(|| metrics::by_workflow(&items, &window)),
        items: by(LevelArg::Item).then(|| here().map(|item| item.flow()).collect()),
        steps: by(LevelArg::Step).then(|| metrics::by_step(&items, &window)),
        attempts: by(LevelArg::Attempt).then(|| metrics::attempts(&items, &window)),
        stopped: status::stopped(&chosen.stopped),
    };
    let mut reply = Reply::new("metrics", &view);
    if args.format == Some(MetricsFormat::Csv) {
        reply.raw = Some(table(&view));
    } else if chosen.none {
        reply.lines.push(Line::Text("no items yet".into()));
        reply.next.push(next(["delegate", "--plan", "FILE", "--dry-run"]));
    } else {
        let one = args.item.as_ref().and(chosen.items.first()).map(Item::flow);
        said(&mut reply, &view, one.as_ref());
        reply.next.extend(deeper(args, level, &view, session));
    }
    reply.quiet = quiet(&view);
    for stopped in &chosen.stopped {
        let what = format!("{} {}", stopped.stop.path, stopped.stop.what);
        reply.warnings.push((format!("{} is stopped and not counted: {what}", stopped.id), None));
    }
    if !chosen.stopped.is_empty() {
        reply.exit = Exit::Damaged;
        reply.next = vec![next(["verify"])];
    }
    Ok(reply)
}

/// What is measured, and over which time.
struct Chosen {
    items: Vec<Item>,
    stopped: Vec<Stopped>,
    window: Window,
    as_of: Option<DateTime<Utc>>,
    since: Option<DateTime<Utc>>,
    /// The ledger has no item at all.
    none: bool,
}

impl Chosen {
    fn of(args: &MetricsArgs, snapshot: &Snapshot<'_>, session: &Session) -> Result<Self, Failure> {
        let fail = |error| session.ledger_failure(&error);
        let named: Option<ItemId> = args.item.as_deref().map(str::parse).transpose()?;
        if let Some(item) = &named {
            snapshot.known_item(item).map_err(fail)?;
        }
        let portfolio = snapshot.portfolio().map_err(fail)?;
        let latest = portfolio.rows.iter().map(|row| row.last_at).max();
        let known = latest.unwrap_or_default();
        let as_of = match &session.as_of {
            // A date counts to its end.
            Some(text) => moment("--as-of", text, known)?.1 - TimeDelta::milliseconds(1),
            None => known,
        };
        let which = Which::back_from(&args.which, as_of)?;
        let (since, before) = which.span();
        let end = as_of + TimeDelta::milliseconds(1);
        let before = before.map_or(end, |before| before.min(end));
        if let Some(since) = since.filter(|since| *since >= before) {
            return Err(Failure::usage(format!(
                "--since is {}, and there is nothing between that and {}",
                iso(since),
                iso(before)
            )));
        }
        let window = Window {
            from: since.map(|since| since.timestamp_millis()),
            before: before.timestamp_millis(),
            as_of: as_of.timestamp_millis(),
        };
        let none = portfolio.rows.is_empty() && portfolio.stopped.is_empty();
        let (ids, mut stopped): (Vec<ItemId>, _) = match &named {
            Some(item) => (vec![item.clone()], Vec::new()),
            None => {
                let rows = which.of_kind(portfolio.rows);
                (rows.into_iter().map(|row| row.id).collect(), portfolio.stopped)
            }
        };
        let mut items = Vec::with_capacity(ids.len());
        for followed in snapshot.follow::<Measuring>(&ids).map_err(fail)? {
            match followed {
                Ok(history) => {
                    let held = which.executor().is_none_or(|by| history.was_held_by(by));
                    items.extend(history.at(window.as_of).filter(|_| held));
                }
                Err(stop) => stopped.push(stop),
            }
        }
        if let (Some(item), true) = (&named, items.is_empty()) {
            return Err(Failure::usage(format!("{item} was registered later than {}", iso(as_of)))
                .then(next(["metrics", item.as_str()])));
        }
        Ok(Self { items, stopped, window, as_of: latest.map(|_| as_of), since, none })
    }
}

/// The command again, without its level.
fn again(args: &MetricsArgs, level: LevelArg, session: &Session) -> Next {
    let mut words = vec!["metrics".to_owned()];
    words.extend(args.item.clone());
    let which = &args.which;
    let mut say = |flag: &str, value: &str| words.extend([flag.to_owned(), value.to_owned()]);
    for status in &which.status {
        say("--status", status);
    }
    for label in &which.label {
        say("--label", label);
    }
    for (flag, value) in [
        ("--workflow", &which.workflow),
        ("--owner", &which.owner),
        ("--executor", &which.executor),
        ("--since", &which.since),
        ("--until", &which.until),
        ("--as-of", &session.as_of),
    ] {
        if let Some(value) = value {
            say(flag, value);
        }
    }
    say("--by", level.word());
    next(words)
}

/// The next level down.
fn deeper(
    args: &MetricsArgs,
    level: LevelArg,
    view: &MetricsView,
    session: &Session,
) -> Option<Next> {
    let then = |hint: Next| match &session.as_of {
        Some(as_of) => hint.with(["--as-of", as_of]),
        None => hint,
    };
    match level {
        LevelArg::Portfolio => Some(again(args, LevelArg::Step, session)),
        LevelArg::Workflow => Some(again(args, LevelArg::Item, session)),
        LevelArg::Step if args.item.is_some() => Some(again(args, LevelArg::Attempt, session)),
        LevelArg::Step => Some(again(args, LevelArg::Item, session)),
        LevelArg::Item => {
            // The one that took longest says most.
            let longest = view.items.iter().flatten().max_by_key(|item| item.age_ms)?;
            Some(then(next(["metrics", longest.work_item_id.as_str()])))
        }
        LevelArg::Attempt => args.item.as_ref().map(|item| then(next(["log", item]))),
    }
}

fn iso(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)
}

fn or_dash<T>(value: Option<T>, say: impl Fn(T) -> String) -> String {
    value.map_or_else(|| "–".to_owned(), say)
}

fn part(ratio: Ratio) -> String {
    or_dash(ratio.basis_points, percent)
}

/// For people: the whole, or one item, and a row for each part.
fn said(reply: &mut Reply, view: &MetricsView, one: Option<&ItemFlow>) {
    if let Some(item) = one {
        reply.lines.extend(item_lines(item));
    }
    let named = one.is_some();
    let rows = match (&view.workflows, &view.items, &view.steps, &view.attempts) {
        (Some(rows), ..) => workflow_rows(rows),
        (_, Some(rows), ..) => item_rows(rows),
        (_, _, Some(rows), _) => step_rows(rows, named),
        (_, _, _, Some(rows)) => attempt_rows(rows, named),
        _ => return reply.lines.extend(total_lines(view)),
    };
    // The head alone says nothing.
    if rows.len() > 1 {
        reply.lines.extend(rows);
    } else {
        reply.lines.push(Line::Text("nothing was in the flow in that time".into()));
    }
    reply.aside = vec![Line::Blank, Line::Text(about(view))];
}

/// `12 items: 7 finished, 3 in progress, 1 not started · as of …`.
fn about(view: &MetricsView) -> String {
    let flow = &view.total;
    let mut parts = vec![format!("{} finished", flow.finished)];
    let mut say = |number: u64, word: &str| {
        if number > 0 {
            parts.push(format!("{number} {word}"));
        }
    };
    say(flow.in_progress, "in progress");
    say(flow.not_started, "not started");
    say(flow.dropped, "dropped");
    say(flow.imported, "done before they were registered");
    let since = view.since.map(|since| format!(" · since {}", iso(since))).unwrap_or_default();
    let as_of = view.as_of.map(iso).unwrap_or_default();
    let until = match (view.before, view.as_of) {
        (Some(before), Some(as_of)) if before <= as_of => format!(" · before {}", iso(before)),
        _ => String::new(),
    };
    let items = count(usize::try_from(flow.items).unwrap_or(usize::MAX), "item");
    format!("{items}: {}{since}{until} · as of {as_of}", parts.join(", "))
}

fn head<const N: usize>(cells: [&str; N]) -> Line {
    Line::Row(cells.map(str::to_owned).to_vec())
}

fn spread(name: &str, spread: &Spread) -> Line {
    let say = |ms: Option<u64>| or_dash(ms, lasted);
    Line::Row(vec![
        name.to_owned(),
        spread.count.to_string(),
        say(spread.mean_ms),
        say(spread.p50_ms),
        say(spread.p85_ms),
        say(spread.p95_ms),
        say(spread.max_ms),
    ])
}

/// `working 38.0%, waiting 40.2%, …`, of what is there.
fn where_it_went(times: &Times) -> String {
    let total = times.total();
    let parts = [
        (times.working_ms, "working"),
        (times.waiting_ms, "waiting"),
        (times.deciding_ms, "deciding"),
        (times.review_ms, "under review"),
        (times.blocked_ms, "blocked"),
    ];
    let parts: Vec<String> = parts
        .into_iter()
        .filter(|(ms, _)| *ms > 0)
        .map(|(ms, word)| format!("{word} {} ({})", part(Ratio::new(ms, total)), lasted(ms)))
        .collect();
    if parts.is_empty() { "no time at all".to_owned() } else { parts.join(", ") }
}

fn total_lines(view: &MetricsView) -> Vec<Line> {
    let Flow { lead_time, cycle_time, age, rework, blockers, first_pass_yield, .. } = &view.total;
    let mut lines = vec![
        Line::Text(about(view)),
        Line::Blank,
        head(["TIME", "ITEMS", "MEAN", "P50", "P85", "P95", "LONGEST"]),
        spread("lead time", lead_time),
        spread("cycle time", cycle_time),
        spread("age of the rest", age),
        Line::Blank,
    ];
    let mut say = |name: &str, what: String| lines.push(Line::Row(vec![name.into(), what]));
    let wip = &view.series.wip;
    let average = or_dash(wip.average_thousandths, tenths);
    say("throughput", throughput(view.total.finished, wip.window_ms));
    say("in progress", format!("{} now, {} at most, {average} on average", wip.now, wip.max));
    if lead_time.total_ms > 0 {
        say("lead time was", where_it_went(&view.total.times));
    }
    let Ratio { count: clean, of, .. } = *first_pass_yield;
    if of > 0 {
        let rate = part(*first_pass_yield);
        say("first pass", format!("{clean} of {of} finished with nothing done twice ({rate})"));
    }
    let Ratio { count: back, of, .. } = rework.sent_back;
    let rate = part(rework.sent_back);
    say(
        "rework",
        match rework.returns {
            0 => format!("none of {of} worked on was sent back"),
            times => format!(
                "{back} of {of} worked on sent back ({rate}), {}; {} of the work was done again",
                self::times(times),
                part(rework.effort),
            ),
        },
    );
    for (name, counts) in [("to step", &rework.to_step), ("by gate", &rework.by_gate)] {
        let told: Vec<String> = counts
            .iter()
            .take(TOLD)
            .map(|named| format!("{} of {} {}", named.step_key, named.workflow, named.count))
            .collect();
        if !told.is_empty() {
            say(name, format!("{}{}", told.join(", "), more(counts.len())));
        }
    }
    for reason in rework.by_reason.iter().take(TOLD) {
        say("because", format!("\"{}\" {}", short(&reason.reason, 80), self::times(reason.count)));
    }
    for blocker in blockers {
        say(
            "blocked by",
            format!(
                "{} {}, {} open, {} in all",
                short(&blocker.kind, 40),
                self::times(blocker.count),
                blocker.open,
                lasted(blocker.open_time.total_ms),
            ),
        );
    }
    lines
}

fn more(count: usize) -> String {
    let rest = count.saturating_sub(TOLD);
    if rest > 0 { format!(" and {rest} more") } else { String::new() }
}

/// `once`, `3 times`.
fn times(number: u64) -> String {
    if number == 1 { "once".to_owned() } else { format!("{number} times") }
}

/// `7 finished in 12d 3h, 4.0 a week`.
fn throughput(finished: u64, window_ms: u64) -> String {
    const DAY: u64 = 86_400_000;
    let (unit, ms) = match window_ms / DAY {
        0 => ("an hour", DAY / 24),
        1..14 => ("a day", DAY),
        _ => ("a week", 7 * DAY),
    };
    let rate = match u128::from(finished) * 1_000 * u128::from(ms) {
        _ if window_ms < ms => String::new(),
        all => {
            let rate = u64::try_from(all / u128::from(window_ms)).unwrap_or(u64::MAX);
            format!(", {} {unit}", tenths(rate))
        }
    };
    format!("{finished} finished in {}{rate}", lasted(window_ms))
}

/// One item before its parts.
fn item_lines(item: &ItemFlow) -> Vec<Line> {
    let age = lasted(item.age_ms);
    let how = match item.standing {
        Standing::Finished => format!("finished after {age}"),
        Standing::Dropped => format!("dropped after {age}"),
        Standing::Imported => "every step was done before it was registered".to_owned(),
        Standing::InProgress => format!("in progress, {age} so far"),
        Standing::NotStarted => format!("not started, {age} so far"),
    };
    let mut lines = vec![Line::Text(format!(
        "{}  {} · {how} · {}@{}",
        item.work_item_id,
        short(&item.title, 80),
        item.workflow,
        item.version
    ))];
    lines.push(Line::Blank);
    let mut say = |name: &str, what: String| lines.push(Line::Row(vec![name.into(), what]));
    if let Some(cycle) = item.cycle_ms {
        say("cycle time", lasted(cycle));
    }
    if item.age_ms > 0 {
        say("time was", where_it_went(&item.times));
    }
    for back in item.returns.iter().rev().take(TOLD) {
        let gate = back.gate.as_ref().map(|gate| format!(" by gate {gate}")).unwrap_or_default();
        let void = count(back.void.len(), "step");
        let reason = short(&back.reason, 80);
        let at = iso(back.at);
        say("sent back", format!("{at} to {}{gate}, {void} void: \"{reason}\"", back.to));
    }
    for blocker in item.blockers.iter().rev().take(TOLD) {
        let end = if blocker.resolved_at.is_some() { "resolved" } else { "open" };
        let what = short(&blocker.kind, 40);
        let lasted = lasted(blocker.open_ms);
        say("blocker", format!("{} {what}, {end}, {lasted}", blocker.blocker_id));
    }
    lines.push(Line::Blank);
    lines
}

fn workflow_rows(rows: &[WorkflowFlow]) -> Vec<Line> {
    let mut lines = vec![head([
        "WORKFLOW",
        "ITEMS",
        "FINISHED",
        "IN PROGRESS",
        "LEAD P50",
        "LEAD P85",
        "CYCLE P50",
        "CYCLE P85",
        "WORKING",
        "SENT BACK",
        "FIRST PASS",
    ])];
    for WorkflowFlow { workflow, version, flow } in rows {
        let say = |ms: Option<u64>| or_dash(ms, lasted);
        lines.push(Line::Row(vec![
            format!("{workflow}@{version}"),
            flow.items.to_string(),
            flow.finished.to_string(),
            flow.in_progress.to_string(),
            say(flow.lead_time.p50_ms),
            say(flow.lead_time.p85_ms),
            say(flow.cycle_time.p50_ms),
            say(flow.cycle_time.p85_ms),
            part(flow.flow_efficiency),
            part(flow.rework.sent_back),
            part(flow.first_pass_yield),
        ]));
    }
    lines
}

/// The cells of [`Times`], in the order of its fields.
fn classes(times: &Times) -> [String; 5] {
    let Times { working_ms, waiting_ms, deciding_ms, review_ms, blocked_ms } = *times;
    [working_ms, waiting_ms, deciding_ms, review_ms, blocked_ms]
        .map(|ms| if ms == 0 { "–".to_owned() } else { lasted(ms) })
}

fn item_rows(rows: &[ItemFlow]) -> Vec<Line> {
    let mut lines = vec![head([
        "ITEM",
        "STANDS",
        "AGE",
        "CYCLE",
        "WORKING",
        "WAITING",
        "DECIDING",
        "REVIEW",
        "BLOCKED",
        "SENT BACK",
    ])];
    for item in rows {
        let [working, waiting, deciding, review, blocked] = classes(&item.times);
        lines.push(Line::Row(vec![
            item.work_item_id.to_string(),
            item.standing.word().to_owned(),
            lasted(item.age_ms),
            or_dash(item.cycle_ms, lasted),
            working,
            waiting,
            deciding,
            review,
            blocked,
            item.returns.len().to_string(),
        ]));
    }
    lines
}

fn step_rows(rows: &[StepFlow], of_one: bool) -> Vec<Line> {
    let mut lines = vec![head([
        "STEP",
        "DONE",
        "CYCLE P50",
        "P85",
        "P95",
        "QUEUED P50",
        "WORKING",
        "WAITING",
        "DECIDING",
        "REVIEW",
        "BLOCKED",
        "VOID",
        "FIRST PASS",
    ])];
    for step in rows {
        let say = |ms: Option<u64>| or_dash(ms, lasted);
        let [working, waiting, deciding, review, blocked] = classes(&step.times);
        let workflow = format!("{}@{} ", step.workflow, step.version);
        let gate = if step.gate { "◆ " } else { "" };
        lines.push(Line::Row(vec![
            format!("{}{gate}{}", if of_one { "" } else { &workflow }, step.step_key),
            step.void.of.to_string(),
            say(step.cycle_time.p50_ms),
            say(step.cycle_time.p85_ms),
            say(step.cycle_time.p95_ms),
            say(step.queue_time.p50_ms),
            working,
            waiting,
            deciding,
            review,
            blocked,
            step.void.count.to_string(),
            part(step.first_pass_yield),
        ]));
    }
    lines
}

fn attempt_rows(rows: &[AttemptFlow], of_one: bool) -> Vec<Line> {
    let mut first = vec!["ATTEMPT", "STATE", "BY", "QUEUED AT", "WORKING", "WAITING", "DECIDING"];
    first.extend(["REVIEW", "BLOCKED"]);
    if !of_one {
        first.insert(0, "ITEM");
    }
    let mut lines = vec![Line::Row(first.into_iter().map(str::to_owned).collect())];
    for attempt in rows {
        let mut cells = vec![
            attempt.attempt_id.to_string(),
            attempt.state.clone(),
            or_dash(attempt.executor.as_ref(), ToString::to_string),
            iso(attempt.queued_at),
        ];
        cells.extend(classes(&attempt.times));
        if !of_one {
            cells.insert(0, attempt.work_item_id.to_string());
        }
        lines.push(Line::Row(cells));
    }
    lines
}

/// For scripts: names, and milliseconds.
fn quiet(view: &MetricsView) -> String {
    let say = |ms: Option<u64>| ms.map(|ms| ms.to_string()).unwrap_or_default();
    let flow = |name: &str, flow: &Flow| {
        let (lead, cycle) = (say(flow.lead_time.p50_ms), say(flow.cycle_time.p50_ms));
        let (finished, open) = (flow.finished, flow.in_progress);
        format!("{name}\t{finished}\t{open}\t{lead}\t{cycle}\n")
    };
    match (&view.workflows, &view.items, &view.steps, &view.attempts) {
        (Some(rows), ..) => {
            let row = |r: &WorkflowFlow| flow(&format!("{}@{}", r.workflow, r.version), &r.flow);
            rows.iter().map(row).collect()
        }
        (_, Some(rows), ..) => rows
            .iter()
            .map(|item| {
                let (id, word) = (&item.work_item_id, item.standing.word());
                format!("{id}\t{word}\t{}\t{}\n", say(item.lead_ms), say(item.cycle_ms))
            })
            .collect(),
        (_, _, Some(rows), _) => rows
            .iter()
            .map(|step| {
                let cycle = say(step.cycle_time.p50_ms);
                let workflow = format!("{}@{}", step.workflow, step.version);
                format!("{workflow}\t{}\t{}\t{cycle}\n", step.step_key, step.cycle_time.count)
            })
            .collect(),
        (_, _, _, Some(rows)) => rows
            .iter()
            .map(|attempt| {
                let (id, state) = (&attempt.attempt_id, &attempt.state);
                let working = attempt.times.working_ms;
                format!("{}\t{id}\t{state}\t{working}\n", attempt.work_item_id)
            })
            .collect(),
        _ => flow("portfolio", &view.total),
    }
}

/// One table of what was asked for.
fn table(view: &MetricsView) -> String {
    match (&view.workflows, &view.items, &view.steps, &view.attempts) {
        (Some(rows), ..) => report::workflow_table(rows),
        (_, Some(rows), ..) => report::item_table(rows),
        (_, _, Some(rows), _) => report::step_table(rows),
        (_, _, _, Some(rows)) => report::attempt_table(rows),
        _ => report::portfolio_table(&view.total),
    }
}
