//! Files that people upload are saved on this machine, or read into memory.

use std::fs;
use std::time::Duration;

use molecule_e2e::core::endpoint::{ActivityFeed, ActivitySource};
use molecule_e2e::core::proto::{FileContent, Message, Part, WorkspaceId};
use molecule_e2e::core::{Attachment, DownloadTo, Error, ErrorKind, Event, InboundMessage};
use molecule_e2e::platform::serve::Action;
use molecule_e2e::{Agent, World, route, scenario};

const PLAN: &[u8] = b"1. dig\n2. build\n";

fn registered(world: &World) -> (WorkspaceId, Agent) {
    let (id, token) = world.workspace();
    let agent = world.setup(&id).token(&token).build().unwrap();
    agent.register().unwrap();
    (id, agent)
}

/// A person uploads a file, and a message names it.
fn sent(world: &World, agent: &Agent, content: &'static [u8], name: &str) -> Attachment {
    let id = agent.workspace_id();
    let uri = world.platform(|platform, now| platform.upload(now, &id, "plan.txt", "text/plain", content)).unwrap();
    named(world, agent, &uri, name)
}

/// A person's message names this URI.
fn named(world: &World, agent: &Agent, uri: &str, name: &str) -> Attachment {
    let id = agent.workspace_id();
    let mut message = Message::text("here you are");
    message.parts.push(Part::file(FileContent::at(uri).name(name)));
    world.platform(|platform, now| platform.send_user_message(now, &id, message)).unwrap();
    let page = agent.send(&ActivityFeed::new().source(ActivitySource::Canvas)).unwrap();
    let message = page.rows.into_iter().filter_map(|row| InboundMessage::read(row, &id)).find(|it| it.text() != "");
    message.unwrap().attachments()[0].clone()
}

fn assert_stored(error: &Error, cause: &str) {
    super::assert_told(error, ErrorKind::Storage, cause, "save to another path");
}

scenario!(a_file_is_saved_and_acknowledged_once_it_is_on_the_disk, [Current], |stage| {
    let world = stage.world();
    let (_, agent) = registered(&world);
    let attachment = sent(&world, &agent, PLAN, "plan.txt");
    let directory = world.home().path().join("files");
    fs::create_dir(&directory).unwrap();
    let held = world.stall(route::ACK_UPLOAD);
    let downloaded = std::thread::scope(|scope| {
        let download = scope.spawn(|| agent.download(&attachment, &*directory));
        world.wait_for_count(route::ACK_UPLOAD, 1);
        assert_eq!(fs::read(directory.join("plan.txt")).unwrap(), PLAN);
        held.end();
        download.join().unwrap().unwrap()
    });
    assert_eq!(downloaded.path, directory.join("plan.txt"));
    assert_eq!((downloaded.bytes, downloaded.mime_type.as_deref()), (PLAN.len() as u64, Some("text/plain")));
    assert!(downloaded.is_acknowledged);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&downloaded.path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(fs::read_dir(directory).unwrap().count(), 1);
});

scenario!(a_file_is_read_into_memory_as_often_as_one_likes, [Current], |stage| {
    let world = stage.world();
    let (_, agent) = registered(&world);
    let attachment = sent(&world, &agent, PLAN, "plan.txt");
    for _ in 0..2 {
        assert_eq!(agent.download_to_memory(&attachment).unwrap(), PLAN);
    }
    assert_eq!(world.count(route::ACK_UPLOAD), 0);
});

scenario!(a_name_of_a_stranger_leads_nowhere_else, [Current], |stage| {
    let world = stage.world();
    let (_, agent) = registered(&world);
    let directory = world.home().path().join("files");
    fs::create_dir(&directory).unwrap();
    for (name, expected) in [("../../x", "x"), ("..\\.bashrc", "bashrc"), ("a\u{1}b", "a_b"), ("NUL", "_NUL")] {
        let attachment = sent(&world, &agent, PLAN, name);
        assert_eq!(agent.download(&attachment, &*directory).unwrap().path, directory.join(expected));
    }
    assert_eq!(fs::read_dir(directory).unwrap().count(), 4);
});

scenario!(a_file_that_exists_is_replaced_only_if_the_application_says_so, [Current], |stage| {
    let world = stage.world();
    let (_, agent) = registered(&world);
    let attachment = sent(&world, &agent, PLAN, "plan.txt");
    let path = world.home().path().join("mine.txt");
    fs::write(&path, "mine").unwrap();
    assert_stored(&agent.download(&attachment, &path).unwrap_err(), "mine.txt exists already");
    assert_eq!((fs::read(&path).unwrap(), world.count(route::ACK_UPLOAD)), (b"mine".to_vec(), 0));
    agent.download(&attachment, DownloadTo::new(&path).replace()).unwrap();
    assert_eq!(fs::read(&path).unwrap(), PLAN);
});

scenario!(a_file_that_expired_is_said_to_have, [Current], |stage| {
    let world = stage.world();
    let (id, agent) = registered(&world);
    let attachment = sent(&world, &agent, PLAN, "plan.txt");
    // A day passes on the platform.
    world.platform(|platform, mut now| {
        now.mono = now.mono + Duration::from_secs(24 * 3600 + 1);
        platform.send_user_message(now, &id, "are you there?");
    });
    let path = world.home().path().join("plan.txt");
    let errors = [agent.download(&attachment, &path).unwrap_err(), agent.download_to_memory(&attachment).unwrap_err()];
    for error in errors {
        super::assert_told(&error, ErrorKind::Expired, "does not hold the file any more", "upload it again");
    }
    assert!(!path.exists());
});

scenario!(a_file_that_is_too_large_leaves_nothing, [Current], |stage| {
    let world = stage.world();
    let (_, agent) = registered(&world);
    let attachment = sent(&world, &agent, PLAN, "plan.txt");
    let directory = world.home().path().join("files");
    fs::create_dir(&directory).unwrap();
    let error = agent.download(&attachment, DownloadTo::new(&directory).max_bytes(PLAN.len() as u64 - 1)).unwrap_err();
    super::assert_told(&error, ErrorKind::TooLarge, "more than 15 bytes", "max_bytes");
    assert_eq!((fs::read_dir(&directory).unwrap().count(), world.count(route::ACK_UPLOAD)), (0, 0));
    agent.download(&attachment, DownloadTo::new(&directory).max_bytes(PLAN.len() as u64)).unwrap();
});

scenario!(a_download_whose_answer_is_lost_is_repeated, [Current], |stage| {
    let world = stage.world();
    let (_, agent) = registered(&world);
    let attachment = sent(&world, &agent, PLAN, "plan.txt");
    let lost = world.lose_answer(1, route::PENDING_UPLOAD);
    let path = world.home().path().join("plan.txt");
    agent.download(&attachment, &path).unwrap();
    lost.end();
    assert_eq!((fs::read(&path).unwrap(), world.count(route::PENDING_UPLOAD)), (PLAN.to_vec(), 2));
});

scenario!(what_is_not_the_file_is_not_saved_as_it, [Current], |stage| {
    let world = stage.world();
    let (_, agent) = registered(&world);
    let attachment = sent(&world, &agent, PLAN, "plan.txt");
    let path = world.home().path().join("plan.txt");
    let attached = ("content-disposition", "attachment; filename=\"plan.txt\"");
    for headers in [&[("content-type", "text/plain")][..], &[attached, ("content-encoding", "gzip")]] {
        let page = world.answer(route::PENDING_UPLOAD, 200, headers, "Please sign in.");
        let error = agent.download(&attachment, DownloadTo::new(&path).timeout(Duration::from_secs(2))).unwrap_err();
        super::assert_told(&error, ErrorKind::Protocol, "the answer is not the file", "platform URL");
        page.end();
    }
    assert!(!path.exists());
});

scenario!(a_file_whose_acknowledgement_fails_is_saved_with_a_warning, [Current], |stage| {
    let world = stage.world();
    let (_, agent) = registered(&world);
    let attachment = sent(&world, &agent, PLAN, "plan.txt");
    let refused = world.answer(route::ACK_UPLOAD, 500, &[], "{\"error\":\"failed to ack\"}");
    let path = world.home().path().join("plan.txt");
    let downloaded = agent.download(&attachment, &path).unwrap();
    refused.end();
    assert!(!downloaded.is_acknowledged);
    assert_eq!(fs::read(path).unwrap(), PLAN);
    let warned = |event: &Event| matches!(event, Event::Warning(text) if text.contains("plan.txt is downloaded, but"));
    assert_eq!(agent.events().all().iter().filter(|event| warned(event)).count(), 1);
});

scenario!(only_what_the_platform_holds_for_the_agent_is_fetched, [Current], |stage| {
    let world = stage.world();
    let (_, agent) = registered(&world);
    let (other, _) = registered(&world);
    let foreign = format!("platform-pending:{other}/0199a3c4-5a43-7c1e-9d1f-2b6d7f3e8a10");
    let path = world.home().path().join("x");
    for uri in ["https://files.example/x", "file:///etc/passwd", &foreign, "platform-pending:../../x"] {
        let attachment = named(&world, &agent, uri, "x");
        let error = agent.download(&attachment, &path).unwrap_err();
        super::assert_told(&error, ErrorKind::Config, "the platform does not hold the file", "trust its sender");
    }
    // Another agent of this process got the message.
    let (_, third) = registered(&world);
    let error = third.download(&sent(&world, &agent, PLAN, "plan.txt"), &path).unwrap_err();
    super::assert_told(&error, ErrorKind::Config, "in a message to another agent", "the agent that got the message");
    assert_eq!((world.count(route::PENDING_UPLOAD), path.exists()), (0, false));
});

scenario!(aprils_server_holds_no_files, [April], |stage| {
    let world = stage.world();
    let (id, agent) = registered(&world);
    let uri = format!("platform-pending:{id}/0199a3c4-5a43-7c1e-9d1f-2b6d7f3e8a10");
    let row = serde_json::json!({
        "id": "0199a3c4-5a43-7c1e-9d1f-2b6d7f3e8a11", "workspace_id": id, "activity_type": "a2a_receive",
        "method": "message/send", "status": "ok", "created_at": "2026-11-22T21:39:47Z",
        "request_body": {"params": {"message": {"parts": [{"kind": "file", "file": {"uri": uri, "name": "x"}}]}}},
    });
    let message = InboundMessage::read(serde_json::from_value(row).unwrap(), &id).unwrap();
    let error = agent.download_to_memory(&message.attachments()[0]).unwrap_err();
    super::assert_told(&error, ErrorKind::Unsupported, "this server holds no files for agents", "newer platform");
});

scenario!(a_download_that_is_dropped_leaves_nothing, [Current], async only, |stage| {
    let world = stage.world();
    let (_, agent) = registered(&world);
    let attachment = sent(&world, &agent, PLAN, "plan.txt");
    let directory = world.home().path().join("files");
    fs::create_dir(&directory).unwrap();
    let held = world.rule(route::PENDING_UPLOAD, Action::StallAnswer);
    agent.drop_download(&attachment, &*directory, || world.wait_for_count(route::PENDING_UPLOAD, 1));
    held.end();
    assert_eq!((fs::read_dir(&directory).unwrap().count(), world.count(route::ACK_UPLOAD)), (0, 0));
    agent.download(&attachment, &*directory).unwrap();
});
