//! The agent's card, as A2A 0.3 wants it.

use http::Request;
use molecule_core::machines::Admission;
use molecule_core::proto::AgentCard;
use molecule_core::{Options, ServerOptions};
use serde_json::{Value, json};

use crate::support::Agent;
use crate::support::inbound::{Server, get};

fn card(server: &mut Server, head: &Request<()>) -> (u16, http::HeaderMap, Value) {
    match server.admit(head) {
        Admission::Answer(answer) => {
            let body = serde_json::from_slice(answer.body()).unwrap_or_default();
            (answer.status().as_u16(), answer.headers().clone(), body)
        }
        other => panic!("{other:?}"),
    }
}

fn of(card: AgentCard, options: ServerOptions) -> Server {
    Server::of(Agent::with(Options::new(crate::support::ORIGIN, crate::support::ID).card(card), 7), options)
}

#[test]
fn the_card_has_everything_that_is_required_and_the_registered_url() {
    let mut server =
        of(AgentCard::new("librarian").skill("search"), ServerOptions::new().url("https://agent.example.com/a2a"));
    let mut heads: Vec<_> = ["/.well-known/agent-card.json", "/.well-known/agent.json"]
        .iter()
        .flat_map(|path| [get(path), get(&format!("/a2a{path}"))])
        .collect();
    // Whatever the caller says of itself.
    heads[0].headers_mut().insert("host", "evil.example.com".parse().unwrap());
    heads[0].headers_mut().insert("x-forwarded-host", "evil.example.com".parse().unwrap());
    heads[0].headers_mut().insert("a2a-version", "1.0".parse().unwrap());
    for head in &heads {
        let (status, headers, card) = self::card(&mut server, head);
        assert_eq!(status, 200);
        assert_eq!(
            card,
            json!({
                "protocolVersion": "0.3.0", "name": "librarian", "description": "librarian", "version": "1.0.0",
                "url": "https://agent.example.com/a2a", "preferredTransport": "JSONRPC",
                "capabilities": {"streaming": false, "pushNotifications": false, "stateTransitionHistory": false},
                "defaultInputModes": ["text/plain", "application/json", "application/octet-stream"],
                "defaultOutputModes": ["text/plain", "application/json", "application/octet-stream"],
                "skills": [{"id": "search", "name": "search", "description": "search", "tags": []}],
                "supportsAuthenticatedExtendedCard": false,
                "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}}, "security": [{"bearer": []}],
            })
        );
        assert!(headers["cache-control"].to_str().unwrap().contains("max-age="));
    }
}

#[test]
fn what_the_owner_wrote_is_kept_unless_the_server_does_not_offer_it() {
    let own = AgentCard::new("a")
        .description("d")
        .role("r")
        .with("version", "2.1")
        .with("provider", json!({"organization": "o"}))
        .with("capabilities", json!({"streaming": true, "extensions": [{"uri": "u"}]}))
        .with("defaultOutputModes", json!(["image/png"]))
        .with("additionalInterfaces", json!([{"url": "x", "transport": "GRPC"}]))
        .with("protocolVersion", "1.0")
        .skill(json!({"name": "n", "tags": ["t"]}))
        .skill(7);
    let mut server = of(own, ServerOptions::new().allow_unauthenticated());
    let (_, _, card) = card(&mut server, &get("/.well-known/agent-card.json"));
    assert_eq!((&card["version"], &card["description"], &card["role"]), (&json!("2.1"), &json!("d"), &json!("r")));
    assert_eq!(card["provider"], json!({"organization": "o"}));
    assert_eq!((&card["capabilities"]["streaming"], &card["protocolVersion"]), (&json!(false), &json!("0.3.0")));
    assert_eq!(card["capabilities"]["extensions"], json!([{"uri": "u"}]));
    assert_eq!(card["defaultOutputModes"], json!(["image/png"]));
    assert_eq!(card["skills"], json!([{"id": "n", "name": "n", "description": "n", "tags": ["t"]}]));
    assert!(card.get("additionalInterfaces").is_none() && card.get("security").is_none());
    assert_eq!(card["url"], "http://localhost:8080/");
}

#[test]
fn a_reader_that_has_the_card_gets_it_again_only_after_a_change() {
    let mut server = of(AgentCard::new("a"), ServerOptions::new());
    let (_, headers, _) = card(&mut server, &get("/.well-known/agent-card.json"));
    let tag = headers["etag"].clone();
    let with = |value: &str| {
        let mut head = get("/.well-known/agent-card.json");
        head.headers_mut().insert("if-none-match", value.parse().unwrap());
        head
    };
    let tag = tag.to_str().unwrap();
    for known in [tag.to_owned(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()] {
        let (status, headers, body) = card(&mut server, &with(&known));
        assert_eq!((status, body, headers["etag"].to_str().unwrap()), (304, Value::Null, tag), "{known}");
    }
    assert_eq!(card(&mut server, &with("\"x\"")).0, 200);
    server.agent.session.update_card(AgentCard::new("b")).unwrap();
    let (status, headers, body) = card(&mut server, &with(tag));
    assert_eq!((status, &body["name"]), (200, &json!("b")));
    assert_ne!(headers["etag"].to_str().unwrap(), tag);
}
