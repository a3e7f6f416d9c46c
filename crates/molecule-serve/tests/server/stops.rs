//! How a server starts and ends.

use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use molecule_core::{Ended, ErrorKind, InboundMessage, Reply, ServerOptions};
use molecule_serve::Delivery;

use crate::any::{Agent, Handler, echo};
use crate::client::{Client, call, request, send};
use crate::scenario;
use crate::world::{ADMIN, PATIENCE, World, until};

scenario!(a_server_starts_stops_and_starts_again, |facade| {
    let world = World::new();
    let agent = Agent::new(facade, &world);
    let mut address = "127.0.0.1:0".to_owned();
    for round in 0..3 {
        let server = agent.start(ServerOptions::new().bind(&address), echo()).unwrap();
        address = server.local_addr().to_string();
        let mut client = Client::connect(server.local_addr());
        client.send(request("POST", "/", Some(&agent.secret()), &call(&format!("m{round}"), "hello")));
        assert_eq!(client.answer().text(), "hello");
        if round == 1 {
            server.stop_now()
        } else {
            server.stop().unwrap()
        }
        assert!(client.is_cut(), "what is idle is closed");
        assert!(TcpStream::connect(&address).is_err());
    }
});

scenario!(two_servers_in_one_process_share_nothing, |facade| {
    let world = World::new();
    let agents = [Agent::new(facade, &world), Agent::new(facade, &world)];
    let answering = |text: &'static str| -> Handler { Arc::new(move |_: InboundMessage| Ok(Some(Reply::text(text)))) };
    let [first, second] =
        [0, 1].map(|at| agents[at].start(ServerOptions::new(), answering(["first", "second"][at])).unwrap());
    let (one, other) = (agents[0].secret(), agents[1].secret());
    assert_eq!(send(first.local_addr(), "/", &one, "m1", "?").text(), "first");
    assert_eq!(send(second.local_addr(), "/", &other, "m1", "?").text(), "second", "the same id is another message");
    assert_eq!(send(first.local_addr(), "/", &other, "m2", "?").status, 401);
    first.stop().unwrap();
    assert_eq!(send(second.local_addr(), "/", &other, "m3", "?").text(), "second");
});

scenario!(where_the_address_cannot_be_bound_nothing_is_registered, |facade| {
    let world = World::new();
    let agent = Agent::new(facade, &world);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let options = ServerOptions::new().bind(taken.local_addr().unwrap().to_string());
    let error = agent.start(options, echo()).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("choose another port"), "{error}");
    let error = agent.start(ServerOptions::new().bind("0.0.0.0:0"), echo()).err().unwrap();
    assert!(error.to_string().contains("no URL to register"), "{error}");
    assert!(world.platform.requests().is_empty(), "{:?}", world.platform.requests());
});

/// A handler that says when it begins, and waits to be released or cancelled.
fn gated() -> (Handler, mpsc::Receiver<String>, mpsc::Sender<()>) {
    let (begins, began) = mpsc::channel();
    let (go, gate) = mpsc::channel();
    let gate = std::sync::Mutex::new(gate);
    let handler = move |message: InboundMessage| {
        begins.send(message.text().into_owned()).unwrap();
        let _ = gate.lock().unwrap().recv_timeout(PATIENCE);
        Ok(Some(Reply::text("done")))
    };
    (Arc::new(handler), began, go)
}

scenario!(a_stop_lets_what_runs_finish_and_answers_the_rest, |facade| {
    let world = World::new();
    let agent = Agent::new(facade, &world);
    let (handler, began, go) = gated();
    let mut options = ServerOptions::new();
    let mut limits = options.limits_in_force().clone();
    limits.handlers = 1;
    options = options.limits(limits);
    let server = agent.start(options, handler).unwrap();
    let (address, secret) = (server.local_addr(), agent.secret());
    let mut running = Client::connect(address);
    running.send(request("POST", "/", Some(&secret), &call("m1", "runs")));
    assert_eq!(began.recv_timeout(PATIENCE).unwrap(), "runs");
    let mut idle = Client::connect(address);
    idle.send(request("GET", "/healthz", None, b""));
    assert_eq!(idle.answer().status, 200);
    let stopping = thread::spawn(move || server.stop());
    until("the listener is closed", || TcpStream::connect(address).is_err());
    // A connection that is open is told, and not cut.
    idle.send(request("POST", "/", Some(&secret), &call("m2", "late")));
    assert!(idle.is_cut(), "a message that is seen for the first time is cut, so that the platform queues it");
    go.send(()).unwrap();
    let answer = running.answer();
    assert_eq!(answer.text(), "done");
    assert!(answer.head.contains("connection: close"), "{answer:?}");
    stopping.join().unwrap().unwrap();
});

scenario!(a_stop_waits_no_longer_than_the_drain, |facade| {
    let world = World::new();
    let agent = Agent::new(facade, &world);
    let (handler, began, go) = gated();
    let server = agent.start(ServerOptions::new().drain(Duration::from_millis(100)), handler).unwrap();
    let mut client = Client::connect(server.local_addr());
    client.send(request("POST", "/", Some(&agent.secret()), &call("m1", "hangs")));
    began.recv_timeout(PATIENCE).unwrap();
    let start = Instant::now();
    server.stop().unwrap();
    assert!(start.elapsed() < PATIENCE);
    drop(go);
});

scenario!(a_stop_at_once_waits_for_nobody, |facade| {
    let world = World::new();
    let agent = Agent::new(facade, &world);
    let (handler, began, go) = gated();
    let server = agent.start(ServerOptions::new(), handler).unwrap();
    let mut client = Client::connect(server.local_addr());
    client.send(request("POST", "/", Some(&agent.secret()), &call("m1", "hangs")));
    began.recv_timeout(PATIENCE).unwrap();
    let registers = world.platform.requests().len();
    server.stop_now();
    assert!(client.is_cut());
    assert_eq!(world.platform.requests().len(), registers, "nothing is registered");
    drop(go);
});

scenario!(an_agent_that_runs_registers_before_it_beats_and_polls_after_the_end, |facade| {
    let world = World::new();
    let agent = Agent::new(facade, &world);
    let running = thread::spawn({
        let agent = agent.clone();
        move || agent.run(Delivery::Push(ServerOptions::new()), echo())
    });
    let sent = |path: &str| world.platform.requests().iter().position(|seen| seen.path.ends_with(path));
    until("it beats", || sent("/registry/heartbeat").is_some());
    assert!(sent("/registry/register") < sent("/registry/heartbeat"));
    let id = agent.id();
    let mut platform = Client::connect(world.platform.addr());
    platform.send(request("POST", &format!("/workspaces/{id}/a2a"), Some(ADMIN), &call("m1", "hello")));
    assert_eq!(platform.answer().text(), "hello");
    agent.stop();
    assert_eq!(running.join().unwrap().unwrap(), Ended::Stopped);
    let mode = world.platform.with(|platform, _| platform.delivery_mode(&id));
    assert_eq!(mode, Some(molecule_core::proto::DeliveryMode::Poll));
});
