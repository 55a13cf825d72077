//! Every error of every room becomes one failure here: kind, facts, hint, exit code, and the
//! next thing to type.

use std::path::PathBuf;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::exit::Exit;
use super::ui::{Line, in_place, plain, row, shell, short, span};
use crate::code::CodeError;
use crate::config::ConfigError;
use crate::domain::event::Landed;
use crate::domain::id::{
    CriterionId, ExecutorId, Fingerprint, ItemId, PrincipalId, RoleName, SshKey, StepKey,
};
use crate::domain::keys::Unfit;
use crate::domain::refusal::{Refusal, RefusalKind};
use crate::domain::transition::{AttemptPhase, ItemPhase};
use crate::ledger::{LedgerError, Rewrite, Stop, Trouble, WayBack};
use crate::ops::{BoundaryError, OpsError};
use crate::plan::{PlanError, Spot};
use crate::sign::NotSigned;

/// A command that can be typed now, and a word about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Next {
    pub argv: Vec<String>,
    pub note: Option<String>,
}

/// Makes a next command from the words after `stepseal`.
pub(super) fn next<I: IntoIterator<Item = S>, S: Into<String>>(words: I) -> Next {
    let mut argv = vec!["stepseal".to_owned()];
    argv.extend(words.into_iter().map(Into::into));
    Next { argv, note: None }
}

/// Makes a next command of another program.
pub(super) fn program<const N: usize>(words: [&str; N]) -> Next {
    Next { argv: words.map(str::to_owned).to_vec(), note: None }
}

impl Next {
    /// Adds a word that is shown but never pasted.
    #[must_use]
    pub(super) fn note(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }

    /// Adds words to the command.
    #[must_use]
    pub(super) fn with<I: IntoIterator<Item = S>, S: Into<String>>(mut self, words: I) -> Self {
        self.argv.extend(words.into_iter().map(Into::into));
        self
    }

    /// As it can be pasted.
    #[must_use]
    pub(super) fn shown(&self) -> (String, Option<String>) {
        (shell(&self.argv), self.note.clone())
    }
}

/// Whether anything was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Recorded {
    No,
    Unknown,
    /// It was, and what came after it failed.
    Yes,
}

impl Recorded {
    /// `false`, `"unknown"` or `true`.
    #[must_use]
    pub(super) fn json(self) -> Value {
        match self {
            Self::No => json!(false),
            Self::Unknown => json!("unknown"),
            Self::Yes => json!(true),
        }
    }
}

/// Why a command did not do what was asked.
#[derive(Debug)]
pub(super) struct Failure {
    pub exit: Exit,
    pub reason: String,
    pub message: String,
    pub facts: Vec<Line>,
    pub data: Value,
    pub recorded: Recorded,
    pub next: Vec<Next>,
    /// The place in a plan or a config file.
    pub snippet: Option<String>,
}

impl Failure {
    /// A failure with a reason and a message.
    pub(super) fn new(exit: Exit, reason: &str, message: impl Into<String>) -> Self {
        Self {
            exit,
            reason: reason.to_owned(),
            message: message.into(),
            facts: Vec::new(),
            data: json!({}),
            recorded: Recorded::No,
            next: Vec::new(),
            snippet: None,
        }
    }

    /// What was typed makes no sense.
    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, "invalid", message)
    }

    /// Adds a fact, indented under the message.
    #[must_use]
    pub(super) fn fact(mut self, name: &str, what: impl Into<String>) -> Self {
        self.facts.push(Line::Row(vec![format!("  {name}"), what.into()]));
        self
    }

    /// Adds a sentence under the facts.
    #[must_use]
    pub(super) fn note(mut self, text: impl Into<String>) -> Self {
        self.facts.push(Line::Text(format!("  {}", text.into())));
        self
    }

    /// Adds a way out.
    #[must_use]
    pub(super) fn then(mut self, next: Next) -> Self {
        self.next.push(next);
        self
    }

    /// Adds the data of the `--json` contract.
    #[must_use]
    pub(super) fn data(mut self, data: Value) -> Self {
        self.data = data;
        self
    }
}

/// Who asks and when: what the phrases need.
#[derive(Debug, Clone, Default)]
pub(super) struct Asker {
    /// `--executor ID`, when it was said somehow.
    pub executor: Option<String>,
    pub now: DateTime<Utc>,
    /// The command's own flags, to be repeated.
    pub repeat: Vec<String>,
    /// The whole command, when a request id makes it safe to repeat.
    pub again: Option<Vec<String>>,
    /// The whole command: for a refusal that another try may answer.
    pub whole: Vec<String>,
    /// The public half of the key this clone signs with, once it was needed.
    pub own_key: Option<SshKey>,
}

impl Asker {
    fn as_executor(&self, next: Next) -> Next {
        match &self.executor {
            Some(executor) => next.with(["--executor", executor]),
            None => next,
        }
    }

    fn ago(&self, at: DateTime<Utc>) -> String {
        format!("{} ({} ago)", at.format("%H:%M:%S"), span((self.now - at).num_seconds()))
    }
}

fn step_args(item: &ItemId, step: &StepKey) -> [String; 4] {
    ["--work-item".into(), item.to_string(), "--step".into(), step.to_string()]
}

/// What is integrated goes back by a revert, and by nothing else (B2).
fn reverted_only(failure: Failure, item: &ItemId, step: Option<&StepKey>) -> Failure {
    let to = step.map_or("STEP", StepKey::as_str);
    let revert = next(["revert", "--work-item", item.as_str(), "--commit", "COMMIT"]);
    failure
        .note("what is integrated goes back by a revert only")
        .then(next(["status", item.as_str()]))
        .then(
            revert
                .with(["--return-to", to, "--reason", "…"])
                .note("once a commit on the base branch undoes it"),
        )
}

/// The rows of what was looked for on the base branch.
pub(super) fn landed_rows(landed: &[Landed]) -> Vec<Line> {
    let row = |one: &Landed| {
        Line::Row(vec![
            format!("  {}", one.verdict.words()),
            one.attempt_id.to_string(),
            plain(&one.how),
        ])
    };
    landed.iter().map(row).collect()
}

fn claim_other(asker: &Asker, item: &ItemId, other: Option<&StepKey>) -> Vec<Next> {
    let claim = |step: &StepKey| {
        let next = next(["claim"]).with(step_args(item, step));
        asker.as_executor(next).note("ready now")
    };
    match other {
        Some(step) => vec![claim(step)],
        None => vec![next(["status", item.as_str()])],
    }
}

/// Lets an item go on that was suspected.
#[must_use]
pub(super) fn clear_review(item: &ItemId) -> Next {
    let clear = ["review", "clear", "--work-item", item.as_str(), "--rationale", "…"];
    next(clear).note("if it is no duplicate")
}

/// Brings an item back that was merged or closed.
#[must_use]
pub(super) fn overturn(item: &ItemId) -> Next {
    let overturn = ["review", "overturn", "--work-item", item.as_str(), "--rationale", "…"];
    next(overturn).note("if that was wrong")
}

/// Says that a blocker is gone.
#[must_use]
pub(super) fn resolve_blocker(item: &ItemId, blocker: &CriterionId) -> Next {
    let resolve = ["blocker", "resolve", "--work-item", item.as_str(), "--id", blocker.as_str()];
    next(resolve).with(["--resolution", "…"])
}

/// Members by role, as data.
fn members(roles: &[(RoleName, Vec<String>)]) -> Value {
    roles.iter().map(|(role, members)| (role.to_string(), json!(members))).collect()
}

/// Who may, and for a role without members how it gets some.
fn admitted(
    mut failure: Failure,
    what: &str,
    ids: &[PrincipalId],
    roles: &[(RoleName, Vec<String>)],
) -> Failure {
    if !ids.is_empty() {
        failure =
            failure.fact(what, ids.iter().map(PrincipalId::as_str).collect::<Vec<_>>().join(", "));
    }
    for (role, members) in roles {
        let who = if members.is_empty() { "nobody yet".to_owned() } else { members.join(", ") };
        failure = failure.fact(what, format!("members of role {role}: {who}"));
    }
    match roles.iter().find(|(_, members)| members.is_empty()) {
        Some((role, _)) => failure.then(
            next(["policy", "set"]).with([format!("role.{role}")]).with(["ID", "--reason", "…"]),
        ),
        None => match roles.first() {
            Some((role, _)) => {
                failure.then(next(["policy", "show"]).with([format!("role.{role}")]))
            }
            None => failure,
        },
    }
}

/// Who holds what, as data.
fn holders(held: &[(StepKey, ExecutorId)]) -> Vec<Value> {
    held.iter().map(|(step, by)| json!({ "stepKey": step, "heldBy": by })).collect()
}

/// Phrases a refusal of the rules.
#[must_use]
pub(super) fn refusal(refusal: &Refusal, asker: &Asker) -> Failure {
    let exit = match refusal.kind() {
        RefusalKind::Invalid => Exit::Usage,
        RefusalKind::Refused => Exit::Refused,
        RefusalKind::NotFound => Exit::NotFound,
        RefusalKind::Conflict => Exit::Conflict,
    };
    let message = plain(&refusal.to_string());
    let mut failure = Failure::new(exit, refusal.reason(), message);
    let keys = |keys: &[StepKey]| keys.iter().map(StepKey::as_str).collect::<Vec<_>>().join(", ");
    match refusal {
        Refusal::UnknownItem { item, nearest } => {
            failure.data = json!({ "workItemId": item, "nearest": nearest });
            if let Some(near) = nearest {
                failure = failure.note(format!("did you mean {near}?"));
            }
            failure.then(next(["status"]).note("lists every item"))
        }
        Refusal::UnknownStep { item, key, nearest } => {
            failure.data = json!({ "workItemId": item, "stepKey": key, "nearest": nearest });
            if let Some(near) = nearest {
                failure = failure.note(format!("did you mean {near}?"));
            }
            failure.then(next(["status", item.as_str()]))
        }
        Refusal::UnknownAttempt { item, attempt } => failure
            .data(json!({ "workItemId": item, "attempt": attempt }))
            .then(next(["status", item.as_str()])),
        Refusal::UnknownClaim { item, claim } => failure
            .data(json!({ "workItemId": item, "claimId": claim }))
            .then(next(["log", item.as_str()])),
        Refusal::CaseTwin { item, twin } => failure
            .data(json!({ "workItemId": item, "twin": twin }))
            .note("two such ids would be one folder on some machines")
            .then(next(["status", twin.as_str()])),
        Refusal::OtherPlan { item, workflow, version } => failure
            .data(json!({ "workItemId": item, "workflow": workflow, "version": version }))
            .note("a changed plan is a new item, or stays as it was delegated")
            .then(next(["status", item.as_str()])),
        Refusal::VersionTaken { name, version, latest } => failure
            .data(json!({ "workflow": name, "version": version, "latest": latest }))
            .note(format!("a published version never changes: raise `version` to {}", latest + 1))
            .then(next(["workflow", "show"]).with([format!("{name}@{version}")])),
        Refusal::UnknownWorkflow { name, version } => failure
            .data(json!({ "workflow": name, "version": version }))
            .note("a file is published by `workflow publish`, or by the first item delegated on it")
            .then(next(["workflow", "list"])),
        Refusal::WorkflowRetired { name, version } => failure
            .data(json!({ "workflow": name, "version": version }))
            .note("a version does not come back: publish a new one, or use another")
            .then(next(["workflow", "log", name.as_str()]))
            .then(next(["workflow", "list"])),
        Refusal::NotEffective { name, version, from, to } => {
            if let Some(from) = from {
                failure = failure.fact("from", from.to_rfc3339());
            }
            if let Some(to) = to {
                failure = failure.fact("to", to.to_rfc3339());
            }
            failure
                .data(json!({ "workflow": name, "version": version, "from": from, "to": to }))
                .then(next(["workflow", "list"]))
        }
        Refusal::Held { item, step, attempt, by, since, lease_until, other } => {
            let lease = match lease_until {
                Some(until) => format!("lease until {}", until.format("%Y-%m-%d %H:%M:%S")),
                None => "no lease".into(),
            };
            failure.data = json!({
                "workItemId": item, "stepKey": step, "attemptId": attempt, "heldBy": by,
                "claimedAt": stamp(*since), "leaseUntil": lease_until.map(stamp),
            });
            failure = failure.note(format!("{attempt} claimed {}, {lease}", asker.ago(*since)));
            if let Some(executor) = &asker.executor {
                failure = failure.note(format!("nothing was recorded for {executor}"));
            }
            failure.next = claim_other(asker, item, other.as_ref());
            failure
        }
        Refusal::Finished {
            item,
            step,
            attempt,
            phase,
            by,
            at,
            summary,
            now,
            other,
            integrated,
        } => {
            failure.data = json!({
                "workItemId": item, "stepKey": step, "attemptId": attempt,
                "state": phase.word(), "by": by, "at": at.map(stamp), "current": now,
            });
            if let Some(at) = at {
                failure = failure.fact("ended", asker.ago(*at));
            }
            if let Some(summary) = summary {
                failure = failure.fact("said", format!("\"{}\"", short(summary, 100)));
            }
            if let Some(now) = now {
                failure = failure.fact("now", format!("{now} is the current attempt"));
            }
            let again = matches!(
                phase,
                AttemptPhase::Failed | AttemptPhase::Rejected | AttemptPhase::Withdrawn
            );
            if again && now.is_none() {
                return failure.then(next(["requeue"]).with(step_args(item, step)));
            }
            if *integrated {
                return reverted_only(failure, item, Some(step));
            }
            failure.next = claim_other(asker, item, other.as_ref());
            failure
        }
        Refusal::StepDone { item, step, how, other, integrated } => {
            failure.data = json!({ "workItemId": item, "stepKey": step, "how": how });
            if *integrated {
                return reverted_only(failure, item, Some(step));
            }
            failure.next = claim_other(asker, item, other.as_ref());
            failure
        }
        Refusal::RequestReused { request, recorded } => failure
            .data(json!({ "requestId": request, "recorded": recorded }))
            .note(format!("it recorded {recorded}; use another --request-id for another ask")),
        Refusal::ItemEnded { item, phase, survivor, by, reason } => {
            if let (Some(by), Some(reason)) = (by, reason) {
                failure = failure.fact("by", format!("{by}: \"{}\"", short(reason, 120)));
            }
            failure.data = json!({
                "workItemId": item, "status": phase.word(), "survivor": survivor, "by": by,
                "reason": reason,
            });
            if *phase == ItemPhase::Integrated {
                return reverted_only(failure, item, None);
            }
            let shown = survivor.as_ref().unwrap_or(item);
            failure = failure.then(next(["status", shown.as_str()]));
            match phase {
                ItemPhase::Merged | ItemPhase::Closed => failure.then(overturn(item)),
                _ => failure,
            }
        }
        Refusal::UnderReview { item, by, reason, suspects } => {
            if let Some(by) = by {
                failure = failure.fact("flagged by", by.to_string());
            }
            if !suspects.is_empty() {
                let names: Vec<_> = suspects.iter().map(ItemId::as_str).collect();
                failure = failure.fact("may repeat", names.join(", "));
            }
            failure
                .data(
                    json!({ "workItemId": item, "by": by, "reason": reason, "suspects": suspects }),
                )
                .then(clear_review(item))
        }
        Refusal::NotUnderReview { item } => {
            failure.data(json!({ "workItemId": item })).then(next(["status", item.as_str()]))
        }
        Refusal::ReviewOff { item } => failure
            .data(json!({ "workItemId": item }))
            .note("merging, closing and linking do not need a flag")
            .then(next(["review", "list"])),
        Refusal::BadSurvivor { item, other, phase, survivor, verb } => {
            failure.data = json!({
                "workItemId": item, "other": other, "status": phase.word(), "survivor": survivor,
            });
            let flag = if *verb == "merge" { "--into" } else { "--duplicate-of" };
            match survivor.as_ref().filter(|survivor| *survivor != item) {
                Some(survivor) => {
                    failure.then(next(["review", verb, "--work-item", item.as_str()]).with([
                        flag,
                        survivor.as_str(),
                        "--rationale",
                        "…",
                    ]))
                }
                None if matches!(phase, ItemPhase::Merged | ItemPhase::Closed) => {
                    failure.then(overturn(other))
                }
                None => failure.then(next(["status", other.as_str()])),
            }
        }
        Refusal::NothingToOverturn { item, phase, flagged_by } => {
            failure.data = json!({
                "workItemId": item, "status": phase.word(), "flaggedBy": flagged_by,
            });
            match flagged_by {
                Some(by) => failure.fact("flagged by", by.to_string()).then(clear_review(item)),
                None => failure.then(next(["status", item.as_str()])),
            }
        }
        Refusal::ClaimsHeld { item, held } => {
            for (step, by) in held {
                failure = failure.fact("held", format!("{step} by {by}"));
            }
            failure.data = json!({ "workItemId": item, "held": holders(held) });
            let again = asker.whole.iter().cloned().chain(["--release-claims".to_owned()]);
            failure
                .note("nothing was recorded; their work so far stays in history")
                .then(Next { argv: again.collect(), note: Some("takes their claims".into()) })
        }
        Refusal::UnknownBlockerType { given, known } => failure
            .data(json!({ "given": given, "known": known }))
            .fact("there are", plain(&known.join(", "))),
        Refusal::BlockerTaken { item, blocker, kind, resolved } => {
            failure.data = json!({
                "workItemId": item, "blockerId": blocker, "blockerType": kind,
                "resolved": resolved,
            });
            failure.note("ids of blockers are never used again").then(next([
                "blocker",
                "list",
                item.as_str(),
            ]))
        }
        Refusal::UnknownBlocker { item, blocker, open } => {
            let names: Vec<_> = open.iter().map(|id| id.as_str()).collect();
            let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            failure
                .data(json!({ "workItemId": item, "blockerId": blocker, "open": open }))
                .fact("open", names)
                .then(next(["blocker", "list", item.as_str()]))
        }
        Refusal::NotReady { item, step, waits_for, more, other } => {
            let names: Vec<String> = waits_for
                .iter()
                .map(|(key, holder)| match holder {
                    Some(by) => format!("{key} (held by {by})"),
                    None => key.to_string(),
                })
                .collect();
            let rest = if *more > 0 { format!(" and {more} more") } else { String::new() };
            failure.data = json!({
                "workItemId": item, "stepKey": step, "more": more,
                "waitsFor": waits_for.iter().map(|(key, _)| key).collect::<Vec<_>>(),
            });
            failure = failure.fact("waits for", format!("{}{rest}", names.join(", ")));
            if let Some(other) = other {
                let claim = next(["claim"]).with(step_args(item, other));
                failure = failure.then(asker.as_executor(claim).note("ready now"));
            }
            failure.then(next(["status", item.as_str(), "--why-not", step.as_str()]))
        }
        Refusal::Blocked { item, step, blockers } => {
            failure.data = json!({ "workItemId": item, "stepKey": step, "blockers": blockers });
            failure = failure.then(next(["blocker", "list", item.as_str()]));
            match blockers.first() {
                Some(first) => failure.then(resolve_blocker(item, first).note("once it is gone")),
                None => failure,
            }
        }
        Refusal::Serialised { item, step, constraint, by, in_progress, holder, other } => {
            let how = if *in_progress { "is in progress" } else { "is ready and goes first" };
            let holder_text = holder.as_ref().map(|h| format!(", held by {h}")).unwrap_or_default();
            failure.data = json!({
                "workItemId": item, "stepKey": step, "constraint": constraint, "by": by,
                "heldBy": holder,
            });
            failure = failure.fact("waits for", format!("{by}, which {how}{holder_text}"));
            failure.next = claim_other(asker, item, other.as_ref());
            failure
        }
        Refusal::ConstraintInUse { item, step, constraint, by, other } => {
            failure.data = json!({
                "workItemId": item, "stepKey": step, "constraint": constraint,
                "by": by.attempt.key(), "byItem": by.item, "attemptId": by.attempt,
                "heldBy": by.executor, "since": stamp(by.since),
            });
            failure = failure
                .fact("in use", format!("{} of {}, held by {}", by.attempt, by.item, by.executor))
                .fact("since", asker.ago(by.since));
            failure.next = match other {
                Some(_) => claim_other(asker, item, other.as_ref()),
                None => vec![next(["status", by.item.as_str()])],
            };
            failure
        }
        Refusal::NeedsRequeue { item, step, attempt, ended } => failure
            .data(json!({
                "workItemId": item, "stepKey": step, "attemptId": attempt, "ended": ended.word(),
            }))
            .fact("ended", format!("{attempt} as {}", ended.word()))
            .then(next(["requeue"]).with(step_args(item, step))),
        Refusal::IsGate { item, step } => failure
            .data(json!({ "workItemId": item, "stepKey": step }))
            .then(next(["gate", "approve"]).with(step_args(item, step)).with(["--reason", "…"]))
            .then(next(["gate", "reject"]).with(step_args(item, step)).with(["--reason", "…"])),
        Refusal::NotGate { item, step } => failure
            .data(json!({ "workItemId": item, "stepKey": step }))
            .then(next(["status", item.as_str()])),
        Refusal::GateNotOpen { item, step, waits_for, more } => {
            let rest = if *more > 0 { format!(" and {more} more") } else { String::new() };
            failure
                .data(json!({ "workItemId": item, "stepKey": step, "waitsFor": waits_for, "more": more }))
                .fact("waits for", format!("{}{rest}", keys(waits_for)))
                .then(next(["status", item.as_str(), "--why-not", step.as_str()]))
        }
        Refusal::NotAttested { item, step, missing, given } => {
            for criterion in missing {
                failure.facts.push(Line::Row(vec![
                    "  missing".into(),
                    criterion.id.to_string(),
                    plain(&criterion.text),
                ]));
            }
            let all: Vec<_> =
                given.iter().chain(missing.iter().map(|c| &c.id)).map(|id| id.as_str()).collect();
            failure.data = json!({
                "workItemId": item, "stepKey": step,
                "missing": missing.iter().map(|c| &c.id).collect::<Vec<_>>(),
            });
            let claim = next(["claim"]).with(step_args(item, step));
            let claim = asker.as_executor(claim).with(["--attest".to_owned(), all.join(",")]);
            failure.then(claim.note("if it is true"))
        }
        Refusal::NotVerified { item, step, attempt, open, of, verified } => {
            for id in verified {
                failure.facts.push(Line::Row(vec![
                    format!("  ✓ {id}"),
                    String::new(),
                    "verified by you".into(),
                ]));
            }
            let mut checked = false;
            for criterion in open {
                let how = match &criterion.check {
                    Some(check) => {
                        checked = true;
                        format!("has a check: {}", shell(&check.run))
                    }
                    None => String::new(),
                };
                failure.facts.push(Line::Row(vec![
                    format!("  ! {}", criterion.id),
                    plain(&criterion.text),
                    how,
                ]));
            }
            failure = failure.note(format!("nothing was recorded; {attempt} is still yours"));
            failure.data = json!({
                "workItemId": item, "stepKey": step, "attemptId": attempt, "of": of,
                "open": open.iter().map(|c| &c.id).collect::<Vec<_>>(),
            });
            let mut again = next(["complete"]);
            again.argv.extend(asker.repeat.iter().cloned());
            for criterion in open.iter().filter(|criterion| criterion.check.is_none()) {
                again = again.with(["--verified", criterion.id.as_str()]);
            }
            if checked && !again.argv.iter().any(|word| word == "--run-checks") {
                again = again.with(["--run-checks"]);
            }
            failure.then(again.note("if it is true"))
        }
        Refusal::UnknownCriterion { item, step, id, known } => {
            let names: Vec<_> = known.iter().map(|id| id.as_str()).collect();
            let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            failure
                .data(
                    json!({ "workItemId": item, "stepKey": step, "criterion": id, "known": known }),
                )
                .fact("it has", names)
                .then(next(["brief", item.as_str(), step.as_str()]))
        }
        Refusal::ExecutorBusy { by, item, step, attempt, since } => {
            failure.data = json!({
                "executor": by, "workItemId": item, "stepKey": step, "attemptId": attempt,
                "since": stamp(*since),
            });
            failure = failure.fact("since", asker.ago(*since));
            let complete = next(["complete"]).with(step_args(item, step)).with(["--outcome", "…"]);
            let release = next(["release"]).with(step_args(item, step)).with(["--reason", "…"]);
            failure
                .then(asker.as_executor(complete))
                .then(asker.as_executor(release).note("give it back"))
        }
        Refusal::AliasTaken { item, alias, attempt } => failure
            .data(json!({ "workItemId": item, "alias": alias, "attemptId": attempt }))
            .note("names of attempts are never used again")
            .then(next(["status", item.as_str()])),
        Refusal::NotClaimed { item, step, queued } => failure
            .data(json!({ "workItemId": item, "stepKey": step, "queued": queued }))
            .then(asker.as_executor(next(["claim"]).with(step_args(item, step)))),
        Refusal::NotHolder { item, step, attempt, by, asker: who, elsewhere, claim } => {
            failure.data = json!({
                "workItemId": item, "stepKey": step, "attemptId": attempt, "heldBy": by,
                "asker": who,
            });
            if *elsewhere {
                failure.message =
                    format!("{attempt} of {item} was claimed by {by} from another work tree");
                let mut again = next(["complete"]);
                again.argv.extend(asker.repeat.iter().cloned());
                return failure
                    .note("name the claim if it is yours")
                    .then(again.with(["--claim".to_owned(), claim.to_string()]));
            }
            failure.then(next(["status", item.as_str()])).then(
                next(["requeue"])
                    .with(step_args(item, step))
                    .with(["--lapsed", "--force", "--reason", "…"])
                    .note("if the holder is gone"),
            )
        }
        Refusal::LeaseRunning { item, step, attempt, by, lease_until } => {
            let until = match lease_until {
                Some(until) => format!("until {}", until.format("%Y-%m-%d %H:%M:%S")),
                None => "no lease was given, so none can end".into(),
            };
            failure
                .data(json!({
                    "workItemId": item, "stepKey": step, "attemptId": attempt, "heldBy": by,
                    "leaseUntil": lease_until.map(stamp),
                }))
                .fact("held by", by.to_string())
                .fact("lease", until)
                .then(
                    next(["requeue"])
                        .with(step_args(item, step))
                        .with(["--lapsed", "--force", "--reason", "…"])
                        .note("if the holder is gone"),
                )
        }
        Refusal::NotApprover { item, step, principal, ids, roles } => {
            failure.data = json!({
                "workItemId": item, "stepKey": step, "principal": principal, "ids": ids,
                "roles": roles.iter().map(|(role, _)| role).collect::<Vec<_>>(),
                "members": members(roles),
            });
            admitted(failure, "may decide", ids, roles)
        }
        Refusal::SelfReview { item, step, principal, worked_on } => failure
            .data(json!({
                "workItemId": item, "stepKey": step, "principal": principal, "workedOn": worked_on,
            }))
            .note("this gate asks for somebody else")
            .then(next(["status", item.as_str()])),
        Refusal::NotIntegrator { item, principal, ids, members: roles } => {
            failure.data = json!({
                "workItemId": item, "principal": principal, "ids": ids,
                "roles": roles.iter().map(|(role, _)| role).collect::<Vec<_>>(),
                "members": members(roles),
            });
            admitted(failure, "may integrate", ids, roles).then(next([
                "policy",
                "show",
                "integrate",
            ]))
        }
        Refusal::UnknownPolicy { given, nearest, known } => {
            failure.data = json!({ "given": given, "nearest": nearest, "known": known });
            if let Some(near) = nearest {
                failure = failure.note(format!("did you mean {near}?"));
            }
            failure.fact("policies", known.join(", ")).then(next(["policy", "show"]))
        }
        Refusal::BadPolicyValue { key, given, why, choices } => failure
            .data(json!({ "key": key, "given": given, "why": why, "choices": choices }))
            .then(next(["policy", "show", key])),
        Refusal::NoReturn { item, step, candidates } => {
            let failure = failure
                .data(json!({ "workItemId": item, "stepKey": step, "candidates": candidates }))
                .fact("could be", keys(candidates));
            match candidates.last() {
                Some(last) => {
                    failure.then(next(["gate", "reject"]).with(step_args(item, step)).with([
                        "--reason",
                        "…",
                        "--return-to",
                        last.as_str(),
                    ]))
                }
                None => failure,
            }
        }
        Refusal::BadReturn { item, gate, to, why } => failure
            .data(json!({ "workItemId": item, "stepKey": gate, "returnTo": to, "why": why }))
            .then(next(["status", item.as_str()])),
        Refusal::VoidHeld { item, to, void, held } => {
            failure = failure.fact("void", keys(void));
            for (step, by) in held {
                failure = failure.fact("held", format!("{step} by {by}"));
            }
            failure.data = json!({
                "workItemId": item, "returnTo": to, "void": void, "held": holders(held),
            });
            let again = asker.whole.iter().cloned().chain(["--release-claims".to_owned()]);
            failure
                .note("nothing was recorded; their work so far stays in history")
                .then(Next { argv: again.collect(), note: Some("takes their claims".into()) })
        }
        Refusal::NotAllDone { item, open } => {
            let names: Vec<_> = open.iter().take(8).cloned().collect();
            let rest = open.len().saturating_sub(names.len());
            let rest = if rest > 0 { format!(" and {rest} more") } else { String::new() };
            failure
                .data(json!({ "workItemId": item, "open": open }))
                .fact("open", format!("{}{rest}", keys(&names)))
                .then(next(["status", item.as_str()]))
        }
        Refusal::NotOnBase { item, commit, branch, known } => {
            failure.data = json!({
                "workItemId": item, "commit": commit, "branch": branch, "known": known,
            });
            if *known {
                failure
                    .note("what is on no base branch is provisional; --branch names another one")
                    .then(program(["git", "branch", "--all", "--contains", commit]))
            } else {
                failure.note("this clone has not enough history to tell").then(program([
                    "git",
                    "fetch",
                    "--unshallow",
                ]))
            }
        }
        Refusal::NotLanded { item, commit, landed } => {
            failure.facts.extend(landed_rows(landed));
            failure.data = json!({ "workItemId": item, "commit": commit, "landed": landed });
            let mut again = asker.whole.clone();
            again.retain(|word| word != "--dry-run");
            again.extend(["--accept".into(), "--reason".into(), "…".into()]);
            failure
                .note("nothing was recorded")
                .then(Next { argv: again, note: Some("if you know that it is there".into()) })
        }
        Refusal::NotIntegrated { item, to } => {
            let rework = next(["rework", "--work-item", item.as_str(), "--return-to", to.as_str()]);
            failure
                .data(json!({ "workItemId": item, "returnTo": to }))
                .note("what is provisional goes back without a revert")
                .then(rework.with(["--reason", "…"]))
        }
        Refusal::NotUndone { item, commit, integrated, how } => {
            failure.data = json!({
                "workItemId": item, "commit": commit, "integrated": integrated, "how": how,
            });
            let again = asker.whole.iter().cloned().chain(["--accept".to_owned()]);
            failure
                .note("nothing was recorded")
                .then(program(["git", "show", "--stat", integrated]))
                .then(Next {
                    argv: again.collect(),
                    note: Some("if it is undone all the same".into()),
                })
        }
        Refusal::BadMigration { item, why } => failure
            .data(json!({ "workItemId": item, "why": why }))
            .then(next(["status", item.as_str()])),
        Refusal::AmbiguousMigration { item, to, undecided, new } => {
            for (key, near) in undecided {
                let hint = near.as_ref().map(|near| format!(", perhaps {near} now"));
                failure = failure.fact(key.as_str(), format!("gone{}", hint.unwrap_or_default()));
            }
            if !new.is_empty() {
                failure = failure.fact("new there", keys(new));
            }
            let said = undecided.iter().flat_map(|(key, near)| match near {
                Some(near) => ["--map".to_owned(), format!("{key}={near}")],
                None => ["--drop".to_owned(), key.to_string()],
            });
            failure.data = json!({
                "workItemId": item, "workflow": to.name, "version": to.version,
                "undecided": undecided.iter().map(|(key, _)| key).collect::<Vec<_>>(), "new": new,
            });
            let argv = asker.whole.iter().cloned().chain(said);
            failure.then(Next { argv: argv.collect(), note: Some("if that is so".into()) })
        }
        Refusal::MigrationHeld { item, held } => {
            for (step, by) in held {
                failure = failure.fact("held", format!("{step} by {by}"));
            }
            failure.data = json!({ "workItemId": item, "held": holders(held) });
            let again = asker.whole.iter().cloned().chain(["--release-claims".to_owned()]);
            failure.then(Next { argv: again.collect(), note: Some("takes their claims".into()) })
        }
        Refusal::NothingToRollBack { item } => {
            failure.data(json!({ "workItemId": item })).then(next(["log", item.as_str()]))
        }
        Refusal::WorkedOnSince { item, from, steps } => failure
            .data(json!({
                "workItemId": item, "workflow": from.name, "version": from.version,
                "steps": steps,
            }))
            .fact("worked on", keys(steps))
            .note("migrate forward instead, and say what becomes of these steps")
            .then(next(["migrate", item.as_str(), "--to", "…", "--dry-run", "--reason", "…"])),
        Refusal::FirstKey { fingerprint, why } => failure
            .data(json!({ "fingerprint": fingerprint, "why": why }))
            .note("every other key rests on it: an owner's, without an end, added by its owner")
            .then(next(["key", "add", "--self", "--reason", "…"])),
        Refusal::KeyTaken { fingerprint, principal, role, not_after } => failure
            .data(json!({
                "fingerprint": fingerprint, "principal": principal, "role": role.word(),
                "notAfter": not_after,
            }))
            .note("one key speaks for one principal in one role: make another key")
            .then(next(["key", "list"])),
        Refusal::KeyGone { fingerprint, seal } => failure
            .data(json!({ "fingerprint": fingerprint, "seal": seal }))
            .note("a key whose private half may be with somebody else stays out: make another")
            .then(Next {
                argv: ["ssh-keygen", "-t", "ed25519"].map(str::to_owned).to_vec(),
                note: None,
            }),
        Refusal::UnknownKey { given } => {
            failure.data(json!({ "given": given })).then(next(["key", "list"]))
        }
        Refusal::AmbiguousKey { given, matches } => {
            for fingerprint in matches.iter().take(8) {
                failure.facts.push(Line::Text(format!("  {fingerprint}")));
            }
            failure.data(json!({ "given": given, "matches": matches })).then(next(["key", "list"]))
        }
        Refusal::NotOwner { principal, owners } => {
            let names: Vec<_> = owners.iter().map(PrincipalId::as_str).collect();
            failure
                .data(json!({ "principal": principal, "owners": owners }))
                .fact("owners", names.join(", "))
                .then(next(["key", "list"]))
        }
        Refusal::LastOwner { fingerprint } => {
            failure.data(json!({ "fingerprint": fingerprint })).then(
                next(["key", "add", "NEW.pub", "--for", "…", "--role", "owner", "--reason", "…"])
                    .note("another owner first"),
            )
        }
        Refusal::NoKeys => failure
            .note("it is sound as far as can be seen without")
            .then(next(["key", "add", "--self", "--reason", "…"]).note("the first key")),
        Refusal::Invalid(_) => failure,
    }
}

/// A time as data.
fn stamp(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

/// Phrases what the ledger says.
#[must_use]
pub(super) fn ledger(error: &LedgerError, asker: &Asker) -> Failure {
    let message = plain(&error.to_string());
    let fail = |exit, reason: &str| Failure::new(exit, reason, message.clone());
    match error {
        LedgerError::Refused(refused) => refusal(refused, asker),
        LedgerError::NoRepository { dir } => {
            let dir = dir.display().to_string();
            fail(Exit::NotFound, "no-repository").then(program(["git", "init", &dir]))
        }
        LedgerError::NoLedger => fail(Exit::NotFound, "no-ledger").then(next(["init"])),
        LedgerError::Unsupported { remedy, .. } => {
            let argv = remedy.split(' ').map(str::to_owned).collect();
            fail(Exit::Refused, "unsupported-repository").then(Next { argv, note: None })
        }
        LedgerError::ForeignOwner { dir } => {
            let dir = dir.display().to_string();
            fail(Exit::Refused, "foreign-owner").then(program([
                "git",
                "config",
                "--global",
                "--add",
                "safe.directory",
                &dir,
            ]))
        }
        LedgerError::CheckedOut { worktree, .. } => {
            let tree = worktree.display().to_string();
            fail(Exit::Refused, "ledger-checked-out")
                .note("writing would move it under a work tree; to read the files: stepseal export --tree DIR")
                .then(program(["git", "-C", &tree, "checkout", "--detach"]).note("leaves the branch"))
        }
        LedgerError::NotALedger { .. } => fail(Exit::Refused, "not-a-ledger")
            .then(next(["init", "--branch", "NAME"]).note("another branch")),
        LedgerError::OtherLedger { .. } => fail(Exit::Refused, "other-ledger")
            .note("git config stepseal.branch says which one this repository uses"),
        LedgerError::OtherRemote { known, asked } => {
            let failure = fail(Exit::Refused, "other-remote")
                .data(json!({ "known": known, "asked": asked }))
                .note("git config stepseal.remote says through which remote this clone shares it");
            match known {
                None => failure.then(next(["init", "--remote", asked])),
                Some(_) => failure,
            }
        }
        LedgerError::Remote { remote, trouble, said } => {
            remote_trouble(remote, *trouble, said, asker)
        }
        LedgerError::Forked { remote, local, shared } => fail(Exit::Damaged, "forked")
            .data(json!({ "remote": remote, "local": local, "shared": shared }))
            .fact("here", format!("commit {local}"))
            .fact("there", format!("commit {shared}"))
            .note("each has what the other has not; nothing is written to either")
            .then(
                next(["sync", "--accept-rewrite", "--reason", "…"]).note("if the remote is right"),
            )
            .then(
                program(["git", "log", "--oneline", "--left-right"])
                    .with([format!("{local}...{shared}")]),
            ),
        LedgerError::NewerFormat { .. } => {
            fail(Exit::Refused, "newer-format").note("a newer stepseal is needed to read it")
        }
        LedgerError::ItemStopped { item, found } => {
            let mut failure = stopped(fail(Exit::Damaged, "item-stopped"), found);
            failure.data["workItemId"] = json!(item);
            failure.note("other items go on").then(next(["verify"])).then(
                next(["correct", item.as_str(), "--path", &found.path, "--reason", "…"])
                    .note("puts the sealed bytes back"),
            )
        }
        LedgerError::LedgerStopped { found } => {
            stopped(fail(Exit::Damaged, "ledger-stopped"), found).then(next(["verify"])).then(
                next(["correct", "--path", &found.path, "--reason", "…"])
                    .note("puts the sealed bytes back"),
            )
        }
        LedgerError::Rewritten { how, remote, branch, seen, tip, mark } => {
            fail(Exit::Damaged, how.word())
                .fact("seen here", format!("commit {seen}, mark {mark}"))
                .fact(
                    "now",
                    if tip.is_empty() { "no branch".into() } else { format!("commit {tip}") },
                )
                .note("nothing is written until it is what was seen again (docs/recovery.md)")
                .then(next(["verify"]))
                .then(match (remote, how) {
                    // Its branch is not this clone's to move.
                    (Some(remote), Rewrite::Deleted) => program(["git", "push", remote])
                        .with([format!(
                            "{seen}:refs/heads/{}",
                            branch.trim_start_matches(&format!("{remote}/"))
                        )])
                        .note("if what this clone saw is right"),
                    (Some(_), _) => next(["sync", "--accept-rewrite", "--reason", "…"])
                        .note("if the remote is right"),
                    (None, _) => move_back(branch, seen),
                })
        }
        LedgerError::BadBranch { branch, file, seen, .. } => {
            let failure = fail(Exit::Damaged, "bad-branch")
                .data(json!({ "branch": branch, "file": file, "seen": seen }))
                .note("only the file of the branch is damaged, not what it pointed to")
                .then(program(["rm", "-f"]).with([file.display().to_string()]));
            match seen {
                Some(seen) => failure.then(move_back(branch, seen)),
                None => failure.then(
                    program(["git", "fsck", "--no-reflogs"])
                        .note("a dangling commit of the ledger is where it was"),
                ),
            }
        }
        LedgerError::BadObject { oid, way, .. } => {
            come_back(fail(Exit::Damaged, "bad-object").data(json!({ "object": oid })), way)
        }
        LedgerError::MissingObject { oid, way } => {
            come_back(fail(Exit::Incomplete, "missing-object").data(json!({ "object": oid })), way)
        }
        LedgerError::Busy(_) | LedgerError::Contended { .. } => fail(Exit::TryAgain, "busy")
            .note("nothing was recorded; the same command can be repeated")
            .then(Next { argv: asker.whole.clone(), note: None }),
        LedgerError::Unknown { .. } => {
            let mut failure = fail(Exit::TryAgain, "unknown")
                .note("the same command with the same --request-id is safe to repeat");
            failure.recorded = Recorded::Unknown;
            match &asker.again {
                Some(argv) => failure.then(Next { argv: argv.clone(), note: None }),
                None => failure.then(next(["log", "-n", "20"]).note("shows whether it is there")),
            }
        }
        LedgerError::Git { .. } | LedgerError::Io { .. } => fail(Exit::Internal, "storage")
            .note("nothing was recorded")
            .then(Next { argv: asker.whole.clone(), note: Some("when the cause is gone".into()) }),
        LedgerError::NotSigned(why) => not_signed(why, asker),
        LedgerError::Unfit(unfit) => {
            let (key, why) = unfit_words(unfit);
            let failure = fail(Exit::Credentials, "key-not-accepted")
                .data(json!({ "fingerprint": key, "why": why, "publicKey": asker.own_key }))
                .note("nothing was recorded: every reader would refuse such a seal");
            match (&asker.own_key, unfit) {
                (Some(own), Unfit::Unknown { .. }) => failure.then(
                    next(["key", "add", own.as_str(), "--for", "ID", "--role", "executor"])
                        .with(["--reason", "…"])
                        .note("for an owner to type"),
                ),
                _ => failure.then(next(["key", "list"])),
            }
        }
        LedgerError::Paper(_) => fail(Exit::Usage, "too-large-or-invalid"),
        LedgerError::NeverVerified => fail(Exit::Usage, "never-verified")
            .then(next(["verify"]).note("all of it, once"))
            .then(next(["verify", "--since", "MARK"]).note("a mark that was kept elsewhere")),
        LedgerError::Invalid(_) => fail(Exit::Usage, "invalid"),
    }
}

/// Phrases why a remote does not take part: its own words, and what to type.
fn remote_trouble(remote: &str, trouble: Trouble, said: &str, asker: &Asker) -> Failure {
    let exit = match trouble {
        Trouble::Credentials => Exit::Credentials,
        Trouble::Refused => Exit::Refused,
        Trouble::Unreachable | Trouble::TimedOut => Exit::TryAgain,
        Trouble::NoRemote => Exit::NotFound,
        Trouble::NoGit => Exit::Outside,
    };
    let error = LedgerError::Remote { remote: remote.to_owned(), trouble, said: said.to_owned() };
    let mut failure = Failure::new(exit, trouble.word(), plain(&error.to_string()))
        .data(json!({ "remote": remote, "said": said }));
    for line in said.lines().take(12) {
        failure.facts.push(Line::Text(format!("  {}", short(line, 200))));
    }
    failure = failure.note("nothing was recorded");
    match trouble {
        Trouble::Credentials => {
            failure.then(program(["git", "ls-remote", remote]).note("asks as stepseal does"))
        }
        Trouble::Refused => {
            let rule = ["GH006", "GH013", "protected branch", "rule violations"];
            let why = match rule.iter().any(|word| said.contains(word)) {
                true => "a rule protects the branch: let it allow pushes that go forward",
                false => "a hook of the remote declined it; this is no lost race",
            };
            failure.note(why).then(Next { argv: asker.whole.clone(), note: None })
        }
        Trouble::Unreachable | Trouble::TimedOut => {
            failure.then(Next { argv: asker.whole.clone(), note: Some("when it can be".into()) })
        }
        Trouble::NoRemote => failure
            .then(program(["git", "remote", "-v"]))
            .then(program(["git", "remote", "add", remote, "URL"])),
        Trouble::NoGit => failure,
    }
}

/// Puts the branch back where this clone saw it.
#[must_use]
pub(super) fn move_back(branch: &str, seen: &str) -> Next {
    program(["git", "update-ref"])
        .with([format!("refs/heads/{branch}"), seen.to_owned()])
        .note("if what this clone saw is right")
}

/// Adds the way back of an object that cannot be had.
fn come_back(mut failure: Failure, way: &WayBack) -> Failure {
    if way.shallow {
        failure = failure.note("this clone is shallow");
    }
    failure.next.extend(ways_back(way, failure.exit == Exit::Damaged));
    failure
}

/// What to type so that an object comes back from another clone; a damaged one has to go first,
/// because git keeps what it has.
#[must_use]
pub(super) fn ways_back(way: &WayBack, damaged: bool) -> Vec<Next> {
    let mut ways = Vec::new();
    if let Some(seen) = &way.seen {
        ways.push(move_back(&way.branch, seen));
    }
    let file = way.file.as_ref().map(|file| (file, file.extension().unwrap_or_default()));
    match file {
        // The index is made anew from the pack; where that fails the pack is damaged itself.
        Some((file, end)) if end == "idx" || end == "pack" => {
            let index = file.with_extension("idx").display().to_string();
            let aside = format!("{index}.damaged");
            ways.push(program(["mv", "-f", &index, &aside]));
            let pack = file.with_extension("pack").display().to_string();
            let again = program(["git", "index-pack", &pack]);
            ways.push(again.note("fails if the pack is damaged (docs/recovery.md#bad-object)"));
            return ways;
        }
        Some((file, _)) => ways.push(program(["rm", "-f"]).with([file.display().to_string()])),
        // It is of another type: what names it is wrong.
        None if damaged => {
            ways.push(program(["git", "fsck"]));
            return ways;
        }
        None => {}
    }
    ways.push(match (&way.remote, way.shallow) {
        (Some(remote), true) => program(["git", "fetch", "--unshallow", remote]),
        (None, true) => program(["git", "fetch", "--unshallow"]),
        (Some(remote), false) => program(["git", "fetch", "--refetch", remote, &way.branch]),
        (None, false) => program(["git", "fetch", "--refetch", "OTHER", &way.branch])
            .note("OTHER is a clone that has it"),
    });
    ways
}

/// Phrases why there is no signature: each with what to type so that there is one.
fn not_signed(why: &NotSigned, asker: &Asker) -> Failure {
    let failure = Failure::new(Exit::Credentials, "no-signature", plain(&why.to_string()))
        .note("nothing was recorded");
    let add = |failure: Failure, path: &Option<PathBuf>| match path {
        Some(path) => failure.then(program(["ssh-add", &path.display().to_string()])),
        None => failure.then(program(["ssh-add", "-l"]).note("lists what the agent has")),
    };
    let failure = match why {
        NotSigned::NoKey { other_format } => {
            let failure = match other_format {
                Some(format) => failure
                    .note(format!("git signs with {format}; stepseal signs with ssh keys only")),
                None => failure,
            };
            return failure.then(program(["git", "config", "--global", "gpg.format", "ssh"])).then(
                program(["git", "config", "--global", "user.signingkey", "~/.ssh/id_ed25519.pub"])
                    .note("or seal.key in your own configuration"),
            );
        }
        NotSigned::Missing { .. } | NotSigned::Unreadable { .. } => {
            return failure.then(next(["config", "list", "--origin"]));
        }
        NotSigned::BadKey { .. } => {
            return failure
                .then(program(["ssh-keygen", "-t", "ed25519"]).note("makes one that can"))
                .then(next(["config", "list", "--origin"]));
        }
        NotSigned::Exposed { path } => {
            failure.then(program(["chmod", "600", &path.display().to_string()]))
        }
        NotSigned::Refused { add: path, .. } | NotSigned::TimedOut { add: path, .. } => {
            add(failure, path)
        }
        NotSigned::NoProgram { .. } => failure.note("it comes with OpenSSH"),
        NotSigned::Unsound { .. } | NotSigned::Failed { .. } => failure,
    };
    failure.then(Next { argv: asker.whole.clone(), note: Some("again".into()) })
}

/// The key that may not seal, and a stable word for why.
fn unfit_words(unfit: &Unfit) -> (Option<&Fingerprint>, &'static str) {
    match unfit {
        Unfit::Unsigned => (None, "unsigned"),
        Unfit::Unknown { key } => (Some(key), "unknown-key"),
        Unfit::Revoked { key, .. } => (Some(key), "revoked-key"),
        Unfit::Expired { key, .. } => (Some(key), "expired-key"),
        Unfit::OtherPrincipal { key, .. } => (Some(key), "other-principal"),
        Unfit::NotOwner { key, .. } => (Some(key), "not-owner"),
        Unfit::NotFirst { key, .. } => (Some(key), "first-key"),
        Unfit::Impossible { key, .. } => (Some(key), "impossible"),
    }
}

/// The facts of a bad artifact (L10).
fn stopped(mut failure: Failure, found: &Stop) -> Failure {
    failure.data = json!({
        "path": found.path, "pointer": found.pointer, "sealed": found.sealed,
        "found": found.found, "commit": found.commit,
    });
    if let Some(pointer) = &found.pointer {
        failure.facts.push(row(["  at", &plain(pointer)]));
    }
    if let Some(sealed) = &found.sealed {
        failure.facts.push(row(["  sealed", &format!("sha256 {sealed}")]));
    }
    if let Some(digest) = &found.found {
        failure.facts.push(row(["  found", &format!("sha256 {digest}")]));
    }
    failure
}

/// Phrases what an operation says.
#[must_use]
/// Phrases why the boundary of an item did not move.
pub(super) fn boundary(error: &BoundaryError, asker: &Asker) -> Failure {
    let error = match error {
        BoundaryError::Ledger(error) => return ledger(error, asker),
        BoundaryError::Code(error) => error,
    };
    match error {
        CodeError::UnknownCommit { named, shallow } => {
            let failure = Failure::new(Exit::NotFound, "unknown-commit", error.to_string())
                .data(json!({ "commit": named, "shallow": shallow }));
            if *shallow {
                failure.then(program(["git", "fetch", "--unshallow"]))
            } else {
                failure.then(program(["git", "fetch", "--all"]))
            }
        }
        CodeError::UnknownBranch { named } => {
            Failure::new(Exit::NotFound, "unknown-branch", error.to_string())
                .data(json!({ "branch": named }))
                .then(program(["git", "branch", "--all"]))
        }
        CodeError::NoBase => {
            let mut again = asker.whole.clone();
            again.extend(["--branch".into(), "NAME".into()]);
            Failure::new(Exit::NotFound, "no-base", error.to_string())
                .note("name it, or set baseline.branch in stepseal.toml")
                .then(program(["git", "branch", "--all"]))
                .then(Next { argv: again, note: None })
        }
    }
}

/// Phrases what an operation says.
pub(super) fn ops(error: &OpsError, asker: &Asker) -> Failure {
    match error {
        OpsError::Ledger(error) => ledger(error, asker),
        OpsError::Cancelled { attempt } => {
            Failure::new(Exit::Cancelled, "cancelled", error.to_string())
                .data(json!({ "attemptId": attempt }))
                .note(format!("nothing was recorded; {attempt} is still yours"))
                .then(Next { argv: asker.whole.clone(), note: None })
        }
        OpsError::CheckNotRun { criterion, .. } => {
            Failure::new(Exit::Outside, "check-not-run", plain(&error.to_string()))
                .data(json!({ "criterion": criterion }))
                .note("nothing was recorded")
        }
        OpsError::WorkNotRun { attempt, .. } => {
            Failure::new(Exit::Outside, "work-not-run", plain(&error.to_string()))
                .data(json!({ "attemptId": attempt }))
                .note("nothing was spooled")
        }
        OpsError::Spool(spool) => {
            Failure::new(Exit::Refused, "bad-spool", plain(&error.to_string()))
                .data(json!({ "path": spool.path.display().to_string(), "why": spool.why }))
                .note("nothing was recorded")
        }
        OpsError::Spooled { attempt, path } => {
            Failure::new(Exit::Conflict, "spooled-otherwise", plain(&error.to_string()))
                .data(json!({ "attemptId": attempt, "path": path.display().to_string() }))
                .note("what was spooled first is what comes home")
        }
        OpsError::CheckFailed(failed) => {
            let how = if failed.timed_out {
                "it did not end within its time limit".to_owned()
            } else {
                format!("exit {}", failed.run.exit_code)
            };
            let mut failure = Failure::new(
                Exit::Refused,
                "check-failed",
                format!("the check of {} failed: {how}", failed.criterion.id),
            )
            .data(json!({
                "workItemId": failed.item, "attemptId": failed.attempt,
                "criterion": failed.criterion.id, "exitCode": failed.run.exit_code,
            }))
            .fact("ran", shell(&failed.run.run))
            .fact("shows", plain(&failed.criterion.text));
            let lines: Vec<&str> = failed.run.output.lines().collect();
            for line in lines.iter().skip(lines.len().saturating_sub(8)) {
                failure.facts.push(Line::Text(format!("  | {}", short(line, 160))));
            }
            failure.note(format!("nothing was recorded; {} is still yours", failed.attempt))
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        let mut failure = Self::usage(plain(&error.message));
        failure.reason = "config".into();
        if let Some(origin) = &error.origin {
            failure.data = json!({ "origin": origin.to_string() });
            failure.snippet = Some(format!("  --> {origin}\n"));
        }
        match error.hint {
            Some(hint) => failure.note(hint),
            None => failure,
        }
    }
}

impl From<crate::domain::id::InvalidId> for Failure {
    fn from(error: crate::domain::id::InvalidId) -> Self {
        Self::usage(error.to_string())
    }
}

/// Shows a plan's error at its line.
#[must_use]
pub(super) fn plan(error: &PlanError, path: &str, text: &str, color: bool) -> Failure {
    let mut failure = Failure::usage(plain(&error.message));
    failure.reason = "invalid-plan".into();
    if path != "-" {
        failure.message = format!("{}: {}", plain(path), failure.message);
    }
    let place = |spot: Spot| json!({ "line": spot.line, "column": spot.column });
    failure.data = json!({
        "path": path, "at": error.at.map(place), "hint": error.hint,
        "related": error.related.iter().map(|(spot, what)| json!({
            "line": spot.line, "message": what,
        })).collect::<Vec<_>>(),
    });
    match error.at {
        Some(at) => failure.snippet = Some(snippet(error, at, path, text, color)),
        None => {
            if let Some(hint) = &error.hint {
                failure = failure.note(hint.clone());
            }
        }
    }
    failure
}

/// The line with a caret, by rust-lang's own renderer.
fn snippet(error: &PlanError, at: Spot, path: &str, text: &str, color: bool) -> String {
    let text = in_place(text);
    let span = |spot: Spot| {
        let start: usize = text
            .split_inclusive('\n')
            .take(spot.line.saturating_sub(1) as usize)
            .map(str::len)
            .sum();
        let line = text[start..].lines().next().unwrap_or("");
        if spot.column == 0 {
            let indent = line.len() - line.trim_start().len();
            return start + indent..start + line.trim_end().len().max(indent);
        }
        let byte = |chars: usize| line.char_indices().nth(chars).map_or(line.len(), |(at, _)| at);
        let from = byte(spot.column as usize - 1);
        let to = byte(spot.column as usize - 1 + spot.length.max(1) as usize);
        start + from..start + to.max(from)
    };
    let label = error.hint.as_deref().map(plain).unwrap_or_default();
    let path = plain(path);
    let mut snippet = Snippet::source(&text)
        .path(&path)
        .annotation(AnnotationKind::Primary.span(span(at)).label(label));
    for (spot, what) in error.related.iter().take(8) {
        let what = plain(what);
        snippet = snippet.annotation(AnnotationKind::Context.span(span(*spot)).label(what));
    }
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    let report = [Level::ERROR.primary_title("x").element(snippet)];
    let shown = renderer.decor_style(DecorStyle::Ascii).render(&report).to_string();
    // The title is said by the caller, in the same voice as every other error.
    let body = shown.split_once('\n').map_or("", |(_, body)| body);
    format!("{body}\n")
}
