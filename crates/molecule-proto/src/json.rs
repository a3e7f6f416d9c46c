//! Reads JSON that strangers wrote: bounded before a value is built, and repaired where the meaning is plain.
//!
//! Agents and gateways send what no strict reader takes: half an emoji (`"done \ud83d"`), a byte order mark, `NaN`,
//! `1e400`, raw line ends in texts, bytes that are no UTF-8, lists two hundred levels deep, a million empty objects. One
//! pass over the body repairs the former and bounds the latter; a body without a fault is not copied.
//!
//! | found | read as |
//! |---|---|
//! | a byte order mark of UTF-8 | nothing |
//! | bytes that are no UTF-8, a surrogate without its other half | U+FFFD |
//! | a control character in a text, an escape that JSON does not know | the same characters, escaped |
//! | a control character elsewhere | a blank |
//! | `NaN`, `Infinity`, a number beyond the range of `f64` | its text |
//! | what lies deeper than [`MAX_DEPTH`] | its text |
//! | a key that `serde_json` keeps for itself | the same, begun with U+FFFD |
//! | more values than fit into [`MAX_MEMORY`] | [`Unreadable::TooManyValues`]; of a [list](rows), the rows that fit |

use serde::de::{DeserializeOwned, IgnoredAny};

use crate::rows::Rows;

mod object;
mod repair;

use object::from_text;
use repair::{Scanned, scan};

/// How many levels of objects and lists are read. What lies deeper is kept as its text, which the reader may parse.
pub const MAX_DEPTH: usize = 100;

/// How many bytes of memory the values of one body may take, by estimate: 40 MiB. That is a text of 20 MB, 650 000 numbers
/// in a list, or 50 000 objects with a field or two.
pub const MAX_MEMORY: usize = 40 * 1024 * 1024;

/// What one row of a list may take where the whole list takes too much.
const MAX_ROW: usize = MAX_MEMORY / 40;

/// The byte order mark of UTF-8.
pub(crate) const BOM: &[u8] = b"\xef\xbb\xbf";

/// The longest excerpt, in bytes.
const MAX_EXCERPT: usize = 64 * 1024;

/// Why a body could not be read. It never quotes the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unreadable {
    /// The body is no JSON, even repaired, or JSON of another shape; with line and column where reading stopped, counted in
    /// the repaired text.
    #[error("the text is not JSON of the shape that was due")]
    Mismatch {
        /// Line and column, where there are any.
        at: Option<(usize, usize)>,
    },
    /// Its values would take more memory than [`MAX_MEMORY`].
    #[error("the text has more values than are read: more than 40 MiB of them")]
    TooManyValues,
}

impl From<serde_json::Error> for Unreadable {
    fn from(error: serde_json::Error) -> Self {
        Self::Mismatch { at: (error.line() > 0).then(|| (error.line(), error.column())) }
    }
}

/// Reads a body as JSON of this type. A struct is read from an object alone, never from a list of its values.
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
    let Scanned { text, .. } = scan(body, MAX_MEMORY)?;
    Ok(from_text(&text)?)
}

/// Reads a body as a type that keeps what it knows and skips everything else: what is skipped is not built, so that it may
/// hold any number of values.
///
/// # Errors
/// [`Unreadable::Mismatch`].
pub fn read_known<T: DeserializeOwned>(body: &[u8]) -> Result<T, Unreadable> {
    let Scanned { text, .. } = scan(body, usize::MAX)?;
    Ok(from_text(&text)?)
}

/// Reads a body as a list, row by row: one that cannot be read is given up by itself. Where all rows together would take more
/// than [`MAX_MEMORY`], those that take more than 1 MiB each are given up first, and then those that no longer fit. `null` is
/// an empty list.
///
/// # Errors
/// [`Unreadable::Mismatch`] if it is no list.
pub fn rows<T: DeserializeOwned>(body: &[u8]) -> Result<Rows<T>, Unreadable> {
    let Scanned { text, memory } = scan(body, usize::MAX)?;
    // Whether it is a list at all; nothing is built.
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

/// The rows of what is known to be a list, or `null`.
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

/// The beginning of a body as text, for one that is no JSON: at most 64 KiB, without a byte order mark, with U+FFFD for what is
/// no UTF-8, and `…` where more followed.
pub fn excerpt(body: &[u8]) -> String {
    let body = body.strip_prefix(BOM).unwrap_or(body);
    let mut text = String::from_utf8_lossy(&body[..body.len().min(MAX_EXCERPT)]).into_owned();
    if body.len() > MAX_EXCERPT {
        // Half a character at the cut is the cut's own.
        text.truncate(text.trim_end_matches('\u{fffd}').len());
        text.push('…');
    }
    text
}
