//! An agent with a server of its own is called, and answers in the same exchange.

use molecule_e2e::core::{CallOutcome, PeerCall, Reply, Route, ServerOptions};
use molecule_e2e::platform::Dialect;
use molecule_e2e::serve::Delivery;
use molecule_e2e::{Log, Stage, route, scenario};

/// A server that the platform calls: April's brings no credential.
pub(crate) fn options(stage: Stage) -> ServerOptions {
    match stage.dialect {
        Dialect::April => ServerOptions::new().allow_unauthenticated(),
        Dialect::Current => ServerOptions::new(),
    }
}

scenario!(a_message_is_answered_in_the_exchange_in_which_it_comes, [April, Current], |stage| {
    let world = stage.world();
    let [alpha, beta] =
        [world.workspace(), world.workspace()].map(|(id, token)| world.setup(&id).token(&token).build().unwrap());
    alpha.register().unwrap_or_else(|error| panic!("{error}"));
    let server =
        beta.serve(options(stage), |message| Ok(Some(Reply::text(format!("got {}", message.text()))))).unwrap();
    assert!(server.url().starts_with("http://localhost:"), "{}", server.url());
    let call = PeerCall::new("hello").route(Route::Proxy);
    let outcome = alpha.call_peer(beta.workspace_id(), call).unwrap();
    assert_eq!(outcome.to_string(), "replied: got hello");

    let id = world.platform(|platform, now| platform.send_user_message(now, &beta.workspace_id(), "people")).unwrap();
    world.wait_until("that the row has the answer", |platform| {
        platform.activity(&beta.workspace_id()).iter().any(|row| {
            let asked = row.request_body.as_ref().is_some_and(|body| body["params"]["message"]["messageId"] == *id);
            asked && row.response_body.as_ref().is_some_and(|body| body["result"]["parts"][0]["text"] == "got people")
        })
    });
    server.stop().unwrap();
});

scenario!(the_agent_registers_its_url_before_it_beats_and_polls_again_when_the_server_stops, [Current], |stage| {
    let world = stage.world();
    let (id, token) = world.workspace();
    let agent = world.setup(&id).token(&token).build().unwrap();
    let running = agent.start_delivered(Delivery::Push(options(stage)), |_| Ok(None));
    world.wait_for_count(route::HEARTBEAT, 2);
    let modes = || {
        world.requests(route::REGISTER).into_iter().map(|seen| {
            let body: serde_json::Value = serde_json::from_slice(&seen.body).unwrap();
            (
                body["delivery_mode"].as_str().unwrap_or_default().to_owned(),
                body["url"].as_str().unwrap_or_default().to_owned(),
            )
        })
    };
    let first = modes().next().unwrap();
    assert_eq!(first.0, "push");
    assert!(first.1.starts_with("http://localhost:"), "{first:?}");
    world.wait_for_requests("a register before every heartbeat", |requests| {
        let place = |path: &str| requests.iter().position(|seen| seen.path.ends_with(path));
        place(route::REGISTER) < place(route::HEARTBEAT)
    });
    running.stop();
    assert_eq!(modes().last().unwrap(), ("poll".to_owned(), String::new()));
});

scenario!(a_failed_bind_registers_nothing, [April, Current], |stage| {
    let world = stage.world();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (id, token) = world.workspace();
    let agent = world.setup(&id).token(&token).build().unwrap();
    let options = options(stage).bind(taken.local_addr().unwrap().to_string());
    let error = agent.serve(options, |_| Ok(None)).unwrap_err();
    crate::assert_told(&error, molecule_e2e::core::ErrorKind::Config, "cannot listen on 127.0.0.1", "another port");
    assert_eq!(world.count(route::REGISTER), 0);
});

scenario!(an_agent_without_the_secret_is_refused_and_the_platform_is_not, [Current], |stage| {
    let world = stage.world();
    let (id, token) = world.workspace();
    let agent = world.setup(&id).token(&token).build().unwrap();
    let handled = Log::default();
    let seen = handled.clone();
    let server = agent.serve(options(stage), move |message| {
        seen.push(message.text().into_owned());
        Ok(None)
    });
    let server = server.unwrap();
    for bearer in [None, Some("guessed"), Some(token.expose())] {
        let refused = (401, serde_json::json!({"error": "unauthorized"}));
        assert_eq!(server.call(bearer, "m-1", "let me in"), refused);
    }
    let secret = agent.inbound_secret().unwrap();
    assert_eq!(server.call(Some(secret.expose()), "m-2", "it is me").0, 200);
    assert_eq!(handled.all(), ["it is me"]);
});

scenario!(a_message_that_comes_again_gets_the_same_answer_also_after_a_restart, [Current], |stage| {
    let world = stage.world();
    let (id, token) = world.workspace();
    let handled = Log::default();
    let start = || {
        let agent = world.setup(&id).token(&token).build().unwrap();
        let seen = handled.clone();
        let server = agent.serve(options(stage), move |message| {
            seen.push(message.text().into_owned());
            Ok(Some(Reply::text(format!("number {}", seen.all().len()))))
        });
        (server.unwrap(), agent.inbound_secret().unwrap(), agent)
    };
    let (server, secret, _agent) = start();
    let first = server.call(Some(secret.expose()), "m-1", "once");
    assert_eq!(first.1["result"]["parts"][0]["text"], "number 1");
    assert_eq!(server.call(Some(secret.expose()), "m-1", "once"), first);
    drop(server);
    let (server, secret, _agent) = start();
    assert_eq!(server.call(Some(secret.expose()), "m-1", "once"), first);
    assert_eq!(handled.all(), ["once"]);
});

scenario!(what_an_agent_says_to_a_call_is_told_apart, [April, Current], |stage| {
    let world = stage.world();
    let [alpha, beta] =
        [world.workspace(), world.workspace()].map(|(id, token)| world.setup(&id).token(&token).build().unwrap());
    alpha.register().unwrap_or_else(|error| panic!("{error}"));
    let server = beta.serve(options(stage), |message| match message.text().as_ref() {
        "fail" => Err("what went wrong is nobody's business".to_owned()),
        "nothing" => Ok(None),
        "later" => Ok(Some(Reply::later())),
        text => Ok(Some(Reply::text(text))),
    });
    let _server = server.unwrap();
    let call = |text: &str| alpha.call_peer(beta.workspace_id(), PeerCall::new(text).route(Route::Proxy)).unwrap();
    let failed = call("fail");
    assert!(matches!(failed, CallOutcome::PeerError { .. }), "{failed:?}");
    assert!(!format!("{failed:?}").contains("business"), "{failed:?}");
    for text in ["nothing", "later"] {
        assert_eq!(call(text).reply().unwrap().texts(), Vec::<&str>::new(), "{text}");
    }
    assert_eq!(call("fine").reply().unwrap().texts(), ["fine"]);
});
