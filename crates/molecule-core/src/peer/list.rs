//! The list of peers.

use std::collections::VecDeque;

use molecule_proto::{Peer, refuse_nul};

use crate::call::ask::{Answer, Begin, Question};
use crate::endpoint::Peers;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Event;
use crate::machine::Cx;
use crate::session::{Dialect, Feature};

/// Asks who the agent's peers are: `GET /registry/:id/peers` (contract section 6.3). Their URLs are remembered.
#[derive(Debug, Clone)]
pub struct ListPeers {
    matching: Option<String>,
    /// Whether the server was asked for all of them, and the others are left out here.
    filtered_here: bool,
}

impl ListPeers {
    /// All of them.
    pub fn all() -> Self {
        Self { matching: None, filtered_here: false }
    }

    /// Those whose name or role contains a text, in upper or lower case. April's server, whose own filter fails, and one that
    /// is not known yet are asked for all, unless those are too many to be read.
    pub fn matching(text: impl Into<String>) -> Self {
        Self { matching: Some(text.into()).filter(|text| !text.is_empty()), filtered_here: false }
    }

    fn is_wanted(&self, peer: &Peer) -> bool {
        let Some(text) = self.matching.as_deref().filter(|_| self.filtered_here) else { return true };
        let text = text.to_lowercase();
        let fits = |field: &str| field.to_lowercase().contains(&text);
        fits(&peer.name) || peer.role.as_deref().is_some_and(fits)
    }
}

impl Question for ListPeers {
    type Endpoint = Peers;
    type Output = Vec<Peer>;

    fn begin(&mut self, cx: &mut Cx<'_>) -> Result<Begin<Peers, Vec<Peer>>> {
        if let Some(text) = &self.matching {
            refuse_nul("the text to look for", text)?;
        }
        self.filtered_here = match cx.session.dialect {
            Some(Dialect::Current) => false,
            Some(Dialect::April) | None => self.matching.is_some() && !cx.session.lacks(Feature::AllPeers),
        };
        Ok(Begin::Send(Peers { matching: self.matching.clone().filter(|_| !self.filtered_here) }))
    }

    /// Of too many peers the server's own filter finds some, if it works.
    fn begins_again(&mut self, cx: &mut Cx<'_>, error: &Error) -> bool {
        let is_worth_it = error.kind() == ErrorKind::TooLarge && self.filtered_here;
        if is_worth_it {
            cx.session.learn_lack(Feature::AllPeers);
        }
        is_worth_it
    }

    fn end(
        &mut self,
        cx: &mut Cx<'_>,
        answer: Result<Answer<Self>>,
        events: &mut VecDeque<Event>,
    ) -> Result<Vec<Peer>> {
        let mut list = answer.map_err(|error| match error.kind() {
            ErrorKind::TooLarge => error.remedy(
                "ask for some of them by name or role (peers_matching), or have the owners of large agent cards shorten \
                 them",
            ),
            _ => error,
        })?;
        cx.session.peers.learn(cx.now, &list.rows);
        if list.skipped > 0 {
            let rows = list.skipped;
            events.push_back(Event::Warning(format!("the list of peers has {rows} entries that make no sense")));
        }
        list.rows.retain(|peer| self.is_wanted(peer));
        Ok(list.rows)
    }
}
