//! The getters with which a test inspects the platform without a request.

use bytes::Bytes;
use molecule_proto::{
    ActivityRow, DeliveryMode, InboundSecret, Now, PluginRefusal, QueueId, QueueItem, Time, Token, TokenId, UnixTime,
    WorkspaceId, WorkspaceStatus, WorkspaceView,
};
use serde_json::Value;

use crate::platform::Platform;
use crate::requests::Party;

/// A message that is or was queued for its agent, as [`Platform::queued`] shows it.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Queued<'a> {
    /// The item, as its route shows it.
    pub item: &'a QueueItem,
    /// The `messageId` of the message; `None` if it has none.
    pub message_id: Option<&'a str>,
    /// The agent that sent it; `None` for everybody else.
    pub source: Option<&'a WorkspaceId>,
}

/// A file that waits for an agent, as [`Platform::uploaded`] shows it.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Uploaded<'a> {
    /// The workspace for which it waits.
    pub owner: &'a WorkspaceId,
    /// Its name, without folders.
    pub name: &'a str,
    /// The MIME type that its sender stated; `""` without one.
    pub mime_type: &'a str,
    /// Its bytes.
    pub content: &'a Bytes,
}

impl Platform {
    /// The number of live tokens of a workspace.
    pub fn live_tokens(&self, id: &WorkspaceId) -> usize {
        self.tokens.live(id)
    }

    /// Returns whether a token authenticates its workspace now.
    pub fn is_live(&self, id: &WorkspaceId, token: &Token) -> bool {
        self.tokens.owner(token.expose()) == Some(id) && self.workspaces.get(id).is_some_and(|row| !row.is_removed())
    }

    /// The workspace that a live bearer authenticates.
    pub fn bearer_of(&self, bearer: &str) -> Option<&WorkspaceId> {
        self.tokens.owner(bearer)
    }

    /// The row of a live bearer, and when it was last used.
    pub fn token_row(&self, bearer: &str) -> Option<(&TokenId, Option<UnixTime>)> {
        self.tokens.row_of(bearer)
    }

    /// The status of a workspace at the time of the last call that passed one; `None` if there is no such workspace.
    pub fn status(&self, id: &WorkspaceId) -> Option<WorkspaceStatus> {
        self.workspaces.get(id).map(|row| row.status.clone())
    }

    /// The open view of a workspace, of a removed one too.
    pub fn workspace(&self, id: &WorkspaceId) -> Option<WorkspaceView> {
        self.workspaces.get(id).map(|row| row.view(self.config.dialect))
    }

    /// The newest live token of a workspace; `None` if it has none. A real platform shows a token once, and never again.
    pub fn newest_token(&self, id: &WorkspaceId) -> Option<Token> {
        self.tokens.newest(id)
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

    /// Returns whether a page of the feed had a row, so that whoever reads the feed can know it.
    pub fn was_read(&self, row: &ActivityRow) -> bool {
        row.seq.is_some_and(|seq| self.feed.was_read(seq))
    }

    /// The state of a message that is or was queued for its agent.
    pub fn queue_item(&self, id: &QueueId) -> Option<&QueueItem> {
        self.mail.queue.get(id).map(|(item, _)| item)
    }

    /// The secret with which the platform calls the agent; `None` until one is minted.
    pub fn inbound_secret(&self, id: &WorkspaceId) -> Option<InboundSecret> {
        self.workspaces.get(id).and_then(|row| row.inbound_secret.clone())
    }

    /// The time of the last register or heartbeat that the platform accepted; `None` if there was none.
    pub fn last_heartbeat(&self, id: &WorkspaceId) -> Option<Now> {
        self.workspaces.get(id)?.last_heartbeat
    }

    /// The names of a workspace's secrets, each with the time of its last change.
    pub fn secret_names(&self, id: &WorkspaceId) -> Vec<(&str, UnixTime)> {
        let secrets = self.workspaces.get(id).into_iter().flat_map(|row| &row.secrets);
        secrets.map(|(name, stored)| (name.as_str(), stored.updated)).collect()
    }

    /// The messages that are or were queued for an agent, oldest first.
    pub fn queued(&self, id: &WorkspaceId) -> Vec<Queued<'_>> {
        self.mail.queue.of(id)
    }

    /// The number of messages with which the platform is calling an agent now.
    pub fn calls_in_flight(&self, id: &WorkspaceId) -> usize {
        self.mail.calls_to(id).count()
    }

    /// Returns whether the platform is calling an agent with the message of this id now.
    pub fn is_calling_with(&self, id: &WorkspaceId, message_id: &str) -> bool {
        self.mail.calls_to(id).any(|envelope| envelope.message_id() == Some(message_id))
    }

    /// The newest requests from or to a workspace, newest first and at most 50, as their route shows them: `id`, `kind`,
    /// `title`, `status`, `requester_type` and so on, with their thread in `messages`.
    pub fn requests_of(&self, id: &WorkspaceId) -> Vec<Value> {
        let is_of = |party: &Party| party.is(id);
        let found = self.requests.newest(|request| {
            let about = request.about();
            is_of(&about.requester) || is_of(&about.recipient)
        });
        let shown = found.into_iter().map(|request| {
            let mut shown = self.shown_request(request);
            shown["messages"] = serde_json::json!(request.messages());
            shown
        });
        shown.collect()
    }

    /// A file that waits for an agent, by its id; `None` if it is unknown or has expired.
    pub fn uploaded(&self, file: &str) -> Option<Uploaded<'_>> {
        let upload = self.uploads.get(file)?;
        let (name, mime_type) = (upload.name.as_str(), upload.mime_type.as_str());
        Some(Uploaded { owner: &upload.owner, name, mime_type, content: &upload.content })
    }

    /// Checks a plugin of the registry as a download does.
    ///
    /// # Errors
    /// The body of the answer that a download would get.
    pub fn check_plugin(&self, name: &str) -> Result<(), PluginRefusal> {
        let fetched = self.plugins.fetch(self.config.dialect, &format!("local://{name}"), None);
        fetched.map(|_| ()).map_err(|(_, refusal)| refusal)
    }
}
