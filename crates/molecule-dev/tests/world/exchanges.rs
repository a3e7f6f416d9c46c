//! What was said: requests with their answers, also later ones, calls to agents, and who calls whom.

use std::io::{Read, Write};
use std::net::TcpListener;

use crate::common::{beat, create, get, post};
use molecule_dev::{Act, Acted, Dev, Exchange, ExchangeKind, Filter, Options};
use molecule_proto::{Token, WorkspaceId, path};
use serde_json::json;

/// An agent that answers each call with the same text, until it is dropped.
fn push_agent(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/a2a", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = Vec::new();
            let mut buffer = [0; 4096];
            // The body is short: it comes with the head, or right after it.
            while !request.windows(8).any(|bytes| bytes == b"\"params\"") {
                match stream.read(&mut buffer) {
                    Ok(read) if read > 0 => request.extend_from_slice(&buffer[..read]),
                    _ => break,
                }
            }
            let head = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", answer.len());
            let _ = stream.write_all(format!("{head}{answer}").as_bytes());
        }
    });
    url
}

fn register_push(dev: &Dev, id: &WorkspaceId, token: &Token, url: &str) {
    let body = json!({"id": id, "url": url, "delivery_mode": "push", "agent_card": {"name": "a"}});
    assert_eq!(post(dev, path::REGISTER, token.expose(), &body).0, 200);
}

fn call(dev: &Dev, to: &WorkspaceId, bearer: &Token) -> (u16, serde_json::Value) {
    let message = json!({"role": "user", "messageId": "m-1", "parts": [{"kind": "text", "text": "hi"}]});
    let body = json!({"jsonrpc": "2.0", "id": "1", "method": "message/send", "params": {"message": message}});
    post(dev, &path::a2a(to), bearer.expose(), &body)
}

fn find(dev: &Dev, text: &str) -> Exchange {
    let found = dev.world().exchanges(&Filter::new().text(text.to_owned())).unwrap();
    found.into_iter().next().unwrap_or_else(|| panic!("nothing has {text:?}"))
}

#[test]
fn a_call_to_a_push_agent_is_seen_from_both_sides() {
    let dev = Dev::start(Options::in_memory().empty(true)).unwrap();
    let (agent, agents) = create(dev.world(), "agent");
    let (sender, senders) = create(dev.world(), "sender");
    let reply = r#"{"jsonrpc":"2.0","id":"1","result":{"parts":[{"kind":"text","text":"hi yourself"}]}}"#;
    register_push(&dev, &agent, &agents, &push_agent(reply));
    let (status, body) = call(&dev, &agent, &senders);
    assert_eq!(status, 200, "{body}");
    assert!(body.to_string().contains("hi yourself"), "{body}");

    // The sender's request, whose answer came at a later line.
    let listed = find(&dev, "SendMessage");
    assert_eq!((listed.status, listed.section, listed.workspace.as_ref()), (Some(200), Some("9"), Some(&agent)));
    assert!(listed.answered.unwrap() > listed.line);
    let ExchangeKind::Request { answer: None, .. } = &listed.kind else { panic!("{listed:?}") };
    let whole = dev.world().exchange(listed.line).unwrap();
    let ExchangeKind::Request { request, answer: Some(answer) } = whole.kind else { panic!("{whole:?}") };
    assert!(std::str::from_utf8(request.body()).unwrap().contains("m-1"));
    assert!(std::str::from_utf8(answer.body()).unwrap().contains("hi yourself"));

    // The platform's call.
    let listed = find(&dev, "/a2a");
    let calls = dev.world().exchanges(&Filter::new()).unwrap();
    let listed = calls.iter().find(|exchange| matches!(exchange.kind, ExchangeKind::Call { .. })).unwrap_or(&listed);
    let whole = dev.world().exchange(listed.line).unwrap();
    let ExchangeKind::Call { call, request: Some(request), outcome: Ok(outcome) } = whole.kind else {
        panic!("{whole:?}")
    };
    assert!(call.starts_with("POST http://127.0.0.1:"), "{call}");
    assert!(std::str::from_utf8(request.body()).unwrap().contains("m-1"));
    assert_eq!(outcome.body().as_ref(), reply.as_bytes());

    let edges = dev.world().graph();
    assert_eq!(edges.len(), 1);
    assert_eq!((edges[0].from.as_ref(), &edges[0].to), (Some(&sender), &agent));
    assert_eq!((edges[0].calls, edges[0].failures), (1, 0));
}

#[test]
fn a_call_that_fails_is_counted_and_said() {
    let dev = Dev::start(Options::in_memory().empty(true)).unwrap();
    let (agent, agents) = create(dev.world(), "agent");
    let (_, senders) = create(dev.world(), "sender");
    // Nobody listens there.
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/a2a", free.local_addr().unwrap());
    drop(free);
    register_push(&dev, &agent, &agents, &url);
    let (status, body) = call(&dev, &agent, &senders);
    assert!(status >= 400, "{status} {body}");
    let failed = dev.world().exchanges(&Filter::new().failed(true)).unwrap();
    assert!(failed.iter().any(|exchange| matches!(&exchange.kind, ExchangeKind::Call { outcome: Err(_), .. })));
    let edge = &dev.world().graph()[0];
    assert_eq!((edge.calls, edge.failures), (1, 1));
}

#[test]
fn lists_are_filtered_and_go_back_line_by_line() {
    let dev = Dev::start(Options::in_memory().empty(true)).unwrap();
    let (id, token) = create(dev.world(), "mine");
    let (other, others) = create(dev.world(), "other");
    for uptime in 0..100 {
        assert_eq!(beat(&dev, &id, &token, uptime), 200);
    }
    assert_eq!(beat(&dev, &other, &others, 1), 200);
    assert_eq!(get(&dev, "/nowhere", token.expose()).0, 404);
    let all = dev.world().exchanges(&Filter::new().limit(1000)).unwrap();
    assert!(all.windows(2).all(|pair| pair[0].line > pair[1].line));
    let mut paged = Vec::new();
    let mut until = None;
    loop {
        let page = dev.world().exchanges(&Filter::new().until(until).limit(7)).unwrap();
        let Some(last) = page.last() else { break };
        until = Some(last.line - 1);
        paged.extend(page.iter().map(|exchange| exchange.line));
    }
    assert_eq!(paged, all.iter().map(|exchange| exchange.line).collect::<Vec<_>>());
    let count = |filter: Filter| dev.world().exchanges(&filter.limit(1000)).unwrap().len();
    assert_eq!(count(Filter::new().text("HEARTBEAT".to_owned())), 101);
    // Its creation is an act that names no workspace.
    assert_eq!(count(Filter::new().workspace(other)), 1);
    assert_eq!(count(Filter::new().failed(true)), 1);
    let quiet = dev.world().exchanges(&Filter::new().quiet(true)).unwrap();
    assert!(quiet.iter().all(|exchange| exchange.route.as_deref() != Some("Heartbeat")));
    assert!(quiet.iter().any(|exchange| exchange.title().contains("/nowhere")));
    let act = quiet.iter().find(|exchange| matches!(exchange.kind, ExchangeKind::Act { .. })).unwrap();
    let whole = dev.world().exchange(act.line).unwrap();
    let ExchangeKind::Act { act: Act::CreateWorkspace { name, .. }, acted: Some(Acted::Created { .. }) } = whole.kind
    else {
        panic!("{whole:?}")
    };
    assert_eq!(name, "other");
}
