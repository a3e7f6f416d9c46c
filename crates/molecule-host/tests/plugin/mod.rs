//! One plugin of a scene, its archives, and the acts on it.
#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::BTreeMap;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{env, fs};

use molecule_core::effect::plugin::{Committed, PluginOp, PluginResult, SetupPlan, StageId, Swept};
use molecule_core::effect::{Fault, LockId};
use molecule_core::plugin::{Durability, SetupEnd, SetupOutcome, SetupRun};
use molecule_core::proto::PluginName;
use molecule_core::unpack::{UnpackPolicy, Unpacked};
use molecule_host::{Cancel, Plugins, StoreError};

use crate::scene::{Scene, assert_passes};

pub(crate) fn name() -> PluginName {
    "demo-plugin".parse().unwrap()
}

/// The plugins directory, created as an agent creates it.
pub(crate) fn place(scene: &Scene) -> PathBuf {
    let place = scene.directory().join("plugins");
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&place).unwrap();
    place
}

/// The plugin's path.
pub(crate) fn path(scene: &Scene) -> PathBuf {
    place(scene).join(name().as_str())
}

/// Creates the plugin by hand, with this `setup.sh`.
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

/// Performs an act that takes no lock.
pub(crate) fn perform(plugins: &Plugins, op: PluginOp) -> Result<PluginResult, StoreError> {
    plugins.perform(op, &Cancel::new(), |_| LockId(0))
}

/// Takes the lock, which is released when the returned value is dropped.
pub(crate) fn lock(plugins: &Plugins) -> Result<Box<dyn Send>, StoreError> {
    let mut held = None;
    plugins.perform(PluginOp::Lock(name()), &Cancel::new(), |lock| {
        held = Some(lock);
        LockId(1)
    })?;
    Ok(held.unwrap())
}

/// A file of an archive: its path, content and mode. A path with `/` at its end is a directory's.
pub(crate) type Entry<'a> = (&'a str, &'a [u8], u32);

/// Makes a gzip'd tar with these entries.
pub(crate) fn archive(entries: &[Entry<'_>]) -> Vec<u8> {
    let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(gzip);
    for (path, content, mode) in entries {
        let mut header = tar::Header::new_ustar();
        let directory = path.ends_with('/');
        header.set_entry_type(if directory { tar::EntryType::Directory } else { tar::EntryType::Regular });
        header.set_mode(*mode);
        header.set_size(content.len() as u64);
        tar.append_data(&mut header, path, *content).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

/// Makes the archive of a plugin with this number of files. Every file contains the version.
pub(crate) fn version(version: &str, files: usize) -> Vec<u8> {
    let names: Vec<String> = (0..files).map(|number| format!("skills/{}/{number}.md", number % 7)).collect();
    let mut entries: Vec<Entry<'_>> = vec![("plugin.yaml", version.as_bytes(), 0o644)];
    entries.extend(names.iter().map(|name| (name.as_str(), version.as_bytes(), 0o644)));
    archive(&entries)
}

/// The version in every file of the plugin; `None` if there is none, a mixture, or only a part.
pub(crate) fn whole_version(path: &Path, files: usize) -> Option<String> {
    let tree = read_tree(path);
    let version = tree.get("plugin.yaml")?;
    let whole = tree.len() == files + 1 && tree.values().all(|content| content == version);
    whole.then(|| version.clone())
}

/// The content of all files below a directory, by path.
pub(crate) fn read_tree(root: &Path) -> BTreeMap<String, String> {
    let mut tree = BTreeMap::new();
    let mut left = vec![root.to_owned()];
    while let Some(directory) = left.pop() {
        let Ok(entries) = fs::read_dir(directory) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                tree.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
    tree
}

/// Unpacks an archive into a stage, in pieces as a socket delivers them.
pub(crate) fn stage(plugins: &Plugins, archive: &[u8]) -> Result<(StageId, Unpacked), Fault> {
    let mut unpacking = plugins.stage(&name(), &UnpackPolicy::default())?;
    for piece in archive.chunks(64 * 1024) {
        unpacking.push(piece)?;
    }
    unpacking.finish()
}

pub(crate) fn commit(plugins: &Plugins, stage: StageId) -> Result<Committed, StoreError> {
    match perform(plugins, PluginOp::Commit(stage, Durability::None))? {
        PluginResult::Committed(committed) => Ok(committed),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn sweep(plugins: &Plugins) -> Swept {
    match perform(plugins, PluginOp::Sweep(name())).unwrap() {
        PluginResult::Swept(swept) => swept,
        other => panic!("{other:?}"),
    }
}

/// Performs all acts of an install except the lock and the script.
pub(crate) fn install(plugins: &Plugins, archive: &[u8]) -> Committed {
    sweep(plugins);
    let (id, _) = stage(plugins, archive).unwrap();
    let committed = commit(plugins, id).unwrap();
    sweep(plugins);
    committed
}

pub(crate) fn plan(timeout: Duration) -> SetupPlan {
    SetupPlan { timeout, output_bytes: 64 * 1024, env: Vec::new() }
}

/// Runs the `setup.sh` with a timeout that it does not reach.
pub(crate) fn set_up(scene: &Scene) -> SetupOutcome {
    set_up_with(scene, plan(Duration::from_secs(60)), &Cancel::new())
}

pub(crate) fn set_up_with(scene: &Scene, plan: SetupPlan, cancel: &Cancel) -> SetupOutcome {
    match scene.plugins().perform(PluginOp::Setup(name(), plan), cancel, |_| LockId(0)).unwrap() {
        PluginResult::SetUp(outcome) => outcome,
        other => panic!("{other:?}"),
    }
}

/// Returns the run of a script that was run and ended in this way.
pub(crate) fn ran(outcome: SetupOutcome, end: SetupEnd) -> SetupRun {
    match outcome {
        SetupOutcome::Ran(run) => {
            assert_eq!(run.end(), end, "stdout {:?}, stderr {:?}", run.stdout(), run.stderr());
            run
        }
        other => panic!("{other:?}"),
    }
}

/// A user who is not root, because modes do not restrict root.
pub(crate) const USER: u32 = 12345;

/// Runs an ignored test of this file as a user who is not root, in a scene that belongs to that user.
pub(crate) fn as_user(test: &str, prepare: impl FnOnce(&Scene)) {
    let scene = Scene::new();
    place(&scene);
    prepare(&scene);
    if !rustix::process::geteuid().is_root() {
        assert_passes(scene.rerun("", &[], test));
        return;
    }
    fs::set_permissions(&scene.home, PermissionsExt::from_mode(0o755)).unwrap();
    let program = scene.home.join("program");
    fs::copy(env::current_exe().unwrap(), &program).unwrap();
    fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    for path in [scene.directory(), place(&scene)] {
        chown(path, Some(USER), Some(USER)).unwrap();
    }
    let as_root = scene.rerun("", &[], test);
    let mut as_user = Command::new(program);
    as_user.args(as_root.get_args()).uid(USER).gid(USER).current_dir(&scene.home);
    as_user.envs(as_root.get_envs().filter_map(|(name, value)| Some((name, value?))));
    assert_passes(as_user);
}
