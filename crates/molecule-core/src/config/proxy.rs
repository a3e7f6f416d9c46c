//! The rule for which requests go through a proxy, the same for both drivers.

mod tunnel;

use core::net::IpAddr;
use std::fmt;

use http::Uri;
use http::uri::Scheme;
use ipnet::IpNet;

use crate::config::base_url::{BaseUrl, is_loopback};
use crate::config::http_url::{UrlError, bare_host};
use crate::effect::{Fault, FaultKind, Sent};
use crate::error::{Error, Result};

pub use tunnel::HttpProxy;

/// The rule for which requests go through a proxy.
///
/// Only `https` requests to other machines go through a proxy, which then sees the target's host and port alone.
/// `Debug` does not show the proxy's credentials.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ProxyRule {
    proxy: Choice,
    exceptions: Vec<Exception>,
}

#[derive(Clone, Default, PartialEq, Eq)]
enum Choice {
    #[default]
    Direct,
    Through(HttpProxy),
    /// The environment's proxy URL is not valid, for this reason. It is an error only for a request that needs the
    /// proxy.
    Unusable(UrlError),
}

/// An item of `NO_PROXY`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Exception {
    hosts: Hosts,
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Hosts {
    All,
    /// An address or a network.
    Net(IpNet),
    /// A domain with all its subdomains.
    Domain(String),
}

impl ProxyRule {
    /// Returns a rule without a proxy.
    pub fn direct() -> Self {
        Self::default()
    }

    /// Returns the rule of the proxy at `url` (`http://[user:password@]host[:port]`, user and password percent-encoded)
    /// for every host that `no_proxy` does not name.
    ///
    /// `no_proxy` is a list whose items are separated by commas or blanks. An item is `*`, a domain (it covers its
    /// subdomains too, with or without a leading `.` or `*.`), an IPv4 or IPv6 address, or a network in CIDR notation
    /// (`10.0.0.0/8`, `fd00::/8`). Each may have a port, for which an IPv6 address stands in brackets. An item of
    /// another form is ignored.
    ///
    /// # Errors
    /// `Config` if the proxy's URL is not valid.
    pub fn new(url: Option<&str>, no_proxy: Option<&str>) -> Result<Self> {
        let rule = Self::from_environment(url, no_proxy);
        match &rule.proxy {
            Choice::Unusable(error) => {
                Err(unusable(error, "give it as http://host:port in proxy(…), or call no_proxy()"))
            }
            Choice::Direct | Choice::Through(_) => Ok(rule),
        }
    }

    /// Returns the same rule from environment variables, which may have been set for other programs. An invalid proxy
    /// URL is therefore an error only where a request needs the proxy.
    pub fn from_environment(url: Option<&str>, no_proxy: Option<&str>) -> Self {
        let proxy = match url.map(str::trim).filter(|url| !url.is_empty()).map(HttpProxy::read) {
            None => Choice::Direct,
            Some(Ok(proxy)) => Choice::Through(proxy),
            Some(Err(error)) => Choice::Unusable(error),
        };
        let items = no_proxy.unwrap_or_default().split(|char: char| char == ',' || char.is_whitespace());
        Self { proxy, exceptions: items.filter_map(Exception::read).collect() }
    }

    /// Returns the proxy of a request; `None` if the request goes out directly.
    ///
    /// # Errors
    /// `Proxy` if the request needs a proxy whose URL is not valid.
    pub fn proxy_for(&self, uri: &Uri) -> Result<Option<&HttpProxy>, Fault> {
        match &self.proxy {
            _ if !self.concerns(uri) => Ok(None),
            Choice::Direct => Ok(None),
            Choice::Through(proxy) => Ok(Some(proxy)),
            Choice::Unusable(error) => {
                Err(Fault::with_source(Sent::No, FaultKind::Proxy, format!("the proxy's URL in HTTPS_PROXY {error}")))
            }
        }
    }

    /// Checks that requests to the platform can be sent under this rule.
    ///
    /// # Errors
    /// `Config` if they need a proxy whose URL is not valid.
    pub fn check(&self, base_url: &BaseUrl) -> Result<()> {
        match &self.proxy {
            Choice::Unusable(error) if self.concerns(&base_url.url("/".into())?) => Err(unusable(
                error,
                "set HTTPS_PROXY to http://host:port, name the platform's host in NO_PROXY, or call no_proxy()",
            )),
            Choice::Unusable(_) | Choice::Direct | Choice::Through(_) => Ok(()),
        }
    }

    /// Returns whether a request goes through the proxy, if there is one.
    fn concerns(&self, uri: &Uri) -> bool {
        let host = uri.host().unwrap_or_default().to_ascii_lowercase();
        let host = host.trim_end_matches('.');
        if host.is_empty() || uri.scheme() != Some(&Scheme::HTTPS) || is_loopback(host) {
            return false;
        }
        let port = uri.port_u16().unwrap_or(443);
        !self.exceptions.iter().any(|exception| exception.covers(host, port))
    }
}

fn unusable(error: &UrlError, remedy: &str) -> Error {
    Error::config(format!("the proxy's URL {error}"), remedy)
}

impl Exception {
    /// Parses an item; `None` if it is empty or not valid.
    fn read(item: &str) -> Option<Self> {
        let item = item.to_ascii_lowercase();
        if let Some(net) = net(&item) {
            return Some(Self { hosts: Hosts::Net(net), port: None });
        }
        let (host, port) = match item.rsplit_once(':') {
            Some((host, digits)) if digits.bytes().all(|byte| byte.is_ascii_digit()) => (host, digits.parse().ok()?),
            _ => return Self::of(&item, None),
        };
        Self::of(host, Some(port))
    }

    fn of(host: &str, port: Option<u16>) -> Option<Self> {
        if let Some(net) = net(host) {
            return Some(Self { hosts: Hosts::Net(net), port });
        }
        let name = host.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(host).trim_matches('.');
        let hosts = match name {
            "" => return None,
            "*" => Hosts::All,
            name => Hosts::Domain(name.to_owned()),
        };
        Some(Self { hosts, port })
    }

    /// Returns whether this exception covers a host at this port. The host is in lower case and has no trailing dot.
    fn covers(&self, host: &str, port: u16) -> bool {
        let address = bare_host(host).parse::<IpAddr>();
        let names_host = match (&self.hosts, address.map(|address| address.to_canonical())) {
            (Hosts::All, _) => true,
            (Hosts::Net(net), Ok(address)) => net.contains(&address),
            // A domain never covers an address: `0.0.1` is not a parent domain of 10.0.0.1.
            (Hosts::Net(_), Err(_)) | (Hosts::Domain(_), Ok(_)) => false,
            (Hosts::Domain(name), Err(_)) => {
                host.strip_suffix(name.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            }
        };
        names_host && self.port.is_none_or(|of| of == port)
    }
}

/// Parses an address or a network. The address may stand in brackets.
fn net(text: &str) -> Option<IpNet> {
    let (address, length) = text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
    let address = match address.strip_prefix('[') {
        Some(inner) => IpAddr::V6(inner.strip_suffix(']')?.parse().ok()?),
        None => address.parse().ok()?,
    };
    match length {
        Some(length) => IpNet::new(address, length.parse().ok()?).ok(),
        None => Some(address.to_canonical().into()),
    }
}

impl fmt::Debug for ProxyRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("ProxyRule");
        match &self.proxy {
            Choice::Direct => debug.field("proxy", &"none"),
            Choice::Through(proxy) => debug.field("proxy", proxy),
            Choice::Unusable(error) => debug.field("unusable", error),
        };
        debug.field("exceptions", &self.exceptions).finish()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn rule(no_proxy: &str) -> ProxyRule {
        ProxyRule::new(Some("http://u:p@proxy.example:3128"), Some(no_proxy)).unwrap()
    }

    fn is_proxied(rule: &ProxyRule, url: &str) -> bool {
        rule.proxy_for(&url.parse().unwrap()).unwrap().is_some()
    }

    #[test]
    fn only_https_to_other_machines_goes_through_a_proxy() {
        let rule = rule("internal.example, .corp ,10.0.0.1,x.example:8443");
        assert!(is_proxied(&rule, "https://platform.example"));
        assert!(is_proxied(&rule, "https://x.example"));
        for direct in [
            "http://platform.example",
            "https://localhost:9",
            "https://localhost.",
            "https://127.0.0.1",
            "https://[::1]:1",
            "https://internal.example",
            "https://a.INTERNAL.example",
            "https://a.corp",
            "https://10.0.0.1",
            "https://x.example:8443",
        ] {
            assert!(!is_proxied(&rule, direct), "{direct}");
        }
        assert!(!format!("{rule:?}").contains(":p"));
        assert!(!is_proxied(&ProxyRule::new(Some("proxy.example:1"), Some("*")).unwrap(), "https://a.b"));
        for bad in ["socks5://proxy:1", "https://proxy:1", "http://", "http://a b", "proxy:312800", "proxy:", "p:x"] {
            assert!(ProxyRule::new(Some(bad), None).is_err(), "{bad}");
        }
        assert_eq!(ProxyRule::new(Some(" "), None).unwrap(), ProxyRule::direct());
    }

    #[test]
    fn no_proxy_is_read_as_people_write_it() {
        for (no_proxy, direct, proxied) in [
            (
                "10.0.0.0/8",
                &["https://10.1.2.3", "https://10.255.0.1:8443"][..],
                &["https://11.0.0.1", "https://host.example"][..],
            ),
            ("10.1.2.3/8", &["https://10.200.0.1"], &["https://11.0.0.1"]),
            ("192.168.1.0/24", &["https://192.168.1.77"], &["https://192.168.2.1"]),
            ("0.0.0.0/0", &["https://93.184.216.34"], &["https://[2001:db8::1]", "https://host.example"]),
            ("fd00::/8", &["https://[fd12::1]:9"], &["https://[fe80::1]", "https://253.0.0.1"]),
            ("[fd00::]/8", &["https://[fd12::1]"], &["https://[fe80::1]"]),
            ("2001:db8::1", &["https://[2001:DB8::1]", "https://[2001:db8:0:0::1]:8443"], &["https://[2001:db8::2]"]),
            ("[2001:db8::1]", &["https://[2001:db8::1]"], &["https://[2001:db8::2]"]),
            ("[2001:db8::1]:8443", &["https://[2001:db8::1]:8443"], &["https://[2001:db8::1]"]),
            ("10.0.0.1:8443", &["https://10.0.0.1:8443"], &["https://10.0.0.1"]),
            ("10.0.0.0/8:8443", &["https://10.9.9.9:8443"], &["https://10.9.9.9"]),
            ("::ffff:10.0.0.1", &["https://10.0.0.1"], &["https://10.0.0.2"]),
            ("10.0.0.1", &["https://[::ffff:10.0.0.1]"], &["https://[::1:10.0.0.1]"]),
            (
                " a.example\tb.example,,c.example\n",
                &["https://a.example", "https://b.example", "https://c.example"],
                &["https://d.example"],
            ),
            (
                "a.example.,.b.example.",
                &["https://a.example", "https://x.a.example.", "https://b.example"],
                &["https://xa.example"],
            ),
            ("a.example", &["https://A.example."], &["https://a.example.org"]),
            ("*.a.example", &["https://x.a.example", "https://a.example"], &["https://xa.example"]),
            ("*:8443", &["https://any.example:8443"], &["https://any.example"]),
            ("*", &["https://any.example", "https://10.0.0.1"], &[]),
            // The end of an address, and items that are not valid.
            ("0.0.1", &[], &["https://10.0.0.1"]),
            ("example", &["https://host.example"], &["https://notexample"]),
            (
                ". , .. ,*., :, :80,10.0.0.0/33,fd00::/129,10.0.0.0/,/8,a.example:99999,10.*",
                &[],
                &["https://10.0.0.1", "https://a.example"],
            ),
        ] {
            let rule = rule(no_proxy);
            for url in direct {
                assert!(!is_proxied(&rule, url), "{no_proxy:?} does not except {url}: {rule:?}");
            }
            for url in proxied {
                assert!(is_proxied(&rule, url), "{no_proxy:?} excepts {url}: {rule:?}");
            }
        }
    }

    #[test]
    fn a_proxys_password_that_is_not_encoded_is_named_with_the_remedy() {
        for url in [
            "http://user:p#ss@proxy:3128",
            "user:p#ss@proxy:3128",
            "http://user:80/ss@proxy:3128",
            "http://u:80?ss@proxy",
        ] {
            let error = ProxyRule::new(Some(url), None).unwrap_err();
            assert!(error.to_string().contains("write @ as %40"), "{url}: {error}");
            assert!(!error.to_string().contains("ss@"), "{error}");
        }
        let rule = ProxyRule::new(Some("http://user:p%23ss@proxy:3128"), None).unwrap();
        let proxy = rule.proxy_for(&"https://platform.example".parse().unwrap()).unwrap().unwrap().clone();
        assert_eq!((proxy.host(), proxy.port()), ("proxy", 3128));
    }

    #[test]
    fn an_unusable_proxy_of_the_environment_harms_nobody_who_needs_none() {
        for unusable in ["socks5://proxy:1080", "https://proxy:3128", "http://user:p#ss@proxy:3128", "http://proxy:x"] {
            let rule = ProxyRule::from_environment(Some(unusable), Some("inside.example,10.0.0.0/8"));
            for unharmed in
                ["http://127.0.0.1:8080", "https://localhost:8443", "https://inside.example", "https://10.1.1.1"]
            {
                let base_url = BaseUrl::parse(unharmed, false).unwrap();
                assert!(rule.check(&base_url).is_ok(), "{unharmed}");
                assert!(rule.proxy_for(&unharmed.parse().unwrap()).unwrap().is_none(), "{unharmed}");
            }
            let error =
                rule.check(&BaseUrl::parse("https://platform.example", false).unwrap()).unwrap_err().to_string();
            assert!(error.contains("the proxy's URL has") && error.contains("NO_PROXY"), "{error}");
            let fault = rule.proxy_for(&"https://peer.example/a2a".parse().unwrap()).unwrap_err();
            assert_eq!((fault.sent, fault.kind), (Sent::No, FaultKind::Proxy));
            let source = fault.source.unwrap().to_string();
            assert!(source.contains("HTTPS_PROXY has"), "{source}");
            assert!(!format!("{rule:?}{source}{error}").contains("ss@"), "{rule:?} {error}");
            assert!(ProxyRule::new(Some(unusable), None).is_err(), "an author's own choice is checked at once");
        }
    }
}
