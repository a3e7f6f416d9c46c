//! The tunnel through a proxy: `CONNECT`, after which the stream is the target's.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use http::{StatusCode, Uri};
use molecule_core::HttpProxy;
use molecule_core::effect::{Fault, FaultKind, Sent};

use crate::dial::Deadline;

/// The most bytes of the head of the proxy's answer.
const LONGEST_HEAD: usize = 64 * 1024;

/// The most headers of the proxy's answer, as many as hyper takes.
const HEADERS: usize = 100;

/// Asks the proxy at the other end of a stream for a tunnel to the host of this URL. The proxy learns the host's name and nothing else.
///
/// # Errors
/// `Proxy`, `ProxyAuth` or `Timeout`; nothing of a request was sent.
pub(crate) fn open(stream: &TcpStream, proxy: &HttpProxy, uri: &Uri, deadline: Deadline) -> Result<(), Fault> {
    let failed = |error: io::Error| match error.kind() {
        // The socket's limit was what was left of the deadline.
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => deadline.passed(),
        _ => Fault::with_source(Sent::No, FaultKind::Proxy, error),
    };
    ask(stream, proxy, uri, deadline).map_err(failed)?;
    let mut answer = Vec::new();
    let (status, length) = loop {
        if let Some(head) = read(&answer)? {
            break head;
        }
        if answer.len() > LONGEST_HEAD {
            return Err(refused("the head of its answer has no end"));
        }
        limit(stream, deadline).map_err(failed)?;
        let mut piece = [0; 4096];
        match (&*stream).read(&mut piece) {
            Ok(0) => return Err(refused("it closed the connection instead of an answer")),
            Ok(amount) => answer.extend_from_slice(&piece[..amount]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
    };
    proxy.judge(status)?;
    if answer.len() > length {
        return Err(refused("it sent something of its own into the tunnel"));
    }
    Ok(())
}

fn ask(mut stream: &TcpStream, proxy: &HttpProxy, uri: &Uri, deadline: Deadline) -> io::Result<()> {
    let request = proxy.connect(uri);
    let mut head = format!("{} {} HTTP/1.1\r\n", request.method(), request.uri()).into_bytes();
    for (name, value) in request.headers() {
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    limit(stream, deadline)?;
    stream.write_all(&head)
}

/// Limits the next read or write of the socket to what is left of the deadline.
fn limit(stream: &TcpStream, deadline: Deadline) -> io::Result<()> {
    let left = deadline.left();
    if left.is_zero() {
        return Err(io::ErrorKind::TimedOut.into());
    }
    stream.set_read_timeout(Some(left))?;
    stream.set_write_timeout(Some(left))
}

/// Status and length of an answer's head; `None` while it is not complete.
fn read(answer: &[u8]) -> Result<Option<(StatusCode, usize)>, Fault> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut head = httparse::Response::new(&mut headers);
    let length = match head.parse(answer) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(refused(error)),
    };
    let status = StatusCode::from_u16(head.code.unwrap_or_default()).map_err(refused)?;
    Ok(Some((status, length)))
}

fn refused(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Fault {
    Fault::with_source(Sent::No, FaultKind::Proxy, cause)
}
