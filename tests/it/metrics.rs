//! How work flows, counted a second time: event by event, over the artifacts' JSON, by code that
//! shares nothing with the product's. And the page that says what each number means, as it stands.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, Strategy, any, prop_assert_eq, proptest};
use serde_json::{Value, json};
use stepseal::domain::metrics::{self, Flow, History, Item, Series, Watch, Window};

use crate::domain_kit::Play;
use crate::histories::{begin, stories, turn};
use crate::kit::{Ran, Room};

fn millis(at: &Value) -> i64 {
    let at: DateTime<Utc> = at.as_str().expect("a time").parse().expect("a time");
    at.timestamp_millis()
}

/// The classes of time, in the order of the view.
const CLASSES: [&str; 5] = ["workingMs", "waitingMs", "decidingMs", "reviewMs", "blockedMs"];

/// One attempt while events are read one after the other.
#[derive(Debug, Clone)]
struct Try {
    step: String,
    number: u64,
    round: u64,
    gate: bool,
    queued: i64,
    claimed: Option<i64>,
    ended: Option<(i64, String)>,
    /// When its round was sent back.
    void: Option<i64>,
    ms: [u64; 5],
}

/// One item, while events are read one after the other.
#[derive(Debug, Clone, Default)]
struct Naive {
    /// Steps with whether each is a gate.
    steps: Vec<(String, bool)>,
    registered: i64,
    imported: usize,
    done: BTreeMap<String, i64>,
    skipped: Vec<String>,
    tries: Vec<Try>,
    review: bool,
    gone: Option<i64>,
    /// From when to when it was gone.
    away: Vec<(i64, i64)>,
    /// Open blockers: id, steps.
    walls: Vec<(String, Vec<String>)>,
    /// Every blocker: id, declared, resolved, milliseconds, and those while all was done.
    blockers: Vec<(String, i64, Option<i64>, u64, u64)>,
    returns: Vec<(i64, String, Option<String>, String, String)>,
    ms: [u64; 5],
    /// The same since everything was done: it counts if the item is sent back after all.
    done_ms: [u64; 5],
    as_of: i64,
}

impl Naive {
    /// Reads the events that were known at a moment; `None` where there was none.
    fn read(steps: &[(String, bool)], events: &[Value], as_of: i64) -> Option<Self> {
        let mut item = Self { steps: steps.to_vec(), as_of, ..Self::default() };
        let known: Vec<&Value> =
            events.iter().filter(|event| millis(&event["timestamp"]) <= as_of).collect();
        item.registered = millis(&known.first()?["timestamp"]);
        let mut now = item.registered;
        for event in known {
            let at = millis(&event["timestamp"]);
            item.pass(now, at);
            now = at;
            item.take(event, at);
            if item.finished().is_none() {
                item.goes_on();
            }
        }
        item.pass(now, as_of);
        if item.gone.is_some() {
            item.goes_on();
        }
        Some(item)
    }

    /// From one moment to another, but for the time it was gone.
    fn between(&self, from: i64, to: i64) -> u64 {
        let away = |(a, b): &(i64, i64)| (*b.min(&to) - *a.max(&from)).max(0);
        u64::try_from(to - from - self.away.iter().map(away).sum::<i64>()).expect("forward")
    }

    fn finished(&self) -> Option<i64> {
        let all = self.steps.iter().map(|(key, _)| self.done.get(key).copied());
        all.collect::<Option<Vec<i64>>>()?.into_iter().max()
    }

    fn over(&self) -> Option<i64> {
        self.gone.or(self.finished())
    }

    fn standing(&self) -> &'static str {
        if self.gone.is_some() {
            "dropped"
        } else if self.finished().is_some() {
            if self.tries.is_empty() && self.imported == self.steps.len() {
                "imported"
            } else {
                "finished"
            }
        } else if self.started().is_some() {
            "in-progress"
        } else {
            "not-started"
        }
    }

    fn started(&self) -> Option<i64> {
        let begun = |one: &Try| match one.gate {
            true => one.ended.as_ref().filter(|(_, how)| how != "withdrawn").map(|(at, _)| *at),
            false => one.claimed,
        };
        self.tries.iter().filter_map(begun).min()
    }

    /// Counts the time between two events, during which nothing changes.
    fn pass(&mut self, from: i64, to: i64) {
        let ms = u64::try_from(to - from).expect("plays go forward");
        if self.gone.is_some() {
            return;
        }
        let done = self.finished().is_some();
        let mut seen = [false; 5];
        for one in self.tries.iter_mut().filter(|one| one.ended.is_none()) {
            let walled =
                self.walls.iter().any(|(_, steps)| steps.is_empty() || steps.contains(&one.step));
            let class = if walled {
                4
            } else if one.claimed.is_some() {
                0
            } else if self.review {
                3
            } else if one.gate {
                2
            } else {
                1
            };
            one.ms[class] += ms;
            seen[class] = true;
        }
        let whole_wall = self.walls.iter().any(|(_, steps)| steps.is_empty());
        let class = if seen[0] {
            0
        } else if seen[4] || whole_wall {
            4
        } else if self.review {
            3
        } else if seen[2] {
            2
        } else {
            1
        };
        let sum = if done { &mut self.done_ms } else { &mut self.ms };
        sum[class] += ms;
        for (_, _, resolved, open, open_done) in &mut self.blockers {
            if resolved.is_none() {
                *if done { open_done } else { open } += ms;
            }
        }
    }

    /// What counted for nothing while everything was done counts once it is not.
    fn goes_on(&mut self) {
        for (sum, more) in self.ms.iter_mut().zip(std::mem::take(&mut self.done_ms)) {
            *sum += more;
        }
        for (.., open, open_done) in &mut self.blockers {
            *open += std::mem::take(open_done);
        }
    }

    fn open(&mut self, attempt: &str, round: u64, at: i64) {
        let (step, number) = attempt.rsplit_once('.').expect("KEY.N");
        let gate = self.steps.iter().any(|(key, gate)| key == step && *gate);
        let number = number.parse().expect("a number");
        let step = step.to_owned();
        let (claimed, ended, void, ms) = (None, None, None, [0; 5]);
        self.tries.push(Try { step, number, round, gate, queued: at, claimed, ended, void, ms });
    }

    fn one(&mut self, attempt: &str) -> &mut Try {
        let named = |one: &&mut Try| format!("{}.{}", one.step, one.number) == attempt;
        self.tries.iter_mut().find(named).expect("it was opened")
    }

    fn send_back(&mut self, event: &Value, at: i64) {
        let data = &event["data"];
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        for void in data["void"].as_array().expect("a list") {
            let key = text(&void["key"]);
            if !self.skipped.contains(&key) {
                self.done.remove(&key);
            }
            let round = void["round"].as_u64().expect("a round");
            for one in self.tries.iter_mut() {
                if one.step == key && one.round + 1 == round && one.void.is_none() {
                    one.void = Some(at);
                }
            }
        }
        let gate = (event["eventType"] == "gate-rejected").then(|| text(&event["step"]["key"]));
        let cause = text(&event["eventType"]);
        self.returns.push((at, cause, gate, text(&data["returnTo"]), text(&data["reason"])));
    }

    fn take(&mut self, event: &Value, at: i64) {
        let data = &event["data"];
        let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
        let attempt = text(&event["attemptId"]);
        let kind = text(&event["eventType"]);
        let end = |item: &mut Self, how: &str| {
            item.one(&attempt).ended = Some((at, how.to_owned()));
        };
        match kind.as_str() {
            "work-item-registered" => {
                for step in data["imported"].as_array().expect("a list") {
                    self.done.insert(text(&step["key"]), at);
                    self.imported += 1;
                }
            }
            "schedule-decided" => {
                for opened in data["opened"].as_array().expect("a list") {
                    let round = opened["round"].as_u64().expect("a round");
                    self.open(&text(&opened["attemptId"]), round, at);
                }
            }
            "attempt-requeued" => {
                self.open(&attempt, data["round"].as_u64().expect("a round"), at);
            }
            "attempt-claimed" => self.one(&attempt).claimed = Some(at),
            "attempt-completed" => {
                end(self, "completed");
                self.done.insert(text(&event["step"]["key"]), at);
            }
            "attempt-failed" => end(self, "failed"),
            "attempt-rejected" => end(self, "rejected"),
            "claim-released" => end(self, "released"),
            "claim-lapsed" => end(self, "lapsed"),
            "attempt-withdrawn" => end(self, "withdrawn"),
            "gate-approved" if data["decided"] == true => {
                end(self, "approved");
                self.done.insert(text(&event["step"]["key"]), at);
            }
            "gate-rejected" => {
                end(self, "rejected");
                self.send_back(event, at);
            }
            "rework-requested" | "baseline-reverted" => self.send_back(event, at),
            "step-skipped" => {
                let key = text(&event["step"]["key"]);
                self.done.insert(key.clone(), at);
                self.skipped.push(key);
            }
            "review-flagged" => self.review = true,
            "review-cleared" => self.review = false,
            "review-merged" | "review-closed" | "work-item-cancelled" => {
                self.review = false;
                self.gone = Some(at);
            }
            "review-overturned" => {
                let since = self.gone.take().expect("it was gone");
                self.away.push((since, at));
            }
            "blocker-declared" => {
                let steps = data["steps"].as_array().expect("a list").iter().map(text).collect();
                self.walls.push((text(&data["blockerId"]), steps));
                self.blockers.push((text(&data["blockerId"]), at, None, 0, 0));
            }
            "blocker-resolved" => {
                let id = text(&data["blockerId"]);
                self.walls.retain(|(wall, _)| *wall != id);
                let named = |wall: &&mut (String, i64, Option<i64>, u64, u64)| {
                    wall.0 == id && wall.2.is_none()
                };
                let open = self.blockers.iter_mut().find(named);
                open.expect("it was declared").2 = Some(at);
            }
            _ => {}
        }
    }

    fn judged(one: &Try) -> Option<(i64, bool)> {
        let (at, how) = one.ended.as_ref()?;
        match how.as_str() {
            "completed" | "approved" => Some((*at, true)),
            "failed" | "rejected" => Some((*at, false)),
            _ => None,
        }
    }

    fn clean(&self) -> bool {
        self.returns.is_empty() && self.tries.iter().filter_map(Self::judged).all(|(_, well)| well)
    }

    /// Rounds of a step that ended: first opening, first claim, end, well, void.
    fn rounds(&self, step: &str) -> Vec<(i64, i64, i64, bool, bool)> {
        let of_step: Vec<&Try> = self.tries.iter().filter(|one| one.step == step).collect();
        let mut rounds = Vec::new();
        for round in 1..=of_step.iter().map(|one| one.round).max().unwrap_or(0) {
            let tries: Vec<&&Try> = of_step.iter().filter(|one| one.round == round).collect();
            let Some(last) = tries.last() else { continue };
            let opened = tries[0].queued;
            let end = match Self::judged(last) {
                Some((at, true)) => (at, true),
                Some((at, false)) if last.gate => (at, false),
                _ => continue,
            };
            let begun = tries.iter().find_map(|one| one.claimed);
            let begun = if last.gate { opened } else { begun.expect("somebody did it") };
            rounds.push((opened, begun, end.0, end.1, last.void.is_some()));
        }
        rounds
    }
}

/// Counts and percentiles another way: the least duration that so many are not longer than.
fn spread(durations: &[u64]) -> Value {
    let n = durations.len() as u64;
    let at_least = |percent: u64| {
        let enough = |d: &&u64| {
            durations.iter().filter(|other| other <= d).count() as u64 * 100 >= percent * n
        };
        durations.iter().filter(enough).min()
    };
    let total: u64 = durations.iter().sum();
    let mean = (n > 0).then(|| (total + n / 2) / n);
    json!({
        "count": n, "totalMs": total, "meanMs": mean, "p50Ms": at_least(50),
        "p85Ms": at_least(85), "p95Ms": at_least(95), "maxMs": durations.iter().max(),
    })
}

fn ratio(count: u64, of: u64) -> Value {
    let basis_points =
        (of > 0).then(|| (u128::from(count) * 10_000 + u128::from(of) / 2) / u128::from(of));
    let basis_points = basis_points.map(|points| u64::try_from(points).expect("small"));
    json!({ "count": count, "of": of, "basisPoints": basis_points })
}

fn classes(ms: [u64; 5]) -> Value {
    CLASSES.iter().zip(ms).map(|(name, ms)| ((*name).to_owned(), Value::from(ms))).collect()
}

/// The portfolio's numbers, as the view says them.
fn flow(
    items: &[Naive],
    holds: impl Fn(i64) -> bool,
    meets: impl Fn(i64, Option<i64>) -> bool,
) -> Value {
    let items: Vec<&Naive> =
        items.iter().filter(|item| meets(item.registered, item.over())).collect();
    let over = |word: &str| {
        let is = |item: &&&Naive| item.standing() == word && holds(item.over().unwrap_or(i64::MAX));
        items.iter().filter(is).copied().collect::<Vec<&Naive>>()
    };
    let finished = over("finished");
    let lead = |item: &Naive, end: i64| item.between(item.registered, end);
    let leads: Vec<u64> =
        finished.iter().map(|item| lead(item, item.finished().expect("it is"))).collect();
    let cycles: Vec<u64> = finished
        .iter()
        .filter_map(|item| {
            let begun = item.started()?;
            Some(item.between(begun, item.finished()?.max(begun)))
        })
        .collect();
    let ages: Vec<u64> =
        items.iter().filter(|i| i.over().is_none()).map(|item| lead(item, item.as_of)).collect();
    let mut ms = [0; 5];
    for item in &finished {
        for (sum, part) in ms.iter_mut().zip(item.ms) {
            *sum += part;
        }
    }
    let is = |word: &str| items.iter().filter(|item| item.standing() == word).count();
    let returns: Vec<_> =
        items.iter().flat_map(|item| &item.returns).filter(|back| holds(back.0)).collect();
    let sent_back = items.iter().filter(|i| i.returns.iter().any(|b| holds(b.0))).count() as u64;
    let touched = items.iter().filter(|item| {
        item.returns.iter().any(|back| holds(back.0))
            || item.tries.iter().any(|one| {
                one.claimed.is_some_and(&holds)
                    || (one.gate && Naive::judged(one).is_some_and(|(at, _)| holds(at)))
            })
    });
    let (mut again, mut worked) = (0, 0);
    for one in items.iter().flat_map(|item| &item.tries) {
        if one.ended.as_ref().is_some_and(|(at, _)| holds(*at)) {
            worked += one.ms[0];
            again += if one.round > 1 { one.ms[0] } else { 0 };
        }
    }
    let clean = finished.iter().filter(|item| item.clean()).count() as u64;
    let walls: Vec<_> = items
        .iter()
        .flat_map(|item| &item.blockers)
        .filter(|(_, from, to, ..)| meets(*from, *to))
        .collect();
    json!({
        "items": items.len(),
        "registered": items.iter().filter(|item| holds(item.registered)).count(),
        "finished": finished.len(),
        "dropped": over("dropped").len(),
        "imported": over("imported").len(),
        "notStarted": is("not-started"),
        "inProgress": is("in-progress"),
        "leadTime": spread(&leads),
        "cycleTime": spread(&cycles),
        "age": spread(&ages),
        "times": classes(ms),
        "flowEfficiency": ratio(ms[0], ms.iter().sum()),
        "firstPassYield": ratio(clean, finished.len() as u64),
        "sentBack": ratio(sent_back, touched.count() as u64),
        "returns": returns.len(),
        "effort": ratio(again, worked),
        "blockers": walls.len(),
        "blockedMs": walls.iter().map(|(_, _, _, ms, _)| ms).sum::<u64>(),
        "blockersOpen": walls.iter().filter(|(_, _, end, ..)| end.is_none()).count(),
    })
}

/// The same numbers of the product's view, for comparison.
fn told(flow: &Value) -> Value {
    let blockers = flow["blockers"].as_array().expect("a list");
    let sum = |field: fn(&Value) -> &Value| {
        blockers.iter().map(|by| field(by).as_u64().expect("a number")).sum::<u64>()
    };
    let mut told = flow.clone();
    let all = told.as_object_mut().expect("an object");
    let rework = all.remove("rework").expect("it is there");
    all.insert("sentBack".into(), rework["sentBack"].clone());
    all.insert("returns".into(), rework["returns"].clone());
    all.insert("effort".into(), rework["effort"].clone());
    all.insert("blockersOpen".into(), sum(|by| &by["open"]).into());
    all.insert("blockedMs".into(), sum(|by| &by["openTime"]["totalMs"]).into());
    all.insert("blockers".into(), sum(|by| &by["count"]).into());
    told
}

/// A step's numbers over some items, as the view says them.
fn step(items: &[&Naive], key: &str, holds: impl Fn(i64) -> bool) -> Value {
    let (mut cycles, mut queues, mut done, mut void) = (Vec::new(), Vec::new(), 0, 0);
    let (mut judged, mut first) = (0, 0);
    for item in items {
        let gate = item.steps.iter().any(|(step, gate)| step == key && *gate);
        for (opened, begun, end, well, sent_back) in item.rounds(key) {
            if holds(end) {
                cycles.push(item.between(begun, end));
                if !gate {
                    queues.push(item.between(opened, begun));
                }
                done += u64::from(well);
                void += u64::from(well && sent_back);
            }
        }
        let tries = item.tries.iter().filter(|one| one.step == key);
        let first_judged = tries.filter_map(|one| Some((one, Naive::judged(one)?))).next();
        if let Some((one, (at, well))) = first_judged
            && holds(at)
        {
            judged += 1;
            first += u64::from(well && one.void.is_none());
        }
    }
    json!({
        "cycleTime": spread(&cycles),
        "queueTime": spread(&queues),
        "void": ratio(void, done),
        "firstPassYield": ratio(first, judged),
    })
}

/// Work in progress over a window.
fn wip(items: &[Naive], from: i64, before: i64, as_of: i64) -> Value {
    let flows: Vec<&Naive> = items.iter().filter(|item| item.standing() != "imported").collect();
    let Some(first) = flows.iter().map(|item| item.registered).min() else { return json!(null) };
    let from = from.max(first);
    if from >= before {
        return json!(null);
    }
    let spans: Vec<(i64, i64)> = flows
        .iter()
        .filter_map(|item| {
            let begun = item.started().into_iter().chain(item.over()).min()?;
            Some((begun.max(from), item.over().unwrap_or(i64::MAX)))
        })
        .collect();
    let until = before.min(as_of);
    let item_ms: i64 = spans.iter().map(|(a, b)| (b.min(&until) - a).max(0)).sum();
    let running = |at: i64| spans.iter().filter(|(a, b)| *a <= at && at < *b).count();
    let begun = spans.iter().map(|(a, _)| *a).filter(|at| *at < before);
    let max = begun.map(running).max().unwrap_or(0);
    let window = until - from;
    let average = (window > 0)
        .then(|| (i128::from(item_ms) * 2_000 + i128::from(window)) / (i128::from(window) * 2));
    json!({
        "now": flows.iter().filter(|i| i.standing() == "in-progress").count(),
        "max": max,
        "itemMs": item_ms,
        "windowMs": window,
        "averageThousandths": average.map(|average| u64::try_from(average).expect("small")),
    })
}

/// What the product measures of a play.
pub(crate) fn history(play: &Play) -> History {
    let mut state: Option<stepseal::domain::state::ItemState> = None;
    let mut watch = Watch::default();
    for recorded in &play.log {
        let digest = recorded.sha256.clone();
        match &mut state {
            Some(state) => {
                state.apply(&recorded.event, digest, &play.workflow).expect("it was legal");
            }
            none => {
                let first = stepseal::domain::state::ItemState::register(
                    &recorded.event,
                    digest,
                    &play.workflow,
                );
                *none = Some(first.expect("it was legal"));
            }
        }
        watch.see(state.as_ref().expect("it is registered"), &recorded.event);
    }
    watch.end(&play.workflow, play.item())
}

fn artifacts(play: &Play) -> Vec<Value> {
    play.log.iter().map(|r| serde_json::from_slice(&r.bytes).expect("an artifact")).collect()
}

fn steps_of(play: &Play) -> Vec<(String, bool)> {
    play.workflow.steps().iter().map(|step| (step.key.to_string(), step.is_gate())).collect()
}

fn json_of<T: serde::Serialize>(value: &T) -> Value {
    serde_json::to_value(value).expect("JSON")
}

/// Several items, a moment at which they are looked at, and a window, by chance.
fn plays() -> impl Strategy<Value = (Vec<Play>, i64, Option<i64>, i64)> {
    let story = stories();
    (vec(story, 1..4), any::<u16>(), any::<u16>(), any::<u16>()).prop_map(
        |(stories, as_of, from, until)| {
            let plays: Vec<Play> = stories
                .into_iter()
                .map(|(steps, moves)| {
                    let mut play = begin(steps);
                    for (wildly, mv) in &moves {
                        turn(&mut play, *wildly, mv).expect("a story");
                    }
                    play
                })
                .collect();
            let moments: Vec<i64> = plays
                .iter()
                .flat_map(|play| &play.log)
                .map(|recorded| recorded.event.timestamp.timestamp_millis())
                .collect();
            let (first, last) =
                (*moments.iter().min().expect("some"), *moments.iter().max().expect("some"));
            let between = |part: u16| first + (last - first) * i64::from(part % 101) / 100;
            // Half of the time everything is known, and the window is all of it.
            let as_of = if as_of % 2 == 0 { last } else { between(as_of / 2) };
            let from = (from % 2 == 1).then(|| between(from / 2));
            let before = if until % 2 == 0 { as_of } else { between(until / 2).min(as_of) } + 1;
            (plays, as_of, from, before)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 192,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn metrics_are_what_counting_event_by_event_gives((plays, as_of, from, before) in plays()) {
        let window = Window { from, before, as_of };
        let holds = |at: i64| from.is_none_or(|from| from <= at) && at < before;
        let meets = |start: i64, end: Option<i64>| {
            start < before && end.is_none_or(|end| from.is_none_or(|from| from <= end))
        };
        let measured: Vec<Item> = plays.iter().filter_map(|play| history(play).at(as_of)).collect();
        let counted: Vec<Naive> = plays
            .iter()
            .filter_map(|play| Naive::read(&steps_of(play), &artifacts(play), as_of))
            .collect();
        prop_assert_eq!(measured.len(), counted.len());
        let items: Vec<&Item> = measured.iter().collect();
        for (item, naive) in measured.iter().zip(&counted) {
            let flow = item.flow();
            prop_assert_eq!(flow.standing.word(), naive.standing());
            prop_assert_eq!(json_of(&flow.times), classes(naive.ms));
            prop_assert_eq!(flow.times.total(), flow.age_ms, "every instant is somewhere");
            prop_assert_eq!(flow.returns.len(), naive.returns.len());
            prop_assert_eq!(item.started, naive.started());
            prop_assert_eq!(item.over.map(|(at, _)| at), naive.over());
            for one in &naive.tries {
                let step = item.steps.iter().find(|s| s.key.as_str() == one.step).expect("it is");
                let attempt = step.attempts.iter().find(|a| u64::from(a.id.number()) == one.number);
                let attempt = attempt.expect("it was opened");
                prop_assert_eq!(json_of(&attempt.times), classes(one.ms), "{}", attempt.id);
                let times = (attempt.queued, attempt.claimed, attempt.ended);
                let ended = one.ended.as_ref().map(|(at, _)| *at);
                prop_assert_eq!(times, (one.queued, one.claimed, ended));
            }
            let only = [item];
            for row in metrics::by_step(&only, &Window { from: None, before: i64::MAX, as_of }) {
                let naive = step(&[naive], row.step_key.as_str(), |_| true);
                let row = json_of(&row);
                for field in ["cycleTime", "queueTime", "void", "firstPassYield"] {
                    prop_assert_eq!(&row[field], &naive[field], "{} {}", row["stepKey"], field);
                }
            }
        }
        prop_assert_eq!(told(&json_of(&Flow::of(&items, &window))), flow(&counted, holds, meets));
        let series = Series::of(&items, &window);
        let wip = wip(&counted, from.unwrap_or(i64::MIN), before, as_of);
        if !wip.is_null() {
            prop_assert_eq!(json_of(&series.wip), wip);
        }
        let sum = |of: fn(&metrics::Point) -> u64| series.points.iter().map(of).sum::<u64>();
        let flows = || counted.iter().filter(|item| item.standing() != "imported");
        let inside = |at: Option<i64>| at.is_some_and(holds);
        prop_assert_eq!(
            sum(|p| p.registered),
            flows().filter(|item| inside(Some(item.registered))).count() as u64
        );
        prop_assert_eq!(
            sum(|p| p.finished),
            flows().filter(|i| i.standing() == "finished" && inside(i.over())).count() as u64
        );
        for point in &series.points {
            let end = point.before.timestamp_millis();
            let begun = flows().filter(|item| {
                let left = item.started().into_iter().chain(item.over()).min();
                left.is_some_and(|at| at < end)
            });
            let over = flows().filter(|item| item.over().is_some_and(|at| at < end)).count();
            prop_assert_eq!(point.in_progress, (begun.count() - over) as u64);
        }
    }
}

/// The cells of the rows of a page that hold a command: what is between its bars.
fn rows(page: &str) -> Vec<Vec<String>> {
    let cells = |line: &str| -> Vec<String> {
        line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect()
    };
    page.lines().filter(|l| l.starts_with('|') && l.contains("`stepseal ")).map(cells).collect()
}

/// The words of a command between backticks, with double quotes.
fn words(cell: &str) -> Vec<String> {
    let line = cell.trim_matches('`').strip_prefix("stepseal ").expect("a command");
    let mut words = Vec::new();
    for (at, part) in line.split('"').enumerate() {
        if at % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

/// A ledger in which the page's example has happened, and the page.
pub(crate) fn by_hand() -> (Room, String) {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/metrics.md")).expect("the page");
    let (_, example) = page.split_once("\n## By hand\n").expect("the section");
    let room = Room::with_ledger();
    let plan = example.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next());
    room.write("page.yaml", plan.expect("a workflow"));
    let (happened, _) = example.split_once("\nSo this is where").expect("the acts");
    let acts = rows(happened);
    assert_eq!(acts.len(), 35, "every act of the page");
    for act in acts {
        let args = words(&act[1]);
        let mut command = room.stepseal(&args.iter().map(String::as_str).collect::<Vec<_>>());
        command.env("STEPSEAL_NOW", format!("2026-11-02T{}:00Z", act[0]));
        let ran = Ran::of(&command.output().expect("the binary starts"));
        assert_eq!(ran.code, 0, "{act:?}\n{ran}");
    }
    (room, example.to_owned())
}

#[test]
fn the_page_counts_by_hand_what_the_program_says() {
    let (room, example) = by_hand();
    let (_, says) = example.split_once("\nAnd this is what the program says").expect("the table");
    let rows = rows(says);
    assert!(rows.len() >= 35, "{}", rows.len());
    for row in rows {
        let args = words(&row[1]);
        let (code, document) = room.json(&args.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(code, 0, "{row:?} {document:#}");
        let said = document.pointer(row[2].trim_matches('`'));
        let expected: Value = serde_json::from_str(&row[3]).expect("a value");
        assert_eq!(said, Some(&expected), "{row:?}");
    }
}

/// The events as `log` tells them, by item.
fn told_by_log(room: &Room) -> BTreeMap<String, Vec<Value>> {
    let mut items: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for line in room.ok(&["log", "--json"]).lines() {
        let line: Value = serde_json::from_str(line).expect("JSON");
        if let Some(item) = line["artifact"]["workItemId"].as_str() {
            items.entry(item.to_owned()).or_default().push(line["artifact"].clone());
        }
    }
    items
}

/// The binary's answer, from the portfolio down, against what its own log gives when it is counted
/// event by event: over all of the time, and cut at every moment something happened.
#[test]
fn every_level_is_what_the_log_gives() {
    let (room, _) = by_hand();
    let log = told_by_log(&room);
    let steps: Vec<(String, bool)> = [("write", false), ("check", true), ("publish", false)]
        .map(|(key, gate)| (key.to_owned(), gate))
        .to_vec();
    let mut moments: Vec<i64> =
        log.values().flatten().map(|event| millis(&event["timestamp"])).collect();
    moments.sort_unstable();
    moments.dedup();
    for as_of in moments {
        let when = DateTime::from_timestamp_millis(as_of).expect("a time").to_rfc3339();
        let say = |by: &str| {
            let (code, document) = room.json(&["metrics", "--by", by, "--as-of", &when]);
            assert_eq!(code, 0, "{document:#}");
            document
        };
        let naive: BTreeMap<&String, Naive> = log
            .iter()
            .filter_map(|(id, events)| Some((id, Naive::read(&steps, events, as_of)?)))
            .collect();
        let all: Vec<Naive> = naive.values().cloned().collect();
        let items = say("item");
        let counted = flow(&all, |at| at <= as_of, |_, _| true);
        assert_eq!(told(&items["total"]), counted, "as of {when}");
        let rows = items["items"].as_array().expect("rows");
        assert_eq!(rows.len(), naive.len());
        for row in rows {
            let item = &naive[&row["workItemId"].as_str().expect("an id").to_owned()];
            assert_eq!(row["times"], classes(item.ms), "{row:#}");
            assert_eq!(row["standing"], item.standing());
            assert_eq!(row["returns"].as_array().map(Vec::len), Some(item.returns.len()));
        }
        for row in say("step")["steps"].as_array().expect("rows") {
            let key = row["stepKey"].as_str().expect("a key");
            let expected = step(&all.iter().collect::<Vec<_>>(), key, |_| true);
            for (field, value) in expected.as_object().expect("an object") {
                assert_eq!(&row[field], value, "{key} {field} as of {when}");
            }
        }
        let attempts = say("attempt");
        let attempts = attempts["attempts"].as_array().expect("rows");
        assert_eq!(attempts.len(), all.iter().map(|item| item.tries.len()).sum::<usize>());
        for row in attempts {
            let item = &naive[&row["workItemId"].as_str().expect("an id").to_owned()];
            let id = row["attemptId"].as_str().expect("an id");
            let named = |one: &&Try| format!("{}.{}", one.step, one.number) == id;
            let one = item.tries.iter().find(named).expect("the log has it");
            assert_eq!(row["times"], classes(one.ms), "{row:#} as of {when}");
        }
        let workflows = say("workflow");
        assert_eq!(workflows["workflows"][0]["flow"], items["total"], "there is only one");
    }
}

/// A table says what the document says, whichever level it is of, and has its header when empty.
#[test]
fn tables_say_what_the_document_says() {
    let (room, _) = by_hand();
    for by in ["portfolio", "workflow", "item", "step", "attempt"] {
        let csv = |more: &[&str]| {
            let table = room.ok(&[&["metrics", "--by", by, "--format", "csv"], more].concat());
            crate::exports::table(&table)
        };
        let (_, document) = room.json(&["metrics", "--by", by]);
        let rows = match by {
            "portfolio" => vec![document["total"].clone()],
            _ => document[format!("{by}s")].as_array().expect("rows").clone(),
        };
        let table = csv(&[]);
        assert_eq!(table.len(), rows.len(), "{by}");
        for (line, row) in table.iter().zip(&rows) {
            let flow = row.get("flow").unwrap_or(row);
            for (column, pointer) in [
                ("lead_p50_ms", "/leadTime/p50Ms"),
                ("cycle_mean_ms", "/cycleTime/meanMs"),
                ("working_ms", "/times/workingMs"),
                ("flow_efficiency_basis_points", "/flowEfficiency/basisPoints"),
                ("sent_back_count", "/rework/sentBack/count"),
                ("work_item_id", "/workItemId"),
                ("attempt_id", "/attemptId"),
                ("step_key", "/stepKey"),
                ("lead_ms", "/leadMs"),
            ] {
                if let (Some(cell), Some(value)) = (line.get(column), flow.pointer(pointer)) {
                    let value = match value {
                        Value::Null => String::new(),
                        Value::String(text) => text.clone(),
                        other => other.to_string(),
                    };
                    assert_eq!(*cell, value, "{by} {column}");
                }
            }
        }
        let none = room.ok(&["metrics", "--by", by, "--format", "csv", "--label", "nobody's"]);
        assert!(none.starts_with('"') && none.contains("working_ms"), "{by}: {none}");
        assert_eq!(none.lines().count(), if by == "portfolio" { 2 } else { 1 }, "{by}: {none}");
    }
}

#[test]
fn filters_choose_items_and_never_cut_them() {
    let (room, _) = by_hand();
    room.ok(&[
        "delegate",
        "--prompt",
        "x",
        "--work-item",
        "X",
        "--workflow",
        "default",
        "--owner",
        "ann",
        "--label",
        "l",
    ]);
    let ids = |args: &[&str]| {
        let (code, document) = room.json(&[&["metrics", "--by", "item"], args].concat());
        assert_eq!(code, 0, "{args:?} {document:#}");
        let items = document["items"].as_array().expect("rows").clone();
        let id = |item: &Value| item["workItemId"].as_str().expect("an id").to_owned();
        items.iter().map(id).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(ids(&[]), "A B C D E X");
    assert_eq!(ids(&["--owner", "ann"]), "X");
    assert_eq!(ids(&["--label", "l"]), "X");
    assert_eq!(ids(&["--workflow", "page"]), "A B C D E");
    assert_eq!(ids(&["--workflow", "page@2"]), "");
    assert_eq!(ids(&["--status", "completed"]), "A B D");
    assert_eq!(ids(&["--executor", "agent-1"]), "A");
    // B was over before, and whatever was in the flow in that time is there.
    assert_eq!(ids(&["--since", "2026-11-02T18:30:01Z"]), "C E X");
    assert_eq!(ids(&["--until", "2026-11-02T09:10:00Z"]), "A");
    // The clock is asked for nothing.
    let told = |now: &str| {
        let mut command = room.stepseal(&["metrics", "--json", "--since", "3d"]);
        command.env("STEPSEAL_NOW", now);
        Ran::of(&command.output().expect("the binary starts")).stdout
    };
    assert_eq!(told("2026-11-02T20:00:00Z"), told("2031-01-01T00:00:00Z"));
}

#[test]
fn what_makes_no_sense_is_refused_with_what_does() {
    let (room, _) = by_hand();
    for (args, code, said) in [
        (&["metrics", "NOBODY"][..], 5, "no work item NOBODY"),
        (&["metrics", "A", "--label", "x"], 2, "one item was named"),
        (&["metrics", "--as-of", "soon"], 2, "--as-of is `soon`"),
        (&["metrics", "C", "--as-of", "2026-11-02T10:00:00Z"], 2, "registered later"),
        (&["metrics", "--since", "2026-11-03"], 2, "nothing between"),
        (&["metrics", "--format", "csv", "--json"], 2, "one JSON document"),
        (&["metrics", "--by", "team"], 2, "possible values"),
    ] {
        let ran = room.run(args);
        assert_eq!(ran.code, code, "{args:?} {ran}");
        assert!(format!("{}{}", ran.stdout, ran.stderr).contains(said), "{args:?} {ran}");
    }
    let empty = Room::with_ledger();
    let ran = empty.run(&["metrics"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "no items yet\n"), "{ran}");
    let (_, document) = empty.json(&["metrics", "--by", "step"]);
    assert_eq!((&document["asOf"], &document["steps"]), (&Value::Null, &json!([])));
}

/// Each hint works as it is pasted, from the portfolio down to an attempt, filters and all.
#[test]
fn every_hint_goes_one_level_down() {
    let (room, _) = by_hand();
    let mut argv: Vec<String> =
        ["metrics", "--since", "30d", "--workflow", "page"].map(str::to_owned).to_vec();
    let mut levels = Vec::new();
    loop {
        let (code, document) = room.json(&argv.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(code, 0, "{argv:?} {document:#}");
        let Some(by) = document["by"].as_str() else { break };
        levels.push(by.to_owned());
        let next: Vec<Vec<String>> =
            serde_json::from_value(document["next"].clone()).expect("argument lists");
        let Some(next) = next.first() else { break };
        argv = next[1..].to_vec();
        if argv[0] != "metrics" {
            room.ok(&argv.iter().map(String::as_str).collect::<Vec<_>>());
            break;
        }
        if !argv.iter().any(|word| word == "B") {
            assert!(argv.ends_with(&["--by".into(), argv.last().expect("a word").clone()]));
            assert!(argv.contains(&"30d".to_owned()), "the window stays: {argv:?}");
        }
    }
    assert_eq!(levels, ["portfolio", "step", "item", "step", "attempt"]);
}

/// A ledger in which A moved from `one.yaml` to `two.yaml`, an hour after its first step.
pub(crate) fn moved() -> Room {
    let room = Room::with_ledger();
    room.write("one.yaml", "name: w\nversion: 1\nsteps: [{ key: a }, { key: b }]\n");
    room.write("two.yaml", "name: w\nversion: 2\nsteps: [{ key: c }, { key: d }]\n");
    for (at, command) in [
        ("10:00", "delegate --plan one.yaml --work-item A"),
        ("10:00", "delegate --plan two.yaml --work-item OTHER"),
        ("11:00", "claim --work-item A --step a"),
        ("12:00", "complete --work-item A --step a --outcome done"),
        ("13:00", "migrate A --to 2 --map a=c --drop b --reason better"),
        ("14:00", "claim --work-item A --step d"),
        ("15:00", "complete --work-item A --step d --outcome done"),
    ] {
        let mut command = room.stepseal(&command.split(' ').collect::<Vec<_>>());
        command.env("STEPSEAL_NOW", format!("2026-11-02T{at}:00Z"));
        let ran = Ran::of(&command.output().expect("the binary starts"));
        assert_eq!(ran.code, 0, "{ran}");
    }
    room
}

/// An item that moves to another version keeps the time that was spent: 1:00 on `a`, which is `c`
/// now, an hour in which `b` waited for nothing, and from 13:00 on an hour each of waiting and work.
#[test]
fn an_item_that_moved_is_measured_whole() {
    let room = moved();
    const HOUR: u64 = 3_600_000;
    let (_, document) = room.json(&["metrics", "A", "--by", "item"]);
    let item = &document["items"][0];
    assert_eq!((&item["version"], &item["standing"]), (&json!(2), &json!("finished")));
    assert_eq!((&item["leadMs"], &item["cycleMs"]), (&json!(5 * HOUR), &json!(4 * HOUR)));
    assert_eq!(item["times"], classes([2 * HOUR, 3 * HOUR, 0, 0, 0]));
    let (_, document) = room.json(&["metrics", "A", "--by", "attempt"]);
    let tried: Vec<(&str, &str, u64, u64)> = document["attempts"]
        .as_array()
        .expect("rows")
        .iter()
        .map(|row| {
            let text = |field: &str| row[field].as_str().expect("text");
            let hours = |field: &str| row["times"][field].as_u64().expect("a number") / HOUR;
            (text("attemptId"), text("state"), hours("waitingMs"), hours("workingMs"))
        })
        .collect();
    let expected =
        [("d.1", "completed", 1, 1), ("a.1", "completed", 1, 1), ("b.1", "withdrawn", 1, 0)];
    assert_eq!(tried, expected);
}

/// An item that cannot be read is named and not counted, and the answer says so.
#[test]
fn a_stopped_item_is_not_counted_in_silence() {
    let (room, _) = by_hand();
    let path = room.ledger_file("/B/000001-_item-work-item-registered.json");
    room.tamper(&[(&path, Some("{}\n"))]);
    let ran = room.run(&["metrics"]);
    assert_eq!(ran.code, 10, "{ran}");
    assert!(ran.stderr.contains("B is stopped and not counted"), "{ran}");
    let (code, document) = room.json(&["metrics"]);
    assert_eq!((code, &document["stopped"][0]["workItemId"]), (10, &json!("B")));
    assert_eq!(document["total"]["finished"], 2);
    assert_eq!(room.run(&["metrics", "B"]).code, 10);
    assert_eq!(room.run(&["metrics", "A"]).code, 0);
}
