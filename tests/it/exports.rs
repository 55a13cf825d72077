//! What leaves the ledger: one JSON document, tables, one report. Complete, the same whoever
//! reads it, and nothing a plan says is more than text in it.

use serde_json::Value;

use crate::kit::{Ran, Room};

/// Text that a spreadsheet, Markdown or Mermaid would each take for something else.
pub(crate) const EVIL: [&str; 8] = [
    "=cmd|' /C calc'!A0",
    "+1+1",
    "-2+3",
    "@SUM(A1:A2)",
    "\"]; click s0 \"javascript:alert(1)\" %%{init: {}}%%",
    "a, \"quoted\" cell\r\nof | two lines",
    "</script><b>bold</b> [x](https://e.example) `code` **b** @team-1",
    "\u{1b}[31m red \u{202e} and back",
];

const WORKFLOW: &str = "
name: w
steps:
  - { key: make }
  - { key: left, order: 2, parallelizable: true }
  - { key: right, order: 2, parallelizable: true }
  - { key: look, order: 3, gate: { kind: review, rejectTo: make } }
  - { key: ship, order: 4 }
";

pub(crate) fn played() -> Room {
    let room = Room::with_ledger();
    room.write("w.yaml", WORKFLOW);
    for (n, evil) in EVIL.iter().enumerate() {
        let id = format!("E{n}");
        let (title, label) = (format!("--title={evil}"), format!("--label={evil}"));
        let args = ["delegate", "--plan", "w.yaml", "--work-item", &id, &title, &label];
        room.ok(&[&args[..], &["--label", "second; third"]].concat());
    }
    let act = |verb: &[&str], step: &str, rest: &[&str]| {
        room.ok(&[verb, &["--work-item", "E0", "--step", step], rest].concat());
    };
    act(&["claim"], "make", &[]);
    act(&["complete"], "make", &["--status", "failed", "--outcome", EVIL[0]]);
    act(&["requeue"], "make", &[]);
    act(&["claim"], "make", &[]);
    room.write("=out.txt", "made\n");
    act(&["complete"], "make", &["--outcome", EVIL[5], "--output", "=out.txt"]);
    for step in ["left", "right"] {
        act(&["claim"], step, &[]);
        act(&["complete"], step, &["--outcome", EVIL[6]]);
    }
    act(&["gate", "reject"], "look", &["--reason", EVIL[4]]);
    act(&["claim"], "make", &[]);
    room
}

/// RFC 4180, read by the letter: CRLF between records, quotes doubled inside quotes.
fn records(text: &str) -> Vec<Vec<String>> {
    let (mut records, mut record, mut cell) = (Vec::new(), Vec::new(), String::new());
    let mut rest = text.chars().peekable();
    let mut quoted = false;
    while let Some(c) = rest.next() {
        match (quoted, c) {
            (true, '"') if rest.peek() == Some(&'"') => {
                rest.next();
                cell.push('"');
            }
            (true, '"') => {
                quoted = false;
                assert!(matches!(rest.peek(), Some(',' | '\r')), "text after a quote: {cell}");
            }
            (true, c) => cell.push(c),
            (false, '"') => {
                assert!(cell.is_empty(), "a quote inside a cell: {cell}");
                quoted = true;
            }
            (false, ',') => record.push(std::mem::take(&mut cell)),
            (false, '\r') => {
                assert_eq!(rest.next(), Some('\n'), "a lone CR");
                record.push(std::mem::take(&mut cell));
                records.push(std::mem::take(&mut record));
            }
            (false, '\n') => panic!("a lone LF"),
            (false, c) => cell.push(c),
        }
    }
    assert!(!quoted && cell.is_empty() && record.is_empty(), "the last record is not ended");
    records
}

/// The rows of a table, each as its columns by name.
pub(crate) fn table(text: &str) -> Vec<std::collections::BTreeMap<String, String>> {
    let mut records = records(text).into_iter();
    let head = records.next().expect("a header");
    records
        .map(|record| {
            assert_eq!(record.len(), head.len(), "{record:?}");
            head.iter().cloned().zip(record).collect()
        })
        .collect()
}

fn csv(room: &Room, name: &str) -> Vec<std::collections::BTreeMap<String, String>> {
    table(&room.ok(&["export", "--format", "csv", "--table", name]))
}

#[test]
fn the_json_document_is_one_as_any_writer_would_make_it() {
    let room = played();
    for args in [&["export"][..], &["export", "E0", "E3"], &["export", "--json"]] {
        let text = room.ok(args);
        let value: Value = serde_json::from_str(&text).expect("one document");
        let again = serde_json::to_string_pretty(&value).expect("JSON") + "\n";
        assert!(text == again, "{args:?} is not written as JSON writers do");
    }
    let value: Value = serde_json::from_str(&room.ok(&["export", "E3", "E0", "E3"])).expect("JSON");
    let ids: Vec<&Value> = value["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|i| &i["item"]["workItemId"])
        .collect();
    assert_eq!(ids, ["E0", "E3"], "each once, by id");
    assert_eq!(value["ledgerEvents"], serde_json::json!([]), "not the whole ledger");
    assert_eq!(value["workflows"].as_array().map(Vec::len), Some(1));
}

/// Tables say what the JSON document says: every item, step, attempt and fact once.
#[test]
fn tables_hold_what_the_document_holds() {
    let room = played();
    let document: Value = serde_json::from_str(&room.ok(&["export"])).expect("one document");
    let items = document["items"].as_array().expect("items");
    let text = |value: &Value| match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let by_items = csv(&room, "items");
    assert_eq!(by_items.len(), items.len());
    for (row, item) in by_items.iter().zip(items) {
        for (column, field) in
            [("work_item_id", "workItemId"), ("status", "status"), ("steps_done", "stepsDone")]
        {
            assert_eq!(row[column], text(&item["item"][field]));
        }
        assert_eq!(
            row["labels"].lines().count(),
            item["item"]["labels"].as_array().map_or(0, Vec::len)
        );
    }
    let steps: Vec<&Value> =
        items.iter().flat_map(|item| item["item"]["steps"].as_array().expect("steps")).collect();
    let by_steps = csv(&room, "steps");
    assert_eq!(by_steps.len(), steps.len());
    for (row, step) in by_steps.iter().zip(&steps) {
        assert_eq!((&row["step_key"], &row["state"]), (&text(&step["key"]), &text(&step["state"])));
    }
    let attempts: Vec<&Value> =
        steps.iter().flat_map(|step| step["attempts"].as_array().expect("attempts")).collect();
    let by_attempts = csv(&room, "attempts");
    assert_eq!(by_attempts.len(), attempts.len());
    for (row, attempt) in by_attempts.iter().zip(&attempts) {
        assert_eq!(row["attempt_id"], text(&attempt["attemptId"]));
        assert_eq!(row["claim_id"], text(&attempt["claimId"]));
        assert_eq!(row["void"], text(&attempt["void"]));
    }
    let facts: Vec<&Value> =
        items.iter().flat_map(|item| item["artifacts"].as_array().expect("artifacts")).collect();
    let facts: Vec<String> = facts
        .into_iter()
        .chain(document["ledgerEvents"].as_array().expect("events"))
        .map(|artifact| text(&artifact["id"]))
        .collect();
    let by_events = csv(&room, "events");
    assert_eq!(by_events.iter().map(|row| row["event_id"].clone()).collect::<Vec<_>>(), facts);
    // The ledger's own files say the same of facts, and have decisions besides.
    let files = room.ledger_files();
    let handoffs = files.iter().filter(|path| path.starts_with("artifacts/handoff/"));
    let recorded = handoffs.filter(|path| !path.contains("schedule-decided")).count();
    assert_eq!(facts.len(), recorded);
}

#[test]
fn no_cell_is_a_formula_and_none_is_obeyed() {
    let room = played();
    let mut neutral = 0;
    for name in ["items", "steps", "attempts", "events"] {
        let text = room.ok(&["export", "--format", "csv", "--table", name]);
        for cell in records(&text).into_iter().flatten() {
            let first = cell.chars().next().unwrap_or('x');
            assert!(!"=+-@\t\r".contains(first), "{name}: {cell:?}");
            neutral += usize::from(first == '\'');
            let bad = cell.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\t'));
            assert_eq!(bad, None, "{name}: {cell:?}");
        }
        // A reader that splits at semicolons or tabs finds none either: text is quoted.
        for part in text.split([';', '\t']) {
            assert!(!part.starts_with(['=', '+', '-', '@']), "{name}: {part:?}");
        }
    }
    assert!(neutral >= 10, "nothing was there to be neutralised: {neutral}");
    let items = csv(&room, "items");
    assert_eq!(items[0]["title"], format!("'{}", EVIL[0]));
    assert_eq!(items[5]["title"], EVIL[5].replace("\r\n", "\n"), "its lines are kept");
    assert_eq!(items[0]["labels"], format!("'{}\nsecond; third", EVIL[0]));
    let attempts = csv(&room, "attempts");
    assert!(attempts.iter().any(|row| row["outputs"].starts_with("'=out.txt sha256:")));
}

/// The Mermaid blocks of a report, by the word they begin with.
fn blocks<'t>(report: &'t str, kind: &str) -> Vec<&'t str> {
    report
        .split("```mermaid\n")
        .skip(1)
        .map(|rest| rest.split_once("```\n").expect("a block ends").0)
        .filter(|block| block.starts_with(kind))
        .collect()
}

/// One section of a report.
fn section<'t>(report: &'t str, item: &str) -> &'t str {
    let (_, rest) = report.split_once(&format!("\n## `{item}`\n")).expect("a section");
    rest.split("\n<a id=").next().unwrap_or(rest)
}

#[test]
fn the_report_has_a_picture_of_every_item_and_words_for_it() {
    let room = played();
    let report = room.ok(&["export", "--format", "md"]);
    let document: Value = serde_json::from_str(&room.ok(&["export"])).expect("one document");
    let items = document["items"].as_array().expect("items");
    assert_eq!(blocks(&report, "flowchart TD\n").len(), items.len());
    for item in items.iter().map(|item| &item["item"]) {
        let id = item["workItemId"].as_str().expect("an id");
        let row = format!("| [`{id}`](#item-{}) | ", id.to_lowercase());
        assert_eq!(report.matches(&row).count(), 1, "{id} has its row");
        assert!(report.contains(&format!("<a id=\"item-{}\"></a>", id.to_lowercase())));
        let section = section(&report, id);
        let graph = blocks(section, "flowchart")[0];
        let steps = item["steps"].as_array().expect("steps");
        for (at, step) in steps.iter().enumerate() {
            // A node a step, in the class of its state, and that class is defined.
            let node = graph
                .lines()
                .find(|line| line.trim_start().starts_with(&format!("s{at}[")))
                .or_else(|| {
                    graph.lines().find(|l| l.trim_start().starts_with(&format!("s{at}{{{{")))
                });
            let node = node.unwrap_or_else(|| panic!("no node of {step}\n{graph}"));
            let class = node.rsplit(":::").next().expect("a class");
            let state = step["state"].as_str().expect("a state");
            assert_eq!(class, if state == "needs-requeue" { "requeue" } else { state }, "{node}");
            assert!(graph.contains(&format!("  classDef {class} ")), "{graph}");
        }
        // A bar for every attempt that was held, and every gate's that was open.
        let bars = blocks(section, "gantt")
            .first()
            .map_or(0, |gantt| gantt.lines().filter(|line| line.starts_with("    ")).count());
        let shown = steps.iter().flat_map(|step| {
            let gate = !step["gate"].is_null();
            let attempts = step["attempts"].as_array().expect("attempts");
            attempts.iter().filter(move |a| gate || !a["claimedAt"].is_null())
        });
        assert_eq!(bars, shown.count(), "{section}");
        let blocked = ["waits", "blocked", "needs-requeue"];
        for step in steps.iter().filter(|s| blocked.iter().any(|word| s["state"] == *word)) {
            let key = step["key"].as_str().expect("a key");
            let reason = step["reason"].as_str().expect("a reason");
            assert!(section.contains(&format!("- `{key}`: {reason}\n")), "{key}\n{section}");
        }
    }
    let first = section(&report, "E0");
    assert!(
        first.contains("### Gates\n\n| gate | kind | state | approvals | decided |"),
        "{first}"
    );
    assert!(
        first.contains("| `look` | review | waits | 0 of 1 | `look.1` rejected, void: "),
        "{first}"
    );
    assert!(first.contains("- sent back: to `make` by gate `look.1`, `maintainer-1`: "), "{first}");
    let one = room.ok(&["export", "--format", "md", "E0"]);
    assert!(section(&one, "E0") == first, "one item's report is that section");
    assert_eq!(blocks(&one, "flowchart").len(), 1);
}

/// What a plan says stays inside its cell, its line and its label.
#[test]
fn nothing_in_the_report_is_more_than_text() {
    let room = played();
    let report = room.ok(&["export", "--format", "md"]);
    for bad in ["<script", "</script>", "<b>", "https://", "@team-1", "\u{1b}"] {
        assert!(!report.contains(bad), "{bad}");
    }
    let bad = report.chars().find(|c| c.is_control() && *c != '\n');
    assert_eq!(bad, None);
    // The only links are the table's own.
    for (before, after) in report.split("](").zip(report.split("](").skip(1)) {
        assert!(before.ends_with('\\') || after.starts_with("#item-"), "{before}]({after}");
    }
    // Tables keep their shape: as many bars that are no text as the head has.
    let bars = |line: &str| line.replace("\\|", "").matches('|').count();
    for rows in report.split("\n\n").filter(|part| part.starts_with("| ")) {
        let counts: Vec<usize> = rows.lines().map(bars).collect();
        assert!(counts.windows(2).all(|pair| pair[0] == pair[1]), "{rows}");
    }
    for block in blocks(&report, "") {
        assert!(!block.contains("%%"), "{block}");
        for line in block.lines().skip(1) {
            let quotes = line.matches('"').count();
            assert!(quotes == 0 || quotes == 2, "{line}");
        }
    }
    // A label that is a way out of a picture, in the workflow this time.
    room.write(
        "evil.yaml",
        "name: evil\nsteps:\n  - { key: end, title: \"x\\\"] --> y[\\\"z\" }\n  - { key: section }\n",
    );
    room.ok(&["delegate", "--plan", "evil.yaml", "--work-item", "EVIL"]);
    let report = room.ok(&["export", "--format", "md", "EVIL"]);
    let graph = blocks(&report, "flowchart")[0];
    assert!(graph.contains("s0[\"end: x#quot;] --#gt; y[#quot;z\"]:::ready"), "{graph}");
    assert_eq!(graph.lines().filter(|line| line.contains("-->")).count(), 1, "{graph}");
}

#[test]
fn a_folder_holds_whole_files_and_nothing_else() {
    let room = played();
    let listed = |dir: &str| {
        let entries = std::fs::read_dir(room.repo().join(dir)).expect("the folder");
        let mut names: Vec<String> = entries
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    };
    let read = |path: &str| std::fs::read_to_string(room.repo().join(path)).expect(path);
    let ran = room.run(&["export", "--format", "csv", "--output", "out/tables"]);
    assert_eq!(ran.code, 0, "{ran}");
    let names = ["attempts.csv", "events.csv", "items.csv", "steps.csv"];
    assert_eq!(listed("out/tables"), names);
    for name in ["items", "steps", "attempts", "events"] {
        let printed = room.ok(&["export", "--format", "csv", "--table", name]);
        assert!(read(&format!("out/tables/{name}.csv")) == printed, "{name}");
    }
    // Again: the same names, replaced.
    room.write("out/tables/items.csv", "stale");
    room.ok(&["export", "--format", "csv", "--output", "out/tables", "--table", "items"]);
    assert!(read("out/tables/items.csv").starts_with("\"work_item_id\""));
    assert_eq!(listed("out/tables"), names);
    room.ok(&["export", "--output", "out"]);
    room.ok(&["export", "--format", "md", "--output", "out"]);
    room.ok(&["export", "--format", "html", "--output", "out"]);
    assert_eq!(listed("out"), ["export.json", "report.html", "report.md", "tables"]);
    assert!(read("out/report.html") == room.ok(&["export", "--format", "html"]));
    assert!(read("out/export.json") == room.ok(&["export"]));
    assert!(read("out/report.md") == room.ok(&["export", "--format", "md"]));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let made = std::fs::metadata(room.repo().join("out/report.md")).expect("it is there");
        let beside = std::fs::metadata(room.repo().join("w.yaml")).expect("it is there");
        assert_eq!(made.permissions().mode(), beside.permissions().mode(), "like any file");
    }
    room.write("file", "");
    let ran = room.run(&["export", "--output", "file/below"]);
    assert_eq!(ran.code, 8, "{ran}");
}

#[test]
fn what_cannot_be_said_in_one_answer_is_refused_with_what_can() {
    let room = played();
    for (args, said) in [
        (&["export", "--format", "csv"][..], "--format csv --output DIR"),
        (&["export", "--format", "csv", "--table", "items", "--json"], "one JSON document"),
        (&["export", "--format", "md", "--json"], "one JSON document"),
        (&["export", "--format", "html", "--json"], "one JSON document"),
        (&["export", "E0", "--label", "x"], "items were named"),
        (&["export", "--tree", "x", "--label", "x"], "cannot be used with"),
        (&["export", "--table", "items"], "--table is for --format csv"),
        (&["export", "--format", "md", "--tree", "x"], "cannot be used with"),
        (&["export", "NOBODY"], "no work item NOBODY"),
    ] {
        let ran = room.run(args);
        assert!(matches!(ran.code, 2 | 5), "{args:?} {ran}");
        assert!(format!("{}{}", ran.stdout, ran.stderr).contains(said), "{args:?} {ran}");
    }
}

/// An item that cannot be read is named in whatever is written, and the export says so.
#[test]
fn a_stopped_item_is_named_and_never_left_out_silently() {
    let room = played();
    let path = room.ledger_file("E3/000001-_item-work-item-registered.json");
    room.tamper(&[(&path, Some("{}\n"))]);
    let run = |args: &[&str]| {
        let ran: Ran = room.run(&[&["export"], args].concat());
        assert_eq!(ran.code, 10, "{args:?} {ran}");
        assert!(ran.stderr.contains("E3 is stopped"), "{args:?} {ran}");
        ran.stdout
    };
    let document: Value = serde_json::from_str(&run(&[])).expect("one document");
    assert_eq!(document["stopped"][0]["workItemId"], "E3");
    assert_eq!(
        (&document["exitCode"], document["items"].as_array().map(Vec::len)),
        (&10.into(), Some(7))
    );
    let items = table(&run(&["--format", "csv", "--table", "items"]));
    let row = items.iter().find(|row| row["work_item_id"] == "E3").expect("its row");
    assert_eq!(row["status"], "stopped");
    assert!(row["stopped"].starts_with(&path), "{row:?}");
    let report = run(&["--format", "md"]);
    assert!(report.contains("- `E3`: artifacts/handoff/"), "{report}");
    run(&["--format", "csv", "--output", "tables"]);
}

/// So many items that several threads share the work: each comes in its place, with its own facts
/// and no other's.
#[test]
fn an_export_of_many_items_keeps_their_order() {
    let room = Room::with_ledger();
    let mut ids: Vec<String> = (0..140).map(|n| format!("MANY-{}", (n * 37) % 140)).collect();
    for id in &ids {
        room.ok(&["delegate", "--prompt", &format!("Do {id}"), "--work-item", id, "-q"]);
    }
    ids.sort();
    let (code, said) = room.json(&["export"]);
    assert_eq!(code, 0, "{said:#}");
    let items = said["items"].as_array().expect("items");
    let of =
        |item: &serde_json::Value| item["item"]["workItemId"].as_str().expect("an id").to_owned();
    assert_eq!(items.iter().map(of).collect::<Vec<_>>(), ids);
    let files = room.ledger_files();
    for item in items {
        let id = of(item);
        let facts = item["artifacts"].as_array().expect("artifacts");
        assert!(facts.iter().all(|fact| fact["workItemId"] == *id), "{id}: {facts:#?}");
        let own = |path: &&String| {
            path.contains(&format!("/{id}/")) && !path.ends_with("-schedule-decided.json")
        };
        let handoff = files.iter().filter(|path| path.starts_with("artifacts/handoff/"));
        assert_eq!(facts.len(), handoff.filter(own).count(), "{id}");
    }
    let rows = csv(&room, "items");
    assert_eq!(
        rows.iter().map(|row| &row["work_item_id"]).collect::<Vec<_>>(),
        ids.iter().collect::<Vec<_>>()
    );
    let report = room.ok(&["export", "--format", "md"]);
    let heads = report.lines().filter_map(|line| line.strip_prefix("## `"));
    let heads: Vec<&str> = heads.filter_map(|line| line.strip_suffix('`')).collect();
    assert_eq!(heads, ids);
}

/// Every format takes the filters of `status`, and leaves the same items.
#[test]
fn every_format_leaves_what_fits() {
    let room = crate::reading::situations();
    let ids = |args: &[&str]| {
        let document: Value =
            serde_json::from_str(&room.ok(&[&["export"], args].concat())).expect("one document");
        let filtered = !args.is_empty();
        let empty = document["ledgerEvents"] == serde_json::json!([]);
        assert_eq!(empty, filtered, "what concerns no item fits no filter");
        let items = document["items"].as_array().expect("items").clone();
        let id = |item: &Value| item["item"]["workItemId"].as_str().expect("an id").to_owned();
        let json: Vec<String> = items.iter().map(id).collect();
        let say = |format: &[&str]| room.ok(&[&["export"], format, args].concat());
        let rows = table(&say(&["--format", "csv", "--table", "items"]));
        let csv: Vec<String> = rows.iter().map(|row| row["work_item_id"].clone()).collect();
        assert_eq!(csv, json, "{args:?}");
        for name in ["steps", "attempts", "events"] {
            let rows = table(&say(&["--format", "csv", "--table", name]));
            let named: std::collections::BTreeSet<&String> =
                rows.iter().map(|row| &row["work_item_id"]).filter(|id| !id.is_empty()).collect();
            assert!(named.iter().all(|id| json.contains(id)), "{args:?} {name}");
            assert!(rows.iter().all(|row| !row["work_item_id"].is_empty()) || !filtered);
        }
        let md = say(&["--format", "md"]);
        let html = say(&["--format", "html"]);
        for id in room.ok(&["status", "--quiet"]).lines().map(|l| l.split('\t').next().unwrap_or(l))
        {
            let fits = json.iter().any(|known| known == id);
            assert_eq!(md.contains(&format!("\n## `{id}`\n")), fits, "{args:?} {id}");
            let row = html.contains(&format!("<article id=\"item-{}\"", id.to_lowercase()));
            assert_eq!(row, fits, "{args:?} {id}");
        }
        json
    };
    let all = ids(&[]);
    assert!(all.len() > 5, "{all:?}");
    for args in [
        &["--status", "completed"][..],
        &["--status", "ready", "--status", "completed"],
        &["--label", "shop"],
        &["--owner", "owner-1"],
        &["--workflow", "w@1"],
        &["--since", "5s"],
        &["--until", "2026-11-20T10:00:10Z"],
    ] {
        let status = room.ok(&[&["status", "--quiet"], args].concat());
        let expected: Vec<&str> =
            status.lines().map(|line| line.split('\t').next().unwrap_or(line)).collect();
        assert_eq!(ids(args), expected, "{args:?}");
        // All of them are on the one workflow; every other filter leaves some out.
        let fewer = expected.len() < all.len() || args[0] == "--workflow";
        assert!(!expected.is_empty() && fewer, "{args:?} compares nothing");
    }
    // Who ever held a step, which `status` does not ask.
    let claimed =
        room.ok(&["log", "--json", "--event", "attempt-claimed", "--executor", "agent-7"]);
    let mut held: Vec<String> = claimed
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("a document"))
        .map(|line| line["artifact"]["workItemId"].as_str().expect("an id").to_owned())
        .collect();
    held.sort();
    held.dedup();
    assert!(!held.is_empty());
    assert_eq!(ids(&["--executor", "agent-7"]), held);
}
