//! An agent that waits while its workspace is paused.

use bytes::Bytes;
use molecule_e2e::core::endpoint::{Auth, Draft, Endpoint, Mismatch, Repeat};
use molecule_e2e::core::proto::{WorkspaceId, WorkspaceStatus, path};
use molecule_e2e::core::{Ended, ErrorKind, Event, Lane, OnPause, Result};
use molecule_e2e::{Agent, Log, RunningLoop, World, route, scenario};

const PUSH_URL: &str = "https://agent.example/a2a";
const OTHER_URL: &str = "https://other.example/a2a";

/// `POST /workspaces/:id/resume`, for which no facade has a method.
#[derive(Debug, Clone)]
struct Resume;

impl Endpoint for Resume {
    type Answer = ();
    const OPERATION: &'static str = "resume";
    const REPEAT: Repeat = Repeat::OnlyUnsent;
    const SHAPE: &'static str = "anything";

    fn draft(&self, workspace: &WorkspaceId) -> Result<Draft> {
        Ok(Draft::new(http::Method::POST, path::resume(workspace), Auth::Bearer))
    }

    fn decode(&self, _: &http::Response<Bytes>) -> Result<(), Mismatch> {
        Ok(())
    }
}

/// A running agent that is reachable at [`PUSH_URL`] and waits because its workspace was paused.
fn waiting(world: &World) -> (WorkspaceId, Agent, RunningLoop) {
    let id = world.open_workspace();
    let agent = world.setup(&id).reported_url(PUSH_URL).on_pause(OnPause::Wait).build().unwrap();
    let running = agent.start();
    agent.events().wait_for("Online", |event| *event == Event::Online);
    world.platform(|platform, now| platform.pause(now, &id, false)).unwrap();
    agent.events().wait_for("Paused", |event| *event == Event::Paused);
    (id, agent, running)
}

scenario!(a_resumed_agent_registers_again, [Current], |stage| {
    let world = stage.world_with(|config| config.provisioner = true);
    let (id, agent, running) = waiting(&world);
    let url = || world.platform(|platform, _| platform.workspace(&id).unwrap().url);
    assert_eq!(url(), "", "a pause forgets it");

    // No heartbeat is sent while the workspace is paused, apart from one that may be in flight.
    let (beats, registers) = (world.count(route::HEARTBEAT), world.count(route::REGISTER));
    world.wait_for_more(route::STATE, 4);
    assert!(world.count(route::HEARTBEAT) <= beats + 1);
    assert_eq!(world.count(route::REGISTER), registers);

    agent.send(&Resume).unwrap();
    agent.events().wait_for("Resumed", |event| *event == Event::Resumed);
    agent.events().wait_for_count("Online again", 2, |event| *event == Event::Online);
    agent.events().wait_for_count("Registered again", 2, |event| matches!(event, Event::Registered { .. }));
    world.wait_until("the workspace is online", |platform| platform.status(&id) == Some(WorkspaceStatus::Online));
    assert_eq!(url(), PUSH_URL);
    running.stop();
    assert_eq!(agent.events().count(|event| *event == Event::Paused), 1);
});

scenario!(a_url_that_changes_during_a_pause_is_registered_after_it, [Current], |stage| {
    let world = stage.world_with(|config| config.provisioner = true);
    let (id, agent, running) = waiting(&world);
    let others = || [route::REGISTER, id.as_str()].map(|route| world.count(route));
    let before = others();
    agent.set_reported_url(Some(OTHER_URL.to_owned())).unwrap();
    world.wait_for_more(route::STATE, 4);
    assert_eq!(others(), before, "nothing but the state is asked for");

    agent.send(&Resume).unwrap();
    agent.events().wait_for_count("Registered again", 2, |event| matches!(event, Event::Registered { .. }));
    assert_eq!(world.platform(|platform, _| platform.workspace(&id).unwrap().url), OTHER_URL);
    running.stop();
});

scenario!(where_nothing_resumes_it_stays_paused, [April, Current], |stage| {
    let world = stage.world();
    let (id, agent, running) = waiting(&world);
    let registers = world.count(route::REGISTER);

    let error = agent.send(&Resume).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(error.status(), Some(http::StatusCode::SERVICE_UNAVAILABLE));
    assert_eq!(error.server_message(), Some("provisioner not available"));

    world.wait_for_more(route::STATE, 5);
    running.assert_running();
    assert_eq!(world.count(route::REGISTER), registers);
    running.stop();
    assert_eq!(world.platform(|platform, _| platform.status(&id)), Some(WorkspaceStatus::Paused));
    assert_eq!(agent.events().count(|event| *event == Event::Resumed), 0);
});

scenario!(a_revoked_token_registers_nobody_while_paused_and_a_deletion_is_seen, [April, Current], |stage| {
    let world = stage.world();
    let (id, agent, running) = waiting(&world);
    let registers = world.count(route::REGISTER);
    let token = world.home().token(&id);

    // A register would mint a token now, and on April's server un-pause the workspace.
    assert_eq!(world.platform(|platform, _| platform.revoke_tokens(&id)), 1);
    let refused = |event: &Event| matches!(event, Event::Degraded { lane: Lane::State, .. });
    agent.events().wait_for_count("refused looks at the state", 5, refused);
    running.assert_running();
    assert_eq!(world.platform(|platform, _| platform.status(&id)), Some(WorkspaceStatus::Paused));

    world.platform(|platform, now| platform.delete(now, &id, false)).unwrap();
    assert_eq!(running.ended().unwrap(), Ended::Deleted);
    assert_eq!(world.count(route::REGISTER), registers);
    assert_eq!(world.home().token(&id), token);
});

scenario!(while_paused_no_message_is_fetched_and_after_the_resume_all_are_handled, [Current], |stage| {
    let world = stage.world_with(|config| config.provisioner = true);
    let (id, token) = world.workspace();
    let agent = world.setup(&id).token(&token).on_pause(OnPause::Wait).build().unwrap();
    let seen = Log::default();
    let running = agent.start_with({
        let seen = seen.clone();
        move |message| {
            seen.push(message.text().into_owned());
            Ok(Some("done".into()))
        }
    });
    agent.events().wait_for("Online", |event| *event == Event::Online);
    let say = |text: &str| world.platform(|platform, now| platform.send_user_message(now, &id, text)).unwrap();
    say("before the pause");
    seen.wait_for("the message", |text| text == "before the pause");
    world.platform(|platform, now| platform.pause(now, &id, false)).unwrap();
    agent.events().wait_for("Paused", |event| *event == Event::Paused);
    say("during the pause");
    // One read may be in flight.
    let reads = world.count(route::FEED);
    world.wait_for_more(route::STATE, 20);
    assert!(world.count(route::FEED) <= reads + 1, "{} reads", world.count(route::FEED) - reads);
    assert_eq!(seen.all().len(), 1);

    world.platform(|platform, now| platform.resume(now, &id, false)).unwrap();
    seen.wait_for("the message from the pause", |text| text == "during the pause");
    say("after the pause");
    seen.wait_for("the message", |text| text == "after the pause");
    running.stop();
    assert_eq!(seen.all().len(), 3);
});
