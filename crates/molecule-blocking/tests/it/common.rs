//! A peer that does what a test tells it, and agents that talk to it.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Response};
use molecule_blocking::core::endpoint::{Endpoint, Mismatch, Repeat};
use molecule_blocking::core::session::{Auth, Draft};
use molecule_blocking::{Agent, AgentBuilder, Result, Storage, Timeouts, WorkspaceId};

pub(crate) const ID: &str = "7fda77bf-a467-441c-9fab-7d8aba8e6040";

/// Nothing in these tests takes longer, whatever goes wrong.
const PATIENCE: Duration = Duration::from_secs(10);

/// An agent that holds a token and keeps it in memory. Its platform is on this machine, which no proxy stands before.
pub(crate) fn builder(platform: &str) -> AgentBuilder {
    Agent::builder(platform, ID).token("tok-123").storage(Storage::Memory)
}

pub(crate) fn agent(platform: &str) -> Agent {
    builder(platform).build().unwrap()
}

pub(crate) fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Limits that no test reaches, for a test to replace one of them.
pub(crate) fn patient() -> Timeouts {
    let limits = Timeouts::new().connect(PATIENCE).answer(PATIENCE).read(PATIENCE);
    limits.request(PATIENCE).call(PATIENCE).peer(PATIENCE)
}

/// `GET /probe`, whose answer is its text. `AGAIN`: whether it may be sent again after it may have arrived.
#[derive(Debug, Clone)]
pub(crate) struct Probe<const AGAIN: bool>;

pub(crate) const ONCE: Probe<false> = Probe;
pub(crate) const AGAIN: Probe<true> = Probe;

impl<const AGAIN: bool> Endpoint for Probe<AGAIN> {
    type Answer = String;
    const OPERATION: &'static str = "probe";
    const REPEAT: Repeat = if AGAIN { Repeat::Always } else { Repeat::OnlyUnsent };
    const SHAPE: &'static str = "text";
    const MAX_BODY: u64 = 1000;

    fn draft(&self, _: &WorkspaceId) -> Result<Draft> {
        Ok(Draft::new(Method::GET, "/probe", Auth::Open))
    }

    fn decode(&self, answer: &Response<Bytes>) -> Result<String, Mismatch> {
        Ok(String::from_utf8_lossy(answer.body()).into_owned())
    }
}

/// A stream that a peer reads and writes: plain, or with TLS around it.
pub(crate) trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// One connection, as the peer's script sees it.
pub(crate) struct Conversation {
    stream: Box<dyn Stream>,
    socket: TcpStream,
    log: Arc<Mutex<Vec<String>>>,
}

impl Conversation {
    /// Reads a request with its body. `None` when the client closed.
    pub(crate) fn request(&mut self) -> Option<String> {
        let mut text = String::new();
        while !text.ends_with("\r\n\r\n") {
            text.push(self.byte()?);
        }
        let length = text.to_ascii_lowercase();
        let length = length.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
        for _ in 0..length {
            text.push(self.byte()?);
        }
        self.log.lock().unwrap().push(text.clone());
        Some(text)
    }

    fn byte(&mut self) -> Option<char> {
        let mut byte = [0];
        (self.stream.read(&mut byte).ok()? == 1).then(|| char::from(byte[0]))
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        // The client may have given up.
        let _ = self.stream.write_all(bytes.as_ref()).and_then(|()| self.stream.flush());
    }

    /// A whole answer.
    pub(crate) fn answer(&mut self, status: &str, body: &str) {
        self.send(format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len()));
    }

    /// Answers one request with 200, and says whether there was one.
    pub(crate) fn serve(&mut self, body: &str) -> bool {
        let asked = self.request().is_some();
        if asked {
            self.answer("200 OK", body);
        }
        asked
    }

    /// Closes the connection, of which others have copies, for all of them.
    pub(crate) fn close(&mut self) {
        let _ = self.socket.shutdown(Shutdown::Both);
    }

    /// Says nothing until the client closes.
    pub(crate) fn stall(&mut self) {
        while self.byte().is_some() {}
    }
}

/// A peer on a port of the loopback interface. It ends, with its connections, when it is dropped.
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    log: Arc<Mutex<Vec<String>>>,
    accepted: Arc<AtomicUsize>,
    open: Arc<Mutex<Vec<TcpStream>>>,
    stopped: Arc<AtomicBool>,
    listener: Option<JoinHandle<()>>,
}

impl Peer {
    pub(crate) fn new(script: impl Fn(&mut Conversation) + Send + Sync + 'static) -> Self {
        Self::secured(|stream| Some(Box::new(stream)), script)
    }

    /// A peer that wraps each connection; `None` if that failed.
    pub(crate) fn secured(
        wrap: impl Fn(TcpStream) -> Option<Box<dyn Stream>> + Send + Sync + 'static,
        script: impl Fn(&mut Conversation) + Send + Sync + 'static,
    ) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut peer = Self {
            address: socket.local_addr().unwrap(),
            log: Arc::default(),
            accepted: Arc::default(),
            open: Arc::default(),
            stopped: Arc::default(),
            listener: None,
        };
        let (log, accepted, open, stopped) =
            (peer.log.clone(), peer.accepted.clone(), peer.open.clone(), peer.stopped.clone());
        let (wrap, script) = (Arc::new(wrap), Arc::new(script));
        peer.listener = Some(thread::spawn(move || {
            for stream in socket.incoming().map_while(io::Result::ok) {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                accepted.fetch_add(1, Ordering::SeqCst);
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                open.lock().unwrap().push(stream.try_clone().unwrap());
                let (wrap, script, log) = (wrap.clone(), script.clone(), log.clone());
                thread::spawn(move || {
                    let socket = stream.try_clone().unwrap();
                    if let Some(stream) = wrap(stream) {
                        let mut talk = Conversation { stream, socket, log };
                        script(&mut talk);
                        talk.close();
                    }
                });
            }
        }));
        peer
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// The connections so far.
    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        // Wakes the listener.
        let _ = TcpStream::connect(self.address);
        if let Some(listener) = self.listener.take() {
            let _ = listener.join();
        }
        for stream in self.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// The path of a request.
pub(crate) fn path(request: &str) -> &str {
    request.split(' ').nth(1).unwrap_or_default()
}

/// A platform that takes the agent in, unless `first` has handled a request itself and says so.
pub(crate) fn platform(first: impl Fn(&mut Conversation, &str) -> bool + Send + Sync + 'static) -> Peer {
    Peer::new(move |talk| {
        while let Some(request) = talk.request() {
            if !first(talk, path(&request)) {
                let (status, body) = platform_says(&request);
                talk.answer(status, &body);
            }
        }
    })
}

/// What a platform that takes the agent in says to a request.
pub(crate) fn platform_says(request: &str) -> (&'static str, String) {
    let body = match path(request) {
        "/registry/register" => r#"{"status":"registered","delivery_mode":"poll"}"#.to_owned(),
        "/registry/heartbeat" => r#"{"status":"ok"}"#.to_owned(),
        path if path.ends_with("/state") => {
            format!(r#"{{"workspace_id":"{ID}","status":"online","paused":false,"deleted":false}}"#)
        }
        path if path.ends_with("/secrets/values") => r#"{"OPENAI_API_KEY":"sk-1"}"#.to_owned(),
        path if path.ends_with(ID) => format!(r#"{{"id":"{ID}","name":"w","status":"online","kind":"workspace"}}"#),
        _ => return ("404 Not Found", String::new()),
    };
    ("200 OK", body)
}
