//! A caller of A2A servers: kept connections that write prepared requests and read whole answers, and nothing else, so
//! that a figure is the server's.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::Outcome;
use crate::meter::{Cost, cost};

/// The calls of one server: `message/send`, each with an id of its own.
#[derive(Debug, Clone)]
pub struct Calls {
    port: u16,
    bearer: String,
    /// The text of each message.
    text: String,
    next: Arc<AtomicU64>,
}

impl Calls {
    /// Calls of the server on this port, with this bearer and a text of so many bytes.
    #[must_use]
    pub fn new(port: u16, bearer: &str, bytes: usize) -> Self {
        Self { port, bearer: bearer.to_owned(), text: "x".repeat(bytes), next: Arc::default() }
    }

    /// One call as bytes, with the next id.
    #[must_use]
    pub fn next(&self) -> Vec<u8> {
        self.with_id(self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// One call as bytes.
    #[must_use]
    pub fn with_id(&self, number: u64) -> Vec<u8> {
        let (bearer, text, port) = (&self.bearer, &self.text, self.port);
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":"{number:012}","method":"message/send","params":{{"message":{{"kind":"message","messageId":"{number:012}","role":"user","parts":[{{"kind":"text","text":"{text}"}}]}}}}}}"#
        );
        let length = body.len();
        format!(
            "POST / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {bearer}\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .into_bytes()
    }

    /// Opens this number of connections.
    ///
    /// # Errors
    /// The errors of connecting.
    pub async fn connect(&self, count: usize) -> Outcome<Vec<Caller>> {
        let mut callers = Vec::with_capacity(count);
        for _ in 0..count {
            callers.push(Caller::connect(self.port).await?);
        }
        Ok(callers)
    }

    /// Lets all callers make this number of calls, each one after the other, and returns what it cost.
    ///
    /// # Errors
    /// The first error of a caller, or an answer that is not 200.
    pub fn round(
        &self,
        runtime: &tokio::runtime::Runtime,
        callers: Vec<Caller>,
        each: usize,
    ) -> Outcome<(Cost, Vec<Caller>)> {
        let act = async {
            let mut tasks = JoinSet::new();
            for mut caller in callers {
                let calls = self.clone();
                tasks.spawn(async move {
                    for _ in 0..each {
                        caller.call(&calls.next()).await?;
                    }
                    Outcome::Ok(caller)
                });
            }
            let mut back = Vec::new();
            while let Some(caller) = tasks.join_next().await {
                back.push(caller??);
            }
            Outcome::Ok(back)
        };
        let (spent, callers) = cost(|| runtime.block_on(act));
        Ok((spent, callers?))
    }

    /// The time of each of so many calls of one connection.
    ///
    /// # Errors
    /// The errors of a caller.
    pub fn latencies(&self, runtime: &tokio::runtime::Runtime, count: usize) -> Outcome<Vec<Duration>> {
        runtime.block_on(async {
            let mut caller = Caller::connect(self.port).await?;
            let mut times = Vec::with_capacity(count);
            for _ in 0..count {
                let call = self.next();
                let start = Instant::now();
                caller.call(&call).await?;
                times.push(start.elapsed());
            }
            Ok(times)
        })
    }
}

/// One connection.
#[derive(Debug)]
pub struct Caller {
    stream: TcpStream,
    /// The answer so far.
    bytes: Vec<u8>,
}

impl Caller {
    /// Connects.
    ///
    /// # Errors
    /// The error of connecting.
    pub async fn connect(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, bytes: Vec::new() })
    }

    /// Makes one call, and returns when its whole answer was read.
    ///
    /// # Errors
    /// The errors of the socket, and an answer that is not 200.
    pub async fn call(&mut self, request: &[u8]) -> Outcome {
        self.send(request).await?;
        self.answer().await
    }

    /// Writes bytes.
    ///
    /// # Errors
    /// The errors of the socket.
    pub async fn send(&mut self, mut rest: &[u8]) -> io::Result<()> {
        while !rest.is_empty() {
            match self.stream.try_write(rest) {
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.stream.writable().await?,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads one answer.
    ///
    /// # Errors
    /// The errors of the socket, and an answer that is not 200.
    pub async fn answer(&mut self) -> Outcome {
        self.bytes.clear();
        let mut piece = [0; 16 * 1024];
        loop {
            match self.stream.try_read(&mut piece) {
                Ok(0) => return Err("the server closed".into()),
                Ok(length) => self.bytes.extend_from_slice(&piece[..length]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.stream.readable().await?,
                Err(error) => return Err(error.into()),
            }
            if is_whole(&self.bytes)? {
                return Ok(());
            }
        }
    }

    /// The body of the last answer.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        head_length(&self.bytes).map_or(&[], |head| &self.bytes[head..])
    }
}

fn head_length(bytes: &[u8]) -> Option<usize> {
    Some(bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4)
}

/// Whether these bytes are a whole answer with its length in its head.
fn is_whole(bytes: &[u8]) -> Outcome<bool> {
    let Some(end) = head_length(bytes) else {
        return Ok(false);
    };
    let head = std::str::from_utf8(&bytes[..end])?;
    if !head.starts_with("HTTP/1.1 200 ") {
        return Err(format!("{:?}", String::from_utf8_lossy(bytes)).into());
    }
    let lines = head.split("\r\n").filter_map(|line| line.split_once(':'));
    let length = lines.filter(|(name, _)| name.eq_ignore_ascii_case("content-length")).map(|(_, value)| value).next();
    let length: usize = length.ok_or("an answer without a length")?.trim().parse()?;
    Ok(bytes.len() >= end + length)
}
