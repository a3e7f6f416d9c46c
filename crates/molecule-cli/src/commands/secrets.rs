//! The workspace's secrets. Their values go into a child's variables; they are shown only if somebody asks for that.

use std::process::Command;

use molecule_async::{Agent, Secrets};
use serde_json::{Map, Value};

use crate::args;
use crate::exit::{self, Failure};
use crate::output::Output;
use crate::run::program;

pub(super) async fn run(agent: &Agent, command: args::Secrets, output: &Output) -> Result<u8, Failure> {
    let secrets = agent.pull_secrets().await?;
    match command {
        args::Secrets::List { reveal } => list(&secrets, reveal, output),
        args::Secrets::Exec { command } => exec(&secrets, &command),
    }
}

/// The result is an array of names; with `--reveal` an object of names and values.
fn list(secrets: &Secrets, is_revealed: bool, output: &Output) -> Result<u8, Failure> {
    let names: Vec<_> = secrets.names().collect();
    if is_revealed {
        let values = secrets.iter().map(|(name, value)| (name.to_owned(), Value::from(value)));
        output.result(&values.collect::<Map<_, _>>(), || {
            secrets.iter().map(|(name, value)| format!("{name}={value}\n")).collect()
        })?;
    } else {
        output.result(&names, || names.join("\n"))?;
    }
    Ok(exit::OK)
}

/// Becomes the command where the system can do that, so that signals and the terminal are the command's own.
fn exec(secrets: &Secrets, line: &[String]) -> Result<u8, Failure> {
    let mut command = Command::new(&line[0]);
    command.args(&line[1..]);
    program::kept_from_children().for_each(|name| {
        command.env_remove(name);
    });
    for (name, value) in secrets {
        program::check_variable(name, value)?;
        command.env(name, value);
    }
    become_it(command, &line[0])
}

#[cfg(unix)]
fn become_it(mut command: Command, name: &str) -> Result<u8, Failure> {
    let error = std::os::unix::process::CommandExt::exec(&mut command);
    Err(program::not_started(name, &error))
}

#[cfg(not(unix))]
fn become_it(mut command: Command, name: &str) -> Result<u8, Failure> {
    let status = command.status().map_err(|error| program::not_started(name, &error))?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(exit::ERROR))
}
