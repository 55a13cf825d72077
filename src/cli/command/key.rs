//! `key add`, `key revoke`, `key list`: which keys may sign seals (L5).
#![expect(clippy::disallowed_methods, reason = "reads the key file the caller names")]

use std::io::Read as _;

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};

use super::super::Reply;
use super::super::args::{KeyAddArgs, KeyCommand, KeyRevokeArgs, KeyRoleArg};
use super::super::error::{Failure, next};
use super::super::exit::Exit;
use super::super::session::{Act, Code, Session};
use super::super::ui::{Line, plain, said, short};
use super::super::view::{KeyChangeView, KeyListView, KeyView};
use crate::artifact::{self, BadKey};
use crate::domain::decide::{AddKey, Decided, KeyAsk, RevokeKey, Unchanged};
use crate::domain::event::{Event, EventData, KeyRole};
use crate::domain::id::{Fingerprint, SshKey};
use crate::domain::keys::{Key, Standing};
use crate::ledger::{LedgerError, Receipt};

/// The most bytes a public key is looked for in.
const KEY_FILE: u64 = 64 * 1024;

pub(super) fn run(command: &KeyCommand, session: &Session) -> Result<Reply, Failure> {
    match command {
        KeyCommand::Add(args) => add(args, session),
        KeyCommand::Revoke(args) => revoke(args, session),
        KeyCommand::List => list(session),
    }
}

fn add(args: &KeyAddArgs, session: &Session) -> Result<Reply, Failure> {
    let not_after = args.not_after.as_deref().map(until).transpose()?;
    let principal = args.speaks_for.as_deref().map(str::parse).transpose()?;
    let given = args.key.as_deref().map(|given| read(given, session)).transpose()?;
    let act = session.act(Code::None)?;
    let (public_key, fingerprint) = match given {
        Some(given) => given,
        None => {
            let pen = session.pen()?;
            (pen.public_key().clone(), pen.fingerprint().clone())
        }
    };
    let ask = KeyAsk::Add(AddKey {
        fingerprint,
        public_key,
        principal: principal.unwrap_or_else(|| act.moment.actor.principal.clone()),
        role: args.role.map_or(KeyRole::Owner, role),
        not_after,
        reason: args.reason.clone(),
    });
    change(&ask, &act, args.dry_run, session)
}

fn revoke(args: &KeyRevokeArgs, session: &Session) -> Result<Reply, Failure> {
    let act = session.act(Code::None)?;
    let ask = KeyAsk::Revoke(RevokeKey {
        key: args.key.clone(),
        reason: args.reason.clone(),
        compromised_since: args.compromised_since,
    });
    change(&ask, &act, args.dry_run, session)
}

fn role(given: KeyRoleArg) -> KeyRole {
    match given {
        KeyRoleArg::Owner => KeyRole::Owner,
        KeyRoleArg::Executor => KeyRole::Executor,
        KeyRoleArg::Collector => KeyRole::Collector,
    }
}

/// Asks, and says what became of it.
fn change(ask: &KeyAsk, act: &Act, dry_run: bool, session: &Session) -> Result<Reply, Failure> {
    let fail = |error: LedgerError| session.ledger_failure(&error);
    if dry_run {
        let snapshot = act.ledger.snapshot().map_err(fail)?;
        let mut reply = match snapshot.decide_key(ask, &act.moment).map_err(fail)? {
            Decided::Facts(facts) => changed(&facts, "dry-run"),
            Decided::Unchanged(unchanged) => unchanged_reply(&unchanged),
        };
        reply.aside.push(Line::Text("dry run: nothing was recorded".into()));
        return Ok(reply);
    }
    let first = act.ledger.snapshot().map_err(fail)?.keys().is_none_or(|keys| keys.is_empty());
    let receipt: Receipt<Option<Unchanged>> = act
        .ledger
        .transact(&act.moment, |snapshot| Ok(snapshot.decide_key(ask, &act.moment)?.into()))
        .map_err(fail)?;
    if let Some(unchanged) = &receipt.value {
        return Ok(unchanged_reply(unchanged));
    }
    let signed_by = session.pen().ok().map(|pen| pen.fingerprint().clone());
    let facts: Vec<Event> = receipt.events.into_iter().map(|sealed| sealed.event).collect();
    let word = if matches!(ask, KeyAsk::Add(_)) { "added" } else { "revoked" };
    let mut reply = changed(&facts, word);
    reply.data["signedBy"] = serde_json::json!(signed_by);
    reply.data["commit"] = serde_json::json!(receipt.commit);
    reply.recorded = true;
    if let Some(signed_by) = signed_by {
        let own = if first { ", the key itself: the first one stands for itself" } else { "" };
        reply.lines.push(said("signed", format!("by {signed_by}{own}")));
    }
    if first {
        if session.config.text("seal.sign") != "ssh" {
            reply.lines.push(said(
                "note",
                "other seals are signed where seal.sign is \"ssh\": [seal] in stepseal.toml, or STEPSEAL_SEAL_SIGN",
            ));
        }
        reply.next.push(next(["verify", "--require-signatures"]));
    } else {
        reply.next.push(next(["key", "list"]));
    }
    Ok(reply)
}

fn changed(facts: &[Event], outcome: &str) -> Reply {
    let mut view = KeyChangeView::of(None);
    let mut lines = Vec::new();
    for fact in facts {
        if let EventData::ActorKeyAdded(data) = &fact.data {
            let until = data.not_after.map_or_else(String::new, |until| {
                format!(", until {}", until.format("%Y-%m-%d %H:%M:%S UTC"))
            });
            let verb = if outcome == "dry-run" { "would add" } else { "added" };
            let rest = format!(
                "{} for {} as {}{until}",
                data.fingerprint,
                data.principal,
                data.role.word()
            );
            lines.push(said(verb, rest));
            view = KeyChangeView {
                public_key: Some(data.public_key.clone()),
                principal: Some(data.principal.clone()),
                role: Some(data.role.word().into()),
                not_after: data.not_after,
                ..KeyChangeView::of(Some(data.fingerprint.clone()))
            };
        } else if let EventData::ActorKeyRevoked(data) = &fact.data {
            let verb = if outcome == "dry-run" { "would revoke" } else { "revoked" };
            lines.push(said(verb, plain(&fact.outcome.summary)));
            view = KeyChangeView::of(Some(data.fingerprint.clone()));
        }
    }
    view.outcome = outcome.into();
    let mut reply = Reply::new("key", &view);
    reply.quiet = view.fingerprint.map_or_else(String::new, |key| format!("{key}\n"));
    reply.lines = lines;
    reply
}

fn unchanged_reply(unchanged: &Unchanged) -> Reply {
    let (key, rest) = match unchanged {
        Unchanged::KeyAdded { fingerprint } => (Some(fingerprint), "was added before"),
        Unchanged::KeyRevoked { fingerprint } => (Some(fingerprint), "was revoked before"),
        _ => (None, "this request was answered before"),
    };
    let rest = match key {
        Some(key) => format!("{key} {rest}: nothing recorded"),
        None => format!("{rest}: nothing recorded"),
    };
    let view = KeyChangeView { outcome: "unchanged".into(), ..KeyChangeView::of(key.cloned()) };
    let mut reply = Reply::new("key", &view);
    reply.quiet = key.map_or_else(String::new, |key| format!("{key}\n"));
    reply.lines.push(said("unchanged", rest));
    reply.next.push(next(["key", "list"]));
    reply
}

fn list(session: &Session) -> Result<Reply, Failure> {
    let ledger = session.ledger()?;
    let snapshot = ledger.snapshot().map_err(|error| session.ledger_failure(&error))?;
    let now = session.now();
    let own = session.pen().ok().map(|pen| pen.fingerprint().clone());
    let mut keys: Vec<(&Fingerprint, &Key, Standing)> = snapshot
        .keys()
        .into_iter()
        .flat_map(|keys| keys.all().map(|(name, key)| (name, key, keys.standing(key, now))))
        .collect();
    keys.sort_by_key(|(name, key, _)| (key.added.seal, (*name).clone()));
    let mut reply = Reply::new(
        "key-list",
        &KeyListView {
            keys: keys.iter().map(|(name, key, standing)| view(name, key, *standing)).collect(),
            own: own.clone(),
            signing: session.config.text("seal.sign") == "ssh",
        },
    );
    for (name, key, standing) in &keys {
        let state = match (&key.revoked, key.not_after) {
            (Some(revoked), _) => format!("revoked by seal {}", revoked.place.seal),
            (None, Some(until)) => {
                let word = if *standing == Standing::Expired { "expired" } else { "valid until" };
                format!("{word} {}", until.format("%Y-%m-%d"))
            }
            (None, None) => standing.word().to_owned(),
        };
        let about = match (&key.revoked, own.as_ref() == Some(*name)) {
            (Some(revoked), _) => short(&revoked.reason, 60),
            (None, true) => format!("since seal {}, this clone's", key.added.seal),
            (None, false) => format!("since seal {}", key.added.seal),
        };
        reply.lines.push(Line::Row(vec![
            name.to_string(),
            key.principal.to_string(),
            key.role.word().to_owned(),
            state,
            about,
        ]));
        reply.quiet.push_str(&format!(
            "{name}\t{}\t{}\t{}\n",
            key.principal,
            key.role.word(),
            standing.word()
        ));
    }
    if keys.is_empty() {
        reply.lines.push(Line::Text("no keys: nothing in this ledger is signed".into()));
        reply.next.push(next(["key", "add", "--self", "--reason", "…"]));
    } else if own.as_ref().is_some_and(|own| keys.iter().all(|(name, ..)| *name != own)) {
        let own = session.pen()?.public_key();
        let words = ["key", "add", own.as_str(), "--for", "ID", "--role", "executor"];
        let ask = next(words).with(["--reason", "…"]);
        reply.next.push(ask.note("this clone's key; for an owner to type"));
    }
    Ok(reply)
}

impl KeyChangeView {
    fn of(fingerprint: Option<Fingerprint>) -> Self {
        Self {
            outcome: String::new(),
            fingerprint,
            public_key: None,
            principal: None,
            role: None,
            not_after: None,
            signed_by: None,
            commit: None,
        }
    }
}

fn view(fingerprint: &Fingerprint, key: &Key, standing: Standing) -> KeyView {
    let revoked = key.revoked.as_ref();
    KeyView {
        fingerprint: fingerprint.clone(),
        public_key: key.public_key.clone(),
        principal: key.principal.clone(),
        role: key.role.word().into(),
        state: standing.word().into(),
        not_after: key.not_after,
        added_seal: key.added.seal,
        added_at: key.added.at,
        added_by: key.added.by.clone(),
        revoked_seal: revoked.map(|revoked| revoked.place.seal),
        revoked_at: revoked.map(|revoked| revoked.place.at),
        revoked_by: revoked.map(|revoked| revoked.place.by.clone()),
        reason: revoked.map(|revoked| revoked.reason.clone()),
        compromised_since: revoked.and_then(|revoked| revoked.compromised_since),
    }
}

/// A day counts to its last moment, in UTC.
fn until(text: &str) -> Result<DateTime<Utc>, Failure> {
    if let Ok(day) = text.parse::<NaiveDate>()
        && let Some(end) = NaiveTime::from_hms_milli_opt(23, 59, 59, 999)
    {
        return Ok(day.and_time(end).and_utc());
    }
    DateTime::parse_from_rfc3339(text).map(|at| at.with_timezone(&Utc)).map_err(|_| {
        Failure::usage(format!(
            "--not-after takes 2027-06-30 or 2027-06-30T12:00:00Z, not `{}`",
            text.escape_debug()
        ))
    })
}

/// A public key as it was given: itself, `-`, or a file.
fn read(given: &str, session: &Session) -> Result<(SshKey, Fingerprint), Failure> {
    let literal = given.split_once(' ').is_some_and(|(algorithm, _)| {
        ["ssh-", "ecdsa-", "sk-"].iter().any(|start| algorithm.starts_with(start))
    });
    let path = session.environment.dir.join(given);
    let text = match (literal, given) {
        (true, _) => Ok(given.to_owned()),
        (false, "-") => {
            let mut text = String::new();
            std::io::stdin().take(KEY_FILE).read_to_string(&mut text).map(|_| text)
        }
        (false, _) => std::fs::File::open(&path).and_then(|file| {
            let mut text = String::new();
            file.take(KEY_FILE).read_to_string(&mut text).map(|_| text)
        }),
    };
    let place = plain(given);
    let text = text.map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            Failure::new(Exit::Usage, "invalid", format!("there is no file {place}"))
                .note("a public key is given as its file, as itself, or on stdin with -")
        }
        _ => Failure::usage(format!("cannot read {place}: {error}")),
    })?;
    artifact::public_key(&text).map_err(|why| {
        let failure = Failure::usage(format!("{}: {why}", short(&place, 60)));
        match why {
            BadKey::Private => failure.then(
                next(["key", "add", &format!("{given}.pub")]).note("the other options as before"),
            ),
            BadKey::Algorithm { .. } => failure.then(super::super::error::Next {
                argv: ["ssh-keygen", "-t", "ed25519"].map(str::to_owned).to_vec(),
                note: Some("makes one that can".into()),
            }),
            BadKey::NotAKey | BadKey::Several(_) => failure,
        }
    })
}
