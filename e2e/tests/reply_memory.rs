//! A reply of 16 MiB needs at most four times its length in memory, whatever its content; each facade runs in a process
//! of its own.
#![cfg(target_os = "linux")]

use std::env;
use std::fs;
use std::process::Command;
use std::time::Duration;

use molecule_e2e::core::{CallOutcome, PeerCall, Route};
use molecule_e2e::host::{Storage, seed};
use molecule_e2e::{Manner, PeerServer};

const URL: &str = "MOLECULE_E2E_URL";
/// The variable with the path of the file in which the child process leaves its outcome, and its memory growth in KiB.
const TOLD: &str = "MOLECULE_E2E_TOLD";
const ID: &str = "7fda77bf-a467-441c-9fab-7d8aba8e6040";
const OTHER: &str = "414bc5a3-02a7-47dc-b86f-71e2e5767123";
const LENGTH: usize = 16 * 1024 * 1024;

/// A reply of exactly 16 MiB: this many empty parts, and a text for the rest.
fn reply(parts: usize) -> String {
    let parts = r#"{"text":""},"#.repeat(parts);
    let (begin, end) = (format!(r#"{{"result":{{"parts":[{parts}{{"text":"\""#), r#""}]}}"#);
    let rest = LENGTH - begin.len() - end.len();
    [begin, "x".repeat(rest), end.to_owned()].concat()
}

#[test]
fn a_reply_of_16_mib_takes_at_most_four_times_its_length() {
    let most = (LENGTH - 100) / r#"{"text":""},"#.len();
    for (name, parts, expected) in [("a text", 0, "replied"), ("both", 8_000, "replied"), ("parts", most, "lost")] {
        let peer = PeerServer::new(Manner::Answer(200, "Content-Type: application/json\r\n", reply(parts).leak()));
        for facade in ["blocking", "asynchronous"] {
            let told = env::temp_dir().join(format!("molecule-e2e-{:016x}", seed()));
            let test = format!("reply_memory::child_is_{facade}");
            let mut child = Command::new(env::current_exe().unwrap());
            child.args(["--exact", &test, "--ignored", "--nocapture", "--test-threads=1"]);
            let output = child.env(URL, peer.url()).env(TOLD, &told).output().unwrap();
            let read = fs::read_to_string(&told);
            let _ = fs::remove_file(&told);
            let said = [output.stdout, output.stderr].concat();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
            let read = read.unwrap();
            let (outcome, grown) = read.split_once(' ').unwrap();
            let grown = grown.parse::<usize>().unwrap() * 1024;
            assert_eq!(outcome, expected, "{facade}, {name}");
            assert!(grown <= 4 * LENGTH, "{facade}, {name}: {} MiB more than idle", grown >> 20);
        }
    }
}

fn call() -> PeerCall {
    PeerCall::new("hello").route(Route::Proxy).timeout(Duration::from_secs(120))
}

#[test]
#[ignore = "started by a_reply_of_16_mib_takes_at_most_four_times_its_length"]
fn child_is_blocking() {
    let agent = molecule_blocking::Agent::builder(env::var(URL).unwrap(), ID).token("token");
    let agent = agent.storage(Storage::Memory).no_proxy().build().unwrap();
    let idle = begin();
    tell(idle, agent.call_peer(OTHER, call()).unwrap());
}

#[test]
#[ignore = "started by a_reply_of_16_mib_takes_at_most_four_times_its_length"]
fn child_is_asynchronous() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let agent = molecule_async::Agent::builder(env::var(URL).unwrap(), ID).token("token");
    let agent = agent.storage(Storage::Memory).no_proxy().build().unwrap();
    let idle = begin();
    runtime.block_on(async { tell(idle, agent.call_peer(OTHER, call()).await.unwrap()) });
}

/// Returns the resident memory in KiB, and resets the peak that the kernel records.
fn begin() -> u64 {
    fs::write("/proc/self/clear_refs", "5").unwrap();
    status("VmRSS:")
}

fn tell(idle: u64, outcome: CallOutcome) {
    let grown = status("VmHWM:").saturating_sub(idle);
    let told = match outcome {
        CallOutcome::Replied(_) => "replied",
        CallOutcome::DeliveredReplyLost => "lost",
        other => panic!("{other:?}"),
    };
    fs::write(env::var_os(TOLD).unwrap(), format!("{told} {grown}")).unwrap();
}

fn status(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
