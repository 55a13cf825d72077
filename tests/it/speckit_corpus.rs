//! Real plans: every one is read or refused with a line, and runs to its end under S1 to S3.
//!
//! The plans are third-party text and stay outside this repository; without them the tests say so
//! and pass, unless `STEPSEAL_TEST_REQUIRE=all`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use stepseal::plan::draft::{Draft, DraftState, Unreadable};
use stepseal::plan::speckit;

const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/corpus");

/// (file, column, ours, theirs, why); the file's name from its last `__` on.
const DIFFERENCES: &[(&str, &str, usize, usize, &str)] = &[
    (
        "001-build-a-simple",
        "done",
        48,
        55,
        "seven ticked lines begin with SKIP: and are skipped, not done",
    ),
    (
        "001-file-processing-config",
        "tasks",
        149,
        164,
        "phase 9 is pasted twice: 15 of its 16 ids have the same words",
    ),
    (
        "001-file-processing-config",
        "done",
        148,
        163,
        "the 15 copies again; T146 is open, because its second copy is",
    ),
    (
        "001-site-vitrine-immotopia-orientation-100-clients-professionnels",
        "tasks",
        62,
        69,
        "seven H3 headings with an id only group the H4 tasks under them",
    ),
    (
        "002-design-experience-utilisateur",
        "tasks",
        100,
        114,
        "fourteen H3 headings with an id only group the H4 tasks under them",
    ),
    (
        "003-phase-3-developpement-technique",
        "tasks",
        71,
        72,
        "T-003-000 only groups the H4 tasks under it",
    ),
    (
        "005-phase-5-tests-et-recette",
        "tasks",
        61,
        62,
        "T-005-000 only groups the H4 tasks under it",
    ),
    ("013-schedule-management", "tasks", 80, 81, "T028 stands twice with the same words"),
    ("013-schedule-management", "done", 70, 71, "one copy of T028 is open, so the step is"),
    (
        "docs-specs-001-ethercat-integration",
        "done",
        72,
        76,
        "four ticked tasks say SKIPPED directly after their tags",
    ),
    (
        "docs-specs-022-fix-architecture-issues",
        "tasks",
        35,
        47,
        "twelve boxes of a checklist repeat tasks that are headings",
    ),
    ("docs-specs-022-fix-architecture-issues", "phases", 7, 8, "that checklist is no phase"),
];

/// Rows of EXPECT.tsv whose file is not in the corpus.
const ABSENT: [&str; 1] =
    ["andrei-shtanakov__spec-runner__docs-plans-spec-runner-c1-stages-profile-spec.md"];

struct Expected {
    file: String,
    style: String,
    columns: Vec<(&'static str, usize)>,
}

fn expected() -> Option<Vec<Expected>> {
    let path = Path::new(CORPUS).join("EXPECT.tsv");
    let Ok(text) = fs::read_to_string(&path) else {
        assert!(
            std::env::var("STEPSEAL_TEST_REQUIRE").as_deref() != Ok("all"),
            "{} is missing and STEPSEAL_TEST_REQUIRE=all",
            path.display()
        );
        crate::kit::skipped(&format!("{} is not here", path.display()));
        return None;
    };
    let rows = text.lines().map(|line| line.split('\t').collect::<Vec<_>>());
    let here = |row: &Vec<&str>| row[0] == "speckit" && !ABSENT.contains(&row[1]);
    let rows = rows.filter(here).map(|row| Expected {
        file: row[1].to_owned(),
        style: row[2].to_owned(),
        columns: vec![
            ("tasks", row[3].parse().expect("a count")),
            ("done", row[4].parse().expect("a count")),
            ("phases", row[7].parse().expect("a count")),
        ],
    });
    Some(rows.collect())
}

fn read(file: &str) -> Result<Draft, Unreadable> {
    let path = Path::new(CORPUS).join("speckit").join(file);
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    speckit::read(&text)
}

fn short(file: &str) -> &str {
    file.rsplit("__").next().unwrap_or(file).trim_end_matches(".md")
}

#[test]
fn counts_are_the_analysers_or_a_reviewed_difference() {
    let Some(expected) = expected() else { return };
    let mut found = BTreeSet::new();
    let (mut read_count, mut refused) = (0, 0);
    for row in &expected {
        let draft = match read(&row.file) {
            Ok(draft) => draft,
            Err(unreadable) => {
                refused += 1;
                assert!(unreadable.line > 0, "{}: refused without a line", row.file);
                if matches!(row.style.as_str(), "box" | "heading") {
                    found.insert((short(&row.file).to_owned(), "refused", 0, row.columns[0].1));
                }
                continue;
            }
        };
        read_count += 1;
        if !matches!(row.style.as_str(), "box" | "heading") {
            found.insert((short(&row.file).to_owned(), "read", draft.steps.len(), 0));
            continue;
        }
        let tasks = || draft.steps.iter().filter(|step| step.checkpoint.is_none());
        let ours = [
            tasks().count(),
            tasks().filter(|step| step.state == DraftState::Done).count(),
            draft.phases.len(),
        ];
        for ((column, theirs), ours) in row.columns.iter().zip(ours) {
            if ours != *theirs {
                found.insert((short(&row.file).to_owned(), column, ours, *theirs));
            }
        }
    }
    let listed: BTreeSet<_> = DIFFERENCES
        .iter()
        .map(|(file, column, ours, theirs, _)| ((*file).to_owned(), *column, *ours, *theirs))
        .collect();
    let new: Vec<_> = found.difference(&listed).collect();
    let gone: Vec<_> = listed.difference(&found).collect();
    assert!(new.is_empty(), "differences that nobody reviewed: {new:#?}");
    assert!(gone.is_empty(), "listed differences that no longer exist: {gone:#?}");
    assert!(read_count >= 90 && refused >= 10, "{read_count} read, {refused} refused");
}

#[test]
fn every_plan_holds_together_and_runs_to_its_end() {
    let Some(expected) = expected() else { return };
    for row in &expected {
        if let Ok(draft) = read(&row.file) {
            sound(&row.file, &draft);
            run(&row.file, &draft);
        }
    }
}

#[test]
fn what_stands_in_fences_changes_no_task() {
    let Some(expected) = expected() else { return };
    for row in &expected {
        let path = Path::new(CORPUS).join("speckit").join(&row.file);
        let text = fs::read_to_string(&path).expect("read above");
        let mut fenced = false;
        let blank = text.lines().map(|line| {
            let edge = line.trim_start().starts_with("```");
            fenced ^= edge;
            if edge || fenced { "" } else { line }
        });
        let blank = blank.collect::<Vec<_>>().join("\n");
        let tasks = |text: &str| match speckit::read(text) {
            Err(unreadable) => vec![(unreadable.message, 0, DraftState::Open, None)],
            Ok(draft) => {
                let mut tasks: Vec<_> = draft
                    .steps
                    .into_iter()
                    .map(|step| (step.key, step.line, step.state, step.group))
                    .collect();
                tasks.sort_by_key(|task| task.1);
                tasks
            }
        };
        assert_eq!(tasks(&text), tasks(&blank), "{}", row.file);
    }
}

/// Keys are keys, needs name earlier steps, waves are one place each, and no path meets itself.
fn sound(file: &str, draft: &Draft) {
    let mut at = BTreeMap::new();
    let mut reach: Vec<BTreeSet<usize>> = Vec::new();
    for (index, step) in draft.steps.iter().enumerate() {
        let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        assert!(step.key.len() <= 64 && step.key.chars().all(fits), "{file}: key {}", step.key);
        assert!(step.key.starts_with(|c: char| c.is_ascii_alphanumeric()), "{file}: {}", step.key);
        assert!(!step.title.is_empty(), "{file}: {} has no title", step.key);
        assert_eq!(step.parallelizable, step.group.is_some(), "{file}: {}", step.key);
        let mut waits = BTreeSet::new();
        for need in &step.needs {
            let other: usize = *at.get(&need.key).unwrap_or_else(|| {
                panic!("{file}: {} needs {}, which is no earlier step", step.key, need.key)
            });
            waits.insert(other);
            waits.extend(reach[other].iter().copied());
        }
        assert!(at.insert(step.key.clone(), index).is_none(), "{file}: {} twice", step.key);
        reach.push(waits);
        let Some(group) = &step.group else { continue };
        for (other, earlier) in draft.steps[..index].iter().enumerate() {
            if earlier.group.as_ref() != Some(group) {
                continue;
            }
            assert_eq!(earlier.phase, step.phase, "{file}: {group} spans phases");
            let between = &draft.steps[other..index];
            assert!(between.iter().all(|s| s.group.as_ref() == Some(group)), "{file}: {group}");
            for path in &step.paths {
                assert!(
                    !earlier.paths.contains(path) || reach[index].contains(&other),
                    "{file}: {} and {} both name {path}",
                    earlier.key,
                    step.key
                );
            }
        }
    }
    let lines: Vec<u32> = draft.warnings.iter().map(|warning| warning.line).collect();
    assert!(lines.is_sorted() && !lines.contains(&0), "{file}: warnings without order or line");
}

/// S1 to S3, naively: every round starts all that may start, then finishes it.
fn run(file: &str, draft: &Draft) {
    let index: BTreeMap<&str, usize> =
        draft.steps.iter().enumerate().map(|(i, step)| (step.key.as_str(), i)).collect();
    let mut done: Vec<bool> =
        draft.steps.iter().map(|step| step.state != DraftState::Open).collect();
    while done.iter().any(|done| !done) {
        let ready: Vec<usize> = (0..done.len())
            .filter(|&i| {
                let step = &draft.steps[i];
                let lower = draft.steps[..i].iter().zip(&done);
                let waits = |lower: &stepseal::plan::draft::DraftStep| match step.parallelizable {
                    false => true,
                    true => !lower.parallelizable || lower.group != step.group,
                };
                !done[i]
                    && lower.clone().all(|(lower, done)| *done || !waits(lower))
                    && step.needs.iter().all(|need| done[index[need.key.as_str()]])
            })
            .collect();
        assert!(!ready.is_empty(), "{file}: nothing may start and not all is done");
        let sequential = ready.iter().filter(|i| !draft.steps[**i].parallelizable).count();
        assert!(sequential <= 1, "{file}: two sequential steps at once");
        for (nth, &one) in ready.iter().enumerate() {
            for &other in &ready[nth + 1..] {
                let clash =
                    draft.steps[one].paths.iter().find(|p| draft.steps[other].paths.contains(p));
                assert!(clash.is_none(), "{file}: {clash:?} is named by two steps at once");
            }
        }
        ready.into_iter().for_each(|i| done[i] = true);
    }
}
