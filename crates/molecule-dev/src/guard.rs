//! Who may ask: the `Host` of every request, and the admin token and the origin of the page's own.
//!
//! A site that somebody visits can let its own name point to this machine. Its requests are then of the same origin to the
//! browser, and only `Host` tells them.

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, ORIGIN};
use http::request::Parts;
use http::{Method, Response, StatusCode};

/// The names under which the page is reached.
const NAMES: [&str; 3] = ["127.0.0.1", "localhost", "[::1]"];

/// The checks before everything else.
#[derive(Debug, Clone)]
pub(crate) struct Guard {
    port: u16,
    token: String,
}

/// Why a request is not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    /// A sentence with the remedy.
    pub(crate) why: &'static str,
}

impl Refusal {
    pub(crate) fn response(&self) -> Response<Bytes> {
        text(self.status, self.why)
    }
}

/// An answer in plain text.
pub(crate) fn text(status: StatusCode, text: &str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(format!("{text}\n")));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

fn refuse<T>(status: StatusCode, why: &'static str) -> Result<T, Refusal> {
    Err(Refusal { status, why })
}

impl Guard {
    pub(crate) fn new(port: u16, token: impl Into<String>) -> Self {
        Self { port, token: token.into() }
    }

    /// Checks that a request was made for this machine.
    pub(crate) fn check_host(&self, head: &Parts) -> Result<(), Refusal> {
        let mut hosts = head.headers.get_all(HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else {
            return refuse(StatusCode::BAD_REQUEST, "the request needs exactly one Host header");
        };
        // A target in absolute form names a host as well.
        let named = head.uri.authority().map(|authority| authority.as_str());
        let is_ours = |host: &str| self.is_ours(host);
        if host.to_str().is_ok_and(is_ours) && named.is_none_or(is_ours) {
            return Ok(());
        }
        refuse(
            StatusCode::FORBIDDEN,
            "this server answers for 127.0.0.1, localhost and [::1] alone: a page from elsewhere may have sent the request",
        )
    }

    /// Whether a host is one of ours, with our port or without one, in any case and with one trailing dot at most.
    fn is_ours(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        let end_of_name = host.rfind(']').map_or(0, |bracket| bracket + 1);
        let (name, port) = match host[end_of_name..].split_once(':') {
            Some((rest, port)) => (&host[..end_of_name + rest.len()], Some(port)),
            None => (host.as_str(), None),
        };
        let name = name.strip_suffix('.').unwrap_or(name);
        NAMES.contains(&name) && port.is_none_or(|port| port == self.port.to_string())
    }

    /// Checks the admin token, which every request of the page has as its bearer.
    pub(crate) fn check_token(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let bearer = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let given = bearer
            .and_then(|bearer| bearer.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        if given.is_some_and(|(_, token)| is_equal(token.trim().as_bytes(), self.token.as_bytes())) {
            return Ok(());
        }
        refuse(StatusCode::UNAUTHORIZED, "the admin token is needed: `molecule dev` printed it with the page's address")
    }

    /// Checks that a request that changes something comes from the page itself, or from no page at all.
    pub(crate) fn check_origin(&self, method: &Method, headers: &HeaderMap) -> Result<(), Refusal> {
        if method == Method::GET || method == Method::HEAD {
            return Ok(());
        }
        let origins: Vec<_> = headers.get_all(ORIGIN).iter().collect();
        let is_ours = origins.iter().all(|origin| {
            let host = origin.to_str().ok().and_then(|origin| origin.strip_prefix("http://"));
            host.is_some_and(|host| self.is_ours(host))
        });
        let site = headers.get("sec-fetch-site").map(|site| site.as_bytes());
        if is_ours && site.is_none_or(|site| site == b"same-origin" || site == b"none") {
            return Ok(());
        }
        refuse(StatusCode::FORBIDDEN, "the request comes from another site's page")
    }
}

/// Compares without telling by the time where the difference is.
fn is_equal(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len()
        && one.iter().zip(other).fold(0, |difference, (one, other)| difference | (one ^ other)) == 0
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use http::Request;

    use super::*;

    fn guard() -> Guard {
        Guard::new(7420, "secret")
    }

    fn head(uri: &str, headers: &[(&'static str, &str)]) -> Parts {
        let mut request = Request::post(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn status(checked: Result<(), Refusal>) -> u16 {
        checked.map_or_else(|refusal| refusal.status.as_u16(), |()| 200)
    }

    #[test]
    fn the_hosts_of_this_machine_pass_and_others_do_not() {
        let of = |host: &str| status(guard().check_host(&head("/", &[("host", host)])));
        for host in ["127.0.0.1:7420", "127.0.0.1", "LOCALHOST:7420", "localhost.:7420", "[::1]:7420", "[::1]"] {
            assert_eq!(of(host), 200, "{host}");
        }
        for host in [
            "evil.example:7420",
            "evil.example",
            "127.0.0.1.evil.example",
            "127.0.0.1:7421",
            "127.0.0.1:",
            "localhost..",
            "localhost:7420:7420",
            "[::1",
            "::1",
            "127.0.0.1:7420@evil.example",
            "evil.example@127.0.0.1:7420",
            "0.0.0.0:7420",
            "127.1",
            "",
            "127.0.0.1:+7420",
            "[::1].evil.example",
        ] {
            assert_eq!(of(host), 403, "{host}");
        }
    }

    #[test]
    fn a_missing_a_doubled_and_a_contradicted_host() {
        assert_eq!(status(guard().check_host(&head("/", &[]))), 400);
        assert_eq!(status(guard().check_host(&head("/", &[("host", "localhost"), ("host", "localhost")]))), 400);
        let ours = [("host", "localhost")];
        assert_eq!(status(guard().check_host(&head("http://evil.example/", &ours))), 403);
        assert_eq!(status(guard().check_host(&head("http://localhost:7420/", &ours))), 200);
    }

    #[test]
    fn the_token_is_the_bearer() {
        let of = |headers: &[(&'static str, &str)]| status(guard().check_token(&head("/", headers).headers));
        assert_eq!(of(&[("authorization", "Bearer secret")]), 200);
        assert_eq!(of(&[("authorization", "bearer secret")]), 200);
        for wrong in ["Bearer secre", "Bearer secret2", "Bearer", "secret", "Basic secret", ""] {
            assert_eq!(of(&[("authorization", wrong)]), 401, "{wrong}");
        }
        assert_eq!(of(&[]), 401);
    }

    #[test]
    fn another_sites_page_changes_nothing() {
        let of =
            |headers: &[(&'static str, &str)]| status(guard().check_origin(&Method::POST, &head("/", headers).headers));
        assert_eq!(of(&[]), 200, "a program, not a page");
        assert_eq!(of(&[("origin", "http://127.0.0.1:7420"), ("sec-fetch-site", "same-origin")]), 200);
        for origin in
            ["http://evil.example", "null", "https://127.0.0.1:7420", "http://127.0.0.1:7421", "http://127.0.0.1:7420/"]
        {
            assert_eq!(of(&[("origin", origin)]), 403, "{origin}");
        }
        assert_eq!(of(&[("origin", "http://localhost:7420"), ("origin", "http://evil.example")]), 403);
        for site in ["cross-site", "same-site", ""] {
            assert_eq!(of(&[("sec-fetch-site", site)]), 403, "{site}");
        }
        assert_eq!(
            status(guard().check_origin(&Method::GET, &head("/", &[("sec-fetch-site", "cross-site")]).headers)),
            200
        );
    }
}
