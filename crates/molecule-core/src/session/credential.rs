//! The states of the bearer and the inbound secret, and the parser of a stored token.

use std::time::Duration;

use http::HeaderValue;
use molecule_proto::{InboundSecret, Now, Token, UnixTime};
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

    /// Returns the content of their slot: those that are still good, each with the second of its replacement. `None` if there
    /// is none.
    pub(crate) fn content(&self, now: Now) -> Option<Zeroizing<Vec<u8>>> {
        let mut content = Zeroizing::new(Vec::with_capacity(4096));
        for (secret, at) in self.0.iter().filter(|(_, at)| now.since(*at) < REPLACED_GOOD) {
            content.extend_from_slice(at.unix.as_secs().to_string().as_bytes());
            content.push(b' ');
            content.extend_from_slice(secret.expose().as_bytes());
            content.push(b'\n');
        }
        (!content.is_empty()).then_some(content)
    }

    /// Adds what an earlier process has stored, beside the secret that is current now. What cannot be read of it is passed
    /// over: it would soon be good no longer. So is a time that lies in the future, since the clock was wrong then or is now.
    pub(crate) fn restore(&mut self, now: Now, content: &[u8], current: Option<&InboundSecret>) {
        let lines = str::from_utf8(content).unwrap_or_default().lines();
        let stored: Vec<_> = lines.filter_map(|line| read_replaced(now, line)).collect();
        for (secret, at) in stored {
            let is_known = current == Some(&secret) || self.0.iter().any(|(other, _)| *other == secret);
            if !is_known && now.since(at) < REPLACED_GOOD && self.0.len() < MOST_REPLACED {
                self.0.push((secret, at));
            }
        }
    }
}

/// Reads a line of the slot. By the monotonic clock the five minutes begin anew, so that a clock that is set back does not
/// make them longer than that.
fn read_replaced(now: Now, line: &str) -> Option<(InboundSecret, Now)> {
    let (secs, secret) = line.split_once(' ')?;
    let unix = UnixTime::from_secs(secs.parse().ok()?);
    (unix <= now.unix).then_some((InboundSecret::new(secret)?, Now { mono: now.mono, unix }))
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
