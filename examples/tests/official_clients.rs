//! Clients of the official SDK of A2A call the example `a2a-server`, with a bearer and without one.

#![allow(clippy::unwrap_used)]

mod official;
mod served;

use std::process::Stdio;

use official::script;
use served::Served;

const BEARER: &str = "the-official-clients-own-token-of-some-length";

/// Lets a client of the SDK call our server, with a bearer and without one.
fn client(name: &str, version: &str) {
    for (mode, arguments) in [("message", &[][..]), ("task", &["--task-mode"][..])] {
        for bearer in [None, Some(BEARER)] {
            let server = Served::start(arguments, bearer);
            let mut command = script(name, version);
            if let Some(bearer) = bearer {
                command.env("A2A_BEARER", bearer);
            }
            let output = command.args([server.url(), mode]).stdin(Stdio::null()).output().unwrap();
            let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            let passed = output.status.success() && out.ends_with("all checks passed\n");
            assert!(passed, "{name} {mode}, bearer {}: {out}{err}", bearer.is_some());
        }
    }
}

#[test]
#[ignore = "needs Python and a2a-sdk 0.3.26 from PyPI: cargo xtask interop"]
fn the_client_of_0_3_talks_to_our_server() {
    client("client_0_3.py", "0.3.26");
}

#[test]
#[ignore = "needs Python and a2a-sdk 1.3.0 from PyPI: cargo xtask interop"]
fn the_client_of_1_0_talks_to_our_server() {
    client("client_1.py", "1.3.0");
}
