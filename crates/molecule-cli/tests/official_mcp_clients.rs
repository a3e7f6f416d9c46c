//! The official clients of the Model Context Protocol call each tool of `molecule mcp`. `MOLECULE_INTEROP` names the
//! directory of their virtual environments.

#![cfg(all(unix, feature = "mcp"))]
#![allow(clippy::unwrap_used)]

mod common;

use std::path::PathBuf;
use std::process::{Command, Stdio};

use common::{World, told};
use molecule_platform::{Config, Dialect, PluginTree};

/// Lets the client of this version call the program, in this way.
fn client(version: &str, way: &str, revision: &str) {
    let interop =
        PathBuf::from(std::env::var_os("MOLECULE_INTEROP").expect("cargo xtask interop sets MOLECULE_INTEROP"));
    let world = World::of(Config::new(Dialect::Current).memory_plugin(true), &format!("official-{version}-{way}"));
    let plugin = PluginTree::new("helper").file("plugin.yaml", "name: helper\nversion: 1.0.0\ndescription: Helps.\n");
    let (peer, token) = world.server.with(|platform, now| {
        platform.add_plugin(plugin);
        platform.create_workspace(now, "researcher")
    });
    std::fs::create_dir_all(&world.home).unwrap();
    let file = world.home.join("report.txt");
    std::fs::write(&file, "the report").unwrap();
    let mut echo = world.molecule(&["run", "--echo"]);
    let echo = echo.env("WORKSPACE_ID", peer.as_str()).env("MOLECULE_WORKSPACE_TOKEN", token.expose());
    let mut echo = echo.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let id = peer.to_string();
    let is_online = |requests: &[molecule_platform::serve::Seen]| {
        let beats = requests.iter().filter(|request| request.path == "/registry/heartbeat");
        beats.into_iter().any(|request| String::from_utf8_lossy(&request.body).contains(&id))
    };
    assert!(world.server.wait_for(is_online, common::LONG));
    world.write(&format!("hello {revision}"));
    let known = world.molecule(&[]);
    let mut python = Command::new(interop.join(format!("mcp-{version}/bin/python")));
    python.envs(known.get_envs().filter_map(|(name, value)| Some((name, value?))));
    python.env("MOLECULE", env!("CARGO_BIN_EXE_molecule")).env("PEER_ID", peer.as_str()).env("FILE", &file);
    python.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../../interop/mcp_client.py")).arg(way);
    let (code, out, err) = told(python.stdin(Stdio::null()).output().unwrap());
    echo.kill().unwrap();
    echo.wait().unwrap();
    assert!(code == 0 && out.ends_with("all checks passed\n"), "{version} {way}: {out}{err}");
    let said = world.said();
    for word in ["answer", "note"] {
        assert!(said.contains(&format!("{word} {revision}")), "{said:?}");
    }
}

#[test]
#[ignore = "needs Python and mcp 1.30.0 from PyPI: cargo xtask interop"]
fn the_client_of_1_30_calls_each_tool() {
    client("1.30.0", "session", "with a handshake");
}

#[test]
#[ignore = "needs Python and mcp 2.3.0 from PyPI: cargo xtask interop"]
fn the_session_of_2_3_calls_each_tool() {
    client("2.3.0", "session", "with a handshake");
}

#[test]
#[ignore = "needs Python and mcp 2.3.0 from PyPI: cargo xtask interop"]
fn the_client_of_2_3_calls_each_tool_without_a_handshake() {
    client("2.3.0", "client", "without a handshake");
}
