//! A file of 20 MiB is saved, and uploaded, with little memory; each facade runs in a process of its own.
#![cfg(target_os = "linux")]

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use molecule_conformance::ScriptedPeer;
use molecule_e2e::core::proto::{ActivityRow, AgentCard};
use molecule_e2e::core::{Attachment, Downloaded, InboundMessage, Notice};
use molecule_e2e::host::{Storage, seed};
use molecule_e2e::platform::Config;
use molecule_e2e::platform::serve::serve;

const URL: &str = "MOLECULE_E2E_URL";
const HOME: &str = "MOLECULE_E2E_HOME";
const WORKSPACE: &str = "MOLECULE_E2E_WORKSPACE";
const TOKEN: &str = "MOLECULE_E2E_TOKEN";
const ID: &str = "7fda77bf-a467-441c-9fab-7d8aba8e6040";
/// A file in the home in which the child process leaves its memory growth in KiB.
const GROWN: &str = "grown";
const LENGTH: usize = 20 << 20;

#[test]
fn a_download_of_20_mib_takes_at_most_8_mib() {
    let content: Vec<u8> = (0..LENGTH).map(|at| (at % 251) as u8).collect();
    let sent = content.clone();
    let files = ScriptedPeer::start(move |connection| {
        connection.request();
        connection.send(format!(
            "HTTP/1.1 200 OK\r\nContent-Disposition: attachment; filename=\"large\"\r\nContent-Length: {LENGTH}\r\n\r\n"
        ));
        connection.send(&sent);
        connection.request();
        connection
            .send("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 14\r\n\r\n{\"acked\":true}");
    });
    for facade in ["blocking", "asynchronous"] {
        let home = env::temp_dir().join(format!("molecule-e2e-{:016x}", seed()));
        fs::create_dir(&home).unwrap();
        let test = format!("attachment_memory::child_is_{facade}");
        let mut child = Command::new(env::current_exe().unwrap());
        child.args(["--exact", &test, "--ignored", "--nocapture", "--test-threads=1"]);
        let output = child.env(URL, files.url()).env(HOME, &home).output().unwrap();
        let grown = fs::read_to_string(home.join(GROWN));
        let saved = fs::read(home.join("large"));
        let _ = fs::remove_dir_all(&home);
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
        assert!(saved.unwrap() == content, "another content");
        let grown = grown.unwrap().parse::<f64>().unwrap() / 1024.0;
        assert!(grown <= 8.0, "{facade}: {grown:.1} MiB more than idle");
    }
}

#[test]
#[ignore = "started by a_download_of_20_mib_takes_at_most_8_mib"]
fn child_is_blocking() {
    let agent = molecule_blocking::Agent::builder(env::var(URL).unwrap(), ID).token("token").storage(Storage::Memory);
    let agent = agent.no_proxy().build().unwrap();
    let idle = begin();
    tell(idle, &agent.download(&attachment(), home().join("large")).unwrap());
}

#[test]
#[ignore = "started by a_download_of_20_mib_takes_at_most_8_mib"]
fn child_is_asynchronous() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let agent = molecule_async::Agent::builder(env::var(URL).unwrap(), ID).token("token").storage(Storage::Memory);
    let agent = agent.no_proxy().build().unwrap();
    runtime.block_on(async {
        let idle = begin();
        tell(idle, &agent.download(&attachment(), home().join("large")).await.unwrap());
    });
}

#[test]
fn an_upload_of_20_mib_takes_at_most_8_mib() {
    let content: Vec<u8> = (0..LENGTH).map(|at| (at % 251) as u8).collect();
    for facade in ["blocking", "asynchronous"] {
        let server = serve(Config::default(), "127.0.0.1:0").unwrap();
        let (id, token) = server.with(|platform, now| platform.create_workspace(now, "agent"));
        let home = env::temp_dir().join(format!("molecule-e2e-{:016x}", seed()));
        fs::create_dir(&home).unwrap();
        fs::write(home.join("large"), &content).unwrap();
        let test = format!("attachment_memory::child_uploads_{facade}");
        let mut child = Command::new(env::current_exe().unwrap());
        child.args(["--exact", &test, "--ignored", "--nocapture", "--test-threads=1"]);
        child.env(URL, server.url()).env(HOME, &home).env(WORKSPACE, id.as_str()).env(TOKEN, token.expose());
        let output = child.output().unwrap();
        let grown = fs::read_to_string(home.join(GROWN));
        let _ = fs::remove_dir_all(&home);
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
        assert!(
            server
                .requests()
                .iter()
                .any(|seen| seen.path.ends_with("/notify") && seen.status.is_some_and(|it| it.is_success()))
        );
        let grown = grown.unwrap().parse::<f64>().unwrap() / 1024.0;
        assert!(grown <= 8.0, "{facade}: {grown:.1} MiB more than idle");
    }
}

#[test]
#[ignore = "started by an_upload_of_20_mib_takes_at_most_8_mib"]
fn child_uploads_blocking() {
    let (url, id, token) = (env::var(URL).unwrap(), env::var(WORKSPACE).unwrap(), env::var(TOKEN).unwrap());
    let agent = molecule_blocking::Agent::builder(url, id).token(token).storage(Storage::Memory).card(card());
    let agent = agent.no_proxy().build().unwrap();
    agent.register().unwrap();
    let idle = begin();
    agent.notify(Notice::new("see").attach(home().join("large"))).unwrap();
    tell_growth(idle);
}

#[test]
#[ignore = "started by an_upload_of_20_mib_takes_at_most_8_mib"]
fn child_uploads_asynchronous() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (url, id, token) = (env::var(URL).unwrap(), env::var(WORKSPACE).unwrap(), env::var(TOKEN).unwrap());
    let agent = molecule_async::Agent::builder(url, id).token(token).storage(Storage::Memory).card(card());
    let agent = agent.no_proxy().build().unwrap();
    runtime.block_on(async {
        agent.register().await.unwrap();
        let idle = begin();
        agent.notify(Notice::new("see").attach(home().join("large"))).await.unwrap();
        tell_growth(idle);
    });
}

fn card() -> AgentCard {
    AgentCard::new("agent")
}

fn attachment() -> Attachment {
    let uri = format!("platform-pending:{ID}/0199a3c4-5a43-7c1e-9d1f-2b6d7f3e8a10");
    let row = serde_json::json!({
        "id": "0199a3c4-5a43-7c1e-9d1f-2b6d7f3e8a11", "workspace_id": ID, "activity_type": "a2a_receive",
        "method": "message/send", "status": "ok", "created_at": "2026-11-22T21:39:47Z",
        "request_body": {"params": {"message": {"parts": [{"kind": "file", "file": {"uri": uri, "name": "x"}}]}}},
    });
    let row: ActivityRow = serde_json::from_value(row).unwrap();
    InboundMessage::read(row, &ID.parse().unwrap()).unwrap().attachments()[0].clone()
}

fn home() -> PathBuf {
    env::var_os(HOME).unwrap().into()
}

/// Returns the resident memory in KiB, and resets the peak that the kernel records.
fn begin() -> u64 {
    fs::write("/proc/self/clear_refs", "5").unwrap();
    status("VmRSS:")
}

fn tell(idle: u64, downloaded: &Downloaded) {
    assert_eq!(downloaded.bytes, LENGTH as u64);
    assert!(downloaded.is_acknowledged);
    tell_growth(idle);
}

fn tell_growth(idle: u64) {
    let grown = status("VmHWM:").saturating_sub(idle);
    fs::write(home().join(GROWN), grown.to_string()).unwrap();
}

fn status(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
