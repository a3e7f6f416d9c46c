//! The inbox: what people, peers, channels and the platform send to the agent, and what it answers.

#![allow(dead_code, unused_imports)] // The machine that uses all of it is not in its place yet.

mod attachment;
pub(crate) mod feed;
mod form;
pub(crate) mod journal;
mod key;
mod message;
mod notice;
mod notify;
mod outbox;
mod reply;
mod reply_handle;
mod reply_id;
mod reply_key;
mod reply_to;
mod row;
mod send_reply;
mod sender;
mod stored_reply;
pub(crate) mod watch;

pub(crate) use form::Form;
pub(crate) use message::CancelFlag;
pub(crate) use outbox::{Outbox, OutboxStep, OutgoingReply, ReplyKey, ReplyRecord};
pub(crate) use sender::Conversation;
pub(crate) use stored_reply::StoredReply;

pub use attachment::{Attachment, AttachmentKind, OutgoingFile};
pub use message::InboundMessage;
pub use notify::Notify;
pub use reply::{Notice, Reply};
pub use reply_handle::ReplyHandle;
pub use reply_to::ReplyTo;
pub use sender::{PlatformKind, Sender};
