//! One message, sent very often at once.

use crate::raw::{World, assert_good};

#[test]
fn a_thousand_equal_message_ids_at_once_run_the_handler_once() {
    const CALLS: usize = 1_000;
    let world = World::new(|limits| {
        limits.connections = CALLS + 10;
        limits.connections_per_address = CALLS + 10;
    });
    raise_descriptors();
    let text = "wait for all of them";
    let call = world.call("equal", text);
    let mut clients: Vec<_> = (0..CALLS).map(|_| world.connect()).collect();
    for raw in &mut clients {
        assert!(raw.send(&call));
    }
    world.wait_for_runs(text, 1);
    // Some are still being read when the handler ends, so that they find its kept answer.
    world.gate.open(1);
    let mut answers: Vec<_> = clients.iter_mut().map(|raw| raw.answer().expect("each gets an answer")).collect();
    let first = answers.remove(0);
    assert_good(&first, text);
    for answer in &answers {
        assert_eq!((answer.status, answer.json()), (200, first.json()));
    }
    assert_eq!(world.runs(text), 1);
    world.answers();
}

#[test]
fn each_caller_of_one_message_gets_its_own_request_id() {
    let world = World::new(|_| {});
    let body = World::body("shared", "shared");
    for id in ["7", "\"seven\"", "null", "1e2"] {
        let body = body.replacen("\"id\":\"shared\"", &format!("\"id\":{id}"), 1);
        let mut raw = world.connect();
        assert!(raw.send(format!("{}{body}", world.head(body.len())).as_bytes()));
        let reply = raw.answer().unwrap();
        assert_good(&reply, "shared");
        let expected: serde_json::Value = serde_json::from_str(id).unwrap();
        assert_eq!(reply.json()["id"], expected);
    }
    assert_eq!(world.runs("shared"), 1);
}

/// Two descriptors for each connection, one for each end of it.
fn raise_descriptors() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let limit = getrlimit(Resource::Nofile);
        let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    }
}
