//! The closed and open sets of words that the platform uses.

use serde::Deserializer;

use crate::lenient::or_default;
use crate::words::words;

words! {
    /// A workspace's status (contract section 3).
    WorkspaceStatus {
        /// Created, without a register or a heartbeat yet. April's server gives this status also to a new external
        /// workspace.
        Provisioning = "provisioning",
        /// The agent registered or sent a heartbeat within the liveness limit.
        Online = "online",
        /// Online, with a high error rate, a wedged runtime, or a register that failed recently.
        Degraded = "degraded",
        /// Without a register or a heartbeat for too long (April; and runtimes of the kimi family).
        Offline = "offline",
        /// Could not be started. An external workspace has this status after a resume, until its next heartbeat.
        Failed = "failed",
        /// Paused by its owner.
        Paused = "paused",
        /// Put to sleep.
        Hibernated = "hibernated",
        /// Being put to sleep.
        Hibernating = "hibernating",
        /// An external workspace without a register or a heartbeat yet, or without a heartbeat for too long.
        AwaitingAgent = "awaiting_agent",
        /// Deleted.
        Removed = "removed",
    }
}

impl WorkspaceStatus {
    /// The empty word, for an answer without a status.
    pub(crate) fn unknown() -> Self {
        Self::Other(String::new())
    }

    /// Reads any word; a value that is not a string reads as the empty word.
    pub(crate) fn lenient<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        or_default::<D, String>(deserializer).map(Self::from)
    }
}

words! {
    /// How messages reach an agent (contract section 4.2).
    DeliveryMode {
        /// The platform calls the agent's registered URL.
        Push = "push",
        /// The agent reads its activity feed.
        Poll = "poll",
    }
}

words! {
    /// The kind of a workspace (contract section 4.1).
    WorkspaceKind {
        /// An ordinary workspace.
        Workspace = "workspace",
        /// The organisation's own root agent.
        Platform = "platform",
    }
}

words! {
    /// The state of an agent's runtime in a heartbeat (contract section 5.1).
    RuntimeState {
        /// Healthy: the empty word.
        Healthy = "",
        /// Stuck: the workspace is degraded until a heartbeat has another state.
        Wedged = "wedged",
    }
}

#[allow(clippy::derivable_impls)] // The macro that writes the enum knows no default.
impl Default for RuntimeState {
    fn default() -> Self {
        Self::Healthy
    }
}

impl RuntimeState {
    /// Whether this is the empty word, which a heartbeat leaves out.
    pub fn is_healthy(&self) -> bool {
        *self == Self::Healthy
    }
}
