//! Gives a server arbitrary kept answers and an arbitrary body: no panic, one answer to each call, and every answer is JSON
//! with the id of its request. What a handler gets can be read in every way.

#![no_main]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use arbitrary::Arbitrary;
use bytes::Bytes;
use http::Response;
use libfuzzer_sys::fuzz_target;
use molecule_core::effect::{Effect, Handle, HostOp, HostResult, Outcome, Slot, Stored};
use molecule_core::machine::{Cx, Now, Session};
use molecule_core::machines::{Admission, Answer, Inbound, InboundCall, Turn};
use molecule_core::{Options, Reply, ServerOptions};
use serde_json::Value;

#[derive(Debug, Arbitrary)]
struct Input {
    has_tasks: bool,
    /// The content of the slot of kept answers.
    kept: Vec<u8>,
    version: String,
    bodies: Vec<Vec<u8>>,
    reply: String,
}

fuzz_target!(|input: Input| {
    let config = Options::new("https://platform.example.com", "7fda77bf-a467-441c-9fab-7d8aba8e6040").build();
    let mut session = Session::new(config.expect("the options are valid"), 7);
    let options = ServerOptions::new().allow_unauthenticated();
    let options = if input.has_tasks { options.task_mode() } else { options };
    let local = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 8080);
    let mut inbound = Inbound::new(&options, local).expect("the options are valid");
    let mut cx = Cx { now: Now::default(), session: &mut session };
    turn(&mut inbound, &mut cx, &input);
    assert!(inbound.is_open());
    for body in &input.bodies {
        let mut head = http::Request::post("/").header("host", "h");
        if let Ok(version) = http::HeaderValue::from_str(&input.version) {
            head = head.header("a2a-version", version);
        }
        let (head, ()) = head.body(()).expect("the head is valid").into_parts();
        let Admission::Read(caller) = inbound.admit(&mut cx, &head, IpAddr::V4(Ipv4Addr::LOCALHOST)) else {
            panic!("a call to the registered path is read");
        };
        let call = InboundCall::read(&head, Bytes::copy_from_slice(body));
        match inbound.handle(&mut cx, caller, call) {
            Answer::Ready(answer) => {
                check(&answer);
                assert!(turn(&mut inbound, &mut cx, &input).is_empty());
            }
            Answer::Later(ticket) => {
                let answers = turn(&mut inbound, &mut cx, &input);
                assert!(matches!(&answers[..], [(only, _)] if *only == ticket));
            }
            Answer::Cut => panic!("there is room"),
        }
    }
});

/// Polls until the server is idle. Every handler replies, and every append succeeds.
fn turn(inbound: &mut Inbound, cx: &mut Cx<'_>, input: &Input) -> Vec<(molecule_core::machines::Ticket, Value)> {
    let mut answers = Vec::new();
    loop {
        let (id, outcome) = match inbound.poll(cx) {
            Turn::Start(id, Effect::Handle(Handle { message })) => {
                let _ = (message.text(), message.parts(), message.attachments(), message.metadata(), message.raw());
                let _ = (message.context_id(), message.task_id(), message.delegation_id(), message.hops());
                (id, Handle::returned::<String>(Ok(Some(Reply::text(input.reply.clone())))))
            }
            Turn::Start(id, Effect::Host(op)) => (
                id,
                Outcome::Host(match op {
                    HostOp::Load(Slot::Answers) => HostResult::Loaded(Some(Stored::new(input.kept.clone(), "memory"))),
                    HostOp::Load(_) => HostResult::Loaded(None),
                    HostOp::Append(..) => HostResult::Appended,
                    HostOp::Replace(..) => HostResult::Replaced,
                    HostOp::SetAside(_) => HostResult::SetAside("aside".to_owned()),
                    other => panic!("a server asks for no such operation: {other:?}"),
                }),
            ),
            Turn::Answer(ticket, Answer::Ready(answer)) => {
                answers.push((ticket, check(&answer)));
                continue;
            }
            Turn::Event(_) => continue,
            Turn::Idle(_) => return answers,
            other => panic!("there is no reason for it: {other:?}"),
        };
        inbound.feed(cx, id, outcome).expect("it is the server's");
    }
}

fn check(answer: &Response<Bytes>) -> Value {
    let body: Value = serde_json::from_slice(answer.body()).expect("an answer is JSON");
    if body.get("status") != Some(&Value::from("ok")) && answer.status() == 200 {
        assert!(body.get("result").is_some() != body.get("error").is_some() && body.get("id").is_some(), "{body}");
    }
    body
}
