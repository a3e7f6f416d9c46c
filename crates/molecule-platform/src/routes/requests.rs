//! The routes of requests below `/workspaces/:id/requests` (contract section 18.3). Not on April's server. The
//! administrator's routes below `/requests` are not modelled; [`Platform::raise_request`] and its neighbours stand for
//! them.

use http::StatusCode;
use molecule_proto::WorkspaceId;
use serde_json::{Value, json};

use crate::json::{Fields, Malformed};
use crate::platform::{Call, Platform};
use crate::reply::{self, Refusal, Response};
use crate::requests::{NewRequest, Party, Request, RequestKind};
use crate::router;

const RESOLVED: &str = "request not found or already resolved";

impl Platform {
    pub(crate) fn post_request(&mut self, call: &Call<'_>, id: &str, body: &[u8]) -> Result<Response, Refusal> {
        let requester = Party::Agent(self.request_owner(call, id)?.to_string());
        let fields = Fields::read(body)?;
        let (kind, title) = (fields.text("kind")?, fields.text("title")?);
        let (to, recipient) = (fields.text("recipient_type")?, fields.text("recipient_id")?);
        let (detail, priority) = (fields.optional_text("detail")?, fields.optional_integer("priority")?);
        if title.is_empty() {
            return Err(Malformed.into());
        }
        let kind =
            RequestKind::read(&kind).ok_or(Refusal::bad_request("request: kind must be 'task' or 'approval'"))?;
        let recipient = match to.as_str() {
            "user" => Party::User,
            "agent" => Party::Agent(recipient),
            // The text was never recorded.
            _ => return Err(Refusal::bad_request("request: recipient_type must be 'user' or 'agent'")),
        };
        if [Some(&title), detail.as_ref()].into_iter().flatten().any(|text| text.contains('\0')) {
            return Err(Refusal::internal("failed to create request"));
        }
        let request = self.add_request(call.now, NewRequest { kind, requester, recipient, title, detail, priority });
        Ok(reply::json(StatusCode::CREATED, &json!({"request_id": request, "status": "pending"})))
    }

    /// Lists the requests that a workspace raised.
    pub(crate) fn list_requests(&mut self, call: &Call<'_>, id: &str) -> Result<Response, Refusal> {
        let id = self.request_owner(call, id)?;
        Ok(self.requests_where(call, |request| request.about().requester.is(&id)))
    }

    /// Lists the requests that a workspace received.
    pub(crate) fn request_inbox(&mut self, call: &Call<'_>, id: &str) -> Result<Response, Refusal> {
        let id = self.request_owner(call, id)?;
        Ok(self.requests_where(call, |request| request.about().recipient.is(&id)))
    }

    pub(crate) fn show_request(&mut self, call: &Call<'_>, id: &str, request: &str) -> Result<Response, Refusal> {
        self.participant(call, id, request)?;
        let request = self.requests.get(request).ok_or(Refusal::not_found("request not found"))?;
        Ok(reply::ok(&json!({"request": self.shown_request(request), "messages": request.messages()})))
    }

    /// Adds a message. The author in the body must be there, and is ignored.
    pub(crate) fn post_request_message(
        &mut self,
        call: &Call<'_>,
        id: &str,
        request: &str,
        body: &[u8],
    ) -> Result<Response, Refusal> {
        let id = self.participant(call, id, request)?;
        let fields = Fields::read(body)?;
        let (text, author) = (fields.text("body")?, fields.text("author_type")?);
        if text.is_empty() || author.is_empty() {
            return Err(Malformed.into());
        }
        let message = self.extend_request(call.now, request, Party::Agent(id.to_string()), text);
        let message = message.ok_or(Refusal::not_found("request not found"))?;
        let answer = json!({"message_id": message, "request_id": request, "status": "created"});
        Ok(reply::json(StatusCode::CREATED, &answer))
    }

    pub(crate) fn post_request_response(
        &mut self,
        call: &Call<'_>,
        id: &str,
        request: &str,
        body: &[u8],
    ) -> Result<Response, Refusal> {
        let id = self.participant(call, id, request)?;
        let action = Fields::read(body)?.text("action")?;
        let asked = self.requests.get(request).ok_or(Refusal::not_found(RESOLVED))?;
        if !asked.about().recipient.is(&id) {
            return Err(Refusal::new(StatusCode::FORBIDDEN, "not the recipient"));
        }
        if !asked.about().kind.allows(&action) {
            return Err(Refusal::bad_request("request: invalid action for this request kind"));
        }
        if !asked.is_open() {
            return Err(Refusal::not_found(RESOLVED));
        }
        self.resolve_request(call.now, request, Party::Agent(id.to_string()), &action);
        Ok(reply::ok(&json!({"request_id": request, "status": action})))
    }

    /// The refusal of a withdrawal by the recipient was never recorded.
    pub(crate) fn post_request_cancel(
        &mut self,
        call: &Call<'_>,
        id: &str,
        request: &str,
    ) -> Result<Response, Refusal> {
        let id = self.participant(call, id, request)?;
        let asked = self.requests.get(request).ok_or(Refusal::not_found(RESOLVED))?;
        if !asked.about().requester.is(&id) {
            return Err(Refusal::new(StatusCode::FORBIDDEN, "not the requester"));
        }
        if !asked.is_open() {
            return Err(Refusal::not_found(RESOLVED));
        }
        self.withdraw_request(call.now, request);
        Ok(reply::ok(&json!({"request_id": request, "status": "cancelled"})))
    }

    fn request_owner(&mut self, call: &Call<'_>, id: &str) -> Result<WorkspaceId, Refusal> {
        self.workspace_auth(call.now.unix, call.headers, id)?;
        self.database()?;
        id.parse().map_err(|_| Refusal::internal("request lookup failed"))
    }

    /// Returns the workspace, if it raised or received the request.
    fn participant(&mut self, call: &Call<'_>, id: &str, request: &str) -> Result<WorkspaceId, Refusal> {
        let id = self.request_owner(call, id)?;
        // A malformed id fails in the database.
        request.parse::<WorkspaceId>().map_err(|_| Refusal::internal("request lookup failed"))?;
        let about = self.requests.get(request).ok_or(Refusal::not_found("request not found"))?.about();
        if about.requester.is(&id) || about.recipient.is(&id) {
            return Ok(id);
        }
        Err(Refusal::new(StatusCode::FORBIDDEN, "not a participant"))
    }

    fn requests_where(&self, call: &Call<'_>, matches: impl Fn(&Request) -> bool) -> Response {
        let status = router::query_text(call.query, "status").filter(|status| !status.is_empty());
        let wanted =
            |request: &Request| matches(request) && status.as_ref().is_none_or(|status| request.status() == status);
        let shown: Vec<Value> = self.requests.newest(wanted).iter().map(|found| self.shown_request(found)).collect();
        reply::ok(&shown)
    }
}
