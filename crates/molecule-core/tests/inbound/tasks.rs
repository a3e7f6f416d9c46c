//! Answers that are tasks, and the messages that follow.

use molecule_core::proto::UnixTime;
use molecule_core::{Reply, ServerLimits, ServerOptions};
use serde_json::{Value, json};

use crate::support::agent::start_unix;
use crate::support::inbound::{PEER, PEER_TOKEN, Server, message, rpc, text};
use crate::support::secs;

fn server() -> Server {
    Server::with(ServerOptions::new().allow_unauthenticated().task_mode())
}

fn to(task: &Value, id: &str) -> Value {
    message(id, json!({"taskId": task["id"], "parts": [{"kind": "text", "text": id}]}))
}

fn get(task: &Value) -> Value {
    rpc("g", "tasks/get", json!({"id": task["id"]}))
}

fn cancel(task: &Value) -> Value {
    rpc("c", "tasks/cancel", json!({"id": task["id"]}))
}

fn ids(task: &Value) -> Vec<String> {
    let texts = task["history"].as_array().unwrap().iter().map(|message| message["parts"][0]["text"].as_str());
    texts.map(|text| text.unwrap_or_default().to_owned()).collect()
}

#[test]
fn a_task_stays_open_and_the_next_message_continues_it() {
    let mut server = server();
    let task = server.exchange(&text("one", "one"), "first")["result"].clone();
    assert_eq!((&task["kind"], &task["status"]["state"]), (&json!("task"), &json!("input-required")));
    assert_eq!(task["status"]["timestamp"].as_str().unwrap().parse::<UnixTime>().unwrap(), start_unix());
    assert_eq!(task["artifacts"][0]["parts"], json!([{"kind": "text", "text": "first"}]));
    assert!(task["artifacts"][0]["artifactId"].is_string() && task["contextId"].is_string());
    assert_eq!(ids(&task), ["one", "first"]);
    assert_eq!(task["history"][0]["taskId"], task["id"]);
    assert_eq!(task["history"][1]["role"], "agent");
    let again = server.exchange(&to(&task, "two"), "second")["result"].clone();
    assert_eq!((&again["id"], &again["contextId"]), (&task["id"], &task["contextId"]));
    assert_eq!(ids(&again), ["one", "first", "two", "second"]);
    assert_eq!(server.call(&get(&task)).json()["result"], again);
}

#[test]
fn the_handler_sees_the_task_that_a_message_belongs_to() {
    let mut server = server();
    server.call(&text("one", "one")).later();
    let (id, message) = server.handler();
    let task = message.task_id().unwrap().to_owned();
    assert!(message.context_id().is_some());
    server.reply(id, "first");
    server.call(&to(&json!({"id": task}), "two")).later();
    assert_eq!(server.handler().1.task_id(), Some(task.as_str()));
}

#[test]
fn the_history_is_cut_to_the_newest_messages() {
    let mut server = server();
    let task = server.exchange(&text("one", "one"), "first")["result"].clone();
    for (length, expected) in [(0, &[][..]), (1, &["first"]), (2, &["one", "first"]), (9, &["one", "first"])] {
        let asked = rpc("g", "tasks/get", json!({"id": task["id"], "historyLength": length}));
        assert_eq!(ids(&server.call(&asked).json()["result"]), expected);
    }
    let mut body = to(&task, "two");
    body["params"]["configuration"] = json!({"historyLength": 1});
    assert_eq!(ids(&server.exchange(&body, "second")["result"]), ["second"]);
}

#[test]
fn a_task_that_ended_takes_no_message_and_no_cancel() {
    let mut server = server();
    let task = server.exchange(&text("one", "one"), Reply::text("done").completes_task())["result"].clone();
    assert_eq!(task["status"]["state"], "completed");
    assert_eq!(server.call(&to(&task, "two")).code(), -32602);
    assert_eq!(server.call(&cancel(&task)).code(), -32002);
    assert_eq!(server.call(&get(&task)).json()["result"]["status"]["state"], "completed");
    assert_eq!(server.call(&to(&json!({"id": "no-such-task"}), "two")).code(), -32001);
}

#[test]
fn an_open_task_is_cancelled_and_its_handler_is_told() {
    let mut server = server();
    let waits = server.call(&text("one", "one")).later();
    let (id, message) = server.handler();
    let task = json!({"id": message.task_id().unwrap()});
    let cancelled = server.call(&cancel(&task)).json()["result"].clone();
    assert_eq!(cancelled["status"]["state"], "canceled");
    assert!(message.is_cancelled());
    assert_eq!(server.answer_to(waits).json()["result"]["status"]["state"], "canceled");
    server.reply(id, "too late");
    assert_eq!(server.call(&get(&task)).json()["result"], cancelled);
    assert_eq!(server.call(&cancel(&task)).code(), -32002);
    assert_eq!(server.call(&to(&task, "two")).code(), -32602);
    assert_eq!(server.call(&text("one", "one")).json()["result"]["status"]["state"], "canceled", "it ran once");
    // One that waits for input is cancelled as well.
    let task = server.exchange(&text("three", "three"), "what?")["result"].clone();
    assert_eq!(server.call(&cancel(&task)).json()["result"]["status"]["state"], "canceled");
}

#[test]
fn messages_of_one_task_are_handled_one_after_another() {
    let mut server = server();
    let task = server.exchange(&text("one", "one"), "first")["result"].clone();
    let two = server.call(&to(&task, "two")).later();
    let three = server.call(&to(&task, "three")).later();
    server.call(&text("other", "other")).later();
    let order: Vec<_> = server.handlers.iter().map(|(_, message)| message.text().into_owned()).collect();
    assert_eq!(order, ["two", "other"]);
    let (id, _) = server.handler();
    server.reply(id, "second");
    assert_eq!(
        server.answer_to(two).json()["result"]["status"]["state"],
        "working",
        "another message of it is handled"
    );
    assert_eq!(server.handlers[1].1.text(), "three");
    let (id, _) = server.handlers.remove(1).unwrap();
    server.reply(id, "third");
    let task = server.answer_to(three).json()["result"].clone();
    assert_eq!(task["status"]["state"], "input-required");
    assert_eq!(ids(&task), ["one", "first", "two", "three", "second", "third"]);
}

#[test]
fn a_caller_that_does_not_wait_gets_the_working_task() {
    let mut server = server();
    let mut body = text("one", "one");
    body["params"]["configuration"] = json!({"blocking": false});
    let task = server.call(&body).json()["result"].clone();
    assert_eq!((&task["status"]["state"], ids(&task)), (&json!("working"), vec!["one".to_owned()]));
    let (id, _) = server.handler();
    server.reply(id, "done");
    assert_eq!(server.call(&get(&task)).json()["result"]["status"]["state"], "input-required");
    assert_eq!(server.call(&body).json()["result"]["status"]["state"], "input-required", "a resend gets the end");
    // A reply that follows later leaves the task at work.
    let later = server.exchange(&text("two", "two"), Reply::later())["result"].clone();
    assert_eq!(later["status"]["state"], "working");
}

#[test]
fn a_task_of_another_caller_is_no_task() {
    let options = ServerOptions::new().task_mode().look_up_senders(false).peer_token(PEER, PEER_TOKEN);
    let mut server = Server::with_secret(options);
    let ticket = server.push(&text("one", "one")).later();
    let (id, _) = server.handler();
    server.reply(id, "first");
    let task = server.answer_to(ticket).json()["result"].clone();
    for body in [get(&task), cancel(&task), to(&task, "two")] {
        assert_eq!(server.call_directly(&body).code(), -32001);
    }
    assert!(server.push(&get(&task)).json()["result"].is_object());
}

#[test]
fn a_failed_handler_fails_its_task() {
    let mut server = server();
    let ticket = server.call(&text("one", "one")).later();
    let (id, message) = server.handler();
    let task = json!({"id": message.task_id().unwrap()});
    server.returns(id, Err("no"));
    assert_eq!(server.answer_to(ticket).code(), -32603);
    assert_eq!(server.call(&get(&task)).json()["result"]["status"]["state"], "failed");
}

#[test]
fn a_turn_of_the_platform_is_answered_by_a_message_also_with_tasks() {
    let mut server = server();
    let nudge = message("inbox-nudge-1", json!({"metadata": {"source": "platform", "kind": "inbox_nudge"}}));
    let answer = server.exchange(&nudge, "I am on it");
    assert_eq!((&answer["result"]["kind"], &answer["result"]["parts"]), (&json!("message"), &json!([])));
}

#[test]
fn tasks_are_bounded_by_number_age_and_history() {
    let mut limits = ServerLimits::new();
    (limits.tasks, limits.task_age) = (3, secs(100));
    let mut server = Server::with(ServerOptions::new().allow_unauthenticated().task_mode().limits(limits));
    let tasks: Vec<_> = (0..4).map(|n| server.exchange(&text(&n.to_string(), "x"), "y")["result"].clone()).collect();
    assert_eq!(server.call(&get(&tasks[0])).code(), -32001);
    assert!(server.call(&get(&tasks[1])).json()["result"].is_object());
    server.advance(secs(60));
    server.exchange(&to(&tasks[1], "again"), "y");
    server.advance(secs(60));
    assert_eq!(server.call(&get(&tasks[2])).code(), -32001, "nobody wrote to it for long");
    assert!(server.call(&get(&tasks[1])).json()["result"].is_object());
    for number in 0..120 {
        server.exchange(&to(&tasks[1], &format!("m-{number}")), "y");
    }
    let task = server.call(&get(&tasks[1])).json()["result"].clone();
    assert_eq!((task["history"].as_array().unwrap().len(), task["artifacts"].as_array().unwrap().len()), (200, 122));
}

#[test]
fn a_task_is_cancelled_at_every_stage_of_its_message() {
    let options = ServerOptions::new().task_mode();
    let task_of = |server: &mut Server| {
        let mut body = text("one", "one");
        body["params"]["configuration"] = json!({"blocking": false});
        server.push(&body).json()["result"].clone()
    };
    // While its sender is looked up: its handler never runs.
    let mut server = Server::with_secret(options);
    let task = task_of(&mut server);
    assert_eq!(server.push(&cancel(&task)).json()["result"]["status"]["state"], "canceled");
    server.shows(Vec::new());
    assert!(server.handlers.is_empty());
    assert_eq!(server.push(&text("one", "one")).json()["result"]["status"]["state"], "canceled");
    // While the end is saved: what the handler comes to changes nothing.
    let mut server = Server::with_secret(ServerOptions::new().task_mode().look_up_senders(false));
    server.holds_saves = true;
    let waits = server.push(&text("one", "one")).later();
    let (id, message) = server.handler();
    let task = json!({"id": message.task_id().unwrap()});
    assert_eq!(server.push(&cancel(&task)).json()["result"]["status"]["state"], "canceled");
    server.returns(id, Err("no"));
    while server.save() {}
    assert_eq!(server.answer_to(waits).json()["result"]["status"]["state"], "canceled");
    assert_eq!(server.push(&get(&task)).json()["result"]["status"]["state"], "canceled");
    // While it waits for a handler.
    let mut limits = ServerLimits::new();
    limits.handlers = 1;
    let mut server = Server::with(ServerOptions::new().allow_unauthenticated().task_mode().limits(limits));
    server.call(&text("first", "first")).later();
    let mut body = text("one", "one");
    body["params"]["configuration"] = json!({"blocking": false});
    let task = server.call(&body).json()["result"].clone();
    assert_eq!(server.call(&cancel(&task)).json()["result"]["status"]["state"], "canceled");
    let (id, _) = server.handler();
    server.reply(id, "done");
    assert!(server.handlers.is_empty());
}
