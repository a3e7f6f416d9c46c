//! The event stream (contract section 18.6): a reader of server-sent events, and the types of the platform's events.

use std::fmt;

use serde::Deserialize;

use crate::json;
use crate::words::words;

words! {
    /// The type of an event of the event stream: its key `type`.
    StreamEventType {
        /// A row was added to the feed. A message to a poll agent makes two such events, both without the row's id.
        ActivityLogged = "ACTIVITY_LOGGED",
        /// A person, or a turn that the platform made, wrote to the agent.
        UserMessage = "USER_MESSAGE",
        /// The agent wrote to its user.
        AgentMessage = "AGENT_MESSAGE",
        /// A broadcast was received. Only this event has its whole text.
        BroadcastMessage = "BROADCAST_MESSAGE",
        /// The reported task changed.
        TaskUpdated = "TASK_UPDATED",
        /// A heartbeat of the workspace was received.
        WorkspaceHeartbeat = "WORKSPACE_HEARTBEAT",
        /// The workspace registered, or is online again.
        WorkspaceOnline = "WORKSPACE_ONLINE",
        /// The workspace is degraded.
        WorkspaceDegraded = "WORKSPACE_DEGRADED",
        /// The workspace was paused.
        WorkspacePaused = "WORKSPACE_PAUSED",
        /// The workspace was removed.
        WorkspaceRemoved = "WORKSPACE_REMOVED",
        /// The workspace's tokens were replaced.
        CredentialsRotated = "EXTERNAL_CREDENTIALS_ROTATED",
        /// The workspace's card was replaced.
        AgentCardUpdated = "AGENT_CARD_UPDATED",
        /// A request was raised by the workspace, or addressed to it.
        RequestCreated = "REQUEST_CREATED",
        /// Somebody wrote into the thread of a request that the workspace raised.
        RequestMessage = "REQUEST_MESSAGE",
        /// Somebody answered a request that the workspace raised.
        RequestResponded = "REQUEST_RESPONDED",
        /// An approval was asked for.
        ApprovalRequested = "APPROVAL_REQUESTED",
        /// A delegation of the workspace was sent.
        DelegationSent = "DELEGATION_SENT",
        /// The status of a delegation changed.
        DelegationStatus = "DELEGATION_STATUS",
        /// A delegation has ended.
        DelegationComplete = "DELEGATION_COMPLETE",
        /// A delegation failed.
        DelegationFailed = "DELEGATION_FAILED",
    }
}

/// An event of the stream, as far as it is read: the stream says that there is something new, and the feed says what.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamEvent {
    /// The event's type; `None` if it cannot be read.
    pub event_type: Option<StreamEventType>,
    /// Whether only the beginning of the event was read: it is longer than the reader's limit, or the stream ended
    /// within it.
    pub is_cut: bool,
}

/// Reads server-sent events piece by piece, in bounded memory.
///
/// The platform writes an event as one line `data: {"type",…}` of any length. The reader keeps the beginning of a line
/// up to its limit, and reads the type of a longer event from there. All line ends of the format are read, comments and
/// the fields `event`, `id` and `retry` are skipped.
///
/// `Debug` shows lengths, never content.
///
/// ```
/// use molecule_proto::{EventReader, StreamEventType};
/// let mut reader = EventReader::new(64 * 1024);
/// assert_eq!(reader.push(b": ping\n\ndata: {\"type\":\"ACTIVI"), []);
/// let events = reader.push(b"TY_LOGGED\",\"timestamp\":1795383587000,\"data\":{}}\n\n");
/// assert_eq!(events[0].event_type, Some(StreamEventType::ActivityLogged));
/// ```
pub struct EventReader {
    limit: usize,
    /// The beginning of the line that is being read.
    line: Vec<u8>,
    is_line_cut: bool,
    /// Whether the last byte was a carriage return, after which a line feed belongs to the same line end.
    is_after_return: bool,
    /// The data of the event that is being read.
    data: Option<Vec<u8>>,
    is_data_cut: bool,
    /// Whether the first line is complete.
    has_begun: bool,
    is_foreign: bool,
}

impl EventReader {
    /// Makes a reader that keeps at most this many bytes of a line and of an event.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            line: Vec::new(),
            is_line_cut: false,
            is_after_return: false,
            data: None,
            is_data_cut: false,
            has_begun: false,
            is_foreign: false,
        }
    }

    /// Reads a piece of the stream. Returns the events that end in it.
    pub fn push(&mut self, piece: &[u8]) -> Vec<StreamEvent> {
        let mut events = Vec::new();
        let mut rest = piece;
        while !rest.is_empty() {
            if std::mem::take(&mut self.is_after_return) && rest[0] == b'\n' {
                rest = &rest[1..];
                continue;
            }
            let end = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            self.extend(&rest[..end.unwrap_or(rest.len())]);
            let Some(end) = end else { break };
            self.is_after_return = rest[end] == b'\r';
            rest = &rest[end + 1..];
            events.extend(self.end_of_line());
        }
        events
    }

    /// Ends the stream. Returns the event that it broke off in, if there is one.
    pub fn finish(mut self) -> Option<StreamEvent> {
        if !self.line.is_empty() {
            self.is_line_cut = true;
            self.end_of_line();
        }
        self.is_data_cut = true;
        self.dispatch()
    }

    /// Returns whether the bytes so far are no event stream: a web page, JSON, or compressed.
    pub fn is_foreign(&self) -> bool {
        self.is_foreign
    }

    fn extend(&mut self, bytes: &[u8]) {
        if !self.has_begun && self.line.is_empty() {
            // Every line of the format begins with a field's name or the colon of a comment.
            self.is_foreign |= bytes.first().is_some_and(|first| !b"\xef:deir".contains(first));
        }
        let room = self.limit.saturating_sub(self.line.len());
        self.is_line_cut |= bytes.len() > room;
        self.line.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn end_of_line(&mut self) -> Option<StreamEvent> {
        // A long line's memory is not kept for the next one.
        let line = std::mem::take(&mut self.line);
        let is_cut = std::mem::take(&mut self.is_line_cut);
        let is_first = !std::mem::replace(&mut self.has_begun, true);
        let line = if is_first { line.strip_prefix(json::BOM).unwrap_or(&line) } else { &line };
        if line.is_empty() {
            return self.dispatch();
        }
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let (field, value) = (&line[..colon], line.get(colon + 1..).unwrap_or_default());
        match field {
            b"data" => self.add(value.strip_prefix(b" ").unwrap_or(value), is_cut),
            b"" | b"event" | b"id" | b"retry" => {}
            _ => self.is_foreign |= is_first,
        }
        None
    }

    fn add(&mut self, value: &[u8], is_cut: bool) {
        let limit = self.limit;
        let mut data = match self.data.take() {
            None => Vec::new(),
            Some(mut earlier) => {
                earlier.push(b'\n');
                earlier
            }
        };
        let room = limit.saturating_sub(data.len());
        self.is_data_cut |= is_cut || value.len() > room;
        data.extend_from_slice(&value[..value.len().min(room)]);
        self.data = Some(data);
    }

    fn dispatch(&mut self) -> Option<StreamEvent> {
        let is_cut = std::mem::take(&mut self.is_data_cut);
        let data = self.data.take()?;
        Some(StreamEvent { event_type: event_type(&data), is_cut })
    }
}

impl fmt::Debug for EventReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventReader({} of at most {} bytes)", self.line.len(), self.limit)
    }
}

/// The type of an event, from its JSON or the beginning of it.
fn event_type(data: &[u8]) -> Option<StreamEventType> {
    #[derive(Deserialize)]
    struct Typed {
        #[serde(rename = "type")]
        event_type: String,
    }
    match json::read_known::<Typed>(data) {
        Ok(typed) => Some(typed.event_type.into()),
        Err(_) => leading_type(data),
    }
}

/// The type of an event that is not whole: the platform writes it first.
fn leading_type(data: &[u8]) -> Option<StreamEventType> {
    let mut rest = data;
    for token in [&b"{"[..], b"\"type\"", b":", b"\""] {
        rest = rest.trim_ascii_start().strip_prefix(token)?;
    }
    let end = rest.iter().position(|byte| !(byte.is_ascii_alphanumeric() || *byte == b'_'))?;
    (rest[end] == b'"').then(|| StreamEventType::from(String::from_utf8_lossy(&rest[..end]).as_ref()))
}
