//! The body of a request, within its limits.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use molecule_core::machines::Refusal;
use tokio::time::{Instant, timeout_at};

use crate::ServerLimits;
use crate::budget::{Budget, Taken};
use crate::head::bad;

/// The body of a request while it arrives.
pub(crate) struct Pieces {
    body: Incoming,
    /// The most bytes of all.
    most: u64,
    gap: Duration,
    end: Instant,
    received: u64,
}

impl Pieces {
    /// The body of a call.
    ///
    /// # Errors
    /// If its stated length is above the limit.
    pub(crate) fn of_call(body: Incoming, limits: &ServerLimits) -> Result<Self, Refusal> {
        Self::new(body, limits.body_bytes as u64, limits.body_gap, limits.body_time)
    }

    /// The body of a form with files.
    ///
    /// # Errors
    /// If its stated length is above the limit.
    pub(crate) fn of_form(body: Incoming, limits: &ServerLimits) -> Result<Self, Refusal> {
        Self::new(body, limits.upload_bytes as u64, limits.body_gap, limits.upload_time)
    }

    fn new(body: Incoming, most: u64, gap: Duration, time: Duration) -> Result<Self, Refusal> {
        if body.size_hint().lower() > most {
            return Err(Refusal::BODY_TOO_LARGE);
        }
        Ok(Self { body, most, gap, end: Instant::now() + time, received: 0 })
    }

    /// The next bytes; `None` after the last ones.
    ///
    /// # Errors
    /// If they come too late, are too many, or never come.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        loop {
            let end = self.end.min(Instant::now() + self.gap);
            let frame = match timeout_at(end, self.body.frame()).await {
                Err(_) => return Err(TOO_SLOW),
                Ok(None) => return Ok(None),
                Ok(Some(Err(_))) => return Err(bad("the body is cut, or no chunks")),
                Ok(Some(Ok(frame))) => frame,
            };
            // Trailers are refused before hyper sees them.
            let Ok(bytes) = frame.into_data() else { continue };
            self.received += bytes.len() as u64;
            if self.received > self.most {
                return Err(Refusal::BODY_TOO_LARGE);
            }
            if !bytes.is_empty() {
                return Ok(Some(bytes));
            }
        }
    }

    /// Reads the whole body. Its memory is taken while it arrives, and belongs to the caller then.
    ///
    /// # Errors
    /// Those of [`next`](Self::next), and if there is no memory in time.
    pub(crate) async fn whole(mut self, budget: &Budget) -> Result<(Bytes, Taken), Refusal> {
        let mut taken = Taken::default();
        let mut first = Bytes::new();
        let mut all = BytesMut::new();
        while let Some(piece) = self.next().await? {
            let length = first.len() + all.len() + piece.len();
            let end = self.end.min(Instant::now() + self.gap);
            timeout_at(end, budget.grow(&mut taken, length)).await.map_err(|_| NO_ROOM)?;
            // A body in one piece is not copied.
            if all.is_empty() && first.is_empty() {
                first = piece;
                continue;
            }
            if all.is_empty() {
                all.extend_from_slice(&std::mem::take(&mut first));
            }
            all.extend_from_slice(&piece);
        }
        Ok((if all.is_empty() { first } else { all.freeze() }, taken))
    }
}

const TOO_SLOW: Refusal = Refusal::new(StatusCode::REQUEST_TIMEOUT, "the body of the request came too slowly");
const NO_ROOM: Refusal = Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "the agent is busy; send the request again");
