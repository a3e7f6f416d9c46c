//! Each command once, on both servers: its exit code, and its result as JSON.

#![allow(clippy::unwrap_used)]

mod common;

use std::process::Command;

use common::{DIALECTS, World, bare, told};
use molecule_platform::Dialect;
use serde_json::json;

#[test]
fn an_agent_registers_once_and_then_needs_no_token() {
    for dialect in DIALECTS {
        let world = World::new(dialect, "register");
        let registered = world.json(&["register"]);
        assert_eq!((&registered["paused"], &registered["token"]), (&json!(false), &json!("held")), "{registered}");
        let status = world.molecule(&["--json", "status"]).env_remove("MOLECULE_WORKSPACE_TOKEN").output().unwrap();
        let (code, out, err) = told(status);
        assert_eq!(code, 0, "{out}{err}");
        let status: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(status["view"]["id"], json!(world.id));
        assert_eq!(status["state"]["deleted"], json!(false));
        assert_eq!(status["why_no_state"], json!(null));
    }
}

#[test]
fn the_state_of_the_workspace_is_the_exit_code() {
    for dialect in DIALECTS {
        let world = World::new(dialect, "state");
        world.run(&["register"]);
        world.server.with(|platform, now| platform.pause(now, &world.id, false)).unwrap();
        assert_eq!(world.run(&["status"]).0, 4);
        let (code, out, err) = world.run(&["register"]);
        assert_eq!((code, &*out), (4, "the workspace is paused: nothing was sent\n"), "{err}");
        world.server.with(|platform, now| platform.delete(now, &world.id, false)).unwrap();
        let (code, out, _) = world.run(&["status"]);
        assert_eq!((code, &*out), (5, "the workspace was removed\n"));
        assert_eq!(world.run(&["register"]).0, 5);
    }
}

#[test]
fn secrets_are_listed_by_name_and_go_into_a_commands_variables() {
    for dialect in DIALECTS {
        let world = World::new(dialect, "secrets");
        world.server.with(|platform, now| platform.set_secret(now, &world.id, "API_KEY", "sk-1"));
        assert_eq!(world.json(&["secrets", "list"]), json!(["API_KEY"]));
        assert_eq!(world.run(&["secrets", "list"]).1, "API_KEY\n");
        assert_eq!(world.json(&["secrets", "list", "--reveal"]), json!({ "API_KEY": "sk-1" }));
        let script = r#"echo "$API_KEY,$MOLECULE_WORKSPACE_TOKEN,$1"; exit 7"#;
        let (code, out, err) = world.run(&["secrets", "exec", "--", "sh", "-c", script, "sh", "two words"]);
        assert_eq!((code, &*out), (7, "sk-1,,two words\n"), "{err}");
        let (code, _, err) = world.run(&["secrets", "exec", "--", "no-such-program"]);
        assert_eq!(code, 1);
        assert!(err.contains("no-such-program cannot be started"), "{err}");
    }
}

#[test]
fn a_peer_is_found_called_and_delegated_to() {
    let world = World::new(Dialect::Current, "peers");
    let other = world.server.with(|platform, now| platform.create_workspace(now, "other").0);
    world.run(&["register"]);
    let peers = world.json(&["peers", "other"]);
    assert_eq!(peers[0]["id"], json!(other), "{peers}");
    let called = world.json(&["call", other.as_str(), "hello"]);
    assert_eq!(called["outcome"], json!("queued"), "the peer is not there yet: {called}");
    let delegated = world.json(&["delegate", other.as_str(), "count"]);
    assert!(delegated["delegation_id"].is_string(), "{delegated}");
}

#[test]
fn the_user_is_told_what_stands_in_an_argument_or_on_stdin() {
    for dialect in DIALECTS {
        let world = World::new(dialect, "send");
        world.run(&["register"]);
        assert_eq!(world.json(&["send", "the report is ready"]), json!({ "result": "sent" }));
        let (code, _, err) = world.run(&["send"]);
        assert_eq!(code, 2, "{err}");
        assert!(err.contains("the message is empty"), "{err}");
        assert_eq!(world.said(), ["the report is ready"]);
    }
}

#[test]
fn plugins_that_are_not_there_are_no_plugins() {
    let world = World::new(Dialect::Current, "plugins");
    world.run(&["register"]);
    assert_eq!(world.json(&["plugins", "list"]), json!([]));
    assert_eq!(world.json(&["plugins", "verify"]), json!({}));
    let (code, _, err) = world.run(&["plugins", "uninstall", "none"]);
    assert_eq!((code, err.contains("no plugin none is installed")), (1, true), "{err}");
    assert_eq!(world.json(&["inbox", "dead"]), json!([]));
}

#[test]
fn a_new_token_replaces_the_old_one() {
    let world = World::new(Dialect::Current, "recover");
    world.run(&["register"]);
    assert_eq!(world.json(&["recover"]), json!("rotated"));
    let (code, _, err) = told(world.molecule(&["status"]).env_remove("MOLECULE_WORKSPACE_TOKEN").output().unwrap());
    assert_eq!(code, 0, "{err}");
}

#[test]
fn what_is_wrong_is_an_exit_code_and_a_sentence() {
    let world = World::new(Dialect::Current, "wrong");
    let wrong = |change: &dyn Fn(&mut Command) -> &mut Command, args: &[&str]| {
        let mut command = world.molecule(args);
        change(&mut command);
        told(command.output().unwrap())
    };
    let (code, out, err) = wrong(&|command| command.env_remove("WORKSPACE_ID"), &["status"]);
    assert_eq!((code, &*out), (2, ""), "{err}");
    assert!(err.starts_with("error: no workspace is named"), "{err}");
    let (code, _, err) = wrong(&|command| command.env("MOLECULE_WORKSPACE_TOKEN", "dead"), &["secrets", "list"]);
    assert_eq!(code, 3, "{err}");
    let (code, _, err) = wrong(&|command| command.env("PLATFORM_URL", "http://127.0.0.1:1"), &["--json", "peers"]);
    assert_eq!(code, 75, "{err}");
    let error: serde_json::Value = serde_json::from_str(err.lines().last().unwrap()).unwrap();
    assert_eq!((&error["exit"], &error["kind"]), (&json!(75), &json!("unreachable")), "{error}");
    assert_eq!(told(bare(&["no-such-command"]).output().unwrap()).0, 2);
    let (code, out, _) = told(bare(&["completions", "bash"]).output().unwrap());
    assert_eq!((code, out.contains("_molecule")), (0, true));
}

#[test]
fn a_token_comes_from_a_file_and_never_shows() {
    let world = World::new(Dialect::Current, "token");
    std::fs::create_dir_all(&world.home).unwrap();
    let file = world.home.join("token");
    std::fs::write(&file, "tok-in-a-file\n").unwrap();
    let args = ["-vv", "--token-file", file.to_str().unwrap(), "secrets", "list"];
    let (code, out, err) = told(world.molecule(&args).env_remove("MOLECULE_WORKSPACE_TOKEN").output().unwrap());
    assert_eq!(code, 3);
    assert!(!format!("{out}{err}").contains("tok-in-a-file"), "{out}{err}");
    let sent = world.server.requests();
    assert!(sent.iter().any(|request| request.path.ends_with("/secrets/values")), "{sent:?}");
}
