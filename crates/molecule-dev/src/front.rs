//! What stands before the platform: the check of `Host`, the page, and the log that hears of every input.

use std::net::SocketAddr;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{Request, StatusCode};
use molecule_platform::serve::{Admission, Conditions, Deciding, Decision, Front};
use molecule_platform::{Input, Now, Platform, Step};

use crate::chaos::Effect;
use crate::log::Note;
use crate::page::{self, Reply};
use crate::{World, api, guard};

/// The front of a world's server.
pub(crate) struct DevFront(pub(crate) World);

impl Front for DevFront {
    fn now(&self) -> Now {
        self.0.now()
    }

    fn admit(&self, head: &Parts, _peer: SocketAddr) -> Admission {
        if let Err(refusal) = self.0.guard().check_host(head) {
            return Admission::Refuse(refusal.response());
        }
        if page::is_its_path(head.uri.path()) {
            return page::admit(&self.0, head);
        }
        match self.0.trouble() {
            Some(why) => {
                let text = format!("the log cannot be written, so that nothing is accepted: {why}");
                Admission::Refuse(guard::text(StatusCode::SERVICE_UNAVAILABLE, &text))
            }
            None => Admission::Admit,
        }
    }

    fn decide(&self, request: Request<Bytes>, peer: SocketAddr) -> Deciding<'_> {
        if !page::is_its_path(request.uri().path()) {
            return Box::pin(std::future::ready(self.disturbed(request, peer)));
        }
        let world = self.0.clone();
        Box::pin(async move {
            let (head, body) = request.into_parts();
            // A view of the past is replayed, which may take a while: agents are answered meanwhile.
            let reply = tokio::task::spawn_blocking(move || match api::answer(&world, &head, &body) {
                Some(response) => Reply::Whole(response),
                None => page::answer(&world, &head, body),
            })
            .await;
            match reply {
                Ok(Reply::Whole(response)) => Decision::Answer(response),
                Ok(Reply::Stream(head, body)) => Decision::Stream(head, body),
                Err(_) => Decision::Answer(guard::text(StatusCode::INTERNAL_SERVER_ERROR, "the page failed")),
            }
        })
    }

    fn stepped(&self, now: Now, input: &Input, step: &Step, platform: &Platform) {
        self.0.record(now, input, step, platform);
    }
}

impl DevFront {
    /// Passes a request to the platform, unless it meets a fault on purpose.
    fn disturbed(&self, mut request: Request<Bytes>, peer: SocketAddr) -> Decision {
        let bearer =
            request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        let Some(fault) = self.0.fault(request.uri().path(), bearer) else {
            return Decision::Platform(request, Conditions::new());
        };
        match fault.effect() {
            Effect::Answer(response) => {
                let input = Box::new(Input::Request { peer: Some(peer.ip()), request });
                self.0.note(Note::Hit { input, fault });
                Decision::Answer(response)
            }
            Effect::Conditions(conditions) => {
                // The log says of the request which fault it met.
                request.extensions_mut().insert(fault);
                Decision::Platform(request, conditions)
            }
        }
    }
}
