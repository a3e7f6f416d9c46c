//! A caller may go away at any time: what is under way is given up, and what must be finished is finished.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use molecule_async::core::effect::{Slot, Stored};
use molecule_async::{Agent, Storage, Store, StoreError, WorkspaceId};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

use crate::peer::{Act, Peer, json};
use crate::support::{ID, Once, SOON, agent, builder};

#[tokio::test]
async fn a_call_that_is_dropped_closes_its_connection() {
    let peer = Peer::start(|_| vec![Act::Stall]);
    let agent = agent(peer.url());
    let call = tokio::spawn(async move { agent.send(&Once).await });
    peer.wait_for_requests(1).await;
    call.abort();
    peer.wait_for_closed(1).await;
}

#[tokio::test]
async fn a_register_that_is_dropped_while_a_token_is_minted_stores_it() {
    let (go, gate) = std::sync::mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let peer = Peer::start(move |seen| {
        if seen.is("POST /registry/register") {
            // The server has the request and mints; its answer comes once the caller is gone.
            gate.lock().unwrap().recv_timeout(Duration::from_secs(10)).unwrap();
            json(r#"{"status":"registered","delivery_mode":"poll","auth_token":"minted"}"#)
        } else {
            json(&format!(r#"{{"id":"{ID}","status":"online","kind":"workspace"}}"#))
        }
    });
    let home = Home::new("dropped-register");
    let (store, mut replaced) = Watched::open(&home);
    let agent = Agent::builder(peer.url(), ID).storage(Storage::Custom(Arc::new(store))).no_proxy().build().unwrap();
    let caller = tokio::spawn({
        let agent = agent.clone();
        async move { agent.register().await }
    });
    peer.wait_for_requests(2).await;
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    go.send(()).unwrap();

    timeout(SOON, replaced.recv()).await.unwrap().unwrap();
    assert_eq!(std::fs::read_to_string(home.0.join(ID).join(".auth_token")).unwrap().trim(), "minted");
}

#[tokio::test]
async fn a_loop_that_is_dropped_gives_its_lock_back() {
    let peer = Peer::start(|_| vec![Act::Stall]);
    let home = Home::new("dropped-loop");
    let agent = || builder(peer.url()).storage(Storage::Dir(home.0.clone())).build().unwrap();
    let (first, second) = (agent(), agent());
    let running = tokio::spawn({
        let first = first.clone();
        async move { first.run_heartbeat_loop().await }
    });
    peer.wait_for_requests(1).await;
    running.abort();
    peer.wait_for_closed(1).await;
    // The first agent still exists, and so does whatever its loop left behind.
    let stopper = second.stopper();
    let running = tokio::spawn(async move { second.run_heartbeat_loop().await });
    peer.wait_for_requests(2).await;
    stopper.stop_now();
    timeout(SOON, running).await.unwrap().unwrap().unwrap();
    drop(first);
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
