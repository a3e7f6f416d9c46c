//! What stands for TLS in a build without it.

use std::time::Instant;

use molecule_core::effect::connection::Reach;
pub(crate) use molecule_host::no_tls::{Tls, failure, is_alert};
use ureq::unversioned::transport::{ConnectionDetails, Transport};

/// # Errors
/// `Config` if an authority is to be trusted, which nothing would ask.
pub(crate) fn set_up(extra_ca: &[Vec<u8>]) -> molecule_core::Result<Tls> {
    Tls::new(extra_ca)
}

/// Fails. An agent that needs TLS is refused when it is built, and does not get here.
pub(crate) fn handshake(
    _: &Tls,
    _: &ConnectionDetails<'_>,
    _: Box<dyn Transport>,
    _: Reach,
    _: Instant,
) -> Result<Box<dyn Transport>, ureq::Error> {
    Err(ureq::Error::TlsRequired)
}
