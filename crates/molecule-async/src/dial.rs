//! TCP connections: to the first address of a host that answers and that the request may reach. Keepalive finds a peer that falls
//! silent.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use molecule_core::effect::connection::{Reach, STAGGER, bare_host};
use molecule_core::effect::{Fault, FaultKind, Sent};
use molecule_host::keep_alive;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::resolver::Resolver;

/// A TCP connection to a host, as it stands in a URL.
pub(crate) async fn dial(resolver: &Resolver, host: &str, port: u16, reach: Reach) -> Result<TcpStream, Fault> {
    let bare = bare_host(host);
    let addresses = resolver.addresses(bare, port).await;
    let addresses = addresses.map_err(|error| Fault::with_source(Sent::No, FaultKind::Resolve, error))?;
    let unconnected = |error| Fault::with_source(Sent::No, FaultKind::Connect, error);
    let stream = connect(reach.admitted(bare, addresses)?.into_iter()).await.map_err(unconnected)?;
    // The ends are asked for only where the reach depends on them.
    if reach != Reach::Anywhere {
        let ends = stream.local_addr().and_then(|local| Ok((local.ip(), stream.peer_addr()?.ip())));
        let (local, remote) = ends.map_err(unconnected)?;
        reach.check_connection(bare, local, remote)?;
    }
    Ok(stream)
}

/// Tries the addresses in their order, the next one as soon as one failed or took longer than [`STAGGER`]. The last error if all
/// fail.
async fn connect(mut addresses: impl Iterator<Item = SocketAddr>) -> io::Result<TcpStream> {
    let mut attempts = JoinSet::new();
    let mut last = None;
    loop {
        let next = addresses.next();
        let alone = next.map(|address| attempts.spawn(TcpStream::connect(address))).map(|_| STAGGER);
        match timeout(alone.unwrap_or(Duration::MAX), attempts.join_next()).await {
            Ok(Some(Ok(Ok(stream)))) => {
                // Requests are small and written at once, so Nagle's algorithm would only delay them.
                stream.set_nodelay(true)?;
                keep_alive(&stream);
                return Ok(stream);
            }
            Ok(Some(Ok(Err(error)))) => last = Some(error),
            Ok(Some(Err(error))) => last = Some(io::Error::other(error)),
            // Every attempt has failed, and there is no other address.
            Ok(None) => return Err(last.unwrap_or_else(|| io::Error::other("there is no address"))),
            Err(_) => {}
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use molecule_conformance::ClosedPort;
    use molecule_host::Names;
    use socket2::SockRef;
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn every_address_is_tried() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let open = listener.local_addr().unwrap();
        let (first, second) = (ClosedPort::new(), ClosedPort::new());
        let stream = connect([first.address(), second.address(), open].into_iter()).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), open);
    }

    #[tokio::test]
    async fn the_last_error_is_told_and_no_address_is_one_too() {
        let (first, second) = (ClosedPort::new(), ClosedPort::new());
        let error = connect([first.address(), second.address()].into_iter()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert!(connect(std::iter::empty()).await.is_err());
    }

    #[tokio::test]
    async fn an_other_end_that_falls_silent_is_asked_and_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = connect([listener.local_addr().unwrap()].into_iter()).await.unwrap();
        assert!(SockRef::from(&stream).keepalive().unwrap());
        #[cfg(target_os = "linux")]
        {
            let socket = SockRef::from(&stream);
            assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(30));
            assert_eq!(socket.tcp_keepalive_interval().unwrap(), Duration::from_secs(15));
            assert_eq!(socket.tcp_user_timeout().unwrap(), Some(Duration::from_secs(60)));
        }
    }

    /// What becomes of a dial to a name with these addresses.
    async fn dialed(addresses: Vec<SocketAddr>, reach: Reach) -> Result<SocketAddr, FaultKind> {
        let resolver = Resolver::new(Names::given(move |_, _| Ok(addresses.clone())));
        let stream = dial(&resolver, "peer.example", 9, reach).await.map_err(|fault| {
            assert_eq!(fault.sent, Sent::No);
            fault.kind
        })?;
        Ok(stream.peer_addr().unwrap())
    }

    #[tokio::test]
    async fn a_name_is_called_at_the_addresses_that_its_request_may_reach() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here = listener.local_addr().unwrap();
        let metadata: SocketAddr = "169.254.169.254:80".parse().unwrap();
        let private: SocketAddr = "10.0.0.7:443".parse().unwrap();
        for nowhere in [vec![here], vec![metadata], vec![private, here, metadata]] {
            assert_eq!(dialed(nowhere, Reach::Public).await, Err(FaultKind::OutOfReach));
        }
        // Nothing arrived there.
        assert!(timeout(Duration::ZERO, listener.accept()).await.is_err());
        assert_eq!(dialed(vec![metadata, private, here], Reach::PublicOrLoopback).await, Ok(here));
        assert_eq!(dialed(vec![here], Reach::Anywhere).await, Ok(here));
        assert_eq!(dialed(vec![], Reach::Public).await, Err(FaultKind::Resolve));
    }

    #[tokio::test]
    async fn a_fault_names_the_address() {
        let private = "10.0.0.7:443".parse().unwrap();
        let resolver = Resolver::new(Names::given(move |_, _| Ok(vec![private])));
        let fault = dial(&resolver, "peer.example", 443, Reach::Public).await.unwrap_err();
        assert!(fault.source.unwrap().to_string().contains("peer.example leads to 10.0.0.7"));
    }
}
