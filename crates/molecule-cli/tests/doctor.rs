//! `molecule doctor`: each set-up that is broken in one way has that named, with its remedy.

#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod common;

use std::os::unix::fs::PermissionsExt;

use common::{World, told};
use molecule_platform::Dialect;
use serde_json::Value;

/// The findings of the doctor, and its exit code.
fn doctor(world: &World, vars: &[(&str, Option<&str>)]) -> (i32, Vec<Value>) {
    let mut command = world.molecule(&["--json", "doctor"]);
    let proxies = ["HTTPS_PROXY", "https_proxy"].map(|proxy| (proxy, None));
    for (name, value) in proxies.iter().chain(vars) {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let (code, out, err) = told(command.output().unwrap());
    let Value::Array(findings) = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}{err}"))
    else {
        panic!("{out}")
    };
    (code, findings)
}

#[test]
fn a_healthy_agent_has_no_fault_and_no_warning() {
    for dialect in common::DIALECTS {
        let world = World::new(dialect, "healthy");
        world.run(&["register"]);
        let (code, findings) = doctor(&world, &[]);
        assert_eq!(code, 0, "{findings:?}");
        let is_wrong = |found: &&Value| found["level"] == "warning" || found["level"] == "fault";
        let wrong: Vec<_> = findings.iter().filter(is_wrong).collect();
        assert!(wrong.is_empty(), "{wrong:?}");
        for check in ["store", "permissions", "disk", "lock", "token", "dns", "connection", "status", "bearer"] {
            assert!(findings.iter().any(|found| found["check"] == check), "{check}: {findings:?}");
        }
    }
}

/// A set-up that is broken in one way.
struct Case {
    what: &'static str,
    /// What somebody did.
    act: fn(&World),
    /// The variables that are changed; without a value they are not set.
    vars: &'static [(&'static str, Option<&'static str>)],
    /// The check that finds it, with its level and a part of its sentence.
    found: (&'static str, &'static str, &'static str),
    exit: i32,
}

const fn by_vars(
    what: &'static str,
    vars: &'static [(&'static str, Option<&'static str>)],
    found: (&'static str, &'static str, &'static str),
    exit: i32,
) -> Case {
    Case { what, act: |_| {}, vars, found, exit }
}

const fn by_act(
    what: &'static str,
    act: fn(&World),
    found: (&'static str, &'static str, &'static str),
    exit: i32,
) -> Case {
    Case { what, act, vars: &[], found, exit }
}

const TOKEN: &str = "MOLECULE_WORKSPACE_TOKEN";
const STRANGER: &str = "7fda77bf-a467-441c-9fab-7d8aba8e6040";

const CASES: &[Case] = &[
    by_vars("no workspace", &[("WORKSPACE_ID", None)], ("settings", "fault", "set WORKSPACE_ID"), 2),
    by_vars("no platform", &[("PLATFORM_URL", None)], ("settings", "fault", "set PLATFORM_URL"), 2),
    by_vars("no id", &[("WORKSPACE_ID", Some("seven"))], ("settings", "fault", "workspace seven"), 2),
    by_vars("no token yet", &[(TOKEN, Some("ROTATE_TO_REVEAL_TOKEN"))], ("settings", "fault", "rotate the token"), 2),
    by_vars(
        "a token's file is missing",
        &[(TOKEN, None), ("MOLECULE_WORKSPACE_TOKEN_FILE", Some("/none"))],
        ("settings", "fault", "/none cannot be read"),
        2,
    ),
    by_vars("plain http", &[("PLATFORM_URL", Some("http://platform.example"))], ("settings", "fault", "https"), 2),
    by_vars("no such name", &[("PLATFORM_URL", Some("https://platform.invalid"))], ("dns", "fault", "no address"), 75),
    by_vars("nobody listens", &[("PLATFORM_URL", Some("http://127.0.0.1:1"))], ("connection", "fault", "reach"), 75),
    by_vars(
        "a proxy that does not listen",
        &[("PLATFORM_URL", Some("https://platform.example")), ("HTTPS_PROXY", Some("http://127.0.0.1:1"))],
        ("connection", "fault", "proxy"),
        75,
    ),
    by_vars("no token", &[(TOKEN, None)], ("token", "warning", "none is given"), 0),
    by_vars("a dead token", &[(TOKEN, Some("dead"))], ("bearer", "fault", "with a live token"), 3),
    by_vars("never created", &[("WORKSPACE_ID", Some(STRANGER))], ("status", "fault", "no such workspace"), 1),
    by_vars("nothing is kept", &[("MOLECULE_HOME", Some(":memory:"))], ("store", "warning", "first start"), 0),
    by_act(
        "it is paused",
        |world| {
            world.server.with(|platform, now| platform.pause(now, &world.id, false)).unwrap();
        },
        ("status", "fault", "resume it"),
        4,
    ),
    by_act(
        "it is removed",
        |world| {
            world.server.with(|platform, now| platform.delete(now, &world.id, false)).unwrap();
        },
        ("status", "fault", "was removed"),
        5,
    ),
    by_act(
        "it may not talk to its user",
        |world| assert!(world.server.with(|platform, _| platform.set_can_talk_to_user(&world.id, false))),
        ("user", "warning", "may not talk"),
        0,
    ),
    by_act("the home is a file", |world| std::fs::write(&world.home, "").unwrap(), ("store", "fault", "cli-broken"), 1),
];

#[test]
fn each_broken_set_up_is_named_with_its_remedy() {
    for Case { what, act, vars, found: (check, level, part), exit } in CASES {
        let world = World::new(Dialect::Current, "broken");
        act(&world);
        let (code, findings) = doctor(&world, vars);
        let found = findings.iter().find(|found| found["check"] == *check && found["level"] == *level);
        let found = found.unwrap_or_else(|| panic!("{what}: {findings:#?}"));
        let said = format!("{}; {}", found["message"].as_str().unwrap(), found["remedy"].as_str().unwrap_or_default());
        assert!(said.contains(part), "{what}: {said}");
        assert_eq!(code, *exit, "{what}: {findings:#?}");
        let _ = std::fs::remove_file(&world.home);
    }
}

#[test]
fn the_platform_is_asked_whether_it_reaches_an_agent_that_listens() {
    let world = World::new(Dialect::Current, "reach");
    let child = world.start(&["--echo", "--push", "127.0.0.1:0"]);
    let level =
        |findings: Vec<Value>| findings.into_iter().find(|found| found["check"] == "reach").unwrap()["level"].clone();
    assert_eq!(level(doctor(&world, &[]).1), "ok");
    // A killed agent tells the platform nothing.
    let mut child = child;
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(level(doctor(&world, &[]).1), "warning");
}

#[test]
fn an_agent_that_runs_holds_the_lock_and_a_directory_that_others_read_is_named() {
    let world = World::new(Dialect::Current, "held");
    let child = world.start(&["--echo"]);
    let (code, findings) = doctor(&world, &[]);
    assert_eq!(code, 0);
    let lock = findings.iter().find(|found| found["check"] == "lock").unwrap();
    assert_eq!(lock["level"], "note", "{lock}");
    world.paused(child);
    let directory = world.home.join(world.id.as_str());
    std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o500)).unwrap();
    let (_, findings) = doctor(&world, &[]);
    std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o700)).unwrap();
    assert!(findings.iter().any(|found| found["check"] == "store"), "{findings:?}");
}
