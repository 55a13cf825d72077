//! `policy set`, `policy unset`, `policy show`, `policy log`: the rules of the whole ledger
//! (FR-022).

use super::super::Reply;
use super::super::args::{PolicyCommand, PolicySetArgs, PolicyShowArgs, PolicyUnsetArgs};
use super::super::error::{Failure, next, refusal};
use super::super::session::{Code, Session};
use super::super::ui::{Line, clock, plain, said, short};
use super::super::view::{
    PolicyChangeView, PolicyEntry, PolicyLogView, PolicyShowView, PolicyView,
};
use crate::domain::decide::{PolicyKey, ReviewPolicy, SetPolicy, Unchanged};
use crate::domain::event::{Event, EventData, PolicyChanged};
use crate::domain::state::LedgerState;
use crate::ledger::{LedgerError, Receipt, Sealed, Snapshot};

pub(super) fn run(command: &PolicyCommand, session: &Session) -> Result<Reply, Failure> {
    match command {
        PolicyCommand::Set(args) => set(args, session),
        PolicyCommand::Unset(args) => unset(args, session),
        PolicyCommand::Show(args) => show(args, session),
        PolicyCommand::Log(args) => log(args, session),
    }
}

fn set(args: &PolicySetArgs, session: &Session) -> Result<Reply, Failure> {
    let ask = SetPolicy {
        key: args.key.clone(),
        value: args.value.clone(),
        reason: args.reason.clone(),
        impact: args.impact.clone(),
    };
    change(&ask, session)
}

fn unset(args: &PolicyUnsetArgs, session: &Session) -> Result<Reply, Failure> {
    let ask = SetPolicy {
        key: args.key.clone(),
        value: Vec::new(),
        reason: args.reason.clone(),
        impact: args.impact.clone(),
    };
    change(&ask, session)
}

fn known(key: &str, session: &Session) -> Result<PolicyKey, Failure> {
    PolicyKey::parse(key).map_err(|unknown| refusal(&unknown, &session.asker()))
}

/// Asks, and says what became of it.
fn change(ask: &SetPolicy, session: &Session) -> Result<Reply, Failure> {
    let act = session.act(Code::None)?;
    let fail = |error: LedgerError| session.ledger_failure(&error);
    let receipt: Receipt<Option<Unchanged>> = act
        .ledger
        .transact(&act.moment, |snapshot| Ok(snapshot.decide_policy(ask, &act.moment)?.into()))
        .map_err(fail)?;
    let key = known(&ask.key, session)?;
    let snapshot = act.ledger.snapshot().map_err(fail)?;
    let state = snapshot.ledger().map_err(fail)?;
    let now = in_force(&key, state);
    let fresh = receipt.value.is_none();
    let outcome = match (fresh, ask.value.is_empty()) {
        (false, _) => "unchanged",
        (true, true) => "unset",
        (true, false) => "set",
    };
    let changed = receipt.events.iter().find_map(changed).map(|(_, data)| data.value.clone());
    let view = PolicyChangeView {
        key: key.name(),
        outcome: outcome.into(),
        value: changed.unwrap_or_else(|| key.set(state).to_vec()),
        in_force: now.clone(),
        commit: receipt.commit.clone(),
    };
    let mut reply = Reply::new("policy", &view);
    reply.recorded = fresh;
    reply.quiet = format!("{}\t{}\n", key.name(), now.join(" "));
    let words = value_words(&key, &now);
    match (&receipt.value, ask.value.is_empty()) {
        (Some(Unchanged::Policy { .. }), false) => {
            let rest = format!("{} is {words} already: nothing recorded", key.name());
            reply.lines.push(said("unchanged", rest));
        }
        (Some(Unchanged::Policy { .. }), true) => {
            let rest = format!("{} was not set ({words}): nothing recorded", key.name());
            reply.lines.push(said("unchanged", rest));
        }
        (Some(_), _) => {
            let rest = "this request was answered before: nothing recorded";
            reply.lines.push(said("unchanged", rest));
        }
        (None, true) => {
            reply.lines.push(said("unset", format!("{}: {words} again", key.name())));
        }
        (None, false) => reply.lines.push(said("set", format!("{}: {words}", key.name()))),
    }
    if fresh {
        reply.lines.extend(notes(&key, state).map(|note| said("note", note)));
    }
    reply.next.push(next(["policy", "show"]).with([key.name()]));
    Ok(reply)
}

/// What a reader of a change may not expect.
fn notes(key: &PolicyKey, state: &LedgerState) -> Option<String> {
    match key {
        PolicyKey::Role(role) if key.set(state).is_empty() => Some(format!(
            "nobody decides as {role} now: roles are checked once any was given members"
        )),
        PolicyKey::Review if ReviewPolicy::of(state) == ReviewPolicy::Required => {
            Some("items nobody decided about wait for `review clear`, those in work too".into())
        }
        PolicyKey::GateQuorum(_) | PolicyKey::GateSelfReview(_) => {
            Some("gates whose workflow says otherwise keep what it says; decided ones stay".into())
        }
        PolicyKey::Review | PolicyKey::BlockerTypes | PolicyKey::Integrate | PolicyKey::Role(_) => {
            None
        }
    }
}

/// What holds now: what was set, else the default.
fn in_force(key: &PolicyKey, state: &LedgerState) -> Vec<String> {
    match key.set(state) {
        [] => key.default(),
        set => set.to_vec(),
    }
}

/// A value in words; an empty one says whom it means.
fn value_words(key: &PolicyKey, value: &[String]) -> String {
    match (key, value) {
        (PolicyKey::Integrate, []) => "everybody".into(),
        (_, []) => "nobody".into(),
        (_, value) => value.join(", "),
    }
}

fn show(args: &PolicyShowArgs, session: &Session) -> Result<Reply, Failure> {
    let one = args.key.as_deref().map(|key| known(key, session)).transpose()?;
    let ledger = session.ledger()?;
    let fail = |error| session.ledger_failure(&error);
    let snapshot = ledger.snapshot().map_err(fail)?;
    let state = snapshot.ledger().map_err(fail)?;
    let events = snapshot.ledger_events().map_err(fail)?;
    let keys = match &one {
        Some(key) => vec![key.clone()],
        None => PolicyKey::all(state),
    };
    let policies: Vec<PolicyView> = keys
        .iter()
        .map(|key| {
            let name = key.name();
            let last = events.iter().rev().filter_map(changed).find(|(_, data)| data.key == name);
            PolicyView {
                key: name,
                value: in_force(key, state),
                default: key.set(state).is_empty(),
                about: key.about().into(),
                choices: key.choices().iter().map(|&word| word.to_owned()).collect(),
                last_change: last.map(|(event, data)| entry(event, data)),
            }
        })
        .collect();
    let mut reply = Reply::new("policy-show", &PolicyShowView { policies: policies.clone() });
    let now = session.now();
    for (key, policy) in keys.iter().zip(&policies) {
        reply.quiet.push_str(&format!("{}\t{}\n", policy.key, policy.value.join(" ")));
        let whose = match (&policy.last_change, policy.default) {
            (Some(change), false) => {
                format!("by {}, {}", change.by, clock(change.at, now, &session.config))
            }
            _ => "default".to_owned(),
        };
        let words = plain(&value_words(key, &policy.value));
        let about = policy.about.clone();
        reply.lines.push(Line::Row(vec![policy.key.clone(), words, whose, about]));
    }
    if let (Some(key), [policy]) = (&one, policies.as_slice()) {
        if let Some(change) = &policy.last_change {
            reply.lines.push(Line::Row(vec!["reason".into(), short(&change.reason, 160)]));
            if let Some(impact) = &change.impact {
                reply.lines.push(Line::Row(vec!["impact".into(), short(impact, 160)]));
            }
        }
        let takes = match (key, key.choices()) {
            (_, choices @ [_, ..]) => choices.join(", "),
            (PolicyKey::GateQuorum(_), []) => "a number from 1".into(),
            (PolicyKey::BlockerTypes, []) => "words".into(),
            (PolicyKey::Integrate, []) => "principals, and role:NAME".into(),
            (_, []) => "principals".into(),
        };
        reply.lines.push(Line::Row(vec!["takes".into(), takes]));
    }
    let key = one.map_or_else(|| "KEY".to_owned(), |key| key.name());
    reply.next.push(next(["policy", "set", &key, "VALUE", "--reason", "…"]).note("to change it"));
    Ok(reply)
}

fn log(args: &PolicyShowArgs, session: &Session) -> Result<Reply, Failure> {
    let key = args.key.as_deref().map(|key| known(key, session)).transpose()?;
    let ledger = session.ledger()?;
    let fail = |error| session.ledger_failure(&error);
    let snapshot: Snapshot<'_> = ledger.snapshot().map_err(fail)?;
    let events = snapshot.ledger_events().map_err(fail)?;
    let wanted = key.as_ref().map(PolicyKey::name);
    let changes: Vec<PolicyEntry> = events
        .iter()
        .filter_map(changed)
        .filter(|(_, data)| wanted.as_ref().is_none_or(|key| data.key == *key))
        .map(|(event, data)| entry(event, data))
        .collect();
    let mut reply = Reply::new("policy-log", &PolicyLogView { changes: changes.clone() });
    let now = session.now();
    for change in &changes {
        let value = match change.value.as_slice() {
            [] => "unset".to_owned(),
            value => plain(&value.join(", ")),
        };
        reply.quiet.push_str(&format!("{}\t{}\n", change.key, change.value.join(" ")));
        let impact = change.impact.as_ref().map(|text| format!("; impact: {}", short(text, 100)));
        reply.lines.push(Line::Row(vec![
            clock(change.at, now, &session.config),
            plain(&change.key),
            value,
            format!("by {}", change.by),
            format!("\"{}\"{}", short(&change.reason, 100), impact.unwrap_or_default()),
        ]));
    }
    if changes.is_empty() {
        reply.lines.push(Line::Text("nobody has set a policy".into()));
    }
    reply.next.push(next(["policy", "show"]).note("what holds now"));
    Ok(reply)
}

fn changed(sealed: &Sealed) -> Option<(&Event, &PolicyChanged)> {
    match &sealed.event.data {
        EventData::PolicyChanged(data) => Some((&sealed.event, data)),
        _ => None,
    }
}

fn entry(event: &Event, data: &PolicyChanged) -> PolicyEntry {
    PolicyEntry {
        key: data.key.clone(),
        value: data.value.clone(),
        at: event.timestamp,
        by: event.actor.principal.clone(),
        reason: data.reason.clone(),
        impact: data.impact.clone(),
        event_id: event.id,
    }
}
