//! The discovery of a peer's URL.

use molecule_proto::{Time, WorkspaceId};

use crate::call::Call;
use crate::config::workspace_id;
use crate::endpoint::{Discover, Endpoint};
use crate::error::{Error, Result};
use crate::flow::{Flow, Limited, Line, Parting, machine_of_flow};
use crate::machine::{Cx, Wake};
use crate::session::discoveries::Discovery;
use crate::session::peer_cache::Known;
use crate::session::peer_url::PeerUrl;

/// Asks the platform for a peer's URL, unless it is cached: `GET /registry/discover/:id` (contract section 6.2). If
/// another call already asks for the same peer, this one waits for its answer. A URL does not show that the peer is
/// alive: a removed push agent that was never paused keeps its URL.
#[derive(Debug)]
#[must_use = "a machine does nothing until it is driven"]
pub struct DiscoverPeer(Flow<Result<Option<PeerUrl>>>);

impl DiscoverPeer {
    /// Makes a discovery of this peer.
    ///
    /// # Errors
    /// `Config` if the id is not a UUID.
    pub fn new(id: impl AsRef<str>) -> Result<Self> {
        workspace_id(Discover::OPERATION, id).map(Self::of)
    }

    /// Makes a discovery of a peer whose id is already parsed.
    pub fn of(id: WorkspaceId) -> Self {
        Self(Flow::new(Discover::OPERATION, move |line| async move {
            line.check()?;
            discover(&line, &id, Terms { is_optional: false, limit: None }).await
        }))
    }
}

machine_of_flow!(DiscoverPeer, Result<Option<PeerUrl>>);

/// How much the caller needs the answer.
#[derive(Clone, Copy)]
pub(super) struct Terms {
    /// The caller can go on without the answer. The discovery then sends one request. It waits for another call's
    /// discovery no longer than one request would take, and does not try again if that one failed.
    pub(super) is_optional: bool,
    /// The time after which the caller no longer needs the answer.
    pub(super) limit: Option<Wake>,
}

/// Returns the peer's URL, if it has one.
pub(super) async fn discover(line: &Line, id: &WorkspaceId, terms: Terms) -> Result<Option<PeerUrl>> {
    let mut awaited = None;
    let own = loop {
        match line.with(|cx| begin(cx, id, terms, &mut awaited))? {
            Begun::Known(url) => return Ok(url),
            Begun::ByAnother(wake) => line.pause("wait for the discovery of another call", wake).await?,
            Begun::Now(own) => break own,
        }
    };
    let endpoint = Discover(id.clone());
    let call = if terms.is_optional { Call::once(endpoint) } else { Call::new(endpoint) };
    let call = match terms.limit {
        Some(limit) => call.until(limit.at),
        None => call,
    };
    let limited = Limited { machine: call, limit: terms.limit };
    let answer = line.run("ask where the peer is", limited, Parting::give_up()).await;
    line.with(|cx| {
        let counts = cx.session.discoveries.end(id, &own);
        let url = answer?.and_then(|found| PeerUrl::read(&found.url));
        if counts {
            cx.session.peers.insert(cx.now, id, url.clone());
        }
        Ok(url)
    })
}

/// The beginning of a discovery.
enum Begun {
    /// The session knows the answer.
    Known(Option<PeerUrl>),
    /// Another call asks for the same peer: begin again at this time.
    ByAnother(Wake),
    /// Send a request. The guard ends the discovery if the call is dropped.
    Now(Discovery),
}

/// Begins a discovery. `awaited` is the number of another call's discovery that this one waits for, and since when.
fn begin(cx: &mut Cx<'_>, id: &WorkspaceId, terms: Terms, awaited: &mut Option<(u64, Time)>) -> Result<Begun> {
    let now = cx.now.mono;
    if terms.limit.is_some_and(|limit| limit.at <= now) {
        return Err(Error::cancelled(Discover::OPERATION));
    }
    match cx.session.peers.lookup(cx.now, id) {
        Some(Known::At(url)) => return Ok(Begun::Known(Some(url))),
        Some(Known::Nowhere) => return Ok(Begun::Known(None)),
        None => {}
    }
    if let Some((number, wake)) = cx.session.discoveries.under_way(now, id) {
        // Only the first discovery that was seen counts, while time is left.
        let (first, since) = *awaited.get_or_insert((number, now));
        let is_in_time = !terms.is_optional || now.since(since) < cx.session.config().timeouts.request;
        if first == number && is_in_time {
            let wake = Wake::earliest(Some(wake), terms.limit).unwrap_or(wake);
            return Ok(Begun::ByAnother(wake));
        }
    }
    if terms.is_optional && awaited.is_some() {
        return Ok(Begun::Known(None));
    }
    let until = now + cx.session.config().timeouts.call;
    Ok(Begun::Now(cx.session.discoveries.begin(now, id, until)))
}
