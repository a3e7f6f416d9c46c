//! The tools: their names, their parameters, and who performs them. Names and parameters are those of the platform's own
//! MCP programs.

mod inbox;
mod memory;
mod peers;
mod requests;
mod user;
mod workspace;

use std::sync::Arc;

use molecule_async::Error;
use rmcp::model::{Tool as Listed, ToolAnnotations};
use serde_json::{Map, Value, json};

use super::params::Params;
use super::server::Server;
use crate::exit::Failure;

/// A tool.
#[derive(Debug)]
pub(super) struct Tool {
    name: Name,
    word: &'static str,
    about: &'static str,
    is_read_only: bool,
    params: &'static [Param],
}

#[derive(Debug, Clone, Copy)]
enum Name {
    DelegateTask,
    DelegateTaskAsync,
    CheckTaskStatus,
    ListPeers,
    GetWorkspaceInfo,
    SendMessageToUser,
    ReplyToWorkspace,
    BroadcastMessage,
    CreateRequest,
    CreateApproval,
    ListInbox,
    CheckRequests,
    GetRequest,
    RespondRequest,
    AddRequestMessage,
    CancelRequest,
    CommitMemory,
    RecallMemory,
    WaitForMessage,
    InboxPeek,
    InboxPop,
    ChatHistory,
    UpdateAgentCard,
    InstallPlugin,
}

/// A parameter: its name, its type in JSON Schema, whether it must be there, and what it means.
#[derive(Debug)]
struct Param(&'static str, &'static str, bool, &'static str);

const PEER: Param = Param("workspace_id", "string", true, "The peer's workspace id (a UUID), as list_peers shows it.");
const TASK: Param = Param("task", "string", true, "What the peer is to do. It sees nothing else of your conversation.");
const ANSWERED: Param = Param(
    "activity_id",
    "string",
    false,
    "The message that this answers. It is done then. Without it this is a message of its own.",
);
const REQUEST: Param = Param("request_id", "string", true, "The request's id.");
const STATUS: Param = Param("status", "string", false, "Only requests of this status, such as pending or done.");
const SCOPE: &str =
    "LOCAL (this workspace, the default), TEAM (with its parent and siblings) or GLOBAL (the organisation).";

const TOOLS: &[Tool] = &[
    Tool {
        name: Name::DelegateTask,
        word: "delegate_task",
        about: "Gives a task to a peer and waits for its answer. For long tasks use delegate_task_async.",
        is_read_only: false,
        params: &[
            PEER,
            TASK,
            Param("timeout_secs", "number", false, "The most seconds to wait, up to 300; 120 by default."),
        ],
    },
    Tool {
        name: Name::DelegateTaskAsync,
        word: "delegate_task_async",
        about: "Gives a task to a peer and returns a delegation_id at once. check_task_status shows what becomes of it. Each call is a \
                task of its own.",
        is_read_only: false,
        params: &[PEER, TASK],
    },
    Tool {
        name: Name::CheckTaskStatus,
        word: "check_task_status",
        about: "Shows a delegation, or the newest ones without a task_id.",
        is_read_only: true,
        params: &[Param("task_id", "string", false, "The delegation_id that delegate_task_async returned.")],
    },
    Tool {
        name: Name::ListPeers,
        word: "list_peers",
        about: "Lists the agents that this workspace may call: name, id, status, role.",
        is_read_only: true,
        params: &[Param("q", "string", false, "Only peers whose name or role contains this text.")],
    },
    Tool {
        name: Name::GetWorkspaceInfo,
        word: "get_workspace_info",
        about: "Shows this workspace as the platform has it, and who holds its inbox.",
        is_read_only: true,
        params: &[],
    },
    Tool {
        name: Name::SendMessageToUser,
        word: "send_message_to_user",
        about: "Sends a message to the person behind this workspace.",
        is_read_only: false,
        params: &[
            Param("message", "string", true, "The text."),
            Param("attachments", "array", false, "Files: absolute paths, or objects with path, or with uri and name."),
            ANSWERED,
        ],
    },
    Tool {
        name: Name::ReplyToWorkspace,
        word: "reply_to_workspace",
        about: "Answers a person (without peer_id) or a peer. The message that it answers is done: the one of activity_id, or the oldest of \
                that sender that you have seen.",
        is_read_only: false,
        params: &[
            Param("text", "string", true, "The answer."),
            Param("peer_id", "string", false, "The peer's workspace id; without it a person is answered."),
            ANSWERED,
        ],
    },
    Tool {
        name: Name::BroadcastMessage,
        word: "broadcast_message",
        about: "Sends a message to all workspaces of the organisation, if this one may.",
        is_read_only: false,
        params: &[Param("message", "string", true, "The text.")],
    },
    Tool {
        name: Name::CreateRequest,
        word: "create_request",
        about: "Asks the person behind this workspace to do something (task) or to approve something (approval). The answer comes as a \
                message later.",
        is_read_only: false,
        params: &[
            Param("kind", "string", true, "task or approval."),
            Param("title", "string", true, "What is asked for, in a line."),
            Param("detail", "string", false, "More about it."),
            Param("priority", "integer", false, "A higher number is more urgent."),
        ],
    },
    Tool {
        name: Name::CreateApproval,
        word: "create_approval",
        about: "Asks the person behind this workspace to approve an action.",
        is_read_only: false,
        params: &[
            Param("action", "string", true, "The action, in a line."),
            Param("reason", "string", false, "Why it is needed."),
        ],
    },
    Tool {
        name: Name::ListInbox,
        word: "list_inbox",
        about: "Lists the requests that people and agents have addressed to this workspace, those that wait.",
        is_read_only: true,
        params: &[STATUS],
    },
    Tool {
        name: Name::CheckRequests,
        word: "check_requests",
        about: "Lists the requests that this workspace raised, and what became of them.",
        is_read_only: true,
        params: &[STATUS],
    },
    Tool {
        name: Name::GetRequest,
        word: "get_request",
        about: "Shows a request with its messages.",
        is_read_only: true,
        params: &[REQUEST],
    },
    Tool {
        name: Name::RespondRequest,
        word: "respond_request",
        about: "Responds to a request that is for this workspace.",
        is_read_only: false,
        params: &[REQUEST, Param("action", "string", true, "done, approved or rejected.")],
    },
    Tool {
        name: Name::AddRequestMessage,
        word: "add_request_message",
        about: "Writes into the thread of a request.",
        is_read_only: false,
        params: &[REQUEST, Param("message", "string", true, "The text.")],
    },
    Tool {
        name: Name::CancelRequest,
        word: "cancel_request",
        about: "Takes back a request that this workspace raised.",
        is_read_only: false,
        params: &[REQUEST],
    },
    Tool {
        name: Name::CommitMemory,
        word: "commit_memory",
        about: "Keeps a note on the platform.",
        is_read_only: false,
        params: &[Param("content", "string", true, "The note."), Param("scope", "string", false, SCOPE)],
    },
    Tool {
        name: Name::RecallMemory,
        word: "recall_memory",
        about: "Lists notes that were kept on the platform.",
        is_read_only: true,
        params: &[
            Param("query", "string", false, "Only notes with these words."),
            Param("scope", "string", false, "Only notes of this scope: LOCAL, TEAM or GLOBAL."),
        ],
    },
    Tool {
        name: Name::WaitForMessage,
        word: "wait_for_message",
        about: "Waits for a message to this workspace and returns it. It is done only once you call inbox_pop, or answer it with its \
                activity_id.",
        is_read_only: true,
        params: &[Param("timeout_secs", "number", false, "The most seconds to wait, up to 300; 60 by default.")],
    },
    Tool {
        name: Name::InboxPeek,
        word: "inbox_peek",
        about: "Lists the messages that wait, the oldest first, and removes none.",
        is_read_only: true,
        params: &[Param("limit", "integer", false, "The most messages; 10 by default.")],
    },
    Tool {
        name: Name::InboxPop,
        word: "inbox_pop",
        about: "Says that a message is done. It does not come again.",
        is_read_only: false,
        params: &[Param("activity_id", "string", true, "The message's activity_id.")],
    },
    Tool {
        name: Name::ChatHistory,
        word: "chat_history",
        about: "Lists earlier messages from and to a peer, the oldest first.",
        is_read_only: true,
        params: &[
            Param("peer_id", "string", true, "The peer's workspace id."),
            Param("limit", "integer", false, "The most messages, up to 500; 20 by default."),
            Param("before_ts", "string", false, "Only messages before this time, such as 2026-11-22T21:39:47Z."),
        ],
    },
    Tool {
        name: Name::UpdateAgentCard,
        word: "update_agent_card",
        about: "Replaces the card by which others know this agent.",
        is_read_only: false,
        params: &[Param("card", "object", true, "The card: name, description, skills, and keys on which peers agree.")],
    },
    Tool {
        name: Name::InstallPlugin,
        word: "install_plugin",
        about: "Downloads a plugin to this machine, checks it, and installs it.",
        is_read_only: false,
        params: &[
            Param(
                "source",
                "string",
                true,
                "A name of the platform's registry, or a source such as github://acme/my-plugin#v1.",
            ),
            Param("name", "string", false, "The plugin's name, if it is not the last part of the source."),
        ],
    },
];

/// The tool of this name.
pub(super) fn find(word: &str) -> Option<&'static Tool> {
    TOOLS.iter().find(|tool| tool.word == word)
}

/// All tools, as the protocol lists them.
pub(super) fn list(is_several: bool) -> Vec<Listed> {
    let listed = |tool: &Tool| {
        let hints = ToolAnnotations::new().read_only(tool.is_read_only);
        Listed::new(tool.word, tool.about, Arc::new(tool.schema(is_several))).with_annotations(hints)
    };
    TOOLS.iter().map(listed).collect()
}

impl Tool {
    fn schema(&self, is_several: bool) -> Map<String, Value> {
        let mut properties = Map::new();
        for Param(name, kind, _, about) in self.params {
            let mut property = json!({ "type": kind, "description": about });
            if *kind == "array" {
                property["items"] = json!({});
            }
            properties.insert((*name).to_owned(), property);
        }
        if is_several {
            let about = "Which of this program's workspaces it is for.";
            properties.insert("source_workspace_id".to_owned(), json!({ "type": "string", "description": about }));
        }
        let required: Vec<_> =
            self.params.iter().filter(|Param(.., is_required, _)| *is_required).map(|param| param.0).collect();
        let mut schema = Map::new();
        schema.insert("type".to_owned(), json!("object"));
        schema.insert("properties".to_owned(), Value::Object(properties));
        if !required.is_empty() {
            schema.insert("required".to_owned(), json!(required));
        }
        schema
    }
}

/// Performs a tool. Its answer is one text.
///
/// # Errors
/// A sentence for the coding agent, with the remedy.
pub(super) async fn call(server: &Server, tool: &Tool, params: &Params) -> Result<String, String> {
    // Where a tool has no parameter `workspace_id` of another meaning, that is the own workspace, too.
    const ALSO: &[&str] = &["workspace_id"];
    // The platform takes some calls only from an agent that has registered, which the loop does at its start.
    let own = async |names| {
        let member = server.member(params, names)?;
        member.inbox.known_standing().await;
        Ok::<_, String>(member)
    };
    match tool.name {
        Name::DelegateTask => peers::delegate_task(server, own(&[]).await?, params).await,
        Name::DelegateTaskAsync => peers::delegate_task_async(own(&[]).await?, params).await,
        Name::CheckTaskStatus => peers::check_task_status(own(&[]).await?, params).await,
        Name::ListPeers => peers::list_peers(own(ALSO).await?, params).await,
        Name::GetWorkspaceInfo => workspace::info(own(ALSO).await?).await,
        Name::SendMessageToUser => user::send_message(own(ALSO).await?, params).await,
        Name::ReplyToWorkspace => user::reply(server, params).await,
        Name::BroadcastMessage => user::broadcast(own(ALSO).await?, params).await,
        Name::CreateRequest => requests::create(own(ALSO).await?, params).await,
        Name::CreateApproval => requests::create_approval(own(ALSO).await?, params).await,
        Name::ListInbox => requests::inbox(own(ALSO).await?, params).await,
        Name::CheckRequests => requests::raised(own(ALSO).await?, params).await,
        Name::GetRequest => requests::one(own(ALSO).await?, params).await,
        Name::RespondRequest => requests::respond(own(ALSO).await?, params).await,
        Name::AddRequestMessage => requests::add_message(own(ALSO).await?, params).await,
        Name::CancelRequest => requests::cancel(own(ALSO).await?, params).await,
        Name::CommitMemory => memory::commit(own(ALSO).await?, params).await,
        Name::RecallMemory => memory::recall(own(ALSO).await?, params).await,
        Name::WaitForMessage => inbox::wait(server, params).await,
        Name::InboxPeek => inbox::peek(server, params).await,
        Name::InboxPop => inbox::pop(server, params).await,
        Name::ChatHistory => inbox::history(own(ALSO).await?, params).await,
        Name::UpdateAgentCard => workspace::update_card(own(ALSO).await?, params).await,
        Name::InstallPlugin => workspace::install_plugin(server, own(ALSO).await?, params).await,
    }
}

/// Says why a call of the agent failed, with the program's own words for the remedy.
fn why(error: Error) -> String {
    Failure::from(error).to_string()
}

/// A value as the text of an answer.
fn text(value: &Value) -> String {
    value.to_string()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_tool_has_a_schema_that_names_its_parameters() {
        let names: Vec<_> = list(false).iter().map(|tool| tool.name.to_string()).collect();
        assert_eq!(names.len(), TOOLS.len());
        for tool in list(true) {
            let schema = Value::Object((*tool.input_schema).clone());
            let properties = schema["properties"].as_object().unwrap();
            assert!(properties.contains_key("source_workspace_id"), "{schema}");
            let required = schema["required"].as_array().map_or(&[][..], Vec::as_slice);
            assert!(required.iter().all(|name| properties.contains_key(name.as_str().unwrap())), "{schema}");
        }
    }
}
