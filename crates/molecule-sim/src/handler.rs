//! Made-up handlers of messages, as a scenario describes them.

use serde::{Deserialize, Serialize};

/// How an agent's handler behaves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Handler {
    /// What it does with a message.
    pub manner: HandlerManner,
    /// How long it takes, in milliseconds.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub takes_ms: u32,
}

/// What a handler does with a message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum HandlerManner {
    /// It replies.
    #[default]
    Echo,
    /// It replies, also to replies.
    Continues,
    /// It handles the message and says nothing.
    Nothing,
    /// It puts the reply off, and the application gives it after this many seconds.
    Later(u16),
    /// It fails.
    Fails,
    /// It fails in this many attempts, and replies then.
    FailsFirst(u8),
    /// It panics.
    Panics,
    /// It cannot be called, for want of a thread.
    Uncalled,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}
