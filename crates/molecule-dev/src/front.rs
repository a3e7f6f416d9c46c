//! What stands before the platform: the check of `Host`, the page, and the log that hears of every input.

use std::net::SocketAddr;

use bytes::Bytes;
use http::request::Parts;
use http::{Request, StatusCode};
use molecule_platform::serve::{Admission, Conditions, Deciding, Decision, Front};
use molecule_platform::{Input, Now, Step};

use crate::page::{self, Reply};
use crate::{World, guard};

/// The front of a world's server.
pub(crate) struct DevFront(pub(crate) World);

impl Front for DevFront {
    fn now(&self) -> Now {
        self.0.clock().now()
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

    fn decide(&self, request: Request<Bytes>, _peer: SocketAddr) -> Deciding<'_> {
        if !page::is_its_path(request.uri().path()) {
            return Box::pin(std::future::ready(Decision::Platform(request, Conditions::default())));
        }
        let world = self.0.clone();
        Box::pin(async move {
            let (head, body) = request.into_parts();
            // A view of the past is replayed, which may take a while: agents are answered meanwhile.
            let reply = tokio::task::spawn_blocking(move || page::answer(&world, &head, body)).await;
            match reply {
                Ok(Reply::Whole(response)) => Decision::Answer(response),
                Ok(Reply::Stream(head, body)) => Decision::Stream(head, body),
                Err(_) => Decision::Answer(guard::text(StatusCode::INTERNAL_SERVER_ERROR, "the page failed")),
            }
        })
    }

    fn stepped(&self, now: Now, input: &Input, step: &Step) {
        self.0.record(now, input, step);
    }
}
