//! Versions of workflows: published for ever the same, compared by what they mean, listed, logged
//! and retired (FR-016, FR-022).

use serde_json::{Value, json};
use stepseal::domain::decide::{
    Decided, PublishWorkflow, RetireWorkflow, Unchanged, WorkflowAsk, decide_workflow,
};
use stepseal::domain::event::EventData;
use stepseal::domain::id::Digest;
use stepseal::domain::refusal::{Refusal, RefusalKind};
use stepseal::domain::state::LedgerState;
use stepseal::domain::workflow::{StepDefinition, Workflow};
use stepseal::report::{WorkflowDiff, diff};

use crate::domain_kit::{Shape as _, criterion, gate, id, moment_at, par, version, who, work};
use crate::kit::{Dice, Room, rounds};

// --- The rules -----------------------------------------------------------------------------

fn publish(workflow: &Workflow, reason: &str, impact: &str) -> WorkflowAsk {
    WorkflowAsk::Publish(Box::new(PublishWorkflow {
        workflow: workflow.clone(),
        path: "artifacts/workflows/x/v1.json".into(),
        reason: reason.into(),
        impact: impact.into(),
    }))
}

fn retire(workflow: &Workflow, version: u32) -> WorkflowAsk {
    let name = workflow.reference.name.clone();
    WorkflowAsk::Retire(RetireWorkflow { name, version, reason: "old".into() })
}

fn record(ledger: &mut LedgerState, ask: &WorkflowAsk, tick: i64) -> EventData {
    match decide_workflow(ledger, ask, &moment_at(tick, &who("ann"))) {
        Ok(Decided::Facts(facts)) => {
            assert_eq!(facts.len(), 1);
            ledger.apply(&facts[0], Digest::of(b"sealed")).expect("legal to read");
            facts[0].data.clone()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_version_is_published_once_with_one_content() {
    let mut ledger = LedgerState::default();
    let first = version(1, vec![work("a")]);
    let ask = |ledger: &LedgerState, ask: &WorkflowAsk| {
        decide_workflow(ledger, ask, &moment_at(9, &who("ann")))
    };
    for (reason, impact) in [("", "b"), ("a", " ")] {
        let refused = ask(&ledger, &publish(&first, reason, impact));
        assert!(matches!(refused, Err(Refusal::Invalid(_))), "{refused:?}");
    }
    let EventData::WorkflowPublished(data) = record(&mut ledger, &publish(&first, "r", "i"), 1)
    else {
        panic!("a publication");
    };
    assert_eq!((data.reason.as_deref(), data.impact.as_deref()), (Some("r"), Some("i")));
    let again = ask(&ledger, &publish(&first, "another", "reason"));
    assert!(matches!(again, Ok(Decided::Unchanged(Unchanged::Published { .. }))), "{again:?}");
    // Other content under a taken version: raise it beyond the newest there is.
    record(&mut ledger, &publish(&version(4, vec![work("a")]), "r", "i"), 2);
    let refused = ask(&ledger, &publish(&version(1, vec![work("b")]), "r", "i"));
    let Err(refusal) = refused else { panic!("{refused:?}") };
    assert_eq!(refusal.kind(), RefusalKind::Refused);
    assert!(matches!(refusal, Refusal::VersionTaken { version: 1, latest: 4, .. }), "{refusal:?}");
    // Retired once, known or not, and never back.
    let unknown = ask(&ledger, &retire(&first, 2));
    assert!(matches!(unknown, Err(Refusal::UnknownWorkflow { version: Some(2), .. })));
    record(&mut ledger, &retire(&first, 1), 3);
    let again = ask(&ledger, &retire(&first, 1));
    assert!(matches!(again, Ok(Decided::Unchanged(Unchanged::Retired { .. }))), "{again:?}");
    let back = ask(&ledger, &publish(&first, "r", "i"));
    assert!(matches!(back, Err(Refusal::WorkflowRetired { version: 1, .. })), "{back:?}");
}

// --- What differs --------------------------------------------------------------------------

fn compared(before: Vec<StepDefinition>, after: Vec<StepDefinition>) -> WorkflowDiff {
    diff(&version(1, before), &version(2, after))
}

/// One line a difference, to be read.
fn told(diff: &WorkflowDiff) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".into());
    let keys = |keys: &[stepseal::domain::id::StepKey]| {
        keys.iter().map(|key| key.as_str()).collect::<Vec<_>>().join(",")
    };
    lines.extend(diff.added.iter().map(|key| format!("+ {key}")));
    lines.extend(diff.removed.iter().map(|key| format!("- {key}")));
    for change in &diff.changed {
        let key = &change.key;
        for field in &change.fields {
            let (before, after) = (text(&field.before), text(&field.after));
            lines.push(format!("{key} {}: {before} > {after}", field.field));
        }
        if change.moved {
            lines.push(format!("{key} moved"));
        }
        if !change.waits_added.is_empty() || !change.waits_removed.is_empty() {
            let (now, gone) = (keys(&change.waits_added), keys(&change.waits_removed));
            lines.push(format!("{key} waits +{now} -{gone}"));
        }
    }
    lines
}

#[test]
fn what_means_the_same_is_no_difference() {
    let steps = || {
        vec![
            work("a").shares(&["db", "net"]),
            par("b").needs(&["a"]),
            par("c").needs(&["a", "b"]),
            gate("ok").order(9).approvers(&["x", "y"], &["lead"]),
        ]
    };
    assert!(compared(steps(), steps()).is_empty());
    // Numbers, the order of sets, lines of a plan: written otherwise, meant the same.
    let mut other = steps();
    other[0] = work("a").shares(&["net", "db"]).order(10);
    other[1] = par("b").needs(&["a"]).order(20);
    other[2] = par("c").needs(&["b", "a"]).order(30);
    other[3] = gate("ok").order(40).approvers(&["y", "x"], &["lead"]);
    other[1].source =
        Some(stepseal::domain::workflow::Source { line: 3, phase: None, needs: Vec::new() });
    other.reverse();
    let diff = compared(steps(), other);
    assert!(diff.is_empty(), "{:?}", told(&diff));
}

#[test]
fn steps_fields_order_and_waits_are_told_apart() {
    let before = vec![work("a"), work("b").exit(&["green"]), work("c"), gate("ok").quorum(1)];
    // In the middle: what stands after it waits for it, and nothing moved.
    let mut after = before.clone();
    after.insert(1, work("new"));
    assert_eq!(told(&compared(before.clone(), after)), ["+ new", "b waits +new -a"]);
    // Away.
    let after = vec![before[0].clone(), before[2].clone(), before[3].clone()];
    assert_eq!(told(&compared(before.clone(), after)), ["- b", "c waits +a -b"]);
    // One step goes elsewhere: it is the one that moved.
    let after = vec![before[1].clone(), before[2].clone(), before[0].clone(), before[3].clone()];
    assert_eq!(
        told(&compared(before.clone(), after)),
        ["b waits + -a", "a moved", "a waits +c -", "ok waits +a -c"]
    );
    // Fields, each by its name, criteria by theirs.
    let mut after = before.clone();
    after[1].title = Some("Build".into());
    after[1].exit[0].text = "other words".into();
    after[1].exit.push(criterion("seen"));
    after[1].role = Some(id("maker"));
    after[3] = gate("ok").quorum(2).reject_to("b").approvers(&[], &["lead"]);
    let lines = told(&compared(before.clone(), after));
    let text = &before[1].exit[0].text;
    assert_eq!(
        lines,
        [
            "b title: - > Build".to_owned(),
            "b role: - > maker".to_owned(),
            format!("b exit.green: {text} > other words"),
            format!("b exit.seen: - > {}", criterion("seen").text),
            "ok gate.approvers.roles: - > lead".to_owned(),
            "ok gate.quorum: 1 > 2".to_owned(),
            "ok gate.rejectTo: - > b".to_owned(),
        ]
    );
    // A written wait that is implied too changes a field and no wait; none and nothing differ.
    let base = vec![work("a"), par("b")];
    assert_eq!(
        told(&compared(base.clone(), vec![work("a"), par("b").needs(&["a"])])),
        ["b needs: - > a"]
    );
    assert_eq!(
        told(&compared(base, vec![work("a"), par("b").needs(&[])])),
        ["b needs: - > nothing", "b waits + -a"]
    );
}

#[test]
fn arguments_with_spaces_are_not_more_arguments() {
    let run = |words: &[&str]| {
        let mut step = work("a");
        step.execute = Some(stepseal::domain::workflow::Execute {
            run: words.iter().map(|&word| word.to_owned()).collect(),
            timeout: None,
        });
        vec![step]
    };
    assert_eq!(compared(run(&["make", "all"]), run(&["make all"])).changed.len(), 1);
}

/// As few steps move as can be: by trying every set of steps that may stay.
#[test]
fn the_fewest_steps_are_said_to_have_moved() {
    let mut dice = Dice::new();
    for _ in 0..rounds(60, 2_000) {
        let count = 2 + dice.below(6) as usize;
        let mut order: Vec<usize> = (0..count).collect();
        for at in (1..count).rev() {
            order.swap(at, dice.below(at as u64 + 1) as usize);
        }
        let name = |n: usize| format!("s{n}");
        let steps = |order: &[usize]| order.iter().map(|&n| work(&name(n))).collect::<Vec<_>>();
        let sorted: Vec<usize> = (0..count).collect();
        let diff = compared(steps(&sorted), steps(&order));
        let moved: Vec<String> =
            diff.changed.iter().filter(|c| c.moved).map(|c| c.key.to_string()).collect();
        let rises = |left_out: &dyn Fn(usize) -> bool| {
            let stay: Vec<usize> = order.iter().copied().filter(|&n| !left_out(n)).collect();
            stay.is_sorted()
        };
        assert!(rises(&|n| moved.contains(&name(n))), "{order:?}: {moved:?}");
        let fewest = (0..1_u32 << count)
            .filter(|set| rises(&|n| set & (1 << n) != 0))
            .map(u32::count_ones)
            .min();
        assert_eq!(Some(moved.len()), fewest.map(|n| n as usize), "{order:?}: {moved:?}");
    }
}

// --- Through the binary --------------------------------------------------------------------

fn file(version: u32, steps: &[&str], effective: &str) -> String {
    let mut text =
        format!("schema: stepseal/workflow/1\nname: ship\nversion: {version}\n{effective}steps:\n");
    for step in steps {
        text.push_str(&format!("  - key: {step}\n"));
    }
    text
}

fn published(room: &Room, file: &str) -> (i32, Value) {
    room.json(&["workflow", "publish", file, "--reason", "why", "--impact", "who"])
}

#[test]
fn a_version_is_published_compared_listed_and_retired() {
    let room = Room::with_ledger();
    room.write("one.yaml", &file(1, &["build", "out"], ""));
    room.write("two.yaml", &file(2, &["build", "audit", "out"], ""));
    let (code, first) = published(&room, "one.yaml");
    assert_eq!((code, &first["outcome"], &first["diff"]), (0, &json!("published"), &Value::Null));
    let tip = room.git(&["rev-parse", "stepseal-ledger"]);
    let (code, again) = published(&room, "one.yaml");
    assert_eq!(
        (code, &again["outcome"], &again["recorded"]),
        (0, &json!("unchanged"), &json!(false))
    );
    assert_eq!(room.git(&["rev-parse", "stepseal-ledger"]), tip);
    // The delegated item uses what is published: no second publication.
    room.ok(&["delegate", "--plan", "one.yaml", "--work-item", "A"]);
    room.ok(&["delegate", "--workflow", "ship", "--prompt", "B", "--work-item", "B"]);
    room.ok(&["cancel", "--work-item", "B", "--reason", "not this one"]);
    // Other content under the old version.
    room.write("changed.yaml", &file(1, &["build", "ship"], ""));
    let (code, refused) = published(&room, "changed.yaml");
    assert_eq!(
        (code, &refused["reason"], &refused["data"]["latest"]),
        (4, &json!("version-taken"), &json!(1))
    );
    assert!(
        room.run(&["workflow", "publish", "changed.yaml", "--reason", "r", "--impact", "i"])
            .stderr
            .contains("raise `version` to 2")
    );
    // The next version, looked at first: A is in flight, B is over.
    let dry = ["workflow", "publish", "two.yaml", "--reason", "r", "--impact", "i", "--dry-run"];
    let tip = room.git(&["rev-parse", "stepseal-ledger"]);
    let (code, looked) = room.json(&dry);
    assert_eq!((code, &looked["outcome"]), (0, &json!("dry-run")));
    assert_eq!(room.git(&["rev-parse", "stepseal-ledger"]), tip);
    let (code, second) = published(&room, "two.yaml");
    assert_eq!((code, &second["outcome"]), (0, &json!("published")));
    assert_eq!(second["inFlight"], looked["inFlight"]);
    assert_eq!(second["inFlight"], json!([{ "workItemId": "A", "version": 1, "status": "ready" }]));
    assert_eq!(second["diff"]["added"], json!(["audit"]));
    // What it says to type works.
    let next: Vec<String> = serde_json::from_value(second["next"][0].clone()).expect("words");
    let next: Vec<&str> = next[1..].iter().map(String::as_str).collect();
    room.ok(&next);
    let (_, apart) = room.json(&["workflow", "diff", "ship@1", "two.yaml"]);
    assert_eq!(apart["diff"], second["diff"]);
    let text = room.ok(&["workflow", "diff", "ship@1", "ship@2"]);
    assert!(text.contains("+ audit") && text.contains("now for audit"), "{text}");
    // New items take the newest one; the list says who is where.
    room.ok(&["delegate", "--workflow", "ship", "--prompt", "C", "--work-item", "C"]);
    let list = room.json(&["workflow", "list"]).1;
    let rows: Vec<Value> = list["versions"]
        .as_array()
        .expect("versions")
        .iter()
        .map(|v| json!([v["version"], v["state"], v["items"], v["open"]]))
        .collect();
    assert_eq!(rows, [json!([1, "in-use", 2, 1]), json!([2, "in-use", 1, 1])]);
    // Retired: nobody starts on it, A goes on.
    let (code, gone) = room.json(&["workflow", "retire", "ship@1", "--reason", "no audit"]);
    assert_eq!((code, &gone["outcome"], &gone["inFlight"]), (0, &json!("retired"), &json!(["A"])));
    assert_eq!(
        room.json(&["workflow", "retire", "ship@1", "--reason", "x"]).1["outcome"],
        "unchanged"
    );
    let (code, refused) = room.json(&["delegate", "--plan", "one.yaml", "--work-item", "D"]);
    assert_eq!((code, &refused["reason"]), (4, &json!("workflow-retired")));
    room.ok(&["claim", "--work-item", "A", "--step", "build"]);
    room.ok(&["complete", "--work-item", "A", "--step", "build", "--outcome", "built"]);
    // The log has every change with its reason; what an item brought has none.
    let log = room.json(&["workflow", "log", "ship"]).1;
    let told: Vec<Value> = log["events"]
        .as_array()
        .expect("events")
        .iter()
        .map(|e| json!([e["version"], e["event"], e["reason"], e["impact"]]))
        .collect();
    assert_eq!(
        told,
        [
            json!([1, "published", "why", "who"]),
            json!([2, "published", "why", "who"]),
            json!([1, "retired", "no audit", null]),
        ]
    );
    assert_eq!(room.run(&["workflow", "log", "nothing"]).code, 5);
    assert_eq!(room.run(&["workflow", "retire", "ship", "--reason", "r"]).code, 2);
    assert_eq!(room.run(&["workflow", "retire", "ship@7", "--reason", "r"]).code, 5);
    room.ok(&["verify", "--deep"]);
}

#[test]
fn new_items_start_on_the_newest_version_that_is_in_effect() {
    let room = Room::with_ledger();
    room.write("one.yaml", &file(1, &["build"], ""));
    room.write(
        "two.yaml",
        &file(2, &["build", "out"], "effective: { from: 2999-01-01T00:00:00Z }\n"),
    );
    room.write(
        "three.yaml",
        &file(3, &["build", "late"], "effective: { to: 2001-01-01T00:00:00Z }\n"),
    );
    for file in ["one.yaml", "two.yaml", "three.yaml"] {
        assert_eq!(published(&room, file).0, 0);
    }
    let states: Vec<Value> = room.json(&["workflow", "list"]).1["versions"]
        .as_array()
        .expect("versions")
        .iter()
        .map(|version| version["state"].clone())
        .collect();
    assert_eq!(states, ["in-use", "not-yet", "ended"]);
    let on = |name: &str, words: &[&str]| {
        room.json(&[&["delegate", "--prompt", name, "--work-item", name], words].concat()).1
    };
    assert_eq!(on("A", &["--workflow", "ship"])["version"], 1);
    assert_eq!(on("B", &[])["version"], 1);
    for version in ["ship@2", "ship@3"] {
        assert_eq!(on("C", &["--workflow", version])["reason"], "not-effective");
    }
    room.ok(&["workflow", "retire", "ship@1", "--reason", "r"]);
    assert_eq!(on("C", &["--workflow", "ship"])["reason"], "not-effective");
    room.ok(&["workflow", "retire", "ship@2", "--reason", "r"]);
    room.ok(&["workflow", "retire", "ship@3", "--reason", "r"]);
    assert_eq!(on("C", &["--workflow", "ship"])["reason"], "workflow-retired");
}

#[test]
fn only_a_workflow_file_is_published() {
    let room = Room::with_ledger();
    room.write("tasks.md", crate::transcript::ALBUMS);
    let (code, refused) = published(&room, "tasks.md");
    assert_eq!(code, 2, "{refused:#}");
    assert_eq!(
        refused["next"][0],
        json!(["stepseal", "delegate", "--plan", "tasks.md", "--dry-run"])
    );
    assert_eq!(published(&room, "nothing.yaml").0, 5);
    room.write("bad.yaml", "name: ship\nsteps:\n  - { key: a, needs: [b] }\n");
    let ran = room.run(&["workflow", "publish", "bad.yaml", "--reason", "r", "--impact", "i"]);
    assert!(ran.code == 2 && ran.stderr.contains("bad.yaml:3"), "{ran}");
    assert_eq!(room.json(&["workflow", "list"]).1["versions"], json!([]));
}
