//! Ids as numbers of 16 bytes, so that the inbox remembers a stranger's id in bounded memory, however long it is.

use std::fmt;

use molecule_proto::ActivityId;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

/// An id as a number. It is written as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key(u128);

impl Key {
    /// The key of a row: its UUID.
    pub(crate) fn of_row(row: &ActivityId) -> Self {
        let digits = row.as_str().chars().filter_map(|digit| digit.to_digit(16));
        Self(digits.fold(0, |number, digit| number << 4 | u128::from(digit)))
    }

    /// The key of any text: the first half of its SHA-256.
    pub(crate) fn of_text(text: &str) -> Self {
        Self::of_pieces(&[text])
    }

    /// The key of the text that these pieces make.
    pub(crate) fn of_pieces(pieces: &[&str]) -> Self {
        let digest = pieces.iter().fold(Sha256::new(), Sha256::chain_update).finalize();
        let half = digest.first_chunk().expect("a SHA-256 has 32 bytes");
        Self(u128::from_be_bytes(*half))
    }

    /// An id of a message that has no row of its own.
    pub(crate) fn id(self) -> ActivityId {
        ActivityId::from_random(self.0.to_be_bytes())
    }

    /// Reads 32 hexadecimal digits.
    pub(crate) fn read(digits: &str) -> Option<Self> {
        let is_key = digits.len() == 32 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        is_key.then(|| u128::from_str_radix(digits, 16).ok()).flatten().map(Self)
    }

    /// The row of a key that [`of_row`](Self::of_row) made.
    pub(crate) fn row(self) -> ActivityId {
        uuid_text(self.0).parse().expect("the text has the form of a UUID")
    }
}

/// A number as the text of a UUID.
pub(crate) fn uuid_text(number: u128) -> String {
    let digits = format!("{number:032x}");
    [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let digits = String::deserialize(deserializer)?;
        Self::read(&digits).ok_or_else(|| D::Error::custom("expected 32 hexadecimal digits"))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_told_by_its_key() {
        for text in ["00000000-0000-0000-0000-000000000001", "7fda77bf-a467-441c-9fab-7d8aba8e6040"] {
            let row: ActivityId = text.parse().unwrap();
            assert_eq!(Key::of_row(&row).row(), row);
            let written = serde_json::to_string(&Key::of_row(&row)).unwrap();
            assert_eq!(written, format!("\"{}\"", text.replace('-', "")));
            assert_eq!(serde_json::from_str::<Key>(&written).unwrap(), Key::of_row(&row));
        }
        for wrong in ["\"\"", "\"7fda\"", "\"+fda77bfa467441c9fab7d8aba8e6040\"", "7"] {
            assert!(serde_json::from_str::<Key>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_text_is_told_by_its_digest() {
        // The SHA-256 of "abc", from FIPS 180-4.
        assert_eq!(Key::of_text("abc").to_string(), "ba7816bf8f01cfea414140de5dae2223");
        assert_ne!(Key::of_text("abc"), Key::of_text("abd"));
        assert_eq!(Key::of_pieces(&["a", "", "bc"]), Key::of_text("abc"));
    }
}
