//! Completions for a shell.

use clap::CommandFactory;
use clap_complete::{Shell, generate};

use crate::args::Args;
use crate::exit::{self, Failure};
use crate::output::Output;

pub(super) fn write(shell: Shell, output: &Output) -> Result<u8, Failure> {
    let mut script = Vec::new();
    generate(shell, &mut Args::command(), "molecule", &mut script);
    output.raw(&script)?;
    Ok(exit::OK)
}
