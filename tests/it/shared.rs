//! Constraints of the whole ledger (S4): one claim at a time uses `global:production`, whichever
//! item it is of, and who is refused is told by whom.

use std::collections::BTreeSet;

use serde_json::Value;
use stepseal::domain::decide::{Ask, Claim, Decided, LiveClaim};
use stepseal::domain::refusal::Refusal;
use stepseal::domain::schedule::Answer;

use crate::domain_kit::{Play, Shape as _, claiming, id, key, moment_at, par, who, work};
use crate::kit::Room;

const DEPLOYING: &str = "schema: stepseal/workflow/1
name: deploying
version: 1
steps:
  - { key: build, parallelizable: true }
  - { key: deploy, parallelizable: true, constraints: [\"global:production\", staging] }
  - { key: notes, parallelizable: true }
";

/// Two or more items on that workflow.
fn deploying(room: &Room, items: &[&str]) {
    room.write("deploying.yaml", DEPLOYING);
    for item in items {
        room.ok(&["delegate", "--plan", "deploying.yaml", "--work-item", item, "--quiet"]);
    }
}

fn claim(item: &str) -> [&str; 5] {
    ["claim", "--work-item", item, "--step", "deploy"]
}

fn elsewhere(constraint: &str) -> (stepseal::domain::id::ConstraintName, LiveClaim) {
    let by = LiveClaim {
        executor: id("dev-2"),
        item: id("WI-2"),
        attempt: "deploy.1".parse().expect("an attempt"),
        claim: moment_at(1, &who("dev-2")).claim_id(),
        since: moment_at(1, &who("dev-2")).now(),
    };
    (id(constraint), by)
}

#[test]
fn what_another_item_uses_is_judged_at_claim_time_and_changes_no_schedule() {
    let mut play = Play::of(vec![par("deploy").shares(&["global:production"]), par("other")]);
    play.in_use = vec![elsewhere("global:production")];
    let ask = Ask::Claim(Claim { step: Some(key("deploy")), ..claiming("deploy") });
    match play.refuses(&who("dev-1"), &ask) {
        Refusal::ConstraintInUse { constraint, by, other, .. } => {
            assert_eq!(constraint.as_str(), "global:production");
            assert_eq!((by.item.as_str(), by.executor.as_str()), ("WI-2", "dev-2"));
            assert_eq!(other, Some(key("other")));
        }
        other => panic!("{other:?}"),
    }
    // The item's own schedule says ready all the same: it depends on its own item only.
    assert!(matches!(play.answer("deploy"), Answer::Ready { .. }));
    play.in_use.clear();
    let decided = play.ask(&who("dev-1"), &ask).expect("free again");
    assert!(matches!(decided, Decided::Facts(_)));
}

#[test]
fn held_or_finished_comes_before_what_is_in_use() {
    let mut play = Play::of(vec![work("deploy").shares(&["global:production"])]);
    play.claim("deploy");
    play.in_use = vec![elsewhere("global:production")];
    let ask = Ask::Claim(claiming("deploy"));
    assert!(matches!(play.refuses(&who("dev-3"), &ask), Refusal::Held { .. }));
}

#[test]
fn one_item_at_a_time_uses_a_constraint_of_the_whole_ledger() {
    let room = Room::with_ledger();
    deploying(&room, &["A", "B"]);
    room.ok(&claim("A"));
    let busy = |kind: &str| {
        let files =
            room.git(&["ls-tree", "-r", "--name-only", "stepseal-ledger", "artifacts/busy"]);
        let docs =
            files.lines().map(|path| room.git(&["show", &format!("stepseal-ledger:{path}")]));
        let docs = docs.map(|text| serde_json::from_str::<Value>(&text).expect("JSON"));
        docs.filter(|doc| doc["kind"] == kind).collect::<Vec<_>>()
    };
    // `staging` is the item's own and stands nowhere for the ledger.
    let [used] = &busy("constraint")[..] else { panic!("{:?}", busy("constraint")) };
    assert_eq!(used["constraint"], "global:production");
    assert_eq!(used["workItemId"], "A");
    assert_eq!(busy("executor").len(), 1);

    let mut second = room.stepseal(&[&claim("B")[..], &["--json"]].concat());
    second.env("STEPSEAL_EXECUTOR", "agent-2");
    let ran = crate::kit::Ran::of(&second.output().expect("it starts"));
    let refused = ran.document();
    assert_eq!((ran.code, &refused["reason"]), (4, &"constraint-busy".into()), "{ran}");
    assert_eq!(refused["data"]["byItem"], "A");
    assert_eq!(refused["data"]["heldBy"], "agent-1");
    assert_eq!(refused["recorded"], false);
    let told = room.run_as("agent-2", &["status", "B", "--why-not", "deploy"]);
    assert!(told.stdout.contains("global:production is in use: deploy.1 of A"), "{told}");
    let told = room.run_as("agent-2", &["status", "B"]);
    assert!(told.stdout.contains("global:production is in use: deploy.1 of A"), "{told}");
    assert!(told.stderr.contains("--step build"), "the hint works now: {told}");

    // `claim --next` passes it over, and comes back to it.
    let next = |who: &str| room.run_as(who, &["claim", "--next", "--work-item", "B", "--quiet"]);
    let taken: Vec<String> = ["agent-2", "agent-3"].map(|who| next(who).stdout).to_vec();
    assert!(taken[0].starts_with("B\tbuild\t") && taken[1].starts_with("B\tnotes\t"), "{taken:?}");
    assert_eq!(next("agent-4").code, 4, "only what is in use is left");
    room.ok(&["complete", "--work-item", "A", "--step", "deploy", "--outcome", "out"]);
    assert!(busy("constraint").is_empty(), "{:?}", busy("constraint"));
    assert!(next("agent-4").stdout.starts_with("B\tdeploy\t"));
    room.ok(&["verify"]);
}

#[test]
fn processes_that_race_for_a_constraint_of_the_ledger_have_one_winner() {
    let room = Room::live();
    let items: Vec<String> = (0..8).map(|n| format!("I{n}")).collect();
    deploying(&room, &items.iter().map(String::as_str).collect::<Vec<_>>());
    let codes: Vec<i32> = std::thread::scope(|scope| {
        let run = |item: &str| room.run_as(&format!("racer-{item}"), &claim(item)).code;
        let racers: Vec<_> = items.iter().map(|item| scope.spawn(move || run(item))).collect();
        racers.into_iter().map(|racer| racer.join().expect("a racer")).collect()
    });
    let kinds: BTreeSet<i32> = codes.iter().copied().collect();
    assert_eq!(codes.iter().filter(|code| **code == 0).count(), 1, "{codes:?}");
    assert_eq!(kinds, BTreeSet::from([0, 4]), "{codes:?}");
    room.ok(&["verify"]);
}
