//! An item's events, read from its own subtree and folded; what was folded before is cached by
//! subtree, so only new events cost anything (L9).

use std::collections::BTreeMap;
use std::sync::Arc;

use git2::Oid;
use serde::{Deserialize, Serialize};

use super::cache::Cache;
use super::error::{LedgerError, Stop};
use super::object::Entry;
use super::store::Store;
use super::tree;
use crate::artifact::{self, HANDOFF, LEDGER_FOLDER};
use crate::domain::event::Event;
use crate::domain::id::{AttemptId, Digest, ItemId};
use crate::domain::state::{AttemptState, Illegal, ItemState, LedgerState};
use crate::domain::workflow::{Workflow, WorkflowDefinition};

/// An event as it stands in the tree.
#[derive(Debug, Clone)]
pub struct Sealed {
    pub path: String,
    pub event: Event,
    pub sha256: Digest,
}

/// An item's state with the workflow it is read by.
#[derive(Debug, Clone)]
pub struct ItemFold {
    pub state: Arc<ItemState>,
    pub workflow: Arc<Workflow>,
    /// How many of its events the kept fold has.
    pub(super) kept: u32,
}

impl ItemFold {
    pub(super) fn new(state: ItemState, workflow: Arc<Workflow>) -> Self {
        Self { state: Arc::new(state), workflow, kept: 0 }
    }

    /// What is on record of an attempt of a step of this version.
    #[must_use]
    pub fn attempt(&self, id: &AttemptId) -> Option<&AttemptState> {
        let at = self.workflow.position(id.key())?;
        self.state.steps[at].attempt(id.number())
    }
}

/// What is cached of an item.
#[derive(Serialize, Deserialize)]
struct CachedItem {
    subtree: String,
    /// The blobs folded so far, in order: a changed one throws the cache away.
    blobs: Vec<[u8; 20]>,
    state: ItemState,
}

/// The same, as it is written.
#[derive(Serialize)]
struct Keeping<'a> {
    subtree: String,
    blobs: Vec<[u8; 20]>,
    state: &'a ItemState,
}

/// A fold is kept again when it has so many new events: a large item's is long, and reading a few
/// events costs less than writing it after each of them.
const WORTH_KEEPING: u32 = 8;

/// What is cached of the ledger-wide events.
#[derive(Serialize, Deserialize)]
struct CachedLedger {
    subtree: String,
    blobs: Vec<[u8; 20]>,
    state: LedgerState,
}

/// Workflows already compiled in this process, by the path and blob of their definition.
pub(super) type Workflows = BTreeMap<Oid, Arc<Workflow>>;

/// Reads and checks one event file of an item or of the ledger.
pub(super) fn read_event(store: &Store, path: &str, oid: Oid) -> Result<Sealed, Problem> {
    event_of(path, &store.blob(oid)?)
}

/// Checks the bytes of one event file.
pub(super) fn event_of(path: &str, bytes: &[u8]) -> Result<Sealed, Problem> {
    let event = artifact::decode_event(bytes).map_err(|error| {
        let pointer = artifact::pointer_of(bytes);
        let mut stop = Stop::new(path, format!("cannot be read: {error}"));
        if let Some(pointer) = pointer {
            stop.what = format!("cannot be read: {}", pointer.message);
            stop.pointer = Some(pointer.at);
        }
        stop.found = Some(Digest::of(bytes));
        Problem::Stop(Box::new(stop))
    })?;
    Ok(Sealed { path: path.to_owned(), event, sha256: Digest::of(bytes) })
}

/// Either the ledger could not be read at all, or one file stops its item.
#[derive(Debug)]
pub(super) enum Problem {
    Ledger(LedgerError),
    Stop(Box<Stop>),
}

impl From<LedgerError> for Problem {
    fn from(error: LedgerError) -> Self {
        Self::Ledger(error)
    }
}

fn stop(path: &str, what: impl Into<String>) -> Problem {
    Problem::Stop(Box::new(Stop::new(path, what)))
}

/// An event's file in its folder.
pub(super) struct File {
    pub number: u32,
    /// Below the folder.
    name: String,
    pub oid: Oid,
}

impl File {
    pub(super) fn path(&self, folder: &str) -> String {
        format!("{folder}/{}", self.name)
    }
}

/// An item folder's files in event order, contiguous from 1.
pub(super) fn ordered(store: &Store, folder: &str, tree: Oid) -> Result<Vec<File>, Problem> {
    let mut files = Vec::new();
    collect(store, folder, "", tree, &mut files)?;
    // The tree's order is the numbers' order up to a million; the sort then finds nothing to do.
    files.sort_by(|a, b| a.number.cmp(&b.number).then_with(|| a.name.cmp(&b.name)));
    for (expected, file) in (1..).zip(&files) {
        if file.number > expected {
            let missing = format!("{folder}/{expected:06}-…");
            return Err(stop(&missing, "is missing"));
        }
        if file.number < expected {
            return Err(stop(&file.path(folder), "has the number of another event"));
        }
    }
    Ok(files)
}

/// The event files of a folder and of its folders of a hundred.
fn collect(
    store: &Store,
    folder: &str,
    hundred: &str,
    tree: Oid,
    files: &mut Vec<File>,
) -> Result<(), Problem> {
    for entry in store.tree(tree)?.iter() {
        let name = format!("{hundred}{}", entry.name);
        match artifact::parse_event_name(&entry.name) {
            Some(number) if !entry.is_folder() => {
                files.push(File { number, name, oid: entry.oid });
            }
            None if entry.is_folder()
                && hundred.is_empty()
                && artifact::is_hundred(&entry.name) =>
            {
                collect(store, folder, &format!("{name}/"), entry.oid, files)?;
            }
            _ => return Err(stop(&format!("{folder}/{name}"), "is no event file")),
        }
    }
    Ok(())
}

/// Whether a fold is remembered for the next command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    Fold,
    /// A pass over every item would write as many files.
    Nothing,
}

/// Is told of each event of an item with the item as it then was.
pub(super) type Told<'t> = &'t mut dyn FnMut(&ItemState, Sealed);

/// Folds an item; `None` when the ledger has none of that id.
///
/// Who wants to be told of the events gets all of them, so no kept fold is used then.
pub(super) fn item(
    store: &Store,
    cache: &Cache,
    workflows: &mut Workflows,
    root: Oid,
    id: &ItemId,
    keep: Keep,
    mut told: Option<Told<'_>>,
) -> Result<Option<ItemFold>, Problem> {
    let folder = artifact::item_folder(id);
    let Some(subtree) = tree::find(store, root, &folder)?.filter(Entry::is_folder) else {
        return Ok(None);
    };
    let name = cache_name(id);
    let cached: Option<CachedItem> = if told.is_none() { cache.load(&name) } else { None };
    let cached = match cached {
        Some(cached) if cached.subtree == subtree.oid.to_string() => {
            let workflow = workflow_of(store, workflows, root, &cached.state)?;
            let kept = cached.state.events;
            return Ok(Some(ItemFold { kept, ..ItemFold::new(cached.state, workflow) }));
        }
        other => other,
    };
    let files = ordered(store, &folder, subtree.oid)?;
    if files.is_empty() {
        return Err(stop(&folder, "holds no event"));
    }
    let known = cached.filter(|cached| folded_first(&cached.blobs, &files));
    let (mut state, start) = match known {
        Some(cached) => (Some(cached.state), cached.blobs.len()),
        None => (None, 0),
    };
    let mut workflow = match &state {
        Some(state) => Some(workflow_of(store, workflows, root, state)?),
        None => None,
    };
    for file in &files[start..] {
        let path = &file.path(&folder);
        let sealed = read_event(store, path, file.oid)?;
        check_name(&sealed, id, file.number)?;
        let illegal = |error: Illegal| stop(path, format!("is not legal: {error}"));
        match &mut state {
            None => {
                let reference = sealed.event.workflow.clone().ok_or_else(|| {
                    stop(path, "does not name the workflow an item's first event must name")
                })?;
                let read = published(store, workflows, root, &reference)?;
                let digest = sealed.sha256.clone();
                let item = ItemState::register(&sealed.event, digest, &read).map_err(illegal)?;
                workflow = Some(read);
                state = Some(item);
            }
            Some(state) => {
                let workflow = workflow.as_mut().expect("a state is folded with its workflow");
                let to = match state.moves_to(&sealed.event) {
                    Some(reference) => Some(published(store, workflows, root, &reference)?),
                    None => None,
                };
                advance(state, workflow, &sealed.event, sealed.sha256.clone(), to)
                    .map_err(illegal)?;
            }
        }
        if let (Some(told), Some(state)) = (&mut told, &state) {
            told(state, sealed);
        }
    }
    let (Some(state), Some(workflow)) = (state, workflow) else {
        return Err(stop(&folder, "holds no event"));
    };
    let kept = u32::try_from(start).unwrap_or(0);
    let mut fold = ItemFold { kept, ..ItemFold::new(state, workflow) };
    if keep == Keep::Fold && fold.state.events - kept >= WORTH_KEEPING {
        save(cache, &fold.state, subtree.oid, &files);
        fold.kept = fold.state.events;
    }
    Ok(Some(fold))
}

/// Folds one further event; `to` is the version it moves the item to, where it does.
pub(super) fn advance(
    state: &mut ItemState,
    workflow: &mut Arc<Workflow>,
    event: &Event,
    sha256: Digest,
    to: Option<Arc<Workflow>>,
) -> Result<(), Illegal> {
    match to {
        Some(to) => {
            state.migrate(event, sha256, workflow, &to)?;
            *workflow = to;
            Ok(())
        }
        None => state.apply(event, sha256, workflow),
    }
}

/// Remembers how an item stands after a commit, where that is worth it.
pub(super) fn remember(store: &Store, cache: &Cache, root: Oid, fold: &ItemFold) {
    if fold.state.events - fold.kept < WORTH_KEEPING {
        return;
    }
    let folder = artifact::item_folder(&fold.state.id);
    if let Ok(Some(subtree)) = tree::find(store, root, &folder)
        && let Ok(files) = ordered(store, &folder, subtree.oid)
    {
        save(cache, &fold.state, subtree.oid, &files);
    }
}

/// Remembers a fold by its subtree.
fn save(cache: &Cache, state: &ItemState, subtree: Oid, files: &[File]) {
    let blobs = blobs(files);
    cache.save(&cache_name(&state.id), &Keeping { subtree: subtree.to_string(), blobs, state });
}

fn cache_name(id: &ItemId) -> String {
    // Case twins never meet in one ledger, but this file system may fold case: the shard keeps
    // the folders small, the digest keeps names apart.
    let digest = Digest::of(id.as_str().as_bytes());
    format!("items/{}/{}", id.shard(), &digest.as_str()[..32])
}

/// An event's file must be where its content says.
pub(super) fn check_name(sealed: &Sealed, item: &ItemId, number: u32) -> Result<(), Problem> {
    let key = sealed.event.step.as_ref().map(|step| &step.key);
    let right = artifact::event_path(item, number, key, sealed.event.kind());
    if sealed.event.work_item_id.as_ref() != Some(item) || sealed.path != right {
        return Err(stop(&sealed.path, format!("says it is {right}")));
    }
    Ok(())
}

fn workflow_of(
    store: &Store,
    workflows: &mut Workflows,
    root: Oid,
    state: &ItemState,
) -> Result<Arc<Workflow>, Problem> {
    published(store, workflows, root, &state.workflow.reference())
}

/// Reads a definition and checks it against the digest that pins it.
pub(super) fn published(
    store: &Store,
    workflows: &mut Workflows,
    root: Oid,
    reference: &crate::domain::event::WorkflowRef,
) -> Result<Arc<Workflow>, Problem> {
    let path = artifact::workflow_path(&reference.name, reference.version);
    let entry = tree::find(store, root, &path)?.ok_or_else(|| stop(&path, "is missing"))?;
    let workflow = match workflows.get(&entry.oid) {
        Some(workflow) => workflow.clone(),
        None => {
            let bytes = store.blob(entry.oid)?;
            let definition: WorkflowDefinition = artifact::decode(&bytes)
                .map_err(|error| stop(&path, format!("cannot be read: {error}")))?;
            let workflow =
                Workflow::compile(definition, Digest::of(&bytes)).map_err(|problems| {
                    let first = problems.first().map(|p| p.message.clone()).unwrap_or_default();
                    stop(&path, format!("is no valid workflow: {first}"))
                })?;
            let workflow = Arc::new(workflow);
            workflows.insert(entry.oid, workflow.clone());
            workflow
        }
    };
    if workflow.reference != *reference {
        let mut found = Stop::new(&path, "is not the definition the item is pinned to");
        found.sealed = Some(reference.sha256.clone());
        found.found = Some(workflow.reference.sha256.clone());
        return Err(Problem::Stop(Box::new(found)));
    }
    Ok(workflow)
}

/// Folds the events that concern no item.
pub(super) fn ledger(store: &Store, cache: &Cache, root: Oid) -> Result<LedgerState, Problem> {
    let folder = format!("{HANDOFF}/{LEDGER_FOLDER}");
    let Some(subtree) = tree::find(store, root, &folder)? else {
        return Ok(LedgerState::default());
    };
    let cached: Option<CachedLedger> = cache.load("ledger");
    let cached = match cached {
        Some(cached) if cached.subtree == subtree.oid.to_string() => return Ok(cached.state),
        other => other,
    };
    let files = ordered(store, &folder, subtree.oid)?;
    let (mut state, start) = match cached.filter(|cached| folded_first(&cached.blobs, &files)) {
        Some(cached) => (cached.state, cached.blobs.len()),
        None => (LedgerState::default(), 0),
    };
    for file in &files[start..] {
        let path = file.path(&folder);
        let sealed = read_event(store, &path, file.oid)?;
        if path != artifact::ledger_event_path(file.number, sealed.event.kind()) {
            return Err(stop(&path, "says it is another event"));
        }
        state
            .apply(&sealed.event, sealed.sha256)
            .map_err(|error| stop(&path, format!("is not legal: {error}")))?;
    }
    let (subtree, blobs) = (subtree.oid.to_string(), blobs(&files));
    cache.save("ledger", &CachedLedger { subtree, blobs, state: state.clone() });
    Ok(state)
}

/// Whether the files that were folded are still the first ones.
fn folded_first(blobs: &[[u8; 20]], files: &[File]) -> bool {
    blobs.len() <= files.len()
        && blobs.iter().zip(files).all(|(blob, file)| file.oid.as_bytes() == blob)
}

fn blobs(files: &[File]) -> Vec<[u8; 20]> {
    let bytes = |file: &File| {
        let mut bytes = [0; 20];
        bytes.copy_from_slice(file.oid.as_bytes());
        bytes
    };
    files.iter().map(bytes).collect()
}
