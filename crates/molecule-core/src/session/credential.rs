//! The bearer and the inbound secret, as far as they are known, and how a stored token reads.

use http::HeaderValue;
use molecule_proto::{InboundSecret, Token};
use zeroize::Zeroizing;

use crate::effect::Stored;
use crate::error::{Error, ErrorKind, Result};

/// The bearer, as far as it is known.
#[derive(Debug, Clone)]
pub(crate) enum Credential {
    /// The store was not read yet.
    Unread,
    /// The store was read and holds none.
    Missing,
    /// This one.
    Held(HeldToken),
}

#[derive(Debug, Clone)]
pub(crate) struct HeldToken {
    pub(crate) token: Token,
    /// The token as a header's value, made once.
    pub(super) header: HeaderValue,
    pub(crate) kept: Kept,
}

/// Where a bearer is besides in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// In the store.
    Stored,
    /// With the owner, who gave it by an option; the platform has not accepted it yet, or it is not to be stored.
    Given,
    /// With the owner alone: the platform accepted it, and it could not be stored.
    Accepted,
    /// Nowhere: it was minted and could not be stored.
    Nowhere,
}

/// The inbound secret, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum InboundState {
    Unread,
    Missing,
    Held { secret: InboundSecret, saved: bool },
}

/// Reads the token's slot: its raw text, as the Python SDK keeps it, or as a person wrote it, with whatever mark of its encoding
/// an editor or a shell put before it.
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

/// UTF-8, or the UTF-16 that PowerShell's `>` writes.
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
