//! What is measured: each row is one promise of docs/PERFORMANCE.md, as a ratio or against a limit.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use stepseal::artifact::{self, Seal};
use stepseal::domain::schedule::Schedule;

use crate::bare;
use crate::generate::{Shape, generate};
use crate::stage::{Stage, in_turn, median, run, time};

/// One line of the table.
pub(crate) struct Line {
    pub(crate) what: String,
    /// What was measured, in words: figures with their units.
    pub(crate) seen: String,
    pub(crate) target: String,
    pub(crate) met: bool,
}

/// What measures a row.
type Row = fn(&Stage) -> Vec<Line>;

/// The rows by their names on the command line.
pub(crate) const ROWS: &[(&str, Row)] = &[
    ("start", start),
    ("event", event),
    ("event-100k", event_100k),
    ("item-at-1m", item_at_1m),
    ("large-item", large),
    ("portfolio", portfolio),
    ("racing", racing),
    ("shared", shared),
    ("contending", contending),
    ("collect", collect),
    ("scheduling", scheduling),
    ("plan", plan),
    ("verify", verify),
    ("export", export),
];

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// `a` may be at most `limit` times `b`.
fn ratio(what: &str, (a, b): (Duration, Duration), peer: &str, limit: f64) -> Line {
    let ratio = a.as_secs_f64() / b.as_secs_f64();
    Line {
        what: what.into(),
        seen: format!("{:.2} ms, {peer} {:.2} ms: {ratio:.2} ×", ms(a), ms(b)),
        target: format!("≤ {limit} × {peer}"),
        met: ratio <= limit,
    }
}

/// `a` may take at most `limit`.
fn within(what: &str, a: Duration, limit: Duration) -> Line {
    Line {
        what: what.into(),
        seen: format!("{:.1} ms", ms(a)),
        target: format!("≤ {} ms", ms(limit)),
        met: a <= limit,
    }
}

/// How long a program takes to say its version.
fn start(stage: &Stage) -> Vec<Line> {
    let dir = stage.path("");
    let both = in_turn(
        60,
        |_| time(stage.stepseal(&dir, &["--version"])),
        |_| time(stage.git(&dir, &["--version"])),
    );
    vec![ratio("start-up", both, "git --version", 1.2)]
}

/// A workflow of steps that may all be claimed, as one plan file.
fn many_steps(dir: &Path, count: usize) {
    let mut text = String::from("name: many\nsteps:\n");
    for n in 1..=count {
        text.push_str(&format!("  - {{ key: s{n:04}, order: 1, parallelizable: true }}\n"));
    }
    std::fs::write(dir.join("plan.yaml"), text).expect("a file");
}

/// One claim: the `n`th step, each by an executor of its own.
fn claim(stage: &Stage, dir: &Path, item: &str, n: usize) -> Command {
    let step = format!("s{:04}", n + 1);
    let mut command = stage.stepseal(dir, &["claim", "--work-item", item, "--step", &step]);
    command.args(["--executor", &format!("bench-{item}-{n}"), "--quiet"]);
    command
}

/// One event, whole process, in a small repository: against git, and against bare git2 writing the
/// same objects into a copy of the same repository.
fn event(stage: &Stage) -> Vec<Line> {
    let mut lines = Vec::new();
    let beside = stage.path("plain");
    time(stage.git(&stage.path(""), &["init", "--quiet", "plain"]));
    let dir = stage.repository("small");
    // Ten items of a few steps, so that no item is large.
    many_steps(&dir, 6);
    for n in 0..10 {
        let item = format!("W{n}");
        time(
            stage.stepseal(&dir, &["delegate", "--plan", "plan.yaml", "--work-item", &item, "-q"]),
        );
    }
    let claim_n = |n: usize, durability: &str| {
        let item = format!("W{}", n % 10);
        let step = format!("s{:04}", n / 10 + 1);
        let mut command = stage.stepseal(&dir, &["claim", "--work-item", &item, "--step", &step]);
        command.args(["--executor", &format!("bench-{n}"), "--quiet"]);
        command.env("STEPSEAL_LEDGER_DURABILITY", durability);
        command
    };
    let git = |n: usize| {
        std::fs::write(beside.join(format!("event-{n}.json")), "x".repeat(1500)).expect("a file");
        let file = format!("event-{n}.json");
        let begin = Instant::now();
        time(stage.git(&beside, &["add", &file]));
        time(stage.git(&beside, &["commit", "--quiet", "-m", "one event"]));
        begin.elapsed()
    };
    let both = in_turn(20, |n| time(claim_n(n, "process")), git);
    lines.push(ratio("one event, durability process", both, "git add && git commit", 0.6));
    for (durability, durable, first) in [("process", false, 20), ("durable", true, 40)] {
        let copy = stage.path("copy");
        let objects = stage.path("objects");
        let (mut ours, mut bare) = (Vec::new(), Vec::new());
        for n in first..first + 15 {
            drop(std::fs::remove_dir_all(&copy));
            let mut cp = stage.program("cp", &stage.path(""));
            cp.arg("-a").arg(&dir).arg(&copy);
            time(cp);
            ours.push(time(claim_n(n, durability)));
            std::fs::write(&objects, bare::objects_of(&dir, "stepseal-ledger")).expect("a file");
            let mut append = stage.program(&own(), &copy);
            append.args(["bare"]).args([&copy, &objects]);
            if durable {
                append.arg("--durable");
            }
            bare.push(time(append));
        }
        let what = format!("one event, durability {durability}");
        lines.push(ratio(&what, (median(ours), median(bare)), "bare git2, same objects", 1.5));
    }
    lines
}

/// This program: it is its own peer.
fn own() -> String {
    std::env::current_exe().expect("a path").display().to_string()
}

/// One event in a ledger of 100,000 artifacts, against git in a work tree of them.
fn event_100k(stage: &Stage) -> Vec<Line> {
    let dir = stage.ledger("ledger", &Shape { items: 7_500, steps: 3, per_commit: 5000, open: 0 });
    let work = stage.path("work");
    time(stage.git(&stage.path(""), &["clone", "-q", "-b", "stepseal-ledger", "ledger", "work"]));
    let both = in_turn(
        5,
        |n| {
            let item = format!("item-{:06}", 13 + n * 10);
            let mut command = stage.stepseal(&dir, &["claim", "--work-item", &item, "-q"]);
            command.args(["--step", "step-0003", "--executor", &format!("bench-{n}")]);
            time(command)
        },
        |n| {
            let file = format!("artifacts/handoff/00/event-{n}.json");
            std::fs::create_dir_all(work.join("artifacts/handoff/00")).expect("a folder");
            std::fs::write(work.join(&file), "x".repeat(1500)).expect("a file");
            let begin = Instant::now();
            time(stage.git(&work, &["add", &file]));
            time(stage.git(&work, &["commit", "--quiet", "-m", "one event"]));
            begin.elapsed()
        },
    );
    vec![ratio("one event at 100,000 artifacts", both, "git add && git commit", 0.05)]
}

/// The ledger of a million events, of 106,000 items.
fn million() -> Shape {
    Shape { items: 106_000, steps: 3, per_commit: 5000, open: 0 }
}

fn item_at_1m(stage: &Stage) -> Vec<Line> {
    let dir = stage.ledger("million", &million());
    let item = "item-050007";
    time(stage.stepseal(&dir, &["status", item, "-q"]));
    let both = in_turn(
        20,
        |_| time(stage.stepseal(&dir, &["status", item])),
        |_| time(stage.git(&dir, &["rev-parse", "stepseal-ledger"])),
    );
    vec![ratio("status ITEM at 1,000,000 events", both, "git rev-parse", 4.0)]
}

/// An item of a thousand steps, of which sixty are left to do.
fn large(stage: &Stage) -> Vec<Line> {
    let item = "item-000000";
    let dir = stage.ledger("large", &Shape { items: 1, steps: 1000, per_commit: 1, open: 60 });
    let beside = stage.ledger("few", &Shape { items: 60, steps: 4, per_commit: 1, open: 2 });
    let mut lines = Vec::new();
    time(stage.stepseal(&dir, &["status", item, "-q"]));
    let status = median((0..20).map(|_| time(stage.stepseal(&dir, &["status", item]))).collect());
    lines.push(within("status of an item of 1,000 steps", status, Duration::from_millis(10)));
    let act = |dir: &Path, item: &str, step: usize, act: &[&str], durability: &str| {
        let step = format!("step-{step:04}");
        let mut command = stage.stepseal(dir, act);
        command.args(["--work-item", item, "--step", &step, "--quiet"]);
        command.env("STEPSEAL_LEDGER_DURABILITY", durability);
        time(command)
    };
    let complete = ["complete", "--outcome", "done", "--next-action", "go on"];
    for (durability, from) in [("process", 0), ("durable", 25)] {
        let both = in_turn(
            25,
            |n| {
                let took = act(&dir, item, 941 + from + n, &["claim"], durability);
                act(&dir, item, 941 + from + n, &complete, durability);
                took
            },
            |n| {
                let item = format!("item-{:06}", from + n);
                let took = act(&beside, &item, 3, &["claim"], durability);
                act(&beside, &item, 3, &complete, durability);
                took
            },
        );
        let what = format!("a claim on an item of 1,000 steps, durability {durability}");
        lines.push(ratio(&what, both, "on a small item", 2.0));
    }
    let drained = stage.repository("drained");
    let made = generate(&drained, &Shape { items: 1, steps: 1000, per_commit: 1, open: 0 });
    let megabytes = made.artifact_bytes / 1_000_000;
    lines.push(Line {
        what: "everything written to drain it".into(),
        seen: format!("{megabytes} MB in {} events, {} commits", made.events, made.commits),
        target: "≤ 20 MB".into(),
        met: megabytes <= 20,
    });
    lines
}

fn portfolio(stage: &Stage) -> Vec<Line> {
    let dir = stage.ledger("million", &million());
    let cold = run(stage.stepseal(&dir, &["status"]), 0);
    let warm = (0..9).map(|_| run(stage.stepseal(&dir, &["status"]), 0)).collect::<Vec<_>>();
    let peak = cold.peak.max(warm.iter().map(|run| run.peak).max().unwrap_or(0)) / 1024;
    let warm = median(warm.into_iter().map(|run| run.took).collect());
    vec![
        within("portfolio of 106,000 items, cold", cold.took, Duration::from_secs(20)),
        within("portfolio of 106,000 items, warm", warm, Duration::from_millis(150)),
        Line {
            what: "portfolio, memory of its own".into(),
            seen: format!("{peak} MB"),
            target: "≤ 300 MB".into(),
            met: peak <= 300,
        },
    ]
}

/// 64 processes appending, against one after the other.
fn racing(stage: &Stage) -> Vec<Line> {
    let dir = stage.repository("race");
    many_steps(&dir, 320);
    for item in ["A", "B"] {
        time(stage.stepseal(&dir, &["delegate", "--plan", "plan.yaml", "--work-item", item, "-q"]));
    }
    let begin = Instant::now();
    for n in 0..320 {
        time(claim(stage, &dir, "A", n));
    }
    let alone = begin.elapsed();
    let begin = Instant::now();
    let longest = std::thread::scope(|scope| {
        let dir = &dir;
        let workers: Vec<_> = (0..64)
            .map(|worker| {
                scope.spawn(move || {
                    let claims = (0..5).map(|n| time(claim(stage, dir, "B", worker * 5 + n)));
                    claims.max().unwrap_or_default()
                })
            })
            .collect();
        let longest = workers.into_iter().map(|worker| worker.join().expect("a racer"));
        longest.max().unwrap_or_default()
    });
    let together = begin.elapsed();
    let rate = |time: Duration| 320.0 / time.as_secs_f64();
    let ratio = rate(together) / rate(alone);
    vec![Line {
        what: "64 processes racing".into(),
        seen: format!(
            "{:.0} events/s, one process {:.0}: {ratio:.2} ×; longest wait {:.0} ms",
            rate(together),
            rate(alone),
            ms(longest)
        ),
        target: "≥ 0.7 × one process".into(),
        met: ratio >= 0.7,
    }]
}

/// A bare remote `NAME.git` and clones of it that share a ledger through it.
fn clones(stage: &Stage, name: &str, count: usize) -> (PathBuf, Vec<PathBuf>) {
    let remote = stage.path(&format!("{name}.git"));
    let here = stage.path("");
    time(stage.git(&here, &["init", "--quiet", "--bare", &remote.display().to_string()]));
    let clone = |n: usize| {
        let dir = stage.path(&format!("{name}-{n}"));
        let (from, to) = (remote.display().to_string(), dir.display().to_string());
        time(stage.git(&here, &["clone", "--quiet", &from, &to]));
        time(stage.stepseal(&dir, &["init", "--remote", "origin", "--quiet"]));
        dir
    };
    let clones = (0..count).map(clone).collect();
    (remote, clones)
}

/// A claim that counts once the remote has it, against the fetch and the push it needs: of the very
/// commit it made, to a twin of the remote.
fn shared(stage: &Stage) -> Vec<Line> {
    let (remote, clones) = clones(stage, "shared", 1);
    let dir = &clones[0];
    many_steps(dir, 40);
    time(stage.stepseal(dir, &["delegate", "--plan", "plan.yaml", "--work-item", "A", "-q"]));
    let twin = stage.path("twin.git").display().to_string();
    let mut copy = stage.program("cp", &stage.path(""));
    copy.arg("-a").arg(&remote).arg(&twin);
    time(copy);
    let (branch, tip) =
        ("refs/heads/stepseal-ledger", "stepseal-ledger:refs/heads/stepseal-ledger");
    let both = in_turn(
        20,
        |n| time(claim(stage, dir, "A", n)),
        |_| {
            let begin = Instant::now();
            time(stage.git(dir, &["fetch", "--quiet", "--no-tags", &twin, branch]));
            time(stage.git(dir, &["push", "--quiet", "--no-verify", &twin, tip]));
            begin.elapsed()
        },
    );
    vec![ratio("a shared claim", both, "git fetch + git push", 1.25)]
}

/// Sixteen clones that push at once, against one.
fn contending(stage: &Stage) -> Vec<Line> {
    const CLONES: usize = 16;
    const EACH: usize = 4;
    let (_, clones) = clones(stage, "contending", CLONES);
    many_steps(&clones[0], CLONES * EACH);
    for item in ["A", "B"] {
        let delegate = ["delegate", "--plan", "plan.yaml", "--work-item", item, "-q"];
        time(stage.stepseal(&clones[0], &delegate));
    }
    let begin = Instant::now();
    for n in 0..CLONES * EACH {
        time(claim(stage, &clones[0], "A", n));
    }
    let alone = begin.elapsed();
    let begin = Instant::now();
    let longest = std::thread::scope(|scope| {
        let workers: Vec<_> = clones
            .iter()
            .enumerate()
            .map(|(worker, dir)| {
                scope.spawn(move || {
                    let claims = (0..EACH).map(|n| time(claim(stage, dir, "B", worker * EACH + n)));
                    claims.max().unwrap_or_default()
                })
            })
            .collect();
        let longest = workers.into_iter().map(|worker| worker.join().expect("a clone"));
        longest.max().unwrap_or_default()
    });
    let together = begin.elapsed();
    let rate = |time: Duration| (CLONES * EACH) as f64 / time.as_secs_f64();
    let ratio = rate(together) / rate(alone);
    vec![Line {
        what: "16 clones contending".into(),
        seen: format!(
            "{:.1} claims/s, one clone {:.1}: {ratio:.2} ×; longest wait {:.0} ms",
            rate(together),
            rate(alone),
            ms(longest)
        ),
        target: "≥ 0.7 × one clone".into(),
        met: ratio >= 0.7,
    }]
}

/// A thousand handoffs of ten items in one commit, against fast-import of all files that commit
/// adds.
fn collect(stage: &Stage) -> Vec<Line> {
    let dir = stage.repository("collect");
    many_steps(&dir, 100);
    for n in 0..10 {
        let item = format!("I{n}");
        let wave = ["schedule", &item, "--preclaim", "--executors", "100", "--base", &item];
        time(
            stage.stepseal(&dir, &["delegate", "--plan", "plan.yaml", "--work-item", &item, "-q"]),
        );
        time(stage.stepseal(&dir, &[&wave[..], &["--tickets", "t"]].concat()));
        for step in 1..=100 {
            let ticket = format!("t/{item}/s{step:04}.1.json");
            let done = ["complete", "--ticket", &ticket, "--spool", "s", "--outcome", "done", "-q"];
            time(stage.stepseal(&dir, &done));
        }
    }
    let ours = time(stage.stepseal(&dir, &["collect", "s", "--quiet"]));
    let output = |args: &[&str]| {
        let mut git = stage.git(&dir, args);
        git.stdout(Stdio::piped());
        git.output().expect("git starts").stdout
    };
    let added = ["diff-tree", "-r", "--no-commit-id", "--name-only", "stepseal-ledger"];
    let names = String::from_utf8(output(&added)).expect("paths");
    let mut stream = b"commit refs/heads/x\ncommitter b <b@x> 1 +0000\ndata 0\n".to_vec();
    let mut files = 0;
    for name in names.lines() {
        let bytes = output(&["cat-file", "blob", &format!("stepseal-ledger:{name}")]);
        stream.extend_from_slice(
            format!("M 100644 inline {name}\ndata {}\n", bytes.len()).as_bytes(),
        );
        stream.extend_from_slice(&bytes);
        stream.push(b'\n');
        files += 1;
    }
    let file = stage.path("stream");
    std::fs::write(&file, &stream).expect("a file");
    time(stage.git(&stage.path(""), &["init", "--quiet", "imported"]));
    let mut import = stage.git(&stage.path("imported"), &["fast-import", "--quiet"]);
    import.stdin(std::fs::File::open(&file).expect("the stream"));
    let theirs = time(import);
    let what = format!("collect of 1,000 handoffs, {files} files");
    vec![ratio(&what, (ours, theirs), "git fast-import", 2.0)]
}

/// The scheduler alone, in this process.
fn scheduling(_: &Stage) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut before = None;
    for steps in [250_000, 1_000_000] {
        let (workflow, item) = crate::generate::wide(steps);
        let took = median(
            (0..3)
                .map(|_| {
                    let begin = Instant::now();
                    let schedule = Schedule::of(&workflow, &item);
                    assert_eq!(schedule.answers.len(), steps);
                    begin.elapsed()
                })
                .collect(),
        );
        if let Some(before) = before {
            lines.push(within(
                "scheduling 1,000,000 steps, 3,000,000 edges",
                took,
                Duration::from_secs(1),
            ));
            lines.push(ratio("the same, growth", (took, before), "a quarter of them", 6.0));
        }
        before = Some(took);
    }
    lines
}

/// A plan of a thousand tasks.
fn plan(stage: &Stage) -> Vec<Line> {
    let dir = stage.repository("plan");
    many_steps(&dir, 1000);
    let empty = median((0..20).map(|_| time(stage.stepseal(&dir, &["--version"]))).collect());
    let dry = |_| time(stage.stepseal(&dir, &["delegate", "--plan", "plan.yaml", "--dry-run"]));
    let dry = median((0..20).map(dry).collect());
    let real = |n| {
        let item = format!("P{n}");
        time(stage.stepseal(&dir, &["delegate", "--plan", "plan.yaml", "--work-item", &item, "-q"]))
    };
    let real = median((0..20).map(real).collect());
    vec![
        within(
            "plan of 1,000 tasks: parse, validate, schedule, beyond start-up",
            dry.saturating_sub(empty),
            Duration::from_millis(20),
        ),
        within(
            "the same, delegated and sealed",
            real.saturating_sub(empty),
            Duration::from_millis(60),
        ),
    ]
}

fn verify(stage: &Stage) -> Vec<Line> {
    [(1_060, 1_500, "10,000"), (10_600, 15_000, "100,000")]
        .into_iter()
        .flat_map(|(items, limit, events)| {
            let shape = Shape { items, steps: 3, per_commit: 100, open: 0 };
            let dir = stage.ledger(&format!("verify-{items}"), &shape);
            let all: Vec<_> = (0..3).map(|_| run(stage.stepseal(&dir, &["verify"]), 0)).collect();
            let peak = all.iter().map(|run| run.peak).max().unwrap_or(0) / 1024;
            let took = median(all.into_iter().map(|run| run.took).collect());
            let what = format!("verify of {events} events");
            let mut line = within(&what, took, Duration::from_millis(limit));
            line.seen.push_str(&format!(", {peak} MB"));
            let mark = mark_before_last(stage, &dir);
            // Without this clone's memory, so that the mark has to be looked for.
            drop(std::fs::remove_dir_all(dir.join(".git/stepseal")));
            let since = |_| time(stage.stepseal(&dir, &["verify", "--since", &mark]));
            let took = median((0..9).map(since).collect());
            let what = format!("verify of the last 100 of {events} events, from a mark");
            vec![line, within(&what, took, Duration::from_millis(200))]
        })
        .collect()
}

/// The mark of the seal before the last one of a generated ledger, which has a seal a commit.
fn mark_before_last(stage: &Stage, dir: &Path) -> String {
    let says = |args: &[&str]| {
        let output = stage.git(dir, args).stdout(Stdio::piped()).output().expect("git starts");
        String::from_utf8(output.stdout).expect("text")
    };
    let seals = says(&["rev-list", "--count", "stepseal-ledger"]);
    let seals: u64 = seals.trim().parse().expect("a number");
    let seal = says(&["show", &format!("stepseal-ledger:{}", artifact::seal_path(seals - 1))]);
    artifact::decode::<Seal>(seal.as_bytes()).expect("a seal").mark().to_string()
}

fn export(stage: &Stage) -> Vec<Line> {
    let shape = Shape { items: 10_600, steps: 3, per_commit: 100, open: 0 };
    let dir = stage.ledger("export", &shape);
    [
        ("export of 10,600 items as json", &["export"][..]),
        ("export of 10,600 items as csv", &["export", "--format", "csv", "--table", "steps"]),
        ("export of 10,600 items as md", &["export", "--format", "md"]),
        ("export of 10,600 items as html", &["export", "--format", "html"]),
        ("metrics of 10,600 items", &["metrics"]),
    ]
    .into_iter()
    .map(|(what, args)| {
        let all: Vec<_> = (0..3).map(|_| run(stage.stepseal(&dir, args), 0)).collect();
        let peak = all.iter().map(|run| run.peak).max().unwrap_or(0) / 1024;
        let took = median(all.into_iter().map(|run| run.took).collect());
        let mut line = within(what, took, Duration::from_secs(2));
        line.seen.push_str(&format!(", {peak} MB"));
        line
    })
    .collect()
}
