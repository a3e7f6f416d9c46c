//! The common parts of the two demos of many agents: a platform with many workspaces, and a count of events.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use molecule_core::proto::{Token, WorkspaceId};
use molecule_core::{Ended, Event};
use molecule_platform::{Config, Dialect, Platform, Server, serve};

use crate::story::tell;

/// The number of agents: the program's first argument, or `default`.
///
/// # Errors
/// A sentence for people, if the argument is not a number.
pub fn size(default: usize) -> Result<usize, String> {
    match std::env::args().nth(1) {
        Some(text) => text.parse().map_err(|_| format!("{text:?} is no number of agents")),
        None => Ok(default),
    }
}

/// Raises the limit of open descriptors to the most that the system allows: each agent needs two, one for its own end
/// of the connection and one for the embedded platform's. Many systems set 1,024 at first.
#[cfg(unix)]
pub fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // If the system refuses, the connections beyond the limit fail with an error.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

/// Does nothing: other systems have no such limit.
#[cfg(not(unix))]
pub fn raise_descriptor_limit() {}

/// Starts a platform with `size` workspaces.
///
/// # Errors
/// The error of binding a port.
pub fn platform(size: usize) -> io::Result<(Server, Vec<(WorkspaceId, Token)>)> {
    let config = Config::new(Dialect::Current).seed(molecule_host::seed());
    let server = serve(Platform::new(config), "127.0.0.1:0")?;
    let create = |number| server.with(|platform, now| platform.create_workspace(now, &format!("agent-{number}")));
    let workspaces = (0..size).map(create).collect();
    tell("platform", format!("listens on {} with {size} workspaces", server.url()));
    Ok((server, workspaces))
}

/// Counts the agents that came online, and the warnings.
#[derive(Debug, Default)]
pub struct Tally {
    online: AtomicUsize,
    troubles: AtomicUsize,
    changed: Mutex<()>,
    bell: Condvar,
}

impl Tally {
    /// Counts an event.
    pub fn count(&self, event: &Event) {
        if *event == Event::Online {
            let _guard = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
            self.online.fetch_add(1, Ordering::SeqCst);
            self.bell.notify_all();
        } else if event.is_warning() {
            self.troubles.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Waits until `size` agents are online, and prints how long that took.
    ///
    /// # Errors
    /// If they are not online within a minute.
    pub fn wait_for(&self, size: usize, since: Instant) -> Result<(), String> {
        let guard = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
        let missing = |_: &mut ()| self.online.load(Ordering::SeqCst) < size;
        let waited = self.bell.wait_timeout_while(guard, Duration::from_secs(60), missing);
        let (_guard, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        if timeout.timed_out() {
            return Err(format!("only {} of {size} agents came online", self.online.load(Ordering::SeqCst)));
        }
        tell("agents", format!("{size} online within {:.1} s", since.elapsed().as_secs_f64()));
        Ok(())
    }

    /// The number of warnings so far.
    pub fn troubles(&self) -> usize {
        self.troubles.load(Ordering::SeqCst)
    }
}

/// Prints how the loops ended. Each loop ends for a reason of its own.
pub fn tell_ends(ends: &[Ended], tally: &Tally) {
    let count = |ended: Ended| ends.iter().filter(|end| **end == ended).count();
    tell(
        "agents",
        format!("{} deleted, {} stopped, {} warnings", count(Ended::Deleted), count(Ended::Stopped), tally.troubles()),
    );
}
