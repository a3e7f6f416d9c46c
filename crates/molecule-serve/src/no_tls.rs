//! The server without TLS: the feature `rustls` is off.

use molecule_core::{Error, Result, ServerOptions};
use tokio::net::TcpStream;

use crate::stream::Stream;

/// No TLS.
pub(crate) struct Tls;

impl Tls {
    /// # Errors
    /// `Config` if the options ask for TLS.
    pub(crate) fn new(options: &ServerOptions) -> Result<Self> {
        match options.tls_files() {
            None => Ok(Self),
            Some(_) => Err(Error::config(
                "the server is to speak TLS, and was built without it",
                "add the feature rustls of molecule-serve, or leave tls(…) out and end TLS at a proxy",
            )),
        }
    }

    #[cfg(test)]
    pub(crate) fn none() -> Self {
        Self
    }

    #[allow(clippy::unused_async)] // With TLS it waits.
    pub(crate) async fn accept(&self, stream: TcpStream) -> Option<Stream> {
        Some(Stream::Plain(stream))
    }
}
