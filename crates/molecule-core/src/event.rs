//! What an agent tells its application while it works.

use molecule_proto::{DeliveryMode, PluginName, WorkspaceStatus};

use crate::unpack::Progress;

/// Something that happened. No event carries a credential or a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The platform took the agent in.
    Registered {
        /// How messages reach it; `None` on April's server, which knows push alone.
        delivery_mode: Option<DeliveryMode>,
        /// Whether a token was minted (and stored).
        minted: bool,
    },
    /// The first good heartbeat since the start or since the agent was last cut off.
    Online,
    /// A lane of the loop failed; it goes on with backoff.
    Degraded {
        /// Which one.
        lane: Lane,
        /// How many times in a row.
        failures: u32,
        /// Why, in a sentence.
        error: String,
    },
    /// A lane works again.
    Recovered {
        /// Which one.
        lane: Lane,
        /// How many times it had failed.
        failures: u32,
    },
    /// The platform shows another status than before.
    StatusChanged(WorkspaceStatus),
    /// The workspace was paused.
    Paused,
    /// The workspace is no longer paused.
    Resumed,
    /// The agent holds another token now: a minted, rotated, or newly stored one.
    TokenChanged,
    /// The platform announced another inbound secret, which is stored.
    InboundSecretChanged,
    /// April's server knows no poll mode: the agent registered under a placeholder URL, and messages reach it at best as
    /// failed rows of its feed.
    PollUnsupported {
        /// The URL that was registered.
        placeholder: String,
    },
    /// A plugin arrives; told at most four times a second.
    PluginProgress {
        /// Which one.
        plugin: PluginName,
        /// How far it has come.
        progress: Progress,
    },
    /// A plugin is in its place, and its `setup.sh` is run now.
    PluginSetup(PluginName),
    /// Something that the agent goes on without, in a sentence.
    Warning(String),
}

impl Event {
    /// Whether an operator should look at it: something failed, or works less well than it should.
    pub fn is_warning(&self) -> bool {
        match self {
            Self::Degraded { .. } | Self::PollUnsupported { .. } | Self::Warning(_) => true,
            Self::Registered { .. }
            | Self::Online
            | Self::Recovered { .. }
            | Self::StatusChanged(_)
            | Self::Paused
            | Self::Resumed
            | Self::TokenChanged
            | Self::InboundSecretChanged
            | Self::PluginProgress { .. }
            | Self::PluginSetup(_) => false,
        }
    }
}

/// A part of the loop that goes at its own pace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Lane {
    /// `POST /registry/heartbeat`.
    Heartbeat,
    /// `GET /workspaces/:id/state`.
    State,
    /// Registering again, when something asks for it.
    Register,
}

impl std::fmt::Display for Lane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Heartbeat => "heartbeat",
            Self::State => "state",
            Self::Register => "register",
        })
    }
}
