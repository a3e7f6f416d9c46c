//! Where one peer is called.

use std::collections::VecDeque;

use molecule_proto::WorkspaceId;

use super::cache::Known;
use super::url::PeerUrl;
use super::workspace_id;
use crate::ask::{Answer, Begin, Question};
use crate::endpoint::Discover;
use crate::error::Result;
use crate::event::Event;
use crate::machine::Cx;

/// Asks where a peer is called, unless it is known: `GET /registry/discover/:id` (contract section 6.2).
#[derive(Debug, Clone)]
pub struct DiscoverPeer(WorkspaceId);

impl DiscoverPeer {
    /// Where is this one called?
    ///
    /// # Errors
    /// `Config` if the id is no UUID.
    pub fn new(id: impl AsRef<str>) -> Result<Self> {
        workspace_id(id).map(Self)
    }

    /// The same of an id that was read.
    pub fn of(id: WorkspaceId) -> Self {
        Self(id)
    }
}

impl Question for DiscoverPeer {
    type Endpoint = Discover;
    type Output = Option<PeerUrl>;

    fn begin(&mut self, cx: &mut Cx<'_>) -> Result<Begin<Discover, Option<PeerUrl>>> {
        Ok(match cx.session.peers.lookup(cx.now.mono, &self.0) {
            Some(Known::At(url)) => Begin::Known(Some(url)),
            Some(Known::Nowhere) => Begin::Known(None),
            None => Begin::Send(Discover(self.0.clone())),
        })
    }

    fn end(
        &mut self,
        cx: &mut Cx<'_>,
        answer: Result<Answer<Self>>,
        _: &mut VecDeque<Event>,
    ) -> Result<Option<PeerUrl>> {
        let url = answer?.and_then(|found| PeerUrl::read(&found.url));
        cx.session.peers.insert(cx.now.mono, &self.0, url.clone());
        Ok(url)
    }
}
