//! The backoff of what the inbox asks for: a part of the invariant of budget and backoff.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use molecule_core::effect::{EffectId, FaultKind};
use molecule_proto::{ActivityId, Time};

use super::is_dead;
use super::messages::Answer;
use crate::job::JobKind;
use crate::trace::{OutcomeRecord, RequestRecord, Sight, Taken, TraceEvent, Who};
use crate::weather::{Gust, Route};

/// The waits of a loop's inbox, on the agent's clock.
#[derive(Debug, Default)]
pub(super) struct InboxBackoff {
    waits: BTreeMap<(Who, Asks), Wait>,
    /// The requests for the event stream.
    streams: BTreeMap<(Who, EffectId), ()>,
}

/// What waits by itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Asks {
    Read,
    Look,
    Ack,
    Stream,
    /// The reply to a message.
    Reply(ActivityId),
}

#[derive(Debug, Default)]
struct Wait {
    failures: u32,
    /// The earliest time of the next request.
    until: Time,
    /// The bearer of a request that was refused with 401, when that was, and how long the answer asked to wait.
    refused: Option<(Option<String>, Time, Option<Duration>)>,
    /// Answers in a row after which the same is asked in another way at once.
    eases: u32,
}

/// The time between two acknowledgements.
const ACK_EVERY: Duration = Duration::from_secs(60);

/// How long a server without the event stream is left alone.
const STREAM_LATER: Duration = Duration::from_secs(600);

/// The most pages in a row that are smaller, or begin at another row, because of the answer before.
const MOST_EASES: u32 = 12;

impl InboxBackoff {
    pub(super) fn see(&mut self, sight: &Sight<'_>) -> Result<(), String> {
        let (who, now) = (sight.who, sight.clock.mono);
        match &sight.seen {
            TraceEvent::Asked(ask) if who.kind == JobKind::Run => self.asked(who, now, ask)?,
            TraceEvent::Streamed(id, _, Taken::Yes) if self.streams.contains_key(&(who, *id)) => {
                self.waits.remove(&(who, Asks::Stream));
            }
            // The loop gives up a stream that is dead.
            TraceEvent::Cancelled(id) if self.streams.remove(&(who, *id)).is_some() => {
                self.waits.entry((who, Asks::Stream)).or_default().fail(now, None, Asks::Stream.longest());
            }
            TraceEvent::Landed(landing, Taken::Yes) if who.kind == JobKind::Run => self.landed(who, now, landing),
            TraceEvent::Ended(_) | TraceEvent::Dropped => self.forget(|of| of == who),
            seen if is_dead(seen) => self.forget(|of| of.process == who.process),
            _ => {}
        }
        Ok(())
    }

    fn asked(&mut self, who: Who, now: Time, ask: &RequestRecord) -> Result<(), String> {
        let Some(asks) = Asks::of(who, ask) else { return Ok(()) };
        if asks == Asks::Stream {
            self.streams.insert((who, ask.id), ());
        }
        let wait = self.waits.entry((who, asks.clone())).or_default();
        if let Some((bearer, at, asked)) = wait.refused.take() {
            // This is the same request with another bearer.
            if ask.bearer != bearer {
                return Ok(());
            }
            if asks != Asks::Ack {
                wait.fail(at, asked, asks.longest());
            }
        }
        if now < wait.until {
            let early = wait.until.since(now);
            return Err(format!("{asks} comes {early:?} early, after {} failures", wait.failures));
        }
        Ok(())
    }

    fn landed(&mut self, who: Who, now: Time, landing: &OutcomeRecord) {
        let Some(ask) = &landing.ask else { return };
        let Some(asks) = Asks::of(who, ask) else { return };
        self.streams.remove(&(who, landing.id));
        let status = landing.status.map(|status| status.as_u16());
        let longest = asks.longest();
        // Nor is the feed asked for a notice before the time that its answer named.
        if ask.route == Some(Route::Notify)
            && status != Some(429)
            && let Some(asked) = asked(landing)
        {
            let look = self.waits.entry((who, Asks::Look)).or_default();
            look.until = look.until.max(now + asked);
        }
        let wait = self.waits.entry((who, asks.clone())).or_default();
        if status == Some(401) {
            wait.refused = Some((ask.bearer.clone(), now, asked(landing)));
            if asks == Asks::Ack {
                wait.until = now + ACK_EVERY;
            }
            return;
        }
        // A stranger's 404 says nothing of the row.
        let is_strange = matches!(
            ask.gust,
            Some(Gust::Page { .. } | Gust::LongPage { .. } | Gust::Framework { .. } | Gust::Gateway { .. })
        );
        let is_gone = asks == Asks::Read && matches!(status, Some(404 | 410)) && !is_strange;
        let is_too_large = landing.fault.is_some_and(|(_, kind)| kind == FaultKind::TooLarge)
            && status.is_none_or(|status| status < 300)
            && matches!(asks, Asks::Read | Asks::Look);
        match asks {
            Asks::Ack => wait.until = now + ACK_EVERY,
            Asks::Stream if matches!(status, Some(404 | 405 | 501)) => wait.until = now + STREAM_LATER,
            // A stream that has ended was perhaps never one, and is opened again all the same.
            Asks::Stream => wait.fail(now, asked(landing), longest),
            _ if landing.is_good() => *wait = Wait::default(),
            // A row that is gone, or a page that is too large: the next page is another one.
            _ if (is_gone || is_too_large) && wait.eases < MOST_EASES => wait.eases += 1,
            Asks::Read | Asks::Look | Asks::Reply(_) => wait.fail(now, asked(landing), longest),
        }
    }

    fn forget(&mut self, of: impl Fn(Who) -> bool) {
        self.waits.retain(|(who, _), _| !of(*who));
        self.streams.retain(|(who, _), ()| !of(*who));
    }
}

/// The wait that the platform or a gateway asks for. A peer's own words are not the platform's.
fn asked(landing: &OutcomeRecord) -> Option<Duration> {
    let is_of_a_gateway = landing
        .ask
        .as_ref()
        .is_some_and(|ask| matches!(ask.gust, Some(Gust::TooMany(_) | Gust::Busy(_) | Gust::Gateway { .. })));
    landing.wait.filter(|_| landing.is_about_the_agent() || is_of_a_gateway)
}

impl Asks {
    fn of(who: Who, ask: &RequestRecord) -> Option<Self> {
        Some(match ask.route? {
            Route::Feed if ask.is_look => Self::Look,
            Route::Feed => Self::Read,
            Route::Ack => Self::Ack,
            Route::Events => Self::Stream,
            Route::A2a | Route::Notify => Self::Reply(Answer::of(who.kind, ask)?.row),
            _ => return None,
        })
    }

    /// The longest wait between two tries.
    fn longest(&self) -> Duration {
        Duration::from_secs(match self {
            Self::Read => 30,
            Self::Look | Self::Ack => 60,
            Self::Stream | Self::Reply(_) => 300,
        })
    }
}

impl fmt::Display for Asks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read => f.write_str("a read of the feed"),
            Self::Look => f.write_str("a look for a notice"),
            Self::Ack => f.write_str("an acknowledgement"),
            Self::Stream => f.write_str("the event stream"),
            Self::Reply(row) => write!(f, "the reply to {row}"),
        }
    }
}

impl Wait {
    /// Waits at least half of 1 s, doubled with each failure, or as long as was asked for.
    fn fail(&mut self, now: Time, asked: Option<Duration>, longest: Duration) {
        self.failures = self.failures.saturating_add(1);
        self.eases = 0;
        let doubled = Duration::from_secs(1 << (self.failures - 1).min(10));
        self.until = now + asked.unwrap_or(doubled.min(longest) / 2);
    }
}
