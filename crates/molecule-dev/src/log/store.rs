//! Where a log's bytes are: in a file that one process holds, or in memory.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The pause between two writes to the disk.
const SYNC: Duration = Duration::from_millis(100);

/// The bytes of a log.
#[derive(Debug)]
pub(crate) enum Store {
    /// In memory, lost at the end.
    Memory(Vec<u8>),
    /// In a file.
    File(LogFile),
}

/// A file that this process holds alone.
#[derive(Debug)]
pub(crate) struct LogFile {
    path: PathBuf,
    file: File,
    reader: Mutex<BufReader<File>>,
    len: u64,
    syncer: Syncer,
}

/// Who holds a log, in a file beside it. It is of use only while the log is locked.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Held {
    pub(crate) pid: u32,
    pub(crate) url: String,
    /// The administrator's bearer.
    pub(crate) token: String,
}

impl Held {
    fn path(log: &Path) -> PathBuf {
        let mut name = log.file_name().unwrap_or_default().to_owned();
        name.push(".server");
        log.with_file_name(name)
    }

    /// Who runs on a log; `None` if nobody does, or if it cannot be read.
    pub(crate) fn read(log: &Path) -> Option<Self> {
        let file = File::open(log).ok()?;
        match file.try_lock_shared() {
            Ok(()) => None,
            Err(TryLockError::WouldBlock) => serde_json::from_slice(&std::fs::read(Self::path(log)).ok()?).ok(),
            Err(TryLockError::Error(_)) => None,
        }
    }
}

impl Store {
    /// Opens a file for this process alone, and creates it if there is none.
    ///
    /// # Errors
    /// [`io::ErrorKind::ResourceBusy`] if another process holds it, with that one's URL and number.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path).map_err(named)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(in_use(path)),
            Err(TryLockError::Error(error)) => return Err(named(error)),
        }
        // It has credentials, also if somebody made it readable.
        #[cfg(unix)]
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).map_err(named)?;
        let reader = Mutex::new(BufReader::with_capacity(1 << 16, File::open(path).map_err(named)?));
        let len = file.metadata().map_err(named)?.len();
        let syncer = Syncer::new(file.try_clone().map_err(named)?)?;
        Ok(Self::File(LogFile { path: path.to_owned(), file, reader, len, syncer }))
    }

    /// The number of bytes.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File(file) => file.len,
        }
    }

    pub(crate) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Memory(all) => all.extend_from_slice(bytes),
            Self::File(file) => {
                if let Err(error) = file.file.write_all(bytes) {
                    // Half a line is worse than none.
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
            Self::Memory(bytes) => bytes.truncate(usize::try_from(len).unwrap_or(usize::MAX)),
            Self::File(file) => {
                file.file.set_len(len)?;
                file.len = len;
            }
        }
        Ok(())
    }

    /// The line that starts at a byte, with its end.
    pub(crate) fn line_at(&self, at: u64) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        match self {
            Self::Memory(bytes) => {
                let rest = bytes.get(usize::try_from(at).unwrap_or(usize::MAX)..).unwrap_or_default();
                let end = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |end| end + 1);
                line.extend_from_slice(&rest[..end]);
            }
            Self::File(file) => {
                let mut reader = file.reader.lock().unwrap_or_else(PoisonError::into_inner);
                let here = reader.stream_position()?;
                // A move within the buffer keeps it.
                reader.seek_relative(at.cast_signed().wrapping_sub(here.cast_signed()))?;
                reader.read_until(b'\n', &mut line)?;
            }
        }
        Ok(line)
    }

    /// Copies all bytes.
    pub(crate) fn copy_to(&self, writer: &mut dyn Write, len: u64) -> io::Result<()> {
        match self {
            Self::Memory(bytes) => {
                writer.write_all(&bytes[..usize::try_from(len).unwrap_or(usize::MAX).min(bytes.len())])
            }
            Self::File(file) => {
                let mut from = File::open(&file.path)?;
                from.seek(SeekFrom::Start(0))?;
                io::copy(&mut from.take(len), writer).map(drop)
            }
        }
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
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(path)?.write_all(&serde_json::to_vec(held)?)
    }

    /// Lets others have the log. It is not written any more.
    pub(crate) fn release(&self) {
        if let Self::File(file) = self {
            let _ = std::fs::remove_file(Held::path(&file.path));
            // It is unlocked at the latest when it is closed.
            let _ = file.file.unlock();
        }
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
