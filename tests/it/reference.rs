//! A second fold, written from docs/rules.md and the formats alone: it reads the recorded bytes as
//! plain JSON and knows no type of the program. What the rules keep while they decide, what comes
//! of reading the bytes again, and this must be the same after every event (P29).

use std::cell::Cell;

use proptest::prelude::ProptestConfig;
use proptest::prop_assert_eq;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use stepseal::artifact::decode_event;
use stepseal::domain::id::Digest;
use stepseal::domain::state::{EventRef, Imported, ItemState};
use stepseal::domain::workflow::Workflow;

use super::domain_kit::Play;
use super::histories::{begin, stories, turn};
use super::kit::{Dice, figure, rounds};

/// The state of one item, as JSON.
#[derive(Debug, Clone, PartialEq)]
struct Reference(Value);

fn of_event(event: &Value, bytes: &[u8]) -> Value {
    let sha256: String = Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect();
    json!({ "id": event["id"], "sha256": sha256 })
}

impl Reference {
    /// The registration, and every step of the workflow untouched.
    fn registered(keys: impl Iterator<Item = String>, bytes: &[u8]) -> Self {
        let event: Value = serde_json::from_slice(bytes).expect("JSON");
        assert_eq!(event["eventType"], "work-item-registered");
        let data = &event["data"];
        let steps: Map<String, Value> = keys
            .map(|key| {
                let mut imported = data["imported"].as_array().expect("a list").iter();
                let imported = imported.find(|step| step["key"] == *key);
                let imported = imported.map(|step| step["state"].clone()).unwrap_or_default();
                (key, json!({ "round": 1, "imported": imported, "skipped": null, "attempts": [] }))
            })
            .collect();
        let mut reference = Self(json!({
            "phase": "active", "title": data["title"], "priority": data["priority"],
            "labels": data["labels"], "owner": data["owner"], "transfers": [], "events": 0,
            "lastAt": "",
            "review": {
                "flagged": null, "decided": false, "last": null, "survivor": null,
                "linked": [],
            },
            "blockers": [], "aliases": {}, "requests": {}, "returns": [], "ended": null,
            "integrated": null,
            "resumed": null, "steps": steps,
        }));
        reference.count(&event);
        reference
    }

    /// What every event adds.
    fn count(&mut self, event: &Value) {
        let state = &mut self.0;
        state["events"] = (state["events"].as_u64().expect("a number") + 1).into();
        let at = event["timestamp"].as_str().expect("a time");
        if event["eventType"] != "schedule-decided"
            && at > state["lastAt"].as_str().expect("a time")
        {
            state["lastAt"] = at.into();
        }
        if let Some(id) = event["request"]["id"].as_str()
            && state["requests"].get(id).is_none()
        {
            state["requests"][id] = json!({
                "digest": event["request"]["digest"], "event": event["id"],
                "kind": event["eventType"], "attempt": event["attemptId"],
            });
        }
    }

    /// A further event; nothing is checked, because everything was legal to record.
    fn tell(&mut self, bytes: &[u8]) {
        let event: Value = serde_json::from_slice(bytes).expect("JSON");
        let data = &event["data"];
        let this = of_event(&event, bytes);
        let by = json!({
            "event": this, "by": event["actor"]["id"], "principal": event["actor"]["principal"],
        });
        let kind = event["eventType"].as_str().expect("a word");
        match kind {
            "schedule-decided" => {
                for opened in data["opened"].as_array().expect("a list") {
                    let step = &mut self.0["steps"][opened["key"].as_str().expect("a key")];
                    open(step, &opened["attemptId"], &opened["round"], &event, &Value::Null);
                }
            }
            "attempt-requeued" => {
                let retry = data["retryOf"].as_str().and_then(|of| of.rsplit_once('.'));
                let retry = retry.and_then(|(_, number)| number.parse::<u64>().ok());
                let step = &mut self.0["steps"][event["step"]["key"].as_str().expect("a key")];
                open(step, &event["attemptId"], &data["round"], &event, &json!(retry));
            }
            "attempt-claimed" => {
                if let Some(alias) = data["alias"].as_str() {
                    self.0["aliases"][alias] = event["attemptId"].clone();
                }
                let mut claim = by;
                claim["id"] = data["claimId"].clone();
                claim["alias"] = data["alias"].clone();
                claim["leaseUntil"] = data["leaseUntil"].clone();
                claim["attested"] = data["attested"].clone();
                claim["inputsDigest"] = data["inputsDigest"].clone();
                let attempt = self.attempt(&event);
                attempt["claim"] = claim;
                attempt["phase"] = "claimed".into();
            }
            "attempt-completed" | "attempt-failed" | "attempt-rejected" | "claim-released"
            | "claim-lapsed" | "attempt-withdrawn" | "gate-rejected" | "gate-approved" => {
                if kind == "gate-approved" {
                    let approval = json!({
                        "event": this, "principal": event["actor"]["principal"],
                        "outputsDigest": data["outputsDigest"],
                    });
                    let approvals = &mut self.attempt(&event)["approvals"];
                    approvals.as_array_mut().expect("a list").push(approval);
                }
                let ends = kind != "gate-approved" || data["decided"] == true;
                if ends {
                    let mut end = by;
                    end["summary"] = event["outcome"]["summary"].clone();
                    end["nextAction"] = event["nextAction"].clone();
                    end["outputs"] = data.get("outputs").cloned().unwrap_or_else(|| json!([]));
                    let digest =
                        (kind == "attempt-completed").then(|| data["outputsDigest"].clone());
                    end["outputsDigest"] = digest.unwrap_or_default();
                    let attempt = self.attempt(&event);
                    attempt["end"] = end;
                    attempt["phase"] = kind.rsplit_once('-').expect("two words").1.into();
                }
                if kind == "gate-rejected" {
                    self.send_back(&event, data);
                }
            }
            "step-skipped" => {
                let mut skipped = json!({ "event": this, "by": event["actor"]["id"] });
                skipped["reason"] = data["reason"].clone();
                let key = event["step"]["key"].as_str().expect("a key");
                self.0["steps"][key]["skipped"] = skipped;
            }
            "review-flagged" => {
                self.0["review"]["flagged"] = json!({
                    "event": this, "by": event["actor"]["principal"], "reason": data["reason"],
                    "suspects": data["suspects"],
                });
            }
            "review-cleared" | "review-merged" | "review-closed" | "review-overturned" => {
                let review = &mut self.0["review"];
                review["flagged"] = Value::Null;
                review["decided"] = true.into();
                review["last"] = spoken(&event, data);
                // Merged into the other one, closed as a duplicate of it, or no longer either.
                let other = if kind == "review-merged" { "other" } else { "survivor" };
                review["survivor"] = data.get(other).cloned().unwrap_or_default();
                let phase = kind.strip_prefix("review-").expect("a review");
                if phase == "overturned" {
                    self.0["phase"] = "active".into();
                    self.0["ended"] = Value::Null;
                } else if phase != "cleared" {
                    self.0["phase"] = phase.into();
                    self.end(&event, &data["rationale"]);
                }
            }
            "review-linked" => {
                let review = &mut self.0["review"];
                review["linked"].as_array_mut().expect("a list").push(data["other"].clone());
                review["last"] = spoken(&event, data);
            }
            "work-item-cancelled" => {
                self.0["phase"] = "cancelled".into();
                self.end(&event, &data["reason"]);
            }
            "rework-requested" => self.send_back(&event, data),
            "baseline-integration" => {
                self.0["phase"] = "integrated".into();
                self.0["integrated"] = json!({
                    "event": this, "by": event["actor"]["principal"], "commit": data["commit"],
                    "branch": data["branch"], "accepted": data["accepted"],
                });
            }
            "baseline-reverted" => {
                self.0["phase"] = "active".into();
                self.0["integrated"] = Value::Null;
                self.send_back(&event, data);
            }
            "owner-transferred" => {
                self.0["owner"] = data["to"].clone();
                let transfer = json!({
                    "from": data["from"], "to": data["to"], "reason": data["reason"],
                    "by": event["actor"]["principal"],
                });
                self.0["transfers"].as_array_mut().expect("a list").push(transfer);
            }
            "work-item-resumed" => {
                self.0["resumed"] = json!({
                    "event": this, "by": event["actor"]["principal"], "reason": data["reason"],
                    "events": self.0["events"].as_u64().expect("a number") + 1,
                });
            }
            "blocker-declared" => {
                let blocker = json!({
                    "id": data["blockerId"], "kind": data["blockerType"], "steps": data["steps"],
                    "owner": data["owner"], "open": true, "resolution": null,
                });
                self.0["blockers"].as_array_mut().expect("a list").push(blocker);
            }
            "blocker-resolved" => {
                let blockers = self.0["blockers"].as_array_mut().expect("a list");
                let mut open = blockers.iter_mut().filter(|blocker| blocker["open"] == true);
                let one = open.find(|blocker| blocker["id"] == data["blockerId"]);
                let one = one.expect("an open blocker");
                one["open"] = false.into();
                one["resolution"] = json!([event["actor"]["principal"], data["resolution"]]);
            }
            other => panic!("no move of these tests records {other}"),
        }
        self.count(&event);
    }

    /// The item takes no more work.
    fn end(&mut self, event: &Value, reason: &Value) {
        self.0["ended"] = json!({ "by": event["actor"]["principal"], "reason": reason });
    }

    /// The attempt an event is about.
    fn attempt(&mut self, event: &Value) -> &mut Value {
        let (key, number) =
            event["attemptId"].as_str().and_then(|id| id.rsplit_once('.')).expect("KEY.N");
        let number: usize = number.parse().expect("a number");
        &mut self.0["steps"][key]["attempts"][number - 1]
    }

    /// Every void step enters the round the event says; what was imported of it no longer counts.
    fn send_back(&mut self, event: &Value, data: &Value) {
        let void = data["void"].as_array().expect("a list");
        for one in void {
            let step = &mut self.0["steps"][one["key"].as_str().expect("a key")];
            step["round"] = one["round"].clone();
            if !step["imported"].is_null() {
                step["imported"] = "void".into();
            }
        }
        let keys: Vec<&Value> = void.iter().map(|one| &one["key"]).collect();
        let back = json!({
            "by": event["actor"]["principal"], "reason": data["reason"],
            "gate": event["attemptId"], "to": data["returnTo"], "void": keys,
            "revertedBy": data.get("commit"),
        });
        self.0["returns"].as_array_mut().expect("a list").push(back);
    }
}

/// Who decided about a suspicion, when, and why.
fn spoken(event: &Value, data: &Value) -> Value {
    json!({
        "by": event["actor"]["principal"], "at": event["timestamp"],
        "rationale": data["rationale"],
    })
}

/// The next attempt of a step is queued.
fn open(step: &mut Value, attempt: &Value, round: &Value, event: &Value, retry: &Value) {
    let attempts = step["attempts"].as_array_mut().expect("a list");
    let number = attempt.as_str().and_then(|id| id.rsplit_once('.')).map(|(_, number)| number);
    assert_eq!(number, Some(&*(attempts.len() + 1).to_string()), "numbers run on");
    attempts.push(json!({
        "phase": "queued", "round": round, "queuedAt": event["timestamp"], "retryOf": retry,
        "claim": null, "approvals": [], "end": null,
    }));
}

/// The same of the program's own state.
fn view(workflow: &Workflow, item: &ItemState) -> Value {
    let time = |at: &chrono::DateTime<chrono::Utc>| {
        json!(at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true))
    };
    let event = |event: &EventRef| json!({ "id": event.id, "sha256": event.sha256 });
    let flagged = item.review.flagged.as_ref().map(|flag| {
        json!({
            "event": event(&flag.event), "by": flag.by, "reason": flag.reason,
            "suspects": flag.suspects,
        })
    });
    let steps: Map<String, Value> = workflow
        .steps()
        .iter()
        .zip(&item.steps)
        .map(|(step, state)| {
            let imported = state.imported.map(|(imported, _)| match imported {
                Imported::Done => "done",
                Imported::Skipped => "skipped",
                Imported::Void => "void",
            });
            let skipped = state.skipped.as_ref().map(|skipped| {
                json!({
                    "event": event(&skipped.event), "by": skipped.by, "reason": skipped.reason,
                })
            });
            let attempts = state.attempts.iter().map(|attempt| {
                let claim = attempt.claim.as_ref().map(|claim| {
                    let attested = claim.attested.iter().map(
                        |(id, all)| json!({ "id": id, "mode": if *all { "all" } else { "named" } }),
                    );
                    json!({
                        "event": event(&claim.event), "by": claim.executor,
                        "principal": claim.principal, "id": claim.id, "alias": claim.alias,
                        "leaseUntil": claim.lease_until, "attested": attested.collect::<Vec<_>>(),
                        "inputsDigest": claim.inputs_digest,
                    })
                });
                let approvals = attempt.approvals.iter().map(|approval| {
                    json!({
                        "event": event(&approval.event), "principal": approval.principal,
                        "outputsDigest": approval.outputs_digest,
                    })
                });
                let end = attempt.end.as_ref().map(|end| {
                    let outputs = end.outputs.iter().map(|(path, sha256, size)| {
                        json!({ "path": path, "sha256": sha256, "size": size })
                    });
                    json!({
                        "event": event(&end.event), "by": end.by, "principal": end.principal,
                        "summary": end.summary, "nextAction": end.next_action,
                        "outputs": outputs.collect::<Vec<_>>(),
                        "outputsDigest": end.outputs_digest,
                    })
                });
                json!({
                    "phase": attempt.phase.word(), "round": attempt.round,
                    "queuedAt": time(&attempt.queued_at), "retryOf": attempt.retry_of,
                    "claim": claim, "approvals": approvals.collect::<Vec<_>>(), "end": end,
                })
            });
            let state = json!({
                "round": state.round, "imported": imported, "skipped": skipped,
                "attempts": attempts.collect::<Vec<_>>(),
            });
            (step.key.to_string(), state)
        })
        .collect();
    let blockers = item.blockers.iter().map(|blocker| {
        json!({
            "id": blocker.id, "kind": blocker.kind, "steps": blocker.steps,
            "owner": blocker.owner, "open": blocker.resolved_at.is_none(),
            "resolution": blocker.resolution,
        })
    });
    let requests: Map<String, Value> = item
        .requests
        .iter()
        .map(|(id, seen)| {
            let seen = json!({
                "digest": seen.digest, "event": seen.event, "kind": seen.kind,
                "attempt": seen.attempt,
            });
            (id.to_string(), seen)
        })
        .collect();
    let returns = item.returns.iter().map(|back| {
        json!({
            "by": back.by, "reason": back.reason, "gate": back.gate, "to": back.to,
            "void": back.void, "revertedBy": back.reverted_by,
        })
    });
    let last =
        item.review.last.as_ref().map(
            |last| json!({ "by": last.by, "at": time(&last.at), "rationale": last.rationale }),
        );
    let transfers = item
        .transfers
        .iter()
        .map(|one| json!({ "from": one.from, "to": one.to, "reason": one.reason, "by": one.by }));
    let ended = item.ended.as_ref().map(|end| json!({ "by": end.by, "reason": end.reason }));
    let resumed = item.resumed.as_ref().map(|resumed| {
        json!({
            "event": event(&resumed.event), "by": resumed.by, "reason": resumed.reason,
            "events": resumed.events,
        })
    });
    let integrated = item.integrated.as_ref().map(|known| {
        json!({
            "event": event(&known.event), "by": known.by, "commit": known.commit,
            "branch": known.branch, "accepted": known.accepted,
        })
    });
    json!({
        "integrated": integrated, "phase": item.phase.word(), "title": item.title, "priority": item.priority,
        "labels": item.labels, "owner": item.owner, "events": item.events,
        "lastAt": time(&item.last_at),
        "review": {
            "flagged": flagged, "decided": item.review.decided,
            "last": last, "survivor": item.review.survivor,
            "linked": item.review.linked,
        },
        "transfers": transfers.collect::<Vec<_>>(), "ended": ended, "resumed": resumed,
        "blockers": blockers.collect::<Vec<_>>(), "aliases": item.aliases, "requests": requests,
        "returns": returns.collect::<Vec<_>>(), "steps": steps,
    })
}

/// What comes of reading the recorded bytes again.
fn replayed(play: &Play) -> ItemState {
    let mut events = play.log.iter().map(|recorded| {
        let event = decode_event(&recorded.bytes).expect("what was written can be read");
        (event, Digest::of(&recorded.bytes))
    });
    let (first, sha256) = events.next().expect("a registration");
    let mut item = ItemState::register(&first, sha256, &play.workflow).expect("it is legal");
    for (event, sha256) in events {
        item.apply(&event, sha256, &play.workflow).expect("what was recorded is legal");
    }
    item
}

/// Random stories, legal and wild: after every turn the live state is what the reference makes of
/// the bytes recorded so far, and at the end the bytes read again come to the same.
#[test]
fn replay_live_state_and_a_second_fold_agree() {
    let mut dice = Dice::new();
    let seed: Vec<u8> = (0..32).map(|_| dice.below(256).to_le_bytes()[0]).collect();
    let cases = u32::try_from(rounds(150, 10_000)).expect("few");
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let (sequences, events) = (Cell::new(0u32), Cell::new(0usize));
    let told = TestRunner::new_with_rng(config, rng).run(&stories(), |(steps, story)| {
        let mut play = begin(steps);
        let keys = play.workflow.steps().iter().map(|step| step.key.to_string());
        let mut reference = Reference::registered(keys, &play.log[0].bytes);
        let mut from = 1;
        for next in std::iter::once(None).chain(story.iter().map(Some)) {
            if let Some((wildly, mv)) = next {
                turn(&mut play, *wildly, mv)?;
            }
            for recorded in &play.log[from..] {
                reference.tell(&recorded.bytes);
            }
            let told = from < play.log.len() || next.is_none();
            from = play.log.len();
            if told {
                prop_assert_eq!(view(&play.workflow, play.item()), reference.0.clone());
            }
        }
        prop_assert_eq!(&replayed(&play), play.item());
        sequences.set(sequences.get() + 1);
        events.set(events.get() + play.log.len());
        Ok(())
    });
    if let Err(error) = told {
        panic!("{error}");
    }
    let (sequences, events) = (sequences.get(), events.get());
    figure("P29", &format!("0 divergences in {sequences} sequences of {events} events"));
}
