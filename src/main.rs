//! The program: the environment in, an exit code out.
#![expect(clippy::disallowed_methods, reason = "the one place that reads the process's arguments")]

use std::io::Write as _;
use std::process::ExitCode;

use stepseal::{cli, config::Environment};

fn main() -> ExitCode {
    // A shell that asks what may be typed: first, and nothing else.
    if let Ok(environment) = Environment::of_process()
        && cli::suggest(&environment, std::env::args_os())
    {
        return ExitCode::SUCCESS;
    }
    // Not locked: the log writes to stderr too.
    let (mut out, mut err) = (std::io::stdout().lock(), std::io::stderr());
    match Environment::of_process() {
        Ok(environment) => {
            cli::start_log(&environment);
            cli::run(std::env::args_os(), environment, &mut out, &mut err).into()
        }
        Err(error) => {
            drop(writeln!(err, "error: the current folder cannot be read: {error}"));
            ExitCode::from(2)
        }
    }
}
