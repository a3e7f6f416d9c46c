//! A process on systems without process groups: only the process itself is killed, not the processes that it started.

use std::io;
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use molecule_core::plugin::SetupEnd;

use crate::cancel::Cancel;

/// The interval of the checks whether the process has ended.
const PAUSE: Duration = Duration::from_millis(20);

/// `bash <script>`.
pub(super) fn command(script: &str) -> Command {
    let mut command = Command::new("bash");
    command.arg(script);
    command
}

/// The end of a process that was not killed here.
pub(super) fn end(status: ExitStatus) -> SetupEnd {
    SetupEnd::Exited(status.code().unwrap_or(-1))
}

/// A process. It is killed when this is dropped.
pub(super) struct Group(Arc<Mutex<Child>>);

impl Group {
    pub(super) fn start(command: &mut Command) -> io::Result<Self> {
        Ok(Self(Arc::new(Mutex::new(command.spawn()?))))
    }

    pub(super) fn stdout(&mut self) -> Option<ChildStdout> {
        self.child().stdout.take()
    }

    pub(super) fn stderr(&mut self) -> Option<ChildStderr> {
        self.child().stderr.take()
    }

    /// Starts a thread that waits for the end of the process and then wakes the threads that wait on `cancel`.
    pub(super) fn watch(&self, cancel: &Cancel) -> io::Result<Exit> {
        let exit = Exit(Arc::new(AtomicBool::new(false)));
        let (theirs, cancel, child) = (Arc::clone(&exit.0), cancel.clone(), Arc::clone(&self.0));
        thread::Builder::new().name("setup.sh end".to_owned()).spawn(move || {
            while matches!(locked(&child).try_wait(), Ok(None)) {
                thread::sleep(PAUSE);
            }
            theirs.store(true, Ordering::Release);
            cancel.look_again();
        })?;
        Ok(exit)
    }

    /// Kills the process, because this system has no request to end.
    pub(super) fn ask(&self) {
        self.kill();
    }

    /// Kills the process.
    pub(super) fn kill(&self) {
        // The only error means that it has ended.
        let _ = self.child().kill();
    }

    /// The exit status of the process, which has ended.
    pub(super) fn reap(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child().wait().map(Some)
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        locked(&self.0)
    }
}

fn locked(child: &Mutex<Child>) -> MutexGuard<'_, Child> {
    child.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Whether the process has ended.
pub(super) struct Exit(Arc<AtomicBool>);

impl Exit {
    pub(super) fn is_over(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}
