//! A plugin's `setup.sh` in a cage that keeps it from hanging, flooding, or being told secrets by accident.
//!
//! It runs arbitrary code as the user, and nothing here contains it: it can read whatever the user can read.

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

use molecule_core::plugin::act::SetupPlan;
use molecule_core::plugin::{SetupEnd, SetupOutcome, SetupRun};
use molecule_core::proto::PluginName;

use self::output::Output;
use self::system::Group;
use super::dir::Kind;
use super::place::{At, Place, failed};
use crate::cancel::Cancel;
use crate::store::StoreError;

const SCRIPT: &str = "setup.sh";

/// How long the script may take to end after it was asked to.
const GRACE: Duration = Duration::from_secs(5);

/// How long its outputs are read after its end, while something that it left behind holds them open.
const REST: Duration = Duration::from_secs(1);

/// How long its outputs are read after everything in its group was killed.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// How long a killed process may take to end; one that waits for a dead disk may take for ever.
const DEATH: Duration = Duration::from_secs(5);

/// Runs the plugin's `setup.sh`, if it has one, with `bash` and in the plugin's directory.
///
/// It is over when the script ends, whatever the script left running; what is left in its process group is killed. After
/// `plan.timeout` the group is asked to end, and killed 5 s later (or as much later as it had time, if that was less). When
/// the flag is raised it is killed at once. A process that has made a group of its own is left alone.
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
        // The directory is missing, and not bash.
        Err(error) if error.kind() == io::ErrorKind::NotFound && !directory.is_dir() => Err(not_run(&directory, error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(SetupOutcome::NoBash),
        Err(error) => Err(not_run(&directory, error)),
        Ok(run) => Ok(SetupOutcome::Ran(run)),
    }
}

/// Whether there is a regular file of that name, no link to one.
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
        // EAGAIN of fork, or of a thread.
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

/// Starts the command and sees it to its end. `NotFound` if there is no such program.
fn watched(mut command: Command, plan: &SetupPlan, cancel: &Cancel) -> io::Result<SetupRun> {
    // Whoever fails from here on drops the group, which kills it.
    let mut group = Group::start(&mut command)?;
    let stdout = Output::drain(group.stdout(), plan.output_bytes, cancel)?;
    let stderr = Output::drain(group.stderr(), plan.output_bytes, cancel)?;
    let exit = group.watch(cancel)?;
    let is_drained = || stdout.is_over() && stderr.is_over();

    let deadline = Instant::now().checked_add(plan.timeout);
    let on_its_own = cancel.wait_until(deadline, |cancelled| cancelled || exit.is_over());
    let forced = match (on_its_own, exit.is_over()) {
        (_, true) => {
            cancel.wait_until(Some(Instant::now() + REST), |cancelled| cancelled || is_drained());
            None
        }
        (true, false) => Some(SetupEnd::Cancelled),
        (false, false) => {
            group.ask();
            let patience = Instant::now() + GRACE.min(plan.timeout);
            // What it started may need the time even if the script itself is gone.
            cancel.wait_until(Some(patience), |cancelled| cancelled || (exit.is_over() && is_drained()));
            Some(SetupEnd::TimedOut)
        }
    };
    group.kill();
    let dead = cancel.wait_until(Some(Instant::now() + DEATH), |_| exit.is_over());
    cancel.wait_until(Some(Instant::now() + LAST_WORDS), |_| is_drained());
    let ended = if dead { group.reap()? } else { None };
    let end = match (forced, ended) {
        (Some(forced), _) => forced,
        (None, Some(status)) => system::end(status),
        (None, None) if dead => SetupEnd::Unknown,
        (None, None) => SetupEnd::TimedOut,
    };
    Ok(SetupRun::new(end, stdout.tail(), stderr.tail()))
}
