//! A `setup.sh` below different parent programs: the signals that it inherits, the knowledge of its end, and processes
//! that cannot start.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod plugin;
mod scene;

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use std::{fs, thread};

use molecule_core::effect::LockId;
use molecule_core::effect::plugin::PluginOp;
use molecule_core::plugin::SetupEnd;
use molecule_host::Cancel;
use plugin::{as_user, name, plan, ran, set_up, set_up_with, with_script};
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, Signal, WaitOptions, getrlimit, setrlimit, wait};
use scene::{Scene, assert_passes};

/// Runs an ignored test of this file in a process that ignores these signals from its start, if there is an `env` with
/// that option.
#[allow(clippy::print_stdout)]
fn ignoring(signals: &[&str], test: &str) {
    let ignore: Vec<String> = signals.iter().map(|signal| format!("--ignore-signal={signal}")).collect();
    let ignore: Vec<&str> = ignore.iter().map(String::as_str).collect();
    if !Command::new("env").args(&ignore).arg("true").output().is_ok_and(|output| output.status.success()) {
        println!("skipped: the `env` of this machine cannot ignore signals");
        return;
    }
    let scene = Scene::new();
    assert_passes(scene.rerun("env", &ignore, test));
}

#[test]
fn an_end_that_nobody_kept_is_told_as_unknown() {
    ignoring(&["CHLD"], "child_whose_children_are_not_kept");
}

#[test]
#[ignore = "started by an_end_that_nobody_kept_is_told_as_unknown"]
fn child_whose_children_are_not_kept() {
    let scene = Scene::inherited();
    let path = with_script(&scene, &format!("mkfifo gate; {LISTENER} & echo said; exit 3"));
    let run = ran(set_up(&scene), SetupEnd::Unknown);
    assert_eq!(run.stdout(), "said\n");
    assert_listens(&path);
    // A script that exceeds its timeout is ended all the same, through its own pidfd.
    fs::write(path.join("setup.sh"), format!("{LISTENER} & echo $$ > leader; exec sleep 300")).unwrap();
    let start = Instant::now();
    ran(set_up_with(&scene, plan(Duration::from_secs(3)), &Cancel::new()), SetupEnd::TimedOut);
    assert!(start.elapsed() < Duration::from_secs(60));
    let leader = fs::read_to_string(path.join("leader")).unwrap();
    let leader = format!("/proc/{}", leader.trim());
    eventually("the leader is alive", || (!Path::new(&leader).exists()).then_some(()));
    assert_listens(&path);
}

/// A child that outlives its script, and copies a word from `gate` to `heard` to show that it runs.
const LISTENER: &str = "rm -f heard; (read -r word < gate; echo \"$word\" > heard) >/dev/null 2>&1";

/// Asserts that the child that the script left still runs: its process group could not be signalled safely.
fn assert_listens(plugin: &Path) {
    let mut gate = eventually("nobody listens", || {
        let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
        fs::File::options().write(true).custom_flags(nonblocking).open(plugin.join("gate")).ok()
    });
    gate.write_all(b"word\n").unwrap();
    eventually("nobody heard it", || fs::read(plugin.join("heard")).ok().filter(|heard| heard == b"word\n"));
}

/// Waits up to 20 s for a value.
fn eventually<T>(otherwise: &str, look: impl Fn() -> Option<T>) -> T {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(it) = look() {
            return it;
        }
        assert!(Instant::now() < until, "{otherwise}");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_script_starts_with_every_signal_at_its_default() {
    ignoring(&["HUP", "INT", "TERM", "CHLD"], "child_that_ignores_signals");
}

#[test]
#[ignore = "started by a_script_starts_with_every_signal_at_its_default"]
fn child_that_ignores_signals() {
    let scene = Scene::inherited();
    let path = with_script(&scene, "cat /proc/self/status > status");
    ran(set_up(&scene), SetupEnd::Unknown);
    let mask = |status: &str, name: &str| {
        let mask = status.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned();
        u64::from_str_radix(mask.trim(), 16).unwrap()
    };
    let ours = fs::read_to_string("/proc/self/status").unwrap();
    let theirs = fs::read_to_string(path.join("status")).unwrap();
    let signals = [Signal::HUP, Signal::INT, Signal::TERM, Signal::CHILD];
    let ignored = signals.iter().fold(0, |mask, signal| mask | 1_u64 << (signal.as_raw() - 1));
    assert_eq!(mask(&ours, "SigIgn:") & ignored, ignored, "the test ignores nothing itself");
    assert_eq!((mask(&theirs, "SigIgn:") & ignored, mask(&theirs, "SigBlk:")), (0, 0), "{theirs}");
}

#[test]
fn a_script_that_cannot_be_started_or_watched_says_why() {
    as_user("child_without_processes", |_| {});
}

#[test]
#[ignore = "started by a_script_that_cannot_be_started_or_watched_says_why"]
fn child_without_processes() {
    let scene = Scene::inherited();
    let path = with_script(&scene, "touch ran; exec sleep 300");
    set_up_among(&scene, 0);
    assert!(!path.join("ran").exists());
    // The script gets the last process that this user may start, so that the threads for its outputs cannot start.
    set_up_among(&scene, fs::read_dir("/proc/self/task").unwrap().count() as u64 + 1);
    eventually("the script runs on", || match wait(WaitOptions::NOHANG) {
        Ok(None) => None,
        Ok(Some((_, status))) => {
            // A script without readers for its outputs would end by itself at its next write.
            assert_eq!(status.terminating_signal(), Some(Signal::KILL.as_raw()), "nobody ended it");
            None
        }
        Err(error) => (error == Errno::CHILD).then_some(()),
    });
}

/// Fails to run the script, because this user may have only this number of processes and threads.
fn set_up_among(scene: &Scene, most: u64) {
    let limit = getrlimit(Resource::Nproc);
    setrlimit(Resource::Nproc, Rlimit { current: Some(most), ..limit }).unwrap();
    let performed =
        scene.plugins().perform(PluginOp::Setup(name(), plan(Duration::from_secs(60))), &Cancel::new(), |_| LockId(0));
    setrlimit(Resource::Nproc, limit).unwrap();
    let error = performed.unwrap_err();
    assert!(error.to_string().contains("setup.sh cannot be run") && error.to_string().contains("ulimit -u"), "{error}");
}
