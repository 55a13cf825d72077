//! One test binary: rules, readers, and the shipped binary in a sealed room.

mod architecture;
mod determinism;
mod docs;
mod kit;
mod plans;
mod sample;
mod schemas;
mod speckit_corpus;
mod speckit_fuzz;
mod speckit_golden;
mod speckit_rules;
mod transcript;
