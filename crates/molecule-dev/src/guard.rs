//! Whether a request is for this server at all: its `Host`, which a page elsewhere cannot forge (DNS rebinding).

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, HeaderValue};
use http::request::Parts;
use http::{Response, StatusCode};

/// Refuses a request whose `Host` is not this machine's loopback, with our port or none. A site that a browser visits
/// can let its own name point here; what it cannot change is the `Host` that the browser sends.
pub(crate) fn refusal(head: &Parts, port: u16) -> Option<Response<Bytes>> {
    let mut hosts = head.headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return Some(text(StatusCode::BAD_REQUEST, "exactly one Host header is required"));
    };
    let is_ours = host.to_str().is_ok_and(|host| is_loopback(host, port));
    let why = "this server answers to 127.0.0.1, localhost and [::1] alone: open it under one of these names";
    (!is_ours).then(|| text(StatusCode::FORBIDDEN, why))
}

fn is_loopback(host: &str, port: u16) -> bool {
    let host = host.to_ascii_lowercase();
    let (name, stated) = match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name.to_owned(), Some(port.to_owned())),
        _ => (host, None),
    };
    let name = name.strip_suffix('.').unwrap_or(&name);
    matches!(name, "127.0.0.1" | "localhost" | "[::1]") && stated.is_none_or(|stated| stated == port.to_string())
}

pub(crate) fn text(status: StatusCode, text: &str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(format!("{text}\n")));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_names_of_the_loopback_pass() {
        for host in ["127.0.0.1:7420", "LOCALHOST:7420", "localhost", "localhost.:7420", "[::1]:7420", "[::1]"] {
            assert!(is_loopback(host, 7420), "{host}");
        }
        for host in [
            "",
            "evil.example:7420",
            "127.0.0.1:80",
            "127.0.0.1.evil.example",
            "localhost.evil",
            "127.0.0.1:",
            "0.0.0.0:7420",
            "localhost..",
            "127.0.0.1:7420:7420",
            "[::1",
            "::1",
        ] {
            assert!(!is_loopback(host, 7420), "{host}");
        }
    }
}
