//! A process in a group of its own.

use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use molecule_core::plugin::SetupEnd;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use crate::cancel::Cancel;

/// Closes what an earlier owner of this process left open and inheritable, which `exec` alone would pass on; then the shell
/// becomes `bash <script>`, with nothing open but its standard streams.
const CLOSE_AND_RUN: &str = "for fd in /dev/fd/*; do fd=${fd##*/}; case $fd in *[!0-9]*|'') ;; \
    *) if [ \"$fd\" -gt 2 ]; then eval \"exec $fd>&-\"; fi ;; esac; done; exec bash \"$0\"";

/// `bash <script>`, without descriptors above 2.
pub(super) fn command(script: &str) -> Command {
    let mut command = Command::new("bash");
    command.args(["-c", CLOSE_AND_RUN, script]);
    command
}

/// How a process ended that nobody of us ended.
pub(super) fn end(status: ExitStatus) -> SetupEnd {
    match (status.code(), status.signal()) {
        (Some(code), _) => SetupEnd::Exited(code),
        (None, signal) => SetupEnd::Killed(signal.unwrap_or_default()),
    }
}

/// A process that leads a group. The group is killed when this is dropped.
pub(super) struct Group {
    child: Child,
    /// The leader's, and as long as nobody has reaped it, the group's.
    pid: Option<Pid>,
}

impl Group {
    pub(super) fn start(command: &mut Command) -> io::Result<Self> {
        let child = command.process_group(0).spawn()?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        Ok(Self { child, pid })
    }

    pub(super) fn stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    pub(super) fn stderr(&mut self) -> Option<ChildStderr> {
        self.child.stderr.take()
    }

    /// Looks out for the leader's end, without reaping it, and makes whoever waits on `cancel` look again.
    pub(super) fn watch(&self, cancel: &Cancel) -> io::Result<Exit> {
        let pid = self.pid.ok_or_else(|| io::Error::other("its process id is none"))?;
        let exit = Exit(Arc::new(AtomicBool::new(false)));
        let (theirs, cancel) = (Arc::clone(&exit.0), cancel.clone());
        thread::Builder::new().name("setup.sh end".to_owned()).spawn(move || {
            let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            // Any other error means that there is nothing to wait for.
            while matches!(waitid(WaitId::Pid(pid), ended), Err(Errno::INTR)) {}
            theirs.store(true, Ordering::Release);
            cancel.look_again();
        })?;
        Ok(exit)
    }

    /// Asks everything in the group to end.
    pub(super) fn ask(&self) {
        self.signal(Signal::TERM);
    }

    /// Ends everything in the group. Its leader is not reaped yet, so its number is no other group's.
    pub(super) fn kill(&self) {
        self.signal(Signal::KILL);
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid {
            // The only errors are that nobody is left in the group, or nobody who may be signalled.
            let _ = kill_process_group(pid, signal);
        }
    }

    /// How the leader ended, which has.
    pub(super) fn reap(&mut self) -> io::Result<ExitStatus> {
        self.pid = None;
        self.child.wait()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if self.pid.is_some() {
            self.kill();
            // Reaped if it is dead already; one that is not yet is the init process's when this one ends.
            let _ = self.child.try_wait();
        }
    }
}

/// Whether the leader has ended.
pub(super) struct Exit(Arc<AtomicBool>);

impl Exit {
    pub(super) fn is_over(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}
