//! stepseal turns a plan into ordered steps, hands each to exactly one executor at a time, and
//! seals everything that happens in git.
pub mod artifact;
pub mod code;
pub mod config;
pub mod domain;
pub mod ledger;
pub mod plan;
pub mod process;
