//! Plans as they are delegated: every native feature, and real spec-kit plans to the end under
//! the product's own scheduler.

use std::path::Path;

use stepseal::artifact;
use stepseal::plan::{self, Gates, PlanFormat, PlanOptions, PlanText};

use crate::kit::Room;

/// Every feature of a native workflow file.
const EVERYTHING: &str = "
schema: stepseal/workflow/1
name: checkout
version: 2
title: Checkout, from design to production
effective: { from: 2026-11-01T00:00:00Z, to: 2027-06-30T00:00:00Z }
steps:
  - key: design
    title: Agree the flow
    role: product
    entry: [{ id: brief, text: The brief names the markets }]
    exit: [{ id: adr, text: The decision record is merged }]
    done: A developer who was not in the room can build from it
  - key: schema
    exit:
      - { id: reversible, text: Runs down and up again }
      - { id: migrated, text: Migrates, check: { run: [./migrate, --fresh], timeout: 5m } }
  - key: api
    order: 3
    parallelizable: true
    execute: { run: [./agent.sh, api], timeout: 45m }
    retry: { max: 2, on: [failed, rejected] }
  - { key: web, order: 3, parallelizable: true }
  - { key: e2e, order: 4, parallelizable: true, needs: [api, web], constraints: [staging] }
  - { key: load, order: 4, parallelizable: true, needs: [api], constraints: [staging] }
  - key: review
    order: 5
    gate: { kind: review, approvers: { roles: [tech-lead] }, rejectTo: api, selfReview: refused }
  - { key: deploy, order: 6, constraints: ['global:production'] }
  - { key: wave-a, order: 7, parallelizable: true, group: wave }
  - { key: wave-b, order: 7, parallelizable: true, group: wave, needs: [wave-a] }
  - { key: notes, order: 8, parallelizable: true, needs: [design], crossesGates: true }
  - key: go-live
    order: 9
    description: Open the flag
    gate: { kind: release, approvers: { roles: [product], ids: [release-manager] }, quorum: 2, rejectTo: deploy }
";

fn read(text: &str, name: &str) -> plan::PlanDraft {
    let plan = PlanText { text, path: Some(name) };
    plan::read(plan, &PlanOptions::default()).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn every_native_feature_is_read_and_kept() {
    let yaml = read(EVERYTHING, "w.yaml");
    let (_, bytes) = artifact::compile(&yaml.definition).expect("a sound workflow");
    let sealed = String::from_utf8(bytes).expect("text");
    for kept in [
        "\"effective\"",
        "\"entry\"",
        "\"timeout\": \"45m\"",
        "\"retry\"",
        "\"global:production\"",
        "\"quorum\": 2",
        "\"selfReview\": \"refused\"",
        "\"crossesGates\": true",
        "\"group\": \"wave\"",
        "\"done\"",
        "\"description\"",
    ] {
        assert!(sealed.contains(kept), "{kept} is lost:\n{sealed}");
    }
    // The sealed definition is a workflow file itself, and means the same.
    let json = read(&sealed, "w.json");
    assert_eq!(json.definition, yaml.definition);
    assert_eq!(json.format, PlanFormat::Json);
}

#[test]
fn toml_says_the_same_as_yaml() {
    let toml = "
name = \"t\"
version = 3
[effective]
from = 2026-11-01T00:00:00Z
[[steps]]
key = \"a\"
exit = [{ id = \"x\", text = \"It runs\" }]
[[steps]]
key = \"b\"
parallelizable = true
needs = []
";
    let yaml = "
name: t
version: 3
effective: { from: 2026-11-01T00:00:00Z }
steps:
  - { key: a, exit: [{ id: x, text: It runs }] }
  - { key: b, parallelizable: true, needs: [] }
";
    assert_eq!(read(toml, "w.toml").definition, read(yaml, "w.yaml").definition);
}

/// A definition of more than a mebibyte is sealed and read like any other.
#[test]
fn a_plan_of_six_thousand_tasks_is_delegated_and_read_again() {
    let room = crate::kit::Room::with_ledger();
    let mut plan = String::from("# Tasks: Big\n\n## Phase 1: All of it\n");
    for n in 1..=6000 {
        plan.push_str(&format!("- [ ] T{n:04} Do the thing with the number {n} in src/f{n}.rs\n"));
    }
    room.write("specs/big/tasks.md", &plan);
    room.ok(&["delegate", "--plan", "specs/big", "--work-item", "BIG"]);
    let definition = room.ledger_text(&room.ledger_file("/v1.json"));
    assert!(definition.len() > 1024 * 1024, "{}", definition.len());
    let (code, status) = room.json(&["status", "BIG"]);
    assert_eq!((code, &status["item"]["stepsTotal"]), (0, &serde_json::json!(6000)));
    room.ok(&["claim", "--work-item", "BIG", "--step", "T0001"]);
    room.ok(&["verify", "--deep"]);
}

#[test]
fn hostile_files_are_refused_with_a_reason() {
    let bomb = format!(
        "name: x\nsteps: [{{ key: a }}]\na: &a [x,x,x,x,x,x,x,x,x]\n{}",
        (1..9).map(|n| format!("b{n}: &b{n} [*a,*a,*a,*a,*a,*a,*a,*a]\n")).collect::<String>()
    );
    for (name, text, why) in [
        ("w.yaml", "name: x\nname: y\nsteps: [{ key: a }]\n", "twice"),
        ("w.yaml", "name: x\nsteps: [{ key: a, parallelizable: yes }]\n", ""),
        ("w.yaml", "name: x\nsteps: []\n", "at least one step"),
        ("w.yaml", "name: x\nsteps: [{ key: a }, { key: A }]\n", "differ only in case"),
        ("w.yaml", "name: x\nsteps: [{ key: a, group: g, crossesGates: true }]\n", "crossesGates"),
        ("w.yaml", "name: ../x\nsteps: [{ key: a }]\n", ""),
        ("w.yaml", bomb.as_str(), ""),
        ("w.json", "{\"name\": \"x\", \"steps\": [{\"key\": \"a\"}]} trailing", "trailing"),
        ("w.json", "{\"name\": \"x\", \"version\": 1e30, \"steps\": [{\"key\": \"a\"}]}", ""),
        ("w.toml", "name = \"x\"\nname = \"y\"\n", "twice"),
        ("tasks.md", "<<<<<<< HEAD\n- [ ] T001 a\n", "conflict marker"),
        ("notes.md", "nothing to do here\n", "no plan"),
        ("tasks.md", "nothing to do here\n", "no tasks found"),
        ("tasks.md", "", "empty"),
    ] {
        let plan = PlanText { text, path: Some(name) };
        let error = match plan::read(plan, &PlanOptions::default()) {
            Ok(draft) => panic!("{text:?} was read as {:?}", draft.definition),
            Err(error) => error.to_string(),
        };
        assert!(error.contains(why), "{text:?}: {error}");
    }
}

#[test]
fn errors_are_where_people_count_lines_and_characters() {
    for (name, text, line, column) in [
        // To YAML a carriage return alone ends a line, to editors it does not.
        ("w.yaml", "name: a\rb\rc\nsteps: [{ key: 1 ]\n", 1, 9),
        ("w.yaml", "name: x\n\rsteps:\n  - { key: a, needs: [b", 3, 22),
        ("w.yaml", "name: x\nsteps: [{ key: a, title: \"é\", order: x }]\n", 2, 38),
        ("w.yaml", "name: x\nsteps:\n  - key: a\n    title: \"é\"\n    needs: [é]\n", 5, 13),
        ("w.json", "{ \"title\": \"é\", oops", 1, 17),
        ("w.json", "{ \"name\": \"x\",\n\"é\": 1 }", 2, 3),
        ("w.toml", "name = \"é\" oops\n", 1, 12),
    ] {
        let plan = PlanText { text, path: Some(name) };
        let error = plan::read(plan, &PlanOptions::default()).expect_err("broken");
        let at = error.at.expect("a place");
        assert_eq!((at.line, at.column), (line, column), "{text:?}: {error}");
    }
}

#[test]
fn a_published_version_never_changes() {
    let room = Room::with_ledger();
    room.write("w.yaml", "name: w\nsteps: [{ key: a }]\n");
    room.ok(&["delegate", "--plan", "w.yaml", "--work-item", "ONE"]);
    room.write("w.yaml", "name: w\nsteps: [{ key: a }, { key: b }]\n");
    let (code, refusal) = room.json(&["delegate", "--plan", "w.yaml", "--work-item", "TWO"]);
    assert_eq!((code, refusal["reason"].as_str()), (4, Some("version-taken")), "{refusal:#}");
    room.write("w.yaml", "name: w\nversion: 2\nsteps: [{ key: a }, { key: b }]\n");
    room.ok(&["delegate", "--plan", "w.yaml", "--work-item", "TWO"]);
    let (_, status) = room.json(&["status", "ONE"]);
    assert_eq!(status["item"]["workflow"]["version"], 1, "an item keeps its version");
    let (code, refusal) = room.json(&["delegate", "--plan", "w.yaml", "--work-item", "ONE"]);
    assert_eq!((code, refusal["reason"].as_str()), (6, Some("other-plan")), "{refusal:#}");
    let (code, refusal) = room.json(&["delegate", "--prompt", "x", "--work-item", "one"]);
    assert_eq!((code, refusal["reason"].as_str()), (6, Some("case-twin")), "{refusal:#}");
}

/// The plans beside the project; without them this says so and passes, unless they are required.
fn corpus(kind: &str) -> Option<Vec<(String, String)>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus").join(kind);
    let Ok(entries) = std::fs::read_dir(&dir) else {
        let required = std::env::var("STEPSEAL_TEST_REQUIRE").is_ok_and(|v| v == "all");
        assert!(!required, "{} is not there", dir.display());
        crate::kit::skipped(&format!("the plans of {} are not there", dir.display()));
        return None;
    };
    let mut files: Vec<(String, String)> = entries
        .map(|entry| {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            (name, std::fs::read_to_string(&path).expect("text"))
        })
        .collect();
    files.sort();
    Some(files)
}

#[test]
fn real_plans_run_to_the_end_under_the_products_scheduler() {
    let Some(files) = corpus("speckit") else { return };
    let (mut read, mut steps, mut refused) = (0, 0, 0);
    for (name, text) in files {
        for gates in [Gates::Keep, Gates::Drop, Gates::Ask] {
            let options = PlanOptions { format: Some(PlanFormat::SpecKit), gates };
            let plan = PlanText { text: &text, path: Some("specs/x/tasks.md") };
            let draft = match plan::read(plan, &options) {
                Ok(draft) => draft,
                Err(error) => {
                    assert!(error.at.is_some(), "{name} is refused without a line: {error}");
                    refused += 1;
                    continue;
                }
            };
            let (workflow, _) = artifact::compile(&draft.definition).expect("a sound workflow");
            let mut done: Vec<bool> = workflow
                .steps()
                .iter()
                .map(|step| draft.imported.iter().any(|imported| imported.key == step.key))
                .collect();
            let mut waves = 0;
            while done.iter().any(|done| !done) {
                let open = workflow.graph().open(&done);
                let wave: Vec<usize> = (0..done.len()).filter(|&at| open[at]).collect();
                assert!(!wave.is_empty(), "{name} deadlocks in wave {waves}");
                for at in wave {
                    done[at] = true;
                }
                waves += 1;
            }
            read += 1;
            steps += done.len();
        }
    }
    assert!(read > 320 && steps > 19_000, "{read} reads, {steps} steps, {refused} refusals");
}

#[test]
fn plans_of_other_tools_are_not_guessed_at() {
    let read = |text: &str, path: &str| {
        plan::read(PlanText { text, path: Some(path) }, &PlanOptions::default())
    };
    for (kind, own) in
        [("kiro", ".kiro/specs/x/tasks.md"), ("openspec", "openspec/changes/x/tasks.md")]
    {
        let Some(files) = corpus(kind) else { return };
        for (name, text) in files {
            assert!(read(&text, &name).is_err(), "{name} is read under its own name");
            assert!(read(&text, own).is_err(), "{name} is read from {own}");
            // Moved into a folder of spec-kit's, its numbers still say whose it is.
            let moved = read(&text, "specs/x/tasks.md");
            assert!(kind != "kiro" || moved.is_err(), "{name} is read as a list of boxes");
        }
    }
    let Some(files) = corpus("plain") else { return };
    for (name, text) in files {
        assert!(read(&text, &name).is_err(), "{name} is read under its own name");
    }
}
