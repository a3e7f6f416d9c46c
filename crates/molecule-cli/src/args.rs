//! The arguments. No credential is among them: other users of the machine can read them.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as Group, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use molecule_async::Backlog;

#[cfg(feature = "dev")]
mod dev;

use crate::exit::Failure;
#[cfg(feature = "dev")]
pub(crate) use dev::{Answer, Asked, Dev, DevLog, FaultName, ServeDev, Server, Trigger, TriggerAct};

/// Makes any program a remote agent of the Molecule AI platform.
#[derive(Debug, Parser)]
#[command(name = "molecule", version, max_term_width = 100, disable_help_subcommand = false)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(flatten)]
    pub(crate) look: Look,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Which workspace it is, and where its platform and its files are.
#[derive(Debug, Clone, Default, Group)]
#[command(next_help_heading = "The agent")]
pub(crate) struct Place {
    /// The workspace: its id, or its name in molecule.toml [variable: WORKSPACE_ID]
    #[arg(short, long, global = true, value_name = "ID")]
    pub(crate) workspace: Option<String>,
    /// The platform's base URL [variable: PLATFORM_URL]
    #[arg(short, long, global = true, value_name = "URL")]
    pub(crate) platform: Option<String>,
    /// A file with the workspace's token, `-` for standard input [variables: MOLECULE_WORKSPACE_TOKEN, MOLECULE_WORKSPACE_TOKEN_FILE]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// A file of `NAME=value` lines, read as if they were variables; real variables win
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) env_file: Option<PathBuf>,
    /// The configuration of several workspaces [default: molecule.toml, if it exists]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The directory of the agents' files, `:memory:` for none [default: ~/.molecule; variable: MOLECULE_HOME]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) home: Option<PathBuf>,
    /// The agent's card, a file of JSON; the variables MOLECULE_AGENT_NAME, _DESCRIPTION and _SKILLS count before it
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) card: Option<PathBuf>,
    /// The organisation's id [variable: MOLECULE_ORG_ID]
    #[arg(long, global = true, value_name = "ID")]
    pub(crate) org: Option<String>,
    /// Allows plain http:// to another machine, which sends the token unencrypted
    #[arg(long, global = true)]
    pub(crate) allow_insecure_http: bool,
}

/// How the output looks.
#[derive(Debug, Clone, Default, Group)]
#[command(next_help_heading = "Output")]
pub(crate) struct Look {
    /// Writes results, events and errors as JSON, one object a line
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Says nothing but results, warnings and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Says more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs an agent whose messages a program handles
    Run(Run),
    /// Serves the workspace's tools to a coding agent, by the Model Context Protocol over stdin and stdout
    #[cfg(feature = "mcp")]
    Mcp(Mcp),
    /// Registers the agent, and stores its token
    Register,
    /// Shows the workspace's state, its card and its last heartbeat
    Status,
    /// Lists the workspace's secrets, or runs a command with them
    #[command(subcommand)]
    Secrets(Secrets),
    /// Lists the agents that this one may see
    Peers {
        /// Only those whose name or role contains this text
        matching: Option<String>,
    },
    /// Sends a message to a peer, and shows what became of it
    Call {
        /// The peer's workspace id
        peer: String,
        /// The text; standard input without one
        text: Option<String>,
        /// The most seconds to wait for the reply
        #[arg(long, value_name = "SECONDS", value_parser = seconds)]
        timeout: Option<Duration>,
    },
    /// Sends a message to the user
    Send {
        /// The text; standard input without one
        text: Option<String>,
        /// A file to attach; may be repeated
        #[arg(long, value_name = "FILE")]
        attach: Vec<PathBuf>,
    },
    /// Delegates a task to a peer
    Delegate {
        /// The peer's workspace id
        peer: String,
        /// The task; standard input without one
        task: Option<String>,
        /// Waits until it is over
        #[arg(long)]
        wait: bool,
        /// A key by which a repeated command is the same delegation
        #[arg(long)]
        key: Option<String>,
    },
    /// Shows what waits, runs or failed, and offers failed messages again
    #[command(subcommand)]
    Inbox(Inbox),
    /// Installs plugins and looks after them; makes, checks and packs one's own
    #[command(subcommand)]
    Plugins(Plugins),
    /// Gets a new token, in exchange for the agent's own or with an administrator's credential
    Recover {
        /// A file with an administrator's credential, `-` for standard input
        #[arg(long, value_name = "FILE")]
        admin_token_file: Option<PathBuf>,
    },
    /// Serves a platform on this machine, with a page to watch it
    #[cfg(feature = "dev")]
    Dev(Dev),
    /// Does on the running `molecule dev` what owners, users and others do
    #[cfg(feature = "dev")]
    Trigger(Trigger),
    /// Checks everything that can be wrong, and names the remedies
    Doctor,
    /// Shows the shapes of what --json writes
    Shapes,
    /// Writes the completions for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Writes the man pages, one for each command, into a directory
    Man {
        /// The directory, which is made if it is missing
        directory: PathBuf,
    },
}

#[derive(Debug, Clone, Group)]
pub(crate) struct Run {
    /// Answers each message with its own text, to try the connection
    #[arg(long, conflicts_with_all = ["command", "per_message", "forward"])]
    pub(crate) echo: bool,
    /// Sends each message to this URL of this machine, as a signed POST of its A2A request
    #[arg(long, value_name = "URL", conflicts_with_all = ["command", "per_message"])]
    pub(crate) forward: Option<String>,
    /// Allows --forward to another machine, unencrypted
    #[arg(long, requires = "forward")]
    pub(crate) forward_anywhere: bool,
    /// Is called instead of polling: listens at this address, such as 127.0.0.1:0 or 0.0.0.0:8080
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) push: Option<String>,
    /// The URL under which the platform reaches --push; needed unless that is on this machine alone
    #[arg(long, value_name = "URL", requires = "push")]
    pub(crate) url: Option<String>,
    /// Polls while the platform does not reach --push
    #[arg(long, requires = "push")]
    pub(crate) poll_if_unreachable: bool,
    /// Takes calls without a credential at a --push that only this machine reaches, as April's platform makes them
    #[arg(long, requires = "push")]
    pub(crate) allow_unauthenticated: bool,
    /// Serves /livez, /readyz and /metrics at this address, such as 127.0.0.1:9090
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) health: Option<String>,
    /// Starts the program once for each message: the text on its stdin, the reply on its stdout
    #[arg(long, requires = "command")]
    pub(crate) per_message: bool,
    /// How many messages are handled at the same time, at most one of each sender
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) jobs: u16,
    /// How often a message is offered before it is put aside
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) attempts: u32,
    /// The most seconds that a stop waits for messages that are being handled
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub(crate) drain: Duration,
    /// The old messages that a first start takes: `none`, `all`, or those of so many seconds
    #[arg(long, value_name = "WHICH", default_value = "86400")]
    pub(crate) backlog: String,
    /// How late the platform may show a message, in seconds; with less, a message is missed that it shows later
    #[arg(long, value_name = "SECONDS", default_value = "35", value_parser = seconds)]
    pub(crate) trail: Duration,
    /// Waits for the end of a pause instead of ending
    #[arg(long)]
    pub(crate) wait_on_pause: bool,
    /// Gives the workspace's secrets to the program as variables
    #[arg(long, requires = "command")]
    pub(crate) with_secrets: bool,
    /// What the program gets once the workspace's secrets have changed: it is started again with them, or gets SIGHUP
    #[arg(long, value_name = "HOW", value_enum, requires = "command")]
    pub(crate) reload_on_secrets: Option<OnSecrets>,
    /// How often --reload-on-secrets asks for the secrets; SIGHUP asks at once
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = some_seconds, requires = "reload_on_secrets")]
    pub(crate) secrets_every: Duration,
    /// The agent's name, as others see it [variable: MOLECULE_AGENT_NAME]
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// The program that handles messages, and its arguments
    #[arg(last = true, value_name = "PROGRAM")]
    pub(crate) command: Vec<String>,
}

#[cfg(feature = "mcp")]
#[derive(Debug, Clone, Group)]
pub(crate) struct Mcp {
    /// The old messages that a first start takes: `none`, `all`, or those of so many seconds
    #[arg(long, value_name = "WHICH", default_value = "86400")]
    pub(crate) backlog: String,
    /// Whether the setup.sh of a plugin is run that the coding agent installs, with your rights
    #[arg(long, value_enum, default_value_t = SetupChoice::Skip)]
    pub(crate) setup: SetupChoice,
    /// The agent's name, as others see it [variable: MOLECULE_AGENT_NAME]
    #[arg(long)]
    pub(crate) name: Option<String>,
}

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Secrets {
    /// Lists the names
    List {
        /// Shows the values as well
        #[arg(long)]
        reveal: bool,
    },
    /// Runs a command with the secrets as variables
    Exec {
        /// The command, and its arguments
        #[arg(last = true, required = true, value_name = "COMMAND")]
        command: Vec<String>,
    },
}

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Inbox {
    /// Lists the messages that wait, are being handled, are offered again, wait for a reply, or failed
    List,
    /// Lists the messages that could not be handled
    Dead,
    /// Shows one message of the list
    Show {
        /// The message's id
        id: String,
    },
    /// Offers one again that could not be handled
    Retry {
        /// The message's id
        id: String,
    },
}

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Plugins {
    /// Lists the installed plugins
    List,
    /// Lists the plugins that the platform has for the workspace
    Available,
    /// Installs a plugin, or replaces the installed version
    Install {
        /// The plugin's name
        name: String,
        /// Where the platform fetches it from, such as `github://acme/my-plugin#v1`
        #[arg(long)]
        source: Option<String>,
        /// The digest that its tree must have
        #[arg(long, value_name = "DIGEST")]
        tree_sha256: Option<String>,
        /// Whether its setup.sh is run, with your rights
        #[arg(long, value_enum, default_value_t = SetupChoice::Run)]
        setup: SetupChoice,
    },
    /// Compares an installed plugin with what was installed
    Verify {
        /// The plugin's name; all without one
        name: Option<String>,
    },
    /// Removes a plugin
    Uninstall {
        /// The plugin's name
        name: String,
    },
    #[command(flatten)]
    Author(Author),
}

/// The commands for those who write plugins.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Author {
    /// Makes the skeleton of a plugin
    New {
        /// The new directory
        directory: PathBuf,
        /// The plugin's name [default: the directory's]
        #[arg(long)]
        name: Option<String>,
    },
    /// Checks a plugin as an installer does, and shows its size and its digests
    Check {
        /// The plugin's directory
        #[arg(default_value = ".")]
        directory: PathBuf,
        /// Has plugin.yaml declare the digest of the content
        #[arg(long)]
        declare: bool,
    },
    /// Checks a plugin, and writes its archive; the same content makes the same bytes
    Pack {
        /// The plugin's directory
        #[arg(default_value = ".")]
        directory: PathBuf,
        /// The archive, `-` for standard output [default: NAME.tar.gz beside the directory]
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

/// What a program gets once the workspace's secrets have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnSecrets {
    /// It is started again, once it has answered what it has
    Restart,
    /// It gets SIGHUP
    Hup,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SetupChoice {
    /// It is run
    Run,
    /// It is not run
    Skip,
}

/// Reads a number of seconds, with a fraction or without.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text.parse().map_err(|_| "give a number of seconds, such as 30 or 0.5".to_owned())?;
    Duration::try_from_secs_f64(number).map_err(|_| "give a number of seconds that is not negative".to_owned())
}

/// Reads which old messages a first start takes.
pub(crate) fn backlog(which: &str) -> Result<Backlog, Failure> {
    let wrong = || Failure::usage(format!("--backlog {which}: give `none`, `all`, or a number of seconds"));
    match which {
        "none" => Ok(Backlog::FromNow),
        "all" => Ok(Backlog::All),
        seconds => self::seconds(seconds).map(Backlog::Since).map_err(|_| wrong()),
    }
}

/// The name under which the program is `molecule mcp`, as the platform's snippets call it.
#[cfg(feature = "mcp")]
const MCP_NAME: &str = "molecule-mcp";

/// The arguments of this process. Under the name `molecule-mcp` the command `mcp` is left out, and `doctor` is the one
/// other command.
pub(crate) fn of_process() -> Vec<OsString> {
    with_command(std::env::args_os().collect())
}

#[cfg(feature = "mcp")]
fn with_command(mut args: Vec<OsString>) -> Vec<OsString> {
    let name = args.first().and_then(|path| std::path::Path::new(path).file_stem());
    let is_command = |arg: &OsString| arg == "mcp" || arg == "doctor" || arg == "help";
    if name.is_some_and(|name| name == MCP_NAME) && !args.iter().skip(1).any(is_command) {
        args.insert(1, "mcp".into());
    }
    args
}

#[cfg(not(feature = "mcp"))]
fn with_command(args: Vec<OsString>) -> Vec<OsString> {
    args
}

/// Reads a number of seconds that is an interval.
fn some_seconds(text: &str) -> Result<Duration, String> {
    seconds(text).and_then(|time| match time.is_zero() {
        true => Err("give a number of seconds above 0".to_owned()),
        false => Ok(time),
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_fit_together() {
        Args::command().debug_assert();
    }

    #[cfg(feature = "mcp")]
    #[test]
    fn under_the_name_of_the_snippets_it_is_the_command_mcp() {
        let of =
            |line: &str| with_command(line.split(' ').map(OsString::from).collect()).join(std::ffi::OsStr::new(" "));
        for (line, expected) in [
            ("/usr/bin/molecule-mcp", "/usr/bin/molecule-mcp mcp"),
            ("molecule-mcp.exe -v", "molecule-mcp.exe mcp -v"),
            ("molecule-mcp doctor", "molecule-mcp doctor"),
            ("molecule-mcp mcp", "molecule-mcp mcp"),
            ("molecule mcp", "molecule mcp"),
            ("molecule run --echo", "molecule run --echo"),
        ] {
            assert_eq!(of(line), expected);
        }
    }

    #[test]
    fn no_argument_takes_a_credential() {
        let mut commands = vec![Args::command()];
        while let Some(command) = commands.pop() {
            for argument in command.get_arguments() {
                let name = argument.get_id().as_str();
                let may_be = !["token", "secret", "password"].iter().any(|word| name.contains(word));
                let is_known = ["with_secrets", "reload_on_secrets", "secrets_every"].contains(&name);
                assert!(may_be || name.ends_with("_file") || is_known, "{} {name}", command.get_name());
            }
            commands.extend(command.get_subcommands().cloned());
        }
    }
}
