//! Installing a plugin of 200 MiB needs little memory; each facade runs in a process of its own. A small plugin is installed
//! before, so that the pages of the program's own code, of which a larger program has more, are there already.
#![cfg(target_os = "linux")]

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use molecule_conformance::ScriptedPeer;
use molecule_e2e::core::plugin::{Installed, Plugin, Setup};
use molecule_e2e::core::proto::UnixTime;
use molecule_e2e::host::{Storage, seed};
use molecule_e2e::platform::PluginTree;

const URL: &str = "MOLECULE_E2E_URL";
const HOME: &str = "MOLECULE_E2E_HOME";
const ID: &str = "7fda77bf-a467-441c-9fab-7d8aba8e6040";
/// A file in the home in which the child process leaves its memory growth in KiB.
const GROWN: &str = "grown";
const MIB: usize = 1 << 20;

#[test]
fn an_install_of_200_mib_takes_at_most_4_mib_blocking_and_8_mib_async() {
    // No platform packs more than 100 MiB, so a scripted server sends this archive.
    let packed = |plugin: PluginTree| plugin.archive(UnixTime::from_secs(1_795_383_587)).unwrap();
    let (small, large) = (packed(of_files("small", 1)), packed(of_files("large", 50)));
    let downloads = ScriptedPeer::start(move |connection| {
        while let Some(request) = connection.request() {
            let archive = if request.path().contains("small") { &small } else { &large };
            connection.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", archive.len()));
            connection.send(archive);
        }
    });
    for (facade, most) in [("blocking", 4.0), ("asynchronous", 8.0)] {
        let home = env::temp_dir().join(format!("molecule-e2e-{:016x}", seed()));
        let test = format!("plugin_memory::child_is_{facade}");
        let mut child = Command::new(env::current_exe().unwrap());
        child.args(["--exact", &test, "--ignored", "--nocapture", "--test-threads=1"]);
        let output = child.env(URL, downloads.url()).env(HOME, &home).output().unwrap();
        let grown = fs::read_to_string(home.join(GROWN));
        let _ = fs::remove_dir_all(&home);
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
        let grown = grown.unwrap().parse::<f64>().unwrap() / 1024.0;
        assert!(grown <= most, "{facade}: {grown:.1} MiB more than idle");
    }
}

#[test]
#[ignore = "started by an_install_of_200_mib_takes_at_most_4_mib_blocking_and_8_mib_async"]
fn child_is_blocking() {
    let agent =
        molecule_blocking::Agent::builder(env::var(URL).unwrap(), ID).token("token").storage(storage()).no_proxy();
    let agent = agent.build().unwrap();
    agent.install_plugin(plugin("small")).unwrap();
    let idle = begin();
    tell(idle, &agent.install_plugin(plugin("large")).unwrap());
}

#[test]
#[ignore = "started by an_install_of_200_mib_takes_at_most_4_mib_blocking_and_8_mib_async"]
fn child_is_asynchronous() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let agent = molecule_async::Agent::builder(env::var(URL).unwrap(), ID).token("token").storage(storage()).no_proxy();
    let agent = agent.build().unwrap();
    runtime.block_on(async {
        agent.install_plugin(plugin("small")).await.unwrap();
        let idle = begin();
        tell(idle, &agent.install_plugin(plugin("large")).await.unwrap());
    });
}

fn storage() -> Storage {
    Storage::Dir(home())
}

fn home() -> PathBuf {
    env::var_os(HOME).unwrap().into()
}

fn plugin(name: &str) -> Plugin {
    Plugin::new(name).setup(Setup::Skip)
}

/// Returns the resident memory in KiB, and resets the peak that the kernel records.
fn begin() -> u64 {
    fs::write("/proc/self/clear_refs", "5").unwrap();
    status("VmRSS:")
}

fn tell(idle: u64, installed: &Installed) {
    assert!(installed.bytes >= 200 * MIB as u64);
    let grown = status("VmHWM:").saturating_sub(idle);
    fs::write(home().join(GROWN), grown.to_string()).unwrap();
}

fn status(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Files of 4 MiB of text, which compress well below the limit of a download.
fn of_files(name: &str, files: u32) -> PluginTree {
    let manifest = format!("name: {name}\nversion: 1.0.0\ndescription: Files.\n");
    let tree = PluginTree::new(name).file("plugin.yaml", manifest);
    let lines = (0..64 * 1024)
        .map(|line: u64| format!("{line:x} the quick brown fox {:x}\n", line.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
    let mut text: String = lines.collect();
    text = text.repeat(4 * MIB / text.len() + 1);
    text.truncate(4 * MIB);
    (0..files).fold(tree, |tree, number| tree.file(&format!("text/{number}.md"), text.clone()))
}
