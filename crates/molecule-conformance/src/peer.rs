//! The peer that performs scripts: a listener on the loopback interface and a thread for each connection.
//!
//! Every wait is bounded, and [`Peer::finish`] ends all of it.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustls::{ServerConnection, StreamOwned};

use super::act::Act;

/// Nothing here takes longer, whatever goes wrong.
const PATIENCE: Duration = Duration::from_secs(10);

/// A peer that is at work.
pub(super) struct Peer {
    address: SocketAddr,
    closed: ClosedPort,
    shared: Arc<Shared>,
    listener: JoinHandle<Vec<JoinHandle<()>>>,
}

/// What a peer saw.
#[derive(Debug, Default, Clone)]
pub(super) struct Log {
    /// Connections that were opened.
    pub(super) opened: usize,
    /// Connections on which the peer says nothing more.
    pub(super) closed: usize,
    /// Bytes of requests, complete or not.
    pub(super) bytes: usize,
    /// Bytes that the client took of a flood.
    pub(super) written: u64,
    /// Requests that were taken.
    pub(super) requests: Vec<Vec<u8>>,
    /// What was said to a proxy, before TLS began.
    pub(super) tunnels: Vec<Vec<u8>>,
}

#[derive(Default)]
struct Shared {
    log: Mutex<(Log, bool)>,
    changed: Condvar,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, (Log, bool)> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, change: impl FnOnce(&mut Log)) {
        change(&mut self.state().0);
        self.changed.notify_all();
    }

    /// Waits until the log is so, or the case is over.
    fn wait(&self, until: impl Fn(&Log) -> bool) {
        let waiting = |state: &mut (Log, bool)| !state.1 && !until(&state.0);
        drop(self.changed.wait_timeout_while(self.state(), PATIENCE, waiting));
    }

    fn finish(&self) {
        self.state().1 = true;
        self.changed.notify_all();
    }
}

impl Peer {
    /// A peer that performs one script for each connection, in order. What comes after the last is closed at once.
    /// `secret`: only what is said under TLS belongs to a request.
    pub(super) fn start(scripts: Vec<Vec<Act>>, secret: bool) -> io::Result<Self> {
        let socket = TcpListener::bind("127.0.0.1:0")?;
        let address = socket.local_addr()?;
        let shared = Arc::<Shared>::default();
        let inside = shared.clone();
        let listener = thread::spawn(move || {
            let mut scripts = scripts.into_iter();
            let mut lines = Vec::new();
            for stream in socket.incoming().map_while(io::Result::ok) {
                if inside.state().1 {
                    break;
                }
                inside.note(|log| log.opened += 1);
                let Some(script) = scripts.next() else { continue };
                let shared = inside.clone();
                lines.push(thread::spawn(move || {
                    if let Ok(mut line) = Line::new(stream, shared.clone(), secret) {
                        line.perform(script);
                    }
                }));
            }
            lines
        });
        Ok(Self { address, closed: ClosedPort::new()?, shared, listener })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where nobody listens.
    pub(super) fn closed(&self) -> SocketAddr {
        self.closed.0
    }

    /// What it saw so far.
    pub(super) fn log(&self) -> Log {
        self.shared.state().0.clone()
    }

    /// Waits until this many connections were closed.
    pub(super) fn wait_closed(&self, connections: usize) {
        self.shared.wait(|log| log.closed >= connections);
    }

    /// Ends it. Its client must be gone, so that everything that was sent is read by now or soon.
    pub(super) fn finish(self) -> Log {
        self.shared.finish();
        // Wakes the listener.
        drop(TcpStream::connect(self.address));
        for line in self.listener.join().unwrap_or_default() {
            // A panic there is a script that makes no sense; the case then fails for what is missing in the log.
            drop(line.join());
        }
        self.shared.state().0.clone()
    }
}

/// A port that is taken by the near end of a connection, so that nobody else can listen on it meanwhile.
struct ClosedPort(SocketAddr, #[allow(dead_code, reason = "held")] (TcpListener, TcpStream));

impl ClosedPort {
    fn new() -> io::Result<Self> {
        let far = TcpListener::bind("127.0.0.1:0")?;
        let near = TcpStream::connect(far.local_addr()?)?;
        Ok(Self(near.local_addr()?, (far, near)))
    }
}

/// One connection.
struct Line {
    stream: Stream,
    /// Read and not taken.
    unread: Vec<u8>,
    shared: Arc<Shared>,
    /// Whether what arrives belongs to a request.
    counts: bool,
}

enum Stream {
    Plain(TcpStream),
    Secured(Box<StreamOwned<ServerConnection, TcpStream>>),
    Gone,
}

/// How a script ends.
#[derive(PartialEq, Eq)]
enum End {
    Goodbye,
    Cut,
    Slam,
}

impl Line {
    fn new(stream: TcpStream, shared: Arc<Shared>, secret: bool) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream: Stream::Plain(stream), unread: Vec::new(), shared, counts: !secret })
    }

    fn perform(&mut self, script: Vec<Act>) {
        // A client that has gone ends a script early, as it does for any server.
        let end = self.acts(script).unwrap_or(End::Goodbye);
        if end == End::Slam {
            self.stream = Stream::Gone;
        } else {
            self.stop_sending(end == End::Goodbye);
        }
        self.shared.note(|log| log.closed += 1);
        while self.read().is_ok_and(|amount| amount > 0) {}
    }

    fn acts(&mut self, script: Vec<Act>) -> io::Result<End> {
        for act in script {
            match act {
                Act::Notice => drop(self.stream.socket()?.peek(&mut [0])?),
                Act::Take => self.take()?,
                Act::Send(bytes) => self.send(&bytes)?,
                Act::Drip(bytes, every) => {
                    for byte in bytes.iter() {
                        self.send(&[*byte])?;
                        self.pause(every)?;
                    }
                }
                Act::Flood(amount) => self.flood(amount)?,
                Act::Pause(time) => self.pause(time)?,
                Act::Listen => while self.read()? > 0 {},
                Act::Hold => self.shared.wait(|_| false),
                Act::Secure(certificate) => {
                    let Stream::Plain(mut socket) = std::mem::replace(&mut self.stream, Stream::Gone) else {
                        return Err(io::ErrorKind::NotConnected.into());
                    };
                    let mut tls = ServerConnection::new(certificate.config()).map_err(io::Error::other)?;
                    let shaken = tls.complete_io(&mut socket);
                    // An alert that the handshake ended with is sent with the stream's goodbye.
                    self.stream = Stream::Secured(Box::new(StreamOwned::new(tls, socket)));
                    self.counts = true;
                    shaken?;
                }
                Act::Cut => return Ok(End::Cut),
                Act::Slam => return Ok(End::Slam),
            }
        }
        Ok(End::Goodbye)
    }

    fn take(&mut self) -> io::Result<()> {
        let head = loop {
            if let Some(end) = self.unread.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break end + 4;
            }
            self.read_some()?;
        };
        let text = String::from_utf8_lossy(&self.unread[..head]).to_ascii_lowercase();
        let length = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
        let end = head + length.unwrap_or(0);
        while self.unread.len() < end {
            self.read_some()?;
        }
        let request: Vec<u8> = self.unread.drain(..end).collect();
        let counts = self.counts;
        self.shared.note(|log| if counts { log.requests.push(request) } else { log.tunnels.push(request) });
        Ok(())
    }

    fn read_some(&mut self) -> io::Result<()> {
        if self.read()? == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    fn read(&mut self) -> io::Result<usize> {
        let mut piece = [0; 16 * 1024];
        let amount = match &mut self.stream {
            Stream::Plain(socket) => socket.read(&mut piece)?,
            Stream::Secured(tls) => tls.read(&mut piece)?,
            Stream::Gone => 0,
        };
        self.unread.extend_from_slice(&piece[..amount]);
        if self.counts {
            self.shared.note(|log| log.bytes += amount);
        }
        Ok(amount)
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.stream {
            Stream::Plain(socket) => socket.write_all(bytes),
            Stream::Secured(tls) => tls.write_all(bytes).and_then(|()| tls.flush()),
            Stream::Gone => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    fn flood(&mut self, amount: u64) -> io::Result<()> {
        let piece = [b'x'; 64 * 1024];
        let mut left = amount;
        while left > 0 {
            let part = usize::try_from(left).unwrap_or(piece.len()).min(piece.len());
            self.send(&piece[..part])?;
            self.shared.note(|log| log.written += part as u64);
            left -= part as u64;
        }
        Ok(())
    }

    /// Reads, for this long at the most: a client that goes is noticed at once.
    fn pause(&mut self, time: Duration) -> io::Result<()> {
        self.stream.socket()?.set_read_timeout(Some(time))?;
        let read = self.read();
        self.stream.socket()?.set_read_timeout(Some(PATIENCE))?;
        match read {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Err(error) if !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    fn stop_sending(&mut self, goodbye: bool) {
        // The client may have gone, and then there is nobody to tell.
        if let Stream::Secured(tls) = &mut self.stream
            && goodbye
        {
            tls.conn.send_close_notify();
            drop(tls.flush());
        }
        drop(self.stream.socket().and_then(|socket| socket.shutdown(Shutdown::Write)));
    }
}

impl Stream {
    fn socket(&self) -> io::Result<&TcpStream> {
        match self {
            Self::Plain(socket) => Ok(socket),
            Self::Secured(tls) => Ok(tls.get_ref()),
            Self::Gone => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}
