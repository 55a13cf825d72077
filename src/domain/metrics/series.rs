//! The flow over time: arrivals and departures in steps of the calendar, and work in progress.

use chrono::{DateTime, Datelike as _, Days, Months, NaiveDate, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::Serialize;

use super::flow::time;
use super::history::{Item, Over};
use super::spread::divided;
use super::time::{Millis, Window, between};

/// How long one point of a series is; all in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Bucket {
    Hour,
    Day,
    /// From Monday on.
    Week,
    Month,
}

impl Bucket {
    /// The word in views.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    /// As fine as gives about a hundred points at most.
    fn for_span(span: TimeDelta) -> Self {
        match span.num_hours() {
            0..=96 => Self::Hour,
            97..=2_400 => Self::Day,
            2_401..=16_800 => Self::Week,
            _ => Self::Month,
        }
    }

    /// The beginning of the one a moment is in.
    fn start(self, at: DateTime<Utc>) -> DateTime<Utc> {
        let date = at.date_naive();
        let midnight = |date: NaiveDate| date.and_time(chrono::NaiveTime::MIN).and_utc();
        match self {
            Self::Hour => {
                let hour = at.timestamp().div_euclid(3_600) * 3_600;
                DateTime::from_timestamp(hour, 0).unwrap_or(at)
            }
            Self::Day => midnight(date),
            Self::Week => {
                let back = Days::new(u64::from(date.weekday().num_days_from_monday()));
                midnight(date.checked_sub_days(back).unwrap_or(date))
            }
            Self::Month => midnight(date.with_day(1).unwrap_or(date)),
        }
    }

    /// The beginning of the next one.
    fn after(self, start: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self {
            Self::Hour => start.checked_add_signed(TimeDelta::hours(1)),
            Self::Day => start.checked_add_days(Days::new(1)),
            Self::Week => start.checked_add_days(Days::new(7)),
            Self::Month => start.checked_add_months(Months::new(1)),
        }
    }
}

/// The flow over time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Series {
    pub bucket: Bucket,
    pub wip: Wip,
    pub points: Vec<Point>,
}

/// Items begun and not over, over the window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Wip {
    /// As of now.
    pub now: u64,
    pub max: u64,
    /// The sum over all items of the time each was in progress within the window.
    pub item_ms: u64,
    /// From the first registration in the window, or from its beginning, to its end.
    pub window_ms: u64,
    /// Their quotient in thousandths of an item, a half rounded up.
    pub average_thousandths: Option<u64>,
}

/// What happened in one bucket, and how it stood at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Point {
    pub from: DateTime<Utc>,
    /// The first moment after it; the last one ends with the window.
    pub before: DateTime<Utc>,
    pub registered: u64,
    pub finished: u64,
    pub dropped: u64,
    /// At its end: registered and not begun.
    pub not_started: u64,
    /// At its end: begun and not over.
    pub in_progress: u64,
    /// All that were finished before its end.
    pub finished_total: u64,
    /// All that were dropped before its end.
    pub dropped_total: u64,
}

impl Series {
    /// Of these items, from the window's beginning, or the first registration, to its end.
    ///
    /// Items that were done before they were registered flow nowhere and are in none of it.
    #[must_use]
    pub fn of(items: &[&Item], window: &Window) -> Self {
        let flows = |item: &&&Item| !matches!(item.over, Some((_, Over::Imported)));
        let items: Vec<&Item> = items.iter().filter(flows).copied().collect();
        let first = items.iter().map(|item| item.registered).min();
        let from = match (window.from, first) {
            (Some(from), Some(first)) => Some(from.max(first)),
            (from, first) => first.or(from),
        };
        let Some(from) = from.filter(|from| *from < window.before) else {
            return Self { bucket: Bucket::Hour, wip: Wip::default(), points: Vec::new() };
        };
        let (start, before) = (time(from), time(window.before));
        let bucket = Bucket::for_span(before - start);
        Self {
            bucket,
            wip: wip(&items, from, window),
            points: points(&items, bucket, start, before, from),
        }
    }
}

/// Sorted moments, counted off as time goes on.
struct Moments {
    sorted: Vec<Millis>,
    passed: usize,
}

impl Moments {
    fn of(mut moments: Vec<Millis>) -> Self {
        moments.sort_unstable();
        Self { sorted: moments, passed: 0 }
    }

    /// How many there are before a moment that is not earlier than the last one asked for.
    fn before(&mut self, at: Millis) -> u64 {
        while self.sorted.get(self.passed).is_some_and(|moment| *moment < at) {
            self.passed += 1;
        }
        self.passed as u64
    }
}

fn over(item: &Item, how: Over) -> Option<Millis> {
    item.over.filter(|(_, was)| *was == how).map(|(at, _)| at)
}

fn points(
    items: &[&Item],
    bucket: Bucket,
    start: DateTime<Utc>,
    before: DateTime<Utc>,
    from: Millis,
) -> Vec<Point> {
    let all = |of: &dyn Fn(&Item) -> Option<Millis>| {
        Moments::of(items.iter().filter_map(|item| of(item)).collect())
    };
    let mut registered = all(&|item| Some(item.registered));
    let mut left = all(&Item::left_queue);
    let mut finished = all(&|item| over(item, Over::Finished));
    let mut dropped = all(&|item| over(item, Over::Dropped));
    let mut last = [registered.before(from), finished.before(from), dropped.before(from)];
    let mut points = Vec::new();
    let mut here = bucket.start(start);
    while here < before {
        let end = bucket.after(here).map_or(before, |end| end.min(before));
        let at = end.timestamp_millis();
        let now = [registered.before(at), finished.before(at), dropped.before(at)];
        let left = left.before(at);
        points.push(Point {
            from: here.max(start),
            before: end,
            registered: now[0] - last[0],
            finished: now[1] - last[1],
            dropped: now[2] - last[2],
            not_started: now[0].saturating_sub(left),
            in_progress: left.saturating_sub(now[1] + now[2]),
            finished_total: now[1],
            dropped_total: now[2],
        });
        last = now;
        if end == before {
            break;
        }
        here = end;
    }
    points
}

fn wip(items: &[&Item], from: Millis, window: &Window) -> Wip {
    // The last moment that is known has no length yet; whoever is in progress then still counts.
    let until = window.before.min(window.as_of);
    let mut marks = Vec::new();
    let mut item_ms = 0;
    let mut now = 0;
    for item in items {
        let Some(started) = item.left_queue() else { continue };
        let over = item.over.map(|(at, _)| at);
        now += u64::from(over.is_none());
        let begin = started.max(from);
        item_ms += between(begin, over.unwrap_or(until).min(until));
        let end = over.unwrap_or(window.before).min(window.before);
        if begin < end {
            marks.extend([(begin, true), (end, false)]);
        }
    }
    // At one instant, what ends goes before what begins.
    marks.sort_unstable();
    let (mut running, mut max) = (0u64, 0);
    for (_, begins) in marks {
        running = if begins { running + 1 } else { running.saturating_sub(1) };
        max = max.max(running);
    }
    let window_ms = between(from, until);
    let average =
        (window_ms > 0).then(|| divided(u128::from(item_ms) * 1_000, u128::from(window_ms)));
    Wip { now, max, item_ms, window_ms, average_thousandths: average }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_begin_where_the_calendar_says() {
        let at: DateTime<Utc> = "2026-11-20T10:15:30.5Z".parse().expect("a time");
        for (bucket, start, after) in [
            (Bucket::Hour, "2026-11-20T10:00:00Z", "2026-11-20T11:00:00Z"),
            (Bucket::Day, "2026-11-20T00:00:00Z", "2026-11-21T00:00:00Z"),
            // The 20th is a Friday.
            (Bucket::Week, "2026-11-16T00:00:00Z", "2026-11-23T00:00:00Z"),
            (Bucket::Month, "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"),
        ] {
            let begin = bucket.start(at);
            assert_eq!(begin, start.parse::<DateTime<Utc>>().expect("a time"));
            assert_eq!(bucket.after(begin), after.parse().ok());
        }
        let before_1970: DateTime<Utc> = "1969-12-31T23:59:59Z".parse().expect("a time");
        assert_eq!(Bucket::Hour.start(before_1970).to_rfc3339(), "1969-12-31T23:00:00+00:00");
    }
}
