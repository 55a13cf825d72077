//! What people decide about items, through the binary: what they type, what they read, and what
//! stands in the ledger afterwards (FR-003, FR-010, FR-011, FR-012, FR-021).

use std::collections::BTreeSet;
use std::time::Duration;

use insta::assert_snapshot;
use serde_json::Value;
use stepseal::domain::event::{
    Actor, ActorKind, Baseline, Event, EventData, Outcome, PolicyChanged,
};
use stepseal::domain::moment::Moment;
use stepseal::ledger::{Durability, LedgerError, Located, Notes, Place, Settings, Verdict};

use crate::kit::{Dice, Ran, Room, rounds};

/// `design`, then `api` and `web` together, then a gate, then `ship`.
const PLAN: &str = "
name: checkout
title: Checkout
steps:
  - key: design
    role: product
    entry: [{ id: brief, text: The brief names the markets }]
    exit: [{ id: adr, text: The decision record is merged }]
  - { key: api, order: 2, parallelizable: true, role: backend, exit: [{ id: tests, text: Tests pass }] }
  - { key: web, order: 2, parallelizable: true }
  - { key: ok, order: 3, gate: { kind: review, rejectTo: api } }
  - { key: ship, order: 4 }
";

fn shop(items: &[&str]) -> Room {
    let room = Room::in_memory();
    room.write("plan.yaml", PLAN);
    for item in items {
        room.ok(&["delegate", "--plan", "plan.yaml", "--work-item", item, "--title", item]);
    }
    room
}

fn words(typed: &str) -> Vec<&str> {
    typed.split(' ').collect()
}

/// Types a line of words and expects success.
fn types(room: &Room, typed: &str) -> String {
    room.ok(&words(typed))
}

/// The same with `--json`.
fn json(room: &Room, typed: &str) -> (i32, Value) {
    room.json(&words(typed))
}

/// The names of the events of an item, decisions left out.
fn facts(room: &Room, item: &str) -> Vec<String> {
    let log = room.ok(&["log", item, "--json"]);
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let kind = |line: Value| line["artifact"]["eventType"].as_str().expect("a word").to_owned();
    lines.map(kind).filter(|kind| kind != "schedule-decided").collect()
}

fn tip(room: &Room) -> String {
    room.git(&["rev-parse", "stepseal-ledger"])
}

/// Everything up to the gate is done.
fn built(room: &Room, item: &str) {
    for (step, flags) in [
        ("design", &["--attest", "brief", "--verified", "adr"][..]),
        ("api", &["--verified", "tests"]),
        ("web", &[]),
    ] {
        let (claim, complete) = match flags.first() {
            Some(&"--attest") => flags.split_at(2),
            _ => (&[][..], flags),
        };
        let named = ["--work-item", item, "--step", step];
        room.ok(&[&["claim"], &named[..], claim].concat());
        room.ok(&[&["complete", "--outcome", "done"], &named[..], complete].concat());
    }
}

// --- Rework --------------------------------------------------------------------------------

#[test]
fn rework_is_looked_at_and_then_asked_for() {
    let room = shop(&["SHOP-1"]);
    built(&room, "SHOP-1");
    let back =
        ["rework", "--work-item", "SHOP-1", "--return-to", "api", "--reason", "the wrong model"];
    let before = tip(&room);
    assert_snapshot!(room.run(&[&back[..], &["--dry-run"]].concat()), @r#"
    would void  api.1, ok.1
    --- stderr
    dry run: nothing was recorded
    next  stepseal rework --work-item SHOP-1 --return-to api --reason "the wrong model"
    "#);
    assert_eq!(tip(&room), before);
    assert_snapshot!(room.run(&back), @r#"
    returned  SHOP-1 to api by maintainer-1, round 2
    void      api.1, ok.1 (kept in history)
    ready     api
    --- stderr
    next  stepseal claim --work-item SHOP-1 --step api
    "#);
    assert_snapshot!(room.run(&back), @r#"
    unchanged  SHOP-1 went back to api for this reason before: nothing recorded
    --- stderr
    next  stepseal claim --work-item SHOP-1 --step api
    "#);
    assert_snapshot!(room.run(&["status", "SHOP-1"]), @r#"
    SHOP-1  SHOP-1 · ready, round 2 · 2 of 5 done · checkout@1 · provisional, not integrated

    ✓ design	agent-1	design	
    ○ api	ready	api	round 2, role backend
    ✓ web	agent-1	web	
    ◆ ok	waits	ok	round 2, api
    · ship	waits	ship	ok

    why here	maintainer-1 sent it back to api at 10:00:10: "the wrong model"
    rework	1 time: api, ok; "the wrong model"
    --- stderr
    next  stepseal claim --work-item SHOP-1 --step api
    "#);
    types(&room, "verify --deep");
}

#[test]
fn rework_is_counted_by_item_step_and_reason() {
    let room = shop(&["SHOP-1"]);
    built(&room, "SHOP-1");
    let sent = |to: &str, reason: &str| {
        let back = ["rework", "--work-item", "SHOP-1", "--return-to", to, "--reason", reason];
        room.ok(&back);
    };
    sent("web", "ugly");
    types(&room, "claim --work-item SHOP-1 --step web");
    types(&room, "complete --work-item SHOP-1 --step web --outcome done");
    types(&room, "gate reject --work-item SHOP-1 --step ok --return-to web --reason ugly");
    types(&room, "claim --work-item SHOP-1 --step web");
    types(&room, "complete --work-item SHOP-1 --step web --outcome done");
    sent("api", "slow");
    let (_, status) = json(&room, "status SHOP-1");
    let rework = &status["item"]["rework"];
    assert_eq!(rework["count"], 3);
    let pairs = |list: &Value, key: &str| -> Vec<(String, u64)> {
        let one = |one: &Value| {
            (one[key].as_str().expect("a word").to_owned(), one["count"].as_u64().expect("a count"))
        };
        list.as_array().expect("a list").iter().map(one).collect()
    };
    // The gate was queued each time, so it was void each time.
    let steps = [("api", 1), ("web", 2), ("ok", 3)].map(|(step, n)| (step.to_owned(), n));
    assert_eq!(pairs(&rework["byStep"], "stepKey"), steps);
    let reasons = [("ugly", 2), ("slow", 1)].map(|(reason, n)| (reason.to_owned(), n));
    assert_eq!(pairs(&rework["byReason"], "reason"), reasons);
    let gates: Vec<bool> =
        rework["returns"].as_array().expect("a list").iter().map(|r| r["gate"].is_null()).collect();
    assert_eq!(gates, [true, false, true]);
    let table = room.ok(&["export", "--format", "csv", "--table", "items"]);
    let cell = |name: &str| {
        let mut lines = table.lines();
        let head = lines.next().expect("a header").split(',').position(|cell| cell.contains(name));
        lines.next().expect("a row").split(',').nth(head.expect(name)).expect("a cell").to_owned()
    };
    assert_eq!((cell("\"returns\""), cell("\"round\"")), ("3".into(), "4".into()));
    let report = room.ok(&["export", "--format", "md"]);
    assert!(report.contains("- rework: 3 times: `api` 1×, `web` 2×, `ok` 3×"), "{report}");
}

#[test]
fn rework_asks_for_entry_again_and_runs_the_numbers_on() {
    let room = shop(&["SHOP-1"]);
    built(&room, "SHOP-1");
    let (code, said) = json(&room, "rework --work-item SHOP-1 --return-to design --reason no");
    assert_eq!((code, &said["void"]), (0, &serde_json::json!(["design", "api", "web", "ok"])));
    // The hint works as it stands: it attests what has to be attested.
    let hint = &said["next"][0];
    assert_eq!(hint.as_array().expect("a command").last().expect("a word"), "brief");
    let (code, said) = json(&room, "claim --work-item SHOP-1 --step design");
    assert_eq!((code, said["reason"].as_str()), (4, Some("entry-not-attested")));
    let (_, said) = json(&room, "claim --work-item SHOP-1 --step design --attest brief");
    assert_eq!(said["attemptId"], "design.2");
    assert_eq!(said["brief"]["returned"]["reason"], "no");
}

#[test]
fn rework_takes_claims_only_when_it_says_so() {
    let room = shop(&["SHOP-1"]);
    built(&room, "SHOP-1");
    types(&room, "gate approve --work-item SHOP-1 --step ok --reason good");
    types(&room, "claim --work-item SHOP-1 --step ship --executor agent-9");
    let back = "rework --work-item SHOP-1 --return-to web --reason ugly";
    let before = tip(&room);
    assert_snapshot!(room.run(&words(back)), @r#"
    --- stderr
    error: going back to web would void steps of SHOP-1 that are held
      void  web, ok, ship
      held  ship by agent-9
      nothing was recorded; their work so far stays in history
      next  stepseal rework --work-item SHOP-1 --return-to web --reason ugly --release-claims        takes their claims
    [exit 4]
    "#);
    assert_eq!(tip(&room), before);
    let (_, said) = json(&room, back);
    assert_eq!(said["data"]["void"], serde_json::json!(["web", "ok", "ship"]));
    // The hint is the way out.
    room.follow("repo", &said);
    let (code, said) =
        json(&room, "complete --work-item SHOP-1 --step ship --outcome late --executor agent-9");
    assert_eq!(code, 6, "{said:#}");
    // Who was at it is free.
    types(&room, "claim --work-item SHOP-1 --step web --executor agent-9");
    types(&room, "verify --deep");
}

// --- Review before execution ---------------------------------------------------------------

#[test]
fn scenario_5_a_person_decides_about_a_duplicate_before_any_work() {
    let room = shop(&["SHOP-7"]);
    let twin = ["delegate", "--plan", "plan.yaml", "--work-item", "SHOP-9"];
    let ran = room.run(&twin);
    let hint = "stepseal review flag --work-item SHOP-9 --suspect SHOP-7";
    assert!(ran.stderr.contains("SHOP-7 has the same plan") && ran.stderr.contains(hint), "{ran}");
    let flag = ["review", "flag", "--work-item", "SHOP-9", "--suspect", "SHOP-7"];
    assert_snapshot!(room.run(&[&flag[..], &["--reason", "the same page"]].concat()), @r#"
    flagged  SHOP-9 by maintainer-1: no claims until it is decided
    --- stderr
    next  stepseal review clear --work-item SHOP-9 --rationale "…"        if it is no duplicate
          stepseal review merge --work-item SHOP-9 --into SHOP-7 --rationale "…"        if it is one
    "#);
    assert_snapshot!(room.run(&words("claim --work-item SHOP-9 --step design --attest brief")), @r#"
    --- stderr
    error: SHOP-9 waits for a review: the same page
      flagged by  maintainer-1
      may repeat  SHOP-7
      next  stepseal review clear --work-item SHOP-9 --rationale "…"        if it is no duplicate
    [exit 4]
    "#);
    assert_snapshot!(room.run(&words("review list")), @r#"
    ITEM	STATE	BY	SINCE	OTHER	WHY
    SHOP-9	awaiting-review	maintainer-1	10:00:04	SHOP-7	the same page
    --- stderr
    next  stepseal review clear --work-item SHOP-9 --rationale "…"        if it is no duplicate
    "#);
    let merge = ["review", "merge", "--work-item", "SHOP-9", "--into", "SHOP-7"];
    let merge = [&merge[..], &["--rationale", "one page, one item"]].concat();
    assert_snapshot!(room.run(&merge), @r#"
    merged  SHOP-9 into SHOP-7 by maintainer-1: it lives on there
    --- stderr
    next  stepseal status SHOP-7
          stepseal review overturn --work-item SHOP-9 --rationale "…"        if that was wrong
    "#);
    assert_snapshot!(room.run(&merge), @r#"
    unchanged  SHOP-9 was merged into SHOP-7 before: nothing recorded
    --- stderr
    next  stepseal status SHOP-7
          stepseal review overturn --work-item SHOP-9 --rationale "…"        if that was wrong
    "#);
    assert_snapshot!(room.run(&words("claim --work-item SHOP-9 --step design --attest brief")), @r#"
    --- stderr
    error: SHOP-9 is merged into SHOP-7
      by  maintainer-1: "one page, one item"
      next  stepseal status SHOP-7
            stepseal review overturn --work-item SHOP-9 --rationale "…"        if that was wrong
    [exit 4]
    "#);
    assert_snapshot!(room.run(&words("status SHOP-9")), @r#"
    SHOP-9  Checkout · merged into SHOP-7 · 0 of 5 done · checkout@1 · provisional, not integrated

    ! design	blocked	design	role product, the item is merged into SHOP-7
    · api	waits	api	role backend, design
    · web	waits	web	design
    ◆ ok	waits	ok	api, web
    · ship	waits	ship	ok

    why here	maintainer-1 merged it at 10:00:07: "one page, one item"
    --- stderr
    next  stepseal status SHOP-7
          stepseal review overturn --work-item SHOP-9 --rationale "…"        if that was wrong
    "#);
    assert_snapshot!(room.run(&words("status")), @r#"
    ITEM	STATUS	DONE	WORKFLOW	NOW	NEXT	OLDEST WAIT
    SHOP-7	ready	0/5	checkout@1	–	○ design	9s
    SHOP-9	merged	0/5	checkout@1	→ SHOP-7	–	–
    --- stderr

    2 items · 1 step ready · nobody working
    next  stepseal claim --next
    "#);
    assert_eq!(facts(&room, "SHOP-9"), ["work-item-registered", "review-flagged", "review-merged"]);
    types(&room, "verify --deep");
}

/// Whoever looks at a merged or closed item is told where it lives on.
#[test]
fn what_ended_points_to_what_lives_on_everywhere() {
    for (end, word) in [
        ("review merge --work-item OLD --into NEW --rationale same", "merged into NEW"),
        (
            "review close --work-item OLD --duplicate-of NEW --rationale same",
            "closed as a duplicate of NEW",
        ),
    ] {
        let room = shop(&["OLD", "NEW"]);
        types(&room, end);
        for looks in ["status OLD", "schedule OLD", "brief OLD design"] {
            let ran = room.run(&words(looks));
            assert!(ran.code == 0 && ran.stdout.contains(word), "{looks}: {ran}");
        }
        assert!(types(&room, "brief OLD design").contains("lives on in NEW"));
        assert!(types(&room, "log OLD").contains("NEW: same"), "{}", types(&room, "log OLD"));
        for asks in [
            "claim --work-item OLD --step design --attest brief",
            "skip --work-item OLD --step design --reason no",
            "rework --work-item OLD --return-to design --reason no",
            "blocker declare --work-item OLD --type other --notes no",
            "resume --work-item OLD --reason no",
            "cancel --work-item OLD --reason no",
        ] {
            let (code, said) = json(&room, asks);
            assert_eq!((code, said["reason"].as_str()), (4, Some("item-ended")), "{asks}");
            assert_eq!(said["data"]["survivor"], "NEW", "{asks}");
            assert_eq!(said["next"][0], serde_json::json!(["stepseal", "status", "NEW"]));
        }
        let (_, export) = json(&room, "export");
        let old = export["items"].as_array().expect("a list").iter();
        let old = old.clone().find(|one| one["item"]["workItemId"] == "OLD").expect("it is there");
        assert_eq!(old["item"]["ended"]["survivor"], "NEW");
        assert!(old["schedule"]["rationale"].as_str().expect("words").contains(word));
        assert!(types(&room, "export --format csv --table items").contains("\"NEW\",0,0,0,\"\""));
        assert!(types(&room, "export --format md").contains("lives on in `NEW`"));
        let schedule = room.ledger_text(&room.ledger_file("/OLD.json"));
        assert!(schedule.contains(word), "{schedule}");
        let (_, portfolio) = json(&room, "status");
        assert_eq!(portfolio["items"][1]["survivor"], "NEW");
        // Delegated again, it says so too.
        let again = types(&room, "delegate --plan plan.yaml --work-item OLD");
        assert!(again.contains("OLD takes no more work and lives on in NEW"), "{again}");
        types(&room, "verify --deep");
    }
}

#[test]
fn a_survivor_that_was_merged_later_points_to_the_end_of_the_way() {
    let room = shop(&["A", "B", "C"]);
    types(&room, "review merge --work-item A --into B --rationale same");
    types(&room, "review merge --work-item B --into C --rationale same");
    let (_, said) = json(&room, "claim --work-item A --step design --attest brief");
    assert_eq!(said["data"]["survivor"], "C");
    assert!(
        types(&room, "status A").starts_with("A  A · merged into C ·"),
        "{}",
        types(&room, "status A")
    );
    // Neither a circle nor a way into what ended.
    let (code, said) = json(&room, "review merge --work-item C --into A --rationale same");
    assert_eq!((code, said["reason"].as_str()), (4, Some("bad-survivor")), "{said:#}");
    assert_eq!(said["next"][0][2], "overturn");
    let room = shop(&["A", "B", "C", "D"]);
    types(&room, "review merge --work-item B --into C --rationale same");
    let (code, said) = json(&room, "review merge --work-item A --into B --rationale same");
    assert_eq!((code, said["data"]["survivor"].as_str()), (4, Some("C")), "{said:#}");
    // Its hint names the one that is left.
    let hint: Vec<&str> =
        said["next"][0].as_array().expect("a command").iter().filter_map(Value::as_str).collect();
    room.ok(&hint[1..]);
    types(&room, "cancel --work-item D --reason no");
    let (code, said) = json(&room, "review close --work-item C --duplicate-of D --rationale same");
    assert_eq!((code, said["data"]["status"].as_str()), (4, Some("cancelled")));
    let (code, said) = json(&room, "review merge --work-item C --into NOPE --rationale same");
    assert_eq!((code, said["reason"].as_str()), (5, Some("unknown-item")));
    let (code, _) = json(&room, "review merge --work-item C --into C --rationale same");
    assert_eq!(code, 2);
}

/// A survivor's damage is not the damage of what was merged into it.
#[test]
fn an_item_whose_survivor_is_stopped_can_be_looked_at() {
    let room = shop(&["A", "B", "C"]);
    types(&room, "review merge --work-item A --into B --rationale same");
    let path = room.ledger_files().into_iter().find(|path| path.contains("/B/"));
    room.tamper(&[(&path.expect("an event of B"), Some("{}\n"))]);
    assert_eq!(json(&room, "status B").0, 10);
    assert!(types(&room, "status A").contains("merged into B"));
    let (code, said) = json(&room, "claim --work-item A --step design --attest brief");
    assert_eq!((code, said["data"]["survivor"].as_str()), (4, Some("B")), "{said:#}");
    // Whether it can stand for another item cannot be known.
    let (code, said) = json(&room, "review merge --work-item C --into B --rationale same");
    assert_eq!((code, said["data"]["workItemId"].as_str()), (10, Some("B")), "{said:#}");
    // Brought back, it goes on.
    types(&room, "review overturn --work-item A --rationale two");
    types(&room, "claim --work-item A --step design --attest brief");
}

/// Two people merge two items into each other at once: one of them is told that it cannot be.
#[test]
fn two_items_are_never_merged_into_each_other() {
    let mut losers = BTreeSet::new();
    for round in 0..rounds(6, 100) {
        let room = shop(&["A", "B"]);
        let start = |item: &str, into: &str| {
            let merge = ["review", "merge", "--work-item", item, "--into", into];
            let mut command =
                room.stepseal(&[&merge[..], &["--rationale", "same", "--json"]].concat());
            command.stdout(std::process::Stdio::piped()).spawn().expect("it starts")
        };
        let both = [start("A", "B"), start("B", "A")];
        let ended: Vec<Ran> =
            both.map(|child| Ran::of(&child.wait_with_output().expect("it ends"))).into();
        let codes: Vec<i32> = ended.iter().map(|ran| ran.code).collect();
        assert!(codes == [0, 4] || codes == [4, 0], "round {round}: {codes:?}");
        let loser = ended.iter().find(|ran| ran.code == 4).expect("one of them");
        losers.insert(loser.document()["reason"].as_str().expect("a word").to_owned());
        let (_, portfolio) = json(&room, "status");
        let merged = portfolio["items"].as_array().expect("a list").iter();
        assert_eq!(merged.filter(|item| item["status"] == "merged").count(), 1);
        types(&room, "verify --deep");
    }
    assert_eq!(losers.into_iter().collect::<Vec<_>>(), ["bad-survivor"]);
}

#[test]
fn edge_case_a_duplicate_suspicion_overturned_lets_the_item_go_on_where_it_stood() {
    let room = shop(&["SHOP-7", "SHOP-9"]);
    types(&room, "claim --work-item SHOP-9 --step design --attest brief");
    types(&room, "complete --work-item SHOP-9 --step design --outcome done --verified adr");
    types(&room, "claim --work-item SHOP-9 --step api --executor agent-9");
    let merge = "review merge --work-item SHOP-9 --into SHOP-7 --rationale same";
    assert_snapshot!(room.run(&words(merge)), @r#"
    --- stderr
    error: steps of SHOP-9 are held, and it would end under them
      held  api by agent-9
      nothing was recorded; their work so far stays in history
      next  stepseal review merge --work-item SHOP-9 --into SHOP-7 --rationale same --release-claims        takes their claims
    [exit 4]
    "#);
    types(&room, &format!("{merge} --release-claims"));
    let overturn = "review overturn --work-item SHOP-9 --rationale another-page";
    assert_snapshot!(room.run(&words(overturn)), @r#"
    overturned  SHOP-9 by maintainer-1: it goes on where it stood
    ready       api, web (tie at order 2: api first)
    --- stderr
    next  stepseal claim --work-item SHOP-9 --step api
    "#);
    assert_snapshot!(room.run(&words(overturn)), @r#"
    unchanged  SHOP-9 was brought back before: nothing recorded
    --- stderr
    next  stepseal claim --work-item SHOP-9 --step api
    "#);
    let (_, claim) = json(&room, "claim --work-item SHOP-9 --step api");
    assert_eq!(claim["attemptId"], "api.2");
    let (_, overturned) = json(&room, "log SHOP-9 --event review-overturned --last 1");
    let data = &overturned["artifact"]["data"];
    assert_eq!(data["rationale"], "another-page");
    assert_eq!(overturned["artifact"]["links"][0]["rel"], "overturns");
    types(&room, "verify --deep");
    // A suspicion that was never decided is dropped with `clear`, and the refusal says so.
    types(&room, "review flag --work-item SHOP-7 --reason twin");
    let (code, said) = json(&room, "review overturn --work-item SHOP-7 --rationale no");
    assert_eq!((code, said["reason"].as_str()), (4, Some("nothing-to-overturn")));
    assert_eq!(said["next"][0][2], "clear");
}

#[test]
fn related_items_are_linked_and_both_go_on() {
    let room = shop(&["A", "B", "C"]);
    types(&room, "review flag --work-item A --suspect B --suspect C --reason which");
    let ran = room.run(&words("review link --work-item A --to B --rationale near"));
    assert!(ran.stdout.contains("still   under review: it may repeat C"), "{ran}");
    let (_, said) = json(&room, "review link --work-item A --to C --rationale near");
    assert_eq!((&said["underReview"], &said["recorded"]), (&false.into(), &true.into()));
    assert_eq!(said["linked"], serde_json::json!(["B", "C"]));
    types(&room, "claim --work-item A --step design --attest brief");
    assert!(types(&room, "status A").contains("related\tB, C"));
}

// --- Policy --------------------------------------------------------------------------------

/// Records a policy as an administrator would.
fn policy(room: &Room, key: &str, value: &[&str]) {
    let settings = Settings {
        sharing: stepseal::ledger::Sharing { timeout: std::time::Duration::ZERO, tries: 0 },
        durability: Durability::Process,
        lock_wait: Duration::from_secs(10),
        program: "it".into(),
        notes: Notes::default(),
        signing: std::sync::Arc::default(),
    };
    let place = Place { dir: room.repo(), git_dir: None };
    let ledger = Located::find(&place).and_then(|found| found.open(settings)).expect("a ledger");
    let actor = Actor {
        id: "admin".parse().expect("an id"),
        name: "admin".into(),
        kind: ActorKind::Human,
        principal: "admin".parse().expect("an id"),
    };
    let mut dice = Dice::new();
    let seed = std::array::from_fn(|_| u8::try_from(dice.below(256)).expect("a byte"));
    let now = "2026-11-20T11:00:00Z".parse().expect("a time");
    let moment = Moment::new(now, seed, actor.clone());
    let fact = Event {
        id: moment.event_id(0),
        work_item_id: None,
        workflow: None,
        step: None,
        attempt_id: None,
        timestamp: moment.now(),
        actor,
        outcome: Outcome { status: "changed".into(), summary: key.into() },
        next_action: "nothing".into(),
        baseline_integration: Baseline::Pre,
        links: Vec::new(),
        request: None,
        data: EventData::PolicyChanged(PolicyChanged {
            key: key.into(),
            value: value.iter().map(|&v| v.to_owned()).collect(),
            reason: "the test says so".into(),
            impact: None,
        }),
    };
    let recorded = ledger.transact(&moment, |_| {
        Ok::<_, LedgerError>(Verdict::Record {
            facts: vec![fact.clone()],
            definitions: Vec::new(),
            workflow: None,
            value: (),
        })
    });
    recorded.expect("a policy may be recorded");
}

#[test]
fn policy_required_lets_nobody_work_before_a_person_decided() {
    let room = shop(&["BEFORE"]);
    policy(&room, "review", &["required"]);
    let ran = room.run(&words("status"));
    assert!(ran.stderr.contains("1 item with ready steps: stepseal review list"), "{ran}");
    for looks in ["schedule BEFORE", "schedule BEFORE --matrix", "brief BEFORE design"] {
        let ran = room.run(&words(looks));
        assert!(ran.stderr.contains("warning: nobody may claim"), "{looks}: {ran}");
    }
    assert_eq!(types(&room, "schedule BEFORE --matrix"), "{\"include\":[]}\n");
    let why = types(&room, "status BEFORE --why-not design");
    assert!(why.contains("review\tpolicy asks for a review before any work"), "{why}");
    // The matrix of a new item is empty: its own history says that it waits.
    assert_snapshot!(
        room.run(&words("delegate --plan plan.yaml --work-item AFTER --title After")), @r#"
    registered  AFTER on checkout@1: 5 steps
    --- stderr
    warning: BEFORE has the same plan; if it is a duplicate: stepseal review flag --work-item AFTER --suspect BEFORE --reason …
    next  stepseal review clear --work-item AFTER --rationale "…"        if it is no duplicate
    "#
    );
    assert_eq!(types(&room, "schedule AFTER --matrix"), "{\"include\":[]}\n");
    for item in ["BEFORE", "AFTER"] {
        let claim = format!("claim --work-item {item} --step design --attest brief");
        let (code, said) = json(&room, &claim);
        assert_eq!((code, said["reason"].as_str()), (4, Some("under-review")), "{said:#}");
        assert!(types(&room, &format!("status {item}")).contains("policy asks for a review"));
        let (code, said) = json(&room, "claim --next --attest-all");
        assert_eq!(code, if item == "BEFORE" { 4 } else { 1 }, "{said:#}");
        let (_, list) = json(&room, "review list");
        let waits = list["items"].as_array().expect("a list").iter();
        assert!(waits.clone().any(|one| one["workItemId"] == item), "{list:#}");
        let (_, status) = json(&room, &format!("status {item}"));
        assert_eq!(status["next"][0][2], "clear");
        types(&room, &format!("review clear --work-item {item} --rationale new"));
        types(&room, &claim);
        types(&room, &format!("release --work-item {item} --step design --reason later"));
        let (_, list) = json(&room, "review list");
        let mut waits = list["items"].as_array().expect("a list").iter();
        assert!(!waits.any(|one| one["workItemId"] == item), "{list:#}");
        if item == "BEFORE" {
            types(&room, "skip --work-item BEFORE --step design --reason no");
            types(&room, "skip --work-item BEFORE --step api --reason no");
            types(&room, "skip --work-item BEFORE --step web --reason no");
        }
    }
    types(&room, "verify --deep");
}

#[test]
fn policy_off_refuses_flags_and_types_of_blockers_are_the_ledgers() {
    let room = shop(&["A"]);
    policy(&room, "review", &["off"]);
    let (code, said) = json(&room, "review flag --work-item A --reason twin");
    assert_eq!((code, said["reason"].as_str()), (4, Some("review-off")));
    policy(&room, "blocker.types", &["weather", "vendor"]);
    let ran = room.run(&words("blocker declare --work-item A --type external --notes bank"));
    assert_eq!(ran.code, 2, "{ran}");
    assert!(ran.stderr.contains("weather, vendor"), "{ran}");
    types(&room, "blocker declare --work-item A --type weather --notes rain");
    types(&room, "verify --deep");
}

// --- Blockers ------------------------------------------------------------------------------

#[test]
fn a_blocker_is_declared_shown_and_resolved() {
    let room = shop(&["SHOP-1"]);
    let declare = ["blocker", "declare", "--work-item", "SHOP-1", "--type", "external"];
    let declare = [&declare[..], &["--step", "design", "--notes", "waiting for the bank"]].concat();
    assert_snapshot!(room.run(&declare), @r#"
    declared  blocker-1 of SHOP-1 (external), owned by maintainer-1: it holds design
    --- stderr
    next  stepseal blocker resolve --work-item SHOP-1 --id blocker-1 --resolution "…"        once it is gone
    "#);
    assert_snapshot!(room.run(&declare), @r#"
    unchanged  blocker-1 of SHOP-1 says this already: nothing recorded
    --- stderr
    next  stepseal blocker resolve --work-item SHOP-1 --id blocker-1 --resolution "…"        once it is gone
    "#);
    assert_snapshot!(room.run(&words("claim --work-item SHOP-1 --step design --attest brief")), @r#"
    --- stderr
    error: design of SHOP-1 is blocked: blocker-1
      next  stepseal blocker list SHOP-1
            stepseal blocker resolve --work-item SHOP-1 --id blocker-1 --resolution "…"        once it is gone
    [exit 4]
    "#);
    assert_snapshot!(room.run(&words("status SHOP-1")), @r#"
    SHOP-1  SHOP-1 · blocked · 0 of 5 done · checkout@1 · provisional, not integrated

    ! design	blocked	design	role product, blocked by blocker-1
    · api	waits	api	role backend, design
    · web	waits	web	design
    ◆ ok	waits	ok	api, web
    · ship	waits	ship	ok

    blocked	blocker-1 (external) holds design for 3s, owned by maintainer-1: "waiting for the bank"
    blocked for	3s in all, 1 blocker, 1 open
    --- stderr
    next  stepseal blocker resolve --work-item SHOP-1 --id blocker-1 --resolution "…"        once it is gone
    "#);
    assert_snapshot!(room.run(&words("status SHOP-1 --why-not design")), @r#"
    design cannot start: one fact holds it
    blocker	blocker-1 (external), owned by maintainer-1: "waiting for the bank"
    --- stderr
    next  stepseal blocker resolve --work-item SHOP-1 --id blocker-1 --resolution "…"        once it is gone
    "#);
    assert_snapshot!(room.run(&words("blocker list")), @r#"
    ITEM	BLOCKER	TYPE	HOLDS	OWNER	SINCE	FOR	ABOUT
    SHOP-1	blocker-1	external	design	maintainer-1	10:00:03	5s	waiting for the bank
    --- stderr
    next  stepseal blocker resolve --work-item SHOP-1 --id blocker-1 --resolution "…"        once it is gone
    "#);
    assert_eq!(types(&room, "schedule SHOP-1 --matrix"), "{\"include\":[]}\n");
    let resolve = ["blocker", "resolve", "--work-item", "SHOP-1", "--id", "blocker-1"];
    let resolve = [&resolve[..], &["--resolution", "they answered"]].concat();
    assert_snapshot!(room.run(&resolve), @r#"
    resolved  blocker-1 of SHOP-1 after 7s
    ready     design
    --- stderr
    next  stepseal claim --work-item SHOP-1 --step design --attest brief
    "#);
    assert_snapshot!(room.run(&resolve), @r#"
    unchanged  blocker-1 of SHOP-1 was resolved before: nothing recorded
    ready      design
    --- stderr
    next  stepseal claim --work-item SHOP-1 --step design --attest brief
    "#);
    assert_snapshot!(room.run(&words("blocker list --all")), @r#"
    ITEM	BLOCKER	TYPE	HOLDS	OWNER	SINCE	FOR	ABOUT
    SHOP-1	blocker-1	external	design	maintainer-1	10:00:03	7s	resolved: they answered
    "#);
    let (_, status) = json(&room, "status SHOP-1");
    let item = &status["item"];
    assert_eq!(item["blockers"][0]["resolution"], "they answered");
    let seconds = |name: &str| {
        let at = item["blockers"][0][name].as_str().expect("a time");
        chrono::DateTime::parse_from_rfc3339(at).expect("a time").timestamp()
    };
    assert_eq!(item["blockedSeconds"], seconds("resolvedAt") - seconds("declaredAt"));
    types(&room, "claim --work-item SHOP-1 --step design --attest brief");
    types(&room, "verify --deep");
}

#[test]
fn an_executor_at_work_goes_on_and_the_declarer_is_told() {
    let room = shop(&["SHOP-1"]);
    types(&room, "claim --work-item SHOP-1 --step design --attest brief --executor agent-9");
    let declared =
        types(&room, "blocker declare --work-item SHOP-1 --type decision --notes which --id price");
    assert!(declared.contains("agent-9 is at work on design and goes on"), "{declared}");
    types(
        &room,
        "complete --work-item SHOP-1 --step design --outcome done --verified adr --executor agent-9",
    );
    let (code, said) = json(&room, "claim --next");
    assert_eq!((code, said["outcome"].as_str()), (1, Some("nothing")));
    let (code, said) = json(&room, "claim --work-item SHOP-1 --step web");
    assert_eq!((code, said["reason"].as_str()), (4, Some("blocked")), "{said:#}");
    let portfolio = types(&room, "status --status blocked");
    assert!(portfolio.contains("SHOP-1\tblocked"), "{portfolio}");
}

// --- Owners --------------------------------------------------------------------------------

#[test]
fn an_item_changes_its_owner_and_says_which_roles_its_steps_ask_for() {
    let room = shop(&["SHOP-1", "SHOP-2"]);
    let transfer = ["owner", "transfer", "--work-item", "SHOP-1", "--to", "dev@it"];
    let transfer = [&transfer[..], &["--reason", "holiday"]].concat();
    assert_snapshot!(room.run(&transfer), @r#"
    transferred  SHOP-1 from nobody to dev@it
    --- stderr
    next  stepseal owner show SHOP-1
    "#);
    assert_snapshot!(room.run(&transfer), @r#"
    unchanged  dev@it is accountable for SHOP-1: nothing recorded
    --- stderr
    next  stepseal owner show SHOP-1
    "#);
    assert_snapshot!(room.run(&words("owner show SHOP-1")), @r#"
    owner        dev@it is accountable for SHOP-1
    transferred  from nobody to dev@it by maintainer-1 at 10:00:04: "holiday"

    design	role product	ready	
    api	role backend	waits	
    web	no role	waits	
    ok	no role	waits	
    ship	no role	waits	
    --- stderr
    next  stepseal owner transfer --work-item SHOP-1 --to ID --reason "…"        to make somebody else
    "#);
    assert_snapshot!(room.run(&words("owner show")), @r#"
    OWNER	OPEN	ITEMS	READY	HELD	BLOCKED
    dev@it	1	1	1	0	0
    nobody	1	1	1	0	0
    "#);
    assert!(types(&room, "status SHOP-1").contains("owner dev@it"));
    assert!(types(&room, "brief SHOP-1 design").contains("owner\tdev@it"));
    let claimed = types(&room, "claim --work-item SHOP-1 --step design --attest brief");
    assert!(claimed.contains("role\tproduct"), "{claimed}");
    let (_, owned) = json(&room, "status --owner dev@it");
    assert_eq!(owned["total"], 1);
}

// --- The end, and going on after an interruption -------------------------------------------

#[test]
fn a_cancelled_item_is_given_up_for_good() {
    let room = shop(&["SHOP-1"]);
    types(&room, "claim --work-item SHOP-1 --step design --attest brief --executor agent-9");
    let cancel = ["cancel", "--work-item", "SHOP-1", "--reason", "nobody wants it"];
    assert_snapshot!(room.run(&cancel), @r#"
    --- stderr
    error: steps of SHOP-1 are held, and it would end under them
      held  design by agent-9
      nothing was recorded; their work so far stays in history
      next  stepseal cancel --work-item SHOP-1 --reason "nobody wants it" --release-claims        takes their claims
    [exit 4]
    "#);
    let (_, said) = room.json(&cancel);
    room.follow("repo", &said);
    assert_snapshot!(room.run(&cancel), @r#"
    unchanged  SHOP-1 was cancelled before: nothing recorded
    --- stderr
    next  stepseal status SHOP-1
    "#);
    assert_snapshot!(room.run(&words("status SHOP-1")), @r#"
    SHOP-1  SHOP-1 · cancelled · 0 of 5 done · checkout@1 · provisional, not integrated

    ! design	blocked	design	role product, the item is cancelled
    · api	waits	api	role backend, design
    · web	waits	web	design
    ◆ ok	waits	ok	api, web
    · ship	waits	ship	ok

    why here	maintainer-1 cancelled it at 10:00:06: "nobody wants it"
    "#);
    let (code, said) = json(&room, "claim --work-item SHOP-1 --step design --attest brief");
    assert_eq!((code, said["data"]["status"].as_str()), (4, Some("cancelled")));
    let (_, said) = json(&room, "review overturn --work-item SHOP-1 --rationale no");
    assert_eq!(said["reason"], "nothing-to-overturn");
    types(&room, "verify --deep");
}

#[test]
fn scenario_8_a_resumption_lists_what_is_to_be_verified_again() {
    let room = shop(&["SHOP-1"]);
    // The machine dies while api is being built: what is on record is in the ledger already.
    room.write("README.md", "a page\n");
    room.git(&["add", "."]);
    room.git(&["commit", "--quiet", "--message", "a page"]);
    types(&room, "claim --work-item SHOP-1 --step design --attest brief");
    room.write("adr.md", "not committed\n");
    types(&room, "complete --work-item SHOP-1 --step design --outcome done --verified adr");
    types(&room, "claim --work-item SHOP-1 --step api --lease 3s");
    let before = tip(&room);
    let dry = room.run(&words("resume --work-item SHOP-1 --dry-run"));
    assert_eq!((dry.code, tip(&room)), (0, before), "{dry}");
    types(&room, "status");
    let resume = ["resume", "--work-item", "SHOP-1", "--reason", "the machine died"];
    assert_snapshot!(room.run(&resume), @r#"
    resumed  SHOP-1 by maintainer-1: it is in-progress
    held     api.1 by agent-1 for 3s, its lease ended 10:00:08
    verify again	design.1 adr	The decision record is merged	was shown on uncommitted changes	
    verify again	api.1 tests	Tests pass	in progress, its lease ended	
    ready    web
    --- stderr
    next  stepseal requeue --work-item SHOP-1 --step api --lapsed        if agent-1 is gone
          stepseal complete --work-item SHOP-1 --step api --outcome "…"
          stepseal rework --work-item SHOP-1 --return-to design --reason "…"        if it does not hold any more
    "#);
    assert_snapshot!(room.run(&resume), @r#"
    unchanged  SHOP-1 was resumed so before, and nothing happened since: nothing recorded
    held       api.1 by agent-1 for 4s, its lease ended 10:00:08
    verify again	design.1 adr	The decision record is merged	was shown on uncommitted changes	
    verify again	api.1 tests	Tests pass	in progress, its lease ended	
    ready      web
    --- stderr
    next  stepseal requeue --work-item SHOP-1 --step api --lapsed        if agent-1 is gone
          stepseal complete --work-item SHOP-1 --step api --outcome "…"
          stepseal rework --work-item SHOP-1 --return-to design --reason "…"        if it does not hold any more
    "#);
    let log = types(&room, "log SHOP-1 --event work-item-resumed --json");
    assert_eq!(log.lines().count(), 1, "typed twice, recorded once");
    let resumed: Value = serde_json::from_str(&log).expect("JSON");
    let again = resumed["artifact"]["data"]["verifyAgain"].as_array().expect("a list").clone();
    let again: Vec<String> = again
        .iter()
        .map(|one| format!("{} {} {}", one["attemptId"], one["criterionId"], one["because"]))
        .map(|line| line.replace('"', ""))
        .collect();
    assert_eq!(again, ["design.1 adr uncommitted", "api.1 tests lease-ended"]);
    // The state is what it was: the claim is live until somebody acts.
    let (_, status) = json(&room, "status SHOP-1");
    assert_eq!(status["item"]["resumed"]["reason"], "the machine died");
    let states: Vec<&str> = status["item"]["steps"]
        .as_array()
        .expect("steps")
        .iter()
        .filter_map(|s| s["state"].as_str())
        .collect();
    assert_eq!(states, ["done", "held", "ready", "waits", "waits"]);
    // Its exit criteria are asked for again when it is completed.
    let (code, said) = json(&room, "complete --work-item SHOP-1 --step api --outcome done");
    assert_eq!((code, said["reason"].as_str()), (4, Some("exit-not-verified")));
    types(&room, "verify --deep");
}

/// Hints of a refusal work in another folder too, once and not twice named.
#[test]
fn a_hint_that_repeats_the_command_names_its_folder_once() {
    let room = shop(&["SHOP-1"]);
    types(&room, "claim --work-item SHOP-1 --step design --attest brief --executor agent-9");
    let cancel = ["-C", "repo", "cancel", "--work-item", "SHOP-1", "--reason", "no", "--json"];
    let ran = room.run_in(".", &cancel);
    assert_eq!(ran.code, 4, "{ran}");
    room.follow(".", &ran.document());
}
