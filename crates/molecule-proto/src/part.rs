//! The parts of a message (A2A 0.3; contract sections 9.1 and 9.3).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One part of a [`Message`](crate::Message) or an [`Artifact`](crate::Artifact): a text, a file or data.
///
/// It is written in the form of A2A 0.3: `{"kind":"text","text":…}`, `{"kind":"file","file":{…}}`,
/// `{"kind":"data","data":…}`. It is read in all forms that agents write: with `kind` or `type`, as a part of A2A 1.0
/// without either (`{"text":…}`, `{"url":…}`, `{"raw":…}`, `{"data":…}`), or as a bare string. A file may also be of kind
/// `image`, `audio` or `video`, which is then kept in [`FileContent::extra`] under `kind`. All other keys are kept.
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
    /// The part's content.
    pub content: PartContent,
    /// Keys on which sender and receiver agreed.
    pub metadata: Map<String, Value>,
    /// All keys without a field of their own.
    pub extra: Map<String, Value>,
}

/// The content of a [`Part`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum PartContent {
    /// `text`: a text.
    Text(String),
    /// `file`: a file, or its URI.
    File(FileContent),
    /// `data`: any JSON value, usually an object.
    Data(Value),
    /// A kind that this version does not know, or `""` for a part without a kind. Its fields are in [`Part::extra`].
    Other(String),
}

/// The file of a part: its bytes or its URI.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct FileContent {
    /// The file's URI; on this platform also `platform-pending:<workspace>/<file>` and `workspace:<path>`.
    pub uri: Option<String>,
    /// The file's bytes, in base64.
    pub bytes: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Its MIME type, such as `text/plain`.
    pub mime_type: Option<String>,
    /// All keys without a field of their own.
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

    /// The text, if the part is a text.
    pub fn as_text(&self) -> Option<&str> {
        match &self.content {
            PartContent::Text(text) => Some(text),
            PartContent::File(_) | PartContent::Data(_) | PartContent::Other(_) => None,
        }
    }
}

impl FileContent {
    /// A file at this URI.
    pub fn at(uri: impl Into<String>) -> Self {
        Self { uri: Some(uri.into()), ..Self::default() }
    }

    /// A file as base64 text.
    pub fn base64(bytes: impl Into<String>) -> Self {
        Self { bytes: Some(bytes.into()), ..Self::default() }
    }

    /// Sets the file's name.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets the file's MIME type.
    #[must_use]
    pub fn mime_type(mut self, mime_type: impl Into<String>) -> Self {
        self.mime_type = Some(mime_type.into());
        self
    }

    /// Reads the first known spelling that is present. Keys that are not understood stay in `extra`.
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

impl Part {
    /// Reads a part by reference. A text, which most parts are, is copied, and nothing else of it.
    pub(crate) fn read(value: &Value) -> Self {
        let text = value.as_object().filter(|fields| fields.len() == 2).and_then(|fields| {
            let kind = fields.get("kind").or_else(|| fields.get("type"))?;
            (kind == "text").then(|| fields.get("text"))?.and_then(Value::as_str)
        });
        text.map_or_else(|| Self::from(value.clone()), Self::text)
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
        // The keys under which the content will be written must not stay in `extra`.
        match &content {
            PartContent::Text(_) | PartContent::Data(_) => drop(fields.remove("kind")),
            PartContent::File(_) => ["kind", "file"].iter().for_each(|key| drop(fields.remove(*key))),
            PartContent::Other(_) => {}
        }
        Self { content, metadata, extra: rest(fields) }
    }
}

/// The content of a part of this kind. Without a kind, the keys decide.
fn read_content(kind: Option<String>, fields: &mut Map<String, Value>) -> PartContent {
    let is = |word: &str| kind.as_deref().is_none_or(|kind| kind == word);
    if is("text")
        && let Some(text) = take_text(fields, &["text"])
    {
        return PartContent::Text(text);
    }
    let media = kind.as_deref().filter(|kind| MEDIA.contains(kind));
    if (is("file") || media.is_some())
        && let Some(mut file) = read_file(fields)
    {
        if let Some(media) = media {
            file.extra.entry("kind").or_insert_with(|| media.into());
        }
        return PartContent::File(file);
    }
    if is("data")
        && let Some(data) = fields.remove("data")
    {
        return PartContent::Data(data);
    }
    PartContent::Other(kind.unwrap_or_default())
}

/// Kinds that some agents write in place of `file`.
const MEDIA: [&str; 3] = ["image", "audio", "video"];

/// The file of a part: an object or a URI under `file`, or fields that stand on the part itself.
fn read_file(fields: &mut Map<String, Value>) -> Option<FileContent> {
    if let Some(file) = take_object(fields, "file") {
        return Some(FileContent::read(file));
    }
    if let Some(uri) = take_text(fields, &["file"]) {
        return Some(FileContent::at(uri));
    }
    if !["url", "uri", "raw", "bytes"].iter().any(|key| fields.get(*key).is_some_and(Value::is_string)) {
        return None;
    }
    let mut file = FileContent::read(std::mem::take(fields));
    *fields = std::mem::take(&mut file.extra);
    Some(file)
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

/// Removes the first of these keys that has a string, and returns the string. The list's first key is then removed as
/// well, since the string will be written under it.
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

/// The fields that remain after the known keys were removed. A `Map` keeps the memory of its first eleven fields even
/// when it is empty, and a message may have many empty ones: a new map replaces them.
pub(crate) fn rest(fields: Map<String, Value>) -> Map<String, Value> {
    if fields.is_empty() { Map::new() } else { fields }
}

/// Removes a key that has an object, and returns the object.
pub(crate) fn take_object(fields: &mut Map<String, Value>, key: &str) -> Option<Map<String, Value>> {
    fields.get(key)?.is_object().then_some(())?;
    match fields.remove(key) {
        Some(Value::Object(object)) => Some(object),
        _ => None,
    }
}
