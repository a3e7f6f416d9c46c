//! The body of a request that is made of files of this machine.

use std::path::PathBuf;

use http::HeaderValue;

/// The most files of an upload (contract section 1.5).
pub(crate) const MAX_FILES: usize = 10;

/// The most bytes of a file, and of all files of an upload (contract section 1.5): 100 MiB.
pub(crate) const MAX_BYTES: u64 = 100 * 1024 * 1024;

/// The body of a request that is made of files of this machine: `multipart/form-data` (RFC 7578) with a field `files`
/// for each.
///
/// `molecule-host` opens all of them before the request is sent, and reads them piece by piece while it is. This type has
/// the bytes between them and the checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// The files, in order.
    pub files: Vec<FilePart>,
    boundary: String,
}

/// A file of an [`Upload`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePart {
    /// The file.
    pub path: PathBuf,
    /// The name that the receiver sees.
    pub name: String,
    /// Its MIME type.
    pub mime_type: Option<String>,
}

impl Upload {
    /// Makes the body of these files. No file contains the boundary: it is a random text of at least 32 characters.
    pub fn new(files: Vec<FilePart>, boundary: String) -> Self {
        Self { files, boundary }
    }

    /// Returns the value of the request's `Content-Type`.
    pub fn content_type(&self) -> HeaderValue {
        let value = format!("multipart/form-data; boundary={}", self.boundary);
        HeaderValue::from_str(&value).expect("a boundary is visible ASCII")
    }

    /// Returns the bytes before the file with this number, counted from 0.
    pub fn before(&self, file: usize) -> Vec<u8> {
        let line_end = if file == 0 { "" } else { "\r\n" };
        let Some(part) = self.files.get(file) else { return Vec::new() };
        let mut head = format!(
            "{line_end}--{}\r\nContent-Disposition: form-data; name=\"files\"; filename=\"{}\"\r\n",
            self.boundary,
            quoted(&part.name)
        );
        let mime_type = part.mime_type.as_deref().filter(|text| text.bytes().all(|byte| matches!(byte, b' '..=b'~')));
        if let Some(mime_type) = mime_type {
            head.push_str(&format!("Content-Type: {mime_type}\r\n"));
        }
        head.push_str("\r\n");
        head.into_bytes()
    }

    /// Returns the bytes after the last file.
    pub fn after(&self) -> Vec<u8> {
        format!("\r\n--{}--\r\n", self.boundary).into_bytes()
    }

    /// Checks the lengths of the files in bytes, before the request is sent.
    ///
    /// # Errors
    /// A sentence with the cause and the remedy if a file is empty, or if one or all of them are too large.
    pub fn check(&self, lengths: &[u64]) -> Result<(), String> {
        for (file, length) in self.files.iter().zip(lengths) {
            let path = file.path.display();
            if *length == 0 {
                return Err(format!(
                    "{path} is empty, which the platform does not take; write something into it first"
                ));
            }
            if *length > MAX_BYTES {
                return Err(format!(
                    "{path} has {length} bytes, and the platform takes at most {MAX_BYTES}; send it some other way, and \
                     say where it is"
                ));
            }
        }
        let all = lengths.iter().fold(0_u64, |sum, length| sum.saturating_add(*length));
        if all > MAX_BYTES {
            return Err(format!(
                "the files have {all} bytes, and the platform takes at most {MAX_BYTES} at a time; send them in several \
                 messages"
            ));
        }
        Ok(())
    }
}

/// Makes a name fit to stand in quotes, as browsers do (WHATWG HTML, multipart/form-data). A backslash would escape what
/// follows for some servers, and separate folders for others.
fn quoted(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for char in name.chars() {
        match char {
            '"' => text.push_str("%22"),
            '\r' => text.push_str("%0D"),
            '\n' => text.push_str("%0A"),
            '\\' => text.push('_'),
            char if char.is_control() => text.push('_'),
            char => text.push(char),
        }
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn upload(names: &[&str]) -> Upload {
        let file = |name: &&str| FilePart { path: "/a".into(), name: (*name).to_owned(), mime_type: None };
        Upload::new(names.iter().map(file).collect(), "b-1".to_owned())
    }

    #[test]
    fn the_files_are_framed_as_rfc_7578_says() {
        let mut upload = upload(&["one.txt", "two"]);
        upload.files[1].mime_type = Some("text/plain".to_owned());
        let whole = [&upload.before(0), &b"1"[..], &upload.before(1), b"2", &upload.after()].concat();
        let expected = "--b-1\r\nContent-Disposition: form-data; name=\"files\"; filename=\"one.txt\"\r\n\r\n1\r\n\
                        --b-1\r\nContent-Disposition: form-data; name=\"files\"; filename=\"two\"\r\n\
                        Content-Type: text/plain\r\n\r\n2\r\n--b-1--\r\n";
        assert_eq!(String::from_utf8(whole).unwrap(), expected);
        assert_eq!(upload.content_type(), "multipart/form-data; boundary=b-1");
    }

    #[test]
    fn a_name_or_a_type_adds_no_header() {
        let mut upload = upload(&["a\"; x=\"b\r\nEvil: 1\\\0ż"]);
        upload.files[0].mime_type = Some("text/plain\r\nEvil: 1".to_owned());
        let head = String::from_utf8(upload.before(0)).unwrap();
        assert!(head.contains("filename=\"a%22; x=%22b%0D%0AEvil: 1__ż\"\r\n\r\n"), "{head}");
    }

    #[test]
    fn empty_and_too_large_files_are_refused_with_a_sentence() {
        let two = upload(&["1", "2"]);
        two.check(&[1, MAX_BYTES - 1]).unwrap();
        for (lengths, part) in [
            ([1, 0], "/a is empty, which the platform does not take; "),
            ([MAX_BYTES + 1, 1], "/a has 104857601 bytes, and the platform takes at most 104857600; "),
            ([MAX_BYTES, 1], "the files have 104857601 bytes, and the platform takes at most 104857600 at a time; "),
        ] {
            assert!(two.check(&lengths).unwrap_err().contains(part));
        }
    }
}
