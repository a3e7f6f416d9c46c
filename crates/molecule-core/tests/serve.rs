//! A server of the agent's own: what registers say while it runs, and when the loop registers again.

#![allow(clippy::unwrap_used)]

mod support;

use molecule_core::machines::Register;
use molecule_core::{ErrorKind, Plan};
use serde_json::{Value, json};
use support::platform::{HEARTBEAT, REGISTER};
use support::*;

/// The delivery mode and the URL of the last register.
fn said(platform: &Platform) -> (Value, Value) {
    let register = &platform.last(REGISTER).body;
    (register["delivery_mode"].clone(), register["url"].clone())
}

#[test]
fn a_register_names_the_server_in_push_mode_until_it_ends() {
    for plan in [Plan::Push, Plan::Auto] {
        for (configured, mode, url) in
            [(None, "poll", ""), (Some("https://proxy.example/a2a"), "push", "https://proxy.example/a2a")]
        {
            let options = Agent::options().token(secret("first"));
            let options = configured.into_iter().fold(options, molecule_core::Options::reported_url);
            let mut agent = Agent::with(options, 7);
            let mut platform = Platform::current();
            agent.session.serve("http://localhost:4711/a2a", plan).unwrap();
            run(&mut agent, Register::new(), |seen| platform.serve(seen)).unwrap();
            assert_eq!(said(&platform), (json!("push"), json!("http://localhost:4711/a2a")));
            agent.session.unserve();
            run(&mut agent, Register::new(), |seen| platform.serve(seen)).unwrap();
            assert_eq!(said(&platform), (json!(mode), json!(url)));
        }
    }
}

#[test]
fn a_loop_registers_a_server_that_starts_changes_its_port_and_ends_at_once_and_once() {
    let mut run = Looped::usual(Platform::current());
    for (url, mode, sent) in [
        (Some("http://localhost:4711/a2a"), "push", "http://localhost:4711/a2a"),
        (Some("http://localhost:4712/a2a"), "push", "http://localhost:4712/a2a"),
        (Some("http://localhost:4712/a2a"), "push", "http://localhost:4712/a2a"),
        (None, "poll", ""),
    ] {
        run.on(secs(100));
        let (from, before) = (run.agent.now.mono, run.platform.count(REGISTER));
        let is_new = said(&run.platform) != (json!(mode), json!(sent));
        match url {
            Some(url) => run.agent.session.serve(url, Plan::Push).unwrap(),
            None => run.agent.session.unserve(),
        }
        run.on(secs(3600));
        assert_eq!(run.platform.count(REGISTER), before + usize::from(is_new), "{url:?}");
        assert_eq!(said(&run.platform), (json!(mode), json!(sent)));
        if is_new {
            assert_eq!(run.platform.last(REGISTER).at, from, "not at once");
        }
    }
}

#[test]
fn no_heartbeat_comes_before_the_register_of_the_server() {
    let mut agent = Agent::stored(&secret("first"));
    agent.session.serve("http://localhost:4711/a2a", Plan::Push).unwrap();
    let mut run = Looped::new(agent, Platform::current());
    run.platform.weather = Box::new(|seen| seen.is(REGISTER).then_some(Reply::Never));
    run.on(secs(3600));
    assert_eq!((run.platform.count(REGISTER) > 0, run.platform.count(HEARTBEAT)), (true, 0));
    run.platform.weather = Box::new(|_| None);
    let mut agent = Agent::stored(&secret("first"));
    agent.session.serve("http://localhost:4711/a2a", Plan::Push).unwrap();
    let mut run = Looped::new(agent, Platform::current());
    run.on(secs(100));
    let (register, beat) = (run.platform.times(REGISTER)[0], run.platform.times(HEARTBEAT)[0]);
    assert!(register <= beat);
    assert_eq!(said(&run.platform), (json!("push"), json!("http://localhost:4711/a2a")));
}

#[test]
fn a_bare_url_of_this_machine_gets_a_path_since_the_platform_never_replaces_one_without() {
    for (given, sent) in [
        ("http://localhost:4711", "http://localhost:4711/"),
        ("http://127.0.0.1:4711", "http://127.0.0.1:4711/"),
        ("http://localhost:4711?k=v", "http://localhost:4711?k=v"),
        ("http://localhost:4711/a2a", "http://localhost:4711/a2a"),
        ("https://agent.example", "https://agent.example"),
    ] {
        let mut agent = Agent::with(Agent::options().token(secret("first")).reported_url(given), 7);
        let mut platform = Platform::current();
        run(&mut agent, Register::new(), |seen| platform.serve(seen)).unwrap();
        assert_eq!(said(&platform).1, json!(sent), "reported_url({given})");
        agent.session.serve(given, Plan::Push).unwrap();
        run(&mut agent, Register::new(), |seen| platform.serve(seen)).unwrap();
        assert_eq!(said(&platform).1, json!(sent), "serve({given})");
    }
}

#[test]
fn a_url_that_no_platform_could_call_changes_nothing() {
    let mut agent = Agent::stored(&secret("first"));
    let mut platform = Platform::current();
    for url in ["remote://no-inbound", "localhost:4711", "http://ada:s3@localhost:4711/", ""] {
        let error = agent.session.serve(url, Plan::Push).unwrap_err();
        assert_eq!((error.kind(), error.operation()), (ErrorKind::Config, "serve"), "{url}");
    }
    run(&mut agent, Register::new(), |seen| platform.serve(seen)).unwrap();
    assert_eq!(said(&platform), (json!("poll"), json!("")));
}
