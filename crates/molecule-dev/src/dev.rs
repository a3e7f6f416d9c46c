//! A platform with its page and its log, from its start to its stop.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use molecule_platform::serve::{Server, serve_with};
use molecule_platform::{Dialect, DispatchFault, Input, Platform};

use crate::clock::Clock;
use crate::front::DevFront;
use crate::log::{self, Header, Held, Log, Note, Opened, Start, Store};
use crate::options::Options;
use crate::setup::Scenario;
use crate::world::Folded;
use crate::{World, port, setup};

/// A platform that runs on this machine. It stops when it is dropped.
#[derive(Debug)]
pub struct Dev {
    world: World,
    server: Option<Server>,
    url: String,
    opened: Option<Opened>,
    set_aside: Option<PathBuf>,
}

impl Dev {
    /// Starts a platform: replays its log, or begins one, and serves it on 127.0.0.1.
    ///
    /// # Errors
    /// [`io::ErrorKind::AddrInUse`] if the port is taken, [`io::ErrorKind::ResourceBusy`] if another process holds the
    /// log, [`io::ErrorKind::InvalidData`] if a line of it is not readable, [`io::ErrorKind::InvalidInput`] if it has
    /// another dialect than the options ask for, if a scenario makes no sense, or if browsers refuse the port, and the errors of files and sockets.
    pub fn start(options: Options) -> io::Result<Self> {
        // The port first: a start that fails leaves no file.
        let listener = port::bind(options.port)?;
        let scenario = options.scenario.as_deref().map(Scenario::read).transpose()?;
        let address = listener.local_addr()?;
        let set_aside = match &options.file {
            Some(path) if options.fresh => set_aside(path)?,
            _ => None,
        };
        let store = match &options.file {
            Some(path) => Store::open(path)?,
            None => Store::memory(),
        };
        let mut folded = Folded::default();
        let (log, platform, clock, opened) = match log::replay(store, |line, entry, step, platform| {
            folded.see(line, entry, step, Some(platform));
        })? {
            Start::Empty(store) => {
                let clock = Clock::after(None, Duration::ZERO);
                let header = Header::new(options.dialect.unwrap_or(Dialect::Current), clock.now().unix);
                let platform = Platform::new(header.config());
                (Log::begin(header, store)?, platform, clock, None)
            }
            Start::Replayed(replayed) => {
                check_dialect(&options, replayed.log.header.dialect)?;
                let clock = Clock::after(replayed.last, replayed.forward);
                (replayed.log, replayed.platform, clock, Some(replayed.opened))
            }
        };
        let world = World::new(log, folded, clock, address.port());
        let mismatches = opened.as_ref().map_or(0, |opened| opened.mismatched);
        world.note(Note::Started { model: env!("CARGO_PKG_VERSION").to_owned(), mismatches });
        let (calls, streams) = (platform.open_calls(), platform.streams().collect::<Vec<_>>());
        let front = Arc::new(DevFront(world.clone()));
        // The front, the server and the world have each other: whoever stops takes the server from the world.
        let server = serve_with(platform, listener, front, |handle| world.serve_at(Some(handle)))
            .inspect_err(|_| world.serve_at(None))?;
        let url = server.url();
        let dev = Self { world, server: Some(server), url, opened, set_aside };
        // Whoever waited at the last run's end is gone.
        for id in calls {
            dev.world.apply(Input::Dispatched { id, outcome: Err(DispatchFault::Closed) });
        }
        for ticket in streams {
            dev.world.apply(Input::CloseStream { ticket });
        }
        let held = Held { pid: std::process::id(), url: dev.url.clone(), token: dev.admin_token() };
        dev.world.with_store(|store| store.hold(&held))?;
        if dev.opened.is_none() {
            dev.set_up(scenario.as_ref(), &options)?;
        }
        Ok(dev)
    }

    /// Performs the acts of the first start. If a scenario cannot be performed, nothing is left of it.
    fn set_up(&self, scenario: Option<&Scenario>, options: &Options) -> io::Result<()> {
        match scenario {
            Some(scenario) => scenario.perform(&self.world).inspect_err(|_| {
                if let Some(path) = &options.file {
                    // What is left is a log with a part of the scenario, and its error is told anyway.
                    let _ = std::fs::remove_file(path);
                }
            }),
            None => {
                if !options.empty {
                    setup::examples(&self.world);
                }
                Ok(())
            }
        }
    }

    /// The base URL for agents and for the page, without a slash at its end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The URL to open in a browser. Its fragment is the administrator's bearer, which no request line carries.
    pub fn page_url(&self) -> String {
        format!("{}/#token={}", self.url, self.admin_token())
    }

    /// The administrator's bearer, for the platform's own routes and for the page.
    pub fn admin_token(&self) -> String {
        self.world.admin_token()
    }

    /// What happens on it, and what happened.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// What an existing log was like; `None` if it is a new one.
    pub fn opened(&self) -> Option<&Opened> {
        self.opened.as_ref()
    }

    /// Where the old log went that a fresh start set aside.
    pub fn set_aside(&self) -> Option<&Path> {
        self.set_aside.as_deref()
    }

    /// Stops it, and writes the log to the disk. Returns when every connection is closed.
    ///
    /// # Errors
    /// The errors of writing to the disk.
    pub fn stop(mut self) -> io::Result<()> {
        self.end()
    }

    fn end(&mut self) -> io::Result<()> {
        let Some(server) = self.server.take() else { return Ok(()) };
        server.stop();
        self.world.serve_at(None);
        self.world.finish()?;
        self.world.with_store(Store::release);
        Ok(())
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        // Nobody hears of it: `stop` returns the error.
        let _ = self.end();
    }
}

fn check_dialect(options: &Options, found: Dialect) -> io::Result<()> {
    match options.dialect {
        Some(asked) if asked != found => {
            let text = format!(
                "the log is one of the dialect {found}, not {asked}: name another with --file, or set it aside with --fresh"
            );
            Err(io::Error::new(io::ErrorKind::InvalidInput, text))
        }
        Some(_) | None => Ok(()),
    }
}

/// Renames a log, so that a new one can be begun; `None` if there is none.
fn set_aside(path: &Path) -> io::Result<Option<PathBuf>> {
    if !path.exists() {
        return Ok(None);
    }
    // It must not be taken from a process that runs on it.
    drop(Store::open(path)?);
    let names = (1u32..).map(|number| {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{number}"));
        path.with_file_name(name)
    });
    let free = names.into_iter().find(|name| !name.exists()).expect("there are names without end");
    std::fs::rename(path, &free)?;
    Ok(Some(free))
}
