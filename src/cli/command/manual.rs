//! `completions` and `man`: what a shell and `man` need to know of the program. Neither needs a
//! repository, nor a configuration that can be read.
#![expect(clippy::disallowed_methods, reason = "writes the pages where the caller says")]

use std::path::Path;

use clap_mangen::Man;

use super::super::Reply;
use super::super::args::{CompletionsArgs, ManArgs};
use super::super::error::Failure;
use super::super::exit::Exit;
use super::super::session::Session;
use super::super::suggest;
use super::super::ui::said;
use super::super::view::FilesView;

/// Prints what makes a shell ask the program for suggestions.
pub(super) fn completions(args: &CompletionsArgs) -> Result<Reply, Failure> {
    let script = suggest::registration(&args.shell).ok_or_else(|| {
        Failure::usage(format!("`{}` is no shell it knows", args.shell.escape_debug()))
    })?;
    let mut reply = Reply::new("completions", &());
    reply.raw = Some(script);
    Ok(reply)
}

/// Prints the manual's page, or writes one for each verb.
pub(super) fn man(args: &ManArgs, session: &Session) -> Result<Reply, Failure> {
    let pages = pages();
    let Some(dir) = &args.output else {
        let mut reply = Reply::new("man", &());
        reply.raw = pages.into_iter().next().map(|(_, page)| page);
        return Ok(reply);
    };
    let dir = session.environment.dir.join(dir);
    let failed = |path: &Path, error: &std::io::Error| {
        let message = format!("cannot write {}: {error}", path.display());
        Failure::new(Exit::Outside, "cannot-write", message)
    };
    std::fs::create_dir_all(&dir).map_err(|error| failed(&dir, &error))?;
    let mut files = Vec::new();
    for (name, page) in pages {
        let path = dir.join(&name);
        std::fs::write(&path, page).map_err(|error| failed(&path, &error))?;
        files.push(name);
    }
    let shown = dir.display().to_string();
    let count = files.len();
    let mut reply = Reply::new("man-files", &FilesView { dir: shown.clone(), files });
    reply.lines.push(said("wrote", format!("{count} pages to {shown}")));
    Ok(reply)
}

/// Every page by its file's name, the program's own first.
fn pages() -> Vec<(String, String)> {
    let mut tree = super::super::tree().disable_help_subcommand(true);
    tree.build();
    let mut pages = Vec::new();
    let mut commands = vec![tree];
    while let Some(command) = commands.pop() {
        let below: Vec<clap::Command> = command.get_subcommands().cloned().collect();
        commands.extend(below.into_iter().rev());
        let source = format!("stepseal {}", env!("CARGO_PKG_VERSION"));
        let man = Man::new(command).source(source).manual("stepseal");
        let mut page = Vec::new();
        // Writing to memory does not fail.
        if man.render(&mut page).is_ok() {
            // Examples keep their spaces where lines are not justified.
            let page = String::from_utf8_lossy(&page).replace(".SH EXTRA\n", ".SH NOTES\n.ad l\n");
            pages.push((man.get_filename(), page));
        }
    }
    pages
}
