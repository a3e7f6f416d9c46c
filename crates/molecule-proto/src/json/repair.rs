//! One pass over a text that should be JSON: it repairs the text, and estimates the memory that its values need.

use std::borrow::Cow;

use super::{BOM, MAX_DEPTH, Unreadable};

/// A body after repair: text that a strict reader accepts, unless it is not JSON at all.
pub(super) struct Scanned<'a> {
    pub(super) text: Cow<'a, str>,
    /// The estimated memory of the values, in bytes.
    pub(super) memory: usize,
}

/// The prefix of the keys that `serde_json` reserves for itself.
const RESERVED: &[u8] = b"$serde_json::private::";

/// Bytes for a value in a list that grows by doubling, its allocation included.
const VALUE: usize = 64;
/// Bytes for a key, without its text.
const KEY: usize = 64;
/// Bytes for the first allocation of a list.
const LIST: usize = 128;
/// Bytes for the first node of an object.
const OBJECT: usize = 576;
/// Bytes for each byte of a string: the string itself, and a copy while its escapes are read.
const TEXT: usize = 2;

/// Repairs a body.
///
/// # Errors
/// [`Unreadable::TooManyValues`] if its values would need more than `most` bytes; `Mismatch` if repairs would make it
/// longer than 1.5 times its length plus 256 KiB, since such a body is not text.
pub(super) fn scan(body: &[u8], most: usize) -> Result<Scanned<'_>, Unreadable> {
    let body = body.strip_prefix(BOM).unwrap_or(body);
    let longest = body.len() + body.len() / 2 + 256 * 1024;
    let text = text(body, longest)?;
    let mut scan = Scan::new(&text, most, longest);
    scan.run()?;
    let memory = scan.memory;
    let text = match scan.finish() {
        Some(repaired) => Cow::Owned(repaired),
        None => text,
    };
    Ok(Scanned { text, memory })
}

/// The body as UTF-8.
fn text(body: &[u8], longest: usize) -> Result<Cow<'_, str>, Unreadable> {
    if let Ok(text) = std::str::from_utf8(body) {
        return Ok(text.into());
    }
    let mut text = String::with_capacity(body.len());
    for chunk in body.utf8_chunks() {
        text.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            text.push(char::REPLACEMENT_CHARACTER);
        }
        if text.len() > longest {
            return Err(Unreadable::Mismatch { at: None });
        }
    }
    Ok(text.into())
}

struct Scan<'a> {
    text: &'a str,
    at: usize,
    /// Number of objects and lists that are open.
    depth: usize,
    memory: usize,
    most: usize,
    /// The repaired text up to `copied`; empty if nothing was repaired.
    repaired: String,
    copied: usize,
    longest: usize,
}

impl<'a> Scan<'a> {
    fn new(text: &'a str, most: usize, longest: usize) -> Self {
        Self { text, at: 0, depth: 0, memory: 0, most, repaired: String::new(), copied: 0, longest }
    }

    fn run(&mut self) -> Result<(), Unreadable> {
        while let Some(byte) = self.byte(0) {
            match byte {
                b'"' => self.string(),
                b'{' | b'[' if self.depth == MAX_DEPTH => self.deep(),
                b'{' | b'[' => {
                    self.depth += 1;
                    self.memory += VALUE + if byte == b'{' { OBJECT } else { LIST };
                    self.at += 1;
                }
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    self.at += 1;
                }
                b':' => {
                    self.memory += KEY;
                    self.at += 1;
                }
                b',' | b' ' | b'\n' | b'\r' | b'\t' => self.at += 1,
                0..=0x1f => self.replace(1, " "),
                _ => self.word(),
            }
            if self.memory > self.most {
                return Err(Unreadable::TooManyValues);
            }
            if self.repaired.len() > self.longest {
                return Err(Unreadable::Mismatch { at: None });
            }
        }
        Ok(())
    }

    /// The repaired text; `None` if nothing was repaired.
    fn finish(mut self) -> Option<String> {
        if self.copied == 0 {
            return None;
        }
        self.repaired.push_str(&self.text[self.copied..]);
        Some(self.repaired)
    }

    fn byte(&self, ahead: usize) -> Option<u8> {
        self.text.as_bytes().get(self.at + ahead).copied()
    }

    /// Replaces the next bytes, all of them ASCII, and continues after them.
    fn replace(&mut self, length: usize, by: &str) {
        if self.copied == 0 {
            self.repaired.reserve(self.text.len() + 64);
        }
        self.repaired.push_str(&self.text[self.copied..self.at]);
        self.repaired.push_str(by);
        self.at += length;
        self.copied = self.at;
    }

    fn string(&mut self) {
        let begin = self.at;
        self.at += 1;
        if let Some(length) = self.reserved() {
            self.replace(length, "\\ufffd");
        }
        loop {
            let rest = &self.text.as_bytes()[self.at..];
            let special = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f));
            self.at += special.unwrap_or(rest.len());
            match self.byte(0) {
                Some(b'\\') => self.escape(),
                Some(b'"') => {
                    self.at += 1;
                    break;
                }
                Some(control) => self.replace(1, CONTROLS[usize::from(control)]),
                None => break,
            }
            if self.repaired.len() > self.longest {
                break;
            }
        }
        self.memory += VALUE + TEXT * (self.at - begin);
    }

    /// Returns the length of the first character if the string begins with a key that `serde_json` reserves. With its
    /// features for raw values or numbers, `serde_json` would parse the value of such a key a second time, without a
    /// bound.
    fn reserved(&self) -> Option<usize> {
        let mut ahead = 0;
        let mut first = None;
        for expected in RESERVED {
            let escaped = self.unit(ahead) == Some(u16::from(*expected));
            if !escaped && self.byte(ahead) != Some(*expected) {
                return None;
            }
            ahead += if escaped { 6 } else { 1 };
            first = first.or(Some(ahead));
        }
        first
    }

    fn escape(&mut self) {
        match self.byte(1) {
            Some(b'u') => match (self.unit(0), self.unit(6)) {
                (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => self.at += 12,
                (Some(0xd800..=0xdfff), _) => self.replace(6, "\\ufffd"),
                (Some(_), _) => self.at += 6,
                (None, _) => self.replace(1, "\\\\"),
            },
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(_) => self.replace(1, "\\\\"),
            None => self.at += 1,
        }
    }

    /// The number in an escape of the form `\u12ab`.
    fn unit(&self, ahead: usize) -> Option<u16> {
        let escape = self.text.as_bytes().get(self.at + ahead..self.at + ahead + 6)?;
        let digits = escape.strip_prefix(b"\\u")?;
        digits.iter().try_fold(0, |number, digit| {
            let digit = char::from(*digit).to_digit(16)?;
            Some(number << 4 | u16::try_from(digit).ok()?)
        })
    }

    /// Reads a number, `true`, `false`, `null`, or anything else that is no string, object or list.
    fn word(&mut self) {
        let rest = &self.text.as_bytes()[self.at..];
        let end = |byte: &u8| matches!(byte, b',' | b':' | b']' | b'}' | b'[' | b'{' | b'"' | 0..=0x20);
        let length = rest.iter().position(end).unwrap_or(rest.len());
        let word = &self.text[self.at..self.at + length];
        self.memory += VALUE;
        if is_unfit(word) {
            self.memory += TEXT * length;
            self.replace(length, &format!("\"{word}\""));
        } else {
            self.at += length;
        }
    }

    /// Replaces an object or a list that is nested too deeply by its text. One that does not end stays as it is: the
    /// body is not JSON.
    fn deep(&mut self) {
        let length = nested(&self.text.as_bytes()[self.at..]);
        self.memory += VALUE + TEXT * length.unwrap_or_default();
        let Some(length) = length.filter(|_| self.memory <= self.most) else {
            self.at = self.text.len();
            return;
        };
        // Writing a string as JSON cannot fail.
        let quoted = serde_json::to_string(&self.text[self.at..self.at + length]).unwrap_or_default();
        self.replace(length, &quoted);
    }
}

/// The length of the object or list at the start of `bytes`.
fn nested(bytes: &[u8]) -> Option<usize> {
    let mut depth = 0_usize;
    let mut bytes = bytes.iter().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth == 1 => return Some(at + 1),
            b'}' | b']' => depth -= 1,
            b'"' => loop {
                match bytes.next()?.1 {
                    b'\\' => drop(bytes.next()),
                    b'"' => break,
                    _ => {}
                }
            },
            _ => {}
        }
    }
    None
}

/// Whether the word is a number that no `f64` can hold, in any spelling that programming languages use for it.
fn is_unfit(word: &str) -> bool {
    let magnitude = word.strip_prefix(['-', '+']).unwrap_or(word);
    match magnitude.as_bytes().first() {
        // A number of less than 300 digits without an exponent always fits.
        Some(b'0'..=b'9') if word.len() < 300 && !word.contains(['e', 'E']) => false,
        Some(b'0'..=b'9') => word.parse().is_ok_and(f64::is_infinite),
        Some(b'n' | b'N' | b'i' | b'I') => {
            ["nan", "inf", "infinity"].iter().any(|name| magnitude.eq_ignore_ascii_case(name))
        }
        _ => false,
    }
}

/// The control characters, escaped.
const CONTROLS: [&str; 32] = [
    "\\u0000", "\\u0001", "\\u0002", "\\u0003", "\\u0004", "\\u0005", "\\u0006", "\\u0007", "\\b", "\\t", "\\n",
    "\\u000b", "\\f", "\\r", "\\u000e", "\\u000f", "\\u0010", "\\u0011", "\\u0012", "\\u0013", "\\u0014", "\\u0015",
    "\\u0016", "\\u0017", "\\u0018", "\\u0019", "\\u001a", "\\u001b", "\\u001c", "\\u001d", "\\u001e", "\\u001f",
];
