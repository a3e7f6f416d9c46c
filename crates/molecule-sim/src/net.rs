//! Plans the transmission of a request: when it reaches the server, if at all, and which outcome its caller gets when.
//!
//! Only faults that a real driver was seen to report occur here: [`FAULTS`] is the complete list.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use fastrand::Rng;
use http::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use molecule_core::effect::connection::Reach;
use molecule_core::effect::{Fault, FaultKind, Limits, Phase, Sent};
use molecule_proto::UnixTime;
use serde_json::json;

use crate::weather::{Gust, RetryAfter, SlowPart};

/// Every fault that the simulated network reports for a request.
pub const FAULTS: [(Sent, FaultKind); 19] = [
    (Sent::No, FaultKind::Connect),
    (Sent::No, FaultKind::Resolve),
    (Sent::No, FaultKind::OutOfReach),
    (Sent::No, FaultKind::Tls),
    (Sent::Maybe, FaultKind::Tls),
    (Sent::No, FaultKind::CertificateTime),
    (Sent::No, FaultKind::NotTls),
    (Sent::No, FaultKind::Proxy),
    (Sent::No, FaultKind::ProxyAuth),
    (Sent::No, FaultKind::Timeout(Phase::Connect)),
    (Sent::No, FaultKind::Timeout(Phase::Total)),
    (Sent::No, FaultKind::Interrupted),
    (Sent::Maybe, FaultKind::Interrupted),
    (Sent::Maybe, FaultKind::Timeout(Phase::Head)),
    (Sent::Maybe, FaultKind::Timeout(Phase::Read)),
    (Sent::Maybe, FaultKind::Timeout(Phase::Total)),
    (Sent::Maybe, FaultKind::Protocol),
    (Sent::Maybe, FaultKind::TooLarge),
    // The outcome of a cancelled effect.
    (Sent::Maybe, FaultKind::Cancelled),
];

/// The planned transmission of one request.
#[derive(Debug)]
pub(crate) struct Way {
    /// Delay until the server has the request; `None`: it never gets it.
    pub(crate) arrives: Option<Duration>,
    /// Delay until the caller has the outcome.
    pub(crate) lands: Duration,
    pub(crate) end: PlannedEnd,
}

/// The outcome that the caller gets.
#[derive(Debug)]
pub(crate) enum PlannedEnd {
    /// The server's answer.
    Answer,
    /// The server's answer with a broken body.
    Corrupt,
    /// The server's answer with a body above the size limit.
    AboveCap,
    /// An answer of a proxy or gateway in front of the server.
    Edge(Response<Bytes>),
    /// The same with a body above the size limit.
    EdgeAboveCap(Response<Bytes>),
    Fault(Sent, FaultKind),
}

/// Plans the transmission of a request with this credential that meets a network fault or none. `date` is the
/// wall-clock time of the answering server.
pub(crate) fn way(
    gust: Option<&Gust>,
    credential: Option<&str>,
    limits: &Limits,
    rng: &mut Rng,
    date: UnixTime,
) -> Way {
    let trip = Duration::from_micros(rng.u64(5_000..120_000));
    let half = trip / 2;
    let answered = |end| Way { arrives: Some(half), lands: trip, end };
    let unseen = |end| Way { arrives: None, lands: trip, end };
    let after = |arrives, lands, kind| Way { arrives, lands, end: PlannedEnd::Fault(Sent::Maybe, kind) };
    let way = match gust {
        None | Some(Gust::Twice) => answered(PlannedEnd::Answer),
        Some(Gust::Refused) => unseen(PlannedEnd::Fault(Sent::No, FaultKind::Connect)),
        // The name has no address, or, if `limits.reach` restricts the addresses, none that is allowed.
        Some(Gust::Unresolved) if limits.reach != Reach::Anywhere && rng.bool() => {
            unseen(PlannedEnd::Fault(Sent::No, FaultKind::OutOfReach))
        }
        Some(Gust::Unresolved) => unseen(PlannedEnd::Fault(Sent::No, FaultKind::Resolve)),
        // Under TLS 1.3 the server may refuse the client after the client's handshake is over.
        Some(Gust::TlsRefused) => unseen(match rng.u8(0..4) {
            0 => PlannedEnd::Fault(Sent::No, FaultKind::CertificateTime),
            1 => PlannedEnd::Fault(Sent::No, FaultKind::NotTls),
            _ => PlannedEnd::Fault(either(rng), FaultKind::Tls),
        }),
        Some(Gust::ProxyRefused) => unseen(PlannedEnd::Fault(Sent::No, FaultKind::Proxy)),
        Some(Gust::ProxyLocked) => unseen(PlannedEnd::Fault(Sent::No, FaultKind::ProxyAuth)),
        // Some clients notice before they write that the connection is closed.
        Some(Gust::LostBefore { silent: false }) => unseen(PlannedEnd::Fault(either(rng), FaultKind::Interrupted)),
        Some(Gust::LostBefore { silent: true }) => after(None, limits.head, FaultKind::Timeout(Phase::Head)),
        Some(Gust::LostAfter { silent: false }) => after(Some(half), trip, FaultKind::Interrupted),
        Some(Gust::LostAfter { silent: true }) => after(Some(half), limits.head, FaultKind::Timeout(Phase::Head)),
        Some(Gust::Slow { part, ms }) => slow(*part, Duration::from_millis((*ms).into()), trip, limits, rng),
        Some(Gust::TooMany(asked)) => unseen(PlannedEnd::Edge(edge(429, Some(asked), date))),
        Some(Gust::Busy(asked)) => unseen(PlannedEnd::Edge(edge(503, Some(asked), date))),
        Some(Gust::Gateway { status, acted, asked }) => {
            let end = PlannedEnd::Edge(edge(*status, Some(asked), date));
            if *acted { answered(end) } else { unseen(end) }
        }
        Some(Gust::Redirect) => unseen(PlannedEnd::Edge(redirect())),
        Some(Gust::Cut) => after(Some(half), trip, FaultKind::Interrupted),
        Some(Gust::Corrupt) => answered(PlannedEnd::Corrupt),
        Some(Gust::Page { status }) => unseen(PlannedEnd::Edge(page(*status))),
        Some(Gust::Framework { status }) => unseen(PlannedEnd::Edge(framework(*status))),
        Some(Gust::Echo { status }) => unseen(PlannedEnd::Edge(echo(*status, credential))),
        Some(Gust::TooLarge) => answered(PlannedEnd::AboveCap),
        Some(Gust::LongPage { status }) => unseen(PlannedEnd::EdgeAboveCap(page(*status))),
        Some(Gust::NoHttp) => unseen(PlannedEnd::Fault(Sent::Maybe, FaultKind::Protocol)),
    };
    if way.lands <= limits.total {
        return way;
    }
    // Nothing was sent without a connection.
    let connects =
        matches!(gust, Some(Gust::Slow { part: SlowPart::Connect, ms }) if u128::from(*ms) >= limits.total.as_millis());
    let (sent, arrives) = if connects { (Sent::No, None) } else { (Sent::Maybe, way.arrives) };
    Way { arrives, lands: limits.total, end: PlannedEnd::Fault(sent, FaultKind::Timeout(Phase::Total)) }
}

fn either(rng: &mut Rng) -> Sent {
    if rng.bool() { Sent::No } else { Sent::Maybe }
}

/// Plans a slow exchange. A server that answers late may also act late: at any time up to its answer.
fn slow(part: SlowPart, by: Duration, trip: Duration, limits: &Limits, rng: &mut Rng) -> Way {
    let timeout = |sent, arrives, lands, phase| {
        let end = PlannedEnd::Fault(sent, FaultKind::Timeout(phase));
        Way { arrives, lands, end }
    };
    let acts = trip / 2 + by.mul_f64(if rng.bool() { 0.0 } else { rng.f64() });
    match part {
        SlowPart::Connect if by > limits.connect => timeout(Sent::No, None, limits.connect, Phase::Connect),
        SlowPart::Connect => Way { arrives: Some(by + trip / 2), lands: by + trip, end: PlannedEnd::Answer },
        SlowPart::Head if by > limits.head => timeout(Sent::Maybe, Some(acts), limits.head, Phase::Head),
        SlowPart::Read if by > limits.read => timeout(Sent::Maybe, Some(trip / 2), trip + limits.read, Phase::Read),
        SlowPart::Head => Way { arrives: Some(acts), lands: trip + by, end: PlannedEnd::Answer },
        SlowPart::Read | SlowPart::Drip => Way { arrives: Some(trip / 2), lands: trip + by, end: PlannedEnd::Answer },
    }
}

pub(crate) fn edge(status: u16, asked: Option<&RetryAfter>, date: UnixTime) -> Response<Bytes> {
    let mut answer = text(status, "text/plain", "upstream error");
    let asked = match asked {
        None | Some(RetryAfter::Nothing) => None,
        Some(RetryAfter::Seconds(seconds)) => Some(HeaderValue::from(*seconds)),
        Some(RetryAfter::Date(ahead)) => HeaderValue::from_str(&http_date(date, *ahead)).ok(),
        Some(RetryAfter::Junk) => Some(HeaderValue::from_static("soon")),
    };
    if let Some(asked) = asked {
        answer.headers_mut().insert(RETRY_AFTER, asked);
    }
    answer
}

fn http_date(now: UnixTime, ahead: i32) -> String {
    let secs = u64::try_from(now.as_secs().saturating_add(ahead.into())).unwrap_or(0);
    httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(secs))
}

fn redirect() -> Response<Bytes> {
    let mut answer = text(302, "text/html", "<a href=\"https://login.example.net\">Found</a>");
    answer.headers_mut().insert(LOCATION, HeaderValue::from_static("https://login.example.net/sign-in?for=agent"));
    answer
}

fn echo(status: u16, credential: Option<&str>) -> Response<Bytes> {
    let body = json!({"error": format!("refused: {credential:?}"), "code": credential});
    let mut answer = text(status, "application/json", "");
    *answer.body_mut() = body.to_string().into();
    answer
}

pub(crate) fn page(status: u16) -> Response<Bytes> {
    text(status, "text/html", "<!doctype html><title>Welcome to the guest network</title>")
}

fn framework(status: u16) -> Response<Bytes> {
    let mut answer = text(status, "application/json", "");
    let reason = answer.status().canonical_reason().unwrap_or_default();
    // Some frameworks repeat the status in the body.
    let body = if status == 410 { json!({"error": reason}) } else { json!({"error": reason, "statusCode": status}) };
    *answer.body_mut() = body.to_string().into();
    answer
}

fn text(status: u16, kind: &'static str, body: &'static str) -> Response<Bytes> {
    let mut answer = Response::new(Bytes::from_static(body.as_bytes()));
    // A scenario may contain a number that is no valid status.
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}

/// The fault that a driver reports for an answer whose body is above the size limit.
pub(crate) fn above_cap(answer: Response<Bytes>) -> Fault {
    let (head, _) = answer.into_parts();
    Fault::too_large(Response::from_parts(head, ()))
}

/// Cuts a body in half, so that it is no valid JSON.
pub(crate) fn corrupt(answer: Response<Bytes>) -> Response<Bytes> {
    let (head, body) = answer.into_parts();
    let half = body.slice(..body.len() / 2);
    Response::from_parts(head, half)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn all_gusts() -> Vec<Gust> {
        let mut gusts = vec![
            Gust::Refused,
            Gust::Unresolved,
            Gust::TlsRefused,
            Gust::ProxyRefused,
            Gust::ProxyLocked,
            Gust::TooMany(RetryAfter::Seconds(3)),
            Gust::Busy(RetryAfter::Date(5)),
            Gust::Redirect,
            Gust::Cut,
            Gust::Corrupt,
            Gust::Page { status: 404 },
            Gust::Framework { status: 410 },
            Gust::Echo { status: 400 },
            Gust::TooLarge,
            Gust::LongPage { status: 502 },
            Gust::NoHttp,
        ];
        for truth in [false, true] {
            gusts.extend([Gust::LostBefore { silent: truth }, Gust::LostAfter { silent: truth }]);
            gusts.push(Gust::Gateway { status: 502, acted: truth, asked: RetryAfter::Nothing });
        }
        for part in [SlowPart::Connect, SlowPart::Head, SlowPart::Read, SlowPart::Drip] {
            gusts.extend([500, 11_000, 40_000].map(|ms| Gust::Slow { part, ms }));
        }
        gusts
    }

    #[test]
    fn no_way_passes_the_limits_and_what_was_never_sent_never_arrives() {
        let mut rng = Rng::with_seed(7);
        let ten = 10 * SECOND;
        let mut given = Vec::new();
        for gust in all_gusts() {
            // Every other total limit is as short as that of a call's last attempt.
            for total in (0..50).map(|number| if number % 2 == 0 { 3 * ten } else { SECOND / 4 }) {
                let reach = if rng.bool() { Reach::Anywhere } else { Reach::Public };
                let limits = Limits::of(ten, 1).total(total).reach(reach);
                let way = way(Some(&gust), None, &limits, &mut rng, UnixTime::from_secs(0));
                assert!(way.lands <= limits.total, "{gust:?}: {way:?}");
                if let PlannedEnd::Fault(sent, kind) = way.end {
                    assert!(FAULTS.contains(&(sent, kind)), "{gust:?}: {kind:?}");
                    given.push((sent, kind));
                    assert!(sent == Sent::Maybe || way.arrives.is_none(), "{gust:?}: not sent, and arrived");
                }
                if let PlannedEnd::AboveCap | PlannedEnd::EdgeAboveCap(_) = way.end {
                    given.push((Sent::Maybe, FaultKind::TooLarge));
                }
                if let PlannedEnd::Answer | PlannedEnd::Corrupt | PlannedEnd::AboveCap = way.end {
                    assert!(way.arrives.is_some_and(|arrives| arrives <= way.lands), "{gust:?}: {way:?}");
                }
            }
        }
        let cancelled = (Sent::Maybe, FaultKind::Cancelled);
        for fault in FAULTS {
            assert!(fault == cancelled || given.contains(&fault), "{fault:?} is never given");
        }
    }
}
