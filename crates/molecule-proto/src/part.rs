//! The parts of a message (A2A 0.3; contract sections 9.1 and 9.3).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One part of a [`Message`](crate::Message) or an [`Artifact`](crate::Artifact): a text, a file or data.
///
/// Written as A2A 0.3 says: `{"kind":"text","text":…}`, `{"kind":"file","file":{…}}`, `{"kind":"data","data":…}`. Read in
/// whatever way agents write it: `kind` or `type`, the member-style parts of A2A 1.0 (`{"text":…}`, `{"url":…}`,
/// `{"raw":…}`, `{"data":…}`), a bare string. Every other key is kept.
///
/// ```
/// use molecule_proto::Part;
/// let typed: Part = serde_json::from_str(r#"{"type":"text","text":"hello"}"#)?;
/// assert_eq!(typed, Part::text("hello"));
/// assert_eq!(serde_json::to_string(&typed)?, r#"{"kind":"text","text":"hello"}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Value", into = "Value")]
#[non_exhaustive]
pub struct Part {
    /// What the part holds.
    pub content: PartContent,
    /// Whatever sender and receiver agreed on.
    pub metadata: Map<String, Value>,
    /// Every other key.
    pub extra: Map<String, Value>,
}

/// What a [`Part`] holds.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum PartContent {
    /// `text`: words.
    Text(String),
    /// `file`: a file, or where it is.
    File(FileContent),
    /// `data`: any JSON value, usually an object.
    Data(Value),
    /// A kind that this version does not know, or `""` for a part that names none. Its fields are in [`Part::extra`].
    Other(String),
}

/// The file of a part: its bytes, or where they are.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct FileContent {
    /// Where the file is; on this platform also `platform-pending:<workspace>/<file>` and `workspace:<path>`.
    pub uri: Option<String>,
    /// The file itself, in base64.
    pub bytes: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Its type, such as `text/plain`.
    pub mime_type: Option<String>,
    /// Every other key.
    pub extra: Map<String, Value>,
}

impl Part {
    /// A text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::new(PartContent::Text(text.into()))
    }

    /// Any JSON value.
    pub fn data(data: impl Into<Value>) -> Self {
        Self::new(PartContent::Data(data.into()))
    }

    /// A file.
    pub fn file(file: FileContent) -> Self {
        Self::new(PartContent::File(file))
    }

    fn new(content: PartContent) -> Self {
        Self { content, metadata: Map::new(), extra: Map::new() }
    }

    /// Adds a key to the part's metadata.
    #[must_use]
    pub fn with_metadata(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }

    /// The text, if the part is one.
    pub fn as_text(&self) -> Option<&str> {
        match &self.content {
            PartContent::Text(text) => Some(text),
            PartContent::File(_) | PartContent::Data(_) | PartContent::Other(_) => None,
        }
    }
}

impl FileContent {
    /// A file that is somewhere else.
    pub fn at(uri: impl Into<String>) -> Self {
        Self { uri: Some(uri.into()), ..Self::default() }
    }

    /// A file as its bytes in base64.
    pub fn base64(bytes: impl Into<String>) -> Self {
        Self { bytes: Some(bytes.into()), ..Self::default() }
    }

    /// Names the file.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Says what is in the file.
    #[must_use]
    pub fn mime_type(mut self, mime_type: impl Into<String>) -> Self {
        self.mime_type = Some(mime_type.into());
        self
    }

    /// Reads the first of the spellings that is there; what is not understood stays.
    fn read(mut fields: Map<String, Value>) -> Self {
        Self {
            uri: take_text(&mut fields, &["uri", "url", "fileWithUri"]),
            bytes: take_text(&mut fields, &["bytes", "raw", "fileWithBytes"]),
            name: take_text(&mut fields, &["name", "filename"]),
            mime_type: take_text(&mut fields, &["mimeType", "mediaType", "mime_type"]),
            extra: rest(fields),
        }
    }

    fn write(self) -> Map<String, Value> {
        let mut fields = self.extra;
        let texts = [("uri", self.uri), ("bytes", self.bytes), ("name", self.name), ("mimeType", self.mime_type)];
        for (key, text) in texts {
            if let Some(text) = text {
                fields.insert(key.to_owned(), text.into());
            }
        }
        fields
    }
}

impl From<&str> for Part {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<String> for Part {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}

impl From<FileContent> for Part {
    fn from(file: FileContent) -> Self {
        Self::file(file)
    }
}

impl From<Value> for Part {
    fn from(value: Value) -> Self {
        let mut fields = match value {
            Value::Object(fields) => fields,
            Value::String(text) => return Self::text(text),
            other => return Self::data(other),
        };
        let kind = take_text(&mut fields, &["kind", "type"]);
        let metadata = take_object(&mut fields, "metadata").unwrap_or_default();
        let content = read_content(kind, &mut fields);
        // Where these will be written.
        match &content {
            PartContent::Text(_) | PartContent::Data(_) => drop(fields.remove("kind")),
            PartContent::File(_) => ["kind", "file"].iter().for_each(|key| drop(fields.remove(*key))),
            PartContent::Other(_) => {}
        }
        Self { content, metadata, extra: rest(fields) }
    }
}

/// What is in a part of this kind; without one its members tell.
fn read_content(kind: Option<String>, fields: &mut Map<String, Value>) -> PartContent {
    let is = |word: &str| kind.as_deref().is_none_or(|kind| kind == word);
    if is("text")
        && let Some(text) = take_text(fields, &["text"])
    {
        return PartContent::Text(text);
    }
    if is("file") {
        if let Some(file) = take_object(fields, "file") {
            return PartContent::File(FileContent::read(file));
        }
        if let Some(uri) = take_text(fields, &["file"]) {
            return PartContent::File(FileContent::at(uri));
        }
        if ["url", "uri", "raw", "bytes"].iter().any(|key| fields.get(*key).is_some_and(Value::is_string)) {
            let mut file = FileContent::read(std::mem::take(fields));
            *fields = std::mem::take(&mut file.extra);
            return PartContent::File(file);
        }
    }
    if is("data")
        && let Some(data) = fields.remove("data")
    {
        return PartContent::Data(data);
    }
    PartContent::Other(kind.unwrap_or_default())
}

impl From<Part> for Value {
    fn from(part: Part) -> Self {
        let mut fields = part.extra;
        if !part.metadata.is_empty() {
            fields.insert("metadata".to_owned(), part.metadata.into());
        }
        let (kind, value) = match part.content {
            PartContent::Text(text) => ("text", Some(text.into())),
            PartContent::File(file) => ("file", Some(file.write().into())),
            PartContent::Data(data) => ("data", Some(data)),
            PartContent::Other(kind) => {
                if !kind.is_empty() {
                    fields.insert("kind".to_owned(), kind.into());
                }
                return fields.into();
            }
        };
        fields.insert("kind".to_owned(), kind.into());
        fields.extend(value.map(|value: Value| (kind.to_owned(), value)));
        fields.into()
    }
}

/// Takes the first of these keys that holds a text. What stands under the very first of them is gone with it, since that
/// is where the text will be written.
pub(crate) fn take_text(fields: &mut Map<String, Value>, keys: &[&str]) -> Option<String> {
    let key = keys.iter().find(|key| fields.get(**key).is_some_and(Value::is_string))?;
    let text = fields.remove(*key);
    if let Some(written) = keys.first() {
        fields.remove(*written);
    }
    match text {
        Some(Value::String(text)) => Some(text),
        _ => None,
    }
}

/// What is left once the known keys were taken. An object keeps the memory of its first eleven fields for as long as it lives,
/// also an empty one, of which a message may have many.
pub(crate) fn rest(fields: Map<String, Value>) -> Map<String, Value> {
    if fields.is_empty() { Map::new() } else { fields }
}

/// Takes a key that holds an object.
pub(crate) fn take_object(fields: &mut Map<String, Value>, key: &str) -> Option<Map<String, Value>> {
    fields.get(key)?.is_object().then_some(())?;
    match fields.remove(key) {
        Some(Value::Object(object)) => Some(object),
        _ => None,
    }
}
