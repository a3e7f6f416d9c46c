//! Files of this machine go out with replies and notices.

use std::fs::{self, File};
use std::path::PathBuf;

use molecule_e2e::core::endpoint::{ActivityFeed, ActivitySource, PendingFile};
use molecule_e2e::core::proto::{Message, PartContent, TraceParent, WorkspaceId};
use molecule_e2e::core::{
    CallOutcome, ErrorKind, Event, InboundMessage, Notice, OutgoingFile, PeerCall, Reply, ReplyEnd, Sender,
};
use molecule_e2e::{Agent, Log, Manner, PeerServer, World, route, scenario};
use serde_json::Value;

const PLAN: &str = "1. dig\n2. build\n";

fn registered(world: &World) -> (WorkspaceId, Agent) {
    let (id, token) = world.workspace();
    let agent = world.setup(&id).token(&token).build().unwrap();
    agent.register().unwrap();
    (id, agent)
}

fn file(world: &World, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = world.home().path().join(name);
    fs::write(&path, content).unwrap();
    path
}

/// The files of the agent's newest notice.
fn shown(agent: &Agent) -> Vec<Value> {
    let page = agent.send(&ActivityFeed::new().source(ActivitySource::Canvas)).unwrap();
    let notice = page.rows.into_iter().find(|row| row.is_notice()).expect("a notice");
    let parts = notice.response_body.unwrap()["parts"].take();
    parts.as_array().unwrap().iter().map(|part| part["file"].clone()).collect()
}

/// What a person gets who opens the file.
fn content(agent: &Agent, file: &Value) -> Vec<u8> {
    let (_, id) = file["uri"].as_str().unwrap().rsplit_once('/').unwrap();
    agent.send(&PendingFile::new(id.parse().unwrap())).unwrap().to_vec()
}

scenario!(a_notice_has_the_files_that_are_attached_to_it, [Current], |stage| {
    let world = stage.world();
    let (id, agent) = registered(&world);
    let (plan, picture) =
        (file(&world, "żółw plan.txt", PLAN), file(&world, "a.bin", [0, 13, 10, 255].repeat(100_000)));
    let link = OutgoingFile::uri("https://files.example/site.png");
    let notice = Notice::new("see").attach(&*plan).attach(link).attach(OutgoingFile::at(&picture).name("b.png"));
    agent.notify(notice).unwrap();
    let files = shown(&agent);
    let names: Vec<_> = files.iter().map(|file| file["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["żółw plan.txt", "site.png", "b.png"]);
    assert_eq!((&files[0]["mimeType"], &files[2]["mimeType"]), (&"text/plain".into(), &"image/png".into()));
    assert!(files[0]["uri"].as_str().unwrap().starts_with(&format!("platform-pending:{id}/")));
    assert_eq!(files[1]["uri"], "https://files.example/site.png");
    assert_eq!((content(&agent, &files[0]), content(&agent, &files[2])), (PLAN.into(), fs::read(picture).unwrap()));
    assert_eq!((world.count(route::UPLOAD), world.count(route::NOTIFY)), (1, 1));
});

scenario!(a_reply_of_the_loop_has_its_file_and_the_agent_is_not_told_of_it, [Current], |stage| {
    let world = stage.world();
    let (id, token) = world.workspace();
    let agent = world.setup(&id).token(&token).build().unwrap();
    let plan = file(&world, "plan.txt", PLAN);
    let told = Log::default();
    let heard = told.clone();
    let running = agent.start_with(move |message: InboundMessage| {
        heard.push((message.sender().clone(), message.text().into_owned()));
        Ok(Some(Reply::text("here").attach(&*plan)))
    });
    for (count, text) in [(1, "first"), (2, "second")] {
        world.platform(|platform, now| platform.send_user_message(now, &id, text)).unwrap();
        let is_delivered = |event: &Event| matches!(event, Event::ReplyEnded { end: ReplyEnd::Delivered, .. });
        agent.events().wait_for_count("that the reply is delivered", count, is_delivered);
    }
    running.stop();
    let expected = ["first", "second"].map(|text| (Sender::User, text.to_owned()));
    assert_eq!(told.all(), expected);
    assert_eq!(content(&agent, &shown(&agent)[0]), PLAN.as_bytes());
    // Nor is the next process.
    let after = world.agent(&id);
    let running = after.start_with(|message: InboundMessage| panic!("told of {message:?}"));
    world.wait_for_more("/activity", 2);
    running.stop();
    assert!(!after.events().all().iter().any(|event| matches!(event, Event::HandlerFailed { .. })));
});

scenario!(files_of_a_notice_beside_no_loop_are_not_taken_for_a_persons_by_the_next, [Current], |stage| {
    let world = stage.world();
    let (id, agent) = registered(&world);
    agent.notify(Notice::new("see").attach(&*file(&world, "plan.txt", PLAN))).unwrap();
    let told = Log::default();
    let heard = told.clone();
    let running = agent.start_with(move |message: InboundMessage| {
        heard.push(message.text().into_owned());
        Ok(None)
    });
    world.platform(|platform, now| platform.send_user_message(now, &id, "hello")).unwrap();
    told.wait_for("the message", |text| text == "hello");
    running.stop();
    assert_eq!(told.all(), ["hello"]);
});

scenario!(files_that_cannot_be_sent_are_refused_before_anything_is, [Current], |stage| {
    let world = stage.world();
    let (_, agent) = registered(&world);
    let good = file(&world, "plan.txt", PLAN);
    let large = file(&world, "large", "x");
    File::options().write(true).open(&large).unwrap().set_len(100 * 1024 * 1024 + 1).unwrap();
    let (half, other) = (file(&world, "half", "x"), file(&world, "other", "x"));
    for path in [&half, &other] {
        File::options().write(true).open(path).unwrap().set_len(60 * 1024 * 1024).unwrap();
    }
    for (bad, cause, remedy) in [
        (vec![file(&world, "empty", "")], "empty is empty, which the platform does not take", "write something"),
        (vec![world.home().path().join("missing")], "missing cannot be read", "check the path"),
        (vec![world.home().path().to_owned()], "is no regular file", "attach a file"),
        (vec![large], "has 104857601 bytes, and the platform takes at most 104857600", "some other way"),
        (vec![half, other], "the files have 12582", "in several messages"),
        (vec![good.clone(); 10], "there are 11 files to upload", "in several messages"),
    ] {
        let notice = bad.iter().fold(Notice::new("see").attach(&*good), |notice, path| notice.attach(&**path));
        super::assert_told(&agent.notify(notice).unwrap_err(), ErrorKind::Config, cause, remedy);
    }
    assert_eq!((world.count(route::UPLOAD), world.count(route::NOTIFY)), (0, 0));
});

scenario!(a_notice_whose_upload_is_refused_is_not_sent, [Current], |stage| {
    let world = stage.world();
    let (_, agent) = registered(&world);
    let refused = world.answer(route::UPLOAD, 413, &[], "{\"error\":\"file exceeds size limit\"}");
    let error = agent.notify(Notice::new("see").attach(&*file(&world, "plan.txt", PLAN))).unwrap_err();
    refused.end();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Refused, "notify"));
    assert_eq!(world.count(route::NOTIFY), 0);
});

scenario!(aprils_server_takes_no_files, [April], |stage| {
    let world = stage.world();
    let (_, agent) = registered(&world);
    let error = agent.notify(Notice::new("see").attach(&*file(&world, "plan.txt", PLAN))).unwrap_err();
    super::assert_told(&error, ErrorKind::Unsupported, "this server takes no files of agents", "attach the URI");
    assert_eq!(world.count(route::NOTIFY), 0);
});

scenario!(a_peer_gets_the_bytes_of_a_file_and_the_trace_of_a_call, [Current], |stage| {
    let world = stage.world();
    let port = PeerServer::new(Manner::Echo);
    let (alpha, beta) = world.pair(&port.url());
    let parent: TraceParent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().unwrap();
    let call = PeerCall::new(Message::text("a question")).trace_parent(parent);
    assert_eq!(beta.call_peer(alpha.workspace_id(), call).unwrap(), CallOutcome::AcceptedForPoll);
    let row = alpha.send(&ActivityFeed::new().source(ActivitySource::Agent)).unwrap().rows.remove(0);
    let message = InboundMessage::read(row, &alpha.workspace_id()).unwrap();
    assert_eq!(message.trace_parent(), Some(parent));
    let reply = Reply::text("see").attach(&*file(&world, "plan.txt", PLAN));
    assert_eq!(alpha.reply_to(&message, reply).unwrap(), ReplyEnd::Delivered);
    let heard = port.heard().all().pop().unwrap();
    let parts: Message = serde_json::from_value(heard.body["params"]["message"].clone()).unwrap();
    let PartContent::File(sent) = &parts.parts[1].content else { panic!("no file") };
    assert_eq!((sent.name.as_deref(), sent.bytes.as_deref()), (Some("plan.txt"), Some("MS4gZGlnCjIuIGJ1aWxkCg==")));
    assert_eq!(heard.body["params"]["message"]["metadata"]["traceparent"], parent.to_string());
    assert_eq!(world.count(route::UPLOAD), 0);
    // What does not fit into a message.
    let large = file(&world, "large", vec![b'x'; 512 * 1024 + 1]);
    let ReplyEnd::Refused(why) = alpha.reply_to(&message, Reply::text("see").attach(&*large)).unwrap() else {
        panic!()
    };
    assert!(why.contains("at most 524288 fit into a message to a peer; put the file"), "{why}");
});
