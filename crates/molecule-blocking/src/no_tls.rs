//! What stands for TLS in a build without it: `https` is refused when a client or an agent is built.

use std::io;
use std::time::Instant;

use molecule_core::connection::Reach;
use molecule_core::effect::FaultKind;
use molecule_core::{Error, Result};
use ureq::unversioned::transport::{ConnectionDetails, Transport};

/// Nothing.
#[derive(Debug)]
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
    pub(crate) fn handshake(
        &self,
        _: &ConnectionDetails<'_>,
        _: Box<dyn Transport>,
        _: Reach,
        _: Instant,
    ) -> Result<Box<dyn Transport>, ureq::Error> {
        Err(ureq::Error::TlsRequired)
    }
}

/// Never reached either.
pub(crate) fn kind(_: &io::Error) -> FaultKind {
    FaultKind::Tls
}
