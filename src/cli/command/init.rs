//! `init`: make the ledger, or adopt the one that is there.
#![expect(clippy::disallowed_methods, reason = "takes a half-written stepseal.toml away")]

use std::io::Write as _;

use super::super::Reply;
use super::super::args::InitArgs;
use super::super::error::{Failure, Next, Recorded, next};
use super::super::exit::Exit;
use super::super::session::Session;
use super::super::ui::said;
use super::super::view::InitView;
use crate::ledger::Founded;

pub(super) fn run(args: &InitArgs, session: &Session) -> Result<Reply, Failure> {
    if let Some(remote) = args.remote.as_ref().filter(|remote| !remote.is_empty()) {
        let message = format!("--remote {remote}: this version does not have a shared remote yet");
        return Err(Failure::new(Exit::Usage, "config", message));
    }
    let located = session.locate()?;
    let settings = session.settings(&located);
    let moment = session.moment(&located)?;
    let work_dir = located.work_dir().map(std::path::Path::to_path_buf);
    let branch = args
        .branch
        .clone()
        .or_else(|| located.branch())
        .unwrap_or_else(|| session.config.text("ledger.branch").to_owned());
    check_branch(&branch)?;
    let (ledger, founded) = located.init(&branch, settings, &moment).map_err(|error| {
        let mut failure = session.ledger_failure(&error);
        if failure.recorded == Recorded::Unknown {
            failure.next = vec![Next { argv: session.asker().whole, note: None }];
        }
        failure
    })?;
    // The ledger is there: a proposal that cannot be written is worth a warning.
    let proposed = work_dir.map(|dir| dir.join("stepseal.toml"));
    let wrote = proposed.as_deref().map(|path| write_config(path, ledger.branch()));
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
            outcome: outcome.into(),
            adopted_from: from.clone(),
            items,
            wrote_config: wrote,
        },
    );
    reply.recorded = outcome != "existed";
    reply.warnings.extend(not_written.map(|why| (why, None)));
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
            let count = if items == 1 { "1 item".into() } else { format!("{items} items") };
            let rest = format!("{both}{branch} (format 1, {count}): nothing to do");
            reply.lines.push(said("exists", rest));
        }
        Founded::Adopted { from, items } => {
            let rest =
                format!("branch {branch} from {from}, as it was last fetched ({items} items)");
            reply.lines.push(said("adopted", rest));
            reply.warnings.push((
                "this version does not share a ledger: what is recorded here stays in this clone"
                    .into(),
                None,
            ));
        }
    }
    if items == 0 {
        reply.next.push(next(["delegate", "--plan", "FILE", "--dry-run"]));
    } else if outcome != "existed" {
        reply.next.push(next(["verify"]));
    }
    Ok(reply)
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
fn write_config(path: &std::path::Path, branch: &str) -> Result<bool, String> {
    let text = format!(
        "# stepseal.toml: how this clone uses stepseal. Every key may be left out. Policy (review, \
         gates, roles, who may integrate) is not here: it lives in the ledger.\n\
         [ledger]\n\
         branch = \"{branch}\"      # proposed to new clones; the truth is the common git config \
         (stepseal.branch), written by init\n"
    );
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
