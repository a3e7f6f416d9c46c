//! What stands for TLS in a build without it.

use molecule_core::effect::connection::Reach;
use molecule_core::effect::{Fault, FaultKind, Sent};
pub(crate) use molecule_host::no_tls::{Tls, is_alert};
use tokio::net::TcpStream;

/// # Errors
/// `Config` if an authority is to be trusted, which nothing would ask.
pub(crate) fn set_up(extra_ca: &[Vec<u8>]) -> molecule_core::Result<Tls> {
    Tls::new(extra_ca)
}

/// Fails. An agent that needs TLS is refused when it is built, and does not get here.
pub(crate) async fn handshake(_: &Tls, _: &str, _: TcpStream, _: Reach) -> Result<TcpStream, Fault> {
    Err(Fault::new(Sent::No, FaultKind::Tls))
}
