//! A start goes on where the last one stopped, wherever that was.

use crate::common::{Folder, beat, create, get, send};
use molecule_dev::{Dev, Options};
use molecule_platform::Dialect;
use molecule_proto::{WorkspaceStatus, path};

#[test]
fn a_restart_has_the_same_state_and_the_same_credentials() {
    for dialect in [Dialect::Current, Dialect::April] {
        let folder = Folder::new();
        let dev = Dev::start(Options::at(folder.log()).dialect(dialect)).unwrap();
        assert!(dev.opened().is_none());
        let (id, token) = create(dev.world(), "mine");
        assert_eq!(beat(&dev, &id, &token, 1), 200);
        let (admin, line) = (dev.admin_token(), dev.world().line());
        dev.stop().unwrap();

        let dev = Dev::start(Options::at(folder.log())).unwrap();
        let opened = dev.opened().unwrap();
        assert_eq!((opened.mismatched, opened.cut), (0, 0), "{:?}", opened.mismatches);
        assert!(opened.lines >= line - 1);
        assert_eq!(dev.admin_token(), admin);
        let status = dev.world().read(None, |platform, _| platform.status(&id)).unwrap();
        assert_eq!(status, Some(WorkspaceStatus::Online));
        assert_eq!(get(&dev, &path::state(&id), token.expose()).0, 200);
        let ids = dev.world().read(None, |platform, _| platform.workspaces().count()).unwrap();
        // The examples are made at the first start alone.
        assert_eq!(ids, if dialect == Dialect::Current { 4 } else { 3 });
    }
}

#[test]
fn a_log_of_another_dialect_is_refused_and_kept() {
    let folder = Folder::new();
    Dev::start(Options::at(folder.log())).unwrap().stop().unwrap();
    let before = std::fs::read(folder.log()).unwrap();
    let error = Dev::start(Options::at(folder.log()).dialect(Dialect::April)).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    assert!(error.to_string().contains("--fresh"), "{error}");
    assert_eq!(std::fs::read(folder.log()).unwrap(), before);
}

#[test]
fn a_fresh_start_sets_the_old_log_aside() {
    let folder = Folder::new();
    let dev = Dev::start(Options::at(folder.log()).empty(true)).unwrap();
    let (id, _) = create(dev.world(), "old");
    dev.stop().unwrap();
    let old = std::fs::read(folder.log()).unwrap();
    let dev = Dev::start(Options::at(folder.log()).empty(true).fresh(true)).unwrap();
    let aside = dev.set_aside().unwrap().to_owned();
    assert_eq!(std::fs::read(aside).unwrap(), old);
    assert_eq!(dev.world().read(None, |platform, _| platform.status(&id)).unwrap(), None);
    dev.stop().unwrap();
    let dev = Dev::start(Options::at(folder.log()).fresh(true)).unwrap();
    assert!(dev.set_aside().unwrap().to_string_lossy().ends_with(".2"));
}

#[test]
fn two_processes_do_not_write_one_log_and_the_second_says_who_holds_it() {
    let folder = Folder::new();
    let dev = Dev::start(Options::at(folder.log())).unwrap();
    for options in [Options::at(folder.log()), Options::at(folder.log()).fresh(true)] {
        let error = Dev::start(options).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ResourceBusy);
        assert!(error.to_string().contains(dev.url()), "{error}");
        assert!(error.to_string().contains(&std::process::id().to_string()), "{error}");
    }
    dev.stop().unwrap();
    Dev::start(Options::at(folder.log())).unwrap();
}

#[test]
fn a_port_that_is_taken_is_named_and_leaves_no_file() {
    let folder = Folder::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let error = Dev::start(Options::at(folder.log()).port(port)).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    assert!(error.to_string().contains(&port.to_string()) && error.to_string().contains("--port"), "{error}");
    assert!(!folder.log().exists());
}

#[cfg(unix)]
#[test]
fn the_log_and_the_file_beside_it_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    std::fs::write(folder.log(), "").unwrap();
    std::fs::set_permissions(folder.log(), PermissionsExt::from_mode(0o644)).unwrap();
    let _dev = Dev::start(Options::at(folder.log())).unwrap();
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{entry:?}");
        names.push(entry.file_name());
    }
    assert_eq!(names.len(), 2, "{names:?}");
}

#[test]
fn a_request_for_another_host_is_refused_before_everything_else() {
    let dev = Dev::start(Options::in_memory()).unwrap();
    let address = dev.url().strip_prefix("http://").unwrap().to_owned();
    for path in ["/", "/health", "/dev/events"] {
        let text = format!("GET {path} HTTP/1.1\r\nHost: rebound.example\r\nConnection: close\r\n\r\n");
        assert_eq!(crate::common::exchange(&address, &text).0, 403, "{path}");
        let twice = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        assert_eq!(crate::common::exchange(&address, &twice).0, 400, "{path}");
    }
    assert_eq!(send(&dev, "GET", "/health", None, "").0, 200);
}

#[test]
fn who_waited_when_the_last_run_ended_is_gone_and_a_call_in_flight_was_cut_off() {
    use std::io::{Read, Write};
    let folder = Folder::new();
    let dev = Dev::start(Options::at(folder.log()).empty(true)).unwrap();
    let (id, token) = create(dev.world(), "mine");
    // It takes calls, and never answers.
    let agent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/a2a", agent.local_addr().unwrap());
    let body = serde_json::json!({"id": id, "url": url, "delivery_mode": "push", "agent_card": {"name": "a"}});
    assert_eq!(crate::common::post(&dev, path::REGISTER, token.expose(), &body).0, 200);
    let address = dev.url().strip_prefix("http://").unwrap().to_owned();
    let mut stream = std::net::TcpStream::connect(&address).unwrap();
    let open = format!(
        "GET /workspaces/{id}/events/stream HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\n\r\n",
        token.expose()
    );
    stream.write_all(open.as_bytes()).unwrap();
    stream.read_exact(&mut [0; 12]).unwrap();
    let message = molecule_proto::Message::text("hello");
    dev.world().act(molecule_dev::Act::SendUserMessage { to: id.clone(), message });
    let (call, _) = agent.accept().unwrap();
    let open = |dev: &Dev| dev.world().read(None, |p, _| (p.open_calls().len(), p.streams().count())).unwrap();
    assert_eq!(open(&dev), (1, 1));
    // As if it had been killed now: what it writes later is not there.
    let killed = std::fs::read(folder.log()).unwrap();
    dev.stop().unwrap();
    drop((call, stream));
    std::fs::write(folder.log(), killed).unwrap();

    let dev = Dev::start(Options::at(folder.log())).unwrap();
    assert_eq!(dev.opened().unwrap().mismatched, 0);
    assert_eq!(open(&dev), (0, 0));
    // A call that was cut off before its answer's head counts as one to a busy agent: the message waits in the queue.
    assert_eq!(dev.world().read(None, |platform, _| platform.queued(&id).len()).unwrap(), 1);
}

#[test]
fn what_is_no_file_is_no_log_and_keeps_its_permissions() {
    let folder = Folder::new();
    let before = std::fs::metadata(folder.path()).unwrap().permissions();
    let error = Dev::start(Options::at(folder.path())).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    assert!(error.to_string().contains("it is no file"), "{error}");
    assert_eq!(std::fs::metadata(folder.path()).unwrap().permissions(), before);
}
