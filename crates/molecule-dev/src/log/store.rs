//! Where a log's bytes are: in a file that one process holds, or in memory.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The pause between two writes to the disk.
const SYNC: Duration = Duration::from_millis(100);

/// The bytes of a log.
#[derive(Debug)]
pub(crate) enum Store {
    /// In memory, lost at the end.
    Memory(Arc<RwLock<Vec<u8>>>),
    /// In a file.
    File(LogFile),
}

/// A file that this process holds alone.
#[derive(Debug)]
pub(crate) struct LogFile {
    path: PathBuf,
    file: File,
    lock: File,
    len: u64,
    syncer: Syncer,
}

/// Who holds a log, in a file beside it. It is of use only while the log is locked.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Held {
    pub(crate) pid: u32,
    pub(crate) url: String,
    /// The administrator's bearer.
    pub(crate) token: String,
}

impl Held {
    fn path(log: &Path) -> PathBuf {
        beside(log, ".server")
    }

    /// Who runs on a log; `None` if nobody does, or if it cannot be read.
    pub(crate) fn read(log: &Path) -> Option<Self> {
        match File::open(lock_path(log)).ok()?.try_lock_shared() {
            Err(TryLockError::WouldBlock) => serde_json::from_slice(&std::fs::read(Self::path(log)).ok()?).ok(),
            Ok(()) | Err(TryLockError::Error(_)) => None,
        }
    }
}

/// The file whose lock says that somebody runs on a log. A lock of Unix keeps no reader out, so that it is the log itself.
/// One of Windows does, so that it is a file of its own.
fn lock_path(log: &Path) -> PathBuf {
    if cfg!(windows) { beside(log, ".lock") } else { log.to_owned() }
}

fn beside(log: &Path, end: &str) -> PathBuf {
    let mut name = log.file_name().unwrap_or_default().to_owned();
    name.push(end);
    log.with_file_name(name)
}

impl Store {
    /// No bytes, in memory.
    pub(crate) fn memory() -> Self {
        Self::Memory(Arc::default())
    }

    /// Opens a file for this process alone, and creates it if there is none.
    ///
    /// # Errors
    /// [`io::ErrorKind::ResourceBusy`] if another process holds it, with that one's URL and number.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        // A device would lose what is written, and its permissions are not ours to change.
        if std::fs::metadata(path).is_ok_and(|found| !found.is_file()) {
            return Err(named(io::Error::new(io::ErrorKind::InvalidInput, "it is no file; name one with --file")));
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let lock = options.open(lock_path(path)).map_err(named)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(in_use(path)),
            Err(TryLockError::Error(error)) => return Err(named(error)),
        }
        let mut file =
            if cfg!(windows) { options.open(path).map_err(named)? } else { lock.try_clone().map_err(named)? };
        // It has credentials, also if somebody made it readable.
        #[cfg(unix)]
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).map_err(named)?;
        let len = file.seek(SeekFrom::End(0)).map_err(named)?;
        let syncer = Syncer::new(file.try_clone().map_err(named)?)?;
        Ok(Self::File(LogFile { path: path.to_owned(), file, lock, len, syncer }))
    }

    /// Lets every further write fail, as a full disk does.
    #[cfg(test)]
    pub(crate) fn fill(&mut self) {
        if let Self::File(file) = self
            && let Ok(readable) = File::open(&file.path)
        {
            file.file = readable;
        }
    }

    /// A new file for its owner alone, for a copy.
    pub(crate) fn create(path: &Path) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(path).map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
    }

    /// The number of bytes.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Memory(bytes) => read(bytes).len() as u64,
            Self::File(file) => file.len,
        }
    }

    pub(crate) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Memory(all) => all.write().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes),
            Self::File(file) => {
                if let Err(error) = file.file.write_all(bytes) {
                    // Half a line is worse than none; a start would cut it as well.
                    let _ = file.file.set_len(file.len);
                    return Err(error);
                }
                file.len += bytes.len() as u64;
                file.syncer.changed();
            }
        }
        Ok(())
    }

    /// Cuts everything after a number of bytes.
    pub(crate) fn cut(&mut self, len: u64) -> io::Result<()> {
        match self {
            Self::Memory(bytes) => {
                let len = usize::try_from(len).unwrap_or(usize::MAX);
                bytes.write().unwrap_or_else(PoisonError::into_inner).truncate(len);
            }
            Self::File(file) => {
                file.file.set_len(len)?;
                file.file.seek(SeekFrom::End(0))?;
                file.len = len;
            }
        }
        Ok(())
    }

    /// A reader of the bytes so far, with a position of its own.
    pub(super) fn source(&self) -> io::Result<Source> {
        Ok(match self {
            Self::Memory(bytes) => Source::Memory(Arc::clone(bytes), self.len()),
            Self::File(file) => {
                let reader = BufReader::with_capacity(1 << 16, File::open(&file.path)?);
                Source::File { reader, at: 0, len: file.len }
            }
        })
    }

    /// Writes what the operating system still holds to the disk.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        match self {
            Self::Memory(_) => Ok(()),
            Self::File(file) => file.file.sync_data(),
        }
    }

    /// The file, if there is one.
    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Self::Memory(_) => None,
            Self::File(file) => Some(&file.path),
        }
    }

    /// Says beside the log who runs on it.
    pub(crate) fn hold(&self, held: &Held) -> io::Result<()> {
        let Some(path) = self.path() else { return Ok(()) };
        let path = Held::path(path);
        // A file that exists keeps its permissions.
        let _ = std::fs::remove_file(&path);
        Self::create(&path)?.write_all(&serde_json::to_vec(held)?)
    }

    /// Lets others have the log. It is not written any more.
    pub(crate) fn release(&self) {
        if let Self::File(file) = self {
            let _ = std::fs::remove_file(Held::path(&file.path));
            // It is unlocked at the latest when it is closed.
            let _ = file.lock.unlock();
        }
    }
}

fn read(bytes: &RwLock<Vec<u8>>) -> RwLockReadGuard<'_, Vec<u8>> {
    bytes.read().unwrap_or_else(PoisonError::into_inner)
}

/// Bytes of a log, as many as it had when the source was made.
#[derive(Debug)]
pub(super) enum Source {
    Memory(Arc<RwLock<Vec<u8>>>, u64),
    File { reader: BufReader<File>, at: u64, len: u64 },
}

impl Source {
    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Memory(_, len) | Self::File { len, .. } => *len,
        }
    }

    /// The line that starts at a byte, with its end.
    pub(super) fn line_at(&mut self, from: u64) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        match self {
            Self::Memory(bytes, _) => {
                let bytes = read(bytes);
                let rest = bytes.get(usize::try_from(from).unwrap_or(usize::MAX)..).unwrap_or_default();
                let end = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |end| end + 1);
                line.extend_from_slice(&rest[..end]);
            }
            Self::File { reader, at, .. } => {
                // A move within the buffer keeps it.
                reader.seek_relative(from.cast_signed().wrapping_sub(at.cast_signed()))?;
                *at = from;
                *at += reader.read_until(b'\n', &mut line)? as u64;
            }
        }
        Ok(line)
    }

    /// All bytes from the first one on.
    pub(super) fn rewound(&mut self) -> io::Result<Box<dyn Read + '_>> {
        Ok(match self {
            Self::Memory(bytes, _) => Box::new(io::Cursor::new(read(bytes).clone())),
            Self::File { reader, at, .. } => {
                reader.seek(SeekFrom::Start(0))?;
                // The position is unknown afterwards; the next line is looked for from the start.
                *at = 0;
                Box::new(Rewound(reader))
            }
        })
    }
}

/// A reader that stands at the start again when it is dropped.
struct Rewound<'a>(&'a mut BufReader<File>);

impl Read for Rewound<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Drop for Rewound<'_> {
    fn drop(&mut self) {
        // A reader that cannot be rewound fails at its next line.
        let _ = self.0.seek(SeekFrom::Start(0));
    }
}

fn in_use(path: &Path) -> io::Error {
    let who = match Held::read(path) {
        Some(held) => format!("by the process {} at {}", held.pid, held.url),
        None => "by another process".to_owned(),
    };
    let text = format!("{} is in use {who}: stop it, or name another file with --file", path.display());
    io::Error::new(io::ErrorKind::ResourceBusy, text)
}

/// A thread that writes a file to the disk soon after it changed.
#[derive(Debug)]
struct Syncer {
    state: Arc<(Mutex<SyncState>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct SyncState {
    changed: bool,
    ended: bool,
}

impl Syncer {
    fn new(file: File) -> io::Result<Self> {
        let state = Arc::new((Mutex::new(SyncState::default()), Condvar::new()));
        let shared = Arc::clone(&state);
        let thread = std::thread::Builder::new().name("molecule-dev-log".to_owned()).spawn(move || {
            let (state, woken) = &*shared;
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            loop {
                state = woken.wait_while(state, |s| !s.changed && !s.ended).unwrap_or_else(PoisonError::into_inner);
                // The pause ends early at the end of the log.
                let paused = woken.wait_timeout_while(state, SYNC, |s| !s.ended);
                state = paused.unwrap_or_else(PoisonError::into_inner).0;
                let ended = state.ended;
                if std::mem::take(&mut state.changed) {
                    drop(state);
                    // The writer notices a disk that fails.
                    let _ = file.sync_data();
                    state = shared.0.lock().unwrap_or_else(PoisonError::into_inner);
                }
                if ended {
                    return;
                }
            }
        })?;
        Ok(Self { state, thread: Some(thread) })
    }

    fn changed(&self) {
        let mut state = self.state.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::mem::replace(&mut state.changed, true) {
            self.state.1.notify_one();
        }
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        self.state.0.lock().unwrap_or_else(PoisonError::into_inner).ended = true;
        self.state.1.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
