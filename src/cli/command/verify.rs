//! `verify`: recompute everything and name what is not as it was sealed.
#![expect(clippy::disallowed_methods, reason = "measures how long the verification took")]

use std::time::Instant;

use super::super::Reply;
use super::super::args::VerifyArgs;
use super::super::error::{Failure, move_back, next, refusal, ways_back};
use super::super::exit::Exit;
use super::super::session::Session;
use super::super::ui::{Line, count, plain, said};
use super::super::view::{
    CorrectedView, DoubtedView, FindingView, SealsOfView, SignaturesView, SinceView, VerifyView,
};
use crate::artifact::Mark;
use crate::domain::refusal::Refusal;
use crate::ledger::{Class, Finding, Ledger, Since, Verified, VerifyOptions};

pub(super) fn run(args: &VerifyArgs, session: &Session) -> Result<Reply, Failure> {
    let marks = args
        .mark
        .iter()
        .map(|mark| mark.parse::<Mark>())
        .collect::<Result<Vec<_>, _>>()
        .map_err(Failure::usage)?;
    let root_key = args.root_key.as_deref().map(str::parse).transpose()?;
    let since = match args.since.as_deref() {
        None => None,
        Some("") => Some(Since::Remembered),
        Some(mark) => Some(Since::Mark(mark.parse().map_err(Failure::usage)?)),
    };
    let ledger = session.ledger()?;
    let start = Instant::now();
    let require_signatures = args.require_signatures;
    let options = VerifyOptions { deep: args.deep, marks, require_signatures, root_key, since };
    let report = ledger.verify(&options).map_err(|error| session.ledger_failure(&error))?;
    // What is wrong with the ledger is said first.
    if options.require_signatures.is_some() && report.signatures.root.is_none() && report.is_sound()
    {
        return Err(refusal(&Refusal::NoKeys, &session.asker()));
    }
    Ok(show(&report, &ledger, &options, start.elapsed().as_millis()))
}

fn show(report: &Verified, ledger: &Ledger, options: &VerifyOptions, millis: u128) -> Reply {
    let branch = ledger.branch();
    let deep = options.deep;
    let incomplete = report.findings.iter().any(|finding| finding.class.is_incomplete());
    let violated = report.findings.iter().any(|finding| !finding.class.is_incomplete());
    let (exit, outcome) = match (violated, incomplete) {
        (true, _) => (Exit::Damaged, "violation"),
        (false, true) => (Exit::Incomplete, "incomplete"),
        (false, false) => (Exit::Ok, "verified"),
    };
    let mut not_seen = vec![match ledger.remote() {
        Some(remote) => format!("what {remote} has that was not brought yet (stepseal sync)"),
        None => "other clones (no remote)".to_owned(),
    }];
    if report.signatures.root.is_none() {
        not_seen.insert(0, "signatures (no key in the ledger)".to_owned());
    }
    if let Some(since) = &report.since {
        not_seen.insert(
            0,
            format!(
                "what stood at mark {}, but for the items that changed since: {} and {}",
                since.mark.size,
                seals_of(since.seals),
                count(usize::try_from(since.mark.size).unwrap_or(usize::MAX), "file"),
            ),
        );
        if since.links > 0 {
            let links = count(since.links, "link");
            not_seen.insert(1, format!("{links} to events of other items"));
        }
    }
    let mut reply = Reply::new(
        "verify",
        &VerifyView {
            outcome: outcome.into(),
            seals: report.seals,
            events: report.events,
            definitions: report.definitions,
            items: report.items,
            commits: report.commits,
            commit: report.tip.clone(),
            deep,
            mark: report.mark.clone(),
            findings: report.findings.iter().map(finding).collect(),
            corrected: report
                .corrected
                .iter()
                .map(|(path, commit)| CorrectedView { path: path.clone(), commit: commit.clone() })
                .collect(),
            signatures: signatures(report, options),
            stopped: report.stopped().into_iter().cloned().collect(),
            since: report.since.as_ref().map(|since| SinceView {
                mark: since.mark.clone(),
                commit: since.commit.clone(),
                seals: since.seals,
                links: since.links,
            }),
            not_seen: not_seen.clone(),
        },
    );
    reply.exit = exit;
    for (path, commit) in &report.corrected {
        reply.lines.push(said("corrected", format!("{path}, damaged by commit {}", &commit[..7])));
    }
    if report.is_sound() {
        let since = report.since.as_ref();
        let since = since.map_or(String::new(), |since| {
            format!(" since mark {}, commit {}", since.mark.size, &since.commit[..7])
        });
        let new = if since.is_empty() { "" } else { "new " };
        reply.lines.push(said(
            "verified",
            format!(
                "{}, {}, {}, {}{since} in {millis} ms",
                seals_of(report.seals).replacen(' ', &format!(" {new}"), 1),
                count(report.events, "event"),
                count(report.definitions, "workflow definition"),
                count(report.items, "item"),
            ),
        ));
        let deep = if deep { ", every commit" } else { "" };
        let signatures = if report.signatures.root.is_some() { " signatures," } else { "" };
        reply.lines.push(said(
            "",
            format!("chain, roots,{signatures} schemas, links, transitions and schedules{deep} hold; nothing was changed or removed"),
        ));
        signed_lines(&mut reply, report);
        reply.lines.push(said("not seen", not_seen.join(", ")));
        if let Some(mark) = &report.mark {
            reply.lines.push(said("mark", mark.to_string()));
            reply.quiet = format!("{mark}\n");
            reply.next.push(
                next(["verify", "--mark"])
                    .with([mark.to_string()])
                    .note("keep that line outside this repository"),
            );
        }
        return reply;
    }
    for found in &report.findings {
        lines(&mut reply, found);
    }
    let stopped = report.stopped();
    if !stopped.is_empty() {
        let names: Vec<&str> = stopped.iter().map(|item| item.as_str()).collect();
        let others = report.items.saturating_sub(stopped.len());
        let rest = match others {
            0 => String::new(),
            1 => "; the other item goes on".into(),
            n => format!("; the other {n} go on"),
        };
        reply.lines.push(said("stopped", format!("{}{rest}", names.join(", "))));
    }
    out(&mut reply, branch, &report.findings);
    reply
}

fn seals_of(seals: u64) -> String {
    count(usize::try_from(seals).unwrap_or(usize::MAX), "seal")
}

fn signatures(report: &Verified, options: &VerifyOptions) -> SignaturesView {
    let signatures = &report.signatures;
    let root_seal = signatures.root.as_ref().map(|(_, seal)| *seal);
    SignaturesView {
        required: options.require_signatures.is_some(),
        root: signatures.root.as_ref().map(|(root, _)| root.clone()),
        root_seal,
        before_first_key: before_first_key(report),
        signed: signatures.signed,
        unsigned: signatures.unsigned,
        keys: signatures
            .keys
            .iter()
            .map(|of| SealsOfView {
                fingerprint: of.key.clone(),
                principal: of.principal.clone(),
                role: of.role.word().to_owned(),
                seals: of.seals,
            })
            .collect(),
        doubted: signatures
            .doubted
            .iter()
            .map(|doubted| DoubtedView {
                fingerprint: doubted.key.clone(),
                principal: doubted.principal.clone(),
                first_seal: doubted.first,
                last_seal: doubted.last,
                seals: doubted.seals,
            })
            .collect(),
    }
}

/// How many of the seals that were looked at stand before the first key's.
fn before_first_key(report: &Verified) -> u64 {
    let begun = report.since.as_ref().map_or(0, |since| since.seals);
    let root = report.signatures.root.as_ref();
    root.map_or(report.seals, |(_, seal)| (seal - 1).saturating_sub(begun))
}

/// How many seals are signed, and by whom.
fn signed_lines(reply: &mut Reply, report: &Verified) {
    let signatures = &report.signatures;
    let Some((root, _)) = &signatures.root else { return };
    let mut words = format!("{} of {} seals", signatures.signed, report.seals);
    let before = before_first_key(report);
    if before > 0 {
        let verb = if before == 1 { "stands" } else { "stand" };
        words.push_str(&format!("; {before} {verb} before the first key"));
    }
    if signatures.unsigned > 0 {
        words.push_str(&format!("; {} after it went unsigned", signatures.unsigned));
    }
    reply.lines.push(said("signed", words));
    for of in &signatures.keys {
        let first = if of.key == *root { ", the first key" } else { "" };
        let rest =
            format!("{:>6}  {}  {} ({}{first})", of.seals, of.key, of.principal, of.role.word());
        reply.lines.push(Line::Said(String::new(), rest));
    }
    for doubted in &signatures.doubted {
        let rest = format!(
            "{} of {}, seals {} to {}: the key was stolen by then",
            doubted.seals, doubted.principal, doubted.first, doubted.last
        );
        reply.lines.push(said("doubted", rest));
    }
}

fn finding(found: &Finding) -> FindingView {
    FindingView {
        class: found.class.word().to_owned(),
        path: found.path.clone(),
        work_item_id: found.item.clone(),
        what: found.what.clone(),
        seal: found.seal,
        sealed: found.sealed.clone(),
        found: found.found.clone(),
        commit: found.commit.clone(),
        pointer: found.pointer.clone(),
    }
}

fn lines(reply: &mut Reply, found: &Finding) {
    let verb = if found.class.is_incomplete() { "missing" } else { "violation" };
    let subject = match &found.path {
        Some(path) => format!("{path}  {}", plain(&found.what)),
        None => plain(&found.what),
    };
    reply.lines.push(said(verb, format!("{}  {subject}", found.class.word())));
    reply.quiet.push_str(&format!(
        "{}\t{}\t{}\n",
        found.class.word(),
        found.path.as_deref().unwrap_or("-"),
        found.commit.as_deref().unwrap_or("-")
    ));
    let mut detail = |name: &str, what: String| {
        reply.lines.push(Line::Said(String::new(), format!("{name:8} {what}")));
    };
    if let Some(sealed) = &found.sealed {
        let seal = found.seal.map(|seal| format!(", seal {seal}")).unwrap_or_default();
        detail("sealed", format!("sha256 {sealed}{seal}"));
    }
    if let Some(digest) = &found.found {
        detail("found", format!("sha256 {digest}"));
    }
    if let Some(commit) = &found.commit {
        let moved = matches!(found.class, Class::CutTail | Class::Rewritten);
        detail(if moved { "seen here" } else { "since" }, format!("commit {commit}"));
    }
    if let Some(pointer) = found.pointer.as_ref().filter(|pointer| !pointer.is_empty()) {
        detail("differs", plain(pointer));
    }
}

/// The ways out: history before the change, and how to put it right.
fn out(reply: &mut Reply, branch: &str, findings: &[Finding]) {
    let Some(first) = findings.first() else { return };
    let docs = |found: &Finding| format!("docs/recovery.md#{}", found.class.word());
    let moved = |found: &&Finding| matches!(found.class, Class::CutTail | Class::Rewritten);
    // What was never signed cannot be put back.
    if first.class == Class::Unsigned {
        reply.aside.push(Line::Text(format!("how to go on: {}", docs(first))));
        return;
    }
    if let Some(found) = findings.iter().find(|found| found.way.is_some()) {
        // Until its bytes are there nothing else can be put right.
        let way = found.way.iter().flat_map(|way| ways_back(way, !found.class.is_incomplete()));
        reply.next.extend(way);
    } else if let Some(found) = findings.iter().find(moved) {
        // Until the history is the right one nothing is written.
        let seen = findings.iter().filter(moved).find_map(|found| found.commit.as_ref());
        reply.next.extend(seen.map(|seen| move_back(branch, seen)));
        reply.aside.push(Line::Text(format!("how to go on: {}", docs(found))));
    } else if let Some(item) = &first.item {
        if let Some(before) = &first.before {
            reply.next.push(
                next(["log", item.as_str(), "--at", before]).note("the history before the change"),
            );
        }
        reply.next.push(
            next(["correct", item.as_str(), "--reason", "…"])
                .note(format!("puts the sealed bytes back ({})", docs(first))),
        );
    } else if first.path.is_some() {
        reply.next.push(
            next(["correct", "--reason", "…"])
                .note(format!("puts the sealed bytes back ({})", docs(first))),
        );
    } else {
        reply.aside.push(Line::Text(format!("how to go on: {}", docs(first))));
    }
}
