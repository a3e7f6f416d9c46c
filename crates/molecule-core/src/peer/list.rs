//! The list of peers.

use molecule_proto::{Peer, Rows, refuse_nul};

use crate::call::Call;
use crate::endpoint::{Endpoint, Peers};
use crate::error::{Error, ErrorKind, Result};
use crate::event::Event;
use crate::flow::{Flow, Line, Parting, machine_of_flow};
use crate::session::{Dialect, Feature, Session};

/// Asks for the list of the agent's peers: `GET /registry/:id/peers` (contract section 6.3). Their URLs are cached.
#[derive(Debug)]
#[must_use = "a machine does nothing until it is driven"]
pub struct ListPeers(Flow<Result<Vec<Peer>>>);

impl ListPeers {
    /// Lists all peers.
    pub fn all() -> Self {
        Self::of(None)
    }

    /// Lists the peers whose name or role contains a text, whatever the case. April's server, whose own filter fails,
    /// and a server of unknown dialect are asked for all peers, unless the list is too long to be read.
    pub fn matching(text: impl Into<String>) -> Self {
        Self::of(Some(text.into()).filter(|text| !text.is_empty()))
    }

    fn of(matching: Option<String>) -> Self {
        Self(Flow::new(Peers::OPERATION, move |line| async move { list_peers(&line, matching.as_deref()).await }))
    }
}

machine_of_flow!(ListPeers, Result<Vec<Peer>>);

async fn list_peers(line: &Line, matching: Option<&str>) -> Result<Vec<Peer>> {
    line.check()?;
    if let Some(text) = matching {
        refuse_nul("the text to look for", text).map_err(|error| Error::from(error).during(Peers::OPERATION))?;
    }
    loop {
        let is_filtered_here = line.with(|cx| is_filtered_here(cx.session, matching));
        let endpoint = Peers { matching: matching.filter(|_| !is_filtered_here).map(str::to_owned) };
        match line.run("list the peers", Call::new(endpoint), Parting::give_up()).await {
            // If there are too many peers, the server's own filter may still return some.
            Err(error) if error.kind() == ErrorKind::TooLarge && is_filtered_here => {
                line.with(|cx| cx.session.learn_lack(Feature::AllPeers));
            }
            Err(error) if error.kind() == ErrorKind::TooLarge => {
                return Err(error.remedy(
                    "ask for some of them by name or role (peers_matching), or have the owners of large agent cards shorten \
                     them",
                ));
            }
            Err(error) => return Err(error),
            Ok(list) => return Ok(learn(line, list, matching.filter(|_| is_filtered_here))),
        }
    }
}

/// Returns whether the server is asked for all peers, so that the client filters.
fn is_filtered_here(session: &Session, matching: Option<&str>) -> bool {
    match session.dialect {
        Some(Dialect::Current) => false,
        Some(Dialect::April) | None => matching.is_some() && !session.lacks(Feature::AllPeers),
    }
}

/// Caches the URLs of all peers, and returns the peers that match.
fn learn(line: &Line, list: Rows<Peer>, matching: Option<&str>) -> Vec<Peer> {
    line.with(|cx| cx.session.peers.learn(cx.now, &list.rows));
    if list.skipped > 0 {
        let rows = list.skipped;
        line.tell(Event::Warning(format!("the list of peers has {rows} entries that make no sense")));
    }
    let mut peers = list.rows;
    if let Some(text) = matching {
        let text = text.to_lowercase();
        let fits = |field: &str| field.to_lowercase().contains(&text);
        peers.retain(|peer| fits(&peer.name) || peer.role.as_deref().is_some_and(fits));
    }
    peers
}
