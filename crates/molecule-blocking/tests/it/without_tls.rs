//! A build without TLS refuses `https` when the agent is built, not when it calls.

use molecule_blocking::{Client, ErrorKind, Transport};

use crate::common::builder;

#[test]
fn https_is_refused_when_the_agent_is_built() {
    let error = builder("https://your-platform.example.com").build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("feature rustls"), "{error}");
}

#[test]
fn an_extra_authority_is_refused_when_the_client_is_built() {
    let transport = Transport::default().extra_ca(*b"any");
    assert_eq!(Client::new(&transport).unwrap_err().kind(), ErrorKind::Config);
}
