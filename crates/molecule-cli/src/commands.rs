//! The commands, one file each, but for `run`.

mod ask;
mod completions;
mod inbox;
mod man;
mod plugins;
mod secrets;
mod shapes;
mod status;
mod talk;

use molecule_async::{Agent, Event};
use serde_json::json;

use crate::args::{Args, Command, Plugins};
#[cfg(feature = "dev")]
use crate::dev;
use crate::doctor;
use crate::exit::{self, Failure};
#[cfg(feature = "mcp")]
use crate::mcp;
use crate::output::Output;
use crate::run;
use crate::settings::Settings;

/// Runs a command to its end. Returns the exit code.
pub(crate) async fn run(args: Args, output: &Output) -> Result<u8, Failure> {
    let command = match args.command {
        Command::Completions { shell } => return completions::write(shell, output),
        Command::Man { directory } => return man::write(&directory),
        Command::Shapes => return shapes::show(output),
        Command::Plugins(Plugins::Author(command)) => return plugins::author(&command, output),
        #[cfg(feature = "dev")]
        Command::Dev(command) => return dev::run(command, output).await,
        #[cfg(feature = "dev")]
        Command::Trigger(trigger) => return dev::trigger(trigger, Settings::named(&args.place)?, output).await,
        Command::Doctor => return doctor::run(args.place, output).await,
        command => command,
    };
    let settings = Settings::read(args.place)?;
    match command {
        Command::Run(run) => run::run(settings, &run, output).await,
        #[cfg(feature = "mcp")]
        Command::Mcp(args) => mcp::run(&settings, &args, output).await,
        Command::Register => register(&agent(&settings, output)?, output).await,
        Command::Status => status::show(&agent(&settings, output)?, output).await,
        Command::Secrets(command) => secrets::run(&agent(&settings, output)?, command, output).await,
        Command::Peers { matching } => ask::peers(&agent(&settings, output)?, matching, output).await,
        Command::Call { peer, text, timeout } => {
            talk::call(&agent(&settings, output)?, (&peer, text, timeout), output).await
        }
        Command::Send { text, attach } => talk::send(&agent(&settings, output)?, text, attach, output).await,
        Command::Delegate { peer, task, wait, key } => {
            talk::delegate(&agent(&settings, output)?, (&peer, task, key), wait, output).await
        }
        Command::Inbox(command) => inbox::run(&agent(&settings, output)?, command, output).await,
        Command::Plugins(command) => plugins::run(&agent(&settings, output)?, command, output).await,
        Command::Recover { admin_token_file } => {
            ask::recover(&agent(&settings, output)?, admin_token_file, output).await
        }
        #[cfg(feature = "dev")]
        Command::Dev(_) | Command::Trigger(_) => Ok(exit::OK),
        // They need no workspace, and ran above.
        Command::Doctor | Command::Shapes | Command::Completions { .. } | Command::Man { .. } => Ok(exit::OK),
    }
}

/// Builds the agent of a command that makes single calls. It registers nothing by itself.
fn agent(settings: &Settings, output: &Output) -> Result<Agent, Failure> {
    let workspace = settings.one()?;
    let (label, told) = (workspace.label.clone(), output.clone());
    let tell = move |event: &Event| told.event(&label, event);
    Ok(settings.agent(workspace, None)?.on_event(tell).build()?)
}

/// The result is a [`Registration`](molecule_async::Registration).
async fn register(agent: &Agent, output: &Output) -> Result<u8, Failure> {
    let registration = agent.register().await?;
    output.result(&registration, || {
        if registration.paused {
            return "the workspace is paused: nothing was sent".to_owned();
        }
        let mode = registration.delivery_mode.as_ref().map(|mode| format!(", delivery: {mode}")).unwrap_or_default();
        format!("registered{mode}")
    })?;
    Ok(if registration.paused { exit::PAUSED } else { exit::OK })
}

/// The text of an argument, or else all of standard input.
pub(crate) fn text_or_stdin(text: Option<String>, what: &str) -> Result<String, Failure> {
    /// The platform takes no longer message.
    const MAX_BYTES: u64 = 1024 * 1024;
    let text = match text {
        Some(text) => text,
        None => {
            let mut text = String::new();
            let read = std::io::Read::read_to_string(
                &mut std::io::Read::take(std::io::stdin().lock(), MAX_BYTES + 1),
                &mut text,
            );
            read.map_err(|error| Failure::usage(format!("{what} cannot be read from standard input: {error}")))?;
            if text.len() as u64 > MAX_BYTES {
                return Err(Failure::usage(format!("{what} is longer than 1 MiB")));
            }
            text
        }
    };
    match text.trim().is_empty() {
        true => Err(Failure::usage(format!("{what} is empty; give it as an argument, or on standard input"))),
        false => Ok(text),
    }
}

/// Shows a result that is one word for a program and one sentence for people.
fn done(output: &Output, word: &str, sentence: &str) -> Result<u8, Failure> {
    output.result(&json!({ "result": word }), || sentence.to_owned())?;
    Ok(exit::OK)
}
