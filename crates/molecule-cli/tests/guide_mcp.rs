//! The configurations of coding agents in `docs/agents` start a server that has the tools of `docs/agents/mcp.md`.

#![cfg(all(unix, feature = "mcp"))]
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use common::World;
use common::pages::{Reader, blocks, claude_stands_in};
use molecule_platform::Dialect;
use serde::Deserialize;
use serde_json::{Value, json};

const MCP: &str = include_str!("../../../docs/agents/mcp.md");
const CLAUDE_CODE: &str = include_str!("../../../docs/agents/claude-code.md");
const CODEX: &str = include_str!("../../../docs/agents/codex.md");

/// A server, as the configuration of a client has it.
#[derive(Deserialize)]
struct Entry {
    command: String,
    args: Vec<String>,
    env: BTreeMap<String, String>,
}

/// The entry on a page, in the block of this kind, below this key.
fn entry(page: &str, kind: &str, key: &str) -> Entry {
    let (_, text) = blocks(page).into_iter().find(|(of, _)| *of == kind).unwrap();
    let whole: Value = if kind == "json" { serde_json::from_str(text).unwrap() } else { toml::from_str(text).unwrap() };
    serde_json::from_value(whole[key]["molecule-research"].clone()).unwrap()
}

/// Asks a server for its tools, and ends it. Returns their names.
fn tools_of(mut command: Command) -> Vec<String> {
    let mut server = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
    let (mut stdin, mut stdout) = (server.stdin.take().unwrap(), BufReader::new(server.stdout.take().unwrap()));
    let about =
        json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "guide", "version": "1"}});
    writeln!(stdin, "{}", json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": about})).unwrap();
    let mut answer = || {
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        serde_json::from_str::<Value>(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    };
    assert_eq!(answer()["result"]["serverInfo"]["name"], "molecule");
    writeln!(stdin, "{}", json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).unwrap();
    writeln!(stdin, "{}", json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"})).unwrap();
    let listed = answer();
    let tools = listed["result"]["tools"].as_array().unwrap_or_else(|| panic!("{listed}"));
    let names = tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect();
    drop(stdin);
    assert_eq!(server.wait().unwrap().code(), Some(0));
    names
}

/// Starts the entry's server, with the reader's own platform and workspace in place of the page's, and no token.
fn started(reader: &Reader<'_>, entry: &Entry) -> Command {
    let mut server = reader.shell(&format!("exec {} {}", entry.command, entry.args.join(" ")));
    for name in ["PLATFORM_URL", "WORKSPACE_ID", "MOLECULE_WORKSPACE_TOKEN"] {
        server.env_remove(name);
    }
    for name in entry.env.keys() {
        let own = match name.as_str() {
            "PLATFORM_URL" => reader.world.server.url(),
            "WORKSPACE_ID" => reader.world.id.to_string(),
            other => panic!("the test has no value for {other}"),
        };
        server.env(name, own);
    }
    server
}

#[test]
fn each_configuration_starts_a_server_with_the_tools_of_the_page() {
    let (_, behind) = MCP.split_once("\n| tool | what it does |\n").unwrap();
    let rows = behind.lines().skip(1).take_while(|line| line.starts_with('|'));
    let names = |row: &str| {
        row.split(" | ").next().unwrap().split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>()
    };
    let mut expected: Vec<_> = rows.flat_map(names).collect();
    expected.sort();
    let has_all = |mut tools: Vec<String>| {
        tools.sort();
        assert_eq!(tools, expected);
    };

    let mut reader = Reader::new(World::new(Dialect::Current, "guide-mcp"), CLAUDE_CODE);
    claude_stands_in(&reader.desk());
    reader.runs("molecule register");
    let command = r#"claude mcp add molecule-research -s user -- molecule mcp --platform "$PLATFORM_URL" --workspace "$WORKSPACE_ID""#;
    let mut added = reader.shell(command);
    reader.follows(command);
    added.env_remove("MOLECULE_WORKSPACE_TOKEN");
    has_all(tools_of(added));
    for entry in [
        entry(CLAUDE_CODE, "json", "mcpServers"),
        entry(CODEX, "toml", "mcp_servers"),
        entry(MCP, "json", "mcpServers"),
    ] {
        has_all(tools_of(started(&reader, &entry)));
    }
    reader.ends(&["molecule run "]);
}

#[test]
fn the_platforms_own_snippet_works_with_a_link() {
    let mut reader = Reader::new(World::new(Dialect::Current, "guide-mcp-link"), MCP);
    reader.runs(r#"ln -s "$(command -v molecule)" molecule-mcp"#);
    let pairs = format!(
        "env WORKSPACE_ID={} PLATFORM_URL={} MOLECULE_WORKSPACE_TOKEN=\"{}\"",
        reader.world.id,
        reader.world.server.url(),
        reader.world.token()
    );
    claude_stands_in(&reader.desk());
    let snippet = reader.shell(&format!("claude mcp add molecule-research -s user -- {pairs} molecule-mcp"));
    assert!(tools_of(snippet).contains(&"wait_for_message".to_owned()));
    reader.ends(&[]);
}

#[test]
fn each_variable_of_the_page_is_read() {
    let (_, behind) = MCP.split_once("\n| variable | |\n").unwrap();
    let options =
        [include_str!("../src/mcp/options.rs"), include_str!("../src/args.rs"), include_str!("../src/commands.rs")]
            .concat();
    for row in behind.lines().skip(1).take_while(|line| line.starts_with('|')) {
        let name = row.split('`').nth(1).unwrap();
        assert!(options.contains(&format!("\"{name}\"")), "nothing reads {name}");
    }
}
