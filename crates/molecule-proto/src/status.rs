//! The closed and open sets of words that the platform uses.

use serde::Deserializer;

use crate::lenient::or_default;
use crate::words::words;

words! {
    /// A workspace's status (contract section 3).
    WorkspaceStatus {
        /// Created, not yet heard of. On April's server also what a created external workspace is.
        Provisioning = "provisioning",
        /// Heard of within the liveness limit.
        Online = "online",
        /// Online, with a high error rate, a wedged runtime, or a register that failed lately.
        Degraded = "degraded",
        /// Silent for too long (April; and runtimes of the kimi family).
        Offline = "offline",
        /// Could not be started; after a resume an external workspace is this until its next beat.
        Failed = "failed",
        /// Paused by its owner.
        Paused = "paused",
        /// Put to sleep.
        Hibernated = "hibernated",
        /// On its way to sleep.
        Hibernating = "hibernating",
        /// An external workspace whose agent has not been heard of, or not for too long.
        AwaitingAgent = "awaiting_agent",
        /// Deleted.
        Removed = "removed",
    }
}

impl WorkspaceStatus {
    /// The empty word, where none was sent.
    pub(crate) fn unknown() -> Self {
        Self::Other(String::new())
    }

    /// Any word, and the empty one for what is none.
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
    /// What a workspace is (contract section 4.1).
    WorkspaceKind {
        /// An ordinary workspace.
        Workspace = "workspace",
        /// The organisation's own root agent.
        Platform = "platform",
    }
}

words! {
    /// How an agent feels, as a heartbeat reports it (contract section 5.1).
    RuntimeState {
        /// Healthy: the empty word.
        Healthy = "",
        /// Stuck: degrades the workspace until a beat says otherwise.
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
    /// Whether this is the empty word, which is left out of a heartbeat.
    pub fn is_healthy(&self) -> bool {
        *self == Self::Healthy
    }
}
