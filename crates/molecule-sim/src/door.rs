//! The behaviour of an agent's own A2A server, as plain data.

use serde::{Deserialize, Serialize};

use crate::weather::RetryAfter;

/// The behaviour of an agent's A2A server, which listens on the reported URL while the program runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Door {
    /// Whether it answers 401 without the inbound secret, which only the platform has; current agents do so.
    pub wants_secret: bool,
    /// How it answers a message.
    pub manner: Manner,
    /// Delay before the answer, in milliseconds.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub thinks_ms: u32,
}

impl Default for Door {
    fn default() -> Self {
        Self { wants_secret: true, manner: Manner::Message, thinks_ms: 0 }
    }
}

/// How an agent's server answers a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Manner {
    /// Handles it and replies with a message.
    Message,
    /// Handles it and replies with a task.
    Task,
    /// Handles it and replies with JSON that is not A2A.
    Own,
    /// Handles it and replies with a JSON-RPC error.
    RpcError,
    /// Handles it and replies with an empty body.
    Nothing,
    /// Is busy: closes the connection without handling the message. The platform puts such a message into its queue.
    Busy,
    /// Is busy: answers 503 with this `Retry-After`, without handling the message.
    Overloaded(RetryAfter),
    /// Handles it and closes the connection without an answer.
    HangsUp,
    /// Handles it and never answers.
    Silent,
    /// Handles it, and the answer ends in the middle of its body.
    Cut,
    /// Handles it, and the answer is larger than any cap.
    TooLong,
    /// Is no agent: answers with a web page.
    Page,
    /// Is no agent: redirects to another host.
    Redirect,
    /// Answers with this status and body, which may imitate the platform. It handles a message unless the status is
    /// from 400 to 499.
    Says {
        /// The status.
        status: u16,
        /// The body.
        body: String,
    },
}

impl Manner {
    /// Returns whether the agent handles a message that it answers in this manner.
    pub fn handles(&self) -> bool {
        match self {
            Self::Message
            | Self::Task
            | Self::Own
            | Self::RpcError
            | Self::Nothing
            | Self::HangsUp
            | Self::Silent
            | Self::Cut
            | Self::TooLong => true,
            Self::Busy | Self::Overloaded(_) | Self::Page | Self::Redirect => false,
            Self::Says { status, .. } => !(400..500).contains(status),
        }
    }
}

fn is_zero(ms: &u32) -> bool {
    *ms == 0
}
