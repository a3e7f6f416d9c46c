//! The hand with which a front acts on the platform that it stands before.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use molecule_proto::Now;

use super::Shared;
use super::connection::{self, Begun};
use crate::act::{Act, Acted};
use crate::input::Input;
use crate::platform::Platform;

/// A handle to a running server that does not keep it running. Everything that it does is an [`Input`], so that a
/// [`Front`](super::Front) hears of it.
#[derive(Clone)]
pub struct Handle(pub(super) Arc<Shared>);

impl Handle {
    /// Performs an act of an owner.
    pub fn act(&self, act: Act) -> Acted {
        self.0.run(Input::Act(act)).expect("an act has an outcome")
    }

    /// Lets the platform notice the time.
    pub fn wake(&self) {
        self.0.run(Input::Wake);
    }

    /// Applies an input, such as the outcome of a call that nobody waits for any more.
    pub fn apply(&self, input: Input) {
        self.0.run(input);
    }

    /// Sends a request as a client at this address would. Returns the answer if it comes at once; nobody hears a later
    /// one.
    pub fn send(&self, peer: SocketAddr, request: Request<Bytes>) -> Option<Response<Bytes>> {
        match connection::platform(request, peer, &self.0, false) {
            Begun::Answered(response) => Some(response),
            Begun::Waiting(_) | Begun::Streaming(_) => None,
        }
    }

    /// Inspects the platform between two inputs.
    pub fn read<T>(&self, look: impl FnOnce(&Platform, Now) -> T) -> T {
        let state = self.0.lock();
        look(&state.platform, self.0.now())
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handle(..)")
    }
}
