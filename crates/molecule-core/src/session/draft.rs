//! A request before it is bound to the platform.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use http::Method;
use molecule_proto::Token;

use crate::error::{Error, Result};
use crate::printable::ShownUrl;

/// Which credential a request carries.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Auth {
    /// None: open endpoints.
    Open,
    /// The workspace's bearer, if one is held.
    Bearer,
    /// An administrator's credential, given for this call.
    Admin(Token),
}

/// The most bytes of a body that a request usually has.
const BODY: usize = 256;

/// A request before it is bound to the platform: what an endpoint asks for.
///
/// `Debug` shows method, path without its query, and length, never the body.
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
    /// A request without a body.
    pub fn new(method: Method, path: impl Into<Cow<'static, str>>, auth: Auth) -> Self {
        Self { method, path: path.into(), body: None, auth, named: false, is_any_type: false }
    }

    /// The same, saying which workspace asks: `X-Workspace-ID`.
    #[must_use]
    pub fn named(mut self) -> Self {
        self.named = true;
        self
    }

    /// The same with a body that is JSON already.
    pub(crate) fn body(mut self, json: Bytes) -> Self {
        self.body = Some(json);
        self
    }

    /// The same, taking an answer of any type.
    #[must_use]
    pub fn any_type(mut self) -> Self {
        self.is_any_type = true;
        self
    }

    /// The same with a JSON body.
    ///
    /// # Errors
    /// `Config` if the value is not JSON (a number that is not finite, a key that is no text).
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
