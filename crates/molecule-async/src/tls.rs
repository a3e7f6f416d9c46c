//! TLS by rustls, with ring as its one provider.

use std::io;
use std::sync::Arc;

use molecule_core::connection::Reach;
use molecule_core::effect::{Fault, FaultKind, Sent};
use molecule_core::{Error, Result};
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ConfigBuilder, WantsVerifier};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// What connections are secured with.
pub(crate) struct Tls {
    platform: TlsConnector,
    /// The same without tickets of earlier sessions, by which a peer could tell who calls again.
    peers: TlsConnector,
}

impl Tls {
    /// Whether this build speaks TLS at all.
    pub(crate) const AVAILABLE: bool = true;

    /// Trusts the built-in authorities and these, each in PEM.
    ///
    /// # Errors
    /// `Config` if one of them is no certificate.
    pub(crate) fn new(extra_ca: &[Vec<u8>]) -> Result<Self> {
        let mut extra = Vec::new();
        for pem in extra_ca {
            extra.extend(certificates(pem)?);
        }
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(&error))?;
        let config = trusting(builder, provider, extra).map_err(|error| unusable(&error))?;
        let mut peers = config.clone();
        peers.resumption = Resumption::disabled();
        let connector = |config| TlsConnector::from(Arc::new(config));
        Ok(Self { platform: connector(config), peers: connector(peers) })
    }

    /// Secures a stream to a host, as it stands in a URL.
    pub(crate) async fn handshake(
        &self,
        host: &str,
        stream: TcpStream,
        reach: Reach,
    ) -> Result<TlsStream<TcpStream>, Fault> {
        let connector = match reach {
            Reach::Anywhere => &self.platform,
            Reach::Public | Reach::PublicOrLoopback => &self.peers,
        };
        let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(bare).map_err(|error| Fault::with_source(Sent::No, FaultKind::Tls, error))?;
        let secured = connector.connect(name, stream).await;
        secured.map_err(|error| Fault::with_source(Sent::No, step(&error), error))
    }
}

/// What a handshake came to that failed: refused, or only cut, as by a balancer that restarts. Then there is no connection, and
/// the next one may be good.
fn step(error: &io::Error) -> FaultKind {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    match error.kind() {
        UnexpectedEof | ConnectionReset | ConnectionAborted | BrokenPipe => FaultKind::Connect,
        _ => kind(error),
    }
}

/// Why rustls refused a handshake.
fn kind(error: &io::Error) -> FaultKind {
    use rustls::{CertificateError as Certificate, Error as E, InvalidMessage};
    match error.get_ref().and_then(|cause| cause.downcast_ref()) {
        Some(E::InvalidCertificate(
            Certificate::Expired
            | Certificate::ExpiredContext { .. }
            | Certificate::NotValidYet
            | Certificate::NotValidYetContext { .. },
        )) => FaultKind::CertificateTime,
        // The first byte of what came is no TLS record's: plain HTTP, as a rule.
        Some(E::InvalidMessage(InvalidMessage::InvalidContentType)) => FaultKind::NotTls,
        _ => FaultKind::Tls,
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>> {
    let remedy = "give it in PEM, between BEGIN CERTIFICATE and END CERTIFICATE";
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| Error::config(format!("an extra certificate authority is damaged ({error})"), remedy))?;
    if certificates.is_empty() {
        return Err(Error::config("an extra certificate authority holds no certificate", remedy));
    }
    Ok(certificates)
}

fn unusable(error: &rustls::Error) -> Error {
    Error::config(format!("TLS cannot be set up ({error})"), "check the extra certificate authorities")
}

/// Feature `platform-verifier`: what the operating system trusts, and `extra`.
#[cfg(feature = "platform-verifier")]
fn trusting(
    builder: ConfigBuilder<ClientConfig, WantsVerifier>,
    provider: Arc<CryptoProvider>,
    extra: Vec<CertificateDer<'static>>,
) -> Result<ClientConfig, rustls::Error> {
    let verifier = rustls_platform_verifier::Verifier::new_with_extra_roots(extra, provider)?;
    // "Dangerous" in general; this one verifies.
    Ok(builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth())
}

/// Feature `rustls` alone: Mozilla's roots as compiled in, and `extra`.
#[cfg(not(feature = "platform-verifier"))]
fn trusting(
    builder: ConfigBuilder<ClientConfig, WantsVerifier>,
    _: Arc<CryptoProvider>,
    extra: Vec<CertificateDer<'static>>,
) -> Result<ClientConfig, rustls::Error> {
    let mut roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for certificate in extra {
        roots.add(certificate)?;
    }
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
