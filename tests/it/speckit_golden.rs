//! Fifteen real plans, counted by hand from their text, as literal numbers.
//!
//! The plans are third-party text and stay outside this repository; see `corpus.rs`.

use std::collections::BTreeSet;
use std::fs;

use stepseal::plan::draft::{DraftState, NeedWhy};
use stepseal::plan::speckit;

struct Counted {
    file: &'static str,
    tasks: usize,
    done: usize,
    parallel: usize,
    /// Runs of `[P]`, those of one task included.
    waves: usize,
    phases: usize,
    /// Labels of the phases that end in a checkpoint, in order.
    checkpoints: &'static [&'static str],
    passed: usize,
    /// Needs that a line states, after what the order says anyway is left out.
    stated: usize,
    /// Pairs in one wave that name one path and are not stated.
    same_path: usize,
    first: &'static str,
    last: &'static str,
    claimed: Option<u64>,
    warnings: usize,
}

const COUNTED: [Counted; 15] = [
    Counted {
        file: "ATelbay__SocialVideoDownloader__010-apk-size-optimization.md",
        tasks: 11,
        done: 0,
        parallel: 0,
        waves: 0,
        phases: 4,
        checkpoints: &["1", "2", "3", "4"],
        passed: 0,
        stated: 0,
        same_path: 0,
        first: "T001",
        last: "T011",
        claimed: None,
        warnings: 0,
    },
    Counted {
        file: "ATelbay__SocialVideoDownloader__012-cicd-github-actions.md",
        tasks: 16,
        done: 0,
        parallel: 4,
        waves: 3,
        phases: 7,
        checkpoints: &["2", "3", "4", "5", "6", "7"],
        passed: 0,
        stated: 0,
        same_path: 0,
        first: "T001",
        last: "T016",
        claimed: None,
        warnings: 0,
    },
    Counted {
        file: "ATelbay__SocialVideoDownloader__014-ws-proxy-extraction.md",
        tasks: 18,
        done: 0,
        parallel: 2,
        waves: 1,
        phases: 7,
        checkpoints: &["2", "3", "4", "5", "6"],
        passed: 0,
        stated: 0,
        same_path: 0,
        first: "T001",
        last: "T018",
        claimed: None,
        warnings: 0,
    },
    Counted {
        file: "94mashiro__oihub__001-i7relay-adapter.md",
        tasks: 12,
        done: 12,
        parallel: 5,
        waves: 2,
        phases: 5,
        checkpoints: &["1", "2", "3", "4"],
        passed: 4,
        stated: 0,
        same_path: 0,
        first: "T001",
        last: "T012",
        claimed: None,
        warnings: 0,
    },
    Counted {
        file: "94mashiro__oihub__002-platform-api-service.md",
        tasks: 18,
        done: 18,
        parallel: 4,
        waves: 2,
        phases: 6,
        checkpoints: &["2", "3", "4", "5"],
        passed: 4,
        stated: 0,
        same_path: 0,
        first: "T001",
        last: "T018",
        claimed: None,
        warnings: 0,
    },
    Counted {
        file: "94mashiro__oihub__001-tenant-form-reuse.md",
        tasks: 19,
        done: 18,
        parallel: 0,
        waves: 0,
        phases: 5,
        checkpoints: &["2", "3", "4"],
        passed: 3,
        stated: 0,
        same_path: 0,
        first: "T001",
        last: "T019",
        claimed: None,
        warnings: 0,
    },
    Counted {
        file: "5rbit__mxrc__docs-specs-020-refactor-datastore-locking.md",
        tasks: 15,
        done: 0,
        parallel: 0,
        waves: 0,
        phases: 4,
        checkpoints: &[],
        passed: 0,
        stated: 0,
        same_path: 0,
        first: "T001",
        last: "T015",
        claimed: None,
        warnings: 0,
    },
    // Sixteen boxes; "Task Details" repeats them as headings. T010 to T013 share one test file.
    Counted {
        file: "AIS-Commercial-Business-Unit__RiskInsure__platform-RiskInsure.Integration.\
               FileProcessor-specs-001-file-retrieval-config.md",
        tasks: 16,
        done: 0,
        parallel: 11,
        waves: 5,
        phases: 3,
        checkpoints: &["1", "2"],
        passed: 0,
        stated: 0,
        same_path: 6,
        first: "T001",
        last: "T016",
        claimed: Some(16),
        warnings: 0,
    },
    Counted {
        file: "crisweber2600__CopilotAgentCLI__002-provide-an-agent.md",
        tasks: 33,
        done: 0,
        parallel: 26,
        waves: 8,
        phases: 10,
        checkpoints: &[],
        passed: 0,
        stated: 0,
        same_path: 0,
        first: "T001",
        last: "T033",
        claimed: None,
        warnings: 0,
    },
    // Same paths: T011–T015 ten pairs, T020–T022 three, T025–T027 three, T032/T033 and T034/T036.
    // The warning: line 201 names T023–T027 on both sides of its arrow.
    Counted {
        file: "21-DOT-DEV__subtree__007-case-insensitive-names.md",
        tasks: 46,
        done: 46,
        parallel: 30,
        waves: 9,
        phases: 5,
        checkpoints: &["2", "3", "4", "5"],
        passed: 4,
        stated: 0,
        same_path: 18,
        first: "T001",
        last: "T046",
        claimed: Some(46),
        warnings: 1,
    },
    // Style B. T001 and T002 share a contract, and line 730 says so too: stated wins.
    Counted {
        file: "0xRabbidfly__pepedawn__002-merkle-uhoh.md",
        tasks: 21,
        done: 0,
        parallel: 8,
        waves: 3,
        phases: 4,
        checkpoints: &[],
        passed: 0,
        stated: 1,
        same_path: 0,
        first: "T001",
        last: "T021",
        claimed: None,
        warnings: 0,
    },
    // Style C, boxes: three without a name among twelve with one. The warnings: a [P] on a phase,
    // and the nine boxes of the acceptance checklist.
    Counted {
        file: "shep-ai__cli__013-ui-arch.md",
        tasks: 15,
        done: 0,
        parallel: 3,
        waves: 1,
        phases: 6,
        checkpoints: &[],
        passed: 0,
        stated: 0,
        same_path: 0,
        first: "Task-1",
        last: "Task-12",
        claimed: None,
        warnings: 2,
    },
    // Style C, numbered headings: 70 ids on its "Depends On" lines, 25 of them in one range.
    Counted {
        file: "AIS-Commercial-Business-Unit__RiskInsure__platform-fileprocessing-specs-002-cosmos-\
               always-encrypted.md",
        tasks: 28,
        done: 0,
        parallel: 0,
        waves: 0,
        phases: 5,
        checkpoints: &[],
        passed: 0,
        stated: 70,
        same_path: 0,
        first: "T2-001",
        last: "T2-028",
        claimed: Some(28),
        warnings: 0,
    },
    // Style D. Four "Prerequisites" lines under T106 to T109. The warning: T040–T045 goes past
    // T043, the last of its row.
    Counted {
        file: "21-DOT-DEV__subtree__001-i-am-building.md",
        tasks: 77,
        done: 72,
        parallel: 3,
        waves: 1,
        phases: 16,
        checkpoints: &[],
        passed: 0,
        stated: 4,
        same_path: 0,
        first: "T001",
        last: "T109",
        claimed: None,
        warnings: 1,
    },
    // Style E, [P] at the end of lines. T001 and T003 write one test file.
    Counted {
        file: "crisweber2600__CopilotAgentCLI__001-cli-for-delegate.md",
        tasks: 23,
        done: 0,
        parallel: 11,
        waves: 2,
        phases: 1,
        checkpoints: &[],
        passed: 0,
        stated: 0,
        same_path: 1,
        first: "T001",
        last: "T023",
        claimed: None,
        warnings: 0,
    },
];

#[test]
fn plans_counted_by_hand() {
    for counted in COUNTED {
        let path =
            format!("{}/../shared/corpus/speckit/{}", env!("CARGO_MANIFEST_DIR"), counted.file);
        let Ok(text) = fs::read_to_string(&path) else {
            let required = std::env::var("STEPSEAL_TEST_REQUIRE").as_deref() == Ok("all");
            assert!(!required, "{path} is missing and STEPSEAL_TEST_REQUIRE=all");
            crate::kit::skipped(&format!("{path} is not here"));
            continue;
        };
        let file = counted.file;
        let draft = speckit::read(&text).unwrap_or_else(|e| panic!("{file}: {e:?}"));
        let tasks: Vec<_> = draft.steps.iter().filter(|s| s.checkpoint.is_none()).collect();
        let gates: Vec<_> = draft.steps.iter().filter(|s| s.checkpoint.is_some()).collect();
        let done = tasks.iter().filter(|s| s.state == DraftState::Done).count();
        let waves: BTreeSet<_> = tasks.iter().filter_map(|s| s.group.as_ref()).collect();
        let needs = || tasks.iter().flat_map(|s| &s.needs);
        let keys: Vec<_> = counted.checkpoints.iter().map(|l| format!("checkpoint-{l}")).collect();
        let stated = needs().filter(|need| need.why == NeedWhy::Stated).count();
        assert_eq!(tasks.len(), counted.tasks, "{file}: tasks");
        assert_eq!(done, counted.done, "{file}: done");
        assert_eq!(tasks.iter().filter(|s| s.parallelizable).count(), counted.parallel, "{file}");
        assert_eq!(waves.len(), counted.waves, "{file}: waves");
        assert_eq!(draft.phases.len(), counted.phases, "{file}: phases");
        assert_eq!(
            gates.iter().map(|s| &s.key).collect::<Vec<_>>(),
            keys.iter().collect::<Vec<_>>()
        );
        let passed = gates.iter().filter(|s| s.state == DraftState::Done).count();
        assert_eq!(passed, counted.passed, "{file}: passed checkpoints");
        assert_eq!(stated, counted.stated, "{file}: stated needs");
        assert_eq!(needs().count() - stated, counted.same_path, "{file}: same paths");
        assert_eq!(
            (tasks[0].key.as_str(), tasks[tasks.len() - 1].key.as_str()),
            (counted.first, counted.last)
        );
        assert_eq!(draft.claimed_total.map(|(n, _)| n), counted.claimed, "{file}: claimed");
        assert_eq!(draft.warnings.len(), counted.warnings, "{file}: {:?}", draft.warnings);
    }
}
