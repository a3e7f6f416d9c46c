//! `GET /workspaces/:id/chat-history`: the conversation with the user.

#![allow(clippy::unwrap_used)]

mod common;

use common::Bench;
use common::mail::{message, said};
use molecule_platform::Dialect;
use molecule_proto::{Token, WorkspaceId, path};
use serde_json::{Value, json};

fn history(bench: &mut Bench, of: &(WorkspaceId, Token), query: &str) -> (Vec<(String, String)>, Value) {
    let (status, body) = bench.get(&format!("/workspaces/{}/chat-history{query}", of.0), Some(of.1.expose()));
    assert_eq!(status, 200, "{body}");
    let text = |message: &Value, key: &str| message[key].as_str().unwrap().to_owned();
    let messages = body["messages"].as_array().unwrap().iter();
    (messages.map(|message| (text(message, "role"), text(message, "content"))).collect(), body)
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(role, content)| ((*role).to_owned(), (*content).to_owned())).collect()
}

#[test]
fn it_has_what_people_wrote_and_what_the_agent_said_oldest_first() {
    let mut bench = Bench::new(Dialect::Current);
    let (agent, peer) = (bench.poll_agent("agent"), bench.poll_agent("peer"));
    bench.platform.send_user_message(bench.now, &agent.0, "one").unwrap();
    bench.wait(1);
    bench.tell_now(&peer, &agent.0, &message("m", "not for the user"));
    let file = json!([{"uri": "https://h/a.txt", "name": "a.txt"}]);
    bench.post(&path::notify(&agent.0), Some(agent.1.expose()), &json!({"message": "two", "attachments": file}));
    bench.wait(1);
    bench.platform.nudge(bench.now, &agent.0).unwrap();
    bench.beat(&agent.0, Some(&agent.1));
    let (messages, body) = history(&mut bench, &agent, "");
    assert_eq!(&messages[..2], pairs(&[("user", "one"), ("agent", "two")]));
    assert_eq!((messages.len(), messages[2].0.as_str()), (3, "system"));
    assert_eq!(body["messages"][2]["systemKind"], json!("notice"));
    assert_eq!(body["messages"][1]["attachments"], json!([{"uri": "https://h/a.txt", "name": "a.txt"}]));
    assert_eq!(body["reached_end"], json!(true));
    let (messages, body) = history(&mut bench, &agent, "?limit=2");
    assert_eq!((messages[0].1.as_str(), &body["reached_end"]), ("two", &json!(false)));
}

#[test]
fn a_push_agents_answer_is_there_unless_it_says_nothing() {
    let mut bench = Bench::new(Dialect::Current);
    let agent = bench.push_agent("agent");
    let nothing = common::mail::reply(200, &json!({"jsonrpc": "2.0", "id": "r", "result": {"parts": []}}));
    for (text, outcome) in [("one", said("two")), ("three", nothing)] {
        bench.platform.send_user_message(bench.now, &agent.0, text).unwrap();
        let (call, _) = bench.turns().calls.remove(0);
        bench.platform.dispatched(bench.now, call, outcome);
        bench.wait(1);
    }
    let (messages, body) = history(&mut bench, &agent, "");
    assert_eq!(messages, pairs(&[("user", "one"), ("agent", "two"), ("user", "three")]));
    let ids: Vec<_> =
        body["messages"].as_array().unwrap().iter().map(|message| message["id"].as_str().unwrap()).collect();
    assert!(ids[0].ends_with(":user") && ids[1].ends_with(":agent") && ids[0][..36] == ids[1][..36], "{ids:?}");
}

#[test]
fn april_has_none() {
    let mut bench = Bench::new(Dialect::April);
    let agent = bench.push_agent("agent");
    let answer = bench.get(&format!("/workspaces/{}/chat-history", agent.0), Some(agent.1.expose()));
    assert_eq!(answer, (404, json!("404 page not found")));
}
