//! Questions to the platform, and a new token.

use std::path::PathBuf;

use molecule_async::core::proto::printable;
use molecule_async::{Agent, Peer, Recovery};

use crate::exit::{self, Failure};
use crate::output::Output;
use crate::settings::read_credential;

/// The result is an array of [`Peer`], sorted by name.
pub(super) async fn peers(agent: &Agent, matching: Option<String>, output: &Output) -> Result<u8, Failure> {
    let mut peers = match matching {
        Some(text) => agent.peers_matching(text).await?,
        None => agent.peers().await?,
    };
    peers.sort_by(|one, other| (&one.name, &one.id).cmp(&(&other.name, &other.id)));
    output.result(&peers, || peers.iter().map(peer).collect::<Vec<_>>().join("\n"))?;
    Ok(exit::OK)
}

fn peer(peer: &Peer) -> String {
    let role = peer.role.as_deref().map(|role| format!(", {role}")).unwrap_or_default();
    printable::line(&format!("{}  {}  ({}{role})", peer.id, peer.name, peer.status))
}

/// The result is a [`Recovered`](molecule_async::Recovered).
pub(super) async fn recover(agent: &Agent, admin: Option<PathBuf>, output: &Output) -> Result<u8, Failure> {
    let recovery = match admin {
        Some(file) => Recovery::admin(&read_credential(&file)?)?,
        None => Recovery::Own,
    };
    let recovered = agent.recover(recovery).await?;
    output.result(&recovered, || "the new token is stored".to_owned())?;
    Ok(exit::OK)
}
