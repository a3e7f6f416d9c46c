//! The output of a `setup.sh`: its last bytes are stored, whatever it contains and however long it is.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod plugin;
mod scene;

use molecule_core::plugin::SetupEnd;
use plugin::{ran, set_up, set_up_with, with_script};
use scene::Scene;
#[cfg(target_os = "linux")]
use scene::assert_passes;

#[test]
fn both_outputs_are_kept_apart() {
    let scene = Scene::new();
    with_script(&scene, "echo one; echo two >&2; echo three");
    let run = ran(set_up(&scene), SetupEnd::Exited(0));
    assert_eq!((run.stdout().as_str(), run.stderr().as_str()), ("one\nthree\n", "two\n"));
}

#[test]
fn an_exit_status_is_told_with_what_was_said() {
    let scene = Scene::new();
    with_script(&scene, "echo no such compiler >&2; exit 1");
    let run = ran(set_up(&scene), SetupEnd::Exited(1));
    assert_eq!(run.stderr(), "no such compiler\n");
}

#[test]
fn a_signal_that_was_not_ours_is_told() {
    let scene = Scene::new();
    with_script(&scene, "kill -9 $$");
    ran(set_up(&scene), SetupEnd::Killed(9));
}

#[test]
fn bytes_that_are_no_text_are_shown_as_well_as_they_can_be() {
    let scene = Scene::new();
    with_script(&scene, r"printf 'a\377b\033[31mc\n'");
    let run = ran(set_up(&scene), SetupEnd::Exited(0));
    assert_eq!(run.stdout(), "a\u{fffd}b\\u{1b}[31mc\n");
}

#[test]
fn only_so_many_bytes_of_the_end_are_kept() {
    let scene = Scene::new();
    with_script(&scene, "for n in {1..5000}; do echo line $n; done");
    let mut plan = plugin::plan(std::time::Duration::from_secs(60));
    plan.output_bytes = 20;
    let run = ran(set_up_with(&scene, plan, &molecule_host::Cancel::new()), SetupEnd::Exited(0));
    assert_eq!(run.stdout(), "line 4999\nline 5000\n");
}

/// The test runs in a separate process, whose memory is measured.
#[test]
#[cfg(target_os = "linux")]
fn six_hundred_megabytes_cost_no_memory() {
    let scene = Scene::new();
    with_script(&scene, "head -c 600000000 /dev/zero | tr '\\0' x; head -c 600000000 /dev/zero >&2; echo; echo done");
    assert_passes(scene.rerun("", &[], "child_reads_six_hundred_megabytes"));
}

#[test]
#[cfg(target_os = "linux")]
#[ignore = "started by six_hundred_megabytes_cost_no_memory"]
fn child_reads_six_hundred_megabytes() {
    let peak = || -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    };
    let before = peak();
    let run = ran(set_up(&Scene::inherited()), SetupEnd::Exited(0));
    assert_eq!(run.stdout().len(), 64 * 1024);
    assert!(run.stdout().ends_with("xxx\ndone\n"));
    let grown = peak() - before;
    assert!(grown < 4 * 1024, "the peak grew by {grown} KiB");
}
