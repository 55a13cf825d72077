//! How work flows (FR-013): lead and cycle times, waiting, blocked, throughput, work in progress,
//! rework. Computed from events alone, exact: milliseconds and counts, never a fraction.
//!
//! An item's whole history is folded first ([`Watch`], [`History`]) and cut at a moment after
//! that ([`History::at`]): what happened later does not count, and no clock is asked. Everything
//! here is a function of the facts, so another legal order gives the same numbers (L4). What each
//! number means is written in `docs/metrics.md`.

mod flow;
mod history;
mod series;
mod spread;
mod time;

pub use flow::{
    AttemptFlow, BlockerFlow, BlockerTypeFlow, Counted, EndedFlow, Flow, ItemFlow, Named, Reasoned,
    ReturnFlow, Rework, StepFlow, WorkflowFlow, attempts, by_step, by_workflow,
};
pub use history::{
    Attempt, BlockerTime, Cause, History, Item, Over, Pass, SentBack, Standing, Step, Watch,
};
pub use series::{Bucket, Point, Series, Wip};
pub use spread::{Ratio, Spread};
pub use time::{Millis, Span, Times, Window};
