//! TLS of a server: its certificates and its key, from files in PEM.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use molecule_core::{Error, Result};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// How often the files are looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// The configuration of a server. It is read again when a file has changed, since certificates are renewed while a server
/// runs. No error and no `Debug` shows anything of the key.
pub struct ServerTls {
    certificates: PathBuf,
    key: PathBuf,
    current: Mutex<Current>,
}

struct Current {
    config: Arc<ServerConfig>,
    changed: [Option<SystemTime>; 2],
    looked: Instant,
}

impl ServerTls {
    /// Reads the certificates, the server's own first, and the private key.
    ///
    /// # Errors
    /// `Config` if a file cannot be read or holds nothing of that kind, or if the key is not that of the certificate.
    pub fn read(certificates: &Path, key: &Path) -> Result<Self> {
        let config = read(certificates, key)?;
        let changed = [certificates, key].map(changed);
        let current = Mutex::new(Current { config, changed, looked: Instant::now() });
        Ok(Self { certificates: certificates.to_owned(), key: key.to_owned(), current })
    }

    /// The configuration for the next connection. Files that were changed and cannot be used, such as one that is just
    /// being written, change nothing.
    pub fn config(&self) -> Arc<ServerConfig> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.looked.elapsed() >= LOOK_AGAIN {
            self.look_into(&mut current);
        }
        Arc::clone(&current.config)
    }

    /// Looks now whether the files have changed, and not after a while.
    pub fn look_again(&self) {
        self.look_into(&mut self.current.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn look_into(&self, current: &mut Current) {
        current.looked = Instant::now();
        let changed = [&*self.certificates, &*self.key].map(changed);
        if changed != current.changed
            && let Ok(config) = read(&self.certificates, &self.key)
        {
            (current.config, current.changed) = (config, changed);
        }
    }
}

impl std::fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerTls").field("certificates", &self.certificates).finish_non_exhaustive()
    }
}

fn changed(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

fn read(certificates: &Path, key: &Path) -> Result<Arc<ServerConfig>> {
    let bad = |what: &str, path: &Path, why: String, remedy: &str| {
        Error::config(format!("the server's {what} at {} cannot be used: {why}", path.display()), remedy)
    };
    let chain: std::result::Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(certificates).and_then(|chain| chain.collect());
    let remedy = "give a file in PEM, with the server's certificate first and those of its authorities behind it";
    let chain = match chain {
        Ok(chain) if chain.is_empty() => {
            return Err(bad("certificate", certificates, "it holds none".to_owned(), remedy));
        }
        Ok(chain) => chain,
        Err(error) => return Err(bad("certificate", certificates, error.to_string(), remedy)),
    };
    let remedy = "give a file in PEM with the certificate's private key, without a password";
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| bad("key", key, error.to_string(), remedy))?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map(|builder| builder.with_no_client_auth())
        .and_then(|builder| builder.with_single_cert(chain, private));
    let mut config = config.map_err(|error| bad("key", key, error.to_string(), "give the key of this certificate"))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
