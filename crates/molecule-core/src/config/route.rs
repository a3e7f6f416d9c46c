//! The route of a call to a peer.

/// The route of a call to a peer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Route {
    /// Directly, if the peer published a URL that can be called safely and has not refused a direct call within the
    /// last 300 s; else through the platform. A message that the peer may have handled is never sent again by the other
    /// route. A 401, 403, 404 or 405 to a direct call counts as a refusal: the message then goes through the platform,
    /// under the same id. A peer that handled the message before such an answer gets it twice.
    #[default]
    Auto,
    /// Through the platform: `POST /workspaces/:id/a2a` (contract section 9).
    Proxy,
    /// To the URL that the peer published, over `https`, without any credential. Peers of the current platform require
    /// a secret that only the platform has, and refuse.
    Direct,
}
