//! The refusal of a plugin, fit to print.

use std::error::Error as StdError;
use std::fmt::{self, Write as _};

use crate::rule::Rule;

/// Approximately the most bytes of a hostile text that are shown, escapes included.
const SHOWN: usize = 160;

/// The refusal of a plugin: the rule, the entry, and what exactly was wrong.
///
/// Text of the archive in it is escaped and bounded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    rule: Rule,
    entry: Option<EntryRef>,
    detail: String,
}

/// The number and the name of an archive's entry, fit to print.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryRef {
    number: u64,
    name: String,
}

impl Refusal {
    /// A refusal without an entry. `detail` is a clause; text of the archive in it is [`escaped`].
    pub(crate) fn new(rule: Rule, detail: impl Into<String>) -> Self {
        Self { rule, entry: None, detail: detail.into() }
    }

    /// The refusal with this entry.
    pub(crate) fn at(mut self, entry: EntryRef) -> Self {
        self.entry = Some(entry);
        self
    }

    /// Adds a later failure, as a sentence without a full stop.
    pub fn add(&mut self, more: &impl fmt::Display) {
        self.detail = format!("{}; and then {more}", self.detail);
    }

    /// The rule.
    pub fn rule(&self) -> Rule {
        self.rule
    }

    /// The entry that broke the rule, if there is one.
    pub fn entry(&self) -> Option<&EntryRef> {
        self.entry.as_ref()
    }

    /// What exactly was wrong, as a clause.
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

impl EntryRef {
    /// The entry with this number, counted from 1, and this name as the archive has it.
    pub(crate) fn new(number: u64, name: &[u8]) -> Self {
        Self { number, name: escaped(name) }
    }

    /// Its place in the archive, counted from 1; extension headers count as parts of the entry that they belong to.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Its name, escaped and bounded.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(entry) = &self.entry {
            write!(f, "{entry}: ")?;
        }
        write!(f, "{} (rule {}: {})", self.detail, self.rule, self.rule.says())
    }
}

impl StdError for Refusal {}

impl fmt::Display for EntryRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "entry {} (`{}`)", self.number, self.name)
    }
}

/// Bytes from outside as text that is safe to print: every character that is not visible is escaped, and a long text is cut.
pub(crate) fn escaped(bytes: &[u8]) -> String {
    escaped_up_to(bytes, usize::MAX)
}

/// The same for at most `most` characters of the original.
pub(crate) fn escaped_up_to(bytes: &[u8], most: usize) -> String {
    let mut text = String::new();
    for (number, piece) in bytes.utf8_chunks().flat_map(pieces).enumerate() {
        if number == most || text.len() > SHOWN {
            text.push('…');
            break;
        }
        match piece {
            Piece::Char(char @ ('\'' | '"')) => text.push(char),
            Piece::Char(char) => text.extend(char.escape_debug()),
            // Writing to a `String` does not fail.
            Piece::Byte(byte) => drop(write!(text, "\\x{byte:02x}")),
        }
    }
    text
}

enum Piece {
    Char(char),
    /// A byte that is no UTF-8.
    Byte(u8),
}

fn pieces(chunk: std::str::Utf8Chunk<'_>) -> impl Iterator<Item = Piece> {
    chunk.valid().chars().map(Piece::Char).chain(chunk.invalid().iter().copied().map(Piece::Byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_is_escaped_and_cut() {
        assert_eq!(escaped(b"a\n\x1b[2J\\\xff\"'"), r#"a\n\u{1b}[2J\\\xff"'"#);
        assert_eq!(escaped("zażółć 🦀".as_bytes()), "zażółć 🦀");
        assert_eq!(escaped("a\u{202e}b\u{2028}\u{85}".as_bytes()), "a\\u{202e}b\\u{2028}\\u{85}");
        assert_eq!(escaped_up_to(b"abcdef", 3), "abc…");
        assert_eq!(escaped_up_to(b"abc", 3), "abc");
        assert_eq!(escaped_up_to(b"\xff\xff\xff", 2), "\\xff\\xff…");
        assert!(escaped(&[b'a'; 10_000]).len() < 200);
        assert!(escaped(&[1; 10_000]).len() < 200);
    }

    #[test]
    fn a_refusal_says_entry_cause_and_rule() {
        let refusal = Refusal::new(Rule::NameParent, "the name holds `..`").at(EntryRef::new(3, b"a/../b"));
        assert_eq!(
            refusal.to_string(),
            "entry 3 (`a/../b`): the name holds `..` (rule name-parent: no component of a path is `..`)"
        );
    }
}
