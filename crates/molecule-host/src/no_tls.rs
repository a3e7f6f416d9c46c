//! The replacement of [`tls`](crate::tls) in a facade that is built without TLS: it refuses `https` when a client or an
//! agent is built.
//!
//! It is only for the two drivers, and outside semver. It is compiled with TLS too, because one facade of a program may
//! have TLS and the other not.

use std::io;

use molecule_core::effect::FaultKind;
use molecule_core::{BaseUrl, Error, Result};

const REMEDY: &str = "turn on the feature rustls or platform-verifier";

/// No TLS.
#[derive(Debug)]
pub struct Tls(());

impl Tls {
    /// # Errors
    /// `Config` if there is an extra certificate authority, because it would never be used.
    pub fn new(extra_ca: &[Vec<u8>]) -> Result<Self> {
        if extra_ca.is_empty() {
            return Ok(Self(()));
        }
        Err(Error::config("an extra certificate authority is given, and this build has no TLS", REMEDY))
    }

    /// # Errors
    /// `Config` if the platform's URL is `https`.
    pub fn check(&self, base_url: &BaseUrl) -> Result<()> {
        if base_url.is_https() {
            return Err(Error::config("the platform URL is https and this build has no TLS", REMEDY));
        }
        Ok(())
    }
}

/// The kind of a failed handshake; without TLS there is no handshake.
pub fn failure(_: &io::Error) -> FaultKind {
    FaultKind::Tls
}

/// Returns whether an error is TLS's own; without TLS none is.
pub fn is_alert(_: &io::Error) -> bool {
    false
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use molecule_core::{ErrorKind, Options};

    use super::*;

    #[test]
    fn https_and_an_authority_are_refused_with_the_feature_that_is_missing() {
        let refused = |done: Result<()>| {
            let error = done.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains("turn on the feature rustls"), "{error}");
        };
        refused(Tls::new(&[b"PEM".to_vec()]).map(drop));
        let tls = Tls::new(&[]).unwrap();
        let config = |url: &str| Options::new(url, "7fda77bf-a467-441c-9fab-7d8aba8e6040").build().unwrap();
        refused(tls.check(config("https://host.example").base_url()));
        tls.check(config("http://127.0.0.1:8080").base_url()).unwrap();
    }
}
