//! A peer on a loopback port that answers as told, on plain threads. It stops when it is dropped.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// What the peer does, one act after the other; after the last one it reads the next request.
pub(crate) enum Act {
    Send(Vec<u8>),
    /// A byte every so often, for ever.
    Drip(Duration),
    /// Nothing, until the other side closes.
    Stall,
    Close,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Which connection it came on; the first is 1.
    pub(crate) connection: usize,
    /// The request line and the headers.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    /// Whether it is one for this method and path.
    pub(crate) fn is(&self, line: &str) -> bool {
        self.head.starts_with(&format!("{line} "))
    }

    /// The value of a header, whose name is matched in any case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

pub(crate) type Script = dyn Fn(&Seen) -> Vec<Act> + Send + Sync;

/// What stands between the socket and HTTP: nothing, or TLS.
pub(crate) trait Stream: Read + Write {}
impl<S: Read + Write> Stream for S {}
pub(crate) type Wrap = dyn Fn(TcpStream) -> Box<dyn Stream> + Send + Sync;

pub(crate) struct Peer {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

struct Shared {
    script: Box<Script>,
    wrap: Box<Wrap>,
    seen: Mutex<Vec<Seen>>,
    changed: Condvar,
    connections: AtomicUsize,
    closed: AtomicUsize,
    streams: Mutex<Vec<TcpStream>>,
    stopped: AtomicBool,
}

impl Peer {
    pub(crate) fn start(script: impl Fn(&Seen) -> Vec<Act> + Send + Sync + 'static) -> Self {
        Self::start_wrapped(script, |stream| Box::new(stream))
    }

    pub(crate) fn start_wrapped(
        script: impl Fn(&Seen) -> Vec<Act> + Send + Sync + 'static,
        wrap: impl Fn(TcpStream) -> Box<dyn Stream> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            script: Box::new(script),
            wrap: Box::new(wrap),
            seen: Mutex::default(),
            changed: Condvar::new(),
            connections: AtomicUsize::new(0),
            closed: AtomicUsize::new(0),
            streams: Mutex::default(),
            stopped: AtomicBool::new(false),
        });
        let accepting = thread::spawn({
            let shared = shared.clone();
            move || shared.accept(&listener)
        });
        Self { address, shared, accepting: Some(accepting) }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests so far, in the order of their arrival.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Waits until this many requests have come, at most 10 s.
    pub(crate) async fn wait_for_requests(&self, count: usize) {
        assert!(self.wait(move |_, seen| seen.len() >= count).await, "{count} requests were due: {:?}", self.seen());
    }

    /// Waits until this many connections are over, at most 10 s.
    pub(crate) async fn wait_for_closed(&self, count: usize) {
        let closed = |shared: &Shared| shared.closed.load(Ordering::SeqCst);
        assert!(self.wait(move |shared, _| closed(shared) >= count).await, "{count} connections were due to close");
    }

    /// On a thread of its own, so that the runtime under test goes on.
    async fn wait(&self, done: impl Fn(&Shared, &[Seen]) -> bool + Send + 'static) -> bool {
        let shared = self.shared.clone();
        let waiting = tokio::task::spawn_blocking(move || {
            let seen = shared.seen.lock().unwrap();
            let limit = Duration::from_secs(10);
            let waited = shared.changed.wait_timeout_while(seen, limit, |seen| !done(&shared, seen)).unwrap();
            !waited.1.timed_out()
        });
        waiting.await.unwrap()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts; should the address be gone, so is the thread.
        let _ = TcpStream::connect(self.address);
        if let Some(accepting) = self.accepting.take() {
            accepting.join().unwrap();
        }
    }
}

impl Shared {
    fn accept(self: Arc<Self>, listener: &TcpListener) {
        let mut threads = Vec::new();
        loop {
            let (stream, _) = listener.accept().unwrap();
            if self.stopped.load(Ordering::SeqCst) {
                break;
            }
            let connection = self.connections.fetch_add(1, Ordering::SeqCst) + 1;
            self.streams.lock().unwrap().push(stream.try_clone().unwrap());
            let shared = self.clone();
            threads.push(thread::spawn(move || {
                let handle = stream.try_clone().unwrap();
                let mut stream = (shared.wrap)(stream);
                shared.serve(connection, &mut *stream);
                drop(stream);
                let _ = handle.shutdown(Shutdown::Both);
                let _seen = shared.seen.lock().unwrap();
                shared.closed.fetch_add(1, Ordering::SeqCst);
                shared.changed.notify_all();
            }));
        }
        for stream in self.streams.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
        for thread in threads {
            thread.join().unwrap();
        }
    }

    fn serve(&self, connection: usize, stream: &mut dyn Stream) {
        while let Some((head, body)) = read_request(stream) {
            let seen = Seen { connection, head, body };
            self.seen.lock().unwrap().push(seen.clone());
            self.changed.notify_all();
            for act in (self.script)(&seen) {
                let going_on = match act {
                    Act::Send(bytes) => stream.write_all(&bytes).and_then(|()| stream.flush()).is_ok(),
                    Act::Drip(every) => self.drip(stream, every),
                    Act::Stall => !matches!(stream.read(&mut [0]), Ok(0) | Err(_)),
                    Act::Close => false,
                };
                if !going_on {
                    return;
                }
            }
        }
    }

    fn drip(&self, stream: &mut dyn Stream, every: Duration) -> bool {
        while stream.write_all(b"x").and_then(|()| stream.flush()).is_ok() && !self.stopped.load(Ordering::SeqCst) {
            thread::park_timeout(every);
        }
        false
    }
}

/// One request; `None` when the other side has closed.
fn read_request(stream: &mut dyn Stream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        match stream.read(&mut byte) {
            Ok(1) => bytes.push(byte[0]),
            Ok(_) | Err(_) => return None,
        }
    }
    let head = String::from_utf8(bytes).unwrap();
    let lower = head.to_ascii_lowercase();
    let length = lower.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |n| n.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some((head, body))
}

/// A complete answer.
pub(crate) fn answer(status: &str, headers: &str, body: &str) -> Vec<Act> {
    let length = body.len();
    vec![Act::Send(format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\n\r\n{body}").into_bytes())]
}

/// A complete JSON answer with status 200.
pub(crate) fn json(body: &str) -> Vec<Act> {
    answer("200 OK", "content-type: application/json\r\n", body)
}
