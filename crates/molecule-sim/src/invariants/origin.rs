//! Invariant: credentials go only to the platform.

use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{Method, Request};

use super::secrets::leaked;
use super::{Invariant, KnownSecrets};
use crate::agent::{Agent, ORIGIN, PEER_TOKEN, peer_token};
use crate::job::JobKind;
use crate::trace::{RequestRecord, Sight, TraceEvent};
use crate::weather::Route;
use crate::world::ADMIN;

/// See [`Invariant::sentence`].
#[derive(Debug)]
pub(crate) struct BearerStaysAtHome;

impl Invariant for BearerStaysAtHome {
    fn name(&self) -> &'static str {
        "the bearer stays at home"
    }

    fn sentence(&self) -> &'static str {
        "every request goes to the platform's origin and to a route of its contract, and an administrator's credential to the \
         routes that it was given for alone; but for messages to a peer: by POST, over https, to exactly a URL that the peer \
         has published, and with no header or text that says who sends it or proves it, but the token that this agent has for this peer"
    }

    fn see(&mut self, sight: &Sight<'_>, known: &KnownSecrets) -> Result<(), String> {
        let TraceEvent::Asked(ask) = sight.seen else { return Ok(()) };
        if ask.origin != ORIGIN {
            return self.abroad(sight, known, ask);
        }
        let Some(route) = ask.route else { return Err(format!("no route: {}", ask.printed)) };
        if ask.bearer.as_ref().is_some_and(|bearer| bearer.starts_with(PEER_TOKEN)) {
            return Err(format!("the platform is told the token for a peer in {}", ask.printed));
        }
        let is_admin = ask.bearer.as_deref() == Some(ADMIN);
        let may = sight.who.kind == JobKind::Recover { admin: true } && matches!(route, Route::Rotate | Route::Mint);
        if is_admin && !may {
            return Err(format!("the administrator's credential in {}", ask.printed));
        }
        Ok(())
    }
}

impl BearerStaysAtHome {
    fn abroad(&self, sight: &Sight<'_>, known: &KnownSecrets, ask: &RequestRecord) -> Result<(), String> {
        let (JobKind::CallPeer(call), Some(about)) = (sight.who.kind, &ask.about) else {
            return Err(format!("a request to {}", ask.origin));
        };
        let request = &about.request;
        let peer = sight.facts.agents.get(usize::from(call.to));
        if !peer.is_some_and(|peer| published(peer, request)) {
            return Err(format!("{} was never published by agent {}", request.uri(), call.to));
        }
        if request.method() != Method::POST || request.uri().scheme_str() != Some("https") {
            return Err(format!("a peer is asked {} {}", request.method(), request.uri()));
        }
        let sender = &sight.facts.agents[sight.who.agent];
        let takes_token = peer.and_then(|peer| peer.setup.server.as_ref()).is_some_and(|server| server.peer_tokens);
        let own = takes_token.then(|| peer_token(sight.who.agent, call.to.into()));
        says_nothing_of(sender, request, own.as_deref(), known)
    }
}

fn published(peer: &Agent, request: &Request<bytes::Bytes>) -> bool {
    let uri = request.uri().to_string();
    peer.published.contains(&uri)
}

/// Checks that a request contains no credential but `own`, and no name of its sender.
fn says_nothing_of(
    sender: &Agent,
    request: &Request<bytes::Bytes>,
    own: Option<&str>,
    known: &KnownSecrets,
) -> Result<(), String> {
    for (name, value) in request.headers() {
        let bearer = value.to_str().ok().and_then(|value| value.strip_prefix("Bearer "));
        if name == AUTHORIZATION && own.is_some() && bearer == own {
            continue;
        }
        if ![ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, USER_AGENT].contains(name) {
            return Err(format!("a peer is told {name}"));
        }
        let text = String::from_utf8_lossy(value.as_bytes());
        if leaked(&text, known).is_some() {
            return Err(format!("a peer is told a secret in {name}"));
        }
    }
    let body = String::from_utf8_lossy(request.body());
    if leaked(&body, known).is_some() || body.contains(sender.workspace.as_str()) {
        return Err("a peer is told in the message who sends it, or a secret".to_owned());
    }
    Ok(())
}
