//! The scripted peer of all tests: a server on a loopback port that follows a script, with one thread for each
//! connection.
//!
//! Every wait is bounded, and dropping a [`ScriptedPeer`] ends its threads and closes its connections.

mod connection;
mod log;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::panic;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use self::log::Shared;
use super::act::PeerAction;

pub use connection::Connection;
pub use log::{Log, Received, Watch};

/// The longest that a peer waits for anything.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running peer.
#[derive(Debug)]
pub struct ScriptedPeer {
    address: SocketAddr,
    shared: Arc<Shared>,
    listener: Option<JoinHandle<Vec<JoinHandle<()>>>>,
}

impl ScriptedPeer {
    /// Starts a peer that runs this script for each connection.
    ///
    /// # Panics
    /// If no loopback port is free.
    pub fn start(script: impl Fn(&mut Connection) + Send + Sync + 'static) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
        let address = socket.local_addr().expect("a bound socket has an address");
        let shared = Arc::<Shared>::default();
        let inside = Arc::clone(&shared);
        let listener = thread::spawn(move || accept(&socket, &inside, &Arc::new(script)));
        Self { address, shared, listener: Some(listener) }
    }

    /// Starts a peer that performs the script's actions for each request of each connection.
    ///
    /// # Panics
    /// If no loopback port is free.
    pub fn answering(script: impl Fn(&Received) -> Vec<PeerAction> + Send + Sync + 'static) -> Self {
        Self::start(move |connection| connection.answer(&script))
    }

    /// Starts a peer that performs one list of actions for each connection, in their order. A connection after the last
    /// list is closed at once.
    ///
    /// `secret`: only bytes under TLS count as part of a request.
    pub(crate) fn scripted(scripts: Vec<Vec<PeerAction>>, secret: bool) -> Self {
        Self::start(move |connection| {
            if secret {
                connection.expect_tunnel();
            }
            let script = scripts.get(connection.number() - 1).cloned();
            connection.perform(script.unwrap_or_else(|| vec![PeerAction::Slam]));
        })
    }

    /// The address on which it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Its `http` URL without a path.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its `https` URL without a path.
    pub fn secure_url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// The requests so far, in the order of their arrival.
    pub fn requests(&self) -> Vec<Received> {
        self.shared.look(|log| log.requests.clone())
    }

    /// The number of connections that were opened so far.
    pub fn opened(&self) -> usize {
        self.shared.look(|log| log.opened)
    }

    /// Its log, for a thread or a task that cannot hold the peer itself; it outlives the peer.
    pub fn watch(&self) -> Watch {
        Watch(Arc::clone(&self.shared))
    }

    /// Stops the peer after its client is gone, so that the peer still reads everything that was sent.
    pub(crate) fn finish(mut self) -> Log {
        self.stop(|_| {});
        self.shared.look(Clone::clone)
    }

    /// Stops the listener and waits for all threads; `cut` handles the connections that are still open.
    fn stop(&mut self, cut: impl FnOnce(&Shared)) {
        let Some(listener) = self.listener.take() else { return };
        self.shared.finish();
        // Wakes the listener.
        drop(TcpStream::connect(self.address));
        let threads = listener.join();
        cut(&self.shared);
        for ended in
            threads.map_or_else(|panic| vec![Err(panic)], |threads| threads.into_iter().map(JoinHandle::join).collect())
        {
            // A failed assertion in a script fails the test that wrote it.
            if let Err(reason) = ended
                && !thread::panicking()
            {
                panic::resume_unwind(reason);
            }
        }
    }
}

impl Drop for ScriptedPeer {
    fn drop(&mut self) {
        self.stop(Shared::cut_all);
    }
}

fn accept<S>(socket: &TcpListener, shared: &Arc<Shared>, script: &Arc<S>) -> Vec<JoinHandle<()>>
where
    S: Fn(&mut Connection) + Send + Sync + 'static,
{
    let mut threads = Vec::new();
    for stream in socket.incoming().map_while(Result::ok) {
        let Some(number) = shared.open(&stream) else { break };
        let (shared, script) = (Arc::clone(shared), Arc::clone(script));
        threads.push(thread::spawn(move || {
            if let Ok(mut connection) = Connection::new(number, stream, shared) {
                script(&mut connection);
                connection.end();
            }
        }));
    }
    threads
}

/// A port that refuses connections: one end of a connection occupies it, so that nobody else can listen on it.
#[derive(Debug)]
pub struct ClosedPort(SocketAddr, #[allow(dead_code, reason = "held")] (TcpListener, TcpStream));

impl ClosedPort {
    /// Takes a port.
    ///
    /// # Panics
    /// If no loopback port is free.
    #[allow(clippy::new_without_default, reason = "it takes a port of this machine")]
    pub fn new() -> Self {
        let far = TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
        let near = far.local_addr().and_then(TcpStream::connect).expect("a listener is there");
        Self(near.local_addr().expect("a connection has two addresses"), (far, near))
    }

    /// The address that refuses connections.
    pub fn address(&self) -> SocketAddr {
        self.0
    }

    /// The same as a URL without a path.
    pub fn url(&self) -> String {
        format!("http://{}", self.0)
    }
}
