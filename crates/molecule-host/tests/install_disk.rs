//! Other disks: a full one, and an overlay, in which a directory of a lower layer cannot be renamed.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod plugin;
mod scene;

use std::process::{Command, Stdio};
use std::{fs, io};

use molecule_core::effect::FaultKind;
use molecule_host::StoreError;
use plugin::{archive, install, path, place, read_tree, stage, sweep, version, whole_version};
use scene::{Scene, assert_passes, assert_says, names_in};

/// Runs a test in a separate mount namespace, after a script that mounts its file systems at `$0`. Prints a note if the
/// system does not allow that.
#[allow(clippy::print_stdout)]
fn mounted(scene: &Scene, script: &str, test: &str) {
    let allowed = |namespace: &str| {
        let mut probe = Command::new("unshare");
        probe.args([namespace, "sh", "-c", script]).arg(&scene.home);
        probe.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    };
    let Some(namespace) = ["-m", "-rm"].into_iter().find(|namespace| allowed(namespace)) else {
        println!("skipped: this process may not mount such a file system");
        return;
    };
    let script = format!(r#"{script} && exec "$@""#);
    assert_passes(scene.rerun("unshare", &[namespace, "sh", "-c", &script, scene.home.to_str().unwrap()], test));
}

#[test]
fn a_full_disk_keeps_the_old_version_and_nothing_of_the_new_one() {
    mounted(&Scene::new(), r#"mount -t tmpfs -o size=2m,mode=700 none "$0""#, "child_fills_the_disk");
}

#[test]
#[ignore = "started by a_full_disk_keeps_the_old_version_and_nothing_of_the_new_one"]
fn child_fills_the_disk() {
    let scene = Scene::inherited();
    let plugins = scene.plugins();
    install(&plugins, &version("old", 5));
    let large = archive(&[("plugin.yaml", b"new", 0o644), ("large", &vec![b'x'; 3_000_000], 0o644)]);
    let fault = stage(&plugins, &large).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Host(io::ErrorKind::StorageFull));
    let error = fault.source.unwrap().downcast::<StoreError>().unwrap();
    assert_says(&error, &place(&scene), &["entry 2 (`large`) cannot be written", "make room there", "MOLECULE_HOME"]);
    assert_eq!(names_in(&place(&scene)), ["demo-plugin"]);
    assert_eq!(whole_version(&path(&scene), 5).as_deref(), Some("old"));
    // Content that fits can still be installed.
    install(&plugins, &version("new", 5));
    assert_eq!(whole_version(&path(&scene), 5).as_deref(), Some("new"));
}

/// The plugins directory is on an overlay whose lower layer has the old version, as in a container's image.
const LAYERS: &str = r#"mount -t tmpfs none "$0" && cd "$0" && umask 077 &&
    mkdir -p lower/demo-plugin/skills upper work 7fda77bf-a467-441c-9fab-7d8aba8e6040/plugins &&
    for file in plugin.yaml skills/0.md skills/1.md; do printf old > lower/demo-plugin/$file; done &&
    mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work,redirect_dir=off \
        7fda77bf-a467-441c-9fab-7d8aba8e6040/plugins && cd /"#;

#[test]
fn a_version_of_a_lower_layer_is_replaced_by_way_of_a_copy() {
    mounted(&Scene::new(), LAYERS, "child_replaces_a_lower_layer");
}

#[test]
#[ignore = "started by a_version_of_a_lower_layer_is_replaced_by_way_of_a_copy"]
fn child_replaces_a_lower_layer() {
    let scene = Scene::inherited();
    let plugins = scene.plugins();
    assert_eq!(read_tree(&path(&scene)).len(), 3);
    // This is the special case: the directory cannot be renamed.
    let renamed = fs::rename(path(&scene), place(&scene).join("elsewhere"));
    assert_eq!(renamed.unwrap_err().kind(), io::ErrorKind::CrossesDevices);
    assert!(install(&plugins, &version("new", 5)).replaced);
    assert_eq!(whole_version(&path(&scene), 5).as_deref(), Some("new"));
    assert_eq!(names_in(&place(&scene)), ["demo-plugin"]);
    // The plugin is in the upper layer now, where names can be exchanged.
    assert!(install(&plugins, &version("newer", 5)).replaced);
    assert_eq!(whole_version(&path(&scene), 5).as_deref(), Some("newer"));
    assert_eq!(names_in(&place(&scene)), ["demo-plugin"]);
}

#[test]
fn a_version_of_a_lower_layer_is_removed_and_a_kept_one_put_in_its_place() {
    mounted(&Scene::new(), LAYERS, "child_removes_a_lower_layer");
}

#[test]
#[ignore = "started by a_version_of_a_lower_layer_is_removed_and_a_kept_one_put_in_its_place"]
fn child_removes_a_lower_layer() {
    use molecule_core::effect::plugin::{PluginOp, PluginResult};
    let scene = Scene::inherited();
    let plugins = scene.plugins();
    // The state after a crash between the copy and the end of a replacement.
    let keep = place(&scene).join(".keep-demo-plugin-0123456789abcdef");
    fs::create_dir(&keep).unwrap();
    fs::write(keep.join("plugin.yaml"), "kept").unwrap();
    fs::remove_file(path(&scene).join("plugin.yaml")).unwrap();
    assert!(sweep(&plugins).restored);
    assert_eq!(whole_version(&path(&scene), 0).as_deref(), Some("kept"));
    assert_eq!(names_in(&place(&scene)), ["demo-plugin"]);
    let removed = plugin::perform(&plugins, PluginOp::Remove(plugin::name())).unwrap();
    assert_eq!(removed, PluginResult::Removed { existed: true });
    assert!(names_in(&place(&scene)).is_empty());
}
