//! Native workflow files: YAML, TOML or JSON with top-level `name` and `steps`, read into the
//! definition's own types, so that unknown and doubled keys are refused.

use std::ops::Range;

use serde::Deserialize;

use super::{PlanDraft, PlanError, PlanFormat, Spot, words};
use crate::domain::id::Digest;
use crate::domain::workflow::{Place, Problem, StepField, Workflow, WorkflowDefinition};

/// Reads and validates a native file.
pub(super) fn read(text: &str, format: PlanFormat) -> Result<PlanDraft, PlanError> {
    let text = text.trim_start_matches('\u{feff}');
    let definition = parse(text, format)?;
    // Compiled here only to find problems while their lines are at hand.
    if let Err(problems) = Workflow::compile(definition.clone(), Digest::of(b"")) {
        return Err(locate(text, format, problems));
    }
    Ok(PlanDraft {
        format,
        kind: format!("native workflow, {}", format.name().to_uppercase()),
        title: definition.title.clone(),
        definition,
        imported: Vec::new(),
        warnings: Vec::new(),
        phases: Vec::new(),
    })
}

fn parse(text: &str, format: PlanFormat) -> Result<WorkflowDefinition, PlanError> {
    match format {
        PlanFormat::Toml => toml::from_str(text).map_err(|error| {
            let spot = error.span().map(|span| spot_of(text, span.start, span.end));
            complaint(error.message(), text, spot)
        }),
        PlanFormat::Json => serde_json::from_str(text).map_err(|error| {
            let whole = error.to_string();
            let message = whole.split(" at line ").next().unwrap_or(&whole).to_owned();
            complaint(&message, text, Some(json_spot(text, error.line(), error.column())))
        }),
        PlanFormat::Yaml | PlanFormat::SpecKit => yaml(text).map_err(|error| {
            let spot = error.location().map(|at| {
                // The scanner's errors know characters only.
                let nth = usize::try_from(at.span().offset()).unwrap_or(usize::MAX);
                let at = text.char_indices().nth(nth).map_or(text.len(), |(at, _)| at);
                spot_of(text, at, at + 1)
            });
            complaint(&yaml_message(&error), text, spot)
        }),
    }
}

/// A library's complaint in our own words, with the word it is about.
fn complaint(message: &str, text: &str, spot: Option<Spot>) -> PlanError {
    let found = spot.and_then(|spot| word_at(text, spot));
    let said = words::said(message, found);
    let length = found.map_or(1, |word| u32::try_from(word.chars().count()).unwrap_or(1));
    let spot = spot.map(|spot| Spot { length: spot.length.max(length), ..spot });
    let mut error = PlanError::new(said.message, spot);
    error.hint = said.hint;
    error
}

/// The plain word that stands at a place; none where a list, fields or quoted text begin.
fn word_at(text: &str, spot: Spot) -> Option<&str> {
    let line = text.lines().nth(spot.line.checked_sub(1)? as usize)?;
    let start = line.char_indices().nth(spot.column.checked_sub(1)? as usize)?.0;
    let word = line[start..].split([',', ']', '}', '#', ':', '=', '"']).next()?.trim_end();
    let plain = word.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '-' | '+' | '.'));
    (plain && word.chars().count() <= 60 && !word.starts_with("- ")).then_some(word)
}

fn yaml<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T, serde_saphyr::Error> {
    let mut options = serde_saphyr::Options::default();
    options.strict_booleans = true;
    options.with_snippet = false;
    serde_saphyr::from_str_with_options(text, options)
}

/// The reader's words without the position, which is shown with the line itself.
fn yaml_message(error: &serde_saphyr::Error) -> String {
    let text = error.to_string();
    let first = text.lines().next().unwrap_or(&text);
    if first.contains("budget breached") {
        return "it is too large, or repeats itself by aliases too often, to be a workflow".into();
    }
    let first = first.strip_prefix("error: ").unwrap_or(first);
    let cut = first.find(" at line ").or_else(|| first.find(" (line "));
    let first = cut.map_or(first, |cut| &first[..cut]);
    // What the library offers its own callers is no help to who wrote the file.
    let advice = [", set DuplicateKeyPolicy", "; use from_str_multiple", ", use from_str_multiple"];
    let first = advice.iter().fold(first, |text, advice| text.split(advice).next().unwrap_or(text));
    let said = match first.strip_prefix("line ").and_then(|rest| rest.split_once(": ")) {
        Some((_, rest)) => rest,
        None => first,
    };
    said.replace("sequence start", "a list").replace("mapping start", "fields")
}

/// Turns the first problem into an error at its line; the others are named after it.
fn locate(text: &str, format: PlanFormat, problems: Vec<Problem>) -> PlanError {
    let skeleton = match format {
        PlanFormat::Toml => toml_skeleton(text),
        // JSON is YAML enough for positions; its grammar has been checked already.
        PlanFormat::Yaml | PlanFormat::Json | PlanFormat::SpecKit => yaml_skeleton(text),
    };
    let spot = |place: &Place| {
        let Range { start, end } = skeleton.as_ref()?.find(place)?;
        Some(spot_of(text, start, end))
    };
    let mut problems = problems.into_iter();
    let Some(first) = problems.next() else {
        return PlanError::new("the workflow is not valid", None);
    };
    let mut error = PlanError::new(first.message, spot(&first.place));
    error.hint = first.hint;
    error.related = first
        .related
        .iter()
        .filter_map(|(place, what)| Some((spot(place)?, what.clone())))
        .collect();
    for further in problems.take(9) {
        if let Some(at) = spot(&further.place) {
            error.related.push((at, further.message));
        }
    }
    error
}

/// serde_json counts columns in bytes, and says 0 for the end of a line.
fn json_spot(text: &str, line: usize, column: usize) -> Spot {
    let before: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    match column.checked_sub(1) {
        None => Spot { line: number(line), column: 0, length: 0 },
        Some(column) => spot_of(text, before + column, before + column + 1),
    }
}

fn spot_of(text: &str, start: usize, end: usize) -> Spot {
    let before = text.get(..start).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let count = |text: &str| u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
    let line = u32::try_from(before.matches('\n').count()).unwrap_or(u32::MAX) + 1;
    let inside = text.get(start..end).unwrap_or("").lines().next().unwrap_or("");
    Spot { line, column: count(&before[line_start..]) + 1, length: count(inside).max(1) }
}

/// Where the words of a file stand, in bytes: only what a problem can point at.
#[derive(Default)]
struct Skeleton {
    name: Option<Range<usize>>,
    version: Option<Range<usize>>,
    steps: Vec<StepSpots>,
}

#[derive(Default)]
struct StepSpots {
    key: Option<Range<usize>>,
    order: Option<Range<usize>>,
    group: Option<Range<usize>>,
    crosses_gates: Option<Range<usize>>,
    needs: Vec<Range<usize>>,
    constraints: Vec<Range<usize>>,
    entry: Vec<Range<usize>>,
    exit: Vec<Range<usize>>,
    quorum: Option<Range<usize>>,
    reject_to: Option<Range<usize>>,
}

impl Skeleton {
    fn find(&self, place: &Place) -> Option<Range<usize>> {
        match place {
            Place::Name | Place::Schema | Place::Effective | Place::Steps => self.name.clone(),
            Place::Version => self.version.clone().or_else(|| self.name.clone()),
            Place::Step(at, field) => {
                let step = self.steps.get(*at)?;
                let found = match *field {
                    StepField::Order => step.order.as_ref(),
                    StepField::Group => step.group.as_ref(),
                    StepField::CrossesGates => step.crosses_gates.as_ref(),
                    StepField::Need(n) => step.needs.get(n),
                    StepField::Constraint(n) => step.constraints.get(n),
                    StepField::Entry(n) => step.entry.get(n),
                    StepField::Exit(n) => step.exit.get(n),
                    StepField::Quorum => step.quorum.as_ref(),
                    StepField::RejectTo => step.reject_to.as_ref(),
                    StepField::Key
                    | StepField::Text
                    | StepField::Gate
                    | StepField::Execute
                    | StepField::Retry => None,
                };
                found.or(step.key.as_ref()).cloned()
            }
        }
    }
}

/// The same skeleton for two parsers, which differ in the type that carries a position.
macro_rules! skeleton {
    ($function:ident, $spanned:ident, $parse:expr, $word:ident, $spot:ident) => {
        fn $function(text: &str) -> Option<Skeleton> {
            use $spanned::Spanned;

            #[derive(Deserialize)]
            struct File {
                name: Option<Spanned<String>>,
                version: Option<Spanned<u64>>,
                #[serde(default)]
                steps: Vec<Step>,
            }
            #[derive(Deserialize)]
            #[serde(rename_all = "camelCase")]
            struct Step {
                key: Option<Spanned<String>>,
                order: Option<Spanned<u64>>,
                group: Option<Spanned<String>>,
                crosses_gates: Option<Spanned<bool>>,
                #[serde(default)]
                needs: Vec<Spanned<String>>,
                #[serde(default)]
                constraints: Vec<Spanned<String>>,
                #[serde(default)]
                entry: Vec<Criterion>,
                #[serde(default)]
                exit: Vec<Criterion>,
                gate: Option<Gate>,
            }
            #[derive(Deserialize)]
            struct Criterion {
                id: Spanned<String>,
            }
            #[derive(Deserialize)]
            #[serde(rename_all = "camelCase")]
            struct Gate {
                quorum: Option<Spanned<u64>>,
                reject_to: Option<Spanned<String>>,
            }
            let file: File = $parse(text)?;
            let words = |list: &[Spanned<String>]| list.iter().map(|w| $word(w)).collect();
            let ids = |list: &[Criterion]| list.iter().map(|c| $word(&c.id)).collect();
            Some(Skeleton {
                name: file.name.as_ref().map(|name| $word(name)),
                version: file.version.as_ref().map(|v| $spot(v)),
                steps: file
                    .steps
                    .iter()
                    .map(|step| StepSpots {
                        key: step.key.as_ref().map(|key| $word(key)),
                        order: step.order.as_ref().map(|o| $spot(o)),
                        group: step.group.as_ref().map(|group| $word(group)),
                        crosses_gates: step.crosses_gates.as_ref().map(|c| $spot(c)),
                        needs: words(&step.needs),
                        constraints: words(&step.constraints),
                        entry: ids(&step.entry),
                        exit: ids(&step.exit),
                        quorum: step
                            .gate
                            .as_ref()
                            .and_then(|gate| gate.quorum.as_ref())
                            .map(|q| $spot(q)),
                        reject_to: step
                            .gate
                            .as_ref()
                            .and_then(|gate| gate.reject_to.as_ref())
                            .map(|to| $word(to)),
                    })
                    .collect(),
            })
        }
    };
}

skeleton!(yaml_skeleton, serde_saphyr, |text| yaml::<File>(text).ok(), yaml_word, yaml_spot);
skeleton!(toml_skeleton, toml, |text| toml::from_str::<File>(text).ok(), toml_spot, toml_spot);

/// Where a value of a YAML file begins, in bytes: the library's own lines are others than ours,
/// because to YAML a carriage return alone ends one.
fn start_of(at: serde_saphyr::Location) -> usize {
    at.span().byte_offset().and_then(|at| usize::try_from(at).ok()).unwrap_or(0)
}

fn yaml_word(value: &serde_saphyr::Spanned<String>) -> Range<usize> {
    let start = start_of(value.referenced);
    start..start + value.value.len()
}

fn yaml_spot<T>(value: &serde_saphyr::Spanned<T>) -> Range<usize> {
    let start = start_of(value.referenced);
    start..start + 1
}

fn toml_spot<T>(value: &toml::Spanned<T>) -> Range<usize> {
    value.span()
}
