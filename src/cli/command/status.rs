//! `status`: where items stand, and why (FR-015).

use chrono::{DateTime, Utc};

use super::super::Reply;
use super::super::args::{SortArg, StatusArgs};
use super::super::error::{Failure, clear_review, next, overturn};
use super::super::session::Session;
use super::super::ui::{Line, Ui, clock, count, grouped, plain, shell, short, span};
use super::super::view::{
    HolderView, ItemView, PortfolioItem, PortfolioView, StoppedItem, WhyNotFact, WhyNotView,
};
use super::which::Which;
use super::{Asks, Open, follow_up_rows, impact, in_use_words, listed, names, onwards, step_at};
use crate::domain::decide::{POLICY_REASON, ReviewPolicy, awaits_policy};
use crate::domain::id::{ItemId, StepKey};
use crate::domain::schedule::{self, Answer, Hold, Schedule};
use crate::domain::state::Imported;
use crate::domain::status::Status;
use crate::domain::transition::ItemPhase;
use crate::ledger::{ItemFold, Portfolio, Row, Stopped};
use crate::report::{self, ItemReport, StepReport};

/// How many waiting steps a person is shown one by one.
const WAITING: usize = 8;

/// How many items are shown where nobody said how many and there is no terminal.
const ROWS: usize = 40;

/// Lines of a terminal that are not rows: head, the rest's count, summary, hint, prompt.
const AROUND: usize = 7;

pub(super) fn run(args: &StatusArgs, session: &Session, ui: &mut Ui<'_>) -> Result<Reply, Failure> {
    let given = args.item.given();
    let ledger = session.ledger()?;
    let snapshot = ledger.snapshot().map_err(|error| session.ledger_failure(&error))?;
    let Some(given) = given else {
        if args.why_not.is_some() {
            return Err(Failure::usage("--why-not needs the item: status ITEM --why-not STEP"));
        }
        if args.impact.is_some() {
            return Err(Failure::usage("--impact needs the item: status ITEM --impact STEP"));
        }
        let which = Which::of(&args.which, &snapshot, session)?;
        let policy = snapshot.ledger().map_err(|error| session.ledger_failure(&error))?;
        let required = ReviewPolicy::of(policy) == ReviewPolicy::Required;
        let mut portfolio = snapshot.portfolio().map_err(|error| session.ledger_failure(&error))?;
        let items = portfolio.rows.len();
        portfolio.rows = which.rows(portfolio.rows, &snapshot, session)?;
        let unseen = |row: &&Row| !row.reviewed && row.ready_count > 0;
        let unseen = portfolio.rows.iter().filter(unseen).filter(|_| required).count();
        let mut reply = everything(args, items, portfolio, &Asks::reading(&ledger, session), ui);
        if unseen > 0 {
            let items = count(unseen, "item");
            let message =
                format!("{POLICY_REASON}: {items} with ready steps: stepseal review list");
            reply.warnings.push((message, None));
        }
        super::say_unshared(&mut reply, &ledger);
        return Ok(reply);
    };
    if args.which.is_given() || args.all || args.limit.is_some() || args.sort.is_some() {
        return Err(Failure::usage(
            "one item was named: leave it out to see which items fit, or see `log ITEM`",
        ));
    }
    let item: ItemId = given.parse()?;
    let fail = |error| session.ledger_failure(&error);
    let fold = snapshot.known_item(&item).map_err(fail)?;
    let policy = snapshot.ledger().map_err(fail)?;
    let by_policy = awaits_policy(policy, &fold.state);
    let asks = Asks::reading(&ledger, session);
    let mut reply = match (&args.why_not, &args.impact) {
        (Some(step), _) => why_not(&fold, step, by_policy, &asks)?,
        (None, Some(step)) => impact::reply(&fold, step, &asks)?,
        (None, None) => {
            let survivor = snapshot.survivor(&fold).map_err(fail)?;
            let mut report =
                report::item(&fold.workflow, &fold.state).under(policy, &fold.workflow);
            report.follow_ups = super::follow_ups(&snapshot, &fold).map_err(fail)?;
            one(&fold, report, survivor, by_policy, &asks)
        }
    };
    super::say_unshared(&mut reply, &ledger);
    Ok(reply)
}

/// A row of the portfolio as data.
pub(super) fn portfolio_item(row: &Row) -> PortfolioItem {
    PortfolioItem {
        work_item_id: row.id.clone(),
        title: row.title.clone(),
        status: row.status.word().to_owned(),
        flags: row.flags.iter().map(|flag| flag.word().to_owned()).collect(),
        steps_done: row.done,
        steps_total: row.steps,
        workflow: row.workflow.clone(),
        ready: row.ready.clone(),
        ready_count: row.ready_count,
        pending_gates: row.gates.clone(),
        in_progress: row
            .in_progress
            .iter()
            .map(|(attempt, executor, at)| HolderView {
                attempt_id: attempt.clone(),
                executor: executor.clone(),
                claimed_at: *at,
            })
            .collect(),
        waiting_since: row.waiting_since,
        registered_at: row.registered_at,
        last_at: row.last_at,
        owner: row.owner.clone(),
        priority: row.priority,
        labels: row.labels.clone(),
        survivor: row.survivor.clone(),
        open_blockers: row.open_blockers,
    }
}

/// Items that cannot be read are named, never left out.
pub(super) fn name_stopped(reply: &mut Reply, stopped: &[Stopped]) {
    for stopped in stopped {
        let text =
            format!("{}\tstopped\t{} {}\n", stopped.id, stopped.stop.path, stopped.stop.what);
        reply.quiet.push_str(&text);
        let what = format!("{} {}", stopped.stop.path, plain(&stopped.stop.what));
        reply.warnings.push((format!("{} is stopped: {what}", stopped.id), None));
    }
}

pub(super) fn stopped(stopped: &[Stopped]) -> Vec<StoppedItem> {
    stopped
        .iter()
        .map(|stopped| StoppedItem {
            work_item_id: stopped.id.clone(),
            path: stopped.stop.path.clone(),
            what: stopped.stop.what.clone(),
        })
        .collect()
}

/// Shows the portfolio; `items` is how many there are before anything was left out.
fn everything(
    args: &StatusArgs,
    items: usize,
    portfolio: Portfolio,
    asks: &Asks<'_>,
    ui: &Ui<'_>,
) -> Reply {
    let session = asks.session;
    let data = ui.json || ui.quiet;
    let sort = args.sort.unwrap_or(if data { SortArg::Id } else { SortArg::Attention });
    let Portfolio { mut rows, stopped } = portfolio;
    let unreadable = self::stopped(&stopped);
    rows.sort_by(|a, b| compare(a, b, sort));
    let total = rows.len();
    let summary = summary(&rows);
    let ready = rows.iter().any(|row| row.ready_count > 0);
    let unfinished =
        rows.iter().find(|row| row.status != Status::Completed).map(|row| row.id.clone());
    let shown = match (args.all || data, args.limit) {
        (_, Some(limit)) => limit,
        (true, None) => usize::MAX,
        (false, None) => ui.lines().map_or(ROWS, |lines| lines.saturating_sub(AROUND).max(5)),
    };
    // One row more takes no more room than saying that there is one.
    rows.truncate(if total == shown.saturating_add(1) && args.limit.is_none() {
        total
    } else {
        shown
    });
    let view = PortfolioView {
        items: rows.iter().map(portfolio_item).collect(),
        total,
        stopped: unreadable,
    };
    let mut reply = Reply::new("portfolio", &view);
    let now = session.now();
    if !rows.is_empty() {
        let head = ["ITEM", "STATUS", "DONE", "WORKFLOW", "NOW", "NEXT", "OLDEST WAIT"];
        reply.lines.push(Line::Row(head.map(str::to_owned).to_vec()));
    }
    for row in &rows {
        reply.lines.push(Line::Row(cells(row, now)));
        reply.quiet.push_str(&format!("{}\t{}\n", row.id, row.status.word()));
    }
    if rows.len() < total {
        let mut all = session.asker().whole;
        all.push("--all".to_owned());
        all.retain(|word| !word.starts_with("--limit"));
        let left = grouped(total - rows.len());
        let how = if args.limit.is_some() { String::new() } else { format!(": {}", shell(&all)) };
        reply.lines.push(Line::Text(format!("… and {left} more{how}")));
    }
    name_stopped(&mut reply, &stopped);
    if total == 0 && stopped.is_empty() {
        if items > 0 {
            let text = format!("none of {} fits", count(items, "item"));
            reply.lines.push(Line::Text(text));
            reply.next.push(next(["status"]));
            return reply;
        }
        reply.lines.push(Line::Text("no items yet".into()));
        reply.next.push(next(["delegate", "--plan", "FILE", "--dry-run"]));
        return reply;
    }
    reply.aside = vec![Line::Blank, Line::Text(summary)];
    if !stopped.is_empty() {
        reply.next.push(next(["verify"]));
    } else if ready {
        reply.next.push(asks.held().unwrap_or_else(|| next(["claim", "--next"])));
    } else if let Some(item) = unfinished {
        reply.next.push(next(["status", item.as_str()]));
    }
    reply
}

/// `10,000 items · 12 steps ready · 3 steps held`.
fn summary(rows: &[Row]) -> String {
    let ready: u32 = rows.iter().map(|row| row.ready_count).sum();
    let held: usize = rows.iter().map(|row| row.in_progress.len()).sum();
    let working = match held {
        0 => "nobody working".to_owned(),
        n => format!("{} held", count(n, "step")),
    };
    format!("{} · {} ready · {working}", count(rows.len(), "item"), count(ready as usize, "step"))
}

/// The cells of one item.
fn cells(row: &Row, now: DateTime<Utc>) -> Vec<String> {
    let holders: Vec<String> = row
        .in_progress
        .iter()
        .take(3)
        .map(|(attempt, by, _)| format!("● {} {by}", attempt.key()))
        .collect();
    let more = row.in_progress.len().saturating_sub(3);
    let mut now_cell = match &row.survivor {
        Some(survivor) => format!("→ {survivor}"),
        None => holders.join(", "),
    };
    if more > 0 {
        now_cell.push_str(&format!(" +{more}"));
    }
    let mut open: Vec<String> = row.ready.iter().take(3).map(|key| format!("○ {key}")).collect();
    open.extend(row.gates.iter().take(2).map(|key| format!("◆ {key}")));
    let mut next_cell = open.join(", ");
    if row.ready_count > 3 {
        next_cell.push_str(&format!(" +{}", row.ready_count - 3));
    }
    if next_cell.is_empty() && !row.status.is_over() {
        // What needs a person before anything is next.
        next_cell = match (row.status, row.open_blockers) {
            (Status::AwaitingReview, _) => "! review".to_owned(),
            (Status::Blocked, open @ 1..) => format!("! {}", count(open as usize, "blocker")),
            _ => next_cell,
        };
    }
    let wait = row.waiting_since.map(|since| span((now - since).num_seconds()));
    let or_dash = |text: String| if text.is_empty() { "–".to_owned() } else { text };
    vec![
        row.id.to_string(),
        row.status.word().to_owned(),
        format!("{}/{}", row.done, row.steps),
        row.workflow.clone(),
        or_dash(now_cell),
        or_dash(next_cell),
        or_dash(wait.unwrap_or_default()),
    ]
}

/// How much an item needs somebody: a person first, then hands, then patience.
fn attention(row: &Row) -> usize {
    const FIRST: [Status; 6] = [
        Status::NeedsRequeue,
        Status::AwaitingReview,
        Status::AwaitingGate,
        Status::Blocked,
        Status::Ready,
        Status::InProgress,
    ];
    let place = |status: &Status| FIRST.iter().position(|first| first == status);
    let words = std::iter::once(&row.status).chain(&row.flags);
    // What is over needs nobody, whatever else holds of it.
    match place(&row.status) {
        Some(_) => words.filter_map(place).min().unwrap_or(FIRST.len()),
        None => FIRST.len(),
    }
}

/// Orders two items; the id decides last.
fn compare(a: &Row, b: &Row, sort: SortArg) -> std::cmp::Ordering {
    let urgent = |row: &Row| row.priority.unwrap_or(u32::MAX);
    // Who waits for nothing comes last.
    let wait = |row: &Row| (row.waiting_since.is_none(), row.waiting_since);
    let order = match sort {
        SortArg::Id => std::cmp::Ordering::Equal,
        SortArg::Attention => {
            let key = |row: &Row| (attention(row), urgent(row), wait(row));
            key(a).cmp(&key(b))
        }
        SortArg::Priority => (urgent(a), wait(a)).cmp(&(urgent(b), wait(b))),
        SortArg::Wait => wait(a).cmp(&wait(b)),
        SortArg::Changed => b.last_at.cmp(&a.last_at),
        SortArg::Registered => a.registered_at.cmp(&b.registered_at),
    };
    order.then_with(|| a.id.cmp(&b.id))
}

/// Shows one item; `survivor` is where it lives on in the end, `by_policy` that it waits for a
/// review that nobody asked for by name.
fn one(
    fold: &ItemFold,
    report: ItemReport,
    survivor: Option<ItemId>,
    by_policy: bool,
    asks: &Asks<'_>,
) -> Reply {
    let session = asks.session;
    let mut reply = Reply::new("status", &ItemView { item: report.clone() });
    reply.quiet = format!("{}\t{}\n", report.work_item_id, report.status);
    let round = if report.round > 1 { format!(", round {}", report.round) } else { String::new() };
    let owner = report.owner.as_ref().map(|owner| format!(" · owner {owner}"));
    reply.lines.push(Line::Text(format!(
        "{}  {} · {}{round} · {} of {} done · {}@{} · {}{}",
        report.work_item_id,
        short(&report.title, 80),
        ended_words(fold.state.phase, survivor.as_ref(), &report.status),
        report.steps_done,
        report.steps_total,
        report.workflow.name,
        report.workflow.version,
        match report.baseline {
            crate::domain::event::Baseline::Pre => "provisional, not integrated",
            crate::domain::event::Baseline::Post => "integrated",
        },
        owner.unwrap_or_default(),
    )));
    reply.lines.push(Line::Blank);
    step_rows(&mut reply.lines, &report, session);
    reply.lines.push(Line::Blank);
    why_here(&mut reply.lines, &report, by_policy, session);
    blocked(&mut reply.lines, fold, &report, session);
    if report.rework.count > 0 {
        let what = format!("{}: {}", count(report.rework.count, "time"), reworked(&report));
        reply.lines.push(Line::Row(vec!["rework".into(), what]));
    }
    reply.lines.extend(follow_up_rows(&report.follow_ups, 5));
    if !report.linked.is_empty() {
        reply.lines.push(Line::Row(vec!["related".into(), listed(&report.linked)]));
    }
    let open = Open::of(fold);
    for (step, (constraint, by)) in open.ready.iter().take(3).flat_map(|step| {
        asks.in_use(&open.workflow, step).into_iter().map(move |used| (step, used))
    }) {
        let what = format!("{step}: {}", in_use_words(&constraint, &by));
        reply.lines.push(Line::Row(vec!["shared".into(), what]));
    }
    for step in report.steps.iter().filter(|step| step.state == "held").take(3) {
        reply.lines.push(Line::Row(vec!["to do".into(), remaining(step)]));
    }
    if matches!(reply.lines.last(), Some(Line::Blank)) {
        reply.lines.pop();
    }
    let item = &report.work_item_id;
    if open.ended.is_some() {
        reply.next.extend(survivor.map(|survivor| next(["status", survivor.as_str()])));
        if matches!(fold.state.phase, ItemPhase::Merged | ItemPhase::Closed) {
            reply.next.push(overturn(item));
        }
        return reply;
    }
    if open.under_review || by_policy {
        reply.next = vec![clear_review(item)];
        return reply;
    }
    let own = session.asker().executor;
    let held = open.held.iter().find(|(_, by)| own.as_ref().is_none_or(|own| own == by));
    reply.next = match held {
        Some((step, _)) => {
            let words = ["complete", "--work-item", item.as_str(), "--step", step.as_str()];
            vec![next(words).with(["--outcome", "…"])]
        }
        None => onwards(item, &open, asks)
            .into_iter()
            .filter(|next| next.argv.get(1).is_none_or(|verb| verb != "status"))
            .collect(),
    };
    reply
}

/// Why an item stands where it stands.
fn why_here(lines: &mut Vec<Line>, report: &ItemReport, by_policy: bool, session: &Session) {
    let at = |at| clock(at, session.now(), &session.config);
    let mut say = |what: String| lines.push(Line::Row(vec!["why here".into(), what]));
    if let Some(ended) = &report.ended {
        let (how, by) = (&ended.how, &ended.by);
        say(format!("{by} {how} it at {}: \"{}\"", at(ended.at), short(&ended.reason, 120)));
    } else if let Some(known) = &report.integrated {
        let (by, commit) = (&known.by, known.commit.get(..12).unwrap_or(&known.commit));
        say(format!("{by} integrated it at {}: {commit} on {}", at(known.at), known.branch));
        if let Some(accepted) = &known.accepted {
            lines.push(Line::Row(vec!["accepted".into(), format!("\"{}\"", short(accepted, 120))]));
        }
    } else if let Some(review) = &report.review {
        let reason = short(&review.reason, 120);
        say(format!("{} flagged it at {}: \"{reason}\"", review.by, at(review.at)));
        if !review.suspects.is_empty() {
            lines.push(Line::Row(vec!["may repeat".into(), listed(&review.suspects)]));
        }
    } else if by_policy {
        say(POLICY_REASON.to_owned());
    } else if let Some(back) = &report.last_return {
        let gate = back.gate.as_ref().map(|gate| format!("rejected {}", gate.key()));
        let gate = gate.unwrap_or_else(|| format!("sent it back to {}", back.to));
        say(format!("{} {gate} at {}: \"{}\"", back.by, at(back.at), short(&back.reason, 120)));
    }
    if let Some(reviewed) = report.reviewed.as_ref().filter(|_| report.ended.is_none()) {
        let (by, when) = (&reviewed.by, at(reviewed.at));
        let what = format!("by {by} at {when}: \"{}\"", short(&reviewed.rationale, 120));
        lines.push(Line::Row(vec!["reviewed".into(), what]));
    }
    if let Some(resumed) = &report.resumed {
        let (by, when) = (&resumed.by, at(resumed.at));
        let what = format!("by {by} at {when}: \"{}\"", short(&resumed.reason, 120));
        lines.push(Line::Row(vec!["resumed".into(), what]));
    }
}

/// What holds an item from outside, and for how long it was blocked in all.
fn blocked(lines: &mut Vec<Line>, fold: &ItemFold, report: &ItemReport, session: &Session) {
    let now = session.now();
    let open: Vec<_> = report.blockers.iter().filter(|b| b.resolved_at.is_none()).collect();
    for blocker in open.iter().take(3).filter(|_| report.ended.is_none()) {
        let what = format!(
            "{} ({}) holds {} for {}, owned by {}: \"{}\"",
            blocker.blocker_id,
            short(&blocker.blocker_type, 30),
            super::blocker::held(blocker),
            span((now - blocker.declared_at).num_seconds()),
            blocker.owner,
            short(&blocker.notes, 100)
        );
        lines.push(Line::Row(vec!["blocked".into(), what]));
    }
    if !report.blockers.is_empty() {
        let all = span(fold.state.blocked_until(now).num_seconds());
        let of = count(report.blockers.len(), "blocker");
        let what = format!("{all} in all, {of}, {} open", open.len());
        lines.push(Line::Row(vec!["blocked for".into(), what]));
    }
}

/// `T005 (2), T007; "an album needs an owner" (2)`.
fn reworked(report: &ItemReport) -> String {
    let times = |count: usize| if count > 1 { format!(" ({count})") } else { String::new() };
    let rework = &report.rework;
    let steps: Vec<String> = rework
        .by_step
        .iter()
        .take(8)
        .map(|step| format!("{}{}", step.step_key, times(step.count)))
        .collect();
    let more = rework.by_step.len() - steps.len();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let reasons: Vec<String> = rework
        .by_reason
        .iter()
        .take(3)
        .map(|one| format!("\"{}\"{}", short(&one.reason, 60), times(one.count)))
        .collect();
    format!("{}{more}; {}", steps.join(", "), reasons.join(", "))
}

/// The status, with where the item lives on.
fn ended_words(phase: ItemPhase, survivor: Option<&ItemId>, status: &str) -> String {
    match survivor {
        Some(_) => schedule::ended_words(phase, survivor),
        None => status.to_owned(),
    }
}

/// What a held step still needs.
fn remaining(step: &StepReport) -> String {
    let open: Vec<String> = step
        .exit
        .iter()
        .filter(|criterion| !criterion.met)
        .map(|criterion| {
            let check = if criterion.check.is_some() { " (has a check)" } else { "" };
            format!("{}{check}", criterion.id)
        })
        .collect();
    if open.is_empty() {
        return format!("{} has no open exit criteria; it needs an outcome", step.key);
    }
    format!("{}: verify {}", step.key, open.join(", "))
}

fn step_rows(lines: &mut Vec<Line>, report: &ItemReport, session: &Session) {
    let now = session.now();
    let waiting = report.steps.iter().filter(|step| step.state == "waits").count();
    let mut shown = 0;
    for step in &report.steps {
        let waits = step.state == "waits";
        if waits {
            shown += 1;
            if waiting > WAITING && shown > WAITING - 1 {
                continue;
            }
        }
        let mark = match (step.state.as_str(), step.gate.is_some()) {
            ("done" | "imported" | "skipped", _) => '✓',
            ("held", _) => '●',
            ("ready", _) => '○',
            // It waits for a step of its own item, not for a person.
            ("blocked", _) if !step.waits_for.is_empty() => '·',
            ("needs-requeue" | "blocked", _) => '!',
            (_, true) => '◆',
            _ => '·',
        };
        let who = match (&step.executor, step.state.as_str()) {
            (Some(executor), "done" | "held") => executor.to_string(),
            (_, "open") => "decide".into(),
            (_, "done") => {
                let by = step.attempts.last().and_then(|attempt| attempt.approvals.last());
                by.map_or_else(|| "done".into(), ToString::to_string)
            }
            (_, state) => state.to_owned(),
        };
        let mut detail = Vec::new();
        if step.state == "held"
            && let (Some(attempt), Some(at)) = (&step.attempt_id, step.claimed_at)
        {
            detail.push(format!("{attempt}, held {}", span((now - at).num_seconds())));
            if let Some(until) = step.lease_until {
                detail.push(format!("lease until {}", clock(until, now, &session.config)));
            }
        }
        if let (Some(quorum), "open") = (step.quorum, step.state.as_str()) {
            let said = step.attempts.last().map_or(&[][..], |attempt| &attempt.approvals);
            if quorum > 1 || !said.is_empty() {
                let by =
                    if said.is_empty() { String::new() } else { format!(" ({})", listed(said)) };
                detail.push(format!("{} of {quorum} approvals{by}", said.len()));
            }
        }
        if step.round > 1 {
            detail.push(format!("round {}", step.round));
        }
        let over = matches!(step.state.as_str(), "done" | "imported" | "skipped");
        if let Some(role) = step.role.as_ref().filter(|_| !over) {
            detail.push(format!("role {role}"));
        }
        if waits {
            detail.push(names(&step.waits_for, 4));
        } else if let Some(reason) = &step.reason {
            detail.push(plain(reason));
        }
        lines.push(Line::Row(vec![
            format!("  {mark} {}", step.key),
            who,
            short(&step.title, 60),
            detail.join(", "),
        ]));
    }
    if waiting > WAITING {
        let rest: Vec<StepKey> = report
            .steps
            .iter()
            .filter(|step| step.state == "waits")
            .skip(WAITING - 1)
            .map(|step| step.key.clone())
            .collect();
        lines.push(Line::Row(vec![
            format!("  · {} more", rest.len()),
            "wait".into(),
            names(&rest, 6),
            String::new(),
        ]));
    }
}

/// Every fact that keeps a step from starting.
fn why_not(
    fold: &ItemFold,
    step: &str,
    by_policy: bool,
    asks: &Asks<'_>,
) -> Result<Reply, Failure> {
    let session = asks.session;
    let key: StepKey = step.parse()?;
    let ItemFold { workflow, state, .. } = fold;
    let at = step_at(fold, &key, session)?;
    let schedule = Schedule::of(workflow, state);
    let report = report::item(workflow, state);
    let word = report.steps[at].state.clone();
    let mut facts = facts(fold, &schedule, at);
    let by_policy = by_policy && matches!(word.as_str(), "ready" | "waits" | "needs-requeue");
    if by_policy {
        let (rule, what) = ("review".to_owned(), POLICY_REASON.to_owned());
        facts.push(WhyNotFact { rule, what, steps: Vec::new() });
    }
    // Judged when somebody claims, and not part of the item's own schedule (S6).
    let in_use = match schedule.answers[at] {
        Answer::Ready { .. } => asks.in_use(workflow, &key),
        _ => Vec::new(),
    };
    for (constraint, by) in &in_use {
        let (rule, what) = ("constraint".to_owned(), in_use_words(constraint, by));
        facts.push(WhyNotFact { rule, what, steps: Vec::new() });
    }
    let opens = path_to(fold, &schedule, at);
    let view = WhyNotView {
        work_item_id: state.id.clone(),
        step_key: key.clone(),
        state: word.clone(),
        facts: facts.clone(),
        opens_when: opens.clone(),
    };
    let mut reply = Reply::new("why-not", &view);
    let count = match facts.len() {
        0 => String::new(),
        1 => ": one fact holds it".into(),
        n => format!(": {n} facts hold it"),
    };
    let head = match word.as_str() {
        "ready" if !by_policy && in_use.is_empty() => format!("{key} can start now"),
        "open" => format!("{key} is a gate that people can decide now"),
        "held" => format!(
            "{key} is held by {}",
            report.steps[at].executor.as_ref().map_or("", |e| e.as_str())
        ),
        "done" | "imported" | "skipped" => format!("{key} is {word}"),
        _ => format!("{key} cannot start{count}"),
    };
    reply.lines.push(Line::Text(head));
    for fact in &facts {
        reply.lines.push(Line::Row(vec![format!("  {}", fact.rule), plain(&fact.what)]));
    }
    if opens.len() > 1 {
        let shown: Vec<String> = opens
            .iter()
            .map(|key| {
                let gate = workflow.step(key).is_some_and(crate::domain::workflow::Step::is_gate);
                if gate { format!("◆ {key}") } else { key.to_string() }
            })
            .collect();
        reply.lines.push(Line::Row(vec!["opens when".into(), shown.join(" → ")]));
    }
    reply.next = match (by_policy, in_use.first()) {
        (true, _) => vec![clear_review(&state.id)],
        (false, Some((_, by))) => vec![next(["status", by.item.as_str()])],
        (false, None) => onwards(&state.id, &Open::of(fold), asks),
    };
    Ok(reply)
}

fn facts(fold: &ItemFold, schedule: &Schedule, at: usize) -> Vec<WhyNotFact> {
    let ItemFold { workflow, state, .. } = fold;
    let step = &workflow.steps()[at];
    let mut facts = Vec::new();
    let mut say = |rule: &str, what: String, steps: Vec<StepKey>| {
        facts.push(WhyNotFact { rule: rule.to_owned(), what, steps });
    };
    let key = |at: usize| workflow.steps()[at].key.clone();
    match &schedule.answers[at] {
        Answer::Waiting | Answer::Unopened => {
            let open = workflow.graph().all_blockers(at, &schedule.done);
            let written: Vec<usize> = workflow.graph().needs(at).to_vec();
            let implied: Vec<StepKey> =
                open.iter().filter(|b| !written.contains(b)).map(|&b| key(b)).collect();
            if !implied.is_empty() {
                let definition = &step.definition;
                let rule = match (definition.parallelizable, definition.group.is_some()) {
                    (false, _) => "is sequential: every lower step first",
                    (true, true) => "waits for every lower step outside its group",
                    (true, false) if definition.needs.is_some() => "waits for every lower gate",
                    (true, false) => "waits for every lower sequential step and other groups",
                };
                let text = format!("{} {rule}. Open: {}", step.key, names(&implied, 12));
                say("order", text, implied);
            }
            for &before in &open {
                if let Answer::NeedsRequeue { attempt, ended } = &schedule.answers[before] {
                    let text = format!("{attempt} ended as {}; it needs a requeue", ended.word());
                    say("ended", text, vec![key(before)]);
                }
            }
            for need in written.iter().filter(|need| !schedule.done[**need]) {
                let source = step.definition.source.as_ref();
                let line = source.and_then(|s| s.needs.iter().find(|n| n.key == key(*need)));
                let why = match (line, &state.plan) {
                    (Some(line), Some(plan)) => match &line.path {
                        Some(path) => format!(
                            "{}, both name {path} ({}:{})",
                            key(*need),
                            plan.path,
                            line.line
                        ),
                        None => format!(
                            "{}, named in the plan ({}:{})",
                            key(*need),
                            plan.path,
                            line.line
                        ),
                    },
                    _ => format!("{}, named in the workflow", key(*need)),
                };
                say("needs", why, vec![key(*need)]);
            }
        }
        Answer::Held { hold, .. } => match hold {
            Hold::Review => {
                let flag = state.review.flagged.as_ref();
                let reason =
                    flag.map(|f| format!("{}: \"{}\"", f.by, f.reason)).unwrap_or_default();
                say("review", format!("the item is under review by {reason}"), Vec::new());
            }
            Hold::Item { .. } => say("item", hold.reason(workflow).1, Vec::new()),
            Hold::Blockers(ids) => {
                for blocker in state.blockers.iter().filter(|blocker| ids.contains(&blocker.id)) {
                    let what = format!(
                        "{} ({}), owned by {}: \"{}\"",
                        blocker.id, blocker.kind, blocker.owner, blocker.notes
                    );
                    say("blocker", what, Vec::new());
                }
            }
            Hold::Constraint { constraint, by, in_progress } => {
                let how = if *in_progress { "is in progress" } else { "is ready and goes first" };
                let text = format!("shares {constraint} with {}, which {how}", key(*by));
                say("constraint", text, vec![key(*by)]);
            }
        },
        Answer::NeedsRequeue { attempt, ended } => {
            let text = format!("{attempt} ended as {}; it needs a requeue", ended.word());
            say("ended", text, Vec::new());
        }
        Answer::Done(_) | Answer::InProgress(_) | Answer::Ready { .. } | Answer::PendingGate(_) => {
        }
    }
    let waits = matches!(schedule.answers[at], Answer::Waiting);
    if waits && let Some(back) = state.last_return() {
        let open: Vec<StepKey> = back
            .void
            .iter()
            .filter(|void| {
                workflow.position(void).is_some_and(|v| {
                    v != at
                        && !schedule.done[v]
                        && workflow.graph().dependents(v)[at]
                        && state.steps[v].imported.is_none_or(|(how, _)| how == Imported::Void)
                })
            })
            .cloned()
            .collect();
        if !open.is_empty() {
            let gate =
                back.gate.as_ref().map(|g| format!(" when {} rejected {}", back.by, g.key()));
            let text = format!(
                "{} voided{} at {}",
                names(&open, 8),
                gate.unwrap_or_default(),
                back.at.format("%H:%M")
            );
            say("round", text, open);
        }
    }
    facts
}

/// The nearest chain of open steps that ends in this one.
fn path_to(fold: &ItemFold, schedule: &Schedule, at: usize) -> Vec<StepKey> {
    let workflow = &fold.workflow;
    let mut path = vec![at];
    let mut here = at;
    // Each hop goes to the last of the direct blockers; a workflow has no cycle.
    while path.len() < 12 {
        let (blockers, _) = workflow.graph().blockers(here, &schedule.done, usize::MAX);
        let Some(&before) = blockers.last() else { break };
        path.push(before);
        here = before;
    }
    path.reverse();
    path.into_iter().map(|at| workflow.steps()[at].key.clone()).collect()
}
