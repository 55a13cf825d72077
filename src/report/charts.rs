//! Charts as SVG that a browser draws without a script: whole numbers, so that the same facts give
//! the same bytes; colours by class, so that light and dark are the page's; a title and a
//! description for those who do not see them.

use chrono::{DateTime, Datelike as _, TimeDelta, Timelike as _, Utc};
use maud::{Markup, PreEscaped, html};

use super::text::{cut, grouped, lasted, plain};
use crate::domain::metrics::{ItemFlow, Point, Series, Spread, Times};

/// A drawing's height, and where the curves stand in it.
const HEIGHT: i64 = 270;
const LEFT: i64 = 56;
const TOP: i64 = 14;
const BOTTOM: i64 = 236;

/// How wide a drawing is, where its curves end, and how many moments its axis names.
#[derive(Debug, Clone, Copy)]
struct Frame {
    width: i64,
    right: i64,
    moments: i64,
}

const WHOLE: Frame = Frame { width: 1_000, right: 990, moments: 10 };
const HALF: Frame = Frame { width: 490, right: 480, moments: 5 };
/// With room for labels at the end of lines.
const LABELLED: Frame = Frame { width: 1_000, right: 890, moments: 9 };

/// How many dots are drawn one by one, each with its own title.
const DOTS: usize = 500;

/// One finished item in the scatter.
#[derive(Debug, Clone)]
pub(super) struct Dot {
    pub name: String,
    pub at: DateTime<Utc>,
    pub ms: u64,
    /// It was sent back at least once.
    pub sent_back: bool,
}

/// A scale from what is counted to where it is drawn.
#[derive(Debug, Clone, Copy)]
struct Scale {
    from: i64,
    to: i64,
    low: i64,
    high: i64,
}

impl Scale {
    fn across(frame: Frame, from: DateTime<Utc>, to: DateTime<Utc>) -> Self {
        let (from, to) = (from.timestamp_millis(), to.timestamp_millis());
        Self { from, to: to.max(from + 1), low: LEFT, high: frame.right }
    }

    fn up(most: u64) -> Self {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        Self { from: 0, to: most.max(1), low: BOTTOM, high: TOP }
    }

    fn at(self, value: i64) -> i64 {
        let part = i128::from(value.clamp(self.from, self.to) - self.from)
            * i128::from(self.high - self.low)
            / i128::from(self.to - self.from);
        self.low + i64::try_from(part).unwrap_or(0)
    }

    fn of(self, value: u64) -> i64 {
        self.at(i64::try_from(value).unwrap_or(i64::MAX))
    }

    fn when(self, at: DateTime<Utc>) -> i64 {
        self.at(at.timestamp_millis())
    }
}

/// A chart around its curves.
fn chart(id: &str, title: &str, says: &str, (width, height): (i64, i64), curves: Markup) -> Markup {
    let (titled, described) = (format!("{id}-title"), format!("{id}-says"));
    html! {
        svg .chart viewBox=(format!("0 0 {width} {height}")) role="img"
            aria-labelledby=(format!("{titled} {described}")) {
            title id=(titled) { (title) }
            desc id=(described) { (says) }
            (curves)
        }
    }
}

/// Round numbers from nothing up to what is needed, a few of them.
fn counts(most: u64) -> Vec<u64> {
    let mut step = 1u64;
    for factor in [2, 5, 10].iter().cycle() {
        if most / step <= 5 {
            break;
        }
        let decade = 10u64.pow(step.ilog10());
        step = decade * if *factor == 10 { 10 } else { *factor };
    }
    (0..=most.div_ceil(step)).map(|n| n * step).collect()
}

/// Round durations from nothing up to what is needed.
fn durations(most: u64) -> Vec<u64> {
    const MINUTE: u64 = 60_000;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    let steps = [
        1_000,
        5_000,
        15_000,
        MINUTE,
        5 * MINUTE,
        15 * MINUTE,
        30 * MINUTE,
        HOUR,
        2 * HOUR,
        4 * HOUR,
        12 * HOUR,
        DAY,
        2 * DAY,
        7 * DAY,
        14 * DAY,
        30 * DAY,
        90 * DAY,
        365 * DAY,
    ];
    let longest = steps[steps.len() - 1];
    let step = steps.into_iter().find(|step| most.div_ceil(*step) <= 5);
    let step = step.unwrap_or_else(|| longest * most.div_ceil(longest * 5).max(1));
    (0..=most.div_ceil(step).max(1)).map(|n| n * step).collect()
}

/// A duration for an axis: only its largest part.
fn mark(ms: u64) -> String {
    if ms == 0 {
        return "0".to_owned();
    }
    let text = lasted(ms);
    let mut parts = text.split(' ');
    let first = parts.next().unwrap_or_default().to_owned();
    match parts.next() {
        Some(rest) if !rest.starts_with('0') => format!("{first} {rest}"),
        _ => first,
    }
}

/// Moments of the calendar along an axis, with what stands below each.
fn moments(most: i64, from: DateTime<Utc>, to: DateTime<Utc>) -> Vec<(DateTime<Utc>, String)> {
    let minutes = (to - from).num_minutes().max(1);
    let steps = [1, 5, 15, 30, 60, 180, 360, 720, 1_440, 2_880, 5_760, 10_080, 20_160];
    let Some(step) = steps.into_iter().find(|step| minutes / step < most) else {
        return months(most, from, to);
    };
    let seconds = step * 60;
    // Weeks begin on Monday; the first day of 1970 was a Thursday.
    let shift = if step >= 10_080 { 4 * 86_400 } else { 0 };
    let first = (from.timestamp() - shift).div_euclid(seconds) * seconds + shift;
    let label = |at: DateTime<Utc>| {
        if step >= 1_440 || (at.hour() == 0 && at.minute() == 0) {
            at.format("%m-%d").to_string()
        } else {
            at.format("%H:%M").to_string()
        }
    };
    (0..=most + 1)
        .filter_map(|n| DateTime::from_timestamp(first + n * seconds, 0))
        .filter(|at| from <= *at && *at <= to)
        .map(|at| (at, label(at)))
        .collect()
}

fn months(most: i64, from: DateTime<Utc>, to: DateTime<Utc>) -> Vec<(DateTime<Utc>, String)> {
    let month = |at: DateTime<Utc>| i64::from(at.year()) * 12 + i64::from(at.month0());
    let (first, last) = (month(from), month(to));
    let step = [1, 2, 3, 6, 12, 24, 60, 120, 600].into_iter().find(|s| (last - first) / s < most);
    let step = step.unwrap_or(1_200);
    (first.div_euclid(step)..=last.div_euclid(step))
        .filter_map(|n| {
            let (year, month0) = ((n * step).div_euclid(12), (n * step).rem_euclid(12));
            let date = chrono::NaiveDate::from_ymd_opt(
                i32::try_from(year).ok()?,
                u32::try_from(month0).ok()? + 1,
                1,
            )?;
            let at = date.and_hms_opt(0, 0, 0)?.and_utc();
            (from <= at && at <= to).then(|| (at, at.format("%Y-%m").to_string()))
        })
        .collect()
}

/// Lines across with their numbers, and moments below.
fn axes(
    up: Scale,
    ticks: &[(u64, String)],
    across: Scale,
    when: &[(DateTime<Utc>, String)],
) -> Markup {
    html! {
        g .grid {
            @for (value, label) in ticks {
                @let y = up.of(*value);
                path d=(format!("M{LEFT} {y}H{}", across.high)) {}
                text .at-end x=(LEFT - 8) y=(y + 4) { (label) }
            }
            @for (at, label) in when {
                @let x = across.when(*at);
                path d=(format!("M{x} {BOTTOM}v5")) {}
                text .at-middle x=(x) y=(BOTTOM + 20) { (label) }
            }
        }
    }
}

/// The axes of a chart that counts over a span of time.
fn count_axes(
    most: u64,
    frame: Frame,
    (from, to): (DateTime<Utc>, DateTime<Utc>),
) -> (Scale, Scale, Markup) {
    let across = Scale::across(frame, from, to);
    let when = moments(frame.moments, from, to);
    let ticks = counts(most.max(1));
    let up = Scale::up(ticks.last().copied().unwrap_or(1));
    let ticks: Vec<(u64, String)> =
        ticks.into_iter().map(|n| (n, grouped(usize::try_from(n).unwrap_or(0)))).collect();
    (across, up, axes(up, &ticks, across, &when))
}

/// The span of a series.
fn span_of(points: &[Point]) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    Some((points.first()?.from, points.last()?.before))
}

/// An area between two lines over the same moments.
fn area(xs: &[i64], upper: &[i64], lower: &[i64]) -> String {
    let mut path = String::new();
    for (n, (x, y)) in xs.iter().zip(upper).enumerate() {
        path.push_str(&format!("{}{x} {y}", if n == 0 { 'M' } else { 'L' }));
    }
    for (x, y) in xs.iter().zip(lower).rev() {
        path.push_str(&format!("L{x} {y}"));
    }
    path.push('Z');
    path
}

/// How many items there were of each standing, one upon the other.
pub(super) fn cumulative(series: &Series) -> Option<Markup> {
    let points = &series.points;
    let span = span_of(points)?;
    // From below: what is over, what runs, what waits.
    type Band = (&'static str, fn(&Point) -> u64);
    let bands: [Band; 4] = [
        ("finished", |p| p.finished_total),
        ("dropped", |p| p.dropped_total),
        ("progress", |p| p.in_progress),
        ("waiting", |p| p.not_started),
    ];
    let most = points.iter().map(|p| bands.iter().map(|(_, of)| of(p)).sum()).max().unwrap_or(0);
    let (across, up, axes) = count_axes(most, WHOLE, span);
    let xs: Vec<i64> =
        std::iter::once(LEFT).chain(points.iter().map(|p| across.when(p.before))).collect();
    let mut lower = vec![BOTTOM; xs.len()];
    let mut below: Vec<u64> = vec![0; points.len()];
    let mut areas = Vec::new();
    for (class, of) in bands {
        for (sum, point) in below.iter_mut().zip(points) {
            *sum += of(point);
        }
        let upper: Vec<i64> =
            std::iter::once(BOTTOM).chain(below.iter().map(|sum| up.of(*sum))).collect();
        areas.push((class, area(&xs, &upper, &lower)));
        lower = upper;
    }
    let last = points.last()?;
    let says = format!(
        "Over time, how many items were finished, dropped, in progress and not started. At the \
         end: {} finished, {} dropped, {} in progress, {} not started.",
        last.finished_total, last.dropped_total, last.in_progress, last.not_started
    );
    let curves = html! {
        (axes)
        @for (class, path) in &areas { path .band .(class) d=(path) {} }
    };
    Some(chart("cumulative", "Cumulative flow", &says, (WHOLE.width, HEIGHT), curves))
}

/// How many items were finished in each bucket.
pub(super) fn throughput(series: &Series) -> Option<Markup> {
    let points = &series.points;
    let span = span_of(points)?;
    let most = points.iter().map(|p| p.finished).max().unwrap_or(0);
    let (across, up, axes) = count_axes(most, HALF, span);
    let all: u64 = points.iter().map(|p| p.finished).sum();
    let bucket = series.bucket.word();
    let says = format!("Items finished in each {bucket}: {all} in all, {most} at most.");
    let curves = html! {
        (axes)
        @for point in points.iter().filter(|point| point.finished > 0) {
            @let (x, end) = (across.when(point.from), across.when(point.before));
            @let y = up.of(point.finished);
            rect .bar .finished x=(x + 1) y=(y) width=((end - x - 2).max(1)) height=(BOTTOM - y) {
                title { (point.from.format("%Y-%m-%d %H:%M")) ": " (point.finished) }
            }
        }
    };
    Some(chart(
        "throughput",
        &format!("Throughput by {bucket}"),
        &says,
        (HALF.width, HEIGHT),
        curves,
    ))
}

/// How many items were in progress.
pub(super) fn in_progress(series: &Series) -> Option<Markup> {
    let points = &series.points;
    let span = span_of(points)?;
    let most = points.iter().map(|p| p.in_progress).max().unwrap_or(0);
    let (across, up, axes) = count_axes(most, HALF, span);
    let mut line = format!("M{LEFT} {BOTTOM}");
    for point in points {
        line.push_str(&format!("L{} {}", across.when(point.before), up.of(point.in_progress)));
    }
    let says = format!(
        "Items in progress at the end of each {}: {} at the end, {} at most at any moment.",
        series.bucket.word(),
        series.wip.now,
        series.wip.max
    );
    let curves = html! {
        (axes)
        path .band .progress d=(format!("{line}V{BOTTOM}Z")) {}
        path .line .progress d=(line) {}
    };
    Some(chart("wip", "Work in progress", &says, (HALF.width, HEIGHT), curves))
}

/// Each finished item by when it was finished and how long it took, with the percentiles.
pub(super) fn scatter(dots: &[Dot], spread: &Spread) -> Option<Markup> {
    let from = dots.iter().map(|dot| dot.at).min()?;
    let to = dots.iter().map(|dot| dot.at).max()?;
    // Room at both ends, so that no dot lies on the edge.
    let room = ((to - from) / 40).max(TimeDelta::minutes(1));
    let (from, to) = (from - room, to + room);
    let across = Scale::across(LABELLED, from, to);
    let ticks = durations(spread.max_ms.unwrap_or(0));
    let up = Scale::up(ticks.last().copied().unwrap_or(1));
    let ticks: Vec<(u64, String)> = ticks.into_iter().map(|ms| (ms, mark(ms))).collect();
    let mut lines: Vec<(&str, u64)> =
        [("50%", spread.p50_ms), ("85%", spread.p85_ms), ("95%", spread.p95_ms)]
            .into_iter()
            .filter_map(|(name, ms)| Some((name, ms?)))
            .collect();
    lines.reverse();
    // Labels never lie on each other: each keeps below the one before it.
    let mut labels = Vec::new();
    let mut least = i64::MIN;
    for (name, ms) in lines {
        let y = up.of(ms);
        let at = (y + 4).max(least);
        least = at + 14;
        labels.push((name, ms, y, at));
    }
    let says = format!(
        "Each of {} finished items by when it was finished and how long it took from its first \
         claim. Half of them took at most {}, 85% at most {}, 95% at most {}.",
        dots.len(),
        lasted(spread.p50_ms.unwrap_or(0)),
        lasted(spread.p85_ms.unwrap_or(0)),
        lasted(spread.p95_ms.unwrap_or(0)),
    );
    let place = |dot: &Dot| (across.when(dot.at), up.of(dot.ms));
    let curves = html! {
        (axes(up, &ticks, across, &moments(LABELLED.moments, from, to)))
        @for (name, ms, y, at) in &labels {
            path .percentile d=(format!("M{LEFT} {y}H{}", across.high)) {}
            text .label x=(across.high + 6) y=(at) { (name) " " (mark(*ms)) }
        }
        @if dots.len() <= DOTS {
            @for dot in dots {
                @let (x, y) = place(dot);
                @if dot.sent_back {
                    path .dot .back d=(format!("M{x} {}l5 5l-5 5l-5-5Z", y - 5)) { title { (told(dot)) } }
                } @else {
                    circle .dot .finished cx=(x) cy=(y) r="4" { title { (told(dot)) } }
                }
            }
        } @else {
            path .dots .finished d=(PreEscaped(strokes(dots, false, place))) {}
            path .dots .back d=(PreEscaped(strokes(dots, true, place))) {}
        }
    };
    Some(chart("scatter", "Cycle times", &says, (LABELLED.width, HEIGHT), curves))
}

fn told(dot: &Dot) -> String {
    let back = if dot.sent_back { ", sent back" } else { "" };
    format!("{}: {}{back}", plain(&dot.name), lasted(dot.ms))
}

/// Many dots as one path: round ends of lines without length, each place once.
fn strokes(dots: &[Dot], back: bool, place: impl Fn(&Dot) -> (i64, i64)) -> String {
    let mut places: Vec<(i64, i64)> =
        dots.iter().filter(|dot| dot.sent_back == back).map(place).collect();
    places.sort_unstable();
    places.dedup();
    places.iter().map(|(x, y)| format!("M{x} {y}h0")).collect()
}

/// The classes of time, by the words that people read, with their colours.
pub(super) fn classes(times: &Times) -> [(&'static str, &'static str, u64); 5] {
    [
        ("working", "working", times.working_ms),
        ("waiting", "waiting", times.waiting_ms),
        ("deciding", "deciding", times.deciding_ms),
        ("review", "under review", times.review_ms),
        ("blocked", "blocked", times.blocked_ms),
    ]
}

/// Bars one below the other, each as long as it took, in the colours of where the time went.
pub(super) fn ages(items: &[&ItemFlow]) -> Option<Markup> {
    let most = items.iter().map(|item| item.age_ms).max()?;
    let ticks = durations(most);
    let scale = Scale {
        from: 0,
        to: i64::try_from(ticks.last().copied().unwrap_or(1)).unwrap_or(i64::MAX).max(1),
        low: 190,
        high: LABELLED.right,
    };
    let row = 22;
    let end = TOP + row * i64::try_from(items.len()).unwrap_or(0);
    let says = format!(
        "The {} oldest items that are not over, by how long ago they were registered; the oldest \
         is {} old.",
        items.len(),
        lasted(most)
    );
    let curves = html! {
        g .grid {
            @for ms in &ticks {
                @let x = scale.of(*ms);
                path d=(format!("M{x} {TOP}V{end}")) {}
                text .at-middle x=(x) y=(end + 18) { (mark(*ms)) }
            }
        }
        @for (n, item) in (0..).zip(items) {
            @let y = TOP + row * n;
            text .at-end x="182" y=(y + 15) { (cut(item.work_item_id.as_str(), 24, "…")) }
            g {
                title {
                    (item.work_item_id.as_str()) ": " (lasted(item.age_ms)) ", " (item.standing.word())
                }
                (stacked(&item.times, y + 3, 16, scale))
            }
            text .label x=(scale.of(item.age_ms) + 6) y=(y + 15) { (lasted(item.age_ms)) }
        }
    };
    Some(chart("ages", "Age of what is not over", &says, (LABELLED.width, end + 30), curves))
}

/// Where time went, as one bar.
pub(super) fn split(id: &str, times: &Times) -> Markup {
    let total = i64::try_from(times.total()).unwrap_or(i64::MAX).max(1);
    let scale = Scale { from: 0, to: total, low: 0, high: WHOLE.width };
    let parts: Vec<String> = classes(times)
        .iter()
        .filter(|(_, _, ms)| *ms > 0)
        .map(|(_, word, ms)| format!("{word} {}", lasted(*ms)))
        .collect();
    let says = parts.join(", ");
    chart(id, "Where the time went", &says, (WHOLE.width, 26), stacked(times, 0, 26, scale))
}

/// The pieces of a bar.
fn stacked(times: &Times, y: i64, height: i64, scale: Scale) -> Markup {
    let mut sum = 0u64;
    let mut pieces = Vec::new();
    for (class, _, ms) in classes(times) {
        let from = scale.of(sum);
        sum += ms;
        if ms > 0 {
            pieces.push((class, from, (scale.of(sum) - from).max(1)));
        }
    }
    html! {
        @for (class, x, width) in pieces {
            rect .bar .(class) x=(x) y=(y) width=(width) height=(height) {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_has_a_few_round_numbers_and_reaches_the_highest() {
        for most in [1, 2, 3, 7, 12, 49, 51, 999, 10_600, 1_234_567] {
            let ticks = counts(most);
            assert!(ticks.len() <= 7 && *ticks.last().expect("some") >= most, "{most} {ticks:?}");
        }
        assert_eq!(counts(7), [0, 2, 4, 6, 8]);
        assert_eq!(counts(49), [0, 10, 20, 30, 40, 50]);
        for most in [1, 900, 61_000, 3_600_000, 86_400_000, 9_000_000_000, 900_000_000_000] {
            let ticks = durations(most);
            assert!(ticks.len() <= 6 && *ticks.last().expect("some") >= most, "{most} {ticks:?}");
        }
        assert_eq!(mark(86_400_000), "1d");
        assert_eq!(mark(90 * 60_000), "1h 30m");
    }

    #[test]
    fn moments_are_round_and_within() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().expect("a time");
        let labels = |from: &str, to: &str| {
            let moments = moments(8, at(from), at(to));
            assert!(moments.iter().all(|(m, _)| at(from) <= *m && *m <= at(to)), "{moments:?}");
            moments.into_iter().map(|(_, label)| label).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            labels("2026-11-20T10:07:00Z", "2026-11-20T18:00:00Z"),
            "11:00 12:00 13:00 14:00 15:00 16:00 17:00 18:00"
        );
        assert_eq!(
            labels("2026-11-20T22:30:00Z", "2026-11-21T01:30:00Z"),
            "22:30 23:00 23:30 11-21 00:30 01:00 01:30"
        );
        // Mondays.
        assert_eq!(
            labels("2026-11-01T00:00:00Z", "2026-12-10T00:00:00Z"),
            "11-02 11-09 11-16 11-23 11-30 12-07"
        );
        assert_eq!(
            labels("2026-11-20T00:00:00Z", "2027-05-01T00:00:00Z"),
            "2026-12 2027-01 2027-02 2027-03 2027-04 2027-05"
        );
    }
}
