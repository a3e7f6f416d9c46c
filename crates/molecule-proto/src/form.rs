//! A reader of `multipart/form-data` (RFC 7578) for a body that arrives in pieces. It holds little more than one piece.
//! Agents take files with it, and so does the platform.
//!
//! The crates for this format read ahead as fast as the sender writes, or bound the heads of parts by the whole body alone.

use std::fmt;

use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;
use http::header::CONTENT_TYPE;

/// The most bytes of a part's head.
const LONGEST_HEAD: usize = 8 * 1024;
/// The end of a part's head.
const END_OF_HEAD: &[u8] = b"\r\n\r\n";
/// The most headers of a part.
const MOST_HEADERS: usize = 16;
/// The longest boundary (RFC 2046).
const LONGEST_BOUNDARY: usize = 70;
/// The most blanks behind a delimiter.
const MOST_BLANKS: usize = 64;

/// A form while it arrives.
///
/// `Debug` shows no content.
pub struct FormReader {
    /// The end of a line, two hyphens and the boundary.
    delimiter: Vec<u8>,
    received: BytesMut,
    place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Preamble,
    /// Right behind a delimiter.
    Delimited,
    Head,
    Content,
    Over,
}

/// What comes next in a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FormEvent {
    /// A part begins.
    Part(PartHead),
    /// Bytes of its content.
    Content(Bytes),
    /// The part is complete.
    End,
    /// The form is complete. What follows is ignored.
    Over,
}

/// The head of a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartHead {
    /// The name of its field.
    pub name: String,
    /// `None` for a field that is no file.
    pub file_name: Option<String>,
    /// `""` if the part states none.
    pub content_type: String,
}

/// The body is no form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

impl FormReader {
    /// Begins a form; `None` if the headers do not announce one.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let delimiter = [b"\r\n--", boundary(headers)?.as_bytes()].concat();
        // The first delimiter has no line before it.
        Some(Self { delimiter, received: BytesMut::from(&b"\r\n"[..]), place: Place::Preamble })
    }

    /// Takes the next bytes of the body. Read until more are needed before the next ones.
    pub fn push(&mut self, bytes: &[u8]) {
        self.received.extend_from_slice(bytes);
    }

    /// Returns what comes next; `None` if more bytes are needed.
    ///
    /// # Errors
    /// The bytes are no form.
    pub fn read(&mut self) -> Result<Option<FormEvent>, Malformed> {
        loop {
            match self.place {
                Place::Preamble => match self.find_delimiter() {
                    Ok(at) => self.pass(at + self.delimiter.len(), Place::Delimited),
                    Err(certain) => {
                        self.received.advance(certain);
                        return Ok(None);
                    }
                },
                Place::Delimited => {
                    let blanks = self.received.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
                    match &self.received[blanks..] {
                        _ if blanks > MOST_BLANKS => return Err(Malformed),
                        [b'\r', b'\n', ..] => self.pass(blanks + 2, Place::Head),
                        [b'-', b'-', ..] => self.pass(blanks + 2, Place::Over),
                        [] | [b'\r' | b'-'] => return Ok(None),
                        _ => return Err(Malformed),
                    }
                }
                Place::Head => {
                    let Some(length) = find(&self.received, END_OF_HEAD) else {
                        // The end of a head of that length may still be on its way.
                        let is_longer = self.received.len() >= LONGEST_HEAD + END_OF_HEAD.len();
                        return if is_longer { Err(Malformed) } else { Ok(None) };
                    };
                    if length > LONGEST_HEAD {
                        return Err(Malformed);
                    }
                    let head = self.received.split_to(length + END_OF_HEAD.len());
                    self.place = Place::Content;
                    return part_head(&head).map(|head| Some(FormEvent::Part(head)));
                }
                Place::Content => match self.find_delimiter() {
                    Ok(0) => {
                        self.pass(self.delimiter.len(), Place::Delimited);
                        return Ok(Some(FormEvent::End));
                    }
                    Ok(length) | Err(length) if length > 0 => {
                        return Ok(Some(FormEvent::Content(self.received.split_to(length).freeze())));
                    }
                    Ok(_) | Err(_) => return Ok(None),
                },
                Place::Over => {
                    self.received.clear();
                    return Ok(Some(FormEvent::Over));
                }
            }
        }
    }

    fn pass(&mut self, bytes: usize, place: Place) {
        self.received.advance(bytes);
        self.place = place;
    }

    /// The place of the next delimiter, or else the number of bytes before which there is none.
    fn find_delimiter(&self) -> Result<usize, usize> {
        let certain = self.received.len().saturating_sub(self.delimiter.len() - 1);
        find(&self.received, &self.delimiter).ok_or(certain)
    }
}

impl fmt::Debug for FormReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FormReader({:?}, {} bytes)", self.place, self.received.len())
    }
}

/// The place of a text that begins with a carriage return.
fn find(bytes: &[u8], text: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        from += bytes[from..].iter().position(|byte| *byte == b'\r')?;
        if bytes[from..].starts_with(text) {
            return Some(from);
        }
        from += 1;
    }
}

/// The boundary in the content type.
fn boundary(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let (kind, parameters) = value.split_once(';')?;
    let boundary = parameter(parameters, "boundary")?;
    let is_one = (1..=LONGEST_BOUNDARY).contains(&boundary.len()) && !boundary.contains(char::is_control);
    (kind.trim().eq_ignore_ascii_case("multipart/form-data") && is_one).then_some(boundary)
}

fn part_head(text: &[u8]) -> Result<PartHead, Malformed> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let Ok(httparse::Status::Complete((_, headers))) = httparse::parse_headers(text, &mut headers) else {
        return Err(Malformed);
    };
    let header = |name: &str| {
        let found = headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        String::from_utf8_lossy(found.map_or(&[], |header| header.value)).into_owned()
    };
    let disposition = header("content-disposition");
    let (kind, parameters) = disposition.split_once(';').ok_or(Malformed)?;
    if !kind.trim().eq_ignore_ascii_case("form-data") {
        return Err(Malformed);
    }
    Ok(PartHead {
        name: parameter(parameters, "name").ok_or(Malformed)?,
        file_name: parameter(parameters, "filename"),
        content_type: header("content-type"),
    })
}

/// The value of a parameter, which may be quoted, with backslashes.
fn parameter(parameters: &str, wanted: &str) -> Option<String> {
    let mut rest = parameters;
    loop {
        let (name, after) = rest.split_once('=')?;
        let (value, after) = value(after.trim_start())?;
        // The semicolon that ends the parameter before stands there too.
        if name.rsplit(';').next().unwrap_or(name).trim().eq_ignore_ascii_case(wanted) {
            return Some(value);
        }
        rest = after;
    }
}

/// The value at the beginning of a text, and what stands after it.
fn value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(';').unwrap_or(text.len());
        return Some((text[..end].trim().to_owned(), &text[end..]));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((index, character)) = characters.next() {
        match character {
            '"' => return Some((value, &quoted[index + 1..])),
            '\\' => value.push(characters.next()?.1),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const TYPE: &str = "multipart/form-data; boundary=xx";

    fn form(content_type: &'static str) -> Option<FormReader> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, http::HeaderValue::from_static(content_type));
        FormReader::of(&headers)
    }

    /// A part: its head, its content, and whether it is complete.
    type Part = (PartHead, Vec<u8>, bool);

    /// The parts of a form that comes in pieces of this size. `None` if it is not complete.
    fn parts(body: &[u8], size: usize) -> Result<Option<Vec<Part>>, Malformed> {
        let mut form = form(TYPE).unwrap();
        let mut parts: Vec<Part> = Vec::new();
        for piece in body.chunks(size) {
            form.push(piece);
            while let Some(next) = form.read()? {
                match next {
                    FormEvent::Part(head) => parts.push((head, Vec::new(), false)),
                    FormEvent::Content(bytes) => parts.last_mut().unwrap().1.extend_from_slice(&bytes),
                    FormEvent::End => parts.last_mut().unwrap().2 = true,
                    FormEvent::Over => return Ok(Some(parts)),
                }
            }
            assert!(form.received.len() < size + LONGEST_HEAD + END_OF_HEAD.len());
        }
        Ok(None)
    }

    #[test]
    fn a_form_is_the_same_in_pieces_of_any_size() {
        let body = "a preamble\r\n--xx \t\r\nContent-Disposition: form-data; name=\"files\"; filename=\"a \\\"b\\\".txt\"\r\n\
            Content-Type: text/plain\r\n\r\none\r\n--x\r\r\n--xx\r\ncontent-disposition: Form-Data; name=note\r\n\r\n\r\n--xx\r\n\
            Content-Disposition: form-data; filename=b; name=files\r\n\r\n\r\n\r\n--xx--\r\nan epilogue";
        let head = |name: &str, file_name: Option<&str>, content_type: &str| PartHead {
            name: name.to_owned(),
            file_name: file_name.map(str::to_owned),
            content_type: content_type.to_owned(),
        };
        let expected = vec![
            (head("files", Some("a \"b\".txt"), "text/plain"), b"one\r\n--x\r".to_vec(), true),
            (head("note", None, ""), Vec::new(), true),
            (head("files", Some("b"), ""), b"\r\n".to_vec(), true),
        ];
        for size in 1..=body.len() {
            assert_eq!(parts(body.as_bytes(), size), Ok(Some(expected.clone())), "in pieces of {size}");
        }
    }

    #[test]
    fn a_head_of_the_greatest_length_is_the_same_in_pieces_of_any_size() {
        let head = "Content-Disposition: form-data; name=a\r\nX: ";
        for (length, is_read) in [(LONGEST_HEAD, true), (LONGEST_HEAD + 1, false)] {
            let fill = "y".repeat(length - head.len());
            let body = format!("--xx\r\n{head}{fill}\r\n\r\n1\r\n--xx--");
            for size in [1, 2, 3, 4, 5, 1000, body.len()] {
                assert_eq!(parts(body.as_bytes(), size).is_ok(), is_read, "{length} in pieces of {size}");
            }
        }
    }

    #[test]
    fn what_is_cut_is_not_complete() {
        let body = b"--xx\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--xx--";
        for end in 0..body.len() {
            assert_eq!(parts(&body[..end], 3), Ok(None), "{end}");
        }
        assert_eq!(parts(body, 3).unwrap().unwrap().len(), 1);
        assert_eq!(parts(b"--xx--", 1), Ok(Some(Vec::new())));
    }

    #[test]
    fn what_is_no_form_is_refused_with_little_of_it_in_memory() {
        let long = format!("--xx\r\nX: {}", "y".repeat(10_000));
        let blanks = format!("--xx{}", " ".repeat(100));
        for body in [
            "--xx\r\nno header\r\n\r\n1\r\n--xx--",
            "--xx\r\nX: 1\r\n\r\n1\r\n--xx--",
            "--xx\r\nContent-Disposition: attachment; name=a\r\n\r\n1\r\n--xx--",
            "--xx\r\nContent-Disposition: form-data; filename=a\r\n\r\n1\r\n--xx--",
            "--xxy\r\n",
            &long,
            &blanks,
        ] {
            assert_eq!(parts(body.as_bytes(), 7), Err(Malformed), "{body}");
        }
        for content_type in [
            "application/json",
            "multipart/form-data",
            "multipart/form-data; boundary=",
            "multipart/mixed; boundary=xx",
            "multipart/form-data; boundary=\"xx",
        ] {
            assert!(form(content_type).is_none(), "{content_type}");
        }
        assert!(form("Multipart/Form-Data; charset=utf-8; boundary=\"x x\"").is_some());
    }
}
