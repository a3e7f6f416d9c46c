//! The credentials of requests to agents' own servers, read without the code that is judged.

use molecule_proto::{Dialect, WorkspaceId};

use crate::agent::peer_token;
use crate::served::Delivery;
use crate::trace::{Facts, Sight};

/// The agent whose token for the called server a request brings, if the server takes such tokens.
pub(super) fn direct_peer(facts: &Facts<'_>, delivery: &Delivery) -> Option<usize> {
    let agent = &facts.agents[delivery.target];
    agent.setup.server.as_ref().filter(|server| server.peer_tokens)?;
    let bearer = delivery.bearer.as_deref()?;
    let others = (0..facts.agents.len()).filter(|other| *other != delivery.target);
    others.into_iter().find(|other| peer_token(*other, delivery.target) == bearer)
}

/// Returns whether a server takes requests without a credential while it knows of none.
pub(super) fn is_open(sight: &Sight<'_>, agent: usize) -> bool {
    sight.facts.agents[agent].setup.server.as_ref().is_some_and(|server| server.open)
        || sight.facts.platform.dialect() == Dialect::April
}

/// The workspace of the direct peer that a request is from.
pub(super) fn direct_sender<'a>(facts: &Facts<'a>, delivery: &Delivery) -> Option<&'a WorkspaceId> {
    direct_peer(facts, delivery).map(|peer| &facts.agents[peer].workspace)
}
