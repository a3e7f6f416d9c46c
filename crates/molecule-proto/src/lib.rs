//! Wire types of the Molecule AI platform, for clients and for servers alike.
//!
//! Everything here is a plain value: ids that cannot leave their path segment, paths, header names, secrets that do not
//! print, moments of time, and the JSON bodies of each endpoint. There is no behaviour: nothing in this crate sends,
//! waits, reads a clock or touches a file.
//!
//! The readers are tolerant and the writers strict. Unknown keys are ignored (kept in cards), unknown words become
//! `Other`, and what is sent is exactly what the platform documents. Every type derives both directions, so that a
//! server can be written with the same types as a client.
//!
//! Sections named in these docs are those of the platform's HTTP contract: "current" is the server of August 2026,
//! "April" the one before it. One set of types serves both; what only one of them sends is optional.

mod admin;
mod admin_refusal;
mod card;
mod error_body;
pub mod header;
mod heartbeat;
mod id;
mod lenient;
pub mod path;
mod plugin;
mod rate_limit;
mod register;
mod secret;
mod secrets;
mod state;
mod status;
mod text;
mod time;
mod view;
mod words;

pub use admin::{
    Connection, ConnectionAnswer, CreateWorkspace, CreatedWorkspace, DeleteAnswer, MintedToken, PauseAnswer,
    ResumeAnswer, RevokedToken, TokenList, TokenRow,
};
pub use admin_refusal::{
    AlreadyRemoved, ChildrenNotConfirmed, CreateRefusal, HasDescendants, NameNotConfirmed, NamedWorkspace,
};
pub use card::{AgentCard, UpdateCardAnswer, UpdateCardRequest};
pub use error_body::ErrorBody;
pub use heartbeat::{Capabilities, HeartbeatAnswer, HeartbeatRequest, RuntimeMetadata};
pub use id::{IdError, PluginName, TokenId, WorkspaceId};
pub use plugin::{AvailablePlugin, InstallPluginRequest, PluginCompatibility, PluginRefusal, PluginSources};
pub use rate_limit::{RateLimit, Remaining};
pub use register::{RegisterAnswer, RegisterRequest};
pub use secret::{InboundSecret, ROTATE_MARKER, Token, TokenError};
pub use secrets::{SavedSecret, Secrets, SetSecret};
pub use state::StateAnswer;
pub use status::{DeliveryMode, RuntimeState, WorkspaceKind, WorkspaceStatus};
pub use text::{NulError, refuse_nul};
pub use time::{Time, TimeError, UnixTime};
pub use view::{RemovedWorkspace, WorkspaceView};
