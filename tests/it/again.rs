//! Every writing command typed again: as it was, with a request id, and after an outcome that
//! nobody was told. One ask is one record (P18, R1).

use std::collections::BTreeMap;

use serde_json::Value;

use super::kit::{Ran, Room, figure, memory};

const PLAN: &str = "name: flow
steps:
  - { key: a }
  - { key: b, group: pair, parallelizable: true, order: 2 }
  - { key: c, group: pair, parallelizable: true, order: 2 }
  - { key: check, order: 3, gate: { kind: review, rejectTo: a, selfReview: allowed } }
  - { key: d, order: 4 }
";

/// A command, and what has to be typed before it.
struct Verb {
    name: &'static str,
    before: &'static [&'static str],
    typed: &'static str,
}

const fn verb(name: &'static str, before: &'static [&'static str], typed: &'static str) -> Verb {
    Verb { name, before, typed }
}

const DELEGATED: &str = "delegate --plan plan.yaml --work-item W1";
const CLAIMED: &str = "claim --work-item W1 --step a";
const DONE: &str = "complete --work-item W1 --step a --outcome done";
const SKIPS: [&str; 2] =
    ["skip --work-item W1 --step b --reason no", "skip --work-item W1 --step c --reason no"];
const FAILED: &str = "complete --work-item W1 --step a --outcome no --status failed";
const FLAGGED: &str = "review flag --work-item W1 --reason twin";
const OTHER: &str = "delegate --prompt Other --work-item W2 --workflow default";
const BLOCKED: &str = "blocker declare --work-item W1 --type other --notes wall --id wall";
const MERGED: &str = "review merge --work-item W1 --into W2 --rationale one";

const DELEGATED_SMALL: &str = "delegate --prompt Try --work-item W1";
const INTEGRATED: &str = "integrate --work-item W1 --commit HEAD --accept --reason seen";

/// An item is done, and then integrated.
const INTEGRABLE: &[&str] = &[
    DELEGATED_SMALL,
    "claim --work-item W1 --step phase-setup",
    "complete --work-item W1 --step phase-setup --outcome done",
    "skip --work-item W1 --step phase-tests --reason no",
    "skip --work-item W1 --step phase-services --reason no",
    "gate approve --work-item W1 --step phase-review --reason good",
    INTEGRATED,
];

/// Every command that writes events, with each of its ways.
const VERBS: &[Verb] = &[
    verb("delegate a plan", &[], DELEGATED),
    verb("delegate a prompt", &[], DELEGATED_SMALL),
    verb("claim", &[DELEGATED], CLAIMED),
    verb("claim by a name", &[DELEGATED], "claim --work-item W1 --step a --attempt mine"),
    verb("claim --next", &[DELEGATED], "claim --next"),
    verb("complete", &[DELEGATED, CLAIMED], DONE),
    verb("complete as failed", &[DELEGATED, CLAIMED], FAILED),
    verb(
        "complete as rejected",
        &[DELEGATED, CLAIMED],
        "complete --work-item W1 --step a --outcome no --status rejected",
    ),
    verb("release", &[DELEGATED, CLAIMED], "release --work-item W1 --step a --reason later"),
    verb("requeue", &[DELEGATED, CLAIMED, FAILED], "requeue --work-item W1 --step a"),
    verb(
        "requeue --lapsed",
        &[DELEGATED, CLAIMED],
        "requeue --work-item W1 --attempt a.1 --lapsed --force --reason gone",
    ),
    verb("skip", &[DELEGATED], "skip --work-item W1 --step a --reason no"),
    verb(
        "gate approve",
        &[DELEGATED, CLAIMED, DONE, SKIPS[0], SKIPS[1]],
        "gate approve --work-item W1 --step check --reason good",
    ),
    verb(
        "gate reject",
        &[DELEGATED, CLAIMED, DONE, SKIPS[0], SKIPS[1]],
        "gate reject --work-item W1 --step check --reason bad",
    ),
    verb("review flag", &[DELEGATED], FLAGGED),
    verb(
        "review clear",
        &[DELEGATED, FLAGGED],
        "review clear --work-item W1 --rationale different",
    ),
    verb("review merge", &[DELEGATED, OTHER], MERGED),
    verb(
        "review merge with claims",
        &[DELEGATED, OTHER, CLAIMED],
        "review merge --work-item W1 --into W2 --rationale one --release-claims",
    ),
    verb(
        "review link",
        &[DELEGATED, OTHER, FLAGGED],
        "review link --work-item W1 --to W2 --rationale near",
    ),
    verb(
        "review close",
        &[DELEGATED, OTHER],
        "review close --work-item W1 --duplicate-of W2 --rationale one",
    ),
    verb(
        "review overturn",
        &[DELEGATED, OTHER, MERGED],
        "review overturn --work-item W1 --rationale two",
    ),
    verb(
        "rework",
        &[DELEGATED, CLAIMED, DONE],
        "rework --work-item W1 --return-to a --reason sand",
    ),
    verb(
        "rework with claims",
        &[DELEGATED, CLAIMED],
        "rework --work-item W1 --return-to a --reason sand --release-claims",
    ),
    verb("blocker declare", &[DELEGATED], BLOCKED),
    verb(
        "blocker declare without a name",
        &[DELEGATED],
        "blocker declare --work-item W1 --type decision --notes which --step b",
    ),
    verb(
        "blocker resolve",
        &[DELEGATED, BLOCKED],
        "blocker resolve --work-item W1 --id wall --resolution gone",
    ),
    verb("owner transfer", &[DELEGATED], "owner transfer --work-item W1 --to bob --reason holiday"),
    verb("resume", &[DELEGATED, CLAIMED], "resume --work-item W1 --reason crash"),
    verb("integrate", INTEGRABLE.split_at(6).0, INTEGRATED),
    verb(
        "revert",
        INTEGRABLE,
        "revert --work-item W1 --commit HEAD --return-to phase-setup --accept --reason bad",
    ),
    verb("cancel", &[DELEGATED, CLAIMED], "cancel --work-item W1 --reason no --release-claims"),
];

fn words(typed: &str) -> Vec<&str> {
    typed.split(' ').collect()
}

/// A room in which everything before a command has been typed.
fn ready(verb: &Verb) -> Room {
    let room = Room::in_memory();
    room.write("plan.yaml", PLAN);
    room.git(&["commit", "--quiet", "--allow-empty", "--message", "an empty one"]);
    for typed in verb.before {
        room.ok(&words(typed));
    }
    room
}

/// How many events there are, decisions left out.
fn facts(room: &Room) -> usize {
    let log = room.ok(&["log", "--json"]);
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    lines.filter(|line| line["artifact"]["eventType"] != "schedule-decided").count()
}

fn tip(room: &Room) -> String {
    room.git(&["rev-parse", "stepseal-ledger"])
}

/// Typed and typed again: the second time either says that nothing changed, or is refused.
#[test]
fn every_command_typed_twice_records_once() {
    let mut answers = BTreeMap::new();
    for verb in VERBS {
        let room = ready(verb);
        let before = facts(&room);
        let (code, said) = room.json(&words(verb.typed));
        assert_eq!((code, &said["recorded"]), (0, &true.into()), "{}: {said:#}", verb.name);
        let (after, tip) = (facts(&room), self::tip(&room));
        assert!(after > before, "{}: recorded nothing", verb.name);
        let (code, said) = room.json(&words(verb.typed));
        assert_eq!(said["recorded"], false, "{}: {said:#}", verb.name);
        assert!([0, 4, 6].contains(&code), "{}: {said:#}", verb.name);
        assert_eq!((facts(&room), self::tip(&room)), (after, tip), "{}", verb.name);
        *answers.entry(code).or_insert(0) += 1;
        room.ok(&["verify", "--deep"]);
    }
    figure("P18", &format!("{} commands typed twice recorded once; {answers:?}", VERBS.len()));
}

/// What an answer says was done: the same for the original and its repetition.
fn essence(said: &Value) -> Vec<&Value> {
    ["workItemId", "stepKey", "attemptId", "claimId"].iter().map(|key| &said[*key]).collect()
}

/// With a request id the second answer is the first one's.
#[test]
fn every_command_with_a_request_id_has_one_answer() {
    for verb in VERBS {
        let room = ready(verb);
        let args = [&words(verb.typed)[..], &["--request-id", "r-1"]].concat();
        let (code, first) = room.json(&args);
        assert_eq!((code, &first["recorded"]), (0, &true.into()), "{}: {first:#}", verb.name);
        let tip = self::tip(&room);
        let (code, again) = room.json(&args);
        assert_eq!((code, &again["recorded"]), (0, &false.into()), "{}: {again:#}", verb.name);
        assert_eq!(essence(&again), essence(&first), "{}", verb.name);
        // Another ask under the same id is a conflict, also where it would be legal by itself.
        let other = ["review", "flag", "--work-item", "W1", "--reason", "another"];
        let (code, said) = room.json(&[&other[..], &["--request-id", "r-1"]].concat());
        assert_eq!((code, &said["reason"]), (6, &"request-reused".into()), "{}", verb.name);
        assert_eq!(self::tip(&room), tip, "{}", verb.name);
    }
    figure("P18", &format!("{} commands with a request id: one record, one answer", VERBS.len()));
}

/// Nobody was told: the command was killed around its swap, or the disk failed after it. The same
/// request finds what is on record, or records it.
#[cfg(target_os = "linux")]
#[test]
fn every_command_ends_well_after_an_unknown_outcome() {
    if !super::kit::has("strace") {
        return;
    }
    let (mut there, mut not_there) = (0, 0);
    for verb in VERBS {
        for fault in
            ["syncfs:signal=KILL:when=1", "fsync:signal=KILL:when=1", "fsync:error=EIO:when=1"]
        {
            let room = ready(verb);
            let args = [&words(verb.typed)[..], &["--request-id", "r-1", "--json"]].concat();
            let inject = format!("inject={fault}");
            let traced = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", &inject];
            let traced = [&traced[..], &[super::kit::STEPSEAL]].concat();
            let mut command = room.under(&traced, &args);
            command.env("STEPSEAL_LEDGER_DURABILITY", "durable");
            let ran = Ran::of(&command.output().expect("strace starts"));
            let context = format!("{} {fault}: {ran}", verb.name);
            if fault.contains("EIO") {
                assert_eq!(ran.code, 75, "{context}");
                let said = ran.document();
                assert_eq!(said["recorded"], "unknown", "{context}");
                // What it says to type is the command itself.
                let next: Vec<&str> = said["next"][0]
                    .as_array()
                    .expect("a command")
                    .iter()
                    .filter_map(Value::as_str)
                    .collect();
                assert_eq!(next[1..], args, "{context}");
            } else {
                assert!(ran.code != 0 && ran.stdout.is_empty(), "{context}");
            }
            let recorded = room.requests(&[]).1.contains_key("r-1");
            assert_eq!(recorded, !fault.starts_with("syncfs"), "{context}");
            let again = room.run(&args);
            assert_eq!(again.code, 0, "{again} after {context}");
            assert_eq!(again.document()["recorded"], !recorded, "{again} after {context}");
            there += usize::from(recorded);
            not_there += usize::from(!recorded);
            let tip = self::tip(&room);
            assert_eq!(room.run(&args).code, 0, "{context}");
            assert_eq!(self::tip(&room), tip, "{context}");
            room.ok(&["verify", "--deep"]);
        }
    }
    let seen = format!(
        "{} commands after an outcome nobody was told: {there} found on record, {not_there} \
         recorded then, 0 twice",
        VERBS.len()
    );
    figure("P18", &seen);
}

/// `init` and `correct` have no request: they look at what is there.
#[test]
fn init_and_correct_typed_twice_do_nothing_the_second_time() {
    let room = Room::live_below(&memory());
    for expected in [true, false, false] {
        let (code, said) = room.json(&["init"]);
        assert_eq!((code, &said["recorded"]), (0, &expected.into()), "{said:#}");
    }
    room.ok(&["delegate", "--prompt", "Try", "--work-item", "W1"]);
    let path = room.ledger_file("work-item-registered.json");
    room.tamper(&[(&path, Some("{}\n"))]);
    for expected in [true, false, false] {
        let (code, said) = room.json(&["correct", "W1", "--reason", "an outsider"]);
        assert_eq!((code, &said["recorded"]), (0, &expected.into()), "{said:#}");
    }
    room.ok(&["verify", "--deep"]);
}
