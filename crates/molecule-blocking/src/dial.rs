//! A TCP connection to a host and port, at whichever of its addresses answers first.

use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};
use std::{io, thread};

use molecule_core::effect::connection::{Reach, STAGGER};
use molecule_core::effect::{Fault, FaultKind, Phase, Sent};
use molecule_core::machine::Now;
use molecule_host::keep_alive;

use crate::resolver::{HostPort, Resolver};

/// The stack of a thread that waits for a connection.
const STACK: usize = 64 * 1024;

/// The moment by which a connection must be open.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    until: Instant,
    phase: Phase,
}

impl Deadline {
    /// The moment `limit` after `started`; `phase` says which limit that is.
    pub(crate) fn new(started: Instant, limit: Duration, phase: Phase) -> Self {
        // The sum exists, since no limit is longer than an hour.
        Self { until: started.checked_add(limit).unwrap_or(started), phase }
    }

    /// The time that is left.
    pub(crate) fn left(self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }

    /// The fault of a deadline that has passed.
    pub(crate) fn passed(self) -> Fault {
        Fault::new(Sent::No, FaultKind::Timeout(self.phase))
    }
}

/// Resolves and connects.
///
/// # Errors
/// `Resolve`, `OutOfReach`, `Connect` or `Timeout`; nothing of a request was sent.
pub(crate) fn dial(
    resolver: &Resolver,
    remote: &HostPort,
    reach: Reach,
    now: Now,
    deadline: Deadline,
) -> Result<TcpStream, Fault> {
    let addresses = reach.admitted(remote.host(), resolver.addresses(remote, now, deadline)?)?;
    let (stream, address) = connect(&addresses, deadline).inspect_err(|_| resolver.forget(remote))?;
    let set = |source| Fault::with_source(Sent::No, FaultKind::Connect, source);
    let local = stream.local_addr().map_err(set)?;
    reach.check_connection(remote.host(), local.ip(), address.ip())?;
    // Requests are small and written at once, so Nagle's algorithm would only delay them.
    stream.set_nodelay(true).map_err(set)?;
    keep_alive(&stream);
    resolver.worked(remote, address);
    Ok(stream)
}

/// Tries the addresses in their order, the next one as soon as one failed or took longer than [`STAGGER`].
fn connect(addresses: &[SocketAddr], deadline: Deadline) -> Result<(TcpStream, SocketAddr), Fault> {
    let (tell, told) = channel();
    let mut last = None;
    let mut under_way = 0_usize;
    let mut rest = addresses;
    loop {
        let left = deadline.left();
        if left.is_zero() {
            return Err(deadline.passed());
        }
        if let Some((address, others)) = rest.split_first() {
            // A single attempt needs no thread of its own.
            attempt(*address, left, &tell, others.is_empty() && under_way == 0);
            under_way += 1;
            rest = others;
        } else if under_way == 0 {
            let cause = last.unwrap_or_else(|| io::Error::other("there is no address"));
            return Err(Fault::with_source(Sent::No, FaultKind::Connect, cause));
        }
        let patience = if rest.is_empty() { deadline.left() } else { STAGGER.min(deadline.left()) };
        match told.recv_timeout(patience) {
            Ok((address, Ok(stream))) => return Ok((stream, address)),
            Ok((_, Err(error))) => {
                last = Some(error);
                under_way -= 1;
            }
            // The limit passed; the channel cannot be closed, since its sender is here.
            Err(_) => {}
        }
    }
}

type Tried = (SocketAddr, io::Result<TcpStream>);

/// Tries one address: on this thread, or on one of its own, which is left to itself once another address has answered.
fn attempt(address: SocketAddr, left: Duration, tell: &Sender<Tried>, here: bool) {
    let connect = move |tell: &Sender<Tried>| {
        // Where the receiver is gone, the stream is closed.
        let _ = tell.send((address, TcpStream::connect_timeout(&address, left)));
    };
    let beside = tell.clone();
    let thread = thread::Builder::new().name("molecule-connect".to_owned()).stack_size(STACK);
    if here || thread.spawn(move || connect(&beside)).is_err() {
        connect(tell);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::net::TcpListener;

    use molecule_conformance::ClosedPort;

    use super::*;

    fn soon() -> Deadline {
        Deadline::new(Instant::now(), Duration::from_secs(10), Phase::Connect)
    }

    #[test]
    fn every_address_is_tried_however_many_there_are() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let open = listener.local_addr().unwrap();
        let closed = ClosedPort::new();
        let mut addresses = vec![closed.address(); 40];
        addresses.push(open);
        assert_eq!(connect(&addresses, soon()).unwrap().1, open);
    }

    #[test]
    fn the_last_error_is_told_and_no_address_is_one_too() {
        let closed = ClosedPort::new();
        let fault = connect(&[closed.address(), closed.address()], soon()).unwrap_err();
        assert_eq!((fault.sent, fault.kind), (Sent::No, FaultKind::Connect));
        assert!(fault.source.unwrap().to_string().contains("refused"));
        assert_eq!(connect(&[], soon()).unwrap_err().kind, FaultKind::Connect);
    }

    #[test]
    fn a_limit_that_passed_is_told_as_such() {
        let over = Deadline::new(Instant::now(), Duration::ZERO, Phase::Total);
        let closed = ClosedPort::new();
        assert_eq!(connect(&[closed.address()], over).unwrap_err().kind, FaultKind::Timeout(Phase::Total));
    }

    /// An address that takes nobody: its queue is full, and it does not say so.
    #[cfg(target_os = "linux")]
    fn silent() -> (rustix::fd::OwnedFd, Vec<TcpStream>, SocketAddr) {
        use rustix::net::{AddressFamily, SocketType, bind, getsockname, listen, socket};
        let listener = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        bind(&listener, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        listen(&listener, 0).unwrap();
        let address: SocketAddr = getsockname(&listener).unwrap().try_into().unwrap();
        let mut queue = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
            queue.push(stream);
        }
        (listener, queue, address)
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_next_address_is_tried_beside_one_that_says_nothing() {
        let (_listener, _queue, silent) = silent();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let open = listener.local_addr().unwrap();
        let patient = Deadline::new(Instant::now(), Duration::from_secs(60), Phase::Connect);
        let (_, reached) = connect(&[silent, silent, silent, open], patient).unwrap();
        assert_eq!(reached, open);
        // One after the other they would take twenty seconds each to give up.
        assert!(patient.left() > Duration::from_secs(40), "{:?}", patient.left());
        let short = Deadline::new(Instant::now(), Duration::from_millis(600), Phase::Connect);
        assert_eq!(connect(&[silent, silent], short).unwrap_err().kind, FaultKind::Timeout(Phase::Connect));
        let short = Deadline::new(Instant::now(), Duration::from_millis(100), Phase::Connect);
        assert_eq!(connect(&[silent], short).unwrap_err().kind, FaultKind::Timeout(Phase::Connect));
    }
}
