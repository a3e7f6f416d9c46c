//! The rules for URLs of agents (contract section 4.3; April 4.1).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use molecule_proto::Dialect;

use crate::config::Config;

/// Checks the URL of a push agent at register and at creation.
///
/// # Errors
/// The reason, with the current server's text; April's server never sends it.
pub(crate) fn check_push(config: &Config, url: &str) -> Result<(), String> {
    if url.is_empty() {
        return Err("url is required".to_owned());
    }
    let (scheme, host) = split(url).map_err(|reason| format!("url is not valid: parse {url:?}: {reason}"))?;
    if scheme != "http" && scheme != "https" {
        return Err(format!("url scheme must be http or https, got {scheme:?}"));
    }
    if host == "localhost" {
        return Ok(());
    }
    if config.dialect == Dialect::April && (host.is_empty() || is_localhost_in_other_words(&host)) {
        return Err("url host is not allowed".to_owned());
    }
    if let Some(address) = literal(&host) {
        return match blocked(config, address) {
            Some(class) => Err(format!("url targets a blocked address: {class}")),
            None => Ok(()),
        };
    }
    let addresses = config.resolver.resolve(&host);
    if addresses.is_empty() {
        return Err(format!("hostname {host:?} cannot be resolved (DNS error): lookup {host}: no such host"));
    }
    match addresses.into_iter().find_map(|address| blocked(config, address)) {
        Some(class) => Err(format!("hostname {host:?} resolves to forbidden address: {class}")),
        None => Ok(()),
    }
}

/// The stricter check of a card's URL (contract section 6.1): `localhost` is checked like a loopback address, and the
/// unspecified address is refused.
pub(crate) fn is_safe(config: &Config, url: &str) -> bool {
    let Ok((scheme, host)) = split(url) else { return false };
    let addresses = match literal(&host) {
        Some(address) => vec![address],
        None if host == "localhost" => vec![IpAddr::V4(Ipv4Addr::LOCALHOST)],
        None => config.resolver.resolve(&host),
    };
    (scheme == "http" || scheme == "https")
        && !addresses.is_empty()
        && addresses.into_iter().all(|address| !address.is_unspecified() && blocked(config, address).is_none())
}

/// Returns whether the platform connects to a URL. It is checked at each call (April contract section 7.3). Development
/// mode allows loopback and private addresses.
pub(crate) fn is_dialable(config: &Config, url: &str) -> bool {
    let Ok((scheme, host)) = split(url) else { return false };
    let addresses = match literal(&host) {
        Some(address) => vec![address],
        None => config.resolver.resolve(&host),
    };
    let passes = |address: IpAddr| match blocked(config, address) {
        None => !address.is_unspecified(),
        Some(_) => config.development && (address.is_loopback() || is_private(address)),
    };
    (scheme == "http" || scheme == "https") && !addresses.is_empty() && addresses.into_iter().all(passes)
}

/// Returns whether a URL's host is a literal address of this machine or of a private network.
pub(crate) fn is_local_literal(url: &str) -> bool {
    let address = split(url).ok().and_then(|(_, host)| literal(&host));
    address.is_some_and(|address| address.is_loopback() || is_private(address))
}

/// Returns whether discovery shows the URL of an external workspace. In development mode the current server shows every
/// registered URL.
pub(crate) fn may_be_shown(config: &Config, url: &str) -> bool {
    (config.development && config.dialect == Dialect::Current) || is_dialable(config, url)
}

fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_private(),
        IpAddr::V6(v6) => matches!(v6.segments(), [0xfd00..=0xfdff, ..]),
    }
}

/// Returns whether a later register leaves a stored URL unchanged (contract section 4.6; April 4.1).
pub(crate) fn is_sticky(dialect: Dialect, stored: &str) -> bool {
    match dialect {
        Dialect::April => stored.starts_with("http://127.0.0.1"),
        Dialect::Current => {
            let bare = stored.strip_prefix("http://127.0.0.1:").or_else(|| stored.strip_prefix("http://localhost:"));
            bare.is_some_and(|port| port != "8000" && is_port(port))
        }
    }
}

fn is_localhost_in_other_words(host: &str) -> bool {
    host.trim_end_matches('.').eq_ignore_ascii_case("localhost")
}

fn is_port(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn literal(host: &str) -> Option<IpAddr> {
    let address: IpAddr = host.parse().ok()?;
    // An IPv4-mapped IPv6 address is checked as IPv4.
    match address {
        IpAddr::V6(v6) => Some(v6.to_ipv4_mapped().map_or(address, IpAddr::V4)),
        IpAddr::V4(_) => Some(address),
    }
}

/// The class of a refused address, with the server's text. The texts for the IPv6 documentation and link-local ranges
/// and for `::1` were never recorded; they follow the IPv4 ones.
fn blocked(config: &Config, address: IpAddr) -> Option<&'static str> {
    let private_passes = config.organisation.is_some();
    let loopback_passes = config.development && config.dialect == Dialect::Current;
    if address.is_loopback() {
        return (!loopback_passes).then_some("loopback address");
    }
    match address {
        IpAddr::V4(v4) => blocked_v4(v4, private_passes),
        IpAddr::V6(v6) => blocked_v6(v6, private_passes),
    }
}

fn blocked_v4(address: Ipv4Addr, private_passes: bool) -> Option<&'static str> {
    match address.octets() {
        [169, 254, ..] => Some("link-local address (cloud metadata endpoint)"),
        [192, 0, 2, _] => Some("TEST-NET-1 documentation range (RFC-5737)"),
        [198, 51, 100, _] => Some("TEST-NET-2 documentation range (RFC-5737)"),
        [203, 0, 113, _] => Some("TEST-NET-3 documentation range (RFC-5737)"),
        [100, 64..=127, ..] => Some("carrier-grade NAT address (RFC-6598)"),
        [224..=239, ..] => Some("IPv4 multicast address"),
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => (!private_passes).then_some("RFC-1918 private address"),
        _ => None,
    }
}

fn blocked_v6(address: Ipv6Addr, private_passes: bool) -> Option<&'static str> {
    match address.segments() {
        [0xfe80..=0xfebf, ..] => Some("link-local address (cloud metadata endpoint)"),
        [0x2001, 0x0db8, ..] => Some("IPv6 documentation range (RFC-3849)"),
        [0xfc00..=0xfcff, ..] => Some("IPv6 ULA non-routable prefix (fc00::/8)"),
        [0xfd00..=0xfdff, ..] => (!private_passes).then_some("IPv6 ULA address (RFC-4193 private)"),
        _ => None,
    }
}

/// The scheme (in lower case, `""` for none) and the host (without brackets, port and user info), as Go's parser
/// returns them.
fn split(url: &str) -> Result<(String, String), &'static str> {
    if url.bytes().any(|byte| byte.is_ascii_control()) {
        return Err("net/url: invalid control character in URL");
    }
    let (scheme, rest) = match url.split_once(':') {
        Some((word, rest)) if is_scheme(word) => (word.to_ascii_lowercase(), rest),
        Some((word, _)) if !word.contains('/') && !word.contains('?') && !word.contains('#') => {
            return Err("first path segment in URL cannot contain colon");
        }
        Some(_) | None => (String::new(), url),
    };
    let Some(rest) = rest.strip_prefix("//") else { return Ok((scheme, String::new())) };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let (name, port) = if let Some(bracketed) = host.strip_prefix('[') {
        bracketed.split_once(']').ok_or("missing ']' in host")?
    } else {
        match host.find(':') {
            Some(colon) => host.split_at(colon),
            None => (host, ""),
        }
    };
    if !matches!(port, "" | ":") && !port.strip_prefix(':').is_some_and(is_port) {
        return Err("invalid port after host");
    }
    if name.contains(' ') {
        return Err("invalid character \" \" in host name");
    }
    Ok((scheme, name.to_owned()))
}

fn is_scheme(word: &str) -> bool {
    word.starts_with(|first: char| first.is_ascii_alphabetic())
        && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strict(dialect: Dialect) -> Config {
        Config { development: false, ..Config::new(dialect) }
    }

    #[test]
    fn april_takes_localhost_in_one_spelling_alone() {
        let config = Config::new(Dialect::April);
        for (url, passes) in [
            ("http://localhost:9/", true),
            ("HTTP://localhost/x", true),
            ("http://a:b@93.184.216.34/x", true),
            ("http://93.184.216.34:99999/a b", true),
            ("http://[::]/", true),
            ("http://LOCALHOST/", false),
            ("http://localhost./", false),
            ("http:///x", false),
            ("http://127.0.0.1:9/", false),
            ("http://[::1]:9/", false),
            ("host:1/x", false),
        ] {
            assert_eq!(check_push(&config, url).is_ok(), passes, "{url}");
        }
    }

    #[test]
    fn an_organisation_accepts_private_addresses_and_no_loopback() {
        let config = Config { organisation: Some("org".to_owned()), ..strict(Dialect::Current) };
        assert!(check_push(&config, "http://10.0.0.1/x").is_ok());
        assert!(check_push(&config, "http://[fd00::1]/x").is_ok());
        assert!(check_push(&config, "http://127.0.0.1/x").is_err());
    }

    #[test]
    fn a_name_is_judged_by_all_its_addresses() {
        let resolver = crate::Resolver::new(|_| vec![[1, 1, 1, 1].into(), [10, 0, 0, 1].into()]);
        let config = Config { resolver, ..strict(Dialect::Current) };
        assert_eq!(
            check_push(&config, "http://two.example/").unwrap_err(),
            "hostname \"two.example\" resolves to forbidden address: RFC-1918 private address"
        );
    }

    #[test]
    fn a_cards_localhost_is_unsafe_outside_development() {
        assert!(!is_safe(&strict(Dialect::Current), "http://localhost:1/x"));
        assert!(is_safe(&Config::new(Dialect::Current), "http://localhost:1/x"));
        assert!(!is_safe(&Config::new(Dialect::Current), "http://0.0.0.0/"));
        assert!(!is_safe(&Config::new(Dialect::Current), "remote://no-inbound"));
    }

    #[test]
    fn stored_local_urls_stick() {
        for (dialect, url, sticks) in [
            (Dialect::Current, "http://localhost:1234", true),
            (Dialect::Current, "http://127.0.0.1:1234", true),
            (Dialect::Current, "http://127.0.0.1:1234/", false),
            (Dialect::Current, "http://127.0.0.1:8000", false),
            (Dialect::April, "http://127.0.0.1:1/x", true),
            (Dialect::April, "http://localhost:1", false),
        ] {
            assert_eq!(is_sticky(dialect, url), sticks, "{url}");
        }
    }
}
