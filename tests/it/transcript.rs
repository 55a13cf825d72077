//! What a person sees: stdout, stderr and exit code of the first ten minutes, word for word.

use insta::assert_snapshot;

use crate::kit::Room;

/// The plan of the samples.
pub(crate) const ALBUMS: &str = include_str!("../../src/cli/command/demo-plan.md");

fn albums() -> Room {
    let room = Room::with_ledger();
    room.write("specs/001-albums/tasks.md", ALBUMS);
    room
}

const DELEGATE: [&str; 5] =
    ["delegate", "--plan", "specs/001-albums/tasks.md", "--work-item", "ALBUMS"];

#[test]
fn init_is_told_once_and_repeated_safely() {
    let room = Room::new();
    room.git(&["init", "--quiet", "repo"]);
    assert_snapshot!(room.run(&["init"]), @r#"
    created  stepseal.toml
    created  branch stepseal-ledger (never checked out; your files, index and HEAD stay as they are)
    --- stderr
    next  stepseal delegate --plan FILE --dry-run
    "#);
    assert_snapshot!(room.run(&["init"]), @r#"
    exists  stepseal.toml, stepseal-ledger (format 1, 0 items): nothing to do
    --- stderr
    next  stepseal delegate --plan FILE --dry-run
    "#);
    assert_snapshot!(room.run(&["status"]), @r#"
    no items yet
    --- stderr
    next  stepseal delegate --plan FILE --dry-run
    "#);
}

#[test]
fn a_plan_is_looked_at_and_then_delegated() {
    let room = albums();
    let mut dry = DELEGATE.to_vec();
    dry.push("--dry-run");
    assert_snapshot!(room.run(&dry), @r#"
    ALBUMS  Photo albums · spec-kit tasks, style A · 4 phases
    14 steps: 12 tasks (1 already done, 1 skipped) and 2 gates · never more than 2 at once

    wave	phase	steps	
    –	1 Setup	✓ T001	done in the plan (line 6)
    1		T002 ∥ T003	
    2	2 Foundational (Blocking Prerequisites)	T004	
    3		T005 ∥ T006	
    4		T007	marked [P], but names src/models/album.ts like T005
    5		◆ checkpoint-2	Models agreed, user stories can begin (line 16)
    6	3 User Story 1 - Create an album (Priority: P1)	T008	
    7		T009	needs T005, T006 (line 20)
    8		◆ checkpoint-3	An album can be created (line 23)
    9	4 Polish	T011	
    10		T012	
    --- stderr
    warning: the plan says 13 tasks, 12 were found (T001 to T012)
      --> specs/001-albums/tasks.md:3
    warning: T010 is imported as skipped: struck through, DEFERRED
      --> specs/001-albums/tasks.md:21

    dry run: nothing was recorded
    next  stepseal delegate --plan specs/001-albums/tasks.md --work-item ALBUMS        (--gates drop leaves the checkpoints out)
    "#);
    assert_snapshot!(room.run(&DELEGATE), @r#"
    registered  ALBUMS on 001-albums@1: 14 steps, 1 imported as done, 1 as skipped
    ready       T002, T003
    --- stderr
    warning: the plan says 13 tasks, 12 were found (T001 to T012) (line 3)
    warning: T010 is imported as skipped: struck through, DEFERRED (line 21)
    next  stepseal claim --work-item ALBUMS --step T002
    "#);
    assert_snapshot!(room.run(&DELEGATE), @r#"
    unchanged  ALBUMS is already on this plan (001-albums@1): nothing recorded
    --- stderr
    next  stepseal status ALBUMS
    "#);
}

#[test]
fn a_claim_is_taken_lost_and_explained() {
    let room = albums();
    room.ok(&DELEGATE);
    let claim = ["claim", "--work-item", "ALBUMS", "--step", "T002"];
    assert_snapshot!(room.run(&claim), @r#"
    claimed  ALBUMS T002 as T002.1 for agent-1
             Configure linting in .eslintrc.json   specs/001-albums/tasks.md:7
    claim    01a1f866-18b8-7f36-bf7f-9c845d50f988
    --- stderr
    next  stepseal complete --work-item ALBUMS --step T002 --outcome "…"
    "#);
    assert_snapshot!(room.run_as("agent-2", &claim), @r#"
    --- stderr
    error: T002 of ALBUMS is held by agent-1
      T002.1 claimed 10:00:03 (1s ago), no lease
      nothing was recorded for agent-2
      next  stepseal claim --work-item ALBUMS --step T003 --executor agent-2        ready now
    [exit 6]
    "#);
    let next = room.run_as("agent-2", &["claim", "--next", "--quiet"]);
    let fields: Vec<&str> = next.stdout.trim_end().split('\t').collect();
    assert_eq!(fields[..3], ["ALBUMS", "T003", "T003.1"], "{next}");
    assert_eq!((fields[3].len(), fields.len()), (36, 4), "{next}");
    assert_snapshot!(room.run(&["claim", "--next"]), @r#"
    --- stderr
    error: agent-1 already holds T002 of ALBUMS (T002.1); one task at a time
      since  10:00:03 (3s ago)
      next  stepseal complete --work-item ALBUMS --step T002 --outcome "…" --executor agent-1
            stepseal release --work-item ALBUMS --step T002 --reason "…" --executor agent-1        give it back
    [exit 4]
    "#);
    let far = ["claim", "--work-item", "ALBUMS", "--step", "T009", "--executor", "agent-3"];
    assert_snapshot!(room.run(&far), @r#"
    --- stderr
    error: T009 of ALBUMS cannot start yet
      waits for  T005, T006, T008
      next  stepseal status ALBUMS --why-not T009
    [exit 4]
    "#);
    let mut json = claim.to_vec();
    json.extend(["--executor", "agent-4", "--json"]);
    assert_snapshot!(room.run(&json), @r#"
    {
      "schema": "stepseal/cli/refusal/1",
      "command": "claim",
      "exitCode": 6,
      "kind": "conflict",
      "reason": "held-by-other",
      "message": "T002 of ALBUMS is held by agent-1",
      "data": {
        "workItemId": "ALBUMS",
        "stepKey": "T002",
        "attemptId": "T002.1",
        "heldBy": "agent-1",
        "claimedAt": "2026-11-20T10:00:03.000Z",
        "leaseUntil": null
      },
      "recorded": false,
      "next": [
        [
          "stepseal",
          "status",
          "ALBUMS"
        ]
      ]
    }
    [exit 6]
    "#);
    assert_snapshot!(room.run(&["claim", "--work-item", "ALBUM", "--step", "T002"]), @r#"
    --- stderr
    error: there is no work item ALBUM in this ledger
      did you mean ALBUMS?
      next  stepseal status        lists every item
    [exit 5]
    "#);
    assert_snapshot!(room.run(&["claim", "--work-item", "ALBUMS", "--step", "T02"]), @r#"
    --- stderr
    error: ALBUMS has no step T02
      did you mean T002?
      next  stepseal status ALBUMS
    [exit 5]
    "#);
}

#[test]
fn completing_twice_is_safe_and_says_what_opens() {
    let room = albums();
    room.ok(&DELEGATE);
    room.ok(&["claim", "--work-item", "ALBUMS", "--step", "T002"]);
    let complete = [
        "complete",
        "--work-item",
        "ALBUMS",
        "--step",
        "T002",
        "--outcome",
        "eslint 9, no warnings",
    ];
    assert_snapshot!(room.run(&complete), @r#"
    completed  ALBUMS T002 (T002.1) by agent-1 in 1s
    ready      T003
    --- stderr
    next  stepseal claim --work-item ALBUMS --step T003
    "#);
    assert_snapshot!(room.run(&complete), @r#"
    unchanged  ALBUMS T002 was ended by T002.1 with this outcome: nothing recorded
    --- stderr
    next  stepseal claim --work-item ALBUMS --step T003
    "#);
    let other =
        ["complete", "--work-item", "ALBUMS", "--step", "T002", "--outcome", "another story"];
    assert_snapshot!(room.run(&other), @r#"
    --- stderr
    error: T002.1 of ALBUMS is completed by agent-1
      ended  10:00:04 (2s ago)
      said   "eslint 9, no warnings"
      next  stepseal claim --work-item ALBUMS --step T003 --executor agent-1        ready now
    [exit 6]
    "#);
    assert_snapshot!(room.run(&["status", "ALBUMS"]), @r#"
    ALBUMS  Photo albums · ready · 3 of 14 done · 001-albums@1 · provisional, not integrated

    ✓ T001	imported	Create the project structure	
    ✓ T002	agent-1	Configure linting in .eslintrc.json	
    ○ T003	ready	Add upload limits to src/config.ts	
    · T004	waits	Create the album tables in migrations/001_albums.sql	T003
    · T005	waits	Album model in src/models/album.ts	T004
    · T006	waits	Photo model in src/models/photo.ts	T004
    · T007	waits	Album ordering rules in src/models/album.ts	T005
    ◆ checkpoint-2	waits	Models agreed, user stories can begin	T006, T007
    · T008	waits	Contract test in tests/contract/albums.test.ts	checkpoint-2
    · T009	waits	POST /albums in src/api/albums.ts (depends on T005, T006)	T005, T006, T008
    ✓ T010	skipped	Thumbnail worker in src/worker.ts DEFERRED	
    · 3 more	wait	checkpoint-3, T011, T012	
    --- stderr
    next  stepseal claim --work-item ALBUMS --step T003
    "#);
    assert_snapshot!(room.run(&["status"]), @r#"
    ITEM	STATUS	DONE	WORKFLOW	NOW	NEXT	OLDEST WAIT
    ALBUMS	ready	3/14	001-albums@1	–	○ T003	6s
    --- stderr

    1 item · 1 step ready · nobody working
    next  stepseal claim --next
    "#);
    assert_snapshot!(room.run(&["schedule", "ALBUMS"]), @r#"
    ○ T003	ready	T003.1	
    · T004	waits		waits for T003
    · T005	waits		waits for T004
    · T006	waits		waits for T004
    · T007	waits		waits for T005
    · checkpoint-2	waits		waits for T006, T007
    · T008	waits		waits for checkpoint-2
    · T009	waits		waits for T005, T006, T008
    · checkpoint-3	waits		waits for T009
    · T011	waits		waits for checkpoint-3
    · T012	waits		waits for T011

    T003 may start; 10 wait
    --- stderr
    next  stepseal claim --work-item ALBUMS --step T003
    "#);
    assert_snapshot!(room.run(&["brief", "ALBUMS", "T003"]), @r#"
    ALBUMS T003  Add upload limits to src/config.ts
    of ALBUMS: Photo albums

    state	ready
    attempt	T003.1
    plan	specs/001-albums/tasks.md:8
    phase	1 Setup
    --- stderr
    next  stepseal claim --work-item ALBUMS --step T003
    "#);
}

const CHECKED: &str = "
name: checkout
version: 2
title: Checkout
steps:
  - key: design
    entry: [{ id: brief, text: The brief names the markets }]
    exit: [{ id: adr, text: The decision record is merged }]
    done: A developer who was not in the room can build from it
  - key: schema
    exit:
      - { id: reversible, text: The migration runs down and up again }
      - { id: migrated, text: A fresh database migrates, check: { run: [test, -f, migrated] } }
";

#[test]
fn criteria_are_attested_verified_and_checked() {
    let room = Room::with_ledger();
    room.write("checkout.yaml", CHECKED);
    room.ok(&["delegate", "--plan", "checkout.yaml", "--work-item", "SHOP-7"]);
    assert_snapshot!(room.run(&["claim", "--work-item", "SHOP-7", "--step", "design"]), @r#"
    --- stderr
    error: design of SHOP-7 has 1 entry criterion not attested
      missing  brief  The brief names the markets
      next  stepseal claim --work-item SHOP-7 --step design --executor agent-1 --attest brief        if it is true
    [exit 4]
    "#);
    room.ok(&["claim", "--work-item", "SHOP-7", "--step", "design", "--attest", "brief"]);
    let design = ["complete", "--work-item", "SHOP-7", "--step", "design", "--outcome", "agreed"];
    assert_snapshot!(room.run(&design), @r#"
    --- stderr
    error: design of SHOP-7 cannot be completed: 1 of 1 exit criteria is open
      ! adr  The decision record is merged
      nothing was recorded; design.1 is still yours
      next  stepseal complete --work-item SHOP-7 --step design --outcome agreed --verified adr        if it is true
    [exit 4]
    "#);
    let mut shown = design.to_vec();
    shown.extend(["--verified", "adr=docs/adr/7.md"]);
    room.ok(&shown);
    room.ok(&["claim", "--work-item", "SHOP-7", "--step", "schema"]);
    let schema = [
        "complete",
        "--work-item",
        "SHOP-7",
        "--step",
        "schema",
        "--outcome",
        "carts",
        "--verified",
        "reversible",
        "--run-checks",
    ];
    assert_snapshot!(room.run(&schema), @r#"
    --- stderr
    error: the check of migrated failed: exit 1
      ran    test -f migrated
      shows  A fresh database migrates
      nothing was recorded; schema.1 is still yours
    [exit 4]
    "#);
    room.write("migrated", "");
    let ran = room.run(&schema);
    assert_eq!(ran.code, 0, "{ran}");
    assert!(ran.stdout.contains("check      migrated   test -f migrated   exit 0"), "{ran}");
    assert!(ran.stdout.contains("completed  SHOP-7 schema (schema.1) by agent-1"), "{ran}");
    assert!(ran.stdout.contains("done       every step of SHOP-7"), "{ran}");
}

#[test]
fn a_broken_workflow_shows_the_line_and_what_was_meant() {
    let room = Room::with_ledger();
    room.write(
        "broken.yaml",
        "name: broken\nsteps:\n  - { key: api }\n  - { key: web }\n  - key: e2e\n    needs: [api, wep]\n",
    );
    assert_snapshot!(room.run(&["workflow", "show", "broken.yaml"]), @r#"
    --- stderr
    error: broken.yaml: step `e2e` needs `wep`, which is no step of this workflow
     --> broken.yaml:6:18
      |
    6 |     needs: [api, wep]
      |                  ^^^ did you mean `web`?
    [exit 2]
    "#);
    room.write("cycle.yaml", "name: c\nsteps:\n  - { key: a, needs: [b] }\n  - { key: b }\n");
    assert_snapshot!(room.run(&["workflow", "show", "cycle.yaml"]), @r#"
    --- stderr
    error: cycle.yaml: these steps wait for each other: `a` needs `b`, `b` is sequential and comes after `a`
     --> cycle.yaml:3:23
      |
    3 |   - { key: a, needs: [b] }
      |                       ^
    4 |   - { key: b }
      |            - `b` is sequential and comes after `a`
    [exit 2]
    "#);
    room.write("typo.toml", "name = \"t\"\n[[steps]]\nkey = \"a\"\nneed = [\"b\"]\n");
    assert_snapshot!(room.run(&["workflow", "show", "typo.toml"]), @r#"
    --- stderr
    error: typo.toml: `need` is no field here
     --> typo.toml:4:1
      |
    4 | need = ["b"]
      | ^^^^ did you mean `needs`?
    [exit 2]
    "#);
    room.write("twice.json", "{\"name\": \"t\", \"steps\": [{\"key\": \"a\", \"key\": \"b\"}]}\n");
    assert_snapshot!(room.run(&["workflow", "show", "twice.json"]), @r#"
    --- stderr
    error: twice.json: `key` stands here twice
     --> twice.json:1:42
      |
    1 | {"name": "t", "steps": [{"key": "a", "key": "b"}]}
      |                                          ^
    [exit 2]
    "#);
    room.write("kind.yaml", "name: k\nversion: two\nsteps: [{ key: a, needs: b }]\n");
    assert_snapshot!(room.run(&["workflow", "show", "kind.yaml"]), @r#"
    --- stderr
    error: kind.yaml: expected a whole number from 0 to 4294967295, found `two`
     --> kind.yaml:2:10
      |
    2 | version: two
      |          ^^^
    [exit 2]
    "#);
    room.write("list.yaml", "name: k\nsteps:\n  - key: a\n    needs: b\n    gate: review\n");
    assert_snapshot!(room.run(&["workflow", "show", "list.yaml"]), @r#"
    --- stderr
    error: list.yaml: expected a list, found `b`
     --> list.yaml:4:12
      |
    4 |     needs: b
      |            ^
    [exit 2]
    "#);
    room.write("word.yaml", "name: k\nsteps:\n  - { key: a, gate: { kind: revew } }\n");
    assert_snapshot!(room.run(&["workflow", "show", "word.yaml"]), @r#"
    --- stderr
    error: word.yaml: `revew` is not known here
     --> word.yaml:3:29
      |
    3 |   - { key: a, gate: { kind: revew } }
      |                             ^^^^^ did you mean `review`?
    [exit 2]
    "#);
    room.write("stepseal.toml", "[ledger]\nbranhc = \"x\"\n");
    let ran = room.run(&["status"]);
    assert_eq!(ran.code, 2, "{ran}");
    assert!(ran.stderr.starts_with("error: unknown key ledger.branhc\n  --> "), "{ran}");
    assert!(ran.stderr.ends_with("stepseal.toml:2\n  did you mean ledger.branch?\n"), "{ran}");
}

/// What was asked for and cannot be had is said, and the hint is one that works.
#[test]
fn gates_of_an_item_that_is_there_are_compared() {
    let room = albums();
    room.ok(&DELEGATE);
    let again = |gates: &str| room.run(&[&DELEGATE[..], &["--gates", gates]].concat());
    assert_snapshot!(again("drop"), @r#"
    --- stderr
    error: ALBUMS was delegated with gates checkpoint-2, checkpoint-3, and --gates drop cannot change that
      gates are decided one by one, or the plan is delegated as another item
      next  stepseal status ALBUMS
    [exit 6]
    "#);
    assert_snapshot!(again("keep"), @r#"
    unchanged  ALBUMS is already on this plan (001-albums@1): nothing recorded
    --- stderr
    next  stepseal status ALBUMS
    "#);
    // Not asked for in words: said, and no failure.
    room.write("stepseal.toml", "[plan]\ngates = \"drop\"\n");
    assert_snapshot!(room.run(&DELEGATE), @r#"
    unchanged  ALBUMS is already on this plan (001-albums@1): nothing recorded
    --- stderr
    warning: plan.gates is `drop` now, and ALBUMS was delegated with gates checkpoint-2, checkpoint-3: its gates stay
    next  stepseal status ALBUMS
    "#);
    // A passed checkpoint that waits after all is another gate too.
    let done = ALBUMS.replace("- [ ] T00", "- [x] T00");
    let room = Room::with_ledger();
    room.write("specs/001-albums/tasks.md", &done);
    room.ok(&DELEGATE);
    let ran = room.run(&[&DELEGATE[..], &["--gates", "ask"]].concat());
    assert_eq!(ran.code, 6, "{ran}");
    room.write("w.yaml", "name: w\nsteps: [{ key: a }]\n");
    let ran = room.run(&["delegate", "--plan", "w.yaml", "--work-item", "W", "--gates", "drop"]);
    assert_eq!(ran.code, 0, "{ran}");
    assert!(ran.stderr.contains("warning: --gates does nothing here"), "{ran}");
}

#[test]
fn a_dry_run_knows_that_nothing_may_start_yet() {
    let room = Room::with_ledger();
    room.write(
        "soon.yaml",
        "name: soon\neffective: { from: 2026-12-01T00:00:00Z }\nsteps: [{ key: a }]\n",
    );
    assert_snapshot!(room.run(&["delegate", "--plan", "soon.yaml", "--dry-run"]), @r#"
    soon  soon · native workflow, YAML
    1 step: 1 task and 0 gates · never more than 1 at once

    wave	phase	steps	
    1		a	
    --- stderr
    warning: items may start on it from 2026-12-01T00:00:00+00:00: delegated now, it would be refused

    dry run: nothing was recorded
    "#);
    let ran = room.run(&["delegate", "--plan", "soon.yaml"]);
    assert_eq!(ran.code, 4, "as the dry run said: {ran}");
}

/// Whoever holds a step is told to end it, wherever it is: a claim would be refused.
#[test]
fn hints_know_what_the_executor_holds_elsewhere() {
    let room = Room::with_ledger();
    room.write(
        "w.yaml",
        "name: w\nsteps: [{ key: a }, { key: b, gate: { kind: review } }, { key: c }]\n",
    );
    for id in ["ONE", "TWO"] {
        room.ok(&["delegate", "--plan", "w.yaml", "--work-item", id]);
    }
    let a = |id: &'static str| ["--work-item", id, "--step", "a"];
    room.ok(&[&["claim"], &a("TWO")[..], &["--executor", "agent-2"]].concat());
    let done = ["--outcome", "x", "--executor", "agent-2"];
    room.ok(&[&["complete"], &a("TWO")[..], &done].concat());
    room.ok(&[&["claim"], &a("ONE")[..]].concat());
    let hint = "next  stepseal complete --work-item ONE --step a --outcome \"…\"        agent-1 holds it; one task at a time\n";
    for args in [
        &["gate", "approve", "--work-item", "TWO", "--step", "b", "--reason", "good"][..],
        &["delegate", "--plan", "w.yaml", "--work-item", "THREE"],
        &["status", "TWO"],
        &["status"],
        &["claim", "--work-item", "TWO", "--step", "a"],
    ] {
        let ran = room.run(args);
        assert!(
            ran.stderr.ends_with(hint) || ran.stderr.ends_with(&format!("  {hint}")),
            "{args:?} {ran}"
        );
    }
    // Somebody else may take it.
    let ran = room.run_as("agent-3", &["status", "TWO"]);
    assert!(ran.stderr.ends_with("next  stepseal claim --work-item TWO --step c\n"), "{ran}");
}

#[test]
fn claim_next_says_what_it_passed_over() {
    let room = Room::with_ledger();
    for id in ["GOOD", "BAD"] {
        room.ok(&["delegate", "--prompt", id, "--work-item", id]);
    }
    let path = room.ledger_file("BAD/000001-_item-work-item-registered.json");
    room.tamper(&[(&path, Some("{}\n"))]);
    let ran = room.run(&["claim", "--next"]);
    assert_eq!(ran.code, 0, "{ran}");
    assert!(ran.stdout.starts_with("claimed  GOOD "), "{ran}");
    assert!(
        ran.stderr.contains("warning: BAD cannot be read and was passed over: stepseal verify\n"),
        "{ran}"
    );
    let ran = room.run_as("agent-2", &["claim", "--next"]);
    assert_snapshot!(ran, @r#"
    nothing  is ready to be claimed
    --- stderr
    warning: BAD cannot be read and was passed over: stepseal verify
    next  stepseal verify
    [exit 1]
    "#);
    let (code, said) = room.json(&["claim", "--next", "--executor", "agent-2"]);
    assert_eq!((code, &said["stopped"]), (1, &serde_json::json!(["BAD"])));
}

#[test]
fn what_is_not_built_is_refused_and_never_ignored() {
    let room = Room::with_ledger();
    for (text, what) in [
        ("[ledger]\nsignCommits = true\n", "signed commits"),
        ("[plan]\nstories = \"parallel\"\n", "user stories in parallel"),
    ] {
        room.write("stepseal.toml", text);
        let ran = room.run(&["status"]);
        assert_eq!(ran.code, 2, "{ran}");
        assert!(ran.stderr.contains(what), "{ran}");
    }
}

#[test]
fn the_seed_smoke_test_runs_as_written() {
    let room = Room::with_ledger();
    let delegated = room.run(&[
        "delegate",
        "--non-interactive",
        "--quiet",
        "--prompt",
        "Generate schedule",
        "--structured-work-item",
        "ID",
    ]);
    assert_eq!((delegated.code, delegated.stdout.as_str()), (0, ""), "{delegated}");
    room.ok(&[
        "claim",
        "--work-item",
        "ID",
        "--step",
        "phase-setup",
        "--attempt",
        "phase-setup-local",
    ]);
    room.ok(&[
        "complete",
        "--work-item",
        "ID",
        "--step",
        "phase-setup",
        "--attempt",
        "phase-setup-local",
        "--outcome",
        "set up",
        "--next-action",
        "phase-tests",
    ]);
    let export: serde_json::Value =
        serde_json::from_str(&room.ok(&["export", "--stdout"])).expect("one document");
    let steps = &export["items"][0]["item"]["steps"];
    assert_eq!(steps[0]["key"], "phase-setup");
    assert_eq!(steps[0]["state"], "done");
    assert_eq!(steps[0]["attempts"][0]["alias"], "phase-setup-local");
    assert_eq!(steps[1]["state"], "ready");
    let next = steps[0]["attempts"][0]["nextAction"].as_str();
    assert_eq!(next, Some("phase-tests"));
}
