//! Recorded exchanges, and the pairs of recorded ids, tokens and secrets with those of this run.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::Value;

/// A recorded request and its answer.
#[derive(Clone)]
pub(crate) struct Exchange {
    /// Its line number in the recording, from 1.
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

/// A request that a push agent received from the server.
pub(crate) struct Received {
    /// Its line number in the recording, from 1.
    pub(crate) line: usize,
    pub(crate) label: String,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Value,
}

/// A line of a recording.
pub(crate) enum Line {
    Exchange(Exchange),
    Received(Received),
}

/// The lines of a recording.
pub(crate) fn recording(file: &str) -> Vec<Line> {
    let path = format!("{}/../../fixtures/corpus/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).enumerate();
    lines.map(|(index, line)| Line::read(index + 1, &line)).collect()
}

/// The host at which the recorder reached the server, from a connection block.
pub(crate) fn host(lines: &[Line]) -> String {
    let urls = lines.iter().filter_map(|line| match line {
        Line::Exchange(exchange) => exchange.answer.pointer("/connection/platform_url"),
        Line::Received(_) => None,
    });
    let url = urls.filter_map(Value::as_str).next().unwrap();
    url.strip_prefix("http://").unwrap().to_owned()
}

impl Line {
    fn read(number: usize, line: &Value) -> Self {
        if line.get("request").is_some() {
            return Self::Exchange(Exchange::read(number, line));
        }
        let text = |pointer: &str| line.pointer(pointer).and_then(Value::as_str).unwrap().to_owned();
        Self::Received(Received {
            line: number,
            label: text("/label"),
            method: line.pointer("/inbound/method").and_then(Value::as_str).unwrap_or("POST").to_owned(),
            path: text("/inbound/path"),
            headers: serde_json::from_value(line["inbound"]["headers"].clone()).unwrap(),
            body: line["inbound"]["body"].clone(),
        })
    }
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

    /// The request with the ids and tokens of this run.
    pub(crate) fn request(&self, host: &str, matched: &mut Matched) -> http::Request<Bytes> {
        let (body, rest) = match &self.body {
            Value::Null => (String::new(), String::new()),
            other => (head_of(other).unwrap_or_else(|| other.to_string()), rest_of(other).unwrap_or_default()),
        };
        matched.meet(&self.path);
        matched.meet(&body);
        let mut request =
            http::Request::builder().method(self.method.as_str()).uri(matched.rewrite(&self.path)).header("host", host);
        for (name, value) in &self.headers {
            request = request.header(name, matched.rewrite(value));
        }
        let content = match self.headers.get("Content-Type").filter(|kind| kind.starts_with("multipart/")) {
            Some(_) => form(&self.body),
            None => (matched.rewrite(&body) + &rest).into_bytes(),
        };
        request.body(Bytes::from(content)).unwrap()
    }

    /// The answer's body if it was recorded as text, else `""`.
    pub(crate) fn recorded_text(&self) -> String {
        head_of(&self.answer).unwrap_or_default()
    }
}

/// The recorded beginning of a body that is not JSON.
fn head_of(body: &Value) -> Option<String> {
    body.get("_bytes")?;
    Some(body.get("_head")?.as_str()?.to_owned())
}

/// The rest of a message of which only the beginning was recorded: one text part of the recorded length.
fn rest_of(body: &Value) -> Option<String> {
    let (head, tail) = (head_of(body)?, ("[{\"kind\": \"text\", \"text\": \"", "\"}]}}}"));
    let length = usize::try_from(body["_bytes"].as_u64()?).ok()?;
    let rest = length.checked_sub(head.len() + 1 + tail.0.len() + tail.1.len())?;
    // The shortest of these messages was answered, so that its text is known.
    let text = if rest == 2 { "ct".to_owned() } else { "x".repeat(rest) };
    head.ends_with("\"parts\":").then(|| format!(" {}{text}{}", tail.0, tail.1))
}

/// A form with files, of which only the beginning was recorded, one character for each byte.
fn form(body: &Value) -> Vec<u8> {
    let head = head_of(body).unwrap();
    let mut form: Vec<u8> = head.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    let length = usize::try_from(body["_bytes"].as_u64().unwrap()).unwrap();
    let file = |name: &str, content: &str| {
        format!(
            "Content-Disposition: form-data; name=\"files\"; filename=\"{name}\"\r\nContent-Type: \
             application/octet-stream\r\n\r\n{content}\r\n--xxSCENARIOxx--\r\n"
        )
    };
    // The two longer forms: the end of both follows from their length, and from the files in the answer.
    let ends = [file("../../etc/passwd", "xx"), file(&format!("{}.txt", "n".repeat(150)), "x")];
    if form.len() < length {
        let whole = |end: &String| {
            let start = length.checked_sub(end.len())?;
            let known = form.get(start..)?;
            end.as_bytes().starts_with(known).then(|| [&form[..start], end.as_bytes()].concat())
        };
        form = ends.iter().find_map(whole).expect("the end of this form is not known");
    }
    assert_eq!(form.len(), length);
    form
}

/// The recorded ids, tokens and secrets, and their partners in this run.
#[derive(Clone, Default)]
pub(crate) struct Matched {
    names: BTreeMap<String, String>,
    /// The pairs of row numbers. They differ because the recorded counter also counts rows of unbuilt routes.
    numbers: BTreeMap<i64, i64>,
}

impl Matched {
    /// Replaces every recorded id, token and secret in a text.
    pub(crate) fn rewrite(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (recorded, ours) in &self.names {
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

    /// Pairs every unpaired id in a request with itself, because no answer of this run has made it.
    fn meet(&mut self, text: &str) {
        for word in text.split(|c: char| !(c.is_ascii_hexdigit() || c == '-')).filter(|word| is_uuid(word)) {
            let word = word.to_lowercase();
            self.names.entry(word.clone()).or_insert(word);
        }
    }

    /// Pairs a recorded id, token or secret with one of this run, also after an equal prefix with a colon; returns
    /// `false` if either has another partner.
    pub(crate) fn pair(&mut self, recorded: &str, ours: &str) -> bool {
        if let (Some((word, recorded)), Some((same, ours))) = (recorded.split_once(':'), ours.split_once(':')) {
            return word == same && self.pair(recorded, ours);
        }
        // The id of a file stands behind that of its workspace.
        if let (Some((owner, recorded)), Some((same, ours))) = (recorded.split_once('/'), ours.split_once('/')) {
            return (owner == same || self.pair(owner, same)) && self.pair(recorded, ours);
        }
        if let Some(partner) = self.names.get(recorded) {
            return partner == ours;
        }
        let alike = (is_uuid(recorded) && is_uuid(ours)) || (is_token(recorded) && is_token(ours));
        let taken = self.names.values().any(|other| other == ours || other == recorded);
        if alike && !taken {
            self.names.insert(recorded.to_owned(), ours.to_owned());
        }
        alike && !taken
    }

    /// Pairs the recorded number of a row with one of this run; returns `false` if either has another partner.
    pub(crate) fn pair_numbers(&mut self, recorded: i64, ours: i64) -> bool {
        let partner = *self.numbers.entry(recorded).or_insert(ours);
        partner == ours && self.numbers.values().filter(|number| **number == ours).count() == 1
    }

    /// Returns whether these are the first characters of an id or a token and of its partner.
    pub(crate) fn are_prefixes(&self, recorded: &str, ours: &str) -> bool {
        recorded.len() >= 8
            && ours.len() == recorded.len()
            && self.names.iter().any(|(token, partner)| token.starts_with(recorded) && partner.starts_with(ours))
    }
}

fn is_uuid(text: &str) -> bool {
    text.parse::<molecule_proto::WorkspaceId>().is_ok()
}

fn is_token(text: &str) -> bool {
    text.len() == 43 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}
