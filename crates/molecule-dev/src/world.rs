//! What happens on a platform, and what happened: the one entry of the page, the API and tests.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use molecule_platform::serve::Handle;
use molecule_platform::{Act, Acted, Input, Now, Platform, Recorded, Step};
use tokio::sync::watch;

use crate::clock::Clock;
use crate::guard::Guard;
use crate::log::{Entry, Log, Note};

/// A platform that runs, with its log. Clones are handles to the same one.
#[derive(Debug, Clone)]
pub struct World(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    clock: Clock,
    /// The server, while it runs.
    handle: RwLock<Option<Handle>>,
    port: u16,
    newest: watch::Sender<u64>,
    book: Mutex<Book>,
}

/// The log, and what is known of it without reading it.
#[derive(Debug)]
struct Book {
    log: Log,
    /// States as of some lines, from which later ones are replayed.
    checkpoints: BTreeMap<u64, Platform>,
    /// Why the log can no longer be written.
    broken: Option<String>,
}

impl World {
    pub(crate) fn new(log: Log, clock: Clock, port: u16) -> Self {
        let newest = watch::Sender::new(log.line());
        let book = Mutex::new(Book { log, checkpoints: BTreeMap::new(), broken: None });
        Self(Arc::new(Inner { clock, handle: RwLock::new(None), port, newest, book }))
    }

    /// Says which server acts for it; `None` when it has stopped.
    pub(crate) fn serve_at(&self, handle: Option<Handle>) {
        *self.0.handle.write().unwrap_or_else(PoisonError::into_inner) = handle;
    }

    /// The checks of requests.
    pub(crate) fn guard(&self) -> Guard {
        Guard::new(self.0.port, self.admin_token())
    }

    /// The base URL for agents and for the page, without a slash at its end.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.0.port)
    }

    /// The platform's time.
    pub fn now(&self) -> Now {
        self.0.clock.now()
    }

    /// The number of receivers of [`changes`](Self::changes).
    pub(crate) fn watchers(&self) -> usize {
        self.0.newest.receiver_count()
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.0.clock
    }

    fn handle(&self) -> io::Result<Handle> {
        let handle = self.0.handle.read().unwrap_or_else(PoisonError::into_inner).clone();
        handle.ok_or_else(|| io::Error::new(io::ErrorKind::NotConnected, "the platform has stopped"))
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest line of the log.
    pub fn line(&self) -> u64 {
        *self.0.newest.borrow()
    }

    /// Hears of each new line of the log.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.newest.subscribe()
    }

    /// The administrator's bearer.
    pub fn admin_token(&self) -> String {
        self.book().log.header.admin_token.expose().to_owned()
    }

    /// Performs an act of an owner. A platform that has stopped refuses it.
    pub fn act(&self, act: Act) -> Acted {
        match self.handle() {
            Ok(handle) => handle.act(act),
            Err(error) => Acted::Refused { why: error.to_string() },
        }
    }

    /// Passes an input that is neither a request nor an act.
    pub(crate) fn apply(&self, input: Input) {
        if let Ok(handle) = self.handle() {
            handle.apply(input);
        }
    }

    /// Inspects the platform: now, or as it was after a line of the log.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] for a line that the log does not have, [`io::ErrorKind::NotConnected`] for the state
    /// now after the stop, and the errors of reading the log.
    pub fn read<T>(&self, at: Option<u64>, look: impl FnOnce(&Platform, Now) -> T) -> io::Result<T> {
        let Some(line) = at else { return Ok(self.handle()?.read(look)) };
        let (platform, now) = self.as_of(line)?;
        Ok(look(&platform, now))
    }

    /// The state after a line, and the line's time.
    fn as_of(&self, line: u64) -> io::Result<(Platform, Now)> {
        let mut book = self.book();
        if line == 0 || line > book.log.line() {
            let text = format!("the log has lines 1 to {}, not {line}", book.log.line());
            return Err(io::Error::new(io::ErrorKind::NotFound, text));
        }
        let checkpoint = book.checkpoints.range(..=line).next_back();
        let (from, mut platform) = match checkpoint {
            Some((from, platform)) => (*from, platform.clone()),
            None => (1, Platform::new(book.log.header.config())),
        };
        let mut now = Now::default();
        book.log.each(from..=line, |number, entry| {
            now = entry.at();
            if let Entry::Input(recorded) = entry
                && number > from
            {
                let _ = recorded.replay(&mut platform);
            }
            true
        })?;
        book.checkpoints.insert(line, platform.clone());
        while book.checkpoints.len() > MOST_CHECKPOINTS {
            book.checkpoints.pop_first();
        }
        Ok((platform, now))
    }

    /// Writes an input to the log.
    pub(crate) fn record(&self, now: Now, input: &Input, step: &Step) {
        let recorded = Recorded { at: now, input: input.clone(), digest: Some(step.digest()) };
        self.append(&Entry::Input(recorded));
    }

    /// Writes a note to the log.
    pub(crate) fn note(&self, note: Note) {
        self.append(&Entry::Note(self.0.clock.now(), note));
    }

    fn append(&self, entry: &Entry) {
        let mut book = self.book();
        if book.broken.is_some() {
            return;
        }
        match book.log.append(entry) {
            Ok(line) => drop(self.0.newest.send_replace(line)),
            Err(error) => book.broken = Some(error.to_string()),
        }
    }

    /// Why the log can no longer be written; the platform takes no requests then.
    pub fn trouble(&self) -> Option<String> {
        self.book().broken.clone()
    }

    /// Writes the log to the disk.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.book().log.sync()
    }

    pub(crate) fn with_log<T>(&self, act: impl FnOnce(&mut Log) -> T) -> T {
        act(&mut self.book().log)
    }
}

/// The most states that are kept.
const MOST_CHECKPOINTS: usize = 8;
