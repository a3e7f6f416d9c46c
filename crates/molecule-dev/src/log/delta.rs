//! Requests that are like an earlier one: most of a log is heartbeats and polls, which differ in a few characters.
//!
//! A request with the method, path and headers of an earlier one is written as that one's line and the middle part in
//! which URI and body differ. Both sides of the log follow the same rule: the newest request of its kind that was
//! written in full is the base.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_LENGTH};
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

/// The bases of a log, up to a line.
#[derive(Debug, Default)]
pub(super) struct Bases {
    by_key: BTreeMap<String, (u64, Request<Bytes>)>,
    keys: BTreeMap<u64, String>,
}

impl Bases {
    /// The text of an entry, without the line's end.
    pub(super) fn write(&mut self, line: u64, entry: &Entry) -> io::Result<String> {
        let raw = match entry {
            Entry::Note(at, note) => {
                Raw { at: *at, input: None, like: None, note: Some(note.clone()), about: None, digest: None }
            }
            Entry::Input(recorded, about) => {
                let like = self.like(&recorded.input);
                let input = if like.is_some() { None } else { Some(recorded.input.clone()) };
                let (about, digest) = (about.clone(), recorded.digest.clone());
                Raw { at: recorded.at, input, like, note: None, about, digest }
            }
        };
        let text = serde_json::to_string(&raw).map_err(io::Error::from)?;
        if let Some(Input::Request { request, .. }) = &raw.input {
            self.learn(line, request);
        }
        Ok(text)
    }

    /// The entry of a line. `full` reads a base that was not seen yet.
    pub(super) fn entry(
        &mut self,
        line: u64,
        raw: Raw,
        full: impl FnOnce(u64) -> Result<Request<Bytes>, String>,
    ) -> Result<Entry, String> {
        let Raw { at, input, like, note, about, digest } = raw;
        let input = match (input, like, note) {
            (None, None, Some(note)) => return Ok(Entry::Note(at, note)),
            (Some(input), None, None) => {
                if let Input::Request { request, .. } = &input {
                    self.learn(line, request);
                }
                input
            }
            (None, Some(like), None) => {
                if like.line >= line || like.line < 2 {
                    return Err("it is like a line that is not before it".to_owned());
                }
                match self.keys.get(&like.line).and_then(|key| self.by_key.get(key)) {
                    Some((_, base)) => like.request(base)?,
                    None => {
                        let base = full(like.line)?;
                        let input = like.request(&base)?;
                        self.learn(like.line, &base);
                        input
                    }
                }
            }
            _ => return Err("it has no input, or more than one".to_owned()),
        };
        Ok(Entry::Input(Recorded::new(at, input).digest(digest), about))
    }

    /// Takes a request that is written in full for the base of its kind.
    fn learn(&mut self, line: u64, request: &Request<Bytes>) {
        if request.body().len() > LONGEST || std::str::from_utf8(request.body()).is_err() {
            return;
        }
        if self.by_key.len() >= MOST {
            self.by_key.clear();
            self.keys.clear();
        }
        let key = key(request);
        if let Some((old, _)) = self.by_key.insert(key.clone(), (line, request.clone())) {
            self.keys.remove(&old);
        }
        self.keys.insert(line, key);
    }

    fn like(&self, input: &Input) -> Option<Like> {
        let Input::Request { peer, request } = input else { return None };
        let (line, base) = self.by_key.get(&key(request))?;
        if base.headers() != request.headers() {
            return None;
        }
        let body = Change::between(std::str::from_utf8(base.body()).ok()?, std::str::from_utf8(request.body()).ok()?);
        let uri = Change::between(&base.uri().to_string(), &request.uri().to_string());
        // A body that has little of another one is easier to read in full.
        let is_short = body.as_ref().is_none_or(|change| change.1.len() <= 64 + request.body().len() / 4);
        is_short.then_some(Like { line: *line, peer: *peer, uri, body })
    }
}

impl Like {
    fn request(&self, base: &Request<Bytes>) -> Result<Input, String> {
        let old = std::str::from_utf8(base.body()).map_err(|error| error.to_string())?;
        let body = Bytes::from(changed(self.body.as_ref(), old)?);
        let uri = changed(self.uri.as_ref(), &base.uri().to_string())?;
        let uri: Uri = uri.parse().map_err(|_| "its URI is none".to_owned())?;
        let mut request = base.clone();
        *request.uri_mut() = uri;
        *request.body_mut() = body;
        Ok(Input::Request { peer: self.peer, request })
    }
}

/// Requests with the same key differ in their URI's query and their body alone, if their other headers are the same.
fn key(request: &Request<Bytes>) -> String {
    let header = |name| request.headers().get(name).map_or(&b""[..], |value| value.as_bytes());
    let bearer = String::from_utf8_lossy(header(AUTHORIZATION));
    let length = String::from_utf8_lossy(header(CONTENT_LENGTH));
    format!("{} {} {length} {bearer}", request.method(), request.uri().path())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_change_leads_from_one_text_to_the_other(old in "[aż🦀]{0,8}", new in "[aż🦀]{0,8}") {
            match Change::between(&old, &new) {
                None => prop_assert_eq!(old, new),
                Some(change) => prop_assert_eq!(change.apply(&old), Some(new)),
            }
        }
    }

    #[test]
    fn a_change_that_does_not_fit_is_none() {
        for change in [
            Change(5, String::new(), 0),
            Change(0, String::new(), 5),
            Change(3, String::new(), 3),
            Change(1, String::new(), 0),
        ] {
            assert_eq!(change.apply("żab"), None, "{change:?}");
        }
    }
}
