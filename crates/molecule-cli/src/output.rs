//! What the program says: results on stdout, everything else on stderr.

mod background;
mod bar;
mod paint;

use std::io::{self, Write};
use std::sync::{Arc, OnceLock};

use molecule_async::Event;
use serde::Serialize;
use serde_json::json;

use self::background::Background;
use self::bar::Bar;
pub(crate) use self::paint::{Paint, Shade};
use crate::args::Look;
use crate::exit::{self, Failure};
use crate::remedy::words::spoken;

/// The two outputs, and how they look.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    is_json: bool,
    is_quiet: bool,
    verbosity: u8,
    bar: Arc<Bar>,
    /// What writes to stderr, for those who must not wait for its reader.
    background: Arc<OnceLock<Background>>,
}

impl Output {
    pub(crate) fn new(look: &Look) -> Self {
        let bar = Arc::new(Bar::new(!look.json && !look.quiet));
        Self { is_json: look.json, is_quiet: look.quiet, verbosity: look.verbose, bar, background: Arc::default() }
    }

    /// The same output, which says at least what `-v` says.
    #[cfg(feature = "mcp")]
    pub(crate) fn verbose(&self) -> Self {
        Self { is_quiet: false, verbosity: self.verbosity.max(1), ..self.clone() }
    }

    /// Writes a command's result: as one line of JSON, or as text for people.
    pub(crate) fn result(&self, value: &impl Serialize, text: impl FnOnce() -> String) -> Result<(), Failure> {
        let mut written = if self.is_json {
            serde_json::to_string(value)
                .map_err(|error| Failure::new(exit::ERROR, format!("the result is not JSON: {error}")))?
        } else {
            text()
        };
        if written.is_empty() {
            return Ok(());
        }
        if !written.ends_with('\n') {
            written.push('\n');
        }
        self.raw(written.as_bytes())
    }

    /// How the text of a result is coloured.
    pub(crate) fn paint(&self) -> Paint {
        if self.is_json { Paint::none() } else { Paint::of_stdout() }
    }

    /// Writes bytes to stdout. A reader that has gone, such as `head`, ends the program quietly.
    pub(crate) fn raw(&self, bytes: &[u8]) -> Result<(), Failure> {
        let written = self.bar.aside(|| {
            let mut out = io::stdout().lock();
            out.write_all(bytes).and_then(|()| out.flush())
        });
        match written {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(i32::from(exit::OK)),
            Err(error) => Err(Failure::new(exit::ERROR, format!("stdout cannot be written: {error}"))),
        }
    }

    /// Tells people how it goes, unless they want it quiet.
    pub(crate) fn note(&self, text: &str) {
        if !self.is_quiet && !self.is_json {
            self.say(text);
        }
    }

    /// Tells of an event of a workspace's agent: warnings always, the others as asked for.
    pub(crate) fn event(&self, workspace: &str, event: &Event) {
        self.bar.follow(event);
        let is_news =
            !matches!(event, Event::Retrying { .. } | Event::ReplyEnded { .. } | Event::PluginProgress { .. });
        if self.is_quiet && !event.is_warning() || !event.is_warning() && !is_news && self.verbosity == 0 {
            return;
        }
        if self.is_json {
            self.say(&spoken(&json!({ "workspace": workspace, "event": event }).to_string()));
        } else {
            let paint = Paint::of_stderr();
            let shade = if event.is_warning() { Shade::Warning } else { Shade::Plain };
            let sentence = paint.shade(shade, &spoken(&event.to_string()));
            self.say(&format!("{} {sentence}", paint.shade(Shade::Dim, &format!("[{workspace}]"))));
        }
    }

    /// Removes the progress of what has ended.
    pub(crate) fn progress_ended(&self) {
        self.bar.end();
    }

    /// Has a thread write to stderr from now on: whoever reads it slowly does not hold the agents up.
    pub(crate) fn in_background(&self) -> Result<(), Failure> {
        let failed = |error| Failure::new(exit::ERROR, format!("a thread cannot be started: {error}"));
        // It is started once, by the one command that runs agents.
        let _ = self.background.set(Background::start(background::write).map_err(failed)?);
        Ok(())
    }

    /// Waits until everything is written to stderr, or nobody reads it.
    pub(crate) async fn finish(&self) {
        if let Some(background) = self.background.get() {
            background.finish().await;
        }
    }

    /// The mark of a line that a workspace's program wrote to its stderr.
    pub(crate) fn tag(&self, workspace: &str) -> String {
        Paint::of_stderr().shade(Shade::Dim, &format!("[{workspace}] |"))
    }

    /// Passes on lines of a program. It waits for their reader.
    pub(crate) async fn of_program(&self, lines: String) {
        match self.background.get() {
            Some(background) => background.pass_on(lines).await,
            None => self.bar.aside(|| background::write(&lines)),
        }
    }

    /// Warns of something that the program does not stop for.
    pub(crate) fn warning(&self, text: &str) {
        if self.is_json {
            self.say(&json!({ "warning": text }).to_string());
        } else {
            self.say(&format!("{} {text}", Paint::of_stderr().shade(Shade::Warning, "warning:")));
        }
    }

    pub(crate) fn failed(&self, failure: &Failure) {
        self.bar.end();
        if self.is_json {
            self.say(&failure.json().to_string());
        } else {
            self.say(&format!("{} {failure}", Paint::of_stderr().shade(Shade::Fault, "error:")));
        }
    }

    /// Writes one line to stderr.
    fn say(&self, line: &str) {
        let line = format!("{line}\n");
        match self.background.get() {
            Some(background) => background.say(line),
            None => self.bar.aside(|| background::write(&line)),
        }
    }
}
