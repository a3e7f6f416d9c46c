//! A reader of the first document of a YAML text as a JSON value, with the features that manifests need.
//!
//! Plain scalars follow the rules of YAML 1.2's core schema, and a duplicate key is an error, as in the server's own
//! reader. Merge keys (`<<`) are ordinary keys.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle, StrInput, Tag};
use serde_json::{Map, Number, Value};

/// The most levels of nested lists and mappings.
const MOST_LEVELS: usize = 64;
/// The most values in a document, with aliases expanded.
const MOST_VALUES: usize = 10_000;

/// Returns the value, or a description of the error for people.
pub(super) fn read(text: &str) -> Result<Value, String> {
    let mut reader = Reader { events: Parser::new_from_str(text), anchored: BTreeMap::new(), values: 0 };
    loop {
        match reader.next()? {
            Event::StreamEnd => return Ok(Value::Null),
            Event::DocumentStart(_) => break,
            _ => {}
        }
    }
    let first = reader.next()?;
    reader.value(first, 0)
}

struct Reader<'a> {
    events: Parser<'a, StrInput<'a>>,
    anchored: BTreeMap<usize, Value>,
    values: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<Event<'a>, String> {
        match self.events.next_event() {
            Some(Ok((event, _))) => Ok(event),
            Some(Err(error)) => Err(error.to_string()),
            None => Ok(Event::StreamEnd),
        }
    }

    fn value(&mut self, first: Event<'a>, level: usize) -> Result<Value, String> {
        if level > MOST_LEVELS {
            return Err(format!("more than {MOST_LEVELS} levels"));
        }
        self.count(1)?;
        let (anchor, value) = match first {
            Event::Scalar(text, style, anchor, tag) => (anchor, scalar(&text, style, tag.as_deref())),
            Event::SequenceStart(anchor, _) => (anchor, self.list(level)?),
            Event::MappingStart(anchor, _) => (anchor, self.mapping(level)?),
            Event::Alias(anchor) => {
                let value = self.anchored.get(&anchor).cloned().ok_or("an alias stands in what it names")?;
                self.count(size(&value))?;
                return Ok(value);
            }
            // An empty document has no value.
            _ => return Ok(Value::Null),
        };
        if anchor > 0 {
            self.anchored.insert(anchor, value.clone());
        }
        Ok(value)
    }

    fn list(&mut self, level: usize) -> Result<Value, String> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                Event::SequenceEnd => return Ok(Value::Array(items)),
                first => items.push(self.value(first, level + 1)?),
            }
        }
    }

    fn mapping(&mut self, level: usize) -> Result<Value, String> {
        let mut map = Map::new();
        loop {
            let key = match self.next()? {
                Event::MappingEnd => return Ok(Value::Object(map)),
                Event::Scalar(text, ..) => text.into_owned(),
                _ => return Err("a key is no text".to_owned()),
            };
            let first = self.next()?;
            let value = self.value(first, level + 1)?;
            if map.insert(key.clone(), value).is_some() {
                return Err(format!("the key {key:?} stands twice"));
            }
        }
    }

    fn count(&mut self, values: usize) -> Result<(), String> {
        self.values += values;
        if self.values > MOST_VALUES { Err(format!("more than {MOST_VALUES} values")) } else { Ok(()) }
    }
}

fn size(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(size).sum::<usize>() + 1,
        Value::Object(map) => map.values().map(size).sum::<usize>() + 1,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 1,
    }
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Value {
    let is_text = tag.is_some_and(|tag| tag.is_yaml_core_schema() && tag.suffix == "str" || tag.handle == "!");
    if style != ScalarStyle::Plain || is_text {
        return Value::from(text);
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ => number(text).map_or_else(|| Value::from(text), Value::Number),
    }
}

fn number(text: &str) -> Option<Number> {
    let radix = |prefix, radix| text.strip_prefix(prefix).and_then(|digits| u64::from_str_radix(digits, radix).ok());
    if let Some(number) = radix("0x", 16).or_else(|| radix("0o", 8)) {
        return Some(number.into());
    }
    if let Ok(number) = text.parse::<i64>() {
        return Some(number.into());
    }
    let is_decimal = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    let has_digit = text.bytes().any(|byte| byte.is_ascii_digit());
    (is_decimal && has_digit).then(|| text.parse::<f64>().ok().and_then(Number::from_f64)).flatten()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_manifest_reads_as_json() {
        let text = "name: a\nversion: 1.0.0\nnumber: 1.5\nquoted: \"1.0\"\ntags: [a, 'b', 3]\n\
                    none: ~\nempty:\nyes: yes\non: true\nhex: 0x1F\nmore:\n  - {k: v}\n...\nrest: [";
        let expected = json!({
            "name": "a", "version": "1.0.0", "number": 1.5, "quoted": "1.0", "tags": ["a", "b", 3], "none": null,
            "empty": null, "yes": "yes", "on": true, "hex": 31, "more": [{"k": "v"}]
        });
        assert_eq!(read(text).unwrap(), expected);
        assert_eq!(read("").unwrap(), Value::Null);
        assert_eq!(read("# nothing\n").unwrap(), Value::Null);
        assert_eq!(read("!!str 7").unwrap(), json!("7"));
    }

    #[test]
    fn what_makes_no_sense_is_an_error() {
        for text in ["name: [unclosed\n  : x\n", "a: 1\na: 2\n", "[a]: b\n", "a: *b\n", "a: &a [*a]\n", "a: b: c"] {
            assert!(read(text).is_err(), "{text:?}");
        }
        assert!(read(&"[".repeat(70)).is_err());
    }

    #[test]
    fn aliases_are_written_out_within_limits() {
        assert_eq!(read("a: &x [1, 2]\nb: *x\n").unwrap(), json!({"a": [1, 2], "b": [1, 2]}));
        let mut bomb = "a0: &a0 [1,1,1,1,1,1,1,1,1,1]\n".to_owned();
        for level in 1..6 {
            let alias = vec![format!("*a{}", level - 1); 10].join(",");
            bomb += &format!("a{level}: &a{level} [{alias}]\n");
        }
        assert_eq!(read(&bomb).unwrap_err(), "more than 10000 values");
    }
}
