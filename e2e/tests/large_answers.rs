//! A large answer blocks nobody: while it is decoded, other calls of the agent and other tasks on its thread go on.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Response};
use molecule_e2e::core::endpoint::{Auth, Draft, Endpoint, Mismatch, Repeat};
use molecule_e2e::core::proto::WorkspaceId;
use molecule_e2e::core::{CallOutcome, PeerCall, Result, Route};
use molecule_e2e::{Manner, PeerServer, scenario};

const ID: &str = "7fda77bf-a467-441c-9fab-7d8aba8e6040";
const OTHER: &str = "414bc5a3-02a7-47dc-b86f-71e2e5767123";
const JSON: &str = "Content-Type: application/json\r\n";

/// An endpoint whose answer is decoded until the test lets it end.
#[derive(Clone)]
struct Slow {
    began: Sender<()>,
    go: Arc<Mutex<Receiver<()>>>,
}

impl Slow {
    fn new() -> (Self, Receiver<()>, Sender<()>) {
        let ((began, begins), (goes, go)) = (channel(), channel());
        (Self { began, go: Arc::new(Mutex::new(go)) }, begins, goes)
    }
}

impl Endpoint for Slow {
    /// Whether the test let it end.
    type Answer = bool;
    const OPERATION: &'static str = "read slowly";
    const REPEAT: Repeat = Repeat::Always;
    const SHAPE: &'static str = "anything";
    const MAX_BODY: u64 = 1024 * 1024;

    fn draft(&self, _: &WorkspaceId) -> Result<Draft> {
        Ok(Draft::new(Method::GET, "/slow", Auth::Open))
    }

    fn decode(&self, _: &Response<Bytes>) -> Result<bool, Mismatch> {
        let _ = self.began.send(());
        Ok(self.go.lock().unwrap().recv_timeout(Duration::from_secs(20)).is_ok())
    }
}

/// A server whose answers all have this length in bytes.
fn server(bytes: usize) -> PeerServer {
    PeerServer::new(Manner::Answer(200, JSON, format!("\"{}\"", "x".repeat(bytes)).leak()))
}

scenario!(while_a_large_answer_is_read_the_agent_can_be_asked, [Current], |stage| {
    let world = stage.world();
    let server = server(512 * 1024);
    let agent = world.setup_for(ID).platform(&server.url()).build().unwrap();
    let (slow, begins, goes) = Slow::new();
    thread::scope(|scope| {
        let reads = scope.spawn(|| agent.send(&slow));
        begins.recv_timeout(Duration::from_secs(20)).unwrap();
        // Each of these calls locks the session.
        assert!(agent.health().last_beat.is_none());
        agent.set_reported_url(None).unwrap();
        goes.send(()).unwrap();
        assert!(reads.join().unwrap().unwrap(), "the session was locked while the answer was read");
    });
});

/// Runs on a runtime with one thread: nothing else could go on if the answer were decoded there.
#[test]
fn a_large_answer_is_read_on_no_worker_of_the_runtime() {
    let server = server(512 * 1024);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let agent = molecule_async::Agent::builder(server.url(), ID)
        .storage(molecule_e2e::host::Storage::Memory)
        .no_proxy()
        .build()
        .unwrap();
    let (slow, begins, goes) = Slow::new();
    runtime.block_on(async {
        let beside = tokio::spawn(async move {
            // Waits on another thread until the decoding begins, so that the runtime's only thread stays free.
            tokio::task::spawn_blocking(move || begins.recv_timeout(Duration::from_secs(20))).await.unwrap().unwrap();
            goes.send(()).unwrap();
        });
        let read = agent.send(&slow).await;
        beside.await.unwrap();
        assert!(read.unwrap(), "the answer was read on the runtime's own thread");
    });
}

scenario!(a_large_reply_comes_whole, [Current], |stage| {
    let world = stage.world();
    let text = "wörds ".repeat(200_000);
    let reply = format!(
        r#"{{"jsonrpc":"2.0","id":1,"result":{{"kind":"message","parts":[{{"kind":"text","text":"{text}\ud83d"}}]}}}}"#
    );
    let server = PeerServer::new(Manner::Answer(200, JSON, reply.leak()));
    let token = molecule_e2e::core::proto::Token::new("token").unwrap();
    let agent = world.setup_for(ID).platform(&server.url()).token(&token).build().unwrap();
    let call = PeerCall::new("hello").route(Route::Proxy).timeout(Duration::from_secs(60));
    let CallOutcome::Replied(reply) = agent.call_peer(OTHER, call).unwrap() else { panic!("no reply") };
    assert_eq!(reply.texts(), [format!("{text}\u{fffd}")]);
});
