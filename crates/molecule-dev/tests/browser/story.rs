//! What somebody does on the page in the first minutes, with an agent of ours.

use molecule_blocking::Ended;
use molecule_dev::{Dev, Options};

use crate::agent::Running;
use crate::browser::Browser;
use crate::watched::Watched;

#[test]
fn a_workspace_is_created_talks_fails_recovers_is_read_in_the_past_forked_exported_and_paused() {
    let Some(browser) = Browser::start("story") else { return };
    let file = browser.profile().join("molecule-dev.jsonl");
    let dev = Dev::start(Options::at(&file).empty(true)).unwrap();
    let mut watched = Watched::open(browser, &dev.page_url());
    let page = watched.browser();

    // Create, and connect with what is shown once.
    page.wait_for_text("#view h1", "Workspaces");
    page.fill("form[hx-post='/dev/act/create'] input[name=name]", "walker");
    page.click("form[hx-post='/dev/act/create'] button");
    page.wait_until("document.querySelector('code.token')");
    let token = page.text("code.token");
    let id = page.attribute("code.token", "id").replace("token-", "");
    let row = format!("#ws-{id}");
    page.wait_for_text(&row, "never seen");
    let agent = Running::start(dev.url(), &id, &token);
    page.wait_for_text(&row, "online");

    // Chat: the reply comes without a reload.
    page.click(&format!("{row} a.button"));
    page.wait_for_text("#view h1", "Chat with walker");
    let before = dev.world().line();
    let plan = file.with_file_name("plan.txt");
    std::fs::write(&plan, "dig\n").unwrap();
    page.give_file("input[name=files]", &plan);
    say(page, "hello <b>there</b>");
    page.wait_for_text("#view", "plan.txt");
    page.wait_for_text("#view", "you wrote: hello <b>there</b>");
    assert_eq!(page.count("#view b"), 0, "what is written is text");
    page.wait_for_text("#view", "answered");

    // Back in time: the message is not there yet, and nothing can be sent into the past.
    page.move_slider(before);
    page.wait_for_text("#moment", "line");
    page.wait_until("!document.querySelector('#view').textContent.includes('you wrote')");
    assert_eq!(page.count("textarea[name=text]:enabled"), 0);
    page.click("#live");
    page.wait_for_text("#view", "you wrote: hello");

    // 429 on what the agent says to its user: the reply waits, and comes once the fault has ended.
    page.go("/chaos");
    page.wait_for_text("#view h1", "Chaos");
    page.choose("select[name=fault]", "rate_limited");
    page.fill("input[name=seconds]", "1");
    page.fill("input[name=path]", "/notify");
    page.click("form[hx-post='/dev/chaos/add'] button");
    page.wait_for_text("#view", "429");
    page.wait_until("document.querySelector('button[aria-label=\"End fault 1\"]')");
    page.go(&format!("/chat/{id}"));
    say(page, "are you there?");
    page.go("/inspector?text=/notify");
    page.wait_for_text("#exchanges", "429");
    page.go("/chaos");
    page.click("button[aria-label='End fault 1']");
    page.wait_for_text("#view", "All is well");
    page.go(&format!("/chat/{id}"));
    page.wait_for_text("#view", "you wrote: are you there?");

    // The inspector: one exchange whole, as curl, as a test, and a fork from it.
    page.go("/inspector?text=/registry/register");
    page.wait_for_text("#exchanges", "/registry/register");
    page.click("#exchanges a");
    page.wait_for_text("#detail h2", "Line ");
    let line: u64 = page.text("#detail h2").replace("Line ", "").trim().parse().unwrap();
    assert!(!page.text("#detail").contains(&token), "a bearer is not shown");
    page.click(&format!("button[hx-get='/dev/curl/{line}']"));
    page.wait_for_text("#made", "$TOKEN");
    page.click(&format!("button[hx-get='/dev/test/{line}']"));
    page.wait_for_text("#made", "#[test]");
    let exported = dev.world().export_test(Some(line)).unwrap();
    assert!(page.text("#made").replace('\u{a0}', " ").contains(exported.lines().last().unwrap()));
    page.click("#detail a[href^='#/fork']");
    page.wait_for_text("#view h1", "Fork");
    let forked = file.with_file_name("forked.jsonl");
    page.fill("input[name=path]", forked.to_str().unwrap());
    page.click("form[hx-post='/dev/fork'] button");
    page.wait_for_text("#notice", "forked.jsonl");
    let other = Dev::start(Options::at(&forked)).unwrap();
    let named = other.world().read(None, |platform, _| platform.workspace(&id.parse().unwrap()).unwrap().name);
    assert_eq!(named.unwrap(), "walker");
    other.stop().unwrap();

    // A pause ends the agent.
    page.go("/workspaces");
    page.click(&format!("{row} button[aria-label='Pause walker']"));
    page.wait_for_text(&row, "paused");
    assert_eq!(agent.ended(), Ended::Paused);
    assert_eq!(watched.found(), Vec::<String>::new());
    dev.stop().unwrap();
}

fn say(page: &Browser, text: &str) {
    page.fill("textarea[name=text]", text);
    page.click("form[hx-post='/dev/act/message'] button.main");
}
