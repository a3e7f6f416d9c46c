//! The log of the requests that a server received.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use molecule_proto::Now;

/// The number of requests that are always stored. Twice as many may be stored for a while.
const STORED: usize = 4096;

/// A request as it was received.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Seen {
    /// Its index in the order of arrival, from 0.
    pub number: u64,
    /// The time at which its body was complete.
    pub at: Now,
    /// The address of the client: requests on the same connection have the same port.
    pub peer: SocketAddr,
    /// Its method.
    pub method: Method,
    /// Its path, without the query.
    pub path: String,
    /// Its query, without the question mark.
    pub query: Option<String>,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// The status of its answer; `None` if it has no answer, or not yet.
    pub status: Option<StatusCode>,
}

/// The last requests, oldest first.
#[derive(Debug, Default)]
pub(super) struct Log {
    seen: Vec<Seen>,
    next: u64,
}

impl Log {
    pub(super) fn seen(&self) -> &[Seen] {
        &self.seen
    }

    /// Stores a request, and returns its number.
    pub(super) fn add(&mut self, at: Now, peer: SocketAddr, request: &http::Request<Bytes>) -> u64 {
        if self.seen.len() >= 2 * STORED {
            self.seen.drain(..STORED);
        }
        let number = self.next;
        self.next += 1;
        self.seen.push(Seen {
            number,
            at,
            peer,
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            query: request.uri().query().map(str::to_owned),
            headers: request.headers().clone(),
            body: request.body().clone(),
            status: None,
        });
        number
    }

    pub(super) fn answered(&mut self, number: u64, status: StatusCode) {
        let position = self.seen.binary_search_by_key(&number, |seen| seen.number);
        if let Some(seen) = position.ok().and_then(|position| self.seen.get_mut(position)) {
            seen.status = Some(status);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_requests_are_forgotten() {
        let mut log = Log::default();
        let request = http::Request::new(Bytes::new());
        let peer = ([127, 0, 0, 1], 1).into();
        let last = (0..3 * STORED).map(|_| log.add(Now::default(), peer, &request)).last().unwrap();
        assert!((STORED..=2 * STORED).contains(&log.seen().len()));
        log.answered(0, StatusCode::OK);
        log.answered(last, StatusCode::OK);
        assert_eq!(log.seen().last().unwrap().status, Some(StatusCode::OK));
        assert!(log.seen().iter().rev().skip(1).all(|seen| seen.status.is_none()));
    }
}
