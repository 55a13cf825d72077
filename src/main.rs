//! The program: the environment in, an exit code out.
#![expect(clippy::disallowed_methods, reason = "the one place that reads the process's arguments")]

use std::io::Write as _;
use std::process::ExitCode;

use stepseal::{cli, config::Environment};

fn main() -> ExitCode {
    let environment = match Environment::of_process() {
        Ok(environment) => environment,
        Err(error) => {
            let mut err = std::io::stderr();
            drop(writeln!(err, "error: the current folder cannot be read: {error}"));
            return ExitCode::from(2);
        }
    };
    // A shell that asks what may be typed: first, and nothing else.
    if cli::suggest(&environment, std::env::args_os()) {
        return ExitCode::SUCCESS;
    }
    cli::start_log(&environment);
    // Not locked: the log writes to stderr too.
    let (mut out, mut err) = (std::io::stdout().lock(), std::io::stderr());
    cli::run(std::env::args_os(), environment, &mut out, &mut err).into()
}
