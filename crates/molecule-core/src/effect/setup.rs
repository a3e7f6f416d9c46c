//! The outcome of a plugin's `setup.sh`.

use std::fmt::{self, Write as _};

use crate::printable::{Printable, lines};

use serde::Serialize;

/// The outcome of a `setup.sh`. The plugin stays installed in every case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SetupOutcome {
    /// The plugin has no `setup.sh`, or the install was told to skip it.
    NotRun,
    /// The script was not run: this machine has no `bash`.
    NoBash,
    /// The script could not be run, or its end could not be observed; the sentence says why. The machine may have no
    /// processes or threads left.
    CouldNotRun(String),
    /// The script was run.
    Ran(SetupRun),
}

impl SetupOutcome {
    /// Returns whether nothing went wrong: the script ended with exit status 0, or there was none to run.
    pub fn is_good(&self) -> bool {
        match self {
            Self::NotRun => true,
            Self::NoBash | Self::CouldNotRun(_) => false,
            Self::Ran(run) => run.end == SetupEnd::Exited(0),
        }
    }
}

impl fmt::Display for SetupOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = Printable::line(f);
        match self {
            Self::NotRun => f.write_str("setup.sh was not run"),
            Self::NoBash => f.write_str("setup.sh was not run: there is no bash on this machine"),
            Self::CouldNotRun(why) => write!(f, "setup.sh could not be run to its end: {why}"),
            Self::Ran(run) => match run.end {
                SetupEnd::Exited(0) => f.write_str("setup.sh ran"),
                SetupEnd::Exited(code) => write!(f, "setup.sh ended with exit status {code}"),
                SetupEnd::Killed(signal) => write!(f, "setup.sh was ended by signal {signal}"),
                SetupEnd::TimedOut => f.write_str("setup.sh took too long and was ended"),
                SetupEnd::Cancelled => f.write_str("setup.sh was ended because the install was cancelled"),
                SetupEnd::Unknown => f.write_str(
                    "setup.sh ended, and nobody knows how: this process ignores SIGCHLD, or something else in it waits for all children; \
                     start it with SIGCHLD at its default",
                ),
            },
        }
    }
}

/// How a `setup.sh` ended, and the end of its outputs. As JSON it is only how the script ended, since the outputs may
/// contain a secret.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct SetupRun {
    end: SetupEnd,
    #[serde(skip)]
    stdout: Vec<u8>,
    #[serde(skip)]
    stderr: Vec<u8>,
}

/// How a `setup.sh` ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SetupEnd {
    /// The script exited with this status.
    Exited(i32),
    /// A signal that the SDK did not send ended the script.
    Killed(i32),
    /// The SDK killed the script because its time limit passed.
    TimedOut,
    /// The SDK killed the script because the install was cancelled.
    Cancelled,
    /// The script ended and its exit status is lost: this process was started with `SIGCHLD` ignored, or other code in
    /// it waits for all children. Processes that the script left running are not killed, since the number of its
    /// process group may belong to another group by then.
    Unknown,
}

impl SetupRun {
    /// Makes a run from how it ended and the ends of both outputs as they were written.
    pub fn new(end: SetupEnd, stdout: Vec<u8>, stderr: Vec<u8>) -> Self {
        Self { end, stdout, stderr }
    }

    /// Returns how the script ended.
    pub fn end(&self) -> SetupEnd {
        self.end
    }

    /// Returns the end of the standard output, made fit to print: characters that control a terminal or change the
    /// direction of text are escaped, except line ends and tabs.
    pub fn stdout(&self) -> String {
        lines(&String::from_utf8_lossy(&self.stdout))
    }

    /// Returns the end of the standard error, made fit to print: characters that control a terminal or change the
    /// direction of text are escaped, except line ends and tabs.
    pub fn stderr(&self) -> String {
        lines(&String::from_utf8_lossy(&self.stderr))
    }
}

/// Prints only lengths, since the outputs may contain a secret.
impl fmt::Debug for SetupRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (stdout, stderr) = (self.stdout.len(), self.stderr.len());
        write!(f, "SetupRun({:?}, stdout {stdout} bytes, stderr {stderr} bytes)", self.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_script_printed_is_safe_to_print_again_and_not_in_debug() {
        let run = SetupRun::new(SetupEnd::Exited(1), b"one\n\x1b[2Jtwo\xff".to_vec(), Vec::new());
        assert_eq!(run.stdout(), "one\n\\u{1b}[2Jtwo\u{fffd}");
        assert!(!format!("{run:?}").contains("two"));
        let run = SetupRun::new(SetupEnd::Exited(1), Vec::new(), "a\u{202e}b\u{2066}\tc\u{2028}".as_bytes().to_vec());
        assert_eq!(run.stderr(), "a\\u{202e}b\\u{2066}\tc\\u{2028}");
        let outcome = SetupOutcome::CouldNotRun("/\u{202e}\u{1b}[2J".to_owned());
        assert_eq!(outcome.to_string(), "setup.sh could not be run to its end: /\\u{202e}\\u{1b}[2J");
    }

    #[test]
    fn only_exit_status_0_is_good() {
        let ran = |end| SetupOutcome::Ran(SetupRun::new(end, Vec::new(), Vec::new()));
        assert!(SetupOutcome::NotRun.is_good() && ran(SetupEnd::Exited(0)).is_good());
        let ends =
            [SetupEnd::Exited(1), SetupEnd::Killed(9), SetupEnd::TimedOut, SetupEnd::Cancelled, SetupEnd::Unknown];
        for bad in
            [SetupOutcome::NoBash, SetupOutcome::CouldNotRun("no room".to_owned())].into_iter().chain(ends.map(ran))
        {
            assert!(!bad.is_good(), "{bad}");
        }
    }
}
