//! Given, when, then: who decides a gate, how many have to, and what policy says where the
//! workflow does not (FR-006, FR-022, G2).

use stepseal::artifact::ScheduleDoc;
use stepseal::domain::decide::{
    ApproveGate, Ask, Decided, GateRules, PolicyKey, SetPolicy, Unchanged, decide_policy,
    may_integrate,
};
use stepseal::domain::event::{EventData, GateApproved};
use stepseal::domain::id::{Digest, ItemId, PrincipalId};
use stepseal::domain::refusal::{Refusal, RefusalKind};
use stepseal::domain::state::{Done, LedgerState, Standing};
use stepseal::domain::workflow::{GateKind, SelfReview, StepDefinition};

use crate::domain_kit::{
    ITEM, Play, Shape as _, approve, gate, id, key, moment_at, person, reject, version, who, work,
};

/// An item whose gate `ok` people may decide now; `build` was done by principal `maker`.
fn at_the_gate(ok: StepDefinition) -> Play {
    let mut play = Play::of(vec![work("build"), ok, work("after")]);
    let maker = person("exec:build", "maker");
    play.does(&maker, &crate::domain_kit::claim("build"));
    play.end("build", stepseal::domain::decide::Ending::Completed);
    play
}

fn approval(events: &[stepseal::domain::event::Event]) -> GateApproved {
    let data = events.iter().find_map(|event| match &event.data {
        EventData::GateApproved(data) => Some(data.clone()),
        _ => None,
    });
    data.expect("an approval")
}

fn passed(play: &Play) -> bool {
    play.item().steps[play.at("ok")].standing() == Standing::Done(Done::Approved)
}

/// One row: the gate, the policies, and what each principal in turn is told.
struct Case {
    name: &'static str,
    gate: StepDefinition,
    policy: &'static [(&'static str, &'static [&'static str])],
    asks: &'static [(&'static str, Told)],
}

/// What one who approves is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// Noted: so many of so many.
    Noted(u32, u32),
    /// It passed.
    Passed(u32, u32),
    /// As before, but this one worked on it, and it is marked.
    PassedMarked,
    /// As before, but nobody could check the role, and it is marked.
    PassedUnchecked,
    Again,
    NotApprover,
    SelfReview,
}

fn told(play: &mut Play, principal: &str) -> Told {
    // Each asks from an executor of its own: principals are what is compared.
    let actor = person(&format!("at:{principal}:{}", play.log.len()), principal);
    match play.ask(&actor, &approve("ok")) {
        Ok(Decided::Facts(facts)) => {
            let events: Vec<_> = facts.into_iter().flat_map(|fact| play.record(fact)).collect();
            let said = approval(&events);
            assert_eq!(said.decided, passed(play), "what is said is what holds");
            match said {
                said if said.role_unchecked => Told::PassedUnchecked,
                said if said.self_review => Told::PassedMarked,
                said if said.decided => Told::Passed(said.approvals, said.quorum),
                said => Told::Noted(said.approvals, said.quorum),
            }
        }
        Ok(Decided::Unchanged(Unchanged::Approved { .. })) => Told::Again,
        Err(Refusal::NotApprover { .. }) => Told::NotApprover,
        Err(Refusal::SelfReview { worked_on, .. }) => {
            assert_eq!(worked_on, key("build"));
            Told::SelfReview
        }
        other => panic!("{principal}: {other:?}"),
    }
}

#[test]
fn who_may_approve_and_how_many_must() {
    use Told::{
        Again, NotApprover, Noted, Passed, PassedMarked, PassedUnchecked, SelfReview as OwnWork,
    };
    let cases = [
        Case {
            name: "nobody named: anybody, once, and the maker is marked",
            gate: gate("ok"),
            policy: &[],
            asks: &[("maker", PassedMarked), ("maker", Again)],
        },
        Case {
            name: "a release is not decided by who worked",
            gate: gate("ok").release(),
            policy: &[],
            asks: &[("maker", OwnWork), ("ann", Passed(1, 1))],
        },
        Case {
            name: "unless the gate says",
            gate: gate("ok").release().gated(|g| g.self_review = Some(SelfReview::Allowed)),
            policy: &[("gate.release.selfReview", &["refused"])],
            asks: &[("maker", PassedMarked)],
        },
        Case {
            name: "or policy, where the gate does not say",
            gate: gate("ok").release(),
            policy: &[("gate.release.selfReview", &["allowed"])],
            asks: &[("maker", PassedMarked)],
        },
        Case {
            name: "policy can refuse it for reviews, of reviews only",
            gate: gate("ok"),
            policy: &[("gate.review.selfReview", &["refused"])],
            asks: &[("maker", OwnWork), ("ann", Passed(1, 1))],
        },
        Case {
            name: "quorum counts principals, whatever executor they use",
            gate: gate("ok").quorum(2),
            policy: &[],
            asks: &[("ann", Noted(1, 2)), ("ann", Again), ("bob", Passed(2, 2)), ("ann", Again)],
        },
        Case {
            name: "policy gives the quorum where the gate does not say",
            gate: gate("ok"),
            policy: &[("gate.review.quorum", &["3"]), ("gate.release.quorum", &["1"])],
            asks: &[("ann", Noted(1, 3)), ("bob", Noted(2, 3)), ("eve", Passed(3, 3))],
        },
        Case {
            name: "and not where it does",
            gate: gate("ok").quorum(1),
            policy: &[("gate.review.quorum", &["3"])],
            asks: &[("ann", Passed(1, 1))],
        },
        Case {
            name: "an unset policy is the default again",
            gate: gate("ok"),
            policy: &[("gate.review.quorum", &["3"]), ("gate.review.quorum", &[])],
            asks: &[("ann", Passed(1, 1))],
        },
        Case {
            name: "a default asks for no more people than the gate names",
            gate: gate("ok").approvers(&["ann", "bob"], &[]),
            policy: &[("gate.review.quorum", &["5"])],
            asks: &[("eve", NotApprover), ("ann", Noted(1, 2)), ("bob", Passed(2, 2))],
        },
        Case {
            name: "ids or members of a role",
            gate: gate("ok").approvers(&["ann"], &["lead", "legal"]).quorum(3),
            policy: &[("role.lead", &["bob"]), ("role.legal", &["eve"])],
            asks: &[
                ("joe", NotApprover),
                ("ann", Noted(1, 3)),
                ("bob", Noted(2, 3)),
                ("eve", Passed(3, 3)),
            ],
        },
        Case {
            name: "no members of any role: nobody can check",
            gate: gate("ok").approvers(&[], &["lead"]),
            policy: &[],
            asks: &[("joe", PassedUnchecked)],
        },
        Case {
            name: "members of another role close this one too",
            gate: gate("ok").approvers(&[], &["lead"]),
            policy: &[("role.legal", &["eve"])],
            asks: &[("eve", NotApprover), ("joe", NotApprover)],
        },
        Case {
            name: "a role that lost its members does not open again",
            gate: gate("ok").approvers(&[], &["lead"]),
            policy: &[("role.lead", &["bob"]), ("role.lead", &[])],
            asks: &[("bob", NotApprover), ("joe", NotApprover)],
        },
    ];
    for case in cases {
        let mut play = at_the_gate(case.gate);
        for (name, value) in case.policy {
            play.policy(name, value);
        }
        let expected: Vec<Told> = case.asks.iter().map(|(_, told)| *told).collect();
        let heard: Vec<Told> = case.asks.iter().map(|(who, _)| told(&mut play, who)).collect();
        assert_eq!(heard, expected, "{}", case.name);
    }
}

#[test]
fn a_later_approval_never_rewrites_an_earlier_one_and_rounds_start_over() {
    let mut play = at_the_gate(gate("ok").quorum(2).reject_to("build"));
    play.does(&who("ann"), &approve("ok"));
    let first = play.log.last().expect("the approval").clone();
    play.does(&who("bob"), &reject("ok", None, false));
    // The second round: ann's yes of the first does not count, and stays on record.
    play.work("build");
    assert_eq!(told(&mut play, "bob"), Told::Noted(1, 2));
    assert!(!passed(&play));
    assert_eq!(told(&mut play, "ann"), Told::Passed(2, 2));
    let attempts = &play.item().steps[play.at("ok")].attempts;
    let yes = |n: usize| -> Vec<&str> {
        attempts[n].approvals.iter().map(|approval| approval.principal.as_str()).collect()
    };
    assert_eq!((yes(0), yes(1)), (vec!["ann"], vec!["bob", "ann"]));
    assert!(play.log.iter().any(|recorded| recorded.bytes == first.bytes));
    assert_eq!(attempts[0].approvals[0].event.sha256, first.sha256);
}

#[test]
fn whose_work_it_is_stays_known_under_another_key() {
    let mut play = at_the_gate(gate("ok").release());
    let second = version(2, vec![work("make"), gate("ok").release(), work("after")]);
    play.versions.push(std::sync::Arc::clone(&second));
    let ask = Ask::Migrate(Box::new(stepseal::domain::decide::Migrate {
        to: stepseal::domain::workflow::Workflow::clone(&second),
        map: vec![(key("build"), key("make"))],
        drop: Vec::new(),
        release_claims: false,
        reason: "a better word".into(),
    }));
    play.does(&who("ann"), &ask);
    let refused = play.refuses(&person("elsewhere", "maker"), &approve("ok"));
    assert!(matches!(refused, Refusal::SelfReview { worked_on, .. } if worked_on == key("make")));
    assert_eq!(told(&mut play, "ann"), Told::Passed(1, 1));
}

#[test]
fn a_policy_that_changes_later_changes_no_decision_and_no_file_of_the_item() {
    let mut play = at_the_gate(gate("ok"));
    let file = |play: &Play| ScheduleDoc::of(&play.workflow, play.item());
    let before = file(&play);
    assert_eq!(before.pending_gates[0].quorum, None, "the file does not guess what policy says");
    play.policy("gate.review.quorum", &["2"]);
    assert_eq!(file(&play), before);
    let live = file(&play).under(&play.ledger, &play.workflow);
    assert_eq!(live.pending_gates[0].quorum, Some(2), "who looks is told what counts");
    assert_eq!(told(&mut play, "ann"), Told::Noted(1, 2));
    // Raised: one more is needed. What was said before still counts.
    play.policy("gate.review.quorum", &["3"]);
    assert_eq!(told(&mut play, "bob"), Told::Noted(2, 3));
    // Lowered: those who said yes are enough, and the next yes, also of one of them, decides.
    play.policy("gate.review.quorum", &["2"]);
    assert!(!passed(&play), "a policy decides nothing by itself");
    assert_eq!(told(&mut play, "ann"), Told::Passed(2, 2));
    // Raised again: passed is passed.
    play.policy("gate.review.quorum", &["9"]);
    assert!(passed(&play));
    assert_eq!(told(&mut play, "bob"), Told::Again);
    assert_eq!(play.ready(), ["after"]);
}

#[test]
fn a_follow_up_is_part_of_the_decision() {
    let mut play = at_the_gate(gate("ok"));
    let ask = |todo: &str| {
        Ask::ApproveGate(ApproveGate {
            step: key("ok"),
            reason: "good enough".into(),
            follow_ups: vec![todo.into()],
        })
    };
    assert!(matches!(play.refuses(&who("ann"), &ask(" ")), Refusal::Invalid(_)));
    let events = play.does(&who("ann"), &ask("write the guide"));
    let told = stepseal::report::follow_ups(&events);
    assert_eq!(told.len(), 1);
    assert_eq!(
        (told[0].gate.to_string().as_str(), told[0].decision.as_str()),
        ("ok.1", "approved")
    );
    assert_eq!(told[0].to_do, ["write the guide"]);
}

// --- Policy (FR-022) -----------------------------------------------------------------------

fn asked(key: &str, value: &[&str]) -> SetPolicy {
    SetPolicy {
        key: key.into(),
        value: value.iter().map(|&v| v.to_owned()).collect(),
        reason: "because".into(),
        impact: None,
    }
}

/// What is kept of a value, or why it is none.
fn kept(key: &str, value: &[&str]) -> Result<Vec<String>, String> {
    let moment = moment_at(1, &who("admin"));
    match decide_policy(&LedgerState::default(), &asked(key, value), &moment) {
        Ok(Decided::Facts(facts)) => match &facts[0].data {
            EventData::PolicyChanged(data) => {
                assert_eq!(data.key, key);
                Ok(data.value.clone())
            }
            other => panic!("{other:?}"),
        },
        Ok(Decided::Unchanged(unchanged)) => panic!("{unchanged:?}"),
        Err(refusal) => {
            assert_eq!(refusal.kind(), RefusalKind::Invalid, "{refusal}");
            Err(refusal.reason().to_owned())
        }
    }
}

#[test]
fn every_policy_has_a_type() {
    let good: &[(&str, &[&str], &[&str])] = &[
        ("review", &["required"], &["required"]),
        ("review", &["on-suspicion"], &["on-suspicion"]),
        ("review", &["off"], &["off"]),
        ("gate.review.quorum", &["2"], &["2"]),
        // The same number is the same value.
        ("gate.release.quorum", &["02"], &["2"]),
        ("gate.review.selfReview", &["refused"], &["refused"]),
        ("gate.release.selfReview", &["allowed"], &["allowed"]),
        // Types keep their order; members are a set.
        ("blocker.types", &["vendor", "legal", "vendor"], &["vendor", "legal"]),
        ("role.lead", &["bob", "ann@example.org", "bob"], &["ann@example.org", "bob"]),
        ("integrate", &["role:lead", "ci"], &["ci", "role:lead"]),
    ];
    for (key, given, expected) in good {
        let expected: Vec<String> = expected.iter().map(|&v| v.to_owned()).collect();
        assert_eq!(kept(key, given), Ok(expected), "{key} {given:?}");
    }
    let bad: &[(&str, &[&str], &str)] = &[
        ("reviews", &["off"], "unknown-policy"),
        ("gate.quorum", &["2"], "unknown-policy"),
        ("role.", &["ann"], "invalid"),
        ("role.a b", &["ann"], "invalid"),
        ("review", &["Required"], "bad-policy-value"),
        ("review", &["off", "required"], "bad-policy-value"),
        ("gate.review.quorum", &["0"], "bad-policy-value"),
        ("gate.review.quorum", &["two"], "bad-policy-value"),
        ("gate.review.quorum", &["-1"], "bad-policy-value"),
        ("gate.review.quorum", &["1", "2"], "bad-policy-value"),
        ("gate.release.selfReview", &["yes"], "bad-policy-value"),
        ("blocker.types", &["two words"], "bad-policy-value"),
        ("blocker.types", &[""], "bad-policy-value"),
        ("role.lead", &["role:legal"], "bad-policy-value"),
        ("role.lead", &["a b"], "bad-policy-value"),
        ("integrate", &["role:"], "bad-policy-value"),
        ("integrate", &["\u{1b}[2J"], "bad-policy-value"),
    ];
    for (key, given, reason) in bad {
        assert_eq!(kept(key, given), Err((*reason).to_owned()), "{key} {given:?}");
    }
    let mut play = at_the_gate(gate("ok"));
    play.policy("role.lead", &["ann"]);
    let names: Vec<String> = PolicyKey::all(&play.ledger).iter().map(PolicyKey::name).collect();
    for (key, ..) in good {
        assert!(names.iter().any(|name| name == key), "{key} is shown");
    }
}

#[test]
fn the_nearest_policy_is_named() {
    let moment = moment_at(1, &who("admin"));
    let near =
        |key: &str| match decide_policy(&LedgerState::default(), &asked(key, &["x"]), &moment) {
            Err(Refusal::UnknownPolicy { nearest, known, .. }) => {
                assert!(known.iter().any(|key| key == "role.NAME"));
                nearest
            }
            other => panic!("{other:?}"),
        };
    assert_eq!(near("reveiw").as_deref(), Some("review"));
    assert_eq!(near("gate.review.quorm").as_deref(), Some("gate.review.quorum"));
    assert_eq!(near("gate.release.selfreview").as_deref(), Some("gate.release.selfReview"));
    assert_eq!(near("colour"), None);
}

#[test]
fn the_same_value_again_is_unchanged() {
    let mut ledger = LedgerState::default();
    for (tick, (key, first, again)) in [
        ("role.lead", &["ann", "bob"][..], &["bob", "ann", "bob"][..]),
        ("gate.review.quorum", &["2"], &["2"]),
        ("review", &["off"], &["off"]),
    ]
    .into_iter()
    .enumerate()
    {
        let moment = moment_at(i64::try_from(tick).expect("few"), &who("admin"));
        let unset = decide_policy(&ledger, &asked(key, &[]), &moment);
        assert!(matches!(unset, Ok(Decided::Unchanged(Unchanged::Policy { .. }))), "{unset:?}");
        let Ok(Decided::Facts(facts)) = decide_policy(&ledger, &asked(key, first), &moment) else {
            panic!("{key} is set");
        };
        ledger.apply(&facts[0], Digest::of(b"sealed")).expect("a policy may change");
        let same = decide_policy(&ledger, &asked(key, again), &moment);
        assert!(matches!(same, Ok(Decided::Unchanged(Unchanged::Policy { .. }))), "{same:?}");
        let unset = decide_policy(&ledger, &asked(key, &[]), &moment);
        assert!(matches!(unset, Ok(Decided::Facts(_))), "{unset:?}");
    }
    let bare = SetPolicy { reason: " ".into(), ..asked("review", &["off"]) };
    let refused = decide_policy(&LedgerState::default(), &bare, &moment_at(9, &who("admin")));
    assert!(matches!(refused, Err(Refusal::Invalid(_))), "{refused:?}");
}

#[test]
fn who_may_integrate() {
    let mut play = at_the_gate(gate("ok"));
    let item: ItemId = id(ITEM);
    let may =
        |play: &Play, name: &str| may_integrate(&play.ledger, &item, &id::<PrincipalId>(name));
    assert!(may(&play, "joe").is_ok_and(|under| under.role.is_none() && !under.role_unchecked));
    play.policy("integrate", &["ci", "role:lead"]);
    assert!(may(&play, "ci").is_ok_and(|under| !under.role_unchecked));
    assert!(may(&play, "joe").is_ok_and(|under| under.role_unchecked), "no role is known at all");
    play.policy("role.lead", &["ann"]);
    assert!(may(&play, "ann").is_ok_and(|u| u.role == Some(id("lead")) && !u.role_unchecked));
    let refused = may(&play, "joe").expect_err("joe is nobody here");
    assert_eq!(refused.kind(), RefusalKind::Refused);
    let Refusal::NotIntegrator { ids, members, .. } = refused else { panic!("{refused:?}") };
    assert_eq!((ids, members), (vec![id("ci")], vec![(id("lead"), vec!["ann".to_owned()])]));
    play.policy("integrate", &[]);
    assert!(may(&play, "joe").is_ok());
}

#[test]
fn the_defaults_that_are_shown_are_those_that_hold() {
    let ledger = LedgerState::default();
    for kind in [GateKind::Review, GateKind::Release] {
        let steps = [gate("ok"), gate("ok").release()];
        let definition = steps
            .iter()
            .filter_map(|step| step.gate.as_ref())
            .find(|gate| gate.kind == kind)
            .expect("one of each");
        let rules = GateRules::of(&ledger, definition);
        let shown = PolicyKey::GateQuorum(kind).default();
        assert_eq!(shown, [rules.quorum.to_string()]);
        let word = match rules.self_review {
            SelfReview::Allowed => "allowed",
            SelfReview::Refused => "refused",
        };
        assert_eq!(PolicyKey::GateSelfReview(kind).default(), [word]);
    }
}
