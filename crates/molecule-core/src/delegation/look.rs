//! Looking at delegations.

use std::collections::VecDeque;
use std::sync::Arc;

use molecule_proto::Time;

use super::fold::fold;
use super::shared::{Look, Shown};
use super::view::DelegationView;
use crate::call::ask::{Answer, Begin, Question};
use crate::endpoint::{DelegationRows, Endpoint};
use crate::error::{Error, ErrorKind, Result};
use crate::event::Event;
use crate::machine::{Cx, Wake};

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
pub struct DelegationOf {
    id: String,
    /// Of a wait, whose looks are shared.
    shared: Option<Shared>,
}

/// The part of a wait in a shared look.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Shared {
    /// When the wait is over.
    until: Time,
    /// The look of another wait that it waits for.
    awaited: Option<u64>,
    /// The number of its own.
    own: Option<u64>,
}

impl DelegationOf {
    /// The one of this id.
    pub fn new(id: impl AsRef<str>) -> Self {
        Self { id: id.as_ref().to_owned(), shared: None }
    }

    /// The same as a look of a wait, over by this moment: what another wait of this agent sees meanwhile is seen too.
    pub(crate) fn shared(&self, until: Time) -> Self {
        Self { id: self.id.clone(), shared: Some(Shared { until, awaited: None, own: None }) }
    }

    fn find(&self, views: &[DelegationView]) -> Result<DelegationView> {
        views.iter().find(|view| view.id == self.id).cloned().ok_or_else(|| {
            let cause = format!("there is no delegation {:?} among the newest 50 rows", self.id);
            Error::new(ErrorKind::NotFound, "look at a delegation", cause)
                .remedy("check the id that delegate gave; newer delegations may have pushed it out of the list")
        })
    }
}

impl Question for DelegationOf {
    type Endpoint = DelegationRows;
    type Output = DelegationView;

    fn begin(&mut self, cx: &mut Cx<'_>) -> Result<Begin<DelegationRows, DelegationView>> {
        let now = cx.now.mono;
        let Some(shared) = &mut self.shared else { return Ok(Begin::Send(DelegationRows)) };
        match cx.session.looks.look(now, shared.awaited, cx.session.config().timeouts.request) {
            Look::Shown(shown) => self.find(&shown?).map(Begin::Known),
            Look::UnderWay { .. } if shared.until <= now => {
                let cause = "the look of another wait did not end within the limit";
                Err(Error::new(ErrorKind::Timeout, DelegationRows::OPERATION, cause)
                    .retryable(true)
                    .remedy("try again later"))
            }
            Look::UnderWay { number, wake } => {
                shared.awaited = Some(number);
                Ok(Begin::Wait(Wake { at: wake.at.min(shared.until), ..wake }))
            }
            Look::Begin(number) => {
                shared.own = Some(number);
                Ok(Begin::Send(DelegationRows))
            }
        }
    }

    fn end(
        &mut self,
        cx: &mut Cx<'_>,
        answer: Result<Answer<Self>>,
        events: &mut VecDeque<Event>,
    ) -> Result<DelegationView> {
        let shown: Shown = Delegations.end(cx, answer, events).map(Arc::from);
        if let Some(number) = self.shared.as_mut().and_then(|shared| shared.own.take()) {
            cx.session.looks.ended(number, shown.clone());
        }
        self.find(&shown?)
    }
}
