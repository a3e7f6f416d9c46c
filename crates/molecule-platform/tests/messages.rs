//! Messages between agents: their delivery and their answers (contract sections 9 and 10; April 7).

#![allow(clippy::unwrap_used)]

mod common;

use bytes::Bytes;
use common::mail::{message, read, reply, said};
use common::{ADMIN, Bench, config, error};
use molecule_platform::{Answer, Dialect, DispatchFault, Now};
use molecule_proto::{Token, WorkspaceId, path};
use serde_json::{Value, json};

/// Two push agents that may talk to each other.
fn two(dialect: Dialect) -> (Bench, (WorkspaceId, Token), (WorkspaceId, Token)) {
    let mut bench = Bench::new(dialect);
    let one = bench.push_agent("one");
    let other = bench.push_agent("other");
    (bench, one, other)
}

#[test]
fn a_poll_agent_finds_the_message_in_its_feed_and_the_first_of_an_id_stays() {
    let mut bench = Bench::new(Dialect::Current);
    let (one, poll) = (bench.push_agent("one"), bench.poll_agent("poll"));
    let taken = json!({"status": "queued", "delivery_mode": "poll", "method": "message/send"});
    assert_eq!(bench.tell_now(&one, &poll.0, &message("m-1", "first")), (200, taken.clone()));
    assert_eq!(bench.tell_now(&one, &poll.0, &message("m-1", "second")), (200, taken.clone()));
    assert_eq!(bench.tell_now(&one, &poll.0, &message("m-2", "nul \0")), (200, taken));
    let rows = bench.feed(&poll, "a2a_receive");
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!(rows[0]["source_id"], json!(one.0));
    assert_eq!(rows[0].pointer("/request_body/params/message/parts/0/text"), Some(&json!("first")));
    assert!(bench.turns().calls.is_empty());
}

#[test]
fn aprils_server_knows_no_poll_agents() {
    let mut bench = Bench::new(Dialect::April);
    let (one, silent) = (bench.push_agent("one"), bench.create("silent"));
    let refused = json!({"error": "workspace has no URL", "status": "provisioning"});
    assert_eq!(bench.tell_now(&one, &silent.0, &message("m", "x")), (503, refused));
    assert!(bench.feed(&silent, "a2a_receive").is_empty());
}

#[test]
fn a_push_agent_is_called_at_its_url_with_its_own_secret_and_never_with_the_callers_bearer() {
    for dialect in [Dialect::April, Dialect::Current] {
        let (mut bench, one, other) = two(dialect);
        let Answer::Later(ticket) = bench.tell(&one, &other.0, &message("m", "x")) else { panic!("nobody is called") };
        let (id, request) = bench.turns().calls.remove(0);
        assert_eq!(request.uri(), "http://localhost:9/a2a");
        let presented = request.headers().get("authorization").map(|value| value.to_str().unwrap().to_owned());
        let secret = bench.platform.inbound_secret(&other.0).map(|secret| format!("Bearer {}", secret.expose()));
        assert_eq!(presented, secret.filter(|_| dialect == Dialect::Current));
        let sent: Value = serde_json::from_slice(request.body()).unwrap();
        assert_eq!(sent, message("m", "x"));
        let everything = format!("{request:?}{sent}");
        assert!(!everything.contains(one.1.expose()) && !everything.contains(one.0.as_str()));
        bench.platform.dispatched(bench.now, id, said("hello"));
        let answer = bench.turns().answer(ticket);
        assert_eq!(answer.1.pointer("/result/parts/0/text"), Some(&json!("hello")));
    }
}

#[test]
fn the_later_answer_carries_the_rate_limit_of_its_request() {
    let mut bench = Bench::with(config(Dialect::Current).rate_limit(Some(60)));
    let (one, other) = (bench.push_agent("one"), bench.push_agent("other"));
    let Answer::Later(_) = bench.tell(&one, &other.0, &message("m", "x")) else { panic!("nobody is called") };
    let (id, _) = bench.turns().calls.remove(0);
    bench.platform.dispatched(bench.now, id, said("hello"));
    let (_, response) = bench.turns().answers.remove(0);
    assert_eq!(response.headers()["x-ratelimit-limit"], "60");
    assert!(response.headers().contains_key("x-ratelimit-remaining"));
}

#[test]
fn what_an_agent_answers_is_passed_on_and_errors_are_reduced_to_a_text() {
    for dialect in [Dialect::April, Dialect::Current] {
        let (mut bench, one, other) = two(dialect);
        let empty = || Ok(http::Response::new(Bytes::new()));
        let rpc_error = json!({"jsonrpc": "2.0", "id": 1, "error": {"code": 1, "message": "no"}});
        let cases = [
            (reply(201, &json!({"any": "thing"})), 201, json!({"any": "thing"})),
            (reply(200, &rpc_error), 200, rpc_error.clone()),
            (reply(500, &rpc_error), 500, error("Internal Server Error")),
            (reply(429, &json!({"error": "slow down", "retry_after": 7})), 429, error("slow down")),
            (Err(DispatchFault::Connect(None)), 502, error("failed to reach workspace agent")),
            (Err(DispatchFault::Resolve), 502, error("failed to reach workspace agent")),
        ];
        for (number, (outcome, status, body)) in cases.into_iter().enumerate() {
            let answer = bench.tell_agent(&one, &other.0, &message(&format!("m{number}"), "x"), outcome);
            assert_eq!(answer, (status, body), "{dialect:?}");
        }
        let nothing = bench.tell_agent(&one, &other.0, &message("m", "x"), empty());
        let expected = match dialect {
            Dialect::April => Value::Null,
            Dialect::Current => error("agent returned empty response body"),
        };
        assert_eq!(nothing, (200, expected));
    }
}

#[test]
fn a_reply_that_is_too_long_or_breaks_off_is_lost_and_says_that_it_was_delivered() {
    let (mut bench, one, other) = two(Dialect::Current);
    let long = Bytes::from(vec![b'x'; bench.platform.most_reply() + 1]);
    let (status, body) = bench.tell_agent(&one, &other.0, &message("m1", "x"), Ok(http::Response::new(long)));
    assert_eq!((status, &body["delivery_confirmed"], &body["truncated"]), (502, &json!(true), &json!(true)));
    let cut = Err(DispatchFault::Cut(http::StatusCode::OK));
    let (status, body) = bench.tell_agent(&one, &other.0, &message("m2", "x"), cut);
    assert_eq!((status, &body["delivery_confirmed"]), (502, &json!(true)));

    let (mut bench, one, other) = two(Dialect::April);
    let long = Bytes::from(vec![b'x'; bench.platform.most_reply() + 1]);
    let Answer::Later(_) = bench.tell(&one, &other.0, &message("m", "x")) else { panic!("nobody is called") };
    let (id, _) = bench.turns().calls.remove(0);
    bench.platform.dispatched(bench.now, id, Ok(http::Response::new(long)));
    let (_, response) = bench.turns().answers.remove(0);
    assert_eq!((response.status().as_u16(), response.body().len()), (200, 10 << 20));
}

#[test]
fn a_call_cut_in_the_middle_of_its_answer_was_delivered_and_is_not_sent_again() {
    for dialect in [Dialect::April, Dialect::Current] {
        let limit = std::time::Duration::from_secs(3);
        let mut bench = Bench::with(config(dialect).idle_timeout(limit));
        let (one, other) = (bench.push_agent("one"), bench.push_agent("other"));
        let Answer::Later(ticket) = bench.tell(&one, &other.0, &message("m", "x")) else { panic!("nobody is called") };
        let (id, _) = bench.turns().calls.remove(0);
        bench.platform.dispatch_head(id, http::StatusCode::OK);
        assert!(bench.turns_after(2999).answers.is_empty());
        let turns = bench.turns_after(1);
        assert_eq!(turns.cancelled, [id], "the limit covers the body");
        let mut lost = json!({"error": "failed to read agent response", "delivery_confirmed": true});
        if dialect == Dialect::Current {
            lost["truncated"] = json!(false);
            lost["max_bytes"] = json!(64 << 20);
        }
        assert_eq!(turns.answer(ticket), (502, lost), "{dialect:?}");
        bench.beat(&other.0, Some(&other.1));
        assert!(bench.turns().calls.is_empty(), "it is not queued");
        let row = bench.feed(&other, "a2a_receive").remove(0);
        assert_eq!((&row["status"], row["error_detail"].as_str()), (&json!("ok"), None), "{dialect:?}");
    }
}

#[test]
fn an_agents_503_is_passed_on_bare_and_the_message_is_not_queued() {
    for dialect in [Dialect::April, Dialect::Current] {
        let (mut bench, one, other) = two(dialect);
        for (said, shown) in [
            (json!({"error": "full", "busy": true, "retry_after": 9}), "full"),
            (json!({"error": {"code": -32000}}), "Service Unavailable"),
        ] {
            let Answer::Later(_) = bench.tell(&one, &other.0, &message(shown, "x")) else { panic!("nobody is called") };
            let (id, _) = bench.turns().calls.remove(0);
            let busy = http::Response::builder().status(503).header("retry-after", "9");
            bench.platform.dispatched(bench.now, id, Ok(busy.body(Bytes::from(said.to_string())).unwrap()));
            let (_, response) = bench.turns().answers.remove(0);
            assert!(!response.headers().contains_key("retry-after"));
            assert_eq!(read(&response), (503, error(shown)), "{dialect:?}");
            bench.beat(&other.0, Some(&other.1));
            assert!(bench.turns().calls.is_empty(), "it is not sent again");
            let rows = bench.feed(&other, "a2a_receive");
            let row = rows.iter().find(|row| row["request_body"]["params"]["message"]["messageId"] == shown).unwrap();
            let seen = (&row["status"], row["error_detail"].as_str(), &row["response_body"]);
            assert_eq!(seen, (&json!("error"), None, &said), "{dialect:?}");
        }
    }
}

#[test]
fn the_secret_goes_to_hosts_by_name_and_to_local_literals_only_if_configured() {
    for (always, url, is_sent) in [
        (false, "http://localhost:9/a2a", true),
        (false, "http://agent.example.com/a2a", true),
        (false, "http://93.184.216.34/a2a", true),
        (false, "http://127.0.0.1:9/a2a", false),
        (false, "http://[::1]:9/a2a", false),
        (true, "http://127.0.0.1:9/a2a", true),
    ] {
        let mut bench = Bench::with(config(Dialect::Current).bearer_to_local(always));
        let (one, other) = (bench.push_agent("one"), bench.create("other"));
        let body = json!({"id": other.0, "agent_card": {}, "url": url, "delivery_mode": "push"});
        assert_eq!(bench.post(path::REGISTER, Some(other.1.expose()), &body).0, 200, "{url}");
        let Answer::Later(_) = bench.tell(&one, &other.0, &message("m", "x")) else { panic!("{url} is not called") };
        let (_, request) = bench.turns().calls.remove(0);
        assert_eq!(request.headers().contains_key("authorization"), is_sent, "{always} {url}");
    }
}

#[test]
fn an_agent_that_writes_to_itself_is_called_and_gets_its_own_answer() {
    for dialect in [Dialect::April, Dialect::Current] {
        let mut bench = Bench::new(dialect);
        let agent = bench.push_agent("agent");
        let answer = bench.tell_agent(&agent.clone(), &agent.0, &message("m", "x"), said("it is me"));
        assert_eq!(
            (answer.0, answer.1.pointer("/result/parts/0/text")),
            (200, Some(&json!("it is me"))),
            "{dialect:?}"
        );
        let unreachable = bench.tell_agent(&agent, &agent.0, &message("n", "x"), Err(DispatchFault::Connect(None)));
        assert_eq!(unreachable, (502, error("failed to reach workspace agent")), "{dialect:?}");
    }
}

#[test]
fn redirects_are_followed_on_aprils_server_alone_where_the_new_place_learns_the_old_one() {
    for (dialect, status, method) in
        [(Dialect::April, 302, "GET"), (Dialect::April, 307, "POST"), (Dialect::Current, 302, "")]
    {
        let (mut bench, one, other) = two(dialect);
        let Answer::Later(ticket) = bench.tell(&one, &other.0, &message("m", "x")) else { panic!("nobody is called") };
        let (id, _) = bench.turns().calls.remove(0);
        let redirect = http::Response::builder().status(status).header("location", "/elsewhere").body(Bytes::new());
        bench.platform.dispatched(bench.now, id, Ok(redirect.unwrap()));
        let mut turns = bench.turns();
        if dialect == Dialect::Current {
            assert_eq!(turns.answer(ticket), (302, error("Found")));
            continue;
        }
        let (id, request) = turns.calls.remove(0);
        assert_eq!((request.method().as_str(), request.uri().path()), (method, "/elsewhere"));
        assert_eq!(request.headers()["referer"], "http://localhost:9/a2a");
        assert_eq!(request.body().is_empty(), method == "GET");
        bench.platform.dispatched(bench.now, id, said("there"));
        assert_eq!(bench.turns().answer(ticket).0, 200);
    }
}

#[test]
fn a_call_is_cut_in_silence_and_each_beat_of_its_target_begins_it_anew() {
    let mut bench = Bench::with(config(Dialect::Current).idle_timeout(std::time::Duration::from_secs(3)));
    let (one, other) = (bench.push_agent("one"), bench.push_agent("other"));
    let Answer::Later(ticket) = bench.tell(&one, &other.0, &message("m", "x")) else { panic!("nobody is called") };
    let (id, _) = bench.turns().calls.remove(0);
    for _ in 0..3 {
        let turns = bench.turns_after(2000);
        assert!(turns.cancelled.is_empty() && turns.answers.is_empty());
        bench.post(path::HEARTBEAT, Some(other.1.expose()), &json!({"workspace_id": other.0, "active_tasks": 1}));
    }
    assert!(bench.turns_after(2999).answers.is_empty());
    let turns = bench.turns_after(1);
    assert_eq!(turns.cancelled, [id]);
    assert_eq!(turns.answer(ticket).1["queued"], json!(true));
    // A later outcome no longer matters.
    bench.platform.dispatched(bench.now, id, said("too late"));
    assert!(bench.turns().answers.is_empty());
}

#[test]
fn an_agents_own_limit_replaces_the_platforms_until_a_beat_without_it() {
    let (mut bench, one, other) = two(Dialect::Current);
    let beat = |bench: &mut Bench, metadata: Value| {
        let body = json!({"workspace_id": other.0, "active_tasks": 1, "runtime_metadata": metadata});
        assert_eq!(bench.post(path::HEARTBEAT, Some(other.1.expose()), &body).0, 200);
    };
    beat(&mut bench, json!({"idle_timeout_seconds": 2}));
    let Answer::Later(_) = bench.tell(&one, &other.0, &message("m1", "x")) else { panic!("nobody is called") };
    assert_eq!(bench.turns_after(2000).cancelled.len(), 1);
    beat(&mut bench, json!(null));
    let Answer::Later(_) = bench.tell(&one, &other.0, &message("m2", "x")) else { panic!("nobody is called") };
    assert!(bench.turns_after(1_799_999).cancelled.is_empty());
    assert_eq!(bench.turns_after(1).cancelled.len(), 1);
}

#[test]
fn a_person_is_let_go_after_ninety_seconds_and_the_answer_comes_to_the_row() {
    let (mut bench, _, other) = two(Dialect::Current);
    let body = message("m", "x").to_string();
    let request = http::Request::post(path::a2a(&other.0)).header("authorization", format!("Bearer {ADMIN}"));
    let answer = bench.platform.handle(bench.now, None, request.body(Bytes::from(body)).unwrap());
    let Answer::Later(ticket) = answer else { panic!("nobody is called") };
    let (id, _) = bench.turns().calls.remove(0);
    assert!(bench.turns_after(89_999).answers.is_empty());
    let turns = bench.turns_after(1);
    assert_eq!(turns.answer(ticket).1["delivery_mode"], json!("push-async"));
    assert!(turns.cancelled.is_empty());
    bench.platform.dispatched(bench.now, id, said("at last"));
    assert!(bench.turns().answers.is_empty());
    let rows = bench.feed(&other, "a2a_receive");
    assert_eq!(rows[0].pointer("/response_body/result/parts/0/text"), Some(&json!("at last")));
    assert_eq!(rows[0].pointer("/request_body/params/metadata/source"), Some(&json!("canvas_user")));
}

#[test]
fn an_agent_that_never_registered_has_no_secret_and_is_not_called() {
    let mut bench = Bench::new(Dialect::Current);
    let one = bench.push_agent("one");
    let silent = bench.platform.create_workspace_at(bench.now, "silent", "http://localhost:9/a2a").unwrap();
    let (status, body) = bench.tell_now(&one, &silent, &message("m", "x"));
    assert_eq!((status, body), (503, error("workspace not yet enrolled in inbound auth (RFC #2312)")));
}

#[test]
fn a_sleeping_agent_is_woken_by_its_first_message() {
    let mut bench = Bench::new(Dialect::Current);
    let (one, sleeper) = (bench.push_agent("one"), bench.push_agent("sleeper"));
    assert!(bench.platform.hibernate(bench.now, &sleeper.0));
    let answer = bench.tell(&one, &sleeper.0, &message("m", "x")).ready().unwrap();
    assert_eq!(answer.headers()["retry-after"], "15");
    assert_eq!(read(&answer).1["waking"], json!(true));
    assert_eq!(bench.status(&sleeper.0).as_str(), "failed");
    bench.beat(&sleeper.0, Some(&sleeper.1));
    assert_eq!(bench.status(&sleeper.0).as_str(), "online");
}

#[test]
fn a_message_that_nobody_may_send_is_refused_before_anything_is_written() {
    let mut bench = Bench::new(Dialect::Current);
    let (one, uncle) = (bench.push_agent("one"), bench.poll_agent("uncle"));
    let (below, _) = bench.platform.create_workspace_below(bench.now, "below", &uncle.0).unwrap();
    let denied = error("access denied: workspaces cannot communicate per hierarchy rules");
    assert_eq!(bench.tell_now(&one, &below, &message("m", "x")), (403, denied));
    assert!(bench.platform.set_can_delegate(&one.0, false));
    assert_eq!(bench.tell_now(&one, &uncle.0, &message("m", "x")), (403, error("tool call failed")));
    assert!(bench.feed(&uncle, "a2a_receive").is_empty());
}

#[test]
fn one_that_has_spent_its_budget_is_not_called() {
    for dialect in [Dialect::April, Dialect::Current] {
        let (mut bench, one, other) = two(dialect);
        let spent = json!({"workspace_id": other.0, "monthly_spend": 500});
        bench.post(path::HEARTBEAT, Some(other.1.expose()), &spent);
        assert!(bench.platform.set_budget(&other.0, Some(500)));
        let (status, body) = bench.tell_now(&one, &other.0, &message("m", "x"));
        assert_eq!((status, &body["error"]), (402, &json!("workspace budget limit exceeded")), "{dialect:?}");
        assert!(bench.feed(&other, "a2a_receive").is_empty());
        assert!(bench.platform.set_budget(&other.0, None));
        assert_eq!(bench.tell_agent(&one, &other.0, &message("m", "x"), said("here")).0, 200);
    }
}

#[test]
fn an_outcome_nobody_waits_for_changes_nothing() {
    let (mut bench, one, other) = two(Dialect::Current);
    let Answer::Later(_) = bench.tell(&one, &other.0, &message("m", "x")) else { panic!("nobody is called") };
    let (id, _) = bench.turns().calls.remove(0);
    bench.platform.dispatched(bench.now, id, said("once"));
    assert_eq!(bench.turns().answers.len(), 1);
    bench.platform.dispatched(bench.now, id, said("twice"));
    assert!(bench.turns().answers.is_empty());
    let stood_still = Now { mono: molecule_proto::Time::ZERO, ..bench.now };
    bench.platform.dispatched(stood_still, id, Err(DispatchFault::Closed));
    assert!(bench.turns().answers.is_empty());
}
