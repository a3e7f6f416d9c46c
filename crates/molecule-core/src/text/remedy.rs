//! Remedies that name an option name both ways of giving it: by the builder's method and by the environment.

use std::fmt::Display;

/// How an option is given, as a clause: `give token(…), or set MOLECULE_WORKSPACE_TOKEN and build with from_env() or or_env()`.
/// A builder reads no environment by itself, so that the variable alone would change nothing.
pub(crate) fn give(method: impl Display, variable: impl Display) -> String {
    format!("give {method}, or set {variable} and build with from_env() or or_env()")
}

/// The same for the workspace's token.
pub(crate) fn give_token() -> String {
    give("token(…)", "MOLECULE_WORKSPACE_TOKEN")
}

/// The same for the organisation's id.
pub(crate) fn give_org_id() -> String {
    give("org_id(…)", "MOLECULE_ORG_ID")
}

/// What to do where something else than the platform answers.
pub(crate) fn check_route() -> String {
    format!(
        "check the platform URL; hosted platforms also need the organisation id ({}) and an Origin header (origin(…) and \
         MOLECULE_ORIGIN must not turn it off)",
        give_org_id()
    )
}
