//! A loop that receives messages, with its agent and its platform.

use std::time::Duration;

use molecule_core::effect::{Handle, Handled, Outcome};
use molecule_core::machines::Run;
use molecule_core::{Ended, Event, InboundMessage, InboxOptions, Options, Result};

use super::agent::{Agent, Offer, secret};
use super::answer::Reply;
use super::drive::{Driven, Next};
use super::platform::{NOTIFY, Platform};

/// A running loop with a handler.
pub struct Received {
    pub agent: Agent,
    pub platform: Platform,
    pub driven: Driven<Run>,
    inbox: InboxOptions,
}

impl Received {
    /// The loop of an agent with a live stored token and these options.
    pub fn with(inbox: InboxOptions, platform: Platform) -> Self {
        Self::of(Agent::options(), inbox, platform)
    }

    pub fn of(options: Options, inbox: InboxOptions, platform: Platform) -> Self {
        let mut agent = Agent::with(options.inbox(inbox.clone()), 7);
        agent.store.token = Some(secret("first"));
        Self { agent, platform, driven: Driven::new(Run::with_inbox()), inbox }
    }

    /// The same loop with the usual options, on the current server.
    pub fn usual() -> Self {
        Self::with(InboxOptions::new(), Platform::current())
    }

    /// What the handler does with each message from now on.
    pub fn handler(&mut self, handler: impl FnMut(&InboundMessage) -> Reply + 'static) {
        self.agent.handler = Box::new(handler);
    }

    /// Lets this time pass. Returns whether the loop goes on.
    pub fn go(&mut self, time: Duration) -> bool {
        let Self { agent, platform, driven, .. } = self;
        let end = driven.drive_for(agent, time, &mut |seen| platform.serve(seen));
        matches!(end, Next::Later)
    }

    /// Asserts that the loop still runs after this time.
    pub fn on(&mut self, time: Duration) {
        assert!(self.go(time), "ended: {:?}\n{}", self.driven.done, self.agent.take_trace());
    }

    /// The loop's result. Panics if the loop does not end within an hour.
    pub fn end(&mut self) -> Result<Ended> {
        assert!(!self.go(Duration::from_secs(3600)), "no end:\n{}", self.agent.take_trace());
        self.driven.done.take().unwrap()
    }

    /// Raises the session's stop latch, and returns how long the loop takes to end.
    pub fn stopped_within(&mut self) -> Duration {
        self.agent.session.raise_stop(false);
        let from = self.agent.now.mono;
        assert_eq!(self.end().unwrap(), Ended::Stopped);
        self.agent.since(from)
    }

    /// Another process of the same agent, which begins with nothing but the store.
    pub fn restarted(self) -> Self {
        let Self { agent, platform, inbox, .. } = self;
        let mut next = Self::with(inbox, platform);
        (next.agent.store, next.agent.now) = (agent.store, agent.now);
        next.agent.store.locked = None;
        next
    }

    /// Adds a message of the user that was written now. Returns its row.
    pub fn user(&mut self, text: &str) -> String {
        self.platform.feed.user(self.agent.now.unix, text)
    }

    /// The messages that were offered to the handler since the last call, in order.
    pub fn offers(&mut self) -> Vec<Offer> {
        std::mem::take(&mut self.agent.offers)
    }

    /// The texts of these messages.
    pub fn texts(&mut self) -> Vec<String> {
        self.offers().into_iter().map(|offer| offer.text).collect()
    }

    /// The texts of the notices that were sent to the user, in order.
    pub fn notices(&self) -> Vec<String> {
        let notices = self.platform.seen.iter().filter(|seen| seen.is(NOTIFY));
        notices.map(|seen| seen.body["message"].as_str().unwrap().to_owned()).collect()
    }

    /// The events since the last call.
    pub fn events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.driven.events)
    }
}

/// The outcome of a handler that replies with this text.
pub fn replied(text: &str) -> Outcome {
    Outcome::Handled(Handled::Reply(Some(text.into())))
}

/// The outcome of a handler that has nothing to say.
pub fn silent() -> Outcome {
    Outcome::Handled(Handled::Reply(None))
}

/// The outcome of a handler that fails.
pub fn failed(why: &str) -> Outcome {
    Handle::returned(Err(why.to_owned()))
}
