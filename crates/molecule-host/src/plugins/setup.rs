//! A plugin's `setup.sh`, with limits that keep it from hanging, from flooding its output, and from reading secrets in
//! its environment by accident.
//!
//! The script runs arbitrary code as the user. This is no sandbox: it can read whatever the user can read.

#[cfg(not(unix))]
mod alone;
mod environment;
#[cfg(unix)]
mod group;
mod output;

#[cfg(not(unix))]
use alone as system;
#[cfg(unix)]
use group as system;

use std::ffi::OsStr;
use std::io;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use molecule_core::effect::plugin::SetupPlan;
use molecule_core::plugin::{SetupEnd, SetupOutcome, SetupRun};
use molecule_core::proto::PluginName;

use self::output::Output;
use self::system::Group;
use super::dir::Kind;
use super::place::{At, Place, failed};
use crate::cancel::Cancel;
use crate::store::StoreError;

const SCRIPT: &str = "setup.sh";

/// The time between the request to end and the kill.
const GRACE: Duration = Duration::from_secs(5);

/// The time for which its outputs are read after its end, while a process that it left holds them open.
const DRAIN_AFTER_EXIT: Duration = Duration::from_secs(1);

/// The time for which its outputs are read after its group was killed.
const DRAIN_AFTER_KILL: Duration = Duration::from_millis(100);

/// The time for which a killed process is awaited; one that waits for a broken disk may never end.
const KILL_TIMEOUT: Duration = Duration::from_secs(5);

/// Runs the plugin's `setup.sh`, if it has one, with `bash` and in the plugin's directory.
///
/// The run ends when the script ends, also if the script left processes running; those in its process group are killed
/// then. After `plan.timeout` the group is asked to end, and killed 5 s later, or after another `plan.timeout` if that
/// is shorter. When the flag is set, the group is killed at once. A process that created a group of its own is not
/// killed.
pub(super) fn run(
    place: &Place,
    plugin: &PluginName,
    plan: &SetupPlan,
    cancel: &Cancel,
) -> Result<SetupOutcome, StoreError> {
    if !has_script(place, plugin)? {
        return Ok(SetupOutcome::NotRun);
    }
    if cancel.is_cancelled() {
        return Ok(SetupOutcome::Ran(SetupRun::new(SetupEnd::Cancelled, Vec::new(), Vec::new())));
    }
    let directory = place.path(plugin.as_str());
    let mut command = system::command(SCRIPT);
    command
        .current_dir(&directory)
        .env_clear()
        .envs(environment::of(std::env::vars_os(), plan, plugin, &directory))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    match watched(command, plan, cancel) {
        // The directory is missing, not bash.
        Err(error) if error.kind() == io::ErrorKind::NotFound && !directory.is_dir() => Err(not_run(&directory, error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(SetupOutcome::NoBash),
        Err(error) => Err(not_run(&directory, error)),
        Ok(run) => Ok(SetupOutcome::Ran(run)),
    }
}

/// Returns whether `setup.sh` is a regular file and not a link.
fn has_script(place: &Place, plugin: &PluginName) -> Result<bool, StoreError> {
    let Some(dir) = place.open()? else { return Ok(false) };
    if !place.holds(&dir, plugin)? {
        return Ok(false);
    }
    let kind = dir.open(OsStr::new(plugin.as_str())).and_then(|root| root.kind(OsStr::new(SCRIPT)));
    match kind {
        Ok(kind) => Ok(kind == Kind::File),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(failed(&place.path(plugin.as_str()).join(SCRIPT), "looked at", error)),
    }
}

fn not_run(directory: &At, error: io::Error) -> StoreError {
    let help = match error.kind() {
        // The error is EAGAIN of a fork or of a new thread.
        io::ErrorKind::WouldBlock | io::ErrorKind::OutOfMemory => {
            "this user may start no more processes and threads, or the machine has no room for them: see `ulimit -u`, and \
             install the plugin again"
                .to_owned()
        }
        kind => directory.remedy(kind),
    };
    let sentence = format!("{} cannot be run: {error}; {help}", directory.join(SCRIPT).display());
    StoreError::new(error.kind(), sentence).with_source(error)
}

/// Starts the command and waits for its end. `NotFound` if there is no such program.
fn watched(mut command: Command, plan: &SetupPlan, cancel: &Cancel) -> io::Result<SetupRun> {
    // An error from here on drops the group, which kills it.
    let mut group = Group::start(&mut command)?;
    let stdout = Output::drain(group.stdout(), plan.output_bytes, cancel)?;
    let stderr = Output::drain(group.stderr(), plan.output_bytes, cancel)?;
    let exit = group.watch(cancel)?;
    let is_drained = || stdout.is_over() && stderr.is_over();

    let deadline = Instant::now().checked_add(plan.timeout);
    let on_its_own = cancel.wait_until(deadline, |cancelled| cancelled || exit.is_over());
    let forced = match (on_its_own, exit.is_over()) {
        (_, true) => {
            cancel.wait_until(Some(Instant::now() + DRAIN_AFTER_EXIT), |cancelled| cancelled || is_drained());
            None
        }
        (true, false) => Some(SetupEnd::Cancelled),
        (false, false) => {
            group.ask();
            let kill_at = Instant::now() + GRACE.min(plan.timeout);
            // The processes that the script started may need the time, even after the script's own end.
            cancel.wait_until(Some(kill_at), |cancelled| cancelled || (exit.is_over() && is_drained()));
            Some(SetupEnd::TimedOut)
        }
    };
    group.kill();
    let dead = cancel.wait_until(Some(Instant::now() + KILL_TIMEOUT), |_| exit.is_over());
    cancel.wait_until(Some(Instant::now() + DRAIN_AFTER_KILL), |_| is_drained());
    let ended = if dead { group.reap()? } else { None };
    let end = match (forced, ended) {
        (Some(forced), _) => forced,
        (None, Some(status)) => system::end(status),
        (None, None) if dead => SetupEnd::Unknown,
        (None, None) => SetupEnd::TimedOut,
    };
    Ok(SetupRun::new(end, stdout.tail(), stderr.tail()))
}
