//! Signed seals (P13): a seal counts as signed only with a key that may sign it at that place in
//! the ledger, and `ssh-keygen` agrees with what is made and with what is accepted.
#![expect(clippy::disallowed_methods, reason = "makes keys and bounds how long a command may take")]

use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use base64ct::{Base64, Encoding as _};
use chrono::{DateTime, Utc};
use serde_json::Value;
use ssh_key::public::{KeyData, SkEd25519};
use ssh_key::{Algorithm, HashAlg, LineEnding, PrivateKey, Signature, SshSig};
use stepseal::artifact::{self, Recovery, Restored, Seal, SealedFile};
use stepseal::domain::event::{
    Actor, ActorKeyAdded, ActorKeyRevoked, ActorKind, Baseline, Event, EventData, ItemEdited,
    KeyRole, Outcome, PolicyChanged,
};
use stepseal::domain::id::{Digest, EventId, Fingerprint, ItemId, SshKey};
use stepseal::domain::keys::{Fact, Keyring, Said};
use stepseal::domain::moment::Moment;
use stepseal::ledger::{Durability, Located, Notes, Place, Settings, Verdict};
use stepseal::sign::{KeyName, Signing};

use super::domain_kit::{id, uuid_of};
use super::kit::{Dice, Ran, Room, figure, has, parallel_workflow, rounds, signing_key, skipped};

const BRANCH: &str = "refs/heads/stepseal-ledger";

/// The public half of a name's key, and its fingerprint.
fn public(name: &str) -> (SshKey, Fingerprint) {
    artifact::named(PrivateKey::from(signing_key(name)).public_key()).expect("a key that signs")
}

fn fingerprint(name: &str) -> Fingerprint {
    public(name).1
}

fn tip(room: &Room) -> String {
    room.git(&["rev-parse", BRANCH]).trim().to_owned()
}

/// The command works, signed with this name's key for this name.
fn signs(room: &Room, name: &str, args: &[&str]) -> String {
    let ran = room.sign_as(name, args);
    assert_eq!(ran.code, 0, "{name} {args:?}\n{ran}");
    ran.stdout
}

/// The command answers with this code and one document.
fn says(room: &Room, name: &str, args: &[&str], code: i32) -> Value {
    let ran = room.sign_as(name, &[args, &["--json"]].concat());
    assert_eq!(ran.code, code, "{name} {args:?}\n{ran}");
    serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran}"))
}

/// Adds a key as the owner does.
fn add(room: &Room, name: &str, role: &str, more: &[&str]) {
    let key = format!("{}.pub", room.key(name));
    let principal = format!("{name}@it");
    let named = ["--for", &principal, "--role", role, "--reason", "joins"];
    signs(room, "owner", &[&["key", "add", &key], &named[..], more].concat());
}

/// A ledger whose keys are an owner's, an executor's (`dev`), a collector's (`ci`), one that ends
/// tomorrow (`late`) and one that was revoked (`gone`), with some work signed by some of them.
fn scene() -> Room {
    static SCENE: OnceLock<Room> = OnceLock::new();
    SCENE.get_or_init(first_scene).copy()
}

fn first_scene() -> Room {
    let room = Room::with_ledger();
    signs(&room, "owner", &["key", "add", "--self", "--reason", "the first"]);
    add(&room, "dev", "executor", &[]);
    add(&room, "ci", "collector", &[]);
    add(&room, "late", "executor", &["--not-after", "2026-11-21"]);
    add(&room, "gone", "executor", &[]);
    room.write("plan.yaml", &parallel_workflow("par", 9));
    signs(&room, "dev", &["delegate", "--plan", "plan.yaml", "--work-item", "W"]);
    signs(&room, "gone", &["claim", "--work-item", "W", "--step", "s001"]);
    let gone = fingerprint("gone");
    signs(&room, "owner", &["key", "revoke", gone.as_str(), "--reason", "left"]);
    signs(&room, "late", &["claim", "--work-item", "W", "--step", "s002"]);
    room
}

/// A fact of the ledger itself, by somebody.
fn fact(principal: &str, data: EventData) -> Event {
    Event {
        id: EventId::new(uuid_of(
            900_000
                + Digest::of(format!("{principal} {data:?}").as_bytes())
                    .to_bytes()
                    .iter()
                    .map(|&byte| u64::from(byte))
                    .sum::<u64>(),
        )),
        work_item_id: None,
        workflow: None,
        step: None,
        attempt_id: None,
        timestamp: "2026-11-20T11:00:00Z".parse().expect("a time"),
        actor: Actor {
            id: id("another-program"),
            name: "another-program".into(),
            kind: ActorKind::Human,
            principal: id(principal),
        },
        outcome: Outcome { status: "changed".into(), summary: "by another program".into() },
        next_action: "go on".into(),
        baseline_integration: Baseline::Pre,
        links: Vec::new(),
        request: None,
        data,
    }
}

fn policy(principal: &str) -> Event {
    let value = vec![principal.to_owned()];
    let (reason, impact) = ("because".into(), None);
    fact(
        principal,
        EventData::PolicyChanged(PolicyChanged { key: "role.lead".into(), value, reason, impact }),
    )
}

fn added(by: &str, name: &str, role: KeyRole) -> Event {
    let (public_key, fingerprint) = public(name);
    fact(
        by,
        EventData::ActorKeyAdded(ActorKeyAdded {
            fingerprint,
            public_key,
            principal: id(&format!("{name}@it")),
            role,
            not_after: None,
            reason: "because".into(),
        }),
    )
}

fn revoked(by: &str, name: &str) -> Event {
    fact(
        by,
        EventData::ActorKeyRevoked(ActorKeyRevoked {
            fingerprint: fingerprint(name),
            reason: "because".into(),
            compromised_since: None,
        }),
    )
}

/// An armoured signature by a name's key.
fn sshsig(name: &str, namespace: &str, bytes: &[u8]) -> String {
    let key = PrivateKey::from(signing_key(name));
    let signature = key.sign(namespace, HashAlg::Sha512, bytes).expect("a signature");
    signature.to_pem(LineEnding::LF).expect("armour")
}

/// The last seal's path, and its bytes.
fn last_seal(room: &Room) -> (String, String) {
    let files = room.ledger_files();
    let path = files
        .into_iter()
        .rfind(|path| path.starts_with("artifacts/seals/") && path.ends_with(".json"))
        .expect("a seal");
    let text = room.ledger_text(&path);
    (path, text)
}

/// What another program seals: sound in everything but what `edit` changes, signed as `sign` says.
fn forge(
    room: &Room,
    events: &[Event],
    edit: impl FnOnce(&mut Seal),
    sign: impl FnOnce(&[u8]) -> Option<String>,
) -> Forged {
    let (_, text) = last_seal(room);
    let last: Seal = artifact::decode(text.as_bytes()).expect("a seal");
    let mut tree = last.tree().expect("a sound seal");
    let known = room.ledger_files().iter().filter(|path| path.contains("/_ledger/")).count();
    let mut files: Vec<(String, String)> = Vec::new();
    let mut seal = Seal { seq: last.seq + 1, previous: Some(Digest::of(text.as_bytes())), ..last };
    (seal.artifacts, seal.documents, seal.signed_by, seal.recovery) =
        (Vec::new(), Vec::new(), None, None);
    for (n, event) in events.iter().enumerate() {
        let number = u32::try_from(known + n + 1).expect("small");
        let path = artifact::ledger_event_path(number, event.kind());
        let bytes = artifact::encode_event(event).expect("a sound event");
        tree.push(artifact::leaf(&path, &bytes));
        seal.artifacts.push(SealedFile { path: path.clone(), sha256: Digest::of(&bytes) });
        files.push((path, String::from_utf8(bytes).expect("text")));
    }
    (seal.size, seal.root, seal.frontier) = (tree.size(), tree.root(), tree.roots().to_vec());
    edit(&mut seal);
    let bytes = artifact::encode(&seal);
    let path = artifact::seal_path(seal.seq);
    let signature = sign(&bytes).map(|text| (artifact::signature_path(seal.seq), text));
    files.push((path.clone(), String::from_utf8(bytes).expect("text")));
    files.extend(signature);
    let changes: Vec<(&str, Option<&str>)> =
        files.iter().map(|(path, text)| (path.as_str(), Some(text.as_str()))).collect();
    let message =
        format!("another program\n\nStepseal-Seal: {}\nStepseal-Mark: {}\n", seal.seq, seal.mark());
    let commit = room.tamper_as(&message, &changes);
    Forged { commit, seal: path }
}

/// A commit of another program.
struct Forged {
    commit: String,
    seal: String,
}

/// Says in the seal who signs it, as this program does.
fn says_signed(name: &str) -> impl FnOnce(&mut Seal) {
    let fingerprint = fingerprint(name);
    move |seal: &mut Seal| seal.signed_by = Some(fingerprint)
}

fn with(name: &'static str) -> impl FnOnce(&[u8]) -> Option<String> {
    move |bytes| Some(sshsig(name, "stepseal", bytes))
}

/// A clone that has seen nothing yet comes to the same, from here on.
fn forget(room: &Room) {
    drop(std::fs::remove_dir_all(room.repo().join(".git/stepseal")));
}

/// `verify`, plain and deep, names this class for one of the seal's two files and this commit.
fn named(room: &Room, forged: &Forged, class: &str) {
    for args in [&["verify"][..], &["verify", "--deep"]] {
        let (code, said) = room.json(args);
        assert_eq!(code, 10, "{class} {args:?} {said:#}");
        let findings = said["findings"].as_array().expect("findings");
        let found = findings.iter().any(|finding| {
            let path = finding["path"].as_str().unwrap_or_default();
            finding["class"] == class
                && path.strip_suffix(".sig").unwrap_or(path) == forged.seal
                && finding["commit"] == forged.commit.as_str()
        });
        assert!(found, "no {class} from {args:?}: {findings:#?}");
        // One cause, one finding: nothing else is made of it.
        assert_eq!(findings.len(), 1, "{class} {args:?} {findings:#?}");
    }
}

/// The whole way of a commit whose signature does not hold: it is refused as it arrives, named by
/// `verify` in this clone and in one that has seen nothing, and taken out by `correct`.
fn refused(room: &Room, forged: &Forged, class: &str) {
    let before = tip(room);
    let said = says(room, "dev", &["delegate", "--prompt", "more"], 10);
    assert_eq!((&said["reason"], &said["recorded"]), (&"ledger-stopped".into(), &false.into()));
    let message = said["message"].as_str().expect("a message");
    assert!(message.contains(&forged.commit[..7]), "{class}: {message}");
    assert_eq!(tip(room), before, "{class}: something was written");
    named(room, forged, class);
    forget(room);
    named(room, forged, class);
    let said = says(room, "owner", &["correct", "--reason", "not ours"], 0);
    assert_eq!(said["recorded"], true, "{class} {said:#}");
    for args in [&["verify"][..], &["verify", "--deep"]] {
        let (code, said) = room.json(args);
        assert_eq!(code, 0, "{class} {args:?} {said:#}");
        let corrected = said["corrected"].as_array().expect("a list");
        let told = |one: &Value| {
            one["path"] == forged.seal.as_str() && one["commit"] == forged.commit.as_str()
        };
        assert!(corrected.iter().any(told), "{class} {corrected:#?}");
    }
    // The keys are as before, and work goes on.
    signs(room, "dev", &["delegate", "--prompt", "more", "--work-item", "MORE"]);
    forget(room);
    signs(room, "owner", &["key", "list"]);
    let (code, said) = room.json(&["verify", "--deep"]);
    assert_eq!(code, 0, "{class} {said:#}");
}

/// Something a forger does to a scene, and the class it is found by.
type Case = (&'static str, &'static str, fn(&Room) -> Forged);

const CASES: &[Case] = &[
    ("signed by a key that is not the one it says", "bad-signature", |room| {
        forge(room, &[policy("dev@it")], says_signed("dev"), with("stranger"))
    }),
    ("signed by another key of the ledger", "bad-signature", |room| {
        forge(room, &[policy("dev@it")], says_signed("dev"), with("ci"))
    }),
    ("for another namespace", "bad-signature", |room| {
        forge(room, &[policy("dev@it")], says_signed("dev"), |bytes| {
            Some(sshsig("dev", "git", bytes))
        })
    }),
    ("over other bytes", "bad-signature", |room| {
        forge(room, &[policy("dev@it")], says_signed("dev"), |bytes| {
            Some(sshsig("dev", "stepseal", &[bytes, b" "].concat()))
        })
    }),
    ("copied from the seal before", "bad-signature", |room| {
        let (path, _) = last_seal(room);
        let copied = room.ledger_text(&format!("{path}.sig"));
        forge(room, &[policy("late@it")], says_signed("late"), move |_| Some(copied))
    }),
    ("no signature at all where one is said", "deleted", |room| {
        forge(room, &[policy("dev@it")], says_signed("dev"), |_| None)
    }),
    ("a text that is no signature", "bad-signature", |room| {
        forge(room, &[policy("dev@it")], says_signed("dev"), |_| Some("signed, dev\n".into()))
    }),
    ("a signature of a megabyte", "bad-signature", |room| {
        forge(room, &[policy("dev@it")], says_signed("dev"), |bytes| {
            Some(sshsig("dev", "stepseal", bytes) + &"\n".repeat(1 << 20))
        })
    }),
    ("a signature the seal does not speak of", "unsealed", |room| {
        forge(room, &[policy("dev@it")], |_| {}, with("dev"))
    }),
    ("a key the ledger does not know", "unknown-key", |room| {
        forge(room, &[policy("stranger@it")], says_signed("stranger"), with("stranger"))
    }),
    ("a key that was revoked", "revoked-key", |room| {
        forge(room, &[policy("gone@it")], says_signed("gone"), with("gone"))
    }),
    ("a key past its end", "expired-key", |room| {
        let edit = |seal: &mut Seal| {
            says_signed("late")(seal);
            seal.timestamp = at("2026-11-22T00:00:00Z");
        };
        forge(room, &[policy("late@it")], edit, with("late"))
    }),
    ("backdated by a key past its end", "expired-key", |room| {
        // The ledger has moved past the date with a seal of somebody else.
        let mut later = room.stepseal(&["delegate", "--prompt", "later"]);
        let ran = later.env("STEPSEAL_NOW", "2026-11-22T00:00:00Z").output().expect("it starts");
        assert!(ran.status.success(), "{}", Ran::of(&ran));
        let edit = |seal: &mut Seal| {
            says_signed("late")(seal);
            seal.timestamp = at("2026-11-20T12:00:00Z");
        };
        forge(room, &[policy("late@it")], edit, with("late"))
    }),
    ("an executor for another principal", "not-entitled", |room| {
        forge(room, &[policy("owner@it")], says_signed("dev"), with("dev"))
    }),
    ("an executor for itself and another", "not-entitled", |room| {
        forge(room, &[policy("dev@it"), policy("ci@it")], says_signed("dev"), with("dev"))
    }),
    ("an executor adds a key", "not-entitled", |room| {
        let event = added("dev@it", "stranger", KeyRole::Executor);
        forge(room, &[event], says_signed("dev"), with("dev"))
    }),
    ("a collector adds a key in the owner's name", "not-entitled", |room| {
        let event = added("owner@it", "stranger", KeyRole::Owner);
        forge(room, &[event], says_signed("ci"), with("ci"))
    }),
    ("a collector revokes the owner's key", "not-entitled", |room| {
        forge(room, &[revoked("ci@it", "owner")], says_signed("ci"), with("ci"))
    }),
    ("an owner adds a key in another's name", "not-entitled", |room| {
        let event = added("dev@it", "stranger", KeyRole::Executor);
        forge(room, &[event], says_signed("owner"), with("owner"))
    }),
    ("a key event without a signature", "unsigned", |room| {
        let event = added("owner@it", "stranger", KeyRole::Owner);
        forge(room, &[event], |_| {}, |_| None)
    }),
    ("a second first key, signed by itself", "unknown-key", |room| {
        let event = added("stranger@it", "stranger", KeyRole::Owner);
        forge(room, &[event], says_signed("stranger"), with("stranger"))
    }),
    ("a key that comes back", "illegal-transition", |room| {
        let event = added("owner@it", "gone", KeyRole::Executor);
        forge(room, &[event], says_signed("owner"), with("owner"))
    }),
    ("a key that is revoked twice", "illegal-transition", |room| {
        forge(room, &[revoked("owner@it", "gone")], says_signed("owner"), with("owner"))
    }),
    ("the last owner's key, by itself", "illegal-transition", |room| {
        forge(room, &[revoked("owner@it", "owner")], says_signed("owner"), with("owner"))
    }),
];

fn at(text: &str) -> DateTime<Utc> {
    text.parse().expect("a time")
}

#[test]
fn every_wrong_signature_is_refused_by_its_class() {
    for (what, class, forger) in CASES {
        let room = scene();
        let forged = forger(&room);
        case(what);
        refused(&room, &forged, class);
    }
    figure("P13", &format!("{} of {} forged seals refused by class", CASES.len(), CASES.len()));
}

/// Captured, and shown where the case fails.
#[expect(clippy::print_stdout, reason = "names the case that fails")]
fn case(what: &str) {
    println!("case: {what}");
}

/// What the same forger may do: the test above refuses for the right reason.
#[test]
fn every_right_signature_of_another_program_is_accepted() {
    type Allowed = (&'static str, fn(&Room) -> Forged);
    let allowed: &[Allowed] = &[
        ("an executor for itself", |room| {
            forge(room, &[policy("dev@it")], says_signed("dev"), with("dev"))
        }),
        ("a collector for another", |room| {
            forge(room, &[policy("dev@it"), policy("owner@it")], says_signed("ci"), with("ci"))
        }),
        ("an owner for another", |room| {
            forge(room, &[policy("dev@it")], says_signed("owner"), with("owner"))
        }),
        ("a key before its end", |room| {
            forge(room, &[policy("late@it")], says_signed("late"), with("late"))
        }),
        ("an executor gives up its own key", |room| {
            forge(room, &[revoked("dev@it", "dev")], says_signed("dev"), with("dev"))
        }),
        ("an owner adds another and gives up its own", |room| {
            let events = [added("owner@it", "next", KeyRole::Owner), revoked("owner@it", "owner")];
            forge(room, &events, says_signed("owner"), with("owner"))
        }),
        ("nobody signs what is not about keys", |room| {
            forge(room, &[policy("anybody")], |_| {}, |_| None)
        }),
    ];
    for (what, forger) in allowed {
        let room = scene();
        case(what);
        let forged = forger(&room);
        for fresh in [false, true] {
            if fresh {
                forget(&room);
            }
            let ran = room.run(&["delegate", "--prompt", "more"]);
            assert_eq!(ran.code, 0, "{what}: {ran}");
            for args in [&["verify"][..], &["verify", "--deep"]] {
                let (code, said) = room.json(args);
                assert_eq!(code, 0, "{what} {}: {said:#}", forged.commit);
            }
        }
    }
}

/// What the first key must be: an owner's, for ever, alone, its own, and signed with itself.
#[test]
fn a_first_key_that_does_not_stand_for_itself_is_refused() {
    let ends = |event: Event| {
        let EventData::ActorKeyAdded(data) = event.data else { panic!("a key is added") };
        let not_after = Some(at("2030-01-01T00:00:00Z"));
        Event { data: EventData::ActorKeyAdded(ActorKeyAdded { not_after, ..data }), ..event }
    };
    let owner = || added("owner@it", "owner", KeyRole::Owner);
    let other = || added("owner@it", "dev", KeyRole::Executor);
    let executor = || added("owner@it", "owner", KeyRole::Executor);
    let elses = || added("somebody@it", "owner", KeyRole::Owner);
    type First = (&'static str, &'static str, Vec<Event>, Option<&'static str>);
    let cases: Vec<First> = vec![
        ("two at once", "not-entitled", vec![owner(), other()], Some("owner")),
        ("an executor's", "not-entitled", vec![executor()], Some("owner")),
        ("one with an end", "not-entitled", vec![ends(owner())], Some("owner")),
        ("signed with another", "not-entitled", vec![owner()], Some("stranger")),
        ("added by somebody else", "not-entitled", vec![elses()], Some("owner")),
        (
            "revoked before it was added",
            "not-entitled",
            vec![revoked("owner@it", "owner")],
            Some("owner"),
        ),
        ("not signed", "unsigned", vec![owner()], None),
        ("no key at all, and signed", "unknown-key", vec![policy("owner@it")], Some("owner")),
    ];
    let count = cases.len();
    for (what, class, events, signer) in cases {
        case(what);
        let room = Room::with_ledger();
        let forged = match signer {
            Some(signer) => forge(&room, &events, says_signed(signer), with(signer)),
            None => forge(&room, &events, |_| {}, |_| None),
        };
        refused(&room, &forged, class);
        // The right one can still be the first.
        signs(&room, "owner", &["key", "add", "--self", "--reason", "the first"]);
        signs(&room, "owner", &["verify", "--require-signatures=99"]);
    }
    figure("P13", &format!("{count} of {count} false first keys refused"));
}

/// The event says a fingerprint that is not the key's: it is no sound artifact.
#[test]
fn a_key_under_another_fingerprint_is_no_artifact() {
    let event = added("owner@it", "dev", KeyRole::Owner);
    let EventData::ActorKeyAdded(data) = event.data.clone() else { panic!("a key is added") };
    let data = ActorKeyAdded { fingerprint: fingerprint("owner"), ..data };
    let error = artifact::encode_event(&Event { data: EventData::ActorKeyAdded(data), ..event });
    assert!(error.expect_err("refused").to_string().contains("fingerprint"));
}

/// Signatures that an outsider takes away, replaces or breaks come back from history.
#[test]
fn a_stripped_or_broken_signature_is_named_and_put_back() {
    let (first, last) = ("artifacts/seals/000000/000000003.json.sig", |room: &Room| {
        format!("{}.sig", last_seal(room).0)
    });
    for change in [None, Some("signed, dev\n")] {
        for which in [&|_: &Room| first.to_owned() as String, &last as &dyn Fn(&Room) -> String] {
            let room = scene();
            let path = which(&room);
            let was = room.ledger_text(&path);
            let commit = room.tamper(&[(&path, change)]);
            let class = if change.is_some() { "bad-signature" } else { "deleted" };
            let seal = path.strip_suffix(".sig").expect("a signature").to_owned();
            let forged = Forged { commit: commit.clone(), seal };
            let said = says(&room, "dev", &["delegate", "--prompt", "more"], 10);
            assert_eq!(said["data"]["path"], path.as_str(), "{said:#}");
            named(&room, &forged, class);
            let said = says(&room, "owner", &["correct", "--reason", "an outsider"], 0);
            assert_eq!(said["corrected"][0]["path"], path.as_str(), "{said:#}");
            assert_eq!(said["corrected"][0]["action"], "restored", "{said:#}");
            assert_eq!(room.ledger_text(&path), was, "the same bytes again");
            for args in [&["verify"][..], &["verify", "--deep"]] {
                let (code, said) = room.json(args);
                assert_eq!(code, 0, "{said:#}");
                assert_eq!(said["corrected"][0]["commit"], commit.as_str(), "{said:#}");
            }
            signs(&room, "dev", &["delegate", "--prompt", "more"]);
        }
    }
}

/// A seal that chains may call a correction what it does to an older signature: only one that holds
/// can have been there.
#[test]
fn a_forged_correction_of_a_signature_is_refused_and_put_back() {
    for by in [None, Some("stranger")] {
        let room = scene();
        let (seal, text) = last_seal(&room);
        let last: Seal = artifact::decode(text.as_bytes()).expect("a seal");
        let path = format!("{seal}.sig");
        let was = room.ledger_text(&path);
        let now = by.map(|name| sshsig(name, "stepseal", text.as_bytes()));
        let restored = Restored {
            path: path.clone(),
            sha256: now.as_ref().map(|text| Digest::of(text.as_bytes())),
            found: Some(Digest::of(was.as_bytes())),
        };
        let next = Seal {
            seq: last.seq + 1,
            previous: Some(Digest::of(text.as_bytes())),
            artifacts: Vec::new(),
            documents: Vec::new(),
            signed_by: None,
            recovery: Some(Recovery {
                foreign_commits: Vec::new(),
                restored: vec![restored],
                cleared_lock: None,
            }),
            ..last
        };
        let bytes = String::from_utf8(artifact::encode(&next)).expect("text");
        let message = format!("W: corrected\n\nStepseal-Seal: {}\n", next.seq);
        let own = artifact::seal_path(next.seq);
        let changes = [(path.as_str(), now.as_deref()), (own.as_str(), Some(bytes.as_str()))];
        let commit = room.tamper_as(&message, &changes);
        for forgets in [false, true] {
            if forgets {
                forget(&room);
            }
            let said = says(&room, "dev", &["delegate", "--prompt", "more"], 10);
            let message = said["message"].as_str().expect("a message");
            assert!(message.contains(&commit[..7]), "{by:?} {message}");
            let (code, said) = room.json(&["verify"]);
            assert_eq!(code, 10, "{by:?} {said:#}");
        }
        says(&room, "owner", &["correct", "--reason", "not ours"], 0);
        assert_eq!(room.ledger_text(&path), was, "the same bytes again");
        for args in [&["verify"][..], &["verify", "--deep"]] {
            let (code, said) = room.json(args);
            assert_eq!(code, 0, "{by:?} {args:?} {said:#}");
        }
    }
}

/// A correction whose own signature was damaged later still answers for what it put right.
#[test]
fn a_correction_with_a_damaged_signature_answers_all_the_same() {
    let room = scene();
    let (seal, text) = last_seal(&room);
    room.tamper(&[(&seal, Some(&text.replace("direct", "other")))]);
    says(&room, "owner", &["correct", "--reason", "an outsider"], 0);
    let (seal, _) = last_seal(&room);
    let commit = room.tamper(&[(&format!("{seal}.sig"), None)]);
    named(&room, &Forged { commit, seal }, "deleted");
}

/// A commit that says the next seal in its message and only takes a signature away.
#[test]
fn a_lying_message_does_not_hide_a_stripped_signature() {
    let room = scene();
    let (seal, text) = last_seal(&room);
    let next =
        serde_json::from_str::<Value>(&text).expect("JSON")["seq"].as_u64().expect("a number");
    let message = format!("W: all is well\n\nStepseal-Seal: {}\n", next + 1);
    let commit = room.tamper_as(&message, &[(&format!("{seal}.sig"), None)]);
    let (code, said) = room.json(&["verify"]);
    assert_eq!(code, 10, "{said:#}");
    let told = |finding: &Value| {
        finding["path"] == format!("{seal}.sig") && finding["commit"] == commit.as_str()
    };
    assert!(said["findings"].as_array().expect("findings").iter().any(told), "{said:#}");
}

/// Somebody who can push rewrites everything and signs it with a key of his own.
#[test]
fn a_rewritten_history_is_told_by_what_was_known_before() {
    let (room, attacker) = (scene(), Room::with_ledger());
    let (mark, root) = {
        let (_, said) = room.json(&["verify"]);
        let mark = &said["mark"];
        (
            format!("{} {}", mark["size"], mark["root"].as_str().expect("a root")),
            said["signatures"]["root"].as_str().expect("a key").to_owned(),
        )
    };
    assert_eq!(root, fingerprint("owner").as_str());
    signs(&attacker, "mallory", &["key", "add", "--self", "--reason", "mine"]);
    for n in 0..20 {
        let prompt = format!("mine {n}");
        signs(&attacker, "mallory", &["delegate", "--prompt", &prompt]);
    }
    let theirs = attacker.repo().display().to_string();
    room.git(&["fetch", "--quiet", "--force", &theirs, "+stepseal-ledger:stepseal-ledger"]);
    // The clone that saw the other history says so and writes nothing.
    let said = says(&room, "dev", &["delegate", "--prompt", "more"], 10);
    assert_eq!(said["reason"], "rewritten", "{said:#}");
    assert_eq!(classes(&says(&room, "dev", &["verify"], 10)), ["rewritten"]);
    // One that saw nothing needs something from elsewhere: a mark, or the first key.
    forget(&room);
    let given = ["verify", "--require-signatures", "--mark", &mark];
    assert_eq!(classes(&says(&room, "dev", &given, 10)), ["rewritten"]);
    forget(&room);
    let given = ["verify", "--require-signatures", "--root-key", &root];
    assert_eq!(classes(&says(&room, "dev", &given, 10)), ["unknown-key"]);
    // Without either it is a sound ledger, and says whose.
    forget(&room);
    let said = says(&room, "dev", &["verify", "--require-signatures=2"], 0);
    assert_eq!(said["signatures"]["root"], fingerprint("mallory").as_str(), "{said:#}");
}

fn classes(said: &Value) -> Vec<&str> {
    let findings = said["findings"].as_array().expect("findings");
    findings.iter().map(|finding| finding["class"].as_str().expect("a class")).collect()
}

/// The attacker keeps the beginning, cuts the rest and goes on with a key of his own.
#[test]
fn a_tail_that_is_signed_anew_by_a_stranger_is_named() {
    let room = scene();
    let seen = tip(&room);
    room.git(&["update-ref", BRANCH, &format!("{seen}~3")]);
    forget(&room);
    let forged = forge(&room, &[policy("dev@it")], says_signed("stranger"), with("stranger"));
    named(&room, &forged, "unknown-key");
}

/// What was signed before a revocation stays signed; what comes after is not.
#[test]
fn a_revoked_key_keeps_what_it_signed_and_signs_no_more() {
    let room = scene();
    let said = says(&room, "owner", &["verify"], 0);
    let keys = said["signatures"]["keys"].as_array().expect("keys");
    let seals = |name: &str| {
        let name = fingerprint(name);
        keys.iter().find(|key| key["fingerprint"] == name.as_str()).map(|key| &key["seals"])
    };
    assert_eq!(seals("gone"), Some(&1.into()), "{said:#}");
    assert_eq!(seals("owner"), Some(&6.into()), "{said:#}");
    assert_eq!(said["signatures"]["beforeFirstKey"], 1, "{said:#}");
    assert_eq!(said["signatures"]["unsigned"], 0, "{said:#}");
    let before = tip(&room);
    let said = says(&room, "gone", &["delegate", "--prompt", "more"], 3);
    assert_eq!(
        (&said["reason"], &said["data"]["why"]),
        (&"key-not-accepted".into(), &"revoked-key".into())
    );
    assert_eq!(said["recorded"], false, "{said:#}");
    assert_eq!(tip(&room), before);
    // Rotation: the next owner's key is added by the one before, which then goes.
    add(&room, "next", "owner", &[]);
    let old = fingerprint("owner");
    let mut command =
        room.stepseal(&["key", "revoke", &old.as_str()[7..15], "--reason", "rotated"]);
    command.env("STEPSEAL_SEAL_KEY", room.key("next")).env("STEPSEAL_PRINCIPAL", "next@it");
    let ran = Ran::of(&command.output().expect("it starts"));
    assert_eq!(ran.code, 0, "{ran}");
    let said = says(&room, "owner", &["delegate", "--prompt", "more"], 3);
    assert_eq!(said["data"]["why"], "revoked-key", "{said:#}");
    signs(&room, "next", &["verify", "--require-signatures", "--deep"]);
    let list = signs(&room, "next", &["key", "list"]);
    assert!(list.contains("revoked by seal 12"), "{list}");
}

/// A key whose private half was stolen: what it may have signed in between is said.
#[test]
fn a_compromised_key_leaves_doubts_that_are_said() {
    let room = scene();
    let seal = |room: &Room| last_seal(room).0[23..32].parse::<u64>().expect("a number");
    let mut since = 0;
    for step in ["s003", "s004", "s005"] {
        signs(&room, "dev", &["claim", "--work-item", "W", "--step", step]);
        if step == "s004" {
            since = seal(&room);
        }
        signs(&room, "dev", &["complete", "--work-item", "W", "--step", step, "--outcome", "x"]);
    }
    let (last, dev) = (seal(&room), fingerprint("dev"));
    let wrong = (last + 1).to_string();
    let revoke = ["key", "revoke", dev.as_str(), "--reason", "stolen", "--compromised-since"];
    let said = says(&room, "owner", &[&revoke[..], &[&wrong]].concat(), 2);
    assert_eq!(said["reason"], "invalid", "{said:#}");
    signs(&room, "owner", &[&revoke[..], &[&since.to_string()]].concat());
    let said = says(&room, "owner", &["verify", "--require-signatures"], 0);
    let doubted = &said["signatures"]["doubted"][0];
    assert_eq!(doubted["fingerprint"], dev.as_str(), "{said:#}");
    let seen = (&doubted["firstSeal"], &doubted["lastSeal"], &doubted["seals"]);
    assert_eq!(seen, (&since.into(), &last.into(), &(last - since + 1).into()), "{said:#}");
    let shown = signs(&room, "owner", &["verify"]);
    assert!(shown.contains("doubted") && shown.contains("dev@it"), "{shown}");
}

/// A writer is told before anything is recorded that its key may not seal this.
#[test]
fn what_a_reader_would_refuse_is_not_written() {
    let room = scene();
    let before = tip(&room);
    let refuse = |name: &str, more: &[(&str, &str)], args: &[&str], why: &str| {
        let mut command = room.stepseal(&[args, &["--json"]].concat());
        command.env("STEPSEAL_SEAL_SIGN", "ssh").env("STEPSEAL_SEAL_KEY", room.key(name));
        command.env("STEPSEAL_PRINCIPAL", format!("{name}@it")).envs(more.iter().copied());
        let ran = Ran::of(&command.output().expect("it starts"));
        assert_eq!(ran.code, 3, "{name} {args:?} {ran}");
        let said: Value = serde_json::from_str(&ran.stdout).expect("one document");
        assert_eq!(said["reason"], "key-not-accepted", "{said:#}");
        assert_eq!(said["data"]["why"], why, "{said:#}");
        assert_eq!(said["recorded"], false, "{said:#}");
        assert_eq!(tip(&room), before, "{name} {args:?} wrote");
        said
    };
    let more = ["delegate", "--prompt", "more"];
    let said = refuse("stranger", &[], &more, "unknown-key");
    // The way out is the line an owner types.
    let next = said["next"][0].as_array().expect("a command");
    assert_eq!(next[3], public("stranger").0.as_str(), "{said:#}");
    refuse("gone", &[], &more, "revoked-key");
    refuse("dev", &[("STEPSEAL_PRINCIPAL", "owner@it")], &more, "other-principal");
    refuse("late", &[("STEPSEAL_NOW", "2026-11-22T00:00:00Z")], &more, "expired-key");
    let key = format!("{}.pub", room.key("stranger"));
    let add = ["key", "add", &key, "--for", "x@it", "--role", "executor", "--reason", "x"];
    let owner = [("STEPSEAL_PRINCIPAL", "owner@it")];
    refuse("dev", &owner, &add, "not-owner");
    refuse("stranger", &owner, &add, "unknown-key");
    refuse("stranger", &owner, &["key", "add", "--self", "--reason", "x"], "unknown-key");
    let dev = fingerprint("dev");
    refuse("ci", &owner, &["key", "revoke", dev.as_str(), "--reason", "x"], "not-owner");
    // The ledger's own time counts, however this clone's clock stands.
    let mut later = room.stepseal(&["delegate", "--prompt", "later"]);
    let ran = later.env("STEPSEAL_NOW", "2026-11-22T00:00:00Z").output().expect("it starts");
    assert!(ran.status.success(), "{}", Ran::of(&ran));
    let said = says(&room, "late", &more, 3);
    assert_eq!(said["data"]["why"], "expired-key", "{said:#}");
}

/// `key add` and `key revoke` say no with a reason and a way out, and are safe to repeat.
#[test]
fn the_key_verbs_answer_for_themselves() {
    let room = Room::with_ledger();
    let dev = format!("{}.pub", room.key("dev"));
    let list = says(&room, "owner", &["key", "list"], 0);
    assert_eq!(
        (&list["keys"], &list["own"]),
        (&serde_json::json!([]), &fingerprint("owner").as_str().into())
    );
    // The first key.
    let named = ["key", "add", &dev, "--reason", "x", "--for"];
    let not = |more: &[&str], code: i32, reason: &str| {
        let said = says(&room, "owner", &[&named[..], more].concat(), code);
        assert_eq!(said["reason"], reason, "{more:?} {said:#}");
        assert_eq!(said["recorded"], false, "{said:#}");
    };
    not(&["owner@it", "--role", "executor"], 4, "first-key");
    not(&["dev@it", "--role", "owner"], 4, "first-key");
    not(&["owner@it", "--role", "owner", "--not-after", "2030-01-01"], 4, "first-key");
    let dry = says(&room, "owner", &["key", "add", "--self", "--reason", "x", "--dry-run"], 0);
    assert_eq!((&dry["outcome"], &dry["recorded"]), (&"dry-run".into(), &false.into()));
    let first = ["key", "add", "--self", "--reason", "x", "--request-id", "r-1"];
    let said = says(&room, "owner", &first, 0);
    assert_eq!((&said["outcome"], &said["signedBy"]), (&"added".into(), &said["fingerprint"]));
    let again = says(&room, "owner", &first, 0);
    assert_eq!(
        (&again["outcome"], &again["fingerprint"]),
        (&"unchanged".into(), &said["fingerprint"])
    );
    assert_eq!(again["recorded"], false);
    let other = ["key", "add", "--self", "--reason", "y", "--request-id", "r-1"];
    assert_eq!(says(&room, "owner", &other, 6)["reason"], "request-reused");
    // Further keys.
    let said = says(&room, "dev", &[&named[..], &["dev@it", "--role", "executor"]].concat(), 4);
    assert_eq!(
        (&said["reason"], &said["data"]["owners"][0]),
        (&"not-owner".into(), &"owner@it".into())
    );
    not(&["dev@it", "--role", "executor", "--not-after", "2026-11-19"], 2, "invalid");
    not(&["dev@it", "--role", "executor", "--not-after", "soon"], 2, "invalid");
    signs(&room, "owner", &[&named[..], &["dev@it", "--role", "executor"]].concat());
    let same = says(&room, "owner", &[&named[..], &["dev@it", "--role", "executor"]].concat(), 0);
    assert_eq!(same["outcome"], "unchanged", "{same:#}");
    not(&["dev@it", "--role", "collector"], 6, "key-taken");
    not(&["eve@it", "--role", "executor"], 6, "key-taken");
    // Revoking.
    let revoke =
        |key: &str, code: i32| says(&room, "owner", &["key", "revoke", key, "--reason", "x"], code);
    assert_eq!(revoke("SHA256:none", 5)["reason"], "unknown-key");
    assert_eq!(revoke("", 5)["reason"], "unknown-key");
    assert_eq!(revoke(fingerprint("owner").as_str(), 4)["reason"], "last-owner");
    add(&room, "second", "owner", &["--not-after", "2030-01-01"]);
    assert_eq!(revoke(fingerprint("owner").as_str(), 4)["reason"], "last-owner");
    assert_eq!(revoke(fingerprint("dev").as_str(), 0)["outcome"], "revoked");
    assert_eq!(revoke(fingerprint("dev").as_str(), 0)["outcome"], "unchanged");
    not(&["dev@it", "--role", "executor"], 4, "key-revoked");
    // Two keys with one beginning: the shortest that both have.
    for n in 0.. {
        let name = format!("twin{n}");
        add(&room, &name, "executor", &[]);
        let start = &fingerprint(&name).as_str()[7..8].to_owned();
        let said = says(&room, "owner", &["key", "list"], 0);
        let keys = said["keys"].as_array().expect("keys");
        let same = keys.iter().filter(|key| {
            key["fingerprint"].as_str().is_some_and(|text| text[7..].starts_with(start))
        });
        if same.count() > 1 {
            let said = revoke(start, 2);
            assert_eq!(said["reason"], "ambiguous-key", "{said:#}");
            break;
        }
    }
    signs(&room, "owner", &["verify", "--require-signatures", "--deep"]);
}

/// What is given as a key and is none, or not one that may sign.
#[test]
fn what_is_no_key_is_refused_with_the_way_out() {
    let room = Room::with_ledger();
    signs(&room, "owner", &["key", "add", "--self", "--reason", "x"]);
    let rsa = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQC7 x@it";
    let good = public("dev").0;
    room.write("rsa.pub", rsa);
    room.write("two.pub", &format!("{good} one\n{good} two\n"));
    room.write("text.pub", "hello\n");
    room.write("cut.pub", &good.as_str()[..60]);
    room.write("big.pub", &"x".repeat(200_000));
    room.write("commented.pub", &format!("# mine\n\n{good}   dev@laptop\n"));
    let add = |key: &str| {
        let rest = ["--for", "dev@it", "--role", "executor", "--reason", "x", "--dry-run"];
        room.sign_as("owner", &[&["key", "add", key], &rest[..]].concat())
    };
    for key in
        [rsa, "rsa.pub", "two.pub", "text.pub", "cut.pub", "big.pub", "none.pub", "\u{1b}[2J"]
    {
        let ran = add(key);
        assert_eq!(ran.code, 2, "{key}: {ran}");
        assert!(!ran.stderr.contains('\u{1b}'), "{ran}");
    }
    assert!(add("rsa.pub").stderr.contains("ssh-keygen -t ed25519"));
    let private = add(&room.key("dev"));
    assert_eq!(private.code, 2, "{private}");
    assert!(private.stderr.contains("dev.pub"), "{private}");
    for key in ["commented.pub", good.as_str(), &format!("{good} a comment of words")] {
        let ran = add(key);
        assert_eq!(ran.code, 0, "{key}: {ran}");
        assert!(ran.stdout.contains(fingerprint("dev").as_str()), "{ran}");
    }
    let mut command = room.stepseal(&[
        "key",
        "add",
        "-",
        "--for",
        "dev@it",
        "--role",
        "executor",
        "--reason",
        "x",
        "--dry-run",
    ]);
    command.env("STEPSEAL_PRINCIPAL", "owner@it").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    let mut stdin = child.stdin.take().expect("stdin");
    std::io::Write::write_all(&mut stdin, good.as_str().as_bytes()).expect("the key");
    drop(stdin);
    let ran = Ran::of(&child.wait_with_output().expect("it ends"));
    assert!(ran.stdout.contains(fingerprint("dev").as_str()), "{ran}");
}

/// A clone that does not sign is warned where others do, and one that signs where nobody can.
#[test]
fn an_unsigned_seal_beside_keys_is_warned_of_and_counted() {
    let room = Room::with_ledger();
    let ran = room.sign_as("owner", &["delegate", "--prompt", "a"]);
    assert!(ran.code == 0 && ran.stderr.contains("no key yet"), "{ran}");
    let (code, said) = room.json(&["verify", "--require-signatures"]);
    assert_eq!((code, &said["reason"]), (4, &"no-keys".into()), "{said:#}");
    let ran = room.run(&["delegate", "--prompt", "b"]);
    assert!(ran.code == 0 && !ran.stderr.contains("signed"), "{ran}");
    signs(&room, "owner", &["key", "add", "--self", "--reason", "x"]);
    let ran = room.run(&["delegate", "--prompt", "c"]);
    assert!(ran.code == 0 && ran.stderr.contains("this seal is not signed"), "{ran}");
    // Reading, and what records nothing, says nothing.
    for args in [&["status"][..], &["claim", "--work-item", "nothing", "--step", "x"]] {
        assert!(!room.run(args).stderr.contains("not signed"), "{args:?}");
    }
    signs(&room, "owner", &["delegate", "--prompt", "d"]);
    room.ok(&["delegate", "--prompt", "e"]);
    room.ok(&["delegate", "--prompt", "f"]);
    let said = says(&room, "owner", &["verify"], 0);
    let signatures = &said["signatures"];
    let seen = (&signatures["beforeFirstKey"], &signatures["signed"], &signatures["unsigned"]);
    assert_eq!(seen, (&3.into(), &2.into(), &3.into()), "{said:#}");
    let said = says(&room, "owner", &["verify", "--require-signatures"], 10);
    assert_eq!(classes(&said), ["unsigned", "unsigned"], "one for each run: {said:#}");
    assert_eq!(said["findings"][1]["what"], "seals 7 to 8 are not signed", "{said:#}");
    let (_, text) = last_seal(&room);
    assert!(!text.contains("signedBy"), "{text}");
    signs(&room, "owner", &["delegate", "--prompt", "g"]);
    signs(&room, "owner", &["verify", "--require-signatures=9"]);
    let said = says(&room, "owner", &["verify", "--require-signatures=8"], 10);
    assert_eq!(classes(&said), ["unsigned"], "{said:#}");
}

/// The tree that `export` writes has every signature.
#[test]
fn an_export_carries_the_signatures() {
    let room = scene();
    room.ok(&["export", "--tree", "../tree"]);
    for path in room.ledger_files().iter().filter(|path| path.ends_with(".sig")) {
        let written = std::fs::read_to_string(room.path().join("tree").join(path)).expect("a file");
        assert_eq!(written, room.ledger_text(path));
    }
}

/// A hardware key's signature says whether it was touched; one that says no does not count.
#[test]
fn a_hardware_key_must_have_been_touched() {
    let pair = signing_key("hardware");
    let KeyData::Ed25519(public) = PrivateKey::from(pair.clone()).public_key().key_data().clone()
    else {
        panic!("an ed25519 key")
    };
    let key = KeyData::SkEd25519(SkEd25519::new(public, "ssh:"));
    let named = artifact::named(&ssh_key::PublicKey::from(key.clone())).expect("a key that signs");
    assert!(named.0.as_str().starts_with("sk-ssh-ed25519@openssh.com "));
    let sign = |bytes: &[u8], flags: u8| {
        use sha2::Digest as _;
        let data = SshSig::signed_data("stepseal", HashAlg::Sha512, bytes).expect("data");
        let trailer = [flags, 0, 0, 0, 7];
        let (app, hash) = (sha2::Sha256::digest("ssh:"), sha2::Sha256::digest(&data));
        let told = [&app[..], &trailer, &hash].concat();
        let made = raw(&PrivateKey::from(pair.clone()), &told);
        let made = [made.as_bytes(), &trailer].concat();
        let made = Signature::new(Algorithm::SkEd25519, made).expect("a signature");
        SshSig::new(key.clone(), "stepseal", HashAlg::Sha512, made)
            .and_then(|signature| signature.to_pem(LineEnding::LF))
            .expect("armour")
    };
    let check = |text: String| artifact::check_signature(text.as_bytes(), &named.0, b"seal");
    assert_eq!(check(sign(b"seal", 1)), Ok(()));
    assert_eq!(check(sign(b"seal", 5)), Ok(()));
    assert_eq!(check(sign(b"seal", 0)), Err(artifact::BadSignature::Untouched));
    assert_eq!(check(sign(b"other", 1)), Err(artifact::BadSignature::OtherBytes));
}

/// A bare signature, without what SSHSIG puts around it.
fn raw<K: ssh_key::SigningKey>(key: &K, bytes: &[u8]) -> Signature {
    key.try_sign(bytes).expect("a signature")
}

/// Makes a key with `ssh-keygen` in the room's home.
fn keygen(room: &Room, name: &str, kind: &str, passphrase: &str) -> String {
    let path = room.path().join("home").join(name).display().to_string();
    let args = ["-q", "-t", kind, "-N", passphrase, "-C", name, "-f", &path];
    let ran = room.program("ssh-keygen").args(args).output().expect("ssh-keygen starts");
    assert!(ran.status.success(), "{}", Ran::of(&ran));
    path
}

/// Runs the binary with this key for its owner, and what else is given.
fn with_key(room: &Room, key: &str, env: &[(&str, &str)], args: &[&str]) -> Ran {
    let mut command = room.stepseal(args);
    command.env("STEPSEAL_SEAL_SIGN", "ssh").env("STEPSEAL_SEAL_KEY", key);
    command.env("STEPSEAL_PRINCIPAL", "owner@it").envs(env.iter().copied());
    Ran::of(&command.output().expect("it starts"))
}

/// `ssh-keygen -Y verify` of a seal and its signature, in a namespace.
fn keygen_accepts(room: &Room, key: &str, seal: &str, signature: &str, namespace: &str) -> bool {
    let folder = room.path();
    std::fs::write(folder.join("allowed"), format!("somebody {key}\n")).expect("a file");
    std::fs::write(folder.join("signature"), signature).expect("a file");
    std::fs::write(folder.join("seal"), seal).expect("a file");
    let mut command = room.program("ssh-keygen");
    command.current_dir(folder);
    command.args(["-Y", "verify", "-f", "allowed", "-I", "somebody", "-n", namespace]);
    command.args(["-s", "signature"]).stdin(std::fs::File::open(folder.join("seal")).expect("it"));
    command.output().expect("ssh-keygen starts").status.success()
}

/// The oracle: OpenSSH accepts each of our signatures, for our namespace and no other, and we
/// accept what it signs.
#[test]
fn ssh_keygen_agrees_in_both_directions() {
    if !has("ssh-keygen") {
        return;
    }
    let room = Room::with_ledger();
    let (ed, ec) = (keygen(&room, "ed", "ed25519", ""), keygen(&room, "ec", "ecdsa", ""));
    let owner = |key: &str, args: &[&str]| {
        let ran = with_key(&room, key, &[], args);
        assert_eq!(ran.code, 0, "{args:?} {ran}");
    };
    owner(&ed, &["key", "add", "--self", "--reason", "the first"]);
    let pub_of = |key: &str| std::fs::read_to_string(format!("{key}.pub")).expect("a public key");
    let named = ["--for", "owner@it", "--role", "owner", "--reason", "another"];
    owner(&ed, &[&["key", "add", &format!("{ec}.pub")], &named[..]].concat());
    owner(&ec, &["delegate", "--prompt", "one"]);
    owner(&format!("{ec}.pub"), &["delegate", "--prompt", "two"]);
    let mut signed = 0;
    for path in room.ledger_files().iter().filter(|path| path.ends_with(".sig")) {
        let (seal, signature) =
            (room.ledger_text(path.strip_suffix(".sig").expect("a seal")), room.ledger_text(path));
        let said: Value = serde_json::from_str(&seal).expect("JSON");
        let by = [&ed, &ec].into_iter().find(|key| {
            let key = artifact::public_key(&pub_of(key)).expect("a key");
            said["signedBy"] == key.1.as_str()
        });
        let key = pub_of(by.expect("one of the two"));
        assert!(keygen_accepts(&room, &key, &seal, &signature, "stepseal"), "{path}");
        assert!(!keygen_accepts(&room, &key, &seal, &signature, "git"), "{path}");
        assert!(
            !keygen_accepts(&room, &key, &format!("{seal} "), &signature, "stepseal"),
            "{path}"
        );
        signed += 1;
    }
    assert_eq!(signed, 4);
    // What OpenSSH signs, for each kind of key and each of its two hashes.
    for (key, options) in [(&ed, &[][..]), (&ec, &[]), (&ed, &["-O", "hashalg=sha256"])] {
        let name = artifact::public_key(&pub_of(key)).expect("a key").1;
        let edit = move |seal: &mut Seal| seal.signed_by = Some(name);
        forge(&room, &[policy("owner@it")], edit, |bytes| {
            let file = room.path().join("to-sign");
            std::fs::write(&file, bytes).expect("a file");
            let mut command = room.program("ssh-keygen");
            command.args(["-Y", "sign", "-n", "stepseal", "-f", key]).args(options).arg(&file);
            let ran = command.output().expect("ssh-keygen starts");
            assert!(ran.status.success(), "{}", Ran::of(&ran));
            let made = file.with_extension("sig");
            let text = std::fs::read_to_string(&made).expect("a signature");
            std::fs::remove_file(made).expect("made here");
            Some(text)
        });
        owner(&ed, &["delegate", "--prompt", &format!("after {}", options.len())]);
        owner(&ed, &["verify", "--require-signatures", "--deep"]);
    }
}

/// Whatever is done to a signature, in its text or in what the text stands for: where we still
/// accept it, OpenSSH does too.
#[test]
fn no_changed_signature_is_accepted_that_openssh_refuses() {
    if !has("ssh-keygen") {
        return;
    }
    let (room, mut dice) = (Room::new(), Dice::new());
    room.key("owner");
    let home = room.path().join("home");
    let ec = keygen(&room, "ec", "ecdsa", "");
    let (seal, mut accepted, count) = ("{}\n", 0, rounds(3_000, 100_000));
    for name in ["owner", "ec"] {
        let path = home.join(name);
        let key = PrivateKey::read_openssh_file(&path).expect("a private key");
        let public = artifact::named(key.public_key()).expect("a key that signs").0;
        let good = key.sign("stepseal", HashAlg::Sha512, seal.as_bytes()).expect("a signature");
        let good = good.to_pem(LineEnding::LF).expect("armour");
        let check = |text: &[u8]| artifact::check_signature(text, &public, seal.as_bytes());
        assert_eq!(check(good.as_bytes()), Ok(()), "{ec}");
        let blob =
            Base64::decode_vec(&good.lines().filter(|l| !l.starts_with('-')).collect::<String>());
        let blob = blob.expect("base64");
        for round in 0..count {
            let deep = round % 2 == 0;
            let mut bytes = if deep { blob.clone() } else { good.clone().into_bytes() };
            for _ in 0..=dice.below(2) {
                let at = usize::try_from(dice.below(bytes.len() as u64)).expect("small");
                match dice.below(4) {
                    0 => bytes[at] ^= 1 << dice.below(8),
                    1 => drop(bytes.remove(at)),
                    2 => bytes.insert(at, bytes[at]),
                    _ => {
                        let from = b"ABCabc012+/=\n -";
                        bytes[at] = from[usize::try_from(dice.below(15)).expect("small")];
                    }
                }
            }
            let text = if deep { armour(&bytes).into_bytes() } else { bytes };
            if text == good.as_bytes() || check(&text).is_err() {
                continue;
            }
            accepted += 1;
            let text = String::from_utf8(text).expect("accepted text");
            assert!(keygen_accepts(&room, public.as_str(), seal, &text, "stepseal"), "{text}");
        }
    }
    let count = count * 2;
    figure("P13", &format!("{count} changed signatures, {accepted} accepted, all by OpenSSH too"));
}

/// A signature's bytes as OpenSSH writes them.
fn armour(blob: &[u8]) -> String {
    let text = Base64::encode_string(blob);
    let lines: Vec<&str> =
        text.as_bytes().chunks(70).map(|line| std::str::from_utf8(line).expect("base64")).collect();
    let lines = lines.join("\n");
    format!("-----BEGIN SSH SIGNATURE-----\n{lines}\n-----END SSH SIGNATURE-----\n")
}

/// An encrypted key nobody opened: refused at once with what to type, also on a terminal.
#[test]
fn an_encrypted_key_without_an_agent_ends_at_once_and_records_nothing() {
    if !has("ssh-keygen") {
        return;
    }
    let room = Room::with_ledger();
    signs(&room, "owner", &["key", "add", "--self", "--reason", "the first"]);
    let key = keygen(&room, "locked", "ed25519", "secret");
    let public = format!("{key}.pub");
    let named = ["--for", "owner@it", "--role", "owner", "--reason", "another"];
    signs(&room, "owner", &[&["key", "add", &public], &named[..]].concat());
    let before = tip(&room);
    for given in [&key, &public] {
        let start = Instant::now();
        let ran = with_key(&room, given, &[], &["delegate", "--prompt", "x", "--json"]);
        assert_eq!(ran.code, 3, "{ran}");
        assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
        let said: Value = serde_json::from_str(&ran.stdout).expect("one document");
        assert_eq!(
            (&said["reason"], &said["kind"]),
            (&"no-signature".into(), &"credentials".into())
        );
        assert_eq!(said["recorded"], false, "{said:#}");
        assert_eq!(said["next"][0], serde_json::json!(["ssh-add", key]), "{said:#}");
        assert_eq!(tip(&room), before);
    }
    // On a terminal, where OpenSSH would ask for the passphrase.
    let Ok(mut terminal) = room
        .program("script")
        .args(["--quiet", "--return", "--command"])
        .arg(format!("{} delegate --prompt x", super::kit::STEPSEAL))
        .arg("/dev/null")
        .env("STEPSEAL_SEAL_SIGN", "ssh")
        .env("STEPSEAL_SEAL_KEY", &key)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
    else {
        skipped("script is not here: no terminal to ask on");
        return;
    };
    let start = Instant::now();
    let hands = terminal.stdin.take();
    let ran = Ran::of(&terminal.wait_with_output().expect("it ends"));
    drop(hands);
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
    assert!(ran.code == 3 && ran.stdout.contains("ssh-add"), "{ran}");
    assert!(!ran.stdout.contains("passphrase:"), "nobody is asked: {ran}");
    assert_eq!(tip(&room), before);
}

/// An ssh-agent of one's own, ended with the test.
#[cfg(unix)]
struct Agent {
    child: Child,
    socket: String,
}

#[cfg(unix)]
impl Agent {
    fn start(room: &Room) -> Self {
        let socket = room.path().join("agent").display().to_string();
        let mut command = room.program("ssh-agent");
        command.args(["-D", "-a", &socket]).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("ssh-agent starts");
        let start = Instant::now();
        // The socket is there a moment before anybody listens.
        while std::os::unix::net::UnixStream::connect(&socket).is_err() {
            assert!(start.elapsed() < Duration::from_secs(20), "no agent");
            std::thread::yield_now();
        }
        Self { child, socket }
    }

    fn env(&self) -> [(&str, &str); 1] {
        [("SSH_AUTH_SOCK", &self.socket)]
    }

    /// Loads a key; the passphrase comes from a program, as where there is no terminal.
    fn load(&self, room: &Room, key: &str) {
        let ask = room.path().join("ask");
        // Written by a program: a file this process has open for writing cannot be run by a child
        // of it while another test's child has it open still.
        let mut write = room.program("sh");
        write.args(["-c", "printf '#!/bin/sh\\necho secret\\n' >\"$0\" && chmod 755 \"$0\""]);
        assert!(write.arg(&ask).status().expect("sh starts").success());
        let mut command = room.program("ssh-add");
        command.arg(key).envs(self.env()).env("SSH_ASKPASS", &ask);
        let ran = command.env("SSH_ASKPASS_REQUIRE", "force").output().expect("ssh-add starts");
        assert!(ran.status.success(), "{}", Ran::of(&ran));
    }
}

#[cfg(unix)]
impl Drop for Agent {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The private half is only in the agent: named by its file, by its public half, as text.
#[cfg(unix)]
#[test]
fn an_agent_signs_what_no_file_can() {
    if !has("ssh-keygen") || !has("ssh-agent") || !has("ssh-add") {
        return;
    }
    let room = Room::with_ledger();
    let key = keygen(&room, "locked", "ed25519", "secret");
    let agent = Agent::start(&room);
    agent.load(&room, &key);
    let text = std::fs::read_to_string(format!("{key}.pub")).expect("a public key");
    let first = ["key", "add", "--self", "--reason", "the first"];
    let ran = with_key(&room, &key, &agent.env(), &first);
    assert_eq!(ran.code, 0, "{ran}");
    let literal = format!("key::{}", text.trim());
    let public = format!("{key}.pub");
    let aside = format!("{key}.aside");
    for (n, given) in [&key, &public, &literal, &text.trim().to_owned(), &public].iter().enumerate()
    {
        if n == 4 {
            // Nothing but the public half is on this machine.
            std::fs::rename(&key, &aside).expect("moved aside");
        }
        let prompt = format!("item {n}");
        let ran = with_key(&room, given, &agent.env(), &["delegate", "--prompt", &prompt]);
        assert_eq!(ran.code, 0, "{given}: {ran}");
    }
    let ran = with_key(&room, &key, &[], &["verify", "--require-signatures", "--deep", "--json"]);
    let said: Value = serde_json::from_str(&ran.stdout).expect("one document");
    assert_eq!((ran.code, &said["signatures"]["signed"]), (0, &6.into()), "{said:#}");
    // As git has it: a key of git's own, with `~/`, and nothing of ours.
    room.git(&["config", "gpg.format", "ssh"]);
    room.git(&["config", "user.signingkey", "~/locked.pub"]);
    let gits = |prompt: &str| with_key(&room, "", &agent.env(), &["delegate", "--prompt", prompt]);
    let ran = gits("by git");
    assert_eq!(ran.code, 0, "{ran}");
    room.git(&["config", "gpg.format", "openpgp"]);
    let ran = gits("by gpg");
    assert!(ran.code == 3 && ran.stderr.contains("openpgp"), "{ran}");
    // An agent that does not have it, and one that is gone.
    let other = keygen(&room, "other", "ed25519", "secret");
    let before = tip(&room);
    let ran = with_key(&room, &other, &agent.env(), &["delegate", "--prompt", "x"]);
    assert_eq!(ran.code, 3, "{ran}");
    let socket = agent.socket.clone();
    drop(agent);
    for given in [&public, &literal] {
        let ran =
            with_key(&room, given, &[("SSH_AUTH_SOCK", &socket)], &["delegate", "--prompt", "x"]);
        assert_eq!(ran.code, 3, "{given} {ran}");
    }
    assert_eq!(tip(&room), before);
}

/// Sends a signal to a process this test started.
#[cfg(unix)]
fn signal(child: &Child, signal: &str) {
    let status = Command::new("kill").args([signal, &child.id().to_string()]).status();
    assert!(status.expect("kill starts").success());
}

/// A command that is killed while it waits for a signature has recorded nothing, and the next
/// one goes on; a signature that never comes ends by itself.
#[cfg(unix)]
#[test]
fn a_kill_while_signing_records_nothing_and_wedges_nothing() {
    if !has("ssh-keygen") || !has("ssh-agent") || !has("ssh-add") {
        return;
    }
    let room = Room::live();
    let key = keygen(&room, "locked", "ed25519", "secret");
    let agent = Agent::start(&room);
    agent.load(&room, &key);
    let ran = with_key(&room, &key, &agent.env(), &["key", "add", "--self", "--reason", "x"]);
    assert_eq!(ran.code, 0, "{ran}");
    let before = tip(&room);
    signal(&agent.child, "-STOP");
    let args = ["delegate", "--prompt", "killed", "--request-id", "killed-1", "--json"];
    for _ in 0..rounds(3, 20) {
        let mut command = room.stepseal(&args);
        command.env("STEPSEAL_SEAL_SIGN", "ssh").env("STEPSEAL_SEAL_KEY", &key);
        command.env("STEPSEAL_PRINCIPAL", "owner@it").envs(agent.env());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        // It has the writer lock and waits for the agent.
        let lock = room.repo().join(".git/stepseal/lock");
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(20) {
            let lock = std::fs::File::options().write(true).open(&lock).expect("the lock");
            if lock.try_lock().is_err() {
                break;
            }
            std::thread::yield_now();
        }
        std::thread::sleep(Duration::from_millis(30));
        child.kill().expect("kill -9");
        let ran = Ran::of(&child.wait_with_output().expect("it ends"));
        assert!(ran.code == -1 && ran.stdout.is_empty(), "{ran}");
        assert_eq!(tip(&room), before, "something was recorded");
    }
    if rounds(0, 1) == 1 {
        let start = Instant::now();
        let ran = with_key(&room, &key, &agent.env(), &args);
        assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
        let said: Value = serde_json::from_str(&ran.stdout).expect("one document");
        assert_eq!((ran.code, &said["recorded"]), (3, &false.into()), "{ran}");
        figure("P13", &format!("an agent that does not answer ends after {:?}", start.elapsed()));
    }
    signal(&agent.child, "-CONT");
    let ran = with_key(&room, &key, &agent.env(), &args);
    let said: Value = serde_json::from_str(&ran.stdout).expect("one document");
    assert_eq!((ran.code, &said["recorded"]), (0, &true.into()), "{ran}");
    let again = with_key(&room, &key, &agent.env(), &args);
    assert_eq!(again.code, 0, "{again}");
    let ran = with_key(&room, &key, &agent.env(), &["verify", "--require-signatures", "--deep"]);
    assert_eq!(ran.code, 0, "{ran}");
}

/// Keys that are not there, not readable, not private, not of a kind that signs.
#[test]
fn a_key_that_cannot_sign_says_why() {
    let room = Room::with_ledger();
    signs(&room, "owner", &["key", "add", "--self", "--reason", "the first"]);
    let before = tip(&room);
    let home = room.path().join("home");
    let file = |name: &str, text: &str| {
        std::fs::write(home.join(name), text).expect("a file");
        home.join(name).display().to_string()
    };
    let rsa = file("rsa.pub", "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQC7 x@it\n");
    let garbage = file("garbage", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END\n");
    let pem = file("pem", "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n");
    let folder = home.display().to_string();
    let big = file("big", &"x".repeat(100_000));
    let mut cases = vec![
        ("", "no signing key is configured"),
        ("~/nothing", "nothing is not there"),
        ("~/nothing.pub", "nothing.pub is not there"),
        (&rsa, "ssh-rsa keys do not sign here"),
        (&garbage, "no public ssh key"),
        (&pem, "no public ssh key"),
        (&folder, "cannot be read"),
        (&big, "no public ssh key"),
        ("key::ssh-rsa AAAA", "ssh-rsa keys do not sign here"),
        ("key::hello", "no public ssh key"),
        ("ssh-ed25519 AAAA", "no public ssh key"),
    ];
    let exposed = room.key("exposed");
    if cfg!(unix) {
        let mut chmod = room.program("chmod");
        assert!(chmod.arg("644").arg(&exposed).status().expect("chmod starts").success());
        cases.push((&exposed, "can be read by others"));
    }
    for (key, why) in cases {
        let ran = with_key(&room, key, &[], &["delegate", "--prompt", "x"]);
        assert_eq!(ran.code, 3, "{key}: {ran}");
        assert!(ran.stderr.contains(why), "{key}: {ran}");
        assert!(
            ran.stderr.contains("next") && ran.stderr.contains("nothing was recorded"),
            "{ran}"
        );
        assert_eq!(tip(&room), before, "{key}");
    }
    // Where nothing is signed no key is looked at.
    let mut command = room.stepseal(&["delegate", "--prompt", "x"]);
    let ran = command.env("STEPSEAL_SEAL_KEY", "~/nothing").output().expect("it starts");
    assert!(ran.status.success(), "{}", Ran::of(&ran));
    // A repository cannot say whose key it is.
    room.write("stepseal.toml", "[seal]\nkey = \"/tmp/key\"\n");
    let ran = room.run(&["status"]);
    assert!(ran.code == 2 && ran.stderr.contains("seal.key"), "{ran}");
}

/// 16 processes at once, each signing with a key of its own: one holds, all seals are signed.
#[test]
fn of_16_signed_claims_at_once_one_holds() {
    let room = Room::live();
    signs(&room, "owner", &["key", "add", "--self", "--reason", "the first"]);
    room.write("plan.yaml", &parallel_workflow("par", 20));
    signs(&room, "owner", &["delegate", "--plan", "plan.yaml", "--work-item", "W"]);
    let racers: Vec<String> = (1..=16).map(|n| format!("racer{n}")).collect();
    for racer in &racers {
        add(&room, racer, "executor", &[]);
    }
    let start = |racer: &String, args: &[&str]| {
        let mut command = room.stepseal(args);
        command.env("STEPSEAL_SEAL_SIGN", "ssh").env("STEPSEAL_SEAL_KEY", room.key(racer));
        command.env("STEPSEAL_PRINCIPAL", format!("{racer}@it"));
        command.env("STEPSEAL_EXECUTOR", racer).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("it starts")
    };
    let all = |args: &[&str]| -> Vec<Ran> {
        let children: Vec<Child> = racers.iter().map(|racer| start(racer, args)).collect();
        let ends = children.into_iter().map(|child| child.wait_with_output().expect("it ends"));
        ends.map(|output| Ran::of(&output)).collect()
    };
    let one = ["claim", "--work-item", "W", "--step", "s001", "--json"];
    for round in 0..rounds(1, 10) {
        let ran = all(&one);
        let won = ran.iter().filter(|ran| ran.code == 0).count();
        assert_eq!(won, usize::from(round == 0), "{ran:#?}");
        assert!(ran.iter().all(|ran| [0, 6].contains(&ran.code)), "{ran:#?}");
    }
    // The others each take one of their own.
    let ran = all(&["claim", "--next", "--json"]);
    assert_eq!(ran.iter().filter(|ran| ran.code == 0).count(), 15, "{ran:#?}");
    let said = says(&room, "owner", &["verify", "--require-signatures", "--deep"], 0);
    assert_eq!(said["signatures"]["signed"], 1 + 1 + 16 + 16, "{said:#}");
    assert_eq!(said["signatures"]["unsigned"], 0, "{said:#}");
    figure("P13", "16 signed claims at once: 1 winner, every seal signed");
}

/// A clone that comes later, and one whose memory was lost, know the keys as well.
#[test]
fn the_keys_are_known_to_every_clone() {
    let room = scene();
    let state = |room: &Room| says(room, "owner", &["key", "list"], 0)["keys"].clone();
    let here = state(&room);
    forget(&room);
    assert_eq!(state(&room), here);
    let other = Room::new();
    other.git(&["init", "--quiet", "repo"]);
    let source = room.repo().display().to_string();
    other.git(&["fetch", "--quiet", &source, "stepseal-ledger:stepseal-ledger"]);
    other.ok(&["init", "--quiet"]);
    assert_eq!(state(&other), here);
    // What was recorded since arrives, a new key and its first seal among it.
    add(&room, "new", "executor", &[]);
    signs(&room, "new", &["delegate", "--prompt", "new"]);
    other.git(&["fetch", "--quiet", &source, "stepseal-ledger:stepseal-ledger"]);
    signs(&other, "new", &["delegate", "--prompt", "newer"]);
    signs(&other, "owner", &["verify", "--require-signatures", "--deep"]);
    // The memory of an older program knows of no keys, as there were none.
    let path = other.repo().join(".git/stepseal/seen.json");
    let text = std::fs::read_to_string(&path).expect("the memory");
    let mut seen: Value = serde_json::from_str(&text).expect("JSON");
    assert!(seen["keys"]["keys"].as_object().is_some_and(|keys| keys.len() == 6), "{seen:#}");
    seen.as_object_mut().expect("an object").remove("keys");
    let fresh = Room::with_ledger();
    let path = fresh.repo().join(".git/stepseal/seen.json");
    let text = std::fs::read_to_string(&path).expect("the memory");
    let mut seen: Value = serde_json::from_str(&text).expect("JSON");
    seen.as_object_mut().expect("an object").remove("keys");
    std::fs::write(&path, seen.to_string()).expect("the memory");
    signs(&fresh, "owner", &["key", "add", "--self", "--reason", "x"]);
}

/// From the hundredth event on the ledger's own files stand in folders: keys that were added there
/// count where a clone begins to look, too.
#[test]
fn keys_in_a_folder_of_a_hundred_are_known() {
    let room = Room::with_ledger();
    let numbered = |n: u64| EventId::new(uuid_of(800_000 + n));
    let many: Vec<Event> =
        (0..100u64).map(|n| Event { id: numbered(n), ..policy("dev@it") }).collect();
    forge(&room, &many, |_| {}, |_| None);
    signs(&room, "owner", &["key", "add", "--self", "--reason", "the first"]);
    let files = room.ledger_files();
    let there = |path: &String| path.contains("/_ledger/0001xx/") && path.contains("actor-key");
    assert!(files.iter().any(there), "{files:#?}");
    signs(&room, "owner", &["delegate", "--prompt", "new"]);
    let shallow = Room::new();
    shallow.git(&["init", "--quiet", "repo"]);
    let source = format!("file://{}", room.repo().display());
    let branch = "stepseal-ledger:stepseal-ledger";
    shallow.git(&["fetch", "--quiet", "--depth", "1", &source, branch]);
    shallow.ok(&["init", "--quiet"]);
    let state = |room: &Room| says(room, "owner", &["key", "list"], 0)["keys"].clone();
    assert_eq!(state(&shallow), state(&room));
    assert_eq!(state(&room).as_array().map(Vec::len), Some(1));
}

const PAPER: &str = include_str!("../../docs/signatures.md");

/// The table of the documentation, cell by cell, and every pair of rows in one seal: what a key
/// may seal together is what it may seal apart.
#[test]
fn the_printed_table_is_what_is_judged() {
    let rows: Vec<Vec<&str>> = PAPER
        .lines()
        .filter(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    let (head, rows) = (&rows[0], &rows[2..]);
    assert_eq!(rows.len(), 8, "the table has changed: look at it again");
    let seen = |event: &Event| Fact::of(event, &Digest::of(b"x")).expect("a fact");
    let mut tried = 0;
    for (column, role) in [KeyRole::Owner, KeyRole::Executor, KeyRole::Collector].iter().enumerate()
    {
        assert_eq!(head[column + 1], role.word());
        let mut keys = Keyring::default();
        let first = [seen(&added("root@it", "root", KeyRole::Owner))];
        keys.take(2, at("2026-11-20T10:00:00Z"), &first);
        let more = [added("root@it", "own", *role), added("root@it", "other", KeyRole::Executor)];
        keys.take(3, at("2026-11-20T10:00:00Z"), &more.each_ref().map(seen));
        let made = |row: &str, n: usize| -> Fact {
            let name = if row.ends_with("in another name") { "root@it" } else { "own@it" };
            let new = format!("new{n}");
            seen(&match row.split(',').next().expect("a word") {
                "facts of the key's principal" => policy("own@it"),
                "facts of somebody else" => policy("other@it"),
                "a key added" => added(name, &new, KeyRole::Executor),
                "its own key revoked" => revoked(name, "own"),
                "another key revoked" => revoked(name, "other"),
                other => panic!("what is {other}?"),
            })
        };
        let judge = |facts: &[Fact]| {
            let signer = fingerprint("own");
            let timestamp = at("2026-11-20T11:00:00Z");
            keys.judge(Said { seal: 4, timestamp, signed_by: Some(&signer), facts }).is_ok()
        };
        let cell = |row: &[&str]| match row[column + 1] {
            "yes" => true,
            "no" => false,
            other => panic!("{other} is neither yes nor no"),
        };
        for one in rows {
            let fact = made(one[0], 1);
            assert_eq!(
                judge(std::slice::from_ref(&fact)),
                cell(one),
                "{}: {}",
                role.word(),
                one[0]
            );
            for two in rows.iter().filter(|two| two[0] != one[0]) {
                // Nothing is revoked twice, whoever asks.
                let word = |row: &[&str]| row[0].split(',').next().map(str::to_owned);
                if word(one) == word(two) && one[0].contains("revoked") {
                    continue;
                }
                let both = judge(&[fact.clone(), made(two[0], 2)]);
                assert_eq!(
                    both,
                    cell(one) && cell(two),
                    "{}: {} | {}",
                    role.word(),
                    one[0],
                    two[0]
                );
                tried += 1;
            }
        }
    }
    assert_eq!(tried, 3 * (8 * 7 - 4));
}

/// The three commands that the documentation begins with, as they stand there.
#[cfg(unix)]
#[test]
fn the_three_commands_of_the_documentation_sign() {
    let block = PAPER.split("```").nth(1).expect("a block");
    assert_eq!(block.trim().lines().count(), 3, "the block has changed: look at it again");
    let room = Room::with_ledger();
    std::fs::remove_file(room.repo().join("stepseal.toml")).expect("what init wrote");
    let ssh = room.path().join("home/.ssh");
    std::fs::create_dir(&ssh).expect("a folder");
    for end in ["", ".pub"] {
        std::fs::rename(room.key("id_ed25519") + end, ssh.join(format!("id_ed25519{end}")))
            .expect("where ssh has it");
    }
    let mut shell = room.program("sh");
    let binary = std::path::Path::new(super::kit::STEPSEAL).parent().expect("a folder");
    let path = format!("{}:{}", binary.display(), std::env::var("PATH").expect("PATH"));
    let ran = shell.args(["-e", "-c", block]).env("PATH", path).output().expect("sh starts");
    assert!(ran.status.success(), "{}", Ran::of(&ran));
    let ran = room.run(&["delegate", "--prompt", "signed"]);
    assert!(ran.code == 0 && !ran.stderr.contains("warning"), "{ran}");
    let (code, said) = room.json(&["verify", "--require-signatures", "--deep"]);
    assert_eq!((code, &said["signatures"]["signed"]), (0, &2.into()), "{said:#}");
}

/// Many signed seals, made by the writer itself in one process: every one counts, and the time
/// that `verify` takes is told (P42).
#[test]
fn many_signed_seals_verify() {
    let (room, count) = (Room::with_ledger(), rounds(200, 10_000));
    signs(&room, "owner", &["key", "add", "--self", "--reason", "the first"]);
    let items = count.div_ceil(100).max(2);
    for n in 0..items {
        signs(&room, "owner", &["delegate", "--prompt", "many", "--work-item", &format!("W{n}")]);
    }
    let name = KeyName { text: room.key("owner"), from: "the test".into() };
    let signing = Signing::new(true, Some(name), None, room.repo(), None);
    let place = Place { dir: room.repo(), git_dir: None };
    let settings = Settings {
        sharing: stepseal::ledger::Sharing { timeout: std::time::Duration::ZERO, tries: 0 },
        durability: Durability::Process,
        lock_wait: Duration::from_secs(60),
        program: "it".into(),
        notes: Notes::default(),
        signing: Arc::new(signing),
    };
    let ledger = Located::find(&place).and_then(|located| located.open(settings));
    let ledger = ledger.expect("the ledger");
    let actor = policy("owner@it").actor;
    let begin = at("2026-11-20T12:00:00Z");
    let start = Instant::now();
    for n in 0..count {
        let now = begin + chrono::Duration::seconds(i64::try_from(n).expect("small"));
        let moment = Moment::new(now, Digest::of(&n.to_be_bytes()).to_bytes(), actor.clone());
        let item: ItemId = id(&format!("W{}", n % items));
        let receipt = ledger.transact(&moment, |snapshot| {
            let workflow = snapshot.known_item(&item)?.workflow.reference.clone();
            let edited = ItemEdited { title: None, priority: Some(7), labels: None };
            let event = Event {
                id: moment.event_id(0),
                work_item_id: Some(item.clone()),
                workflow: Some(workflow),
                timestamp: moment.now(),
                ..fact("owner@it", EventData::ItemEdited(edited))
            };
            let (definitions, workflow) = (Vec::new(), None);
            Ok(Verdict::Record { facts: vec![event], definitions, workflow, value: () })
        });
        receipt.unwrap_or_else(|error| panic!("{n}: {error}"));
    }
    let made = start.elapsed();
    let start = Instant::now();
    let said = says(&room, "owner", &["verify", "--require-signatures"], 0);
    let took = start.elapsed();
    assert_eq!(said["signatures"]["signed"], 1 + items + count, "{:#}", said["signatures"]);
    assert_eq!(said["signatures"]["keys"][0]["seals"], 1 + items + count);
    figure("P42", &format!("{count} signed seals made in {made:?}, verified in {took:?}"));
}
