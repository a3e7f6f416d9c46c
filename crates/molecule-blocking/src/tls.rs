//! TLS by rustls, with ring as its one provider, under ureq.
//!
//! ureq has a connector of its own for this. It sets TLS up anew for every connection whose request has limits of its own,
//! and it trusts either Mozilla's roots or given ones, not both; hence this one.

use std::fmt;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Instant;

use molecule_core::connection::Reach;
use molecule_core::effect::FaultKind;
use molecule_core::{Error, Result};
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, ConfigBuilder, StreamOwned, WantsVerifier};
use ureq::unversioned::transport::time::Duration;
use ureq::unversioned::transport::{Buffers, ConnectionDetails, LazyBuffers, NextTimeout, Transport, TransportAdapter};

/// What connections are secured with.
pub(crate) struct Tls {
    /// To hosts that the agent's owner chose.
    owners: Arc<ClientConfig>,
    /// To hosts that strangers chose. No session is resumed there: its ticket would tell a peer who calls, and let whoever sits
    /// at another address of the same name skip its certificate.
    strangers: Arc<ClientConfig>,
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
        let owners = trusting(builder, provider, extra).map_err(|error| unusable(&error))?;
        let mut strangers = owners.clone();
        strangers.resumption = Resumption::disabled();
        Ok(Self { owners: Arc::new(owners), strangers: Arc::new(strangers) })
    }

    /// Secures a stream to the request's host, within what is left of the connect limit that began at `started`.
    pub(crate) fn handshake(
        &self,
        details: &ConnectionDetails<'_>,
        stream: Box<dyn Transport>,
        reach: Reach,
        started: Instant,
    ) -> Result<Box<dyn Transport>, ureq::Error> {
        let config = match reach {
            Reach::Anywhere => &self.owners,
            Reach::Public | Reach::PublicOrLoopback => &self.strangers,
        };
        let host = details.uri.host().unwrap_or_default();
        let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(bare).map_err(io::Error::other)?;
        let mut connection = ClientConnection::new(config.clone(), name).map_err(io::Error::other)?;
        let mut socket = TransportAdapter::new(stream, details.current_time.clone());
        let left = details.timeout.after.saturating_sub(started.elapsed());
        socket.set_timeout(NextTimeout { after: Duration::Exact(left), ..details.timeout });
        connection.complete_io(&mut socket)?;
        let buffers = LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
        Ok(Box::new(Secured { buffers, stream: StreamOwned::new(connection, socket) }))
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

/// Why rustls refused a handshake.
pub(crate) fn kind(error: &io::Error) -> FaultKind {
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

/// A secured stream, as ureq wants it.
struct Secured {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter>,
}

impl Transport for Secured {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.stream.sock.set_timeout(timeout);
        self.stream.write_all(&self.buffers.output()[..amount])?;
        // A write keeps the socket's error for later; the flush says it now.
        Ok(self.stream.flush()?)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.stream.sock.set_timeout(timeout);
        let amount = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.sock.get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

impl fmt::Debug for Secured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Secured").field(self.stream.sock.get_ref()).finish()
    }
}
