//! What the program says: results on stdout, everything else on stderr.

use std::io::{self, Write};

use molecule_async::Event;
use serde::Serialize;
use serde_json::json;

use crate::args::Look;
use crate::exit::{self, Failure};

/// The two outputs, and how they look.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    is_json: bool,
    is_quiet: bool,
    verbosity: u8,
}

impl Output {
    pub(crate) fn new(look: &Look) -> Self {
        Self { is_json: look.json, is_quiet: look.quiet, verbosity: look.verbose }
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

    /// Writes bytes to stdout. A reader that has gone, such as `head`, ends the program quietly.
    pub(crate) fn raw(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        match out.write_all(bytes).and_then(|()| out.flush()) {
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
        let is_news =
            !matches!(event, Event::Retrying { .. } | Event::ReplyEnded { .. } | Event::PluginProgress { .. });
        if self.is_quiet && !event.is_warning() || !event.is_warning() && !is_news && self.verbosity == 0 {
            return;
        }
        if self.is_json {
            self.say(&json!({ "workspace": workspace, "event": event }).to_string());
        } else {
            self.say(&format!("[{workspace}] {event}"));
        }
    }

    /// Passes on a line that a workspace's program wrote to its stderr.
    pub(crate) fn of_program(&self, workspace: &str, line: &str) {
        self.say(&format!("[{workspace}] | {line}"));
    }

    /// Warns of something that the program does not stop for.
    pub(crate) fn warning(&self, text: &str) {
        if self.is_json {
            self.say(&json!({ "warning": text }).to_string());
        } else {
            self.say(&format!("warning: {text}"));
        }
    }

    pub(crate) fn failed(&self, failure: &Failure) {
        if self.is_json {
            self.say(&failure.json().to_string());
        } else {
            self.say(&format!("error: {failure}"));
        }
    }

    /// Writes one line to stderr. A line that nobody can read harms nothing.
    fn say(&self, line: &str) {
        let mut err = io::stderr().lock();
        let _ = writeln!(err, "{line}");
    }
}
