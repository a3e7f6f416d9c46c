//! A certificate authority, and peers whose certificates it signed.

use std::net::TcpStream;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::peer::{Act, Peer, Seen, Stream};

pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// Secures streams with a certificate for this name.
    pub(crate) fn secure(&self, name: &str) -> impl Fn(TcpStream) -> Box<dyn Stream> + Send + Sync + 'static {
        let config = self.config(name);
        move |stream| Box::new(StreamOwned::new(ServerConnection::new(config.clone()).unwrap(), stream))
    }

    /// The other end of TLS, with a certificate for this name.
    pub(crate) fn config(&self, name: &str) -> Arc<ServerConfig> {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, &self.0).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        Arc::new(config)
    }

    pub(crate) fn peer(&self, name: &str, script: impl Fn(&Seen) -> Vec<Act> + Send + Sync + 'static) -> Peer {
        Peer::start_wrapped(script, self.secure(name))
    }
}
