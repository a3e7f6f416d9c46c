//! Another server answers instead of the platform: a web page, a redirect, a login gate.

use molecule_conformance::ClosedPort;
use molecule_e2e::core::{ErrorKind, Event, Lane, OriginHeader};
use molecule_e2e::{route, scenario};

use crate::assert_told;

const PAGE: &str = "<!doctype html><title>Welcome</title>";
const HTML: [(&str, &str); 1] = [("content-type", "text/html; charset=utf-8")];

scenario!(a_web_page_is_a_routing_problem, [April, Current], |stage| {
    let world = stage.world();
    let (id, token) = world.workspace();
    let agent = world.setup(&id).token(&token).build().unwrap();
    for (status, cause) in [(200, "a web page"), (404, "not the platform's")] {
        for route in [route::STATE, route::SECRETS, route::HEARTBEAT, id.as_str(), route::REGISTER] {
            let _page = world.answer(route, status, &HTML, PAGE);
            let error = match route {
                route::STATE => agent.poll_state().unwrap_err(),
                route::SECRETS => agent.pull_secrets().unwrap_err(),
                route::HEARTBEAT => agent.heartbeat().unwrap_err(),
                _ => agent.register().unwrap_err(),
            };
            assert_told(&error, ErrorKind::Routing, cause, "MOLECULE_ORG_ID");
            assert!(error.to_string().contains("Origin"), "{error}");
            assert_eq!(error.status().unwrap().as_u16(), status);
            assert_eq!(error.attempts(), 1, "{error}");
        }
    }
});

scenario!(a_web_page_for_the_state_ends_no_loop, [April, Current], |stage| {
    let world = stage.world();
    let id = world.open_workspace();
    let agent = world.agent(&id);
    let running = agent.start();
    agent.events().wait_for("Online", |event| *event == Event::Online);
    for status in [200, 404] {
        let page = world.answer(route::STATE, status, &HTML, PAGE);
        let empty = world.answer_times(2, route::STATE, status, &[], "");
        world.wait_for_more(route::STATE, 6);
        running.assert_running();
        drop((page, empty));
    }
    agent.events().wait_for("Recovered", |event| matches!(event, Event::Recovered { lane: Lane::State, .. }));
    running.stop();
});

scenario!(json_of_another_shape_is_told_and_not_quoted, [April, Current], |stage| {
    let world = stage.world();
    let (id, token) = world.workspace();
    let agent = world.setup(&id).token(&token).build().unwrap();
    let _odd = world.answer(route::SECRETS, 200, &[("content-type", "application/json")], r#"{"KEY":["sk-secret"]}"#);
    let error = agent.pull_secrets().unwrap_err();
    assert_told(&error, ErrorKind::Protocol, "not an object of texts (line 1", "a proxy may have changed");
    assert!(!format!("{error:?}").contains("sk-secret"), "{error:?}");
});

scenario!(a_redirect_is_refused_and_its_location_named, [April, Current], |stage| {
    let world = stage.world();
    let (id, token) = world.workspace();
    let agent = world.setup(&id).token(&token).build().unwrap();
    let elsewhere = format!("{}/health?session=hunter2", world.url());
    for status in [301, 302, 303, 307, 308] {
        let _redirect = world.answer("", status, &[("location", elsewhere.as_str())], "");
        for error in [agent.heartbeat().unwrap_err(), agent.pull_secrets().unwrap_err(), agent.register().unwrap_err()]
        {
            assert_told(&error, ErrorKind::Redirected, "which is never followed", "check the platform URL");
            assert_eq!(error.location(), Some(format!("{}/health", world.url()).as_str()));
            assert!(error.to_string().contains("/health") && !error.to_string().contains("hunter2"), "{error}");
        }
    }
    assert_eq!(world.count("/health"), 0);
    assert_eq!(world.count(""), 15, "each was sent once");
});

scenario!(an_organisation_that_is_not_named, [April, Current], |stage| {
    let organisation = "11111111-2222-4333-8444-555555555555";
    let world = stage.world_with(|config| config.organisation = Some(organisation.to_owned()));
    let (id, token) = world.workspace();
    let setup = || world.setup(&id).token(&token);
    let error = setup().build().unwrap().pull_secrets().unwrap_err();
    assert_told(&error, ErrorKind::Routing, "", "organisation id");
    assert!(error.to_string().contains("MOLECULE_ORG_ID"), "{error}");
    let wrong = setup().org_id("99999999-2222-4333-8444-555555555555").build().unwrap();
    assert_told(&wrong.register().unwrap_err(), ErrorKind::Routing, "not the platform's", "MOLECULE_ORG_ID");
    let right = setup().org_id(organisation).build().unwrap();
    right.register().unwrap();
    assert!(right.pull_secrets().unwrap().is_empty());
});

scenario!(an_origin_that_the_platform_refuses, [April, Current], |stage| {
    let world = stage.world();
    let (id, token) = world.workspace();
    let setup = || world.setup(&id).token(&token);
    let foreign = setup().origin(OriginHeader::Explicit("https://elsewhere.example".to_owned())).build().unwrap();
    let error = foreign.pull_secrets().unwrap_err();
    assert_told(&error, ErrorKind::OriginRefused, "Origin", "MOLECULE_ORIGIN=off");
    assert!(setup().origin(OriginHeader::Off).build().unwrap().pull_secrets().unwrap().is_empty());
});

scenario!(nobody_listens, [Current], |stage| {
    use std::time::Duration;
    let world = stage.world();
    let (id, token) = world.workspace();
    let nobody = ClosedPort::new();
    let setup = world.setup(&id).token(&token).platform(&nobody.url());
    let agent = setup.call_limit(Duration::from_millis(20)).build().unwrap();
    let error = agent.pull_secrets().unwrap_err();
    assert_told(&error, ErrorKind::Unreachable, "no connection", "can be reached from here");
    assert!(error.is_retryable());
});
