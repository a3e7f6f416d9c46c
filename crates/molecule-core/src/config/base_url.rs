//! The platform's base URL.

use core::net::IpAddr;
use std::borrow::Cow;

use bytes::Bytes;
use http::uri::{Authority, Parts, PathAndQuery, Scheme};
use http::{HeaderValue, Uri};

use crate::config::http_url::{HttpUrl, bare_host};
use crate::error::{Error, Result};

/// The platform's base URL, parsed once. The bearer goes to its origin and nowhere else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl {
    scheme: Scheme,
    /// The host in lower case, an IPv6 address in brackets; then the port, unless it is the scheme's default.
    authority: Authority,
    /// The path without its trailing slash; empty for the root.
    base_path: String,
}

impl BaseUrl {
    /// Parses a base URL. Plain `http://` to a host other than loopback is refused unless `allow_insecure` is set.
    ///
    /// # Errors
    /// `Config`; the message names the part of the URL that is wrong.
    pub fn parse(url: &str, allow_insecure: bool) -> Result<Self> {
        let remedy = "give the platform's base URL, such as https://your-platform.example.com";
        let invalid = |cause: &str| Error::config(format!("the platform URL {cause}"), remedy);
        let HttpUrl { uri, scheme, host, port, has_user_info, has_fragment } =
            HttpUrl::read(url.trim()).map_err(|error| invalid(&error.to_string()))?;
        if has_user_info {
            return Err(invalid("contains user info, which would travel with every request"));
        }
        if uri.query().is_some() {
            return Err(invalid("contains a query"));
        }
        if has_fragment {
            return Err(invalid("contains a fragment"));
        }
        let own_port = if scheme == Scheme::HTTPS { 443 } else { 80 };
        let authority = match port.filter(|port| *port != own_port) {
            Some(port) => format!("{host}:{port}"),
            None => host,
        };
        let authority = authority.parse().map_err(|_| invalid("is not a valid URL"))?;
        let base_url = Self { scheme, authority, base_path: uri.path().trim_end_matches('/').to_owned() };
        if !base_url.is_https() && !base_url.is_loopback() && !allow_insecure {
            return Err(Error::config(
                "the platform URL is plain http:// to a host that is not this machine: the token would travel in clear",
                "use https://, or allow_insecure_http() if the network is trusted",
            ));
        }
        Ok(base_url)
    }

    /// Returns whether the scheme is `https`.
    pub fn is_https(&self) -> bool {
        self.scheme == Scheme::HTTPS
    }

    /// Returns whether the host is this machine: `localhost`, 127.0.0.0/8 or ::1.
    pub fn is_loopback(&self) -> bool {
        is_loopback(self.authority.host())
    }

    /// Returns the origin: the scheme, the host in lower case, and the port unless it is the scheme's default.
    pub fn origin(&self) -> String {
        format!("{}://{}", self.scheme, self.authority)
    }

    /// Returns whether a URL has the platform's origin.
    pub(crate) fn is_origin_of(&self, uri: &Uri) -> bool {
        let own_port = if uri.scheme() == Some(&Scheme::HTTPS) { 443 } else { 80 };
        let port = uri.port_u16().filter(|port| *port != own_port);
        let same_host = uri.host().is_some_and(|host| host.eq_ignore_ascii_case(self.authority.host()));
        uri.scheme() == Some(&self.scheme) && same_host && port == self.authority.port_u16()
    }

    /// Returns the URL of a path on the platform. The path begins with a slash.
    pub(crate) fn url(&self, path: Cow<'static, str>) -> Result<Uri> {
        let invalid = |path: &str, remedy: &str| Error::config(format!("the path {path:?} is not valid"), remedy);
        if !path.starts_with('/') || has_dot_segment(&path) {
            return Err(invalid(&path, "begin it with a slash, without dots"));
        }
        let full = match path {
            Cow::Borrowed(path) if self.base_path.is_empty() => {
                PathAndQuery::from_maybe_shared(Bytes::from_static(path.as_bytes()))
            }
            ref path => PathAndQuery::try_from(format!("{}{path}", self.base_path)),
        };
        let full = full.map_err(|_| invalid(&path, "escape it"))?;
        let mut parts = Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(full);
        Uri::from_parts(parts)
            .map_err(|_| Error::config("the platform URL cannot be combined with a path", "check the platform URL"))
    }
}

fn has_dot_segment(path: &str) -> bool {
    path.contains('.') && path.split(['/', '?']).any(|segment| matches!(segment, "." | ".."))
}

/// Returns whether a host, written as in a URL, is this machine.
pub(crate) fn is_loopback(host: &str) -> bool {
    let bare = bare_host(host);
    host.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Makes the value of an `Origin` header.
pub(crate) fn origin_value(origin: &str) -> Result<HeaderValue> {
    HeaderValue::from_str(origin)
        .map_err(|_| Error::config("the Origin is no header value", "give scheme, host and port, or turn it off"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn base_url(url: &str) -> BaseUrl {
        BaseUrl::parse(url, false).unwrap()
    }

    #[test]
    fn the_origin_is_scheme_lower_case_host_and_a_port_that_is_not_the_schemes() {
        for (url, origin) in [
            ("https://HOST.example:443", "https://host.example"),
            ("https://host.example/base/path/", "https://host.example"),
            ("https://host.example:8443", "https://host.example:8443"),
            ("http://127.0.0.1:80", "http://127.0.0.1"),
            ("http://[::1]:9", "http://[::1]:9"),
            ("http://LocalHost:8080/", "http://localhost:8080"),
        ] {
            assert_eq!(base_url(url).origin(), origin);
        }
    }

    #[test]
    fn a_base_path_stays_before_every_path() {
        let base_url = base_url("https://host.example/base/");
        assert_eq!(base_url.url("/registry/register".into()).unwrap(), "https://host.example/base/registry/register");
        for path in ["registry", "/../admin", "/a/./b", "/a/..", "/a?b/..", "/a b", ""] {
            assert_eq!(base_url.url(path.into()).unwrap_err().kind(), ErrorKind::Config, "{path:?}");
        }
    }

    #[test]
    fn bad_urls_are_refused_with_the_part_that_is_wrong() {
        for (url, part) in [
            ("", "empty"),
            ("your-platform.example.com/x", "not a valid URL"),
            ("your-platform.example.com", "no scheme"),
            ("ftp://host.example", "scheme"),
            ("https://user:pw@host.example", "user info"),
            ("https://host.example/?q=1", "query"),
            ("https://host.example/#top", "fragment"),
            ("https://host.example:", "colon"),
            ("http://127.0.0.1:80800", "port from 1 to 65535"),
            ("http://127.0.0.1:8080x", "port from 1 to 65535"),
            ("http://127.0.0.1:-8080", "port from 1 to 65535"),
            ("http://127.0.0.1:0", "port from 1 to 65535"),
            ("http://[::1]8080", "port from 1 to 65535"),
            ("https://user:pw#x@host.example", "%23"),
            ("http://host.example", "in clear"),
            ("http://localhost.example", "in clear"),
            ("http://10.0.0.1:8080", "in clear"),
        ] {
            let error = BaseUrl::parse(url, false).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains(part), "{url}: {error}");
            assert!(!error.to_string().contains("pw"), "{error}");
        }
        assert!(BaseUrl::parse("http://host.example", true).is_ok());
    }

    #[test]
    fn no_request_goes_to_a_port_that_was_not_said() {
        for port in (0..=70_000).step_by(7).chain([1, 79, 80, 81, 443, 8080, 65_535, 65_536, 80_800]) {
            for scheme in ["http", "https"] {
                let Ok(base_url) = BaseUrl::parse(&format!("{scheme}://127.0.0.1:{port}"), false) else {
                    assert!(!(1..=65_535).contains(&port), "{port}");
                    continue;
                };
                let uri = base_url.url("/registry/heartbeat".into()).unwrap();
                let own = if scheme == "https" { 443 } else { 80 };
                assert_eq!(u32::from(uri.port_u16().unwrap_or(own)), port, "{uri}");
            }
        }
    }
}
