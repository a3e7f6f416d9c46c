//! Trace events: everything that invariants judge a run by.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use molecule_core::effect::{EffectId, FaultKind, Handled, HostOp, HostResult, Outcome, Sent};
use molecule_core::machine::{Now, StopLevel};
use molecule_core::{Event, InboundMessage};
use molecule_platform::Platform;
use molecule_proto::{Time, WorkspaceId};

use crate::agent::Agent;
use crate::job::{Ending, JobKind};
use crate::peers::{AgentServers, Reached};
use crate::scenario::ScenarioAction;
use crate::served::{Delivery, Reaction};
use crate::weather::{Gust, Route};

/// A trace event with its time, its machine, and the state of the world at that time.
pub struct Sight<'a> {
    /// The world's time.
    pub at: Time,
    /// The machine that it concerns.
    pub who: Who,
    /// The clocks of the agent's computer.
    pub clock: Now,
    /// The event.
    pub seen: TraceEvent<'a>,
    /// The state of the world.
    pub facts: Facts<'a>,
    /// The number of peers in the process's cache.
    pub remembered: usize,
}

/// A machine: its agent, its process, its number and its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Who {
    /// The index of the agent in the world.
    pub agent: usize,
    /// The number of the process, unique in the world.
    pub process: usize,
    /// The number of the machine, unique in its process.
    pub job: u32,
    /// The type of the machine.
    pub kind: JobKind,
}

/// The true state of the world, which no agent sees.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// The platform.
    pub platform: &'a Platform,
    /// The agents' computers and programs.
    pub agents: &'a [Agent],
    /// The agents' own A2A servers.
    pub peers: &'a AgentServers,
    /// Whether the network has no faults and the database is up.
    pub fair: bool,
    /// Whether the agents share a rate limit.
    pub is_limited: bool,
}

/// An event of a run.
pub enum TraceEvent<'a> {
    /// A machine begins.
    Began,
    /// The machine starts a request.
    Asked(&'a RequestRecord),
    /// The machine starts a host operation.
    HostAsked(EffectId, &'a HostOp),
    /// The machine offers a message to the application's handler.
    Offered(EffectId, &'a InboundMessage),
    /// A handler of the machine is about to return. The message says whether it was told to stop.
    HandlerEnds(EffectId, &'a InboundMessage),
    /// The machine cancels an effect.
    Cancelled(EffectId),
    /// The platform answers a request, perhaps with a token that it minted.
    Answered(&'a RequestRecord, StatusCode, Option<&'a str>),
    /// A request reaches an agent's own server, which is the machine.
    Delivered(&'a Delivery),
    /// The server answers the request, or closes its connection.
    Reacted(&'a Delivery, &'a Reaction),
    /// A message reaches an agent's server. The machine is the sender, where that is known.
    Reached(&'a Reached),
    /// An effect's outcome is fed to the machine.
    Landed(&'a OutcomeRecord, Taken),
    /// A piece of a stream, of this many bytes, is fed to the machine.
    Streamed(EffectId, usize, Taken),
    /// The machine emits an event to the application.
    Told(&'a Event),
    /// The machine is idle.
    Rested {
        /// Steps since the last input.
        steps: usize,
        /// The time of its next wake, on the agent's monotonic clock.
        wake: Option<Time>,
        /// The number of its effects in flight.
        in_flight: usize,
        /// Whether it waits for its turn to get a token while no machine has the turn.
        in_vain: bool,
    },
    /// The machine returned more steps without input than the protocol allows.
    Raced,
    /// The machine is done.
    Ended(&'a Ending),
    /// The stop latch of the machine's session was raised to this level.
    Stopping(StopLevel),
    /// The machine's caller gave up, and the machine was cancelled.
    GivenUp,
    /// The machine was dropped half-way.
    Dropped,
    /// The process ended or crashed.
    Died {
        /// Whether the power failed with it.
        power: bool,
    },
    /// The `Debug` output of the process's session and machines.
    Printed(&'a str),
    /// The application asked the program to stop.
    StopRaised,
    /// An action of the scenario.
    Acted(&'a ScenarioAction),
    /// The owner put a token into the store.
    Handed(&'a str),
    /// All faults ended for good.
    Finale,
    /// The agents had enough time since then; they are stopped next.
    Settled,
    /// Time passed; sent every 10 s.
    Tick,
    /// The world ended; nothing is in flight.
    Over,
}

/// A request that a machine started.
#[derive(Debug, Clone)]
pub struct RequestRecord {
    /// The effect.
    pub id: EffectId,
    /// The route; `None` for one that no machine may use.
    pub route: Option<Route>,
    /// The scheme and the authority of the URL.
    pub origin: String,
    /// The bearer token of its `Authorization` header.
    pub bearer: Option<String>,
    /// Whether it looks in the feed for a notice that may have arrived.
    pub is_look: bool,
    /// Its `Debug` output.
    pub printed: String,
    /// The network fault that it meets.
    pub gust: Option<Gust>,
    /// The idle time of its connection, if that is a pooled one whose other end is gone.
    pub dead: Option<Duration>,
    /// The part that concerns a peer.
    pub about: Option<Rc<About>>,
}

/// The part of a request that concerns a peer.
#[derive(Debug)]
pub struct About {
    /// The peer's id in the path or the body.
    pub target: Option<WorkspaceId>,
    /// The id of the message in it.
    pub message: Option<String>,
    /// The idempotency key and the task of a delegation.
    pub delegation: Option<(String, String)>,
    /// The complete request.
    pub request: Request<Bytes>,
}

/// The outcome of an effect.
pub struct OutcomeRecord {
    /// The effect.
    pub id: EffectId,
    /// The request, if the effect was one.
    pub ask: Option<RequestRecord>,
    /// The status of the answer, also of one whose body is above the size limit.
    pub status: Option<StatusCode>,
    /// The fault.
    pub fault: Option<(Sent, FaultKind)>,
    /// Whether the answer has the code `platform_unavailable`, by which the platform says that it did nothing.
    pub unavailable: bool,
    /// The wait that the answer asks for, by the agent's wall clock, limited to 1 to 60 s.
    pub wait: Option<Duration>,
    /// The answer's rate limit: requests left, requests per window, and seconds until the window refills.
    pub left: Option<(u32, u32, u32)>,
    /// The token in the answer.
    pub token: Option<String>,
    /// Whether the answer has an inbound secret.
    pub brings_secret: bool,
    /// Whether the outcome is the lock.
    pub locked: bool,
    /// The state of the workspace in the answer.
    pub says: Option<Says>,
    /// The peers in the answer, each with its URL if it has one.
    pub peers: Vec<(WorkspaceId, Option<String>)>,
    /// Whether it is the answer of the agent's own server to a check whether it is reachable.
    pub is_reached: bool,
    /// What a handler said that did not fail.
    pub said: Option<HandlerSaid>,
    /// The text of the answer's `error` field.
    pub error: Option<String>,
    /// Its `Debug` output.
    pub printed: String,
}

/// What a handler said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandlerSaid {
    /// A reply.
    Reply {
        /// Whether it may answer a reply.
        is_continued: bool,
    },
    /// There is nothing to say.
    Nothing,
    /// The reply follows later.
    Later,
}

/// The state of a workspace in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Says {
    /// It is paused.
    Paused,
    /// It exists and is not paused.
    Present,
    /// It was deleted or does not exist.
    Gone,
}

/// The receiver of an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// The machine.
    Yes,
    /// The machine gave it back, and the driver disposed of it.
    GivenBack,
    /// The machine was done, and the driver disposed of it.
    TooLate,
}

impl OutcomeRecord {
    /// Returns whether the request succeeded: the answer is a success, or says that the workspace is gone.
    pub fn is_good(&self) -> bool {
        let is_success = self.status.is_some_and(|status| status.is_success());
        (is_success && self.fault.is_none()) || self.says == Some(Says::Gone)
    }

    /// Returns whether the status and the rate limit are the platform's and concern this agent. The answer to a message
    /// may be the peer's own; the platform's errors are recognised by their texts.
    pub fn is_about_the_agent(&self) -> bool {
        let told = |text: &str| self.error.as_deref() == Some(text);
        match (self.ask.as_ref().and_then(|ask| ask.route), self.status.map(|status| status.as_u16())) {
            (Some(Route::Direct), _) => false,
            (Some(Route::A2a), Some(429)) => told("rate limit exceeded"),
            (Some(Route::A2a), Some(401)) => {
                told("missing caller auth token")
                    || told("invalid caller auth token")
                    || told("caller ID does not match workspace auth token")
            }
            (Some(Route::A2a), _) => false,
            _ => true,
        }
    }

    pub(crate) fn of(id: EffectId, ask: Option<RequestRecord>, outcome: &Outcome, clock: Now) -> Self {
        let mut landing = Self {
            id,
            ask,
            status: None,
            fault: None,
            unavailable: false,
            brings_secret: false,
            wait: None,
            left: None,
            token: None,
            says: None,
            peers: Vec::new(),
            error: None,
            said: None,
            is_reached: false,
            locked: matches!(outcome, Outcome::Host(HostResult::Locked(_))),
            printed: format!("{outcome:?}"),
        };
        match outcome {
            Outcome::Response(answer) => crate::read::answer(&mut landing, answer, clock),
            Outcome::Failed(fault) => {
                landing.fault = Some((fault.sent, fault.kind));
                if let Some(head) = &fault.head {
                    crate::read::head(&mut landing, head, None, clock);
                }
            }
            Outcome::Handled(handled) => {
                landing.said = Some(match handled {
                    Handled::Reply(Some(reply)) => HandlerSaid::Reply { is_continued: reply.is_continued() },
                    Handled::Reply(None) => HandlerSaid::Nothing,
                    Handled::Later => HandlerSaid::Later,
                });
            }
            Outcome::Host(_)
            | Outcome::Staged(..)
            | Outcome::Saved(_)
            | Outcome::Progress(_)
            | Outcome::Part(_)
            | Outcome::Decoded(_) => {}
        }
        landing
    }
}

impl fmt::Debug for TraceEvent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Began => f.write_str("begins"),
            Self::Asked(ask) => match &ask.gust {
                Some(gust) => write!(f, "asks {} {} into {gust:?}", ask.id.0, ask.printed),
                None => write!(f, "asks {} {}", ask.id.0, ask.printed),
            },
            Self::HostAsked(id, op) => write!(f, "asks {} {op:?}", id.0),
            Self::Offered(id, message) => {
                write!(
                    f,
                    "offers {} message {} of {}, attempt {}",
                    id.0,
                    message.id(),
                    message.sender(),
                    message.attempt()
                )
            }
            Self::HandlerEnds(id, message) => {
                let told = if message.is_cancelled() { ", told to stop" } else { "" };
                write!(f, "has handled {}{told}", id.0)
            }
            Self::Cancelled(id) => write!(f, "cancels {}", id.0),
            Self::Answered(ask, status, token) => {
                let minted = if token.is_some() { ", with a token" } else { "" };
                write!(f, "the server answers {} with {status}{minted}", ask.id.0)
            }
            Self::Delivered(delivery) => {
                write!(f, "is called{} with message {} ({:?})", delivery.path, delivery.message, delivery.by)
            }
            Self::Reacted(delivery, Reaction::Cuts) => write!(f, "cuts message {}", delivery.message),
            Self::Reacted(delivery, Reaction::Answers(status, body)) => {
                write!(f, "answers message {} with {status} {body}", delivery.message)
            }
            Self::Reached(reached) => {
                let what = if reached.handled { "handles" } else { "turns away" };
                write!(f, "agent {} {what} message {} ({:?})", reached.target, reached.message, reached.by)
            }
            Self::Landed(landing, Taken::Yes) => write!(f, "gets {} {}", landing.id.0, landing.printed),
            Self::Landed(landing, taken) => write!(f, "gets {} {}: {taken:?}", landing.id.0, landing.printed),
            Self::Streamed(id, length, Taken::Yes) => write!(f, "gets {} {length} bytes of a stream", id.0),
            Self::Streamed(id, length, taken) => write!(f, "gets {} {length} bytes of a stream: {taken:?}", id.0),
            Self::Told(event) => write!(f, "tells {event:?}"),
            Self::Rested { steps, wake, in_flight, in_vain } => {
                if *in_vain {
                    f.write_str("in vain ")?;
                }
                write!(f, "rests after {steps} steps, {in_flight} in flight")?;
                wake.map_or(Ok(()), |wake| write!(f, ", until {:.3}", seconds(wake)))
            }
            Self::Raced => f.write_str("gives too many steps"),
            Self::Ended(ending) => write!(f, "ends {ending:?}"),
            Self::Stopping(level) => write!(f, "is to stop: {level:?}"),
            Self::GivenUp => f.write_str("is given up"),
            Self::Dropped => f.write_str("is gone half-way"),
            Self::Died { power } => write!(f, "dies{}", if *power { " with the power" } else { "" }),
            Self::Printed(_) => f.write_str("prints"),
            Self::StopRaised => f.write_str("is to stop"),
            Self::Acted(act) => write!(f, "ACT {act:?}"),
            Self::Handed(_) => f.write_str("a token is handed over"),
            Self::Finale => f.write_str("FINALE"),
            Self::Settled => f.write_str("SETTLED"),
            Self::Tick => f.write_str("tick"),
            Self::Over => f.write_str("OVER"),
        }
    }
}

pub(crate) fn seconds(at: Time) -> f64 {
    Duration::from_nanos(at.as_nanos()).as_secs_f64()
}
