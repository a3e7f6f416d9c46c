//! chromedriver and the browsers that it starts. They end with this process, however it ends.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use serde_json::Value;

/// Longer than anything takes on a busy machine.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// Names of the browser, in the order in which they are looked for.
const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// A shell that is the first of its process group, of which the driver and its browsers are, too. Its input ends with the
/// test's process, even if that is killed; it then ends the group and removes the directory of the profiles.
const GUARD: &str = r#"
profiles=$1
shift
"$@" </dev/null &
while read -r _; do :; done
trap '' TERM
kill -TERM 0
tries=0
while [ "$tries" -lt 20 ] && kill -0 $! 2>/dev/null; do sleep 0.1; tries=$((tries + 1)); done
rm -rf "$profiles"
kill -KILL 0
"#;

/// A running driver.
pub(crate) struct Driver {
    guard: Child,
    /// Open as long as the driver shall run.
    lifeline: Option<ChildStdin>,
    port: u16,
    agent: ureq::Agent,
    browser: PathBuf,
    profiles: PathBuf,
}

impl Driver {
    /// The driver of this process, which is started if there is none. `None` if this machine has no driver or no browser, which is
    /// said.
    pub(crate) fn shared() -> Option<Arc<Self>> {
        static RUNNING: Mutex<Weak<Driver>> = Mutex::new(Weak::new());
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(driver) = running.upgrade() {
            return Some(driver);
        }
        let browser = BROWSERS.iter().find_map(|name| on_path(name));
        let (Some(driver), Some(browser)) = (on_path("chromedriver"), browser) else {
            // Not by a macro, whose words a test that passes keeps to itself.
            let _ = writeln!(
                std::io::stderr(),
                "SKIPPED: no chromedriver and Chromium on PATH, so that the page was opened in no browser"
            );
            return None;
        };
        let driver = Arc::new(Self::start(&driver, browser));
        *running = Arc::downgrade(&driver);
        Some(driver)
    }

    fn start(driver: &Path, browser: PathBuf) -> Self {
        let profiles = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("browser-{}", std::process::id()));
        std::fs::create_dir_all(&profiles).unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", GUARD, "guard"]).arg(&profiles).arg(driver).args(["--port=0", "--log-level=WARNING"]);
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        // What is temporary is removed with the profiles.
        command.env("TMPDIR", &profiles).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut guard = command.spawn().unwrap();
        let lifeline = guard.stdin.take();
        let mut lines = BufReader::new(guard.stdout.take().unwrap()).lines();
        let said = "ChromeDriver was started successfully on port ";
        let port = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let (_, port) = line.split_once(said)?;
            port.trim_end_matches('.').parse().ok()
        });
        // A driver whose output nobody reads would stall.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        let config = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).timeout_global(Some(LONG));
        let agent = config.build().into();
        let port = port.expect("chromedriver says on which port it listens");
        Self { guard, lifeline, port, agent, browser, profiles }
    }

    pub(crate) fn browser(&self) -> &Path {
        &self.browser
    }

    pub(crate) fn profiles(&self) -> &Path {
        &self.profiles
    }

    /// Posts a command of WebDriver. Returns the value of the answer, or the error that it names.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Result<Value, String> {
        let request = self.agent.post(self.url(path)).header("content-type", "application/json");
        value(request.send(body.to_string()))
    }

    pub(crate) fn delete(&self, path: &str) -> Result<Value, String> {
        value(self.agent.delete(self.url(path)).call())
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.port)
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        let _ = self.guard.wait();
    }
}

fn value(answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<Value, String> {
    /// A picture of a page in 4K has some megabytes.
    const MOST: u64 = 64 << 20;
    let mut answer = answer.map_err(|error| error.to_string())?;
    let text = answer.body_mut().with_config().limit(MOST).read_to_string().map_err(|error| error.to_string())?;
    let mut body: Value = serde_json::from_str(&text).map_err(|error| format!("{error}: {text}"))?;
    let value = body["value"].take();
    match value["error"].as_str() {
        Some(error) if !answer.status().is_success() => Err(format!("{error}: {}", value["message"])),
        _ => Ok(value),
    }
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(name)).find(|file| file.is_file())
}
