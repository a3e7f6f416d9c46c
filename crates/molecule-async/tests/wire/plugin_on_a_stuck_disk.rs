//! A disk that takes nothing more does not make a download outlast its limit.

use std::env;
use std::fs;
use std::path::Path;
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

use molecule_async::{ErrorKind, Plugin};
use molecule_conformance::ScriptedPeer;
use tokio::runtime::Builder;
use tokio::sync::mpsc::unbounded_channel;
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

use crate::support::{SOON, builder};

const LIMIT: Duration = Duration::from_millis(300);

/// The one thread for blocking work is busy from the moment of the request on, as it is when a write does not return.
#[test]
fn a_download_ends_at_its_limit_and_leaves_nothing() {
    let plugins = env::temp_dir().join(format!("molecule-async-{:016x}", molecule_host::seed()));
    let (asked, mut request) = unbounded_channel();
    let (stuck, is_stuck) = mpsc::channel::<()>();
    let is_stuck = Mutex::new(is_stuck);
    let (sent, mut ended) = unbounded_channel();
    let server = ScriptedPeer::start(move |connection| {
        connection.request().unwrap();
        asked.send(()).unwrap();
        is_stuck.lock().unwrap().recv().unwrap();
        let began = Instant::now();
        connection.send("HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n");
        // A good archive so far: nothing but its end, in blocks of deflate that are stored as they are.
        connection.send(b"\x1f\x8b\x08\0\0\0\0\0\0\xff");
        let zeros = [&b"\0\xff\xff\0\0"[..], &[0; 0xffff]].concat();
        while connection.send(&zeros) {}
        sent.send(began.elapsed()).unwrap();
    });

    let runtime = Builder::new_multi_thread().worker_threads(1).max_blocking_threads(1).enable_all().build().unwrap();
    let (free, gate) = mpsc::channel::<()>();
    let ended = runtime.block_on(async {
        let agent = builder(server.url()).plugins_dir(&plugins).build().unwrap();
        let plugin = Plugin::new("mine").download_timeout(LIMIT);
        let install = tokio::spawn(async move { agent.install_plugin(plugin).await });
        request.recv().await.unwrap();
        let (busy, is_busy) = oneshot::channel();
        let write = spawn_blocking(move || {
            busy.send(()).unwrap();
            gate.recv().unwrap_err();
        });
        is_busy.await.unwrap();
        stuck.send(()).unwrap();
        // The connection is given up while the disk is still stuck.
        let ended = ended.recv().await.unwrap();
        assert!(!install.is_finished(), "the lock is given back by the same thread");
        drop(free);
        write.await.unwrap();
        let error = install.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
        ended
    });
    assert!(ended >= LIMIT / 2 && ended < SOON, "{ended:?}");
    drop(runtime);
    assert_nothing_left(&plugins);
    fs::remove_dir_all(&plugins).unwrap();
}

fn assert_nothing_left(plugins: &Path) {
    let names: Vec<_> = fs::read_dir(plugins).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, [".lock-mine"]);
}
