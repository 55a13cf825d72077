//! What this clone has seen of the ledger, and the check of every commit since (L5).
//!
//! The mark is trusted on first use, like `known_hosts`. From then on each new commit is checked
//! once as it arrives: a seal that extends the one before it and names exactly the write-once
//! files the commit adds, or the commit is foreign.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use git2::Oid;
use serde::{Deserialize, Serialize};

use super::cache::Cache;
use super::error::{LedgerError, Rewrite, Stop, WayBack};
use super::line::Step;
use super::progress;
use super::signatures;
use super::store::Store;
use super::tree::{self, Difference};
use crate::artifact::{self, HANDOFF, LEDGER_DOC, Mark, Recovery, SEALS, Seal, WORKFLOWS};
use crate::domain::id::{Digest, ItemId};
use crate::domain::keys::{Fact, Keyring};

/// The file in the common git folder.
const FILE: &str = "seen.json";

/// How many commits the first look goes back: a moment's work, and most ledgers' whole life.
const FIRST_LOOK: usize = 1000;

/// What was seen last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Seen {
    pub tip: String,
    pub seq: u64,
    /// The bytes of that seal: what comes after it may not write it anew, and the chain holds
    /// those before it.
    #[serde(default)]
    pub seal: Option<Digest>,
    pub mark: Mark,
    /// The keys after that seal: sealed ones only, whatever stands in the tree.
    #[serde(default)]
    pub keys: Keyring,
    /// Commits that changed `artifacts/` without a seal and are not corrected yet.
    pub foreign: Vec<Foreign>,
}

/// A commit stepseal did not make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Foreign {
    pub commit: String,
    /// The commit before it.
    pub before: String,
    pub paths: Vec<String>,
    pub why: String,
}

/// What a path below `artifacts/` belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Concern<'a> {
    Item(&'a str),
    Workflow(&'a str),
    Executor,
    Ledger,
}

/// Tells whom a changed path concerns.
pub(super) fn concern(path: &str) -> Concern<'_> {
    let parts: Vec<&str> = path.split('/').collect();
    match parts.as_slice() {
        ["artifacts", "handoff", "_ledger", ..] => Concern::Ledger,
        ["artifacts", "handoff" | "claims", _, item, ..] | ["artifacts", "runs", item, ..] => {
            Concern::Item(item)
        }
        ["artifacts", "schedule", _, file] => {
            Concern::Item(file.strip_suffix(".json").unwrap_or(file))
        }
        ["artifacts", "workflows", ..] => Concern::Workflow(path),
        ["artifacts", "busy", ..] => Concern::Executor,
        _ => Concern::Ledger,
    }
}

impl Seen {
    /// What is remembered, if anything is.
    pub(super) fn load(cache: &Cache) -> Option<Self> {
        let what = "what this clone had seen of the ledger is forgotten, and a history that was \
                    cut or rewritten before now is found only by a mark kept elsewhere";
        cache.recall(FILE, what).filter(|seen: &Self| Oid::from_str(&seen.tip).is_ok())
    }

    /// Remembers it, unless a quicker command has seen more already.
    pub(super) fn save(&self, cache: &Cache) {
        if Self::load(cache).is_some_and(|stored| stored.seq > self.seq) {
            return;
        }
        let what = "this clone does not remember what it saw of the ledger";
        cache.remember(FILE, self, what);
    }

    /// First use: what stands a while back is trusted, and every commit since is checked.
    pub(super) fn first(store: &Store, tip: Oid) -> Result<Self, LedgerError> {
        let mut base = tip;
        for _ in 0..FIRST_LOOK {
            match store.commit(base)?.parents.first() {
                // A shallow clone ends here; what is missing is for verify to say.
                Some(&parent) if store.commit(parent).is_ok() => base = parent,
                Some(_) | None => break,
            }
        }
        Self::trust(store, base)?.advance(store, tip)
    }

    /// One commit's last seal is trusted as it stands.
    pub(super) fn trust(store: &Store, tip: Oid) -> Result<Self, LedgerError> {
        let root = store.commit(tip)?.tree;
        let (seal, bytes) = last_seal(store, root)?;
        let keys = signatures::keys_at(store, root, seal.seq)?;
        Ok(Self {
            tip: tip.to_string(),
            seq: seal.seq,
            seal: Some(Digest::of(&bytes)),
            mark: seal.mark(),
            keys,
            foreign: Vec::new(),
        })
    }

    /// Checks every commit between what was seen and the tip.
    pub(super) fn advance(mut self, store: &Store, tip: Oid) -> Result<Self, LedgerError> {
        if self.tip == tip.to_string() {
            return Ok(self);
        }
        let mut line = Vec::new();
        let mut at = tip;
        loop {
            if at.to_string() == self.tip {
                break;
            }
            let commit = store.commit(at)?;
            let parent = commit.parents.first().copied();
            line.push(Step::of(at, &commit));
            match parent {
                Some(parent) => at = parent,
                None => return Err(self.rewritten(store, tip)),
            }
        }
        let mut before = at;
        let mut root = store.commit(at)?.tree;
        let of = line.len();
        for (done, step) in line.into_iter().rev().enumerate() {
            progress::tell("new commits", done, of);
            match check_commit(store, &self, root, &step)? {
                Check::NotOurs => {}
                Check::Sealed(Arrived { seal, facts, wrong: None, .. }) => {
                    self.take(&seal, &facts);
                }
                Check::Sealed(Arrived { paths, wrong: Some(why), .. })
                | Check::Foreign { paths, why } => self.foreign.push(Foreign {
                    commit: step.oid.to_string(),
                    before: before.to_string(),
                    paths,
                    why,
                }),
            }
            before = step.oid;
            root = step.tree;
        }
        self.tip = tip.to_string();
        Ok(self)
    }

    /// Moves on to a sound seal; what it restored is no longer foreign.
    pub(super) fn take(&mut self, seal: &Seal, facts: &[Fact]) {
        let sha256 = Digest::of(&artifact::encode(seal));
        let (mark, recovery) = (seal.mark(), seal.recovery.as_ref());
        self.pass(
            Passed { seq: seal.seq, sha256, mark, timestamp: seal.timestamp, recovery },
            facts,
        );
    }

    /// The same, of a seal that was read before.
    pub(super) fn pass(&mut self, seal: Passed<'_>, facts: &[Fact]) {
        self.seq = seal.seq;
        self.seal = Some(seal.sha256);
        self.mark = seal.mark;
        self.keys.take(seal.seq, seal.timestamp, facts);
        for restored in seal.recovery.iter().flat_map(|recovery| &recovery.restored) {
            for foreign in &mut self.foreign {
                foreign.paths.retain(|path| *path != restored.path);
            }
        }
        self.foreign.retain(|foreign| !foreign.paths.is_empty());
    }

    /// The branch is gone, or names no commit that is here: where it was.
    pub(super) fn pointed(&self, tip: Option<Oid>, error: LedgerError) -> LedgerError {
        let known = Some(self.tip.clone());
        let wrong = |oid: &str| tip.is_some_and(|tip| tip.to_string() == *oid) && oid != self.tip;
        match error {
            LedgerError::BadBranch { branch, file, why, .. } => {
                LedgerError::BadBranch { branch, file, why, seen: known }
            }
            LedgerError::BadObject { oid, why, way } if wrong(&oid) => {
                LedgerError::BadObject { oid, why, way: Box::new(WayBack { seen: known, ..*way }) }
            }
            LedgerError::MissingObject { oid, way } if wrong(&oid) => {
                LedgerError::MissingObject { oid, way: Box::new(WayBack { seen: known, ..*way }) }
            }
            error => error,
        }
    }

    /// The branch is gone although it was seen.
    pub(super) fn gone(self, store: &Store) -> LedgerError {
        LedgerError::Rewritten {
            how: Rewrite::Deleted,
            remote: None,
            branch: store.branch().to_owned(),
            seen: self.tip,
            tip: String::new(),
            mark: self.mark,
        }
    }

    /// Whether a tip is an earlier commit of what was seen; nothing when what was seen is gone.
    pub(super) fn goes_back_to(&self, store: &Store, tip: Oid) -> Option<bool> {
        store.on_line(Oid::from_str(&self.tip).ok()?, tip, usize::MAX).ok()
    }

    /// The branch does not contain what was seen: how it lost it.
    pub(super) fn rewritten(&self, store: &Store, tip: Oid) -> LedgerError {
        let cut = self.goes_back_to(store, tip) == Some(true);
        LedgerError::Rewritten {
            how: if cut { Rewrite::CutTail } else { Rewrite::Rewritten },
            remote: None,
            branch: store.branch().to_owned(),
            seen: self.tip.clone(),
            tip: tip.to_string(),
            mark: self.mark.clone(),
        }
    }

    /// The first foreign change that stops an item: to its own files, or to its workflow's.
    pub(super) fn stop(
        &self,
        store: &Store,
        root: Oid,
        item: &ItemId,
        workflow: Option<&str>,
    ) -> Result<Option<Stop>, LedgerError> {
        self.stop_where(store, root, |path| match concern(path) {
            Concern::Item(name) => name == item.as_str(),
            Concern::Workflow(path) => Some(path) == workflow,
            Concern::Executor | Concern::Ledger => false,
        })
    }

    /// The first foreign change to a path for which `matters` holds.
    pub(super) fn stop_where(
        &self,
        store: &Store,
        root: Oid,
        matters: impl Fn(&str) -> bool,
    ) -> Result<Option<Stop>, LedgerError> {
        for foreign in &self.foreign {
            let Some(path) = foreign.paths.iter().find(|path| matters(path)) else { continue };
            // Bytes that are lost or damaged leave the item stopped just the same (L10).
            let file = |root: Oid| -> Result<(bool, Option<Digest>), LedgerError> {
                let there = tree::find(store, root, path)?.is_some();
                let bytes = tree::file(store, root, path).ok().flatten();
                Ok((there, bytes.map(|bytes| Digest::of(&bytes))))
            };
            let (was, sealed) = match Oid::from_str(&foreign.before) {
                Ok(before) => file(store.commit(before)?.tree)?,
                Err(_) => (false, None),
            };
            let (is, found) = file(root)?;
            let what = match (was, is) {
                (true, false) => "was deleted",
                (false, true) => "was added",
                _ => "was altered",
            };
            return Ok(Some(Stop {
                path: path.clone(),
                what: format!("{what} by commit {}: {}", &foreign.commit[..7], foreign.why),
                pointer: None,
                sealed,
                found,
                commit: Some(foreign.commit.clone()),
                before: Some(foreign.before.clone()),
            }));
        }
        Ok(None)
    }
}

/// A sound seal, as far as what was seen moves on by it.
pub(super) struct Passed<'a> {
    pub seq: u64,
    pub sha256: Digest,
    pub mark: Mark,
    pub timestamp: DateTime<Utc>,
    pub recovery: Option<&'a Recovery>,
}

/// What one commit is.
pub(super) enum Check {
    /// It leaves `artifacts/` alone.
    NotOurs,
    Sealed(Arrived),
    Foreign {
        paths: Vec<String>,
        why: String,
    },
}

/// A commit with the next seal, which follows the one before it.
pub(super) struct Arrived {
    pub seal: Box<Seal>,
    /// Its facts, where they were needed to judge the signature.
    pub facts: Vec<Fact>,
    /// Everything it changes.
    pub paths: Vec<String>,
    /// Why its signature does not hold.
    pub wrong: Option<String>,
}

/// Checks one commit against the seal before it.
pub(super) fn check_commit(
    store: &Store,
    seen: &Seen,
    old_root: Oid,
    commit: &Step,
) -> Result<Check, LedgerError> {
    let folder = |root| tree::find(store, root, "artifacts").map(|found| found.map(|e| e.oid));
    let (old, new) = (folder(old_root)?, folder(commit.tree)?);
    let merge = commit.merge;
    if old == new && !merge {
        return Ok(Check::NotOurs);
    }
    let mut changes = tree::compare(store, old, new)?;
    for change in &mut changes {
        change.path = format!("artifacts/{}", change.path);
    }
    let foreign = |why: &str| {
        let paths = changes.iter().map(|change| change.path.clone()).collect();
        Ok(Check::Foreign { paths, why: why.to_owned() })
    };
    if merge {
        return foreign("it is a merge");
    }
    let path = artifact::seal_path(seen.seq + 1);
    let next = changes.iter().find(|change| change.path == path).and_then(|change| change.new);
    let Some(oid) = next else {
        return foreign("it changes artifacts/ without the next seal");
    };
    let sealed = store.blob(oid)?;
    let Ok(seal) = artifact::decode::<Seal>(&sealed) else {
        return foreign("its seal cannot be read");
    };
    let restored: Vec<&str> = seal
        .recovery
        .iter()
        .flat_map(|recovery| &recovery.restored)
        .map(|file| file.path.as_str())
        .collect();
    // A correction puts damaged seals back, and takes the place of a forged one.
    let signature_path = artifact::signature_path(seal.seq);
    let rewrites = |change: &Difference| {
        let own = change.path == path || change.path == signature_path;
        change.path.starts_with(SEALS)
            && (!own || change.old.is_some())
            && !restored.contains(&change.path.as_str())
    };
    if changes.iter().any(rewrites) {
        return foreign("it rewrites a seal");
    }
    let previous = tree::file(store, commit.tree, &artifact::seal_path(seen.seq))?;
    let Some(previous) = previous else {
        return foreign("the seal before it is gone");
    };
    if let Some(why) = false_correction(store, commit.tree, seen, &previous, &restored)? {
        return foreign(why);
    }
    if seal.seq != seen.seq + 1 || seal.previous != Some(Digest::of(&previous)) {
        return foreign("its seal does not follow the one before it");
    }
    let before = artifact::decode::<Seal>(&previous).ok().and_then(|seal| seal.tree());
    let Some(mut frontier) = before else {
        return foreign("the seal before it does not agree with itself");
    };
    let mut added: BTreeMap<&str, &Digest> =
        seal.artifacts.iter().map(|file| (file.path.as_str(), &file.sha256)).collect();
    let mut leaves = BTreeMap::new();
    let mut files = Vec::new();
    for change in changes.iter().filter(|change| is_write_once(&change.path)) {
        if restored.contains(&change.path.as_str()) {
            continue;
        }
        let (None, Some(blob)) = (change.old, change.new) else {
            return foreign("it changes what was sealed");
        };
        let bytes = store.blob(blob)?;
        if added.remove(change.path.as_str()) != Some(&Digest::of(&bytes)) {
            return foreign("it adds what its seal does not name");
        }
        leaves.insert(change.path.clone(), artifact::leaf(&change.path, &bytes));
        files.push((change.path.clone(), bytes));
    }
    if !added.is_empty() {
        return foreign("its seal names what it does not add");
    }
    for file in &seal.artifacts {
        if let Some(leaf) = leaves.remove(&file.path) {
            frontier.push(leaf);
        }
    }
    if frontier.size() != seal.size || frontier.root() != seal.root || seal.tree().is_none() {
        return foreign("its seal's root does not follow");
    }
    let signature = changes.iter().find(|change| change.path == signature_path);
    let signature =
        signature.and_then(|change| change.new).map(|oid| store.blob(oid)).transpose()?;
    // Without a signature only facts about keys matter, and they are the ledger's.
    let ledgers = format!("{HANDOFF}/{}/", artifact::LEDGER_FOLDER);
    let facts: Vec<Fact> = files
        .iter()
        .filter(|(path, _)| match seal.signed_by {
            Some(_) => path.starts_with(HANDOFF),
            None => path.starts_with(&ledgers),
        })
        .filter_map(|(_, bytes)| {
            let event = artifact::decode_event(bytes).ok()?;
            Fact::of(&event, &Digest::of(bytes))
        })
        .collect();
    let wrong = signatures::judge(&seen.keys, &seal, &sealed, signature.as_deref(), &facts);
    let wrong = wrong.err().map(|wrong| format!("its signature does not hold: {}", wrong.what));
    let paths = changes.into_iter().map(|change| change.path).collect();
    Ok(Check::Sealed(Arrived { seal: Box::new(seal), facts, paths, wrong }))
}

/// Why what a seal calls restored is not as it was sealed, if it is not: whoever forges a seal may
/// call anything a correction.
///
/// The last seal must be the one that was seen, byte for byte; the chain holds those before it,
/// and they tell what every write-once file was sealed as. No seal tells what its signature was:
/// one that holds is as good.
fn false_correction(
    store: &Store,
    root: Oid,
    seen: &Seen,
    last: &[u8],
    restored: &[&str],
) -> Result<Option<&'static str>, LedgerError> {
    const ANEW: Option<&str> = Some("it writes a seal anew that was another");
    const NOT_AS_SEALED: Option<&str> = Some("it calls restored what is not as it was sealed");
    if seen.seal.as_ref().is_some_and(|seal| *seal != Digest::of(last)) {
        return Ok(ANEW);
    }
    if restored.is_empty() {
        return Ok(None);
    }
    let signatures: BTreeSet<u64> =
        restored.iter().filter_map(|path| artifact::parse_signature_path(path)).collect();
    let mut sealed: BTreeMap<&str, Digest> = BTreeMap::new();
    let mut previous = Some(Digest::of(last));
    for seq in (1..=seen.seq).rev() {
        let bytes = tree::file(store, root, &artifact::seal_path(seq))?;
        let Some(bytes) = bytes.filter(|bytes| previous.as_ref() == Some(&Digest::of(bytes)))
        else {
            return Ok(ANEW);
        };
        let Ok(seal) = artifact::decode::<Seal>(&bytes) else { return Ok(ANEW) };
        if signatures.contains(&seq) {
            let signature = tree::file(store, root, &artifact::signature_path(seq))?;
            if !signatures::can_be(&seen.keys, &seal, &bytes, signature.as_deref()) {
                return Ok(NOT_AS_SEALED);
            }
        }
        for file in seal.artifacts.into_iter().chain(seal.documents) {
            if let Some(path) = restored.iter().find(|path| **path == file.path) {
                sealed.entry(path).or_insert(file.sha256);
            }
        }
        previous = seal.previous;
    }
    for path in restored {
        let seal = path.strip_suffix(".sig").unwrap_or(path);
        let ours = match artifact::parse_seal_path(seal) {
            // Older ones are in the chain; its own takes the place of a forged one.
            Some(seq) if seq <= seen.seq + 1 => continue,
            Some(_) => true,
            None => is_write_once(path) || path.starts_with(SEALS),
        };
        let is = if ours { tree::file(store, root, path)? } else { continue };
        if is.map(|bytes| Digest::of(&bytes)).as_ref() != sealed.get(path) {
            return Ok(NOT_AS_SEALED);
        }
    }
    Ok(None)
}

/// Whether a path is write-once: events, definitions, and what the first commit says of itself.
pub(super) fn is_write_once(path: &str) -> bool {
    let below = |folder: &str| path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
    below(HANDOFF) || below(WORKFLOWS) || path == LEDGER_DOC
}

/// The seal of this number, with its bytes.
pub(super) fn seal_at(store: &Store, root: Oid, seq: u64) -> Result<(Seal, Vec<u8>), LedgerError> {
    let path = artifact::seal_path(seq);
    let stopped =
        |what: String| LedgerError::LedgerStopped { found: Box::new(Stop::new(&path, what)) };
    let bytes = tree::file(store, root, &path)?.ok_or_else(|| stopped("is missing".into()))?;
    let seal: Seal =
        artifact::decode(&bytes).map_err(|error| stopped(format!("cannot be read: {error}")))?;
    if seal.seq != seq {
        return Err(stopped("says it is another seal".into()));
    }
    Ok((seal, bytes))
}

/// The last seal of a tree, with its bytes.
pub(super) fn last_seal(store: &Store, root: Oid) -> Result<(Seal, Vec<u8>), LedgerError> {
    let stopped = |path: &str, what: &str| LedgerError::LedgerStopped {
        found: Box::new(Stop::new(path, what)),
    };
    let folders = tree::folder(store, root, SEALS)?;
    let folder = folders.iter().filter(|e| e.is_folder()).max_by(|a, b| a.name.cmp(&b.name));
    let folder = folder.ok_or_else(|| stopped(SEALS, "holds no seal"))?;
    let files = store.tree(folder.oid)?;
    let file =
        files.iter().filter(|e| e.name.ends_with(".json")).max_by(|a, b| a.name.cmp(&b.name));
    let file = file.ok_or_else(|| stopped(SEALS, "holds no seal"))?;
    let path = format!("{SEALS}/{}/{}", folder.name, file.name);
    match artifact::parse_seal_path(&path) {
        Some(seq) => seal_at(store, root, seq),
        None => Err(stopped(&path, "is no seal's name")),
    }
}
