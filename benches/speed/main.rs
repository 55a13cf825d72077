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

mod bare;
mod generate;
mod rows;
mod stage;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use generate::{Shape, generate};

#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    what: Option<What>,
    /// Rows to measure: all of them where none is named.
    rows: Vec<String>,
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
        /// Steps left to do in each; 0 leaves most items done.
        #[arg(long, default_value_t = 0)]
        open: u64,
        /// A repository.
        dir: PathBuf,
    },
    /// Writes the objects of one commit as plainly as git2 can: what `event` is measured against.
    #[command(hide = true)]
    Bare {
        repo: PathBuf,
        objects: PathBuf,
        #[arg(long)]
        durable: bool,
    },
}

fn main() {
    let args = Args::parse();
    match args.what {
        Some(What::Generate { items, steps, per_commit, open, dir }) => {
            let begin = std::time::Instant::now();
            let made = generate(&dir, &Shape { items, steps, per_commit, open });
            println!(
                "{} events of {items} items in {} commits, {} MB of artifacts, {:.1} s",
                made.events,
                made.commits,
                made.artifact_bytes / 1_000_000,
                begin.elapsed().as_secs_f64()
            );
        }
        Some(What::Bare { repo, objects, durable }) => bare::append(&repo, &objects, durable),
        None => measure(&args.rows),
    }
}

/// Prints a Markdown table, a row as soon as it is measured.
fn measure(wanted: &[String]) {
    println!("| what | seen | target | met |");
    println!("|---|---|---|---|");
    for (name, row) in rows::ROWS {
        if !wanted.is_empty() && !wanted.iter().any(|wanted| wanted == name) {
            continue;
        }
        // Each on a stage of its own, so that no row stands in another's dust.
        for line in row(&stage::Stage::new()) {
            let met = if line.met { "yes" } else { "**no**" };
            println!("| {} | {} | {} | {met} |", line.what, line.seen, line.target);
        }
    }
}
