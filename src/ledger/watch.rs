//! What libgit2 is busy with, so that the front door can end a call that makes no progress: a
//! damaged object in a pack must name itself, never hang a command (L6).
#![expect(clippy::disallowed_methods, reason = "the adapter that measures a call's duration")]

use std::sync::Mutex;
use std::time::{Duration, Instant};

static CALL: Mutex<Option<(String, Instant)>> = Mutex::new(None);

/// Marks the time inside one call; ends when dropped.
#[derive(Debug)]
pub(super) struct Watched(());

impl Drop for Watched {
    fn drop(&mut self) {
        *CALL.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = None;
    }
}

/// Enters a call about an object.
pub(super) fn call(object: &str) -> Watched {
    *CALL.lock().unwrap_or_else(std::sync::PoisonError::into_inner) =
        Some((object.to_owned(), Instant::now()));
    Watched(())
}

/// The object of the call that has lasted this long, if there is one.
#[must_use]
pub fn stuck(limit: Duration) -> Option<String> {
    let call = CALL.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    call.as_ref().filter(|(_, since)| since.elapsed() >= limit).map(|(object, _)| object.clone())
}
