//! `demo`: the main job, end to end, in a throw-away repository.
//!
//! Every command is the real one, run through the front door with a clock and a seed of its own,
//! so the ledger it leaves is the same everywhere, byte for byte.
#![expect(clippy::disallowed_methods, reason = "makes and fills the demo's folder")]

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

use super::super::Reply;
use super::super::args::DemoArgs;
use super::super::error::{Failure, next};
use super::super::exit::Exit;
use super::super::session::Session;
use super::super::ui::{Line, Ui, said, shell};
use super::super::view::DemoView;
use crate::config::Environment;
use crate::process::{self, Program};

/// The plan the demo delegates, as people write one.
const PLAN: &str = include_str!("demo-plan.md");
/// Where it stands in the demo's repository.
const PLAN_PATH: &str = "specs/001-albums/tasks.md";
const ITEM: &str = "ALBUMS";
/// The artifact of which one byte is changed.
const VICTIM: &str = "T002-attempt-completed.json";

pub(super) fn run(args: &DemoArgs, session: &Session, ui: &mut Ui<'_>) -> Result<Reply, Failure> {
    let throw_away;
    let dir = match &args.keep {
        Some(dir) => {
            let dir = session.environment.dir.join(dir);
            let used = std::fs::read_dir(&dir).is_ok_and(|mut entries| entries.next().is_some());
            if used {
                let message = format!("{} is not empty", dir.display());
                return Err(
                    Failure::usage(message).note("name a new folder: stepseal demo --keep DIR")
                );
            }
            std::fs::create_dir_all(&dir).map_err(|error| failed("making the folder", &error))?;
            dir
        }
        None => {
            throw_away = tempfile::Builder::new()
                .prefix("stepseal-demo-")
                .tempdir()
                .map_err(|error| failed("making a temporary folder", &error))?;
            throw_away.path().to_path_buf()
        }
    };
    let start = DateTime::parse_from_rfc3339("2026-11-20T10:15:00Z").unwrap_or_default();
    let mut demo = Demo {
        ui,
        dir,
        environment: session.environment.clone(),
        now: start.with_timezone(&Utc),
        commands: 0,
    };
    demo.play()?;
    let (commands, dir) = (demo.commands, demo.dir.clone());
    let kept = args.keep.as_ref().map(|_| dir.display().to_string());
    let mut reply = Reply::new(
        "demo",
        &DemoView { dir: kept.clone(), steps: commands, outcome: "shown".into() },
    );
    reply.lines.push(Line::Blank);
    match kept {
        Some(kept) => {
            reply.lines.push(said("kept", kept.clone()));
            reply.lines.push(Line::Text(
                "look at      git log -p stepseal-ledger        every commit of the ledger".into(),
            ));
            reply.next.push(next(["-C", &kept, "status", ITEM]));
        }
        None => {
            reply.lines.push(Line::Text(format!(
                "shown: {commands} commands; the folder is gone (--keep DIR keeps it)"
            )));
            reply.next.push(next(["init"]).note("in a repository of your own"));
        }
    }
    Ok(reply)
}

fn failed(doing: &str, error: &dyn std::fmt::Display) -> Failure {
    Failure::new(Exit::Outside, "demo", format!("{doing} failed: {error}"))
}

/// A repository, a clock, and a stage.
struct Demo<'u, 'w> {
    ui: &'u mut Ui<'w>,
    dir: PathBuf,
    environment: Environment,
    now: DateTime<Utc>,
    commands: usize,
}

impl Demo<'_, '_> {
    fn play(&mut self) -> Result<(), Failure> {
        self.scene("A repository, a plan as people write it, and a ledger beside the code");
        self.git(&["init", "--quiet", "."])?;
        // What a commit of the ledger says of its committer is the same on every machine.
        self.git(&["config", "user.name", "demo"])?;
        self.git(&["config", "user.email", "demo@localhost"])?;
        let plan = self.dir.join(PLAN_PATH);
        if let Some(folder) = plan.parent() {
            std::fs::create_dir_all(folder)
                .map_err(|error| failed("making the plan's folder", &error))?;
        }
        std::fs::write(&plan, PLAN).map_err(|error| failed("writing the plan", &error))?;
        self.stepseal("maintainer-1", &["init"], 0)?;
        self.stepseal(
            "maintainer-1",
            &["delegate", "--plan", PLAN_PATH, "--work-item", ITEM, "--dry-run"],
            0,
        )?;
        self.stepseal("maintainer-1", &["delegate", "--plan", PLAN_PATH, "--work-item", ITEM], 0)?;

        self.scene("Two executors take a parallel wave; a third claim of the same step is lost");
        self.stepseal("agent-1", &["claim", "--work-item", ITEM, "--step", "T002"], 0)?;
        self.stepseal("agent-2", &["claim", "--next"], 0)?;
        self.stepseal("agent-3", &["claim", "--work-item", ITEM, "--step", "T002"], 6)?;
        self.complete("agent-1", "T002", "eslint 9, no warnings")?;
        self.complete("agent-2", "T003", "5 MB a photo, 200 an album")?;
        self.work("agent-1", "T004", "albums, photos; the migration runs down and up")?;
        self.claim("agent-1", "T005")?;
        self.claim("agent-2", "T006")?;
        self.complete("agent-1", "T005", "Album with title and order")?;
        self.complete("agent-2", "T006", "Photo with album and file")?;
        self.work("agent-2", "T007", "photos keep their place when one is removed")?;

        self.scene("A gate says no: the item goes back, and what built on it is void");
        let reject = [
            "gate",
            "reject",
            "--work-item",
            ITEM,
            "--step",
            "checkpoint-2",
            "--return-to",
            "T005",
            "--reason",
            "an album needs an owner",
        ];
        self.stepseal_as("reviewer-1", "reviewer-1", &reject, 0)?;
        self.claim("agent-1", "T005")?;
        self.stepseal("maintainer-1", &["status", ITEM], 0)?;
        self.stepseal("maintainer-1", &["status", ITEM, "--why-not", "T009"], 0)?;
        self.complete("agent-1", "T005", "Album with an owner")?;
        self.work("agent-2", "T007", "ordering checked again with owners")?;

        self.scene("The gate says yes, and the rest is done");
        let approve = [
            "gate",
            "approve",
            "--work-item",
            ITEM,
            "--step",
            "checkpoint-2",
            "--reason",
            "owner and order are right",
        ];
        self.stepseal_as("reviewer-1", "reviewer-1", &approve, 0)?;
        self.work("agent-1", "T008", "the contract test fails, as it should")?;
        self.work("agent-1", "T009", "POST /albums; the contract test passes")?;
        let approve = [
            "gate",
            "approve",
            "--work-item",
            ITEM,
            "--step",
            "checkpoint-3",
            "--reason",
            "made one by hand",
        ];
        self.stepseal_as("reviewer-1", "reviewer-1", &approve, 0)?;
        self.work("agent-2", "T011", "docs/api.md has albums")?;
        self.work("agent-1", "T012", "the quickstart runs")?;
        self.stepseal("maintainer-1", &["status"], 0)?;
        self.stepseal("maintainer-1", &["verify"], 0)?;

        self.scene("Somebody changes one byte of a sealed artifact and commits it");
        self.tamper()?;
        self.stepseal("maintainer-1", &["verify"], 10)?;
        let correct = ["correct", ITEM, "--reason", "nobody edits the ledger by hand"];
        self.stepseal("maintainer-1", &correct, 0)?;
        self.stepseal("maintainer-1", &["verify"], 0)?;

        self.scene("A readable copy of the whole ledger");
        self.stepseal("maintainer-1", &["export", "--tree", "export"], 0)?;
        Ok(())
    }

    fn scene(&mut self, text: &str) {
        if self.ui.json || self.ui.quiet {
            return;
        }
        self.ui.answer(&[Line::Blank, Line::Text(format!("== {text}"))]);
    }

    fn claim(&mut self, executor: &str, step: &str) -> Result<(), Failure> {
        self.stepseal(executor, &["claim", "--work-item", ITEM, "--step", step, "--quiet"], 0)
    }

    fn complete(&mut self, executor: &str, step: &str, outcome: &str) -> Result<(), Failure> {
        let words = ["complete", "--work-item", ITEM, "--step", step, "--outcome", outcome];
        self.stepseal(executor, &words, 0)
    }

    fn work(&mut self, executor: &str, step: &str, outcome: &str) -> Result<(), Failure> {
        self.claim(executor, step)?;
        self.complete(executor, step, outcome)
    }

    fn stepseal(&mut self, executor: &str, words: &[&str], expected: u8) -> Result<(), Failure> {
        self.stepseal_as(executor, "maintainer-1", words, expected)
    }

    /// Runs one command through the front door, and shows it as it would be typed.
    fn stepseal_as(
        &mut self,
        executor: &str,
        principal: &str,
        words: &[&str],
        expected: u8,
    ) -> Result<(), Failure> {
        self.commands += 1;
        self.now += TimeDelta::seconds(20);
        let mut environment = self.environment.clone();
        // The caller's own settings have no say in the demo.
        environment
            .vars
            .retain(|name, _| !name.starts_with("STEPSEAL_") && !name.starts_with("GIT"));
        let set = [
            ("STEPSEAL_CONFIG", String::new()),
            ("STEPSEAL_NOW", self.now.to_rfc3339_opts(SecondsFormat::Millis, true)),
            ("STEPSEAL_SEED", format!("demo {}", self.commands)),
            ("STEPSEAL_EXECUTOR", executor.to_owned()),
            ("STEPSEAL_PRINCIPAL", principal.to_owned()),
            ("STEPSEAL_EXECUTOR_KIND", "agent".to_owned()),
            ("STEPSEAL_LEDGER_DURABILITY", "process".to_owned()),
        ];
        environment.vars.extend(set.map(|(name, value)| (name.to_owned(), value)));
        environment.dir.clone_from(&self.dir);
        // Columns as on a terminal, and nothing drawn on the one there may be.
        environment.stdout_terminal = true;
        environment.stderr_terminal = false;
        environment.size = None;
        let mut argv: Vec<OsString> = vec!["stepseal".into()];
        argv.extend(words.iter().map(OsString::from));
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let color = if self.ui.err_color() { "always" } else { "never" };
        argv.extend(["--color".into(), color.into()]);
        let code = super::super::run(argv, environment, &mut out, &mut err);
        if !self.ui.json && !self.ui.quiet {
            let typed: Vec<String> = std::iter::once("stepseal")
                .chain(words.iter().copied())
                .map(str::to_owned)
                .collect();
            let prompt = format!("\n{executor}$ {}\n", shell(&typed));
            self.ui.data(&prompt);
            self.ui.data(&String::from_utf8_lossy(&out));
            self.ui.data(&String::from_utf8_lossy(&err));
            if code != 0 {
                self.ui.data(&format!("[exit {code}]\n"));
            }
        }
        if code == expected {
            return Ok(());
        }
        let what = String::from_utf8_lossy(&err).into_owned();
        let message = format!("`{}` ended with {code}, not {expected}: {what}", words.join(" "));
        Err(Failure::new(Exit::Internal, "demo", message))
    }

    /// Changes one byte of one sealed artifact and commits it, as an outsider with git would.
    fn tamper(&mut self) -> Result<(), Failure> {
        let listed = self.git(&["ls-tree", "-r", "--name-only", "stepseal-ledger"])?;
        let path = listed
            .lines()
            .find(|path| path.ends_with(VICTIM))
            .ok_or_else(|| failed("finding the artifact", &VICTIM))?
            .to_owned();
        let text = self.git(&["show", &format!("stepseal-ledger:{path}")])?;
        let changed = self.dir.join("changed.json");
        std::fs::write(&changed, text.replacen("no warnings", "no warningz", 1))
            .map_err(|error| failed("writing the change", &error))?;
        let blob = self.git(&["hash-object", "-w", "changed.json"])?;
        drop(std::fs::remove_file(&changed));
        let index = ("GIT_INDEX_FILE".to_owned(), ".git/outsider-index".to_owned());
        let with = std::slice::from_ref(&index);
        self.git_with(&["read-tree", "stepseal-ledger"], with)?;
        let entry = format!("100644,{},{path}", blob.trim());
        self.git_with(&["update-index", "--cacheinfo", &entry], with)?;
        let tree = self.git_with(&["write-tree"], with)?;
        drop(std::fs::remove_file(self.dir.join(".git/outsider-index")));
        let words =
            ["commit-tree", tree.trim(), "-p", "stepseal-ledger", "-m", "tidy up an artifact"];
        let commit = self.git(&words)?;
        self.git(&["update-ref", "refs/heads/stepseal-ledger", commit.trim()])?;
        if !self.ui.json && !self.ui.quiet {
            self.ui.data(&format!(
                "\nsomebody$ one byte of {path} is now another, committed with git\n"
            ));
        }
        Ok(())
    }

    fn git(&self, words: &[&str]) -> Result<String, Failure> {
        self.git_with(words, &[])
    }

    fn git_with(&self, words: &[&str], env: &[(String, String)]) -> Result<String, Failure> {
        let argv: Vec<String> =
            std::iter::once("git").chain(words.iter().copied()).map(str::to_owned).collect();
        let date = format!("{} +0000", self.now.timestamp());
        let mut all: Vec<(String, String)> = vec![
            ("LC_ALL".into(), "C".into()),
            ("GIT_TERMINAL_PROMPT".into(), "0".into()),
            ("GIT_AUTHOR_DATE".into(), date.clone()),
            ("GIT_COMMITTER_DATE".into(), date),
            ("GIT_AUTHOR_NAME".into(), "somebody".into()),
            ("GIT_AUTHOR_EMAIL".into(), "somebody@localhost".into()),
            ("GIT_COMMITTER_NAME".into(), "somebody".into()),
            ("GIT_COMMITTER_EMAIL".into(), "somebody@localhost".into()),
        ];
        all.extend(env.iter().cloned());
        let program = Program {
            argv: &argv,
            dir: Path::new(&self.dir),
            env: &all,
            timeout: Duration::from_secs(60),
            keep: 4 * 1024 * 1024,
            interruptible: false,
        };
        let ended = process::run(&program).map_err(|error| failed("starting git", &error))?;
        if ended.exit_code != 0 {
            return Err(failed(&shell(&argv), &ended.output.trim()));
        }
        Ok(ended.output)
    }
}
