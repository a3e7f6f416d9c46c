//! Names of the headers that the platform reads and writes (contract section 1.1).

use http::HeaderName;

/// The organisation's id: routes a request to its tenant and chooses the rate-limit bucket.
pub const ORG_ID: HeaderName = HeaderName::from_static("x-molecule-org-id");
/// The caller's own workspace id: required on discover, cross-checked on `/a2a`.
pub const WORKSPACE_ID: HeaderName = HeaderName::from_static("x-workspace-id");
/// The workspace's name, which confirms its deletion.
pub const CONFIRM_NAME: HeaderName = HeaderName::from_static("x-confirm-name");
/// The most requests in a window: a number or the word `unlimited`.
pub const RATE_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
/// Requests left in this window.
pub const RATE_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
/// Whole seconds until the window refills.
pub const RATE_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");
/// The name of the plugin in a download.
pub const PLUGIN_NAME: HeaderName = HeaderName::from_static("x-plugin-name");
/// The source of the plugin in a download, with its scheme: `local://molecule-dev`.
pub const PLUGIN_SOURCE: HeaderName = HeaderName::from_static("x-plugin-source");
/// The version of A2A that a caller speaks; 0.3 if it is absent.
pub const A2A_VERSION: HeaderName = HeaderName::from_static("a2a-version");
