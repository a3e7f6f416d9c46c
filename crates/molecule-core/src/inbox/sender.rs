//! Who wrote a message.

use std::fmt;

use molecule_proto::{ActivityId, WorkspaceId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::printable::line;

/// Who wrote a message, by the row of the feed and not by what the text says of itself.
///
/// The platform names a peer by its credential. People, channels, webhooks and the platform itself all come without a
/// sender, and the markers of the message tell them apart (contract section 12.5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "from", content = "detail", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Sender {
    /// A person, or a program that writes as one: an operator's script, the door for third parties. Somebody who calls
    /// April's server without a workspace of its own looks like a person, too.
    User,
    /// Another agent.
    #[non_exhaustive]
    Peer {
        /// Its workspace, which the platform has verified.
        id: WorkspaceId,
        /// Its name. The peer chose it: show it, and decide nothing by it. Not on April's server.
        name: Option<String>,
        /// Its role, under the same conditions.
        role: Option<String>,
    },
    /// The platform itself. Nobody reads an answer.
    Platform(PlatformKind),
    /// A channel such as `telegram` or `slack`, or the webhook `github`.
    Channel(String),
    /// The agent itself, or another program of its workspace.
    Own,
    /// Nobody whom this version knows.
    Unknown,
}

impl Sender {
    /// Returns whether somebody waits for an answer: a user, a peer, or a channel other than a webhook. A reply to
    /// anyone else is not sent.
    pub fn may_be_answered(&self) -> bool {
        match self {
            Self::User | Self::Peer { .. } => true,
            Self::Channel(kind) => kind != GITHUB,
            Self::Platform(_) | Self::Own | Self::Unknown => false,
        }
    }

    /// The conversation of a message of this sender with this `params.metadata`.
    pub(crate) fn conversation(&self, metadata: &Map<String, Value>) -> Conversation {
        match self {
            Self::User => Conversation::User,
            Self::Peer { id, .. } => Conversation::Peer(id.clone()),
            Self::Channel(kind) => {
                let chat = ["chat_id", "channel_id"].iter().find_map(|key| metadata.get(*key)?.as_str());
                Conversation::Channel { kind: kind.clone(), chat: short(chat.unwrap_or_default()) }
            }
            Self::Platform(_) | Self::Own | Self::Unknown => Conversation::Platform,
        }
    }
}

impl fmt::Display for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User => f.write_str("the user"),
            Self::Peer { id, name: Some(name), .. } => write!(f, "peer {id} ({})", line(name)),
            Self::Peer { id, .. } => write!(f, "peer {id}"),
            Self::Platform(kind) => write!(f, "the platform ({kind})"),
            Self::Channel(kind) => write!(f, "channel {}", line(kind)),
            Self::Own => f.write_str("the agent itself"),
            Self::Unknown => f.write_str("an unknown sender"),
        }
    }
}

/// The channel of GitHub's webhooks, to which no answer goes back.
pub(super) const GITHUB: &str = "github";

/// What the platform wrote about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
#[non_exhaustive]
pub enum PlatformKind {
    /// Requests addressed to the agent wait for its response: list them (`GET /workspaces/:id/requests/inbox`) and act.
    InboxNudge,
    /// The agent was busy for long without any activity. Any new row in its feed answers it.
    StallProbe,
    /// Somebody responded to a request of the agent.
    RequestResponded,
    /// Somebody wrote into the thread of a request of the agent.
    RequestMessage,
    /// The agent was restarted. On April's server only.
    RestartContext,
    /// The agent came online for the first time.
    FirstBootGreeting,
    /// A schedule is due. On April's server only.
    Schedule,
    /// A delegation of the agent ended: the text is its result, or its error if the row's `status` is `error`.
    DelegationResult,
    /// A broadcast to the whole organisation; the text is the platform's summary, cut at 120 characters.
    Broadcast,
    /// A kind that this version does not know, as the platform wrote it.
    Other(String),
}

impl PlatformKind {
    const NAMED: [Self; 9] = [
        Self::InboxNudge,
        Self::StallProbe,
        Self::RequestResponded,
        Self::RequestMessage,
        Self::RestartContext,
        Self::FirstBootGreeting,
        Self::Schedule,
        Self::DelegationResult,
        Self::Broadcast,
    ];

    /// The kind as one word, such as `inbox_nudge`.
    pub fn as_str(&self) -> &str {
        match self {
            Self::InboxNudge => "inbox_nudge",
            Self::StallProbe => "stall_probe",
            Self::RequestResponded => "request_responded",
            Self::RequestMessage => "request_message",
            Self::RestartContext => "restart_context",
            Self::FirstBootGreeting => "first_boot_greeting",
            Self::Schedule => "schedule",
            Self::DelegationResult => "delegation_result",
            Self::Broadcast => "broadcast",
            Self::Other(word) => word,
        }
    }
}

impl From<String> for PlatformKind {
    fn from(word: String) -> Self {
        Self::NAMED.into_iter().find(|kind| kind.as_str() == word).unwrap_or(Self::Other(word))
    }
}

impl From<PlatformKind> for String {
    fn from(kind: PlatformKind) -> Self {
        kind.as_str().to_owned()
    }
}

impl fmt::Display for PlatformKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&line(self.as_str()))
    }
}

/// Messages of one conversation are handled one after another, in the order of the feed.
///
/// The last variant is no conversation of a sender: the schedule makes it where messages do not wait for each other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Conversation {
    User,
    Peer(WorkspaceId),
    Channel { kind: String, chat: String },
    Platform,
    Message(ActivityId),
}

/// The most characters that are kept of a word that a stranger wrote.
const SHORT: usize = 128;

/// The beginning of a word that a stranger wrote.
pub(super) fn short(text: &str) -> String {
    text.chars().take(SHORT).collect()
}
