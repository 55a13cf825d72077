//! `config list`: every setting that holds, and where it comes from.

use super::super::Reply;
use super::super::args::ConfigCommand;
use super::super::error::Failure;
use super::super::session::Session;
use super::super::ui::Line;
use super::super::view::{ConfigView, SettingView};
use crate::config::{KEYS, Key, Kind};

pub(super) fn run(command: &ConfigCommand, session: &Session) -> Result<Reply, Failure> {
    let ConfigCommand::List(args) = command;
    let settings: Vec<SettingView> = session
        .config
        .all()
        .map(|(key, value, origin)| SettingView {
            key: key.full(),
            value: value.to_owned(),
            origin: origin.to_string(),
            variable: key.variable(),
        })
        .collect();
    let mut reply = Reply::new("config", &ConfigView { settings: settings.clone() });
    if args.defaults {
        reply.raw = Some(defaults());
        return Ok(reply);
    }
    for setting in settings {
        let mut cells = vec![setting.key.clone(), setting.value.clone()];
        if args.origin {
            cells.push(setting.origin);
        }
        reply.quiet.push_str(&format!("{}\t{}\n", setting.key, setting.value));
        reply.lines.push(Line::Row(cells));
    }
    Ok(reply)
}

/// Every key a repository's file may have, with its default, as that file.
fn defaults() -> String {
    let mut text = String::from(
        "# stepseal.toml: how this clone uses stepseal. Every key may be left out. Policy (review, \
         gates, roles, who may integrate) is not here: it lives in the ledger.\n",
    );
    let mut section = "";
    for key in KEYS.iter().filter(|key| !key.personal) {
        if key.section != section {
            if !section.is_empty() {
                text.push('\n');
            }
            section = key.section;
            text.push_str(&format!("[{section}]\n"));
        }
        let line = format!("{} = {}", key.name, literal(key));
        if key.about.is_empty() {
            text.push_str(&format!("{line}\n"));
        } else {
            text.push_str(&format!("{line:31} # {}\n", key.about));
        }
    }
    text
}

fn literal(key: &Key) -> String {
    match key.kind {
        Kind::Switch | Kind::Number => key.default.to_owned(),
        Kind::Text | Kind::Word(_) | Kind::Duration | Kind::Size => format!("\"{}\"", key.default),
    }
}
