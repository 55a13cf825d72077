//! The only reader of the environment and of config files; makes the Moment.
//!
//! Flags > `STEPSEAL_*` > `stepseal.toml` > the user's config > defaults, each value with its
//! origin. Policy is not here: it lives in the ledger.
#![expect(clippy::disallowed_methods, reason = "the adapter for environment, clock and config")]

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::domain::event::{Actor, ActorKind, Request};
use crate::domain::id::{Digest, ExecutorId, PrincipalId, RequestId};
use crate::domain::moment::Moment;
use crate::domain::workflow::{TimeLimit, nearest};

/// What surrounds a command: variables, folder, terminal. Made once from the process; the demo
/// and the tests make their own.
#[derive(Debug, Clone)]
pub struct Environment {
    pub vars: BTreeMap<String, String>,
    pub dir: PathBuf,
    pub stdin_terminal: bool,
    pub stdout_terminal: bool,
    pub stderr_terminal: bool,
    /// The terminal's, where there is one.
    pub size: Option<Size>,
}

/// Columns and lines of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    pub columns: usize,
    pub lines: usize,
}

/// A program that shows long answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pager {
    /// Words, never a shell line.
    pub argv: Vec<String>,
    /// Set for it, where the caller has not.
    pub env: Vec<(String, String)>,
    /// Whether somebody asked for this one.
    pub named: bool,
}

impl Environment {
    /// The environment of this process.
    ///
    /// # Errors
    /// When the current folder is gone.
    pub fn of_process() -> std::io::Result<Self> {
        use std::io::IsTerminal as _;
        let text = |os: std::ffi::OsString| os.to_string_lossy().into_owned();
        let size = terminal_size::terminal_size();
        Ok(Self {
            vars: std::env::vars_os().map(|(key, value)| (text(key), text(value))).collect(),
            dir: std::env::current_dir()?,
            stdin_terminal: std::io::stdin().is_terminal(),
            stdout_terminal: std::io::stdout().is_terminal(),
            stderr_terminal: std::io::stderr().is_terminal(),
            size: size
                .map(|(columns, lines)| Size { columns: columns.0.into(), lines: lines.0.into() }),
        })
    }

    /// A variable that is set and not empty.
    #[must_use]
    pub fn var(&self, name: &str) -> Option<&str> {
        self.vars.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// How long a command runs before it tells how far it is; `STEPSEAL_PROGRESS_AFTER` (such as
    /// `0s`) changes it, for tests.
    #[must_use]
    pub fn progress_after(&self) -> Duration {
        let limit = self.var("STEPSEAL_PROGRESS_AFTER").and_then(|text| text.strip_suffix('s'));
        Duration::from_secs(limit.and_then(|seconds| seconds.parse().ok()).unwrap_or(1))
    }

    /// Whether GitHub Actions runs this.
    #[must_use]
    pub fn in_actions(&self) -> bool {
        self.var("GITHUB_ACTIONS") == Some("true")
    }

    /// The time; `STEPSEAL_NOW` fixes it, for tests and reproductions.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.var("STEPSEAL_NOW")
            .and_then(|text| DateTime::parse_from_rfc3339(text).ok())
            .map_or_else(Utc::now, |at| at.with_timezone(&Utc))
    }

    /// Chance; `STEPSEAL_SEED` fixes it, for tests and reproductions.
    #[must_use]
    pub fn seed(&self) -> [u8; 32] {
        match self.var("STEPSEAL_SEED") {
            Some(seed) => Digest::of(seed.as_bytes()).to_bytes(),
            None => {
                let (a, b) = (Uuid::new_v4(), Uuid::new_v4());
                Digest::of_parts(&[a.as_bytes(), b.as_bytes()]).to_bytes()
            }
        }
    }

    /// Whether people here read UTF-8.
    #[must_use]
    pub fn utf8(&self) -> bool {
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(|name| self.var(name));
        match locale {
            Some(locale) => {
                let locale = locale.to_ascii_lowercase();
                locale.contains("utf-8") || locale.contains("utf8")
            }
            None => cfg!(windows) || cfg!(target_os = "macos"),
        }
    }
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    Default,
    UserFile { path: PathBuf, line: usize },
    RepositoryFile { path: PathBuf, line: usize },
    Variable(String),
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => write!(f, "default"),
            Self::UserFile { path, line } | Self::RepositoryFile { path, line } => {
                write!(f, "{}:{line}", path.display())
            }
            Self::Variable(name) => write!(f, "{name}"),
            Self::Flag(flag) => write!(f, "{flag}"),
        }
    }
}

/// What a key may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    /// One of these words.
    Word(&'static [&'static str]),
    Switch,
    Number,
    /// `10s`, `90m`, or nothing where the default is nothing.
    Duration,
    /// `64KiB`.
    Size,
}

/// One setting.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    pub section: &'static str,
    pub name: &'static str,
    pub default: &'static str,
    pub kind: Kind,
    pub about: &'static str,
    /// Never in the repository's file: it is who somebody is, or a program of theirs.
    pub personal: bool,
}

impl Key {
    /// `section.name`.
    #[must_use]
    pub fn full(&self) -> String {
        format!("{}.{}", self.section, self.name)
    }

    /// The variable that sets it.
    #[must_use]
    pub fn variable(&self) -> String {
        match (self.section, self.name) {
            ("executor", "id") => "STEPSEAL_EXECUTOR".into(),
            ("principal", "id") => "STEPSEAL_PRINCIPAL".into(),
            ("ui", "pager") => "STEPSEAL_PAGER".into(),
            _ => {
                let mut variable = String::from("STEPSEAL_");
                for c in format!("{}_{}", self.section, self.name).chars() {
                    if c.is_ascii_uppercase() {
                        variable.push('_');
                    }
                    variable.push(c.to_ascii_uppercase());
                }
                variable
            }
        }
    }
}

const fn key(
    section: &'static str,
    name: &'static str,
    default: &'static str,
    kind: Kind,
    about: &'static str,
) -> Key {
    Key { section, name, default, kind, about, personal: false }
}

const fn personal(
    section: &'static str,
    name: &'static str,
    kind: Kind,
    about: &'static str,
) -> Key {
    Key { section, name, default: "", kind, about, personal: true }
}

/// Every setting, in the order of the documentation.
pub const KEYS: &[Key] = &[
    key(
        "ledger",
        "branch",
        "stepseal-ledger",
        Kind::Text,
        "proposed to new clones; the truth is the common git config (stepseal.branch), written by init",
    ),
    key(
        "ledger",
        "remote",
        "",
        Kind::Text,
        "\"\" means this clone only; \"origin\": a claim counts when origin has accepted it",
    ),
    key(
        "ledger",
        "durability",
        "durable",
        Kind::Word(&["durable", "process"]),
        "durable: survives a power cut | process: survives a kill only",
    ),
    key("ledger", "lockWait", "10s", Kind::Duration, "how long a writer queues before exit 75"),
    key("ledger", "signCommits", "false", Kind::Switch, ""),
    key(
        "seal",
        "sign",
        "none",
        Kind::Word(&["none", "ssh"]),
        "none | ssh: with git's user.signingKey",
    ),
    key("sync", "timeout", "60s", Kind::Duration, "one fetch or push"),
    key("sync", "tries", "30", Kind::Number, "after a lost race, with growing, jittered pauses"),
    key(
        "claim",
        "lease",
        "",
        Kind::Duration,
        "\"\" means none; \"90m\" is recorded in claims, never enforced by a timer",
    ),
    key("claim", "code", "true", Kind::Switch, "record the code that claim and complete saw"),
    key(
        "complete",
        "checkTimeout",
        "10m",
        Kind::Duration,
        "for a criterion's check that names none",
    ),
    key(
        "complete",
        "checkOutput",
        "64KiB",
        Kind::Size,
        "kept of its output, half from each end; the digest covers all of it",
    ),
    key(
        "plan",
        "gates",
        "keep",
        Kind::Word(&["keep", "drop"]),
        "keep | drop: checkpoints of a plan become review gates",
    ),
    key(
        "plan",
        "stories",
        "sequential",
        Kind::Word(&["sequential", "parallel"]),
        "sequential | parallel: user-story phases of spec-kit plans",
    ),
    key(
        "baseline",
        "branch",
        "",
        Kind::Text,
        "the base branch of integrate; origin's default, init.defaultBranch, main or master when empty",
    ),
    key("delegate", "workflow", "", Kind::Text, "used when delegate is given no plan"),
    key(
        "output",
        "color",
        "auto",
        Kind::Word(&["auto", "always", "never"]),
        "auto | always | never; NO_COLOR and CLICOLOR_FORCE are obeyed",
    ),
    key(
        "output",
        "time",
        "utc",
        Kind::Word(&["utc", "local"]),
        "utc | local: on a terminal; data is always UTC",
    ),
    personal("executor", "id", Kind::Text, "who works; one task at a time"),
    personal("executor", "name", Kind::Text, "how people call it"),
    personal("executor", "kind", Kind::Word(&["human", "agent", "ci"]), "human | agent | ci"),
    personal(
        "principal",
        "id",
        Kind::Text,
        "the accountable person; git's user.email when left out",
    ),
    personal(
        "ui",
        "pager",
        Kind::Text,
        "shows long answers on a terminal; PAGER, else less -FRX when left out, none when empty",
    ),
    personal(
        "seal",
        "key",
        Kind::Text,
        "a path or key::PUBLIC KEY; git's user.signingkey when left out and gpg.format is ssh",
    ),
];

/// What only one work tree knows: beside the caches, which may be deleted at any time.
const LOCAL: &str = "stepseal.local";

/// Why the configuration cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ConfigError {
    pub message: String,
    pub origin: Option<Origin>,
    pub hint: Option<String>,
}

impl ConfigError {
    fn new(message: impl Into<String>, origin: Option<Origin>) -> Self {
        Self { message: message.into(), origin, hint: None }
    }
}

/// The settings that hold, each with its origin.
#[derive(Debug, Clone)]
pub struct Config {
    values: BTreeMap<String, (String, Origin)>,
}

/// What the command line says of who asks.
#[derive(Debug, Clone, Default)]
pub struct Who {
    pub executor: Option<String>,
    pub principal: Option<String>,
    pub request_id: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        let values = KEYS.iter().map(|key| (key.full(), (key.default.to_owned(), Origin::Default)));
        Self { values: values.collect() }
    }
}

impl Config {
    /// Reads every layer.
    ///
    /// # Errors
    /// An unknown key with the nearest known one, or a value that does not fit, with its line.
    pub fn load(environment: &Environment, color: Option<&str>) -> Result<Self, ConfigError> {
        let mut values = Self::default().values;
        if let Some(path) = user_file(environment) {
            read_file(&path, true, &mut values)?;
        }
        if let Some(path) = repository_file(&environment.dir) {
            read_file(&path, false, &mut values)?;
        }
        for key in KEYS {
            let variable = key.variable();
            if let Some(value) = environment.vars.get(&variable) {
                let origin = Origin::Variable(variable);
                check(key, value, &origin)?;
                values.insert(key.full(), (value.clone(), origin));
            }
        }
        if let Some(color) = color {
            values.insert("output.color".into(), (color.to_owned(), Origin::Flag("--color")));
        }
        Ok(Self { values })
    }

    /// A setting as text.
    #[must_use]
    pub fn text(&self, key: &str) -> &str {
        self.values.get(key).map_or("", |(value, _)| value)
    }

    /// A setting as a switch.
    #[must_use]
    pub fn switch(&self, key: &str) -> bool {
        self.text(key) == "true"
    }

    /// A setting as seconds; nothing when it is empty.
    #[must_use]
    pub fn seconds(&self, key: &str) -> Option<u64> {
        self.text(key).parse::<TimeLimit>().ok().map(|limit| limit.seconds())
    }

    /// A setting as bytes.
    #[must_use]
    pub fn bytes(&self, key: &str) -> usize {
        size(self.text(key)).unwrap_or(0)
    }

    /// The pager: `ui.pager`, else `PAGER`, else less; none where one of them is set to nothing
    /// or to `cat`. Words and no shell line, like everything that is run.
    #[must_use]
    pub fn pager(&self, environment: &Environment) -> Option<Pager> {
        let configured = self.values.get("ui.pager").filter(|(_, o)| *o != Origin::Default);
        let named = configured.map(|(words, _)| words).or_else(|| environment.vars.get("PAGER"));
        let words = named.map_or("less -FRX", String::as_str);
        let argv: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
        if argv.first().is_none_or(|program| program == "cat") {
            return None;
        }
        // What git sets, so that a bare `less` keeps colours and leaves a short answer alone.
        let env = [("LESS", "FRX"), ("LV", "-c")]
            .into_iter()
            .filter(|(name, _)| !environment.vars.contains_key(*name))
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        Some(Pager { argv, env: env.collect(), named: named.is_some() })
    }

    /// Where a setting comes from.
    #[must_use]
    pub fn origin(&self, key: &str) -> Option<&Origin> {
        self.values.get(key).map(|(_, origin)| origin)
    }

    /// Every setting with its origin, in the order of the documentation.
    pub fn all(&self) -> impl Iterator<Item = (&'static Key, &str, &Origin)> {
        KEYS.iter().filter_map(|key| {
            let (value, origin) = self.values.get(&key.full())?;
            Some((key, value.as_str(), origin))
        })
    }

    /// Refuses what is planned but not built: never ignored.
    ///
    /// # Errors
    /// Signed commits, or stories in parallel.
    pub fn refuse_unbuilt(&self) -> Result<(), ConfigError> {
        type Unbuilt = (&'static str, fn(&str) -> bool, &'static str);
        let unbuilt: [Unbuilt; 2] = [
            ("ledger.signCommits", |v| v != "false", "signed commits"),
            ("plan.stories", |v| v != "sequential", "user stories in parallel"),
        ];
        for (key, set, what) in unbuilt {
            if let Some((value, origin)) = self.values.get(key).filter(|(value, _)| set(value)) {
                let message =
                    format!("{key} is `{value}`, but this version does not have {what} yet");
                return Err(ConfigError::new(message, Some(origin.clone())));
            }
        }
        Ok(())
    }

    /// Makes the one Moment of a command (C4).
    ///
    /// `git_dir` is this work tree's own folder, where the default executor id is kept; `email`
    /// is git's `user.email`.
    ///
    /// # Errors
    /// When an id does not fit the grammar.
    pub fn moment(
        &self,
        environment: &Environment,
        who: &Who,
        git_dir: Option<&Path>,
        email: Option<&str>,
        ask: &str,
    ) -> Result<Moment, ConfigError> {
        let seed = environment.seed();
        let actor = self.actor(environment, who, git_dir, email, &seed)?;
        let request = request(environment, who, &actor, ask)?;
        let mut moment = Moment::new(environment.now(), seed, actor);
        moment.request = request;
        Ok(moment)
    }

    fn actor(
        &self,
        environment: &Environment,
        who: &Who,
        git_dir: Option<&Path>,
        email: Option<&str>,
        seed: &[u8; 32],
    ) -> Result<Actor, ConfigError> {
        let actions = environment.in_actions();
        let id = match &who.executor {
            Some(id) => parse::<ExecutorId>(id, Origin::Flag("--executor"))?,
            None => match self.values.get("executor.id").filter(|(id, _)| !id.is_empty()) {
                Some((id, origin)) => parse(id, origin.clone())?,
                None if actions => parse(&actions_id(environment), Origin::Default)?,
                None => local_executor(git_dir, seed)?,
            },
        };
        let principal = match &who.principal {
            Some(id) => parse::<PrincipalId>(id, Origin::Flag("--principal"))?,
            None => match self.values.get("principal.id").filter(|(id, _)| !id.is_empty()) {
                Some((id, origin)) => parse(id, origin.clone())?,
                None => {
                    let default = match (actions, environment.var("GITHUB_ACTOR_ID"), email) {
                        (true, Some(actor), _) => format!("github:{actor}"),
                        (_, _, Some(email)) => email.to_lowercase(),
                        _ => id.to_string(),
                    };
                    // An address outside the grammar is still a person: fold what is not allowed.
                    let folded: String = default
                        .chars()
                        .map(|c| {
                            if c.is_ascii_alphanumeric() || "._:/@+-".contains(c) { c } else { '-' }
                        })
                        .collect();
                    parse(
                        folded.trim_start_matches(|c: char| !c.is_ascii_alphanumeric()),
                        Origin::Default,
                    )?
                }
            },
        };
        let kind = match self.text("executor.kind") {
            "agent" => ActorKind::Agent,
            "ci" => ActorKind::Ci,
            "human" => ActorKind::Human,
            _ if actions => ActorKind::Ci,
            _ => ActorKind::Human,
        };
        let name = match self.text("executor.name") {
            "" => id.to_string(),
            name => name.chars().filter(|c| !c.is_control()).take(200).collect(),
        };
        Ok(Actor { id, name, kind, principal })
    }
}

fn parse<T: std::str::FromStr<Err = crate::domain::id::InvalidId>>(
    text: &str,
    origin: Origin,
) -> Result<T, ConfigError> {
    text.parse().map_err(|error: crate::domain::id::InvalidId| {
        ConfigError::new(error.to_string(), Some(origin))
    })
}

/// R1: a caller's key, or in Actions one that a re-run of the same attempt repeats.
fn request(
    environment: &Environment,
    who: &Who,
    actor: &Actor,
    ask: &str,
) -> Result<Option<Request>, ConfigError> {
    let digest = Digest::of(ask.as_bytes());
    let id = match &who.request_id {
        Some(id) => parse::<RequestId>(id, Origin::Flag("--request-id"))?,
        None => match environment.var("STEPSEAL_REQUEST_ID") {
            Some(id) => parse(id, Origin::Variable("STEPSEAL_REQUEST_ID".into()))?,
            None if environment.in_actions() => {
                let short = &digest.as_str()[..16];
                let id: String = format!("{short}:{}", actor.id).chars().take(200).collect();
                parse(&id, Origin::Default)?
            }
            None => return Ok(None),
        },
    };
    Ok(Some(Request { id, digest }))
}

/// `gha:REPO:RUN_ID:RUN_ATTEMPT:JOB:INDEX`: the run id alone is not unique.
fn actions_id(environment: &Environment) -> String {
    let var = |name: &str| environment.var(name).unwrap_or("0");
    let index = environment.var("STEPSEAL_JOB_INDEX").unwrap_or("0");
    format!(
        "gha:{}:{}:{}:{}:{index}",
        var("GITHUB_REPOSITORY"),
        var("GITHUB_RUN_ID"),
        var("GITHUB_RUN_ATTEMPT"),
        var("GITHUB_JOB")
    )
}

/// `local-` and 8 hex digits, made once for each work tree.
fn local_executor(git_dir: Option<&Path>, seed: &[u8; 32]) -> Result<ExecutorId, ConfigError> {
    let fresh = format!("local-{}", &Digest::of_parts(&[b"executor", seed]).as_str()[..8]);
    let Some(git_dir) = git_dir else { return parse(&fresh, Origin::Default) };
    let path = git_dir.join(LOCAL).join("executor");
    let read = || std::fs::read_to_string(&path).ok().and_then(|text| text.trim().parse().ok());
    if let Some(id) = read() {
        return Ok(id);
    }
    // Two commands may be the first at once: whoever's link lands is the id for both.
    let made = std::fs::create_dir_all(git_dir.join(LOCAL))
        .and_then(|()| tempfile::NamedTempFile::new_in(git_dir.join(LOCAL)))
        .and_then(|mut file| writeln!(file, "{fresh}").map(|()| file));
    if let Ok(file) = made {
        drop(file.persist_noclobber(&path));
    }
    match read() {
        Some(id) => Ok(id),
        None => parse(&fresh, Origin::Default),
    }
}

/// The user's own config file.
fn user_file(environment: &Environment) -> Option<PathBuf> {
    if let Some(path) = environment.vars.get("STEPSEAL_CONFIG") {
        return (!path.is_empty()).then(|| PathBuf::from(path));
    }
    let folder = match (environment.var("XDG_CONFIG_HOME"), environment.var("HOME")) {
        (Some(folder), _) => PathBuf::from(folder),
        (None, Some(home)) => Path::new(home).join(".config"),
        (None, None) => PathBuf::from(environment.var("APPDATA")?),
    };
    Some(folder.join("stepseal").join("config.toml"))
}

/// `stepseal.toml` at the root of the work tree around a folder.
fn repository_file(dir: &Path) -> Option<PathBuf> {
    let root = dir.ancestors().find(|folder| folder.join(".git").exists())?;
    Some(root.join("stepseal.toml"))
}

fn read_file(
    path: &Path,
    users: bool,
    values: &mut BTreeMap<String, (String, Origin)>,
) -> Result<(), ConfigError> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => {
            return Err(ConfigError::new(format!("cannot read {}: {error}", path.display()), None));
        }
    };
    values.extend(file_settings(&text, path, users)?);
    Ok(())
}

/// What the text of a configuration file sets, each value with its line; `users` where it is the
/// user's own file and not the repository's. Reads no file.
///
/// # Errors
/// No TOML, an unknown key, a value that does not fit, or what is personal in a repository.
pub fn file_settings(
    text: &str,
    path: &Path,
    users: bool,
) -> Result<BTreeMap<String, (String, Origin)>, ConfigError> {
    let line_of = |at: usize| text.get(..at).map_or(1, |before| before.matches('\n').count() + 1);
    let origin = |at: usize| {
        let (path, line) = (path.to_path_buf(), line_of(at));
        if users { Origin::UserFile { path, line } } else { Origin::RepositoryFile { path, line } }
    };
    let table = toml::de::DeTable::parse(text).map_err(|error| {
        let at = error.span().map(|span| origin(span.start));
        ConfigError::new(error.message().to_owned(), at)
    })?;
    let mut values = BTreeMap::new();
    for (section, content) in table.get_ref() {
        let toml::de::DeValue::Table(entries) = content.get_ref() else {
            let at = origin(section.span().start);
            let message = format!("`{}` is no section of the configuration", section.get_ref());
            return Err(ConfigError::new(message, Some(at)));
        };
        for (name, value) in entries {
            let full = format!("{}.{}", section.get_ref(), name.get_ref());
            let at = origin(name.span().start);
            let Some(key) = KEYS.iter().find(|key| key.full() == full) else {
                let mut error = ConfigError::new(format!("unknown key {full}"), Some(at));
                let names: Vec<String> = KEYS.iter().map(Key::full).collect();
                error.hint = nearest(&full, names.iter(), String::as_str)
                    .map(|near| format!("did you mean {near}?"));
                return Err(error);
            };
            if key.personal && !users {
                let message = format!(
                    "{full} is one person's own: it belongs in their config file or the \
                     environment, not in a repository"
                );
                return Err(ConfigError::new(message, Some(at)));
            }
            let value = match value.get_ref() {
                toml::de::DeValue::String(text) => text.to_string(),
                toml::de::DeValue::Boolean(yes) => yes.to_string(),
                toml::de::DeValue::Integer(number) => number.to_string(),
                _ => return Err(ConfigError::new(format!("{full} takes one value"), Some(at))),
            };
            check(key, &value, &at)?;
            values.insert(full, (value, at));
        }
    }
    Ok(values)
}

/// Whether a value fits its key.
fn check(key: &Key, value: &str, origin: &Origin) -> Result<(), ConfigError> {
    let full = key.full();
    let wrong = |expected: String| {
        let message = format!("{full} is `{}`; it takes {expected}", value.escape_debug());
        Err(ConfigError::new(message, Some(origin.clone())))
    };
    match key.kind {
        Kind::Text => Ok(()),
        Kind::Word(words) => {
            if words.contains(&value) || (value.is_empty() && key.default.is_empty()) {
                Ok(())
            } else {
                wrong(words.join(", "))
            }
        }
        Kind::Switch if matches!(value, "true" | "false") => Ok(()),
        Kind::Switch => wrong("true or false".into()),
        Kind::Number if value.parse::<u32>().is_ok() => Ok(()),
        Kind::Number => wrong("a number".into()),
        Kind::Duration if value.is_empty() && key.default.is_empty() => Ok(()),
        Kind::Duration if value.parse::<TimeLimit>().is_ok() => Ok(()),
        Kind::Duration => wrong("a duration such as 90s, 45m or 2h".into()),
        Kind::Size if size(value).is_some() => Ok(()),
        Kind::Size => wrong("a size such as 64KiB".into()),
    }
}

fn size(text: &str) -> Option<usize> {
    let (number, factor) = match text {
        text if text.ends_with("KiB") => (&text[..text.len() - 3], 1024),
        text if text.ends_with("MiB") => (&text[..text.len() - 3], 1024 * 1024),
        text => (text.strip_suffix('B').unwrap_or(text), 1),
    };
    number.trim().parse::<usize>().ok()?.checked_mul(factor)
}

/// Claims this work tree made, so that `complete` need not name them (K1).
#[derive(Debug, Clone)]
pub struct OwnClaims {
    path: PathBuf,
}

impl OwnClaims {
    /// Kept in the work tree's own git folder.
    #[must_use]
    pub fn of(git_dir: &Path) -> Self {
        Self { path: git_dir.join(LOCAL).join("claims") }
    }

    /// The claim ids, oldest first; at most the last 1,000.
    #[must_use]
    pub fn list(&self) -> Vec<crate::domain::id::ClaimId> {
        let text = std::fs::read_to_string(&self.path).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let start = lines.len().saturating_sub(1000);
        lines[start..].iter().filter_map(|line| line.parse().ok()).collect()
    }

    /// Remembers a claim; losing this file only means naming the claim.
    pub fn add(&self, claim: crate::domain::id::ClaimId) {
        if let Some(folder) = self.path.parent() {
            drop(std::fs::create_dir_all(folder));
        }
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&self.path);
        // One short write in append mode: lines of two commands do not mix.
        if let Ok(mut file) = file {
            drop(file.write_all(format!("{claim}\n").as_bytes()));
        }
    }
}
