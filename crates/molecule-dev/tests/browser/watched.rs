//! What must be true of a page in any view: nothing wrong in the console, nothing against the content security policy, no request
//! that leaves this machine, and nothing that people with assistive technology stumble over.

use std::path::PathBuf;

use base64::Engine as _;
use serde_json::{Value, json};

use crate::browser::Browser;

/// A way to look at a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) is_dark: bool,
}

impl View {
    /// A laptop, a telephone and a screen in 4K.
    const ALL: [Self; 5] = [
        Self { width: 1280, height: 900, is_dark: false },
        Self { width: 1280, height: 900, is_dark: true },
        Self { width: 360, height: 800, is_dark: false },
        Self { width: 360, height: 800, is_dark: true },
        Self { width: 3840, height: 2160, is_dark: false },
    ];

    /// Whether axe-core looks at it: the others differ from these in colours alone, or in width alone.
    fn is_judged(self) -> bool {
        self.width == 1280 || self.width == 360 && !self.is_dark
    }

    fn name(self) -> String {
        format!("{}-{}", self.width, if self.is_dark { "dark" } else { "light" })
    }
}

/// A page that is watched.
pub(crate) struct Watched {
    browser: Browser,
    /// Where the page and all that it loads come from.
    origin: String,
    axe: Option<String>,
    found: Vec<String>,
}

impl Watched {
    /// Opens the page, and watches it from now on.
    pub(crate) fn open(browser: Browser, url: &str) -> Self {
        browser.open(url);
        Self { browser, origin: origin(url), axe: axe(), found: Vec::new() }
    }

    /// Opens another page in the same browser.
    pub(crate) fn open_another(&mut self, url: &str) {
        self.origin = origin(url);
        self.browser.open(url);
    }

    pub(crate) fn browser(&self) -> &Browser {
        &self.browser
    }

    /// Returns whether axe-core looks at the views as well.
    pub(crate) fn has_axe(&self) -> bool {
        self.axe.is_some()
    }

    /// Looks at the page as it is now in each view: a picture below `target/screenshots`, and what is wrong in it.
    pub(crate) fn look(&mut self, name: &str) {
        for view in View::ALL {
            self.see(view);
            let shown = format!("{name}, {}", view.name());
            self.picture(&format!("{name}-{}", view.name()));
            let wide = self.browser.script("return document.documentElement.scrollWidth", &[]).as_u64();
            if wide > Some(u64::from(view.width)) {
                self.found.push(format!("{shown}: the page is wider than the window: {wide:?}"));
            }
            if view.is_judged() {
                self.ask_axe(&shown);
            }
        }
        self.see(View::ALL[0]);
        self.read();
    }

    fn see(&self, view: View) {
        let metrics = json!({
            "width": view.width, "height": view.height, "deviceScaleFactor": 1, "mobile": view.width < 600,
        });
        self.browser.cdp("Emulation.setDeviceMetricsOverride", &metrics);
        let scheme = if view.is_dark { "dark" } else { "light" };
        let media = json!({ "features": [
            { "name": "prefers-color-scheme", "value": scheme },
            // A colour that is on its way to another one has no contrast to speak of.
            { "name": "prefers-reduced-motion", "value": "reduce" },
        ]});
        self.browser.cdp("Emulation.setEmulatedMedia", &media);
        // Two frames: the styles are computed, and painted.
        self.browser.script_later("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))", &[]);
    }

    fn picture(&self, name: &str) {
        let picture = self.browser.cdp("Page.captureScreenshot", &json!({ "format": "png" }));
        let picture = base64::engine::general_purpose::STANDARD.decode(picture["data"].as_str().unwrap()).unwrap();
        let directory = target().join("screenshots");
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join(format!("{name}.png")), picture).unwrap();
    }

    fn ask_axe(&mut self, shown: &str) {
        let Some(axe) = &self.axe else { return };
        if self.browser.script("return typeof window.axe", &[]) != json!("object") {
            self.browser.script(axe, &[]);
        }
        let run = r#"
            const done = arguments[arguments.length - 1];
            axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"], resultTypes: ["violations"] })
                .then(r => done(r.violations.map(v => [v.id, v.help, v.nodes.map(n => n.target.join(" ") + ": " + n.failureSummary)])),
                      e => done([["axe", String(e), []]]));"#;
        let violations = self.browser.script_later(run, &[]);
        let violations = violations.as_array().expect("axe gives a list");
        self.found.extend(violations.iter().map(|violation| format!("{shown}: {violation:#}")));
    }

    /// Reads what the browser has logged.
    fn read(&mut self) {
        for entry in self.browser.log("browser") {
            if ["SEVERE", "WARNING"].iter().any(|level| entry["level"] == *level) {
                self.found.push(format!("console: {} {}", entry["source"], entry["message"]));
            }
        }
        for entry in self.browser.log("performance") {
            let message: Value = serde_json::from_str(entry["message"].as_str().unwrap_or_default()).unwrap();
            let message = &message["message"];
            if message["method"] == "Network.requestWillBeSent" {
                let url = message["params"]["request"]["url"].as_str().unwrap_or_default();
                let is_ours = url.strip_prefix(&self.origin).is_some_and(|rest| rest.starts_with('/'));
                // The browser's own first page has resources that it brings itself.
                if !is_ours && !["data:", "blob:", "chrome:"].iter().any(|scheme| url.starts_with(scheme)) {
                    self.found.push(format!("a request to {url}"));
                }
            }
        }
    }

    /// Everything that was wrong up to now.
    pub(crate) fn found(&mut self) -> Vec<String> {
        self.read();
        std::mem::take(&mut self.found)
    }

    /// Ends the watch: nothing was wrong.
    pub(crate) fn was_clean(mut self) {
        let found = self.found();
        assert!(found.is_empty(), "{}", found.join("\n"));
    }
}

fn origin(url: &str) -> String {
    url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/")
}

/// The directory `target` of the workspace.
fn target() -> PathBuf {
    // It is …/target/tmp.
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).parent().expect("it is below target/").to_owned()
}

/// The script axe-core, if `.ci/run` has put it there.
fn axe() -> Option<String> {
    let script = std::fs::read_to_string(target().join("ci-tools/axe-core/package/axe.min.js")).ok();
    if script.is_none() {
        let _ = std::io::Write::write_all(
            &mut std::io::stderr(),
            b"SKIPPED: axe-core is not below target/ci-tools, so that nobody looked at labels and contrast\n",
        );
    }
    script
}
