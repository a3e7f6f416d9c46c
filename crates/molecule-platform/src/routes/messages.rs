//! `POST /workspaces/:id/a2a`, `POST …/a2a/inbound` for third parties, and `GET …/a2a/queue/:queue_id` (contract
//! sections 9 to 11; April 7.1).

use http::{HeaderMap, HeaderName, StatusCode};
use molecule_proto::{A2aRefusal, Dialect, ErrorBody, QueueId, WorkspaceId};

use crate::a2a::{Caller, Delivery, Envelope, Purpose, Sender, SenderClass};
use crate::auth::bearer;
use crate::platform::{Call, Platform};
use crate::reply::{self, Handled, Refusal, Response};

/// The header with which an agent asks for more time for its call. Any number above 0 removes the limit of 30 minutes.
const TIMEOUT: HeaderName = HeaderName::from_static("x-timeout");

impl Platform {
    pub(crate) fn post_a2a(&mut self, call: &Call<'_>, target: &str, body: &[u8]) -> Result<Handled, Refusal> {
        let caller = self.a2a_caller(call, target)?;
        let sender = match caller {
            Caller::Agent(id) => {
                Sender { source: Some(id), class: SenderClass::Agent, unbounded: asks_for_time(call.headers) }
            }
            Caller::Person(source) => Sender { source, ..Sender::of_class(SenderClass::Person) },
        };
        self.proxy(call, target, body, sender, true)
    }

    /// Handles a message of a third party, which authenticates with the target's inbound secret.
    pub(crate) fn post_a2a_inbound(&mut self, call: &Call<'_>, target: &str, body: &[u8]) -> Result<Handled, Refusal> {
        let presented = bearer(call.headers).ok_or(Refusal::unauthorized("missing Authorization header"))?;
        let secret = self.row(target).and_then(|row| row.inbound_secret.clone());
        let secret = secret.ok_or(Refusal::unauthorized("workspace has no inbound secret configured"))?;
        if secret.expose() != presented {
            return Err(Refusal::new(StatusCode::FORBIDDEN, "invalid inbound secret"));
        }
        self.proxy(call, target, body, Sender::of_class(SenderClass::Person), false)
    }

    fn proxy(
        &mut self,
        call: &Call<'_>,
        target: &str,
        body: &[u8],
        sender: Sender,
        says_who: bool,
    ) -> Result<Handled, Refusal> {
        let dialect = self.config.dialect;
        let most = if dialect == Dialect::April { 1 << 20 } else { 16 << 20 };
        if body.len() > most && dialect == Dialect::Current {
            return Ok(too_large(most).into());
        }
        let id: WorkspaceId = target.parse().map_err(|_| Refusal::internal("lookup failed"))?;
        // A URL that was registered in the last 5 minutes is known without the database.
        if self.database_down && self.urls.get(call.now.mono, &id).is_none() {
            return Err(Refusal::internal("lookup failed"));
        }
        let row = self.workspaces.get(&id).ok_or(Refusal::not_found("workspace not found"))?;
        if let Some(refused) = self.over_budget(&row.id) {
            return Ok(refused.into());
        }
        // April's server looks up the URL before it reads the body.
        if dialect == Dialect::April
            && let Err(response) = self.reach(call.now.mono, &row.id)
        {
            return Ok(response.into());
        }
        let mut envelope = match Envelope::read(dialect, &mut self.random, &body[..body.len().min(most)]) {
            Ok(envelope) => envelope,
            Err(refused) => return Ok(Response::from(refused).into()),
        };
        let silenced = |id: &WorkspaceId| self.workspaces.get(id).is_some_and(|row| !row.abilities.delegate);
        let is_person = sender.class == SenderClass::Person;
        if !is_person && sender.source.as_ref().is_some_and(silenced) && envelope.method() == "message/send" {
            return Err(Refusal::new(StatusCode::FORBIDDEN, "tool call failed"));
        }
        if is_person && dialect == Dialect::Current {
            envelope.mark_as_a_persons(id.as_str(), says_who);
        }
        let ticket = self.mail.ticket();
        let delivery = Delivery { target: id, sender, envelope, purpose: Purpose::Call(ticket) };
        Ok(match self.deliver(call.now, delivery) {
            Some(response) => Handled::Now(response),
            None => Handled::Later(ticket),
        })
    }

    /// Answers only the sender, the target and an administrator. The workspace in the path is not checked.
    pub(crate) fn show_queue_item(&mut self, call: &Call<'_>, item: &str) -> Result<Response, Refusal> {
        let caller = self.current_caller(call)?;
        let id: QueueId = item.parse().map_err(|_| Refusal::internal("lookup failed"))?;
        let Some((item, source)) = self.mail.queue.get(&id) else {
            let mut body = ErrorBody::new("queue item not found");
            body.retryable = Some(true);
            return Ok(reply::json(StatusCode::NOT_FOUND, &body));
        };
        let may_look = match &caller {
            Caller::Agent(id) => source == Some(id) || item.workspace_id == *id,
            Caller::Person(_) => true,
        };
        if may_look { Ok(reply::ok(item)) } else { Err(Refusal::new(StatusCode::FORBIDDEN, "access denied")) }
    }
}

fn asks_for_time(headers: &HeaderMap) -> bool {
    let seconds = headers.get(TIMEOUT).and_then(|value| value.to_str().ok()?.trim().parse::<i64>().ok());
    seconds.is_some_and(|seconds| seconds > 0)
}

fn too_large(most: usize) -> Response {
    let mut refusal = A2aRefusal::new(format!("request body exceeds {most} byte limit: A2A body exceeds size limit"));
    refusal.truncated = Some(true);
    refusal.max_bytes = u64::try_from(most).ok();
    reply::json(StatusCode::PAYLOAD_TOO_LARGE, &refusal)
}
