//! THE READER. Plan texts become a workflow draft with warnings; one file a format, one sniffing
//! door. Pure: text in, data out.
//!
//! What is not here: files, the ledger, a clock. A wrong guess is worse than a refusal, so what
//! cannot be read is refused with its line.

pub mod draft;
mod import;
mod markdown;
mod native;
pub mod speckit;
mod words;

use import::is_tasks_file;
pub use import::spec_folder;

use crate::domain::event::ImportedStep;
use crate::domain::workflow::WorkflowDefinition;

/// A plan as given.
#[derive(Debug, Clone, Copy)]
pub struct PlanText<'a> {
    pub text: &'a str,
    /// The file's name as given, or nothing for standard input; for sniffing and names only.
    pub path: Option<&'a str>,
}

/// The formats that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlanFormat {
    /// A native workflow file.
    Yaml,
    Toml,
    Json,
    /// spec-kit's `tasks.md`.
    SpecKit,
}

impl PlanFormat {
    /// The name on the command line and in artifacts.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Yaml => "yaml",
            Self::Toml => "toml",
            Self::Json => "json",
            Self::SpecKit => "spec-kit",
        }
    }

    /// Whether the file is a workflow, word for word.
    #[must_use]
    pub fn is_native(self) -> bool {
        !matches!(self, Self::SpecKit)
    }
}

/// What becomes of a plan's checkpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Gates {
    /// They are review gates; one that everything before is done is imported as done.
    #[default]
    Keep,
    /// They are left out.
    Drop,
    /// They are review gates, and also those already passed wait for people.
    Ask,
}

/// How to read.
#[derive(Debug, Clone, Copy, Default)]
pub struct PlanOptions {
    /// Named by the caller; sniffed otherwise.
    pub format: Option<PlanFormat>,
    pub gates: Gates,
}

/// A plan, read: a workflow and where its steps already stand.
#[derive(Debug, Clone)]
pub struct PlanDraft {
    pub format: PlanFormat,
    /// For people: `spec-kit tasks, style A`.
    pub kind: String,
    /// Named by the plan itself; importers' versions are settled when it is registered.
    pub definition: WorkflowDefinition,
    pub imported: Vec<ImportedStep>,
    pub warnings: Vec<PlanNote>,
    /// The plan's own title.
    pub title: Option<String>,
    /// Headings that hold steps, in order.
    pub phases: Vec<String>,
}

/// A warning, with its line (0: the plan as a whole).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanNote {
    pub line: u32,
    pub message: String,
}

/// Why a plan cannot be read, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PlanError {
    pub message: String,
    pub at: Option<Spot>,
    pub hint: Option<String>,
    /// Other lines that belong to it.
    pub related: Vec<(Spot, String)>,
}

/// A place in a plan's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spot {
    /// From 1.
    pub line: u32,
    /// From 1, in characters; 0 for the whole line.
    pub column: u32,
    /// Characters.
    pub length: u32,
}

/// The text of a plan's bytes.
///
/// # Errors
/// Where it stops being UTF-8, with what can be shown of it.
pub fn decode(bytes: Vec<u8>) -> Result<String, (PlanError, String)> {
    String::from_utf8(bytes).map_err(|error| {
        let sound = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let before = String::from_utf8_lossy(sound);
        let line = before.rsplit('\n').next().unwrap_or("");
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let spot = Spot {
            line: number(before.matches('\n').count()).saturating_add(1),
            column: number(line.chars().count()).saturating_add(1),
            length: 1,
        };
        let shown = String::from_utf8_lossy(error.as_bytes()).into_owned();
        (PlanError::new("it is not UTF-8", Some(spot)), shown)
    })
}

impl PlanError {
    fn new(message: impl Into<String>, at: Option<Spot>) -> Self {
        Self { message: message.into(), at, hint: None, related: Vec::new() }
    }
}

/// The largest plan that is read.
const LIMIT: usize = 4 * 1024 * 1024;

/// Reads a plan.
///
/// # Errors
/// With the line: an unknown format, conflict markers, an unfilled template, a cycle, an invalid
/// file.
pub fn read(plan: PlanText<'_>, options: &PlanOptions) -> Result<PlanDraft, PlanError> {
    let text = plan.text;
    if text.len() > LIMIT {
        let message = format!("the plan has {} bytes; {LIMIT} are allowed", text.len());
        return Err(PlanError::new(message, None));
    }
    if text.trim().is_empty() {
        return Err(PlanError::new("the plan is empty", None));
    }
    if let Some(line) = conflict_marker(text) {
        let spot = Spot { line, column: 1, length: 7 };
        return Err(PlanError::new("the plan has a git conflict marker", Some(spot)));
    }
    let format = match options.format {
        Some(format) => format,
        None => sniff(plan)?,
    };
    match format {
        PlanFormat::Yaml | PlanFormat::Toml | PlanFormat::Json => native::read(text, format),
        PlanFormat::SpecKit => {
            let draft = speckit::read(text).map_err(unreadable)?;
            import::import(&draft, plan, options)
        }
    }
}

fn unreadable(why: draft::Unreadable) -> PlanError {
    let spot = |line: u32| Spot { line, column: 0, length: 0 };
    let mut error = PlanError::new(why.message, (why.line > 0).then(|| spot(why.line)));
    error.related = why.related.into_iter().map(|(line, what)| (spot(line), what)).collect();
    error
}

/// The line of the first conflict marker, fences and all: half a plan is never read.
fn conflict_marker(text: &str) -> Option<u32> {
    let marker = |line: &str| {
        line.starts_with("<<<<<<< ") || line.starts_with(">>>>>>> ") || line.trim_end() == "<<<<<<<"
    };
    let at = text.lines().position(marker)?;
    u32::try_from(at).ok()?.checked_add(1)
}

/// Recognises a format by its text first and its name second.
fn sniff(plan: PlanText<'_>) -> Result<PlanFormat, PlanError> {
    let extension = plan.path.and_then(|path| path.rsplit_once('.')).map(|(_, ext)| ext);
    match extension.map(str::to_ascii_lowercase).as_deref() {
        Some("yaml" | "yml") => return Ok(PlanFormat::Yaml),
        Some("toml") => return Ok(PlanFormat::Toml),
        Some("json") => return Ok(PlanFormat::Json),
        _ => {}
    }
    let text = plan.text.trim_start_matches('\u{feff}').trim_start();
    if text.starts_with('{') {
        return Ok(PlanFormat::Json);
    }
    let starts = |key: &str| text.lines().any(|line| line.starts_with(key));
    if starts("name:") && starts("steps:") {
        return Ok(PlanFormat::Yaml);
    }
    if text.lines().any(|line| line.trim_end() == "[[steps]]") {
        return Ok(PlanFormat::Toml);
    }
    let other = plan.path.and_then(|path| path.rsplit(['/', '\\']).find_map(other_tool));
    if let Some(tool) = other {
        let message = format!("plans of {tool} are not read yet");
        let mut error = PlanError::new(message, None);
        error.hint =
            Some("if it is a plan of spec-kit all the same: --plan-format spec-kit".into());
        return Err(error);
    }
    // A file of that name with a task in it is one, however few tasks it has.
    let named = plan.path.is_some_and(is_tasks_file);
    let style = speckit::sniff(plan.text);
    if named || style.is_some_and(speckit::Style::has_ids) {
        return Ok(PlanFormat::SpecKit);
    }
    let mut error = PlanError::new("this is no plan that is read here", None);
    error.hint = Some(match style {
        // Any list of boxes looks like that.
        Some(_) => "it has boxes without task ids under phases: if it is a plan of spec-kit, say \
                    --plan-format spec-kit"
            .into(),
        None => "looked for: a workflow file with name and steps (YAML, TOML, JSON), and spec-kit \
                 tasks (- [ ] T001 …, ### T001: …)"
            .into(),
    });
    Err(error)
}

/// The tool whose folder this is, where it also calls its plans `tasks.md`.
fn other_tool(folder: &str) -> Option<&'static str> {
    match folder {
        ".kiro" => Some("Kiro"),
        "openspec" => Some("OpenSpec"),
        _ => None,
    }
}
