//! A machine that offers messages to a handler, for tests of how a driver calls one.

use std::collections::VecDeque;

use molecule_core::effect::{Effect, EffectId, Fault, Handle, Handled, Outcome};
use molecule_core::machine::{Cx, Machine, Step};
use molecule_core::proto::json;
use molecule_core::{InboundMessage, Result};

use super::facades::ID;

/// Offers messages all at once, and is done when it has this many outcomes. Its output is what became of each, in the order of
/// the outcomes: the reply's text, `nothing`, `later`, or the fault.
#[derive(Debug)]
pub struct Offers {
    waiting: VecDeque<InboundMessage>,
    given: u64,
    awaited: usize,
    outcomes: Vec<String>,
}

impl Offers {
    /// A machine that waits for all outcomes of messages with these texts.
    ///
    /// # Panics
    /// If a text is no message.
    pub fn all(texts: &[&str]) -> Self {
        Self::first(texts.len(), texts)
    }

    /// A machine that waits for the first outcomes alone.
    ///
    /// # Panics
    /// If a text is no message.
    pub fn first(awaited: usize, texts: &[&str]) -> Self {
        let waiting = texts.iter().zip(1..).map(|(text, number)| message(number, text)).collect();
        Self { waiting, given: 0, awaited, outcomes: Vec::new() }
    }
}

/// A peer's message.
fn message(number: u32, text: &str) -> InboundMessage {
    let row = format!(
        r#"{{"id":"c7d4e792-6bae-4ad6-ad93-{number:012}","workspace_id":"{ID}","activity_type":"a2a_receive",
            "method":"message/send","status":"ok","source_id":"9f39ce87-2726-40d6-bb91-05eb57b17ef2",
            "created_at":"2026-11-22T21:39:47.380292Z","request_body":{{"jsonrpc":"2.0","method":"message/send",
            "params":{{"message":{{"messageId":"m-{number}","parts":[{{"kind":"text","text":"{text}"}}]}}}}}}}}"#
    );
    let row = json::read(row.as_bytes()).expect("a row of the feed");
    let own = ID.parse().expect("an id");
    InboundMessage::read(row, &own).expect("a message")
}

impl Machine for Offers {
    type Output = Result<Vec<String>>;

    fn operation(&self) -> &'static str {
        "offer messages"
    }

    fn poll(&mut self, _: &mut Cx<'_>) -> Step<Self::Output> {
        if self.outcomes.len() >= self.awaited {
            return Step::Done(Ok(std::mem::take(&mut self.outcomes)));
        }
        match self.waiting.pop_front() {
            Some(message) => {
                self.given += 1;
                Step::Start(EffectId(self.given), Effect::Handle(Handle { message }))
            }
            None => Step::Idle(None),
        }
    }

    fn feed(&mut self, _: &mut Cx<'_>, _: EffectId, outcome: Outcome) -> std::result::Result<(), Outcome> {
        self.outcomes.push(match outcome {
            Outcome::Handled(Handled::Later) => "later".to_owned(),
            Outcome::Handled(Handled::Reply(None)) => "nothing".to_owned(),
            Outcome::Handled(Handled::Reply(Some(reply))) => {
                reply.parts().iter().filter_map(|part| part.as_text()).collect()
            }
            Outcome::Failed(Fault { kind, sent, source, .. }) => {
                format!("{kind:?}, {sent:?}: {}", source.map(|source| source.to_string()).unwrap_or_default())
            }
            other => return Err(other),
        });
        Ok(())
    }

    fn cancel(&mut self, _: &mut Cx<'_>) {
        self.waiting.clear();
        self.awaited = self.outcomes.len().max(usize::try_from(self.given).unwrap_or(usize::MAX));
    }
}
