//! Invariant: peers are called only at URLs that the platform gave.

use std::collections::BTreeMap;
use std::time::Duration;

use molecule_core::effect::Sent;
use molecule_core::machine::peer_cache::CAPACITY;
use molecule_proto::{Now, WorkspaceId};

use super::{Invariant, KnownSecrets, is_dead};
use crate::calls::{PeerAsk, PeerWay};
use crate::job::JobKind;
use crate::scenario::ScenarioAction;
use crate::trace::{OutcomeRecord, RequestRecord, Sight, Taken, TraceEvent};
use crate::weather::Route;

/// See [`Invariant::sentence`].
#[derive(Debug, Default)]
pub(crate) struct PeersAreWhereTheyWereSaidToBe {
    /// By process and peer.
    told: BTreeMap<(usize, WorkspaceId), KnownUrl>,
}

/// The URL of a peer that a process got; times are those of the agent's monotonic clock.
#[derive(Debug)]
struct KnownUrl {
    url: String,
    at: Now,
    /// The time at which a direct call to this URL was refused.
    refused: Option<Now>,
}

/// The validity of a URL, and of a refusal, by the clock that advanced more.
const TTL: Duration = Duration::from_secs(300);

impl Invariant for PeersAreWhereTheyWereSaidToBe {
    fn name(&self) -> &'static str {
        "peers are where they were said to be"
    }

    fn sentence(&self) -> &'static str {
        "a peer is called directly only at the URL that the platform told this process last, not longer than 300 s ago; not \
         unasked while it has refused that within 300 s; and no process remembers more than 1024 peers"
    }

    fn see(&mut self, sight: &Sight<'_>, _: &KnownSecrets) -> Result<(), String> {
        if sight.remembered > CAPACITY {
            return Err(format!("{} peers are remembered", sight.remembered));
        }
        match &sight.seen {
            TraceEvent::Asked(ask) if ask.route == Some(Route::Direct) => match sight.who.kind {
                JobKind::CallPeer(call) => self.calls(sight, ask, call),
                _ => Ok(()),
            },
            TraceEvent::Landed(landing, Taken::Yes) => {
                self.landed(sight, landing);
                Ok(())
            }
            TraceEvent::Acted(ScenarioAction::Forget(peer)) => {
                if let Some(peer) = sight.facts.agents.get(usize::from(*peer)) {
                    self.told.remove(&(sight.who.process, peer.workspace.clone()));
                }
                Ok(())
            }
            seen if is_dead(seen) => {
                self.told.retain(|(process, _), _| *process != sight.who.process);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

impl PeersAreWhereTheyWereSaidToBe {
    fn calls(&self, sight: &Sight<'_>, ask: &RequestRecord, call: PeerAsk) -> Result<(), String> {
        let now = sight.clock;
        let Some(peer) = sight.facts.agents.get(usize::from(call.to)) else {
            return Err("a workspace that does not exist is called directly".to_owned());
        };
        let uri = ask.about.as_ref().map(|about| about.request.uri().to_string()).unwrap_or_default();
        let Some(told) = self.told.get(&(sight.who.process, peer.workspace.clone())) else {
            return Err(format!("nobody said that agent {} is at {uri}", call.to));
        };
        let age = now.since(told.at);
        if told.url != uri || age >= TTL {
            return Err(format!(
                "agent {} is called at {uri}, and {age:?} ago was said to be at {}",
                call.to, told.url
            ));
        }
        match told.refused {
            Some(at) if call.way == PeerWay::Auto && now.since(at) < TTL => {
                Err(format!("agent {} is called at {uri}, and refused that {:?} ago", call.to, now.since(at)))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn landed(&mut self, sight: &Sight<'_>, landing: &OutcomeRecord) {
        let (process, now) = (sight.who.process, sight.clock);
        let route = landing.ask.as_ref().and_then(|ask| ask.route);
        for (peer, url) in &landing.peers {
            let key = (process, peer.clone());
            match url {
                Some(url) => {
                    let same = |told: &&KnownUrl| told.url == *url;
                    let refused = self.told.get(&key).filter(same).and_then(|told| told.refused);
                    self.told.insert(key, KnownUrl { url: url.clone(), at: now, refused });
                }
                // Anybody may have sent an error; only the platform's own error texts say that the peer has no URL.
                None if route == Some(Route::Peers) || is_nowhere(landing) => drop(self.told.remove(&key)),
                None => {}
            }
        }
        if let (Some(Route::Direct), JobKind::CallPeer(call)) = (route, sight.who.kind)
            && refuses(landing)
            && let Some(peer) = sight.facts.agents.get(usize::from(call.to))
            && let Some(told) = self.told.get_mut(&(process, peer.workspace.clone()))
        {
            let uri =
                landing.ask.as_ref().and_then(|ask| ask.about.as_ref()).map(|about| about.request.uri().to_string());
            if uri.as_ref() == Some(&told.url) {
                told.refused = Some(now);
            }
        }
    }
}

/// Returns whether the answer is the platform's text for a peer without a URL.
fn is_nowhere(landing: &OutcomeRecord) -> bool {
    matches!(
        landing.error.as_deref(),
        Some(
            "workspace not available"
                | "workspace URL failed safety check"
                | "not authorized to discover this workspace"
                | "workspace not found"
        )
    ) || landing.status.is_some_and(|status| status.is_success())
}

fn refuses(landing: &OutcomeRecord) -> bool {
    match (landing.status.map(|status| status.as_u16()), landing.fault) {
        (Some(status), _) => matches!(status, 401 | 403 | 404 | 405),
        (None, Some((sent, _))) => sent == Sent::No,
        (None, None) => false,
    }
}
