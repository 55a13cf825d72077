//! Durability (L7): objects reach the disk before the branch names them.
#![expect(clippy::disallowed_methods, reason = "the adapter that makes files durable")]

use std::fs::File;
use std::path::Path;

use git2::Oid;

use super::error::LedgerError;
use super::store::Store;

/// What an acknowledgement promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Survives a power cut.
    Durable,
    /// Survives a kill, not a power cut.
    Process,
}

/// Makes one transaction durable, in two steps around the swap.
#[derive(Debug)]
pub(super) struct Barrier<'s> {
    store: &'s Store,
    durability: Durability,
    /// Opened before anything is written: only from then on does the system tell of a write that
    /// failed behind our back.
    #[cfg(target_os = "linux")]
    objects: Option<File>,
}

impl<'s> Barrier<'s> {
    /// Begins before the first object is written.
    pub(super) fn begin(store: &'s Store, durability: Durability) -> Result<Self, LedgerError> {
        #[cfg(target_os = "linux")]
        let objects = match durability {
            Durability::Process => None,
            Durability::Durable => {
                let path = store.common().join("objects");
                Some(File::open(&path).map_err(|e| LedgerError::io("opening", &path, &e))?)
            }
        };
        Ok(Self {
            store,
            durability,
            #[cfg(target_os = "linux")]
            objects,
        })
    }

    /// Before the swap: every new object is on the disk. Linux syncs the file system once
    /// (measured: 2–3 times cheaper than one fsync per object); elsewhere each new file is
    /// flushed, which the standard library does with `F_FULLFSYNC` on macOS.
    pub(super) fn objects(&self, new: &[Oid]) -> Result<(), LedgerError> {
        #[cfg(target_os = "linux")]
        {
            let _ = new;
            let Some(folder) = &self.objects else { return Ok(()) };
            let path = self.store.common().join("objects");
            rustix::fs::syncfs(folder)
                .map_err(|error| LedgerError::io("syncing", &path, &std::io::Error::from(error)))
        }
        #[cfg(not(target_os = "linux"))]
        {
            if self.durability == Durability::Durable {
                for oid in new {
                    sync(&self.store.loose_path(*oid))?;
                }
            }
            Ok(())
        }
    }

    /// After the swap: the branch itself, and the folder that names it.
    pub(super) fn reference(&self) -> Result<(), LedgerError> {
        // A concurrent `pack-refs` may have moved it into packed-refs, which it syncs itself.
        self.file(&self.store.reference_path())
    }

    /// A file that was renamed into its place, and the folder that names it.
    pub(super) fn file(&self, path: &Path) -> Result<(), LedgerError> {
        if self.durability == Durability::Process {
            return Ok(());
        }
        sync(path)?;
        #[cfg(unix)]
        if let Some(folder) = path.parent() {
            sync(folder)?;
        }
        Ok(())
    }
}

fn sync(path: &Path) -> Result<(), LedgerError> {
    let file = if cfg!(windows) {
        std::fs::OpenOptions::new().write(true).open(path)
    } else {
        File::open(path)
    };
    match file.and_then(|file| file.sync_all()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(LedgerError::io("syncing", path, &error)),
    }
}
