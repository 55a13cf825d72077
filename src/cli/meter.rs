//! Progress: one line on stderr for work that takes a while, gone before anything else is said.
#![expect(clippy::disallowed_methods, reason = "measures how long a command has been running")]

use std::io::Write;
use std::time::{Duration, Instant};

use super::ui::{cut, grouped};
use crate::config::Environment;
use crate::ledger::Progress;

/// How often the line is drawn again, at most.
const PAUSE: Duration = Duration::from_millis(100);

/// The line, and where it is drawn: nowhere unless somebody looks at stderr.
pub(super) struct Meter {
    sink: Option<Box<dyn Write>>,
    verb: &'static str,
    width: usize,
    start: Instant,
    after: Duration,
    drawn: Option<Instant>,
    shown: bool,
}

impl std::fmt::Debug for Meter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Meter").field("verb", &self.verb).finish_non_exhaustive()
    }
}

impl Meter {
    /// A meter for one command; `on` where progress may be drawn at all.
    pub(super) fn new(environment: &Environment, on: bool, verb: &'static str) -> Self {
        let sink = on && environment.stderr_terminal;
        Self {
            sink: sink.then(|| Box::new(std::io::stderr()) as Box<dyn Write>),
            verb,
            width: environment.size.map_or(80, |size| size.columns),
            start: Instant::now(),
            after: environment.progress_after(),
            drawn: None,
            shown: false,
        }
    }

    /// Draws how far the command is, once it has run for a while and not too often.
    pub(super) fn step(&mut self, progress: Progress) {
        let due = self.drawn.is_none_or(|drawn| drawn.elapsed() >= PAUSE);
        if self.sink.is_some() && due && self.start.elapsed() >= self.after {
            self.say(&sentence(self.verb, progress));
        }
    }

    /// Draws a line at once.
    pub(super) fn say(&mut self, text: &str) {
        let Some(sink) = &mut self.sink else { return };
        // One column is left, so that no terminal wraps.
        let line = cut(text, self.width.saturating_sub(1), "...");
        drop(write!(sink, "\r\x1b[K{line}").and_then(|()| sink.flush()));
        self.drawn = Some(Instant::now());
        self.shown = true;
    }

    /// Takes the line away, if there is one.
    pub(super) fn clear(&mut self) {
        if let (true, Some(sink)) = (self.shown, &mut self.sink) {
            drop(write!(sink, "\r\x1b[K").and_then(|()| sink.flush()));
            self.shown = false;
        }
    }

    /// Draws nothing from here on: the terminal is somebody else's.
    pub(super) fn stop(&mut self) {
        self.clear();
        self.sink = None;
    }
}

/// `verify 12,345 of 100,000 events`.
fn sentence(verb: &str, progress: Progress) -> String {
    let Progress { what, done, of } = progress;
    if of > 0 {
        return format!("{verb} {} of {} {what}", grouped(done), grouped(of));
    }
    format!("{verb} {} {what}", grouped(done))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use unicode_width::UnicodeWidthStr as _;

    use super::*;

    #[derive(Clone, Default)]
    struct Screen(Rc<RefCell<Vec<u8>>>);

    impl Write for Screen {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.borrow_mut().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn meter(screen: &Screen, after: Duration) -> Meter {
        Meter {
            sink: Some(Box::new(screen.clone())),
            verb: "verify",
            width: 40,
            start: Instant::now(),
            after,
            drawn: None,
            shown: false,
        }
    }

    fn drawn(screen: &Screen) -> String {
        String::from_utf8(screen.0.borrow().clone()).expect("text")
    }

    const STEP: Progress = Progress { what: "events", done: 12_345, of: 100_000 };

    #[test]
    fn the_line_is_drawn_once_a_pause_and_taken_away() {
        let screen = Screen::default();
        let mut meter = meter(&screen, Duration::ZERO);
        meter.step(STEP);
        meter.step(Progress { done: 12_346, ..STEP });
        assert_eq!(drawn(&screen), "\r\x1b[Kverify 12,345 of 100,000 events");
        meter.clear();
        meter.clear();
        assert_eq!(drawn(&screen), "\r\x1b[Kverify 12,345 of 100,000 events\r\x1b[K");
    }

    #[test]
    fn a_quick_command_draws_nothing() {
        let screen = Screen::default();
        let mut meter = meter(&screen, Duration::from_secs(3600));
        meter.step(STEP);
        meter.clear();
        assert_eq!(drawn(&screen), "");
    }

    #[test]
    fn a_long_line_does_not_wrap() {
        let screen = Screen::default();
        meter(&screen, Duration::ZERO).say(&"x".repeat(100));
        assert_eq!(drawn(&screen).trim_start_matches("\r\x1b[K").width(), 39);
    }
}
