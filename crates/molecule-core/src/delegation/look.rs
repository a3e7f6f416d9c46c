//! Looking at delegations.

use std::collections::VecDeque;

use super::fold::fold;
use super::view::DelegationView;
use crate::ask::{Answer, Begin, Question};
use crate::endpoint::DelegationRows;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Event;
use crate::machine::Cx;

/// Asks for the delegations that this agent sent or, where the platform keeps a ledger, received: `GET
/// /workspaces/:self/delegations` (contract section 14.2; April 8.2). The newest 50 rows are put together to one
/// [`DelegationView`] of each, the newest first; rows that make no sense are left out with a warning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delegations;

impl Question for Delegations {
    type Endpoint = DelegationRows;
    type Output = Vec<DelegationView>;

    fn begin(&mut self, _: &mut Cx<'_>) -> Result<Begin<DelegationRows, Self::Output>> {
        Ok(Begin::Send(DelegationRows))
    }

    fn end(
        &mut self,
        _: &mut Cx<'_>,
        answer: Result<Answer<Self>>,
        events: &mut VecDeque<Event>,
    ) -> Result<Self::Output> {
        let list = answer?;
        if list.skipped > 0 {
            let rows = list.skipped;
            events.push_back(Event::Warning(format!("the list of delegations has {rows} entries that make no sense")));
        }
        Ok(fold(list.rows))
    }
}

/// Asks for one of them; `NotFound` if it is not among them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DelegationOf(String);

impl DelegationOf {
    /// The one of this id.
    pub fn new(id: impl AsRef<str>) -> Self {
        Self(id.as_ref().to_owned())
    }
}

impl Question for DelegationOf {
    type Endpoint = DelegationRows;
    type Output = DelegationView;

    fn begin(&mut self, cx: &mut Cx<'_>) -> Result<Begin<DelegationRows, DelegationView>> {
        match Delegations.begin(cx)? {
            Begin::Send(rows) => Ok(Begin::Send(rows)),
            Begin::Known(views) => self.find(views).map(Begin::Known),
            Begin::Wait(wake) => Ok(Begin::Wait(wake)),
        }
    }

    fn end(
        &mut self,
        cx: &mut Cx<'_>,
        answer: Result<Answer<Self>>,
        events: &mut VecDeque<Event>,
    ) -> Result<DelegationView> {
        Delegations.end(cx, answer, events).and_then(|views| self.find(views))
    }
}

impl DelegationOf {
    fn find(&self, views: Vec<DelegationView>) -> Result<DelegationView> {
        views.into_iter().find(|view| view.id == self.0).ok_or_else(|| {
            let cause = format!("there is no delegation {:?} among the newest 50 rows", self.0);
            Error::new(ErrorKind::NotFound, "look at a delegation", cause)
                .remedy("check the id that delegate gave; newer delegations may have pushed it out of the list")
        })
    }
}
