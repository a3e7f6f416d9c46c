//! Two agents of ours talk: through the platform and directly, and one of them may poll.

use molecule_e2e::core::{CallOutcome, PeerCall, Reply, Route, Sender};
use molecule_e2e::platform::Dialect;
use molecule_e2e::{Log, route, scenario};

use crate::push_answered::options;

scenario!(push_to_push_push_to_poll_and_poll_to_push, [April, Current], |stage| {
    let world = stage.world();
    let [alpha, beta, gamma] = [world.workspace(), world.workspace(), world.workspace()]
        .map(|(id, token)| world.setup(&id).token(&token).build().unwrap());
    let got = |name: &'static str| {
        move |message: molecule_e2e::core::InboundMessage| {
            Ok(Some(Reply::text(format!("{name} got {}", message.text()))))
        }
    };
    let _servers =
        [("alpha", &alpha), ("beta", &beta)].map(|(name, agent)| agent.serve(options(stage), got(name)).unwrap());
    let proxied = |text: &str| PeerCall::new(text).route(Route::Proxy);
    assert_eq!(alpha.call_peer(beta.workspace_id(), proxied("one")).unwrap().to_string(), "replied: beta got one");
    assert_eq!(beta.call_peer(alpha.workspace_id(), proxied("two")).unwrap().to_string(), "replied: alpha got two");
    // At will it goes directly, and on the current server through the platform once the peer has refused it.
    let relayed = world.count(route::A2A);
    assert_eq!(alpha.call_peer(beta.workspace_id(), "three").unwrap().to_string(), "replied: beta got three");
    let is_refused = stage.dialect == Dialect::Current;
    assert_eq!(world.count(route::A2A), relayed + usize::from(is_refused));
    if stage.dialect == Dialect::April {
        return; // No agent polls there.
    }
    let seen = Log::default();
    let heard = seen.clone();
    let running = gamma.start_with(move |message| {
        heard.push((message.sender().to_string(), message.text().into_owned()));
        Ok(None)
    });
    world.wait_for_count(route::HEARTBEAT, 1);
    assert_eq!(gamma.call_peer(alpha.workspace_id(), proxied("four")).unwrap().to_string(), "replied: alpha got four");
    assert_eq!(alpha.call_peer(gamma.workspace_id(), "five").unwrap(), CallOutcome::AcceptedForPoll);
    seen.wait_for("that gamma has the message", |(_, text)| text == "five");
    running.stop();
});

scenario!(a_peer_with_a_token_is_called_directly_and_known_by_it, [April, Current], |stage| {
    let world = stage.world();
    let [(alpha, alphas), (beta, betas)] = [world.workspace(), world.workspace()];
    let secret = "made-by-beta-for-alpha";
    let caller = world.setup(&alpha).token(&alphas).peer_token(beta.as_str(), secret).build().unwrap();
    caller.register().unwrap_or_else(|error| panic!("{error}"));
    let called = world.setup(&beta).token(&betas).build().unwrap();
    let seen = Log::default();
    let heard = seen.clone();
    let server = called.serve(options(stage).peer_token(&alpha, secret), move |message| {
        heard.push(message.sender().clone());
        Ok(Some(Reply::text("hello")))
    });
    let _server = server.unwrap();
    let relayed = world.count(route::A2A);
    assert_eq!(caller.call_peer(&beta, "hi").unwrap().to_string(), "replied: hello");
    assert_eq!(world.count(route::A2A), relayed, "through the platform");
    let [sender] = &seen.all()[..] else { panic!("{seen:?}") };
    assert!(matches!(sender, Sender::Peer { id, .. } if *id == alpha), "{sender:?}");
});
