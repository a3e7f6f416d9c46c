//! Files that block a plugin and are not this agent's are refused with their path and the remedy, and stay unchanged.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod plugin;
mod scene;

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;
use std::time::Duration;

use molecule_core::effect::plugin::PluginOp;
use molecule_core::effect::{HostOp, Outcome};
use molecule_core::plugin::Durability;
use molecule_host::{ChosenBy, Storage, StoreError};
use plugin::{lock, name, path, perform, place, write};
use rustix::process::geteuid;
use scene::{Scene, assert_says, names_in};

/// The error of every act that uses the plugins directory.
fn all_acts(scene: &Scene) -> Vec<StoreError> {
    let plugins = scene.plugins();
    let acts = [
        PluginOp::Look(name()),
        PluginOp::Sweep(name()),
        PluginOp::WriteReceipt(name(), b"{}".to_vec(), Durability::None),
        PluginOp::Setup(name(), plugin::plan(Duration::from_secs(60))),
        PluginOp::List,
        PluginOp::Remove(name()),
    ];
    let errors = acts.into_iter().map(|act| perform(&plugins, act).unwrap_err());
    errors.chain([lock(&plugins).map(drop).unwrap_err()]).collect()
}

/// The errors of the acts that check the entry with the plugin's name.
fn acts_on_the_plugin(scene: &Scene) -> Vec<StoreError> {
    let plugins = scene.plugins();
    let plan = plugin::plan(Duration::from_secs(60));
    let acts =
        [PluginOp::Look(name()), PluginOp::Sweep(name()), PluginOp::Setup(name(), plan), PluginOp::Remove(name())];
    acts.into_iter().map(|act| perform(&plugins, act).unwrap_err()).collect()
}

fn outside(scene: &Scene) -> std::path::PathBuf {
    let outside = scene.home.join("outside");
    fs::create_dir(&outside).unwrap();
    write(&outside.join("setup.sh"), b"touch ran", 0o755);
    outside
}

#[test]
fn a_plugins_directory_that_is_a_link_is_refused() {
    let scene = Scene::new();
    let outside = outside(&scene);
    let directory = place(&scene);
    fs::remove_dir(&directory).unwrap();
    symlink(&outside, &directory).unwrap();
    for error in all_acts(&scene) {
        assert_says(&error, &directory, &["is refused: it is a link", "put a directory of this user's there"]);
    }
    assert_eq!(names_in(&outside), ["setup.sh"]);
}

#[test]
fn a_plugins_directory_that_others_may_write_to_is_refused() {
    let scene = Scene::new();
    let directory = place(&scene);
    for mode in [0o770, 0o777, 0o1777, 0o702] {
        fs::set_permissions(&directory, PermissionsExt::from_mode(mode)).unwrap();
        for error in all_acts(&scene) {
            assert_says(&error, &directory, &["is refused: others may write to it", "chmod 700"]);
        }
    }
    // The remedy in the error helps.
    fs::set_permissions(&directory, PermissionsExt::from_mode(0o700)).unwrap();
    drop(lock(&scene.plugins()).unwrap());
}

#[test]
fn a_plugins_directory_of_another_user_is_refused() {
    if !geteuid().is_root() {
        return;
    }
    let scene = Scene::new();
    let directory = place(&scene);
    chown(&directory, Some(12345), None).unwrap();
    for error in all_acts(&scene) {
        assert_says(&error, &directory, &["is refused: it belongs to user 12345", "chown"]);
    }
}

#[test]
fn a_file_where_the_plugins_directory_should_be_is_refused() {
    let scene = Scene::new();
    let directory = place(&scene);
    fs::remove_dir(&directory).unwrap();
    write(&directory, b"in the way", 0o600);
    for error in all_acts(&scene) {
        assert_says(&error, &directory, &["is refused: it is no directory", "move it away"]);
    }
    assert_eq!(fs::read(&directory).unwrap(), b"in the way");
}

#[test]
fn a_directory_above_in_which_others_may_put_things_is_refused() {
    let scene = Scene::new();
    place(&scene);
    fs::set_permissions(scene.directory(), PermissionsExt::from_mode(0o770)).unwrap();
    for error in all_acts(&scene) {
        assert_says(&error, &scene.directory(), &["is refused: others may write to it", "chmod go-w"]);
    }
    // In a directory with the sticky bit others cannot do this.
    fs::set_permissions(scene.directory(), PermissionsExt::from_mode(0o1777)).unwrap();
    drop(lock(&scene.plugins()).unwrap());
    if geteuid().is_root() {
        chown(scene.directory(), Some(12345), None).unwrap();
        for error in all_acts(&scene) {
            assert_says(&error, &scene.directory(), &["is refused: it belongs to user 12345", "choose a place"]);
        }
    }
}

#[test]
fn a_place_of_the_authors_choice_may_be_reached_by_a_link_and_is_made() {
    let scene = Scene::new();
    let real = scene.home.join("real");
    fs::create_dir(&real).unwrap();
    symlink(&real, scene.home.join("link")).unwrap();
    for chosen in ["link/plugins", "deep/down/plugins"] {
        let plugins = molecule_host::Plugins::new(scene.home.join(chosen), ChosenBy::PluginsDir);
        drop(lock(&plugins).unwrap());
        let made = fs::symlink_metadata(scene.home.join(chosen)).unwrap();
        assert!(made.is_dir());
        assert_eq!(made.permissions().mode() & 0o777, 0o700);
    }
}

#[test]
fn the_remedy_names_what_chose_the_place() {
    let scene = Scene::new();
    let file = scene.home.join("file");
    write(&file, b"", 0o600);
    let id = scene::ID.parse().unwrap();
    let said = |host: molecule_host::Host| match host.perform(HostOp::Plugin(PluginOp::Lock(name()))) {
        Outcome::Failed(fault) => fault.source.unwrap().to_string(),
        other => panic!("{other:?}"),
    };
    let by_directory = Storage::Memory.host(&id, Some(file.join("deep/plugins"))).unwrap();
    let by_storage = Storage::Dir(file.clone()).host(&id, None).unwrap();
    let both = Storage::Dir(scene.home.clone()).host(&id, Some(file.join("deep/plugins"))).unwrap();
    for (host, chosen_by) in [(by_directory, "plugins_dir(…)"), (by_storage, "storage(…)"), (both, "plugins_dir(…)")]
    {
        let said = said(host);
        let remedy = format!("move it away, or choose another place with {chosen_by}");
        assert!(said.contains(file.to_str().unwrap()) && said.ends_with(&remedy), "{said}");
    }
    // The error for a parent directory that cannot be created has the same form.
    let proc = Storage::Memory.host(&id, Some("/proc/none/deep/plugins".into())).unwrap();
    let said = said(proc);
    assert!(said.contains("/proc/none") && said.ends_with("choose another place with plugins_dir(…)"), "{said}");
    let mut child = scene.rerun("", &[], "child_has_a_home_that_is_a_file");
    child.env("MOLECULE_HOME", &file);
    scene::assert_passes(child);
}

#[test]
#[ignore = "started by the_remedy_names_what_chose_the_place"]
fn child_has_a_home_that_is_a_file() {
    let host = Storage::from_env().host(&scene::ID.parse().unwrap(), None).unwrap();
    let Outcome::Failed(fault) = host.perform(HostOp::Plugin(PluginOp::Lock(name()))) else { panic!() };
    let said = fault.source.unwrap().to_string();
    assert!(said.ends_with("choose another place with storage(…) or MOLECULE_HOME"), "{said}");
}

#[test]
fn a_link_with_the_plugins_name_is_refused() {
    let scene = Scene::new();
    let outside = outside(&scene);
    place(&scene);
    symlink(&outside, path(&scene)).unwrap();
    for error in acts_on_the_plugin(&scene) {
        assert_says(&error, &path(&scene), &["is refused: it is a link", "remove it, or move it away"]);
    }
    assert_eq!(names_in(&outside), ["setup.sh"]);
    assert_eq!(fs::read_link(path(&scene)).unwrap(), outside);
}

#[test]
fn a_file_with_the_plugins_name_is_refused() {
    let scene = Scene::new();
    place(&scene);
    write(&path(&scene), b"in the way", 0o600);
    for error in acts_on_the_plugin(&scene) {
        assert_says(&error, &path(&scene), &["is refused: it is no directory", "remove it, or move it away"]);
    }
    assert_eq!(fs::read(path(&scene)).unwrap(), b"in the way");
}

/// Puts a link, a directory, and a file that others may write to in the place of a private file, one after the other.
fn each_wrong_file(scene: &Scene, file: &Path, act: impl Fn() -> StoreError) {
    let outside = scene.home.join("outside");
    write(&outside, b"{}", 0o600);
    symlink(&outside, file).unwrap();
    assert_says(&act(), file, &["is refused: it is a link"]);
    assert_eq!(fs::read(&outside).unwrap(), b"{}");
    fs::remove_file(file).unwrap();
    fs::create_dir(file).unwrap();
    assert_says(&act(), file, &["is refused: it is no regular file"]);
    fs::remove_dir(file).unwrap();
    write(file, b"{}", 0o600);
    fs::set_permissions(file, PermissionsExt::from_mode(0o666)).unwrap();
    assert_says(&act(), file, &["is refused: others may write to it", "chmod 600"]);
    fs::remove_file(file).unwrap();
}

#[test]
fn a_lock_that_is_no_private_file_is_refused() {
    let scene = Scene::new();
    let file = place(&scene).join(".lock-demo-plugin");
    each_wrong_file(&scene, &file, || lock(&scene.plugins()).map(drop).unwrap_err());
    drop(lock(&scene.plugins()).unwrap());
}

#[test]
fn a_receipt_that_is_no_private_file_is_refused() {
    let scene = Scene::new();
    let plugins = scene.plugins();
    fs::create_dir_all(path(&scene)).unwrap();
    perform(&plugins, PluginOp::WriteReceipt(name(), b"{}".to_vec(), Durability::None)).unwrap();
    let file = place(&scene).join(".receipts/demo-plugin.json");
    fs::remove_file(&file).unwrap();
    each_wrong_file(&scene, &file, || perform(&plugins, PluginOp::Hash(name())).unwrap_err());
    each_wrong_file(&scene, &file, || {
        perform(&plugins, PluginOp::WriteReceipt(name(), b"[]".to_vec(), Durability::None)).unwrap_err()
    });
}

#[test]
fn receipts_are_not_kept_behind_a_link() {
    let scene = Scene::new();
    let outside = outside(&scene);
    let receipts = place(&scene).join(".receipts");
    symlink(&outside, &receipts).unwrap();
    fs::create_dir(path(&scene)).unwrap();
    for act in [PluginOp::WriteReceipt(name(), b"{}".to_vec(), Durability::None), PluginOp::Hash(name())] {
        let error = perform(&scene.plugins(), act).unwrap_err();
        assert_says(&error, &receipts, &["is refused: it is a link"]);
    }
    assert_eq!(names_in(&outside), ["setup.sh"]);
}
