//! `molecule plugins new|check|pack`: what an author's check accepts, an installer accepts.

#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{World, bare, told};
use flate2::read::GzDecoder;
use molecule_platform::{Dialect, PluginTree};
use serde_json::Value;

/// An empty directory of the test's own.
struct Room(PathBuf);

impl Room {
    fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("author-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// The program in this directory. It needs neither a workspace nor a platform.
    fn run(&self, args: &[&str]) -> (i32, String, String) {
        told(bare(args).current_dir(&self.0).output().unwrap())
    }

    fn json(&self, args: &[&str]) -> Value {
        let (code, out, err) = self.run(&[&["--json", "plugins"], args].concat());
        assert_eq!(code, 0, "{args:?}: {out}{err}");
        serde_json::from_str(&out).unwrap()
    }

    /// The failure of a check, after this change of a good plugin.
    fn refused(&self, change: impl FnOnce(&Path)) -> String {
        let plugin = self.0.join("bad");
        let _ = fs::remove_dir_all(&plugin);
        self.json(&["new", "bad"]);
        change(&plugin);
        let (code, out, err) = self.run(&["plugins", "check", "bad"]);
        assert_eq!((code, &*out), (1, ""), "{err}");
        let (packed, _, _) = self.run(&["plugins", "pack", "bad"]);
        assert_eq!((packed, self.0.join("bad.tar.gz").exists()), (1, false), "{err}");
        assert!(fs::read_dir(&self.0).unwrap().count() <= 2, "a part of an archive is left");
        err
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_new_plugin_is_one_that_the_check_accepts() {
    let room = Room::new("new");
    let made = room.json(&["new", "my-plugin"]);
    assert_eq!(
        (&made["name"], &made["version"], &made["warnings"]),
        (&"my-plugin".into(), &"0.1.0".into(), &Value::Array(vec![]))
    );
    assert_eq!(room.json(&["check", "my-plugin"]), made);
    assert_eq!(room.json(&["new", "elsewhere", "--name", "other"])["name"], "other");
    let (code, _, err) = room.run(&["plugins", "new", "my-plugin"]);
    assert_eq!((code, err.contains("is not empty")), (2, true), "{err}");
    assert_eq!(room.run(&["plugins", "new", "not a name"]).0, 2);
}

#[test]
fn the_same_content_makes_the_same_archive_whatever_its_times_and_owners_are() {
    let room = Room::new("reproducible");
    room.json(&["new", "one"]);
    let script = room.0.join("one/setup.sh");
    fs::write(&script, "echo ready\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o751)).unwrap();
    fs::create_dir(room.0.join("one/empty")).unwrap();
    let long = format!("{}/{}", "long".repeat(30), "ź".repeat(60));
    fs::create_dir(room.0.join("one").join("long".repeat(30))).unwrap();
    fs::write(room.0.join("one").join(&long), "x").unwrap();
    let first = room.json(&["pack", "one"]);
    assert_eq!(first["has_setup"], true);
    let bytes = fs::read(room.0.join("one.tar.gz")).unwrap();
    assert_eq!(first["archive_bytes"], bytes.len());
    // The same files, written in another order, with other modes for others and another time.
    let copy = "cp -r one two && chmod -R go-rwx two && touch -d 2001-02-03 two/*";
    assert!(Command::new("sh").current_dir(&room.0).args(["-c", copy]).status().unwrap().success());
    fs::create_dir(room.0.join("two/.git")).unwrap();
    fs::write(room.0.join("two/.git/HEAD"), "x").unwrap();
    let second = room.json(&["pack", "two", "--output", "again.tar.gz"]);
    assert_eq!(fs::read(room.0.join("again.tar.gz")).unwrap(), bytes);
    assert_eq!((&second["left_out"][0], &second["tree_sha256"]), (&".git".into(), &first["tree_sha256"]));
    let (code, out, _) = {
        let output = bare(&["plugins", "pack", "two", "--output", "-"]).current_dir(&room.0).output().unwrap();
        (output.status.code(), output.stdout, output.stderr)
    };
    assert_eq!((code, out == bytes), (Some(0), true), "stdout has the archive alone");
    let mut archive = tar::Archive::new(GzDecoder::new(&*bytes));
    for entry in archive.entries().unwrap() {
        let header = entry.unwrap().header().clone();
        assert_eq!((header.mtime().unwrap(), header.uid().unwrap(), header.gid().unwrap()), (0, 0, 0));
    }
}

/// The archive's content is served by the platform, and installed.
#[test]
fn a_plugin_that_was_checked_is_installed_with_the_same_digests() {
    let room = Room::new("installed");
    room.json(&["new", "my-plugin"]);
    fs::write(room.0.join("my-plugin/setup.sh"), "echo ready\n").unwrap();
    let declared = room.json(&["check", "my-plugin", "--declare"]);
    let packed = room.json(&["pack", "my-plugin"]);
    assert_eq!(packed["tree_sha256"], declared["tree_sha256"]);
    assert_eq!(packed["manifest_sha256"], declared["manifest_sha256"]);
    assert!(packed["manifest_sha256"]["declared"].is_string(), "{packed}");
    // Whoever changes the content afterwards has to declare it again.
    let mut tree = PluginTree::new("my-plugin");
    let archive = fs::read(packed["archive"].as_str().unwrap()).unwrap();
    for entry in tar::Archive::new(GzDecoder::new(&*archive)).entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().to_str().unwrap().to_owned();
        let mut content = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut content).unwrap();
        let is_directory = entry.header().entry_type().is_dir();
        tree = if is_directory { tree.directory(&path) } else { tree.file(&path, content) };
    }
    let world = World::new(Dialect::Current, "author");
    world.server.with(|platform, _| platform.add_plugin(tree));
    world.run(&["register"]);
    let digest = packed["tree_sha256"].as_str().unwrap();
    let installed = world.json(&["plugins", "install", "my-plugin", "--tree-sha256", digest]);
    assert_eq!(installed["tree_sha256"], packed["tree_sha256"]);
    fs::write(room.0.join("my-plugin/rules/example.md"), "other\n").unwrap();
    let (code, _, err) = room.run(&["plugins", "check", "my-plugin"]);
    assert_eq!((code, err.contains("content-mismatch")), (1, true), "{err}");
    room.json(&["check", "my-plugin", "--declare"]);
}

#[test]
fn what_no_installer_takes_is_refused_with_its_rule() {
    let room = Room::new("refused");
    let manifest = |text: &'static str| move |plugin: &Path| fs::write(plugin.join("plugin.yaml"), text).unwrap();
    for (change, part) in [
        (
            Box::new(|plugin: &Path| fs::remove_file(plugin.join("plugin.yaml")).unwrap()) as Box<dyn FnOnce(&Path)>,
            "manifest-missing",
        ),
        (Box::new(manifest("name: [")), "manifest-yaml"),
        (Box::new(manifest("name: bad\nname: bad\n")), "manifest-duplicate"),
        (Box::new(manifest("name: bad\nsha256: 1\n")), "manifest-digest"),
        (Box::new(|plugin: &Path| fs::write(plugin.join("CON.txt"), "x").unwrap()), "name-device"),
        (Box::new(|plugin: &Path| fs::write(plugin.join("a:b"), "x").unwrap()), "name-colon"),
        (Box::new(|plugin: &Path| fs::write(plugin.join("a\nb"), "x").unwrap()), "name-control"),
        (Box::new(|plugin: &Path| fs::write(plugin.join("SETUP.sh"), "x").unwrap()), "name-case"),
        (Box::new(|plugin: &Path| fs::write(plugin.join("RULES"), "x").unwrap()), "collision"),
        (Box::new(|plugin: &Path| symlink("plugin.yaml", plugin.join("link")).unwrap()), "is a link"),
        (Box::new(|plugin: &Path| symlink("/etc", plugin.join("etc")).unwrap()), "is a link"),
        (
            Box::new(|plugin: &Path| {
                assert!(Command::new("mkfifo").arg(plugin.join("pipe")).status().unwrap().success());
            }),
            "neither a file nor a directory",
        ),
        (
            Box::new(|plugin: &Path| {
                let deep = (0..65).fold(plugin.to_owned(), |path, _| path.join("d"));
                fs::create_dir_all(deep).unwrap();
            }),
            "depth",
        ),
    ] {
        let err = room.refused(change);
        assert!(err.contains(part), "{part}: {err}");
    }
}

#[test]
fn a_declaration_that_cannot_be_made_leaves_the_manifest_as_it_was() {
    let room = Room::new("declare");
    room.json(&["new", "x"]);
    let manifest = room.0.join("x/plugin.yaml");
    let before = "# mine\nname: x\nsha256: \"0\"\nitems: [\n";
    fs::write(&manifest, before).unwrap();
    assert_eq!(room.run(&["plugins", "check", "x", "--declare"]).0, 1);
    assert_eq!(fs::read_to_string(&manifest).unwrap(), before);
}

#[test]
fn an_archive_is_not_written_into_the_plugin_itself() {
    let room = Room::new("inside");
    room.json(&["new", "x"]);
    let (code, _, err) = room.run(&["plugins", "pack", "x", "--output", "x/x.tar.gz"]);
    assert_eq!((code, err.contains("in the plugin's own directory")), (2, true), "{err}");
    let within = told(bare(&["--json", "plugins", "pack"]).current_dir(room.0.join("x")).output().unwrap());
    assert_eq!((within.0, room.0.join("x.tar.gz").exists()), (0, true), "{}", within.2);
}

#[test]
fn what_is_allowed_and_may_be_unwanted_is_a_warning() {
    let room = Room::new("warnings");
    room.json(&["new", "Loud"]);
    fs::write(room.0.join("Loud/what?.md"), "x").unwrap();
    fs::write(room.0.join("Loud/plugin.yaml"), "author: x\n").unwrap();
    let warnings = room.json(&["check", "Loud"])["warnings"].to_string();
    for part in ["no `name`", "no `version`", "no `description`", "capital letters", "Windows"] {
        assert!(warnings.contains(part), "{part}: {warnings}");
    }
}
