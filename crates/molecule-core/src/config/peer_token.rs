//! The tokens that peers gave this agent for direct calls.

use std::collections::BTreeMap;

use http::HeaderValue;
use molecule_proto::{Token, TokenError, WorkspaceId};

use crate::error::{Error, Result};

/// A token that a peer gave this agent for direct calls. It is a type of its own, so that the agent's bearer can never stand in
/// its place. `Debug` shows nothing of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PeerToken(Token);

/// The tokens by peer.
pub(crate) type PeerTokens = BTreeMap<WorkspaceId, PeerToken>;

impl PeerToken {
    /// Returns the value of the `Authorization` header, marked sensitive.
    pub(crate) fn bearer(&self) -> HeaderValue {
        self.0.bearer()
    }
}

/// Checks the tokens that were given, each with its peer's id. The last one of a peer counts.
pub(crate) fn peer_tokens(given: Vec<(String, Result<Token, TokenError>)>) -> Result<PeerTokens> {
    let read = |(peer, token): (String, Result<Token, TokenError>)| {
        let id: WorkspaceId = peer.trim().parse().map_err(|error: molecule_proto::IdError| {
            Error::config(format!("peer_token(…): {error}"), "use the id that the list of peers shows for the peer")
        })?;
        let token = token.map_err(|error| {
            Error::config(
                format!("peer_token(…) of {id}: {error}"),
                "take the token that the peer's owner made for this agent",
            )
        })?;
        Ok((id, PeerToken(token)))
    };
    given.into_iter().map(read).collect()
}
