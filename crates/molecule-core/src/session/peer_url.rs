//! The URL of a peer, and the request of a direct call, which carries no credential of this agent.

use core::net::IpAddr;
use std::fmt;

use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderValue, Method, Request, Uri};

use crate::config::base_url::{BaseUrl, is_loopback};
use crate::config::http_url::{HttpUrl, bare_host};
use crate::config::options::SDK;
use crate::config::peer_token::PeerToken;
use crate::effect::connection::Reach;
use crate::printable::ShownUrl;

/// An http(s) URL that a peer published. It names a host, has no user info, and is at most 2,048 bytes long.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PeerUrl(Uri);

/// The most bytes of a URL: a stranger publishes it, and it takes memory here.
const LONGEST: usize = 2048;

impl PeerUrl {
    /// Parses what the platform shows as a peer's URL. Returns `None` if no peer can be called there: the placeholder
    /// of a poll agent, a word, or the made-up container address (`http://ws-…:8000`) of an agent without a URL.
    pub fn read(text: &str) -> Option<Self> {
        if text.len() > LONGEST {
            return None;
        }
        let HttpUrl { uri, host, port, has_user_info, .. } = HttpUrl::read(text).ok()?;
        let is_made_up = host.starts_with("ws-") && !host.contains('.') && port == Some(8000);
        (!has_user_info && !is_made_up).then_some(Self(uri))
    }

    /// Returns the URL for an HTTP client.
    pub fn as_uri(&self) -> &Uri {
        &self.0
    }

    /// Returns whether an agent of this platform may call the URL directly. It must be `https` to another machine, and
    /// not the platform's own origin. A URL on this machine may be called, with or without TLS, only if the platform is
    /// on this machine too: otherwise a peer could make the agent send requests to local services. Never called are
    /// other spellings of this machine (`127.1`, `0.0.0.0`), addresses that are not public, such as those of private
    /// networks and cloud metadata services, and names that resolve to such addresses only ([`reach`](Self::reach)).
    pub fn is_direct(&self, platform: &BaseUrl) -> bool {
        let is_https = self.0.scheme_str() == Some("https");
        match self.0.host() {
            Some(host) if is_loopback(host) => platform.is_loopback() && !platform.is_origin_of(&self.0),
            Some(host) => is_https && is_elsewhere(host) && !platform.is_origin_of(&self.0),
            None => false,
        }
    }

    /// Returns the addresses to which the URL's host may resolve.
    pub fn reach(&self, platform: &BaseUrl) -> Reach {
        if platform.is_loopback() { Reach::PublicOrLoopback } else { Reach::Public }
    }

    /// Makes the request that carries a message to the peer. Whoever registered the URL reads it, so it says nothing
    /// about this agent: no bearer, no workspace, no organisation, no origin, and no user agent of the author's. This
    /// function has no session to take them from. The token is one that the peer itself made, if it did.
    pub(crate) fn post(&self, body: Bytes, token: Option<&PeerToken>) -> Request<Bytes> {
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.0.clone();
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, HeaderValue::from_static(SDK));
        if let Some(token) = token {
            headers.insert(AUTHORIZATION, token.bearer());
        }
        request
    }
}

/// Returns whether a host may be another machine: not another spelling of this one, and not an address that is not
/// public. The addresses of a name are judged when it is resolved.
fn is_elsewhere(host: &str) -> bool {
    let bare = bare_host(host);
    match bare.parse::<IpAddr>() {
        Ok(address) => Reach::Public.admits(address),
        Err(_) => {
            let name = bare.trim_end_matches('.').to_ascii_lowercase();
            // Resolvers treat a name whose last label is a number as a short form of an address.
            let last = name.rsplit('.').next().unwrap_or_default();
            let is_number = last.starts_with("0x") || last.bytes().all(|byte| byte.is_ascii_digit());
            last != "localhost" && !is_number
        }
    }
}

impl fmt::Display for PeerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for PeerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerUrl({})", ShownUrl(&self.0.to_string()))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_address_is_no_url() {
        for text in [
            "",
            "not a url at all",
            "remote://no-inbound",
            "ftp://peer.example",
            "/path",
            "peer.example",
            "http://",
            "https://peer.example:80800/",
            "https://peer.example:8443x/",
            "https://peer.example:-8443/",
            "https://peer.example:/",
            "https://[::1]8443/",
            "https://user:password@peer.example/",
            "http://ws-7fda77bf-a467-441c-9fab-7d8aba8e6040:8000",
            "http://ws-7fda77bf-a46:8000",
            &format!("https://peer.example/{}", "x".repeat(LONGEST)),
        ] {
            assert_eq!(PeerUrl::read(text), None, "{text}");
        }
        for text in ["https://peer.example/a2a?k=v", "http://localhost:43137/rpc", "http://ws-1.example:8000/"] {
            assert_eq!(PeerUrl::read(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn only_https_goes_to_other_machines_and_this_one_is_called_only_beside_the_platform() {
        let hosted = BaseUrl::parse("https://platform.example", false).unwrap();
        let local = BaseUrl::parse("http://127.0.0.1:8080", false).unwrap();
        for (url, from_hosted, from_local) in [
            ("https://peer.example/a2a", true, true),
            ("https://peer.example:8443/", true, true),
            ("http://peer.example/a2a", false, false),
            ("http://10.0.0.7/", false, false),
            ("http://localhost.peer.example/", false, false),
            ("http://localhost:9/rpc", false, true),
            ("http://127.0.0.1:9/rpc", false, true),
            ("http://[::1]:9/rpc", false, true),
            ("https://localhost:9/rpc", false, true),
            ("https://platform.example/workspaces/x/a2a", false, true),
            ("https://PLATFORM.example:443/", false, true),
            ("https://platform.example:444/", true, true),
            ("http://127.0.0.1:8080/workspaces/x/a2a", false, false),
            // Other spellings of this machine, and reserved addresses.
            ("https://0.0.0.0/", false, false),
            ("https://[::]/", false, false),
            ("https://[::ffff:127.0.0.1]/", false, false),
            ("https://127.1/", false, false),
            ("https://0x7f000001/", false, false),
            ("https://2130706433:9/", false, false),
            ("https://localhost./", false, false),
            ("https://agent.localhost/", false, false),
            ("https://169.254.169.254/", false, false),
            ("https://[fe80::1]/", false, false),
            ("https://[::ffff:169.254.169.254]/", false, false),
            ("https://224.0.0.1/", false, false),
            ("https://255.255.255.255/", false, false),
            ("https://[ff02::1]/", false, false),
            // Addresses of private networks.
            ("https://10.0.0.7/", false, false),
            ("https://192.168.1.1/a2a", false, false),
            ("https://100.100.100.200/", false, false),
            ("https://[fd00:ec2::254]/", false, false),
            ("https://[64:ff9b::a9fe:a9fe]/", false, false),
            ("https://93.184.216.34/a2a", true, true),
            ("https://[2606:2800::1]/a2a", true, true),
            ("https://peer7.example/", true, true),
            ("https://1password.example/", true, true),
        ] {
            let peer = PeerUrl::read(url).unwrap();
            assert_eq!((peer.is_direct(&hosted), peer.is_direct(&local)), (from_hosted, from_local), "{url}");
        }
    }

    #[test]
    fn this_machine_is_reached_only_beside_the_platform() {
        let reach = |platform: &str| {
            let platform = BaseUrl::parse(platform, false).unwrap();
            PeerUrl::read("https://peer.example/a2a").unwrap().reach(&platform)
        };
        assert_eq!(reach("https://platform.example"), Reach::Public);
        assert_eq!(reach("http://127.0.0.1:8080"), Reach::PublicOrLoopback);
        assert_eq!(reach("https://localhost"), Reach::PublicOrLoopback);
    }

    #[test]
    fn a_message_carries_five_facts_and_no_more() {
        let url = PeerUrl::read("https://peer.example/a2a?k=v").unwrap();
        let request = url.post(Bytes::from_static(b"{}"), None);
        assert_eq!((request.method(), request.uri()), (&Method::POST, url.as_uri()));
        let names: Vec<_> = request.headers().keys().map(http::HeaderName::as_str).collect();
        assert_eq!(names, ["accept", "accept-encoding", "content-type", "user-agent"]);
    }
}
