//! No text makes the reader panic, and what it reads keeps its promises.
//!
//! Deterministic: a seeded generator mutates plans of our own, so a failure is a failure again.

use std::collections::BTreeSet;

use stepseal::plan::speckit;

const PLANS: [&str; 7] = [
    "---\ndescription: x\n---\n# Tasks: Photo albums\n\n**Total Tasks**: 13\n<!-- hidden\n- [ ] T900 x -->\n\
     ## Phase 1: Setup ✅\n- [x] T001 Create\n- [ ] T002 [P] [US1] Config in `src/é.json` (depends on T005)\n\
     - [ ] T003 [P] Limits in src/config.ts\n  - **依赖**: T002\n  wrapped\n\n**Checkpoint**: 準備\n\n### Tests\n\
     - [ ] ~~T004 [P] worker~~ DEFERRED\n- [~] T005 日本語 (T002、T003 완료 후)\n- [X] SKIP: T006 (a)\n\
     - [ ] T005 again\n## Dependencies\n- T001-T003 block T004–T006; T005's part\n- T001 → T002 · T003 ──> T004\n\
     ```text\nT001 (x)\n├── T002\n│   └── T003 → T004\n```\n```mermaid\ngraph TD\nT001[a] -.-> T003 & T004\n```\n",
    "# Tâches : site\n## 🔧 Phase 0 : Setup\n### T-001-000 : Projet\n#### T-001-000-001 : Dépendances [P]\n\
     - [x] Installer\n- **Dépendances** : Aucune\n#### - [x] T-001-000-002 : Variables ✅\n\
     - **[P]** : Peut être fait\n```ts\nimport 'a/b.ts'\n```\n---\n### T-001-P1-001 : Hero\n\
     - **Dépendances** : T-001-000-001 à T-001-000-002\n**Status**: ✅ DONE\n",
    "## Phase N: x\n<<<<<<< HEAD\n- [ ] TXXX {{A}}\n=======\n- **T001**: a\n>>>>>>> b\nT002 — c [P]\n\0",
    "# Plan\n## Phase 0: a (1)\n### Task 0.1: Étude [P]\n**Dependencies**: None\n- [ ] ok\n  - [x] é\n---\n\
     ### ✅ Task 0.2 - b [P]\n**依赖**: Task 0.1测试, 0.2、0.3\n## Phase 2A: c\n### TASK-003: d\n\
     **의존성**: TASK-001~002, Tasks 0.1-0.2\n#### T2-004 : e\n- Depends on T2-003\n## Dependencies\n\
     - Task 0.1 → 0.2 → 0.3\n```mermaid\ngraph TD\nA[Task 0.1] --> B[TASK-003]\n```\n",
    "### Phase 1: a [P]\n- [x]Scaffold\n  - [ ] nested 日本\n- [x] **task-1**: Hook\n- [ ] ~~Old~~ (moved)\n\
     ### Phase 2: b\n#### 2A: Node\n**RED:**\n- [ ] **Task 6 [P]:** c src/a.ts\n\t- [ ] d\n- [ ] [P] e src/a.ts\n\
     **Acceptance Criteria:**\n- [ ] blue\n**Checkpoint**: x\n## Acceptance Checklist\n- [ ] All\n",
    "## Phase 0: a ✅\n- ✅ T001 [P] Add\n  - Path: `src/a.rs`\n- **T002** [P]: b\n- 🚧 T003 c [P]\n\
     - **T005 [X]**: d\n  - **Prerequisites**: ✅ T001\n- T010–T012 MUST fail before T020\n- T001 and T002\n\
     ## Dependencies\n- T001 → T005\n- ❌T006\n",
    "## Tasks\nT001 — a [P]\n- File: `a/b.ts`\n\n- Depends on T001\nT002: é ✅\n   T003 - c\nT004 [P] d\n\
     T005 — before T004\n## Dependencies\nT001 — x\n",
];

/// All but the one that is refused as it stands.
const READABLE: [usize; 6] = [0, 1, 3, 4, 5, 6];

struct Lcg(u64);

impl Lcg {
    fn below(&mut self, bound: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.0 >> 33) % bound.max(1) as u64).expect("below the bound")
    }
}

fn check(text: &str) {
    let _ = speckit::sniff(text);
    match speckit::read(text) {
        Err(unreadable) => assert!(!unreadable.message.is_empty()),
        Ok(draft) => {
            let mut before = BTreeSet::new();
            for step in &draft.steps {
                for need in &step.needs {
                    assert!(
                        before.contains(&need.key),
                        "{} needs {}: {text:?}",
                        step.key,
                        need.key
                    );
                }
                assert!(step.key.len() <= 64 && !step.key.is_empty());
                assert!(before.insert(step.key.clone()), "{} twice: {text:?}", step.key);
            }
        }
    }
}

#[test]
fn every_truncation() {
    for plan in PLANS {
        for (at, _) in plan.char_indices() {
            check(&plan[..at]);
            check(&plan[at..]);
        }
    }
}

#[test]
fn random_deletions_and_insertions() {
    let mut random = Lcg(20_261_121);
    let bits = [
        "`",
        "~~",
        "**",
        "[",
        "]",
        "(",
        ")",
        "[P]",
        "T00",
        "T",
        "-",
        "\n",
        "```",
        "<!--",
        "-->",
        "→",
        ";",
        "é",
        "T999999999999",
        "- [ ] T001 a (depends on T002)\n",
        "- [ ] T002 b (depends on T001)\n",
        "\t",
        "\r",
        "⚠️",
        "#",
        ".",
        "T001-T",
        "### Task 1.2: a\n",
        "- [ ] ",
        "- T002 ",
        "Task 1",
        "1.1 ",
    ];
    for round in 0..6000 {
        let mut chars: Vec<char> = PLANS[READABLE[round % READABLE.len()]].chars().collect();
        for _ in 0..=random.below(6) {
            let at = random.below(chars.len());
            if random.below(2) == 0 {
                let end = (at + random.below(12)).min(chars.len());
                chars.drain(at..end);
            } else {
                let bit = bits[random.below(bits.len())];
                chars.splice(at..at, bit.chars());
            }
        }
        check(&chars.into_iter().collect::<String>());
    }
}

#[test]
fn random_line_shuffles() {
    let mut random = Lcg(7);
    for round in 0..3000 {
        let mut lines: Vec<&str> = PLANS[READABLE[round % READABLE.len()]].lines().collect();
        if round % 5 == 0 {
            lines.extend(PLANS[READABLE[(round / 5) % READABLE.len()]].lines());
        }
        for at in (1..lines.len()).rev() {
            lines.swap(at, random.below(at + 1));
        }
        check(&lines.join("\n"));
    }
}

#[test]
fn long_chains_need_no_stack() {
    let mut text = String::from("## Phase 1: S\n");
    for n in 1..20_000 {
        text.push_str(&format!("- [ ] T{n:05} [P] a (depends on T{:05})\n", n + 1));
    }
    text.push_str("- [ ] T20000 end\n");
    let draft = speckit::read(&text).expect("a chain is no circle");
    assert_eq!(draft.steps[0].key, "T20000");
    check(&text.replace("end", "end (depends on T00001)"));
    check(&"(".repeat(100_000));
    check(&format!("- [ ] T001 {}", "`".repeat(50_000)));
    check(&format!("- [ ] T001 {}", "T002-".repeat(20_000)));
    check(&"<!-- ".repeat(20_000));
    check(&format!("- [ ] T001 a\n## Dependencies\n{}", "T001 (".repeat(20_000)));
    check(&format!("- [ ] T001 a\n## Dependencies\n{}", "T001 depends on ".repeat(2_000)));
    check(&"-".repeat(200_000));
    check(&format!("- [ ] T001 {}", "-".repeat(200_000)));
    check(&format!("- [ ] T001 {}", "[P] ".repeat(20_000)));
    let phases = |label: fn(usize) -> String| -> String {
        (0..20_000).map(|n| format!("## {}: p\n- [ ] a\n", label(n))).collect()
    };
    check(&phases(|n| format!("Phase {n}")));
    check(&phases(|_| "Phase 1".to_owned()));
    check(&phases(|n| format!("Part {n} of it")));
    let boxes = "- [ ] a\n".repeat(20_000);
    check(&format!("## Phase 1: S\n- [ ] a\n## Checklist {}\n{boxes}", "x".repeat(200_000)));
    check(&format!("## Phase 1: S\n- [x] a\n{}", boxes.replace("- ", "  - ")));
    let mut copies = String::from("## Phase 1: S\n");
    for n in 0..20_000 {
        copies.push_str(&format!("- [ ] T001 words {n}\n**Checkpoint**: {n}\n"));
    }
    check(&copies);
}
