//! The options of the inbox.

use std::time::Duration;

use crate::error::{Error, Result};

/// The options of an agent that receives messages.
///
/// ```
/// use std::time::Duration;
/// use molecule_core::{Backlog, InboxOptions};
/// let options = InboxOptions::new().concurrency(8).backlog(Backlog::Since(Duration::from_secs(3600)));
/// assert_eq!(options.attempts, 3);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct InboxOptions {
    /// Which messages from before its first start an agent gets; by default those of the last 24 h.
    pub backlog: Backlog,
    /// The most handlers that run at the same time, 1 to 1,024; 4 by default. There is at most one for each
    /// conversation.
    pub concurrency: usize,
    /// How often a message is offered to the handler before it is a dead letter, 1 to 100; 3 by default.
    pub attempts: u32,
    /// How long a stop waits for handlers that run, and for replies that can be sent; at most 1 h, 30 s by default.
    /// Heartbeats go on meanwhile.
    pub drain: Duration,
    /// The time between two reads of the feed without an event stream, 0.1 s to 1 h; 5 s by default.
    pub poll: Duration,
    /// The time between two reads of the feed while the event stream is open, from [`poll`](Self::poll) to 1 h; 60 s by
    /// default.
    pub idle_poll: Duration,
    /// Whether the event stream is used where the server has it; yes by default.
    pub watch: bool,
    /// How far the cursor stays behind the newest row, by the rows' own times, 1 s to 1 h; 35 s by default (contract
    /// section 12.1).
    ///
    /// The server shows rows out of order, each up to 30 s after its time. With a shorter trail a message may be missed
    /// that the server shows later than that. Messages are handled at once, whatever the trail is.
    pub trail: Duration,
    /// Whether a reply is on the disk, and not only written, before it is sent; yes by default. Without it a power cut
    /// may lose what a handler answered, and the message is handled again; an end of the process loses nothing.
    pub durable: bool,
    /// Whether the handler only hands messages on, to a person or to another program, and returns once each is done
    /// there; no by default.
    ///
    /// Such messages are all offered, in the order of the feed and up to [`concurrency`](Self::concurrency), also those
    /// of one sender. One that is with the handler when the process ends, in whatever way, is offered again at the next
    /// start; it is no dead letter, however often that happens. A stop does not wait for handlers, and they do not count as work of the
    /// agent. `Event::MessageDone` says when a message's end is saved.
    pub hand_over: bool,
}

/// Which messages from before its first start an agent gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Backlog {
    /// None.
    FromNow,
    /// Those that were written within this time before the start, by the server's clock; at most 30 days.
    Since(Duration),
    /// All that the server still has.
    All,
}

/// The oldest rows that the server has.
pub(crate) const OLDEST: Duration = Duration::from_secs(30 * 24 * 3600);

impl Default for InboxOptions {
    fn default() -> Self {
        Self {
            backlog: Backlog::Since(Duration::from_secs(24 * 3600)),
            concurrency: 4,
            attempts: 3,
            drain: Duration::from_secs(30),
            poll: Duration::from_secs(5),
            idle_poll: Duration::from_secs(60),
            watch: true,
            trail: Duration::from_secs(35),
            durable: true,
            hand_over: false,
        }
    }
}

impl InboxOptions {
    /// Returns the defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets which messages from before its first start the agent gets.
    #[must_use]
    pub fn backlog(mut self, backlog: Backlog) -> Self {
        self.backlog = backlog;
        self
    }

    /// Sets the most handlers that run at the same time.
    #[must_use]
    pub fn concurrency(mut self, handlers: usize) -> Self {
        self.concurrency = handlers;
        self
    }

    /// Sets how often a message is offered to the handler before it is a dead letter.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// Sets how long a stop waits for handlers that run.
    #[must_use]
    pub fn drain(mut self, limit: Duration) -> Self {
        self.drain = limit;
        self
    }

    /// Sets the time between two reads of the feed without an event stream.
    #[must_use]
    pub fn poll(mut self, interval: Duration) -> Self {
        self.poll = interval;
        self
    }

    /// Sets the time between two reads of the feed while the event stream is open.
    #[must_use]
    pub fn idle_poll(mut self, interval: Duration) -> Self {
        self.idle_poll = interval;
        self
    }

    /// Sets whether the event stream is used where the server has it.
    #[must_use]
    pub fn watch(mut self, watch: bool) -> Self {
        self.watch = watch;
        self
    }

    /// Sets how far the cursor stays behind the newest row.
    #[must_use]
    pub fn trail(mut self, trail: Duration) -> Self {
        self.trail = trail;
        self
    }

    /// Sets whether a reply is on the disk before it is sent.
    #[must_use]
    pub fn durable(mut self, durable: bool) -> Self {
        self.durable = durable;
        self
    }

    /// Sets whether the handler only hands messages on.
    #[must_use]
    pub fn hand_over(mut self, hand_over: bool) -> Self {
        self.hand_over = hand_over;
        self
    }

    /// Checks the values.
    ///
    /// # Errors
    /// `Config` for a value out of its range, with the range.
    pub fn check(&self) -> Result<()> {
        let secs = Duration::from_secs;
        within("the number of handlers", self.concurrency, 1, 1024)?;
        within("the number of attempts", self.attempts, 1, 100)?;
        within_time("the limit of the drain", self.drain, Duration::ZERO, secs(3600))?;
        within_time("the interval of reading the feed", self.poll, Duration::from_millis(100), secs(3600))?;
        within_time("the interval of reading the feed beside an event stream", self.idle_poll, self.poll, secs(3600))?;
        within_time("the trail of the cursor", self.trail, secs(1), secs(3600))?;
        match self.backlog {
            Backlog::Since(age) => within_time("the age of the backlog", age, secs(1), OLDEST),
            Backlog::FromNow | Backlog::All => Ok(()),
        }
    }
}

pub(super) fn within<N: PartialOrd + std::fmt::Display>(what: &str, value: N, least: N, most: N) -> Result<()> {
    if value < least || value > most {
        return Err(Error::config(format!("{what} is {value}"), format!("set it to {least} to {most}")));
    }
    Ok(())
}

pub(super) fn within_time(what: &str, value: Duration, least: Duration, most: Duration) -> Result<()> {
    if value < least || value > most {
        let cause = format!("{what} is {} s", value.as_secs_f64());
        let remedy = format!("set it to {} to {} s", least.as_secs_f64(), most.as_secs_f64());
        return Err(Error::config(cause, remedy));
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn each_value_has_a_range_which_its_error_names() {
        let secs = Duration::from_secs;
        let options = InboxOptions::new;
        options().check().unwrap();
        options().backlog(Backlog::Since(OLDEST)).check().unwrap();
        options().drain(Duration::ZERO).check().unwrap();
        for (options, sentence) in [
            (options().concurrency(0), "the number of handlers is 0; set it to 1 to 1024"),
            (options().attempts(0), "the number of attempts is 0; set it to 1 to 100"),
            (options().drain(secs(3601)), "the limit of the drain is 3601 s; set it to 0 to 3600 s"),
            (options().poll(Duration::ZERO), "the interval of reading the feed is 0 s; set it to 0.1 to 3600 s"),
            (
                options().idle_poll(secs(4)),
                "the interval of reading the feed beside an event stream is 4 s; set it to 5 to 3600 s",
            ),
            (options().trail(secs(0)), "the trail of the cursor is 0 s; set it to 1 to 3600 s"),
            (
                options().backlog(Backlog::Since(OLDEST + secs(1))),
                "the age of the backlog is 2592001 s; set it to 1 to 2592000 s",
            ),
        ] {
            let error = options.check().unwrap_err().to_string();
            assert!(error.ends_with(sentence), "{error}");
        }
    }
}
