//! One output stream of a script: it is read to its end, and a limited number of its last bytes is stored.

use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::cancel::Cancel;

/// The size of a pipe's buffer on most systems.
const PIECE: usize = 64 * 1024;

/// An output that a separate thread reads. Dropping this does not end the thread: a process that the script left can
/// write on without an error.
pub(super) struct Output(Arc<Shared>);

struct Shared {
    tail: Mutex<Tail>,
    over: AtomicBool,
}

impl Output {
    /// Reads until the last writer has closed the pipe, and then wakes the threads that wait on `cancel`.
    pub(super) fn drain(pipe: Option<impl Read + Send + 'static>, keep: usize, cancel: &Cancel) -> io::Result<Self> {
        let pipe = pipe.ok_or_else(|| io::Error::other("it was started without a pipe"))?;
        let shared = Arc::new(Shared { tail: Mutex::new(Tail::new(keep)), over: AtomicBool::new(false) });
        let (theirs, cancel) = (Arc::clone(&shared), cancel.clone());
        thread::Builder::new().name("setup.sh output".to_owned()).spawn(move || {
            read(pipe, &theirs);
            theirs.over.store(true, Ordering::Release);
            cancel.look_again();
        })?;
        Ok(Self(shared))
    }

    /// Returns whether the last writer has closed the pipe and everything is read.
    pub(super) fn is_over(&self) -> bool {
        self.0.over.load(Ordering::Acquire)
    }

    /// The last bytes so far, at most `keep`.
    pub(super) fn tail(&self) -> Vec<u8> {
        self.0.tail().last().to_vec()
    }
}

impl Shared {
    fn tail(&self) -> MutexGuard<'_, Tail> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(mut pipe: impl Read, shared: &Shared) {
    let mut piece = vec![0; PIECE];
    loop {
        match pipe.read(&mut piece) {
            Ok(0) => return,
            Ok(length) => shared.tail().push(&piece[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // After an error, the bytes read so far are the output.
            Err(_) => return,
        }
    }
}

/// The last `keep` bytes of a stream, in a buffer of at most twice `keep`, or `keep` and one piece.
struct Tail {
    bytes: Vec<u8>,
    keep: usize,
}

impl Tail {
    fn new(keep: usize) -> Self {
        Self { bytes: Vec::new(), keep }
    }

    fn push(&mut self, piece: &[u8]) {
        if self.bytes.len() + piece.len() > self.keep.saturating_mul(2) {
            let kept = self.keep.saturating_sub(piece.len()).min(self.bytes.len());
            self.bytes.drain(..self.bytes.len() - kept);
        }
        self.bytes.extend_from_slice(&piece[piece.len().saturating_sub(self.keep)..]);
    }

    fn last(&self) -> &[u8] {
        &self.bytes[self.bytes.len().saturating_sub(self.keep)..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_bytes_are_kept_however_they_come() {
        let all: Vec<u8> = (0..1000_u32).map(|n| u8::try_from(n % 251).unwrap_or_default()).collect();
        for keep in [0, 1, 7, 64, 999, 1000, 5000] {
            for size in [1, 3, 64, 700, 1000] {
                let mut tail = Tail::new(keep);
                for piece in all.chunks(size) {
                    tail.push(piece);
                    assert!(tail.bytes.len() <= (2 * keep).max(keep + size), "{keep} {size}");
                }
                assert_eq!(tail.last(), &all[all.len().saturating_sub(keep)..], "{keep} {size}");
            }
        }
    }
}
