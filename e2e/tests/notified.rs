//! Messages to the user, and replies that the application gives by itself.

use molecule_e2e::core::endpoint::{ActivityFeed, ActivitySource};
use molecule_e2e::core::proto::ActivityRow;
use molecule_e2e::core::{CallOutcome, ErrorKind, InboundMessage, Notice, OutgoingFile, ReplyEnd};
use molecule_e2e::{Agent, Manner, PeerServer, route, scenario};

/// The rows of the agent's own notices, the newest first.
fn notices(agent: &Agent) -> Vec<ActivityRow> {
    let page = agent.send(&ActivityFeed::new().source(ActivitySource::Canvas)).unwrap();
    page.rows.into_iter().filter(|row| row.method.as_deref() == Some("notify")).collect()
}

fn said(row: &ActivityRow) -> &str {
    row.response_body.as_ref().unwrap()["result"].as_str().unwrap()
}

scenario!(a_notice_is_shown_in_the_chat_with_its_files, [April, Current], |stage| {
    let world = stage.world();
    let (id, token) = world.workspace();
    let agent = world.setup(&id).token(&token).build().unwrap();
    agent.register().unwrap();
    agent.notify("the nightly run is done").unwrap();
    agent.notify(Notice::new("the plan: żółw").attach(OutgoingFile::uri("https://files.example/plan.png"))).unwrap();
    let rows = notices(&agent);
    assert_eq!(rows.iter().map(said).collect::<Vec<_>>(), ["the plan: żółw", "the nightly run is done"]);
    assert_eq!(rows[0].response_body.as_ref().unwrap()["parts"][0]["file"]["name"], "plan.png");
});

scenario!(a_notice_whose_answer_is_lost_is_not_sent_again, [April, Current], |stage| {
    let world = stage.world();
    let (id, token) = world.workspace();
    let agent = world.setup(&id).token(&token).build().unwrap();
    agent.register().unwrap();
    let lost = world.lose_answer(1, route::NOTIFY);
    let error = agent.notify("hello").unwrap_err();
    super::assert_told(&error, ErrorKind::Interrupted, "the connection broke", "the user may have it");
    lost.end();
    assert_eq!((world.count(route::NOTIFY), notices(&agent).len()), (1, 1));
});

scenario!(a_reply_to_a_peer_arrives_once_however_often_it_is_given, [Current], |stage| {
    let world = stage.world();
    let port = PeerServer::new(Manner::Echo);
    let (alpha, beta) = world.pair(&port.url());
    let alpha_id = alpha.workspace_id();
    // Alpha polls.
    assert_eq!(beta.call_peer(&alpha_id, "a question").unwrap(), CallOutcome::AcceptedForPoll);
    let row = alpha.send(&ActivityFeed::new().source(ActivitySource::Agent)).unwrap().rows.remove(0);
    let message = InboundMessage::read(row, &alpha_id).unwrap();
    assert_eq!(message.text(), "a question");
    assert_eq!(alpha.reply_to(&message, "an answer").unwrap(), ReplyEnd::Delivered);
    // Another process, which knows the message by its id alone.
    let restarted = world.agent(&alpha_id);
    assert_eq!(restarted.reply_to(message.id(), "an answer").unwrap(), ReplyEnd::Delivered);

    let heard = port.heard().all();
    let [first, second] = &heard[..] else { panic!("heard {}", heard.len()) };
    assert_eq!(first.message_id(), second.message_id());
    let metadata = &first.body["params"]["message"]["metadata"];
    assert_eq!(metadata["molecule.in_reply_to"], message.message_id().unwrap());
    assert_eq!(metadata["molecule.hops"], 1);
});

scenario!(a_reply_to_the_user_is_shown_in_the_chat, [Current], |stage| {
    let world = stage.world();
    let (id, token) = world.workspace();
    let agent = world.setup(&id).token(&token).build().unwrap();
    agent.register().unwrap();
    world.platform(|platform, now| platform.send_user_message(now, &id, "a question")).unwrap();
    let row = agent.send(&ActivityFeed::new().source(ActivitySource::Canvas)).unwrap().rows.remove(0);
    let message = InboundMessage::read(row, &id).unwrap();
    assert_eq!(agent.reply_to(message.reply_handle(), "an answer").unwrap(), ReplyEnd::Delivered);
    assert_eq!(notices(&agent).iter().map(said).collect::<Vec<_>>(), ["an answer"]);
    assert_eq!(world.count(route::NOTIFY), 1);
});
