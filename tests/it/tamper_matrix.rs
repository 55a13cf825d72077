//! The tamper matrix (P12): eight ways to tamper with a ledger, ten variants each, and twenty
//! ledgers that nobody tampered with. `verify` says the right class, and nothing of the others.
//!
//! The attacker has every right on the repository and knows the format: seals are made anew where
//! that helps them. What they do not have is this clone's memory of what it saw.

use std::collections::BTreeSet;

use stepseal::artifact::{self, decode_event, encode_event};
use stepseal::domain::event::{Event, EventData};

use super::domain_kit::id;
use super::forge::{self, BRANCH, Changes, Told, history, last_seal, resealed, sealed, tip};
use super::kit::{Room, figure, parallel_workflow, rounds};

/// Three items on three workflows; 12 commits.
fn scene() -> Room {
    let room = Room::with_ledger();
    room.write("one.yaml", &parallel_workflow("one", 6));
    room.write("two.yaml", &parallel_workflow("two", 6));
    room.write(
        "flow.yaml",
        "name: flow\nsteps:\n  - { key: build }\n  - { key: test }\n  - { key: review, gate: { kind: review, rejectTo: build } }\n",
    );
    for (item, plan) in [("WI-A", "one.yaml"), ("WI-B", "two.yaml"), ("WI-C", "flow.yaml")] {
        room.ok(&["delegate", "--plan", plan, "--work-item", item]);
    }
    let acts: [(&str, &[&str]); 7] = [
        ("agent-1", &["claim", "--work-item", "WI-A", "--step", "s001"]),
        ("agent-1", &["complete", "--work-item", "WI-A", "--step", "s001", "--outcome", "did it"]),
        ("agent-2", &["claim", "--work-item", "WI-A", "--step", "s002", "--attempt", "mine"]),
        ("agent-1", &["claim", "--work-item", "WI-B", "--step", "s001"]),
        ("agent-1", &["complete", "--work-item", "WI-B", "--step", "s001", "--outcome", "did it"]),
        ("agent-3", &["claim", "--work-item", "WI-B", "--step", "s002"]),
        ("agent-3", &["release", "--work-item", "WI-B", "--step", "s002", "--reason", "no time"]),
    ];
    for (executor, args) in acts {
        let ran = room.run_as(executor, args);
        assert_eq!(ran.code, 0, "{args:?} {ran}");
    }
    room
}

/// The path of an item's event with this number.
fn event(room: &Room, item: &str, number: u32) -> String {
    let files = room.ledger_files();
    let found = files.iter().find(|path| path.contains(&format!("/{item}/{number:06}-")));
    found.unwrap_or_else(|| panic!("{item} has no event {number}: {files:#?}")).clone()
}

fn text(room: &Room, path: &str) -> String {
    room.ledger_text(path)
}

/// The first ledger file below this folder with this in its path.
fn derived(room: &Room, folder: &str, part: &str) -> String {
    let files = room.ledger_files();
    let mut found = files.iter().filter(|path| path.starts_with(folder) && path.contains(part));
    found.next().unwrap_or_else(|| panic!("no {folder} {part} in {files:#?}")).clone()
}

/// A commit without a seal, as anybody with git makes it.
fn plainly(room: &Room, changes: &[(&str, Option<&str>)]) {
    let changes = changes.iter().map(|(path, text)| ((*path).to_owned(), text.map(|t| t.into())));
    let told = Told { message: "fix\n".into(), changes: changes.collect() };
    forge::write(room, Some(&tip(room)), &[told]);
}

/// Alters one file word for word; the word must be there.
fn alter(room: &Room, path: &str, from: &str, to: &str) {
    let before = text(room, path);
    let after = before.replacen(from, to, 1);
    assert_ne!(before, after, "{from} is not in {path}: {before}");
    plainly(room, &[(path, Some(&after))]);
}

fn swap(room: &Room, paths: &[&str]) {
    let texts: Vec<String> = paths.iter().map(|path| text(room, path)).collect();
    let moved =
        paths.iter().enumerate().map(|(n, path)| (*path, Some(&*texts[(n + 1) % texts.len()])));
    plainly(room, &moved.collect::<Vec<_>>());
}

/// Appends events with a seal as right as stepseal's own; derived files stay as they were.
fn append(room: &Room, events: &[Event]) {
    let mut changes = Changes::new();
    let mut next = std::collections::BTreeMap::new();
    for event in events {
        let item = event.work_item_id.clone().expect("an item's event");
        let folder = artifact::item_folder(&item);
        let count = || room.ledger_files().iter().filter(|p| p.starts_with(&folder)).count();
        let number = next.entry(item.to_string()).or_insert_with(count);
        *number += 1;
        let key = event.step.as_ref().map(|step| &step.key);
        let path =
            artifact::event_path(&item, u32::try_from(*number).expect("few"), key, event.kind());
        changes.insert(path, Some(encode_event(event).expect("it fits on paper")));
    }
    forge::write(room, Some(&tip(room)), &[sealed(room, changes, &[], |_| {})]);
}

fn read(room: &Room, item: &str, number: u32) -> Event {
    decode_event(text(room, &event(room, item, number)).as_bytes()).expect("an event")
}

/// A claim like the one with this number, under other ids, with changes.
fn claim_like(room: &Room, item: &str, number: u32, change: impl FnOnce(&mut Event)) -> Event {
    let mut event = read(room, item, number);
    let EventData::AttemptClaimed(data) = &mut event.data else { panic!("{event:?}") };
    data.claim_id = id("0199fbd0-9326-7c9f-9676-efaa69171799");
    data.alias = None;
    event.id = id("0199fbd0-9326-7c9f-9676-efaa69171736");
    event.actor.id = id("mallory");
    change(&mut event);
    event
}

/// Rewrites the whole branch, every seal, digest and link made anew.
fn rewrite(room: &Room, edit: impl FnMut(usize, &mut Changes)) {
    let told = resealed(&history(room), edit);
    forge::write(room, None, &told);
}

/// Replaces words in every file of the history.
fn reword(from: &str, to: &str) -> impl FnMut(usize, &mut Changes) {
    move |_, changes| {
        for bytes in changes.values_mut().flatten() {
            let text = String::from_utf8(bytes.clone()).expect("UTF-8");
            *bytes = text.replace(from, to).into_bytes();
        }
    }
}

/// Another repository's ledger in place of this one.
fn replace_by(room: &Room, other: &Room) {
    let url = other.repo().display().to_string();
    room.git(&["fetch", "--quiet", "--force", &url, &format!("{BRANCH}:{BRANCH}")]);
}

/// What verify may find: every class it names is one of these, and all of these are named.
struct Attack {
    class: &'static str,
    name: &'static str,
    finds: &'static [&'static str],
    by: fn(&Room),
}

const fn attack(
    class: &'static str,
    name: &'static str,
    finds: &'static [&'static str],
    by: fn(&Room),
) -> Attack {
    Attack { class, name, finds, by }
}

const ATTACKS: [Attack; 80] = [
    // One sealed file has other bytes.
    attack("altered", "an outcome", &["altered"], |room| {
        alter(room, &event(room, "WI-A", 4), "did it", "did not");
    }),
    attack("altered", "a time", &["altered"], |room| {
        alter(room, &event(room, "WI-A", 3), "2026-11-20T10:", "2026-11-20T09:");
    }),
    attack("altered", "cut short", &["altered"], |room| {
        let path = event(room, "WI-A", 4);
        let half = text(room, &path);
        plainly(room, &[(&path, Some(&half[..half.len() / 2]))]);
    }),
    attack("altered", "one newline more", &["altered"], |room| {
        let path = event(room, "WI-A", 2);
        let more = text(room, &path) + "\n";
        plainly(room, &[(&path, Some(&more))]);
    }),
    attack("altered", "a registration", &["altered"], |room| {
        alter(room, &event(room, "WI-B", 1), "\"title\": \"two\"", "\"title\": \"too\"");
    }),
    attack("altered", "a definition", &["altered"], |room| {
        alter(room, "artifacts/workflows/flow/v1.json", "\"test\"", "\"tess\"");
    }),
    attack("altered", "an event of the ledger", &["altered"], |room| {
        let path = derived(room, "artifacts/handoff/_ledger/", "000002-");
        alter(room, &path, "maintainer-1", "maintainer-2");
    }),
    attack("altered", "the ledger's document", &["altered"], |room| {
        alter(room, "artifacts/ledger.json", "\"created\": \"2026", "\"created\": \"2025");
    }),
    attack("altered", "the README", &["altered"], |room| {
        alter(room, "README.md", "Nobody", "Somebody");
    }),
    attack("altered", "called restored by a seal that chains", &["altered"], |room| {
        let path = event(room, "WI-A", 4);
        let bytes = text(room, &path).replace("did it", "did not").into_bytes();
        let told = sealed(room, Changes::from([(path.clone(), Some(bytes))]), &[&path], |_| {});
        forge::write(room, Some(&tip(room)), &[told]);
    }),
    // A sealed file is gone.
    attack("deleted", "an event in the middle", &["deleted"], |room| {
        plainly(room, &[(&event(room, "WI-A", 3), None)]);
    }),
    attack("deleted", "the last event", &["deleted"], |room| {
        plainly(room, &[(&event(room, "WI-A", 5), None)]);
    }),
    attack("deleted", "the first event", &["deleted"], |room| {
        plainly(room, &[(&event(room, "WI-B", 1), None)]);
    }),
    attack("deleted", "an item with all that is derived from it", &["deleted"], |room| {
        let files = room.ledger_files();
        let its = files.iter().filter(|path| path.contains("/WI-B"));
        plainly(room, &its.map(|path| (path.as_str(), None)).collect::<Vec<_>>());
    }),
    attack("deleted", "a definition", &["deleted"], |room| {
        plainly(room, &[("artifacts/workflows/one/v1.json", None)]);
    }),
    attack("deleted", "the ledger's document", &["deleted"], |room| {
        plainly(room, &[("artifacts/ledger.json", None)]);
    }),
    attack("deleted", "an event of the ledger", &["deleted"], |room| {
        plainly(room, &[(&derived(room, "artifacts/handoff/_ledger/", "000001-"), None)]);
    }),
    attack("deleted", "a seal in the middle", &["deleted"], |room| {
        plainly(room, &[("artifacts/seals/000000/000000004.json", None)]);
    }),
    attack("deleted", "the last seal", &["deleted"], |room| {
        plainly(room, &[(&last_seal(room), None)]);
    }),
    attack("deleted", "called restored by a seal that chains", &["deleted"], |room| {
        let path = event(room, "WI-A", 5);
        let told = sealed(room, Changes::from([(path.clone(), None)]), &[&path], |_| {});
        forge::write(room, Some(&tip(room)), &[told]);
    }),
    // Sealed files have each other's bytes.
    attack("reordered", "a claim and its completion", &["reordered"], |room| {
        swap(room, &[&event(room, "WI-A", 3), &event(room, "WI-A", 4)]);
    }),
    attack("reordered", "the first two events", &["reordered"], |room| {
        swap(room, &[&event(room, "WI-B", 1), &event(room, "WI-B", 2)]);
    }),
    attack("reordered", "two claims of two people", &["reordered"], |room| {
        swap(room, &[&event(room, "WI-A", 3), &event(room, "WI-A", 5)]);
    }),
    attack("reordered", "events of two items", &["reordered"], |room| {
        swap(room, &[&event(room, "WI-A", 4), &event(room, "WI-B", 4)]);
    }),
    attack("reordered", "two definitions", &["reordered"], |room| {
        swap(room, &["artifacts/workflows/one/v1.json", "artifacts/workflows/two/v1.json"]);
    }),
    attack("reordered", "two events of the ledger", &["reordered"], |room| {
        let path = |number| derived(room, "artifacts/handoff/_ledger/", number);
        swap(room, &[&path("000001-"), &path("000002-")]);
    }),
    attack("reordered", "the decisions of two items", &["reordered"], |room| {
        swap(room, &[&event(room, "WI-A", 2), &event(room, "WI-C", 2)]);
    }),
    attack("reordered", "three in a circle", &["reordered"], |room| {
        let paths = [3, 4, 5].map(|number| event(room, "WI-A", number));
        swap(room, &[&paths[0], &paths[1], &paths[2]]);
    }),
    attack("reordered", "two pairs at once", &["reordered"], |room| {
        swap(room, &[&event(room, "WI-A", 3), &event(room, "WI-A", 4)]);
        swap(room, &[&event(room, "WI-B", 3), &event(room, "WI-B", 4)]);
    }),
    attack("reordered", "called restored by a seal that chains", &["reordered"], |room| {
        let paths = [event(room, "WI-A", 3), event(room, "WI-A", 4)];
        let texts = [text(room, &paths[1]), text(room, &paths[0])];
        let changes =
            paths.iter().cloned().zip(texts.map(|text| Some(text.into_bytes()))).collect();
        let told = sealed(room, changes, &[&paths[0], &paths[1]], |_| {});
        forge::write(room, Some(&tip(room)), &[told]);
    }),
    // The branch was moved back.
    attack("truncated tail", "by one commit", &["cut-tail"], |room| cut(room, 1)),
    attack("truncated tail", "by two", &["cut-tail"], |room| cut(room, 2)),
    attack("truncated tail", "by three", &["cut-tail"], |room| cut(room, 3)),
    attack("truncated tail", "by seven", &["cut-tail"], |room| cut(room, 7)),
    attack("truncated tail", "to the first commit", &["cut-tail"], |room| cut(room, 10)),
    attack("truncated tail", "the branch deleted", &["cut-tail"], |room| {
        room.git(&["update-ref", "-d", BRANCH]);
    }),
    attack("truncated tail", "packed away", &["cut-tail"], |room| {
        cut(room, 2);
        room.git(&["pack-refs", "--all"]);
    }),
    attack("truncated tail", "with the log of the branch gone", &["cut-tail"], |room| {
        cut(room, 2);
        room.git(&["reflog", "expire", "--expire=now", "--all"]);
    }),
    attack("truncated tail", "and what was cut off collected", &["cut-tail"], |room| {
        cut(room, 2);
        room.git(&["reflog", "expire", "--expire=now", "--all"]);
        room.git(&["gc", "--quiet", "--prune=now"]);
    }),
    attack("truncated tail", "through a packed repository", &["cut-tail"], |room| {
        room.git(&["repack", "-a", "-d", "--quiet"]);
        cut(room, 1);
    }),
    // Another history that is sound in itself.
    attack("force-push rewrite", "an outcome", &["rewritten"], |room| {
        rewrite(room, reword("did it", "did not"));
    }),
    attack("force-push rewrite", "a time", &["rewritten"], |room| {
        rewrite(room, reword("2026-11-20T10:00:06", "2026-11-20T10:00:05"));
    }),
    attack("force-push rewrite", "two acts in the other order", &["rewritten"], |room| {
        let mut told = history(room);
        told.swap(6, 7);
        forge::write(room, None, &resealed(&told, |_, _| {}));
    }),
    attack("force-push rewrite", "two leaves in the other order", &["rewritten"], |room| {
        let mut told = history(room);
        for bytes in told[1].changes.values_mut().flatten() {
            if let Ok(mut seal) = artifact::decode::<artifact::Seal>(bytes) {
                seal.artifacts.reverse();
                *bytes = artifact::encode(&seal);
            }
        }
        forge::write(room, None, &resealed(&told, |_, _| {}));
    }),
    attack("force-push rewrite", "the last message", &["rewritten"], |room| {
        amend(room, 1, "Somebody else did this");
    }),
    attack("force-push rewrite", "the first message", &["rewritten"], |room| {
        let mut told = history(room);
        told[0].message = told[0].message.replace("stepseal: ", "stepseal; ");
        forge::write(room, None, &told);
    }),
    attack("force-push rewrite", "every commit's time and author", &["rewritten"], |room| {
        forge::write(room, None, &history(room));
    }),
    attack("force-push rewrite", "an empty commit in the middle", &["rewritten"], |room| {
        let mut told = history(room);
        told.insert(5, Told { message: "nothing\n".into(), changes: Changes::new() });
        forge::write(room, None, &told);
    }),
    attack("force-push rewrite", "cut, and gone on with other acts", &["rewritten"], |room| {
        forked(room, &["s004", "s005", "s006"]);
    }),
    attack("force-push rewrite", "cut, and gone on with fewer acts", &["rewritten"], |room| {
        forked(room, &["s004"]);
    }),
    // Somebody else is said to have done it.
    attack("forged actor", "who worked", &["altered"], |room| {
        alter(room, &event(room, "WI-A", 4), "\"id\": \"agent-1\"", "\"id\": \"agent-9\"");
    }),
    attack("forged actor", "who is accountable", &["altered"], |room| {
        alter(
            room,
            &event(room, "WI-A", 4),
            "\"principal\": \"maintainer-1\"",
            "\"principal\": \"maintainer-9\"",
        );
    }),
    attack("forged actor", "a person for a program", &["altered"], |room| {
        alter(room, &event(room, "WI-A", 3), "\"kind\": \"human\"", "\"kind\": \"agent\"");
    }),
    attack("forged actor", "who holds it, for readers", &["wrong-derived"], |room| {
        let path = derived(room, "artifacts/claims/", "/WI-A/s002.1");
        alter(room, &path, "agent-2", "agent-9");
    }),
    attack("forged actor", "who is busy", &["wrong-derived"], |room| {
        let path = derived(room, "artifacts/busy/", "");
        alter(room, &path, "agent-2", "agent-9");
    }),
    attack("forged actor", "who wrote a commit", &["broken-seal"], |room| {
        let path = "artifacts/seals/000000/000000006.json";
        alter(room, path, "\"id\": \"agent-1\"", "\"id\": \"agent-9\"");
    }),
    attack("forged actor", "who wrote the last commit", &["foreign-commit"], |room| {
        alter(room, &last_seal(room), "\"id\": \"agent-3\"", "\"id\": \"agent-9\"");
    }),
    attack(
        "forged actor",
        "a completion of another's claim, sealed",
        &["illegal-transition"],
        |room| {
            let mut done = read(room, "WI-A", 4);
            let held = read(room, "WI-A", 5);
            done.id = id("0199fbd0-9326-7c9f-9676-efaa69171736");
            (done.step, done.attempt_id) = (held.step, held.attempt_id);
            append(room, &[done]);
        },
    ),
    attack("forged actor", "a decision in a person's name, sealed", &["wrong-decision"], |room| {
        let mut decided = read(room, "WI-A", 2);
        decided.id = id("0199fbd0-9326-7c9f-9676-efaa69171736");
        decided.actor = read(room, "WI-A", 3).actor;
        append(room, &[decided]);
    }),
    attack("forged actor", "everywhere, resealed", &["rewritten"], |room| {
        rewrite(room, reword("agent-3", "agent-9"));
    }),
    // One attempt, two holders; or one holder, two attempts.
    attack(
        "duplicated claim",
        "of an attempt somebody holds, sealed",
        &["illegal-transition"],
        |room| {
            append(room, &[claim_like(room, "WI-A", 5, |_| {})]);
        },
    ),
    attack("duplicated claim", "the same claim again, sealed", &["illegal-transition"], |room| {
        append(room, &[read(room, "WI-A", 5)]);
    }),
    attack(
        "duplicated claim",
        "of an attempt that is done, sealed",
        &["illegal-transition"],
        |room| {
            append(room, &[claim_like(room, "WI-A", 3, |_| {})]);
        },
    ),
    attack("duplicated claim", "of a released attempt, sealed", &["illegal-transition"], |room| {
        append(room, &[claim_like(room, "WI-B", 5, |_| {})]);
    }),
    attack(
        "duplicated claim",
        "of an attempt nobody opened, sealed",
        &["illegal-transition"],
        |room| {
            append(
                room,
                &[claim_like(room, "WI-A", 3, |event| event.attempt_id = Some(id("s001.2")))],
            );
        },
    ),
    attack(
        "duplicated claim",
        "of a step whose turn it is not, sealed",
        &["illegal-transition"],
        |room| {
            let flow = read(room, "WI-C", 1);
            append(
                room,
                &[claim_like(room, "WI-A", 3, |event| {
                    (event.work_item_id, event.workflow) = (flow.work_item_id, flow.workflow);
                    event.step.as_mut().expect("a step").key = id("test");
                    event.step.as_mut().expect("a step").order = 2;
                    event.attempt_id = Some(id("test.1"));
                    event.links.clear();
                })],
            );
        },
    ),
    attack(
        "duplicated claim",
        "under a name that is another's, sealed",
        &["illegal-transition"],
        |room| {
            append(
                room,
                &[claim_like(room, "WI-A", 5, |event| {
                    event.step.as_mut().expect("a step").key = id("s003");
                    event.attempt_id = Some(id("s003.1"));
                    let EventData::AttemptClaimed(data) = &mut event.data else { unreachable!() };
                    data.alias = Some(id("mine"));
                })],
            );
        },
    ),
    attack(
        "duplicated claim",
        "by one who holds another item's step, sealed",
        &["illegal-transition"],
        |room| {
            let two = read(room, "WI-B", 3);
            append(
                room,
                &[claim_like(room, "WI-A", 5, |event| {
                    (event.work_item_id, event.workflow) = (two.work_item_id, two.workflow);
                    event.step.as_mut().expect("a step").key = id("s003");
                    event.attempt_id = Some(id("s003.1"));
                    event.actor.id = id("agent-2");
                })],
            );
        },
    ),
    attack("duplicated claim", "a copy of the file", &["duplicated"], |room| {
        let path = event(room, "WI-A", 5);
        let copy = text(room, &path);
        plainly(room, &[(&path.replace("000005", "000006"), Some(&copy))]);
    }),
    attack("duplicated claim", "nobody sealed", &["unsealed"], |room| {
        let claim = encode_event(&claim_like(room, "WI-A", 5, |_| {})).expect("it fits on paper");
        let claim = String::from_utf8(claim).expect("UTF-8");
        let path = event(room, "WI-A", 5).replace("000005", "000006");
        plainly(room, &[(&path, Some(&claim))]);
    }),
    // Another ledger stands where this one stood.
    attack("replaced ledger", "by a new one", &["rewritten"], |room| {
        replace_by(room, &Room::live());
    }),
    attack("replaced ledger", "by one with an item of the same name", &["rewritten"], |room| {
        let other = Room::with_ledger();
        other.ok(&["delegate", "--prompt", "x", "--work-item", "WI-A"]);
        replace_by(room, &other);
    }),
    attack("replaced ledger", "by a longer one", &["rewritten"], |room| {
        let other = Room::with_ledger();
        for n in 0..12 {
            other.ok(&["delegate", "--prompt", "x", "--work-item", &format!("WI-{n}")]);
        }
        replace_by(room, &other);
    }),
    attack("replaced ledger", "by the same acts at another time", &["rewritten"], |room| {
        let other = Room::live();
        other.write("one.yaml", &parallel_workflow("one", 6));
        other.ok(&["delegate", "--plan", "one.yaml", "--work-item", "WI-A"]);
        replace_by(room, &other);
    }),
    attack("replaced ledger", "by its own files without a past", &["rewritten"], |room| {
        orphan(
            room,
            &format!("{BRANCH}^{{tree}}"),
            "stepseal: ledger created\n\nStepseal-Seal: 1\n",
        );
    }),
    attack(
        "replaced ledger",
        "by its own files, with a trailer of nothing",
        &["rewritten"],
        |room| {
            orphan(room, &format!("{BRANCH}^{{tree}}"), "x\n\nStepseal-Seal: 0\n");
        },
    ),
    attack("replaced ledger", "by an old state without a past", &["rewritten"], |room| {
        orphan(
            room,
            &format!("{BRANCH}~4^{{tree}}"),
            "stepseal: ledger created\n\nStepseal-Seal: 1\n",
        );
    }),
    attack("replaced ledger", "by a copy that went on elsewhere", &["rewritten"], |room| {
        let other = room.copy();
        cut(&other, 3);
        std::fs::remove_dir_all(other.repo().join(".git/stepseal")).expect("its memory");
        for n in 0..4 {
            other.ok(&["delegate", "--prompt", "x", "--work-item", &format!("WI-{n}")]);
        }
        replace_by(room, &other);
    }),
    attack("replaced ledger", "through a symbolic branch", &["bad-branch"], |room| {
        let other = Room::live();
        let from = other.repo().display().to_string();
        room.git(&["fetch", "--quiet", &from, &format!("{BRANCH}:refs/heads/other")]);
        room.git(&["update-ref", "-d", BRANCH]);
        room.git(&["symbolic-ref", BRANCH, "refs/heads/other"]);
    }),
    attack("replaced ledger", "by nothing but the first document", &["rewritten"], |room| {
        let mut told = history(room);
        told.truncate(1);
        told[0].message = "stepseal: ledger created, again\n\nStepseal-Seal: 1\n".into();
        forge::write(room, None, &told);
    }),
];

fn cut(room: &Room, commits: usize) {
    room.git(&["update-ref", BRANCH, &format!("{BRANCH}~{commits}")]);
}

/// The last commits again under other messages.
fn amend(room: &Room, last: usize, message: &str) {
    let told = history(room);
    let onto = room.git(&["rev-parse", &format!("{BRANCH}~{last}")]);
    let mut told = told[told.len() - last..].to_vec();
    for told in &mut told {
        let trailers = told.message.split_once("\n\n").map_or("", |(_, rest)| rest);
        told.message = format!("{message}\n\n{trailers}");
    }
    forge::write(room, Some(onto.trim()), &told);
}

/// The tail is cut, and stepseal itself goes on in a clone that has seen nothing.
fn forked(room: &Room, steps: &[&str]) {
    let caches = room.repo().join(".git/stepseal");
    let aside = room.path().join("aside");
    cut(room, 3);
    std::fs::rename(&caches, &aside).expect("the memory");
    for step in steps {
        let ran = room.run_as(step, &["claim", "--work-item", "WI-A", "--step", step]);
        assert_eq!(ran.code, 0, "{ran}");
    }
    std::fs::remove_dir_all(&caches).expect("the fork's memory");
    std::fs::rename(&aside, &caches).expect("the memory");
}

fn orphan(room: &Room, tree: &str, message: &str) {
    let tree = room.git(&["rev-parse", tree]);
    let commit = room.git(&["commit-tree", tree.trim(), "-m", message]);
    room.git(&["update-ref", BRANCH, commit.trim()]);
}

type Harmless = (&'static str, fn(&Room));

/// What a sound ledger goes through without anybody tampering with it.
const HARMLESS: [Harmless; 20] = [
    ("untouched", |_| {}),
    ("collected", |room| drop(room.git(&["gc", "--quiet"]))),
    ("collected at once", |room| drop(room.git(&["gc", "--quiet", "--prune=now"]))),
    ("repacked", |room| drop(room.git(&["repack", "-a", "-d", "-f", "--quiet"]))),
    ("packed references", |room| drop(room.git(&["pack-refs", "--all"]))),
    ("no reflog", |room| drop(room.git(&["reflog", "expire", "--expire=now", "--all"]))),
    ("no memory", |room| {
        std::fs::remove_dir_all(room.repo().join(".git/stepseal")).expect("the caches");
    }),
    ("a commit beside artifacts/", |room| plainly(room, &[("notes.txt", Some("hello\n"))])),
    ("an empty commit", |room| plainly(room, &[])),
    ("a replaced object", |room| {
        // libgit2 and stepseal read what is there, not what git is told to show instead.
        let told = room.git(&["rev-parse", BRANCH, &format!("{BRANCH}~1")]);
        let mut oids = told.lines();
        let (a, b) = (oids.next().unwrap_or(""), oids.next().unwrap_or(""));
        room.git(&["replace", a, b]);
    }),
    ("notes on a commit", |room| drop(room.git(&["notes", "add", "-m", "seen", BRANCH]))),
    ("a tag", |room| drop(room.git(&["tag", "-a", "-m", "kept", "kept", BRANCH]))),
    ("a second work tree", |room| {
        room.git(&["commit", "--quiet", "--allow-empty", "-m", "start"]);
        room.git(&["worktree", "add", "--quiet", "--detach", "../linked"]);
    }),
    ("a commit on the user's branch", |room| {
        room.git(&["commit", "--quiet", "--allow-empty", "-m", "work"]);
    }),
    ("another branch of it, cut", |room| {
        room.git(&["branch", "old", &format!("{BRANCH}~3")]);
    }),
    ("fetched into another repository", |room| {
        room.git(&["init", "--quiet", "../other"]);
        room.git(&["-C", "../other", "fetch", "--quiet", "../repo", &format!("{BRANCH}:{BRANCH}")]);
    }),
    ("a shared object folder", |room| {
        room.git(&["clone", "--quiet", "--shared", "--bare", ".", "../shared"]);
    }),
    ("tampered with and corrected", |room| {
        let path = event(room, "WI-A", 4);
        alter(room, &path, "did it", "did not");
        room.ok(&["correct", "WI-A", "--reason", "an outsider"]);
    }),
    ("a seal tampered with and corrected", |room| {
        alter(room, &last_seal(room), "\"direct\"", "\"collected\"");
        let told = sealed(room, Changes::new(), &[], |seal| seal.artifacts.clear());
        forge::write(room, Some(&tip(room)), &[told]);
        room.ok(&["correct", "--reason", "an outsider"]);
    }),
    ("gone on", |room| {
        for step in ["s003", "s004", "s005"] {
            room.ok(&["skip", "--work-item", "WI-A", "--step", step, "--reason", "no"]);
        }
    }),
];

/// The classes verify names, or its reason for saying nothing else, by both ways to ask.
fn classes(room: &Room) -> [(i32, BTreeSet<String>); 2] {
    [&["verify"][..], &["verify", "--deep"]].map(|args| {
        let (code, said) = room.json(args);
        let Some(findings) = said["findings"].as_array() else {
            // Where nothing can be read, the refusal says why.
            let reason = said["reason"].as_str().unwrap_or_else(|| panic!("{said:#}"));
            return (code, BTreeSet::from([reason.to_owned()]));
        };
        let class = |finding: &serde_json::Value| finding["class"].as_str().expect("a word").into();
        (code, findings.iter().map(class).collect())
    })
}

#[test]
fn every_way_to_tamper_is_called_by_its_name() {
    let scene = scene();
    room_is_sound(&scene);
    let (mut tried, mut wrong) = (0, Vec::new());
    let per_class = rounds(3, 10);
    let mut seen = std::collections::BTreeMap::new();
    for Attack { class, name, finds, by } in &ATTACKS {
        let nth = seen.entry(class).or_insert(0);
        *nth += 1;
        // The last of each class is the hardest: it is never left out.
        if *nth > per_class - 1 && *nth < 10 {
            continue;
        }
        tried += 1;
        let room = scene.copy();
        by(&room);
        let right: BTreeSet<String> = finds.iter().map(|class| (*class).to_owned()).collect();
        for (found, how) in classes(&room).iter().zip(["", " --deep"]) {
            if *found != (10, right.clone()) {
                wrong.push(format!("{class}, {name}: verify{how} says {found:?}, not {right:?}"));
            }
        }
    }
    assert_eq!(seen.len(), 8);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let mut alarms = Vec::new();
    for (name, harmless) in &HARMLESS {
        let room = scene.copy();
        harmless(&room);
        for found in classes(&room) {
            if found != (0, BTreeSet::new()) {
                alarms.push(format!("{name}: verify says {found:?}"));
            }
        }
    }
    assert!(alarms.is_empty(), "{}", alarms.join("\n"));
    figure(
        "P12",
        &format!(
            "{tried} of {tried} called by the right class, 0 false alarms in {}",
            HARMLESS.len()
        ),
    );
}

fn room_is_sound(room: &Room) {
    for found in classes(room) {
        assert_eq!(found, (0, BTreeSet::new()));
    }
}

/// Class and path of everything that is found.
fn found(room: &Room, args: &[&str]) -> (i32, BTreeSet<(String, String)>) {
    let (code, said) = room.json(args);
    let word = |finding: &serde_json::Value, name| finding[name].as_str().unwrap_or("").to_owned();
    let Some(findings) = said["findings"].as_array() else {
        return (code, BTreeSet::from([(word(&said, "reason"), word(&said, "message"))]));
    };
    let pair = |finding: &serde_json::Value| (word(finding, "class"), word(finding, "path"));
    (code, findings.iter().map(pair).collect())
}

/// The mark of one of a room's seals.
fn mark_of(room: &Room, seal: &str) -> String {
    let seal: serde_json::Value = serde_json::from_str(&text(room, seal)).expect("a seal");
    format!("{} {}", seal["size"], seal["root"].as_str().expect("a root"))
}

/// The whole verify is the oracle: what was done after a mark is found from that mark on by the
/// same classes and paths, whether the mark is this clone's memory, was kept elsewhere, or is one
/// of long before.
#[test]
fn what_came_after_a_mark_is_found_as_the_whole_verify_finds_it() {
    let scene = scene();
    let early = mark_of(&scene, "artifacts/seals/000000/000000006.json");
    let late = mark_of(&scene, &last_seal(&scene));
    scene.ok(&["verify"]);
    let (mut tried, mut wrong) = (0, Vec::new());
    for Attack { class, name, by, .. } in &ATTACKS {
        let room = scene.copy();
        by(&room);
        let whole = found(&room, &["verify"]);
        // Where the history is another one there is nothing to begin at.
        let other = whole.1.iter().any(|(class, _)| class == "rewritten" || class == "cut-tail");
        for (how, args) in [
            ("", &["verify", "--since"][..]),
            (" LATE", &["verify", "--since", &late]),
            (" EARLY", &["verify", "--since", &early]),
        ] {
            tried += 1;
            let since = found(&room, args);
            let same = if other { since.0 == 10 } else { since == whole };
            if !same {
                wrong.push(format!("{class}, {name}: --since{how} {since:?}\n  whole {whole:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {tried}:\n{}", wrong.len(), wrong.join("\n"));
    for (name, harmless) in &HARMLESS {
        let room = scene.copy();
        harmless(&room);
        let whole = found(&room, &["verify"]);
        for mark in [&late, &early] {
            let since = found(&room, &["verify", "--since", mark]);
            assert_eq!(since, whole, "{name}, since {mark}");
        }
    }
}
