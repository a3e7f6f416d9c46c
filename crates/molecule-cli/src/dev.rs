//! `molecule dev`: the platform on this machine, and its log.

mod client;
mod trigger;

use std::io::ErrorKind;
use std::path::Path;

use molecule_async::core::proto::{WorkspaceKind, WorkspaceStatus, WorkspaceView, printable};
use molecule_dev::{Archive, Dev, Dialect, Opened, Options};
use serde::Serialize;
use serde_json::json;

pub(crate) use self::trigger::run as trigger;
use crate::args::{self, DevLog, ServeDev, Server};
use crate::exit::{self, Failure};
use crate::output::Output;
use crate::run::signals::Signals;

/// Serves the platform, or does something with its log.
pub(crate) async fn run(args: args::Dev, output: &Output) -> Result<u8, Failure> {
    match args.command {
        None => serve(args.serve, output).await,
        Some(DevLog::Export { file, test, blank, to }) => {
            let mut archive = open(&file)?;
            let mut exported = Vec::new();
            match test {
                true => exported.extend(archive.export_test(to).map_err(|error| of_log(&file, &error))?.into_bytes()),
                false => archive.export(&mut exported, blank).map_err(|error| of_log(&file, &error))?,
            }
            output.raw(&exported)?;
            Ok(exit::OK)
        }
        Some(DevLog::Fork { line, to, file }) => {
            open(&file)?.fork(line, &to).map_err(|error| of_log(&file, &error))?;
            let forked = json!({ "file": to, "line": line });
            output.result(&forked, || format!("{} ends with line {line}: molecule dev --file {0}", to.display()))?;
            Ok(exit::OK)
        }
    }
}

fn open(file: &Path) -> Result<Archive, Failure> {
    Archive::open(file).map_err(|error| Failure::new(exit::ERROR, error.to_string()))
}

fn of_log(file: &Path, error: &std::io::Error) -> Failure {
    failed(&file.display().to_string(), error)
}

/// Serves the platform until SIGINT or SIGTERM.
async fn serve(args: ServeDev, output: &Output) -> Result<u8, Failure> {
    // Before the start: a signal that comes early ends it as well.
    let mut signals = Signals::new().map_err(|error| failed("signals cannot be heard", &error))?;
    let dialect = args.dialect.map(|server| match server {
        Server::Current => Dialect::Current,
        Server::April => Dialect::April,
    });
    let is_scenario = args.scenario.is_some();
    let options = if args.memory { Options::in_memory() } else { Options::at(&args.file) };
    let options = options.dialect(dialect).port(args.port).scenario(args.scenario).empty(args.empty).fresh(args.fresh);
    let dev = Dev::start(options).map_err(|error| match error.kind() {
        ErrorKind::InvalidInput => Failure::usage(error.to_string()),
        _ => Failure::new(exit::ERROR, error.to_string()),
    })?;
    tell_of_log(&dev, output);
    if is_scenario && dev.opened().is_some() {
        output.note("the log is continued; --scenario is for a first start, as with --fresh");
    }
    let file = (!args.memory).then_some(&*args.file);
    let banner = Banner::of(&dev, file)?;
    output.result(&banner, || banner.text())?;
    signals.next().await;
    dev.stop().map_err(|error| failed("the log cannot be written", &error))?;
    match file {
        Some(file) => output.note(&format!("stopped; the state is in {}", file.display())),
        None => output.note("stopped; the state is gone"),
    }
    Ok(exit::OK)
}

/// Whether a workspace is one that an agent may be for: it is not removed, nor the current server's own root.
fn is_somebodys(view: &WorkspaceView) -> bool {
    view.kind != Some(WorkspaceKind::Platform) && view.status != WorkspaceStatus::Removed
}

fn failed(what: &str, error: &dyn std::fmt::Display) -> Failure {
    Failure::new(exit::ERROR, format!("{what}: {error}"))
}

/// Says what is not as expected with a log that was there.
fn tell_of_log(dev: &Dev, output: &Output) {
    if let Some(old) = dev.set_aside() {
        output.note(&format!("the old log is {} now", old.display()));
    }
    let Some(Opened { cut, mismatches, mismatched, is_known, .. }) = dev.opened() else { return };
    if *cut > 0 {
        output.warning(&format!("the log's last line was not finished: {cut} bytes were removed"));
    }
    if *mismatched == 0 || *is_known {
        return;
    }
    for mismatch in mismatches {
        output.warning(&mismatch.to_string());
    }
    output.warning(&format!(
        "{mismatched} lines do not replay as they were recorded, by another version: the state is what this version makes of them; \
         --fresh begins anew"
    ));
}

/// What a start shows.
#[derive(Serialize)]
struct Banner {
    /// The base URL for agents.
    url: String,
    /// The page, with the admin token in its fragment.
    page: String,
    admin_token: String,
    /// `current` or `april`.
    dialect: String,
    /// The log; none in memory.
    file: Option<String>,
    /// The lines of the log that were replayed; 0 of a new one.
    replayed: u64,
    /// The workspaces that are not removed, by name.
    workspaces: Vec<Listed>,
}

#[derive(Serialize)]
struct Listed {
    name: String,
    id: String,
    status: String,
    /// The newest live token.
    token: Option<String>,
}

impl Banner {
    fn of(dev: &Dev, file: Option<&Path>) -> Result<Self, Failure> {
        let read = dev.world().read(None, |platform, _| {
            let ids: Vec<_> = platform.workspaces().cloned().collect();
            let listed = ids.into_iter().filter_map(|id| {
                let view = platform.workspace(&id)?;
                if !is_somebodys(&view) {
                    return None;
                }
                let token = platform.newest_token(&id).map(|token| token.expose().to_owned());
                Some(Listed { name: view.name, id: id.to_string(), status: view.status.as_str().to_owned(), token })
            });
            let mut listed: Vec<Listed> = listed.collect();
            listed.sort_by(|one, other| (&one.name, &one.id).cmp(&(&other.name, &other.id)));
            (platform.dialect().to_string(), listed)
        });
        let (dialect, workspaces) = read.map_err(|error| failed("the state cannot be read", &error))?;
        Ok(Self {
            url: dev.url().to_owned(),
            page: dev.page_url(),
            admin_token: dev.admin_token(),
            dialect,
            file: file.map(|file| file.display().to_string()),
            replayed: dev.opened().map_or(0, |opened| opened.lines),
            workspaces,
        })
    }

    fn text(&self) -> String {
        let state = match (&self.file, self.replayed) {
            (None, _) => "in memory, lost at the end".to_owned(),
            (Some(file), 0) => format!("{file}, new"),
            // Its header is a line as well.
            (Some(file), lines) => format!("{file}, {} lines", lines + 1),
        };
        let mut text = format!(
            "Page:         {}\nAdmin token:  {}\nServer:       {} ({})\nState:        {state}\n",
            self.page, self.admin_token, self.url, self.dialect
        );
        let ready = self.workspaces.iter().find_map(|workspace| Some((workspace, workspace.token.as_ref()?)));
        if let Some((Listed { name, id, .. }, token)) = ready {
            let name = printable::line(name);
            // What is lost at the end shall leave nothing behind.
            let home = if self.file.is_none() { " MOLECULE_HOME=':memory:'" } else { "" };
            text.push_str(&format!(
                "\nAn agent for the workspace {name}, in another terminal:\n\
                 export PLATFORM_URL={} WORKSPACE_ID={id}\nexport MOLECULE_WORKSPACE_TOKEN={token}{home}\nmolecule run --echo\n",
                self.url
            ));
        }
        text.push_str("\nCtrl-C stops it.");
        text
    }
}
