//! The parameters of a tool's call, as models write them: a number may be a text, and a blank text counts as absent.

use molecule_async::{ActivityId, WorkspaceId};
use serde_json::{Map, Value};

/// The parameters of a call.
#[derive(Debug, Default)]
pub(super) struct Params(Map<String, Value>);

impl From<Option<Map<String, Value>>> for Params {
    fn from(arguments: Option<Map<String, Value>>) -> Self {
        Self(arguments.unwrap_or_default())
    }
}

impl Params {
    fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// A text that must be there.
    pub(super) fn text(&self, name: &str) -> Result<String, String> {
        self.optional_text(name)?.ok_or_else(|| format!("`{name}` is missing: give a text that is not empty"))
    }

    pub(super) fn optional_text(&self, name: &str) -> Result<Option<String>, String> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone()).filter(|text| !text.trim().is_empty())),
            Some(_) => Err(format!("`{name}` is no text")),
        }
    }

    /// A number in a range; the default without one.
    pub(super) fn number(&self, name: &str, default: f64, most: f64) -> Result<f64, String> {
        let number = match self.get(name) {
            None => return Ok(default),
            Some(Value::Number(number)) => number.as_f64(),
            Some(Value::String(text)) => text.trim().parse().ok(),
            Some(_) => None,
        };
        let number = number.filter(|number: &f64| number.is_finite() && *number >= 0.0);
        Ok(number.ok_or_else(|| format!("`{name}` is no number from 0 to {most}"))?.min(most))
    }

    /// A whole number from 1.
    pub(super) fn count(&self, name: &str, default: usize, most: usize) -> Result<usize, String> {
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        self.number(name, default as f64, most as f64).map(|number| (number as usize).max(1))
    }

    pub(super) fn object(&self, name: &str) -> Result<Map<String, Value>, String> {
        let read = match self.get(name) {
            Some(Value::Object(object)) => Some(object.clone()),
            Some(Value::String(text)) => serde_json::from_str(text).ok(),
            _ => None,
        };
        read.ok_or_else(|| format!("`{name}` is missing, or no object"))
    }

    /// A list; a single value is a list of one.
    pub(super) fn list(&self, name: &str) -> Vec<Value> {
        match self.get(name) {
            None => Vec::new(),
            Some(Value::Array(values)) => values.clone(),
            Some(value) => vec![value.clone()],
        }
    }

    /// The id of a workspace that must be there.
    pub(super) fn workspace(&self, name: &str) -> Result<WorkspaceId, String> {
        self.optional_workspace(name)?.ok_or_else(|| format!("`{name}` is missing: give a workspace's id"))
    }

    pub(super) fn optional_workspace(&self, name: &str) -> Result<Option<WorkspaceId>, String> {
        let Some(text) = self.optional_text(name)? else { return Ok(None) };
        let read = text.trim().parse().map(Some);
        read.map_err(|_| format!("`{name}` is no UUID: give the id of a workspace, as list_peers shows it"))
    }

    pub(super) fn activity(&self, name: &str) -> Result<ActivityId, String> {
        self.optional_activity(name)?.ok_or_else(|| format!("`{name}` is missing: give a message's activity_id"))
    }

    pub(super) fn optional_activity(&self, name: &str) -> Result<Option<ActivityId>, String> {
        let Some(text) = self.optional_text(name)? else { return Ok(None) };
        let read = text.trim().parse().map(Some);
        read.map_err(|_| format!("`{name}` is no UUID: give the activity_id of a message, as it was shown"))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn params(value: &Value) -> Params {
        Params(value.as_object().unwrap().clone())
    }

    #[test]
    fn what_a_model_writes_is_read() {
        let given = params(&json!({
            "a": "text", "blank": " ", "none": null, "n": 7, "m": "2.5", "much": 1e9, "card": "{\"name\":\"x\"}", "one": "p"
        }));
        assert_eq!(given.text("a").unwrap(), "text");
        assert_eq!(given.optional_text("none").unwrap(), None);
        assert_eq!(given.number("n", 1.0, 300.0).unwrap(), 7.0);
        assert_eq!(given.number("m", 1.0, 300.0).unwrap(), 2.5);
        assert_eq!(given.number("much", 1.0, 300.0).unwrap(), 300.0);
        assert_eq!((given.count("absent", 10, 50).unwrap(), given.count("m", 10, 50).unwrap()), (10, 2));
        assert_eq!(given.object("card").unwrap()["name"], "x");
        assert_eq!(given.list("one"), [json!("p")]);
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let given = params(&json!({"blank": " ", "n": -1, "id": "seven", "card": [], "text": {}}));
        for (why, name) in [
            (given.text("blank").unwrap_err(), "blank"),
            (given.text("text").unwrap_err(), "text"),
            (given.number("n", 0.0, 9.0).unwrap_err(), "n"),
            (given.workspace("id").unwrap_err(), "id"),
            (given.activity("id").unwrap_err(), "id"),
            (given.workspace("blank").unwrap_err(), "blank"),
            (given.object("card").unwrap_err(), "card"),
        ] {
            assert!(why.starts_with(&format!("`{name}`")), "{why}");
        }
    }
}
