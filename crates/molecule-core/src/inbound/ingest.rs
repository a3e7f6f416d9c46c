//! A form with files that the platform hands over (contract section 10.4): which of its parts are files, under which names they
//! are stored, and what is answered. Either all files of a form are stored or none.

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use molecule_proto::form::{FormEvent, FormReader, Malformed};
use molecule_proto::{UploadAnswer, UploadedFile};

use super::answer::{Refusal, json_answer};
use crate::inbox::file_name;

/// The most files of a form, as on the platform.
const MOST_FILES: usize = 64;

/// The field of files.
const FIELD: &str = "files";

/// The longest MIME type that is repeated, in characters.
const LONGEST_TYPE: usize = 100;

/// A form with files while it arrives.
///
/// The driver [pushes](Self::push) each piece of the body, and then asks for the [next step](Self::poll) until more is needed. It
/// keeps the files once the form is complete and the body was read to its end; before that it removes what it has written.
#[derive(Debug)]
pub struct Ingest {
    form: FormReader,
    files: usize,
    /// Whether the part that arrives is a file.
    is_file: bool,
}

/// What a driver does next with a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IngestStep {
    /// More of the body is needed. If there is none, the form is [cut](Ingest::CUT).
    More,
    /// A file begins.
    Begin {
        /// The name to store it under, which is one safe component of a path.
        name: String,
        /// The MIME type that its sender stated; `""` if there was none.
        mime_type: String,
    },
    /// Bytes of the file.
    Content(Bytes),
    /// The file is complete.
    End,
    /// All files are complete. What follows in the body is read and ignored.
    Complete,
}

impl Ingest {
    /// The body is no form, or ended before its end.
    pub const CUT: Refusal = Refusal::new(StatusCode::BAD_REQUEST, "malformed multipart body");
    /// The agent has no directory for files.
    pub const NO_DIRECTORY: Refusal = Refusal::new(StatusCode::NOT_FOUND, "this agent has no directory for files");
    /// The files could not be stored. Why is in nobody's interest but the owner's; the platform passes the text on.
    pub const NOT_STORED: Refusal = Refusal::new(StatusCode::INSUFFICIENT_STORAGE, "could not store the files");

    const TOO_MANY: Refusal = Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "too many files");
    const NO_FILES: Refusal =
        Refusal::new(StatusCode::BAD_REQUEST, "no files field in request").keeping_the_connection();

    /// Begins a form.
    ///
    /// # Errors
    /// The headers announce none.
    pub fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
        let form = FormReader::of(headers).ok_or(Self::CUT)?;
        Ok(Self { form, files: 0, is_file: false })
    }

    /// Takes the next bytes of the body.
    pub fn push(&mut self, bytes: &[u8]) {
        self.form.push(bytes);
    }

    /// Returns the next step.
    ///
    /// # Errors
    /// The form is refused. What was stored of it is removed.
    pub fn poll(&mut self) -> Result<IngestStep, Refusal> {
        loop {
            let event = self.form.read().map_err(|Malformed| Self::CUT)?;
            return Ok(match event {
                None => IngestStep::More,
                Some(FormEvent::Over) => IngestStep::Complete,
                Some(FormEvent::Part(part)) => {
                    self.is_file = part.name == FIELD && part.file_name.is_some();
                    if !self.is_file {
                        continue;
                    }
                    self.files += 1;
                    if self.files > MOST_FILES {
                        return Err(Self::TOO_MANY);
                    }
                    let name = file_name::cleaned(&part.file_name.unwrap_or_default());
                    IngestStep::Begin { name, mime_type: printable(&part.content_type) }
                }
                Some(FormEvent::Content(_) | FormEvent::End) if !self.is_file => continue,
                Some(FormEvent::Content(bytes)) => IngestStep::Content(bytes),
                Some(FormEvent::End) => IngestStep::End,
            });
        }
    }

    /// Returns the answer to a form whose files are stored.
    pub fn stored(files: Vec<UploadedFile>) -> Response<Bytes> {
        if files.is_empty() {
            return Self::NO_FILES.answer();
        }
        let body = serde_json::to_vec(&UploadAnswer::new(files)).expect("all keys of the answer are strings");
        json_answer(StatusCode::OK, body)
    }
}

/// A MIME type as it may be repeated.
fn printable(mime_type: &str) -> String {
    mime_type.chars().filter(|char| char.is_ascii_graphic() || *char == ' ').take(LONGEST_TYPE).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use http::HeaderValue;
    use http::header::CONTENT_TYPE;

    use super::*;

    fn ingest() -> Ingest {
        let kind = HeaderValue::from_static("multipart/form-data; boundary=xx");
        Ingest::of(&HeaderMap::from_iter([(CONTENT_TYPE, kind)])).unwrap()
    }

    fn steps(body: &str) -> Result<Vec<IngestStep>, Refusal> {
        let mut ingest = ingest();
        ingest.push(body.as_bytes());
        let mut steps = Vec::new();
        while !matches!(steps.last(), Some(IngestStep::More | IngestStep::Complete)) {
            steps.push(ingest.poll()?);
        }
        Ok(steps)
    }

    fn part(disposition: &str, content: &str) -> String {
        let head = format!("Content-Disposition: form-data; {disposition}\r\nContent-Type: text/\u{e9}plain");
        format!("--xx\r\n{head}\r\n\r\n{content}\r\n")
    }

    #[test]
    fn the_files_of_the_field_are_stored_under_safe_names_and_nothing_else_is() {
        let file = part("name=files; filename=\"../a b.txt\"", "one");
        let body = format!("{}{}{file}--xx--", part("name=note", "1"), part("name=other; filename=x", "2"));
        let begin = IngestStep::Begin { name: file_name::cleaned("../a b.txt"), mime_type: "text/plain".to_owned() };
        let content = IngestStep::Content(Bytes::from_static(b"one"));
        assert_eq!(steps(&body), Ok(vec![begin, content, IngestStep::End, IngestStep::Complete]));
        assert_eq!(steps(&body[..body.len() - 4]).unwrap().last(), Some(&IngestStep::More), "its end is not there");
    }

    #[test]
    fn what_is_no_form_or_has_too_many_files_is_refused() {
        assert_eq!(Ingest::of(&HeaderMap::new()).unwrap_err(), Ingest::CUT);
        assert_eq!(steps("--xx\r\nno head\r\n\r\n--xx--"), Err(Ingest::CUT));
        let many = |count: usize| format!("{}--xx--", part("name=files; filename=a", "").repeat(count));
        assert_eq!(steps(&many(MOST_FILES)).unwrap().len(), 2 * MOST_FILES + 1);
        assert_eq!(steps(&many(MOST_FILES + 1)), Err(Ingest::TOO_MANY));
    }

    #[test]
    fn the_answer_lists_what_is_stored() {
        let answer = Ingest::stored(vec![UploadedFile::new("file:///a", "a", 3)]);
        let text = r#"{"files":[{"uri":"file:///a","name":"a","mimeType":"","size":3}]}"#;
        assert_eq!((answer.status().as_u16(), &answer.body()[..]), (200, text.as_bytes()));
        assert_eq!(Ingest::stored(Vec::new()).status(), 400);
    }
}
