//! `init`: make the ledger, or adopt the one that is there.
#![expect(clippy::disallowed_methods, reason = "takes a half-written stepseal.toml away")]

use std::io::Write as _;

use super::super::Reply;
use super::super::args::InitArgs;
use super::super::error::{Failure, Next, Recorded, next};
use super::super::session::Session;
use super::super::ui::{count, said};
use super::super::view::InitView;
use crate::forge;
use crate::ledger::{Founded, LedgerError, Trouble};

pub(super) fn run(args: &InitArgs, session: &Session) -> Result<Reply, Failure> {
    let located = session.locate()?;
    let proposed = Some(session.config.text("ledger.remote").to_owned());
    let remote = args.remote.clone().or(proposed).filter(|remote| !remote.is_empty());
    if let Some(remote) = remote.as_deref().filter(|remote| !located.has_remote(remote)) {
        let trouble = Trouble::NoRemote;
        let said = format!("git knows no remote {}", remote.escape_debug());
        let error = LedgerError::Remote { remote: remote.to_owned(), trouble, said };
        return Err(session.ledger_failure(&error));
    }
    let settings = session.settings(&located);
    let moment = session.moment(&located)?;
    let work_dir = located.work_dir().map(std::path::Path::to_path_buf);
    let branch = args
        .branch
        .clone()
        .or_else(|| located.branch())
        .unwrap_or_else(|| session.config.text("ledger.branch").to_owned());
    check_branch(&branch)?;
    let (ledger, founded) =
        located.init(&branch, remote.as_deref(), settings, &moment).map_err(|error| {
            let mut failure = session.ledger_failure(&error);
            if failure.recorded == Recorded::Unknown {
                failure.next = vec![Next { argv: session.asker().whole, note: None }];
            }
            failure
        })?;
    // The ledger is there: a proposal that cannot be written is worth a warning.
    let files = match (&work_dir, args.github) {
        (Some(dir), true) => github(dir),
        (None, true) => Err("workflows need a work tree to be written to".to_owned()),
        (_, false) => Ok(Vec::new()),
    };
    let (files, no_files) = match files {
        Ok(files) => (files, None),
        Err(why) => (Vec::new(), Some(why)),
    };
    let proposed = work_dir.map(|dir| dir.join("stepseal.toml"));
    let wrote =
        proposed.as_deref().map(|path| write_config(path, ledger.branch(), ledger.remote()));
    let (wrote, not_written) = match wrote {
        Some(Err(why)) => (false, Some(why)),
        Some(Ok(wrote)) => (wrote, None),
        None => (false, None),
    };
    let (outcome, from, items) = match &founded {
        Founded::Created => ("created", None, 0),
        Founded::Existed { items } => ("existed", None, *items),
        Founded::Adopted { from, items } => ("adopted", Some(from.clone()), *items),
    };
    let mut reply = Reply::new(
        "init",
        &InitView {
            branch: branch.clone(),
            remote: ledger.remote().map(str::to_owned),
            outcome: outcome.into(),
            adopted_from: from.clone(),
            items,
            wrote_config: wrote,
            wrote: files.iter().filter(|(_, new)| *new).map(|(path, _)| (*path).into()).collect(),
        },
    );
    reply.recorded = outcome != "existed";
    reply.warnings.extend(not_written.into_iter().chain(no_files).map(|why| (why, None)));
    for (path, new) in &files {
        reply.lines.push(said(if *new { "created" } else { "exists" }, *path));
    }
    if wrote {
        reply.lines.push(said("created", "stepseal.toml"));
    }
    match founded {
        Founded::Created => {
            reply.lines.push(said(
                "created",
                format!(
                    "branch {branch} (never checked out; your files, index and HEAD stay as they are)"
                ),
            ));
        }
        Founded::Existed { items } => {
            let both = if wrote { "" } else { "stepseal.toml, " };
            let count = count(items, "item");
            let rest = format!("{both}{branch} (format 1, {count}): nothing to do");
            reply.lines.push(said("exists", rest));
        }
        Founded::Adopted { from, items } => {
            let fetched = if ledger.remote().is_some() { "" } else { ", as it was last fetched" };
            let rest = format!("branch {branch} from {from}{fetched} ({})", count(items, "item"));
            reply.lines.push(said("adopted", rest));
            if let (None, Some((name, _))) = (ledger.remote(), from.split_once('/')) {
                let text = "what is recorded here stays in this clone: to share it,";
                let command = format!("{text} stepseal init --remote {name}");
                reply.warnings.push((command, None));
            }
        }
    }
    if let Some(remote) = ledger.remote() {
        let rest = format!("through {remote}: an act counts once {remote} has accepted it");
        reply.lines.push(said("shared", rest));
    }
    if items == 0 {
        reply.next.push(next(["delegate", "--plan", "FILE", "--dry-run"]));
    } else if outcome != "existed" {
        reply.next.push(next(["verify"]));
    }
    Ok(reply)
}

/// Writes the workflows: each path, and whether it is new. What is there is left alone.
fn github(dir: &std::path::Path) -> Result<Vec<(&'static str, bool)>, String> {
    let mut files = Vec::new();
    for (path, text) in forge::FILES {
        let whole = dir.join(path);
        let failed = |error: std::io::Error| format!("{path} was not written: {error}");
        if let Some(folder) = whole.parent() {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        let file = std::fs::OpenOptions::new().write(true).create_new(true).open(&whole);
        match file.and_then(|mut file| file.write_all(text.as_bytes())) {
            Ok(()) => files.push((path, true)),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                files.push((path, false));
            }
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(files)
}

fn check_branch(branch: &str) -> Result<(), Failure> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._/-".contains(c);
    let good = !branch.is_empty()
        && branch.chars().all(allowed)
        && branch.starts_with(|c: char| c.is_ascii_alphanumeric())
        && !branch.contains("..")
        && !branch.contains("//")
        && !branch.ends_with(['/', '.'])
        && !branch.split('/').any(|part| part.ends_with(".lock") || part.starts_with('.'))
        && branch != "HEAD";
    if good {
        return Ok(());
    }
    Err(Failure::usage(format!("`{}` is no branch name", branch.escape_debug())))
}

/// Proposes the ledger to new clones; an existing file is left alone.
fn write_config(
    path: &std::path::Path,
    branch: &str,
    remote: Option<&str>,
) -> Result<bool, String> {
    let mut text = format!(
        "# stepseal.toml: how this clone uses stepseal. Every key may be left out. Policy (review, \
         gates, roles, who may integrate) is not here: it lives in the ledger.\n\
         [ledger]\n\
         branch = \"{branch}\"      # proposed to new clones; the truth is the common git config \
         (stepseal.branch), written by init\n"
    );
    if let Some(remote) = remote {
        text.push_str(&format!("remote = \"{remote}\"\n"));
    }
    let file = std::fs::OpenOptions::new().write(true).create_new(true).open(path);
    let written = file.and_then(|mut file| {
        file.write_all(text.as_bytes()).inspect_err(|_| {
            // Half a file would be read from now on.
            drop(std::fs::remove_file(path));
        })
    });
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(format!(
            "{} was not written: {error}; it only proposes the ledger to new clones",
            path.display()
        )),
    }
}
