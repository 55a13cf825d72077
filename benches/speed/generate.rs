//! Large ledgers, quickly: the product's own rules decide every event and its own paper encodes
//! them; only the writing is by `git fast-import`, into one pack without deltas. What comes out
//! verifies.

use std::collections::BTreeMap;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use chrono::{DateTime, Duration, TimeZone as _, Utc};
use stepseal::artifact::{
    self, AssignmentDoc, BusyDoc, Committer, Frontier, Pattern, SCHEMA_VERSION, ScheduleDoc, Seal,
    SealedFile, encode, encode_event,
};
use stepseal::domain::decide::{
    ApproveGate, Ask, Attest, Claim, Complete, Decided, Ending, Register, World, decide,
};
use stepseal::domain::event::{Actor, ActorKind, Event};
use stepseal::domain::id::{Digest, ExecutorId, ItemId, StepKey};
use stepseal::domain::moment::Moment;
use stepseal::domain::schedule::decision;
use stepseal::domain::state::{ItemState, LedgerState};
use stepseal::domain::workflow::{
    StepDefinition, Workflow, WorkflowDefinition, blank_step, builtin_default,
};

/// What a generated ledger looks like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) items: u64,
    /// Work steps of each item; a review gate follows the last one.
    pub(crate) steps: u64,
    /// Roughly how many events one commit seals; 1 is a commit for each act.
    pub(crate) per_commit: usize,
    /// How many steps of each item are left to do; with 0 most items are done, and some wait for
    /// each thing an item can wait for.
    pub(crate) open: u64,
}

/// What was generated.
#[derive(Debug, Default)]
pub(crate) struct Made {
    pub(crate) events: u64,
    pub(crate) commits: u64,
    pub(crate) artifact_bytes: u64,
}

/// Every so many items one is left with its last claim live, up to as many executors as a large
/// fleet has.
const LEFT_CLAIMED: u64 = 50;
const FLEET: u64 = 200;

/// Adds items to the ledger of the repository at `repo`, which `stepseal init` has made.
pub(crate) fn generate(repo: &Path, shape: &Shape) -> Made {
    let mut writer = Writer::open(repo, shape.per_commit);
    let (workflow, definition) = workflow(shape.steps);
    let workflow = Arc::new(workflow);
    let mut ledger = LedgerState::default();
    let mut published = Some((
        artifact::workflow_path(&workflow.reference.name, workflow.reference.version),
        definition,
    ));
    for number in 0..shape.items {
        let mut item = Item::new(number, &workflow, writer.at);
        item.register(&mut ledger, published.take(), &mut writer);
        let mixed = shape.open == 0;
        let left_claimed = mixed && number % LEFT_CLAIMED == 0 && number / LEFT_CLAIMED < FLEET;
        // Most items are done; one in ten waits for its gate, one in ten has its last step ready.
        let last_open = mixed && number % 10 == 3;
        let work = shape.steps - shape.open - u64::from(last_open);
        for step in 1..=work {
            item.claim(&ledger, step, left_claimed, &mut writer);
            if !(left_claimed && step == work) {
                item.complete(&ledger, step, left_claimed, &mut writer);
            }
        }
        if mixed && !left_claimed && !last_open && number % 10 != 7 {
            item.approve(&ledger, &mut writer);
        }
        item.close(&mut writer);
    }
    writer.finish()
}

fn workflow(steps: u64) -> (Workflow, Vec<u8>) {
    let mut text = String::from("{\"name\":\"generated\",\"steps\":[");
    for step in 1..=steps {
        text.push_str(&format!(
            "{{\"key\":\"step-{step:04}\",\"title\":\"Build part {step} of the feature\",\
             \"group\":\"pair-{0:04}\",\"order\":{step},\"parallelizable\":true}},",
            step.div_ceil(2)
        ));
    }
    text.push_str(&format!(
        "{{\"key\":\"review\",\"order\":{},\"gate\":{{\"kind\":\"review\"}}}}]}}",
        steps + 1
    ));
    let definition: WorkflowDefinition = serde_json::from_str(&text).expect("a definition");
    artifact::compile(&definition).expect("a valid definition")
}

/// One item on its way.
struct Item {
    id: ItemId,
    workflow: Arc<Workflow>,
    state: Option<ItemState>,
    at: DateTime<Utc>,
    acts: u64,
    /// Derived files as they were written last.
    derived: BTreeMap<String, Digest>,
}

impl Item {
    fn new(number: u64, workflow: &Arc<Workflow>, at: DateTime<Utc>) -> Self {
        let id = format!("item-{number:06}").parse().expect("an id");
        Self { id, workflow: workflow.clone(), state: None, at, acts: 0, derived: BTreeMap::new() }
    }

    fn register(
        &mut self,
        ledger: &mut LedgerState,
        publish: Option<(String, Vec<u8>)>,
        writer: &mut Writer,
    ) {
        if let Some((path, bytes)) = &publish {
            writer.leaf(path.clone(), bytes.clone());
        }
        let ask = self.registration(publish.map(|(path, _)| path));
        for fact in self.facts(ledger, &ask, "lead") {
            if fact.work_item_id.is_none() {
                let bytes = encode_event(&fact).expect("a fact");
                ledger.apply(&fact, Digest::of(&bytes)).expect("a legal fact");
                writer.leaf(artifact::ledger_event_path(ledger.events, fact.kind()), bytes);
            } else {
                self.record(&fact, writer);
            }
        }
        self.end_act(writer);
    }

    fn registration(&self, publish: Option<String>) -> Ask {
        Ask::Register(Box::new(Register {
            title: format!("Deliver {} to the people who asked for it", self.id),
            description: None,
            workflow: (*self.workflow).clone(),
            publish,
            plan: None,
            imported: Vec::new(),
            priority: None,
            labels: vec![format!("team-{}", self.id.as_str().len() % 3)],
            owner: None,
            twin: None,
        }))
    }

    fn claim(&mut self, ledger: &LedgerState, step: u64, own: bool, writer: &mut Writer) {
        let ask = Ask::Claim(Claim {
            step: Some(key(step)),
            attempt: None,
            attest: Attest::default(),
            lease: None,
        });
        self.act(ledger, &ask, &self.executor(step, own), writer);
    }

    fn complete(&mut self, ledger: &LedgerState, step: u64, own: bool, writer: &mut Writer) {
        let state = self.state.as_ref().expect("an item");
        let at = self.workflow.position(&key(step)).expect("a step");
        let claim = state.steps[at].current().and_then(|attempt| attempt.claim.as_ref());
        let ask = Ask::Complete(Box::new(Complete {
            step: Some(key(step)),
            attempt: None,
            claim: claim.map(|claim| claim.id),
            own_claims: Vec::new(),
            ending: Ending::Completed,
            outcome: format!("Part {step} is built, its tests pass and its page is written"),
            next_action: Some("Go on with the next part".into()),
            verified: Vec::new(),
            outputs: Vec::new(),
            links: Vec::new(),
        }));
        self.act(ledger, &ask, &self.executor(step, own), writer);
    }

    fn approve(&mut self, ledger: &LedgerState, writer: &mut Writer) {
        let ask = Ask::ApproveGate(ApproveGate {
            step: "review".parse().expect("a key"),
            reason: "All parts were looked at".into(),
            follow_ups: Vec::new(),
        });
        self.act(ledger, &ask, "reviewer", writer);
    }

    /// Whoever is left with a live claim is an executor of the item's own.
    fn executor(&self, step: u64, own: bool) -> String {
        if own { format!("agent-{}", self.id) } else { format!("agent-{}", step % 16) }
    }

    fn act(&mut self, ledger: &LedgerState, ask: &Ask, who: &str, writer: &mut Writer) {
        for fact in self.facts(ledger, ask, who) {
            self.record(&fact, writer);
        }
        self.end_act(writer);
    }

    fn facts(&mut self, ledger: &LedgerState, ask: &Ask, who: &str) -> Vec<Event> {
        self.acts += 1;
        self.at += Duration::seconds(1);
        let seed = Digest::of(format!("{} {}", self.id, self.acts).as_bytes()).to_bytes();
        let id: ExecutorId = who.parse().expect("an executor");
        let actor = Actor {
            name: id.to_string(),
            id,
            kind: ActorKind::Agent,
            principal: "maintainer-1".parse().expect("a principal"),
        };
        let world = World {
            ledger,
            item: self.state.as_ref().map(|state| (state, &*self.workflow)),
            live: None,
            in_use: &[],
            others: &[],
        };
        match decide(world, &self.id, ask, &Moment::new(self.at, seed, actor)) {
            Ok(Decided::Facts(facts)) => facts,
            other => panic!("{ask:?}: {other:?}"),
        }
    }

    fn record(&mut self, fact: &Event, writer: &mut Writer) {
        let before = self.state.clone();
        self.apply(fact, writer);
        let after = self.state.as_ref().expect("an item");
        if let Some(decided) = decision(&self.workflow, before.as_ref(), after, fact) {
            self.apply(&decided, writer);
        }
    }

    fn apply(&mut self, event: &Event, writer: &mut Writer) {
        let bytes = encode_event(event).expect("an event");
        let digest = Digest::of(&bytes);
        let number = match &mut self.state {
            Some(state) => {
                state.apply(event, digest, &self.workflow).expect("a legal event");
                state.events
            }
            None => {
                let state = ItemState::register(event, digest, &self.workflow);
                self.state = Some(state.expect("a legal registration"));
                1
            }
        };
        let key = event.step.as_ref().map(|step| &step.key);
        writer.leaf(artifact::event_path(&self.id, number, key, event.kind()), bytes);
        writer.made.events += 1;
    }

    fn end_act(&mut self, writer: &mut Writer) {
        writer.at = self.at;
        if writer.per_commit == 1 {
            self.derive(writer);
            writer.seal();
        }
    }

    fn close(&mut self, writer: &mut Writer) {
        self.derive(writer);
        writer.seal_when_full();
    }

    /// Writes the derived files that changed, as the product does.
    fn derive(&mut self, writer: &mut Writer) {
        let state = self.state.as_ref().expect("an item");
        let schedule = ScheduleDoc::of(&self.workflow, state);
        let mut files = vec![(artifact::schedule_path(&self.id), encode(&schedule))];
        let folder = artifact::assignment_folder(&self.id);
        for doc in AssignmentDoc::of(&self.workflow, state) {
            files.push((format!("{folder}/{}.json", doc.attempt_id), encode(&doc)));
        }
        for (path, bytes) in files {
            let digest = Digest::of(&bytes);
            if self.derived.get(&path) != Some(&digest) {
                writer.file(path.clone(), &bytes);
                self.derived.insert(path, digest);
            }
        }
        writer.busy(BusyDoc::of(&self.workflow, state));
    }
}

/// An item of very many steps, of which each waits for three others, in layers of a thousand; none
/// is done.
pub(crate) fn wide(steps: usize) -> (Workflow, ItemState) {
    const LAYER: usize = 1000;
    let name = |step: usize| -> StepKey { format!("s{step:07}").parse().expect("a key") };
    let definitions = (0..steps).map(|step| StepDefinition {
        // One order for all, so that only the written edges count.
        order: Some(1),
        parallelizable: true,
        needs: (step >= LAYER).then(|| {
            let layer = (step / LAYER - 1) * LAYER;
            let mut needs: Vec<StepKey> =
                [1, 7, 31].iter().map(|by| name(layer + (step * by) % LAYER)).collect();
            needs.sort();
            needs.dedup();
            needs
        }),
        ..blank_step(name(step))
    });
    let definition = WorkflowDefinition { steps: definitions.collect(), ..builtin_default() };
    let workflow = Workflow::compile(definition, Digest::of(b"wide")).expect("a valid definition");
    let workflow = Arc::new(workflow);
    let at = Utc.with_ymd_and_hms(2026, 1, 1, 0, 0, 0).single().expect("a date");
    let mut item = Item::new(0, &workflow, at);
    let register = item.registration(None);
    let facts = item.facts(&LedgerState::default(), &register, "lead");
    let fact = facts.last().expect("a registration");
    let state = ItemState::register(fact, Digest::of(b"fact"), &workflow).expect("an item");
    drop(item);
    (Arc::into_inner(workflow).expect("nobody else has it"), state)
}

fn key(step: u64) -> StepKey {
    format!("step-{step:04}").parse().expect("a key")
}

/// Commits as they grow, streamed into `git fast-import`.
struct Writer {
    importer: Child,
    to: BufWriter<std::process::ChildStdin>,
    per_commit: usize,
    at: DateTime<Utc>,
    seq: u64,
    previous: Digest,
    frontier: Frontier,
    leaves: Vec<SealedFile>,
    /// `M` and `D` commands of the commit to come.
    changes: Vec<u8>,
    /// Busy files that stand in the tree while a commit is made for each act.
    busy: Vec<String>,
    made: Made,
}

impl Writer {
    fn open(repo: &Path, per_commit: usize) -> Self {
        let show = Command::new("git")
            .args(["show", &format!("stepseal-ledger:{}", artifact::seal_path(1))])
            .current_dir(repo)
            .output()
            .expect("git starts");
        let seal: Seal = artifact::decode(&show.stdout).expect("a ledger with one seal");
        let mut importer = Command::new("git")
            .args(["-c", "core.compression=1", "-c", "pack.compression=1"])
            .args(["-c", "fastimport.unpackLimit=0"])
            .args(["fast-import", "--quiet", "--depth=0", "--done"])
            .current_dir(repo)
            .stdin(Stdio::piped())
            .spawn()
            .expect("git starts");
        let to = BufWriter::with_capacity(1 << 20, importer.stdin.take().expect("a pipe"));
        Self {
            importer,
            to,
            per_commit,
            at: Utc.with_ymd_and_hms(2026, 1, 1, 0, 0, 0).single().expect("a date"),
            seq: 1,
            previous: Digest::of(&show.stdout),
            frontier: seal.tree().expect("a sound seal"),
            leaves: Vec::new(),
            changes: Vec::new(),
            busy: Vec::new(),
            made: Made::default(),
        }
    }

    fn leaf(&mut self, path: String, bytes: Vec<u8>) {
        self.frontier.push(artifact::leaf(&path, &bytes));
        self.file(path.clone(), &bytes);
        self.leaves.push(SealedFile { path, sha256: Digest::of(&bytes) });
    }

    fn file(&mut self, path: String, bytes: &[u8]) {
        self.made.artifact_bytes += bytes.len() as u64;
        write!(self.changes, "M 100644 inline {path}\ndata {}\n", bytes.len()).expect("memory");
        self.changes.extend_from_slice(bytes);
        self.changes.push(b'\n');
    }

    fn busy(&mut self, docs: Vec<BusyDoc>) {
        for path in std::mem::take(&mut self.busy) {
            writeln!(self.changes, "D {path}").expect("memory");
        }
        for doc in docs {
            let path = doc.path();
            self.file(path.clone(), &encode(&doc));
            self.busy.push(path);
        }
        // A claim that stays is no longer this item's to take away.
        if self.per_commit > 1 {
            self.busy.clear();
        }
    }

    fn seal_when_full(&mut self) {
        self.busy.clear();
        if self.leaves.len() >= self.per_commit {
            self.seal();
        }
    }

    fn seal(&mut self) {
        if self.leaves.is_empty() {
            return;
        }
        self.seq += 1;
        let seal = Seal {
            schema_version: SCHEMA_VERSION.into(),
            seq: self.seq,
            previous: Some(self.previous.clone()),
            timestamp: self.at,
            artifacts: std::mem::take(&mut self.leaves),
            documents: Vec::new(),
            size: self.frontier.size(),
            root: self.frontier.root(),
            frontier: self.frontier.roots().to_vec(),
            committer: Committer { id: "generator".into(), program: "stepseal bench".into() },
            pattern: if self.per_commit == 1 { Pattern::Direct } else { Pattern::Collected },
            recovery: None,
            signed_by: None,
        };
        let bytes = encode(&seal);
        self.previous = Digest::of(&bytes);
        self.file(artifact::seal_path(self.seq), &bytes);
        let from = match self.made.commits {
            0 => "from refs/heads/stepseal-ledger^0\n",
            _ => "",
        };
        let message = format!("stepseal: {} events\n", seal.artifacts.len());
        let who = format!("generator <generator@localhost> {} +0000", self.at.timestamp());
        write!(
            self.to,
            "commit refs/heads/stepseal-ledger\nauthor {who}\ncommitter {who}\ndata {}\n{message}{from}",
            message.len()
        )
        .and_then(|()| self.to.write_all(&self.changes))
        .and_then(|()| self.to.write_all(b"\n"))
        .expect("fast-import reads");
        self.changes.clear();
        self.made.commits += 1;
    }

    fn finish(mut self) -> Made {
        self.seal();
        self.to.write_all(b"done\n").and_then(|()| self.to.flush()).expect("fast-import reads");
        drop(self.to);
        assert!(self.importer.wait().expect("it ends").success(), "git fast-import failed");
        self.made
    }
}
