//! The outcome of a call to an agent: the caller's answer and the row in the target's feed (contract sections 9.4 and
//! 10.3; April 6.1 and 7.2).

use bytes::Bytes;
use http::StatusCode;
use http::header::LOCATION;
use molecule_proto::{A2aRefusal, Dialect, ErrorBody, Now};
use serde_json::{Value, json};

use crate::a2a::deliver::UNREACHABLE;
use crate::a2a::flight::Flight;
use crate::a2a::{Purpose, SenderClass, request};
use crate::dispatch::DispatchFault;
use crate::platform::Platform;
use crate::reply::{self, Refusal, Response};

/// The most redirects that April's server follows in one call.
const MOST_HOPS: u8 = 10;

/// The outcome of a call.
pub(super) enum Landing {
    Answered(http::Response<Bytes>),
    Failed(DispatchFault),
    /// The platform stopped waiting.
    CutOff,
}

/// The outcome of a call as the row of its message shows it.
struct Note {
    status: &'static str,
    /// The agent's answer as JSON; `None` if it is not JSON.
    answer: Option<Value>,
    error: Option<String>,
}

impl Platform {
    pub(super) fn land(&mut self, now: Now, flight: Flight, landing: Landing) {
        let (flight, landing) = match (self.config.dialect, landing) {
            (Dialect::April, Landing::Answered(answer)) => match self.follow(flight, answer) {
                Ok(()) => return,
                Err((flight, answer)) => (flight, Landing::Answered(answer)),
            },
            (_, landing) => (flight, landing),
        };
        let purpose = flight.delivery.purpose.clone();
        let response = match landing {
            Landing::Answered(answer) => self.answered(now, &flight, answer),
            Landing::Failed(DispatchFault::Closed) => self.busy(now, &flight, "EOF"),
            Landing::CutOff => match flight.head {
                Some(status) => self.reply_lost(now, &flight, status),
                None => self.busy(now, &flight, "context canceled"),
            },
            Landing::Failed(DispatchFault::Cut(status)) => self.reply_lost(now, &flight, status),
            Landing::Failed(fault) => {
                self.note_failure(now, &flight, &posted(&flight.url, &fault.detail(host_of(&flight.url))));
                Refusal::new(StatusCode::BAD_GATEWAY, UNREACHABLE).into()
            }
        };
        self.conclude(now, purpose, response);
    }

    /// Follows a redirect to any target, as April's server does. Returns an answer that is not a redirect.
    fn follow(
        &mut self,
        mut flight: Flight,
        answer: http::Response<Bytes>,
    ) -> Result<(), (Flight, http::Response<Bytes>)> {
        let status = answer.status().as_u16();
        let location = answer.headers().get(LOCATION).and_then(|location| location.to_str().ok());
        let redirects = matches!(status, 301 | 302 | 303 | 307 | 308) && flight.hops < MOST_HOPS;
        let Some(location) = location.filter(|_| redirects) else { return Err((flight, answer)) };
        let again = matches!(status, 307 | 308);
        match request::followed(&flight.url, location, again, flight.delivery.envelope.bytes()) {
            Some((url, request)) => {
                flight.url = url;
                flight.hops += 1;
                flight.head = None;
                self.launch(flight, request);
                Ok(())
            }
            None => Err((flight, answer)),
        }
    }

    fn answered(&mut self, now: Now, flight: &Flight, answer: http::Response<Bytes>) -> Response {
        let (status, mut body) = (answer.status(), answer.into_body());
        if body.len() > self.most_reply() {
            if self.config.dialect == Dialect::Current {
                return self.too_large(now, flight);
            }
            body.truncate(self.most_reply());
        }
        let json = serde_json::from_slice::<Value>(&body).ok();
        if !status.is_success() {
            let text = json.as_ref().and_then(|json| json.get("error")).and_then(Value::as_str);
            let text = text.or(status.canonical_reason()).unwrap_or_default().to_owned();
            self.note(now, flight, Note { status: "error", answer: json, error: None });
            return reply::json(status, &ErrorBody::new(text));
        }
        self.note_outbound(now, &flight.delivery);
        if body.is_empty() && self.config.dialect == Dialect::Current {
            return match status {
                StatusCode::NO_CONTENT => reply::no_content(),
                _ => reply::json(status, &ErrorBody::new("agent returned empty response body")),
            };
        }
        self.note(now, flight, Note { status: "ok", answer: json, error: None });
        reply::relayed(status, body)
    }

    /// Queues the message again: the agent accepted the connection and did not answer. It may have the message already.
    fn busy(&mut self, now: Now, flight: &Flight, detail: &str) -> Response {
        let elapsed = elapsed_ms(now, flight);
        if self.config.dialect == Dialect::April {
            self.note_failure(now, flight, &posted(&flight.url, detail));
        }
        self.wait_in_queue(now, &flight.delivery, elapsed)
    }

    /// The answer in place of an agent's answer whose body did not come to its end. The agent has the message, and gets it
    /// no second time.
    fn reply_lost(&mut self, now: Now, flight: &Flight, status: StatusCode) -> Response {
        if status.is_success() {
            self.note(now, flight, Note { status: "ok", answer: None, error: None });
        } else {
            self.note_failure(now, flight, &posted(&flight.url, "unexpected EOF"));
        }
        let mut refusal = A2aRefusal::new("failed to read agent response");
        refusal.delivery_confirmed = Some(status.is_success());
        if self.config.dialect == Dialect::Current {
            refusal.truncated = Some(false);
            refusal.max_bytes = u64::try_from(self.most_reply()).ok();
        }
        reply::json(StatusCode::BAD_GATEWAY, &refusal)
    }

    /// The answer in place of an agent's answer that is too long, which the current server discards. The text was never
    /// recorded.
    fn too_large(&mut self, now: Now, flight: &Flight) -> Response {
        let most = self.most_reply();
        let error = format!("agent response exceeds {most} byte limit");
        self.note_failure(now, flight, &error);
        let mut refusal = A2aRefusal::new(error);
        refusal.delivery_confirmed = Some(true);
        refusal.truncated = Some(true);
        refusal.max_bytes = u64::try_from(most).ok();
        reply::json(StatusCode::BAD_GATEWAY, &refusal)
    }

    fn note_failure(&mut self, now: Now, flight: &Flight, detail: &str) {
        self.note(now, flight, Note { status: "error", answer: None, error: Some(detail.to_owned()) });
    }

    /// Writes the outcome of a call to the row of its message. A message from the queue writes nothing, except the
    /// answer to a person on the current server.
    fn note(&mut self, now: Now, flight: &Flight, note: Note) {
        let late = matches!(flight.delivery.purpose, Purpose::Drain(_));
        let april = self.config.dialect == Dialect::April;
        let delivery = &flight.delivery;
        let is_written = match delivery.sender.class {
            SenderClass::Unlogged => false,
            SenderClass::Channel => !april && !late,
            SenderClass::Person => !april || !late,
            SenderClass::Agent | SenderClass::Notice => !late,
        };
        if !is_written {
            return;
        }
        let elapsed = Some(elapsed_ms(now, flight));
        if let (false, Some(id)) = (april, delivery.envelope.message_id()) {
            return self.note_in_row(now, flight, id, note);
        }
        let mut row = self.message_row(now, delivery, "");
        row.duration_ms = elapsed;
        row.status = note.status.to_owned();
        match note.error {
            Some(detail) if april => {
                let name = self.workspaces.get(&delivery.target).map_or("", |row| row.name.as_str());
                row.summary = Some(format!("A2A request to {name} failed: {detail}"));
                row.error_detail = Some(detail);
            }
            detail => {
                row.error_detail = detail;
                // April's server writes `null` for an answer that is not JSON.
                let none = if april { Some(json!(null)) } else { None };
                row.response_body = note.answer.or(none);
            }
        }
        self.log_and_tell(now, row);
    }

    /// Writes the outcome to the row that the current server already has of the message. A channel's message has none
    /// before.
    fn note_in_row(&mut self, now: Now, flight: &Flight, id: &str, note: Note) {
        let delivery = &flight.delivery;
        let late = matches!(delivery.purpose, Purpose::Drain(_));
        let mut told = self.message_row(now, delivery, if late { " (queued turn reply)" } else { "" });
        told.duration_ms = Some(elapsed_ms(now, flight));
        told.status = note.status.to_owned();
        told.error_detail = note.error;
        told.response_body = note.answer;
        let Some(row) = self.feed.message(&delivery.target, id) else {
            if delivery.sender.class == SenderClass::Channel {
                self.log_message(now, id, told);
            }
            return;
        };
        row.response_body = told.response_body.clone().or(row.response_body.take());
        if !late {
            row.duration_ms = told.duration_ms;
            row.status.clone_from(&told.status);
            row.error_detail.clone_from(&told.error_detail);
        }
        self.tell_of_row(now, self.message_visible_from(&delivery.target, id), &told, Some(id));
    }
}

fn elapsed_ms(now: Now, flight: &Flight) -> i64 {
    i64::try_from(now.mono.since(flight.started.mono).as_millis()).unwrap_or(i64::MAX)
}

/// The error text of the server's HTTP client, with its prefix.
fn posted(url: &str, detail: &str) -> String {
    format!("Post {url:?}: {detail}")
}

fn host_of(url: &str) -> &str {
    let authority = url.split("://").nth(1).unwrap_or(url);
    let end = authority.find(['/', '?', '#', ':']).unwrap_or(authority.len());
    &authority[..end]
}
