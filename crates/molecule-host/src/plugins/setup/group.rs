//! A process in a process group of its own.

use std::io;
#[cfg(target_os = "linux")]
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use molecule_core::plugin::SetupEnd;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
#[cfg(target_os = "linux")]
use rustix::process::{PidfdFlags, pidfd_open, pidfd_send_signal};

use crate::cancel::Cancel;

/// Closes the inheritable descriptors that an earlier program in this process left open, because `exec` alone would
/// pass them on. Then it resets ignored signals to their defaults, if there is an `env` with that option (GNU's; a
/// shell cannot do it, and the signal mask is clean already). Finally the shell executes `bash <script>`, with only its
/// standard streams open.
const CLOSE_AND_RUN: &str = "for fd in /dev/fd/*; do fd=${fd##*/}; case $fd in *[!0-9]*|'') ;; \
    *) if [ \"$fd\" -gt 2 ]; then eval \"exec $fd>&-\"; fi ;; esac; done; \
    if env --default-signal true 2>/dev/null; then exec env --default-signal bash \"$0\"; fi; exec bash \"$0\"";

/// `bash <script>`, without descriptors above 2.
pub(super) fn command(script: &str) -> Command {
    let mut command = Command::new("bash");
    command.args(["-c", CLOSE_AND_RUN, script]);
    command
}

/// The end of a process that was not killed here.
pub(super) fn end(status: ExitStatus) -> SetupEnd {
    match (status.code(), status.signal()) {
        (Some(code), _) => SetupEnd::Exited(code),
        (None, signal) => SetupEnd::Killed(signal.unwrap_or_default()),
    }
}

/// The leader of a process group. The group is killed when this is dropped.
pub(super) struct Group {
    child: Child,
    /// The leader's process id, which is also the group's until the leader is reaped.
    pid: Option<Pid>,
    hold: Hold,
    /// Whether the leader has ended and was reaped elsewhere: its process id may belong to another process now.
    lost: Arc<AtomicBool>,
}

/// The guarantee that a signal does not reach another process.
enum Hold {
    /// A leader that has ended keeps its process id until it is reaped, which happens after the last signal.
    Number,
    /// The process id is not reserved. Signals go only to the leader, through its pidfd.
    #[cfg(target_os = "linux")]
    Leader(OwnedFd),
    /// The process id is not reserved, and there is no pidfd: no signal is sent.
    #[cfg(target_os = "linux")]
    Nothing,
}

impl Group {
    pub(super) fn start(command: &mut Command) -> io::Result<Self> {
        let child = command.process_group(0).spawn()?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        Ok(Self { child, pid, hold: Hold::on(pid), lost: Arc::default() })
    }

    pub(super) fn stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    pub(super) fn stderr(&mut self) -> Option<ChildStderr> {
        self.child.stderr.take()
    }

    /// Starts a thread that waits for the leader's end, without reaping it, and then wakes the threads that wait on
    /// `cancel`.
    pub(super) fn watch(&self, cancel: &Cancel) -> io::Result<Exit> {
        let pid = self.pid.ok_or_else(|| io::Error::other("its process id is none"))?;
        let exit = Exit(Arc::new(AtomicBool::new(false)));
        let (theirs, lost, cancel) = (Arc::clone(&exit.0), Arc::clone(&self.lost), cancel.clone());
        thread::Builder::new().name("setup.sh end".to_owned()).spawn(move || {
            let ended = loop {
                match waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {
                    Err(Errno::INTR) => {}
                    ended => break ended,
                }
            };
            // An error means that the leader was reaped elsewhere: SIGCHLD is ignored, or another thread waited for it.
            lost.store(ended.is_err(), Ordering::Release);
            theirs.store(true, Ordering::Release);
            cancel.look_again();
        })?;
        Ok(exit)
    }

    /// Sends SIGTERM to the group.
    pub(super) fn ask(&self) {
        self.signal(Signal::TERM);
    }

    /// Sends SIGKILL to the group.
    pub(super) fn kill(&self) {
        self.signal(Signal::KILL);
    }

    fn signal(&self, signal: Signal) {
        let Some(pid) = self.pid.filter(|_| !self.is_lost()) else { return };
        // The only errors mean that the group is empty, or that no process in it may be signalled.
        let _ = match &self.hold {
            Hold::Number => kill_process_group(pid, signal),
            #[cfg(target_os = "linux")]
            Hold::Leader(leader) => pidfd_send_signal(leader, signal),
            #[cfg(target_os = "linux")]
            Hold::Nothing => Ok(()),
        };
    }

    fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }

    /// Reaps the leader, which has ended, and returns its exit status; `None` if it was reaped elsewhere.
    pub(super) fn reap(&mut self) -> io::Result<Option<ExitStatus>> {
        self.pid = None;
        if self.is_lost() {
            return Ok(None);
        }
        match self.child.wait() {
            // It was reaped elsewhere.
            Err(error) if error.raw_os_error() == Some(Errno::CHILD.raw_os_error()) => Ok(None),
            status => status.map(Some),
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if self.pid.is_some() && !self.is_lost() {
            self.kill();
            // This reaps it if it is dead already. Otherwise the init process reaps it after the end of this process.
            let _ = self.child.try_wait();
        }
    }
}

#[cfg(not(target_os = "linux"))]
impl Hold {
    /// This system cannot tell whether dead children are kept for their parent. They are, unless the program that
    /// started this process changed that.
    fn on(_: Option<Pid>) -> Self {
        Self::Number
    }
}

#[cfg(target_os = "linux")]
impl Hold {
    fn on(pid: Option<Pid>) -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        if !ignores(&status, Signal::CHILD) {
            return Self::Number;
        }
        let Some(leader) = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()) else { return Self::Nothing };
        // `waitid` accepts only a child of this process. The process id may belong to another process by now.
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        match waitid(WaitId::PidFd(leader.as_fd()), options) {
            Ok(_) => Self::Leader(leader),
            Err(_) => Self::Nothing,
        }
    }
}

/// Returns whether a process with this `/proc/<pid>/status` ignores the signal.
#[cfg(target_os = "linux")]
fn ignores(status: &str, signal: Signal) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    let bit = u32::try_from(signal.as_raw() - 1).ok().and_then(|bit| 1_u64.checked_shl(bit)).unwrap_or_default();
    mask & bit != 0
}

/// Whether the leader has ended.
pub(super) struct Exit(Arc<AtomicBool>);

impl Exit {
    pub(super) fn is_over(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

#[cfg(all(test, target_os = "linux"))]
#[allow(clippy::unwrap_used)]
mod tests {
    use rustix::process::{WaitOptions, waitpid};

    use super::*;

    fn start(program: &str, argument: &str) -> Group {
        Group::start(Command::new(program).arg(argument)).unwrap()
    }

    /// Its process id may belong to another process by now, for which the child stands in this test.
    #[test]
    fn a_leader_that_nobody_kept_for_us_is_neither_signalled_nor_waited_for() {
        let mut group = start("sleep", "1");
        group.hold = Hold::Number;
        group.lost.store(true, Ordering::Release);
        group.ask();
        group.kill();
        assert_eq!(group.reap().unwrap(), None, "somebody else's end is told as the leader's");
        let status = group.child.wait().unwrap();
        assert!(status.success(), "somebody else was signalled: {status}");
    }

    #[test]
    fn a_leader_that_somebody_else_waited_for_has_an_unknown_end() {
        let mut group = start("true", "");
        waitpid(group.pid, WaitOptions::empty()).unwrap();
        assert_eq!(group.reap().unwrap(), None);
    }

    #[test]
    fn an_ignored_signal_is_found_in_the_mask() {
        let status = |mask: &str| {
            format!("Name:\tagent\nSigBlk:\tffffffffffffffff\nSigIgn:\t{mask}\nSigCgt:\tffffffffffffffff\n")
        };
        assert!(ignores(&status("0000000000010000"), Signal::CHILD));
        assert!(ignores(&status("0000000000011001"), Signal::CHILD));
        assert!(!ignores(&status("0000000000001001"), Signal::CHILD));
        assert!(ignores(&status("0000000000001001"), Signal::HUP));
        assert!(!ignores("", Signal::CHILD));
    }
}
