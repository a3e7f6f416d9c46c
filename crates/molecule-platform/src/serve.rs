//! A platform on a loopback port, for clients of any kind.
//!
//! The server runs on an operating-system thread of its own, with its own runtime, so that blocking and asynchronous
//! users start it in the same way. It reads the clock and runs the sweeps. A test can inspect and change the platform
//! while it runs ([`Server::with`]), read every request ([`Server::requests`]), wait without sleeping
//! ([`Server::wait_for`]), and delay or drop answers ([`Server::inject`]). The server calls agents on loopback
//! addresses only, over plain HTTP.

mod body;
mod call;
mod connection;
mod events;
mod front;
mod handle;
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
use molecule_proto::{Now, Time, UnixTime, Wake};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::AbortHandle;

use crate::act::{Act, Acted};
use crate::answer::{DispatchId, Ticket, Turn};
use crate::input::{Input, Step};
use crate::platform::Platform;
use crate::reply::Response;
pub use front::{Admission, Conditions, Deciding, Decision, Fate, Front};
pub use handle::Handle;
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
        return Err(io::Error::new(io::ErrorKind::InvalidInput, NOT_LOOPBACK));
    }
    start(platform.into(), TcpListener::bind(addresses.as_slice())?, None, |_| {})
}

/// Serves a platform on a listener that is already bound, behind a [`Front`]. `begin` gets the handle before the first
/// connection is accepted.
///
/// The platform's whole history is the sequence of inputs that the front hears of, unless [`Server::with`] changes it.
/// The server stores no requests then, and [`Server::requests`] is empty.
///
/// # Errors
/// Those of [`serve`].
pub fn serve_with(
    platform: impl Into<Platform>,
    listener: TcpListener,
    front: Arc<dyn Front>,
    begin: impl FnOnce(Handle),
) -> io::Result<Server> {
    if !listener.local_addr()?.ip().is_loopback() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, NOT_LOOPBACK));
    }
    start(platform.into(), listener, Some(front), begin)
}

const NOT_LOOPBACK: &str = "the platform model is served on loopback addresses alone, such as 127.0.0.1:0";

fn start(
    platform: Platform,
    listener: TcpListener,
    front: Option<Arc<dyn Front>>,
    begin: impl FnOnce(Handle),
) -> io::Result<Server> {
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    let shared = Arc::new(Shared::new(platform, front, runtime.handle().clone()));
    begin(Handle(Arc::clone(&shared)));
    let (stop, stopped) = oneshot::channel();
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

    /// Inspects or changes the platform between two requests. A [`Front`] does not hear of it.
    pub fn with<T>(&self, act: impl FnOnce(&mut Platform, Now) -> T) -> T {
        let mut state = self.shared.lock();
        let now = self.shared.now();
        let result = act(&mut state.platform, now);
        state.changed = true;
        drop(state);
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
    front: Option<Arc<dyn Front>>,
    /// Where calls to agents run.
    runtime: tokio::runtime::Handle,
}

struct State {
    platform: Platform,
    /// The next time at which time alone changes the platform, as of the last step.
    wake: Option<Wake>,
    /// Whether the platform was changed without a step.
    changed: bool,
    /// The calls to agents that are in flight.
    calls: BTreeMap<DispatchId, AbortHandle>,
    rules: Rules,
    log: Log,
    /// The requests whose answer depends on a call to an agent.
    waiting: BTreeMap<Ticket, oneshot::Sender<Response>>,
    /// The open event streams, each with its room for a client that reads slowly.
    streams: BTreeMap<Ticket, mpsc::Sender<Bytes>>,
}

impl Shared {
    fn new(platform: Platform, front: Option<Arc<dyn Front>>, runtime: tokio::runtime::Handle) -> Self {
        let pool = Arc::new(Pool::new(platform.idle_connection_timeout()));
        let state = State {
            platform,
            wake: None,
            changed: true,
            calls: BTreeMap::new(),
            rules: Rules::default(),
            log: Log::default(),
            waiting: BTreeMap::new(),
            streams: BTreeMap::new(),
        };
        let (state, change, timer) = (Mutex::new(state), Condvar::new(), Notify::new());
        let (released, start) = (watch::Sender::new(()), Instant::now());
        Self { state, change, timer, released, pool, start, front, runtime }
    }

    fn now(&self) -> Now {
        if let Some(front) = &self.front {
            return front.now();
        }
        let mono = Time::ZERO + self.start.elapsed();
        // A calendar before 1970 reads as 1970.
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { mono, unix: UnixTime::default() + unix }
    }

    /// Applies an input and executes its turns. Returns the outcome of an act.
    fn run(self: &Arc<Self>, input: Input) -> Option<Acted> {
        let mut state = self.lock();
        let step = self.step(&mut state, input);
        self.execute(&mut state, &step.turns);
        drop(state);
        self.changed();
        step.acted
    }

    /// Applies an input. Its turns are still to be executed, under the same lock.
    fn step(&self, state: &mut State, input: Input) -> Step {
        // The time is read under the lock, so that times never go backwards from one input to the next.
        let now = self.now();
        let step = match &self.front {
            None => state.platform.step(now, input),
            Some(front) => {
                let step = state.platform.step(now, input.clone());
                front.stepped(now, &input, &step, &state.platform);
                step
            }
        };
        state.wake = step.wake;
        state.changed = false;
        step
    }

    fn execute(self: &Arc<Self>, state: &mut State, turns: &[Turn]) {
        for turn in turns {
            match turn {
                Turn::Dispatch(id, request) => {
                    let task = self.runtime.spawn(dispatch(Arc::clone(self), *id, request.clone()));
                    state.calls.insert(*id, task.abort_handle());
                }
                Turn::Cancel(id) => {
                    if let Some(call) = state.calls.remove(id) {
                        call.abort();
                    }
                }
                Turn::Answer(ticket, response) => {
                    if let Some(waiting) = state.waiting.remove(ticket) {
                        // The client may have closed its connection.
                        let _ = waiting.send(response.clone());
                    }
                }
                Turn::Chunk(ticket, event) => {
                    if let Some(stream) = state.streams.get(ticket) {
                        // A client that does not read loses the event, as on the real servers.
                        let _ = stream.try_send(event.clone());
                    }
                }
                // A step ends where the platform is idle.
                Turn::Idle(_) => {}
            }
        }
    }

    /// Sets the database's state for one request, if it is to be unreachable for it alone.
    fn set_database_down(self: &Arc<Self>, state: &mut State, down: bool) {
        let step = self.step(state, Input::Act(Act::SetDatabaseDown { down }));
        self.execute(state, &step.turns);
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

/// Steps the platform when its wake is due or somebody changed it, for as long as the server runs.
async fn turn(shared: Arc<Shared>) {
    loop {
        let (now, wake) = {
            let mut state = shared.lock();
            let now = shared.now();
            if state.changed || state.wake.is_some_and(|wake| wake.at <= now.mono) {
                let step = shared.step(&mut state, Input::Wake);
                shared.execute(&mut state, &step.turns);
                shared.change.notify_all();
            }
            (now, state.wake)
        };
        match wake {
            Some(wake) => {
                // It waits for the wake, or for a change that may move the wake forward.
                let _ = tokio::time::timeout(wake.at.since(now.mono), shared.timer.notified()).await;
            }
            None => shared.timer.notified().await,
        }
    }
}

/// Calls an agent, and passes the outcome to the platform.
async fn dispatch(shared: Arc<Shared>, id: DispatchId, request: http::Request<Bytes>) {
    let most = shared.lock().platform.most_reply();
    let head = |status| drop(shared.run(Input::DispatchHead { id, status }));
    let outcome = call::call(&shared.pool, request, most, head).await;
    shared.lock().calls.remove(&id);
    shared.run(Input::Dispatched { id, outcome });
}
