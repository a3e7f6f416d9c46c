//! The HTTP proxy. It gets the host and port of the target and its own credentials, and nothing else.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{HOST, PROXY_AUTHORIZATION};
use http::uri::{Authority, Parts, Scheme};
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use percent_encoding::percent_decode_str;

use crate::config::http_url::{HttpUrl, UrlError};
use crate::effect::{Fault, FaultKind, Sent};

/// An HTTP proxy that opens tunnels by `CONNECT`. `Debug` does not show its credentials.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpProxy {
    host: String,
    port: u16,
    authorization: Option<HeaderValue>,
}

impl HttpProxy {
    /// Parses `[http://][user:password@]host[:port]`, user and password percent-encoded.
    pub(super) fn read(url: &str) -> Result<Self, UrlError> {
        let with_scheme = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
        let url = HttpUrl::read(&with_scheme)?;
        if url.is_https() {
            return Err(UrlError::Scheme("https".to_owned()));
        }
        // A proxy's URL has no path: an `@` there means that the password holds a raw `/`, `?` or `#`.
        if url.rest().contains('@') {
            return Err(UrlError::UserInfo);
        }
        let authorization = url.uri.authority().and_then(credentials).transpose()?;
        Ok(Self { host: url.host, port: url.port.unwrap_or(80), authorization })
    }

    /// Returns the proxy's host, an IPv6 address in brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the proxy's port; 80 by default.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the `CONNECT` request for a tunnel to the host of this URL.
    pub fn connect(&self, uri: &Uri) -> Request<()> {
        let own_port = if uri.scheme() == Some(&Scheme::HTTPS) { 443 } else { 80 };
        let target = format!("{}:{}", uri.host().unwrap_or_default(), uri.port_u16().unwrap_or(own_port));
        let mut request = Request::new(());
        *request.method_mut() = Method::CONNECT;
        let mut parts = Parts::default();
        parts.authority = target.parse().ok();
        *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
        let headers = request.headers_mut();
        if let Ok(host) = HeaderValue::try_from(target) {
            headers.insert(HOST, host);
        }
        if let Some(credentials) = &self.authorization {
            headers.insert(PROXY_AUTHORIZATION, credentials.clone());
        }
        request
    }

    /// Judges the status of the proxy's answer to `CONNECT`. A 407 is final: repeated tries with wrong credentials can
    /// lock an account.
    ///
    /// # Errors
    /// `ProxyAuth` or `Proxy`, if the tunnel was refused. The request was not sent then.
    pub fn judge(&self, status: StatusCode) -> Result<(), Fault> {
        let kind = match status {
            _ if status.is_success() => return Ok(()),
            StatusCode::PROXY_AUTHENTICATION_REQUIRED => FaultKind::ProxyAuth,
            _ => FaultKind::Proxy,
        };
        Err(Fault::with_source(Sent::No, kind, format!("it answered {status}")))
    }
}

/// Returns `Basic` credentials (RFC 7617) if the proxy's URL has a user.
fn credentials(authority: &Authority) -> Option<Result<HeaderValue, UrlError>> {
    let (info, _) = authority.as_str().rsplit_once('@')?;
    let (user, password) = info.split_once(':').unwrap_or((info, ""));
    let decoded = |part: &str| percent_decode_str(part).collect::<Vec<u8>>();
    let pair = [decoded(user), decoded(password)].join(&b':');
    let value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair)));
    Some(value.map_err(|_| UrlError::UserInfo).map(|mut value| {
        value.set_sensitive(true);
        value
    }))
}

impl fmt::Debug for HttpProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_told_a_name_and_its_own_credentials() {
        let proxy = HttpProxy::read("http://user:p%40ss%2F@[::1]").unwrap();
        assert_eq!((proxy.host(), proxy.port()), ("[::1]", 80));
        for (url, target) in [
            ("https://platform.example/secret?q", "platform.example:443"),
            ("https://[2001:db8::1]:8443/", "[2001:db8::1]:8443"),
            ("http://platform.example", "platform.example:80"),
        ] {
            let request = proxy.connect(&url.parse().unwrap());
            assert_eq!((request.method(), request.uri().to_string()), (&Method::CONNECT, target.to_owned()));
            assert_eq!(request.headers()[HOST], target);
            // user:p@ss/
            assert_eq!(request.headers()[PROXY_AUTHORIZATION], "Basic dXNlcjpwQHNzLw==");
            assert_eq!(request.headers().len(), 2);
            assert!(!format!("{request:?} {proxy:?}").contains("dXNl"));
        }
        let open = HttpProxy::read("proxy.example:3128").unwrap();
        assert_eq!(open.connect(&"https://h.example".parse().unwrap()).headers().len(), 1);
    }

    #[test]
    fn a_407_is_about_credentials_and_every_other_refusal_is_the_proxys() {
        let judged = |url: &str, status| HttpProxy::read(url).unwrap().judge(StatusCode::from_u16(status).unwrap());
        assert!(judged("proxy:1", 200).is_ok() && judged("proxy:1", 204).is_ok());
        for (url, status, kind, word) in [
            ("proxy:1", 407, FaultKind::ProxyAuth, "407"),
            ("user:pass@proxy:1", 407, FaultKind::ProxyAuth, "407"),
            ("proxy:1", 403, FaultKind::Proxy, "403"),
            ("proxy:1", 302, FaultKind::Proxy, "302"),
            ("proxy:1", 100, FaultKind::Proxy, "100"),
            ("proxy:1", 401, FaultKind::Proxy, "401"),
        ] {
            let fault = judged(url, status).unwrap_err();
            assert_eq!((fault.sent, fault.kind), (Sent::No, kind), "{status}");
            assert!(fault.source.unwrap().to_string().contains(word), "{status}");
        }
    }
}
