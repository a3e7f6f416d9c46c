//! Where a connection leads.

use std::hash::{Hash, Hasher};

use http::Uri;
use http::uri::{Authority, Parts, PathAndQuery, Scheme};
use molecule_core::effect::connection::Reach;
use tokio::runtime::{Handle, Id};

/// The origin that a connection leads to, the addresses that it may reach, and the runtime that it belongs to. It is of no use on
/// another runtime, since its own may stand still.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    https: bool,
    authority: Option<Authority>,
    /// A connection that was opened for a request to any address is not for one that may reach public addresses alone.
    reach: Reach,
    pub(crate) runtime: Option<Id>,
}

impl Origin {
    /// The origin of a URL, without a runtime.
    pub(crate) fn of(uri: Uri, reach: Reach) -> Self {
        let Parts { scheme, authority, .. } = uri.into_parts();
        Self { https: scheme == Some(Scheme::HTTPS), authority, reach, runtime: None }
    }

    /// The same on the runtime that runs here.
    pub(crate) fn set_here(&mut self) {
        self.runtime = Some(Handle::current().id());
    }

    /// A URL of the origin.
    pub(crate) fn uri(&self) -> Uri {
        let mut parts = Parts::default();
        parts.scheme = Some(if self.https { Scheme::HTTPS } else { Scheme::HTTP });
        parts.authority = self.authority.clone();
        parts.path_and_query = Some(PathAndQuery::from_static("/"));
        Uri::from_parts(parts).unwrap_or_default()
    }

    /// As text, since `Authority` goes byte by byte about its case. Another case is another origin here, which does no harm.
    fn key(&self) -> (Option<Id>, bool, Reach, &str) {
        (self.runtime, self.https, self.reach, self.authority.as_ref().map_or("", Authority::as_str))
    }
}

impl PartialEq for Origin {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Origin {}

impl Hash for Origin {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}
