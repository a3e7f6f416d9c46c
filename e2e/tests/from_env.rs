//! Agents that are configured by environment variables. Each is built in a process of its own with the test's
//! variables.

use std::env;
use std::fs;
use std::process::Command;

use molecule_conformance::{Certificate, trusted};
use molecule_e2e::core::proto::WorkspaceStatus;
use molecule_e2e::core::{Error, ErrorKind};
use molecule_e2e::{Home, Manner, PeerServer, scenario};
use tokio::runtime::Builder;

/// Runs one of the tests below in a process with these variables and no others that an agent reads.
fn child(name: &str, variables: &[(&str, &str)]) {
    let mut child = Command::new(env::current_exe().unwrap());
    child.args(["--exact", &format!("from_env::{name}"), "--ignored", "--nocapture"]);
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy().to_uppercase();
        if text.starts_with("MOLECULE_") || text.ends_with("_PROXY") {
            child.env_remove(name);
        }
    }
    let end = child.envs(variables.iter().copied()).output().unwrap();
    let said = String::from_utf8_lossy(&end.stdout);
    assert!(end.status.success() && said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&end.stderr));
}

/// The result of the same call on both facades.
fn both<T>(
    blocking: impl FnOnce() -> Result<T, Error>,
    asynchronous: impl Future<Output = Result<T, Error>>,
) -> [Result<T, Error>; 2] {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    [blocking(), runtime.block_on(asynchronous)]
}

scenario!(memory_alone_keeps_nothing_on_the_disk, [Current], |stage| {
    let world = stage.world();
    let (id, token) = world.workspace();
    let home = Home::new();
    let user = home.path().to_str().unwrap();
    let variables = [
        ("MOLECULE_PLATFORM_URL", world.url()),
        ("MOLECULE_WORKSPACE_ID", id.to_string()),
        ("MOLECULE_WORKSPACE_TOKEN", token.expose().to_owned()),
        ("MOLECULE_HOME", ":memory:".to_owned()),
        ("HOME", user.to_owned()),
    ];
    child("child_registers", &variables.each_ref().map(|(name, value)| (*name, value.as_str())));
    assert_eq!(home.path().read_dir().unwrap().count(), 0);
    assert!(!env::current_dir().unwrap().join(":memory:").exists());
});

#[test]
#[ignore = "started by memory_alone_keeps_nothing_on_the_disk"]
fn child_registers() {
    let ends = both(|| molecule_blocking::Agent::from_env()?.register(), async {
        molecule_async::Agent::from_env()?.register().await
    });
    for end in ends {
        end.unwrap();
    }
}

const ID: &str = "7fda77bf-a467-441c-9fab-7d8aba8e6040";

const STATE: &str =
    r#"{"workspace_id":"7fda77bf-a467-441c-9fab-7d8aba8e6040","status":"online","paused":false,"deleted":false}"#;

#[test]
fn the_authorities_of_a_file_are_trusted_and_a_file_that_is_none_is_named() {
    let platform =
        PeerServer::secure(Manner::Answer(200, "content-type: application/json\r\n", STATE), Certificate::Good);
    let home = Home::new();
    let (url, file) = (platform.url(), home.path().join("authorities.pem"));
    fs::write(&file, trusted()).unwrap();
    let file = file.to_str().unwrap();
    let agent = [
        ("MOLECULE_PLATFORM_URL", url.as_str()),
        ("MOLECULE_WORKSPACE_ID", ID),
        ("MOLECULE_WORKSPACE_TOKEN", "tok-123"),
        ("MOLECULE_HOME", ":memory:"),
    ];
    let naming = |file| [&agent[..], &[("MOLECULE_CA_FILE", file)]].concat();
    child("child_trusts_the_platform", &naming(file));
    child("child_trusts_nobody", &agent);
    child("child_is_not_built", &naming("/nowhere/authorities.pem"));
    assert_eq!(platform.heard().all().len(), 2, "one request of each facade");
}

#[test]
#[ignore = "started by the_authorities_of_a_file_are_trusted_and_a_file_that_is_none_is_named"]
fn child_trusts_the_platform() {
    let states = both(|| molecule_blocking::Agent::from_env()?.poll_state(), async {
        molecule_async::Agent::from_env()?.poll_state().await
    });
    for state in states {
        assert_eq!(state.unwrap().status, Some(WorkspaceStatus::Online));
    }
}

#[test]
#[ignore = "started by the_authorities_of_a_file_are_trusted_and_a_file_that_is_none_is_named"]
fn child_trusts_nobody() {
    let ends = both(|| molecule_blocking::Agent::from_env()?.poll_state(), async {
        molecule_async::Agent::from_env()?.poll_state().await
    });
    for end in ends {
        assert_eq!(end.unwrap_err().kind(), ErrorKind::Tls);
    }
}

#[test]
#[ignore = "started by the_authorities_of_a_file_are_trusted_and_a_file_that_is_none_is_named"]
fn child_is_not_built() {
    let ends =
        both(|| molecule_blocking::Agent::from_env().map(drop), async { molecule_async::Agent::from_env().map(drop) });
    for end in ends {
        crate::assert_told(&end.unwrap_err(), ErrorKind::Config, "MOLECULE_CA_FILE names /nowhere", "name a file");
    }
}
