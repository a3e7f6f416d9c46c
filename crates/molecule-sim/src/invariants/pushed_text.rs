//! Invariant: whoever is pushed through gets the handler's words.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use molecule_core::effect::EffectId;

use super::messages::{Author, message_id, metadata, rows};
use super::pushed::{is_platform_turn, parts, said};
use super::{Invariant, KnownSecrets, is_dead};
use crate::clock::platform_now;
use crate::trace::{HandlerSaid, Sight, Taken, TraceEvent};

/// See [`Invariant::sentence`].
#[derive(Debug, Default)]
pub(crate) struct PushedCallersGetTheText {
    /// By agent: the messages that reached it in any way.
    known: BTreeMap<usize, BTreeSet<String>>,
    /// By process: the messages that were pushed as soon as they were written, and not answered yet.
    fresh: BTreeMap<usize, BTreeSet<String>>,
    running: BTreeMap<(usize, EffectId), String>,
    /// By agent: the messages to which the handler gave a reply.
    replied: BTreeMap<usize, BTreeSet<String>>,
}

/// How old the row of a message may be that is pushed at once.
const AT_ONCE: Duration = Duration::from_secs(1);

impl Invariant for PushedCallersGetTheText {
    fn name(&self) -> &'static str {
        "pushed callers get the text"
    }

    fn sentence(&self) -> &'static str {
        "whoever waits for a message that is pushed as soon as it is written gets the handler's reply in the answer, although the \
         agent reads its feed as well"
    }

    fn see(&mut self, sight: &Sight<'_>, _: &KnownSecrets) -> Result<(), String> {
        let (agent, process) = (sight.who.agent, sight.who.process);
        match &sight.seen {
            TraceEvent::Delivered(delivery) if !delivery.message.is_empty() => {
                let is_new = self.known.entry(agent).or_default().insert(delivery.message.clone());
                if is_new && !delivery.is_copy && !is_platform_turn(delivery) && is_fresh(sight, &delivery.message) {
                    self.fresh.entry(process).or_default().insert(delivery.message.clone());
                }
            }
            TraceEvent::Offered(id, message) => {
                let Some(name) = message.message_id() else { return Ok(()) };
                self.known.entry(agent).or_default().insert(name.to_owned());
                self.running.insert((process, *id), name.to_owned());
            }
            TraceEvent::Landed(landing, taken) => {
                if let Some(name) = self.running.remove(&(process, landing.id))
                    && matches!(landing.said, Some(HandlerSaid::Reply { .. }))
                    && *taken == Taken::Yes
                {
                    self.replied.entry(agent).or_default().insert(name);
                }
            }
            TraceEvent::Reacted(delivery, reaction) if !delivery.is_copy => {
                if !self.fresh.get_mut(&process).is_some_and(|fresh| fresh.remove(&delivery.message)) {
                    return Ok(());
                }
                let has_reply = self.replied.get(&agent).is_some_and(|replied| replied.contains(&delivery.message));
                if let Some(said) = said(delivery, reaction)
                    && said.get("code").is_none()
                    && has_reply
                    && may_be_answered(sight, &delivery.message)
                    && parts(said).is_empty()
                {
                    return Err(format!("the caller of message {} gets no text: {said}", delivery.message));
                }
            }
            seen if is_dead(seen) => {
                self.fresh.remove(&process);
                self.running.retain(|(of, _), _| *of != process);
            }
            _ => {}
        }
        Ok(())
    }
}

/// Returns whether the platform has written a message's row just now.
fn is_fresh(sight: &Sight<'_>, message: &str) -> bool {
    let now = platform_now(sight.at).unix;
    let row = rows(sight).into_iter().find(|row| message_id(row) == Some(message));
    row.is_some_and(|row| now.since(row.created_at) <= AT_ONCE)
}

/// Returns whether a reply may be read: nobody reads those to webhooks and the platform, and a reply gets none.
fn may_be_answered(sight: &Sight<'_>, message: &str) -> bool {
    let row = rows(sight).into_iter().find(|row| message_id(row) == Some(message));
    row.is_some_and(|row| {
        let mut unanswered = row.clone();
        unanswered.response_body = None;
        Author::of(&unanswered).is_some_and(|author| author.may_be_answered())
            && metadata(row).get("molecule.in_reply_to").is_none()
    })
}
