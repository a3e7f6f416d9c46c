//! Where one peer is called.

use std::collections::VecDeque;

use molecule_proto::{Time, WorkspaceId};

use crate::call::ask::{Answer, Begin, Question};
use crate::config::workspace_id;
use crate::endpoint::{Discover, Endpoint};
use crate::error::Result;
use crate::event::Event;
use crate::machine::Cx;
use crate::session::discoveries::Asked;
use crate::session::peer_cache::Known;
use crate::session::peer_url::PeerUrl;

/// Asks where a peer is called, unless it is known: `GET /registry/discover/:id` (contract section 6.2). While another call
/// asks the same, this one waits for it. A URL is no sign of life: a removed push agent that was never paused keeps its own.
#[derive(Debug, Clone)]
pub struct DiscoverPeer {
    id: WorkspaceId,
    is_optional: bool,
    /// The number of the discovery of another call that this one waits for, and since when.
    awaited: Option<(u64, Time)>,
    /// This one's own.
    own: Option<Asked>,
}

impl DiscoverPeer {
    /// Where is this one called?
    ///
    /// # Errors
    /// `Config` if the id is no UUID.
    pub fn new(id: impl AsRef<str>) -> Result<Self> {
        workspace_id(Discover::OPERATION, id).map(Self::of)
    }

    /// The same of an id that was read.
    pub fn of(id: WorkspaceId) -> Self {
        Self { id, is_optional: false, awaited: None, own: None }
    }

    /// The same for who can do without an answer: a discovery of another call is waited for no longer than one of its own
    /// would take, and not tried again if it failed.
    pub(crate) fn optional(self) -> Self {
        Self { is_optional: true, ..self }
    }

    /// Whether this discovery of another call is worth waiting for: the first that is seen, while there is time.
    fn waits_for(&mut self, cx: &Cx<'_>, asked: u64) -> bool {
        let (awaited, since) = *self.awaited.get_or_insert((asked, cx.now.mono));
        let is_in_time = !self.is_optional || cx.now.mono.since(since) < cx.session.config().timeouts.request;
        awaited == asked && is_in_time
    }
}

impl Question for DiscoverPeer {
    type Endpoint = Discover;
    type Output = Option<PeerUrl>;

    fn begin(&mut self, cx: &mut Cx<'_>) -> Result<Begin<Discover, Option<PeerUrl>>> {
        let now = cx.now.mono;
        match cx.session.peers.lookup(cx.now, &self.id) {
            Some(Known::At(url)) => return Ok(Begin::Known(Some(url))),
            Some(Known::Nowhere) => return Ok(Begin::Known(None)),
            None => {}
        }
        let under_way = cx.session.asking.under_way(now, &self.id);
        if let Some((asked, wake)) = under_way
            && self.waits_for(cx, asked)
        {
            return Ok(Begin::Wait(wake));
        }
        if self.is_optional && self.awaited.is_some() {
            return Ok(Begin::Known(None));
        }
        let until = now + cx.session.config().timeouts.call;
        self.own = Some(cx.session.asking.begin(now, &self.id, until));
        Ok(Begin::Send(Discover(self.id.clone())))
    }

    fn end(
        &mut self,
        cx: &mut Cx<'_>,
        answer: Result<Answer<Self>>,
        _: &mut VecDeque<Event>,
    ) -> Result<Option<PeerUrl>> {
        let counts = self.own.take().is_some_and(|own| cx.session.asking.end(&self.id, &own));
        let url = answer?.and_then(|found| PeerUrl::read(&found.url));
        if counts {
            cx.session.peers.insert(cx.now, &self.id, url.clone());
        }
        Ok(url)
    }
}
