//! U+0000 in what is sent: the platform cannot store it, and answers 500, or 200 and loses the message.

use crate::error::{Error, Result};

/// Refuses a JSON text that holds the character; `what` names it in the error.
pub(crate) fn refuse_nul_in_json(what: &str, json: &str) -> Result<()> {
    // In JSON the character is always written as an escape; a backslash before it would itself be escaped.
    let has_nul = json.match_indices("\\u0000").any(|(at, _)| {
        let backslashes = json[..at].bytes().rev().take_while(|byte| *byte == b'\\').count();
        backslashes.is_multiple_of(2)
    });
    if has_nul {
        return Err(Error::config(
            format!("{what} contains the character U+0000, which the platform cannot store"),
            "remove it",
        ));
    }
    Ok(())
}
