//! From a draft in the plan's words to a workflow: keys, groups and needs become a definition,
//! and what the plan says is done or skipped becomes imported state.

use super::draft::{Draft, DraftState, DraftStep, NeedWhy};
use super::{Gates, PlanDraft, PlanError, PlanFormat, PlanNote, PlanOptions, PlanText, Spot};
use crate::domain::event::{ImportedState, ImportedStep};
use crate::domain::id::{Digest, StepKey, WorkflowName, slug};
use crate::domain::workflow::{
    GateDefinition, GateKind, NeedSource, SCHEMA, Source, StepDefinition, TEXT_LIMIT, Workflow,
    WorkflowDefinition, blank_step,
};

/// Makes the workflow of an imported plan.
pub(super) fn import(
    draft: &Draft,
    plan: PlanText<'_>,
    options: &PlanOptions,
) -> Result<PlanDraft, PlanError> {
    let mut imported = Vec::new();
    let mut steps = Vec::new();
    for step in &draft.steps {
        if step.checkpoint.is_some() && options.gates == Gates::Drop {
            continue;
        }
        let definition = definition(draft, step)?;
        if let Some(state) = imported_state(step, options.gates) {
            let source_line = Some(step.line);
            imported.push(ImportedStep { key: definition.key.clone(), state, source_line });
        }
        steps.push(definition);
    }
    let definition = WorkflowDefinition {
        schema: Some(SCHEMA.into()),
        name: name(draft, plan),
        version: 1,
        title: draft.title.clone(),
        effective: None,
        steps,
    };
    // The reader refuses cycles among what is stated; the implied order is checked here.
    if let Err(problems) = Workflow::compile(definition.clone(), Digest::of(b"")) {
        let message = problems.first().map(|p| p.message.clone()).unwrap_or_default();
        return Err(PlanError::new(message, None));
    }
    let note = |line, message| PlanNote { line, message };
    Ok(PlanDraft {
        format: PlanFormat::SpecKit,
        kind: draft.format.clone(),
        definition,
        imported,
        warnings: draft.warnings.iter().map(|w| note(w.line, w.message.clone())).collect(),
        title: draft.title.clone(),
        phases: draft.phases.iter().map(phase_name).collect(),
    })
}

fn phase_name(phase: &super::draft::Phase) -> String {
    let name = format!("{} {}", phase.label, phase.title);
    name.trim().to_owned()
}

fn definition(draft: &Draft, step: &DraftStep) -> Result<StepDefinition, PlanError> {
    let key = |text: &str| {
        text.parse::<StepKey>().map_err(|error| {
            let spot = Spot { line: step.line, column: 0, length: 0 };
            PlanError::new(error.to_string(), Some(spot))
        })
    };
    let mut definition = blank_step(key(&step.key)?);
    let text = |text: &str| {
        let cut = text
            .char_indices()
            .map(|(at, c)| at + c.len_utf8())
            .take_while(|&end| end <= TEXT_LIMIT);
        text[..cut.last().unwrap_or(0)].to_owned()
    };
    definition.title = (!step.title.is_empty()).then(|| text(&step.title));
    definition.description = (!step.body.is_empty()).then(|| text(&step.body));
    definition.parallelizable = step.parallelizable;
    definition.group = match &step.group {
        Some(group) => Some(group.parse().map_err(|error: crate::domain::id::InvalidId| {
            PlanError::new(error.to_string(), None)
        })?),
        None => None,
    };
    let mut needs = Vec::new();
    let mut sources = Vec::new();
    for need in &step.needs {
        let key = key(&need.key)?;
        needs.push(key.clone());
        let path = match &need.why {
            NeedWhy::SamePath(path) => Some(path.clone()),
            NeedWhy::Stated => None,
        };
        sources.push(NeedSource { key, line: need.line, path });
    }
    definition.needs = (!needs.is_empty()).then_some(needs);
    definition.source = Some(Source {
        line: step.line,
        phase: step.phase.and_then(|at| draft.phases.get(at)).map(phase_name),
        needs: sources,
    });
    if let Some(checkpoint) = &step.checkpoint {
        definition.gate = Some(GateDefinition {
            kind: GateKind::Review,
            approvers: None,
            quorum: None,
            reject_to: checkpoint.reject_to.as_deref().map(key).transpose()?,
            self_review: None,
        });
    }
    Ok(definition)
}

fn imported_state(step: &DraftStep, gates: Gates) -> Option<ImportedState> {
    match (&step.checkpoint, step.state) {
        (Some(checkpoint), _) => {
            (checkpoint.already_passed && gates == Gates::Keep).then_some(ImportedState::Done)
        }
        (None, DraftState::Done) => Some(ImportedState::Done),
        (None, DraftState::Skipped) => Some(ImportedState::Skipped),
        (None, DraftState::Open) => None,
    }
}

/// A spec folder's name where the plan is its `tasks.md`, else the slug of the title.
fn name(draft: &Draft, plan: PlanText<'_>) -> WorkflowName {
    let slugged = |text: &str| slug(text, 48).and_then(|slug| slug.parse().ok());
    let folder = plan.path.and_then(spec_folder);
    folder
        .and_then(|folder| folder.parse().ok().or_else(|| slugged(folder)))
        .or_else(|| draft.title.as_deref().and_then(slugged))
        .unwrap_or_else(|| "plan".parse().expect("a literal within the grammar"))
}

/// The folder a `tasks.md` stands in.
#[must_use]
pub fn spec_folder(path: &str) -> Option<&str> {
    let folder = path.rsplit(['/', '\\']).nth(1)?;
    (is_tasks_file(path) && !matches!(folder, "" | "." | "..")).then_some(folder)
}

/// Whether a path ends in `tasks.md`.
pub(super) fn is_tasks_file(path: &str) -> bool {
    path.rsplit(['/', '\\']).next().is_some_and(|file| file.eq_ignore_ascii_case("tasks.md"))
}
