//! Everything that happens to a platform, as one kind of value: what a driver passes in, and what came of it.

use std::fmt;
use std::net::IpAddr;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use molecule_proto::{Now, TokenId, UnixTime, Wake};
use serde::{Deserialize, Serialize};

use crate::act::{Act, Acted};
use crate::answer::{Answer, DispatchId, Ticket, Turn};
use crate::dispatch::DispatchFault;
use crate::platform::Platform;
use crate::wire;

/// One thing that happens to a platform. The same configuration and the same inputs at the same times give the same
/// [`Step`]s, byte for byte.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Input {
    /// A request arrived: [`Platform::handle`].
    Request {
        /// The address of its sender, by which the rate limit counts.
        peer: Option<IpAddr>,
        /// The request with its whole body.
        #[serde(with = "wire::request")]
        request: Request<Bytes>,
    },
    /// The head of an agent's answer arrived: [`Platform::dispatch_head`].
    DispatchHead {
        /// The call.
        id: DispatchId,
        /// The status of the answer.
        #[serde(with = "wire::status")]
        status: StatusCode,
    },
    /// A call to an agent ended: [`Platform::dispatched`].
    Dispatched {
        /// The call.
        id: DispatchId,
        /// The agent's answer, or why there is none.
        #[serde(with = "wire::outcome")]
        outcome: Result<Response<Bytes>, DispatchFault>,
    },
    /// The client of an event stream closed its connection: [`Platform::close_stream`].
    CloseStream {
        /// The stream.
        ticket: Ticket,
    },
    /// An owner acted: [`Platform::act`].
    Act(Act),
    /// Requests authenticated with this token and changed nothing else: a record of them in place of the requests. It
    /// lets no time pass, and the platform is not polled.
    TokenUsed {
        /// The id of the token's row.
        row: TokenId,
        /// When the last one came.
        last: UnixTime,
    },
    /// Time passed and nothing else happened: [`Platform::poll`].
    Wake,
}

impl fmt::Debug for Input {
    /// Writes neither headers nor bodies: they may have credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request { request, .. } => write!(f, "Request({} {})", request.method(), request.uri().path()),
            Self::DispatchHead { id, status } => write!(f, "DispatchHead({}, {status})", id.0),
            Self::Dispatched { id, outcome: Ok(response) } => write!(f, "Dispatched({}, {})", id.0, response.status()),
            Self::Dispatched { id, outcome: Err(fault) } => write!(f, "Dispatched({}, {fault:?})", id.0),
            Self::CloseStream { ticket } => write!(f, "CloseStream({})", ticket.0),
            Self::Act(act) => act.fmt(f),
            Self::TokenUsed { row, .. } => write!(f, "TokenUsed({row})"),
            Self::Wake => f.write_str("Wake"),
        }
    }
}

/// What came of an [`Input`].
#[derive(Debug, Clone)]
#[must_use = "the turns must be executed, or agents and clients wait for ever"]
#[non_exhaustive]
pub struct Step {
    /// The answer to a request; `None` for any other input.
    pub answer: Option<Answer>,
    /// The outcome of an act; `None` for any other input.
    pub acted: Option<Acted>,
    /// The instructions to the driver, in order, without [`Turn::Idle`].
    pub turns: Vec<Turn>,
    /// The time of the next [`Input::Wake`], if nothing else happens before.
    pub wake: Option<Wake>,
}

impl Platform {
    /// Applies one input, and polls until nothing is left to do at this time.
    ///
    /// ```
    /// use molecule_platform::{Act, Acted, Config, Dialect, Input, Now, Platform};
    ///
    /// let mut platform = Platform::new(Config::new(Dialect::Current));
    /// let act = Act::CreateWorkspace { name: "my-agent".to_owned(), url: None, parent: None };
    /// let step = platform.step(Now::default(), Input::Act(act));
    /// assert!(matches!(step.acted, Some(Acted::Created { .. })));
    /// assert!(step.turns.is_empty());
    /// ```
    pub fn step(&mut self, now: Now, input: Input) -> Step {
        let (mut answer, mut acted) = (None, None);
        match input {
            Input::TokenUsed { row, last } => {
                self.tokens.used(&row, last);
                return Step { answer, acted, turns: Vec::new(), wake: self.next_wake(now.mono) };
            }
            Input::Request { peer, request } => answer = Some(self.handle(now, peer, request)),
            Input::DispatchHead { id, status } => self.dispatch_head(id, status),
            Input::Dispatched { id, outcome } => self.dispatched(now, id, outcome),
            Input::CloseStream { ticket } => self.close_stream(ticket),
            Input::Act(act) => acted = Some(self.act(now, act)),
            Input::Wake => {}
        }
        let mut turns = Vec::new();
        let wake = loop {
            match self.poll(now) {
                Turn::Idle(wake) => break wake,
                turn => turns.push(turn),
            }
        };
        Step { answer, acted, turns, wake }
    }
}
