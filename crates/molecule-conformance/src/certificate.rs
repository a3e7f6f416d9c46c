//! The certificates that a peer presents in a TLS handshake.

use std::sync::{Arc, LazyLock};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use super::act::Certificate;
use super::case::ELSEWHERE;

type Authority = CertifiedIssuer<'static, KeyPair>;

/// The authority that clients trust.
static TRUSTED: LazyLock<Authority> = LazyLock::new(authority);

static UNKNOWN: LazyLock<Authority> = LazyLock::new(authority);

/// The certificate of the authority that clients must trust, in PEM.
pub fn trusted() -> Vec<u8> {
    TRUSTED.pem().into_bytes()
}

/// The certificate of an authority that signed nothing, in PEM.
pub(super) fn idle_authority() -> Vec<u8> {
    static IDLE: LazyLock<Authority> = LazyLock::new(authority);
    IDLE.pem().into_bytes()
}

/// The names in a good certificate.
const HERE: [&str; 3] = ["127.0.0.1", "localhost", ELSEWHERE];

impl Certificate {
    /// The TLS configuration of a server with this certificate.
    pub(super) fn config(self) -> Arc<ServerConfig> {
        static GOOD: LazyLock<Arc<ServerConfig>> = LazyLock::new(|| config(&TRUSTED, &HERE, false));
        match self {
            Self::Good => GOOD.clone(),
            Self::OtherName => config(&TRUSTED, &["127.0.0.2", "other.example"], false),
            Self::Expired => config(&TRUSTED, &HERE, true),
            Self::UnknownAuthority => config(&UNKNOWN, &HERE, false),
            Self::AsksForOne => asking(&GOOD),
        }
    }
}

fn authority() -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("ring makes keys");
    CertifiedIssuer::self_signed(params, key).expect("the parameters make sense")
}

fn config(authority: &Authority, names: &[&str], expired: bool) -> Arc<ServerConfig> {
    let (key, chain) = identity(authority, names, expired);
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has the default versions")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("the certificate is the key's");
    Arc::new(config)
}

/// The same, but a client must present a certificate by the trusted authority.
fn asking(config: &ServerConfig) -> Arc<ServerConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(TRUSTED.der().clone()).expect("it is a certificate");
    let provider = config.crypto_provider().clone();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    let (key, chain) = identity(&TRUSTED, &HERE, false);
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has the default versions")
        .with_client_cert_verifier(verifier.build().expect("there is a root"))
        .with_single_cert(chain, key)
        .expect("the certificate is the key's");
    Arc::new(config)
}

type Identity = (PrivateKeyDer<'static>, Vec<rustls::pki_types::CertificateDer<'static>>);

fn identity(authority: &Authority, names: &[&str], expired: bool) -> Identity {
    let key = KeyPair::generate().expect("ring makes keys");
    let mut params =
        CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>()).expect("the names are names");
    if expired {
        params.not_after = date_time_ymd(2021, 1, 1);
    }
    let certificate = params.signed_by(&key, authority).expect("the authority signs");
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("the key is a key");
    (key, vec![certificate.der().clone()])
}
