//! The rate limits, which count in fixed windows (contract section 1.3; April 1.2).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};
use molecule_proto::{Dialect, ErrorBody, RateLimit, Remaining, Time, header};

use crate::auth::bearer;
use crate::config::Config;
use crate::reply::{self, Response};

const MINUTE: Duration = Duration::from_secs(60);
const DEFAULT: u32 = 600;
const HOUR: Duration = Duration::from_secs(3600);
/// The most requests for organisation tokens from one address in an hour.
const ORG_TOKENS: u32 = 10;
/// The number of windows above which ended ones are removed.
const MOST_WINDOWS: usize = 1024;

/// The key by which requests share a window.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Bucket {
    Organisation(Vec<u8>),
    Bearer(String),
    Address(Option<IpAddr>),
}

#[derive(Clone)]
struct Window {
    ends: Time,
    used: u32,
}

/// Counts the requests of each bucket.
#[derive(Clone)]
pub(crate) struct Limiter {
    /// Whether the bucket is always chosen by the address.
    by_address: bool,
    window: Duration,
    /// The requests in a window; `None` means no limit.
    limit: Option<u32>,
    windows: BTreeMap<Bucket, Window>,
}

/// The state of a request's window.
pub(crate) struct Counted {
    pub(crate) limit: RateLimit,
    /// The seconds until the window ends, if this request exceeds the limit.
    over: Option<u32>,
}

impl Limiter {
    /// The limit that counts every request.
    pub(crate) fn new(config: &Config) -> Self {
        let default = if config.development { None } else { Some(DEFAULT) };
        let by_address = config.dialect == Dialect::April;
        Self { by_address, window: MINUTE, limit: config.rate_limit.or(default), windows: BTreeMap::new() }
    }

    /// The limit of the route that mints organisation tokens. Its headers replace those of the general limit.
    pub(crate) fn of_org_tokens() -> Self {
        Self { by_address: true, window: HOUR, limit: Some(ORG_TOKENS), windows: BTreeMap::new() }
    }

    pub(crate) fn count(&mut self, now: Time, peer: Option<IpAddr>, headers: &HeaderMap) -> Counted {
        let Some(limit) = self.limit else {
            return Counted { limit: RateLimit::Unlimited, over: None };
        };
        if self.windows.len() > MOST_WINDOWS {
            self.windows.retain(|_, window| window.ends > now);
        }
        let fresh = || Window { ends: now + self.window, used: 0 };
        let bucket = if self.by_address { Bucket::Address(peer) } else { bucket(peer, headers) };
        let window = self.windows.entry(bucket).or_insert_with(fresh);
        if window.ends <= now {
            *window = fresh();
        }
        let over = window.used >= limit;
        window.used = window.used.saturating_add(1).min(limit);
        // The seconds are rounded down. A nanosecond less makes even the first answer of a window show less than its
        // full length.
        let left = window.ends.since(now).saturating_sub(Duration::from_nanos(1));
        let reset_secs = u32::try_from(left.as_secs()).unwrap_or(u32::MAX);
        let remaining = Some(Remaining::new(limit - window.used, reset_secs));
        Counted { limit: RateLimit::Window { limit, remaining }, over: over.then_some(reset_secs) }
    }
}

/// The bucket on the current server: the organisation, else the bearer, else the address.
fn bucket(peer: Option<IpAddr>, headers: &HeaderMap) -> Bucket {
    match (headers.get(header::ORG_ID), bearer(headers)) {
        (Some(organisation), _) if !organisation.is_empty() => Bucket::Organisation(organisation.as_bytes().to_vec()),
        (_, Some(token)) => Bucket::Bearer(token.to_owned()),
        (_, None) => Bucket::Address(peer),
    }
}

impl Counted {
    /// The refusal, if this request exceeds the limit.
    pub(crate) fn refusal(&self) -> Option<Response> {
        let seconds = self.over?;
        let mut body = ErrorBody::new("rate limit exceeded");
        body.retry_after = Some(seconds.into());
        let mut response = reply::json(StatusCode::TOO_MANY_REQUESTS, &body);
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
        Some(response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(dialect: Dialect) -> Limiter {
        Limiter::new(&Config { rate_limit: Some(2), ..Config::new(dialect) })
    }

    #[test]
    fn a_window_refills_after_a_minute() {
        let mut limiter = limiter(Dialect::April);
        let headers = HeaderMap::new();
        let start = Time::from_nanos(5);
        let mut over = |now| limiter.count(now, None, &headers).over;
        assert_eq!([over(start), over(start), over(start)], [None, None, Some(59)]);
        assert_eq!(over(start + Duration::from_secs(59)), Some(0));
        assert_eq!(over(start + MINUTE), None);
    }

    #[test]
    fn the_organisation_comes_before_the_bearer_and_the_bearer_before_the_address() {
        let mut limiter = limiter(Dialect::Current);
        let mut headers = HeaderMap::new();
        let mut used = |headers: &HeaderMap| match limiter.count(Time::ZERO, None, headers).limit {
            RateLimit::Window { remaining: Some(left), .. } => left.requests,
            other => panic!("a window was due, not {other:?}"),
        };
        assert_eq!(used(&headers), 1);
        headers.insert(http::header::AUTHORIZATION, http::HeaderValue::from_static("Bearer x"));
        assert_eq!(used(&headers), 1);
        headers.insert(header::ORG_ID, http::HeaderValue::from_static("org"));
        assert_eq!(used(&headers), 1);
        headers.remove(header::ORG_ID);
        assert_eq!(used(&headers), 0);
    }
}
