//! A front before a served platform: it hears of every input, sets the clock, and answers or disturbs requests.

#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use molecule_platform::serve::{Admission, Conditions, Deciding, Decision, Fate, Front, Handle};
use molecule_platform::{Act, Config, Dialect, Input, Now, Platform, Server, Step, serve_with};
use molecule_proto::{Time, UnixTime, path};

/// A history: each input with its time and the step, as text.
type History = Vec<(Now, Input, String)>;

/// A clock of one's own, a history, and faults by path.
#[derive(Default)]
struct Watch {
    history: Mutex<History>,
    millis: Mutex<u64>,
}

impl Front for Watch {
    fn now(&self) -> Now {
        let mut millis = self.millis.lock().unwrap();
        *millis += 1;
        let by = Duration::from_millis(*millis);
        Now { mono: Time::ZERO + by, unix: UnixTime::from_secs(1_795_383_587) + by }
    }

    fn admit(&self, head: &Parts, _peer: SocketAddr) -> Admission {
        match head.uri.path() {
            "/front/small" => Admission::AtMost(3),
            "/front/refused" => Admission::Refuse(Response::builder().status(418).body(Bytes::new()).unwrap()),
            _ => Admission::Admit,
        }
    }

    fn decide(&self, request: Request<Bytes>, _peer: SocketAddr) -> Deciding<'_> {
        Box::pin(async move {
            let conditions = match request.uri().query() {
                Some("half") => Conditions::new().fate(Fate::Half),
                Some("lost") => Conditions::new().fate(Fate::Lost),
                Some("down") => Conditions::new().database_down(true),
                _ => Conditions::new(),
            };
            match request.uri().path() {
                "/front/stream" => {
                    let (sender, receiver) = tokio::sync::mpsc::channel(4);
                    sender.send(Bytes::from_static(b"one ")).await.unwrap();
                    sender.send(Bytes::from_static(b"two")).await.unwrap();
                    Decision::Stream(Response::new(()), receiver)
                }
                path if path.starts_with("/front/") => Decision::Answer(Response::new(request.into_body())),
                _ => Decision::Platform(request, conditions),
            }
        })
    }

    fn stepped(&self, now: Now, input: &Input, step: &Step, platform: &Platform) {
        assert_eq!(platform.dialect(), Dialect::Current);
        self.history.lock().unwrap().push((now, input.clone(), format!("{step:?}")));
    }
}

fn serve() -> (Arc<Watch>, Server, Handle) {
    let watch = Arc::new(Watch::default());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut handle = None;
    let platform = Platform::new(Config::new(Dialect::Current));
    let server = serve_with(platform, listener, Arc::clone(&watch) as Arc<dyn Front>, |begun| handle = Some(begun));
    (watch, server.unwrap(), handle.unwrap())
}

/// The whole answer, as far as it came.
fn ask(server: &Server, method: &str, path: &str, bearer: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(server.addr()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let length = body.len();
    let text = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {bearer}\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    let _ = stream.write_all(text.as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}

#[test]
fn the_history_that_a_front_hears_gives_the_same_steps_again() {
    let (watch, server, handle) = serve();
    let created = handle.act(Act::CreateWorkspace { name: "mine".to_owned(), url: None, parent: None });
    let molecule_platform::Acted::Created { id, token: Some(token) } = created else { panic!("{created:?}") };
    let token = token.expose();
    for round in 0..5 {
        let beat = format!("{{\"workspace_id\":\"{id}\",\"uptime_seconds\":{round}}}");
        assert!(ask(&server, "POST", path::HEARTBEAT, token, &beat).starts_with("HTTP/1.1 200"));
        assert!(ask(&server, "GET", &format!("{}?down", path::state(&id)), token, "").starts_with("HTTP/1.1 401"));
        assert!(ask(&server, "GET", &path::state(&id), token, "").starts_with("HTTP/1.1 200"));
    }
    handle.wake();
    // A stream that its client leaves.
    let mut stream = TcpStream::connect(server.addr()).unwrap();
    let open =
        format!("GET /workspaces/{id}/events/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n");
    stream.write_all(open.as_bytes()).unwrap();
    let mut first = [0; 12];
    stream.read_exact(&mut first).unwrap();
    drop(stream);
    let is_closed = |platform: &Platform| platform.streams().count() == 0;
    assert!(server.wait_until(is_closed, Duration::from_secs(20)));
    assert!(server.requests().is_empty(), "a server behind a front stores no requests");
    server.stop();

    let history = std::mem::take(&mut *watch.history.lock().unwrap());
    assert!(history.windows(2).all(|pair| pair[0].0.mono < pair[1].0.mono), "times go forward");
    let has = |is: fn(&Input) -> bool| history.iter().any(|(_, input, _)| is(input));
    assert!(has(|input| matches!(input, Input::Wake)) && has(|input| matches!(input, Input::CloseStream { .. })));
    let mut again = Platform::new(Config::new(Dialect::Current));
    for (now, input, step) in history {
        assert_eq!(format!("{:?}", again.step(now, input)), step);
    }
}

#[test]
fn a_front_answers_streams_and_refuses_before_the_body_is_read() {
    let (watch, server, _) = serve();
    let before = watch.history.lock().unwrap().len();
    assert!(ask(&server, "POST", "/front/echo", "x", "hello").ends_with("\r\n\r\nhello"));
    let streamed = ask(&server, "GET", "/front/stream", "x", "");
    assert!(streamed.contains("one ") && streamed.contains("two") && streamed.ends_with("0\r\n\r\n"), "{streamed}");
    assert!(ask(&server, "POST", "/front/small", "x", "four").starts_with("HTTP/1.1 413"));
    assert!(ask(&server, "POST", "/front/small", "x", "thr").starts_with("HTTP/1.1 200"));
    assert!(ask(&server, "POST", "/front/refused", "x", "").starts_with("HTTP/1.1 418"));
    let history = watch.history.lock().unwrap();
    assert!(history[before..].iter().all(|(_, input, _)| matches!(input, Input::Wake)), "the platform saw none of it");
}

#[test]
fn an_answer_is_halved_or_lost_after_the_platform_has_acted() {
    let (watch, server, _) = serve();
    let requests =
        || watch.history.lock().unwrap().iter().filter(|(_, input, _)| matches!(input, Input::Request { .. })).count();
    let whole = ask(&server, "GET", "/health", "x", "");
    let body = whole.split_once("\r\n\r\n").unwrap().1;
    assert_eq!(body, r#"{"status":"ok"}"#);
    let half = ask(&server, "GET", "/health?half", "x", "");
    assert!(half.to_lowercase().contains(&format!("content-length: {}", body.len())), "{half}");
    assert_eq!(half.split_once("\r\n\r\n").unwrap().1, &body[..body.len() / 2]);
    assert_eq!(ask(&server, "GET", "/health?lost", "x", ""), "");
    assert_eq!(requests(), 3);
}

#[test]
fn other_addresses_than_loopback_are_refused_behind_a_front_too() {
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let front = Arc::new(Watch::default());
    let error = serve_with(Config::default(), listener, front, |_| {}).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
}
