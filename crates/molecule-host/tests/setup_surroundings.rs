//! The surroundings of a `setup.sh`: its plugin, a few variables, and nothing that belongs to another program.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod plugin;
mod scene;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use molecule_core::plugin::{SetupEnd, SetupOutcome};
use molecule_host::Cancel;
use plugin::{path, plan, ran, set_up, set_up_with, with_script, write};
use scene::{Scene, assert_passes};

#[test]
fn it_runs_in_the_plugins_directory_with_bash_whatever_its_mode_and_first_line() {
    let scene = Scene::new();
    let path = with_script(&scene, "#!/no/such/interpreter\npwd -P; echo ${BASH_VERSION:+bash} $0 $#; ls");
    let run = ran(set_up(&scene), SetupEnd::Exited(0));
    let expected = format!("{}\nbash setup.sh 0\nsetup.sh\n", fs::canonicalize(path).unwrap().display());
    assert_eq!(run.stdout(), expected);
}

#[test]
fn its_input_is_empty() {
    let scene = Scene::new();
    with_script(&scene, "read -r line; echo \"status $? $line\"");
    assert_eq!(ran(set_up(&scene), SetupEnd::Exited(0)).stdout(), "status 1 \n");
}

#[test]
fn a_plugin_without_one_runs_nothing() {
    let scene = Scene::new();
    assert_eq!(set_up(&scene), SetupOutcome::NotRun);
    let path = path(&scene);
    fs::create_dir(&path).unwrap();
    assert_eq!(set_up(&scene), SetupOutcome::NotRun);
    write(&path.join("Setup.sh"), b"echo no", 0o755);
    if !path.join("setup.sh").exists() {
        assert_eq!(set_up(&scene), SetupOutcome::NotRun);
    }
}

#[test]
fn only_a_regular_file_is_run() {
    let scene = Scene::new();
    let path = path(&scene);
    fs::create_dir(&path).unwrap();
    let outside = scene.home.join("outside.sh");
    write(&outside, b"echo outside", 0o755);
    symlink(&outside, path.join("setup.sh")).unwrap();
    assert_eq!(set_up(&scene), SetupOutcome::NotRun);
    fs::remove_file(path.join("setup.sh")).unwrap();
    fs::create_dir(path.join("setup.sh")).unwrap();
    assert_eq!(set_up(&scene), SetupOutcome::NotRun);
}

/// The test runs in a process with an environment of its own.
#[test]
fn neither_the_token_nor_the_callers_environment_is_visible() {
    let scene = Scene::new();
    with_script(&scene, "env -0");
    let mut child = scene.rerun("", &[], "child_prints_the_environment");
    let ambush = scene.home.join("ambush");
    write(&ambush, format!("touch {}/ambushed", scene.home.display()).as_bytes(), 0o755);
    for name in
        ["MOLECULE_WORKSPACE_TOKEN", "AWS_SECRET_ACCESS_KEY", "OPENAI_API_KEY", "NVM_DIR", "ADDED", "PYTHONSTARTUP"]
    {
        child.env(name, "s3cret");
    }
    child.env("BASH_ENV", &ambush).env("ENV", &ambush).env("LC_ALL", "C").env("HTTPS_PROXY", "http://proxy.example:1");
    assert_passes(child);
    assert!(!scene.home.join("ambushed").exists(), "BASH_ENV was run");
}

#[test]
#[ignore = "started by neither_the_token_nor_the_callers_environment_is_visible"]
fn child_prints_the_environment() {
    let scene = Scene::inherited();
    let mut plan = plan(Duration::from_secs(60));
    plan.env = ["ADDED", "BASH_ENV", "ENV", "MOLECULE_WORKSPACE_TOKEN"].map(str::to_owned).to_vec();
    let run = ran(set_up_with(&scene, plan, &Cancel::new()), SetupEnd::Exited(0));
    // The NULs between the variables are printed escaped, like all control characters.
    let printed = run.stdout();
    let seen: BTreeMap<&str, &str> = printed.split("\\u{0}").filter_map(|line| line.split_once('=')).collect();
    let plugin = path(&scene);
    assert_eq!(seen["MOLECULE_PLUGIN_NAME"], plugin::name().as_str());
    assert_eq!(seen["MOLECULE_PLUGIN_DIR"], plugin.to_str().unwrap());
    assert_eq!((seen["TERM"], seen["LC_ALL"], seen["ADDED"]), ("dumb", "C", "s3cret"));
    assert_eq!(seen["HTTPS_PROXY"], "http://proxy.example:1");
    assert_eq!(seen["PATH"], std::env::var("PATH").unwrap());
    for (name, value) in &seen {
        assert!(*name == "ADDED" || !value.contains("s3cret"), "{name}");
    }
    for absent in ["MOLECULE_WORKSPACE_TOKEN", "BASH_ENV", "ENV", "PYTHONSTARTUP", "MOLECULE_HOST_TEST_HOME"] {
        assert!(!seen.contains_key(absent), "{absent}");
    }
}

/// The process was started with an open descriptor that its children inherit.
#[test]
#[cfg(target_os = "linux")]
fn no_descriptor_above_the_standard_ones_is_open() {
    let scene = Scene::new();
    with_script(
        &scene,
        "sh -c 'for n in 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 20 255; do [ -e /proc/self/fd/$n ] && echo $n; done'",
    );
    assert_passes(scene.rerun(
        "bash",
        &["-c", "exec 7</dev/null 13</dev/null; exec \"$@\"", "bash"],
        "child_has_descriptors",
    ));
}

#[test]
#[cfg(target_os = "linux")]
#[ignore = "started by no_descriptor_above_the_standard_ones_is_open"]
fn child_has_descriptors() {
    assert!(std::path::Path::new("/proc/self/fd/7").exists() && std::path::Path::new("/proc/self/fd/13").exists());
    let run = match set_up(&Scene::inherited()) {
        SetupOutcome::Ran(run) => run,
        other => panic!("{other:?}"),
    };
    assert_eq!((run.stdout().as_str(), run.stderr().as_str()), ("0\n1\n2\n", ""));
}

/// The process has no `bash` in its `PATH`.
#[test]
fn without_bash_nothing_is_run_and_that_is_told() {
    let scene = Scene::new();
    with_script(&scene, "echo ran");
    let mut child = scene.rerun("", &[], "child_has_no_bash");
    child.env("PATH", scene.home.join("nothing-here"));
    assert_passes(child);
}

#[test]
#[ignore = "started by without_bash_nothing_is_run_and_that_is_told"]
fn child_has_no_bash() {
    assert_eq!(set_up(&Scene::inherited()), SetupOutcome::NoBash);
}
