//! What happens on a platform, and what happened: the one entry of the page, the API and tests.

mod again;
mod folded;
mod past;

pub(crate) use folded::Folded;

use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use molecule_platform::serve::Handle;
use molecule_platform::{Act, Acted, Input, Now, Platform, Recorded, Step};
use molecule_proto::WorkspaceId;
use tokio::sync::watch;

use crate::chaos::{Chaos, Fault};
use crate::clock::Clock;
use crate::exchange::ExchangeKind;
use crate::graph::Edge;
use crate::guard::Guard;
use crate::log::{Entry, Log, Note, Reader, Repeats, Store, Verdict};
use crate::{curl, export};

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
    folded: Folded,
    repeats: Repeats,
    /// Why the log can no longer be written.
    broken: Option<String>,
}

impl World {
    pub(crate) fn new(log: Log, folded: Folded, clock: Clock, port: u16) -> Self {
        let newest = watch::Sender::new(log.line());
        let book = Mutex::new(Book { log, folded, repeats: Repeats::default(), broken: None });
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

    /// By how much the platform's time is ahead of this machine's.
    pub fn ahead(&self) -> Duration {
        self.0.clock.ahead()
    }

    /// The number of receivers of [`changes`](Self::changes).
    pub(crate) fn watchers(&self) -> usize {
        self.0.newest.receiver_count()
    }

    fn handle(&self) -> io::Result<Handle> {
        let handle = self.0.handle.read().unwrap_or_else(PoisonError::into_inner).clone();
        handle.ok_or_else(|| io::Error::new(io::ErrorKind::NotConnected, "the platform has stopped"))
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reader(&self) -> io::Result<Reader> {
        self.book().log.reader()
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

    /// The file of the log; `None` if it is in memory.
    pub fn file(&self) -> Option<std::path::PathBuf> {
        self.book().log.store().path().map(Path::to_owned)
    }

    /// Performs an act of an owner. A platform that has stopped, or whose log cannot be written, refuses it.
    pub fn act(&self, act: Act) -> Acted {
        if let Some(why) = self.trouble() {
            return Acted::Refused { why: format!("the log cannot be written: {why}") };
        }
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

    /// Moves the clock of the platform forward, so that what time changes happens now.
    pub fn forward(&self, by: Duration) {
        // The clock has whole milliseconds, and an hour too many is no reason to overflow.
        let ms = u64::try_from(by.as_millis()).unwrap_or(u64::MAX).min(MOST_FORWARD_MS);
        // Nothing is recorded between the note and the wake with an earlier time: the note changes no state.
        self.note(Note::Forward { ms });
        self.0.clock.forward(Duration::from_millis(ms));
        self.apply(Input::Wake);
    }

    /// The faults that are provoked now.
    pub fn chaos(&self) -> Chaos {
        self.book().folded.chaos().clone()
    }

    /// Sets the faults that are provoked from now on.
    pub fn set_chaos(&self, chaos: Chaos) {
        self.note(Note::Chaos(chaos));
    }

    /// The fault that a request meets. It is one of an agent if it has the agent's bearer or the agent's path.
    pub(crate) fn fault(&self, path: &str, bearer: Option<&str>) -> Option<Fault> {
        let chaos = self.chaos();
        if chaos.rules.is_empty() {
            return None;
        }
        let sender = bearer.and_then(|bearer| {
            let handle = self.handle().ok()?;
            handle.read(|platform, _| platform.bearer_of(bearer).cloned())
        });
        let named: Vec<WorkspaceId> = path.split('/').filter_map(|segment| segment.parse().ok()).collect();
        chaos.find(path, |id| sender.as_ref() == Some(id) || named.contains(id))
    }

    /// Who calls whom, with counts.
    pub fn graph(&self) -> Vec<Edge> {
        self.book().folded.graph()
    }

    /// Writes the log up to a line into a new file, which `molecule dev --file` then opens.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] if there is such a file, and the errors of reading and writing.
    pub fn fork(&self, line: u64, path: &Path) -> io::Result<()> {
        let mut reader = self.reader()?;
        check(line, &reader)?;
        reader.copy_to(Some(line), &mut Store::create(path)?)
    }

    /// Writes the log, with its credentials, or with placeholders in their place. Either replays.
    ///
    /// # Errors
    /// The errors of reading and writing.
    pub fn export(&self, writer: &mut dyn Write, blank: bool) -> io::Result<()> {
        export::copy(&mut self.reader()?, writer, blank)
    }

    /// A Rust test that repeats what happened, up to a line. It needs `molecule-platform` and `serde_json`; the
    /// credentials in it are placeholders.
    ///
    /// # Errors
    /// The errors of reading the log.
    pub fn export_test(&self, to: Option<u64>) -> io::Result<String> {
        export::test(&mut self.reader()?, to)
    }

    /// The `curl` command that sends a line's request again; the bearer is `$TOKEN`.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] if the line is no request, and the errors of reading the log.
    pub fn curl(&self, line: u64) -> io::Result<String> {
        match self.plain_exchange(line)?.kind {
            ExchangeKind::Request { request, .. } => Ok(curl::command(&self.url(), &request)),
            _ => Err(io::Error::new(io::ErrorKind::InvalidInput, format!("line {line} is no client's request"))),
        }
    }

    /// Writes an input to the log.
    pub(crate) fn record(&self, now: Now, input: &Input, step: &Step, platform: &Platform) {
        let digest = step.digest();
        let mut book = self.book();
        match book.repeats.judge(now, input, step, &digest, platform) {
            Verdict::Count => return,
            Verdict::FlushAndWrite => self.flush(&mut book, now),
            Verdict::Write => {}
        }
        let about = book.folded.about(input);
        let recorded = Recorded::new(now, input.clone()).digest(digest);
        let line = book.log.line() + 1;
        book.repeats.wrote(line, &recorded);
        self.append(&mut book, Entry::Input(recorded, about), Some(step), Some(platform));
    }

    /// Writes the lines of the reads that were counted.
    fn flush(&self, book: &mut Book, now: Now) {
        for entry in book.repeats.flush(now) {
            self.append(book, entry, None, None);
        }
    }

    /// Writes what is still to be written to the log, and the log to the disk.
    pub(crate) fn finish(&self) -> io::Result<()> {
        let mut book = self.book();
        let now = self.now();
        self.flush(&mut book, now);
        book.log.sync()
    }

    /// Writes a note to the log.
    pub(crate) fn note(&self, note: Note) {
        let mut book = self.book();
        let now = self.now();
        self.flush(&mut book, now);
        self.append(&mut book, Entry::Note(now, note), None, None);
    }

    fn append(&self, book: &mut Book, entry: Entry, step: Option<&Step>, platform: Option<&Platform>) {
        if book.broken.is_some() {
            return;
        }
        match book.log.append(&entry) {
            Ok(line) => {
                book.folded.see(line, &entry, step, platform);
                self.0.newest.send_replace(line);
            }
            Err(error) => book.broken = Some(error.to_string()),
        }
    }

    /// Lets the log be one that can no longer be written.
    #[cfg(test)]
    pub(crate) fn break_log(&self, why: &str) {
        self.book().broken = Some(why.to_owned());
    }

    /// Why the log can no longer be written; the platform takes no requests then.
    pub fn trouble(&self) -> Option<String> {
        self.book().broken.clone()
    }

    pub(crate) fn with_store<T>(&self, act: impl FnOnce(&Store) -> T) -> T {
        act(self.book().log.store())
    }
}

/// The farthest that the clock is moved at once: a year.
const MOST_FORWARD_MS: u64 = 366 * 24 * 3600 * 1000;

/// Refuses a line that a log does not have.
pub(crate) fn check(line: u64, reader: &Reader) -> io::Result<()> {
    if (1..=reader.last()).contains(&line) {
        return Ok(());
    }
    let text = format!("the log has lines 1 to {}, not {line}", reader.last());
    Err(io::Error::new(io::ErrorKind::NotFound, text))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::{Read, Write};

    use super::*;
    use crate::{Dev, Options};

    fn get(dev: &Dev, path: &str) -> String {
        let address = dev.url().strip_prefix("http://").unwrap();
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn a_log_that_cannot_be_written_is_told_and_nothing_more_is_accepted() {
        let folder = std::env::temp_dir().join(format!("molecule-dev-full-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("log.jsonl");
        let dev = Dev::start(Options::at(&file).empty(true)).unwrap();
        assert!(get(&dev, "/health").starts_with("HTTP/1.1 200"));
        let whole = std::fs::read(&file).unwrap();
        dev.world().book().log.fill();
        // This one is answered, and not in the log.
        assert!(get(&dev, "/health").starts_with("HTTP/1.1 200"));
        let refused = get(&dev, "/health");
        assert!(refused.starts_with("HTTP/1.1 503") && refused.contains("the log cannot be written"), "{refused}");
        assert!(dev.world().trouble().is_some());
        assert!(matches!(dev.world().act(Act::SetDatabaseDown { down: true }), Acted::Refused { .. }));
        assert!(get(&dev, "/").starts_with("HTTP/1.1 200"), "the page still says what is wrong");
        drop(dev);
        assert_eq!(std::fs::read(&file).unwrap(), whole, "no half line is left");
        let dev = Dev::start(Options::at(&file)).unwrap();
        assert_eq!(dev.opened().unwrap().mismatched, 0);
        assert!(get(&dev, "/health").starts_with("HTTP/1.1 200"));
        drop(dev);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
