//! The way of a call to a peer.

/// Which way a call goes to a peer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Route {
    /// Directly, where the peer published a URL that can be called safely and has not refused direct calls within the last
    /// 300 s, and through the platform otherwise. What a peer may have handled is never sent again another way. A peer that
    /// answers a direct call with 401, 403, 404 or 405 is taken to have refused it at its door. One that handled the message
    /// all the same gets it twice, under the same id.
    #[default]
    Auto,
    /// Through the platform: `POST /workspaces/:id/a2a` (contract section 9).
    Proxy,
    /// Straight to the URL that the peer published, over `https`, without any credential. Peers of the current platform want
    /// a secret that only the platform has, and refuse.
    Direct,
}
