//! Invariant: nobody is served without the credential once one is known.

use std::collections::{BTreeMap, BTreeSet};

use molecule_core::effect::Slot;
use molecule_proto::InboundSecret;

use super::credentials::{direct_peer, is_open};
use super::{Invariant, KnownSecrets};
use crate::served::Reaction;
use crate::trace::{Sight, Taken, TraceEvent};
use crate::weather::Route;

/// See [`Invariant::sentence`].
#[derive(Debug, Default)]
pub(crate) struct NobodyIsServedWithoutTheCredential {
    /// The processes that have got the secret.
    know: BTreeSet<usize>,
    /// By agent: the platform's secret, also after the workspace is gone.
    secrets: BTreeMap<usize, InboundSecret>,
    /// The messages that came before their process had the secret. Their answers may go out afterwards.
    before: BTreeSet<(usize, String)>,
}

impl Invariant for NobodyIsServedWithoutTheCredential {
    fn name(&self) -> &'static str {
        "nobody is served without the credential"
    }

    fn sentence(&self) -> &'static str {
        "an agent's own server answers 401 to whoever brings neither the platform's secret nor a token of a peer, once the agent has got \
         a secret, also after a restart, and from the beginning unless its owner allows otherwise; a peer's token is good for calls alone"
    }

    fn see(&mut self, sight: &Sight<'_>, _: &KnownSecrets) -> Result<(), String> {
        let process = sight.who.process;
        match &sight.seen {
            TraceEvent::Began => {
                let disk = &sight.facts.agents[sight.who.agent].disk;
                if disk.content(Slot::InboundSecret, false).is_some() {
                    self.know.insert(process);
                }
            }
            TraceEvent::Landed(landing, Taken::Yes) => {
                let is_register = landing.ask.as_ref().and_then(|ask| ask.route) == Some(Route::Register);
                if is_register && landing.is_good() && landing.brings_secret {
                    self.know.insert(process);
                    let workspace = &sight.facts.agents[sight.who.agent].workspace;
                    let secret = sight.facts.platform.inbound_secret(workspace);
                    self.secrets.extend(secret.map(|secret| (sight.who.agent, secret)));
                }
            }
            TraceEvent::Delivered(delivery) if !self.know.contains(&process) => {
                self.before.insert((process, delivery.message.clone()));
            }
            TraceEvent::Reacted(delivery, Reaction::Answers(status, _)) if status.as_u16() != 401 => {
                let came_before = self.before.remove(&(process, delivery.message.clone()));
                let agent = &sight.facts.agents[delivery.target];
                let secret = sight.facts.platform.inbound_secret(&agent.workspace);
                let secret = secret.as_ref().or(self.secrets.get(&delivery.target));
                let is_platform = secret.is_some_and(|secret| delivery.bearer.as_deref() == Some(secret.expose()));
                let is_open = is_open(sight, delivery.target);
                if direct_peer(&sight.facts, delivery).is_some() {
                    // Files and other calls are the platform's alone.
                    let is_served = delivery.path.is_empty() || status.as_u16() == 404;
                    return if is_served {
                        Ok(())
                    } else {
                        Err(format!("a peer's call of {} is answered {status}", delivery.path))
                    };
                }
                if !is_platform && (!is_open || (self.know.contains(&process) && !came_before)) {
                    return Err(format!("message {} is answered {status}", delivery.message));
                }
            }
            _ => {}
        }
        Ok(())
    }
}
