//! What can be seen of a world while it turns: all that invariants judge by.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use molecule_core::Event;
use molecule_core::effect::{EffectId, FaultKind, HostOp, HostResult, Outcome, Sent};
use molecule_core::machine::{Now, StopLevel};
use molecule_platform::Platform;
use molecule_proto::{Time, WorkspaceId};

use crate::agent::Agent;
use crate::job::{Ending, JobKind};
use crate::peers::{Peers, Reached};
use crate::scenario::ScenarioAction;
use crate::weather::{Gust, Route};

/// One thing that happened, to whom and when, and the world as it is then.
pub struct Sight<'a> {
    /// The world's clock.
    pub at: Time,
    /// Whom it is about.
    pub who: Who,
    /// The clocks of that agent's computer.
    pub clock: Now,
    /// What happened.
    pub seen: TraceEvent<'a>,
    /// The world around.
    pub facts: Facts<'a>,
    /// How many peers the process remembers.
    pub remembered: usize,
}

/// An agent, one of its processes, and a machine of that process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Who {
    /// The agent's place in the scenario, its kinds counted out.
    pub agent: usize,
    /// The process, counted over all agents.
    pub process: usize,
    /// The machine, counted within its process.
    pub job: u32,
    /// Which machine it is.
    pub kind: JobKind,
}

/// The truth, which no agent sees.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// The other side.
    pub platform: &'a Platform,
    /// The agents' computers and programs.
    pub agents: &'a [Agent],
    /// The agents' own servers.
    pub peers: &'a Peers,
    /// Whether the weather is fair and the database up.
    pub fair: bool,
}

/// Something that happened.
pub enum TraceEvent<'a> {
    /// A machine begins.
    Began,
    /// It asks for a request.
    Asked(&'a RequestRecord),
    /// It asks for an act of the host.
    HostAsked(EffectId, &'a HostOp),
    /// It cancels an effect.
    Cancelled(EffectId),
    /// The server answers a request.
    Answered(&'a RequestRecord, StatusCode, Option<&'a str>),
    /// A message comes to an agent's server; of the one who sent it, where that is known.
    Reached(&'a Reached),
    /// An outcome is handed over.
    Landed(&'a Landing, Taken),
    /// It tells the application something.
    Told(&'a Event),
    /// It rests.
    Rested {
        /// Steps since the last input.
        steps: usize,
        /// When it wants to be polled again.
        wake: Option<Time>,
        /// Its effects under way.
        in_flight: usize,
        /// Whether it waits for a turn that nobody has.
        in_vain: bool,
    },
    /// It gave more steps than the protocol allows.
    Raced,
    /// It ends.
    Ended(&'a Ending),
    /// The stop latch of its session was raised to this.
    Stopping(StopLevel),
    /// Its caller is gone.
    GivenUp,
    /// It is gone half-way.
    Dropped,
    /// The process is gone, by a crash or by its end.
    Died {
        /// With the power.
        power: bool,
    },
    /// What the session and all machines of a process print.
    Printed(&'a str),
    /// Somebody wants the program to stop.
    StopRaised,
    /// A scenario's act.
    Acted(&'a ScenarioAction),
    /// The owner or somebody else put a token into the store.
    Handed(&'a str),
    /// Everything is well again and stays so.
    Finale,
    /// Time passed.
    Tick,
    /// All is over: nothing is under way any more.
    Over,
}

/// A request that a machine asked for.
#[derive(Debug, Clone)]
pub struct RequestRecord {
    /// Its effect.
    pub id: EffectId,
    /// Where it goes; `None` for what no machine should ask for.
    pub route: Option<Route>,
    /// Scheme and authority.
    pub origin: String,
    /// The credential that it carries.
    pub bearer: Option<String>,
    /// What its `Debug` prints.
    pub printed: String,
    /// What it meets.
    pub gust: Option<Gust>,
    /// How long ago the connection was heard that it goes onto, if that is a kept one whose other end is gone.
    pub dead: Option<Duration>,
    /// What it says to a peer or about one.
    pub about: Option<Rc<About>>,
}

/// What a request says to a peer or about one.
#[derive(Debug)]
pub struct About {
    /// The peer, as the path or the body names it.
    pub target: Option<WorkspaceId>,
    /// The id of the message in it.
    pub message: Option<String>,
    /// The key and the task of a delegation.
    pub delegation: Option<(String, String)>,
    /// All of it.
    pub request: Request<Bytes>,
}

/// What became of an effect.
pub struct Landing {
    /// The effect.
    pub id: EffectId,
    /// The request, if it was one.
    pub ask: Option<RequestRecord>,
    /// The answer's status, also of one whose body passes the cap.
    pub status: Option<StatusCode>,
    /// The fault.
    pub fault: Option<(Sent, FaultKind)>,
    /// Whether the answer says by a code of its own that the platform did nothing.
    pub unavailable: bool,
    /// How long the answer asks to wait, on the agent's calendar, within 1 to 60 s.
    pub wait: Option<Duration>,
    /// What the answer says of the server's rate limit: requests left of how many, and seconds until it refills.
    pub left: Option<(u32, u32, u32)>,
    /// A token that the answer brings.
    pub token: Option<String>,
    /// Whether it is the lock.
    pub locked: bool,
    /// What the answer says of the workspace.
    pub says: Option<Says>,
    /// What the answer says of peers: where each is called, if anywhere.
    pub peers: Vec<(WorkspaceId, Option<String>)>,
    /// The text of its `error`.
    pub error: Option<String>,
    /// What its `Debug` prints.
    pub printed: String,
}

/// What an answer says of a workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Says {
    /// It is paused.
    Paused,
    /// It is there and not paused.
    Present,
    /// It was deleted, or there is none.
    Gone,
}

/// Who took an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// The machine.
    Yes,
    /// The machine gave it back, and the driver disposed of it.
    GivenBack,
    /// The machine was done, and the driver disposed of it.
    TooLate,
}

impl Landing {
    /// Whether the lane of this request is well: an answer that means what was asked for.
    pub fn is_good(&self) -> bool {
        let is_success = self.status.is_some_and(|status| status.is_success());
        (is_success && self.fault.is_none()) || self.says == Some(Says::Gone)
    }

    /// Whether its status and its rate limit are the platform's word about this agent: an answer to a message may be the
    /// peer's own, and the platform's is known by its words.
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
            wait: None,
            left: None,
            token: None,
            says: None,
            peers: Vec::new(),
            error: None,
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
            Outcome::Host(_) | Outcome::Staged(..) | Outcome::Progress(_) | Outcome::Decoded(_) => {}
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
            Self::Cancelled(id) => write!(f, "cancels {}", id.0),
            Self::Answered(ask, status, token) => {
                let minted = if token.is_some() { ", with a token" } else { "" };
                write!(f, "the server answers {} with {status}{minted}", ask.id.0)
            }
            Self::Reached(reached) => {
                let what = if reached.handled { "handles" } else { "turns away" };
                write!(f, "agent {} {what} message {} ({:?})", reached.target, reached.message, reached.by)
            }
            Self::Landed(landing, Taken::Yes) => write!(f, "gets {} {}", landing.id.0, landing.printed),
            Self::Landed(landing, taken) => write!(f, "gets {} {}: {taken:?}", landing.id.0, landing.printed),
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
            Self::Tick => f.write_str("tick"),
            Self::Over => f.write_str("OVER"),
        }
    }
}

pub(crate) fn seconds(at: Time) -> f64 {
    Duration::from_nanos(at.as_nanos()).as_secs_f64()
}
