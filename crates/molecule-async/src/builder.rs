//! The builder of this facade's agents.

use molecule_core::{BaseUrl, Result, Transport};
use molecule_host::{Host, SharedSession};

use crate::agent::Agent;
use crate::driver::Driver;
use crate::http::Client;

/// The options of an [`Agent`], as [`Agent::builder`] begins them. Nothing is checked before `build`.
///
/// Agents that are built from clones have a session of their own each. They share the client, if one was given, and a storage of
/// [`Storage::Custom`](crate::Storage::Custom).
pub type AgentBuilder = molecule_host::AgentBuilder<Client>;

#[doc(hidden)]
impl molecule_host::Client for Client {
    type Agent = Agent;

    fn open(transport: &Transport) -> Result<Self> {
        Self::new(transport)
    }

    fn check(&self, base_url: &BaseUrl) -> Result<()> {
        self.check_base_url(base_url)
    }

    fn agent(self, session: SharedSession, host: Host) -> Agent {
        Agent { driver: Driver::new(session.clone(), host, self), session }
    }
}
