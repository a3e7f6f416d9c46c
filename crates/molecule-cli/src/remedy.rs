//! What can be done about an error, in the program's own words: the SDK names calls of its Rust API.

pub(crate) mod words;

use molecule_async::{Error, ErrorKind};

const TOKEN: &str = "the token that the platform showed when the workspace was created (MOLECULE_WORKSPACE_TOKEN, or \
                     --token-file FILE)";
const RECOVER: &str = "`molecule recover --admin-token-file FILE` gets a new one with an administrator's credential";

/// Returns what can be done, by the kind of the error. Where a kind has many causes, the error's own remedy is right, and only
/// its names are others.
pub(crate) fn of(error: &Error) -> Option<String> {
    let by_kind = match error.kind() {
        ErrorKind::TokenNotHeld => {
            format!("run `molecule register` with {TOKEN}, or have its owner rotate it; {RECOVER}")
        }
        ErrorKind::Unauthorized | ErrorKind::Revoked => {
            format!("try again with a live token: {TOKEN}, or have its owner rotate it; {RECOVER}")
        }
        ErrorKind::TokenNotSaved => format!("mend the store and run `molecule register` again; else {RECOVER}"),
        ErrorKind::NotCreated => {
            "have it created on the platform, as an external workspace, and check its id: --workspace, \
                                  or WORKSPACE_ID"
                .to_owned()
        }
        ErrorKind::Routing => {
            "check the platform's URL (--platform, or PLATFORM_URL); a hosted platform also needs the \
                               organisation's id (--org, or MOLECULE_ORG_ID), and MOLECULE_ORIGIN must not be `off`"
                .to_owned()
        }
        ErrorKind::NotFound if error.operation() == "retry a dead letter" => {
            "list the messages that failed with `molecule inbox dead`".to_owned()
        }
        _ => words::spoken(error.what_to_do()?),
    };
    Some(by_kind)
}

/// Returns the whole sentence of an error.
pub(crate) fn sentence(error: &Error) -> String {
    let what = words::spoken(&error.what_failed());
    of(error).map_or_else(|| what.clone(), |remedy| format!("{what}; {remedy}"))
}
