//! FRONT DOOR. The only room that prints: what may be typed, how it is said, how it ends.
//!
//! What is not here: git2, and any rule. A command parses, asks, and shows what came back.

mod args;
mod command;
mod echo;
mod error;
pub mod exit;
mod job;
mod meter;
mod session;
mod suggest;
mod ui;
pub mod view;
mod when;

use std::cell::RefCell;
use std::ffi::OsString;
use std::io::Write;
use std::rc::Rc;

use clap::{CommandFactory as _, Parser as _, error::ErrorKind};
use serde::Serialize;
use serde_json::Value;

use args::{BlockerCommand, Cli, Command, OwnerCommand, ReviewCommand};
use error::{Failure, Next, Recorded};
use exit::Exit;
use job::Job;
use meter::Meter;
use session::Session;
use ui::{Line, Ui, plain};

use crate::config::{Config, Environment};
use crate::ledger;

/// What a command answers.
#[derive(Debug)]
pub(crate) struct Reply {
    exit: Exit,
    schema: &'static str,
    /// For people, to stdout.
    lines: Vec<Line>,
    /// Talk that belongs to the answer, to stderr.
    aside: Vec<Line>,
    /// All of stdout with `--quiet`.
    quiet: String,
    /// All of stdout, however it was asked for: the answer is data already.
    raw: Option<String>,
    /// The same, where it may be larger than memory should hold.
    spool: Option<tempfile::SpooledTempFile>,
    data: Value,
    recorded: bool,
    next: Vec<Next>,
    /// For the steps of a job that come after this one.
    outputs: Vec<(&'static str, String)>,
    /// For the people who look at a job, as Markdown.
    summary: Option<String>,
    /// With the place, where there is one.
    warnings: Vec<(String, Option<String>)>,
}

impl Reply {
    /// An answer whose `--json` fields are `data`.
    fn new<T: Serialize>(schema: &'static str, data: &T) -> Self {
        Self {
            exit: Exit::Ok,
            schema,
            lines: Vec::new(),
            aside: Vec::new(),
            quiet: String::new(),
            raw: None,
            spool: None,
            data: serde_json::to_value(data).unwrap_or(Value::Null),
            recorded: false,
            next: Vec::new(),
            outputs: Vec::new(),
            summary: None,
            warnings: Vec::new(),
        }
    }

    /// The document of the `--json` contract.
    fn document(&self, command: &str) -> Value {
        let mut document = serde_json::Map::new();
        document.insert("schema".into(), format!("stepseal/cli/{}/1", self.schema).into());
        document.insert("command".into(), command.into());
        document.insert("exitCode".into(), self.exit.code().into());
        if let Value::Object(data) = &self.data {
            document.extend(data.clone());
        }
        document.insert("recorded".into(), self.recorded.into());
        let next: Vec<Value> = self.next.iter().map(|next| next.argv.clone().into()).collect();
        document.insert("next".into(), next.into());
        Value::Object(document)
    }
}

/// Runs one command line; returns the exit code.
pub fn run(
    argv: impl IntoIterator<Item = OsString>,
    mut environment: Environment,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> u8 {
    let argv: Vec<OsString> = argv.into_iter().collect();
    let cli = match Cli::read(&argv) {
        Ok(cli) => cli,
        // What was typed is quoted: said again with the same words, harmlessly.
        Err(error) if error.use_stderr() => {
            let words = argv.iter().map(|word| plain(&word.to_string_lossy()));
            let error = Cli::try_parse_from(words).err().unwrap_or(error);
            return usage(&error, &argv, &environment, out, err);
        }
        Err(error) => return usage(&error, &argv, &environment, out, err),
    };
    let job = Job::of(&environment);
    let color = cli.global.color.clone().unwrap_or_else(|| "auto".into());
    let command = cli.command.name();
    let mut ui = Ui::new(out, err, &environment, &color, cli.global.json, cli.global.quiet);
    let talks = !cli.global.json && !cli.global.quiet;
    let meter = Rc::new(RefCell::new(Meter::new(&environment, talks, command)));
    ui.measure(Rc::clone(&meter));
    let _watching = ledger::watch(move |progress| meter.borrow_mut().step(progress));
    let prefix: Vec<String> = cli
        .global
        .dir
        .iter()
        .flat_map(|dir| ["-C".to_owned(), dir.display().to_string()])
        .collect();
    let words = std::iter::once("stepseal".to_owned())
        .chain(argv.iter().skip(1).map(|word| word.to_string_lossy().into_owned()))
        .collect();
    if let Some(dir) = &cli.global.dir {
        environment.dir = environment.dir.join(dir);
    }
    // What is about the program alone works where a configuration cannot be read.
    let config = match cli.command {
        Command::Completions(_) | Command::Man(_) => Ok(Config::default()),
        _ => Config::load(&environment, cli.global.color.as_deref()).map_err(Failure::from),
    };
    let session =
        config.map(|config| Session::new(environment, config, &cli.global, typed(&argv), words));
    let reply = session.and_then(|session| {
        let color = session.config.text("output.color").to_owned();
        ui.recolor(&session.environment, &color);
        if pages(&cli.command) && !cli.global.no_pager {
            ui.page(session.config.pager(&session.environment));
        }
        if !cli.command.reads() {
            session.only_now()?;
        }
        let mut reply = command::run(&cli.command, &session, &mut ui);
        for note in session.notes.take() {
            ui.warning(&ui::plain(&note), None);
        }
        if let Ok(reply) = &mut reply {
            let unsigned = session.unsigned().map(|message| (message.to_owned(), None));
            reply.warnings.extend(unsigned.filter(|_| reply.recorded));
        }
        reply
    });
    match reply {
        Ok(mut reply) => {
            // What could be done then is no hint for now.
            let measures = matches!(cli.command, Command::Metrics(_));
            if cli.global.at.is_some() || cli.global.as_of.is_some() && !measures {
                reply.next.clear();
            }
            let lost = job.tell(&reply.outputs, reply.summary.as_deref());
            reply.warnings.extend(lost.map(|lost| (lost, None)));
            finish(reply, command, &prefix, &mut ui)
        }
        Err(failure) => refuse(failure, command, &prefix, &mut ui),
    }
}

/// Answers a shell that asks what may be typed next; false where a command is to be run.
#[must_use]
pub fn suggest(environment: &Environment, argv: impl IntoIterator<Item = OsString>) -> bool {
    let argv: Vec<OsString> = argv.into_iter().collect();
    suggest::answer(environment, &argv)
}

/// Says an answer.
fn finish(mut reply: Reply, command: &str, prefix: &[String], ui: &mut Ui<'_>) -> u8 {
    for next in &mut reply.next {
        localise(next, prefix);
    }
    if let Some(spool) = &mut reply.spool {
        ui.copy(spool);
    } else if let Some(raw) = &reply.raw {
        ui.data(raw);
    } else if ui.json {
        ui.data(&pretty(&reply.document(command)));
    } else if ui.quiet {
        ui.bare(&reply.quiet);
    } else {
        ui.answer(&reply.lines);
    }
    ui.end_answer();
    if !ui.json {
        for (message, at) in &reply.warnings {
            ui.warning(message, at.as_deref());
            ui.annotate("warning", command, message);
        }
        if !ui.quiet {
            ui.aside(&reply.aside);
        }
        let shown: Vec<_> = reply.next.iter().map(Next::shown).collect();
        ui.next(&shown, false);
    }
    if let Some(error) = ui.take_lost() {
        ui.error(&format!("the answer could not be written to stdout: {error}"));
        if reply.recorded {
            ui.aside(&[Line::Text("  what was asked is recorded all the same".into())]);
        }
        return Exit::Outside.code();
    }
    reply.exit.code()
}

/// Says a refusal: what, the facts, what was not changed, next.
fn refuse(mut failure: Failure, command: &str, prefix: &[String], ui: &mut Ui<'_>) -> u8 {
    for next in &mut failure.next {
        localise(next, prefix);
    }
    ui.end_answer();
    ui.annotate("error", command, &failure.message);
    if ui.json {
        let document = view::RefusalDocument {
            schema: "stepseal/cli/refusal/1".into(),
            command: command.to_owned(),
            exit_code: failure.exit.code(),
            kind: failure.exit.kind().to_owned(),
            reason: failure.reason.clone(),
            message: failure.message.clone(),
            data: failure.data.clone(),
            recorded: failure.recorded.json(),
            next: failure.next.iter().map(|next| next.argv.clone()).collect(),
        };
        let document = serde_json::to_value(document).unwrap_or(Value::Null);
        // `log` answers one document a line, and so it refuses.
        let text = if command == "log" { format!("{document}\n") } else { pretty(&document) };
        ui.data(&text);
        return failure.exit.code();
    }
    ui.error(&failure.message);
    if let Some(snippet) = &failure.snippet {
        ui.snippet(snippet);
    }
    ui.aside(&failure.facts);
    if failure.recorded == Recorded::Unknown && !ui.quiet {
        ui.aside(&[Line::Text("  whether it was recorded is unknown".into())]);
    }
    let shown: Vec<_> = failure.next.iter().map(Next::shown).collect();
    ui.next(&shown, true);
    failure.exit.code()
}

/// Whether a long answer is for reading, and so goes through a pager on a terminal.
fn pages(command: &Command) -> bool {
    matches!(
        command,
        Command::Status(_)
            | Command::Log(_)
            | Command::Metrics(_)
            | Command::Schedule(_)
            | Command::Brief(_)
            | Command::Workflow(_)
            | Command::Schema(_)
            | Command::Config(_)
            | Command::Review(ReviewCommand::List(_))
            | Command::Blocker(BlockerCommand::List(_))
            | Command::Owner(OwnerCommand::Show(_))
            | Command::Resume(_)
    )
}

/// A hint works where the command ran: `-C DIR` is repeated, unless it is the command itself.
fn localise(next: &mut Next, prefix: &[String]) {
    let own = next.argv.first().is_some_and(|program| program == "stepseal");
    let said = next.argv.iter().any(|word| word.starts_with("-C"));
    if own && !said && !prefix.is_empty() {
        next.argv.splice(1..1, prefix.iter().cloned());
    }
}

fn pretty(value: &Value) -> String {
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    text
}

/// Help and version are answers; everything else clap says is usage, exit 2.
fn usage(
    error: &clap::Error,
    argv: &[OsString],
    environment: &Environment,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> u8 {
    let json = argv.iter().any(|arg| arg == "--json");
    let mut ui = Ui::new(out, err, environment, "auto", json, false);
    let colored = |terminal: bool| {
        let text = error.render();
        let plain = environment.var("NO_COLOR").is_some() || !terminal;
        if plain { text.to_string() } else { text.ansi().to_string() }
    };
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            ui.data(&colored(environment.stdout_terminal));
            Exit::Ok.code()
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            ui.snippet(&colored(environment.stderr_terminal));
            Exit::Usage.code()
        }
        _ if json => {
            let text = error.render().to_string();
            let said = text.split("\n\nUsage").next().unwrap_or(&text);
            let words: Vec<&str> = said.split_whitespace().collect();
            let message = words.join(" ");
            let failure = Failure::usage(message.trim_start_matches("error: ").to_owned());
            refuse(failure, "stepseal", &[], &mut ui)
        }
        _ => {
            ui.snippet(&colored(environment.stderr_terminal));
            Exit::Usage.code()
        }
    }
}

/// What was asked, without how it is to be shown: the same ask again has the same digest (R1).
fn typed(argv: &[OsString]) -> String {
    let mut words = Vec::new();
    let mut skip = false;
    for word in argv.iter().skip(1) {
        let word = word.to_string_lossy().into_owned();
        let shown = ["--json", "--quiet", "-q", "--non-interactive"].contains(&word.as_str())
            || ["--request-id=", "--color="].iter().any(|prefix| word.starts_with(prefix));
        let valued = ["--request-id", "--color"].contains(&word.as_str());
        if !skip && !shown && !valued {
            words.push(word);
        }
        skip = valued;
    }
    words.join("\0")
}

/// The clap tree, for the reference in the documentation.
#[must_use]
pub fn tree() -> clap::Command {
    Cli::command()
}

/// Every schema in `schemas/`: the ledger's and the command line's.
#[must_use]
pub fn schemas() -> std::collections::BTreeMap<String, Value> {
    let mut all = crate::artifact::schemas();
    all.extend(view::schemas());
    all
}

/// What maintainers ask for with `STEPSEAL_LOG`, to stderr; as JSON with
/// `STEPSEAL_LOG_FORMAT=json`. Nothing a user must see goes this way.
pub fn start_log(environment: &Environment) {
    let Some(wanted) = environment.var("STEPSEAL_LOG") else { return };
    let filter = tracing_subscriber::EnvFilter::try_new(wanted)
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("stepseal=debug"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = if environment.var("STEPSEAL_LOG_FORMAT") == Some("json") {
        log.json().try_init()
    } else {
        log.with_ansi(environment.stderr_terminal).try_init()
    };
    drop(started);
}
