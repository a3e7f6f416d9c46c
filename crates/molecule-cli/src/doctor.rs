//! `molecule doctor`: one line for each thing that can be wrong, with its remedy.
//!
//! The checks go from this machine to the platform, and stop where the next ones could say nothing: without a name in the
//! DNS there is no certificate to judge. It changes nothing but the file that shows whether the store can be written.

mod local;
mod network;
mod platform;

use std::time::Duration;

use molecule_async::Timeouts;
use serde::Serialize;

use crate::args::Place;
use crate::exit::{self, Failure};
use crate::output::{Output, Paint, Shade};
use crate::settings::Settings;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
enum Level {
    /// It is as it should be.
    Ok,
    /// It is worth knowing.
    Note,
    /// The agent works, and less well than it could.
    Warning,
    /// The agent does not work.
    Fault,
}

/// The result of a check.
#[derive(Debug, Serialize)]
struct Finding {
    /// Which check it was: a word that does not change.
    check: &'static str,
    level: Level,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

/// The results so far, and the exit code of the first fault.
#[derive(Debug, Default)]
struct Report {
    findings: Vec<Finding>,
    code: u8,
}

impl Report {
    fn add(&mut self, check: &'static str, level: Level, message: impl Into<String>) {
        self.findings.push(Finding { check, level, message: message.into(), remedy: None });
        if level == Level::Fault && self.code == exit::OK {
            self.code = exit::ERROR;
        }
    }

    fn advise(&mut self, check: &'static str, level: Level, message: impl Into<String>, remedy: impl Into<String>) {
        self.add(check, level, message);
        if let Some(last) = self.findings.last_mut() {
            last.remedy = Some(remedy.into());
        }
    }

    /// Adds a failure, whose sentence names its remedy itself.
    fn fail(&mut self, check: &'static str, failure: impl Into<Failure>) {
        let failure = failure.into();
        if self.code == exit::OK {
            self.code = failure.code();
        }
        self.add(check, Level::Fault, failure.to_string());
    }
}

/// Checks everything, for each workspace. The result is an array of findings: `check`, `level` (`ok`, `note`, `warning`,
/// `fault`), `message`, `remedy`. The exit code is that of the first fault.
pub(crate) async fn run(place: Place, output: &Output) -> Result<u8, Failure> {
    let mut report = Report::default();
    report.add("version", Level::Note, format!("molecule {}", env!("CARGO_PKG_VERSION")));
    match Settings::read(place) {
        Ok(settings) => {
            for workspace in settings.workspaces() {
                local::check(&settings, workspace, &mut report);
                let agent = settings.agent(workspace, None);
                match agent.and_then(|builder| Ok(builder.timeouts(patience()).build()?)) {
                    Ok(agent) => {
                        if network::check(&agent, &settings, workspace, &mut report).await {
                            platform::check(&agent, &mut report).await;
                        }
                    }
                    Err(failure) => report.fail("settings", failure),
                }
            }
        }
        Err(failure) => report.fail("settings", failure),
    }
    output.result(&report.findings, || {
        report.findings.iter().map(|finding| line(finding, output.paint())).collect::<Vec<_>>().join("\n")
    })?;
    Ok(report.code)
}

/// Shorter limits than an agent's: somebody waits for the answer.
fn patience() -> Timeouts {
    let mut timeouts = Timeouts::default();
    (timeouts.connect, timeouts.request) = (Duration::from_secs(5), Duration::from_secs(10));
    timeouts.call = Duration::from_secs(10);
    timeouts
}

fn line(finding: &Finding, paint: Paint) -> String {
    let (level, shade) = match finding.level {
        Level::Ok => ("ok     ", Shade::Good),
        Level::Note => ("note   ", Shade::Dim),
        Level::Warning => ("warning", Shade::Warning),
        Level::Fault => ("FAULT  ", Shade::Fault),
    };
    let remedy = finding.remedy.as_deref().map(|remedy| format!("; {remedy}")).unwrap_or_default();
    let rest = format!("{:<11} {}{remedy}", finding.check, finding.message);
    format!("{} {}", paint.shade(shade, level), molecule_async::core::proto::printable::line(&rest))
}
