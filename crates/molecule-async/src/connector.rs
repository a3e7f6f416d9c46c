//! Opens connections: resolve, connect, the proxy's tunnel, TLS, each a phase with a fault of its own.
//!
//! Nothing of a request is sent here, so every fault is [`Sent::No`]. The caller keeps the limit: dropping the future
//! closes what was opened so far.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use http::Uri;
use http::uri::Scheme;
use molecule_core::effect::{Fault, FaultKind, Sent};
use molecule_core::{ProxyRule, Result, Target, Transport};
use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::connection::Connection;
use crate::proxy;
use crate::tls::Tls;

/// How long one address is tried alone before the next one is tried beside it.
const STAGGER: Duration = Duration::from_millis(250);

/// The way to the platform.
pub(crate) struct Connector {
    tls: Tls,
    proxies: ProxyRule,
    names: Names,
}

/// Where addresses come from: the operating system, or a function of a test's.
pub(crate) enum Names {
    System,
    Given(Given),
}

/// The addresses of a host and port.
type Given = Box<dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync>;

impl Connector {
    /// # Errors
    /// `Config` if a certificate or the proxy makes no sense.
    pub(crate) fn new(transport: &Transport, names: Names) -> Result<Self> {
        let tls = Tls::new(&transport.extra_ca)?;
        Ok(Self { tls, proxies: molecule_host::proxy_rule(&transport.proxy)?, names })
    }

    /// # Errors
    /// `Config` if the platform is behind a proxy that cannot be used.
    pub(crate) fn check(&self, target: &Target) -> Result<()> {
        self.proxies.check(target)
    }

    /// A new connection to a URL's origin.
    pub(crate) async fn open(&self, uri: Uri) -> Result<Connection, Fault> {
        let https = uri.scheme() == Some(&Scheme::HTTPS);
        let host = uri.host().unwrap_or_default();
        let port = uri.port_u16().unwrap_or(if https { 443 } else { 80 });
        let stream = match self.proxies.proxy_for(&uri)? {
            Some(proxy) => proxy::tunnel(&self.names, proxy, host, port).await?,
            None => dial(&self.names, host, port).await?,
        };
        if https {
            Connection::speak(&uri, self.tls.handshake(host, stream).await?).await
        } else {
            Connection::speak(&uri, stream).await
        }
    }
}

/// A TCP connection to a host, as it stands in a URL, at whichever of its addresses answers first.
pub(crate) async fn dial(names: &Names, host: &str, port: u16) -> Result<TcpStream, Fault> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let resolve = |source| Fault { sent: Sent::No, kind: FaultKind::Resolve, source };
    let addresses = names.addresses(bare, port).await.map_err(|error| resolve(Some(error.into())))?;
    match connect(addresses.into_iter()).await {
        Ok(Some(stream)) => Ok(stream),
        Ok(None) => Err(resolve(None)),
        Err(error) => Err(Fault::with_source(Sent::No, FaultKind::Connect, error)),
    }
}

impl Names {
    async fn addresses(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        match (self, host.parse::<IpAddr>()) {
            (_, Ok(literal)) => Ok(vec![SocketAddr::new(literal, port)]),
            (Self::System, Err(_)) => Ok(lookup_host((host, port)).await?.collect()),
            (Self::Given(names), Err(_)) => names(host, port),
        }
    }
}

/// Tries the addresses in their order, the next one as soon as one failed or took longer than [`STAGGER`]. `None` without
/// any; the last error if all fail.
async fn connect(mut addresses: impl Iterator<Item = SocketAddr>) -> io::Result<Option<TcpStream>> {
    let mut attempts = JoinSet::new();
    let mut last = None;
    loop {
        let next = addresses.next();
        let alone = next.map(|address| attempts.spawn(TcpStream::connect(address))).map(|_| STAGGER);
        match timeout(alone.unwrap_or(Duration::MAX), attempts.join_next()).await {
            Ok(Some(Ok(Ok(stream)))) => {
                // Requests are small and written at once: nothing is gained by waiting for more.
                stream.set_nodelay(true)?;
                return Ok(Some(stream));
            }
            Ok(Some(Ok(Err(error)))) => last = Some(error),
            Ok(Some(Err(error))) => last = Some(io::Error::other(error)),
            // Every attempt was seen to its end, and there is no other address.
            Ok(None) => return last.map_or(Ok(None), Err),
            Err(_) => {}
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use tokio::net::{TcpListener, TcpSocket};

    use super::*;

    /// An address where nobody listens, for as long as the socket lives.
    fn closed() -> (TcpSocket, SocketAddr) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let address = socket.local_addr().unwrap();
        (socket, address)
    }

    #[tokio::test]
    async fn every_address_is_tried() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let open = listener.local_addr().unwrap();
        let (first, second) = (closed(), closed());
        let stream = connect([first.1, second.1, open].into_iter()).await.unwrap().unwrap();
        assert_eq!(stream.peer_addr().unwrap(), open);
    }

    #[tokio::test]
    async fn the_last_error_is_told_and_no_address_is_none() {
        let (first, second) = (closed(), closed());
        let error = connect([first.1, second.1].into_iter()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert!(connect(std::iter::empty()).await.unwrap().is_none());
    }
}
