//! The rules for whether and when a request is sent again.

use std::time::Duration;

use fastrand::Rng;
use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};
use molecule_proto::{ErrorBody, UnixTime};

use crate::effect::{Fault, FaultKind, Sent};
use crate::endpoint::Repeat;
use crate::endpoint::date::http_date;
use crate::machine::Cx;

/// The most requests of one call.
pub(crate) const MAX_REQUESTS: u32 = 4;

/// The ceiling of the first wait, which doubles with each further one, and the highest ceiling.
pub(crate) const BASE: Duration = Duration::from_secs(1);
pub(crate) const CAP: Duration = Duration::from_secs(30);

/// The shortest and the longest wait that a server may ask for, in seconds. Other values are clamped to them.
pub(crate) const LEAST_ASKED: u64 = 1;
pub(crate) const MOST_ASKED: u64 = 60;

/// Returns whether a request is sent again after this status. Every request is, if the platform turned it away
/// unhandled. After a gateway's status nothing is known of the request, so only one that may always be repeated is sent
/// again.
pub(crate) fn may_repeat_status(status: StatusCode, body: Option<&ErrorBody>, repeat: Repeat) -> bool {
    is_turned_away(status, body) || (repeat == Repeat::Always && may_pass(status))
}

/// Returns whether a status may pass: a spent rate limit, a gateway without its server, or an error of Cloudflare's
/// edge (520 to 527, and 530).
fn may_pass(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 502..=504 | 520..=527 | 530)
}

/// Returns whether the platform itself says that it did not handle the request (contract sections 1.3 and 1.4). A
/// gateway's word does not count: even if it asks for a retry (a Varnish error page with `Retry-After`), it may have
/// passed the request on.
fn is_turned_away(status: StatusCode, body: Option<&ErrorBody>) -> bool {
    let Some(body) = body else { return false };
    match status {
        StatusCode::TOO_MANY_REQUESTS => body.error == "rate limit exceeded",
        StatusCode::SERVICE_UNAVAILABLE => body.code.as_deref() == Some("platform_unavailable"),
        _ => false,
    }
}

/// Returns whether the server may have acted before this refusal: it failed half-way, or a gateway lost its answer.
pub(crate) fn may_have_acted(status: StatusCode, body: Option<&ErrorBody>) -> bool {
    status.is_server_error() && !is_turned_away(status, body)
}

/// Returns whether a request is sent again after this fault. One that was never sent is; one that may have arrived is
/// only if to repeat it does no harm. A refused certificate and an answer that is too large are final. So are
/// credentials that a proxy refuses, since repeated tries lock an account.
pub(crate) fn may_repeat_fault(fault: &Fault, repeat: Repeat) -> bool {
    let passing = match fault.kind {
        FaultKind::Resolve
        | FaultKind::Connect
        | FaultKind::Proxy
        | FaultKind::Timeout(_)
        | FaultKind::Interrupted
        | FaultKind::Protocol => true,
        FaultKind::Tls
        | FaultKind::ProxyAuth
        | FaultKind::OutOfReach
        | FaultKind::CertificateTime
        | FaultKind::NotTls
        | FaultKind::TooLarge
        | FaultKind::Archive
        | FaultKind::Host(_)
        | FaultKind::File
        | FaultKind::Locked
        | FaultKind::Handler
        | FaultKind::HandlerPanicked
        | FaultKind::TryAgain
        | FaultKind::Cancelled => false,
    };
    passing && (fault.sent == Sent::No || repeat == Repeat::Always)
}

/// Returns the wait before retry `n` (0 is the first): full jitter below 1 s doubled `n` times, at most 30 s.
pub(crate) fn backoff(rng: &mut Rng, n: u32) -> Duration {
    let ceiling = BASE.saturating_mul(1 << n.min(5)).min(CAP);
    jitter(rng, Duration::ZERO, ceiling)
}

/// Returns the wait that a server asked for plus a random extra, since the server asks the same of all agents. The
/// extra is at most half of that wait (clamped to 1 to 5 s), and never more than `room` or half the interval of
/// heartbeats.
pub(crate) fn spread(cx: &mut Cx<'_>, asked: Duration, room: Duration) -> Duration {
    let pace = cx.session.config().intervals.heartbeat / 2;
    let most = (asked / 2).clamp(Duration::from_secs(1), Duration::from_secs(5)).min(pace).min(room);
    asked + jitter(&mut cx.session.rng, Duration::ZERO, most)
}

/// Returns a random duration between two.
pub(crate) fn jitter(rng: &mut Rng, least: Duration, most: Duration) -> Duration {
    if most <= least {
        return least;
    }
    least + (most - least).mul_f64(rng.f64())
}

/// Returns the wait that `Retry-After` asks for, clamped to 1 to 60 s. The header holds seconds (a fraction is rounded
/// up) or an HTTP date. If it is missing or invalid, the body's `retry_after` is used.
pub(crate) fn retry_after(headers: &HeaderMap, body: Option<&ErrorBody>, now: UnixTime) -> Option<Duration> {
    let from_header = headers.get(RETRY_AFTER).and_then(|value| parse(value.to_str().ok()?.trim(), now));
    let seconds = from_header.or_else(|| body.and_then(|body| body.retry_after))?;
    Some(Duration::from_secs(seconds.clamp(LEAST_ASKED, MOST_ASKED)))
}

fn parse(text: &str, now: UnixTime) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !whole.is_empty() && digits(whole) && digits(fraction) {
        let up = u64::from(fraction.bytes().any(|byte| byte != b'0'));
        // A number that does not fit is a very long time, which is clamped anyway.
        return Some(whole.parse().unwrap_or(u64::MAX).saturating_add(up));
    }
    let wait = http_date(text)?.as_secs().saturating_sub(now.as_secs());
    Some(u64::try_from(wait).unwrap_or(0))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::effect::Phase;

    #[test]
    fn retry_after_is_read_in_every_form_and_clamped() {
        let now: UnixTime = "2026-11-22T21:39:47Z".parse().unwrap();
        let wait = |text: &str| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]);
            retry_after(&headers, None, now).map(|wait| wait.as_secs())
        };
        for (text, seconds) in [
            ("7", Some(7)),
            (" 7 ", Some(7)),
            ("0", Some(1)),
            ("59", Some(59)),
            ("3600", Some(60)),
            ("99999999999999999999999", Some(60)),
            ("1.2", Some(2)),
            ("2.000", Some(2)),
            ("Sun, 22 Nov 2026 21:40:17 GMT", Some(30)),
            ("Sunday, 22-Nov-26 21:40:17 GMT", Some(30)),
            ("Sun Nov 22 21:40:17 2026", Some(30)),
            ("Sun, 22 Nov 2026 20:00:00 GMT", Some(1)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(60)),
            ("-5", None),
            ("inf", None),
            ("nan", None),
            ("soon", None),
            ("", None),
            (".5", None),
            ("1e3", None),
            ("0x10", None),
        ] {
            assert_eq!(wait(text), seconds, "{text:?}");
        }
    }

    #[test]
    fn a_bodys_retry_after_stands_in_for_the_header() {
        let body: ErrorBody = serde_json::from_str(r#"{"error":"rate limit exceeded","retry_after":12}"#).unwrap();
        let wait = retry_after(&HeaderMap::new(), Some(&body), UnixTime::from_secs(0));
        assert_eq!(wait, Some(Duration::from_secs(12)));
    }

    #[test]
    fn which_status_is_repeated() {
        let body = |text: &str| serde_json::from_str::<ErrorBody>(text).ok();
        let unavailable = body(r#"{"error":"datastore","code":"platform_unavailable"}"#);
        let limited = body(r#"{"error":"rate limit exceeded","retry_after":7}"#);
        let foreign = body(r#"{"error":"Service Unavailable","statusCode":503,"retry_after":7}"#);
        for (status, body, only_unsent, always) in [
            (429, &limited, true, true),
            (429, &foreign, false, true),
            (429, &None, false, true),
            (503, &unavailable, true, true),
            (503, &limited, false, true),
            (503, &foreign, false, true),
            (503, &None, false, true),
            (502, &unavailable, false, true),
            (504, &None, false, true),
            (519, &None, false, false),
            (520, &None, false, true),
            (524, &None, false, true),
            (527, &None, false, true),
            (528, &None, false, false),
            (530, &None, false, true),
            (500, &unavailable, false, false),
            (501, &None, false, false),
            (505, &None, false, false),
            (401, &None, false, false),
            (404, &None, false, false),
            (302, &None, false, false),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let body = body.as_ref();
            assert_eq!(may_repeat_status(status, body, Repeat::OnlyUnsent), only_unsent, "{status} {body:?}");
            assert_eq!(may_repeat_status(status, body, Repeat::Always), always, "{status} {body:?}");
            assert_eq!(may_have_acted(status, body), status.as_u16() >= 500 && !only_unsent, "{status} {body:?}");
        }
    }

    #[test]
    fn which_fault_is_repeated() {
        for (sent, kind, only_unsent, always) in [
            (Sent::No, FaultKind::Resolve, true, true),
            (Sent::No, FaultKind::Connect, true, true),
            (Sent::No, FaultKind::Proxy, true, true),
            (Sent::No, FaultKind::Timeout(Phase::Connect), true, true),
            (Sent::Maybe, FaultKind::Timeout(Phase::Head), false, true),
            (Sent::Maybe, FaultKind::Interrupted, false, true),
            (Sent::No, FaultKind::Interrupted, true, true),
            (Sent::Maybe, FaultKind::Protocol, false, true),
            (Sent::No, FaultKind::Tls, false, false),
            (Sent::No, FaultKind::ProxyAuth, false, false),
            (Sent::No, FaultKind::OutOfReach, false, false),
            (Sent::No, FaultKind::CertificateTime, false, false),
            (Sent::No, FaultKind::NotTls, false, false),
            (Sent::Maybe, FaultKind::TooLarge, false, false),
            (Sent::No, FaultKind::Cancelled, false, false),
            (Sent::No, FaultKind::Locked, false, false),
            (Sent::No, FaultKind::Host(std::io::ErrorKind::StorageFull), false, false),
        ] {
            let fault = Fault::new(sent, kind);
            assert_eq!(may_repeat_fault(&fault, Repeat::OnlyUnsent), only_unsent, "{fault:?}");
            assert_eq!(may_repeat_fault(&fault, Repeat::Always), always, "{fault:?}");
        }
    }

    #[test]
    fn backoff_has_full_jitter_and_a_cap() {
        let mut rng = Rng::with_seed(7);
        for (n, ceiling) in [(0, 1.0), (1, 2.0), (2, 4.0), (3, 8.0), (5, 30.0), (60, 30.0)] {
            let waits: Vec<f64> = (0..400).map(|_| backoff(&mut rng, n).as_secs_f64()).collect();
            assert!(waits.iter().all(|wait| (0.0..=ceiling).contains(wait)), "{n}");
            assert!(waits.iter().any(|wait| *wait < ceiling * 0.1), "{n}: not full");
            assert!(waits.iter().any(|wait| *wait > ceiling * 0.9), "{n}: not up to the ceiling");
        }
    }
}
