//! A reader of `multipart/form-data` (RFC 7578) for bodies that are already in memory.
//!
//! It is small because the body is bounded by its reader: the crates for this format are asynchronous streams with a
//! tree of their own. The heads of parts are read by `httparse`.

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;

/// The most parts that are read.
const MOST_PARTS: usize = 256;
/// The most headers of a part.
const MOST_HEADERS: usize = 16;
/// The longest boundary (RFC 2046).
const LONGEST_BOUNDARY: usize = 70;

/// A part of a form.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) file_name: String,
    /// `""` if the part states none.
    pub(crate) content_type: String,
    pub(crate) content: Bytes,
}

/// Reads a form; `None` if the headers do not announce one, or if the body is not well-formed.
pub(crate) fn read(headers: &HeaderMap, body: &Bytes) -> Option<Vec<Part>> {
    let delimiter = [b"--", boundary(headers)?.as_bytes()].concat();
    let mut parts = Vec::new();
    let mut rest = after_preamble(body, &delimiter)?;
    while parts.len() < MOST_PARTS {
        if body.get(rest..)?.starts_with(b"--") {
            return Some(parts);
        }
        let start = rest + line_end(body.get(rest..)?)?;
        let length = end_of_part(body.get(start..)?, &delimiter)?;
        parts.push(part(&body.slice(start..start + length))?);
        rest = start + length + 2 + delimiter.len();
    }
    None
}

/// The boundary in the content type.
fn boundary(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let (kind, parameters) = value.split_once(';')?;
    let boundary = parameter(parameters, "boundary")?;
    let well_formed = (1..=LONGEST_BOUNDARY).contains(&boundary.len());
    (kind.trim().eq_ignore_ascii_case("multipart/form-data") && well_formed).then_some(boundary)
}

/// The position after the first delimiter, which stands at the beginning or after a line end.
fn after_preamble(body: &[u8], delimiter: &[u8]) -> Option<usize> {
    if body.starts_with(delimiter) {
        return Some(delimiter.len());
    }
    Some(end_of_part(body, delimiter)? + 2 + delimiter.len())
}

/// The length of what stands before the next delimiter and its line end.
fn end_of_part(text: &[u8], delimiter: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        from += text.get(from..)?.iter().position(|byte| *byte == b'\r')?;
        if text[from..].strip_prefix(b"\r\n").is_some_and(|rest| rest.starts_with(delimiter)) {
            return Some(from);
        }
        from += 1;
    }
}

/// The length of the rest of a delimiter's line, which may hold blanks.
fn line_end(text: &[u8]) -> Option<usize> {
    let blanks = text.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    text[blanks..].starts_with(b"\r\n").then_some(blanks + 2)
}

fn part(text: &Bytes) -> Option<Part> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let httparse::Status::Complete((length, headers)) = httparse::parse_headers(text, &mut headers).ok()? else {
        return None;
    };
    let header = |name: &str| {
        let found = headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        String::from_utf8_lossy(found.map_or(&[], |header| header.value)).into_owned()
    };
    let disposition = header("content-disposition");
    Some(Part {
        name: parameter(&disposition, "name").unwrap_or_default(),
        file_name: parameter(&disposition, "filename").unwrap_or_default(),
        content_type: header("content-type"),
        content: text.slice(length..),
    })
}

/// The value of a parameter, which may be quoted, with backslashes.
fn parameter(parameters: &str, wanted: &str) -> Option<String> {
    let mut rest = parameters;
    loop {
        let (name, after) = rest.split_once('=')?;
        let (value, after) = value(after.trim_start())?;
        // The kind of a disposition, or what follows a value, stands before the name.
        let name = name.rsplit(';').next().unwrap_or(name);
        if name.trim().eq_ignore_ascii_case(wanted) {
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

    fn form(content_type: &'static str, body: &'static str) -> Option<Vec<Part>> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, http::HeaderValue::from_static(content_type));
        read(&headers, &Bytes::from_static(body.as_bytes()))
    }

    const TYPE: &str = "multipart/form-data; boundary=xx";

    #[test]
    fn the_parts_of_a_form_are_its_fields_and_files() {
        let body = "--xx\r\nContent-Disposition: form-data; name=\"files\"; filename=\"a \\\"b\\\".txt\"\r\nContent-Type: \
                    text/plain\r\n\r\none\r\n--x\r\n\r\n--xx\r\ncontent-disposition: form-data; name=note\r\n\r\n\r\n--xx--\r\n";
        let parts = form(TYPE, body).unwrap();
        let seen: Vec<_> =
            parts.iter().map(|part| (&*part.name, &*part.file_name, &*part.content_type, &*part.content)).collect();
        let expected: [(&str, &str, &str, &[u8]); 2] =
            [("files", "a \"b\".txt", "text/plain", b"one\r\n--x\r\n"), ("note", "", "", b"")];
        assert_eq!(seen, expected);
    }

    #[test]
    fn a_preamble_a_quoted_boundary_and_blanks_after_it_are_read() {
        let body = "preamble\r\n--xx  \r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--xx--";
        let parts = form("Multipart/Form-Data; charset=utf-8; boundary=\"xx\"", body).unwrap();
        assert_eq!((&*parts[0].name, &*parts[0].content), ("a", b"1".as_slice()));
    }

    #[test]
    fn what_is_not_a_whole_form_is_refused() {
        let cut = "--xx\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n";
        assert!(form(TYPE, cut).is_none());
        assert!(form(TYPE, "").is_none() && form(TYPE, "--xx").is_none() && form(TYPE, "--xx\r\n").is_none());
        assert!(form("application/json", "--xx--").is_none());
        assert!(
            form("multipart/form-data", "--xx--").is_none() && form("multipart/form-data; boundary=", "--").is_none()
        );
        assert_eq!(form(TYPE, "--xx--"), Some(Vec::new()));
    }
}
