//! `doctor`: what may be in the way, and what puts it right.

use super::super::Reply;
use super::super::args::DoctorArgs;
use super::super::error::{Failure, Next, next, program};
use super::super::exit::Exit;
use super::super::session::Session;
use super::super::ui::{Line, count, plain, span};
use super::super::view::{DoctorCheck, DoctorView};
use crate::config::Origin;
use crate::ledger::{Health, Ledger, LedgerError};

/// The oldest git whose words are known: 2.30 has every option that is used.
const GIT: (u32, u32) = (2, 30);
/// More loose objects than this are worth packing.
const LOOSE: usize = 20_000;
/// A newest seal so far ahead says that a clock is wrong.
const AHEAD: i64 = 5 * 60;

/// How one check ended.
enum State {
    Ok,
    /// Nothing is wrong yet.
    Note,
    Fail(Exit),
}

/// The checks, as they are made.
#[derive(Default)]
struct Checks {
    view: Vec<DoctorCheck>,
    fixes: Vec<Next>,
    failed: Option<Exit>,
}

impl Checks {
    fn say(&mut self, name: &str, state: State, what: impl Into<String>, fix: Vec<Next>) {
        let word = match state {
            State::Ok => "ok",
            State::Note => "note",
            State::Fail(exit) => {
                self.failed.get_or_insert(exit);
                "fail"
            }
        };
        self.view.push(DoctorCheck {
            name: name.to_owned(),
            state: word.to_owned(),
            what: what.into(),
            fix: fix.iter().map(|fix| fix.argv.clone()).collect(),
        });
        self.fixes.extend(fix);
    }

    fn fail(&mut self, name: &str, failure: &Failure) {
        let said = failure.data.get("said").and_then(|said| said.as_str());
        let said = said.map(|said| format!(": {}", said.replace('\n', " "))).unwrap_or_default();
        let what = format!("{}{said}", failure.message);
        self.say(name, State::Fail(failure.exit), what, failure.next.clone());
    }
}

pub(super) fn run(args: &DoctorArgs, session: &Session) -> Result<Reply, Failure> {
    session.only_now()?;
    let mut checks = Checks::default();
    match session.config.refuse_unbuilt() {
        Ok(()) => {
            let changed =
                session.config.all().filter(|(.., origin)| **origin != Origin::Default).count();
            let what = format!("{} set", count(changed, "key"));
            checks.say("config", State::Ok, what, Vec::new());
        }
        Err(error) => checks.fail("config", &Failure::from(error)),
    }
    match session.ledger() {
        Ok(ledger) => {
            let health = ledger.health();
            git(&mut checks, &health);
            repository(&mut checks, &health);
            history(&mut checks, &ledger, session);
            remote(&mut checks, &ledger, args.offline, session);
            locks(&mut checks, &health);
            objects(&mut checks, &health);
        }
        Err(failure) => checks.fail("ledger", &failure),
    }
    Ok(show(checks))
}

fn git(checks: &mut Checks, health: &Health) {
    let (major, minor) = GIT;
    match health.git {
        Some(found) if found >= GIT => {
            checks.say("git", State::Ok, format!("version {}.{}", found.0, found.1), Vec::new());
        }
        Some((a, b)) => {
            let what =
                format!("version {a}.{b}: {major}.{minor} is the oldest that is known to work");
            checks.say("git", State::Fail(Exit::Outside), what, Vec::new());
        }
        None => {
            let what = "the git program does not start: nothing can be shared or integrated";
            checks.say("git", State::Fail(Exit::Outside), what, Vec::new());
        }
    }
}

fn repository(checks: &mut Checks, health: &Health) {
    let kind = if health.bare { "bare" } else { "with a work tree" };
    if health.shallow {
        let what =
            format!("{kind}, shallow: the history of the code is cut, the ledger's may be whole");
        let fix = vec![program(["git", "fetch", "--unshallow"])];
        checks.say("repository", State::Note, what, fix);
    } else {
        checks.say("repository", State::Ok, kind, Vec::new());
    }
}

fn history(checks: &mut Checks, ledger: &Ledger, session: &Session) {
    let fail = |error: LedgerError| session.ledger_failure(&error);
    let snapshot = match ledger.snapshot().map_err(fail) {
        Ok(snapshot) => snapshot,
        Err(failure) => return checks.fail("ledger", &failure),
    };
    let items = snapshot.item_ids().map(|ids| ids.len()).unwrap_or_default();
    let what = format!("branch {}, {}", ledger.branch(), count(items, "item"));
    checks.say("ledger", State::Ok, what, Vec::new());
    match snapshot.foreign() {
        [] => {
            let what = "no commit that stepseal did not make, as far as this clone has seen";
            checks.say("history", State::Ok, what, Vec::new());
        }
        foreign => {
            let what = format!("{} that stepseal did not make", count(foreign.len(), "commit"));
            checks.say("history", State::Fail(Exit::Damaged), what, vec![next(["verify"])]);
        }
    }
    match ledger.newest_seal().map_err(fail) {
        Ok(newest) => {
            let ahead = (newest - session.now()).num_seconds();
            if ahead > AHEAD {
                let what = format!(
                    "the newest seal is {} ahead of this clock: one of the two is wrong; nothing is \
                     ordered by it, durations suffer",
                    span(ahead)
                );
                checks.say("clock", State::Note, what, Vec::new());
            } else {
                checks.say("clock", State::Ok, "not behind the newest seal", Vec::new());
            }
        }
        Err(failure) => checks.fail("clock", &failure),
    }
}

fn remote(checks: &mut Checks, ledger: &Ledger, offline: bool, session: &Session) {
    let Some(name) = ledger.remote().map(str::to_owned) else {
        checks.say("remote", State::Ok, "none: the ledger is for this clone only", Vec::new());
        return;
    };
    if offline {
        checks.say("remote", State::Note, format!("{name} was not asked"), Vec::new());
        return;
    }
    match ledger.sync() {
        Ok(synced) => {
            let what = format!("{name}, {} received", count(synced.received, "commit"));
            checks.say("remote", State::Ok, what, Vec::new());
        }
        Err(error) => {
            let failure = session.ledger_failure(&error);
            return checks.fail("remote", &failure);
        }
    }
    match ledger.may_push() {
        Ok(()) => {
            let what = format!("{name} lets this clone push; its hooks and rules were not asked");
            checks.say("rights", State::Ok, what, Vec::new());
        }
        Err(error) => checks.fail("rights", &session.ledger_failure(&error)),
    }
}

fn locks(checks: &mut Checks, health: &Health) {
    if health.left_locks.is_empty() {
        checks.say("locks", State::Ok, "none left", Vec::new());
    }
    for lock in &health.left_locks {
        let path = lock.path.display().to_string();
        let age = span(i64::try_from(lock.age).unwrap_or(i64::MAX));
        let what =
            format!("{path} is {age} old: a writer clears the branch's own when nobody has it");
        let fix = program(["rm", &path]).note("if no git is running");
        checks.say("locks", State::Note, what, vec![fix]);
    }
}

fn objects(checks: &mut Checks, health: &Health) {
    let about = format!("about {} loose", health.loose);
    if health.loose > LOOSE {
        let fix = program(["git", "maintenance", "run", "--task=loose-objects"]);
        checks.say("objects", State::Note, format!("{about}: they cost disk"), vec![fix]);
    } else {
        checks.say("objects", State::Ok, about, Vec::new());
    }
}

fn show(checks: Checks) -> Reply {
    let Checks { view, fixes, failed } = checks;
    let mut reply = Reply::new("doctor", &DoctorView { checks: view.clone() });
    for check in &view {
        let mark = match check.state.as_str() {
            "ok" => "✓",
            "note" => "·",
            _ => "!",
        };
        let cells = [format!("{mark} {}", check.name), check.state.clone(), plain(&check.what)];
        reply.lines.push(Line::Row(cells.to_vec()));
        reply.quiet.push_str(&format!("{}\t{}\n", check.name, check.state));
    }
    reply.exit = failed.unwrap_or(Exit::Ok);
    reply.next = fixes;
    if reply.next.is_empty() {
        reply.next.push(next(["verify"]));
    }
    reply
}
