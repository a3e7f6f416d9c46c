//! The rules of who may talk to whom (contract section 6.5; April 13). They do not depend on a workspace's status.

use molecule_proto::{Dialect, WorkspaceId};

use crate::platform::Platform;
use crate::workspace::Workspace;

/// The most levels of a hierarchy that are followed upwards.
const MOST_LEVELS: usize = 32;

impl Platform {
    /// Returns whether two ids, as they were sent, name workspaces that may talk to each other. Two equal texts may,
    /// even if they are no ids; an unknown id may not.
    pub(crate) fn may_talk(&self, caller: &str, target: &str) -> bool {
        if caller == target {
            return true;
        }
        let row = |id: &str| self.workspaces.get(&id.parse::<WorkspaceId>().ok()?);
        let (Some(caller), Some(target)) = (row(caller), row(target)) else { return false };
        !self.database_down
            && (caller.id == target.id
                || self.are_siblings(caller, target)
                || self.is_above(caller, target)
                || self.is_above(target, caller))
    }

    /// The topmost ancestor of a workspace, or the workspace itself.
    pub(crate) fn top_of(&self, id: &WorkspaceId) -> Option<&WorkspaceId> {
        let parent = |row: &&Workspace| row.parent.as_ref().and_then(|parent| self.workspaces.get(parent));
        std::iter::successors(self.workspaces.get(id), parent).take(MOST_LEVELS).last().map(|row| &row.id)
    }

    /// Returns whether two workspaces have the same parent. On April's server all workspaces without a parent are
    /// siblings.
    fn are_siblings(&self, one: &Workspace, other: &Workspace) -> bool {
        one.parent == other.parent && (one.parent.is_some() || self.config.dialect == Dialect::April)
    }

    fn is_above(&self, upper: &Workspace, lower: &Workspace) -> bool {
        let parent = |row: &&Workspace| row.parent.as_ref().and_then(|parent| self.workspaces.get(parent));
        std::iter::successors(Some(lower), parent).skip(1).take(MOST_LEVELS).any(|row| row.id == upper.id)
    }

    /// The peers of a workspace: its siblings, children and parent, without removed ones.
    pub(crate) fn peers_of<'a>(&'a self, row: &'a Workspace) -> impl Iterator<Item = &'a Workspace> {
        self.workspaces.values().filter(move |other| {
            let related = self.are_siblings(row, other)
                || other.parent.as_ref() == Some(&row.id)
                || row.parent.as_ref() == Some(&other.id);
            other.id != row.id && !other.is_removed() && related
        })
    }
}
