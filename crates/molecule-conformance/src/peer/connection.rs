//! One connection of a scripted peer, as its script uses it.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::{ServerConnection, StreamOwned};

use super::PATIENCE;
use super::log::{Received, Shared};
use crate::act::{Certificate, PeerAction};

/// One connection of a peer. After the client is gone or an action closed it, every further action does nothing.
pub struct Connection {
    number: usize,
    stream: Stream,
    /// Bytes that were read and belong to no complete request yet.
    unread: Vec<u8>,
    shared: Arc<Shared>,
    /// Whether received bytes count as part of a request.
    counts: bool,
    ended: Option<Closing>,
}

enum Stream {
    Plain(TcpStream),
    Secured(Box<StreamOwned<ServerConnection, TcpStream>>),
    Gone,
}

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Closing {
    Goodbye,
    Cut,
    Slam,
}

impl Connection {
    pub(super) fn new(number: usize, stream: TcpStream, shared: Arc<Shared>) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { number, stream: Stream::Plain(stream), unread: Vec::new(), shared, counts: true, ended: None })
    }

    /// Its number among the peer's connections; the first is 1.
    pub fn number(&self) -> usize {
        self.number
    }

    /// Reads the next request with its body; `None` if the client is gone or the connection is closed.
    pub fn request(&mut self) -> Option<Received> {
        self.attempt(Self::take)
    }

    /// Sends bytes; returns whether the connection took them.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.attempt(|connection| connection.write(bytes.as_ref())).is_some()
    }

    /// Performs actions in their order; returns whether the connection is still open.
    pub fn perform(&mut self, acts: impl IntoIterator<Item = PeerAction>) -> bool {
        for act in acts {
            if let Some(Some(end)) = self.attempt(|connection| connection.act(act)) {
                self.ended = Some(end);
            }
        }
        self.ended.is_none()
    }

    /// Performs the script's actions for each request, until the connection is closed.
    pub fn answer(&mut self, script: impl Fn(&Received) -> Vec<PeerAction>) {
        while let Some(request) = self.request() {
            self.perform(script(&request));
        }
    }

    /// Reads until the client closes, at most 10 s; returns whether it did.
    pub fn is_left(&mut self) -> bool {
        loop {
            match self.read() {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => return !is_late(&error),
            }
        }
    }

    /// Treats everything before TLS as addressed to a proxy, so that it counts as part of no request.
    pub(super) fn expect_tunnel(&mut self) {
        self.counts = false;
    }

    /// Performs an action unless the script has ended. A client that is gone ends the script early, as it does for any
    /// server.
    fn attempt<T>(&mut self, act: impl FnOnce(&mut Self) -> io::Result<T>) -> Option<T> {
        if self.ended.is_some() {
            return None;
        }
        let done = act(self);
        if done.is_err() {
            self.ended = Some(Closing::Goodbye);
        }
        done.ok()
    }

    fn act(&mut self, act: PeerAction) -> io::Result<Option<Closing>> {
        match act {
            PeerAction::Notice => drop(self.stream.socket()?.peek(&mut [0])?),
            PeerAction::Take => drop(self.take()?),
            PeerAction::Send(bytes) => self.write(&bytes)?,
            PeerAction::Drip(bytes, every) => {
                for byte in bytes.iter() {
                    self.write(&[*byte])?;
                    self.pause(every)?;
                }
            }
            PeerAction::Flood(amount) => self.flood(amount)?,
            PeerAction::Pause(time) => self.pause(time)?,
            PeerAction::Listen => while self.read_patiently()? > 0 {},
            PeerAction::Hold => drop(self.shared.wait(|_| false)),
            PeerAction::Secure(certificate) => self.secure(certificate)?,
            PeerAction::Close => return Ok(Some(Closing::Goodbye)),
            PeerAction::Cut => return Ok(Some(Closing::Cut)),
            PeerAction::Slam => return Ok(Some(Closing::Slam)),
        }
        Ok(None)
    }

    fn take(&mut self) -> io::Result<Received> {
        let head = loop {
            if let Some(end) = self.unread.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break end;
            }
            self.read_some()?;
        };
        let text = String::from_utf8_lossy(&self.unread[..head]).into_owned();
        let mut received = Received { connection: self.number, head: text, body: Vec::new() };
        let length = received.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        let (begin, end) = (head + 4, head + 4 + length);
        while self.unread.len() < end {
            self.read_some()?;
        }
        received.body = self.unread[begin..end].to_vec();
        self.unread.drain(..end);
        let (noted, counts) = (received.clone(), self.counts);
        self.shared.note(|log| if counts { log.requests.push(noted) } else { log.tunnels.push(noted) });
        Ok(received)
    }

    fn read_some(&mut self) -> io::Result<()> {
        if self.read_patiently()? == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    /// Reads as soon as bytes arrive, however long that takes, until the peer is stopped.
    fn read_patiently(&mut self) -> io::Result<usize> {
        loop {
            match self.read() {
                Err(error) if is_late(&error) && !self.shared.is_over() => {}
                read => return read,
            }
        }
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

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
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
            self.write(&piece[..part])?;
            self.shared.note(|log| log.written += part as u64);
            left -= part as u64;
        }
        Ok(())
    }

    /// Reads for at most this long, so that it notices at once that the client is gone.
    fn pause(&mut self, time: Duration) -> io::Result<()> {
        self.stream.socket()?.set_read_timeout(Some(time))?;
        let read = self.read();
        self.stream.socket()?.set_read_timeout(Some(PATIENCE))?;
        match read {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Err(error) if !is_late(&error) => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    fn secure(&mut self, certificate: Certificate) -> io::Result<()> {
        let Stream::Plain(mut socket) = std::mem::replace(&mut self.stream, Stream::Gone) else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let mut tls = ServerConnection::new(certificate.config()).map_err(io::Error::other)?;
        let shaken = tls.complete_io(&mut socket);
        self.shared.note(|log| log.handshakes.extend(tls.handshake_kind()));
        // The alert that ended a failed handshake is sent when the stream is closed.
        self.stream = Stream::Secured(Box::new(StreamOwned::new(tls, socket)));
        self.counts = true;
        shaken.map(drop)
    }

    /// Closes the connection in the way that the script chose, and reads until the client closes.
    pub(super) fn end(&mut self) {
        match self.ended.unwrap_or(Closing::Goodbye) {
            Closing::Slam => {
                self.shared.release(self.number);
                self.stream = Stream::Gone;
            }
            end => self.stop_sending(end == Closing::Goodbye),
        }
        self.shared.note(|log| log.closed += 1);
        while self.read().is_ok_and(|amount| amount > 0) {}
    }

    fn stop_sending(&mut self, goodbye: bool) {
        // The client may be gone, and then nobody gets the alert.
        if let Stream::Secured(tls) = &mut self.stream
            && goodbye
        {
            tls.conn.send_close_notify();
            // A flush would wait for the rest of a failed handshake.
            while tls.conn.wants_write() && tls.conn.write_tls(&mut tls.sock).is_ok() {}
        }
        drop(self.stream.socket().and_then(|socket| socket.shutdown(Shutdown::Write)));
    }
}

impl Drop for Connection {
    /// Closes the connection, even after its script panicked.
    fn drop(&mut self) {
        self.shared.release(self.number);
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

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("number", &self.number).field("ended", &self.ended).finish_non_exhaustive()
    }
}

/// Returns whether a read failed by its timeout.
fn is_late(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}
