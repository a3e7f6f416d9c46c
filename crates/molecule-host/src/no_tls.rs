//! What stands for [`tls`](crate::tls) in a facade that is built without it: `https` is refused when a client or an agent is
//! built.
//!
//! For the two drivers alone, and outside semver. It is there with TLS too: one facade of a program may speak it, and the other not.

use std::io;

use molecule_core::effect::FaultKind;
use molecule_core::{BaseUrl, Error, Result};

const REMEDY: &str = "turn on the feature rustls or platform-verifier";

/// Nothing.
#[derive(Debug)]
pub struct Tls(());

impl Tls {
    /// # Errors
    /// `Config` if an authority is to be trusted: nobody would ask it.
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

/// What a handshake came to: none ever begins.
pub fn failure(_: &io::Error) -> FaultKind {
    FaultKind::Tls
}

/// Whether an error is TLS's own: none ever is.
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
