//! Messages that are pushed into the conversation of Claude Code, as its channels are: `notifications/claude/channel`.
//!
//! A client may drop such a notification, show it twice, or show it to another session. So it is a hint alone: the message
//! stays in the inbox until it is popped or answered.

use std::collections::BTreeMap;
use std::sync::Arc;

use molecule_async::{InboundMessage, Sender};
use rmcp::model::{CustomNotification, ServerNotification};
use rmcp::{Peer, RoleServer};
use serde_json::{Map, Value, json};
use tokio::sync::watch;

use super::member::Member;
use super::message::{facts, writer};
use super::untrusted::quote;

/// The key of the experimental capability that declares a channel.
pub(super) const CAPABILITY: &str = "claude/channel";

const METHOD: &str = "notifications/claude/channel";

/// The most messages that the client is told of at the beginning, the newest ones.
const MOST_AT_FIRST: usize = 20;

/// The name under which Claude Code initialises.
const CLAUDE_CODE: &str = "claude-code";

/// Returns whether a client of this name shows such notifications.
pub(super) fn is_for(client: &str) -> bool {
    client.eq_ignore_ascii_case(CLAUDE_CODE)
}

/// Tells the client of each message of a workspace once, those that wait already first, until the program ends.
pub(super) async fn tell(peer: Peer<RoleServer>, member: Arc<Member>, mut closing: watch::Receiver<bool>) {
    let mut changes = member.inbox.changes();
    // A conversation does not begin with hundreds of them. `inbox_peek` shows the others.
    let waiting = member.inbox.all();
    let old = waiting.len().saturating_sub(MOST_AT_FIRST);
    let mut told: BTreeMap<_, _> = waiting.iter().take(old).map(|message| (message.id().clone(), ())).collect();
    loop {
        let held = member.inbox.all();
        told.retain(|id, ()| held.iter().any(|message| message.id() == id));
        for message in held {
            if told.insert(message.id().clone(), ()).is_none()
                && peer.send_notification(about(&member, &message)).await.is_err()
            {
                return;
            }
        }
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            _ = closing.wait_for(|is_closing| *is_closing) => return,
        }
    }
}

fn about(member: &Member, message: &InboundMessage) -> ServerNotification {
    // The values are texts: they become attributes of a tag.
    let mut meta: Map<String, Value> = facts(member, message);
    if let Some(at) = meta.remove("created_at") {
        meta.insert("ts".to_owned(), at);
    }
    if !matches!(message.sender(), Sender::Peer { .. }) {
        meta.remove("peer_id");
    }
    let content = quote(&writer(message.sender()), &message.text());
    let params = json!({ "content": content, "meta": meta });
    ServerNotification::CustomNotification(CustomNotification::new(METHOD, Some(params)))
}
