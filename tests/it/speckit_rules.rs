//! Every rule of the reader, each on a plan small enough to read.

use stepseal::plan::draft::{Draft, DraftState, DraftStep, NeedWhy, Unreadable};
use stepseal::plan::speckit::{self, Style};

pub(crate) fn read(text: &str) -> Draft {
    speckit::read(text).unwrap_or_else(|e| panic!("line {}: {}", e.line, e.message))
}

pub(crate) fn refused(text: &str) -> Unreadable {
    speckit::read(text).expect_err("refused")
}

pub(crate) fn keys(draft: &Draft) -> Vec<&str> {
    draft.steps.iter().map(|step| step.key.as_str()).collect()
}

pub(crate) fn step<'a>(draft: &'a Draft, key: &str) -> &'a DraftStep {
    let found = draft.steps.iter().find(|step| step.key == key);
    found.unwrap_or_else(|| panic!("no {key} in {:?}", keys(draft)))
}

/// `T002 T003 | T004` for two waves; sequential steps stand alone in brackets.
pub(crate) fn waves(draft: &Draft) -> String {
    let mut shown = String::new();
    let mut last = None;
    for step in &draft.steps {
        match &step.group {
            Some(group) if last == Some(group) => shown.push(' '),
            _ if shown.is_empty() => {}
            _ => shown.push_str(" | "),
        }
        last = step.group.as_ref();
        let sequential = !step.parallelizable;
        shown.push_str(&if sequential { format!("({})", step.key) } else { step.key.clone() });
    }
    shown
}

pub(crate) fn needs(draft: &Draft, key: &str) -> Vec<String> {
    step(draft, key).needs.iter().map(|need| format!("{}@{}", need.key, need.line)).collect()
}

pub(crate) fn warned(draft: &Draft, line: u32, words: &str) {
    let hit = draft.warnings.iter().any(|w| w.line == line && w.message.contains(words));
    assert!(hit, "no warning \"{words}\" on line {line}: {:#?}", draft.warnings);
}

pub(crate) fn quiet(draft: &Draft) {
    assert!(draft.warnings.is_empty(), "{:#?}", draft.warnings);
}

const ALBUMS: &str = "\
# Tasks: Photo albums

**Total Tasks**: 13

## Phase 1: Setup
- [x] T001 Create the project structure
- [ ] T002 [P] Configure linting in .eslintrc.json
- [ ] T003 [P] Add upload limits to src/config.ts

## Phase 2: Foundational (Blocking Prerequisites)
- [ ] T004 Create the album tables in migrations/001_albums.sql
- [ ] T005 [P] Album model in src/models/album.ts
- [ ] T006 [P] Photo model in src/models/photo.ts
- [ ] T007 [P] Album ordering rules in src/models/album.ts

**Checkpoint**: Models agreed, user stories can begin

## Phase 3: User Story 1 - Create an album (Priority: P1)
- [ ] T008 [P] [US1] Contract test in tests/contract/albums.test.ts
- [ ] T009 [US1] POST /albums in src/api/albums.ts (depends on T005, T006)
- [ ] ~~T010 [US1] Thumbnail worker in src/worker.ts~~ DEFERRED

**Checkpoint**: An album can be created

## Phase 4: Polish
- [ ] T011 Update docs/api.md
- [ ] T012 Run the quickstart
";

#[test]
fn the_sample_plan_reads_as_the_samples_show() {
    let draft = read(ALBUMS);
    assert_eq!(draft.title.as_deref(), Some("Photo albums"));
    assert_eq!(draft.format, "spec-kit tasks, style A");
    let phases: Vec<_> =
        draft.phases.iter().map(|p| (p.label.as_str(), p.title.as_str(), p.line)).collect();
    assert_eq!(
        phases,
        [
            ("1", "Setup", 5),
            ("2", "Foundational (Blocking Prerequisites)", 10),
            ("3", "User Story 1 - Create an album (Priority: P1)", 18),
            ("4", "Polish", 25),
        ]
    );
    assert_eq!(
        waves(&draft),
        "(T001) | T002 T003 | (T004) | T005 T006 T007 | (checkpoint-2) | T008 | (T009) | (T010) \
         | (checkpoint-3) | (T011) | (T012)"
    );
    assert_eq!(step(&draft, "T008").group.as_deref(), Some("wave-3"));
    let path = NeedWhy::SamePath("src/models/album.ts".into());
    let ordering = &step(&draft, "T007").needs;
    assert_eq!((ordering.len(), &ordering[0].key[..], &ordering[0].why), (1, "T005", &path));
    assert_eq!(needs(&draft, "T009"), ["T005@20", "T006@20"]);
    assert_eq!(step(&draft, "T001").state, DraftState::Done);
    assert_eq!(step(&draft, "T010").state, DraftState::Skipped);
    let gate = step(&draft, "checkpoint-2");
    assert_eq!((&gate.title[..], gate.line), ("Models agreed, user stories can begin", 16));
    let gate = gate.checkpoint.as_ref().expect("a checkpoint");
    assert_eq!((gate.reject_to.as_deref(), gate.already_passed), (Some("T004"), false));
    let told: Vec<_> = draft.warnings.iter().map(|w| (w.line, w.message.as_str())).collect();
    assert_eq!(
        told,
        [
            (3, "the plan says 13 tasks, 12 were found (T001 to T012)"),
            (21, "T010 is imported as skipped: struck through, DEFERRED"),
        ]
    );
    assert_eq!(draft.claimed_total, Some((13, 3)));
}

#[test]
fn line_endings_and_a_byte_order_mark_change_nothing() {
    let windows = format!("\u{feff}{}", ALBUMS.replace('\n', "\r\n"));
    assert_eq!(read(&windows), read(ALBUMS));
}

// ---- lines -------------------------------------------------------------------------------

#[test]
fn fences_comments_and_front_matter_define_nothing_and_keep_line_numbers() {
    let draft = read(
        "---\ndescription: a list\ntotal_tasks: 4\n---\n# Tasks: X\n```text\n- [ ] T900 example\n\
         ```\n<!-- - [ ] T901 hidden\n- [ ] T902 hidden -->\n## Phase 1: S\n\
         - [ ] T001 Keep `<!-- this -->` <!-- not this -->here\n~~~\n- [ ] T903 no\n~~~\n",
    );
    assert_eq!(keys(&draft), ["T001"]);
    assert_eq!(
        (step(&draft, "T001").line, &step(&draft, "T001").title[..]),
        (12, "Keep `<!-- this -->` here")
    );
    quiet(&draft);
}

#[test]
fn a_rule_at_the_top_is_no_front_matter_and_a_comment_that_never_ends_is_text() {
    let draft = read("---\n\n## Phase 1: S\n- [ ] T001 a <!-- b\n\n---\n- [ ] T002 c\n");
    assert_eq!(keys(&draft), ["T001", "T002"]);
    warned(&draft, 4, "never ends");
}

#[test]
fn a_fence_inside_a_fence_and_an_open_fence_are_told() {
    let draft = read("- [ ] T001 a\n\n```markdown\n```bash\nls\n```\n\ntext\n```\nend\n");
    warned(&draft, 4, "inside the fence of line 3");
    warned(&draft, 9, "never closed");
    let error = refused("- [ ] T001 a\n```\nx\n- [ ] T002 b\n");
    assert_eq!((error.line, error.related[0].0), (4, 2));
}

#[test]
fn box_marks_and_things_that_only_look_like_boxes() {
    let draft = read(
        "## Format\n- [P] tasks = different files\n- [US1] first story\n## Phase 1: S\n\
         - [x]T001 no space\n- [X] T002 big\n- [ ] T003 open\n- [~] T004 begun\n- [-] T005 begun\n\
         - [🔄] T006 begun\n- [✅] T007 ticked\n- [x  ] T008 padded\n- [] T009 empty\n\
         * [ ] T010 star\n1. [ ] T011 numbered\n - [ ] T012 one space\n- [ ] no id here\n\
         - [link](x/y.md) T013\n- [ ] T-shirt sizes\n- [ ] TypeScript\n",
    );
    let done: Vec<_> =
        draft.steps.iter().filter(|s| s.state == DraftState::Done).map(|s| &s.key[..]).collect();
    assert_eq!(done, ["T001", "T002", "T007", "T008"]);
    assert_eq!(draft.steps.len(), 12);
    quiet(&draft);
}

#[test]
fn ids_of_every_spelling() {
    let draft = read(
        "## Phase 1: S\n- [ ] T001-1 a\n- [ ] T031-MIN b\n- [ ] T015b c\n- [ ] T015B d\n- [ ] T1 e\n\
         - [ ] T012.1 f\n- [ ] **T016** g\n- [ ] `T017`: h\n- [ ] T018 — i\n- [ ] T019: j\n\
         - [ ] **T020: whole line bold**\n- [ ] T021 [ ] k\n- [ ] T022 [P] **Bold** start\n",
    );
    assert_eq!(
        keys(&draft),
        [
            "T001-1", "T031-MIN", "T015b", "T015B", "T1", "T012.1", "T016", "T017", "T018", "T019",
            "T020", "T021", "T022"
        ]
    );
    let title = |key| step(&draft, key).title.as_str();
    assert_eq!([title("T016"), title("T017"), title("T018"), title("T019")], ["g", "h", "i", "j"]);
    assert_eq!(
        [title("T020"), title("T021"), title("T022")],
        ["whole line bold", "k", "**Bold** start"]
    );
}

#[test]
fn long_ids_become_keys_that_differ() {
    let long = |end: &str| format!("T1{}-{end}", "-AB".repeat(30));
    let draft = read(&format!("- [ ] {} a\n- [ ] {} b\n- [ ] T002 c\n", long("CC"), long("DD")));
    assert_ne!(draft.steps[0].key, draft.steps[1].key);
    assert!(draft.steps.iter().all(|step| step.key.len() <= 64));
}

#[test]
fn tags_are_no_part_of_a_title() {
    let draft = read(
        "## Phase 1: S\n- [ ] T001 [P] [US1] a\n- [ ] T002 [US1+US2+US3] b\n- [ ] T003 [P1] c\n\
         - [ ] T004 [KR-001] [US-ALL] d [P]\n- [ ] T005 [TASK-US2] e\n- [ ] T006 [Authorize] on f\n\
         - [ ] T007 [US1/FR-3] g\n- [ ] T008 [the docs](a/b.md) h\n",
    );
    let all: Vec<_> = draft
        .steps
        .iter()
        .map(|s| (&s.title[..], s.story.as_deref().unwrap_or("-"), s.parallelizable))
        .collect();
    assert_eq!(
        all,
        [
            ("a", "US1", true),
            ("b", "US1+US2+US3", false),
            ("c", "-", false),
            ("d", "US-ALL", false),
            ("e", "TASK-US2", false),
            ("[Authorize] on f", "-", false),
            ("g", "US1/FR-3", false),
            ("[the docs](a/b.md) h", "-", false),
        ]
    );
    warned(&draft, 5, "not after its id");
}

#[test]
fn nested_lines_are_the_body_and_wrapped_words_too() {
    let draft = read(
        "## Phase 1: S\n- [ ] T001 Wire it\n  carried on\n  - [ ] a nested box\n    - deeper in lib/x.rs\n\
         \n  still nested\n\nProse of the phase.\n- [ ] T002 Next\nlazy words\n- a bullet of the phase\n",
    );
    assert_eq!(
        step(&draft, "T001").body,
        "  carried on\n  - [ ] a nested box\n    - deeper in lib/x.rs\n\n  still nested"
    );
    assert_eq!(step(&draft, "T001").paths, ["lib/x.rs"]);
    assert_eq!(step(&draft, "T002").body, "lazy words");
}

#[test]
fn a_path_is_a_token_with_a_slash_and_an_extension() {
    let draft = read(
        "- [ ] T001 Edit `D:/win/a b.ts`, ./src/a.ts:42, src\\b.cs, app/[id]/page.tsx. See \
         https://x.y/z.html, and/or v1.0, src/dir/, package.json, `${ROOT}/c.yml`, 在docs/设计.md中, 见lib/d.rs。\n",
    );
    assert_eq!(
        step(&draft, "T001").paths,
        ["src/a.ts", "src/b.cs", "app/[id]/page.tsx", "${ROOT}/c.yml", "lib/d.rs"]
    );
}

// ---- sections ----------------------------------------------------------------------------

#[test]
fn phase_labels_of_every_kind_and_phantom_phases() {
    let draft = read(
        "## Phase 3.1: One\n- [ ] T001 a\n## Phase A - Two\n- [ ] T002 b\n## Phase N: Three\n\
         - [ ] T003 c\n## 🔧 Phase 0 : Quatre\n- [ ] T004 d\n## Phase 5 ⚠️ OBSOLETE\n### Phase 5A: Sub\n\
         - [ ] T005 e\n#### Phase 3B-2: Subsub\n- [ ] T006 f\n## 阶段 7: 准备\n- [ ] T007 g\n\
         ## Final Phase: Polish\n- [ ] T008 h\n## Governance\n- [ ] T009 i\n\
         ## Dependencies\n### Phase Dependencies\n- Setup first\n### Phase 3 (US1) again\n- [ ] T001 a\n",
    );
    let labels: Vec<_> = draft.phases.iter().map(|p| p.label.as_str()).collect();
    assert_eq!(labels, ["3.1", "A", "N", "0", "5A", "3B-2", "7", "8", "9"]);
    assert_eq!(draft.phases[8].title, "Governance");
    assert_eq!(draft.steps.len(), 9);
    warned(&draft, 24, "defines no tasks");
}

#[test]
fn tasks_under_no_heading_have_no_phase() {
    let draft = read("# Tasks: X\n- [ ] T001 a\n- [ ] T002 b\n**Checkpoint**: c\n");
    assert!(draft.phases.is_empty());
    assert_eq!(keys(&draft), ["T001", "T002", "checkpoint"]);
}

#[test]
fn sections_of_examples_never_define_tasks_again() {
    for name in [
        "Dependencies & Execution Order",
        "Parallel Example: User Story 1",
        "Notes",
        "Implementation Strategy",
        "Validation Checklist (gate)",
        "Task Details",
        "Path Conventions",
        "Format: `[ID] [P?]`",
        "依赖关系图",
        "병렬 실행 예제",
        "Dépendances",
    ] {
        let draft = read(&format!(
            "## Phase 1: S\n- [ ] T001 a\n## {name}\n- [ ] T001 again\n- [ ] T009 x\n"
        ));
        assert_eq!(keys(&draft), ["T001"], "{name}");
        warned(&draft, 4, "2 task lines in");
    }
    let draft =
        read("## Phase 1: Dependencies & Notes\n### Dependencies\n- [ ] T001 Install them\n");
    assert_eq!(keys(&draft), ["T001"]);
    for name in ["Formatting engine", "Dependency injection", "Parallel uploads", "Noteworthy"] {
        let draft = read(&format!("## {name}\n- [ ] T001 a\n"));
        assert_eq!(draft.phases[0].title, name);
    }
}

#[test]
fn a_box_that_names_several_tasks_is_none_and_says_so() {
    let draft = read("- [ ] T001-T005 the lot\n- [ ] T006, T007: both\n- [ ] T008 one\n");
    assert_eq!(keys(&draft), ["T008"]);
    warned(&draft, 1, "several tasks");
    warned(&draft, 2, "several tasks");
}

#[test]
fn phases_may_be_h1_headings() {
    let draft = read("# Phase 1: S\n- [ ] T001 a\n# Phase 2: M\n- [ ] T002 b\n");
    let labels: Vec<_> = draft.phases.iter().map(|p| &p.label[..]).collect();
    assert_eq!(labels, ["1", "2"]);
}

#[test]
fn dependencies_may_stand_before_the_tasks() {
    let draft = read(
        "## Dependencies\n- T001 blocks T002\n## Phase 1: S\n- [ ] T001 [P] a\n- [ ] T002 [P] b\n",
    );
    assert_eq!(needs(&draft, "T002"), ["T001@2"]);
}

// ---- waves -------------------------------------------------------------------------------

#[test]
fn waves_end_at_phases_at_h3_blocks_and_at_checkpoints_but_not_at_h4() {
    let draft = read(
        "## Phase 1: S\n### Tests\n- [ ] T001 [P] a\n#### Deeper\n- [ ] T002 [P] b\n### Code\n\
         - [ ] T003 [P] c\n**Checkpoint**: half\n- [ ] T004 [P] d\n## Phase 2: M\n- [ ] T005 [P] e\n- [ ] T006 f\n\
         - [ ] T007 [P] g\n",
    );
    assert_eq!(waves(&draft), "T001 T002 | T003 | (checkpoint-1) | T004 | T005 | (T006) | T007");
    assert!(draft.steps.iter().all(|step| step.needs.is_empty()));
    assert_ne!(step(&draft, "T003").group, step(&draft, "T004").group);
    let draft = read("## Phase 1: S\n#### A\n- [ ] T001 [P] a\n#### B\n- [ ] T002 [P] b\n");
    assert_eq!(waves(&draft), "T001 T002");
}

#[test]
fn tasks_of_one_wave_that_name_one_path_wait_for_each_other() {
    let draft = read(
        "## Phase 1: S\n- [ ] T001 [P] a in src/x.sol\n- [ ] T002 [P] b in src/y.sol\n\
         - [ ] T003 [P] c in `src/x.sol` and src/y.sol\n- [ ] T004 d in src/x.sol\n- [ ] T005 [P] e in src/x.sol\n",
    );
    assert_eq!(needs(&draft, "T003"), ["T001@4", "T002@4"]);
    assert_eq!(step(&draft, "T003").needs[1].why, NeedWhy::SamePath("src/y.sol".into()));
    assert!(needs(&draft, "T004").is_empty() && needs(&draft, "T005").is_empty());
}

#[test]
fn a_hostile_wave_stays_small() {
    let mut text = String::from("## Phase 1: S\n");
    for n in 1..=3000 {
        text.push_str(&format!("- [ ] T{n:04} [P] in src/x.rs\n"));
    }
    text.push_str(
        "## Dependencies\n- T0001-T3000 block T0001-T3000\n- T0001-T1500 block T1501-T3000\n",
    );
    let draft = read(&text);
    assert!(draft.steps.iter().all(|step| step.needs.len() <= 32));
    warned(&draft, 3004, "left to the plan's order");
}

// ---- states ------------------------------------------------------------------------------

#[test]
fn what_is_skipped_and_what_only_mentions_skipping() {
    let skipped = [
        "- [ ] ~~T001 whole title~~",
        "- [ ] ~~T002 whole~~ ⚠️ OBSOLETE",
        "- [~] T003 ~~whole~~ REMOVED: by x",
        "- [~] T004 [P] ~~whole~~ DEFERRED: later",
        "- [X] SKIP: T005 (a) - not needed",
        "- [x] T006 [P] [US2] **SKIPPED**: replaced",
        "- [ ] T007 DEFERRED until spring",
        "- [ ] T008 Add logging (SKIPPED - not for the MVP)",
        "- [ ] T009 Do x ⚠️ OBSOLETE (gone)",
        "- [ ] T010 PR text (DEFERRED - (when) ready)",
        "- [ ] T011 [US1] OBSOLETE",
        "- [ ] SKIPPED T012 a",
    ];
    let open = [
        "- [ ] T101 Use SELECT FOR UPDATE SKIP LOCKED",
        "- [ ] T102 SKIP LOCKED for the queue",
        "- [ ] T103 Skip the test run",
        "- [ ] T104 Row locks (SKIP LOCKED)",
        "- [ ] T105 ~~Redis~~ Postgres instead",
        "- [ ] T106 Remove OBSOLETE code paths",
        "- [ ] T107 Warn (protected file - SKIPPED)",
        "- [ ] T108 Print (SKIPPED) for each row that fails",
        "- [ ] T109 ~~half~~ of it",
        "- [ ] T110 Reject UNSKIPPED rows",
        "- [~] T111 measured; tuning DEFERRED",
    ];
    let text = format!("## Phase 1: S\n{}\n{}\n", skipped.join("\n"), open.join("\n"));
    let draft = read(&text);
    let state = |from: &str, s: DraftState| {
        let of = draft.steps.iter().filter(|step| step.key.starts_with(from));
        of.filter(|step| step.state != s).map(|step| &step.title[..]).collect::<Vec<_>>()
    };
    assert_eq!(state("T0", DraftState::Skipped), [""; 0]);
    assert_eq!(state("T1", DraftState::Open), [""; 0]);
    assert_eq!(draft.steps.len(), 23);
    warned(&draft, 2, "T001 is imported as skipped: struck through");
    warned(&draft, 6, "T005 is imported as skipped: SKIP");
    assert_eq!(step(&draft, "T001").title, "whole title");
    assert_eq!(step(&draft, "T105").title, "~~Redis~~ Postgres instead");
}

#[test]
fn a_tick_beside_an_open_box_is_told() {
    let draft = read("- [ ] T001 a ✅\n- [x] T002 b ✅\n- [ ] T003 c\n");
    warned(&draft, 1, "box is open");
    assert_eq!(draft.warnings.len(), 1);
    assert_eq!(step(&draft, "T001").title, "a");
}

#[test]
fn the_same_task_twice_is_one_step_and_open_if_any_copy_is() {
    let draft = read(
        "## Phase 1: S\n- [ ] T001 [US1] Make  a\n- [x] T001 [US1] make A\n- [x] T002 b\n- [x] T002 b\n",
    );
    assert_eq!(keys(&draft), ["T001", "T002"]);
    assert_eq!(step(&draft, "T001").state, DraftState::Open);
    assert_eq!(step(&draft, "T002").state, DraftState::Done);
    warned(&draft, 3, "one step, open because one copy is");
    warned(&draft, 5, "one step");
}

#[test]
fn a_repeated_id_with_other_words_is_named_by_its_phase() {
    let draft = read(
        "## Phase 3: A\n- [ ] T021 a\n## Phase 4: B\n- [ ] T021 b\n- [ ] T021 c\n\
         - [ ] T022 d (depends on T021)\n## Polish\n- [ ] T021 e\n",
    );
    assert_eq!(keys(&draft), ["T021", "T021-phase4", "T021-phase4-2", "T022", "T021-phase3"]);
    assert_eq!(needs(&draft, "T022"), ["T021-phase4@6"]);
    warned(&draft, 4, "other words on line 2");
}

#[test]
fn a_suffix_never_takes_the_name_of_a_later_task() {
    let draft = read("- [ ] T021 a\n- [ ] T021 b\n- [ ] T021-2 c\n");
    assert_eq!(keys(&draft), ["T021", "T021-3", "T021-2"]);
}

#[test]
fn a_phase_pasted_twice_is_one_phase() {
    let phase = "## Phase 9: P\n- [x] T133 [P] a\n- [x] T134 b\n\n**Checkpoint**: c\n\n";
    let draft = read(&format!("{phase}{phase}**Total Tasks**: 2\n"));
    assert_eq!(keys(&draft), ["T133", "T134", "checkpoint-9"]);
    assert_eq!(draft.phases.len(), 1);
    assert!(!draft.warnings.iter().any(|w| w.message.contains("the plan says")));
}

// ---- checkpoints -------------------------------------------------------------------------

#[test]
fn checkpoints_stand_where_their_lines_stand() {
    let draft = read(
        "## Phase 1: S\n**Checkpoint**: before\n- [x] T001 a\n- [ ] ~~T002 b~~\n**Checkpoint**: ✅ one\n\
         - [ ] T003 c\n**Final Checkpoint** — two\n### US1 Checkpoint\n- [ ] T004 d\n\
         ## Phase 2: Empty\n**Checkpoint**: nothing here\n## Phase 3: M\n- [ ] ~~T005 e~~\n- [ ] T006 f\n\
         **檢查點**: 三\n## Validation Checkpoints\n**Checkpoints**: many\n## Notes\n**Checkpoint**: no\n",
    );
    assert_eq!(
        keys(&draft),
        [
            "checkpoint-1",
            "T001",
            "T002",
            "checkpoint-1-2",
            "T003",
            "checkpoint-1-3",
            "T004",
            "T005",
            "T006",
            "checkpoint-3"
        ]
    );
    let gate = |key| step(&draft, key).checkpoint.clone().expect("a checkpoint");
    assert_eq!(gate("checkpoint-1").reject_to, None);
    assert!(!gate("checkpoint-1").already_passed);
    assert_eq!(gate("checkpoint-1-2").reject_to.as_deref(), Some("T001"));
    assert!(!gate("checkpoint-1-2").already_passed, "the first gate is still open");
    assert_eq!(gate("checkpoint-3").reject_to.as_deref(), Some("T006"));
    assert_eq!(step(&draft, "checkpoint-1-2").title, "✅ one");
}

#[test]
fn a_checkpoint_over_finished_work_is_passed() {
    let draft = read(
        "## Phase 1: S\n- [x] T001 a\n- [ ] T002 b (SKIPPED)\n**Checkpoint**: c\n- [x] T003 d\n**Checkpoint**: e\n\
         - [ ] T004 f\n**Checkpoint**: g\n",
    );
    let passed: Vec<_> = draft
        .steps
        .iter()
        .filter_map(|s| Some((s.checkpoint.as_ref()?.already_passed, s.state)))
        .collect();
    let done = (true, DraftState::Done);
    assert_eq!(passed, [done, done, (false, DraftState::Open)]);
}

// ---- edges -------------------------------------------------------------------------------

/// Ten parallel tasks, a statement under them; gives the needs of one.
fn said(section: &str, statement: &str, key: &str) -> Vec<String> {
    let mut text = String::from("## Phase 1: S\n");
    (1..=9).for_each(|n| text.push_str(&format!("- [ ] T00{n} [P] a\n")));
    text.push_str(&format!("- [ ] T010a [P] a\n## {section}\n{statement}\n"));
    let draft = read(&text);
    step(&draft, key).needs.iter().map(|need| need.key.clone()).collect()
}

#[test]
fn sentences_of_a_dependencies_section() {
    let two = ["T001", "T002"];
    let said = |statement, key| said("Dependencies & Execution Order", statement, key);
    assert_eq!(said("- T001-T002 block T005", "T005"), two);
    assert_eq!(said("- **T005** depends on T001 and T002", "T005"), two);
    assert_eq!(said("- Services (T005–T006) **after** models (T001–T002).", "T006"), two);
    assert_eq!(said("- Models (T001–T002) **block** services (T005–T006).", "T006"), two);
    assert_eq!(said("- T001, T002 must be completed before T005 begins", "T005"), two);
    assert_eq!(said("- T005/T006 depend on T001 & T002", "T006"), two);
    assert_eq!(
        said("- T009 depends on T001 (the model), T002 (the screen); T003 is free", "T009"),
        two
    );
    assert_eq!(
        said("- T005 and T006 should be apart (T006 depends on T001's handler)", "T006"),
        ["T001"]
    );
    assert_eq!(
        said(
            "- Model tasks T001~T002 unblock service tasks T005, which in turn unblock T006",
            "T006"
        ),
        ["T005"]
    );
    assert_eq!(said("- T001 through T002 required for T005", "T005"), two);
    assert_eq!(said("- T005 is blocked by T001", "T005"), ["T001"]);
    assert_eq!(said("- T005 depends on T001's and T002's output", "T005"), two);
    assert_eq!(said("- T003, T004 can run in parallel after T001-T002 complete", "T004"), two);
    assert_eq!(said("- T008~T010a depend on T007", "T010a"), ["T007"]);
    assert_eq!(said("- T005 依赖 T001、T002，必须顺序执行", "T005"), two);
    assert_eq!(said("- T005는 T001에 의존", "T005"), ["T001"]);
    assert_eq!(said("- T008, T009 sequential (same file)", "T009"), ["T008"]);
    for nothing in [
        "- **US3**: Depends on Phase 2 (T004 adds the field)",
        "- Setup (T001-T004) before everything",
        "- T001-T004 can run in parallel (no dependencies)",
        "- T001 is easy; T005 too",
        "- T003·T005는 T001 선행",
        "- T001 blocks the screen (T005 shows it)",
        "- T001 before anything else that anybody might want from T005",
        "- Tests written first (T001, T002), T005 needs review",
    ] {
        assert_eq!(said(nothing, "T005"), [""; 0], "{nothing}");
    }
}

#[test]
fn arrows_and_trees() {
    let deps = |statement, key| said("Dependencies", statement, key);
    assert_eq!(deps("T001 → T002 -> T005", "T005"), ["T002"]);
    assert_eq!(deps("1. T001 (db) ──> T005 (entity)", "T005"), ["T001"]);
    assert_eq!(deps("- Tests (T001-T002) → Implementation (T005-T006)", "T006"), ["T001", "T002"]);
    assert_eq!(deps("T001 → T002, T003 → T005", "T005"), ["T003"]);
    assert_eq!(deps("T001 → T002, T003 → T005", "T003"), [""; 0]);
    assert_eq!(deps("- T001 → Polish → T005", "T005"), [""; 0]);
    let tree = "```\nT001 (x)\n├── T002 (y)\n│   └── T005\n└── T006\n```";
    assert_eq!(deps(tree, "T002"), ["T001"]);
    assert_eq!(deps(tree, "T005"), ["T002"]);
    assert_eq!(deps(tree, "T006"), ["T001"]);
    let columns = "```\nT001 (x)  T003 (z)\n├── T002  ├── T005\n```";
    assert_eq!(deps(columns, "T005"), [""; 0]);
    assert_eq!(said("Parallel Example", "T001 → T005", "T005"), [""; 0]);
}

#[test]
fn sides_that_overlap_order_only_the_rest() {
    let text = "## Phase 1: S\n- [ ] T001 [P] a\n- [ ] T002 [P] b\n- [ ] T003 [P] c\n## Dependencies\n\
                - Tests (T001-T002) → Code (T002-T003)\n";
    let draft = read(text);
    assert_eq!(needs(&draft, "T003"), ["T001@6"]);
    warned(&draft, 6, "T002 on both sides");
}

#[test]
fn lower_tiers_keep_only_what_the_order_does_not_say() {
    let draft = read(
        "## Phase 1: S\n- [ ] T001 a\n- [ ] T002 [P] b\n- [ ] T003 [P] c\n## Phase 2: M\n- [ ] T004 d\n\
         ## Dependencies\n- T001 blocks T002, T003\n- T002 blocks T003, T004\n",
    );
    assert!(needs(&draft, "T002").is_empty() && needs(&draft, "T004").is_empty());
    assert_eq!(needs(&draft, "T003"), ["T002@9"]);
}

#[test]
fn lower_tiers_that_point_back_and_unknown_ids_are_told_once_a_line() {
    let draft = read(
        "## Phase 1: S\n- [ ] T001 a\n- [ ] T002 b\n- [ ] T003 c\n## Dependencies\n- T003 blocks T001, T002\n\
         - T041–T048 block T003\n- T002-T009 depend on T001\n",
    );
    warned(&draft, 6, "says T001 waits for T003, which stands later (and 1 more like it): ignored");
    warned(&draft, 7, "names T041, T048");
    warned(&draft, 8, "names T009");
    assert_eq!(draft.warnings.len(), 3);
}

#[test]
fn inline_edges_of_many_spellings() {
    for words in [
        "(depends on T001, T002)",
        "(depends: T001, T002)",
        "— depends on tasks T001 and T002",
        "(requires T001-T002)",
        "(after T001 & T002)",
        "(blocked by T001, T002)",
        "[deps: T001, T002]",
        "(依赖 T001、T002)",
        "(T001, T002 완료 후)",
        "(T001·T002에 의존)",
        "(dépend de T001 et T002)",
        "(T001-T002 完成后)",
    ] {
        let text = format!("- [ ] T001 a\n- [ ] T002 b\n- [ ] T003 c {words}\n");
        let draft = read(&text);
        assert_eq!(needs(&draft, "T003"), ["T001@3", "T002@3"], "{words}");
    }
    for words in [
        "see T001",
        "like T001, then more",
        "(depends on the T-shirt)",
        "after the T001 fiasco, maybe",
    ] {
        let draft = read(&format!("- [ ] T001 a\n- [ ] T002 b\n- [ ] T003 c {words}\n"));
        assert!(needs(&draft, "T003").len() <= usize::from(words.starts_with("after")), "{words}");
    }
}

#[test]
fn an_edge_that_another_task_states_is_not_first_tier() {
    let draft =
        read("- [ ] T001 [P] a (blocks T002)\n- [ ] T002 [P] b\n- [ ] T003 c (blocks T001)\n");
    assert_eq!(needs(&draft, "T002"), ["T001@1"]);
    warned(&draft, 3, "ignored");
    assert_eq!(keys(&draft), ["T001", "T002", "T003"]);
}

#[test]
fn key_value_lines_under_a_task() {
    for line in [
        "- **Dependencies**: T001, T002",
        "- **依赖**: T001、T002",
        "**→ depend de**: T001-T002",
        "- **Dépendances** : T001, T002 (both)",
        "- Depends on T001 and T002",
        "**Blockers**: T001, T002; not T009",
        "- 의존: T001, T002",
    ] {
        let draft = read(&format!("- [ ] T001 a\n- [ ] T002 b\n- [ ] T003 c\n  {line}\n"));
        assert_eq!(needs(&draft, "T003"), ["T001@4", "T002@4"], "{line}");
        quiet(&draft);
    }
    for line in [
        "**Dependencies**: None",
        "- **依赖**: 无",
        "- to be done after T001, later",
        "- **Files**: T001.md",
    ] {
        let draft = read(&format!("- [ ] T001 a\n- [ ] T002 b\n- [ ] T003 c\n  {line}\n"));
        assert_eq!(needs(&draft, "T003"), [""; 0], "{line}");
    }
}

#[test]
fn mermaid_is_first_tier_wherever_it_stands() {
    let draft = read(
        "## Phase 1: S\n- [ ] T001 [P] a\n- [ ] T002 [P] b\n- [ ] T003 [P] c\n- [ ] T004 [P] d\n\n```mermaid\ngraph TD\n\
         subgraph Setup\nT001[Set up] --> T002 -.-> T003\nend\nX[\"T004: last\"]\nT002 & T003 -->|then| X\nP1 --> P2\n```\n",
    );
    assert_eq!(needs(&draft, "T002"), ["T001@10"]);
    assert_eq!(needs(&draft, "T003"), ["T002@10"]);
    assert_eq!(needs(&draft, "T004"), ["T002@13", "T003@13"]);
    let gantt = read("- [ ] T001 a\n\n```mermaid\ngantt\nT009 --> T001\n```\n");
    quiet(&gantt);
}

#[test]
fn a_first_tier_edge_to_a_later_task_moves_it() {
    let draft = read(
        "## Phase 1: S\n- [ ] T001 [P] a\n- [ ] T002 [P] b (depends on T005)\n- [ ] T003 c\n\
         **Checkpoint**: x\n## Phase 2: M\n- [ ] T004 d\n- [ ] T005 e (depends on T004)\n- [ ] T006 f\n",
    );
    assert_eq!(waves(&draft), "T001 T004 T005 T002 | (T003) | (checkpoint-1) | (T006)");
    assert_eq!(needs(&draft, "T002"), ["T005@3"]);
    assert_eq!(needs(&draft, "T005"), ["T004@8"]);
    assert_eq!(step(&draft, "T005").phase, Some(0));
    warned(&draft, 3, "T005 is moved before T002");
    warned(&draft, 8, "T004 is moved before T005");
}

#[test]
fn a_task_that_leaves_never_joins_two_waves() {
    let draft = read(
        "## Phase 1: S\n- [ ] T001 a (depends on T003)\n- [ ] T002 [P] b\n- [ ] T003 c\n- [ ] T004 [P] d\n",
    );
    assert_eq!(waves(&draft), "(T003) | (T001) | T002 | T004");
}

#[test]
fn a_later_task_that_is_done_or_skipped_is_not_moved() {
    let draft = read(
        "- [ ] T001 a (depends on T003, T004)\n- [ ] T002 b\n- [x] T003 c\n- [ ] ~~T004 d~~\n",
    );
    assert_eq!(keys(&draft), ["T001", "T002", "T003", "T004"]);
    assert!(needs(&draft, "T001").is_empty());
    warned(&draft, 1, "T003, which stands later and is done: dropped");
    warned(&draft, 1, "T004, which stands later and is skipped: dropped");
}

#[test]
fn a_finished_task_neither_moves_nor_closes_a_circle() {
    let draft = read("- [ ] T001 a (depends on T002)\n- [x] T002 b (depends on T001)\n");
    assert_eq!(keys(&draft), ["T001", "T002"]);
    warned(&draft, 1, "dropped");
    let draft =
        read("- [ ] T001 a (depends on T003)\n- [x] T002 b\n- [ ] T003 c (depends on T002)\n");
    assert_eq!(keys(&draft), ["T003", "T001", "T002"]);
    assert!(needs(&draft, "T003").is_empty());
    warned(&draft, 3, "T002, which stands later and is done: dropped");
}

#[test]
fn circles_are_refused_with_every_line() {
    let error = refused("- [ ] T001 a (depends on T002)\n- [ ] T002 b\n  - Depends on: T001\n");
    assert_eq!((error.line, error.related.len(), error.related[0].0), (1, 1, 3));
    assert!(error.message.contains("T001") && error.message.contains("T002"), "{}", error.message);
    let error = refused(
        "- [ ] T001 a (depends on T003)\n- [ ] T002 b\n- [ ] T003 c\n## Dependencies\n- T001 blocks T002\n- T002 blocks T003\n",
    );
    assert_eq!((error.line, error.related.len()), (1, 2));
    let own = read("- [ ] T001 a (depends on T001)\n- [ ] T002 b\n");
    assert!(needs(&own, "T001").is_empty());
}

#[test]
fn a_korean_postposition_makes_no_circle() {
    let draft = read(
        "- [ ] T002 a\n- [ ] T003 [P] b\n- [ ] T004 [P] c\n- [ ] T005 d\n- [ ] T006 e\n## 의존성\n\
         - T002→T005→T006, T003·T004는 T005 선행이며 [P]\n",
    );
    assert_eq!(keys(&draft), ["T002", "T003", "T004", "T005", "T006"]);
}

// ---- style B -----------------------------------------------------------------------------

#[test]
fn headings_are_tasks_and_their_boxes_are_not() {
    let draft = read(
        "# Implementation Tasks: Merkle\n## Task Breakdown\n### Phase 0: Analysis [DONE]\n- [x] Read\n\
         ### Phase 1: Core\n#### T001: Structs [P]\n**File**: `src/A.sol`\n- [ ] acceptance\n##### Steps\n1. go\n\
         #### T002: Imports [P]\n**File**: `src/A.sol`\n```solidity\nimport 'x/y.sol';\n```\n---\ntrailing words\n\
         ### Phase 2: Tests\n#### - [x] T003 [US2] Claims\n#### ✅ T004: Done too\n#### T005: Done as well ✅\n\
         #### T006: By status\n- **Status**: ✅ DONE\n#### T007 - [US1] Plain\n**Parallel**: [P] with T008\n\
         #### Legend\nnot of T007\n\
         ## MVP checklist\n- [ ] T001: Structs again\n",
    );
    assert_eq!(draft.format, "spec-kit tasks, style B");
    assert_eq!(keys(&draft), ["T001", "T002", "T003", "T004", "T005", "T006", "T007"]);
    assert_eq!(draft.phases.iter().map(|p| &p.label[..]).collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!(waves(&draft), "T001 T002 | (T003) | (T004) | (T005) | (T006) | T007");
    assert_eq!(needs(&draft, "T002"), ["T001@11"]);
    let done = draft.steps.iter().filter(|s| s.state == DraftState::Done).count();
    assert_eq!(done, 4);
    assert_eq!(step(&draft, "T001").title, "Structs");
    assert!(step(&draft, "T001").body.ends_with("##### Steps\n1. go"));
    assert!(!step(&draft, "T002").body.contains("trailing"));
    assert!(!step(&draft, "T007").body.contains("Legend"));
    assert_eq!(step(&draft, "T002").paths, ["src/A.sol"]);
}

#[test]
fn group_headings_are_blocks_and_names_for_their_tasks() {
    let draft = read(
        "## 🔧 Phase 0 : Setup\n### T-001-000 : Projet\n#### T-001-000-001 : Dépendances\n- [x] Installer\n\
         - **Dépendances** : Aucune\n#### T-001-000-002 : Variables\n- **[P]** : Peut être fait en parallèle\n\
         ## 🎯 User Stories P1\n### US-001 : Accueil\n#### T-001-P1-001-001 : Hero\n\
         - **Dépendances** : T-001-000\n#### T-001-P1-001-002 : CTA\n- **Dépendances** : T-001-000-001 à T-001-000-002\n\
         - **[P]** : Non\n#### T-001-POLISH-001 : Fin\n- **Dépendances** : Toutes les tâches\n## 📋 Légende\n- **[P]** : Parallèle\n",
    );
    assert_eq!(draft.steps.len(), 5);
    assert_eq!(needs(&draft, "T-001-P1-001-001"), ["T-001-000-001@11", "T-001-000-002@11"]);
    assert_eq!(needs(&draft, "T-001-P1-001-002"), ["T-001-000-001@13", "T-001-000-002@13"]);
    assert_eq!(draft.phases[1].label, "2");
    assert!(step(&draft, "T-001-000-002").parallelizable);
    assert!(!step(&draft, "T-001-P1-001-002").parallelizable);
    quiet(&draft);
}

#[test]
fn a_range_in_a_heading_of_style_a_is_a_block() {
    let draft = read(
        "## Phase 1: S\n### T016-T018: Components\n- [ ] T016 a\n- [ ] T017 b\n- [ ] T018 c\n",
    );
    assert_eq!(keys(&draft), ["T016", "T017", "T018"]);
}

// ---- totals, titles ----------------------------------------------------------------------

#[test]
fn claims_and_estimates() {
    for (line, total) in [
        ("**Total Tasks**: 1", Some(1)),
        ("- Total tasks: 103 (tests: 49)", Some(103)),
        ("| **Total Tasks** | 47 |", Some(47)),
        ("**Status**: Ready | **Total Tasks**: 185", Some(185)),
        ("- **總任務數**: 210 個任務", Some(210)),
        ("**총 태스크 수**: 60개", Some(60)),
        ("**Total de tâches** : 85+", None),
        ("**Total de tâches** : ~80", None),
        ("**Total Parallel Tasks**: 93", None),
        ("- Total: 17 tasks for MVP", None),
    ] {
        let draft = read(&format!("- [ ] T001 a\n\n{line}\n"));
        assert_eq!(draft.claimed_total.map(|(n, _)| n), total, "{line}");
    }
}

#[test]
fn titles_lose_only_what_says_that_they_are_task_lists() {
    for (heading, title) in [
        ("# Tasks: Photo albums", "Photo albums"),
        ("# Implementation Tasks: X: Y", "X: Y"),
        ("# Tâches d'implémentation : 001-site", "001-site"),
        ("# 任务分解：影院", "影院"),
        ("# O010 - shopping", "O010 - shopping"),
        ("# Tasks", "Tasks"),
    ] {
        assert_eq!(read(&format!("{heading}\n- [ ] T001 a\n")).title.as_deref(), Some(title));
    }
}

// ---- refusals ----------------------------------------------------------------------------

#[test]
fn what_cannot_be_read_is_refused_with_its_line() {
    let task = "- [ ] T001 a\n";
    for (text, line, words) in [
        (String::new(), 0, "empty"),
        ("\n  \n".into(), 0, "empty"),
        ("# Tasks: X\nprose\n".into(), 0, "no tasks"),
        (format!("{task}a\0b\n"), 2, "NUL"),
        (format!("{task}<<<<<<< HEAD\n{task}=======\n{task}>>>>>>> b\n"), 2, "conflict"),
        (format!("{task}```\n<<<<<<< HEAD\na\n=======\nb\n>>>>>>> b\n```\n"), 3, "conflict"),
        (format!("# Tasks: [FEATURE NAME]\n{task}"), 1, "[FEATURE NAME]"),
        (format!("{task}- [ ] TXXX [P] Docs\n"), 2, "TXXX"),
        (format!("{task}- [ ] T002 {{{{TASK_2}}}}\n"), 2, "{{TASK_2}}"),
        ("## Notes\n- [ ] T001 a\n".into(), 2, "no tasks"),
    ] {
        let error = refused(&text);
        assert_eq!(error.line, line, "{text:?}: {}", error.message);
        assert!(error.message.contains(words), "{text:?}: {}", error.message);
    }
}

#[test]
fn code_that_only_looks_like_a_template_or_a_conflict_is_read() {
    let draft = read(
        "Heading\n=======\n- [ ] T001 Set `virtual={{SIZE}}` and ${{ secrets.TOKEN }} and style={{WIDTH}}\n\
         - [ ] T002 Document the `TXXX` pattern\n- [ ] T003 d\n",
    );
    assert_eq!(draft.steps.len(), 3);
}

#[test]
fn sniffing_asks_for_three_tasks() {
    let three =
        |line: &str| (1..=3).map(|n| line.replace('#', &n.to_string()) + "\n").collect::<String>();
    assert_eq!(speckit::sniff(&three("- [ ] T00# a")), Some(Style::Boxes));
    assert_eq!(
        speckit::sniff(&format!("## P\n{}", three("@ T00#: a").replace('@', "###"))),
        Some(Style::Headings)
    );
    assert_eq!(speckit::sniff(&three("- **T00#**: a")), Some(Style::Bullets));
    assert_eq!(speckit::sniff(&three("T00# — a [P]")), Some(Style::Plain));
    assert_eq!(
        speckit::sniff(&format!("## Phase 1: S\n{}", three("- [ ] a"))),
        Some(Style::Nameless)
    );
    assert_eq!(speckit::sniff(&three("- [ ] a")), None);
    assert_eq!(speckit::sniff("- [ ] T001 a\n"), None);
    assert_eq!(speckit::sniff("{\"tasks\": []}"), None);
}
