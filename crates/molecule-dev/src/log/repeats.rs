//! Long tails of reads: an idle agent reads its state and its feed all the time, and nothing comes of it.
//!
//! A read is written as long as it differs from the one before, or its answer does. Repetitions are counted, and written as
//! one line when something happens that may notice them, or after a while. Such a read changes one thing alone, the time
//! of the token's last use, which that line has.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{Method, Request};
use molecule_platform::{Digest, Input, Now, Platform, Recorded, RouteName, Step, Wake};
use molecule_proto::TokenId;

use crate::chaos::Fault;

use super::{About, Entry, Note, Reads};

/// How often a read is written before its repetitions are counted.
const WRITTEN: u32 = 3;
/// How long repetitions are counted before a line is written.
const LONGEST: Duration = Duration::from_secs(300);
/// The most reads that are counted side by side.
const MOST: usize = 1024;

/// The reads of a log that may be repeated.
#[derive(Debug, Default)]
pub(crate) struct Repeats {
    by_key: BTreeMap<String, Repeat>,
    /// The next wake of the model as of the last input; `None` if there was none yet.
    wake: Option<Option<Wake>>,
}

#[derive(Debug)]
struct Repeat {
    request: Request<Bytes>,
    digest: Digest,
    /// The line of the last one that was written.
    line: u64,
    seen: u32,
    counted: u64,
    first: Now,
    last: Now,
    row: Option<TokenId>,
}

/// What is done about an input.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is written.
    Write,
    /// The counted reads are written, then it.
    FlushAndWrite,
    /// It is counted.
    Count,
}

impl Repeats {
    /// Decides about an input that the model has taken.
    pub(crate) fn judge(
        &mut self,
        now: Now,
        input: &Input,
        step: &Step,
        digest: &Digest,
        platform: &Platform,
    ) -> Verdict {
        let wake = self.wake.replace(step.wake);
        let Input::Request { request, .. } = input else {
            return if matches!(input, Input::Wake) { self.unless_long(now) } else { Verdict::FlushAndWrite };
        };
        let route = RouteName::find(platform.dialect(), request.method(), request.uri().path());
        let name = route.as_ref().map_or("", |route| route.name.as_str());
        let is_read = *request.method() == Method::GET && matches!(name, "State" | "ListActivity");
        if !is_read {
            // A heartbeat does not show when a token was used.
            return if name == "Heartbeat" { self.unless_long(now) } else { Verdict::FlushAndWrite };
        }
        // If something was due, it happened at this read.
        let nothing_due = wake.is_some_and(|wake| wake == step.wake && wake.is_none_or(|wake| wake.at > now.mono));
        // A fault on purpose is worth a line each time.
        let is_quiet = request.extensions().get::<Fault>().is_none()
            && nothing_due
            && step.turns.is_empty()
            && digest.status() == Some(200);
        let Some(repeat) = self.by_key.get_mut(&key(request)) else { return self.unless_long(now) };
        if !is_quiet || repeat.digest != *digest || !is_same(&repeat.request, request) {
            // The counted ones came before it.
            return if repeat.counted > 0 { Verdict::FlushAndWrite } else { self.unless_long(now) };
        }
        if repeat.seen < WRITTEN {
            return self.unless_long(now);
        }
        if repeat.counted == 0 {
            repeat.first = now;
        }
        repeat.counted += 1;
        repeat.last = now;
        if let Some((row, used)) = bearer(request).and_then(|bearer| platform.token_row(bearer))
            && used.is_some_and(|used| used >= now.unix)
        {
            repeat.row = Some(row.clone());
        }
        Verdict::Count
    }

    fn unless_long(&self, now: Now) -> Verdict {
        let is_long = |repeat: &Repeat| repeat.counted > 0 && now.mono.since(repeat.first.mono) >= LONGEST;
        if self.by_key.values().any(is_long) { Verdict::FlushAndWrite } else { Verdict::Write }
    }

    /// Notes the line of an input that was written.
    pub(crate) fn wrote(&mut self, line: u64, recorded: &Recorded) {
        let (Input::Request { request, .. }, Some(digest)) = (&recorded.input, &recorded.digest) else { return };
        if *request.method() != Method::GET || digest.status() != Some(200) {
            return;
        }
        let seen = match self.by_key.get(&key(request)) {
            Some(repeat) if repeat.digest == *digest && is_same(&repeat.request, request) => repeat.seen + 1,
            Some(_) | None => 1,
        };
        if self.by_key.len() >= MOST {
            // Nothing that is counted is lost: the next ones are written again.
            self.by_key.retain(|_, repeat| repeat.counted > 0);
        }
        let (request, digest, at) = (request.clone(), digest.clone(), recorded.at);
        let key = key(&request);
        let repeat = Repeat { request, digest, line, seen, counted: 0, first: at, last: at, row: None };
        self.by_key.insert(key, repeat);
    }

    /// The lines of what was counted, in the order of the last reads.
    pub(crate) fn flush(&mut self, now: Now) -> Vec<Entry> {
        let mut counted: Vec<&mut Repeat> = self.by_key.values_mut().filter(|repeat| repeat.counted > 0).collect();
        counted.sort_by_key(|repeat| (repeat.last.mono, repeat.line));
        let entries = counted.into_iter().map(|repeat| {
            let reads = Reads {
                line: repeat.line,
                count: std::mem::take(&mut repeat.counted),
                first: repeat.first,
                last: repeat.last,
                call: format!("{} {}", repeat.request.method(), repeat.request.uri()),
            };
            match repeat.row.take() {
                Some(row) => {
                    let about = About { reads: Some(reads), ..About::default() };
                    let input = Input::TokenUsed { row, last: repeat.last.unix };
                    Entry::Input(Recorded::new(now, input), Some(about))
                }
                None => Entry::Note(now, Note::Reads(reads)),
            }
        });
        entries.collect()
    }
}

fn is_same(one: &Request<Bytes>, other: &Request<Bytes>) -> bool {
    one.uri() == other.uri() && one.headers() == other.headers() && one.body() == other.body()
}

fn bearer(request: &Request<Bytes>) -> Option<&str> {
    request.headers().get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ").map(str::trim)
}

fn key(request: &Request<Bytes>) -> String {
    format!("{} {}", request.uri().path(), bearer(request).unwrap_or_default())
}
