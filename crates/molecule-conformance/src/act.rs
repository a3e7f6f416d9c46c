//! What a scripted peer does with a connection.

use std::borrow::Cow;
use std::time::Duration;

/// One act. After a script's last one the peer says goodbye (under TLS too), and reads until the client closes.
#[derive(Debug, Clone)]
pub enum PeerAction {
    /// Waits until something has arrived, and leaves it unread.
    Notice,
    /// Reads a request's head, and its body as far as its length says.
    Take,
    /// Sends bytes.
    Send(Cow<'static, [u8]>),
    /// Sends bytes one at a time, each this long after the one before.
    Drip(Cow<'static, [u8]>, Duration),
    /// Sends this many bytes, as long as the client takes them, and counts them.
    Flood(u64),
    /// Does nothing for a while, unless the client closes.
    Pause(Duration),
    /// Reads until the client closes.
    Listen,
    /// Neither reads nor sends until the case is over.
    Hold,
    /// Accepts a TLS handshake. The acts that follow are inside.
    Secure(Certificate),
    /// Says goodbye and sends nothing more, whatever the script says after it.
    Close,
    /// Sends nothing more, without a goodbye of TLS, and reads until the client closes.
    Cut,
    /// Closes both ways at once. What arrived unread makes it a reset.
    Slam,
}

/// Whose certificate the peer shows in a handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certificate {
    /// One for 127.0.0.1, `localhost` and `platform.example` by the authority that the client trusts.
    Good,
    /// One for another name.
    OtherName,
    /// One that was good until a few years ago.
    Expired,
    /// One by an authority that nobody trusts.
    UnknownAuthority,
    /// The good one, and the client is asked for one of its own, which it does not have.
    AsksForOne,
}

impl PeerAction {
    /// Sends a text.
    pub fn send(text: &'static str) -> Self {
        Self::Send(text.as_bytes().into())
    }

    /// Sends what a test has made.
    pub fn send_bytes(bytes: impl Into<Vec<u8>>) -> Self {
        Self::Send(Cow::Owned(bytes.into()))
    }

    /// Sends a whole answer: a status line's end, such as `200 OK`, a body, and its length.
    pub fn answer(status: &str, body: &str) -> Self {
        Self::answer_with(status, "", body)
    }

    /// The same with these header lines, each with its line end.
    pub fn answer_with(status: &str, headers: &str, body: &str) -> Self {
        Self::send_bytes(format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len()))
    }

    /// Sends this JSON with status 200.
    pub fn json(body: &str) -> Self {
        Self::answer_with("200 OK", "content-type: application/json\r\n", body)
    }

    /// The usual answer.
    pub fn ok() -> Self {
        Self::answer("200 OK", "ok")
    }
}
