//! Wire types of the Molecule AI platform, for clients and for servers.
//!
//! Everything here is a plain value: ids that cannot leave their path segment, paths, header names, secrets that are
//! never printed, moments of time, and the JSON bodies of each endpoint. There is no behaviour: nothing in this crate
//! sends, waits, reads a clock or touches a file.
//!
//! The readers are tolerant and the writers strict. Unknown keys are ignored (kept in cards), unknown words become
//! `Other`, and bodies of strangers are repaired and bounded ([`json`]). The writers write exactly what the platform
//! documents. Every type derives `Serialize` and `Deserialize` as far as secrets allow it, so that a server can be
//! written with the same types as a client.
//!
//! The sections that these docs name are those of `docs/contract` in the repository: "current" is the server of August
//! 2026, "April" the one before it. One set of types serves both; a field that only one of them sends is optional.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod a2a_answer;
mod a2a_refusal;
mod activity;
mod admin;
mod admin_refusal;
mod budget;
mod card;
mod database_time;
mod delegation;
mod dialect;
mod error_body;
mod event_stream;
#[doc(hidden)]
pub mod form;
pub mod header;
mod heartbeat;
mod id;
pub mod json;
mod lenient;
mod memory;
mod memory_entry;
mod message;
mod now;
mod part;
pub mod path;
mod peer;
mod plugin;
#[doc(hidden)]
pub mod printable;
mod queue;
mod rate_limit;
mod register;
mod rows;
mod rpc;
mod secret;
mod secrets;
mod state;
mod status;
mod task;
mod text;
mod time;
mod trace_parent;
mod upload;
mod view;
mod words;

pub use a2a_answer::{A2aAnswer, AcceptedAnswer, AcceptedMode, QueuedAnswer};
pub use a2a_refusal::{A2aRefusal, RefusalKind};
pub use activity::{
    ActivityAckAnswer, ActivityAckRequest, ActivityRow, ActivityType, Attachment, NotifyAttachment, NotifyRequest,
    PostedAnswer,
};
pub use admin::{
    Connection, ConnectionAnswer, CreateWorkspace, CreatedWorkspace, DeleteAnswer, MintedToken, PauseAnswer,
    ResumeAnswer, RevokedToken, TokenList, TokenRow,
};
pub use admin_refusal::{
    AlreadyRemoved, ChildrenNotConfirmed, CreateRefusal, HasDescendants, NameNotConfirmed, NamedWorkspace,
};
pub use budget::{Budget, BudgetPeriod};
pub use card::{AgentCard, UpdateCardAnswer, UpdateCardRequest};
pub use database_time::DatabaseTime;
pub use delegation::{
    DelegateAnswer, DelegateRequest, DelegationRow, DelegationStatus, Direction, RecordDelegationRequest,
    ReportedDelegation, UpdateDelegationRequest,
};
pub use dialect::Dialect;
pub use error_body::ErrorBody;
pub use event_stream::{EventReader, StreamEvent, StreamEventType};
pub use heartbeat::{Capabilities, HeartbeatAnswer, HeartbeatRequest, RuntimeMetadata};
pub use id::{
    ActivityId, DelegationId, FileId, IdError, PluginName, QueueId, TokenId, WorkspaceId, is_device_name, random_uuid,
};
pub use memory::{CommitMemoryRequest, CommittedMemory, Memory, MemoryScope};
pub use memory_entry::{MemoryConflict, MemoryEntry, MemoryKey, SetMemoryAnswer, SetMemoryRequest};
pub use message::{Message, NotAMessage, Role};
pub use now::{Now, Wake};
pub use part::{FileContent, Part, PartContent};
pub use peer::{CheckAccessAnswer, CheckAccessRequest, DiscoverAnswer, Peer};
pub use plugin::{AvailablePlugin, InstallPluginRequest, PluginCompatibility, PluginRefusal, PluginSources};
pub use queue::{QueueItem, QueueStatus};
pub use rate_limit::{RateLimit, Remaining};
pub use register::{RegisterAnswer, RegisterRequest};
pub use rows::Rows;
pub use rpc::{MESSAGE_SEND, RpcAnswer, RpcError, RpcRequest, SendParams, TASKS_CANCEL, TASKS_GET};
pub use secret::{InboundSecret, ROTATE_MARKER, Token, TokenError};
pub use secrets::{SavedSecret, Secrets, SecretsIter, SetSecret};
pub use state::StateAnswer;
pub use status::{DeliveryMode, RuntimeState, WorkspaceKind, WorkspaceStatus};
pub use task::{Artifact, NotATask, Reply, Task, TaskState, TaskStatus};
pub use text::{NulError, refuse_nul, refuse_nul_in_json};
pub use time::{Time, TimeError, UnixTime};
pub use trace_parent::{TraceParent, TraceParentError};
pub use upload::{UploadAckAnswer, UploadAnswer, UploadedFile};
pub use view::{RemovedWorkspace, WorkspaceView};

/// The programs of the crate's README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
