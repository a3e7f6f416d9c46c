//! The protocol alone stands on stdout, whatever comes on stdin and however much is told.

use molecule_platform::Dialect;
use serde_json::json;

use crate::client::Client;
use crate::common::{LONG, World, bare, terminate, told};

const CURRENT: Dialect = Dialect::Current;

#[test]
fn junk_on_stdin_is_ignored_before_and_after_the_beginning() {
    let world = World::new(CURRENT, "mcp-junk");
    let mut client = Client::silent(world.molecule(&["mcp"]));
    let junk: &[&[u8]] = &[b"hello\n", b"\n", b"{\n", b"\xff\xfe\0\n", b"\"text\n"];
    junk.iter().for_each(|junk| client.write(junk));
    client.initialize("2025-11-25", "a-test");
    junk.iter().for_each(|junk| client.write(junk));
    // What is JSON and no message is refused, without a number.
    client.write(b"[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}]\n");
    assert_eq!(client.next()["error"]["code"], -32600);
    assert_eq!(client.request("no/such/method", json!({}))["error"]["code"], -32601);
    assert_eq!(client.request("tools/call", json!({"name": "no_such_tool"}))["error"]["code"], -32602);
    assert_eq!(client.result("ping", json!({})), json!({}));
    let (code, err) = client.end();
    assert_eq!(code, 0, "{err}");
}

/// The reader of the client panics at a line that is no message.
#[test]
fn nothing_but_the_protocol_is_on_stdout_while_much_is_told() {
    for look in [&["-v"][..], &["-vv"], &["-v", "--json"], &["-q"]] {
        let world = World::new(CURRENT, "mcp-told");
        let mut client = Client::silent(world.molecule(&[&["mcp"], look].concat()));
        client.initialize("2025-11-25", "a-test");
        world.write("hello");
        let message = client.wait_for_message();
        client.call("reply_to_workspace", json!({ "text": "hello yourself", "activity_id": message["activity_id"] }));
        world.wait_for_words(&["hello yourself"]);
        let (code, err) = client.end();
        assert_eq!(code, 0, "{err}");
        assert_eq!(err.contains("registered"), !look.contains(&"-q"), "{look:?}: {err}");
    }
}

#[test]
fn the_end_of_stdin_ends_the_program_once_its_calls_are_answered() {
    let world = World::new(CURRENT, "mcp-eof");
    let mut client = Client::new(&world);
    let waits = client.begin_call("wait_for_message", json!({ "timeout_secs": 300 }));
    let sends = client.begin_call("send_message_to_user", json!({ "message": "the last words" }));
    client.close();
    let mut answers = [client.next(), client.next()];
    answers.sort_by_key(|answer| answer["id"].as_u64());
    assert_eq!((answers[0]["id"].as_u64(), answers[1]["id"].as_u64()), (Some(waits), Some(sends)));
    assert_eq!(answers[1]["result"]["isError"], false, "{answers:?}");
    let (code, err) = client.end();
    assert_eq!(code, 0, "{err}");
    world.wait_for_words(&["the last words"]);
}

#[test]
fn a_client_that_says_nothing_ends_the_program_as_well() {
    let world = World::new(CURRENT, "mcp-silent");
    let (code, err) = Client::silent(world.molecule(&["mcp"])).end();
    assert_eq!(code, 0, "{err}");
}

#[test]
fn a_signal_ends_the_program_while_stdin_is_open() {
    let world = World::new(CURRENT, "mcp-term");
    let mut client = Client::new(&world);
    let waits = client.begin_call("wait_for_message", json!({ "timeout_secs": 300 }));
    client.result("ping", json!({}));
    terminate(&client.child);
    assert!(client.called(waits).text.contains("timeout"));
    let (code, err) = client.ended();
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("stopping"), "{err}");
}

#[test]
fn what_is_missing_is_told_on_stderr_with_exit_code_2() {
    let (code, out, err) = told(bare(&["mcp"]).output().unwrap());
    assert_eq!((code, out.as_str()), (2, ""), "{err}");
    assert!(err.contains("WORKSPACE_ID"), "{err}");
    let world = World::new(CURRENT, "mcp-marker");
    let shown = world.molecule(&["mcp"]).env("MOLECULE_WORKSPACE_TOKEN", "<ROTATE_TO_REVEAL_TOKEN>").output().unwrap();
    let (code, out, err) = told(shown);
    assert_eq!((code, out.as_str()), (2, ""), "{err}");
    assert!(err.contains("rotate"), "{err}");
    let odd = world.molecule(&["mcp"]).env("MOLECULE_MCP_POLL_TIMEOUT_SECS", "61").output().unwrap();
    assert!(told(odd).2.contains("from 0 to 60"));
}

/// The snippets of the platform call the program `molecule-mcp`.
#[test]
fn a_link_named_molecule_mcp_is_the_server() {
    let world = World::new(CURRENT, "mcp-link");
    std::fs::create_dir_all(&world.home).unwrap();
    let link = world.home.join("molecule-mcp");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_molecule"), &link).unwrap();
    let known = world.molecule(&[]);
    let mut command = std::process::Command::new(&link);
    command.envs(known.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut client = Client::with(command);
    assert_eq!(client.call("get_workspace_info", json!({})).json()["id"], world.id.as_str());
    assert_eq!(client.end().0, 0);
}

#[test]
fn a_program_that_leaves_the_loop_to_another_one_sends_no_heartbeat_and_has_no_inbox() {
    for (variable, beats) in [("MOLECULE_MCP_DISABLE_HEARTBEAT", false), ("MOLECULE_MCP_DISABLE_INBOX", true)] {
        let world = World::new(CURRENT, "mcp-disabled");
        let mut command = world.molecule(&["mcp"]);
        command.env(variable, "1");
        let mut client = Client::with(command);
        world.write("hello");
        let peeked = client.call("inbox_peek", json!({})).json();
        assert!(peeked["note"].as_str().unwrap().contains(variable), "{peeked}");
        assert_eq!(client.call("send_message_to_user", json!({ "message": "I am here" })).json()["status"], "sent");
        if beats {
            let beaten = |requests: &[molecule_platform::serve::Seen]| {
                requests.iter().any(|request| request.path == "/registry/heartbeat")
            };
            assert!(world.server.wait_for(beaten, LONG));
        }
        assert_eq!(client.end().0, 0);
        let paths: Vec<_> = world.server.requests().iter().map(|request| request.path.clone()).collect();
        assert_eq!(paths.iter().any(|path| path.starts_with("/registry/")), beats, "{paths:?}");
    }
}

#[test]
fn a_refused_token_is_told_by_each_tool_with_its_remedy() {
    let world = World::new(CURRENT, "mcp-refused-token");
    let mut command = world.molecule(&["mcp"]);
    command.env("MOLECULE_WORKSPACE_TOKEN", "a-token-that-nobody-has-made-for-this-workspace");
    let mut client = Client::with(command);
    let refused = client.call("list_peers", json!({}));
    assert!(refused.is_error && refused.text.contains("MOLECULE_WORKSPACE_TOKEN"), "{refused:?}");
    assert!(!refused.text.contains("nobody-has-made"), "{refused:?}");
    let (code, err) = client.end();
    assert!(code == 0 && !err.contains("nobody-has-made"), "{err}");
}
