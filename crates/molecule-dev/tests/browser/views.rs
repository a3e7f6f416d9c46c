//! Each view, as people see it: on a telephone, a laptop and a large screen, in light and in dark, and by keyboard alone.

use molecule_dev::{Act, Acted, Chaos, Dev, Options};
use serde_json::json;

use crate::agent::Running;
use crate::browser::Browser;
use crate::driver::LONG;
use crate::watched::Watched;

/// A platform on which something has happened.
fn lively() -> (Dev, Running, String) {
    let dev = Dev::start(Options::in_memory()).unwrap();
    let created =
        |name: &str| match dev.world().act(Act::CreateWorkspace { name: name.to_owned(), url: None, parent: None }) {
            Acted::Created { id, token: Some(token) } => (id, token),
            acted => panic!("{acted:?}"),
        };
    let (id, token) = created("<script>alert(1)</script>");
    let (from, _) = created("a name that is rather long, \u{202e}and turns around, of somebody who likes names");
    let agent = Running::start(dev.url(), id.as_str(), token.expose());
    let deadline = std::time::Instant::now() + LONG;
    while dev.world().read(None, |platform, _| platform.last_heartbeat(&id).is_none()).unwrap() {
        assert!(std::time::Instant::now() < deadline, "the agent comes online");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    for text in ["hello", "a second message, which has some more words, so that a line has to be broken somewhere"] {
        let act = json!({ "act": "send_user_message", "to": id, "message": { "messageId": text, "role": "user", "parts": [{ "kind": "text", "text": text }] } });
        dev.world().act(serde_json::from_value(act).unwrap());
    }
    let act = json!({ "act": "send_agent_message", "from": from, "to": id, "message": { "messageId": "m", "role": "user", "parts": [{ "kind": "text", "text": "from another agent" }] } });
    dev.world().act(serde_json::from_value(act).unwrap());
    let act = json!({ "act": "raise_request", "to": id, "kind": "task", "title": "Look at the logs" });
    dev.world().act(serde_json::from_value(act).unwrap());
    let chaos = json!({ "rules": [{ "path": "/state", "fault": { "fault": "unavailable" } }] });
    dev.world().set_chaos(serde_json::from_value::<Chaos>(chaos).unwrap());
    (dev, agent, id.to_string())
}

#[test]
fn each_view_is_legible_labelled_and_stays_at_home() {
    let Some(browser) = Browser::start("views") else { return };
    let (dev, agent, id) = lively();
    let mut watched = Watched::open(browser, &dev.page_url());
    watched.browser().wait_for_text("#view", "online");
    let line = dev.world().line();
    for (name, place, heading) in [
        ("workspaces", "/workspaces".to_owned(), "Workspaces"),
        ("workspace", format!("/workspace/{id}"), "<script>alert(1)</script>"),
        ("chat", format!("/chat/{id}"), "Chat with <script>"),
        ("inspector", "/inspector".to_owned(), "Inspector"),
        ("exchange", format!("/exchange/{line}"), ""),
        ("graph", "/graph".to_owned(), "Graph"),
        ("plugins", "/plugins".to_owned(), "Plugins"),
        ("chaos", "/chaos".to_owned(), "Chaos"),
        ("clock", "/clock".to_owned(), "Clock"),
    ] {
        watched.browser().go(&place);
        watched.browser().wait_for_text("#view h1", heading);
        watched.look(name);
    }
    drop(agent);
    watched.was_clean();
    dev.stop().unwrap();
}

#[test]
fn the_keyboard_alone_reaches_and_uses_everything() {
    /// WebDriver's codes of keys.
    const TAB: char = '\u{e004}';
    const ENTER: char = '\u{e007}';
    let Some(browser) = Browser::start("keyboard") else { return };
    let dev = Dev::start(Options::in_memory().empty(true)).unwrap();
    let watched = Watched::open(browser, &dev.page_url());
    let page = watched.browser();
    page.wait_for_text("#view h1", "Workspaces");
    let focused = || {
        page.script("const e = document.activeElement; return e.tagName + ' ' + (e.name || e.id || e.textContent)", &[])
    };
    // From the top: the link over the bar, the views in their order, then the view's own fields.
    page.script("document.activeElement.blur()", &[]);
    let mut order = Vec::new();
    while order.last().is_none_or(|last| last != "INPUT name") {
        page.press(TAB);
        order.push(focused().as_str().unwrap().to_owned());
        assert!(order.len() < 40, "{order:#?}");
    }
    let of = |what: &str| order.iter().position(|one| one == what).unwrap_or_else(|| panic!("{what}: {order:#?}"));
    assert!(of("A skip") < of("A Workspaces") && of("A Workspaces") < of("A Chat") && of("A Chat") < of("INPUT name"));
    for key in "keys".chars() {
        page.press(key);
    }
    page.press(ENTER);
    page.wait_until("document.querySelector('code.token')");
    page.wait_for_text("#view .rows", "keys");
    // Whoever has the focus sees it.
    page.press(TAB);
    let outline =
        page.script("const s = getComputedStyle(document.activeElement); return s.outlineStyle + s.boxShadow", &[]);
    assert_ne!(outline, "nonenone", "{}", focused());
    watched.was_clean();
    dev.stop().unwrap();
}
