//! The end of a `setup.sh`: by itself, after its timeout, or by a cancel; its process group ends with it.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod plugin;
mod scene;

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use molecule_core::plugin::SetupEnd;
use molecule_host::Cancel;
use plugin::{lock, plan, ran, set_up, set_up_with, with_script};
use scene::Scene;

/// A timeout far above the duration of any step, and far below the duration of the scripts.
const LONG: Duration = Duration::from_secs(20);

#[test]
fn a_background_child_is_not_waited_for_and_ends_with_the_script() {
    let scene = Scene::new();
    let path = with_script(&scene, "sleep 300 & echo $! > child; echo done");
    let start = Instant::now();
    let run = ran(set_up(&scene), SetupEnd::Exited(0));
    assert!(start.elapsed() < LONG);
    assert_eq!(run.stdout(), "done\n");
    assert_is_dead(&path.join("child"));
}

#[test]
fn a_child_that_left_the_group_lives_and_is_not_waited_for() {
    let scene = Scene::new();
    let path = with_script(
        &scene,
        "setsid sh -c 'echo $$ > daemon; exec sleep 300' & until [ -s daemon ]; do sleep 0.01; done; echo done",
    );
    let held = lock(&scene.plugins()).unwrap();
    let start = Instant::now();
    let run = ran(set_up(&scene), SetupEnd::Exited(0));
    assert!(start.elapsed() < LONG);
    assert_eq!(run.stdout(), "done\n");
    let daemon = read_pid(&path.join("daemon"));
    assert!(is_alive(daemon));
    // The script's processes have not inherited the lock.
    drop(held);
    drop(lock(&scene.plugins()).unwrap());
    end(daemon);
}

#[test]
fn a_script_that_hangs_is_ended_when_its_time_is_over() {
    let scene = Scene::new();
    let path = with_script(&scene, "echo $$ > leader; echo waiting; sleep 300");
    let start = Instant::now();
    let run = ran(set_up_with(&scene, plan(Duration::from_secs(1)), &Cancel::new()), SetupEnd::TimedOut);
    assert!(start.elapsed() < LONG);
    assert_eq!(run.stdout(), "waiting\n");
    assert_is_dead(&path.join("leader"));
}

#[test]
fn a_script_may_clean_up_when_its_time_is_over() {
    let scene = Scene::new();
    with_script(&scene, "trap 'echo cleaned up; exit 3' TERM; echo waiting; while :; do sleep 0.01; done");
    let run = ran(set_up_with(&scene, plan(Duration::from_secs(2)), &Cancel::new()), SetupEnd::TimedOut);
    assert_eq!(run.stdout(), "waiting\ncleaned up\n");
}

#[test]
fn a_fork_that_ignores_the_question_is_killed() {
    let scene = Scene::new();
    let path = with_script(
        &scene,
        "(trap '' TERM; echo $BASHPID > child; while :; do sleep 0.05; done) & trap '' TERM; echo $$ > leader; while :; do wait; done",
    );
    let start = Instant::now();
    ran(set_up_with(&scene, plan(Duration::from_secs(1)), &Cancel::new()), SetupEnd::TimedOut);
    assert!(start.elapsed() < LONG);
    assert_is_dead(&path.join("leader"));
    assert_is_dead(&path.join("child"));
}

#[test]
fn a_cancelled_script_is_killed_with_its_group() {
    let scene = Scene::new();
    let path = with_script(&scene, "trap '' TERM; sleep 300 & echo $! > child; echo $$ > leader; wait");
    let cancel = Cancel::new();
    let raise = thread::spawn({
        let (cancel, leader) = (cancel.clone(), path.join("leader"));
        move || {
            read_pid(&leader);
            cancel.cancel();
            Instant::now()
        }
    });
    let run = ran(set_up_with(&scene, plan(Duration::from_secs(120)), &cancel), SetupEnd::Cancelled);
    assert!(raise.join().unwrap().elapsed() < Duration::from_secs(3));
    assert_eq!(run.stdout(), "");
    assert_is_dead(&path.join("leader"));
    assert_is_dead(&path.join("child"));
}

#[test]
fn a_script_that_is_cancelled_before_it_starts_does_not() {
    let scene = Scene::new();
    let path = with_script(&scene, "touch ran");
    let cancel = Cancel::new();
    cancel.cancel();
    ran(set_up_with(&scene, plan(LONG), &cancel), SetupEnd::Cancelled);
    assert!(!path.join("ran").exists());
}

#[test]
fn no_process_of_ours_stays_as_a_zombie() {
    let scene = Scene::new();
    let path = with_script(&scene, "echo $$ > leader");
    ran(set_up(&scene), SetupEnd::Exited(0));
    let leader = read_pid(&path.join("leader"));
    assert!(!Path::new(&format!("/proc/{leader}")).exists());
}

/// The process id that the script writes to the file; waits for it.
fn read_pid(file: &Path) -> u32 {
    let until = Instant::now() + LONG;
    loop {
        if let Some(pid) = fs::read_to_string(file).ok().and_then(|text| text.strip_suffix('\n')?.parse().ok()) {
            return pid;
        }
        assert!(Instant::now() < until, "{} is not written", file.display());
        thread::sleep(Duration::from_millis(5));
    }
}

/// Asserts that a killed process dies; it takes a moment.
fn assert_is_dead(file: &Path) {
    let pid = read_pid(file);
    let until = Instant::now() + LONG;
    while is_alive(pid) {
        assert!(Instant::now() < until, "{pid} is alive");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Returns whether a process runs; a dead one that is not reaped does not.
fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit(") ").next().and_then(|rest| rest.chars().next());
    state.is_some_and(|state| !matches!(state, 'Z' | 'X'))
}

fn end(pid: u32) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}
