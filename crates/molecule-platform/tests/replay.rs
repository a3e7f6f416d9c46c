//! The judge: every exchange of the six recordings is played, in order, against the model, and compared.
//!
//! Status, content type, location, `Retry-After`, rate-limit headers, the keys at every depth, the types and the values
//! must agree. Ids, tokens and secrets are matched up as they appear and must stay matched; times need only be times.
//! No wait of the recorder's matters to a route that is built, so two milliseconds lie between any two requests.

#![allow(clippy::unwrap_used)]

#[path = "replay/archive.rs"]
mod archive;
#[path = "replay/compare.rs"]
mod compare;
#[path = "replay/exchange.rs"]
mod exchange;
#[path = "replay/known.rs"]
mod known;
#[path = "replay/plugins.rs"]
mod plugins;

use std::collections::BTreeMap;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use bytes::Bytes;
use molecule_platform::{Config, Dialect, Now, Platform};
use molecule_proto::{Time, Token, UnixTime};

use compare::Numbers;
use exchange::{Matched, recording};
use known::{DISAGREEING, UNBUILT};

/// A recording, and how its server was set up.
struct Setup {
    file: &'static str,
    config: Config,
    /// Requests that came from the recorder's address before the first recorded one.
    earlier: u32,
    /// Whether `Remaining` and `Reset` are compared: no waiting step, no unrecorded request.
    numbers: Numbers,
}

fn setup(file: &'static str) -> Setup {
    let dialect = if file.starts_with("april") { Dialect::April } else { Dialect::Current };
    let admin_token = Some(Token::new("<admin>").unwrap());
    let recorded = Config { admin_token, ..Config::new(dialect) };
    let strict = Config { development: false, rate_limit: Some(60), ..recorded.clone() };
    let organisation = Some("11111111-2222-4333-8444-555555555555".to_owned());
    let (config, earlier, numbers) = match file {
        "april-2026.jsonl" => (Config { rate_limit: Some(6000), ..recorded }, 1, Numbers::Presence),
        "current-2026.jsonl" => (recorded, 0, Numbers::Presence),
        "current-2026-strict.jsonl" => (strict, 2, Numbers::Equal),
        "april-2026-strict.jsonl" => (strict, 1, Numbers::Equal),
        _ => (Config { organisation, ..strict }, 1, Numbers::Equal),
    };
    Setup { file, config, earlier, numbers }
}

/// What one recording gave.
struct Outcome {
    built: u32,
    /// By line and label.
    disagreements: BTreeMap<(usize, String), String>,
    /// How often a pattern of the list of routes that are not built was played, and whether the model answered as if
    /// there were no such route each time, and the server did not.
    unbuilt: BTreeMap<&'static str, Unbuilt>,
}

#[derive(Default)]
struct Unbuilt {
    exchanges: u32,
    answered: bool,
    exists: bool,
}

fn play(setup: Setup) -> Outcome {
    let exchanges = recording(setup.file);
    let mut platform = Platform::new(setup.config.clone());
    plugins::of_the_recorder().into_iter().for_each(|plugin| platform.add_plugin(plugin));
    let mut matched = Matched::default();
    let mut now = Now { mono: Time::ZERO, unix: UnixTime::from_secs(1_795_383_587) };
    let host = exchange::host(&exchanges);
    let peer = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
    for _ in 0..setup.earlier {
        let request = http::Request::get("/health").header("host", &host).body(Bytes::new()).unwrap();
        assert_eq!(platform.handle(now, peer, request).ready().unwrap().status(), 200);
    }
    let mut outcome = Outcome { built: 0, disagreements: BTreeMap::new(), unbuilt: BTreeMap::new() };
    for exchange in exchanges {
        let step = Duration::from_millis(2);
        now = Now { mono: now.mono + step, unix: now.unix + step };
        let answer = platform.handle(now, peer, exchange.request(&host, &mut matched)).ready().unwrap();
        let not_there = |status: u16, text: &[u8]| status == 404 && text == b"404 page not found";
        if let Some(pattern) = known::unbuilt(setup.config.dialect, &exchange) {
            let entry = outcome.unbuilt.entry(pattern).or_default();
            entry.exchanges += 1;
            entry.answered |= !not_there(answer.status().as_u16(), answer.body());
            entry.exists |= !not_there(exchange.status, exchange.recorded_text().as_bytes());
            if let Some(id) = known::speaker(&exchange) {
                assert!(platform.spoke(now, &matched.rewrite(id).parse().unwrap()), "{}", exchange.label);
            }
            continue;
        }
        outcome.built += 1;
        if let Err(reason) = compare::answers(&exchange, &answer, &mut matched, setup.numbers) {
            outcome.disagreements.insert((exchange.line, exchange.label.clone()), reason);
        }
    }
    outcome
}

fn judge(file: &'static str) {
    let setup = setup(file);
    let dialect = setup.config.dialect;
    let outcome = play(setup);
    let unbuilt: u32 = outcome.unbuilt.values().map(|pattern| pattern.exchanges).sum();
    let agree = outcome.built - u32::try_from(outcome.disagreements.len()).unwrap();
    // Written past the test harness, which would keep it to itself when all is well.
    let mut summary = format!("{file}: {agree}/{} agree ({unbuilt} exchanges of routes not built)\n", outcome.built);
    for (pattern, seen) in &outcome.unbuilt {
        summary.push_str(&format!("  not built: {pattern} ({} exchanges)\n", seen.exchanges));
    }
    std::io::stdout().lock().write_all(summary.as_bytes()).unwrap();

    let mut wrong = Vec::new();
    let listed = || DISAGREEING.iter().filter(|known| known.file == file);
    for ((line, label), reason) in &outcome.disagreements {
        if !listed().any(|known| known.label == label) {
            wrong.push(format!("line {line} [{label}] disagrees and is not listed: {reason}"));
        }
    }
    for known in listed() {
        if !outcome.disagreements.keys().any(|(_, label)| label == known.label) {
            wrong.push(format!("[{}] agrees: take it off the list ({})", known.label, known.reason));
        }
    }
    // In the other recordings the tenant gate and the rate limit answer for routes that are not there.
    for (pattern, seen) in outcome.unbuilt.iter().filter(|_| known::is_full(file)) {
        if seen.answered {
            wrong.push(format!("{pattern} is built: take it off the list"));
        }
        if !seen.exists {
            wrong.push(format!("{pattern} does not exist on this server: take it off the list"));
        }
    }
    for pattern in
        UNBUILT.iter().filter(|route| known::is_full(file) && route.applies(dialect)).map(|route| route.pattern)
    {
        if !outcome.unbuilt.contains_key(pattern) {
            wrong.push(format!("{pattern} is not in the recording: take it off the list"));
        }
    }
    assert!(wrong.is_empty(), "{file}:\n{}", wrong.join("\n"));
    assert!(outcome.built >= 40, "{file}: only {} exchanges were compared", outcome.built);
}

#[test]
fn april() {
    judge("april-2026.jsonl");
}

#[test]
fn april_strict() {
    judge("april-2026-strict.jsonl");
}

#[test]
fn april_tenant() {
    judge("april-2026-tenant.jsonl");
}

#[test]
fn current() {
    judge("current-2026.jsonl");
}

#[test]
fn current_strict() {
    judge("current-2026-strict.jsonl");
}

#[test]
fn current_tenant() {
    judge("current-2026-tenant.jsonl");
}
