//! The parser of all URLs: the platform's, a proxy's, a peer's, and the agent's own.
//!
//! [`Uri`] alone is not strict enough: it treats an invalid port (`:80800`, `:8080x`) as absent. The request would then
//! go to the scheme's default port, which nobody named.

use core::net::Ipv6Addr;

use http::Uri;
use http::uri::Scheme;

/// An absolute `http` or `https` URL, whose authority is a host and perhaps a valid port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HttpUrl {
    /// The URL as it was written, without its fragment.
    pub(crate) uri: Uri,
    /// `http` or `https`.
    pub(crate) scheme: Scheme,
    /// The host in lower case, an IPv6 address in brackets.
    pub(crate) host: String,
    /// The port, if one was written: 1 to 65535.
    pub(crate) port: Option<u16>,
    /// Whether the URL has a user name or a password before the host.
    pub(crate) has_user_info: bool,
    /// Whether the URL has a fragment.
    pub(crate) has_fragment: bool,
}

/// Why a text is not a URL that can be used here. `Display` is the end of a sentence whose subject is the URL. It
/// quotes nothing but a scheme, since a URL may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UrlError {
    #[error("is empty")]
    Empty,
    #[error("is not a valid URL")]
    Invalid,
    #[error("has no scheme")]
    NoScheme,
    #[error("has the scheme {0:?} instead of http or https")]
    Scheme(String),
    #[error("names no host")]
    NoHost,
    #[error("has an address in brackets that is no IPv6 address")]
    Address,
    #[error("ends in a colon without a port")]
    NoPort,
    #[error("has something else behind its host than a port from 1 to 65535")]
    Port,
    #[error(
        "has a user name or password with a character that ends it: write @ as %40, : as %3A, / as %2F, # as %23, ? as %3F and % as %25"
    )]
    UserInfo,
}

/// Returns a URL's host without the brackets of an IPv6 address.
pub fn bare_host(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

impl HttpUrl {
    /// Parses a URL that has no blanks around it.
    pub(crate) fn read(text: &str) -> Result<Self, UrlError> {
        if text.is_empty() {
            return Err(UrlError::Empty);
        }
        // A raw `/`, `?` or `#` in a password ends the authority early: a part of the password is then taken for the
        // host.
        let behind = text.split_once("://").map_or(text, |(_, rest)| rest);
        let behind = behind.find(['/', '?', '#']).map_or("", |end| &behind[end..]);
        let cut_short = |error| if behind.contains('@') { UrlError::UserInfo } else { error };
        let uri: Uri =
            text.parse().map_err(|_| if text.contains('@') { UrlError::UserInfo } else { UrlError::Invalid })?;
        let scheme = match uri.scheme_str() {
            Some("https") => Scheme::HTTPS,
            Some("http") => Scheme::HTTP,
            Some(other) => return Err(UrlError::Scheme(other.to_owned())),
            None => return Err(UrlError::NoScheme),
        };
        let authority = uri.authority().ok_or(UrlError::NoHost)?.as_str();
        let (has_user_info, place) = match authority.rsplit_once('@') {
            Some((_, place)) => (true, place),
            None => (false, authority),
        };
        let (host, port) = split(place).map_err(cut_short)?;
        let fragment = text.split_once('#').map(|(_, fragment)| fragment);
        if fragment.is_some_and(|fragment| fragment.contains('@')) {
            return Err(UrlError::UserInfo);
        }
        let host = host.to_ascii_lowercase();
        Ok(Self { scheme, host, port, has_user_info, has_fragment: fragment.is_some(), uri })
    }

    /// Returns whether the scheme is `https`.
    pub(crate) fn is_https(&self) -> bool {
        self.scheme == Scheme::HTTPS
    }

    /// Returns what follows the authority: path and query.
    pub(crate) fn rest(&self) -> &str {
        self.uri.path_and_query().map_or("", |rest| rest.as_str())
    }
}

/// Splits an authority without user info into host and port.
fn split(place: &str) -> Result<(&str, Option<u16>), UrlError> {
    let (host, rest) = match place.strip_prefix('[').map(|inner| inner.split_once(']')) {
        Some(Some((address, rest))) if address.parse::<Ipv6Addr>().is_ok() => (&place[..address.len() + 2], rest),
        Some(_) => return Err(UrlError::Address),
        None => place.split_at(place.find(':').unwrap_or(place.len())),
    };
    if host.is_empty() {
        return Err(UrlError::NoHost);
    }
    let port = match rest.strip_prefix(':') {
        None if rest.is_empty() => None,
        None => return Err(UrlError::Port),
        Some("") => return Err(UrlError::NoPort),
        // `u16::from_str` accepts a leading `+`.
        Some(digits) if !digits.bytes().all(|byte| byte.is_ascii_digit()) => return Err(UrlError::Port),
        Some(digits) => Some(digits.parse().ok().filter(|port| *port != 0).ok_or(UrlError::Port)?),
    };
    Ok((host, port))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn place(text: &str) -> (String, Option<u16>) {
        let url = HttpUrl::read(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        (url.host, url.port)
    }

    #[test]
    fn a_host_and_its_port_are_read_as_they_stand() {
        for (text, host, port) in [
            ("https://HOST.example", "host.example", None),
            ("http://host.example:1/", "host.example", Some(1)),
            ("http://host.example:65535?q", "host.example", Some(65_535)),
            ("http://host.example:0080#top", "host.example", Some(80)),
            ("http://127.0.0.1:8080/a:b@c", "127.0.0.1", Some(8080)),
            ("http://[::1]", "[::1]", None),
            ("http://[2001:DB8::1]:8443/", "[2001:db8::1]", Some(8443)),
            ("http://user:p%40ss@proxy.example:3128", "proxy.example", Some(3128)),
            ("http://user:p@ss@proxy.example:3128", "proxy.example", Some(3128)),
            ("http://user@[::1]:9", "[::1]", Some(9)),
            ("http://host.example?mail=a@b", "host.example", None),
        ] {
            assert_eq!(place(text), (host.to_owned(), port), "{text}");
        }
    }

    #[test]
    fn nothing_but_a_port_stands_behind_a_host() {
        for behind in [
            ":0",
            ":00000",
            ":65536",
            ":80800",
            ":99999999999999999999",
            ":8080x",
            ":x",
            ":-8080",
            ":+8080",
            ":8080:",
            ":80:90",
            ":٣",
            ": 80",
            ":80 ",
            ":8_0",
            ":0x50",
            ":80.0",
            ":",
        ] {
            for host in ["127.0.0.1", "host.example", "[::1]"] {
                for end in ["", "/", "/path", "?q=1", "#f"] {
                    let text = format!("http://{host}{behind}{end}");
                    assert!(HttpUrl::read(&text).is_err(), "{text}");
                }
            }
        }
        for text in [
            "http://[::1]80",
            "http://[::1]x:80",
            "http://[::1",
            "http://::1:80",
            "http://[127.0.0.1]:80",
            "http://[fe80::1%25lo]:80",
        ] {
            assert!(HttpUrl::read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_password_that_ends_too_early_is_named_and_never_shown() {
        for text in [
            "http://user:p#ss@proxy:3128",
            "http://user:p/ss@proxy:3128",
            "http://user:p?ss@proxy:3128",
            "http://user:80#ss@proxy:3128",
            "http://user:p ss@proxy:3128",
            "http://user:p[ss@proxy:3128",
        ] {
            let error = HttpUrl::read(text).unwrap_err();
            assert!(!format!("{error}{error:?}").contains("ss@"), "{text}: {error}");
            assert_eq!(error, UrlError::UserInfo, "{text}");
            assert!(error.to_string().contains("%40"), "{error}");
        }
    }
}
