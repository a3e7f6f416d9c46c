//! Where the operating system starts no more threads, a call says so and does not panic.

use molecule_async::{Agent, ErrorKind, Storage};
use molecule_conformance::{ID, ScriptedPeer, mint};
use tokio::runtime::Builder;

#[test]
fn a_register_without_a_thread_for_its_store_is_an_error() {
    let peer = ScriptedPeer::answering(mint);
    let agent = Agent::builder(peer.url(), ID).storage(Storage::Memory).no_proxy().build().unwrap();
    // No address space holds such a stack.
    let runtime = Builder::new_current_thread().enable_all().thread_stack_size(1 << 60).build().unwrap();
    let error = runtime.block_on(agent.register()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Storage, "{error}");
    assert!(error.to_string().contains("no thread could be started"), "{error}");
    assert!(
        peer.requests().iter().all(|request| !request.is("POST /registry/register")),
        "a token would have been lost"
    );
    // Later there is one, and the agent is none the worse for it.
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(agent.register()).unwrap();
}
