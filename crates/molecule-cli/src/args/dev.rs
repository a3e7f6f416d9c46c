//! The arguments of `dev` and `trigger`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as Group, Subcommand, ValueEnum};

use super::some_seconds;

/// The file of the log, unless `--file` names another one.
const LOG: &str = "molecule-dev.jsonl";

#[derive(Debug, Clone, Group)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Dev {
    #[command(flatten)]
    pub(crate) serve: ServeDev,
    #[command(subcommand)]
    pub(crate) command: Option<DevLog>,
}

#[derive(Debug, Clone, Group)]
pub(crate) struct ServeDev {
    /// Which of the two servers a new platform is [default: current]
    #[arg(long, value_enum)]
    pub(crate) dialect: Option<Server>,
    /// The log, which is the platform's state: a file that exists is continued
    #[arg(long, value_name = "FILE", default_value = LOG)]
    pub(crate) file: PathBuf,
    /// The port on 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = 7420)]
    pub(crate) port: u16,
    /// A file of acts, one JSON object a line, which a first start performs in place of the example
    #[arg(long, value_name = "FILE", conflicts_with = "empty")]
    pub(crate) scenario: Option<PathBuf>,
    /// Keeps the state in memory alone: it is lost at the end
    #[arg(long, conflicts_with_all = ["file", "fresh"])]
    pub(crate) memory: bool,
    /// Creates no example workspaces at a first start
    #[arg(long)]
    pub(crate) empty: bool,
    /// Begins anew; the old log is kept beside it
    #[arg(long)]
    pub(crate) fresh: bool,
}

/// The two servers in the field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Server {
    /// That of August 2026
    Current,
    /// That of April 2026
    April,
}

/// What can be done with a log, whether a server runs on it or not.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum DevLog {
    /// Writes a log to standard output, to hand it on
    Export {
        /// The log
        #[arg(long, value_name = "FILE", default_value = LOG)]
        file: PathBuf,
        /// Writes a Rust test that repeats it, in place of the log
        #[arg(long)]
        test: bool,
        /// Puts a placeholder in place of each credential, the same one each time, as --test always does
        #[arg(long)]
        blank: bool,
        /// The last line that the test repeats
        #[arg(long, value_name = "LINE", requires = "test")]
        to: Option<u64>,
    },
    /// Copies a log up to a line, to go on from there
    Fork {
        /// The last line that is copied
        line: u64,
        /// The new log
        to: PathBuf,
        /// The log
        #[arg(long, value_name = "FILE", default_value = LOG)]
        file: PathBuf,
    },
}

#[derive(Debug, Clone, Group)]
pub(crate) struct Trigger {
    /// The log of the running `molecule dev`
    #[arg(long, global = true, value_name = "FILE", default_value = LOG)]
    pub(crate) file: PathBuf,
    #[command(subcommand)]
    pub(crate) act: TriggerAct,
}

/// What the workspace's owner, its user and the world outside do. The workspace is that of `--workspace`, by its id or its name on
/// the platform; without one, the only one.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum TriggerAct {
    /// Creates a workspace, and shows its id and its token
    Create {
        /// Its name
        name: String,
    },
    /// Says something to the agent
    Message {
        /// The text; standard input without one
        text: Option<String>,
        /// The workspace that says it, by its id or its name [default: the user]
        #[arg(long, value_name = "WORKSPACE")]
        from: Option<String>,
        /// A file that the user sends with it; may be repeated
        #[arg(long, value_name = "FILE", conflicts_with = "from")]
        attach: Vec<PathBuf>,
    },
    /// Pauses the workspace
    Pause {
        /// Also those below it
        #[arg(long)]
        cascade: bool,
    },
    /// Ends a pause
    Resume {
        /// Also of those below it
        #[arg(long)]
        cascade: bool,
    },
    /// Revokes the agent's tokens, and shows a new one
    Rotate,
    /// Deletes the workspace
    Delete {
        /// Also forgets that it was there
        #[arg(long)]
        purge: bool,
    },
    /// Sets a secret of the workspace, whose value is read from standard input
    Secret {
        /// The secret's name
        key: String,
        /// Removes it
        #[arg(long)]
        remove: bool,
    },
    /// Asks the agent for something: a task, or an approval
    Request {
        /// The title
        title: String,
        /// What it is asked for
        #[arg(long, value_enum, default_value_t = Asked::Task)]
        kind: Asked,
    },
    /// Answers a request of the agent
    Respond {
        /// The request's id
        request: String,
        /// The answer
        #[arg(value_enum)]
        answer: Answer,
    },
    /// Moves the platform's clock forward
    Forward {
        /// By so many seconds
        #[arg(value_parser = some_seconds)]
        seconds: Duration,
    },
    /// Provokes a fault from now on, or ends all of them
    Chaos {
        /// What happens to requests
        #[arg(value_enum)]
        fault: FaultName,
        /// The end of their paths, such as /registry/heartbeat [default: any]
        #[arg(long, value_name = "END")]
        path: Option<String>,
        /// The delay, or what Retry-After says
        #[arg(long, value_name = "SECONDS", value_parser = some_seconds, default_value = "5")]
        seconds: Duration,
        /// Those of every agent, and not of the workspace alone
        #[arg(long)]
        all: bool,
    },
    /// Does any act, given as JSON on standard input
    Act,
}

/// A fault on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FaultName {
    /// Too many requests, with Retry-After
    #[value(name = "429")]
    RateLimited,
    /// Service unavailable
    #[value(name = "503")]
    Unavailable,
    /// A proxy's page in place of the answer
    Html,
    /// The platform sees them late
    Slow,
    /// The answer ends at its half
    Half,
    /// The platform acts, and the answer is lost
    Lost,
    /// The platform's database is unreachable
    DatabaseDown,
    /// No fault any more, for anybody
    None,
}

/// What an agent is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Asked {
    /// Something to do
    Task,
    /// Something to decide
    Approval,
}

/// How a request ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Answer {
    /// The task is done
    Done,
    /// It is approved
    Approved,
    /// It is rejected
    Rejected,
}
