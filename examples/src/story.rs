//! The output of a demo, and its exit status.

use std::error::Error;
use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use molecule_core::plugin::{Installed, SetupOutcome};
use molecule_core::proto::{Secrets, WorkspaceStatus};
use molecule_core::unpack::Progress;
use molecule_core::{CallOutcome, Ended, Event, InboundMessage, Registration, TokenUse};

/// Whether the terminal shows a progress line, which the next line of output overwrites.
static PROGRESS: AtomicBool = AtomicBool::new(false);

/// Writes one line to standard output.
pub fn tell(who: &str, what: impl Display) {
    if PROGRESS.swap(false, Ordering::SeqCst) {
        let mut err = std::io::stderr().lock();
        let _ = write!(err, "\r\x1b[K").and_then(|()| err.flush());
    }
    let mut out = std::io::stdout().lock();
    // A closed pipe does not end the program: the agent's work does not depend on the output.
    let _ = writeln!(out, "{who:<9} {what}").and_then(|()| out.flush());
}

/// Prints an event.
pub fn tell_event(event: &Event) {
    match event {
        // The program itself prints the result of its register.
        Event::Registered { .. } => {}
        Event::Online => tell("agent", "online: the first heartbeat was answered"),
        Event::Degraded { lane, failures, error, .. } => {
            tell("agent", format!("{lane} failed {failures} times in a row: {error}"))
        }
        Event::Recovered { lane, failures, .. } => {
            tell("agent", format!("{lane} works again after {failures} failures"))
        }
        // The event `Paused` follows.
        Event::StatusChanged(WorkspaceStatus::Paused) => {}
        Event::StatusChanged(status) => tell("agent", format!("the platform shows it as {status}")),
        Event::Paused => tell("agent", "the workspace was paused"),
        Event::Resumed => tell("agent", "the workspace was resumed"),
        Event::TokenChanged => tell("agent", "holds a new token"),
        Event::TokenStored => tell("agent", "has stored its token at last"),
        Event::InboundSecretChanged => tell("agent", "stored the secret by which the platform will prove itself"),
        Event::PollUnsupported { placeholder, .. } => {
            tell("agent", format!("this server knows no poll mode; registered as {placeholder}"));
        }
        Event::PluginProgress { plugin, progress, .. } => show_progress(plugin.as_str(), *progress),
        Event::PluginSetup(plugin) => tell("agent", format!("runs the setup.sh of {plugin}")),
        Event::Warning(text) => tell("agent", format!("warning: {text}")),
        other => tell("agent", other),
    }
}

/// Prints the result of a register.
pub fn tell_registration(registration: &Registration) {
    if registration.paused {
        return tell("agent", "the workspace is paused: nothing was registered");
    }
    let token = match registration.token {
        TokenUse::Held => "with the token that it holds",
        TokenUse::Minted => "and stored a new token",
        _ => "in a way that is newer than this program",
    };
    let mode = registration.delivery_mode.as_ref().map_or("push", |mode| mode.as_str());
    tell("agent", format!("registered {token} ({mode}, {} server)", registration.dialect));
}

/// Shows the progress of an install on a line that the next one overwrites, if standard error is a terminal.
fn show_progress(plugin: &str, progress: Progress) {
    let mut out = std::io::stderr().lock();
    if out.is_terminal() {
        let (received, unpacked) = (progress.received / 1024, progress.unpacked / 1024);
        let line = format!("{plugin}: {received} KiB received, {unpacked} KiB unpacked, {} entries", progress.entries);
        let _ = write!(out, "\r\x1b[K{line}").and_then(|()| out.flush());
        PROGRESS.store(true, Ordering::SeqCst);
    }
}

/// Prints the result of installing a plugin.
pub fn tell_installed(installed: &Installed) {
    let version = installed.version.as_deref().unwrap_or("without a version");
    tell(
        "agent",
        format!("installed {} {version}: {} files, {} bytes", installed.name, installed.files, installed.bytes),
    );
    tell("agent", format!("its tree_sha256, to pin it by: {}", installed.tree_sha256));
    match &installed.setup {
        SetupOutcome::Ran(run) if installed.setup.is_good() => {
            run.stdout().lines().for_each(|line| tell("setup.sh", line))
        }
        SetupOutcome::NotRun => {}
        failed => tell("agent", format!("warning: {failed}")),
    }
}

/// Prints the names of the secrets, never their values.
pub fn tell_secrets(secrets: &Secrets) {
    let names: Vec<&str> = secrets.names().collect();
    tell("agent", format!("pulled {} secrets: {}", names.len(), names.join(", ")));
}

/// Prints a message that the agent received.
pub fn tell_message(message: &InboundMessage) {
    tell("agent", format!("got {:?} from {}", message.text(), message.sender()));
}

/// Prints a message and the outcome of the call.
pub fn tell_outcome(who: &str, message: &str, outcome: &CallOutcome) {
    tell(who, format!("calls the agent: {message:?}"));
    tell(who, outcome);
}

/// Makes Ctrl-C and SIGTERM call `stop`. A second signal ends the program at once. It also ends 31 s after the first
/// signal, which is longer than the longest request: a stop waits for a register that may be minting a token.
///
/// # Errors The system's error, if signals cannot be handled.
pub fn on_interrupt(stop: impl Fn() + Send + 'static) -> Result<(), Box<dyn Error>> {
    let asked = AtomicBool::new(false);
    ctrlc::set_handler(move || {
        if asked.swap(true, Ordering::SeqCst) {
            end_now();
        }
        stop();
        std::thread::spawn(|| {
            std::thread::sleep(Duration::from_secs(31));
            end_now();
        });
    })?;
    Ok(())
}

fn end_now() -> ! {
    println_ended(Ended::Stopped);
    std::process::exit(0)
}

/// Prints the last line, and returns the exit status: 0 for `paused`, `deleted` and `stopped`, 1 for `unauthorized`. An
/// error is one line on standard error, with exit status 1.
pub fn conclude(result: Result<Ended, Box<dyn Error>>) -> ExitCode {
    match result {
        Ok(ended) => {
            println_ended(ended);
            if ended == Ended::Unauthorized { ExitCode::FAILURE } else { ExitCode::SUCCESS }
        }
        Err(error) => {
            let line = error.to_string().replace(['\n', '\r'], " ");
            let _ = writeln!(std::io::stderr(), "error: {line}");
            ExitCode::FAILURE
        }
    }
}

fn println_ended(ended: Ended) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "ended: {ended}").and_then(|()| out.flush());
}
