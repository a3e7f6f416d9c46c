//! Starts: a first one, one on a log that is there, and those that cannot be.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use crate::common::bare;
use crate::server::Desk;

#[test]
fn the_first_start_shows_what_an_agent_needs_and_the_second_goes_on() {
    let desk = Desk::new("starts");
    let first = desk.serve(&[]);
    let (alice, bob) = (first.workspace("alice").clone(), first.workspace("bob").clone());
    assert_eq!(first.text("file"), "molecule-dev.jsonl");
    assert_eq!((first.text("dialect"), first.shown["replayed"].as_u64()), ("current", Some(0)));
    let page = format!("{}/#token={}", first.text("url"), first.text("admin_token"));
    assert_eq!(first.text("page"), page);
    let mode = std::fs::metadata(desk.0.join("molecule-dev.jsonl")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "it has credentials");
    // An agent registers with what was shown.
    let (code, out, err) = crate::common::told(
        bare(&["register"])
            .env("PLATFORM_URL", first.text("url"))
            .env("WORKSPACE_ID", alice["id"].as_str().unwrap())
            .env("MOLECULE_WORKSPACE_TOKEN", alice["token"].as_str().unwrap())
            .env("MOLECULE_HOME", ":memory:")
            .output()
            .unwrap(),
    );
    assert_eq!(code, 0, "{out}{err}");
    let (code, err) = first.ends_by("INT");
    assert_eq!((code, err.as_str()), (0, ""), "--json writes no notes");

    let second = desk.serve(&[]);
    assert_eq!(second.workspace("alice")["id"], alice["id"]);
    assert_eq!(second.workspace("alice")["token"], alice["token"]);
    assert_eq!(second.workspace("alice")["status"], "online");
    assert_eq!(second.workspace("bob")["id"], bob["id"]);
    assert!(second.shown["replayed"].as_u64() > Some(5));
    assert_eq!(second.ends_by("TERM").0, 0);
}

#[test]
fn people_read_where_it_is_and_what_to_type() {
    let desk = Desk::new("banner");
    let mut child = desk.molecule(&["dev", "--port", "0", "--memory"]).spawn().unwrap();
    let lines = crate::common::read_until(child.stdout.take().unwrap(), |line| line == "Ctrl-C stops it.\n").concat();
    for part in [
        "Page:         http://127.0.0.1:",
        "Admin token:  dev-",
        "State:        in memory, lost at the end\n",
        "An agent for the workspace alice, in another terminal:\nexport PLATFORM_URL=http://127.0.0.1:",
        "\nexport MOLECULE_WORKSPACE_TOKEN=",
        " MOLECULE_HOME=':memory:'\nmolecule run --echo\n",
    ] {
        assert!(lines.contains(part), "{part:?} is missing: {lines}");
    }
    crate::common::signal(&child, "INT");
    let (code, _, err) = crate::common::told(child.wait_with_output().unwrap());
    assert_eq!((code, err.as_str()), (0, "stopped; the state is gone\n"));
    assert_eq!(std::fs::read_dir(&desk.0).unwrap().count(), 0, "nothing is left behind");
}

#[test]
fn a_fresh_start_keeps_the_old_log_and_an_empty_one_has_no_workspaces() {
    let desk = Desk::new("fresh");
    let old = desk.serve(&[]).workspace("alice")["id"].clone();
    let fresh = desk.serve(&["--fresh", "--empty", "--dialect", "april"]);
    assert_eq!((fresh.text("dialect"), &fresh.shown["workspaces"]), ("april", &serde_json::json!([])));
    assert_eq!(fresh.ends_by("TERM").0, 0);
    let again = desk.serve(&["--file", "molecule-dev.jsonl.1"]);
    assert_eq!(again.workspace("alice")["id"], old);
    // The dialect of a log is that of its first start.
    let (code, _, err) = desk.run(&["dev", "--port", "0", "--dialect", "current"]);
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("april") && err.contains("--fresh"), "{err}");
}

#[test]
fn a_scenario_is_what_a_first_start_has() {
    let desk = Desk::new("scenario");
    std::fs::write(desk.0.join("team.jsonl"), "{\"act\": \"create_workspace\", \"name\": \"lead\"}\n").unwrap();
    let server = desk.serve(&["--scenario", "team.jsonl"]);
    assert_eq!(server.shown["workspaces"].as_array().unwrap().len(), 1);
    server.workspace("lead");
    std::fs::write(desk.0.join("team.jsonl"), "{\"act\": \"fly\"}\n").unwrap();
    let (code, _, err) = desk.run(&["dev", "--port", "0", "--file", "other.jsonl", "--scenario", "team.jsonl"]);
    assert_eq!(code, 2);
    assert!(err.contains("team.jsonl, line 1: "), "{err}");
}

#[test]
fn a_port_that_is_taken_is_named_with_its_holder() {
    let desk = Desk::new("taken");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let (code, out, err) = desk.run(&["dev", "--port", &port]);
    assert_eq!((code, out.as_str()), (1, ""), "nothing is printed before it listens");
    assert!(err.contains(&format!("port {port} is taken")) && err.contains("--port"), "{err}");
    if cfg!(target_os = "linux") {
        assert!(err.contains(&format!("the process {} (", std::process::id())), "{err}");
    }
    assert_eq!(std::fs::read_dir(&desk.0).unwrap().count(), 0, "a start that fails begins no log");
}

#[test]
fn a_port_that_browsers_refuse_is_refused() {
    let (code, _, err) = Desk::new("refused").run(&["dev", "--port", "6000"]);
    assert_eq!(code, 2);
    assert!(err.contains("6000") && err.contains("browsers"), "{err}");
}

#[test]
fn a_log_in_use_is_named_with_who_uses_it() {
    let desk = Desk::new("in-use");
    let server = desk.serve(&[]);
    let (code, _, err) = desk.run(&["dev", "--port", "0"]);
    assert_eq!(code, 1);
    for part in ["molecule-dev.jsonl", "--file", server.text("url"), &server.process().to_string()] {
        assert!(err.contains(part), "{part}: {err}");
    }
}

#[test]
fn a_server_that_was_killed_starts_again() {
    let desk = Desk::new("killed");
    let server = desk.serve(&[]);
    let alice = server.workspace("alice")["id"].clone();
    drop(server);
    // As a kill in the middle of a write leaves it.
    let log = desk.0.join("molecule-dev.jsonl");
    let mut text = std::fs::read(&log).unwrap();
    text.truncate(text.len() - 3);
    std::fs::write(&log, text).unwrap();
    let again = desk.serve(&[]);
    assert_eq!(again.workspace("alice")["id"], alice);
    let (_, err) = again.ends_by("TERM");
    assert!(err.contains("bytes were removed"), "{err}");
}
