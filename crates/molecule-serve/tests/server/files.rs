//! Files that the platform hands over.

use std::sync::mpsc;

use molecule_core::{InboundMessage, Reply, ServerOptions};
use molecule_host::Storage;
use serde_json::json;

use crate::any::{Agent, echo};
use crate::client::{Answer, Client, request};
use crate::scenario;
use crate::world::{ADMIN, PATIENCE, World, until};

/// A form with files, and one field that is none.
fn form(files: &[(&str, &str)]) -> String {
    let part = |(name, content): &(&str, &str)| {
        let head =
            format!("Content-Disposition: form-data; name=\"files\"; filename=\"{name}\"\r\nContent-Type: text/plain");
        format!("--xx\r\n{head}\r\n\r\n{content}\r\n")
    };
    let files: String = files.iter().map(part).collect();
    format!("{files}--xx\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nnothing\r\n--xx--\r\n")
}

fn upload(address: std::net::SocketAddr, path: &str, bearer: &str, body: &str) -> Answer {
    let mut client = Client::connect(address);
    let head = "Content-Type: multipart/form-data; boundary=xx\r\n";
    let request = String::from_utf8(request("POST", path, Some(bearer), body.as_bytes())).unwrap();
    client.send(request.replacen("Content-Length", &format!("{head}Content-Length"), 1));
    client.answer()
}

fn files_of(world: &World, agent: &Agent) -> usize {
    let directory = world.home.join(agent.id().as_str()).join("uploads");
    std::fs::read_dir(directory).map_or(0, Iterator::count)
}

scenario!(an_upload_at_the_platform_becomes_private_files_of_the_agent, |facade| {
    let world = World::new();
    let agent = Agent::new(facade, &world);
    let (sends, sent) = mpsc::channel();
    let handler = {
        let finder = agent.finder();
        move |message: InboundMessage| {
            let found = message.attachments().iter().map(&finder).collect::<Vec<_>>();
            sends.send(found).unwrap();
            Ok(Some(Reply::text("thanks")))
        }
    };
    let server = agent.start(ServerOptions::new(), std::sync::Arc::new(handler)).unwrap();
    let path = format!("/workspaces/{}/chat/uploads", agent.id());
    let answer = upload(world.platform.addr(), &path, ADMIN, &form(&[("../a b.txt", "hello"), ("empty", "")]));
    assert_eq!(answer.status, 200, "{answer:?}");
    let files = answer.json()["files"].clone();
    assert_eq!(
        (&files[0]["name"], &files[0]["mimeType"], &files[0]["size"]),
        (&json!("a b.txt"), &json!("text/plain"), &json!(5))
    );
    assert_eq!((&files[1]["name"], &files[1]["size"]), (&json!("empty"), &json!(0)));
    // The message names the file, and the handler finds it; any other file of this machine is none of those.
    let part = |uri: &serde_json::Value| json!({"kind": "file", "file": {"uri": uri, "name": "a b.txt"}});
    let message = json!({"role": "user", "messageId": "m1", "parts": [part(&files[0]["uri"]), part(&json!("file:///etc/passwd"))]});
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "message/send", "params": {"message": message}});
    let mut client = Client::connect(server.local_addr());
    client.send(request("POST", "/", Some(&agent.secret()), call.to_string().as_bytes()));
    assert_eq!(client.answer().text(), "thanks");
    let found = sent.recv_timeout(PATIENCE).unwrap();
    let [Some(file), None] = &found[..] else { panic!("{found:?}") };
    assert_eq!(std::fs::read(file).unwrap(), b"hello");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    }
});

scenario!(an_agent_in_memory_takes_files_where_its_builder_says, |facade| {
    let world = World::new();
    let path = "/internal/chat/uploads/ingest";
    let form = form(&[("a", "one")]);
    let nowhere = Agent::of(facade, &world, Storage::Memory, None);
    let server = nowhere.start(ServerOptions::new(), echo()).unwrap();
    let refused = upload(server.local_addr(), path, &nowhere.secret(), &form);
    assert_eq!((refused.status, &refused.json()["error"]), (404, &json!("this agent has no directory for files")));
    let directory = world.home.join("elsewhere");
    let agent = Agent::of(facade, &world, Storage::Memory, Some(directory.clone()));
    let server = agent.start(ServerOptions::new(), echo()).unwrap();
    let taken = upload(server.local_addr(), path, &agent.secret(), &form);
    let uri = taken.json()["files"][0]["uri"].as_str().unwrap().to_owned();
    assert!(uri.contains("/elsewhere/"), "{uri}");
    assert_eq!(std::fs::read_dir(directory).unwrap().count(), 1);
});

scenario!(what_is_no_whole_form_leaves_nothing, |facade| {
    let world = World::new();
    let agent = Agent::new(facade, &world);
    let server = agent.start(ServerOptions::new(), echo()).unwrap();
    let (address, secret) = (server.local_addr(), agent.secret());
    let path = "/internal/chat/uploads/ingest";
    let whole = form(&[("a", "one"), ("b", "two")]);
    assert_eq!(upload(address, path, "wrong", &whole).status, 401);
    for body in
        ["", "no form", &whole[..whole.len() / 2], &whole[..whole.len() - 4], "--xx\r\nnonsense\r\n\r\n\r\n--xx--"]
    {
        let answer = upload(address, path, &secret, body);
        assert_eq!((answer.status, &answer.json()["error"]), (400, &json!("malformed multipart body")), "{body}");
    }
    let none = upload(address, path, &secret, &form(&[]));
    assert_eq!((none.status, &none.json()["error"]), (400, &json!("no files field in request")));
    // A sender that goes away in the middle.
    let mut client = Client::connect(address);
    let request = String::from_utf8(request("POST", path, Some(&secret), whole.as_bytes())).unwrap();
    let request =
        request.replacen("Content-Length", "Content-Type: multipart/form-data; boundary=xx\r\nContent-Length", 1);
    client.send(&request[..request.len() - 20]);
    until("it begins to write", || files_of(&world, &agent) > 0);
    drop(client);
    until("nothing is left", || files_of(&world, &agent) == 0);
});

scenario!(a_form_above_the_limits_leaves_nothing, |facade| {
    let world = World::new();
    let agent = Agent::new(facade, &world);
    let mut limits = molecule_core::ServerLimits::new();
    limits.upload_bytes = 20_000;
    let server = agent.start(ServerOptions::new().limits(limits), echo()).unwrap();
    let (address, secret) = (server.local_addr(), agent.secret());
    let path = "/internal/chat/uploads/ingest";
    let large = upload(address, path, &secret, &form(&[("a", "one"), ("b", &"x".repeat(20_000))]));
    assert_eq!(large.status, 413, "{large:?}");
    let many: Vec<_> = (0..65).map(|_| ("a", "")).collect();
    assert_eq!(upload(address, path, &secret, &form(&many)).status, 413);
    assert_eq!(files_of(&world, &agent), 0);
    assert_eq!(upload(address, path, &secret, &form(&many[..64])).status, 200);
    assert_eq!(files_of(&world, &agent), 64);
});
