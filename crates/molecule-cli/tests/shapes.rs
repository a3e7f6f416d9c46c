//! What `--json` writes has the shape that `molecule shapes` documents, of each command on both servers.

#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod common;
#[path = "common/shape.rs"]
mod shape;

use std::collections::BTreeSet;

use common::{DIALECTS, World, bare, terminate, told};
use molecule_platform::{Dialect, PluginTree};
use serde_json::Value;

/// Compares values with their shapes, and remembers which shapes were compared.
struct Checked {
    shapes: std::collections::BTreeMap<String, shape::Shape>,
    seen: BTreeSet<String>,
}

impl Checked {
    fn new() -> Self {
        Self { shapes: shape::documented(), seen: BTreeSet::new() }
    }

    fn value(&mut self, name: &str, value: &Value) {
        let shape = self.shapes.get(name).unwrap_or_else(|| panic!("{name} is not documented"));
        let found = shape.differences(value);
        assert!(found.is_empty(), "{name}: {found:#?}");
        self.seen.insert(name.to_owned());
    }

    /// Runs a command, and compares its one line.
    fn command(&mut self, world: &World, name: &str, args: &[&str]) -> Value {
        let (_, out, err) = world.run(&[&["--json"], args].concat());
        assert_eq!(out.lines().count(), 1, "{args:?}: {out}{err}");
        let value: Value = serde_json::from_str(&out).unwrap();
        self.value(name, &value);
        value
    }

    /// Compares the lines of stderr.
    fn stderr(&mut self, text: &str) {
        for line in text.lines() {
            let value: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            let name = ["error", "warning", "event"].into_iter().find(|name| value.get(name).is_some());
            self.value(name.unwrap_or_else(|| panic!("{line}")), &value);
        }
    }
}

fn plugin() -> PluginTree {
    PluginTree::new("my-plugin")
        .file("plugin.yaml", "name: my-plugin\nversion: 1.0.0\ndescription: Says hello.\n")
        .executable("setup.sh", "echo hi\n")
}

#[test]
fn each_command_writes_what_is_documented() {
    let mut checked = Checked::new();
    for dialect in DIALECTS {
        let world = World::new(dialect, "shapes");
        let other = world.server.with(|platform, now| platform.create_workspace(now, "other").0);
        world.server.with(|platform, now| platform.set_secret(now, &world.id, "API_KEY", "sk-1"));
        world.server.with(|platform, _| platform.add_plugin(plugin()));
        checked.command(&world, "molecule register", &["register"]);
        checked.command(&world, "molecule status", &["status"]);
        checked.command(&world, "molecule secrets list", &["secrets", "list"]);
        checked.command(&world, "molecule secrets list --reveal", &["secrets", "list", "--reveal"]);
        checked.command(&world, "molecule peers", &["peers"]);
        checked.command(&world, "molecule call", &["call", other.as_str(), "hello"]);
        checked.command(&world, "molecule send", &["send", "hello"]);
        checked.command(&world, "molecule delegate", &["delegate", other.as_str(), "work"]);
        checked.command(&world, "molecule plugins available", &["plugins", "available"]);
        checked.command(&world, "molecule plugins install", &["plugins", "install", "my-plugin"]);
        checked.command(&world, "molecule plugins list", &["plugins", "list"]);
        checked.command(&world, "molecule plugins verify", &["plugins", "verify"]);
        checked.command(&world, "molecule plugins uninstall", &["plugins", "uninstall", "my-plugin"]);
        checked.command(&world, "molecule doctor", &["doctor"]);
        checked.command(&world, "molecule recover", &["recover"]);
        let removed = world.server.with(|platform, now| platform.delete(now, &world.id, false));
        removed.unwrap();
        checked.command(&world, "molecule status", &["status"]);
    }

    // What needs a loop, and a delegation that ends.
    let world = World::new(Dialect::Current, "shapes-run");
    let child = world
        .molecule(&["--json", "run", "--attempts", "1", "--per-message", "--", "sh", "-c", "exit 1"])
        .spawn()
        .unwrap();
    world.write("hello");
    let deadline = std::time::Instant::now() + common::LONG;
    let listed = loop {
        let listed = checked.command(&world, "molecule inbox list", &["inbox", "list"]);
        if listed[0]["state"] == "dead" {
            break listed;
        }
        assert!(std::time::Instant::now() < deadline, "{listed}");
    };
    let id = listed[0]["id"].as_str().unwrap();
    checked.command(&world, "molecule inbox show", &["inbox", "show", id]);
    checked.command(&world, "molecule inbox dead", &["inbox", "dead"]);
    terminate(&child);
    let (_, out, err) = told(child.wait_with_output().unwrap());
    checked.value("molecule run", &serde_json::from_str(&out).unwrap());
    checked.stderr(&err);
    checked.command(&world, "molecule inbox retry", &["inbox", "retry", id]);

    world.run(&["register"]);
    // Nothing listens there, so that the delegation fails.
    let peer =
        world.server.with(|platform, now| platform.create_workspace_at(now, "other", "http://localhost:1")).unwrap();
    let (_, out, err) = world.run(&["--json", "delegate", peer.as_str(), "work", "--wait"]);
    checked.value(
        "molecule delegate --wait",
        &serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}{err}")),
    );

    let home = world.home.join("author");
    std::fs::create_dir_all(&home).unwrap();
    for (name, args) in [("new", vec!["new", "x"]), ("check", vec!["check", "x"]), ("pack", vec!["pack", "x"])] {
        let output = bare(&[&["--json", "plugins"], &args[..]].concat()).current_dir(&home).output().unwrap();
        let (code, out, err) = told(output);
        assert_eq!(code, 0, "{name}: {err}");
        checked.value("molecule plugins check", &serde_json::from_str(&out).unwrap());
    }

    for args in [&["peers"][..], &["plugins", "uninstall", "none"], &["inbox", "show", "none"]] {
        let (_, out, err) = told(
            world.molecule(&[&["--json"], args].concat()).env("PLATFORM_URL", "http://127.0.0.1:1").output().unwrap(),
        );
        assert_eq!(out, "", "{args:?}");
        checked.stderr(err.lines().last().unwrap());
    }
    checked.stderr(r#"{"warning":"x"}"#);
    let mut all: BTreeSet<String> = checked.shapes.keys().cloned().collect();
    match cfg!(feature = "dev") {
        true => a_platform_of_its_own(&mut checked, &world.home),
        false => all.retain(|name| !["molecule dev", "molecule trigger"].iter().any(|dev| name.starts_with(dev))),
    }
    assert_eq!(checked.seen, all, "each documented shape is compared with an output");
}

/// What `molecule dev` and `molecule trigger` write.
fn a_platform_of_its_own(checked: &mut Checked, home: &std::path::Path) {
    let run = |args: &[&str]| {
        let mut command = bare(&[&["--json"], args].concat());
        command.current_dir(home);
        command
    };
    let value = |text: &str| serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let mut child = run(&["dev", "--port", "0"]).spawn().unwrap();
    let shown = common::read_until(child.stdout.take().unwrap(), |_| true);
    for args in [&["trigger", "create", "carol"][..], &["trigger", "-w", "bob", "message", "hello"]] {
        let (code, out, err) = told(run(args).output().unwrap());
        assert_eq!(code, 0, "{err}");
        checked.value("molecule trigger", &value(&out));
    }
    terminate(&child);
    child.wait().unwrap();
    checked.value("molecule dev", &value(&shown[0]));
    let (_, out, _) = told(run(&["dev", "fork", "3", "fork.jsonl"]).output().unwrap());
    checked.value("molecule dev fork", &value(&out));
}

#[test]
fn the_program_shows_the_page() {
    let (code, out, _) = told(bare(&["shapes"]).output().unwrap());
    assert_eq!(code, 0);
    assert!(out.starts_with("# The shapes of --json\n"), "{out}");
}

/// Else the comparison would accept everything.
#[test]
fn a_shape_tells_what_differs() {
    let shapes = shape::documented();
    let differs = |name: &str, text: &str| !shapes[name].differences(&serde_json::from_str(text).unwrap()).is_empty();
    assert!(!differs("molecule send", r#"{"result":"sent"}"#));
    for text in [r#"{"result":1}"#, r#"{"result":"sent","more":1}"#, "{}", "[]", "null"] {
        assert!(differs("molecule send", text), "{text}");
    }
    assert!(!differs("molecule secrets list", r#"["A"]"#) && differs("molecule secrets list", "[1]"));
    assert!(differs("molecule doctor", r#"[{"check":"x","level":"ok"}]"#), "a key in an array is missing");
    assert!(!differs("molecule doctor", r#"[{"check":"x","level":"ok","message":"m"}]"#));
}
