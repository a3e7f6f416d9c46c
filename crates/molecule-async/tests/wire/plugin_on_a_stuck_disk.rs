//! A disk that takes nothing more does not make a download outlast its limit.

use std::env;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use molecule_async::{ErrorKind, Plugin};
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

use crate::support::{SOON, builder};

const LIMIT: Duration = Duration::from_millis(300);

/// The one thread for blocking work is busy from the moment of the request on, as it is when a write does not return.
#[test]
fn a_download_ends_at_its_limit_and_leaves_nothing() {
    let plugins = env::temp_dir().join(format!("molecule-async-{:016x}", molecule_host::seed()));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (asked, request) = oneshot::channel();
    let (stuck, is_stuck) = mpsc::channel::<()>();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_write_timeout(Some(SOON)).unwrap();
        let _ = stream.read(&mut [0; 4096]).unwrap();
        asked.send(()).unwrap();
        is_stuck.recv().unwrap();
        let began = Instant::now();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n").unwrap();
        // A good archive so far: nothing but its end, in blocks of deflate that are stored as they are.
        stream.write_all(b"\x1f\x8b\x08\0\0\0\0\0\0\xff").unwrap();
        let zeros = [&b"\0\xff\xff\0\0"[..], &[0; 0xffff]].concat();
        while stream.write_all(&zeros).is_ok() {}
        began.elapsed()
    });

    let runtime = Builder::new_multi_thread().worker_threads(1).max_blocking_threads(1).enable_all().build().unwrap();
    let (free, gate) = mpsc::channel::<()>();
    let ended = runtime.block_on(async {
        let agent = builder(url).plugins_dir(&plugins).build().unwrap();
        let plugin = Plugin::new("mine").download_timeout(LIMIT);
        let install = tokio::spawn(async move { agent.install_plugin(plugin).await });
        request.await.unwrap();
        let (busy, is_busy) = oneshot::channel();
        let write = spawn_blocking(move || {
            busy.send(()).unwrap();
            gate.recv().unwrap_err();
        });
        is_busy.await.unwrap();
        stuck.send(()).unwrap();
        // The connection is given up while the disk is still stuck.
        let ended = joined(server).await;
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

/// What the server's thread ends with, without a thread for blocking work.
async fn joined(server: thread::JoinHandle<Duration>) -> Duration {
    let (tell, told) = oneshot::channel();
    thread::spawn(move || tell.send(server.join().unwrap()));
    told.await.unwrap()
}

fn assert_nothing_left(plugins: &Path) {
    let names: Vec<_> = fs::read_dir(plugins).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, [".lock-mine"]);
}
