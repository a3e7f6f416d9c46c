//! What a form of the page sends: fields, and files of `multipart/form-data`.

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use molecule_proto::WorkspaceId;
use molecule_proto::form::{FormEvent, FormReader};
use percent_encoding::percent_decode_str;

/// The most fields and files of a form.
const MOST_PARTS: usize = 5000;

/// A form that was read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Form {
    fields: Vec<(String, String)>,
    pub(crate) files: Vec<File>,
}

/// A file of a form.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct File {
    /// Its name, for a folder with the path below it.
    pub(crate) name: String,
    pub(crate) content_type: String,
    pub(crate) content: Bytes,
}

impl Form {
    /// Reads a form in either encoding; `None` if the body is no form.
    pub(crate) fn read(headers: &HeaderMap, body: &Bytes) -> Option<Self> {
        let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        if essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Self::of_query(std::str::from_utf8(body).ok()?);
        }
        Self::of_parts(FormReader::of(headers)?, body)
    }

    /// Reads the fields of a query or of a body that is encoded like one.
    pub(crate) fn of_query(text: &str) -> Option<Self> {
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        let decode = |text: &str| Some(percent_decode_str(&text.replace('+', " ")).decode_utf8().ok()?.into_owned());
        let fields = pairs.take(MOST_PARTS).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decode(name)?, decode(value)?))
        });
        Some(Self { fields: fields.collect::<Option<_>>()?, files: Vec::new() })
    }

    fn of_parts(mut form: FormReader, body: &Bytes) -> Option<Self> {
        form.push(body);
        let mut read = Self::default();
        let mut current = None;
        let mut content = BytesMut::new();
        loop {
            match form.read().ok()?? {
                FormEvent::Part(_) if read.fields.len() + read.files.len() == MOST_PARTS => return None,
                FormEvent::Part(head) => current = Some(head),
                FormEvent::Content(bytes) => content.extend_from_slice(&bytes),
                FormEvent::End => {
                    let (head, content) = (current.take()?, content.split().freeze());
                    match head.file_name {
                        // A browser sends a file input without a file as an empty file without a name.
                        Some(name) if name.is_empty() && content.is_empty() => {}
                        Some(name) => read.files.push(File { name, content_type: head.content_type, content }),
                        None => read.fields.push((head.name, String::from_utf8(content.to_vec()).ok()?)),
                    }
                }
                FormEvent::Over => return Some(read),
            }
        }
    }

    /// The value of a field; `None` if it is missing or blank.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        let value = self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str());
        value.filter(|value| !value.trim().is_empty())
    }

    pub(crate) fn is_set(&self, name: &str) -> bool {
        self.text(name) == Some("true")
    }

    /// The workspace that a form is about.
    pub(crate) fn workspace(&self, name: &str) -> Option<WorkspaceId> {
        self.text(name)?.trim().parse().ok()
    }

    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.text(name)?.trim().parse().ok()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn read(content_type: &'static str, body: &'static str) -> Option<Form> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, http::HeaderValue::from_static(content_type));
        Form::read(&headers, &Bytes::from_static(body.as_bytes()))
    }

    #[test]
    fn fields_are_decoded_and_blank_ones_are_missing() {
        let form = read("application/x-www-form-urlencoded; charset=UTF-8", "a=x+y%26z&b=&c=true&n=12&d").unwrap();
        assert_eq!((form.text("a"), form.text("b"), form.text("d"), form.text("e")), (Some("x y&z"), None, None, None));
        assert!(form.is_set("c") && !form.is_set("a"));
        assert_eq!(form.number("n"), Some(12));
        assert_eq!(read("application/x-www-form-urlencoded", "a=%ff"), None);
        assert_eq!(read("application/json", "{}"), None);
    }

    #[test]
    fn files_and_fields_of_a_form() {
        let body = "--x\r\nContent-Disposition: form-data; name=\"text\"\r\n\r\nhi\r\n--x\r\nContent-Disposition: form-data; \
                    name=\"files\"; filename=\"\"\r\nContent-Type: application/octet-stream\r\n\r\n\r\n--x\r\n\
                    Content-Disposition: form-data; name=\"files\"; filename=\"a.txt\"\r\nContent-Type: text/plain\r\n\r\n1\r\n--x--";
        let form = read("multipart/form-data; boundary=x", body).unwrap();
        assert_eq!(form.text("text"), Some("hi"));
        let file =
            File { name: "a.txt".to_owned(), content_type: "text/plain".to_owned(), content: Bytes::from_static(b"1") };
        assert_eq!(form.files, [file]);
        assert_eq!(read("multipart/form-data; boundary=x", "--x\r\n"), None);
    }
}
