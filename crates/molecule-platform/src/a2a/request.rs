//! The HTTP request that an agent receives (contract section 10.1; April 7.4).

use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderValue, REFERER, USER_AGENT,
};
use http::{Method, Request, Uri};
use molecule_proto::InboundSecret;

/// A call to exactly the registered URL; `None` if the URL cannot be called at all.
pub(super) fn call(url: &str, secret: Option<&InboundSecret>, body: Bytes) -> Option<Request<Bytes>> {
    let mut request = to(Method::POST, url)?;
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CONTENT_LENGTH, body.len().into());
    if let Some(secret) = secret {
        headers.insert(AUTHORIZATION, bearer(secret)?);
    }
    *request.body_mut() = body;
    Some(request)
}

fn bearer(secret: &InboundSecret) -> Option<HeaderValue> {
    let mut bearer = HeaderValue::from_str(&format!("Bearer {}", secret.expose())).ok()?;
    bearer.set_sensitive(true);
    Some(bearer)
}

/// A request that is handed on to a path below the registered URL, with the inbound secret. The path stands behind a
/// query string too (contract section 10.4).
pub(super) fn below(
    url: &str,
    suffix: &str,
    secret: Option<&InboundSecret>,
    content: Option<(HeaderValue, Bytes)>,
) -> Option<Request<Bytes>> {
    let url = format!("{}{suffix}", url.strip_suffix('/').unwrap_or(url));
    let mut request = match content {
        Some((content_type, body)) => {
            let mut request = call(&url, secret, body)?;
            request.headers_mut().insert(CONTENT_TYPE, content_type);
            return Some(request);
        }
        None => to(Method::GET, &url)?,
    };
    if let Some(secret) = secret {
        request.headers_mut().insert(AUTHORIZATION, bearer(secret)?);
    }
    Some(request)
}

/// The target of a redirect and the request to it, with a `Referer`. If `again` is set, the request has the same method
/// and body, otherwise it is a `GET`. The redirect's status decides which.
pub(super) fn followed(from: &str, location: &str, again: bool, body: Bytes) -> Option<(String, Request<Bytes>)> {
    let url = joined(from, location)?;
    let mut request = if again { call(&url, None, body)? } else { to(Method::GET, &url)? };
    request.headers_mut().insert(REFERER, HeaderValue::from_str(from).ok()?);
    Some((url, request))
}

fn to(method: Method, url: &str) -> Option<Request<Bytes>> {
    let uri = uri(url)?;
    let authority = uri.authority()?.as_str();
    let host = HeaderValue::from_str(authority.rsplit_once('@').map_or(authority, |(_, host)| host)).ok()?;
    let mut request = Request::new(Bytes::new());
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    let headers = request.headers_mut();
    headers.insert(HOST, host);
    headers.insert(USER_AGENT, HeaderValue::from_static("Go-http-client/1.1"));
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    Some(request)
}

/// A URL as it was registered, without its fragment, and with `%xx` for characters that a URI cannot hold.
fn uri(url: &str) -> Option<Uri> {
    let url = url.split('#').next().unwrap_or(url);
    let mut text = String::with_capacity(url.len());
    for byte in url.bytes() {
        if byte.is_ascii_graphic() {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text.parse().ok()
}

/// The target of a redirect, resolved against the URL that redirects.
fn joined(from: &str, location: &str) -> Option<String> {
    if location.contains("://") {
        return Some(location.to_owned());
    }
    let uri = uri(from)?;
    let origin = format!("{}://{}", uri.scheme_str()?, uri.authority()?);
    if location.starts_with('/') {
        return Some(format!("{origin}{location}"));
    }
    let folder = uri.path().rsplit_once('/').map_or("", |(folder, _)| folder);
    Some(format!("{origin}{folder}/{location}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_call_goes_to_the_registered_url_and_nowhere_else() {
        let request = call("http://u:p@localhost:1/a/b/?k=v&u=%C5%BC ż#part", None, Bytes::from_static(b"{}")).unwrap();
        assert_eq!(request.uri(), "http://u:p@localhost:1/a/b/?k=v&u=%C5%BC%20%C5%BC");
        assert_eq!(request.headers()[HOST], "localhost:1");
        assert!(call("not a url at all", None, Bytes::new()).is_none());
    }

    #[test]
    fn a_secret_is_never_printed() {
        let secret = InboundSecret::new("do-not-print-me").unwrap();
        let request = call("http://localhost:1/", Some(&secret), Bytes::new()).unwrap();
        assert_eq!(request.headers()[AUTHORIZATION], "Bearer do-not-print-me");
        assert!(!format!("{request:?}").contains("do-not-print-me"));
    }

    #[test]
    fn a_redirect_is_seen_from_where_it_was_given() {
        let joined = |location| joined("http://h:1/a/b?q", location).unwrap();
        assert_eq!(joined("/c"), "http://h:1/c");
        assert_eq!(joined("c"), "http://h:1/a/c");
        assert_eq!(joined("https://x/c"), "https://x/c");
    }
}
