//! One test binary: rules, readers, and the shipped binary in a sealed room.
#![expect(clippy::disallowed_methods, reason = "tests start programs and touch the disk")]

mod additive;
mod again;
mod answers;
mod architecture;
mod barrier;
mod canary;
mod clock;
mod crash;
mod damage;
mod determinism;
mod disks;
mod docs;
mod domain_kit;
mod exports;
mod faults;
mod forge;
mod fuzzed;
mod histories;
mod incomplete;
mod install;
#[expect(unreachable_pub, reason = "the fuzz targets use it from a crate of their own")]
mod invariants;
mod kit;
mod one_reading;
mod plans;
mod race;
mod reading;
mod recorder;
mod reference;
mod repos;
mod rules;
mod sabotage;
mod sample;
mod scheduler;
mod schemas;
mod signatures;
mod speckit_corpus;
mod speckit_fuzz;
mod speckit_golden;
mod speckit_rules;
mod speckit_styles;
mod tamper;
mod tamper_matrix;
mod transcript;
mod transitions;
