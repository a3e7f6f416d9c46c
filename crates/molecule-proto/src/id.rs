//! Ids and names that become path segments, as types that hold valid values only.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A workspace's id: a hyphenated UUID, stored in lower case.
///
/// The platform compares ids as text and refuses an upper-case spelling of the right id with 401 (contract section
/// 1.6). This type therefore reads any case and writes lower case. A value can never leave its path segment.
///
/// ```
/// use molecule_proto::WorkspaceId;
/// let id: WorkspaceId = "7FDA77BF-A467-441C-9FAB-7D8ABA8E6040".parse()?;
/// assert_eq!(id.as_str(), "7fda77bf-a467-441c-9fab-7d8aba8e6040");
/// assert!("../admin".parse::<WorkspaceId>().is_err());
/// # Ok::<(), molecule_proto::IdError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WorkspaceId(String);

/// The id of a token's row, which names the token to revoke (contract section 16.3): a UUID like [`WorkspaceId`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TokenId(String);

/// The id of a queued call (contract section 11): a UUID like [`WorkspaceId`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct QueueId(String);

/// The id of a delegation that the platform created (contract section 14.1): a UUID like [`WorkspaceId`]. Agents that
/// report their own delegations may use any text as an id.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DelegationId(String);

/// The id of a row of an activity feed, which is also the reader's cursor (contract section 12): a UUID like
/// [`WorkspaceId`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ActivityId(String);

/// The id of a file that waits on the platform for a poll agent to fetch it (contract section 17): a UUID like
/// [`WorkspaceId`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FileId(String);

macro_rules! uuid_newtype {
    ($name:ident, $what:literal) => {
        impl $name {
            /// The id as lower-case text of 36 characters.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Makes an id of 16 random bytes, as a version 4 UUID. Servers and tests call it with bytes from their own
            /// random source.
            pub fn from_random(bytes: [u8; 16]) -> Self {
                Self(random_uuid(bytes))
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                if is_uuid(text) { Ok(Self(text.to_ascii_lowercase())) } else { Err(IdError::uuid($what, text)) }
            }
        }
    };
}

uuid_newtype!(WorkspaceId, "workspace id");
uuid_newtype!(TokenId, "token id");
uuid_newtype!(QueueId, "queue id");
uuid_newtype!(DelegationId, "delegation id");
uuid_newtype!(ActivityId, "activity id");
uuid_newtype!(FileId, "file id");

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// Makes a version 4 UUID of 16 bytes that the caller drew at random, for ids that are strings, such as a message's.
pub fn random_uuid(mut bytes: [u8; 16]) -> String {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let mut text = String::with_capacity(36);
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push(char::from(HEX[usize::from(byte >> 4)]));
        text.push(char::from(HEX[usize::from(byte & 0x0f)]));
    }
    text
}

/// A plugin's name: a letter or digit, then at most 127 letters, digits, `.`, `_` or `-`; no dot at the end, and no
/// name that Windows reserves for a device (`con`, `lpt1`, `nul.txt` …).
///
/// The name becomes a directory and a path segment, so neither `..` nor a separator can be in it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PluginName(String);

impl PluginName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PluginName {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let well_formed = (1..=128).contains(&text.len())
            && text.starts_with(|first: char| first.is_ascii_alphanumeric())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
            && !text.ends_with('.')
            && !is_device_name(text);
        if !well_formed {
            return Err(IdError::plugin(text));
        }
        Ok(Self(text.to_owned()))
    }
}

/// Returns whether Windows reserves this name for a device (`con`, `lpt1`, `nul.txt` …): with any extension and in any
/// case.
pub fn is_device_name(text: &str) -> bool {
    let stem = text.split('.').next().unwrap_or(text).to_ascii_lowercase();
    let numbered = |prefix: &str| {
        stem.strip_prefix(prefix).is_some_and(|rest| rest.len() == 1 && rest.as_bytes()[0].is_ascii_digit())
    };
    matches!(stem.as_str(), "con" | "prn" | "aux" | "nul") || numbered("com") || numbered("lpt")
}

macro_rules! text_newtype {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl TryFrom<&str> for $name {
            type Error = IdError;

            fn try_from(text: &str) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }
    };
}

text_newtype!(WorkspaceId);
text_newtype!(TokenId);
text_newtype!(QueueId);
text_newtype!(DelegationId);
text_newtype!(ActivityId);
text_newtype!(FileId);
text_newtype!(PluginName);

/// The error for a text that is not an id, not a plugin name or not a memory key. The message describes the valid form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {text:?} is not valid: {rule}")]
pub struct IdError {
    what: &'static str,
    text: String,
    rule: &'static str,
}

impl IdError {
    fn uuid(what: &'static str, text: &str) -> Self {
        let rule = "expected a UUID such as 7fda77bf-a467-441c-9fab-7d8aba8e6040, as the platform shows it";
        Self { what, text: excerpt(text), rule }
    }

    fn plugin(text: &str) -> Self {
        let rule = "expected a letter or digit followed by at most 127 letters, digits, '.', '_' or '-', \
                    without a dot at the end, and no Windows device name";
        Self { what: "plugin name", text: excerpt(text), rule }
    }

    pub(crate) fn memory_key(text: &str) -> Self {
        let rule = "expected a letter or digit followed by at most 127 letters, digits, '.', '_' or '-'";
        Self { what: "memory key", text: excerpt(text), rule }
    }
}

/// The start of a text that may be long or hostile. The caller prints it with `{:?}`, which escapes control characters.
fn excerpt(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_workspace_id_is_kept_in_lower_case() {
        let id: WorkspaceId = "7FDA77BF-a467-441c-9fab-7d8aba8e6040".parse().unwrap();
        assert_eq!(id.to_string(), "7fda77bf-a467-441c-9fab-7d8aba8e6040");
        assert_eq!(serde_json::to_string(&id).unwrap(), "\"7fda77bf-a467-441c-9fab-7d8aba8e6040\"");
    }

    #[test]
    fn a_workspace_id_cannot_leave_its_path_segment() {
        for text in [
            "",
            ".",
            "..",
            "../../etc/cron.d",
            "/etc/molecule",
            "7fda77bf-a467-441c-9fab-7d8aba8e604",
            "7fda77bf-a467-441c-9fab-7d8aba8e60400",
            "7fda77bfa467441c9fab7d8aba8e60400000",
            "7fda77bf-a467-441c-9fab-7d8aba8e604/",
            "7fda77bf-a467-441c-9fab-7d8aba8e604?",
            "7fda77bf-a467-441c-9fab-7d8aba8e604\0",
            "{7fda77bf-a467-441c-9fab-7d8aba8e6040}",
        ] {
            assert!(text.parse::<WorkspaceId>().is_err(), "{text:?}");
            assert!(serde_json::from_value::<WorkspaceId>(text.into()).is_err(), "{text:?}");
        }
    }

    #[test]
    fn random_bytes_make_a_valid_id() {
        let id = WorkspaceId::from_random([0xff; 16]);
        assert_eq!(id.as_str(), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(id.as_str().parse::<WorkspaceId>().unwrap(), id);
    }

    #[test]
    fn plugin_names_follow_the_grammar() {
        let longest = "n".repeat(128);
        for text in ["a", "molecule-dev", "A.b_c-1", "0", longest.as_str(), "console", "com10", "lpt"] {
            assert_eq!(text.parse::<PluginName>().unwrap().as_str(), text);
        }
        let too_long = "n".repeat(129);
        for text in [
            "",
            ".",
            "..",
            "../../victim",
            ".hidden",
            "-x",
            "_x",
            "a.",
            "a/b",
            "a\\b",
            "a b",
            "ż",
            "con",
            "NUL.txt",
            "Com1",
            "lpt9.x",
            too_long.as_str(),
        ] {
            assert!(text.parse::<PluginName>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_error_names_the_rule_and_escapes_the_text() {
        let message = "evil\n\u{7}".parse::<WorkspaceId>().unwrap_err().to_string();
        assert_eq!(
            message,
            "workspace id \"evil\\n\\u{7}\" is not valid: expected a UUID such as \
             7fda77bf-a467-441c-9fab-7d8aba8e6040, as the platform shows it"
        );
    }
}
