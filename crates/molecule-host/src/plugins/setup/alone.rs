//! A process of systems without process groups: it is ended alone, and what it started is not.

use std::io;
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use molecule_core::plugin::SetupEnd;

use crate::cancel::Cancel;

/// How often the process is looked at.
const PAUSE: Duration = Duration::from_millis(20);

/// `bash <script>`.
pub(super) fn command(script: &str) -> Command {
    let mut command = Command::new("bash");
    command.arg(script);
    command
}

/// How a process ended that nobody of us ended.
pub(super) fn end(status: ExitStatus) -> SetupEnd {
    SetupEnd::Exited(status.code().unwrap_or(-1))
}

/// A process, which is killed when this is dropped.
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

    /// Looks out for its end, and makes whoever waits on `cancel` look again.
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

    /// There is no way to ask.
    pub(super) fn ask(&self) {
        self.kill();
    }

    /// Ends it.
    pub(super) fn kill(&self) {
        // The only error is that it has ended.
        let _ = self.child().kill();
    }

    /// How it ended, which it has.
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
