//! The styles without the template's box and id: C (no ids), D (bullets) and E (plain lines).

use stepseal::plan::draft::DraftState;
use stepseal::plan::speckit::{self, Style};
use stepseal::plan::{self, PlanFormat, PlanOptions, PlanText};

use crate::speckit_rules::{keys, needs, quiet, read, refused, step, warned, waves};

// ---- C, numbered headings ----------------------------------------------------------------

#[test]
fn numbered_headings_are_tasks_and_their_boxes_are_not() {
    let draft = read(
        "# Implementation Tasks: Booking\n**Total Tasks**: 5\n## Phase 0: Research\n\
         ### Task 0.1: Study the API [P]\n**Dependencies**: None\n**Acceptance Criteria**:\n\
         - [ ] noted in docs/api.md\n  - [ ] twice\n---\n### Task 0.2 - Numbers [P]\n- [ ] 4 digits\n\
         ## Phase 1: Build\n### ✅ Task 1.1: Tables\n**Dependencies**: Task 0.1\n\
         ### - [x] Task 1.2: Rows\n### Task 1.10: Store\n**Status**: done\n#### Notes\n- [ ] deeper\n\
         ## Acceptance Checklist\n- [ ] all of it\n",
    );
    assert_eq!(draft.format, "spec-kit tasks, style C");
    assert_eq!(keys(&draft), ["Task-0.1", "Task-0.2", "Task-1.1", "Task-1.2", "Task-1.10"]);
    assert_eq!(waves(&draft), "Task-0.1 Task-0.2 | (Task-1.1) | (Task-1.2) | (Task-1.10)");
    assert_eq!(needs(&draft, "Task-1.1"), ["Task-0.1@14"]);
    assert_eq!(step(&draft, "Task-0.1").title, "Study the API");
    assert_eq!(step(&draft, "Task-0.2").title, "Numbers");
    assert_eq!(step(&draft, "Task-0.1").paths, ["docs/api.md"]);
    assert!(step(&draft, "Task-0.1").body.ends_with("  - [ ] twice"));
    assert!(step(&draft, "Task-1.10").body.ends_with("#### Notes\n- [ ] deeper"));
    let done = draft.steps.iter().filter(|s| s.state == DraftState::Done).count();
    assert_eq!(done, 3, "a tick before, a box in the heading, a status line");
    quiet(&draft);
}

/// What `### TASK 2.1` needs when its field says this, in a plan of two phases.
fn unit_needs(value: &str) -> Vec<String> {
    let mut plan = String::new();
    for (phase, count) in [(1, 12), (2, 1)] {
        plan.push_str(&format!("## Phase {phase}: p\n"));
        for nth in 1..=count {
            plan.push_str(&format!("### Task {phase}.{nth}: t\n"));
        }
    }
    plan.push_str(&format!("**Dependencies**: {value}\n"));
    needs(&read(&plan), "Task-2.1").into_iter().map(|need| need.replace("@16", "")).collect()
}

#[test]
fn the_ways_a_plan_names_numbered_tasks() {
    let listed = |keys: &[&str]| keys.iter().map(|k| format!("Task-{k}")).collect::<Vec<_>>();
    for (value, keys) in [
        ("Task 1.1", &["1.1"][..]),
        ("TASK-1.1 and task 1.2", &["1.1", "1.2"]),
        ("Task 1.2, Task 1.1", &["1.1", "1.2"]),
        ("Task 1.1, 1.2", &["1.1", "1.2"]),
        ("Tasks 1.9-1.11 complete", &["1.9", "1.10", "1.11"]),
        ("Tasks 1.9 through 1.11", &["1.9", "1.10", "1.11"]),
        ("Task 1.3、1.4", &["1.3", "1.4"]),
        ("Task 1.1测试完成", &["1.1"]),
        ("Task 1.1, 2 hours", &["1.1"]),
        ("Task 1.1 on version 1.2", &["1.1"]),
        ("Phase 1 complete", &[]),
        ("None", &[]),
        ("version 1.2 of the API", &[]),
    ] {
        assert_eq!(unit_needs(value), listed(keys), "{value}");
    }
}

#[test]
fn numbers_with_zeros_range_without_their_word() {
    let draft = read(
        "## Phase 1: a\n### TASK-001: a\n### TASK-002: b\n### TASK-003: c\n### TASK-004: d\n\
         **의존성**: TASK-001~003\n### TASK-005: e\n**의존성**: TASK-004, 2\n",
    );
    assert_eq!(needs(&draft, "TASK-004"), ["TASK-001@6", "TASK-002@6", "TASK-003@6"]);
    assert_eq!(needs(&draft, "TASK-005"), ["TASK-004@8"], "2 is no padded number");
    quiet(&draft);
}

#[test]
fn ids_of_a_feature_are_numbered_headings_too() {
    let draft = read(
        "## Phase 1: a\n### T2-001: Policy\n**Depends On**: None\n### T2-002: Keys\n\
         **Depends On**: T2-001\n### T2-003: All\n**Depends On**: T2-001 through T2-002\n\
         ## Resource Requirements\n- T2-001: 3 hours\n- T2-002: 4 hours\n- T2-003: 1 hour\n",
    );
    assert_eq!(keys(&draft), ["T2-001", "T2-002", "T2-003"]);
    assert_eq!(needs(&draft, "T2-003"), ["T2-001@7", "T2-002@7"]);
    assert_eq!(draft.format, "spec-kit tasks, style C");
}

#[test]
fn graphs_and_sections_order_numbered_tasks() {
    let plan = "## Phase 1: a\n### Task 1.1: a [P]\n### Task 1.2: b [P]\n### Task 1.3: c [P]\n";
    let draft = read(&format!(
        "{plan}## Dependencies\n```mermaid\ngraph TD\nA[Task 1.1 Setup] --> B[TASK-1.3]\n```\n"
    ));
    assert_eq!(needs(&draft, "Task-1.3"), ["Task-1.1@8"]);
    let draft = read(&format!("{plan}## Task Dependencies\n- Task 1.1 → 1.2 → 1.3\n"));
    assert_eq!(needs(&draft, "Task-1.2"), ["Task-1.1@6"]);
    assert_eq!(needs(&draft, "Task-1.3"), ["Task-1.2@6"]);
    let draft = read(&format!("{plan}## Dependencies\n- Tasks 1.1-1.2 must run sequentially\n"));
    assert_eq!(needs(&draft, "Task-1.2"), ["Task-1.1@6"]);
    let draft = read(&format!("{plan}## Dependencies\n- Task 9.9 blocks Task 1.2\n"));
    warned(&draft, 6, "names task-9.9, which the plan does not define");
}

#[test]
fn a_heading_of_several_tasks_is_a_block() {
    let draft = read(
        "# Task 1: the title\n## Phase 1: a\n### Tasks 1.1-1.2: both\n#### Task 1.1: a\n\
         #### Task 1.2: b\n### Task 2.1-2.2: more\n#### Task 2.1: c\n### Task 3 - 4 screens\n",
    );
    assert_eq!(keys(&draft), ["Task-1.1", "Task-1.2", "Task-2.1", "Task-3"]);
    assert_eq!(step(&draft, "Task-3").title, "4 screens");
    let draft = read(
        "### Task 1: group\n#### Task 1.1: a\n#### Task 1.2: b\n### Task 2: c\n- Depends on Task 1\n",
    );
    assert_eq!(keys(&draft), ["Task-1.1", "Task-1.2", "Task-2"]);
    assert_eq!(needs(&draft, "Task-2"), ["Task-1.1@5", "Task-1.2@5"]);
}

#[test]
fn a_box_beside_numbered_headings_is_refused() {
    let plan = "## Phase 1: a\n### Task 1: b\n- [ ] check\n## Phase 2: c\n- [ ] build it\n";
    let error = refused(plan);
    assert_eq!((error.line, error.related[0].0), (5, 2), "{}", error.message);
    assert!(error.message.contains("under no task heading"), "{}", error.message);
    let list = plan.replace("Phase 2: c", "Definition of Done");
    assert_eq!(keys(&read(&list)), ["Task-1"]);
}

// ---- C, boxes ----------------------------------------------------------------------------

const BOXES: &str = "\
# Tasks: control-center

## Task List

### Phase 1: Foundation

- [x]Scaffold the folders
  - [x] src/app/index.ts
  - plain words
- [x] **task-1**: Hook up
  - [ ] one
  - [ ] two
- [ ] ~~Old toolbar~~ (moved away)

### Phase 2: Components [P]

#### 2A: Node

**RED (Write Failing Tests First):**

- [ ] Write the test

**GREEN:**

- [ ] **Task 6 [P]:** Build src/a.ts
- [ ] **Task 7 [P]:** Build src/b.ts
- [ ] [P] Wire both in src/a.ts

**Acceptance Criteria:**

- [ ] it is blue

## Parallelization Notes

- [ ] not a task

## Acceptance Checklist

- [ ] All done
  - [ ] really
";

#[test]
fn boxes_without_ids_are_tasks_by_their_place() {
    let draft = read(BOXES);
    assert_eq!(draft.format, "spec-kit tasks, style C");
    assert_eq!(waves(&draft), "(1.1) | (task-1) | (1.3) | (2.1) | Task-6 Task-7 2.4");
    assert_eq!(draft.phases.iter().map(|p| p.label.as_str()).collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!(step(&draft, "1.1").title, "Scaffold the folders");
    assert_eq!(step(&draft, "1.1").body, "  - [x] src/app/index.ts\n  - plain words");
    assert_eq!(step(&draft, "task-1").title, "Hook up");
    assert_eq!(step(&draft, "Task-6").title, "Build src/a.ts");
    assert_eq!(needs(&draft, "2.4"), ["Task-6@27"], "both name src/a.ts");
    let states = ["1.1", "task-1", "1.3", "2.1"].map(|key| step(&draft, key).state);
    let (done, open) = (DraftState::Done, DraftState::Open);
    assert_eq!(states, [done, done, DraftState::Skipped, open]);
    let told: Vec<_> = draft.warnings.iter().map(|w| (w.line, w.message.as_str())).collect();
    assert_eq!(
        told,
        [
            (11, "task-1 is ticked on line 10, but boxes under it are not: done"),
            (13, "1.3 is imported as skipped: struck through"),
            (15, "[P] on a phase: its tasks keep their order, and so does the phase"),
            (31, "1 box in \"Acceptance Criteria\" left out: it defines no tasks"),
            (35, "1 box in \"Parallelization Notes\" left out: it defines no tasks"),
            (39, "2 boxes in \"Acceptance Checklist\" left out: it defines no tasks"),
        ]
    );
}

#[test]
fn boxes_are_numbered_by_their_phase_and_never_merged() {
    let draft = read(
        "## Phase 3.1: a\n- [ ] Run the tests\n## Phase B: b\n- [ ] Run the tests\n\
         ## Phase 3.1: again\n- [ ] Run the tests\n",
    );
    assert_eq!(keys(&draft), ["3.1.1", "B.1", "3.1-2.1"]);
    quiet(&draft);
    let draft = read("# Tasks: plain\n- [ ] first\n- [ ] second\n");
    assert_eq!(keys(&draft), ["box-1", "box-2"]);
    let draft = read("# T\n## Setup\n- [ ] a\n## Validation\n- [ ] b\n## Ship it\n- [ ] c\n");
    assert_eq!(keys(&draft), ["1.1", "2.1"], "headings without labels are counted");
    warned(&draft, 5, "1 box in \"Validation\" left out");
    let draft = read("## Phase 1: a\n- [ ] a\n### Validation\n- [ ] run it\n");
    assert_eq!(keys(&draft), ["1.1", "1.2"], "inside a phase it is work");
}

#[test]
fn a_box_under_a_box_is_part_of_it_however_deep() {
    let draft = read(
        "## Phase 1: a\n- Backend\n  - [ ] Server\n    - [ ] part\n\n      - [ ] of a part\n  - [ ] Store\n\
         - [ ] Client\n\t- [ ] tabbed\n\nWords at the margin.\n\n   - [ ] Third\n",
    );
    let titles: Vec<_> = draft.steps.iter().map(|step| step.title.as_str()).collect();
    assert_eq!(titles, ["Server", "Store", "Client", "Third"]);
    assert!(draft.steps[0].body.ends_with("of a part"));
    quiet(&draft);
}

#[test]
fn boxes_that_may_be_no_tasks_are_refused_with_their_line() {
    let phase = "## Phase 1: S\n- [ ] write it\n";
    for (text, line, words) in [
        (format!("{phase}## Governance\n- [ ] agree\n"), 4, "under no phase"),
        (format!("- [ ] before\n{phase}"), 1, "under no phase"),
        (format!("{phase}- [ ] 1.2 install\n"), 3, "Kiro"),
        (format!("{phase}- [ ] 3. install\n"), 3, "Kiro"),
        (format!("{phase}- [ ]* 2.3 optional\n"), 3, "Kiro"),
        (format!("{phase}### 1.1 Login\n- [ ] it works\n"), 4, "a check of the heading"),
        (format!("{phase}### 任务 2：登录\n- [ ] 可用\n"), 4, "a check of the heading"),
        (format!("{phase}### Thrust 2: Login\n#### Steps\n- [ ] works\n"), 5, "a check of"),
        (format!("{phase}#### 2A: Login\n- [ ] works\n"), 4, "a check of the heading"),
        ("## Acceptance Checklist\n- [ ] all\n- [ ] of\n- [ ] it\n".into(), 2, "no tasks"),
    ] {
        let error = refused(&text);
        assert_eq!(error.line, line, "{text:?}: {}", error.message);
        assert!(error.message.contains(words), "{text:?}: {}", error.message);
    }
    let draft =
        read(&format!("{phase}### Tests for User Story 1\n- [ ] Task 3 tests pass\n- [ ]\n"));
    assert_eq!(keys(&draft), ["1.1", "1.2"], "no colon, no name; an empty box is nothing");
}

#[test]
fn a_list_of_boxes_is_a_plan_of_spec_kit_only_by_name() {
    let text = "## Phase 1: a\n- [ ] a\n- [ ] b\n- [ ] c\n";
    assert_eq!(speckit::sniff(text), Some(Style::Nameless));
    let read = |path: &str, format| {
        let options = PlanOptions { format, ..PlanOptions::default() };
        plan::read(PlanText { text, path: Some(path) }, &options)
    };
    assert_eq!(read("specs/x/tasks.md", None).expect("named so").definition.steps.len(), 3);
    assert_eq!(read("tasks.md", None).expect("named so").format, PlanFormat::SpecKit);
    let unsure = read("TODO.md", None).expect_err("any list");
    assert!(unsure.hint.expect("a hint").contains("--plan-format spec-kit"));
    for (path, tool) in
        [("a/.kiro/specs/login/tasks.md", "Kiro"), ("openspec/changes/login/tasks.md", "OpenSpec")]
    {
        assert!(read(path, None).expect_err("another tool's").message.contains(tool));
        assert!(read(path, Some(PlanFormat::SpecKit)).is_ok(), "{path}: said to be one");
    }
}

// ---- D, bullets --------------------------------------------------------------------------

#[test]
fn bullets_with_ids_are_tasks() {
    let draft = read(
        "# Tasks: Subtree\n## Phase 0: Setup ✅\n- ✅ T001 [P] Add the manifest\n  - Path: `src/a.rs`\n\
         - **T002** [P]: Helpers\n- T003 Wire up [P]\n  - T001 must be there\n- 🚧 T004 Begin\n\
         ## Phase 1: Go\n- **T005 [Setup] [X]**: Ticked inside\n- [x] T006 Boxed\n\
         - **T007**: Ship\n  - **Prerequisites**: ✅ T005\n- T010–T012 MUST fail before T020 begins\n\
         ## Dependencies\n- T001 → T007\n- T003 depends on T002\n",
    );
    assert_eq!(draft.format, "spec-kit tasks, style D");
    assert_eq!(waves(&draft), "T001 T002 T003 | (T004) | (T005) | (T006) | (T007)");
    let done = draft.steps.iter().filter(|s| s.state == DraftState::Done).count();
    assert_eq!(done, 3);
    assert_eq!(step(&draft, "T001").paths, ["src/a.rs"]);
    assert_eq!(step(&draft, "T003").title, "Wire up");
    assert_eq!(step(&draft, "T003").body, "  - T001 must be there");
    assert_eq!(needs(&draft, "T003"), ["T002@17"]);
    assert_eq!(needs(&draft, "T007"), ["T005@13"]);
}

#[test]
fn a_bullet_that_only_says_something_defines_no_task() {
    let tasks = "## Phase 1: a\n- T001 Make\n- T002 Test\n- T003 Ship\n";
    let draft = read(&format!(
        "{tasks}- T002 depends on T001\n- T004 must wait\n- T001 [P] and T002 [P]\n- T001 → T003\n\
         ## Notes\n- T003 is late\n"
    ));
    assert_eq!(keys(&draft), ["T001", "T002", "T003"]);
    for (line, id) in [(5, "T002"), (6, "T004"), (7, "T001"), (8, "T001")] {
        warned(&draft, line, &format!("says something of {id} and defines no task"));
    }
    assert_eq!(draft.warnings.len(), 4, "notes are notes: {:#?}", draft.warnings);
    let draft = read(&format!("{tasks}- T004 Must-have docs\n- T005: may be dropped\n"));
    assert_eq!(keys(&draft).len(), 5, "a word of the title, and a colon");
}

#[test]
fn a_second_line_with_an_id_is_a_copy_or_refused() {
    for line in ["- {}", "{}"] {
        let line = |text: &str| line.replace("{}", text) + "\n";
        let tasks = ["T001: Make it", "T002: Test it", "T003: Ship it"].map(line).concat();
        let again =
            read(&format!("## Phase 1: a\n{tasks}## Phase 2: b\n{}", line("T002: test  it")));
        assert_eq!(keys(&again), ["T001", "T002", "T003"]);
        let error =
            refused(&format!("## Phase 1: a\n{tasks}## Phase 2: b\n{}", line("T002: Look")));
        assert_eq!((error.line, error.related[0].0), (6, 3), "{}", error.message);
        assert!(error.message.contains("T002 stands here again"), "{}", error.message);
    }
}

// ---- E, plain lines ----------------------------------------------------------------------

#[test]
fn plain_lines_with_ids_are_tasks_with_the_lines_below_them() {
    let draft = read(
        "# Tasks: CLI\n## Conventions\n- [P] = can run in parallel\n## Numbered Tasks\n\n\
         T001 — Scaffold tests [P]\n- File: `tests/a.spec.ts`\n\n- Agent: create\n\n\
         T002 — Contract tests [P]\n- File: `tests/a.spec.ts`\n- Depends on T001\n\n\
         T003: Models ✅\nT004 - Service\nT005 waits for nothing\n\
         ## Parallelization Guidance\n- T001–T002 can run in parallel\n\
         ## Dependencies\nT001 — before T004\n",
    );
    assert_eq!(draft.format, "spec-kit tasks, style E");
    assert_eq!(waves(&draft), "T001 T002 | (T003) | (T004)");
    assert_eq!(step(&draft, "T001").body, "- File: `tests/a.spec.ts`\n\n- Agent: create");
    assert_eq!(step(&draft, "T001").title, "Scaffold tests");
    assert_eq!(needs(&draft, "T002"), ["T001@13"]);
    assert_eq!(step(&draft, "T003").state, DraftState::Done);
    assert_eq!(draft.phases.len(), 1);
    warned(&draft, 21, "1 task line in \"Dependencies\" left out");
}

// ---- which style -------------------------------------------------------------------------

#[test]
fn the_style_is_that_of_most_lines_with_ids() {
    for (text, letter) in [
        ("- **T001**: a\n- ✅ T002 b\n- T003 [P] c\n", 'D'),
        ("- [ ] T009 stray\n- T001 a\n- T002 b\n- T003 c\n", 'D'),
        ("# X\nT001 — a [P]\nT002 — b\n", 'E'),
        ("### Task 3.6: Build\nwords\n", 'C'),
        ("## Phase 1: a\n- [ ] one\n- T001 says\n- [ ] two\n", 'C'),
        ("- T001 a\n  - [ ] x\n  - [ ] y\n\t- [ ] z\n- T002 b\n", 'D'),
        ("### Task 1: a\n- [ ] T001 check\n### Task 2: b\n### Task 3: c\n", 'C'),
        ("- [ ] T001 a\n- [ ] T002 b\n- [ ] T003 c\n### Task 1: a\n### Task 2: b\n", 'A'),
    ] {
        let format = read(text).format;
        assert!(format.ends_with(letter), "{text:?}: {format}");
    }
    let stray = read("- [ ] T009 stray\n- T001 a\n- T002 b\n- T003 c\n");
    assert_eq!(keys(&stray), ["T009", "T001", "T002", "T003"], "a box is a task here too");
}
