//! What the domain tests share: workflows in a line, people, and a driver that records facts as
//! the ledger does.

use std::sync::Arc;

use chrono::{DateTime, Duration, TimeZone as _, Utc};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any};
use stepseal::artifact::{self, encode_event};
use stepseal::domain::decide::{
    ApproveGate, Ask, Attest, Cancel, Claim, ClearReview, CloseReview, Complete, Decided,
    DeclareBlocker, Ending, FlagReview, Integrate, LinkReview, LiveClaim, MergeReview, OnBase,
    OtherItem, OverturnReview, Register, RejectGate, Release, Requeue, ResolveBlocker, Resume,
    Revert, Rework, Skip, TransferOwner, Unchanged, Verified, World, decide, works,
};
use stepseal::domain::event::{
    Actor, ActorKind, Baseline, BaselineIntegration, Event, EventData, ImportedState, ImportedStep,
    Landed, LandedVerdict, Outcome, PolicyChanged, Scope, StepRef,
};
use stepseal::domain::id::{AttemptId, ClaimId, ConstraintName, Digest, EventId, ItemId, StepKey};
use stepseal::domain::moment::Moment;
use stepseal::domain::refusal::Refusal;
use stepseal::domain::schedule::{Answer, Schedule, decision};
use stepseal::domain::state::{ItemState, LedgerState};
use stepseal::domain::transition::{AttemptPhase, ItemPhase};
use stepseal::domain::workflow::{
    Approvers, Criterion, GateDefinition, GateKind, Retry, RetryOn, StepDefinition, Workflow,
    WorkflowDefinition, blank_step,
};

use crate::scheduler::Waits;

/// Parses a literal id.
pub(crate) fn id<T: std::str::FromStr>(text: &str) -> T
where
    T::Err: std::fmt::Debug,
{
    text.parse().expect("the test's literal is within the grammar")
}

pub(crate) fn key(text: &str) -> StepKey {
    id(text)
}

/// A sequential step.
pub(crate) fn work(name: &str) -> StepDefinition {
    blank_step(key(name))
}

/// A parallelizable step.
pub(crate) fn par(name: &str) -> StepDefinition {
    StepDefinition { parallelizable: true, ..work(name) }
}

/// A sequential review gate that everybody may decide.
pub(crate) fn gate(name: &str) -> StepDefinition {
    let gate = GateDefinition {
        kind: GateKind::Review,
        approvers: None,
        quorum: None,
        reject_to: None,
        self_review: None,
    };
    StepDefinition { gate: Some(gate), ..work(name) }
}

/// The rest of a step, word by word.
pub(crate) trait Shape: Sized {
    fn definition(self, change: impl FnOnce(&mut StepDefinition)) -> Self;

    fn order(self, order: u32) -> Self {
        self.definition(|step| step.order = Some(order))
    }

    fn needs(self, needs: &[&str]) -> Self {
        self.definition(|step| step.needs = Some(needs.iter().map(|n| key(n)).collect()))
    }

    fn group(self, group: &str) -> Self {
        self.definition(|step| step.group = Some(id(group)))
    }

    fn crosses(self) -> Self {
        self.definition(|step| step.crosses_gates = true)
    }

    fn shares(self, constraints: &[&str]) -> Self {
        self.definition(|step| step.constraints = constraints.iter().map(|c| id(c)).collect())
    }

    fn entry(self, ids: &[&str]) -> Self {
        self.definition(|step| step.entry = ids.iter().map(|c| criterion(c)).collect())
    }

    fn exit(self, ids: &[&str]) -> Self {
        self.definition(|step| step.exit = ids.iter().map(|c| criterion(c)).collect())
    }

    fn retry(self, max: u32, on: &[RetryOn]) -> Self {
        self.definition(|step| step.retry = Some(Retry { max, on: on.to_vec() }))
    }

    fn parallel(self) -> Self {
        self.definition(|step| step.parallelizable = true)
    }

    fn reject_to(self, to: &str) -> Self {
        self.gated(|gate| gate.reject_to = Some(key(to)))
    }

    fn quorum(self, quorum: u32) -> Self {
        self.gated(|gate| gate.quorum = Some(quorum))
    }

    fn release(self) -> Self {
        self.gated(|gate| gate.kind = GateKind::Release)
    }

    fn approvers(self, ids: &[&str], roles: &[&str]) -> Self {
        let ids = ids.iter().map(|p| id(p)).collect();
        let roles = roles.iter().map(|r| id(r)).collect();
        self.gated(|gate| gate.approvers = Some(Approvers { ids, roles }))
    }

    fn gated(self, change: impl FnOnce(&mut GateDefinition)) -> Self {
        self.definition(|step| change(step.gate.as_mut().expect("the step is a gate")))
    }
}

impl Shape for StepDefinition {
    fn definition(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

pub(crate) fn criterion(text: &str) -> Criterion {
    Criterion { id: id(text), text: format!("{text} holds"), check: None }
}

/// A workflow file with these steps.
pub(crate) fn define(steps: Vec<StepDefinition>) -> WorkflowDefinition {
    WorkflowDefinition {
        schema: None,
        name: id("flow"),
        version: 1,
        title: None,
        effective: None,
        steps,
    }
}

/// The next version of the same workflow.
pub(crate) fn version(version: u32, steps: Vec<StepDefinition>) -> Arc<Workflow> {
    let definition = WorkflowDefinition { version, ..define(steps) };
    Arc::new(artifact::compile(&definition).expect("the test's workflow is valid").0)
}

pub(crate) fn compile(steps: Vec<StepDefinition>) -> Arc<Workflow> {
    Arc::new(artifact::compile(&define(steps)).expect("the test's workflow is valid").0)
}

/// An executor that works for the principal of the same name.
pub(crate) fn who(name: &str) -> Actor {
    person(&format!("exec:{name}"), name)
}

pub(crate) fn person(executor: &str, principal: &str) -> Actor {
    Actor {
        id: id(executor),
        name: executor.to_owned(),
        kind: ActorKind::Agent,
        principal: id(principal),
    }
}

/// An artifact as it was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Recorded {
    pub event: Event,
    pub bytes: Vec<u8>,
    pub sha256: Digest,
}

/// One item, its log and a clock that ticks once an ask: the ledger without git.
#[derive(Debug, Clone)]
pub(crate) struct Play {
    pub workflow: Arc<Workflow>,
    pub ledger: LedgerState,
    pub item: Option<ItemState>,
    pub log: Vec<Recorded>,
    pub tick: i64,
    /// The other items of the ledger.
    pub others: Vec<OtherItem>,
    /// What claims of other items use of the whole ledger.
    pub in_use: Vec<(ConstraintName, LiveClaim)>,
    /// The versions an item may be moved to, beside its own.
    pub versions: Vec<Arc<Workflow>>,
}

/// When every play begins.
pub(crate) fn epoch() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 11, 20, 10, 0, 0).single().expect("a real date")
}

/// The moment of an actor at a tick: the same arguments give the same ids.
pub(crate) fn moment_at(tick: i64, actor: &Actor) -> Moment {
    let seed = Digest::of(format!("{tick} {}", actor.id).as_bytes()).to_bytes();
    Moment::new(epoch() + Duration::milliseconds(tick * 1_001), seed, actor.clone())
}

/// An uuid that depends on a number only.
pub(crate) fn uuid_of(number: u64) -> uuid::Uuid {
    let bytes = Digest::of(&number.to_be_bytes()).to_bytes();
    let mut random = [0; 10];
    random.copy_from_slice(&bytes[..10]);
    uuid::Builder::from_unix_timestamp_millis(1_700_000_000_000, &random).into_uuid()
}

pub(crate) const ITEM: &str = "WI-1";

impl Play {
    /// A play whose item is not registered yet.
    pub(crate) fn empty(workflow: Arc<Workflow>) -> Self {
        let others = ["WI-0", "WI-2"].map(|other| standing(other, ItemPhase::Active, None));
        let (ledger, others) = (LedgerState::default(), others.to_vec());
        let versions = vec![Arc::clone(&workflow)];
        let in_use = Vec::new();
        Self { workflow, ledger, item: None, log: Vec::new(), tick: 0, others, in_use, versions }
    }

    /// A play with a registered item.
    pub(crate) fn of(steps: Vec<StepDefinition>) -> Self {
        Self::importing(steps, &[])
    }

    pub(crate) fn importing(
        steps: Vec<StepDefinition>,
        imported: &[(&str, ImportedState)],
    ) -> Self {
        let mut play = Self::empty(compile(steps));
        let register = play.register(imported);
        play.does(&who("delegator"), &register);
        play
    }

    pub(crate) fn register(&self, imported: &[(&str, ImportedState)]) -> Ask {
        let imported = imported.iter().map(|&(name, state)| ImportedStep {
            key: key(name),
            state,
            source_line: Some(7),
        });
        Ask::Register(Box::new(Register {
            title: "An item".into(),
            description: None,
            workflow: Workflow::clone(&self.workflow),
            publish: None,
            plan: None,
            imported: imported.collect(),
            priority: None,
            labels: Vec::new(),
            owner: None,
            twin: None,
        }))
    }

    pub(crate) fn item(&self) -> &ItemState {
        self.item.as_ref().expect("the item is registered")
    }

    pub(crate) fn at(&self, name: &str) -> usize {
        self.workflow.position(&key(name)).expect("the workflow has the step")
    }

    pub(crate) fn schedule(&self) -> Schedule {
        Schedule::of(&self.workflow, self.item())
    }

    pub(crate) fn answer(&self, name: &str) -> Answer {
        self.schedule().answers[self.at(name)].clone()
    }

    /// The ready steps, in launch order.
    pub(crate) fn ready(&self) -> Vec<String> {
        let name = |at: usize| self.workflow.steps()[at].key.to_string();
        self.schedule().ready.into_iter().map(name).collect()
    }

    /// What an executor holds, found the slow way.
    pub(crate) fn live(&self, actor: &Actor) -> Option<LiveClaim> {
        let item = self.item.as_ref()?;
        self.workflow.steps().iter().zip(&item.steps).find_map(|(step, state)| {
            (1..).zip(&state.attempts).find_map(|(number, attempt)| {
                let claim = attempt.claim.as_ref()?;
                let holds = attempt.phase == AttemptPhase::Claimed && claim.executor == actor.id;
                holds.then(|| LiveClaim {
                    executor: actor.id.clone(),
                    item: item.id.clone(),
                    attempt: AttemptId::new(step.key.clone(), number),
                    claim: claim.id,
                    since: claim.at,
                })
            })
        })
    }

    /// The claim id of a step's last attempt.
    pub(crate) fn claim_of(&self, name: &str) -> ClaimId {
        let attempts = &self.item().steps[self.at(name)].attempts;
        let claim = attempts.last().and_then(|attempt| attempt.claim.as_ref());
        claim.expect("the last attempt was claimed").id
    }

    pub(crate) fn decide_at(&self, moment: &Moment, ask: &Ask) -> Result<Decided, Refusal> {
        let live = self.live(&moment.actor);
        let world = World {
            ledger: &self.ledger,
            item: self.item.as_ref().map(|item| (item, &*self.workflow)),
            live: live.as_ref(),
            in_use: &self.in_use,
            others: &self.others,
        };
        decide(world, &id::<ItemId>(ITEM), ask, moment)
    }

    /// Judges an ask one tick later.
    pub(crate) fn ask(&mut self, actor: &Actor, ask: &Ask) -> Result<Decided, Refusal> {
        self.tick += 1;
        self.decide_at(&moment_at(self.tick, actor), ask)
    }

    /// Does what the ledger does with a fact (L4): its bytes, its digest, its decision.
    pub(crate) fn record(&mut self, fact: Event) -> Vec<Event> {
        let before = self.item.clone();
        self.apply(fact.clone());
        let decided = decision(&self.workflow, before.as_ref(), self.item(), &fact);
        let mut events = vec![fact];
        if let Some(decided) = decided {
            self.apply(decided.clone());
            events.push(decided);
        }
        events
    }

    fn apply(&mut self, event: Event) {
        let bytes = encode_event(&event).expect("what the rules say fits on paper");
        let sha256 = Digest::of(&bytes);
        let to = self.item.as_ref().and_then(|item| item.moves_to(&event)).map(|to| {
            let known = self.versions.iter().find(|version| version.reference == to);
            Arc::clone(known.expect("the play knows the version"))
        });
        match (&mut self.item, to) {
            (Some(item), Some(to)) => {
                let old = std::mem::replace(&mut self.workflow, to);
                item.migrate(&event, sha256.clone(), &old, &self.workflow)
            }
            (Some(item), None) => item.apply(&event, sha256.clone(), &self.workflow),
            (none, _) => ItemState::register(&event, sha256.clone(), &self.workflow)
                .map(|item| *none = Some(item)),
        }
        .expect("what the rules say is legal to read");
        self.log.push(Recorded { event, bytes, sha256 });
    }

    /// Asks, expects facts, records them; returns facts and decisions.
    pub(crate) fn does(&mut self, actor: &Actor, ask: &Ask) -> Vec<Event> {
        match self.ask(actor, ask) {
            Ok(Decided::Facts(facts)) => {
                facts.into_iter().flat_map(|fact| self.record(fact)).collect()
            }
            other => panic!("{ask:?} should be done, not {other:?}"),
        }
    }

    pub(crate) fn refuses(&mut self, actor: &Actor, ask: &Ask) -> Refusal {
        match self.ask(actor, ask) {
            Err(refusal) => refusal,
            Ok(other) => panic!("{ask:?} should be refused, not {other:?}"),
        }
    }

    pub(crate) fn unchanged(&mut self, actor: &Actor, ask: &Ask) -> Unchanged {
        match self.ask(actor, ask) {
            Ok(Decided::Unchanged(unchanged)) => unchanged,
            other => panic!("{ask:?} should change nothing, not {other:?}"),
        }
    }

    /// Claims a step; the executor is named after it, so nobody is ever busy.
    pub(crate) fn claim(&mut self, name: &str) -> Vec<Event> {
        self.does(&who(name), &claim(name))
    }

    /// Ends the live claim of a step as its holder would.
    pub(crate) fn end(&mut self, name: &str, ending: Ending) -> Vec<Event> {
        let state = &self.item().steps[self.at(name)];
        let held = state.current().and_then(|attempt| attempt.claim.as_ref());
        let held = held.expect("the step is claimed");
        let actor = person(held.executor.as_str(), held.principal.as_str());
        let verified = match ending {
            Ending::Completed => all_verified(&self.workflow, name),
            Ending::Failed | Ending::Rejected => Vec::new(),
        };
        let ask = Complete { claim: Some(held.id), verified, ..completion(name, ending) };
        self.does(&actor, &Ask::Complete(Box::new(ask)))
    }

    /// Claims and completes a step.
    pub(crate) fn work(&mut self, name: &str) -> Vec<Event> {
        let mut events = self.claim(name);
        events.extend(self.end(name, Ending::Completed));
        events
    }

    /// Records a fact no command of these rules writes yet.
    pub(crate) fn note(&mut self, actor: &Actor, data: EventData) -> Vec<Event> {
        self.tick += 1;
        let fact = self.fact(&moment_at(self.tick, actor), None, data);
        self.record(fact)
    }

    /// A fact written by hand, with the fields its kind must carry.
    pub(crate) fn fact(
        &self,
        moment: &Moment,
        attempt: Option<(&str, u32)>,
        data: EventData,
    ) -> Event {
        let scope = data.kind().scope();
        let step = attempt.map(|(name, _)| {
            let step = &self.workflow.steps()[self.at(name)];
            StepRef { key: step.key.clone(), order: step.order }
        });
        let of_attempt = scope == Scope::Attempt;
        Event {
            id: moment.event_id(0),
            work_item_id: Some(id(ITEM)),
            workflow: Some(self.workflow.reference.clone()),
            step: step.filter(|_| of_attempt || scope == Scope::Step),
            attempt_id: attempt
                .filter(|_| of_attempt)
                .map(|(name, number)| AttemptId::new(key(name), number)),
            timestamp: moment.now(),
            actor: moment.actor.clone(),
            outcome: Outcome { status: "noted".into(), summary: "by hand".into() },
            next_action: "nothing".into(),
            baseline_integration: Baseline::Pre,
            links: Vec::new(),
            request: None,
            data,
        }
    }

    pub(crate) fn policy(&mut self, name: &str, value: &[&str]) {
        self.tick += 1;
        let data = EventData::PolicyChanged(PolicyChanged {
            key: name.into(),
            value: value.iter().map(|&v| v.to_owned()).collect(),
            reason: "the test says so".into(),
            impact: None,
        });
        let mut fact = self.fact(&moment_at(self.tick, &who("admin")), None, data);
        fact.work_item_id = None;
        let bytes = encode_event(&fact).expect("a policy fits on paper");
        self.ledger.apply(&fact, Digest::of(&bytes)).expect("a policy may always change");
    }

    /// The outputs became authoritative.
    pub(crate) fn integrated(&mut self) {
        let data = BaselineIntegration {
            commit: "c0ffee".into(),
            branch: "main".into(),
            landed: Vec::new(),
            accepted: None,
        };
        self.note(&who("ann"), EventData::BaselineIntegration(data));
    }

    pub(crate) fn blocked(&mut self, blocker: &str, steps: &[&str]) -> Vec<Event> {
        self.does(&who("manager"), &declare(blocker, steps))
    }

    pub(crate) fn resolved(&mut self, blocker: &str) -> Vec<Event> {
        self.does(&who("manager"), &resolve(blocker))
    }

    /// The ids of all decisions so far.
    pub(crate) fn decisions(&self) -> Vec<EventId> {
        let decided = |r: &&Recorded| matches!(r.event.data, EventData::ScheduleDecided(_));
        self.log.iter().filter(decided).map(|r| r.event.id).collect()
    }
}

pub(crate) fn all_verified(workflow: &Workflow, name: &str) -> Vec<Verified> {
    let step = workflow.step(&key(name)).expect("the workflow has the step");
    let shown = |c: &Criterion| Verified { id: c.id.clone(), evidence: None, check: None };
    step.definition.exit.iter().map(shown).collect()
}

/// A claim of a step that attests everything.
pub(crate) fn claiming(name: &str) -> Claim {
    Claim {
        step: Some(key(name)),
        attempt: None,
        attest: Attest { named: Vec::new(), all: true },
        lease: None,
    }
}

pub(crate) fn claim(name: &str) -> Ask {
    Ask::Claim(claiming(name))
}

/// A completion that names nothing but the step.
pub(crate) fn completion(name: &str, ending: Ending) -> Complete {
    Complete {
        step: Some(key(name)),
        attempt: None,
        claim: None,
        own_claims: Vec::new(),
        ending,
        outcome: format!("{name} has ended"),
        next_action: Some("look at it".into()),
        verified: Vec::new(),
        outputs: Vec::new(),
        links: Vec::new(),
    }
}

pub(crate) fn skip(name: &str) -> Ask {
    Ask::Skip(Skip { step: key(name), reason: "not needed".into() })
}

pub(crate) fn requeue(name: &str) -> Ask {
    Ask::Requeue(Requeue {
        step: Some(key(name)),
        attempt: None,
        reason: None,
        lapsed: false,
        force: false,
    })
}

pub(crate) fn lapse(name: &str) -> Ask {
    let reason = Some("the holder is gone".into());
    Ask::Requeue(Requeue {
        step: Some(key(name)),
        attempt: None,
        reason,
        lapsed: true,
        force: true,
    })
}

pub(crate) fn release(name: &str, claim: Option<ClaimId>) -> Ask {
    Ask::Release(Release {
        step: Some(key(name)),
        attempt: None,
        claim,
        reason: "somebody else".into(),
    })
}

pub(crate) fn approve(name: &str) -> Ask {
    Ask::ApproveGate(ApproveGate {
        step: key(name),
        reason: "good enough".into(),
        follow_ups: Vec::new(),
    })
}

pub(crate) fn reject(name: &str, to: Option<&str>, release_claims: bool) -> Ask {
    Ask::RejectGate(RejectGate {
        step: key(name),
        reason: "not good enough".into(),
        return_to: to.map(key),
        release_claims,
        follow_ups: Vec::new(),
    })
}

pub(crate) fn flag() -> Ask {
    Ask::FlagReview(FlagReview { reason: "seen before".into(), suspects: vec![id("WI-0")] })
}

pub(crate) fn clear() -> Ask {
    Ask::ClearReview(ClearReview { rationale: "it is another one".into() })
}

pub(crate) fn rework(to: &str, release_claims: bool) -> Ask {
    Ask::Rework(Rework { return_to: key(to), reason: "built on sand".into(), release_claims })
}

pub(crate) fn declare(blocker: &str, steps: &[&str]) -> Ask {
    Ask::DeclareBlocker(DeclareBlocker {
        id: Some(id(blocker)),
        kind: "decision".into(),
        steps: steps.iter().map(|s| key(s)).collect(),
        notes: "it waits for people".into(),
        owner: None,
    })
}

pub(crate) fn resolve(blocker: &str) -> Ask {
    Ask::ResolveBlocker(ResolveBlocker { id: id(blocker), resolution: "people decided".into() })
}

pub(crate) fn transfer(to: &str) -> Ask {
    Ask::TransferOwner(TransferOwner { to: id(to), reason: "on holiday".into() })
}

pub(crate) fn merge(into: &str, release_claims: bool) -> Ask {
    Ask::MergeReview(MergeReview {
        into: id(into),
        rationale: "the same work".into(),
        release_claims,
    })
}

pub(crate) fn close(duplicate_of: Option<&str>, release_claims: bool) -> Ask {
    Ask::CloseReview(CloseReview {
        duplicate_of: duplicate_of.map(id),
        rationale: "done elsewhere".into(),
        release_claims,
    })
}

pub(crate) fn link_to(to: &str) -> Ask {
    Ask::LinkReview(LinkReview { to: id(to), rationale: "close, and not the same".into() })
}

pub(crate) fn overturn() -> Ask {
    Ask::OverturnReview(OverturnReview { rationale: "it was another one".into() })
}

pub(crate) fn resume(reason: &str) -> Ask {
    Ask::Resume(Resume { reason: reason.into() })
}

pub(crate) fn cancel(release_claims: bool) -> Ask {
    Ask::Cancel(Cancel { reason: "no longer wanted".into(), release_claims })
}

/// A commit that the base branch reaches.
fn on_base(commit: &str) -> OnBase {
    OnBase { commit: commit.into(), branch: "main".into(), reached: Some(true) }
}

/// An integration in which everything landed.
pub(crate) fn integrate(play: &Play) -> Ask {
    let landed = works(&play.workflow, play.item()).into_iter().map(|work| Landed {
        attempt_id: work.attempt,
        verdict: LandedVerdict::Landed,
        how: "its commit is in the history".into(),
    });
    let (on, landed) = (on_base("c0ffee"), landed.collect());
    Ask::Integrate(Box::new(Integrate { on, landed, accepted: None }))
}

/// A revert by a commit that undoes the integration.
pub(crate) fn revert(to: &str) -> Ask {
    Ask::Revert(Box::new(Revert {
        on: on_base("f00d"),
        undoes: true,
        how: "every path is as it was".into(),
        return_to: key(to),
        reason: "it broke".into(),
        accept: false,
    }))
}

/// Another item of the ledger.
pub(crate) fn standing(item: &str, phase: ItemPhase, survivor: Option<&str>) -> OtherItem {
    OtherItem { id: id(item), phase, survivor: survivor.map(id) }
}

/// The decisions among some events.
pub(crate) fn decisions(events: &[Event]) -> Vec<&Event> {
    events.iter().filter(|e| matches!(e.data, EventData::ScheduleDecided(_))).collect()
}

/// A step as chance draws it; positions are turned into keys once all are known.
#[derive(Debug, Clone)]
struct Drawn {
    order: Option<u32>,
    parallelizable: bool,
    gate: Option<u32>,
    crosses: bool,
    group: Option<u8>,
    needs: Option<Vec<usize>>,
    constraints: u8,
    criteria: bool,
    retry: bool,
}

fn drawn() -> impl Strategy<Value = Drawn> {
    (
        (proptest::option::weighted(0.7, 1u32..7), any::<u8>(), 0u8..6, any::<bool>()),
        proptest::option::weighted(0.45, vec(0usize..14, 0..3)),
        (0u8..12, any::<bool>(), 0u8..5),
    )
        .prop_map(|((order, shape, group, crosses), needs, (constraints, criteria, retry))| {
            Drawn {
                order,
                parallelizable: shape % 8 < 5,
                gate: (shape / 8 % 5 == 0).then_some(u32::from(shape % 2) + 1),
                crosses: crosses && group >= 2,
                group: (group < 2).then_some(group),
                needs,
                constraints,
                criteria,
                retry: retry == 0,
            }
        })
}

/// Keys whose byte order differs from how people would sort them; no case twins.
const KEYS: [&str; 14] =
    ["a", "B", "c", "D-1", "d.1", "e_1", "F", "g", "10", "9", "zeta", "Yak", "x-ray", "x.ray"];

/// Random steps, 1 to 14 of them; `acyclic` drops every need that would close a circle.
pub(crate) fn workflows(acyclic: bool) -> impl Strategy<Value = Vec<StepDefinition>> {
    (Just(KEYS.to_vec()).prop_shuffle(), vec(drawn(), 1..=14)).prop_map(move |(keys, drawn)| {
        let shape = |(at, drawn): (usize, &Drawn)| {
            let mut step = if drawn.gate.is_some() { gate(keys[at]) } else { work(keys[at]) };
            if let Some(gate) = &mut step.gate {
                gate.quorum = drawn.gate;
            }
            step.order = drawn.order;
            step.parallelizable = drawn.parallelizable;
            step.group = drawn.group.map(|group| id(["g1", "g2"][usize::from(group)]));
            step.crosses_gates = drawn.crosses && drawn.parallelizable;
            step.needs = drawn.needs.as_ref().map(|_| Vec::new());
            let constraints = ["db", "staging"].iter().enumerate();
            step.constraints = constraints
                .filter(|(bit, _)| drawn.constraints < 4 && drawn.constraints >> bit & 1 == 1)
                .map(|(_, name)| id(name))
                .collect();
            if drawn.criteria && step.gate.is_none() {
                step = step.entry(&["in"]).exit(&["out"]);
            }
            if drawn.retry && step.gate.is_none() {
                step = step.retry(1, &[RetryOn::Failed]);
            }
            step
        };
        let mut steps: Vec<_> = drawn.iter().enumerate().map(shape).collect();
        for (at, drawn) in drawn.iter().enumerate() {
            for &need in drawn.needs.iter().flatten() {
                let need = need % steps.len();
                let wanted = steps[need].key.clone();
                let needs = steps[at].needs.as_mut().expect("it was set where chance drew one");
                if need == at || needs.contains(&wanted) {
                    continue;
                }
                needs.push(wanted);
                if acyclic && Waits::of(&steps).cyclic() {
                    steps[at].needs.as_mut().and_then(Vec::pop);
                }
            }
        }
        // Emptied needs mean something else than none, so both kinds stay; implied waits alone
        // never close a circle.
        steps
    })
}

/// What somebody tries at random.
#[derive(Debug, Clone)]
pub(crate) struct Move {
    pub kind: u8,
    pub pick: u16,
    pub other: u16,
}

pub(crate) fn moves(most: usize) -> impl Strategy<Value = Vec<Move>> {
    let one = (any::<u8>(), any::<u16>(), any::<u16>());
    vec(one.prop_map(|(kind, pick, other)| Move { kind, pick, other }), 0..most)
}

pub(crate) fn pick<T: Clone>(from: &[T], number: u16) -> Option<T> {
    (!from.is_empty()).then(|| from[usize::from(number) % from.len()].clone())
}

impl Play {
    /// Names of the steps whose answer passes.
    pub(crate) fn where_answer(&self, test: impl Fn(&Answer) -> bool) -> Vec<String> {
        let answers = self.schedule().answers;
        let steps = self.workflow.steps().iter().zip(&answers);
        steps.filter(|(_, a)| test(a)).map(|(step, _)| step.key.to_string()).collect()
    }

    /// Turns chance into an ask that is legal more often than not.
    pub(crate) fn likely(&self, mv: &Move) -> Option<(Actor, Ask)> {
        let ready = || pick(&self.where_answer(|a| matches!(a, Answer::Ready { .. })), mv.pick);
        let held = || pick(&self.where_answer(|a| matches!(a, Answer::InProgress(_))), mv.pick);
        let gates = || pick(&self.where_answer(|a| matches!(a, Answer::PendingGate(_))), mv.pick);
        let any = || {
            let steps = self.workflow.steps();
            steps[usize::from(mv.pick) % steps.len()].key.to_string()
        };
        let people = ["ann", "bob", "cy"];
        let judge = who(people[usize::from(mv.other) % people.len()]);
        let ending = |name: String, ending| {
            let verified = match ending {
                Ending::Completed => all_verified(&self.workflow, &name),
                Ending::Failed | Ending::Rejected => Vec::new(),
            };
            let claim = Some(self.claim_of(&name));
            let ask = Complete { claim, verified, ..completion(&name, ending) };
            (who(&name), Ask::Complete(Box::new(ask)))
        };
        // What people decide about the item, beside the work on it.
        if mv.kind >= 240 {
            return Some((judge, self.decision_of_people(mv, &any())));
        }
        Some(match mv.kind % 24 {
            0..=6 => ready().map(|name| (who(&name), claim(&name)))?,
            7..=13 => held().map(|name| ending(name, Ending::Completed))?,
            14 => held().map(|name| ending(name, Ending::Failed))?,
            15 => held().map(|name| ending(name, Ending::Rejected))?,
            16 => held().map(|name| (who(&name), release(&name, None)))?,
            17 => held().map(|name| (judge, lapse(&name)))?,
            18 => {
                let ended = self.where_answer(|a| matches!(a, Answer::NeedsRequeue { .. }));
                pick(&ended, mv.pick).map(|name| (judge, requeue(&name)))?
            }
            19 => gates().map(|name| (judge, approve(&name)))?,
            20 | 21 => gates().and_then(|name| {
                let lower = &self.workflow.steps()[..self.at(&name)];
                let to = pick(lower, mv.other)?.key.to_string();
                Some((judge, reject(&name, Some(&to), mv.kind.is_multiple_of(2))))
            })?,
            22 => (judge, skip(&any())),
            _ => (judge, self.decision_of_people(mv, &any())),
        })
    }

    /// What a person may decide now, ends of the item only seldom.
    fn decision_of_people(&self, mv: &Move, step: &str) -> Ask {
        let item = self.item();
        if matches!(item.phase, ItemPhase::Merged | ItemPhase::Closed) {
            return overturn();
        }
        if item.phase == ItemPhase::Integrated && mv.other % 32 < 24 {
            return revert(step);
        }
        if item.phase == ItemPhase::Active && mv.other % 32 < 16 && item.done().iter().all(|d| *d) {
            return integrate(self);
        }
        let hard = mv.pick.is_multiple_of(2);
        match mv.other % 32 {
            0..=7 => {
                let flagged = item.review.flagged.is_some();
                if flagged { clear() } else { flag() }
            }
            8..=15 => {
                let open = item.blockers.iter().find(|blocker| blocker.resolved_at.is_none());
                let next = format!("wall-{}", item.blockers.len());
                match open {
                    Some(open) => resolve(open.id.as_str()),
                    None if hard => declare(&next, &[]),
                    None => declare(&next, &[step]),
                }
            }
            16..=23 => rework(step, hard),
            24 | 25 => transfer(["ann", "bob"][usize::from(mv.pick % 2)]),
            26 | 27 => resume(["a crash", "a power cut"][usize::from(mv.pick % 2)]),
            28 => link_to("WI-2"),
            29 => merge("WI-2", hard),
            30 => close(None, hard),
            _ => cancel(hard),
        }
    }

    /// Plays one random move; what is refused changes nothing. Returns what was recorded.
    pub(crate) fn play(&mut self, mv: &Move) -> Vec<Event> {
        let Some((actor, ask)) = self.likely(mv) else { return Vec::new() };
        match self.ask(&actor, &ask) {
            Ok(Decided::Facts(facts)) => {
                facts.into_iter().flat_map(|fact| self.record(fact)).collect()
            }
            Ok(Decided::Unchanged(_)) | Err(_) => Vec::new(),
        }
    }
}
