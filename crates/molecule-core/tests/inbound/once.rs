//! One message id runs its handler once, and whoever sends it again gets the same answer.

use serde_json::json;

use crate::support::inbound::{Server, message, rpc, text};

#[test]
fn all_who_send_a_message_while_it_is_handled_get_the_one_answer() {
    let mut server = Server::unauthenticated();
    let tickets: Vec<_> = (0..1_000)
        .map(|number| {
            let mut body = text("m", "hello");
            body["id"] = json!(number);
            server.call(&body).later()
        })
        .collect();
    assert_eq!(server.handlers.len(), 1);
    let (id, _) = server.handler();
    server.reply(id, "done");
    let answers: Vec<_> = tickets.into_iter().map(|ticket| server.answer_to(ticket).json()).collect();
    for (number, answer) in answers.iter().enumerate() {
        assert_eq!(answer["id"], number);
        assert_eq!(answer["result"], answers[0]["result"]);
    }
    assert!(server.handlers.is_empty());
}

#[test]
fn the_answer_is_on_the_disk_before_it_is_given_and_outlives_the_process() {
    let mut server = Server::unauthenticated();
    server.holds_saves = true;
    let ticket = server.call(&text("m", "hello")).later();
    let (id, _) = server.handler();
    server.reply(id, "done");
    assert!(!server.is_answered(ticket), "nothing is saved");
    assert!(server.save());
    let answer = server.answer_to(ticket).json();
    let mut server = server.restart();
    assert_eq!(server.call(&text("m", "hello")).json(), answer);
    assert!(server.handlers.is_empty());
}

#[test]
fn a_process_that_ends_before_the_answer_is_saved_has_given_none_and_the_message_runs_again() {
    let mut server = Server::unauthenticated();
    server.holds_saves = true;
    let ticket = server.call(&text("m", "hello")).later();
    let (id, _) = server.handler();
    server.reply(id, "done");
    assert!(!server.is_answered(ticket));
    let mut server = server.restart();
    server.call(&text("m", "hello")).later();
    assert_eq!(server.handlers.len(), 1);
}

#[test]
fn answers_of_many_messages_share_one_append() {
    let mut server = Server::unauthenticated();
    server.holds_saves = true;
    let tickets: Vec<_> = (0..10).map(|n| server.call(&text(&n.to_string(), "hello")).later()).collect();
    for _ in 0..10 {
        let (id, _) = server.handler();
        server.reply(id, "done");
    }
    // The first began at once; all others share the next one.
    assert!(server.save() && server.save() && !server.save());
    assert!(tickets.into_iter().all(|ticket| server.is_answered(ticket)));
}

#[test]
fn a_disk_that_refuses_keeps_no_caller_waiting() {
    let mut server = Server::unauthenticated();
    server.agent.store.fail("Append");
    let ticket = server.call(&text("m", "hello")).later();
    let (id, _) = server.handler();
    server.reply(id, "done");
    let answer = server.answer_to(ticket).json();
    assert_eq!(server.events.len(), 1, "{:?}", server.events);
    assert!(server.events[0].is_warning());
    assert_eq!(server.call(&text("m", "hello")).json(), answer, "it is kept in memory");
    // Once the disk takes it again, it is saved.
    server.agent.store.mend();
    server.advance(std::time::Duration::from_secs(2));
    let mut server = server.restart();
    assert_eq!(server.call(&text("m", "hello")).json(), answer);
}

#[test]
fn each_sender_and_each_chat_has_ids_of_its_own() {
    let mut server = Server::secured();
    let channel = |chat: &str| {
        let mut body = text("channel-telegram-7", "hello");
        body["params"]["metadata"] = json!({"source": "telegram", "chat_id": chat, "channel_id": "c"});
        body
    };
    let webhook = |id: &str, delivery: &str| {
        let mut body = text(id, "hello");
        body["params"]["metadata"] = json!({"source": "github", "delivery_id": delivery});
        body
    };
    for body in [channel("1"), channel("2"), webhook("a", "d-1"), webhook("b", "d-2"), text("m", "hello")] {
        server.push(&body).later();
    }
    server.call_directly(&text("m", "hello")).later();
    assert_eq!(server.handlers.len(), 6);
    for body in [channel("1"), channel("2"), webhook("c", "d-1"), text("m", "hello")] {
        server.push(&body).later();
    }
    server.call_directly(&text("m", "hello")).later();
    assert_eq!(server.handlers.len(), 6, "all of these are there already");
}

#[test]
fn a_failure_is_an_answer_too() {
    let mut server = Server::unauthenticated();
    let ticket = server.call(&text("m", "hello")).later();
    let (id, _) = server.handler();
    server.returns(id, Err("no"));
    assert_eq!(server.answer_to(ticket).code(), -32603);
    assert_eq!(server.call(&text("m", "hello")).code(), -32603);
    assert!(server.handlers.is_empty());
}

#[test]
fn what_is_kept_is_bounded_by_number_and_by_bytes() {
    use molecule_core::{ServerLimits, ServerOptions};
    let mut limits = ServerLimits::new();
    (limits.kept_answers, limits.kept_bytes) = (10, 10_000);
    let options = || ServerOptions::new().allow_unauthenticated().limits(limits.clone());
    let mut server = Server::with(options());
    let runs = |server: &mut Server, id: &str| {
        let told = server.call(&text(id, "hello"));
        let is_new = !server.handlers.is_empty();
        if is_new {
            let (id, _) = server.handler();
            server.reply(id, "done");
            server.answer_to(told.later());
        }
        is_new
    };
    assert!((0..11).all(|number| runs(&mut server, &number.to_string())));
    assert!(!runs(&mut server, "1"));
    assert!(runs(&mut server, "0"), "the oldest was dropped");
    let large = "x".repeat(3_000);
    for id in ["l-1", "l-2", "l-3", "l-4"] {
        server.exchange(&text(id, "hello"), large.as_str());
    }
    assert!(!runs(&mut server, "l-4"));
    assert!(runs(&mut server, "l-1"));
    // An answer that is too large alone is not kept, and its message is not handled again.
    let huge = server.exchange(&text("h", "hello"), "x".repeat(6_000));
    assert!(huge["result"].is_object());
    let again = server.call(&text("h", "hello")).json();
    assert_eq!(again["error"]["code"], -32603);
    assert!(again["error"]["message"].as_str().unwrap().contains("too large to be kept"));
    let mut server = server.restart();
    assert!(!runs(&mut server, "h"), "also after a restart");
}

#[test]
fn a_journal_of_answers_is_compacted_also_while_calls_come_without_a_pause() {
    use molecule_core::{ServerLimits, ServerOptions};
    let mut limits = ServerLimits::new();
    limits.kept_answers = 10;
    let options = ServerOptions::new().allow_unauthenticated().limits(limits);
    let long = "x".repeat(20_000);
    let length = |server: &Server| server.agent.store.answers.as_ref().unwrap().len();
    let mut server = Server::with(options);
    for number in 0..250 {
        server.exchange(&text(&number.to_string(), "hello"), long.as_str());
    }
    assert!(length(&server) < 3_000_000, "{}", length(&server));
    // There is always more to write while the store writes.
    server.holds_saves = true;
    let mut longest = 0;
    for number in 250..1_000 {
        server.call(&text(&number.to_string(), "hello")).later();
        let (id, _) = server.handler();
        server.reply(id, long.as_str());
        if number % 2 == 0 {
            server.save();
        }
        longest = longest.max(length(&server));
    }
    assert!((8_000_000..12_000_000).contains(&longest), "{longest}");
    while server.save() {}
    let mut server = server.restart();
    assert!(server.call(&text("999", "hello")).json()["result"].is_object());
}

#[test]
fn a_damaged_journal_of_answers_is_set_aside_and_the_rest_stays_known() {
    let mut server = Server::unauthenticated();
    for number in 0..400 {
        server.exchange(&text(&number.to_string(), "hello"), "a reply");
    }
    let mut server = server.restart();
    assert!(server.call(&text("399", "hello")).json()["result"].is_object());
    // One line is damaged: the others stay known.
    let content = server.agent.store.answers.as_mut().unwrap();
    let at = content.len() / 2;
    content[at] ^= 1;
    let mut server = server.restart();
    assert!(server.events.iter().any(|event| event.to_string().contains("damaged")), "{:?}", server.events);
    assert!(server.call(&text("399", "hello")).json()["result"].is_object());
    assert!(server.call(&text("0", "hello")).json()["result"].is_object());
    // What was salvaged is the first batch of the new journal.
    let mut server = server.restart();
    assert!(server.events.is_empty(), "{:?}", server.events);
    assert!(server.call(&text("399", "hello")).json()["result"].is_object());
}

#[test]
fn a_torn_end_of_the_journal_is_nothing() {
    let mut server = Server::unauthenticated();
    server.exchange(&text("a", "hello"), "one");
    server.exchange(&text("b", "hello"), "two");
    let content = server.agent.store.answers.clone().unwrap();
    for cut in 0..content.len() {
        let mut agent = crate::support::Agent::new();
        agent.store.answers = Some(content[..cut].to_vec());
        let server = Server::of(agent, molecule_core::ServerOptions::new().allow_unauthenticated());
        assert!(server.events.is_empty(), "cut at {cut}: {:?}", server.events);
    }
}

#[test]
fn a_handler_goes_on_when_its_caller_is_gone_and_is_told() {
    let mut server = Server::unauthenticated();
    let first = server.call(&text("m", "hello")).later();
    let second = server.call(&text("m", "hello")).later();
    let (id, message) = server.handler();
    server.hang_up(first);
    assert!(!message.is_cancelled(), "somebody waits");
    server.hang_up(second);
    assert!(message.is_cancelled());
    assert!(server.cancelled.is_empty(), "it goes on");
    let third = server.call(&text("m", "hello")).later();
    assert!(!message.is_cancelled(), "somebody waits again");
    server.hang_up(third);
    server.reply(id, "done");
    assert!(server.answers.is_empty());
    assert_eq!(server.call(&text("m", "hello")).json()["result"]["parts"][0]["text"], "done");
    server.hang_up(first);
}

#[test]
fn other_calls_are_not_kept() {
    let mut server = Server::unauthenticated();
    for _ in 0..2 {
        assert_eq!(server.call(&rpc("1", "tasks/get", json!({"id": "m"}))).code(), -32001);
    }
    assert!(server.call(&message("m", json!({"parts": [7]}))).code() == -32602);
    server.call(&text("m", "hello")).later();
    assert_eq!(server.handlers.len(), 1, "a message that was refused for its form may be sent again, mended");
}
