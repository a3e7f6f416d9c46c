//! Files of messages, in both directions.

use std::path::PathBuf;

use molecule_proto::{FileId, Part, PartContent, WorkspaceId, refuse_nul};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::file_name::cleaned;
use crate::error::{Error, Result};

/// A file of a message: a file part, a person's upload, or both where they name the same URI.
///
/// The message's author wrote all of it. Only a [pending](Self::is_pending) file is safe to fetch unseen: any other URI
/// may name anything, also a file of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    kind: AttachmentKind,
    name: Option<String>,
    mime_type: Option<String>,
    size: Option<u64>,
    uri: Option<String>,
    file_id: Option<FileId>,
    part: Option<usize>,
}

/// The kind of a file, by its MIME type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AttachmentKind {
    /// A picture.
    Image,
    /// Sound.
    Audio,
    /// A film.
    Video,
    /// Anything else.
    File,
}

impl Attachment {
    /// Its kind, by its MIME type, or else as the author stated it.
    pub fn kind(&self) -> AttachmentKind {
        self.kind
    }

    /// Its name, as the author stated it: it may hold path separators. [`file_name`](Self::file_name) is safe.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The name for the file on this machine: one component of a path, made of its [`name`](Self::name), without folders,
    /// control characters and characters that a system treats in its own way, without a dot at the start, no name of a
    /// device, at most 120 bytes. `file` if it has no name.
    pub fn file_name(&self) -> String {
        cleaned(self.name.as_deref().unwrap_or_default())
    }

    /// Its MIME type, such as `text/plain`.
    pub fn mime_type(&self) -> Option<&str> {
        self.mime_type.as_deref()
    }

    /// Its length in bytes, if it was stated.
    pub fn size(&self) -> Option<u64> {
        self.size
    }

    /// Its URI; `None` if its bytes are in the message.
    pub fn uri(&self) -> Option<&str> {
        self.uri.as_deref()
    }

    /// The id under which the platform holds it for this agent; `None` for a file that is somewhere else.
    pub fn file_id(&self) -> Option<&FileId> {
        self.file_id.as_ref()
    }

    /// Returns whether the platform holds the file for this agent: its URI is `platform-pending:<workspace>/<file>` with
    /// the agent's own workspace (contract section 17).
    pub fn is_pending(&self) -> bool {
        self.file_id.is_some()
    }

    /// The id under which the platform holds it for this workspace.
    pub(super) fn file_of(&self, own: &WorkspaceId) -> Option<FileId> {
        pending(self.uri.as_deref()?, own)
    }

    /// The place of its part in the message's parts; `None` for an upload that no part names.
    pub fn part(&self) -> Option<usize> {
        self.part
    }

    /// Reads the body of a row of method `chat_upload_receive`; `None` if it names no file of this workspace.
    pub(super) fn of_upload(body: &Map<String, Value>, own: &WorkspaceId) -> Option<Self> {
        let text = |keys: &[&str]| keys.iter().find_map(|key| some_text(body.get(*key)?.as_str()?));
        let stated: Option<FileId> = text(&["file_id"]).and_then(|id| id.parse().ok());
        let uri = text(&["uri"]).or_else(|| Some(pending_uri(own, stated.as_ref()?)))?;
        let file_id = pending(&uri, own)?;
        let mime_type = text(&["mimeType", "mime_type"]);
        Some(Self {
            kind: AttachmentKind::of(mime_type.as_deref(), None),
            name: text(&["name"]),
            mime_type,
            size: body.get("size").and_then(Value::as_u64),
            uri: Some(uri),
            file_id: Some(file_id),
            part: None,
        })
    }

    /// Reads a part; `None` if it is no file.
    pub(super) fn of_part(part: &Part, at: usize, own: &WorkspaceId) -> Option<Self> {
        let PartContent::File(file) = &part.content else { return None };
        let text = |text: &Option<String>| some_text(text.as_deref()?);
        let (uri, name, mime_type) = (text(&file.uri), text(&file.name), text(&file.mime_type));
        if uri.is_none() && name.is_none() && file.bytes.is_none() {
            return None;
        }
        let number = |fields: &Map<String, Value>| fields.get("size").and_then(Value::as_u64);
        Some(Self {
            kind: AttachmentKind::of(mime_type.as_deref(), file.extra.get("kind").and_then(Value::as_str)),
            file_id: uri.as_deref().and_then(|uri| pending(uri, own)),
            name,
            mime_type,
            size: number(&file.extra).or_else(|| number(&part.extra)),
            uri,
            part: Some(at),
        })
    }

    /// Reads an entry of a row's own list, which the platform makes of the message's parts.
    pub(super) fn of_row(listed: &molecule_proto::Attachment, own: &WorkspaceId) -> Option<Self> {
        let text = |text: &Option<String>| some_text(text.as_deref()?);
        let (uri, mime_type) = (text(&listed.uri)?, text(&listed.mime_type));
        Some(Self {
            kind: AttachmentKind::of(mime_type.as_deref(), Some(&listed.kind)),
            file_id: pending(&uri, own),
            name: text(&listed.name),
            mime_type,
            size: None,
            uri: Some(uri),
            part: None,
        })
    }

    /// Adds a file to a message's list. One that the list has already, by its URI, gets what it lacks.
    pub(super) fn join(self, list: &mut Vec<Self>) {
        let same = |other: &&mut Self| other.uri.is_some() && other.uri == self.uri;
        let Some(other) = list.iter_mut().find(same) else { return list.push(self) };
        if other.kind == AttachmentKind::File {
            other.kind = self.kind;
        }
        other.name = other.name.take().or(self.name);
        other.mime_type = other.mime_type.take().or(self.mime_type);
        other.size = other.size.or(self.size);
    }
}

impl AttachmentKind {
    fn of(mime_type: Option<&str>, stated: Option<&str>) -> Self {
        let family = mime_type.and_then(|mime_type| mime_type.split('/').next());
        let by = |word: &str| match word.to_ascii_lowercase().as_str() {
            "image" => Some(Self::Image),
            "audio" => Some(Self::Audio),
            "video" => Some(Self::Video),
            _ => None,
        };
        match family {
            Some(family) => by(family).unwrap_or(Self::File),
            None => stated.and_then(by).unwrap_or(Self::File),
        }
    }
}

/// The scheme of a file that the platform holds for a workspace.
const PENDING: &str = "platform-pending:";

/// The id of a file that the platform holds for this workspace.
pub(super) fn pending(uri: &str, own: &WorkspaceId) -> Option<FileId> {
    let (workspace, file) = uri.strip_prefix(PENDING)?.split_once('/')?;
    if workspace.parse().as_ref() != Ok(own) {
        return None;
    }
    file.parse().ok()
}

fn pending_uri(own: &WorkspaceId, file: &FileId) -> String {
    format!("{PENDING}{own}/{file}")
}

fn some_text(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// A file that goes out with a [`Reply`](super::Reply) or a [`Notice`](super::Notice): one of this machine, which is
/// uploaded when the reply is sent, or one that has a URI already.
///
/// ```
/// use molecule_core::OutgoingFile;
/// let report = OutgoingFile::at("out/report.pdf").name("July.pdf").mime_type("application/pdf");
/// let site = OutgoingFile::uri("https://files.example/plan.png");
/// # let _ = (report, site);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutgoingFile {
    #[serde(flatten)]
    pub(crate) place: Place,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) mime_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) size: Option<u64>,
}

/// Where a file is before it goes out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Place {
    Path(PathBuf),
    Uri(String),
}

impl Place {
    pub(crate) fn is_path(&self) -> bool {
        matches!(self, Self::Path(_))
    }
}

/// The MIME type of a name's extension, for those that a browser shows or that agents write often. The platform's web
/// page shows a picture only if its type says so.
fn mime_type_of(name: &str) -> Option<&'static str> {
    const TYPES: [(&str, &str); 20] = [
        ("csv", "text/csv"),
        ("gif", "image/gif"),
        ("html", "text/html"),
        ("jpeg", "image/jpeg"),
        ("jpg", "image/jpeg"),
        ("json", "application/json"),
        ("md", "text/markdown"),
        ("mp3", "audio/mpeg"),
        ("mp4", "video/mp4"),
        ("pdf", "application/pdf"),
        ("png", "image/png"),
        ("svg", "image/svg+xml"),
        ("tar", "application/x-tar"),
        ("txt", "text/plain"),
        ("wav", "audio/wav"),
        ("webm", "video/webm"),
        ("webp", "image/webp"),
        ("xml", "application/xml"),
        ("yaml", "application/yaml"),
        ("zip", "application/zip"),
    ];
    let (_, extension) = name.rsplit_once('.')?;
    TYPES.iter().find(|(known, _)| extension.eq_ignore_ascii_case(known)).map(|(_, mime_type)| *mime_type)
}

/// The schemes that the platform's web page opens as files. It shows any other as a raw link, which may be a script.
const SCHEMES: [&str; 5] = ["https", "http", "platform-pending", "workspace", "file"];

impl OutgoingFile {
    /// A file of this machine. It is read when the reply is sent: give an absolute path if the working directory may
    /// change until then.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { place: Place::Path(path.into()), name: None, mime_type: None, size: None }
    }

    /// A file that the receiver fetches from this URI: `https:`, `http:`, `platform-pending:`, `workspace:` or `file:`.
    pub fn uri(uri: impl Into<String>) -> Self {
        Self { place: Place::Uri(uri.into()), name: None, mime_type: None, size: None }
    }

    /// Sets the name that the receiver sees; by default the last component of the path or of the URI.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets its MIME type.
    #[must_use]
    pub fn mime_type(mut self, mime_type: impl Into<String>) -> Self {
        self.mime_type = Some(mime_type.into());
        self
    }

    /// Its MIME type, or else the usual one of its name's extension.
    pub(crate) fn stated_mime_type(&self) -> Option<String> {
        self.mime_type.clone().or_else(|| mime_type_of(&self.shown_name()).map(str::to_owned))
    }

    /// The name that the receiver sees.
    pub(crate) fn shown_name(&self) -> String {
        let last = |text: &str| text.rsplit(['/', ':']).next().and_then(some_text);
        let found = match (&self.name, &self.place) {
            (Some(name), _) => some_text(name),
            (None, Place::Path(path)) => path.file_name().map(|name| name.to_string_lossy().into_owned()),
            (None, Place::Uri(uri)) => last(uri.split(['?', '#']).next().unwrap_or_default()),
        };
        found.unwrap_or_else(|| "file".to_owned())
    }

    /// Checks that the file can be kept in the journal and named to the platform.
    pub(crate) fn check(&self) -> Result<()> {
        let place = match &self.place {
            Place::Path(path) => path.to_str().filter(|path| !path.is_empty()).ok_or_else(|| {
                Error::config("the path of an attachment is not Unicode, or empty", "give the file another name")
            })?,
            Place::Uri(uri) => {
                let scheme = uri.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
                if !scheme.is_some_and(|scheme| SCHEMES.contains(&scheme.as_str())) {
                    let remedy = "use https:, http:, platform-pending:, workspace: or file:, or attach a file's path";
                    return Err(Error::config("the URI of an attachment has a scheme that nobody can open", remedy));
                }
                uri
            }
        };
        refuse_nul("the attachment", place)?;
        refuse_nul("the attachment's name", self.name.as_deref().unwrap_or_default())?;
        refuse_nul("the attachment's MIME type", self.mime_type.as_deref().unwrap_or_default())?;
        Ok(())
    }
}

impl From<PathBuf> for OutgoingFile {
    fn from(path: PathBuf) -> Self {
        Self::at(path)
    }
}

impl From<&std::path::Path> for OutgoingFile {
    fn from(path: &std::path::Path) -> Self {
        Self::at(path)
    }
}

impl From<&str> for OutgoingFile {
    /// A path.
    fn from(path: &str) -> Self {
        Self::at(path)
    }
}

impl From<String> for OutgoingFile {
    /// A path.
    fn from(path: String) -> Self {
        Self::at(path)
    }
}
