//! The transition tables (D2), three times: as `docs/transitions.md` prints them, as a naive copy
//! written by hand here, and as the code has them. Every pair is tried, and every pair through
//! the fold.

use std::collections::BTreeMap;
use std::sync::Arc;

use stepseal::domain::event::{
    ActorKeyAdded, ActorKeyRevoked, AttemptClaimed, AttemptCompleted, AttemptEnded,
    AttemptRequeued, BaselineIntegration, BaselineReverted, BlockerDeclared, BlockerResolved,
    ClaimLapsed, ClaimReleased, CorrectionAction, CorrectionRecorded, EventData, EventKind,
    GateApproved, GateRejected, HandoffQuarantined, ItemEdited, KeyRole, MigrationRolledBack,
    OpenedStep, OwnerTransferred, PolicyChanged, Reasoned, RequeueCause, ReviewClosed,
    ReviewDecided, ReviewFlagged, ReviewSurvivor, ReworkRequested, ScheduleDecided, StepMapping,
    VoidStep, WorkItemMigrated, WorkItemRegistered, WorkItemResumed, WorkflowPublished,
    WorkflowRetired,
};
use stepseal::domain::id::{AttemptId, ClaimId, Digest, EventId};
use stepseal::domain::state::{Illegal, ItemState};
use stepseal::domain::transition::{AttemptPhase, ItemPhase, Lane, attempt_after, item_after};
use stepseal::domain::workflow::Workflow;

use crate::domain_kit::{Play, compile, gate, id, key, moment_at, uuid_of, who, work};

/// A key and its fingerprint, as `ssh-keygen -l` prints it.
const PUBLIC_KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBAH/33KnIhsDlKF7IsPdtmVZkK8MsahXmwkDK7WSOkq";
const FINGERPRINT: &str = "SHA256:NY5NtiVAYHsL2hYVobEZJGU5C+u3MnGzaDBW2V0sM08";

/// A printed table: event and phase before to phase after.
type Table = BTreeMap<(String, String), Option<String>>;

const PAPER: &str = include_str!("../../docs/transitions.md");

/// Reads the table under a heading.
fn table(heading: &str) -> Table {
    let section = PAPER.split("\n## ").find(|part| part.starts_with(heading));
    let section = section.expect("docs/transitions.md has the heading");
    let rows = section.lines().filter(|line| line.starts_with('|'));
    let cells = |line: &str| -> Vec<String> {
        line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
    };
    let mut rows = rows.map(cells);
    let head = rows.next().expect("a table has a head");
    let mut table = Table::new();
    for row in rows.filter(|row| !row[0].starts_with("--")) {
        assert_eq!(row.len(), head.len(), "a short row: {row:?}");
        for (phase, cell) in head.iter().zip(&row).skip(1) {
            let after = (cell != "–").then(|| cell.clone());
            let twin = table.insert((row[0].clone(), phase.clone()), after);
            assert_eq!(twin, None, "{} is printed twice", row[0]);
        }
    }
    table
}

/// How the printed tables call an event with its quorum.
fn row(event: EventKind, decided: bool) -> String {
    match (event, decided) {
        (EventKind::GateApproved, true) => "gate-approved, decided".into(),
        (EventKind::GateApproved, false) => "gate-approved, not yet decided".into(),
        _ => event.name().into(),
    }
}

/// D2 by hand: `queued → claimed → completed | failed | rejected | released | lapsed`,
/// `queued → withdrawn`; gates: `queued → approved | rejected | withdrawn`.
fn by_hand(
    lane: Lane,
    phase: AttemptPhase,
    event: EventKind,
    decided: bool,
) -> Option<AttemptPhase> {
    use AttemptPhase as P;
    let arrows: &[(&str, P, P)] = match lane {
        Lane::Work => &[
            ("schedule-decided", P::Absent, P::Queued),
            ("attempt-requeued", P::Absent, P::Queued),
            ("attempt-claimed", P::Queued, P::Claimed),
            ("attempt-withdrawn", P::Queued, P::Withdrawn),
            ("attempt-completed", P::Claimed, P::Completed),
            ("attempt-failed", P::Claimed, P::Failed),
            ("attempt-rejected", P::Claimed, P::Rejected),
            ("claim-released", P::Claimed, P::Released),
            ("claim-lapsed", P::Claimed, P::Lapsed),
        ],
        Lane::Gate => &[
            ("schedule-decided", P::Absent, P::Queued),
            ("gate-approved, decided", P::Queued, P::Approved),
            ("gate-approved, not yet decided", P::Queued, P::Queued),
            ("gate-rejected", P::Queued, P::Rejected),
            ("attempt-withdrawn", P::Queued, P::Withdrawn),
        ],
    };
    let name = row(event, decided);
    arrows.iter().find(|(e, from, _)| *e == name && *from == phase).map(|(_, _, to)| *to)
}

/// D1 and D3 by hand: which events an item takes in which phase.
fn item_by_hand(phase: ItemPhase, event: EventKind) -> Option<ItemPhase> {
    use ItemPhase as P;
    let name = event.name();
    let ledger = ["workflow-", "policy-", "actor-key-"];
    let always = [
        "item-edited",
        "review-linked",
        "owner-transferred",
        "correction-recorded",
        "handoff-quarantined",
    ];
    if ledger.iter().any(|prefix| name.starts_with(prefix)) {
        return None;
    }
    match (phase, name) {
        (P::Absent, "work-item-registered") => Some(P::Active),
        (P::Absent, _) | (_, "work-item-registered") => None,
        (phase, name) if always.contains(&name) => Some(phase),
        (P::Active, "review-merged") => Some(P::Merged),
        (P::Active, "review-closed") => Some(P::Closed),
        (P::Active, "work-item-cancelled") => Some(P::Cancelled),
        (P::Active, "baseline-integration") => Some(P::Integrated),
        (P::Merged | P::Closed, "review-overturned") => Some(P::Active),
        (P::Integrated, "baseline-reverted") => Some(P::Active),
        (P::Integrated, "blocker-resolved") => Some(P::Integrated),
        (P::Active, "review-overturned" | "baseline-reverted") => None,
        (P::Active, _) => Some(P::Active),
        (P::Integrated | P::Merged | P::Closed | P::Cancelled, _) => None,
    }
}

#[test]
fn attempt_tables_agree_in_every_pair() {
    let printed =
        [(Lane::Work, table("Attempts of steps")), (Lane::Gate, table("Attempts of gates"))];
    for (lane, mut printed) in printed {
        for phase in AttemptPhase::ALL {
            for &event in EventKind::ALL {
                for decided in [false, true] {
                    let code = attempt_after(lane, phase, event, decided);
                    let pair = format!("{lane:?}, {}, {}", phase.word(), row(event, decided));
                    assert_eq!(code, by_hand(lane, phase, event, decided), "by hand: {pair}");
                    let cell = (row(event, decided), phase.word().to_owned());
                    let cell = printed.get(&cell).cloned().flatten();
                    assert_eq!(code.map(|p| p.word().to_owned()), cell, "printed: {pair}");
                }
            }
        }
        // Nothing is printed that is no event or no phase.
        for phase in AttemptPhase::ALL {
            for &event in EventKind::ALL {
                for decided in [false, true] {
                    printed.remove(&(row(event, decided), phase.word().to_owned()));
                }
            }
        }
        assert_eq!(printed, Table::new());
    }
}

#[test]
fn item_table_agrees_in_every_pair() {
    let mut printed = table("Items");
    for phase in ItemPhase::ALL {
        for &event in EventKind::ALL {
            let code = item_after(phase, event);
            let pair = format!("{}, {}", phase.word(), event.name());
            assert_eq!(code, item_by_hand(phase, event), "by hand: {pair}");
            let cell = printed.remove(&(event.name().to_owned(), phase.word().to_owned()));
            assert_eq!(code.map(|p| p.word().to_owned()), cell.flatten(), "printed: {pair}");
        }
    }
    assert_eq!(printed, Table::new());
}

#[test]
fn terminal_phases_are_those_no_event_leaves() {
    for phase in AttemptPhase::ALL {
        let leaves = |lane| {
            EventKind::ALL.iter().any(|&event| attempt_after(lane, phase, event, true).is_some())
        };
        assert_eq!(phase.is_terminal(), !leaves(Lane::Work) && !leaves(Lane::Gate), "{phase:?}");
    }
}

fn claim_id() -> ClaimId {
    ClaimId::new(uuid_of(1))
}

/// The least data with which an event of this kind can be legal, about attempt `step.number`.
fn data(kind: EventKind, step: &str, number: u32, round: u32, decided: bool) -> EventData {
    let reason = || "because".to_owned();
    let digest = || Digest::of(b"something");
    let decides = || ReviewDecided { rationale: reason() };
    let survivor = || ReviewSurvivor { other: id("WI-2"), rationale: reason() };
    let reasoned = || Reasoned { reason: reason() };
    let ended = || AttemptEnded { claim_id: claim_id(), outputs: Vec::new(), code: None };
    let void = || vec![VoidStep { key: key("z"), attempt_id: None, round: 2 }];
    match kind {
        EventKind::WorkItemRegistered => EventData::WorkItemRegistered(WorkItemRegistered {
            title: "An item".into(),
            description: None,
            plan: None,
            imported: Vec::new(),
            priority: None,
            labels: Vec::new(),
            owner: None,
        }),
        EventKind::ItemEdited => {
            EventData::ItemEdited(ItemEdited { title: None, priority: Some(1), labels: None })
        }
        EventKind::ReviewFlagged => {
            EventData::ReviewFlagged(ReviewFlagged { reason: reason(), suspects: Vec::new() })
        }
        EventKind::ReviewCleared => EventData::ReviewCleared(decides()),
        EventKind::ReviewMerged => EventData::ReviewMerged(survivor()),
        EventKind::ReviewLinked => EventData::ReviewLinked(survivor()),
        EventKind::ReviewClosed => {
            EventData::ReviewClosed(ReviewClosed { survivor: None, rationale: reason() })
        }
        EventKind::ReviewOverturned => EventData::ReviewOverturned(decides()),
        EventKind::OwnerTransferred => EventData::OwnerTransferred(OwnerTransferred {
            from: None,
            to: id("ann"),
            reason: reason(),
        }),
        EventKind::BlockerDeclared => EventData::BlockerDeclared(BlockerDeclared {
            blocker_id: id("wall"),
            blocker_type: "decision".into(),
            steps: Vec::new(),
            notes: reason(),
            owner: id("ann"),
        }),
        EventKind::BlockerResolved => EventData::BlockerResolved(BlockerResolved {
            blocker_id: id("wall"),
            resolution: reason(),
        }),
        EventKind::WorkItemResumed => EventData::WorkItemResumed(WorkItemResumed {
            reason: reason(),
            verify_again: Vec::new(),
            more: 0,
        }),
        EventKind::WorkItemMigrated => EventData::WorkItemMigrated(WorkItemMigrated {
            from: bench_workflow().reference.clone(),
            to: bench_workflow().reference.clone(),
            map: ["z", "a", "g"].map(|step| StepMapping { from: id(step), to: id(step) }).to_vec(),
            drop: Vec::new(),
            reason: reason(),
        }),
        EventKind::WorkItemCancelled => EventData::WorkItemCancelled(reasoned()),
        EventKind::MigrationRolledBack => EventData::MigrationRolledBack(MigrationRolledBack {
            migration: moment_at(2, &who("d")).event_id(0),
            reason: reason(),
        }),
        EventKind::CorrectionRecorded => EventData::CorrectionRecorded(CorrectionRecorded {
            path: "artifacts/x".into(),
            sha256: None,
            found: None,
            foreign_commit: None,
            action: CorrectionAction::Removed,
            reason: reason(),
        }),
        EventKind::HandoffQuarantined => EventData::HandoffQuarantined(HandoffQuarantined {
            digest: digest(),
            size: 1,
            refusal: reason(),
        }),
        EventKind::ScheduleDecided => EventData::ScheduleDecided(ScheduleDecided {
            fact: EventId::new(uuid_of(3)),
            opened: vec![OpenedStep {
                key: key(step),
                order: 1,
                attempt_id: AttemptId::new(key(step), number),
                round,
                rank: 1,
                gate: step == "g",
            }],
            tie_breaks: Vec::new(),
            serialisations: Vec::new(),
        }),
        EventKind::AttemptRequeued => EventData::AttemptRequeued(AttemptRequeued {
            retry_of: AttemptId::new(key(step), number.saturating_sub(1).max(1)),
            cause: RequeueCause::Asked,
            reason: reason(),
            round,
        }),
        EventKind::AttemptClaimed => EventData::AttemptClaimed(AttemptClaimed {
            claim_id: claim_id(),
            alias: None,
            attested: Vec::new(),
            lease_until: None,
            code: None,
            inputs_digest: digest(),
        }),
        EventKind::AttemptCompleted => EventData::AttemptCompleted(AttemptCompleted {
            claim_id: claim_id(),
            verified: Vec::new(),
            outputs: Vec::new(),
            outputs_digest: digest(),
            inputs_digest: digest(),
            reused: None,
            code: None,
        }),
        EventKind::AttemptFailed => EventData::AttemptFailed(ended()),
        EventKind::AttemptRejected => EventData::AttemptRejected(ended()),
        EventKind::ClaimReleased => {
            EventData::ClaimReleased(ClaimReleased { claim_id: claim_id(), reason: reason() })
        }
        EventKind::ClaimLapsed => EventData::ClaimLapsed(ClaimLapsed {
            claim_id: claim_id(),
            reason: reason(),
            lease_until: None,
            forced: true,
        }),
        EventKind::AttemptWithdrawn => EventData::AttemptWithdrawn(reasoned()),
        EventKind::StepSkipped => EventData::StepSkipped(reasoned()),
        EventKind::GateApproved => EventData::GateApproved(GateApproved {
            reason: reason(),
            round,
            outputs_digest: digest(),
            approvals: 1,
            quorum: 1,
            decided,
            role: None,
            role_unchecked: false,
            self_review: false,
            follow_ups: Vec::new(),
        }),
        EventKind::GateRejected => EventData::GateRejected(GateRejected {
            reason: reason(),
            round,
            return_to: key("z"),
            void: void(),
            role: None,
            role_unchecked: false,
            self_review: false,
            follow_ups: Vec::new(),
        }),
        EventKind::ReworkRequested => EventData::ReworkRequested(ReworkRequested {
            reason: reason(),
            return_to: key("z"),
            void: void(),
        }),
        EventKind::BaselineIntegration => EventData::BaselineIntegration(BaselineIntegration {
            commit: "c0ffee".into(),
            branch: "main".into(),
            landed: Vec::new(),
            accepted: None,
        }),
        EventKind::BaselineReverted => EventData::BaselineReverted(BaselineReverted {
            commit: "c0ffee".into(),
            return_to: key("z"),
            void: void(),
            accepted: None,
            reason: reason(),
        }),
        EventKind::WorkflowPublished => EventData::WorkflowPublished(WorkflowPublished {
            name: id("flow"),
            version: 1,
            sha256: digest(),
            path: "p".into(),
            title: None,
            reason: None,
            impact: None,
            effective_from: None,
            effective_to: None,
        }),
        EventKind::WorkflowRetired => EventData::WorkflowRetired(WorkflowRetired {
            name: id("flow"),
            version: 1,
            reason: reason(),
        }),
        EventKind::PolicyChanged => EventData::PolicyChanged(PolicyChanged {
            key: "review".into(),
            value: Vec::new(),
            reason: reason(),
            impact: None,
        }),
        EventKind::ActorKeyAdded => EventData::ActorKeyAdded(ActorKeyAdded {
            fingerprint: id(FINGERPRINT),
            public_key: id(PUBLIC_KEY),
            principal: id("ann"),
            role: KeyRole::Owner,
            not_after: None,
            reason: reason(),
        }),
        EventKind::ActorKeyRevoked => EventData::ActorKeyRevoked(ActorKeyRevoked {
            fingerprint: id(FINGERPRINT),
            reason: reason(),
            compromised_since: None,
        }),
    }
}

/// `a` is worked on, `g` decided by people, `z` is what goes back.
fn bench_workflow() -> Arc<Workflow> {
    compile(vec![work("z"), work("a"), gate("g")])
}

/// A registered item to which events are applied without their decisions.
struct Bench {
    play: Play,
    item: ItemState,
}

impl Bench {
    fn new() -> Self {
        let play = Play::empty(bench_workflow());
        let registered = data(EventKind::WorkItemRegistered, "a", 1, 1, false);
        let event = play.fact(&moment_at(1, &who("d")), None, registered);
        let item = ItemState::register(&event, Digest::of(b"1"), &play.workflow);
        Self { item: item.expect("a registration registers"), play }
    }

    fn apply(
        &self,
        item: &mut ItemState,
        step: &str,
        number: u32,
        data: EventData,
    ) -> Result<(), Illegal> {
        let event = self.play.fact(&moment_at(2, &who("d")), Some((step, number)), data);
        let (sha256, workflow) = (Digest::of(b"2"), &self.play.workflow);
        match item.moves_to(&event) {
            Some(_) => item.migrate(&event, sha256, workflow, workflow),
            None => item.apply(&event, sha256, workflow),
        }
    }

    /// The item with attempt `step.1` brought into a phase, by hand and by legal events only.
    fn with(&self, step: &str, phase: AttemptPhase) -> ItemState {
        use {AttemptPhase as P, EventKind as E};
        let way: &[EventKind] = match phase {
            P::Absent => &[],
            P::Queued => &[E::ScheduleDecided],
            P::Claimed => &[E::ScheduleDecided, E::AttemptClaimed],
            P::Completed => &[E::ScheduleDecided, E::AttemptClaimed, E::AttemptCompleted],
            P::Failed => &[E::ScheduleDecided, E::AttemptClaimed, E::AttemptFailed],
            P::Rejected if step == "g" => &[E::ScheduleDecided, E::GateRejected],
            P::Rejected => &[E::ScheduleDecided, E::AttemptClaimed, E::AttemptRejected],
            P::Released => &[E::ScheduleDecided, E::AttemptClaimed, E::ClaimReleased],
            P::Lapsed => &[E::ScheduleDecided, E::AttemptClaimed, E::ClaimLapsed],
            P::Withdrawn => &[E::ScheduleDecided, E::AttemptWithdrawn],
            P::Approved => &[E::ScheduleDecided, E::GateApproved],
        };
        let mut item = self.item.clone();
        for &kind in way {
            self.apply(&mut item, step, 1, data(kind, step, 1, 1, true)).expect("the legal way");
        }
        item
    }
}

#[test]
fn the_fold_accepts_an_attempt_event_iff_the_table_says_so() {
    let bench = Bench::new();
    let works = AttemptPhase::ALL.into_iter().filter(|p| *p != AttemptPhase::Approved);
    let of_gates = ["absent", "queued", "approved", "rejected", "withdrawn"];
    let gates = AttemptPhase::ALL.into_iter().filter(|p| of_gates.contains(&p.word()));
    let all: Vec<_> =
        works.map(|p| (Lane::Work, "a", p)).chain(gates.map(|p| (Lane::Gate, "g", p))).collect();
    let mut accepted_pairs = 0;
    for (lane, step, phase) in all {
        let before = bench.with(step, phase);
        for &event in EventKind::ALL {
            let moves = |lane, phase| by_hand(lane, phase, event, true).is_some();
            let of_attempt = AttemptPhase::ALL
                .into_iter()
                .any(|phase| moves(Lane::Work, phase) || moves(Lane::Gate, phase));
            // A requeue opens what a decision does not: a further attempt of the same round.
            if !of_attempt || (phase, event) == (AttemptPhase::Absent, EventKind::AttemptRequeued) {
                continue;
            }
            for decided in [false, true] {
                let mut item = before.clone();
                let result = bench.apply(&mut item, step, 1, data(event, step, 1, 1, decided));
                let table = by_hand(lane, phase, event, decided);
                let pair = format!("{step}.1 {}, {}", phase.word(), row(event, decided));
                assert_eq!(result.is_ok(), table.is_some(), "{pair}: {result:?}");
                let Some(after) = table else { continue };
                accepted_pairs += 1;
                let steps = &item.steps[bench.play.at(step)];
                assert_eq!(steps.attempt(1).map(|a| a.phase), Some(after), "{pair}");
                assert_eq!(item.events, before.events + 1, "{pair}");
            }
        }
    }
    // Eight arrows twice (both values of `decided`), the gate's four likewise: none was missed.
    assert_eq!(accepted_pairs, 2 * 8 + 2 * 4);
}

#[test]
fn a_requeue_opens_only_after_an_end_and_a_decision_only_a_new_round() {
    let bench = Bench::new();
    for phase in AttemptPhase::ALL.into_iter().filter(|p| *p != AttemptPhase::Approved) {
        let before = bench.with("a", phase);
        let number = before.steps[bench.play.at("a")].last_number() + 1;
        for (event, legal) in [
            (EventKind::ScheduleDecided, phase == AttemptPhase::Absent),
            (EventKind::AttemptRequeued, phase.is_terminal() && phase != AttemptPhase::Completed),
        ] {
            let mut item = before.clone();
            let result = bench.apply(&mut item, "a", number, data(event, "a", number, 1, false));
            assert_eq!(
                result.is_ok(),
                legal,
                "{} after {}: {result:?}",
                event.name(),
                phase.word()
            );
            let mut item = before.clone();
            let gap = data(event, "a", number + 1, 1, false);
            let skipped = bench.apply(&mut item, "a", number + 1, gap);
            assert!(skipped.is_err(), "attempt numbers have no gaps");
            let mut item = before.clone();
            let round = bench.apply(&mut item, "a", number, data(event, "a", number, 2, false));
            assert!(round.is_err(), "nothing opened round 2");
        }
    }
    for phase in [AttemptPhase::Rejected, AttemptPhase::Withdrawn, AttemptPhase::Approved] {
        let mut item = bench.with("g", phase);
        let again =
            bench.apply(&mut item, "g", 2, data(EventKind::AttemptRequeued, "g", 2, 1, false));
        assert!(again.is_err(), "a gate is never requeued");
    }
}

#[test]
fn the_fold_ends_a_claim_only_under_its_fence() {
    let bench = Bench::new();
    let before = bench.with("a", AttemptPhase::Claimed);
    for event in [
        EventKind::AttemptCompleted,
        EventKind::AttemptFailed,
        EventKind::AttemptRejected,
        EventKind::ClaimReleased,
        EventKind::ClaimLapsed,
    ] {
        let mut foreign = data(event, "a", 1, 1, false);
        let other = ClaimId::new(uuid_of(99));
        match &mut foreign {
            EventData::AttemptCompleted(data) => data.claim_id = other,
            EventData::AttemptFailed(data) | EventData::AttemptRejected(data) => {
                data.claim_id = other;
            }
            EventData::ClaimReleased(data) => data.claim_id = other,
            EventData::ClaimLapsed(data) => data.claim_id = other,
            _ => panic!("only the ends of a claim"),
        }
        let result = bench.apply(&mut before.clone(), "a", 1, foreign);
        assert!(matches!(result, Err(Illegal::Contradiction { .. })), "{event:?}: {result:?}");
    }
}

#[test]
fn the_fold_accepts_an_item_event_iff_the_table_says_so() {
    let bench = Bench::new();
    for &event in EventKind::ALL {
        // The item as it must stand for the event to be legal while the item is active.
        let (step, standing) = match event {
            EventKind::AttemptClaimed | EventKind::AttemptWithdrawn => ("a", AttemptPhase::Queued),
            EventKind::AttemptCompleted
            | EventKind::AttemptFailed
            | EventKind::AttemptRejected
            | EventKind::ClaimReleased
            | EventKind::ClaimLapsed => ("a", AttemptPhase::Claimed),
            EventKind::AttemptRequeued => ("a", AttemptPhase::Failed),
            EventKind::GateApproved | EventKind::GateRejected => ("g", AttemptPhase::Queued),
            _ => ("a", AttemptPhase::Absent),
        };
        let number = if event == EventKind::AttemptRequeued { 2 } else { 1 };
        for phase in ItemPhase::ALL.into_iter().filter(|p| *p != ItemPhase::Absent) {
            let mut item = bench.with(step, standing);
            let wall = data(EventKind::BlockerDeclared, "a", 1, 1, false);
            bench.apply(&mut item, "a", 1, wall).expect("a blocker may be declared");
            if event == EventKind::MigrationRolledBack {
                let moved = data(EventKind::WorkItemMigrated, "a", 1, 1, false);
                bench.apply(&mut item, "a", 1, moved).expect("an active item may move");
            }
            let ender = match phase {
                ItemPhase::Integrated => Some(EventKind::BaselineIntegration),
                ItemPhase::Merged => Some(EventKind::ReviewMerged),
                ItemPhase::Closed => Some(EventKind::ReviewClosed),
                ItemPhase::Cancelled => Some(EventKind::WorkItemCancelled),
                ItemPhase::Absent | ItemPhase::Active => None,
            };
            if let Some(ender) = ender {
                let end = data(ender, "a", 1, 1, false);
                bench.apply(&mut item, "a", 1, end).expect("an active item may end");
            }
            assert_eq!(item.phase, phase);
            let fact = data(event, step, number, 1, true);
            let result = bench.apply(&mut item, step, number, fact);
            let table = item_by_hand(phase, event);
            let pair = format!("{}, {}", phase.word(), event.name());
            assert_eq!(result.is_ok(), table.is_some(), "{pair}: {result:?}");
            if let Some(after) = table {
                assert_eq!(item.phase, after, "{pair}");
            }
        }
        let first = bench.play.fact(
            &moment_at(1, &who("d")),
            Some((step, number)),
            data(event, step, number, 1, true),
        );
        let registers = ItemState::register(&first, Digest::of(b"1"), &bench.play.workflow);
        let table = item_by_hand(ItemPhase::Absent, event);
        assert_eq!(registers.is_ok(), table.is_some(), "absent, {}", event.name());
    }
}

#[test]
fn a_step_is_skipped_only_while_nothing_is_queued_claimed_or_done() {
    let bench = Bench::new();
    for phase in AttemptPhase::ALL.into_iter().filter(|p| *p != AttemptPhase::Approved) {
        let mut item = bench.with("a", phase);
        let result = bench.apply(&mut item, "a", 1, data(EventKind::StepSkipped, "a", 1, 1, false));
        let busy = [AttemptPhase::Queued, AttemptPhase::Claimed, AttemptPhase::Completed];
        assert_eq!(result.is_ok(), !busy.contains(&phase), "{}: {result:?}", phase.word());
    }
}

#[test]
fn a_way_back_opens_exactly_the_next_round() {
    let bench = Bench::new();
    for (round, legal) in [(1, false), (2, true), (3, false)] {
        let mut item = bench.with("g", AttemptPhase::Queued);
        let mut back = data(EventKind::GateRejected, "g", 1, 1, true);
        let EventData::GateRejected(rejected) = &mut back else { panic!("a rejection") };
        rejected.void[0].round = round;
        let result = bench.apply(&mut item, "g", 1, back);
        assert_eq!(result.is_ok(), legal, "z enters round {round}: {result:?}");
    }
}
