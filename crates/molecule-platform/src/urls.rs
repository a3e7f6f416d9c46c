//! The cache of registered URLs, which is independent of the workspaces' rows (contract sections 4.6 and 6.2).

use std::collections::BTreeMap;
use std::time::Duration;

use molecule_proto::{Time, WorkspaceId};

/// The lifetime of a registered URL in the cache.
const LIFETIME: Duration = Duration::from_secs(300);

/// The URLs that were registered in the last 5 minutes, whatever happened to the rows since.
#[derive(Clone, Default)]
pub(crate) struct Urls(BTreeMap<WorkspaceId, (String, Time)>);

impl Urls {
    /// Stores a registered URL; an empty one changes nothing.
    pub(crate) fn keep(&mut self, now: Time, id: &WorkspaceId, url: &str) {
        self.0.retain(|_, (_, until)| *until > now);
        if !url.is_empty() {
            self.0.insert(id.clone(), (url.to_owned(), now + LIFETIME));
        }
    }

    /// The cached URL of a workspace, until it expires.
    pub(crate) fn get(&self, now: Time, id: &WorkspaceId) -> Option<&str> {
        self.0.get(id).filter(|(_, until)| *until > now).map(|(url, _)| url.as_str())
    }

    pub(crate) fn forget(&mut self, id: &WorkspaceId) {
        self.0.remove(id);
    }
}
