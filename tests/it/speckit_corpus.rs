//! Real plans: every one is read or refused with a line, and runs to its end under S1 to S3.
//!
//! The plans are third-party text and stay outside this repository; without them the tests say so
//! and pass, unless `STEPSEAL_TEST_REQUIRE=all`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use stepseal::plan::draft::{Draft, DraftState, DraftStep, Unreadable};
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

/// Plans that nobody can work by, and why.
const REFUSED: [(&str, &str); 3] = [
    ("011-shepkit-support-yaml-specs", "{{PHASE_1_NAME}}"),
    ("013-feature-agent", "{{TASK_1_DESCRIPTION}}"),
    ("017-fix-feat-claude-impl", "{{TASK_1_DESCRIPTION}}"),
];

struct Expected {
    file: String,
    style: String,
    columns: Vec<(&'static str, usize)>,
    /// Boxes that the analyser took for no task.
    boxes: usize,
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
        boxes: row[6].parse().expect("a count"),
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
    let mut refused = Vec::new();
    for row in &expected {
        let draft = match read(&row.file) {
            Ok(draft) => draft,
            Err(unreadable) => {
                assert!(unreadable.line > 0, "{}: refused without a line", row.file);
                refused.push((short(&row.file).to_owned(), unreadable.message));
                continue;
            }
        };
        // The analyser counts ids; plans without any are counted below.
        if row.style == "box_noid" {
            continue;
        }
        let ours = counted(&draft);
        for ((column, theirs), ours) in row.columns.iter().zip(ours) {
            if ours != *theirs {
                found.insert((short(&row.file).to_owned(), *column, ours, *theirs));
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
    refused.sort();
    let same = |(ours, listed): (&(String, String), &(&str, &str))| {
        ours.0 == listed.0 && ours.1.contains(listed.1)
    };
    assert!(
        refused.len() == REFUSED.len() && refused.iter().zip(&REFUSED).all(same),
        "{refused:#?}"
    );
}

/// Tasks, done tasks, phases with tasks.
fn counted(draft: &Draft) -> [usize; 3] {
    let tasks = || draft.steps.iter().filter(|step| step.checkpoint.is_none());
    let done = tasks().filter(|step| step.state == DraftState::Done).count();
    [tasks().count(), done, draft.phases.len()]
}

/// What a plan without ids holds, counted line by line.
#[derive(Debug, Default, PartialEq, Eq)]
struct Nameless {
    tasks: usize,
    done: usize,
    phases: usize,
    boxes: usize,
    /// Its tasks are numbered headings.
    units: bool,
}

/// Counts numbered headings where there are any, else the boxes at the margin that stand in a
/// phase; nothing in fences.
fn nameless(text: &str) -> Nameless {
    let unit = |line: &str| {
        let words = line.trim_start_matches('#');
        line.starts_with("###")
            && ["Task ", "TASK-", "T2-"].iter().any(|word| {
                let rest = words.trim_start().strip_prefix(word);
                rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
            })
    };
    let units = text.lines().any(unit);
    let mut found = Nameless { units, ..Nameless::default() };
    let mut fenced = false;
    let (mut in_phase, mut counted) = (false, false);
    for line in text.lines() {
        fenced ^= line.trim_start().starts_with("```");
        if fenced {
            continue;
        }
        let heading = line.trim_start_matches('#').trim_start();
        if heading.len() < line.len() && line.starts_with('#') && !unit(line) {
            let sub = line.starts_with("####");
            in_phase = heading.starts_with("Phase ") || (in_phase && sub);
            counted &= sub;
        }
        let boxed = line.trim_start().strip_prefix("- [").and_then(|rest| rest.get(..2));
        let boxed = boxed.filter(|mark| matches!(*mark, " ]" | "x]" | "X]"));
        found.boxes += usize::from(boxed.is_some());
        let task = if units { unit(line) } else { boxed.is_some() && line.starts_with("- [") };
        if task && in_phase {
            found.tasks += 1;
            // A struck-through line is skipped, not done.
            let ticked = !units && boxed == Some("x]") && !line.contains("] ~~");
            found.done += usize::from(ticked);
            found.phases += usize::from(!counted);
            counted = true;
        }
    }
    found
}

#[test]
fn plans_without_ids_are_what_a_count_of_their_lines_says() {
    let Some(expected) = expected() else { return };
    let mut read_count = 0;
    for row in expected.iter().filter(|row| row.style == "box_noid") {
        let Ok(draft) = read(&row.file) else { continue };
        let path = Path::new(CORPUS).join("speckit").join(&row.file);
        let naive = nameless(&fs::read_to_string(&path).expect("read above"));
        let [tasks, done, phases] = counted(&draft);
        let ours = Nameless { tasks, done, phases, boxes: row.boxes, units: naive.units };
        assert_eq!(ours, naive, "{}: and the boxes the analyser saw", row.file);
        if !naive.units {
            let boxed = |line: &&str| line.trim_start().starts_with("- [");
            let under = |step: &DraftStep| step.body.lines().filter(boxed).count();
            let under: usize = draft.steps.iter().map(under).sum();
            let told = draft.warnings.iter().filter_map(|warning| {
                let (count, rest) = warning.message.split_once(" box")?;
                rest.contains("left out").then(|| count.parse::<usize>().expect("a count"))
            });
            let seen = tasks + under + told.sum::<usize>();
            assert_eq!(seen, row.boxes, "{}: every box is somewhere", row.file);
        }
        read_count += 1;
    }
    assert_eq!(read_count, 12, "of fifteen plans without ids three are unfilled templates");
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
                let waits = |lower: &DraftStep| match step.parallelizable {
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
