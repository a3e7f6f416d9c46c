//! The body of a request, within its limits.

use std::future::poll_fn;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use molecule_core::machines::Refusal;
use tokio::time::Instant;

use crate::ServerLimits;
use crate::alarm::{Alarm, after};
use crate::budget::{Budget, Taken};
use crate::head::Framing;
use crate::wire::Wire;

/// The body of a request while it arrives.
pub(crate) struct Pieces<'c> {
    wire: &'c mut Wire,
    alarm: &'c mut Alarm,
    /// The most bytes of all.
    most: u64,
    gap: Duration,
    time: Duration,
    /// The end of `time`, which begins with the first wait.
    end: Option<Instant>,
    received: u64,
}

impl<'c> Pieces<'c> {
    /// The body of a call.
    ///
    /// # Errors
    /// If its stated length is above the limit.
    pub(crate) fn of_call(
        wire: &'c mut Wire,
        alarm: &'c mut Alarm,
        framing: Framing,
        limits: &ServerLimits,
    ) -> Result<Self, Refusal> {
        Self::new(wire, alarm, framing, limits.body_bytes as u64, (limits.body_gap, limits.body_time))
    }

    /// The body of a form with files.
    ///
    /// # Errors
    /// If its stated length is above the limit.
    pub(crate) fn of_form(
        wire: &'c mut Wire,
        alarm: &'c mut Alarm,
        framing: Framing,
        limits: &ServerLimits,
    ) -> Result<Self, Refusal> {
        Self::new(wire, alarm, framing, limits.upload_bytes as u64, (limits.body_gap, limits.upload_time))
    }

    fn new(
        wire: &'c mut Wire,
        alarm: &'c mut Alarm,
        framing: Framing,
        most: u64,
        (gap, time): (Duration, Duration),
    ) -> Result<Self, Refusal> {
        match framing {
            Framing::Length(length) if length > most => Err(Refusal::BODY_TOO_LARGE),
            Framing::Length(_) | Framing::Chunked => Ok(Self { wire, alarm, most, gap, time, end: None, received: 0 }),
        }
    }

    /// The next bytes; `None` after the last ones.
    ///
    /// # Errors
    /// If they come too late, are too many, or never come.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        let Self { wire, alarm, gap, time, end, .. } = self;
        let piece = alarm.until(due(*gap, *time, end), poll_fn(|cx| wire.poll_piece(cx)));
        let piece = piece.await.unwrap_or(Err(TOO_SLOW))?;
        self.received += piece.as_ref().map_or(0, |bytes| bytes.len() as u64);
        if self.received > self.most {
            return Err(Refusal::BODY_TOO_LARGE);
        }
        Ok(piece)
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
            let Self { alarm, gap, time, end, .. } = &mut self;
            alarm.until(due(*gap, *time, end), budget.grow(&mut taken, length)).await.ok_or(NO_ROOM)?;
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

/// When a wait for a piece ends.
fn due(gap: Duration, time: Duration, end: &mut Option<Instant>) -> impl FnOnce(Instant) -> Instant {
    move |now| after(now, gap).min(*end.get_or_insert(after(now, time)))
}

const TOO_SLOW: Refusal = Refusal::new(StatusCode::REQUEST_TIMEOUT, "the body of the request came too slowly");
const NO_ROOM: Refusal = Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "the agent is busy; send the request again");
