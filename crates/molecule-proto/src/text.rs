//! A check for U+0000, which no string in a request may contain.

/// The error for a string that contains U+0000. The platform cannot store such a string: it answers 500, or answers 200
/// and loses the message (contract section 1.6). The author of the string must remove the character.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} contains the character U+0000, which the platform cannot store")]
pub struct NulError {
    field: &'static str,
}

/// Refuses a string that contains U+0000; `field` names the string in the error.
///
/// # Errors
/// [`NulError`] if there is such a character.
pub fn refuse_nul(field: &'static str, text: &str) -> Result<(), NulError> {
    if text.contains('\0') { Err(NulError { field }) } else { Ok(()) }
}

/// Refuses a JSON text with U+0000 in any string or key; `field` names the text in the error.
///
/// # Errors
/// [`NulError`] if there is such a character.
pub fn refuse_nul_in_json(field: &'static str, json: &str) -> Result<(), NulError> {
    // JSON always writes the character as an escape. If an odd number of backslashes stands before it, its own
    // backslash is escaped, and it is no escape.
    let has_nul = json.match_indices("\\u0000").any(|(at, _)| {
        let backslashes = json[..at].bytes().rev().take_while(|byte| *byte == b'\\').count();
        backslashes.is_multiple_of(2)
    });
    if has_nul { Err(NulError { field }) } else { Ok(()) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_string_with_nul_is_refused_by_the_name_of_its_field() {
        let error = refuse_nul("the task", "a\0b").unwrap_err();
        assert_eq!(error.to_string(), "the task contains the character U+0000, which the platform cannot store");
        assert_eq!(refuse_nul("the task", "a\\u0000b"), Ok(()));
    }

    #[test]
    fn nul_is_found_in_json_behind_any_number_of_backslashes() {
        for before in ["", "\\", "\\\\", "\\\\\\", "a\\"] {
            for (text, is_fine) in [(format!("{before}\0"), false), (format!("{before}\\u0000"), true)] {
                let json = serde_json::to_string(&[text]).unwrap();
                assert_eq!(refuse_nul_in_json("the card", &json).is_ok(), is_fine, "{json}");
            }
        }
        let key = serde_json::json!({"\0": 1}).to_string();
        assert!(refuse_nul_in_json("the card", &key).is_err());
    }
}
