//! What a command starts from: environment, configuration, and the ledger when it needs one.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::args::Global;
use super::error::{self, Asker, Failure};
use super::when::moment;
use crate::code;
use crate::config::{Config, Environment, Origin, OwnClaims, Who};
use crate::domain::moment::Moment;
use crate::ledger::{Durability, Ledger, LedgerError, Located, Notes, Place, Settings, Sharing};
use crate::ops::OpsError;
use crate::sign::{KeyName, LeftOut, Pen, Signing};

/// One command's surroundings.
#[derive(Debug)]
pub(super) struct Session {
    pub environment: Environment,
    pub config: Config,
    pub who: Who,
    /// The commit of the ledger that is looked at, where it is not the newest.
    pub at: Option<String>,
    /// The time the ledger is looked at as it stood then, as it was typed.
    pub as_of: Option<String>,
    /// What the ledger says beside the answer.
    pub notes: Notes,
    /// What was typed, for request digests.
    typed: String,
    argv: Vec<String>,
    now: DateTime<Utc>,
    /// How seals are signed, once a ledger was opened.
    signing: OnceLock<Arc<Signing>>,
}

impl Session {
    /// One command's surroundings, in the folder it runs in.
    pub(super) fn new(
        environment: Environment,
        config: Config,
        global: &Global,
        typed: String,
        argv: Vec<String>,
    ) -> Self {
        let who = Who {
            executor: global.executor.clone(),
            principal: global.principal.clone(),
            request_id: global.request_id.clone(),
        };
        let now = environment.now();
        let (notes, signing) = (Notes::default(), OnceLock::new());
        let (at, as_of) = (global.at.clone(), global.as_of.clone());
        Self { environment, config, who, at, as_of, notes, typed, argv, now, signing }
    }

    /// The time of this command.
    #[must_use]
    pub(super) fn now(&self) -> DateTime<Utc> {
        self.now
    }

    pub(super) fn place(&self) -> Place {
        Place {
            dir: self.environment.dir.clone(),
            git_dir: self.environment.var("GIT_DIR").map(PathBuf::from),
        }
    }

    pub(super) fn settings(&self, located: &Located) -> Settings {
        Settings {
            durability: match self.config.text("ledger.durability") {
                "process" => Durability::Process,
                _ => Durability::Durable,
            },
            lock_wait: Duration::from_secs(self.config.seconds("ledger.lockWait").unwrap_or(10)),
            program: concat!("stepseal ", env!("CARGO_PKG_VERSION")).to_owned(),
            notes: self.notes.clone(),
            signing: self.signing(located).clone(),
            sharing: Sharing {
                timeout: Duration::from_secs(self.config.seconds("sync.timeout").unwrap_or(60)),
                tries: self.config.text("sync.tries").parse().unwrap_or(30),
            },
        }
    }

    /// How seals are signed: with `seal.key`, else with git's key.
    pub(super) fn signing(&self, located: &Located) -> &Arc<Signing> {
        self.signing.get_or_init(|| {
            let own = self.config.text("seal.key");
            let (format, gits) = located.signing_key();
            let (key, other_format) = match (own, format.as_deref(), gits) {
                ("", Some("ssh"), Some(text)) => {
                    (Some(KeyName { text, from: "git's user.signingkey".into() }), None)
                }
                ("", format, Some(_)) => (None, Some(format.unwrap_or("openpgp").to_owned())),
                ("", _, None) => (None, None),
                (text, ..) => {
                    let origin = self.config.origin("seal.key");
                    let from = origin.map_or_else(String::new, |origin| format!(", {origin}"));
                    let from = format!("seal.key{from}");
                    (Some(KeyName { text: text.to_owned(), from }), None)
                }
            };
            let home = self.environment.var("HOME").or_else(|| self.environment.var("USERPROFILE"));
            Arc::new(Signing::new(
                self.config.text("seal.sign") == "ssh",
                key,
                other_format,
                self.environment.dir.clone(),
                home.map(PathBuf::from),
            ))
        })
    }

    /// The key this clone signs with.
    pub(super) fn pen(&self) -> Result<&Pen, Failure> {
        let pen = self.signing.get().map(|signing| signing.pen());
        match pen {
            Some(Ok(pen)) => Ok(pen),
            Some(Err(why)) => Err(self.ledger_failure(&why.into())),
            None => Err(Failure::usage("no ledger was opened")),
        }
    }

    /// What a writer should know of a seal that went unsigned.
    pub(super) fn unsigned(&self) -> Option<&'static str> {
        Some(match self.signing.get()?.left_out()? {
            LeftOut::NotAsked => {
                "this ledger has keys, and this seal is not signed: set seal.sign to \"ssh\""
            }
            LeftOut::NoKeyYet => {
                "seal.sign is \"ssh\", and this ledger has no key yet, so nothing is signed: \
                 stepseal key add --self --reason \"…\""
            }
        })
    }

    /// Finds the repository.
    pub(super) fn locate(&self) -> Result<Located, Failure> {
        self.config.refuse_unbuilt()?;
        Located::find(&self.place()).map_err(|error| self.ledger_failure(&error))
    }

    /// Opens the ledger for reading, as it stood at the commit or the time that was asked for.
    pub(super) fn ledger(&self) -> Result<Ledger, Failure> {
        let ledger = self.whole_ledger()?;
        let Some(text) = &self.as_of else { return Ok(ledger) };
        let fail = |error: LedgerError| self.ledger_failure(&error);
        let latest = ledger.snapshot().and_then(|snapshot| snapshot.last_recorded());
        let (_, before) = moment("--as-of", text, latest.map_err(fail)?)?;
        ledger.before(before).map_err(fail)
    }

    /// The same, whatever time was asked for: for what looks at the times of events itself.
    pub(super) fn whole_ledger(&self) -> Result<Ledger, Failure> {
        let located = self.locate()?;
        self.agree(&located)?;
        let settings = self.settings(&located);
        let ledger = located.open(settings).map_err(|error| self.ledger_failure(&error))?;
        match &self.at {
            Some(at) => ledger.at(at).map_err(|error| self.ledger_failure(&error)),
            None => Ok(ledger),
        }
    }

    /// Refuses what acts, or looks at more than one moment, where the past is to be read.
    pub(super) fn only_now(&self) -> Result<(), Failure> {
        let flag = match (&self.at, &self.as_of) {
            (None, None) => return Ok(()),
            (Some(_), _) => "--at",
            (None, Some(_)) => "--as-of",
        };
        Err(Failure::usage(format!(
            "{flag} reads the ledger as it stood: this command does not take it"
        )))
    }

    /// The common git config says which branch is the ledger, and through which remote it is
    /// shared; a file or a variable that says another one is refused, naming both (L1).
    fn agree(&self, located: &Located) -> Result<(), Failure> {
        let Some(branch) = located.branch() else { return Ok(()) };
        let remote = located.remote();
        let said = |name: &str| self.config.all().find(|(key, ..)| key.full() == name);
        let other = |name: &str, known: &str| {
            let (_, asked, origin) = said(name)?;
            let differs = *origin != Origin::Default && asked != known;
            differs.then(|| (asked.to_owned(), origin.clone()))
        };
        let (error, origin) = if let Some((asked, origin)) = other("ledger.branch", &branch) {
            (LedgerError::OtherLedger { known: branch, asked }, origin)
        } else if let Some((asked, origin)) =
            other("ledger.remote", remote.as_deref().unwrap_or_default())
        {
            match (remote, asked.is_empty()) {
                // Said to be for this clone only, and shared all the same: what is on record counts.
                (Some(_), true) => return Ok(()),
                (known, _) => (LedgerError::OtherRemote { known, asked }, origin),
            }
        } else {
            return Ok(());
        };
        let mut failure = self.ledger_failure(&error);
        failure.snippet = Some(format!("  --> {origin}\n"));
        Err(failure)
    }

    /// Opens the ledger for an act, with the one Moment of it.
    pub(super) fn act(&self, code: Code) -> Result<Act, Failure> {
        self.only_now()?;
        let located = self.locate()?;
        self.agree(&located)?;
        if located.branch().is_none() {
            return Err(self.ledger_failure(&LedgerError::NoLedger));
        }
        let mut moment = self.moment(&located)?;
        if code != Code::None && self.config.switch("claim.code") && located.work_dir().is_some() {
            moment.code = code::seen(&self.environment.dir, code == Code::Whole);
        }
        let own_claims = OwnClaims::of(&located.git_dir());
        let settings = self.settings(&located);
        let ledger = located.open(settings).map_err(|error| self.ledger_failure(&error))?;
        Ok(Act { ledger, moment, own_claims })
    }

    /// Makes the Moment.
    pub(super) fn moment(&self, located: &Located) -> Result<Moment, Failure> {
        let email = located.user().map(|user| user.email);
        let git_dir = located.git_dir();
        let typed = &self.typed;
        Ok(self.config.moment(
            &self.environment,
            &self.who,
            Some(&git_dir),
            email.as_deref(),
            typed,
        )?)
    }

    /// Makes the Moment of somebody who was named, with no repository to ask.
    pub(super) fn moment_of(&self, who: &Who) -> Result<Moment, Failure> {
        Ok(self.config.moment(&self.environment, who, None, None, &self.typed)?)
    }

    /// Who asks, for the phrases of a refusal.
    #[must_use]
    pub(super) fn asker(&self) -> Asker {
        let said = self.who.executor.clone();
        let configured = Some(self.config.text("executor.id")).filter(|id| !id.is_empty());
        Asker {
            executor: said.or(configured.map(str::to_owned)),
            now: self.now,
            repeat: Vec::new(),
            again: self.who.request_id.as_ref().map(|_| self.argv.clone()),
            whole: self.argv.clone(),
            own_key: self
                .signing
                .get()
                .and_then(|signing| signing.known())
                .map(|pen| pen.public_key().clone()),
        }
    }

    /// Phrases what the ledger says.
    #[must_use]
    pub(super) fn ledger_failure(&self, error: &LedgerError) -> Failure {
        error::ledger(error, &self.asker())
    }

    /// Phrases what an operation says.
    #[must_use]
    pub(super) fn ops_failure(&self, error: &OpsError, repeat: Vec<String>) -> Failure {
        error::ops(error, &Asker { repeat, ..self.asker() })
    }
}

/// Which code a command records (K4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Code {
    None,
    /// HEAD.
    Head,
    /// HEAD, its tree, and whether the work tree differs.
    Whole,
}

/// A ledger opened for an act.
#[derive(Debug)]
pub(super) struct Act {
    pub ledger: Ledger,
    pub moment: Moment,
    pub own_claims: OwnClaims,
}
