//! Plugins are read from a directory without a change.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::PathBuf;

use molecule_platform::serve::load_plugins;

/// A temporary directory, which is removed when this is dropped.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let place = std::env::temp_dir().join(format!("molecule-platform-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&place);
        fs::create_dir_all(&place).unwrap();
        Self(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(unix)]
#[test]
fn folders_become_plugins_with_modes_and_links() {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use molecule_platform::PluginTree;

    let place = Place::new("folders");
    let folder = place.0.join("b");
    fs::create_dir_all(folder.join("skills/empty")).unwrap();
    fs::create_dir_all(place.0.join("a")).unwrap();
    fs::write(place.0.join("readme.md"), "no plugin").unwrap();
    symlink(&folder, place.0.join("no-plugin-either")).unwrap();
    for (name, mode) in [("plugin.yaml", 0o644), (".key", 0o600), ("setup.sh", 0o755)] {
        fs::write(folder.join(name), name).unwrap();
        fs::set_permissions(folder.join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    for (name, mode) in [("skills/empty", 0o700), ("skills", 0o755)] {
        fs::set_permissions(folder.join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    symlink("plugin.yaml", folder.join("link")).unwrap();

    let expected = PluginTree::new("b")
        .file("plugin.yaml", "plugin.yaml")
        .file(".key", ".key")
        .mode(".key", 0o600)
        .executable("setup.sh", "setup.sh")
        .directory("skills/empty")
        .mode("skills/empty", 0o700)
        .link("link", "plugin.yaml");
    assert_eq!(load_plugins(&place.0).unwrap(), [PluginTree::new("a"), expected]);
}

#[cfg(unix)]
#[test]
fn what_no_plugin_can_hold_is_named() {
    let place = Place::new("socket");
    fs::create_dir_all(place.0.join("a")).unwrap();
    let _listener = std::os::unix::net::UnixListener::bind(place.0.join("a/socket")).unwrap();
    let error = load_plugins(&place.0).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
    assert!(error.to_string().contains("a/socket cannot be in a plugin: it is no file, directory"), "{error}");
}

#[test]
fn a_directory_that_is_not_there_is_named() {
    let place = Place::new("missing");
    let error = load_plugins(place.0.join("nothing")).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    assert!(error.to_string().contains("nothing"), "{error}");
}
