//! Requests that are like an earlier one: most of a log is heartbeats and polls, which differ in a few characters.
//!
//! A request with the method, path and headers of an earlier one is written as that one's line and the middle part in
//! which URI and body differ. Both sides of the log follow the same rule: the newest request of its kind that was
//! written in full is the base.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;

use bytes::Bytes;
use http::{Request, Uri};
use molecule_platform::{Input, Recorded};
use serde::{Deserialize, Serialize};

use super::line::{Entry, Raw};

/// The most bases that are kept. When there are more, all are forgotten, and the next requests are written in full.
const MOST: usize = 512;
/// The longest body of a base.
const LONGEST: usize = 16 << 10;

/// A request that is like that of an earlier line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Like {
    line: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    peer: Option<IpAddr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    uri: Option<Change>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<Change>,
}

/// The bytes that stay at the start, the new middle, and the bytes that stay at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Change(usize, String, usize);

impl Change {
    /// The change from one text to another; `None` if they are equal.
    fn between(old: &str, new: &str) -> Option<Self> {
        if old == new {
            return None;
        }
        let start = old.bytes().zip(new.bytes()).take_while(|(one, other)| one == other).count();
        let start = (0..=start).rev().find(|at| old.is_char_boundary(*at) && new.is_char_boundary(*at)).unwrap_or(0);
        let (old, new) = (&old[start..], &new[start..]);
        let end = old.bytes().rev().zip(new.bytes().rev()).take_while(|(one, other)| one == other).count();
        let cut = |end: usize| old.is_char_boundary(old.len() - end) && new.is_char_boundary(new.len() - end);
        let end = (0..=end).rev().find(|end| cut(*end)).unwrap_or(0);
        Some(Self(start, new[..new.len() - end].to_owned(), end))
    }

    fn apply(&self, old: &str) -> Option<String> {
        let start = old.get(..self.0)?;
        let end = old.get(old.len().checked_sub(self.2)?..)?;
        (self.0 + self.2 <= old.len()).then(|| format!("{start}{}{end}", self.1))
    }
}

fn changed(change: Option<&Change>, old: &str) -> Result<String, String> {
    match change {
        None => Ok(old.to_owned()),
        Some(change) => change.apply(old).ok_or_else(|| "it does not fit the line that it is like".to_owned()),
    }
}

/// The bases of a log that is written.
#[derive(Debug, Default)]
pub(super) struct Bases(BTreeMap<String, (u64, Request<Bytes>)>);

impl Bases {
    /// The text of an entry, without the line's end.
    pub(super) fn write(&mut self, line: u64, entry: &Entry) -> io::Result<String> {
        let raw = match entry {
            Entry::Note(at, note) => Raw { at: *at, input: None, like: None, note: Some(note.clone()), digest: None },
            Entry::Input(Recorded { at, input, digest, .. }) => {
                let like = self.like(input);
                let input = if like.is_some() { None } else { Some(input.clone()) };
                Raw { at: *at, input, like, note: None, digest: digest.clone() }
            }
        };
        if let Some(Input::Request { request, .. }) = &raw.input {
            self.learn(line, request);
        }
        serde_json::to_string(&raw).map_err(io::Error::from)
    }

    /// Takes a request that was written in full for a base.
    pub(super) fn learn(&mut self, line: u64, request: &Request<Bytes>) {
        if request.body().len() > LONGEST || std::str::from_utf8(request.body()).is_err() {
            return;
        }
        if self.0.len() >= MOST {
            self.0.clear();
        }
        self.0.insert(key(request), (line, request.clone()));
    }

    fn like(&self, input: &Input) -> Option<Like> {
        let Input::Request { peer, request } = input else { return None };
        let (line, base) = self.0.get(&key(request))?;
        if base.headers() != request.headers() {
            return None;
        }
        let body = Change::between(std::str::from_utf8(base.body()).ok()?, std::str::from_utf8(request.body()).ok()?);
        let uri = Change::between(&base.uri().to_string(), &request.uri().to_string());
        // A body that is mostly another one is easier to read in full.
        let is_short = body.as_ref().is_none_or(|change| change.1.len() <= 64 + request.body().len() / 4);
        is_short.then_some(Like { line: *line, peer: *peer, uri, body })
    }
}

fn key(request: &Request<Bytes>) -> String {
    let bearer = request.headers().get(http::header::AUTHORIZATION).map_or(&b""[..], |value| value.as_bytes());
    let length = request.headers().get(http::header::CONTENT_LENGTH).map_or(&b""[..], |value| value.as_bytes());
    let (bearer, length) = (String::from_utf8_lossy(bearer), String::from_utf8_lossy(length));
    format!("{} {} {length} {bearer}", request.method(), request.uri().path())
}

/// The bases that a reader has seen.
#[derive(Debug, Default)]
pub(super) struct Cache(BTreeMap<u64, Request<Bytes>>);

impl Cache {
    /// The entry of a line. `full` reads a base that was not seen yet.
    pub(super) fn entry(
        &mut self,
        line: u64,
        raw: Raw,
        full: impl FnOnce(u64) -> Result<Request<Bytes>, String>,
    ) -> Result<Entry, String> {
        let Raw { at, input, like, note, digest } = raw;
        let input = match (input, like, note) {
            (Some(input), None, None) => input,
            (None, None, Some(note)) => return Ok(Entry::Note(at, note)),
            (None, Some(like), None) => {
                if like.line >= line {
                    return Err("it is like a later line".to_owned());
                }
                if !self.0.contains_key(&like.line) {
                    let base = full(like.line)?;
                    self.keep(like.line, base);
                }
                let base = &self.0[&like.line];
                self.rebuilt(base, &like)?
            }
            _ => return Err("it has no input, or more than one".to_owned()),
        };
        if let Input::Request { request, .. } = &input
            && request.body().len() <= LONGEST
        {
            self.keep(line, request.clone());
        }
        Ok(Entry::Input(Recorded { at, input, digest }))
    }

    fn keep(&mut self, line: u64, request: Request<Bytes>) {
        while self.0.len() >= MOST {
            self.0.pop_first();
        }
        self.0.insert(line, request);
    }

    fn rebuilt(&self, base: &Request<Bytes>, like: &Like) -> Result<Input, String> {
        let old = std::str::from_utf8(base.body()).map_err(|error| error.to_string())?;
        let body = Bytes::from(changed(like.body.as_ref(), old)?);
        let uri = changed(like.uri.as_ref(), &base.uri().to_string())?;
        let uri: Uri = uri.parse().map_err(|_| "its URI is none".to_owned())?;
        let mut request = base.clone();
        *request.uri_mut() = uri;
        *request.body_mut() = body;
        Ok(Input::Request { peer: like.peer, request })
    }
}
