//! Files in the common git folder that only save time: deleting any of them loses nothing (L9).
#![expect(clippy::disallowed_methods, reason = "the adapter for cache files")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde::{Serialize, de::DeserializeOwned};

use crate::domain::id::Digest;

/// Changes with every change of what is cached: another program's files are then not read.
const FORMAT: &str = concat!("stepseal-cache 5 ", env!("CARGO_PKG_VERSION"), "\n");

/// What the user should know although the command went well, each once.
#[derive(Debug, Clone, Default)]
pub struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    /// Takes all of them.
    #[must_use]
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    fn add(&self, note: String) {
        let mut notes = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if !notes.contains(&note) {
            notes.push(note);
        }
    }
}

/// `stepseal/` in the common git folder.
#[derive(Debug, Clone)]
pub(super) struct Cache {
    folder: PathBuf,
    notes: Notes,
}

impl Cache {
    pub(super) fn new(common: &Path, notes: Notes) -> Self {
        Self { folder: common.join("stepseal"), notes }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Reads a cached value; anything unexpected is as if it were not there.
    pub(super) fn load<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        let bytes = std::fs::read(self.folder.join(name)).ok()?;
        let rest = bytes.strip_prefix(FORMAT.as_bytes())?;
        let (digest, content) = rest.split_at_checked(64)?;
        if Digest::of(content).as_str().as_bytes() != digest {
            return None;
        }
        postcard::from_bytes(content).ok()
    }

    /// Writes a value whole or not at all; a failure only costs time later.
    pub(super) fn save<T: Serialize>(&self, name: &str, value: &T) {
        let Ok(content) = postcard::to_stdvec(value) else { return };
        let digest = Digest::of(&content);
        self.write(name, &[FORMAT.as_bytes(), digest.as_str().as_bytes(), &content].concat());
    }

    /// Removes what can be made again.
    pub(super) fn clear(&self) {
        for name in ["portfolio", "ledger"] {
            drop(std::fs::remove_file(self.folder.join(name)));
        }
        drop(std::fs::remove_dir_all(self.folder.join("items")));
    }

    /// Forgets what this clone has seen: somebody decided that another history is right.
    pub(super) fn forget_seen(&self) {
        for name in ["seen.json", "verified.json"] {
            drop(std::fs::remove_file(self.folder.join(name)));
        }
    }

    /// Reads what cannot be made again: unlike a cache, it is missed when it cannot be read.
    pub(super) fn recall<T: DeserializeOwned>(&self, name: &str, what: &str) -> Option<T> {
        let path = self.folder.join(name);
        let read = match std::fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
            Err(error) => Err(error.to_string()),
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| error.to_string()),
        };
        let miss =
            |why| self.notes.add(format!("{} cannot be read ({why}): {what}", path.display()));
        read.map_err(miss).ok()
    }

    /// Writes what cannot be made again.
    pub(super) fn remember<T: Serialize>(&self, name: &str, value: &T, what: &str) {
        let Ok(text) = serde_json::to_vec_pretty(value) else { return };
        if let Err(error) = self.replace(name, &text) {
            let path = self.folder.join(name);
            self.notes.add(format!("{} was not written ({error}): {what}", path.display()));
        }
    }

    /// Replaces a file by renaming a finished one over it; a failure only costs time later.
    fn write(&self, name: &str, bytes: &[u8]) {
        if let Err(error) = self.replace(name, bytes) {
            tracing::debug!(%error, name, "cache not written");
        }
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> std::io::Result<()> {
        let path = self.folder.join(name);
        let parent = path.parent().unwrap_or(&self.folder);
        std::fs::create_dir_all(parent)?;
        let mut file = tempfile::NamedTempFile::new_in(parent)?;
        file.write_all(bytes)?;
        file.persist(&path).map(drop).map_err(|error| error.error)
    }
}
