//! `GET /workspaces/:id/secrets/values` and `POST /workspaces/:id/secrets` (contract section 8; April 5.2).

use std::collections::{BTreeMap, btree_map};
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

/// A workspace's secrets by name: the flat object `{"KEY": "value"}`.
///
/// `Debug` shows the names and never a value; values are wiped when dropped. An agent reads the values with
/// [`get`](Self::get) or [`iter`](Self::iter).
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secrets(BTreeMap<String, Zeroizing<String>>);

impl Secrets {
    /// No secrets.
    pub fn new() -> Self {
        Self::default()
    }

    /// The value of a secret.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.as_str())
    }

    /// Adds or replaces a secret.
    pub fn insert(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.insert(name.into(), Zeroizing::new(value.into()));
    }

    /// The names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Names and values, sorted by name.
    pub fn iter(&self) -> SecretsIter<'_> {
        self.into_iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Writes the values. Meant only for a server's answer, with `#[serde(serialize_with = …)]` or a wrapper.
    ///
    /// # Errors
    /// The serializer's errors.
    pub fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'a> IntoIterator for &'a Secrets {
    type Item = (&'a str, &'a str);
    type IntoIter = SecretsIter<'a>;

    fn into_iter(self) -> SecretsIter<'a> {
        SecretsIter(self.0.iter())
    }
}

/// An iterator over the names and values of [`Secrets`], sorted by name.
#[derive(Clone)]
pub struct SecretsIter<'a>(btree_map::Iter<'a, String, Zeroizing<String>>);

impl<'a> Iterator for SecretsIter<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<(&'a str, &'a str)> {
        self.0.next().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for SecretsIter<'_> {}

impl fmt::Debug for SecretsIter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretsIter({} left)", self.len())
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.names().map(|name| (name, "[redacted]"))).finish()
    }
}

impl<'de> Deserialize<'de> for Secrets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let map = BTreeMap::<String, String>::deserialize(deserializer)?;
        Ok(Self(map.into_iter().map(|(name, value)| (name, Zeroizing::new(value))).collect()))
    }
}

/// Body of `POST /workspaces/:id/secrets`, which stores one secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SetSecret {
    /// The secret's name.
    pub key: String,
    /// The secret's value.
    pub value: String,
}

impl SetSecret {
    /// A request that stores this value under this name.
    pub fn new(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self { key: key.into(), value: value.into() }
    }
}

impl fmt::Debug for SetSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SetSecret").field("key", &self.key).field("value", &"[redacted]").finish()
    }
}

/// Answer of `POST /workspaces/:id/secrets`: `{"status":"saved","key"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SavedSecret {
    /// `saved`.
    pub status: String,
    /// The secret's name.
    pub key: String,
}

impl SavedSecret {
    /// The answer for a secret that was stored.
    pub fn new(key: impl Into<String>) -> Self {
        Self { status: "saved".to_owned(), key: key.into() }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_names_and_no_value() {
        let secrets: Secrets = serde_json::from_str(r#"{"B":"hunter2","A":"x"}"#).unwrap();
        assert_eq!(format!("{secrets:?}"), r#"{"A": "[redacted]", "B": "[redacted]"}"#);
        assert_eq!(secrets.get("B"), Some("hunter2"));
        assert_eq!(secrets.names().collect::<Vec<_>>(), ["A", "B"]);
    }

    #[test]
    fn a_loop_over_a_reference_gives_names_and_values() {
        let secrets: Secrets = serde_json::from_str(r#"{"B":"hunter2","A":"x"}"#).unwrap();
        let mut seen = Vec::new();
        for (name, value) in &secrets {
            seen.push((name, value));
        }
        assert_eq!(seen, [("A", "x"), ("B", "hunter2")]);
        assert_eq!(secrets.iter().len(), 2);
        assert!(!format!("{:?}", secrets.iter()).contains("hunter2"));
    }
}
