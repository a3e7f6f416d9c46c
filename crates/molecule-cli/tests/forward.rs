//! `molecule run --forward` and `--health`.

#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

use common::{LONG, World, terminate, told};
use molecule_platform::Dialect;
use serde_json::Value;

/// Takes one request, and answers it. Returns its head and its body.
fn answer(listener: &TcpListener, status: &str, body: &str) -> (String, String) {
    let (stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
        head.push_str(&lower);
    }
    let mut sent = vec![0; length];
    reader.read_exact(&mut sent).unwrap();
    let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
    reader.get_mut().write_all(answer.as_bytes()).unwrap();
    (head, String::from_utf8(sent).unwrap())
}

#[test]
fn a_message_is_forwarded_until_it_is_answered() {
    let world = World::new(Dialect::Current, "forward");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook?k=v", listener.local_addr().unwrap());
    let child = world.start(&["--forward", &url]);
    world.write("hello");
    let (head, first) = answer(&listener, "503 Service Unavailable", "");
    assert!(head.starts_with("post /hook?k=v http/1.1"), "{head}");
    assert!(head.contains("molecule-signature: t="), "{head}");
    let request: Value = serde_json::from_str(&first).unwrap();
    assert_eq!(request["params"]["message"]["parts"][0]["text"], "hello", "{request}");
    let reply = r#"{"jsonrpc":"2.0","id":1,"result":{"kind":"message","parts":[{"kind":"text","text":"you too"}]}}"#;
    let (_, second) = answer(&listener, "200 OK", reply);
    assert_eq!(first, second, "it is the same message");
    world.wait_for_words(&["you too"]);
    world.write("no answer needed");
    answer(&listener, "202 Accepted", "ignored");
    terminate(&child);
    let (code, _, err) = told(child.wait_with_output().unwrap());
    assert_eq!(code, 0, "{err}");
    let shown = err.split("the secret ").nth(1).unwrap().split(',').next().unwrap().to_owned();
    let file = world.home.join(world.id.as_str()).join(".forward_secret");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), shown);
    assert_eq!(std::os::unix::fs::MetadataExt::mode(&file.metadata().unwrap()) & 0o777, 0o600);
    assert_eq!(world.said(), ["you too"]);
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn health_tells_whether_the_agent_is_ready_and_what_it_has_done() {
    let world = World::new(Dialect::Current, "health");
    let mut child = world.start(&["--echo", "--health", "127.0.0.1:0"]);
    let mut err = BufReader::new(child.stderr.take().unwrap());
    let (mut address, mut is_online) = (None, false);
    while address.is_none() || !is_online {
        let mut line = String::new();
        assert!(err.read_line(&mut line).unwrap() > 0);
        is_online |= line.contains("online: a heartbeat was answered");
        let found = line.split("health at http://").nth(1).map(|rest| rest.split('/').next().unwrap().to_owned());
        address = address.or(found);
    }
    let address = address.unwrap();
    assert!(get(&address, "/livez").starts_with("HTTP/1.1 200"));
    let ready = get(&address, "/readyz");
    assert!(ready.starts_with("HTTP/1.1 200") && ready.ends_with("ok\n"), "{ready}");
    assert!(ready.to_ascii_lowercase().contains("cache-control: no-store"), "{ready}");
    let metrics = get(&address, "/metrics");
    let label = world.id.as_str().split('-').next().unwrap();
    assert!(metrics.contains(&format!("\nmolecule_heartbeats_total{{workspace=\"{label}\"}} 1\n")), "{metrics}");
    assert!(metrics.contains("# TYPE molecule_last_good_heartbeat_timestamp_seconds gauge\n"), "{metrics}");
    assert!(get(&address, "/").starts_with("HTTP/1.1 404"));
    // A client that says nothing holds up nobody.
    let silent: Vec<_> = (0..8).map(|_| TcpStream::connect(&address).unwrap()).collect();
    assert!(get(&address, "/livez").starts_with("HTTP/1.1 200"));
    drop(silent);
    terminate(&child);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
