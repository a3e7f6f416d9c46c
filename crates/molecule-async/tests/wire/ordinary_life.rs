//! One whole life against the platform in memory.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use molecule_async::{Agent, Ended, Event, Storage, TokenUse};
use molecule_platform::{Config, Dialect, Platform, serve};
use tokio::time::timeout;

use crate::support::SOON;

#[tokio::test]
async fn an_agent_registers_works_and_ends_when_it_is_paused() {
    let server = serve(Platform::new(Config::new(Dialect::Current)), "127.0.0.1:0").unwrap();
    let id = server.with(|platform, now| {
        let id = platform.create_workspace(now, "an agent").0;
        platform.revoke_tokens(&id);
        assert!(platform.set_secret(now, &id, "NAME", "value"));
        id
    });
    let told = Arc::new(Mutex::new(Vec::new()));
    let agent = Agent::builder(server.url(), id.as_str())
        .storage(Storage::Memory)
        .heartbeat_interval(Duration::from_millis(50))
        .state_interval(Duration::from_millis(50))
        .on_event({
            let told = told.clone();
            move |event| told.lock().unwrap().push(event.clone())
        })
        .build()
        .unwrap();
    assert_eq!(agent.register().await.unwrap().token, TokenUse::Minted);
    assert_eq!(agent.pull_secrets().await.unwrap().len(), 1);
    let running = tokio::spawn({
        let agent = agent.clone();
        async move { agent.run_heartbeat_loop().await }
    });
    let (server, beaten) = tokio::task::spawn_blocking(move || {
        let beats = |seen: &[molecule_platform::serve::Seen]| seen.len() >= 8;
        let beaten = server.wait_for(beats, SOON);
        (server, beaten)
    })
    .await
    .unwrap();
    assert!(beaten);
    assert!(server.with(|platform, now| platform.pause(now, &id, false)).is_ok());
    assert_eq!(timeout(SOON, running).await.unwrap().unwrap().unwrap(), Ended::Paused);
    assert!(agent.health().last_beat.is_some());
    let told = told.lock().unwrap();
    assert!(told.contains(&Event::Online) && told.last() == Some(&Event::Paused), "{told:?}");
}
