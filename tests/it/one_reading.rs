//! One reading (P23): text that two readers could read differently, or that costs more than it is
//! long, is refused with its place; plans by their line and column, artifacts by their path too.
#![expect(clippy::disallowed_methods, reason = "says how long the slowest took")]

use std::time::{Duration, Instant};

use super::forge::{self, Changes, sealed, tip};
use super::kit::{Ran, Room, figure, parallel_workflow, rounds};

/// The most a plan may cost: of memory all that the process maps, its own code too.
const ADDRESS_SPACE_KIB: u32 = 64 * 1024;

/// No plan may take longer: a bound against hanging only.
const BOUND: Duration = Duration::from_secs(20);

/// Runs the binary with a bounded memory, where the shell can bound it.
fn bounded(room: &Room, args: &[&str]) -> (Ran, Duration) {
    let limit = match cfg!(target_os = "linux") {
        true => format!("ulimit -v {ADDRESS_SPACE_KIB} || exit 99; exec \"$0\" \"$@\""),
        false => "exec \"$0\" \"$@\"".to_owned(),
    };
    let mut command = room.program("sh");
    command.args(["-c", &limit, super::kit::STEPSEAL]).args(args);
    let start = Instant::now();
    let ran = Ran::of(&command.output().expect("a shell starts"));
    let took = start.elapsed();
    assert!(took < BOUND, "{args:?} took {took:?}");
    (ran, took)
}

fn repeated(count: usize, line: impl Fn(usize) -> String) -> String {
    (0..count).map(line).collect()
}

/// File, text, and where it is refused.
fn plans() -> Vec<(&'static str, Vec<u8>, (u64, u64))> {
    let nested = |open: &str, close: &str, depth| open.repeat(depth) + &close.repeat(depth);
    let text: Vec<(&str, String, (u64, u64))> = vec![
        // The same key twice.
        ("top.yaml", "name: x\nsteps: [{ key: a }]\nname: y\n".into(), (3, 1)),
        ("step.yaml", "name: x\nsteps:\n  - key: a\n    order: 1\n    key: b\n".into(), (5, 5)),
        (
            "criterion.yaml",
            "name: x\nsteps:\n  - key: a\n    exit:\n      - { id: x, text: t, id: y }\n".into(),
            (5, 27),
        ),
        ("top.json", "{\n  \"name\": \"x\",\n  \"name\": \"y\"\n}\n".into(), (3, 8)),
        (
            "step.json",
            "{\n  \"name\": \"x\",\n  \"steps\": [{\"key\": \"a\", \"key\": \"b\"}]\n}\n".into(),
            (3, 30),
        ),
        ("top.toml", "name = \"x\"\nname = \"y\"\n".into(), (2, 1)),
        ("step.toml", "name = \"x\"\nsteps = [{ key = \"a\", key = \"b\" }]\n".into(), (2, 23)),
        (
            "table.toml",
            "name = \"x\"\n[[steps]]\nkey = \"a\"\n[steps.gate]\n[steps.gate]\n".into(),
            (5, 8),
        ),
        // Numbers that are no numbers of steps.
        ("e30.yaml", "name: x\nversion: 1e30\nsteps: [{ key: a }]\n".into(), (2, 10)),
        ("float.yaml", "name: x\nversion: 1.0\nsteps: [{ key: a }]\n".into(), (2, 10)),
        ("octal.yaml", "name: x\nversion: 010\nsteps: [{ key: a }]\n".into(), (2, 10)),
        ("minus.yaml", "name: x\nversion: -1\nsteps: [{ key: a }]\n".into(), (2, 10)),
        ("e30.json", "{\n  \"name\": \"x\",\n  \"version\": 1e30\n}\n".into(), (3, 17)),
        ("nan.json", "{\n  \"name\": \"x\",\n  \"version\": NaN\n}\n".into(), (3, 14)),
        ("huge.json", format!("{{\n  \"version\": {}\n}}\n", "9".repeat(40)), (2, 53)),
        ("e30.toml", "name = \"x\"\nversion = 1e30\n".into(), (2, 11)),
        // Words that are no booleans.
        ("no.yaml", "name: x\nsteps: [{ key: a, parallelizable: no }]\n".into(), (2, 35)),
        // Deeper than anybody writes.
        ("deep.yaml", format!("name: x\nsteps: {}\n", nested("[", "]", 129)), (2, 9)),
        ("deeper.yaml", format!("name: x\nsteps: {}\n", "[".repeat(100_000)), (2, 263)),
        ("maps.yaml", format!("name: x\ntitle: {}1\n", "{a: ".repeat(100_000)), (2, 8)),
        ("deep.json", format!("{{\"steps\": {}}}\n", nested("[", "]", 129)), (1, 12)),
        ("deeper.json", format!("{{\"steps\": [{{\"needs\": {}", "[".repeat(100_000)), (1, 22)),
        ("deep.toml", format!("name = \"x\"\nsteps = {}\n", nested("[", "]", 129)), (2, 89)),
        ("deeper.toml", format!("name = \"x\"\nsteps = {}\n", "[".repeat(100_000)), (2, 89)),
        // A mark that some editors write, anywhere but at the very beginning.
        ("bom.yaml", "name: x\n\u{feff}steps: [{ key: a }]\n".into(), (2, 1)),
        ("bom.json", "{\n\u{feff}\"name\": \"x\"\n}\n".into(), (2, 1)),
        ("bom.toml", "name = \"x\"\n\u{feff}version = 1\n".into(), (2, 1)),
        // More than one document.
        ("two.yaml", "name: x\nsteps: [{ key: a }]\n---\nname: y\n".into(), (4, 1)),
        ("two.json", "{\"name\": \"x\", \"steps\": [{\"key\": \"a\"}]}\n{}\n".into(), (2, 1)),
        ("rest.toml", "name = \"x\"\nsteps = [{ key = \"a\" }]\n}\n".into(), (3, 1)),
        // Aliases that unfold to gigabytes, or to themselves.
        (
            "laughs.yaml",
            "name: x\nsteps:\n- &a [l,l,l,l,l,l,l,l,l]\n".to_owned()
                + &repeated(11, |n| {
                    format!(
                        "- &b{n} [{}]\n",
                        "*a,".repeat(9).replace(
                            "*a",
                            &match n {
                                0 => "*a".to_owned(),
                                n => format!("*b{}", n - 1),
                            }
                        )
                    )
                }),
            (3, 6),
        ),
        (
            "steps.yaml",
            format!(
                "name: x\nsteps:\n  - &s {{ key: a, title: {} }}\n{}",
                "t".repeat(4_000),
                "  - *s\n".repeat(2_000)
            ),
            (2004, 1),
        ),
        ("self.yaml", "name: x\nsteps: &s [*s]\n".into(), (2, 12)),
        // Characters that are none.
        ("nul.yaml", "name: x\0\nsteps: [{ key: a }]\n".into(), (1, 8)),
        ("control.json", "{\n  \"name\": \"a\u{1}b\"\n}\n".into(), (2, 13)),
        ("half.json", "{\n  \"name\": \"\\ud800\"\n}\n".into(), (2, 18)),
        // Fields nobody knows are not passed over.
        ("field.yaml", "name: x\nstep: [{ key: a }]\n".into(), (2, 1)),
        ("field.json", "{\n  \"steps\": [{\"key\": \"a\", \"need\": []}]\n}\n".into(), (2, 31)),
        ("field.toml", "name = \"x\"\nsteps = [{ key = \"a\", need = [] }]\n".into(), (2, 23)),
    ];
    let mut plans: Vec<_> =
        text.into_iter().map(|(name, text, at)| (name, text.into_bytes(), at)).collect();
    plans.push(("latin.yaml", b"name: x\ntitle: \xe9\nsteps: [{ key: a }]\n".to_vec(), (2, 8)));
    plans.push(("utf16.json", b"\xff\xfe{\0}\0\n\0".to_vec(), (1, 1)));
    plans
}

#[test]
fn plans_that_read_two_ways_are_refused_with_line_and_column() {
    let room = Room::new();
    room.git(&["init", "--quiet", "repo"]);
    // The limit is none for a plan that is right, also with the mark some editors begin it with.
    room.write("right.yaml", "\u{feff}name: x\nsteps: [{ key: a }]\n");
    let (ran, _) = bounded(&room, &["delegate", "--plan", "right.yaml", "--dry-run"]);
    assert_eq!(ran.code, 0, "{ran}");
    let (mut slowest, mut wrong) = (Duration::ZERO, Vec::new());
    let plans = plans();
    for (name, text, at) in &plans {
        std::fs::write(room.repo().join(name), text).expect("a plan");
        let (ran, took) = bounded(&room, &["delegate", "--plan", name, "--dry-run", "--json"]);
        slowest = slowest.max(took);
        let said: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap_or_default();
        let found = (said["data"]["at"]["line"].as_u64(), said["data"]["at"]["column"].as_u64());
        if (ran.code, found) != (2, (Some(at.0), Some(at.1))) {
            wrong
                .push(format!("{name}: {} {found:?}, not 2 {at:?}: {}", ran.code, said["message"]));
        }
        // People see the same place, with the line.
        let (ran, _) = bounded(&room, &["workflow", "show", name]);
        // What is refused at the end of a file is shown in its last line.
        let lines = String::from_utf8_lossy(text).lines().count() as u64;
        let place = if at.0 > lines {
            format!("{name}:{lines}:")
        } else {
            format!("{name}:{}:{}", at.0, at.1)
        };
        if ran.code != 2 || !ran.stderr.contains(&place) {
            wrong.push(format!("{name}: no {place}: {ran}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    figure(
        "P23",
        &format!(
            "{} plans refused with line and column in {ADDRESS_SPACE_KIB} KiB of address space, the \
             slowest in {:.2} s",
            plans.len(),
            slowest.as_secs_f32()
        ),
    );
}

/// What is changed of an event's text, and whether the refusal can point into it.
type Spoil = (&'static str, fn(&str) -> String);

const SPOILED: [Spoil; 22] = [
    ("a key twice", |text| {
        text.replacen("  \"attemptId\"", "  \"attemptId\": \"s001.1\",\n  \"attemptId\"", 1)
    }),
    ("a key of its data twice", |text| {
        text.replacen("    \"leaseUntil\"", "    \"leaseUntil\": null,\n    \"leaseUntil\"", 1)
    }),
    ("a key of its actor twice", |text| {
        text.replacen("    \"kind\"", "    \"kind\": \"agent\",\n    \"kind\"", 1)
    }),
    ("a field more", |text| text.replacen("  \"data\"", "  \"note\": \"x\",\n  \"data\"", 1)),
    ("a field of its data more", |text| {
        text.replacen("    \"leaseUntil\"", "    \"note\": 1,\n    \"leaseUntil\"", 1)
    }),
    ("a field less", |text| text.replacen("  \"request\": null,\n", "", 1)),
    ("a huge number", |text| text.replacen("\"order\": 1", "\"order\": 1e30", 1)),
    ("a fraction", |text| text.replacen("\"order\": 1", "\"order\": 1.0", 1)),
    ("a deep value", |text| {
        text.replacen(
            "\"leaseUntil\": null",
            &format!("\"leaseUntil\": {}{}", "[".repeat(129), "]".repeat(129)),
            1,
        )
    }),
    ("a mark at the beginning", |text| format!("\u{feff}{text}")),
    ("something after it", |text| format!("{text}{{}}\n")),
    ("a space after it", |text| format!("{text} ")),
    ("no newline at its end", |text| text.trim_end().to_owned()),
    ("other newlines", |text| text.replace('\n', "\r\n")),
    ("other spaces", |text| text.replace("  \"", "\t\"")),
    ("no spaces", |text| {
        serde_json::from_str::<serde_json::Value>(text).expect("JSON").to_string() + "\n"
    }),
    ("its keys in another order", |text| {
        let id = text.lines().find(|line| line.starts_with("  \"id\"")).expect("an id").to_owned()
            + "\n";
        text.replacen(&id, "", 1).replacen(
            "  \"schemaVersion\"",
            &format!("{id}  \"schemaVersion\""),
            1,
        )
    }),
    ("another spelling of a letter", |text| text.replacen("\"claimed\"", "\"cl\\u0061imed\"", 1)),
    ("another spelling of its time", |text| text.replacen("Z\"", "+00:00\"", 1)),
    ("a finer time", |text| text.replacen(".000Z\"", ".000001Z\"", 1)),
    ("a newer version", |text| text.replacen("\"1.0\"", "\"1.1\"", 1)),
    ("a long text", |text| text.replacen("complete s001", &"x".repeat(8 * 1024 + 1), 1)),
];

/// Sealed rightly, so only its own reading can refuse it.
#[test]
fn a_sealed_event_that_reads_two_ways_stops_its_item() {
    let room = Room::with_ledger();
    room.write("plan.yaml", &parallel_workflow("par", 2));
    for item in ["W1", "W2"] {
        room.ok(&["delegate", "--plan", "plan.yaml", "--work-item", item]);
    }
    let twin = room.copy();
    twin.ok(&["claim", "--work-item", "W1", "--step", "s001"]);
    let path = twin.ledger_file("/W1/000003-s001-attempt-claimed.json");
    let text = twin.ledger_text(&path);
    for (what, spoil) in SPOILED.iter().step_by(rounds(2, 1)) {
        let spoiled = spoil(&text);
        assert_ne!(spoiled, text, "{what}");
        let room = room.copy();
        let changes = Changes::from([(path.clone(), Some(spoiled.into_bytes()))]);
        forge::write(&room, Some(&tip(&room)), &[sealed(&room, changes, &[], |_| {})]);
        for args in [&["verify"][..], &["verify", "--deep"]] {
            let (code, said) = room.json(args);
            let findings = said["findings"].as_array().expect("findings");
            let [finding] = &findings[..] else { panic!("{what}: {said:#}") };
            assert_eq!((code, &finding["class"]), (10, &"bad-artifact".into()), "{what}: {said:#}");
            assert_eq!(finding["path"], path.as_str(), "{what}");
        }
        let ran = room.run(&["status", "W1"]);
        assert!(ran.code == 10 && ran.stderr.contains(&path), "{what}: {ran}");
        let before = tip(&room);
        let ran = room.run(&["claim", "--work-item", "W1", "--step", "s002"]);
        assert_eq!((ran.code, tip(&room)), (10, before), "{what}: {ran}");
        room.ok(&["claim", "--work-item", "W2", "--step", "s002"]);
    }
    // The unspoiled one is read.
    let changes = Changes::from([(path.clone(), Some(text.into_bytes()))]);
    forge::write(&room, Some(&tip(&room)), &[sealed(&room, changes, &[], |_| {})]);
    let (_, said) = room.json(&["verify"]);
    let classes: Vec<&str> = said["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .filter_map(|f| f["class"].as_str())
        .collect();
    assert_eq!(classes, ["wrong-derived"; 3], "only what is derived from it is missing");
    figure(
        "P23",
        &format!(
            "{} spellings of one sealed event refused by its path",
            SPOILED.len().div_ceil(rounds(2, 1))
        ),
    );
}
