//! THE RULES. Ids, workflows, events, the state they fold to, what may be decided, and the
//! schedule. Everything here takes data and returns data.
//!
//! What is not here: a clock, a file, a process, git, an environment variable, a log. Nothing in
//! this room can fail for a reason outside its arguments.
#![warn(clippy::wildcard_enum_match_arm)]

pub mod decide;
pub mod event;
pub mod graph;
pub mod id;
pub mod keys;
pub mod metrics;
pub mod migration;
pub mod moment;
pub mod refusal;
pub mod schedule;
pub mod state;
pub mod status;
pub mod transition;
pub mod workflow;
