//! The advisory lock in the common git folder: speed and stale-lock recovery. Safety never rests
//! on it; the compare-and-swap does that (L6).
#![expect(clippy::disallowed_methods, reason = "the adapter for lock files and waiting")]

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::error::LedgerError;

/// Older than this and owned by nobody, a `.lock` belongs to a killed process. A live writer
/// holds it for milliseconds.
const STALE: Duration = Duration::from_secs(2);

/// Held while one command reads, decides and appends.
#[derive(Debug)]
pub(super) struct WriterLock {
    _file: File,
    /// The `.lock` that was met first, by when it was made, and since when it has been watched.
    met: Mutex<Option<(SystemTime, Instant)>>,
}

impl WriterLock {
    /// Queues for the lock, at most `wait`.
    pub(super) fn acquire(folder: &Path, wait: Duration) -> Result<Self, LedgerError> {
        std::fs::create_dir_all(folder).map_err(|e| LedgerError::io("creating", folder, &e))?;
        let path = folder.join("lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|error| LedgerError::io("opening", &path, &error))?;
        let start = Instant::now();
        let mut pause = Duration::from_micros(500);
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _file: file, met: Mutex::new(None) }),
                Err(TryLockError::WouldBlock) if start.elapsed() < wait => {
                    std::thread::sleep(pause.min(wait.saturating_sub(start.elapsed())));
                    pause = (pause * 2).min(Duration::from_millis(16));
                }
                Err(TryLockError::WouldBlock) => return Err(LedgerError::Busy(wait)),
                Err(TryLockError::Error(error)) => {
                    return Err(LedgerError::io("locking", &path, &error));
                }
            }
        }
    }

    /// Removes the branch's `.lock` if a killed process left it: we hold the writer lock, it is
    /// old, and nobody has it open.
    ///
    /// Returns the name of what was removed, for the next seal to record.
    pub(super) fn clear_stale(&self, reference: &Path) -> Option<String> {
        let mut name = reference.as_os_str().to_owned();
        name.push(".lock");
        let lock = PathBuf::from(name);
        let made = std::fs::metadata(&lock).ok()?.modified().ok()?;
        // By its own time, or by ours: the clock may have been put back since it was made.
        let age = SystemTime::now().duration_since(made).unwrap_or_default();
        if age.max(self.watched(made)) < STALE || is_open(&lock) {
            return None;
        }
        std::fs::remove_file(&lock).ok()?;
        Some(lock.file_name()?.to_string_lossy().into_owned())
    }

    /// How long the same `.lock` has been met again and again.
    fn watched(&self, made: SystemTime) -> Duration {
        let mut met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        match &*met {
            Some((known, since)) if *known == made => since.elapsed(),
            _ => {
                *met = Some((made, Instant::now()));
                Duration::ZERO
            }
        }
    }

    /// How long until a `.lock` that is there now may be taken for stale.
    pub(super) fn patience() -> Duration {
        STALE + Duration::from_millis(200)
    }
}

/// Whether any process has the file open, as far as this system tells.
#[cfg(target_os = "linux")]
fn is_open(path: &Path) -> bool {
    let Ok(path) = path.canonicalize() else { return false };
    let Ok(processes) = std::fs::read_dir("/proc") else { return false };
    processes
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_string_lossy().bytes().all(|b| b.is_ascii_digit()))
        .filter_map(|process| std::fs::read_dir(process.path().join("fd")).ok())
        .flat_map(|descriptors| descriptors.filter_map(Result::ok))
        .any(|descriptor| std::fs::read_link(descriptor.path()).is_ok_and(|to| to == path))
}

#[cfg(not(target_os = "linux"))]
fn is_open(_path: &Path) -> bool {
    false
}

/// Waits a random part of a growing pause: full jitter, so that losers do not lose together.
pub(super) fn back_off(attempt: u32, chance: u64) {
    let longest = 2u64.saturating_pow(attempt.min(9)).min(400);
    std::thread::sleep(Duration::from_micros(chance % (longest * 1000)));
}

/// Waits as long as told: only for a `.lock` that may turn out to be stale.
pub(super) fn pause(duration: Duration) {
    std::thread::sleep(duration);
}
