//! `molecule trigger`: acts of owners, users and others, from another shell.

use std::io::Write;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::common::{self, wait_for};
use crate::server::{Desk, Server};

/// An agent of a workspace, which answers with its messages' own texts.
fn agent(desk: &Desk, server: &Server, name: &str) -> std::process::Child {
    let workspace = server.workspace(name);
    let mut command = desk.molecule(&["run", "--echo"]);
    command.env("PLATFORM_URL", server.text("url")).env("WORKSPACE_ID", workspace["id"].as_str().unwrap());
    command.env("MOLECULE_WORKSPACE_TOKEN", workspace["token"].as_str().unwrap()).env("MOLECULE_HOME", &desk.0);
    command.spawn().unwrap()
}

/// Runs the program with this on its stdin.
fn with_input(desk: &Desk, args: &[&str], input: &str) -> (i32, String, String) {
    let mut child = desk.molecule(args).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    common::told(child.wait_with_output().unwrap())
}

/// The log of the server, as text.
fn log(desk: &Desk) -> String {
    String::from_utf8_lossy(&std::fs::read(desk.0.join("molecule-dev.jsonl")).unwrap()).into_owned()
}

#[test]
fn a_message_is_answered_by_an_agent_and_a_pause_ends_it() {
    let desk = Desk::new("message");
    let server = desk.serve(&[]);
    let agent = agent(&desk, &server, "alice");
    std::fs::write(desk.0.join("plan.txt"), "dig\n").unwrap();
    let sent = desk.json(&["trigger", "-w", "alice", "message", "what is new?"]);
    assert_eq!(sent["acted"], "sent");
    wait_for("the agent answers", || log(&desk).matches("what is new?").count() > 1);
    let sent = desk.json(&["trigger", "-w", "alice", "message", "look", "--attach", "plan.txt"]);
    assert_eq!(sent["acted"], "sent");
    wait_for("the agent answers", || {
        log(&desk).matches("\\\"look\\\"").count() > 0 || log(&desk).matches("look").count() > 1
    });
    let sent = desk.json(&["trigger", "-w", "alice", "message", "hello", "--from", "bob"]);
    assert_eq!(sent["acted"], "sent");
    assert_eq!(desk.json(&["trigger", "-w", "alice", "pause"]), json!({ "acted": "count", "count": 1 }));
    let (code, _, err) = common::told(agent.wait_with_output().unwrap());
    assert_eq!(code, 4, "{err}");
}

#[test]
fn each_act_says_what_came_of_it() {
    let desk = Desk::new("acts");
    let server = desk.serve(&[]);
    let acted = |args: &[&str]| desk.json(&[&["trigger"], args].concat());
    let created = acted(&["create", "carol"]);
    assert_eq!(created["acted"], "created");
    let carol = created["id"].as_str().unwrap();
    assert_eq!(acted(&["-w", carol, "rotate"])["acted"], "token");
    let raised = acted(&["-w", "bob", "request", "look at it", "--kind", "approval"]);
    assert_eq!(raised["acted"], "raised");
    assert_eq!(acted(&["respond", raised["request"].as_str().unwrap(), "approved"])["acted"], "done");
    let (code, _, err) = with_input(&desk, &["trigger", "-w", "bob", "secret", "KEY"], "sk-trigger-1\n");
    assert_eq!(code, 0, "{err}");
    assert!(log(&desk).contains("\"sk-trigger-1\""), "the value is what was given, without the end of its line");
    assert_eq!(acted(&["-w", "bob", "secret", "KEY", "--remove"])["acted"], "done");
    assert_eq!(acted(&["forward", "180"])["acted"], "done");
    assert_eq!(acted(&["-w", "bob", "delete"])["acted"], "count");
    let (code, out, err) =
        with_input(&desk, &["--json", "trigger", "act"], r#"{"act":"set_database_down","down":true}"#);
    assert_eq!((code, serde_json::from_str::<Value>(&out).unwrap()), (0, json!({ "acted": "done" })), "{err}");
    drop(server);
}

#[test]
fn a_fault_meets_the_agent_that_it_is_for_until_it_is_ended() {
    let desk = Desk::new("chaos");
    let server = desk.serve(&[]);
    let register = |name: &str| {
        let workspace = server.workspace(name);
        let mut command = desk.molecule(&["peers"]);
        command.env("PLATFORM_URL", server.text("url")).env("WORKSPACE_ID", workspace["id"].as_str().unwrap());
        command.env("MOLECULE_WORKSPACE_TOKEN", workspace["token"].as_str().unwrap()).env("MOLECULE_HOME", ":memory:");
        common::told(command.output().unwrap())
    };
    desk.json(&["trigger", "-w", "alice", "chaos", "503", "--path", "/peers"]);
    assert_eq!((register("alice").0, register("bob").0), (75, 0), "{:?}", register("alice"));
    desk.json(&["trigger", "chaos", "html", "--all"]);
    assert_ne!(register("bob").0, 0);
    desk.json(&["trigger", "chaos", "none"]);
    assert_eq!((register("alice").0, register("bob").0), (0, 0));
}

#[test]
fn what_makes_no_sense_is_refused_with_its_remedy() {
    let desk = Desk::new("refusals");
    let (code, _, err) = desk.run(&["trigger", "-w", "alice", "pause"]);
    assert!(code == 1 && err.contains("no `molecule dev` runs on molecule-dev.jsonl"), "{err}");
    let server = desk.serve(&[]);
    for (args, code, part) in [
        (&["message", "hello"][..], 2, "several workspaces (alice, bob); choose one with --workspace"),
        (&["-w", "nobody", "pause"], 2, "there is no workspace \"nobody\""),
        (&["-w", "alice", "resume"], 1, "the platform refuses that: "),
        (&["-w", "alice", "secret", "KEY"], 2, "the secret is empty"),
        (&["forward", "0"], 2, "above 0"),
        (&["act"], 2, "the act is empty"),
    ] {
        let (given, _, err) = desk.run(&[&["trigger"], args].concat());
        assert!(given == code && err.contains(part), "{args:?}: {given} {err}");
    }
    let (code, _, err) = with_input(&desk, &["trigger", "act"], r#"{"act":"fly"}"#);
    assert!(code == 2 && err.contains("fly"), "{err}");
    drop(server);
    // April's server gives a name twice.
    let _april = desk.serve(&["--dialect", "april", "--file", "april.jsonl"]);
    let second = desk.json(&["trigger", "--file", "april.jsonl", "create", "alice"]);
    let (code, _, err) = desk.run(&["trigger", "--file", "april.jsonl", "-w", "alice", "pause"]);
    assert!(code == 2 && err.contains("several workspaces are called \"alice\""), "{err}");
    assert!(err.contains(second["id"].as_str().unwrap()), "{err}");
}
