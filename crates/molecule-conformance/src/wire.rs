//! Judges the bytes that a driver writes: the request as it was built, and nothing else.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{Method, Request};

use super::case::{BEARER, Case, ELSEWHERE, Proxy};
use super::peer::Received;

/// The difference between a received request and the one that was sent, if there is one.
pub(super) fn judge_request(asked: &Request<Bytes>, seen: &Received) -> Option<String> {
    let (head, body) = (&seen.head, &seen.body);
    if body != asked.body() {
        return Some(format!("a body of {} bytes arrived otherwise, {} bytes", asked.body().len(), body.len()));
    }
    let path = asked.uri().path_and_query().map_or("/", |path| path.as_str());
    let first = format!("{} {path} HTTP/1.1", asked.method());
    if first_line(seen) != first {
        return Some(format!("it begins with something else than {first:?}: {head:?}"));
    }
    let mut expected: Vec<String> =
        asked.headers().iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap_or_default())).collect();
    expected.push(format!("host: {}", asked.uri().authority().map_or("", |authority| authority.as_str())));
    if !body.is_empty() || matches!(*asked.method(), Method::POST | Method::PUT | Method::PATCH) {
        expected.push(format!("content-length: {}", body.len()));
    }
    let mut found = headers(seen);
    expected.sort();
    found.sort();
    (expected != found).then(|| format!("headers {found:?} instead of {expected:?}"))
}

/// The fault in a request to a proxy, if there is one.
pub(super) fn judge_tunnel(case: &Case, seen: &Received) -> Option<String> {
    let (head, body) = (&seen.head, &seen.body);
    let first = format!("CONNECT {ELSEWHERE}:443 HTTP/1.1");
    if first_line(seen) != first || !body.is_empty() {
        return Some(format!("a proxy was told {head:?}, and {} bytes", body.len()));
    }
    let found = headers(seen);
    if found.iter().any(|line| line.starts_with("authorization:") || line.contains(BEARER)) {
        return Some("a proxy was shown our credentials".to_owned());
    }
    if !found.contains(&format!("host: {ELSEWHERE}:443")) {
        return Some(format!("a proxy was told another host: {found:?}"));
    }
    let own: Vec<&String> = found.iter().filter(|line| line.starts_with("proxy-authorization:")).collect();
    let due: &[&str] = match case.proxy {
        // user:p@ss
        Some(Proxy::PeerWithCredentials) => &["proxy-authorization: Basic dXNlcjpwQHNz"],
        Some(Proxy::Peer | Proxy::Closed | Proxy::Named) | None => &[],
    };
    (own != due).then(|| format!("a proxy was shown {own:?}"))
}

/// The proxy's URL.
pub(super) fn proxy_url(proxy: Proxy, peer: SocketAddr, closed: SocketAddr) -> String {
    match proxy {
        Proxy::Peer => format!("http://{peer}"),
        Proxy::PeerWithCredentials => format!("http://us%65r:p%40ss@{peer}"),
        Proxy::Closed => format!("http://{closed}"),
        Proxy::Named => "http://proxy.example:3128".to_owned(),
    }
}

/// The parts of a proxy's URL that no error may show.
pub(super) const SECRETS: [&str; 2] = ["p%40ss", "p@ss"];

fn first_line(seen: &Received) -> &str {
    seen.head.split("\r\n").next().unwrap_or_default()
}

/// Header lines, each with its name in lower case.
fn headers(seen: &Received) -> Vec<String> {
    seen.headers().map(|(name, value)| format!("{name}: {value}")).collect()
}
