//! One browser with one window, by the protocol WebDriver: <https://www.w3.org/TR/webdriver2/>.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};

use crate::driver::{Driver, LONG};

/// The key under which WebDriver writes the reference of an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser. It ends when this is dropped.
pub(crate) struct Browser {
    driver: Arc<Driver>,
    session: String,
    profile: PathBuf,
}

impl Browser {
    /// Starts a browser whose files are in a profile of this name. `None` if this machine has none.
    pub(crate) fn start(name: &str) -> Option<Self> {
        let driver = Driver::shared()?;
        let profile = driver.profiles().join(name);
        let args = [
            "--headless=new",
            // Without it Chromium does not start as root; it opens no page but ours.
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--hide-scrollbars",
            "--window-size=1280,900",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-extensions",
            "--disable-breakpad",
            // A request that leaves this machine fails, and is told.
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
        ];
        let mut args: Vec<String> = args.map(str::to_owned).into();
        args.push(format!("--user-data-dir={}", profile.display()));
        let downloads = profile.join("downloads");
        let capabilities = json!({ "capabilities": { "alwaysMatch": {
            "goog:chromeOptions": {
                "binary": driver.browser(), "args": args,
                "prefs": { "download.default_directory": downloads, "download.prompt_for_download": false },
            },
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
        }}});
        let session = driver.post("session", &capabilities).unwrap();
        let session = session["sessionId"].as_str().expect("a session has an id").to_owned();
        Some(Self { driver, session, profile })
    }

    /// The directory of its files, which is removed with it.
    pub(crate) fn profile(&self) -> &Path {
        &self.profile
    }

    fn post(&self, command: &str, body: &Value) -> Result<Value, String> {
        self.driver.post(&format!("session/{}/{command}", self.session), body)
    }

    /// Opens a page, and returns once it is loaded.
    pub(crate) fn open(&self, url: &str) {
        self.post("url", &json!({ "url": url })).unwrap();
    }

    /// Runs a function body in the page; `arguments` has its arguments.
    pub(crate) fn script(&self, body: &str, arguments: &[Value]) -> Value {
        self.post("execute/sync", &json!({ "script": body, "args": arguments }))
            .unwrap_or_else(|error| panic!("{error} in {body:.200}"))
    }

    /// The same, with a function body that gives its result to its last argument, a function.
    pub(crate) fn script_later(&self, body: &str, arguments: &[Value]) -> Value {
        self.post("execute/async", &json!({ "script": body, "args": arguments }))
            .unwrap_or_else(|error| panic!("{error} in {body:.200}"))
    }

    /// Waits until an expression is true in the page.
    pub(crate) fn wait_until(&self, expression: &str) {
        let deadline = Instant::now() + LONG;
        loop {
            match self.post("execute/sync", &json!({ "script": format!("return !!({expression})"), "args": [] })) {
                Ok(Value::Bool(true)) => return,
                // A page that is replaced at this moment answers no script.
                Ok(_) | Err(_) if Instant::now() < deadline => std::thread::sleep(std::time::Duration::from_millis(20)),
                other => panic!("{other:?}: never was {expression}; the page: {}", self.text("body")),
            }
        }
    }

    /// Waits until an element that this selector finds holds this text.
    pub(crate) fn wait_for_text(&self, selector: &str, text: &str) {
        let (selector, text) = (json!(selector), json!(text));
        self.wait_until(&format!(
            "[...document.querySelectorAll({selector})].some(e => e.textContent.includes({text}))"
        ));
    }

    /// What a reader sees of the first element that this selector finds; nothing if there is none.
    pub(crate) fn text(&self, selector: &str) -> String {
        let text = self.script("return document.querySelector(arguments[0])?.innerText ?? ''", &[json!(selector)]);
        text.as_str().unwrap_or_default().to_owned()
    }

    /// An attribute of the first element that this selector finds.
    pub(crate) fn attribute(&self, selector: &str, name: &str) -> String {
        let body = "return document.querySelector(arguments[0]).getAttribute(arguments[1])";
        self.script(body, &[json!(selector), json!(name)]).as_str().unwrap_or_default().to_owned()
    }

    /// Goes to a place of the page, which is in the fragment of its address.
    pub(crate) fn go(&self, place: &str) {
        self.script("location.hash = arguments[0]", &[json!(place)]);
    }

    /// Chooses a value of a list.
    pub(crate) fn choose(&self, selector: &str, value: &str) {
        self.click(&format!("{selector} option[value='{value}']"));
    }

    /// Moves the slider of the time, as a hand does.
    pub(crate) fn move_slider(&self, line: u64) {
        let body = "const s = document.querySelector('#slider'); s.value = arguments[0]; \
                    s.dispatchEvent(new Event('input', { bubbles: true })); s.dispatchEvent(new Event('change', { bubbles: true }))";
        self.script(body, &[json!(line)]);
    }

    /// How many elements this selector finds.
    pub(crate) fn count(&self, selector: &str) -> u64 {
        let count = self.script("return document.querySelectorAll(arguments[0]).length", &[json!(selector)]);
        count.as_u64().unwrap_or_default()
    }

    /// Clicks the first element that this selector finds, as soon as it is there and can be clicked.
    pub(crate) fn click(&self, selector: &str) {
        self.act(selector, "click", &json!({}));
    }

    /// Replaces what is in a field.
    pub(crate) fn fill(&self, selector: &str, text: &str) {
        self.act(selector, "clear", &json!({}));
        self.act(selector, "value", &json!({ "text": text }));
    }

    /// Gives a field of files this file.
    pub(crate) fn give_file(&self, selector: &str, file: &Path) {
        self.act(selector, "value", &json!({ "text": file }));
    }

    /// Acts on an element. One that is replaced or covered at this moment is looked for again.
    fn act(&self, selector: &str, act: &str, body: &Value) {
        let deadline = Instant::now() + LONG;
        loop {
            let found = self.post("element", &json!({ "using": "css selector", "value": selector }));
            let done = found.and_then(|found| {
                let element = found[ELEMENT].as_str().unwrap_or_default().to_owned();
                self.post(&format!("element/{element}/{act}"), body)
            });
            match done {
                Ok(_) => return,
                Err(_) if Instant::now() < deadline => std::thread::sleep(std::time::Duration::from_millis(20)),
                Err(error) => panic!("{act} of {selector}: {error}; the page: {}", self.text("body")),
            }
        }
    }

    /// Presses a key, by its character or by WebDriver's code of it.
    pub(crate) fn press(&self, key: char) {
        let presses = json!([{ "type": "keyDown", "value": key }, { "type": "keyUp", "value": key }]);
        self.post("actions", &json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": presses }] })).unwrap();
    }

    /// A command of the browser's own protocol.
    pub(crate) fn cdp(&self, command: &str, parameters: &Value) -> Value {
        self.post("goog/cdp/execute", &json!({ "cmd": command, "params": parameters })).unwrap()
    }

    /// The entries of a log since it was read last.
    pub(crate) fn log(&self, kind: &str) -> Vec<Value> {
        let entries = self.post("se/log", &json!({ "type": kind })).unwrap();
        entries.as_array().cloned().unwrap_or_default()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver ends what this leaves behind.
        let _ = self.driver.delete(&format!("session/{}", self.session));
    }
}
