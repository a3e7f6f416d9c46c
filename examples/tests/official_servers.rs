//! An agent of ours calls servers of the official SDK of A2A.

#![allow(clippy::unwrap_used)]

mod official;

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use molecule_blocking::{Agent, CallOutcome, PeerCall, Route, Storage};
use molecule_platform::{Config, Dialect, serve};
use official::script;

/// A server of the SDK, which ends with this value: by the end of its standard input.
struct Official {
    child: Child,
    url: String,
}

impl Official {
    fn start(name: &str, version: &str) -> Self {
        let mut child = script(name, version).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut url).unwrap();
        Self { child, url: url.trim().to_owned() }
    }
}

impl Drop for Official {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

#[test]
#[ignore = "needs Python and a2a-sdk from PyPI: cargo xtask interop"]
fn our_client_talks_to_servers_of_the_sdk() {
    for (name, version) in [("server_1.py", "1.3.0"), ("server_0_3.py", "0.3.26")] {
        let official = Official::start(name, version);
        let platform = serve(Config::new(Dialect::Current), "127.0.0.1:0").unwrap();
        let registered = |name: &str, url: Option<&str>| {
            let (id, token) = platform.with(|platform, now| platform.create_workspace(now, name));
            let builder = Agent::builder(platform.url(), &id).token(token.expose()).storage(Storage::Memory).no_proxy();
            let agent = url.into_iter().fold(builder, |builder, url| builder.reported_url(url)).build().unwrap();
            agent.register().unwrap();
            agent
        };
        let (agent, theirs) = (registered("ours", None), registered("theirs", Some(&official.url)));
        let peer = theirs.workspace_id();
        let ask = |text: &str, route| agent.call_peer(peer.clone(), PeerCall::new(text).route(route)).unwrap();
        for route in [Route::Direct, Route::Proxy] {
            let outcome = ask("hello, Grüße", route);
            let CallOutcome::Replied(reply) = &outcome else { panic!("{name}, {route:?}: {outcome:?}") };
            assert_eq!(reply.texts(), ["you wrote: hello, Grüße"], "{name}, {route:?}");
        }
        if version == "1.3.0" {
            for text in ["task", "open"] {
                let outcome = ask(text, Route::Direct);
                let CallOutcome::Replied(reply) = &outcome else { panic!("{text}: {outcome:?}") };
                assert_eq!(reply.texts(), [format!("you wrote: {text}")]);
            }
            let outcome = ask("empty", Route::Direct);
            assert!(matches!(outcome, CallOutcome::Replied(_) | CallOutcome::DeliveredReplyLost), "{outcome:?}");
            let outcome = ask("fail", Route::Direct);
            assert!(matches!(outcome, CallOutcome::PeerError { .. }), "{outcome:?}");
        }
    }
}
