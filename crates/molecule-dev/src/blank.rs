//! A log without its credentials: the same history on a platform whose tokens anybody may know.
//!
//! The history is replayed on two platforms that differ in the seed of credentials alone. Where an input has a
//! credential of the first one, the copy has that of the second: of the same length, so that nothing else changes. The
//! digests are those of the second, so that the copy replays.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderValue};
use molecule_platform::{Act, Input, Platform, Recorded, credentials};
use molecule_proto::Token;
use serde_json::Value;

use crate::log::{Entry, Header, Note};

/// The seed of the credentials in blanked copies.
const SEED: u64 = 0;
/// The length of a minted credential.
const LENGTH: usize = 43;
/// The shortest secret that is looked for outside its own field.
const SHORTEST: usize = 6;

/// Makes the blanked copy of a log, entry by entry.
pub(crate) struct Blank {
    header: Header,
    original: Platform,
    copy: Platform,
    /// The credentials of the original with those of the copy.
    minted: BTreeMap<String, String>,
    pairs: Box<dyn Iterator<Item = (String, String)> + Send>,
    /// The owner's secrets with what stands for them, longest first.
    secrets: Vec<(String, String)>,
    /// Bearers that the platform never minted.
    strangers: BTreeMap<String, String>,
}

impl Blank {
    pub(crate) fn new(original: &Header) -> Self {
        let admin = original.admin_token.expose();
        let placeholder = filled("dev-admin", admin.len());
        let header = Header {
            credential_seed: SEED,
            admin_token: Token::new(&placeholder).expect("it is visible ASCII"),
            ..original.clone()
        };
        let pairs = credentials(original.credential_seed).zip(credentials(SEED));
        Self {
            original: Platform::new(original.config()),
            copy: Platform::new(header.config()),
            header,
            minted: BTreeMap::new(),
            pairs: Box::new(pairs),
            secrets: vec![(admin.to_owned(), placeholder)],
            strangers: BTreeMap::new(),
        }
    }

    /// The header of the copy.
    pub(crate) fn header(&self) -> &Header {
        &self.header
    }

    /// The entry of the copy.
    pub(crate) fn entry(&mut self, entry: Entry) -> Entry {
        match entry {
            Entry::Note(at, Note::Hit { input, fault }) => {
                let input = Box::new(self.input(*input));
                Entry::Note(at, Note::Hit { input, fault })
            }
            Entry::Note(at, note) => Entry::Note(at, note),
            Entry::Input(recorded, about) => {
                let at = recorded.at;
                self.learn(&recorded.input);
                let original = recorded.input.clone();
                let _ = self.original.step(at, original);
                while self.minted.len() < self.original.credentials_minted() {
                    let Some((from, to)) = self.pairs.next() else { break };
                    self.minted.insert(from, to);
                }
                let input = self.input(recorded.input);
                let digest = self.copy.step(at, input.clone()).digest();
                Entry::Input(Recorded::new(at, input).digest(digest), about)
            }
        }
    }

    /// Learns the secrets that an input sets.
    fn learn(&mut self, input: &Input) {
        let mut values = Vec::new();
        match input {
            Input::Act(Act::SetSecret { value, .. }) => values.push(value.clone()),
            Input::Request { request, .. } if request.uri().path().trim_end_matches('/').ends_with("/secrets") => {
                let body: Option<Value> = serde_json::from_slice(request.body()).ok();
                values.extend(body.and_then(|body| Some(body.get("value")?.as_str()?.to_owned())));
            }
            _ => {}
        }
        for value in values {
            if value.len() >= SHORTEST && !self.secrets.iter().any(|(known, _)| *known == value) {
                let placeholder = filled(&format!("secret{}", self.secrets.len()), value.len());
                self.secrets.push((value, placeholder));
                self.secrets.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
            }
        }
    }

    fn input(&mut self, input: Input) -> Input {
        match input {
            Input::Request { peer, mut request } => {
                *request.body_mut() = self.bytes(request.body());
                let uri = self.text(&request.uri().to_string());
                if let Ok(uri) = uri.parse() {
                    *request.uri_mut() = uri;
                }
                self.headers(request.headers_mut());
                short_secret(&mut request);
                Input::Request { peer, request }
            }
            Input::Dispatched { id, outcome } => {
                let outcome = outcome.map(|mut response| {
                    *response.body_mut() = self.bytes(response.body());
                    self.headers(response.headers_mut());
                    response
                });
                Input::Dispatched { id, outcome }
            }
            Input::Act(Act::SetSecret { id, key, value }) if value.len() < SHORTEST => {
                Input::Act(Act::SetSecret { id, key, value: filled("secret", value.len()) })
            }
            Input::Act(act) => {
                let text = serde_json::to_string(&act).map(|text| self.text(&text));
                let blanked = text.ok().and_then(|text| serde_json::from_str(&text).ok());
                Input::Act(blanked.unwrap_or(act))
            }
            other => other,
        }
    }

    fn headers(&mut self, headers: &mut http::HeaderMap) {
        for (name, value) in headers.iter_mut() {
            let Ok(text) = value.to_str() else { continue };
            let mut blanked = self.text(text);
            if *name == AUTHORIZATION && blanked == text {
                blanked = self.stranger(text);
            }
            if let Ok(blanked) = HeaderValue::from_str(&blanked) {
                *value = blanked;
            }
        }
    }

    /// Something in place of a bearer that is nobody's.
    fn stranger(&mut self, text: &str) -> String {
        let (scheme, bearer) = text.split_once(' ').unwrap_or(("", text));
        let number = self.strangers.len() + 1;
        let blanked =
            self.strangers.entry(bearer.to_owned()).or_insert_with(|| filled(&format!("nobody{number}"), bearer.len()));
        if scheme.is_empty() { blanked.clone() } else { format!("{scheme} {blanked}") }
    }

    fn bytes(&self, bytes: &Bytes) -> Bytes {
        match std::str::from_utf8(bytes) {
            Ok(text) => Bytes::from(self.text(text)),
            Err(_) => {
                // Credentials are ASCII, so that each part between bytes that are none is a text.
                let mut copy = bytes.to_vec();
                for part in copy.chunk_by_mut(|one, other| one.is_ascii() == other.is_ascii()) {
                    if let Ok(text) = std::str::from_utf8(part) {
                        let blanked = self.text(text);
                        if blanked.len() == part.len() {
                            part.copy_from_slice(blanked.as_bytes());
                        }
                    }
                }
                Bytes::from(copy)
            }
        }
    }

    fn text(&self, text: &str) -> String {
        let mut blanked = text.to_owned();
        for (from, to) in &self.secrets {
            if blanked.contains(from.as_str()) {
                blanked = blanked.replace(from.as_str(), to);
            }
            let escaped = serde_json::to_string(from).unwrap_or_default();
            let escaped = escaped.trim_matches('"');
            if escaped != from && blanked.contains(escaped) {
                blanked = blanked.replace(escaped, &filled(to, escaped.len()));
            }
        }
        self.without_minted(&blanked)
    }

    /// Replaces each credential that the platform minted. Each is a run of letters, digits, `-` and `_`, maybe within a
    /// longer one.
    fn without_minted(&self, text: &str) -> String {
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let mut bytes = text.as_bytes().to_vec();
        let mut at = 0;
        while at + LENGTH <= bytes.len() {
            let window = &bytes[at..at + LENGTH];
            if let Some(other) = window.iter().rposition(|byte| !is_part(*byte)) {
                at += other + 1;
                continue;
            }
            let found = std::str::from_utf8(window).ok().and_then(|window| self.minted.get(window));
            match found {
                Some(to) => {
                    bytes[at..at + LENGTH].copy_from_slice(to.as_bytes());
                    at += LENGTH;
                }
                None => at += 1,
            }
        }
        String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
    }
}

/// Blanks a short secret in the body that sets it; elsewhere it would hit what is none.
fn short_secret(request: &mut http::Request<Bytes>) {
    if !request.uri().path().trim_end_matches('/').ends_with("/secrets") {
        return;
    }
    let Ok(mut body) = serde_json::from_slice::<Value>(request.body()) else { return };
    let Some(value) = body.get_mut("value") else { return };
    if let Some(text) = value.as_str().filter(|text| !text.is_empty() && text.len() < SHORTEST) {
        *value = Value::from(filled("secret", text.len()));
        *request.body_mut() = Bytes::from(body.to_string());
    }
}

/// A text of this length in bytes that starts like another.
fn filled(start: &str, length: usize) -> String {
    let mut text: String = start.chars().chain(std::iter::repeat('x')).filter(char::is_ascii).take(length).collect();
    text.truncate(length);
    text
}
