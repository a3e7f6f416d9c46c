//! Recorded exchanges, and what their ids, tokens and secrets are called in this run.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::Value;

/// A recorded request and its answer.
pub(crate) struct Exchange {
    /// Where it stands in its recording, from 1.
    pub(crate) line: usize,
    pub(crate) label: String,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Value,
    pub(crate) status: u16,
    pub(crate) answer_headers: BTreeMap<String, String>,
    pub(crate) answer: Value,
}

/// The exchanges of a recording. What a push agent saw is left out.
pub(crate) fn recording(file: &str) -> Vec<Exchange> {
    let path = format!("{}/../../fixtures/corpus/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).enumerate();
    let exchanges = lines.filter(|(_, line)| line.get("request").is_some());
    exchanges.map(|(index, line)| Exchange::read(index + 1, &line)).collect()
}

/// Where the recorder reached the server, as its connection blocks say.
pub(crate) fn host(exchanges: &[Exchange]) -> String {
    let urls = exchanges.iter().filter_map(|exchange| exchange.answer.pointer("/connection/platform_url"));
    let url = urls.filter_map(Value::as_str).next().unwrap();
    url.strip_prefix("http://").unwrap().to_owned()
}

impl Exchange {
    fn read(number: usize, line: &Value) -> Self {
        let text = |pointer: &str| line.pointer(pointer).unwrap().as_str().unwrap().to_owned();
        let headers = |pointer: &str| serde_json::from_value(line.pointer(pointer).unwrap().clone()).unwrap();
        Self {
            line: number,
            label: text("/label"),
            method: text("/request/method"),
            path: text("/request/path"),
            headers: headers("/request/headers"),
            body: line["request"]["body"].clone(),
            status: u16::try_from(line["response"]["status"].as_u64().unwrap()).unwrap(),
            answer_headers: headers("/response/headers"),
            answer: line["response"]["body"].clone(),
        }
    }

    /// The request as this run has to send it.
    pub(crate) fn request(&self, host: &str, matched: &mut Matched) -> http::Request<Bytes> {
        let body = match &self.body {
            Value::Null => String::new(),
            other => head_of(other).unwrap_or_else(|| other.to_string()),
        };
        matched.meet(&self.path);
        matched.meet(&body);
        let mut request =
            http::Request::builder().method(self.method.as_str()).uri(matched.rewrite(&self.path)).header("host", host);
        for (name, value) in &self.headers {
            request = request.header(name, matched.rewrite(value));
        }
        request.body(Bytes::from(matched.rewrite(&body))).unwrap()
    }

    /// The answer's body if it was recorded as text, else `""`.
    pub(crate) fn recorded_text(&self) -> String {
        head_of(&self.answer).unwrap_or_default()
    }
}

/// What was kept of a body that is no JSON.
fn head_of(body: &Value) -> Option<String> {
    body.get("_bytes")?;
    Some(body.get("_head")?.as_str()?.to_owned())
}

/// The recorded names of things, and those of this run.
#[derive(Default)]
pub(crate) struct Matched(BTreeMap<String, String>);

impl Matched {
    /// A text with every recorded name replaced.
    pub(crate) fn rewrite(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (recorded, ours) in &self.0 {
            if text.contains(recorded.as_str()) {
                text = text.replace(recorded, ours);
            }
            let upper = recorded.to_uppercase();
            if is_uuid(recorded) && text.contains(&upper) {
                text = text.replace(&upper, &ours.to_uppercase());
            }
        }
        text
    }

    /// An id that a request brings up is nobody else's: it keeps its name.
    fn meet(&mut self, text: &str) {
        for word in text.split(|c: char| !(c.is_ascii_hexdigit() || c == '-')).filter(|word| is_uuid(word)) {
            let word = word.to_lowercase();
            self.0.entry(word.clone()).or_insert(word);
        }
    }

    /// Matches a recorded id, token or secret with one of ours, perhaps behind the same word and a colon; `false` if
    /// either has another partner.
    pub(crate) fn pair(&mut self, recorded: &str, ours: &str) -> bool {
        if let (Some((word, recorded)), Some((same, ours))) = (recorded.split_once(':'), ours.split_once(':')) {
            return word == same && self.pair(recorded, ours);
        }
        if let Some(partner) = self.0.get(recorded) {
            return partner == ours;
        }
        let alike = (is_uuid(recorded) && is_uuid(ours)) || (is_token(recorded) && is_token(ours));
        let taken = self.0.values().any(|other| other == ours || other == recorded);
        if alike && !taken {
            self.0.insert(recorded.to_owned(), ours.to_owned());
        }
        alike && !taken
    }

    /// Whether these are the first characters of an id or a token and of its partner.
    pub(crate) fn are_prefixes(&self, recorded: &str, ours: &str) -> bool {
        recorded.len() >= 8
            && ours.len() == recorded.len()
            && self.0.iter().any(|(token, partner)| token.starts_with(recorded) && partner.starts_with(ours))
    }
}

fn is_uuid(text: &str) -> bool {
    text.parse::<molecule_proto::WorkspaceId>().is_ok()
}

fn is_token(text: &str) -> bool {
    text.len() == 43 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}
