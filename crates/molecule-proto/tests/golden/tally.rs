//! Counts the bodies of each type, and checks that each reads and writes without loss.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use molecule_proto::{AgentCard, RateLimit};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// A type's name, how often it must occur at least, and the keys that must occur.
pub(crate) type Expected = (&'static str, u32, &'static str);

#[derive(Default)]
pub(crate) struct Tally {
    place: String,
    met: BTreeMap<&'static str, (u32, BTreeSet<String>)>,
    wrong: Vec<String>,
}

impl Tally {
    /// Sets the recording that the next bodies come from.
    pub(crate) fn at(&mut self, place: String) {
        self.place = place;
    }

    /// Counts a body of a type that keeps no unknown keys.
    pub(crate) fn answer<T: Serialize + DeserializeOwned>(&mut self, name: &'static str, body: &Value) {
        self.round::<T>(name, body, body, |_| ());
    }

    /// Decodes a body and encodes it back, then does so again without the keys that have no field: `known` must remain.
    pub(crate) fn round<T: Serialize + DeserializeOwned>(
        &mut self,
        name: &'static str,
        body: &Value,
        known: &Value,
        strip: impl Fn(&mut T),
    ) {
        self.count(name, known);
        let mut decoded: T = match serde_json::from_value(body.clone()) {
            Ok(decoded) => decoded,
            Err(error) => return self.fail(format!("{name} does not decode: {error}")),
        };
        let whole = serde_json::to_value(&decoded).unwrap();
        strip(&mut decoded);
        let fields = serde_json::to_value(&decoded).unwrap();
        if !same(&whole, body) {
            self.fail(format!("{name} encodes {body} as {whole}"));
        }
        if !same(&fields, known) {
            self.fail(format!("{name} has the fields {fields} where {known} was sent"));
        }
    }

    /// Counts a request's body: it decodes, and its encoding decodes to the same value. Unknown keys and empty values
    /// may be dropped.
    pub(crate) fn request<T: Serialize + DeserializeOwned + PartialEq>(&mut self, name: &'static str, body: &Value) {
        self.count(name, body);
        let decoded: T = match serde_json::from_value(body.clone()) {
            Ok(decoded) => decoded,
            Err(error) => return self.fail(format!("{name} does not decode: {error}")),
        };
        let encoded = serde_json::to_value(&decoded).unwrap();
        if serde_json::from_value::<T>(encoded.clone()).ok() != Some(decoded) {
            self.fail(format!("{name} encodes {body} as {encoded}, which reads otherwise"));
        }
    }

    /// Counts a card if it is an object. Other cards stay plain values.
    pub(crate) fn card(&mut self, card: &Value) {
        let Some(object) = card.as_object() else { return };
        let listed = ["name", "description", "role", "url"];
        let known: Map<_, _> = object.clone().into_iter().filter(|(key, _)| listed.contains(&key.as_str())).collect();
        self.round("AgentCard", card, &Value::Object(known), |card: &mut AgentCard| card.extra.clear());
    }

    /// Counts the rate-limit headers of an answer, if it has any.
    pub(crate) fn rate_limit(&mut self, headers: &Value) {
        let pairs = headers.as_object().unwrap().iter().filter(|(name, _)| name.starts_with("x-ratelimit-"));
        let parse = |(name, value): (&String, &Value)| {
            (name.parse::<http::HeaderName>().unwrap(), value.as_str().unwrap().parse().unwrap())
        };
        let sent: http::HeaderMap = pairs.map(parse).collect();
        if sent.is_empty() {
            return;
        }
        self.count("RateLimit", headers);
        let mut written = http::HeaderMap::new();
        match RateLimit::from_headers(&sent) {
            Some(limit) => limit.write_to(&mut written),
            None => self.fail(format!("the rate-limit headers make no sense: {sent:?}")),
        }
        if written != sent {
            self.fail(format!("the rate-limit headers {sent:?} are written as {written:?}"));
        }
    }

    pub(crate) fn count(&mut self, name: &'static str, body: &Value) {
        let (count, met) = self.met.entry(name).or_default();
        *count += 1;
        met.extend(body.as_object().into_iter().flat_map(|map| map.keys().cloned()));
    }

    pub(crate) fn fail(&mut self, what: String) {
        self.wrong.push(format!("{}: {what}", self.place));
    }

    pub(crate) fn judge(mut self, expected: &[Expected]) {
        self.at("all recordings".to_owned());
        let mut summary = String::new();
        for (name, least, keys) in expected {
            let (count, met) = self.met.remove(name).unwrap_or_default();
            summary += &format!("{name}: {count} bodies\n");
            if count < *least {
                self.fail(format!("{name} was met {count} times, which is less than {least}"));
            }
            for key in keys.split_whitespace().filter(|key| !met.contains(*key)) {
                self.fail(format!("{name}: nobody sent {key}"));
            }
        }
        for name in std::mem::take(&mut self.met).into_keys() {
            self.fail(format!("{name} is not expected"));
        }
        // Written directly to stdout: the test harness would hide it when the test passes.
        std::io::stdout().lock().write_all(summary.as_bytes()).unwrap();
        assert!(self.wrong.is_empty(), "{}", self.wrong.join("\n"));
    }
}

/// Whether two values are equal, numbers as numbers: 0 is 0.0.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.keys().eq(other.keys()) && one.iter().all(|(key, value)| same(value, &other[key]))
        }
        (one, other) => one == other,
    }
}
