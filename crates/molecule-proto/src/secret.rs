//! The two credentials of an agent, as types whose `Debug` and `Display` show no secret.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serializer};
use zeroize::Zeroizing;

use crate::lenient::or_default;

/// The placeholder that the platform writes instead of the token when it shows a connection block again (contract
/// section 16.2). A text that contains it was copied from such a block and is no token.
pub const ROTATE_MARKER: &str = "ROTATE_TO_REVEAL_TOKEN";

/// A workspace's bearer token: 43 characters of base64url on today's servers, opaque to a client.
///
/// It prints as `[redacted]`, is wiped when its last clone is dropped, and implements `Deserialize` but not
/// `Serialize`: a wire struct that must write a token names [`Token::serialize`]. Any text of visible ASCII without
/// blanks is accepted, up to 4096 bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Arc<Zeroizing<String>>);

impl Token {
    /// Reads a token; blanks and line ends around it are trimmed.
    ///
    /// # Errors
    /// [`TokenError`] says which rule was broken and never quotes the text.
    pub fn new(text: &str) -> Result<Self, TokenError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(TokenError::Empty);
        }
        if text.contains(ROTATE_MARKER) {
            return Err(TokenError::Marker);
        }
        if text.len() > 4096 {
            return Err(TokenError::TooLong);
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TokenError::NotAHeaderValue);
        }
        Ok(Self(Arc::new(Zeroizing::new(text.to_owned()))))
    }

    /// Reads a workspace's token from a file or a variable that a person wrote: a byte order mark is removed, and text
    /// that people leave around a token is refused by name.
    ///
    /// # Errors
    /// [`TokenError`] says which rule was broken, or what was left around the token, and never quotes the text.
    pub fn given(text: &str) -> Result<Self, TokenError> {
        let text = text.trim().trim_start_matches('\u{feff}').trim();
        if text.contains(ROTATE_MARKER) {
            return Err(TokenError::Marker);
        }
        match around(text) {
            Some(around) => Err(TokenError::Around(around)),
            None => Self::new(text),
        }
    }

    /// The token itself. The name makes each place that reads it easy to find.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The value of the `Authorization` header, marked sensitive so that it is never printed.
    pub fn bearer(&self) -> http::HeaderValue {
        bearer(&self.0)
    }

    /// Writes the token. Meant only for `#[serde(serialize_with = "Token::serialize")]`.
    ///
    /// # Errors
    /// The serializer's errors.
    pub fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }

    /// Writes an optional token. Meant only for `#[serde(serialize_with = "Token::serialize_option")]`.
    ///
    /// # Errors
    /// The serializer's errors.
    pub fn serialize_option<S: Serializer>(token: &Option<Self>, serializer: S) -> Result<S::Ok, S::Error> {
        match token {
            Some(token) => token.serialize(serializer),
            None => serializer.serialize_none(),
        }
    }
}

/// The reason why a text is not a token. The message never contains the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// The text is empty or blank.
    #[error("the token is empty")]
    Empty,
    /// The text is the placeholder of a connection block that was shown again.
    #[error("the token is the platform's placeholder {ROTATE_MARKER}: rotate the workspace's token to see a real one")]
    Marker,
    /// The text is longer than 4096 bytes.
    #[error("the token is longer than 4096 bytes")]
    TooLong,
    /// The text has something around the token that people copy with it.
    #[error("there is {0} around it")]
    Around(&'static str),
    /// The text contains blanks, control characters or non-ASCII characters.
    #[error("the token contains characters that no HTTP header can carry")]
    NotAHeaderValue,
}

/// Names the part of a file, a command or a header that was copied with the token. No server's tokens contain such
/// text.
fn around(text: &str) -> Option<&'static str> {
    let lower = text.to_ascii_lowercase();
    if text.starts_with(['"', '\'', '`', '\u{201c}', '\u{2018}', '\u{ab}']) {
        return Some("a pair of quotes");
    }
    if text.starts_with(['{', '[']) {
        return Some("JSON");
    }
    if text.starts_with('<') {
        return Some("a pair of `<` and `>`");
    }
    if lower.starts_with("bearer ") || lower.starts_with("authorization:") {
        return Some("an `Authorization` header, `Bearer `");
    }
    let line = ["export ", "set ", "$env:"].iter().find_map(|word| lower.strip_prefix(word)).unwrap_or(&lower);
    let (key, value) = line.split_once(['=', ':'])?;
    let is_name = key.trim_end().bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'));
    let is_about = ["token", "key", "secret", "molecule"].iter().any(|word| key.contains(word));
    // The `=` at the end of a base64 text is padding, not an assignment.
    let is_value = value.bytes().any(|byte| byte != b'=');
    (is_name && is_about && is_value).then_some("the name of a variable, `KEY=`")
}

impl<'de> Deserialize<'de> for Token {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        Self::new(&text).map_err(serde::de::Error::custom)
    }
}

/// The secret with which the platform authenticates to an agent that takes calls (contract section 2.3).
///
/// It prints as `[redacted]`, is wiped when dropped, and implements `Deserialize` but not `Serialize`.
#[derive(Clone, PartialEq, Eq)]
pub struct InboundSecret(Zeroizing<String>);

impl InboundSecret {
    /// Reads a secret; blanks and line ends around it are trimmed. `None` if nothing is left.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self(Zeroizing::new(text.to_owned())))
    }

    /// The secret itself. The name makes each place that reads it easy to find.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Writes an optional secret. Meant only for `#[serde(serialize_with = …)]`.
    ///
    /// # Errors
    /// The serializer's errors.
    pub fn serialize_option<S: Serializer>(secret: &Option<Self>, serializer: S) -> Result<S::Ok, S::Error> {
        match secret {
            Some(secret) => serializer.serialize_str(&secret.0),
            None => serializer.serialize_none(),
        }
    }
}

/// Reads an absent, `null`, blank or invalid secret as `None`: it must never overwrite a stored secret, and an answer
/// with a token stays readable.
pub(crate) fn inbound_secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<InboundSecret>, D::Error> {
    let text = or_default::<D, Option<String>>(deserializer)?.map(Zeroizing::new);
    Ok(text.and_then(|text| InboundSecret::new(&text)))
}

/// Reads an absent, `null` or empty token as `None`: April's server writes `""` when minting failed.
pub(crate) fn optional_token<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Token>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?.map(Zeroizing::new);
    match text {
        Some(text) if !text.trim().is_empty() => Token::new(&text).map(Some).map_err(serde::de::Error::custom),
        Some(_) | None => Ok(None),
    }
}

fn bearer(secret: &str) -> http::HeaderValue {
    let text = Zeroizing::new(format!("Bearer {secret}"));
    let mut value = http::HeaderValue::from_str(&text).expect("a token holds visible ASCII alone");
    value.set_sensitive(true);
    value
}

macro_rules! redacted {
    ($name:ident) => {
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("[redacted]")
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("[redacted]")
            }
        }
    };
}

redacted!(Token);
redacted!(InboundSecret);

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_token_never_prints() {
        let token = Token::new(" s3cr3t-token\n").unwrap();
        assert_eq!(token.expose(), "s3cr3t-token");
        for text in [format!("{token}"), format!("{token:?}"), format!("{:?}", token.bearer())] {
            assert!(!text.contains("s3cr3t"), "{text}");
        }
        assert_eq!(token.bearer().as_bytes(), b"Bearer s3cr3t-token");
    }

    #[test]
    fn a_text_that_is_no_token_is_refused_without_being_quoted() {
        let long = "x".repeat(4097);
        for (text, expected) in [
            ("", TokenError::Empty),
            (" \r\n", TokenError::Empty),
            ("<ROTATE_TO_REVEAL_TOKEN>", TokenError::Marker),
            ("two words", TokenError::NotAHeaderValue),
            ("line\nbreak", TokenError::NotAHeaderValue),
            ("żółw", TokenError::NotAHeaderValue),
            (long.as_str(), TokenError::TooLong),
        ] {
            let error = Token::new(text).unwrap_err();
            assert_eq!(error, expected);
            assert!(text.trim().is_empty() || !error.to_string().contains(text));
        }
    }

    #[test]
    fn what_people_leave_around_a_token_is_named_and_never_quoted() {
        let quotes = "a pair of quotes";
        let key = "the name of a variable, `KEY=`";
        let header = "an `Authorization` header, `Bearer `";
        for (text, around) in [
            ("\"s3cr3t\"", quotes),
            ("'s3cr3t'", quotes),
            ("`s3cr3t`", quotes),
            ("\u{201c}s3cr3t\u{201d}", quotes),
            ("MOLECULE_WORKSPACE_TOKEN=s3cr3t", key),
            ("export MOLECULE_WORKSPACE_TOKEN=\"s3cr3t\"\n", key),
            ("$env:MOLECULE_WORKSPACE_TOKEN = 's3cr3t'", key),
            ("auth_token: s3cr3t", key),
            ("TOKEN=s3cr3t\nOTHER=1\n", key),
            ("Bearer s3cr3t", header),
            ("Authorization: Bearer s3cr3t", header),
            ("{\"auth_token\": \"s3cr3t\"}", "JSON"),
            ("[\"s3cr3t\"]", "JSON"),
            ("<s3cr3t>", "a pair of `<` and `>`"),
        ] {
            let error = Token::given(text).unwrap_err();
            assert_eq!(error, TokenError::Around(around), "{text}");
            assert!(!error.to_string().contains("s3cr3t"), "{error}");
        }
        for text in [
            "s3cr3t",
            "\u{feff}s3cr3t\r\n",
            " s3cr3t ",
            "-s3cr3t_",
            "key-s3cr3t==",
            "a.s3cr3t.c",
            "s3=cr3t",
            "v1:s3cr3t",
        ] {
            assert!(Token::given(text).is_ok_and(|token| token.expose().contains("cr3t")), "{text}");
        }
        assert_eq!(Token::given("<ROTATE_TO_REVEAL_TOKEN>"), Err(TokenError::Marker));
        assert_eq!(Token::given("\u{feff}"), Err(TokenError::Empty));
    }

    #[test]
    fn a_blank_inbound_secret_is_none() {
        assert_eq!(InboundSecret::new(" \n"), None);
        assert_eq!(format!("{:?}", InboundSecret::new("abc")), "Some([redacted])");
    }
}
