//! The replay: every exchange of the six recordings is sent to the model, in order, and the answers are compared.
//!
//! Status, content type, location, `Retry-After`, rate-limit headers, the keys at every depth, the types and the values
//! must agree. Ids, tokens and secrets are paired at their first appearance and must stay paired; a time need only be a
//! time. The requests that the recorder's push agents received are compared as well. Two milliseconds lie between any
//! two requests, in addition to the script's own waits.

#![allow(clippy::unwrap_used)]

#[path = "replay/agents.rs"]
mod agents;
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
#[path = "replay/world.rs"]
mod world;

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use molecule_platform::{Config, Dialect, Platform};
use molecule_proto::Token;

use agents::Agents;
use compare::Numbers;
use exchange::{Exchange, Line, Matched, recording};
use known::{DISAGREEING, UNBUILT};
use world::World;

/// The steps after which the script waited: the platform retries a delegation after eight seconds.
const WAITS: [(&str, Duration); 1] = [("delegate long key", Duration::from_secs(9))];

/// A recording, and the configuration of its server.
struct Setup {
    file: &'static str,
    config: Config,
    /// The number of requests from the recorder's address before the first recorded one.
    earlier: u32,
    /// Whether the values of `Remaining` and `Reset` are compared: only without a wait and without unrecorded requests.
    numbers: Numbers,
}

fn setup(file: &'static str) -> Setup {
    let dialect = if file.starts_with("april") { Dialect::April } else { Dialect::Current };
    let admin_token = Some(Token::new("<admin>").unwrap());
    let (idle_timeout, ui_budget) = (Duration::from_secs(3), Duration::from_secs(1));
    let recorded = Config::new(dialect).admin_token(admin_token).idle_timeout(idle_timeout).ui_budget(ui_budget);
    let strict = recorded.clone().development(false).rate_limit(Some(60));
    let organisation = Some("11111111-2222-4333-8444-555555555555".to_owned());
    let (config, earlier, numbers) = match file {
        "april-2026.jsonl" => (recorded.rate_limit(Some(6000)), 1, Numbers::Presence),
        "current-2026.jsonl" => (recorded, 0, Numbers::Presence),
        "current-2026-strict.jsonl" => (strict, 2, Numbers::Equal),
        "april-2026-strict.jsonl" => (strict, 1, Numbers::Equal),
        _ => (strict.organisation(organisation), 1, Numbers::Equal),
    };
    Setup { file, config, earlier, numbers }
}

/// A step at which an agent received a request that was not recorded.
const UNSEEN: &str = "a2a to deleted";

/// The exchange of the event stream. It stands behind the steps that the stream showed, and was opened before this one.
const STREAM: &str = "event stream";
const STREAMED_FROM: &str = "heartbeat while streaming";

/// The result of one recording.
#[derive(Default)]
struct Outcome {
    built: u32,
    /// The disagreements by line and label.
    disagreements: BTreeMap<(usize, String), String>,
    /// For each pattern of an unbuilt route: the number of its exchanges, whether the model answered any of them as an
    /// existing route, and whether the server did.
    unbuilt: BTreeMap<&'static str, Unbuilt>,
}

#[derive(Default)]
struct Unbuilt {
    exchanges: u32,
    answered: bool,
    exists: bool,
}

fn play(setup: Setup) -> Outcome {
    let lines = recording(setup.file);
    let mut platform = Platform::new(setup.config.clone());
    plugins::of_the_recorder().into_iter().for_each(|plugin| platform.add_plugin(plugin));
    let mut world = World::new(platform, Agents::of(&lines));
    let mut matched = Matched::default();
    let host = exchange::host(&lines);
    for _ in 0..setup.earlier {
        let request = http::Request::get("/health").header("host", &host).body(Bytes::new()).unwrap();
        assert_eq!(world.ask("earlier", request).status(), 200);
    }
    let mut outcome = Outcome::default();
    let stream = lines.iter().find_map(|line| match line {
        Line::Exchange(exchange) if exchange.label == STREAM => Some(exchange.clone()),
        Line::Exchange(_) | Line::Received(_) => None,
    });
    for line in lines {
        match line {
            Line::Exchange(exchange) => {
                let step = exchange.label.as_str();
                world.wait(step, Duration::from_millis(2));
                if step == STREAMED_FROM {
                    let stream = stream.as_ref().expect("a recording of these steps has the stream");
                    world.open_stream(step, stream.request(&host, &mut matched));
                }
                let answer = match stream.as_ref().filter(|stream| stream.line == exchange.line) {
                    Some(_) => world.close_stream(),
                    None => world.ask(step, exchange.request(&host, &mut matched)),
                };
                outcome.take(&setup, &exchange, &answer, &mut matched);
                if let Some((_, wait)) = WAITS.iter().find(|(label, _)| *label == step) {
                    world.wait(step, *wait);
                }
                if exchange.label == UNSEEN {
                    assert!(world.received.pop_front().is_some(), "{UNSEEN}");
                }
                if step != "delegate no key twice 1" {
                    world.rest(step);
                }
            }
            Line::Received(recorded) => {
                outcome.built += 1;
                if let Err(reason) = world.was_received(&recorded, &mut matched) {
                    outcome.disagreements.insert((recorded.line, recorded.label), reason);
                }
            }
        }
    }
    for (index, request) in world.received.into_iter().enumerate() {
        let sent = format!("{} {}", request.uri(), String::from_utf8_lossy(request.body()));
        outcome.disagreements.insert((usize::MAX - index, sent), "nobody got this".to_owned());
    }
    outcome
}

impl Outcome {
    fn take(&mut self, setup: &Setup, exchange: &Exchange, answer: &http::Response<Bytes>, matched: &mut Matched) {
        let not_there = |status: u16, text: &[u8]| status == 404 && text == b"404 page not found";
        if let Some(pattern) = known::unbuilt(setup.config.dialect, exchange) {
            let entry = self.unbuilt.entry(pattern).or_default();
            entry.exchanges += 1;
            entry.answered |= !not_there(answer.status().as_u16(), answer.body());
            entry.exists |= !not_there(exchange.status, exchange.recorded_text().as_bytes());
            return;
        }
        // The server closed the connection while the recorder was still sending.
        if exchange.status == 0 {
            return;
        }
        let compared = compare::answers(exchange, answer, matched, setup.numbers);
        self.built += 1;
        if let Err(reason) = compared {
            self.disagreements.insert((exchange.line, exchange.label.clone()), reason);
        }
    }
}

fn judge(file: &'static str) {
    let setup = setup(file);
    let dialect = setup.config.dialect;
    let outcome = play(setup);
    let unbuilt: u32 = outcome.unbuilt.values().map(|pattern| pattern.exchanges).sum();
    let agree = outcome.built - u32::try_from(outcome.disagreements.len()).unwrap();
    // This bypasses the test harness, which hides the output of a test that passes.
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
    // In the other recordings the tenant gate and the rate limit also answer requests for routes that do not exist.
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
