//! Requests that the platform hands on to a push agent as they are (contract section 10.4).

use bytes::Bytes;
use http::header::HeaderValue;
use http::{Request, StatusCode};
use molecule_proto::{ErrorBody, Now, Time, WorkspaceId};
use serde_json::Value;

use crate::a2a::deliver::UNREACHABLE;
use crate::a2a::request;
use crate::answer::{DispatchId, Ticket, Turn};
use crate::dispatch::DispatchFault;
use crate::platform::Platform;
use crate::reply::{self, Handled, Refusal, Response};

/// A request that an agent is answering.
#[derive(Clone)]
pub(crate) struct Forward {
    ticket: Ticket,
    /// The time at which it is cut off. The server's own limit was never recorded; the model takes that of messages.
    pub(super) ends: Time,
    /// The request whose answer counts, if this one only comes before it.
    then: Option<Request<Bytes>>,
    /// The form in which the agent's error is told.
    refusal: Refused,
}

/// The form of an answer in place of an agent's error: the routes differ in its content type.
type Refused = fn(StatusCode, &ErrorBody) -> Response;

/// The content of a request, with its type.
type Content = (HeaderValue, Bytes);

impl Platform {
    /// Hands a request on to an agent: a `POST` if it has a body, otherwise a `GET`.
    pub(crate) fn forward(
        &mut self,
        now: Now,
        id: &WorkspaceId,
        suffix: &str,
        content: Option<Content>,
    ) -> Result<Handled, Refusal> {
        self.forward_all(now, id, &[(suffix, content)], reply::plain_json)
    }

    /// Hands a request on whose error has the content type of the platform's own answers.
    pub(crate) fn forward_get(&mut self, now: Now, id: &WorkspaceId, suffix: &str) -> Result<Handled, Refusal> {
        self.forward_all(now, id, &[(suffix, None)], reply::json)
    }

    /// The same with two requests, one after the other. The answer to the first one does not matter.
    pub(crate) fn forward_after(
        &mut self,
        now: Now,
        id: &WorkspaceId,
        first: (&str, Content),
        then: (&str, Content),
    ) -> Result<Handled, Refusal> {
        self.forward_all(now, id, &[(first.0, Some(first.1)), (then.0, Some(then.1))], |status, body| {
            reply::json(status, body)
        })
    }

    fn forward_all(
        &mut self,
        now: Now,
        id: &WorkspaceId,
        requests: &[(&str, Option<Content>)],
        refusal: Refused,
    ) -> Result<Handled, Refusal> {
        let url = match self.reach(now.mono, id) {
            Ok(url) => url,
            Err(response) => return Ok(response.into()),
        };
        let secret = self.secret_for(id, &url)?;
        let mut requests = requests
            .iter()
            .map(|(suffix, content)| request::below(&url, suffix, secret.as_ref(), content.clone()))
            .collect::<Option<Vec<_>>>()
            .ok_or(Refusal::new(StatusCode::BAD_GATEWAY, UNREACHABLE))?
            .into_iter();
        let first = requests.next().ok_or(Refusal::internal("nothing is handed on"))?;
        let ticket = self.mail.ticket();
        let ends = now.mono + self.config.idle_timeout;
        let dispatched = self.mail.dispatch(first);
        self.mail.forwards.insert(dispatched, Forward { ticket, ends, then: requests.next(), refusal });
        Ok(Handled::Later(ticket))
    }

    /// Passes the agent's answer on: its body as it is, of an error only the text.
    pub(super) fn forwarded(&mut self, mut forward: Forward, outcome: Result<http::Response<Bytes>, DispatchFault>) {
        if let Some(next) = forward.then.take() {
            let dispatched = self.mail.dispatch(next);
            self.mail.forwards.insert(dispatched, forward);
            return;
        }
        let response: Response = match outcome {
            Ok(answer) if answer.status().is_success() => reply::relayed(answer.status(), answer.into_body()),
            Ok(answer) => {
                let body = serde_json::from_slice::<Value>(answer.body()).unwrap_or_default();
                let reason = || answer.status().canonical_reason().unwrap_or_default();
                let error = body["error"].as_str().unwrap_or_else(reason).to_owned();
                (forward.refusal)(answer.status(), &ErrorBody::new(error))
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
