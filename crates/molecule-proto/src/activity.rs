//! The activity feed (contract section 12; April 6.1), and the bodies that an agent posts to it (13).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::id::{ActivityId, WorkspaceId};
use crate::json;
use crate::lenient::or_default;
use crate::rpc::{RpcRequest, present};
use crate::time::UnixTime;
use crate::words::words;

words! {
    /// The type of a row of the feed.
    ActivityType {
        /// A received message; also the agent's own notes to the user, whose method is `notify`.
        A2aReceive = "a2a_receive",
        /// A sent message, as the agent reported it.
        A2aSend = "a2a_send",
        /// One of the reader's own delegations.
        Delegation = "delegation",
        /// A broadcast to the whole organisation. Not on April's server.
        BroadcastReceive = "broadcast_receive",
        /// A broadcast that the reader sent itself. Not on April's server.
        BroadcastSent = "broadcast_sent",
        /// A task, as the agent reported it.
        TaskUpdate = "task_update",
        /// A line of the agent's log.
        AgentLog = "agent_log",
        /// A skill that was promoted.
        SkillPromotion = "skill_promotion",
        /// An entry that was written to memory.
        MemoryWrite = "memory_write",
        /// An entry that was written to the memory of the whole organisation.
        MemoryWriteGlobal = "memory_write_global",
        /// An act of the watch over agents that stall: its method is `probe`, `clear` or `restart`. Not on April's
        /// server.
        StallWatchdog = "stall_watchdog",
        /// A run of a schedule. On April's server only.
        CronRun = "cron_run",
        /// An error, as the agent reported it.
        Error = "error",
    }
}

/// A row of `GET /workspaces/:id/activity`; the answer is [`Rows`](crate::Rows) of them.
///
/// The text of a message is in its request, [`request`](Self::request). An absent sender is a person, a channel or the
/// platform itself. A sender that is not a workspace id makes the whole row unreadable, so that no agent passes for a
/// person. All other keys are kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ActivityRow {
    /// The row's id, which is also the reader's cursor.
    pub id: ActivityId,
    /// The workspace whose feed has the row.
    pub workspace_id: WorkspaceId,
    /// The row's type.
    pub activity_type: ActivityType,
    /// The sender; `None` for people, channels and the platform itself.
    pub source_id: Option<WorkspaceId>,
    /// The receiver; the reader's own id in received messages.
    #[serde(default, deserialize_with = "or_default")]
    pub target_id: Option<WorkspaceId>,
    /// The JSON-RPC method of a message: `notify`, `delegate`, `delegate_result`, `chat_upload_receive` ….
    #[serde(default, deserialize_with = "or_default")]
    pub method: Option<String>,
    /// A summary for people.
    #[serde(default, deserialize_with = "or_default")]
    pub summary: Option<String>,
    /// Duration in milliseconds.
    #[serde(default, deserialize_with = "or_default")]
    pub duration_ms: Option<i64>,
    /// `ok`, `error`, or a delegation's status. A call with `error` may have been delivered later (contract section 20,
    /// April).
    #[serde(default, deserialize_with = "or_default")]
    pub status: String,
    /// The error, for people.
    #[serde(default, deserialize_with = "or_default")]
    pub error_detail: Option<String>,
    /// When the row was created.
    pub created_at: UnixTime,
    /// A counter of the whole server, so that its values have gaps within a feed. Not on April's server.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub seq: Option<i64>,
    /// The request: the JSON-RPC request of a message.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub request_body: Option<Value>,
    /// The answer.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub response_body: Option<Value>,
    /// The tools that the agent used.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub tool_trace: Option<Value>,
    /// The sender's name, if the query had `include=peer_info` and the name is known. Not on April's server.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub peer_name: Option<String>,
    /// The sender's role, under the same conditions.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub peer_role: Option<String>,
    /// The URL to discover the sender, under the same conditions; it needs a credential.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub agent_card_url: Option<String>,
    /// The files of the message, under the same conditions.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub attachments: Option<Vec<Attachment>>,
    /// All keys without a field of their own.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl ActivityRow {
    /// A row with the fields that every row has.
    pub fn new(id: ActivityId, workspace_id: WorkspaceId, activity_type: ActivityType, created_at: UnixTime) -> Self {
        Self {
            id,
            workspace_id,
            activity_type,
            source_id: None,
            target_id: None,
            method: None,
            summary: None,
            duration_ms: None,
            status: "ok".to_owned(),
            error_detail: None,
            created_at,
            seq: None,
            request_body: None,
            response_body: None,
            tool_trace: None,
            peer_name: None,
            peer_role: None,
            agent_card_url: None,
            attachments: None,
            extra: Map::new(),
        }
    }

    /// The JSON-RPC request of a message, also where it stands as a JSON text; `None` if the row has none.
    pub fn request(&self) -> Option<RpcRequest> {
        match self.request_body.as_ref()? {
            Value::String(text) => json::read(text.as_bytes()).ok(),
            body => RpcRequest::deserialize(body).ok(),
        }
    }

    /// Returns whether the row is the platform's copy of a message to the user (`POST /workspaces/:id/notify`), which
    /// proves that it arrived. A caller may call the method `notify` too, but then the row has its request.
    pub fn is_notice(&self) -> bool {
        let has_request = self.request_body.as_ref().is_some_and(|body| !body.is_null());
        self.activity_type == ActivityType::A2aReceive
            && self.method.as_deref() == Some("notify")
            && self.source_id.is_none()
            && !has_request
    }
}

/// A file of a message, as a feed lists it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Attachment {
    /// `image`, `audio`, `video` or `file`.
    #[serde(default, deserialize_with = "or_default")]
    pub kind: String,
    /// Its URI.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub uri: Option<String>,
    /// Its MIME type.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub mime_type: Option<String>,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub name: Option<String>,
}

/// Body of `POST /workspaces/:id/notify`: a message to the user (contract section 13.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NotifyRequest {
    /// The text; not empty.
    pub message: String,
    /// Attached files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<NotifyAttachment>,
}

impl NotifyRequest {
    /// A message without files.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), attachments: Vec::new() }
    }

    /// Adds a file.
    #[must_use]
    pub fn attachment(mut self, attachment: NotifyAttachment) -> Self {
        self.attachments.push(attachment);
        self
    }
}

/// A file attached to a message to the user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NotifyAttachment {
    /// Its URI.
    pub uri: String,
    /// Its name.
    pub name: String,
    /// Its MIME type.
    #[serde(default, rename = "mimeType", skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<String>,
    /// Its length in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
}

impl NotifyAttachment {
    /// A file with this URI and this name.
    pub fn new(uri: impl Into<String>, name: impl Into<String>) -> Self {
        Self { uri: uri.into(), name: name.into(), mime_type: None, size: None }
    }

    /// Sets its MIME type.
    #[must_use]
    pub fn mime_type(mut self, mime_type: impl Into<String>) -> Self {
        self.mime_type = Some(mime_type.into());
        self
    }

    /// Sets its length in bytes.
    #[must_use]
    pub fn size(mut self, bytes: u64) -> Self {
        self.size = Some(bytes);
        self
    }
}

/// Answer of `POST /workspaces/:id/notify` (`sent`) and of `POST /workspaces/:id/activity` (`logged`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PostedAnswer {
    /// `sent` or `logged`.
    pub status: String,
}

impl PostedAnswer {
    /// The answer for a message to the user that was sent.
    pub fn sent() -> Self {
        Self { status: "sent".to_owned() }
    }

    /// The answer for a row that was logged.
    pub fn logged() -> Self {
        Self { status: "logged".to_owned() }
    }
}

/// Body of `POST /workspaces/:id/activity/ack`. Not on April's server.
///
/// The mark never decreases, and the server accepts and keeps a mark beyond the newest row: send only the `seq` of a
/// row that was read (contract section 12.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ActivityAckRequest {
    /// The `seq` of the last row that was read.
    pub acked_seq: i64,
}

impl ActivityAckRequest {
    /// A mark at the last row that was read.
    pub fn new(acked_seq: i64) -> Self {
        Self { acked_seq }
    }
}

/// Answer of `POST /workspaces/:id/activity/ack`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ActivityAckAnswer {
    /// The highest mark so far.
    pub last_acked_seq: i64,
}

impl ActivityAckAnswer {
    /// The answer with this mark.
    pub fn new(last_acked_seq: i64) -> Self {
        Self { last_acked_seq }
    }
}
