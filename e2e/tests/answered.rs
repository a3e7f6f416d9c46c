//! Messages are answered by the loop: each once, and no exchange goes on for ever.

use molecule_e2e::core::endpoint::{ActivityFeed, ActivitySource};
use molecule_e2e::core::proto::{Message, TraceParent};
use molecule_e2e::core::{CallOutcome, Event, InboundMessage, Reply, ReplyEnd};
use molecule_e2e::{route, scenario};
use serde_json::Value;

fn is_delivered(event: &Event) -> bool {
    matches!(event, Event::ReplyEnded { end: ReplyEnd::Delivered, .. })
}

scenario!(a_reply_to_the_user_whose_answer_is_lost_is_found_in_the_feed_and_not_sent_again, [Current], |stage| {
    let world = stage.world();
    let (id, token) = world.workspace();
    let agent = world.setup(&id).token(&token).build().unwrap();
    let lost = world.lose_answer(1, route::NOTIFY);
    let running = agent.start_with(|message| Ok(Some(Reply::text(format!("got {}", message.text())))));
    world.platform(|platform, now| platform.send_user_message(now, &id, "hello")).unwrap();
    agent.events().wait_for("that the reply is delivered", is_delivered);
    lost.end();
    running.stop();
    let page = agent.send(&ActivityFeed::new().source(ActivitySource::Canvas)).unwrap();
    let notices: Vec<_> = page.rows.iter().filter(|row| row.is_notice()).collect();
    assert_eq!((world.count(route::NOTIFY), notices.len()), (1, 1));
    assert_eq!(notices[0].response_body.as_ref().unwrap()["result"], "got hello");
});

scenario!(two_agents_that_echo_everything_do_not_go_on_for_ever, [Current], |stage| {
    let world = stage.world();
    let [alpha, beta] =
        [world.workspace(), world.workspace()].map(|(id, token)| world.setup(&id).token(&token).build().unwrap());
    let loops = [&alpha, &beta].map(|agent| agent.start_with(|message| Ok(Some(Reply::text(message.text().as_ref())))));
    for agent in [&alpha, &beta] {
        agent.events().wait_for("the first heartbeat", |event| *event == Event::Online);
    }
    assert_eq!(alpha.call_peer(beta.workspace_id(), "hello").unwrap(), CallOutcome::AcceptedForPoll);
    beta.events().wait_for("that beta's reply is delivered", is_delivered);
    alpha.events().wait_for("that alpha's is dropped", |event| matches!(event, Event::ReplyDropped { .. }));
    for running in loops {
        running.stop();
    }
    assert_eq!(world.count(route::A2A), 2, "hello, and its echo");
});

scenario!(an_exchange_that_both_sides_continue_ends_after_8_replies_and_carries_its_trace, [Current], |stage| {
    let world = stage.world();
    let [alpha, beta] =
        [world.workspace(), world.workspace()].map(|(id, token)| world.setup(&id).token(&token).build().unwrap());
    let echo = |message: InboundMessage| Ok(Some(Reply::text(message.text()).and_continue()));
    let loops = [&alpha, &beta].map(|agent| agent.start_with(echo));
    for agent in [&alpha, &beta] {
        agent.events().wait_for("the first heartbeat", |event| *event == Event::Online);
    }
    let trace: TraceParent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().unwrap();
    let hello = Message::text("hello").with_trace_parent(trace).with_context("c-1");
    assert_eq!(alpha.call_peer(beta.workspace_id(), hello).unwrap(), CallOutcome::AcceptedForPoll);
    let is_dropped = |event: &Event| matches!(event, Event::ReplyDropped { why, .. } if why.contains("8 replies"));
    alpha.events().wait_for("that the exchange ends", is_dropped);
    for running in loops {
        running.stop();
    }
    let sent = world.requests(route::A2A).into_iter().map(|seen| serde_json::from_slice(&seen.body).unwrap());
    let sent: Vec<_> = sent.map(|body: Value| body["params"]["message"].clone()).collect();
    let hops: Vec<_> = sent.iter().map(|message| message["metadata"]["molecule.hops"].as_u64().unwrap_or(0)).collect();
    assert_eq!(hops, (0..=9).collect::<Vec<_>>());
    for (earlier, message) in sent.iter().zip(&sent[1..]) {
        assert_eq!(message["metadata"]["molecule.in_reply_to"], earlier["messageId"]);
        let parent: TraceParent = message["metadata"]["traceparent"].as_str().unwrap().parse().unwrap();
        assert_eq!(parent.trace_id(), trace.trace_id());
        assert_eq!(message["contextId"], "c-1");
    }
});
