//! A platform on a loopback port, for clients of any kind.
//!
//! The server runs on an operating-system thread of its own, with its own runtime, so that blocking and asynchronous
//! users start it alike. It reads the clock and lets sweeps happen. A test can look at and change the platform while it
//! runs ([`Server::with`]), see every request ([`Server::requests`]), wait without sleeping ([`Server::wait_for`]) and
//! make answers late or lost ([`Server::inject`]). Agents are called on loopback addresses alone, over plain HTTP.

mod call;
mod connection;
mod log;
mod plugins;
mod rule;

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{fmt, io};

use bytes::Bytes;
use molecule_proto::{Now, Time, UnixTime};
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::AbortHandle;

use crate::answer::{DispatchId, Ticket, Turn};
use crate::platform::Platform;
use crate::reply::Response;
use log::Log;
pub use log::Seen;
pub use plugins::load_plugins;
use rule::Rules;
pub use rule::{Action, Rule, RuleId};

/// Puts a platform on a loopback address; port 0 takes a free one.
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
/// Those of resolving and binding, and [`io::ErrorKind::InvalidInput`] for an address that is not loopback: the platform
/// is a test double and guards nothing.
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
                // Ends with the signal or with the handle's death; the runtime then drops every connection.
                let _ = stopped.await;
            });
        })?
    };
    Ok(Server { address, shared, stop: Some(stop), thread: Some(thread) })
}

/// A platform that is being served. Dropping it stops it.
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// The base URL for clients, without a slash at its end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Looks at the platform, or acts as its owner, between two requests.
    pub fn with<T>(&self, act: impl FnOnce(&mut Platform, Now) -> T) -> T {
        let now = self.shared.now();
        let result = act(&mut self.shared.lock().platform, now);
        self.shared.changed();
        result
    }

    /// The requests seen so far, oldest first. The last 4096 are kept.
    pub fn requests(&self) -> Vec<Seen> {
        self.shared.lock().log.seen().to_vec()
    }

    /// Waits until the requests seen so far satisfy a condition; `false` if they do not in time.
    ///
    /// The condition is asked again after each request, each answer and each act of an owner.
    pub fn wait_for(&self, mut condition: impl FnMut(&[Seen]) -> bool, timeout: Duration) -> bool {
        self.shared.wait(timeout, |state| condition(state.log.seen()))
    }

    /// Waits until the platform satisfies a condition; `false` if it does not in time. The same moments count as for
    /// [`wait_for`](Self::wait_for), and the sweeps too.
    pub fn wait_until(&self, mut condition: impl FnMut(&Platform) -> bool, timeout: Duration) -> bool {
        self.shared.wait(timeout, |state| condition(&state.platform))
    }

    /// Lets a rule decide what happens to the requests that it matches; the newest matching rule wins.
    pub fn inject(&self, rule: Rule) -> RuleId {
        self.shared.lock().rules.add(rule)
    }

    /// Holds back every request whose path ends like this, before the platform sees it, until it is
    /// [released](Self::release).
    pub fn stall(&self, path_suffix: &str) -> RuleId {
        self.inject(Rule::path_suffix(path_suffix, Action::Stall))
    }

    /// Removes a rule, and lets go what it holds back.
    pub fn release(&self, rule: RuleId) {
        self.shared.lock().rules.remove(rule);
        self.shared.released.send_replace(());
    }

    /// Stops serving: every connection is closed, whatever is in flight. Returns when the thread has ended.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was printed by it, and the test that caused it sees its connections closed.
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

/// What the handle and the server's thread share.
struct Shared {
    state: Mutex<State>,
    /// Told after every change, for those who wait in [`Server::wait_for`].
    change: Condvar,
    /// Told after every change, for the task that lets time pass.
    timer: Notify,
    /// Told when a rule is removed.
    released: watch::Sender<()>,
    start: Instant,
}

struct State {
    platform: Platform,
    rules: Rules,
    log: Log,
    /// Requests whose answer waits for an agent.
    waiting: BTreeMap<Ticket, oneshot::Sender<Response>>,
}

impl Shared {
    fn new(platform: Platform) -> Self {
        let state = State { platform, rules: Rules::default(), log: Log::default(), waiting: BTreeMap::new() };
        let (state, change, timer) = (Mutex::new(state), Condvar::new(), Notify::new());
        Self { state, change, timer, released: watch::Sender::new(()), start: Instant::now() }
    }

    fn now(&self) -> Now {
        let mono = Time::ZERO + self.start.elapsed();
        // A calendar before 1970 reads as its start.
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { mono, unix: UnixTime::default() + unix }
    }

    /// A test that panicked inside `with` must not take the server down.
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

/// Does what the platform says, and lets time pass for it.
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
                    // Whoever asked may have gone away.
                    let _ = waiting.send(response);
                }
            }
            Turn::Idle(wake) => {
                shared.change.notify_all();
                match wake {
                    Some(wake) => {
                        // Whichever comes first: the wake, or a change that may bring it nearer.
                        let _ = tokio::time::timeout(wake.at.since(now.mono), shared.timer.notified()).await;
                    }
                    None => shared.timer.notified().await,
                }
            }
        }
    }
}

/// Calls an agent, and gives the platform what comes of it.
async fn dispatch(shared: Arc<Shared>, id: DispatchId, request: http::Request<Bytes>) {
    let most = shared.lock().platform.most_reply();
    let outcome = call::call(request, most).await;
    let now = shared.now();
    shared.lock().platform.dispatched(now, id, outcome);
    shared.changed();
}
