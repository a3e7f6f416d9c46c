//! Each class of exit code, by its causes.

#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod common;

use common::{DIALECTS, World, bare, told};
use molecule_platform::Dialect;

fn code(world: &World, args: &[&str], variables: &[(&str, Option<&str>)]) -> i32 {
    let mut command = world.molecule(args);
    for (name, value) in variables {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let (code, out, err) = told(command.output().unwrap());
    assert!(code == 0 || !err.is_empty() || !out.is_empty(), "{args:?}: {code} and not a word");
    code
}

const NOBODY: &str = "00000000-0000-4000-8000-000000000000";

#[test]
fn done_is_0() {
    let world = World::new(Dialect::Current, "code-0");
    for args in [
        &["register"][..],
        &["status"],
        &["peers"],
        &["inbox", "list"],
        &["plugins", "list"],
        &["--help"],
        &["--version"],
    ] {
        assert_eq!(code(&world, args, &[]), 0, "{args:?}");
    }
}

#[test]
fn a_failure_that_another_try_does_not_mend_is_1() {
    let world = World::new(Dialect::Current, "code-1");
    world.run(&["register"]);
    for args in [
        &["call", NOBODY, "hello"][..],
        &["inbox", "retry", NOBODY],
        &["inbox", "show", NOBODY],
        &["plugins", "uninstall", "none"],
        &["plugins", "install", "none"],
        &["secrets", "exec", "--", "no-such-program"],
        &["run", "--", "no-such-program"],
    ] {
        assert_eq!(code(&world, args, &[]), 1, "{args:?}");
    }
    assert_eq!(code(&world, &["register"], &[("WORKSPACE_ID", Some(NOBODY)), ("MOLECULE_WORKSPACE_TOKEN", None)]), 1);
}

#[test]
fn what_makes_no_sense_is_2() {
    let world = World::new(Dialect::Current, "code-2");
    for args in [
        &["no-such-command"][..],
        &["run"],
        &["run", "--jobs", "0", "--echo"],
        &["run", "--forward", "http://example.com/"],
        &["send"],
        &["inbox", "retry", "seven"],
        &["--token-file", "/no/such/file", "status"],
        &["--env-file", "/no/such/file", "status"],
        &["--config", "/no/such/file", "status"],
        &["--card", "/no/such/file", "register"],
        &["plugins", "check", "/no/such/directory/plugin.yaml/x"],
    ] {
        let expected = if args[0] == "plugins" { 1 } else { 2 };
        assert_eq!(code(&world, args, &[]), expected, "{args:?}");
    }
    for (name, value) in [
        ("WORKSPACE_ID", None),
        ("WORKSPACE_ID", Some("seven")),
        ("PLATFORM_URL", None),
        ("PLATFORM_URL", Some("http://example.com")),
        ("MOLECULE_WORKSPACE_TOKEN", Some("<ROTATE_TO_REVEAL_TOKEN>")),
        ("MOLECULE_WORKSPACE_TOKEN", Some("two words")),
        ("MOLECULE_CA_FILE", Some("/no/such/file")),
    ] {
        assert_eq!(code(&world, &["status"], &[(name, value)]), 2, "{name} {value:?}");
    }
    assert_eq!(told(bare(&[]).output().unwrap()).0, 2);
}

#[test]
fn a_missing_or_a_refused_token_is_3() {
    for dialect in DIALECTS {
        let world = World::new(dialect, "code-3");
        for token in [None, Some("dead")] {
            let variables = [("MOLECULE_WORKSPACE_TOKEN", token)];
            for args in [&["register"][..], &["secrets", "list"], &["status"]] {
                let is_open = dialect == Dialect::April && args[0] == "register" && token.is_none();
                if !is_open {
                    assert_eq!(code(&world, args, &variables), 3, "{dialect:?} {args:?} {token:?}");
                }
            }
        }
    }
}

#[test]
fn a_paused_workspace_is_4_and_a_deleted_one_5() {
    for dialect in DIALECTS {
        let world = World::new(dialect, "code-4");
        world.run(&["register"]);
        world.server.with(|platform, now| platform.pause(now, &world.id, false)).unwrap();
        for args in [&["register"][..], &["status"], &["run", "--echo"], &["run", "--with-secrets", "--", "cat"]] {
            assert_eq!(code(&world, args, &[]), 4, "{dialect:?} {args:?}");
        }
        world.server.with(|platform, now| platform.delete(now, &world.id, false)).unwrap();
        for args in [&["register"][..], &["status"], &["run", "--echo"]] {
            assert_eq!(code(&world, args, &[]), 5, "{dialect:?} {args:?}");
        }
    }
}

#[test]
fn what_another_try_may_mend_is_75() {
    let world = World::new(Dialect::Current, "code-75");
    world.run(&["register"]);
    let away = [("PLATFORM_URL", Some("http://127.0.0.1:1"))];
    for args in [
        &["peers"][..],
        &["secrets", "list"],
        &["register"],
        &["plugins", "available"],
        &["doctor"],
        &["inbox", "list"],
    ] {
        assert_eq!(code(&world, args, &away), 75, "{args:?}");
    }
}
