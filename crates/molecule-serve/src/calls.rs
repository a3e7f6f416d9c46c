//! The answers of a server: what the core decides about a request, and who waits for what.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use molecule_core::machines::{self, Caller, InboundCall, Refusal, Ticket};

use crate::body::Pieces;
use crate::driver::Driver;
use crate::facade::Facade;
use crate::ingest::ingest;
use crate::service::{Admission, Answer, Service};
use crate::threads::on_a_thread;

/// A body above this length is parsed on a thread for blocking work.
const LARGE: usize = 256 * 1024;

impl<F: Facade> Service for Arc<Driver<F>> {
    type Caller = Caller;

    fn admit(&self, head: &Parts, from: IpAddr) -> Admission<Caller> {
        match self.decide(|state, cx| state.inbound.admit(cx, head, from)) {
            machines::Admission::Answer(answer) => {
                // The application may have to be told of a refusal.
                self.advance();
                Admission::Answer(answer)
            }
            machines::Admission::Read(caller) => Admission::Call(caller),
            machines::Admission::Ingest(_) => Admission::Ingest,
            machines::Admission::Other(_) if self.hook.is_some() => Admission::Other,
            machines::Admission::Other(_) => Admission::Answer(Refusal::NOT_FOUND.answer()),
            machines::Admission::Later(wait) => Admission::Later(wait),
            machines::Admission::Close => Admission::Cut,
        }
    }

    async fn call(&self, caller: Caller, head: Parts, body: Bytes) -> Answer {
        let call = if body.len() > LARGE {
            let Some(call) = on_a_thread(move || InboundCall::read(&head, body)).await else { return Answer::Cut };
            call
        } else {
            InboundCall::read(&head, body)
        };
        let answer = match Driver::call(self, caller, call) {
            machines::Answer::Later(ticket) => {
                let answer = self.lock().answer(ticket);
                match answer {
                    Ok(answer) => answer,
                    Err(later) => {
                        let _hangs_up = HangsUp { driver: self, ticket };
                        later.await.unwrap_or(machines::Answer::Cut)
                    }
                }
            }
            answer => answer,
        };
        match answer {
            machines::Answer::Ready(answer) => Answer::Ready(answer),
            machines::Answer::Cut | machines::Answer::Later(_) => Answer::Cut,
        }
    }

    async fn ingest(&self, head: Parts, body: Pieces<'_>) -> Answer {
        Answer::Ready(ingest(&self.host, &head, body, self.upload_bytes).await)
    }

    async fn other(&self, head: Parts, body: Bytes) -> Answer {
        let Some(hook) = self.hook.clone() else { return Answer::Cut };
        let asked = on_a_thread(move || hook(http::Request::from_parts(head, body)));
        Answer::Ready(match asked.await {
            Some(Some(answer)) => answer,
            Some(None) => Refusal::NOT_FOUND.answer(),
            None => crate::answer::failed(),
        })
    }
}

/// A caller that waits. It hangs up when this is dropped before the answer.
struct HangsUp<'a, F: Facade> {
    driver: &'a Arc<Driver<F>>,
    ticket: Ticket,
}

impl<F: Facade> Drop for HangsUp<'_, F> {
    fn drop(&mut self) {
        let is_gone = self.driver.lock().hang_up(self.ticket);
        if is_gone {
            self.driver.advance();
        }
    }
}
