//! The comparison of the model's answer with the recorded one.

use std::collections::BTreeMap;

use bytes::Bytes;
use molecule_proto::DatabaseTime;
use serde_json::{Number, Value};

use crate::archive;
use crate::exchange::{Exchange, Matched, Received};

/// The comparison of the rate-limit headers that change with time.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Numbers {
    /// The numbers must be equal.
    Equal,
    /// A header must be present on both sides or on neither.
    Presence,
}

pub(crate) type Result = std::result::Result<(), String>;

/// Compares an answer with the recorded one, and pairs the ids and tokens that are new in both.
pub(crate) fn answers(
    exchange: &Exchange,
    answer: &http::Response<Bytes>,
    matched: &mut Matched,
    numbers: Numbers,
) -> Result {
    let text = String::from_utf8_lossy(answer.body());
    if answer.status().as_u16() != exchange.status {
        return Err(format!("{} {text} instead of {} {}", answer.status(), exchange.status, exchange.answer));
    }
    for name in [
        "content-type",
        "content-disposition",
        "location",
        "retry-after",
        "x-plugin-name",
        "x-plugin-source",
        "x-ratelimit-limit",
    ] {
        same_header(exchange, answer, matched, name)?;
    }
    for name in ["x-ratelimit-remaining", "x-ratelimit-reset"] {
        match numbers {
            Numbers::Equal => same_header(exchange, answer, matched, name)?,
            Numbers::Presence => {
                let present = answer.headers().contains_key(name);
                if present != exchange.answer_headers.contains_key(name) {
                    return Err(format!("{name} is there on one side alone"));
                }
            }
        }
    }
    if exchange.answer_headers.get("content-type").is_some_and(|kind| kind == "application/gzip") {
        return archive::same_beginning(exchange.recorded_text().as_str(), answer.body());
    }
    let recorded: Value = serde_json::from_str(&matched.rewrite(&exchange.answer.to_string())).unwrap();
    if exchange.answer_headers.get("content-type").is_some_and(|kind| kind == "text/event-stream") {
        return events(&recorded, &text, matched);
    }
    if let Some(bytes) = recorded.get("_bytes") {
        let head = recorded["_head"].as_str().unwrap();
        let same = bytes.as_u64() == Some(text.len() as u64) && text.starts_with(head);
        return if same { Ok(()) } else { Err(format!("{text:?} instead of {head:?}")) };
    }
    if recorded.is_null() && text.is_empty() {
        return Ok(());
    }
    let mut recorded = recorded;
    let mut ours: Value = serde_json::from_str(&text).map_err(|_| format!("{text:?} instead of {recorded}"))?;
    if exchange.path.contains("/peers") {
        // The order of peers is undefined, and changed between two calls of the recorder.
        [&mut recorded, &mut ours].into_iter().filter_map(Value::as_array_mut).for_each(|peers| {
            peers.sort_by_key(|peer| peer["name"].to_string() + &peer["id"].to_string());
        });
    }
    values("", &recorded, &ours, matched)
}

/// Compares the first line and the events of a stream, and its length.
fn events(recorded: &Value, text: &str, matched: &mut Matched) -> Result {
    let blocks = text.split_terminator("\n\n").map(|block| match block.strip_prefix("data: ") {
        Some(event) => serde_json::from_str(event).unwrap(),
        None => Value::from(block),
    });
    values("", &recorded["_events"], &blocks.collect(), matched)?;
    let length = recorded["_bytes"].as_u64();
    if length == Some(text.len() as u64) { Ok(()) } else { Err(format!("{} bytes instead of {length:?}", text.len())) }
}

/// Compares a request to an agent with the recorded one: method, path, every header and the body.
pub(crate) fn received(recorded: &Received, ours: &http::Request<Bytes>, matched: &mut Matched) -> Result {
    let place = (ours.method().as_str(), ours.uri().path_and_query().map_or("", |path| path.as_str()));
    if place != (recorded.method.as_str(), recorded.path.as_str()) {
        return Err(format!("{place:?} instead of {} {}", recorded.method, recorded.path));
    }
    let text = |value: &http::HeaderValue| value.to_str().unwrap().to_owned();
    let headers: BTreeMap<String, String> =
        ours.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    let expected: BTreeMap<String, String> =
        recorded.headers.iter().map(|(name, value)| (name.clone(), matched.rewrite(value))).collect();
    if headers != expected {
        return Err(format!("the headers {headers:?} instead of {expected:?}"));
    }
    let expected: Value = serde_json::from_str(&matched.rewrite(&recorded.body.to_string())).unwrap();
    if let (Some(length), Some(head)) = (expected["_bytes"].as_u64(), expected["_head"].as_str()) {
        let same = ours.body().len() as u64 == length && ours.body().starts_with(head.as_bytes());
        return if same { Ok(()) } else { Err(format!("{:?} instead of {head:?}", ours.body())) };
    }
    let body = if ours.body().is_empty() { Value::Null } else { serde_json::from_slice(ours.body()).unwrap() };
    values("", &expected, &body, matched)
}

fn same_header(exchange: &Exchange, answer: &http::Response<Bytes>, matched: &Matched, name: &str) -> Result {
    let recorded = exchange.answer_headers.get(name).map(|value| matched.rewrite(value));
    let ours = answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    if recorded == ours { Ok(()) } else { Err(format!("{name}: {ours:?} instead of {recorded:?}")) }
}

fn values(at: &str, recorded: &Value, ours: &Value, matched: &mut Matched) -> Result {
    match (recorded, ours) {
        (Value::Object(recorded), Value::Object(ours)) => {
            if !recorded.keys().eq(ours.keys()) {
                let keys = |map: &serde_json::Map<String, Value>| map.keys().cloned().collect::<Vec<_>>().join(" ");
                return Err(format!("{at} has the keys {} instead of {}", keys(ours), keys(recorded)));
            }
            recorded.iter().try_for_each(|(key, value)| values(&format!("{at}/{key}"), value, &ours[key], matched))
        }
        (Value::Array(recorded), Value::Array(ours)) if recorded.len() == ours.len() => recorded
            .iter()
            .zip(ours)
            .enumerate()
            .try_for_each(|(index, (recorded, ours))| values(&format!("{at}/{index}"), recorded, ours, matched)),
        (Value::String(recorded), Value::String(ours)) if texts(at, recorded, ours, matched) => Ok(()),
        (Value::Number(recorded), Value::Number(ours)) if numbers(at, recorded, ours, matched) => Ok(()),
        (Value::Null | Value::Bool(_), same) if recorded == same => Ok(()),
        _ => Err(format!("{at} is {ours} instead of {recorded}")),
    }
}

/// Compares numbers. A duration may differ by less than 50 ms, because it depends on the speed of the recorder's machine.
/// The time of an event need only be one, in milliseconds. The numbers of rows are paired.
fn numbers(at: &str, recorded: &Number, ours: &Number, matched: &mut Matched) -> bool {
    let ints = recorded.as_i64().zip(ours.as_i64());
    recorded.as_f64() == ours.as_f64()
        || (at.ends_with("/duration_ms") && ints.is_some_and(|(recorded, ours)| recorded.abs_diff(ours) < 50))
        || (at.ends_with("/timestamp") && ints.is_some_and(|(recorded, ours)| recorded.min(ours) > 1_700_000_000_000))
        || (at.ends_with("/seq") && ints.is_some_and(|(recorded, ours)| matched.pair_numbers(recorded, ours)))
}

fn texts(at: &str, recorded: &str, ours: &str, matched: &mut Matched) -> bool {
    let is_prose = recorded == "<text>" && !ours.is_empty();
    let is_time = |text: &str| text.parse::<DatabaseTime>().is_ok();
    recorded == ours
        || is_prose
        || (is_time(recorded) && is_time(ours))
        || (at.starts_with("/violations/") && same_up_to(recorded, ours, "plugin.yaml is not valid YAML: "))
        || (at.ends_with("/prefix") && matched.are_prefixes(recorded, ours))
        || are_made_up_addresses(recorded, ours, matched)
        || matched.pair(recorded, ours)
}

/// Returns whether both are addresses that the server made from the first characters of an id.
fn are_made_up_addresses(recorded: &str, ours: &str, matched: &Matched) -> bool {
    let short_id = |url: &str| Some(url.strip_prefix("http://ws-")?.strip_suffix(":8000")?.to_owned());
    let ids = short_id(recorded).zip(short_id(ours));
    ids.is_some_and(|(recorded, ours)| matched.are_prefixes(&recorded, &ours))
}

/// Returns whether both have this beginning. The text after it comes from a YAML parser, and may differ.
fn same_up_to(recorded: &str, ours: &str, beginning: &str) -> bool {
    recorded.starts_with(beginning) && ours.starts_with(beginning)
}
