//! TLS under tokio.

use molecule_core::Result;
use molecule_core::effect::connection::Reach;
use molecule_core::effect::{Fault, FaultKind, Sent};
use molecule_host::tls::{Roots, failure, server_name};
pub(crate) use molecule_host::tls::{Tls, is_alert};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

#[cfg(feature = "platform-verifier")]
const ROOTS: Roots = Roots::System;
#[cfg(not(feature = "platform-verifier"))]
const ROOTS: Roots = Roots::Mozilla;

/// Trusts the built-in authorities and these, each in PEM.
///
/// # Errors
/// `Config` if one of them is no certificate.
pub(crate) fn set_up(extra_ca: &[Vec<u8>]) -> Result<Tls> {
    Tls::new(ROOTS, extra_ca)
}

/// Secures a stream to a host, as it stands in a URL.
pub(crate) async fn handshake(
    tls: &Tls,
    host: &str,
    stream: TcpStream,
    reach: Reach,
) -> Result<TlsStream<TcpStream>, Fault> {
    let name = server_name(host).map_err(|error| Fault::with_source(Sent::No, FaultKind::Tls, error))?;
    let secured = TlsConnector::from(tls.config(reach)).connect(name, stream).await;
    secured.map_err(|error| Fault::with_source(Sent::No, failure(&error), error))
}
