//! One page for people, whole in itself: nothing is loaded, nothing is run, and a policy in the
//! page says so to the browser. Light or dark as the reader has it; readable on paper and by ear.
//!
//! Whatever a plan or an executor wrote is text: the template escapes it, and what would move a
//! line or a cursor is shown instead ([`plain`]).

use base64ct::{Base64, Encoding as _};
use chrono::{DateTime, SecondsFormat, Utc};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

use super::charts::{self, Dot};
use super::item::{AttemptReport, ItemReport, StepReport};
use super::layout::{self, Layout, NODE_HEIGHT, NODE_WIDTH};
use super::markdown::{Overview, Unreadable};
use super::mermaid;
use super::text::{count, cut, grouped, harmless, lasted, percent, plain, tenths};
use crate::domain::event::{Baseline, Event};
use crate::domain::id::ItemId;
use crate::domain::metrics::{Flow, ItemFlow, Ratio, Series, Spread, Standing, StepFlow, Times};
use crate::domain::workflow::Workflow;

/// How the page looks.
const STYLE: &str = include_str!("page.css");

/// How many items have a row; a browser still scrolls so many.
const ROWS: usize = 20_000;

/// How many of the oldest are drawn.
const OLDEST: usize = 25;

/// Of an item on a page with several: how many steps and how many facts are told.
const STEPS: usize = 60;
const FACTS: usize = 40;

/// How long a text in a table may be.
const WIDEST: usize = 200;

/// What was asked for, in words, where it was not everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// `status`, `owner`, …
    pub name: String,
    pub value: String,
}

/// A fact as the history tells it.
#[derive(Debug, Clone)]
pub struct Told {
    at: DateTime<Utc>,
    what: &'static str,
    subject: String,
    who: String,
    summary: String,
    next_action: String,
}

impl Told {
    /// What of an event is told.
    #[must_use]
    pub fn of(event: &Event) -> Self {
        let subject = match (&event.attempt_id, &event.step) {
            (Some(attempt), _) => attempt.to_string(),
            (None, Some(step)) => step.key.to_string(),
            (None, None) => String::new(),
        };
        Self {
            at: event.timestamp,
            what: event.kind().name(),
            subject,
            who: event.actor.id.to_string(),
            summary: event.outcome.summary.clone(),
            next_action: event.next_action.clone(),
        }
    }
}

/// An item with everything that is told of it.
#[derive(Debug)]
pub struct Detail<'a> {
    pub workflow: &'a Workflow,
    pub item: ItemReport,
    pub flow: Option<ItemFlow>,
    /// In the order of their content.
    pub facts: Vec<Told>,
}

/// Everything on the page.
#[derive(Debug)]
pub struct Page<'a> {
    pub asked: Vec<Asked>,
    /// One item was named: all of it is told.
    pub one: bool,
    pub items: Vec<Overview>,
    pub unreadable: Vec<Unreadable>,
    pub total: Flow,
    pub series: Series,
    pub steps: Vec<StepFlow>,
    /// By id, like the items.
    pub flows: Vec<ItemFlow>,
    pub details: Vec<Detail<'a>>,
}

/// Writes the page.
#[must_use]
pub fn page(page: &Page<'_>) -> String {
    let digest = Base64::encode_string(&Sha256::digest(STYLE.as_bytes()));
    // The style is the page's own, by its digest; nothing else is allowed to load or to run.
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    );
    let title = match &page.details[..] {
        [one] if page.one => format!("{}: {}", one.item.work_item_id, plain(&one.item.title)),
        _ => "Work items".to_owned(),
    };
    let latest = page.items.iter().map(|item| item.last_at).max();
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                meta name="generator" content="stepseal";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                a .skip href="#main" { "To the content" }
                header {
                    h1 { (title) }
                    p { (summary(page, latest)) }
                    (asked(&page.asked))
                }
                @if !page.one && !page.items.is_empty() { (contents(page)) }
                main #main {
                    (unreadable(&page.unreadable))
                    @if !page.one && !page.items.is_empty() {
                        (in_short(page))
                        (over_time(page))
                        (durations(page))
                        (table(page))
                    }
                    (details(page))
                }
                footer {
                    p {
                        "Written by " code { "stepseal export --format html" }
                        " from the events alone. Nothing here is loaded or run, and the same facts \
                         give the same page. Times are UTC."
                    }
                }
            }
        }
    };
    let mut text = markup.into_string();
    text.push('\n');
    text
}

fn time(at: DateTime<Utc>) -> Markup {
    let exact = at.to_rfc3339_opts(SecondsFormat::AutoSi, true);
    html! { time datetime=(exact) { (at.format("%Y-%m-%d %H:%M")) } }
}

/// Untrusted text on one line, at most so wide.
fn short(text: &str) -> String {
    cut(&plain(text), WIDEST, "…")
}

/// The same, or all of it with its lines where an item is told whole.
fn said(text: &str, whole: bool) -> Markup {
    html! {
        @if whole { span .lines { (harmless(text.trim())) } } @else { (short(text)) }
    }
}

fn anchor(item: &ItemId) -> String {
    format!("item-{}", item.as_str().to_ascii_lowercase())
}

fn summary(page: &Page<'_>, latest: Option<DateTime<Utc>>) -> Markup {
    let ready: u32 = page.items.iter().map(|item| item.ready).sum();
    let held: usize = page.items.iter().map(|item| item.held).sum();
    let gates: usize = page.items.iter().map(|item| item.gates).sum();
    html! {
        @match latest {
            Some(latest) => {
                "As of the latest fact, " (time(latest)) " UTC: "
                (count(page.items.len(), "item")) ", " (count(ready as usize, "step")) " ready, "
                (count(held, "step")) " held, " (count(gates, "gate")) " to decide."
            }
            None => "There are no items.",
        }
    }
}

fn asked(asked: &[Asked]) -> Markup {
    html! {
        @if !asked.is_empty() {
            p { "Only what was asked for:" }
            ul .asked {
                @for Asked { name, value } in asked {
                    li { (name) " " strong { (short(value)) } }
                }
            }
        }
    }
}

fn contents(page: &Page<'_>) -> Markup {
    html! {
        nav aria-label="On this page" {
            ul {
                li { a href="#in-short" { "In short" } }
                li { a href="#over-time" { "Over time" } }
                li { a href="#durations" { "Durations" } }
                li { a href="#items" { "Items" } }
                @if !page.details.is_empty() { li { a href="#details" { "Item by item" } } }
            }
        }
    }
}

fn unreadable(unreadable: &[Unreadable]) -> Markup {
    html! {
        @if !unreadable.is_empty() {
            section .stopped aria-labelledby="stopped" {
                h2 #stopped { "Stopped" }
                p {
                    "A file of these is not as it was sealed, so nothing else here counts them. "
                    code { "stepseal verify" } " says more."
                }
                ul {
                    @for stopped in unreadable {
                        li {
                            strong { (stopped.work_item_id.as_str()) } ": "
                            code { (short(&stopped.path)) } " " (short(&stopped.what))
                        }
                    }
                }
            }
        }
    }
}

fn ratio(ratio: &Ratio) -> String {
    ratio.basis_points.map_or_else(|| "–".to_owned(), percent)
}

/// A count as people read it.
fn whole(number: u64) -> String {
    grouped(usize::try_from(number).unwrap_or(usize::MAX))
}

fn ms(ms: Option<u64>) -> String {
    ms.map_or_else(|| "–".to_owned(), lasted)
}

/// A part of a time; where there is none, nothing draws the eye.
fn part(ms: u64) -> String {
    if ms == 0 { "–".to_owned() } else { lasted(ms) }
}

/// The numbers to remember.
fn in_short(page: &Page<'_>) -> Markup {
    let Page { total, series, .. } = page;
    let average = series.wip.average_thousandths.map_or_else(|| "–".to_owned(), tenths);
    let cards = [
        ("Finished", whole(total.finished), format!("in {}", lasted(series.wip.window_ms))),
        ("In progress", whole(total.in_progress), format!("{average} on average")),
        ("Not started", whole(total.not_started), String::new()),
        ("Lead time, half within", ms(total.lead_time.p50_ms), {
            format!("85% within {}", ms(total.lead_time.p85_ms))
        }),
        ("Cycle time, half within", ms(total.cycle_time.p50_ms), {
            format!("85% within {}", ms(total.cycle_time.p85_ms))
        }),
        ("Flow efficiency", ratio(&total.flow_efficiency), "worked on, of the lead time".into()),
        ("Right the first time", ratio(&total.first_pass_yield), {
            format!("{} of {}", total.first_pass_yield.count, total.first_pass_yield.of)
        }),
        ("Sent back", ratio(&total.rework.sent_back), {
            format!("{} of {}", total.rework.sent_back.count, total.rework.sent_back.of)
        }),
    ];
    let mut words: Vec<&str> = page.items.iter().map(|item| item.status.as_str()).collect();
    words.sort_unstable();
    html! {
        section aria-labelledby="in-short" {
            h2 #in-short { "In short" }
            dl .cards {
                @for (name, value, more) in &cards {
                    div {
                        dt { (name) }
                        dd { strong { (value) } @if !more.is_empty() { span { (more) } } }
                    }
                }
            }
            div .scroll tabindex="0" role="region" aria-label="Items by status" {
                table {
                    caption { "Items by status" }
                    thead { tr { th scope="col" { "Status" } th .number scope="col" { "Items" } } }
                    tbody {
                        @for run in words.chunk_by(|a, b| a == b) {
                            tr {
                                th scope="row" { (badge(run[0])) }
                                td .number { (grouped(run.len())) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A status word in its colour.
fn badge(word: &str) -> Markup {
    html! { span .badge .{ "is-" (word.replace(' ', "-")) } { (word) } }
}

fn legend(entries: &[(&str, &str)]) -> Markup {
    html! {
        ul .legend aria-hidden="true" {
            @for (class, word) in entries { li .(class) { (word) } }
        }
    }
}

/// A chart with its words, and its numbers for who wants them.
fn figure(chart: Markup, caption: &str, legend: Markup, numbers: Markup) -> Markup {
    html! {
        figure {
            figcaption { (caption) }
            (legend)
            div .scroll tabindex="0" role="region" aria-label={ "Chart: " (caption) } { (chart) }
            (numbers)
        }
    }
}

/// Numbers of a chart, folded away.
fn numbers(caption: &str, head: &[&str], rows: &[Vec<String>]) -> Markup {
    html! {
        details {
            summary { "The numbers: " (caption) }
            div .scroll tabindex="0" role="region" aria-label=(caption) {
                table {
                    caption { (caption) }
                    thead { tr { @for name in head { th scope="col" { (name) } } } }
                    tbody {
                        @for row in rows {
                            tr {
                                @for (n, cell) in row.iter().enumerate() {
                                    @if n == 0 { th scope="row" { (cell) } }
                                    @else { td .number { (cell) } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn over_time(page: &Page<'_>) -> Markup {
    let series = &page.series;
    let rows: Vec<Vec<String>> = series
        .points
        .iter()
        .map(|point| {
            let mut row = vec![point.from.format("%Y-%m-%d %H:%M").to_string()];
            row.extend(
                [
                    point.registered,
                    point.finished,
                    point.dropped,
                    point.not_started,
                    point.in_progress,
                    point.finished_total,
                ]
                .map(|number| number.to_string()),
            );
            row
        })
        .collect();
    let bucket = series.bucket.word();
    html! {
        section aria-labelledby="over-time" {
            h2 #over-time { "Over time" }
            @if let Some(chart) = charts::cumulative(series) {
                (figure(
                    chart,
                    "Cumulative flow: items by where they stood, one upon the other",
                    legend(&[
                        ("waiting", "not started"),
                        ("progress", "in progress"),
                        ("dropped", "dropped"),
                        ("finished", "finished"),
                    ]),
                    numbers(
                        &format!("Items by {bucket}"),
                        &[
                            "From", "Registered", "Finished", "Dropped", "Not started at its end",
                            "In progress at its end", "Finished so far",
                        ],
                        &rows,
                    ),
                ))
            }
            div .pair {
                @if let Some(chart) = charts::throughput(series) {
                    (figure(chart, &format!("Throughput: items finished in each {bucket}"), html! {}, html! {}))
                }
                @if let Some(chart) = charts::in_progress(series) {
                    (figure(chart, "Work in progress: items begun and not over", html! {}, html! {}))
                }
            }
        }
    }
}

/// The legend of the classes of time that there are.
fn classes_of(times: &Times) -> Markup {
    let entries: Vec<(&str, &str)> = charts::classes(times)
        .into_iter()
        .filter(|(_, _, ms)| *ms > 0)
        .map(|(class, word, _)| (class, word))
        .collect();
    legend(&entries)
}

fn durations(page: &Page<'_>) -> Markup {
    let dots: Vec<Dot> = page
        .flows
        .iter()
        .filter_map(|flow| {
            Some(Dot {
                name: flow.work_item_id.to_string(),
                at: flow.over_at?,
                ms: flow.cycle_ms?,
                sent_back: !flow.returns.is_empty(),
            })
        })
        .collect();
    let mut open: Vec<&ItemFlow> = page
        .flows
        .iter()
        .filter(|flow| matches!(flow.standing, Standing::NotStarted | Standing::InProgress))
        .collect();
    let all_open = open.len();
    open.sort_by(|a, b| b.age_ms.cmp(&a.age_ms).then_with(|| a.work_item_id.cmp(&b.work_item_id)));
    open.truncate(OLDEST);
    let total = &page.total;
    html! {
        section aria-labelledby="durations" {
            h2 #durations { "Durations" }
            @if let Some(chart) = charts::scatter(&dots, &total.cycle_time) {
                (figure(
                    chart,
                    "Cycle time: each finished item by when it was finished and how long it took \
                     from its first claim",
                    legend(&[("finished", "finished"), ("back", "sent back on the way")]),
                    spreads(total),
                ))
            }
            @if total.times.total() > 0 {
                (figure(
                    charts::split("split", &total.times),
                    "Where the lead time of the finished items went",
                    classes_of(&total.times),
                    html! {
                        p { (charts::classes(&total.times).iter().filter(|(_, _, ms)| *ms > 0).map(
                            |(_, word, part)| {
                                let share = ratio(&Ratio::new(*part, total.times.total()));
                                format!("{word} {share} ({})", lasted(*part))
                            }
                        ).collect::<Vec<_>>().join(", ")) }
                    },
                ))
            }
            @if let Some(chart) = charts::ages(&open) {
                @let rest = all_open - open.len();
                (figure(
                    chart,
                    &if rest > 0 {
                        format!("Age: the {OLDEST} oldest items that are not over, and where their \
                                 time went; {} more are younger", grouped(rest))
                    } else {
                        "Age: the items that are not over, and where their time went".to_owned()
                    },
                    classes_of(&open.iter().map(|o| o.times).fold(Times::default(), Times::and)),
                    html! {},
                ))
            }
            (step_table(&page.steps))
        }
    }
}

/// Durations of items in one table.
fn spreads(total: &Flow) -> Markup {
    let row = |name: &str, spread: &Spread| {
        html! {
            tr {
                th scope="row" { (name) }
                td .number { (whole(spread.count)) }
                @for value in
                    [spread.mean_ms, spread.p50_ms, spread.p85_ms, spread.p95_ms, spread.max_ms] {
                    td .number { (ms(value)) }
                }
            }
        }
    };
    html! {
        div .scroll tabindex="0" role="region" aria-label="Durations of items" {
            table {
                caption { "Durations of items" }
                thead {
                    tr {
                        th scope="col" { "Duration" }
                        @for name in ["Items", "Mean", "50%", "85%", "95%", "Longest"] {
                            th .number scope="col" { (name) }
                        }
                    }
                }
                tbody {
                    (row("Lead time", &total.lead_time))
                    (row("Cycle time", &total.cycle_time))
                    (row("Age of what is not over", &total.age))
                }
            }
        }
    }
}

fn step_table(steps: &[StepFlow]) -> Markup {
    html! {
        @if !steps.is_empty() {
            div .scroll tabindex="0" role="region" aria-label="Steps" {
                table {
                    caption { "Steps, by workflow and launch order: rounds done and how long they took" }
                    thead {
                        tr {
                            th scope="col" { "Workflow" }
                            th scope="col" { "Step" }
                            @for name in [
                                "Rounds", "Cycle 50%", "85%", "95%", "Queued 50%", "Working",
                                "Waiting", "Deciding", "Blocked", "Sent back", "First pass",
                            ] {
                                th .number scope="col" { (name) }
                            }
                        }
                    }
                    tbody {
                        @for step in steps.iter().take(1_000) {
                            tr {
                                td { (step.workflow) "@" (step.version) }
                                th scope="row" {
                                    @if step.gate { "◆ " }
                                    (step.step_key.as_str())
                                }
                                td .number { (whole(step.cycle_time.count)) }
                                td .number { (ms(step.cycle_time.p50_ms)) }
                                td .number { (ms(step.cycle_time.p85_ms)) }
                                td .number { (ms(step.cycle_time.p95_ms)) }
                                td .number { (ms(step.queue_time.p50_ms)) }
                                td .number { (part(step.times.working_ms)) }
                                td .number { (part(step.times.waiting_ms)) }
                                td .number { (part(step.times.deciding_ms)) }
                                td .number { (part(step.times.blocked_ms)) }
                                td .number { (step.void.count) }
                                td .number { (ratio(&step.first_pass_yield)) }
                            }
                        }
                    }
                }
            }
            @if steps.len() > 1_000 {
                p { "And " (grouped(steps.len() - 1_000)) " more: "
                    code { "stepseal metrics --by step" } }
            }
        }
    }
}

fn table(page: &Page<'_>) -> Markup {
    let mut told: Vec<&ItemId> = page.details.iter().map(|d| &d.item.work_item_id).collect();
    told.sort();
    html! {
        section aria-labelledby="items" {
            h2 #items { "Items" }
            div .scroll tabindex="0" role="region" aria-label="Table of items" {
                table {
                    caption { "Items, by id" }
                    thead {
                        tr {
                            @for name in ["Item", "Title", "Status", "Now", "Workflow"] {
                                th scope="col" { (name) }
                            }
                            @for name in ["Done", "Age or lead time", "Cycle time", "Sent back"] {
                                th .number scope="col" { (name) }
                            }
                            th scope="col" { "Latest fact" }
                        }
                    }
                    tbody {
                        @for (item, flow) in page.items.iter().zip(&page.flows).take(ROWS) {
                            tr {
                                th .id scope="row" {
                                    @if told.binary_search(&&item.work_item_id).is_ok() {
                                        a href={ "#" (anchor(&item.work_item_id)) } {
                                            (item.work_item_id.as_str())
                                        }
                                    } @else { (item.work_item_id.as_str()) }
                                }
                                td .title { (cut(&plain(&item.title), 80, "…")) }
                                td {
                                    (badge(&item.status))
                                    @for flag in &item.flags { " " (badge(flag)) }
                                }
                                td { (now(item)) }
                                td { (item.workflow) }
                                td .number { (item.steps_done) "/" (item.steps_total) }
                                td .number { (lasted(flow.age_ms)) }
                                td .number { (ms(flow.cycle_ms)) }
                                td .number { (flow.returns.len()) }
                                td { (time(item.last_at)) }
                            }
                        }
                    }
                }
            }
            @if page.items.len() > ROWS {
                p { "And " (grouped(page.items.len() - ROWS)) " more: "
                    code { "stepseal export --format csv --table items" } }
            }
        }
    }
}

/// What could be done, is done, or waits for a decision.
fn now(item: &Overview) -> String {
    let parts = [
        (u64::from(item.ready), "ready"),
        (item.held as u64, "held"),
        (item.gates as u64, "to decide"),
    ];
    let parts = parts.into_iter().filter(|(number, _)| *number > 0);
    parts.map(|(number, word)| format!("{number} {word}")).collect::<Vec<_>>().join(", ")
}

fn details(page: &Page<'_>) -> Markup {
    let rest = page.items.len() - page.details.len().min(page.items.len());
    let mut drawn: Vec<(&Workflow, Option<Layout>)> = Vec::new();
    let sections: Vec<Markup> = page
        .details
        .iter()
        .map(|detail| {
            let same = |workflow: &Workflow| workflow.reference == detail.workflow.reference;
            let at = drawn.iter().position(|(workflow, _)| same(workflow));
            let at = at.unwrap_or_else(|| {
                let arrows = mermaid::arrows(detail.workflow);
                let layout = layout::layered(detail.workflow.steps().len(), &arrows);
                drawn.push((detail.workflow, layout));
                drawn.len() - 1
            });
            one_item(detail, drawn[at].1.as_ref(), page.one)
        })
        .collect();
    html! {
        @if page.one {
            @for section in &sections { (section) }
        } @else if !sections.is_empty() {
            section aria-labelledby="details" {
                h2 #details { "Item by item" }
                @if rest > 0 {
                    p {
                        "These " (sections.len()) " are not over, or changed last; "
                        (grouped(rest)) " more are in the table above. "
                        code { "stepseal export ITEM --format html" } " shows any one of them whole."
                    }
                }
                @for section in &sections { (section) }
            }
        }
    }
}

fn one_item(detail: &Detail<'_>, layout: Option<&Layout>, whole: bool) -> Markup {
    let Detail { workflow, item, flow, facts } = detail;
    let id = anchor(&item.work_item_id);
    let heading = format!("{id}-heading");
    let parts = html! {
        @match layout {
            Some(layout) => { (graph(&id, workflow, item, layout)) }
            None => {
                p { (count(item.steps_total, "step")) ": more than a picture shows. The table has "
                    "them, and " code { "stepseal workflow graph" } " writes them as Mermaid." }
            }
        }
        (steps(item, whole))
        (history(item, facts, whole))
    };
    html! {
        article #(id) aria-labelledby=(heading) {
            @if whole {
                h2 #(heading) { "Where it stands" }
            } @else {
                h3 #(heading) {
                    (item.work_item_id.as_str()) " " span { (short(&item.title)) }
                }
            }
            (item_facts(item, flow.as_ref(), whole))
            @if whole { (parts) } @else {
                details {
                    summary {
                        (count(item.steps_total, "step")) ", " (count(facts.len(), "fact"))
                        span .unseen { " of " (item.work_item_id.as_str()) }
                    }
                    (parts)
                }
            }
        }
    }
}

fn item_facts(item: &ItemReport, flow: Option<&ItemFlow>, whole: bool) -> Markup {
    let pair = |name: &str, what: Markup| html! { div { dt { (name) } dd { (what) } } };
    html! {
        dl .facts {
            (pair("Status", html! {
                (badge(&item.status))
                @for flag in &item.flags { " " (badge(flag)) }
                @if item.round > 1 { ", round " (item.round) }
            }))
            (pair("Done", html! { (item.steps_done) " of " (count(item.steps_total, "step")) }))
            (pair("Workflow", html! { (item.workflow.name) "@" (item.workflow.version) }))
            (pair("Outputs", html! {
                @match item.baseline {
                    Baseline::Pre => "provisional, not integrated",
                    Baseline::Post => "integrated",
                }
            }))
            @if let Some(owner) = &item.owner { (pair("Owner", html! { (owner.as_str()) })) }
            @if let Some(priority) = item.priority { (pair("Priority", html! { (priority) })) }
            @if !item.labels.is_empty() {
                (pair("Labels", html! {
                    (item.labels.iter().map(|label| short(label)).collect::<Vec<_>>().join(", "))
                }))
            }
            @if let Some(plan) = &item.plan { (pair("Plan", html! { (short(plan)) })) }
            (pair("Registered", time(item.registered_at)))
            (pair("Latest fact", time(item.last_at)))
            @if let Some(flow) = flow {
                (pair(
                    if flow.lead_ms.is_some() { "Lead time" } else { "Age at the latest fact" },
                    html! { (lasted(flow.age_ms)) }
                ))
                @if let Some(cycle) = flow.cycle_ms { (pair("Cycle time", html! { (lasted(cycle)) })) }
                @if flow.times.total() > 0 {
                    (pair("Time went to", html! {
                        (charts::classes(&flow.times).iter().filter(|(_, _, ms)| *ms > 0)
                            .map(|(_, word, part)| format!("{word} {}", lasted(*part)))
                            .collect::<Vec<_>>().join(", "))
                    }))
                }
                @for blocker in &flow.blockers {
                    (pair("Blocker", html! {
                        (blocker.blocker_id.as_str()) ", " (short(&blocker.kind)) ", "
                        @match blocker.resolved_at {
                            Some(at) => { "resolved " (time(at)) }
                            None => "open",
                        }
                        ", " (lasted(blocker.open_ms))
                    }))
                }
            }
            @if let Some(review) = &item.review {
                (pair("Under review", html! { (review.by.as_str()) ": " (short(&review.reason)) }))
            }
            @if let Some(ended) = &item.ended {
                (pair("Ended", html! {
                    (ended.how) ", " (time(ended.at)) ", " (ended.by.as_str()) ": "
                    (short(&ended.reason))
                    @if let Some(survivor) = &ended.survivor {
                        ", it lives on in " (survivor.as_str())
                    }
                }))
            }
            @for moved in &item.migrations {
                (pair("Moved", html! {
                    "from " (moved.from.name) "@" (moved.from.version) " to " (moved.to.name) "@"
                    (moved.to.version) ", " (time(moved.at)) ": " (short(&moved.reason))
                }))
            }
            @if let Some(back) = &item.last_return {
                (pair("Sent back", html! {
                    "to " (back.to.as_str())
                    @if let Some(gate) = &back.gate { " by gate " (gate) }
                    ", " (back.by.as_str()) ": " (short(&back.reason))
                }))
            }
            @if let Some(description) = item.description.as_ref().filter(|text| !text.trim().is_empty()) {
                (pair("Description", html! {
                    @if whole { (said(description, whole)) } @else {
                        span .lines { (cut_lines(description)) }
                    }
                }))
            }
        }
    }
}

/// The beginning of a long text, with its lines.
fn cut_lines(text: &str) -> String {
    let text = harmless(text.trim());
    let mut lines: Vec<String> = text.lines().take(12).map(|line| cut(line, 400, "…")).collect();
    if text.lines().count() > lines.len() {
        lines.push("…".to_owned());
    }
    lines.join("\n")
}

/// What a step's state is called, and its mark.
fn mark(step: &StepReport) -> char {
    match step.state.as_str() {
        "done" | "imported" | "skipped" => '✓',
        "held" => '●',
        "ready" => '○',
        "open" => '◆',
        "needs-requeue" | "blocked" => '!',
        _ => '·',
    }
}

/// The steps and what they wait for.
fn graph(id: &str, workflow: &Workflow, item: &ItemReport, layout: &Layout) -> Markup {
    let (titled, said) = (format!("{id}-graph"), format!("{id}-graph-says"));
    let Layout { width, height, nodes, arrows } = layout;
    let many = workflow.steps().len();
    let says = format!(
        "{}, drawn from above: each below those it waits for, in the colour of its state. The \
         table of steps says the same in words.",
        count(many, "step")
    );
    let picture = html! {
        div .scroll tabindex="0" role="region" aria-label={ "Step graph of " (item.work_item_id.as_str()) } {
            svg .graph viewBox=(format!("0 0 {width} {height}")) width=(width) height=(height)
                role="img" aria-labelledby=(format!("{titled} {said}")) {
                title id=(titled) { "Step graph of " (item.work_item_id.as_str()) }
                desc id=(said) { (says) }
                @for (arrow, points) in arrows {
                    path .arrow .written[arrow.written] d=(way(points)) {}
                    @if let Some((x, y)) = points.last() {
                        path .head d=(format!("M{x} {y}l-4-7h8Z")) {}
                    }
                }
                @for (step, (x, y)) in item.steps.iter().zip(nodes) {
                    @let left = x - NODE_WIDTH / 2;
                    g .step .{ "is-" (step.state) } {
                        title {
                            (step.key.as_str()) ": " (short(&step.title)) ", " (step.state)
                            @if let Some(reason) = &step.reason { ", " (short(reason)) }
                        }
                        @if step.gate.is_some() {
                            path d=(gate_shape(left, *y)) {}
                        } @else {
                            rect x=(left) y=(y) width=(NODE_WIDTH) height=(NODE_HEIGHT) rx="6" {}
                        }
                        text .key x=(left + 14) y=(y + 19) {
                            (mark(step)) " " (cut(step.key.as_str(), 22, "…"))
                        }
                        text x=(left + 14) y=(y + 36) { (node_title(step)) }
                    }
                }
            }
        }
    };
    html! { figure { figcaption { "What waits for what" } (picture) } }
}

/// A step's title as far as its box is wide, or its state where the title says nothing more.
fn node_title(step: &StepReport) -> String {
    if step.title == step.key.as_str() {
        return step.state.clone();
    }
    cut(&plain(&step.title), 28, "…")
}

/// A box with its corners cut.
fn gate_shape(left: i64, top: i64) -> String {
    let (flat, tall) = (NODE_WIDTH - 20, NODE_HEIGHT);
    format!(
        "M{} {top}h{flat}l10 {}l-10 {}h-{flat}l-10-{}Z",
        left + 10,
        tall / 2,
        tall - tall / 2,
        tall - tall / 2
    )
}

/// A way from node to node: bent between layers, straight through them.
fn way(points: &[(i64, i64)]) -> String {
    let mut path = String::new();
    let mut last = None;
    for (n, (x, y)) in points.iter().enumerate() {
        match last {
            None => path.push_str(&format!("M{x} {y}")),
            // Every second piece crosses a layer in its lane.
            Some((lx, _)) if n % 2 == 0 && lx == x => path.push_str(&format!("V{y}")),
            Some((lx, ly)) => {
                let middle = (ly + y) / 2;
                path.push_str(&format!("C{lx} {middle} {x} {middle} {x} {y}"));
            }
        }
        last = Some((x, y));
    }
    path
}

fn steps(item: &ItemReport, whole: bool) -> Markup {
    let most = if whole { usize::MAX } else { STEPS };
    let rest = item.steps.len().saturating_sub(most);
    html! {
        div .scroll tabindex="0" role="region" aria-label={ "Steps of " (item.work_item_id.as_str()) } {
            table {
                caption { "Steps of " (item.work_item_id.as_str()) }
                thead {
                    tr {
                        th scope="col" { "Step" }
                        th scope="col" { "Title" }
                        th scope="col" { "State" }
                        th scope="col" { "Who" }
                        th scope="col" { "Attempts" }
                        th scope="col" { "Why, or what came of it" }
                    }
                }
                tbody {
                    @for step in item.steps.iter().take(most) {
                        tr {
                            th scope="row" {
                                @if step.gate.is_some() { "◆ " }
                                (step.key.as_str())
                            }
                            td { (short(&step.title)) }
                            td { (badge(&step.state)) }
                            td { (who(step)) }
                            td { (attempts(&step.attempts, whole)) }
                            td { (said(&why(step), whole)) }
                        }
                    }
                    @for step in item.former_steps.iter().take(most) {
                        tr {
                            th scope="row" { (step.key.as_str()) }
                            td { "of an earlier version" }
                            td { (badge(&step.state)) }
                            td {}
                            td { (attempts(&step.attempts, whole)) }
                            td {}
                        }
                    }
                }
            }
        }
        @if rest > 0 {
            p { "And " (grouped(rest)) " more steps: "
                code { "stepseal export " (item.work_item_id.as_str()) " --format html" } }
        }
    }
}

fn who(step: &StepReport) -> String {
    let approvals = || {
        let by = step.attempts.last().filter(|attempt| !attempt.void)?.approvals.iter();
        let by: Vec<&str> = by.map(crate::domain::id::PrincipalId::as_str).collect();
        (!by.is_empty()).then(|| by.join(", "))
    };
    let executor = step.executor.as_ref().map(ToString::to_string);
    executor.or_else(approvals).unwrap_or_default()
}

fn attempts(attempts: &[AttemptReport], whole: bool) -> Markup {
    // The last ones say how it stands.
    let most = if whole { usize::MAX } else { 3 };
    let left_out = attempts.len().saturating_sub(most);
    let say = |attempt: &AttemptReport| {
        let void = if attempt.void { ", void" } else { "" };
        format!("{} {}{void}", attempt.attempt_id, attempt.state)
    };
    html! {
        @if !attempts.is_empty() {
            ul {
                @if left_out > 0 { li { (left_out) " earlier" } }
                @for attempt in attempts.iter().skip(left_out) {
                    li {
                        (say(attempt))
                        @if whole && !attempt.outputs.is_empty() {
                            ul {
                                @for output in &attempt.outputs {
                                    li {
                                        code { (plain(&output.path)) } " sha256 "
                                        (output.sha256.as_str())
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn why(step: &StepReport) -> String {
    let outcome = || step.attempts.last().filter(|a| !a.void).and_then(|a| a.outcome.clone());
    step.reason.clone().or_else(outcome).unwrap_or_default()
}

fn history(item: &ItemReport, facts: &[Told], whole: bool) -> Markup {
    let most = if whole { usize::MAX } else { FACTS };
    let left_out = facts.len().saturating_sub(most);
    let table = html! {
        @if left_out > 0 {
            p { "The latest " (FACTS) " of " (grouped(facts.len())) " facts; all of them: "
                code { "stepseal export " (item.work_item_id.as_str()) " --format html" } }
        }
        div .scroll tabindex="0" role="region" aria-label={ "History of " (item.work_item_id.as_str()) } {
            table {
                caption { "History of " (item.work_item_id.as_str()) ", the earliest fact first" }
                thead {
                    tr {
                        @for name in ["When", "What", "Of", "Who", "What was said"] {
                            th scope="col" { (name) }
                        }
                    }
                }
                tbody {
                    @for fact in facts.iter().skip(left_out) {
                        tr {
                            td { (time(fact.at)) }
                            td { (fact.what) }
                            td { (fact.subject) }
                            td { (fact.who) }
                            td {
                                (said(&fact.summary, whole))
                                @if whole && !fact.next_action.trim().is_empty() {
                                    br;
                                    "Next: " (said(&fact.next_action, whole))
                                }
                            }
                        }
                    }
                }
            }
        }
    };
    html! {
        @if whole { h2 { "History" } } @else { h4 { "History" } }
        (table)
    }
}
