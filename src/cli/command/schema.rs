//! `schema`: the JSON Schemas of everything written and answered.
#![expect(clippy::disallowed_methods, reason = "writes the schemas where the caller says")]

use super::super::Reply;
use super::super::args::SchemaArgs;
use super::super::error::{Failure, next};
use super::super::exit::Exit;
use super::super::session::Session;
use super::super::ui::{Line, said};
use super::super::view::SchemaListView;
use crate::artifact::encode;
use crate::domain::workflow::nearest;

pub(super) fn run(args: &SchemaArgs, session: &Session) -> Result<Reply, Failure> {
    let all = super::super::schemas();
    if let Some(dir) = &args.all {
        let dir = session.environment.dir.join(dir);
        let failed = |error: std::io::Error| {
            let message = format!("cannot write {}: {error}", dir.display());
            Failure::new(Exit::Outside, "cannot-write", message)
        };
        std::fs::create_dir_all(&dir).map_err(failed)?;
        for (name, schema) in &all {
            std::fs::write(dir.join(format!("{name}.schema.json")), encode(schema))
                .map_err(failed)?;
        }
        let names: Vec<String> = all.keys().cloned().collect();
        let mut reply = Reply::new("schema", &SchemaListView { schemas: names.clone() });
        reply.lines.push(said("wrote", format!("{} schemas to {}", names.len(), dir.display())));
        return Ok(reply);
    }
    match &args.name {
        Some(name) => {
            let Some(schema) = all.get(name) else {
                let mut failure = Failure::new(
                    Exit::NotFound,
                    "unknown-schema",
                    format!("there is no schema {name}"),
                );
                if let Some(near) = nearest(name, all.keys(), String::as_str) {
                    failure = failure.note(format!("did you mean {near}?"));
                }
                return Err(failure.then(next(["schema"])));
            };
            let mut reply = Reply::new("schema", &());
            reply.raw = String::from_utf8(encode(schema)).ok();
            Ok(reply)
        }
        None => {
            let names: Vec<String> = all.keys().cloned().collect();
            let mut reply = Reply::new("schema", &SchemaListView { schemas: names.clone() });
            reply.quiet = names.iter().map(|name| format!("{name}\n")).collect();
            reply.lines = names.into_iter().map(Line::Text).collect();
            Ok(reply)
        }
    }
}
