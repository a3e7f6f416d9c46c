//! Why an effect has no good outcome.

use std::error::Error as StdError;
use std::fmt;
use std::io;

/// Why there is no answer, or none that was read as a whole.
///
/// `Debug` shows the head's status, never a header.
pub struct Fault {
    /// Whether the request may have reached the other side.
    pub sent: Sent,
    /// What failed.
    pub kind: FaultKind,
    /// Of [`FaultKind::TooLarge`]: the answer's head. What its status says holds, however long its body is.
    pub head: Option<Box<http::Response<()>>>,
    /// The client's or the store's own error.
    pub source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Fault {
    /// A fault without a source.
    pub fn new(sent: Sent, kind: FaultKind) -> Self {
        Self { sent, kind, head: None, source: None }
    }

    /// The fault of an answer with this head, whose body passes [`Limits::max_body`](crate::effect::Limits::max_body).
    pub fn too_large(head: http::Response<()>) -> Self {
        Self { head: Some(Box::new(head)), ..Self::new(Sent::Maybe, FaultKind::TooLarge) }
    }

    /// A fault with the error behind it.
    pub fn with_source(sent: Sent, kind: FaultKind, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { source: Some(source.into()), ..Self::new(sent, kind) }
    }
}

/// Whether a request may have reached the other side. `No` only when that is certain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sent {
    /// Nothing of the request left this process.
    No,
    /// It may have arrived, and the server may have acted.
    Maybe,
}

/// What failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// The host's name has no address.
    Resolve,
    /// No connection: refused, unreachable, or cut before it was secured.
    Connect,
    /// The TLS handshake was refused, or the certificate.
    Tls,
    /// The certificate is not valid at this machine's time: it is expired, or not valid yet.
    CertificateTime,
    /// What answers speaks no TLS.
    NotTls,
    /// The proxy refused or failed.
    Proxy,
    /// The proxy wants credentials, or other ones than its URL holds: it answered 407.
    ProxyAuth,
    /// The host has no address that [`Limits::reach`](crate::effect::Limits::reach) admits.
    OutOfReach,
    /// A limit of [`Limits`](crate::effect::Limits) passed.
    Timeout(Phase),
    /// The connection ended before the answer did.
    Interrupted,
    /// The answer was no HTTP.
    Protocol,
    /// The answer's body passed [`Limits::max_body`](crate::effect::Limits::max_body); [`Fault::head`] is its head.
    TooLarge,
    /// The archive was refused; the source is a [`Refusal`](crate::plugin::Refusal).
    Archive,
    /// The host's act failed.
    Host(io::ErrorKind),
    /// The lock is held by somebody else.
    Locked,
    /// The effect was cancelled.
    Cancelled,
}

/// Which limit passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// [`Limits::connect`](crate::effect::Limits::connect).
    Connect,
    /// [`Limits::head`](crate::effect::Limits::head).
    Head,
    /// [`Limits::read`](crate::effect::Limits::read).
    Read,
    /// [`Limits::total`](crate::effect::Limits::total).
    Total,
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Fault");
        debug.field("sent", &self.sent).field("kind", &self.kind);
        if let Some(head) = &self.head {
            debug.field("status", &head.status());
        }
        debug.field("source", &self.source).finish()
    }
}
