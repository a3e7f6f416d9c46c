//! Every machine, each with an agent and a platform that lead it through all its steps.

use std::fmt::Debug;

use molecule_core::effect::FaultKind;
use molecule_core::endpoint::{Auth, MintToken, Secrets};
use molecule_core::machine::Machine;
use molecule_core::machines::{
    Beat, Call, CallPeer, DeadLetters, Delegate, DiscoverPeer, Install, ListPeers, ListPlugins, Notify, PluginTask,
    Recover, Register, ReplyTo, Run, Wait,
};
use molecule_core::{Event, InboundMessage, Recovery, Result};
use serde_json::json;

use super::agent::{Agent, ID, secret};
use super::answer::{Answer, fault};
use super::platform::{A2A, DELEGATE, DELEGATIONS, DISCOVER, NOTIFY, PEER, PEERS, Platform, STATE};
use super::shelf::plugin;

/// A machine that was not polled yet, with its agent and its platform.
pub struct Setup<M> {
    pub name: &'static str,
    pub agent: Agent,
    pub machine: M,
    pub platform: Platform,
}

/// A check that every machine must pass.
pub trait Check {
    fn check<M, T>(&self, make: &dyn Fn() -> Setup<M>)
    where
        M: Machine<Output = Result<T>> + Debug,
        T: Debug;
}

/// Runs a check for every machine.
pub fn each_machine(check: &impl Check) {
    let stored = || Agent::stored(&secret("first"));
    check.check(&|| Setup {
        name: "call that may always be repeated",
        agent: stored(),
        machine: Call::new(Secrets),
        platform: Platform::current(),
    });
    check.check(&|| Setup {
        name: "call that is repeated only unsent",
        agent: stored(),
        machine: Call::new(MintToken(Auth::Bearer)),
        platform: Platform::april(),
    });
    check.check(&|| {
        // The store has a newer token: after a 401 the call reads it.
        let options = Agent::options().token(secret("given"));
        let mut agent = Agent::with(options, 7);
        agent.store.token = Some(secret("first"));
        Setup { name: "call under a refused token", agent, machine: Call::new(Secrets), platform: Platform::current() }
    });
    check.check(&|| Setup { name: "beat", agent: stored(), machine: Beat::new(), platform: Platform::current() });
    check.check(&|| Setup {
        name: "register that mints",
        agent: Agent::new(),
        machine: Register::new(),
        platform: Platform::current().without_token(),
    });
    check.check(&|| Setup {
        name: "register under a placeholder",
        agent: Agent::new(),
        machine: Register::new(),
        platform: Platform::april().without_token(),
    });
    check.check(&|| Setup {
        name: "recover by rotation",
        agent: stored(),
        machine: Recover::new(Recovery::Own),
        platform: Platform::current(),
    });
    check.check(&|| Setup {
        name: "recover by one more token",
        agent: stored(),
        machine: Recover::new(Recovery::admin(&secret("admin")).unwrap()),
        platform: Platform::april(),
    });
    check.check(&|| {
        let list = json!([{"id": PEER, "name": "peer", "url": "https://peer.example/a2a"}]);
        let platform = Platform::current().answering(PEERS, Answer::json(200, list));
        Setup { name: "list of peers", agent: stored(), machine: ListPeers::all(), platform }
    });
    check.check(&|| {
        let found = json!({"id": PEER, "name": "peer", "url": "https://peer.example/a2a"});
        let platform = Platform::april().answering(DISCOVER, Answer::json(200, found));
        Setup { name: "discovery", agent: stored(), machine: DiscoverPeer::new(PEER).unwrap(), platform }
    });
    check.check(&|| {
        let mut platform = Platform::current().answering(A2A, Answer::json(200, reply("hello")));
        let mut direct = Some(Answer::error(401, "unauthorized"));
        platform =
            platform.answering(DISCOVER, Answer::json(200, json!({"id": PEER, "url": "https://peer.example/a2a"})));
        platform.weather = Box::new(move |seen| {
            let refusal = || direct.take().expect("a second direct call");
            seen.is("POST https://peer.example/a2a").then(refusal).map(Into::into)
        });
        let machine = CallPeer::new(PEER, "hello").unwrap();
        Setup { name: "call of a peer that refuses a direct one", agent: stored(), machine, platform }
    });
    check.check(&|| Setup {
        name: "install that replaces",
        agent: shelved(),
        machine: Install::new("mine"),
        platform: with_plugin(),
    });
    check.check(&|| Setup {
        name: "list with something left",
        agent: shelved(),
        machine: ListPlugins::new(),
        platform: Platform::current(),
    });
    check.check(&|| Setup {
        name: "verify",
        agent: shelved(),
        machine: PluginTask::verify("mine"),
        platform: Platform::current(),
    });
    check.check(&|| {
        let answer = json!({"delegation_id": PEER, "status": "delegated", "target_id": PEER, "warning": "not stored"});
        let platform = Platform::current().answering(DELEGATE, Answer::json(202, answer));
        let machine = Delegate::new(PEER, "a task").unwrap();
        Setup { name: "delegation", agent: stored(), machine, platform }
    });
    check.check(&|| {
        let mut platform = Platform::current();
        let mut looks = 0;
        platform.weather = Box::new(move |seen| {
            looks += u32::from(seen.is(DELEGATIONS));
            let status = if looks < 4 { "dispatched" } else { "completed" };
            let rows = json!([{"delegation_id": PEER, "status": status, "created_at": "2026-11-22T21:39:49.835053Z"}]);
            seen.is(DELEGATIONS).then(|| Answer::json(200, rows).into())
        });
        Setup { name: "wait", agent: stored(), machine: Wait::for_delegation(PEER), platform }
    });
    check.check(&|| {
        let platform = Platform::current().answering(NOTIFY, Answer::json(200, json!({"status": "sent"})));
        Setup { name: "notice", agent: stored(), machine: Notify::new("hello").unwrap(), platform }
    });
    check.check(&|| {
        let platform = Platform::current().answering(A2A, Answer::json(200, reply("thanks")));
        let machine = ReplyTo::new(inbound(json!(PEER)), "done").unwrap();
        Setup { name: "reply to a peer", agent: stored(), machine, platform }
    });
    check.check(&|| {
        let mut platform = Platform::current();
        platform.weather = Box::new(|seen| match seen {
            seen if seen.is(NOTIFY) => Some(fault(FaultKind::Interrupted).into()),
            seen => seen.path.contains("/activity?").then(|| Answer::json(200, json!([notice()])).into()),
        });
        let machine = ReplyTo::new(inbound(json!(null)), "done").unwrap();
        Setup { name: "reply to the user in doubt", agent: stored(), machine, platform }
    });
    check.check(&|| Setup {
        name: "list of dead letters",
        agent: stored(),
        machine: DeadLetters::new(),
        platform: Platform::current(),
    });
    check.check(&run_until_paused);
    check.check(&receive_until_paused);
}

/// A message from this sender; `null` is the user.
fn inbound(source: serde_json::Value) -> InboundMessage {
    let message = json!({"messageId": "m-1", "parts": [{"kind": "text", "text": "hello"}]});
    let row = json!({"id": PEER, "workspace_id": ID, "activity_type": "a2a_receive", "method": "message/send",
        "source_id": source, "created_at": "2026-11-22T21:39:47Z", "request_body": {"params": {"message": message}}});
    InboundMessage::read(serde_json::from_value(row).unwrap(), &ID.parse().unwrap()).unwrap()
}

/// The row of the reply `done` to the user.
fn notice() -> serde_json::Value {
    json!({"id": PEER, "workspace_id": ID, "activity_type": "a2a_receive", "method": "notify", "source_id": null,
        "created_at": "2026-11-22T21:39:49Z", "response_body": {"result": "done"}})
}

/// An agent's answer to a message.
pub fn reply(text: &str) -> serde_json::Value {
    let parts = json!([{"kind": "text", "text": text}]);
    json!({"jsonrpc": "2.0", "id": "theirs", "result": {"kind": "message", "role": "agent", "messageId": "r-1", "parts": parts}})
}

/// An agent with an installed plugin and the remains of an interrupted install.
fn shelved() -> Agent {
    let mut agent = Agent::stored(&secret("first"));
    super::run(&mut agent, Install::new("mine"), |_| Answer::bytes(plugin("mine", "old")).into()).unwrap();
    agent.store.shelf.left.insert("mine".to_owned());
    agent.trace.clear();
    agent
}

/// A platform that serves another version of that plugin.
fn with_plugin() -> Platform {
    let mut platform = Platform::current();
    platform.weather = Box::new(|seen| {
        let new = || Answer::bytes(plugin("mine", "new")).into();
        seen.path.ends_with("/download").then(new)
    });
    platform
}

/// A loop from its first start until a pause after 90 s, with a minted token and three refused heartbeats.
fn run_until_paused() -> Setup<Run> {
    let agent = Agent::new();
    let begin = agent.now.mono;
    let mut platform = Platform::current().without_token();
    platform.weather = Box::new(move |seen| {
        let second = seen.at.since(begin).as_secs();
        if seen.is(STATE) && second > 90 {
            let paused = json!({"workspace_id": ID, "status": "paused", "paused": true, "deleted": false});
            return Some(Answer::json(200, paused).into());
        }
        (40..60).contains(&second).then(|| Answer::error(503, "busy").into())
    });
    Setup { name: "run", agent, machine: Run::new(), platform }
}

/// The machine that sends something after it was cancelled.
pub const DRAINS: &str = "run with an inbox";

/// A loop that handles one message of the user, on a server without an event stream, until a pause after 60 s.
pub fn receive_until_paused() -> Setup<Run> {
    let agent = Agent::stored(&secret("first"));
    let begin = agent.now.mono;
    let mut platform = Platform::current().answering(NOTIFY, Answer::json(200, json!({"status": "sent"})));
    platform.weather = Box::new(move |seen| {
        let second = seen.at.since(begin).as_secs();
        if seen.is(STATE) && second > 60 {
            let paused = json!({"workspace_id": ID, "status": "paused", "paused": true, "deleted": false});
            return Some(Answer::json(200, paused).into());
        }
        if seen.path.ends_with("/events/stream") {
            return Some(Answer::error(404, "not found").into());
        }
        let is_after_it = seen.path.contains("since_id=");
        let rows = || if is_after_it { json!([]) } else { json!([inbound(json!(null)).raw()]) };
        seen.path.contains("/activity?").then(|| Answer::json(200, rows()).into())
    });
    Setup { name: DRAINS, agent, machine: Run::with_inbox(), platform }
}
