//! Nobody there: nothing was sent, so every endpoint may try again.

use std::time::Duration;

use molecule_async::ErrorKind;

use crate::support::{ClosedPort, Once, builder, timeouts};

#[tokio::test]
async fn a_refused_connection_is_tried_again_and_then_unreachable() {
    let port = ClosedPort::new();
    let agent =
        builder(port.url()).timeouts(timeouts(|timeouts| timeouts.call = Duration::from_secs(2))).build().unwrap();
    let error = agent.send(&Once).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    // The first wait is below 1 s.
    assert!(error.attempts() >= 2, "{error}");
    assert!(error.is_retryable());
    assert!(error.to_string().contains("refused"), "{error}");
}

#[tokio::test]
async fn a_name_without_an_address_is_unreachable() {
    let builder = builder("http://no-such-host.invalid").allow_insecure_http();
    let agent = builder.timeouts(timeouts(|timeouts| timeouts.call = Duration::from_secs(1))).build().unwrap();
    let error = agent.pull_secrets().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert!(error.to_string().contains("has no address"), "{error}");
}
