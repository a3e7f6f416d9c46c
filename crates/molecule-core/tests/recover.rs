//! Recovery: a rotation on the current server, an additional token on April's; with an admin's credential or the
//! agent's own token.

#![allow(clippy::unwrap_used)]

mod support;

use molecule_core::effect::FaultKind;
use molecule_core::endpoint::Secrets;
use molecule_core::machines::{Call, Recover};
use molecule_core::{Error, ErrorKind, Event, Recovered, Recovery};
use serde_json::json;
use support::platform::{MINT, ROTATE, TOKENS, VIEW};
use support::*;

fn admin() -> Recovery {
    Recovery::admin(&secret("admin")).unwrap()
}

fn recover(agent: &mut Agent, recovery: Recovery, platform: &mut Platform) -> Result<Recovered, Error> {
    run(agent, Recover::new(recovery), |seen| platform.serve(seen))
}

#[test]
fn an_admin_rotates_on_the_current_server() {
    let mut agent = Agent::new();
    let mut platform = Platform::current();
    assert_eq!(recover(&mut agent, admin(), &mut platform).unwrap(), Recovered::Rotated);
    assert_eq!(agent.store.token, Some(secret("minted1")));
    assert_eq!(platform.last(ROTATE).bearer, Some(secret("admin")));
    assert_eq!(
        agent.take_trace(),
        "start 1 Load(Token)\n\
         feed 1 Host(Loaded(nothing))\n\
         start 2 Prepare\n\
         feed 2 Host(Prepared)\n\
         start 3 GET /workspaces/:id\n\
         feed 3 Response(200 OK, 98 bytes)\n\
         start 4 POST /workspaces/:id/external/rotate (bearer)\n\
         feed 4 Response(200 OK, 201 bytes)\n\
         start 5 Replace(Token, 22 bytes)\n\
         feed 5 Host(Replaced)\n\
         event TokenChanged\n\
         done Rotated"
    );
    run(&mut agent, Call::new(Secrets), |seen| platform.serve(seen)).unwrap();
    assert_eq!(platform.last("GET /workspaces/:id/secrets/values").bearer, Some(secret("minted1")), "the admin's");
}

#[test]
fn an_agent_rotates_its_own_token() {
    let mut agent = Agent::stored(&secret("first"));
    let mut platform = Platform::current();
    assert_eq!(recover(&mut agent, Recovery::Own, &mut platform).unwrap(), Recovered::Rotated);
    assert_eq!(platform.last(ROTATE).bearer, Some(secret("first")));
    assert_eq!(agent.store.token, Some(secret("minted1")));
}

#[test]
fn on_aprils_server_one_more_token_is_minted_and_the_old_one_revoked() {
    for recovery in [admin(), Recovery::Own] {
        let minter = if recovery == Recovery::Own { secret("first") } else { secret("admin") };
        let mut agent = Agent::stored(&secret("first"));
        let mut platform = Platform::april();
        assert_eq!(recover(&mut agent, recovery, &mut platform).unwrap(), Recovered::Minted { old_revoked: true });
        assert_eq!(platform.count(ROTATE), 0);
        assert_eq!(platform.last(MINT).bearer, Some(minter));
        assert_eq!(platform.last(TOKENS).bearer, Some(secret("minted1")), "the new token works");
        assert_eq!(platform.live.iter().collect::<Vec<_>>(), [&secret("minted1")]);
        assert_eq!(agent.store.token, Some(secret("minted1")));
        let trace = agent.take_trace();
        assert!(trace.find("Host(Replaced)") < trace.find("tokens?limit"), "saved before anything else:\n{trace}");
    }
}

#[test]
fn an_old_token_is_revoked_only_where_its_prefix_names_it_alone() {
    // Two live tokens with the same prefix, and a new token with the old one's prefix.
    let twin = "first-s3-the other one".replace(' ', "-");
    for (others, minted) in [(vec![twin], secret("minted1")), (vec![], "first-s3-s3cr3t-again".to_owned())] {
        let mut agent = Agent::stored(&secret("first"));
        let mut platform = Platform::april();
        platform.live.extend(others);
        platform.live.insert(minted.clone());
        let live = platform.live.clone();
        let answer = json!({"auth_token": minted, "workspace_id": ID});
        platform.weather = Box::new(move |seen| seen.is(MINT).then(|| Answer::json(201, answer.clone()).into()));
        let recovered = recover(&mut agent, admin(), &mut platform).unwrap();
        assert_eq!(recovered, Recovered::Minted { old_revoked: false });
        assert_eq!(platform.live, live);
        assert_eq!(agent.store.token, Some(minted));
    }
}

#[test]
fn where_none_was_held_none_is_revoked() {
    let mut agent = Agent::new();
    let mut platform = Platform::april();
    let recovered = recover(&mut agent, admin(), &mut platform).unwrap();
    assert_eq!(recovered, Recovered::Minted { old_revoked: false });
    assert_eq!(platform.live.len(), 2);
}

#[test]
fn an_old_token_that_lives_on_is_a_warning() {
    for broken in [TOKENS, "DELETE"] {
        let mut agent = Agent::stored(&secret("first"));
        let mut platform = Platform::april();
        platform.weather = Box::new(move |seen| {
            let hit = seen.is(broken) || seen.method == broken;
            hit.then(|| Answer::error(500, "failed").into())
        });
        let mut driven = Driven::new(Recover::new(admin()));
        let recovered = driven.finish(&mut agent, &mut |seen| platform.serve(seen)).unwrap();
        assert_eq!(recovered, Recovered::Minted { old_revoked: false });
        let warned =
            driven.events.iter().any(|event| matches!(event, Event::Warning(said) if said.contains("old token")));
        assert!(warned, "{:?}", driven.events);
    }
}

/// The first answer of the revocation is lost. The second says that the token is already revoked.
#[test]
fn an_old_token_that_is_revoked_already_is_revoked() {
    let mut agent = Agent::stored(&secret("first"));
    let mut platform = Platform::april();
    let mut lost = false;
    let recovered = run(&mut agent, Recover::new(admin()), |seen| {
        let reply = platform.serve(seen);
        if seen.method == "DELETE" && !std::mem::replace(&mut lost, true) {
            return fault(FaultKind::Interrupted).into();
        }
        reply
    });
    assert_eq!(recovered.unwrap(), Recovered::Minted { old_revoked: true });
}

#[test]
fn a_removed_or_unknown_workspace_gets_no_token() {
    for (removed, purged, kind) in [(true, false, ErrorKind::Removed), (false, true, ErrorKind::NotCreated)] {
        for mut platform in [Platform::current(), Platform::april()] {
            (platform.removed, platform.purged) = (removed, purged);
            let error = recover(&mut Agent::new(), admin(), &mut platform).unwrap_err();
            assert_eq!((error.kind(), error.operation()), (kind, "recover"));
            assert_eq!(platform.seen.len(), 1, "more than the view was asked");
            assert!(platform.seen[0].is(VIEW) && platform.seen[0].bearer.is_none());
        }
    }
}

#[test]
fn a_rotation_whose_answer_may_be_lost_is_not_repeated_and_says_what_it_may_have_done() {
    let lost: [fn() -> Reply; 9] = [
        || fault(FaultKind::Interrupted).into(),
        || fault(FaultKind::Timeout(molecule_core::effect::Phase::Head)).into(),
        || fault(FaultKind::TooLarge).into(),
        || Answer::html(200).into(),
        || Answer::json(200, json!({})).above_cap().into(),
        || Answer::html(503).header("retry-after", "1").into(),
        || Answer::error(503, "Service Unavailable").header("retry-after", "1").into(),
        || Answer::empty(502).into(),
        || Answer::empty(504).into(),
    ];
    for reply in lost {
        let mut platform = Platform::current();
        platform.weather = Box::new(move |seen| seen.is(ROTATE).then(reply));
        let error = recover(&mut Agent::new(), admin(), &mut platform).unwrap_err();
        assert_eq!(platform.count(ROTATE), 1, "{error}");
        assert!(error.to_string().contains("old tokens may be revoked by now"), "{error}");
    }
}

#[test]
fn a_rotation_that_was_never_handled_is_repeated() {
    let refusals: [fn() -> Reply; 3] = [
        || unsent(FaultKind::Connect).into(),
        || Answer::error(429, "rate limit exceeded").into(),
        || Answer::json(503, json!({"error": "down", "code": "platform_unavailable"})).into(),
    ];
    for reply in refusals {
        let mut platform = Platform::current();
        let mut refused = false;
        platform.weather =
            Box::new(move |seen| (seen.is(ROTATE) && !std::mem::replace(&mut refused, true)).then(reply));
        assert_eq!(recover(&mut Agent::new(), admin(), &mut platform).unwrap(), Recovered::Rotated);
    }
}

#[test]
fn an_answer_without_a_token_says_that_the_old_ones_may_be_revoked() {
    let mut platform = Platform::current();
    platform.weather = Box::new(|seen| {
        let connection = json!({
            "workspace_id": ID, "platform_url": ORIGIN, "auth_token": "", "registry_endpoint": "", "heartbeat_endpoint": "",
        });
        seen.is(ROTATE).then(|| Answer::json(200, json!({ "connection": connection })).into())
    });
    let error = recover(&mut Agent::new(), admin(), &mut platform).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(error.to_string().contains("old tokens may be revoked by now"), "{error}");
}

#[test]
fn a_new_token_that_cannot_be_saved_is_held() {
    for mut platform in [Platform::current(), Platform::april()] {
        let mut agent = Agent::stored(&secret("first"));
        agent.store.fail("Replace");
        let error = recover(&mut agent, admin(), &mut platform).unwrap_err();
        assert_eq!((error.kind(), error.operation()), (ErrorKind::TokenNotSaved, "recover"));
        assert!(error.to_string().contains("disk is full"), "{error}");
        assert_eq!(agent.store.token, Some(secret("first")), "the old file survives");
        run(&mut agent, Call::new(Secrets), |seen| platform.serve(seen)).unwrap();
    }
}

#[test]
fn nothing_is_asked_where_the_store_cannot_be_written() {
    let mut agent = Agent::stored(&secret("first"));
    agent.store.fail("Prepare");
    let error = run(&mut agent, Recover::new(admin()), |seen| panic!("sent {seen}")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Storage);
}

#[test]
fn a_damaged_token_file_is_what_an_admin_recovers_from() {
    let mut agent = Agent::stored("two words");
    assert_eq!(recover(&mut agent, admin(), &mut Platform::current()).unwrap(), Recovered::Rotated);
    assert_eq!(agent.store.token, Some(secret("minted1")));

    let mut agent = Agent::stored("two words");
    let error = recover(&mut agent, Recovery::Own, &mut Platform::current()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Storage);
}

#[test]
fn refused_credentials_name_their_remedy() {
    for (recovery, remedy) in
        [(admin(), "check the admin credential"), (Recovery::Own, "recover with an admin credential")]
    {
        for mut platform in [Platform::current(), Platform::april()] {
            platform.weather = Box::new(|seen| {
                let asks = seen.is(ROTATE) || seen.is(MINT);
                asks.then(|| Answer::error(401, "invalid admin auth token").into())
            });
            let mut agent = Agent::stored(&secret("first"));
            let error = recover(&mut agent, recovery.clone(), &mut platform).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unauthorized);
            assert!(error.to_string().contains(remedy), "{error}");
            // The store is read for a newer token of the agent, never for an admin's.
            assert_eq!(agent.store.token_reads, if recovery == Recovery::Own { 2 } else { 1 });
        }
    }
    let error = recover(&mut Agent::new(), Recovery::Own, &mut Platform::current()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TokenNotHeld);
    assert_eq!(Recovery::admin("two words").unwrap_err().kind(), ErrorKind::Config);
    assert!(!format!("{:?}", admin()).contains(MARK));
}
