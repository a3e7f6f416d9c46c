//! Where agents are called: registered URLs are kept for a while beside their rows (contract sections 4.6 and 6.2).

use std::collections::BTreeMap;
use std::time::Duration;

use molecule_proto::{Time, WorkspaceId};

/// How long a registered URL is kept.
const KEPT_FOR: Duration = Duration::from_secs(300);

/// The URLs that were registered of late, whatever became of the rows since.
#[derive(Default)]
pub(crate) struct Urls(BTreeMap<WorkspaceId, (String, Time)>);

impl Urls {
    /// Keeps what was registered; an empty URL changes nothing.
    pub(crate) fn keep(&mut self, now: Time, id: &WorkspaceId, url: &str) {
        self.0.retain(|_, (_, until)| *until > now);
        if !url.is_empty() {
            self.0.insert(id.clone(), (url.to_owned(), now + KEPT_FOR));
        }
    }

    /// What was registered, while it is kept.
    pub(crate) fn get(&self, now: Time, id: &WorkspaceId) -> Option<&str> {
        self.0.get(id).filter(|(_, until)| *until > now).map(|(url, _)| url.as_str())
    }

    pub(crate) fn forget(&mut self, id: &WorkspaceId) {
        self.0.remove(id);
    }
}
