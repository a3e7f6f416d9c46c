//! The draft of a request, which names no origin and carries no credential yet.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use http::Method;
use molecule_proto::Token;

use crate::error::{Error, Result};
use crate::printable::ShownUrl;

/// The credential that a request carries.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Auth {
    /// No credential: open endpoints.
    Open,
    /// The workspace's bearer, if one is held.
    Bearer,
    /// An administrator's credential, given for this call.
    Admin(Token),
}

/// The usual most bytes of a request's body.
const BODY: usize = 256;

/// A request of an endpoint before it is bound to the platform.
///
/// `Debug` shows the method, the path without its query, and the body's length, never the body.
#[derive(Clone)]
pub struct Draft {
    pub(super) method: Method,
    pub(super) path: Cow<'static, str>,
    pub(super) body: Option<Bytes>,
    pub(super) auth: Auth,
    pub(super) named: bool,
    pub(super) is_any_type: bool,
}

impl Draft {
    /// Makes a draft without a body.
    pub fn new(method: Method, path: impl Into<Cow<'static, str>>, auth: Auth) -> Self {
        Self { method, path: path.into(), body: None, auth, named: false, is_any_type: false }
    }

    /// Adds the header `X-Workspace-ID`, which says which workspace asks.
    #[must_use]
    pub fn named(mut self) -> Self {
        self.named = true;
        self
    }

    /// Sets a body that is already JSON.
    pub(crate) fn body(mut self, json: Bytes) -> Self {
        self.body = Some(json);
        self
    }

    /// Accepts an answer of any media type.
    #[must_use]
    pub fn any_type(mut self) -> Self {
        self.is_any_type = true;
        self
    }

    /// Sets a body and serializes it as JSON.
    ///
    /// # Errors
    /// `Config` if the value cannot be JSON (a number that is not finite, a key that is not text).
    pub fn json(mut self, body: &impl serde::Serialize) -> Result<Self> {
        let mut bytes = Vec::with_capacity(BODY);
        serde_json::to_writer(&mut bytes, body)
            .map_err(|_| Error::config("the request's body is not JSON", "use text keys and finite numbers"))?;
        self.body = Some(bytes.into());
        Ok(self)
    }
}

impl Draft {
    pub(crate) fn auth(&self) -> &Auth {
        &self.auth
    }
}

impl fmt::Debug for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.body.as_ref().map_or(0, Bytes::len);
        write!(f, "Draft({} {}, {bytes} bytes, {:?})", self.method, ShownUrl(&self.path), self.auth)
    }
}
