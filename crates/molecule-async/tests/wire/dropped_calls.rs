//! A caller may go away at any time: what is under way is given up, and what must be finished is finished.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use molecule_async::core::effect::{Slot, Stored};
use molecule_async::{Agent, Storage, Store, StoreError, WorkspaceId};
use molecule_conformance::{ID, Once, PeerAction, ScriptedPeer, mint};
use tokio::runtime::Builder;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

use crate::support::{SOON, agent, builder, closed, requests};

#[tokio::test]
async fn a_call_that_is_dropped_closes_its_connection() {
    let peer = ScriptedPeer::answering(|_| vec![PeerAction::Listen]);
    let agent = agent(peer.url());
    let call = tokio::spawn(async move { agent.send(&Once).await });
    requests(&peer, 1).await;
    call.abort();
    closed(&peer, 1).await;
}

#[tokio::test]
async fn a_register_that_is_dropped_while_a_token_is_minted_stores_it() {
    let mut minting = Minting::start("dropped-register");
    let caller = tokio::spawn({
        let agent = minting.agent.clone();
        async move { agent.register().await }
    });
    requests(&minting.peer, 2).await;
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    minting.go.send(()).unwrap();
    minting.is_stored().await;
}

#[test]
fn a_register_that_is_dropped_outside_its_runtime_stores_its_token() {
    let mut minting = Minting::start("dropped-outside");
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let agent = minting.agent.clone();
    let mut register = Box::pin(agent.register());
    runtime.block_on(async {
        tokio::select! {
            _ = &mut register => panic!("nothing was minted yet"),
            () = requests(&minting.peer, 2) => {}
        }
    });
    drop(register);
    minting.go.send(()).unwrap();
    runtime.block_on(minting.is_stored());
}

#[test]
fn a_call_that_outlives_its_runtime_may_be_dropped() {
    let peer = ScriptedPeer::answering(|_| vec![PeerAction::Listen]);
    let agent = agent(peer.url());
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let mut call = Box::pin(agent.send(&Once));
    runtime.block_on(async {
        tokio::select! {
            _ = &mut call => panic!("nothing was answered"),
            () = requests(&peer, 1) => {}
        }
    });
    drop(runtime);
    drop(call);
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(closed(&peer, 1));
}

#[tokio::test]
async fn a_call_that_was_never_awaited_sends_nothing() {
    let peer = ScriptedPeer::answering(|_| vec![PeerAction::Listen]);
    let agent = agent(peer.url());
    drop(agent.send(&Once));
    tokio::task::yield_now().await;
    assert_eq!(peer.opened(), 0);
}

#[tokio::test]
async fn a_loop_that_is_dropped_gives_its_lock_back() {
    let peer = ScriptedPeer::answering(|_| vec![PeerAction::Listen]);
    let home = Home::new("dropped-loop");
    let agent = || builder(peer.url()).storage(Storage::Dir(home.0.clone())).build().unwrap();
    let (first, second) = (agent(), agent());
    let running = tokio::spawn({
        let first = first.clone();
        async move { first.run_heartbeat_loop().await }
    });
    requests(&peer, 1).await;
    running.abort();
    closed(&peer, 1).await;
    // The first agent still exists, and so does whatever its loop left behind.
    let stopper = second.stopper();
    let running = tokio::spawn(async move { second.run_heartbeat_loop().await });
    requests(&peer, 2).await;
    stopper.stop_now();
    timeout(SOON, running).await.unwrap().unwrap().unwrap();
    drop(first);
}

/// A platform that has a register's request and mints, and answers once it may.
struct Minting {
    agent: Agent,
    peer: ScriptedPeer,
    go: std::sync::mpsc::Sender<()>,
    replaced: UnboundedReceiver<Slot>,
    home: Home,
}

impl Minting {
    fn start(name: &str) -> Self {
        let (go, gate) = std::sync::mpsc::channel::<()>();
        let gate = Mutex::new(gate);
        let peer = ScriptedPeer::answering(move |request| {
            if request.is("POST /registry/register") {
                gate.lock().unwrap().recv_timeout(Duration::from_secs(10)).unwrap();
            }
            mint(request)
        });
        let home = Home::new(name);
        let (store, replaced) = Watched::open(&home);
        let store = Storage::Custom(Arc::new(store));
        let agent = Agent::builder(peer.url(), ID).storage(store).no_proxy().build().unwrap();
        Self { agent, peer, go, replaced, home }
    }

    async fn is_stored(&mut self) {
        timeout(SOON, self.replaced.recv()).await.unwrap().unwrap();
        let stored = std::fs::read_to_string(self.home.0.join(ID).join(".auth_token")).unwrap();
        assert_eq!(stored.trim(), "minted");
    }
}

/// A directory that is removed at the end.
struct Home(PathBuf);

impl Home {
    fn new(name: &str) -> Self {
        let home = std::env::temp_dir().join(format!("molecule-async-{name}-{}", std::process::id()));
        std::fs::create_dir(&home).unwrap();
        Self(home)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The files below a home, and a word whenever one was replaced.
struct Watched {
    files: Arc<dyn Store>,
    replaced: UnboundedSender<Slot>,
}

impl Watched {
    fn open(home: &Home) -> (Self, UnboundedReceiver<Slot>) {
        let id: WorkspaceId = ID.parse().unwrap();
        let files = Storage::Dir(home.0.clone()).open(&id).unwrap();
        let (replaced, watch) = unbounded_channel();
        (Self { files, replaced }, watch)
    }
}

impl Store for Watched {
    fn prepare(&self) -> Result<(), StoreError> {
        self.files.prepare()
    }

    fn load(&self, slot: Slot) -> Result<Option<Stored>, StoreError> {
        self.files.load(slot)
    }

    fn replace(&self, slot: Slot, content: &[u8]) -> Result<(), StoreError> {
        self.files.replace(slot, content)?;
        let _ = self.replaced.send(slot);
        Ok(())
    }

    fn set_aside(&self, slot: Slot) -> Result<String, StoreError> {
        self.files.set_aside(slot)
    }

    fn lock(&self) -> Result<Box<dyn Send>, StoreError> {
        self.files.lock()
    }
}
