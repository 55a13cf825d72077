//! How fast stepseal is, as ratios against git, bare git2 and physical limits in one run
//! (docs/PERFORMANCE.md).
//!
//! `cargo bench --bench speed` measures; `cargo bench --bench speed -- generate …` makes a large
//! ledger to try things on.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a bench starts programs, touches the disk, looks at the clock, and prints"
)]

mod generate;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use generate::{Shape, generate};

#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    what: What,
    /// What `cargo bench` passes.
    #[arg(long, hide = true, global = true)]
    bench: bool,
}

#[derive(Subcommand)]
enum What {
    /// Adds items to a ledger that `stepseal init` has made.
    Generate {
        /// How many items.
        #[arg(long, default_value_t = 10_000)]
        items: u64,
        /// Work steps of each; four of them make 12 events.
        #[arg(long, default_value_t = 3)]
        steps: u64,
        /// Events a commit; 1 is a commit for each act.
        #[arg(long, default_value_t = 1000)]
        per_commit: usize,
        /// A repository.
        dir: PathBuf,
    },
}

fn main() {
    match Args::parse().what {
        What::Generate { items, steps, per_commit, dir } => {
            let begin = std::time::Instant::now();
            let made = generate(&dir, &Shape { items, steps, per_commit });
            println!(
                "{} events of {items} items in {} commits, {} MB of artifacts, {:.1} s",
                made.events,
                made.commits,
                made.artifact_bytes / 1_000_000,
                begin.elapsed().as_secs_f64()
            );
        }
    }
}
