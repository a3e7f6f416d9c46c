//! The man pages: one for the program, and one for each command. `cargo xtask dist` packs what this writes, so that the
//! pages are always those of the program beside them.

use std::io;
use std::path::Path;

use clap::{Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use crate::args::Args;
use crate::exit::{self, Failure};

const EXIT_STATUS: [(u8, &str); 7] = [
    (exit::OK, "Done; run was stopped."),
    (exit::ERROR, "Failed, in a way that another try does not mend."),
    (exit::USAGE, "The arguments, variables or files of the configuration make no sense."),
    (exit::UNAUTHORIZED, "The token is missing or refused."),
    (exit::PAUSED, "The workspace is paused."),
    (exit::DELETED, "The workspace is deleted."),
    (exit::TRY_AGAIN, "Another try may succeed."),
];

/// Of several names for one thing, the first that is set counts.
const ENVIRONMENT: [(&str, &str); 14] = [
    ("WORKSPACE_ID, MOLECULE_WORKSPACE_ID", "The workspace's id, unless --workspace names it."),
    ("PLATFORM_URL, MOLECULE_PLATFORM_URL", "The platform's base URL, unless --platform names it."),
    ("MOLECULE_WORKSPACE_TOKEN, MOLECULE_WORKSPACE_TOKEN_FILE", "The workspace's token, or a file with it."),
    (
        "MOLECULE_WORKSPACES, MOLECULE_WORKSPACES_JSON",
        "Several workspaces, as a JSON array of objects with id, token and platform_url.",
    ),
    (
        "MOLECULE_WORKSPACE_IDS, MOLECULE_WORKSPACE_TOKENS, MOLECULE_PLATFORM_URLS",
        "Several workspaces, as lists with commas between their entries.",
    ),
    ("MOLECULE_ORG_ID, MOLECULE_ORGANIZATION_ID, MOLECULE_ORG", "The organisation's id, unless --org names it."),
    ("MOLECULE_HOME", "The directory of the agents' files, unless --home names it."),
    ("MOLECULE_AGENT_NAME", "The agent's name, unless run --name gives it."),
    (
        "MOLECULE_AGENT_DESCRIPTION, MOLECULE_AGENT_SKILLS",
        "The agent's card: what it does, and its skills with commas between them.",
    ),
    (
        "MOLECULE_MCP_DISABLE_HEARTBEAT, MOLECULE_MCP_DISABLE_INBOX, MOLECULE_MCP_VERBOSE",
        "1 leaves all of the loop or the inbox of mcp to another program, or is -v.",
    ),
    (
        "MOLECULE_MCP_POLL_TIMEOUT_SECS",
        "For how many seconds mcp tells its client to look for messages at the beginning of each turn.",
    ),
    ("MOLECULE_CA_FILE", "A PEM file of certificate authorities that are trusted besides Mozilla's."),
    ("MOLECULE_ORIGIN", "The header Origin of requests; off sends none."),
    ("NO_COLOR, CLICOLOR_FORCE", "Whether there are colours, against what the terminal says."),
];

const FILES: [(&str, &str); 2] = [
    ("molecule.toml", "Several workspaces, in the working directory, unless --config names another file."),
    ("~/.molecule/", "A directory for each workspace, with its token and its inbox. Nobody else can read it."),
];

/// Writes all pages into a directory, which is made if it is missing.
pub(super) fn write(directory: &Path) -> Result<u8, Failure> {
    let mut program = Args::command().disable_help_subcommand(true);
    program.build();
    let written = std::fs::create_dir_all(directory).and_then(|()| write_pages(&program, directory));
    written.map_err(|error| {
        Failure::new(exit::ERROR, format!("the man pages cannot be written into {}: {error}", directory.display()))
    })?;
    Ok(exit::OK)
}

fn write_pages(command: &Command, directory: &Path) -> io::Result<()> {
    for below in command.get_subcommands() {
        write_pages(below, directory)?;
    }
    let man = Man::new(command.clone()).source(concat!("molecule ", env!("CARGO_PKG_VERSION"))).manual("molecule");
    let mut page = Vec::new();
    man.render(&mut page)?;
    if command.get_name() == "molecule" {
        whole_program().to_writer(&mut page)?;
    } else {
        let mut see_also = Roff::new();
        see_also
            .control("SH", ["SEE ALSO"])
            .text([bold("molecule"), roman("(1), for variables, files and exit status")]);
        see_also.to_writer(&mut page)?;
    }
    std::fs::write(directory.join(man.get_filename()), page)
}

/// The sections that hold for all commands.
fn whole_program() -> Roff {
    let mut roff = Roff::new();
    let status = EXIT_STATUS.map(|(code, meaning)| (code.to_string(), meaning));
    let environment = ENVIRONMENT.map(|(names, meaning)| (names.to_owned(), meaning));
    let files = FILES.map(|(path, meaning)| (path.to_owned(), meaning));
    let sections = [("EXIT STATUS", &status[..]), ("ENVIRONMENT", &environment), ("FILES", &files)];
    for (heading, entries) in sections {
        roff.control("SH", [heading]);
        for (name, meaning) in entries {
            roff.control("TP", []).text([bold(name.as_str())]).text([roman(*meaning)]);
        }
    }
    roff
}
