//! The messages of a chat, as a workspace's feed has them, and what became of each.

use std::collections::{BTreeMap, BTreeSet};

use molecule_proto::{ActivityRow, DeliveryMode, Dialect, QueueItem, QueueStatus, UnixTime, WorkspaceId};
use serde_json::Value;

use super::scene::Scene;
use super::{html, workspaces};

/// A message in the chat.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) seq: i64,
    pub(crate) at: UnixTime,
    pub(crate) by: By,
    pub(crate) text: String,
    pub(crate) files: Vec<File>,
    pub(crate) fate: Option<Fate>,
}

#[derive(Debug, PartialEq)]
pub(crate) enum By {
    User,
    Agent,
    /// Another agent, a channel or the platform itself, in words.
    Other(String),
}

#[derive(Debug, PartialEq)]
pub(crate) struct File {
    pub(crate) name: String,
    /// The id of a file that the platform holds.
    pub(crate) held: Option<String>,
}

/// What became of a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is in the feed, and the agent has not read it.
    Waiting,
    /// It is in the feed, and readers do not see it yet.
    NotVisible,
    /// The agent read it.
    Taken,
    /// The agent read it, and said something afterwards.
    Answered,
    /// The platform is calling the agent with it.
    Calling,
    /// It waits in the queue of a busy agent, with the number of tries.
    Queued(u32),
    /// The agent was called and took it without an answer.
    Delivered,
    /// It was refused or lost, with the reason.
    Refused(String),
}

impl Fate {
    pub(crate) fn words(&self) -> (&'static str, String) {
        match self {
            Self::Waiting => ("wait", "waiting in the feed".to_owned()),
            Self::NotVisible => ("wait", "written, not visible to readers yet".to_owned()),
            Self::Taken => ("good", "taken".to_owned()),
            Self::Answered => ("good", "answered".to_owned()),
            Self::Calling => ("wait", "calling the agent".to_owned()),
            Self::Queued(0) => ("wait", "queued for the busy agent".to_owned()),
            Self::Queued(tries) => (
                "wait",
                format!("queued, {} tried", if *tries == 1 { "once".to_owned() } else { format!("{tries} times") }),
            ),
            Self::Delivered => ("good", "delivered".to_owned()),
            Self::Refused(why) => ("bad", format!("not delivered: {}", html::short(why, 200))),
        }
    }

    /// Whether somebody still waits for the agent.
    fn is_open(&self) -> bool {
        matches!(self, Self::Waiting | Self::NotVisible | Self::Calling | Self::Queued(_))
    }
}

/// The number of messages that wait for an agent.
pub(crate) fn waiting(scene: Scene<'_>, id: &WorkspaceId) -> usize {
    let rows = workspaces::feed(scene, id);
    let fates = read(scene, id, &rows).into_iter().filter_map(|said| said.fate);
    fates.filter(Fate::is_open).count()
}

/// What decides the fate of a workspace's messages.
struct Mailbox<'a> {
    scene: Scene<'a>,
    id: &'a WorkspaceId,
    polls: bool,
    acked: Option<i64>,
    /// The queue's items by the ids of their messages.
    queued: BTreeMap<&'a str, &'a QueueItem>,
}

impl<'a> Mailbox<'a> {
    fn of(scene: Scene<'a>, id: &'a WorkspaceId) -> Self {
        let queued = scene.platform.queued(id).into_iter();
        Self {
            scene,
            id,
            polls: scene.platform.delivery_mode(id) == Some(DeliveryMode::Poll),
            acked: scene.platform.last_acked(id),
            queued: queued.filter_map(|queued| Some((queued.message_id?, queued.item))).collect(),
        }
    }

    fn fate(&self, row: &ActivityRow, was_answered: bool) -> Option<Fate> {
        let platform = self.scene.platform;
        let message_id = row.request_body.as_ref()?.pointer("/params/message/messageId").and_then(Value::as_str);
        if row.status == "error" {
            let why = row.error_detail.clone().or_else(|| error(row.response_body.as_ref()?));
            return Some(Fate::Refused(why.unwrap_or_else(|| "the agent answered with an error".to_owned())));
        }
        if message_id.is_some_and(|message_id| platform.is_calling_with(self.id, message_id)) {
            return Some(Fate::Calling);
        }
        if row.response_body.as_ref().and_then(reply).is_some() {
            return Some(Fate::Answered);
        }
        // A message that came before its agent stays in the queue, and the agent reads it in its feed.
        let is_acked = self.acked.zip(row.seq).is_some_and(|(acked, seq)| seq <= acked);
        let is_read = self.polls && platform.dialect() == Dialect::Current && (is_acked || platform.was_read(row));
        let queued = message_id.and_then(|message_id| self.queued.get(message_id)).filter(|_| !is_read);
        if let Some(item) = queued.filter(|item| !self.polls || item.status != QueueStatus::Completed) {
            return Some(match &item.status {
                QueueStatus::Queued | QueueStatus::Dispatched => Fate::Queued(item.attempts),
                QueueStatus::Completed => Fate::Delivered,
                // Dropped, failed, or a status of a later server.
                _ => Fate::Refused(item.last_error.clone().unwrap_or_else(|| item.status.to_string())),
            });
        }
        if !self.polls || platform.dialect() == Dialect::April {
            let is_over = row.response_body.is_some() || row.duration_ms.is_some();
            return Some(if is_over { Fate::Delivered } else { Fate::Waiting });
        }
        if platform.activity_visible_from(row).is_some_and(|from| from > self.scene.now.mono) {
            return Some(Fate::NotVisible);
        }
        Some(match (is_read, was_answered) {
            (true, true) => Fate::Answered,
            (true, false) => Fate::Taken,
            (false, _) => Fate::Waiting,
        })
    }
}

/// The messages of a feed, oldest first. Of a message to a busy agent the feed has two rows, of which the first is shown.
pub(crate) fn read(scene: Scene<'_>, id: &WorkspaceId, rows: &[&ActivityRow]) -> Vec<Said> {
    let last_notice = rows.iter().rev().find(|row| row.is_notice()).and_then(|row| row.seq);
    let mailbox = Mailbox::of(scene, id);
    let mut said: Vec<Said> = Vec::new();
    let mut seen = BTreeSet::new();
    for row in rows {
        let (seq, at) = (row.seq.unwrap_or_default(), row.created_at);
        if row.is_notice() {
            let body = row.response_body.as_ref();
            let text = body.and_then(|body| body["result"].as_str()).unwrap_or_default().to_owned();
            let files = body.map(|body| files(&body["parts"])).unwrap_or_default();
            said.push(Said { seq, at, by: By::Agent, text, files, fate: None });
        } else if row.method.as_deref() == Some("chat_upload_receive") {
            let about = row.request_body.as_ref().map(file).into_iter().collect();
            let by = By::Other("a file was uploaded".to_owned());
            said.push(Said { seq, at, by, text: String::new(), files: about, fate: None });
        } else if is_message(row) {
            let Some(message) = row.request_body.as_ref().and_then(|body| body.pointer("/params/message")) else {
                continue;
            };
            if message["messageId"].as_str().is_some_and(|id| !seen.insert(id)) {
                continue;
            }
            let by = sender(scene, row, message);
            let was_answered = last_notice.is_some_and(|notice| notice > seq);
            let fate = mailbox.fate(row, was_answered);
            said.push(Said { seq, at, by, text: text(&message["parts"]), files: files(&message["parts"]), fate });
            // A push agent's answer is in the row of its message.
            if let Some(reply) = row.response_body.as_ref().and_then(reply) {
                said.push(Said { seq, at, by: By::Agent, text: reply, files: Vec::new(), fate: None });
            }
        }
    }
    said
}

/// Whether a row is a message to the agent.
fn is_message(row: &ActivityRow) -> bool {
    let method = row.method.as_deref().unwrap_or_default();
    row.activity_type.as_str() == "a2a_receive"
        && !row.is_notice()
        && !matches!(method, "chat_upload_receive" | "delegate_result")
        && row.source_id.as_ref() != Some(&row.workspace_id)
        && row.request_body.as_ref().is_some_and(|body| body.pointer("/params/message").is_some())
}

fn sender(scene: Scene<'_>, row: &ActivityRow, message: &Value) -> By {
    if let Some(source) = &row.source_id {
        return By::Other(format!("from {}", scene.name_of(source)));
    }
    let id = message["messageId"].as_str().unwrap_or_default();
    let made_by_platform = ["inbox-nudge-", "stall-probe-", "request-responded:", "request-message:", "cron-"];
    if message.pointer("/metadata/source").and_then(Value::as_str) == Some("platform")
        || made_by_platform.iter().any(|prefix| id.starts_with(prefix))
    {
        return By::Other("from the platform itself".to_owned());
    }
    let metadata = row.request_body.as_ref().and_then(|body| body.pointer("/params/metadata/source"));
    match metadata.and_then(Value::as_str) {
        Some("canvas_user") | None => By::User,
        Some(channel) => By::Other(format!("through {}", html::short(channel, 40))),
    }
}

/// The text of an agent's answer to a call; `None` for the platform's own placeholder.
fn reply(body: &Value) -> Option<String> {
    let result = body.get("result")?;
    if let Some(text) = result.as_str() {
        return Some(text.to_owned());
    }
    let parts = [
        &result["parts"],
        &result["message"]["parts"],
        &result["status"]["message"]["parts"],
        &result["artifacts"][0]["parts"],
    ];
    let text = parts.into_iter().map(text).find(|text| !text.is_empty());
    text.or_else(|| Some("(an answer without a text)".to_owned()))
}

fn error(body: &Value) -> Option<String> {
    let error = body.get("error")?;
    let text = error.as_str().or_else(|| error["message"].as_str());
    text.map(str::to_owned)
}

/// The texts of the parts of a message, a part without a `kind` included.
fn text(parts: &Value) -> String {
    let parts = parts.as_array().into_iter().flatten();
    let texts: Vec<&str> = parts.filter_map(|part| part["text"].as_str()).collect();
    texts.join("\n")
}

fn files(parts: &Value) -> Vec<File> {
    let parts = parts.as_array().into_iter().flatten();
    parts.filter(|part| part["file"].is_object()).map(|part| file(&part["file"])).collect()
}

fn file(about: &Value) -> File {
    let name = about["name"].as_str().unwrap_or("file").to_owned();
    let uri = about["uri"].as_str().unwrap_or_default();
    let held = uri.strip_prefix("platform-pending:").and_then(|rest| rest.split_once('/')).map(|(_, id)| id);
    File { name, held: held.filter(|id| id.parse::<WorkspaceId>().is_ok()).map(str::to_owned) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use molecule_platform::{Config, Now, Platform};
    use molecule_proto::path;
    use serde_json::json;

    use super::*;

    fn post(platform: &mut Platform, path: &str, token: &molecule_proto::Token, body: &Value) {
        let request = http::Request::post(path).header("authorization", token.bearer());
        let answer = platform.handle(Now::default(), None, request.body(Bytes::from(body.to_string())).unwrap());
        assert_eq!(answer.ready().unwrap().status(), 200, "{path}");
    }

    fn fates(platform: &Platform, id: &WorkspaceId) -> Vec<Option<Fate>> {
        let scene = Scene { platform, now: Now::default(), at: None, url: "" };
        read(scene, id, &workspaces::feed(scene, id)).into_iter().map(|said| said.fate).collect()
    }

    /// A workspace whose agent polls.
    fn polled() -> (Platform, WorkspaceId, molecule_proto::Token) {
        let mut platform = Platform::new(Config::new(Dialect::Current));
        let (id, token) = platform.create_workspace(Now::default(), "a");
        let register = json!({"id": id, "delivery_mode": "poll", "agent_card": {"name": "a"}});
        post(&mut platform, path::REGISTER, &token, &register);
        (platform, id, token)
    }

    #[test]
    fn a_message_waits_is_taken_and_is_answered() {
        let (mut platform, id, token) = polled();
        platform.send_user_message(Now::default(), &id, "hello");
        assert_eq!(fates(&platform, &id), [Some(Fate::Waiting)]);

        let request = http::Request::get(format!("/workspaces/{id}/activity")).header("authorization", token.bearer());
        let page = platform.handle(Now::default(), None, request.body(Bytes::new()).unwrap());
        assert_eq!(page.ready().unwrap().status(), 200);
        assert_eq!(fates(&platform, &id), [Some(Fate::Taken)]);

        post(&mut platform, &format!("/workspaces/{id}/notify"), &token, &json!({"message": "hi"}));
        assert_eq!(fates(&platform, &id), [Some(Fate::Answered), None]);
    }

    #[test]
    fn a_message_that_was_acknowledged_is_taken() {
        let (mut platform, id, token) = polled();
        platform.send_user_message(Now::default(), &id, "hello");
        let seq = platform.activity(&id)[0].seq.unwrap();
        post(&mut platform, &format!("/workspaces/{id}/activity/ack"), &token, &json!({"acked_seq": seq}));
        assert_eq!(fates(&platform, &id), [Some(Fate::Taken)]);
    }

    #[test]
    fn a_message_to_an_agent_that_never_came_waits_once() {
        let mut platform = Platform::new(Config::new(Dialect::Current));
        let (id, _token) = platform.create_workspace(Now::default(), "a");
        platform.send_user_message(Now::default(), &id, "hello");
        let scene = Scene { platform: &platform, now: Now::default(), at: None, url: "" };
        assert_eq!((fates(&platform, &id).len(), waiting(scene, &id)), (1, 1), "{:?}", platform.activity(&id));
    }

    #[test]
    fn a_message_that_came_before_its_agent_is_taken_when_the_agent_reads_it() {
        let mut platform = Platform::new(Config::new(Dialect::Current));
        let (id, token) = platform.create_workspace(Now::default(), "a");
        platform.send_user_message(Now::default(), &id, "hello");
        let register = json!({"id": id, "delivery_mode": "poll", "agent_card": {"name": "a"}});
        post(&mut platform, path::REGISTER, &token, &register);
        assert_eq!(fates(&platform, &id), [Some(Fate::Queued(0))]);

        let request = http::Request::get(format!("/workspaces/{id}/activity")).header("authorization", token.bearer());
        let page = platform.handle(Now::default(), None, request.body(Bytes::new()).unwrap());
        assert_eq!(page.ready().unwrap().status(), 200);
        assert_eq!(fates(&platform, &id), [Some(Fate::Taken)]);
    }

    #[test]
    fn a_row_that_comes_late_is_not_visible_yet() {
        let (mut platform, id, _token) = polled();
        platform.set_rows_late(Duration::from_secs(1000));
        for _ in 0..5 {
            platform.send_user_message(Now::default(), &id, "hello");
        }
        assert!(fates(&platform, &id).contains(&Some(Fate::NotVisible)));
    }

    #[test]
    fn a_push_agent_is_called_answers_refuses_and_is_busy() {
        let mut platform = Platform::new(Config::new(Dialect::Current));
        let now = Now::default();
        let (id, token) = platform.create_workspace(now, "a");
        let register = json!({"id": id, "url": "http://localhost:9/a2a", "delivery_mode": "push", "agent_card": {}});
        post(&mut platform, path::REGISTER, &token, &register);
        let call = |platform: &mut Platform| loop {
            match platform.poll(now) {
                molecule_platform::Turn::Dispatch(id, _) => break id,
                molecule_platform::Turn::Idle(_) => panic!("the agent is called"),
                _ => {}
            }
        };

        platform.send_user_message(now, &id, "one");
        let first = call(&mut platform);
        assert_eq!(fates(&platform, &id), [Some(Fate::Calling)]);
        let reply = json!({"jsonrpc": "2.0", "id": "1", "result": {"parts": [{"kind": "text", "text": "hi"}]}});
        platform.dispatched(now, first, Ok(http::Response::new(Bytes::from(reply.to_string()))));
        assert_eq!(fates(&platform, &id), [Some(Fate::Answered), None]);

        platform.send_user_message(now, &id, "two");
        let second = call(&mut platform);
        let refused = http::Response::builder().status(500).body(Bytes::from_static(b"{\"error\":\"no\"}")).unwrap();
        platform.dispatched(now, second, Ok(refused));
        assert!(
            matches!(&fates(&platform, &id)[2], Some(Fate::Refused(why)) if why == "no"),
            "{:?}",
            fates(&platform, &id)
        );

        platform.send_user_message(now, &id, "three");
        let third = call(&mut platform);
        platform.dispatched(now, third, Err(molecule_platform::DispatchFault::Closed));
        assert_eq!(fates(&platform, &id).len(), 4, "of the two rows of a busy agent's message one is shown");
        assert_eq!(fates(&platform, &id)[3], Some(Fate::Queued(0)));
    }

    #[test]
    fn a_file_that_the_platform_does_not_hold_has_no_link() {
        assert_eq!(
            file(&json!({"uri": "javascript:alert(1)", "name": "a"})),
            File { name: "a".to_owned(), held: None }
        );
        let id = "7fda77bf-a467-441c-9fab-7d8aba8e6040";
        let held = file(&json!({"uri": format!("platform-pending:{id}/{id}"), "name": "a"}));
        assert_eq!(held.held.as_deref(), Some(id));
        assert_eq!(file(&json!({"uri": format!("platform-pending:{id}/../x")})).held, None);
    }
}
