//! Tunnels through a proxy. Only `https` goes through one, so each of these ends before TLS, or is in the tests of TLS.

#[cfg(any(feature = "rustls", feature = "platform-verifier"))]
use crate::common::*;
use molecule_blocking::ErrorKind;

#[cfg(any(feature = "rustls", feature = "platform-verifier"))]
#[test]
fn a_proxy_that_refuses_is_named_and_sees_only_the_name() {
    let proxy = Peer::new(|talk| {
        talk.request();
        talk.answer("403 Forbidden", "");
    });
    let agent = builder("https://platform.example")
        .proxy(format!("http://user:p%40ss@{}", proxy.address))
        .timeouts(patient().call(millis(1500)))
        .build()
        .unwrap();
    let error = agent.send(&ONCE).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
    assert!(error.to_string().contains("the proxy refused or failed: it answered 403"), "{error}");
    assert!(!format!("{error:?}").contains("p@ss"), "{error:?}");
    assert!(error.attempts() >= 2, "nothing was sent, so it is tried again: {error}");
    let request = proxy.requests().remove(0);
    assert!(request.starts_with("CONNECT platform.example:443 HTTP/1.1\r\n"), "{request}");
    // user:p@ss
    assert!(request.contains("Basic dXNlcjpwQHNz"), "{request}");
    assert!(!request.contains("tok-123"), "{request}");
}

#[cfg(any(feature = "rustls", feature = "platform-verifier"))]
#[test]
fn a_407_is_final_and_names_the_credentials() {
    for user in ["", "user:p%40ss@"] {
        let proxy = Peer::new(|talk| {
            talk.request();
            talk.answer("407 Proxy Authentication Required", "");
        });
        let url = format!("http://{user}{}", proxy.address);
        let agent = builder("https://platform.example").proxy(url).timeouts(patient()).build().unwrap();
        let error = agent.send(&AGAIN).unwrap_err();
        assert_eq!((error.kind(), error.attempts()), (ErrorKind::Unreachable, 1), "{error}");
        assert!(!error.is_retryable(), "{error}");
        let text = format!("{error} {error:?}");
        assert!(text.contains("it answered 407") && text.contains("http://user:password@host:port"), "{text}");
        assert!(!text.contains("p@ss") && !text.contains("p%40ss"), "{text}");
        assert_eq!(proxy.accepted(), 1, "four tries lock an account");
    }
}

#[cfg(any(feature = "rustls", feature = "platform-verifier"))]
#[test]
fn a_proxy_that_cannot_be_reached_is_not_taken_for_the_platform() {
    // A port that was free a moment ago, and a label of 64 characters, which no name has.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for proxy in [format!("http://{closed}"), format!("http://{}.invalid", "a".repeat(64))] {
        let limits = patient().call(millis(1500));
        let agent = builder("https://platform.example").proxy(proxy).timeouts(limits).build().unwrap();
        let error = agent.send(&ONCE).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
        assert!(error.to_string().contains("the proxy refused or failed"), "{error}");
        assert!(error.attempts() >= 2, "{error}");
    }
}

#[test]
fn plain_http_to_this_machine_never_goes_through_a_proxy() {
    let proxy = Peer::new(|talk| talk.stall());
    let peer = Peer::new(|talk| while talk.serve("ok") {});
    let agent = builder(&peer.url()).proxy(proxy.url()).build().unwrap();
    assert_eq!(agent.send(&ONCE).unwrap(), "ok");
    assert_eq!(proxy.accepted(), 0);
}

#[test]
fn a_proxy_that_is_no_url_is_a_config_error() {
    let error = builder("http://127.0.0.1:9").proxy("socks5://127.0.0.1:1").build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
}
