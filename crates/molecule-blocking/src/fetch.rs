//! Streams the body of an answer to its destination, with constant memory.

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use molecule_core::effect::{Dest, Fault, Limits, Outcome};
use molecule_core::unpack::Progress;
use molecule_host::Host;

use crate::http::Client;

impl Client {
    /// Streams the body of an answer to its destination. Outside semver: for tests of drivers.
    #[doc(hidden)]
    pub fn fetch(&self, host: &Host, request: Request<Bytes>, limits: Limits, dest: Dest) -> Result<Outcome, Fault> {
        fetch(self, host, (request, limits, dest), |_| {})
    }
}

/// Sends the request and streams the body of a 200 to its destination. A body that is cut short leaves nothing there.
pub(crate) fn fetch(
    client: &Client,
    host: &Host,
    (request, limits, dest): (Request<Bytes>, Limits, Dest),
    mut tell: impl FnMut(Progress),
) -> Result<Outcome, Fault> {
    let answer = client.open(request, limits)?;
    if answer.head().status() != StatusCode::OK {
        return answer.whole(limits).map(Outcome::Response);
    }
    let mut head = Response::new(());
    *head.headers_mut() = answer.head().headers().clone();
    let mut receiving = host.receive(dest, head)?;
    answer.flow(|piece| {
        tell(receiving.push(piece)?);
        Ok(())
    })?;
    receiving.finish()
}
