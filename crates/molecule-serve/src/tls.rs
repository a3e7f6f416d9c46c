//! TLS, if the options name a certificate.

use molecule_core::{Result, ServerOptions};
use molecule_host::tls_server::ServerTls;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::stream::Stream;

/// The TLS of one server.
pub(crate) struct Tls(Option<ServerTls>);

impl Tls {
    /// # Errors
    /// `Config` if the files cannot be used.
    pub(crate) fn new(options: &ServerOptions) -> Result<Self> {
        let read = options.tls_files().map(|(certificates, key)| ServerTls::read(certificates, key));
        read.transpose().map(Self)
    }

    #[cfg(test)]
    pub(crate) fn none() -> Self {
        Self(None)
    }

    /// Shakes hands; `None` if the other side speaks no TLS or goes away.
    pub(crate) async fn accept(&self, stream: TcpStream) -> Option<Stream> {
        let Some(tls) = &self.0 else { return Some(Stream::Plain(stream)) };
        let stream = TlsAcceptor::from(tls.config()).accept(stream).await.ok()?;
        Some(Stream::Tls(Box::new(stream)))
    }
}
