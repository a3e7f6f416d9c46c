//! A platform on a loopback port, for clients of any kind.
//!
//! The server runs on an operating-system thread of its own, with its own runtime, so that blocking and asynchronous
//! users start it in the same way. It reads the clock and runs the sweeps. A test can inspect and change the platform
//! while it runs ([`Server::with`]), read every request ([`Server::requests`]), wait without sleeping
//! ([`Server::wait_for`]), and delay or drop answers ([`Server::inject`]). The server calls agents on loopback
//! addresses only, over plain HTTP.

mod call;
mod connection;
mod events;
mod log;
mod plugins;
mod pool;
mod rule;

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{fmt, io};

use bytes::Bytes;
use molecule_proto::{Now, Time, UnixTime};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::AbortHandle;

use crate::answer::{DispatchId, Ticket, Turn};
use crate::platform::Platform;
use crate::reply::Response;
use log::Log;
pub use log::Seen;
pub use plugins::load_plugins;
use pool::Pool;
use rule::Rules;
pub use rule::{Action, Rule, RuleId};

/// Serves a platform on a loopback address; port 0 chooses a free port.
///
/// ```
/// use molecule_platform::{Config, Dialect, serve};
///
/// let server = serve(Config::new(Dialect::Current), "127.0.0.1:0")?;
/// let (id, token) = server.with(|platform, now| platform.create_workspace(now, "my-agent"));
/// println!("an agent may register {id} at {}", server.url());
/// # let _ = token;
/// server.stop();
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// The errors of resolving and binding, and [`io::ErrorKind::InvalidInput`] for an address that is not loopback: the
/// platform is a test double and protects nothing.
pub fn serve(platform: impl Into<Platform>, address: impl ToSocketAddrs) -> io::Result<Server> {
    let addresses: Vec<SocketAddr> = address.to_socket_addrs()?.collect();
    if !addresses.iter().all(|address| address.ip().is_loopback()) {
        let message = "the platform model is served on loopback addresses alone, such as 127.0.0.1:0";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    let listener = TcpListener::bind(addresses.as_slice())?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let shared = Arc::new(Shared::new(platform.into()));
    let (stop, stopped) = oneshot::channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    let thread = {
        let shared = Arc::clone(&shared);
        std::thread::Builder::new().name("molecule-platform".to_owned()).spawn(move || {
            runtime.block_on(async {
                tokio::spawn(turn(Arc::clone(&shared)));
                tokio::spawn(connection::accept(listener, shared));
                // It ends with the stop signal or when the handle is dropped; the runtime then drops every connection.
                let _ = stopped.await;
            });
        })?
    };
    Ok(Server { address, shared, stop: Some(stop), thread: Some(thread) })
}

/// A running server. It stops when it is dropped.
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// The address on which it listens.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// The base URL for clients, without a slash at its end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Inspects or changes the platform between two requests.
    pub fn with<T>(&self, act: impl FnOnce(&mut Platform, Now) -> T) -> T {
        let now = self.shared.now();
        let result = act(&mut self.shared.lock().platform, now);
        self.shared.changed();
        result
    }

    /// The requests received so far, oldest first. At least the last 4096 are stored.
    pub fn requests(&self) -> Vec<Seen> {
        self.shared.lock().log.seen().to_vec()
    }

    /// Waits until the requests received so far satisfy a condition; returns `false` if they do not in time.
    ///
    /// The condition is checked after each request, each answer and each act of an owner.
    pub fn wait_for(&self, mut condition: impl FnMut(&[Seen]) -> bool, timeout: Duration) -> bool {
        self.shared.wait(timeout, |state| condition(state.log.seen()))
    }

    /// Waits until the platform satisfies a condition; returns `false` if it does not in time. The condition is checked
    /// as in [`wait_for`](Self::wait_for), and also after each sweep.
    pub fn wait_until(&self, mut condition: impl FnMut(&Platform) -> bool, timeout: Duration) -> bool {
        self.shared.wait(timeout, |state| condition(&state.platform))
    }

    /// Adds a rule for the requests that it matches; the newest matching rule wins.
    pub fn inject(&self, rule: Rule) -> RuleId {
        self.shared.lock().rules.add(rule)
    }

    /// Stalls every request whose path has this suffix: the platform does not see it until the rule is
    /// [released](Self::release).
    pub fn stall(&self, path_suffix: &str) -> RuleId {
        self.inject(Rule::path_suffix(path_suffix, Action::Stall))
    }

    /// Removes a rule, and continues the requests that it stalls.
    pub fn release(&self, rule: RuleId) {
        self.shared.lock().rules.remove(rule);
        self.shared.released.send_replace(());
    }

    /// Closes the connections of all event streams in the middle of their bodies, and returns how many there were. New
    /// ones can be opened.
    pub fn cut_streams(&self) -> usize {
        let streams = std::mem::take(&mut self.shared.lock().streams);
        streams.len()
    }

    /// Stops the server and closes every connection, also those with a request in flight. Returns when the thread has
    /// ended. Event streams end with the others, although a real server leaves them open for 30 seconds.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // The thread has already printed its panic, and the test that caused it sees its connections closed.
            let _ = thread.join();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

/// The state that the handle and the server's thread share.
struct Shared {
    state: Mutex<State>,
    /// Notified after every change, for callers in [`Server::wait_for`].
    change: Condvar,
    /// Notified after every change, for the task that polls the platform.
    timer: Notify,
    /// Notified when a rule is removed.
    released: watch::Sender<()>,
    /// The idle connections to agents.
    pool: Arc<Pool>,
    start: Instant,
}

struct State {
    platform: Platform,
    rules: Rules,
    log: Log,
    /// The requests whose answer depends on a call to an agent.
    waiting: BTreeMap<Ticket, oneshot::Sender<Response>>,
    /// The open event streams, each with its room for a client that reads slowly.
    streams: BTreeMap<Ticket, mpsc::Sender<Bytes>>,
}

impl Shared {
    fn new(platform: Platform) -> Self {
        let (rules, log) = (Rules::default(), Log::default());
        let pool = Arc::new(Pool::new(platform.idle_connection_timeout()));
        let state = State { platform, rules, log, waiting: BTreeMap::new(), streams: BTreeMap::new() };
        let (state, change, timer) = (Mutex::new(state), Condvar::new(), Notify::new());
        Self { state, change, timer, released: watch::Sender::new(()), pool, start: Instant::now() }
    }

    fn now(&self) -> Now {
        let mono = Time::ZERO + self.start.elapsed();
        // A calendar before 1970 reads as 1970.
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { mono, unix: UnixTime::default() + unix }
    }

    /// Ignores a poisoned lock: a test that panicked inside `with` must not stop the server.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self) {
        self.change.notify_all();
        self.timer.notify_one();
    }

    fn wait(&self, timeout: Duration, mut condition: impl FnMut(&State) -> bool) -> bool {
        let guard = self.lock();
        let waited = self.change.wait_timeout_while(guard, timeout, |state| !condition(state));
        let (_state, result) = waited.unwrap_or_else(PoisonError::into_inner);
        !result.timed_out()
    }
}

/// Polls the platform and executes its instructions, for as long as the server runs.
async fn turn(shared: Arc<Shared>) {
    let mut calls: BTreeMap<DispatchId, AbortHandle> = BTreeMap::new();
    loop {
        let now = shared.now();
        let turn = shared.lock().platform.poll(now);
        match turn {
            Turn::Dispatch(id, request) => {
                calls.retain(|_, call| !call.is_finished());
                let task = tokio::spawn(dispatch(Arc::clone(&shared), id, request));
                calls.insert(id, task.abort_handle());
            }
            Turn::Cancel(id) => {
                if let Some(call) = calls.remove(&id) {
                    call.abort();
                }
            }
            Turn::Answer(ticket, response) => {
                if let Some(waiting) = shared.lock().waiting.remove(&ticket) {
                    // The client may have closed its connection.
                    let _ = waiting.send(response);
                }
            }
            Turn::Chunk(ticket, event) => {
                if let Some(stream) = shared.lock().streams.get(&ticket) {
                    // A client that does not read loses the event, as on the real servers.
                    let _ = stream.try_send(event);
                }
            }
            Turn::Idle(wake) => {
                shared.change.notify_all();
                match wake {
                    Some(wake) => {
                        // It waits for the wake, or for a change that may move the wake forward.
                        let _ = tokio::time::timeout(wake.at.since(now.mono), shared.timer.notified()).await;
                    }
                    None => shared.timer.notified().await,
                }
            }
        }
    }
}

/// Calls an agent, and passes the outcome to the platform.
async fn dispatch(shared: Arc<Shared>, id: DispatchId, request: http::Request<Bytes>) {
    let most = shared.lock().platform.most_reply();
    let head = |status| shared.lock().platform.dispatch_head(id, status);
    let outcome = call::call(&shared.pool, request, most, head).await;
    let now = shared.now();
    shared.lock().platform.dispatched(now, id, outcome);
    shared.changed();
}
