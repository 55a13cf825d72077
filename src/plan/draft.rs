//! What a plan reader found: a draft of ordered steps, still in the plan's own words.
//!
//! Plain data. Nothing here has been validated as a workflow yet; every line number is 1-based
//! and points into the text as given (comments and fences stripped only for reading).

/// One plan, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The plan's title: its first `# ` heading without a leading `Tasks:` and the like.
    pub title: Option<String>,
    /// What was recognised, for people: `spec-kit tasks, style A`.
    pub format: String,
    /// Headings that hold steps, in document order.
    pub phases: Vec<Phase>,
    /// Steps in launch order: document order after the moves that forward edges asked for.
    pub steps: Vec<DraftStep>,
    /// Everything the reader changed, dropped or doubted, in line order.
    pub warnings: Vec<Warning>,
    /// What the plan itself says its number of tasks is, with the line.
    pub claimed_total: Option<(u64, u32)>,
}

/// A phase that holds steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phase {
    /// The heading's label where it has one: `2`, `3.1`, `A`, `N`; else its ordinal among phases that hold tasks, from 1.
    pub label: String,
    /// The heading's words after the label: `Foundational (Blocking Prerequisites)`.
    pub title: String,
    pub line: u32,
}

/// One task or checkpoint of the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DraftStep {
    /// The step key: the plan's id, made unique, in the key grammar `[A-Za-z0-9][A-Za-z0-9._-]{0,63}`.
    pub key: String,
    /// The line's words without box, id, tags; Markdown kept.
    pub title: String,
    /// Nested lines under the task, joined by newlines; empty when there are none.
    pub body: String,
    pub line: u32,
    pub state: DraftState,
    /// Part of a wave (`[P]`).
    pub parallelizable: bool,
    /// The wave's group, unique in the plan, e.g. `wave-3`; set on every step of a wave, also of a wave of one.
    pub group: Option<String>,
    /// Explicit edges and same-path edges, without repeats, in the order of the steps they name.
    pub needs: Vec<Need>,
    /// Set on a checkpoint.
    pub checkpoint: Option<Checkpoint>,
    /// Index into `Draft::phases`; none outside any phase.
    pub phase: Option<usize>,
    /// User story tag such as `US1`, when there is one.
    pub story: Option<String>,
    /// Paths the title and body name: a token with a slash and an extension.
    pub paths: Vec<String>,
}

/// Where the plan says a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DraftState {
    Open,
    Done,
    Skipped,
}

/// One edge: this step waits for `key`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    pub key: String,
    /// The line that says so.
    pub line: u32,
    pub why: NeedWhy,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NeedWhy {
    /// The plan names the edge.
    Stated,
    /// Both tasks name this path and stand in one wave.
    SamePath(String),
}

/// A checkpoint line, to become a review gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The first not-skipped step of its phase: where a rejection returns to.
    pub reject_to: Option<String>,
    /// Every lower step is done or skipped in the plan, so the checkpoint is imported as done too.
    pub already_passed: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    pub line: u32,
    pub message: String,
}

/// Why a text was not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// 1-based; 0 when no line can be named.
    pub line: u32,
    pub message: String,
    /// A line that belongs to it: the other edge of a cycle, the opening fence.
    pub related: Vec<(u32, String)>,
}
