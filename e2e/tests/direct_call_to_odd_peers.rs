//! Direct calls to any server that may listen at a registered URL: each gets the message once, and no credential of the
//! agent.

use std::time::{Duration, Instant};

use molecule_e2e::core::{CallOutcome, ErrorKind, PeerCall, Route};
use molecule_e2e::{Manner, PeerServer, World, route, scenario};

/// Calls a peer that answers in this manner, and returns the outcome as one line.
fn call(world: &World, manner: Manner, limit: Duration) -> String {
    let port = PeerServer::new(manner.clone());
    let (alpha, beta) = world.pair(&port.url());
    let relayed = world.count(route::A2A);
    let end = alpha.call_peer(beta.workspace_id(), PeerCall::new("hello").timeout(limit));
    let heard = port.heard().all();
    assert_eq!((heard.len(), world.count(route::A2A)), (1, relayed), "{manner:?}: {end:?}");
    for name in ["authorization", "x-workspace-id", "x-molecule-org-id", "origin", "cookie"] {
        assert!(!heard[0].headers.contains_key(name), "{manner:?}: {name}");
    }
    match end {
        Ok(outcome) => outcome.to_string(),
        Err(error) => {
            assert_eq!(error.message_id(), Some(heard[0].message_id()));
            assert!(!error.is_retryable(), "{error}");
            format!("{:?}", error.kind())
        }
    }
}

scenario!(a_message_goes_out_once_whatever_comes_back, [April, Current], |stage| {
    let world = stage.world();
    let patient = Duration::from_secs(15);
    let page = "Content-Type: text/html\r\n";
    let rows = [
        (
            Manner::Answer(200, page, "<!doctype html><title>Sign in</title>"),
            "the peer failed: a web page was answered, as by a website and no agent",
        ),
        (Manner::Answer(200, "Content-Type: text/plain\r\n", "done"), "replied: done"),
        (
            Manner::Answer(302, "Location: http://localhost:9/elsewhere\r\n", ""),
            "the peer failed: the answer is a redirect, which is never followed (302 Found)",
        ),
        (
            Manner::Answer(307, "Location: http://localhost:9/elsewhere\r\n", ""),
            "the peer failed: the answer is a redirect, which is never followed (307 Temporary Redirect)",
        ),
        (Manner::Answer(500, page, "oops"), "the peer failed: Internal Server Error (500 Internal Server Error)"),
        (Manner::Answer(503, "Retry-After: 7\r\n", "{}"), "busy"),
        (Manner::Answer(200, "", ""), "delivered, without a reply"),
        (Manner::Answer(200, "", r#"{"queued":true}"#), "replied: "),
        (Manner::Flood(300), "delivered, without a reply"),
        (Manner::Close, "Interrupted"),
    ];
    for (manner, expected) in rows {
        assert_eq!(call(&world, manner.clone(), patient), expected, "{manner:?}");
    }
    assert_eq!(call(&world, Manner::Hang, Duration::from_millis(300)), "Timeout");
});

scenario!(a_door_that_is_closed_to_it_sends_the_message_through_the_platform, [April, Current], |stage| {
    let world = stage.world();
    for status in [401, 403, 404, 405] {
        let port = PeerServer::new(Manner::Answer(status, "", "{}"));
        let (alpha, beta) = world.pair(&port.url());
        let relayed = world.count(route::A2A);
        let outcome = alpha.call_peer(beta.workspace_id(), "hello").unwrap();
        // The platform calls the same peer, and passes on its error.
        assert!(matches!(outcome, CallOutcome::PeerError { status: Some(_), .. }), "{outcome:?}");
        let heard = port.heard().all();
        assert_eq!((heard.len(), world.count(route::A2A)), (2, relayed + 1), "{status}");
        assert_eq!(heard[0].message_id(), heard[1].message_id());
        let direct = alpha.call_peer(beta.workspace_id(), PeerCall::new("hello").route(Route::Direct)).unwrap();
        assert!(matches!(direct, CallOutcome::PeerError { .. }), "{direct:?}");
    }
});

scenario!(where_nobody_listens_the_platform_is_asked_and_says_so, [April, Current], |stage| {
    let world = stage.world();
    let url = PeerServer::new(Manner::Echo).url();
    let (alpha, beta) = world.pair(&url);
    assert_eq!(alpha.call_peer(beta.workspace_id(), "hello").unwrap(), CallOutcome::Unreachable);
    assert_eq!(world.count(route::A2A), 1);
});

scenario!(a_message_that_no_server_could_keep_is_sent_nowhere, [April, Current], |stage| {
    let world = stage.world();
    let port = PeerServer::new(Manner::Echo);
    let (alpha, beta) = world.pair(&port.url());
    let error = alpha.call_peer(beta.workspace_id(), "a\0b").unwrap_err();
    super::assert_told(&error, ErrorKind::Config, "U+0000", "remove it");
    assert!(port.heard().is_empty() && world.count(route::A2A) == 0);
});

scenario!(a_discovery_that_hangs_does_not_outlast_the_call, [April, Current], |stage| {
    let world = stage.world();
    let port = PeerServer::new(Manner::Echo);
    let (alpha, beta) = world.pair(&port.url());
    let id = beta.workspace_id();
    let hangs = world.stall(&format!("/registry/discover/{id}"));
    let began = Instant::now();
    let error = alpha.call_peer(&id, PeerCall::new("hello").timeout(Duration::from_millis(300))).unwrap_err();
    // This is well below the 10 s that a discovery may take by itself.
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(port.heard().is_empty() && world.count(route::A2A) == 0);
    hangs.end();
});
