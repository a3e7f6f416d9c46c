//! Each tool, against both servers where they differ.

use molecule_platform::{Config, Dialect, PluginTree};
use serde_json::{Value, json};

use crate::client::{Client, Peer};
use crate::common::{DIALECTS, World};

/// How a peer answers on this server: by polling, or by a server of its own, since April's has no poll mode.
fn ways(dialect: Dialect) -> &'static [&'static str] {
    match dialect {
        Dialect::Current => &["--echo"],
        Dialect::April => &["--push", "127.0.0.1:0", "--allow-unauthenticated", "--per-message", "--", "cat"],
    }
}

#[test]
fn tasks_for_peers_are_answered_and_their_states_are_shown() {
    for dialect in DIALECTS {
        let world = World::new(dialect, "mcp-peers");
        let peer = Peer::new(&world, "researcher");
        let _running = peer.start(&world, ways(dialect));
        let mut client = Client::new(&world);
        let peers = client.call("list_peers", json!({})).text;
        assert!(peers.contains(&format!("- researcher (ID: {}, status: ", peer.id)), "{peers}");
        assert_eq!(client.call("list_peers", json!({ "q": "no such name" })).text, "No peers found.");
        let answer = client.call("delegate_task", json!({ "workspace_id": peer.id, "task": "look it up" }));
        assert!(!answer.is_error && answer.text.contains("\nlook it up\n"), "{dialect:?}: {answer:?}");
        assert!(answer.text.starts_with("[UNTRUSTED CONTENT "), "{answer:?}");
        // The answer of a peer that polls came as a message, which is done.
        let nothing = client.call("wait_for_message", json!({ "timeout_secs": 0 })).json();
        assert_eq!(nothing["timeout"], true, "{nothing}");
        let twice: Vec<_> = (0..2)
            .map(|_| {
                let begun =
                    client.call("delegate_task_async", json!({ "workspace_id": peer.id, "task": "again" })).json();
                assert_eq!((&begun["status"], &begun["workspace_id"]), (&json!("delegated"), &json!(peer.id)));
                begun["delegation_id"].clone()
            })
            .collect();
        assert_ne!(twice[0], twice[1], "the same task may be given twice");
        let status = client.call("check_task_status", json!({ "task_id": twice[0] })).json();
        assert_eq!(status["delegation_id"], twice[0], "{status}");
        let all = client.call("check_task_status", json!({})).json();
        assert!(all["count"].as_u64() >= Some(2) && all["delegations"].is_array(), "{all}");
        let unknown = json!({ "task_id": "7fda77bf-a467-441c-9fab-7d8aba8e6040" });
        assert_eq!(client.call("check_task_status", unknown).json()["status"], "not_found");
        let history = client.call("chat_history", json!({ "peer_id": peer.id })).json();
        let texts = history.to_string();
        // April's server shows no row of a call to whoever made it.
        let said = if dialect == Dialect::April { "again" } else { "look it up" };
        assert!(texts.contains(said), "{dialect:?}: {history}");
        let none = json!({ "peer_id": peer.id, "before_ts": "2001-01-01T00:00:00Z" });
        assert_eq!(client.call("chat_history", none).json(), json!([]));
        assert_eq!(client.end().0, 0);
    }
}

#[test]
fn what_cannot_be_delegated_is_told_with_its_reason() {
    let world = World::new(Dialect::Current, "mcp-refused");
    let mut client = Client::new(&world);
    for (tool, arguments, part) in [
        ("delegate_task", json!({ "workspace_id": world.id, "task": "x" }), "DELEGATION FAILED"),
        ("delegate_task_async", json!({ "workspace_id": world.id, "task": "x" }), "this workspace itself"),
        (
            "delegate_task",
            json!({ "workspace_id": "7fda77bf-a467-441c-9fab-7d8aba8e6040", "task": "x" }),
            "DELEGATION FAILED",
        ),
        ("delegate_task", json!({ "workspace_id": "seven", "task": "x" }), "`workspace_id` is no UUID"),
        ("delegate_task", json!({ "workspace_id": "7fda77bf-a467-441c-9fab-7d8aba8e6040" }), "`task` is missing"),
        ("inbox_pop", json!({}), "`activity_id` is missing"),
        ("inbox_pop", json!({ "activity_id": "../x" }), "no UUID"),
        ("chat_history", json!({ "peer_id": world.id, "before_ts": "yesterday" }), "`before_ts`"),
        ("send_message_to_user", json!({}), "`message` is missing"),
        ("send_message_to_user", json!({ "message": "x", "attachments": ["a.txt"] }), "absolute"),
        ("commit_memory", json!({ "content": "x", "scope": "MOON" }), "`scope`"),
        ("update_agent_card", json!({ "card": 7 }), "`card`"),
        ("create_request", json!({ "kind": "wish", "title": "x" }), "`kind`"),
    ] {
        let answer = client.call(tool, arguments);
        assert!(answer.is_error, "{tool}: {answer:?}");
        assert!(answer.text.contains(part), "{tool}: {answer:?}");
    }
    assert_eq!(client.end().0, 0);
}

#[test]
fn a_task_for_a_peer_that_does_not_answer_is_not_sent_again() {
    let world = World::new(Dialect::Current, "mcp-silent-peer");
    let peer = Peer::new(&world, "sleeper");
    assert!(peer.molecule(&world, &["register"]).output().unwrap().status.success());
    let mut client = Client::new(&world);
    let task = json!({ "workspace_id": peer.id, "task": "wake up", "timeout_secs": 1 });
    let answer = client.call("delegate_task", task);
    assert!(!answer.is_error && answer.text.contains("Do not send it again"), "{answer:?}");
    let sent = world.server.with(|platform, _| format!("{:?}", platform.activity(&peer.id)));
    assert!(sent.contains("wake up"), "{sent}");
    assert_eq!(client.end().0, 0);
}

#[test]
fn the_user_is_told_with_files_and_a_silenced_workspace_says_so() {
    for dialect in DIALECTS {
        let world = World::new(dialect, "mcp-user");
        let mut client = Client::new(&world);
        std::fs::create_dir_all(&world.home).unwrap();
        let file = world.home.join("report.txt");
        std::fs::write(&file, "the report").unwrap();
        let told = json!({ "message": "it is done", "attachments": [{ "uri": "https://example.com/x", "name": "x" }] });
        assert_eq!(client.call("send_message_to_user", told).json()["status"], "sent");
        if dialect == Dialect::Current {
            let told = json!({ "message": "see the file", "attachments": [file.to_str().unwrap()] });
            assert_eq!(client.call("send_message_to_user", told).json()["status"], "sent");
            let rows = world.server.with(|platform, _| format!("{:?}", platform.activity(&world.id)));
            assert!(rows.contains("report.txt") && rows.contains("platform-pending:"), "{rows}");
        }
        assert!(world.said().iter().any(|text| text == "it is done"), "{:?}", world.said());
        world.server.with(|platform, _| platform.set_can_talk_to_user(&world.id, false));
        let refused = client.call("send_message_to_user", json!({ "message": "hello" }));
        if dialect == Dialect::Current {
            assert!(refused.is_error && refused.text.contains("talk_to_user"), "{refused:?}");
        }
        assert_eq!(client.end().0, 0);
    }
}

#[test]
fn notes_are_kept_and_found_and_a_server_without_the_plugin_says_so() {
    for config in [Config::new(Dialect::Current).memory_plugin(true), Config::new(Dialect::April)] {
        let world = World::of(config, "mcp-memory");
        let mut client = Client::new(&world);
        for (content, scope) in [("the sky is blue", "LOCAL"), ("lunch is at noon", "TEAM")] {
            let kept = client.call("commit_memory", json!({ "content": content, "scope": scope })).json();
            assert_eq!((&kept["success"], &kept["scope"]), (&json!(true), &json!(scope)), "{kept}");
        }
        let found = client.call("recall_memory", json!({ "query": "sky" })).text;
        assert!(found.contains("[LOCAL] the sky is blue") && !found.contains("lunch"), "{found}");
        let of_team = client.call("recall_memory", json!({ "scope": "TEAM" })).text;
        assert!(of_team.contains("[TEAM] lunch is at noon") && !of_team.contains("sky"), "{of_team}");
        let all = client.call("recall_memory", json!({ "scope": "", "query": "" })).text;
        assert!(all.contains("sky") && all.contains("lunch"), "{all}");
        assert_eq!(client.call("recall_memory", json!({ "query": "moon" })).text, "No memories found.");
        assert_eq!(client.end().0, 0);
    }
    let world = World::new(Dialect::Current, "mcp-no-memory");
    let mut client = Client::new(&world);
    for (tool, arguments) in [("commit_memory", json!({ "content": "x" })), ("recall_memory", json!({}))] {
        let answer = client.call(tool, arguments);
        assert!(answer.is_error && answer.text.contains("memory plugin is not configured"), "{answer:?}");
    }
    let asked = |method: &str| {
        let is_it =
            |request: &&molecule_platform::serve::Seen| request.path.ends_with("/memories") && request.method == method;
        world.server.requests().iter().filter(is_it).count()
    };
    assert_eq!((asked("POST"), asked("GET")), (1, 1), "it does not pass by itself");
    assert_eq!(client.end().0, 0);
}

#[test]
fn the_card_is_replaced() {
    for dialect in DIALECTS {
        let world = World::new(dialect, "mcp-card");
        let mut client = Client::new(&world);
        let card = json!({ "name": "librarian", "skills": ["search"], "x-own": 7 });
        assert_eq!(client.call("update_agent_card", json!({ "card": card })).json()["success"], true);
        let info = client.call("get_workspace_info", json!({})).json();
        assert_eq!(info["agent_card"]["name"], "librarian", "{info}");
        assert_eq!(info["agent_card"]["x-own"], 7, "{info}");
        assert_eq!(client.end().0, 0);
    }
}

#[test]
fn a_plugin_is_installed_and_its_setup_is_run_only_if_a_person_says_so() {
    for (more, is_run) in [(&[][..], false), (&["--setup", "run"], true)] {
        let world = World::new(Dialect::Current, "mcp-plugin");
        let setup = "#!/bin/bash\necho on stdout\ntouch was-run\n";
        let plugin = PluginTree::new("helper")
            .file("plugin.yaml", "name: helper\nversion: 1.0.0\ndescription: Helps.\n")
            .file("skills/a.md", "# a")
            .executable("setup.sh", setup);
        world.server.with(|platform, _| platform.add_plugin(plugin));
        let mut client = Client::with(world.molecule(&[&["mcp"], more].concat()));
        let installed = client.call("install_plugin", json!({ "source": "helper" })).json();
        assert_eq!((&installed["name"], &installed["replaced"]), (&json!("helper"), &json!(false)), "{installed}");
        let path = std::path::PathBuf::from(installed["path"].as_str().unwrap());
        assert!(path.join("skills/a.md").exists(), "{installed}");
        assert_eq!(path.join("was-run").exists(), is_run, "{installed}");
        assert_eq!(installed["note"].is_string(), !is_run, "{installed}");
        let unknown = client.call("install_plugin", json!({ "source": "no-such-plugin" }));
        assert!(unknown.is_error, "{unknown:?}");
        assert_eq!(client.end().0, 0);
    }
}

#[test]
fn a_request_and_a_broadcast_reach_whom_they_are_for() {
    let world = World::new(Dialect::Current, "mcp-requests");
    let mut client = Client::new(&world);
    let raised = client.call("create_request", json!({ "kind": "approval", "title": "may I?", "priority": 2 })).json();
    assert_eq!(raised["status"], "pending", "{raised}");
    let raised = client.call("create_approval", json!({ "action": "deploy", "reason": "it is ready" })).json();
    assert!(raised["request_id"].is_string(), "{raised}");
    let bodies: Vec<Value> = world
        .server
        .requests()
        .iter()
        .filter(|request| request.path.ends_with("/requests") && request.method == "POST")
        .map(|request| serde_json::from_slice(&request.body).unwrap())
        .collect();
    let first = json!({ "kind": "approval", "recipient_type": "user", "title": "may I?", "priority": 2 });
    let second = json!({ "kind": "approval", "recipient_type": "user", "title": "deploy", "detail": "it is ready" });
    assert_eq!(bodies, [first, second]);
    let id = raised["request_id"].clone();
    let own = client.call("check_requests", json!({ "status": "pending" })).json();
    assert_eq!(own.as_array().unwrap().len(), 2, "{own}");
    assert_eq!(client.call("cancel_request", json!({ "request_id": id })).json()["status"], "cancelled");
    let raise = |platform: &mut molecule_platform::Platform, now| {
        platform.raise_request(now, &world.id, molecule_platform::RequestKind::Task, "water the plants")
    };
    let task = world.server.with(raise).unwrap();
    let inbox = client.call("list_inbox", json!({})).json();
    assert_eq!((inbox.as_array().unwrap().len(), &inbox[0]["id"]), (1, &json!(task)), "{inbox}");
    assert!(inbox[0]["title"].as_str().unwrap().starts_with("[UNTRUSTED CONTENT "), "{inbox}");
    let written = json!({ "request_id": task, "message": "which ones?" });
    assert_eq!(client.call("add_request_message", written).json()["status"], "created");
    let shown = client.call("get_request", json!({ "request_id": task })).json();
    assert!(shown["messages"][0]["body"].as_str().unwrap().contains("which ones?"), "{shown}");
    let odd = client.call("respond_request", json!({ "request_id": task, "action": "maybe" }));
    assert!(odd.is_error && odd.text.contains("`action`"), "{odd:?}");
    assert_eq!(
        client.call("respond_request", json!({ "request_id": task, "action": "done" })).json()["status"],
        "done"
    );
    assert_eq!(client.call("list_inbox", json!({})).json(), json!([]));
    assert_eq!(client.call("list_inbox", json!({ "status": "done" })).json()[0]["id"], task);
    let refused = client.call("broadcast_message", json!({ "message": "hear" }));
    assert!(refused.is_error && refused.text.contains("may not broadcast"), "{refused:?}");
    world.server.with(|platform, _| platform.set_can_broadcast(&world.id, true));
    let sent = client.call("broadcast_message", json!({ "message": "hear" })).json();
    assert_eq!(sent["status"], "sent", "{sent}");
    assert_eq!(client.end().0, 0);
}
