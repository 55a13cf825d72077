//! Every write-once file, one folder after the other: its bytes against its seal, then what the
//! bytes say. A folder is let go of before the next one is read.

use std::collections::{BTreeMap, BTreeSet};

use git2::Oid;

use super::super::error::LedgerError;
use super::super::fold::Sealed;
use super::super::{progress, seen, signatures, tree};
use super::Audit;
use super::chain::{FileRow, Right, Sha256};
use super::report::{Class, Finding};
use crate::artifact::{self, HANDOFF, LEDGER_FOLDER};
use crate::domain::event::EventKind;
use crate::domain::id::{Digest, EventId, ItemId};
use crate::domain::keys::Fact;

/// A link of an event, to be looked up once all events are known.
struct Linked {
    file: u32,
    id: EventId,
    sha256: Sha256,
    /// Its place among the links of the event.
    nth: usize,
}

/// What was read of the events, as little of each as the rest needs.
#[derive(Default)]
pub(super) struct Events {
    /// Every event's digest, and whether it is a decision.
    digests: BTreeMap<EventId, (Sha256, bool)>,
    links: Vec<Linked>,
    /// Sealed bytes, from history, of files that are damaged now: links to them still hold, and
    /// so do the keys they added.
    damaged: BTreeMap<u32, Vec<u8>>,
    /// What signatures must know, by file.
    pub facts: BTreeMap<u32, Fact>,
    /// The events that concern no item.
    pub ledgers: Vec<Sealed>,
}

/// The bytes of a folder's files that are as sealed, by their places in the chain.
type Folder = Vec<(u32, Vec<u8>)>;

impl Audit<'_> {
    /// Compares every write-once file with its seal and folds every item on the way.
    pub(super) fn contents(&mut self) -> Result<(), LedgerError> {
        let mut wrong = self.extras()?;
        let by_path = self.chain.by_path().to_vec();
        let folder_of = |audit: &Self, at: u32| {
            let path = &*audit.chain.files[at as usize].path;
            let folder = path.starts_with(HANDOFF).then(|| artifact::folder_of_event(path));
            folder.flatten().map(str::to_owned)
        };
        let mut rest = by_path.as_slice();
        while let Some(&first) = rest.first() {
            progress::tell("sealed files", by_path.len() - rest.len(), by_path.len());
            let folder = folder_of(self, first);
            let below = folder.as_ref().map(|folder| format!("{folder}/"));
            let own = match &below {
                Some(below) => rest
                    .iter()
                    .take_while(|at| self.chain.files[**at as usize].path.starts_with(below))
                    .count(),
                None => 1,
            };
            let (own, after) = rest.split_at(own);
            let known = (self.report.findings.len(), wrong.len());
            let mut sound = Folder::with_capacity(own.len());
            for &at in own {
                if let Some(bytes) = self.content(at, &mut wrong)? {
                    sound.push((at, bytes));
                }
            }
            match folder {
                Some(folder) => {
                    let whole = known == (self.report.findings.len(), wrong.len());
                    self.folder(&folder, sound, whole)?;
                }
                None => self.report.definitions += sound.len(),
            }
            rest = after;
        }
        self.name(wrong)
    }

    /// One file's bytes, if they are as sealed.
    fn content(
        &mut self,
        at: u32,
        wrong: &mut Vec<Finding>,
    ) -> Result<Option<Vec<u8>>, LedgerError> {
        let row = &self.chain.files[at as usize];
        let path = row.path.to_string();
        let finding = |row: &FileRow, class, what: &str| {
            let mut finding = Finding::new(class, path.clone(), what);
            finding.seal = (row.seal > 0).then_some(row.seal);
            finding
        };
        let Some(oid) = self.files.get(&path) else {
            let sealed = self.right(row)?;
            let mut finding = finding(row, Class::Deleted, "is gone");
            let before = match &sealed {
                Some(sealed) => self.line.sealed_bytes(&path, sealed)?,
                None => None,
            };
            finding.sealed = sealed;
            self.events.damaged.extend(before.map(|before| (at, before)));
            wrong.push(finding);
            return Ok(None);
        };
        let bytes = match self.store.blob(*oid) {
            Ok(bytes) => bytes,
            Err(error) => {
                self.report.findings.push(Finding::lost(error, Some(path))?);
                return Ok(None);
            }
        };
        let found = Digest::of(&bytes);
        let same = match &row.right {
            Right::Sealed(sha256) => found.to_bytes() == *sha256,
            Right::Stood(stood) => stood == oid,
        };
        if same {
            let leaf = artifact::leaf(&path, &bytes).to_bytes();
            self.chain.files[at as usize].leaf = Some(leaf);
            return Ok(Some(bytes));
        }
        let sealed = self.right(row)?;
        let mut finding = finding(row, Class::Altered, "has other bytes than sealed");
        if let Some(sealed) = &sealed
            && let Some(before) = self.line.sealed_bytes(&path, sealed)?
        {
            finding.pointer = first_difference(&before, &bytes);
            self.events.damaged.insert(at, before);
        }
        (finding.sealed, finding.found) = (sealed, Some(found));
        wrong.push(finding);
        Ok(None)
    }

    /// What a file has to be, as a digest.
    fn right(&self, row: &FileRow) -> Result<Option<Digest>, LedgerError> {
        Ok(match &row.right {
            Right::Sealed(sha256) => Some(Digest::from_bytes(sha256)),
            Right::Stood(oid) => Some(Digest::of(&self.store.blob(*oid)?)),
        })
    }

    /// Write-once files that no seal names.
    fn extras(&mut self) -> Result<Vec<Finding>, LedgerError> {
        let extra = |path: &&String| {
            seen::is_write_once(path)
                && *path != artifact::LEDGER_DOC
                && self.chain.find(path).is_none()
        };
        let extras: Vec<String> = self.files.keys().filter(extra).cloned().collect();
        let mut found = Vec::new();
        for path in extras {
            match self.store.blob(self.files[&path]) {
                Ok(bytes) => found.push((path, Digest::of(&bytes))),
                Err(error) => self.report.findings.push(Finding::lost(error, Some(path))?),
            }
        }
        let twins = self.twins(&found)?;
        let finding = |(path, sha256): (String, Digest)| {
            let (class, what) = match twins.get(&sha256.to_bytes()) {
                Some(twin) => (Class::Duplicated, format!("repeats {twin}")),
                None => (Class::Unsealed, "is named by no seal".to_owned()),
            };
            Finding { found: Some(sha256), ..Finding::new(class, path, what) }
        };
        Ok(found.into_iter().map(finding).collect())
    }

    /// The sealed files whose bytes unsealed ones repeat.
    fn twins(&self, extras: &[(String, Digest)]) -> Result<BTreeMap<Sha256, String>, LedgerError> {
        let mut twins = BTreeMap::new();
        if extras.is_empty() {
            return Ok(twins);
        }
        // What stood at the mark is known by its blobs.
        if let Some(start) = &self.start {
            let blobs: BTreeMap<Oid, Sha256> = extras
                .iter()
                .filter_map(|(path, sha256)| Some((*self.files.get(path)?, sha256.to_bytes())))
                .collect();
            for (path, oid) in tree::files(self.store, start.root, "artifacts")? {
                if let Some(sha256) = blobs.get(&oid).filter(|_| seen::is_write_once(&path)) {
                    twins.insert(*sha256, path);
                }
            }
        }
        let wanted: BTreeSet<Sha256> = extras.iter().map(|(_, found)| found.to_bytes()).collect();
        for at in self.chain.by_path() {
            let row = &self.chain.files[*at as usize];
            if let Right::Sealed(sha256) = &row.right
                && wanted.contains(sha256)
            {
                twins.insert(*sha256, row.path.to_string());
            }
        }
        Ok(twins)
    }

    /// Says what is wrong with files, and since when.
    fn name(&mut self, wrong: Vec<Finding>) -> Result<(), LedgerError> {
        let swapped: BTreeSet<String> = wrong
            .iter()
            .filter(|a| {
                let others =
                    || wrong.iter().filter(|b| b.class == Class::Altered && b.path != a.path);
                a.class == Class::Altered
                    && others().any(|b| b.sealed == a.found)
                    && others().any(|b| b.found == a.sealed)
            })
            .filter_map(|finding| finding.path.clone())
            .collect();
        for mut finding in wrong {
            let path = finding.path.clone().unwrap_or_default();
            if swapped.contains(&path) {
                finding.class = Class::Reordered;
                finding.what = "has the bytes of another sealed file".into();
            }
            finding.commit = match self.line.changed_later(&path)? {
                Some(commit) => Some(commit),
                None => self.line.added_by(&path)?,
            };
            finding.before = self.line.before(finding.commit.as_deref());
            self.report.findings.push(finding);
        }
        Ok(())
    }

    /// Reads the events of one folder and, where all of it is right, folds its item.
    fn folder(&mut self, folder: &str, mut sound: Folder, whole: bool) -> Result<(), LedgerError> {
        if sound.is_empty() {
            return Ok(());
        }
        sound.sort_by_key(|(at, _)| {
            let path = &self.chain.files[*at as usize].path;
            path.rsplit('/').next().and_then(artifact::parse_event_name).unwrap_or(0)
        });
        let mut events = Vec::with_capacity(sound.len());
        let count = sound.len();
        for (at, bytes) in sound {
            let path = self.chain.files[at as usize].path.to_string();
            match artifact::decode_event(&bytes) {
                Ok(event) => {
                    let sealed = Sealed { path, event, sha256: Digest::of(&bytes) };
                    self.note(at, &sealed);
                    events.push(sealed);
                }
                Err(error) => {
                    let pointer = artifact::pointer_of(&bytes).map(|pointer| pointer.at);
                    let what = format!("cannot be read: {error}");
                    let mut finding = Finding::new(Class::BadArtifact, path, what);
                    finding.pointer = pointer;
                    self.report.findings.push(finding);
                }
            }
        }
        self.report.events += events.len();
        let name = folder.rsplit('/').next().unwrap_or_default();
        if name == LEDGER_FOLDER {
            self.events.ledgers = events;
            return Ok(());
        }
        let Ok(item) = name.parse::<ItemId>() else { return Ok(()) };
        self.report.items += 1;
        // Its damaged files are named already; what follows from them would only be noise.
        match whole && events.len() == count {
            true => self.item(item, &events),
            false => Ok(()),
        }
    }

    /// Keeps what others must know of an event.
    fn note(&mut self, at: u32, sealed: &Sealed) {
        let signed = {
            let seal = self.chain.seal(self.chain.files[at as usize].seal);
            seal.is_some_and(|seal| seal.signed_by.is_some())
        };
        let events = &mut self.events;
        let is_decision = sealed.event.kind() == EventKind::ScheduleDecided;
        events.digests.insert(sealed.event.id, (sealed.sha256.to_bytes(), is_decision));
        for (nth, link) in sealed.event.links.iter().enumerate() {
            let sha256 = link.sha256.to_bytes();
            events.links.push(Linked { file: at, id: link.id, sha256, nth });
        }
        // Without a signature only facts about keys matter.
        let fact = Fact::of(&sealed.event, &sealed.sha256);
        let fact = fact.filter(|fact| signed || fact.key.is_some());
        events.facts.extend(fact.map(|fact| (at, fact)));
    }

    /// Every link names an event that is there, by its bytes.
    pub(super) fn links(&mut self) -> Result<(), LedgerError> {
        for (&at, bytes) in &self.events.damaged {
            if let Ok(event) = artifact::decode_event(bytes) {
                let sha256 = Digest::of(bytes);
                self.events.facts.extend(Fact::of(&event, &sha256).map(|fact| (at, fact)));
                let is_decision = event.kind() == EventKind::ScheduleDecided;
                self.events.digests.insert(event.id, (sha256.to_bytes(), is_decision));
            }
        }
        // One that leads nowhere may name an event that could not be read.
        let unread = self.report.findings.iter().any(|finding| finding.class.is_unread());
        let mut broken = Vec::new();
        for link in &self.events.links {
            let what = match self.events.digests.get(&link.id) {
                None if unread => continue,
                // It may name an event of an item that did not change since.
                None if self.start.is_some() => {
                    self.report.since.iter_mut().for_each(|since| since.links += 1);
                    continue;
                }
                None => ("links", "which is not in the ledger"),
                Some((_, true)) => ("links decision", ""),
                Some((sha256, _)) if *sha256 != link.sha256 => ("links other bytes of", ""),
                Some(_) => continue,
            };
            broken.push((link, what));
        }
        for (link, (links, why)) in broken {
            let path = self.chain.files[link.file as usize].path.to_string();
            let event = self.store.blob(self.files[&path])?;
            let event = artifact::decode_event(&event).ok();
            let named = event.as_ref().and_then(|event| event.links.get(link.nth));
            let rel = named.map_or("", |named| named.rel.as_str());
            let why = if why.is_empty() { String::new() } else { format!(", {why}") };
            let what = format!("{links} {} as {rel}{why}", link.id);
            self.report.findings.push(Finding::new(Class::BrokenLink, path, what));
        }
        Ok(())
    }

    /// What the events of a seal say of its signature; nothing when one that changes the keys is
    /// lost.
    pub(super) fn facts_of(
        files: &[FileRow],
        places: std::ops::Range<usize>,
        facts: &mut BTreeMap<u32, Fact>,
    ) -> Option<Vec<Fact>> {
        let mut own = Vec::new();
        for at in places {
            match facts.remove(&u32::try_from(at).ok()?) {
                Some(fact) => own.push(fact),
                None if signatures::changes_keys(&files[at].path) => return None,
                None => {}
            }
        }
        Some(own)
    }
}

/// The JSON pointer of the first place where two documents differ.
fn first_difference(a: &[u8], b: &[u8]) -> Option<String> {
    fn walk(a: &serde_json::Value, b: &serde_json::Value, at: &str) -> Option<String> {
        use serde_json::Value;
        match (a, b) {
            (Value::Object(a), Value::Object(b)) => {
                let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
                keys.into_iter().find_map(|key| match (a.get(key), b.get(key)) {
                    (Some(a), Some(b)) => walk(a, b, &format!("{at}/{key}")),
                    _ => Some(format!("{at}/{key}")),
                })
            }
            (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
                (0..a.len()).find_map(|n| walk(&a[n], &b[n], &format!("{at}/{n}")))
            }
            (a, b) if a == b => None,
            _ => Some(at.to_owned()),
        }
    }
    walk(&serde_json::from_slice(a).ok()?, &serde_json::from_slice(b).ok()?, "")
}
