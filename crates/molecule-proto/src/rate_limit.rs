//! The rate-limit headers (contract section 1.3).

use http::HeaderMap;
use serde::{Deserialize, Serialize};

use crate::header;

/// The headers `X-RateLimit-*`: the state of the one-minute window that all requests of an organisation, a token or an
/// address share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RateLimit {
    /// The server does not limit (development), and writes the word `unlimited`.
    Unlimited,
    /// The server limits.
    Window {
        /// The most requests in a window.
        limit: u32,
        /// The rest of the window, if the answer has it.
        remaining: Option<Remaining>,
    },
}

/// The rest of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Remaining {
    /// Requests left, after the answered one.
    pub requests: u32,
    /// Whole seconds until the window refills, rounded down.
    pub reset_secs: u32,
}

impl Remaining {
    /// Requests left, and whole seconds until the window refills.
    pub fn new(requests: u32, reset_secs: u32) -> Self {
        Self { requests, reset_secs }
    }
}

impl RateLimit {
    /// Reads the headers; `None` if they are missing or invalid, as behind a proxy that rewrites them.
    pub fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let word = |name| headers.get(name)?.to_str().ok().map(str::trim);
        let number = |name| word(name)?.parse::<u32>().ok();
        let limit = word(header::RATE_LIMIT)?;
        if limit.eq_ignore_ascii_case("unlimited") {
            return Some(Self::Unlimited);
        }
        let remaining = match (number(header::RATE_REMAINING), number(header::RATE_RESET)) {
            (Some(requests), Some(reset_secs)) => Some(Remaining { requests, reset_secs }),
            (_, _) => None,
        };
        Some(Self::Window { limit: limit.parse().ok()?, remaining })
    }

    /// Writes the headers as the server does.
    pub fn write_to(&self, headers: &mut HeaderMap) {
        match *self {
            Self::Unlimited => {
                headers.insert(header::RATE_LIMIT, http::HeaderValue::from_static("unlimited"));
            }
            Self::Window { limit, remaining } => {
                headers.insert(header::RATE_LIMIT, limit.into());
                if let Some(left) = remaining {
                    headers.insert(header::RATE_REMAINING, left.requests.into());
                    headers.insert(header::RATE_RESET, left.reset_secs.into());
                }
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_word_where_a_number_was_due_does_not_fail() {
        assert_eq!(
            RateLimit::from_headers(&headers(&[("x-ratelimit-limit", "unlimited")])),
            Some(RateLimit::Unlimited)
        );
        assert_eq!(RateLimit::from_headers(&headers(&[("x-ratelimit-limit", "lots")])), None);
        assert_eq!(RateLimit::from_headers(&headers(&[])), None);
    }

    #[test]
    fn headers_read_as_they_are_written() {
        for limit in [
            RateLimit::Unlimited,
            RateLimit::Window { limit: 600, remaining: Some(Remaining { requests: 599, reset_secs: 59 }) },
            RateLimit::Window { limit: 60, remaining: None },
        ] {
            let mut headers = HeaderMap::new();
            limit.write_to(&mut headers);
            assert_eq!(RateLimit::from_headers(&headers), Some(limit));
        }
    }
}
