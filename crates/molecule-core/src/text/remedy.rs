//! Remedies that name an option. They name both ways to give it: the builder's method and the environment variable.

use std::fmt::Display;

/// Returns how an option is given, as a clause: `give token(…), or set MOLECULE_WORKSPACE_TOKEN and build with
/// from_env() or or_env()`. The variable alone has no effect, since a builder reads no environment by itself.
pub(crate) fn give(method: impl Display, variable: impl Display) -> String {
    format!("give {method}, or set {variable} and build with from_env() or or_env()")
}

/// Returns the same clause for the workspace's token.
pub(crate) fn give_token() -> String {
    give("token(…)", "MOLECULE_WORKSPACE_TOKEN")
}

/// Returns the same clause for the organisation's id.
pub(crate) fn give_org_id() -> String {
    give("org_id(…)", "MOLECULE_ORG_ID")
}

/// Returns the remedy for an answer that does not come from the platform.
pub(crate) fn check_route() -> String {
    format!(
        "check the platform URL; hosted platforms also need the organisation id ({}) and an Origin header (origin(…) and \
         MOLECULE_ORIGIN must not turn it off)",
        give_org_id()
    )
}
