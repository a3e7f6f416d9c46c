//! Idle connections to agents, which the servers' HTTP client uses again: at most two for each host.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::SendRequest;
use tokio::task::AbortHandle;

/// The most idle connections to one host.
const MOST_IDLE: usize = 2;

/// The idle connections to all agents.
#[derive(Debug)]
pub(super) struct Pool {
    hosts: Mutex<Hosts>,
    /// The time after which an idle connection is closed.
    timeout: Option<Duration>,
}

#[derive(Debug, Default)]
struct Hosts {
    /// By host and port as the URLs name them; the newest connection is the last.
    idle: BTreeMap<String, Vec<(u64, Connection)>>,
    counter: u64,
}

/// A connection, and the task that moves its bytes. Dropping it closes the connection, also in the middle of an exchange.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) sender: SendRequest<Full<Bytes>>,
    pub(super) task: AbortHandle,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Pool {
    pub(super) fn new(timeout: Option<Duration>) -> Self {
        Self { hosts: Mutex::default(), timeout }
    }

    fn hosts(&self) -> MutexGuard<'_, Hosts> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the newest idle connection to a host that its agent has not closed.
    pub(super) fn take(&self, host: &str) -> Option<Connection> {
        let mut hosts = self.hosts();
        let idle = hosts.idle.get_mut(host)?;
        idle.retain(|(_, connection)| !connection.sender.is_closed());
        idle.pop().map(|(_, connection)| connection)
    }

    /// Keeps a connection for the next call, unless two are kept already.
    pub(super) fn put(self: &Arc<Self>, host: String, connection: Connection) {
        let mut hosts = self.hosts();
        hosts.counter += 1;
        let number = hosts.counter;
        let idle = hosts.idle.entry(host.clone()).or_default();
        idle.retain(|(_, connection)| !connection.sender.is_closed());
        if idle.len() >= MOST_IDLE {
            return;
        }
        idle.push((number, connection));
        drop(hosts);
        if let Some(timeout) = self.timeout {
            let pool = Arc::clone(self);
            // The runtime ends it with the server.
            tokio::spawn(async move {
                tokio::time::sleep(timeout).await;
                pool.expire(&host, number);
            });
        }
    }

    fn expire(&self, host: &str, number: u64) {
        if let Some(idle) = self.hosts().idle.get_mut(host) {
            idle.retain(|(of, _)| *of != number);
        }
    }
}
