//! What the views show: hostile names as text, ids and labels that scripts and people find, the past without its acts.

use molecule_dev::{Act, Dev};
use molecule_proto::WorkspaceId;

use crate::client::{create, get, head, post, send, start};

/// Names as somebody would write them who wants the page to do something else.
const HOSTILE: [&str; 6] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "' hx-get='/dev/act' x='",
    "javascript:alert(1)",
    "evil\u{202e}txt.exe\u{2066}",
    "nul\0bell\u{7}",
];

fn hostile() -> (Dev, WorkspaceId) {
    let dev = start();
    let ids: Vec<WorkspaceId> = HOSTILE.iter().map(|name| create(&dev, name).0).collect();
    create(&dev, &"n".repeat(10_000));
    for id in &ids {
        for name in HOSTILE {
            dev.world().act(Act::SetSecret { id: id.clone(), key: name.to_owned(), value: "v".to_owned() });
            dev.world().act(Act::SendUserMessage { to: id.clone(), message: name.into() });
        }
    }
    (dev, ids[0].clone())
}

/// The newest line that is an exchange.
fn a_line(dev: &Dev) -> String {
    let list = get(dev, "/dev/inspector").body;
    list.split("id=\"line-").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

/// The tags of a page, each with its attributes, as a browser reads them.
fn tags(body: &str) -> Vec<(String, Vec<(String, String)>)> {
    let mut tags = Vec::new();
    let mut rest = body;
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        let end_of_name = rest.find([' ', '>', '/']).unwrap_or(rest.len());
        let name = rest[..end_of_name].to_owned();
        rest = &rest[end_of_name..];
        let mut attributes = Vec::new();
        loop {
            rest = rest.trim_start();
            if rest.is_empty() || rest.starts_with('>') {
                break;
            }
            let end = rest.find(['=', ' ', '>']).unwrap();
            let attribute = rest[..end].to_owned();
            rest = &rest[end..];
            let mut value = String::new();
            if let Some(quoted) = rest.strip_prefix("=\"") {
                let (inside, after) = quoted.split_once('"').unwrap();
                value = inside.to_owned();
                rest = after;
            } else {
                assert!(!rest.starts_with('='), "a value without quotes in <{name} {attribute}");
            }
            attributes.push((attribute, value));
        }
        tags.push((name, attributes));
    }
    tags
}

/// What no view of ours has, whatever others write.
fn check(view: &str, body: &str) {
    for (name, attributes) in tags(body) {
        assert!(
            !["script", "style", "img", "iframe", "base", "link", "object"].contains(&name.as_str()),
            "{view}: <{name}>"
        );
        for (attribute, value) in attributes {
            assert!(!attribute.starts_with("on") && attribute != "style", "{view}: <{name} {attribute}>");
            assert!(attribute != "href" || value.starts_with('#'), "{view}: <{name} href=\"{value}\">");
            assert!(
                !attribute.starts_with("hx-on") && !value.starts_with("js:"),
                "{view}: <{name} {attribute}=\"{value}\">"
            );
            let asks = matches!(attribute.as_str(), "hx-get" | "hx-post" | "data-fetch");
            assert!(!asks || value.starts_with("/dev/"), "{view}: <{name} {attribute}=\"{value}\">");
        }
    }
    for char in ['\u{202e}', '\u{2066}', '\0', '\u{7}'] {
        assert!(!body.contains(char), "{view}: {char:?}");
    }
    assert!(!body.contains(&"n".repeat(1000)), "{view}: a name of ten thousand characters");
}

#[test]
fn hostile_names_are_text_in_every_view() {
    let (dev, id) = hostile();
    let paths = [
        "/dev/workspaces".to_owned(),
        "/dev/chat".to_owned(),
        format!("/dev/chat/{id}"),
        format!("/dev/workspace/{id}"),
        "/dev/inspector?all=true".to_owned(),
        format!("/dev/exchange/{}", a_line(&dev)),
        "/dev/graph".to_owned(),
        "/dev/plugins".to_owned(),
        "/dev/chaos".to_owned(),
        "/dev/clock".to_owned(),
    ];
    for path in paths {
        let answer = get(&dev, &path);
        assert_eq!(answer.status, 200, "{path}");
        check(&path, &answer.body);
        // Each id stands once, or a morph takes the wrong part.
        let mut ids: Vec<&str> =
            answer.body.split(" id=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), count, "{path}: an id stands twice");
    }
    let shown = get(&dev, "/dev/workspaces").body;
    assert!(shown.contains("&lt;script&gt;alert(1)&lt;/script&gt;") && shown.contains("evil\\u{202e}txt.exe"));
}

#[test]
fn each_control_of_each_view_has_a_label() {
    let (dev, id) = hostile();
    for path in [
        "/dev/workspaces".to_owned(),
        format!("/dev/chat/{id}"),
        format!("/dev/workspace/{id}"),
        "/dev/plugins".to_owned(),
    ] {
        let body = get(&dev, &path).body;
        for tag in ["<input", "<select", "<textarea"] {
            let mut rest = body.as_str();
            while let Some(at) = rest.find(tag) {
                let attributes = rest[at..].split('>').next().unwrap();
                let before = &rest[..at];
                let in_label = before.rfind("<label") > before.rfind("</label");
                assert!(
                    attributes.contains("type=\"hidden\"") || in_label || attributes.contains("aria-label="),
                    "{path}: {attributes}"
                );
                rest = &rest[at + tag.len()..];
                // What was looked at is cut off, so that the label of a later control is found behind it.
                rest = rest.split_once('>').map_or("", |(_, rest)| rest);
            }
        }
        for button in body.split("<button").skip(1) {
            let (attributes, rest) = button.split_once('>').unwrap();
            let words = rest.split("</button").next().unwrap();
            assert!(
                words.chars().any(char::is_alphabetic) || attributes.contains("aria-label="),
                "{path}: {attributes}"
            );
        }
        assert_eq!(body.matches("<h1").count(), 1, "{path}");
    }
}

#[test]
fn a_workspace_is_created_and_used_through_forms() {
    let dev = start();
    assert!(get(&dev, "/dev/workspaces").body.contains("No workspace yet."));
    let created = post(&dev, "/dev/act/create", "name=mine&parent=&url=");
    assert_eq!(created.status, 200, "{}", created.body);
    let id = created.body.split("id=\"token-").nth(1).unwrap().split('"').next().unwrap().to_owned();
    assert!(created.body.contains("export PLATFORM_URL=http://127.0.0.1:"));
    assert!(created.body.contains("MOLECULE_WORKSPACE_TOKEN="));
    let listed = get(&dev, "/dev/workspaces/list").body;
    assert!(listed.contains("mine") && listed.contains("awaiting agent") && listed.contains("never seen"));

    assert_eq!(post(&dev, "/dev/act/set-secret", &format!("workspace={id}&key=KEY&value=s3cr3t")).status, 200);
    let secrets = get(&dev, &format!("/dev/workspace/{id}/secrets")).body;
    assert!(secrets.contains("KEY") && !secrets.contains("s3cr3t"));

    assert_eq!(post(&dev, "/dev/act/message", &format!("workspace={id}&text=hello+there")).status, 200);
    let talk = get(&dev, &format!("/dev/chat/{id}/talk")).body;
    assert!(talk.contains("hello there"), "{talk}");

    let paused = post(&dev, "/dev/act/pause", &format!("workspace={id}"));
    assert_eq!((paused.status, paused.body.as_str()), (200, "<p class=\"good\">Paused mine.</p>"));
    assert!(get(&dev, "/dev/workspaces/list").body.contains("Resume mine"));
    let refused = post(&dev, "/dev/act/pause", &format!("workspace={id}"));
    assert!(refused.status == 409 && refused.body.contains("already paused"), "{}", refused.body);
    let resumed = post(&dev, "/dev/act/resume", &format!("workspace={id}"));
    assert_eq!((resumed.status, resumed.body.as_str()), (200, "<p class=\"good\">Resumed mine.</p>"));
}

#[test]
fn the_past_is_shown_as_it_was_and_cannot_be_changed() {
    let dev = start();
    create(&dev, "first");
    let line = dev.world().line();
    create(&dev, "second");
    let now = get(&dev, "/dev/workspaces").body;
    assert!(now.contains("first") && now.contains("second") && !now.contains(" disabled"));
    let then = get(&dev, &format!("/dev/workspaces?at={line}"));
    assert_eq!(then.status, 200, "{}", then.body);
    assert!(then.body.contains("first") && !then.body.contains("second"));
    let buttons = then.body.matches("<button type=\"submit\"").count()
        + then.body.matches("<button class=\"main\" type=\"submit\"").count();
    assert!(buttons > 0);
    assert_eq!(then.body.matches(" disabled").count(), buttons, "no act is possible in the past");
    assert_eq!(get(&dev, "/dev/workspaces?at=100000").status, 404);
    assert_eq!(get(&dev, "/dev/workspaces?at=-1").status, 400);
}

#[test]
fn an_exchange_is_shown_whole_and_becomes_a_command_and_a_test() {
    let dev = start();
    let (id, token) = create(&dev, "mine");
    let body = format!("{{\"id\":\"{id}\",\"delivery_mode\":\"poll\",\"agent_card\":{{\"name\":\"<b>\"}}}}");
    let about = format!("Authorization: Bearer {}\r\nContent-Type: application/json\r\n", token.expose());
    let request =
        format!("{}{about}Content-Length: {}\r\n\r\n{body}", head(&dev, "POST", "/registry/register"), body.len());
    assert_eq!(send(&dev, request.as_bytes()).unwrap().status, 200);
    let line = dev.world().line();

    let list = get(&dev, "/dev/inspector?text=REGISTER").body;
    assert!(list.contains(&format!("id=\"line-{line}\"")) && list.matches("<li id=\"line-").count() == 1, "{list}");
    let none = get(&dev, "/dev/inspector?text=nonsense").body;
    assert!(none.contains("No exchange here is like that."));

    let whole = get(&dev, &format!("/dev/exchange/{line}")).body;
    for part in [
        "POST",
        "/registry/register",
        ">200<",
        "Contract section 4",
        "&lt;b&gt;",
        "Bearer …",
        "platform_inbound_secret",
    ] {
        assert!(whole.contains(part), "{part} in {whole}");
    }
    assert!(!whole.contains(token.expose()), "the bearer is not shown");
    let saved = get(&dev, &format!("/dev/body/{line}/request"));
    assert_eq!((saved.body.as_str(), saved.header("content-disposition")), (body.as_str(), Some("attachment")));
    assert_eq!(saved.header("content-type"), Some("application/octet-stream"));

    let curl = get(&dev, &format!("/dev/curl/{line}")).body;
    assert!(curl.contains("Bearer $TOKEN") && !curl.contains(token.expose()), "{curl}");
    let test = get(&dev, &format!("/dev/save/test/{line}")).body;
    assert!(test.contains("#[test]") && !test.contains(token.expose()));
    let again = post(&dev, "/dev/again", &format!("line={line}&id=same"));
    assert!(again.status == 200 && again.body.contains("Sent again: line"), "{}", again.body);
    assert!(dev.world().line() > line);
    assert_eq!(get(&dev, "/dev/exchange/99999").status, 404);
    assert_eq!(get(&dev, "/dev/exchange/x").status, 404);
    let list = get(&dev, "/dev/inspector?text=create").body;
    let created = list.split("id=\"line-").nth(1).unwrap().split('"').next().unwrap();
    let acted = post(&dev, "/dev/again", &format!("line={created}&id=same"));
    assert!(acted.status == 400 && acted.body.contains("cannot be sent again"), "{}", acted.body);
}

#[test]
fn the_clock_goes_forward_and_a_silent_agent_is_awaited_again() {
    let dev = start();
    let (id, token) = create(&dev, "mine");
    let body = format!("{{\"workspace_id\":\"{id}\"}}");
    let about = format!("Authorization: Bearer {}\r\nContent-Type: application/json\r\n", token.expose());
    let request =
        format!("{}{about}Content-Length: {}\r\n\r\n{body}", head(&dev, "POST", "/registry/heartbeat"), body.len());
    assert_eq!(send(&dev, request.as_bytes()).unwrap().status, 200);
    assert!(get(&dev, "/dev/workspaces/list").body.contains(">online<"));
    let moved = post(&dev, "/dev/clock", "seconds=195");
    assert!(moved.status == 200 && moved.body.contains("3 min 15 s"), "{}", moved.body);
    assert!(get(&dev, "/dev/workspaces/list").body.contains(">awaiting agent<"));
    assert!(get(&dev, "/dev/clock/face").body.contains("3 min 15 s"));
    for seconds in ["0", "-1", "x", "99999999999"] {
        assert_eq!(post(&dev, "/dev/clock", &format!("seconds={seconds}")).status, 400, "{seconds}");
    }
}

#[test]
fn a_fault_meets_the_requests_of_its_path_until_it_is_ended() {
    let dev = start();
    let (_, token) = create(&dev, "mine");
    let ask = || {
        let about = format!("Authorization: Bearer {}\r\n", token.expose());
        send(&dev, format!("{}{about}\r\n", head(&dev, "GET", "/plugins")).as_bytes()).unwrap()
    };
    assert_eq!(ask().status, 200);
    let added = post(&dev, "/dev/chaos/add", "fault=rate_limited&seconds=7&path=%2Fplugins&workspace=");
    assert_eq!(added.status, 200, "{}", added.body);
    let limited = ask();
    assert_eq!((limited.status, limited.header("retry-after")), (429, Some("7")));
    let view = get(&dev, "/dev/chaos").body;
    assert!(view.contains("429, Retry-After: 7") && view.contains("/plugins"));
    assert!(get(&dev, "/dev/inspector").body.contains("on purpose"));
    assert_eq!(post(&dev, "/dev/chaos/remove", "index=0&of=1").status, 200);
    assert_eq!(ask().status, 200);
    assert!(get(&dev, "/dev/chaos/list").body.contains("All is well."));
}

#[test]
fn the_graph_counts_messages() {
    let dev = start();
    assert!(get(&dev, "/dev/graph").body.contains("Nobody has called anybody"));
    let ((one, _), (other, _)) = (create(&dev, "one"), create(&dev, "<script>"));
    for _ in 0..3 {
        dev.world().act(Act::SendAgentMessage { from: one.clone(), to: other.clone(), message: "hello".into() });
    }
    dev.world().act(Act::SendUserMessage { to: one.clone(), message: "hello".into() });
    let graph = get(&dev, "/dev/graph").body;
    check("graph", &graph);
    assert!(graph.contains("class=\"num\">3<") && graph.contains("&lt;script&gt;"), "{graph}");
    assert_eq!(graph.matches("class=\"edge").count(), 2);
    assert!(!graph.contains("edge fails"));
    dev.world().act(Act::Delete { id: other.clone(), purge: false });
    dev.world().act(Act::SendAgentMessage { from: one.clone(), to: other.clone(), message: "hello".into() });
    let graph = get(&dev, "/dev/graph/drawing").body;
    assert!(graph.contains("edge fails") && graph.contains("4 (1 failed)"), "{graph}");
}

#[test]
fn a_fork_is_a_file_of_its_own_and_overwrites_none() {
    let dev = start();
    create(&dev, "mine");
    let folder = std::env::temp_dir().join(format!("molecule-dev-page-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("fork.jsonl");
    let form = format!("line=3&path={}", path.display().to_string().replace('\\', "%5C").replace(':', "%3A"));
    let forked = post(&dev, "/dev/fork", &form);
    assert_eq!(forked.status, 200, "{}", forked.body);
    assert!(path.exists());
    assert_eq!(post(&dev, "/dev/fork", &form).status, 409);
    assert!(get(&dev, "/dev/fork?line=3").body.contains("molecule-dev-3.jsonl"));
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_list_looks_at_so_many_lines_and_leads_further_back() {
    let dev = start();
    let (id, _token) = create(&dev, "mine");
    for number in 0..5100 {
        dev.world().act(Act::SetSecret { id: id.clone(), key: format!("K{number}"), value: "v".to_owned() });
    }
    let first = get(&dev, "/dev/inspector?text=create_workspace").body;
    assert!(first.contains("No exchange here is like that."), "the beginning was not looked at");
    let further =
        first.split("href=\"#/inspector?text=").nth(1).unwrap().split('"').next().unwrap().replace("&amp;", "&");
    let second = get(&dev, &format!("/dev/inspector?text={further}")).body;
    assert!(second.contains("create workspace") && !second.contains("Look before"), "{second}");
    assert!(second.contains("The newest ones"));
    assert_eq!(get(&dev, "/dev/inspector").body.matches("<li id=\"line-").count(), 200);
}
