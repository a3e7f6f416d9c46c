//! The forms of files that somebody sends to the platform: bodies that are already in memory.

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use molecule_proto::form::{FormEvent, FormReader, PartHead};

/// The most parts that are read.
const MOST_PARTS: usize = 256;

/// A part of a form.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) head: PartHead,
    pub(crate) content: Bytes,
}

/// Reads a form; `None` if the headers do not announce one, or if the body is not well-formed.
pub(crate) fn read(headers: &HeaderMap, body: &Bytes) -> Option<Vec<Part>> {
    let mut form = FormReader::of(headers)?;
    form.push(body);
    let mut parts = Vec::new();
    let mut current = None;
    loop {
        match form.read().ok()?? {
            FormEvent::Part(_) if parts.len() == MOST_PARTS => return None,
            FormEvent::Part(head) => current = Some((head, BytesMut::new())),
            FormEvent::Content(bytes) => {
                if let Some((_, content)) = &mut current {
                    content.extend_from_slice(&bytes);
                }
            }
            FormEvent::End => {
                parts.extend(current.take().map(|(head, content)| Part { head, content: content.freeze() }));
            }
            FormEvent::Over => return Some(parts),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn form(body: &'static str) -> Option<Vec<Part>> {
        let mut headers = HeaderMap::new();
        let kind = http::HeaderValue::from_static("multipart/form-data; boundary=xx");
        headers.insert(http::header::CONTENT_TYPE, kind);
        read(&headers, &Bytes::from_static(body.as_bytes()))
    }

    #[test]
    fn the_parts_of_a_form_are_its_fields_and_files() {
        let body = "--xx\r\nContent-Disposition: form-data; name=\"files\"; filename=\"a.txt\"\r\nContent-Type: \
                    text/plain\r\n\r\none\r\n--x\r\n\r\n--xx\r\ncontent-disposition: form-data; name=note\r\n\r\n\r\n--xx--\r\n";
        let parts = form(body).unwrap();
        let seen: Vec<_> = parts
            .iter()
            .map(|Part { head, content }| (&*head.name, head.file_name.as_deref(), &*head.content_type, &**content))
            .collect();
        let expected: [(&str, Option<&str>, &str, &[u8]); 2] =
            [("files", Some("a.txt"), "text/plain", b"one\r\n--x\r\n"), ("note", None, "", b"")];
        assert_eq!(seen, expected);
    }

    #[test]
    fn what_is_not_a_whole_form_is_refused() {
        for body in ["", "--xx", "--xx\r\n", "--xx\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n"] {
            assert_eq!(form(body), None, "{body:?}");
        }
        assert!(read(&HeaderMap::new(), &Bytes::from_static(b"--xx--")).is_none());
        assert_eq!(form("--xx--"), Some(Vec::new()));
    }
}
