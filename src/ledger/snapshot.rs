//! The ledger as it stands at one commit: what every reader and every decision sees.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;

use git2::Oid;

use super::cache::Cache;
use super::error::{LedgerError, Stop};
use super::fold::{self, ItemFold, Keep, Problem, Sealed, Told, Workflows};
use super::object::Entry;
use super::seen::{self, Foreign, Seen};
use super::store::Store;
use super::tree;
use crate::artifact::{
    self, BUSY, Busy, BusyDoc, HANDOFF, LEDGER_FOLDER, LedgerDoc, Mark, WORKFLOWS,
};
use crate::domain::decide::{
    Ask, Decided, KeyAsk, KeyWorld, LiveClaim, OtherItem, SetPolicy, WorkflowAsk, World, decide,
    decide_key, decide_policy, decide_workflow,
};
use crate::domain::event::WorkflowRef;
use crate::domain::id::{AttemptId, ConstraintName, ExecutorId, ItemId, StepKey, WorkflowName};
use crate::domain::keys::Keyring;
use crate::domain::moment::Moment;
use crate::domain::refusal::Refusal;
use crate::domain::state::LedgerState;
use crate::domain::workflow::{Workflow, nearest};

/// The ledger format this program writes.
pub const FORMAT: u32 = 1;

/// One commit of the ledger.
#[derive(Debug)]
pub struct Snapshot<'l> {
    pub(super) store: &'l Store,
    pub(super) cache: &'l Cache,
    pub(super) tip: Oid,
    pub(super) root: Oid,
    /// `None` when reading at a commit of the caller's choice.
    pub(super) seen: Option<Seen>,
    ledger: OnceCell<LedgerState>,
    workflows: RefCell<Workflows>,
    /// Items folded for this command: deciding and recording both ask.
    items: RefCell<BTreeMap<ItemId, ItemFold>>,
}

impl<'l> Snapshot<'l> {
    /// The newest state, with every commit since the last look checked.
    pub(super) fn newest(store: &'l Store, cache: &'l Cache) -> Result<Self, LedgerError> {
        Self::newest_damaged(store, cache)?.sound_doc()
    }

    /// The same whatever `ledger.json` holds: what a correction starts from.
    pub(super) fn newest_damaged(store: &'l Store, cache: &'l Cache) -> Result<Self, LedgerError> {
        let known = Seen::load(cache);
        let told = |tip, error| match &known {
            Some(seen) => seen.pointed(tip, error),
            None => error,
        };
        let Some(tip) = store.tip().map_err(|error| told(None, error))? else {
            return Err(known.map_or(LedgerError::NoLedger, |seen| seen.gone(store)));
        };
        let seen = match &known {
            Some(seen) => seen.clone().advance(store, tip),
            None => Seen::first(store, tip),
        };
        let seen = seen.map_err(|error| told(Some(tip), error))?;
        if known.as_ref() != Some(&seen) {
            seen.save(cache);
        }
        tracing::debug!(tip = %tip, seal = seen.seq, foreign = seen.foreign.len(), "ledger read");
        let mut snapshot = Self::unread(store, cache, tip)?;
        snapshot.seen = Some(seen);
        Ok(snapshot)
    }

    /// Refuses formats of the future, and a `ledger.json` that is not the sealed one.
    pub(super) fn sound_doc(self) -> Result<Self, LedgerError> {
        if let Some(seen) = &self.seen
            && let Some(found) =
                seen.stop_where(self.store, self.root, |path| path == artifact::LEDGER_DOC)?
        {
            return Err(LedgerError::LedgerStopped { found: Box::new(found) });
        }
        self.doc()?;
        Ok(self)
    }

    /// The state at one commit of the ledger, unchecked: for looking at history.
    pub(super) fn at(store: &'l Store, cache: &'l Cache, tip: Oid) -> Result<Self, LedgerError> {
        Self::unread(store, cache, tip)?.sound_doc()
    }

    fn unread(store: &'l Store, cache: &'l Cache, tip: Oid) -> Result<Self, LedgerError> {
        Ok(Self::bare(store, cache, tip, store.commit(tip)?.tree, None))
    }

    /// A snapshot of what is known already.
    pub(super) fn bare(
        store: &'l Store,
        cache: &'l Cache,
        tip: Oid,
        root: Oid,
        seen: Option<Seen>,
    ) -> Self {
        Self {
            store,
            cache,
            tip,
            root,
            seen,
            ledger: OnceCell::new(),
            workflows: RefCell::default(),
            items: RefCell::default(),
        }
    }

    /// The same commit with another tree: what a correction is judged on.
    pub(super) fn with_root(&self, root: Oid, seen: Option<Seen>) -> Self {
        Self::bare(self.store, self.cache, self.tip, root, seen)
    }

    /// `ledger.json`, refusing formats of the future.
    pub fn doc(&self) -> Result<LedgerDoc, LedgerError> {
        let bytes = Self::format_of(self.store, self.root)?;
        artifact::decode(&bytes).map_err(|error| LedgerError::LedgerStopped {
            found: Box::new(Stop::new(artifact::LEDGER_DOC, format!("cannot be read: {error}"))),
        })
    }

    /// The bytes of `ledger.json`, once its format is known to be one this program reads.
    pub(super) fn format_of(store: &Store, root: Oid) -> Result<Vec<u8>, LedgerError> {
        let stopped = |what: String| LedgerError::LedgerStopped {
            found: Box::new(Stop::new(artifact::LEDGER_DOC, what)),
        };
        let bytes = tree::file(store, root, artifact::LEDGER_DOC)?
            .ok_or_else(|| stopped("is missing".into()))?;
        // The format first: a newer ledger says so instead of "unknown field".
        #[derive(serde::Deserialize)]
        struct Format {
            format: u32,
        }
        let format: Format = serde_json::from_slice(&bytes)
            .map_err(|error| stopped(format!("cannot be read: {error}")))?;
        if format.format > FORMAT {
            return Err(LedgerError::NewerFormat { found: format.format, known: FORMAT });
        }
        Ok(bytes)
    }

    /// The commit, as hex.
    #[must_use]
    pub fn commit(&self) -> String {
        self.tip.to_string()
    }

    /// The last seal's size and root.
    ///
    /// # Errors
    /// When the seal cannot be read.
    pub fn mark(&self) -> Result<Mark, LedgerError> {
        match &self.seen {
            Some(seen) => Ok(seen.mark.clone()),
            None => Ok(seen::last_seal(self.store, self.root)?.0.mark()),
        }
    }

    /// Commits that changed `artifacts/` without a seal.
    #[must_use]
    pub fn foreign(&self) -> &[Foreign] {
        self.seen.as_ref().map_or(&[], |seen| &seen.foreign)
    }

    /// Published workflows, policy, keys.
    ///
    /// # Errors
    /// When a file that concerns the whole ledger is bad: then nothing can be decided.
    pub fn ledger(&self) -> Result<&LedgerState, LedgerError> {
        if let Some(state) = self.ledger.get() {
            return Ok(state);
        }
        if let Some(seen) = &self.seen {
            let stop = seen.stop_where(self.store, self.root, |path| {
                seen::concern(path) == seen::Concern::Ledger
            })?;
            if let Some(found) = stop {
                return Err(LedgerError::LedgerStopped { found: Box::new(found) });
            }
        }
        let state =
            fold::ledger(self.store, self.cache, self.root).map_err(|problem| match problem {
                Problem::Ledger(error) => error,
                Problem::Stop(found) => LedgerError::LedgerStopped { found },
            })?;
        Ok(self.ledger.get_or_init(|| state))
    }

    /// An item's state; `None` when the ledger has none of that id.
    ///
    /// # Errors
    /// When one of its artifacts is bad (L10).
    pub fn item(&self, id: &ItemId) -> Result<Option<ItemFold>, LedgerError> {
        if let Some(fold) = self.items.borrow().get(id) {
            return Ok(Some(fold.clone()));
        }
        let fold = self.item_keeping(id, Keep::Fold, None)?;
        if let Some(fold) = &fold {
            let mut items = self.items.borrow_mut();
            // A pass over every item must not keep them all.
            if items.len() >= 16 {
                items.clear();
            }
            items.insert(id.clone(), fold.clone());
        }
        Ok(fold)
    }

    pub(super) fn item_keeping(
        &self,
        id: &ItemId,
        keep: Keep,
        told: Option<Told<'_>>,
    ) -> Result<Option<ItemFold>, LedgerError> {
        let stopped = |found: Box<Stop>| LedgerError::ItemStopped { item: id.clone(), found };
        if let Some(seen) = &self.seen
            && let Some(found) = seen.stop(self.store, self.root, id, None)?
        {
            return Err(stopped(Box::new(found)));
        }
        let mut workflows = self.workflows.borrow_mut();
        let fold = fold::item(self.store, self.cache, &mut workflows, self.root, id, keep, told)
            .map_err(|problem| match problem {
                Problem::Ledger(error) => error,
                Problem::Stop(found) => stopped(found),
            })?;
        if let (Some(seen), Some(fold)) = (&self.seen, &fold) {
            let reference = &fold.workflow.reference;
            let path = artifact::workflow_path(&reference.name, reference.version);
            if let Some(found) = seen.stop(self.store, self.root, id, Some(&path))? {
                return Err(stopped(Box::new(found)));
            }
        }
        Ok(fold)
    }

    /// An item that must exist.
    ///
    /// # Errors
    /// A refusal naming the nearest id when there is none.
    pub fn known_item(&self, id: &ItemId) -> Result<ItemFold, LedgerError> {
        match self.item(id)? {
            Some(fold) => Ok(fold),
            None => Err(self.unknown(id)?),
        }
    }

    pub(super) fn unknown(&self, id: &ItemId) -> Result<LedgerError, LedgerError> {
        let ids = self.item_ids()?;
        let near = nearest(id.as_str(), ids.iter(), ItemId::as_str).cloned();
        Ok(Refusal::UnknownItem { item: id.clone(), nearest: near }.into())
    }

    /// Every item's id, sorted.
    ///
    /// # Errors
    /// When the tree cannot be read.
    pub fn item_ids(&self) -> Result<Vec<ItemId>, LedgerError> {
        let mut ids = Vec::new();
        for shard in tree::folder(self.store, self.root, HANDOFF)?.iter() {
            if shard.name == LEDGER_FOLDER || !shard.is_folder() {
                continue;
            }
            let items = self.store.tree(shard.oid)?;
            ids.extend(items.iter().filter_map(|entry| entry.name.parse::<ItemId>().ok()));
        }
        ids.sort();
        Ok(ids)
    }

    /// The versions of every workflow with a definition, by name, as the tree has them.
    ///
    /// # Errors
    /// When the tree cannot be read.
    pub fn definitions(&self) -> Result<Vec<(WorkflowName, Vec<u32>)>, LedgerError> {
        let mut found = Vec::new();
        for entry in tree::folder(self.store, self.root, WORKFLOWS)?.iter() {
            let Ok(name) = entry.name.parse::<WorkflowName>() else { continue };
            let files = match entry.is_folder() {
                true => self.store.tree(entry.oid)?,
                false => Arc::default(),
            };
            let version = |name: &str| name.strip_prefix('v')?.strip_suffix(".json")?.parse().ok();
            let mut versions: Vec<u32> =
                files.iter().filter_map(|file| version(&file.name)).collect();
            versions.sort_unstable();
            found.push((name, versions));
        }
        Ok(found)
    }

    /// An item whose id differs from this one only in case (L2).
    ///
    /// # Errors
    /// When the tree cannot be read.
    pub fn case_twin(&self, id: &ItemId) -> Result<Option<ItemId>, LedgerError> {
        let entries = tree::folder(self.store, self.root, &artifact::shard_folder(&id.shard()))?;
        let twin = entries.iter().find(|entry| {
            entry.name.eq_ignore_ascii_case(id.as_str()) && entry.name != id.as_str()
        });
        Ok(twin.and_then(|entry| entry.name.parse().ok()))
    }

    /// What an executor holds now, wherever in the ledger.
    ///
    /// # Errors
    /// When the file that says so is bad.
    pub fn live_claim(&self, executor: &ExecutorId) -> Result<Option<LiveClaim>, LedgerError> {
        self.busy(Busy::Executor(executor))
    }

    /// Which claim uses a ledger-wide constraint now, wherever in the ledger (S4).
    ///
    /// # Errors
    /// When the file that says so is bad.
    pub fn used_by(&self, constraint: &ConstraintName) -> Result<Option<LiveClaim>, LedgerError> {
        self.busy(Busy::Constraint(constraint))
    }

    /// The ledger-wide constraints of an item's step that claims use now.
    ///
    /// # Errors
    /// When a file that says so is bad.
    pub fn in_use(
        &self,
        workflow: &Workflow,
        step: &StepKey,
    ) -> Result<Vec<(ConstraintName, LiveClaim)>, LedgerError> {
        let constraints = workflow.step(step).into_iter().flat_map(|s| &s.definition.constraints);
        let shared = constraints.filter(|constraint| constraint.is_global());
        let used = shared.map(|name| Ok(self.used_by(name)?.map(|by| (name.clone(), by))));
        used.filter_map(Result::transpose).collect()
    }

    /// Every claim that is live, by executor.
    ///
    /// # Errors
    /// When a file that says so is bad.
    pub fn live_claims(&self) -> Result<Vec<LiveClaim>, LedgerError> {
        let mut live = Vec::new();
        for entry in tree::folder(self.store, self.root, BUSY)?.iter() {
            let path = format!("{BUSY}/{}", entry.name);
            let doc = self.busy_at(&path)?.filter(|doc| doc.constraint.is_none());
            live.extend(doc.map(LiveClaim::from));
        }
        live.sort_by(|a, b| a.executor.cmp(&b.executor));
        Ok(live)
    }

    fn busy(&self, busy: Busy<'_>) -> Result<Option<LiveClaim>, LedgerError> {
        let path = artifact::busy_path(busy);
        if let Some(seen) = &self.seen
            && let Some(found) = seen.stop_where(self.store, self.root, |p| p == path)?
        {
            return Err(LedgerError::LedgerStopped { found: Box::new(found) });
        }
        Ok(self.busy_at(&path)?.map(LiveClaim::from))
    }

    fn busy_at(&self, path: &str) -> Result<Option<BusyDoc>, LedgerError> {
        let Some(bytes) = tree::file(self.store, self.root, path)? else { return Ok(None) };
        let doc = artifact::decode(&bytes).map_err(|error| LedgerError::LedgerStopped {
            found: Box::new(Stop::new(path, format!("cannot be read: {error}"))),
        })?;
        Ok(Some(doc))
    }

    /// A published definition.
    ///
    /// # Errors
    /// When its file is bad.
    pub fn workflow(&self, reference: &WorkflowRef) -> Result<Arc<Workflow>, LedgerError> {
        fold::published(self.store, &mut self.workflows.borrow_mut(), self.root, reference).map_err(
            |problem| match problem {
                Problem::Ledger(error) => error,
                Problem::Stop(found) => LedgerError::LedgerStopped { found },
            },
        )
    }

    /// A published definition as it is sealed.
    ///
    /// # Errors
    /// When its file is gone or cannot be read.
    pub fn definition(&self, reference: &WorkflowRef) -> Result<Vec<u8>, LedgerError> {
        let path = artifact::workflow_path(&reference.name, reference.version);
        tree::file(self.store, self.root, &path)?.ok_or_else(|| LedgerError::LedgerStopped {
            found: Box::new(Stop::new(&path, "is missing")),
        })
    }

    /// Judges an ask about one item against this state.
    ///
    /// # Errors
    /// The refusal, or a bad artifact.
    pub fn decide(&self, id: &ItemId, ask: &Ask, moment: &Moment) -> Result<Decided, LedgerError> {
        let fold = self.item(id)?;
        if fold.is_none() && !matches!(ask, Ask::Register(_)) {
            return Err(self.unknown(id)?);
        }
        let (live, in_use) = match (ask, &fold) {
            (Ask::Claim(claim), Some(ItemFold { state, workflow, .. })) => {
                let named = claim.attempt.as_deref().and_then(|name| state.attempt_named(name));
                let step = claim.step.as_ref().or(named.as_ref().map(AttemptId::key));
                let in_use = step.map(|step| self.in_use(workflow, step)).transpose()?;
                (self.live_claim(&moment.actor.id)?, in_use.unwrap_or_default())
            }
            _ => (None, Vec::new()),
        };
        let mut others = Vec::new();
        for other in ask.others(fold.as_ref().map(|fold| &*fold.state)) {
            let fold = self.known_item(other)?;
            let survivor = self.survivor(&fold)?;
            others.push(OtherItem { id: other.clone(), phase: fold.state.phase, survivor });
        }
        let world = World {
            ledger: self.ledger()?,
            item: fold.as_ref().map(|fold| (&*fold.state, &*fold.workflow)),
            live: live.as_ref(),
            in_use: &in_use,
            others: &others,
        };
        decide(world, id, ask, moment).or_else(|mut refusal| {
            if let (Refusal::ItemEnded { survivor, .. }, Some(fold)) = (&mut refusal, &fold) {
                *survivor = self.survivor(fold)?;
            }
            Err(refusal.into())
        })
    }

    /// The item that a merged or closed one lives on in: the end of the way, where that one was
    /// merged in its turn.
    ///
    /// One that is stopped is as far as can be seen: its damage is not this item's (L10).
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn survivor(&self, fold: &ItemFold) -> Result<Option<ItemId>, LedgerError> {
        let mut last = fold.state.review.survivor.clone();
        // An item can be merged into one that is merged later, never the other way round: this
        // ends, and a ledger that says otherwise does not hang it.
        for _ in 0..1000 {
            let Some(id) = &last else { break };
            let there = match self.item(id) {
                Err(LedgerError::ItemStopped { .. }) => break,
                there => there?,
            };
            match there.and_then(|there| there.state.review.survivor.clone()) {
                Some(next) if next != fold.state.id => last = Some(next),
                _ => break,
            }
        }
        Ok(last)
    }

    /// The keys after the last seal; nothing when reading at a commit of the caller's choice.
    #[must_use]
    pub fn keys(&self) -> Option<&Keyring> {
        self.seen.as_ref().map(|seen| &seen.keys)
    }

    /// Judges an ask about keys against this state.
    ///
    /// # Errors
    /// The refusal, or a bad file of the ledger's own.
    pub fn decide_key(&self, ask: &KeyAsk, moment: &Moment) -> Result<Decided, LedgerError> {
        let ledger = self.ledger()?;
        let Some(seen) = &self.seen else {
            return Err(LedgerError::Invalid("keys change at the newest state only".into()));
        };
        Ok(decide_key(KeyWorld { ledger, keys: &seen.keys, seal: seen.seq }, ask, moment)?)
    }

    /// Judges an ask about policy against this state.
    ///
    /// # Errors
    /// The refusal, or a bad file of the ledger's own.
    pub fn decide_policy(&self, ask: &SetPolicy, moment: &Moment) -> Result<Decided, LedgerError> {
        Ok(decide_policy(self.ledger()?, ask, moment)?)
    }

    /// Judges an ask about versions of workflows against this state.
    ///
    /// # Errors
    /// The refusal, or a bad file of the ledger's own.
    pub fn decide_workflow(
        &self,
        ask: &WorkflowAsk,
        moment: &Moment,
    ) -> Result<Decided, LedgerError> {
        Ok(decide_workflow(self.ledger()?, ask, moment)?)
    }

    /// An item's events in order, as they stand in the tree.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn events(&self, id: &ItemId) -> Result<Vec<Sealed>, LedgerError> {
        let folder = artifact::item_folder(id);
        self.events_in(&folder).map_err(|problem| match problem {
            Problem::Ledger(error) => error,
            Problem::Stop(found) => LedgerError::ItemStopped { item: id.clone(), found },
        })
    }

    /// The events that concern no item, in order.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn ledger_events(&self) -> Result<Vec<Sealed>, LedgerError> {
        self.events_in(&format!("{HANDOFF}/{LEDGER_FOLDER}")).map_err(|problem| match problem {
            Problem::Ledger(error) => error,
            Problem::Stop(found) => LedgerError::LedgerStopped { found },
        })
    }

    fn events_in(&self, folder: &str) -> Result<Vec<Sealed>, Problem> {
        let Some(subtree) = tree::find(self.store, self.root, folder)?.filter(Entry::is_folder)
        else {
            return Ok(Vec::new());
        };
        fold::ordered(self.store, folder, subtree.oid)?
            .into_iter()
            .map(|file| fold::read_event(self.store, &file.path(folder), file.oid))
            .collect()
    }

    /// Every file below `artifacts/`, by path.
    ///
    /// # Errors
    /// When the tree cannot be read.
    pub fn files(&self) -> Result<Vec<(String, Vec<u8>)>, LedgerError> {
        let files = tree::files(self.store, self.root, "artifacts")?;
        files.into_iter().map(|(path, oid)| Ok((path, self.store.blob(oid)?))).collect()
    }
}
