//! Invariant: what a server accepts reaches the handler.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use molecule_proto::Time;

use super::messages::{HandlerLog, message_id, rows};
use super::pushed::said;
use super::{Invariant, KnownSecrets};
use crate::agent::Program;
use crate::trace::{Sight, TraceEvent};

/// See [`Invariant::sentence`].
#[derive(Debug, Default)]
pub(crate) struct AcceptedIsHandled {
    /// By agent: the messages that were offered to the handler.
    offered: BTreeMap<usize, BTreeSet<String>>,
    log: HandlerLog,
    /// By agent and message that its inbox has: when its server said that.
    accepted: BTreeMap<(usize, String), Time>,
}

/// How long the agent must have been well, if the message waits in its inbox.
const ENOUGH: Duration = Duration::from_secs(120);

impl Invariant for AcceptedIsHandled {
    fn name(&self) -> &'static str {
        "accepted is handled"
    }

    fn sentence(&self) -> &'static str {
        "a message that an agent's own server answers with success was offered to the handler; if it says nothing because the inbox \
         has the message, the inbox handles it or makes a dead letter of it"
    }

    fn see(&mut self, sight: &Sight<'_>, _: &KnownSecrets) -> Result<(), String> {
        let agent = sight.who.agent;
        self.log.see(sight);
        match &sight.seen {
            TraceEvent::Offered(_, message) => {
                self.offered.entry(agent).or_default().extend(message.message_id().map(str::to_owned));
            }
            TraceEvent::Reacted(delivery, reaction) => {
                let method = &delivery.body["method"];
                let Some(said) = said(delivery, reaction).filter(|_| method == "message/send") else { return Ok(()) };
                // A check whether the server is reachable is answered without the handler, a client that does not want to wait before
                // it, and a message whose task is cancelled without it.
                let is_early = delivery.body["params"]["configuration"]["blocking"] == false;
                if said["metadata"]["molecule.reachability"].is_string()
                    || (said["kind"] == "task" && (is_early || said["status"]["state"] == "canceled"))
                {
                    return Ok(());
                }
                if is_own(sight, &delivery.message) || said.get("code").is_some() || said.is_string() {
                    return Ok(());
                }
                let id = &delivery.message;
                let is_offered = self.offered.get(&agent).is_some_and(|offered| offered.contains(id));
                let says_nothing = said["parts"].as_array().is_some_and(Vec::is_empty);
                let receives = sight.facts.agents[agent].setup.handler.is_some();
                match (is_offered, receives) {
                    (true, receives) if !receives || !says_nothing => {}
                    (true, true) if self.log.has_handled(agent, id) => {}
                    (false, false) => return Err(format!("message {id} is answered {said}, and no handler had it")),
                    (_, _) => drop(self.accepted.entry((agent, id.clone())).or_insert(sight.at)),
                }
            }
            TraceEvent::Settled => return self.judge(sight),
            _ => {}
        }
        Ok(())
    }
}

impl AcceptedIsHandled {
    fn judge(&self, sight: &Sight<'_>) -> Result<(), String> {
        let agent = sight.who.agent;
        let well = &sight.facts.agents[agent];
        if well.program != Program::Looping || well.looping_since + ENOUGH > sight.at || well.is_odd(sight.at) {
            return Ok(());
        }
        let lost = self
            .accepted
            .iter()
            .find(|((of, id), at)| *of == agent && **at + ENOUGH <= sight.at && !self.log.has_handled(agent, id));
        match lost {
            Some(((_, id), _)) => Err(format!("message {id} was accepted, and no handler ended with it")),
            None => Ok(()),
        }
    }
}

/// Returns whether an agent has a message of its own, which it does not handle.
fn is_own(sight: &Sight<'_>, id: &str) -> bool {
    rows(sight).iter().any(|row| row.source_id.as_ref() == Some(&row.workspace_id) && message_id(row) == Some(id))
}
