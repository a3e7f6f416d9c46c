//! Runs made-up handlers in virtual time, and lets people, agents, channels and the platform write to the agents.

use std::time::Duration;

use molecule_core::effect::{EffectId, Handle, Outcome};
use molecule_core::machines::ReplyTo;
use molecule_core::{InboundMessage, Reply, ReplyHandle};
use molecule_platform::{ChannelMessage, Webhook};
use molecule_proto::{ActivityId, Message};

use crate::clock::platform_now;
use crate::handler::HandlerManner;
use crate::job::{self, JobKind};
use crate::scenario::{Crash, Moment, Writer};
use crate::trace::{TraceEvent, Who};
use crate::world::{Happening, World};

/// The time after which a program that was killed by a message starts again, in seconds.
const RESTART_S: u32 = 5;

/// The time after which an application tries again to reply.
const AGAIN: Duration = Duration::from_secs(60);

/// The text of the reply to the message in a row: it names the row, so that the invariants know what it answers.
pub(crate) fn reply_to(row: &ActivityId) -> String {
    format!("re: {row}")
}

impl World<'_> {
    /// Offers a message to the agent's handler. The process may crash at it.
    pub(crate) fn handle(&mut self, who: Who, id: EffectId, message: InboundMessage, crash: Option<Crash>) {
        self.see(who, TraceEvent::Offered(id, &message));
        if who.kind == JobKind::Serve {
            self.push_is_handled(who, &message);
        }
        if let Some(crash) = crash.filter(|crash| crash.moment == Moment::Before) {
            return self.crash(who.agent, crash);
        }
        let takes = Duration::from_millis(self.agents[who.agent].handler.takes_ms.into());
        if let Some(process) = self.process_mut(who.process) {
            process.handling.insert(id, message);
        }
        // A crash in the middle of a handler, planned for this effect or because the message kills every process.
        let poison = &mut self.agents[who.agent].poison;
        let kills = poison.0 > 0;
        poison.0 = poison.0.saturating_sub(1);
        let power = poison.1;
        let killed = Crash { after_effects: 0, moment: Moment::During, power, restart_s: Some(RESTART_S) };
        if let Some(crash) = crash.or(kills.then_some(killed)) {
            return self.crash(who.agent, crash);
        }
        self.plan(self.now + takes, Happening::HandlerEnds { process: who.process, job: who.job, id });
    }

    /// Ends a run of a handler.
    pub(crate) fn handler_ends(&mut self, process: usize, job: u32, id: EffectId) {
        let Some(living) = self.process_mut(process) else { return };
        let Some(message) = living.handling.remove(&id) else { return };
        let (agent, kind) = (living.agent, living.kind(job).unwrap_or(JobKind::Run));
        self.see(Who { agent, process, job, kind }, TraceEvent::HandlerEnds(id, &message));
        let outcome = self.handles(agent, kind, &message);
        self.hand_over(Who { agent, process, job, kind }, id, None, outcome);
    }

    fn handles(&mut self, agent: usize, kind: JobKind, message: &InboundMessage) -> Outcome {
        // A caller knows its message by its own id alone.
        let reply = || match message.message_id().filter(|_| kind == JobKind::Serve) {
            Some(id) => Reply::text(format!("re: {id}")),
            None => Reply::text(reply_to(message.id())),
        };
        let replies = |reply| Handle::returned::<String>(Ok(Some(reply)));
        match self.agents[agent].handler.manner {
            HandlerManner::Echo => replies(reply()),
            HandlerManner::Continues => replies(reply().and_continue()),
            HandlerManner::Nothing => Handle::returned::<String>(Ok(None)),
            HandlerManner::Later(secs) => {
                let at = self.now + Duration::from_secs(secs.into());
                self.plan(at, Happening::RepliesLate { agent, message: message.id().clone() });
                replies(Reply::later())
            }
            HandlerManner::FailsFirst(times) if message.attempt() > times.into() => replies(reply()),
            HandlerManner::Fails | HandlerManner::FailsFirst(_) => Handle::returned(Err("the handler fails")),
            HandlerManner::Panics => Handle::panicked(&"the handler panics"),
            HandlerManner::Uncalled => Handle::not_called(&"no thread is left"),
        }
    }

    /// Gives the reply that a handler put off, once the program runs.
    pub(crate) fn replies_late(&mut self, agent: usize, message: ActivityId) {
        let Some(number) = self.agents[agent].process else {
            return self.plan(self.now + AGAIN, Happening::RepliesLate { agent, message });
        };
        let text = reply_to(&message);
        let handle: ReplyHandle = message.as_str().parse().expect("the id of a row is one");
        // The text is a valid reply.
        if let Ok(reply) = ReplyTo::new(handle, text) {
            self.begin(number, JobKind::ReplyTo, job::reply_to(reply));
        }
    }

    /// Lets somebody write to an agent; `act` is the number of the action.
    pub(crate) fn writes(&mut self, act: usize, agent: usize, writer: Writer) {
        let now = platform_now(self.now);
        let to = self.agents[agent].workspace.clone();
        let text = format!("message {act}");
        let platform = &mut self.platform;
        // Whatever the platform refuses reaches nobody.
        match writer {
            Writer::User => drop(platform.send_user_message(now, &to, Message::text(text))),
            Writer::Peer(from) => {
                let Some(from) = self.agents.get(usize::from(from)).map(|from| from.workspace.clone()) else { return };
                self.platform.send_agent_message(now, &from, &to, Message::text(text));
            }
            Writer::Channel(chat) => {
                let message = ChannelMessage::new("telegram", act.to_string(), text).chat(chat.to_string());
                platform.send_channel_message(now, &to, message);
            }
            Writer::Webhook => drop(platform.send_webhook(now, &to, Webhook::github("issues", "opened", text))),
            Writer::Nudge => drop(platform.nudge(now, &to)),
            Writer::StallProbe => drop(platform.probe_for_stall(now, &to)),
            Writer::Schedule => drop(platform.run_schedule(now, &to, &text)),
            Writer::Broadcast(from) => {
                let Some(from) = self.agents.get(usize::from(from)).map(|from| from.workspace.clone()) else { return };
                self.platform.send_broadcast(now, &from, &text);
            }
            Writer::Upload => {
                if platform.upload(now, &to, "a.txt", "text/plain", text).is_none() {
                    self.hand_files_over(act, &to);
                }
            }
        }
    }
}
