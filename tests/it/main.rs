//! One test binary: rules, readers, and the shipped binary in a sealed room.

mod kit;
mod speckit_rules;
mod speckit_corpus;
mod speckit_golden;
mod speckit_fuzz;
