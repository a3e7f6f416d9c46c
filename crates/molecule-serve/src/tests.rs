//! The connections, with a service that echoes.

mod limits;
mod protocol;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Response, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::ServerLimits;
use crate::body::Pieces;
use crate::connection::Serving;
use crate::listen::{bind, listen};
use crate::service::{Admission, Answer, Service};
use crate::tls::Tls;

const PATIENCE: Duration = Duration::from_secs(20);

/// Answers `POST /` with the request's body, once it may.
struct Echo {
    may_answer: Semaphore,
    calls: AtomicUsize,
    hung_up: AtomicUsize,
}

struct HungUp<'a>(&'a AtomicUsize);

impl Drop for HungUp<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Service for Echo {
    type Caller = ();

    fn admit(&self, head: &Parts, _: IpAddr) -> Admission<()> {
        match (&head.method, head.uri.path()) {
            (&Method::POST, "/") => Admission::Call(()),
            (_, "/cut") => Admission::Cut,
            _ => {
                let mut answer = Response::new(Bytes::from_static(b"nothing"));
                *answer.status_mut() = StatusCode::NOT_FOUND;
                Admission::Answer(answer)
            }
        }
    }

    async fn call(&self, (): (), _: Parts, body: Bytes) -> Answer {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let hung_up = HungUp(&self.hung_up);
        self.may_answer.acquire().await.unwrap().forget();
        std::mem::forget(hung_up);
        Answer::Ready(Response::new(body))
    }

    async fn ingest(&self, _: Parts, _: Pieces<'_>) -> Answer {
        Answer::Cut
    }

    async fn other(&self, _: Parts, _: Bytes) -> Answer {
        Answer::Cut
    }
}

/// A server, which ends with the test.
struct Server {
    address: SocketAddr,
    serving: Arc<Serving<Echo>>,
    _task: JoinSet<()>,
}

/// Limits that no test waits for.
fn generous() -> ServerLimits {
    let mut limits = ServerLimits::new();
    (limits.head_time, limits.body_gap, limits.body_time) = (PATIENCE * 2, PATIENCE * 2, PATIENCE * 3);
    limits
}

/// Such limits with a change.
fn with(change: impl FnOnce(&mut ServerLimits)) -> ServerLimits {
    let mut limits = generous();
    change(&mut limits);
    limits
}

fn server(limits: ServerLimits) -> Server {
    let listener = bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    let echo = Echo { may_answer: Semaphore::new(10_000), calls: AtomicUsize::new(0), hung_up: AtomicUsize::new(0) };
    let serving = Arc::new(Serving::new(echo, limits, Tls::none()));
    let mut task = JoinSet::new();
    task.spawn({
        let serving = Arc::clone(&serving);
        async move {
            let mut tasks = JoinSet::new();
            match listen(listener, serving, &mut tasks).await {}
        }
    });
    Server { address, serving, _task: task }
}

impl Server {
    async fn connect(&self) -> Client {
        Client(TcpStream::connect(self.address).await.unwrap())
    }

    /// A call that is answered at once, on a connection of its own.
    async fn is_well(&self) {
        let mut client = self.connect().await;
        assert_eq!(client.call("well?").await, "well?");
    }

    async fn until(&self, what: &AtomicUsize, count: usize) {
        let reached = async {
            while what.load(Ordering::SeqCst) < count {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(PATIENCE, reached).await.expect("it happens");
    }
}

struct Client(TcpStream);

impl Client {
    async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.unwrap();
    }

    /// An answer: its head in lower case, and its body.
    async fn answer(&mut self) -> (String, String) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match timeout(PATIENCE, self.0.read_u8()).await.expect("an answer") {
                Ok(byte) => head.push(byte),
                Err(_) => return (String::from_utf8(head).unwrap(), "closed".to_owned()),
            }
        }
        let head = String::from_utf8(head).unwrap().to_lowercase();
        let length =
            head.split("content-length: ").nth(1).map_or(0, |rest| rest.split("\r\n").next().unwrap().parse().unwrap());
        let mut body = vec![0; length];
        timeout(PATIENCE, self.0.read_exact(&mut body)).await.expect("a body").unwrap();
        (head, String::from_utf8(body).unwrap())
    }

    async fn call(&mut self, body: &str) -> String {
        self.send(request(body)).await;
        let (head, body) = self.answer().await;
        assert!(head.starts_with("http/1.1 200 "), "{head}");
        body
    }

    /// Everything up to the end of the connection.
    async fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        // A reset is an end as well.
        let _ = timeout(PATIENCE, self.0.read_to_end(&mut rest)).await.expect("the connection ends");
        String::from_utf8_lossy(&rest).into_owned()
    }
}

fn request(body: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn a_connection_carries_calls_of_any_form_one_after_another() {
    let server = server(generous());
    let mut client = server.connect().await;
    let large = "x".repeat(3_000_000);
    for body in ["", "one", &large, "two"] {
        assert_eq!(client.call(body).await, body);
    }
    let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    client.send(format!("\r\n\r\n{chunked}5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n{}", request("pipelined"))).await;
    assert_eq!(client.answer().await.1, "hello!");
    assert_eq!(client.answer().await.1, "pipelined");
    client.send(request(&"y".repeat(100_000)).into_bytes().chunks(7).next().unwrap()).await;
    let rest = request(&"y".repeat(100_000)).split_off(7);
    client.send(rest).await;
    assert_eq!(client.answer().await.1.len(), 100_000);
    client.send("HEAD /other HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut head = [0; 12];
    client.0.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 404");
    assert_eq!(server.serving.service.calls.load(Ordering::SeqCst), 7);
}

#[tokio::test]
async fn a_hundred_pipelined_requests_get_their_answers_in_order() {
    let server = server(generous());
    let mut client = server.connect().await;
    let all: String = (0..100).map(|number| request(&number.to_string())).collect();
    client.send(all).await;
    for number in 0..100 {
        assert_eq!(client.answer().await.1, number.to_string());
    }
}

#[tokio::test]
async fn a_caller_that_hangs_up_is_noticed() {
    let server = server(generous());
    let echo = &server.serving.service;
    echo.may_answer.forget_permits(usize::MAX >> 4);
    let mut client = server.connect().await;
    client.send(request("hello")).await;
    server.until(&echo.calls, 1).await;
    drop(client);
    server.until(&echo.hung_up, 1).await;
}

#[tokio::test]
async fn what_is_no_request_is_answered_and_closed() {
    let server = server(generous());
    for (bytes, status) in [
        (&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], "400"),
        (b"garbage\r\n\r\n", "400"),
        (b"GET / HTTP/1.1\nHost: a\n\n", "400"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "400"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\n\r\n", "400"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n\r\n", "400"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n", "413"),
    ] {
        let mut client = server.connect().await;
        client.send(bytes).await;
        let (head, _) = client.answer().await;
        assert!(head.starts_with(&format!("http/1.1 {status} ")), "{bytes:?}: {head}");
        assert!(head.contains("connection: close\r\n"), "{head}");
        assert_eq!(client.rest().await, "", "{bytes:?}");
        server.is_well().await;
    }
    assert_eq!(server.serving.service.calls.load(Ordering::SeqCst), 8, "only the good calls");
}
