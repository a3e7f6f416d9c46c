//! Reads answers for the invariants. It decodes them itself, because the invariants must not depend on the code that
//! they judge.

use std::time::Duration;

use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{HeaderMap, Request, Response};
use molecule_core::machine::Now;
use molecule_proto::WorkspaceId;
use serde_json::Value;

use crate::trace::{About, OutcomeRecord, Says};
use crate::weather::Route;

/// Fills in the fields that an answer determines.
pub(crate) fn answer(landing: &mut OutcomeRecord, answer: &Response<Bytes>, clock: Now) {
    let route = landing.ask.as_ref().and_then(|ask| ask.route);
    let is_refusal = !answer.status().is_success();
    if route == Some(Route::A2a) {
        let body: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
        landing.is_reached = body["result"]["metadata"]["molecule.reachability"].is_string();
    }
    if let (Some(Route::Discover | Route::Peers), Some(ask)) = (route, &landing.ask) {
        let of = ask.about.as_ref().and_then(|about| about.target.clone());
        landing.peers = peers(route, of, answer);
    }
    let reads = is_refusal || route.is_some_and(|route| matches!(route, Route::View | Route::State) || mints(route));
    let body: Option<Value> = if reads { serde_json::from_slice(answer.body()).ok() } else { None };
    head(landing, answer, body.as_ref(), clock);
    let Some(body) = body else { return };
    landing.error = body.get("error").and_then(Value::as_str).map(str::to_owned);
    if !is_refusal && route.is_some_and(mints) {
        landing.token = token(&body).map(str::to_owned);
        landing.brings_secret = body.get("platform_inbound_secret").is_some_and(Value::is_string);
    }
    landing.unavailable = body.get("code").and_then(Value::as_str) == Some("platform_unavailable");
    landing.says = says(route, answer.status().as_u16(), &body);
}

/// Fills in the fields that an answer's head determines; `body`: the decoded body, if it was read.
pub(crate) fn head<B>(landing: &mut OutcomeRecord, answer: &Response<B>, body: Option<&Value>, clock: Now) {
    landing.status = Some(answer.status());
    landing.left = left(answer.headers());
    if !answer.status().is_success() {
        landing.wait = wait(answer.headers(), body, clock);
    }
}

/// Returns whether an answer on this route may contain a token.
pub(crate) fn mints(route: Route) -> bool {
    matches!(route, Route::Register | Route::Rotate | Route::Mint)
}

/// The token in the body of a route that mints one.
pub(crate) fn token(body: &Value) -> Option<&str> {
    let token = body.get("auth_token").or_else(|| body.get("connection")?.get("auth_token"));
    token?.as_str().filter(|token| !token.is_empty())
}

/// The token in the answer, if this is a successful answer of a route that mints one.
pub(crate) fn minted(route: Option<Route>, answer: &Response<Bytes>) -> Option<String> {
    if !(route.is_some_and(mints) && answer.status().is_success()) {
        return None;
    }
    let body: Value = serde_json::from_slice(answer.body()).ok()?;
    token(&body).map(str::to_owned)
}

/// The part of a request that concerns a peer.
pub(crate) fn about(route: Option<Route>, request: &Request<Bytes>) -> Option<About> {
    let path = request.uri().path();
    let mut about = About { target: None, message: None, delegation: None, request: request.clone() };
    let body = || serde_json::from_slice::<Value>(request.body()).unwrap_or_default();
    match route? {
        Route::Direct => about.message = Some(crate::peers::message_id(request.body())),
        Route::A2a => {
            about.target = path.split('/').nth(2)?.parse().ok();
            about.message = Some(crate::peers::message_id(request.body()));
        }
        Route::Discover => about.target = path.split('/').nth(3)?.parse().ok(),
        Route::Delegate => {
            let body = body();
            let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
            about.target = text("target_id").parse().ok();
            about.delegation = Some((text("idempotency_key"), text("task")));
        }
        Route::Peers | Route::Notify => {}
        _ => return None,
    }
    Some(about)
}

/// The URL of each peer in an answer.
fn peers(
    route: Option<Route>,
    of: Option<WorkspaceId>,
    answer: &Response<Bytes>,
) -> Vec<(WorkspaceId, Option<String>)> {
    let url = |row: &Value| row["url"].as_str().filter(|url| url.starts_with("http")).map(str::to_owned);
    let body: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
    match (route, of) {
        (Some(Route::Discover), Some(of)) => vec![(of, if answer.status().is_success() { url(&body) } else { None })],
        _ if !answer.status().is_success() => Vec::new(),
        _ => {
            let rows = body.as_array().into_iter().flatten();
            rows.filter_map(|row| Some((row["id"].as_str()?.parse().ok()?, url(row)))).collect()
        }
    }
}

fn says(route: Option<Route>, status: u16, body: &Value) -> Option<Says> {
    let word = body.get("status").and_then(Value::as_str);
    match (route?, status) {
        // The platform uses exactly these texts; any other 404 or 410 is not about the workspace.
        (Route::View, 404) => (body.get("error")? == "workspace not found").then_some(Says::Gone),
        (Route::View, 410) => {
            (body.get("error")? == "workspace removed" && body.get("id").is_some()).then_some(Says::Gone)
        }
        (Route::State, 404) => (body.get("deleted") == Some(&Value::Bool(true))).then_some(Says::Gone),
        (Route::View | Route::State, 200) => Some(match word? {
            "removed" => Says::Gone,
            "paused" => Says::Paused,
            _ => Says::Present,
        }),
        _ => None,
    }
}

/// The wait that an answer asks for: seconds or a date in `Retry-After`, otherwise `retry_after` in the body. Reads
/// only the forms that this simulator produces.
fn wait(headers: &HeaderMap, body: Option<&Value>, clock: Now) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let from_header = text.and_then(|text| match text.parse::<u64>() {
        Ok(seconds) => Some(seconds),
        Err(_) => {
            let date = httpdate::parse_http_date(text).ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
            let ahead = i64::try_from(date.as_secs()).ok()? - clock.unix.as_secs();
            Some(u64::try_from(ahead).unwrap_or(0))
        }
    });
    let seconds = from_header.or_else(|| body?.get("retry_after")?.as_u64())?;
    Some(Duration::from_secs(seconds.clamp(1, 60)))
}

fn left(headers: &HeaderMap) -> Option<(u32, u32, u32)> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.parse().ok();
    Some((number("x-ratelimit-remaining")?, number("x-ratelimit-limit")?, number("x-ratelimit-reset")?))
}
