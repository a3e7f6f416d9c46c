//! Where one peer is called.

use std::collections::VecDeque;

use molecule_proto::WorkspaceId;

use super::asking::Asked;
use super::cache::Known;
use super::url::PeerUrl;
use super::workspace_id;
use crate::ask::{Answer, Begin, Question};
use crate::endpoint::Discover;
use crate::error::Result;
use crate::event::Event;
use crate::machine::Cx;

/// Asks where a peer is called, unless it is known: `GET /registry/discover/:id` (contract section 6.2). While another call
/// asks the same, this one waits for it.
#[derive(Debug, Clone)]
pub struct DiscoverPeer {
    id: WorkspaceId,
    is_optional: bool,
    /// The discovery of another call that this one waited for.
    awaited: Option<Asked>,
    /// The number of this one's own.
    own: Option<Asked>,
}

impl DiscoverPeer {
    /// Where is this one called?
    ///
    /// # Errors
    /// `Config` if the id is no UUID.
    pub fn new(id: impl AsRef<str>) -> Result<Self> {
        workspace_id(id).map(Self::of)
    }

    /// The same of an id that was read.
    pub fn of(id: WorkspaceId) -> Self {
        Self { id, is_optional: false, awaited: None, own: None }
    }

    /// The same for who can do without an answer: a discovery that failed for another call is not tried again.
    pub(crate) fn optional(self) -> Self {
        Self { is_optional: true, ..self }
    }
}

impl Question for DiscoverPeer {
    type Endpoint = Discover;
    type Output = Option<PeerUrl>;

    fn begin(&mut self, cx: &mut Cx<'_>) -> Result<Begin<Discover, Option<PeerUrl>>> {
        let now = cx.now.mono;
        match cx.session.peers.lookup(now, &self.id) {
            Some(Known::At(url)) => return Ok(Begin::Known(Some(url))),
            Some(Known::Nowhere) => return Ok(Begin::Known(None)),
            None => {}
        }
        match (cx.session.asking.under_way(now, &self.id), self.awaited) {
            (Some((asked, wake)), awaited) if awaited.is_none_or(|awaited| awaited == asked) => {
                self.awaited = Some(asked);
                Ok(Begin::Wait(wake))
            }
            (_, Some(_)) if self.is_optional => Ok(Begin::Known(None)),
            _ => {
                let until = now + cx.session.config().timeouts.call;
                self.own = Some(cx.session.asking.begin(now, &self.id, until));
                Ok(Begin::Send(Discover(self.id.clone())))
            }
        }
    }

    fn end(
        &mut self,
        cx: &mut Cx<'_>,
        answer: Result<Answer<Self>>,
        _: &mut VecDeque<Event>,
    ) -> Result<Option<PeerUrl>> {
        let counts = self.own.take().is_some_and(|own| cx.session.asking.end(&self.id, own));
        let url = answer?.and_then(|found| PeerUrl::read(&found.url));
        if counts {
            cx.session.peers.insert(cx.now.mono, &self.id, url.clone());
        }
        Ok(url)
    }
}
