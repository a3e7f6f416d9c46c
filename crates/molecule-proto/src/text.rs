//! What may not be in a string that is sent.

/// A string with U+0000 in it. The platform cannot store one: it answers 500, or 200 and loses the message (contract
/// section 1.6).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} contains the character U+0000, which the platform cannot store: remove it")]
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
