//! The turns that the platform itself gives to an agent (contract section 12.6; April 11). In the agent's feed they look
//! like messages of a person: `source_id` is null.
//!
//! The server makes them by its own sweeps. The model makes one whenever it is asked to, so that a test decides when; it
//! keeps to the ways in which they arrive: the current server queues them, and hands one out with each heartbeat of an
//! idle agent. It is simpler than the server: it does not limit nudges to one in a clock hour, and writes no
//! `stall_watchdog` rows but that of a probe.

use molecule_proto::{A2aAnswer, ActivityType, DeliveryMode, Dialect, Now, WorkspaceId};
use serde_json::{Map, Value, json};

use crate::a2a::{Delivery, Envelope, Purpose, Sender, SenderClass};
use crate::delegation::reply_text;
use crate::platform::Platform;
use crate::reply::Response;

/// The priorities in the queue. Messages from people and agents have 50.
const PROBE: i64 = 100;
pub(crate) const NUDGE: i64 = 10;

/// A turn that the platform gives to an agent.
pub(crate) struct PlatformTurn {
    pub(crate) message_id: String,
    pub(crate) text: String,
    /// The metadata of the message.
    pub(crate) metadata: Option<Value>,
    /// The `wake_idempotency_key` in the metadata of the request.
    pub(crate) wake_key: Option<String>,
}

impl PlatformTurn {
    /// The request of the turn. The current server fills in the context of people's messages.
    fn params(self, dialect: Dialect, id: &WorkspaceId) -> Value {
        let mut message = Map::new();
        message.insert("role".to_owned(), json!("user"));
        message.insert("parts".to_owned(), json!([{"kind": "text", "text": self.text}]));
        message.insert("messageId".to_owned(), json!(self.message_id));
        if dialect == Dialect::Current {
            message.insert("contextId".to_owned(), json!(format!("canvas-{id}")));
        }
        message.extend(self.metadata.map(|metadata| ("metadata".to_owned(), metadata)));
        let mut params = json!({"message": message});
        if let Some(key) = self.wake_key {
            params["metadata"] = json!({"wake_idempotency_key": key});
        }
        params
    }
}

impl Platform {
    /// Reminds an agent of the requests that it has not answered, as the current server does after 10 minutes. An idle
    /// heartbeat delivers the reminder. Returns its message id; `None` on April's server, or if the workspace does not
    /// exist.
    pub fn nudge(&mut self, now: Now, id: &WorkspaceId) -> Option<String> {
        let now = self.settle(now);
        let open = self.requests.open_to(id);
        let turn = PlatformTurn {
            message_id: format!("inbox-nudge-{}", self.random.uuid()),
            text: format!("You have {open} unhandled inbox requests. List them with list_inbox, and respond to each."),
            metadata: Some(json!({"kind": "inbox_nudge", "source": "platform", "source_type": "self-nudge"})),
            wake_key: Some(format!("nudge:{id}:{}", hour(now))),
        };
        self.queue_turn(now, id, SenderClass::Notice, NUDGE, turn)
    }

    /// Asks an agent that seems to hang whether it is alive, as the current server does after 12 minutes with a task and
    /// without a row. The row of type `stall_watchdog` is there at once, an idle heartbeat delivers the message. Returns
    /// its message id; `None` on April's server, or if the workspace does not exist.
    pub fn probe_for_stall(&mut self, now: Now, id: &WorkspaceId) -> Option<String> {
        let now = self.settle(now);
        let turn = PlatformTurn {
            message_id: format!("stall-probe-{}", self.random.uuid()),
            text: "You have reported a task for a while without any activity. Report your progress.".to_owned(),
            metadata: Some(json!({"kind": "stall_probe", "source": "platform", "source_type": "self-stall"})),
            wake_key: Some(format!("stall:{id}:{}", hour(now))),
        };
        let message_id = self.queue_turn(now, id, SenderClass::Notice, PROBE, turn)?;
        let mut row = self.new_activity(now, id, ActivityType::from("stall_watchdog"));
        row.method = Some("probe".to_owned());
        row.summary = Some("stall_watchdog: probe".to_owned());
        self.log(now, row);
        Some(message_id)
    }

    /// Greets an agent that is online for the first time (current server). A push agent is called at once, and its
    /// answer is shown to the user as the agent's own message, without an answer a text of the platform; a poll agent
    /// gets nothing. Returns the message id; `None` on April's server, or if the workspace does not exist.
    pub fn greet(&mut self, now: Now, id: &WorkspaceId) -> Option<String> {
        let now = self.settle(now);
        self.live_on(Dialect::Current, id)?;
        let message_id = self.random.uuid();
        let turn = PlatformTurn {
            message_id: message_id.clone(),
            text: "You are online for the first time. Greet your user in a sentence or two.".to_owned(),
            metadata: Some(json!({
                "kind": "first_boot_greeting", "first_boot_greeting": true, "first_boot_tool_count": 0,
                "source": "platform", "source_type": "self-first-boot-greet",
            })),
            wake_key: Some(format!("first-boot-greet:{id}")),
        };
        self.send_turn(now, id, SenderClass::Unlogged, Purpose::Greeting(id.clone()), turn);
        Some(message_id)
    }

    /// Tells an agent that it was restarted (April's server), in a call without a row. Returns the message id; `None` on
    /// the current server, or if the workspace does not exist.
    pub fn send_restart_context(&mut self, now: Now, id: &WorkspaceId) -> Option<String> {
        let now = self.settle(now);
        self.live_on(Dialect::April, id)?;
        let message_id = self.random.uuid();
        let turn = PlatformTurn {
            message_id: message_id.clone(),
            text: "You were restarted. Your memory of the conversation is gone.".to_owned(),
            metadata: Some(
                json!({"kind": "restart_context", "layer": 1, "restart_context": true, "source": "platform"}),
            ),
            wake_key: None,
        };
        self.send_turn(now, id, SenderClass::Unlogged, Purpose::Unanswered, turn);
        Some(message_id)
    }

    /// Sends the prompt of a schedule to its agent (April's server): a message like a person's, and a row of type
    /// `cron_run`. Returns the message id; `None` on the current server, or if the workspace does not exist.
    pub fn run_schedule(&mut self, now: Now, id: &WorkspaceId, prompt: &str) -> Option<String> {
        let now = self.settle(now);
        self.live_on(Dialect::April, id)?;
        let (schedule, run) = (self.random.uuid(), self.random.uuid());
        let message_id = format!("cron-{}-{}", &schedule[..8], &run[..8]);
        let text = prompt.to_owned();
        let turn = PlatformTurn { message_id: message_id.clone(), text, metadata: None, wake_key: None };
        let mut row = self.new_activity(now, id, ActivityType::from("cron_run"));
        row.summary = Some(format!("cron_run: {prompt}"));
        self.log(now, row);
        self.send_turn(now, id, SenderClass::Person, Purpose::Unanswered, turn);
        Some(message_id)
    }

    /// Queues a turn of the current server for the next heartbeat of its idle agent; returns its message id.
    pub(crate) fn queue_turn(
        &mut self,
        now: Now,
        id: &WorkspaceId,
        class: SenderClass,
        priority: i64,
        turn: PlatformTurn,
    ) -> Option<String> {
        self.live_on(Dialect::Current, id)?;
        let message_id = turn.message_id.clone();
        let delivery = self.turn_delivery(id, class, Purpose::Unanswered, turn);
        self.enqueue(now, &delivery, priority);
        Some(message_id)
    }

    fn send_turn(&mut self, now: Now, id: &WorkspaceId, class: SenderClass, purpose: Purpose, turn: PlatformTurn) {
        let delivery = self.turn_delivery(id, class, purpose, turn);
        self.send(now, delivery);
    }

    fn turn_delivery(
        &mut self,
        id: &WorkspaceId,
        class: SenderClass,
        purpose: Purpose,
        turn: PlatformTurn,
    ) -> Delivery {
        let params = turn.params(self.config.dialect, id);
        let envelope = Envelope::sending(&mut self.random, params);
        Delivery { target: id.clone(), sender: Sender::of_class(class), envelope, purpose }
    }

    /// Shows the answer to a greeting to the user. The platform's own text was never recorded.
    pub(crate) fn greeted(&mut self, now: Now, id: &WorkspaceId, response: &Response) {
        if self.workspaces.get(id).is_some_and(|row| row.delivery_mode == DeliveryMode::Poll) {
            return;
        }
        let said = match A2aAnswer::read(response.body()) {
            A2aAnswer::Replied(_) if response.status().is_success() => reply_text(response.body()),
            _ => String::new(),
        };
        let name = self.workspaces.get(id).map(|row| row.name.clone()).unwrap_or_default();
        let text = if said.is_empty() { format!("Hello, {name} is online.") } else { said };
        self.say_to_user(now, id, &text, Vec::new());
    }
}

/// The hour in the key of a turn of which the server makes one in an hour.
fn hour(now: Now) -> i64 {
    now.unix.as_secs() / 3600
}
