//! What a server needs of the facade whose agent it belongs to.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use molecule_core::Result;
use molecule_core::effect::{Handle, Outcome};
use molecule_core::endpoint::{ActivityFeed, ActivityPage};
use molecule_host::trace::Span;
use molecule_host::{Host, SharedSession};

/// The application's hook for the platform's other calls.
pub(crate) type Hook = Arc<dyn Fn(Request<Bytes>) -> Option<Response<Bytes>> + Send + Sync>;

/// An agent of one facade, with its handler.
pub(crate) trait Facade: Send + Sync + 'static {
    fn session(&self) -> &SharedSession;

    fn host(&self) -> &Host;

    /// Has the handler work on a message. The outcome comes whatever the handler does.
    fn handle(&self, handle: Handle, span: Span) -> impl Future<Output = Outcome> + Send;

    /// Reads a page of the agent's feed.
    fn look_up(&self, feed: ActivityFeed) -> impl Future<Output = Result<ActivityPage>> + Send;
}
