//! What may not be in a string that is sent.

/// A string with U+0000 in it. The platform cannot store one: it answers 500, or 200 and loses the message (contract
/// section 1.6). Its author removes the character.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} contains the character U+0000, which the platform cannot store")]
pub struct NulError {
    field: &'static str,
}

/// Refuses a text with U+0000 in it; `field` names it in the error.
///
/// # Errors
/// [`NulError`] if there is one.
pub fn refuse_nul(field: &'static str, text: &str) -> Result<(), NulError> {
    if text.contains('\0') { Err(NulError { field }) } else { Ok(()) }
}

/// Refuses a JSON text with U+0000 in any of its strings and keys; `field` names it in the error.
///
/// # Errors
/// [`NulError`] if there is one.
pub fn refuse_nul_in_json(field: &'static str, json: &str) -> Result<(), NulError> {
    // In JSON the character is always written as an escape; a backslash before it would itself be escaped.
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
