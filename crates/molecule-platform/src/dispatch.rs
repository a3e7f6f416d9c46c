//! The errors of a call to an agent.

use std::net::SocketAddr;

use http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::wire;

/// Why a call to an agent brought no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DispatchFault {
    /// The host name in the URL has no address.
    Resolve,
    /// Nobody listens at the address. The value is the address that was tried, if there is one.
    Connect(Option<SocketAddr>),
    /// The TLS handshake failed, or the driver speaks no TLS.
    Tls,
    /// The connection was closed before an answer came. The agent may have received the request.
    Closed,
    /// The body of the answer was cut off. The value is the answer's status.
    Cut(#[serde(with = "wire::status")] StatusCode),
    /// The agent's answer is not HTTP.
    Protocol,
}

impl DispatchFault {
    /// The error text of the server's HTTP client.
    pub(crate) fn detail(self, host: &str) -> String {
        match self {
            Self::Resolve => format!("dial tcp: lookup {host}: no such host"),
            Self::Connect(Some(address)) => format!("dial tcp {address}: connect: connection refused"),
            Self::Connect(None) => "dial tcp: connect: connection refused".to_owned(),
            Self::Tls => "tls: handshake failure".to_owned(),
            Self::Closed => "EOF".to_owned(),
            Self::Cut(_) => "unexpected EOF".to_owned(),
            Self::Protocol => "net/http: HTTP/1.x transport connection broken: malformed HTTP response".to_owned(),
        }
    }
}
