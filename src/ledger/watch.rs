//! What libgit2 is busy with, so that the front door can end a call that makes no progress: a
//! damaged object in a pack must name itself, never hang a command (L6).
#![expect(clippy::disallowed_methods, reason = "the adapter that measures a call's duration")]

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use git2::Oid;

/// The calls under way, by their number: several threads may be in one each.
static CALLS: Mutex<BTreeMap<u64, (Oid, Instant)>> = Mutex::new(BTreeMap::new());
static NUMBER: AtomicU64 = AtomicU64::new(0);

/// Marks the time inside one call; ends when dropped.
#[derive(Debug)]
pub(super) struct Watched(u64);

impl Drop for Watched {
    fn drop(&mut self) {
        let mut calls = CALLS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        calls.remove(&self.0);
    }
}

/// Enters a call about an object.
pub(super) fn call(object: Oid) -> Watched {
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let mut calls = CALLS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    calls.insert(number, (object, Instant::now()));
    Watched(number)
}

/// The object of a call that has lasted this long, if there is one.
#[must_use]
pub fn stuck(limit: Duration) -> Option<String> {
    let calls = CALLS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let late = calls.values().find(|(_, since)| since.elapsed() >= limit);
    late.map(|(object, _)| object.to_string())
}
