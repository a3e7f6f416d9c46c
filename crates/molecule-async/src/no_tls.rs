//! What stands for TLS in a build without it: `https` is refused when a client or an agent is built.

use molecule_core::connection::Reach;
use molecule_core::effect::{Fault, FaultKind, Sent};
use molecule_core::{Error, Result};
use tokio::net::TcpStream;

/// Nothing.
pub(crate) struct Tls;

impl Tls {
    /// Whether this build speaks TLS at all.
    pub(crate) const AVAILABLE: bool = false;

    /// # Errors
    /// `Config` if an authority is to be trusted: nobody would ask it.
    pub(crate) fn new(extra_ca: &[Vec<u8>]) -> Result<Self> {
        if extra_ca.is_empty() {
            return Ok(Self);
        }
        Err(Error::config(
            "an extra certificate authority is given, and this build has no TLS",
            "turn on the feature rustls or platform-verifier",
        ))
    }

    /// Never reached through an agent, whose build is refused.
    pub(crate) async fn handshake(&self, _: &str, _: TcpStream, _: Reach) -> Result<TcpStream, Fault> {
        Err(Fault::new(Sent::No, FaultKind::Tls))
    }
}
