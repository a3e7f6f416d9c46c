//! An answer that is put off: it is given after the handler has returned, and after a restart by the id's text.

use molecule_e2e::core::{CallOutcome, Event, Reply, ReplyEnd, ReplyHandle};
use molecule_e2e::{Log, Manner, PeerServer, scenario};

scenario!(an_answer_that_is_put_off_is_given_later_and_after_a_restart, [Current], |stage| {
    let world = stage.world();
    let port = PeerServer::new(Manner::Echo);
    let (agent, peer) = world.pair(&port.url());
    let id = agent.workspace_id();
    let handles = Log::<ReplyHandle>::default();
    let running = agent.start_with({
        let handles = handles.clone();
        move |message| {
            handles.push(message.reply_handle());
            Ok(Some(Reply::later()))
        }
    });
    agent.events().wait_for("its first good beat", |event| *event == Event::Online);
    world.platform(|platform, now| platform.send_user_message(now, &id, "may I?")).unwrap();
    handles.wait_for_count("the user's question", 1, |_| true);
    assert_eq!(peer.call_peer(&id, "a question").unwrap(), CallOutcome::AcceptedForPoll);
    handles.wait_for_count("the peer's question", 2, |_| true);
    let handles = handles.all();
    assert_eq!(agent.reply_to(&handles[0], "you may").unwrap(), ReplyEnd::Delivered);
    running.stop();
    // Whoever keeps the id alone answers from another process, also if the server has forgotten the row.
    world.platform(|platform, now| platform.prune_activity(&id, now.unix));
    let kept = handles[1].to_string();
    let restarted = world.agent(&id);
    let handle: ReplyHandle = kept.parse().unwrap();
    assert_eq!(restarted.reply_to(handle, "an answer").unwrap(), ReplyEnd::Delivered);

    let heard = port.heard().all();
    let [answer] = &heard[..] else { panic!("heard {}", heard.len()) };
    let message = &answer.body["params"]["message"];
    assert_eq!(message["parts"][0]["text"], "an answer");
    assert!(message["metadata"]["molecule.in_reply_to"].is_string());
    assert_eq!(agent.events().count(|event| matches!(event, Event::ReplyDropped { .. })), 0);

    // What was put off is handled: the next loop offers it to nobody.
    let again = Log::default();
    let running = restarted.start_with({
        let again = again.clone();
        move |message| {
            again.push(message.text().into_owned());
            Ok(None)
        }
    });
    world.platform(|platform, now| platform.send_user_message(now, &id, "thanks")).unwrap();
    again.wait_for("another message", |text| text == "thanks");
    running.stop();
    assert_eq!(again.all(), ["thanks"]);
});
