//! Headings: which are phases, which are blocks, and which only talk about tasks.

use super::ids;

/// What a heading means for the lines under it.
#[derive(Debug, Clone)]
pub(super) struct Section {
    pub level: u8,
    pub line: u32,
    /// The words without marks: `Foundational (Blocking Prerequisites)`.
    pub title: String,
    /// `2`, `3.1`, `A`, `N` of `Phase 2: …`; none where the heading is no phase.
    pub label: Option<String>,
    /// Tasks are only talked about here: examples, dependencies, notes.
    pub reference: bool,
    /// Dependency statements are read here.
    pub orders: bool,
    /// The boxes here say what must be true in the end: acceptance, criteria, checklists.
    pub checks: Checks,
    /// The heading has a `[P]`.
    pub parallel: bool,
    /// The heading begins as a task might: `1.1 Login`, `任务 3：…`; the number.
    pub number: Option<String>,
}

impl Section {
    /// Tells whether the heading may be a task itself; `2A` of phase 2 is a part of that phase.
    pub(super) fn numbered_in(&self, phase: Option<&str>) -> bool {
        let part = |number: &str| {
            let bare = number.trim_end_matches(|c: char| c.is_ascii_alphabetic());
            bare.len() < number.len() && phase == Some(bare)
        };
        self.level > 2
            && self.label.is_none()
            && self.number.as_deref().is_some_and(|number| !part(number))
    }
}

/// Whether the boxes under some words are checks and no tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Checks {
    No,
    /// "Validation" inside a phase is work, after the phases it is a list of checks.
    OutsidePhases,
    Always,
}

/// The headings a line stands under.
#[derive(Debug, Clone, Default)]
pub(super) struct Place {
    stack: Vec<usize>,
}

/// Words before a phase's label, in the languages of the plans studied.
const PHASE_WORDS: [&str; 6] = ["phase", "阶段", "階段", "단계", "fase", "フェーズ"];

/// How sections that only talk about tasks begin; a `*` ends a stem. spec-kit's own template
/// names most of the English ones.
const REFERENCE_WORDS: [&str; 60] = [
    "dependencies",
    "dependency graph",
    "dependency order",
    "dependency tree",
    "dependency chain",
    "dependency diagram",
    "dependency map",
    "task dependenc*",
    "user story dependenc*",
    "story dependenc*",
    "phase dependenc*",
    "execution order",
    "execution flow",
    "execution strategy",
    "task execution",
    "critical path",
    "parallel example*",
    "parallel execution",
    "parallel opportunit*",
    "parallel group*",
    "parallelization",
    "implementation strategy",
    "mvp first",
    "incremental delivery",
    "task summary",
    "task statistics",
    "task count",
    "task details",
    "summary",
    "statistics",
    "format",
    "path convention*",
    "file path convention*",
    "notes",
    "validation checklist",
    "definition of done",
    "coverage matri*",
    "coverage summary",
    "requirements coverage",
    "legend",
    "依赖*",
    "依賴*",
    "任务依赖*",
    "相依*",
    "并行*",
    "並行*",
    "平行*",
    "格式*",
    "备注*",
    "備註*",
    "实施策略*",
    "實作策略*",
    "任务统计*",
    "의존*",
    "종속*",
    "태스크 의존*",
    "병렬*",
    "구현 전략*",
    "dépendances",
    "légende",
];

/// The words that make a section one whose lines order tasks.
const ORDER_WORDS: [&str; 14] = [
    "dependenc",
    "execution order",
    "execution strategy",
    "critical path",
    "sequential",
    "依赖",
    "依賴",
    "相依",
    "执行顺序",
    "의존",
    "종속",
    "실행 순서",
    "dépendance",
    "ordre d",
];

/// Words that call what follows a list of checks, wherever they stand in it.
const CHECK_WORDS: [&str; 18] = [
    "acceptance",
    "checklist",
    "definition of done",
    "done when",
    "success criteria",
    "exit criteria",
    "completion criteria",
    "quality gate",
    "验收",
    "驗收",
    "检查清单",
    "檢查清單",
    "체크리스트",
    "완료 기준",
    "수락 기준",
    "チェックリスト",
    "critères d",
    "critérios de",
];
/// The same where no phase says that they are work.
const LATE_CHECK_WORDS: [&str; 4] = ["validation*", "verification*", "success metric*", "验证*"];

/// Tells whether a heading or a label calls the boxes under it checks.
pub(super) fn checks(words: &str) -> Checks {
    let lower = undecorated(words).to_lowercase();
    if CHECK_WORDS.iter().any(|word| lower.contains(word)) {
        return Checks::Always;
    }
    match LATE_CHECK_WORDS.iter().any(|word| begins(&lower, word)) {
        true => Checks::OutsidePhases,
        false => Checks::No,
    }
}

/// Reads a heading as a section.
pub(super) fn section(level: u8, line: u32, words: &str) -> Section {
    let bare = undecorated(words);
    let (label, title) = match phase_label(bare) {
        Some((label, title)) => (Some(label.to_owned()), title),
        None => (None, bare),
    };
    let lower = bare.to_lowercase();
    let reference = label.is_none() && REFERENCE_WORDS.iter().any(|word| begins(&lower, word));
    let orders = label.is_none() && ORDER_WORDS.iter().any(|word| lower.contains(word));
    let title = title.trim_matches(['*', ' ']).to_owned();
    let checks = if label.is_none() { checks(bare) } else { Checks::No };
    let parallel = words.contains("[P]") || words.contains("[P ");
    let number = task_number(words);
    Section { level, line, title, label, reference, orders, checks, parallel, number }
}

/// Tells whether a heading begins with a whole word, or with a stem that ends in `*`:
/// "Format" is a legend, "Formatting engine" is work.
fn begins(heading: &str, word: &str) -> bool {
    match word.strip_suffix('*') {
        Some(stem) => heading.starts_with(stem),
        None => heading
            .strip_prefix(word)
            .is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric())),
    }
}

/// Reads the number of a heading that begins as a task might: `1.1 Login`, `任务 3：Login`,
/// `Thrust 2: Login`; not `User Story 2: Login`.
fn task_number(words: &str) -> Option<String> {
    let words = words.trim_start_matches(|c: char| !c.is_alphanumeric());
    let word = words.find(|c: char| !c.is_alphabetic()).unwrap_or(words.len());
    let words = words[word..].trim_start_matches([' ', '-', '#', '_']);
    let length = ids::unit_number(words)?;
    let (number, rest) = words.split_at(length);
    let dash = ["- ", "– ", "— "].iter().any(|dash| rest.trim_start().starts_with(dash));
    let colon = rest.trim_start().starts_with([':', '：']);
    let ends = rest.is_empty() || rest.starts_with(['.', ')', '、']) || colon || dash;
    (ends || number.contains('.')).then(|| number.to_ascii_uppercase())
}

/// Takes emoji, emphasis and list numbers off the front of a heading.
fn undecorated(words: &str) -> &str {
    let bare = words.trim_start_matches(|c: char| !c.is_alphanumeric() && !"([{`~".contains(c));
    let digits = bare.bytes().take_while(u8::is_ascii_digit).count();
    match bare[digits..].strip_prefix(". ") {
        Some(rest) if digits > 0 => rest.trim_start(),
        _ => bare,
    }
}

/// Reads `Phase 3.1: Setup` into label and title; `Phase Dependencies` has no label.
fn phase_label(words: &str) -> Option<(&str, &str)> {
    let rest = PHASE_WORDS.iter().find_map(|word| {
        let head = words.get(..word.len())?;
        (head.to_lowercase() == **word).then(|| &words[word.len()..])
    })?;
    let rest = rest.trim_start_matches([' ', '*', '#']);
    let end = rest
        .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-')))
        .unwrap_or(rest.len());
    let label = rest[..end].trim_end_matches(['.', '-']);
    let numbered = label.starts_with(|c: char| c.is_ascii_digit());
    let lettered = label.len() <= 3
        && label.starts_with(|c: char| c.is_ascii_uppercase())
        && label.chars().skip(1).all(|c| c.is_ascii_digit() || "IVX".contains(c));
    if !numbered && !lettered {
        return None;
    }
    let title = rest[label.len()..].trim_start_matches([' ', ':', '：', '-', '–', '—', '.', '*']);
    Some((label, title))
}

impl Place {
    /// Enters a heading, leaving those of its level and deeper.
    pub(super) fn enter(&mut self, sections: &[Section], index: usize) {
        self.leave(sections, sections[index].level);
        self.stack.push(index);
    }

    /// Leaves the headings of a level and deeper ones, as a heading that is itself a task does.
    pub(super) fn leave(&mut self, sections: &[Section], level: u8) {
        self.stack.retain(|open| sections[*open].level < level);
    }

    /// Gives the phase: the deepest labelled heading, else the `##` heading.
    pub(super) fn phase(&self, sections: &[Section]) -> Option<usize> {
        let inner = || self.stack.iter().copied().filter(|open| *open != 0 || !is_title(sections));
        inner()
            .rfind(|open| sections[*open].label.is_some())
            .or_else(|| inner().find(|open| sections[*open].level <= 2))
    }

    /// Gives the H3 block inside the phase as its line; a phase that is an H3 is no block.
    pub(super) fn block(&self, sections: &[Section]) -> u32 {
        let phase = self.phase(sections);
        let deeper = |open: &&usize| {
            sections[**open].level == 3
                && phase.is_none_or(|phase| sections[phase].level < 3 && phase != **open)
        };
        self.stack.iter().find(deeper).map_or(0, |open| sections[*open].line)
    }

    /// Gives the heading that makes this place one where tasks are only talked about.
    pub(super) fn reference(&self, sections: &[Section]) -> Option<usize> {
        let top = |open: usize| sections[open].level <= 2;
        self.stack.iter().copied().find(|open| {
            let section = &sections[*open];
            let title = *open == 0 && is_title(sections);
            // Under a phase only the sections that are examples by name are; a block may well be
            // called "Dependencies" and install some.
            let lower = section.title.to_lowercase();
            let example = ["parallel e", "parallel o", "notes", "validation checklist"];
            section.reference
                && !title
                && (top(*open)
                    || self.phase(sections).is_none_or(|phase| sections[phase].reference)
                    || example.iter().any(|word| lower.starts_with(word)))
        })
    }

    /// Gives the heading that makes the boxes here checks and no tasks.
    pub(super) fn checks(&self, sections: &[Section]) -> Option<usize> {
        let mut inner = self.stack.iter().copied().filter(|open| *open != 0 || !is_title(sections));
        let labelled = self.labelled(sections);
        inner.find(|open| match sections[*open].checks {
            Checks::No => false,
            Checks::OutsidePhases => !labelled,
            Checks::Always => true,
        })
    }

    /// Tells whether a heading with a phase's label is open.
    pub(super) fn labelled(&self, sections: &[Section]) -> bool {
        self.stack.iter().any(|open| sections[*open].label.is_some())
    }

    /// Gives a heading between the phase and this place that may be a task itself.
    pub(super) fn numbered<'a>(&self, sections: &'a [Section]) -> Option<&'a Section> {
        let phase = self.phase(sections);
        let label = phase.and_then(|phase| sections[phase].label.as_deref());
        let inner = self.stack.iter().filter(|open| Some(**open) != phase);
        inner.map(|open| &sections[*open]).find(|section| section.numbered_in(label))
    }

    /// Tells whether dependency statements are read here.
    pub(super) fn orders(&self, sections: &[Section]) -> bool {
        let mut heads = self.stack.iter().filter(|open| **open != 0 || !is_title(sections));
        heads.any(|open| sections[*open].orders)
    }
}

/// Tells whether the first heading is the plan's title.
fn is_title(sections: &[Section]) -> bool {
    sections.first().is_some_and(|first| first.level == 1 && first.label.is_none())
}

/// Reads a plan's title out of its first `# ` heading: `Tasks: Photo albums` is `Photo albums`.
pub(super) fn plan_title(words: &str) -> String {
    let task_words =
        ["task", "tâche", "tarea", "tarefa", "任务", "任務", "작업", "태스크", "タスク", "aufgabe"];
    let words = words.trim();
    for separator in [":", "：", " - ", " – ", " — "] {
        if let Some((head, title)) = words.split_once(separator)
            && head.chars().count() <= 40
            && task_words.iter().any(|word| head.to_lowercase().contains(word))
            && !title.trim().is_empty()
        {
            return title.trim().to_owned();
        }
    }
    words.to_owned()
}
