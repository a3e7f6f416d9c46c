//! A reader of request bodies with the servers' rules: only the first JSON value counts and bytes after it do not,
//! names match in any case, `null` is an absent value, and the later of two equal names wins (April contract section
//! 1.1).

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};

use crate::reply::Refusal;

/// The fields of a body that is an object.
pub(crate) struct Fields(Vec<(String, Value)>);

/// The error of a body or field that does not have the expected form. Each route has its own text for it.
#[derive(Debug)]
pub(crate) struct Malformed;

impl From<Malformed> for Refusal {
    /// Converts it to the text that most routes use.
    fn from(_: Malformed) -> Self {
        Refusal::bad_request("invalid request body")
    }
}

type Result<T> = std::result::Result<T, Malformed>;

impl Fields {
    pub(crate) fn read(body: &[u8]) -> Result<Self> {
        let mut first = serde_json::Deserializer::from_slice(body);
        Option::<Self>::deserialize(&mut first).map(|fields| fields.unwrap_or(Self(Vec::new()))).map_err(|_| Malformed)
    }

    /// A value as it was sent, `null` included; `None` if there is no such name.
    pub(crate) fn raw(&self, name: &str) -> Option<&Value> {
        self.0.iter().rev().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// A string; `""` if it is absent.
    pub(crate) fn text(&self, name: &str) -> Result<String> {
        self.typed(name, |value| value.as_str().map(str::to_owned)).map(Option::unwrap_or_default)
    }

    /// A string; `None` if it is absent.
    pub(crate) fn optional_text(&self, name: &str) -> Result<Option<String>> {
        self.typed(name, |value| value.as_str().map(str::to_owned))
    }

    /// A whole number; 0 if it is absent. `1.0` is not one.
    pub(crate) fn integer(&self, name: &str) -> Result<i64> {
        self.optional_integer(name).map(Option::unwrap_or_default)
    }

    /// A whole number; `None` if it is absent.
    pub(crate) fn optional_integer(&self, name: &str) -> Result<Option<i64>> {
        self.typed(name, Value::as_i64)
    }

    /// A number; 0 if it is absent.
    pub(crate) fn number(&self, name: &str) -> Result<f64> {
        self.typed(name, Value::as_f64).map(Option::unwrap_or_default)
    }

    /// A boolean; `false` if it is absent.
    pub(crate) fn truth(&self, name: &str) -> Result<bool> {
        self.typed(name, Value::as_bool).map(Option::unwrap_or_default)
    }

    /// An object; `None` if it is absent.
    pub(crate) fn object(&self, name: &str) -> Result<Option<&Map<String, Value>>> {
        match self.raw(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => value.as_object().map(Some).ok_or(Malformed),
        }
    }

    fn typed<T>(&self, name: &str, read: impl Fn(&Value) -> Option<T>) -> Result<Option<T>> {
        match self.raw(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => read(value).map(Some).ok_or(Malformed),
        }
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Pairs;

        impl<'de> Visitor<'de> for Pairs {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Fields, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Fields(pairs))
            }
        }

        deserializer.deserialize_map(Pairs)
    }
}

/// Returns whether any string in a value holds U+0000, which the database cannot store.
pub(crate) fn holds_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(holds_nul),
        Value::Object(map) => map.iter().any(|(key, value)| key.contains('\0') || holds_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names_match_in_any_case_and_the_later_one_wins() {
        let fields = Fields::read(br#"{"id":"a","ID":"b","n":null}trailing"#).unwrap();
        assert_eq!(fields.text("id").unwrap(), "b");
        assert_eq!(fields.integer("n").unwrap(), 0);
        assert_eq!(fields.raw("n"), Some(&Value::Null));
        assert_eq!(fields.raw("absent"), None);
    }

    #[test]
    fn other_types_are_malformed() {
        let fields = Fields::read(br#"{"n":1.5,"m":1.0,"t":"two"}"#).unwrap();
        assert!(fields.integer("n").is_err() && fields.integer("m").is_err() && fields.integer("t").is_err());
        assert!(fields.text("n").is_err());
        for body in ["", "{", "[]", "7", "\"x\""] {
            assert!(Fields::read(body.as_bytes()).is_err(), "{body}");
        }
        assert!(Fields::read(b"null").unwrap().raw("id").is_none());
    }
}
