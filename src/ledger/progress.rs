//! How far long work is, told to whoever watches: the front door draws it where somebody looks.
//!
//! Told of this thread's work only, and free when nobody watches.

use std::cell::RefCell;

/// How far a piece of work is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What is counted, in the plural: `events`.
    pub what: &'static str,
    pub done: usize,
    /// How many there are; 0 where that is not known yet.
    pub of: usize,
}

type Watcher = Box<dyn FnMut(Progress)>;

thread_local! {
    static WATCHER: RefCell<Option<Watcher>> = const { RefCell::new(None) };
}

/// Who watched before; they watch again when this is dropped.
pub struct Watching(Option<Watcher>);

impl std::fmt::Debug for Watching {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Watching").finish()
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let before = self.0.take();
        WATCHER.with(|watcher| drop(watcher.replace(before)));
    }
}

/// Tells `watcher` how far this thread's work is, until the result is dropped.
#[must_use]
pub fn watch(watcher: impl FnMut(Progress) + 'static) -> Watching {
    Watching(WATCHER.with(|current| current.replace(Some(Box::new(watcher)))))
}

/// Says how far a piece of work is; told once in a while, so that it costs nothing.
pub(super) fn tell(what: &'static str, done: usize, of: usize) {
    if done.is_multiple_of(64) {
        WATCHER.with(|watcher| {
            // Not while a watcher is being told: what it does is not watched.
            if let Ok(mut watcher) = watcher.try_borrow_mut()
                && let Some(watcher) = watcher.as_mut()
            {
                watcher(Progress { what, done, of });
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;

    #[test]
    fn whoever_watches_is_told_and_the_one_before_watches_again() {
        let seen: Rc<RefCell<Vec<(char, usize)>>> = Rc::default();
        let note = |who: char| {
            let seen = Rc::clone(&seen);
            move |progress: Progress| seen.borrow_mut().push((who, progress.done))
        };
        tell("things", 0, 1);
        let outer = watch(note('a'));
        tell("things", 64, 128);
        tell("things", 65, 128);
        {
            let _inner = watch(note('b'));
            tell("things", 128, 128);
        }
        tell("things", 192, 0);
        drop(outer);
        tell("things", 256, 0);
        assert_eq!(*seen.borrow(), [('a', 64), ('b', 128), ('a', 192)]);
    }
}
