//! The loop without a lock, on a disk that is read-only, has no inodes left or cannot lock files.

use super::{OPERATION, Run, State};
use crate::effect::{HostResult, Outcome};
use crate::error::{Error, ErrorKind};
use crate::event::Event;
use crate::machine::Cx;
use crate::session::credential::read_token;
use crate::session::credential::{Credential, Persistence};

impl Run {
    /// Handles a lock that could not be taken. If another agent holds it, the loop ends. If nobody can hold it, the
    /// loop ends only if there is no token either, since a register that mints one needs the store.
    pub(super) fn not_locked(&mut self, cx: &mut Cx<'_>, error: Error) {
        let error = Box::new(error);
        self.state = match cx.session.credential() {
            _ if error.kind() != ErrorKind::Storage => State::Finished(Box::new(Err(*error))),
            Credential::Held(_) => return self.begin_without(cx, &error),
            Credential::Unread => State::Load(error),
            Credential::Missing => State::Finished(Box::new(Err(*error))),
        };
    }

    /// Handles the loaded token. Without one, the loop ends with the error of the lock, which says more than that there
    /// is no token.
    pub(super) fn loaded(&mut self, cx: &mut Cx<'_>, outcome: Outcome, error: Error) {
        if let Outcome::Host(HostResult::Loaded(Some(stored))) = outcome
            && let Ok(token) = read_token(OPERATION, &stored)
            && cx.session.held().is_none()
        {
            cx.session.hold(token, Persistence::Stored);
        }
        if cx.session.held().is_some() {
            self.begin_without(cx, &error);
        } else {
            self.state = State::Finished(Box::new(Err(error)));
        }
    }

    fn begin_without(&mut self, cx: &mut Cx<'_>, error: &Error) {
        let cause = error.cause();
        self.events.push_back(Event::Warning(format!(
            "the loop runs without its lock, so nothing keeps a second agent of this workspace from running: {cause}"
        )));
        self.begin(cx, None);
    }
}
