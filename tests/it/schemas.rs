//! `schemas/` equals the code, everything written and answered fits it, and a broken twin of each
//! does not.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use crate::kit::Room;

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas")
}

fn committed() -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(folder()).expect("schemas/") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let name = name.strip_suffix(".schema.json").expect("NAME.schema.json").to_owned();
        let text = std::fs::read_to_string(&path).expect("a schema");
        all.insert(name, serde_json::from_str(&text).expect("JSON"));
    }
    all
}

fn validator(name: &str) -> jsonschema::Validator {
    let all = committed();
    let schema = all.get(name).unwrap_or_else(|| panic!("no schema {name}"));
    jsonschema::options().should_validate_formats(true).build(schema).expect("a sound schema")
}

/// The document fits, and does not once any one required field is taken away or is of another
/// type.
fn fits(name: &str, document: &Value) {
    let validator = validator(name);
    if let Some(error) = validator.iter_errors(document).next() {
        panic!("{name} at {}: {error}\n{document:#}", error.instance_path());
    }
    let object = document.as_object().expect("an object");
    let required: Vec<String> = committed()[name]["required"]
        .as_array()
        .map(|list| list.iter().filter_map(Value::as_str).map(str::to_owned).collect())
        .unwrap_or_default();
    assert!(!required.is_empty(), "{name} requires nothing");
    for field in required {
        let mut broken = object.clone();
        broken.remove(&field);
        assert!(!validator.is_valid(&Value::Object(broken)), "{name} passes without {field}");
    }
    let mut broken = object.clone();
    let field = broken.keys().next().expect("a field").clone();
    broken.insert(field.clone(), json!({ "twin": true }));
    assert!(!validator.is_valid(&Value::Object(broken)), "{name}: {field} may be anything");
}

/// Run `cargo run -- schema --all schemas` after changing a type.
#[test]
fn the_committed_schemas_are_the_codes() {
    let mut code = stepseal::cli::schemas();
    for (name, schema) in committed() {
        let ours = code.remove(&name).unwrap_or_else(|| panic!("schemas/{name} is of no type"));
        assert_eq!(ours, schema, "schemas/{name}.schema.json is out of date");
    }
    assert!(code.is_empty(), "not in schemas/: {:?}", code.keys());
}

/// One room in which every verb has had something to say.
fn played() -> (Room, BTreeMap<&'static str, Value>) {
    let room = Room::with_ledger();
    room.write("plan.yaml", PLAN);
    let mut said = BTreeMap::new();
    keys(&room, &mut said);
    people(&room, &mut said);
    let mut say = |name: &'static str, args: &[&str], expected: i32| {
        let (code, document) = room.json(args);
        assert_eq!(code, expected, "{args:?}: {document:#}");
        assert_eq!(document["exitCode"], expected, "{args:?}");
        said.insert(name, document);
    };
    say("cli.init", &["init"], 0);
    say("cli.delegate-dry-run", &["delegate", "--plan", "plan.yaml", "--dry-run"], 0);
    say("cli.workflow", &["workflow", "show", "plan.yaml"], 0);
    say("cli.graph", &["workflow", "graph", "plan.yaml"], 0);
    say("cli.delegate", &["delegate", "--plan", "plan.yaml", "--work-item", "A"], 0);
    say("cli.schedule", &["schedule", "A"], 0);
    say("cli.brief", &["brief", "A", "one"], 0);
    say("cli.claim", &["claim", "--work-item", "A", "--step", "one", "--attest", "asked"], 0);
    say("cli.claim-nothing", &["claim", "--next", "--executor", "b"], 1);
    say("cli.refusal", &["claim", "--work-item", "A", "--step", "one"], 6);
    say(
        "cli.complete",
        &["complete", "--work-item", "A", "--step", "one", "--outcome", "x", "--verified", "shown"],
        0,
    );
    room.ok(&["claim", "--work-item", "A", "--step", "two"]);
    say("cli.step", &["release", "--work-item", "A", "--step", "two", "--reason", "later"], 0);
    room.ok(&["skip", "--work-item", "A", "--step", "two", "--reason", "not needed"]);
    say(
        "cli.gate",
        &[
            "gate",
            "reject",
            "--work-item",
            "A",
            "--step",
            "check",
            "--return-to",
            "one",
            "--reason",
            "again",
        ],
        0,
    );
    say("cli.why-not", &["status", "A", "--why-not", "check"], 0);
    room.ok(&["review", "flag", "--work-item", "A", "--reason", "twice?"]);
    room.ok(&["review", "clear", "--work-item", "A", "--rationale", "no"]);
    room.ok(&["claim", "--work-item", "A", "--step", "one", "--attest-all", "--lease", "1h"]);
    room.ok(&[
        "complete",
        "--work-item",
        "A",
        "--step",
        "one",
        "--status",
        "failed",
        "--outcome",
        "no",
    ]);
    room.ok(&["requeue", "--work-item", "A", "--step", "one", "--reason", "again"]);
    room.ok(&["claim", "--work-item", "A", "--step", "one", "--attest-all"]);
    room.ok(&[
        "requeue",
        "--work-item",
        "A",
        "--step",
        "one",
        "--lapsed",
        "--force",
        "--reason",
        "gone",
    ]);
    room.ok(&["claim", "--work-item", "A", "--step", "one", "--attest-all"]);
    room.ok(&[
        "complete",
        "--work-item",
        "A",
        "--step",
        "one",
        "--status",
        "rejected",
        "--outcome",
        "wrong",
    ]);
    room.ok(&["requeue", "--work-item", "A", "--step", "one"]);
    room.ok(&["claim", "--work-item", "A", "--step", "one", "--attest-all"]);
    room.ok(&[
        "complete",
        "--work-item",
        "A",
        "--step",
        "one",
        "--outcome",
        "y",
        "--verified",
        "shown",
    ]);
    room.ok(&["gate", "approve", "--work-item", "A", "--step", "check", "--reason", "good"]);
    say("cli.portfolio", &["status"], 0);
    say("cli.status", &["status", "A"], 0);
    say("cli.impact", &["status", "A", "--impact", "one"], 0);
    say("cli.metrics", &["metrics", "--by", "step"], 0);
    say("cli.export", &["export"], 0);
    room.write("v1.yaml", "name: moving\nsteps:\n  - { key: a }\n");
    room.write("v2.yaml", "name: moving\nversion: 2\nsteps:\n  - { key: a }\n  - { key: b }\n");
    room.ok(&["delegate", "--plan", "v1.yaml", "--work-item", "M1"]);
    room.ok(&["delegate", "--plan", "v2.yaml", "--work-item", "M2"]);
    say("cli.migration", &["migrate", "M1", "--to", "2", "--reason", "b too"], 0);
    say("cli.verify", &["verify"], 0);
    say("cli.correct", &["correct", "A", "--reason", "look"], 0);
    say("cli.schema", &["schema"], 0);
    say("cli.config", &["config", "list"], 0);
    say("cli.export-tree", &["export", "--tree", "../tree"], 0);
    say("cli.man-files", &["man", "--output", "../man"], 0);
    say("cli.export-files", &["export", "--format", "csv", "--output", "../tables"], 0);
    say("cli.demo", &["demo"], 0);
    (room, said)
}

/// What people decide about items, beside gates.
fn people(room: &Room, said: &mut BTreeMap<&'static str, Value>) {
    let mut say = |name: &'static str, typed: &str| {
        let words: Vec<&str> = typed.split(' ').collect();
        let (code, document) = room.json(&words);
        assert_eq!(code, 0, "{typed}: {document:#}");
        said.insert(name, document);
    };
    for item in ["B", "C", "D"] {
        room.ok(&["delegate", "--prompt", item, "--work-item", item]);
    }
    say("cli.blocker", "blocker declare --work-item B --type external --notes bank");
    say("cli.blocker-list", "blocker list --all");
    say("cli.blocker", "blocker resolve --work-item B --id blocker-1 --resolution paid");
    say("cli.owner", "owner transfer --work-item B --to bob --reason holiday");
    say("cli.owner-show", "owner show B");
    say("cli.owners", "owner show");
    room.ok(&["claim", "--work-item", "B", "--step", "phase-setup"]);
    say("cli.resume", "resume --work-item B --reason crash");
    say(
        "cli.rework",
        "rework --work-item B --return-to phase-setup --reason sand --release-claims",
    );
    say("cli.review", "review flag --work-item C --reason twice --suspect B");
    say("cli.review-list", "review list");
    say("cli.review", "review link --work-item C --to D --rationale near");
    say("cli.review", "review merge --work-item C --into B --rationale one");
    say("cli.review", "review overturn --work-item C --rationale two");
    say("cli.review", "review close --work-item C --duplicate-of B --rationale one");
    say("cli.review-list", "review list --all");
    room.git(&["commit", "--quiet", "--allow-empty", "--message", "an empty one"]);
    room.ok(&["claim", "--work-item", "B", "--step", "phase-setup"]);
    room.ok(&["complete", "--work-item", "B", "--step", "phase-setup", "--outcome", "done"]);
    for step in ["phase-tests", "phase-services"] {
        room.ok(&["skip", "--work-item", "B", "--step", step, "--reason", "no"]);
    }
    let gate = ["gate", "approve", "--work-item", "B", "--step", "phase-review"];
    room.ok(&[&gate[..], &["--reason", "good"]].concat());
    say("cli.integrate", "integrate --work-item B --commit HEAD --accept --reason seen");
    say("cli.status", "status B");
    say(
        "cli.revert",
        "revert --work-item B --commit HEAD --accept --reason bad --return-to phase-setup",
    );
    room.ok(&["cancel", "--work-item", "B", "--reason", "over"]);
    say("cli.replay", "replay");
    room.git(&["init", "--quiet", "--bare", "../shared.git"]);
    room.git(&["remote", "add", "origin", "../shared.git"]);
    say("cli.init", "init --remote origin");
    say("cli.sync", "sync");
    say("cli.doctor", "doctor");
    say("cli.preclaim", "schedule D --preclaim --executors 2 --base w --tickets ../tickets");
    let spool = "--spool ../spool --outcome done";
    say("cli.spool", &format!("complete --ticket ../tickets/D/phase-setup.1.json {spool}"));
    say("cli.collect", "collect ../spool");
    say("cli.cancel", "cancel --work-item D --reason over");
    say("cli.policy", "policy set role.lead ann bob --reason team --impact reviews");
    say("cli.policy-show", "policy show");
    say("cli.policy", "policy unset role.lead --reason gone");
    say("cli.policy-log", "policy log");
    say("cli.workflow-publish", "workflow publish plan.yaml --reason first --impact none");
    room.write("next.yaml", &PLAN.replace("name: small", "name: small\nversion: 2\ntitle: Next"));
    say("cli.workflow-diff", "workflow diff small@1 next.yaml");
    say("cli.workflow-publish", "workflow publish next.yaml --reason title --impact none");
    say("cli.workflow-retire", "workflow retire small@2 --reason never");
    say("cli.workflow-list", "workflow list");
    say("cli.workflow-log", "workflow log");
}

/// A key is added, another joins and is revoked.
fn keys(room: &Room, said: &mut BTreeMap<&'static str, Value>) {
    let owner = |args: &[&str]| -> Value {
        let ran = room.sign_as("owner", &[args, &["--json"]].concat());
        assert_eq!(ran.code, 0, "{args:?} {ran}");
        serde_json::from_str(&ran.stdout).expect("one document")
    };
    said.insert("cli.key", owner(&["key", "add", "--self", "--reason", "the first"]));
    let dev = room.key("dev") + ".pub";
    let named = ["--for", "dev@it", "--role", "executor", "--reason", "joins"];
    let added = owner(&[&["key", "add", &dev, "--not-after", "2027-01-31"], &named[..]].concat());
    let dev = added["fingerprint"].as_str().expect("a fingerprint");
    owner(&["key", "revoke", dev, "--reason", "left", "--compromised-since", "3"]);
    let list = owner(&["key", "list"]);
    assert_eq!(list["keys"][1]["revokedSeal"], 4, "{list:#}");
    said.insert("cli.key-list", list);
}

const PLAN: &str = "
name: small
steps:
  - key: one
    role: maker
    entry: [{ id: asked, text: Somebody asked }]
    exit: [{ id: shown, text: It can be seen }]
  - { key: two }
  - { key: check, gate: { kind: review } }
";

#[test]
fn every_answer_fits_its_schema_and_a_broken_twin_does_not() {
    let (room, said) = played();
    for (name, document) in &said {
        fits(name, document);
    }
    let matrix: Value =
        serde_json::from_str(&room.ok(&["schedule", "A", "--matrix"])).expect("one document");
    fits("cli.matrix", &matrix);
    let log = room.ok(&["log", "--json"]);
    let first = log.lines().next().expect("a line");
    fits("cli.log", &serde_json::from_str(first).expect("a document a line"));
    let answers = committed().keys().filter(|name| name.starts_with("cli.")).count();
    assert_eq!(answers, said.len() + 2, "an answer has a schema and no example here");
}

#[test]
fn every_file_of_a_ledger_fits_its_schema_and_a_broken_twin_does_not() {
    let (room, _) = played();
    // A correction and a publication are events too; the demo's tree has the former.
    let mut seen = std::collections::BTreeSet::new();
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("artifacts");
    let mut documents = Vec::new();
    let files = room.ledger_files();
    let ours = |path: &&String| path.starts_with("artifacts/") && path.ends_with(".json");
    for path in files.iter().filter(ours) {
        documents.push((path.clone(), room.ledger_text(path)));
    }
    collect(&sample, "artifacts", &mut documents);
    for (path, text) in documents {
        let document: Value = serde_json::from_str(&text).expect("JSON");
        let parts: Vec<&str> = path.split('/').collect();
        let name = match parts[1] {
            "ledger.json" => "ledger".to_owned(),
            "workflows" => "workflow".into(),
            "seals" => "seal".into(),
            "claims" => "assignment".into(),
            "schedule" => "schedule".into(),
            "busy" => "busy".into(),
            _ => {
                let kind = document["eventType"].as_str().expect("an event").to_owned();
                if !seen.contains("envelope") {
                    fits("envelope", &document);
                    seen.insert("envelope".to_owned());
                }
                format!("event.{kind}")
            }
        };
        if seen.insert(name.clone()) {
            fits(&name, &document);
        } else if let Some(error) = validator(&name).iter_errors(&document).next() {
            panic!("{path} at {}: {error}", error.instance_path());
        }
    }
    for kind in [
        "work-item-registered",
        "schedule-decided",
        "attempt-claimed",
        "attempt-completed",
        "attempt-failed",
        "attempt-rejected",
        "attempt-requeued",
        "attempt-withdrawn",
        "claim-released",
        "claim-lapsed",
        "step-skipped",
        "gate-approved",
        "gate-rejected",
        "review-flagged",
        "review-cleared",
        "workflow-published",
        "correction-recorded",
        "actor-key-added",
        "actor-key-revoked",
    ] {
        assert!(seen.contains(&format!("event.{kind}")), "no {kind} was produced");
    }
    assert!(seen.contains("busy") || seen.contains("assignment"));
}

fn collect(dir: &Path, name: &str, found: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(dir).expect("the sample") {
        let path = entry.expect("an entry").path();
        let name = format!("{name}/{}", path.file_name().expect("a name").to_string_lossy());
        if path.is_dir() {
            collect(&path, &name, found);
        } else {
            found.push((name, std::fs::read_to_string(&path).expect("a file")));
        }
    }
}

/// Every event of the closed list has a schema that takes a document of its own kind and refuses
/// one of another, also those no command writes yet.
#[test]
fn every_event_has_a_schema_of_its_own() {
    use stepseal::domain::event::EventKind;
    let all = committed();
    for kind in EventKind::ALL {
        let schema = &all[&format!("event.{}", kind.name())];
        assert_eq!(schema["properties"]["eventType"]["const"], kind.name());
        assert_eq!(schema["additionalProperties"], false, "{}", kind.name());
        assert_eq!(schema["properties"]["data"]["additionalProperties"], false, "{}", kind.name());
    }
}
