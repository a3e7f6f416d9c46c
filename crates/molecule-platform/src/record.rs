//! Recorded inputs: the time and a digest of what came out beside each, so that a replay can tell whether it agrees.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use molecule_proto::{Now, Time, UnixTime};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::answer::{Answer, Turn};
use crate::input::{Input, Step};
use crate::platform::Platform;

/// An input as it was recorded.
///
/// As JSON it is one object: `at`, the milliseconds of both clocks; `in`, the input; `out`, the digest.
///
/// ```
/// use molecule_platform::{Config, Dialect, Platform, Recorded};
///
/// let mut platform = Platform::new(Config::new(Dialect::Current).seed(7));
/// let line = r#"{"at": [0, 1795383587000], "in": {"act": {"act": "create_workspace", "name": "a"}}}"#;
/// let recorded: Recorded = serde_json::from_str(line)?;
/// let digest = recorded.replay(&mut platform).digest();
/// let again: Recorded = serde_json::from_str(line)?;
/// assert_eq!(again.replay(&mut Platform::new(Config::new(Dialect::Current).seed(7))).digest(), digest);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Recorded {
    /// The time at which the platform took it, in whole milliseconds.
    #[serde(with = "at")]
    pub at: Now,
    /// The input.
    #[serde(rename = "in")]
    pub input: Input,
    /// The digest of what came out, if it was recorded.
    #[serde(default, rename = "out", skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
}

impl Recorded {
    /// A record of an input, without a digest.
    pub fn new(at: Now, input: Input) -> Self {
        Self { at, input, digest: None }
    }

    /// Sets the digest of what came out.
    #[must_use]
    pub fn digest(mut self, digest: impl Into<Option<Digest>>) -> Self {
        self.digest = digest.into();
        self
    }

    /// The time in whole milliseconds, as records have it: a platform that is recorded must see no finer one.
    pub fn rounded(now: Now) -> Now {
        at::read(at::write(now))
    }

    /// Applies the input to a platform.
    pub fn replay(self, platform: &mut Platform) -> Step {
        platform.step(self.at, self.input)
    }
}

/// A digest of a [`Step`]: the status in plain text, and hashes of the answer and of the turns.
///
/// It does not depend on the order of keys in JSON bodies, nor on how an archive is compressed, as both may depend on
/// how the program was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest {
    /// The status of a complete answer, or what there is instead of one.
    head: String,
    answer: Option<u64>,
    turns: Option<u64>,
}

impl Step {
    /// The digest of the step.
    pub fn digest(&self) -> Digest {
        let mut hash = Hash::default();
        let (head, has_answer) = match (&self.answer, &self.acted) {
            (Some(Answer::Ready(response)), _) => {
                hash.headers(response.headers());
                hash.body(response.body());
                (response.status().as_u16().to_string(), true)
            }
            (Some(Answer::Later(ticket)), _) => (format!("later{}", ticket.0), false),
            (Some(Answer::Stream(ticket, _)), _) => (format!("stream{}", ticket.0), false),
            (None, Some(acted)) => {
                hash.value(&serde_json::to_value(acted).unwrap_or_default());
                ("act".to_owned(), true)
            }
            (None, None) => ("none".to_owned(), false),
        };
        let answer = has_answer.then(|| hash.end());
        let turns = (!self.turns.is_empty()).then(|| {
            let mut hash = Hash::default();
            self.turns.iter().for_each(|turn| hash.turn(turn));
            hash.end()
        });
        Digest { head, answer, turns }
    }
}

impl Digest {
    /// Says how a replay differs from this record; `None` if it does not.
    pub fn difference(&self, replayed: &Self) -> Option<String> {
        if self.head != replayed.head {
            return Some(format!("the answer was {} and is {}", shown(&self.head), shown(&replayed.head)));
        }
        if self.answer != replayed.answer {
            return Some(format!("the content of the answer ({}) differs", shown(&self.head)));
        }
        (self.turns != replayed.turns).then(|| match (self.turns, replayed.turns) {
            (None, _) => "it calls agents or answers waiting clients, which it did not".to_owned(),
            (_, None) => "it no longer calls agents or answers waiting clients".to_owned(),
            (Some(_), Some(_)) => "what it sends to agents or waiting clients differs".to_owned(),
        })
    }

    /// The status of the answer, if it was complete at once.
    pub fn status(&self) -> Option<u16> {
        self.head.parse().ok()
    }
}

fn shown(head: &str) -> &str {
    match head {
        "act" => "the outcome of an act",
        "none" => "none",
        head if head.starts_with("later") => "to come later",
        head if head.starts_with("stream") => "an event stream",
        status => status,
    }
}

impl fmt::Display for Digest {
    /// `HEAD`, `HEAD:ANSWER` or `HEAD:ANSWER:TURNS`, the hashes in hexadecimal; an absent one is empty.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.head)?;
        match (self.answer, self.turns) {
            (None, None) => Ok(()),
            (Some(answer), None) => write!(f, ":{answer:016x}"),
            (None, Some(turns)) => write!(f, "::{turns:016x}"),
            (Some(answer), Some(turns)) => write!(f, ":{answer:016x}:{turns:016x}"),
        }
    }
}

impl FromStr for Digest {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split(':');
        let head = parts.next().unwrap_or_default().to_owned();
        let mut hash = || match parts.next() {
            None | Some("") => Ok(None),
            Some(hash) => u64::from_str_radix(hash, 16).map(Some).map_err(|_| format!("{text:?} is no digest")),
        };
        let (answer, turns) = (hash()?, hash()?);
        if head.is_empty() || parts.next().is_some() {
            return Err(format!("{text:?} is no digest"));
        }
        Ok(Self { head, answer, turns })
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The longest archive that is unpacked for a digest. A longer one is hashed as it is.
const MOST_UNPACKED: u64 = 256 << 20;

#[derive(Default)]
struct Hash(Sha256);

impl Hash {
    fn end(self) -> u64 {
        let hash: [u8; 32] = self.0.finalize().into();
        hash.iter().take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    }

    /// Bytes, after their number, so that two fields never look like one.
    fn bytes(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    /// Headers, without the length of a body that may depend on how it is compressed.
    fn headers(&mut self, headers: &HeaderMap) {
        let shown = headers.iter().filter(|(name, _)| **name != http::header::CONTENT_LENGTH);
        for (name, value) in shown {
            self.bytes(name.as_str().as_bytes());
            self.bytes(value.as_bytes());
        }
        self.bytes(b"");
    }

    fn body(&mut self, body: &Bytes) {
        if body.starts_with(&[0x1f, 0x8b])
            && let Some(plain) = unpacked(body)
        {
            return self.bytes(&plain);
        }
        match serde_json::from_slice::<Value>(body) {
            Ok(value) => self.value(&value),
            Err(_) => self.bytes(body),
        }
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Object(map) => {
                self.bytes(b"{");
                let mut keys: Vec<&String> = map.keys().collect();
                keys.sort_unstable();
                for key in keys {
                    self.bytes(key.as_bytes());
                    self.value(&map[key]);
                }
                self.bytes(b"}");
            }
            Value::Array(values) => {
                self.bytes(b"[");
                values.iter().for_each(|value| self.value(value));
                self.bytes(b"]");
            }
            Value::String(text) => {
                self.bytes(b"\"");
                self.bytes(text.as_bytes());
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => self.bytes(value.to_string().as_bytes()),
        }
    }

    fn turn(&mut self, turn: &Turn) {
        match turn {
            Turn::Dispatch(id, request) => {
                self.bytes(format!("dispatch {} {} {}", id.0, request.method(), request.uri()).as_bytes());
                self.headers(request.headers());
                self.body(request.body());
            }
            Turn::Cancel(id) => self.bytes(format!("cancel {}", id.0).as_bytes()),
            Turn::Answer(ticket, response) => {
                self.bytes(format!("answer {} {}", ticket.0, response.status().as_u16()).as_bytes());
                self.headers(response.headers());
                self.body(response.body());
            }
            Turn::Chunk(ticket, bytes) => {
                self.bytes(format!("chunk {}", ticket.0).as_bytes());
                let data = bytes.strip_prefix(b"data: ").map(|data| Bytes::copy_from_slice(data.trim_ascii_end()));
                self.body(data.as_ref().unwrap_or(bytes));
            }
            Turn::Idle(_) => {}
        }
    }
}

fn unpacked(body: &[u8]) -> Option<Vec<u8>> {
    use std::io::Read;
    let mut plain = Vec::new();
    let read = flate2::read::GzDecoder::new(body).take(MOST_UNPACKED).read_to_end(&mut plain).ok()?;
    ((read as u64) < MOST_UNPACKED).then_some(plain)
}

/// A time as the milliseconds of both clocks, for `#[serde(with = "molecule_platform::at")]`.
pub mod at {
    use super::*;

    pub(super) fn write(now: Now) -> (u64, i64) {
        let unix = now.unix;
        let unix = unix.as_secs().saturating_mul(1000).saturating_add(i64::from(unix.subsec_nanos() / 1_000_000));
        (now.mono.as_nanos() / 1_000_000, unix)
    }

    pub(super) fn read((mono, unix): (u64, i64)) -> Now {
        let nanos = u32::try_from(unix.rem_euclid(1000) * 1_000_000).unwrap_or_default();
        Now { mono: Time::ZERO + Duration::from_millis(mono), unix: UnixTime::new(unix.div_euclid(1000), nanos) }
    }

    /// Writes a time as `[mono, unix]`, in milliseconds.
    ///
    /// # Errors
    /// The serializer's errors.
    pub fn serialize<S: Serializer>(now: &Now, serializer: S) -> Result<S::Ok, S::Error> {
        write(*now).serialize(serializer)
    }

    /// Reads a time from `[mono, unix]`, in milliseconds.
    ///
    /// # Errors
    /// The deserializer's errors.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Now, D::Error> {
        <(u64, i64)>::deserialize(deserializer).map(read)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn of(body: &'static [u8]) -> u64 {
        let mut hash = Hash::default();
        hash.body(&Bytes::from_static(body));
        hash.end()
    }

    #[test]
    fn the_order_of_keys_does_not_count_and_everything_else_does() {
        assert_eq!(of(br#"{"a":1,"b":[1,2]}"#), of(br#"{"b":[1,2],"a":1}"#));
        let others: [&[u8]; 6] =
            [br#"{"a":1,"b":[2,1]}"#, br#"{"a":"1","b":[1,2]}"#, b"", b"{}", b"[]", br#"{"a":1,"b":[1,2]}x"#];
        for other in others {
            assert_ne!(of(other), of(br#"{"a":1,"b":[1,2]}"#));
        }
    }

    #[test]
    fn a_digest_comes_back_from_its_text_and_names_what_differs() {
        let digest = |text: &str| text.parse::<Digest>().unwrap();
        for text in [
            "200:00000000000000ff",
            "none",
            "later7",
            "stream3::0000000000000001",
            "act:0000000000000001:0000000000000002",
        ] {
            assert_eq!(digest(text).to_string(), text);
        }
        for text in ["", ":1", "200:x", "200:1:2:3"] {
            assert!(text.parse::<Digest>().is_err(), "{text}");
        }
        let difference = |one: &str, other: &str| digest(one).difference(&digest(other));
        assert_eq!(difference("200:1", "200:1"), None);
        assert_eq!(difference("200:1", "401:2").unwrap(), "the answer was 200 and is 401");
        assert!(difference("200:1", "200:2").unwrap().contains("content"));
        assert!(difference("200:1", "200:1:3").unwrap().contains("did not"));
        assert!(difference("none::1", "none").unwrap().contains("no longer"));
    }

    #[test]
    fn times_are_whole_milliseconds_also_before_1970() {
        let now = Now { mono: Time::from_nanos(1_999_999), unix: UnixTime::new(-2, 1_999_999) };
        let rounded = Recorded::rounded(now);
        assert_eq!(rounded, Now { mono: Time::from_nanos(1_000_000), unix: UnixTime::new(-2, 1_000_000) });
        assert_eq!(Recorded::rounded(rounded), rounded);
    }
}
