//! A call of a peer: the route of the message, and its outcome.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use molecule_proto::{Time, WorkspaceId};

use super::direct::{self, Direct, Fit};
use super::discover::{Terms, discover};
use super::outcome::CallOutcome;
use super::outgoing::{PeerCall, Written};
use super::proxy::{A2a, limits};
use crate::call::Call;
use crate::call::retry::spread;
use crate::config::route::Route;
use crate::config::workspace_id;
use crate::effect::decode::LARGE;
use crate::effect::{Attempt, Fault, Limits, Sent};
use crate::endpoint::Endpoint;
use crate::error::{Error, ErrorKind, Result};
use crate::flow::{Flow, Line, Parting, machine_of_flow};
use crate::machine::{Cx, Wake};
use crate::session::peer_url::PeerUrl;

/// Sends a message to a peer and returns its outcome (contract section 9; April 7).
///
/// Every request of the call carries the same message under the same id. A message that a peer may have handled is
/// never sent by another route. Only a direct call that was certainly not sent, or was answered 401, 403, 404 or 405,
/// continues through the platform, and that peer is then not called directly for 300 s. A peer may have handled a
/// message that it answers like this; it then gets the message again, under the same id.
#[derive(Debug)]
#[must_use = "a machine does nothing until it is driven"]
pub struct CallPeer(Flow<Result<CallOutcome>>);

impl CallPeer {
    /// Makes a call of this peer.
    ///
    /// # Errors
    /// `Config` if the id is not a UUID.
    pub fn new(target: impl AsRef<str>, call: impl Into<PeerCall>) -> Result<Self> {
        Self::with(target, call.into(), Call::new)
    }

    /// Makes a call that is sent to the platform once, for a caller that repeats it at its own times.
    pub(crate) fn once(target: impl AsRef<str>, call: PeerCall) -> Result<Self> {
        Self::with(target, call, |endpoint| Call::once(endpoint).asking_the_view(true))
    }

    fn with(target: impl AsRef<str>, call: PeerCall, relay: fn(A2a) -> Call<A2a>) -> Result<Self> {
        let target = workspace_id(A2a::OPERATION, target)?;
        Ok(Self(Flow::new(A2a::OPERATION, move |line| call_peer(line, target, call, relay))))
    }
}

machine_of_flow!(CallPeer, Result<CallOutcome>);

/// Writes the message, once, and sends it.
async fn call_peer(
    line: Line,
    target: WorkspaceId,
    call: PeerCall,
    relay: fn(A2a) -> Call<A2a>,
) -> Result<CallOutcome> {
    line.check()?;
    let begun = line.with(|cx| {
        let route = call.route.unwrap_or(cx.session.config().route);
        let deadline = cx.now.mono + call.limit(cx.session)?;
        Ok((route, deadline, call.write(cx.session)?))
    });
    let (route, deadline, written) = begun.map_err(|error: Error| error.during(A2a::OPERATION))?;
    let sequence = Sequence { line, target, route, deadline, written, relay };
    match sequence.send().await {
        Ok(outcome) => Ok(outcome.of_message(&sequence.written.id)),
        Err(error) => Err(error.during(A2a::OPERATION).with_message_id(&sequence.written.id)),
    }
}

/// The steps of a call.
struct Sequence {
    line: Line,
    target: WorkspaceId,
    route: Route,
    deadline: Time,
    written: Written,
    /// Makes the call through the platform.
    relay: fn(A2a) -> Call<A2a>,
}

impl Sequence {
    /// Chooses the route.
    async fn send(&self) -> Result<CallOutcome> {
        let is_refused = |cx: &mut Cx<'_>| cx.session.peers.is_refused(cx.now, &self.target);
        if self.route == Route::Proxy || (self.route == Route::Auto && self.line.with(is_refused)) {
            return self.relay().await;
        }
        let limit = Some(Wake { at: self.deadline, why: "the call's limit" });
        let terms = Terms { is_optional: self.route != Route::Direct, limit };
        let found = discover(&self.line, &self.target, terms).await;
        self.line.check()?;
        self.left()?;
        // Another call may have been refused while this one waited for the URL.
        let is_direct = |url: &PeerUrl| {
            (self.route == Route::Direct || !self.line.with(is_refused))
                && self.line.with(|cx| url.is_direct(cx.session.config().base_url()))
        };
        match (found.map(|url| url.filter(is_direct)), self.route) {
            (Ok(Some(url)), _) => self.call_directly(&url).await,
            (Err(error), Route::Direct) => Err(error),
            (Ok(None), Route::Direct) => Ok(CallOutcome::NoUrl { status: None }),
            // The route through the platform needs no discovery, and may work where discovery fails.
            (found, Route::Auto | Route::Proxy) => {
                if let Some(at) = self.stays_away(found.err())? {
                    self.line.pause("stay away", Wake { at, why: "the platform may be asked again" }).await?;
                }
                self.relay().await
            }
        }
    }

    /// Returns when the platform may be asked again, if it asked for a wait: while it turns discoveries away, it turns
    /// messages away too.
    fn stays_away(&self, failed: Option<Error>) -> Result<Option<Time>> {
        self.line.with(|cx| {
            let Some((error, asked)) = failed.and_then(|error| error.retry_after().map(|asked| (error, asked))) else {
                // If a shared discovery failed because of the rate limit, the limit applies to this call too.
                return Ok(cx.session.rate.hold_heartbeat(cx.now.mono).filter(|until| *until < self.deadline));
            };
            let at = cx.now.mono + asked;
            if at >= self.deadline {
                return Err(error);
            }
            Ok(Some(cx.now.mono + spread(cx, asked, self.deadline.since(at) / 2)))
        })
    }

    async fn call_directly(&self, url: &PeerUrl) -> Result<CallOutcome> {
        let (request, limits) = self.request(url)?;
        let end = match self.line.http("call the peer directly", request, limits).await? {
            Ok(answer) => self.read(answer).await?,
            Err(Fault { head: Some(head), .. }) => direct::answered_at_length(&head, self.line.with(|cx| cx.now.unix)),
            Err(fault) => {
                self.line.with(|cx| cx.session.counters.failures += 1);
                direct::failed(fault)
            }
        };
        if matches!(end, Direct::Refused(_) | Direct::Outcome(_, Fit::No)) {
            self.line.with(|cx| cx.session.peers.refuse(cx.now, &self.target, url));
        }
        match end {
            Direct::Refused(outcome) if self.route == Route::Direct => Ok(outcome),
            Direct::Refused(_) => self.relay().await,
            Direct::Outcome(outcome, _) => Ok(outcome),
            Direct::Unclear(error) => Err(unclear(error)),
        }
    }

    fn request(&self, url: &PeerUrl) -> Result<(Request<Bytes>, Limits)> {
        let left = self.left()?;
        Ok(self.line.with(|cx| {
            cx.session.counters.sent(self.written.body.len(), false);
            let config = cx.session.config();
            let mut request = url.post(self.written.body.clone(), config.peer_tokens.get(&self.target));
            request.extensions_mut().insert(Attempt { operation: A2a::OPERATION, number: 1 });
            let limits = Limits { reach: url.reach(config.base_url()), ..limits(&config.timeouts, left) };
            (request, limits)
        }))
    }

    /// Decodes a large answer with the session unlocked, every other one at once.
    async fn read(&self, answer: Response<Bytes>) -> Result<Direct> {
        let now = self.line.with(|cx| {
            cx.session.counters.received(answer.body().len() as u64);
            cx.session.counters.failures += u64::from(!answer.status().is_success());
            cx.now.unix
        });
        if answer.body().len() <= LARGE {
            return Ok(direct::answered(&answer, now));
        }
        let read = self.line.decode("read the peer's answer", move || direct::answered(&answer, now)).await?;
        // The peer has answered, and the answer is lost.
        Ok(read.unwrap_or_else(|fault| direct::failed(Fault { sent: Sent::Maybe, ..fault })))
    }

    async fn relay(&self) -> Result<CallOutcome> {
        self.left()?;
        let endpoint = A2a { target: self.target.clone(), body: self.written.body.clone() };
        let call = (self.relay)(endpoint).until(self.deadline);
        self.line.run("call through the platform", call, Parting::give_up()).await.map_err(unclear)
    }

    /// Returns what is left of the call's time. If nothing is left, the call has failed.
    fn left(&self) -> Result<Duration> {
        let left = self.line.with(|cx| self.deadline.since(cx.now.mono));
        if left.is_zero() {
            return Err(Error::new(
                ErrorKind::Timeout,
                A2a::OPERATION,
                "the limit passed before the message could be sent",
            )
            .retryable(true)
            .remedy("try again later, or raise the limit"));
        }
        Ok(left)
    }
}

/// Adds the remedy for a call after which it is unknown whether the peer has the message. The same call again would
/// send another message.
fn unclear(error: Error) -> Error {
    // The platform's own errors have a text, and mean that nothing was done. A gateway's errors have none.
    let is_told = error.server_message().is_some();
    if is_told || !error.may_have_acted() {
        return error;
    }
    error.retryable(false).remedy(
        "the peer may have the message: ask it, or send the same message under the same id (Error::message_id, \
         Message::with_id)",
    )
}
