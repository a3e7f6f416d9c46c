//! Waiting for the end of a delegation.

use molecule_proto::Time;

use super::look::DelegationOf;
use super::view::DelegationView;
use crate::call::ask::Ask;
use crate::call::wait::{Awaited, Wait, WaitFor};
use crate::error::Result;
use crate::flow::{Line, Parting};
use crate::machine::Cx;
use crate::session::Session;

impl Wait<DelegationView> {
    /// Waits until a delegation is over.
    pub fn for_delegation(wait: impl Into<WaitFor>) -> Self {
        let WaitFor { id, patience } = wait.into();
        Self::new(DelegationOf::new(id), patience)
    }
}

impl Awaited for DelegationOf {
    type End = DelegationView;
    const WAIT: &'static str = "wait for delegation";

    async fn look(&self, line: &Line, until: Time) -> Result<Option<DelegationView>> {
        let look = Ask::once(self.shared(until)).asking_the_view().until(until);
        let view = line.run("look at the delegation", look, Parting::give_up()).await?;
        Ok(view.is_over().then_some(view))
    }

    fn planned(&self, session: &Session, least: Time, most: Time) -> Option<Time> {
        session.looks.planned(least, most)
    }

    fn plan(&self, cx: &mut Cx<'_>, at: Time) {
        cx.session.looks.plan(cx.now.mono, at);
    }
}
