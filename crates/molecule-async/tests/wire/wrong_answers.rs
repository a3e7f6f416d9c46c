//! Answers that no platform gives.

use molecule_async::ErrorKind;

use crate::peer::{Act, Peer, answer, json};
use crate::support::{Once, agent};

#[tokio::test]
async fn a_redirect_is_named_and_not_followed() {
    let elsewhere = Peer::start(|_| json("{}"));
    let location = format!("{}/login", elsewhere.url());
    for status in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let header = format!("location: {location}\r\n");
        let peer = Peer::start(move |_| answer(status, &header, ""));
        let error = agent(peer.url()).pull_secrets().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Redirected);
        assert_eq!(error.location(), Some(location.as_str()));
        assert_eq!(peer.seen().len(), 1);
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn html_is_a_routing_problem() {
    let peer = Peer::start(|_| answer("200 OK", "content-type: text/html\r\n", "<html>Welcome</html>"));
    let error = agent(peer.url()).pull_secrets().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Routing, "{error}");
}

#[tokio::test]
async fn what_is_no_http_is_a_protocol_error() {
    for nonsense in [
        "SSH-2.0-OpenSSH_9.9\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nnot a length\r\n",
    ] {
        let peer = Peer::start(move |_| vec![Act::Send(nonsense.into()), Act::Close]);
        let error = agent(peer.url()).send(&Once).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{nonsense:?}: {error}");
        assert_eq!(peer.seen().len(), 1);
    }
}
