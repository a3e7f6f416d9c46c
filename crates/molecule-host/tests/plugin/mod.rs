//! One plugin of a scene, and the acts on it.
#![allow(dead_code, reason = "each test file uses its part")]

use std::fs;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use molecule_core::effect::LockId;
use molecule_core::plugin::act::{PluginOp, PluginResult, SetupPlan};
use molecule_core::plugin::{SetupEnd, SetupOutcome, SetupRun};
use molecule_core::proto::PluginName;
use molecule_host::{Cancel, Plugins, StoreError};

use crate::scene::Scene;

pub(crate) fn name() -> PluginName {
    "demo-plugin".parse().unwrap()
}

/// The directory of the plugins, made as an agent makes it.
pub(crate) fn place(scene: &Scene) -> PathBuf {
    let place = scene.directory().join("plugins");
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&place).unwrap();
    place
}

/// Where the plugin is.
pub(crate) fn path(scene: &Scene) -> PathBuf {
    place(scene).join(name().as_str())
}

/// Puts the plugin there by hand, with this `setup.sh`.
pub(crate) fn with_script(scene: &Scene, script: &str) -> PathBuf {
    let path = path(scene);
    fs::create_dir(&path).unwrap();
    write(&path.join("setup.sh"), script.as_bytes(), 0o644);
    path
}

pub(crate) fn write(path: &Path, content: &[u8], mode: u32) {
    use std::io::Write;
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(path).unwrap();
    file.write_all(content).unwrap();
}

/// An act that takes no lock.
pub(crate) fn perform(plugins: &Plugins, op: PluginOp) -> Result<PluginResult, StoreError> {
    plugins.perform(op, &Cancel::new(), |_| LockId(0))
}

/// A lock that is given back when it is dropped.
pub(crate) fn lock(plugins: &Plugins) -> Result<Box<dyn Send>, StoreError> {
    let mut held = None;
    plugins.perform(PluginOp::Lock(name()), &Cancel::new(), |lock| {
        held = Some(lock);
        LockId(1)
    })?;
    Ok(held.unwrap())
}

pub(crate) fn plan(timeout: Duration) -> SetupPlan {
    SetupPlan { timeout, output_bytes: 64 * 1024, env: Vec::new() }
}

/// Runs the `setup.sh` with a limit that it does not reach.
pub(crate) fn set_up(scene: &Scene) -> SetupOutcome {
    set_up_with(scene, plan(Duration::from_secs(60)), &Cancel::new())
}

pub(crate) fn set_up_with(scene: &Scene, plan: SetupPlan, cancel: &Cancel) -> SetupOutcome {
    match scene.plugins().perform(PluginOp::Setup(name(), plan), cancel, |_| LockId(0)).unwrap() {
        PluginResult::SetUp(outcome) => outcome,
        other => panic!("{other:?}"),
    }
}

/// The run of a script that was run and ended like this.
pub(crate) fn ran(outcome: SetupOutcome, end: SetupEnd) -> SetupRun {
    match outcome {
        SetupOutcome::Ran(run) => {
            assert_eq!(run.end(), end, "stdout {:?}, stderr {:?}", run.stdout(), run.stderr());
            run
        }
        other => panic!("{other:?}"),
    }
}
