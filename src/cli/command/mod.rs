//! One file a verb: parse what was typed, ask, show what came back.

mod baseline;
mod blocker;
mod brief;
mod cancel;
mod claim;
mod collect;
mod complete;
mod config;
mod correct;
mod delegate;
mod demo;
mod doctor;
mod export;
mod gate;
mod impact;
mod init;
mod key;
mod log;
mod manual;
mod metrics;
mod migrate;
mod owner;
mod policy;
mod replay;
mod resume;
mod review;
mod rework;
mod schedule;
mod schema;
mod spool;
mod status;
mod step;
mod sync;
mod verify;
mod versions;
mod which;
mod workflow;

use std::sync::Arc;

use super::Reply;
use super::args::Command;
use super::error::{Failure, Next, clear_review, next, refusal, resolve_blocker};
use super::session::{Act, Session};
use super::ui::{Line, Ui, count, short};
use crate::domain::decide::LiveClaim;
use crate::domain::event::{EventKind, VoidStep};
use crate::domain::id::{
    AttemptId, ConstraintName, CriterionId, ExecutorId, ItemId, StepKey, WorkflowName,
};
use crate::domain::refusal::Refusal;
use crate::domain::schedule::{Answer, Hold, Schedule};
use crate::domain::state::AttemptState;
use crate::domain::transition::ItemPhase;
use crate::domain::workflow::Workflow;
use crate::ledger::{Direction, ItemFold, Ledger, LedgerError, Receipt, Snapshot};
use crate::{ops, report};

/// Runs the verb.
pub(super) fn run(command: &Command, session: &Session, ui: &mut Ui<'_>) -> Result<Reply, Failure> {
    match command {
        Command::Init(args) => init::run(args, session),
        Command::Delegate(args) => delegate::run(args, session, ui),
        Command::Schedule(args) => schedule::run(args, session),
        Command::Claim(args) => claim::run(args, session),
        Command::Brief(args) => brief::run(args, session),
        Command::Complete(args) => complete::run(args, session, ui),
        Command::Skip(args) => step::skip(args, session),
        Command::Requeue(args) => step::requeue(args, session),
        Command::Release(args) => step::release(args, session),
        Command::Gate(args) => gate::run(args, session),
        Command::Rework(args) => rework::run(args, session),
        Command::Integrate(args) => baseline::integrate(args, session),
        Command::Revert(args) => baseline::revert(args, session),
        Command::Review(args) => review::run(args, session),
        Command::Blocker(args) => blocker::run(args, session),
        Command::Owner(args) => owner::run(args, session),
        Command::Resume(args) => resume::run(args, session),
        Command::Migrate(args) => migrate::migrate(args, session),
        Command::Rollback(args) => migrate::rollback(args, session),
        Command::Cancel(args) => cancel::run(args, session),
        Command::Status(args) => status::run(args, session, ui),
        Command::Log(args) => log::run(args, session, ui),
        Command::Metrics(args) => metrics::run(args, session, ui),
        Command::Export(args) => export::run(args, session, ui),
        Command::Verify(args) => verify::run(args, session),
        Command::Replay(args) => replay::run(args, session),
        Command::Doctor(args) => doctor::run(args, session),
        Command::Sync(args) => sync::run(args, session),
        Command::Run(args) => spool::run(args, session, ui),
        Command::Collect(args) => collect::run(args, session),
        Command::Correct(args) => correct::run(args, session),
        Command::Key(args) => key::run(args, session),
        Command::Policy(args) => policy::run(args, session),
        Command::Workflow(args) => workflow::run(args, session, ui),
        Command::Schema(args) => schema::run(args, session),
        Command::Config(args) => config::run(args, session),
        Command::Demo(args) => demo::run(args, session, ui),
        Command::Completions(args) => manual::completions(args),
        Command::Man(args) => manual::man(args, session),
    }
}

/// What is open after an act: ready steps and pending gates, in launch order.
struct Open {
    ready: Vec<StepKey>,
    gates: Vec<StepKey>,
    held: Vec<(StepKey, String)>,
    done: bool,
    /// What the item is worked by: what a claim of a ready step must attest, and shares.
    workflow: Arc<Workflow>,
    /// A tie among the ready ones, in words.
    tie: Option<String>,
    /// Who may decide the first pending gate, where not everybody may.
    deciders: Option<String>,
    /// A person suspects a duplicate, and nobody has decided.
    under_review: bool,
    /// The first open blocker that holds something.
    blocker: Option<CriterionId>,
    /// The item takes no more work; where it lives on, if somewhere.
    ended: Option<Option<ItemId>>,
}

impl Open {
    fn of(fold: &ItemFold) -> Self {
        let ItemFold { workflow, state, .. } = fold;
        let schedule = Schedule::of(workflow, state);
        let key = |at: usize| workflow.steps()[at].key.clone();
        let (mut gates, mut held, mut blocker) = (Vec::new(), Vec::new(), None);
        for (at, answer) in schedule.answers.iter().enumerate() {
            match answer {
                Answer::PendingGate(_) => gates.push(key(at)),
                Answer::Held { hold: Hold::Blockers(ids), .. } if blocker.is_none() => {
                    blocker = ids.first().cloned();
                }
                Answer::InProgress(_) => {
                    let claim = state.steps[at].current().and_then(|a| a.claim.as_ref());
                    held.push((key(at), claim.map(|c| c.executor.to_string()).unwrap_or_default()));
                }
                Answer::Done(_)
                | Answer::Ready { .. }
                | Answer::Held { .. }
                | Answer::NeedsRequeue { .. }
                | Answer::Unopened
                | Answer::Waiting => {}
            }
        }
        let deciders = gates.first().and_then(|gate| deciders(workflow, gate));
        Self {
            ready: schedule.ready.iter().map(|&at| key(at)).collect(),
            gates,
            held,
            done: schedule.done.iter().all(|done| *done),
            deciders,
            workflow: Arc::clone(workflow),
            tie: tie(workflow, &schedule.ready),
            under_review: state.phase == ItemPhase::Active && state.review.flagged.is_some(),
            blocker,
            ended: state.ended.as_ref().map(|_| state.review.survivor.clone()),
        }
    }

    /// From what an act recorded.
    fn after<T>(receipt: &Receipt<T>, item: &ItemId) -> Option<Self> {
        receipt.items.get(item).map(Self::of)
    }

    /// The same, read anew where nothing was recorded.
    fn now<T>(
        receipt: &Receipt<T>,
        ledger: &Ledger,
        item: &ItemId,
        session: &Session,
    ) -> Result<Self, Failure> {
        Ok(Self::of(&fold_now(receipt, ledger, item, session)?))
    }

    /// `api, web (tie at order 3: api first)`.
    fn ready_words(&self) -> String {
        let mut words = names(&self.ready, 8);
        if let Some(tie) = &self.tie {
            words.push_str(&format!(" ({tie})"));
        }
        words
    }
}

/// An item after an act: as it was recorded, or read anew where nothing was.
fn fold_now<T>(
    receipt: &Receipt<T>,
    ledger: &Ledger,
    item: &ItemId,
    session: &Session,
) -> Result<ItemFold, Failure> {
    match receipt.items.get(item) {
        Some(fold) => Ok(fold.clone()),
        None => ledger
            .snapshot()
            .and_then(|snapshot| snapshot.known_item(item))
            .map_err(|error| session.ledger_failure(&error)),
    }
}

/// `for p1, p2 or members of role lead`.
fn deciders(workflow: &Workflow, gate: &StepKey) -> Option<String> {
    let approvers = workflow.step(gate)?.definition.gate.as_ref()?.approvers.as_ref()?;
    let mut who: Vec<String> = approvers.ids.iter().map(ToString::to_string).collect();
    who.extend(approvers.roles.iter().map(|role| format!("members of role {role}")));
    (!who.is_empty()).then(|| format!("for {}", who.join(" or ")))
}

fn tie(workflow: &Workflow, ready: &[usize]) -> Option<String> {
    let pair = ready
        .windows(2)
        .find(|pair| workflow.steps()[pair[0]].order == workflow.steps()[pair[1]].order)?;
    let first = &workflow.steps()[pair[0]];
    Some(format!("tie at order {}: {} first", first.order, first.key))
}

/// `global:production is in use: deploy.1 of SHOP-8, held by dev-2`.
fn in_use_words(constraint: &ConstraintName, by: &LiveClaim) -> String {
    format!("{constraint} is in use: {} of {}, held by {}", by.attempt, by.item, by.executor)
}

/// Keys, at most some of them, with the count of the rest.
fn names(keys: &[StepKey], most: usize) -> String {
    let named: Vec<&str> = keys.iter().take(most).map(StepKey::as_str).collect();
    let rest = keys.len().saturating_sub(most);
    let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    format!("{}{more}", named.join(", "))
}

/// Who is told what to type next, and where what they hold is found.
struct Asks<'a> {
    ledger: &'a Ledger,
    session: &'a Session,
    executor: Option<ExecutorId>,
}

impl<'a> Asks<'a> {
    /// Whoever acted.
    fn acting(act: &'a Act, session: &'a Session) -> Self {
        Self { ledger: &act.ledger, session, executor: Some(act.moment.actor.id.clone()) }
    }

    /// Whoever reads, where they said who they are.
    fn reading(ledger: &'a Ledger, session: &'a Session) -> Self {
        let executor = session.asker().executor.and_then(|id| id.parse().ok());
        Self { ledger, session, executor }
    }

    /// One task at a time: the command that ends what the executor holds, wherever that is.
    fn held(&self) -> Option<Next> {
        let executor = self.executor.as_ref()?;
        // A hint that cannot be had is none: the answer is said all the same.
        let live = self.ledger.snapshot().ok()?.live_claim(executor).ok()??;
        let words =
            ["complete", "--work-item", live.item.as_str(), "--step", live.attempt.key().as_str()];
        let held = self.named(next(words)).with(["--outcome", "…"]);
        Some(held.note(format!("{executor} holds it; one task at a time")))
    }

    /// The ledger-wide constraints of a step that claims use now; none where that cannot be had.
    fn in_use(&self, workflow: &Workflow, step: &StepKey) -> Vec<(ConstraintName, LiveClaim)> {
        let used = self.ledger.snapshot().and_then(|snapshot| snapshot.in_use(workflow, step));
        used.unwrap_or_default()
    }

    /// The first of some ready steps that could be claimed this moment.
    fn claimable<'s>(&self, open: &'s Open) -> Option<&'s StepKey> {
        open.ready.iter().find(|step| self.in_use(&open.workflow, step).is_empty())
    }

    /// A command with the executor that was named for this one.
    fn named(&self, next: Next) -> Next {
        match &self.session.who.executor {
            Some(executor) => next.with(["--executor", executor]),
            None => next,
        }
    }
}

/// What to type after an act on an item: claim what is ready, decide what waits, or look.
fn onwards(item: &ItemId, open: &Open, asks: &Asks<'_>) -> Vec<Next> {
    // One task at a time: who holds a step of this item is told to end it.
    let own = asks.executor.as_ref().map(ExecutorId::as_str);
    if let Some((step, _)) = open.held.iter().find(|(_, by)| Some(by.as_str()) == own) {
        let words = ["complete", "--work-item", item.as_str(), "--step", step.as_str()];
        return vec![asks.named(next(words)).with(["--outcome", "…"])];
    }
    if let Some(step) = asks.claimable(open) {
        let mut claim = next(["claim", "--work-item", item.as_str(), "--step", step.as_str()]);
        let entry = open.workflow.step(step).map(|step| &step.definition.entry[..]);
        let all: Vec<&str> =
            entry.unwrap_or_default().iter().map(|criterion| criterion.id.as_str()).collect();
        if !all.is_empty() {
            claim = claim.with(["--attest".to_owned(), all.join(",")]);
        }
        return vec![asks.held().unwrap_or_else(|| asks.named(claim))];
    }
    if let Some(gate) = open.gates.first() {
        let approve = ["gate", "approve", "--work-item", item.as_str(), "--step", gate.as_str()];
        let approve = next(approve).with(["--reason", "…"]);
        return vec![match &open.deciders {
            Some(who) => approve.note(who.clone()),
            None => approve,
        }];
    }
    if let Some(step) = open.ready.first() {
        return vec![next(["status", item.as_str(), "--why-not", step.as_str()])];
    }
    if let Some(survivor) = &open.ended {
        return vec![next(["status", survivor.as_ref().unwrap_or(item).as_str()])];
    }
    if open.done {
        return vec![next(["verify"])];
    }
    if open.under_review {
        return vec![clear_review(item)];
    }
    if let Some(blocker) = &open.blocker {
        return vec![resolve_blocker(item, blocker).note("once it is gone")];
    }
    vec![next(["status", item.as_str()])]
}

/// Whether people said yes or no at a gate of the item.
fn gate_spoke(fold: &ItemFold) -> bool {
    let spoke = |attempt: &AttemptState| !attempt.approvals.is_empty() || attempt.end.is_some();
    let mut steps = fold.workflow.steps().iter().zip(&fold.state.steps);
    // A gate of an earlier version is known by its attempts, which nobody claimed.
    let mut parked = fold.state.parked.values().flat_map(|state| &state.attempts);
    steps.any(|(step, state)| step.is_gate() && state.attempts.iter().any(spoke))
        || parked.any(|attempt| attempt.claim.is_none() && spoke(attempt))
}

/// What the item's gates asked for beside their decisions. Only those are read, and nothing where
/// no gate spoke.
fn follow_ups(
    snapshot: &Snapshot<'_>,
    fold: &ItemFold,
) -> Result<Vec<report::FollowUpReport>, LedgerError> {
    if !gate_spoke(fold) {
        return Ok(Vec::new());
    }
    let mut events = Vec::new();
    for entry in snapshot.item_history(&fold.state.id, Direction::OldestFirst)? {
        let entry = entry?;
        if matches!(entry.named.kind, EventKind::GateApproved | EventKind::GateRejected) {
            events.push(snapshot.read(&entry)?.event);
        }
    }
    Ok(report::follow_ups(&events))
}

/// One line for each follow-up, at most some of them.
fn follow_up_rows(asked: &[report::FollowUpReport], most: usize) -> Vec<Line> {
    let all: Vec<_> =
        asked.iter().flat_map(|one| one.to_do.iter().map(move |to_do| (one, to_do))).collect();
    let mut rows: Vec<Line> = all
        .iter()
        .take(most)
        .map(|(one, to_do)| {
            let what = format!("{} ({} by {})", short(to_do, 160), one.gate, one.by);
            Line::Row(vec!["follow-up".into(), what])
        })
        .collect();
    if all.len() > most {
        rows.push(Line::Row(vec!["follow-up".into(), format!("and {} more", all.len() - most)]));
    }
    rows
}

/// The attempts that an act took from their holders.
fn released<T>(receipt: &Receipt<T>) -> Vec<AttemptId> {
    let taken = receipt.events.iter().filter(|s| s.event.kind() == EventKind::ClaimReleased);
    taken.filter_map(|sealed| sealed.event.attempt_id.clone()).collect()
}

/// Void steps by the attempt that no longer counts; a rejected gate goes without saying.
fn void_words(void: &[VoidStep], gate: Option<&StepKey>) -> String {
    let word = |step: &VoidStep| match &step.attempt_id {
        Some(attempt) => attempt.to_string(),
        None => step.key.to_string(),
    };
    let words: Vec<String> = void.iter().filter(|step| Some(&step.key) != gate).map(word).collect();
    words.join(", ")
}

/// `2 handoffs wait`.
fn waits(unshared: usize) -> String {
    format!("{} wait{}", count(unshared, "handoff"), if unshared == 1 { "s" } else { "" })
}

/// What waits in this clone for its remote is said wherever state is shown: it is not in it yet.
fn say_unshared(reply: &mut Reply, ledger: &Ledger) {
    let unshared = ops::unshared(ledger).len();
    if let (Some(remote), true) = (ledger.remote(), unshared > 0) {
        let text = format!(
            "{} here for {remote}, and {} not in this: stepseal sync",
            waits(unshared),
            if unshared == 1 { "is" } else { "are" }
        );
        reply.warnings.push((text, None));
    }
}

/// Where a step that was typed stands in its item's workflow.
fn step_at(fold: &ItemFold, key: &StepKey, session: &Session) -> Result<usize, Failure> {
    let ItemFold { workflow, state, .. } = fold;
    workflow.position(key).ok_or_else(|| {
        let nearest = workflow.nearest_key(key.as_str()).cloned();
        let (item, key) = (state.id.clone(), key.to_string());
        refusal(&Refusal::UnknownStep { item, key, nearest }, &session.asker())
    })
}

/// Any things by name, at most some of them.
fn listed<T: ToString>(things: &[T]) -> String {
    things.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// `NAME` or `NAME@VERSION`.
fn workflow_name(text: &str) -> Result<(WorkflowName, Option<u32>), Failure> {
    match text.split_once('@') {
        Some((name, version)) => {
            let version = version.parse().map_err(|_| {
                Failure::usage(format!("`{}` is no NAME@VERSION", text.escape_debug()))
            })?;
            Ok((name.parse()?, Some(version)))
        }
        None => Ok((text.parse()?, None)),
    }
}
