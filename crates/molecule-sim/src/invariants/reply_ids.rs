//! Invariant: a reply to a peer has one id.

use std::collections::BTreeMap;

use super::messages::Answer;
use super::{Invariant, KnownSecrets};
use crate::trace::{Sight, TraceEvent};
use crate::weather::Route;

/// See [`Invariant::sentence`].
#[derive(Debug, Default)]
pub(crate) struct OneIdForAReply {
    /// By agent and text, which names the row: the id under which it was sent first.
    ids: BTreeMap<(usize, String), String>,
    /// By id: the text.
    texts: BTreeMap<String, String>,
}

impl Invariant for OneIdForAReply {
    fn name(&self) -> &'static str {
        "one id for a reply"
    }

    fn sentence(&self) -> &'static str {
        "however often a reply to a peer is sent, and by whatever process, it has the same message id, which no other message has"
    }

    fn see(&mut self, sight: &Sight<'_>, _: &KnownSecrets) -> Result<(), String> {
        let TraceEvent::Asked(ask) = &sight.seen else { return Ok(()) };
        let Some(answer) = Answer::of(sight.who.kind, ask).filter(|_| ask.route == Some(Route::A2a)) else {
            return Ok(());
        };
        let Answer { text, message_id: id, .. } = answer;
        let first = self.ids.entry((sight.who.agent, text.clone())).or_insert_with(|| id.clone());
        if *first != id {
            return Err(format!("the reply {text} has the id {id}, and had {first}"));
        }
        let same = self.texts.entry(id.clone()).or_insert_with(|| text.clone());
        if *same != text {
            return Err(format!("the replies {text} and {same} have the same id {id}"));
        }
        Ok(())
    }
}
