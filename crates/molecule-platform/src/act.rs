//! The acts of a workspace's owner as data, so that they can be sent, stored and repeated.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use molecule_proto::{Message, Now, Token, TokenId, UnixTime, WorkspaceId};
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::outside::{ChannelMessage, Webhook};
use crate::owner::{CreateRefused, PauseRefused, ResumeRefused};
use crate::platform::Platform;
use crate::plugin::{PluginTree, SourceRefused};
use crate::requests::RequestKind;
use crate::tokens::TokenKind;
use crate::wire;

/// An act of an owner, or of somebody outside: each variant is a method of [`Platform`], whose docs say what it does.
///
/// As JSON it is an object with the act's name under `act` and its fields beside it.
///
/// ```
/// use molecule_platform::{Act, Acted, Config, Dialect, Now, Platform};
///
/// let act: Act = serde_json::from_str(r#"{"act": "create_workspace", "name": "my-agent"}"#)?;
/// let mut platform = Platform::new(Config::new(Dialect::Current));
/// let Acted::Created { id, token } = platform.act(Now::default(), act) else { panic!("it is never refused") };
/// assert!(token.is_some_and(|token| platform.is_live(&id, &token)));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Act {
    /// [`Platform::create_workspace`], [`Platform::create_workspace_at`] or [`Platform::create_workspace_below`].
    CreateWorkspace {
        /// Its name.
        name: String,
        /// The URL at which its agent is called. With one it has no token until its agent registers.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        url: Option<String>,
        /// The workspace above it; not together with a URL.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parent: Option<WorkspaceId>,
    },
    /// [`Platform::pause`].
    Pause {
        /// The workspace.
        id: WorkspaceId,
        /// Whether its descendants are paused as well.
        #[serde(default)]
        cascade: bool,
    },
    /// [`Platform::resume`].
    Resume {
        /// The workspace.
        id: WorkspaceId,
        /// Whether its descendants are resumed as well.
        #[serde(default)]
        cascade: bool,
    },
    /// [`Platform::delete`].
    Delete {
        /// The workspace.
        id: WorkspaceId,
        /// Whether its row is removed too.
        #[serde(default)]
        purge: bool,
    },
    /// [`Platform::hibernate`].
    Hibernate {
        /// The workspace.
        id: WorkspaceId,
    },
    /// [`Platform::rotate`].
    Rotate {
        /// The workspace.
        id: WorkspaceId,
    },
    /// [`Platform::mint_token`].
    MintToken {
        /// The workspace.
        id: WorkspaceId,
        /// The kind of the token.
        kind: TokenKind,
    },
    /// [`Platform::revoke_token`].
    RevokeToken {
        /// The workspace.
        id: WorkspaceId,
        /// The id of the token's row.
        row: TokenId,
    },
    /// [`Platform::revoke_tokens`].
    RevokeTokens {
        /// The workspace.
        id: WorkspaceId,
    },
    /// [`Platform::set_secret`].
    SetSecret {
        /// The workspace.
        id: WorkspaceId,
        /// The secret's name.
        key: String,
        /// The secret.
        value: String,
    },
    /// [`Platform::remove_secret`].
    RemoveSecret {
        /// The workspace.
        id: WorkspaceId,
        /// The secret's name.
        key: String,
    },
    /// [`Platform::set_budget`].
    SetBudget {
        /// The workspace.
        id: WorkspaceId,
        /// The most that it may spend in a month, in US cents.
        limit: Option<i64>,
    },
    /// [`Platform::set_can_delegate`], [`Platform::set_can_broadcast`] and [`Platform::set_can_talk_to_user`]; what is
    /// `None` stays.
    SetAbilities {
        /// The workspace.
        id: WorkspaceId,
        /// Whether it may talk to others and delegate.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        delegate: Option<bool>,
        /// Whether it may broadcast.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        broadcast: Option<bool>,
        /// Whether it may send messages to its user.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        talk_to_user: Option<bool>,
    },
    /// [`Platform::send_user_message`].
    SendUserMessage {
        /// The agent's workspace.
        to: WorkspaceId,
        /// The message.
        message: Message,
    },
    /// [`Platform::send_agent_message`].
    SendAgentMessage {
        /// The sender's workspace.
        from: WorkspaceId,
        /// The agent's workspace.
        to: WorkspaceId,
        /// The message.
        message: Message,
    },
    /// [`Platform::send_broadcast`].
    SendBroadcast {
        /// The sender's workspace.
        from: WorkspaceId,
        /// The text.
        text: String,
    },
    /// [`Platform::send_channel_message`].
    SendChannelMessage {
        /// The agent's workspace.
        to: WorkspaceId,
        /// The message.
        message: ChannelMessage,
    },
    /// [`Platform::send_webhook`].
    SendWebhook {
        /// The agent's workspace.
        to: WorkspaceId,
        /// The event.
        webhook: Webhook,
    },
    /// [`Platform::upload`].
    Upload {
        /// The agent's workspace.
        to: WorkspaceId,
        /// The file's name.
        name: String,
        /// Its MIME type; `""` without one.
        #[serde(default)]
        mime_type: String,
        /// Its content; in JSON in Base64.
        #[serde(with = "wire::base64")]
        content: Bytes,
    },
    /// [`Platform::raise_request`].
    RaiseRequest {
        /// The agent's workspace.
        to: WorkspaceId,
        /// What the agent is asked for.
        kind: RequestKind,
        /// The request's title.
        title: String,
    },
    /// [`Platform::respond_to_request`].
    RespondToRequest {
        /// The request's id.
        request: String,
        /// `done`, `approved` or `rejected`.
        action: String,
    },
    /// [`Platform::add_request_message`].
    AddRequestMessage {
        /// The request's id.
        request: String,
        /// The message.
        text: String,
    },
    /// [`Platform::nudge`].
    Nudge {
        /// The workspace.
        id: WorkspaceId,
    },
    /// [`Platform::probe_for_stall`].
    ProbeForStall {
        /// The workspace.
        id: WorkspaceId,
    },
    /// [`Platform::greet`].
    Greet {
        /// The workspace.
        id: WorkspaceId,
    },
    /// [`Platform::send_restart_context`].
    SendRestartContext {
        /// The workspace.
        id: WorkspaceId,
    },
    /// [`Platform::run_schedule`].
    RunSchedule {
        /// The workspace.
        id: WorkspaceId,
        /// The schedule's prompt.
        prompt: String,
    },
    /// [`Platform::add_plugin`].
    AddPlugin {
        /// The plugin.
        plugin: PluginTree,
    },
    /// [`Platform::add_plugin_at`].
    AddPluginAt {
        /// Its source, such as `github://acme/my-plugin#v1`.
        source: String,
        /// The plugin.
        plugin: PluginTree,
    },
    /// [`Platform::remove_plugin`].
    RemovePlugin {
        /// The plugin's name.
        name: String,
    },
    /// [`Platform::set_memory_create_race`].
    SetMemoryCreateRace {
        /// Whether a create that lost is told 500.
        is_on: bool,
    },
    /// [`Platform::set_database_down`].
    SetDatabaseDown {
        /// Whether the database is unreachable.
        down: bool,
    },
    /// [`Platform::set_streams_silent`].
    SetStreamsSilent {
        /// Whether event streams lose every event.
        silent: bool,
    },
    /// [`Platform::set_rows_late`].
    SetRowsLate {
        /// The longest time until readers see a row, in milliseconds.
        most_ms: u64,
    },
    /// [`Platform::prune_activity`].
    PruneActivity {
        /// The workspace.
        id: WorkspaceId,
        /// The rows that were created before this time are removed.
        before: UnixTime,
    },
}

impl Act {
    /// The act's name in JSON, such as `create_workspace`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::CreateWorkspace { .. } => "create_workspace",
            Self::Pause { .. } => "pause",
            Self::Resume { .. } => "resume",
            Self::Delete { .. } => "delete",
            Self::Hibernate { .. } => "hibernate",
            Self::Rotate { .. } => "rotate",
            Self::MintToken { .. } => "mint_token",
            Self::RevokeToken { .. } => "revoke_token",
            Self::RevokeTokens { .. } => "revoke_tokens",
            Self::SetSecret { .. } => "set_secret",
            Self::RemoveSecret { .. } => "remove_secret",
            Self::SetBudget { .. } => "set_budget",
            Self::SetAbilities { .. } => "set_abilities",
            Self::SendUserMessage { .. } => "send_user_message",
            Self::SendAgentMessage { .. } => "send_agent_message",
            Self::SendBroadcast { .. } => "send_broadcast",
            Self::SendChannelMessage { .. } => "send_channel_message",
            Self::SendWebhook { .. } => "send_webhook",
            Self::Upload { .. } => "upload",
            Self::RaiseRequest { .. } => "raise_request",
            Self::RespondToRequest { .. } => "respond_to_request",
            Self::AddRequestMessage { .. } => "add_request_message",
            Self::Nudge { .. } => "nudge",
            Self::ProbeForStall { .. } => "probe_for_stall",
            Self::Greet { .. } => "greet",
            Self::SendRestartContext { .. } => "send_restart_context",
            Self::RunSchedule { .. } => "run_schedule",
            Self::AddPlugin { .. } => "add_plugin",
            Self::AddPluginAt { .. } => "add_plugin_at",
            Self::RemovePlugin { .. } => "remove_plugin",
            Self::SetMemoryCreateRace { .. } => "set_memory_create_race",
            Self::SetDatabaseDown { .. } => "set_database_down",
            Self::SetStreamsSilent { .. } => "set_streams_silent",
            Self::SetRowsLate { .. } => "set_rows_late",
            Self::PruneActivity { .. } => "prune_activity",
        }
    }
}

impl fmt::Debug for Act {
    /// Writes the name alone: some acts have secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Act").field(&self.name()).finish()
    }
}

/// What an [`Act`] gave. As JSON it is an object with the outcome's name under `acted`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "acted", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Acted {
    /// A workspace was created.
    Created {
        /// Its id.
        id: WorkspaceId,
        /// Its first token; `None` if it has a URL.
        #[serde(default, serialize_with = "Token::serialize_option", skip_serializing_if = "Option::is_none")]
        token: Option<Token>,
    },
    /// A token was minted.
    Token {
        /// The token.
        #[serde(serialize_with = "Token::serialize")]
        token: Token,
    },
    /// The number of workspaces, tokens or rows that were changed, or of descendants that were deleted.
    Count {
        /// The number.
        count: u64,
    },
    /// A message was sent.
    Sent {
        /// Its message id.
        message_id: String,
    },
    /// A file was uploaded.
    Uploaded {
        /// Its URI, which a message can name.
        uri: String,
    },
    /// A request was raised.
    Raised {
        /// Its id.
        request: String,
    },
    /// It is done, and there is nothing to tell.
    Done,
    /// The act was refused, and changed nothing.
    Refused {
        /// Why, as a sentence.
        why: String,
    },
}

impl Acted {
    fn refused(why: impl Into<String>) -> Self {
        Self::Refused { why: why.into() }
    }

    fn done_if(done: bool, otherwise: &str) -> Self {
        if done { Self::Done } else { Self::refused(otherwise) }
    }

    fn sent(message_id: Option<String>, otherwise: &str) -> Self {
        message_id.map_or_else(|| Self::refused(otherwise), |message_id| Self::Sent { message_id })
    }
}

const NO_WORKSPACE: &str = "there is no such workspace";
const NO_WORKSPACE_OR_APRIL: &str = "there is no such workspace, or this server does not have this feature";
const NO_REQUEST: &str = "the request is unknown or resolved, or has no such action";

impl Platform {
    /// Performs an act that is given as data.
    pub fn act(&mut self, now: Now, act: Act) -> Acted {
        match act {
            Act::CreateWorkspace { name, url, parent } => self.act_create(now, &name, url.as_deref(), parent.as_ref()),
            Act::Pause { id, cascade } => match self.pause(now, &id, cascade) {
                Ok(count) => Acted::Count { count },
                Err(refused) => Acted::refused(pause_refused(&refused)),
            },
            Act::Resume { id, cascade } => match self.resume(now, &id, cascade) {
                Ok(count) => Acted::Count { count },
                Err(refused) => Acted::refused(resume_refused(&refused)),
            },
            Act::Delete { id, purge } => self
                .delete(now, &id, purge)
                .map_or_else(|| Acted::refused(NO_WORKSPACE), |count| Acted::Count { count }),
            Act::Hibernate { id } => Acted::done_if(self.hibernate(now, &id), NO_WORKSPACE),
            Act::Rotate { id } => minted(self.rotate(now, &id)),
            Act::MintToken { id, kind } => minted(self.mint_token(now, &id, kind)),
            Act::RevokeToken { id, row } => Acted::done_if(self.revoke_token(&id, &row), "there is no such token"),
            Act::RevokeTokens { id } => Acted::Count { count: self.revoke_tokens(&id) as u64 },
            Act::SetSecret { id, key, value } => Acted::done_if(self.set_secret(now, &id, &key, &value), NO_WORKSPACE),
            Act::RemoveSecret { id, key } => Acted::done_if(self.remove_secret(&id, &key), "there is no such secret"),
            Act::SetBudget { id, limit } => Acted::done_if(self.set_budget(&id, limit), NO_WORKSPACE),
            Act::SetAbilities { id, delegate, broadcast, talk_to_user } => {
                let known = delegate.is_none_or(|can| self.set_can_delegate(&id, can))
                    && broadcast.is_none_or(|can| self.set_can_broadcast(&id, can))
                    && talk_to_user.is_none_or(|can| self.set_can_talk_to_user(&id, can));
                Acted::done_if(known, NO_WORKSPACE)
            }
            Act::SendUserMessage { to, message } => {
                Acted::sent(self.send_user_message(now, &to, message), NO_WORKSPACE)
            }
            Act::SendAgentMessage { from, to, message } => {
                let refusal = "one of the workspaces does not exist, or they may not talk to each other";
                Acted::sent(self.send_agent_message(now, &from, &to, message), refusal)
            }
            Act::SendBroadcast { from, text } => match self.send_broadcast(now, &from, &text) {
                Some(count) => Acted::Count { count: count as u64 },
                None => Acted::refused(NO_WORKSPACE_OR_APRIL),
            },
            Act::SendChannelMessage { to, message } => {
                Acted::sent(self.send_channel_message(now, &to, message), NO_WORKSPACE)
            }
            Act::SendWebhook { to, webhook } => Acted::sent(self.send_webhook(now, &to, webhook), NO_WORKSPACE),
            Act::Upload { to, name, mime_type, content } => match self.upload(now, &to, &name, &mime_type, content) {
                Some(uri) => Acted::Uploaded { uri },
                None => Acted::refused(
                    "files wait for registered poll agents of the current server alone, and are not empty",
                ),
            },
            Act::RaiseRequest { to, kind, title } => match self.raise_request(now, &to, kind, &title) {
                Some(request) => Acted::Raised { request },
                None => Acted::refused(NO_WORKSPACE_OR_APRIL),
            },
            Act::RespondToRequest { request, action } => {
                Acted::done_if(self.respond_to_request(now, &request, &action), NO_REQUEST)
            }
            Act::AddRequestMessage { request, text } => {
                Acted::done_if(self.add_request_message(now, &request, &text), "there is no such request")
            }
            Act::Nudge { id } => Acted::sent(self.nudge(now, &id), NO_WORKSPACE_OR_APRIL),
            Act::ProbeForStall { id } => Acted::sent(self.probe_for_stall(now, &id), NO_WORKSPACE_OR_APRIL),
            Act::Greet { id } => Acted::sent(self.greet(now, &id), NO_WORKSPACE_OR_APRIL),
            Act::SendRestartContext { id } => Acted::sent(self.send_restart_context(now, &id), NO_WORKSPACE_OR_APRIL),
            Act::RunSchedule { id, prompt } => Acted::sent(self.run_schedule(now, &id, &prompt), NO_WORKSPACE_OR_APRIL),
            Act::AddPlugin { plugin } => {
                self.add_plugin(plugin);
                Acted::Done
            }
            Act::AddPluginAt { source, plugin } => match self.add_plugin_at(&source, plugin) {
                Ok(()) => Acted::Done,
                Err(refused) => Acted::refused(source_refused(&refused)),
            },
            Act::RemovePlugin { name } => Acted::done_if(self.remove_plugin(&name), "there is no such plugin"),
            Act::SetMemoryCreateRace { is_on } => {
                self.set_memory_create_race(is_on);
                Acted::Done
            }
            Act::SetDatabaseDown { down } => {
                self.set_database_down(down);
                Acted::Done
            }
            Act::SetStreamsSilent { silent } => {
                self.set_streams_silent(silent);
                Acted::Done
            }
            Act::SetRowsLate { most_ms } => {
                self.set_rows_late(Duration::from_millis(most_ms));
                Acted::Done
            }
            Act::PruneActivity { id, before } => Acted::Count { count: self.prune_activity(&id, before) as u64 },
        }
    }

    fn act_create(&mut self, now: Now, name: &str, url: Option<&str>, parent: Option<&WorkspaceId>) -> Acted {
        let created = match (url, parent) {
            (Some(_), Some(_)) => return Acted::refused("a new workspace has a URL or a parent, not both"),
            (Some(url), None) => self.create_workspace_at(now, name, url).map(|id| (id, None)),
            (None, Some(parent)) => self.create_workspace_below(now, name, parent).map(|(id, token)| (id, Some(token))),
            (None, None) => {
                let (id, token) = self.create_workspace(now, name);
                Ok((id, Some(token)))
            }
        };
        match created {
            Ok((id, token)) => Acted::Created { id, token },
            Err(CreateRefused::NoParent) => Acted::refused("the parent does not exist"),
            Err(CreateRefused::UnsafeUrl(why)) => Acted::Refused { why },
        }
    }

    /// The configuration that the platform was created with.
    pub fn config(&self) -> &Config {
        &self.config
    }
}

fn minted(token: Option<Token>) -> Acted {
    token.map_or_else(|| Acted::refused(NO_WORKSPACE), |token| Acted::Token { token })
}

fn pause_refused(refused: &PauseRefused) -> String {
    match refused {
        PauseRefused::NotFound => "the workspace is unknown, removed or already paused".to_owned(),
        PauseRefused::Descendants(below) => {
            format!("the workspace has {} descendants: pause them too, with `cascade`", below.len())
        }
    }
}

fn resume_refused(refused: &ResumeRefused) -> String {
    match refused {
        ResumeRefused::NotPaused => "the workspace is unknown or not paused".to_owned(),
        ResumeRefused::NoProvisioner => {
            "the server cannot start containers, so that a paused workspace stays paused".to_owned()
        }
        ResumeRefused::ParentPaused => "the parent workspace is paused".to_owned(),
        ResumeRefused::Descendants(below) => {
            format!("the workspace has {} paused descendants: resume them too, with `cascade`", below.len())
        }
    }
}

fn source_refused(refused: &SourceRefused) -> &'static str {
    match refused {
        SourceRefused::Scheme => "the server fetches no source of this scheme",
        SourceRefused::Unpinned => "the source names no version: write one after `#`",
        SourceRefused::Repository => "the source names no repository",
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{Dialect, PluginTree};

    const ID: &str = "00000000-0000-4000-8000-000000000001";

    /// An act of every kind, on a workspace that does not exist, and on no plugin.
    fn every_kind() -> Vec<Value> {
        let message = json!({"kind": "message", "role": "user", "parts": [{"kind": "text", "text": "hi"}]});
        let channel = serde_json::to_value(ChannelMessage::new("telegram", "42", "hello").chat("7")).unwrap();
        let webhook = serde_json::to_value(Webhook::github("issues", "opened", "look").delivery("d")).unwrap();
        let plugin = serde_json::to_value(PluginTree::new("x").file("a", "b")).unwrap();
        vec![
            json!({"act": "create_workspace", "name": "a", "parent": ID}),
            json!({"act": "pause", "id": ID, "cascade": true}),
            json!({"act": "resume", "id": ID, "cascade": false}),
            json!({"act": "delete", "id": ID, "purge": true}),
            json!({"act": "hibernate", "id": ID}),
            json!({"act": "rotate", "id": ID}),
            json!({"act": "mint_token", "id": ID, "kind": "api"}),
            json!({"act": "revoke_token", "id": ID, "row": ID}),
            json!({"act": "revoke_tokens", "id": ID}),
            json!({"act": "set_secret", "id": ID, "key": "K", "value": "v"}),
            json!({"act": "remove_secret", "id": ID, "key": "K"}),
            json!({"act": "set_budget", "id": ID, "limit": 5}),
            json!({"act": "set_abilities", "id": ID, "delegate": true}),
            json!({"act": "send_user_message", "to": ID, "message": message}),
            json!({"act": "send_agent_message", "from": ID, "to": ID, "message": message}),
            json!({"act": "send_broadcast", "from": ID, "text": "t"}),
            json!({"act": "send_channel_message", "to": ID, "message": channel}),
            json!({"act": "send_webhook", "to": ID, "webhook": webhook}),
            json!({"act": "upload", "to": ID, "name": "n", "mime_type": "", "content": "/wA="}),
            json!({"act": "raise_request", "to": ID, "kind": "approval", "title": "t"}),
            json!({"act": "respond_to_request", "request": "r", "action": "approved"}),
            json!({"act": "add_request_message", "request": "r", "text": "t"}),
            json!({"act": "nudge", "id": ID}),
            json!({"act": "probe_for_stall", "id": ID}),
            json!({"act": "greet", "id": ID}),
            json!({"act": "send_restart_context", "id": ID}),
            json!({"act": "run_schedule", "id": ID, "prompt": "p"}),
            json!({"act": "add_plugin", "plugin": plugin}),
            json!({"act": "add_plugin_at", "source": "ftp://x", "plugin": plugin}),
            json!({"act": "remove_plugin", "name": "none"}),
            json!({"act": "set_memory_create_race", "is_on": true}),
            json!({"act": "set_database_down", "down": true}),
            json!({"act": "set_streams_silent", "silent": true}),
            json!({"act": "set_rows_late", "most_ms": 7}),
            json!({"act": "prune_activity", "id": ID, "before": "2026-11-22T21:39:47Z"}),
        ]
    }

    #[test]
    fn an_act_of_every_kind_comes_back_from_json_as_it_was() {
        for json in every_kind() {
            let act: Act = serde_json::from_value(json.clone()).unwrap_or_else(|error| panic!("{json}: {error}"));
            assert_eq!(serde_json::to_value(&act).unwrap(), json);
            assert_eq!(act.name(), json["act"]);
            // No secret is in it.
            assert_eq!(format!("{act:?}"), format!("Act({})", json["act"]));
        }
    }

    #[test]
    fn an_act_on_nobody_is_refused_and_changes_nothing() {
        // These need no workspace, or count how many they changed.
        let passes =
            ["add_plugin", "set_memory_create_race", "set_database_down", "set_streams_silent", "set_rows_late"];
        let counts = ["revoke_tokens", "prune_activity"];
        for dialect in [Dialect::April, Dialect::Current] {
            for json in every_kind() {
                let mut platform = Platform::new(Config::new(dialect));
                let before = platform.workspaces().count();
                let name = json["act"].as_str().unwrap().to_owned();
                let acted = platform.act(Now::default(), serde_json::from_value(json).unwrap());
                match acted {
                    Acted::Done => assert!(passes.contains(&name.as_str()), "{name}"),
                    Acted::Count { count: 0 } => assert!(counts.contains(&name.as_str()), "{name}"),
                    Acted::Refused { why } => assert!(!why.is_empty() && !passes.contains(&name.as_str()), "{name}"),
                    other => panic!("{name}: {other:?}"),
                }
                assert_eq!(platform.workspaces().count(), before, "{name}");
            }
        }
    }

    #[test]
    fn an_outcome_comes_back_from_json_with_its_token() {
        let mut platform = Platform::new(Config::default());
        let create: Act = serde_json::from_value(json!({"act": "create_workspace", "name": "a"})).unwrap();
        let acted = platform.act(Now::default(), create);
        let Acted::Created { id, token: Some(token) } = &acted else { panic!("{acted:?}") };
        let json = serde_json::to_value(&acted).unwrap();
        assert_eq!(json, json!({"acted": "created", "id": id, "token": token.expose()}));
        assert_eq!(serde_json::from_value::<Acted>(json).unwrap(), acted);
        // The test's list of acts is whole: each variant is in it once.
        let names: std::collections::BTreeSet<String> =
            every_kind().iter().map(|json| json["act"].as_str().unwrap().to_owned()).collect();
        let error = serde_json::from_value::<Act>(json!({"act": "?"})).unwrap_err().to_string();
        for variant in error.split('`').skip(3).step_by(2) {
            assert!(names.contains(variant), "{variant} is missing");
        }
    }
}
