//! Invariant: whoever sends a message again gets the same answer.

use std::collections::BTreeMap;

use serde_json::Value;

use super::pushed::said;
use super::{Invariant, KnownSecrets};
use crate::job::JobKind;
use crate::trace::{Sight, TraceEvent};

/// See [`Invariant::sentence`].
#[derive(Debug, Default)]
pub(crate) struct OneAnswerToAMessage {
    /// By agent and message: the answer to it since its last run began.
    answers: BTreeMap<(usize, String), Value>,
}

impl Invariant for OneAnswerToAMessage {
    fn name(&self) -> &'static str {
        "one answer to a message"
    }

    fn sentence(&self) -> &'static str {
        "an agent's own server answers a message that comes again with what it answered before, unless the handler had to run again"
    }

    fn see(&mut self, sight: &Sight<'_>, _: &KnownSecrets) -> Result<(), String> {
        match &sight.seen {
            TraceEvent::Offered(_, message) if sight.who.kind == JobKind::Serve => {
                let id = message.message_id().unwrap_or_default().to_owned();
                self.answers.remove(&(sight.who.agent, id));
            }
            TraceEvent::Reacted(delivery, reaction) => {
                let Some(said) = said(delivery, reaction) else { return Ok(()) };
                // A message of a channel or a webhook has another key than its id.
                if !delivery.body["params"]["metadata"]["chat_id"].is_null() {
                    return Ok(());
                }
                let before = self.answers.entry((delivery.target, delivery.message.clone()));
                let before = before.or_insert_with(|| said.clone());
                // The handler of the inbox has it, or it is the agent's own: no answer is kept.
                let is_empty = |answer: &Value| answer["parts"].as_array().is_some_and(Vec::is_empty);
                if *before != *said && !(is_empty(before) && is_empty(said)) {
                    return Err(format!("message {} is answered {said}, and was answered {before}", delivery.message));
                }
            }
            _ => {}
        }
        Ok(())
    }
}
