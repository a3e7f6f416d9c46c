//! The `molecule` program: any program becomes a remote agent of the Molecule AI platform with one command.
//!
//! Results go to stdout, and everything else goes to stderr. `exit.rs` has the exit codes, `settings.rs` the ways to name a
//! workspace, and `run/` the programs that handle messages.

mod args;
mod commands;
#[cfg(feature = "dev")]
mod dev;
mod doctor;
mod exit;
#[cfg(feature = "mcp")]
mod mcp;
mod output;
mod remedy;
mod run;
mod settings;

use std::process::ExitCode;

use clap::Parser;

use crate::args::Args;
use crate::exit::Failure;
use crate::output::Output;

fn main() -> ExitCode {
    let args = match Args::try_parse_from(args::of_process()) {
        Ok(args) => args,
        Err(error) => {
            // It fails where nobody reads, which changes nothing.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(exit::USAGE));
        }
    };
    let output = Output::new(&args.look);
    match start(args, &output) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            output.failed(&failure);
            ExitCode::from(failure.code())
        }
    }
}

fn start(args: Args, output: &Output) -> Result<u8, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(exit::ERROR, format!("the program cannot start: {error}")))?;
    let ended = runtime.block_on(commands::run(args, output));
    // What still runs on threads of its own, such as a name that is being resolved, keeps nobody waiting.
    runtime.shutdown_background();
    ended
}
