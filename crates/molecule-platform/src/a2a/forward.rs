//! Requests that the platform hands on to a push agent as they are (contract section 10.4).

use bytes::Bytes;
use http::StatusCode;
use http::header::HeaderValue;
use molecule_proto::{ErrorBody, Now, Time, WorkspaceId};
use serde_json::Value;

use crate::a2a::deliver::UNREACHABLE;
use crate::a2a::request;
use crate::answer::{DispatchId, Ticket, Turn};
use crate::dispatch::DispatchFault;
use crate::platform::Platform;
use crate::reply::{self, Handled, Refusal, Response};

/// A request that an agent is answering.
pub(crate) struct Forward {
    ticket: Ticket,
    /// The time at which it is cut off. The server's own limit was never recorded; the model takes that of messages.
    pub(super) ends: Time,
}

impl Platform {
    /// Hands a request on to an agent: a `POST` if it has a body, otherwise a `GET`.
    pub(crate) fn forward(
        &mut self,
        now: Now,
        id: &WorkspaceId,
        suffix: &str,
        content: Option<(HeaderValue, Bytes)>,
    ) -> Result<Handled, Refusal> {
        let url = match self.reach(now.mono, id) {
            Ok(url) => url,
            Err(response) => return Ok(response.into()),
        };
        let secret = self.secret_for(id, &url)?;
        let Some(request) = request::below(&url, suffix, secret.as_ref(), content) else {
            return Err(Refusal::new(StatusCode::BAD_GATEWAY, UNREACHABLE));
        };
        let ticket = self.mail.ticket();
        let dispatched = self.mail.dispatch(request);
        self.mail.forwards.insert(dispatched, Forward { ticket, ends: now.mono + self.config.idle_timeout });
        Ok(Handled::Later(ticket))
    }

    /// Passes the agent's answer on: its body as it is, of an error only the text.
    pub(super) fn forwarded(&mut self, forward: Forward, outcome: Result<http::Response<Bytes>, DispatchFault>) {
        let response: Response = match outcome {
            Ok(answer) if answer.status().is_success() => reply::relayed(answer.status(), answer.into_body()),
            Ok(answer) => {
                let body = serde_json::from_slice::<Value>(answer.body()).unwrap_or_default();
                let reason = || answer.status().canonical_reason().unwrap_or_default();
                let error = body["error"].as_str().unwrap_or_else(reason).to_owned();
                reply::plain_json(answer.status(), &ErrorBody::new(error))
            }
            Err(_) => Refusal::new(StatusCode::BAD_GATEWAY, UNREACHABLE).into(),
        };
        self.mail.answer(forward.ticket, response);
    }

    /// Cuts off the requests that took too long.
    pub(super) fn settle_forwards(&mut self, now: Time) {
        let due = self.mail.forwards.iter().filter(|(_, forward)| forward.ends <= now);
        let due: Vec<DispatchId> = due.map(|(id, _)| *id).collect();
        for id in due {
            let Some(forward) = self.mail.forwards.remove(&id) else { continue };
            self.mail.add_turn(Turn::Cancel(id));
            let response = Refusal::new(StatusCode::BAD_GATEWAY, UNREACHABLE).into();
            self.mail.answer(forward.ticket, response);
        }
    }
}
