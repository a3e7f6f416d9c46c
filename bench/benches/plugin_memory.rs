//! Measures the memory of an agent while it installs a plugin of 200 MiB, each facade in a process of its own.
//!
//! ```console
//! $ cargo bench -p molecule-bench --bench plugin_memory
//! ```
//!
//! The server is in this process, since a platform packs no more than 100 MiB; the agent is in a child process. The
//! child's memory after its first request is its idle memory; the peak during the install comes from the same process.
//! Nothing here passes or fails.

#![allow(clippy::print_stdout)]

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use molecule_bench::child::Role;
use molecule_bench::meter::{peak_kib, resident_kib};
use molecule_bench::{ID, Outcome, TOKEN};
use molecule_conformance::ScriptedPeer;
use molecule_core::plugin::{Durability, Installed, Plugin, Setup};
use molecule_core::proto::UnixTime;
use molecule_host::Storage;
use molecule_platform::PluginTree;

const MIB: usize = 1 << 20;

fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["agent", facade, url, home] => agent(facade, url, Path::new(home)),
        _ => figures(),
    }
}

fn figures() -> Outcome {
    let archive = large().archive(UnixTime::from_secs(1_795_383_587))?;
    println!("An archive of {:.1} MiB.\n", archive.len() as f64 / MIB as f64);
    let server = ScriptedPeer::start(move |connection| {
        while let Some(request) = connection.request() {
            let body: &[u8] = if request.path().contains("/download") { &archive } else { b"{}" };
            connection.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()));
            connection.send(body);
        }
    });
    println!("| what | idle | most | more | goal |\n|---|---|---|---|---|");
    for (facade, goal) in [("blocking", 4), ("async", 8)] {
        let home = std::env::temp_dir().join(format!("molecule-bench-{}-{facade}", std::process::id()));
        let home = home.to_str().ok_or("a temporary directory that is text")?;
        let mut role = Role::start(&["agent", facade, &server.url(), home])?;
        let figures = role.line();
        let _ = fs::remove_dir_all(home);
        let figures = figures?;
        let (idle, most) = figures.split_once(' ').ok_or("no two numbers")?;
        let (idle, most) = (mib(idle.parse()?), mib(most.parse()?));
        println!(
            "| {facade}: install of 200 MiB | {idle:.1} MiB | {most:.1} MiB | +{:.1} MiB | at most {goal} MiB more |",
            most - idle
        );
    }
    Ok(())
}

/// A plugin of 50 text files of 4 MiB each. Its archive is much smaller than the most that a platform sends.
fn large() -> PluginTree {
    let tree = PluginTree::new("large").file("plugin.yaml", "name: large\nversion: 1.0.0\ndescription: Large.\n");
    (0..50).fold(tree, |tree, number| {
        let mut text = String::with_capacity(4 * MIB + 64);
        let mut line = 0u64;
        while text.len() < 4 * MIB {
            line += 1;
            text.push_str(&format!(
                "{number} {line:x} the quick brown fox {:x}\n",
                line.wrapping_mul(0x9e37_79b9_7f4a_7c15)
            ));
        }
        text.truncate(4 * MIB);
        tree.file(&format!("text/{number}.md"), text)
    })
}

/// Installs the plugin, and prints the resident memory before the install and the peak during it, in KiB.
fn agent(facade: &str, url: &str, home: &Path) -> Outcome {
    let storage = Storage::Dir(home.to_owned());
    let plugin = || Plugin::new("large").setup(Setup::Skip).durability(Durability::None);
    let (idle, installed) = if facade == "blocking" {
        let agent = molecule_blocking::Agent::builder(url, ID).token(TOKEN).storage(storage).no_proxy().build()?;
        agent.pull_secrets()?;
        (begin()?, agent.install_plugin(plugin())?)
    } else {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let agent = molecule_async::Agent::builder(url, ID).token(TOKEN).storage(storage).no_proxy().build()?;
        runtime.block_on(async {
            agent.pull_secrets().await?;
            Outcome::Ok((begin()?, agent.install_plugin(plugin()).await?))
        })?
    };
    whole(&installed)?;
    writeln!(io::stdout(), "{idle} {}", peak_kib()?)?;
    Ok(())
}

/// Resets the process's peak of resident memory, and returns the idle memory in KiB.
fn begin() -> Outcome<u64> {
    fs::write("/proc/self/clear_refs", "5")?;
    Ok(resident_kib()? as u64)
}

fn whole(installed: &Installed) -> Outcome {
    if installed.bytes < 200 * MIB as u64 { Err("the plugin is not whole".into()) } else { Ok(()) }
}

fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}
