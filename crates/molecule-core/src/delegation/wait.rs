//! The wait for the end of a delegation.

use std::sync::Arc;

use molecule_proto::Time;

use super::look::{find, look};
use super::shared::{Look, Shown};
use super::view::DelegationView;
use crate::call::Call;
use crate::call::wait::{Awaited, Wait, WaitFor};
use crate::endpoint::{DelegationRows, Endpoint};
use crate::error::{Error, ErrorKind, Result};
use crate::flow::Line;
use crate::machine::{Cx, Wake};
use crate::session::Session;

impl Wait<DelegationView> {
    /// Waits until a delegation has ended.
    pub fn for_delegation(wait: impl Into<WaitFor>) -> Self {
        let WaitFor { id, patience } = wait.into();
        Self::new(AwaitedDelegation(id), patience)
    }
}

/// The delegation of this id.
struct AwaitedDelegation(String);

impl Awaited for AwaitedDelegation {
    type End = DelegationView;
    const WAIT: &'static str = "wait for delegation";

    async fn look(&self, line: &Line, until: Time) -> Result<Option<DelegationView>> {
        let view = find(&shared_look(line, until).await?, &self.0)?;
        Ok(view.is_over().then_some(view))
    }

    fn planned(&self, session: &Session, least: Time, most: Time) -> Option<Time> {
        session.looks.planned(least, most)
    }

    fn plan(&self, cx: &mut Cx<'_>, at: Time) {
        cx.session.looks.plan(cx.now.mono, at);
    }
}

/// Polls for all waits of this agent, or uses the result of another wait's poll.
async fn shared_look(line: &Line, until: Time) -> Shown {
    let mut awaited = None;
    let number = loop {
        let limit = line.with(|cx| cx.session.config().timeouts.request);
        let (now, look) = line.with(|cx| (cx.now.mono, cx.session.looks.look(cx.now.mono, awaited, limit)));
        match look {
            Look::Shown(shown) => return shown,
            Look::UnderWay { .. } if until <= now => {
                let cause = "the look of another wait did not end within the limit";
                return Err(Error::new(ErrorKind::Timeout, DelegationRows::OPERATION, cause)
                    .retryable(true)
                    .remedy("try again later"));
            }
            Look::UnderWay { number, wake } => {
                awaited = Some(number);
                let wake = Wake { at: wake.at.min(until), ..wake };
                line.pause("wait for the look of another wait", wake).await?;
            }
            Look::Begin(number) => break number,
        }
    };
    let call = Call::once(DelegationRows).asking_the_view(true).until(until);
    let shown: Shown = look(line, call).await.map(Arc::from);
    line.with(|cx| cx.session.looks.ended(number, shown.clone()));
    shown
}
