//! Messages as acts of the owner: a person's, another agent's, a channel's and a webhook's (contract section 12.6).

use molecule_proto::{Dialect, Message, Now, WorkspaceId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::a2a::{Delivery, Envelope, Purpose, Sender, SenderClass};
use crate::platform::Platform;

/// A message that comes through a channel, such as Telegram or Slack.
///
/// ```
/// use molecule_platform::ChannelMessage;
/// let message = ChannelMessage::new("telegram", "42", "hello").chat("111").user("9", "joe");
/// # let _ = message;
/// ```
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ChannelMessage {
    kind: String,
    id: String,
    text: String,
    chat_id: String,
    user_id: String,
    username: String,
    history: Vec<Value>,
    extra: Map<String, Value>,
}

impl ChannelMessage {
    /// A message with its id in the channel. Its message id for the agent is `channel-<kind>-<id>`: the current server
    /// swallows a second message of the same id, also of another chat.
    pub fn new(kind: impl Into<String>, id: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            kind: kind.into(),
            id: id.into(),
            text: text.into(),
            chat_id: "1".to_owned(),
            user_id: "1".to_owned(),
            username: String::new(),
            history: Vec::new(),
            extra: Map::new(),
        }
    }

    /// Sets the chat in the channel, `1` by default.
    #[must_use]
    pub fn chat(mut self, chat_id: impl Into<String>) -> Self {
        self.chat_id = chat_id.into();
        self
    }

    /// Sets the id and the name of its author; the defaults are `1` and `""`.
    #[must_use]
    pub fn user(mut self, user_id: impl Into<String>, username: impl Into<String>) -> Self {
        self.user_id = user_id.into();
        self.username = username.into();
        self
    }

    /// Adds an earlier turn of the chat.
    #[must_use]
    pub fn after(mut self, earlier: impl Into<Value>) -> Self {
        self.history.push(earlier.into());
        self
    }

    /// Adds a value to the metadata's `extra`.
    #[must_use]
    pub fn extra(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.extra.insert(key.into(), value.into());
        self
    }

    fn params(self, channel_id: &str) -> Value {
        let message_id = format!("channel-{}-{}", self.kind, self.id);
        json!({
            "message": {"role": "user", "messageId": message_id, "parts": [{"kind": "text", "text": self.text}]},
            "metadata": {
                "source": self.kind, "channel_id": channel_id, "chat_id": self.chat_id, "user_id": self.user_id,
                "username": self.username, "message_id": self.id, "history": self.history, "extra": self.extra,
            },
        })
    }
}

/// An event that comes through GitHub's webhook.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Webhook {
    text: String,
    metadata: Map<String, Value>,
}

impl Webhook {
    /// An event, such as `issue_comment`, with its action, such as `created`, and the text for the agent.
    pub fn github(event: impl Into<String>, action: impl Into<String>, text: impl Into<String>) -> Self {
        let mut metadata = Map::new();
        metadata.insert("source".to_owned(), json!("github"));
        metadata.insert("event".to_owned(), json!(event.into()));
        metadata.insert("action".to_owned(), json!(action.into()));
        Self { text: text.into(), metadata }
    }

    /// Sets the id of the delivery. A redelivery has the same one, and a fresh message id.
    #[must_use]
    pub fn delivery(self, id: impl Into<String>) -> Self {
        self.field("delivery_id", id.into())
    }

    /// Adds a value to the metadata, such as `repository` or `sender`.
    #[must_use]
    pub fn field(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }
}

impl Platform {
    /// Sends a person's message to an agent, as the web interface does, and does not wait for the answer. Returns its
    /// message id, which the platform chooses if the message has none; `None` if there is no such workspace.
    ///
    /// A poll agent finds it in its feed. For a push agent the driver makes a call, see
    /// [`Turn::Dispatch`](crate::Turn::Dispatch). April's server has push agents alone: without a call there is no row.
    ///
    /// ```
    /// use molecule_platform::{Config, Dialect, Now, Platform};
    /// let mut platform = Platform::new(Config::new(Dialect::Current));
    /// let (agent, _token) = platform.create_workspace(Now::default(), "agent");
    /// let message_id = platform.send_user_message(Now::default(), &agent, "hello");
    /// assert!(message_id.is_some());
    /// ```
    pub fn send_user_message(&mut self, now: Now, id: &WorkspaceId, message: impl Into<Message>) -> Option<String> {
        let now = self.settle(now);
        self.live(id)?;
        let (message_id, mut envelope) = self.enveloped(message.into());
        if self.config.dialect == Dialect::Current {
            envelope.mark_as_a_persons(id.as_str(), true);
        }
        self.send_from_outside(now, id, SenderClass::Person, envelope);
        Some(message_id)
    }

    /// Sends a message of one agent to another, and does not wait for the answer. Returns its message id, which the
    /// platform chooses if the message has none; `None` if one of them does not exist, or if they may not talk.
    pub fn send_agent_message(
        &mut self,
        now: Now,
        from: &WorkspaceId,
        to: &WorkspaceId,
        message: impl Into<Message>,
    ) -> Option<String> {
        let now = self.settle(now);
        self.live(from).and(self.live(to)).filter(|()| self.may_talk(from.as_str(), to.as_str()))?;
        let (message_id, envelope) = self.enveloped(message.into());
        let sender = Sender { source: Some(from.clone()), class: SenderClass::Agent, unbounded: false };
        self.send(now, Delivery { target: to.clone(), sender, envelope, purpose: Purpose::Unanswered });
        Some(message_id)
    }

    /// Sends a channel's message to an agent; returns its message id, or `None` if there is no such workspace.
    ///
    /// The current server writes one row: for a poll agent at once, for a push agent after the call. April's server
    /// calls push agents and writes nothing, also if it does not reach them. The answer of a push agent would go back to
    /// the chat; the model drops it.
    pub fn send_channel_message(&mut self, now: Now, id: &WorkspaceId, message: ChannelMessage) -> Option<String> {
        let now = self.settle(now);
        self.live(id)?;
        let channel_id = self.channel_of(id, &message.kind);
        let message_id = format!("channel-{}-{}", message.kind, message.id);
        let envelope = Envelope::sending(&mut self.random, message.params(&channel_id));
        self.send_from_outside(now, id, SenderClass::Channel, envelope);
        Some(message_id)
    }

    /// Sends a webhook's event to an agent, in the same ways as a channel's message; returns its message id, or `None`
    /// if there is no such workspace. Its one part has neither `kind` nor `type`.
    pub fn send_webhook(&mut self, now: Now, id: &WorkspaceId, webhook: Webhook) -> Option<String> {
        let now = self.settle(now);
        self.live(id)?;
        let message_id = self.random.uuid();
        let message = json!({"role": "user", "messageId": message_id, "parts": [{"text": webhook.text}]});
        let params = json!({"message": message, "metadata": webhook.metadata});
        let envelope = Envelope::sending(&mut self.random, params);
        self.send_from_outside(now, id, SenderClass::Channel, envelope);
        Some(message_id)
    }

    /// The request of a message, which has an id then.
    fn enveloped(&mut self, mut message: Message) -> (String, Envelope) {
        let message_id = message.message_id.take().unwrap_or_else(|| self.random.uuid());
        message.message_id = Some(message_id.clone());
        (message_id, Envelope::sending(&mut self.random, json!({"message": message})))
    }

    fn send_from_outside(&mut self, now: Now, id: &WorkspaceId, class: SenderClass, envelope: Envelope) {
        let sender = Sender::of_class(class);
        self.send(now, Delivery { target: id.clone(), sender, envelope, purpose: Purpose::Unanswered });
    }

    /// The id of a workspace's channel of a kind, of which it has one.
    fn channel_of(&mut self, id: &WorkspaceId, kind: &str) -> String {
        let key = (id.clone(), kind.to_owned());
        let random = &mut self.random;
        self.channels.entry(key).or_insert_with(|| random.uuid()).clone()
    }

    fn live(&self, id: &WorkspaceId) -> Option<()> {
        self.live_on(self.config.dialect, id)
    }
}
