//! Faults: why an effect failed.

use std::error::Error as StdError;
use std::fmt;
use std::io;

/// Why an effect failed: there is no answer, or it could not be read to its end.
///
/// `Debug` shows the head's status, never a header.
pub struct Fault {
    /// Whether the request may have reached the other side.
    pub sent: Sent,
    /// What failed.
    pub kind: FaultKind,
    /// The answer's head, for [`FaultKind::TooLarge`]. Its status is valid whatever the length of the body.
    pub head: Option<Box<http::Response<()>>>,
    /// The error of the HTTP client or the store.
    pub source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Fault {
    /// Makes a fault without a source.
    pub fn new(sent: Sent, kind: FaultKind) -> Self {
        Self { sent, kind, head: None, source: None }
    }

    /// Makes the fault of an answer whose body is longer than [`Limits::max_body`](crate::effect::Limits::max_body).
    /// `head` is the answer's head.
    pub fn too_large(head: http::Response<()>) -> Self {
        Self { head: Some(Box::new(head)), ..Self::new(Sent::Maybe, FaultKind::TooLarge) }
    }

    /// Makes a fault with the error that caused it.
    pub fn with_source(sent: Sent, kind: FaultKind, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { source: Some(source.into()), ..Self::new(sent, kind) }
    }
}

/// Whether a request may have reached the other side. `No` is used only where that is certain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sent {
    /// No byte of the request left this process.
    No,
    /// The request may have arrived, and the server may have acted on it.
    Maybe,
}

/// The kind of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// The host's name could not be resolved.
    Resolve,
    /// The connection was refused, unreachable, or cut before TLS was set up.
    Connect,
    /// The TLS handshake failed, or the certificate was refused.
    Tls,
    /// By this machine's clock the certificate is expired or not valid yet.
    CertificateTime,
    /// The other side does not speak TLS.
    NotTls,
    /// The proxy refused or failed.
    Proxy,
    /// The proxy answered 407: its URL has no credentials, or wrong ones.
    ProxyAuth,
    /// The host has no address that [`Limits::reach`](crate::effect::Limits::reach) admits.
    OutOfReach,
    /// A time limit of [`Limits`](crate::effect::Limits) passed.
    Timeout(Phase),
    /// The connection ended before the answer was complete.
    Interrupted,
    /// The answer was not HTTP.
    Protocol,
    /// The answer's body is longer than [`Limits::max_body`](crate::effect::Limits::max_body). [`Fault::head`] is the
    /// answer's head.
    TooLarge,
    /// The archive was refused; the source is a [`Refusal`](crate::plugin::Refusal).
    Archive,
    /// An operation of the host failed.
    Host(io::ErrorKind),
    /// A file of the application's cannot be sent; the source is a sentence with the cause and the remedy.
    File,
    /// Another holder has the lock.
    Locked,
    /// The application's handler returned an error; the source is its text. With [`Sent::No`] the handler was not called.
    Handler,
    /// The application's handler panicked; the source is its text.
    HandlerPanicked,
    /// The application's handler asks to be offered the message again; the source is its [`TryAgain`](crate::TryAgain).
    TryAgain,
    /// The effect was cancelled.
    Cancelled,
}

/// The time limit that passed.
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

/// Why an answer is not the file that was asked for: the source of a fault of the kind `Protocol`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NotTheFile(pub(crate) &'static str);

impl fmt::Display for NotTheFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the answer is not the file: {}", self.0)
    }
}

impl StdError for NotTheFile {}

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
