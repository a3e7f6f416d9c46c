//! The error type of the SDK.

pub(crate) mod fault;
mod install;

use std::error::Error as StdError;
use std::fmt::{self, Write as _};
use std::iter;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use molecule_plugin::{LimitError, Refusal};
use molecule_proto::NulError;
use serde::Serialize;

use crate::printable::{Printable, is_deceptive, line};
use fault::{Fault, FaultKind, NotTheFile, Phase};
pub use install::{EarlierVersion, InstallFailure};

/// A result whose error is [`Error`] by default.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the SDK: one sentence with the operation, the cause, and the remedy where there is one.
///
/// It never contains a credential, a secret, or a type of an HTTP client. Programs look at [`kind`](Self::kind) and the
/// other accessors. People read `Display`; `Debug` prints the same sentence, so that a `main` that returns the error
/// prints it. `source()` is the first cause that the sentence does not contain. As JSON it is an object with `message`
/// (the sentence), `kind`, `operation`, `attempts`, `retryable`, and, where there are any, `status`, `code`,
/// `server_message`, `location`, `retry_after_secs` and `message_id`.
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    operation: &'static str,
    cause: String,
    remedy: Option<String>,
    status: Option<StatusCode>,
    code: Option<String>,
    server_message: Option<String>,
    location: Option<String>,
    retry_after: Option<Duration>,
    attempts: u32,
    retryable: bool,
    may_have_acted: bool,
    message_id: Option<String>,
    idempotency_key: Option<String>,
    install: Option<InstallFailure>,
    /// A second error, of the clean-up after the first one.
    also: Option<String>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// The kind of an error. `Display` is its name in words (`token not held`), as JSON it is `token_not_held`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// An option is not valid; nothing was sent.
    Config,
    /// The agent's store failed: a file that is not private, a full disk, an unreadable token.
    Storage,
    /// Another agent of the same workspace is running; the message names the lock's file.
    Locked,
    /// No connection to the platform: name, address or proxy.
    Unreachable,
    /// A time limit passed.
    Timeout,
    /// The connection broke before the answer was complete.
    Interrupted,
    /// The TLS handshake or the certificate was refused.
    Tls,
    /// The answer was not HTTP, or not the JSON that the endpoint's contract asks for.
    Protocol,
    /// The answer was larger than this endpoint's cap.
    TooLarge,
    /// The platform answered with a redirect, which is never followed; see [`Error::location`].
    Redirected,
    /// The answer came from something other than the platform: the `Origin` or the organisation id is missing, or the
    /// base URL is wrong.
    Routing,
    /// The platform refused the `Origin` header.
    OriginRefused,
    /// The platform refused the bearer.
    Unauthorized,
    /// The platform has already issued a token for this workspace, and the agent does not hold it.
    TokenNotHeld,
    /// The token that the agent holds was revoked.
    Revoked,
    /// A minted or rotated token could not be stored. The agent holds it in memory until the process ends.
    TokenNotSaved,
    /// The workspace was deleted.
    Removed,
    /// No workspace has this id.
    NotCreated,
    /// The delegation, the queued message or the plugin does not exist.
    NotFound,
    /// The server does not offer this; usually it is an older one.
    Unsupported,
    /// The platform answered with a 4xx status that no other kind describes.
    Refused,
    /// The rate limit is spent; see [`Error::retry_after`].
    RateLimited,
    /// The platform answered with a 5xx status.
    Unavailable,
    /// The platform does not hold the file any more.
    Expired,
    /// The plugin's archive, its manifest or its digest was refused; see [`Error::install`].
    PluginRefused,
    /// The application's handler of a message failed or panicked.
    Handler,
    /// The call was cancelled before it was complete.
    Cancelled,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, operation: &'static str, cause: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            operation,
            cause: cause.into(),
            remedy: None,
            status: None,
            code: None,
            server_message: None,
            location: None,
            retry_after: None,
            attempts: 0,
            retryable: false,
            may_have_acted: false,
            message_id: None,
            idempotency_key: None,
            install: None,
            also: None,
            source: None,
        }))
    }

    /// Makes a `Config` error. Drivers and facades use it for options of their own, such as a certificate or a proxy.
    pub fn config(cause: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(ErrorKind::Config, "configuration", cause).remedy(remedy)
    }

    /// Makes a `Cancelled` error. A driver uses it when the task of a call was torn down.
    pub fn cancelled(operation: &'static str) -> Self {
        Self::new(ErrorKind::Cancelled, operation, "it was cancelled")
    }

    pub(crate) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.0.remedy = Some(remedy.into());
        self
    }

    /// Returns the same error with another kind and cause.
    pub(crate) fn of_kind(mut self, kind: ErrorKind, cause: impl Into<String>) -> Self {
        self.0.kind = kind;
        self.0.cause = cause.into();
        self
    }

    pub(crate) fn with_status(mut self, status: StatusCode) -> Self {
        self.0.status = Some(status);
        self
    }

    /// Adds the code and the message of the server's error body, bounded and escaped.
    pub(crate) fn with_body(mut self, code: Option<&str>, message: Option<&str>) -> Self {
        self.0.code = code.map(printable);
        self.0.server_message = message.map(printable);
        self
    }

    pub(crate) fn with_location(mut self, location: impl Into<String>) -> Self {
        self.0.location = Some(location.into());
        self
    }

    pub(crate) fn with_retry_after(mut self, wait: Option<Duration>) -> Self {
        self.0.retry_after = wait;
        self
    }

    pub(crate) fn with_attempts(mut self, attempts: u32) -> Self {
        self.0.attempts = attempts;
        self
    }

    pub(crate) fn retryable(mut self, retryable: bool) -> Self {
        self.0.retryable = retryable;
        self
    }

    pub(crate) fn with_may_have_acted(mut self, may_have_acted: bool) -> Self {
        self.0.may_have_acted = may_have_acted;
        self
    }

    /// Returns whether the server may have acted on a request although no answer says so.
    pub(crate) fn may_have_acted(&self) -> bool {
        self.0.may_have_acted
    }

    pub(crate) fn with_message_id(mut self, id: &str) -> Self {
        self.0.message_id = Some(id.to_owned());
        self
    }

    pub(crate) fn with_idempotency_key(mut self, key: &str) -> Self {
        self.0.idempotency_key = Some(key.to_owned());
        self
    }

    pub(crate) fn with_source(mut self, source: Option<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = source.map(Arc::from);
        self
    }

    /// Makes the error for a plugin that a rule refuses.
    pub(crate) fn refused_plugin(operation: &'static str, refusal: Refusal) -> Self {
        let mut error = Self::new(ErrorKind::PluginRefused, operation, refusal.to_string());
        error.0.install =
            Some(InstallFailure { refusal: Some(refusal), earlier: EarlierVersion::Unseen, earlier_at: None });
        error
    }

    /// Adds what became of the version that was installed before.
    pub(crate) fn with_earlier_version(mut self, earlier: EarlierVersion, earlier_at: Option<PathBuf>) -> Self {
        let refusal = self.0.install.take().and_then(|install| install.refusal);
        self.0.install = Some(InstallFailure { refusal, earlier, earlier_at });
        self
    }

    /// Adds an error of the clean-up after this one.
    pub(crate) fn and_also(mut self, other: &Self) -> Self {
        self.0.also = Some(other.0.cause.clone());
        self
    }

    /// Returns the same error under the name of the operation that it is a part of: a register whose view could not be
    /// read failed to register.
    pub(crate) fn during(mut self, operation: &'static str) -> Self {
        self.0.operation = operation;
        self
    }

    /// Makes an error of the fault of a driver or a store.
    pub(crate) fn from_fault(operation: &'static str, fault: Fault) -> Self {
        let Fault { kind, source, .. } = fault;
        let source = match source.map(|source| source.downcast::<Refusal>()) {
            Some(Ok(refusal)) => return Self::refused_plugin(operation, *refusal),
            Some(Err(source)) => Some(source),
            None => None,
        };
        let detail = source.as_deref().map(|source| format!(": {source}")).unwrap_or_default();
        let (error_kind, cause, remedy) = match kind {
            FaultKind::Resolve => (
                ErrorKind::Unreachable,
                format!("the platform's host name has no address{detail}"),
                "check the platform URL and this machine's name resolution",
            ),
            FaultKind::Connect => (
                ErrorKind::Unreachable,
                format!("no connection to the platform{detail}"),
                "check that the platform runs and can be reached from here",
            ),
            FaultKind::Proxy => (
                ErrorKind::Unreachable,
                format!("the proxy refused or failed{detail}"),
                "check HTTPS_PROXY and NO_PROXY, or turn proxies off",
            ),
            FaultKind::ProxyAuth => (
                ErrorKind::Unreachable,
                format!("the proxy wants credentials, or other ones than its URL holds{detail}"),
                "check user and password in HTTPS_PROXY or proxy(…), as in http://user:password@host:port",
            ),
            // Only requests to peers are restricted to some addresses, and a call of a peer reports this as an outcome.
            FaultKind::OutOfReach => (
                ErrorKind::Unreachable,
                format!("the host has no address that may be called{detail}"),
                "call it through the platform",
            ),
            FaultKind::Tls => (
                ErrorKind::Tls,
                format!("the TLS connection was refused{detail}"),
                "check the host name, or add the certificate authority that signed its certificate",
            ),
            FaultKind::CertificateTime => (
                ErrorKind::Tls,
                format!("the platform's certificate is not valid at this machine's time{detail}"),
                "check this machine's clock; if it is right, the platform's certificate must be renewed",
            ),
            FaultKind::NotTls => (
                ErrorKind::Tls,
                format!("what answers there speaks no TLS{detail}"),
                "check the platform URL's scheme and port: a port for plain http answers an https URL",
            ),
            FaultKind::Timeout(phase) => (
                ErrorKind::Timeout,
                match phase {
                    Phase::Connect => "no connection within the connect limit".to_owned(),
                    Phase::Head => "no answer within the limit".to_owned(),
                    Phase::Read => "the answer stalled".to_owned(),
                    Phase::Total => "the answer did not end within the total limit".to_owned(),
                },
                "try again later, or raise the limit",
            ),
            FaultKind::Interrupted => (
                ErrorKind::Interrupted,
                format!("the connection broke before the answer was complete{detail}"),
                "try again",
            ),
            FaultKind::Protocol if source.as_deref().is_some_and(|source| source.is::<NotTheFile>()) => (
                ErrorKind::Protocol,
                source.as_deref().map(ToString::to_string).unwrap_or_default(),
                "check that the platform URL names the platform; a proxy may have changed the answer",
            ),
            FaultKind::Protocol => (
                ErrorKind::Protocol,
                format!("the answer was no HTTP{detail}"),
                "check that the platform URL names the platform, and its scheme and port",
            ),
            FaultKind::TooLarge => (
                ErrorKind::TooLarge,
                "the answer is larger than this endpoint's cap".to_owned(),
                "check that the platform URL names the platform and not some other site",
            ),
            // Reached only when the fault's source is no `Refusal`, so that the rule is unknown.
            FaultKind::Archive => {
                let cause = format!("the archive was refused{detail}");
                return Self::new(ErrorKind::PluginRefused, operation, cause).with_source(source);
            }
            FaultKind::Host(_) => {
                let cause = source.as_deref().map_or_else(|| "the store failed".to_owned(), ToString::to_string);
                return Self::new(ErrorKind::Storage, operation, cause).with_source(source);
            }
            FaultKind::File => {
                let cause = source.as_deref().map_or_else(|| "a file cannot be sent".to_owned(), ToString::to_string);
                return Self::new(ErrorKind::Config, operation, cause).with_source(source);
            }
            FaultKind::Locked => {
                let cause = source
                    .as_deref()
                    .map_or_else(|| "another agent of this workspace holds the lock".to_owned(), ToString::to_string);
                return Self::new(ErrorKind::Locked, operation, cause).with_source(source);
            }
            FaultKind::Handler | FaultKind::HandlerPanicked => {
                let what = if kind == FaultKind::Handler { "failed" } else { "panicked" };
                return Self::new(ErrorKind::Handler, operation, format!("the handler {what}{detail}"))
                    .with_source(source);
            }
            FaultKind::TryAgain => {
                let cause = format!("the handler asks for another try{detail}");
                return Self::new(ErrorKind::Handler, operation, cause).with_source(source).retryable(true);
            }
            FaultKind::Cancelled => return Self::cancelled(operation),
        };
        Self::new(error_kind, operation, cause).remedy(remedy).with_source(source)
    }

    /// Returns the cause, without operation and remedy.
    pub(crate) fn cause(&self) -> &str {
        &self.0.cause
    }

    /// Returns the sentence without the remedy, for a program that names one in its own words.
    pub fn what_failed(&self) -> String {
        let mut sentence = String::new();
        // A text takes whatever is written to it.
        let _ = self.write_what_failed(&mut Printable::line(&mut sentence));
        sentence
    }

    /// Returns what can be done about the error, in the words of the Rust API; the last part of the sentence.
    pub fn what_to_do(&self) -> Option<&str> {
        self.0.remedy.as_deref()
    }

    fn write_what_failed(&self, f: &mut impl fmt::Write) -> fmt::Result {
        let inner = &self.0;
        write!(f, "{} failed: {}", inner.operation, inner.cause)?;
        if let Some(message) = &inner.server_message {
            write!(f, " ({message})")?;
        }
        if inner.attempts > 1 {
            write!(f, ", after {} requests", inner.attempts)?;
        }
        if let Some(install) = &inner.install {
            write!(f, "; {install}")?;
        }
        if let Some(also) = &inner.also {
            write!(f, "; and then: {also}")?;
        }
        Ok(())
    }

    /// Returns the kind of the error.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns the operation that failed: `register`, `heartbeat`, `pull secrets` ….
    pub fn operation(&self) -> &'static str {
        self.0.operation
    }

    /// Returns the HTTP status, if the platform or a gateway before it answered.
    pub fn status(&self) -> Option<StatusCode> {
        self.0.status
    }

    /// Returns the `code` of the server's error body.
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// Returns the message of the server's error body: at most 300 characters, with control characters escaped.
    pub fn server_message(&self) -> Option<&str> {
        self.0.server_message.as_deref()
    }

    /// Returns the target of a redirect, if the answer was one.
    pub fn location(&self) -> Option<&str> {
        self.0.location.as_deref()
    }

    /// Returns how long the server asked to wait, clamped to 1 to 60 s.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Returns the id of the message that a call of a peer sent. Send it again only under this id
    /// ([`Message::with_id`](molecule_proto::Message::with_id)): a peer that already has the message recognises it by
    /// the id.
    pub fn message_id(&self) -> Option<&str> {
        self.0.message_id.as_deref()
    }

    /// Returns the idempotency key of the delegation that failed. Delegate the task again only under this key
    /// ([`Delegation::idempotency_key`](crate::Delegation::idempotency_key)): if the platform has already taken the
    /// delegation, the second one is the same as the first.
    pub fn idempotency_key(&self) -> Option<&str> {
        self.0.idempotency_key.as_deref()
    }

    /// Returns the details of a failed install: the rule that was broken, the entry that broke it, and what became of
    /// the earlier version.
    pub fn install(&self) -> Option<&InstallFailure> {
        self.0.install.as_ref()
    }

    /// Returns how many requests were sent.
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// Returns whether the same call may succeed later although nobody changes anything.
    pub fn is_retryable(&self) -> bool {
        self.0.retryable
    }
}

/// Makes a server's text fit to print: at most 300 characters, with control characters and other deceptive ones
/// escaped.
pub(crate) fn printable(text: &str) -> String {
    let mut printable = String::new();
    for (count, char) in text.chars().enumerate() {
        if count == 300 {
            printable.push('…');
            break;
        }
        if is_deceptive(char) { printable.extend(char.escape_default()) } else { printable.push(char) }
    }
    printable
}

impl From<NulError> for Error {
    fn from(nul: NulError) -> Self {
        Self::config(nul.to_string(), "remove it")
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &self.0;
        // Paths, names of plugins and errors of other libraries are untrusted text too.
        let mut f = Printable::line(f);
        self.write_what_failed(&mut f)?;
        if let Some(remedy) = &inner.remedy {
            write!(f, "; {remedy}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Makes a `Config` error with its remedy.
impl From<LimitError> for Error {
    fn from(error: LimitError) -> Self {
        Self::config(error.to_string(), "set it to digits alone, or leave it out")
    }
}

impl StdError for Error {
    /// Returns the first cause whose text the sentence does not contain.
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        let first = self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static));
        let told = first.map(|_| self.to_string())?;
        iter::successors(first, |cause| (*cause).source()).find(|cause| !told.contains(&line(&cause.to_string())))
    }
}

impl Serialize for Error {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Record<'a> {
            message: String,
            kind: ErrorKind,
            operation: &'a str,
            attempts: u32,
            retryable: bool,
            #[serde(skip_serializing_if = "Option::is_none")]
            status: Option<u16>,
            #[serde(skip_serializing_if = "Option::is_none")]
            code: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            server_message: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            location: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            retry_after_secs: Option<f64>,
            #[serde(skip_serializing_if = "Option::is_none")]
            message_id: Option<&'a str>,
        }
        let record = Record {
            message: self.to_string(),
            kind: self.kind(),
            operation: self.operation(),
            attempts: self.attempts(),
            retryable: self.is_retryable(),
            status: self.status().map(|status| status.as_u16()),
            code: self.code(),
            server_message: self.server_message(),
            location: self.location(),
            retry_after_secs: self.retry_after().map(|wait| wait.as_secs_f64()),
            message_id: self.message_id(),
        };
        record.serialize(serializer)
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Config => "config",
            Self::Storage => "storage",
            Self::Locked => "locked",
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::Interrupted => "interrupted",
            Self::Tls => "tls",
            Self::Protocol => "protocol",
            Self::TooLarge => "too large",
            Self::Redirected => "redirected",
            Self::Routing => "routing",
            Self::OriginRefused => "origin refused",
            Self::Unauthorized => "unauthorized",
            Self::TokenNotHeld => "token not held",
            Self::Revoked => "revoked",
            Self::TokenNotSaved => "token not saved",
            Self::Removed => "removed",
            Self::NotCreated => "not created",
            Self::NotFound => "not found",
            Self::Unsupported => "unsupported",
            Self::Refused => "refused",
            Self::RateLimited => "rate limited",
            Self::Unavailable => "unavailable",
            Self::Expired => "expired",
            Self::PluginRefused => "plugin refused",
            Self::Handler => "handler",
            Self::Cancelled => "cancelled",
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io;

    use super::*;
    use crate::effect::Sent;

    #[test]
    fn debug_is_the_sentence() {
        let error = Error::config("the card is not JSON", "use text keys").clone();
        assert_eq!(error.to_string(), "configuration failed: the card is not JSON; use text keys");
        assert_eq!(format!("{error:?}"), error.to_string());
        assert_eq!(format!("{error:#?}"), error.to_string());
    }

    /// An error whose text does not contain its cause.
    #[derive(Debug)]
    struct Outer(io::Error);

    impl fmt::Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("the connection failed")
        }
    }

    impl StdError for Outer {
        fn source(&self) -> Option<&(dyn StdError + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn the_source_is_what_the_sentence_does_not_say() {
        let fault =
            |source| Error::from_fault("heartbeat", Fault { source, ..Fault::new(Sent::No, FaultKind::Connect) });
        let shown = fault(Some(Box::new(io::Error::other("refused by the host"))));
        assert!(shown.to_string().contains("refused by the host"), "{shown}");
        assert!(shown.source().is_none());
        let below = fault(Some(Box::new(Outer(io::Error::other("no route"))))).clone();
        assert!(below.to_string().contains(": the connection failed"), "{below}");
        assert_eq!(below.source().unwrap().to_string(), "no route");
        assert!(fault(None).source().is_none());
    }

    #[test]
    fn a_log_record_has_the_sentence_and_the_figures() {
        let error = Error::new(ErrorKind::RateLimited, "heartbeat", "the rate limit is spent")
            .with_status(StatusCode::TOO_MANY_REQUESTS)
            .with_retry_after(Some(Duration::from_secs(7)))
            .with_attempts(4)
            .retryable(true);
        let record = serde_json::to_string(&error).unwrap();
        let expected = r#"{"message":"heartbeat failed: the rate limit is spent, after 4 requests","kind":"rate_limited","operation":"heartbeat","attempts":4,"retryable":true,"status":429,"retry_after_secs":7.0}"#;
        assert_eq!(record, expected);
        assert_eq!(ErrorKind::TokenNotHeld.to_string(), "token not held");
    }
}
