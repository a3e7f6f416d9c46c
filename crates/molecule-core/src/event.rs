//! The events that an agent reports to its application.

mod reply_end;

use std::fmt::{self, Write as _};
use std::time::Duration;

use molecule_proto::{ActivityId, DeliveryMode, PluginName, WorkspaceStatus};
use serde::Serialize;

use crate::printable::Printable;
use crate::text::record::seconds;
use crate::unpack::Progress;
pub use reply_end::ReplyEnd;

/// An event of an agent. No event carries a credential or a secret.
///
/// `Display` is a sentence. As JSON it is an object with `event`, the variant's name (`status_changed`), and `detail`,
/// its fields, where it has any; durations are in seconds. Variants and fields may be added: give a `match` an arm for
/// unknown variants, and its patterns `..`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", content = "detail", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// The platform accepted a register.
    #[non_exhaustive]
    Registered {
        /// How messages reach the agent; `None` on April's server, which knows push mode only.
        delivery_mode: Option<DeliveryMode>,
        /// Whether a token was minted. It is stored then.
        minted: bool,
    },
    /// A request failed for a reason that may pass, and is sent again after a wait. Failed heartbeats and state polls
    /// of the loop are reported as [`Degraded`](Self::Degraded) instead, since each lane has its own interval.
    #[non_exhaustive]
    Retrying {
        /// The operation, as [`Error::operation`](crate::Error::operation) names it.
        operation: &'static str,
        /// Which request of the call failed, counted from 1.
        attempt: u32,
        /// How long the call waits before the next request.
        #[serde(rename = "wait_secs", serialize_with = "seconds")]
        wait: Duration,
        /// The error, in a sentence.
        error: String,
    },
    /// The first good heartbeat since the start, or since the agent was last cut off.
    Online,
    /// A lane of the loop failed. It goes on with backoff.
    #[non_exhaustive]
    Degraded {
        /// The lane.
        lane: Lane,
        /// How many times the lane failed in a row.
        failures: u32,
        /// The error, in a sentence.
        error: String,
    },
    /// A lane of the loop works again.
    #[non_exhaustive]
    Recovered {
        /// The lane.
        lane: Lane,
        /// How many times the lane had failed in a row.
        failures: u32,
    },
    /// The status that the platform shows has changed.
    StatusChanged(WorkspaceStatus),
    /// The workspace was paused.
    Paused,
    /// The workspace is no longer paused.
    Resumed,
    /// The agent now holds another token: a minted, a rotated, or a newly stored one.
    TokenChanged,
    /// The token is stored now, after an earlier save failed.
    TokenStored,
    /// The platform announced a new inbound secret, which is stored.
    InboundSecretChanged,
    /// The agent registered under a placeholder URL, since April's server has no poll mode. Messages reach it at best
    /// as failed rows of its feed.
    #[non_exhaustive]
    PollUnsupported {
        /// The URL that was registered.
        placeholder: String,
    },
    /// The platform does not reach the agent's own server: the agent polls, and tries again later ([`Plan::Auto`](crate::Plan)).
    #[non_exhaustive]
    PushUnreachable {
        /// Why, in a sentence.
        why: String,
    },
    /// The platform reaches the agent's own server, which gets the messages from now on.
    PushReachable,
    /// A plugin's archive is being received; reported at most four times a second.
    #[non_exhaustive]
    PluginProgress {
        /// The plugin.
        plugin: PluginName,
        /// The progress.
        progress: Progress,
    },
    /// A plugin is in its place, and its `setup.sh` starts now.
    PluginSetup(PluginName),
    /// The handler failed or panicked. The message is offered again, or is a dead letter.
    #[non_exhaustive]
    HandlerFailed {
        /// The row of the message.
        message: ActivityId,
        /// The number of the attempt, counted from 1.
        attempt: u32,
        /// The error, in a sentence.
        error: String,
    },
    /// The handler asked to be offered the message again ([`TryAgain`](crate::TryAgain)).
    #[non_exhaustive]
    PutOff {
        /// The row of the message.
        message: ActivityId,
        /// How long it waits.
        #[serde(rename = "wait_secs", serialize_with = "seconds")]
        wait: Duration,
        /// Why, in a clause.
        why: String,
    },
    /// A message is offered no more: every attempt to handle it failed, or it was put off for too long. It is kept: `dead_letters` lists it, and
    /// `retry_dead_letter` offers it again.
    #[non_exhaustive]
    DeadLetter {
        /// The row of the message.
        message: ActivityId,
        /// The number of attempts.
        attempts: u32,
        /// Why the last one failed, in a sentence.
        why: String,
    },
    /// The handler has returned, and it is saved that the message is not offered again. Told only where handlers
    /// [hand messages on](crate::InboxOptions::hand_over).
    #[non_exhaustive]
    MessageDone {
        /// The row of the message.
        message: ActivityId,
    },
    /// A reply to a message came to its end.
    #[non_exhaustive]
    ReplyEnded {
        /// The row of the message.
        message: ActivityId,
        /// The end.
        end: ReplyEnd,
    },
    /// The handler's reply to a message is not sent: nobody reads it, it could begin an endless exchange, or the platform
    /// cannot store it.
    #[non_exhaustive]
    ReplyDropped {
        /// The row of the message.
        message: ActivityId,
        /// The reason, in a sentence.
        why: String,
    },
    /// A problem that does not stop the agent, in a sentence.
    Warning(String),
}

impl Event {
    /// Returns whether an operator should look at the event: something failed, or works less well than it should.
    pub fn is_warning(&self) -> bool {
        match self {
            Self::Degraded { .. }
            | Self::PollUnsupported { .. }
            | Self::PushUnreachable { .. }
            | Self::HandlerFailed { .. }
            | Self::DeadLetter { .. }
            | Self::ReplyDropped { .. }
            | Self::Warning(_) => true,
            Self::ReplyEnded { end, .. } => !end.is_taken(),
            Self::Registered { .. }
            | Self::Retrying { .. }
            | Self::Online
            | Self::Recovered { .. }
            | Self::StatusChanged(_)
            | Self::Paused
            | Self::Resumed
            | Self::TokenChanged
            | Self::TokenStored
            | Self::InboundSecretChanged
            | Self::PushReachable
            | Self::PluginProgress { .. }
            | Self::PluginSetup(_)
            | Self::PutOff { .. }
            | Self::MessageDone { .. } => false,
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Statuses and errors contain untrusted text.
        let mut f = Printable::line(f);
        match self {
            Self::Registered { delivery_mode, minted } => {
                f.write_str("registered")?;
                if let Some(mode) = delivery_mode {
                    write!(f, " in {mode} mode")?;
                }
                f.write_str(if *minted { ", with a token that was minted" } else { "" })
            }
            Self::Retrying { operation, attempt, wait, error } => {
                let secs = wait.as_secs_f64();
                write!(f, "request {attempt} of {operation} failed, the next one follows in {secs:.1} s: {error}")
            }
            Self::Online => f.write_str("online: a heartbeat was answered"),
            Self::Degraded { lane, failures, error } => write!(f, "{lane}: {failures} failures in a row: {error}"),
            Self::Recovered { lane, failures } => write!(f, "{lane}: works again after {failures} failures"),
            Self::StatusChanged(status) => write!(f, "the platform shows the status {status}"),
            Self::Paused => f.write_str("the workspace was paused"),
            Self::Resumed => f.write_str("the workspace is no longer paused"),
            Self::TokenChanged => f.write_str("the agent holds another token"),
            Self::TokenStored => f.write_str("the token is stored, which failed before"),
            Self::InboundSecretChanged => f.write_str("the inbound secret changed"),
            Self::PollUnsupported { placeholder } => {
                write!(f, "the server knows no poll mode: registered under the placeholder {placeholder}")
            }
            Self::PushUnreachable { why } => {
                write!(f, "the platform does not reach the server, so the agent polls: {why}")
            }
            Self::PushReachable => f.write_str("the platform reaches the server"),
            Self::PluginProgress { plugin, progress } => {
                write!(f, "plugin {plugin}: {} bytes received", progress.received)
            }
            Self::PluginSetup(plugin) => write!(f, "plugin {plugin}: setup.sh is run"),
            Self::HandlerFailed { message, attempt, error } => {
                write!(f, "attempt {attempt} to handle message {message} failed: {error}")
            }
            Self::PutOff { message, wait, why } => {
                write!(f, "message {message} is offered again in {:.1} s: {why}", wait.as_secs_f64())
            }
            Self::DeadLetter { message, attempts, why } => {
                write!(f, "message {message} is a dead letter after {attempts} attempts: {why}")
            }
            Self::MessageDone { message } => write!(f, "message {message} is done"),
            Self::ReplyEnded { message, end } => write!(f, "the reply to message {message} is {end}"),
            Self::ReplyDropped { message, why } => write!(f, "the reply to message {message} is not sent: {why}"),
            Self::Warning(sentence) => write!(f, "warning: {sentence}"),
        }
    }
}

/// A lane of the loop: a request that the loop repeats at its own interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Lane {
    /// `POST /registry/heartbeat`.
    Heartbeat,
    /// `GET /workspaces/:id/state`.
    State,
    /// `POST /registry/register`, sent again when there is a reason to.
    Register,
    /// Messages: the reads of the feed and the appends to the journal.
    Inbox,
    /// `POST /workspaces/:id/a2a` to the agent itself: the check whether the platform reaches its server.
    Delivery,
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Heartbeat => "heartbeat",
            Self::State => "state",
            Self::Register => "register",
            Self::Inbox => "inbox",
            Self::Delivery => "delivery",
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_a_sentence_for_people_and_a_record_for_logs() {
        let retrying = Event::Retrying {
            operation: "pull secrets",
            attempt: 2,
            wait: Duration::from_millis(1500),
            error: "no connection".to_owned(),
        };
        let degraded = Event::Degraded { lane: Lane::Heartbeat, failures: 3, error: "no answer".to_owned() };
        let message = ActivityId::from_random([0; 16]);
        for (event, sentence, record) in [
            (
                retrying,
                "request 2 of pull secrets failed, the next one follows in 1.5 s: no connection",
                r#"{"event":"retrying","detail":{"operation":"pull secrets","attempt":2,"wait_secs":1.5,"error":"no connection"}}"#,
            ),
            (
                degraded,
                "heartbeat: 3 failures in a row: no answer",
                r#"{"event":"degraded","detail":{"lane":"heartbeat","failures":3,"error":"no answer"}}"#,
            ),
            (
                Event::StatusChanged(WorkspaceStatus::AwaitingAgent),
                "the platform shows the status awaiting_agent",
                r#"{"event":"status_changed","detail":"awaiting_agent"}"#,
            ),
            (Event::Online, "online: a heartbeat was answered", r#"{"event":"online"}"#),
            (
                Event::ReplyEnded { message: message.clone(), end: ReplyEnd::Refused("no".to_owned()) },
                "the reply to message 00000000-0000-4000-8000-000000000000 is refused: no",
                r#"{"event":"reply_ended","detail":{"message":"00000000-0000-4000-8000-000000000000","end":{"end":"refused","why":"no"}}}"#,
            ),
            (
                Event::ReplyDropped { message, why: "nobody reads it".to_owned() },
                "the reply to message 00000000-0000-4000-8000-000000000000 is not sent: nobody reads it",
                r#"{"event":"reply_dropped","detail":{"message":"00000000-0000-4000-8000-000000000000","why":"nobody reads it"}}"#,
            ),
        ] {
            assert_eq!(event.to_string(), sentence);
            assert_eq!(serde_json::to_string(&event).unwrap(), record);
        }
    }
}
