//! Files in the common git folder that only save time: deleting any of them loses nothing (L9).
#![expect(clippy::disallowed_methods, reason = "the adapter for cache files")]

use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Serialize, de::DeserializeOwned};

use crate::domain::id::Digest;

/// Changes with every change of what is cached: another program's files are then not read.
const FORMAT: &str = concat!("stepseal-cache 2 ", env!("CARGO_PKG_VERSION"), "\n");

/// `stepseal/` in the common git folder.
#[derive(Debug, Clone)]
pub(super) struct Cache {
    folder: PathBuf,
}

impl Cache {
    pub(super) fn new(common: &Path) -> Self {
        Self { folder: common.join("stepseal") }
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

    /// Reads a small text file.
    pub(super) fn load_text(&self, name: &str) -> Option<String> {
        std::fs::read_to_string(self.folder.join(name)).ok()
    }

    /// Replaces a file by renaming a finished one over it.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.folder.join(name);
        let Some(parent) = path.parent() else { return };
        let written = std::fs::create_dir_all(parent)
            .and_then(|()| tempfile::NamedTempFile::new_in(parent))
            .and_then(|mut file| file.write_all(bytes).map(|()| file))
            .and_then(|file| file.persist(&path).map_err(|error| error.error));
        if let Err(error) = written {
            tracing::debug!(%error, path = %path.display(), "cache not written");
        }
    }
}
