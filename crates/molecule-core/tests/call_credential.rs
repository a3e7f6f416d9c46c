//! The source of a call's bearer, and the effect of a 401.

#![allow(clippy::unwrap_used)]

mod support;

use molecule_core::effect::{Effect, EffectId, HostOp, Slot};
use molecule_core::endpoint::Secrets;
use molecule_core::machines::{Call, Register};
use molecule_core::{ErrorKind, Event};
use serde_json::json;
use support::probe::{At, Costly, Harmless, Relayed};
use support::*;

/// Accepts only this token.
fn only(token: &str) -> impl FnMut(&Seen) -> Reply + use<> {
    let token = token.to_owned();
    move |seen| {
        let good = seen.bearer.as_ref() == Some(&token);
        if good {
            Answer::json(200, json!({})).into()
        } else {
            Answer::error(401, "invalid workspace auth token").into()
        }
    }
}

#[test]
fn a_token_that_was_not_read_yet_is_read_first() {
    let mut agent = Agent::stored(&secret("first"));
    run(&mut agent, Call::new(Secrets), only(&secret("first"))).unwrap();
    assert_eq!(
        agent.take_trace(),
        "start 1 Load(Token)\n\
         feed 1 Host(Loaded(18 bytes))\n\
         start 2 GET /workspaces/:id/secrets/values (bearer)\n\
         feed 2 Response(200 OK, 2 bytes)\n\
         done {}"
    );
    run(&mut agent, Call::new(Secrets), only(&secret("first"))).unwrap();
    assert_eq!(agent.store.token_reads, 1, "read again");
}

/// Another call minted a token while the store was being read, so the token that was read is older.
#[test]
fn a_token_that_was_read_before_a_newer_one_was_minted_does_not_win() {
    let mut agent = Agent::stored(&secret("first"));
    let mut slow = Driven::new(Call::new(Secrets));
    slow.settle(&mut agent);
    let (id, read) = (EffectId(1), agent.store.perform(&HostOp::Load(Slot::Token)));
    let mut platform = Platform::current().without_token();
    run(&mut agent, Register::new(), |seen| platform.serve(seen)).unwrap();
    assert!(slow.feed(&mut agent, id, read).is_none());
    slow.finish(&mut agent, &mut only(&secret("minted1"))).unwrap();
    assert!(agent.lines("feed").iter().all(|line| !line.contains("401")), "the older one was used");
}

#[test]
fn without_a_token_nothing_is_sent() {
    let mut agent = Agent::new();
    let error = run(&mut agent, Call::new(Secrets), |_| panic!("a request without a bearer")).unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::TokenNotHeld, 0));
    assert_eq!(
        error.to_string(),
        "pull secrets failed: no token is held for this workspace; register first, or with the token: give \
         token(…), or set MOLECULE_WORKSPACE_TOKEN and build with from_env() or or_env()"
    );
}

#[test]
fn a_store_that_cannot_be_read_or_holds_no_token_is_the_error() {
    let mut agent = Agent::stored(&secret("first"));
    agent.store.fail("Load");
    let error = run(&mut agent, Call::new(Secrets), |_| panic!("sent")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Storage);
    assert_eq!(error.to_string(), "pull secrets failed: Load was refused: the disk is full; free some space");

    for damaged in [format!("{MARK} {MARK}"), String::new(), "ROTATE_TO_REVEAL_TOKEN".to_owned()] {
        let mut agent = Agent::stored(&damaged);
        let error = run(&mut agent, Call::new(Secrets), |_| panic!("sent")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Storage);
        let told = error.to_string();
        assert!(
            told.contains("/home/agent/Token") && told.contains("; keep it, since it may be the only copy"),
            "{told}"
        );
    }
}

/// Encodings that editors and shells write: PowerShell's `>` writes UTF-16, its `Set-Content -Encoding utf8` a byte
/// order mark.
#[test]
fn a_tokens_file_may_begin_with_a_byte_order_mark() {
    let token = secret("first");
    let utf_16 = |unit: fn(u16) -> [u8; 2]| {
        let text = format!("\u{feff}{token}\r\n");
        text.encode_utf16().flat_map(unit).collect::<Vec<u8>>()
    };
    let files = [format!("\u{feff}{token}\r\n").into_bytes(), utf_16(u16::to_le_bytes), utf_16(u16::to_be_bytes)];
    for file in files {
        let mut agent = Agent::new();
        agent.store.raw_token = Some(file);
        run(&mut agent, Call::new(Harmless), only(&token)).unwrap();
    }
    let mut agent = Agent::new();
    agent.store.raw_token = Some(vec![0xff, 0xfe, b'a']);
    let error = run(&mut agent, Call::new(Secrets), |_| panic!("sent")).unwrap_err();
    assert!(error.to_string().contains("it is not text"), "{error}");
}

/// The error names the text around a token and shows the form of a token. The file is kept.
#[test]
fn a_tokens_file_with_more_in_it_than_the_token_says_what() {
    let token = secret("first");
    for (file, named) in [
        (format!("\"{token}\"\n"), "a pair of quotes"),
        (format!("MOLECULE_WORKSPACE_TOKEN={token}\n"), "`KEY=`"),
        (format!("Bearer {token}"), "`Bearer `"),
        (format!("{{\"auth_token\": \"{token}\"}}"), "JSON"),
    ] {
        let mut agent = Agent::stored(&file);
        let error = run(&mut agent, Call::new(Secrets), |_| panic!("sent")).unwrap_err();
        let told = error.to_string();
        for part in [named, "keep it", "43 letters, digits, `-` and `_`", "token(…)", "MOLECULE_WORKSPACE_TOKEN"] {
            assert!(told.contains(part), "{told} does not say {part}");
        }
        assert!(!told.contains(MARK) && !told.contains("remove"), "{told}");
        assert_eq!(agent.store.token.as_deref(), Some(&*file), "it is left for its owner to look at");
    }
}

#[test]
fn after_a_401_the_store_is_read_once_and_a_newer_token_is_used() {
    let mut agent = Agent::stored(&secret("first"));
    run(&mut agent, Call::new(Harmless), only(&secret("first"))).unwrap();
    agent.take_trace();
    agent.store.token = Some(secret("second"));
    run(&mut agent, Call::new(Costly), only(&secret("second"))).unwrap();
    assert_eq!(
        agent.take_trace(),
        "start 3 POST /probe (bearer)\n\
         feed 3 Response(401 Unauthorized, 40 bytes)\n\
         start 4 Load(Token)\n\
         feed 4 Host(Loaded(20 bytes))\n\
         event TokenChanged\n\
         start 5 POST /probe (bearer)\n\
         feed 5 Response(200 OK, 2 bytes)\n\
         done Object {}"
    );
}

#[test]
fn a_401_is_the_end_where_the_store_has_nothing_newer() {
    for stored in [Some(secret("first")), None] {
        let mut agent = Agent::stored(&secret("first"));
        run(&mut agent, Call::new(Harmless), only(&secret("first"))).unwrap();
        agent.store.token = stored;
        agent.store.token_reads = 0;
        let error = run(&mut agent, Call::new(Harmless), only("another")).unwrap_err();
        assert_eq!((error.kind(), error.attempts(), agent.store.token_reads), (ErrorKind::Unauthorized, 1, 1));
        assert_eq!(error.status().unwrap(), 401);
        assert_eq!(error.server_message(), Some("invalid workspace auth token"));
        assert!(!error.is_retryable());
    }
}

#[test]
fn a_newer_token_that_is_refused_too_is_the_end() {
    let mut agent = Agent::with(Agent::options().token(secret("given")), 7);
    agent.store.token = Some(secret("stored"));
    let error = run(&mut agent, Call::new(Harmless), only("another")).unwrap_err();
    assert_eq!((error.kind(), error.attempts(), agent.store.token_reads), (ErrorKind::Unauthorized, 2, 1));
}

/// April's server answers 401 while its database is down.
#[test]
fn a_token_that_the_store_does_not_hold_is_tried_again_after_a_stored_one() {
    let mut agent = Agent::with(Agent::options().token(secret("given")), 7);
    agent.store.token = Some(secret("stored"));
    run(&mut agent, Call::new(Harmless), only("nobody")).unwrap_err();
    agent.take_trace();
    run(&mut agent, Call::new(Harmless), only(&secret("given"))).unwrap();
    assert_eq!(
        agent.take_trace(),
        "start 5 POST /probe (bearer)\n\
         feed 5 Response(401 Unauthorized, 40 bytes)\n\
         start 6 Load(Token)\n\
         feed 6 Host(Loaded(20 bytes))\n\
         event TokenChanged\n\
         start 7 POST /probe (bearer)\n\
         feed 7 Response(200 OK, 2 bytes)\n\
         done Object {}"
    );
}

#[test]
fn a_minted_token_that_only_memory_holds_is_not_lost_to_a_stored_one() {
    let mut agent = Agent::stored(&secret("first"));
    agent.store.fail("Replace");
    let mut platform = Platform::current().without_token();
    let error = run(&mut agent, Register::new(), |seen| platform.serve(seen)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TokenNotSaved);
    run(&mut agent, Call::new(Harmless), only("nobody")).unwrap_err();
    run(&mut agent, Call::new(Harmless), only(&secret("minted1"))).unwrap();
    // The token is stored as soon as the store works again.
    agent.store.mend();
    run(&mut agent, Register::new(), |seen| platform.serve(seen)).unwrap();
    assert_eq!(agent.store.token, Some(secret("minted1")));
}

#[test]
fn a_401_stays_a_401_where_the_store_cannot_be_read() {
    for damage in
        [|agent: &mut Agent| agent.store.fail("Load"), |agent: &mut Agent| agent.store.token = Some("a b".into())]
    {
        let mut agent = Agent::with(Agent::options().token(secret("given")), 7);
        damage(&mut agent);
        let mut driven = Driven::new(Call::new(Harmless));
        let error = driven.finish(&mut agent, &mut only("another")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error}");
        assert!(matches!(driven.events[..], [Event::Warning(_)]), "{:?}", driven.events);
    }
}

#[test]
fn a_given_token_wins_and_the_stored_one_is_tried_on_a_401() {
    let mut agent = Agent::with(Agent::options().token(secret("given")), 7);
    agent.store.token = Some(secret("stored"));
    run(&mut agent, Call::new(Harmless), only(&secret("given"))).unwrap();
    assert_eq!(agent.store.token_reads, 0);
    run(&mut agent, Call::new(Harmless), only(&secret("stored"))).unwrap();
    assert_eq!(agent.store.token, Some(secret("stored")), "the given token was written to the store");
}

#[test]
fn a_given_token_is_not_written_to_the_store() {
    let mut agent = Agent::with(Agent::options().token(secret("given")), 7);
    run(&mut agent, Call::new(Harmless), only(&secret("given"))).unwrap();
    assert_eq!(agent.store.token, None);
}

fn feed_all(driven: &mut Driven<Call<Harmless>>, agent: &mut Agent, server: &mut impl FnMut(&Seen) -> Reply) {
    let flying: Vec<EffectId> = driven.in_flight.keys().copied().collect();
    for id in flying {
        let Effect::Http(request, _) = &driven.in_flight[&id] else { panic!("no request") };
        let Reply::Now(outcome) = server(&Seen::new(request, agent.now)) else { panic!("not at once") };
        assert!(driven.feed(agent, id, outcome).is_none());
    }
}

/// Another process rotated the token while two calls were in flight.
#[test]
fn two_calls_in_flight_both_end_well_after_a_rotation() {
    let mut agent = Agent::stored(&secret("first"));
    run(&mut agent, Call::new(Harmless), only(&secret("first"))).unwrap();
    agent.store.token_reads = 0;
    let (mut one, mut other) = (Driven::new(Call::new(Harmless)), Driven::new(Call::new(Harmless)));
    one.settle(&mut agent);
    other.settle(&mut agent);
    agent.store.token = Some(secret("second"));
    let mut server = only(&secret("second"));
    // Both calls are refused before either of them reads the store.
    feed_all(&mut one, &mut agent, &mut server);
    feed_all(&mut other, &mut agent, &mut server);
    one.finish(&mut agent, &mut server).unwrap();
    other.finish(&mut agent, &mut server).unwrap();
    assert!(agent.store.token_reads <= 2, "{} reads", agent.store.token_reads);
    let told = [one.events, other.events].concat();
    assert_eq!(told, [Event::TokenChanged], "said once");
}

#[test]
fn a_bearer_that_changed_under_a_request_is_used_without_reading_the_store() {
    let mut agent = Agent::stored(&secret("first"));
    run(&mut agent, Call::new(Harmless), only(&secret("first"))).unwrap();
    let mut slow = Driven::new(Call::new(Harmless));
    slow.settle(&mut agent);
    agent.store.token = Some(secret("second"));
    let mut server = only(&secret("second"));
    run(&mut agent, Call::new(Harmless), &mut server).unwrap();
    agent.store.token_reads = 0;
    feed_all(&mut slow, &mut agent, &mut server);
    slow.finish(&mut agent, &mut server).unwrap();
    assert_eq!(agent.store.token_reads, 0);
}

#[test]
fn a_bearer_that_changes_again_and_again_ends_the_call() {
    let mut agent = Agent::stored(&secret("0"));
    run(&mut agent, Call::new(Harmless), only(&secret("0"))).unwrap();
    let mut slow = Driven::new(Call::new(Harmless));
    let mut requests = 0;
    while slow.settle(&mut agent) != Rest::Done {
        requests += 1;
        assert!(requests < 10, "for ever");
        let next = secret(&requests.to_string());
        agent.store.token = Some(next.clone());
        run(&mut agent, Call::new(Harmless), only(&next)).unwrap();
        feed_all(&mut slow, &mut agent, &mut only("nobody's"));
    }
    assert_eq!((requests, slow.done.unwrap().unwrap_err().kind()), (4, ErrorKind::Unauthorized));
}

#[test]
fn a_peers_401_and_429_touch_neither_credential_nor_budget() {
    let mut agent = Agent::stored(&secret("first"));
    agent.store.token = Some(secret("first"));
    run(&mut agent, Call::new(Harmless), only(&secret("first"))).unwrap();
    agent.store.token = Some(secret("second"));
    agent.store.token_reads = 0;
    let error = run(&mut agent, Call::new(Relayed), only("nobody's")).unwrap_err();
    assert_eq!((error.attempts(), agent.store.token_reads), (1, 0));

    let limited = || {
        let answer = Answer::error(429, "later").header("retry-after", "30");
        answer.header("x-ratelimit-limit", "600").header("x-ratelimit-remaining", "0").header("x-ratelimit-reset", "30")
    };
    run(&mut agent, Call::once(Relayed), |_| limited().into()).unwrap_err();
    assert_eq!(agent.session.health().rate, None);
    run(&mut agent, Call::once(Harmless), |_| limited().into()).unwrap_err();
    assert!(agent.session.health().rate.is_some(), "not even its own");
}

#[test]
fn the_bearer_stays_at_the_platforms_origin() {
    // The driver of these tests refuses every request to another origin.
    for path in ["/probe", "//other.example/x", "/@other.example/", "/probe?to=https://other.example"] {
        let mut agent = Agent::with(Agent::options().token(secret("first")), 7);
        run(&mut agent, Call::new(At(path.to_owned())), only(&secret("first"))).unwrap();
        assert_eq!(agent.lines("start"), [format!("start 1 GET {path} (bearer)")]);
    }
    for path in ["https://other.example/x", "@other.example/", ".other.example/", ":8443/x", "", "/a/../b", "/a b"] {
        let mut agent = Agent::with(Agent::options().token(secret("first")), 7);
        let error = run(&mut agent, Call::new(At(path.to_owned())), |_| panic!("sent")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{path}: {error}");
    }
}

#[test]
fn headers_are_those_of_the_contract_and_the_bearers_prints_nowhere() {
    let options = Agent::options().org_id("11111111-2222-4333-8444-555555555555").token(secret("first"));
    let mut agent = Agent::with(options, 7);
    let mut driven = Driven::new(Call::new(Harmless));
    driven.settle(&mut agent);
    let Some(Effect::Http(request, _)) = driven.in_flight.values().next() else { panic!("no request") };
    let header = |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap();
    let names: Vec<&str> = request.headers().keys().map(|name| name.as_str()).collect();
    let due = ["accept", "accept-encoding", "authorization", "origin", "user-agent", "x-molecule-org-id"];
    assert!(due.iter().all(|name| names.contains(name)) && names.len() == due.len(), "{names:?}");
    assert_eq!(header("origin"), ORIGIN);
    assert_eq!(header("x-molecule-org-id"), "11111111-2222-4333-8444-555555555555");
    assert_eq!(header("accept"), "application/json");
    assert_eq!(header("accept-encoding"), "identity");
    assert!(header("user-agent").starts_with("molecule-rust/"));
    assert_eq!(header("authorization"), format!("Bearer {}", secret("first")));
    assert!(request.headers()["authorization"].is_sensitive());
    assert!(!format!("{:?}", request.headers()).contains(MARK));
}
