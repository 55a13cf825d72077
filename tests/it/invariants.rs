//! What must hold for any bytes at every door where bytes come in. Tests hold it against the seeds
//! and against what fuzzing once found; `fuzz/` holds it against bytes nobody thought of.
//!
//! Each function answers whether the bytes were accepted at all, so that a run can show that it
//! did more than be refused.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Debug, Display};
use std::path::Path;
use std::str::FromStr;
use std::sync::OnceLock;

use serde::Serialize;
use serde::de::DeserializeOwned;
use stepseal::artifact::{
    self, AssignmentDoc, BusyDoc, LedgerDoc, Mark, ScheduleDoc, Seal, decode, decode_event, encode,
    encode_event,
};
use stepseal::config::{self, Origin};
use stepseal::domain::id::{
    AttemptAlias, AttemptId, ClaimId, ConstraintName, CriterionId, Digest, EventId, ExecutorId,
    Fingerprint, GroupName, ItemId, PrincipalId, RequestId, RoleName, SshKey, StepKey,
    WorkflowName, slug,
};
use stepseal::domain::workflow::{TimeLimit, Workflow};
use stepseal::plan::{self, Gates, PlanError, PlanFormat, PlanOptions, PlanText, speckit};

/// An event: what decodes encodes to the same bytes and fits the published schema.
pub fn event(bytes: &[u8]) -> bool {
    let mut accepted = false;
    for bytes in [bytes.to_vec()].into_iter().chain(canonical(bytes)) {
        let Ok(event) = decode_event(&bytes) else { continue };
        accepted = true;
        let again = encode_event(&event).expect("what was read can be written");
        assert_eq!(text(&again), text(&bytes), "decoding and encoding is the identity");
        let kind = event.kind().name();
        fits(&format!("event.{kind}"), &bytes);
        fits("envelope", &bytes);
        assert_eq!(artifact::pointer_of(&bytes), None, "a good {kind} has no bad place");
    }
    accepted
}

/// A seal or a derived file: the same, and a seal that agrees with itself has that root.
pub fn seal(bytes: &[u8]) -> bool {
    let mut accepted = false;
    for bytes in [bytes.to_vec()].into_iter().chain(canonical(bytes)) {
        if let Some(seal) = document::<Seal>("seal", &bytes) {
            let mark = seal.mark();
            assert_eq!(mark.to_string().parse::<Mark>().expect("a mark as it prints itself"), mark);
            if let Some(tree) = seal.tree() {
                assert_eq!((tree.size(), tree.root()), (seal.size, seal.root.clone()));
                assert_eq!(tree.roots().len(), seal.size.count_ones() as usize);
            }
            accepted = true;
        }
        accepted |= document::<ScheduleDoc>("schedule", &bytes).is_some();
        accepted |= document::<AssignmentDoc>("assignment", &bytes).is_some();
        accepted |= document::<BusyDoc>("busy", &bytes).is_some();
        accepted |= document::<LedgerDoc>("ledger", &bytes).is_some();
    }
    accepted
}

fn document<T: DeserializeOwned + Serialize>(schema: &str, bytes: &[u8]) -> Option<T> {
    let value: T = decode(bytes).ok()?;
    assert_eq!(text(&encode(&value)), text(bytes), "decoding and encoding is the identity");
    fits(schema, bytes);
    Some(value)
}

/// What the seed signature is over, and by which key.
const SIGNED: (&[u8], &str) = (
    b"the bytes of a seal\n",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEFdsgm86yD5KH7Q1a1oQwNOHv/Y+rHJDeZ4gROusQz1",
);

/// A signature or a public key: a signature over the same bytes by the same key is one text, and a
/// key is the same key as the ledger writes it.
pub fn signature(bytes: &[u8]) -> bool {
    let key = SIGNED.1.parse().expect("a key");
    let holds = artifact::check_signature(bytes, &key, SIGNED.0).is_ok();
    if holds {
        let seed = include_bytes!("../../fuzz/seeds/signature/seal.sig");
        assert_eq!(text(bytes), text(seed), "another text of one signature");
        assert!(artifact::check_signature(bytes, &key, b"other bytes\n").is_err());
    }
    let named = std::str::from_utf8(bytes).ok().and_then(|text| artifact::public_key(text).ok());
    if let Some((key, fingerprint)) = &named {
        let (again, same) = artifact::public_key(key.as_str()).expect("a key as it is written");
        assert_eq!((&again, &same), (key, fingerprint));
        assert!(id::<SshKey>(key.as_str()) && id::<Fingerprint>(fingerprint.as_str()));
    }
    holds || named.is_some()
}

/// A workflow file in each of its formats: what is read can be sealed, runs to its end, and the
/// sealed bytes are a workflow file that means the same.
pub fn workflow(bytes: &[u8]) -> bool {
    let Ok(given) = std::str::from_utf8(bytes) else { return false };
    let mut accepted = false;
    for (format, name) in
        [(PlanFormat::Yaml, "w.yaml"), (PlanFormat::Toml, "w.toml"), (PlanFormat::Json, "w.json")]
    {
        let options = PlanOptions { format: Some(format), ..PlanOptions::default() };
        match plan::read(PlanText { text: given, path: Some(name) }, &options) {
            Err(error) => said(given, &error),
            Ok(draft) => {
                accepted = true;
                assert_eq!(draft.format, format);
                assert!(draft.imported.is_empty(), "a workflow file says nothing of progress");
                sealed(&draft);
            }
        }
    }
    accepted
}

/// A plan of spec-kit: what is read is a workflow that can be sealed and runs to its end from
/// where the plan stands, and line endings change nothing.
pub fn plan(bytes: &[u8]) -> bool {
    let Ok(given) = std::str::from_utf8(bytes) else { return false };
    let lines = given.split('\n').count();
    let draft = speckit::read(given);
    match &draft {
        Err(unreadable) => {
            assert!(!unreadable.message.is_empty());
            assert!(unreadable.line as usize <= lines, "line {} of {lines}", unreadable.line);
        }
        Ok(draft) => {
            let told = draft.warnings.iter().map(|warning| warning.line);
            let needs = draft.steps.iter().flat_map(|step| step.needs.iter().map(|need| need.line));
            for line in told.chain(needs).chain(draft.steps.iter().map(|step| step.line)) {
                assert!((1..=lines).contains(&(line as usize)), "line {line} of {lines}");
            }
        }
    }
    if !given.contains('\r') {
        let windows = speckit::read(&given.replace('\n', "\r\n"));
        assert_eq!(windows, draft, "line endings change nothing");
    }
    let mut accepted = false;
    for gates in [Gates::Keep, Gates::Drop, Gates::Ask] {
        let options = PlanOptions { format: Some(PlanFormat::SpecKit), gates };
        let plan = PlanText { text: given, path: Some("specs/001-x/tasks.md") };
        match plan::read(plan, &options) {
            Err(error) => said(given, &error),
            Ok(read) => {
                accepted = true;
                let draft = draft.as_ref().expect("what is imported was read");
                let gates_left = read.definition.steps.iter().filter(|s| s.gate.is_some()).count();
                let tasks = draft.steps.iter().filter(|step| step.checkpoint.is_none()).count();
                assert_eq!(read.definition.steps.len() - gates_left, tasks, "every task is a step");
                assert!(gates != Gates::Drop || gates_left == 0);
                sealed(&read);
            }
        }
    }
    accepted
}

/// A configuration file: what is set is known and fits, stands in the file, and written again as
/// plain strings sets the same.
pub fn config(bytes: &[u8]) -> bool {
    let Ok(given) = std::str::from_utf8(bytes) else { return false };
    let lines = given.split('\n').count();
    let path = Path::new("stepseal.toml");
    let mut accepted = false;
    for users in [false, true] {
        let values = match config::file_settings(given, path, users) {
            Ok(values) => values,
            Err(error) => {
                assert!(!error.message.is_empty());
                if let Some(origin) = &error.origin {
                    assert!((1..=lines).contains(&line_of(origin, users)), "{origin} of {lines}");
                }
                continue;
            }
        };
        accepted |= !values.is_empty();
        let mut printed = String::new();
        for (name, (value, origin)) in &values {
            let key = config::KEYS.iter().find(|key| key.full() == *name).expect("a known key");
            assert!(users || !key.personal, "{name} in a repository");
            assert!((1..=lines).contains(&line_of(origin, users)), "{origin} of {lines}");
            printed.push_str(&format!("[{}]\n{} = {}\n", key.section, key.name, quoted(value)));
        }
        // A table may be opened once: one value at a time.
        for entry in printed.split_inclusive('\n').collect::<Vec<_>>().chunks(2) {
            let again = config::file_settings(&entry.concat(), path, users).expect("as printed");
            let (name, (value, _)) = again.into_iter().next().expect("one value");
            assert_eq!(value, values[&name].0, "{name}");
        }
    }
    accepted
}

fn line_of(origin: &Origin, users: bool) -> usize {
    match (origin, users) {
        (Origin::UserFile { line, .. }, true) | (Origin::RepositoryFile { line, .. }, false) => {
            *line
        }
        other => panic!("{other:?} is no line of this file"),
    }
}

/// A basic string of TOML.
fn quoted(value: &str) -> String {
    let escaped = value.chars().map(|c| match c {
        '"' | '\\' => format!("\\{c}"),
        c if c.is_control() => format!("\\u{:04X}", u32::from(c)),
        c => c.to_string(),
    });
    format!("\"{}\"", escaped.collect::<String>())
}

/// Ids and the other words with a grammar: what is accepted keeps its text, in JSON too, and is
/// what the grammar says.
pub fn ids(bytes: &[u8]) -> bool {
    let Ok(given) = std::str::from_utf8(bytes) else { return false };
    let name = |longest: usize| is_name(given, longest);
    let mut accepted = false;
    for (parsed, right) in [
        (id::<ItemId>(given), name(64)),
        (id::<StepKey>(given), name(64)),
        (id::<WorkflowName>(given), name(64)),
        (id::<GroupName>(given), name(64)),
        (id::<CriterionId>(given), name(64)),
        (id::<AttemptAlias>(given), name(80) && !ends_in_number(given)),
        (id::<ExecutorId>(given), is_actor(given)),
        (id::<PrincipalId>(given), is_actor(given)),
        (id::<RoleName>(given), is_actor(given)),
        (id::<ConstraintName>(given), is_actor(given)),
        (id::<RequestId>(given), is_actor(given)),
        (id::<EventId>(given), is_uuid(given)),
        (id::<ClaimId>(given), is_uuid(given)),
        (id::<Digest>(given), is_hex(given, 64)),
        (id::<AttemptId>(given), is_attempt(given)),
        (id::<Fingerprint>(given), is_fingerprint(given)),
        (id::<SshKey>(given), is_ssh_key(given)),
    ] {
        assert_eq!(parsed, right, "{given:?}");
        accepted |= parsed;
    }
    if let Ok(attempt) = given.parse::<AttemptId>() {
        let made = AttemptId::new(attempt.key().clone(), attempt.number());
        assert_eq!(made.to_string(), given);
    }
    if let Ok(digest) = given.parse::<Digest>() {
        assert_eq!(Digest::from_bytes(&digest.to_bytes()), digest);
    }
    if let Ok(limit) = given.parse::<TimeLimit>() {
        assert_eq!(String::from(limit.clone()), given);
        assert!(limit.seconds() > 0, "{given}: a limit of nothing");
        accepted = true;
    }
    if let Ok(mark) = given.parse::<Mark>() {
        assert_eq!(mark.to_string().parse::<Mark>().as_ref(), Ok(&mark));
        accepted = true;
    }
    if let Some(slugged) = slug(given, 48) {
        assert!(is_name(&slugged, 50), "{slugged} of {given:?}");
        assert_eq!(slug(&slugged, 50).as_ref(), Some(&slugged), "a slug is its own slug");
    }
    if let Some(number) = artifact::parse_seal_path(given) {
        assert_eq!(artifact::seal_path(number), given);
        accepted = true;
    }
    if let Some(number) = artifact::parse_signature_path(given) {
        assert_eq!(artifact::signature_path(number), given);
        accepted = true;
    }
    if let Some(path) = artifact::parse_event_path(given) {
        let again = match &path.item {
            Some(item) => artifact::event_path(item, path.number, path.step.as_ref(), path.kind),
            None => artifact::ledger_event_path(path.number, path.kind),
        };
        assert_eq!(again, given);
        accepted = true;
    }
    accepted
}

/// Parses an id, printing and JSON included; whether it is one.
fn id<T>(given: &str) -> bool
where
    T: FromStr + Display + Debug + PartialEq + Serialize + DeserializeOwned,
    <T as FromStr>::Err: Display,
{
    let json = serde_json::to_string(given).expect("a string");
    let from_json: Result<T, _> = serde_json::from_str(&json);
    match given.parse::<T>() {
        Ok(id) => {
            assert_eq!(id.to_string(), given, "an id prints what was parsed");
            assert_eq!(from_json.expect("the same id in JSON"), id);
            assert_eq!(serde_json::to_string(&id).expect("a string"), json);
            true
        }
        Err(why) => {
            assert!(!why.to_string().is_empty());
            assert!(from_json.is_err(), "{given:?} is an id in JSON only");
            false
        }
    }
}

/// The grammar of names that become files, from its sentences.
fn is_name(text: &str, longest: usize) -> bool {
    let stem = text.split('.').next().unwrap_or("").to_ascii_lowercase();
    let numbered = |head: &str| {
        stem.strip_prefix(head).is_some_and(|n| n.len() == 1 && ("1"..="9").contains(&n))
    };
    let device =
        ["con", "prn", "aux", "nul"].contains(&stem.as_str()) || numbered("com") || numbered("lpt");
    (1..=longest).contains(&text.len())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && !text.contains("..")
        && !text.ends_with('.')
        && !text.to_ascii_lowercase().ends_with(".lock")
        && !device
}

fn is_actor(text: &str) -> bool {
    (1..=200).contains(&text.len())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "._:/@+-".contains(c))
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.chars().all(|c| "0123456789abcdef".contains(c))
}

fn is_base64(text: &str) -> bool {
    let bare = text.trim_end_matches('=');
    let digit = |c: char| c.is_ascii_alphanumeric() || "+/".contains(c);
    text.len() - bare.len() <= 2 && bare.chars().all(digit)
}

fn is_fingerprint(text: &str) -> bool {
    text.strip_prefix("SHA256:").is_some_and(|rest| rest.len() == 43 && is_base64(rest))
        && !text.ends_with('=')
}

fn is_ssh_key(text: &str) -> bool {
    let kinds = ["ssh-ed25519", "ecdsa-sha2-nistp256"];
    let hardware = kinds.map(|kind| format!("sk-{kind}@openssh.com"));
    text.split_once(' ').is_some_and(|(kind, blob)| {
        (kinds.contains(&kind) || hardware.iter().any(|other| other == kind))
            && (40..=602).contains(&blob.len())
            && is_base64(blob)
    })
}

fn is_uuid(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    parts.len() == 5 && parts.iter().zip([8, 4, 4, 4, 12]).all(|(part, n)| is_hex(part, n))
}

fn ends_in_number(text: &str) -> bool {
    text.rsplit_once('.').is_some_and(|(_, tail)| tail.chars().all(|c| c.is_ascii_digit()))
}

fn is_attempt(text: &str) -> bool {
    text.rsplit_once('.').is_some_and(|(key, number)| {
        is_name(key, 64)
            && !number.starts_with('0')
            && number.chars().all(|c| c.is_ascii_digit())
            && number.parse::<u32>().is_ok()
    })
}

/// JSON that is not written canonically, written so: a byte changed at random rarely is.
fn canonical(bytes: &[u8]) -> Option<Vec<u8>> {
    let value: serde_json::Value = serde_json::from_slice(bytes).ok()?;
    Some(encode(&value)).filter(|written| written != bytes)
}

fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// Bytes fit a published schema.
fn fits(schema: &str, bytes: &[u8]) {
    static VALIDATORS: OnceLock<BTreeMap<String, jsonschema::Validator>> = OnceLock::new();
    let all = VALIDATORS.get_or_init(|| {
        let sound = |(name, schema)| {
            let options = jsonschema::options().should_validate_formats(true);
            (name, options.build(&schema).expect("a sound schema"))
        };
        artifact::schemas().into_iter().map(sound).collect()
    });
    let value = serde_json::from_slice(bytes).expect("canonical bytes are JSON");
    if let Some(error) = all[schema].iter_errors(&value).next() {
        panic!("{schema} at {}: {error}", error.instance_path());
    }
}

/// An error says something, about places that are there.
fn said(given: &str, error: &PlanError) {
    let lines = given.split('\n').count();
    assert!(!error.message.is_empty());
    for spot in error.at.iter().chain(error.related.iter().map(|(spot, _)| spot)) {
        assert!(spot.line as usize <= lines, "line {} of {lines}: {error}", spot.line);
    }
}

/// A plan that was read: its definition can be sealed, the sealed bytes mean the same, and it
/// runs to its end.
fn sealed(draft: &plan::PlanDraft) {
    let (workflow, bytes) = artifact::compile(&draft.definition).expect("what is read is sound");
    let options = PlanOptions { format: Some(PlanFormat::Json), ..PlanOptions::default() };
    let again = plan::read(PlanText { text: &text(&bytes), path: None }, &options)
        .unwrap_or_else(|error| panic!("the sealed definition is refused: {error}"));
    assert_eq!(again.definition, draft.definition, "the sealed definition means the same");
    let (_, twice) = artifact::compile(&again.definition).expect("sound as before");
    assert_eq!(text(&twice), text(&bytes), "and is sealed as the same bytes");
    fits("workflow", &bytes);

    let keys: BTreeSet<&StepKey> = draft.definition.steps.iter().map(|step| &step.key).collect();
    let imported: BTreeSet<&StepKey> = draft.imported.iter().map(|step| &step.key).collect();
    assert_eq!(imported.len(), draft.imported.len(), "imported once");
    assert!(imported.is_subset(&keys), "imported and no step");
    let done = |imported: &BTreeSet<&StepKey>| -> Vec<bool> {
        workflow.steps().iter().map(|step| imported.contains(&step.key)).collect()
    };
    runs(&workflow, done(&imported));
    runs(&workflow, done(&BTreeSet::new()));
}

/// From where it stands a workflow runs to its end, and nothing starts too early.
fn runs(workflow: &Workflow, mut done: Vec<bool>) {
    assert!(workflow.graph().cycle().is_none());
    while done.iter().any(|done| !done) {
        let open = workflow.graph().open(&done);
        let wave: Vec<usize> = (0..done.len()).filter(|&at| open[at]).collect();
        assert!(!wave.is_empty(), "nothing may start and not all is done");
        for &at in &wave {
            assert!(!done[at], "done and open");
            assert!(workflow.graph().needs(at).iter().all(|&need| done[need]), "needs come first");
            let alone = !workflow.steps()[at].definition.parallelizable;
            assert!(!alone || done[..at].iter().all(|done| *done), "S1: lower steps come first");
        }
        for at in wave {
            done[at] = true;
        }
    }
}
