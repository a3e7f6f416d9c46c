//! What the two demos of many agents share: a platform with many workspaces, and a count of what happens.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use molecule_core::proto::{Token, WorkspaceId};
use molecule_core::{Ended, Event};
use molecule_platform::{Config, Dialect, Platform, Server, serve};

use crate::story::tell;

/// How many agents: the first argument, or this many.
///
/// # Errors
/// A sentence for people, if it is no number.
pub fn size(default: usize) -> Result<usize, String> {
    match std::env::args().nth(1) {
        Some(text) => text.parse().map_err(|_| format!("{text:?} is no number of agents")),
        None => Ok(default),
    }
}

/// Each agent has a connection here, and the embedded platform one there: many systems allow 1,024 descriptors to begin with.
#[cfg(unix)]
pub fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // Where it is refused, the connections that are too many say so.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

/// Other systems have no such limit.
#[cfg(not(unix))]
pub fn raise_descriptor_limit() {}

/// A platform with so many workspaces.
///
/// # Errors
/// Those of binding a port.
pub fn platform(size: usize) -> io::Result<(Server, Vec<(WorkspaceId, Token)>)> {
    let config = Config::new(Dialect::Current).seed(molecule_host::seed());
    let server = serve(Platform::new(config), "127.0.0.1:0")?;
    let create = |number| server.with(|platform, now| platform.create_workspace(now, &format!("agent-{number}")));
    let workspaces = (0..size).map(create).collect();
    tell("platform", format!("listens on {} with {size} workspaces", server.url()));
    Ok((server, workspaces))
}

/// Counts the agents that came online, and those that ended.
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

    /// Waits until so many agents are online, and says how long that took.
    ///
    /// # Errors
    /// If they are not within a minute.
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

    /// How many warnings there were.
    pub fn troubles(&self) -> usize {
        self.troubles.load(Ordering::SeqCst)
    }
}

/// Says how the loops ended: one agent's end is not the others'.
pub fn tell_ends(ends: &[Ended], tally: &Tally) {
    let count = |ended: Ended| ends.iter().filter(|end| **end == ended).count();
    tell(
        "agents",
        format!("{} deleted, {} stopped, {} warnings", count(Ended::Deleted), count(Ended::Stopped), tally.troubles()),
    );
}
