//! stepseal turns a plan into ordered steps, hands each to exactly one executor at a time, and
//! seals everything that happens in git.
//!
//! The rooms, in reading order, and what each refuses to know (docs/ARCHITECTURE.md):
//!
//! - [`domain`], the rules: no clock, no files, no git, no logs.
//! - [`plan`], the reader of plan texts: no files.
//! - [`artifact`], the paper: not where bytes come from.
//! - [`process`], the one door to start programs: not what is run.
//! - [`sign`], the pen: not what is signed.
//! - [`ledger`], the log: no GitHub, no agents, no flags.
//! - [`code`], the user's repository, read-only: not the ledger.
//! - [`forge`], GitHub: not the ledger.
//! - [`report`], view structs: no git, no terminals.
//! - [`ops`], choreography: no flags, no terminals.
//! - [`config`], the only reader of the environment.
//! - [`cli`], the front door, the only room that prints: no git2.

pub mod artifact;
pub mod cli;
pub mod code;
pub mod config;
pub mod domain;
pub mod forge;
pub mod ledger;
pub mod ops;
pub mod plan;
pub mod process;
pub mod report;
pub mod sign;
