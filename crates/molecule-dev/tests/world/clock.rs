//! The clock moves forward, and stays there.

use std::time::Duration;

use crate::common::{Folder, beat, create, register};
use molecule_dev::{Dev, Options};
use molecule_proto::WorkspaceStatus;

#[test]
fn three_minutes_and_a_bit_forward_an_agent_that_is_silent_is_awaited() {
    let folder = Folder::new();
    let dev = Dev::start(Options::at(folder.log()).empty(true)).unwrap();
    let (id, token) = create(dev.world(), "mine");
    register(&dev, &id, &token);
    assert_eq!(beat(&dev, &id, &token, 1), 200);
    let status = |dev: &Dev| dev.world().read(None, |platform, _| platform.status(&id)).unwrap().unwrap();
    assert_eq!(status(&dev), WorkspaceStatus::Online);
    let before = dev.world().now();
    // Silent for 180 seconds, and up to 15 until the sweep.
    dev.world().forward(Duration::from_secs(200));
    assert_eq!(status(&dev), WorkspaceStatus::AwaitingAgent);
    let passed = dev.world().now().since(before);
    assert!(passed >= Duration::from_secs(200), "{passed:?}");
    assert_eq!(beat(&dev, &id, &token, 2), 200);
    assert_eq!(status(&dev), WorkspaceStatus::Online);
    let forward = dev.world().now();
    dev.stop().unwrap();

    let dev = Dev::start(Options::at(folder.log())).unwrap();
    assert_eq!(dev.opened().unwrap().mismatched, 0);
    let now = dev.world().now();
    assert!(now.mono >= forward.mono && now.unix >= forward.unix, "the clock is not set back by a restart");
    assert!(now.since(forward) < Duration::from_secs(150), "nor moved forward twice");
    assert_eq!(dev.world().read(None, |platform, _| platform.status(&id)).unwrap(), Some(WorkspaceStatus::Online));
}
