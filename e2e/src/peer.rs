//! A push agent's own port: it answers messages as it is told to, and keeps what it heard.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use molecule_conformance::Certificate;
use molecule_core::proto::{Message, RpcAnswer, RpcRequest};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;

use crate::log::{Log, PATIENCE};

/// How a peer answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Manner {
    /// With a message: `got` and the text that it was sent.
    Echo,
    /// The same to whoever has this bearer, and 401 to others.
    EchoTo(String),
    /// With this status, these header lines and this body.
    Answer(u16, &'static str, &'static str),
    /// By closing the connection.
    Close,
    /// Never.
    Hang,
    /// With so many megabytes.
    Flood(u64),
}

/// What a peer heard.
#[derive(Debug, Clone)]
pub struct Heard {
    /// Header names in lower case, with their values.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Value,
}

impl Heard {
    /// The id of the message.
    pub fn message_id(&self) -> &str {
        self.body["params"]["message"]["messageId"].as_str().unwrap_or_default()
    }
}

/// A port of loopback on which an agent can be called.
#[derive(Debug)]
pub struct Peer {
    address: SocketAddr,
    scheme: &'static str,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    tls: Option<Arc<ServerConfig>>,
    manner: Mutex<Manner>,
    heard: Log<Heard>,
    /// Connections that are never answered.
    held: Mutex<Vec<Box<dyn Stream>>>,
    over: AtomicBool,
}

impl Peer {
    /// One that answers in this manner.
    ///
    /// # Panics
    /// If there is no free loopback port.
    pub fn new(manner: Manner) -> Self {
        Self::start(manner, None)
    }

    /// The same over TLS, with this certificate.
    ///
    /// # Panics
    /// If there is no free loopback port.
    pub fn secure(manner: Manner, certificate: Certificate) -> Self {
        Self::start(manner, Some(certificate.config()))
    }

    fn start(manner: Manner, tls: Option<Arc<ServerConfig>>) -> Self {
        let scheme = if tls.is_some() { "https" } else { "http" };
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
        let address = listener.local_addr().expect("it listens");
        let shared = Arc::new(Shared {
            tls,
            manner: Mutex::new(manner),
            heard: Log::default(),
            held: Mutex::default(),
            over: AtomicBool::new(false),
        });
        let serving = Arc::clone(&shared);
        thread::spawn(move || serve(&listener, &serving));
        Self { address, scheme, shared }
    }

    /// Where it is called. April's server takes `localhost` alone for this machine.
    pub fn url(&self) -> String {
        format!("{}://localhost:{}/a2a", self.scheme, self.address.port())
    }

    /// From now on it answers like this.
    pub fn behave(&self, manner: Manner) {
        *self.shared.manner.lock().unwrap_or_else(PoisonError::into_inner) = manner;
    }

    /// What it heard so far.
    pub fn heard(&self) -> &Log<Heard> {
        &self.shared.heard
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        // Wakes the thread that accepts.
        drop(TcpStream::connect(self.address));
    }
}

fn serve(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming().map_while(Result::ok) {
        if shared.over.load(Ordering::Relaxed) {
            break;
        }
        let shared = Arc::clone(shared);
        // A connection that breaks is what some of the scenarios are about.
        thread::spawn(move || drop(greet(stream, &shared)));
    }
}

/// Shakes hands, where the peer does that.
fn greet(stream: TcpStream, shared: &Shared) -> io::Result<()> {
    let Some(tls) = &shared.tls else { return answer(stream, shared) };
    stream.set_read_timeout(Some(PATIENCE))?;
    let connection = ServerConnection::new(tls.clone()).map_err(io::Error::other)?;
    answer(StreamOwned::new(connection, stream), shared)
}

/// What a peer reads from and writes to.
trait Stream: Read + Write + Send + fmt::Debug + 'static {
    /// Ends it without another word.
    fn end(&self) -> io::Result<()>;
}

impl Stream for TcpStream {
    fn end(&self) -> io::Result<()> {
        self.shutdown(Shutdown::Both)
    }
}

impl Stream for StreamOwned<ServerConnection, TcpStream> {
    fn end(&self) -> io::Result<()> {
        self.sock.end()
    }
}

fn answer(mut stream: impl Stream, shared: &Shared) -> io::Result<()> {
    let Some(heard) = hear(&mut stream)? else { return Ok(()) };
    shared.heard.push(heard.clone());
    let manner = shared.manner.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match manner {
        Manner::Echo => echo(&mut stream, &heard),
        Manner::EchoTo(secret) if heard.headers.get("authorization") == Some(&format!("Bearer {secret}")) => {
            echo(&mut stream, &heard)
        }
        Manner::EchoTo(_) => write(&mut stream, 401, "", r#"{"error":"unauthorized"}"#),
        Manner::Answer(status, headers, body) => write(&mut stream, status, headers, body),
        Manner::Close => stream.end(),
        Manner::Hang => {
            shared.held.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(stream));
            Ok(())
        }
        Manner::Flood(megabytes) => flood(&mut stream, megabytes),
    }
}

/// Reads one request; nothing if the other side only looked in.
fn hear(stream: &mut impl Stream) -> io::Result<Option<Heard>> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut headers = BTreeMap::new();
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let body = serde_json::from_slice(&body).unwrap_or_default();
    Ok(Some(Heard { headers, body }))
}

fn echo(stream: &mut impl Stream, heard: &Heard) -> io::Result<()> {
    let request: RpcRequest = serde_json::from_value(heard.body.clone())?;
    let message = request.send_params().map(|params| params.message);
    let text = message.iter().flat_map(Message::texts).collect::<Vec<_>>().join(" ");
    let reply = Message::reply(format!("got {text}")).with_id("r-1");
    let answer = RpcAnswer::result(request.id.unwrap_or_default(), reply);
    write(stream, 200, "Content-Type: application/json\r\n", &serde_json::to_string(&answer)?)
}

fn write(stream: &mut impl Stream, status: u16, headers: &str, body: &str) -> io::Result<()> {
    let length = body.len();
    write!(stream, "HTTP/1.1 {status} Because\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}")
}

fn flood(stream: &mut impl Stream, megabytes: u64) -> io::Result<()> {
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n")?;
    let piece = vec![b' '; 1024 * 1024];
    (0..megabytes).try_for_each(|_| stream.write_all(&piece))
}
