//! Reads JSON that strangers wrote: its size is bounded before a value is built, and faults with a plain meaning are
//! repaired.
//!
//! Agents and gateways send JSON that a strict reader refuses: half an emoji (`"done \ud83d"`), a byte order mark,
//! `NaN`, `1e400`, raw line ends in strings, bytes that are not UTF-8. They also send lists two hundred levels deep and
//! a million empty objects. One pass over the body repairs the former and bounds the latter; a body without a fault is
//! not copied.
//!
//! | found | read as |
//! |---|---|
//! | a byte order mark of UTF-8 | nothing |
//! | bytes that are not UTF-8, a surrogate without its other half | U+FFFD |
//! | a control character in a string, an escape that JSON does not know | the same characters, escaped |
//! | a control character elsewhere | a blank |
//! | `NaN`, `Infinity`, a number beyond the range of `f64` | its text |
//! | an object or a list below [`MAX_DEPTH`] levels | its text |
//! | a key that `serde_json` reserves for itself | the same key with U+FFFD as its first character |
//! | more values than fit into [`MAX_MEMORY`] | [`Unreadable::TooManyValues`]; for a [list](rows), the rows that fit |

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::rows::Rows;

mod object;
mod repair;

use object::from_text;
pub use object::object;
use repair::{Scanned, scan};

/// The most levels of objects and lists that are read. A value below them is kept as its JSON text, which the caller
/// may parse.
pub const MAX_DEPTH: usize = 100;

/// The most bytes of memory that the values of one body may need, by estimate: 40 MiB. That is a string of 20 MB,
/// 650 000 numbers in a list, or 50 000 objects with one or two fields.
pub const MAX_MEMORY: usize = 40 * 1024 * 1024;

/// The most bytes that one row of a list may need if the whole list needs too much.
const MAX_ROW: usize = MAX_MEMORY / 40;

/// The byte order mark of UTF-8.
pub(crate) const BOM: &[u8] = b"\xef\xbb\xbf";

/// The longest excerpt, in bytes.
const MAX_EXCERPT: usize = 64 * 1024;

/// The reason why a body could not be read. It never quotes the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unreadable {
    /// The body is not JSON, even after repair, or JSON of another shape. `at` is where reading stopped, counted in the
    /// repaired text.
    #[error("the text is not JSON of the shape that was due")]
    Mismatch {
        /// Line and column, if they are known.
        at: Option<(usize, usize)>,
    },
    /// The values would need more memory than [`MAX_MEMORY`].
    #[error("the text has more values than are read: more than 40 MiB of them")]
    TooManyValues,
}

impl From<serde_json::Error> for Unreadable {
    fn from(error: serde_json::Error) -> Self {
        Self::Mismatch { at: (error.line() > 0).then(|| (error.line(), error.column())) }
    }
}

/// Reads a body as JSON of this type. A struct is read only from an object, never from a list of its values.
///
/// ```
/// use molecule_proto::{ErrorBody, json};
/// let body = b"\xef\xbb\xbf{\"error\":\"half an emoji: \\ud83d\",\"detail\":{\"limit\":1e400}}";
/// let body: ErrorBody = json::read(body)?;
/// assert_eq!(body.error, "half an emoji: \u{fffd}");
/// assert_eq!(body.detail, Some(serde_json::json!({"limit": "1e400"})));
/// # Ok::<(), json::Unreadable>(())
/// ```
///
/// # Errors
/// [`Unreadable`].
pub fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Unreadable> {
    read_repaired(&repair(body)?)
}

/// Repairs a body, for [`read_repaired`]: a reader that does not know the body's type may try one after the other.
///
/// # Errors
/// [`Unreadable`].
pub fn repair(body: &[u8]) -> Result<Cow<'_, str>, Unreadable> {
    Ok(scan(body, MAX_MEMORY)?.text)
}

/// Reads a text that [`repair`] returned as JSON of this type, as [`read`] does. The type may borrow from it.
///
/// # Errors
/// [`Unreadable::Mismatch`].
pub fn read_repaired<'t, T: Deserialize<'t>>(text: &'t str) -> Result<T, Unreadable> {
    Ok(from_text(text)?)
}

/// Reads a body as a type that skips the keys that it does not know. Skipped values are not built, so that there may be
/// any number of them.
///
/// # Errors
/// [`Unreadable::Mismatch`].
pub fn read_known<T: DeserializeOwned>(body: &[u8]) -> Result<T, Unreadable> {
    let Scanned { text, .. } = scan(body, usize::MAX)?;
    Ok(from_text(&text)?)
}

/// Reads a body as a list, row by row: a row that cannot be read is skipped alone. If all rows together would need more
/// than [`MAX_MEMORY`], the rows that need more than 1 MiB each are skipped first, and then the rows that no longer
/// fit. `null` is an empty list.
///
/// # Errors
/// [`Unreadable::Mismatch`] if the body is not a list.
pub fn rows<T: DeserializeOwned>(body: &[u8]) -> Result<Rows<T>, Unreadable> {
    let Scanned { text, memory } = scan(body, usize::MAX)?;
    // Checks that the body is a list, without building a value.
    serde_json::from_str::<Option<Vec<IgnoredAny>>>(&text)?;
    let mut rows = Rows::default();
    let mut left = MAX_MEMORY;
    for row in split(&text) {
        let taken = if memory <= MAX_MEMORY { Ok(0) } else { scan(row.as_bytes(), MAX_ROW).map(|row| row.memory) };
        let fits = taken.ok().and_then(|taken| left.checked_sub(taken));
        match fits.and_then(|rest| Some((rest, from_text(row).ok()?))) {
            Some((rest, row)) => {
                left = rest;
                rows.rows.push(row);
            }
            None => rows.skipped += 1,
        }
    }
    Ok(rows)
}

/// A list that is split into its rows, none of which is built yet. Its reader decides row by row how much memory it
/// spends, and may read a part of a row that it does not build.
///
/// `Debug` shows the length, never the text.
///
/// ```
/// use molecule_proto::json::RawRows;
/// let rows = RawRows::new(br#"[{"id":1,"text":"a long text"},{"id":2}]"#)?;
/// let ids: Vec<_> = rows.iter().map(|row| row.read::<Id>().map(|row| row.id)).collect();
/// assert_eq!(ids, [Ok(1), Ok(2)]);
/// # #[derive(serde::Deserialize)]
/// # struct Id { id: u32 }
/// # Ok::<(), molecule_proto::json::Unreadable>(())
/// ```
pub struct RawRows<'a> {
    text: Cow<'a, str>,
}

impl<'a> RawRows<'a> {
    /// Repairs a body and checks that it is a list. `null` is an empty one.
    ///
    /// # Errors
    /// [`Unreadable::Mismatch`] if the body is not a list.
    pub fn new(body: &'a [u8]) -> Result<Self, Unreadable> {
        let Scanned { text, .. } = scan(body, usize::MAX)?;
        // Checks that the body is a list, without building a value.
        serde_json::from_str::<Option<Vec<IgnoredAny>>>(&text)?;
        Ok(Self { text })
    }

    /// The rows, in the order of the list.
    pub fn iter(&self) -> impl Iterator<Item = RawRow<'_>> {
        split(&self.text).map(RawRow)
    }
}

impl fmt::Debug for RawRows<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RawRows({} bytes)", self.text.len())
    }
}

/// A row of [`RawRows`]: JSON text that was repaired.
#[derive(Clone, Copy)]
pub struct RawRow<'a>(&'a str);

impl RawRow<'_> {
    /// The estimated memory of the row's values, in bytes.
    pub fn memory(&self) -> usize {
        scan(self.0.as_bytes(), usize::MAX).map_or(usize::MAX, |row| row.memory)
    }

    /// Reads the row as JSON of this type, whatever memory it needs. Keys that the type skips are not built.
    ///
    /// # Errors
    /// [`Unreadable::Mismatch`].
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Unreadable> {
        Ok(from_text(self.0)?)
    }
}

impl fmt::Debug for RawRow<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RawRow({} bytes)", self.0.len())
    }
}

/// The rows of a text that is known to be a list or `null`.
fn split(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text.trim_ascii_start().strip_prefix('[').unwrap_or_default();
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches([',', ' ', '\n', '\r', '\t']);
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<IgnoredAny>();
        values.next()?.ok()?;
        let (row, others) = rest.split_at(values.byte_offset());
        rest = others;
        Some(row)
    })
}

/// The beginning of a body that is not JSON, as text: at most 64 KiB, without a byte order mark, with U+FFFD for bytes
/// that are not UTF-8, and `…` if more bytes follow.
pub fn excerpt(body: &[u8]) -> String {
    let body = body.strip_prefix(BOM).unwrap_or(body);
    let mut text = String::from_utf8_lossy(&body[..body.len().min(MAX_EXCERPT)]).into_owned();
    if body.len() > MAX_EXCERPT {
        // A U+FFFD at the end comes from cutting a character in half.
        text.truncate(text.trim_end_matches('\u{fffd}').len());
        text.push('…');
    }
    text
}
