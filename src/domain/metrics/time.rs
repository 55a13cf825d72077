//! Time in pieces: spans, and whose class each instant of them is.

use schemars::JsonSchema;
use serde::Serialize;

/// Milliseconds since 1970, in UTC.
pub type Millis = i64;

/// From a moment on, and before another; without an end where it has none yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub from: Millis,
    pub to: Option<Millis>,
}

impl Span {
    /// What is left of it at a moment; nothing where it begins later.
    #[must_use]
    pub(super) fn at(self, as_of: Millis) -> Option<Self> {
        let to = self.to.filter(|to| *to <= as_of);
        (self.from <= as_of).then_some(Self { from: self.from, to })
    }
}

/// The time that is looked at: what happened in it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Its first moment; from the beginning where there is none.
    pub from: Option<Millis>,
    /// The first moment after it.
    pub before: Millis,
    /// What is known: later facts do not count, and what has not ended runs to here.
    pub as_of: Millis,
}

impl Window {
    /// Whether a moment is in it.
    #[must_use]
    pub fn holds(&self, at: Millis) -> bool {
        self.from.is_none_or(|from| from <= at) && at < self.before
    }

    /// Whether any of a span is in it.
    #[must_use]
    pub fn meets(&self, from: Millis, to: Option<Millis>) -> bool {
        from < self.before && to.is_none_or(|to| self.from.is_none_or(|window| window <= to))
    }
}

/// Where time went, in milliseconds: each instant is in one class, so they add up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Times {
    /// Somebody held it.
    pub working_ms: u64,
    /// It could have been worked on, and nobody did.
    pub waiting_ms: u64,
    /// A gate waited for people.
    pub deciding_ms: u64,
    /// A person suspected a duplicate, so nobody could begin (FR-003).
    pub review_ms: u64,
    /// A declared blocker held it (FR-012).
    pub blocked_ms: u64,
}

impl Times {
    /// All of it.
    #[must_use]
    pub fn total(&self) -> u64 {
        let Self { working_ms, waiting_ms, deciding_ms, review_ms, blocked_ms } = self;
        working_ms + waiting_ms + deciding_ms + review_ms + blocked_ms
    }

    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            working_ms: self.working_ms + other.working_ms,
            waiting_ms: self.waiting_ms + other.waiting_ms,
            deciding_ms: self.deciding_ms + other.deciding_ms,
            review_ms: self.review_ms + other.review_ms,
            blocked_ms: self.blocked_ms + other.blocked_ms,
        }
    }

    fn add(&mut self, class: Class, ms: u64) {
        *match class {
            Class::Working => &mut self.working_ms,
            Class::Waiting => &mut self.waiting_ms,
            Class::Deciding => &mut self.deciding_ms,
            Class::Review => &mut self.review_ms,
            Class::Blocked => &mut self.blocked_ms,
        } += ms;
    }
}

/// What an instant is counted as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Working,
    Waiting,
    Deciding,
    Review,
    Blocked,
}

/// What lies over an instant; several of a kind may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Layer {
    /// The item or the attempt is there at all.
    Life,
    /// The item is merged, closed or cancelled.
    Gone,
    Blocked,
    Review,
    Working,
    Deciding,
}

const LAYERS: usize = 6;

/// Layers over a stretch of time, each with where it begins and ends.
#[derive(Debug, Default)]
pub(super) struct Layers(Vec<(Millis, Layer, bool)>);

impl Layers {
    /// Lays one more; one that is empty or turned round is none.
    pub(super) fn lay(&mut self, layer: Layer, from: Millis, to: Millis) {
        if from < to {
            self.0.extend([(from, layer, true), (to, layer, false)]);
        }
    }

    /// Lays a piece of an attempt over its item; where nobody does anything, nothing is laid.
    pub(super) fn lay_class(&mut self, class: Class, from: Millis, to: Millis) {
        match class {
            Class::Working => self.lay(Layer::Working, from, to),
            Class::Deciding => self.lay(Layer::Deciding, from, to),
            Class::Blocked => self.lay(Layer::Blocked, from, to),
            // The item's own review lies over it already, and waiting is what is left.
            Class::Review | Class::Waiting => {}
        }
    }

    /// Reads the pieces in the order of time, each as its class.
    fn pieces(mut self, class: fn(&Over) -> Option<Class>) -> Vec<(Millis, Millis, Class)> {
        self.0.sort_unstable();
        let mut over = Over::default();
        let mut pieces = Vec::new();
        let mut since = Millis::MIN;
        for (at, layer, opens) in self.0 {
            if since < at
                && let Some(class) = class(&over)
            {
                pieces.push((since, at, class));
            }
            since = at;
            let count = &mut over.0[layer as usize];
            // What ends began at an earlier instant, so this never goes below nothing.
            *count = if opens { *count + 1 } else { count.saturating_sub(1) };
        }
        pieces
    }

    /// The pieces of an attempt. A blocker counts whoever holds the attempt; a review only keeps
    /// others from beginning.
    pub(super) fn of_attempt(self) -> Vec<(Millis, Millis, Class)> {
        self.pieces(|over| {
            Some(match over {
                over if !over.has(Layer::Life) || over.has(Layer::Gone) => return None,
                over if over.has(Layer::Blocked) => Class::Blocked,
                over if over.has(Layer::Working) => Class::Working,
                over if over.has(Layer::Review) => Class::Review,
                over if over.has(Layer::Deciding) => Class::Deciding,
                _ => Class::Waiting,
            })
        })
    }

    /// The pieces of an item: it is worked on while any of its steps is.
    pub(super) fn of_item(self) -> Vec<(Millis, Millis, Class)> {
        self.pieces(|over| {
            Some(match over {
                over if !over.has(Layer::Life) || over.has(Layer::Gone) => return None,
                over if over.has(Layer::Working) => Class::Working,
                over if over.has(Layer::Blocked) => Class::Blocked,
                over if over.has(Layer::Review) => Class::Review,
                over if over.has(Layer::Deciding) => Class::Deciding,
                _ => Class::Waiting,
            })
        })
    }
}

/// How many of each layer lie over an instant.
#[derive(Debug, Default)]
struct Over([u32; LAYERS]);

impl Over {
    fn has(&self, layer: Layer) -> bool {
        self.0[layer as usize] > 0
    }
}

/// The sum of pieces, by class.
pub(super) fn times(pieces: &[(Millis, Millis, Class)]) -> Times {
    let mut times = Times::default();
    for (from, to, class) in pieces {
        times.add(*class, between(*from, *to));
    }
    times
}

/// From one moment to another; nothing where clocks say it was the other way round.
#[must_use]
pub(super) fn between(from: Millis, to: Millis) -> u64 {
    u64::try_from(to.saturating_sub(from)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instant_is_counted_once() {
        let mut layers = Layers::default();
        layers.lay(Layer::Life, 0, 100);
        layers.lay(Layer::Working, 20, 70);
        layers.lay(Layer::Review, 10, 30);
        layers.lay(Layer::Blocked, 60, 80);
        layers.lay(Layer::Blocked, 65, 75);
        layers.lay(Layer::Gone, 90, 95);
        let times = times(&layers.of_attempt());
        // Waiting 0-10 and 80-90 and 95-100, review 10-20, working 20-60, blocked 60-80.
        assert_eq!(
            times,
            Times { working_ms: 40, waiting_ms: 25, deciding_ms: 0, review_ms: 10, blocked_ms: 20 }
        );
        assert_eq!(times.total(), 95);
    }

    #[test]
    fn a_span_is_cut_where_nothing_more_is_known() {
        let span = Span { from: 5, to: Some(9) };
        assert_eq!(span.at(4), None);
        assert_eq!(span.at(8), Some(Span { from: 5, to: None }));
        assert_eq!(span.at(9), Some(span));
    }
}
