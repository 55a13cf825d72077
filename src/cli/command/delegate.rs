//! `delegate`: look at a plan first, then register it.
#![expect(clippy::disallowed_methods, reason = "reads the plan the caller names")]

use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::super::Reply;
use super::super::args::{DelegateArgs, FormatArg, GatesArg};
use super::super::error::{self, Failure, next};
use super::super::exit::Exit;
use super::super::session::{Code, Session};
use super::super::ui::{Line, Ui, count, plain, said, short};
use super::super::view::{DelegateView, DryRunView, DryStepView, WarningView};
use super::{Asks, Open, names, onwards, workflow_name};
use crate::domain::event::{ImportedState, ImportedStep, PlanRef};
use crate::domain::id::{Digest, ItemId, StepKey, slug};
use crate::domain::workflow::Workflow;
use crate::ops::{self, Delegation};
use crate::plan::{self, Gates, PlanDraft, PlanFormat, PlanNote, PlanOptions, PlanText};

/// More of a plan is never read: the reader refuses it with its size.
const MOST: u64 = 8 * 1024 * 1024;

/// A plan as it was read.
pub(super) struct ReadPlan {
    pub draft: PlanDraft,
    pub path: String,
    pub digest: Digest,
}

pub(super) fn run(
    args: &DelegateArgs,
    session: &Session,
    ui: &mut Ui<'_>,
) -> Result<Reply, Failure> {
    if args.plan.is_some() && args.workflow.is_some() {
        return Err(Failure::usage("--plan brings its own workflow: leave --workflow out"));
    }
    let gates = match (args.gates, session.config.text("plan.gates")) {
        (Some(GatesArg::Keep), _) => Gates::Keep,
        (Some(GatesArg::Ask), _) => Gates::Ask,
        (Some(GatesArg::Drop), _) | (None, "drop") => Gates::Drop,
        (None, _) => Gates::Keep,
    };
    let format = args.plan_format.map(|format| match format {
        FormatArg::Yaml => PlanFormat::Yaml,
        FormatArg::Toml => PlanFormat::Toml,
        FormatArg::Json => PlanFormat::Json,
        FormatArg::SpecKit => PlanFormat::SpecKit,
    });
    let options = PlanOptions { format, gates };
    let read = match &args.plan {
        Some(path) => Some(read_plan(path, session, &options, ui.err_color())?),
        None => None,
    };
    let title = title(args, read.as_ref())?;
    let idle =
        args.gates.is_some() && read.as_ref().is_none_or(|read| read.draft.format.is_native());
    let mut reply = delegate(args, session, read, title)?;
    if idle {
        let message = "--gates does nothing here: it is for the checkpoints of a plan";
        reply.warnings.push((message.to_owned(), None));
    }
    Ok(reply)
}

fn delegate(
    args: &DelegateArgs,
    session: &Session,
    read: Option<ReadPlan>,
    title: Option<String>,
) -> Result<Reply, Failure> {
    if args.dry_run {
        let Some(read) = &read else {
            return Err(Failure::usage("--dry-run needs a plan: --plan FILE"));
        };
        return dry_run(args, read, title.as_deref(), session);
    }
    let title = title.ok_or_else(|| {
        Failure::usage("nothing to delegate: name a plan with --plan FILE, or say --prompt \"…\"")
    })?;
    register(args, session, read, title)
}

/// What the item is called.
fn title(args: &DelegateArgs, read: Option<&ReadPlan>) -> Result<Option<String>, Failure> {
    if let Some(title) = &args.title {
        return Ok(Some(title.clone()));
    }
    if let Some(read) = read {
        let name = read.draft.definition.name.to_string();
        return Ok(Some(read.draft.title.clone().unwrap_or(name)));
    }
    let Some(prompt) = &args.prompt else {
        return Ok(args.work_item.clone());
    };
    let line = prompt.lines().map(str::trim).find(|line| !line.is_empty());
    let Some(line) = line else { return Err(Failure::usage("the prompt is empty")) };
    Ok(Some(line.chars().take(200).collect()))
}

fn register(
    args: &DelegateArgs,
    session: &Session,
    read: Option<ReadPlan>,
    title: String,
) -> Result<Reply, Failure> {
    let act = session.act(Code::None)?;
    let item = item_id(args, read.as_ref(), &title, &act.moment)?;
    let workflow = match (&args.workflow, session.config.text("delegate.workflow")) {
        (Some(name), _) => Some(workflow_name(name)?),
        (None, "") => None,
        (None, name) => Some(workflow_name(name)?),
    };
    let warnings = read.as_ref().map(|read| read.draft.warnings.clone()).unwrap_or_default();
    let ask = Delegation {
        item: item.clone(),
        title,
        description: args.prompt.clone(),
        workflow: workflow.filter(|_| read.is_none()),
        priority: args.priority,
        labels: args.label.clone(),
        owner: args.owner.as_deref().map(str::parse).transpose()?,
        plan: read.map(|read| {
            let plan = PlanRef {
                format: if read.draft.format.is_native() {
                    "native"
                } else {
                    read.draft.format.name()
                }
                .to_owned(),
                path: read.path,
                digest: read.digest,
            };
            (read.draft, plan)
        }),
    };
    let receipt = ops::delegate(&act.ledger, &ask, &act.moment)
        .map_err(|error| session.ledger_failure(&error))?;
    let done = &receipt.value;
    if let (false, Some(gates), Some(asked)) = (done.registered, &done.other_gates, args.gates) {
        return Err(other_gates(&item, gates, asked));
    }
    let of = |state| done.imported.iter().filter(|step| step.state == state).count();
    let (imported, skipped) = (of(ImportedState::Done), of(ImportedState::Skipped));
    let open = Open::now(&receipt, &act.ledger, &item, session)?;
    let version = format!("{}@{}", done.workflow.name, done.workflow.version);
    let mut reply = Reply::new(
        "delegate",
        &DelegateView {
            work_item_id: item.clone(),
            outcome: if done.registered { "registered" } else { "unchanged" }.into(),
            workflow: done.workflow.name.to_string(),
            version: done.workflow.version,
            sha256: done.workflow.sha256.clone(),
            imported_done: imported,
            imported_skipped: skipped,
            ready: open.ready.clone(),
            warnings: warnings.iter().map(warning_view).collect(),
        },
    );
    reply.recorded = done.registered;
    if !done.registered {
        let on = match &ask.plan {
            Some(_) => format!("is already on this plan ({version})"),
            None => format!("is registered already ({version})"),
        };
        reply.lines.push(said("unchanged", format!("{item} {on}: nothing recorded")));
        if let Some(gates) = &done.other_gates {
            let message = format!(
                "plan.gates is `{}` now, and {item} was delegated with {}: its gates stay",
                session.config.text("plan.gates"),
                gates_of(gates)
            );
            reply.warnings.push((message, None));
        }
        if let Some(survivor) = &open.ended {
            let into = survivor.as_ref().map(|id| format!(" and lives on in {id}"));
            let rest = format!("{item} takes no more work{}", into.unwrap_or_default());
            reply.lines.push(said("note", rest));
        }
        let shown = open.ended.as_ref().and_then(Option::as_ref).unwrap_or(&item);
        reply.next.push(next(["status", shown.as_str()]));
        return Ok(reply);
    }
    let steps = receipt.items.get(&item).map_or(0, |fold| fold.workflow.steps().len());
    let mut rest = format!("{item} on {version}: {}", count(steps, "step"));
    if imported + skipped > 0 {
        rest.push_str(&format!(", {imported} imported as done, {skipped} as skipped"));
    }
    reply.lines.push(said("registered", rest));
    if !open.ready.is_empty() {
        reply.lines.push(said("ready", open.ready_words()));
    }
    if !open.gates.is_empty() {
        reply.lines.push(said("decide", names(&open.gates, 8)));
    }
    for note in &warnings {
        let at = if note.line > 0 { format!(" (line {})", note.line) } else { Default::default() };
        reply.warnings.push((format!("{}{at}", plain(&note.message)), None));
    }
    let implicit = ask.plan.is_none() && ask.workflow.is_none();
    if implicit && done.workflow.name.as_str() != "default" {
        let message = format!(
            "{version} is used because it is the only published workflow; --workflow default is the built-in one"
        );
        reply.warnings.push((message, None));
    }
    for twin in &done.twins {
        let what = if twin.same_plan { "the same plan" } else { "the same title" };
        let message = format!(
            "{0} has {what}; if it is a duplicate: stepseal review flag --work-item {item} --suspect {0} --reason …",
            twin.item
        );
        reply.warnings.push((message, None));
    }
    reply.next = onwards(&item, &open, &Asks::acting(&act, session));
    Ok(reply)
}

/// Gates by name, or that there are none.
fn gates_of(gates: &[StepKey]) -> String {
    match gates {
        [] => "no gates".to_owned(),
        gates => format!("{} {}", if gates.len() == 1 { "gate" } else { "gates" }, names(gates, 6)),
    }
}

/// What was asked of a plan's checkpoints is not what became of them when it was delegated.
fn other_gates(item: &ItemId, gates: &[StepKey], asked: GatesArg) -> Failure {
    use clap::ValueEnum as _;
    let asked = asked.to_possible_value();
    let asked = asked.as_ref().map_or("", |value| value.get_name());
    let message = format!(
        "{item} was delegated with {}, and --gates {asked} cannot change that",
        gates_of(gates)
    );
    Failure::new(Exit::Conflict, "other-gates", message)
        .data(serde_json::json!({ "workItemId": item, "gates": gates, "asked": asked }))
        .note("gates are decided one by one, or the plan is delegated as another item")
        .then(next(["status", item.as_str()]))
}

fn warning_view(note: &PlanNote) -> WarningView {
    WarningView { line: note.line, message: note.message.clone() }
}

/// The item's id: given, else the spec folder's name, else a slug, else chance.
fn item_id(
    args: &DelegateArgs,
    read: Option<&ReadPlan>,
    title: &str,
    moment: &crate::domain::moment::Moment,
) -> Result<ItemId, Failure> {
    if let Some(id) = &args.work_item {
        return Ok(id.parse()?);
    }
    let folder = read.and_then(|read| plan::spec_folder(&read.path)).and_then(|f| f.parse().ok());
    let slugged = || slug(title, 48).and_then(|slug| slug.parse().ok());
    if let Some(id) = folder.or_else(slugged) {
        return Ok(id);
    }
    let chance = moment.event_id(0).uuid().simple().to_string();
    Ok(format!("wi-{}", &chance[chance.len() - 8..]).parse()?)
}

/// Reads and parses a plan; errors show the line.
pub(super) fn read_plan(
    given: &str,
    session: &Session,
    options: &PlanOptions,
    color: bool,
) -> Result<ReadPlan, Failure> {
    let (path, bytes) = read_bytes(given, &session.environment.dir)?;
    let text =
        plan::decode(bytes).map_err(|(error, shown)| error::plan(&error, &path, &shown, color))?;
    let name = (path != "-").then_some(path.as_str());
    let draft = plan::read(PlanText { text: &text, path: name }, options)
        .map_err(|error| error::plan(&error, &path, &text, color))?;
    Ok(ReadPlan { draft, path, digest: Digest::of(text.as_bytes()) })
}

fn read_bytes(given: &str, dir: &Path) -> Result<(String, Vec<u8>), Failure> {
    let mut bytes = Vec::new();
    if given == "-" {
        std::io::stdin()
            .take(MOST)
            .read_to_end(&mut bytes)
            .map_err(|error| Failure::usage(format!("cannot read the plan from stdin: {error}")))?;
        return Ok(("-".into(), bytes));
    }
    let mut shown = given.to_owned();
    let mut path = dir.join(given);
    if path.is_dir() {
        let found = plan_in(&path).ok_or_else(|| {
            Failure::usage(format!("{given} holds no tasks.md and no workflow file"))
        })?;
        let name = found.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        shown = format!("{}/{name}", given.trim_end_matches('/'));
        path = found;
    }
    let read = std::fs::File::open(&path)
        .and_then(|file| file.take(MOST).read_to_end(&mut bytes).map(|_| ()));
    match read {
        Ok(()) => Ok((shown, bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(Failure::new(Exit::NotFound, "no-plan", format!("there is no file {shown}")))
        }
        Err(error) => Err(Failure::usage(format!("cannot read {shown}: {error}"))),
    }
}

/// The one plan of a folder.
fn plan_in(dir: &Path) -> Option<PathBuf> {
    ["tasks.md", "workflow.yaml", "workflow.yml", "workflow.toml", "workflow.json"]
        .iter()
        .map(|name| dir.join(name))
        .find(|path| path.is_file())
}

/// Shows waves and warnings; records nothing.
fn dry_run(
    args: &DelegateArgs,
    read: &ReadPlan,
    title: Option<&str>,
    session: &Session,
) -> Result<Reply, Failure> {
    let dry = ops::dry_run(&read.draft).map_err(|error| Failure::usage(error.to_string()))?;
    let waves = waves(&dry.workflow, &dry.imported);
    let steps = dry_steps(&dry.workflow, &dry.imported, Some(&waves));
    let item: Option<ItemId> = args.work_item.as_deref().map(str::parse).transpose()?;
    let folder = plan::spec_folder(&read.path).map(str::to_owned);
    let shown = item.as_ref().map(ToString::to_string).or(folder);
    let shown = shown.unwrap_or_else(|| read.draft.definition.name.to_string());
    let keys = |wave: &Vec<usize>| -> Vec<StepKey> {
        wave.iter().map(|&at| dry.workflow.steps()[at].key.clone()).collect()
    };
    let mut reply = Reply::new(
        "delegate-dry-run",
        &DryRunView {
            work_item_id: item.clone(),
            title: title.map(str::to_owned),
            format: read.draft.kind.clone(),
            workflow: dry.workflow.reference.name.to_string(),
            steps: steps.clone(),
            waves: waves.iter().map(keys).collect(),
            warnings: read.draft.warnings.iter().map(warning_view).collect(),
        },
    );
    let tasks = steps.iter().filter(|step| step.gate.is_none()).count();
    let gates = steps.len() - tasks;
    let of = |state: &str| {
        steps.iter().filter(|step| step.gate.is_none() && step.state == state).count()
    };
    let mut head = format!("{shown}  {}", plain(title.unwrap_or("")));
    head.push_str(&format!(" · {}", read.draft.kind));
    if !read.draft.phases.is_empty() {
        head.push_str(&format!(" · {}", count(read.draft.phases.len(), "phase")));
    }
    reply.lines.push(Line::Text(head));
    let widest = waves.iter().map(Vec::len).max().unwrap_or(0);
    let already = match (of("done"), of("skipped")) {
        (0, 0) => String::new(),
        (done, 0) => format!(" ({done} already done)"),
        (0, skipped) => format!(" ({skipped} skipped)"),
        (done, skipped) => format!(" ({done} already done, {skipped} skipped)"),
    };
    reply.lines.push(Line::Text(format!(
        "{}: {}{already} and {} · never more than {widest} at once",
        count(steps.len(), "step"),
        count(tasks, "task"),
        count(gates, "gate")
    )));
    reply.lines.push(Line::Blank);
    wave_rows(&mut reply, &dry.workflow, &dry.imported, &waves);
    for note in &read.draft.warnings {
        let at = match note.line {
            0 => read.path.clone(),
            line => format!("{}:{line}", read.path),
        };
        reply.warnings.push((plain(&note.message), Some(at)));
    }
    reply.aside = vec![Line::Blank, Line::Text("dry run: nothing was recorded".into())];
    if let Some(early_or_late) = not_effective(&dry.workflow, session) {
        reply.warnings.push((early_or_late, None));
        return Ok(reply);
    }
    // From stdin there is nothing left to read a second time.
    if read.path == "-" {
        return Ok(reply);
    }
    let mut go = next(["delegate", "--plan", &read.path]);
    go.argv.extend(repeated(args, session));
    if gates > 0 && args.gates.is_none() && !read.draft.format.is_native() {
        go = go.note("(--gates drop leaves the checkpoints out)");
    }
    reply.next.push(go);
    Ok(reply)
}

/// Why no item may start on a workflow now, where it says from when and until when.
fn not_effective(workflow: &Workflow, session: &Session) -> Option<String> {
    let effective = workflow.effective.as_ref()?;
    if effective.holds(session.now()) {
        return None;
    }
    let say = |word: &str, at: Option<chrono::DateTime<chrono::Utc>>| {
        at.map(|at| format!(" {word} {}", at.to_rfc3339())).unwrap_or_default()
    };
    Some(format!(
        "items may start on it{}{}: delegated now, it would be refused",
        say("from", effective.from),
        say("until", effective.to)
    ))
}

/// The flags of this command again, so that the hint delegates what was looked at.
fn repeated(args: &DelegateArgs, session: &Session) -> Vec<String> {
    use clap::ValueEnum as _;
    let mut words = Vec::new();
    let mut add = |flag: &str, value: Option<String>| {
        if let Some(value) = value {
            words.extend([flag.to_owned(), value]);
        }
    };
    let name = |value: clap::builder::PossibleValue| value.get_name().to_owned();
    add("--work-item", args.work_item.clone());
    add("--plan-format", args.plan_format.and_then(|f| f.to_possible_value()).map(name));
    add("--gates", args.gates.and_then(|gates| gates.to_possible_value()).map(name));
    add("--title", args.title.clone());
    add("--priority", args.priority.map(|priority| priority.to_string()));
    for label in &args.label {
        add("--label", Some(label.clone()));
    }
    add("--owner", args.owner.clone());
    add("--executor", session.who.executor.clone());
    add("--principal", session.who.principal.clone());
    add("--request-id", session.who.request_id.clone());
    words
}

/// The table of waves, a line a wave, imported steps where they stand.
fn wave_rows(
    reply: &mut Reply,
    workflow: &Workflow,
    imported: &[ImportedStep],
    waves: &[Vec<usize>],
) {
    reply.lines.push(Line::Row(["  wave", "phase", "steps", ""].map(str::to_owned).to_vec()));
    let phase = |at: usize| {
        let source = workflow.steps()[at].definition.source.as_ref();
        source.and_then(|source| source.phase.as_deref()).map(plain).unwrap_or_default()
    };
    let mut rows: Vec<(usize, Vec<String>)> = Vec::new();
    for (n, wave) in waves.iter().enumerate() {
        let Some(&first) = wave.first() else { continue };
        let words: Vec<String> = wave
            .iter()
            .map(|&at| {
                let step = &workflow.steps()[at];
                if step.is_gate() { format!("◆ {}", step.key) } else { step.key.to_string() }
            })
            .collect();
        let note = match wave.as_slice() {
            [only] => note(workflow, *only),
            _ => String::new(),
        };
        let cells = vec![format!("  {:>4}", n + 1), phase(first), words.join(" ∥ "), plain(&note)];
        rows.push((first, cells));
    }
    for step in imported.iter().filter(|step| step.state == ImportedState::Done) {
        let Some(at) = workflow.position(&step.key) else { continue };
        let line = step.source_line.map(|line| format!(" (line {line})")).unwrap_or_default();
        let mark = if workflow.steps()[at].is_gate() { "✓ ◆" } else { "✓" };
        let cells = vec![
            "     –".to_owned(),
            phase(at),
            format!("{mark} {}", step.key),
            format!("done in the plan{line}"),
        ];
        rows.push((at, cells));
    }
    rows.sort_by_key(|(at, _)| *at);
    let mut last = String::new();
    for (_, mut cells) in rows {
        if cells[1] == last {
            cells[1] = String::new();
        } else {
            last.clone_from(&cells[1]);
        }
        reply.lines.push(Line::Row(cells));
    }
}

/// Why a step stands alone: what it needs, or what a gate asks.
fn note(workflow: &Workflow, at: usize) -> String {
    let definition = &workflow.steps()[at].definition;
    let Some(source) = &definition.source else {
        return match &definition.needs {
            Some(needs) if !needs.is_empty() => format!("needs {}", names(needs, 6)),
            _ => String::new(),
        };
    };
    if definition.gate.is_some() {
        let title = definition.title.as_deref().unwrap_or("");
        return format!("{} (line {})", short(title, 60), source.line);
    }
    if let Some(clash) = source.needs.iter().find(|need| need.path.is_some()) {
        let path = clash.path.as_deref().unwrap_or("");
        return format!("marked [P], but names {path} like {}", clash.key);
    }
    match source.needs.as_slice() {
        [] => String::new(),
        needs => {
            let keys: Vec<StepKey> = needs.iter().map(|need| need.key.clone()).collect();
            format!("needs {} (line {})", names(&keys, 6), needs[0].line)
        }
    }
}

/// Steps as a dry run and `workflow show` tell them.
pub(super) fn dry_steps(
    workflow: &Workflow,
    imported: &[ImportedStep],
    waves: Option<&[Vec<usize>]>,
) -> Vec<DryStepView> {
    let state = |key: &StepKey| match imported.iter().find(|step| step.key == *key) {
        Some(step) if step.state == ImportedState::Done => "done",
        Some(_) => "skipped",
        None => "open",
    };
    let wave_of =
        |at: usize| waves?.iter().position(|wave| wave.contains(&at)).map(|wave| wave + 1);
    workflow
        .steps()
        .iter()
        .enumerate()
        .map(|(at, step)| {
            let definition = &step.definition;
            let source = definition.source.as_ref();
            DryStepView {
                key: step.key.clone(),
                order: step.order,
                title: step.title().to_owned(),
                gate: definition.gate.as_ref().map(|gate| gate.kind.word().to_owned()),
                parallelizable: definition.parallelizable,
                group: definition.group.as_ref().map(ToString::to_string),
                needs: definition.needs.clone().unwrap_or_default(),
                state: state(&step.key).to_owned(),
                line: source.map(|source| source.line),
                phase: source.and_then(|source| source.phase.clone()),
                wave: wave_of(at),
            }
        })
        .collect()
}

/// Plays the workflow with unlimited executors: each wave is what may start together.
pub(super) fn waves(workflow: &Workflow, imported: &[ImportedStep]) -> Vec<Vec<usize>> {
    let mut done: Vec<bool> = workflow
        .steps()
        .iter()
        .map(|step| imported.iter().any(|imported| imported.key == step.key))
        .collect();
    let mut waves = Vec::new();
    while !done.iter().all(|done| *done) {
        let open = workflow.graph().open(&done);
        let mut wave: Vec<usize> = (0..done.len()).filter(|&at| open[at]).collect();
        if wave.is_empty() {
            break;
        }
        // Steps that share a constraint take turns, in launch order (S4).
        let mut used = std::collections::BTreeSet::new();
        wave.retain(|&at| {
            let constraints = &workflow.steps()[at].definition.constraints;
            let free = constraints.iter().all(|constraint| !used.contains(constraint));
            if free {
                used.extend(constraints.iter());
            }
            free
        });
        for &at in &wave {
            done[at] = true;
        }
        waves.push(wave);
    }
    waves
}
