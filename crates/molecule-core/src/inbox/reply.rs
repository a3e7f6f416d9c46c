//! What the agent says: an answer to a message, and a notice to the user.

use std::fmt;

use molecule_proto::{Message, Part, TraceParent, refuse_nul, refuse_nul_in_json};
use serde_json::{Map, Value};

use super::attachment::OutgoingFile;
use crate::error::{Error, Result};

/// An answer to a message. A text, a [`Part`] or a [`Message`] can be given instead.
///
/// A peer gets it as a message of the conversation that it asked in; the user and a channel get its text and its files.
///
/// ```
/// use molecule_core::Reply;
/// let reply = Reply::text("done, the report is attached").attach("/home/agent/report.pdf");
/// assert!(!reply.is_none());
/// assert!(Reply::none().is_none());
/// ```
#[derive(Clone, Default, PartialEq)]
#[must_use = "a reply is sent by returning it from the handler"]
pub struct Reply {
    parts: Vec<Part>,
    files: Vec<OutgoingFile>,
    metadata: Map<String, Value>,
    is_continued: bool,
    is_later: bool,
    completes_task: bool,
}

impl Reply {
    /// A reply of these parts.
    pub fn new(parts: impl IntoIterator<Item = Part>) -> Self {
        Self { parts: parts.into_iter().collect(), ..Self::default() }
    }

    /// A reply of one text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::new([Part::text(text)])
    }

    /// Nothing to say: the message is handled, and nothing is sent.
    pub fn none() -> Self {
        Self::default()
    }

    /// Nothing to say yet: the message is handled, and its answer follows after the handler has returned. The agent's
    /// `reply_to` gives it, for the message's [`reply_handle`](super::message::InboundMessage::reply_handle), also after a
    /// restart. Whatever is added to this value is not sent.
    pub fn later() -> Self {
        Self { is_later: true, ..Self::default() }
    }

    /// Adds a part.
    pub fn with_part(mut self, part: impl Into<Part>) -> Self {
        self.parts.push(part.into());
        self
    }

    /// Attaches a file: a path, or an [`OutgoingFile`]. The file is read when the reply is sent.
    ///
    /// If the answer to an upload is lost, or the process ends before it is recorded, the file's row cannot be told from a
    /// person's (contract section 17): the agent then receives its own file as a message of the user.
    pub fn attach(mut self, file: impl Into<OutgoingFile>) -> Self {
        self.files.push(file.into());
        self
    }

    /// Adds a key to the metadata of the message to a peer. The user and channels get none.
    pub fn with_metadata(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }

    /// Sets the position in a trace of the message to a peer. By default it is that of the message which is answered.
    pub fn with_trace_parent(self, parent: TraceParent) -> Self {
        self.with_metadata(TraceParent::KEY, parent.to_string())
    }

    /// Sends the reply also if the message was a reply itself. Otherwise it is not sent, so that two agents that answer
    /// everything do not answer each other for ever.
    pub fn and_continue(mut self) -> Self {
        self.is_continued = true;
        self
    }

    /// Ends the task of the message, if the agent's server answers with tasks
    /// ([`task_mode`](crate::ServerOptions::task_mode)). By default a task stays open for another message.
    pub fn completes_task(mut self) -> Self {
        self.completes_task = true;
        self
    }

    /// Returns whether the reply [ends the task](Self::completes_task) of its message.
    pub fn is_completing_task(&self) -> bool {
        self.completes_task
    }

    /// Returns whether there is nothing to send: no part and no file.
    pub fn is_none(&self) -> bool {
        self.parts.is_empty() && self.files.is_empty()
    }

    /// Returns whether the answer follows [later](Self::later).
    pub fn is_later(&self) -> bool {
        self.is_later
    }

    /// Its parts.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Its files.
    pub fn files(&self) -> &[OutgoingFile] {
        &self.files
    }

    /// Returns whether it is sent also if the message was a reply itself.
    pub fn is_continued(&self) -> bool {
        self.is_continued
    }

    /// The metadata of the message to a peer.
    pub fn metadata(&self) -> &Map<String, Value> {
        &self.metadata
    }

    /// Checks that the reply can be sent, before it is journaled.
    ///
    /// # Errors
    /// `Config` if a text, a key or a name contains U+0000, which the platform cannot store, or if a file has no usable
    /// path or URI.
    pub fn check(&self) -> Result<()> {
        let json = serde_json::to_string(&(&self.parts, &self.metadata))
            .map_err(|_| Error::config("the reply is not JSON", "use text keys and finite numbers"))?;
        refuse_nul_in_json("the reply", &json)?;
        self.files.iter().try_for_each(OutgoingFile::check)
    }

    pub(crate) fn take(self) -> (Vec<Part>, Vec<OutgoingFile>, Map<String, Value>, bool) {
        (self.parts, self.files, self.metadata, self.is_continued)
    }
}

impl fmt::Debug for Reply {
    /// Without the content.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply")
            .field("parts", &self.parts.len())
            .field("files", &self.files.len())
            .field("is_continued", &self.is_continued)
            .finish_non_exhaustive()
    }
}

impl From<&str> for Reply {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<String> for Reply {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}

impl From<Part> for Reply {
    fn from(part: Part) -> Self {
        Self::new([part])
    }
}

impl From<Message> for Reply {
    /// The parts and the metadata of the message. Its ids are not kept: a reply gets its own, and belongs to the
    /// conversation and the task of the message that it answers.
    fn from(message: Message) -> Self {
        Self { parts: message.parts, metadata: message.metadata, ..Self::default() }
    }
}

/// A message to the user that answers nothing (`POST /workspaces/:id/notify`, contract section 13.2). A text can be
/// given instead.
///
/// ```
/// use molecule_core::Notice;
/// let notice = Notice::new("the nightly run is done").attach("/home/agent/run.log");
/// assert!(notice.check().is_ok());
/// ```
#[derive(Clone, PartialEq)]
#[must_use = "a notice is not sent until it is handed to the agent"]
pub struct Notice {
    text: String,
    files: Vec<OutgoingFile>,
}

impl Notice {
    /// A notice of this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), files: Vec::new() }
    }

    /// Attaches a file: a path, or an [`OutgoingFile`]. The file is read when the notice is sent.
    pub fn attach(mut self, file: impl Into<OutgoingFile>) -> Self {
        self.files.push(file.into());
        self
    }

    /// Its text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its files.
    pub fn files(&self) -> &[OutgoingFile] {
        &self.files
    }

    /// Checks that the notice can be sent.
    ///
    /// # Errors
    /// `Config` if there is neither a text nor a file, if the text contains U+0000, which the platform cannot store, or
    /// if a file has no usable path or URI.
    pub fn check(&self) -> Result<()> {
        if self.text.is_empty() && self.files.is_empty() {
            return Err(Error::config("the notice is empty", "give it a text or a file"));
        }
        refuse_nul("the notice", &self.text)?;
        self.files.iter().try_for_each(OutgoingFile::check)
    }
}

impl fmt::Debug for Notice {
    /// Without the content.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notice")
            .field("text", &format_args!("{} bytes", self.text.len()))
            .field("files", &self.files.len())
            .finish()
    }
}

impl From<&str> for Notice {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Notice {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}
