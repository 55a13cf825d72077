//! What a shell offers on TAB: the ids, keys and names that are really there.
//!
//! The shell calls the program with `COMPLETE` and the words typed so far. What is offered may be
//! incomplete but is never slow and never an error: nothing is verified, no more than one item is
//! folded, and whatever fails offers nothing.

use std::cell::RefCell;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{ArgMatches, CommandFactory as _};
use clap_complete::engine::CompletionCandidate as Candidate;
use clap_complete::engine::{
    ArgValueCandidates, ArgValueCompleter, PathCompleter, ValueCompleter as _,
};
use clap_complete::env::{CompleteEnv, Shells};

use super::args::Cli;
use super::ui::{cut, plain};
use crate::config::Environment;
use crate::domain::decide::{self, BLOCKER_TYPES, PolicyKey};
use crate::domain::id::{AttemptId, ItemId};
use crate::domain::schedule::{Answer, Schedule};
use crate::domain::state::{Done, LedgerState};
use crate::domain::workflow::{Criterion, Step};
use crate::ledger::{Durability, ItemFold, Ledger, Located, Notes, Place, Settings, Sharing};

/// The variable that asks for suggestions instead of a command.
const ASKED: &str = "COMPLETE";

/// What was typed, and where.
struct Line {
    environment: Environment,
    words: Vec<OsString>,
}

thread_local! {
    // The engine asks for values without saying what else was typed.
    static LINE: RefCell<Option<Line>> = const { RefCell::new(None) };
}

/// Answers a shell that asks for suggestions; false where nobody asked.
pub(super) fn answer(environment: &Environment, argv: &[OsString]) -> bool {
    let asked = environment.var(ASKED).map(PathBuf::from);
    // Somebody else's variable of that name asks for nothing.
    let shell = asked.as_ref().and_then(|path| path.file_stem()?.to_str());
    if shell.is_none_or(|shell| Shells::builtins().completer(shell).is_none()) {
        return false;
    }
    let words = argv.iter().skip_while(|word| *word != "--").skip(1).cloned().collect();
    LINE.set(Some(Line { environment: environment.clone(), words }));
    let engine = CompleteEnv::with_factory(Cli::command).var(ASKED).bin("stepseal");
    // A suggestion that fails is none: a shell has no place for an error.
    drop(engine.try_complete(argv.iter().cloned(), Some(&environment.dir)));
    true
}

/// The shells there are registrations for.
pub(super) fn shells() -> Vec<&'static str> {
    Shells::builtins().names().collect()
}

/// What makes a shell ask.
pub(super) fn registration(shell: &str) -> Option<String> {
    let mut script = Vec::new();
    let shells = Shells::builtins();
    let completer = shells.completer(shell)?;
    completer.write_registration(ASKED, "stepseal", "stepseal", "stepseal", &mut script).ok()?;
    let mut script = String::from_utf8(script).ok()?.trim_start().to_owned();
    if shell == "zsh" {
        // As a file of `fpath` the script is the function that is called, for its first time.
        script.push_str(
            "\nif [ \"$funcstack[1]\" = \"_stepseal\" ]; then\n    \
             _clap_dynamic_completer_stepseal \"$@\"\nfi\n",
        );
    }
    Some(script)
}

/// Items.
pub(super) fn items() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        with_ledger(|ledger, _| {
            let ids = ledger.glance().ok()?.item_ids().ok()?;
            Some(ids.iter().map(|id| Candidate::new(id.as_str())).collect())
        })
    })
}

/// Workflows, by name and with a version.
pub(super) fn workflows() -> ArgValueCandidates {
    ArgValueCandidates::new(published)
}

/// Workflow files, and published ones.
pub(super) fn workflow_files() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        let mut all = published();
        let text = typed.to_string_lossy();
        all.retain(|candidate| candidate.get_value().to_string_lossy().starts_with(&*text));
        all.extend(PathCompleter::any().complete(typed));
        all
    })
}

fn published() -> Vec<Candidate> {
    with_ledger(|ledger, _| {
        let workflows = ledger.glance().ok()?.definitions().ok()?;
        let mut all = Vec::new();
        for (name, versions) in &workflows {
            all.push(Candidate::new(name.as_str()));
            all.extend(versions.iter().map(|v| Candidate::new(format!("{name}@{v}"))));
        }
        Some(all)
    })
}

/// Which steps of an item a verb is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    All,
    /// Ready to be claimed.
    Ready,
    /// Held by somebody.
    Held,
    /// Ended without being done, or held: a further attempt may be queued.
    Again,
    /// A gate that people may decide.
    Gate,
    /// Not done yet.
    Open,
    /// Worked on: what an item may go back to.
    Done,
}

impl About {
    fn fits(self, answer: &Answer) -> bool {
        match self {
            Self::All => true,
            Self::Ready => matches!(answer, Answer::Ready { .. }),
            Self::Held => matches!(answer, Answer::InProgress(_)),
            Self::Again => matches!(answer, Answer::NeedsRequeue { .. } | Answer::InProgress(_)),
            Self::Gate => matches!(answer, Answer::PendingGate(_)),
            Self::Open => !matches!(answer, Answer::Done(_)),
            Self::Done => matches!(
                answer,
                Answer::Done(Done::Completed | Done::Approved | Done::ImportedDone | Done::Carried)
                    | Answer::InProgress(_)
                    | Answer::NeedsRequeue { .. }
            ),
        }
    }
}

/// Steps of the item that was named; all of them where none fits, so that TAB still says what
/// there is.
pub(super) fn steps(about: About) -> ArgValueCandidates {
    ArgValueCandidates::new(move || {
        of_item(about, |step, answer, _| {
            let title = plain(step.definition.title.as_deref().unwrap_or(""));
            let help = cut(&format!("{}  {title}", word(answer)), 60, "…");
            Some(Candidate::new(step.key.as_str()).help(Some(help.trim_end().to_owned().into())))
        })
    })
}

/// Attempts of the item that was named.
pub(super) fn attempts(about: About) -> ArgValueCandidates {
    ArgValueCandidates::new(move || {
        of_item(about, |step, answer, last| {
            let attempt = AttemptId::new(step.key.clone(), last.filter(|last| *last > 0)?);
            Some(Candidate::new(attempt.to_string()).help(Some(word(answer).into())))
        })
    })
}

/// Entry or exit criteria of the step that was named.
pub(super) fn criteria(exit: bool) -> ArgValueCandidates {
    ArgValueCandidates::new(move || {
        with_ledger(|ledger, line| {
            let fold = line.fold(ledger)?;
            let key = line.value("step")?;
            let step = fold.workflow.steps().iter().find(|step| step.key.as_str() == key)?;
            let definition = &step.definition;
            let criteria = if exit { &definition.exit } else { &definition.entry };
            let offered = |criterion: &Criterion| {
                let text = cut(&plain(&criterion.text), 60, "…");
                Candidate::new(criterion.id.as_str()).help(Some(text.into()))
            };
            Some(criteria.iter().map(offered).collect())
        })
    })
}

/// Open blockers of the item that was named.
pub(super) fn blockers() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        with_ledger(|ledger, line| {
            let fold = line.fold(ledger)?;
            let open = fold.state.blockers.iter().filter(|blocker| blocker.resolved_at.is_none());
            let offered = open.map(|blocker| {
                let text = format!("{}  {}", plain(&blocker.kind), plain(&blocker.notes));
                Candidate::new(blocker.id.as_str()).help(Some(cut(&text, 60, "…").into()))
            });
            Some(offered.collect())
        })
    })
}

/// The types of blockers of the ledger, or those there are without policy.
pub(super) fn blocker_types() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let of_policy = with_ledger(|ledger, _| {
            let snapshot = ledger.glance().ok()?;
            let types = decide::blocker_types(snapshot.ledger().ok()?);
            Some(types.into_iter().map(Candidate::new).collect())
        });
        match of_policy.is_empty() {
            true => BLOCKER_TYPES.into_iter().map(Candidate::new).collect(),
            false => of_policy,
        }
    })
}

/// The policies, with what they say.
pub(super) fn policies() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let offer = |state: &LedgerState| -> Vec<Candidate> {
            let keys = PolicyKey::all(state).into_iter();
            keys.map(|key| Candidate::new(key.name()).help(Some(key.about().into()))).collect()
        };
        let known = with_ledger(|ledger, _| Some(offer(ledger.glance().ok()?.ledger().ok()?)));
        match known.is_empty() {
            true => offer(&LedgerState::default()),
            false => known,
        }
    })
}

/// The words that the policy that was named takes, or those it has now.
pub(super) fn policy_values() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let key = LINE.with_borrow(|line| line.as_ref()?.value("key"));
        let Some(Ok(key)) = key.map(|key| PolicyKey::parse(&key)) else { return Vec::new() };
        if !key.choices().is_empty() {
            return key.choices().iter().copied().map(Candidate::new).collect();
        }
        with_ledger(|ledger, _| {
            let snapshot = ledger.glance().ok()?;
            Some(key.set(snapshot.ledger().ok()?).iter().map(Candidate::new).collect())
        })
    })
}

/// The names of the schemas.
pub(super) fn schemas() -> ArgValueCandidates {
    ArgValueCandidates::new(|| super::schemas().into_keys().map(Candidate::new).collect())
}

/// The word for where a step stands.
fn word(answer: &Answer) -> &'static str {
    match answer {
        Answer::Done(_) => "done",
        Answer::InProgress(_) => "held",
        Answer::Ready { .. } => "ready",
        Answer::PendingGate(_) => "to decide",
        Answer::Held { .. } => "blocked",
        Answer::NeedsRequeue { .. } => "needs-requeue",
        Answer::Unopened | Answer::Waiting => "waits",
    }
}

fn of_item(
    about: About,
    offer: impl Fn(&Step, &Answer, Option<u32>) -> Option<Candidate>,
) -> Vec<Candidate> {
    with_ledger(|ledger, line| {
        let fold = line.fold(ledger)?;
        let schedule = Schedule::of(&fold.workflow, &fold.state);
        let offered = |about: About| -> Vec<Candidate> {
            let steps = fold.workflow.steps().iter().zip(&schedule.answers).zip(&fold.state.steps);
            steps
                .filter(|((_, answer), _)| about.fits(answer))
                .filter_map(|((step, answer), state)| {
                    offer(step, answer, Some(state.last_number()))
                })
                .collect()
        };
        let fitting = offered(about);
        Some(if fitting.is_empty() { offered(About::All) } else { fitting })
    })
}

/// Asks the ledger around, if there is one; nothing on any failure.
fn with_ledger(ask: impl Fn(&Ledger, &Line) -> Option<Vec<Candidate>>) -> Vec<Candidate> {
    LINE.with_borrow(|line| {
        let line = line.as_ref()?;
        let mut dir = line.environment.dir.clone();
        if let Some(there) = line.value_of::<PathBuf>("dir") {
            dir = dir.join(there);
        }
        let git_dir = line.environment.var("GIT_DIR").map(PathBuf::from);
        let settings = Settings {
            durability: Durability::Process,
            lock_wait: Duration::ZERO,
            program: "stepseal".to_owned(),
            notes: Notes::default(),
            signing: Arc::default(),
            sharing: Sharing { timeout: Duration::ZERO, tries: 0 },
        };
        let ledger = Located::find(&Place { dir, git_dir }).ok()?.open(settings).ok()?;
        ask(&ledger, line)
    })
    .unwrap_or_default()
}

impl Line {
    /// The value of an option that was typed, wherever.
    fn value(&self, id: &str) -> Option<String> {
        self.value_of::<String>(id)
    }

    fn value_of<T: Clone + Send + Sync + 'static>(&self, id: &str) -> Option<T> {
        // What is being typed is not a command yet.
        let matches = Cli::command().ignore_errors(true).try_get_matches_from(&self.words).ok()?;
        let mut here: Option<&ArgMatches> = Some(&matches);
        let mut found = None;
        while let Some(matches) = here {
            if let Ok(Some(value)) = matches.try_get_one::<T>(id) {
                found = Some(value.clone());
            }
            here = matches.subcommand().map(|(_, matches)| matches);
        }
        found
    }

    /// The item that was named, folded: the one item of a suggestion.
    fn fold(&self, ledger: &Ledger) -> Option<ItemFold> {
        let named = self.value("work_item").or_else(|| self.value("item"))?;
        ledger.glance().ok()?.item(&named.parse::<ItemId>().ok()?).ok()?
    }
}
