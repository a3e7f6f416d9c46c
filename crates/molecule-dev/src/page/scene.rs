//! What the views are drawn from: the platform, now or as of a line of the log.

use molecule_platform::Platform;
use molecule_proto::{Now, WorkspaceId, WorkspaceKind, WorkspaceView};

use super::html;

/// The platform at a moment.
#[derive(Clone, Copy)]
pub(crate) struct Scene<'a> {
    pub(crate) platform: &'a Platform,
    /// The platform's own time at the moment.
    pub(crate) now: Now,
    /// The line of the log as of which the platform is shown; `None` for its present.
    pub(crate) at: Option<u64>,
    /// The platform's base URL, without a slash at its end.
    pub(crate) url: &'a str,
}

impl Scene<'_> {
    /// Whether acts are possible: nothing can be done in the past.
    pub(crate) fn is_live(&self) -> bool {
        self.at.is_none()
    }

    /// The workspaces that somebody runs, by name. The current server's own root, which nobody runs, is not among them.
    pub(crate) fn workspaces(&self) -> Vec<WorkspaceView> {
        let ids = self.platform.workspaces();
        let mut views: Vec<WorkspaceView> = ids.filter_map(|id| self.platform.workspace(id)).collect();
        views.retain(|view| view.kind != Some(WorkspaceKind::Platform));
        views.sort_by(|one, other| (is_gone(one), &one.name, &one.id).cmp(&(is_gone(other), &other.name, &other.id)));
        views
    }

    /// A name to show for a workspace; its id if there is no such workspace.
    pub(crate) fn name_of(&self, id: &WorkspaceId) -> String {
        self.platform.workspace(id).map_or_else(|| id.to_string(), |view| html::name(&view.name))
    }
}

fn is_gone(view: &WorkspaceView) -> bool {
    view.status == molecule_proto::WorkspaceStatus::Removed
}
