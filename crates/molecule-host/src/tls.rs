//! TLS with rustls and ring as its only provider: the trusted certificates, and the kinds of failed handshakes.
//!
//! It is only for the two drivers: it exposes rustls's types, and is outside semver.

use std::sync::Arc;
use std::{fmt, io};

use molecule_core::effect::FaultKind;
use molecule_core::effect::connection::{Reach, bare_host};
use molecule_core::{BaseUrl, Error, Result};
use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ConfigBuilder, WantsVerifier};

use crate::socket::is_cut;

/// The trusted certificate authorities. A facade chooses them by its own features, because other crates of the program
/// may have enabled more features of this crate.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Roots {
    /// Mozilla's authorities, which are compiled in.
    #[cfg(feature = "rustls")]
    Mozilla,
    /// The authorities that the operating system trusts.
    #[cfg(feature = "platform-verifier")]
    System,
}

/// The TLS configurations of a client.
pub struct Tls {
    /// For hosts that the agent's owner chose.
    owners: Arc<ClientConfig>,
    /// For hosts that strangers chose. It resumes no session: the ticket would identify the agent to a peer, and would
    /// let a server at another address of the same name skip the certificate.
    strangers: Arc<ClientConfig>,
}

impl Tls {
    /// Creates configurations that trust these authorities and the extra ones, each in PEM.
    ///
    /// # Errors
    /// `Config` if an extra authority is not a certificate.
    pub fn new(roots: Roots, extra_ca: &[Vec<u8>]) -> Result<Self> {
        let mut extra = Vec::new();
        for pem in extra_ca {
            extra.extend(certificates(pem)?);
        }
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(&error))?;
        let owners = match roots {
            #[cfg(feature = "rustls")]
            Roots::Mozilla => trusting_mozilla(builder, extra),
            #[cfg(feature = "platform-verifier")]
            Roots::System => trusting_system(builder, provider, extra),
        };
        let owners = owners.map_err(|error| unusable(&error))?;
        let mut strangers = owners.clone();
        strangers.resumption = Resumption::disabled();
        Ok(Self { owners: Arc::new(owners), strangers: Arc::new(strangers) })
    }

    /// The configuration for a connection of a request with this reach.
    pub fn config(&self, reach: Reach) -> Arc<ClientConfig> {
        match reach {
            Reach::Anywhere => self.owners.clone(),
            Reach::Public | Reach::PublicOrLoopback => self.strangers.clone(),
        }
    }

    /// # Errors
    /// None: this build speaks TLS.
    pub fn check(&self, _: &BaseUrl) -> Result<()> {
        Ok(())
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

/// The name that a host's certificate must have, for a host as it is written in a URL.
///
/// # Errors
/// If no certificate can be issued for the host.
pub fn server_name(host: &str) -> io::Result<ServerName<'static>> {
    ServerName::try_from(bare_host(host).to_owned()).map_err(io::Error::other)
}

/// The kind of a failed handshake. A handshake that was only cut off, for example by a restarting load balancer, is a
/// failed connection attempt, because the next attempt may succeed.
pub fn failure(error: &io::Error) -> FaultKind {
    use rustls::{CertificateError as Certificate, Error as E, InvalidMessage};
    if is_cut(error) {
        return FaultKind::Connect;
    }
    match error.get_ref().and_then(|cause| cause.downcast_ref()) {
        Some(E::InvalidCertificate(
            Certificate::Expired
            | Certificate::ExpiredContext { .. }
            | Certificate::NotValidYet
            | Certificate::NotValidYetContext { .. },
        )) => FaultKind::CertificateTime,
        // The first byte that was received is not that of a TLS record: usually the server speaks plain HTTP.
        Some(E::InvalidMessage(InvalidMessage::InvalidContentType)) => FaultKind::NotTls,
        _ => FaultKind::Tls,
    }
}

/// Returns whether an error comes from TLS and not from the connection: after the handshake it is an alert, which TLS
/// 1.3 sends to a client that is not trusted.
pub fn is_alert(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|cause| cause.is::<rustls::Error>())
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

#[cfg(feature = "platform-verifier")]
fn trusting_system(
    builder: ConfigBuilder<ClientConfig, WantsVerifier>,
    provider: Arc<rustls::crypto::CryptoProvider>,
    extra: Vec<CertificateDer<'static>>,
) -> Result<ClientConfig, rustls::Error> {
    let verifier = rustls_platform_verifier::Verifier::new_with_extra_roots(extra, provider)?;
    // The API is called dangerous because a verifier can accept everything; this one verifies.
    Ok(builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth())
}

#[cfg(feature = "rustls")]
fn trusting_mozilla(
    builder: ConfigBuilder<ClientConfig, WantsVerifier>,
    extra: Vec<CertificateDer<'static>>,
) -> Result<ClientConfig, rustls::Error> {
    let mut roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for certificate in extra {
        roots.add(certificate)?;
    }
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
