//! The states of the bearer and the inbound secret, and the parser of a stored token.

use std::time::Duration;

use http::HeaderValue;
use molecule_proto::{InboundSecret, Now, Token};
use zeroize::Zeroizing;

use crate::effect::Stored;
use crate::error::{Error, ErrorKind, Result};

/// The state of the bearer.
#[derive(Debug, Clone)]
pub(crate) enum Credential {
    /// The store has not been read yet.
    Unread,
    /// The store was read and holds no token.
    Missing,
    /// The agent holds this bearer.
    Held(HeldToken),
}

#[derive(Debug, Clone)]
pub(crate) struct HeldToken {
    pub(crate) token: Token,
    /// The value of the `Authorization` header, made once.
    pub(super) header: HeaderValue,
    pub(crate) persistence: Persistence,
}

/// Where a bearer is stored, other than in the memory of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Persistence {
    /// In the store.
    Stored,
    /// Only with the owner, who gave it by an option. The platform has not accepted it yet, or it must not be stored.
    Given,
    /// Only with the owner: the platform accepted it, and it could not be stored.
    Accepted,
    /// Nowhere: the platform minted it, and it could not be stored.
    MemoryOnly,
}

/// The state of the inbound secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum InboundState {
    Unread,
    Missing,
    Held { secret: InboundSecret, saved: bool },
}

/// How long a replaced inbound secret stays good: the server keeps the one that it sends for so long (contract section 2.3).
pub(crate) const REPLACED_GOOD: Duration = Duration::from_secs(300);

/// The most replaced secrets that are kept. Announcements that alternate must not make the list grow.
const MOST_REPLACED: usize = 4;

/// The inbound secrets that were replaced lately, the newest last.
#[derive(Debug, Default)]
pub(crate) struct ReplacedSecrets(Vec<(InboundSecret, Now)>);

impl ReplacedSecrets {
    /// Records that a secret was replaced by another one, which may be an earlier one that came back.
    pub(super) fn push(&mut self, now: Now, secret: InboundSecret, by: &InboundSecret) {
        self.0.retain(|(earlier, at)| earlier != by && *earlier != secret && now.since(*at) < REPLACED_GOOD);
        let excess = (self.0.len() + 1).saturating_sub(MOST_REPLACED);
        self.0.drain(..excess);
        self.0.push((secret, now));
    }

    /// Returns the secrets that are still good.
    pub(super) fn good(&self, now: Now) -> impl Iterator<Item = &InboundSecret> {
        self.0.iter().filter(move |(_, at)| now.since(*at) < REPLACED_GOOD).map(|(secret, _)| secret)
    }
}

/// Parses the content of the token's slot: raw text, as the Python SDK writes it or as a person wrote it. A byte order
/// mark of an editor or a shell may precede it.
pub(crate) fn read_token(operation: &'static str, stored: &Stored) -> Result<Token> {
    let refuse = |why: &str| {
        Error::new(ErrorKind::Storage, operation, format!("what {} holds is no token: {why}", stored.place)).remedy(
            "keep it, since it may be the only copy of one, and leave the token alone in it: one line, on today's servers of 43 \
             letters, digits, `-` and `_`; or give the token with token(…), or set MOLECULE_WORKSPACE_TOKEN and use from_env()",
        )
    };
    let text = text(&stored.bytes).ok_or_else(|| refuse("it is not text"))?;
    Token::given(&text).map_err(|error| refuse(&error.to_string()))
}

/// Decodes UTF-8, or the UTF-16 that PowerShell's `>` writes.
fn text(bytes: &[u8]) -> Option<Zeroizing<String>> {
    let utf_16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let (pairs, rest) = bytes.as_chunks();
        let units = pairs.iter().map(|pair| unit(*pair));
        let text: Option<String> = char::decode_utf16(units).collect::<Result<_, _>>().ok();
        text.filter(|_| rest.is_empty())
    };
    let text = match bytes {
        [0xff, 0xfe, rest @ ..] => utf_16(rest, u16::from_le_bytes)?,
        [0xfe, 0xff, rest @ ..] => utf_16(rest, u16::from_be_bytes)?,
        _ => str::from_utf8(bytes).ok()?.to_owned(),
    };
    Some(Zeroizing::new(text))
}
