//! How an agent answers at its own door, as plain data.

use serde::{Deserialize, Serialize};

use crate::weather::Asked;

/// An agent's A2A server, at the URL that the agent reports while its program runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Door {
    /// Whether it answers 401 to whoever lacks the secret that only the platform has, as current agents do.
    pub wants_secret: bool,
    /// What it makes of a message.
    pub manner: Manner,
    /// How long it thinks before it answers, in milliseconds.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub thinks_ms: u32,
}

impl Default for Door {
    fn default() -> Self {
        Self { wants_secret: true, manner: Manner::Message, thinks_ms: 0 }
    }
}

/// What an agent's server makes of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Manner {
    /// It handles it and replies with a message.
    Message,
    /// It handles it and replies with a task.
    Task,
    /// It handles it and replies with JSON of its own.
    Own,
    /// It handles it, and what comes of that is an error.
    RpcError,
    /// It handles it and replies with nothing.
    Nothing,
    /// It has no time: it hangs up, and the message is not handled. The platform keeps such a one in its queue.
    Busy,
    /// It has no time and says so: 503, and when to come again.
    Overloaded(Asked),
    /// It handles it and hangs up instead of an answer.
    HangsUp,
    /// It handles it and never answers.
    Silent,
    /// It handles it, and the answer breaks off.
    Cut,
    /// It handles it, and the answer is longer than anybody takes.
    TooLong,
    /// It is no agent: it answers with a web page.
    Page,
    /// It is no agent: it sends everybody somewhere else.
    Redirect,
    /// It answers so, perhaps in the platform's own words; a message that it refuses by a status from 400 to 499 is not
    /// handled.
    Says {
        /// The status.
        status: u16,
        /// The body.
        body: String,
    },
}

impl Manner {
    /// Whether the agent has handled a message to which it answers so.
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
