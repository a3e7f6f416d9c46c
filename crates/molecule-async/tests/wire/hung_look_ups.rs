//! Look-ups that hang hold up nothing but their own requests: neither acts on the store, nor other names, nor the runtime's end.

use std::sync::{Mutex, mpsc};
use std::thread;

use molecule_async::{Client, Transport};
use molecule_conformance::{ScriptedPeer, mint};
use tokio::runtime::Builder;
use tokio::time::timeout;

use crate::support::{SOON, builder};

#[test]
fn a_token_is_stored_behind_many_look_ups_that_hang() {
    let peer = ScriptedPeer::answering(mint);
    let here = peer.address();
    let (go, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let (hangs, hung) = mpsc::channel();
    let names = move |host: &str, _: u16| {
        if host.starts_with("hung") {
            let _ = hangs.send(());
            let _ = gate.lock().unwrap().recv();
        }
        Ok(vec![here])
    };
    let client = Client::with_names(&Transport::default(), names).unwrap();
    let agent = |url: String| builder(url).allow_insecure_http().client(client.clone()).build().unwrap();
    // A hung look-up on one of these two threads, and the store waits with the rest.
    let runtime = Builder::new_multi_thread().worker_threads(1).max_blocking_threads(2).enable_all().build().unwrap();
    // Dropped before the runtime, should the test fail.
    let go = go;
    runtime.block_on(async {
        for number in 0..20 {
            let hanging = agent(format!("http://hung-{number}.example"));
            tokio::spawn(async move { hanging.pull_secrets().await });
        }
        hung.recv_timeout(SOON).unwrap();
        let agent = agent(format!("http://platform.example:{}", peer.port()));
        timeout(SOON, agent.register()).await.unwrap().unwrap();
    });
    // Nor does the end of the runtime wait for them.
    let (ended, end) = mpsc::channel();
    thread::spawn(move || {
        drop(runtime);
        ended.send(())
    });
    end.recv_timeout(SOON).unwrap();
    drop(go);
}
