//! A feed with rows of every form: who wrote each message that reaches the handler, and which of them are answered.

use molecule_e2e::core::proto::{FileContent, Message, Part};
use molecule_e2e::core::{Event, InboundMessage};
use molecule_e2e::platform::{ChannelMessage, Webhook};
use molecule_e2e::{Agent, Log, Manner, PeerServer, Post, scenario};
use serde_json::json;

/// Who wrote a message, without names and ids, and the first words of its text.
fn told(message: &InboundMessage) -> (String, String) {
    let sender = message.sender().to_string();
    let sender = sender.split_once(" 0").map_or(sender.as_str(), |_| sender.as_str());
    let sender = if sender.starts_with("peer ") { "peer" } else { sender };
    (sender.to_owned(), message.text().split([',', '"']).next().unwrap_or_default().to_owned())
}

fn dropped(agent: &Agent) -> usize {
    agent.events().count(|event| matches!(event, Event::ReplyDropped { why, .. } if why.contains("nobody reads")))
}

scenario!(each_form_of_row_has_its_sender_and_only_people_peers_and_channels_are_answered, [Current], |stage| {
    let world = stage.world_with(|config| config.pushes_results = true);
    let peers = PeerServer::new(Manner::Echo);
    let (id, token) = world.workspace();
    let agent = world.setup(&id).token(&token).build().unwrap();
    let (peer_id, peer_token) = world.workspace();
    let peer = world.setup(&peer_id).token(&peer_token).reported_url(&peers.url()).build().unwrap();
    peer.register().unwrap();
    let (seen, files) = (Log::default(), Log::default());
    let running = agent.start_with({
        let (seen, files) = (seen.clone(), files.clone());
        move |message| {
            seen.push(told(&message));
            message.attachments().iter().for_each(|file| files.push((told(&message).1, file.file_name(), file.size())));
            Ok(Some("an answer".into()))
        }
    });
    agent.events().wait_for("its first good beat", |event| *event == Event::Online);

    world.platform(|platform, now| {
        platform.send_user_message(now, &id, "of a person").unwrap();
        platform.send_agent_message(now, &peer_id, &id, "of a peer").unwrap();
        platform.send_channel_message(now, &id, ChannelMessage::new("telegram", "42", "of a channel")).unwrap();
        platform.send_webhook(now, &id, Webhook::github("push", "created", "of a webhook")).unwrap();
        platform.nudge(now, &id).unwrap();
        platform.probe_for_stall(now, &id).unwrap();
        // A poll agent gets no row of a greeting.
        platform.greet(now, &id).unwrap();
        assert!(platform.send_broadcast(now, &peer_id, "to all").unwrap() > 0);
        platform.upload(now, &id, "alone.txt", "text/plain", "alone").unwrap();
        let uri = platform.upload(now, &id, "named.txt", "text/plain", "named").unwrap();
        let file = Part::file(FileContent::at(uri).name("named.txt"));
        platform.send_user_message(now, &id, Message::text("with a file").with_part(file)).unwrap();
    });
    peer.delegate(&id, "a task").unwrap();
    agent.delegate(&peer_id, "a task for the peer").unwrap();
    agent.notify("a notice of its own").unwrap();
    let own = json!({"activity_type": "a2a_receive", "method": "message/send", "summary": "of its own",
                     "request_body": {"params": {"message": {"parts": [{"kind": "text", "text": "of its own"}]}}}});
    agent.send(&Post::new("/activity", own)).unwrap();
    for ends in [true, false] {
        let about = json!({"kind": "task", "title": "help", "recipient_type": "user", "recipient_id": ""});
        let request = agent.send(&Post::new("/requests", about)).unwrap();
        let request = request["request_id"].as_str().unwrap();
        let is_told = world.platform(|platform, now| match ends {
            true => platform.respond_to_request(now, request, "done"),
            false => platform.add_request_message(now, request, "which?"),
        });
        assert!(is_told);
    }

    let expected = [
        ("channel github", "of a webhook"),
        ("channel telegram", "of a channel"),
        ("peer", "a task"),
        ("peer", "of a peer"),
        ("the platform (broadcast)", "Broadcast from scenario (2): to all"),
        ("the platform (delegation_result)", "got a task for the peer"),
        ("the platform (inbox_nudge)", "You have 0 unhandled inbox requests. List them with list_inbox"),
        ("the platform (request_message)", "More info requested on your task request "),
        ("the platform (request_responded)", "Your task request "),
        (
            "the platform (stall_probe)",
            "You have reported a task for a while without any activity. Report your progress.",
        ),
        ("the user", ""),
        ("the user", "of a person"),
        ("the user", "with a file"),
    ];
    seen.wait_for_count("all messages", expected.len(), |_| true);
    agent.events().wait_for_count("the ends of the replies", 6, |event| matches!(event, Event::ReplyEnded { .. }));
    running.stop();
    let mut all = seen.all();
    all.sort();
    assert_eq!(all, expected.map(|(sender, text)| (sender.to_owned(), text.to_owned())));
    let mut files = files.all();
    files.sort();
    let file = |text: &str, name: &str| (text.to_owned(), name.to_owned(), Some(5));
    assert_eq!(files, [file("", "alone.txt"), file("with a file", "named.txt")]);

    // The webhook, the broadcast, the result and four turns of the platform.
    assert_eq!(dropped(&agent), 7);
    let mut notices = world.notices(&id);
    notices.sort();
    assert_eq!(notices, ["a notice of its own", "an answer", "an answer", "an answer", "an answer"]);
    let replies = peers.heard().all().into_iter().map(|heard| heard.body["params"]["message"].clone());
    let replies = replies.filter(|message| message["metadata"]["molecule.in_reply_to"].is_string());
    assert_eq!(replies.count(), 2, "one to the message, one to the delegation");
});

scenario!(the_forms_that_april_writes_as_rows, [April], |stage| {
    let world = stage.world();
    let peers = PeerServer::new(Manner::Echo);
    let (id, token) = world.workspace();
    let agent = world.setup(&id).token(&token).build().unwrap();
    let (peer_id, peer_token) = world.workspace();
    let peer = world.setup(&peer_id).token(&peer_token).reported_url(&peers.url()).build().unwrap();
    peer.register().unwrap();
    let seen = Log::default();
    let running = agent.start_with({
        let seen = seen.clone();
        move |message| {
            seen.push(told(&message));
            Ok(Some("an answer".into()))
        }
    });
    agent.events().wait_for("its first good beat", |event| *event == Event::Online);
    world.platform(|platform, now| {
        platform.send_user_message(now, &id, "of a person").unwrap();
        platform.send_agent_message(now, &peer_id, &id, "of a peer").unwrap();
        // Neither leaves a row.
        platform.send_channel_message(now, &id, ChannelMessage::new("telegram", "42", "of a channel")).unwrap();
        platform.send_restart_context(now, &id).unwrap();
        platform.run_schedule(now, &id, "of a schedule").unwrap();
    });
    peer.delegate(&id, "a task").unwrap();
    agent.notify("a notice of its own").unwrap();
    let expected = [
        ("peer", "a task"),
        ("peer", "of a peer"),
        ("the platform (schedule)", "of a schedule"),
        ("the user", "of a person"),
    ];
    seen.wait_for_count("all messages", expected.len(), |_| true);
    agent.events().wait_for_count("the ends of the replies", 3, |event| matches!(event, Event::ReplyEnded { .. }));
    running.stop();
    let mut all = seen.all();
    all.sort();
    assert_eq!(all, expected.map(|(sender, text)| (sender.to_owned(), text.to_owned())));
    assert_eq!(dropped(&agent), 1);
    let mut notices = world.notices(&id);
    notices.sort();
    assert_eq!(notices, ["a notice of its own", "an answer"]);
});
