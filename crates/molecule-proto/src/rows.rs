//! Lists whose rows are read one by one.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeOwned, Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A list of rows, in which an invalid row does not make the others unreadable.
///
/// ```
/// use molecule_proto::{Peer, Rows};
/// let text = r#"[{"id":"7fda77bf-a467-441c-9fab-7d8aba8e6040","name":"beta","tier":"gold"},{"id":"../admin"},null]"#;
/// let peers: Rows<Peer> = serde_json::from_str(text)?;
/// assert_eq!((peers.rows.len(), peers.skipped), (1, 2));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
#[non_exhaustive]
pub struct Rows<T> {
    /// The valid rows, in the order of the list.
    pub rows: Vec<T>,
    /// The number of rows that were skipped.
    #[serde(skip)]
    pub skipped: usize,
}

impl<T> Default for Rows<T> {
    fn default() -> Self {
        Self { rows: Vec::new(), skipped: 0 }
    }
}

impl<T> From<Vec<T>> for Rows<T> {
    fn from(rows: Vec<T>) -> Self {
        Self { rows, skipped: 0 }
    }
}

impl<T> IntoIterator for Rows<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.rows.into_iter()
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Rows<T> {
    /// Reads a list; `null` is an empty one.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneByOne(PhantomData))
    }
}

struct OneByOne<T>(PhantomData<T>);

impl<'de, T: DeserializeOwned> Visitor<'de> for OneByOne<T> {
    type Value = Rows<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_unit<E>(self) -> Result<Rows<T>, E> {
        Ok(Rows::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Rows<T>, A::Error> {
        let mut list = Rows::default();
        while let Some(entry) = entries.next_element::<Value>()? {
            match serde_json::from_value(entry) {
                Ok(row) => list.rows.push(row),
                Err(_) => list.skipped += 1,
            }
        }
        Ok(list)
    }
}
