//! `status ITEM --impact STEP`: what hangs on a step, and what sending it back would undo.

use std::collections::BTreeSet;

use super::super::Reply;
use super::super::error::{Failure, next};
use super::super::ui::Line;
use super::super::view::ImpactView;
use super::{Asks, Open, names, onwards, step_at};
use crate::domain::decide::{may_return, void_set};
use crate::domain::id::{AttemptId, ConstraintName, StepKey};
use crate::domain::state::{Standing, standing_word};
use crate::domain::transition::ItemPhase;
use crate::ledger::ItemFold;

/// How many steps a line names.
const NAMED: usize = 8;

pub(super) fn reply(fold: &ItemFold, step: &str, asks: &Asks<'_>) -> Result<Reply, Failure> {
    let ItemFold { workflow, state, .. } = fold;
    let key: StepKey = step.parse()?;
    let at = step_at(fold, &key, asks.session)?;
    let keys = |steps: &[usize]| -> Vec<StepKey> {
        steps.iter().map(|&at| workflow.steps()[at].key.clone()).collect()
    };
    let dependents = workflow.graph().dependents(at);
    let behind: Vec<usize> = (0..dependents.len()).filter(|&other| dependents[other]).collect();
    let nearest: Vec<usize> = behind
        .iter()
        .copied()
        .filter(|&other| workflow.graph().direct(other).contains(&at))
        .collect();
    let open: Vec<usize> =
        behind.iter().copied().filter(|&other| !state.steps[other].is_done()).collect();
    let standing = state.steps[at].standing();
    let back = state.phase == ItemPhase::Active && may_return(state, at, None).is_ok();
    let void = if back { void_set(workflow, state, at, None) } else { Vec::new() };
    let attempts: Vec<AttemptId> = void
        .iter()
        .filter(|&&at| state.steps[at].current().is_some())
        .map(|&at| AttemptId::new(workflow.steps()[at].key.clone(), state.steps[at].last_number()))
        .collect();
    let held: Vec<usize> = void
        .iter()
        .copied()
        .filter(|&other| state.steps[other].standing() == Standing::Claimed)
        .collect();
    let own: BTreeSet<&ConstraintName> =
        workflow.steps()[at].definition.constraints.iter().collect();
    let sharing: Vec<usize> = (0..workflow.steps().len())
        .filter(|&other| other != at)
        .filter(|&other| {
            workflow.steps()[other].definition.constraints.iter().any(|name| own.contains(name))
        })
        .collect();
    let view = ImpactView {
        work_item_id: state.id.clone(),
        step_key: key.clone(),
        state: standing_word(standing).into(),
        nearest: keys(&nearest),
        behind: keys(&behind),
        open: keys(&open),
        shares: keys(&sharing),
        void: keys(&void),
        void_attempts: attempts.clone(),
        held: keys(&held),
    };
    let mut reply = Reply::new("impact", &view);
    let word = standing_word(standing);
    reply.lines.push(Line::Text(match behind.len() {
        0 => format!("{key} is {word}: no step waits for it"),
        1 => format!("{key} is {word}: one step waits for it"),
        n => format!("{key} is {word}: {n} steps wait for it"),
    }));
    let mut row = |what: &str, steps: &[usize]| {
        if !steps.is_empty() {
            let named = names(&keys(steps), NAMED);
            reply.lines.push(Line::Row(vec![format!("  {what}"), named]));
        }
    };
    row("next behind it", &nearest);
    row("still open", &open);
    row("takes turns with", &sharing);
    row("would be void", &void);
    row("held among these", &held);
    if back {
        let words = ["rework", "--work-item", state.id.as_str(), "--return-to", key.as_str()];
        let ask = next(words).with(["--reason", "…", "--dry-run"]);
        reply.next.push(ask.note("shows what going back to it would undo"));
    } else {
        reply.next = onwards(&state.id, &Open::of(fold), asks);
    }
    Ok(reply)
}
