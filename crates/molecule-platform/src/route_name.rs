//! The names of routes, for people who read what an agent sends.

use http::Method;
use molecule_proto::{Dialect, WorkspaceId};

use crate::router::{self, Route};

/// The route of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RouteName {
    /// Its name, such as `Heartbeat` or `SendMessage`.
    pub name: String,
    /// The workspace in its path.
    pub workspace: Option<WorkspaceId>,
}

impl RouteName {
    /// Finds the route of a request; `None` if the server has none for it.
    ///
    /// ```
    /// use molecule_platform::{Dialect, RouteName};
    /// let route = RouteName::find(Dialect::Current, &http::Method::POST, "/registry/heartbeat");
    /// assert_eq!(route.map(|route| route.name).as_deref(), Some("Heartbeat"));
    /// assert_eq!(RouteName::find(Dialect::Current, &http::Method::POST, "/nowhere"), None);
    /// ```
    pub fn find(dialect: Dialect, method: &Method, path: &str) -> Option<Self> {
        let path = router::decode(path);
        let route = router::find(dialect, method, &path)?;
        Some(Self { name: variant(&route), workspace: workspace(&path) })
    }
}

/// The name of the variant, which `Debug` writes before the first parenthesis.
fn variant(route: &Route) -> String {
    let text = format!("{route:?}");
    text.split('(').next().unwrap_or_default().to_owned()
}

fn workspace(path: &str) -> Option<WorkspaceId> {
    path.split('/').find_map(|segment| segment.parse().ok())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_route_has_the_workspace_of_its_path() {
        let id = "00000000-0000-4000-8000-000000000001";
        for (method, path, name) in [
            (Method::POST, format!("/workspaces/{id}/a2a"), "SendMessage"),
            (Method::GET, format!("/registry/discover/{id}"), "Discover"),
            (Method::GET, format!("/workspaces/{id}"), "View"),
        ] {
            let route = RouteName::find(Dialect::Current, &method, &path).unwrap();
            assert_eq!((route.name.as_str(), route.workspace), (name, Some(id.parse().unwrap())));
        }
        assert_eq!(RouteName::find(Dialect::Current, &Method::GET, "/health").unwrap().workspace, None);
    }
}
