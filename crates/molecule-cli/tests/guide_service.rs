//! `docs/agents/service.md`: its exit codes, metrics, probes, unit, container and configuration are those of the program.

#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;

use common::World;
use common::pages::{Reader, blocks, files, is_here};
use molecule_platform::{Config, Dialect};

const SERVICE: &str = include_str!("../../../docs/agents/service.md");
const FIRST: &str = include_str!("../../../docs/agents/README.md");
const ECHO: &str = include_str!("../../../docs/agents/python.md");

/// The rows of the table with this head: the cells of each.
fn rows(head: &str) -> Vec<Vec<&'static str>> {
    let (_, behind) = SERVICE.split_once(&format!("\n{head}\n")).unwrap_or_else(|| panic!("no table {head:?}"));
    let rows = behind.lines().skip(1).take_while(|line| line.starts_with('|'));
    rows.map(|row| row.trim_matches('|').split(" | ").map(str::trim).collect()).collect()
}

fn block(name: &str) -> &'static str {
    files(SERVICE).into_iter().find(|(file, _)| *file == name).unwrap_or_else(|| panic!("no {name}")).1
}

/// Returns whether the program understands these arguments: they lead to the question which workspace is meant.
fn is_understood(arguments: &[&str]) -> bool {
    let (code, out, err) = common::told(common::bare(arguments).output().unwrap());
    code == 2 && err.contains("no workspace is named") || panic!("{arguments:?}: {code} {out}{err}")
}

/// A reader of the page, with the handler of another page on the desk.
fn reader(name: &str) -> Reader<'static> {
    let limited = Config::new(Dialect::Current).rate_limit(600);
    let reader = Reader::new(World::of(limited, name), SERVICE);
    let echo = files(ECHO).into_iter().find(|(file, _)| *file == "echo.py").unwrap().1;
    std::fs::write(reader.desk().join("handler.py"), echo).unwrap();
    std::fs::remove_file(reader.desk().join("molecule.toml")).unwrap();
    reader
}

#[test]
fn each_exit_code_is_one_of_the_program() {
    let source = include_str!("../src/exit.rs");
    let of_program = source.lines().filter_map(|line| line.strip_prefix("pub(crate) const ")?.split_once(": u8 = "));
    let mut of_program: Vec<_> = of_program.map(|(_, code)| code.trim_end_matches(';')).collect();
    let mut told: Vec<_> = rows("| code | what it says | start it again? |").iter().map(|row| row[0]).collect();
    of_program.sort_unstable();
    told.sort_unstable();
    assert_eq!(told, of_program);
}

#[test]
fn probes_answer_and_each_metric_is_there() {
    if !is_here("python3") {
        return;
    }
    let mut reader = reader("service-health");
    let command = "molecule run --health 127.0.0.1:9090 -- python3 handler.py";
    let port = reader.port();
    let agent = reader.starts_agent_as(command, &command.replace("9090", &port.to_string()));
    let get = |path: &str| {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(common::LONG)).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let yaml = blocks(SERVICE).into_iter().find(|(kind, _)| *kind == "yaml").unwrap().1;
    for row in rows("| path | |") {
        let path = row[0].trim_matches('`');
        assert!(get(path).starts_with("HTTP/1.1 200"), "{path}");
        assert!(path == "/metrics" || yaml.contains(&format!("path: {path}, port: 9090")), "{path}");
    }
    let metrics = get("/metrics");
    for row in rows("| metric | |") {
        for name in row[0].split(", ").map(|name| name.trim_matches('`')) {
            assert!(metrics.contains(&format!("# TYPE {name} ")), "{name}: {metrics}");
        }
    }
    assert_eq!(agent.ends(), 0);
}

#[test]
fn an_agent_with_secrets_answers() {
    if !is_here("python3") {
        return;
    }
    let mut reader = reader("service-secrets");
    let agent = reader.starts_agent("molecule run --with-secrets --reload-on-secrets restart -- python3 handler.py");
    reader.world.write("hello");
    reader.world.wait_for_words(&["you wrote: hello"]);
    assert_eq!(agent.ends(), 0);
}

#[test]
fn an_agent_polls_while_the_platform_does_not_reach_it() {
    if !is_here("python3") {
        return;
    }
    let mut reader = reader("service-push");
    let command = "molecule run --push 127.0.0.1:8000 --url https://agent.example.com/a2a --poll-if-unreachable -- python3 handler.py";
    let agent = reader.starts_agent(command);
    reader.world.write("hello");
    reader.world.wait_for_words(&["you wrote: hello"]);
    assert_eq!(agent.ends(), 0);
}

#[test]
fn the_configuration_lists_two_workspaces_that_run_in_one_process() {
    if !is_here("python3") {
        return;
    }
    let mut reader = reader("service-several");
    let (press, token) = reader.world.server.with(|platform, now| platform.create_workspace(now, "press"));
    let config = block("molecule.toml")
        .replace("https://your-platform.example.com", &reader.world.server.url())
        .replace("7fda77bf-a467-441c-9fab-7d8aba8e6040", reader.world.id.as_str())
        .replace("0c0ffee0-0000-4000-8000-000000000001", press.as_str());
    std::fs::write(reader.desk().join("molecule.toml"), config).unwrap();
    std::fs::write(reader.desk().join("research.token"), reader.world.token()).unwrap();
    // The other workspace's token is stored by an earlier command.
    let register = format!("WORKSPACE_ID={press} MOLECULE_WORKSPACE_TOKEN={} molecule register", token.expose());
    assert!(reader.shell(&register).status().unwrap().success());

    let unset = "unset WORKSPACE_ID PLATFORM_URL MOLECULE_WORKSPACE_TOKEN; exec ";
    let run = "molecule run -- python3 handler.py";
    let agent = reader.starts_agent_as(run, &format!("sh -c '{unset}{run}'"));
    reader.world.write("hello");
    reader.world.wait_for_words(&["you wrote: hello"]);
    reader.world.server.with(|platform, now| platform.send_user_message(now, &press, "hello")).unwrap();
    let is_answered =
        |platform: &molecule_platform::Platform| platform.activity(&press).iter().any(|row| row.is_notice());
    assert!(reader.world.server.wait_until(is_answered, common::LONG));
    let status = reader.shell(&format!("{unset}molecule --workspace press status")).output().unwrap();
    let (code, out, err) = common::told(status);
    assert_eq!(code, 0, "{out}{err}");
    assert_eq!(agent.ends(), 0);
}

#[test]
fn the_unit_and_the_container_start_the_program_as_it_is() {
    let unit = block("/etc/systemd/system/molecule-research.service");
    let values =
        |key: &str| unit.lines().filter_map(move |line| line.strip_prefix(key)?.strip_prefix('=')).collect::<Vec<_>>();
    let lines: Vec<_> = unit.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    assert!(lines.iter().all(|line| line.starts_with('[') || line.split_once('=').is_some()), "{unit}");
    // What systemd fills in stands for a file of this test.
    let token = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("token-{}", std::process::id()));
    std::fs::write(&token, "a-token").unwrap();
    let command = values("ExecStart")[0].replace("%d/token", token.to_str().unwrap());
    let mut words = command.split(' ');
    assert_eq!(words.next(), Some("/usr/bin/molecule"));
    assert!(is_understood(&words.collect::<Vec<_>>()));
    std::fs::remove_file(token).unwrap();
    let variables: Vec<_> = values("Environment").iter().map(|pair| pair.split('=').next().unwrap()).collect();
    assert_eq!(variables, ["MOLECULE_HOME", "PLATFORM_URL", "WORKSPACE_ID"]);
    for code in values("RestartPreventExitStatus")[0].split(' ') {
        let row = rows("| code | what it says | start it again? |").into_iter().find(|row| row[0] == code).unwrap();
        assert!(row[2].starts_with("no"), "{row:?}");
    }

    let container = blocks(SERVICE).into_iter().find(|(kind, _)| *kind == "dockerfile").unwrap().1;
    let entry = container.lines().find_map(|line| line.strip_prefix("ENTRYPOINT ")).unwrap();
    let entry: Vec<String> = serde_json::from_str(entry).unwrap();
    assert_eq!(entry[0], "/usr/bin/molecule");
    assert!(is_understood(&entry[1..].iter().map(String::as_str).collect::<Vec<_>>()));
}

#[test]
fn the_first_page_leads_to_an_agent_that_answers() {
    let mut reader = Reader::new(World::new(Dialect::Current, "guide-first"), FIRST);
    assert!(reader.runs("molecule register").starts_with("registered"));
    let agent = reader.starts_agent("molecule run --echo");
    reader.world.write("hello");
    reader.world.wait_for_words(&["hello"]);
    assert_eq!(agent.ends(), 0);
    // Cargo has built these, for the tests; the variables are those of the test's own platform.
    reader.ends(&["cargo install --locked --path crates/molecule-cli", "molecule dev", "export "]);
}
