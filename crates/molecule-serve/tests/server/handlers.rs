//! Where the handlers of an agent on tokio run.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use molecule_async::{Agent, InboundMessage, Reply};
use molecule_core::ServerOptions;
use molecule_host::Storage;
use molecule_serve::A2aServe;

use crate::client::{Client, call, request};
use crate::world::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_is_ready_at_once_needs_no_task_and_one_that_waits_goes_on_in_its_own() {
    let world = World::new();
    let (id, token) = world.platform.with(|platform, now| platform.create_workspace(now, "agent"));
    let agent =
        Agent::builder(world.platform.url(), id).token(token.expose()).storage(Storage::Memory).build().unwrap();
    let tasks = Arc::new(Mutex::new(Vec::new()));
    let handler = {
        let tasks = Arc::clone(&tasks);
        move |message: InboundMessage| {
            let tasks = Arc::clone(&tasks);
            async move {
                tasks.lock().unwrap().push(tokio::task::id());
                if message.text() == "wait" {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    tasks.lock().unwrap().push(tokio::task::id());
                }
                Ok::<_, String>(Some(Reply::text(message.text())))
            }
        }
    };
    // A look for the sender is a request of its own.
    let options = ServerOptions::new().look_up_senders(false);
    let server = agent.start_a2a_server(options, handler).await.unwrap();
    let (address, secret) = (server.local_addr(), agent.inbound_secret().unwrap().expose().to_owned());
    let calling = tokio::task::spawn_blocking(move || {
        let mut client = Client::connect(address);
        for (number, text) in ["now", "wait", "now"].into_iter().enumerate() {
            client.send(request("POST", "/", Some(&secret), &call(&format!("m{number}"), text)));
            assert_eq!(client.answer().text(), text);
        }
    });
    calling.await.unwrap();
    let tasks = tasks.lock().unwrap().clone();
    let [first, begun, ended, last] = tasks[..] else { panic!("{tasks:?}") };
    assert_eq!([first, begun], [last; 2], "the task of the connection");
    assert_ne!(ended, begun);
    server.stop_now();
}
