//! `migrate`, `rollback`: an item moves to another version of its workflow, and back (FR-016).

use std::sync::Arc;

use super::super::Reply;
use super::super::args::{MigrateArgs, RollbackArgs};
use super::super::error::{Failure, next};
use super::super::session::{Act, Code, Session};
use super::super::ui::{Line, said};
use super::super::view::{FateView, MigrationView};
use super::{Asks, Open, fold_now, listed, onwards, released, workflow_name};
use crate::domain::decide::{Ask, Decided, Fate, Migrate, RollBack, Unchanged, fates};
use crate::domain::event::{Event, WorkflowRef};
use crate::domain::id::{ItemId, StepKey, WorkflowName};
use crate::domain::refusal::Refusal;
use crate::domain::workflow::Workflow;
use crate::ledger::{LedgerError, Receipt, Snapshot, Verdict};

/// What was asked for, before the ledger says which versions there are.
enum Wanted<'a> {
    To {
        /// The item's own where it is left out.
        name: Option<WorkflowName>,
        version: u32,
        map: Vec<(StepKey, StepKey)>,
        drop: Vec<StepKey>,
        ask: &'a MigrateArgs,
    },
    Back {
        reason: &'a str,
    },
}

/// What a judged ask comes to.
struct Judged {
    decided: Decided,
    /// The version the item would be on.
    to: Arc<Workflow>,
    fates: Vec<Fate>,
}

pub(super) fn migrate(args: &MigrateArgs, session: &Session) -> Result<Reply, Failure> {
    let (name, version) = match args.to.parse::<u32>() {
        Ok(version) => (None, version),
        Err(_) => match workflow_name(&args.to)? {
            (name, Some(version)) => (Some(name), version),
            (name, None) => {
                return Err(Failure::usage(format!(
                    "--to {name} names no version: {name}@VERSION"
                )));
            }
        },
    };
    let map = mapping(&args.map)?;
    let drop = args.drop.iter().map(|key| Ok(key.parse()?)).collect::<Result<_, Failure>>()?;
    let wanted = Wanted::To { name, version, map, drop, ask: args };
    run(&args.item, &wanted, args.dry_run, session)
}

pub(super) fn rollback(args: &RollbackArgs, session: &Session) -> Result<Reply, Failure> {
    run(&args.item, &Wanted::Back { reason: &args.reason }, args.dry_run, session)
}

fn run(item: &str, wanted: &Wanted<'_>, dry: bool, session: &Session) -> Result<Reply, Failure> {
    let item: ItemId = item.parse()?;
    let act = session.act(Code::None)?;
    let fail = |error: LedgerError| session.ledger_failure(&error);
    if dry {
        let snapshot = act.ledger.snapshot().map_err(fail)?;
        let judged = judge(&snapshot, &item, wanted, &act).map_err(fail)?;
        return Ok(shown(&item, &judged, session));
    }
    let receipt: Receipt<Judged> = act
        .ledger
        .transact(&act.moment, |snapshot| {
            let judged = judge(snapshot, &item, wanted, &act)?;
            Ok(match judged.decided.clone() {
                Decided::Facts(facts) => Verdict::Record {
                    facts,
                    definitions: Vec::new(),
                    workflow: Some(Arc::clone(&judged.to)),
                    value: judged,
                },
                Decided::Unchanged(_) => Verdict::Nothing(judged),
            })
        })
        .map_err(fail)?;
    let open = Open::of(&fold_now(&receipt, &act.ledger, &item, session)?);
    let judged = &receipt.value;
    let version = format!("{}@{}", judged.to.reference.name, judged.to.reference.version);
    let mut view = view(&item, judged);
    let mut reply = match &judged.decided {
        Decided::Unchanged(unchanged) => {
            let rest = match unchanged {
                Unchanged::Request { .. } => "this request was answered before".to_owned(),
                _ => format!("{item} is on {version} already"),
            };
            let mut reply = Reply::new("migration", &view);
            reply.lines.push(said("unchanged", format!("{rest}: nothing recorded")));
            reply
        }
        Decided::Facts(_) => {
            let word = match wanted {
                Wanted::To { .. } => "migrated",
                Wanted::Back { .. } => "rolled-back",
            };
            view.outcome = word.into();
            view.released = released(&receipt);
            let mut reply = Reply::new("migration", &view);
            reply.recorded = true;
            let by = &act.moment.actor.principal;
            let word = word.replace('-', " ");
            reply.lines.push(said(&word, format!("{item} to {version} by {by}")));
            for fate in judged.fates.iter().filter(|fate| tells(fate)).take(TOLD) {
                reply.lines.push(line(fate));
            }
            if !view.released.is_empty() {
                reply.lines.push(said("released", listed(&view.released)));
            }
            reply
        }
    };
    reply.quiet = format!("{item}\t{version}\n");
    if !open.ready.is_empty() {
        reply.lines.push(said("ready", open.ready_words()));
    }
    reply.next = onwards(&item, &open, &Asks::acting(&act, session));
    Ok(reply)
}

/// How many steps an answer names; `--dry-run` and `--json` name all.
const TOLD: usize = 3;

/// Finds the version, and asks.
fn judge(
    snapshot: &Snapshot<'_>,
    item: &ItemId,
    wanted: &Wanted<'_>,
    act: &Act,
) -> Result<Judged, LedgerError> {
    let fold = snapshot.known_item(item)?;
    let here = &fold.workflow;
    let (to, ask) = match wanted {
        Wanted::To { name, version, map, drop, ask } => {
            let name = name.clone().unwrap_or_else(|| here.reference.name.clone());
            let known = snapshot.ledger()?.workflows.get(&(name.clone(), *version));
            let Some(known) = known else {
                return Err(Refusal::UnknownWorkflow { name, version: Some(*version) }.into());
            };
            let sha256 = known.sha256.clone();
            let to = snapshot.workflow(&WorkflowRef { name, version: *version, sha256 })?;
            let migrate = Migrate {
                to: (*to).clone(),
                map: map.clone(),
                drop: drop.clone(),
                release_claims: ask.release_claims,
                reason: ask.reason.clone(),
            };
            (to, Ask::Migrate(Box::new(migrate)))
        }
        Wanted::Back { reason } => {
            let to = match fold.state.last_migration() {
                Some(last) => snapshot.workflow(&last.from.reference())?,
                None => Arc::clone(here),
            };
            (to, Ask::RollBack(RollBack { reason: (*reason).to_owned() }))
        }
    };
    let decided = snapshot.decide(item, &ask, &act.moment)?;
    let facts: &[Event] = match &decided {
        Decided::Facts(facts) => facts,
        Decided::Unchanged(_) => &[],
    };
    let fates = if facts.is_empty() { Vec::new() } else { fates(here, &fold.state, &to, facts) };
    Ok(Judged { decided, to, fates })
}

/// `OLD=NEW`.
fn mapping(given: &[String]) -> Result<Vec<(StepKey, StepKey)>, Failure> {
    let pair = |text: &String| {
        let (old, new) = text.split_once('=').ok_or_else(|| {
            Failure::usage(format!("--map takes OLD=NEW, not `{}`", text.escape_debug()))
        })?;
        Ok((old.parse()?, new.parse()?))
    };
    given.iter().map(pair).collect()
}

fn view(item: &ItemId, judged: &Judged) -> MigrationView {
    MigrationView {
        work_item_id: item.clone(),
        outcome: "unchanged".into(),
        workflow: judged.to.reference.name.clone(),
        version: judged.to.reference.version,
        steps: judged
            .fates
            .iter()
            .map(|fate| FateView {
                from: fate.from.clone(),
                to: fate.to.clone(),
                before: fate.before.into(),
                after: fate.after.into(),
            })
            .collect(),
        released: Vec::new(),
    }
}

/// What would become of every step.
fn shown(item: &ItemId, judged: &Judged, session: &Session) -> Reply {
    let mut view = view(item, judged);
    let version = format!("{}@{}", judged.to.reference.name, judged.to.reference.version);
    if let Decided::Unchanged(_) = &judged.decided {
        let mut reply = Reply::new("migration", &view);
        reply.lines.push(said("unchanged", format!("{item} is on {version} already")));
        reply.next.push(next(["status", item.as_str()]));
        return reply;
    }
    view.outcome = "dry-run".into();
    let mut reply = Reply::new("migration", &view);
    reply.lines.push(said("would move", format!("{item} to {version}")));
    reply.lines.push(Line::Blank);
    reply.lines.extend(judged.fates.iter().map(line));
    reply.aside = vec![Line::Text("dry run: nothing was recorded".into())];
    let whole = session.asker().whole.into_iter().filter(|word| word != "--dry-run");
    reply.next.push(super::super::error::Next { argv: whole.collect(), note: None });
    reply
}

/// Whether something happens to a step at all.
fn tells(fate: &Fate) -> bool {
    fate.from != fate.to || fate.before != fate.after
}

fn line(fate: &Fate) -> Line {
    let (keys, what) = match (&fate.from, &fate.to) {
        (Some(from), Some(to)) if from == to => (to.to_string(), "stays"),
        (Some(from), Some(to)) => (format!("{from} → {to}"), "renamed"),
        (Some(from), None) => (from.to_string(), "goes"),
        (None, to) => (to.as_ref().map(ToString::to_string).unwrap_or_default(), "comes"),
    };
    let state = match (&fate.from, &fate.to) {
        (Some(_), None) => format!("{}; kept in history", fate.before),
        (None, _) => fate.after.to_owned(),
        _ if fate.before == fate.after => fate.after.to_owned(),
        _ => format!("{} → {}", fate.before, fate.after),
    };
    Line::Row(vec![format!("  {what}"), keys, state])
}
