//! Clones that share nothing but a remote (FR-028, M1): real bare repositories, real git, over a
//! path and over http. One winner, nothing lost, every loser told the truth.
#![cfg(unix)]
#![expect(clippy::disallowed_methods, reason = "starts processes and serves http")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::kit::{Dice, Ran, Room, figure, memory, parallel_workflow, rounds};

const BRANCH: &str = "refs/heads/stepseal-ledger";

/// A bare remote, `origin.git`, and clones `c0`, `c1`, … of it, each with its own executor.
struct Net {
    room: Room,
    clones: usize,
}

impl Net {
    /// Clones of an empty remote: nobody has founded a ledger yet.
    fn unfounded(clones: usize) -> Self {
        Self::at(clones, "../origin.git")
    }

    fn at(clones: usize, url: &str) -> Self {
        let room = Room::live_below(&memory());
        room.git(&["commit", "--quiet", "--allow-empty", "-m", "start"]);
        room.git(&["clone", "--quiet", "--bare", ".", "../origin.git"]);
        room.git(&["-C", "../origin.git", "config", "http.receivepack", "true"]);
        for n in 0..clones {
            let dir = format!("../c{n}");
            room.git(&["clone", "--quiet", "../origin.git", &dir]);
            room.git(&["-C", &dir, "remote", "set-url", "origin", url]);
        }
        Self { room, clones }
    }

    /// The same with a ledger that every clone has adopted.
    fn founded(clones: usize) -> Self {
        let net = Self::unfounded(clones);
        net.found();
        net
    }

    fn found(&self) {
        for n in 0..self.clones {
            let ran = self.run(n, &["init", "--remote", "origin", "--quiet"]);
            assert_eq!(ran.code, 0, "{ran}");
        }
    }

    fn command(&self, clone: usize, args: &[&str]) -> std::process::Command {
        let mut command = self.room.stepseal(args);
        command.current_dir(self.room.path().join(format!("c{clone}")));
        command.env("STEPSEAL_EXECUTOR", format!("agent-{clone}"));
        command
    }

    fn run(&self, clone: usize, args: &[&str]) -> Ran {
        Ran::of(&self.command(clone, args).output().expect("the binary starts"))
    }

    fn json(&self, clone: usize, args: &[&str]) -> (i32, Value) {
        let ran = self.run(clone, &[args, &["--json"]].concat());
        (ran.code, ran.document())
    }

    fn git(&self, args: &[&str]) -> String {
        self.room.git(args).trim().to_owned()
    }

    /// Where the remote's branch is.
    fn tip(&self) -> String {
        self.git(&["-C", "../origin.git", "rev-parse", BRANCH])
    }

    fn hook(&self, name: &str, script: &str) {
        let path = self.room.path().join("origin.git/hooks").join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("a hook");
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&path, mode).expect("a hook that runs");
    }

    fn unhook(&self, name: &str) {
        let path = self.room.path().join("origin.git/hooks").join(name);
        std::fs::remove_file(path).expect("there is one");
    }

    /// What every clone sees at the end is sound and the same.
    fn settle(&self) -> Vec<Value> {
        let tip = self.tip();
        for n in 0..self.clones {
            assert_eq!(self.run(n, &["sync", "--quiet"]).code, 0);
            let dir = format!("../c{n}");
            assert_eq!(self.git(&["-C", &dir, "rev-parse", BRANCH]), tip, "c{n}");
        }
        let verified = self.run(0, &["verify"]);
        assert_eq!(verified.code, 0, "{verified}");
        let text = self.run(0, &["log", "--json"]).stdout;
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        lines.map(|line| line["artifact"].clone()).collect()
    }
}

fn of_kind<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["eventType"] == kind).collect()
}

#[test]
fn an_act_counts_once_the_remote_has_it_and_others_see_it() {
    let net = Net::founded(2);
    assert_eq!(net.run(0, &["delegate", "--prompt", "x", "--work-item", "X"]).code, 0);
    let told = net.run(1, &["status", "X"]);
    assert_eq!(told.code, 5, "a reader shows what its clone has: {told}");
    let claim = ["claim", "--work-item", "X", "--step", "phase-setup"];
    assert_eq!(net.run(1, &claim).code, 0, "whoever acts looks at the remote first");
    let (code, refused) = net.json(0, &claim);
    assert_eq!((code, &refused["data"]["heldBy"]), (6, &"agent-1".into()), "{refused}");
    let (code, synced) = net.json(0, &["sync"]);
    assert_eq!((code, &synced["received"]), (0, &0.into()), "the refusal has seen it: {synced}");
    let events = net.settle();
    assert_eq!(of_kind(&events, "attempt-claimed").len(), 1);
    // Nothing but the ledger's branch and our own references is touched in a clone.
    assert_eq!(net.git(&["-C", "../c1", "status", "--porcelain"]), "?? stepseal.toml");
    let refs = net.git(&["-C", "../c1", "for-each-ref", "--format=%(refname)", "refs/stepseal"]);
    assert_eq!(refs, "refs/stepseal/remote/origin");
}

#[test]
fn clones_that_race_for_one_step_have_one_winner() {
    let clones = rounds(6, 24);
    let net = Net::founded(clones);
    let races = rounds(2, 10);
    net.room.write("plan.yaml", &parallel_workflow("par", races));
    let plan = net.room.repo().join("plan.yaml").display().to_string();
    let delegate = ["delegate", "--plan", &plan, "--work-item", "W", "--quiet"];
    assert_eq!(net.run(0, &delegate).code, 0);
    let (mut won, mut lost) = (0, 0);
    for race in 1..=races {
        let step = format!("s{race:03}");
        // A racer that holds one step may not take another: each race has its own executors.
        let children: Vec<_> = (0..clones)
            .map(|n| {
                let mut command =
                    net.command(n, &["claim", "--work-item", "W", "--step", &step, "--json"]);
                command.env("STEPSEAL_EXECUTOR", format!("racer-{race}-{n}"));
                command.stdout(Stdio::piped()).stderr(Stdio::piped());
                command.spawn().expect("it starts")
            })
            .collect();
        let ran: Vec<Ran> = children
            .into_iter()
            .map(|child| Ran::of(&child.wait_with_output().expect("it ends")))
            .collect();
        let winners: Vec<&Ran> = ran.iter().filter(|ran| ran.code == 0).collect();
        assert_eq!(winners.len(), 1, "{:?}", ran.iter().map(|ran| ran.code).collect::<Vec<_>>());
        let holder = winners[0].document()["executor"].clone();
        for loser in ran.iter().filter(|ran| ran.code != 0) {
            let told = loser.document();
            assert_eq!((loser.code, &told["data"]["heldBy"]), (6, &holder), "{loser}");
            lost += 1;
        }
        won += 1;
    }
    let events = net.settle();
    assert_eq!(of_kind(&events, "attempt-claimed").len(), races);
    figure("P2", &format!("{clones} clones, {won} races: one winner each, {lost} told by whom"));
}

#[test]
fn clones_drain_a_workflow_once_each() {
    let (clones, steps) = (rounds(3, 12), rounds(9, 120));
    let net = Net::founded(clones);
    net.room.write("plan.yaml", &parallel_workflow("par", steps));
    let plan = net.room.repo().join("plan.yaml").display().to_string();
    let delegate = ["delegate", "--plan", &plan, "--work-item", "W", "--quiet"];
    assert_eq!(net.run(0, &delegate).code, 0);
    let patience = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for n in 0..clones {
            let (net, patience) = (&net, &patience);
            scope.spawn(move || {
                loop {
                    let claimed = net.run(n, &["claim", "--next", "--quiet"]);
                    match claimed.code {
                        0 => {}
                        1 => break,
                        75 => {
                            patience.fetch_add(1, Ordering::Relaxed);
                            continue;
                        }
                        _ => panic!("{claimed}"),
                    }
                    let words: Vec<&str> = claimed.stdout.trim().split('\t').collect();
                    let named = ["--work-item", words[0], "--step", words[1]];
                    let complete = [&["complete"][..], &named, &["--outcome", "done"]].concat();
                    loop {
                        let ended = net.run(n, &complete);
                        if ended.code != 75 {
                            assert_eq!(ended.code, 0, "{ended}");
                            break;
                        }
                        patience.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let events = net.settle();
    let mut per: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for event in of_kind(&events, "attempt-completed") {
        let attempt = event["attemptId"].as_str().expect("an attempt").to_owned();
        let by = event["actor"]["id"].as_str().expect("an actor").to_owned();
        assert!(per.entry(attempt).or_default().insert(by), "completed twice");
    }
    assert_eq!(per.len(), steps);
    assert!(per.values().all(|by| by.len() == 1));
    assert_eq!(of_kind(&events, "attempt-claimed").len(), steps);
    figure(
        "P2",
        &format!(
            "{clones} clones drained {steps} steps, each once; {} asked again",
            patience.into_inner()
        ),
    );
}

#[test]
fn first_users_at_once_found_one_ledger() {
    let clones = 4;
    let net = Net::unfounded(clones);
    let children: Vec<_> = (0..clones)
        .map(|n| {
            let mut command = net.command(n, &["init", "--remote", "origin", "--json"]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts")
        })
        .collect();
    let mut outcomes = Vec::new();
    for child in children {
        let ran = Ran::of(&child.wait_with_output().expect("it ends"));
        assert_eq!(ran.code, 0, "{ran}");
        outcomes.push(ran.document()["outcome"].as_str().expect("a word").to_owned());
    }
    outcomes.sort();
    assert_eq!(outcomes, ["adopted", "adopted", "adopted", "created"]);
    assert!(net.settle().is_empty());
    assert_eq!(net.git(&["-C", "../origin.git", "rev-list", "--count", BRANCH]), "1");
}

#[test]
fn a_ledger_of_one_clone_is_shared_later_and_another_ones_is_never_mixed_in() {
    let net = Net::unfounded(2);
    assert_eq!(net.run(0, &["init", "--quiet"]).code, 0);
    assert_eq!(net.run(0, &["delegate", "--prompt", "x", "--work-item", "X"]).code, 0);
    // Another clone has one of its own.
    assert_eq!(net.run(1, &["init", "--quiet"]).code, 0);
    assert_eq!(net.run(0, &["init", "--remote", "origin"]).code, 0);
    let local = net.git(&["-C", "../c0", "rev-parse", BRANCH]);
    assert_eq!(net.tip(), local);
    let (code, refused) = net.json(1, &["init", "--remote", "origin"]);
    assert_eq!((code, &refused["reason"]), (10, &"forked".into()), "{refused}");
    assert_eq!(net.tip(), local, "nothing is written there");
    let (code, _) = net.json(1, &["delegate", "--prompt", "y", "--work-item", "Y"]);
    assert_eq!(code, 0, "that clone's own ledger works on");
}

#[test]
fn a_hook_that_says_no_is_no_lost_race() {
    let net = Net::founded(1);
    net.hook("pre-receive", "echo 'no pushes on fridays' >&2; exit 1");
    let before = net.tip();
    let delegate = ["delegate", "--prompt", "x", "--work-item", "X"];
    let (code, refused) = net.json(0, &delegate);
    assert_eq!((code, &refused["reason"]), (4, &"remote-refused".into()), "{refused}");
    assert_eq!(refused["recorded"], false);
    assert!(refused["data"]["said"].as_str().expect("words").contains("no pushes on fridays"));
    let ran = net.run(0, &delegate);
    assert!(ran.stderr.contains("no pushes on fridays"), "{ran}");
    assert_eq!(net.tip(), before);
    assert_eq!(net.git(&["-C", "../c0", "rev-parse", BRANCH]), before, "nor here");
    net.hook("pre-receive", "echo 'error: GH013: Repository rule violations found' >&2; exit 1");
    let ran = net.run(0, &delegate);
    assert!(ran.code == 4 && ran.stderr.contains("a rule protects the branch"), "{ran}");
    net.unhook("pre-receive");
    assert_eq!(net.run(0, &delegate).code, 0);
    net.settle();
}

#[test]
fn remotes_that_decline_at_random_lose_nothing_and_double_nothing() {
    let net = Net::founded(3);
    net.hook("pre-receive", "[ $(( $(od -An -N1 -tu1 /dev/urandom) % 4 )) -gt 0 ]");
    let told: Vec<(String, i32)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..3)
            .map(|n| {
                let net = &net;
                scope.spawn(move || {
                    let mut told = Vec::new();
                    for k in 0..rounds(6, 30) {
                        let item = format!("I-{n}-{k}");
                        let ask = ["delegate", "--prompt", "x", "--work-item", &item, "--quiet"];
                        told.push((item.clone(), net.run(n, &ask).code));
                    }
                    told
                })
            })
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("a worker")).collect()
    });
    net.unhook("pre-receive");
    let events = net.settle();
    let there: Vec<&str> = of_kind(&events, "work-item-registered")
        .iter()
        .filter_map(|event| event["workItemId"].as_str())
        .collect();
    for (item, code) in &told {
        let count = there.iter().filter(|id| *id == item).count();
        assert!([0, 4].contains(code), "{item}: {code}");
        assert_eq!(count, usize::from(*code == 0), "{item} was told {code}");
    }
    let refused = told.iter().filter(|(_, code)| *code == 4).count();
    figure(
        "P2",
        &format!("{} acts on a declining remote, {refused} declined: none lost", told.len()),
    );
}

#[test]
fn an_answer_that_never_comes_is_looked_up() {
    let net = Net::founded(2);
    // The push is accepted, and the server hangs before it says so.
    net.hook("post-receive", "sleep 30");
    let mut command = net.command(0, &["delegate", "--prompt", "x", "--work-item", "X", "--json"]);
    command.env("STEPSEAL_SYNC_TIMEOUT", "2s");
    let ran = Ran::of(&command.output().expect("it starts"));
    net.unhook("post-receive");
    assert_eq!(ran.code, 0, "it is there, so it is said: {ran}");
    let events = net.settle();
    assert_eq!(of_kind(&events, "work-item-registered").len(), 1);
    // The push hangs before anything is accepted: nothing was recorded, and that is said.
    net.hook("pre-receive", "sleep 30; exit 1");
    let mut command = net.command(1, &["delegate", "--prompt", "y", "--work-item", "Y", "--json"]);
    command.env("STEPSEAL_SYNC_TIMEOUT", "2s");
    let ran = Ran::of(&command.output().expect("it starts"));
    net.unhook("pre-receive");
    let told = ran.document();
    assert_eq!((ran.code, &told["reason"]), (75, &"remote-timed-out".into()), "{ran}");
    assert_eq!(told["recorded"], false);
    assert_eq!(net.run(1, &["delegate", "--prompt", "y", "--work-item", "Y"]).code, 0);
    net.settle();
}

#[test]
fn a_remote_that_is_away_stops_acts_and_no_reader() {
    let net = Net::founded(1);
    assert_eq!(net.run(0, &["delegate", "--prompt", "x", "--work-item", "X"]).code, 0);
    let (here, away) = (net.room.path().join("origin.git"), net.room.path().join("away.git"));
    std::fs::rename(&here, &away).expect("it goes away");
    let claim = ["claim", "--work-item", "X", "--step", "phase-setup"];
    let (code, told) = net.json(0, &claim);
    assert_eq!((code, &told["reason"]), (5, &"no-remote".into()), "{told}");
    assert_eq!(told["recorded"], false);
    for reads in [&["status"][..], &["log"], &["verify"], &["export"], &["sync", "status"]] {
        assert_eq!(net.run(0, reads).code, 0, "{reads:?}");
    }
    std::fs::rename(&away, &here).expect("it comes back");
    assert_eq!(net.run(0, &claim).code, 0);
    net.git(&["-C", "../c0", "remote", "set-url", "origin", "http://127.0.0.1:9/nothing.git"]);
    let (code, told) =
        net.json(0, &["release", "--work-item", "X", "--step", "phase-setup", "--reason", "x"]);
    assert_eq!((code, &told["reason"]), (75, &"remote-unreachable".into()), "{told}");
    let (code, told) = net.json(0, &["init", "--remote", "nowhere"]);
    assert_eq!((code, &told["reason"]), (5, &"no-remote".into()), "{told}");
}

#[test]
fn a_remote_that_was_rewound_forked_or_emptied_is_named_and_not_written() {
    for (how, reason) in [("rewound", "cut-tail"), ("forked", "rewritten"), ("emptied", "deleted")]
    {
        let net = Net::founded(2);
        for item in ["X", "Y"] {
            assert_eq!(net.run(0, &["delegate", "--prompt", "x", "--work-item", item]).code, 0);
        }
        assert_eq!(net.run(1, &["sync"]).code, 0);
        let bare = ["-C", "../origin.git"];
        match how {
            "rewound" => {
                net.git(&[&bare[..], &["update-ref", BRANCH, &format!("{BRANCH}~1")]].concat());
            }
            "forked" => {
                // The same beginning, another end: what somebody with a stolen token writes.
                net.git(&[&bare[..], &["update-ref", BRANCH, &format!("{BRANCH}~2")]].concat());
                net.git(&["clone", "--quiet", "../origin.git", "../thief"]);
                let thief = ["-C", "thief"];
                for words in [&["init", "--remote", "origin"][..], &["delegate", "--prompt", "z"]] {
                    let ran = net.room.run_in(".", &[&thief[..], words].concat());
                    assert_eq!(ran.code, 0, "{ran}");
                }
            }
            _ => {
                net.git(&[&bare[..], &["update-ref", "-d", BRANCH]].concat());
            }
        }
        let there =
            net.room.program("git").args(["-C", "../origin.git", "rev-parse", BRANCH]).output();
        let there = there.expect("git starts").stdout;
        for act in [&["claim", "--next"][..], &["sync"], &["delegate", "--prompt", "w"]] {
            let (code, told) = net.json(1, act);
            assert_eq!((code, &told["reason"]), (10, &reason.into()), "{how} {act:?}: {told}");
        }
        let now =
            net.room.program("git").args(["-C", "../origin.git", "rev-parse", BRANCH]).output();
        assert_eq!(now.expect("git starts").stdout, there, "{how}: nothing is written");
        assert_eq!(net.run(1, &["verify"]).code, 0, "this clone's own history is sound");
    }
    figure("P14", "a remote that was rewound, forked or emptied: 3 of 3 named, 0 writes");
}

#[test]
fn a_shallow_clone_of_one_branch_takes_part() {
    let net = Net::founded(1);
    for n in 0..3 {
        let item = format!("I{n}");
        assert_eq!(net.run(0, &["delegate", "--prompt", "x", "--work-item", &item]).code, 0);
    }
    let url = format!("file://{}", net.room.path().join("origin.git").display());
    net.git(&["clone", "--quiet", "--depth", "1", "--single-branch", &url, "../c1"]);
    let net = Net { clones: 2, ..net };
    assert_eq!(net.run(1, &["init", "--remote", "origin"]).code, 0);
    let claim = net.run(1, &["claim", "--next"]);
    assert_eq!(claim.code, 0, "{claim}");
    let verified = net.run(1, &["verify"]);
    assert_eq!(verified.code, 0, "the ledger is whole here: {verified}");
    net.settle();
}

#[test]
fn a_pre_push_hook_and_a_reference_hook_of_the_user_do_not_run() {
    let net = Net::founded(1);
    let canary = net.room.path().join("canary");
    for hook in ["pre-push", "reference-transaction", "post-checkout"] {
        let path = net.room.path().join("c0/.git/hooks").join(hook);
        std::fs::write(&path, format!("#!/bin/sh\ntouch {}\nexit 1\n", canary.display()))
            .expect("a hook");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("a mode");
    }
    assert_eq!(net.run(0, &["delegate", "--prompt", "x", "--work-item", "X"]).code, 0);
    assert!(!canary.exists(), "a hook of the user ran");
}

/// A server of git's own http backend on loopback, which asks for a password, counts requests and
/// can cut its answers short.
struct Http {
    port: u16,
    stop: Arc<AtomicBool>,
    pushes: Arc<AtomicUsize>,
    /// Bytes of the answer to a push that get through; all of them at the largest.
    cut: Arc<AtomicUsize>,
}

impl Http {
    fn serve(root: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let stop = Arc::new(AtomicBool::new(false));
        let (pushes, cut) = (Arc::default(), Arc::new(AtomicUsize::new(usize::MAX)));
        let server = (root.to_path_buf(), Arc::clone(&stop), Arc::clone(&pushes), Arc::clone(&cut));
        std::thread::spawn(move || {
            let (root, stop, pushes, cut) = server;
            for stream in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    break;
                }
                let (root, pushes, cut) = (root.clone(), Arc::clone(&pushes), Arc::clone(&cut));
                if let Ok(stream) = stream {
                    std::thread::spawn(move || answer(stream, &root, &pushes, &cut));
                }
            }
        });
        Self { port, stop, pushes, cut }
    }

    fn url(&self, user: &str) -> String {
        format!("http://{user}127.0.0.1:{}/origin.git", self.port)
    }
}

impl Drop for Http {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }
}

/// One request, one CGI process.
fn answer(
    mut stream: TcpStream,
    root: &Path,
    pushes: &AtomicUsize,
    cut: &AtomicUsize,
) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    // agent:secret
    let known = |given: &String| given.eq_ignore_ascii_case("Basic YWdlbnQ6c2VjcmV0");
    if !headers.get("authorization").is_some_and(known) {
        let say = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"git\"\r\n\
                   Content-Length: 0\r\nConnection: close\r\n\r\n";
        return stream.write_all(say.as_bytes()).ok();
    }
    if headers.get("expect").is_some_and(|expect| expect == "100-continue") {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").ok()?;
    }
    let mut body = Vec::new();
    if headers.get("transfer-encoding").is_some_and(|coding| coding == "chunked") {
        loop {
            let mut size = String::new();
            reader.read_line(&mut size).ok()?;
            let size = usize::from_str_radix(size.trim(), 16).ok()?;
            let mut chunk = vec![0; size + 2];
            reader.read_exact(&mut chunk).ok()?;
            body.extend_from_slice(&chunk[..size]);
            if size == 0 {
                break;
            }
        }
    } else if let Some(length) = headers.get("content-length") {
        body = vec![0; length.parse().ok()?];
        reader.read_exact(&mut body).ok()?;
    }
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let pushes_now = path.ends_with("git-receive-pack") && method == "POST";
    let mut git = std::process::Command::new("git");
    git.arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REMOTE_USER", "agent")
        .env("REQUEST_METHOD", &method)
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("CONTENT_TYPE", headers.get("content-type").cloned().unwrap_or_default())
        .env("CONTENT_LENGTH", body.len().to_string());
    if let Some(coding) = headers.get("content-encoding") {
        git.env("HTTP_CONTENT_ENCODING", coding);
    }
    if let Some(protocol) = headers.get("git-protocol") {
        git.env("GIT_PROTOCOL", protocol);
    }
    let mut child =
        git.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
    let mut input = child.stdin.take()?;
    std::thread::spawn(move || input.write_all(&body));
    let output = child.wait_with_output().ok()?.stdout;
    let split = output.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&output[..split]).into_owned();
    let status = head.lines().find_map(|line| line.strip_prefix("Status: ")).unwrap_or("200 OK");
    let rest: Vec<&str> = head.lines().filter(|line| !line.starts_with("Status: ")).collect();
    let length = output.len() - split - 4;
    let mut all = format!(
        "HTTP/1.1 {status}\r\n{}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n",
        rest.join("\r\n")
    )
    .into_bytes();
    all.extend_from_slice(&output[split + 4..]);
    if pushes_now {
        pushes.fetch_add(1, Ordering::SeqCst);
        all.truncate(cut.swap(usize::MAX, Ordering::SeqCst));
    }
    stream.write_all(&all).ok()
}

#[test]
fn over_http_git_brings_the_credentials_and_a_missing_one_is_said() {
    let room = Net::unfounded(1);
    let server = Http::serve(room.room.path());
    let set = |url: &str| room.git(&["-C", "../c0", "remote", "set-url", "origin", url]);
    set(&server.url(""));
    let (code, told) = room.json(0, &["init", "--remote", "origin"]);
    assert_eq!((code, &told["reason"]), (3, &"remote-credentials".into()), "{told}");
    assert_eq!(told["recorded"], false);
    set(&server.url("agent:wrong@"));
    assert_eq!(room.run(0, &["init", "--remote", "origin"]).code, 3);
    // As actions/checkout leaves them behind, and as people write them.
    set(&server.url(""));
    let header = format!("http.http://127.0.0.1:{}/.extraheader", server.port);
    room.git(&["-C", "../c0", "config", &header, "AUTHORIZATION: basic YWdlbnQ6c2VjcmV0"]);
    let ran = room.run(0, &["init", "--remote", "origin"]);
    assert_eq!(ran.code, 0, "{ran}");
    room.git(&["-C", "../c0", "config", "--unset", &header]);
    room.git(&[
        "-C",
        "../c0",
        "config",
        &format!("url.{}.insteadOf", server.url("agent:secret@").trim_end_matches("origin.git")),
        "mine:",
    ]);
    set("mine:origin.git");
    let before = server.pushes.load(Ordering::SeqCst);
    assert_eq!(room.run(0, &["delegate", "--prompt", "x", "--work-item", "X"]).code, 0);
    assert_eq!(server.pushes.load(Ordering::SeqCst), before + 1, "one act, one push");
    assert!(room.tip().len() == 40);
}

/// P44: a cycle of any width costs two pushes, the claims of its wave and their collection.
#[test]
fn a_cycle_with_a_collector_is_two_pushes() {
    let width = rounds(24, 256);
    let net = Net::unfounded(1);
    let server = Http::serve(net.room.path());
    net.git(&["-C", "../c0", "remote", "set-url", "origin", &server.url("agent:secret@")]);
    assert_eq!(net.run(0, &["init", "--remote", "origin"]).code, 0);
    net.room.write("plan.yaml", &parallel_workflow("par", width));
    let plan = net.room.repo().join("plan.yaml").display().to_string();
    assert_eq!(net.run(0, &["delegate", "--plan", &plan, "--work-item", "W"]).code, 0);
    let before = server.pushes.load(Ordering::SeqCst);
    let count = width.to_string();
    let wave =
        ["schedule", "W", "--preclaim", "--executors", &count, "--base", "w", "--tickets", "t"];
    let (code, said) = net.json(0, &wave);
    assert_eq!((code, said["include"].as_array().map(Vec::len)), (0, Some(width)), "{said}");
    for entry in said["include"].as_array().expect("a list") {
        let ticket = format!("t/{}", entry["ticket"].as_str().expect("a ticket"));
        let done = ["complete", "--ticket", &ticket, "--spool", "s", "--outcome", "x", "--quiet"];
        assert_eq!(net.run(0, &done).code, 0);
    }
    let (code, said) = net.json(0, &["collect", "s"]);
    assert_eq!((code, said["accepted"].as_array().map(Vec::len)), (0, Some(width)), "{said}");
    let pushes = server.pushes.load(Ordering::SeqCst) - before;
    assert_eq!(pushes, 2);
    net.settle();
    figure("P44", &format!("a wave of {width}: {pushes} pushes"));
}

/// P18 over a network: the answer to a push is cut after every so many bytes, and each act is on
/// record exactly once, whatever its asker was told.
#[test]
fn an_answer_cut_at_any_byte_doubles_nothing() {
    let net = Net::unfounded(1);
    let server = Http::serve(net.room.path());
    net.git(&["-C", "../c0", "remote", "set-url", "origin", &server.url("agent:secret@")]);
    assert_eq!(net.run(0, &["init", "--remote", "origin"]).code, 0);
    let (mut told, cuts) = (BTreeMap::new(), rounds(12, 200));
    for n in 0..cuts {
        let (item, request) = (format!("I{n}"), format!("r{n}"));
        let ask = [
            "delegate",
            "--prompt",
            "x",
            "--work-item",
            &item,
            "--request-id",
            &request,
            "--quiet",
        ];
        // From nothing at all to the whole answer.
        server.cut.store(n * 480 / cuts, Ordering::SeqCst);
        let first = net.run(0, &ask).code;
        assert!([0, 75].contains(&first), "{item}: {first}");
        server.cut.store(usize::MAX, Ordering::SeqCst);
        assert_eq!(net.run(0, &ask).code, 0, "the same again is safe");
        *told.entry(first).or_insert(0) += 1;
    }
    let events = net.settle();
    assert_eq!(of_kind(&events, "work-item-registered").len(), cuts);
    figure("P18", &format!("{cuts} answers cut short: each on record once; told {told:?}"));
}

#[test]
fn a_kill_at_any_time_loses_nothing_that_the_remote_has() {
    let net = Net::founded(2);
    let mut dice = Dice::new();
    let kills = rounds(12, 100);
    let mut acknowledged = Vec::new();
    for n in 0..kills {
        let item = format!("I{n}");
        let mut command =
            net.command(n % 2, &["delegate", "--prompt", "x", "--work-item", &item, "--quiet"]);
        let mut child =
            command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        std::thread::sleep(Duration::from_micros(dice.below(300_000)));
        drop(child.kill());
        if child.wait().expect("it ends").success() {
            acknowledged.push(item);
        }
    }
    // The git that a killed command had started may still be at work.
    std::thread::sleep(Duration::from_millis(300));
    for n in 0..2 {
        let ran = net.run(n, &["delegate", "--prompt", "x", "--work-item", &format!("last-{n}")]);
        assert_eq!(ran.code, 0, "no help is needed: {ran}");
    }
    let events = net.settle();
    let mut there = BTreeMap::new();
    for event in of_kind(&events, "work-item-registered") {
        *there.entry(event["workItemId"].as_str().expect("an id").to_owned()).or_insert(0) += 1;
    }
    assert!(there.values().all(|count| *count == 1));
    assert!(acknowledged.iter().all(|item| there.contains_key(item)));
    let kept = there.len() - 2;
    figure(
        "P6",
        &format!(
            "{kills} kills around a push: {} acknowledged, {kept} on record, 0 lost",
            acknowledged.len()
        ),
    );
}

/// How each check of `doctor` ended, and the exit code.
fn doctor(net: &Net, more: &[&str]) -> (i32, BTreeMap<String, String>) {
    let (code, said) = net.json(0, &[&["doctor"][..], more].concat());
    let checks = said["checks"].as_array().expect("checks").iter();
    let word = |value: &Value| value.as_str().expect("a word").to_owned();
    (code, checks.map(|check| (word(&check["name"]), word(&check["state"]))).collect())
}

#[test]
fn the_doctor_names_what_is_in_the_way_and_changes_nothing() {
    let net = Net::unfounded(1);
    let (code, checks) = doctor(&net, &[]);
    assert_eq!((code, checks["ledger"].as_str()), (5, "fail"), "there is none yet");
    let server = Http::serve(net.room.path());
    net.git(&["-C", "../c0", "remote", "set-url", "origin", &server.url("agent:secret@")]);
    net.found();
    assert_eq!(net.run(0, &["delegate", "--prompt", "x", "--work-item", "X"]).code, 0);
    let before = net.tip();
    let (code, checks) = doctor(&net, &[]);
    assert_eq!(code, 0, "{checks:?}");
    assert!(checks.values().all(|state| state == "ok"), "{checks:?}");
    assert_eq!(checks.len(), 10, "{checks:?}");

    // Somebody who may fetch and not push.
    net.git(&["-C", "../origin.git", "config", "http.receivepack", "false"]);
    let (code, checks) = doctor(&net, &[]);
    assert_eq!((code, checks["remote"].as_str(), checks["rights"].as_str()), (3, "ok", "fail"));
    let (code, checks) = doctor(&net, &["--offline"]);
    assert_eq!((code, checks["remote"].as_str()), (0, "note"), "{checks:?}");
    net.git(&["-C", "../origin.git", "config", "http.receivepack", "true"]);

    let lock = net.room.path().join("c0/.git/config.lock");
    let file = std::fs::File::create(&lock).expect("a lock");
    file.set_modified(std::time::SystemTime::now() - Duration::from_secs(600)).expect("a time");
    let (code, checks) = doctor(&net, &[]);
    assert_eq!((code, checks["locks"].as_str()), (0, "note"), "{checks:?}");
    std::fs::remove_file(&lock).expect("it goes");

    let mut command = net.command(0, &["doctor", "--json"]);
    command.env("STEPSEAL_NOW", "2020-01-01T00:00:00.000Z");
    let ran = Ran::of(&command.output().expect("it starts"));
    assert!(ran.stdout.contains("ahead of this clock"), "{ran}");

    net.git(&["-C", "../c0", "remote", "set-url", "origin", "../gone.git"]);
    let (code, checks) = doctor(&net, &[]);
    assert_eq!((code, checks["remote"].as_str()), (5, "fail"), "{checks:?}");
    assert_eq!(net.tip(), before);
}

/// M2: what ends while the remote is away waits here, is said to be unshared, and comes home by
/// `sync`: taken, or refused and told.
#[test]
fn what_ends_while_the_remote_is_away_waits_and_is_brought_home() {
    let net = Net::founded(2);
    for item in ["X", "Y"] {
        assert_eq!(net.run(0, &["delegate", "--prompt", "x", "--work-item", item]).code, 0);
    }
    let named = |item| ["--work-item", item, "--step", "phase-setup"];
    assert_eq!(net.run(0, &[&["claim"][..], &named("X")].concat()).code, 0);
    let (here, away) = (net.room.path().join("origin.git"), net.room.path().join("away.git"));
    std::fs::rename(&here, &away).expect("it goes away");
    let done = [&["complete"][..], &named("X"), &["--outcome", "done on a train"]].concat();
    assert_eq!(net.run(0, &done).code, 5, "not without saying so");
    let offline = [&done[..], &["--offline", "--json"]].concat();
    let kept = net.run(0, &offline);
    assert_eq!((kept.code, &kept.document()["outcome"]), (0, &"completed".into()), "{kept}");
    assert_eq!(kept.document()["recorded"], false);
    let again = net.run(0, &offline);
    assert_eq!((again.code, &again.document()["outcome"]), (0, &"unchanged".into()), "{again}");
    let other = [&["complete"][..], &named("X"), &["--outcome", "otherwise", "--offline"]].concat();
    assert_eq!(net.run(0, &other).code, 6);
    let theirs = [&["complete"][..], &named("Y"), &["--outcome", "x", "--offline"]].concat();
    assert_eq!(net.run(0, &theirs).code, 4, "nobody holds it");
    for reads in [&["status"][..], &["status", "X"]] {
        let told = net.run(0, reads);
        assert!(told.stderr.contains("1 handoff waits here for origin"), "{told}");
    }
    assert_eq!(net.json(0, &["sync", "status"]).1["unshared"], 1);
    assert_eq!(net.run(0, &["sync"]).code, 5, "it is still away");
    assert_eq!(net.json(0, &["sync", "status"]).1["unshared"], 1, "and nothing is lost");
    std::fs::rename(&away, &here).expect("it comes back");
    let (code, said) = net.json(0, &["sync"]);
    assert_eq!(
        (code, &said["sharedHandoffs"], &said["unshared"]),
        (0, &1.into(), &0.into()),
        "{said}"
    );
    let events = net.settle();
    assert_eq!(of_kind(&events, "attempt-completed").len(), 1);

    // Somebody gave the attempt to another meanwhile: told to who worked, and on record.
    assert_eq!(net.run(0, &[&["claim"][..], &named("Y")].concat()).code, 0);
    let kept = [&["complete"][..], &named("Y"), &["--outcome", "late", "--offline"]].concat();
    assert_eq!(net.run(0, &kept).code, 0);
    let lapse =
        [&["requeue"][..], &named("Y"), &["--lapsed", "--force", "--reason", "gone"]].concat();
    assert_eq!(net.run(1, &lapse).code, 0);
    let ran = net.run(0, &["sync"]);
    assert_eq!(ran.code, 4, "{ran}");
    assert!(ran.stdout.contains("refused  Y: "), "{ran}");
    assert_eq!(net.json(0, &["sync"]).0, 0, "it waits no longer");
    let events = net.settle();
    assert_eq!(of_kind(&events, "handoff-quarantined").len(), 1);
    assert_eq!(of_kind(&events, "attempt-completed").len(), 1);
}

/// A person decides that the remote is right: what this clone had is kept with the reason, and what
/// ended only here comes home where the other history lets it.
#[test]
fn a_rewritten_remote_is_taken_over_by_decision_and_nothing_is_lost() {
    let net = Net::founded(2);
    for item in ["X", "Y"] {
        assert_eq!(net.run(0, &["delegate", "--prompt", "x", "--work-item", item]).code, 0);
        let named = ["--work-item", item, "--step", "phase-setup"];
        let executor = format!("worker-{item}");
        let claim = [&["claim"][..], &named, &["--executor", &executor]].concat();
        assert_eq!(net.run(0, &claim).code, 0);
    }
    let accept = ["sync", "--accept-rewrite", "--reason", "restored from last night's copy"];
    let (code, told) = net.json(0, &accept);
    assert_eq!((code, &told["reason"]), (2, &"invalid".into()), "nothing to accept: {told}");
    let (bare, before) = (["-C", "../origin.git"], net.tip());
    // Both end, the remote goes back to before that, and somebody goes on there.
    for item in ["X", "Y"] {
        let named = ["--work-item", item, "--step", "phase-setup", "--outcome", "done"];
        let executor = format!("worker-{item}");
        let done = [&["complete"][..], &named, &["--executor", &executor]].concat();
        assert_eq!(net.run(0, &done).code, 0);
    }
    let had = net.tip();
    net.git(&[&bare[..], &["update-ref", BRANCH, &before]].concat());
    let lapse = [
        "requeue",
        "--work-item",
        "Y",
        "--step",
        "phase-setup",
        "--lapsed",
        "--force",
        "--reason",
        "gone",
    ];
    assert_eq!(net.run(1, &lapse).code, 0);

    let (code, told) = net.json(0, &["claim", "--next"]);
    assert_eq!((code, &told["reason"]), (10, &"rewritten".into()), "{told}");
    assert!(told["next"].to_string().contains("--accept-rewrite"), "{told}");
    assert_eq!(net.run(0, &["sync", "--accept-rewrite"]).code, 2, "not without a reason");
    let (code, said) = net.json(0, &accept);
    assert_eq!(code, 4, "one of the two comes too late: {said}");
    assert_eq!(
        (&said["sharedHandoffs"], said["refused"].as_array().map(Vec::len)),
        (&1.into(), Some(1)),
        "{said}"
    );
    let kept = said["rescued"].as_str().expect("a reference");
    let clone = ["-C", "../c0"];
    assert_eq!(net.git(&[&clone[..], &["rev-parse", &format!("{kept}^{{commit}}")]].concat()), had);
    let tag = net.git(&[&clone[..], &["cat-file", "tag", kept]].concat());
    assert!(tag.contains("restored from last night's copy"), "{tag}");
    let fsck = net.git(&[&clone[..], &["fsck", "--strict", "--no-dangling"]].concat());
    assert!(!fsck.contains("error"), "{fsck}");
    let events = net.settle();
    let completed = of_kind(&events, "attempt-completed");
    assert_eq!(completed.len(), 1);
    assert_eq!(completed[0]["workItemId"], "X");
    assert_eq!(of_kind(&events, "handoff-quarantined").len(), 1);
    let (code, _) = net.json(0, &["claim", "--next"]);
    assert_eq!(code, 0, "work goes on");
}

/// An ssh server of its own on loopback, ended with the test.
struct Sshd(std::process::Child);

impl Drop for Sshd {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// ssh as people use it: an agentless key, a host that is known, git's own ssh command. Clones race,
/// and one that is not let in is told so.
#[test]
fn over_ssh_clones_race_and_a_key_that_is_not_known_is_said() {
    if !(crate::kit::has("sshd") && crate::kit::has("ssh-keygen")) {
        return;
    }
    let net = Net::unfounded(4);
    let dir = net.room.path().join("ssh");
    std::fs::create_dir(&dir).expect("a folder");
    let shell = |program: &str, args: &[&str]| {
        let output = net.room.program(program).args(args).output().expect("it starts");
        assert!(output.status.success(), "{program} {args:?}: {output:?}");
        String::from_utf8(output.stdout).expect("text").trim().to_owned()
    };
    let path = |name: &str| dir.join(name).display().to_string();
    for key in ["host", "user", "stranger"] {
        shell("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", &path(key)]);
    }
    std::fs::copy(path("user.pub"), path("authorized")).expect("a copy");
    let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("one").port();
    let config = format!(
        "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nPidFile {}\nAuthorizedKeysFile {}\n\
         StrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin prohibit-password\n",
        path("host"),
        path("pid"),
        path("authorized")
    );
    std::fs::write(path("config"), config).expect("a file");
    // Where root starts it, it wants this folder.
    drop(std::fs::create_dir_all("/run/sshd"));
    let program = shell("sh", &["-c", "command -v sshd"]);
    let mut sshd = net.room.program(&program);
    sshd.args(["-D", "-e", "-f", &path("config")]).stdout(Stdio::null()).stderr(Stdio::null());
    let _sshd = Sshd(sshd.spawn().expect("sshd starts"));
    let begun = std::time::Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(begun.elapsed() < Duration::from_secs(20), "sshd does not answer");
        std::thread::yield_now();
    }
    let user = shell("id", &["-un"]);
    let url =
        format!("ssh://{user}@127.0.0.1:{port}{}", net.room.path().join("origin.git").display());
    let ssh = |key: &str| {
        format!(
            "ssh -i {} -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile={}",
            path(key),
            path("known")
        )
    };
    for n in 0..4 {
        let clone = format!("../c{n}");
        net.git(&["-C", &clone, "remote", "set-url", "origin", &url]);
        let key = if n == 3 { "stranger" } else { "user" };
        net.git(&["-C", &clone, "config", "core.sshCommand", &ssh(key)]);
    }
    let (code, told) = net.json(3, &["init", "--remote", "origin"]);
    assert_eq!((code, &told["reason"]), (3, &"remote-credentials".into()), "{told}");
    let net = Net { clones: 3, ..net };
    net.found();
    assert_eq!(net.run(0, &["delegate", "--prompt", "x", "--work-item", "X"]).code, 0);
    let claim = ["claim", "--work-item", "X", "--step", "phase-setup"];
    let codes: Vec<i32> = std::thread::scope(|scope| {
        let net = &net;
        let racers: Vec<_> = (0..3).map(|n| scope.spawn(move || net.run(n, &claim).code)).collect();
        racers.into_iter().map(|racer| racer.join().expect("a racer")).collect()
    });
    let count = |code: i32| codes.iter().filter(|one| **one == code).count();
    assert_eq!((count(0), count(6)), (1, 2), "{codes:?}");
    net.settle();
}
