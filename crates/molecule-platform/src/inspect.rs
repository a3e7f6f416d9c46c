//! The getters with which a test inspects the platform without a request.

use molecule_proto::{
    ActivityRow, DeliveryMode, InboundSecret, QueueId, QueueItem, Time, Token, WorkspaceId, WorkspaceStatus,
    WorkspaceView,
};

use crate::platform::Platform;

impl Platform {
    /// The number of live tokens of a workspace.
    pub fn live_tokens(&self, id: &WorkspaceId) -> usize {
        self.tokens.live(id)
    }

    /// Returns whether a token authenticates its workspace now.
    pub fn is_live(&self, id: &WorkspaceId, token: &Token) -> bool {
        self.tokens.owner(token.expose()) == Some(id) && self.workspaces.get(id).is_some_and(|row| !row.is_removed())
    }

    /// The status of a workspace at the time of the last call that passed one; `None` if there is no such workspace.
    pub fn status(&self, id: &WorkspaceId) -> Option<WorkspaceStatus> {
        self.workspaces.get(id).map(|row| row.status.clone())
    }

    /// The open view of a workspace, of a removed one too.
    pub fn workspace(&self, id: &WorkspaceId) -> Option<WorkspaceView> {
        self.workspaces.get(id).map(|row| row.view(self.config.dialect))
    }

    /// Every workspace, the current server's own root included.
    pub fn workspaces(&self) -> impl Iterator<Item = &WorkspaceId> {
        self.workspaces.keys()
    }

    /// How messages reach the agent; `None` if there is no such workspace.
    pub fn delivery_mode(&self, id: &WorkspaceId) -> Option<DeliveryMode> {
        self.workspaces.get(id).map(|row| row.delivery_mode.clone())
    }

    /// The current task and the month's spend in US cents, as the last heartbeat reported them.
    pub fn reported_work(&self, id: &WorkspaceId) -> Option<(String, i64)> {
        self.workspaces.get(id).map(|row| (row.reported.current_task.clone(), row.reported.monthly_spend))
    }

    /// The rows of a workspace's feed, newest first. Each has its number, on April's server too.
    pub fn activity(&self, id: &WorkspaceId) -> Vec<&ActivityRow> {
        self.feed.newest_first(id)
    }

    /// The time from which readers see a row of a feed, on the platform's monotonic clock; `None` if they see it from its
    /// creation on.
    pub fn activity_visible_from(&self, row: &ActivityRow) -> Option<Time> {
        self.feed.visible_from(row.seq?)
    }

    /// The number of the newest row that the agent acknowledged; `None` if it acknowledged none.
    pub fn last_acked(&self, id: &WorkspaceId) -> Option<i64> {
        self.feed.acked(id)
    }

    /// The state of a message that is or was queued for its agent.
    pub fn queue_item(&self, id: &QueueId) -> Option<&QueueItem> {
        self.mail.queue.get(id).map(|(item, _)| item)
    }

    /// The secret with which the platform calls the agent; `None` until one is minted.
    pub fn inbound_secret(&self, id: &WorkspaceId) -> Option<InboundSecret> {
        self.workspaces.get(id).and_then(|row| row.inbound_secret.clone())
    }
}
