//! What a server answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use molecule_core::proto::DeliveryMode;
use molecule_core::{InboundMessage, Reply, ServerOptions};
use serde_json::json;

use crate::any::{Agent, echo};
use crate::client::{Client, call, get, request, send};
use crate::scenario;
use crate::world::{ADMIN, PATIENCE, World, until};

scenario!(the_platform_pushes_and_gets_the_answer, |facade| {
    let world = World::new();
    let agent = Agent::new(facade, &world);
    let server = agent.start(ServerOptions::new(), echo()).unwrap();
    assert_eq!(server.url(), format!("http://localhost:{}/", server.local_addr().port()));
    let id = agent.id();
    assert_eq!(world.platform.with(|platform, _| platform.delivery_mode(&id)), Some(DeliveryMode::Push));
    let mut platform = Client::connect(world.platform.addr());
    platform.send(request("POST", &format!("/workspaces/{id}/a2a"), Some(ADMIN), &call("m1", "hello")));
    let answer = platform.answer();
    assert_eq!((answer.text().as_str(), answer.json()["id"].as_str()), ("hello", Some("rpc-m1")));
    // What the platform kept alive is used again.
    platform.send(request("POST", &format!("/workspaces/{id}/a2a"), Some(ADMIN), &call("m2", "again")));
    assert_eq!(platform.answer().text(), "again");
    server.stop().unwrap();
    assert_eq!(world.platform.with(|platform, _| platform.delivery_mode(&id)), Some(DeliveryMode::Poll));
});

scenario!(the_card_and_the_health_are_for_everybody_and_nothing_else_is, |facade| {
    let world = World::new();
    let agent = Agent::new(facade, &world);
    let options = ServerOptions::new().url("http://localhost:1/a2a/in");
    let server = agent.start(options, echo()).unwrap();
    let (address, secret) = (server.local_addr(), agent.secret());
    for path in ["/.well-known/agent-card.json", "/a2a/in/.well-known/agent-card.json"] {
        let card = get(address, path);
        assert_eq!((card.status, &card.json()["url"]), (200, &json!("http://localhost:1/a2a/in")));
    }
    assert_eq!(get(address, "/healthz").status, 200);
    assert_eq!(get(address, "/").status, 404);
    assert_eq!(send(address, "/a2a/in", &secret, "m1", "hello").text(), "hello");
    assert_eq!(send(address, "/a2a", &secret, "m1", "hello").status, 404);
    let without = {
        let mut client = Client::connect(address);
        client.send(request("POST", "/a2a/in", None, &call("m2", "hello")));
        client.answer()
    };
    let wrong = send(address, "/a2a/in", "wrong", "m3", "hello");
    assert_eq!((without.status, wrong.status), (401, 401));
    assert_eq!(without.body, wrong.body);
    // The body is not waited for.
    let mut client = Client::connect(address);
    client.send("POST /a2a/in HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n");
    let answer = client.answer();
    assert!(answer.status == 401 && answer.head.contains("connection: close"), "{answer:?}");
});

scenario!(a_caller_that_hangs_up_is_told_to_the_handler_which_goes_on, |facade| {
    let world = World::new();
    let agent = Agent::new(facade, &world);
    let (says, said) = mpsc::channel();
    let runs = Arc::new(AtomicUsize::new(0));
    let handler = {
        let runs = Arc::clone(&runs);
        move |message: InboundMessage| {
            runs.fetch_add(1, Ordering::SeqCst);
            says.send("begins").unwrap();
            until("the caller is gone", || message.is_cancelled());
            says.send("is cancelled").unwrap();
            Ok(Some(Reply::text("it went on")))
        }
    };
    let server = agent.start(ServerOptions::new(), Arc::new(handler)).unwrap();
    let (address, secret) = (server.local_addr(), agent.secret());
    let mut client = Client::connect(address);
    client.send(request("POST", "/", Some(&secret), &call("m1", "hello")));
    assert_eq!(said.recv_timeout(PATIENCE), Ok("begins"));
    drop(client);
    assert_eq!(said.recv_timeout(PATIENCE), Ok("is cancelled"));
    // The platform sends it again.
    assert_eq!(send(address, "/", &secret, "m1", "hello").text(), "it went on");
    assert_eq!(runs.load(Ordering::SeqCst), 1);
});

scenario!(a_thousand_equal_messages_are_handled_once, |facade| {
    let world = World::new();
    let agent = Agent::new(facade, &world);
    let runs = Arc::new(AtomicUsize::new(0));
    let handler = {
        let runs = Arc::clone(&runs);
        move |_: InboundMessage| Ok(Some(Reply::text(format!("run {}", runs.fetch_add(1, Ordering::SeqCst)))))
    };
    let server = agent.start(ServerOptions::new(), Arc::new(handler)).unwrap();
    let (address, secret) = (server.local_addr(), agent.secret());
    std::thread::scope(|scope| {
        for _ in 0..10 {
            scope.spawn(|| {
                let mut client = Client::connect(address);
                // Pipelined, so that they are close together.
                (0..100).for_each(|_| client.send(request("POST", "/", Some(&secret), &call("m1", "hello"))));
                (0..100).for_each(|_| assert_eq!(client.answer().text(), "run 0"));
            });
        }
    });
    assert_eq!(runs.load(Ordering::SeqCst), 1);
});

scenario!(the_other_calls_of_the_platform_are_for_the_hook, |facade| {
    let world = World::new();
    let agent = Agent::new(facade, &world);
    let hook = |request: http::Request<bytes::Bytes>| match request.uri().path() {
        "/internal/file/read" => Some(http::Response::new(request.uri().query().unwrap_or_default().to_owned().into())),
        "/internal/daemons/reload" => panic!("at the disco"),
        _ => None,
    };
    let server = agent.start_with(ServerOptions::new(), echo(), hook).unwrap();
    let (address, secret) = (server.local_addr(), agent.secret());
    let ask = |method: &str, path: &str, bearer: Option<&str>| {
        let mut client = Client::connect(address);
        client.send(request(method, path, bearer, b""));
        client.answer()
    };
    let read = ask("GET", "/internal/file/read?path=/workspace/a", Some(&secret));
    assert_eq!((read.status, read.body.as_str()), (200, "path=/workspace/a"));
    assert_eq!(ask("GET", "/internal/file/read?path=/workspace/a", None).status, 401);
    assert_eq!(ask("GET", "/internal/schedules", Some(&secret)).status, 404);
    assert_eq!(ask("POST", "/internal/daemons/reload", Some(&secret)).status, 500);
    server.stop_now();
    let without = agent.start(ServerOptions::new(), echo()).unwrap();
    let mut client = Client::connect(without.local_addr());
    client.send(request("GET", "/internal/file/read?path=/workspace/a", Some(&secret), b""));
    assert_eq!(client.answer().status, 404);
});
